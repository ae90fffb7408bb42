#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_demo.py: the demo shows what it is intended to show, and fails if it must."""

import glob
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time

import gmem_tool_rig as tools
from gmem_tool_rig import rig

suite = rig.Suite()

LINES = 50
COLUMNS = 100


# Demos of other build trees, and people's, have directories of the same kind: here they have the mark in their
# names.
MARK = secrets.token_hex(4)
MARKED = '''
import runpy, sys, tempfile
real, mark = tempfile.mkdtemp, sys.argv.pop(1)
tempfile.mkdtemp = lambda prefix, dir: real(prefix=prefix + mark + '-', dir=dir)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name='__main__')
'''
DEMO = [rig.PYTHON, '-c', MARKED, MARK, tools.DEMO]
DIRECTORY = '/tmp/gmem-demo-%s-' % MARK


def demo(**changes):
    return subprocess.run([*DEMO, tools.BUILD], env=dict(tools.ENV, **changes),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                          timeout=4 * rig.PATIENCE)


def directories():
    return glob.glob(DIRECTORY + '*')


def processes():
    """The processes that a demo has started: its directory is in their arguments."""
    found = []
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        try:
            with open(path, 'rb') as file:
                words = file.read()
        except OSError:
            continue
        if DIRECTORY.encode() in words:
            found.append(words.replace(b'\0', b' ').decode(errors='replace'))
    return found


@suite.test('it succeeds, on one screen, with evidence for each backend')
def success(t):
    rig.need_guest_memfd()
    left = tools.Leftovers()
    done = demo()
    t.equal(done.returncode, 0, 'exit status\n%s%s' % (done.stdout, done.stderr))
    lines = done.stdout.splitlines()
    t.true(len(lines) <= LINES, '%d lines' % len(lines))
    t.equal([line for line in lines if len(line) > COLUMNS], [], 'long lines')
    t.has(done.stdout, '<private/>', 'output')
    t.matches(done.stdout, r'(?m)^- -object .*memory-backend-ram.*ram-node0', 'stock arguments')
    t.matches(done.stdout, r'(?m)^\+ -object .*memory-backend-memfd.*ram-node1', 'our arguments')
    t.matches(done.stdout, r'(?m)^\+ LD_PRELOAD=.*qemu-gmem\.so', 'our arguments')
    t.matches(done.stdout, r'(?m)^\+ -x-libvirt-gmem version=1,mode=fully-shared', 'our arguments')
    for node, size in (('ram-node0', 96), ('ram-node1', 160)):
        t.matches(done.stdout, r'(?m)^%s +%d MiB +\d+ -> \S*\[kvm-gmem\].* rw-s' % (node, size),
                  'table')
        t.matches(done.stdout, r'(?m)^guest address 0x\w+ = %s \+ 0x\w+: GMEMPAGE' % node,
                  'pattern')
    found = re.findall(r'(?m)^ram-node\d: (\d+) pages with', done.stdout)
    wrote = re.search(r'the guest says: wrote (\d+) pages; found: (\d+)', done.stdout)
    t.equal(len(found), 2, 'backends with a pattern')
    t.equal(int(wrote[1]), sum(int(n) for n in found), 'pages')
    # All of 256 MiB except the first MiB and what the BIOS reserves.
    t.true(int(wrote[1]) > 64000, 'the guest wrote too little')
    t.has(lines[-1], 'demo: OK', 'last line')
    t.equal(directories(), [], 'directories left')
    left.check(t)


@suite.test('without /dev/kvm it names what is missing and fails')
def no_kvm(t):
    done = tools.without_kvm(*DEMO, tools.BUILD)
    t.equal(done.returncode, 1, 'exit status\n' + done.stdout)
    t.has(done.stderr, 'demo: FAILED: this host cannot run a domain with <private/>: /dev/kvm '
                       'cannot be opened: No such file or directory', 'standard error')
    t.equal(directories(), [], 'directories left')


@suite.test('without guest_memfd it names what is missing and fails')
def no_guest_memfd(t):
    rig.need_guest_memfd()
    for faults, words in (('cap=0,flags=0', 'KVM_CAP_GUEST_MEMFD = 0'),
                          ('flags=0', 'KVM_CAP_GUEST_MEMFD_FLAGS = 0x0')):
        done = demo(LD_PRELOAD=tools.FAULTS, GMEM_TEST_FAULTS=faults)
        t.equal(done.returncode, 1, 'exit status\n' + done.stdout)
        t.has(done.stderr, 'demo: FAILED: this host cannot run a domain with <private/>: ', 'error')
        t.has(done.stderr, words, 'error')


@suite.test('guest_memfd refused after the host was asked: no demo on ordinary memory')
def refused(t):
    rig.need_guest_memfd()
    left = tools.Leftovers()
    done = demo(LD_PRELOAD=tools.FAULTS, GMEM_TEST_FAULTS='create=12,after=1')
    t.equal(done.returncode, 1, 'exit status\n' + done.stdout)
    t.matches(done.stderr, r'demo: FAILED: (?s:.)*guest_memfd: Cannot allocate memory', 'error')
    left.check(t)


@suite.test('a build without tests has what the demo runs')
def without_tests(t):
    rig.need_guest_memfd()
    with tools.directory() as directory:
        build = directory + '/build'
        for command in (['meson', 'setup', '-Dtests=false', build, tools.SOURCE],
                        ['ninja', '-C', build, 'tests/guest/gmem-guest.img']):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  check=False)
            t.equal(done.returncode, 0, ' '.join(command) + '\n' + done.stdout)
        planned = subprocess.run(['ninja', '-C', build, '-n'], stdout=subprocess.PIPE, text=True,
                                 check=True).stdout
        t.has(planned, 'virt-gmem', 'what is built')
        t.lacks(planned, 'tests/unit', 'what is built')
        # The rest is the same as in our tree.
        shutil.rmtree(build + '/tools')
        os.symlink(tools.BUILD + '/tools', build + '/tools')
        done = subprocess.run([*DEMO, build], env=tools.ENV, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        t.equal(done.returncode, 0, 'exit status\n%s%s' % (done.stdout, done.stderr))


@suite.test('not built: says so')
def not_built(t):
    with tools.directory() as directory:
        done = subprocess.run([*DEMO, directory], env=tools.ENV,
                              stderr=subprocess.PIPE, text=True, check=False)
    t.equal(done.returncode, 1, 'exit status')
    t.has(done.stderr, 'virt-gmem is missing: build first', 'standard error')


@suite.test('a signal at any moment leaves nothing')
def signals(t):
    rig.need_guest_memfd()
    # Early signals come while stock libvirt asks the emulator what it supports, or while a domain is
    # started.
    for line, delay, number in (('== What this host can do', 0.1, signal.SIGTERM),
                                ('== What this host can do', 0.4, signal.SIGTERM),
                                ('== What this host can do', 0.7, signal.SIGHUP),
                                ('== What this host can do', 1.0, signal.SIGTERM),
                                ('== The domain', 0, signal.SIGINT),
                                ("== QEMU's arguments", 0.5, signal.SIGTERM)):
        left = tools.Leftovers()
        process = subprocess.Popen([*DEMO, tools.BUILD], env=tools.ENV,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        t.true(any(said.startswith(line) for said in process.stdout), 'never said ' + line)
        time.sleep(delay)
        process.send_signal(number)
        _, err = process.communicate(timeout=rig.PATIENCE)
        t.equal(process.returncode, 1, 'exit status\n' + err)
        t.has(err, 'demo: stopped by a signal', 'standard error, %s' % line)
        t.equal(directories(), [], 'directories left')
        t.equal(processes(), [], 'processes left')
        left.check(t)


@suite.test('killed: the domain goes too')
def killed(t):
    rig.need_guest_memfd()
    left = tools.Leftovers()
    process = subprocess.Popen([*DEMO, tools.BUILD], env=tools.ENV,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        rig.wait_for(left.roots, 'the domain')
        process.kill()
        process.communicate()
        left.check(t)
    t.equal(len(directories()), 1, 'directories that only the killed demo could have removed')
    shutil.rmtree(directories()[0])


if __name__ == '__main__':
    tools.need_build()
    sys.exit(suite.run(rig.need_root()))
