/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemfile.c: reads files that others have put in their places.
 *
 * Also called in the child between fork and exec: it uses malloc, but takes no lock. */

#include "gmemfile.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemautofd.h"
#include "gmemi18n.h"

/* The number of bytes to read at once. */
#define GMEM_FILE_STEP (64 * 1024)

/* Opens the file behind @held, an O_PATH descriptor, for reading. Returns -1 with an errno in
 * *@why. */
static int
gmemFileOpenHeld(int held, int *why)
{
    char link[64];
    int fd;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", held);
    fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    /* ENOENT would be misleading: the file exists, but /proc does not. */
    if (fd < 0)
        *why = errno == ENOENT ? EIO : errno;
    return fd;
}

/* Opening some devices has an effect by itself: opening a watchdog starts it. */
int
gmemFileOpen(const char *path, int *why)
{
    GMEM_AUTO_FD held = open(path, O_PATH | O_CLOEXEC);
    struct stat file;
    int fd = -1;

    *why = held < 0 ? errno : 0;
    if (held < 0)
        return -1;
    if (fstat(held, &file) < 0)
        *why = errno;
    else if (!S_ISREG(file.st_mode))
        *why = GMEM_FILE_NOT_REGULAR;
    else
        fd = gmemFileOpenHeld(held, why);
    return fd;
}

char *
gmemFileRead(int fd, size_t max, int *why)
{
    size_t length = 0, size = 0;
    ssize_t got = 1;
    char *text = NULL;

    *why = 0;
    while (got != 0 && *why == 0) {
        if (length == size) {
            size = MIN(size > 0 ? 2 * size : GMEM_FILE_STEP, max + 1);
            text = g_realloc(text, size + 1);
        }
        got = read(fd, text + length, size - length);
        if (got > 0)
            length += (size_t)got;
        else if (got < 0 && errno != EINTR)
            *why = errno;
        if (length > max)
            *why = EFBIG;
    }
    text[length] = '\0';
    if (*why == 0 && strlen(text) < length)
        *why = EILSEQ;
    if (*why == 0)
        return text;
    g_free(text);
    return NULL;
}

char *
gmemFileLoad(const char *path, size_t max, int *why)
{
    GMEM_AUTO_FD fd = gmemFileOpen(path, why);

    if (fd < 0) {
        if (*why == ENOENT || *why == ENOTDIR)
            *why = 0;
        return NULL;
    }
    return gmemFileRead(fd, max, why);
}

const char *
gmemFileReason(int why)
{
    return why == GMEM_FILE_NOT_REGULAR ? _("it is not a regular file") : gmemI18nErrno(why);
}
