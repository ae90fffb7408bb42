/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmempreload.h: the libraries of this project that are preloaded, their paths, and the programs
 * into which they are preloaded. */
#pragma once

#include <stdbool.h>

#include "gmempreloadlist.h"

/* The text that the library has in each daemon's memory, and log, before its version;
 * NUL-terminated. */
#define GMEM_PRELOAD_VERSION "libvirt-gmem is in this daemon, version "

/**
 * gmemPreloadFind:
 * @self: the file of this project that asks, absolute and without symbolic links
 * @inTree: the directory of a build tree that contains @self, if it is in one
 *
 * Returns the absolute path of @library: in the build tree that contains @self, in which case an
 * installed one is never used, otherwise where it is installed. Free with g_free().
 */
char *gmemPreloadFind(gmemPreloadLibrary library, const char *self, const char *inTree);

/**
 * gmemPreloadWithout:
 * @value: a value of LD_PRELOAD: entries separated by ':' or ' '
 *
 * Returns @value without the entries that are libraries of this project, to be freed with g_free(),
 * or NULL if there are none, so that nothing has to be changed. Takes no lock.
 */
char *gmemPreloadWithout(const char *value);

/* gmemPreloadIsDaemon: whether @name, without a path, is the name of a daemon with libvirt's QEMU
 * driver. */
bool gmemPreloadIsDaemon(const char *name);
