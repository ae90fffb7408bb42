/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemkvmabi.h: the numbers of KVM's interface that are missing in <linux/kvm.h> of Debian 12
 * (Linux 6.1). The values are from Documentation/virt/kvm/api.rst; guest_memfd is from Linux 6.8,
 * and its flags are from Linux 6.18. The shim uses this file, too, so there is no glib here. */
#pragma once

#include <linux/kvm.h>
#include <stdint.h>

#ifndef KVM_CAP_EXIT_HYPERCALL
#define KVM_CAP_EXIT_HYPERCALL 201
#endif
#ifndef KVM_CAP_USER_MEMORY2
#define KVM_CAP_USER_MEMORY2 231
#endif
#ifndef KVM_CAP_MEMORY_ATTRIBUTES
#define KVM_CAP_MEMORY_ATTRIBUTES 233
#endif
#ifndef KVM_CAP_GUEST_MEMFD
#define KVM_CAP_GUEST_MEMFD 234
#endif
#ifndef KVM_CAP_VM_TYPES
#define KVM_CAP_VM_TYPES 235
#endif
#ifndef KVM_CAP_GUEST_MEMFD_FLAGS
#define KVM_CAP_GUEST_MEMFD_FLAGS 244
#endif

#ifndef KVM_X86_DEFAULT_VM
#define KVM_X86_DEFAULT_VM 0
#endif
#ifndef KVM_X86_SW_PROTECTED_VM
#define KVM_X86_SW_PROTECTED_VM 1
#endif

#ifndef KVM_MEMORY_ATTRIBUTE_PRIVATE
#define KVM_MEMORY_ATTRIBUTE_PRIVATE (1ULL << 3)
#endif

/* A flag of a memory slot: it also has a guest_memfd. */
#ifndef KVM_MEM_GUEST_MEMFD
#define KVM_MEM_GUEST_MEMFD (1UL << 2)
#endif

/* The guest asks for pages to become private or shared (Documentation/virt/kvm/x86/hypercalls.rst).
 */
#ifndef KVM_HC_MAP_GPA_RANGE
#define KVM_HC_MAP_GPA_RANGE 12
#endif
#ifndef KVM_MAP_GPA_RANGE_ENCRYPTED
#define KVM_MAP_GPA_RANGE_ENCRYPTED (1 << 4)
#endif
/* CPUID leaf KVM_CPUID_FEATURES, EAX: the hypercall is available. */
#ifndef KVM_FEATURE_HC_MAP_GPA_RANGE
#define KVM_FEATURE_HC_MAP_GPA_RANGE 16
#endif

#ifndef KVM_EXIT_HYPERCALL
#define KVM_EXIT_HYPERCALL 3
#endif
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif
#ifndef KVM_MEMORY_EXIT_FLAG_PRIVATE
#define KVM_MEMORY_EXIT_FLAG_PRIVATE (1ULL << 3)
#endif

#ifndef GUEST_MEMFD_FLAG_MMAP
#define GUEST_MEMFD_FLAG_MMAP (1ULL << 0)
#endif
#ifndef GUEST_MEMFD_FLAG_INIT_SHARED
#define GUEST_MEMFD_FLAG_INIT_SHARED (1ULL << 1)
#endif

/* The argument of KVM_CREATE_GUEST_MEMFD. @size is in bytes, a multiple of the page size; the rest
 * is zero. */
struct gmemKVMCreateGuestMemfd {
    uint64_t size;
    uint64_t flags;
    uint64_t reserved[6];
};

#define GMEM_KVM_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, struct gmemKVMCreateGuestMemfd)

/* The argument of KVM_SET_USER_MEMORY_REGION2, which begins like that of the older request. In
 * bytes. */
struct gmemKVMMemoryRegion2 {
    uint32_t slot;
    uint32_t flags;
    uint64_t guest_phys_addr;
    uint64_t memory_size;
    uint64_t userspace_addr;
    uint64_t guest_memfd_offset;
    uint32_t guest_memfd;
    uint32_t pad1;
    uint64_t pad2[14];
};

#define GMEM_KVM_SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, struct gmemKVMMemoryRegion2)

/* The argument of KVM_SET_MEMORY_ATTRIBUTES, in bytes, multiples of the page size. */
struct gmemKVMMemoryAttributes {
    uint64_t address;
    uint64_t size;
    uint64_t attributes;
    uint64_t flags;
};

#define GMEM_KVM_SET_MEMORY_ATTRIBUTES _IOW(KVMIO, 0xd2, struct gmemKVMMemoryAttributes)

/* The same for a guest_memfd, on kernels where guest_memfd knows which of its pages are private:
 * the series "KVM: guest_memfd: in-place conversion" (Ackerley Tng, Sean Christopherson; accepted
 * after Linux 7.3). In bytes; @offset is in the file. */
struct gmemKVMMemoryAttributes2 {
    uint64_t offset;
    uint64_t size;
    uint64_t attributes;
    uint64_t flags;
    uint64_t error_offset;
    uint64_t reserved[11];
};

#define GMEM_KVM_SET_MEMORY_ATTRIBUTES2 _IOWR(KVMIO, 0xd2, struct gmemKVMMemoryAttributes2)

/* The union of struct kvm_run in an exit with KVM_EXIT_MEMORY_FAULT. */
struct gmemKVMMemoryFault {
    uint64_t flags;
    uint64_t gpa;
    uint64_t size;
};
