/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_hash.c: SHA-256 as in the standard, and as GLib computes it; SipHash as in its authors' test
 * vectors. */

#include "config.h"

#include <glib.h>
#include <string.h>

#include "gmemhash.h"

static void
testKnown(void)
{
    /* The examples of FIPS 180-4, and the empty text. */
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

/* From the reference implementation: the key is 00 01 … 0f, the text 00 01 … of that length. */
static void
testKeyed(void)
{
    static const struct {
        size_t length;
        guint8 digest[16];
    } tests[] = {
        {0,
         {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
          0x93}},
        {1,
         {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
          0x45}},
        {2,
         {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff,
          0xe4}},
        {8,
         {0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14, 0x97,
          0xb4}},
        {15,
         {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3,
          0xd9}},
        {16,
         {0x6e, 0xe2, 0xa4, 0xca, 0x67, 0xb0, 0x54, 0xbb, 0xfd, 0x33, 0x15, 0xbf, 0x85, 0x23, 0x05,
          0x77}},
    };
    guint8 text[64];
    size_t i;

    for (i = 0; i < sizeof(text); i++)
        text[i] = (guint8)i;
    for (i = 0; i < G_N_ELEMENTS(tests); i++) {
        gmemHashKeyed digest;
        guint64 half[2];

        gmemHashKeyedCompute(text, text, tests[i].length, &digest);
        half[0] = GUINT64_TO_LE(digest.half[0]);
        half[1] = GUINT64_TO_LE(digest.half[1]);
        g_assert_cmpmem(half, sizeof(half), tests[i].digest, sizeof(tests[i].digest));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hash/known", testKnown);
    g_test_add_func("/hash/lengths", testLengths);
    g_test_add_func("/hash/keyed", testKeyed);
    return g_test_run();
}
