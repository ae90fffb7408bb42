#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_runner.py: run-tests.py sees what tests change on their machine and starts them as it should, and it and
nested/run-nested.py leave what matrix/table.py makes tables of.

The changes are made to a made-up root, or in a mount namespace of their own.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TESTS, os.path.join(TESTS, 'e2e'), os.path.join(TESTS, 'matrix')]

# pylint: disable=wrong-import-position
import gmem_rig  # noqa: E402
import host_state  # noqa: E402
import table  # noqa: E402

suite = gmem_rig.Suite()

FILES = {
    'proc/self/mountinfo': '22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n'
                           '23 22 0:5 / /dev rw - devtmpfs none rw\n',
    'proc/sys/vm/nr_hugepages': '0\n',
    'proc/sys/vm/lowmem_reserve_ratio': '256\t256\t32\n0\n',
    'proc/sys/kernel/ns_last_pid': '4711\n',
    'sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': '0\n',
    'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
    'etc/group': 'root:x:0:\nkvm:x:107:\n',
}


@contextlib.contextmanager
def made_up_root():
    with tempfile.TemporaryDirectory(prefix='gmem-runner-') as root:
        for path, text in FILES.items():
            write(root, path, text)
        os.makedirs(root + '/dev/net')
        os.chmod(root + '/dev/net', 0o755)
        os.mkfifo(root + '/dev/pipe')
        os.chmod(root + '/dev/pipe', 0o600)
        yield root


def write(root, path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


@suite.test('nothing has changed: nothing is said')
def unchanged(t):
    with made_up_root() as root:
        before = host_state.read(root)
        t.true(len(before) > len(FILES), 'only %d lines' % len(before))
        # A mount's number, and what the kernel counts.
        write(root, 'proc/self/mountinfo', FILES['proc/self/mountinfo'].replace('23 22', '99 22'))
        write(root, 'proc/sys/kernel/ns_last_pid', '4712\n')
        write(root, 'dev/log', 'a file')
        t.equal(host_state.difference_since(before, root, 0), [], 'difference')


@suite.test('each kind of change: what there was, and what there is')
def changed(t):
    owner = '%d:%d' % (os.getuid(), os.getgid())
    with made_up_root() as root:
        before = host_state.read(root)
        os.chmod(root + '/dev/pipe', 0o660)
        os.symlink('pipe', root + '/dev/net/link')
        write(root, 'proc/self/mountinfo', FILES['proc/self/mountinfo']
              + '24 22 0:9 / /mnt rw - tmpfs tmpfs rw\n')
        write(root, 'proc/sys/vm/nr_hugepages', '7\n')
        write(root, 'sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages', '7\n')
        write(root, 'etc/passwd', '')
        write(root, 'etc/group', FILES['etc/group'] + 'new:x:108:\n')
        pool = root + '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages'
        t.equal(host_state.difference_since(before, root, 0), [
            '+ group: new:x:108:',
            '+ mount: / /mnt rw - tmpfs tmpfs rw',
            '+ node: %s/dev/net/link lrwxrwxrwx %s' % (root, owner),
            '- node: %s/dev/pipe prw------- %s' % (root, owner),
            '+ node: %s/dev/pipe prw-rw---- %s' % (root, owner),
            '- setting: %s = 0' % pool,
            '+ setting: %s = 7' % pool,
            '- setting: vm/nr_hugepages = 0',
            '+ setting: vm/nr_hugepages = 7',
            '- user: root:x:0:0:root:/root:/bin/bash',
        ], 'difference')


# In a mount namespace: it makes its own device nodes, then changes them and the mounts.
CHANGES = '''
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
import host_state

def sh(script):
    subprocess.run(['sh', '-ec', script], check=True)

sh('mount -t tmpfs -o mode=755 tmpfs /dev; mknod -m 600 /dev/kvm c 10 232; mknod /dev/a c 1 3; '
   'mknod /dev/b c 1 3; mkdir /dev/shm; mount -t tmpfs -o mode=1777 tmpfs /dev/shm')
before = host_state.read()
sh('chgrp 107 /dev/kvm; chmod 660 /dev/kvm; rm /dev/a /dev/b; mknod /dev/b c 1 5; '
   'mkfifo /dev/shm/unseen; umount /dev/shm; mkdir /dev/shm/seen')
for line in host_state.difference_since(before, patience=0):
    if ' /dev/' in line:
        print(line)
'''


@suite.test('device nodes and mounts, as the kernel has them')
def real(t):
    done = subprocess.run(['unshare', '--mount', '--propagation', 'private', sys.executable, '-B', '-c',
                           CHANGES, TESTS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)
    if 'unshare' in done.stderr or 'mknod' in done.stderr:
        raise gmem_rig.Skip('no namespace with device nodes can be made here')
    t.equal(done.stderr, '', 'standard error')
    lines = [re.sub(r'^(- mount: / /dev/shm) .*', r'\1', line) for line in done.stdout.splitlines()]
    t.equal(lines, [
        '- mount: / /dev/shm',
        '- node: /dev/a crw-r--r-- 0:0 1,3',
        '- node: /dev/b crw-r--r-- 0:0 1,3',
        '+ node: /dev/b crw-r--r-- 0:0 1,5',
        '- node: /dev/kvm crw------- 0:0 10,232',
        '+ node: /dev/kvm crw-rw---- 0:107 10,232',
        '- node: /dev/shm drwxrwxrwt 0:0',
        '+ node: /dev/shm drwxr-xr-x 0:0',
        '+ node: /dev/shm/seen drwxr-xr-x 0:0',
    ], 'difference')


# The standard signals, 1 to 31. The C library uses two above them itself; its posix_spawn(), with which make
# starts programs, leaves them ignored, and only the C library can change that.
PROJECT = r'''
project('runner')
test('signals', find_program('sh'), args: ['-c',
     'ignored=$(sed -n "s/^SigIgn:[[:space:]]*//p" /proc/self/status); echo "ignored: $ignored"; ' +
     'test $((0x$ignored & 0x7fffffff)) -eq 0'])
test('change', find_program('sh'), args: ['-c', 'eval "$GMEM_TEST_CHANGE"'])
'''

# The runner, on a made-up root directory.
RUNNER = '''
import runpy, sys
tests, root, *sys.argv = sys.argv[1:]
sys.path.insert(0, tests)
import host_state
read, difference = host_state.read, host_state.difference_since
host_state.read = lambda _=None: read(root)
host_state.difference_since = lambda before: difference(before, patience=1)
runpy.run_path(tests + '/run-tests.py', run_name='__main__')
'''


def run_tests(root, change, ignored=()):
    """(exit status, output) of run-tests.py for a project of two tests, one of which makes @change."""
    def ignore():
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
    build = root + '/build'
    if not os.path.exists(build):
        write(root, 'source/meson.build', PROJECT)
        subprocess.run(['meson', 'setup', build, root + '/source'], stdout=subprocess.DEVNULL,
                       check=True)
    done = subprocess.run([sys.executable, '-B', '-c', RUNNER, TESTS, root, 'run-tests.py', build],
                          env=dict(os.environ, GMEM_TEST_CHANGE=change), preexec_fn=ignore,
                          restore_signals=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    return done.returncode, done.stdout


@suite.test('the runner counts that the machine is as before')
def counted(t):
    with made_up_root() as root:
        status, out = run_tests(root, ':')
        t.equal((status, out.splitlines()[-1]), (0, '3 passed, 0 failed, 0 skipped'), out)
        with open(root + '/build/results.json', encoding='utf-8') as file:
            results = json.load(file)
        t.equal(results['programs'], {'runner': {'passed': 2, 'failed': 0, 'skipped': []}}, 'results.json')
        status, out = run_tests(root, 'echo 1 >%s/proc/sys/vm/nr_hugepages' % root)
        t.equal(status, 1, out)
        t.equal(out.splitlines()[-4:], [
            'FAILED  host: /dev, mounts, settings of the kernel, users and groups are as before',
            '      | - setting: vm/nr_hugepages = 0',
            '      | + setting: vm/nr_hugepages = 1',
            '2 passed, 1 failed, 0 skipped'], 'the last lines')


@suite.test('what a test prints is counted, whatever it is')
def printed(t):
    with made_up_root() as root:
        status, out = run_tests(root, r"printf 'a\000b\033[1m\001\n'; false")
        t.equal((status, out.splitlines()[-1]), (1, '2 passed, 1 failed, 0 skipped'), out)


@suite.test('signals that the runner has to ignore are not ignored in tests')
def signals(t):
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTERM,
               signal.SIGUSR1)
    with made_up_root() as root:
        status, out = run_tests(root, ':', numbers)
        t.equal((status, out.splitlines()[-1]), (0, '3 passed, 0 failed, 0 skipped'), out)


def made_up_results(debian, qemu, *programs):
    return {'debian': debian, 'libvirt': '11.3.0', 'qemu': qemu, 'linux': '6.18.44-x', 'programs': {
        'e2e-' + name: {'passed': passed, 'failed': failed, 'skipped': ['reason'] * skipped}
        for name, passed, failed, skipped in programs}}


@suite.test('of what runs have left, the tables of compatibility.rst are made')
def tables(t):
    runs = [made_up_results('13.8', '10.0.13', ('virtiofs', 7, 0, 0), ('rules', 5, 0, 3), ('calls', 4, 0, 0)),
            made_up_results('forky/sid', '11.1', ('virtiofs', 6, 1, 0), ('rules', 0, 0, 8))]
    made = table.make(runs)
    t.equal(made.splitlines()[:6], [
        '=============== ======= ==== ===== ============ =============',
        'Release         libvirt QEMU Linux Tests passed Tests skipped',
        '=============== ======= ==== ===== ============ =============',
        'Debian 13       11.3    10.0 6.18  16           3',
        'Debian unstable 11.3    11.1 6.18  6            8',
        '=============== ======= ==== ===== ============ ============='], 'versions')
    rows = {line[:14].strip(): line.split('  ')[1:] for line in made.splitlines()[7:]}
    for area, cells in (('virtiofs', ['all 7', '1 FAILED']), ('Rules of ``gme', ['5 of 8', 'not run']),
                        ('Definition, st', ['all 4', 'not run'])):
        t.equal([cell.strip() for cell in rows[area] if cell], cells, area)
    document = 'before\n' + table.BEGIN + 'old\n' + table.END + 'after\n'
    once = table.put(document, made)
    t.equal(once, 'before\n' + table.BEGIN + '\n' + made + '\n' + table.END + 'after\n', 'document')
    t.equal(table.put(once, made), once, 'document, written twice')


STATUS = '\n'.join('Package: %s\nStatus: install ok installed\nMaintainer: nobody\nArchitecture: amd64\n'
                   'Version: %s\nDescription: made up\n' % package
                   for package in (('libvirt0', '11.3.0-3+deb13u3'), ('qemu-system-x86', '1:10.0.13+ds-0')))


def run_nested():
    """run-nested.py as a module: its name is none that can be imported."""
    directory = os.path.join(TESTS, 'nested')
    sys.path.append(directory)
    spec = importlib.util.spec_from_file_location('run_nested', os.path.join(directory, 'run-nested.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tap(*lines):
    return ['1..%d' % len(lines), *lines, '# 1.0 s']


@suite.test('of what run-nested.py leaves, the table of kernels is made')
def kernels(t):
    nested = run_nested()
    with made_up_root() as root:
        where = argparse.Namespace(root=root, logs=root + '/logs')
        write(root, 'etc/debian_version', '13.8\n')
        write(root, 'var/lib/dpkg/status', STATUS)

        def ran(kernel, **programs):
            results = nested.Results()
            for program, (lines, status) in programs.items():
                results.count('%s/machine' % kernel, program, lines, status)
            os.makedirs('%s/%s' % (where.logs, kernel), exist_ok=True)
            nested.record(kernel, where, list(programs), results.tests)
            return table.load('%s/%s/results.json' % (where.logs, kernel))

        new, old = 'linux-7.3.4-1~bpo13+1', 'linux-6.12.117-1'
        ran(new, convertible=(tap('not ok 1 - secrets'), 1), secrets=(tap('ok 1 - one', 'ok 2 - two'), 0))
        # What ran again is replaced, and nothing else is.
        known = ran(new, convertible=(tap('ok 1 - secrets'), 0), selftests=(['1..2', 'ok 1 - one'], None))
        t.equal(known, {
            'debian': '13.8', 'libvirt': '11.3.0', 'qemu': '10.0.13', 'linux': '7.3.4',
            'tests': {'convertible: secrets': 'passed', 'secrets: one': 'passed', 'secrets: two': 'passed',
                      'selftests: one': 'passed', 'selftests: did not come to its end': 'failed'}}, 'results')
        runs = [known, ran(old, linux=(tap('ok 1 - convertible, q35: boots',
                                           'ok 2 - fully shared, pc: boots # SKIP no mmap()'), 0))]
        t.equal(table.make_kernels(runs).splitlines(), [
            '======== ========= ======= ==== ============= ============ =========== ================== =======',
            'Linux    Release   libvirt QEMU KVM by itself Fully shared Convertible Linux with secrets The lab',
            '======== ========= ======= ==== ============= ============ =========== ================== =======',
            '6.12.117 Debian 13 11.3    10.0 not run       0 of 1       all 1       not run            not run',
            '7.3.4    Debian 13 11.3    10.0 1 FAILED      not run      all 1       all 2              not run',
            '======== ========= ======= ==== ============= ============ =========== ================== ======='],
                'table')
        record = root + '/record'
        os.mkdir(record)
        table.save(runs, record)
        table.save(runs[:1], record)
        t.equal((sorted(os.listdir(record)), table.recorded(record)),
                (['debian-13-linux-6.12.117.json', 'debian-13-linux-7.3.4.json'], runs[::-1]), 'record')
        # On other releases nothing of it is known.
        write(root, 'etc/debian_version', 'forky/sid\n')
        t.equal(ran(new, start=(tap('ok 1 - all'), 0))['tests'], {'start: all': 'passed'}, 'on another release')


if __name__ == '__main__':
    sys.exit(suite.run())
