/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_native.c: the command line as text, and the words of LD_PRELOAD. */

#include <string.h>

#include "gmemcapabilities.h"
#include "gmemnative.h"

#define CARRIER "'{\"version\":1,\"mode\":\"fully-shared\",\"added\":[]}'"
#define BACKEND                                                                                    \
    "-object '{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,"            \
    "\"size\":67108864}'"
#define MACHINE "-machine q35,accel=kvm,memory-backend=pc.ram"
#define CONFIG                                                                                     \
    "version=1,mode=fully-shared,backends=1,ram=67108864,argv=483ac13100a9ae46:2c0c9d15e21d7f8e"

static const gmemQEMUCaps stockQEMU = {
    .emulator = (char *)"/usr/bin/qemu-system-x86_64",
    .version = 7002022,
    .flags = G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_MEMFD,
};

/* Whether the command line is ours, or cannot be read. */
static bool
testConcerned(const char *native)
{
    g_autoptr(gmemNative) words = NULL;

    return gmemNativeRead(native, &words, NULL) < 0 || words != NULL;
}

static char *
testBuilt(const char *native, const char *shim, GError **error)
{
    g_autoptr(gmemNative) words = NULL;

    if (gmemNativeRead(native, &words, error) < 0)
        return NULL;
    g_assert_nonnull(words);
    return gmemNativeBuild(words, &stockQEMU, shim, error);
}

static void
testConcerns(void)
{
    g_assert_false(testConcerned("LC_ALL=C /bin/qemu -machine q35"));
    g_assert_true(testConcerned("LC_ALL=C /bin/qemu -x-libvirt-gmem '{}'"));
    g_assert_true(testConcerned("A='b c' /bin/qemu '-x-libvirt-gmem' '{}'"));
    /* the text is the value of something else */
    g_assert_false(testConcerned("/bin/qemu -append -x-libvirt-gmem"));
    g_assert_false(testConcerned("A=-x-libvirt-gmem /bin/qemu -append \"a -x-libvirt-gmem\""));
    /* what cannot be read is not accepted */
    g_assert_true(testConcerned("/bin/qemu -append 'x-libvirt-gmem"));
}

static void
testBuild(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *got =
        testBuilt("LC_ALL=C A='it'\\''s' /bin/qemu -name 'guest=a b' " MACHINE " " BACKEND
                  " -x-libvirt-gmem " CARRIER " -append \"kept as it is\" ''",
                  "/lib/qemu-gmem.so", &error);

    g_assert_no_error(error);
    g_assert_cmpstr(got, ==,
                    "LC_ALL=C A='it'\\''s' LD_PRELOAD=/lib/qemu-gmem.so /bin/qemu -name "
                    "'guest=a b' " MACHINE " " BACKEND " -x-libvirt-gmem " CONFIG
                    " -append \"kept as it is\" ''");
}

static void
testBuildPreload(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *got = testBuilt("LD_PRELOAD=/lib/asan.so B=1 /bin/qemu " MACHINE " " BACKEND
                                     " -x-libvirt-gmem " CARRIER,
                                     "/a b/qemu-gmem.so", &error);

    g_assert_no_error(error);
    g_assert_cmpstr(got, ==,
                    "LD_PRELOAD='/lib/asan.so:/a b/qemu-gmem.so' B=1 /bin/qemu " MACHINE " " BACKEND
                    " -x-libvirt-gmem " CONFIG);
}

static void
testBuildLines(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *got = testBuilt("LC_ALL=C \\\n/bin/qemu \\\n" MACHINE " \\\n" BACKEND
                                     " \\\n-x-libvirt-gmem " CARRIER,
                                     "/lib/qemu-gmem.so", &error);

    g_assert_no_error(error);
    g_assert_cmpstr(got, ==,
                    "LC_ALL=C LD_PRELOAD=/lib/qemu-gmem.so /bin/qemu " MACHINE " " BACKEND
                    " -x-libvirt-gmem " CONFIG);
}

/* After the program, nothing is an assignment; a quote that begins a word does not have to end
 * it. */
static void
testBuildWords(void)
{
    static const char machine[] = "-machine 'q35,accel='kvm',memory-backend=pc.ram'";
    g_autofree char *native =
        g_strdup_printf("/bin/qemu guest=vm %s %s -x-libvirt-gmem %s", machine, BACKEND, CARRIER);
    g_autofree char *expected = g_strdup_printf(
        "LD_PRELOAD=/lib/qemu-gmem.so /bin/qemu guest=vm %s %s -x-libvirt-gmem " CONFIG, machine,
        BACKEND);
    g_autoptr(GError) error = NULL;
    g_autofree char *got = testBuilt(native, "/lib/qemu-gmem.so", &error);

    g_assert_no_error(error);
    g_assert_cmpstr(got, ==, expected);
}

/* A word that occurs more than once keeps the spelling of each place. */
static void
testBuildAgain(void)
{
    static const char again[] = "-a \"a\" '-a' a -b a \"-a\" 'a' b";
    g_autofree char *native =
        g_strdup_printf("/bin/qemu %s %s -x-libvirt-gmem %s %s", MACHINE, BACKEND, CARRIER, again);
    g_autoptr(GError) error = NULL;
    g_autofree char *got = testBuilt(native, "/lib/qemu-gmem.so", &error);

    g_assert_no_error(error);
    g_assert_true(g_str_has_suffix(got, again));
}

static void
testBuildRefused(void)
{
    g_autoptr(GError) error = NULL;
    char *got =
        testBuilt("/bin/qemu " MACHINE " -x-libvirt-gmem " CARRIER, "/lib/qemu-gmem.so", &error);

    g_assert_null(got);
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, "pc.ram"));
    g_clear_error(&error);
    got = testBuilt("/bin/qemu 'x-libvirt-gmem", "/lib/qemu-gmem.so", &error);
    g_assert_null(got);
    g_assert_nonnull(error);
}

static void
testWithoutPreload(void)
{
    static const struct {
        const char *native;
        const char *expected; /* NULL: nothing changes */
    } cases[] = {
        {"LC_ALL=C /bin/qemu -S", NULL},
        {"/bin/qemu LD_PRELOAD=/x/libvirt-gmem.so", NULL},
        {"LD_PRELOAD=/lib/asan.so /bin/qemu", NULL},
        {"LD_PRELOAD=/x/libvirt-gmem.so /bin/qemu -S", "/bin/qemu -S"},
        {"A=1 LD_PRELOAD=/x/libvirt-gmem.so B='c d' /bin/qemu -name 'a b'",
         "A=1 B='c d' /bin/qemu -name 'a b'"},
        {"A=1 LD_PRELOAD=libvirt-gmem.so:/lib/asan.so /bin/qemu",
         "A=1 LD_PRELOAD=/lib/asan.so /bin/qemu"},
        {"LD_PRELOAD='/lib/asan.so /x/libvirt-gmem.so' /bin/qemu",
         "LD_PRELOAD=/lib/asan.so /bin/qemu"},
        {"LD_PRELOAD='/a b.so:/x/libvirt-gmem.so' /bin/qemu", "LD_PRELOAD='/a b.so' /bin/qemu"},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *expected = cases[i].expected;
        g_autofree char *native = g_strdup(cases[i].native);

        gmemNativeDropPreload(native);
        g_assert_cmpstr(native, ==, expected != NULL ? expected : cases[i].native);
    }
}

/* <qemu:env name='LD_PRELOAD'> puts its value where libvirt had put the value of the process. */
static void
testWithoutPreloadReplaced(void)
{
    static const char before[] = "A=1 LD_PRELOAD=/u.so B='c d' /bin/qemu -S";
    char native[] = "A=1 LD_PRELOAD=/u.so B='c d' /bin/qemu -S";

    gmemNativeDropPreload(native);
    g_assert_cmpstr(native, ==, before);
    /* the process has another library, too: libvirt would have had something to replace anyway */
    g_setenv("LD_PRELOAD", "/lib/asan.so:/x/libvirt-gmem.so", TRUE);
    gmemNativeDropPreload(native);
    g_assert_cmpstr(native, ==, before);
    g_setenv("LD_PRELOAD", "/x/libvirt-gmem.so", TRUE);
    gmemNativeDropPreload(native);
    g_assert_cmpstr(native, ==, "A=1 B='c d' LD_PRELOAD=/u.so /bin/qemu -S");
    g_unsetenv("LD_PRELOAD");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/driver/native/concerns", testConcerns);
    g_test_add_func("/driver/native/build", testBuild);
    g_test_add_func("/driver/native/build-preload", testBuildPreload);
    g_test_add_func("/driver/native/build-lines", testBuildLines);
    g_test_add_func("/driver/native/build-words", testBuildWords);
    g_test_add_func("/driver/native/build-again", testBuildAgain);
    g_test_add_func("/driver/native/build-refused", testBuildRefused);
    g_test_add_func("/driver/native/without-preload", testWithoutPreload);
    g_test_add_func("/driver/native/without-preload-replaced", testWithoutPreloadReplaced);
    return g_test_run();
}
