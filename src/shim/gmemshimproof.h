/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimproof.h: proves that the calls that QEMU makes reach the shim. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* During the proof, the argument that only the shim knows, otherwise NULL. */
extern const void *_Atomic gmemShimProofWord;

/* gmemShimProofNote: the call that is being tried has arrived. */
void gmemShimProofNote(void);

/**
 * gmemShimProofArrived:
 * @argument: a pointer, or a number of that size, that the caller of an interposed function has
 * passed
 *
 * Returns whether this is the call of the proof, which has then been recorded, so that there is
 * nothing to do.
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
 * @reasonSize: the size of @reason in bytes
 *
 * Calls each function that the shim interposes and the program imports once, through the program's
 * own relocations. To be called while the process has one thread, before its main. Returns whether
 * all of these calls arrived, and the program imports the functions with which it creates memory.
 */
bool gmemShimProofRun(char *reason, size_t reasonSize);
