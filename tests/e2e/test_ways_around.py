#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ways around the public calls: a guest must have the mode that its user asked for, or must not run."""

import glob
import os
import re
import signal

from gmem_checks import shows_private
from gmem_evidence import guest_memfds
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, KIB, MIB, DaemonRig, Suite, domain, library,
                      need_guest_memfd, need_root, wait_for)

suite = Suite()

RAM = 30 * KIB
IMAGE, REPLACEMENT = '/run/image', '/run/replacement'
HOOK = '''#!/bin/sh
case $2 in
restore|migrate) cat %s 2>/dev/null;;
esac
exit 0
''' % REPLACEMENT
DIRECTORY = '/etc/libvirt/qemu/'
DEFINE = "has been defined with 'virsh define'"
NODEMASK = ("<memory model='dimm'><source><nodemask>0</nodemask></source><target>"
            "<size unit='MiB'>64</size><node>0</node></target></memory>")


def prepared(rig):
    rig.write('/etc/libvirt/hooks/qemu', HOOK, 0o755)


class It:
    rig = None

    @classmethod
    def get(cls):
        need_guest_memfd()
        if cls.rig is None:
            cls.rig = DaemonRig(library(), prepare=prepared)
            cls.client = cls.rig.python()
        return cls.rig, cls.client


def sizes(rig, name):
    return sorted(m.size for m in guest_memfds(rig.emulator(name).pid))


@suite.test("a hook that gives another mode's XML for a guest that goes on: it does not run")
def _(check):
    rig, client = It.get()
    xml = domain('vm', memory=RAM)
    client.define(xml)
    client.start('vm')
    client.save('vm', IMAGE)
    with open(rig.outer(IMAGE), 'rb') as file:
        stored = file.read(256 * KIB).decode('latin-1')
    lowered = re.search('<domain .*?</domain>', stored, re.S)[0]
    ordinary = re.sub('<qemu:commandline>.*?</qemu:commandline>', '', lowered, flags=re.S)
    check.lacks(ordinary, 'x-libvirt-gmem', "the hook's XML")
    written = ordinary.replace('<memoryBacking>', '<memoryBacking><private/>')
    message = "the guest is of mode 'fully-shared', and the XML that libvirt starts QEMU with is of mode"
    for replacement in (ordinary, written):
        rig.write(REPLACEMENT, replacement)
        check.refused(lambda: client.restore(IMAGE), ERR_CONFIG_UNSUPPORTED, part=message + " 'none'")
        check.equal(rig.emulators(), [], 'emulators')
    rig.write(REPLACEMENT, lowered.replace('<memory ', '<title>by the hook</title><memory ', 1))
    client.restore(IMAGE)
    check.has(client.dumpxml('vm'), '<title>by the hook</title>', 'dumpxml')
    shows_private(check, client.dumpxml('vm'))
    check.equal(sizes(rig, 'vm'), [RAM * KIB], "sizes of QEMU's guest_memfds")
    os.unlink(rig.outer(REPLACEMENT))
    client.call('vm', 'managedSave', 0)
    rig.write(REPLACEMENT, ordinary)
    check.refused(lambda: client.start('vm'), ERR_CONFIG_UNSUPPORTED, part=message)
    check.equal(client.call('vm', 'hasManagedSaveImage', 0), 1, 'is there a managed save')
    os.unlink(rig.outer(REPLACEMENT))
    client.start('vm')
    check.equal(sizes(rig, 'vm'), [RAM * KIB], "sizes of QEMU's guest_memfds")
    client.destroy('vm')
    client.undefine('vm')


@suite.test('the other way round: a hook makes no private guest of an ordinary one')
def _(check):
    rig, client = It.get()
    client.define(domain('vm', memory=RAM))
    lowered = rig.read('/etc/libvirt/qemu/vm.xml')
    backing = "<source type='memfd'/><access mode='shared'/>"
    client.define(domain('vm', memory=RAM, private=False, backing=backing))
    client.start('vm')
    client.save('vm', IMAGE)
    rig.write(REPLACEMENT, re.search('<domain .*</domain>', lowered, re.S)[0])
    check.refused(lambda: client.restore(IMAGE), part="the guest is of mode 'none'")
    os.unlink(rig.outer(REPLACEMENT))
    client.restore(IMAGE)
    check.equal(sizes(rig, 'vm'), [], "sizes of QEMU's guest_memfds")
    client.destroy('vm')
    client.undefine('vm')


@suite.test('an autostart from a managed save: a hook gives it no other mode')
def _(check):
    rig, client = It.get()
    xml = domain('vm', memory=RAM)
    ordinary = domain('vm', memory=RAM, private=False,
                      backing="<source type='memfd'/><access mode='shared'/>")
    stored = {}
    for name, text in (('private', xml), ('ordinary', ordinary)):
        client.define(text)
        stored[name] = re.search('<domain .*</domain>', rig.read(DIRECTORY + 'vm.xml'), re.S)[0]
    for name, text, other in (('private', xml, 'ordinary'), ('ordinary', ordinary, 'private')):
        client.define(text)
        client.start('vm')
        client.call('vm', 'managedSave', 0)
        client.call('vm', 'setAutostart', 1)
        rig.write(REPLACEMENT, stored[other])
        log = len(rig.read(rig.domain_log % 'vm'))
        client = again(rig, client)
        refusal = "the guest is of mode '%s'" % ('fully-shared' if name == 'private' else 'none')
        wait_for(lambda: refusal in rig.read(rig.domain_log % 'vm')[log:], 'the refused autostart')
        check.equal(rig.emulators(), [], 'emulators')
        check.equal(client.call('vm', 'hasManagedSaveImage', 0), 1, 'is there a managed save')
        # The hook may change anything else.
        rig.write(REPLACEMENT, stored[name].replace('<memory ', '<title>by the hook</title><memory ', 1))
        client = again(rig, client)
        wait_for(lambda: client.state('vm') == 'running', 'the autostart')
        check.has(client.dumpxml('vm'), '<title>by the hook</title>', 'dumpxml')
        check.equal(sizes(rig, 'vm'), [RAM * KIB] if name == 'private' else [],
                    "sizes of QEMU's guest_memfds")
        client.destroy('vm')
        os.unlink(rig.outer(REPLACEMENT))
    client.undefine('vm')


def again(rig, client):
    """Restarts the daemon as after a boot, so that it autostarts."""
    client.close()
    rig.stop_daemon()
    os.unlink(rig.outer('/run/libvirt/qemu/autostarted'))
    rig.start_daemon()
    It.client = rig.python()
    return It.client


@suite.test('a DIMM with a <nodemask> that the kernel cannot keep is not attached; its guest goes on')
def _(check):
    rig, client = It.get()
    xml = domain('vm', cells=[RAM], slots=True)
    client.define(xml)
    client.start('vm')
    refusals = [answer for answer in (attached(client, flags) for flags in (1, 2, 3)) if answer]
    check.true(len(refusals) in (0, 3), 'attach is refused for some: %r' % refusals)
    if not refusals:
        check.equal(sizes(rig, 'vm'), [RAM * KIB, 64 * MIB, 64 * MIB], "QEMU's guest_memfds")
    else:
        for refusal in refusals:
            check.has(refusal, 'a kernel that keeps a NUMA policy on guest_memfd', 'the error')
        check.equal(sizes(rig, 'vm'), [RAM * KIB], "sizes of QEMU's guest_memfds")
        client.call('vm', 'attachDeviceFlags', re.sub('<source>.*</source>', '', NODEMASK), 1)
        client.call('vm', 'managedSave', 0)
        # A state that an older release of the library could create.
        client.call('vm', 'managedSaveDefineXML', re.sub(
            r"(<memory model='dimm'>)", r'\1<source><nodemask>0</nodemask></source>',
            client.call('vm', 'managedSaveGetXMLDesc', 0)), 0)
        client.start('vm')
        check.has(client.dumpxml('vm'), '<nodemask>0</nodemask>', 'dumpxml')
        check.equal(sizes(rig, 'vm'), [RAM * KIB, 64 * MIB], "sizes of QEMU's guest_memfds")
        check.has(rig.read(rig.domain_log % 'vm'), 'the guest continues without its NUMA policy',
                  "the domain's log")
        shows_private(check, client.dumpxml('vm'))
    client.destroy('vm')
    client.undefine('vm')


def attached(client, flags):
    try:
        client.call('vm', 'attachDeviceFlags', NODEMASK, flags)
    except Exception as error:  # pylint: disable=broad-except
        return str(error)
    return None


@suite.test("a user's own XML among libvirt's files: the log says so, and it does not run until defined")
def _(check):
    rig, client = It.get()
    user = domain('vm', memory=RAM)
    client.close()
    rig.stop_daemon()
    rig.write(DIRECTORY + 'vm.xml', user)
    rig.write(DIRECTORY + 'comma.xml', domain('a,b', memory=RAM))
    rig.write(DIRECTORY + 'sw.xml', domain('sw', memory=RAM, private=False, launch='sw-protected'))
    rig.write(DIRECTORY + 'both.xml', domain('both', memory=RAM, backing='<nosharepages/><private/>'))
    # Malformed, which libxml2 2.15 does not notice after a bad xml:id.
    rig.write(DIRECTORY + 'behind.xml', domain('behind', memory=RAM, body="<metadata><x xmlns='urn:x' "
                                               "xml:id='1'/></metadata>") + 'text')
    rig.write(DIRECTORY + 'plain.xml', domain('plain', memory=RAM, private=False))
    rig.write(DIRECTORY + 'vm,x.xml', domain('vm,x', memory=RAM, private=False))
    os.makedirs(rig.outer(DIRECTORY + 'autostart'), exist_ok=True)
    for name in ('vm', 'comma', 'plain', 'vm,x'):
        os.symlink('%s%s.xml' % (DIRECTORY, name), rig.outer('%sautostart/%s.xml' % (DIRECTORY, name)))
    # libvirtd remembers that it has autostarted already, until the machine boots.
    os.unlink(rig.outer('/run/libvirt/qemu/autostarted'))
    size = len(rig.read(rig.log))
    rig.start_daemon()
    It.client = client = rig.python()
    log = rig.read(rig.log)[size:]
    for name, path in (('vm', 'vm'), ('a,b', 'comma'), ('sw', 'sw')):
        check.has(log, "in '%s%s.xml' is not known to libvirt, which reads the file by itself: "
                  "domain '%s' does not start" % (DIRECTORY, path, name), "the daemon's log")
    for path in ('both', 'behind'):
        check.has(log, "cannot determine what '%s%s.xml', which libvirt reads by itself, asks for (" %
                  (DIRECTORY, path), "the daemon's log")
    check.lacks(log, 'plain.xml', "the daemon's log")
    # One of their names begins with the name of a domain that is refused.
    for name in ('plain', 'vm,,x'):
        wait_for(lambda name=name: rig.emulator(name), 'the autostart of an ordinary domain')
    # They are started one after the other, in any order.
    for name in ('vm', 'a,b'):
        wait_for(lambda name=name: DEFINE in
                 rig.read(rig.domain_log % name), 'the refused autostart of ' + name)
    check.equal(len(rig.emulators()), 2, 'how many domains run')
    for name in ['vm', 'a,b', 'both'] + ['behind'] * ('behind' in client.names()):
        check.lacks(client.dumpxml(name), '<private', 'dumpxml')
        for call in (('create',), ('rename', 'other', 0)):
            check.refused(lambda name=name, c=call: client.call(name, *c), ERR_CONFIG_UNSUPPORTED,
                          part=DEFINE)
    # libvirt writes the file again, without what it has dropped.
    client.call('vm', 'setMetadata', 0, 'other', None, None, 2)
    check.lacks(rig.read(DIRECTORY + 'vm.xml'), 'private', "libvirt's file")
    check.refused(lambda: client.start('vm'), ERR_CONFIG_UNSUPPORTED, part=DEFINE)
    client.define(user)
    client.start('vm')
    check.equal(sizes(rig, 'vm'), [RAM * KIB], "sizes of QEMU's guest_memfds")
    # After a call has changed its mode, it is ordinary.
    client.define(domain('a,b', memory=RAM, private=False))
    client.start('a,b')
    check.equal(sizes(rig, 'a,,b'), [], "sizes of QEMU's guest_memfds")
    for name in ('vm', 'a,b', 'plain', 'vm,x'):
        client.destroy(name)
    for name in client.names():
        client.undefine(name)
    for path in glob.glob(rig.outer(DIRECTORY + 'behind.xml')):  # if libvirt did not accept it
        os.unlink(path)
    os.unlink(rig.outer(DIRECTORY + 'comma.xml'))  # libvirt does not: it is not called a,b.xml


@suite.test('the same after SIGHUP, and beside a managed save image')
def _(check):
    rig, client = It.get()
    client.define(domain('vm', memory=RAM, private=False, body='<title>first</title>'))
    user = domain('vm', memory=RAM, body='<title>second</title>')
    for saved in (False, True):
        if saved:
            client.start('vm')
            client.call('vm', 'managedSave', 0)
        rig.write(DIRECTORY + 'vm.xml', user)
        rig.daemon.send_signal(signal.SIGHUP)
        if not saved:
            wait_for(lambda: 'second' in client.dumpxml('vm'), 'libvirt to read its files again')
        check.refused(lambda: client.start('vm'), ERR_CONFIG_UNSUPPORTED, part=DEFINE)
        check.equal(rig.emulators(), [], 'emulators')
        if saved:
            client.call('vm', 'managedSaveRemove', 0)
        else:
            client.define(domain('vm', memory=RAM, private=False))
    client.define(user)
    client.start('vm')
    check.equal(sizes(rig, 'vm'), [RAM * KIB], "sizes of QEMU's guest_memfds")
    client.destroy('vm')
    client.undefine('vm')


@suite.test('the end')
def _(check):
    rig, client = It.get()
    check.equal(client.names(), [], 'domains')
    client.close()
    rig.close()


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
