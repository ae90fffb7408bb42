/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolproc.h: what Linux reports about another process's descriptors and mappings.
 *
 * That process can be hostile. None of its files is opened, or asked anything that its file system
 * answers; links, fdinfo and maps are the kernel's own text. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* A file that one or more descriptors of a process refer to. */
typedef struct {
    int fd;               /* the lowest descriptor */
    unsigned int count;   /* the number of descriptors */
    guint64 inode, mount; /* which file, and the mount that it is on */
    bool gmem;            /* a guest_memfd; otherwise a memfd or a file on hugetlbfs */
} gmemToolFile;

typedef struct {
    guint64 start, end; /* addresses */
    guint64 offset;     /* bytes, in the file */
    guint64 device, inode;
    bool writable;
    bool gmem; /* of a guest_memfd */
} gmemToolMapping;

/**
 * gmemToolFilesOf:
 * @directory: a descriptor of /proc/PID
 * @vm: out: whether it has a KVM VM; can be NULL
 *
 * Returns those of its files that can be memory, of gmemToolFile; free with g_array_unref().
 * Returns NULL with errno.
 */
GArray *gmemToolFilesOf(int directory, bool *vm);

/* gmemToolMappingsOf: its mappings of files, of gmemToolMapping, by address; NULL with errno. */
GArray *gmemToolMappingsOf(int directory);

/* gmemToolText: the contents of a file in /proc/PID, NUL-terminated, to be freed with g_free();
 * NULL with errno. @length can be NULL. */
char *gmemToolText(int directory, const char *name, gsize *length);

/* gmemToolDuplicate: a duplicate of another process's descriptor, or -1. */
int gmemToolDuplicate(pid_t pid, int fd);

/* gmemToolCached: the number of bytes of that part of a file that are in memory; -1: unknown. */
gint64 gmemToolCached(int fd, guint64 offset, guint64 size);

/* gmemToolPresent: the number of bytes of that part of the process's address space that are in
 * memory or swapped out, according to its page tables; -1: unknown. */
gint64 gmemToolPresent(int directory, guint64 address, guint64 size);

/* gmemToolStarted: seconds since the process was started; -1: unknown. */
gint64 gmemToolStarted(int directory);

/**
 * gmemToolCharge:
 * @path: out: the memory cgroup, below its mount; NULL: there is only the root cgroup
 *
 * Returns the bytes that are charged to the process's memory cgroup; -1: unknown.
 */
gint64 gmemToolCharge(int directory, char **path);
