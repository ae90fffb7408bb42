/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_start.c: what the shim takes from QEMU's command line and from LD_PRELOAD. */

#include <glib.h>
#include <string.h>

#include "gmemshimreport.h"
#include "gmemshimstart.h"

#define GOOD "version=1,mode=fully-shared,backends=1,ram=4096"
/* With the hashes of two options that make memory (gmemargv.h). */
#define SEALED GOOD ",argv=92bbd280d7ab3bdc:92c60480d7b3e557"
#define FIRST "-object memory-backend-ram,id=a"
#define SECOND "-object memory-backend-ram,id=b"

static void
testArgv(void)
{
    static const struct {
        const char *before;
        gmemShimArgvResult result;
        const char *after; /* or the words of the reason */
    } cases[] = {
        {"qemu -S", GMEM_SHIM_ARGV_ABSENT, "qemu -S"},
        {"qemu", GMEM_SHIM_ARGV_ABSENT, "qemu"},
        {"qemu -S -x-libvirt-gmem " GOOD " -m 1", GMEM_SHIM_ARGV_TAKEN, "qemu -S -m 1"},
        {"qemu -x-libvirt-gmem " GOOD, GMEM_SHIM_ARGV_TAKEN, "qemu"},
        {"qemu --x-libvirt-gmem " GOOD " disk", GMEM_SHIM_ARGV_TAKEN, "qemu disk"},
        {"qemu -S -x-libvirt-gmem " GOOD, GMEM_SHIM_ARGV_TAKEN, "qemu -S"},
        {"qemu -append -x-libvirt-gmem", GMEM_SHIM_ARGV_ABSENT, "qemu -append -x-libvirt-gmem"},
        {"qemu -append -x-libvirt-gmem -x-libvirt-gmem " GOOD, GMEM_SHIM_ARGV_TAKEN,
         "qemu -append -x-libvirt-gmem"},
        {"qemu -name x-libvirt-gmem -S", GMEM_SHIM_ARGV_ABSENT, "qemu -name x-libvirt-gmem -S"},
        {"qemu -x-libvirt-gmemm " GOOD, GMEM_SHIM_ARGV_ABSENT, "qemu -x-libvirt-gmemm " GOOD},
        {"qemu -x-libvirt-gmem", GMEM_SHIM_ARGV_REFUSED, "it has no value"},
        {"qemu -x-libvirt-gmem -S", GMEM_SHIM_ARGV_REFUSED, "no version in '-S'"},
        {"qemu -x-libvirt-gmem " GOOD " -x-libvirt-gmem " GOOD, GMEM_SHIM_ARGV_REFUSED,
         "it is given 2 times"},
        {"qemu -x-libvirt-gmem " GOOD " -S -x-libvirt-gmem", GMEM_SHIM_ARGV_REFUSED,
         "it is given 2 times"},
        {"qemu " FIRST " " SECOND " -S -x-libvirt-gmem " SEALED, GMEM_SHIM_ARGV_TAKEN,
         "qemu " FIRST " " SECOND " -S"},
        {"qemu " FIRST " -x-libvirt-gmem " SEALED, GMEM_SHIM_ARGV_REFUSED,
         "of 2 options that make memory, which libvirt-gmem gave to the emulator, a wrapper has "
         "left "
         "only 1"},
        {"qemu " SECOND " " FIRST " -x-libvirt-gmem " SEALED, GMEM_SHIM_ARGV_REFUSED,
         "'" SECOND "' is not what libvirt-gmem gave"},
        {"qemu " FIRST " " SECOND " " SECOND " -x-libvirt-gmem " SEALED, GMEM_SHIM_ARGV_REFUSED,
         "'" SECOND "' is not what libvirt-gmem gave"},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) words = g_strsplit(cases[i].before, " ", -1);
        const guint count = g_strv_length(words);
        /* As on a process's stack: the environment comes right after argv. */
        g_autofree char **stack = g_new0(char *, count + 3);
        char environment[] = "HOME=/";
        char reason[GMEM_SHIM_REPORT_MAX] = "";
        gmemShimConfig config;
        char **argv = stack;
        int argc = (int)count;

        memcpy(stack, words, count * sizeof(*words));
        stack[count + 1] = environment;
        g_test_message("%s", cases[i].before);

        g_assert_cmpint(gmemShimStartHasPair(argv), ==, cases[i].result != GMEM_SHIM_ARGV_ABSENT);
        g_assert_cmpint(gmemShimStartTakePair(&argc, &argv, &config, reason, sizeof(reason)), ==,
                        cases[i].result);
        if (cases[i].result == GMEM_SHIM_ARGV_REFUSED) {
            g_assert_nonnull(strstr(reason, cases[i].after));
            g_assert_true(argv == stack);
            g_assert_cmpint(argc, ==, count);
        } else {
            g_autofree char *after = g_strjoinv(" ", argv);

            g_assert_cmpstr(after, ==, cases[i].after);
            g_assert_cmpint(argc, ==, g_strv_length(argv));
            if (cases[i].result == GMEM_SHIM_ARGV_TAKEN)
                gmemShimConfigClear(&config);
        }
        g_assert_null(argv[argc]);
        g_assert_true(argv[argc + 1] == environment);
    }
}

/* execve() allows this. */
static void
testArgvEmpty(void)
{
    char *argv[] = {NULL};

    g_assert_false(gmemShimStartHasPair(argv));
}

/* util/test_preload.c shows which entries are ours. */
static void
testPreload(void)
{
    static const struct {
        const char *before;
        const char *after; /* NULL: the variable is gone */
    } cases[] = {
        {"LD_PRELOAD=/a.so:/x/qemu-gmem.so:/b.so", "LD_PRELOAD=/a.so:/b.so"},
        {"LD_PRELOAD=/x/qemu-gmem.so", NULL},
        {"LD_PRELOAD=:/x/qemu-gmem.so::", NULL},
        {"LD_PRELOAD=qemu-gmem.so:libasan.so.8", "LD_PRELOAD=libasan.so.8"},
        {"LD_PRELOAD=libasan.so.8", "LD_PRELOAD=libasan.so.8"},
        {"LD_PRELOAD=", NULL},
        {"LD_PRELOADX=qemu-gmem.so", "LD_PRELOADX=qemu-gmem.so"},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *variable = g_strdup(cases[i].before);
        char home[] = "HOME=/root";
        char path[] = "PATH=/bin";
        char *environment[] = {home, variable, path, NULL};

        g_test_message("%s", cases[i].before);
        gmemShimStartDropPreload(environment);
        g_assert_cmpstr(environment[0], ==, "HOME=/root");
        if (cases[i].after == NULL) {
            g_assert_cmpstr(environment[1], ==, "PATH=/bin");
            g_assert_null(environment[2]);
        } else {
            g_assert_cmpstr(environment[1], ==, cases[i].after);
            g_assert_cmpstr(environment[2], ==, "PATH=/bin");
            g_assert_null(environment[3]);
        }
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/shim/argv", testArgv);
    g_test_add_func("/shim/argv/empty", testArgvEmpty);
    g_test_add_func("/shim/preload", testPreload);
    return g_test_run();
}
