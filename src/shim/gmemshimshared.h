/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimshared.h: mode fully-shared: a memory backend's memfd is made a guest_memfd. */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "gmemshimconfig.h"
#include "gmemshimreal.h"

/* gmemShimSharedInit: before any of the others, while the process has one thread. Returns 0, or
 * reports the reason and returns -1. */
int gmemShimSharedInit(const gmemShimConfig *config);

/* gmemShimSharedIsBackend: whether a memfd of this name is the memory of a memory-backend-memfd. */
bool gmemShimSharedIsBackend(const char *name);

/**
 * gmemShimSharedCreate:
 * @name, @flags: as in memfd_create(2), of a memory backend
 *
 * Returns a memfd that holds the place until its size is known, or reports the reason and returns
 * -1 with errno: EOPNOTSUPP for hugepages, ENFILE for too many backends.
 */
int gmemShimSharedCreate(const char *name, unsigned int flags);

/* gmemShimSharedMayHave: whether the descriptor could be a memory backend's. No lock. */
bool gmemShimSharedMayHave(int fd);

/**
 * gmemShimSharedResize:
 * @fd: one that gmemShimSharedMayHave()
 * @size: bytes
 * @vm: the KVM VM's descriptor, -1 where there is none
 * @real: libc's ftruncate or ftruncate64
 *
 * Puts a guest_memfd of @size bytes in the place of a backend's memfd, under the same number and
 * with its close-on-exec flag. Any other file goes to @real. Returns 0, or reports what failed and
 * what is missing, and returns -1 with errno; then the memfd is as it was, empty.
 */
int gmemShimSharedResize(int fd, off_t size, int vm, gmemShimFtruncate *real);

/* gmemShimSharedSealed: whether @fd is one of our guest_memfds: they cannot change their size, and
 * KVM knows no seals for them. */
bool gmemShimSharedSealed(int fd);

/* gmemShimSharedSlot: QEMU has given KVM this memory slot; @verified: it is known what RAM is.
 * Keeps errno. */
void gmemShimSharedSlot(const struct kvm_userspace_memory_region *region, bool verified);

/**
 * gmemShimSharedVerify:
 * @reason: out: what is wrong
 * @reasonSize: bytes at @reason
 *
 * Returns whether the guest's RAM is what the configuration says: as many guest_memfds, of that
 * size in all, each in a memory slot, and one of them at guest address 0.
 */
bool gmemShimSharedVerify(char *reason, size_t reasonSize);
