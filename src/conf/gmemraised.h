/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemraised.h: remembers how texts from libvirt were raised, to raise the same texts again.
 *
 * Raising is a pure function of the text, and programs that monitor domains ask for the same texts
 * again and again. The cache does not have the text but a digest of 128 bits, keyed with random
 * bytes of this process so that nobody can look for two texts with the same digest, and the list of
 * changes. */
#pragma once

#include "gmemxml.h"

/**
 * gmemRaisedApply:
 *
 * Returns the raised form of @text, to be freed with g_free(), or NULL if it is not in the cache.
 * Thread-safe.
 */
char *gmemRaisedApply(const char *text);

/* gmemRaisedRemember: stores @patch, which raises @text, and takes ownership of it. Thread-safe. */
void gmemRaisedRemember(const char *text, gmemXMLPatch *patch);

/* gmemRaisedSize: the memory that the cache uses, in bytes; for tests. */
size_t gmemRaisedSize(void);

/* The limit of the cache's memory, sufficient for some 20,000 domains. With more domains, all
 * entries are dropped each time it is full, and texts are raised as if they were new. */
#define GMEM_RAISED_SIZE_MAX (16U * 1024 * 1024)
