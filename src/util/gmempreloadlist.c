/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmempreloadlist.c: which entries of LD_PRELOAD are libraries of this project.
 *
 * They are recognised by the names of their files, not by path: what another installation or a
 * build tree has preloaded is ours, too, and a path can be spelt in several ways. */

#include "gmempreloadlist.h"

#include <assert.h>
#include <string.h>

/* The characters that separate entries; see ld.so(8). */
#define GMEM_PRELOAD_LIST_SEPARATORS ": "

static const char *const gmemPreloadListNames[] = {
    [GMEM_PRELOAD_LIBRARY] = "libvirt-gmem.so",
    [GMEM_PRELOAD_SHIM] = "qemu-gmem.so",
    [GMEM_PRELOAD_VHOST_USER] = "vhost-user-gmem.so",
};
static_assert(sizeof(gmemPreloadListNames) / sizeof(gmemPreloadListNames[0]) == GMEM_PRELOAD_LAST,
              "every library has a name");

static bool
gmemPreloadListIsOurs(const char *entry, size_t length)
{
    size_t i;

    for (i = 0; i < GMEM_PRELOAD_LAST; i++) {
        const size_t n = strlen(gmemPreloadListNames[i]);

        if (length >= n && strncmp(entry + length - n, gmemPreloadListNames[i], n) == 0 &&
            (length == n || entry[length - n - 1] == '/'))
            return true;
    }
    return false;
}

const char *
gmemPreloadListName(gmemPreloadLibrary library)
{
    return gmemPreloadListNames[library];
}

bool
gmemPreloadListFilter(char *list)
{
    const char *from = list;
    char *to = list;
    bool found = false;

    while (*from != '\0') {
        const size_t length = strcspn(from, GMEM_PRELOAD_LIST_SEPARATORS);
        const size_t whole = length + (from[length] != '\0' ? 1 : 0);

        if (!gmemPreloadListIsOurs(from, length)) {
            memmove(to, from, whole);
            to += whole;
        } else {
            found = true;
            if (whole == length && to > list)
                to--;
        }
        from += whole;
    }
    *to = '\0';
    return found;
}

bool
gmemPreloadListIsEmpty(const char *list)
{
    return list[strspn(list, GMEM_PRELOAD_LIST_SEPARATORS)] == '\0';
}
