/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimconvertible.h: mode convertible: a software-protected VM whose pages the guest converts.
 */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gmemshimconfig.h"

/**
 * gmemShimConvertibleInit:
 * @config: must outlive everything
 *
 * To be called before any other function, while the process has one thread. Returns 0, or reports
 * the reason and returns -1.
 */
int gmemShimConvertibleInit(const gmemShimConfig *config);

/**
 * gmemShimConvertibleCreateVM:
 * @fd: /dev/kvm
 *
 * Creates a software-protected VM whose guest can ask for conversions. Returns its descriptor, or
 * reports what is missing and returns -1 with errno.
 */
int gmemShimConvertibleCreateVM(int fd);

/**
 * gmemShimConvertibleCheckExtension:
 * @fd, @capability: of QEMU's KVM_CHECK_EXTENSION
 *
 * Returns what is true for this VM, although QEMU often asks /dev/kvm; and that there are neither
 * guest_memfd nor memory attributes, which QEMU must not use here.
 */
int gmemShimConvertibleCheckExtension(int fd, unsigned long capability);

/* gmemShimConvertibleMapped: QEMU has made this mapping (mmap(2)). Returns 0, or -1 with errno if
 * it is a memory backend's and cannot have a private half. */
int gmemShimConvertibleMapped(void *base, size_t size, int flags, int file);

/* gmemShimConvertibleMayMap: whether gmemShimConvertibleMapped() has to be called. Takes no lock.
 */
bool gmemShimConvertibleMayMap(void);

/* gmemShimConvertibleKeepsPages: whether this memory must not have transparent huge pages. */
bool gmemShimConvertibleKeepsPages(const void *base, size_t size);

/* gmemShimConvertibleBound: QEMU has bound this memory to host nodes (mbind(2)). Preserves errno.
 */
void gmemShimConvertibleBound(
    void *base, unsigned long size, int policy, const unsigned long *nodes, unsigned long maxNode);

/**
 * gmemShimConvertibleSetSlot:
 * @region: of KVM_SET_USER_MEMORY_REGION or KVM_SET_USER_MEMORY_REGION2
 * @request: which of the two
 *
 * Does what QEMU asks KVM for, with both halves if it is RAM. Returns as ioctl(2).
 */
int gmemShimConvertibleSetSlot(const struct kvm_userspace_memory_region *region,
                               unsigned long request);

/**
 * gmemShimConvertibleMap:
 * @address: guest physical, in bytes
 * @size: bytes
 * @isPrivate: what the guest wants the pages to be
 *
 * Serves KVM_HC_MAP_GPA_RANGE. Returns 0, or a negative error number of KVM's hypercalls: EINVAL if
 * the range is not whole pages or not RAM, in which case nothing has changed; EFAULT if KVM or a
 * change of the machine's memory map stopped it halfway.
 */
int gmemShimConvertibleMap(uint64_t address, uint64_t size, bool isPrivate);

/* The result for an access that KVM_EXIT_MEMORY_FAULT has reported. */
typedef enum {
    GMEM_SHIM_FAULT_STOP,   /* it cannot be made: QEMU stops the VM; the reason has been reported */
    GMEM_SHIM_FAULT_RETRY,  /* the guest should try again */
    GMEM_SHIM_FAULT_ABSENT, /* there is no RAM; also while QEMU replaces the slots around it */
} gmemShimFault;

/**
 * gmemShimConvertibleFault:
 * @address: guest physical, in bytes
 * @size: bytes
 * @isPrivate: how the guest accessed the pages
 * @insist: whether the access was repeated and failed again
 *
 * Serves KVM_EXIT_MEMORY_FAULT.
 */
gmemShimFault
gmemShimConvertibleFault(uint64_t address, uint64_t size, bool isPrivate, bool insist);

/* gmemShimConvertibleReset: the guest is reset, and none of its vCPUs is running. */
void gmemShimConvertibleReset(void);

/**
 * gmemShimConvertibleVerify:
 * @reason: out: what is wrong
 * @reasonSize: the size of @reason in bytes
 *
 * Returns whether the guest's RAM is what the configuration says: all backends exist, each with
 * both halves in a memory slot, and one of them is at guest address 0.
 */
bool gmemShimConvertibleVerify(char *reason, size_t reasonSize);
