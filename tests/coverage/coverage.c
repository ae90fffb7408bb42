/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* coverage.c: counters of lines that survive _exit() and execve(), in a tree with -Db_coverage.
 *
 * gcc's counters are written when a process exits. A child between fork and exec does not exit: it
 * ends in execve() or _exit(), and its lines would seem never to run. The linker puts these
 * functions in front of the two (--wrap), and in front of syscall(), for the emulator's probe. The
 * execve() that comes next after the library is looked up. src itself does not contain any of this.
 *
 * A process may belong to another user, or have its own root directory: the files exist already and
 * are writable for everybody (coverage.py). A process that does not find them does not write
 * anything, because libgcov would report that on stderr, which tests read. */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Functions of libgcov's. */
void __gcov_dump(void);
void __gcov_reset(void);
void __real___gcov_exit(void);
void __wrap___gcov_exit(void);

/* Functions of libc's, and those that stand in front of them. */
void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));
void *__real_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

static int (*coverageExecve)(const char *path, char *const argv[], char *const envp[]);

static int
coverageIsWritable(void)
{
    return faccessat(AT_FDCWD, GMEM_COVERAGE_MARK, W_OK, AT_EACCESS) == 0;
}

/* Once the counts are written they start again from zero, because libgcov adds to the files. */
static void
coverageDump(void)
{
    const int saved = errno;

    if (coverageIsWritable())
        __gcov_dump();
    __gcov_reset();
    errno = saved;
}

/* At the end of each object. */
void
__wrap___gcov_exit(void)
{
    if (coverageIsWritable())
        __real___gcov_exit();
}

void
__wrap__exit(int status)
{
    coverageDump();
    __real__exit(status);
}

long
__wrap_syscall(long number, ...)
{
    long a[6];
    va_list list;
    size_t i;

    va_start(list, number);
    for (i = 0; i < sizeof(a) / sizeof(*a); i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_execve)
        coverageDump();
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static int
coverageBeforeExecve(const char *path, char *const argv[], char *const envp[])
{
    coverageDump();
    return coverageExecve(path, argv, envp);
}

void *
__wrap_dlsym(void *handle, const char *name)
{
    void *function = __real_dlsym(handle, name);

    if (handle != RTLD_NEXT || strcmp(name, "execve") != 0)
        return function;
    coverageExecve = (__typeof__(coverageExecve))function;
    return (void *)coverageBeforeExecve;
}
