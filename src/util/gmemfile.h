/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemfile.h: reads files that others have put in their places, without waiting for anybody, and
 * not more than was intended. */
#pragma once

#include <stddef.h>

/* An "errno" of these functions: the path does not lead to a regular file. */
#define GMEM_FILE_NOT_REGULAR (-1)

/* The most that is read of the XML in a file of libvirt's, in bytes: four times as much as a client
 * can send. */
#define GMEM_FILE_XML_MAX ((size_t)16 * 1024 * 1024)

/**
 * gmemFileOpen:
 * @path: followed if it is a symbolic link
 * @why: out: if there is no descriptor: an errno, or GMEM_FILE_NOT_REGULAR
 *
 * Opens a regular file for reading; anything else, such as a FIFO or a device, is not opened.
 * Returns the descriptor, which the caller has to close, or -1. Like everything in this file, it
 * takes no lock.
 */
int gmemFileOpen(const char *path, int *why);

/**
 * gmemFileRead:
 * @fd: a regular file
 * @max: the maximum size of the file, in bytes
 * @why: out: if NULL is returned: an errno; EFBIG if the file is larger, EILSEQ if it contains a
 * NUL, because nothing would look at what follows
 *
 * Returns the contents of the file, NUL-terminated, to be freed with g_free(), or NULL.
 */
char *gmemFileRead(int fd, size_t max, int *why);

/**
 * gmemFileLoad:
 * @max, @why: as above; *@why is 0 if the file does not exist
 *
 * Opens, reads and closes the file.
 */
char *gmemFileLoad(const char *path, size_t max, int *why);

/* gmemFileReason: the text for @why of the functions above. */
const char *gmemFileReason(int why);
