#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rigs themselves, on stock libvirt: the other tests here depend on them."""

import os
import signal
import subprocess

from gmem_rig import (PATIENCE, DaemonRig, Died, EmbedRig, Failure, LibvirtError, Sandbox, Suite,
                      domain, need_kvm, need_root, wait_for)

suite = Suite()


@suite.test('a sandbox hides the machine and takes its processes along')
def _(check):
    with Sandbox() as sandbox:
        sandbox.write('/run/x', 'inside')
        check.equal(sandbox.run(['cat', '/run/x']).stdout, 'inside', 'file in /run')
        check.true(not os.path.exists('/run/x'), '/run of the machine must not change')
        check.equal(sandbox.run(['ls', '/etc/libvirt']).stdout, '', '/etc/libvirt')
        # One process whose parent has ended, and one that is our own child.
        sandbox.run(['sh', '-c', 'setsid sleep 1000 >/dev/null 2>&1 &'])
        sandbox.popen(['sleep', '1000'])
        found = wait_for(lambda: len(sandbox.processes()) == 2 and sandbox.processes(), 'both')
        root = sandbox.root
    check.true(not any(p.alive for p in found), 'a process outlived its sandbox')
    check.true(not os.path.exists(root), 'the temporary root is still there')


@suite.test('a sandbox ends with its test, however that ends')
def _(check):
    here = os.path.dirname(os.path.abspath(__file__))
    script = ('import sys, time; sys.path.insert(0, %r); from gmem_rig import *; s = Sandbox(); '
              'p = s.popen(["sleep", "1000"]); print(p.pid, s.root, flush=True); time.sleep(1000)')
    with Sandbox() as outer:
        process = outer.popen(['/usr/bin/python3', '-c', script % here], stdout=-1, text=True)
        root = process.stdout.readline().split()[1]
        before = len(outer.processes())
        process.send_signal(signal.SIGKILL)
        process.wait()
        check.true(before >= 1, 'the script did not run')
        wait_for(lambda: not [p for p in outer.processes() if p.argv[:1] == ['sleep']],
                 'the inner sandbox to end')
        wait_for(lambda: not os.path.exists(root), 'its temporary root to be removed')
        process.stdout.close()


@suite.test('a test program that is to end puts back what its test changed')
def _(check):
    here = os.path.dirname(os.path.abspath(__file__))
    script = ('import sys, time; sys.path.insert(0, %r); from gmem_rig import *; suite = Suite()\n'
              '@suite.test("x")\n'
              'def _(check):\n'
              '    try:\n        print("begun", flush=True); time.sleep(1000)\n'
              '    finally:\n        print("put back")\n'
              'suite.run()')
    with subprocess.Popen(['/usr/bin/python3', '-c', script % here], stdout=subprocess.PIPE,
                          text=True) as process:
        check.equal(process.stdout.readline() + process.stdout.readline(), '1..1\nbegun\n', 'begin')
        process.terminate()
        check.equal(process.communicate(timeout=PATIENCE)[0], 'put back\n', 'end')
    check.equal(process.returncode, 128 + signal.SIGTERM, 'exit status')


@suite.test('a private libvirtd serves virsh and python, is killed and comes back')
def _(check):
    need_kvm()
    with DaemonRig() as rig:
        virsh, python = rig.virsh(), rig.python()
        virsh.define(domain('plain', private=False), validate=True)
        check.equal(python.names(), ['plain'], 'domains')
        check.true(rig.emulator('plain') is None, 'a QEMU before the start')
        virsh.start('plain')
        emulator = rig.emulator('plain')
        check.true(emulator.exe.endswith('qemu-system-x86_64'), 'no QEMU after the start')
        rig.kill_daemon()
        rig.start_daemon()
        check.equal(virsh.state('plain'), 'running', 'state after the restart')
        check.equal(rig.emulator('plain').pid, emulator.pid, "QEMU's pid")
        check.refused(lambda: rig.python().define('<domain/>'), 21, 'missing name information')
        check.refused(lambda: virsh.define('<domain/>'), message='missing name information')
        virsh.destroy('plain')
        check.true(rig.emulator('plain') is None, 'a QEMU after destroy')
        check.equal(rig.stop_daemon(), 0, "libvirtd's status")


@suite.test('an embedded driver')
def _(check):
    need_kvm()
    with EmbedRig() as rig:
        client = rig.python()
        client.define(domain('plain', private=False), validate=True)
        client.start('plain')
        check.true(rig.emulator('plain') is not None, 'no QEMU after the start')
        client.destroy('plain')
        check.true(rig.emulator('plain') is None, 'a QEMU after destroy')
        check.refused(lambda: client.define('<domain/>'), 21, 'missing name information')
        check.equal(client.close(), 0, "the client's status")
        check.equal(rig.virsh().names(), ['plain'], 'domains seen by virsh')


@suite.test('stock libvirt drops <private/> and refuses sw-protected: the tests below mean something')
def _(check):
    with DaemonRig() as rig:
        client = rig.python()
        client.define(domain('vm'))
        check.lacks(client.dumpxml('vm'), '<private', 'dumpxml')
        check.refused(lambda: client.define(domain('vm'), validate=True), 92)
        check.refused(lambda: client.define(domain('vm2', launch='sw-protected')), part='sw-protected')


@suite.test('a check that does not hold fails, as does a client that dies')
def _(check):
    for broken in (lambda: check.true(False, ''), lambda: check.equal(1, 2, ''),
                   lambda: check.has('a', 'b', ''), lambda: check.lacks('ab', 'b', ''),
                   lambda: check.matches('a', 'b', ''), lambda: check.refused(lambda: None),
                   lambda: wait_for(lambda: False, '', 0)):
        try:
            broken()
        except Failure:
            continue
        raise Failure('a check that cannot fail')

    def other_code():
        raise LibvirtError('message', 1)
    for expectation in ({'code': 2}, {'message': 'x'}, {'part': 'x'}):
        try:
            check.refused(other_code, **expectation)
        except Failure:
            continue
        raise Failure('refused() cannot fail')
    with EmbedRig() as rig:
        client = rig.python()
        client.process.kill()
        try:
            client.names()
        except (Died, BrokenPipeError):
            check.true(True, '')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
