/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolproc.c: what Linux reports about another process's descriptors and mappings. */

#include "config.h"

#include "gmemtoolproc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gmemautofd.h"

/* Numbers that older headers lack. x86_64 has the same number for all newer system calls. */
#define GMEM_SYS_PIDFD_OPEN 434
#define GMEM_SYS_PIDFD_GETFD 438
#define GMEM_SYS_CACHESTAT 451

#define GMEM_LINK_GUEST_MEMFD "[kvm-gmem]"
#define GMEM_LINK_VM "anon_inode:kvm-vm"
#define GMEM_LINK_MEMFD "/memfd:"

/* A hostile process can have millions of both. */
#define GMEM_DESCRIPTORS_MAX 100000
#define GMEM_TEXT_MAX ((gsize)64 * 1024 * 1024)

/* The arguments of cachestat(2), Linux 6.5. */
typedef struct {
    guint64 offset, length;
} gmemCacheRange;
typedef struct {
    guint64 cached, dirty, writeback, evicted, recentlyEvicted;
} gmemCacheStat;

char *
gmemToolText(int directory, const char *name, gsize *length)
{
    GMEM_AUTO_FD fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[16384];
    ssize_t count = -1;

    while (fd >= 0 && text->len < GMEM_TEXT_MAX && (count = read(fd, buffer, sizeof(buffer))) > 0)
        g_string_append_len(text, buffer, count);
    if (count < 0)
        return NULL;
    if (length != NULL)
        *length = text->len;
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* The number after @key at the start of a line. */
static bool
findNumber(const char *text, const char *key, guint64 *number)
{
    const char *line;

    for (line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (g_str_has_prefix(line, key)) {
            *number = g_ascii_strtoull(line + strlen(key), NULL, 10);
            return true;
        }
    }
    return false;
}

static void
addFile(GArray *files, int directory, const char *name, bool gmem)
{
    g_autofree char *path = g_strconcat("fdinfo/", name, NULL);
    g_autofree char *info = gmemToolText(directory, path, NULL);
    gmemToolFile file = {.fd = atoi(name), .count = 1, .gmem = gmem};
    guint i;

    if (info == NULL || !findNumber(info, "ino:", &file.inode) ||
        !findNumber(info, "mnt_id:", &file.mount))
        return;
    for (i = 0; i < files->len; i++) {
        gmemToolFile *other = &g_array_index(files, gmemToolFile, i);

        if (other->inode == file.inode && other->mount == file.mount) {
            other->count++;
            other->fd = MIN(other->fd, file.fd);
            return;
        }
    }
    g_array_append_val(files, file);
}

static void
lookAtDescriptor(GArray *files, int directory, DIR *dir, const char *name, bool *vm)
{
    char link[512];
    ssize_t length = readlinkat(dirfd(dir), name, link, sizeof(link) - 1);
    bool gmem;

    if (length < 0)
        return;
    link[length] = '\0';
    if (vm != NULL && strcmp(link, GMEM_LINK_VM) == 0)
        *vm = true;
    gmem = strstr(link, GMEM_LINK_GUEST_MEMFD) != NULL && link[0] != '/';
    gmem = gmem || strcmp(link, "/" GMEM_LINK_GUEST_MEMFD) == 0 ||
           strcmp(link, "/" GMEM_LINK_GUEST_MEMFD " (deleted)") == 0;
    if (gmem || g_str_has_prefix(link, GMEM_LINK_MEMFD))
        addFile(files, directory, name, gmem);
}

GArray *
gmemToolFilesOf(int directory, bool *vm)
{
    int fds = openat(directory, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fds >= 0 ? fdopendir(fds) : NULL;
    GArray *files = g_array_new(FALSE, TRUE, sizeof(gmemToolFile));
    const struct dirent *entry;
    unsigned int seen = 0;
    int saved = errno;

    if (vm != NULL)
        *vm = false;
    while (dir != NULL && (entry = readdir(dir)) != NULL && seen++ < GMEM_DESCRIPTORS_MAX) {
        if (g_ascii_isdigit(entry->d_name[0]))
            lookAtDescriptor(files, directory, dir, entry->d_name, vm);
    }
    if (dir != NULL) {
        closedir(dir);
        return files;
    }
    g_array_unref(files);
    errno = saved;
    return NULL;
}

GArray *
gmemToolMappingsOf(int directory)
{
    g_autofree char *text = gmemToolText(directory, "maps", NULL);
    GArray *mappings;
    char *rest = NULL;
    char *line;

    if (text == NULL)
        return NULL;
    mappings = g_array_new(FALSE, TRUE, sizeof(gmemToolMapping));
    for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        gmemToolMapping mapping = {0};
        unsigned int major, minor;
        char flags[5];
        int path = 0;

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n",
                   &mapping.start, &mapping.end, flags, &mapping.offset, &major, &minor,
                   &mapping.inode, &path) < 7)
            continue;
        mapping.device = ((guint64)major << 32) | minor;
        mapping.writable = flags[1] == 'w';
        mapping.gmem = path > 0 && strstr(line + path, GMEM_LINK_GUEST_MEMFD) != NULL;
        g_array_append_val(mappings, mapping);
    }
    return mappings;
}

int
gmemToolDuplicate(pid_t pid, int fd)
{
    GMEM_AUTO_FD process = (int)syscall(GMEM_SYS_PIDFD_OPEN, pid, 0);

    return process >= 0 ? (int)syscall(GMEM_SYS_PIDFD_GETFD, process, fd, 0) : -1;
}

gint64
gmemToolCached(int fd, guint64 offset, guint64 size)
{
    gmemCacheRange range = {offset, size};
    gmemCacheStat stat;

    if (fd < 0 || syscall(GMEM_SYS_CACHESTAT, fd, &range, &stat, 0) < 0)
        return -1;
    return (gint64)stat.cached * sysconf(_SC_PAGESIZE);
}

gint64
gmemToolPresent(int directory, guint64 address, guint64 size)
{
    const guint64 page = (guint64)sysconf(_SC_PAGESIZE);
    GMEM_AUTO_FD fd = openat(directory, "pagemap", O_RDONLY | O_CLOEXEC);
    guint64 left = size / page;
    off_t at = (off_t)(address / page * sizeof(guint64));
    gint64 present = 0;
    guint64 entries[4096];

    while (fd >= 0 && left > 0) {
        ssize_t wanted = (ssize_t)(MIN(left, G_N_ELEMENTS(entries)) * sizeof(entries[0]));
        guint64 i;

        if (pread(fd, entries, (size_t)wanted, at) != wanted)
            break;
        /* Bit 63 means present, bit 62 means swapped. */
        for (i = 0; i < (guint64)wanted / sizeof(entries[0]); i++)
            present += (entries[i] >> 62) != 0 ? 1 : 0;
        left -= (guint64)wanted / sizeof(entries[0]);
        at += wanted;
    }
    return left > 0 ? -1 : present * (gint64)page;
}

gint64
gmemToolStarted(int directory)
{
    g_autofree char *text = gmemToolText(directory, "stat", NULL);
    const char *behind = text != NULL ? strrchr(text, ')') : NULL;
    struct timespec now;
    guint64 ticks = 0;

    /* Field 22; the name, which is the second field, can contain anything. */
    if (behind == NULL ||
        sscanf(behind,
               ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
               "%*s %*s %*s %*s %" SCNu64,
               &ticks) != 1 ||
        clock_gettime(CLOCK_BOOTTIME, &now) < 0)
        return -1;
    return MAX(0, (gint64)now.tv_sec - (gint64)(ticks / (guint64)sysconf(_SC_CLK_TCK)));
}

/* The last mount of the hierarchy with the memory controller; with @legacy, of version 1. @root:
 * out: the cgroup at the top of that mount. */
static char *
findMount(bool legacy, char **root)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    char *found = NULL;
    char **line;

    if (!g_file_get_contents("/proc/self/mountinfo", &text, NULL, NULL))
        return NULL;
    lines = g_strsplit(text, "\n", -1);
    for (line = lines; *line != NULL; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", -1);
        const char *behind = strstr(*line, " - ");
        g_auto(GStrv) type = g_strsplit(behind != NULL ? behind + 3 : "", " ", 3);
        g_auto(GStrv) options = NULL;

        if (g_strv_length(words) < 5 || g_strv_length(type) < 3 ||
            strcmp(type[0], legacy ? "cgroup" : "cgroup2") != 0)
            continue;
        options = g_strsplit(type[2], ",", -1);
        if (legacy && !g_strv_contains((const char *const *)options, "memory"))
            continue;
        g_free(found);
        g_free(*root);
        *root = g_strdup(words[3]);
        found = g_strdup(words[4]);
    }
    return found;
}

/* The part of the line of /proc/PID/cgroup that names the cgroup, or NULL. */
static char *
findCgroup(const char *text, bool legacy)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    char **line;

    for (line = lines; *line != NULL; line++) {
        g_auto(GStrv) parts = g_strsplit(*line, ":", 3);
        g_auto(GStrv) controllers = NULL;

        if (g_strv_length(parts) < 3)
            continue;
        controllers = g_strsplit(parts[1], ",", -1);
        if (legacy ? g_strv_contains((const char *const *)controllers, "memory")
                   : strcmp(parts[0], "0") == 0)
            return g_strdup(parts[2]);
    }
    return NULL;
}

/* @cgroup, or the nearest one above it that has the controller; never the mount's top, which is
 * that of the whole host, or of the whole container. */
static gint64
readCharge(const char *mount, const char *root, char *cgroup, const char *file)
{
    const char *below = cgroup;

    if (strcmp(root, "/") != 0 && g_str_has_prefix(cgroup, root))
        below += strlen(root);
    while (strlen(below) > 1 && strstr(below, "..") == NULL) {
        g_autofree char *path = g_build_filename(mount, below, file, NULL);
        g_autofree char *text = NULL;

        if (g_file_get_contents(path, &text, NULL, NULL))
            return (gint64)g_ascii_strtoull(text, NULL, 10);
        *strrchr(cgroup, '/') = '\0';
    }
    return -1;
}

gint64
gmemToolCharge(int directory, char **path)
{
    g_autofree char *text = gmemToolText(directory, "cgroup", NULL);
    int legacy;

    for (legacy = 0; text != NULL && legacy < 2; legacy++) {
        g_autofree char *root = NULL;
        g_autofree char *mount = findMount(legacy, &root);
        g_autofree char *cgroup = mount != NULL ? findCgroup(text, legacy) : NULL;
        gint64 charge = cgroup != NULL
                            ? readCharge(mount, root, cgroup,
                                         legacy ? "memory.usage_in_bytes" : "memory.current")
                            : -1;

        if (charge >= 0) {
            *path = g_steal_pointer(&cgroup);
            return charge;
        }
    }
    *path = NULL;
    return -1;
}
