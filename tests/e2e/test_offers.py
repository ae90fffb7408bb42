#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMUs with guest_memfd backends of their own, from define to the arguments that arrive, with a stand-in.

The stand-in explains at its top what it can show (tests/standin/standin.py): that QEMU gets what the row of
"What QEMU offers" says and that this fits QEMU's schema; not that guest RAM is guest_memfd.
"""

import concurrent.futures
import contextlib
import json
import os
import shutil
import subprocess
import time

from gmem_checks import (OPTION, Guest, carrier_values, evidence, no_evidence, shim_config,
                         shows_private, split_native)
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, KIB, MIB, QEMU, SHIM, DaemonRig, EmbedRig, Skip, Suite,
                      domain, kvm_extension, library, need_guest_memfd, need_kvm, need_root, wait_for)
from gmem_standin import (BARE_OBJECT, FAKE_KVM, HAS_VM_TYPE, NEITHER, NO_FLAGS, NO_INIT_SHARED,
                          OBJECT, PROPERTY, X_PROPERTY, StandIn, backends, client_of, fake_host,
                          values)

suite = Suite()

ERR_OPERATION_UNSUPPORTED = 84
SERIAL = '/run/serial'
CELLS = (17, 19)
SIZES = [size * MIB for size in CELLS]
LAUNCH = {'qom-type': 'sw-protected-vm', 'id': 'lsec0'}


def private(rig, name='vm', **options):
    options.setdefault('cells', [size * KIB for size in CELLS])
    options.setdefault('emulator', '/run/emulator')
    return domain(name, boot=rig.guest_image(name), serial=SERIAL, **options)


def convertible(rig, name='vm', **options):
    return private(rig, name, launch='sw-protected', private=False, **options)


@contextlib.contextmanager
def ours(*standin, kind=DaemonRig, **options):
    """A rig with this library, a stand-in on it, a client."""
    need_guest_memfd()
    with kind(library()) as rig:
        yield rig, StandIn(rig, *standin, **options), rig.python()


def only_start(check, standin):
    """The arguments of the one domain that was started since the last call."""
    starts = standin.starts()
    check.equal(len(starts), 1, 'number of starts')
    standin.forget()
    return starts[0]


def has_property(check, start, name, sizes=None):
    """The second row: the property on each RAM backend, and neither pair nor shim."""
    found = backends(start['argv'])
    check.equal([found[key]['size'] for key in found], list(sizes or SIZES), 'sizes')
    for key, properties in found.items():
        check.equal(properties.get(name), True, '%s of %s' % (name, key))
        check.equal(properties.get('share'), True, 'share of ' + key)
        check.equal(properties['qom-type'], 'memory-backend-memfd', 'type of ' + key)
    check.lacks(start['argv'], OPTION, 'the arguments')
    check.equal(start['preload'], None, 'LD_PRELOAD')


def has_object(check, argv, bare):
    """The first row: the object, the machine that refers to it, and "private" for each backend that has it."""
    objects = [json.loads(value) for value in values(argv, '-object') if value.startswith('{')]
    check.equal([each for each in objects if each['qom-type'] == LAUNCH['qom-type']], [LAUNCH],
                'launch objects')
    machine = values(argv, '-machine')[0].split(',')
    check.has(machine, 'confidential-guest-support=lsec0', '-machine')
    check.has(machine, 'kernel_irqchip=split', '-machine')
    for key, properties in backends(argv).items():
        check.equal(properties.get('private'), None if bare else True, 'private of ' + key)
    check.lacks(argv, OPTION, 'the arguments')


def has_shim(check, start, sizes=None):
    """The third row."""
    pair = carrier_values(start['argv'])
    check.equal([each.partition(',argv=')[0] for each in pair], [shim_config(sizes or SIZES)], 'the pair')
    check.matches(pair[0], r',argv=[0-9a-f]{16}(:[0-9a-f]{16})+$', 'the pair')
    check.equal(start['preload'], SHIM, 'LD_PRELOAD')


def no_shim_mapped(check, rig, name='vm'):
    maps = rig.emulator(name).maps
    check.has(maps, os.path.basename(QEMU), "QEMU's mappings")
    check.lacks(maps, 'qemu-gmem.so', "QEMU's mappings")
    check.lacks(maps, 'libvirt-gmem.so', "QEMU's mappings")


# -- the stand-in itself ------------------------------------------------------------------------


def words_of(emulator, *arguments):
    """What an emulator prints about arguments that it refuses."""
    done = subprocess.run([emulator, '-S', '-nodefaults', '-display', 'none', '-machine', 'none',
                           *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
    return done.returncode, done.stdout.strip()


@suite.test('the stand-in refuses what its schema does not have, in the words of the real QEMU')
def _(check):
    with EmbedRig() as rig:
        emulators = {offers: StandIn(rig, offers, '/run/' + '-'.join(('q',) + offers))
                     for offers in (OBJECT, BARE_OBJECT, PROPERTY, X_PROPERTY)}
        for backend in ('{"qom-type":"memory-backend-memfd","id":"a","size":1048576,"%s":true}',
                        'memory-backend-memfd,id=a,size=1M,%s=on'):
            for offers, standin in emulators.items():
                for name in ('private', 'guest-memfd', 'x-guest-memfd', 'no-such'):
                    if name not in offers:
                        real = words_of(QEMU, '-object', backend % name)
                        check.equal(real[0], 1, "QEMU's exit status")
                        check.equal(words_of(rig.outer(standin.path), '-object', backend % name), real,
                                    'the words about %s of one with %s' % (name, offers))
        for value in ('{"qom-type":"sw-protected-vm","id":"lsec0"}', 'sw-protected-vm,id=lsec0'):
            check.equal(words_of(rig.outer(emulators[PROPERTY].path), '-object', value),
                        words_of(QEMU, '-object', value), 'the words about the object')
        status, words = words_of(
            rig.outer(emulators[PROPERTY].path), '-object',
            '{"qom-type":"memory-backend-memfd","id":"a","size":1048576,"guest-memfd":1}')
        check.equal(status, 1, 'exit status')
        check.has(words, "Invalid parameter type for 'guest-memfd', expected: boolean", 'the words')


# -- second row ---------------------------------------------------------------------------------


def property_row(kind, offers):
    @suite.test('%s: a fully-shared domain on a QEMU with %s' % (kind.name, offers[0]))
    def _(check):
        with ours(offers, kind=kind) as (rig, standin, client):
            client.define(private(rig))
            environment, argv = split_native(client.native(client.dumpxml('vm')))
            has_property(check, {'argv': argv, 'preload': environment.get('LD_PRELOAD')}, offers[0])
            check.equal(standin.starts(), [], 'starts before the start')

            client.start('vm')
            has_property(check, only_start(check, standin), offers[0])
            no_shim_mapped(check, rig)
            shows_private(check, client.dumpxml('vm'))
            check.matches(rig.read(rig.domain_log % 'vm'),
                          r'libvirt-gmem: QEMU is asked for guest RAM of %d bytes in 2 memory '
                          r'backends as guest_memfd, mode fully-shared, by %s\n' % (sum(SIZES), offers[0]), 'the log')
            # The stand-in has removed the property, so nothing else makes this domain's RAM guest_memfd.
            no_evidence(check, rig.emulator('vm'))
            client.destroy('vm')


for each in ((DaemonRig, PROPERTY), (DaemonRig, X_PROPERTY), (EmbedRig, PROPERTY),
             (EmbedRig, X_PROPERTY)):
    property_row(*each)


@suite.test("a QEMU with both properties gets the one that is no experiment")
def _(check):
    with ours(X_PROPERTY + PROPERTY) as (rig, standin, client):
        client.create(private(rig))
        start = only_start(check, standin)
        has_property(check, start, 'guest-memfd')
        check.lacks(' '.join(start['argv']), 'x-guest-memfd', 'the arguments')


@suite.test("the property is set on dimms, and on backends of the user's own arguments")
def _(check):
    with ours(PROPERTY) as (rig, standin, client):
        client.create(private(rig, dimm=128 * KIB))
        has_property(check, only_start(check, standin), 'guest-memfd', SIZES + [128 * MIB])
        client.destroy('vm')
        client.create(private(rig, slots=True, arguments=[
            '-object', 'memory-backend-memfd,id=mine,size=128M,share=on',
            '-device', 'pc-dimm,id=dimm-mine,memdev=mine']))
        found = backends(only_start(check, standin)['argv'])
        check.equal(found.pop('mine'), {'qom-type': 'memory-backend-memfd', 'id': 'mine',
                                        'size': '128M', 'share': 'on', 'guest-memfd': 'on'},
                    "the user's backend")
        check.equal([each['guest-memfd'] for each in found.values()], [True, True], 'the others')


# -- first row ----------------------------------------------------------------------------------


def object_row(kind, offers):
    bare = offers == BARE_OBJECT

    @suite.test('%s: a convertible domain on a QEMU with %s: refused before it starts, shown as '
                'native' % (kind.name, ' and '.join(offers)))
    def _(check):
        if kvm_extension(235) & 2:
            raise Skip('KVM of this host has software-protected VMs: see the next test')
        with kind(library()) as rig:
            standin = StandIn(rig, offers)
            client = rig.python()
            client.define(convertible(rig))
            has_object(check, split_native(client.native(client.dumpxml('vm')))[1], bare)
            for call in (lambda: client.start('vm'), lambda: client.create(convertible(rig, 'brief'))):
                error = check.refused(call, ERR_CONFIG_UNSUPPORTED)
                check.matches(error.message, r'^unsupported configuration: KVM of Linux \S+ has no '
                              r'KVM_X86_SW_PROTECTED_VM \(KVM_CAP_VM_TYPES = 0x[0-9a-f]+\); use Linux 6.12 or newer '
                              r'with CONFIG_KVM_SW_PROTECTED_VM$', 'the message')
            check.equal(standin.starts(), [], 'starts')

    @suite.test('%s: a convertible domain on a QEMU with %s, where KVM says it has the VM type'
                % (kind.name, ' and '.join(offers)))
    def _(check):
        need_kvm()
        with fake_host(kind, HAS_VM_TYPE) as rig:
            standin = StandIn(rig, offers)
            client = client_of(rig)
            client.define(convertible(rig))
            client.start('vm')
            start = only_start(check, standin)
            has_object(check, start['argv'], bare)
            check.equal(start['preload'], FAKE_KVM, 'LD_PRELOAD')
            check.equal(client.state('vm'), 'running', 'state')
            check.matches(rig.read(rig.domain_log % 'vm'), r'mode convertible, by sw-protected-vm\n',
                          'the log')
            client.destroy('vm')


for each in ((DaemonRig, OBJECT), (DaemonRig, BARE_OBJECT), (EmbedRig, OBJECT)):
    object_row(*each)


@suite.test('convertible on a QEMU without the object, where KVM says it has the VM type, and has not: '
            'the shim makes no other VM')
def _(check):
    if kvm_extension(235) & 2:
        raise Skip('KVM of this host has software-protected VMs')
    with fake_host(DaemonRig, HAS_VM_TYPE) as rig:
        standin = StandIn(rig, PROPERTY)
        client = rig.python()
        client.define(convertible(rig))
        check.refused(lambda: client.start('vm'))
        start = only_start(check, standin)
        pairs = carrier_values(start['argv'])
        check.equal(len(pairs), 1, 'number of pairs')
        check.true(pairs[0].startswith('version=1,mode=convertible,backends=2,ram=%d,' % sum(SIZES)),
                   'the pair: %s' % pairs)
        check.equal(start['preload'], ':'.join((FAKE_KVM, SHIM)), 'LD_PRELOAD')
        check.lacks(' '.join(start['argv']), 'confidential-guest-support', 'the arguments')
        check.has(rig.read(rig.domain_log % 'vm'), '\nqemu-gmem: KVM cannot create a software-protected VM: ',
                  "the domain's log")
        check.equal(client.state('vm'), 'shut off', 'state')
        check.equal(rig.emulators(), [], 'emulators')


# -- the host -----------------------------------------------------------------------------------


def refused_host(kind, kvm, flags):
    @suite.test('%s: a QEMU with guest-memfd on a host whose guest_memfd has flags %d: refused before '
                'it starts' % (kind.name, flags))
    def _(check):
        need_guest_memfd()
        message = (r'unsupported configuration: KVM of Linux \S+ has no guest_memfd that the host can '
                   r'map \(KVM_CAP_GUEST_MEMFD_FLAGS = 0x%x without 0x%x\); use Linux 6\.18 or newer$'
                   % (flags, 3 & ~flags))
        with fake_host(kind, kvm) as rig:
            standin = StandIn(rig, PROPERTY)
            client = client_of(rig)
            client.define(private(rig))
            for call in (lambda: client.start('vm'), lambda: client.create(private(rig, 'brief'))):
                error = check.refused(call, ERR_CONFIG_UNSUPPORTED)
                check.matches(error.message, '^' + message, 'the message')
            check.equal(client.state('vm'), 'shut off', 'state')
            if kind is DaemonRig:
                autostart(rig, client)
                log = rig.domain_log % 'vm'
                wait_for(lambda: 'use Linux 6.18 or newer' in rig.read(log), 'the autostart to fail')
                check.matches(rig.read(log), '(?m)^libvirt-gmem: ' + message, 'the log')
            check.equal(standin.starts(), [], 'starts')


def autostart(rig, client, prepare=lambda: None):
    client.call('vm', 'setAutostart', 1)
    client.close()
    rig.stop_daemon()
    rig.run(['sh', '-c', 'rm -f /run/libvirt/qemu/autostarted /var/log/libvirt/qemu/*'])
    prepare()
    rig.start_daemon()


for each in ((DaemonRig, NO_FLAGS, 0), (EmbedRig, NO_FLAGS, 0), (DaemonRig, NO_INIT_SHARED, 1)):
    refused_host(*each)


# -- replaced emulators -------------------------------------------------------------------------


@suite.test('QEMU is replaced under a defined domain: each start takes what the new one offers')
def _(check):
    with ours(PROPERTY) as (rig, standin, client):
        client.define(private(rig))
        dump = client.dumpxml('vm')
        guest = Guest(rig, SERIAL)
        for offers in (PROPERTY, NEITHER, X_PROPERTY, OBJECT, PROPERTY):
            standin.replace(offers)
            rig.write(SERIAL, '')
            client.start('vm')
            start = only_start(check, standin)
            check.equal(start['offers'], sorted(offers), 'the stand-in that was started')
            if offers in (NEITHER, OBJECT):
                has_shim(check, start)
                guest.wait_pass()
                evidence(check, rig.emulator('vm'), SIZES, guest.text)
            else:
                has_property(check, start, offers[0])
                no_shim_mapped(check, rig)
            client.destroy('vm')
            check.equal(client.dumpxml('vm'), dump, 'the XML')


def replaced_under_running(before, after):
    @suite.test('QEMU with %s is replaced by one with %s under a running domain, which is saved and '
                'restored' % (''.join(before) or 'neither', ''.join(after) or 'neither'))
    def _(check):
        with ours(before, stays=True) as (rig, standin, client):
            client.define(private(rig))
            client.start('vm')
            guest = Guest(rig, SERIAL)
            last, _ = guest.wait_pass()
            booted = guest.text
            standin.forget()
            standin.stays = bool(after)  # the shim's status belongs to the process
            standin.replace(after)
            # A daemon that is restarted reconnects to a QEMU whose file no longer exists.
            client.close()
            rig.stop_daemon()
            rig.start_daemon()
            client = rig.python()
            shows_private(check, client.dumpxml('vm'))
            for save, restore in ((lambda: client.save('vm', '/run/saved'),
                                   lambda: client.restore('/run/saved')),
                                  (lambda: client.call('vm', 'managedSave', 0),
                                   lambda: client.start('vm'))):
                save()
                rig.write(SERIAL, '')
                restore()
                last, _ = guest.wait_pass(last)
                check.lacks(guest.text, 'boot found', "the restored guest's serial port")
                start = only_start(check, standin)
                if after:
                    has_property(check, start, after[0])
                else:
                    has_shim(check, start)
                    evidence(check, rig.emulator('vm'), SIZES, booted)
                shows_private(check, client.dumpxml('vm'))
            client.destroy('vm')


for each in ((PROPERTY, NEITHER), (NEITHER, PROPERTY), (X_PROPERTY, PROPERTY)):
    replaced_under_running(*each)


@contextlib.contextmanager
def behind_script(check):
    """A private domain whose emulator is a script, and which has been started once."""
    with ours(PROPERTY, '/run/behind') as (rig, standin, client):
        rig.write('/run/emulator', '#!/bin/sh\nexec /run/behind "$@"\n', 0o755)
        client.define(private(rig))
        client.start('vm')
        has_property(check, only_start(check, standin), 'guest-memfd')
        client.destroy('vm')
        yield rig, standin, client


@suite.test('a wrapper script as emulator: the row is that of the QEMU behind it')
def _(check):
    with behind_script(check) as (rig, standin, client):
        check.equal(cache_files(rig), [], 'cache files of a script')
        # The script does not change with the QEMU that it starts. What is known about it is valid for seconds.
        for offers in (NEITHER, X_PROPERTY):
            standin.replace(offers)
            time.sleep(SCRIPT_SECONDS + 1)
            client.start('vm')
            start = only_start(check, standin)
            if offers:
                has_property(check, start, offers[0])
            else:
                has_shim(check, start)
            client.destroy('vm')


@suite.test('a wrapper script, the QEMU behind it replaced a moment ago: no QEMU on other memory')
def _(check):
    with behind_script(check) as (rig, standin, client):
        standin.replace(NEITHER)
        # Either the change is noticed, or QEMU refuses a property that it does not have.
        try:
            client.start('vm')
        except Exception as error:  # pylint: disable=broad-except
            check.has(str(error) + rig.read(rig.domain_log % 'vm'),
                      "Parameter 'guest-memfd' is unexpected", 'the error with the log')
            check.equal(client.state('vm'), 'shut off', 'state')
        else:
            check.true(bool(evidence_of(rig)), 'the domain runs on ordinary memory')


def evidence_of(rig):
    return [link for link in rig.emulator('vm').descriptors.values() if '[kvm-gmem]' in link]


# -- hotplug ------------------------------------------------------------------------------------

DIMM = ("<memory model='dimm'><target><size unit='KiB'>131072</size><node>0</node></target>"
        "</memory>")


@suite.test('a dimm is attached to a running domain: refused with a property, done with the shim')
def _(check):
    with ours(PROPERTY) as (rig, standin, client):
        client.define(private(rig, slots=True))
        for offers in (PROPERTY, X_PROPERTY):
            standin.replace(offers)
            client.start('vm')
            for flags in (1, 3):
                check.refused(
                    lambda flags=flags: client.call('vm', 'attachDeviceFlags', DIMM, flags),
                    ERR_OPERATION_UNSUPPORTED,
                    'Operation not supported: memory cannot be attached to a running domain with '
                    '<private/> whose emulator would allocate ordinary memory; shut the domain down and '
                    'start it again')
            check.lacks(client.dumpxml('vm'), 'dimm', 'dumpxml')
            check.lacks(client.dumpxml('vm', '--inactive'), 'dimm', 'dumpxml')
            client.destroy('vm')
        # It can be added to the configuration, and is there at the next start.
        client.call('vm', 'attachDeviceFlags', DIMM, 2)
        standin.forget()
        client.start('vm')
        has_property(check, only_start(check, standin), 'x-guest-memfd', SIZES + [128 * MIB])
        client.destroy('vm')
        client.call('vm', 'detachDeviceFlags', DIMM, 2)

        standin.replace(NEITHER)
        client.start('vm')
        client.call('vm', 'attachDeviceFlags', DIMM, 1)
        check.has(client.dumpxml('vm'), "<memory model='dimm'>", 'dumpxml')
        check.equal(len(evidence_of(rig)), 3, "number of QEMU's guest_memfds")


@suite.test('an NVDIMM is attached to a running domain: a file is never guest_memfd')
def _(check):
    need_guest_memfd()
    nvdimm = ("<memory model='nvdimm'><source><path>/run/nvdimm%d</path></source><target><size "
              "unit='KiB'>131072</size><node>0</node></target></memory>")
    with DaemonRig(library()) as rig:
        standin = StandIn(rig, PROPERTY)
        client = rig.python()
        rig.run(['truncate', '-s', '128M', '/run/nvdimm0', '/run/nvdimm1'])
        client.define(private(rig, slots=True, devices=nvdimm % 0))
        for offers in (PROPERTY, NEITHER):
            standin.replace(offers)
            client.start('vm')
            client.call('vm', 'attachDeviceFlags', nvdimm % 1, 1)
            xml = client.dumpxml('vm')
            check.has(xml, "<memory model='nvdimm' access='private'", 'dumpxml')
            check.equal(xml.count("<memory model='nvdimm'"), 2, 'NVDIMMs')
            shows_private(check, xml)
            files = [line.split() for line in rig.emulator('vm').maps.splitlines()
                     if '/nvdimm' in line]
            check.equal(sorted({line[1] for line in files}), ['rw-p'], "the files' mappings")
            check.equal(len({line[5] for line in files}), 2, 'files that are mapped')
            check.equal(len(evidence_of(rig)), 0 if offers else 2, "number of QEMU's guest_memfds")
            client.destroy('vm')


# -- what emulators are asked, and which answers are kept ---------------------------------------

ERR_INTERNAL_ERROR = 1
ERR_OPERATION_TIMEOUT = 68
PROBE_SECONDS = 20  # GMEM_PROBE_TIMEOUT_MS
SCRIPT_SECONDS = 5  # GMEM_CAPS_CACHE_SCRIPT_MS
CACHE = {'libvirtd': '/var/cache/libvirt/gmem', 'embed': '/run/e/cache/gmem'}
FLAGS = ['memory-backend-memfd.guest-memfd', 'memory-backend-memfd']
SAID = 'the emulator \'/run/emulator\' '


def cache_files(rig):
    path = rig.outer(CACHE[rig.name])
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def cache_file(check, rig):
    """The path of the only cache file, inside the sandbox; it is valid as it is."""
    names = cache_files(rig)
    check.equal(len(names), 1, 'number of cache files')
    path = os.path.join(CACHE[rig.name], names[0])
    status = os.lstat(rig.outer(path))
    check.equal((oct(status.st_mode), status.st_uid), ('0o100644', 0), 'mode and owner of the file')
    content = json.loads(rig.read(path))
    check.equal((content['emulator'], content['flags']), ('/run/emulator', FLAGS), 'what it says')
    return path


@suite.test('an emulator that does not answer: reported in time, nobody else waits, nothing is kept')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        standin = StandIn(rig, PROPERTY)
        standin.replace(PROPERTY, 'hangs')
        client, other = rig.python(), rig.python()
        client.define(private(rig))
        for attempt in (1, 2):
            asked = standin.asked()
            begin = time.monotonic()
            longest = 0
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                start = pool.submit(client.start, 'vm')
                while not start.done():
                    before = time.monotonic()
                    other.names()
                    longest = max(longest, time.monotonic() - before)
                    time.sleep(0.2)
            check.refused(start.result, ERR_OPERATION_TIMEOUT, 'Timed out during operation: ' + SAID +
                          'did not report in time what it offers')
            seconds = time.monotonic() - begin
            check.true(PROBE_SECONDS <= seconds < PROBE_SECONDS + 20,
                       'attempt %d took %.1f s' % (attempt, seconds))
            check.true(longest < PROBE_SECONDS / 2, 'another client waited for %.1f s' % longest)
            check.equal(standin.asked(), asked + 1, 'how often it was asked')
        check.equal(cache_files(rig), [], 'cache files')
        check.equal(standin.starts(), [], 'starts')
        check.equal([p.argv for p in rig.processes() if '-qmp' in p.argv], [], 'processes left')
        standin.replace(PROPERTY)
        client.start('vm')
        has_property(check, only_start(check, standin), 'guest-memfd')


@suite.test('an emulator that does not answer, autostarted: the child reports it in time')
def _(check):
    with ours(PROPERTY) as (rig, standin, client):
        standin.replace(PROPERTY, 'hangs')
        client.define(private(rig))
        autostart(rig, client)
        wait_for(lambda: 'libvirt-gmem: Timed out during operation: ' + SAID +
                 'did not report in time what it offers' in rig.read(rig.domain_log % 'vm'),
                 'the autostart to fail')
        check.equal(rig.python().state('vm'), 'shut off', 'state')
        check.equal(standin.starts(), [], 'starts')
        check.equal(cache_files(rig), [], 'cache files')


def misbehaves(kind, answer, message):
    @suite.test('%s: an emulator that %s when it is asked: reported, nothing is kept'
                % (kind.name, answer))
    def _(check):
        with ours(PROPERTY, kind=kind) as (rig, standin, client):
            standin.replace(PROPERTY, answer)
            client.define(private(rig))
            for number in (1, 2):
                error = check.refused(lambda: client.start('vm'), ERR_INTERNAL_ERROR)
                check.matches(error.message, '^internal error: ' + SAID + message + '$',
                              'the message')
                check.true(standin.asked() >= number, 'it was not asked again')
            check.equal(cache_files(rig), [], 'cache files')
            check.equal(standin.starts(), [], 'starts')
            standin.replace(PROPERTY)
            client.start('vm')
            has_property(check, only_start(check, standin), 'guest-memfd')
            cache_file(check, rig)


for each in (
        (DaemonRig, 'floods', r'printed more than 16777216 bytes when it was asked what it offers'),
        (DaemonRig, 'lies', r'did not answer query-qmp-schema with a list'),
        (DaemonRig, 'dies', r'was killed by signal 11 when it was asked what it offers: about to die'),
        (EmbedRig, 'lies', r'did not answer query-qmp-schema with a list')):
    misbehaves(*each)


def restart(rig, client, change=lambda: None):
    """Starts another daemon, which has nothing in memory."""
    client.close()
    rig.stop_daemon()
    change()
    rig.start_daemon()
    return rig.python()


def run_once(check, rig, client, standin):
    client.start('vm')
    has_property(check, only_start(check, standin), 'guest-memfd')
    client.destroy('vm')


@suite.test('what is found out is kept: over starts, over daemons, until the emulator changes')
def _(check):
    with ours(PROPERTY) as (rig, standin, client):
        client.define(private(rig))
        run_once(check, rig, client, standin)
        run_once(check, rig, client, standin)
        path = cache_file(check, rig)
        client = restart(rig, client)
        run_once(check, rig, client, standin)
        check.equal(standin.asked(), 1, 'how often it was asked')
        check.equal(cache_file(check, rig), path, 'the cache file')
        standin.replace(PROPERTY)
        run_once(check, rig, client, standin)
        check.equal(standin.asked(), 2, 'how often it was asked')


@suite.test('embedded: what is found out is kept for the next client')
def _(check):
    need_guest_memfd()
    with EmbedRig(library()) as rig:
        standin = StandIn(rig, PROPERTY)
        for _ in range(2):
            client = rig.python()
            client.create(private(rig))
            has_property(check, only_start(check, standin), 'guest-memfd')
            client.destroy('vm')
            client.close()
            cache_file(check, rig)
        check.equal(standin.asked(), 1, 'how often it was asked')


def lie(text):
    content = json.loads(text)
    content['flags'] = ['memory-backend-memfd.x-guest-memfd', 'memory-backend-memfd']
    return json.dumps(content, separators=(',', ':'))


@suite.test('a cache file is believed where nobody but root can have written it')
def _(check):
    with ours(PROPERTY) as (rig, standin, client):
        client.define(private(rig))
        run_once(check, rig, client, standin)
        path = cache_file(check, rig)
        client = restart(rig, client, lambda: rig.write(path, lie(rig.read(path))))
        # The next test only makes sense because a false answer that belongs to root is believed.
        error = check.refused(lambda: client.start('vm'))
        check.has(error.message + rig.read(rig.domain_log % 'vm'),
                  "Parameter 'x-guest-memfd' is unexpected", 'the error with the log')
        check.equal(standin.asked(), 1, 'how often it was asked')


def damage(what, change, lies=True):
    """@change: is called with the path outside; @lies: what the file says is also wrong."""
    @suite.test('a cache file %s is ignored and replaced' % what)
    def _(check):
        need_guest_memfd()
        rig, client, standin = Shared.rig()
        run_once(check, rig, client, standin)
        path = cache_file(check, rig)
        asked = standin.asked()

        def damage_it():
            if lies:
                rig.write(path, lie(rig.read(path)))
            change(rig.outer(path))
        Shared.client = client = restart(rig, client, damage_it)
        run_once(check, rig, client, standin)
        check.equal(standin.asked(), asked + 1, 'how often it was asked')
        check.equal(cache_file(check, rig), path, 'the cache file')


class Shared:
    """One daemon for all damages."""

    _rig = client = _standin = None

    @classmethod
    def rig(cls):
        if cls._rig is None:
            cls._rig = DaemonRig(library())
            cls._standin = StandIn(cls._rig, PROPERTY)
            cls.client = cls._rig.python()
            cls.client.define(private(cls._rig))
        return cls._rig, cls.client, cls._standin


def rewrite(function):
    def change(path):
        with open(path, encoding='utf-8') as file:
            text = function(file.read())
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
    return change


def replace_by_link(path):
    os.rename(path, path + '.target')
    os.symlink(path + '.target', path)
    # It must be the only file when it is replaced.
    os.rename(path + '.target', os.path.join(os.path.dirname(os.path.dirname(path)), 'target'))
    os.unlink(path)
    os.symlink('../target', path)


for each in (
        ('that others may write', lambda path: os.chmod(path, 0o666)),
        ('that its group may write', lambda path: os.chmod(path, 0o664)),
        ('that belongs to somebody else', lambda path: os.chown(path, 65534, 65534)),
        ('that is a symbolic link', replace_by_link),
        ('of another kernel', rewrite(lambda text: text.replace('"kernel":"', '"kernel":"0.'))),
        ('of another version of this library',
         rewrite(lambda text: text.replace('"writer":"', '"writer":"0.'))),
        ('of another emulator', rewrite(lambda text: text.replace('/run/emu', '/run/Emu'))),
        ('that ends early', lambda path: os.truncate(path, 100)),
        ('that is empty', lambda path: os.truncate(path, 0)),
        ('with garbage in it', rewrite(lambda text: text[:40] + '\x01\x02' + text[40:]))):
    damage(*each)


@suite.test('a cache directory that others may write is not used')
def _(check):
    need_guest_memfd()
    rig, client, standin = Shared.rig()
    run_once(check, rig, client, standin)
    path = cache_file(check, rig)
    asked = standin.asked()
    wrong = lie(rig.read(path))

    def damage_it():
        rig.write(path, wrong)
        os.chmod(rig.outer(CACHE['libvirtd']), 0o777)
    client = restart(rig, client, damage_it)
    run_once(check, rig, client, standin)
    check.equal(standin.asked(), asked + 1, 'how often it was asked')
    check.equal(rig.read(path), wrong, 'the file in that directory')

    def mend_it():
        os.unlink(rig.outer(path))
        os.chmod(rig.outer(CACHE['libvirtd']), 0o755)
    Shared.client = client = restart(rig, client, mend_it)
    run_once(check, rig, client, standin)
    cache_file(check, rig)


@suite.test('two daemons at once on one cache directory')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as one:
        def share(rig):
            os.makedirs(rig.outer(CACHE['libvirtd']))
            os.makedirs(one.outer(CACHE['libvirtd']), exist_ok=True)
            mount = rig.run(['mount', '--bind', one.outer(CACHE['libvirtd']), CACHE['libvirtd']])
            if mount.returncode:
                raise Skip('no mounts can be made here: ' + mount.stderr.strip())
            # The key contains the inode and the times, so both have to see the same file.
            StandIn(one, PROPERTY)
            rig.write('/run/emulator', '')
            mount = rig.run(['mount', '--bind', one.outer('/run/emulator'), '/run/emulator'])
            check.equal(mount.stderr, '', 'what mount says')
        with DaemonRig(library(), prepare=share) as two:
            clients = [(rig, rig.python()) for rig in (one, two)]
            for rig, client in clients:
                client.define(private(rig))
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                for _ in range(5):
                    shutil.rmtree(one.outer(CACHE['libvirtd']) + '/', ignore_errors=True)
                    os.makedirs(one.outer(CACHE['libvirtd']), exist_ok=True)
                    os.utime(one.outer('/run/emulator'))  # both have to ask again
                    for job in [pool.submit(client.start, 'vm') for _, client in clients]:
                        job.result()
                    for rig, client in clients:
                        starts = [json.loads(line) for line in
                                  rig.read('/run/emulator.started').splitlines()]
                        has_property(check, starts[-1], 'guest-memfd')
                        client.destroy('vm')
                    cache_file(check, one)


@suite.test('autostart with no cache: the child asks by itself, and writes nothing')
def _(check):
    with ours(PROPERTY) as (rig, standin, client):
        client.define(private(rig))
        run_once(check, rig, client, standin)
        asked = standin.asked()
        autostart(rig, client, lambda: shutil.rmtree(rig.outer(CACHE['libvirtd'])))
        client = rig.python()
        wait_for(lambda: client.state('vm') == 'running', 'the autostarted domain')
        has_property(check, only_start(check, standin), 'guest-memfd')
        no_shim_mapped(check, rig)
        check.equal(standin.asked(), asked + 1, 'how often it was asked')
        check.equal(cache_files(rig), [], 'cache files')
        client.destroy('vm')
        # With the file on disk, nobody has to be asked.
        run_once(check, rig, client, standin)
        cache_file(check, rig)
        asked = standin.asked()
        autostart(rig, client)
        client = rig.python()
        wait_for(lambda: client.state('vm') == 'running', 'the autostarted domain')
        has_property(check, only_start(check, standin), 'guest-memfd')
        check.equal(standin.asked(), asked, 'how often it was asked')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
