/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolmemory.h: the memory of a running domain, as far as it is known from outside QEMU.
 *
 * What is not known for certain is -1 or NULL, and never a guess. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "gmemstatus.h"

typedef struct {
    guint64 start, size; /* guest addresses */
    guint64 offset;      /* bytes, in the backend */
} gmemToolRange;

/* A memory backend that is RAM, or a guest_memfd that cannot be assigned to one. Sizes and amounts
 * are in bytes. */
typedef struct {
    char *id;
    gint64 cell; /* NUMA cell */
    gint64 size;
    gint64 gmemResident;     /* of its guest_memfd */
    gint64 ordinaryResident; /* of its ordinary half; 0 where it has none */
    gint64 privateBytes, sharedBytes;
    gint64 toPrivate, toShared; /* conversions */
    char *policy;               /* that QEMU was asked for: "bind 0-1", or "none" */
    char *nodes;                /* on which host nodes pages are: "0" or "0: 12 KiB, 1: 4 KiB" */
    guint64 inode;              /* of the guest_memfd; 0: not known which one */
    int fd;                     /* our duplicate of it, or -1 */
    guint64 address;            /* of QEMU's mapping; 0: unknown */
    GArray *ranges;             /* of gmemToolRange, by guest address; NULL: unknown */
} gmemToolBackend;

/* Another process that has access to the memory. */
typedef struct {
    pid_t pid;
    char *name;
    guint64 mapped;   /* bytes */
    bool writable;    /* some of the mapped memory */
    unsigned int fds; /* descriptors */
} gmemToolHolder;

typedef struct {
    pid_t pid;
    char *name;             /* as on QEMU's command line; NULL: none is there */
    const char *mode;       /* "fully-shared", "convertible", "sw-protected", "sev-snp", "tdx" */
    const char *supplier;   /* who makes guest_memfd: "qemu-gmem.so" or "QEMU" */
    gmemShimStatus *status; /* what qemu-gmem.so says; NULL: it is not in there */
    gint64 seconds;         /* since QEMU began */
    gint64 charge;          /* bytes, of its memory cgroup */
    char *cgroup;
    GPtrArray *backends; /* of gmemToolBackend */
    GPtrArray *holders;  /* of gmemToolHolder; NULL: not looked for */
    unsigned int unseen; /* processes that could not be looked into */
    GArray *files;       /* of gmemToolFile: those that its memory is */
    GArray *mappings;    /* of gmemToolMapping */
    char *error;         /* why it cannot be shown; then nothing but pid and name is set */
    bool absent;         /* because it has no guest_memfd */
} gmemToolDomain;

void gmemToolDomainFree(gmemToolDomain *domain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemToolDomain, gmemToolDomainFree)

/* gmemToolIsFullyShared: whether none of @domain's memory is private. */
bool gmemToolIsFullyShared(const gmemToolDomain *domain);

/**
 * gmemToolDomains:
 * @names: NULL-terminated; none: all domains
 * @denied: out: the number of domains that were not asked for by name and may not be inspected
 *
 * Returns all processes that have a KVM VM and guest_memfd, or qemu-gmem.so's status, or those with
 * these names, sorted by name; of gmemToolDomain. Never fails.
 */
GPtrArray *gmemToolDomains(char **names, unsigned int *denied);

/* gmemToolFindHolders: finds the processes that have the memory of @domain mapped, or have a
 * descriptor of it, including QEMU. */
void gmemToolFindHolders(gmemToolDomain *domain);

/* gmemToolClean: text that others wrote, made fit for a terminal and for JSON, at most @length
 * bytes of it; free with g_free(). */
char *gmemToolClean(const char *text, size_t length);

/* The ways to show domains (gmemtoolshow.c). */
void gmemToolShowText(const gmemToolDomain *domain);
void gmemToolShowJSON(const GPtrArray *domains);
void gmemToolShowMetrics(const GPtrArray *domains);

/* gmemToolShowBars: a bar for each backend, @columns wide in all. @former: the domain at the
 * previous look, @seconds ago; NULL: there was none. */
void gmemToolShowBars(const gmemToolDomain *domain,
                      const gmemToolDomain *former,
                      double seconds,
                      int columns);

/* gmemToolShowMap: the guest's addresses as a picture, to be freed with g_free(). */
char *gmemToolShowMap(const gmemToolDomain *domain);
