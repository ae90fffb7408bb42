#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What may not be done to a running convertible domain is refused, with code and full message.

No KVM of a distribution runs such a domain. So it is defined with the library, started by a stock
libvirtd on an emulator that drops the carrier pair, and then found running by a libvirtd with the
library: its RAM is ordinary memory, but to libvirt and to the library it is a convertible domain, and
that is all that these refusals look at."""

from gmem_calls import ERR_OPERATION_INVALID, ERR_OPERATION_UNSUPPORTED
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, KIB, QEMU, DaemonRig, Suite, domain, library, need_kvm,
                      need_root)

suite = Suite()

EMULATOR = '/run/emulator'
EMULATOR_SCRIPT = '''\
#!/bin/bash
words=()
while [ $# -gt 0 ]; do
  if [ "$1" = -x-libvirt-gmem ]; then shift 2; else words+=("$1"); shift; fi
done
exec %s "${words[@]}"
''' % QEMU

ELEMENT = "<launchSecurity type='sw-protected'/>"
LIVE, CONFIG, LIVE_AND_P2P = 1, 2, 3
PHYSICAL = 2
DIMM = ("<memory model='dimm'><target><size unit='MiB'>64</size><node>0</node></target></memory>")
HOSTDEV = ("<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0x0000' "
           "bus='0x7f' slot='0x1f' function='0x7'/></source></hostdev>")
VIRTIO_MEM = ("<memory model='virtio-mem'><target><size unit='MiB'>64</size><node>0</node>"
              "<block unit='MiB'>2</block><requested unit='MiB'>0</requested></target></memory>")


def unreadable(operation):
    return ('Operation not supported: %s is not possible for a domain with %s: the host cannot read '
            "the guest's private pages" % (operation, ELEMENT))


NO_BALLOON = ('Operation not supported: a domain with %s cannot be ballooned: its current memory stays '
              'its memory' % ELEMENT)
NO_HOTPLUG = ('Operation not supported: memory cannot be attached to a running domain with ' + ELEMENT)

# method of the domain, its arguments; what is said.
REFUSED = [
    ('save', ['/run/saved'], unreadable('saving')),
    ('saveFlags', ['/run/saved', None, 0], unreadable('saving')),
    ('managedSave', [0], unreadable('saving')),
    ('snapshotCreateXML', ['<domainsnapshot/>', 0], unreadable('a snapshot with memory')),
    ('snapshotCreateXML', ["<domainsnapshot><memory snapshot='external' file='/run/m'/>"
                           '</domainsnapshot>', 0], unreadable('a snapshot with memory')),
    ('coreDump', ['/run/core', 0], unreadable('a memory dump')),
    ('coreDumpWithFormat', ['/run/core', 0, 16], unreadable('a memory dump')),
    ('memoryPeek', [0x100000, 16, PHYSICAL], unreadable('a look into memory')),
    ('migrateToURI', ['qemu+tcp://127.0.0.1:1/system', LIVE_AND_P2P, None, 0],
     unreadable('migration')),
    ('setMemory', [32 * KIB], NO_BALLOON),
    ('setMemoryFlags', [32 * KIB, LIVE], NO_BALLOON),
    ('attachDeviceFlags', [DIMM, LIVE], NO_HOTPLUG),
    ('attachDevice', [DIMM], NO_HOTPLUG),
]
VIRSH = [
    (['save', 'vm', '/run/saved'], unreadable('saving')),
    (['managedsave', 'vm'], unreadable('saving')),
    (['snapshot-create', 'vm'], unreadable('a snapshot with memory')),
    (['snapshot-create-as', 'vm', '--memspec', '/run/m'], unreadable('a snapshot with memory')),
    (['dump', 'vm', '/run/core'], unreadable('a memory dump')),
    (['dump', 'vm', '/run/core', '--memory-only'], unreadable('a memory dump')),
    (['migrate', 'vm', 'qemu+tcp://127.0.0.1:1/system', '--live', '--p2p'],
     unreadable('migration')),
    (['setmem', 'vm', '32M', '--live'], NO_BALLOON),
]


class Shared:
    rig = None
    client = None


def restart(rig, preload):
    rig.stop_daemon()
    rig.preload = tuple(preload)
    rig.start_daemon()


def convertible():
    """The rig, its libvirtd with the library again, and a client of it; 'vm' is running."""
    need_kvm()
    if Shared.rig is None:
        rig = DaemonRig(library())
        rig.write(EMULATOR, EMULATOR_SCRIPT, 0o755)
        client = rig.virsh()
        client.define(domain('vm', private=False, launch='sw-protected', cells=[64 * KIB],
                             slots=True, emulator=EMULATOR))
        restart(rig, ())
        client.start('vm')
        restart(rig, library())
        Shared.rig, Shared.client = rig, rig.python()
    return Shared.rig, Shared.client


@suite.test('a convertible domain that runs is shown as one')
def _(check):
    rig, client = convertible()
    check.equal(client.state('vm'), 'running', 'state')
    check.equal(rig.emulator('vm').argv.count('-x-libvirt-gmem'), 0, 'pairs in argv')
    for options in ((), ('--inactive',)):
        shown = client.dumpxml('vm', *options)
        check.has(shown, ELEMENT, 'dumpxml')
        check.has(shown, '<private/>', 'dumpxml')
        check.lacks(shown, 'x-libvirt-gmem', 'dumpxml')


@suite.test('what reads or moves memory, balloons or adds memory is refused')
def _(check):
    _, client = convertible()
    for method, arguments, message in REFUSED:
        check.refused(lambda m=method, a=arguments: client.call('vm', m, *a),
                      ERR_OPERATION_UNSUPPORTED, message)
    check.equal(client.state('vm'), 'running', 'state')


@suite.test('virsh says the same')
def _(check):
    rig, client = convertible()
    for arguments, message in VIRSH:
        check.refused(lambda a=arguments: rig.virsh().virsh(*a), None, part=message)
    check.equal(client.state('vm'), 'running', 'state')


@suite.test('rules of define hold for what is attached')
def _(check):
    _, client = convertible()
    for device, message in (
            (HOSTDEV, "%s cannot be used with <hostdev type='pci'>: its DMA needs pinned shared "
                      'pages; use an emulated or virtio device'),
            (VIRTIO_MEM, "%s cannot be used with <memory model='virtio-mem'>; use <memory "
                         "model='dimm'>")):
        flags = (CONFIG,) if device is VIRTIO_MEM else (LIVE, CONFIG, LIVE | CONFIG)
        for each in flags:
            check.refused(lambda d=device, f=each: client.call('vm', 'attachDeviceFlags', d, f),
                          ERR_CONFIG_UNSUPPORTED,
                          'unsupported configuration: ' + message % ELEMENT)


@suite.test('what does not look at memory works, and a disk-only snapshot is no snapshot with memory')
def _(check):
    _, client = convertible()
    client.call('vm', 'suspend')
    check.equal(client.state('vm'), 'paused', 'state')
    client.call('vm', 'resume')
    client.reset('vm')
    # The memory that it has anyway is none of our business; this domain has no balloon.
    error = check.refused(lambda: client.call('vm', 'setMemoryFlags', 64 * KIB, LIVE),
                          ERR_OPERATION_INVALID)
    check.lacks(error.message, ELEMENT, 'the error of setmem to all memory')
    error = check.refused(lambda: client.call('vm', 'snapshotCreateXML', '<domainsnapshot/>', 16))
    check.lacks(error.message, ELEMENT, 'the error of a snapshot without disks')


@suite.test('it starts again only where the host can do it')
def _(check):
    rig, client = convertible()
    client.destroy('vm')
    error = check.refused(lambda: client.start('vm'), ERR_CONFIG_UNSUPPORTED)
    check.true(error is not None, 'no error')
    check.equal(rig.emulator('vm'), None, 'emulator')
    client.undefine('vm')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
