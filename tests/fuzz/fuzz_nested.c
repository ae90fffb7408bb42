/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_nested.c: libFuzzer harness for documents that contain domains: snapshots, checkpoints.
 * Lowering what was lowered does not change it, and what was raised lowers to the same request. */

#include <string.h>

#include "fuzz.h"
#include "gmemlower.h"
#include "gmemnested.h"

static void
fuzzRoundTrip(const char *lowered)
{
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *raised = gmemRaiseDomains(lowered, gmemNestedFind, NULL, &error);
    g_autofree char *again = NULL;
    g_autofree char *raisedAgain = NULL;

    g_assert_no_error(error);
    again = gmemLowerDomains(raised, gmemNestedFind, false, &plan, &error);
    g_assert_no_error(error);
    raisedAgain = gmemRaiseDomains(again, gmemNestedFind, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(raisedAgain, ==, raised);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) raiseError = NULL;
    g_autofree char *lowered = gmemLowerDomains(text, gmemNestedFind, size % 2 != 0, &plan, &error);
    g_autofree char *raised = gmemRaiseDomains(text, gmemNestedFind, NULL, &raiseError);

    FUZZ_ASSERT_EITHER(lowered, error);
    FUZZ_ASSERT_EITHER(raised, raiseError);
    if (lowered != NULL && plan != NULL) {
        g_autofree char *again = gmemLowerDomains(lowered, gmemNestedFind, false, NULL, NULL);

        g_assert_cmpstr(again, ==, lowered);
        fuzzRoundTrip(lowered);
    }
    return 0;
}
