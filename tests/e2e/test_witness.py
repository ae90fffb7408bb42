#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The running QEMU decides whether a DIMM can be attached to a domain."""

import os

from gmem_calls import ERR_OPERATION_UNSUPPORTED
from gmem_evidence import guest_memfds
from gmem_rig import (KIB, MIB, DaemonRig, EmbedRig, Suite, domain, need_guest_memfd, need_root)
from gmem_standin import NEITHER, X_PROPERTY, StandIn

suite = Suite()

EMULATOR = '/run/emulator'
SIZE = 40 * KIB
DIMM = ("<memory model='dimm'><target><size unit='KiB'>%d</size><node>0</node></target></memory>"
        % (128 * KIB))
LIVE, CONFIG = 1, 2
# Calls that act on, or continue, a running guest's memory.
REMOTE = 'qemu+tcp://127.0.0.2/system'
MEMORY_CALLS = (
    ('save', '/run/x'), ('saveFlags', '/run/x', None, 0), ('managedSave', 0),
    ('snapshotCreateXML', '<domainsnapshot/>', 0), ('coreDump', '/run/x', 0),
    ('coreDumpWithFormat', '/run/x', 0, 0), ('memoryPeek', 0, 8, 2), ('startDirtyRateCalc', 1, 0),
    ('migrateToURI', REMOTE, 3, None, 0), ('migrateToURI2', REMOTE, None, None, 3, None, 0),
    ('migrateToURI3', REMOTE, {}, 3), ('migrateStartPostCopy', 0), ('setMemory', SIZE))
REFUSED = 'Operation not supported: memory cannot be attached to a running domain with <private/>'
ORDINARY = REFUSED + (' whose emulator would allocate ordinary memory; shut the domain down and start it '
                      'again')
OLDER = REFUSED + (': its emulator was started by an older libvirt-gmem, or by a wrapper that waits for '
                   'it, and does not report what its memory is; shut the domain down and start it again')
PROPERTY = REFUSED + (' whose emulator has guest_memfd of its own, which libvirt does not request for '
                      'attached memory; add the memory to the domain while it is shut off')
UNKNOWN = ', as it cannot be determined whether its emulator has guest_memfd: '

# Reports about itself what a shim reports, and holds the file with the number, like libvirt's child.
IMPOSTOR = '''
import ctypes, fcntl, os, struct, sys
os.unlink(sys.argv[1])
file = open(sys.argv[1], 'w')
fcntl.lockf(file, fcntl.LOCK_EX, 1)
file.write(str(os.getpid()))
file.flush()
status = os.memfd_create('libvirt-gmem-status', os.MFD_ALLOW_SEALING)
os.write(status, struct.pack('8sII6QII7Q', b'GMEMSTAT', 2, 0, *[0] * 6, 2, 1, *[0] * 7))
fcntl.fcntl(status, 1033, 7)
if len(sys.argv) > 2:
    os.setuid(65534)
print('ready', flush=True)
sys.stdin.read()
'''


def private(**more):
    return domain('vm', cells=[SIZE], slots=True, emulator=EMULATOR, **more)


def refused(check, client, message=None, part=None):
    xml = [client.dumpxml('vm', *flags) for flags in ((), ('--inactive',))]
    for flags in (LIVE, LIVE | CONFIG, 0):
        check.refused(lambda f=flags: client.call('vm', 'attachDeviceFlags', DIMM, f),
                      ERR_OPERATION_UNSUPPORTED, message, part)
    check.equal([client.dumpxml('vm', *flags) for flags in ((), ('--inactive',))], xml, 'dumpxml')


def attached(check, rig, client, count):
    client.call('vm', 'attachDeviceFlags', DIMM, LIVE)
    check.equal(sorted(m.size for m in guest_memfds(rig.emulator('vm').pid)),
                [SIZE * KIB] + [128 * MIB] * count, "sizes of QEMU's guest_memfds")


def survives(kind, restart):
    @suite.test('%s: a dimm after the emulator was replaced and deleted: guest_memfd' % kind.name)
    def _(check):
        need_guest_memfd()
        with kind(lambda rig: (rig.tree(),)) as rig:
            stand = StandIn(rig, NEITHER, EMULATOR)
            client = rig.python()
            client.define(private())
            client.start('vm')
            attached(check, rig, client, 1)
            stand.replace(X_PROPERTY)
            attached(check, rig, client, 2)
            os.unlink(rig.outer(EMULATOR))
            if restart:
                client.close()
                rig.stop_daemon()
                rig.start_daemon()
                client = rig.python()
            attached(check, rig, client, 3)
            client.destroy('vm')


survives(DaemonRig, True)
survives(EmbedRig, False)


@suite.test('a QEMU with a property of its own: no dimm, whatever is at its path later')
def _(check):
    need_guest_memfd()
    with DaemonRig(lambda rig: (rig.tree(),)) as rig:
        stand = StandIn(rig, X_PROPERTY, EMULATOR)
        client = rig.python()
        client.define(private())
        client.start('vm')
        refused(check, client, ORDINARY)  # the stand-in's QEMU does not use it
        stand.replace(NEITHER)
        refused(check, client, ORDINARY)
        os.unlink(rig.outer(EMULATOR))
        refused(check, client, ORDINARY)
        client.close()
        rig.stop_daemon()
        rig.start_daemon()
        client = rig.python()
        refused(check, client, ORDINARY)
        client.destroy('vm')


def waiting(offers, message, what):
    @suite.test('a wrapper that waits for its QEMU, ' + what)
    def _(check):
        need_guest_memfd()
        with DaemonRig(lambda rig: (rig.tree(),)) as rig:
            StandIn(rig, offers, '/run/behind')
            rig.write(EMULATOR, '#!/bin/sh\n/run/behind "$@"\nexit $?\n', 0o755)
            client = rig.python()
            client.define(private())
            client.start('vm')
            refused(check, client, message)
            client.destroy('vm')


waiting(X_PROPERTY, PROPERTY, 'which has a property of its own: its command line says so')
waiting(NEITHER, OLDER, 'or an older shim: it does not tell')


def asks(check, client, part):
    """Calls that depend on a running guest's memory are refused."""
    xml = [client.dumpxml('vm', *flags) for flags in ((), ('--inactive',))]
    part = "refusing what depends on the memory of the running domain 'vm'" + part
    for method, *arguments in MEMORY_CALLS:
        check.refused(lambda m=method, a=arguments: client.call('vm', m, *a),
                      ERR_OPERATION_UNSUPPORTED, part=part)
    check.equal(client.call('vm', 'hasManagedSaveImage', 0), 0, 'managed save images')
    check.equal(client.call('vm', 'snapshotListNames'), [], 'snapshots')
    check.equal([client.dumpxml('vm', *flags) for flags in ((), ('--inactive',))], xml, 'dumpxml')


@suite.test('what a running guest is saved, migrated or dumped as is asked of it')
def _(check):
    need_guest_memfd()
    with DaemonRig(lambda rig: (rig.tree(),)) as rig:
        StandIn(rig, X_PROPERTY, EMULATOR)
        client = rig.python()
        client.define(private())
        client.start('vm')
        asks(check, client, ': its emulator has no guest_memfd, which <private/> asks for; shut the domain down '
             'and start it again')
        client.destroy('vm')
        StandIn(rig, X_PROPERTY, EMULATOR, stays=True)
        client.start('vm')
        client.save('vm', '/run/x')  # its command line has the property
        client.define(domain('vm', cells=[SIZE]))
        client.start('vm')
        path = '/run/libvirt/qemu/vm.pid'
        number = rig.read(path)
        rig.write(path, '1')
        asks(check, client, UNKNOWN + "the process whose number is in '%s' does not hold that file" % path)
        with open(rig.outer(path), 'w', encoding='ascii') as file:
            file.write(number)
        os.rename(rig.outer(path), rig.outer(path) + '.old')
        asks(check, client, UNKNOWN + "cannot read '%s': " % path)
        os.rename(rig.outer(path) + '.old', rig.outer(path))
        client.call('vm', 'managedSave', 0)
        client.start('vm')
        client.destroy('vm')


@suite.test('another process behind the file with the number, or none: no dimm')
def _(check):
    need_guest_memfd()
    with DaemonRig(lambda rig: (rig.tree(),)) as rig:
        client = rig.python()
        client.define(domain('vm', cells=[SIZE], slots=True))
        client.start('vm')
        path = '/run/libvirt/qemu/vm.pid'
        number = rig.read(path)
        for text in ('1', '', 'x', '-1', '0', '999999999999', '4194304', number + '0'):
            with open(rig.outer(path), 'w', encoding='ascii') as file:
                file.write(text)
            refused(check, client, REFUSED + ": the process whose number is in '%s' does not hold that "
                    'file' % path)
        with open(rig.outer(path), 'w', encoding='ascii') as file:
            file.write(number)
        attached(check, rig, client, 1)
        os.rename(rig.outer(path), rig.outer(path) + '.old')
        refused_now = "cannot read '%s': " % path
        check.refused(lambda: client.call('vm', 'attachDeviceFlags', DIMM, LIVE),
                      ERR_OPERATION_UNSUPPORTED, part=refused_now)
        for make in (os.mkfifo, os.mkdir, lambda name: os.symlink(name + '.old', name)):
            make(rig.outer(path))
            check.refused(lambda: client.call('vm', 'attachDeviceFlags', DIMM, LIVE),
                          ERR_OPERATION_UNSUPPORTED, part=path)
            if make is os.mkdir:
                os.rmdir(rig.outer(path))
            else:
                os.unlink(rig.outer(path))
        os.rename(rig.outer(path) + '.old', rig.outer(path))
        attached(check, rig, client, 2)
        # The process holds the file, and reports what a shim reports.
        with rig.popen(['/usr/bin/python3', '-c', IMPOSTOR, '/run/libvirt/qemu/vm.pid'],
                       stdin=-1, stdout=-1, env=rig.environment()) as impostor:
            check.equal(impostor.stdout.readline(), b'ready\n', 'the impostor')
            refused(check, client, part='does not have the UUID of the domain')
            impostor.stdin.close()
        # It has the command line, too, but got the status from another process.
        with rig.popen(['/usr/bin/python3', '-c', IMPOSTOR, '/run/libvirt/qemu/vm.pid', '-uuid',
                        client.call('vm', 'UUIDString')], stdin=-1, stdout=-1,
                       env=rig.environment()) as impostor:
            check.equal(impostor.stdout.readline(), b'ready\n', 'the impostor')
            refused(check, client, part='was not made by that process')
            impostor.stdin.close()
        client.destroy('vm')


@suite.test('QEMU of another user than the daemon')
def _(check):
    need_guest_memfd()
    with DaemonRig(lambda rig: (rig.tree(),), user='nobody', group='kvm') as rig:
        rig.open_kvm()
        client = rig.python()
        client.define(domain('vm', cells=[SIZE], slots=True))
        client.start('vm')
        attached(check, rig, client, 1)
        client.destroy('vm')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
