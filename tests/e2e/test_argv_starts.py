#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every command line of the shim's row in tests/qemuxml2argvdata starts on the installed QEMU.

Fully shared command lines start with the shim preloaded, and all RAM is then guest_memfd, as seen from
outside. Convertible command lines are refused by the shim on this host, and QEMU alone refuses the pair;
without the pair QEMU starts, so nothing else in these command lines prevents a start. What a recording cannot
contain is filled in: the monitor's socket, libvirt's state directory, the files of NVDIMM, virtio-pmem and
firmware, the mount of huge pages, and the back end of vhost-user.
"""

import contextlib
import glob
import json
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading

import gmem_rig
from gmem_rig import Failure, Skip, Suite

DATA = os.path.join(gmem_rig.SOURCE, 'tests/qemuxml2argvdata')
OPTION = '-x-libvirt-gmem'
HUGE_PAGE = 2048  # KiB
VHOST_SOCKET = '/run/vhost.sock'
# The files in /run that the domains name.
FILES = {
    'nvdimm.img': 128 * gmem_rig.MIB,
    'pmem.img': 128 * gmem_rig.MIB,
    'kvmfr0': 4 * gmem_rig.MIB,
    'code.fd': gmem_rig.MIB,
    'vars.fd': 128 * gmem_rig.KIB,
}

suite = Suite()


class OtherSide:
    """The back end of a vhost-user device: answers the questions without which QEMU does not continue."""

    REPLY = 4 | 1
    ANSWERS = {
        1: 0x140000000,  # VHOST_USER_GET_FEATURES: version 1, and that there are protocol features
        15: 0,           # VHOST_USER_GET_PROTOCOL_FEATURES
    }

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen()
        self.asked = set()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        with contextlib.suppress(OSError, EOFError):
            connection, _ = self.socket.accept()
            with connection:
                while True:
                    request, _flags, size = struct.unpack('<III', self._read(connection, 12))
                    self._read(connection, size)
                    self.asked.add(request)
                    if request in self.ANSWERS:
                        connection.sendall(struct.pack('<IIIQ', request, self.REPLY, 8,
                                                       self.ANSWERS[request]))

    @staticmethod
    def _read(connection, size):
        data = b''
        while len(data) < size:
            more, descriptors, _, _ = socket.recv_fds(connection, size - len(data), 8)
            for descriptor in descriptors:
                os.close(descriptor)
            if not more:
                raise EOFError
            data += more
        return data

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(gmem_rig.PATIENCE)


class Emulator:
    """A QEMU of a golden command line, with the files and the socket that it requires."""

    def __init__(self, name, pair=True, shim=False):
        with open(os.path.join(DATA, name + '.args'), encoding='utf-8') as file:
            words = shlex.split(file.read().replace('\\\n', ' '))
        self.directory = tempfile.mkdtemp(prefix='gmem-argv-')
        self.monitor = os.path.join(self.directory, 'monitor.sock')
        self.process = None
        self.stream = None
        self.huge = 0
        self.other_side = None
        at = words.index(OPTION)
        self.config = dict(part.split('=') for part in words[at + 1].split(','))
        if not pair:
            del words[at:at + 2]
        self.argv = [self._fill_in(word) for word in words]
        self.environ = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C'}
        if shim:
            self.environ['LD_PRELOAD'] = gmem_rig.SHIM

    def _path(self, name, size=None):
        """A file of the domain's, of that size, or only its path."""
        path = os.path.join(self.directory, name)
        if size is not None:
            with open(path, 'wb') as file:
                file.truncate(size)
        return path

    def _fill_in(self, word):
        if '/master-key.aes"' in word:
            path = self._path('master-key.aes')
            with open(path, 'wb') as file:
                file.write(os.urandom(32))
            return re.sub(r'"[^"]*/master-key\.aes"', json.dumps(path), word)
        for name, size in FILES.items():
            if re.search('["\']/run/%s["\']' % name, word):
                return word.replace('/run/' + name, self._path(name, size))
        if '"/run/huge/' in word:
            self.huge += json.loads(word)['size']
            path = self._path('huge')
            os.makedirs(path, exist_ok=True)
            return re.sub(r'"/run/huge/[^"]*"', json.dumps(path), word)
        if '"hugetlb":true' in word:
            self.huge += json.loads(word)['size']
            os.makedirs(self._path('huge'), exist_ok=True)
        word = word.replace('"/dev/shm/', '"%s/' % self.directory)
        word = re.sub(r'"[^"]*/lib/qemu/ram/[^"]*/', '"%s/' % self.directory, word)
        if word.endswith(',path=' + VHOST_SOCKET):
            path = self._path('vhost.sock')
            self.other_side = OtherSide(path)
            return word.replace(VHOST_SOCKET, path)
        return re.sub(r'^(socket,id=charmonitor),fd=\d+', r'\1,path=' + self.monitor, word)

    def run(self):
        """Starts it; raises Failure with what it printed if it ends instead of answering."""
        argv = self.argv
        if self.huge:
            argv = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c',
                    'mount -t hugetlbfs none "$0" && exec "$@"',
                    os.path.join(self.directory, 'huge')] + argv
        self.process = subprocess.Popen(argv, env=self.environ, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, errors='replace')

    def refusal(self):
        """Starts it, and returns its exit status and what it printed; raises Failure if it keeps running."""
        self.run()
        try:
            output, _ = self.process.communicate(timeout=gmem_rig.PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failure('QEMU was not refused') from None
        return self.process.returncode, output

    def connect(self):
        def answers():
            if self.process.poll() is not None:
                raise Failure('QEMU ended with status %d: %s'
                              % (self.process.returncode, self.process.stdout.read()))
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(self.monitor)
            except OSError:
                connection.close()
                return None
            return connection
        with contextlib.closing(gmem_rig.wait_for(answers, 'the monitor')) as connection:
            self.stream = connection.makefile('rw', encoding='utf-8')
        if 'QMP' not in json.loads(self.stream.readline()):
            raise Failure('no greeting on the monitor')
        self.qmp('qmp_capabilities')

    def qmp(self, command):
        self.stream.write(json.dumps({'execute': command}) + '\n')
        self.stream.flush()
        while True:
            line = self.stream.readline()
            if not line:
                raise Failure('the monitor was closed: ' + self.process.stdout.read())
            reply = json.loads(line)
            if 'error' in reply:
                raise Failure('%s: %s' % (command, reply['error']))
            if 'return' in reply:
                return reply['return']

    @property
    def backends(self):
        """RAM backends on the command line: id → bytes."""
        result = {}
        for word in self.argv:
            if word.startswith('{"qom-type":"memory-backend-') and not re.search(
                    r'\.img"|"shmmem-', word):
                properties = json.loads(word)
                result[properties['id']] = properties['size']
            found = re.match(r'memory-backend-memfd,id=([^,]+),size=(\d+)M', word)
            if found:
                result[found[1]] = int(found[2]) * gmem_rig.MIB
        return result

    def close(self):
        if self.stream:
            self.stream.close()
        if self.process:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        if self.other_side:
            self.other_side.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def guest_memfd_mappings(pid):
    """Sizes in bytes of the shared, writable mappings of guest_memfd in a process."""
    sizes = []
    with open('/proc/%d/maps' % pid, encoding='utf-8') as file:
        for line in file:
            if '[kvm-gmem]' in line and line.split()[1] == 'rw-s':
                begin, end = line.split()[0].split('-')
                sizes.append(int(end, 16) - int(begin, 16))
    return sizes


def check_up(check, emulator):
    """It answers, is where libvirt expects it with -S, and has the memory of its arguments."""
    emulator.connect()
    status = emulator.qmp('query-status')
    check.equal((status['status'], status['running']), ('prelaunch', False), 'the status')
    found = {memdev['id']: memdev['size'] for memdev in emulator.qmp('query-memdev')}
    for name, size in emulator.backends.items():
        check.equal(found.get(name), size, 'the size of ' + name)


def check_quits(check, emulator):
    emulator.qmp('quit')
    check.equal(emulator.process.wait(gmem_rig.PATIENCE), 0, "QEMU's exit status")


def fully_shared(name):
    def test(check):
        gmem_rig.need_guest_memfd()
        with Emulator(name, shim=True) as emulator:
            emulator.run()
            check_up(check, emulator)
            check.equal(sorted(guest_memfd_mappings(emulator.process.pid)),
                        sorted(emulator.backends.values()), 'the mappings of guest_memfd')
            check.equal(str(sum(emulator.backends.values())), emulator.config['ram'],
                        'the RAM that the pair tells')
            with open('/proc/%d/maps' % emulator.process.pid, encoding='utf-8') as file:
                check.lacks(file.read(), 'memory-backend-memfd', "QEMU's mappings")
            check_quits(check, emulator)
    return test


def convertible(name):
    def test(check):
        gmem_rig.need_kvm()
        with Emulator(name, pair=False) as emulator, \
                gmem_rig.huge_pages(HUGE_PAGE, -(-emulator.huge // (HUGE_PAGE * gmem_rig.KIB))):
            emulator.run()
            check_up(check, emulator)
            check.equal(guest_memfd_mappings(emulator.process.pid), [], 'guest_memfd')
            check_quits(check, emulator)
    return test


def refused_by_shim(name):
    def test(check):
        with Emulator(name, shim=True) as emulator:
            emulator.huge = 0
            status, output = emulator.refusal()
            check.true(status not in (0, None), 'QEMU ended with status %r' % status)
            check.matches(output, 'convertible', 'what the shim says')
            check.lacks(output, 'invalid option', 'what the shim says')
    return test


def refused_by_qemu(name):
    def test(check):
        with Emulator(name) as emulator:
            emulator.huge = 0
            status, output = emulator.refusal()
            check.equal(status, 1, "QEMU's exit status")
            check.has(output, OPTION + ': invalid option', 'what QEMU says')
    return test


def collect():
    names = sorted(os.path.basename(path)[:-len('.args')]
                   for path in glob.glob(os.path.join(DATA, 'shim-*.args'))
                   if not path.endswith('.stock.args'))

    @suite.test('there are command lines of both modes')
    def _(check):
        check.equal(sum(name.startswith('shim-fully-shared-') for name in names), 25, 'the number')
        check.equal(sum(name.startswith('shim-convertible-') for name in names), 31, 'the number')

    for name in names:
        if name.startswith('shim-fully-shared-'):
            suite.test(name + ' starts on guest_memfd')(fully_shared(name))
        else:
            suite.test(name + ' starts without the pair')(convertible(name))
            suite.test(name + ' is refused by the shim')(refused_by_shim(name))
        suite.test(name + ' is refused by QEMU alone')(refused_by_qemu(name))


def need():
    if not os.access(gmem_rig.QEMU, os.X_OK):
        return 'requires ' + gmem_rig.QEMU
    if not os.path.exists(gmem_rig.SHIM):
        raise SystemExit('%s is not built' % gmem_rig.SHIM)
    return None


if __name__ == '__main__':
    collect()
    sys.exit(suite.run(need()))
