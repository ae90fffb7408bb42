#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Linux as a guest, in both modes and with both firmwares, from its first instruction to user space.

The kernel is Debian's for clouds (fetch-linux; its path in GMEM_LINUX), user space a busybox and the
script below, in an initramfs written here. The kernel has no idea that memory could be private, so
all of it stays as it starts: shared."""

import contextlib
import glob
import hashlib
import os
import stat
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
# pylint: disable=wrong-import-position
import gmem_evidence
from gmem_private import WHY_OLD, Guest, status
from gmem_rig import KIB, MIB, PATIENCE, DaemonRig, Skip, Suite, domain, library, need_root, wait_for
from test_virtiofs import FILESYSTEM, virtiofsd

KERNEL = os.environ.get('GMEM_LINUX', '')
BUSYBOX = '/bin/busybox'
OVMF = os.environ.get('GMEM_OVMF', '/usr/share/OVMF')
CELLS = (112, 80)
# In the order in which they want each other, for virtiofs; a kernel may have some of them built in.
MODULES = ('virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci',
           'fuse', 'virtiofs')
# The kernel hands on what it does not know itself to the first process as its environment.
COMMAND_LINE = ('console=ttyS0 loglevel=4 panic=-1 mitigations=off tsc=reliable no_timer_check '
                'virtiofs=%s')

suite = Suite()

# Fills a good part of its memory, and sees whether that is there again when it is read.
INIT = '''#!/bin/busybox sh
exec </dev/console >/dev/console 2>&1
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o size=90% tmpfs /tmp
echo "gmem-linux: kernel $(uname -r)"
echo "gmem-linux: cpus $(nproc)"
echo "gmem-linux: nodes $(ls -d /sys/devices/system/node/node* | wc -l)"
echo "gmem-linux: firmware $(test -d /sys/firmware/efi && echo efi || echo bios)"
head -c 4194304 /dev/urandom >/tmp/0
for i in 1 2 3 4 5 6 7 8; do cat /tmp/0 >/tmp/$i; done
cmp /tmp/0 /tmp/8 && cmp /tmp/1 /tmp/5 && echo "gmem-linux: memory good"
if [ -n "$virtiofs" ]; then
    for module in /modules/*; do insmod $module; done
    mkdir /share
    mount -t virtiofs $virtiofs /share
    echo "gmem-linux: read $(cat /share/question)"
    echo "gmem-linux: hash $(sha256sum /share/data | cut -c 1-64)"
    cp /share/data /share/copy
    echo "written by Linux $(uname -r)" >/share/answer
    umount /share && echo "gmem-linux: unmounted"
fi
echo "gmem-linux: ready"
read line
echo "gmem-linux: $line"
poweroff -f
'''


def initramfs(path):
    """A cpio archive, the "newc" kind, without the program."""
    with open(BUSYBOX, 'rb') as file:
        busybox = file.read()
    entries = [('bin', stat.S_IFDIR | 0o755, b'', 0)]
    entries += [(name, stat.S_IFDIR | 0o755, b'', 0) for name in ('dev', 'proc', 'sys', 'tmp')]
    entries += [('modules', stat.S_IFDIR | 0o755, b'', 0)]
    for number, name in enumerate(MODULES):
        for module in glob.glob(os.path.join(os.path.dirname(KERNEL), 'modules', name + '.ko')):
            with open(module, 'rb') as file:
                entries.append(('modules/%d' % number, stat.S_IFREG | 0o644, file.read(), 0))
    entries += [('bin/busybox', stat.S_IFREG | 0o755, busybox, 0),
                ('init', stat.S_IFREG | 0o755, INIT.encode(), 0),
                ('dev/console', stat.S_IFCHR | 0o600, b'', os.makedev(5, 1)),
                ('dev/urandom', stat.S_IFCHR | 0o666, b'', os.makedev(1, 9)),
                ('TRAILER!!!', 0, b'', 0)]
    with open(path, 'wb') as file:
        for number, (name, mode, data, device) in enumerate(entries, 1):
            head = '070701' + ''.join('%08x' % field for field in (
                number, mode, 0, 0, 1, 0, len(data), 0, 0, os.major(device), os.minor(device),
                len(name) + 1, 0))
            for part in (head.encode() + name.encode() + b'\0', data):
                file.write(part + b'\0' * (-len(part) % 4))


def linux(rig, name, firmware, devices='', **options):
    """Domain XML that boots it, with its serial port on a socket: both."""
    serial = '/run/%s.serial' % name
    initramfs(rig.outer('/run/initramfs'))
    root = ET.fromstring(domain(
        name, cells=[size * KIB for size in CELLS], vcpus=2,
        devices="<serial type='unix'><source mode='bind' path='%s'/></serial>" % serial + devices,
        **options))
    system = root.find('os')
    system.remove(system.find('boot'))
    if firmware == 'ovmf':
        loader = ET.SubElement(system, 'loader', readonly='yes', type='pflash')
        loader.text = OVMF + '/OVMF_CODE_4M.fd'
        ET.SubElement(system, 'nvram', template=OVMF + '/OVMF_VARS_4M.fd').text = '/run/nvram.fd'
    for tag, text in (('kernel', KERNEL), ('initrd', '/run/initramfs'), ('cmdline', COMMAND_LINE % ('share' if devices else ''))):
        ET.SubElement(system, tag).text = text
    return ET.tostring(root, encoding='unicode'), rig.outer(serial)


class Share:
    """A directory of the host's that a guest mounts, reads and writes."""

    path = '/run/share'
    size = 16 * MIB

    def __init__(self, rig):
        self.directory = rig.outer(self.path)
        os.mkdir(self.directory)
        self.data = os.urandom(self.size)
        self.put('question', b'Who is there?\n')
        self.put('data', self.data)

    def put(self, name, content):
        with open(os.path.join(self.directory, name), 'wb') as file:
            file.write(content)

    def get(self, name):
        with open(os.path.join(self.directory, name), 'rb') as file:
            return file.read()

    def check(self, t, said):
        for line in ('read Who is there?', 'unmounted',
                     'hash ' + hashlib.sha256(self.data).hexdigest()):
            t.has(said, 'gmem-linux: %s\n' % line, 'what it says')
        t.true(self.get('copy') == self.data, 'the copy differs')
        t.matches(self.get('answer').decode(), '^written by Linux [0-9.]', 'what it wrote')


@contextlib.contextmanager
def booted(t, machine, firmware, virtiofs=False, **options):
    for path in (KERNEL, BUSYBOX):
        if not os.path.exists(path):
            raise Skip('no %s here' % (path or 'kernel for the guest'))
    if firmware == 'ovmf' and not os.path.exists(OVMF + '/OVMF_CODE_4M.fd'):
        raise Skip('no OVMF here')
    with DaemonRig(library()) as rig:
        client = rig.virsh()
        share = Share(rig) if virtiofs else None
        xml, serial = linux(rig, 'vm', firmware, machine=machine,
                            devices=FILESYSTEM % virtiofsd() if virtiofs else '', **options)
        client.define(xml)
        client.virsh('start', '--paused', 'vm')
        emulator = rig.emulator('vm')
        guest = Guest(serial)
        client.virsh('resume', 'vm')
        said = guest.until(r'(?s).*?gmem-linux: ready\n', PATIENCE).group(0)
        t.has(said, 'gmem-linux: kernel ' + os.path.dirname(KERNEL).rpartition('linux-image-')[2][:3],
              'what it says')
        for line in ('cpus 2', 'nodes 2', 'memory good',
                     'firmware ' + ('efi' if firmware == 'ovmf' else 'bios')):
            t.has(said, 'gmem-linux: %s\n' % line, 'what it says')
        if share:
            share.check(t, said)
        yield emulator
        guest.socket.sendall(b'goodbye\n')
        guest.until('gmem-linux: goodbye\n', PATIENCE)
        wait_for(lambda: client.state('vm') == 'shut off', 'the guest to switch itself off')
        guest.close()


def convertible(machine, firmware):
    @suite.test('convertible, %s, %s: Linux in user space' % (machine, firmware))
    def _(t):
        with booted(t, machine, firmware, private=False, launch='sw-protected') as emulator:
            found = status('vm')[0]
            t.equal((found['process'], found['start']), (emulator.pid, 'shared'), 'the domain')
            t.equal([(b['private'], b['shared']) for b in found['backends']],
                    [(0, size * MIB) for size in CELLS], 'its memory')
            t.equal(len(gmem_evidence.guest_memfds(emulator.pid)), len(CELLS), 'guest_memfds')


def fully_shared(machine, firmware):
    @suite.test('fully shared, %s, %s: Linux in user space' % (machine, firmware))
    def _(t):
        if WHY_OLD:
            raise Skip(WHY_OLD)
        with booted(t, machine, firmware) as emulator, \
                gmem_evidence.backends(emulator.pid) as found:
            t.equal([b.size for b in found], [size * MIB for size in CELLS], 'sizes of backends')
            for backend in found:
                t.has(backend.link or '', gmem_evidence.LINK, 'descriptor of ' + backend.id)
                t.true(backend.resident() > 1000, '%s is hardly used' % backend.id)


@suite.test('fully shared: Linux mounts what virtiofsd has, reads and writes')
def _(t):
    if WHY_OLD:
        raise Skip(WHY_OLD)
    with booted(t, 'q35', 'seabios', virtiofs=True) as emulator:
        t.equal(len(gmem_evidence.guest_memfds(emulator.pid)), len(CELLS), 'guest_memfds')


@suite.test('convertible: Linux mounts what virtiofsd has, reads and writes')
def _(t):
    with booted(t, 'q35', 'seabios', virtiofs=True, private=False, launch='sw-protected',
                backing="<access mode='shared'/>") as emulator:
        t.equal(status('vm')[0]['process'], emulator.pid, 'the domain')


convertible('q35', 'seabios')
fully_shared('pc', 'seabios')
convertible('q35', 'ovmf')
convertible('pc', 'ovmf')
fully_shared('q35', 'ovmf')

if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
