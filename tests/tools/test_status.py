#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_status.py: `virt-gmem status`, with stand-ins for QEMU and with a real one.

The stand-in (this file with --standin) imitates two things of the QEMU of a convertible domain: its command line, in
which libvirt gives the name as `-name guest=NAME,debug-threads=on` with commas doubled, and the memfd in which the shim
publishes its numbers, laid out as src/util/gmemshimstatus.h says. It does not run a guest. With `snp` it imitates a
QEMU that makes guest_memfd itself, as those of SEV-SNP do: a VM of KVM's with real guest_memfds, and launch object and
backends on its command line. That the real shim's numbers are shown, and true, is tested where a kernel can run such a
domain: tests/nested/test_convertible.py."""

import contextlib
import ctypes
import fcntl
import json
import mmap
import os
import re
import select
import struct
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import gmem_tool_rig as tools
from gmem_tool_rig import evidence, rig

suite = rig.Suite()

NAME = 'libvirt-gmem-status'
LINK = '/memfd:%s (deleted)' % NAME
LARGEST = (1 << 64) - 1
HEAD = struct.Struct('8sII6Q')
HEAD_2 = struct.Struct('II7Q')  # the additional fields of version 2
CONVERTIBLE, FULLY_SHARED = 1, 2
BACKEND = struct.Struct('64s8Q')
SLOT = struct.Struct('3Q2I')
HALF = 8 << 20


def status(backends=(), magic=b'GMEMSTAT', version=1, count=None, sequence=2, hypercalls=0, implicit=0,
           refused=0, resets=0, private=0, mode=CONVERTIBLE, held=0):
    """The file's bytes. @backends: (id, private, shared, to private, to shared)."""
    count = len(backends) if count is None else count
    more = HEAD_2.pack(mode, 1, 1 << 30, held, *[0] * 5) if version == 2 else b''
    return HEAD.pack(magic, version, count, sequence, hypercalls, implicit, refused, resets,
                     private) + more + b''.join(
        BACKEND.pack(name.encode() if isinstance(name, str) else name, *numbers, 0, 0, 0, 0)
        for name, *numbers in backends)


def host_node():
    """The host's only node with memory, as status prints the nodes of pages; None if there are several."""
    with open('/sys/devices/system/node/has_memory', encoding='utf-8') as f:
        text = f.read().strip()
    return text if text.isdigit() else None


HOST_NODE = host_node()

CELLS = [('ram-node0', 3 << 20, 61 << 20, 5, 2), ('ram-node1', 0, 32 << 20, 0, 0)]


# ---- the stand-in ----

def standin(mode, data):
    """Imitates QEMU until its input ends."""
    descriptor = None
    if mode in ('fifo', 'file'):
        descriptor = impostor(mode, data)
    elif mode == 'half':
        held = shared_half(data)  # noqa: F841
    elif mode == 'snp':
        held = guest_memfds([int(size) for size in data.split()])  # noqa: F841
    elif mode not in ('none', 'map'):
        descriptor = os.memfd_create(NAME)
        os.write(descriptor, data)
    if mode == 'map':
        held = holder(*data.decode().split())  # noqa: F841
    if mode == 'fork' and os.fork() == 0:
        mode = 'child'
    if mode != 'child':
        sys.stdout.write('ready %s\n' % (descriptor if descriptor is None else
                                         os.readlink('/proc/self/fd/%d' % descriptor)))
        sys.stdout.flush()
    busy = {'busy': change, 'truncate': truncate, 'count': count_up}.get(mode)
    turn = 0
    while not select.select([sys.stdin], [], [], None if not busy else 0)[0]:
        turn += 1
        busy(descriptor, data, turn)


def holder(pid, number):
    """Another process has the descriptor twice, and a mapping of it, for which Python has a third descriptor."""
    copies = [evidence.duplicate(int(pid), int(number)) for _ in range(2)]
    return copies, mmap.mmap(copies[0], mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ)


def guest_memfds(sizes):
    """guest_memfds of an ordinary VM; half of the pages of each are allocated by reading them."""
    made = []
    device = os.open('/dev/kvm', os.O_RDWR | os.O_CLOEXEC)
    vm = fcntl.ioctl(device, 0xAE01, 0)
    for size in sizes:
        libc = ctypes.CDLL(None, use_errno=True)
        request = ctypes.create_string_buffer(struct.pack('8Q', size, 3, *[0] * 6))
        made.append(libc.ioctl(vm, ctypes.c_ulong(0xC040AED4), request))
        memory = mmap.mmap(made[-1], size, mmap.MAP_SHARED, mmap.PROT_READ)
        for offset in range(0, size // 2, mmap.PAGESIZE):
            memory[offset]  # pylint: disable=pointless-statement
        made.append(memory)
    return [device, vm, made]


def shared_half(data):
    """The status of a backend of HALF bytes, of whose shared half the first quarter is there. QEMU has given it to KVM
    in two slots; there is another one of a CPU in system management mode, and one of something else."""
    memory = mmap.mmap(-1, HALF, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(15)  # MADV_NOHUGEPAGE
    for offset in range(0, HALF // 4, mmap.PAGESIZE):
        memory[offset] = 1
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    slots = b''.join(SLOT.pack(guest, size, where, number, 0) for guest, size, where, number in (
        (HALF // 2, HALF // 2, address + HALF // 2, 2), (0, HALF // 2, address, 1),
        (1 << 30, HALF, address, 1 << 16), (2 << 30, HALF, 4096, 3), (0, 0, 0, 0)))
    descriptor = os.memfd_create(NAME)
    os.write(descriptor, HEAD.pack(b'GMEMSTAT', 2, 1, 2, *[0] * 5) + HEAD_2.pack(
        CONVERTIBLE, 1, HALF, 0, HEAD.size + HEAD_2.size + BACKEND.size, 5, 0, 0, 0) + BACKEND.pack(
        b'ram', HALF // 2, HALF // 2, 0, 0, 0, address, 0, 0) + slots)
    return memory, descriptor


def impostor(mode, data):
    """A FIFO or a file whose link looks like a memfd's: opening a FIFO for reading would block for ever, and
    so would a file of a file system that the process itself serves."""
    subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], check=True)
    if mode == 'fifo':
        os.mkfifo('/mnt/memfd:' + NAME)
    descriptor = os.open('/mnt/memfd:' + NAME, os.O_RDWR | os.O_CREAT)
    if mode == 'file':
        os.write(descriptor, data)
    os.unlink('/mnt/memfd:' + NAME)
    subprocess.run(['umount', '--lazy', '/mnt'], check=True)  # its path then begins with itself
    return descriptor


def change(descriptor, data, turn):
    """Does the same as the shim: the sum of a backend's numbers is right if sequence is even."""
    os.pwrite(descriptor, struct.pack('Q', 2 * turn + 1), 16)
    at = HEAD.size + 64
    moved = turn % 64 << 20
    os.pwrite(descriptor, struct.pack('Q', moved), at)
    os.pwrite(descriptor, struct.pack('Q', (64 << 20) - moved), at + 8)
    os.pwrite(descriptor, struct.pack('Q', 2 * turn + 2), 16)
    time.sleep(0.0005)


def count_up(descriptor, data, turn):
    """A guest that makes conversions all the time."""
    os.pwrite(descriptor, struct.pack('Q', 1000 * turn), HEAD.size + 64 + 16)
    time.sleep(0.02)


def truncate(descriptor, data, turn):
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)


# ---- the tests ----

class Standin:
    def __init__(self, name, data=b'', mode='plain', option=None, wrapper=(), more=()):
        option = 'guest=%s,debug-threads=on' % name.replace(',', ',,') if option is None else option
        self.process = subprocess.Popen(
            [*wrapper, rig.PYTHON, os.path.abspath(__file__), '--standin', mode, data.hex(),
             '-name', option, '-S', '-object', 'x', *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid
        self.answer = self.process.stdout.readline().decode()

    def __enter__(self):
        if not self.answer.startswith('ready '):
            self.__exit__()
            raise rig.Skip('the stand-in does not run here')
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(rig.PATIENCE)
        self.process.stdout.close()


def ask(*names):
    """(exit status, {name: domain}, standard error) of status --json."""
    code, out, err = tools.call('status', '--json', *names)
    return code, {domain['name']: domain for domain in json.loads(out)}, err


@suite.test('the numbers, for people and as JSON')
def numbers(t):
    data = status(CELLS, hypercalls=7, implicit=1, refused=3, resets=2)
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    with Standin('st-one', data) as one:
        code, found, err = ask('st-one')
        elapsed = time.clock_gettime(time.CLOCK_BOOTTIME) - began
        t.equal((code, err), (0, ''), 'exit status and standard error')
        one_found = found['st-one']
        t.true(0 <= one_found['seconds'] <= elapsed + 2, '%s seconds, after %s' % (one_found['seconds'], elapsed))
        charged(t, one_found)
        for volatile in ('charge', 'cgroup', 'seconds', 'unseen'):
            one_found.pop(volatile)
        t.equal(found, {'st-one': {
            'name': 'st-one', 'process': one.pid, 'mode': 'convertible', 'supplier': 'qemu-gmem.so',
            'start': 'shared', 'hypercalls': 7, 'implicit': 1, 'refused': 3, 'resets': 2, 'held': 0,
            'backends': [
                {'id': name, 'cell': None, 'size': private + shared, 'resident-guest-memfd': None,
                 'resident-ordinary': None, 'private': private, 'shared': shared, 'to-private': there,
                 'to-shared': back, 'policy': None, 'nodes': HOST_NODE}
                for name, private, shared, there, back in CELLS], 'holders': []}}, 'JSON')
        code, out, err = tools.call('status', 'st-one')
        t.equal((code, err), (0, ''), 'exit status and standard error')
        lines = out.splitlines()
        t.equal(lines[0], 'st-one (process %d): convertible memory, guest_memfd by qemu-gmem.so, starts '
                'shared' % one.pid, 'first line')
        t.equal([line.split() for line in lines[2:4]],
                [[name, 'unknown', str((private + shared) >> 10), 'unknown', str(private >> 10),
                  str(shared >> 10), 'unknown', HOST_NODE or 'unknown']
                 for name, private, shared, there, back in CELLS], 'lines of backends')
        for line, (name, _, _, there, back) in zip(lines[4:], CELLS):
            t.matches(line, r'^  conversions of %s: %d to private, %d to shared, \d+\.\d a second since '
                      r'the start$' % (name, there, back), 'line of conversions')
        t.equal(lines[6].strip(), 'hypercalls 7, implicit conversions 1, refused 3, resets 2',
                'line of counts')
        t.matches(lines[7], r'^  charged to (its cgroup: unknown|cgroup /\S+: \d+ KiB)$', 'charge')
        t.true(all(line.startswith('  in other processes: unknown: ') for line in lines[8:]), 'the rest')


def charged(t, found):
    """What the cgroup is charged, and how it is written, is what the kernel says, as far as it changes meanwhile."""
    if found['cgroup'] is None:
        t.equal(found['charge'], None, 'charge')
        return
    t.true(found['cgroup'].startswith('/'), 'cgroup ' + found['cgroup'])
    for path in ('/sys/fs/cgroup%s/memory.current', '/sys/fs/cgroup/memory%s/memory.usage_in_bytes'):
        path %= found['cgroup']
        if os.path.exists(path):
            usage = int(read(path))
            t.true(usage / 5 <= found['charge'] <= usage * 5, 'charge %d, usage %d' % (found['charge'], usage))


@suite.test('each version of the layout that was ever released')
def versions(t):
    shown = {}
    for version in (1, 2):
        with Standin('st-version', status(CELLS, version=version, hypercalls=9)):
            code, found, err = ask('st-version')
            t.equal((code, err), (0, ''), 'exit status and standard error')
            for volatile in ('process', 'charge', 'cgroup', 'seconds', 'unseen'):
                found['st-version'].pop(volatile)
            shown[version] = found
    t.equal(shown[2], shown[1], 'what is shown')
    t.equal(shown[1]['st-version']['hypercalls'], 9, 'hypercalls')
    with Standin('st-held', status(CELLS, version=2, held=5)):
        t.equal(ask('st-held')[1]['st-held']['held'], 5, 'held')
        t.has(tools.call('status', 'st-held')[1], 'not given back, or not bound to its host nodes, 5',
              'output')


@suite.test('all domains, or those that are named; names with commas, blanks and other letters')
def several(t):
    names = ['st-a', 'st-b,x,,y', 'st-guest=c', 'st d ä']
    with contextlib.ExitStack() as stack:
        pids = [stack.enter_context(Standin(name, status(CELLS, private=1))).pid for name in names]
        code, found, err = ask()
        t.equal((code, err), (0, ''), 'exit status and standard error')
        t.equal({name: found[name]['process'] for name in names}, dict(zip(names, pids)), 'processes')
        t.equal(found['st-a']['start'], 'private', 'start')
        t.equal(sorted(ask(names[1], names[3])[1]), sorted([names[1], names[3]]), 'those named')
        out = tools.call('status', *names)[1]
        t.equal(re.findall(r'(?m)^(\S.*) \(process', out), sorted(names), 'order')
    code, found, err = ask()
    t.equal((code, err, [name for name in names if name in found]), (0, '', []), 'afterwards')


@suite.test('the name is read as QEMU reads it')
def option(t):
    with Standin('', status(), option='process=p,guest=st-later,debug-threads=on'), \
            Standin('', status(), option='st-plain') as plain:
        t.equal(ask('st-later')[0], 0, 'exit status for a name that comes second')
        code, out, _ = tools.call('status', '--json')
        t.equal([d['name'] for d in json.loads(out) if d['process'] == plain.pid], [None],
                'name of a process without')


@suite.test('a domain that is not running, and one whose memory is not guest_memfd: status 1')
def missing(t):
    code, out, err = tools.call('status', 'st-none')
    t.equal((code, out), (1, ''), 'exit status and output')
    t.equal(err, "error: no domain 'st-none' is running\n", 'standard error')
    with Standin('st-plain', mode='none') as plain, Standin('st-good', status(CELLS)):
        code, found, err = ask('st-plain', 'st-good')
        t.equal((code, sorted(found)), (1, ['st-good']), 'exit status and domains shown')
        t.equal(err, "error: domain 'st-plain' (process %d): the memory of the domain is not guest_memfd\n"
                % plain.pid, 'standard error')
        t.true('st-plain' not in ask()[1], 'it is shown among all')
        with tools.directory() as where:
            picture = os.path.join(where, 'map.svg')
            t.equal(tools.call('status', '--map', picture, 'st-plain')[0], 1, 'exit status of --map')
            t.true(not os.path.exists(picture), 'there is a map of it')
    # A wrapper script that waits for QEMU.
    with Standin('st-good', mode='none'), Standin('st-good', status(CELLS)):
        t.equal(ask('st-good')[::2], (0, ''), 'exit status and standard error')


@suite.test('a child that QEMU has just forked is not a second domain')
def forked(t):
    with Standin('st-fork', status(CELLS), mode='fork'):
        out = json.loads(tools.call('status', '--json', 'st-fork')[1])
        t.equal(len(out), 1, 'domains')


@suite.test('what is no status is refused, each with its reason')
def damaged(t):
    whole = status(CELLS)
    cases = [
        (b'', 'too short'),
        (whole[:63], 'too short'),
        (whole[:-1], 'too short'),
        (whole[:HEAD.size], 'too short'),
        (status(CELLS, magic=b'GMEMSTAX'), 'does not begin as libvirt-gmem writes it'),
        (status(CELLS, version=3), 'another version'),
        (status(CELLS, version=2)[:-1], 'too short'),
        (status((), version=2)[:127], 'too short'),
        (status(CELLS, version=0), 'another version'),
        (status(CELLS, count=LARGEST >> 32), 'too many memory backends'),
        (status(CELLS, count=1025), 'too many memory backends'),
        (status(CELLS, count=1024), 'too short'),
        (status(CELLS, count=3), 'too short'),
        (os.urandom(4096), 'does not begin as libvirt-gmem writes it'),
    ]
    for data, reason in cases:
        with Standin('st-bad', data), Standin('st-good', whole):
            code, found, err = ask('st-bad', 'st-good')
            t.equal((code, sorted(found)), (1, ['st-good']), 'status and domains: ' + reason)
            t.matches(err, r"^error: domain 'st-bad' \(process \d+\): the status .*%s.*\n$" % reason,
                      'standard error')


@suite.test('numbers as large as they get, and a long list')
def large(t):
    with Standin('st-large', status([('x', LARGEST, LARGEST, LARGEST, LARGEST)], hypercalls=LARGEST)):
        found = ask('st-large')[1]['st-large']
        t.equal([(b['id'], b['private'], b['shared'], b['to-private']) for b in found['backends']],
                [('x', None, None, None)], 'backends: no such amounts exist')
        t.equal(found['hypercalls'], LARGEST, 'hypercalls')
    with Standin('st-many', status([('m%d' % i, i, 0, 0, 0) for i in range(300)])):
        found = ask('st-many')[1]['st-many']
        t.equal([b['id'] for b in found['backends']], ['m%d' % i for i in range(300)], 'backends')


@suite.test('nothing that a terminal would obey, and always JSON')
def hostile_text(t):
    ids = [b'x' * 64, b'\x1b[2Jclear', b'new\nline', b'\xff\xfe\x80', 'ü\u202eabc'.encode(), b'', b'"\\']
    data = status([(i, 0, 0, 0, 0) for i in ids])
    name = 'st-\x1b[31m\n\x7fred'
    with Standin(name, data):
        code, out, err = tools.call('status', name)
        t.equal((code, err), (0, ''), 'exit status and standard error')
        t.equal(len(re.findall('(?m)^  conversions of ', out)), len(ids), 'lines of conversions')
        t.matches(out.replace('\n', ''), '^[^\x00-\x1f\x7f\u202e]*$', 'output')
        found = json.loads(tools.call('status', '--json', name)[1])[0]
        t.equal(found['name'], 'st-\ufffd[31m\ufffd\ufffdred', 'name')
        t.equal([b['id'] for b in found['backends']],
                ['x' * 64, '\ufffd[2Jclear', 'new\ufffdline', '\ufffd' * 3, 'ü\ufffdabc', '', '"\\'],
                'ids')
    with Standin(name, b''):
        t.matches(tools.call('status', name)[2], '^[^\x00-\x1f\x7f]*\n$', 'standard error')


@suite.test('numbers that are being changed: always a sum that is right, or an end')
def consistent(t):
    with Standin('st-busy', status([('ram', 0, 64 << 20, 0, 0)]), mode='busy'):
        seen = set()
        for _ in range(15):
            code, found, err = ask('st-busy')
            t.equal((code, err), (0, ''), 'exit status and standard error')
            backend = found['st-busy']['backends'][0]
            t.equal(backend['private'] + backend['shared'], 64 << 20, 'sum')
            seen.add(backend['private'])
        t.true(len(seen) > 1, 'it was not being changed')
    with Standin('st-stuck', status(CELLS, sequence=3)):
        began = time.monotonic()
        code, _, err = ask('st-stuck')
        t.equal(code, 1, 'exit status')
        t.has(err, 'the status is being changed all the time', 'standard error')
        t.true(time.monotonic() - began < rig.PATIENCE / 2, 'it took too long')


@suite.test('a status that is cut off while it is read')
def truncated(t):
    with Standin('st-cut', status(CELLS), mode='truncate'):
        codes = set()
        for _ in range(20):
            code, found, err = ask('st-cut')
            codes.add(code)
            t.true(code in (0, 1), 'exit status %d' % code)
            if code:
                t.has(err, 'the status ', 'standard error')
            elif found['st-cut']['backends']:
                t.equal(found['st-cut']['backends'][0]['id'], 'ram-node0', 'id')


@suite.test('something else of that name does not hold it up')
def fifo(t):
    rig.need_root()
    wrapper = ('unshare', '--mount', '--propagation', 'private')
    for mode in 'fifo', 'file':
        with Standin('st-' + mode, status(CELLS), mode=mode, wrapper=wrapper) as impostor_:
            t.equal(impostor_.answer, 'ready %s\n' % LINK, 'link of what is no memfd')
            code, _, err = ask('st-' + mode)
            t.equal(code, 1, 'exit status')
            t.has(err, 'the memory of the domain is not guest_memfd', 'standard error')


@suite.test('who may not look at a domain is told so')
def unprivileged(t):
    tools.need_tree_for_nobody()

    def nobody(*names):
        done = subprocess.run([tools.TOOL, 'status', *names], preexec_fn=tools.as_nobody, env=tools.ENV,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout, done.stderr
    with Standin('st-root', status(CELLS)) as root:
        t.equal(nobody('st-root'),
                (1, '', "error: domain 'st-root' (process %d): process %d may not be inspected: "
                 'Permission denied; run as root\n' % (root.pid, root.pid)), 'named')
        code, out, err = nobody()
        t.equal((code, out), (1, ''), 'exit status and output')
        t.matches(err, r'^error: (1 domain of another user|\d+ domains of other users) may not be '
                  r'inspected; run as root\n$', 'standard error')
    own = ('setpriv', '--reuid=%d' % tools.NOBODY, '--regid=%d' % tools.NOBODY, '--clear-groups')
    with Standin('st-own', status(CELLS), wrapper=own):
        code, out, err = nobody('--json', 'st-own')
        t.equal((code, err), (0, ''), 'exit status and standard error, his own')
        t.true(json.loads(out)[0]['unseen'] > 0, 'processes that were not seen')


@suite.test('guest_memfd that QEMU makes itself: what is not known is unknown')
def snp(t):
    rig.need_guest_memfd()
    mib = 1 << 20
    more = ['-object', 'sev-snp-guest,id=lsec0', '-machine', 'q35,memory-backend=a']
    for name, size in (('a', 8), ('b', 4), ('c', 4), ('file', 4)):
        policy = {'b': 'policy=preferred', 'c': 'policy=default'}.get(name, 'host-nodes=0,policy=bind')
        more += ['-object', 'memory-backend-%s,id=%s,size=%dM,%s'
                 % ('file' if name == 'file' else 'memfd', name, size, policy)]
    more += ['-numa', 'node,nodeid=1,memdev=b', '-numa', 'node,nodeid=2,memdev=c',
             '-device', 'nvdimm,memdev=file']
    sizes = b'%d %d %d' % (8 * mib, 4 * mib, 4 * mib)
    with Standin('st-snp', sizes, mode='snp', more=more) as one:
        code, found, err = ask('st-snp')
        t.equal((code, err), (0, ''), 'exit status and standard error')
        found = found['st-snp']
        t.equal((found['mode'], found['supplier'], found['hypercalls'], found['start']),
                ('sev-snp', 'QEMU', None, None), 'what it is')
        t.equal([(b['id'], b['cell'], b['size'], b['resident-guest-memfd'], b['private'], b['shared'])
                 for b in found['backends']],
                [('a', 0, 8 * mib, 4 * mib, None, None), ('b', 1, 4 * mib, None, None, None),
                 ('c', 2, 4 * mib, None, None, None), (None, None, 4 * mib, 2 * mib, None, None),
                 (None, None, 4 * mib, 2 * mib, None, None)], 'backends')
        t.has(found['backends'][0]['policy'], 'bind', 'policy')
        t.equal([b['policy'] for b in found['backends'][1:]], ['preferred', 'none', None, None], 'policies')
        t.equal([(h['process'], h['mapped'], h['descriptors']) for h in found['holders']],
                [(one.pid, 16 * mib, 6)], 'who has it')  # Python maps a duplicate of the descriptor
        t.has(tools.call('status', 'st-snp')[1], '  conversions: unknown\n', 'output')
        with tools.directory() as where:
            picture = os.path.join(where, 'map.svg')
            t.equal(tools.call('status', '--map', picture, 'st-snp'), (0, '', ''), '--map')
            for text in ('>a<', '>guest addresses are unknown<', '>what is in the ordinary half is unknown<',
                         '>b<', '>what is in guest_memfd is unknown<'):
                t.has(read(picture), text, 'the picture')
            t.equal([read(picture).count("class='%s'" % kind) for kind in 'ps'], [2049, 1],
                    'private and shared squares, the legend among them')
        t.matches(terminal('--count', '1', 'st-snp'), r'(?m)^  a +\[#{18} {18}\] unknown of 8192 KiB', 'half a bar')
        t.equal(sorted(ask()[1].keys() & {'st-snp'}), ['st-snp'], 'among all')


def read(path):
    with open(path, encoding='utf-8', newline='\n') as f:
        return f.read()


@contextlib.contextmanager
def running(where):
    """A real domain with two cells of the same size, whose guest has written all of it; yields QEMU's process ID."""
    rig.need_guest_memfd()
    path = os.path.join(where, 'domain.xml')
    serial = os.path.join(where, 'serial')
    with open(serial, 'w', encoding='utf-8'):
        os.chmod(serial, 0o666)
    with open(tools.domain(path), encoding='utf-8') as f:
        text = f.read()
    text = text.replace("<name>tool-test", "<name>st-real").replace(
        "<vcpu>1</vcpu>", "<vcpu>2</vcpu><cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/>"
        "<cell id='1' cpus='1' memory='32' unit='MiB'/></numa></cpu>").replace(
        '<devices>', "<devices><serial type='file'><source path='%s'/></serial>" % serial)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    with tools.Run(path) as run:
        pid = run.started()
        rig.wait_for(lambda: re.search(r'pass \d+ ok \d+ pages', read(serial)),
                     'the guest')
        yield pid


@suite.test('a real domain: cells, what is resident, who has it, and a map of its addresses')
def real(t):
    with tools.directory() as where, running(where) as pid:
        found = ask('st-real')[1]['st-real']
        t.equal((found['mode'], found['process']), ('fully-shared', pid), 'what it is')
        with evidence.backends(pid) as backends:
            t.equal([(b['id'], b['cell'], b['size'], b['private'], b['shared'], b['to-private'])
                     for b in found['backends']],
                    [(b.id, cell, b.size, 0, b.size, 0) for cell, b in enumerate(backends)], 'backends')
            t.equal([b['resident-guest-memfd'] for b in found['backends']],
                    [b.resident() * evidence.PAGE for b in backends], 'what is resident')
            fd = backends[1].fd
        t.equal([(h['process'], h['mapped'], h['writable'], h['descriptors']) for h in found['holders']],
                [(pid, 64 << 20, True, 2)], 'who has it')
        with Standin('none', b'%d %d' % (pid, fd), mode='map') as other:
            found = ask('st-real')[1]['st-real']
            t.equal([(h['process'], h['mapped'], h['writable'], h['descriptors'])
                     for h in found['holders'] if h['process'] != pid],
                    [(other.pid, evidence.PAGE, False, 3)], 'who else has it')
            t.has(tools.call('status', 'st-real')[1],
                  '  in process %d (python3' % other.pid, 'output')
        picture = os.path.join(where, 'map.svg')
        t.equal(tools.call('status', '--map', picture, 'st-real'), (0, '', ''), '--map')
        svg = ET.parse(picture).getroot()
        texts = [e.text for e in svg.iter('{http://www.w3.org/2000/svg}text')]
        for text in ('ram-node0', '0x0', 'ram-node1', '0x2000000', 'private', 'shared'):
            t.true(text in texts, '%s is in the picture: %r' % (text, texts))
        classes = [e.get('class') for e in svg.iter('{http://www.w3.org/2000/svg}rect')]
        t.equal(classes.count('p'), 1, 'private squares, the legend among them')
        t.true(classes.count('s') > 8000, 'shared squares: %d' % classes.count('s'))


@suite.test('where convertible memory is: what is there of its shared half, and guest addresses')
def half(t):
    with Standin('st-half', mode='half'):
        code, found, err = ask('st-half')
        t.equal((code, err), (0, ''), 'exit status and standard error')
        backend = found['st-half']['backends'][0]
        t.equal((backend['resident-ordinary'], backend['resident-guest-memfd']), (HALF // 4, None), 'what is resident')
        with tools.directory() as where:
            picture = os.path.join(where, 'map.svg')
            t.equal(tools.call('status', '--map', picture, 'st-half'), (0, '', ''), '--map')
            texts = re.findall('>([^<>]+)</text>', read(picture))
            t.equal([text for text in texts if text.startswith(('0x', '+0x'))], ['0x0'], 'addresses')
            t.equal([read(picture).count("class='%s'" % kind) for kind in 'ps'], [1, HALF // 4 // 4096 + 1],
                    'private and shared squares, the legend among them')


@suite.test('--prometheus: numbers that are known, in its format')
def prometheus(t):
    with Standin('st-"prom\\', status(CELLS)):
        code, out, err = tools.call('status', '--prometheus', 'st-"prom\\')
        t.equal((code, err), (0, ''), 'exit status and standard error')
        for line in out.splitlines():
            t.matches(line, r'^(# (HELP|TYPE) libvirt_gmem_\w+ .+|libvirt_gmem_\w+\{(\w+="([^"\\]|\\.)*",?)*\} '
                      r'\d+)$', 'line')
        t.matches(out, r'(?m)^libvirt_gmem_backend_private_bytes\{domain="st-\\"prom\\\\",process="\d+",'
                  r'backend="ram-node0",number="0"\} 3145728$', 'private bytes')
        t.matches(out, r'(?m)^libvirt_gmem_backend_conversions_total\{.*backend="ram-node0".*,to="private"\} '
                  '5$', 'conversions')
        t.matches(out, r'(?m)^libvirt_gmem_backend_conversions_total\{.*backend="ram-node0".*,to="shared"\} '
                  '2$', 'conversions')
        t.matches(out, r'(?m)^libvirt_gmem_backend_shared_bytes\{.*backend="ram-node0".*\} %d$' % (61 << 20), 'shared')
        t.matches(out, r'(?m)^libvirt_gmem_backend_size_bytes\{.*backend="ram-node0".*\} %d$' % (64 << 20), 'size')
        t.matches(out, r'(?m)^libvirt_gmem_holders\{.*mode="convertible",supplier="qemu-gmem.so"\} 0$', 'holders')
        t.lacks(out, 'backend_resident_bytes{', 'metrics of what is unknown')
        types = re.findall(r'(?m)^# TYPE (\S+)', out)
        t.equal(sorted(types), sorted(set(types)), 'each metric has one type')


def terminal(*options):
    """What --watch prints on a terminal with 100 columns."""
    done = subprocess.run(['script', '-qec', 'stty cols 100; %s status --watch %s' % (tools.TOOL, ' '.join(options)),
                           '/dev/null'], env=dict(tools.ENV, TERM='dumb', NO_COLOR='1'), stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True, check=True)
    return re.sub('\033\\[[HJ]', '', done.stdout)


@suite.test('--watch: tables into a pipe, bars with rates on a terminal')
def watch(t):
    with Standin('st-watch', status(CELLS)):
        code, out, err = tools.call('status', '--watch', '--count', '2', 'st-watch')
        t.equal((code, err), (0, ''), 'exit status and standard error')
        t.equal(out.count('st-watch (process '), 2, 'tables')
        t.lacks(out, '\033', 'output into a pipe')
        t.matches(terminal('--count', '2', 'st-watch'),
                  r'ram-node0 +\[.*\] unknown of 65536 KiB, 0 conversions/s', 'bars')
    with Standin('st-rate', status(CELLS), mode='count'):
        rate = re.search(r' (\d+) conversions/s', terminal('--count', '2', 'st-rate'))
        t.true(rate and 10 < int(rate[1]) < 1000000, 'rate: %s' % (rate and rate[1]))


@suite.test('wrong usage: status 64')
def usage(t):
    code, out, err = tools.call('status', '--frobnicate')
    t.equal((code, out), (64, ''), 'exit status and output')
    t.has(err, '--frobnicate', 'standard error')
    t.has(tools.call('--help')[1], '  status ', 'verbs')
    for options in (('--json', '--watch'), ('--map', 'x', '--prometheus'), ('--watch', '--interval', '0'),
                    ('--watch', '--count', '-1')):
        t.equal(tools.call('status', *options)[0], 64, ' '.join(options))
    code, out, err = tools.call('status', '--map', '/dev/null', 'st-none')
    t.equal((code, out), (1, ''), 'a map of no domain')


if __name__ == '__main__':
    if sys.argv[1:2] == ['--standin']:
        standin(sys.argv[2], bytes.fromhex(sys.argv[3]))
        sys.exit(0)
    tools.need_build()
    sys.exit(suite.run(rig.need_root()))
