/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_json.c: what is accepted as JSON and how it is read, and the text that is written. QEMU's
 * own dialect is in test_props.c. */

#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <glib.h>
#include <locale.h>
#include <string.h>

#include "gmemjson.h"

#define DEPTH_MAX_TEXT G_STRINGIFY(GMEM_JSON_DEPTH_MAX)

/* Longer than any answer from QEMU. */
#define MANY 300000

static unsigned int testLocales;
static bool testFirstRead;

static void
testValues(void)
{
    g_autoptr(gmemJSON) json = gmemJSONParse(
        " {\"a\": \"x\", \"b\": 18446744073709551615, \"c\": [true, false, null, [], {}, -1.50e3],"
        " \"d\": {\"a\": \"y\\u0041\\n\"}, \"e\": -1, \"f\": 18446744073709551616, \"a\": 0} ",
        NULL);
    gmemJSON *list = gmemJSONGet(json, "c");
    static const struct {
        gmemJSONType type;
        const char *text;
    } items[] = {
        {GMEM_JSON_BOOL, "true"}, {GMEM_JSON_BOOL, "false"}, {GMEM_JSON_NULL, "null"},
        {GMEM_JSON_ARRAY, NULL},  {GMEM_JSON_OBJECT, NULL},  {GMEM_JSON_NUMBER, "-1.50e3"},
    };
    unsigned long long size = 7;
    size_t i;

    g_autoptr(gmemJSON) commented = gmemJSONParse("/* a */ [1, // one\n 2]", NULL);

    /* A descriptor of firmware may have comments. */
    g_assert_cmpuint(gmemJSONCount(commented), ==, 2);
    g_assert_true(gmemJSONIs(json, GMEM_JSON_OBJECT));
    g_assert_null(gmemJSONText(json));
    g_assert_cmpuint(gmemJSONCount(json), ==, 7);
    g_assert_cmpstr(gmemJSONKey(json, 1), ==, "b");
    g_assert_cmpstr(gmemJSONText(gmemJSONItem(json, 0)), ==, "x");
    g_assert_cmpuint(gmemJSONCount(list), ==, G_N_ELEMENTS(items));
    for (i = 0; i < G_N_ELEMENTS(items); i++) {
        g_assert_true(gmemJSONIs(gmemJSONItem(list, i), items[i].type));
        g_assert_cmpstr(gmemJSONText(gmemJSONItem(list, i)), ==, items[i].text);
        g_assert_cmpuint(gmemJSONCount(gmemJSONItem(list, i)), ==, 0);
    }
    g_assert_cmpstr(gmemJSONGetString(gmemJSONGet(json, "d"), "a"), ==, "yA\n");
    /* If a name occurs more than once, the last one counts. */
    g_assert_null(gmemJSONGetString(json, "a"));
    g_assert_true(gmemJSONGetSize(json, "a", &size));
    g_assert_cmpuint(size, ==, 0);
    g_assert_true(gmemJSONGetSize(json, "b", &size));
    g_assert_cmpuint(size, ==, G_MAXUINT64);
    g_assert_false(gmemJSONGetSize(json, "d", &size));
    g_assert_false(gmemJSONGetSize(json, "e", &size));
    g_assert_false(gmemJSONGetSize(json, "f", &size));
    g_assert_false(gmemJSONGetSize(json, "g", &size));
    g_assert_cmpuint(size, ==, G_MAXUINT64);
    g_assert_true(gmemJSONHasDuplicates(json));
}

/* A member that does not exist, or that has another type, gives nothing. */
static void
testNothing(void)
{
    g_autoptr(gmemJSON) json = gmemJSONParse("[\"a\"]", NULL);

    g_assert_false(gmemJSONIs(NULL, GMEM_JSON_NULL));
    g_assert_null(gmemJSONText(NULL));
    g_assert_cmpuint(gmemJSONCount(NULL), ==, 0);
    g_assert_null(gmemJSONGet(NULL, "a"));
    g_assert_null(gmemJSONGet(json, "a"));
    g_assert_null(gmemJSONGetString(json, "a"));
    g_assert_false(gmemJSONHasDuplicates(json));
    gmemJSONFree(NULL);
    gmemJSONGenFree(NULL);
}

static void
testMalformed(void)
{
    static const struct {
        const char *text;
        const char *reason; /* how it begins */
    } tests[] = {
        {"", "malformed JSON: parse error: premature EOF"},
        {" \n", "malformed JSON: parse error: premature EOF"},
        {"{", "malformed JSON: parse error: premature EOF"},
        {"[1,", "malformed JSON: parse error: premature EOF"},
        {"{\"a\"", "malformed JSON: parse error: premature EOF"},
        {"{\"a\":{\"b\":[1]}", "malformed JSON: parse error: premature EOF"},
        {"[1}", "malformed JSON: parse error: after array element"},
        {"{\"a\" 1}", "malformed JSON: parse error: object key and value must be"},
        {"[1] 2", "malformed JSON: parse error: trailing garbage"},
        {"'a'", "malformed JSON: lexical error: invalid char"},
        {"\"\xff\"", "malformed JSON: lexical error: invalid bytes in UTF8 string"},
        {"[1 2]", "malformed JSON: parse error: after array element"},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *printable = g_strescape(tests[i].text, NULL);
        g_autofree char *reason = NULL;

        g_test_message("%s", printable);
        g_assert_null(gmemJSONParse(tests[i].text, NULL));
        g_assert_null(gmemJSONParse(tests[i].text, &reason));
        g_assert_true(g_str_has_prefix(reason, tests[i].reason));
        g_assert_false(g_str_has_suffix(reason, "\n"));
    }
}

static char *
nested(size_t depth, const char *open, const char *close)
{
    GString *text = g_string_new(NULL);
    size_t i;

    for (i = 0; i < depth; i++)
        g_string_append(text, open);
    g_string_append(text, "\"]}\\\"[{\"");
    for (i = 0; i < depth; i++)
        g_string_append(text, close);
    return g_string_free(text, FALSE);
}

static void
testDepth(void)
{
    static const char *const brackets[][2] = {{"[", "]"}, {"{\"a\":", "}"}};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(brackets); i++) {
        g_autofree char *good = nested(GMEM_JSON_DEPTH_MAX, brackets[i][0], brackets[i][1]);
        g_autofree char *bad = nested(GMEM_JSON_DEPTH_MAX + 1, brackets[i][0], brackets[i][1]);
        g_autoptr(gmemJSON) json = gmemJSONParse(good, NULL);
        g_autofree char *reason = NULL;

        g_assert_nonnull(json);
        g_assert_null(gmemJSONParse(bad, &reason));
        g_assert_cmpstr(reason, ==, "JSON nested deeper than " DEPTH_MAX_TEXT " levels");
    }
}

/* The cost of an element does not depend on the number of elements, even with an allocator that
 * copies: this also runs under AddressSanitizer, whose realloc() does. */
static void
testMany(void)
{
    g_autoptr(GString) text = g_string_new("[{");
    g_autoptr(gmemJSON) json = NULL;
    size_t i;

    for (i = 0; i < MANY; i++)
        g_string_append_printf(text, "%s\"%zu\":%zu", i > 0 ? "," : "", i, i);
    g_string_append(text, "}");
    for (i = 0; i < MANY; i++)
        g_string_append(text, ",0");
    g_string_append(text, "]");
    json = gmemJSONParse(text->str, NULL);
    g_assert_cmpuint(gmemJSONCount(json), ==, MANY + 1);
    g_assert_cmpuint(gmemJSONCount(gmemJSONItem(json, 0)), ==, MANY);
    g_assert_cmpstr(gmemJSONKey(gmemJSONItem(json, 0), MANY - 1), ==, G_STRINGIFY(299999));
    g_assert_false(gmemJSONHasDuplicates(json));
}

static void
testDuplicates(void)
{
    static const struct {
        const char *text;
        bool twice;
    } tests[] = {
        {"{}", false},
        {"[]", false},
        {"1", false},
        {"[\"a\",\"a\"]", false},
        {"{\"a\":1,\"b\":1}", false},
        {"{\"a\":{\"a\":{\"a\":1}}}", false},
        {"[{\"a\":1},{\"a\":1}]", false},
        {"{\"a\":1,\"a\":1}", true},
        {"{\"a\":1,\"b\":2,\"\\u0061\":3}", true},
        {"[0,[{\"b\":{\"c\":1,\"d\":2,\"c\":3}}]]", true},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autoptr(gmemJSON) json = gmemJSONParse(tests[i].text, NULL);

        g_test_message("%s", tests[i].text);
        g_assert_nonnull(json);
        g_assert_cmpint(gmemJSONHasDuplicates(json), ==, tests[i].twice);
    }
}

static void
testWrite(void)
{
    static const char *const whole =
        "{\"a\":\"/\\\"\\\\\\n\\u0001\xc3\xa4\",\"b\":18446744073709551615,\"c\":[true,false,null,"
        "{},[]],\"d\":-1.50e+3}";
    g_autoptr(gmemJSONGen) gen = gmemJSONGenNew();
    g_autoptr(gmemJSONGen) again = gmemJSONGenNew();
    g_autoptr(gmemJSON) number = gmemJSONParse("-1.50e+3", NULL);
    g_autoptr(gmemJSON) json = NULL;
    g_autofree char *text = NULL;
    g_autofree char *copy = NULL;

    gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
    gmemJSONGenString(gen, "a");
    gmemJSONGenString(gen, "/\"\\\n\001\xc3\xa4");
    gmemJSONGenString(gen, "b");
    gmemJSONGenNumber(gen, G_MAXUINT64);
    gmemJSONGenString(gen, "c");
    gmemJSONGenBegin(gen, GMEM_JSON_ARRAY);
    gmemJSONGenBool(gen, true);
    gmemJSONGenBool(gen, false);
    gmemJSONGenString(gen, NULL);
    gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
    gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
    gmemJSONGenBegin(gen, GMEM_JSON_ARRAY);
    gmemJSONGenEnd(gen, GMEM_JSON_ARRAY);
    gmemJSONGenEnd(gen, GMEM_JSON_ARRAY);
    gmemJSONGenString(gen, "d");
    gmemJSONGenValue(gen, number);
    gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
    text = gmemJSONGenFinish(gen);
    g_assert_cmpstr(text, ==, whole);

    json = gmemJSONParse(text, NULL);
    gmemJSONGenValue(again, json);
    copy = gmemJSONGenFinish(again);
    g_assert_cmpstr(copy, ==, whole);
}

/* GLib's call for the locale of its numbers; a thread that waits there returns with this errno. */
__attribute__((visibility("default"))) locale_t
newlocale(int mask, const char *name, locale_t base)
{
    locale_t (*real)(int, const char *, locale_t) =
        (locale_t(*)(int, const char *, locale_t))dlsym(RTLD_NEXT, "newlocale");
    locale_t locale = real(mask, name, base);

    testLocales++;
    errno = EAGAIN;
    return locale;
}

/* The first number that this process reads, and whether GLib had its locale before that. */
static bool
testReadFirst(void)
{
    g_autoptr(gmemJSON) json = gmemJSONParse("{\"a\":1}", NULL);
    unsigned int before = testLocales;
    unsigned long long number = 0;

    return gmemJSONGetSize(json, "a", &number) && number == 1 && testLocales == before;
}

static void
testFirst(void)
{
    g_assert_true(testFirstRead);
}

int
main(int argc, char **argv)
{
    testFirstRead = testReadFirst();
    g_setenv("LC_ALL", "C", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json/first-number", testFirst);
    g_test_add_func("/json/values", testValues);
    g_test_add_func("/json/nothing", testNothing);
    g_test_add_func("/json/malformed", testMalformed);
    g_test_add_func("/json/depth", testDepth);
    g_test_add_func("/json/many", testMany);
    g_test_add_func("/json/duplicates", testDuplicates);
    g_test_add_func("/json/write", testWrite);
    return g_test_run();
}
