/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimhalves.h: mode convertible: RAM backends, each with a shared and a private half. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gmemplatform.h"
#include "gmemshimconfig.h"

/* guest_memfd's pages and the unit of a conversion, in bytes. */
#define GMEM_SHIM_PAGE ((uint64_t)GMEM_PLATFORM_PAGE)

/* Host nodes that a backend can be bound to: what Linux has at most. */
#define GMEM_SHIM_NODES_MAX 1024UL
#define GMEM_SHIM_NODES_WORDS (GMEM_SHIM_NODES_MAX / (8 * sizeof(unsigned long)))

/* A RAM backend. The ordinary half is QEMU's own mapping, the private one a guest_memfd of the same
 * size that is mapped nowhere. Both are sparse: of each page one half is in use. */
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

/* gmemShimHalvesWanted: whether a memory backend of the command line is still to come. Lock-free.
 */
bool gmemShimHalvesWanted(void);

/**
 * gmemShimHalvesMapped:
 * @base, @size, @flags, @file: of a mapping that QEMU has made, as in mmap(2); @size in bytes
 * @vm: the KVM VM's descriptor
 *
 * If this is the memory of the next backend that the configuration lists, gives it its private
 * half. QEMU makes memory backends one after another, as they stand on its command line, and before
 * anything else of a machine; each is mapped with MAP_FIXED into space reserved before.
 * Returns 0, also where the mapping is something else's, or reports why not and returns -1 with
 * errno.
 */
int gmemShimHalvesMapped(void *base, size_t size, int flags, int file, int vm);

/* gmemShimHalvesAt: the backend that has @size bytes at @address wholly; NULL: none. */
gmemShimHalves *gmemShimHalvesAt(uint64_t address, uint64_t size);

/* gmemShimHalvesByIndex: the RAM backends in the order of the command line; NULL after the last.
 */
gmemShimHalves *gmemShimHalvesByIndex(unsigned int index);

/* gmemShimHalvesBound: QEMU has bound the shared half to host nodes, with these arguments of
 * mbind(2): pages that become private will come from there, too. */
void gmemShimHalvesBound(gmemShimHalves *halves,
                         int policy,
                         const unsigned long *nodes,
                         unsigned long maxNode);

/**
 * gmemShimHalvesRun:
 * @offset, @end: bytes; multiples of GMEM_SHIM_PAGE
 * @runEnd: out
 *
 * Returns whether the page at @offset is private, and in @runEnd the first page that is otherwise,
 * or @end.
 */
bool
gmemShimHalvesRun(const gmemShimHalves *halves, uint64_t offset, uint64_t end, uint64_t *runEnd);

/**
 * gmemShimHalvesConvert:
 * @offset, @size: bytes; multiples of GMEM_SHIM_PAGE
 *
 * Notes what the pages are now, and frees the other half of those that were otherwise: when they
 * are converted back they read as zeros. Private pages of a backend that is bound to host nodes are
 * made at once, there. A shared half of huge pages is freed where the whole of a
 * huge page is private. What fails there is counted, and reported the first time. KVM must know
 * already, so that the guest gets no new page there. O(@size).
 * Returns how many bytes were otherwise.
 */
uint64_t
gmemShimHalvesConvert(gmemShimHalves *halves, uint64_t offset, uint64_t size, bool isPrivate);

/* gmemShimHalvesReset: all pages are @isPrivate now; what was in private ones is gone, and with
 * @isPrivate what was in shared ones, too. */
void gmemShimHalvesReset(gmemShimHalves *halves, bool isPrivate);
