/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_virtiofsd.c: with which words virtiofsd is started. What it does then is tested in
 * ../../e2e/test_virtiofs.py. */

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "gmemconnection.h"
#include "gmemprocess.h"
#include "gmemreal.h"

#define BINARY "/usr/libexec/virtiofsd"
/* Is there, and can be read. */
#define LIBRARY "/proc/self/exe"

/* The first call of the real execve(). */
static struct {
    char *path;
    char **words;
} called;

static int
noteHere(const char *path, char *const argv[], char *const envp[] G_GNUC_UNUSED)
{
    if (called.path == NULL) {
        called.path = g_strdup(path);
        called.words = g_strdupv((char **)argv);
    }
    errno = ENOENT;
    return -1;
}

static void
ignoreError(virErrorPtr error G_GNUC_UNUSED)
{
}

const gmemRealTable *__wrap_gmemReal(void);
const gmemRealTable *
__wrap_gmemReal(void)
{
    static const gmemRealTable table = {.execve = noteHere, .virSetError = ignoreError};

    return &table;
}

bool __wrap_gmemProcessCallerIsLibvirt(const void *address);
bool
__wrap_gmemProcessCallerIsLibvirt(const void *address G_GNUC_UNUSED)
{
    return true;
}

const char *__wrap_gmemProcessVhostUserPath(void);
const char *
__wrap_gmemProcessVhostUserPath(void)
{
    return LIBRARY;
}

/* As in test_exec.c. */
char *
gmemConnectionGetRoot(virConnectPtr conn G_GNUC_UNUSED)
{
    return NULL;
}

static void
assertCall(const char *line, const char *preload, const char *expected)
{
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    g_autofree char *home = g_strdup("HOME=/");
    g_autofree char *variable = g_strdup(preload);
    char *envp[] = {home, variable, NULL};
    g_autofree char *words = NULL;

    g_test_message("%s", line);
    g_assert_cmpint(execve(BINARY, argv, envp), ==, -1);
    g_assert_nonnull(called.path);
    words = g_strjoinv(" ", called.words);
    g_assert_cmpstr(words, ==, expected);
    g_assert_cmpstr(called.path, ==, g_str_has_prefix(expected, "env ") ? "/usr/bin/env" : BINARY);
    g_clear_pointer(&called.path, g_free);
    g_clear_pointer(&called.words, g_strfreev);
}

/* All words arrive, and nothing behind them: with each number of them, because memory that is too
 * short by a word is only next to something else with every second one. */
static void
testWords(void)
{
    g_autoptr(GString) line = g_string_new(BINARY " --fd=30");
    int i;

    for (i = 0; i < 8; i++) {
        g_autofree char *text = NULL;
        g_autofree char *expected = NULL;

        g_string_append(line, i == 0 ? " --shared-dir" : " --option");
        text = g_strdup(line->str);
        expected = g_strconcat("env LD_PRELOAD=" LIBRARY " ", text, NULL);
        assertCall(text, NULL, expected);
        g_free(expected);
        expected = g_strconcat("env LD_PRELOAD=libother.so:" LIBRARY " ", text, NULL);
        assertCall(text, "LD_PRELOAD=libother.so", expected);
    }
}

/* What is not virtiofsd, or is one of a domain that has no private memory, is started as ever. */
static void
testOthers(void)
{
    static const char *const lines[] = {
        BINARY,
        BINARY " --fd=30",
        BINARY " --shared-dir /srv",
        BINARY " --shared-dir --fd=30",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(lines); i++)
        assertCall(lines[i], NULL, lines[i]);
    gmemProcessSetStartsOrdinary(true);
    assertCall(BINARY " --fd=30 --shared-dir /srv", NULL, BINARY " --fd=30 --shared-dir /srv");
    gmemProcessSetStartsOrdinary(false);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/driver-virtiofsd/words", testWords);
    g_test_add_func("/driver-virtiofsd/others", testOthers);
    return g_test_run();
}
