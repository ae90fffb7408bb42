/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kill-at.c: is preloaded into libvirtd, and kills it at one of the steps that change what others
 * see: files are created, replaced or removed, processes are created. It uses SIGKILL, like the
 * kernel when it is out of memory.
 *
 * GMEM_TEST_KILL names a file with the number of steps that are left; without a number nothing
 * happens. A step of a child that has not called exec yet counts as the daemon's. */

#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define EXPORT __attribute__((visibility("default")))

static pid_t daemonPid;

__attribute__((constructor)) static void
begin(void)
{
    daemonPid = getpid();
}

static void
step(void)
{
    const char *path = getenv("GMEM_TEST_KILL");
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    int fd = path != NULL ? real(path, O_RDWR | O_CLOEXEC) : -1;
    char text[32] = "";
    long left;

    if (fd < 0)
        return;
    if (pread(fd, text, sizeof(text) - 1, 0) > 0 && (left = strtol(text, NULL, 10)) > 0) {
        if (left == 1)
            kill(daemonPid, SIGKILL);
        snprintf(text, sizeof(text), "%-20ld", left - 1);
        if (pwrite(fd, text, strlen(text), 0) < 0)
            abort();
    }
    close(fd);
}

EXPORT int
rename(const char *from, const char *to)
{
    step();
    return REAL(rename)(from, to);
}

EXPORT int
unlink(const char *path)
{
    step();
    return REAL(unlink)(path);
}

EXPORT int
mkdir(const char *path, mode_t mode)
{
    int (*real)(const char *, mode_t) = REAL(mkdir);

    step();
    return real(path, mode);
}

EXPORT pid_t
fork(void)
{
    step();
    return REAL(fork)();
}

static int
openAs(const char *name, const char *path, int flags, mode_t mode)
{
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);

    if ((flags & O_CREAT) != 0)
        step();
    return real(path, flags, mode);
}

#define OPEN(name)                                                                                 \
    EXPORT int name(const char *path, int flags, ...)                                              \
    {                                                                                              \
        va_list args;                                                                              \
        mode_t mode;                                                                               \
                                                                                                   \
        va_start(args, flags);                                                                     \
        mode = va_arg(args, mode_t);                                                               \
        va_end(args);                                                                              \
        return openAs(#name, path, flags, mode);                                                   \
    }

OPEN(open)
OPEN(open64)
