/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmempreload.c: the libraries of this project that are preloaded, where they are, and into what.
 */

#include "gmempreload.h"

#include <assert.h>
#include <glib.h>
#include <string.h>

#include "config.h"

static const struct {
    const char *name;
    const char *inTree; /* the directory of a build tree where it is made */
    const char *installed;
} gmemPreloads[] = {
    [GMEM_PRELOAD_LIBRARY] = {"libvirt-gmem.so", "src/driver", GMEM_PRELOAD_DIRECTORY},
    [GMEM_PRELOAD_SHIM] = {"qemu-gmem.so", "src/shim", GMEM_PRELOAD_DIRECTORY},
    [GMEM_PRELOAD_VHOST_USER] = {"vhost-user-gmem.so", "src/vhostuser", GMEM_PRELOAD_DIRECTORY},
};
static_assert(G_N_ELEMENTS(gmemPreloads) == GMEM_PRELOAD_LAST, "every library has a row");

static bool
gmemPreloadIsOurs(const char *entry, size_t length)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(gmemPreloads); i++) {
        size_t n = strlen(gmemPreloads[i].name);

        if (length >= n && strncmp(entry + length - n, gmemPreloads[i].name, n) == 0 &&
            (length == n || entry[length - n - 1] == '/'))
            return true;
    }
    return false;
}

const char *
gmemPreloadName(gmemPreloadLibrary library)
{
    return gmemPreloads[library].name;
}

char *
gmemPreloadFind(gmemPreloadLibrary library, const char *self, const char *inTree)
{
    g_autofree char *directory = g_path_get_dirname(self);
    g_autofree char *suffix = g_strconcat("/", inTree, NULL);
    g_autofree char *tree = NULL;
    g_autofree char *sources = NULL;

    if (g_str_has_suffix(directory, suffix)) {
        tree = g_strndup(directory, strlen(directory) - strlen(suffix));
        sources = g_build_filename(tree, "src", NULL);
        if (g_file_test(sources, G_FILE_TEST_IS_DIR))
            return g_build_filename(tree, gmemPreloads[library].inTree, gmemPreloads[library].name,
                                    NULL);
    }
    return g_build_filename(gmemPreloads[library].installed, gmemPreloads[library].name, NULL);
}

char *
gmemPreloadWithout(const char *value)
{
    char *rest = g_malloc(strlen(value) + 1);
    char *end = rest;
    bool found = false;

    while (*value != '\0') {
        size_t length = strcspn(value, ": ");

        if (gmemPreloadIsOurs(value, length)) {
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
    if (!found)
        g_clear_pointer(&rest, g_free);
    return rest;
}

bool
gmemPreloadIsDaemon(const char *name)
{
    return strcmp(name, "libvirtd") == 0 || strcmp(name, "virtqemud") == 0;
}
