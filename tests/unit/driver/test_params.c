/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_params.c: XML in lists of typed parameters, with a lowering that is simple to foresee. */

#include <string.h>

#include "gmemdriver.h"
#include "gmemparams.h"

static int testCalls;

/* In the place of the one in gmemdriver.c: XML with <private/> becomes another, <bad/> is refused.
 */
int
gmemDriverLower(virConnectPtr conn G_GNUC_UNUSED,
                const char *xml,
                bool validate,
                char **lowered,
                gmemPlan **plan)
{
    testCalls++;
    *lowered = NULL;
    if (plan != NULL)
        *plan = NULL;
    g_assert_false(validate);
    if (xml == NULL || strstr(xml, "<private/>") == NULL)
        return xml != NULL && strstr(xml, "<bad/>") != NULL ? -1 : 0;
    *lowered = g_strdup_printf("lowered %s", xml);
    if (plan != NULL) {
        *plan = g_new0(gmemPlan, 1);
        (*plan)->mode = GMEM_MODE_FULLY_SHARED;
    }
    return 0;
}

static void
testAddString(virTypedParameterPtr params, const char *name, const char *value)
{
    params->type = VIR_TYPED_PARAM_STRING;
    g_strlcpy(params->field, name, sizeof(params->field));
    params->value.s = (char *)value;
}

static void
testGet(void)
{
    virTypedParameter list[4] = {{{0}, 0, {0}}};
    char full[VIR_TYPED_PARAM_FIELD_LENGTH + 1];

    testAddString(&list[0], "first", "1");
    list[1].type = VIR_TYPED_PARAM_INT;
    g_strlcpy(list[1].field, "number", sizeof(list[1].field));
    testAddString(&list[2], "last", "3");
    /* a name that fills its field has no NUL behind it */
    memset(full, 'x', sizeof(full) - 1);
    full[sizeof(full) - 1] = '\0';
    testAddString(&list[3], "", "4");
    memcpy(list[3].field, full, sizeof(list[3].field));

    g_assert_cmpstr(gmemParamsGet(list, 4, "first"), ==, "1");
    g_assert_cmpstr(gmemParamsGet(list, 4, "last"), ==, "3");
    g_assert_cmpstr(gmemParamsGet(list, 4, full), ==, "4");
    g_assert_null(gmemParamsGet(list, 4, "number"));
    g_assert_null(gmemParamsGet(list, 4, "firs"));
    g_assert_null(gmemParamsGet(list, 4, "first1"));
    g_assert_null(gmemParamsGet(list, 2, "last"));
    g_assert_null(gmemParamsGet(list, 0, "first"));
    g_assert_null(gmemParamsGet(list, -1, "first"));
    g_assert_null(gmemParamsGet(NULL, 0, "first"));
    g_assert_null(gmemParamsGet(NULL, 3, "first"));
}

static void
testUntouched(void)
{
    virTypedParameter list[3] = {{{0}, 0, {0}}};
    g_auto(gmemParams) params = {list, 3, NULL};
    gmemPlan *plan = (gmemPlan *)&plan;

    testAddString(&list[0], "xml", "<domain/>");
    testAddString(&list[1], "other", "<private/>");
    testAddString(&list[2], "none", NULL);
    g_assert_cmpint(gmemParamsLower(NULL, &params, "xml", &plan), ==, 0);
    g_assert_null(plan);
    plan = (gmemPlan *)&plan;
    g_assert_cmpint(gmemParamsLower(NULL, &params, "absent", &plan), ==, 0);
    g_assert_null(plan);
    g_assert_cmpint(gmemParamsLower(NULL, &params, "none", NULL), ==, 0);
    /* the caller's own list, not a copy */
    g_assert_true(params.list == list);
    g_assert_null(params.copy);
    g_assert_cmpint(params.n, ==, 3);
}

static void
testLowered(void)
{
    virTypedParameter list[5] = {{{0}, 0, {0}}};
    g_auto(gmemParams) params = {list, 5, NULL};
    g_autoptr(gmemPlan) plan = NULL;

    testAddString(&list[0], "a", "kept");
    testAddString(&list[1], "xml", "<private/>");
    list[2].type = VIR_TYPED_PARAM_ULLONG;
    list[2].value.ul = G_MAXUINT64;
    g_strlcpy(list[2].field, "big", sizeof(list[2].field));
    testAddString(&list[3], "none", NULL);
    testAddString(&list[4], "more", "2 <private/>");

    testCalls = 0;
    g_assert_cmpint(gmemParamsLower(NULL, &params, "xml", &plan), ==, 0);
    g_assert_nonnull(plan);
    g_assert_cmpint(plan->mode, ==, GMEM_MODE_FULLY_SHARED);
    g_assert_true(params.list == params.copy);
    g_assert_cmpint(params.n, ==, 5);
    g_assert_cmpstr(gmemParamsGet(params.list, 5, "xml"), ==, "lowered <private/>");
    /* a second one goes into the same copy */
    g_assert_cmpint(gmemParamsLower(NULL, &params, "more", NULL), ==, 0);
    g_assert_cmpstr(gmemParamsGet(params.list, 5, "more"), ==, "lowered 2 <private/>");
    g_assert_cmpstr(gmemParamsGet(params.list, 5, "xml"), ==, "lowered <private/>");
    g_assert_cmpint(testCalls, ==, 2);
    /* the rest is as it was, the caller's list wholly */
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
testRefused(void)
{
    virTypedParameter list[2] = {{{0}, 0, {0}}};
    g_auto(gmemParams) params = {list, 2, NULL};

    testAddString(&list[0], "xml", "<bad/>");
    testAddString(&list[1], "good", "<private/>");
    g_assert_cmpint(gmemParamsLower(NULL, &params, "xml", NULL), ==, -1);
    g_assert_true(params.list == list);
    /* nothing leaks where a second one is refused, either (seen under ASan) */
    g_assert_cmpint(gmemParamsLower(NULL, &params, "good", NULL), ==, 0);
    g_assert_cmpint(gmemParamsLower(NULL, &params, "xml", NULL), ==, -1);
}

static void
testNothing(void)
{
    g_auto(gmemParams) params = {NULL, 0, NULL};

    g_assert_cmpint(gmemParamsLower(NULL, &params, "xml", NULL), ==, 0);
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
    g_test_add_func("/params/lowered", testLowered);
    g_test_add_func("/params/refused", testRefused);
    g_test_add_func("/params/nothing", testNothing);
    return g_test_run();
}
