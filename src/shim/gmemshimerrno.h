/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimerrno.h: restores errno at the end of a block, however the block is left. */
#pragma once

#include <errno.h>

static inline void
gmemShimErrnoRestore(const int *saved)
{
    errno = *saved;
}

/* To be used once in a block, before any lock is taken there. */
#define GMEM_SHIM_KEEP_ERRNO                                                                       \
    __attribute__((cleanup(gmemShimErrnoRestore), unused)) const int savedErrno = errno
