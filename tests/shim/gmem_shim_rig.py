#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_shim_rig.py: runs QEMU and smaller programs under the shim and looks at them from outside.

usage of the tests: test_NAME.py BUILD-DIRECTORY
"""

import contextlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import gmem_tap  # noqa: E402  pylint: disable=wrong-import-position
from gmem_tap import Skip  # noqa: E402  pylint: disable=wrong-import-position

QEMU = os.environ.get('GMEM_TEST_QEMU', '/usr/bin/qemu-system-x86_64')
BUILD = os.path.abspath(sys.argv[1])
SHIM = os.path.join(BUILD, 'src/shim/qemu-gmem.so')
ACTOR = os.path.join(BUILD, 'tests/shim/shim-actor')
ACTOR_NO_PLT = ACTOR + '-no-plt'
FAULTS = os.path.join(BUILD, 'tests/shim/shim-faults.so')
FRONT = os.path.join(BUILD, 'tests/shim/shim-front.so')
WRAPPER = os.path.join(BUILD, 'tests/shim/shim-wrapper')
GUEST = os.path.join(BUILD, 'tests/guest/gmem-guest.rom')
GUEST_DISK = os.path.join(BUILD, 'tests/guest/gmem-guest.img')

MIB = 1024 * 1024

# Nothing here measures time. This only says when to give up on the slowest machine.
PATIENCE = 300


def config(sizes):
    """The shim's configuration for RAM of these sizes in MiB."""
    return 'version=1,mode=fully-shared,backends=%d,ram=%d' % (len(sizes), sum(sizes) * MIB)


def environment(preload=(SHIM,), **more):
    env = dict(os.environ, LC_ALL='C')
    env.pop('LD_PRELOAD', None)
    if preload:
        env['LD_PRELOAD'] = ':'.join(preload)
    env.update(more)
    return env


def run(argv, env=None, timeout=PATIENCE):
    """Runs a program to its end; returns exit status, stdout, stderr."""
    done = subprocess.run(argv, env=env or environment(), stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=timeout, errors='replace')
    return done.returncode, done.stdout, done.stderr


def require(condition, *what):
    if not condition:
        raise AssertionError(' '.join(str(word) for word in what))


def require_in(needle, text):
    require(needle in text, 'expected', repr(needle), 'in', repr(text))


def require_not_in(needle, text):
    require(needle not in text, 'unexpected', repr(needle), 'in', repr(text))


def require_kvm():
    """Skips without a KVM with a guest_memfd that can be all of a guest's RAM, determined without
    the project."""
    import fcntl
    try:
        kvm = os.open('/dev/kvm', os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise Skip('/dev/kvm: %s' % error.strerror)
    vm = fcntl.ioctl(kvm, 0xae01, 0)
    flags = fcntl.ioctl(vm, 0xae03, 244)
    os.close(vm)
    os.close(kvm)
    if flags & 3 != 3:
        raise Skip('KVM has no guest_memfd that can be mapped and shared (flags %d)' % flags)
    if not os.access(QEMU, os.X_OK):
        raise Skip('no %s' % QEMU)


def main(tests):
    """Runs the functions, and prints TAP."""
    sys.exit(gmem_tap.run(tests))


class Mapping:
    def __init__(self, line):
        match = re.match(r'([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+\s*(.*)', line)
        self.start = int(match.group(1), 16)
        self.size = int(match.group(2), 16) - self.start
        self.writable = 'w' in match.group(3)
        self.path = match.group(4)
        self.resident = 0


def mappings(pid):
    found = []
    with open('/proc/%d/smaps' % pid) as file:
        for line in file:
            if re.match(r'[0-9a-f]+-', line):
                found.append(Mapping(line))
            elif line.startswith('Rss:'):
                found[-1].resident = int(line.split()[1]) * 1024
    return found


def descriptors(pid):
    links = []
    for number in os.listdir('/proc/%d/fd' % pid):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink('/proc/%d/fd/%s' % (pid, number)))
    return links


def published(pid):
    """What the shim publishes, in the layout of src/util/gmemshimstatus.h: the head of version 2."""
    for number in os.listdir('/proc/%d/fd' % pid):
        path = '/proc/%d/fd/%s' % (pid, number)
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(path) == '/memfd:libvirt-gmem-status (deleted)':
                with open(path, 'rb') as file:
                    head = struct.unpack('8sII6QIIQQ', file.read(88))
                return {'magic': head[0], 'version': head[1], 'backends': head[2], 'mode': head[9],
                        'verified': head[10], 'ram': head[11], 'held': head[12]}
    return None


def require_guest_memfd(pid, sizes):
    """The process's RAM consists of guest_memfds of these sizes (MiB), and no other mapping could be
    RAM.

    The size alone says little about other mappings: since glibc 2.42, the stacks of QEMU's threads,
    8 MiB each, form one mapping. What is resident says more, because the guest writes all of its
    RAM.
    """
    wanted = sorted(size * MIB for size in sizes)
    maps = mappings(pid)
    found = sorted(mapping.size for mapping in maps if '[kvm-gmem]' in mapping.path)
    require(found == wanted, 'mapped guest_memfds', found, 'not', wanted)
    others = [mapping for mapping in maps
              if mapping.writable and '[kvm-gmem]' not in mapping.path
              and mapping.resident >= wanted[0] // 2]
    require(not others, 'in use as much as a backend:', [vars(mapping) for mapping in others])
    links = descriptors(pid)
    count = len([link for link in links if '[kvm-gmem]' in link])
    require(count == len(sizes), count, 'descriptors of guest_memfds, not', len(sizes))
    left = [link for link in links if 'memory-backend-memfd' in link]
    require(not left, 'memfds left:', left)


class QMP:
    def __init__(self, path, process):
        deadline = time.monotonic() + PATIENCE
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                require(process.poll() is None, 'QEMU has ended')
                require(time.monotonic() < deadline, 'no QMP socket')
                time.sleep(0.02)
        self.file = self.socket.makefile('rw')
        self.file.readline()
        self('qmp_capabilities')

    def raw(self, command, arguments):
        request = {'execute': command}
        if arguments:
            request['arguments'] = arguments
        self.file.write(json.dumps(request) + '\n')
        self.file.flush()
        self.socket.settimeout(PATIENCE)
        while True:
            line = self.file.readline()
            require(line, 'QEMU closed its monitor at', command)
            reply = json.loads(line)
            if 'event' not in reply:
                return reply

    def __call__(self, command, **arguments):
        arguments = {name.replace('_', '-'): value for name, value in arguments.items()}
        reply = self.raw(command, arguments)
        require('return' in reply, command, reply)
        return reply['return']


class Emulator:
    """A QEMU under the shim, as a context that ends it, whatever happens.

    sizes: MiB of each RAM backend; dimms: of each that is plugged in from the start; guest: the
    payload, as firmware or, where it is 'disk', booted by SeaBIOS
    """

    def __init__(self, sizes, *options, machine='q35', dimms=(), emulator=QEMU, preload=(SHIM,),
                 pair=None, backend='', paused=True, guest=False, faults=None, maxmem=False,
                 variables=None):
        self.directory = tempfile.mkdtemp(prefix='gmem-shim-')
        self.sizes = list(sizes) + list(dimms)
        self.serial = os.path.join(self.directory, 'serial')
        self.log = os.path.join(self.directory, 'log')
        self.monitor = os.path.join(self.directory, 'qmp')
        self.qmp = None

        argv = [emulator, '-accel', 'kvm', '-nodefaults', '-no-user-config', '-display', 'none',
                '-serial', 'file:' + self.serial,
                '-qmp', 'unix:%s,server=on,wait=off' % self.monitor]
        argv += pair if pair is not None else ['-x-libvirt-gmem', config(self.sizes)]
        memory = str(sum(sizes))
        if dimms or maxmem:
            memory += ',slots=8,maxmem=8G'
        argv += ['-m', memory]
        for number, size in enumerate(sizes):
            argv += ['-object', 'memory-backend-memfd,id=ram%d,share=on,size=%dM%s'
                     % (number, size, backend)]
        if len(sizes) == 1 and not dimms and not maxmem:
            argv += ['-machine', machine + ',memory-backend=ram0']
        else:
            argv += ['-machine', machine]
            for number in range(len(sizes)):
                argv += ['-numa', 'node,memdev=ram%d' % number]
        for number, size in enumerate(dimms):
            argv += ['-object', 'memory-backend-memfd,id=mem%d,share=on,size=%dM%s'
                     % (number, size, backend), '-device', 'pc-dimm,memdev=mem%d' % number]
        if guest == 'disk':
            argv += ['-drive', 'file=%s,format=raw,snapshot=on,if=ide' % GUEST_DISK]
        elif guest:
            argv += ['-bios', GUEST]
        if paused:
            argv += ['-S']
        argv += options

        env = environment(preload, GMEM_TEST_EMULATOR=QEMU, **(variables or {}))
        if faults is not None:
            env['LD_PRELOAD'] += ':' + FAULTS
            env['GMEM_TEST_FAULTS'] = faults
        with open(self.log, 'w') as log:
            self.process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def connect(self):
        try:
            self.qmp = QMP(self.monitor, self.process)
        except Exception:
            sys.stdout.write(''.join('# %s\n' % line for line in self.said().splitlines()))
            raise
        return self.qmp

    def said(self):
        with open(self.log, errors='replace') as file:
            return file.read()

    def wait_said(self, text):
        """Waits until this is in the log, because a vCPU may be slower than the monitor's answer."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.said():
            require(self.process.poll() is None, 'QEMU ended:', self.said())
            require(time.monotonic() < deadline, 'never said', text, 'but', self.said())
            time.sleep(0.02)

    def wait_serial(self, pattern, after=0):
        """Waits until the guest has written something; returns the position after it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            text = self.serial_text()
            match = re.compile(pattern).search(text, after)
            if match:
                return match.end()
            require_not_in('BAD', text)
            require(self.process.poll() is None, 'QEMU ended:', self.said())
            require(time.monotonic() < deadline, 'the guest never said', pattern, 'but', text)
            time.sleep(0.05)

    def serial_text(self):
        try:
            with open(self.serial, errors='replace') as file:
                return file.read()
        except FileNotFoundError:
            return ''

    def guest_memfds(self):
        """The sizes in bytes of the guest_memfds that are mapped."""
        return [mapping.size for mapping in mappings(self.pid) if '[kvm-gmem]' in mapping.path]

    def ends(self):
        """Waits until QEMU ends by itself; returns its exit status and what it printed."""
        self.process.wait(PATIENCE)
        return self.process.returncode, self.said()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory)
