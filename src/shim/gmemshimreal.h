/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimreal.h: one table of the functions of libc that the shim interposes, bound once; and the
 * creation of a guest_memfd with them. */
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

/* The pointers are atomic because the first threads all write them, with the same values. */
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
 * Returns the table, bound. Can be called before any constructor has run, and from any thread. The
 * first calls use dlsym() and are not async-signal-safe, so a constructor makes one. Preserves
 * errno. Ends the process if libc lacks one of the functions, because nothing could be passed on.
 */
gmemShimRealTable *gmemShimReal(void);

/**
 * gmemShimRealGuestMemfd:
 * @vm: KVM's VM descriptor
 * @size: bytes
 * @flags: GUEST_MEMFD_FLAG_…
 *
 * Creates a guest_memfd that is close-on-exec, for which KVM has no flag.
 *
 * Returns the descriptor, which the caller has to close, or -1 with errno.
 */
int gmemShimRealGuestMemfd(int vm, uint64_t size, uint64_t flags);
