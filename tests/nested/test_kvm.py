#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the rig's KVM can do, queried and tried here, and then what virt-gmem reports about it."""

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
from gmem_kvm import (ATTRIBUTE_PRIVATE, CAP_EXIT_HYPERCALL, CAP_GUEST_MEMFD, CAP_GUEST_MEMFD_FLAGS,
                      CAP_MEMORY_ATTRIBUTES, CAP_USER_MEMORY2, CAP_VM_TYPES, EXIT_HLT,
                      EXIT_HYPERCALL, FLAG_INIT_SHARED, FLAG_MMAP, HC_MAP_GPA_RANGE, KVM_ENABLE_CAP,
                      MAP_GPA_RANGE_PRIVATE, MPOL_BIND, MPOL_F_ADDR, PAGE, SYS_GET_MEMPOLICY,
                      SYS_MBIND, VM_DEFAULT, VM_SW_PROTECTED, Vcpu, capability, create_guest_memfd,
                      libc, set_private, set_slot, vm_of_type)
from gmem_private import WHY_OLD
from gmem_rig import BUILD, Skip, Suite

SIZE = 16 * PAGE

suite = Suite()


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


# What a guest without firmware runs in real mode: it marks a page, asks for it to be made private,
# writes a secret there, reads it back, and leaves in shared memory what the hypercall returned and
# what it read; when it is continued, it reads once more.
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
            set_slot(vm, 0, 0, 0)  # nothing in KVM uses the mapping any more


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
            check.equal(libc.syscall(SYS_MBIND, at[0], ctypes.c_ulong(SIZE), MPOL_BIND,
                                      ctypes.byref(node), ctypes.c_ulong(64), 0), 0, 'mbind')
            check.equal(libc.syscall(SYS_GET_MEMPOLICY, ctypes.byref(mode), None,
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
