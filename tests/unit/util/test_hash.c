/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_hash.c: SHA-256 as the standard has it, and as GLib computes it. */

#include "config.h"

#include <glib.h>
#include <string.h>

#include "gmemhash.h"

static void
testKnown(void)
{
    /* FIPS 180-4's examples, and nothing. */
    static const char *const tests[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *hash = gmemHashSHA256(tests[i][0], NULL);

        g_assert_cmpstr(hash, ==, tests[i][1]);
    }
}

static void
testLengths(void)
{
    size_t length;

    for (length = 0; length < 200; length++) {
        g_autofree char *text = g_strnfill(length, 'x');
        g_autofree char *hash = gmemHashSHA256(text, NULL);
        g_autofree char *expected = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);

        g_assert_cmpstr(hash, ==, expected);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hash/known", testKnown);
    g_test_add_func("/hash/lengths", testLengths);
    return g_test_run();
}
