#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private domains in the rig: stock libvirt and QEMU on a kernel newer than the machine's."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
# pylint: disable=wrong-import-position
from gmem_checks import Guest, evidence, shows_private
from gmem_private import WHY_OLD
from gmem_rig import KIB, MIB, DaemonRig, EmbedRig, Suite, domain, library, need_root

suite = Suite()

# Sizes in MiB. They are small because an emulated processor runs the guest, but larger than QEMU's
# heap.
SHAPES = [
    (DaemonRig, 'pc', [16]),
    (EmbedRig, 'q35', [20, 28]),
]


def run(check, rig, client, machine, backends):
    xml = domain('vm', machine=machine, cells=[size * KIB for size in backends],
                 boot=rig.guest_image('vm'), serial='/run/serial')
    rig.write('/run/serial', '')
    client.define(xml)
    shows_private(check, client.dumpxml('vm'))
    client.start('vm')
    guest = Guest(rig, '/run/serial')
    guest.wait_pass()
    evidence(check, rig.emulator('vm'), [size * MIB for size in backends], guest.text)
    client.destroy('vm')
    check.true(rig.emulator('vm') is None, 'a QEMU after destroy')


def shape(kind, machine, backends):
    @suite.test('%s: %s, %d cells: RAM is guest_memfd' % (kind.name, machine, len(backends)))
    def _(check):
        with kind(library()) as rig:
            client = rig.virsh() if kind is DaemonRig else rig.python()
            run(check, rig, client, machine, backends)


for each in SHAPES:
    shape(*each)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root() or WHY_OLD))
