/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemprocess.c: what kind of process the library was loaded into, and where it was loaded from.
 *
 * LD_PRELOAD and this library. A daemon runs helpers and emulators in plenty, none of which may
 * have the library mapped, so in a daemon our entry leaves the environment as soon as the library
 * is there. In any other process it stays: `timeout 60 python3 …` hands it on to python3 by an
 * execve of its own, and a client may spawn a session daemon. There, only the children that libvirt
 * itself makes are kept clean (gmemexec.c). Only our own entries are ever taken out. */

#include "gmemprocess.h"

#include <dlfcn.h>
#include <errno.h>
#include <glib.h>
#include <limits.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "gmemi18n.h"
#include "gmemprobe.h"
#include "gmemreal.h"

#define GMEM_LIBRARY_NAME "libvirt-gmem.so"
#define GMEM_SHIM_NAME "qemu-gmem.so"
#define GMEM_VHOST_USER_NAME "vhost-user-gmem.so"
#define GMEM_DRIVER_IN_BUILD_TREE "/src/driver"

/* Everything here is written by the constructor and only read afterwards. */
static struct {
    bool daemon;
    char shim[PATH_MAX];
    char vhostUser[PATH_MAX];
    uintptr_t libvirtStart;
    uintptr_t libvirtEnd;
} gmemProcess;

/* Of this thread's call, for the child that libvirt forks off it. */
static __thread bool gmemProcessOrdinary;

static bool
gmemProcessIsOurEntry(const char *entry, size_t length)
{
    static const char *const names[] = {GMEM_LIBRARY_NAME, GMEM_SHIM_NAME, GMEM_VHOST_USER_NAME};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(names); i++) {
        size_t n = strlen(names[i]);

        if (length >= n && strncmp(entry + length - n, names[i], n) == 0 &&
            (length == n || entry[length - n - 1] == '/'))
            return true;
    }
    return false;
}

char *
gmemProcessPreloadWithout(const char *value)
{
    char *rest = g_malloc(strlen(value) + 1);
    char *end = rest;
    bool found = false;

    while (*value != '\0') {
        size_t length = strcspn(value, ": ");

        if (gmemProcessIsOurEntry(value, length)) {
            found = true;
            value += length;
            if (*value != '\0')
                value++;
            else if (end > rest)
                end--; /* the separator before the last entry */
        } else {
            if (value[length] != '\0')
                length++;
            memcpy(end, value, length);
            end += length;
            value += length;
        }
    }
    *end = '\0';
    if (!found) {
        g_free(rest);
        return NULL;
    }
    return rest;
}

static int
gmemProcessFindLibvirt(struct dl_phdr_info *info,
                       size_t size G_GNUC_UNUSED,
                       void *data G_GNUC_UNUSED)
{
    const char *name = strrchr(info->dlpi_name, '/');
    int i;

    if (strcmp(name != NULL ? name + 1 : info->dlpi_name, "libvirt.so.0") != 0)
        return 0;
    for (i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
            gmemProcess.libvirtStart = start;
            gmemProcess.libvirtEnd = start + info->dlpi_phdr[i].p_memsz;
        }
    }
    return 1;
}

static bool
gmemProcessFindDaemon(void)
{
    static const char *const daemons[] = {"libvirtd", "virtqemud"};
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    const char *name;
    size_t i;

    if (length < 0)
        return false;
    path[length] = '\0';
    name = strrchr(path, '/');
    name = name != NULL ? name + 1 : path;
    for (i = 0; i < G_N_ELEMENTS(daemons); i++) {
        if (strcmp(name, daemons[i]) == 0)
            return true;
    }
    return false;
}

/* The absolute path of another of the project's libraries, @name: in the subdirectory @source of
 * the build tree where this library was loaded out of one, else where it is @installed. */
static void
gmemProcessFindLibrary(const char *source,
                       const char *name,
                       const char *installed,
                       char found[PATH_MAX])
{
    char path[PATH_MAX];
    Dl_info info;
    char *slash;

    g_snprintf(found, PATH_MAX, "%s/%s", installed, name);
    if (dladdr(&gmemProcess, &info) == 0 || realpath(info.dli_fname, path) == NULL)
        return;
    slash = strrchr(path, '/');
    *slash = '\0';
    if (g_str_has_suffix(path, GMEM_DRIVER_IN_BUILD_TREE)) {
        slash = strrchr(path, '/');
        if (snprintf(found, PATH_MAX, "%.*s/%s/%s", (int)(slash - path), path, source, name) >=
            PATH_MAX)
            found[0] = '\0';
    }
}

static void
gmemProcessLeaveEnvironment(void)
{
    const char *value = getenv("LD_PRELOAD");
    g_autofree char *rest = value != NULL ? gmemProcessPreloadWithout(value) : NULL;

    if (rest == NULL)
        return;
    if (rest[0] != '\0')
        setenv("LD_PRELOAD", rest, 1);
    else
        unsetenv("LD_PRELOAD");
}

/* Runs before main() of whatever process this is, and keeps to libc: no glib type system, no
 * libvirt. The first of this library's constructors (0 to 100 are the C library's), for others ask
 * what kind of process this is. */
__attribute__((constructor(101))) static void
gmemProcessInit(void)
{
    int saved = errno;

    gmemProcess.daemon = gmemProcessFindDaemon();
    gmemProcessFindLibrary("shim", GMEM_SHIM_NAME, GMEM_SHIM_DIRECTORY, gmemProcess.shim);
    gmemProbeSetShim(gmemProcess.shim);
    gmemProcessFindLibrary("vhostuser", GMEM_VHOST_USER_NAME, GMEM_SHIM_DIRECTORY,
                           gmemProcess.vhostUser);
    dl_iterate_phdr(gmemProcessFindLibvirt, NULL);
    bindtextdomain(GMEM_TEXT_DOMAIN, GMEM_LOCALEDIR);
    if (gmemReal()->virSetError == NULL) {
        dprintf(STDERR_FILENO, "libvirt-gmem: this libvirt has no virSetError: domains with "
                               "private memory cannot be served\n");
        /* A daemon that cannot say why it refuses does not start; a client is not ours to end. */
        if (gmemProcess.daemon)
            _exit(EXIT_FAILURE);
    }
    if (gmemProcess.daemon)
        gmemProcessLeaveEnvironment();
    errno = saved;
}

bool
gmemProcessIsDaemon(void)
{
    return gmemProcess.daemon;
}

const char *
gmemProcessShimPath(void)
{
    return gmemProcess.shim;
}

const char *
gmemProcessVhostUserPath(void)
{
    return gmemProcess.vhostUser;
}

void
gmemProcessSetStartsOrdinary(bool ordinary)
{
    gmemProcessOrdinary = ordinary;
}

bool
gmemProcessStartsOrdinary(void)
{
    return gmemProcessOrdinary;
}

bool
gmemProcessCallerIsLibvirt(const void *address)
{
    uintptr_t caller = (uintptr_t)address;

    return caller >= gmemProcess.libvirtStart && caller < gmemProcess.libvirtEnd;
}

bool
gmemProcessPreloadIsOurs(void)
{
    const char *value = getenv("LD_PRELOAD");
    g_autofree char *rest = value != NULL ? gmemProcessPreloadWithout(value) : NULL;

    return rest != NULL && rest[0] == '\0';
}
