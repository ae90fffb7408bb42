/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_lower.c: libFuzzer harness for lowering and raising: no input may crash, leak, or lose the
 * request for private memory that libvirt's parser sees in it; and what was lowered is the same
 * after a round trip. */

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <string.h>

#include "fuzz.h"
#include "gmemlower.h"

/* Whether @expression (XPath, from the root element <domain>) is true of @text. */
static bool
fuzzEval(const char *text, const char *expression)
{
    xmlParserCtxt *parser = xmlNewParserCtxt();
    xmlDoc *doc = xmlCtxtReadDoc(parser, (const xmlChar *)text, NULL, NULL,
                                 XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_NOERROR);
    xmlXPathContext *context;
    xmlXPathObject *object;
    bool result;

    xmlFreeParserCtxt(parser);
    if (doc == NULL)
        return false;
    context = xmlXPathNewContext(doc);
    context->node = xmlDocGetRootElement(doc);
    object = xmlXPathEval((const xmlChar *)expression, context);
    result = object != NULL && xmlXPathCastToBoolean(object);
    xmlXPathFreeObject(object);
    xmlXPathFreeContext(context);
    xmlFreeDoc(doc);
    return result;
}

/* @lowered: the result of gmemLower() for a domain with a @plan. */
static void
fuzzRoundTrip(const char *lowered, const gmemPlan *plan)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemPlan) raisedPlan = NULL;
    g_autoptr(gmemPlan) loweredPlan = NULL;
    g_autofree char *raised = gmemRaise(lowered, &raisedPlan, &error);
    g_autofree char *again = NULL;
    g_autofree char *raisedAgain = NULL;

    g_assert_no_error(error);
    g_assert_nonnull(raisedPlan);
    g_assert_cmpint(raisedPlan->mode, ==, plan->mode);
    again = gmemLower(raised, false, &loweredPlan, &error);
    g_assert_no_error(error);
    fuzzAssertPlansEqual(loweredPlan, plan);
    raisedAgain = gmemRaise(again, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(raisedAgain, ==, raised);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char wish[] = "local-name() = 'domain' and (memoryBacking/private or "
                               "launchSecurity[@type='sw-protected'])";
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(gmemPlan) raisedPlan = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) raiseError = NULL;
    g_autofree char *lowered = gmemLower(text, size % 2 != 0, &plan, &error);
    g_autofree char *raised = gmemRaise(text, &raisedPlan, &raiseError);

    FUZZ_ASSERT_EITHER(lowered, error);
    FUZZ_ASSERT_EITHER(raised, raiseError);
    if (lowered != NULL && plan == NULL && strcmp(lowered, text) != 0)
        g_assert_false(fuzzEval(lowered, "true()"));
    if (raised != NULL && raisedPlan == NULL)
        g_assert_cmpstr(raised, ==, text);
    if (lowered != NULL)
        g_assert_false(fuzzEval(lowered, wish));
    if (lowered != NULL && plan != NULL) {
        g_autofree char *again = gmemLower(lowered, false, NULL, NULL);

        g_assert_cmpstr(again, ==, lowered);
        fuzzRoundTrip(lowered, plan);
    }
    return 0;
}
