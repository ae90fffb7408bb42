/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemraised.h: how texts of libvirt's were raised, to raise the same texts again.
 *
 * Raising is a pure function of the text, and whoever monitors domains asks for the same texts
 * again and again. What is kept of one is not the text but a digest of 128 bits, keyed with random
 * bytes of this process so that nobody can look for two texts that share one, and the list of
 * changes. */
#pragma once

#include "gmemxml.h"

/**
 * gmemRaisedApply:
 *
 * Returns what @text was raised to, to be freed with g_free(); NULL where that is not known.
 * Thread-safe.
 */
char *gmemRaisedApply(const char *text);

/* gmemRaisedRemember: takes @patch over, which raises @text. Thread-safe. */
void gmemRaisedRemember(const char *text, gmemXMLPatch *patch);

/* gmemRaisedSize: bytes of memory that are in use; for tests. */
size_t gmemRaisedSize(void);

/* More than that is never in use. Some 20,000 domains: where there are more, all are forgotten each
 * time it is full, and raised as if they were new. */
#define GMEM_RAISED_SIZE_MAX (16U * 1024 * 1024)
