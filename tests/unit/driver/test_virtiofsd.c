/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_virtiofsd.c: with which words virtiofsd is started. What it does then is tested in
 * ../../e2e/test_virtiofs.py. */

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmemautofd.h"
#include "gmemconnection.h"
#include "gmemprocess.h"
#include "gmemreal.h"

#define BINARY "/usr/libexec/virtiofsd"
/* Is there, and can be read. */
#define LIBRARY "/proc/self/exe"

/* Ends the child: what it has allocated is the image's that would take its place. */
static int
noteHere(const char *path, char *const argv[], char *const envp[] G_GNUC_UNUSED)
{
    g_autofree char *words = g_strjoinv(" ", (char **)argv);

    dprintf(STDOUT_FILENO, "%s: %s", path, words);
    _exit(0);
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

/* In a child, as libvirt does. */
static void
assertCall(const char *line, const char *preload, const char *expected)
{
    const char *path = g_str_has_prefix(expected, "env ") ? "/usr/bin/env" : BINARY;
    g_autofree char *called = g_strdup_printf("%s: %s", path, expected);
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    char *envp[] = {(char[]){"HOME=/"}, (char *)preload, NULL};
    GMEM_AUTO_FD said = memfd_create("said", MFD_CLOEXEC);
    char text[4096] = "";
    int status;
    pid_t child;

    g_test_message("%s", line);
    child = fork();
    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        dup2(said, STDOUT_FILENO);
        execve(BINARY, argv, envp);
        _exit(1);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpint(pread(said, text, sizeof(text) - 1, 0), >, 0);
    g_assert_cmpstr(text, ==, called);
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
