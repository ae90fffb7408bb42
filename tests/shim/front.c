/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* front.c: is preloaded in front of the shim: a tracer that passes calls on as it should, except
 * for the function that GMEM_TEST_FRONT names, for which it makes the system call itself. */

#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FRONT __attribute__((visibility("default")))

long mbind(void *base,
           unsigned long size,
           int policy,
           const unsigned long *nodes,
           unsigned long maxNode,
           unsigned int flags);

static long
go(const char *name, long number, long a, long b, long c, long d, long e, long f)
{
    const char *own = getenv("GMEM_TEST_FRONT");
    long (*next)(long, long, long, long, long, long);

    if (own != NULL && strcmp(own, name) == 0)
        return syscall(number, a, b, c, d, e, f);
    next = (long (*)(long, long, long, long, long, long))dlsym(RTLD_NEXT, name);
    return next(a, b, c, d, e, f);
}

#define FRONT_VARIADIC(name, type, number)                                                         \
    FRONT int name(int fd, type request, ...)                                                      \
    {                                                                                              \
        va_list args;                                                                              \
        long argument;                                                                             \
                                                                                                   \
        va_start(args, request);                                                                   \
        argument = va_arg(args, long);                                                             \
        va_end(args);                                                                              \
        return (int)go(#name, number, fd, (long)request, argument, 0, 0, 0);                       \
    }

FRONT_VARIADIC(ioctl, unsigned long, SYS_ioctl)
FRONT_VARIADIC(fcntl, int, SYS_fcntl)
FRONT_VARIADIC(fcntl64, int, SYS_fcntl)

FRONT int
memfd_create(const char *name, unsigned int flags)
{
    return (int)go("memfd_create", SYS_memfd_create, (long)name, flags, 0, 0, 0, 0);
}

FRONT int
ftruncate(int fd, off_t size)
{
    return (int)go("ftruncate", SYS_ftruncate, fd, size, 0, 0, 0, 0);
}

FRONT int
ftruncate64(int fd, off64_t size)
{
    return (int)go("ftruncate64", SYS_ftruncate, fd, size, 0, 0, 0, 0);
}

FRONT void *
mmap(void *base, size_t size, int protection, int flags, int fd, off_t offset)
{
    return (void *)go("mmap", SYS_mmap, (long)base, (long)size, protection, flags, fd, offset);
}

FRONT void *
mmap64(void *base, size_t size, int protection, int flags, int fd, off64_t offset)
{
    return (void *)go("mmap64", SYS_mmap, (long)base, (long)size, protection, flags, fd, offset);
}

FRONT int
madvise(void *base, size_t size, int advice)
{
    return (int)go("madvise", SYS_madvise, (long)base, (long)size, advice, 0, 0, 0);
}

FRONT long
mbind(void *base,
      unsigned long size,
      int policy,
      const unsigned long *nodes,
      unsigned long maxNode,
      unsigned int flags)
{
    return go("mbind", SYS_mbind, (long)base, (long)size, policy, (long)nodes, (long)maxNode,
              flags);
}
