/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimstart.h: what has to be done before a program's main: is it QEMU, argv, environment. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "gmemshimconfig.h"

/**
 * gmemShimStartIsQEMU:
 * @argv: with our option
 *
 * Returns whether the program of this process is certainly a QEMU that the shim can serve in the
 * mode that the option names. Searches the read-only segments of the main executable, which takes
 * milliseconds.
 */
bool gmemShimStartIsQEMU(char *const argv[]);

/* What argv says about the shim. */
typedef enum {
    GMEM_SHIM_ARGV_ABSENT,  /* no option of ours */
    GMEM_SHIM_ARGV_TAKEN,   /* it was there and is out of argv now */
    GMEM_SHIM_ARGV_REFUSED, /* it is there and must stop QEMU */
} gmemShimArgvResult;

/* gmemShimStartHasPair: whether argv has our option, whatever its value is. */
bool gmemShimStartHasPair(char *const argv[]);

/**
 * gmemShimStartTakePair:
 * @argc: in and out
 * @argv: in and out: NULL-terminated
 * @config: out: if the option was accepted
 * @reason: out: if it was refused, the reason
 * @reasonSize: the size of @reason in bytes
 *
 * Removes the option and its value. The words before it move up and *@argv moves with them, so that
 * what follows argv's NULL on a process's stack, the environment, stays in place.
 */
gmemShimArgvResult gmemShimStartTakePair(
    int *argc, char ***argv, gmemShimConfig *config, char *reason, size_t reasonSize);

/**
 * gmemShimStartDropPreload:
 * @environment: NULL-terminated; changed in place, including its strings
 *
 * Removes this project's libraries, and nothing else, from LD_PRELOAD. If nothing is left, the
 * variable is removed.
 */
void gmemShimStartDropPreload(char **environment);
