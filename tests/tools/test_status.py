#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_status.py: `virt-gmem status` with QEMUs that are none.

The stand-in (this file with --standin) imitates two things of the QEMU of a convertible domain: its
command line, in which libvirt gives the name as `-name guest=NAME,debug-threads=on` with commas
doubled, and the memfd in which the shim publishes its numbers, laid out as src/util/gmemshimstatus.h
says. It runs no guest. That the real shim's numbers are shown, and true, is tested where a kernel can
run such a domain: tests/nested/test_convertible.py."""

import contextlib
import json
import os
import re
import select
import struct
import subprocess
import sys
import time

import gmem_tool_rig as tools
from gmem_tool_rig import rig

suite = rig.Suite()

NAME = 'libvirt-gmem-status'
LINK = '/memfd:%s (deleted)' % NAME
NOBODY = 65534
LARGEST = (1 << 64) - 1
HEAD = struct.Struct('8sII6Q')
HEAD_2 = struct.Struct('II7Q')  # what version 2 has more
CONVERTIBLE, FULLY_SHARED = 1, 2
BACKEND = struct.Struct('64s8Q')


def status(backends=(), magic=b'GMEMSTAT', version=1, count=None, sequence=2, hypercalls=0, implicit=0,
           refused=0, resets=0, private=0, mode=CONVERTIBLE, held=0):
    """The file's bytes. @backends: (id, private, shared, to private, to shared)."""
    count = len(backends) if count is None else count
    more = HEAD_2.pack(mode, 1, 1 << 30, held, *[0] * 5) if version == 2 else b''
    return HEAD.pack(magic, version, count, sequence, hypercalls, implicit, refused, resets,
                     private) + more + b''.join(
        BACKEND.pack(name.encode() if isinstance(name, str) else name, *numbers, 0, 0, 0, 0)
        for name, *numbers in backends)


CELLS = [('ram-node0', 3 << 20, 61 << 20, 5, 2), ('ram-node1', 0, 32 << 20, 0, 0)]


# ---- the stand-in ----

def standin(mode, data):
    """Is QEMU until its input ends."""
    descriptor = None
    if mode == 'fifo':
        descriptor = impostor()
    elif mode != 'none':
        descriptor = os.memfd_create(NAME)
        os.write(descriptor, data)
    if mode == 'fork' and os.fork() == 0:
        mode = 'child'
    if mode != 'child':
        sys.stdout.write('ready %s\n' % (descriptor if descriptor is None else
                                         os.readlink('/proc/self/fd/%d' % descriptor)))
        sys.stdout.flush()
    busy = {'busy': change, 'truncate': truncate}.get(mode)
    turn = 0
    while not select.select([sys.stdin], [], [], None if not busy else 0)[0]:
        turn += 1
        busy(descriptor, data, turn)


def impostor():
    """A FIFO whose link is a memfd's: opening it to read would take for ever."""
    subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], check=True)
    os.mkfifo('/mnt/memfd:' + NAME)
    descriptor = os.open('/mnt/memfd:' + NAME, os.O_RDWR)
    os.unlink('/mnt/memfd:' + NAME)
    subprocess.run(['umount', '--lazy', '/mnt'], check=True)  # its path begins with itself then
    return descriptor


def change(descriptor, data, turn):
    """As the shim does it: the sum of a backend's numbers is right where sequence is even."""
    os.pwrite(descriptor, struct.pack('Q', 2 * turn + 1), 16)
    at = HEAD.size + 64
    moved = turn % 64 << 20
    os.pwrite(descriptor, struct.pack('Q', moved), at)
    os.pwrite(descriptor, struct.pack('Q', (64 << 20) - moved), at + 8)
    os.pwrite(descriptor, struct.pack('Q', 2 * turn + 2), 16)
    time.sleep(0.0005)


def truncate(descriptor, data, turn):
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)


# ---- the tests ----

class Standin:
    def __init__(self, name, data=b'', mode='plain', option=None, wrapper=()):
        option = 'guest=%s,debug-threads=on' % name.replace(',', ',,') if option is None else option
        self.process = subprocess.Popen(
            [*wrapper, rig.PYTHON, os.path.abspath(__file__), '--standin', mode, data.hex(),
             '-name', option, '-S', '-object', 'x'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
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
    with Standin('st-one', data) as one:
        code, found, err = ask('st-one')
        t.equal((code, err), (0, ''), 'exit status and standard error')
        t.equal(found, {'st-one': {
            'name': 'st-one', 'process': one.pid, 'start': 'shared', 'hypercalls': 7, 'implicit': 1,
            'refused': 3, 'resets': 2, 'held': 0, 'backends': [
                {'id': name, 'private': private, 'shared': shared, 'to-private': there,
                 'to-shared': back} for name, private, shared, there, back in CELLS]}}, 'JSON')
        code, out, err = tools.call('status', 'st-one')
        t.equal((code, err), (0, ''), 'exit status and standard error')
        lines = out.splitlines()
        t.equal(lines[0], 'st-one (process %d), memory starts shared' % one.pid, 'first line')
        t.equal([line.split() for line in lines[2:4]],
                [[name, str(private >> 10), str(shared >> 10), str(there), str(back)]
                 for name, private, shared, there, back in CELLS], 'lines of backends')
        t.equal(lines[4].strip(), 'hypercalls 7, implicit conversions 1, refused 3, resets 2',
                'last line')
        t.equal(len(lines), 5, 'number of lines')


@suite.test('each version of the layout that was ever released')
def versions(t):
    shown = {}
    for version in (1, 2):
        with Standin('st-version', status(CELLS, version=version, hypercalls=9)):
            code, found, err = ask('st-version')
            t.equal((code, err), (0, ''), 'exit status and standard error')
            found['st-version'].pop('process')
            shown[version] = found
    t.equal(shown[2], shown[1], 'what is shown')
    t.equal(shown[1]['st-version']['hypercalls'], 9, 'hypercalls')
    with Standin('st-held', status(CELLS, version=2, held=5)):
        t.equal(ask('st-held')[1]['st-held']['held'], 5, 'held')
        t.has(tools.call('status', 'st-held')[1], 'not given back, or not bound to its host nodes, 5',
              'output')


@suite.test('fully shared memory has nothing to show')
def fully_shared(t):
    with Standin('st-shared', status((), version=2, mode=FULLY_SHARED)) as shared:
        t.true('st-shared' not in ask()[1], 'it is shown among all')
        t.equal(ask('st-shared')[::2],
                (1, "error: domain 'st-shared' (process %d): its memory is fully shared: none of it is "
                 'converted\n' % shared.pid), 'exit status and standard error')


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


@suite.test('a domain that is not running, and one whose memory is not convertible: status 1')
def missing(t):
    code, out, err = tools.call('status', 'st-none')
    t.equal((code, out), (1, ''), 'exit status and output')
    t.equal(err, "error: no domain 'st-none' is running\n", 'standard error')
    with Standin('st-plain', mode='none') as plain, Standin('st-good', status(CELLS)):
        code, found, err = ask('st-plain', 'st-good')
        t.equal((code, sorted(found)), (1, ['st-good']), 'exit status and domains shown')
        t.equal(err, "error: domain 'st-plain' (process %d): its memory is not convertible, or QEMU "
                'converts it by itself\n' % plain.pid, 'standard error')
        t.true('st-plain' not in ask()[1], 'it is shown among all')
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
        (status(CELLS, magic=b'GMEMSTAX'), 'does not begin as one'),
        (status(CELLS, version=3), 'another version'),
        (status(CELLS, version=2)[:-1], 'too short'),
        (status((), version=2)[:127], 'too short'),
        (status(CELLS, version=0), 'another version'),
        (status(CELLS, count=LARGEST >> 32), 'too many memory backends'),
        (status(CELLS, count=1025), 'too many memory backends'),
        (status(CELLS, count=1024), 'too short'),
        (status(CELLS, count=3), 'too short'),
        (os.urandom(4096), 'does not begin as one'),
    ]
    for data, reason in cases:
        with Standin('st-bad', data), Standin('st-good', whole):
            code, found, err = ask('st-bad', 'st-good')
            t.equal((code, sorted(found)), (1, ['st-good']), 'status and domains: ' + reason)
            t.matches(err, r"^error: domain 'st-bad' \(process \d+\): its status .*%s.*\n$" % reason,
                      'standard error')


@suite.test('numbers as large as they get, and a long list')
def large(t):
    with Standin('st-large', status([('x', LARGEST, LARGEST, LARGEST, LARGEST)], hypercalls=LARGEST)):
        found = ask('st-large')[1]['st-large']
        t.equal(found['backends'], [{'id': 'x', 'private': LARGEST, 'shared': LARGEST,
                                     'to-private': LARGEST, 'to-shared': LARGEST}], 'backends')
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
        t.equal(len(out.splitlines()), 3 + len(ids), 'number of lines')
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
        for _ in range(30):
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
        t.has(err, 'its status is being changed all the time', 'standard error')
        t.true(time.monotonic() - began < rig.PATIENCE / 2, 'it took too long')


@suite.test('a status that is cut off while it is read')
def truncated(t):
    with Standin('st-cut', status(CELLS), mode='truncate'):
        codes = set()
        for _ in range(60):
            code, found, err = ask('st-cut')
            codes.add(code)
            t.true(code in (0, 1), 'exit status %d' % code)
            if code:
                t.has(err, 'its status ', 'standard error')
            elif found['st-cut']['backends']:
                t.equal(found['st-cut']['backends'][0]['id'], 'ram-node0', 'id')


@suite.test('something else of that name does not hold it up')
def fifo(t):
    rig.need_root()
    wrapper = ('unshare', '--mount', '--propagation', 'private')
    with Standin('st-fifo', mode='fifo', wrapper=wrapper) as impostor_:
        t.equal(impostor_.answer, 'ready %s\n' % LINK, 'link of what is no memfd')
        code, _, err = ask('st-fifo')
        t.equal(code, 1, 'exit status')
        t.has(err, 'its memory is not convertible', 'standard error')


def as_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


@suite.test('who may not look at a domain is told so')
def unprivileged(t):
    if subprocess.run(['test', '-x', tools.TOOL], preexec_fn=as_nobody, check=False).returncode:
        raise rig.Skip('user nobody may not look into the build tree')

    def nobody(*names):
        done = subprocess.run([tools.TOOL, 'status', *names], preexec_fn=as_nobody, env=tools.ENV,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout, done.stderr
    with Standin('st-root', status(CELLS)) as root:
        t.equal(nobody('st-root'),
                (1, '', "error: domain 'st-root' (process %d): process %d may not be looked into: "
                 'Permission denied; run as root\n' % (root.pid, root.pid)), 'named')
        code, out, err = nobody()
        t.equal((code, out), (1, ''), 'exit status and output')
        t.matches(err, r'^error: \d+ domains of other users may not be looked at; run as root\n$',
                  'standard error')


@suite.test('wrong usage: status 64')
def usage(t):
    code, out, err = tools.call('status', '--frobnicate')
    t.equal((code, out), (64, ''), 'exit status and output')
    t.has(err, '--frobnicate', 'standard error')
    t.has(tools.call('--help')[1], '  status ', 'verbs')


if __name__ == '__main__':
    if sys.argv[1:2] == ['--standin']:
        standin(sys.argv[2], bytes.fromhex(sys.argv[3]))
        sys.exit(0)
    tools.need_build()
    sys.exit(suite.run(rig.need_root()))
