#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Some pieces of work do not take more instructions of our own than before.

usage: test_cost.py BENCH-PIECES BENCH-SHIM GMEM-LOWER COMPILER GLIB

COMPILER is the first line of the compiler's --version, GLIB is the version of GLib.

Only instructions inside bench-pieces and bench-shim are counted, into which the libraries' parts are
linked, not those of libc, GLib and others, which choose their code by the processor. The texts are
generated here. So the figures depend only on our code, and on the compiler and GLib's headers, which
turn it into instructions. The directory `instructions` has a file for each pair of compiler and GLib; if there is
none, the test is skipped. To update or add the file for this machine, if a difference is intended:

    GMEM_TEST_REGENERATE_OUTPUT=1 meson test -C build bench-cost
"""

import functools
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(SOURCE, 'tests'))

import gmem_tap as tap  # pylint: disable=wrong-import-position
import callgrind  # pylint: disable=wrong-import-position

TOLERANCE = 0.03
SLACK = 60  # instructions, for pieces that take hardly any
RENEW = 'GMEM_TEST_REGENERATE_OUTPUT'


def domain(cells, private, disks=4):
    """A domain as users write it."""
    numa = ''.join("<cell id='%d' cpus='%d' memory='65536' unit='KiB'/>" % (i, i) for i in range(cells))
    devices = ''.join(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        "<source file='/var/lib/libvirt/images/vm-%d.qcow2'/><target dev='sd%d' bus='scsi'/></disk>"
        % (i, i) for i in range(disks))
    return ("<domain type='kvm'><name>vm</name><uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>"
            "<memory unit='KiB'>%d</memory><vcpu placement='static'>%d</vcpu>%s"
            "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>"
            "<cpu mode='host-model'><numa>%s</numa></cpu>"
            "<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>%s</devices></domain>\n"
            % (65536 * cells, cells, '<memoryBacking><private/></memoryBacking>' * private, numa,
               devices))


def native(cells, private):
    """A command line as libvirt writes it."""
    words = ["LC_ALL=C PATH=/usr/bin LD_PRELOAD=/usr/lib/libvirt-gmem.so /usr/bin/qemu-system-x86_64",
             "-name guest=vm,debug-threads=on -S -machine pc-q35-7.2,usb=off -accel kvm"]
    for i in range(cells):
        words.append("-object '{\"qom-type\":\"memory-backend-memfd\",\"id\":\"ram-node%d\","
                     "\"share\":true,\"size\":67108864}' -numa node,nodeid=%d,cpus=%d,memdev=ram-node%d"
                     % (i, i, i, i))
    words.append("-device '{\"driver\":\"virtio-scsi-pci\",\"id\":\"scsi0\",\"bus\":\"pcie.0\"}'")
    if private:
        words.append("-x-libvirt-gmem '%s'" % '{"version":1,"mode":"fully-shared","added":[]}')
    return ' '.join(words) + '\n'


# What bench-shim reads: bytes to convert, slots, earlier conversions.
SHIM_PIECES = {
    'exit of KVM_RUN': ('exit', '0 2 0'),
    'convert 4 KiB': ('convert', '4096 2 0'),
    'convert 4 KiB, 64 slots, 2000 conversions before': ('convert', '4096 64 2000'),
    'convert 2 MiB': ('convert', '2097152 2 0'),
    'convert 1 GiB': ('convert', '1073741824 2 0'),
}


def measure_shim(shim):
    """{piece: instructions}."""
    return {name: callgrind.count(shim, [piece])[0] for name, piece in SHIM_PIECES.items()}


def measure(program, shim, lower):
    """{piece: instructions}."""
    with open(os.path.join(SOURCE, 'tests/domaincapsdata/libvirt-11.3-kvm-q35.xml'),
              encoding='utf-8') as file:
        capabilities = file.read()
    lowered = [subprocess.run([lower], input=domain(cells, True), stdout=subprocess.PIPE, text=True,
                              check=True).stdout for cells in (1, 16)]
    pieces = {
        'lower an ordinary domain': ('lower', domain(16, False)),
        'lower 1 cell': ('lower', domain(1, True)),
        'lower 16 cells': ('lower', domain(16, True)),
        'raise an ordinary domain': ('raise', domain(16, False)),
        'raise 1 cell': ('raise', lowered[0]),
        'raise 16 cells': ('raise', lowered[1]),
        'raise 16 cells again': ('again', lowered[1]),
        'domain capabilities': ('domcaps', capabilities),
        'native of an ordinary domain': ('preload', native(16, False)),
        'native of 1 cell': ('native', native(1, True)),
        'native of 16 cells': ('native', native(16, True)),
    }
    return {**dict(zip(pieces, callgrind.count(program, list(pieces.values())))), **measure_shim(shim)}


def read(path):
    with open(path, encoding='utf-8') as file:
        rows = (line.rsplit(' ', 1) for line in file if not line.startswith('#'))
        return {name: int(count) for name, count in rows}


def write(path, counts):
    with open(path, 'w', encoding='utf-8') as file:
        file.write('# SPDX-License-Identifier: LGPL-2.1-or-later\n')
        file.writelines('%s %d\n' % row for row in counts.items())


def compare(program, shim, lower, compiler, glib):
    found = re.search(r'\((?:Debian|GCC) ([\w.+~-]+)\)', compiler)
    of_file = 'gcc-%s-glib-%s' % (found.group(1), glib) if found else 'this compiler'
    path = os.path.join(HERE, 'instructions', of_file)
    if not shutil.which('valgrind'):
        raise tap.Skip('no valgrind')
    if os.environ.get(RENEW):
        write(path, measure(program, shim, lower))
    elif not os.path.exists(path):
        raise tap.Skip('nothing is recorded for ' + of_file)
    counts, wanted = measure(program, shim, lower), read(path)
    wrong = ['%s takes %d instructions of our own, recorded are %s' % (name, count, wanted.get(name))
             for name, count in counts.items()
             if count > wanted.get(name, 0) * (1 + TOLERANCE) + SLACK]
    if wrong:
        raise tap.Failure('%s\nWhere that is meant, record it: %s=1 meson test -C BUILD bench-cost, '
                          'on each release' % ('\n'.join(wrong), RENEW))


if __name__ == '__main__':
    sys.exit(tap.run([('lowering, raising, command lines and conversions take no more instructions than recorded',
                       functools.partial(compare, *sys.argv[1:]))]))
