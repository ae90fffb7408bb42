# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_private.py: convertible domains for tests: the guest that converts, and what the host can see.

The guest is tests/guest/gmem-private.S, which accepts commands over its serial port. What the host can see of
its memory is looked for in QEMU's address space, in a core dump, and in what QEMU itself saves. The memory
cgroup into which QEMU is put before the guest runs says how much memory there is.
"""

import contextlib
import glob
import json
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import time
import xml.etree.ElementTree as ET

from gmem_rig import BUILD, KIB, MIB, PATIENCE, DaemonRig, Failure, domain, library, wait_for

TOOL = os.path.join(BUILD, 'tools', 'virt-gmem')
PAYLOAD = os.path.join(BUILD, 'tests', 'guest', 'gmem-private')
CGROUPS = '/sys/fs/cgroup'
PAGE = 4096
EINVAL = -22
START_PAUSED = 1  # VIR_DOMAIN_START_PAUSED

# The kernel of the rig. Kernels before 6.18 have no guest_memfd for ordinary VMs, so none that can be mapped
# and none that keeps a NUMA policy.
LINUX = tuple(int(number) for number in os.uname().release.split('.')[:2])
WHY_OLD = ('guest_memfd of Linux %d.%d is for software-protected VMs only and cannot be mapped' % LINUX
           if LINUX < (6, 18) else None)

# The same as in the guest's source.
_ONE = (0x6c62272e, 0x07bb0142, 0xa17b4f93, 0x5e2dc8f1)
_TWO = (0x1b873593, 0xcc9e2d51, 0x38b34ae5, 0x97d0e6ab)
BLOCKS = PAGE // 32


def pattern(seed):
    """The 16 bytes that the guest repeats, with other bytes in between, in pages with that seed."""
    def rotated(count):
        return (seed << count | seed >> 32 - count) & 0xffffffff
    return struct.pack('<4I', *(one ^ rotated(8 * i) ^ two
                                for i, (one, two) in enumerate(zip(_ONE, _TWO))))


def seeds(count):
    """Different seeds each time, so that nothing from an earlier run can be found."""
    return random.SystemRandom().sample(range(1, 1 << 32), count)


def middle(cell, pages):
    """An address of that many pages in the middle of a cell."""
    start, end = cell
    return (start + end - pages * PAGE) // 2 // PAGE * PAGE


@contextlib.contextmanager
def daemon():
    with DaemonRig(library()) as rig:
        yield rig, rig.virsh()


class Guest:
    """The payload, at the other end of the socket that is its serial port (outer path)."""

    def __init__(self, path):
        self.text = ''
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(1)
        self.socket.connect(path)

    def close(self):
        self.socket.close()

    def until(self, wanted, patience):
        """Reads until @wanted, a pattern, occurs; returns the match and discards the text up to it."""
        end = time.monotonic() + patience
        while True:
            found = re.search(wanted, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            if 'stopped by exception' in self.text:
                raise Failure('the guest was stopped:\n' + self.text)
            if time.monotonic() > end:
                raise Failure('the guest said nothing like %r within %d s, but:\n%s'
                              % (wanted, patience, self.text))
            try:
                received = self.socket.recv(4096)
            except socket.timeout:
                continue
            if not received:
                raise Failure('the serial port was closed; the last was:\n' + self.text)
            self.text += received.decode('ascii', 'replace').replace('\r', '')

    def wait_ready(self):
        """Waits until it accepts commands: {'start': 'rom' …, 'cpus': '2', 'ram': …, 'cells': [(start,
        end)]}."""
        lines = self.until(r'(?s)gmem-private: start .*?gmem-private: ready\n', PATIENCE).group(0)
        found = dict(re.findall(r'(?m)^gmem-private: (start|cpus|hypercall|ram) (.*)$', lines))
        found['cells'] = [(int(start, 16), int(end, 16)) for start, end in
                          re.findall(r'(?m)^gmem-private: cell \d (\w+) (\w+)$', lines)]
        return found

    def tell(self, verb, *arguments):
        line = ' '.join([verb, *('%x' % a for a in arguments)])
        self.socket.sendall(line.encode() + b'\n')
        return line

    def ask(self, verb, *arguments, patience=PATIENCE):
        """The results of a command; a single one as a number with its sign."""
        line = self.tell(verb, *arguments)
        words = self.until(r'gmem-private: %s (= [\w ]+|\?)\n' % line, patience).group(1).split()[1:]
        if not words:
            raise Failure('the guest does not know %r' % line)
        if len(words) > 1:
            return [int(word, 16) for word in words]
        return struct.unpack('>i', bytes.fromhex(words[0]))[0]

    def private(self, address, pages):
        return self.ask('p', address, pages)

    def shared(self, address, pages):
        return self.ask('s', address, pages)

    def write(self, address, pages, seed):
        return self.ask('w', address, pages, seed)

    def verify(self, address, pages, seed):
        """The number of pages that contain what was written with that seed, each at its own address."""
        return self.ask('v', address, pages, seed)

    def zeros(self, address, pages):
        return self.ask('z', address, pages)


class Seen:
    """What the host sees of a running domain; @sizes: of its cells, in bytes."""

    def __init__(self, rig, client, name, sizes):
        self.rig, self.client, self.name, self.sizes = rig, client, name, sizes
        self.emulator = rig.emulator(name)
        self.pid = self.emulator.pid

    def status(self):
        """What virt-gmem status shows of it."""
        return status(self.name)[0]

    def in_address_space(self, *wanted):
        """How often each of those bytes occurs in everything that QEMU has mapped."""
        counts = [0] * len(wanted)
        for start, end in _mappings(self.pid):
            for piece in _pieces(self.pid, start, end):
                counts = [c + piece.count(w) for c, w in zip(counts, wanted)]
        return counts

    def in_pmemsave(self, *wanted):
        """How often each occurs in what QEMU saves as all of the guest's memory."""
        path = '/run/%s.pmem' % self.name
        command = 'pmemsave 0 0x%x "%s"' % (sum(self.sizes), path)
        if self.client.kind == 'python':
            said = self.client.call(self.name, 'monitor', command, 1)  # …_MONITOR_COMMAND_HMP
        else:
            said = self.client.virsh('qemu-monitor-command', self.name, '--hmp', command)
        if said.strip():
            raise Failure('pmemsave: ' + said)
        return _in_file(self.rig.outer(path), wanted, sum(self.sizes))

    def in_core(self, *wanted):
        """Ends QEMU with a signal that makes it dump core, with all of its mappings."""
        with open('/proc/sys/kernel/core_pattern', encoding='ascii') as file:
            former = file.read()
        for path, text in (('/proc/sys/kernel/core_pattern', '/run/core.%p'),
                           ('/proc/sys/fs/suid_dumpable', '1'),
                           ('/proc/%d/coredump_filter' % self.pid, '0xff')):
            with open(path, 'w', encoding='ascii') as file:
                file.write(text)
        try:
            subprocess.run(['prlimit', '--core=unlimited', '--pid', str(self.pid)], check=True)
            self.emulator.kill(6)
            wait_for(lambda: not self.emulator.alive, 'QEMU to have dumped core')
        finally:
            with open('/proc/sys/kernel/core_pattern', 'w', encoding='ascii') as file:
                file.write(former)
        found = glob.glob(self.rig.outer('/run') + '/core.*')
        if len(found) != 1:
            raise Failure('%d core dumps' % len(found))
        return _in_file(found[0], wanted, sum(self.sizes) // 2)


class Running(Seen):
    """A convertible domain with the payload, from before its first instruction.

    @boot: 'rom', or 'disk' by the BIOS; @cells: MiB. @counted: from then on, its QEMU is in its own cgroup
    (.charged(), .peak()). What QEMU had allocated before is charged elsewhere, so only the guest's memory and
    what it takes to run the guest are counted."""

    def __init__(self, rig, client, name='vm', machine='q35', boot='rom', cells=(20, 24), more='',
                 launch='sw-protected', private=False, counted=True, **options):
        image = '/run/%s.%s' % (name, 'rom' if boot == 'rom' else 'img')
        shutil.copyfile(PAYLOAD + os.path.splitext(image)[1], rig.outer(image))
        serial = '/run/%s.serial' % name
        devices = "<serial type='unix'><source mode='bind' path='%s'/></serial>" % serial
        text = domain(name, machine=machine, vcpus=2, private=private, launch=launch, boot=image,
                      cells=[size * KIB for size in cells], devices=devices + more, **options)
        client.define(dump_core(text))
        if client.kind == 'python':
            client.call(name, 'createWithFlags', START_PAUSED)
        else:
            client.virsh('start', '--paused', name)
        super().__init__(rig, client, name, [size * MIB for size in cells])
        self.group = os.path.join(CGROUPS, 'gmem-%d' % self.pid) if counted else None
        if counted:
            os.mkdir(self.group)
            with open(os.path.join(self.group, 'cgroup.procs'), 'w', encoding='ascii') as file:
                file.write(str(self.pid))
        self.guest = Guest(rig.outer(serial))
        if client.kind == 'python':
            client.call(name, 'resume')
        else:
            client.virsh('resume', name)
        self.said = self.guest.wait_ready()
        self.cells = self.said['cells']

    def close(self):
        self.guest.close()
        if self.emulator.alive:
            self.client.destroy(self.name)
        self.client.undefine(self.name)
        if self.group:
            wait_for(lambda: not self._count('cgroup.procs', whole=True), 'the cgroup to be empty')
            os.rmdir(self.group)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- accounting ----

    def _count(self, name, whole=False):
        with open(os.path.join(self.group, name), encoding='ascii') as file:
            text = file.read()
        return text.strip() if whole else int(text)

    def charged(self):
        return self._count('memory.current')

    def peak(self):
        """The peak of the charge since peak_from_now()'s descriptor was written to."""
        self._peak.seek(0)
        return int(self._peak.read())

    def peak_from_now(self):
        # Linux 6.12: writing to a descriptor resets the peak for that descriptor.
        self._peak = open(os.path.join(self.group, 'memory.peak'), 'r+', encoding='ascii')
        self._peak.write('0\n')
        self._peak.flush()

    def nodes(self, kind='file'):
        """{host node: bytes} of the charged memory of that kind; guest_memfd is 'file'."""
        text = self._count('memory.numa_stat', whole=True)
        line = re.search(r'(?m)^%s (.*)$' % kind, text).group(1)
        return {int(n): int(size) for n, size in re.findall(r'N(\d+)=(\d+)', line)}


def dump_core(text):
    """libvirt excludes the guest's memory from core dumps unless configured otherwise."""
    root = ET.fromstring(text)
    root.find('memory').set('dumpCore', 'on')
    return ET.tostring(root, encoding='unicode')


def _mappings(pid):
    """(start, end) of all mappings except those that nobody may access and that are empty: space that malloc
    has reserved, and guards of stacks."""
    with open('/proc/%d/smaps' % pid, encoding='utf-8', errors='replace') as file:
        found = re.findall(r'(?m)^(\w+)-(\w+) (\S+) .*?(\S+) *\n(?:\w+: .*\n)*?Rss: *(\d+) kB$', file.read())
    for start, end, perms, name, resident in found:
        if name not in ('[vsyscall]', '[vvar]') and ('r' in perms or int(resident)):
            yield int(start, 16), int(end, 16)


def _pieces(pid, start, end, size=4 * MIB, overlap=15):
    """All readable memory, in pieces that overlap, so that nothing is missed because it is cut in two."""
    unread = 0
    with open('/proc/%d/mem' % pid, 'rb', buffering=0) as file:
        tail, at = b'', start
        while at < end:
            try:
                file.seek(at)
                piece = file.read(min(size, end - at))
            except OSError:
                piece = b''
            if piece:
                yield tail + piece
                tail, at = piece[-overlap:], at + len(piece)
                continue
            tail, at, unread = b'', at + PAGE, unread + PAGE
            # The kernel does not count the pages that KVM shares with QEMU, some for each vCPU, as memory.
            if unread > MIB:
                raise Failure('%#x - %#x of QEMU cannot be read' % (start, end))


def _in_file(path, wanted, least):
    """Counts in a file of at least @least bytes, and removes the file."""
    with open(path, 'rb') as file:
        data = file.read()
    os.unlink(path)
    if len(data) < least:
        raise Failure('%s has %d bytes only' % (path, len(data)))
    return [data.count(w) for w in wanted]


def status(*names):
    done = subprocess.run([TOOL, 'status', '--json', *names], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, timeout=PATIENCE)
    if done.returncode:
        raise Failure('virt-gmem status: exit status %d: %s' % (done.returncode, done.stderr))
    return json.loads(done.stdout)
