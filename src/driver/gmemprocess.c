/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemprocess.c: the kind of process into which the library was loaded, and from where it was
 * loaded.
 *
 * A daemon runs many helpers and emulators, none of which may have the library mapped. So in a
 * daemon our entry is removed from LD_PRELOAD as soon as the library is loaded. In any other
 * process it stays: `timeout 60 python3 …` passes it on to python3 by an execve of its own, and a
 * client may start a session daemon. There, only the children that libvirt itself makes are kept
 * clean (gmemexec.c). Only our own entries are ever removed. */

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
#include "gmemlog.h"
#include "gmempreload.h"
#include "gmemprobe.h"
#include "gmemreal.h"

/* The directory of a build tree that contains this library. */
#define GMEM_PROCESS_IN_TREE "src/driver"

/* Everything here is written by the constructor, and only read afterwards. */
static struct {
    bool daemon;
    char *shim;
    char *vhostUser;
    uintptr_t libvirtStart;
    uintptr_t libvirtEnd;
} gmemProcess;

/* virt-gmem also looks for this text in the daemon's memory. */
static const char gmemProcessVersion[] = GMEM_PRELOAD_VERSION PACKAGE_VERSION;

/* Set by this thread's call, for the child that libvirt forks off it. */
static __thread bool gmemProcessOrdinary;

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
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    const char *name;

    if (length < 0)
        return false;
    path[length] = '\0';
    name = strrchr(path, '/');
    return gmemPreloadIsDaemon(name != NULL ? name + 1 : path);
}

/* The absolute path of another library of this project, which depends on where this one was loaded
 * from. */
static char *
gmemProcessFindLibrary(gmemPreloadLibrary library)
{
    char path[PATH_MAX] = "";
    Dl_info info;

    if (dladdr(&gmemProcess, &info) == 0 || realpath(info.dli_fname, path) == NULL)
        path[0] = '\0';
    return gmemPreloadFind(library, path, GMEM_PROCESS_IN_TREE);
}

static void
gmemProcessLeaveEnvironment(void)
{
    const char *value = getenv("LD_PRELOAD");
    g_autofree char *rest = value != NULL ? gmemPreloadWithout(value) : NULL;

    if (rest == NULL)
        return;
    if (rest[0] != '\0')
        setenv("LD_PRELOAD", rest, 1);
    else
        unsetenv("LD_PRELOAD");
}

/* Runs before main() of any process, and only uses libc: no glib type system, no libvirt. It is the
 * first of this library's constructors (0 to 100 are the C library's), because others ask what kind
 * of process this is. */
__attribute__((constructor(101))) static void
gmemProcessInit(void)
{
    int saved = errno;

    gmemProcess.daemon = gmemProcessFindDaemon();
    gmemProcess.shim = gmemProcessFindLibrary(GMEM_PRELOAD_SHIM);
    gmemProbeSetShim(gmemProcess.shim);
    gmemProcess.vhostUser = gmemProcessFindLibrary(GMEM_PRELOAD_VHOST_USER);
    dl_iterate_phdr(gmemProcessFindLibvirt, NULL);
    bindtextdomain(GMEM_TEXT_DOMAIN, GMEM_LOCALEDIR);
    if (gmemReal()->virSetError == NULL) {
        dprintf(STDERR_FILENO, "libvirt-gmem: this libvirt has no virSetError: domains with "
                               "private memory cannot be served\n");
        /* A daemon that cannot report its refusals does not start; a client is not ours to end. */
        if (gmemProcess.daemon)
            _exit(EXIT_FAILURE);
    }
    if (gmemProcess.daemon) {
        gmemProcessLeaveEnvironment();
        gmemLog("%s", gmemProcessVersion);
    }
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

/* Called for the program only, which is the first object. Its string table has the names of the
 * functions that it refers to. */
static int
gmemProcessFindImport(struct dl_phdr_info *info, size_t size G_GNUC_UNUSED, void *data)
{
    const char *name = data;
    const ElfW(Dyn) *dynamic = NULL;
    uintptr_t strings = 0;
    size_t length = 0;
    int i;

    for (i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            dynamic = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    }
    for (; dynamic != NULL && dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == DT_STRTAB)
            strings = dynamic->d_un.d_ptr;
        else if (dynamic->d_tag == DT_STRSZ)
            length = dynamic->d_un.d_val;
    }
    /* ld.so may have relocated the address in place. */
    if (strings != 0 && strings < info->dlpi_addr)
        strings += info->dlpi_addr;
    return strings != 0 && memmem((const void *)strings, length, name, strlen(name) + 1) != NULL
               ? 1
               : -1;
}

bool
gmemProcessImports(const char *name)
{
    return dl_iterate_phdr(gmemProcessFindImport, (void *)name) == 1;
}

bool
gmemProcessPreloadIsOurs(void)
{
    const char *value = getenv("LD_PRELOAD");
    g_autofree char *rest = value != NULL ? gmemPreloadWithout(value) : NULL;

    return rest != NULL && rest[0] == '\0';
}
