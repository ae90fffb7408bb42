/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtooldaemons.c: libvirt's daemons that run on this host, and which libvirt-gmem they have.
 *
 * Everything is read from /proc. The version that a daemon has is in a text of the library in the
 * daemon's memory, because the file may have been replaced: packages put a new file in its place
 * and leave the old one, without a name, to those that have it mapped. */

#include "config.h"

#include "gmemtool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemautofd.h"
#include "gmemi18n.h"
#include "gmempreload.h"

/* The library is a quarter of a MiB. */
#define GMEM_DAEMON_MAPPING_MAX (8 * 1024 * 1024)
#define GMEM_DAEMON_VERSION_MAX 32
#define GMEM_DAEMON_DELETED " (deleted)"

typedef struct {
    char *name;    /* for example "libvirtd (process 12)" */
    bool mapped;   /* the process has the library mapped */
    bool stale;    /* its file is not the one on disk any more */
    char *version; /* NULL: cannot be determined */
} gmemDaemon;

static void
daemonClear(gmemDaemon *process)
{
    g_free(process->name);
    g_free(process->version);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemDaemon, daemonClear)

/* The text of a file of process @pid in /proc, or NULL. Free with g_free(). */
static char *
readProcess(const char *pid, const char *file)
{
    g_autofree char *path = g_build_filename("/proc", pid, file, NULL);
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, NULL);
    return text;
}

/* Whether @pid is a daemon that runs QEMU. A daemon in a container, which also has a process number
 * here, is not one of this host's. */
static bool
isDaemon(const char *pid)
{
    g_autofree char *name = readProcess(pid, "comm");
    g_autofree char *status = readProcess(pid, "status");
    g_autofree char *number = g_strdup_printf("\nNSpid:\t%s\n", pid);

    return name != NULL && status != NULL && gmemPreloadIsDaemon(g_strchomp(name)) &&
           strstr(status, number) != NULL;
}

/* For messages. A daemon of a user other than root belongs to a session. Free with g_free(). */
static char *
nameDaemon(const char *pid)
{
    g_autofree char *name = readProcess(pid, "comm");
    g_autofree char *path = g_build_filename("/proc", pid, NULL);
    g_autofree char *user = NULL;
    struct stat owner;

    g_strchomp(name);
    if (stat(path, &owner) < 0 || owner.st_uid == 0)
        return g_strdup_printf(_("%1$s (process %2$s)"), name, pid);
    user = gmemToolUserName(owner.st_uid);
    return g_strdup_printf(_("%1$s (process %2$s, a session of %3$s)"), name, pid, user);
}

/* The text with the library's version somewhere between @start and @end in a process's memory, or
 * NULL. Free with g_free(). */
static char *
findVersion(const char *pid, uint64_t start, uint64_t end)
{
    g_autofree char *path = g_build_filename("/proc", pid, "mem", NULL);
    size_t length = MIN(end - start, GMEM_DAEMON_MAPPING_MAX);
    g_autofree char *memory = g_malloc(length);
    GMEM_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : pread(fd, memory, length, (off_t)start);
    const char *found =
        got < 0 ? NULL
                : memmem(memory, (size_t)got, GMEM_PRELOAD_VERSION, strlen(GMEM_PRELOAD_VERSION));
    size_t left;

    if (found == NULL)
        return NULL;
    found += strlen(GMEM_PRELOAD_VERSION);
    left = (size_t)(memory + got - found);
    return g_strndup(found, strnlen(found, MIN(left, GMEM_DAEMON_VERSION_MAX)));
}

/* Evaluates a line of /proc/PID/maps. */
static void
readMapping(const char *pid, char *line, gmemDaemon *process)
{
    uint64_t start, end, inode;
    struct stat file;
    char *path;
    int at = 0;

    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64 " %n", &start, &end, &inode,
               &at) != 3 ||
        at == 0)
        return;
    path = line + at;
    if (g_str_has_suffix(path, GMEM_DAEMON_DELETED)) {
        path[strlen(path) - strlen(GMEM_DAEMON_DELETED)] = '\0';
        inode = 0;
    }
    if (g_strcmp0(strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : NULL,
                  gmemPreloadListName(GMEM_PRELOAD_LIBRARY)) != 0)
        return;
    process->mapped = true;
    process->stale |= stat(path, &file) < 0 || file.st_ino != inode;
    if (process->version == NULL)
        process->version = findVersion(pid, start, end);
}

/* Returns the text about @process and sets *@good. Free with g_free(). */
static char *
describe(const gmemDaemon *process, const char *library, bool *good)
{
    const char *version = process->version != NULL ? process->version : _("unknown");

    *good = process->mapped && !process->stale;
    if (!process->mapped)
        return g_strdup_printf(_("%1$s runs without libvirt-gmem.so, and its domains have ordinary "
                                 "memory; restart it, with LD_PRELOAD=%2$s unless a drop-in of its "
                                 "unit sets that"),
                               process->name, library);
    if (process->stale)
        return g_strdup_printf(_("%1$s has version %2$s, whose file has been replaced or removed "
                                 "since; restart the daemon"),
                               process->name, version);
    return g_strdup_printf(_("%1$s has version %2$s"), process->name, version);
}

static char *
describeProcess(const char *pid, const char *library, bool *good)
{
    g_auto(gmemDaemon) process = {.name = nameDaemon(pid)};
    g_autofree char *maps = readProcess(pid, "maps");
    char *rest = maps;
    char *line;

    if (maps == NULL) {
        *good = false;
        return g_strdup_printf(_("%1$s may not be inspected; run as root"), process.name);
    }
    while ((line = strsep(&rest, "\n")) != NULL)
        readMapping(pid, line, &process);
    return describe(&process, library, good);
}

char *
gmemToolDaemonsDescribe(const char *library, bool *good)
{
    g_autoptr(GString) all = g_string_new(NULL);
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    const char *pid;

    *good = true;
    while (proc != NULL && (pid = g_dir_read_name(proc)) != NULL) {
        g_autofree char *one = NULL;
        bool thisOne;

        if (!g_ascii_isdigit(pid[0]) || !isDaemon(pid))
            continue;
        one = describeProcess(pid, library, &thisOne);
        *good = *good && thisOne;
        g_string_append_printf(all, all->len > 0 ? "; %s" : "%s", one);
    }
    return all->len > 0 ? g_strdup(all->str) : NULL;
}
