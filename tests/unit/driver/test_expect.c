/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_expect.c: what a thread's call leaves for its child, but not for the next call. */

#include "gmemexpect.h"

#include <glib.h>

#include "gmemconnection.h"
#include "gmemprocess.h"
#include "gmemreal.h"

static void
testNextCall(void)
{
    const gmemPlan plan = {.mode = GMEM_MODE_CONVERTIBLE};
    gmemMode mode;

    g_assert_false(gmemExpected(&mode));
    gmemExpect(&plan);
    g_assert_true(gmemExpected(&mode));
    g_assert_cmpint(mode, ==, GMEM_MODE_CONVERTIBLE);
    gmemExpect(NULL);
    g_assert_true(gmemExpected(&mode));
    g_assert_cmpint(mode, ==, GMEM_MODE_NONE);
    gmemProcessSetStartsOrdinary(true);

    g_assert_false(gmemConnectionMayCall(NULL, GMEM_ANYBODY, 0));
    g_assert_false(gmemExpected(&mode));
    g_assert_false(gmemProcessStartsOrdinary());
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/driver-expect/next-call", testNextCall);
    return g_test_run();
}
