/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcapscache.h: the capabilities of QEMU binaries, cached on disk and in memory.
 *
 * On disk there is a file for each binary, named after the SHA-256 of its path, readable by all,
 * writable by its owner, and valid for the binary as it is and for the build that wrote it. In
 * memory there is an immutable table behind an atomic pointer, which is replaced as a whole after
 * each probe, so that the child between fork and exec reads it without a lock that another thread
 * might have held at the fork. gmemcapscache.c says what an entry depends on. */
#pragma once

#include <glib.h>

#include "gmemcapabilities.h"

/**
 * gmemCapsCacheInit:
 * @directory: where the files are; created (0755) when the first one is written; NULL: memory only
 * @config: libvirt's qemu.conf, which names the user to probe as (see gmemQEMUConfGetUser)
 *
 * To be called once per process and directory. A second call with the same arguments does nothing;
 * with others it switches. Thread-safe.
 */
void gmemCapsCacheInit(const char *directory, const char *config);

/**
 * gmemCapsCacheLookup:
 * @emulator: absolute path
 * @error: as gmemProbe(), plus VIR_ERR_CONFIG_UNSUPPORTED: no such file, not executable
 *
 * Looks in memory, then on disk, and otherwise probes the emulator and stores the result, unless it
 * is an error. Two threads or daemons may both probe at the same time; the files are replaced
 * atomically.
 *
 * Returns a copy, to be freed with gmemQEMUCapsFree().
 */
gmemQEMUCaps *gmemCapsCacheLookup(const char *emulator, GError **error);

/**
 * gmemCapsCacheLookupInChild:
 *
 * The same for the child between fork and exec: looks in memory, then on disk, and otherwise probes
 * the emulator as the user that the child already is. Takes no lock and writes nothing.
 */
gmemQEMUCaps *gmemCapsCacheLookupInChild(const char *emulator, GError **error);
