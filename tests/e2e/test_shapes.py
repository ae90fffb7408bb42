#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private domains of many shapes start, run their guest and show the evidence, on both rigs in turn."""

import functools

from gmem_checks import OPTION, Guest, evidence, native_is_private, shows_private
from gmem_rig import (KIB, MIB, DaemonRig, EmbedRig, Suite, domain, library,
                      need_guest_memfd, need_root)

suite = Suite()

SHARED = "<source type='memfd'/><access mode='shared'/>"
NVDIMM = ("<memory model='nvdimm'><source><path>/run/nvdimm</path></source>"
          "<target><size unit='KiB'>4096</size><node>0</node></target></memory>")
BOUND = "<numatune><memory mode='strict' nodeset='0'/></numatune>"

# The text of our option as values and elsewhere: only -x-libvirt-gmem as an option is ours.
ARGUMENTS = ['-L', '-x-libvirt-gmem', '-chardev', 'null,id=x-libvirt-gmem', '-fw_cfg',
             'name=opt/test,string=-x-libvirt-gmem {"version":1}', '-boot', 'menu=off', '--snapshot']
ENVIRONMENT = [('GMEM_TEST', 'LD_PRELOAD=-x-libvirt-gmem')]

# name, options of domain() (sizes in KiB there), sizes of the RAM backends in MiB. These are odd, and
# larger than QEMU's heap and the stacks of its threads.
SHAPES = [
    ('pc, no NUMA', {'memory': 33 * KIB}, [33]),
    ('q35, no NUMA', {'memory': 35 * KIB, 'machine': 'q35'}, [35]),
    ('pc, two cells', {}, [17, 39]),
    ('pc, two cells of one size', {}, [21, 21]),
    ('q35, three cells', {'machine': 'q35'}, [41, 21, 19]),
    ('q35, eight cells', {'machine': 'q35'}, [25, 19, 21, 27, 33, 23, 31, 29]),
    ('pc, a cell and a dimm', {'dimm': 66 * KIB}, [37, 66]),
    ('q35, two cells and a dimm in the second',
     {'dimm': 70 * KIB, 'dimm_node': 1, 'machine': 'q35'}, [25, 31, 70]),
    ("the user's own arguments and environment",
     {'memory': 29 * KIB, 'arguments': ARGUMENTS, 'environment': ENVIRONMENT}, [29]),
    ('source memfd and shared access written out', {'memory': 27 * KIB, 'backing': SHARED}, [27]),
    # libvirt treats several elements as one.
    ('two <memoryBacking>, <private/> in the second',
     {'backing': "<nosharepages/></memoryBacking><memoryBacking>" + SHARED}, [23, 29]),
    ('allocated at once', {'backing': "<allocation mode='immediate'/>"}, [19, 25]),
    ('bound to a host node', {'body': BOUND}, [19, 25]),
    ('an nvdimm beside it', {'devices': NVDIMM, 'slots': True}, [31, 23]),
    ('3.5 GiB, pc: memory above 4 GiB', {}, [1187, 1201, 1196]),
    ('3.5 GiB, q35: memory above 4 GiB', {'memory': 3584 * KIB, 'machine': 'q35'}, [3584]),
]


@functools.lru_cache(maxsize=None)
def rig_and_client(kind):
    """Starts each rig once for all shapes."""
    rig = kind(library())
    return rig, rig.virsh() if kind is DaemonRig else rig.python()


def shape(kind, name, options, backends, bios=False):
    """@bios: with SeaBIOS, which boots the guest from a disk; otherwise the guest is the firmware."""
    @suite.test('%s: %s' % (kind.name, name))
    def _(check):
        need_guest_memfd()
        rig, client = rig_and_client(kind)
        sizes = [size * MIB for size in backends]
        users = 'arguments' in options
        options.setdefault('machine', 'pc')
        if 'memory' not in options:
            cells = backends[:-1] if 'dimm' in options else backends
            options['cells'] = [cell * KIB for cell in cells]
        with open(rig.outer('/run/nvdimm'), 'wb') as file:
            file.truncate(4 * MIB)
        rig.write('/run/serial', '')
        xml = domain('vm', boot=rig.guest_image('vm', disk=bios), serial='/run/serial', **options)
        client.define(xml)
        try:
            written = client.dumpxml('vm')
            shows_private(check, written, carriers=ARGUMENTS.count(OPTION) if users else 0)
            if not users:
                native_is_private(check, client.native(written), sizes)
            guest = Guest(rig, '/run/serial')
            client.start('vm')
            guest.wait_pass()
            emulator = rig.emulator('vm')
            evidence(check, emulator, sizes, guest.text)
            shows_private(check, client.dumpxml('vm'),
                          carriers=ARGUMENTS.count(OPTION) if users else 0)
            argv = emulator.argv
            if users:
                at = argv.index('-L')
                check.equal(argv[at:at + len(ARGUMENTS)], ARGUMENTS, "the user's arguments")
            for key, value in options.get('environment', ()):
                check.equal(emulator.environ.get(key), value, 'environment variable ' + key)
        finally:
            if rig.emulator('vm'):
                client.destroy('vm')
            client.undefine('vm')


for number, each in enumerate(SHAPES):
    # The embedded driver and libvirtd take turns; the most different shapes run on both.
    shape((EmbedRig, DaemonRig)[number % 2], *each)
shape(DaemonRig, *SHAPES[2])
shape(EmbedRig, *SHAPES[7])
shape(EmbedRig, 'pc, SeaBIOS', {'memory': 33 * KIB}, [33], bios=True)
shape(DaemonRig, 'q35, three cells, SeaBIOS', {'machine': 'q35'}, [41, 21, 19], bios=True)

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
