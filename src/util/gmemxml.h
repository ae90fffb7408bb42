/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemxml.h: XML that is read, and changed as text.
 *
 * A document is read once, and every element knows where in the text it is. Changes are cuts and
 * insertions in that text: what nobody asked to change (metadata, comments, prefixes, quotes, white
 * space) keeps its bytes, whoever wrote it, and in whatever style. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct gmemXML gmemXML;
typedef struct gmemXMLNode gmemXMLNode;

/* A namespace declaration. */
typedef struct gmemXMLNs gmemXMLNs;

void gmemXMLFree(gmemXML *xml);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemXML, gmemXMLFree)

/* An element, and its position in the text. */
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
 * @error: VIR_ERR_XML_DETAIL if it is not well formed; VIR_ERR_XML_ERROR if it has a document type
 *         declaration, which can give any meaning to its text, or if its encoding is not, or is not
 *         known to be, a superset of ASCII
 *
 * Time and memory are linear in the length of the text, whatever its shape, and there is no limit
 * on how deep elements nest.
 *
 * What libxml2 (and so libvirt) accepts, this accepts, and understands in the same way. The
 * opposite is not true: characters in names, duplicate attributes and the like are left to libvirt
 * to refuse.
 */
gmemXML *gmemXMLParse(const char *text, GError **error);

/* gmemXMLMalformed: @text changed so that no XML parser accepts it. libvirt refuses it with its own
 * error for @text or, if @text was well formed after all, with another one. It is tried here
 * whether libxml2 refuses the result; if that is not certain, the result is another malformed text.
 * Free with g_free(). */
char *gmemXMLMalformed(const char *text);

/* gmemXMLRoot: the root element; never NULL. */
gmemXMLNode *gmemXMLRoot(const gmemXML *xml);

/* gmemXMLText: the text that contains the elements. */
const char *gmemXMLText(const gmemXML *xml);

/* gmemXMLIs: whether @node is an element named @name in no namespace, which is what libvirt's XPath
 * expressions match. */
bool gmemXMLIs(const gmemXMLNode *node, const char *name);

/* gmemXMLIsNs: whether @node is an element named @name in the namespace @href, whatever its prefix.
 */
bool gmemXMLIsNs(const gmemXMLNode *node, const char *href, const char *name);

/* gmemXMLIsAnyNs: whether @node is named @name, in any namespace. */
bool gmemXMLIsAnyNs(const gmemXMLNode *node, const char *name);

/**
 * gmemXMLFind:
 * @root: where @path starts
 * @path: names of elements in no namespace, as in "cpu/numa/cell"
 *
 * Returns all elements that @path leads to, in document order; NULL-terminated, to be freed with
 * g_free(). The elements still belong to the document.
 */
gmemXMLNode **gmemXMLFind(gmemXMLNode *root, const char *path);

/* gmemXMLFindFirst: the first of them, or NULL. */
gmemXMLNode *gmemXMLFindFirst(gmemXMLNode *root, const char *path);

/* gmemXMLNext: the element after @node in document order, or NULL after the last one in @top. If
 * not @descend, those in @node are skipped. */
gmemXMLNode *gmemXMLNext(const gmemXMLNode *node, const gmemXMLNode *top, bool descend);

/* An attribute as it is written. None of the strings is terminated. */
typedef struct {
    const char *name;
    size_t nameLength;
    const char *value; /* without quotes, references not replaced */
    size_t valueLength;
    const char *end; /* after the closing quote */
} gmemXMLAttr;

/* gmemXMLNextAttribute: writes the attribute of @node that follows @attr to @attr; before the first
 * call, its @name is NULL. Namespace declarations are skipped. Returns false at the end. */
bool gmemXMLNextAttribute(const gmemXMLNode *node, gmemXMLAttr *attr);

/* gmemXMLAttribute: the value of attribute @name (no namespace) with references replaced, or NULL
 * if it (or @node) does not exist. Free with g_free(). */
char *gmemXMLAttribute(const gmemXMLNode *node, const char *name);

/* gmemXMLString: all text in @node, like XPath's string(). Free with g_free(). */
char *gmemXMLString(const gmemXMLNode *node);

/* gmemXMLContent: the same without surrounding white space. Free with g_free(). */
char *gmemXMLContent(const gmemXMLNode *node);

/* gmemXMLIsEmpty: whether @node only contains white space, comments and processing instructions. */
bool gmemXMLIsEmpty(const gmemXMLNode *node);

/* gmemXMLName: the name of @node without its prefix. Free with g_free(). */
char *gmemXMLName(const gmemXMLNode *node);

/* gmemXMLPrefix: the prefix of @node's name, or NULL if there is none. Free with g_free(). */
char *gmemXMLPrefix(const gmemXMLNode *node);

/* gmemXMLEscape: @text with characters that are not allowed in text or attribute values escaped as
 * libvirt does. Free with g_free(). */
char *gmemXMLEscape(const char *text);

/* gmemXMLSlice: the text of @node, from its start tag to its end tag. Free with g_free(). */
char *gmemXMLSlice(const gmemXMLNode *node);

/* gmemXMLNsUses: the number of elements and attributes that use @ns, including the element that
 * declares it. */
size_t gmemXMLNsUses(const gmemXMLNs *ns);
const gmemXMLNode *gmemXMLNsNode(const gmemXMLNs *ns);

/* Changes to a document's text; gmemXMLEditApply() makes them all at once. */
typedef struct gmemXMLEdit gmemXMLEdit;

/* gmemXMLEditNew: @xml must outlive the edit, and can have only one. */
gmemXMLEdit *gmemXMLEditNew(gmemXML *xml);
void gmemXMLEditFree(gmemXMLEdit *edit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemXMLEdit, gmemXMLEditFree)

/* gmemXMLEditRemove: removes @node, and the white space before it. */
void gmemXMLEditRemove(gmemXMLEdit *edit, gmemXMLNode *node);

/* gmemXMLEditSetAttribute: @name is the name as written, including its prefix; a @value of NULL
 * removes the attribute. */
void
gmemXMLEditSetAttribute(gmemXMLEdit *edit, gmemXMLNode *node, const char *name, const char *value);

/* gmemXMLEditPrepend, -Append, -InsertAfter: insert @markup directly after @node's start tag,
 * before its end tag (and the white space there), or after @node. */
void gmemXMLEditPrepend(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup);
void gmemXMLEditAppend(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup);
void gmemXMLEditInsertAfter(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup);

/* gmemXMLEditReplace: puts @markup in place of @node. */
void gmemXMLEditReplace(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup);

/* gmemXMLIndent: the white space directly after @node's start tag, which precedes each of its
 * children in a formatted document. Free with g_free(). */
char *gmemXMLIndent(const gmemXMLNode *node);

/* gmemXMLEndsInSpace: whether there is white space before @node's end tag. */
bool gmemXMLEndsInSpace(const gmemXMLNode *node);

/* gmemXMLEditRemoved: whether @node itself was removed. */
bool gmemXMLEditRemoved(const gmemXMLNode *node);

/* gmemXMLEditEmptied: whether, after the removals so far, @node has neither attributes nor content
 * (except white space). */
bool gmemXMLEditEmptied(const gmemXMLNode *node);

/* gmemXMLEditApply: the changed text, to be freed with g_free(). */
char *gmemXMLEditApply(gmemXMLEdit *edit);

/* The changes by themselves. They do not require the document or its tree, and can be applied to
 * another text with the same bytes. One block of memory, to be freed with g_free(). */
typedef struct gmemXMLPatch gmemXMLPatch;

/* gmemXMLEditPatch: the changes of @edit. */
gmemXMLPatch *gmemXMLEditPatch(gmemXMLEdit *edit);

/* gmemXMLPatchSize: the memory that @patch uses, in bytes. */
size_t gmemXMLPatchSize(const gmemXMLPatch *patch);

/* gmemXMLPatchApply: @text with the changes made, to be freed with g_free(), or NULL if its length
 * is not that of the text that the patch was made for. */
char *gmemXMLPatchApply(const gmemXMLPatch *patch, const char *text, size_t length);
