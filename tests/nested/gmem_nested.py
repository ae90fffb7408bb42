#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_nested.py: runs a command on an emulated machine with a kernel of our own, without KVM.

QEMU emulates the machine without any help from hardware. Its processor (-cpu max) has SVM with nested
paging, so KVM works in it. Its root is this machine's, read-only over 9p under an overlay in memory, so
the command finds the same programs, libraries and build tree, and does not change any of them.
Alternatively, it is a directory with the root of another release.

    result = Machine(image, nodes=2).run('build/tools/virt-gmem host', minutes=5)
    result.status, result.output, result.console

From a shell, gmem_nested.py [OPTION…] -- COMMAND [ARGUMENT…] runs the command in the current directory, and
exits with the command's status, or with 125 if the machine did not run it to its end.
"""

import argparse
import collections
import ctypes
import mmap
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
INIT = 'tests/nested/init'
QEMU = 'qemu-system-x86_64'
SHARE = '/run/gmem-nested'  # in the machine; see init

# What the kernel prints when it cannot continue. With panic=-1 it then restarts, and QEMU ends.
PANIC = re.compile(r'Kernel panic - not syncing|Unable to mount root fs|Attempted to kill init')
# The machine continues, but somebody should know.
COMPLAINT = re.compile(r'\b(?:BUG|WARNING|Oops|general protection fault|rcu: INFO|Out of memory):.*'
                       r'|.*oom-kill.*|.*soft lockup.*')

Result = collections.namedtuple('Result', 'status output console booted seconds complaints')


class MachineError(Exception):
    """The machine did not run the command to its end; the text says what happened.

    output: what the command had printed by then."""

    def __init__(self, text, output):
        super().__init__(text)
        self.output = output


def tsc_khz(seconds=0.2):
    """The frequency of this machine's time stamp counter, which the emulation passes on as its own."""
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as code:
        code.write(b'\x0f\x31'            # rdtsc
                   b'\x48\xc1\xe2\x20'    # shl $32, %rdx
                   b'\x48\x09\xd0'        # or %rdx, %rax
                   b'\xc3')               # ret
        start = ctypes.c_char.from_buffer(code)
        read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(start))
        # Measured between two readings of the clock that are as close to the counter's as possible.
        def look():
            return min((time.monotonic() - before, before, read()) for before in
                       (time.monotonic() for _ in range(20)))[1:]
        first = look()
        time.sleep(seconds)
        second = look()
        del start
    return round((second[1] - first[1]) / (second[0] - first[0]) / 1000)


class Machine:
    """One kind of machine. @memory in MiB, distributed evenly over @nodes NUMA nodes, the first of which has the
    processors; @hugepages: of 2 MiB.

    The machine has one processor because of QEMU (7.2): when another one has to run, it sometimes delivers an interrupt
    again that KVM had injected into its guest, even in the middle of a handler. All of QEMU's threads run on one
    processor of ours: its emulation of SVM changes a word of pending interrupts that other threads change, too, and a
    lost one may have been the timer's.

    @root: the directory that is the machine's root; @source: where this tree is in there; @shared: a
    directory that the machine can write, at its own path there."""

    def __init__(self, kernel, *, nodes=1, memory=4096, cpus=1, hugepages=0, append=(),
                 root='/', source=SOURCE, shared=None):
        self.kernel = kernel
        self.root = root
        self.init = os.path.join(source, INIT)
        self.nodes = nodes
        self.memory = memory // nodes * nodes
        self.cpus = cpus
        self.hugepages = hugepages
        self.append = list(append)
        self.shared = shared

    def kernel_arguments(self):
        arguments = [
            'root=gmem-root', 'rootfstype=9p', 'ro',
            # Loose caching: what others change in the meantime may be seen late, or never.
            'rootflags=trans=virtio,version=9p2000.L,msize=512000,cache=loose,access=client',
            'init=' + self.init, 'console=ttyS0', 'panic=-1', 'loglevel=5',
            # The emulated clock is steady. Measuring it against another one takes long, and gives random results if
            # this machine is busy: its time has been seen to pass twice as fast as ours.
            'tsc=reliable', 'tsc_early_khz=%d' % tsc_khz(), 'no_timer_check', 'lpj=10000000',
            # On a busy machine, a processor of the emulated one may not run for a while.
            'rcupdate.rcu_cpu_stall_timeout=240',
        ]
        if self.hugepages:
            arguments.append('hugepages=%d' % self.hugepages)
        return arguments + self.append

    def argv(self, share, console, terminal=False):
        each = self.memory // self.nodes
        argv = [
            QEMU, '-accel', 'tcg', '-cpu', 'max', '-machine', 'q35,usb=off,vmport=off',
            '-smp', str(self.cpus), '-m', '%dM' % self.memory,
            '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-monitor', 'none',
            '-chardev', 'file,id=console,path=' + console.replace(',', ',,'),
            '-serial', 'chardev:console',
            '-object', 'rng-random,id=rng,filename=/dev/urandom',
            '-device', 'virtio-rng-pci,rng=rng',
            '-fsdev', 'local,id=root,security_model=none,readonly=on,multidevs=remap,path=' + self.root.replace(',', ',,'),
            '-device', 'virtio-9p-pci,fsdev=root,mount_tag=gmem-root',
            '-fsdev', 'local,id=share,security_model=none,path=' + share.replace(',', ',,'),
            '-device', 'virtio-9p-pci,fsdev=share,mount_tag=gmem-share',
            '-kernel', self.kernel, '-append', ' '.join(self.kernel_arguments()),
        ]
        if self.shared:
            argv += ['-fsdev', 'local,id=own,security_model=none,multidevs=remap,path='
                     + self.shared.replace(',', ',,'),
                     '-device', 'virtio-9p-pci,fsdev=own,mount_tag=gmem-own']
        if terminal:
            # Raw mode, including Ctrl-C: all keys go to the machine.
            argv += ['-chardev', 'stdio,id=terminal,signal=off', '-device', 'virtio-serial-pci',
                     '-device', 'virtconsole,chardev=terminal']
        if self.nodes > 1:
            for node in range(self.nodes):
                cpus = '' if node else ',cpus=0-%d' % (self.cpus - 1)
                argv += ['-object', 'memory-backend-ram,id=node%d,size=%dM' % (node, each),
                         '-numa', 'node,nodeid=%d,memdev=node%d%s' % (node, node, cpus)]
        return argv

    def run(self, command, *, files=None, minutes=10, follow=None, terminal=False):
        """Runs @command (text for sh) and returns a Result; raises MachineError if it does not come to its end.

        @files: a directory for what is shared (SHARE in the machine), created if it does not exist, and kept; by
        default it is temporary. @follow: called with each new piece of output. @terminal: the command uses our standard
        input and output, which are a terminal, and there is no output."""
        with tempfile.TemporaryDirectory(prefix='gmem-nested-') as temporary:
            share = files or temporary
            os.makedirs(share, exist_ok=True)
            return self._run(command, os.path.abspath(share), minutes, follow, terminal)

    def _mount(self):
        """Text for sh that mounts the shared directory at its path."""
        if not self.shared:
            return ''
        path = shlex.quote(self.shared)
        # "mmap" is "none" for clients that do not map files for writing; dpkg and git do.
        return ('mkdir -p %s && mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=mmap '
                'gmem-own %s || exit\n' % (path, path))

    def _run(self, command, share, minutes, follow, terminal):
        paths = {name: os.path.join(share, name)
                 for name in ('command', 'output', 'status', 'booted', 'console', 'terminal')}
        for path in paths.values():
            if os.path.exists(path):
                os.unlink(path)
        _write(paths['command'], self._mount() + command + '\n')
        if terminal:
            _write(paths['terminal'], '')
        begin = time.monotonic()
        end = begin + 60 * minutes
        # pdeathsig: however this process ends, the machine ends too.
        argv = ['setpriv', '--pdeathsig', 'KILL',
                'taskset', '--cpu-list', str(random.choice(sorted(os.sched_getaffinity(0)))),
                *self.argv(share, paths['console'], terminal)]
        process = subprocess.Popen(argv, stdin=None if terminal else subprocess.DEVNULL,
                                   stdout=None if terminal else subprocess.PIPE,
                                   stderr=subprocess.PIPE if terminal else subprocess.STDOUT)
        told = 0
        try:
            while process.poll() is None and time.monotonic() < end:
                time.sleep(0.2)
                told = _tell(paths['output'], told, follow)
            late = process.poll() is None
        finally:
            if process.poll() is None:
                process.kill()
            said = ''.join((text or b'').decode('utf-8', 'replace') for text in process.communicate())
        _tell(paths['output'], told, follow)
        console = _text(paths['console']).replace('\r', '')
        result = Result(_text(paths['status']).strip(), _text(paths['output']), console,
                        float(_text(paths['booted']) or 'nan'), time.monotonic() - begin,
                        [m.group(0) for m in COMPLAINT.finditer(console)])
        if not result.status:
            raise MachineError(_what_happened(result, late, minutes, process.returncode, said),
                               result.output)
        return result._replace(status=int(result.status))


def _text(path):
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            return file.read()
    except FileNotFoundError:
        return ''


def _write(path, text):
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def _tell(path, told, follow):
    if follow:
        text = _text(path)
        if len(text) > told:
            follow(text[told:])
        return len(text)
    return told


def _what_happened(result, late, minutes, returncode, said):
    if PANIC.search(result.console):
        what = 'its kernel panicked'
    elif late:
        what = 'it was not done after %g minutes' % minutes
    elif returncode:
        what = 'QEMU exited with status %d: %s' % (returncode, said.strip())
    else:
        what = 'it stopped without a result'
    if result.booted != result.booted:
        what += ', before the command began'
    last = '\n'.join(result.console.strip().splitlines()[-40:])
    return '%s; the end of its console:\n%s' % (what, last or '(it said nothing)')


def missing():
    """The reason why no machine can be run here, or None."""
    for program in (QEMU, 'setpriv', 'taskset'):
        if not shutil.which(program):
            return 'requires ' + program
    return None


def main():
    parser = argparse.ArgumentParser(
        description='Runs a command on an emulated machine that has KVM with VM type 1.')
    parser.add_argument('--kernel', help='a bzImage (default: what build-kernel says)')
    parser.add_argument('--nodes', type=int, default=1, help='host NUMA nodes')
    parser.add_argument('--memory', type=int, default=4096, help='of the machine, in MiB')
    parser.add_argument('--cpus', type=int, default=1)
    parser.add_argument('--hugepages', type=int, default=0, help='2 MiB pages to set aside')
    parser.add_argument('--append', action='append', default=[], help='a word for the kernel')
    parser.add_argument('--minutes', type=float, default=10, help='when to give up')
    parser.add_argument('--files', help='directory to share as %s, and to keep' % SHARE)
    parser.add_argument('--console', action='store_true', help='show what the kernel said')
    parser.add_argument('command', nargs='+')
    options = parser.parse_args()
    kernel = options.kernel or subprocess.run(
        [os.path.join(HERE, 'build-kernel')], stdout=subprocess.PIPE, text=True,
        check=True).stdout.strip()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(125))
    machine = Machine(kernel, nodes=options.nodes, memory=options.memory, cpus=options.cpus,
                      hugepages=options.hugepages, append=options.append)

    def follow(text):
        sys.stdout.write(text)
        sys.stdout.flush()

    try:
        command = 'cd %s && %s' % (shlex.quote(os.getcwd()), shlex.join(options.command))
        result = machine.run(command, files=options.files, minutes=options.minutes, follow=follow)
    except MachineError as error:
        print('gmem_nested: %s' % error, file=sys.stderr)
        return 125
    if options.console:
        print(result.console, file=sys.stderr)
    for complaint in result.complaints:
        print('gmem_nested: the kernel said: %s' % complaint, file=sys.stderr)
    print('gmem_nested: booted in %.1f s, done after %.1f s' % (result.booted, result.seconds),
          file=sys.stderr)
    return result.status


if __name__ == '__main__':
    sys.exit(main())
