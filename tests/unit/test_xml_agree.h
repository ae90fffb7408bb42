/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_xml_agree.h: that a document is to our reader what it is to libxml2. For the unit test and
 * the fuzzer. */
#pragma once

#include <glib.h>
#include <libxml/parser.h>
#include <string.h>

#include "gmemxml.h"

/* libxml2's opinion of what is no content. */
static inline bool
testIsEmpty(const xmlNode *node)
{
    const xmlNode *child;

    for (child = node->children; child != NULL; child = child->next) {
        if (child->type != XML_COMMENT_NODE && child->type != XML_PI_NODE &&
            (child->type != XML_TEXT_NODE || !xmlIsBlankNode(child)))
            return false;
    }
    return true;
}

static inline void
testAssertAttributes(const gmemXMLNode *ours, xmlNode *node)
{
    const xmlAttr *attribute;
    gmemXMLAttr attr = {0};
    /* libxml2 2.15 takes "xmlns:a:b" for an attribute. */
    bool odd = false;
    size_t n = 0;

    for (attribute = node->properties; attribute != NULL; attribute = attribute->next) {
        n++;
        if (g_str_has_prefix((const char *)attribute->name, "xmlns:")) {
            odd = true;
        } else if (attribute->ns == NULL) {
            xmlChar *value = xmlGetNoNsProp(node, attribute->name);
            g_autofree char *own = gmemXMLAttribute(ours, (const char *)attribute->name);

            g_assert_cmpstr(own, ==, (const char *)value);
            xmlFree(value);
        }
    }
    while (gmemXMLNextAttribute(ours, &attr))
        n--;
    g_assert_true(n == 0 || odd);
}

static inline void
testAssertAgree(const gmemXMLNode *ours, xmlNode *node)
{
    g_autofree char *content = gmemXMLString(ours);
    xmlChar *theirs = xmlNodeGetContent(node);
    const gmemXMLNode *child = ours->children;
    /* libxml2 2.15 does not take names with two colons apart; none that matters has one. */
    bool whole = strchr((const char *)node->name, ':') != NULL;
    xmlNode *other;

    g_assert_true(whole || gmemXMLIsAnyNs(ours, (const char *)node->name));
    /* libxml2 2.9 leaves a reference to "&" in a namespace as it is; there is none in those that
     * matter. */
    if (node->ns == NULL || whole)
        g_assert_true(whole || gmemXMLIs(ours, (const char *)node->name));
    else if (strchr((const char *)node->ns->href, '&') != NULL)
        g_assert_nonnull(ours->ns);
    else
        g_assert_true(gmemXMLIsNs(ours, (const char *)node->ns->href, (const char *)node->name));
    testAssertAttributes(ours, node);
    g_assert_cmpstr(content, ==, (char *)theirs);
    xmlFree(theirs);
    /* Whether a reference to white space is white space does not matter. */
    if (strstr(ours->start, "&#1") == NULL)
        g_assert_cmpint(gmemXMLIsEmpty(ours), ==, testIsEmpty(node));
    for (other = node->children; other != NULL; other = other->next) {
        if (other->type != XML_ELEMENT_NODE)
            continue;
        g_assert_nonnull(child);
        testAssertAgree(child, other);
        child = child->next;
    }
    g_assert_null(child);
}
