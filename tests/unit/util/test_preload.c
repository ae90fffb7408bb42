/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_preload.c: which entries of LD_PRELOAD are ours, and where the libraries are. */

#include "config.h"

#include <glib.h>
#include <glib/gstdio.h>

#include "gmempreload.h"

static void
testWithout(void)
{
    static const struct {
        const char *value;
        const char *expected; /* NULL: none of them is ours */
    } cases[] = {
        {"", NULL},
        {"/lib/asan.so", NULL},
        {"/x/libvirt-gmem.so.old:/y/notlibvirt-gmem.so", NULL},
        {"libvirt-gmem.so", ""},
        {"/x/libvirt-gmem.so", ""},
        {"./qemu-gmem.so", ""},
        {"/x/libvirt-gmem.so:/lib/asan.so", "/lib/asan.so"},
        {"/lib/asan.so:/x/libvirt-gmem.so", "/lib/asan.so"},
        {"/lib/asan.so /x/qemu-gmem.so", "/lib/asan.so"},
        {"/x/./qemu-gmem.so:/lib/asan.so", "/lib/asan.so"},
        {"/x/qemu-gmem.so.1:/lib/asan.so", NULL},
        {"/lib/asan.so /x/libvirt-gmem.so libjemalloc.so", "/lib/asan.so libjemalloc.so"},
        {"/x/libvirt-gmem.so:/y/libvirt-gmem.so", ""},
        {"/x/qemu-gmem.so:/lib/asan.so:/x/qemu-gmem.so", "/lib/asan.so"},
        {"a.so:/x/libvirt-gmem.so::b.so", "a.so::b.so"},
        {":/x/qemu-gmem.so::", "::"},
        {"/x/vhost-user-gmem.so:b.so", "b.so"},
    };

    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *got = gmemPreloadWithout(cases[i].value);

        g_assert_cmpstr(got, ==, cases[i].expected);
    }
}

/* In a build tree, all are in that tree, whether they have been built or not. */
static void
testFind(void)
{
    g_autofree char *tree = g_dir_make_tmp("gmem-preload-XXXXXX", NULL);
    g_autofree char *sources = g_build_filename(tree, "src", NULL);
    g_autofree char *tool = g_build_filename(tree, "tools", "virt-gmem", NULL);
    g_autofree char *library = g_build_filename(tree, "src/driver/libvirt-gmem.so", NULL);
    g_autofree char *shim = g_build_filename(tree, "src/shim/qemu-gmem.so", NULL);
    g_autofree char *fromTool = NULL;
    g_autofree char *fromLibrary = NULL;
    g_autofree char *elsewhere = NULL;
    g_autofree char *nowhere = NULL;
    g_autofree char *noTree = gmemPreloadFind(GMEM_PRELOAD_LIBRARY, tool, "tools");

    g_assert_cmpstr(noTree, ==, GMEM_PRELOAD_DIRECTORY "/libvirt-gmem.so");
    g_assert_cmpint(g_mkdir(sources, 0700), ==, 0);
    fromTool = gmemPreloadFind(GMEM_PRELOAD_LIBRARY, tool, "tools");
    g_assert_cmpstr(fromTool, ==, library);
    fromLibrary = gmemPreloadFind(GMEM_PRELOAD_SHIM, library, "src/driver");
    g_assert_cmpstr(fromLibrary, ==, shim);
    elsewhere = gmemPreloadFind(GMEM_PRELOAD_SHIM, tool, "src/driver");
    g_assert_cmpstr(elsewhere, ==, GMEM_PRELOAD_DIRECTORY "/qemu-gmem.so");
    nowhere = gmemPreloadFind(GMEM_PRELOAD_VHOST_USER, "", "src/driver");
    g_assert_cmpstr(nowhere, ==, GMEM_PRELOAD_DIRECTORY "/vhost-user-gmem.so");
    g_assert_cmpint(g_rmdir(sources), ==, 0);
    g_assert_cmpint(g_rmdir(tree), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/preload/without", testWithout);
    g_test_add_func("/preload/find", testFind);
    return g_test_run();
}
