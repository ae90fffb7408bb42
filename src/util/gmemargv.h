/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemargv.h: reads QEMU's command line the way QEMU does: option by option, each with its value.
 *
 * Shared by the driver and the shim: only libc, no allocation, no lock. Searching argv for a string
 * would take the value of another option ("-append -x-libvirt-gmem") for an option. */
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
 * @option: the option found
 *
 * Returns false at the end. An option that QEMU does not know counts as one that takes a value, as
 * ours does. Which options take none was read off `qemu-system-x86_64 -help` of 7.2 … 11.1 and the
 * older options that help no longer lists; a test compares with the installed QEMU.
 */
bool gmemArgvNext(char *const argv[], size_t *position, gmemArgvOption *option);

/**
 * gmemArgvIsAmbiguous:
 *
 * Whether @option is none of those that QEMU 7.2 … 11.1 has, and the word that was taken for its
 * value could be an option itself.
 */
bool gmemArgvIsAmbiguous(const gmemArgvOption *option);

/**
 * gmemArgvFind:
 * @name: an option's name without dashes
 *
 * Returns how often the option occurs; *@first is its first occurrence.
 */
size_t gmemArgvFind(char *const argv[], const char *name, gmemArgvOption *first);

/* gmemArgvMakesMemory: whether the option makes memory of the guest's, or may: a memory backend, a
 * device or a machine that uses one, or what changes others' properties. */
bool gmemArgvMakesMemory(const gmemArgvOption *option);

/* gmemArgvHash: a number for name and value of the option, to compare by (FNV-1a): against
 * mistakes, not against attackers. */
uint64_t gmemArgvHash(const gmemArgvOption *option);
