#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ways around the public calls: what reaches QEMU must be of the mode that its user asked for, or not
run."""

import os
import re

from gmem_checks import shows_private
from gmem_evidence import guest_memfds
from gmem_rig import KIB, MIB, DaemonRig, Suite, domain, library, need_guest_memfd, need_root

suite = Suite()

RAM = 30 * KIB
IMAGE, REPLACEMENT = '/run/image', '/run/replacement'
HOOK = '''#!/bin/sh
case $2 in
restore|migrate) cat %s 2>/dev/null;;
esac
exit 0
''' % REPLACEMENT
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
        check.refused(lambda: client.restore(IMAGE), part=message + " 'none'")
        check.equal(rig.emulators(), [], 'emulators')
    rig.write(REPLACEMENT, lowered.replace('<memory ', '<title>by the hook</title><memory ', 1))
    client.restore(IMAGE)
    check.has(client.dumpxml('vm'), '<title>by the hook</title>', 'dumpxml')
    shows_private(check, client.dumpxml('vm'))
    check.equal(sizes(rig, 'vm'), [RAM * KIB], "sizes of QEMU's guest_memfds")
    os.unlink(rig.outer(REPLACEMENT))
    client.call('vm', 'managedSave', 0)
    rig.write(REPLACEMENT, ordinary)
    check.refused(lambda: client.start('vm'), part=message)
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
        # As an older release of the library let it come about.
        client.call('vm', 'managedSaveDefineXML', re.sub(
            r"(<memory model='dimm'>)", r'\1<source><nodemask>0</nodemask></source>',
            client.call('vm', 'managedSaveGetXMLDesc', 0)), 0)
        client.start('vm')
        check.has(client.dumpxml('vm'), '<nodemask>0</nodemask>', 'dumpxml')
        check.equal(sizes(rig, 'vm'), [RAM * KIB, 64 * MIB], "sizes of QEMU's guest_memfds")
        check.has(rig.read(rig.domain_log % 'vm'), 'the guest goes on without its NUMA policy',
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


@suite.test('the end')
def _(check):
    rig, client = It.get()
    check.equal(client.names(), [], 'domains')
    client.close()
    rig.close()


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
