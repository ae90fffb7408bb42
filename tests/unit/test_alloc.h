/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_alloc.h: counts the allocations of the program, GLib, libxml2 and yajl, and makes them fail.
 *
 * A program that contains test_alloc.c allocates through it. GLib before 2.76 has an allocator of
 * its own on top, which G_SLICE=always-malloc in the environment switches off. One thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    size_t count; /* allocations since testAllocStart() */
    size_t peak;  /* the peak in bytes, beyond what was allocated at the start */
} testAllocCounts;

/* testAllocStart: starts counting from 0 again. */
void testAllocStart(void);

/* testAllocGet: the counts since then. */
testAllocCounts testAllocGet(void);

/* testAllocFail: makes allocation number @which from now on (1: the next one) fail and, if @rest,
 * all later ones, too; 0: none fails. */
void testAllocFail(size_t which, bool rest);

/* testAllocFailed: whether an allocation was made to fail. */
bool testAllocFailed(void);
