/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_qmp.c: libFuzzer harness for the answers of an emulator, and for JSON in general: what was
 * read and then written is read as the same. */

#include "fuzz.h"
#include "gmemcapabilities.h"
#include "gmemjson.h"

static char *
fuzzFormat(const gmemJSON *json)
{
    g_autoptr(gmemJSONGen) gen = gmemJSONGenNew();

    gmemJSONGenValue(gen, json);
    return gmemJSONGenFinish(gen);
}

static void
fuzzAssertSame(const gmemJSON *json)
{
    g_autofree char *text = fuzzFormat(json);
    g_autofree char *reason = NULL;
    g_autoptr(gmemJSON) again = gmemJSONParse(text, &reason);
    g_autofree char *textAgain = NULL;

    g_assert_cmpstr(reason, ==, NULL);
    textAgain = fuzzFormat(again);
    g_assert_cmpstr(textAgain, ==, text);
    g_assert_cmpint(gmemJSONHasDuplicates(again), ==, gmemJSONHasDuplicates(json));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autofree char *reason = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemQEMUCaps) caps = gmemQEMUCapsFromQMP("/usr/bin/qemu", text, &error);
    g_autoptr(gmemJSON) json = gmemJSONParse(text, &reason);
    g_autoptr(gmemJSON) dialect = gmemJSONParseQEMU(text);

    FUZZ_ASSERT_EITHER(caps, error);
    if (caps != NULL) {
        g_assert_cmpuint(caps->flags >> GMEM_QEMU_CAPS_LAST, ==, 0);
        g_assert_cmpstr(caps->emulator, ==, "/usr/bin/qemu");
    }
    g_assert_true((json == NULL) == (reason != NULL));
    if (json != NULL)
        fuzzAssertSame(json);
    if (dialect != NULL)
        fuzzAssertSame(dialect);
    return 0;
}
