#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A running convertible domain: what its log says, and what may not be done to it, with code and full
message.

Few hosts can run such a domain. So KVM is made to report the VM type, and QEMU is a stand-in that has the object
(../standin/standin.py). The domain's RAM is ordinary memory, but everything before QEMU is real, and logs and
refusals only depend on that."""

import os
import re

from gmem_calls import ERR_OPERATION_INVALID, ERR_OPERATION_UNSUPPORTED
from gmem_checks import Guest, shows_private
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, ERR_XML_ERROR, KIB, DaemonRig, EmbedRig, Suite, domain,
                      kvm_extension, library, need_kvm, need_root)
from gmem_standin import HAS_VM_TYPE, OBJECT, StandIn, client_of, fake_host

suite = Suite()

ELEMENT = "<launchSecurity type='sw-protected'/>"
SERIAL = '/run/serial'
RAM = 64 * KIB
LIVE, CONFIG, LIVE_AND_P2P = 1, 2, 3
MEMORY_ONLY, DISK_ONLY, PHYSICAL = 16, 16, 2
REMOTE = 'qemu+tcp://127.0.0.1:1/system'
DIMM = "<memory model='dimm'><target><size unit='MiB'>64</size><node>0</node></target></memory>"
HOSTDEV = ("<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0x0000' "
           "bus='0x7f' slot='0x1f' function='0x7'/></source></hostdev>")
VIRTIO_MEM = ("<memory model='virtio-mem'><target><size unit='MiB'>64</size><node>0</node>"
              "<block unit='MiB'>2</block><requested unit='MiB'>0</requested></target></memory>")
WATCHDOG = "<watchdog model='i6300esb' action='dump'/>"
SHMEM = "<shmem name='a'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>"
VIRTIOFS = ("<filesystem type='mount'><driver type='virtiofs'/><source socket='/run/nobody'/>"
            "<target dir='a'/></filesystem>")


def unreadable(operation):
    return ('Operation not supported: %s is not possible for a domain with %s: the host cannot read '
            "the guest's private pages" % (operation, ELEMENT))


NO_BALLOON = ('Operation not supported: memory ballooning is not supported for a domain with %s: current '
              'memory cannot be set below maximum memory' % ELEMENT)
NO_CRASH_DUMP = ("Operation not supported: a domain with %s cannot be dumped when it crashes: the host "
                 "cannot read the guest's private pages; use an action without a dump" % ELEMENT)
CRASH, COREDUMP_DESTROY, COREDUMP_RESTART = 2, 4, 5
NO_HOTPLUG = ('Operation not supported: memory cannot be attached to a running domain with ' + ELEMENT +
              '; add it to the domain while it is shut off')

# A method of the domain, its arguments, and the error. An argument that is XML is the domain's own.
XML = object()
REFUSED = [
    ('save', ['/run/x'], unreadable('saving')),
    ('saveFlags', ['/run/x', None, 0], unreadable('saving')),
    ('saveFlags', ['/run/x', XML, 0], unreadable('saving')),
    ('saveParams', [{'file': '/run/x'}, 0], unreadable('saving')),
    ('saveParams', [{'file': '/run/x', 'dxml': XML}, 0], unreadable('saving')),
    ('managedSave', [0], unreadable('saving')),
    ('snapshotCreateXML', ['<domainsnapshot/>', 0], unreadable('a snapshot with memory')),
    ('snapshotCreateXML', ["<domainsnapshot><memory snapshot='external' file='/run/x'/>"
                           '</domainsnapshot>', 0], unreadable('a snapshot with memory')),
    ('coreDump', ['/run/x', 0], unreadable('a memory dump')),
    ('coreDump', ['/run/x', MEMORY_ONLY], unreadable('a memory dump')),
    ('coreDumpWithFormat', ['/run/x', 0, MEMORY_ONLY], unreadable('a memory dump')),
    ('memoryPeek', [0x100000, 16, PHYSICAL], unreadable('reading guest memory')),
    ('startDirtyRateCalc', [1, 0], unreadable('measuring the rate of changed memory')),
    ('migrateToURI', [REMOTE, LIVE_AND_P2P, None, 0], unreadable('migration')),
    ('migrateToURI2', [REMOTE, None, None, LIVE_AND_P2P, None, 0], unreadable('migration')),
    ('migrateToURI3', [REMOTE, {}, LIVE_AND_P2P], unreadable('migration')),
    ('setMemory', [32 * KIB], NO_BALLOON),
    ('setMemoryFlags', [32 * KIB, 0], NO_BALLOON),
    ('setMemoryFlags', [32 * KIB, LIVE], NO_BALLOON),
    ('setMemoryFlags', [32 * KIB, CONFIG], NO_BALLOON),
    ('setMemoryFlags', [32 * KIB, LIVE | CONFIG], NO_BALLOON),
    ('setLifecycleAction', [CRASH, COREDUMP_DESTROY, 0], NO_CRASH_DUMP),
    ('setLifecycleAction', [CRASH, COREDUMP_RESTART, LIVE], NO_CRASH_DUMP),
    ('setLifecycleAction', [CRASH, COREDUMP_DESTROY, CONFIG], NO_CRASH_DUMP),
    ('attachDevice', [DIMM], NO_HOTPLUG),
    ('attachDevice', ["<?xml version='1.0'?>\n<!-- a dimm -->\n" + DIMM], NO_HOTPLUG),
    ('attachDeviceFlags', [DIMM, LIVE], NO_HOTPLUG),
    ('attachDeviceFlags', [DIMM, 0], NO_HOTPLUG),
    ('attachDeviceFlags', [DIMM, LIVE | CONFIG], NO_HOTPLUG),
]
VIRSH = [
    (['save', 'vm', '/run/x'], unreadable('saving')),
    (['managedsave', 'vm'], unreadable('saving')),
    (['snapshot-create', 'vm'], unreadable('a snapshot with memory')),
    (['snapshot-create-as', 'vm', '--memspec', '/run/x'], unreadable('a snapshot with memory')),
    (['dump', 'vm', '/run/x'], unreadable('a memory dump')),
    (['dump', 'vm', '/run/x', '--memory-only'], unreadable('a memory dump')),
    (['migrate', 'vm', REMOTE, '--live', '--p2p'], unreadable('migration')),
    (['setmem', 'vm', '32M', '--live'], NO_BALLOON),
]
NOTES = [
    "the kernel's interface to software-protected VMs is not stable: they are for development and "
    'testing',
    'guest RAM of %d KiB can take up to %d KiB of host memory: a shared and a private half'
    % (RAM, 2 * RAM),
]


def convertible(name, **options):
    return domain(name, private=False, launch='sw-protected', cells=[RAM], slots=True,
                  emulator='/run/emulator', **options)


def running(kind):
    it = {}

    def test(name):
        return suite.test('%s: %s' % (kind.name, name))

    def rig_and_client():
        need_kvm()
        if 'rig' not in it:
            it['rig'] = rig = fake_host(kind, HAS_VM_TYPE)
            StandIn(rig, OBJECT)
            it['client'] = client_of(rig)
            it['client'].define(convertible('vm', boot=rig.guest_image('vm'), serial=SERIAL))
            it['client'].start('vm')
            it['emulator'] = rig.emulator('vm').pid
            it['xml'] = it['client'].dumpxml('vm')
        return it['rig'], it['client']

    @test('a convertible domain that runs is shown as one')
    def _(check):
        rig, client = rig_and_client()
        check.equal(client.state('vm'), 'running', 'state')
        check.equal(rig.emulator('vm').argv.count('-x-libvirt-gmem'), 0, 'pairs in argv')
        for options in ((), ('--inactive',), ('--migratable', '--security-info')):
            shown = client.dumpxml('vm', *options)
            check.has(shown, ELEMENT, 'dumpxml')
            shows_private(check, shown)
            check.lacks(shown, 'x-libvirt-gmem', 'dumpxml')

    @test("the domain's log says what an administrator should know, and so does the daemon's")
    def _(check):
        rig, _ = rig_and_client()
        log = rig.read(rig.domain_log % 'vm')
        said = [line.partition(': ')[2] for line in log.splitlines()
                if line.startswith('libvirt-gmem: ')]
        check.equal(said, ['QEMU is asked for guest RAM of %d bytes in 1 memory backends as '
                           'guest_memfd, mode convertible, by sw-protected-vm' % (RAM * KIB)] + NOTES,
                    "the domain's log")
        if kind is DaemonRig:
            check.equal(re.findall(r"(?m)^libvirt-gmem: domain 'vm': (.*)$", rig.read(rig.log)), NOTES,
                        "the daemon's log")

    @test('the log names what reaches shared pages only')
    def _(check):
        rig, client = rig_and_client()
        # Nobody listens there: QEMU gets that far, and the log has been written by then.
        check.refused(lambda: client.create(convertible(
            'shared', backing="<access mode='shared'/>", devices=VIRTIOFS)))
        log = rig.read(rig.domain_log % 'shared')
        for note in NOTES + ['-device vhost-user-fs-pci reaches only those pages that the guest shares']:
            check.has(log, 'libvirt-gmem: %s\n' % note, "the domain's log")
        check.has(log, '/run/nobody', "the domain's log")
        if kind is DaemonRig:
            check.has(rig.read(rig.log), "libvirt-gmem: domain 'shared': <filesystem> with <driver "
                      "type='virtiofs'/> reaches only those pages that the guest shares\n",
                      "the daemon's log")

    @test('what reads or moves memory, balloons or adds memory is refused')
    def _(check):
        rig, client = rig_and_client()
        xml = client.dumpxml('vm', '--migratable', '--security-info')

        def filled(value):
            if isinstance(value, dict):
                return {key: filled(each) for key, each in value.items()}
            return xml if value is XML else value
        for method, arguments, message in REFUSED:
            check.refused(lambda m=method, a=arguments: client.call('vm', m, *map(filled, a)),
                          ERR_OPERATION_UNSUPPORTED, message)
        check.true(not os.path.exists(rig.outer('/run/x')), 'a file was made')
        check.equal(client.call('vm', 'snapshotListNames'), [], 'snapshots')
        check.equal(client.state('vm'), 'running', 'state')

    if kind is DaemonRig:
        @test('virsh says the same')
        def _(check):
            rig, client = rig_and_client()
            for arguments, message in VIRSH:
                check.refused(lambda a=arguments: rig.virsh().virsh(*a), None, part=message)
            check.true(not os.path.exists(rig.outer('/run/x')), 'a file was made')
            check.equal(client.state('vm'), 'running', 'state')

    @test('rules of define hold for what is attached')
    def _(check):
        _, client = rig_and_client()
        for device, message in (
                (HOSTDEV, "%s cannot be used with <hostdev type='pci'>: its DMA requires pinned "
                          'shared pages; use an emulated or virtio device'),
                (WATCHDOG, "%s cannot be used with <watchdog action='dump'/>: the host cannot read the "
                           "guest's private pages; use an action without a dump"),
                (VIRTIO_MEM, "%s cannot be used with <memory model='virtio-mem'>; use <memory "
                             "model='dimm'>")):
            flags = (CONFIG,) if device is VIRTIO_MEM else (LIVE, CONFIG, LIVE | CONFIG)
            for each in flags:
                check.refused(lambda d=device, f=each: client.call('vm', 'attachDeviceFlags', d, f),
                              ERR_CONFIG_UNSUPPORTED,
                              'unsupported configuration: ' + message % ELEMENT)
                check.refused(lambda d=device, f=each: client.call('vm', 'updateDeviceFlags', d, f),
                              ERR_CONFIG_UNSUPPORTED,
                              'unsupported configuration: ' + message % ELEMENT)

    @test('libvirt reads a device whatever its namespace, so none is attached in one')
    def _(check):
        _, client = rig_and_client()
        shown = client.dumpxml('vm'), client.dumpxml('vm', '--inactive')
        for device in (HOSTDEV, SHMEM, VIRTIO_MEM, DIMM, WATCHDOG):
            name = re.match('<([a-z]+)', device)[1]
            prefixed = re.sub('(</?)%s(?= |>|/>)' % name, r'\1x:' + name, device).replace(
                '<x:%s' % name, "<x:%s xmlns:x='urn:x'" % name, 1)
            if prefixed.endswith('/>'):
                check.lacks(prefixed, '</x:', 'the device')
            attribute = device.replace(' ', " xmlns:x='urn:x' x:", 1)
            for flags in (LIVE, CONFIG, LIVE | CONFIG, 0):
                for method in ('attachDeviceFlags', 'updateDeviceFlags'):
                    if name == 'memory' and flags != CONFIG and method == 'attachDeviceFlags':
                        wanted = ERR_OPERATION_UNSUPPORTED, 'memory cannot be attached'
                    else:
                        wanted = ERR_XML_ERROR, 'namespace'
                    for text in (prefixed, attribute):
                        check.refused(lambda t=text, f=flags, m=method: client.call('vm', m, t, f),
                                      wanted[0], part=wanted[1])
        check.equal((client.dumpxml('vm'), client.dumpxml('vm', '--inactive')), shown, 'dumpxml')

    @test("setmaxmem takes the current memory along, and setmem can repair it")
    def _(check):
        _, client = rig_and_client()
        xml = re.sub("<maxMemory.*?</maxMemory>|<cpu>.*?</cpu>", '', convertible('size'), flags=re.S)
        client.define(xml)
        for size, call in ((80, lambda: client.call('size', 'setMaxMemory', 80 * KIB)),
                           (72, lambda: client.call('size', 'setMemoryFlags', 72 * KIB, CONFIG | 4)),
                           (96, lambda: client.call('size', 'setMemoryFlags', 96 * KIB, 4))):
            call()
            shown = client.dumpxml('size')
            check.has(shown, "<memory unit='KiB'>%d<" % (size * KIB), 'dumpxml')
            check.has(shown, "<currentMemory unit='KiB'>%d<" % (size * KIB), 'dumpxml')
            client.define(shown)
        check.refused(lambda: client.call('size', 'setMemoryFlags', 95 * KIB, CONFIG),
                      ERR_OPERATION_UNSUPPORTED, NO_BALLOON)
        client.define(client.dumpxml('size').replace(
            '<vcpu', "<memtune><hard_limit unit='MiB'>100</hard_limit></memtune><vcpu", 1))
        shown = client.dumpxml('size')
        for call in (lambda: client.call('size', 'setMaxMemory', 128 * KIB),
                     lambda: client.call('size', 'setMemoryFlags', 128 * KIB, CONFIG | 4)):
            check.refused(call, ERR_CONFIG_UNSUPPORTED, part='<hard_limit> (102400 KiB) below guest RAM')
        check.equal(client.dumpxml('size'), shown, 'dumpxml')
        client.undefine('size')

    @test('of a running domain whose configuration is smaller, each is judged by its own size')
    def _(check):
        rig, client = rig_and_client()
        xml = re.sub("<maxMemory.*?</maxMemory>|<cpu>.*?</cpu>", '', convertible('smaller'), flags=re.S)
        client.define(xml)
        client.start('smaller')
        client.call('smaller', 'setMemoryFlags', 48 * KIB, CONFIG | 4)
        client.call('smaller', 'setMemoryFlags', 48 * KIB, CONFIG)
        check.has(client.dumpxml('smaller', '--inactive'), "<currentMemory unit='KiB'>%d<" % (48 * KIB),
                  'dumpxml --inactive')
        check.refused(lambda: client.call('smaller', 'setMemoryFlags', 48 * KIB, LIVE),
                      ERR_OPERATION_UNSUPPORTED, NO_BALLOON)
        client.destroy('smaller')
        client.undefine('smaller')

    @test('what does not look at memory works, and a disk-only snapshot is none with memory')
    def _(check):
        _, client = rig_and_client()
        client.call('vm', 'suspend')
        check.equal(client.state('vm'), 'paused', 'state')
        client.call('vm', 'resume')
        # Setting the memory that it already has is not our business; libvirt refuses it, because this domain has
        # no balloon.
        error = check.refused(lambda: client.call('vm', 'setMemoryFlags', RAM, LIVE),
                              ERR_OPERATION_INVALID)
        check.lacks(error.message, ELEMENT, 'the error of setmem to all memory')
        for snapshot in ('<domainsnapshot/>', "<domainsnapshot><disks><disk name='hda' "
                         "snapshot='no'/></disks></domainsnapshot>"):
            error = check.refused(
                lambda s=snapshot: client.call('vm', 'snapshotCreateXML', s, DISK_ONLY))
            check.lacks(error.message, ELEMENT, 'the error of a snapshot without memory')
            check.lacks(error.message, 'private pages', 'the error of a snapshot without memory')
        client.reset('vm')
        check.equal(client.state('vm'), 'running', 'state')

    @test('nothing has happened to it')
    def _(check):
        rig, client = rig_and_client()
        check.equal(rig.emulator('vm').pid, it['emulator'], "QEMU's pid")
        check.equal(client.dumpxml('vm'), it['xml'], 'dumpxml')
        guest = Guest(rig, SERIAL)
        last, _ = guest.wait_pass(0)
        guest.wait_pass(last)
        check.equal(guest.complaints(), [], 'complaints')

    if kind is DaemonRig:
        @test('a daemon that comes back, on a host that could not run it, still refuses')
        def _(check):
            rig, client = rig_and_client()
            client.close()
            rig.stop_daemon()
            rig.preload, rig.more = library(), {}
            rig.start_daemon()
            client = it['client'] = rig.python()
            check.equal(rig.emulator('vm').pid, it['emulator'], "QEMU's pid")
            check.equal(client.state('vm'), 'running', 'state')
            shows_private(check, client.dumpxml('vm'))
            check.refused(lambda: client.save('vm', '/run/x'), ERR_OPERATION_UNSUPPORTED,
                          unreadable('saving'))
            check.refused(lambda: client.call('vm', 'setMemory', 32 * KIB), ERR_OPERATION_UNSUPPORTED,
                          NO_BALLOON)

        @test('it starts again only where the host can do it')
        def _(check):
            rig, client = rig_and_client()
            client.destroy('vm')
            if not kvm_extension(235) & 2:
                check.refused(lambda: client.start('vm'), ERR_CONFIG_UNSUPPORTED,
                              part='KVM_X86_SW_PROTECTED_VM')
                check.equal(rig.emulator('vm'), None, 'emulator')
            client.undefine('vm')
            check.equal(client.names(), [], 'domains')

    @test('the end')
    def _(check):
        rig, client = rig_and_client()
        for name in client.names():
            client.destroy(name)
            client.undefine(name)
        check.equal(rig.emulators(), [], 'emulators')
        client.close()
        rig.close()


running(EmbedRig)
running(DaemonRig)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
