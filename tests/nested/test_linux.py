#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Linux as a guest, in both modes and with both firmwares, from its first instruction to user space.

The kernel (see gmem_linux.py) does not know that memory can be private, so all of it stays as it starts:
shared."""

import contextlib
import hashlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
# pylint: disable=wrong-import-position
import gmem_evidence
import gmem_linux
from gmem_private import WHY_OLD, Guest, status
from gmem_rig import MIB, PATIENCE, DaemonRig, Skip, Suite, library, need_root, wait_for
from test_virtiofs import FILESYSTEM, virtiofsd

CELLS = (112, 80)
MODULES = (*gmem_linux.VIRTIO, 'fuse', 'virtiofs')

suite = Suite()

# Fills a large part of its memory, and checks it by reading it again.
INIT = gmem_linux.BEGIN + '''\
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
    gmem_linux.need_linux()
    if firmware == 'ovmf' and not os.path.exists(gmem_linux.OVMF + '/OVMF_CODE_4M.fd'):
        raise Skip('no OVMF here')
    with DaemonRig(library()) as rig:
        client = rig.virsh()
        share = Share(rig) if virtiofs else None
        gmem_linux.initramfs(rig.outer('/run/initramfs'), INIT, MODULES)
        xml, serial = gmem_linux.linux(rig, 'vm', CELLS, firmware, machine=machine,
                                       devices=FILESYSTEM % virtiofsd() if virtiofs else '',
                                       environment='virtiofs=' + ('share' if virtiofs else ''), **options)
        client.define(xml)
        client.virsh('start', '--paused', 'vm')
        emulator = rig.emulator('vm')
        guest = Guest(serial)
        client.virsh('resume', 'vm')
        said = guest.until(r'(?s).*?gmem-linux: ready\n', PATIENCE).group(0)
        t.has(said, 'gmem-linux: kernel ' + gmem_linux.VERSION[:3], 'what it says')
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
