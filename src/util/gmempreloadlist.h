/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmempreloadlist.h: which entries of LD_PRELOAD are libraries of this project. The shim uses it,
 * too, so it only requires libc. */
#pragma once

#include <stdbool.h>

typedef enum {
    GMEM_PRELOAD_LIBRARY,    /* libvirt-gmem.so, into a daemon or client of libvirt's */
    GMEM_PRELOAD_SHIM,       /* qemu-gmem.so, into QEMU */
    GMEM_PRELOAD_VHOST_USER, /* vhost-user-gmem.so, into virtiofsd */
    GMEM_PRELOAD_LAST
} gmemPreloadLibrary;

/* gmemPreloadListName: the name of its file. */
const char *gmemPreloadListName(gmemPreloadLibrary library);

/**
 * gmemPreloadListFilter:
 * @list: a value of LD_PRELOAD: entries separated by ':' or ' '; changed in place
 *
 * Removes the entries that are libraries of this project, by the names of their files, from @list.
 * The separator after an entry is removed with it, or the one before the last entry. Returns
 * whether there were any. Takes no lock.
 */
bool gmemPreloadListFilter(char *list);

/* gmemPreloadListIsEmpty: whether @list has no entry. */
bool gmemPreloadListIsEmpty(const char *list);
