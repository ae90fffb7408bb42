/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_alloc.c: a malloc for the program that counts, and that can be made to fail.
 *
 * The dynamic linker prefers what a program defines to what libc does, for all libraries and for
 * libc's own calls. glibc provides the names used here for such programs. */

#include "test_alloc.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#define TEST_EXPORT __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static size_t testAllocCount;
static size_t testAllocLive;
static size_t testAllocBase;
static size_t testAllocPeak;
static size_t testAllocWhich;
static bool testAllocRest;
static bool testAllocDidFail;

void
testAllocStart(void)
{
    testAllocCount = 0;
    testAllocBase = testAllocPeak = testAllocLive;
}

testAllocCounts
testAllocGet(void)
{
    return (testAllocCounts){testAllocCount, testAllocPeak - testAllocBase};
}

void
testAllocFail(size_t which, bool rest)
{
    testAllocWhich = which;
    testAllocRest = rest;
    testAllocDidFail = false;
}

bool
testAllocFailed(void)
{
    return testAllocDidFail;
}

/* Whether this allocation is to fail. */
static bool
testAllocRefuse(void)
{
    testAllocCount++;
    if (testAllocWhich == 0 || (testAllocWhich > 1 && testAllocWhich--))
        return false;
    testAllocWhich = testAllocRest ? 1 : 0;
    testAllocDidFail = true;
    errno = ENOMEM;
    return true;
}

static void *
testAllocNote(void *memory)
{
    testAllocLive += memory != NULL ? malloc_usable_size(memory) : 0;
    if (testAllocLive > testAllocPeak)
        testAllocPeak = testAllocLive;
    return memory;
}

TEST_EXPORT void *
malloc(size_t size)
{
    return testAllocRefuse() ? NULL : testAllocNote(__libc_malloc(size));
}

TEST_EXPORT void *
calloc(size_t n, size_t size)
{
    return testAllocRefuse() ? NULL : testAllocNote(__libc_calloc(n, size));
}

TEST_EXPORT void *
realloc(void *memory, size_t size)
{
    size_t before = memory != NULL ? malloc_usable_size(memory) : 0;
    void *moved;

    if (testAllocRefuse())
        return NULL;
    moved = __libc_realloc(memory, size);
    /* If it could not be allocated, the old one still exists. */
    if (moved != NULL || size == 0)
        testAllocLive -= before;
    return testAllocNote(moved);
}

TEST_EXPORT void *
memalign(size_t alignment, size_t size)
{
    return testAllocRefuse() ? NULL : testAllocNote(__libc_memalign(alignment, size));
}

TEST_EXPORT void *
aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

TEST_EXPORT int
posix_memalign(void **memory, size_t alignment, size_t size)
{
    void *made = memalign(alignment, size);

    if (made == NULL)
        return ENOMEM;
    *memory = made;
    return 0;
}

TEST_EXPORT void
free(void *memory)
{
    testAllocLive -= memory != NULL ? malloc_usable_size(memory) : 0;
    __libc_free(memory);
}
