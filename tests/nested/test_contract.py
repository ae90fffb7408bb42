#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What qemu-gmem.so and QEMU's own guest_memfd rely on in KVM, tested with KVM's ioctls, without QEMU.

KVM's own selftests (test_selftests.py) cover the rest. `make check` runs this with the machine's own KVM, and what
that does not support is skipped."""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
# pylint: disable=wrong-import-position
from gmem_kvm import (CAP_GUEST_MEMFD_FLAGS, EXIT_HLT, EXIT_MEMORY_FAULT, EXIT_MMIO,
                      FLAG_INIT_SHARED, FLAG_MMAP, KVM_GET_DIRTY_LOG, MEM_GUEST_MEMFD,
                      MEM_LOG_DIRTY_PAGES, MEM_READONLY, MPOL_BIND, MPOL_F_ADDR, MPOL_F_NODE, PAGE,
                      SYS_GET_MEMPOLICY, SYS_MBIND, VM_DEFAULT, VM_SW_PROTECTED, Vcpu, address_of,
                      create_guest_memfd, has_type, libc, set_private, set_slot, vm_of_type)
from gmem_private import CGROUPS
from gmem_rig import MIB, Skip, Suite, kvm_extension, need_kvm

SIZE = 16 * PAGE
# The guest's code, in real mode, and the memory that it works on.
CODE, OTHER_CODE, ANSWER, PLACE = 0x1000, 0x1800, 0x2000, 0x8000
HALT = b'\xf4'
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2

suite = Suite()


def write(address, value):
    """movl VALUE, ADDRESS"""
    return b'\x66\xc7\x06' + struct.pack('<HI', address, value)


def read(address, answer=ANSWER):
    """movl ADDRESS, %eax; movl %eax, ANSWER"""
    return b'\x66\xa1' + struct.pack('<H', address) + b'\x66\xa3' + struct.pack('<H', answer)


def count(address, times):
    """movw TIMES, %cx; 1: lock incl ADDRESS; loop 1b"""
    step = b'\xf0\x66\xff\x06' + struct.pack('<H', address)
    return b'\xb9' + struct.pack('<H', times) + step + b'\xe2' + struct.pack('b', -len(step) - 2)


def word(memory, address):
    return struct.unpack_from('<I', memory, address)[0]


def fallocate(descriptor, mode, offset, size):
    if libc.fallocate(descriptor, mode, ctypes.c_long(offset), ctypes.c_long(size)):
        raise OSError(ctypes.get_errno(), 'fallocate')


def punch(descriptor, offset, size):
    fallocate(descriptor, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, offset, size)


def refused(call):
    """The number of the error, or 0."""
    try:
        call()
    except OSError as error:
        return error.errno
    return 0


@contextlib.contextmanager
def vm_or_skip(kind):
    """(/dev/kvm, the VM), with the guest_memfd that such a VM has."""
    need_kvm()
    if kind == VM_DEFAULT and not kvm_extension(CAP_GUEST_MEMFD_FLAGS) & FLAG_MMAP:
        raise Skip('guest_memfd cannot be mapped here')
    if kind == VM_SW_PROTECTED and not has_type(VM_SW_PROTECTED):
        raise Skip('KVM has no software-protected VMs here')
    with vm_of_type(kind) as found:
        yield found


class Guest:
    """A VM with one slot: with two halves or, if @fully_shared, an ordinary slot over a mapped guest_memfd."""

    def __init__(self, stack, fully_shared=False, flags=0):
        self.device, self.vm = stack.enter_context(vm_or_skip(VM_DEFAULT if fully_shared
                                                               else VM_SW_PROTECTED))
        self.memfd = create_guest_memfd(self.vm, SIZE, FLAG_MMAP | FLAG_INIT_SHARED
                                        if fully_shared else 0)
        stack.callback(os.close, self.memfd)
        self.memory = mmap.mmap(self.memfd if fully_shared else -1, SIZE)
        self.both = not fully_shared
        self.slot(flags)
        stack.callback(self.remove)
        self.stack = stack
        self.vcpus = {}

    def slot(self, flags=0):
        set_slot(self.vm, address_of(self.memory), SIZE, self.memfd if self.both else -1,
                 flags=flags | (MEM_GUEST_MEMFD if self.both else 0))

    def remove(self):
        with contextlib.suppress(OSError):
            set_slot(self.vm, 0, 0)

    def run(self, program, start=CODE, number=0):
        """Runs that to its HLT, or returns the exit that came instead."""
        self.memory[start:start + len(program) + 1] = program + HALT
        if number in self.vcpus:
            self.vcpus[number].jump(start)
        else:
            self.vcpus[number] = Vcpu(self.device, self.vm, start, number)
            self.stack.callback(self.vcpus[number].close)
        return self.vcpus[number].run()


@suite.test('an ordinary slot over a mapping of guest_memfd: guest and host see the same pages')
def _(t):
    with contextlib.ExitStack() as stack:
        guest = Guest(stack, fully_shared=True)
        t.equal(guest.run(write(PLACE, 0x11223344)), EXIT_HLT, 'exit')
        t.equal(word(guest.memory, PLACE), 0x11223344, 'what the host sees')
        guest.memory[PLACE:PLACE + 4] = b'host'
        t.equal(guest.run(read(PLACE)), EXIT_HLT, 'exit')
        t.equal(guest.memory[ANSWER:ANSWER + 4], b'host', 'what the guest sees')
        with mmap.mmap(guest.memfd, SIZE) as second:
            t.equal(second[PLACE:PLACE + 4], b'host', 'what another mapping has')


@suite.test('a hole that is punched is zeros in the mapping and in the guest, and can be filled again')
def _(t):
    with contextlib.ExitStack() as stack:
        guest = Guest(stack, fully_shared=True)
        guest.run(write(PLACE, 1) + write(PLACE + PAGE, 2))
        punch(guest.memfd, PLACE, PAGE)
        t.equal((word(guest.memory, PLACE), word(guest.memory, PLACE + PAGE)), (0, 2), 'words')
        guest.memory[PLACE:PLACE + 4] = b'hole'
        punch(guest.memfd, PLACE, PAGE)
        guest.memory[ANSWER:ANSWER + 4] = b'none'
        guest.run(read(PLACE))
        t.equal(word(guest.memory, ANSWER), 0, 'what the guest sees')
        guest.run(write(PLACE, 3))
        t.equal(word(guest.memory, PLACE), 3, 'what it wrote then')


@suite.test('dirty logging and read-only are refused for two halves')
def _(t):
    with contextlib.ExitStack() as stack:
        halves = Guest(stack)
        for flags in (MEM_LOG_DIRTY_PAGES, MEM_READONLY):
            t.equal(refused(lambda flags=flags: set_slot(
                halves.vm, address_of(halves.memory), SIZE, halves.memfd, slot=1, guest=MIB,
                flags=flags | MEM_GUEST_MEMFD)), errno.EINVAL, 'error for the flag %d' % flags)


@suite.test('dirty logging works for a mapping of guest_memfd')
def _(t):
    with contextlib.ExitStack() as stack:
        guest = Guest(stack, fully_shared=True, flags=MEM_LOG_DIRTY_PAGES)
        guest.run(write(PLACE, 1))
        bitmap = ctypes.create_string_buffer(8)
        fcntl.ioctl(guest.vm, KVM_GET_DIRTY_LOG, struct.pack('IIQ', 0, 0, ctypes.addressof(bitmap)))
        dirty = struct.unpack('<Q', bitmap.raw)[0]
        t.equal(dirty >> PLACE // PAGE & 3, 1, 'the page written, and the one after it')


@suite.test('a read-only slot beside two halves: the guest reads, and what it writes is an exit')
def _(t):
    with contextlib.ExitStack() as stack:
        guest = Guest(stack)
        rom = mmap.mmap(-1, PAGE)
        rom[:4] = b'ROM!'
        # Directly after the RAM, where real mode can reach it.
        set_slot(guest.vm, address_of(rom), PAGE, slot=1, guest=0xf000 + PAGE, flags=MEM_READONLY)
        stack.callback(set_slot, guest.vm, 0, 0, slot=1)
        at = b'\xb8\x00\x10\x8e\xd8'        # movw $0x1000, %ax; movw %ax, %ds
        back = b'\x31\xc0\x8e\xd8'          # xorw %ax, %ax; movw %ax, %ds
        program = at + b'\x66\x8b\x1e\x00\x00' + back + b'\x66\x89\x1e' + struct.pack('<H', ANSWER)
        t.equal(guest.run(program), EXIT_HLT, 'exit')
        t.equal(guest.memory[ANSWER:ANSWER + 4], b'ROM!', 'what the guest read')
        t.equal(guest.run(at + write(0, 5)), EXIT_MMIO, 'exit of the write')
        t.equal(rom[:4], b'ROM!', 'what is there then')


@suite.test('which pages are private outlives their slot; so does what is in them')
def _(t):
    with contextlib.ExitStack() as stack:
        guest = Guest(stack)
        set_private(guest.vm, PLACE, PAGE, True)
        guest.run(write(PLACE, 0x5ec4e7))
        guest.remove()
        guest.slot()
        t.equal(guest.run(read(PLACE)), EXIT_HLT, 'exit')
        t.equal(word(guest.memory, ANSWER), 0x5ec4e7, 'what the guest reads')
        t.equal(word(guest.memory, PLACE), 0, 'what the host sees')


@suite.test('shared again and a hole punched, as for a reset: the private half is zeros')
def _(t):
    with contextlib.ExitStack() as stack:
        guest = Guest(stack)
        set_private(guest.vm, PLACE, 2 * PAGE, True)
        guest.run(write(PLACE, 1) + write(PLACE + PAGE, 2))
        set_private(guest.vm, 0, SIZE, False)
        punch(guest.memfd, 0, SIZE)
        guest.run(read(PLACE))
        t.equal(word(guest.memory, ANSWER), 0, 'the shared half')
        set_private(guest.vm, PLACE, 2 * PAGE, True)
        guest.run(read(PLACE) + read(PLACE + PAGE, ANSWER + 4))
        t.equal((word(guest.memory, ANSWER), word(guest.memory, ANSWER + 4)), (0, 0), 'the private half')


@suite.test('two processors count in the same private page at once, and lose nothing')
def _(t):
    times = 50000
    with contextlib.ExitStack() as stack:
        guest = Guest(stack)
        set_private(guest.vm, PLACE, PAGE, True)
        t.equal(guest.run(write(PLACE, 0)), EXIT_HLT, 'exit')
        exits = []
        threads = [threading.Thread(target=lambda start=start, number=number: exits.append(
            guest.run(count(PLACE, times), start, number)))
                   for number, start in enumerate((CODE, OTHER_CODE))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        t.equal(exits, [EXIT_HLT] * 2, 'exits')
        guest.run(read(PLACE))
        t.equal(word(guest.memory, ANSWER), 2 * times, 'the sum')
        t.equal(word(guest.memory, PLACE), 0, 'what the host sees')


@suite.test('private pages without memory of their own are an exit that says where')
def _(t):
    with contextlib.ExitStack() as stack:
        device, vm = stack.enter_context(vm_or_skip(VM_SW_PROTECTED))
        memory = mmap.mmap(-1, SIZE)
        set_slot(vm, address_of(memory), SIZE)
        stack.callback(set_slot, vm, 0, 0)
        program = write(PLACE, 1) + HALT
        memory[CODE:CODE + len(program)] = program
        set_private(vm, PLACE, PAGE, True)
        vcpu = Vcpu(device, vm, CODE)
        stack.callback(vcpu.close)
        t.equal(refused(vcpu.run), errno.EFAULT, 'error of KVM_RUN')
        reason, flags, address = vcpu.memory_fault()
        t.equal((reason, flags, address), (EXIT_MEMORY_FAULT, 8, PLACE), 'exit, its flags, the address')


@contextlib.contextmanager
def cgroup():
    """A memory cgroup that this process is in; yields its directory."""
    group = os.path.join(CGROUPS, 'contract-%d' % os.getpid())
    os.mkdir(group)

    def enter(directory):
        with open(os.path.join(directory, 'cgroup.procs'), 'w', encoding='ascii') as file:
            file.write(str(os.getpid()))
    try:
        enter(group)
        yield group
    finally:
        enter(CGROUPS)
        os.rmdir(group)


@suite.test('guest_memfd is charged to the memory cgroup, until it is punched')
def _(t):
    size = 8 * MIB
    with vm_or_skip(VM_SW_PROTECTED) as (_device, vm), cgroup() as group:
        def charged():
            with open(os.path.join(group, 'memory.current'), encoding='ascii') as file:
                return int(file.read())
        memfd = create_guest_memfd(vm, size, 0)
        try:
            before = charged()
            fallocate(memfd, FALLOC_FL_KEEP_SIZE, 0, size)
            # The kernel charges some pages in advance.
            t.true(size - MIB <= charged() - before <= size + MIB,
                   '%d bytes more, of %d' % (charged() - before, size))
            punch(memfd, 0, size)
            t.true(charged() - before <= MIB, '%d bytes more after the hole' % (charged() - before))
        finally:
            os.close(memfd)


@suite.test('mbind of a mapping decides on which node its pages are')
def _(t):
    if not os.path.isdir('/sys/devices/system/node/node1'):
        raise Skip('one node only')
    for node in (1, 0):
        with vm_or_skip(VM_DEFAULT) as (_device, vm):
            memfd = create_guest_memfd(vm, SIZE, FLAG_MMAP | FLAG_INIT_SHARED)
            memory = mmap.mmap(memfd, SIZE)
            os.close(memfd)
            at, mask = ctypes.c_void_p(address_of(memory)), ctypes.c_ulong(1 << node)
            t.equal(libc.syscall(SYS_MBIND, at, ctypes.c_ulong(SIZE), MPOL_BIND, ctypes.byref(mask),
                                 ctypes.c_ulong(64), 0), 0, 'mbind')
            memory[0] = 1
            found = ctypes.c_int(-1)
            t.equal(libc.syscall(SYS_GET_MEMPOLICY, ctypes.byref(found), None, ctypes.c_ulong(0), at,
                                 ctypes.c_ulong(MPOL_F_NODE | MPOL_F_ADDR)), 0, 'get_mempolicy')
            t.equal(found.value, node, 'the node of its first page')


if __name__ == '__main__':
    raise SystemExit(suite.run())
