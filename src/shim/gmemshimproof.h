/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimproof.h: proves that the calls that QEMU makes arrive at the shim. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* While the proof is made, the argument that only the shim knows; else NULL. */
extern const void *_Atomic gmemShimProofWord;

/* gmemShimProofNote: the call that is being tried has arrived. */
void gmemShimProofNote(void);

/**
 * gmemShimProofArrived:
 * @argument: a pointer, or a number as wide, that the caller of a function of ours has passed
 *
 * Returns whether this is the call of the proof: it has been noted, and there is nothing to do.
 */
static inline bool
gmemShimProofArrived(const void *argument)
{
    const void *word = atomic_load_explicit(&gmemShimProofWord, memory_order_relaxed);

    if (word == NULL || word != argument)
        return false;
    gmemShimProofNote();
    return true;
}

/**
 * gmemShimProofRun:
 * @reason: out: which function's calls do not arrive, and where they go
 * @reasonSize: bytes at @reason
 *
 * Calls each function that the shim stands in front of and the program imports, once, through the
 * program's own relocations. While the process has one thread, before its main. Returns whether
 * all of these calls arrived, and the program imports what it makes memory with.
 */
bool gmemShimProofRun(char *reason, size_t reasonSize);
