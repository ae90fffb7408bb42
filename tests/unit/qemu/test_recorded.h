/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_recorded.h: the answers of real QEMUs that were asked what they offer; ../../record-qmp.py
 * records them. */
#pragma once

#include <glib.h>

static const struct {
    const char *name;
    unsigned int version;
} testRecorded[] = {
    {"7.2", 7002022},
    {"10.0", 10000013},
    {"11.1", 11001003},
};

/* The lines of QMP that the QEMU with that name printed. */
static inline char *
testRecordedReplies(const char *name)
{
    g_autofree char *path = g_strdup_printf(RECORDED_DATA "/qemu-%s.replies.gz", name);
    char *const argv[] = {(char[]){"/bin/gzip"}, (char[]){"-dc"}, path, NULL};
    g_autoptr(GError) error = NULL;
    char *text = NULL;
    int status = -1;

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &text, NULL, &status,
                 &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
    return text;
}
