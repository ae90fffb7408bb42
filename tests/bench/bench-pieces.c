/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-pieces.c: does parts of the library's work without libvirt, so that callgrind can count
 * their instructions.
 *
 * The arguments are pairs of a piece and the file that it reads. Each piece is done once in
 * benchMeasured(), where it is counted, and once before, so that nothing is bound or created for
 * the first time. */

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gmemdomcaps.h"
#include "gmemerror.h"
#include "gmemlower.h"
#include "gmemnative.h"
#include "gmemnested.h"

/* The shim supplies what this QEMU lacks. */
static const gmemQEMUCaps benchCaps = {
    .emulator = (char *)"/usr/bin/qemu-system-x86_64",
    .version = 7002022,
    .flags = G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_MEMFD,
};

static char *
benchLower(const char *text, GError **error)
{
    return gmemLowerDomains(text, gmemNestedFind, false, NULL, error);
}

static char *
benchRaise(const char *text, GError **error)
{
    return gmemRaiseDomains(text, gmemNestedFind, NULL, error);
}

static unsigned int
benchModes(const char *emulator G_GNUC_UNUSED)
{
    return 1 << GMEM_MODE_FULLY_SHARED;
}

static char *
benchDomcaps(const char *text, GError **error G_GNUC_UNUSED)
{
    return gmemDomCapsRaise(text, benchModes);
}

static char *
benchNative(const char *text, GError **error)
{
    g_autoptr(gmemNative) words = NULL;

    if (gmemNativeRead(text, &words, error) < 0)
        return NULL;
    return words != NULL ? gmemNativeBuild(words, &benchCaps, "/usr/lib/qemu-gmem.so", error)
                         : g_strdup(text);
}

/* The steps that the command line of an ordinary domain goes through. */
static char *
benchPreload(const char *text, GError **error G_GNUC_UNUSED)
{
    char *native = g_strdup(text);

    gmemNativeDropPreload(native);
    return native;
}

static const struct {
    const char *name;
    char *(*run)(const char *text, GError **error);
} benchPieces[] = {
    {"lower", benchLower},     {"raise", benchRaise},   {"again", gmemNestedRaiseAgain},
    {"domcaps", benchDomcaps}, {"native", benchNative}, {"preload", benchPreload},
};

/* The symbol that callgrind looks for; the compiler must not make copies of it under other
 * names. */
#if !__has_attribute(noipa)
#define noipa noinline
#endif
static char *__attribute__((noipa))
benchMeasured(char *(*run)(const char *text, GError **error), const char *text, GError **error)
{
    return run(text, error);
}

static void G_GNUC_NORETURN
benchFail(const char *what, const char *why)
{
    fprintf(stderr, "bench-pieces: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void
benchRun(const char *name, const char *path)
{
    g_autofree char *text = NULL;
    size_t k = 0;
    int i;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        benchFail(path, "cannot be read");
    while (k < G_N_ELEMENTS(benchPieces) && strcmp(benchPieces[k].name, name) != 0)
        k++;
    if (k == G_N_ELEMENTS(benchPieces))
        benchFail(name, "is not a piece");
    for (i = 0; i < 2; i++) {
        GError *error = NULL;
        char *made = i == 0 ? benchPieces[k].run(text, &error)
                            : benchMeasured(benchPieces[k].run, text, &error);

        if (made == NULL)
            benchFail(name, gmemErrorFormat(error));
        g_free(made);
    }
}

int
main(int argc, char **argv)
{
    int i;

    for (i = 1; i + 1 < argc; i += 2)
        benchRun(argv[i], argv[i + 1]);
    return EXIT_SUCCESS;
}
