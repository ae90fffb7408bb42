#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is refused for a running domain with private pages.

Few hosts can run one. libvirt is made to believe that a running domain is one, which is all that the
checks look at: they come before libvirt's own part, and long before QEMU's."""

import os

from gmem_calls import ERR_OPERATION_UNSUPPORTED, Host, pretend_convertible
from gmem_checks import shows_private
from gmem_rig import (ERR_CONFIG_UNSUPPORTED, KIB, DaemonRig, EmbedRig, Suite, need_guest_memfd,
                      need_root)

suite = Suite()

DIMM = ("<memory model='dimm'><target><size unit='KiB'>%d</size><node>0</node></target></memory>"
        % (128 * KIB))
HOSTDEV = ("<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0x0000' "
           "bus='0x00' slot='0x1f' function='0x7'/></source></hostdev>")
MEMORY_ONLY, LIVE, DISK_ONLY, PHYSICAL = 16, 1, 1 << 4, 2

CANNOT = ("Operation not supported: %s is not possible for a domain with <launchSecurity "
          "type='sw-protected'/>: the host cannot read the guest's private pages")


def running(kind):
    it = {}

    def test(name):
        return suite.test('%s: %s' % (kind.name, name))

    def refused(check, what, *calls):
        for call in calls:
            check.refused(lambda c=call: it['host'].call(*c), ERR_OPERATION_UNSUPPORTED,
                          CANNOT % what)

    @test('a running domain that libvirt takes for one with private pages')
    def _(check):
        need_guest_memfd()
        host = it['host'] = Host(kind)
        host.run(cells=[40 * KIB], slots=True)
        it['emulator'] = host.rig.emulator('vm').pid
        xml = host.python.dumpxml('vm', '--migratable')
        host.python.close()

        def stop():
            if kind is DaemonRig:
                host.rig.kill_daemon()

        def start():
            if kind is DaemonRig:
                host.rig.start_daemon()
        pretend_convertible(host.rig, 'vm', xml, stop, start)
        host.python = host.rig.python()
        check.equal(host.python.state('vm'), 'running', 'state')
        xml = it['xml'] = host.python.dumpxml('vm')
        check.has(xml, "<launchSecurity type='sw-protected'/>", 'dumpxml')
        shows_private(check, xml)

    @test('saving')
    def _(check):
        need_guest_memfd()
        xml = it['host'].python.dumpxml('vm', '--migratable', '--security-info')
        refused(check, 'saving', ('vm', 'save', '/run/x'), ('vm', 'saveFlags', '/run/x', None, 0),
                ('vm', 'saveFlags', '/run/x', xml, 0), ('vm', 'managedSave', 0),
                ('vm', 'saveParams', {'file': '/run/x'}, 0),
                ('vm', 'saveParams', {'file': '/run/x', 'dxml': xml}, 0))
        check.true(not os.path.exists(it['host'].rig.outer('/run/x')), 'a file was made')

    @test('memory dump, peek, and rate of changes')
    def _(check):
        need_guest_memfd()
        refused(check, 'a memory dump', ('vm', 'coreDump', '/run/x', 0),
                ('vm', 'coreDump', '/run/x', MEMORY_ONLY),
                ('vm', 'coreDumpWithFormat', '/run/x', 0, MEMORY_ONLY))
        refused(check, 'a look into memory', ('vm', 'memoryPeek', 0x100000, 16, PHYSICAL))
        refused(check, 'measuring the rate of changed memory', ('vm', 'startDirtyRateCalc', 1, 0))
        check.true(not os.path.exists(it['host'].rig.outer('/run/x')), 'a file was made')

    @test('snapshot with memory')
    def _(check):
        need_guest_memfd()
        for xml in ('<domainsnapshot/>', "<domainsnapshot><memory snapshot='external' file='/run/x'/>"
                    '</domainsnapshot>'):
            refused(check, 'a snapshot with memory', ('vm', 'snapshotCreateXML', xml, 0))
        # Without it, it is libvirt's affair what it says about the disks.
        error = check.refused(lambda: it['host'].call(
            'vm', 'snapshotCreateXML', "<domainsnapshot><disks><disk name='hda' snapshot='no'/>"
            '</disks></domainsnapshot>', DISK_ONLY))
        check.lacks(error.message, 'private pages', 'the error')
        check.equal(it['host'].call('vm', 'snapshotListNames'), [], 'snapshots')

    @test('migration')
    def _(check):
        need_guest_memfd()
        remote = 'qemu+tcp://10.77.0.9/system'
        refused(check, 'migration', ('vm', 'migrateToURI3', remote, {}, 3),
                ('vm', 'migrateToURI2', remote, None, None, 3, None, 0),
                ('vm', 'migrateToURI', remote, 3, None, 0))

    @test('ballooning')
    def _(check):
        need_guest_memfd()
        for call in (('vm', 'setMemory', 20 * KIB), ('vm', 'setMemoryFlags', 20 * KIB, 1),
                     ('vm', 'setMemoryFlags', 20 * KIB, 2), ('vm', 'setMemoryFlags', 20 * KIB, 3)):
            check.refused(lambda c=call: it['host'].call(*c), ERR_OPERATION_UNSUPPORTED,
                          "Operation not supported: a domain with <launchSecurity "
                          "type='sw-protected'/> cannot be ballooned: its current memory stays its "
                          'memory')

    @test('attach of memory')
    def _(check):
        need_guest_memfd()
        for device in (DIMM, "<?xml version='1.0'?>\n<!-- a dimm -->\n" + DIMM):
            for call in (('vm', 'attachDevice', device), ('vm', 'attachDeviceFlags', device, LIVE),
                         ('vm', 'attachDeviceFlags', device, 0),
                         ('vm', 'attachDeviceFlags', device, 3)):
                check.refused(lambda c=call: it['host'].call(*c), ERR_OPERATION_UNSUPPORTED,
                              'Operation not supported: memory cannot be attached to a running '
                              "domain with <launchSecurity type='sw-protected'/>")

    @test('attach of a device that needs shared pages')
    def _(check):
        need_guest_memfd()
        check.refused(lambda: it['host'].call('vm', 'attachDeviceFlags', HOSTDEV, LIVE),
                      ERR_CONFIG_UNSUPPORTED, part="<hostdev type='pci'>")

    @test('nothing has happened')
    def _(check):
        need_guest_memfd()
        host = it['host']
        check.equal(host.rig.emulator('vm').pid, it['emulator'], "QEMU's pid")
        check.equal(host.python.dumpxml('vm'), it['xml'], 'dumpxml')
        count = len(host.guest.passes())
        host.guest.wait_pass(count)
        check.equal(host.guest.complaints(), [], 'complaints')
        host.python.destroy('vm')
        host.python.undefine('vm')
        host.close()


running(EmbedRig)
running(DaemonRig)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
