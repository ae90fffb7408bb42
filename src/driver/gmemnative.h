/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnative.h: the command line as text, which is what domxml-to-native gives. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemcapabilities.h"

/**
 * gmemNativeHasPair:
 * @native: environment and arguments as stock libvirt wrote them for a shell
 *
 * Returns whether the command line has the carrier option, or cannot be read at all.
 */
bool gmemNativeHasPair(const char *native);

/**
 * gmemNativeBuild:
 * @native: as above
 * @caps: what QEMU offers
 * @shim: path of qemu-gmem.so, shown as a preload where QEMU will require it
 * @error: as gmemCommandBuild()
 *
 * Returns the command line that QEMU would really get, in the same form; words that stay are the
 * same bytes. Free with g_free().
 */
char *
gmemNativeBuild(const char *native, const gmemQEMUCaps *caps, const char *shim, GError **error);

/**
 * gmemNativeWithoutPreload:
 *
 * libvirt shows LD_PRELOAD of its own process, which in an embedding client names this library; a
 * start would remove that (gmemexec.c). Returns @native without it, to be freed with g_free(), or
 * NULL where nothing has to change.
 */
char *gmemNativeWithoutPreload(const char *native);
