/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnative.h: the command line as text, which is what domxml-to-native gives. */
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
 * @native: environment and arguments as stock libvirt wrote them for a shell; has to outlive @words
 * @words: out: NULL where the command line does not have the carrier option
 * @error: VIR_ERR_INTERNAL_ERROR where it may have, and cannot be read
 *
 * Returns 0, or -1 with @error.
 */
int gmemNativeRead(const char *native, gmemNative **words, GError **error);

/**
 * gmemNativeBuild:
 * @words: as read above
 * @caps: what QEMU offers
 * @shim: path of qemu-gmem.so, shown as a preload where QEMU will require it
 * @error: as gmemCommandBuild()
 *
 * Returns the command line that QEMU would really get, in the same form; words that stay are the
 * same bytes. Free with g_free().
 */
char *gmemNativeBuild(const gmemNative *words,
                      const gmemQEMUCaps *caps,
                      const char *shim,
                      GError **error);

/**
 * gmemNativeDropPreload:
 *
 * libvirt shows LD_PRELOAD of its own process, which in an embedding client names this library; a
 * start would remove that (gmemexec.c). Takes it out of @native, in place: that becomes no longer.
 */
void gmemNativeDropPreload(char *native);
