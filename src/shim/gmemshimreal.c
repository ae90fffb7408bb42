/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimreal.c: one table of the functions of libc that the shim interposes, bound once; and the
 * creation of a guest_memfd with them. */

#include "gmemshimreal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "gmemkvmabi.h"
#include "gmemautofd.h"
#include "gmemshimerrno.h"
#include "gmemshimreport.h"

static gmemShimRealTable gmemShimRealFunctions;
static atomic_bool gmemShimRealBound;

static void *
gmemShimRealFind(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    if (function == NULL) {
        gmemShimReport("cannot find the C library's %s", name);
        _exit(EXIT_FAILURE);
    }
    return function;
}

static void
gmemShimRealBind(void)
{
    gmemShimRealTable *real = &gmemShimRealFunctions;
    GMEM_SHIM_KEEP_ERRNO;

    real->startMain = (gmemShimStartMain *)gmemShimRealFind("__libc_start_main");
    real->ioctl = (gmemShimIoctl *)gmemShimRealFind("ioctl");
    real->memfdCreate = (gmemShimMemfdCreate *)gmemShimRealFind("memfd_create");
    real->ftruncate = (gmemShimFtruncate *)gmemShimRealFind("ftruncate");
    real->ftruncate64 = (gmemShimFtruncate *)gmemShimRealFind("ftruncate64");
    real->fcntl = (gmemShimFcntl *)gmemShimRealFind("fcntl");
    real->fcntl64 = (gmemShimFcntl *)gmemShimRealFind("fcntl64");
    real->mmap = (gmemShimMmap *)gmemShimRealFind("mmap");
    real->madvise = (gmemShimMadvise *)gmemShimRealFind("madvise");
    atomic_store_explicit(&gmemShimRealBound, true, memory_order_release);
}

/* Otherwise the table could be bound inside a signal handler, or between fork and exec. */
__attribute__((constructor)) static void
gmemShimRealConstruct(void)
{
    gmemShimReal();
}

gmemShimRealTable *
gmemShimReal(void)
{
    if (!atomic_load_explicit(&gmemShimRealBound, memory_order_acquire))
        gmemShimRealBind();
    return &gmemShimRealFunctions;
}

int
gmemShimRealGuestMemfd(int vm, uint64_t size, uint64_t flags)
{
    struct gmemKVMCreateGuestMemfd argument = {.size = size, .flags = flags};
    gmemShimRealTable *real = gmemShimReal();
    GMEM_AUTO_FD fd = real->ioctl(vm, GMEM_KVM_CREATE_GUEST_MEMFD, &argument);

    if (fd >= 0 && real->fcntl(fd, F_SETFD, (void *)FD_CLOEXEC) < 0)
        return -1;
    return gmemAutoFDSteal(&fd);
}
