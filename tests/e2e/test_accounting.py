#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the kernel accounts for guest RAM that is guest_memfd, compared with RAM of an ordinary memfd: what an
administrator sees in ps, in smaps and in the memory cgroup."""

import contextlib
import ctypes
import functools
import mmap
import os
import re
import struct
import tempfile

from gmem_checks import Guest
from gmem_evidence import PAGE, mappings
from gmem_kernel import memory_cgroup
from gmem_rig import KIB, MIB, DaemonRig, Skip, Suite, domain, library, need_guest_memfd, need_root

suite = Suite()

RAM = 64 * MIB
WRITTEN = RAM - MIB      # what the guest writes: everything except the first MiB
MEMFD = "<source type='memfd'/><access mode='shared'/>"
PAUSED = 1          # VIR_DOMAIN_START_PAUSED

# Linux: include/uapi/linux/kernel-page-flags.h.
SWAPBACKED, UNEVICTABLE = 14, 18

COMPACT = '/proc/sys/vm/compact_memory'


@functools.lru_cache(maxsize=None)
def rig_and_client():
    need_guest_memfd()
    rig = DaemonRig(library())
    return rig, rig.python()


@contextlib.contextmanager
def running(name, group=None):
    """A domain whose guest has written all of its RAM; yields its QEMU. @group: the directory of a cgroup
    into which QEMU is put before the guest runs."""
    rig, client = rig_and_client()
    serial = '/run/%s.serial' % name
    private = name == 'private'
    client.call(None, 'createXML', domain(name, RAM // KIB, private=private, serial=serial,
                                          backing='' if private else MEMFD,
                                          boot=rig.guest_image(name)), PAUSED)
    try:
        emulator = rig.emulator(name)
        if group:
            with open(os.path.join(group, 'cgroup.procs'), 'w', encoding='ascii') as file:
                file.write(str(emulator.pid))
        client.call(name, 'resume')
        Guest(rig, serial).wait_pass()
        yield emulator
    finally:
        client.destroy(name)


def status(pid, field):
    """A field of /proc/PID/status, in bytes."""
    with open('/proc/%d/status' % pid, encoding='ascii') as file:
        return KIB * int(re.search(r'^%s:\s*(\d+) kB' % field, file.read(), re.M).group(1))


def guest_ram(pid):
    return next(m for m in mappings(pid) if m.size == RAM and 'w' in m.perms and m.inode)


def page_flags(pid):
    """The kernel's flags of a page in the middle of guest RAM."""
    ram = guest_ram(pid)
    with open('/proc/%d/pagemap' % pid, 'rb') as file:
        file.seek((ram.start + RAM // 2) // PAGE * 8)
        entry = struct.unpack('=Q', file.read(8))[0]
    with open('/proc/kpageflags', 'rb') as file:
        file.seek((entry & (1 << 55) - 1) * 8)
        return struct.unpack('=Q', file.read(8))[0]


@suite.test('RAM in guest_memfd is in RssFile and not in RssShmem')
def _(check):
    with running('private') as emulator:
        check.true(status(emulator.pid, 'RssFile') >= WRITTEN, 'RssFile has no guest RAM')
        check.true(status(emulator.pid, 'RssShmem') < RAM // 4, 'RssShmem has guest RAM')
    with running('ordinary') as emulator:
        check.true(status(emulator.pid, 'RssShmem') >= WRITTEN, 'RssShmem has no RAM of a memfd')


@suite.test('pages of guest_memfd are unevictable, and never swapped')
def _(check):
    if not os.path.exists('/proc/kpageflags'):
        raise Skip('this kernel has no /proc/kpageflags')
    with running('private') as emulator:
        flags = page_flags(emulator.pid)
        check.true(flags >> UNEVICTABLE & 1, 'not unevictable: %#x' % flags)
        check.true(not flags >> SWAPBACKED & 1, 'swap-backed: %#x' % flags)
    with running('ordinary') as emulator:
        flags = page_flags(emulator.pid)
        check.true(not flags >> UNEVICTABLE & 1, 'a memfd is unevictable: %#x' % flags)
        check.true(flags >> SWAPBACKED & 1, 'a memfd is not swap-backed: %#x' % flags)


def frames(pid, start, size):
    """{address: physical page} for the pages of a range that are in memory."""
    with open('/proc/%d/pagemap' % pid, 'rb') as file:
        file.seek(start // PAGE * 8)
        entries = struct.unpack('=%dQ' % (size // PAGE), file.read(size // PAGE * 8))
    return {start + number * PAGE: entry & (1 << 55) - 1
            for number, entry in enumerate(entries) if entry >> 63}


def compacted(pid, start):
    """Has the kernel compact all memory. Returns how many pages of that guest RAM have moved, how many there
    are, and how many pages of a memfd of our own have moved."""
    with tempfile.TemporaryFile(dir='/dev/shm') as file:
        file.truncate(RAM)
        with mmap.mmap(file.fileno(), RAM) as own:
            for offset in range(0, RAM, PAGE):
                own[offset] = 1
            ranges = (pid, start), (os.getpid(), ctypes.addressof(ctypes.c_char.from_buffer(own)))
            before = [frames(*each, RAM) for each in ranges]
            with open(COMPACT, 'w', encoding='ascii') as trigger:
                trigger.write('1')
            after = [frames(*each, RAM) for each in ranges]
    moved = [sum(new.get(at) != frame for at, frame in old.items())
             for old, new in zip(before, after)]
    return moved[0], len(before[0]), moved[1]


@suite.test('pages of guest_memfd stay where they are when the kernel compacts memory')
def _(check):
    with running('private') as emulator:
        start = guest_ram(emulator.pid).start
        for _ in range(10):
            try:
                ours, count, others = compacted(emulator.pid, start)
            except OSError as error:
                raise Skip('memory cannot be compacted here: %s' % error) from error
            check.true(count * PAGE >= WRITTEN // 2, 'QEMU has %d pages only' % count)
            check.equal(ours, 0, 'pages of guest RAM that moved')
            if others:
                print('# %d pages of a memfd moved' % others)
                return
    raise Skip('compaction moved nothing at all')


def charge(name):
    with memory_cgroup() as (group, usage):
        with running(name, group):
            with open(usage, encoding='ascii') as file:
                return int(file.read())


@suite.test('the memory cgroup is charged for guest_memfd as for a memfd')
def _(check):
    private, ordinary = charge('private'), charge('ordinary')
    check.true(private >= WRITTEN, 'charged %d for guest_memfd' % private)
    check.true(abs(private - ordinary) < RAM // 8,
               'charged %d for guest_memfd and %d for a memfd' % (private, ordinary))


@suite.test('libvirt marks the domain as tainted: its command line is not all its own')
def _(check):
    rig, _client = rig_and_client()
    with running('private') as emulator:
        check.true(emulator.pid, 'no emulator')
        check.matches(rig.read(rig.log) + rig.read(rig.domain_log % 'private'),
                      r'tainted: custom-argv', 'the logs')


def background_snapshot(name):
    """QEMU's answer to the migration capability of that name."""
    command = ('{"execute":"migrate-set-capabilities","arguments":{"capabilities":'
               '[{"capability":"background-snapshot","state":true}]}}')
    rig, _client = rig_and_client()
    return rig.virsh().virsh('qemu-monitor-command', name, command)


@suite.test('QEMU has no background snapshots of guest_memfd')
def _(check):
    with running('private'):
        answer = background_snapshot('private')
        check.has(answer, 'error', 'the answer')
        check.has(answer, 'ackground-snapshot', 'the answer')


if __name__ == '__main__':
    raise SystemExit(suite.run(need_root()))
