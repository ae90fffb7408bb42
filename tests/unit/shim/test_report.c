/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_report.c: what the shim prints is one line, complete or truncated, and does not change
 * errno. */

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "gmemshimreport.h"
#include "test_captured.h"

static void
testReport(void)
{
    g_autofree char *longText = g_strnfill(3 * GMEM_SHIM_REPORT_MAX, 'x');
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    Captured captured;

    captureStart(&captured);
    errno = EBADF;
    gmemShimReport("%s: %m", "one");
    g_assert_cmpint(errno, ==, EBADF);
    gmemShimReport("%s", longText);
    text = captureEnd(&captured);

    lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 3);
    g_assert_cmpstr(lines[0], ==, "qemu-gmem: one: Bad file descriptor");
    g_assert_cmpuint(strlen(lines[1]), ==, GMEM_SHIM_REPORT_MAX - 2);
    g_assert_cmpstr(lines[2], ==, "");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/shim/report", testReport);
    return g_test_run();
}
