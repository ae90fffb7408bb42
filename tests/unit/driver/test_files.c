/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_files.c: what is noted of a file in libvirt's directory. What becomes of its domain is
 * tested in ../../e2e/test_ways_around.py. */

#include "../../../src/driver/gmemfiles.c"

#include "gmemautofd.h"

#define DOMAIN(rest)                                                                               \
    "<domain type='kvm'><name>a</name><memory unit='GiB'>1</memory>" rest "</domain>"
#define OS "<os><type arch='x86_64' machine='q35'>hvm</type></os>"
#define FULLY_SHARED DOMAIN(OS "<memoryBacking><private/></memoryBacking>")
#define CONVERTIBLE DOMAIN(OS "<launchSecurity type='sw-protected'/>")

/* The whole driver is behind it. */
char *
gmemConnectionGetRoot(virConnectPtr conn G_GNUC_UNUSED)
{
    return NULL;
}

bool
gmemProcessIsDaemon(void)
{
    return false;
}

/* Whether the file is noted as a private domain's. *@mode: what libvirt would not find in it;
 * GMEM_MODE_LAST: cannot be determined. */
static bool
notes(const char *text, gmemMode *mode)
{
    g_autofree char *path = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) error = NULL;
    GMEM_AUTO_FD fd = g_file_open_tmp("gmem-files-XXXXXX", &path, NULL);
    int rc;

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (ssize_t)strlen(text));
    __atomic_store_n(&gmemFilesPrivate, 0, __ATOMIC_RELAXED);
    rc = gmemFilesRead(path, &plan, &error);
    g_assert_cmpint(unlink(path), ==, 0);
    g_assert_cmpint(rc, ==, error != NULL ? -1 : 0);
    *mode = plan != NULL ? plan->mode : GMEM_MODE_NONE;
    if (rc < 0)
        *mode = GMEM_MODE_LAST;
    return __atomic_load_n(&gmemFilesPrivate, __ATOMIC_RELAXED) != 0;
}

/* As a user writes them: libvirt does not know the element, so there is nothing to lose yet. */
static void
testWritten(void)
{
    gmemMode mode;

    g_assert_false(notes(DOMAIN(OS), &mode));
    g_assert_cmpint(mode, ==, GMEM_MODE_NONE);
    g_assert_false(notes(DOMAIN(OS "<title>private</title>"), &mode));
    g_assert_cmpint(mode, ==, GMEM_MODE_NONE);
    g_assert_false(notes(FULLY_SHARED, &mode));
    g_assert_cmpint(mode, ==, GMEM_MODE_FULLY_SHARED);
    g_assert_false(notes(CONVERTIBLE, &mode));
    g_assert_cmpint(mode, ==, GMEM_MODE_CONVERTIBLE);
    g_assert_false(notes("<domain><memoryBacking><private/>", &mode));
    g_assert_cmpint(mode, ==, GMEM_MODE_LAST);
}

/* As libvirt stores them, and with words that could be the element: these are read, not only
 * searched. */
static void
testStored(void)
{
    static const char *const written[] = {FULLY_SHARED, CONVERTIBLE};
    static const char *const words[] = {"", "<!-- <private/> -->", "<!-- sw-protected -->"};
    size_t i, j;

    for (i = 0; i < G_N_ELEMENTS(written); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *stored = gmemLower(written[i], false, NULL, &error);

        g_assert_no_error(error);
        for (j = 0; j < G_N_ELEMENTS(words); j++) {
            g_autofree char *text = g_strconcat(words[j], stored, NULL);
            gmemMode mode;

            g_test_message("%s", text);
            g_assert_true(notes(text, &mode));
            g_assert_cmpint(mode, ==, GMEM_MODE_NONE);
        }
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/driver-files/written", testWritten);
    g_test_add_func("/driver-files/stored", testStored);
    return g_test_run();
}
