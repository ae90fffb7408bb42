/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemargv.h: reads QEMU's command line as QEMU does: option by option, each with its value.
 *
 * Shared by the driver and the shim: it only uses libc, and neither allocates nor takes a lock. A
 * search for a string in argv would take the value of another option ("-append -x-libvirt-gmem")
 * for an option. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name; /* without its dashes ("--name" is "-name"); NULL for a positional argument */
    const char *value; /* NULL where the option takes none, or argv ended */
    size_t index;      /* of the option in argv */
    size_t count;      /* how many words of argv it has: 1 or 2 */
} gmemArgvOption;

/**
 * gmemArgvNext:
 * @argv: NULL-terminated, argv[0] being the program
 * @position: state, 0 before the first call
 * @option: out: the next option
 *
 * Returns false at the end. An option that QEMU does not know is assumed to have a value, as ours
 * does. The options without a value are those in `qemu-system-x86_64 -help` of 7.2 … 11.1, and
 * older options that the help no longer lists; a test compares them with the installed QEMU.
 */
bool gmemArgvNext(char *const argv[], size_t *position, gmemArgvOption *option);

/**
 * gmemArgvIsAmbiguous:
 *
 * Whether @option is not an option of QEMU 7.2 … 11.1, and the word that was taken for its value
 * could be an option itself.
 */
bool gmemArgvIsAmbiguous(const gmemArgvOption *option);

/**
 * gmemArgvFind:
 * @name: an option's name without dashes
 *
 * Returns how often the option occurs; *@first is its first occurrence.
 */
size_t gmemArgvFind(char *const argv[], const char *name, gmemArgvOption *first);

/* gmemArgvMakesMemory: whether the option creates guest memory, or may do so: a memory backend, a
 * device or a machine that uses one, or an option that changes the properties of others. */
bool gmemArgvMakesMemory(const gmemArgvOption *option);

/* gmemArgvHash: a hash of the option's name and value (FNV-1a), to compare options by. It detects
 * mistakes, not attacks. */
uint64_t gmemArgvHash(const gmemArgvOption *option);
