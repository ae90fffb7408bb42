/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_props.c: libFuzzer harness for the properties of one option, in QEMU's three notations, and
 * for QEMU's dialect of JSON.
 *
 * Input: a byte for the notation and the implied key, then the option's value. */

#include <string.h>

#include "fuzz.h"
#include "gmemprops.h"

static bool
fuzzMatch(const char *value)
{
    return strlen(value) % 2 != 0;
}

static void
fuzzAssertWords(const char *text, const char *implied, bool opts)
{
    gmemKeyval keyval = {text, implied, opts};
    size_t length = strlen(text);
    char *key, *value;
    int found;

    /* Each word takes at least one byte of the text, so the loop ends. */
    while ((found = gmemPropsKeyvalNext(&keyval, &key, &value)) == 1) {
        size_t left = strlen(keyval.text);

        g_assert_cmpuint(left, <=, length);
        g_assert_true(left < length || left == 0);
        length = left;
        g_free(key);
        g_free(value);
    }
    g_assert_cmpint(found, <=, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const implied[] = {NULL, "qom-type", "driver", "type"};
    static const char *const keys[] = {"id", "size", "qom-type", "share", "host-nodes", ""};
    g_autofree char *text = NULL;
    g_auto(gmemProps) props = {0};
    g_autoptr(GError) error = NULL;
    gmemArgvOption option = {"object", NULL, 1, 2};
    size_t i;

    if (size == 0)
        return 0;
    text = g_strndup((const char *)data + 1, size - 1);
    option.value = text;
    fuzzAssertWords(text, implied[data[0] / 4 % 4], data[0] % 2 != 0);
    if (gmemPropsInit(&props, &option, (gmemPropsNotation)(data[0] % 4), implied[data[0] / 4 % 4],
                      &error) < 0) {
        fuzzAssertRefused(error);
        return 0;
    }
    for (i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *value = gmemPropsGet(&props, keys[i]);
        g_autofree char *list = gmemPropsGetList(&props, keys[i]);
        g_autofree char *deep = gmemPropsFind(&props, keys[i], fuzzMatch);
        unsigned long long bytes;

        /* A property that has a size, or is true, has a value. */
        if (gmemPropsGetSize(&props, keys[i], &bytes) || gmemPropsGetBool(&props, keys[i]) == 1)
            g_assert_nonnull(value);
        if (value != NULL)
            g_assert_nonnull(list);
        if (deep != NULL)
            g_assert_true(fuzzMatch(deep));
    }
    return 0;
}
