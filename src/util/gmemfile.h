/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemfile.h: reads files that others put where they are: without waiting for anybody, and no more
 * than what was meant. */
#pragma once

#include <stddef.h>

/* An "errno" of the functions here: what is there is not a regular file. */
#define GMEM_FILE_NOT_REGULAR (-1)

/**
 * gmemFileOpen:
 * @path: followed where it is a symbolic link
 * @why: out: where there is no descriptor: an errno, or GMEM_FILE_NOT_REGULAR
 *
 * Opens a regular file for reading; anything else, such as a FIFO or a device, is not opened.
 * Returns the descriptor, the caller's, or -1. Takes no lock, as all of this file.
 */
int gmemFileOpen(const char *path, int *why);

/**
 * gmemFileRead:
 * @fd: a regular file
 * @max: bytes that it may have
 * @why: out: where nothing is returned: an errno; EFBIG where there is more, EILSEQ where there is
 * a NUL, after which nobody would look
 *
 * Returns what is in the file, with a NUL after it, to be freed with g_free(); or NULL.
 */
char *gmemFileRead(int fd, size_t max, int *why);

/**
 * gmemFileLoad:
 * @max, @why: as above; 0 in @why where there is no file
 *
 * Opens, reads and closes.
 */
char *gmemFileLoad(const char *path, size_t max, int *why);

/* gmemFileReason: the text for @why of the functions above. */
const char *gmemFileReason(int why);
