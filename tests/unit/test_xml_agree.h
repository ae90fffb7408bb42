/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_xml_agree.h: a document is the same for our reader as for libxml2. For the unit test and the
 * fuzzer. */
#pragma once

#include <glib.h>
#include <libxml/parser.h>
#include <string.h>

#include "gmemxml.h"

/* libxml2's opinion about what is not content. */
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
    size_t n = 0;

    for (attribute = node->properties; attribute != NULL; attribute = attribute->next) {
        /* libxml2 2.15 reads "xmlns:a:b" as an attribute, while 2.9 and the reader read it as the
         * declaration of a prefix that no name can have: nobody uses either. All of them read
         * "xmlns:" as one. */
        if (strncmp((const char *)attribute->name, "xmlns:", 6) == 0 &&
            strchr((const char *)attribute->name + 6, ':') != NULL && attribute->name[6] != ':')
            continue;
        n++;
        if (attribute->ns == NULL) {
            xmlChar *value = xmlGetNoNsProp(node, attribute->name);
            g_autofree char *own = gmemXMLAttribute(ours, (const char *)attribute->name);

            g_assert_cmpstr(own, ==, (const char *)value);
            xmlFree(value);
        }
    }
    while (gmemXMLNextAttribute(ours, &attr))
        n--;
    g_assert_cmpuint(n, ==, 0);
}

/* libxml2 2.9 splits "a:b:c" at the first colon, like the reader; for 2.15 it is a complete name in
 * no namespace. In either case a colon is left in the name, and nothing that libvirt or we look for
 * contains one. */
static inline void
testAssertName(const gmemXMLNode *ours, const xmlNode *node)
{
    const char *name = (const char *)node->name;
    g_autofree char *own = gmemXMLName(ours);

    if (strchr(own, ':') != NULL && strcmp(own, name) != 0) {
        g_assert_null(node->ns);
        g_assert_cmpuint(strlen(name), ==, ours->nameLength);
        g_assert_cmpmem(name, strlen(name), ours->start + 1, ours->nameLength);
        return;
    }
    g_assert_cmpstr(own, ==, name);
    /* libxml2 2.9 leaves a reference to "&" in a namespace unchanged; the namespaces that matter do
     * not contain one. */
    if (node->ns == NULL)
        g_assert_true(gmemXMLIs(ours, name));
    else if (strchr((const char *)node->ns->href, '&') != NULL)
        g_assert_nonnull(ours->ns);
    else
        g_assert_true(gmemXMLIsNs(ours, (const char *)node->ns->href, name));
}

static inline void
testAssertAgree(const gmemXMLNode *ours, xmlNode *node)
{
    g_autofree char *content = gmemXMLString(ours);
    xmlChar *theirs = xmlNodeGetContent(node);
    const gmemXMLNode *child = ours->children;
    xmlNode *other;

    testAssertName(ours, node);
    testAssertAttributes(ours, node);
    g_assert_cmpstr(content, ==, (char *)theirs);
    xmlFree(theirs);
    /* It does not matter whether a reference to white space is white space. */
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
