/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_captured.h: what the shim reports on stderr. */
#pragma once

#include <fcntl.h>
#include <glib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gmemshimreport.h"

/* What is written to stderr while this exists. */
typedef struct {
    int saved;
    int file;
} Captured;

static inline void
captureStart(Captured *captured)
{
    captured->file = (int)syscall(SYS_memfd_create, "captured", MFD_CLOEXEC);
    g_assert_cmpint(captured->file, >=, 0);
    captured->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    g_assert_cmpint(dup2(captured->file, STDERR_FILENO), ==, STDERR_FILENO);
}

static inline char *
captureEnd(Captured *captured)
{
    char text[4 * GMEM_SHIM_REPORT_MAX] = "";
    ssize_t length;

    g_assert_cmpint(dup2(captured->saved, STDERR_FILENO), ==, STDERR_FILENO);
    close(captured->saved);
    length = pread(captured->file, text, sizeof(text) - 1, 0);
    close(captured->file);
    g_assert_cmpint(length, >=, 0);
    return g_strndup(text, (gsize)length);
}
