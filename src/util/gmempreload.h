/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmempreload.h: the libraries of this project that are preloaded, where they lie, and into what.
 */
#pragma once

#include <stdbool.h>

#include "gmempreloadlist.h"

/* What the library says in each daemon's memory, and log, in front of its version; NUL-terminated.
 */
#define GMEM_PRELOAD_VERSION "libvirt-gmem is in this daemon, version "

/**
 * gmemPreloadFind:
 * @self: the file of this project that asks, absolute and without symbolic links
 * @inTree: the directory of a build tree that @self lies in there
 *
 * Returns the absolute path of @library: in the build tree that @self lies in, which is not
 * completed from what is installed; else where it is installed. Free with g_free().
 */
char *gmemPreloadFind(gmemPreloadLibrary library, const char *self, const char *inTree);

/**
 * gmemPreloadWithout:
 * @value: a value of LD_PRELOAD: entries with ':' or ' ' between them
 *
 * Returns @value without the entries that are libraries of this project, to be freed with g_free();
 * NULL where there are none, and nothing has to change. Takes no lock.
 */
char *gmemPreloadWithout(const char *value);

/* gmemPreloadIsDaemon: whether @name, without a path, is that of a daemon that has libvirt's QEMU
 * driver. */
bool gmemPreloadIsDaemon(const char *name);
