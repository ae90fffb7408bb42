/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimhalves.h: mode convertible: RAM backends, each with a shared and a private half. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gmemplatform.h"
#include "gmemshimconfig.h"

/* The size of guest_memfd's pages, and the unit of a conversion, in bytes. */
#define GMEM_SHIM_PAGE ((uint64_t)GMEM_PLATFORM_PAGE)

/* The number of host nodes that a backend can be bound to: Linux's maximum. */
#define GMEM_SHIM_NODES_MAX 1024UL
#define GMEM_SHIM_NODES_WORDS (GMEM_SHIM_NODES_MAX / (8 * sizeof(unsigned long)))

/* A RAM backend. The shared half is QEMU's own mapping; the private half is a guest_memfd of the
 * same size that is not mapped anywhere. Both are sparse: of each page, one half is in use. */
typedef struct {
    const gmemShimConfigBackend *config;
    char *base;           /* of the shared half in QEMU's address space; NULL: not made yet */
    uint64_t size;        /* bytes, of each half */
    uint64_t sharedPage;  /* bytes: the page size of the shared half, 4 KiB or a huge page's */
    bool sharedMapping;   /* MAP_SHARED: its pages are a file's */
    int file;             /* that it is a mapping of, our own descriptor; -1: anonymous */
    int gmem;             /* the guest_memfd */
    uint64_t *isPrivate;  /* a bit for each page */
    uint64_t privateSize; /* bytes that are private: the bits counted */
    int policy;           /* of mbind(2) for the shared half; 0: none */
    unsigned long nodes[GMEM_SHIM_NODES_WORDS]; /* of that policy, a bit for each */
    bool used;                                  /* both halves have been in a memory slot */
    unsigned int reported; /* what could not be done for it and has been reported: a bit for each */
} gmemShimHalves;

/* All of them; the caller of any of the functions below holds the lock of convertible mode. */

/* gmemShimHalvesInit: @config must outlive all other calls. */
void gmemShimHalvesInit(const gmemShimConfig *config);

/* gmemShimHalvesWanted: whether QEMU has yet to create a memory backend of the command line.
 * Lock-free. */
bool gmemShimHalvesWanted(void);

/**
 * gmemShimHalvesMapped:
 * @base, @size, @flags, @file: of a mapping that QEMU has made, as in mmap(2); @size in bytes
 * @vm: the KVM VM's descriptor
 *
 * If this is the memory of the next backend that the configuration lists, gives it its private
 * half. QEMU creates memory backends one after another, in the order of its command line, and
 * before anything else of a machine; each is mapped with MAP_FIXED into space that was reserved
 * before. Returns 0, also if the mapping is something else, or reports the reason and returns -1
 * with errno.
 */
int gmemShimHalvesMapped(void *base, size_t size, int flags, int file, int vm);

/* gmemShimHalvesAt: the backend that contains all of the @size bytes at @address, or NULL. */
gmemShimHalves *gmemShimHalvesAt(uint64_t address, uint64_t size);

/* gmemShimHalvesByIndex: the RAM backends in the order of the command line; NULL after the last. */
gmemShimHalves *gmemShimHalvesByIndex(unsigned int index);

/* gmemShimHalvesBound: QEMU has bound the shared half to host nodes, with these arguments of
 * mbind(2). Pages that become private will come from these nodes, too. */
void gmemShimHalvesBound(gmemShimHalves *halves,
                         int policy,
                         const unsigned long *nodes,
                         unsigned long maxNode);

/**
 * gmemShimHalvesRun:
 * @offset, @end: bytes; multiples of GMEM_SHIM_PAGE
 * @runEnd: out
 *
 * Returns whether the page at @offset is private, and in @runEnd the first page for which this is
 * different, or @end.
 */
bool
gmemShimHalvesRun(const gmemShimHalves *halves, uint64_t offset, uint64_t end, uint64_t *runEnd);

/**
 * gmemShimHalvesConvert:
 * @offset, @size: bytes; multiples of GMEM_SHIM_PAGE
 *
 * Records the new state of the pages, and frees the other half of those that have changed, so that
 * they read as zeros when they are converted back. If a backend is bound to host nodes, its private
 * pages are allocated at once, on these nodes. A huge page of a shared half is freed when all of it
 * is private. What fails is counted, and reported the first time. KVM must have the new attribute
 * already, so that the guest does not get a new page in the half that is freed. O(@size).
 * Returns how many bytes have changed.
 */
uint64_t
gmemShimHalvesConvert(gmemShimHalves *halves, uint64_t offset, uint64_t size, bool isPrivate);

/* gmemShimHalvesReset: all pages become @isPrivate. The contents of private pages are lost and, if
 * @isPrivate, those of shared pages, too. */
void gmemShimHalvesReset(gmemShimHalves *halves, bool isPrivate);
