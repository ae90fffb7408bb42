/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemxml.c: XML that libxml2 understands and that is changed as text.
 *
 * The tree that libxml2 builds has no positions. Its SAX callbacks do: when an element starts, the
 * parser stands in front of the ">" or "/>" of the start tag; when it ends, directly behind the
 * last ">". A literal "<" cannot stand inside a tag, so the tag's beginning is the nearest "<" to
 * the left. These positions are noted beside the tree, and checked against the text. An element for
 * which there is none (it came out of an entity) can be read, but not changed. */

#include "gmemxml.h"

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"

/* As libvirt (virXMLParse); NOERROR only keeps libxml2 from printing. Without XML_PARSE_HUGE
 * elements nest 256 deep at most, so recursion in libxml2 is bounded, too. */
#define GMEM_XML_OPTIONS (XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_NOERROR)

#define GMEM_XML_SPACE " \t\r\n"

/* Where an element stands: offsets into the text. */
typedef struct {
    size_t start;  /* of the start tag's "<" */
    size_t tagEnd; /* of the start tag's ">" or "/>" */
    size_t close;  /* of the end tag's "<"; that of "/>" where there is no end tag */
    size_t end;    /* behind the element */
    bool removed;
} gmemXMLSpan;

struct gmemXML {
    xmlDoc *doc;
    char *text;
    size_t length;
    GArray *spans; /* gmemXMLSpan; an element's _private is its index plus one */
};

/* Goes through the parser's _private. */
typedef struct {
    xmlParserCtxt *ctxt;
    gmemXML *xml;
} gmemXMLParser;

typedef struct {
    size_t offset;
    size_t length;  /* how many bytes go */
    char *text;     /* what comes in their place; NULL: nothing */
    xmlNode *wraps; /* an element that had no end tag and gets one with this change, or NULL */
    size_t sequence;
} gmemXMLChange;

struct gmemXMLEdit {
    gmemXML *xml;
    GArray *changes; /* gmemXMLChange */
    bool failed;
};

static gmemXMLSpan *
gmemXMLGetSpan(const gmemXML *xml, const xmlNode *node)
{
    size_t index = GPOINTER_TO_SIZE(node->_private);

    if (index == 0 || index > xml->spans->len)
        return NULL;
    return &g_array_index(xml->spans, gmemXMLSpan, index - 1);
}

/* Whether the parser is reading the document itself now, not an entity. */
static gmemXMLParser *
gmemXMLParserHere(xmlParserCtxt *ctxt)
{
    gmemXMLParser *parser = ctxt->_private;

    if (parser == NULL || parser->ctxt != ctxt || ctxt->inputNr != 1 || ctxt->node == NULL)
        return NULL;
    return parser;
}

/* What xmlByteConsumed returns, which is deprecated since 2.14, for text that is UTF-8. */
static size_t
gmemXMLPosition(const xmlParserCtxt *ctxt)
{
    const xmlParserInput *input = ctxt->input;

    return input->consumed + (size_t)(input->cur - input->base);
}

/* Whether positions count bytes of a text that libxml2 made, not of ours. */
static bool
gmemXMLIsEncoded(const xmlDoc *doc)
{
    return doc->encoding != NULL && g_ascii_strcasecmp((const char *)doc->encoding, "UTF-8") != 0;
}

/* Returns the offset of the "<" of the tag that reaches to @end; the text's length for none. */
static size_t
gmemXMLTagStart(const gmemXML *xml, size_t end)
{
    while (end > 0) {
        if (xml->text[--end] == '<')
            return end;
    }
    return xml->length;
}

static void
gmemXMLStartElement(void *opaque,
                    const xmlChar *name,
                    const xmlChar *prefix,
                    const xmlChar *href,
                    int nnamespaces,
                    const xmlChar **namespaces,
                    int nattributes,
                    int ndefaulted,
                    const xmlChar **attributes)
{
    xmlParserCtxt *ctxt = opaque;
    gmemXMLSpan span = {0};
    gmemXMLParser *parser;
    size_t position;

    xmlSAX2StartElementNs(ctxt, name, prefix, href, nnamespaces, namespaces, nattributes,
                          ndefaulted, attributes);
    parser = gmemXMLParserHere(ctxt);
    if (parser == NULL)
        return;
    position = gmemXMLPosition(ctxt);
    if (position == 0 || position >= parser->xml->length)
        return;
    span.tagEnd = position;
    span.start = gmemXMLTagStart(parser->xml, span.tagEnd);
    if (span.start == parser->xml->length ||
        (parser->xml->text[span.tagEnd] != '>' && parser->xml->text[span.tagEnd] != '/'))
        return;
    g_array_append_val(parser->xml->spans, span);
    ctxt->node->_private = GSIZE_TO_POINTER((size_t)parser->xml->spans->len);
}

static void
gmemXMLEndElement(void *opaque, const xmlChar *name, const xmlChar *prefix, const xmlChar *href)
{
    xmlParserCtxt *ctxt = opaque;
    gmemXMLParser *parser = gmemXMLParserHere(ctxt);
    gmemXMLSpan *span = NULL;

    if (parser != NULL)
        span = gmemXMLGetSpan(parser->xml, ctxt->node);
    if (span != NULL) {
        size_t position = gmemXMLPosition(ctxt);

        if (position > 0 && position <= parser->xml->length &&
            parser->xml->text[position - 1] == '>') {
            span->end = position;
            span->close = parser->xml->text[span->tagEnd] == '/'
                              ? span->tagEnd
                              : gmemXMLTagStart(parser->xml, span->end);
        }
        if (span->close < span->tagEnd || span->end <= span->close)
            ctxt->node->_private = NULL;
    }
    xmlSAX2EndElementNs(ctxt, name, prefix, href);
}

/* Takes ownership of @text. */
static gmemXML *
gmemXMLParseText(char *text, bool *encoded)
{
    g_autoptr(gmemXML) xml = g_new0(gmemXML, 1);
    gmemXMLParser parser = {NULL, xml};
    xmlParserCtxt *ctxt = xmlNewParserCtxt();

    xml->text = text;
    xml->length = strlen(text);
    xml->spans = g_array_new(FALSE, FALSE, sizeof(gmemXMLSpan));
    if (ctxt == NULL)
        g_error("out of memory");
    parser.ctxt = ctxt;
    ctxt->_private = &parser;
    ctxt->sax->startElementNs = gmemXMLStartElement;
    ctxt->sax->endElementNs = gmemXMLEndElement;
    xml->doc = xmlCtxtReadDoc(ctxt, (const xmlChar *)text, NULL, NULL, GMEM_XML_OPTIONS);
    xmlFreeParserCtxt(ctxt);
    if (xml->doc == NULL || xmlDocGetRootElement(xml->doc) == NULL)
        return NULL;
    *encoded = gmemXMLIsEncoded(xml->doc);
    return g_steal_pointer(&xml);
}

gmemXML *
gmemXMLParse(const char *text)
{
    bool encoded = false;
    g_autoptr(gmemXML) xml = gmemXMLParseText(g_strdup(text), &encoded);
    g_autoptr(gmemXML) converted = NULL;
    xmlChar *utf8 = NULL;
    int length = 0;

    if (xml == NULL || !encoded)
        return g_steal_pointer(&xml);

    xmlDocDumpMemoryEnc(xml->doc, &utf8, &length, "UTF-8");
    if (utf8 != NULL)
        converted = gmemXMLParseText(g_strndup((const char *)utf8, (size_t)length), &encoded);
    xmlFree(utf8);
    if (converted != NULL)
        return g_steal_pointer(&converted);
    /* The document is well formed, so it must not be reported as anything else; but without
     * positions nothing in it can be changed. */
    g_array_set_size(xml->spans, 0);
    return g_steal_pointer(&xml);
}

void
gmemXMLFree(gmemXML *xml)
{
    if (xml == NULL)
        return;
    if (xml->doc != NULL)
        xmlFreeDoc(xml->doc);
    g_clear_pointer(&xml->spans, g_array_unref);
    g_free(xml->text);
    g_free(xml);
}

xmlNode *
gmemXMLRoot(const gmemXML *xml)
{
    return xmlDocGetRootElement(xml->doc);
}

bool
gmemXMLHasDTD(const gmemXML *xml)
{
    return xml->doc->intSubset != NULL;
}

bool
gmemXMLIs(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && node->ns == NULL &&
           strcmp((const char *)node->name, name) == 0;
}

bool
gmemXMLIsNs(const xmlNode *node, const char *href, const char *name)
{
    return node->type == XML_ELEMENT_NODE && node->ns != NULL && node->ns->href != NULL &&
           strcmp((const char *)node->ns->href, href) == 0 &&
           strcmp((const char *)node->name, name) == 0;
}

/* One level at a time: the nodes found for a path's beginning are replaced by their children. */
xmlNode **
gmemXMLFind(xmlNode *root, const char *path)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();
    size_t level;
    guint i;

    g_ptr_array_add(nodes, root);
    for (level = 0; names[level] != NULL; level++) {
        GPtrArray *below = g_ptr_array_new();

        for (i = 0; i < nodes->len; i++) {
            xmlNode *parent = g_ptr_array_index(nodes, i);
            xmlNode *child;

            for (child = parent->children; child != NULL; child = child->next) {
                if (gmemXMLIs(child, names[level]))
                    g_ptr_array_add(below, child);
            }
        }
        g_ptr_array_unref(nodes);
        nodes = below;
    }
    g_ptr_array_add(nodes, NULL);
    return (xmlNode **)g_ptr_array_free(g_steal_pointer(&nodes), FALSE);
}

xmlNode *
gmemXMLFindFirst(xmlNode *root, const char *path)
{
    g_autofree xmlNode **nodes = gmemXMLFind(root, path);

    return nodes[0];
}

char *
gmemXMLAttribute(xmlNode *node, const char *name)
{
    xmlChar *value = node != NULL ? xmlGetNoNsProp(node, (const xmlChar *)name) : NULL;
    char *copy = g_strdup((const char *)value);

    xmlFree(value);
    return copy;
}

char *
gmemXMLContent(xmlNode *node)
{
    xmlChar *value = xmlNodeGetContent(node);
    char *copy = g_strstrip(g_strdup(value != NULL ? (const char *)value : ""));

    xmlFree(value);
    return copy;
}

char *
gmemXMLEscape(const char *text)
{
    GString *escaped = g_string_new(NULL);

    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            g_string_append(escaped, "&amp;");
            break;
        case '<':
            g_string_append(escaped, "&lt;");
            break;
        case '>':
            g_string_append(escaped, "&gt;");
            break;
        case '\'':
            g_string_append(escaped, "&apos;");
            break;
        case '"':
            g_string_append(escaped, "&quot;");
            break;
        default:
            g_string_append_c(escaped, *text);
        }
    }
    return g_string_free(escaped, FALSE);
}

char *
gmemXMLSlice(const gmemXML *xml, const xmlNode *node)
{
    const gmemXMLSpan *span = gmemXMLGetSpan(xml, node);

    return span != NULL ? g_strndup(xml->text + span->start, span->end - span->start) : NULL;
}

gmemXMLEdit *
gmemXMLEditNew(gmemXML *xml)
{
    gmemXMLEdit *edit = g_new0(gmemXMLEdit, 1);

    edit->xml = xml;
    edit->changes = g_array_new(FALSE, FALSE, sizeof(gmemXMLChange));
    return edit;
}

void
gmemXMLEditFree(gmemXMLEdit *edit)
{
    guint i;

    if (edit == NULL)
        return;
    for (i = 0; i < edit->changes->len; i++)
        g_free(g_array_index(edit->changes, gmemXMLChange, i).text);
    g_array_unref(edit->changes);
    g_free(edit);
}

static void
gmemXMLEditAdd(gmemXMLEdit *edit, size_t offset, size_t length, const char *text, xmlNode *wraps)
{
    gmemXMLChange change = {offset, length, g_strdup(text), wraps, edit->changes->len};

    g_array_append_val(edit->changes, change);
}

static size_t
gmemXMLSkipSpaceBack(const gmemXML *xml, size_t offset, size_t floor)
{
    while (offset > floor && strchr(GMEM_XML_SPACE, xml->text[offset - 1]) != NULL)
        offset--;
    return offset;
}

static gmemXMLSpan *
gmemXMLEditSpan(gmemXMLEdit *edit, const xmlNode *node)
{
    gmemXMLSpan *span = gmemXMLGetSpan(edit->xml, node);

    if (span == NULL)
        edit->failed = true;
    return span;
}

void
gmemXMLEditRemove(gmemXMLEdit *edit, xmlNode *node)
{
    gmemXMLSpan *span = gmemXMLEditSpan(edit, node);
    size_t start;

    if (span == NULL || span->removed)
        return;
    start = gmemXMLSkipSpaceBack(edit->xml, span->start, 0);
    span->removed = true;
    gmemXMLEditAdd(edit, start, span->end - start, NULL, NULL);
}

/* Finds attribute @name of a start tag: *@start is where its name starts, *@end is behind its
 * closing quote. The tag is known to be well formed. */
static bool
gmemXMLFindAttribute(
    const gmemXML *xml, const gmemXMLSpan *span, const char *name, size_t *start, size_t *end)
{
    const char *text = xml->text;
    size_t i = span->start + strcspn(text + span->start, GMEM_XML_SPACE "/>");

    while (i < span->tagEnd) {
        size_t length;
        char quote;

        i += strspn(text + i, GMEM_XML_SPACE);
        if (i >= span->tagEnd)
            return false;
        *start = i;
        length = strcspn(text + i, GMEM_XML_SPACE "=");
        i += length;
        i += strcspn(text + i, "'\"");
        quote = text[i];
        i = (size_t)(strchr(text + i + 1, quote) - text) + 1;
        *end = i;
        if (length == strlen(name) && memcmp(text + *start, name, length) == 0)
            return true;
    }
    return false;
}

void
gmemXMLEditSetAttribute(gmemXMLEdit *edit, xmlNode *node, const char *name, const char *value)
{
    gmemXMLSpan *span = gmemXMLEditSpan(edit, node);
    g_autofree char *escaped = value != NULL ? gmemXMLEscape(value) : NULL;
    g_autofree char *attribute = NULL;
    size_t start, end;
    bool found;

    if (span == NULL)
        return;
    found = gmemXMLFindAttribute(edit->xml, span, name, &start, &end);
    if (!found)
        start = end = gmemXMLSkipSpaceBack(edit->xml, span->tagEnd, span->start);
    else
        start = gmemXMLSkipSpaceBack(edit->xml, start, span->start);
    if (value != NULL) {
        attribute = g_strdup_printf(" %s='%s'", name, escaped);
    } else {
        xmlAttr *attr = xmlHasProp(node, (const xmlChar *)name);

        if (!found)
            return;
        if (attr != NULL && attr->type == XML_ATTRIBUTE_NODE)
            attr->_private = edit;
    }
    gmemXMLEditAdd(edit, start, end - start, attribute, NULL);
}

/* "<a/>" becomes "<a>@markup</a>"; a second change to the same element is added to the first. */
static void
gmemXMLEditWrap(
    gmemXMLEdit *edit, xmlNode *node, const gmemXMLSpan *span, const char *markup, bool front)
{
    g_autofree char *name = NULL;
    g_autofree char *wrapped = NULL;
    const char *text = edit->xml->text + span->start + 1;
    guint i;

    for (i = 0; i < edit->changes->len; i++) {
        gmemXMLChange *change = &g_array_index(edit->changes, gmemXMLChange, i);
        size_t split;
        char *joined;

        if (change->wraps != node)
            continue;
        split = front ? 1 : (size_t)(strrchr(change->text, '<') - change->text);
        joined =
            g_strdup_printf("%.*s%s%s", (int)split, change->text, markup, change->text + split);
        g_free(change->text);
        change->text = joined;
        return;
    }
    name = g_strndup(text, strcspn(text, GMEM_XML_SPACE "/>"));
    wrapped = g_strdup_printf(">%s</%s>", markup, name);
    gmemXMLEditAdd(edit, span->tagEnd, 2, wrapped, node);
}

void
gmemXMLEditPrepend(gmemXMLEdit *edit, xmlNode *node, const char *markup)
{
    gmemXMLSpan *span = gmemXMLEditSpan(edit, node);

    if (span == NULL)
        return;
    if (span->close == span->tagEnd)
        gmemXMLEditWrap(edit, node, span, markup, true);
    else
        gmemXMLEditAdd(edit, span->tagEnd + 1, 0, markup, NULL);
}

void
gmemXMLEditAppend(gmemXMLEdit *edit, xmlNode *node, const char *markup)
{
    gmemXMLSpan *span = gmemXMLEditSpan(edit, node);

    if (span == NULL)
        return;
    if (span->close == span->tagEnd)
        gmemXMLEditWrap(edit, node, span, markup, false);
    else
        gmemXMLEditAdd(edit, gmemXMLSkipSpaceBack(edit->xml, span->close, span->tagEnd + 1), 0,
                       markup, NULL);
}

void
gmemXMLEditInsertAfter(gmemXMLEdit *edit, xmlNode *node, const char *markup)
{
    gmemXMLSpan *span = gmemXMLEditSpan(edit, node);

    if (span != NULL)
        gmemXMLEditAdd(edit, span->end, 0, markup, NULL);
}

void
gmemXMLEditReplace(gmemXMLEdit *edit, xmlNode *node, const char *markup)
{
    gmemXMLSpan *span = gmemXMLEditSpan(edit, node);

    if (span != NULL)
        gmemXMLEditAdd(edit, span->start, span->end - span->start, markup, NULL);
}

char *
gmemXMLIndent(const gmemXML *xml, const xmlNode *node)
{
    const gmemXMLSpan *span = gmemXMLGetSpan(xml, node);
    const char *start;

    if (span == NULL || span->close <= span->tagEnd)
        return g_strdup("");
    start = xml->text + span->tagEnd + 1;
    return g_strndup(start, strspn(start, GMEM_XML_SPACE));
}

/* The tree does not know: whether blank text becomes nodes is a setting of the thread, which
 * libvirt changes. */
bool
gmemXMLEndsInSpace(const gmemXML *xml, const xmlNode *node)
{
    const gmemXMLSpan *span = gmemXMLGetSpan(xml, node);

    return span != NULL && span->close > span->tagEnd &&
           gmemXMLSkipSpaceBack(xml, span->close, span->tagEnd) < span->close;
}

bool
gmemXMLEditRemoved(const gmemXMLEdit *edit, const xmlNode *node)
{
    const gmemXMLSpan *span = gmemXMLGetSpan(edit->xml, node);

    return span != NULL && span->removed;
}

bool
gmemXMLEditEmptied(const gmemXMLEdit *edit, const xmlNode *node)
{
    const xmlAttr *attr;
    const xmlNode *child;

    for (attr = node->properties; attr != NULL; attr = attr->next) {
        if (attr->_private != edit)
            return false;
    }
    for (child = node->children; child != NULL; child = child->next) {
        if (child->type == XML_TEXT_NODE
                ? !xmlIsBlankNode(child)
                : (child->type != XML_ELEMENT_NODE || !gmemXMLEditRemoved(edit, child)))
            return false;
    }
    return true;
}

static int
gmemXMLCompareChanges(const void *left, const void *right)
{
    const gmemXMLChange *a = left;
    const gmemXMLChange *b = right;

    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    /* What goes in behind one element stands in front of what is cut out behind it. */
    if ((a->length == 0) != (b->length == 0))
        return a->length == 0 ? -1 : 1;
    return a->sequence < b->sequence ? -1 : 1;
}

char *
gmemXMLEditApply(gmemXMLEdit *edit, GError **error)
{
    const gmemXML *xml = edit->xml;
    size_t position = 0;
    GString *text;
    guint i;

    if (edit->failed) {
        gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, "%s",
                     _("an element to be changed has no place in the XML's text"));
        return NULL;
    }
    g_array_sort(edit->changes, gmemXMLCompareChanges);
    text = g_string_sized_new(xml->length + 1024);
    for (i = 0; i < edit->changes->len; i++) {
        const gmemXMLChange *change = &g_array_index(edit->changes, gmemXMLChange, i);

        /* Inside something that goes as a whole. */
        if (change->offset < position)
            continue;
        g_string_append_len(text, xml->text + position, (gssize)(change->offset - position));
        if (change->text != NULL)
            g_string_append(text, change->text);
        position = change->offset + change->length;
    }
    g_string_append_len(text, xml->text + position, (gssize)(xml->length - position));
    return g_string_free(text, FALSE);
}
