/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemkvm.h: what this host's KVM can do for guest_memfd. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemkvmabi.h"

#define GMEM_KVM_DEVICE "/dev/kvm"

typedef struct {
    bool available;          /* /dev/kvm opened and a VM could be created */
    char *reason;            /* where not: why, translated; else NULL */
    int kvmErrno;            /* errno of what failed (ENOENT, EACCES …), 0 where nothing did */
    unsigned int vmTypes;    /* KVM_CAP_VM_TYPES, system descriptor: a bit per type */
    unsigned int attributes; /* KVM_CAP_MEMORY_ATTRIBUTES of a VM of the convertible type where that
                              * type exists, else of a default VM: the answer depends on the VM */
    bool userMemory2;        /* KVM_CAP_USER_MEMORY2, VM descriptor */
    bool guestMemfd;         /* KVM_CAP_GUEST_MEMFD, VM descriptor (default type) */
    unsigned int gmemFlags;  /* KVM_CAP_GUEST_MEMFD_FLAGS, VM descriptor (default type) */
    int createErrno;         /* why a guest_memfd with MMAP and INIT_SHARED could not be created
                              * although the flags offer it; 0 where it could, or was not tried */
    bool convertibleGuestMemfd; /* KVM_CAP_GUEST_MEMFD of a VM of the convertible type: up to Linux
                                 * 6.16 a default VM has none */
    int createConvertibleErrno; /* why no VM of the convertible type could be created although
                                 * vmTypes offers it, else 0 */
    bool inPlace;         /* a VM of the convertible type has its attributes in guest_memfd, which
                           * then has its shared pages, too (tried) */
    int attributesErrno;  /* why a page of a VM of the convertible type could not be made private
                           * although it has attributes and guest_memfd, else 0 (tried) */
    bool numaPolicy;      /* guest_memfd keeps a NUMA policy per file (two-mappings probe) */
    bool numaPolicyKnown; /* the probe could be made (requires MMAP and INIT_SHARED) */
    char *kernel;         /* uname -r */
} gmemKVM;

/**
 * gmemKVMProbe:
 *
 * Asks /dev/kvm. It never fails as a whole: what could not be queried is false, and @reason says
 * why. It opens its own descriptors (O_CLOEXEC) and leaves none open. Free with gmemKVMFree().
 */
gmemKVM *gmemKVMProbe(void);

/* gmemKVMLookup: a cached, complete result of gmemKVMProbe(), as long as /dev/kvm is the same file
 * and converts in the same way; otherwise it asks again. Takes a lock, so it is not for the child
 * between fork and exec. Free with gmemKVMFree(). */
gmemKVM *gmemKVMLookup(void);

/* gmemKVMProbePath: the same with a device file other than /dev/kvm; for tests. */
gmemKVM *gmemKVMProbePath(const char *path);

void gmemKVMFree(gmemKVM *kvm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemKVM, gmemKVMFree)

/**
 * gmemKVMCanFullyShared / gmemKVMCanConvertible:
 *
 * Whether this host's KVM can run a domain in that mode. Return 0, or -1 with
 * VIR_ERR_CONFIG_UNSUPPORTED and a message that names the first missing requirement and its remedy.
 */
int gmemKVMCanFullyShared(const gmemKVM *kvm, GError **error);
int gmemKVMCanConvertible(const gmemKVM *kvm, GError **error);
