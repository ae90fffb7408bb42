/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimpublish.h: keeps what gmemshimstatus.h describes up to date. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gmemkvmabi.h"
#include "gmemshimconfig.h"

/* gmemShimPublishInit: makes the file. Returns 0, or reports the reason and returns -1. */
int gmemShimPublishInit(const gmemShimConfig *config);

/* gmemShimPublishVerified: RAM was found to be what the configuration says. */
void gmemShimPublishVerified(void);

/* The caller of the next two holds its mode's lock. */

/* gmemShimPublishMade: mode fully-shared: QEMU has got one more guest_memfd, of @size bytes. */
void gmemShimPublishMade(uint64_t inode, uint64_t size);

/* gmemShimPublishSlot: KVM has accepted this change of its memory slots. Keeps errno. */
void gmemShimPublishSlot(const struct kvm_userspace_memory_region *region);

/* The caller of those that follow holds the lock of convertible mode. They keep errno. */

/* gmemShimPublishHalves: where the halves of the RAM backend @id are: the guest_memfd, and in
 * QEMU's address space the shared one. */
void gmemShimPublishHalves(const char *id, uint64_t inode, uint64_t address);

/* gmemShimPublishHeld: memory could not be given back, or bound, after a conversion. */
void gmemShimPublishHeld(void);

/* gmemShimPublishBackend: something of the RAM backend @id has been made private, or shared;
 * @privateBytes of it are private now; @count: for the first time in this conversion. */
void gmemShimPublishBackend(const char *id, uint64_t privateBytes, bool isPrivate, bool count);

/* gmemShimPublishHypercall: the guest has asked for a conversion; @served or refused. */
void gmemShimPublishHypercall(bool served);

/* gmemShimPublishImplicit: there was a conversion because of an access. */
void gmemShimPublishImplicit(void);

/* gmemShimPublishReset: all memory is in its initial state again. */
void gmemShimPublishReset(void);
