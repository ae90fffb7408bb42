#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever is missing or in the way, a private domain that cannot have its memory does not start."""

import errno
import os
import pwd
import re

from gmem_checks import Guest, evidence, no_evidence, shows_private
from gmem_kernel import no_guest_memfd
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, ERR_XML_ERROR, KIB, MIB, QEMU, SHIM, DaemonRig,
                      EmbedRig, Skip, Suite, domain, library, need_guest_memfd, need_kvm, need_root, wait_for)

suite = Suite()

SERIAL = '/run/serial'
STOCK_REFUSAL = '-x-libvirt-gmem: invalid option'


def private(rig, name='vm', **options):
    options.setdefault('cells', [21 * KIB, 27 * KIB])
    return domain(name, boot=rig.guest_image(name), serial=SERIAL, **options)


def nothing_ran(check, rig):
    check.equal([p.argv for p in rig.emulators()], [], 'emulators')
    check.equal(rig.read(SERIAL), '', "what a guest wrote")


def refused(check, rig, client, part, name='vm'):
    """The start fails; @part is in the error or, if libvirt truncated that, in the domain's log."""
    error = check.refused(lambda: client.start(name))
    check.has(error.message + '\n' + rig.read(rig.domain_log % name), part,
              'the error with the log')
    check.equal(client.state(name), 'shut off', 'state')
    nothing_ran(check, rig)
    return error


# -- without the library ------------------------------------------------------------------------


@suite.test('embedded: what was defined with the library does not start without it')
def _(check):
    need_kvm()
    with EmbedRig(library()) as rig:
        client = rig.python()
        client.define(private(rig))
        client.close()
        rig.preload = ()
        client = rig.python()
        lowered = client.dumpxml('vm')
        check.has(lowered, "<qemu:arg value='-x-libvirt-gmem'/>", 'dumpxml of stock libvirt')
        refused(check, rig, client, STOCK_REFUSAL)
        # As on another host: the XML that stock libvirt shows is defined there.
        with EmbedRig() as other:
            there = other.python()
            there.define(lowered)
            other.guest_image('vm')
            refused(check, other, there, STOCK_REFUSAL)
            check.refused(lambda: there.create(lowered))
            nothing_ran(check, other)
        # With the library again, everything is as it was.
        client.close()
        rig.preload = library()
        shows_private(check, rig.python().dumpxml('vm'))


@suite.test('libvirtd that has lost the library: start and autostart')
def _(check):
    need_kvm()
    with DaemonRig(library()) as rig:
        client = rig.python()
        client.define(private(rig))
        client.call('vm', 'setAutostart', 1)
        client.close()
        rig.stop_daemon()
        rig.preload = ()
        rig.run(['rm', '-f', '/run/libvirt/qemu/autostarted'])
        rig.start_daemon()
        log = rig.domain_log % 'vm'
        wait_for(lambda: STOCK_REFUSAL in rig.read(log), 'the autostart to fail')
        client = rig.python()
        wait_for(lambda: client.state('vm') == 'shut off', 'the domain to be shut off')
        nothing_ran(check, rig)
        refused(check, rig, client, STOCK_REFUSAL)


@suite.test('libvirtd that has lost the library: a managed save image and a saved guest')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        client = rig.python()
        guest = Guest(rig, SERIAL)
        for name in ('managed', 'saved'):
            client.define(private(rig, name))
            client.start(name)
            last, _ = guest.wait_pass()
            if name == 'managed':
                client.call(name, 'managedSave', 0)
            else:
                client.save(name, '/run/saved')
        client.close()
        rig.stop_daemon()
        rig.preload = ()
        rig.start_daemon()
        rig.write(SERIAL, '')
        client = rig.python()
        check.refused(lambda: client.restore('/run/saved'))
        check.has(rig.read(rig.domain_log % 'saved'), STOCK_REFUSAL, 'the log')
        nothing_ran(check, rig)
        check.refused(lambda: client.start('managed'))
        check.has(rig.read(rig.domain_log % 'managed'), STOCK_REFUSAL, 'the log')
        nothing_ran(check, rig)
        # The failed attempt does not lose anything.
        client.close()
        rig.stop_daemon()
        rig.preload = library()
        rig.start_daemon()
        client = rig.python()
        client.restore('/run/saved')
        guest.wait_pass(last)
        check.lacks(guest.text, 'boot found', "the restored guest's serial port")


# -- the shim -----------------------------------------------------------------------------------


def shim_refused(check, kind, autostart=False, **options):
    rig = kind(lambda rig: [rig.tree(None)], **options)
    with rig:
        client = rig.python()
        client.define(private(rig))
        refused(check, rig, client, 'qemu-gmem.so')
        check.refused(lambda: client.create(private(rig, 'brief')))
        nothing_ran(check, rig)
        if autostart:
            client.call('vm', 'setAutostart', 1)
            client.close()
            rig.stop_daemon()
            rig.run(['sh', '-c', 'rm -f /run/libvirt/qemu/autostarted /var/log/libvirt/qemu/*'])
            rig.start_daemon()
            wait_for(lambda: 'qemu-gmem.so' in rig.read(rig.domain_log % 'vm'),
                     'the autostart to fail')
            wait_for(lambda: rig.python().state('vm') == 'shut off', 'the domain to be shut off')
            nothing_ran(check, rig)


@suite.test("embedded: the shim's file is missing")
def _(check):
    need_guest_memfd()
    shim_refused(check, EmbedRig)


@suite.test("libvirtd: the shim's file is missing; start, create, autostart")
def _(check):
    need_guest_memfd()
    shim_refused(check, DaemonRig, autostart=True)


def as_qemu_user(shim_mode):
    try:
        pwd.getpwnam('libvirt-qemu')
    except KeyError:
        raise Skip('no user libvirt-qemu') from None
    return DaemonRig(lambda rig: [rig.tree(shim_mode)], prepare=lambda rig: rig.open_kvm(),
                     user='libvirt-qemu', group='kvm', ownership=1)


@suite.test("QEMU's user is not root: it works where the shim can be read")
def _(check):
    need_guest_memfd()
    with as_qemu_user(0o755) as rig:
        client = rig.python()
        client.define(private(rig))
        client.start('vm')
        emulator = rig.emulator('vm')
        guest = Guest(rig, SERIAL)
        guest.wait_pass()
        check.equal(os.stat('/proc/%d' % emulator.pid).st_uid, pwd.getpwnam('libvirt-qemu').pw_uid,
                    "QEMU's user")
        evidence(check, emulator, [21 * MIB, 27 * MIB], guest.text)
        client.destroy('vm')


@suite.test("QEMU's user is not root: the shim cannot be read by it")
def _(check):
    need_guest_memfd()
    with as_qemu_user(0o700) as rig:
        client = rig.python()
        client.define(private(rig))
        refused(check, rig, client, 'qemu-gmem.so')


@suite.test("QEMU's user is not root: the shim's directory cannot be entered by it")
def _(check):
    need_guest_memfd()
    with as_qemu_user(0o755) as rig:
        directory = os.path.join(os.path.dirname(os.path.dirname(rig.preload[0])), 'shim')
        client = rig.python()
        client.define(private(rig))
        os.chmod(directory, 0o700)
        refused(check, rig, client, 'qemu-gmem.so')
        os.chmod(directory, 0o755)
        client.start('vm')
        check.true(rig.emulator('vm') is not None, 'it does not start with the cure')


SHIM_LOST = ("unsupported configuration: the emulator '%s' has no guest_memfd of its own, and qemu-gmem.so, "
             'which supplies it, cannot be preloaded into it; the file must be loadable, a wrapper must keep '
             'the environment, and no other preloaded library may intercept the same calls')


@suite.test('a shim that ld.so cannot load')
def _(check):
    need_guest_memfd()
    with DaemonRig(lambda rig: [rig.tree()]) as rig:
        shim = os.path.join(os.path.dirname(os.path.dirname(rig.preload[0])), 'shim/qemu-gmem.so')
        with open(shim, 'wb') as file:
            file.write(b'\x7fELF and nothing more')
        client = rig.python()
        client.define(private(rig))
        check.refused(lambda: client.start('vm'), ERR_CONFIG_UNSUPPORTED, SHIM_LOST % QEMU)
        with open(SHIM, 'rb') as good, open(shim, 'wb') as file:
            file.write(good.read())
        client.start('vm')
        client.destroy('vm')


# -- the emulator -------------------------------------------------------------------------------


def wrapped(rig, script):
    rig.write('/run/emulator', script, 0o755)
    return private(rig, emulator='/run/emulator')


WRAPPERS = {
    'clears the environment': '#!/bin/sh\nexec env -i %s "$@"\n' % QEMU,
    'takes LD_PRELOAD away': '#!/bin/sh\nunset LD_PRELOAD\nexec %s "$@"\n' % QEMU,
    'sets another LD_PRELOAD':
        '#!/bin/sh\nexport LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libz.so.1\nexec %s "$@"\n' % QEMU,
}


def refused_wrapper(kind, what, script):
    @suite.test('%s: an emulator wrapper that %s' % (kind.name, what))
    def _(check):
        need_guest_memfd()
        with kind(library()) as rig:
            client = rig.python()
            client.define(wrapped(rig, script))
            check.lacks(client.call(None, 'getDomainCapabilities', '/run/emulator', 'x86_64', None, 'kvm',
                                    0), 'fully-shared', 'domain capabilities')
            check.refused(lambda: client.start('vm'), ERR_CONFIG_UNSUPPORTED,
                          SHIM_LOST % '/run/emulator')
            check.lacks(rig.read(rig.domain_log % 'vm'), 'is guest_memfd', 'the log')


for each in WRAPPERS.items():
    refused_wrapper(DaemonRig, *each)
refused_wrapper(EmbedRig, *list(WRAPPERS.items())[0])


@suite.test('an emulator wrapper that keeps the environment works')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        client = rig.python()
        client.define(wrapped(rig, '#!/bin/sh\nexec %s "$@"\n' % QEMU))
        client.start('vm')
        guest = Guest(rig, SERIAL)
        guest.wait_pass()
        evidence(check, rig.emulator('vm'), [21 * MIB, 27 * MIB], guest.text)
        client.destroy('vm')


ADDED = {
    'a dimm of ordinary memory': ('-object', 'memory-backend-ram,id=more,size=128M', '-device',
                                  'pc-dimm,memdev=more'),
    'another RAM': ('-object', 'memory-backend-ram,id=other,size=48M', '-machine',
                    'memory-backend=other'),
    "another driver for a user's device": ('-set', 'device.balloon0.driver=pc-dimm'),
}


def refused_addition(what, words):
    @suite.test('an emulator wrapper that adds ' + what)
    def _(check):
        need_guest_memfd()
        with DaemonRig(library()) as rig:
            client = rig.python()
            client.define(wrapped(rig, '#!/bin/sh\ncase "$*" in *guest=*) set -- "$@" %s;; esac\n'
                                  'exec %s "$@"\n' % (' '.join(words), QEMU)))
            refused(check, rig, client,
                    "qemu-gmem: option -x-libvirt-gmem: '%s %s' is not what libvirt-gmem gave to the "
                    'emulator: a wrapper must neither add' % words[:2])


for each in ADDED.items():
    refused_addition(*each)


@suite.test('the kernel refuses guest_memfd to QEMU')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        client = rig.python()
        client.define(wrapped(rig, no_guest_memfd(errno.EPERM)))
        error = refused(check, rig, client, 'KVM_CREATE_GUEST_MEMFD')
        check.has(error.message + rig.read(rig.domain_log % 'vm'), 'Operation not permitted',
                  'the error with the log')
        # The wrapper can run an ordinary domain, so nothing else prevented the start.
        client.define(domain('plain', private=False, emulator='/run/emulator'))
        client.start('plain')
        no_evidence(check, rig.emulator('plain'))
        client.destroy('plain')


# -- the carrier --------------------------------------------------------------------------------


def lowered(rig, xml):
    """What the library passes to stock libvirt for @xml."""
    rig.preload = library()
    client = rig.python()
    client.define(xml)
    client.close()
    rig.preload = ()
    client = rig.python()
    dump = client.dumpxml('vm')
    client.undefine('vm')
    client.close()
    return dump


@suite.test('a carrier pair that a client hands in: accepted where lowering would have made it')
def _(check):
    with EmbedRig() as rig:
        raw = lowered(rig, private(rig))
        rig.preload = library()
        client = rig.python()
        client.define(raw)
        shows_private(check, client.dumpxml('vm'))
        client.undefine('vm')
        for what, old, new in (
                ('version', '&quot;version&quot;:1', '&quot;version&quot;:2'),
                ('mode', 'fully-shared', 'half-shared'),
                ('mode', 'fully-shared', 'convertible'),
                ('added', '&quot;added&quot;:[', '&quot;added&quot;:[{&quot;path&quot;:&quot;x&quot;},'),
                ('key', '&quot;version&quot;:1', '&quot;version&quot;:1,&quot;more&quot;:1'),
                ('damage', '&quot;version&quot;:1', '&quot;version')):
            quoted = old if old in raw else old.replace('&quot;', '"')
            check.has(raw, quoted, 'the lowered XML')
            changed = raw.replace(quoted, new if old in raw else new.replace('&quot;', '"'))
            check.refused(lambda changed=changed: client.define(changed), ERR_XML_ERROR)
            check.equal(client.names(), [], 'domains after a wrong ' + what)


@suite.test('a stored carrier of a newer version is shown as it is and does not start')
def _(check):
    need_guest_memfd()
    with EmbedRig() as rig:
        raw = lowered(rig, private(rig))
        newer = re.sub(r'((?:&quot;|")version(?:&quot;|"):)1', r'\g<1>9', raw)
        check.true(newer != raw, 'no version in the carrier')
        client = rig.python()
        client.define(newer)
        client.close()
        rig.preload = library()
        client = rig.python()
        check.has(client.dumpxml('vm'), '-x-libvirt-gmem', 'dumpxml')
        check.lacks(client.dumpxml('vm'), '<private/>', 'dumpxml')
        check.refused(lambda: client.start('vm'), ERR_XML_ERROR, part='version')
        nothing_ran(check, rig)


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
