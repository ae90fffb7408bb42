#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Linux as a guest that keeps secrets: examples/private-memory in a convertible domain.

The module is built for the kernel that boots (build-module). The processes are tests/guest/gmem-secrets.c and the
example's own private-key; the host looks for their memory as in other tests (gmem_private.py). All tests except
the last one use the same domain."""

import contextlib
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
# pylint: disable=wrong-import-position
import gmem_linux
from gmem_private import PAGE, Guest, Seen, daemon, dump_core, pattern, seeds
from gmem_rig import BUILD, MIB, PATIENCE, Skip, Suite, need_root

MODULE = os.path.join(os.path.dirname(gmem_linux.KERNEL), 'private_memory.ko')
PROGRAMS = [os.path.join(BUILD, 'tests', 'guest', name) for name in ('gmem-secrets', 'private-key')]
CELLS = (160, 128)
EIO, EFAULT, EINVAL = 5, 14, 22
SIGSEGV = 11
DISK = '''<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/run/disk.img'/>
<target dev='vda' bus='virtio'/></disk>'''

# Each line from the serial port is a command. Little else is printed on the console.
INIT = gmem_linux.BEGIN + '''\
dmesg -n 1
stty -echo
mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do insmod $module; done
insmod /bin/private_memory.ko
echo "gmem-linux: ready"
while read -r line; do
    eval "$line"
    echo "gmem-linux: done $?"
done
'''

suite = Suite()


class Machine(Seen):
    """A domain with such a Linux, at its prompt."""

    def __init__(self, rig, client, cells):
        for path in (MODULE, *PROGRAMS):
            if not os.path.exists(path):
                raise Skip('no %s here' % path)
        gmem_linux.need_linux()
        modules = (*gmem_linux.VIRTIO, 'virtio_blk')
        # For kexec: the same without the files that kexec starts.
        again = rig.outer('/run/again')
        gmem_linux.initramfs(again, INIT, modules, [MODULE, *PROGRAMS])
        gmem_linux.initramfs(rig.outer('/run/initramfs'), INIT, modules,
                             [MODULE, *PROGRAMS, gmem_linux.KERNEL, again])
        with open(rig.outer('/run/disk.img'), 'wb') as file:
            file.truncate(MIB)
        xml, serial = gmem_linux.linux(rig, 'vm', cells, devices=DISK, private=False, launch='sw-protected')
        client.define(dump_core(xml))
        client.virsh('start', '--paused', 'vm')
        super().__init__(rig, client, 'vm', [size * MIB for size in cells])
        self.guest = Guest(serial)
        client.virsh('resume', 'vm')
        self.booted()

    def booted(self):
        self.guest.until('gmem-linux: ready\n', PATIENCE)

    def send(self, line):
        self.guest.socket.sendall(line.encode() + b'\n')

    def run(self, line):
        """(its exit status, what it printed)"""
        self.send(line)
        found = self.guest.until(r'(?s)(.*?)gmem-linux: done (\d+)\n', PATIENCE)
        return int(found.group(2)), found.group(1)

    def says(self, t, line, *wanted):
        """It succeeds and prints these lines."""
        t.equal(self.run(line), (0, ''.join(text + '\n' for text in wanted)), line)

    def hold(self, t, verb, pages, seed, within='%s'):
        """The process ID of a process that has written to pages of its own, and stays."""
        file = '/tmp/%x' % seed
        self.says(t, within % ('gmem-secrets %s %d %d' % (verb, pages, seed)) + ' >>%s 2>&1 &' % file)
        pid = self.run('echo $!')[1].strip()
        self.run('until grep -q -e held -e : %s; do sleep 1; done' % file)
        self.says(t, 'cat ' + file, 'zeros %d' % pages, 'held')
        return pid

    def holds(self, t, pid, pages, seed):
        """It finds what it has written in all of its pages."""
        file = '/tmp/%x' % seed
        self.says(t, '>%s; kill -USR1 %s; until grep -q kept %s; do sleep 1; done; cat %s'
                  % (file, pid, file, file), 'kept %d' % pages)

    def end(self, *pids):
        self.run('kill -9 %s; for pid in %s; do while [ -e /proc/$pid ]; do sleep 1; done; done'
                 % (' '.join(pids), ' '.join(pids)))

    def private(self):
        """The number of private pages, according to the host."""
        return sum(backend['private'] for backend in self.status()['backends']) // PAGE


class Only:
    """The one domain that all tests use, from the first one that asks for it."""

    def __init__(self):
        self.stack, self.machine = contextlib.ExitStack(), None

    def get(self):
        if not self.machine:
            rig, client = self.stack.enter_context(daemon())
            self.machine = Machine(rig, client, CELLS)
        # What a failed test has left behind.
        self.machine.run('killall -q -9 gmem-secrets; while pidof gmem-secrets; do sleep 1; done')
        return self.machine


ONLY = Only()


def siphash(words, text):
    """SipHash-2-4 of @text with the key that private-key derives from @words."""
    mask = (1 << 64) - 1
    v = [word ^ constant for word, constant in zip(
        words * 2, (0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573))]

    def rotated(word, bits):
        return (word << bits | word >> 64 - bits) & mask

    def mix(rounds):
        for _ in range(rounds):
            for a, b, c, d, first, second in ((0, 1, 2, 3, 13, 16), (2, 1, 0, 3, 17, 21)):
                v[a], v[c] = v[a] + v[b] & mask, v[c] + v[d] & mask
                v[b], v[d] = rotated(v[b], first) ^ v[a], rotated(v[d], second) ^ v[c]
                v[a] = rotated(v[a], 32)

    padded = text + bytes(-(len(text) + 1) % 8) + bytes([len(text) & 0xff])
    for (word,) in struct.iter_unpack('<Q', padded):
        v[3] ^= word
        mix(2)
        v[0] ^= word
    v[2] ^= 0xff
    mix(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def key_of(number):
    """Two steps of SplitMix64."""
    mask = (1 << 64) - 1
    for step in (1, 2):
        word = number + step * 0x9e3779b97f4a7c15 & mask
        word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9 & mask
        word = (word ^ word >> 27) * 0x94d049bb133111eb & mask
        yield word ^ word >> 31


def not_found(t, vm, hidden, seen):
    """@hidden and @seen: bytes to look for; those in @seen must occur."""
    for where, look in (('mappings', vm.in_address_space), ('pmemsave', vm.in_pmemsave)):
        found = look(*hidden, seen)
        t.equal(found[:-1], [0] * len(hidden), 'secrets in ' + where)
        t.true(found[-1] >= 16 * PAGE // 32, '%d of what is shared in %s' % (found[-1], where))


@suite.test('secrets of processes are not found from the host, a neighbour\'s shared page is')
def _(t):
    vm = ONLY.get()
    t.equal(vm.private(), 0, 'private pages before')
    one, many, shared, number = seeds(4)
    key = tuple(key_of(number))
    vm.says(t, '(echo hello; sleep 100000) | private-key %d >/tmp/key 2>&1 &' % number)
    pids = [vm.hold(t, 'hold', 16, one), vm.hold(t, 'open', 16, shared), vm.hold(t, 'hold', 1300, many)]
    vm.says(t, 'until [ -s /tmp/key ]; do sleep 1; done; cat /tmp/key', '%016x' % siphash(key, b'hello'))
    t.equal(vm.private(), 16 + 1300 + 1, 'private pages')
    hidden = [pattern(one), pattern(many), struct.pack('<2Q', *key)]
    not_found(t, vm, hidden, pattern(shared))
    vm.holds(t, pids[0], 16, one)
    vm.holds(t, pids[2], 1300, many)
    vm.says(t, 'killall sleep; while pidof private-key >/dev/null; do sleep 1; done')
    t.equal(vm.private(), 16 + 1300, 'private pages after the key\'s end')
    vm.end(pids[0], pids[2])
    t.equal(vm.private(), 0, 'private pages after all')
    not_found(t, vm, hidden, pattern(shared))
    vm.end(pids[1])


@suite.test('fork, munmap, mremap: pages are their owner\'s, and the last of them gives all back')
def _(t):
    vm = ONLY.get()
    seed, = seeds(1)
    vm.says(t, 'gmem-secrets fork 8 %d' % seed, 'child %d' % SIGSEGV, 'kept 8')
    vm.says(t, 'gmem-secrets split 1800 %d' % seed, 'kept 600', 'kept 600', 'grow %d' % EFAULT)
    t.equal(vm.private(), 0, 'private pages')
    t.equal(vm.in_address_space(pattern(seed)), [0], 'what is left in QEMU')


@suite.test('O_DIRECT, vmsplice, process_vm_readv, ptrace and a private mapping are refused')
def _(t):
    vm = ONLY.get()
    seed, = seeds(1)
    vm.says(t, 'gmem-secrets refused 4 %d /dev/vda' % seed,
            *('%s %d' % (what, EFAULT) for what in ('direct-read', 'direct-write', 'vmsplice', 'process_vm_readv')),
            'mem %d' % EIO, 'private-mapping %d' % EINVAL, 'ptrace %d' % EIO, 'write 0', 'kept 4')
    t.equal(vm.private(), 0, 'private pages')


@suite.test('out of memory: ENOMEM for who asks, and a holder that is killed leaves nothing')
def _(t):
    vm = ONLY.get()
    seed, = seeds(1)
    within = 'sh -c "echo 0 >/cg/a/cgroup.procs; exec %s"'
    vm.says(t, 'mkdir /cg && mount -t cgroup2 cgroup2 /cg && echo +memory >/cg/cgroup.subtree_control && '
            'mkdir /cg/a && echo 32M >/cg/a/memory.max')
    status, said = vm.run(within % ('gmem-secrets hold 16384 %d' % seed))
    t.equal((status, said), (1, 'mmap: Cannot allocate memory\n'), 'more than its cgroup may have')
    t.equal(vm.private(), 0, 'private pages after it')
    pid = vm.hold(t, 'hold', 4096, seed, within)
    vm.says(t, 'echo 1000 >/proc/%s/oom_score_adj' % pid)
    t.equal(vm.private(), 4096, 'private pages')
    vm.run(within % 'tail -c 64m /dev/zero')
    t.true(vm.run('[ -e /proc/%s ]' % pid)[0], 'the holder is alive')
    t.matches(vm.run('cat /cg/a/memory.events')[1], r'\boom_kill [1-9]', 'events')
    t.equal(vm.private(), 0, 'private pages after its end')
    t.equal(vm.in_address_space(pattern(seed)), [0], 'what is left in QEMU')


@suite.test('conversions while memory is short')
def _(t):
    vm = ONLY.get()
    vm.says(t, 'mount -o remount,size=55% /tmp')
    vm.says(t, 'while :; do cat /dev/zero >/tmp/full; rm /tmp/full; done 2>/dev/null &')
    filler = vm.run('echo $!')[1].strip()
    said = vm.run('gmem-secrets churn 30 1024 %d' % seeds(1)[0])[1].split()
    t.equal((said[0], said[2], int(said[1]) + int(said[3])), ('good', 'none', 30), 'rounds')
    t.true(int(said[1]) > 0, 'no round had memory')
    print('# %s of 30 rounds had memory' % said[1])
    vm.end(filler)
    # Its cat would fill the file system once more.
    vm.run('killall -q -9 cat; while pidof cat; do sleep 1; done; rm -f /tmp/full')
    t.equal(vm.private(), 0, 'private pages')


@suite.test('the module cannot be unloaded in use, and leaves nothing')
def _(t):
    vm = ONLY.get()
    seed, = seeds(1)
    pid = vm.hold(t, 'hold', 16, seed)
    t.true(vm.run('rmmod private_memory 2>/dev/null')[0], 'it was unloaded')
    vm.holds(t, pid, 16, seed)
    vm.end(pid)
    vm.says(t, 'rmmod private_memory && [ ! -e /dev/private-memory ]')
    t.equal(vm.private(), 0, 'private pages')
    vm.says(t, 'insmod /bin/private_memory.ko && [ -c /dev/private-memory ]')


def starts_again(t, how):
    vm = ONLY.get()
    secret, = seeds(1)
    vm.hold(t, 'hold', 700, secret)
    t.equal(vm.private(), 700, 'private pages')
    how(vm)
    vm.booted()
    t.equal(vm.private(), 0, 'private pages after it')
    t.equal(vm.in_address_space(pattern(secret)), [0], 'what is left in QEMU')
    # It has all of its memory again.
    known, = seeds(1)
    vm.end(vm.hold(t, 'hold', 700, known))


@suite.test('a reboot leaves nothing private')
def _(t):
    starts_again(t, lambda vm: vm.send('reboot -f'))


@suite.test('a reset from the host leaves nothing private')
def _(t):
    starts_again(t, lambda vm: vm.client.reset('vm'))


@suite.test('kexec leaves nothing private')
def _(t):
    line = gmem_linux.COMMAND_LINE + ' second=yes'
    starts_again(t, lambda vm: vm.send('gmem-secrets kexec /bin/vmlinuz /bin/again "%s"' % line))
    t.has(ONLY.get().run('cat /proc/cmdline')[1], line, 'its command line')


@suite.test('a core of QEMU\'s has no secret')
def _(t):
    vm = ONLY.get()
    secret, shared = seeds(2)
    vm.hold(t, 'hold', 16, secret)
    vm.hold(t, 'open', 16, shared)
    hidden, seen = vm.in_core(pattern(secret), pattern(shared))
    t.equal(hidden, 0, 'secrets')
    t.true(seen >= 16 * PAGE // 32, '%d of what is shared' % seen)
    ONLY.stack.close()


@suite.test('a gigabyte is private at once')
def _(t):
    pages = 1 << 18
    with daemon() as (rig, client):
        vm = Machine(rig, client, (704, 704))
        seed, = seeds(1)
        pid = vm.hold(t, 'hold', pages, seed)
        t.equal(vm.private(), pages, 'private pages')
        vm.holds(t, pid, pages, seed)
        vm.end(pid)
        t.equal(vm.private(), 0, 'private pages after its end')
        t.true(vm.emulator.alive, 'QEMU has ended')


if __name__ == '__main__':
    try:
        raise SystemExit(suite.run(need_root()))
    finally:
        ONLY.stack.close()
