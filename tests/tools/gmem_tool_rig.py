# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_tool_rig.py: what the tests of virt-gmem and of the demo share."""

import contextlib
import fcntl
import glob
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(SOURCE, 'tests', 'e2e'))

# pylint: disable=wrong-import-position,unused-import
import gmem_rig as rig  # noqa: E402
import gmem_evidence as evidence  # noqa: E402,F401

BUILD = rig.BUILD
TOOL = os.path.join(BUILD, 'tools', 'virt-gmem')
DEMO = os.path.join(SOURCE, 'tools', 'demo.py')
FAULTS = os.path.join(BUILD, 'tests', 'shim', 'shim-faults.so')
ROOTS = '/run/virt-gmem-*'

_turn = None

ENV = dict({k: v for k, v in os.environ.items() if k != 'LD_PRELOAD'}, LC_ALL='C')

NOBODY = 65534

# /dev without kvm, but with what every program requires.
HIDE_KVM = '''
    mount -t tmpfs dev /mnt
    for name in null zero full random urandom tty; do
        touch /mnt/$name
        mount --bind /dev/$name /mnt/$name
    done
    mkdir /mnt/shm
    mount --rbind /mnt /dev'''


def call(*args, **changes):
    """(exit status, stdout, stderr) of virt-gmem."""
    done = subprocess.run([TOOL, *args], env=dict(ENV, **changes), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, timeout=rig.PATIENCE)
    return done.returncode, done.stdout, done.stderr


def in_namespace(script, *command, processes=False):
    """Runs the shell script @script in a mount namespace of its own, then the command, which is "$@"
    in the script. @processes: in a process namespace, too."""
    more = ['--pid', '--fork', '--kill-child'] if processes else []
    return subprocess.run(['/usr/bin/unshare', '--mount', '--propagation', 'private', *more, '/bin/sh',
                           '-ec', script + '\n"$@"', 'sh', *command], env=ENV, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, timeout=rig.PATIENCE)


def without_kvm(*command):
    """Runs a command where /dev/kvm does not exist."""
    return in_namespace(HIDE_KVM, *command)


def as_nobody():
    """For preexec_fn."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def nobody_may_look():
    """Whether another user, such as QEMU's, may look into the build tree."""
    return subprocess.run(['test', '-x', TOOL], preexec_fn=as_nobody, check=False).returncode == 0


def need_tree_for_nobody():
    if not nobody_may_look():
        raise rig.Skip('user nobody may not look into the build tree')


@contextlib.contextmanager
def directory():
    """A temporary directory that any user may look into."""
    path = tempfile.mkdtemp(prefix='gmem-test-', dir='/tmp')
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def processes_with(text):
    """The processes that have a text in their command line."""
    found = []
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        with contextlib.suppress(OSError):
            with open(path, 'rb') as f:
                if text.encode() in f.read():
                    found.append(int(path.split('/')[2]))
    return [pid for pid in found if pid != os.getpid() and rig.Process(pid).alive]


class Leftovers:
    """Notices directories of `virt-gmem run`, and processes in them, that did not exist before."""

    def __init__(self):
        self.before = set(glob.glob(ROOTS))

    def roots(self):
        return sorted(set(glob.glob(ROOTS)) - self.before)

    def check(self, t, *pids):
        """Fails unless everything is gone soon; after SIGKILL this takes a moment."""
        end = time.monotonic() + 15
        while time.monotonic() < end and (self.roots() or any(rig.Process(p).alive for p in pids)):
            time.sleep(0.1)
        t.equal(self.roots(), [], 'directories left')
        t.equal([pid for pid in pids if rig.Process(pid).alive], [], 'processes left')
        t.equal([p for root in self.roots() for p in processes_with(root)], [], 'processes left')


class Run:
    """A `virt-gmem run` in the background, in a process group of its own."""

    def __init__(self, *args, **changes):
        self.process = subprocess.Popen([TOOL, 'run', *args], env=dict(ENV, **changes),
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        start_new_session=True)
        self.out = ''
        self.err = ''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.wait()

    def started(self):
        """QEMU's process ID, once the domain is running."""
        os.set_blocking(self.process.stdout.fileno(), False)
        end = time.monotonic() + rig.PATIENCE
        while time.monotonic() < end:
            select.select([self.process.stdout], [], [], 0.1)
            self.out += (self.process.stdout.read() or b'').decode()
            found = re.search(r'^running: .*, process (\d+)', self.out, re.M)
            if found:
                os.set_blocking(self.process.stdout.fileno(), True)
                return int(found[1])
            if self.process.poll() is not None:
                break
        raise rig.Failure('the domain does not run: %s%s' % (self.out, self.wait()[2]))

    def worker(self):
        """The process ID of the process in which libvirt runs."""
        children = [pid for pid in processes_with('--root=' + '/run/virt-gmem-')
                    if self.parent(pid) == self.process.pid]
        return children[0] if children else None

    @staticmethod
    def parent(pid):
        with contextlib.suppress(OSError):
            with open('/proc/%d/stat' % pid) as f:
                return int(f.read().rpartition(')')[2].split()[1])
        return None

    def wait(self):
        """(exit status, stdout, stderr)"""
        out, err = self.process.communicate(timeout=rig.PATIENCE)
        self.out += out.decode()
        self.err += err.decode()
        return self.process.returncode, self.out, self.err


def domain(path, private='<private/>', devices='', extra=''):
    """Writes a domain that runs the guest payload, a copy of which is put beside it; returns @path."""
    firmware = path + '.rom'
    shutil.copyfile(rig.GUEST, firmware)
    os.chmod(firmware, 0o644)
    with open(path, 'w') as f:
        f.write('''<domain type='kvm'>
  <name>tool-test</name>
  <memory unit='MiB'>64</memory>
  <memoryBacking>%s</memoryBacking>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><loader type='rom'>%s</loader></os>
  <features><acpi/></features>
  <devices>%s<memballoon model='none'/></devices>
  %s
</domain>
''' % (private, firmware, devices, extra))
    return path


def need_build():
    """Raises Failure if there is nothing to test. From here on, only one of these tests runs at a
    time, because each notices what others have in ROOTS."""
    global _turn  # pylint: disable=global-statement
    for path in (TOOL, rig.LIBRARY, rig.SHIM, rig.GUEST):
        if not os.path.exists(path):
            raise rig.Failure('%s is not built' % path)
    _turn = open(os.path.join(BUILD, 'tools-tests.lock'), 'w', encoding='utf-8')
    fcntl.flock(_turn, fcntl.LOCK_EX)


def system_extension(capability):
    """KVM_CHECK_EXTENSION on /dev/kvm itself."""
    rig.need_kvm()
    device = os.open('/dev/kvm', os.O_RDWR | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(device, 0xAE03, capability)
    finally:
        os.close(device)


def host_json(*args, **changes):
    status, out, err = call('host', '--json', *args, **changes)
    try:
        return status, json.loads(out)
    except ValueError:
        raise rig.Failure('no JSON: %s%s' % (out, err)) from None

