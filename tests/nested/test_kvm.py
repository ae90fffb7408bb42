#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What KVM of the rig can do: asked and tried by ourselves, then what virt-gmem says of it."""

import contextlib
import ctypes
import fcntl
import json
import mmap
import os
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
# pylint: disable=wrong-import-position
from gmem_private import WHY_OLD
from gmem_rig import BUILD, Skip, Suite

# Numbers from the kernel's Documentation/virt/kvm/api.rst.
KVM_CREATE_VM = 0xae01
KVM_CHECK_EXTENSION = 0xae03
KVM_GET_VCPU_MMAP_SIZE = 0xae04
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
MEM_GUEST_MEMFD = 4
EXIT_HYPERCALL = 3
EXIT_HLT = 5
HC_MAP_GPA_RANGE = 12
MAP_GPA_RANGE_PRIVATE = 1 << 4

SYS_MBIND = 237
SYS_GET_MEMPOLICY = 239
MPOL_BIND = 2
MPOL_F_ADDR = 2

PAGE = 4096
SIZE = 16 * PAGE

suite = Suite()
_libc = ctypes.CDLL(None, use_errno=True)


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


def create_guest_memfd(vm, size, flags):
    """The descriptor: fcntl.ioctl() with bytes gives bytes back, not what the call returned."""
    argument = ctypes.create_string_buffer(struct.pack('QQ48x', size, flags))
    descriptor = _libc.ioctl(vm, ctypes.c_ulong(KVM_CREATE_GUEST_MEMFD), argument)
    if descriptor < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return descriptor


@suite.test('KVM answers as the rig was built for')
def _(check):
    with vm_of_type(VM_DEFAULT) as (device, vm):
        check.equal(capability(device, CAP_VM_TYPES), 3, 'KVM_CAP_VM_TYPES')
        check.equal((capability(vm, CAP_GUEST_MEMFD), capability(vm, CAP_GUEST_MEMFD_FLAGS)),
                    (0, 0) if WHY_OLD else (1, 3), 'KVM_CAP_GUEST_MEMFD and its flags')
        check.equal(capability(vm, CAP_USER_MEMORY2), 1, 'KVM_CAP_USER_MEMORY2')
    with vm_of_type(VM_SW_PROTECTED) as (device, vm):
        check.equal(capability(vm, CAP_MEMORY_ATTRIBUTES), ATTRIBUTE_PRIVATE,
                    'KVM_CAP_MEMORY_ATTRIBUTES of a software-protected VM')
        check.equal(capability(vm, CAP_GUEST_MEMFD), 1,
                    'KVM_CAP_GUEST_MEMFD of a software-protected VM')


# What a guest without firmware runs in real mode: it marks a page, asks for it to be private,
# writes a secret there, reads that back and leaves in shared memory what the hypercall answered and
# what it read; continued, it reads once more.
CODE, ANSWERS, TARGET = 0x1000, 0x2000, 0x8000
MARK, SECRET = b'MARK', b'SEEK'
PROGRAM = b''.join([
    b'\x66\xc7\x06', struct.pack('<H', TARGET), MARK,        # movl $MARK, TARGET
    b'\x66\xb8', struct.pack('<I', HC_MAP_GPA_RANGE),        # movl …, %eax
    b'\x66\xbb', struct.pack('<I', TARGET),                  # movl …, %ebx
    b'\x66\xb9', struct.pack('<I', 1),                       # movl …, %ecx: pages
    b'\x66\xba', struct.pack('<I', MAP_GPA_RANGE_PRIVATE),   # movl …, %edx
    b'\x0f\x01\xd9',                                         # vmmcall
    b'\x66\xa3', struct.pack('<H', ANSWERS),                 # movl %eax, ANSWERS
    b'\x66\xc7\x06', struct.pack('<H', TARGET), SECRET,      # movl $SECRET, TARGET
    b'\x66\xa1', struct.pack('<H', TARGET),                  # movl TARGET, %eax
    b'\x66\xa3', struct.pack('<H', ANSWERS + 4),             # movl %eax, ANSWERS + 4
    b'\xf4',                                                 # hlt
    b'\x66\xa1', struct.pack('<H', TARGET),                  # movl TARGET, %eax
    b'\x66\xa3', struct.pack('<H', ANSWERS + 8),             # movl %eax, ANSWERS + 8
    b'\xf4',                                                 # hlt
])


def set_private(vm, address, size, private):
    fcntl.ioctl(vm, KVM_SET_MEMORY_ATTRIBUTES,
                struct.pack('QQQQ', address, size, ATTRIBUTE_PRIVATE if private else 0, 0))


def set_slot(vm, mapping, size, memfd):
    """Slot 0 at guest address 0, both halves of it; @size 0 removes it."""
    fcntl.ioctl(vm, KVM_SET_USER_MEMORY_REGION2,
                struct.pack('IIQQQQI116x', 0, MEM_GUEST_MEMFD if size else 0, 0, size, mapping, 0,
                            memfd))


class Vcpu:
    """A processor in real mode, at @start."""

    def __init__(self, device, vm, start):
        self.descriptor = fcntl.ioctl(vm, KVM_CREATE_VCPU, 0)
        self.shared = mmap.mmap(self.descriptor, fcntl.ioctl(device, KVM_GET_VCPU_MMAP_SIZE))
        sregs = bytearray(312)
        fcntl.ioctl(self.descriptor, KVM_GET_SREGS, sregs)
        for segment in range(6):
            struct.pack_into('Q', sregs, 24 * segment, 0)       # base
            struct.pack_into('H', sregs, 24 * segment + 12, 0)  # selector
        fcntl.ioctl(self.descriptor, KVM_SET_SREGS, sregs)
        fcntl.ioctl(self.descriptor, KVM_SET_REGS, struct.pack('18Q', *[0] * 16, start, 2))

    def run(self):
        """Until the next exit; gives its number."""
        fcntl.ioctl(self.descriptor, KVM_RUN, 0)
        return struct.unpack_from('I', self.shared, 8)[0]

    def hypercall(self):
        """Number and first three arguments of the hypercall that made it exit."""
        return struct.unpack_from('4Q', self.shared, 32)

    def close(self):
        self.shared.close()
        os.close(self.descriptor)


@suite.test('a guest makes a page private by hypercall, and the host does not see what it writes')
def _(check):
    with vm_of_type(VM_SW_PROTECTED) as (device, vm), mmap.mmap(-1, SIZE) as shared:
        memfd = create_guest_memfd(vm, SIZE, 0)
        check.has(os.readlink('/proc/self/fd/%d' % memfd), '[kvm-gmem]', 'its link')
        set_slot(vm, ctypes.addressof(ctypes.c_char.from_buffer(shared)), SIZE, memfd)
        fcntl.ioctl(vm, KVM_ENABLE_CAP,
                    struct.pack('IIQ88x', CAP_EXIT_HYPERCALL, 0, 1 << HC_MAP_GPA_RANGE))
        shared[CODE:CODE + len(PROGRAM)] = PROGRAM
        vcpu = Vcpu(device, vm, CODE)
        try:
            check.equal(vcpu.run(), EXIT_HYPERCALL, 'exit')
            check.equal(vcpu.hypercall(), (HC_MAP_GPA_RANGE, TARGET, 1, MAP_GPA_RANGE_PRIVATE),
                        'hypercall')
            set_private(vm, TARGET, PAGE, True)
            check.equal(vcpu.run(), EXIT_HLT, 'exit')
            check.equal(shared[ANSWERS:ANSWERS + 8], bytes(4) + SECRET, 'answers of the guest')
            check.equal(shared[TARGET:TARGET + 4], MARK, 'the page as the host sees it')
            check.equal(shared[:].count(SECRET), PROGRAM.count(SECRET) + 1,
                        'copies of the secret in what the host sees')
            set_private(vm, TARGET, PAGE, False)
            check.equal(vcpu.run(), EXIT_HLT, 'exit')
            check.equal(shared[ANSWERS + 8:ANSWERS + 12], MARK, 'the page when shared again')
        finally:
            vcpu.close()
            os.close(memfd)
            set_slot(vm, 0, 0, 0)  # nothing of KVM looks at the mapping any more


@suite.test('guest_memfd keeps a NUMA policy per file')
def _(check):
    if WHY_OLD:
        raise Skip(WHY_OLD)
    with vm_of_type(VM_DEFAULT) as (_device, vm):
        memfd = create_guest_memfd(vm, SIZE, FLAG_MMAP | FLAG_INIT_SHARED)
        with mmap.mmap(memfd, SIZE) as first, mmap.mmap(memfd, SIZE) as second:
            os.close(memfd)
            at = [ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(m)))
                  for m in (first, second)]
            node, mode = ctypes.c_ulong(1), ctypes.c_int(-1)
            check.equal(_libc.syscall(SYS_MBIND, at[0], ctypes.c_ulong(SIZE), MPOL_BIND,
                                      ctypes.byref(node), ctypes.c_ulong(64), 0), 0, 'mbind')
            check.equal(_libc.syscall(SYS_GET_MEMPOLICY, ctypes.byref(mode), None,
                                      ctypes.c_ulong(0), at[1], ctypes.c_ulong(MPOL_F_ADDR)), 0,
                        'get_mempolicy')
            check.equal(mode.value, MPOL_BIND, 'the policy seen on the other mapping')


@suite.test('virt-gmem host says the same')
def _(check):
    answer = subprocess.run([os.path.join(BUILD, 'tools', 'virt-gmem'), 'host', '--json'],
                            stdout=subprocess.PIPE, check=False, timeout=300)
    said = json.loads(answer.stdout)
    wanted = {'available': True, 'vm-types': 3, 'memory-attributes': 8, 'user-memory2': True,
              'guest-memfd': not WHY_OLD, 'guest-memfd-flags': 0 if WHY_OLD else 3,
              'numa-policy': None if WHY_OLD else True}
    check.equal({name: said['kvm'].get(name) for name in wanted}, wanted, 'what it found of KVM')
    results = {each['id']: each for each in said['checks']}
    for name in ('kvm', 'kvm-vm-types', 'kvm-memory-attributes', 'kvm-user-memory2'):
        check.equal(results[name]['result'], 'PASS', '%s (%s)' % (name, results[name]['detail']))
    for name, otherwise in (('kvm-guest-memfd', 'FAIL'), ('kvm-guest-memfd-mmap', 'FAIL'),
                            ('kvm-guest-memfd-init-shared', 'FAIL'), ('numa-policy', 'WARN')):
        check.equal(results[name]['result'], otherwise if WHY_OLD else 'PASS',
                    '%s (%s)' % (name, results[name]['detail']))
    check.equal(said['modes']['fully-shared']['usable'], not WHY_OLD, 'the fully shared mode')
    check.equal(said['modes']['convertible'], {'usable': True, 'reason': None},
                'the convertible mode')
    check.equal(answer.returncode, 2 if WHY_OLD else 0, 'exit status')


if __name__ == '__main__':
    raise SystemExit(suite.run())
