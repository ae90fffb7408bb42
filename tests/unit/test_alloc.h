/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_alloc.h: the program's malloc, GLib's, libxml2's and yajl's, counted, and made to fail.
 *
 * A program that has test_alloc.c in it allocates through it. GLib before 2.76 has an allocator of
 * its own on top, which G_SLICE=always-malloc in the environment switches off. One thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    size_t count; /* allocations since testAllocStart() */
    size_t peak;  /* bytes: the most that there was at a time, beyond what there was at the start */
} testAllocCounts;

/* testAllocStart: counts from 0 again. */
void testAllocStart(void);

/* testAllocGet: what was counted since. */
testAllocCounts testAllocGet(void);

/* testAllocFail: allocation number @which from now on (1: the next one) fails, and where @rest all
 * after it, too; 0: none. */
void testAllocFail(size_t which, bool rest);

/* testAllocFailed: whether it came to that. */
bool testAllocFailed(void);
