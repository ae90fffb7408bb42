#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults around a private domain, after which no wrong state is left behind: a daemon that is killed at any
step, a cache that cannot be written, a full disk, a KVM that refuses, a QEMU that hangs or dies.

GMEM_FAULT_STEPS=all (`make faults`) kills the daemon at each of its steps instead of two of each call, and in
restores, too."""

import contextlib
import os
import signal
import threading

from gmem_checks import shows_private
from gmem_kernel import memory_cgroup, no_guest_memfd
from gmem_rig import (BUILD, KIB, MIB, PATIENCE, PYTHON, QEMU, DaemonRig, Died, Failure, LibvirtError, Suite,
                      domain, library, need_guest_memfd, need_root, wait_for)
from gmem_standin import FAKE_KVM

suite = Suite()

KILL_AT = os.path.join(BUILD, 'tests/standin/kill-at.so')
LEFT = '/run/steps'
IMAGE = '/run/saved'
STORED = '/etc/libvirt/qemu/vm.xml'
STATUS = '/run/libvirt/qemu/vm.xml'
SAVES = '/var/lib/libvirt/qemu/save'
MANY = 1000000
EVERY = os.environ.get('GMEM_FAULT_STEPS') == 'all'
ERR_OPERATION_TIMEOUT = 68
ERR_SYSTEM_ERROR = 38


def private(name='vm', **options):
    return domain(name, cells=[17 * KIB, 19 * KIB], **options)


def ordinary():
    return private(private=False)


def truth(check, rig, client):
    """Whatever exists of the domain is private, on disk and in every QEMU; returns whether the domain is
    known."""
    stored = rig.read(STORED)
    check.true(not stored or 'x-libvirt-gmem' in stored, 'an ordinary domain is stored:\n' + stored)
    for emulator in rig.emulators():
        # A process that has not called exec yet is still libvirtd.
        if emulator.exe == QEMU:
            check.has(emulator.maps, 'qemu-gmem.so', "QEMU's maps")
    known = 'vm' in client.names()
    if known:
        shows_private(check, client.dumpxml('vm'))
    return known


def ended(rig, client):
    """The domain is shut off."""
    for emulator in rig.emulators():
        # Stock libvirt also leaves this if it is killed before it has recorded its QEMU.
        if client.state('vm') != 'running':
            emulator.kill()

    def gone():
        # Either a QEMU that was about to end has ended, or the daemon is still busy with what it found.
        with contextlib.suppress(LibvirtError):
            client.destroy('vm')
        return not rig.emulators() and client.state('vm') == 'shut off'
    wait_for(gone, 'QEMU to be gone')


def usable(check, rig, client):
    """Everything can be done with the domain, as if nothing had happened."""
    ended(rig, client)
    client.start('vm')
    check.has(rig.emulator('vm').maps, 'qemu-gmem.so', "QEMU's maps")
    shows_private(check, client.dumpxml('vm'))
    client.destroy('vm')
    client.undefine('vm')
    check.equal(client.names(), [], 'domains')
    check.equal(rig.read(STORED), '', 'what is stored')


# ---------------------------------------------------------------------------------------------
# The daemon is killed

CALLS = {
    'define': ((), lambda client, make: client.define(make())),
    'start': (('define',), lambda client, _: client.start('vm')),
    'save': (('define', 'start'), lambda client, _: client.save('vm', IMAGE)),
    'managedSave': (('define', 'start'), lambda client, _: client.call('vm', 'managedSave', 0)),
    'restore': (('define', 'start', 'save'), lambda client, _: client.restore(IMAGE)),
    'start from a managed save': (('define', 'start', 'managedSave'), lambda client, _: client.start('vm')),
    'undefine': (('define',), lambda client, _: client.undefine('vm')),
}
RESTORES = 'restore', 'start from a managed save'


def steps_of(rig, client, call):
    """The number of steps that the daemon takes for it."""
    rig.write(LEFT, '%-20d' % MANY)
    CALLS[call][1](client, private)
    return MANY - int(rig.read(LEFT))


def prepare(rig, client, call, make=private):
    rig.write(LEFT, '%-20d' % 0)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(rig.outer(IMAGE))
    for before in CALLS[call][0]:
        CALLS[before][1](client, make)


def forgotten(check, rig):
    """Removes the status of a domain that has no process in it yet: the next daemon shows such a domain as
    starting, and its start never ends. Stock libvirt does the same, as the test below shows. Without the status,
    everything works."""
    def connected():
        with contextlib.suppress(LibvirtError, Died):
            return rig.python()
    client = wait_for(connected, 'libvirtd to answer')
    check.equal(client.state('vm'), 'paused', 'state')
    wait_for(lambda: not rig.emulators(), 'QEMU, which was about to be, to end')
    if EVERY:  # libvirt gives up after 30 s
        check.refused(lambda: client.destroy('vm'), ERR_OPERATION_TIMEOUT)
    rig.kill_daemon()
    client.close()
    os.unlink(rig.outer(STATUS))


def killed_at(check, rig, client, call, step, make=private):
    """Prepares, makes the call, and has the daemon killed. Returns the client of the next daemon, and whether
    that daemon required help."""
    prepare(rig, client, call, make)
    rig.write(LEFT, '%-20d' % step)
    with contextlib.suppress(LibvirtError):
        CALLS[call][1](client, make)
    if int(rig.read(LEFT)):  # it took fewer steps than when they were counted
        rig.kill_daemon()
    client.close()
    check.equal(rig.daemon.wait(PATIENCE), -signal.SIGKILL, "the daemon's end")
    rig.write(LEFT, '%-20d' % 0)
    starting = " pid='0'>" in rig.read(STATUS)
    if starting:
        rig.start_daemon(patient=False)
        forgotten(check, rig)
    rig.start_daemon()
    return rig.python(), starting


def kept(check, rig, client, call):
    """The saved image exists until the guest runs, and can be restored. Returns a client of another new daemon:
    if a daemon notices late that a QEMU has ended, for which nobody reads the image any more, libvirt can
    mistake the QEMU of the next start for that one."""
    ran = client.state('vm') != 'shut off'
    ended(rig, client)
    rig.kill_daemon()
    client.close()
    rig.start_daemon()
    client = rig.python()
    if call == 'restore':
        client.restore(IMAGE)
    else:
        check.true(ran or client.call('vm', 'hasManagedSaveImage', 0), 'the managed save image is gone')
        client.start('vm')
    check.true(truth(check, rig, client), 'the domain is gone')
    return client


def killed(call):
    @suite.test('libvirtd is killed at steps of %s, and started again' % call)
    def _(check):
        need_guest_memfd()
        with DaemonRig((KILL_AT,) + library(), environment={'GMEM_TEST_KILL': LEFT}) as rig:
            client = rig.python()
            for _ in range(2):  # steps that happen once for each daemon or emulator are not steps of the call
                prepare(rig, client, call)
                steps = steps_of(rig, client, call)
                if 'vm' not in client.names():
                    client.define(private())
                usable(check, rig, client)
            check.true(steps > 0, 'no steps')
            chosen = range(1, steps + 1) if EVERY else sorted({(steps + 2) // 3, (2 * steps + 2) // 3})
            print('# %d steps, killed at %s' % (steps, list(chosen)))
            for step in chosen:
                client, _ = killed_at(check, rig, client, call, step)
                if not truth(check, rig, client):
                    client.define(private())
                if call in RESTORES:
                    client = kept(check, rig, client, call)
                usable(check, rig, client)


# A managed save is the same as a save. Restores take a minute each.
for each in CALLS:
    if each != 'managedSave' and (EVERY or each not in RESTORES):
        killed(each)


def stock_forgets(check):
    need_guest_memfd()
    for stock in True, False:
        preload, make = ((), ordinary) if stock else (library(), private)
        with DaemonRig((KILL_AT,) + preload, environment={'GMEM_TEST_KILL': LEFT}) as rig:
            client, starting, step = rig.python(), False, 13
            while not starting:
                step += 1
                check.true(step < 60, 'there is no such step')
                client, starting = killed_at(check, rig, client, 'restore', step, make)
                ended(rig, client)
            print('# %s: step %d' % ('stock' if stock else 'with libvirt-gmem', step))
            client.restore(IMAGE)
            client.destroy('vm')


if EVERY:
    suite.test('stock libvirtd, killed before it has noted its QEMU, forgets the domain likewise')(stock_forgets)


# ---------------------------------------------------------------------------------------------
# The cache cannot be written

CACHE = '/var/cache/libvirt/gmem'
MOUNTS = {
    'is full': 'mkdir -p %s && mount -t tmpfs -o size=4k tmpfs %s && head -c 4096 /dev/zero >%s/full',
    'is read-only': 'mkdir -p %s && mount --bind %s %s && mount -o remount,bind,ro /var/cache/libvirt/gmem',
}


def cache(what, script):
    @suite.test('the file system of the cache %s' % what)
    def _(check):
        need_guest_memfd()
        with DaemonRig(library()) as rig:
            made = rig.run(['sh', '-c', script % (CACHE, CACHE, CACHE)])
            check.equal(made.returncode, 0, 'mount: ' + made.stderr)
            before = rig.run(['ls', '-A', CACHE]).stdout
            client = rig.python()
            for _ in range(2):
                client.define(private())
                client.start('vm')
                truth(check, rig, client)
                client.destroy('vm')
            check.equal(rig.run(['ls', '-A', CACHE]).stdout, before, 'files in the cache')
            usable(check, rig, client)


for each in MOUNTS.items():
    cache(*each)


# ---------------------------------------------------------------------------------------------
# The disk is full

@contextlib.contextmanager
def full(rig, directory):
    """A file system without room, at @directory."""
    def shell(script):
        done = rig.run(['sh', '-c', script])
        if done.returncode:
            raise Failure('%s: %s' % (script, done.stderr))
    shell('mkdir -p {0} && mount -t tmpfs -o size=64k tmpfs {0} && ! cat /dev/zero >{0}/full 2>/dev/null'
         .format(directory))
    try:
        yield
    finally:
        shell('umount ' + directory)


@suite.test('the disk is full where domains are stored: nothing is defined')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        client = rig.python()
        with full(rig, os.path.dirname(STORED)):
            check.refused(lambda: client.define(private()), ERR_SYSTEM_ERROR, part='No space left on device')
            check.equal(client.names(), [], 'domains')
        client.define(private())
        usable(check, rig, client)


@suite.test('the disk is full where a guest is saved: it runs on, and is private')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        client = rig.python()
        client.define(private())
        client.start('vm')
        first = rig.emulator('vm').pid
        with full(rig, '/run/full'), full(rig, SAVES):
            for call in (lambda: client.save('vm', '/run/full/image'),
                         lambda: client.call('vm', 'managedSave', 0),
                         lambda: client.call('vm', 'coreDump', '/run/full/core', 0)):
                check.refused(call)
                check.equal((client.state('vm'), rig.emulator('vm').pid), ('running', first),
                            'the guest')
                check.true(truth(check, rig, client), 'the domain is gone')
            for directory in '/run/full', SAVES:
                check.equal(rig.run(['ls', '-A', directory]).stdout, 'full\n', 'what is in ' + directory)
            check.equal(client.call('vm', 'hasManagedSaveImage', 0), 0, 'managed save images')
        client.save('vm', IMAGE)
        client.restore(IMAGE)
        check.true(truth(check, rig, client), 'the domain is gone')
        usable(check, rig, client)


# ---------------------------------------------------------------------------------------------
# KVM refuses

def refusing(number):
    @suite.test('KVM_CREATE_GUEST_MEMFD fails with %s' % os.strerror(number))
    def _(check):
        need_guest_memfd()
        with DaemonRig(library()) as rig:
            rig.write('/run/emulator', no_guest_memfd(number), 0o755)
            client = rig.python()
            client.define(private(emulator='/run/emulator'))
            error = check.refused(lambda: client.start('vm'))
            check.has(error.message + rig.read(rig.domain_log % 'vm'), os.strerror(number),
                      'the error with the log')
            check.equal(rig.emulators(), [], 'emulators')
            check.true(truth(check, rig, client), 'the domain is gone')
            client.define(private())
            usable(check, rig, client)


for each in 12, 24, 22:  # ENOMEM, EMFILE, EINVAL
    refusing(each)


def no_kvm(what, faults, part):
    @suite.test('/dev/kvm: ' + what)
    def _(check):
        need_guest_memfd()
        with DaemonRig((FAKE_KVM,) + library(), environment={'GMEM_TEST_KVM': faults}) as rig:
            client = rig.python()
            client.define(private())
            check.refused(lambda: client.start('vm'), part=part)
            check.equal(rig.emulators(), [], 'emulators')
            check.equal(client.state('vm'), 'shut off', 'state')
            check.true(truth(check, rig, client), 'the domain is gone')
            # An ordinary domain only concerns libvirt.
            client.define(domain('plain', private=False))
            client.start('plain')
            client.destroy('plain')


for each in (('is not there', '1000=2', 'No such file or directory'),
             ('may not be opened', '1000=1', 'Operation not permitted'),
             ('another hypervisor has the processor', '1001=16', 'Device or resource busy')):
    no_kvm(*each)


# ---------------------------------------------------------------------------------------------
# QEMU when it runs a domain; e2e-offers tests what it does when it is asked what it offers

QEMUS = {
    'dies at once': 'kill -9 $$',
    'ends at once': 'echo no memory for this >&2; exit 1',
    'floods its log, and ends': 'head -c 20000000 /dev/zero | tr "\\0" x >&2; exit 1',
}
SCRIPT = '#!/bin/sh\ncase "$*" in *guest=*) %%s;; esac\nexec %s "$@"\n' % QEMU


def qemu(what, action):
    @suite.test('a QEMU that %s when it is started' % what)
    def _(check):
        need_guest_memfd()
        with DaemonRig(library()) as rig:
            rig.write('/run/emulator', SCRIPT % action, 0o755)
            client = rig.python()
            client.define(private(emulator='/run/emulator'))
            for _ in range(2):
                check.refused(lambda: client.start('vm'))
                check.equal(client.state('vm'), 'shut off', 'state')
            check.equal(rig.emulators(), [], 'emulators')
            truth(check, rig, client)
            client.define(private())
            usable(check, rig, client)


for each in QEMUS.items():
    qemu(*each)


# Makes libvirt connect to the monitor of such a QEMU. After that, say(what) writes to it, and hear() reads a
# line.
MONITOR = """#!%s
import os, re, socket, sys, time
if 'guest=' not in ' '.join(sys.argv):
    os.execv(%r, [%r] + sys.argv[1:])
number = re.search(r'id=charmonitor,fd=(\\d+)', ' '.join(sys.argv)).group(1)
connection = socket.socket(fileno=int(number)).accept()[0]
say, hear = connection.sendall, connection.makefile().readline
greeting = b'{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}, "capabilities": []}}\\r\\n'
%%s
""" % (PYTHON, QEMU, QEMU)
MONITORS = {
    'ends before it greets': 'sys.exit(0)',
    'ends after its greeting': 'say(greeting)',
    'greets with what is no JSON': 'say(b"{]\\r\\n"); hear()',
    'never comes to the end of its greeting': 'while True: say(b"x" * 65536)',
    'refuses what it is asked first':
        'say(greeting); hear(); say(b\'{"error": {"class": "GenericError", "desc": "no"}}\\r\\n\'); hear()',
    'answers what it is not asked':
        'say(greeting); hear(); say(b\'{"return": {}, "id": "libvirt-999"}\\r\\n\'); sys.exit(0)',
}


@suite.test('a QEMU whose monitor ends, floods or is none when it is started')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        client = rig.python()
        for what, action in MONITORS.items():
            print('# its monitor %s' % what)
            rig.write('/run/emulator', MONITOR % action, 0o755)
            client.define(private(emulator='/run/emulator'))
            check.refused(lambda: client.start('vm'))
            check.equal(client.state('vm'), 'shut off', 'state')
            wait_for(lambda: not rig.emulators(), 'the emulator to be gone')
            check.true(truth(check, rig, client), 'the domain is gone')
        client.define(private())
        usable(check, rig, client)


EVENT = b'{"event": "FLOOD", "data": {}, "timestamp": {"seconds": 1, "microseconds": 1}}\r\n'
HANGS = {
    'hangs when it is started': SCRIPT % 'touch /run/hangs; exec sleep 100000',
    'hangs after its greeting': MONITOR % 'say(greeting); open("/run/hangs", "w"); time.sleep(100000)',
    'floods its monitor with events':
        MONITOR % ('say(greeting); open("/run/hangs", "w")\nwhile True: say(%r * 100)' % EVENT),
}


def hangs(check, rig, client, script):
    """The domain starts, and hangs; another domain starts meanwhile."""
    rig.write('/run/emulator', script, 0o755)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(rig.outer('/run/hangs'))
    client.define(private('hanging', emulator='/run/emulator'))
    waiting, errors = rig.python(), []

    def start():
        try:
            waiting.start('hanging')
        except LibvirtError as error:
            errors.append(error)
    thread = threading.Thread(target=start)
    thread.start()
    wait_for(lambda: os.path.exists(rig.outer('/run/hangs')), 'the emulator to hang')
    client.define(private())
    client.start('vm')
    check.true(truth(check, rig, client), 'the domain is gone')
    client.destroy('vm')
    client.destroy('hanging')
    thread.join()
    check.equal(len(errors), 1, 'how often the start failed')
    check.equal(client.state('hanging'), 'shut off', 'state')
    waiting.close()


@suite.test('a QEMU that hangs when it is started, or floods its monitor, keeps nobody else waiting')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        client = rig.python()
        for what, script in HANGS.items():
            print('# a QEMU that %s' % what)
            hangs(check, rig, client, script)


@suite.test('a QEMU that floods its log, and then is one: its guest runs, and is private')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        rig.write('/run/emulator', SCRIPT % 'head -c 20000000 /dev/zero | tr "\\0" x >&2', 0o755)
        client = rig.python()
        client.define(private(emulator='/run/emulator'))
        client.start('vm')
        check.equal(client.state('vm'), 'running', 'state')
        check.true(truth(check, rig, client), 'the domain is gone')
        usable(check, rig, client)


# A wrapper that starts QEMU without everything that was asked for, and does not report it.
UNASKED = """#!%s
import os, sys
words = sys.argv[1:]
if '-x-libvirt-gmem' in words:
    at = words.index('-x-libvirt-gmem')
    del words[at:at + 2]
    os.environ.pop('LD_PRELOAD', None)
os.execv(%r, [%r] + words)
""" % (PYTHON, QEMU, QEMU)


@suite.test('an emulator that leaves out what it is asked for is not believed, but not prevented')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        rig.write('/run/emulator', UNASKED, 0o755)
        client = rig.python()
        client.define(private(emulator='/run/emulator'))
        client.start('vm')
        check.lacks(rig.emulator('vm').maps, 'qemu-gmem.so', "QEMU's maps")
        for call in (lambda: client.save('vm', IMAGE), lambda: client.call('vm', 'managedSave', 0),
                     lambda: client.call('vm', 'coreDump', '/run/core', 0),
                     lambda: client.call('vm', 'snapshotCreateXML', '<domainsnapshot/>', 0)):
            check.refused(call, part='its emulator has no guest_memfd, which <private/> asks for')
        client.destroy('vm')
        client.define(private())
        usable(check, rig, client)


@suite.test('QEMU is killed while its guest runs')
def _(check):
    need_guest_memfd()
    with DaemonRig(library()) as rig:
        client = rig.python()
        client.define(private())
        for _ in range(2):
            client.start('vm')
            rig.emulator('vm').kill()
            wait_for(lambda: client.state('vm') == 'shut off', 'libvirt to notice')
            check.true(truth(check, rig, client), 'the domain is gone')
        usable(check, rig, client)


@suite.test("the memory cgroup is full: QEMU is killed, and libvirt says so")
def _(check):
    need_guest_memfd()
    with memory_cgroup(24 * MIB) as (group, _), DaemonRig(library()) as rig:
        rig.write('/run/emulator', SCRIPT % ('echo 0 >%s/cgroup.procs' % group), 0o755)
        client = rig.python()
        client.define(private(emulator='/run/emulator', backing="<allocation mode='immediate'/>"))
        # It is killed while it allocates, or later: in either case it does not continue to run.
        with contextlib.suppress(LibvirtError):
            client.start('vm')
        wait_for(lambda: client.state('vm') == 'shut off', 'QEMU to be killed')
        check.equal(rig.daemon.poll(), None, "the daemon's end")
        check.true(truth(check, rig, client), 'the domain is gone')
        client.define(private())
        usable(check, rig, client)


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
