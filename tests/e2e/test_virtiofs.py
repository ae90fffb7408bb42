#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtiofs with private RAM: the real virtiofsd accepts a guest_memfd, and libvirt starts it in such a way that
it does.

tests/nested has a guest that mounts the file system. Here this test speaks QEMU's side of the vhost-user protocol,
up to the message that passes guest memory."""

import array
import contextlib
import fcntl
import os
import socket
import struct
import subprocess
import tempfile

from gmem_rig import (MIB, VHOST_USER, DaemonRig, Failure, Process, Skip, Suite, domain, library,
                      need_guest_memfd, need_root, wait_for)

suite = Suite()

BINARIES = ('/usr/libexec/virtiofsd', '/usr/lib/qemu/virtiofsd')
SIZE = 64 * MIB

# Linux: include/uapi/linux/kvm.h.
KVM_CREATE_VM = 0xAE01
KVM_CREATE_GUEST_MEMFD = 0xC040AED4
MMAP_INIT_SHARED = 3

# QEMU: docs/interop/vhost-user.rst.
GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES = 15, 16
VERSION, NEED_REPLY = 1, 8
REPLY_ACK = 1 << 3


def virtiofsd():
    for path in BINARIES:
        if os.path.exists(path):
            return path
    raise Skip('no virtiofsd: %s' % ' or '.join(BINARIES))


def is_rust(path):
    """virtiofsd in Rust has other options than QEMU's own one in C, which Debian 12 has."""
    return subprocess.run([path, '--help'], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, check=False).stdout.find('--shared-dir') >= 0


def guest_memfd(size):
    need_guest_memfd()
    kvm = os.open('/dev/kvm', os.O_RDWR | os.O_CLOEXEC)
    machine = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
    memory = fcntl.ioctl(machine, KVM_CREATE_GUEST_MEMFD,
                         bytearray(struct.pack('=8Q', size, MMAP_INIT_SHARED, *6 * [0])))
    os.close(machine)
    os.close(kvm)
    return memory


class BackEnd:
    """A virtiofsd of this test's own, and the connection to it."""

    def __init__(self, directory, preload=None):
        path = virtiofsd()
        where = os.path.join(directory, 'socket')
        shared = os.path.join(directory, 'shared')
        os.mkdir(shared)
        options = (['--shared-dir=' + shared, '--sandbox=none'] if is_rust(path)
                   else ['-o', 'source=' + shared, '-o', 'sandbox=chroot'])
        environment = dict(os.environ)
        environment.pop('LD_PRELOAD', None)
        if preload:
            environment['LD_PRELOAD'] = preload
        self.process = subprocess.Popen([path, '--socket-path=' + where, *options], env=environment,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.socket = socket.socket(socket.AF_UNIX)
        wait_for(lambda: self.connects(where), 'virtiofsd')

    def connects(self, where):
        if self.process.poll() is not None:
            raise Failure('virtiofsd ended: %s' % self.process.stderr.read()[-1000:])
        with contextlib.suppress(OSError):
            self.socket.connect(where)
            return True
        return False

    def send(self, request, payload=b'', descriptors=(), flags=VERSION):
        ancillary = ([(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', descriptors))]
                     if descriptors else [])
        self.socket.sendmsg([struct.pack('=3I', request, flags, len(payload)) + payload], ancillary)

    def receive(self):
        head = self.socket.recv(12, socket.MSG_WAITALL)
        if len(head) < 12:
            raise Failure('virtiofsd hung up')
        return self.socket.recv(struct.unpack('=3I', head)[2], socket.MSG_WAITALL)

    def ask(self, request):
        self.send(request)
        return struct.unpack('=Q', self.receive())[0]

    def take(self, memory, size):
        """Passes guest memory to virtiofsd, and returns its answer: 0 means success."""
        features = self.ask(GET_FEATURES)
        self.send(SET_OWNER)
        if not self.ask(GET_PROTOCOL_FEATURES) & REPLY_ACK:
            raise Failure('virtiofsd acknowledges nothing')
        self.send(SET_PROTOCOL_FEATURES, struct.pack('=Q', REPLY_ACK))
        self.send(SET_FEATURES, struct.pack('=Q', features))
        region = struct.pack('=2I4Q', 1, 0, 0, size, 0x7f0000000000, 0)
        self.send(SET_MEM_TABLE, region, (memory,), VERSION | NEED_REPLY)
        return struct.unpack('=Q', self.receive())[0]

    def maps(self, memory):
        """Whether virtiofsd has mapped that file."""
        inode = str(os.fstat(memory).st_ino)
        return any(line.split()[4] == inode for line in
                   Process(self.process.pid).maps.splitlines())

    def close(self):
        self.socket.close()
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def back_end(preload=None):
    with tempfile.TemporaryDirectory() as directory:
        each = BackEnd(directory, preload)
        try:
            yield each
        finally:
            each.close()


@suite.test('virtiofsd takes a guest_memfd with the preload')
def _(check):
    memory = guest_memfd(SIZE)
    with back_end(VHOST_USER) as each:
        check.equal(each.take(memory, SIZE), 0, 'the answer to SET_MEM_TABLE')
        check.true(each.maps(memory), 'virtiofsd does not map the guest_memfd')
        check.true(each.ask(GET_FEATURES), 'virtiofsd is gone')
    os.close(memory)


@suite.test('virtiofsd takes an ordinary memfd with the preload as without')
def _(check):
    for preload in (None, VHOST_USER):
        memory = os.memfd_create('ordinary')
        os.ftruncate(memory, SIZE)
        with back_end(preload) as each:
            check.equal(each.take(memory, SIZE), 0, 'the answer to SET_MEM_TABLE')
        os.close(memory)


# Runs under the preload: lseek() on a guest_memfd, then on files for which it must work as usual.
SEEKER = '''
import os, sys, tempfile
memory = int(sys.argv[1])
def seek(fd, offset, whence):
    try:
        return os.lseek(fd, offset, whence)
    except OSError as error:
        return error.errno
print(seek(memory, 0, os.SEEK_END), seek(memory, -4096, os.SEEK_END), seek(memory, 8192, os.SEEK_SET),
      seek(memory, -1, os.SEEK_SET), seek(memory, 0, os.SEEK_CUR))
with tempfile.TemporaryFile() as file:
    file.write(b'0123456789')
    file.flush()
    print(seek(file.fileno(), 0, os.SEEK_END), seek(file.fileno(), 3, os.SEEK_SET),
          os.read(file.fileno(), 2), seek(file.fileno(), 0, os.SEEK_CUR),
          seek(file.fileno(), -1, os.SEEK_SET))
reader, writer = os.pipe()
print(seek(reader, 0, os.SEEK_END), seek(9999, 0, os.SEEK_END))
'''
EINVAL, ESPIPE, EBADF = 22, 29, 9


@suite.test('the preload answers seeks in a guest_memfd, and changes no others')
def _(check):
    memory = guest_memfd(SIZE)
    said = subprocess.run(['/usr/bin/python3', '-c', SEEKER, str(memory)], pass_fds=(memory,),
                          env={**os.environ, 'LD_PRELOAD': VHOST_USER}, stdout=subprocess.PIPE,
                          text=True, check=True).stdout.splitlines()
    check.equal(said, ['%d %d 8192 %d %d' % (SIZE, SIZE - 4096, EINVAL, ESPIPE),
                       "10 3 b'34' 5 %d" % EINVAL, '%d %d' % (ESPIPE, EBADF)], 'answers')
    os.close(memory)


class Shared:
    rig = None
    client = None


FILESYSTEM = ("<filesystem type='mount' accessmode='passthrough'><driver type='virtiofs'/>"
              "<binary path='%s'/><source dir='/run/share'/><target dir='share'/></filesystem>")


def rig_and_client():
    need_guest_memfd()
    if Shared.rig is None:
        Shared.rig = DaemonRig(library())
        os.mkdir(Shared.rig.outer('/run/share'))
        Shared.client = Shared.rig.python()
    return Shared.rig, Shared.client


def with_filesystem(name, private, binary=None):
    backing = "" if private else "<source type='memfd'/><access mode='shared'/>"
    return domain(name, private=private, backing=backing,
                  devices=FILESYSTEM % (binary or virtiofsd()))


def the_virtiofsd(rig):
    """The virtiofsd that libvirt has started: the main one of its processes."""
    found = [p for p in rig.processes() if os.path.basename(p.exe) == 'virtiofsd']
    return min(found, key=lambda p: p.pid) if found else None


def preloaded(rig):
    process = wait_for(lambda: the_virtiofsd(rig), 'virtiofsd')
    return 'vhost-user-gmem.so' in process.maps


@suite.test('libvirt starts virtiofsd with the preload for a private domain')
def _(check):
    rig, client = rig_and_client()
    client.define(with_filesystem('private', True))
    client.start('private')
    check.true(preloaded(rig), 'virtiofsd of a private domain has no preload')
    check.equal(the_virtiofsd(rig).argv[0], virtiofsd(), 'argv[0]')
    check.true('libvirt-gmem.so' not in the_virtiofsd(rig).maps, 'virtiofsd has the library')
    client.destroy('private')
    wait_for(lambda: the_virtiofsd(rig) is None, 'the end of virtiofsd')


@suite.test('libvirt starts a virtiofsd of another name with the preload, too')
def _(check):
    rig, client = rig_and_client()
    os.symlink(virtiofsd(), rig.outer('/run/file-system-1.13'))
    client.create(with_filesystem('private', True, '/run/file-system-1.13'))
    check.true(preloaded(rig), 'virtiofsd of a private domain has no preload')
    client.destroy('private')
    wait_for(lambda: the_virtiofsd(rig) is None, 'the end of virtiofsd')
    client.define(with_filesystem('private', True))


@suite.test('libvirt starts virtiofsd as ever for an ordinary domain')
def _(check):
    rig, client = rig_and_client()
    client.define(with_filesystem('ordinary', False))
    client.start('ordinary')
    check.true(not preloaded(rig), 'virtiofsd of an ordinary domain has the preload')
    check.lacks(' '.join(the_virtiofsd(rig).environ), 'LD_PRELOAD', 'its environment')
    client.destroy('ordinary')
    wait_for(lambda: the_virtiofsd(rig) is None, 'the end of virtiofsd')
    client.create(with_filesystem('transient', False))
    check.true(not preloaded(rig), 'virtiofsd of a transient ordinary domain has the preload')
    client.destroy('transient')
    wait_for(lambda: the_virtiofsd(rig) is None, 'the end of virtiofsd')


@suite.test('virtiofsd of a private domain that is started at the start of libvirtd has the preload')
def _(check):
    rig, client = rig_and_client()
    client.call('private', 'setAutostart', 1)
    rig.stop_daemon()
    # libvirt autostarts once per boot.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(rig.outer('/run/libvirt/qemu/autostarted'))
    rig.start_daemon()
    check.true(preloaded(rig), 'virtiofsd of an autostarted private domain has no preload')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
