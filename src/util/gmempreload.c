/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmempreload.c: the libraries of this project that are preloaded, their paths, and the programs
 * into which they are preloaded. */

#include "gmempreload.h"

#include <assert.h>
#include <glib.h>
#include <string.h>

#include "config.h"

/* The directory in a build tree where each of them is built. */
static const char *const gmemPreloadInTree[] = {
    [GMEM_PRELOAD_LIBRARY] = "src/driver",
    [GMEM_PRELOAD_SHIM] = "src/shim",
    [GMEM_PRELOAD_VHOST_USER] = "src/vhostuser",
};
static_assert(G_N_ELEMENTS(gmemPreloadInTree) == GMEM_PRELOAD_LAST, "every library has a row");

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
            return g_build_filename(tree, gmemPreloadInTree[library], gmemPreloadListName(library),
                                    NULL);
    }
    return g_build_filename(GMEM_PRELOAD_DIRECTORY, gmemPreloadListName(library), NULL);
}

char *
gmemPreloadWithout(const char *value)
{
    char *rest = g_strdup(value);

    if (!gmemPreloadListFilter(rest))
        g_clear_pointer(&rest, g_free);
    return rest;
}

bool
gmemPreloadIsDaemon(const char *name)
{
    return strcmp(name, "libvirtd") == 0 || strcmp(name, "virtqemud") == 0;
}
