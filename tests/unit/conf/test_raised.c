/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_raised.c: raising again gives the same result as the first time, whatever else has been
 * raised before; the memory that is kept for this is limited, and only used with its lock held. */

#include <string.h>

#include "gmemlower.h"
#include "gmemnested.h"
#include "gmemraised.h"
#include "test_locks.h"

#define THREADS 4
#define ROUNDS 300

/* What stock libvirt would show of a domain called @name, as far as it matters here. */
static char *
testStored(const char *name)
{
    g_autofree char *xml = g_strdup_printf(
        "<domain type='kvm' id='1' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
        "  <name>%s</name>\n  <memory unit='KiB'>65536</memory>\n"
        "  <memoryBacking>\n    <private/>\n  </memoryBacking>\n  <vcpu>1</vcpu>\n"
        "  <os>\n    <type arch='x86_64' machine='q35'>hvm</type>\n  </os>\n"
        "  <qemu:commandline>\n    <qemu:arg value='-snapshot'/>\n  </qemu:commandline>\n"
        "</domain>\n",
        name);
    g_autoptr(GError) error = NULL;
    char *stored = gmemLower(xml, false, NULL, &error);

    g_assert_no_error(error);
    return stored;
}

/* In both ways, including errors, and each of them twice. */
static void
testAgree(const char *stored)
{
    int i;

    for (i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GError) errorAgain = NULL;
        g_autofree char *raised = gmemRaiseDomains(stored, gmemNestedFind, NULL, &error);
        g_autofree char *again = gmemNestedRaiseAgain(stored, &errorAgain);

        g_assert_cmpstr(again, ==, raised);
        g_assert_cmpstr(errorAgain != NULL ? errorAgain->message : NULL, ==,
                        error != NULL ? error->message : NULL);
    }
}

static void
testOthers(void)
{
    g_autofree char *stored = testStored("vm");
    g_autofree char *raised = gmemRaiseDomains(stored, gmemNestedFind, NULL, NULL);
    g_autofree char *snapshot = g_strdup_printf("<domainsnapshot>%s</domainsnapshot>", stored);
    size_t length = strlen(stored);
    size_t i;

    g_assert_nonnull(strstr(raised, "<private/>"));
    testAgree(stored);
    g_assert_cmpuint(gmemRaisedSize(), >, 0);
    testAgree(snapshot);
    /* Of the same length and almost equal, and shorter ones. */
    for (i = 0; i < length; i++) {
        char was = stored[i];

        stored[i] = was == '7' ? '8' : '7';
        testAgree(stored);
        stored[i] = '\0';
        testAgree(stored);
        stored[i] = was;
    }
    testAgree(stored);
}

/* The first call determines the result, and the second one finds it stored. */
static void
testKnown(void)
{
    g_autofree char *stored = testStored("known");
    g_autofree char *unknown = gmemRaisedApply(stored);
    g_autofree char *raised = gmemNestedRaiseAgain(stored, NULL);
    g_autofree char *known = gmemRaisedApply(stored);

    g_assert_null(unknown);
    g_assert_cmpstr(known, ==, raised);
}

static void
testLimit(void)
{
    size_t before = gmemRaisedSize();
    bool forgotten = false;
    int i;

    for (i = 0; !forgotten && i < 200000; i++) {
        g_autofree char *name = g_strdup_printf("vm-%d", i);
        g_autofree char *stored = testStored(name);
        g_autofree char *raised = gmemNestedRaiseAgain(stored, NULL);
        size_t size = gmemRaisedSize();

        g_assert_nonnull(raised);
        g_assert_cmpuint(size, <=, GMEM_RAISED_SIZE_MAX);
        forgotten = size < before;
        before = size;
    }
    g_assert_true(forgotten);
    g_test_message("forgotten after %d domains", i);
    g_assert_cmpint(i, >, 10000);
}

static void *
testThread(void *data)
{
    int i;

    for (i = 0; i < ROUNDS; i++) {
        g_autofree char *name = g_strdup_printf("vm-%d", i % 7);
        g_autofree char *stored = testStored(name);

        testAgree(stored);
    }
    return data;
}

static void
testThreads(void)
{
    GThread *threads[THREADS];
    int i;

    for (i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("raise", testThread, NULL);
    for (i = 0; i < THREADS; i++)
        g_thread_join(threads[i]);
    testLocksWereHeld(2 * THREADS * ROUNDS);
}

/* libvirt declares the namespace of its arguments in the first tag of a domain. */
static void
testMayHavePair(void)
{
    g_autofree char *stored = testStored("vm");
    g_autofree char *snapshot = g_strdup_printf("<domainsnapshot>%s</domainsnapshot>", stored);

    g_assert_true(gmemRaiseMayHavePair(stored));
    g_assert_true(gmemRaiseMayHavePair(snapshot));
    g_assert_false(gmemRaiseMayHavePair("<domain type='kvm'>\n  <title>-x-libvirt-gmem</title>\n"
                                        "</domain>\n"));
    g_assert_false(gmemRaiseMayHavePair("<domain type='kvm' xmlns:qemu='x'>\n</domain>\n"));
    g_assert_true(gmemRaiseMayHavePair("<domain type='kvm' xmlns:qemu='x'>-x-libvirt-gmem"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raised/known", testKnown);
    g_test_add_func("/raised/other texts", testOthers);
    g_test_add_func("/raised/threads", testThreads);
    g_test_add_func("/raised/limit", testLimit);
    g_test_add_func("/raised/may have a pair", testMayHavePair);
    return g_test_run();
}
