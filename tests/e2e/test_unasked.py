#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon that has no private domain is not asked for a domain's kind, until it may have one.

Its log shows whether it was asked. Each case begins with a daemon that is not asked, and then a private domain
comes to it by another way."""

import re
import signal

from gmem_calls import ERR_OPERATION_UNSUPPORTED
from gmem_rig import (DaemonRig, KIB, MIB, Suite, domain, library, need_guest_memfd, need_root, wait_for)

suite = Suite()

RAM = 37 * KIB
IMAGE = '/run/saved'
DIRECTORY = '/etc/libvirt/qemu/'
LOG = '/run/calls.log'
CONFIG, PAUSED = 2, 1
BELOW = 'current memory cannot be set below maximum memory'
POST_COPY = 'post-copy migration is not possible for a domain with <private/>'
REDEFINE = 1
SNAPSHOT = ('<domainsnapshot><name>s</name><state>shutoff</state><creationTime>1</creationTime>%s'
            '</domainsnapshot>')


def ordinary(name='vm', **options):
    return domain(name, memory=RAM, private=False, **options)


def convertible(name='vm', **options):
    return ordinary(name, launch='sw-protected', **options)


class It:
    rig = client = stored = None

    @classmethod
    def begin(cls):
        cls.rig = DaemonRig(library(), environment={'LIBVIRT_LOG_FILTERS': '1:libvirt.domain',
                                                    'LIBVIRT_LOG_OUTPUTS': '1:file:' + LOG})
        cls.client = cls.rig.python()
        cls.client.define(convertible())
        cls.stored = cls.rig.read(DIRECTORY + 'vm.xml')
        cls.client.undefine('vm')

    @classmethod
    def again(cls):
        """Restarts the daemon."""
        cls.client.close()
        cls.rig.stop_daemon()
        cls.rig.start_daemon()
        cls.client = cls.rig.python()
        return cls.rig, cls.client


def asked(call):
    """Whether the library asks libvirt for a domain's XML for this call."""
    before = len(It.rig.read(LOG))
    call()
    return ' virDomainGetXMLDesc:' in It.rig.read(LOG)[before:]


def set_memory(name='vm'):
    It.client.call(name, 'setMemoryFlags', RAM - 1024, CONFIG)


def unasked(check):
    """A daemon without a private domain; it has 'plain', of which nothing is asked."""
    rig, client = It.again()
    client.define(ordinary('plain'))
    check.true(not asked(lambda: set_memory('plain')), 'asked for the kind of a domain')
    return rig, client


def concerned(check):
    """The daemon has a convertible 'vm' now, and it is asked."""
    check.true(asked(lambda: check.refused(set_memory, ERR_OPERATION_UNSUPPORTED, part=BELOW)), 'not asked')
    check.true(asked(lambda: set_memory('plain')), 'not asked for the kind of an ordinary domain')
    It.client.undefine('vm')


@suite.test('a daemon whose domains are ordinary is not asked, by any call')
def _(check):
    It.begin()
    _, client = unasked(check)
    client.define(ordinary())
    device = ("<memory model='dimm'><target><size unit='KiB'>%d</size></target></memory>" % (128 * KIB))
    disk = ("<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/run/no'/>"
            "<target dev='hdb' bus='ide'/></disk>")

    def calls():
        client.call('vm', 'setMaxMemory', RAM)
        client.call('vm', 'setMemoryParameters', {'hard_limit': 9007199254740991}, CONFIG)
        client.call('vm', 'attachDeviceFlags', disk, CONFIG)
        client.call('vm', 'updateDeviceFlags', disk, CONFIG)
        client.call('vm', 'detachDeviceFlags', disk, CONFIG)
        client.call('vm', 'rename', 'other', 0)
        check.refused(lambda: client.call('other', 'attachDeviceFlags', device, CONFIG))
        check.refused(lambda: client.call('other', 'memoryPeek', 0, 8, 1))
        check.refused(lambda: client.call('other', 'managedSave', 0))

    check.true(not asked(calls), 'asked for the kind of a domain')
    client.undefine('other')


@suite.test('a private definition by a call, of the same UUID, too')
def _(check):
    _, client = unasked(check)
    client.define(ordinary())
    set_memory()
    client.define(convertible())
    concerned(check)


@suite.test('a file as libvirt stores it, and SIGHUP')
def _(check):
    rig, client = unasked(check)
    client.define(ordinary())
    set_memory()
    rig.write(DIRECTORY + 'vm.xml', It.stored.replace('<memory ', '<title>second</title><memory ', 1))
    rig.daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: 'second' in client.dumpxml('vm'), 'libvirt to read its files again')
    concerned(check)


@suite.test('a file that was there before the daemon')
def _(check):
    It.rig.write(DIRECTORY + 'vm.xml', It.stored)
    It.again()
    concerned(check)


@suite.test('a snapshot that has a private domain')
def _(check):
    rig, client = unasked(check)
    client.define(ordinary())
    text = client.dumpxml('vm')
    client.call('vm', 'snapshotCreateXML', SNAPSHOT % text, REDEFINE)
    path = '/var/lib/libvirt/qemu/snapshot/vm/s.xml'
    stored = rig.read(path)
    lowered = re.search('<domain .*</domain>', It.stored, re.S)[0]
    rig.write(path, re.sub('<domain .*</domain>', lambda _: lowered, stored, flags=re.S))
    rig, client = unasked(check)
    set_memory()
    client.call('vm', 'revertToSnapshot', ['vm', 'snapshot', 's'], 0)
    check.true(asked(lambda: check.refused(set_memory, ERR_OPERATION_UNSUPPORTED, part=BELOW)), 'not asked')
    client.call('vm', 'undefineFlags', 2)  # with its snapshots


@suite.test('a private guest that runs since before the daemon, and one in an image')
def _(check):
    need_guest_memfd()
    rig, client = It.again()
    xml = domain('vm', memory=RAM)
    client.create(xml)

    def refused():
        check.refused(lambda: It.client.call('vm', 'migrateStartPostCopy', 0), ERR_OPERATION_UNSUPPORTED,
                      part=POST_COPY)

    _, client = It.again()
    check.true(asked(refused), 'not asked')
    client.save('vm', IMAGE)
    _, client = unasked(check)
    client.restore(IMAGE)
    check.true(asked(refused), 'not asked')
    check.true(asked(lambda: set_memory('plain')), 'not asked for the kind of an ordinary domain')
    client.destroy('vm')


@suite.test('the end')
def _(check):
    It.client.undefine('plain')
    check.equal(It.client.names(), [], 'domains')
    It.client.close()
    It.rig.close()


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
