/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemxml.h: XML that libxml2 understands and that is changed as text.
 *
 * libxml2 parses, with the options libvirt parses with, and tells where in the text each element
 * stands. Changes are cuts and insertions in that text: what nobody asked to change (metadata,
 * comments, prefixes, quotes, white space) keeps its bytes, whoever wrote it, and in what style. */
#pragma once

#include <glib.h>
#include <libxml/tree.h>
#include <stdbool.h>

typedef struct gmemXML gmemXML;

void gmemXMLFree(gmemXML *xml);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemXML, gmemXMLFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

/**
 * gmemXMLParse:
 * @text: a document, NUL-terminated
 *
 * Parses as libvirt does (xmlCtxtReadDoc; no network, entities not replaced), printing nothing. A
 * document in a declared encoding that libxml2 converts is taken over into UTF-8 first.
 *
 * Returns NULL where the document is not well formed: libvirt, calling the same parser with the
 * same options, says the same.
 */
gmemXML *gmemXMLParse(const char *text);

/* gmemXMLRoot: the root element; never NULL. */
xmlNode *gmemXMLRoot(const gmemXML *xml);

/* gmemXMLHasDTD: whether there is a document type declaration: only then are there entities. */
bool gmemXMLHasDTD(const gmemXML *xml);

/* gmemXMLIs: whether @node is an element called @name in no namespace: what libvirt's XPath
 * expressions match. */
bool gmemXMLIs(const xmlNode *node, const char *name);

/* gmemXMLIsNs: whether @node is an element called @name in the namespace @href, whatever its
 * prefix. */
bool gmemXMLIsNs(const xmlNode *node, const char *href, const char *name);

/**
 * gmemXMLFind:
 * @root: where @path starts
 * @path: names of elements in no namespace, as in "cpu/numa/cell"
 *
 * Returns all elements that @path leads to, in document order; NULL-terminated, to be freed with
 * g_free(); the elements stay the document's.
 */
xmlNode **gmemXMLFind(xmlNode *root, const char *path);

/* gmemXMLFindFirst: the first of them, or NULL. */
xmlNode *gmemXMLFindFirst(xmlNode *root, const char *path);

/* gmemXMLAttribute: the value of attribute @name (no namespace) with entities replaced, NULL where
 * it (or @node) is not there. Free with g_free(). */
char *gmemXMLAttribute(xmlNode *node, const char *name);

/* gmemXMLContent: all text in @node, with white space around it removed. Free with g_free(). */
char *gmemXMLContent(xmlNode *node);

/* gmemXMLEscape: @text with what cannot stand in text or attribute values escaped as libvirt
 * does. Free with g_free(). */
char *gmemXMLEscape(const char *text);

/* gmemXMLSlice: the text of @node, from its start tag to its end tag; NULL where it has no place in
 * the text (it came out of an entity). Free with g_free(). */
char *gmemXMLSlice(const gmemXML *xml, const xmlNode *node);

/* Changes to a document's text; they are made together, by gmemXMLEditApply(). */
typedef struct gmemXMLEdit gmemXMLEdit;

/* gmemXMLEditNew: @xml must outlive it, and have only one. */
gmemXMLEdit *gmemXMLEditNew(gmemXML *xml);
void gmemXMLEditFree(gmemXMLEdit *edit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemXMLEdit, gmemXMLEditFree)

/* gmemXMLEditRemove: takes @node out, and the white space in front of it. */
void gmemXMLEditRemove(gmemXMLEdit *edit, xmlNode *node);

/* gmemXMLEditSetAttribute: @name is the name as written, prefix included; @value NULL removes. */
void gmemXMLEditSetAttribute(gmemXMLEdit *edit, xmlNode *node, const char *name, const char *value);

/* gmemXMLEditPrepend, -Append, -InsertAfter: @markup goes directly behind @node's start tag, in
 * front of its end tag (in front of the white space there, too), and behind @node. */
void gmemXMLEditPrepend(gmemXMLEdit *edit, xmlNode *node, const char *markup);
void gmemXMLEditAppend(gmemXMLEdit *edit, xmlNode *node, const char *markup);
void gmemXMLEditInsertAfter(gmemXMLEdit *edit, xmlNode *node, const char *markup);

/* gmemXMLEditReplace: @markup stands in place of @node. */
void gmemXMLEditReplace(gmemXMLEdit *edit, xmlNode *node, const char *markup);

/* gmemXMLIndent: the white space directly behind @node's start tag: what stands in front of each of its
 * children in a document that was formatted. Free with g_free(). */
char *gmemXMLIndent(const gmemXML *xml, const xmlNode *node);

/* gmemXMLEndsInSpace: whether white space stands in front of @node's end tag. */
bool gmemXMLEndsInSpace(const gmemXML *xml, const xmlNode *node);

/* gmemXMLEditRemoved: whether @node itself was taken out. */
bool gmemXMLEditRemoved(const gmemXMLEdit *edit, const xmlNode *node);

/* gmemXMLEditEmptied: whether, after the removals so far, @node has neither attributes nor content
 * (white space apart). */
bool gmemXMLEditEmptied(const gmemXMLEdit *edit, const xmlNode *node);

/**
 * gmemXMLEditApply:
 * @error: VIR_ERR_INTERNAL_ERROR where an element to be changed has no place in the text
 *
 * Returns the changed text, to be freed with g_free().
 */
char *gmemXMLEditApply(gmemXMLEdit *edit, GError **error);
