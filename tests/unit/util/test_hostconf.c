/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_hostconf.c: what gmem.conf may be, and who may have written it. */

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <libvirt/virterror.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemerror.h"
#include "gmemhostconf.h"

typedef struct {
    const char *name;
    const char *text;
    bool startPrivate;
    const char *message; /* behind the file's name; NULL: it is read */
} Case;

static const Case cases[] = {
    {"empty", "", false, NULL},
    {"comment", "# nothing\n\n", false, NULL},
    {"group", "[convertible]\n", false, NULL},
    {"shared", "[convertible]\nstart=shared\n", false, NULL},
    {"private", "# why\n[convertible]\nstart = private\n", true, NULL},
    {"value", "[convertible]\nstart=encrypted\n", false,
     "has start=encrypted in [convertible]: it can be 'shared' or 'private'"},
    {"no-value", "[convertible]\nstart=\n", false, "has start= in [convertible]"},
    {"key", "[convertible]\nstart=private\nbegin=private\n", false,
     "has the key 'begin' in [convertible], which is not known"},
    {"group-unknown", "[shared]\nstart=private\n", false,
     "has the group [shared], which is not known"},
    {"no-group", "start=private\n", false, "Key file does not start with a group"},
    {"garbage", "[convertible\n", false, "cannot read"},
    {"escape", "[convertible]\nstart=private\\\n", false, "has start=private\\ in [convertible]"},
    {"value-not-utf8", "[convertible]\nstart=priv\377ate\n", false, "is not text in UTF-8"},
    {"key-not-utf8", "[convertible]\n\377start=private\n", false, "is not text in UTF-8"},
};

static char *directory;

static char *
writeConf(const char *text, mode_t mode)
{
    char *path = g_build_filename(directory, "gmem.conf", NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(g_chmod(path, mode), ==, 0);
    return path;
}

static void
assertRefused(const char *path, const char *message)
{
    g_autoptr(GError) error = NULL;
    gmemHostConf conf = {.startPrivate = true};

    g_assert_cmpint(gmemHostConfRead(path, &conf, &error), ==, -1);
    g_assert_error(error, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, path));
    g_assert_nonnull(strstr(error->message, message));
    g_assert_false(conf.startPrivate);
}

static bool
needRoot(void)
{
    if (geteuid() == 0)
        return true;
    g_test_skip("only root can own such a file");
    return false;
}

static void
testText(gconstpointer data)
{
    const Case *test = data;
    g_autofree char *path = writeConf(test->text, 0644);
    g_autoptr(GError) error = NULL;
    gmemHostConf conf = {0};

    if (!needRoot())
        return;
    if (test->message != NULL) {
        assertRefused(path, test->message);
        return;
    }
    g_assert_cmpint(gmemHostConfRead(path, &conf, &error), ==, 0);
    g_assert_no_error(error);
    g_assert_cmpint(conf.startPrivate, ==, test->startPrivate);
}

static void
testAbsent(void)
{
    g_autofree char *path = g_build_filename(directory, "none", NULL);
    g_autofree char *below = g_build_filename(directory, "none", "gmem.conf", NULL);
    g_autoptr(GError) error = NULL;
    gmemHostConf conf = {.startPrivate = true};

    g_assert_cmpint(gmemHostConfRead(path, &conf, &error), ==, 0);
    g_assert_no_error(error);
    g_assert_false(conf.startPrivate);
    g_assert_cmpint(gmemHostConfRead(below, &conf, &error), ==, 0);
    g_assert_no_error(error);
}

static void
testOwner(void)
{
    static const char *const message = "has to be owned and writable by root only";
    g_autofree char *path = writeConf("[convertible]\nstart=private\n", 0644);

    if (!needRoot()) {
        return;
    }
    g_assert_cmpint(g_chmod(path, 0664), ==, 0);
    assertRefused(path, message);
    g_assert_cmpint(g_chmod(path, 0646), ==, 0);
    assertRefused(path, message);
    g_assert_cmpint(g_chmod(path, 0644), ==, 0);
    g_assert_cmpint(chown(path, 65534, 0), ==, 0);
    assertRefused(path, message);
    assertRefused(directory, "it is not a regular file");
}

static void
testNUL(void)
{
    static const char text[] = "[convertible]\n\0start=private\n";
    g_autofree char *path = g_build_filename(directory, "gmem.conf", NULL);

    g_assert_true(g_file_set_contents(path, text, sizeof(text) - 1, NULL));
    if (needRoot())
        assertRefused(path, g_strerror(EILSEQ));
}

static void
testLong(void)
{
    g_autofree char *text = g_strnfill(64 * 1024 + 1, '#');
    g_autofree char *path = writeConf(text, 0644);

    if (needRoot())
        assertRefused(path, "cannot read");
}

int
main(int argc, char **argv)
{
    g_autofree char *path = NULL;
    size_t i;
    int result;

    g_setenv("LC_ALL", "C", TRUE);
    g_test_init(&argc, &argv, NULL);
    directory = g_dir_make_tmp("gmem-conf-XXXXXX", NULL);
    g_assert_nonnull(directory);
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = g_strconcat("/host-conf/text/", cases[i].name, NULL);

        g_test_add_data_func(name, &cases[i], testText);
    }
    g_test_add_func("/host-conf/absent", testAbsent);
    g_test_add_func("/host-conf/owner", testOwner);
    g_test_add_func("/host-conf/nul", testNUL);
    g_test_add_func("/host-conf/long", testLong);
    result = g_test_run();

    path = g_build_filename(directory, "gmem.conf", NULL);
    g_unlink(path);
    g_rmdir(directory);
    g_free(directory);
    return result;
}
