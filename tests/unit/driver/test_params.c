/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_params.c: XML in lists of typed parameters. */

#include "gmemparams.h"

#include <string.h>

static void
testAddString(virTypedParameterPtr params, const char *name, const char *value)
{
    params->type = VIR_TYPED_PARAM_STRING;
    g_strlcpy(params->field, name, sizeof(params->field));
    params->value.s = (char *)value;
}

static const char *
testIn(virTypedParameterPtr list, int n, const char *name)
{
    const gmemParams params = {list, n, NULL};

    return gmemParamsGet(&params, name);
}

static void
testGet(void)
{
    virTypedParameter list[5] = {{{0}, 0, {0}}};
    char full[VIR_TYPED_PARAM_FIELD_LENGTH + 1];

    testAddString(&list[0], "first", "1");
    list[1].type = VIR_TYPED_PARAM_INT;
    g_strlcpy(list[1].field, "number", sizeof(list[1].field));
    testAddString(&list[2], "last", "3");
    /* a name that fills its field is not followed by a NUL */
    memset(full, 'x', sizeof(full) - 1);
    full[sizeof(full) - 1] = '\0';
    testAddString(&list[3], "", "4");
    memcpy(list[3].field, full, sizeof(list[3].field));

    list[4].type = VIR_TYPED_PARAM_ULLONG;
    list[4].value.ul = G_MAXUINT64;
    g_strlcpy(list[4].field, "large", sizeof(list[4].field));

    g_assert_cmpstr(testIn(list, 4, "first"), ==, "1");
    g_assert_null(testIn(list, 5, "large"));
    g_assert_cmpstr(testIn(list, 4, "last"), ==, "3");
    g_assert_cmpstr(testIn(list, 4, full), ==, "4");
    g_assert_null(testIn(list, 4, "number"));
    g_assert_null(testIn(list, 4, "firs"));
    g_assert_null(testIn(list, 4, "first1"));
    g_assert_null(testIn(list, 2, "last"));
    g_assert_null(testIn(list, 0, "first"));
    g_assert_null(testIn(list, -1, "first"));
    g_assert_null(testIn(NULL, 0, "first"));
    g_assert_null(testIn(NULL, 3, "first"));
}

static void
testUntouched(void)
{
    virTypedParameter list[2] = {{{0}, 0, {0}}};
    g_auto(gmemParams) params = {list, 2, NULL};

    testAddString(&list[0], "xml", "<domain/>");
    testAddString(&list[1], "none", NULL);
    gmemParamsReplace(&params, "xml", NULL);
    gmemParamsReplace(&params, "absent", NULL);
    gmemParamsReplace(&params, "none", NULL);
    /* the caller's own list, not a copy */
    g_assert_true(params.list == list);
    g_assert_null(params.copy);
    g_assert_cmpint(params.n, ==, 2);
}

static void
testReplaced(void)
{
    virTypedParameter list[5] = {{{0}, 0, {0}}};
    g_auto(gmemParams) params = {list, 5, NULL};

    testAddString(&list[0], "a", "kept");
    testAddString(&list[1], "xml", "<private/>");
    list[2].type = VIR_TYPED_PARAM_ULLONG;
    list[2].value.ul = G_MAXUINT64;
    g_strlcpy(list[2].field, "big", sizeof(list[2].field));
    testAddString(&list[3], "none", NULL);
    testAddString(&list[4], "more", "2 <private/>");

    gmemParamsReplace(&params, "xml", g_strdup("lowered"));
    g_assert_true(params.list == params.copy);
    g_assert_cmpint(params.n, ==, 5);
    g_assert_cmpstr(gmemParamsGet(&params, "xml"), ==, "lowered");
    /* a second one goes into the same copy */
    gmemParamsReplace(&params, "more", g_strdup("lowered, too"));
    g_assert_cmpstr(gmemParamsGet(&params, "more"), ==, "lowered, too");
    g_assert_cmpstr(gmemParamsGet(&params, "xml"), ==, "lowered");
    /* the rest is unchanged, and so is the caller's list */
    g_assert_cmpstr(params.list[0].value.s, ==, "kept");
    g_assert_true(params.list[0].value.s != list[0].value.s);
    g_assert_cmpint(params.list[2].type, ==, VIR_TYPED_PARAM_ULLONG);
    g_assert_cmpuint(params.list[2].value.ul, ==, G_MAXUINT64);
    g_assert_cmpstr(params.list[2].field, ==, "big");
    g_assert_null(params.list[3].value.s);
    g_assert_cmpstr(list[1].value.s, ==, "<private/>");
    g_assert_cmpstr(list[4].value.s, ==, "2 <private/>");
}

static void
testNothing(void)
{
    g_auto(gmemParams) params = {NULL, 0, NULL};

    gmemParamsReplace(&params, "xml", NULL);
    g_assert_null(params.list);
    gmemParamsClear(&params);
    gmemParamsClear(&params);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/params/get", testGet);
    g_test_add_func("/params/untouched", testUntouched);
    g_test_add_func("/params/replaced", testReplaced);
    g_test_add_func("/params/nothing", testNothing);
    return g_test_run();
}
