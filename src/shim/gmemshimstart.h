/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimstart.h: what has to be settled before a program's main: whose it is, argv, environment.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "gmemshimconfig.h"

/**
 * gmemShimStartIsQEMU:
 * @argv: with the option of ours
 *
 * Returns whether the program of this process is certainly a QEMU that the shim can serve in the
 * mode that the option names. Looks through the read-only segments of the main executable; takes
 * milliseconds.
 */
bool gmemShimStartIsQEMU(char *const argv[]);

/* What argv says about the shim. */
typedef enum {
    GMEM_SHIM_ARGV_ABSENT,  /* no option of ours */
    GMEM_SHIM_ARGV_TAKEN,   /* it was there and is out of argv now */
    GMEM_SHIM_ARGV_REFUSED, /* it is there and must stop QEMU */
} gmemShimArgvResult;

/* gmemShimStartHasPair: whether argv has our option; no judgement of its value. */
bool gmemShimStartHasPair(char *const argv[]);

/**
 * gmemShimStartTakePair:
 * @argc: in and out
 * @argv: in and out: NULL-terminated
 * @config: out: where it was taken
 * @reason: out: where it was refused, why
 * @reasonSize: bytes at @reason
 *
 * Removes the option and its value. The words before it move up and *@argv moves with them, so that
 * what comes after argv's NULL on a process's stack, the environment, is still there.
 */
gmemShimArgvResult gmemShimStartTakePair(
    int *argc, char ***argv, gmemShimConfig *config, char *reason, size_t reasonSize);

/**
 * gmemShimStartDropPreload:
 * @environment: NULL-terminated; changed in place, the strings in it too
 *
 * Takes this project's libraries, and nothing else, out of LD_PRELOAD; a variable with nothing left
 * in it goes.
 */
void gmemShimStartDropPreload(char **environment);
