#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real QEMU on real KVM under the shim: all of a domain's RAM is guest_memfd, and works as RAM."""

import os
import re
import signal
import time

from gmem_shim_rig import (MIB, PATIENCE, Emulator, Skip, main, mappings, published, require,
                           require_guest_memfd, require_in, require_kvm, require_not_in)

PASSES = r'pass \d+ ok (\d+) pages'


def pages(sizes):
    """Roughly the number that the guest counts: all pages except the first MiB and what firmware
    reserves."""
    return sum(sizes) * 256 - 512


def require_passes(qemu, sizes, after=0):
    """The guest fills all its RAM, and finds the contents again."""
    end = qemu.wait_serial(PASSES, after)
    found = int(re.findall(PASSES, qemu.serial_text()[after:end])[-1])
    require(pages(sizes) <= found <= sum(sizes) * 256, found, 'pages of', sizes, 'MiB')
    return end


def starts(machine, sizes, *options, **more):
    """All RAM is guest_memfd, in the right order at the first KVM_RUN and after it."""
    def test():
        require_kvm()
        with Emulator(sizes, *options, machine=machine, **more) as qemu:
            qmp = qemu.connect()
            require_guest_memfd(qemu.pid, qemu.sizes)
            require_not_in('verified', qemu.said())
            qmp('cont')
            qemu.wait_said('qemu-gmem: verified: mode fully-shared, %d memory backends, %d bytes'
                           % (len(qemu.sizes), sum(qemu.sizes) * MIB))
            require_guest_memfd(qemu.pid, qemu.sizes)
            require(qmp('query-status')['running'])
    return test


def publishes():
    """Whoever asks the process, and not the emulator's file, learns what its memory is."""
    require_kvm()
    with Emulator([64, 56], paused=True) as qemu:
        qmp = qemu.connect()
        wanted = {'magic': b'GMEMSTAT', 'version': 2, 'backends': 2, 'mode': 2, 'verified': 0,
                  'ram': 120 * MIB, 'held': 0}
        require(published(qemu.pid) == wanted, published(qemu.pid))
        qmp('cont')
        qemu.wait_said('verified')
        wanted['verified'] = 1
        deadline = time.monotonic() + PATIENCE
        while published(qemu.pid) != wanted:
            require(time.monotonic() < deadline, published(qemu.pid))
            time.sleep(0.02)


def boots(machine, sizes, *options, guest=True, **more):
    """The same, and a guest fills its RAM. SeaBIOS takes seconds before that, so few tests use
    it."""
    def test():
        require_kvm()
        with Emulator(sizes, *options, machine=machine, guest=guest, **more) as qemu:
            qmp = qemu.connect()
            require_guest_memfd(qemu.pid, qemu.sizes)
            require_not_in('verified', qemu.said())
            qmp('cont')
            require_passes(qemu, qemu.sizes)
            require_guest_memfd(qemu.pid, qemu.sizes)
            words = ('qemu-gmem: verified: mode fully-shared, %d memory backends, %d bytes of RAM'
                     % (len(qemu.sizes), sum(qemu.sizes) * MIB))
            require(qemu.said().count(words) == 1, qemu.said())
    return test


def status_kib(pid, field):
    with open('/proc/%d/status' % pid) as file:
        return int(re.search(r'^%s:\s+(\d+) kB' % field, file.read(), re.MULTILINE).group(1))


def preallocated():
    """Every page is allocated before the guest runs."""
    require_kvm()
    with Emulator([56, 64], backend=',prealloc=on') as plain:
        plain.connect()
        require_guest_memfd(plain.pid, plain.sizes)
        require(status_kib(plain.pid, 'VmRSS') >= 120 * 1024, status_kib(plain.pid, 'VmRSS'))


def locked():
    require_kvm()
    with Emulator([64], '-overcommit', 'mem-lock=on', guest=True) as qemu:
        qmp = qemu.connect()
        require_guest_memfd(qemu.pid, [64])
        require(status_kib(qemu.pid, 'VmLck') >= 64 * 1024, status_kib(qemu.pid, 'VmLck'))
        qmp('cont')
        require_passes(qemu, [64])


def plug(qmp, number, size):
    qmp('object-add', qom_type='memory-backend-memfd', id='mem%d' % number, share=True,
        size=size * MIB)
    qmp('device_add', driver='pc-dimm', id='dimm%d' % number, memdev='mem%d' % number)


def hot_plugged(before_run):
    def test():
        require_kvm()
        with Emulator([64], maxmem=True, guest=True) as qemu:
            qmp = qemu.connect()
            if not before_run:
                qmp('cont')
                qemu.wait_said('verified')
                qemu.wait_serial(r'wrote \d+ pages', 0)
            plug(qmp, 0, 48)
            plug(qmp, 1, 56)
            require_guest_memfd(qemu.pid, [48, 56, 64])
            if before_run:
                qmp('cont')
                end = 0
            else:
                end = len(qemu.serial_text())
                qmp('system_reset')
            # The guest looks for dimms when it boots.
            end = qemu.wait_serial(r'wrote \d+ pages', end)
            require_passes(qemu, [48, 56, 64], end)
            require(qemu.serial_text().count('dimm 0x') >= 2, qemu.serial_text())
            require_guest_memfd(qemu.pid, [48, 56, 64])
    return test


def plugged_often():
    """Backends are added and removed, so that the numbers of closed descriptors are used again."""
    require_kvm()
    with Emulator([64], maxmem=True, paused=False) as qemu:
        qmp = qemu.connect()
        for i in range(20):
            plug_size = 48 + i
            qmp('object-add', qom_type='memory-backend-memfd', id='mem', share=True,
                size=plug_size * MIB)
            require_guest_memfd(qemu.pid, [plug_size, 64])
            qmp('object-del', id='mem')
            # QEMU unmaps the memory a little later (RCU).
            deadline = time.monotonic() + PATIENCE
            while len(qemu.guest_memfds()) > 1:
                require(time.monotonic() < deadline, 'still', qemu.guest_memfds())
                time.sleep(0.02)
            require_guest_memfd(qemu.pid, [64])
        require(qmp('query-status')['running'])


def reset():
    """What the guest wrote is still in the same guest_memfd after a reset."""
    require_kvm()
    with Emulator([64], guest=True, paused=False) as qemu:
        qmp = qemu.connect()
        end = require_passes(qemu, [64])
        qmp('system_reset')
        end = qemu.wait_serial(r'boot found (\d+) pages', end)
        found = int(re.findall(r'boot found (\d+) pages', qemu.serial_text()[:end])[-1])
        require(found >= pages([64]) * 9 // 10, 'found', found)
        require_passes(qemu, [64], end)
        require_guest_memfd(qemu.pid, [64])


def wait_migrated(qmp):
    deadline = time.monotonic() + 120
    while True:
        info = qmp('query-migrate')
        if info.get('status') == 'completed':
            return
        require(info.get('status') != 'failed', info)
        require(time.monotonic() < deadline, info)
        time.sleep(0.05)


def saved(machine, sizes):
    """Migration to a file and back, as libvirt's save and restore do it."""
    def test():
        require_kvm()
        with Emulator(sizes, machine=machine, guest=True, paused=False) as qemu:
            image = os.path.join(qemu.directory, 'image')
            facts = os.path.join(qemu.directory, 'facts')
            sender = os.path.join(qemu.directory, 'sender')
            with open(sender, 'w') as file:
                file.write('cat /proc/self/maps > {0}.maps\n'
                           'tr "\\0" "\\n" < /proc/self/environ > {0}\n'
                           'ls -l /proc/self/fd > {0}.fds\n'
                           'cat > {1}\n'.format(facts, image))
            qmp = qemu.connect()
            require_passes(qemu, sizes)
            qmp('migrate', uri='exec:sh %s' % sender)
            wait_migrated(qmp)
            require_child_clean(facts)

            with Emulator(sizes, '-incoming', 'exec:cat %s' % image, machine=machine,
                          guest=True) as back:
                qmp = back.connect()
                wait_migrated(qmp)
                require_guest_memfd(back.pid, sizes)
                require_not_in('verified', back.said())
                qmp('cont')
                # The guest continues where it was: it does not boot, it only makes passes.
                require_passes(back, sizes)
                require_not_in('wrote', back.serial_text())
                back.wait_said('verified')
    return test


def require_child_clean(facts):
    """QEMU's children neither load the shim nor get its descriptors."""
    with open(facts) as file:
        variables = file.read()
    require_in('PATH=', variables)
    require_not_in('qemu-gmem', variables)
    with open(facts + '.maps') as file:
        maps = file.read()
    require_in('libc', maps)
    require_not_in('qemu-gmem', maps)
    with open(facts + '.fds') as file:
        links = file.read()
    require_in(' -> ', links)
    require_not_in('kvm-gmem', links)


def snapshot_while_running():
    """Dirty pages are logged: a guest that writes during migration arrives complete."""
    require_kvm()
    with Emulator([64], guest=True, paused=False) as qemu:
        image = os.path.join(qemu.directory, 'image')
        qmp = qemu.connect()
        # The guest is still booting or filling its memory when the migration starts.
        qemu.wait_serial('gmem-guest: ')
        qmp('migrate', uri='exec:cat > %s' % image)
        wait_migrated(qmp)
        with Emulator([64], '-incoming', 'exec:cat %s' % image, guest=True) as back:
            qmp = back.connect()
            wait_migrated(qmp)
            qmp('cont')
            require_passes(back, [64])


def daemonized():
    """QEMU forks before it creates anything; what the shim knows is passed on."""
    require_kvm()
    with Emulator([64], '-daemonize', '-pidfile', '/dev/stdout', paused=False) as qemu:
        qmp = qemu.connect()
        code, said = qemu.ends()
        require(code == 0, code, said)
        pid = int(re.search(r'^(\d+)$', said, re.MULTILINE).group(1))
        try:
            require_guest_memfd(pid, [64])
            require(qmp('query-status')['running'])
        finally:
            # QMP is not used for this, because QEMU 11.1 drops a "quit" if the connection is closed
            # after it.
            os.kill(pid, signal.SIGKILL)


def smm():
    """q35 with SMM has a second address space, which contains the same memory."""
    require_kvm()
    with Emulator([64], machine='q35,smm=on') as qemu:
        try:
            qemu.connect()
        except (AssertionError, OSError):
            if 'System Management Mode not supported' in qemu.said():
                raise Skip('KVM has no System Management Mode here')
            raise
    starts('q35,smm=on', [64])()


def plain_memory_beside():
    """What is not RAM may be as before: video memory, ROMs, other memfds."""
    require_kvm()
    with Emulator([64], '-device', 'VGA,vgamem_mb=32') as qemu:
        qmp = qemu.connect()
        large = [mapping.size for mapping in mappings(qemu.pid) if mapping.size == 32 * MIB]
        require(large, 'no video memory')
        require_guest_memfd(qemu.pid, [64])
        qmp('cont')
        qemu.wait_said('verified')


main([
    ('pc, one backend', starts('pc', [64])),
    ('q35, one backend', starts('q35', [64])),
    ('what the memory is is published', publishes),
    ('pc, three backends of different sizes', starts('pc', [56, 48, 65])),
    ('q35, three backends of different sizes', starts('q35', [56, 48, 65])),
    ('pc, SeaBIOS and a disk', boots('pc', [56, 48], guest='disk')),
    ('q35, eight backends, two vCPUs', boots('q35', [40] * 8, '-smp', '2')),
    ('pc, dimm at the start', boots('pc', [64], dimms=[48])),
    ('q35, two backends and two dimms at the start', starts('q35', [64, 56], dimms=[48, 64])),
    ('q35, more than 3 GiB', starts('q35', [3584])),
    ('SMM', smm),
    ('prealloc', preallocated),
    ('mem-lock', locked),
    ('video memory beside', plain_memory_beside),
    ('seccomp as libvirt asks for it', starts(
        'q35', [64], '-sandbox',
        'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny')),
    ('daemonize', daemonized),
    ('dimms plugged in while it runs', hot_plugged(False)),
    ('dimms plugged in before it runs', hot_plugged(True)),
    ('backends come and go', plugged_often),
    ('reset', reset),
    ('save and restore, pc, one backend', saved('pc', [64])),
    ('save and restore, q35, three backends', saved('q35', [48, 56, 65])),
    ('save while the guest writes', snapshot_while_running),
])
