/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemautofd.h: a descriptor that is closed at the end of a block, however that is left. For the
 * shim, too: nothing but libc. GLib has g_autofd since 2.76. */
#pragma once

#include <errno.h>
#include <unistd.h>

static inline void
gmemAutoFDClose(const int *fd)
{
    const int saved = errno;

    if (*fd >= 0)
        close(*fd);
    errno = saved;
}

/* gmemAutoFDSteal: the descriptor, which is the caller's to close from now on. */
static inline int
gmemAutoFDSteal(int *fd)
{
    const int stolen = *fd;

    *fd = -1;
    return stolen;
}

/* The type of such a descriptor; -1 is none. Keeps errno. */
#define GMEM_AUTO_FD __attribute__((cleanup(gmemAutoFDClose))) int
