/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnative.h: the command line as text, as domxml-to-native returns it. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemcapabilities.h"

/* The words of a command line. */
typedef struct gmemNative gmemNative;

void gmemNativeFree(gmemNative *words);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemNative, gmemNativeFree)

/**
 * gmemNativeRead:
 * @native: environment and arguments as stock libvirt wrote them for a shell; must outlive @words
 * @words: out: NULL if the command line does not have the carrier option
 * @error: VIR_ERR_INTERNAL_ERROR if it may have the option, and cannot be read
 *
 * Returns 0, or -1 with @error.
 */
int gmemNativeRead(const char *native, gmemNative **words, GError **error);

/**
 * gmemNativeBuild:
 * @words: from gmemNativeRead()
 * @caps: what QEMU offers
 * @shim: path of qemu-gmem.so, which is shown as a preload if QEMU will require it
 * @error: as gmemCommandBuild()
 *
 * Returns the command line that QEMU would really get, in the same form; words that do not change
 * keep their bytes. Free with g_free().
 */
char *gmemNativeBuild(const gmemNative *words,
                      const gmemQEMUCaps *caps,
                      const char *shim,
                      GError **error);

/**
 * gmemNativeDropPreload:
 *
 * libvirt shows LD_PRELOAD of its own process, which in an embedding client names this library. A
 * start would remove that (gmemexec.c), so this removes it from @native, in place.
 */
void gmemNativeDropPreload(char *native);
