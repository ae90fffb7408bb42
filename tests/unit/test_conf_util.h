/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_conf_util.h: an opinion about domain XML that does not come from the code under test: plain
 * libxml2, with XPath, as stock libvirt looks at a domain. */
#pragma once

#include <glib.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stdbool.h>
#include <string.h>

#define TEST_QEMU "http://libvirt.org/schemas/domain/qemu/1.0"

static inline xmlDoc *
testUtilParse(const char *text)
{
    xmlParserCtxt *ctxt = xmlNewParserCtxt();
    xmlDoc *doc;

    xmlResetLastError();
    doc = xmlCtxtReadDoc(ctxt, (const xmlChar *)text, NULL, NULL,
                         XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_NOERROR);
    xmlFreeParserCtxt(ctxt);
    return doc;
}

/* For a test that runs twice: in the runner, and then in a process of its own, which does what must
 * not print "forged". Returns true in the latter. */
static inline bool
testUtilInSilence(void)
{
    if (g_test_subprocess())
        return true;
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr_unmatched("*forged*");
    return false;
}

/* The error for the text that was parsed last. libxml2 2.15 does not look beyond the root after an
 * unbound prefix, so it accepts a text that our reader, and any other libxml2, refuses. */
static inline bool
testUtilUnbound(void)
{
    const xmlError *last = xmlGetLastError();

    return last != NULL && last->domain == XML_FROM_NAMESPACE;
}

/* Returns the result of XPath's string(@expression), from <domain>; the prefix qemu is bound. */
static inline char *
testUtilXPath(xmlDoc *doc, const char *expression)
{
    xmlXPathContext *context = xmlXPathNewContext(doc);
    g_autofree char *wrapped = g_strdup_printf("string(%s)", expression);
    xmlXPathObject *object;
    char *value;

    xmlXPathRegisterNs(context, (const xmlChar *)"qemu", (const xmlChar *)TEST_QEMU);
    context->node = xmlDocGetRootElement(doc);
    object = xmlXPathEval((const xmlChar *)wrapped, context);
    g_assert_nonnull(object);
    value = g_strdup((const char *)object->stringval);
    xmlXPathFreeObject(object);
    xmlXPathFreeContext(context);
    return value;
}

static inline char *
testUtilEval(const char *text, const char *expression)
{
    xmlDoc *doc = testUtilParse(text);
    char *value;

    g_assert_nonnull(doc);
    value = testUtilXPath(doc, expression);
    xmlFreeDoc(doc);
    return value;
}

#define testUtilAssert(text, expression, expected)                                                 \
    G_STMT_START                                                                                   \
    {                                                                                              \
        g_autofree char *got = testUtilEval(text, expression);                                     \
        g_assert_cmpstr(got, ==, expected);                                                        \
    }                                                                                              \
    G_STMT_END

static inline int
testUtilCompare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Elements that stock libvirt does not print when they are empty. */
static inline bool
testUtilNothing(const xmlNode *node)
{
    static const char *const names[] = {"memoryBacking", "features", "commandline"};
    const xmlNode *child;
    size_t i;

    if (node->type == XML_TEXT_NODE)
        return xmlIsBlankNode(node);
    if (node->type != XML_ELEMENT_NODE || node->properties != NULL)
        return false;
    for (child = node->children; child != NULL; child = child->next) {
        if (child->type != XML_TEXT_NODE || !xmlIsBlankNode(child))
            return false;
    }
    for (i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strcmp((const char *)node->name, names[i]) == 0)
            return true;
    }
    return false;
}

/* A text that is the same for the same element, whatever its quotes, white space, prefixes and
 * namespace declarations, and, where @sort, the order of its children and grandchildren. */
static inline char *
testUtilCanon(const xmlNode *node, int sort)
{
    g_autoptr(GPtrArray) attributes = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) children = g_ptr_array_new_with_free_func(g_free);
    GString *text = g_string_new(NULL);
    const xmlAttr *attribute;
    const xmlNode *child;
    guint i;

    if (node->type != XML_ELEMENT_NODE) {
        g_autofree char *content = g_strstrip(g_strdup((const char *)node->content));

        g_string_append_printf(text, "[%d:%s:%s]", (int)node->type,
                               node->type == XML_PI_NODE ? (const char *)node->name : "", content);
        return g_string_free(text, FALSE);
    }
    for (attribute = node->properties; attribute != NULL; attribute = attribute->next) {
        xmlChar *value = xmlNodeListGetString(node->doc, attribute->children, 1);

        g_ptr_array_add(attributes,
                        g_strdup_printf(" {%s}%s='%s'",
                                        attribute->ns ? (const char *)attribute->ns->href : "",
                                        (const char *)attribute->name,
                                        value != NULL ? (const char *)value : ""));
        xmlFree(value);
    }
    for (child = node->children; child != NULL; child = child->next) {
        if (!testUtilNothing(child))
            g_ptr_array_add(children, testUtilCanon(child, sort - 1));
    }
    if (attributes->len > 0)
        qsort(attributes->pdata, attributes->len, sizeof(void *), testUtilCompare);
    if (sort > 0 && children->len > 0)
        qsort(children->pdata, children->len, sizeof(void *), testUtilCompare);
    g_string_append_printf(text, "\n<{%s}%s", node->ns ? (const char *)node->ns->href : "",
                           (const char *)node->name);
    for (i = 0; i < attributes->len; i++)
        g_string_append(text, g_ptr_array_index(attributes, i));
    g_string_append_c(text, '>');
    for (i = 0; i < children->len; i++)
        g_string_append(text, g_ptr_array_index(children, i));
    g_string_append(text, "</>");
    return g_string_free(text, FALSE);
}

static inline char *
testUtilCanonText(const char *text)
{
    xmlDoc *doc = testUtilParse(text);
    char *canon;

    g_assert_nonnull(doc);
    canon = testUtilCanon(xmlDocGetRootElement(doc), 2);
    xmlFreeDoc(doc);
    return canon;
}

/* The two are the same domain, except for formatting. @origin is what they were made from. */
static inline void
testUtilAssertSame(const char *text, const char *expected, const char *origin)
{
    g_autofree char *canon = testUtilCanonText(text);
    g_autofree char *wanted = testUtilCanonText(expected);
    const char *at = canon;
    const char *from = wanted;

    for (; *at != '\0' && *at == *from; from++)
        at++;
    if (*at == *from)
        return;
    g_test_message("made from:\n%.20000s\ngot:\n%.20000s", origin, text);
    g_error("differs at \"%.80s\", expected \"%.80s\"", at, from);
}
