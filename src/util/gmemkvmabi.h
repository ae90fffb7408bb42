/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemkvmabi.h: the numbers of KVM's interface that <linux/kvm.h> of Debian 12 (Linux 6.1) does
 * not have yet. Values: Documentation/virt/kvm/api.rst; guest_memfd is Linux 6.8's, its flags are
 * Linux 6.18's. Used by the shim too: no glib here. */
#pragma once

#include <linux/kvm.h>
#include <stdint.h>

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

#ifndef GUEST_MEMFD_FLAG_MMAP
#define GUEST_MEMFD_FLAG_MMAP (1ULL << 0)
#endif
#ifndef GUEST_MEMFD_FLAG_INIT_SHARED
#define GUEST_MEMFD_FLAG_INIT_SHARED (1ULL << 1)
#endif

/* The argument of KVM_CREATE_GUEST_MEMFD: bytes, a multiple of the page size; the rest zero. */
struct gmemKVMCreateGuestMemfd {
    uint64_t size;
    uint64_t flags;
    uint64_t reserved[6];
};

#define GMEM_KVM_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, struct gmemKVMCreateGuestMemfd)
