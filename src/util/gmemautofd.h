/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemautofd.h: a descriptor that is closed at the end of a block, however the block is left. The
 * shim uses it, too, so it only requires libc. GLib has g_autofd since 2.76. */
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

/* gmemAutoFDSteal: returns the descriptor, which the caller then has to close. */
static inline int
gmemAutoFDSteal(int *fd)
{
    const int stolen = *fd;

    *fd = -1;
    return stolen;
}

/* The type of such a descriptor; -1 if there is none. Preserves errno. */
#define GMEM_AUTO_FD __attribute__((cleanup(gmemAutoFDClose))) int
