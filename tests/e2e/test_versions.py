#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an older libvirt-gmem has left behind, and what a newer one would: it is used, or refused with the reason.

stored/nvdimms-1.xml is the first layout of the pair, for a domain with two NVDIMMs. The user had given the second
one access='private'; libvirt-gmem gave it to the first one, which the pair identifies by its index."""

import os
import re

from gmem_checks import shows_private
from gmem_evidence import guest_memfds
from gmem_rig import (HERE, KIB, MIB, DaemonRig, ERR_XML_ERROR, Suite, library, need_guest_memfd,
                      need_root)

suite = Suite()

PATH, IMAGE = '/etc/libvirt/qemu/vm.xml', '/run/image'
SIZE = 40 * KIB
WRITTEN = [('', '/run/nva1'), (" access='private'", '/run/nva2')]
VERSION = '&quot;version&quot;:%d,'
UNKNOWN = ("the value of '-x-libvirt-gmem' has version 3, and this libvirt-gmem knows versions up to 2 only")
with open(os.path.join(HERE, 'stored', 'nvdimms-1.xml'), encoding='utf-8') as recorded:
    STORED = recorded.read()


def begin(text=STORED):
    """A daemon that finds @text as the definition that libvirt has stored, and a client of it."""
    def prepare(rig):
        rig.write(PATH, text)
        for number in (1, 2):
            rig.write('/run/nva%d' % number, '')
            os.truncate(rig.outer('/run/nva%d' % number), 64 * MIB)
    need_guest_memfd()
    rig = DaemonRig(library(), prepare=prepare)
    return rig, rig.python()


def accesses(xml):
    return re.findall(r"<memory model='nvdimm'(.*?)>.*?<path>(.*?)<", xml, re.S)


def in_memory(check, rig):
    check.equal([m.size for m in guest_memfds(rig.emulator('vm').pid)], [SIZE * KIB],
                "sizes of QEMU's guest_memfds")


def renumbered(check, rig, old, new):
    """Changes the version in the saved image's own XML; nothing else is moved."""
    with open(rig.outer(IMAGE), 'r+b') as file:
        head = file.read(256 * KIB)
        check.true((VERSION % old).encode() in head, 'the image is not of version %d' % old)
        file.seek(0)
        file.write(head.replace((VERSION % old).encode(), (VERSION % new).encode(), 1))


@suite.test('a definition of the first layout: shown, started, changed')
def _(check):
    rig, client = begin()
    with rig:
        check.lacks(rig.read(rig.log), 'is not known to libvirt', "the daemon's log")
        shows_private(check, client.dumpxml('vm'))
        check.equal(accesses(client.dumpxml('vm')), WRITTEN, 'NVDIMMs')
        client.start('vm')
        in_memory(check, rig)
        check.has(rig.read(PATH), VERSION % 1, "libvirt's file")
        client.destroy('vm')
        client.define(client.dumpxml('vm'))
        check.has(rig.read(PATH), VERSION % 2, "libvirt's file")
        check.equal(accesses(client.dumpxml('vm')), WRITTEN, 'NVDIMMs')
        client.close()


@suite.test('an NVDIMM of a definition of the first layout is taken out: the other keeps what it shows')
def _(check):
    rig, client = begin()
    with rig:
        device = re.search("<memory model='nvdimm'.*?</memory>", client.dumpxml('vm'), re.S)[0]
        client.start('vm')  # the image's own XML keeps the numbers, and its devices
        client.call('vm', 'detachDeviceFlags', device, 2)
        check.equal(accesses(client.dumpxml('vm', '--inactive')), WRITTEN[1:], 'NVDIMMs')
        check.equal(accesses(client.dumpxml('vm')), WRITTEN, 'NVDIMMs of the running guest')
        client.destroy('vm')
        client.close()


@suite.test('an image of the first layout goes on; one of a layout to come is refused')
def _(check):
    rig, client = begin()
    with rig:
        client.start('vm')
        client.save('vm', IMAGE)
        renumbered(check, rig, 1, 3)
        check.refused(lambda: client.restore(IMAGE), ERR_XML_ERROR, part=UNKNOWN)
        check.equal(rig.emulators(), [], 'emulators')
        renumbered(check, rig, 3, 1)
        client.restore(IMAGE)
        in_memory(check, rig)
        client.call('vm', 'managedSave', 0)
        client.define(client.dumpxml('vm', '--inactive'))
        check.has(rig.read(PATH), VERSION % 2, "libvirt's file")
        client.start('vm')
        in_memory(check, rig)
        shows_private(check, client.dumpxml('vm'))
        client.destroy('vm')
        client.close()


@suite.test('a definition of a layout to come: shown as it is stored, and not started')
def _(check):
    rig, client = begin(STORED.replace(VERSION % 1, VERSION % 3))
    with rig:
        check.has(client.dumpxml('vm'), VERSION % 3, 'dumpxml')
        check.refused(lambda: client.start('vm'), ERR_XML_ERROR, part=UNKNOWN)
        check.equal(rig.emulators(), [], 'emulators')
        client.close()


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
