/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimpublish.h: keeps what gmemshimstatus.h describes up to date. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gmemkvmabi.h"
#include "gmemshimconfig.h"

/* gmemShimPublishInit: creates the file. Returns 0, or reports the reason and returns -1. */
int gmemShimPublishInit(const gmemShimConfig *config);

/* gmemShimPublishVerified: RAM was found to be what the configuration says. */
void gmemShimPublishVerified(void);

/* The caller of the next two holds its mode's lock. */

/* gmemShimPublishMade: mode fully-shared: QEMU has got another guest_memfd, of @size bytes. */
void gmemShimPublishMade(uint64_t inode, uint64_t size);

/* gmemShimPublishSlot: KVM has accepted this change of its memory slots. Preserves errno. */
void gmemShimPublishSlot(const struct kvm_userspace_memory_region *region);

/* The caller of the following functions holds the lock of convertible mode. They preserve errno. */

/* gmemShimPublishHalves: where the halves of the RAM backend @id are: the inode of the guest_memfd,
 * and the address of the shared half in QEMU's address space. */
void gmemShimPublishHalves(const char *id, uint64_t inode, uint64_t address);

/* gmemShimPublishHeld: memory could not be freed, or not be allocated where it is bound to, after a
 * conversion. */
void gmemShimPublishHeld(void);

/* gmemShimPublishBackend: a part of the RAM backend @id has been made private, or shared;
 * @privateBytes of it are private now; @count: whether this is the first part in this conversion.
 */
void gmemShimPublishBackend(const char *id, uint64_t privateBytes, bool isPrivate, bool count);

/* gmemShimPublishHypercall: the guest has asked for a conversion; @served or refused. */
void gmemShimPublishHypercall(bool served);

/* gmemShimPublishImplicit: there was a conversion because of an access. */
void gmemShimPublishImplicit(void);

/* gmemShimPublishReset: all memory is in its initial state again. */
void gmemShimPublishReset(void);
