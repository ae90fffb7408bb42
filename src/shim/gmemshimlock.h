/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimlock.h: a lock that is held to the end of the block, however the block is left. */
#pragma once

#include <pthread.h>

static inline void
gmemShimLockRelease(pthread_mutex_t **lock)
{
    pthread_mutex_unlock(*lock);
}

/* To be used once in a function. @lock: the address of a mutex. */
#define GMEM_SHIM_LOCKED(lock)                                                                     \
    __attribute__((cleanup(gmemShimLockRelease))) pthread_mutex_t *locked = (lock);                \
    pthread_mutex_lock(locked)
