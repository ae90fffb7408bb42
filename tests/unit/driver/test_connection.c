/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_connection.c: what is known about connections while many threads open some at once, and that
 * their table is not touched without its lock; and the directory of an embedded driver. */

#include "gmemconnection.h"

#include <glib.h>
#include <string.h>

#include "gmemreal.h"
#include "test_locks.h"

#define THREADS 4
#define ROUNDS 25000

/* Addresses with nothing behind them, because they are not dereferenced. */
static virConnectPtr
openAny(void)
{
    static gint made;

    return GINT_TO_POINTER(16 * (g_atomic_int_add(&made, 1) + 1));
}

static virConnectPtr
openOne(const char *name G_GNUC_UNUSED)
{
    return openAny();
}

static void
ignoreReport(void *data G_GNUC_UNUSED, virErrorPtr error G_GNUC_UNUSED)
{
}

static int given; /* the code of the error that was set last */

static void
noteError(virErrorPtr error)
{
    given = error->code;
}

static const gmemRealTable table = {
    .virConnectOpen = openOne,
    .virConnectOpenReadOnly = openOne,
    .virSetError = noteError,
};

const gmemRealTable *__wrap_gmemReal(void);
const gmemRealTable *
__wrap_gmemReal(void)
{
    return &table;
}

static const char *uri = "test:///default";

/* In front of libvirt's, which would look at what is behind the address. */
char *
virConnectGetURI(virConnectPtr conn G_GNUC_UNUSED)
{
    return strdup(uri);
}

/* The directory is the one that libvirt finds in the URI, and no other. */
static void
testRoot(void)
{
    static const struct {
        const char *uri;
        const char *root;
    } cases[] = {
        {"qemu:///embed?root=/a", "/a"},
        {"qemu:///embed?ROOT=/a", "/a"},
        {"qemu:///embed?root=/a%20b%26c", "/a b&c"},
        {"qemu:///embed?%72oot=/a&root=/b", "/a"},
        {"qemu:///embed?&&x&=y&root=/a&root=/b", "/a"},
        {"qemu:///embed?x=1;root=/a", "/a"},
        {"qemu:///embed?x=1;root=/a&root=/b", "/b"},
        {"qemu:///embed?root=/a;x=1&y", "/a;x=1"},
        {"qemu:///embed?x=root=/a&roots=/b&oot=/c", NULL},
        {"qemu:///embed?root", NULL},
        {"qemu:///embed", NULL},
        {"qemu:///system?root=/a", NULL},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *root = NULL;

        uri = cases[i].uri;
        root = gmemConnectionGetRoot(openAny());
        g_test_message("%s", uri);
        g_assert_cmpstr(root, ==, cases[i].root);
    }
    uri = "test:///default";
}

/* Opening, asking and changing: what touches the table does so with the lock, and releases it. */
static void
testLock(void)
{
    virConnectPtr conn = virConnectOpenReadOnly(NULL);

    g_assert_cmpint(testLocksUsed, ==, 1);
    g_assert_cmpint(testLocksHeld, ==, 0);
    g_assert_true(gmemConnectionIsReadOnly(conn));
    g_assert_cmpint(testLocksUsed, ==, 2);
    g_assert_cmpint(testLocksHeld, ==, 0);
    g_assert_false(gmemConnectionIsOurs(conn));
    g_assert_cmpint(testLocksUsed, >, 2);
    g_assert_cmpint(testLocksHeld, ==, 0);
    /* What was found out later has been added to it. */
    g_assert_true(gmemConnectionIsReadOnly(conn));
    g_assert_false(gmemConnectionMayCall(conn, GMEM_WRITER, 0));
}

/* An error outlives a call in between, and is freed, which AddressSanitizer checks. */
static void
testErrors(void)
{
    g_assert_cmpint(virInitialize(), ==, 0);
    virSetErrorFunc(NULL, ignoreReport);
    g_assert_null(gmemConnectionKeepError());
    gmemConnectionGiveError(NULL);
    g_assert_cmpint(given, ==, 0);
    g_assert_null(virConnectGetType(NULL));
    gmemConnectionGiveError(gmemConnectionKeepError());
    g_assert_cmpint(given, ==, VIR_ERR_INVALID_CONN);
}

static gint begun;

static gpointer
openMany(gpointer data)
{
    bool readOnly = data != NULL;
    guint wrong = 0;
    virConnectPtr former = NULL;
    int i;

    g_atomic_int_inc(&begun);
    while (g_atomic_int_get(&begun) < THREADS)
        g_thread_yield();
    for (i = 0; i < ROUNDS; i++) {
        virConnectPtr conn = readOnly ? virConnectOpenReadOnly(NULL) : virConnectOpen(NULL);

        wrong += gmemConnectionIsReadOnly(conn) != readOnly;
        wrong += gmemConnectionMayCall(conn, GMEM_WRITER, 0) == readOnly;
        wrong += former != NULL && gmemConnectionIsReadOnly(former) != readOnly;
        former = conn;
    }
    return GUINT_TO_POINTER(wrong);
}

static void
testThreads(void)
{
    GThread *threads[THREADS];
    size_t i;

    for (i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("opens", openMany, GSIZE_TO_POINTER(i % 2));
    for (i = 0; i < THREADS; i++)
        g_assert_cmpuint(GPOINTER_TO_UINT(g_thread_join(threads[i])), ==, 0);
    testLocksWereHeld(3 * THREADS * ROUNDS);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/driver-connection/errors", testErrors);
    g_test_add_func("/driver-connection/root", testRoot);
    g_test_add_func("/driver-connection/lock", testLock);
    g_test_add_func("/driver-connection/threads", testThreads);
    return g_test_run();
}
