/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemxml.h: XML that is read, and changed as text.
 *
 * A document is read once, and every element knows where in the text it stands. Changes are cuts
 * and insertions in that text: what nobody asked to change (metadata, comments, prefixes, quotes,
 * white space) keeps its bytes, whoever wrote it, and in what style. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct gmemXML gmemXML;
typedef struct gmemXMLNode gmemXMLNode;

/* A declaration of a namespace. */
typedef struct gmemXMLNs gmemXMLNs;

void gmemXMLFree(gmemXML *xml);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemXML, gmemXMLFree)

/* An element, and where it stands in the text. */
struct gmemXMLNode {
    gmemXMLNode *parent;
    gmemXMLNode *children;   /* the first one */
    gmemXMLNode *next;       /* the next child of @parent */
    gmemXMLNs *ns;           /* NULL: in no namespace */
    const char *start;       /* the start tag's "<" */
    const char *tagEnd;      /* the start tag's ">" or "/>" */
    const char *end;         /* after the element */
    guint32 nameLength : 31; /* of the name as written, prefix included */
    guint32 prefixed : 1;    /* whether an attribute has a colon in its name, declarations apart */
    guint32 changed;         /* gmemXMLEdit's: see there */
};

/**
 * gmemXMLParse:
 * @text: a document, NUL-terminated
 * @error: VIR_ERR_XML_DETAIL where it is not well formed; VIR_ERR_XML_ERROR where it has a document
 *         type declaration, by which its text can mean anything, or is in an encoding that is not a
 *         superset of ASCII, or not known to be one
 *
 * Time and memory are linear in the text, whatever its shape, and nothing limits how deep elements
 * nest.
 *
 * What libxml2 (and so libvirt) accepts, this accepts, and understands alike. Not the other way
 * round: characters in names, an attribute that occurs twice and the like are left to libvirt to
 * refuse.
 */
gmemXML *gmemXMLParse(const char *text, GError **error);

/* gmemXMLMalformed: @text changed so that no XML parser accepts it: libvirt, given that, refuses it
 * in the words that it has for @text, or, were @text well formed after all, in others. That libxml2
 * refuses it is tried here, and where that is not certain it is another malformed text. Free with
 * g_free(). */
char *gmemXMLMalformed(const char *text);

/* gmemXMLRoot: the root element; never NULL. */
gmemXMLNode *gmemXMLRoot(const gmemXML *xml);

/* gmemXMLText: the text that the elements stand in. */
const char *gmemXMLText(const gmemXML *xml);

/* gmemXMLIs: whether @node is an element called @name in no namespace: what libvirt's XPath
 * expressions match. */
bool gmemXMLIs(const gmemXMLNode *node, const char *name);

/* gmemXMLIsNs: whether @node is an element called @name in the namespace @href, whatever its
 * prefix. */
bool gmemXMLIsNs(const gmemXMLNode *node, const char *href, const char *name);

/* gmemXMLIsAnyNs: whether @node is called @name, in whatever namespace. */
bool gmemXMLIsAnyNs(const gmemXMLNode *node, const char *name);

/**
 * gmemXMLFind:
 * @root: where @path starts
 * @path: names of elements in no namespace, as in "cpu/numa/cell"
 *
 * Returns all elements that @path leads to, in document order; NULL-terminated, to be freed with
 * g_free(); the elements stay the document's.
 */
gmemXMLNode **gmemXMLFind(gmemXMLNode *root, const char *path);

/* gmemXMLFindFirst: the first of them, or NULL. */
gmemXMLNode *gmemXMLFindFirst(gmemXMLNode *root, const char *path);

/* An attribute as it is written. None of it is terminated. */
typedef struct {
    const char *name;
    size_t nameLength;
    const char *value; /* without quotes, references not replaced */
    size_t valueLength;
    const char *end; /* after the closing quote */
} gmemXMLAttr;

/* gmemXMLNextAttribute: writes the attribute of @node that follows @attr, whose @name is NULL for
 * the first one, to @attr. Declarations of namespaces are left out. Returns false at the end. */
bool gmemXMLNextAttribute(const gmemXMLNode *node, gmemXMLAttr *attr);

/* gmemXMLAttribute: the value of attribute @name (no namespace) with references replaced, NULL
 * where it (or @node) is not there. Free with g_free(). */
char *gmemXMLAttribute(const gmemXMLNode *node, const char *name);

/* gmemXMLString: all text in @node, as XPath's string() gives it. Free with g_free(). */
char *gmemXMLString(const gmemXMLNode *node);

/* gmemXMLContent: the same with white space around it removed. Free with g_free(). */
char *gmemXMLContent(const gmemXMLNode *node);

/* gmemXMLIsEmpty: whether there is nothing in @node but white space, comments and processing
 * instructions. */
bool gmemXMLIsEmpty(const gmemXMLNode *node);

/* gmemXMLName: the name of @node without its prefix. Free with g_free(). */
char *gmemXMLName(const gmemXMLNode *node);

/* gmemXMLPrefix: the prefix of @node's name, NULL where it has none. Free with g_free(). */
char *gmemXMLPrefix(const gmemXMLNode *node);

/* gmemXMLEscape: @text with what cannot stand in text or attribute values escaped as libvirt
 * does. Free with g_free(). */
char *gmemXMLEscape(const char *text);

/* gmemXMLSlice: the text of @node, from its start tag to its end tag. Free with g_free(). */
char *gmemXMLSlice(const gmemXMLNode *node);

/* gmemXMLNsUses: how many elements and attributes use @ns, and the element that declares it. */
size_t gmemXMLNsUses(const gmemXMLNs *ns);
const gmemXMLNode *gmemXMLNsNode(const gmemXMLNs *ns);

/* Changes to a document's text; they are made together, by gmemXMLEditApply(). */
typedef struct gmemXMLEdit gmemXMLEdit;

/* gmemXMLEditNew: @xml must outlive it, and have only one. */
gmemXMLEdit *gmemXMLEditNew(gmemXML *xml);
void gmemXMLEditFree(gmemXMLEdit *edit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemXMLEdit, gmemXMLEditFree)

/* gmemXMLEditRemove: removes @node, and the white space before it. */
void gmemXMLEditRemove(gmemXMLEdit *edit, gmemXMLNode *node);

/* gmemXMLEditSetAttribute: @name is the name as written, prefix included; @value NULL removes. */
void
gmemXMLEditSetAttribute(gmemXMLEdit *edit, gmemXMLNode *node, const char *name, const char *value);

/* gmemXMLEditPrepend, -Append, -InsertAfter: @markup goes directly after @node's start tag, before
 * its end tag (and the white space there), and after @node. */
void gmemXMLEditPrepend(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup);
void gmemXMLEditAppend(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup);
void gmemXMLEditInsertAfter(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup);

/* gmemXMLEditReplace: @markup stands in place of @node. */
void gmemXMLEditReplace(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup);

/* gmemXMLIndent: the white space directly after @node's start tag: what stands in front of each of
 * its children in a document that was formatted. Free with g_free(). */
char *gmemXMLIndent(const gmemXMLNode *node);

/* gmemXMLEndsInSpace: whether white space stands in front of @node's end tag. */
bool gmemXMLEndsInSpace(const gmemXMLNode *node);

/* gmemXMLEditRemoved: whether @node itself was removed. */
bool gmemXMLEditRemoved(const gmemXMLNode *node);

/* gmemXMLEditEmptied: whether, after the removals so far, @node has neither attributes nor content
 * (white space apart). */
bool gmemXMLEditEmptied(const gmemXMLNode *node);

/* gmemXMLEditApply: the changed text, to be freed with g_free(). */
char *gmemXMLEditApply(gmemXMLEdit *edit);

/* The changes by themselves: they require neither the document nor its tree, and can be made again
 * in a text that is the same to the byte. One piece of memory, to be freed with g_free(). */
typedef struct gmemXMLPatch gmemXMLPatch;

/* gmemXMLEditPatch: the changes of @edit. */
gmemXMLPatch *gmemXMLEditPatch(gmemXMLEdit *edit);

/* gmemXMLPatchSize: how many bytes of memory @patch is. */
size_t gmemXMLPatchSize(const gmemXMLPatch *patch);

/* gmemXMLPatchApply: @text with the changes made, to be freed with g_free(); NULL where it has not
 * the length of the text that they are of. */
char *gmemXMLPatchApply(const gmemXMLPatch *patch, const char *text, size_t length);
