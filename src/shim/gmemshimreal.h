/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimreal.h: the functions of libc that the shim stands in front of: one table, bound once;
 * and a guest_memfd by them. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

typedef int gmemShimMain(int argc, char **argv, char **envp);
typedef int gmemShimStartMain(gmemShimMain *main,
                              int argc,
                              char **argv,
                              void (*init)(void),
                              void (*fini)(void),
                              void (*rtldFini)(void),
                              void *stackEnd);
typedef int gmemShimIoctl(int fd, unsigned long request, ...);
typedef int gmemShimMemfdCreate(const char *name, unsigned int flags);
typedef int gmemShimFtruncate(int fd, off_t length);
typedef int gmemShimFcntl(int fd, int command, ...);
typedef void *
gmemShimMmap(void *base, size_t size, int protection, int flags, int fd, off_t offset);
typedef int gmemShimMadvise(void *base, size_t size, int advice);

/* Pointers are atomic because the threads that come first all write them, and all the same. */
typedef struct {
    _Atomic(gmemShimStartMain *) startMain;
    _Atomic(gmemShimIoctl *) ioctl;
    _Atomic(gmemShimMemfdCreate *) memfdCreate;
    _Atomic(gmemShimFtruncate *) ftruncate;
    _Atomic(gmemShimFtruncate *) ftruncate64;
    _Atomic(gmemShimFcntl *) fcntl;
    _Atomic(gmemShimFcntl *) fcntl64;
    _Atomic(gmemShimMmap *) mmap; /* and mmap64: offsets have 64 bits here */
    _Atomic(gmemShimMadvise *) madvise;
} gmemShimRealTable;

/**
 * gmemShimReal:
 *
 * Returns the table, bound. May be called before any constructor ran and from any thread; the first
 * calls use dlsym() and are not async-signal-safe, which is why a constructor makes one. Keeps
 * errno. Ends the process where libc lacks one of the functions: nothing could be forwarded.
 */
gmemShimRealTable *gmemShimReal(void);

/**
 * gmemShimRealGuestMemfd:
 * @vm: KVM's VM descriptor.
 * @size: bytes.
 * @flags: GUEST_MEMFD_FLAG_…
 *
 * Makes a guest_memfd that is close-on-exec, which KVM has no flag for.
 *
 * Returns the descriptor, the caller's, or -1 with errno.
 */
int gmemShimRealGuestMemfd(int vm, uint64_t size, uint64_t flags);
