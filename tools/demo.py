#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""demo.py: runs examples/private-numa.xml and shows, from outside QEMU, what its memory is.

usage: demo.py BUILD

There is no daemon: `virt-gmem run` runs the domain, with the guest of tests/guest on a disk, which
fills its RAM with a pattern. Exits with 0 only if the RAM backends add up to the domain's RAM, each
is a guest_memfd, every page that the guest wrote is found in them in its place, and QEMU has no
other writable mapping that is as large as a backend.
"""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(SOURCE, 'tests', 'e2e'))

import gmem_evidence as evidence  # noqa: E402

COLUMNS = 100
MIB = 1024 * 1024
UNITS = {'b': 1, 'KiB': 1024, 'MiB': MIB, 'GiB': 1024 * MIB}
PR_SET_PDEATHSIG = 1
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

# Seconds. The guest takes 10 if KVM is slow; the domain ends by itself if the demo is killed.
PATIENCE = 180
LIFETIME = 2 * PATIENCE

SHOWN_CHECKS = ('kvm', 'kvm-guest-memfd-mmap', 'kvm-guest-memfd-init-shared', 'numa-policy', 'qemu',
                'qemu-guest-memfd', 'libvirt', 'mode-fully-shared', 'mode-convertible')

# This runs without the library, and prints what stock libvirt makes of the same XML.
STOCK = '''
import libvirt, sys
libvirt.registerErrorHandler(lambda context, error: None, None)
libvirt.virEventRegisterDefaultImpl()
connection = libvirt.open('qemu:///embed?root=' + sys.argv[1])
sys.stdout.write(connection.domainXMLToNative('qemu-argv', open(sys.argv[2]).read()))
'''

QEMU_CONF = '''\
user = "root"
group = "root"
namespaces = []
cgroup_controllers = []
security_driver = "none"
stdio_handler = "file"
'''


class Failure(Exception):
    """Ends the demo; the text says why."""


def clip(line):
    return line if len(line) <= COLUMNS else line[:COLUMNS - 1] + '…'


def heading(text):
    print('== ' + text)


def environment(**changes):
    """The environment without this project's libraries, which virt-gmem preloads where they are
    needed."""
    env = dict(os.environ, LC_ALL='C.UTF-8', **changes)
    preload = re.split('[: ]', env.pop('LD_PRELOAD', ''))
    ours = ('libvirt-gmem.so', 'qemu-gmem.so')
    others = [path for path in preload if path and os.path.basename(path) not in ours]
    return dict(env, LD_PRELOAD=':'.join(others)) if others else env


def check_host(tool):
    """Prints what the host can do; fails where it cannot run the example."""
    done = subprocess.run([tool, 'host', '--json', '--mode', 'fully-shared'], env=environment(),
                          stdout=subprocess.PIPE, text=True, check=False)
    try:
        host = json.loads(done.stdout)
    except ValueError:
        raise Failure('%s host --json: exit status %d' % (tool, done.returncode)) from None

    heading('What this host can do (virt-gmem host)')
    for check in host['checks']:
        if check['id'] in SHOWN_CHECKS or check['result'] == 'FAIL':
            detail = ' (%s)' % check['detail'] if check['detail'] else ''
            print(clip('%s  %s%s' % (check['result'], check['title'], detail)))
    if done.returncode != 0:
        raise Failure('this host cannot run a domain with <private/>: '
                      + str(host['modes']['fully-shared']['reason']))


def write_domain(directory, build):
    """Writes the example, with the guest's disk and a serial port that is connected to a file."""
    image, serial, path = (os.path.join(directory, name)
                           for name in ('guest.img', 'serial', 'domain.xml'))
    shutil.copyfile(os.path.join(build, 'tests', 'guest', 'gmem-guest.img'), image)
    with open(serial, 'w'):
        pass
    os.chmod(image, 0o644)
    os.chmod(serial, 0o666)

    domain = ET.parse(os.path.join(SOURCE, 'examples', 'private-numa.xml'))
    devices = domain.getroot().find('devices')
    if devices is None:
        devices = ET.SubElement(domain.getroot(), 'devices')
    devices.extend(ET.fromstring('''<devices>
        <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='%s'/>
            <target dev='vda' bus='virtio'/><readonly/></disk>
        <serial type='file'><source path='%s'/></serial></devices>''' % (image, serial)))
    domain.write(path)
    memory = domain.getroot().find('memory')
    return path, serial, int(memory.text) * UNITS[memory.get('unit', 'KiB')]


def end_emulators(root):
    """Ends the emulators of a libvirt that was killed while it asked an emulator what it supports;
    nobody else does."""
    needle = os.fsencode(root + '/')
    quiet = 0
    while quiet < 2:
        found = 0
        for process in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open('/proc/%s/cmdline' % process, 'rb') as f:
                    if needle not in f.read() or int(process) == os.getpid():
                        continue
                os.kill(int(process), signal.SIGKILL)
                found += 1
            except OSError:
                continue
        quiet = 0 if found else quiet + 1
        time.sleep(0.1)


def stock_argv(directory, path):
    root = os.path.join(directory, 'stock')
    os.makedirs(os.path.join(root, 'etc'))
    with open(os.path.join(root, 'etc', 'qemu.conf'), 'w') as f:
        f.write(QEMU_CONF)
    env = environment(LIBVIRT_LOG_OUTPUTS='3:file:%s/log' % root)
    try:
        done = subprocess.run([sys.executable, '-c', STOCK, root, path], stdout=subprocess.PIPE,
                              env=env, text=True, check=False)
    finally:
        end_emulators(root)
    if done.returncode != 0:
        raise Failure('stock libvirt does not translate the domain')
    # libvirt's only escaping here is quotes around words.
    words = re.findall(r"'[^']*'|\S+", done.stdout.replace('\\\n', ' '))
    return [word.strip("'") for word in words]


@contextlib.contextmanager
def signals_later():
    """Delays signals that would end the demo until what is being created can be removed."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def prepare_child():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def start(tool, path, errors):
    """Runs the domain in a session of its own, so that Ctrl-C only reaches the demo."""
    return subprocess.Popen([tool, 'run', '--for', str(LIFETIME), path], stdout=subprocess.PIPE,
                            stderr=errors, env=environment(), text=True, start_new_session=True,
                            preexec_fn=prepare_child)


def wait_for_start(run, errors):
    """Returns (the dumped XML, QEMU's pid)."""
    dump = []
    for line in run.stdout:
        running = re.match(r'running: .*, process (\d+)', line)
        if running:
            return dump, int(running[1])
        dump.append(line.rstrip('\n'))
    status = run.wait()
    errors.seek(0)
    raise Failure('virt-gmem run: exit status %d:\n%s' % (status, errors.read().rstrip()))


def stop(run):
    if run.poll() is None:
        run.terminate()
        run.communicate()
    return run.returncode


def wait_for_guest(serial, run):
    """The output of the guest, after it has written all its RAM and found it unchanged."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with open(serial, newline='\n') as f:
            text = f.read()
        if 'BAD' in text:
            raise Failure('the guest lost a page: ' + text.strip().splitlines()[-1])
        if re.search(r'pass \d+ ok \d+ pages', text):
            return text
        if run.poll() is not None:
            raise Failure('the domain ended too early')
        time.sleep(0.1)
    raise Failure('the guest has not filled its RAM in %d seconds; it said:\n%s' % (PATIENCE, text))


def show_domain(dump):
    heading('The domain, as libvirt dumps it')
    text = '\n'.join(dump)
    if '<private/>' not in text or 'x-libvirt-gmem' in text:
        raise Failure('the dump is not what was defined')
    parts = [r'  <name>.*', r'  <memory .*', r'  <memoryBacking>(?s:.*?)</memoryBacking>',
             r'    <numa>(?s:.*?)</numa>']
    for part in parts:
        found = re.search(part, text)
        if not found:
            raise Failure('the dump lacks ' + part)
        print(found[0])


def memory_words(argv):
    """The options that decide what the guest's memory is."""
    return ['-%s %s' % (name, value) for name, value in evidence.options(argv)
            if name in ('machine', 'numa', 'x-libvirt-gmem')
            or (name == 'object' and 'memory-backend-' in value)]


def preloaded(pid):
    """The libraries of ours that QEMU has mapped; the library has already removed itself from
    LD_PRELOAD."""
    paths = sorted({m.path for m in evidence.mappings(pid) if m.path.endswith('-gmem.so')})
    return ['LD_PRELOAD=' + path for path in paths]


def show_arguments(stock, pid):
    heading('QEMU\'s arguments: "-" stock libvirt would have used, "+" were used, " " both')
    before = memory_words(stock)
    after = preloaded(pid) + memory_words(evidence.command_line(pid))
    for word in before:
        print(clip('%s %s' % (' ' if word in after else '-', word)))
    for word in after:
        if word not in before:
            print(clip('+ ' + word))


def show_backends(found, ram):
    heading('The running QEMU, from outside: its RAM backends')
    print('%-12s %9s  %-32s %16s  %s' % ('id', 'size', 'descriptor', 'resident pages', 'mapped'))
    for backend in found:
        descriptor = 'none' if backend.fd is None else '%d -> %s' % (backend.fd, backend.link)
        resident = backend.resident() if backend.fd is not None else 0
        print('%-12s %5d MiB  %-32s %7d of %6d  %s' % (
            backend.id, backend.size // MIB, descriptor, resident, backend.size // evidence.PAGE,
            backend.mapping.perms if backend.mapping else 'no'))

    total = sum(backend.size for backend in found)
    print('together %d MiB; the domain has %d MiB' % (total // MIB, ram // MIB))
    if any(backend.fd is None or not backend.mapping for backend in found):
        raise Failure('a RAM backend is no guest_memfd')
    if total != ram:
        raise Failure('the backends are not all of the domain\'s RAM')


def address_of(found, low, backend, offset):
    """The guest address of a backend's byte: RAM fills the addresses up to @low, and continues at 4
    GiB."""
    linear = sum(b.size for b in found[:found.index(backend)]) + offset
    return linear if linear < low else linear - low + evidence.GIB4


def show_pattern(found, serial):
    heading('What the guest wrote, read through pidfd_getfd duplicates of these descriptors')
    low = evidence.end_of_low_ram(evidence.serial_ranges(serial))
    total = 0
    for backend in found:
        pages = [offset for offset in range(0, backend.size, evidence.PAGE)
                 if backend.guest_address(offset) == address_of(found, low, backend, offset)]
        if not pages:
            raise Failure('%s has no page with the guest\'s pattern' % backend.id)
        for offset in (pages[0], pages[len(pages) // 2], pages[-1]):
            data = backend.read(offset, 16)
            print('guest address %#011x = %s + %#010x: %s %s' % (
                address_of(found, low, backend, offset), backend.id, offset,
                data[:8].decode(), data[8:].hex(' ')))
        print('%s: %d pages with their own address in them' % (backend.id, len(pages)))
        total += len(pages)

    wrote = int(re.findall(r'wrote (\d+) pages', serial)[-1])
    print('the guest says: wrote %d pages; found: %d' % (wrote, total))
    if wrote != total:
        raise Failure('not every page that the guest wrote was found')


def show_foreign(pid, found):
    foreign = evidence.large_foreign_mappings(pid, found)
    for mapping in foreign:
        print(clip('foreign: %x-%x %s %d MiB %s' % (mapping.start, mapping.end, mapping.perms,
                                                    mapping.size // MIB, mapping.path)))
    print('other writable mappings in QEMU as large as a backend: %d' % len(foreign))
    if foreign:
        raise Failure('QEMU has memory that guest RAM could be in')


def demo(build, directory):
    tool = os.path.join(build, 'tools', 'virt-gmem')
    if not os.access(tool, os.X_OK):
        raise Failure('%s is missing: build first (meson compile -C %s)' % (tool, build))
    check_host(tool)

    path, serial, ram = write_domain(directory, build)
    stock = stock_argv(directory, path)
    errors = open(os.path.join(directory, 'errors'), 'w+')
    run = None
    try:
        with signals_later():
            run = start(tool, path, errors)
        dump, pid = wait_for_start(run, errors)
        show_domain(dump)
        show_arguments(stock, pid)
        said = wait_for_guest(serial, run)
        with evidence.backends(pid) as found:
            show_backends(found, ram)
            show_pattern(found, said)
            show_foreign(pid, found)
    finally:
        status = run and stop(run)
        errors.close()
    if status != 0:
        raise Failure('virt-gmem run: exit status %d' % status)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.split('\n\n')[1])
    if os.geteuid() != 0:
        sys.exit('demo: looking into another process\'s descriptors takes root')
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit('demo: stopped by a signal'))

    sys.stdout.reconfigure(line_buffering=True)
    # The path is short, because sockets are in it, and accessible, because QEMU runs as another
    # user.
    directory = None
    try:
        with signals_later():
            directory = tempfile.mkdtemp(prefix='gmem-demo-', dir='/tmp')
        os.chmod(directory, 0o755)
        demo(os.path.abspath(sys.argv[1]), directory)
    except (Failure, evidence.EvidenceError) as error:
        sys.exit('demo: FAILED: %s' % error)
    except KeyboardInterrupt:
        sys.exit('demo: stopped by a signal')
    finally:
        if directory:
            shutil.rmtree(directory, ignore_errors=True)
    print('demo: OK: all of the guest\'s RAM is guest_memfd')


if __name__ == '__main__':
    main()
