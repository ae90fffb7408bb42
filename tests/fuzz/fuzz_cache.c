/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_cache.c: libFuzzer harness for the files of the cache: a file contains what was found out
 * about this emulator in its present state, or is ignored.
 *
 * Input: the file, in which %w %k %m %c %s %i stand for the correct values: the writer, the kernel,
 * and mtime, ctime, size and inode of the emulator, %e. */

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "gmemcapscache.h"
#include "gmemprobe.h"
#include "gmemhash.h"
#include "gmemjson.h"

#define FUZZ_VERSION 4000000000U

static char *fuzzDirectory, *fuzzEmulator, *fuzzPath;
static gmemJSON *fuzzRight;

/* Replaces the library's function, so nothing is run. */
gmemQEMUCaps *
gmemProbe(const char *emulator,
          const gmemQEMUUser *user G_GNUC_UNUSED,
          unsigned int timeout G_GNUC_UNUSED,
          GError **error G_GNUC_UNUSED)
{
    gmemQEMUCaps *caps = g_new0(gmemQEMUCaps, 1);

    caps->emulator = g_strdup(emulator);
    caps->version = FUZZ_VERSION;
    return caps;
}

static void
fuzzRemove(void)
{
    g_unlink(fuzzPath);
    g_unlink(fuzzEmulator);
    g_rmdir(fuzzDirectory);
}

static void
fuzzSetUp(void)
{
    static const char elf[] = "\177ELF";
    g_autoptr(gmemQEMUCaps) caps = NULL;
    g_autofree char *hash = NULL;
    g_autofree char *text = NULL;

    fuzzDirectory = g_dir_make_tmp("gmem-fuzz-XXXXXX", NULL);
    g_assert_nonnull(fuzzDirectory);
    fuzzEmulator = g_build_filename(fuzzDirectory, "emulator", NULL);
    g_assert_true(g_file_set_contents(fuzzEmulator, elf, 4, NULL));
    g_assert_cmpint(g_chmod(fuzzEmulator, 0755), ==, 0);
    hash = gmemHashSHA256(fuzzEmulator, NULL);
    fuzzPath = g_strdup_printf("%s/%s.json", fuzzDirectory, hash);
    atexit(fuzzRemove);

    gmemCapsCacheInit(fuzzDirectory, "/nonexistent");
    caps = gmemCapsCacheLookup(fuzzEmulator, NULL);
    g_assert_true(g_file_get_contents(fuzzPath, &text, NULL, NULL));
    fuzzRight = gmemJSONParse(text, NULL);
    g_assert_nonnull(fuzzRight);
    /* Nothing is in memory, so the file is read. */
    gmemCapsCacheInit(NULL, NULL);
    gmemCapsCacheInit(fuzzDirectory, "/nonexistent");
}

static char *
fuzzFill(const uint8_t *data, size_t size)
{
    static const struct {
        char letter;
        const char *name;
    } marks[] = {{'w', "writer"}, {'k', "kernel"}, {'m', "mtime"},   {'c', "ctime"},
                 {'s', "size"},   {'i', "inode"},  {'e', "emulator"}};
    GString *text = g_string_new(NULL);
    size_t i, j;

    for (i = 0; i < size; i++) {
        for (j = 0; data[i] == '%' && i + 1 < size && j < G_N_ELEMENTS(marks); j++) {
            if (marks[j].letter == (char)data[i + 1]) {
                g_string_append(text, gmemJSONText(gmemJSONGet(fuzzRight, marks[j].name)));
                i++;
                break;
            }
        }
        if (data[i] != '%' || j == G_N_ELEMENTS(marks))
            g_string_append_c(text, (char)data[i]);
    }
    return g_string_free(text, FALSE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemQEMUCaps) caps = NULL;
    g_autofree char *text = NULL;
    int fd;

    if (fuzzDirectory == NULL)
        fuzzSetUp();
    text = fuzzFill(data, size);
    fd = open(fuzzPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (ssize_t)strlen(text));
    close(fd);
    caps = gmemCapsCacheLookupInChild(fuzzEmulator, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(caps->emulator, ==, fuzzEmulator);
    g_assert_cmpuint(caps->flags >> GMEM_QEMU_CAPS_LAST, ==, 0);
    /* A file that names anything else does not count. */
    if (caps->version != FUZZ_VERSION)
        g_assert_nonnull(strstr(text, gmemJSONText(gmemJSONGet(fuzzRight, "mtime"))));
    return 0;
}
