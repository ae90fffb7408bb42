/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_argv.c: libFuzzer harness for command lines: whatever libvirt, a user or a hook wrote, it is
 * refused with an error, or becomes a command line that has the right options for guest memory.
 *
 * Input: a byte with what QEMU offers (one bit per flag) and whether memory is private at the
 * start, then one word per line. */

#include <string.h>

#include "fuzz.h"
#include "gmemargv.h"
#include "gmemcommand.h"
#include "gmemshimconfig.h"

#define FUZZ_START_PRIVATE 0x80U
G_STATIC_ASSERT((1U << GMEM_QEMU_CAPS_LAST) <= FUZZ_START_PRIVATE);

/* The words of @argv without the pair, and the position where the pair was. */
static void
fuzzAssertRestKept(char *const *argv, char *const *was)
{
    gmemArgvOption pair;
    size_t i, j;

    g_assert_cmpint(gmemArgvFind(was, GMEM_SHIM_OPTION, &pair), ==, 1);
    for (i = 0, j = 0; was[j] != NULL; i++, j++) {
        if (j == pair.index)
            j += pair.count;
        g_assert_cmpstr(argv[i], ==, was[j]);
        if (was[j] == NULL)
            break;
    }
}

static void
fuzzAssertShim(const gmemCommand *command, bool startPrivate)
{
    gmemShimConfig config = {0};
    gmemArgvOption pair;
    char reason[256];

    g_assert_cmpint(gmemArgvFind(command->argv, GMEM_SHIM_OPTION, &pair), ==, 1);
    g_assert_true(gmemShimConfigParse(pair.value, &config, reason, sizeof(reason)));
    g_assert_cmpint(config.mode, ==, command->mode);
    g_assert_cmpuint(config.backends, ==, command->nbackends);
    g_assert_cmpuint(config.ram, ==, command->ramSize);
    g_assert_cmpint(config.startPrivate, ==, startPrivate && config.mode == GMEM_MODE_CONVERTIBLE);
    gmemShimConfigClear(&config);
}

static void
fuzzAssertBuilt(gmemCommand *command, char *const *was, bool startPrivate)
{
    unsigned long long sum = 0;
    gmemArgvOption pair;
    size_t i;

    for (i = 0; i < command->nbackends; i++)
        sum += command->ram[i].size;
    g_assert_cmpuint(sum, ==, command->ramSize);
    if (command->mode == GMEM_MODE_NONE) {
        g_assert_false(command->shim);
        fuzzAssertRestKept(command->argv, was);
        return;
    }
    g_assert_cmpuint(command->nbackends, >, 0);
    if (command->shim)
        fuzzAssertShim(command, startPrivate);
    else
        g_assert_cmpint(gmemArgvFind(command->argv, GMEM_SHIM_OPTION, &pair), ==, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char emulator[] = "/usr/bin/qemu-system-x86_64";
    gmemQEMUCaps caps = {.emulator = emulator, .version = 7002000};
    bool startPrivate;
    g_autofree char *text = NULL;
    g_auto(GStrv) argv = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemCommand) command = NULL;

    if (size == 0)
        return 0;
    startPrivate = (data[0] & FUZZ_START_PRIVATE) != 0;
    caps.flags = data[0] & ((1U << GMEM_QEMU_CAPS_LAST) - 1);
    text = g_strndup((const char *)data + 1, size - 1);
    argv = g_strsplit(text, "\n", -1);
    if (argv[0] == NULL)
        return 0;
    command = gmemCommandBuild(argv, &caps, startPrivate, &error);
    FUZZ_ASSERT_EITHER(command, error);
    if (command != NULL)
        fuzzAssertBuilt(command, argv, startPrivate);
    return 0;
}
