/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_hostconf.c: what gmem.conf may contain, and who may have written it. */

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
    const char *message; /* of the refusal, without the file's name; NULL: it is read */
} Case;

#define RULE "[rule one]\nname=*\nmode=convertible\n"

static const Case cases[] = {
    {"empty", "", false, NULL},
    {"comment", "# nothing\n\n", false, NULL},
    {"group", "[convertible]\n", false, NULL},
    {"shared", "[convertible]\nstart=shared\n", false, NULL},
    {"private", "# why\n[convertible]\nstart = private\n", true, NULL},
    {"no-newline", "\r\n[convertible]\r\n  start=private", true, NULL},
    {"value", "[convertible]\nstart=encrypted\n", false,
     "line 2 of '%s' has start=encrypted in [convertible]; use 'shared' or 'private'"},
    {"no-value", "[convertible]\nstart=\n", false, "has start= in [convertible]"},
    {"key", "[convertible]\nstart=private\nbegin=private\n", false,
     "line 3 of '%s' has the key 'begin' in [convertible], which is not known"},
    {"key-twice", "[convertible]\nstart=private\nstart=shared\n", false,
     "line 3 of '%s' has the key 'start' in [convertible] for the second time"},
    {"read-only-value", "[read-only]\ndomain-xml=\n", false,
     "line 2 of '%s' has domain-xml= in [read-only]; use 'elements' or 'stored'"},
    {"other-group", "[read-only]\nstart=private\n", false,
     "line 2 of '%s' has the key 'start' in [read-only], which is not known"},
    {"group-unknown", "[shared]\nstart=private\n", false,
     "line 1 of '%s' has the group [shared], which is not known"},
    {"group-longer", "[convertible x]\nstart=private\n", false,
     "line 1 of '%s' has the group [convertible x], which is not known"},
    {"group-shorter", "[convert]\nstart=private\n", false,
     "line 1 of '%s' has the group [convert], which is not known"},
    {"group-twice", RULE "\n" RULE, false,
     "line 5 of '%s' has the group [rule one] for the second time"},
    {"no-group", "\nstart=private\n", false,
     "line 2 of '%s' has the key 'start' before the first [group]"},
    {"garbage", "[convertible\n", false,
     "line 1 of '%s' is neither [group] nor key=value nor a comment: [convertible"},
    {"no-key", "[convertible]\n=private\n", false, "line 2 of '%s' is neither"},
    {"escape", "[convertible]\nstart=private\\\n", false, "has start=private\\ in [convertible]"},
    {"value-not-utf8", "[convertible]\nstart=priv\377ate\n", false, "'%s' is not text in UTF-8"},
    {"key-not-utf8", "[convertible]\n\377start=private\n", false, "'%s' is not text in UTF-8"},
    {"rule-unnamed", "[rule ]\nname=*\nmode=convertible\n", false, "has the group [rule ], which"},
    {"rule-key", RULE "colour=red\n", false,
     "line 4 of '%s' has the key 'colour' in [rule one], which is not known"},
    {"rule-mode", "[rule one]\nmode=private\nname=*\n", false,
     "line 2 of '%s' has mode=private in [rule one]; use 'fully-shared' or 'convertible'"},
    {"rule-no-mode", "\n[rule one]\nname=*\n[convertible]\n", false,
     "[rule one] at line 2 of '%s' has no mode="},
    {"rule-no-condition", RULE "[rule two]\nmode=convertible\n", false,
     "[rule two] at line 4 of '%s' has no condition: name=* matches every domain"},
    {"rule-pattern", "[rule one]\ntitle=\n", false,
     "line 2 of '%s' has a pattern for title that is empty, or longer than 255 bytes"},
    {"rule-spec", "[rule one]\nnova-extra-spec=gmem:memory\n", false,
     "line 2 of '%s' has nova-extra-spec=gmem:memory, which requires the form "
     "nova-extra-spec=NAME=PATTERN"},
    {"rule-bad-after-good", RULE "nonsense\n", false, "line 4 of '%s' is neither"},
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
    g_auto(GStrv) parts = g_strsplit(message, "%s", -1);
    g_autofree char *whole = g_strjoinv(path, parts);

    g_assert_cmpint(gmemHostConfRead(path, &conf, &error), ==, -1);
    g_assert_error(error, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, path));
    g_assert_nonnull(strstr(error->message, whole));
    g_assert_false(conf.startPrivate);
    g_assert_cmpint(conf.nrules, ==, 0);
    g_assert_null(conf.rules);
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
testRules(void)
{
    static const char text[] = "[rule b c]\nmode=fully-shared\nname = web-*\ntitle=a=b\n"
                               "nova-extra-spec=gmem:memory=*=?\n"
                               "[convertible]\nstart=private\n"
                               "[rule a]\nnova-flavor=x\nnova-image-property=p=q\n"
                               "mode=convertible\n";
    g_autoptr(GError) error = NULL;
    g_auto(gmemHostConf) conf = {0};

    g_assert_cmpint(gmemHostConfParse("x", text, &conf, &error), ==, 0);
    g_assert_no_error(error);
    g_assert_true(conf.startPrivate);
    g_assert_cmpint(conf.nrules, ==, 2);
    g_assert_cmpstr(conf.rules[0].name, ==, "b c");
    g_assert_cmpint(conf.rules[0].mode, ==, GMEM_MODE_FULLY_SHARED);
    g_assert_cmpstr(conf.rules[0].patterns[GMEM_HOST_CONF_NAME], ==, "web-*");
    g_assert_cmpstr(conf.rules[0].patterns[GMEM_HOST_CONF_TITLE], ==, "a=b");
    g_assert_cmpstr(conf.rules[0].keys[GMEM_HOST_CONF_NOVA_EXTRA_SPEC], ==, "gmem:memory");
    g_assert_cmpstr(conf.rules[0].patterns[GMEM_HOST_CONF_NOVA_EXTRA_SPEC], ==, "*=?");
    g_assert_null(conf.rules[0].patterns[GMEM_HOST_CONF_NOVA_FLAVOR]);
    g_assert_cmpstr(conf.rules[1].name, ==, "a");
    g_assert_cmpint(conf.rules[1].mode, ==, GMEM_MODE_CONVERTIBLE);
    g_assert_cmpstr(conf.rules[1].patterns[GMEM_HOST_CONF_NOVA_FLAVOR], ==, "x");
    g_assert_cmpstr(conf.rules[1].keys[GMEM_HOST_CONF_NOVA_IMAGE_PROPERTY], ==, "p");
}

/* The cost of comparing is limited by the length of a pattern. */
static void
testPatternLength(void)
{
    size_t length;

    for (length = 255; length <= 256; length++) {
        g_autofree char *pattern = g_strnfill(length, 'x');
        g_autofree char *text = g_strdup_printf("[rule a]\nmode=convertible\nname=%s\n", pattern);
        g_auto(gmemHostConf) conf = {0};

        g_assert_cmpint(gmemHostConfParse("x", text, &conf, NULL), ==, length == 255 ? 0 : -1);
        g_assert_cmpuint(conf.nrules, ==, length == 255 ? 1 : 0);
    }
}

static void
testReadOnly(void)
{
    static const struct {
        const char *text;
        bool stored;
    } readOnly[] = {
        {"[convertible]\nstart=private\n", false},
        {"[read-only]\n", false},
        {"[read-only]\ndomain-xml=elements\n", false},
        {"[read-only]\ndomain-xml = stored\n", true},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(readOnly); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(gmemHostConf) conf = {0};

        g_assert_cmpint(gmemHostConfParse("x", readOnly[i].text, &conf, &error), ==, 0);
        g_assert_no_error(error);
        g_assert_cmpint(conf.readOnlyStored, ==, readOnly[i].stored);
        g_assert_cmpint(conf.startPrivate, ==, i == 0);
    }
}

/* What was read is unchanged while somebody may use it, and is read again if the file is new. */
static void
testRefresh(void)
{
    g_autofree char *path = writeConf(RULE, 0644);
    g_autoptr(GError) error = NULL;
    gmemHostConf first, second;

    if (!needRoot())
        return;
    g_assert_cmpint(gmemHostConfRefresh(path, &error), ==, 0);
    g_assert_cmpint(gmemHostConfGet(&first, &error), ==, 0);
    g_assert_cmpint(first.nrules, ==, 1);
    g_assert_cmpint(gmemHostConfRefresh(path, &error), ==, 0);
    g_assert_cmpint(gmemHostConfGet(&second, &error), ==, 0);
    g_assert_true(first.rules == second.rules);
    /* It became shorter, and nothing else. */
    g_free(writeConf("[read-only]\ndomain-xml=stored\n" RULE, 0644));
    g_assert_cmpint(gmemHostConfRefresh(path, &error), ==, 0);
    g_assert_cmpint(truncate(path, strlen("[read-only]\ndomain-xml=stored\n")), ==, 0);
    g_assert_cmpint(gmemHostConfRefresh(path, &error), ==, 0);
    g_assert_cmpint(gmemHostConfGet(&second, &error), ==, 0);
    g_assert_true(second.readOnlyStored);
    g_assert_cmpint(second.nrules, ==, 0);
    g_free(writeConf(RULE "nonsense\n", 0644));
    g_assert_cmpint(gmemHostConfRefresh(path, NULL), ==, -1);
    g_assert_cmpint(gmemHostConfRefresh(path, NULL), ==, -1);
    g_assert_cmpint(gmemHostConfGet(&second, NULL), ==, -1);
    g_assert_cmpstr(first.rules[0].name, ==, "one");
    g_unlink(path);
    g_assert_cmpint(gmemHostConfRefresh(path, &error), ==, 0);
    g_assert_cmpint(gmemHostConfGet(&second, &error), ==, 0);
    g_assert_cmpint(second.nrules, ==, 0);
    /* Readable by nobody, and then removed: the error disappears. */
    g_assert_cmpint(gmemHostConfRefresh(directory, NULL), ==, -1);
    g_assert_cmpint(gmemHostConfRefresh(path, &error), ==, 0);
    g_assert_no_error(error);
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
    static const char *const message = "must be owned by root, and writable by root only";
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
    g_test_add_func("/host-conf/rules", testRules);
    g_test_add_func("/host-conf/pattern-length", testPatternLength);
    g_test_add_func("/host-conf/read-only", testReadOnly);
    g_test_add_func("/host-conf/refresh", testRefresh);
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
