/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_files.c: what is noted of a file in libvirt's directory, and that what was noted is never
 * forgotten. What becomes of its domain is tested in ../../e2e/test_ways_around.py, and what a
 * daemon without private domains is asked in ../../e2e/test_unasked.py. */

#include "../../../src/driver/gmemfiles.c"

#include <glib/gstdio.h>
#include <sys/wait.h>

#include "gmemautofd.h"

#define DOMAIN(rest)                                                                               \
    "<domain type='kvm'><name>a</name><memory unit='GiB'>1</memory>" rest "</domain>"
#define OS "<os><type arch='x86_64' machine='q35'>hvm</type></os>"
#define FULLY_SHARED DOMAIN(OS "<memoryBacking><private/></memoryBacking>")
#define CONVERTIBLE DOMAIN(OS "<launchSecurity type='sw-protected'/>")

#define CONNECTION GINT_TO_POINTER(16) /* it is not dereferenced */
#define THREADS 4
#define ROUNDS 200

static char *root; /* the directory of an embedded driver */

/* The whole driver is behind it. */
char *
gmemConnectionGetRoot(virConnectPtr conn G_GNUC_UNUSED)
{
    return g_strdup(root);
}

bool
gmemProcessIsDaemon(void)
{
    return false;
}

bool
gmemProcessImports(const char *name G_GNUC_UNUSED)
{
    return true;
}

static int
reload(void)
{
    return *gmemFilesPrivate ? 0 : -1;
}

const gmemRealTable *
gmemReal(void)
{
    static const gmemRealTable table = {.virStateReload = reload};

    return &table;
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
    *gmemFilesPrivate = false;
    rc = gmemFilesRead(path, &plan, &error);
    g_assert_cmpint(unlink(path), ==, 0);
    g_assert_cmpint(rc, ==, error != NULL ? -1 : 0);
    *mode = plan != NULL ? plan->mode : GMEM_MODE_NONE;
    if (rc < 0)
        *mode = GMEM_MODE_LAST;
    return *gmemFilesPrivate;
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

static void
forget(void)
{
    *gmemFilesPrivate = false;
    gmemFilesSearched = false;
}

/* libvirt's directories, in which @file, if it is not NULL, has @text. */
static void
prepare(const char *file, const char *text)
{
    static const char *const directories[] = {"etc/qemu", "run/qemu"};
    size_t i;

    root = g_dir_make_tmp("gmem-files-XXXXXX", NULL);
    for (i = 0; i < G_N_ELEMENTS(directories); i++) {
        g_autofree char *directory = g_build_filename(root, directories[i], NULL);

        g_assert_cmpint(g_mkdir_with_parents(directory, 0700), ==, 0);
    }
    if (file != NULL) {
        g_autofree char *path = g_build_filename(root, file, NULL);

        if (text != NULL)
            g_assert_true(g_file_set_contents(path, text, -1, NULL));
        else
            g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
    }
    forget();
}

static void
finish(const char *file)
{
    static const char *const directories[] = {"etc/qemu", "etc", "run/qemu", "run", ""};
    g_autofree char *path = file != NULL ? g_build_filename(root, file, NULL) : NULL;
    size_t i;

    if (path != NULL)
        g_assert_cmpint(g_remove(path), ==, 0);
    for (i = 0; i < G_N_ELEMENTS(directories); i++) {
        g_autofree char *directory = g_build_filename(root, directories[i], NULL);

        g_assert_cmpint(g_rmdir(directory), ==, 0);
    }
    g_clear_pointer(&root, g_free);
}

/* What a search finds. */
static void
testSearch(void)
{
    g_autofree char *stored = gmemLower(FULLY_SHARED, false, NULL, NULL);
    g_autofree char *status =
        g_strconcat("<domstatus><privateData/>", stored, "</domstatus>", NULL);
    const struct {
        const char *file;
        const char *text; /* NULL: it cannot be read */
        bool private;
    } cases[] = {
        {NULL, NULL, false},
        {"etc/qemu/a.xml", DOMAIN(OS), false},
        {"etc/qemu/a.xml", stored, true},
        {"etc/qemu/a.xml", FULLY_SHARED, true},
        {"etc/qemu/a.xml", NULL, true},
        {"etc/qemu/a.xml~", stored, false},
        {"run/qemu/a.xml", "<domstatus><privateData/>" DOMAIN(OS) "</domstatus>", false},
        {"run/qemu/a.xml", status, true},
        {"run/qemu/a.xml", NULL, true},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%zu: %s", i, cases[i].file != NULL ? cases[i].file : "");
        prepare(cases[i].file, cases[i].text);
        /* Nothing is searched without a connection. */
        g_assert_true(gmemFilesMayBePrivate(NULL));
        g_assert_false(gmemFilesSearched);
        g_assert_cmpint(gmemFilesMayBePrivate(CONNECTION), ==, cases[i].private);
        g_assert_cmpint(gmemFilesMayBePrivate(NULL), ==, cases[i].private);
        finish(cases[i].file);
    }
}

/* libvirt has other directories than these, or has not made them yet. */
static void
testElsewhere(void)
{
    static const char *const directories[] = {"run/qemu", "etc/qemu"};
    char *known;
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(directories); i++) {
        g_autofree char *directory = NULL;

        prepare(NULL, NULL);
        directory = g_build_filename(root, directories[i], NULL);
        g_assert_cmpint(g_rmdir(directory), ==, 0);
        g_assert_true(gmemFilesMayBePrivate(CONNECTION));
        g_assert_cmpint(g_mkdir(directory, 0700), ==, 0);
        g_assert_true(gmemFilesMayBePrivate(NULL));
        g_assert_false(gmemFilesMayBePrivate(CONNECTION));
        finish(NULL);
    }

    /* An embedded driver's root is not understood. */
    prepare(NULL, NULL);
    known = g_steal_pointer(&root);
    g_assert_true(gmemFilesMayBePrivate(CONNECTION));
    root = known;
    finish(NULL);
}

/* Nothing is searched for another process. */
static void
testChild(void)
{
    pid_t pid;
    int status;

    prepare(NULL, NULL);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0)
        _exit(gmemFilesMayBePrivate(CONNECTION) ? 1 : 0);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
    g_assert_true(gmemFilesMayBePrivate(NULL));
    finish(NULL);
}

/* It is noted before libvirt reads its files again, by a child, too, and for good. */
static void
testNoted(void)
{
    pid_t pid;
    int i, status;

    for (i = 0; i < 3; i++) {
        prepare(NULL, NULL);
        g_assert_false(gmemFilesMayBePrivate(CONNECTION));
        if (i == 0) {
            gmemFilesNotePrivate();
        } else if (i == 1) {
            g_assert_cmpint(virStateReload(), ==, 0);
        } else {
            pid = fork();
            g_assert_cmpint(pid, >=, 0);
            if (pid == 0) {
                gmemFilesNotePrivate();
                _exit(0);
            }
            g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        }
        g_assert_true(gmemFilesMayBePrivate(NULL));
        g_assert_true(gmemFilesMayBePrivate(CONNECTION));
        gmemFilesSearch(CONNECTION);
        g_assert_true(gmemFilesMayBePrivate(CONNECTION));
        finish(NULL);
    }
}

static int noted;

static gpointer
ask(gpointer data G_GNUC_UNUSED)
{
    int before;

    do {
        before = __atomic_load_n(&noted, __ATOMIC_SEQ_CST);
        if (!gmemFilesMayBePrivate(CONNECTION) && before != 0)
            return GINT_TO_POINTER(1);
    } while (before == 0);
    return NULL;
}

/* Nobody gets the old answer afterwards, however many threads search at that moment. */
static void
testThreads(void)
{
    GThread *threads[THREADS];
    int round, i;

    prepare(NULL, NULL);
    for (round = 0; round < ROUNDS; round++) {
        forget();
        __atomic_store_n(&noted, 0, __ATOMIC_SEQ_CST);
        for (i = 0; i < THREADS; i++)
            threads[i] = g_thread_new("asks", ask, NULL);
        gmemFilesNotePrivate();
        __atomic_store_n(&noted, 1, __ATOMIC_SEQ_CST);
        for (i = 0; i < THREADS; i++)
            g_assert_null(g_thread_join(threads[i]));
        g_assert_true(gmemFilesMayBePrivate(NULL));
    }
    finish(NULL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/driver-files/written", testWritten);
    g_test_add_func("/driver-files/stored", testStored);
    g_test_add_func("/driver-files/search", testSearch);
    g_test_add_func("/driver-files/elsewhere", testElsewhere);
    g_test_add_func("/driver-files/child", testChild);
    g_test_add_func("/driver-files/noted", testNoted);
    g_test_add_func("/driver-files/threads", testThreads);
    return g_test_run();
}
