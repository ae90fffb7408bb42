/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcapscache.h: what was found out about QEMU binaries, on disk and in memory.
 *
 * On disk: a file a binary, named after the SHA-256 of its path, readable by all, writable by
 * root; keyed inside by path, mtime, size, kernel release and the build that wrote it. In memory:
 * an immutable table behind an atomic pointer, swapped whole after each probe, so that the child
 * between fork and exec reads it without a lock that another thread might have held at the fork. */
#pragma once

#include <glib.h>

#include "gmemcapabilities.h"
#include "gmemprobe.h"

/**
 * gmemCapsCacheInit:
 * @directory: where the files go; made (0755) when the first one is written; NULL: memory only
 * @config: libvirt's qemu.conf, which names the user to probe as (see gmemQEMUConfGetUser)
 *
 * Once per process and directory; a second call with the same arguments does nothing, with others
 * it switches. Thread-safe.
 */
void gmemCapsCacheInit(const char *directory, const char *config);

/**
 * gmemCapsCacheLookup:
 * @emulator: absolute path
 * @error: as gmemProbe(), plus VIR_ERR_CONFIG_UNSUPPORTED: no such file, not executable
 *
 * Memory, else disk, else probe (and then store). A result that is an error is never stored. Two
 * threads or daemons that miss at once may both probe; the files are replaced atomically.
 *
 * Returns a copy, to be freed with gmemQEMUCapsFree().
 */
gmemQEMUCaps *gmemCapsCacheLookup(const char *emulator, GError **error);

/**
 * gmemCapsCacheLookupInChild:
 *
 * The same for the child between fork and exec: memory, else disk, else a probe as whoever the
 * child already is; takes no lock and writes nothing.
 */
gmemQEMUCaps *gmemCapsCacheLookupInChild(const char *emulator, GError **error);
