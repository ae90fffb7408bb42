/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimerrno.h: errno as it was, at the end of a block, however that is left. */
#pragma once

#include <errno.h>

static inline void
gmemShimErrnoRestore(const int *saved)
{
    errno = *saved;
}

/* Once in a block, before any lock is taken there. */
#define GMEM_SHIM_KEEP_ERRNO                                                                       \
    __attribute__((cleanup(gmemShimErrnoRestore), unused)) const int savedErrno = errno
