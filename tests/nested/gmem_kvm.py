# SPDX-License-Identifier: LGPL-2.1-or-later
"""gmem_kvm.py: KVM through its own ioctls, for tests: VMs, memory slots, guest_memfd, vCPUs in real mode."""

import contextlib
import ctypes
import fcntl
import mmap
import os
import struct

# Numbers from the kernel's Documentation/virt/kvm/api.rst.
KVM_CREATE_VM = 0xae01
KVM_CHECK_EXTENSION = 0xae03
KVM_GET_VCPU_MMAP_SIZE = 0xae04
KVM_GET_DIRTY_LOG = 0x4010ae42
KVM_CREATE_VCPU = 0xae41
KVM_RUN = 0xae80
KVM_SET_REGS = 0x4090ae82
KVM_GET_SREGS = 0x8138ae83
KVM_SET_SREGS = 0x4138ae84
KVM_ENABLE_CAP = 0x4068aea3
KVM_SET_USER_MEMORY_REGION2 = 0x40a0ae49
KVM_SET_MEMORY_ATTRIBUTES = 0x4020aed2
KVM_CREATE_GUEST_MEMFD = 0xc040aed4
CAP_EXIT_HYPERCALL = 201
CAP_USER_MEMORY2 = 231
CAP_MEMORY_ATTRIBUTES = 233
CAP_GUEST_MEMFD = 234
CAP_VM_TYPES = 235
CAP_GUEST_MEMFD_FLAGS = 244
VM_DEFAULT = 0
VM_SW_PROTECTED = 1
ATTRIBUTE_PRIVATE = 8
FLAG_MMAP = 1
FLAG_INIT_SHARED = 2
MEM_LOG_DIRTY_PAGES = 1
MEM_READONLY = 2
MEM_GUEST_MEMFD = 4
EXIT_HYPERCALL = 3
EXIT_HLT = 5
EXIT_MMIO = 6
EXIT_MEMORY_FAULT = 39
HC_MAP_GPA_RANGE = 12
MAP_GPA_RANGE_PRIVATE = 1 << 4

SYS_MBIND = 237
SYS_GET_MEMPOLICY = 239
MPOL_BIND = 2
MPOL_F_NODE = 1
MPOL_F_ADDR = 2

PAGE = 4096

libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def vm_of_type(kind):
    device = os.open('/dev/kvm', os.O_RDWR | os.O_CLOEXEC)
    try:
        vm = fcntl.ioctl(device, KVM_CREATE_VM, kind)
        try:
            yield device, vm
        finally:
            os.close(vm)
    finally:
        os.close(device)


def capability(descriptor, number):
    return fcntl.ioctl(descriptor, KVM_CHECK_EXTENSION, number)


def has_type(kind):
    """Whether KVM says that it has that type of VM; False without KVM."""
    try:
        with vm_of_type(VM_DEFAULT) as (_device, vm):
            return bool(capability(vm, CAP_VM_TYPES) >> kind & 1)
    except OSError:
        return False


def create_guest_memfd(vm, size, flags):
    """Returns the descriptor. fcntl.ioctl() with bytes returns bytes, not what the call returned."""
    argument = ctypes.create_string_buffer(struct.pack('QQ48x', size, flags))
    descriptor = libc.ioctl(vm, ctypes.c_ulong(KVM_CREATE_GUEST_MEMFD), argument)
    if descriptor < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return descriptor


def address_of(mapping):
    """The address of a writable mmap object's first byte. The mapping must be closed after KVM's slot."""
    return ctypes.addressof(ctypes.c_char.from_buffer(mapping))


def set_private(vm, address, size, private):
    fcntl.ioctl(vm, KVM_SET_MEMORY_ATTRIBUTES,
                struct.pack('QQQQ', address, size, ATTRIBUTE_PRIVATE if private else 0, 0))


def set_slot(vm, mapping, size, memfd=-1, *, slot=0, guest=0, flags=None, offset=0):
    """A slot at guest address @guest; with @memfd, it has both halves. @size 0 removes it."""
    if flags is None:
        flags = MEM_GUEST_MEMFD if size and memfd >= 0 else 0
    fcntl.ioctl(vm, KVM_SET_USER_MEMORY_REGION2,
                struct.pack('IIQQQQI116x', slot, flags, guest, size, mapping, offset, max(memfd, 0)))


class Vcpu:
    """A processor in real mode, at @start."""

    def __init__(self, device, vm, start, number=0):
        self.descriptor = fcntl.ioctl(vm, KVM_CREATE_VCPU, number)
        self.shared = mmap.mmap(self.descriptor, fcntl.ioctl(device, KVM_GET_VCPU_MMAP_SIZE))
        sregs = bytearray(312)
        fcntl.ioctl(self.descriptor, KVM_GET_SREGS, sregs)
        for segment in range(6):
            struct.pack_into('Q', sregs, 24 * segment, 0)       # base
            struct.pack_into('H', sregs, 24 * segment + 12, 0)  # selector
        fcntl.ioctl(self.descriptor, KVM_SET_SREGS, sregs)
        self.jump(start)

    def jump(self, start):
        fcntl.ioctl(self.descriptor, KVM_SET_REGS, struct.pack('18Q', *[0] * 16, start, 2))

    def run(self):
        """Runs until the next exit, and returns its number."""
        fcntl.ioctl(self.descriptor, KVM_RUN, 0)
        return struct.unpack_from('I', self.shared, 8)[0]

    def hypercall(self):
        """The number and the first three arguments of the hypercall that made it exit."""
        return struct.unpack_from('4Q', self.shared, 32)

    def memory_fault(self):
        """The exit's number, flags and guest address, if KVM_RUN failed with EFAULT."""
        return (struct.unpack_from('I', self.shared, 8)[0], *struct.unpack_from('2Q', self.shared, 32))

    def close(self):
        self.shared.close()
        os.close(self.descriptor)
