/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_locks.h: notices a table of several threads that one of them uses without its lock, which
 * would rarely be seen by what comes of it. For one source of a program that is linked with
 * test_locks_wraps (meson.build): the functions here then stand in front of GLib's.
 *
 * The table is the one that is used with a lock held; there must be one. */

#pragma once

#include <glib.h>

#define TEST_LOCKS_WRAP(type, name, parameters, arguments)                                         \
    type __real_##name parameters;                                                                 \
    __attribute__((visibility("default"))) type __wrap_##name parameters;                          \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        testLocksUse(table);                                                                       \
        return __real_##name arguments;                                                            \
    }

/* How many locks this thread holds. */
static __thread int testLocksHeld;
static GHashTable *testLocksTable;
static gint testLocksUsed;
static gint testLocksForgotten;

static void
testLocksUse(GHashTable *table)
{
    if (testLocksHeld > 0)
        g_atomic_pointer_set(&testLocksTable, table);
    if (g_atomic_pointer_get(&testLocksTable) != table)
        return;
    g_atomic_int_inc(&testLocksUsed);
    if (testLocksHeld == 0)
        g_atomic_int_inc(&testLocksForgotten);
}

/* The table was used at least @least times, each time with its lock held. */
static void
testLocksWereHeld(int least)
{
    g_assert_cmpint(g_atomic_int_get(&testLocksUsed), >=, least);
    g_assert_cmpint(g_atomic_int_get(&testLocksForgotten), ==, 0);
}

void __real_g_mutex_lock(GMutex *mutex);
void __real_g_mutex_unlock(GMutex *mutex);
__attribute__((visibility("default"))) void __wrap_g_mutex_lock(GMutex *mutex);
__attribute__((visibility("default"))) void __wrap_g_mutex_unlock(GMutex *mutex);

void
__wrap_g_mutex_lock(GMutex *mutex)
{
    __real_g_mutex_lock(mutex);
    testLocksHeld++;
}

void
__wrap_g_mutex_unlock(GMutex *mutex)
{
    testLocksHeld--;
    __real_g_mutex_unlock(mutex);
}

TEST_LOCKS_WRAP(gboolean, g_hash_table_add, (GHashTable * table, gpointer key), (table, key))
TEST_LOCKS_WRAP(gboolean,
                g_hash_table_contains,
                (GHashTable * table, gconstpointer key),
                (table, key))
TEST_LOCKS_WRAP(gboolean,
                g_hash_table_insert,
                (GHashTable * table, gpointer key, gpointer value),
                (table, key, value))
TEST_LOCKS_WRAP(gpointer,
                g_hash_table_lookup,
                (GHashTable * table, gconstpointer key),
                (table, key))
TEST_LOCKS_WRAP(gboolean,
                g_hash_table_lookup_extended,
                (GHashTable * table, gconstpointer key, gpointer *stored, gpointer *value),
                (table, key, stored, value))
TEST_LOCKS_WRAP(void, g_hash_table_remove_all, (GHashTable * table), (table))
