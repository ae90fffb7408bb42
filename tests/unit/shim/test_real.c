/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_real.c: the functions that the shim stands in front of are found. */

#include <errno.h>
#include <glib.h>

#include "gmemshimreal.h"

#define STRANGE_ERRNO 4242

static void
testReal(void)
{
    gmemShimRealTable *real;

    errno = STRANGE_ERRNO;
    real = gmemShimReal();
    g_assert_cmpint(errno, ==, STRANGE_ERRNO);
    g_assert_true(real == gmemShimReal());
    g_assert_nonnull(real->startMain);
    g_assert_nonnull(real->ioctl);
    g_assert_nonnull(real->memfdCreate);
    g_assert_nonnull(real->ftruncate);
    g_assert_nonnull(real->ftruncate64);
    g_assert_nonnull(real->fcntl);
    g_assert_nonnull(real->fcntl64);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/shim/real", testReal);
    return g_test_run();
}
