/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_connection.c: what is known about connections while many threads open some at once, and that
 * their table is not touched without its lock. */

#include "gmemconnection.h"

#include <glib.h>
#include <string.h>

#include "gmemreal.h"

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
ignoreError(virErrorPtr error G_GNUC_UNUSED)
{
}

static const gmemRealTable table = {
    .virConnectOpen = openOne,
    .virConnectOpenReadOnly = openOne,
    .virSetError = ignoreError,
};

const gmemRealTable *__wrap_gmemReal(void);
const gmemRealTable *
__wrap_gmemReal(void)
{
    return &table;
}

/* In front of libvirt's, which would look at what is behind the address. */
char *
virConnectGetURI(virConnectPtr conn G_GNUC_UNUSED)
{
    return strdup("test:///default");
}

/* How many locks this thread holds, as gmemconnection.c, whose calls are diverted to here, took and
 * released them; and how often it touched its table. */
static _Thread_local int held;
static _Thread_local int touched;

void __real_g_mutex_lock(GMutex *mutex);
GMEM_INTERPOSED void __wrap_g_mutex_lock(GMutex *mutex);
void
__wrap_g_mutex_lock(GMutex *mutex)
{
    __real_g_mutex_lock(mutex);
    held++;
}

void __real_g_mutex_unlock(GMutex *mutex);
GMEM_INTERPOSED void __wrap_g_mutex_unlock(GMutex *mutex);
void
__wrap_g_mutex_unlock(GMutex *mutex)
{
    held--;
    __real_g_mutex_unlock(mutex);
}

gboolean __real_g_hash_table_insert(GHashTable *all, gpointer key, gpointer value);
GMEM_INTERPOSED gboolean __wrap_g_hash_table_insert(GHashTable *all, gpointer key, gpointer value);
gboolean
__wrap_g_hash_table_insert(GHashTable *all, gpointer key, gpointer value)
{
    g_assert_cmpint(held, ==, 1);
    touched++;
    return __real_g_hash_table_insert(all, key, value);
}

gboolean __real_g_hash_table_lookup_extended(GHashTable *all,
                                             gconstpointer wanted,
                                             gpointer *key,
                                             gpointer *value);
GMEM_INTERPOSED gboolean __wrap_g_hash_table_lookup_extended(GHashTable *all,
                                                             gconstpointer wanted,
                                                             gpointer *key,
                                                             gpointer *value);
gboolean
__wrap_g_hash_table_lookup_extended(GHashTable *all,
                                    gconstpointer wanted,
                                    gpointer *key,
                                    gpointer *value)
{
    g_assert_cmpint(held, ==, 1);
    touched++;
    return __real_g_hash_table_lookup_extended(all, wanted, key, value);
}

/* Opening, asking and changing: what touches the table does so with the lock, and releases it. */
static void
testLock(void)
{
    virConnectPtr conn = virConnectOpenReadOnly(NULL);

    g_assert_cmpint(touched, ==, 1);
    g_assert_cmpint(held, ==, 0);
    g_assert_true(gmemConnectionIsReadOnly(conn));
    g_assert_cmpint(touched, ==, 2);
    g_assert_cmpint(held, ==, 0);
    g_assert_false(gmemConnectionIsOurs(conn));
    g_assert_cmpint(touched, >, 2);
    g_assert_cmpint(held, ==, 0);
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
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/driver-connection/lock", testLock);
    g_test_add_func("/driver-connection/threads", testThreads);
    return g_test_run();
}
