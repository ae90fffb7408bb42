/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_lower.c: libFuzzer harness for lowering and raising: no input may crash, leak, or lose the
 * wish that libvirt's parser sees in it. */

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <stdint.h>
#include <string.h>

#include "gmemcarrier.h"
#include "gmemlower.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char wish[] = "local-name() = 'domain' and (memoryBacking/private or "
                               "launchSecurity[@type='sw-protected'])";
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(gmemPlan) raisedPlan = NULL;
    g_autofree char *lowered = gmemLower(text, size % 2 != 0, &plan, NULL);
    g_autofree char *raised = gmemRaise(text, &raisedPlan, NULL);

    gmemCarrierFree(gmemCarrierParse(text, NULL));
    if (lowered != NULL && plan == NULL && strcmp(lowered, text) != 0 &&
        fuzzEval(lowered, "true()"))
        abort();
    if (raised != NULL && raisedPlan == NULL && strcmp(raised, text) != 0)
        abort();
    if (lowered != NULL && fuzzEval(lowered, wish))
        abort();
    if (lowered != NULL && plan != NULL) {
        g_autofree char *again = gmemLower(lowered, false, NULL, NULL);

        if (g_strcmp0(again, lowered) != 0)
            abort();
    }
    return 0;
}
