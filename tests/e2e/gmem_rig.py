#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_rig.py: a libvirt for tests: embedded or as a private daemon, stock or with libvirt-gmem.

Everything runs in a Sandbox: mount, process and network namespaces of its own, in which libvirt's
fixed state paths (/run, /etc/libvirt, /var/lib/libvirt …) are directories of a temporary root. So two
sandboxes see the same paths, command lines can be compared byte for byte, and the machine's own libvirtd
is not involved. The sandbox's first process ends when the test ends, in whatever way, and with it daemon
and QEMUs, because a process namespace does not outlive its first process. From outside, the processes are
examined under the pids that the outer /proc shows.
"""

import contextlib
import ctypes
import fcntl
import glob
import itertools
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import xml.sax.saxutils

PYTHON = '/usr/bin/python3'
LIBVIRTD = '/usr/sbin/libvirtd'
QEMU = '/usr/bin/qemu-system-x86_64'
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gmem_tap  # noqa: E402  pylint: disable=wrong-import-position
from gmem_tap import Failure, Skip, difference  # noqa: E402,F401  pylint: disable=wrong-import-position

SOURCE = os.environ.get('GMEM_SOURCE', os.path.dirname(os.path.dirname(HERE)))
BUILD = os.environ.get('GMEM_BUILD', os.path.join(SOURCE, 'build'))
LIBRARY = os.path.join(BUILD, 'src/driver/libvirt-gmem.so')
SHIM = os.path.join(BUILD, 'src/shim/qemu-gmem.so')
VHOST_USER = os.path.join(BUILD, 'src/vhostuser/vhost-user-gmem.so')
GUEST = os.path.join(BUILD, 'tests/guest/gmem-guest.rom')
CLIENT = os.path.join(HERE, 'gmem_client.py')
GUEST_DISK = os.path.join(BUILD, 'tests/guest/gmem-guest.img')
# Whether lines are being counted (tests/coverage).
COUNTED = os.path.exists(os.path.join(BUILD, 'coverage-counts'))
HUGE_POOL = '/sys/kernel/mm/hugepages/hugepages-%dkB/%s'  # the page's size in KiB, which number

# VIR_ERR_… of libvirt's virerror.h: python3-libvirt may be missing where tests only have to be skipped.
ERR_CONFIG_UNSUPPORTED = 67
ERR_XML_ERROR = 27
ERR_XML_DETAIL = 35
ERR_XML_INVALID_SCHEMA = 92

# Nothing here measures time. This only says when to give up on the slowest machine; an emulated machine
# is slower still (tests/nested).
PATIENCE = int(os.environ.get('GMEM_PATIENCE', 120))

KIB = 1024
MIB = 1024 * 1024

QEMU_CONF = '''\
user = "{user}"
group = "{group}"
dynamic_ownership = {ownership}
namespaces = []
cgroup_controllers = []
security_driver = "none"
stdio_handler = "file"
'''

# libvirtd must not give up on a client that a busy machine keeps waiting.
LIBVIRTD_CONF = '''\
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0777"
unix_sock_rw_perms = "0777"
unix_sock_dir = "/run/libvirt"
log_level = 3
log_outputs = "3:stderr"
keepalive_interval = -1
'''


# ---------------------------------------------------------------------------------------------
# Checks


class Checks(gmem_tap.Checks):
    """Checks, with one for errors of libvirt's."""

    def refused(self, call, code=None, message=None, part=None):
        """call() must raise LibvirtError; returns it."""
        self.count += 1
        try:
            call()
        except LibvirtError as error:
            if code is not None and error.code is not None and error.code != code:
                raise Failure('wanted error code %d, got %r' % (code, error)) from None
            if message is not None and error.message != message:
                raise Failure('wanted the message\n%s\ngot\n%s' % (message, error.message)) from None
            if part is not None and part not in error.message:
                raise Failure('wanted %r in the message\n%s' % (part, error.message)) from None
            return error
        raise Failure('was not refused')


class Suite(gmem_tap.Suite):
    """A suite that does not leave a sandbox behind."""

    checks = Checks

    def at_end(self):
        close_all()


def wait_for(probe, what, timeout=PATIENCE):
    """Polls until probe() gives something true, and returns that; raises Failure with @what if it never
    does."""
    end = time.monotonic() + timeout
    while True:
        result = probe()
        if result:
            return result
        if time.monotonic() > end:
            raise Failure('waited %d s in vain for %s' % (timeout, what))
        time.sleep(0.02)


def need_root():
    """The reason why nothing here can run, or None."""
    if os.geteuid() != 0:
        return 'requires root: namespaces and a private libvirtd'
    for path in (LIBVIRTD, QEMU, '/usr/bin/virsh', '/usr/bin/unshare'):
        if not os.access(path, os.X_OK):
            return 'requires ' + path
    probe = subprocess.run([PYTHON, '-c', 'import libvirt'], stderr=subprocess.PIPE, check=False)
    if probe.returncode:
        return 'requires python3-libvirt'
    return None


def libvirt_version():
    """The version of libvirt's daemon, as (major, minor)."""
    said = subprocess.run([LIBVIRTD, '--version'], stdout=subprocess.PIPE, text=True,
                          check=False).stdout
    return tuple(int(part) for part in re.search(r' (\d+)\.(\d+)\.', said).groups())


def need_kvm():
    """Raises Skip if no guest can be run under KVM at all."""
    if not os.path.exists('/dev/kvm'):
        raise Skip('no /dev/kvm')
    try:
        os.close(os.open('/dev/kvm', os.O_RDWR))
    except OSError as error:
        raise Skip('/dev/kvm: ' + error.strerror) from None


def kvm_extension(capability):
    """KVM_CHECK_EXTENSION on a VM descriptor, asked directly and not by the code under test."""
    need_kvm()
    device = os.open('/dev/kvm', os.O_RDWR | os.O_CLOEXEC)
    try:
        vm = fcntl.ioctl(device, 0xAE01, 0)
        try:
            return fcntl.ioctl(vm, 0xAE03, capability)
        finally:
            os.close(vm)
    finally:
        os.close(device)


def need_guest_memfd():
    """Raises Skip if KVM cannot make a guest_memfd that the host may map."""
    if kvm_extension(244) & 3 != 3:
        raise Skip('KVM of this host has no guest_memfd with MMAP and INIT_SHARED (Linux 6.18)')


def huge_pool(size, what='nr_hugepages'):
    """A number of the host's pool of huge pages of @size KiB; raises Skip if there is no such pool."""
    try:
        with open(HUGE_POOL % (size, what), encoding='utf-8') as file:
            return int(file.read())
    except OSError as error:
        raise Skip('no huge pages of %d KiB: %s' % (size, error)) from None


@contextlib.contextmanager
def huge_pages(size, count):
    """Provides @count more free huge pages of @size KiB, and restores the pool at the end. Another test
    run that asks for them meanwhile waits; otherwise each would restore what the other had set."""
    if not count:
        yield
        return
    path = HUGE_POOL % (size, 'nr_hugepages')

    def put(number):
        with open(path, 'w', encoding='utf-8') as file:
            file.write(str(number))

    huge_pool(size)
    with open(path, encoding='utf-8') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = huge_pool(size)
        try:
            try:
                put(before + count)
            except OSError as error:
                raise Skip('huge pages cannot be set aside: %s' % error) from None
            if huge_pool(size) < before + count:
                raise Skip('the host gives %d of %d huge pages of %d KiB'
                           % (huge_pool(size) - before, count, size))
            yield
        finally:
            with contextlib.suppress(OSError):
                put(before)
            wait_for(lambda: huge_pool(size) == before, 'the pool of huge pages to be as before')


def library():
    """What goes into LD_PRELOAD. It is an error if the file does not exist, because ld.so would then run
    stock libvirt."""
    for path in (LIBRARY, SHIM):
        if not os.path.exists(path):
            raise Failure('%s is not built' % path)
    return (LIBRARY,)


# ---------------------------------------------------------------------------------------------
# Processes seen from outside


def _read(path):
    try:
        with open(path, 'rb') as file:
            return file.read()
    except OSError:
        return b''


class Process:
    """A process of a sandbox, by its outer pid."""

    def __init__(self, pid):
        self.pid = pid

    @property
    def argv(self):
        return [a.decode('utf-8', 'surrogateescape')
                for a in _read('/proc/%d/cmdline' % self.pid).split(b'\0')[:-1]]

    @property
    def environ(self):
        entries = _read('/proc/%d/environ' % self.pid).split(b'\0')
        return dict(e.decode('utf-8', 'surrogateescape').split('=', 1) for e in entries if b'=' in e)

    @property
    def maps(self):
        return _read('/proc/%d/maps' % self.pid).decode('utf-8', 'surrogateescape')

    @property
    def exe(self):
        try:
            return os.readlink('/proc/%d/exe' % self.pid)
        except OSError:
            return ''

    @property
    def rss(self):
        match = re.search(r'^VmRSS:\s*(\d+) kB', _read('/proc/%d/status' % self.pid).decode(), re.M)
        return int(match.group(1)) * KIB if match else 0

    @property
    def descriptors(self):
        result = {}
        with contextlib.suppress(OSError):
            for number in os.listdir('/proc/%d/fd' % self.pid):
                with contextlib.suppress(OSError):
                    result[int(number)] = os.readlink('/proc/%d/fd/%s' % (self.pid, number))
        return result

    @property
    def alive(self):
        state = _read('/proc/%d/stat' % self.pid).rpartition(b')')[2].split()
        return bool(state) and state[0] not in (b'Z', b'X')

    def kill(self, number=signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


# ---------------------------------------------------------------------------------------------
# Sandbox

_CLONE_NEWPID = 0x20000000
_libc = ctypes.CDLL(None, use_errno=True)
_open_rigs = []


def close_all():
    while _open_rigs:
        _open_rigs[-1].close()


def _setns(descriptor, kind=0):
    if _libc.setns(descriptor, kind):
        error = ctypes.get_errno()
        raise OSError(error, 'setns: ' + os.strerror(error))


class Sandbox:
    """Namespaces with libvirt's paths of their own. outer('/run/x') is the path of its /run/x outside
    it."""

    MOUNTS = {
        'run': '/run',
        'etc': '/etc/libvirt',
        'lib': '/var/lib/libvirt',
        'cache': '/var/cache/libvirt',
        'log': '/var/log/libvirt',
    }

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix='g', dir='/tmp')
        self.closed = False
        self._children = []
        _open_rigs.append(self)
        os.chmod(self.root, 0o755)
        for name in self.MOUNTS:
            os.mkdir(os.path.join(self.root, name), 0o755)
        self.first = subprocess.Popen(
            ['unshare', '--mount', '--pid', '--net', '--fork', '--kill-child=SIGKILL',
             '--mount-proc', '--propagation', 'private',
             PYTHON, '-I', os.path.abspath(__file__), '--first', self.root],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment())
        if self.first.stdout.readline() != b'ready\n':
            self.close()
            raise Skip('namespaces cannot be made here')
        self._namespaces = []
        self._own = os.open('/proc/self/ns/pid', os.O_RDONLY | os.O_CLOEXEC)
        for name in ('mnt', 'net', 'pid_for_children'):
            path = '/proc/%d/ns/%s' % (self.first.pid, name)
            self._namespaces.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    @staticmethod
    def environment(preload=(), **more):
        """A clean environment, with @preload in LD_PRELOAD."""
        result = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/run/home', 'LC_ALL': 'C.UTF-8'}
        if preload:
            result['LD_PRELOAD'] = ':'.join(preload)
        result.update(more)
        return result

    def outer(self, path):
        for name, inner in self.MOUNTS.items():
            if path == inner or path.startswith(inner + '/'):
                return os.path.join(self.root, name) + path[len(inner):]
        return path

    def read(self, path):
        """The text of a file in the sandbox, '' if it does not exist (yet)."""
        return _read(self.outer(path)).decode('utf-8', 'replace')

    def write(self, path, text, mode=0o644):
        path = self.outer(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8', errors='surrogateescape') as file:
            file.write(text)
        os.chmod(path, mode)

    def popen(self, argv, **options):
        """Popen in the namespaces; .pid is the pid as seen from outside."""
        def enter():
            _setns(self._namespaces[0])
            _setns(self._namespaces[1])
        # The process namespace for children only applies to the calling thread.
        _setns(self._namespaces[2], _CLONE_NEWPID)
        try:
            process = subprocess.Popen(argv, preexec_fn=enter, **options)
        finally:
            _setns(self._own, _CLONE_NEWPID)
        self._children = [c for c in self._children if c.poll() is None] + [process]
        return process

    def tree(self, shim_mode=0o755):
        """Makes a copy of the build tree's libraries that any user may read, and returns the library's
        path.

        @shim_mode: None leaves the shim out."""
        top = tempfile.mkdtemp(prefix='tree', dir=self.root)
        os.chmod(top, 0o755)
        for part, source in (('driver', LIBRARY), ('shim', SHIM), ('vhostuser', VHOST_USER)):
            directory = os.path.join(top, 'src', part)
            os.makedirs(directory, 0o755)
            copy = os.path.join(directory, os.path.basename(source))
            if source != SHIM or shim_mode is not None:
                shutil.copyfile(source, copy)
                os.chmod(copy, 0o755 if source != SHIM else shim_mode)
        return os.path.join(top, 'src', 'driver', os.path.basename(LIBRARY))

    def open_kvm(self):
        """A /dev/kvm of the sandbox's own that any user may open."""
        script = ('mkdir -p /run/dev && mount -t tmpfs -o mode=755,dev tmpfs /run/dev && '
                  'mknod -m 666 /run/dev/kvm c 10 232 && mount --bind /run/dev/kvm /dev/kvm && '
                  'setpriv --reuid=65534 --clear-groups sh -c ": <>/dev/kvm"')
        result = self.run(['sh', '-c', script])
        if result.returncode:
            raise Skip('no device nodes can be made here: ' + result.stderr.strip())

    def guest_image(self, name, disk=False):
        """A copy of the guest payload for one domain, for domain(boot=…): the firmware, which runs at
        once, or the disk, which requires a BIOS. It is a copy because disks are locked, and because
        libvirt may change the owner of either."""
        source = GUEST_DISK if disk else GUEST
        path = '/run/%s%s' % (name, os.path.splitext(source)[1])
        shutil.copyfile(source, self.outer(path))
        return path

    def run(self, argv, preload=(), env=None, stdin='', timeout=PATIENCE):
        """Runs a program to its end; returns a CompletedProcess with stdout and stderr as text."""
        with self.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                        env=env or self.environment(preload), text=True,
                        errors='surrogateescape') as process:
            try:
                out, err = process.communicate(stdin, timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Failure('%s did not end within %d s' % (argv, timeout)) from None
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def processes(self):
        """All live processes in the sandbox except its first one."""
        mine = os.stat('/proc/%d/ns/pid_for_children' % self.first.pid).st_ino
        result = []
        for name in os.listdir('/proc'):
            if not name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if os.stat('/proc/%s/ns/pid' % name).st_ino == mine:
                    process = Process(int(name))
                    if process.alive and '--first' not in process.argv:
                        result.append(process)
        return result

    def emulators(self):
        """Processes that are, or are about to be, a domain's QEMU."""
        return [p for p in self.processes()
                if any(a.startswith('guest=') for a in p.argv)]

    def emulator(self, name):
        """The QEMU of the domain called @name, or None."""
        for process in self.emulators():
            # A comma in a name is doubled.
            if any(re.match('guest=%s,(?!,)' % re.escape(name), a) for a in process.argv):
                return process
        return None

    def close(self):
        if self.closed:
            return
        self.closed = True
        _open_rigs.remove(self)
        if COUNTED:
            self._end_by_themselves()
        with contextlib.suppress(OSError):
            self.first.stdin.close()
        # When the first process ends, the kernel ends all others, but it waits until all of them have
        # been reaped. Those that popen() made have to be reaped here.
        def gone():
            for child in self._children:
                child.poll()
            return self.first.poll() is not None
        try:
            wait_for(gone, 'the sandbox to end')
        finally:
            self.first.kill()
            self.first.wait()
        self.first.stdout.close()
        for descriptor in getattr(self, '_namespaces', []) + [getattr(self, '_own', -1)]:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        shutil.rmtree(self.root, ignore_errors=True)

    def _end_by_themselves(self):
        """Lets daemons and QEMUs end by themselves, because a killed process does not leave counts
        (tests/coverage)."""
        ours = [process for process in self.processes() if process.argv[:1] != [PYTHON]]
        for process in ours:
            process.kill(signal.SIGTERM)
        with contextlib.suppress(Failure):
            wait_for(lambda: not any(process.alive for process in ours), 'processes to end', 5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _first(root):
    """The sandbox's first process: mounts, then reaps orphans until its input ends."""
    def mount(*arguments):
        subprocess.run(['mount', *arguments], check=True)
    for name, path in Sandbox.MOUNTS.items():
        if name != 'run' and not os.path.isdir(path):
            sys.exit('no ' + path)
        mount('--bind', os.path.join(root, name), path)
    # QEMU puts the memory of a <shmem> there.
    mount('-t', 'tmpfs', '-o', 'mode=1777', 'shm', '/dev/shm')
    os.makedirs('/run/home')
    os.makedirs('/run/lock', exist_ok=True)
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=False, stderr=subprocess.DEVNULL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps children
    os.write(1, b'ready\n')
    while os.read(0, 1):
        pass
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    shutil.rmtree(root, ignore_errors=True)


# ---------------------------------------------------------------------------------------------
# Clients


class LibvirtError(Exception):
    """What libvirt answered. code is None if the client (virsh) does not report it."""

    def __init__(self, message, code=None, domain=None):
        super().__init__('%s (code %s, domain %s)' % (message, code, domain))
        self.message = message
        self.code = code
        self.domain = domain

    def __eq__(self, other):
        return (isinstance(other, LibvirtError) and
                (self.message, self.code, self.domain) == (other.message, other.code, other.domain))

    __hash__ = Exception.__hash__


class Died(Exception):
    """The client process ended without an answer."""


class PythonClient:
    """A python3-libvirt process in a sandbox, which is given one call after another.

    An embedded driver lives and dies with this process."""

    kind = 'python'

    def __init__(self, sandbox, uri, preload=(), wrapper=(), environment=None):
        self.sandbox = sandbox
        self.log = tempfile.TemporaryFile()
        # A copy, because @wrapper may change the user, who may not be able to read this tree.
        script = '/run/client.py'
        if not os.path.exists(sandbox.outer(script)):
            shutil.copyfile(CLIENT, sandbox.outer(script))
            os.chmod(sandbox.outer(script), 0o644)
        self.process = sandbox.popen(
            [*wrapper, PYTHON, '-I', script, uri],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
            encoding='utf-8', errors='surrogateescape',
            env=environment or sandbox.environment(preload))
        self._answer()

    def _answer(self):
        # Each request gets one line in reply, so nothing can be left waiting in a buffer here.
        if not select.select([self.process.stdout], [], [], 5 * PATIENCE)[0]:
            self.process.kill()
            raise Failure('libvirt did not answer within %d s' % (5 * PATIENCE))
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            self.log.seek(0)
            raise Died('client ended with status %d: %s'
                       % (status, self.log.read().decode('utf-8', 'replace')))
        answer = json.loads(line)
        if 'error' in answer:
            raise LibvirtError(**answer['error'])
        if 'trouble' in answer:
            raise RuntimeError(answer['trouble'])
        return answer['result']

    def call(self, domain, method, *arguments):
        """conn.METHOD(…) or, if @domain is a name, conn.lookupByName(domain).METHOD(…).

        @domain may also be [NAME, 'snapshot' or 'checkpoint', ITS NAME], and so may arguments; an
        argument may also be {'open': URI}, which stands for a connection."""
        self.process.stdin.write(json.dumps([domain, method, arguments]) + '\n')
        self.process.stdin.flush()
        return self._answer()

    def define(self, xml, validate=False):
        return self.call(None, 'defineXMLFlags', xml, 1 if validate else 0)

    def create(self, xml):
        return self.call(None, 'createXML', xml, 0)

    def dumpxml(self, name, *options):
        flags = {'--inactive': 2, '--security-info': 1, '--migratable': 8}
        return self.call(name, 'XMLDesc', sum(flags[o] for o in options))

    def native(self, xml):
        return self.call(None, 'domainXMLToNative', 'qemu-argv', xml, 0)

    def start(self, name):
        return self.call(name, 'create')

    def destroy(self, name):
        return self.call(name, 'destroy')

    def undefine(self, name):
        return self.call(name, 'undefine')

    def reset(self, name):
        return self.call(name, 'reset', 0)

    def save(self, name, path):
        return self.call(name, 'save', path)

    def restore(self, path):
        return self.call(None, 'restore', path)

    def state(self, name):
        """'running', 'paused', 'shut off' …"""
        names = {1: 'running', 2: 'blocked', 3: 'paused', 4: 'in shutdown', 5: 'shut off',
                 6: 'crashed', 7: 'pmsuspended'}
        return names[self.call(name, 'state', 0)[0]]

    def names(self):
        return sorted(self.call(None, 'listDomainNames'))

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process.stdout.close()
        self.log.close()
        return status


class Served:
    """A program of this directory in a sandbox (gmem_serve.py); served('verb', …) is what it answers."""

    def __init__(self, sandbox, script, environment):
        self.sandbox = sandbox
        self.script = script
        self.path = '/run/%s.log' % script
        self.log = open(sandbox.outer(self.path), 'wb')
        self.process = sandbox.popen([PYTHON, os.path.join(HERE, script)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment)

    def __call__(self, verb, *arguments):
        self.process.stdin.write(json.dumps([verb, arguments]) + '\n')
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], 5 * PATIENCE)[0]:
            raise Failure('%s did not answer to %s%r' % (self.script, verb, arguments))
        answer = json.loads(self.process.stdout.readline() or '{"trouble": "it has ended"}')
        if 'trouble' in answer:
            raise Failure('%s, asked for %s%r: %s\n%s' % (self.script, verb, arguments, answer['trouble'],
                                                      self.sandbox.read(self.path)[-2000:]))
        return answer['result']

    def close(self):
        """Ends it, and returns its exit status."""
        self.process.stdin.close()
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.log.close()
        return status


class VirshClient:
    """The real virsh, with one process for each call."""

    kind = 'virsh'
    numbers = itertools.count(1)

    def __init__(self, sandbox, uri, preload=()):
        self.sandbox = sandbox
        self.uri = uri
        self.preload = preload

    def virsh(self, *arguments, env=None):
        """The output of one virsh command; raises LibvirtError with everything that follows 'error: '."""
        result = self.sandbox.run(['/usr/bin/virsh', '-q', '-c', self.uri, *arguments],
                                  self.preload, env)
        if result.returncode:
            lines = [re.sub('^error: ', '', line) for line in result.stderr.strip().split('\n')]
            # The first line is virsh's own ("Failed to define domain from …").
            raise LibvirtError('\n'.join(lines[1:]) or lines[0])
        return result.stdout

    def file(self, xml):
        path = '/run/home/%d.xml' % next(self.numbers)
        self.sandbox.write(path, xml)
        return path

    def define(self, xml, validate=False):
        return self.virsh('define', self.file(xml), *(['--validate'] if validate else []))

    def create(self, xml):
        return self.virsh('create', self.file(xml))

    def dumpxml(self, name, *options):
        return self.virsh('dumpxml', name, *options)

    def native(self, xml):
        return self.virsh('domxml-to-native', 'qemu-argv', self.file(xml))

    def start(self, name):
        return self.virsh('start', name)

    def destroy(self, name):
        return self.virsh('destroy', name)

    def undefine(self, name):
        return self.virsh('undefine', name)

    def reset(self, name):
        return self.virsh('reset', name)

    def save(self, name, path):
        return self.virsh('save', name, path)

    def restore(self, path):
        return self.virsh('restore', path)

    def state(self, name):
        return self.virsh('domstate', name).strip()

    def names(self):
        return sorted(self.virsh('list', '--all', '--name').split())

    def edit(self, name, script):
        """Runs virsh edit with an editor that runs `sed -i SCRIPT`; raises LibvirtError if virsh gives
        up."""
        path = '/run/home/editor'
        self.sandbox.write(path, '#!/bin/sh\nexec sed -i -e "$GMEM_EDIT" "$1"\n', 0o755)
        env = self.sandbox.environment(self.preload, EDITOR=path, VISUAL=path, GMEM_EDIT=script)
        return self.virsh('edit', name, env=env)

    def close(self):
        return 0


# ---------------------------------------------------------------------------------------------
# Rigs


class Rig(Sandbox):
    """A sandbox with qemu.conf. @preload: the entries of LD_PRELOAD, () for stock libvirt, or a function
    of the rig that returns them. @prepare: a function of the rig, called before libvirt runs. @settings:
    more lines of qemu.conf."""

    config = ''
    log = None

    def __exit__(self, kind, error, trace):
        # What helps to explain a failure, and is removed with the sandbox.
        if kind and self.log and not isinstance(error, Skip):
            for line in self.read(self.log).splitlines()[-30:]:
                print('# libvirtd: ' + line[:500])
        super().__exit__(kind, error, trace)

    def __init__(self, preload=(), user='root', group='root', ownership=0, prepare=None,
                 settings=''):
        super().__init__()
        self.preload = tuple(preload(self) if callable(preload) else preload)
        if prepare:
            prepare(self)
        self.write(self.config, QEMU_CONF.format(user=user, group=group,
                                                 ownership=ownership) + settings)


class EmbedRig(Rig):
    """qemu:///embed: the driver inside a client process. There can only be one client at a time."""

    name = 'embed'
    directory = '/run/e'
    config = directory + '/etc/qemu.conf'
    uri = 'qemu:///embed?root=' + directory
    domain_log = directory + '/log/qemu/%s.log'
    state_directory = directory + '/lib/qemu'

    def python(self, **options):
        return PythonClient(self, self.uri, self.preload, **options)

    def virsh(self):
        return VirshClient(self, self.uri, self.preload)


def is_back(rig, virsh, **options):
    """Whether the daemon that the command talks to answers, and has reconnected to its running domains.

    After a restart, a daemon lists a domain while a thread is still connecting to its QEMU and holds the
    domain's job. If the domain is destroyed then, the daemon sometimes reports that it is not running.
    """
    result = rig.run([*virsh, 'list', '--name'], **options)
    for name in result.stdout.split():
        rig.run([*virsh, 'dommemstat', name], **options)
    return result.returncode == 0


class DaemonRig(Rig):
    """A private libvirtd behind libvirt's usual socket."""

    name = 'libvirtd'
    config = '/etc/libvirt/qemu.conf'
    uri = 'qemu:///system'
    socket = '/run/libvirt/libvirt-sock'
    domain_log = '/var/log/libvirt/qemu/%s.log'
    state_directory = '/var/lib/libvirt/qemu'
    log = '/var/log/libvirt/libvirtd.log'

    def __init__(self, preload=(), environment=None, **options):
        super().__init__(preload, **options)
        self.write('/etc/libvirt/libvirtd.conf', LIBVIRTD_CONF)
        self.more = environment or {}
        self.daemon = None
        self.start_daemon()

    def _drivers(self):
        """A directory with all of libvirt's drivers except the one for node devices.

        The tests do not require it. In 11.3, its thread sometimes misses that libvirtd ends, because its
        condition is signalled before it waits for it, and libvirtd then fails after 30 s."""
        path = '/run/drivers'
        if not os.path.isdir(self.outer(path)):
            os.mkdir(self.outer(path))
            for driver in glob.glob('/usr/lib/*/libvirt/connection-driver/*.so'):
                if not driver.endswith('_nodedev.so'):
                    os.symlink(driver, os.path.join(self.outer(path), os.path.basename(driver)))
        return path

    def start_daemon(self, patient=True):
        env = self.environment(self.preload, LIBVIRT_DRIVER_DIR=self._drivers(), **self.more)
        with open(self.outer(self.log), 'ab') as log:
            self.daemon = self.popen([LIBVIRTD, '-f', '/etc/libvirt/libvirtd.conf'], stdout=log,
                                     stderr=log, stdin=subprocess.DEVNULL, env=env)
        if patient:
            self.wait_daemon()

    def wait_daemon(self):
        wait_for(self._answers, 'libvirtd to answer on its socket')

    def _answers(self):
        if self.daemon.poll() is not None:
            raise Failure('libvirtd ended with status %d:\n%s'
                          % (self.daemon.returncode, self.read(self.log)))
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
            try:
                probe.connect(self.outer(self.socket))
            except OSError:
                return False
        # The socket exists before the drivers do; only an answer shows that they are ready.
        return is_back(self, ['/usr/bin/virsh', '-q', '-c', self.uri])

    def kill_daemon(self, number=signal.SIGKILL):
        self.daemon.send_signal(number)
        return self.daemon.wait(PATIENCE)

    def stop_daemon(self):
        return self.kill_daemon(signal.SIGTERM)

    def python(self, preload=(), **options):
        return PythonClient(self, self.uri, preload, **options)

    def virsh(self, preload=()):
        return VirshClient(self, self.uri, preload)


# ---------------------------------------------------------------------------------------------
# Domains

PRIVATE = '<private/>'


def domain(name, memory=64 * KIB, *, cells=None, private=True, machine='pc', kind='kvm', vcpus=1,
           dimm=None, launch=None, arguments=(), environment=(), boot=None, serial=None,
           emulator=QEMU, backing='', body='', devices='', dimm_node=0, slots=False):
    """Domain XML. Sizes are in KiB; @cells: a list of cell sizes; the memory is then their sum.

    @boot: a disk image with a boot sector, or a firmware (.rom); @serial: file behind the first
    serial port; @dimm: a pluggable module's size; @slots: room for modules that @devices has;
    @arguments: the user's own words for QEMU."""
    if cells:
        memory = sum(cells)
        vcpus = max(vcpus, len(cells))
    if dimm and not cells:
        cells = [memory]  # libvirt requires NUMA if there are modules
        vcpus = max(vcpus, 1)
    quote = xml.sax.saxutils.quoteattr
    lines = ["<domain type=%s%s>" % (
        quote(kind), " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
        if arguments or environment else '')]
    add = lines.append
    add('  <name>%s</name>' % xml.sax.saxutils.escape(name))
    add('  <uuid>%s</uuid>' % domain_uuid(name))
    if dimm or slots:
        add("  <maxMemory slots='4' unit='KiB'>%d</maxMemory>" % (memory + 8192 * KIB))
    add("  <memory unit='KiB'>%d</memory>" % (memory + (dimm or 0)))
    if private or backing:
        add('  <memoryBacking>%s%s</memoryBacking>' % (backing, PRIVATE if private else ''))
    add('  <vcpu>%d</vcpu>' % vcpus)
    firmware = boot if boot and boot.endswith('.rom') else None
    add("  <os><type arch='x86_64' machine=%s>hvm</type>%s<boot dev='hd'/></os>" % (
        quote(machine), "<loader type='rom'>%s</loader>" % firmware if firmware else ''))
    add('  <features><acpi/></features>')
    if cells:
        add('  <cpu><numa>')
        for number, size in enumerate(cells):
            first = number * vcpus // len(cells)
            last = (number + 1) * vcpus // len(cells) - 1
            cpus = '%d-%d' % (first, last) if last > first else '%d' % first
            add("    <cell id='%d' cpus='%s' memory='%d' unit='KiB'/>" % (number, cpus, size))
        add('  </numa></cpu>')
    add('  <on_reboot>restart</on_reboot>')
    if body:
        add(body)
    add('  <devices>')
    add('    <emulator>%s</emulator>' % xml.sax.saxutils.escape(emulator))
    if boot and not firmware:
        # It is not a floppy, because SeaBIOS cannot read one under some KVMs that run in a guest
        # themselves.
        target = "dev='sda' bus='sata'" if 'q35' in machine else "dev='hda' bus='ide'"
        add("    <disk type='file' device='disk'><driver name='qemu' type='raw'/>"
            "<source file=%s/><target %s/></disk>" % (quote(boot), target))
    if serial:
        add("    <serial type='file'><source path=%s/></serial>" % quote(serial))
    if dimm:
        add("    <memory model='dimm'><target><size unit='KiB'>%d</size><node>%d</node></target>"
            "</memory>" % (dimm, dimm_node))
    if devices:
        add(devices)
    add("    <controller type='usb' model='none'/>")
    add("    <memballoon model='none'/>")
    add('  </devices>')
    if launch:
        add('  <launchSecurity type=%s/>' % quote(launch))
    if arguments or environment:
        add('  <qemu:commandline>')
        for argument in arguments:
            add('    <qemu:arg value=%s/>' % quote(argument))
        for key, value in environment:
            add('    <qemu:env name=%s value=%s/>' % (quote(key), quote(value)))
        add('  </qemu:commandline>')
    add('</domain>\n')
    return '\n'.join(lines)


def domain_uuid(name):
    """The UUID that domain() gives to @name. It is always the same, so that runs can be compared."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name + '.gmem.test'))


if __name__ == '__main__':
    if sys.argv[1] == '--first':
        _first(sys.argv[2])
