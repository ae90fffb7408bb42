/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimshared.h: mode fully-shared: a memory backend's memfd becomes a guest_memfd. */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "gmemshimconfig.h"
#include "gmemshimreal.h"

/* gmemShimSharedInit: to be called before any other function, while the process has one thread.
 * Returns 0, or reports the reason and returns -1. */
int gmemShimSharedInit(const gmemShimConfig *config);

/* gmemShimSharedIsBackend: whether a memfd with this name is the memory of a memory-backend-memfd.
 */
bool gmemShimSharedIsBackend(const char *name);

/**
 * gmemShimSharedCreate:
 * @name, @flags: as in memfd_create(2), of a memory backend
 *
 * Returns a memfd that is a placeholder until its size is known, or reports the reason and returns
 * -1 with errno: EOPNOTSUPP for huge pages, ENFILE for too many backends.
 */
int gmemShimSharedCreate(const char *name, unsigned int flags);

/* gmemShimSharedMayHave: whether the descriptor could be a memory backend's. Takes no lock. */
bool gmemShimSharedMayHave(int fd);

/**
 * gmemShimSharedResize:
 * @fd: one for which gmemShimSharedMayHave() is true
 * @size: bytes
 * @vm: the KVM VM's descriptor, -1 if there is none
 * @real: libc's ftruncate or ftruncate64
 *
 * Puts a guest_memfd of @size bytes in place of a backend's memfd, with the same number and the
 * same close-on-exec flag. Any other file is passed on to @real. Returns 0, or reports what failed
 * and what is missing, and returns -1 with errno; the memfd has then not changed, and is empty.
 */
int gmemShimSharedResize(int fd, off_t size, int vm, gmemShimFtruncate *real);

/* gmemShimSharedSealed: whether @fd is one of our guest_memfds, which cannot change their size, and
 * for which KVM has no seals. */
bool gmemShimSharedSealed(int fd);

/* gmemShimSharedSlot: QEMU has given KVM this memory slot. @verified: whether it is already known
 * what is RAM. Preserves errno. */
void gmemShimSharedSlot(const struct kvm_userspace_memory_region *region, bool verified);

/**
 * gmemShimSharedVerify:
 * @reason: out: what is wrong
 * @reasonSize: the size of @reason in bytes
 *
 * Returns whether the guest's RAM is what the configuration says: the number of guest_memfds and
 * their total size are right, each of them is in a memory slot, and one of them is at guest address
 * 0.
 */
bool gmemShimSharedVerify(char *reason, size_t reasonSize);
