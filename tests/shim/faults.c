/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* faults.c: is preloaded after the shim, and imitates kernels that refuse guest_memfd.
 *
 * The shim's ioctl goes on to this one. GMEM_TEST_FAULTS is a comma-separated list of
 *
 *   create=ERRNO   KVM_CREATE_GUEST_MEMFD fails with this number, as on a kernel older than 6.8
 *                  (ENOTTY), on one that does not know a flag (EINVAL), without memory (ENOMEM)
 *   after=N        but works the first N times
 *   cap=N          KVM_CAP_GUEST_MEMFD is answered with N: 0 on a kernel built without it
 *   flags=N        KVM_CAP_GUEST_MEMFD_FLAGS is answered with N: 0 before Linux 6.18
 *
 * Its constructor runs before the shim's, and calls through it, as any preloaded library might. */

#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "../standin/ioctl.h"
#include "../standin/listed.h"
#include "gmemkvmabi.h"

#define STRANGE_ERRNO 4242

static atomic_int created;

static int
fault(const char *name)
{
    return listed("GMEM_TEST_FAULTS", name);
}

static int
answer(Ioctl real, int fd, unsigned long request, void *argument)
{
    int number = -1;

    if (request == GMEM_KVM_CREATE_GUEST_MEMFD) {
        const int error = fault("create");

        if (error > 0 && atomic_fetch_add(&created, 1) >= fault("after")) {
            errno = error;
            return -1;
        }
    }
    if (request == KVM_CHECK_EXTENSION && argument == (void *)KVM_CAP_GUEST_MEMFD)
        number = fault("cap");
    if (request == KVM_CHECK_EXTENSION && argument == (void *)KVM_CAP_GUEST_MEMFD_FLAGS)
        number = fault("flags");
    return number >= 0 ? number : real(fd, request, argument);
}

__attribute__((constructor)) static void
early(void)
{
    int flags;

    errno = STRANGE_ERRNO;
    flags = fcntl(STDERR_FILENO, F_GETFL);
    if (flags < 0 || errno != STRANGE_ERRNO)
        dprintf(STDERR_FILENO, "faults: fcntl before constructors: %d, errno %d\n", flags, errno);
    else
        dprintf(STDERR_FILENO, "faults: loaded\n");
}
