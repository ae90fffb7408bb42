/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemxml.c: reads XML, and records where each of its elements is in the text.
 *
 * It does not use libxml2, although libvirt does. If an allocation of libxml2 fails, an attribute
 * or an element can silently be missing from the tree; the time that some of its functions take
 * grows with the square of the text; and its tree does not say where things are. A document without
 * a document type declaration leaves nothing to interpretation: elements, attributes, text,
 * comments, processing instructions, CDATA sections, and character references. Memory comes from
 * GLib, which ends the process if there is none; nothing recurses.
 *
 * The reader is more lenient than libxml2, and never stricter: what libxml2 accepts must come out
 * the same, and the rest is refused by libvirt. test_xml.c and fuzz_xml.c compare the two. */

#include "gmemxml.h"

#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemlibxml.h"
#include "gmemxmlencoding.h"

#define GMEM_XML_NAMESPACE "http://www.w3.org/XML/1998/namespace"
#define GMEM_XML_XMLNS_NAMESPACE "http://www.w3.org/2000/xmlns/"

/* Elements are allocated in blocks of this many: 4 KiB, because most documents have few. */
#define GMEM_XML_BLOCK 64

/* A flag in gmemXMLNode.changed; the lower bits are the number of attributes that were removed. */
#define GMEM_XML_REMOVED (1U << 31)

/* Newer versions of g_str_has_prefix() look for the end of @text first. */
static inline bool
gmemXMLStartsWith(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

struct gmemXMLNs {
    const char *prefix; /* in the text */
    size_t prefixLength;
    char *href;
    gmemXMLNode *node;
    gmemXMLNs *outer; /* that of the same prefix around it */
    size_t uses;
};

struct gmemXML {
    char *text;
    gmemXMLNode *root;
    GPtrArray *blocks; /* gmemXMLNode[GMEM_XML_BLOCK] */
    size_t used;       /* elements of the last block */
    GPtrArray *namespaces;
};

typedef struct {
    gmemXML *xml;
    const char *begin; /* of the document, after a byte order mark */
    const char *p;
    gmemXMLNode *open;   /* the innermost element that p is in */
    gmemXMLNode *last;   /* the element that ended last */
    gmemXMLNs *fallback; /* the default namespace in force */
    GTree *bindings;     /* the other ones: a tree, because nobody can make a tree slow */
    GPtrArray *declared; /* all of them that are in force or hidden, innermost last */
} gmemXMLParser;

static void
gmemXMLNsFree(void *ns)
{
    g_free(((gmemXMLNs *)ns)->href);
    g_free(ns);
}

void
gmemXMLFree(gmemXML *xml)
{
    if (xml == NULL)
        return;
    g_ptr_array_unref(xml->blocks);
    g_ptr_array_unref(xml->namespaces);
    g_free(xml->text);
    g_free(xml);
}

static inline bool
gmemXMLIsSpace(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* This function and the next one do not use strspn(): what they skip is short, and preparing
 * strspn() costs more. */
static inline const char *
gmemXMLSkipSpace(const char *p)
{
    /* Attributes are only read a second time if the first time found them well-formed. */
    while (gmemXMLIsSpace(*p)) /* NOLINT(clang-analyzer-core.NullDereference) */
        p++;
    return p;
}

static inline const char *
gmemXMLSkipName(const char *p)
{
    static const bool ends[256] = {
        ['\0'] = true, [' '] = true, ['\t'] = true, ['\r'] = true, ['\n'] = true, ['/'] = true,
        ['>'] = true,  ['='] = true, ['<'] = true,  ['\''] = true, ['"'] = true,  ['&'] = true,
    };

    while (!ends[(guchar)*p])
        p++;
    return p;
}

static bool
gmemXMLIsChar(gunichar c)
{
    return c == 0x9 || c == 0xa || c == 0xd || (c >= 0x20 && c <= 0xd7ff) ||
           (c >= 0xe000 && c <= 0xfffd) || (c >= 0x10000 && c <= 0x10ffff);
}

/* "&#…;"; @p is after the "#". */
static const char *
gmemXMLReadNumber(const char *p, gunichar *c)
{
    bool hex = *p == 'x';
    int digit;

    p += hex;
    *c = 0;
    if (*p == ';')
        return NULL;
    for (; *p != ';'; p++) {
        digit = hex ? g_ascii_xdigit_value(*p) : g_ascii_digit_value(*p);
        if (digit < 0)
            return NULL;
        /* What is too large stays too large. */
        if (*c <= 0x10ffff)
            *c = *c * (hex ? 16 : 10) + (gunichar)digit;
    }
    return gmemXMLIsChar(*c) ? p + 1 : NULL;
}

/* Returns what follows the reference at @p, a "&", and its character in *@c. Returns NULL if it is
 * malformed, or if only a document type declaration could give it a meaning. */
static const char *
gmemXMLReadReference(const char *p, gunichar *c)
{
    static const struct {
        const char *name;
        size_t length;
        char c;
    } entities[] = {
        {"quot;", 5, '"'}, {"amp;", 4, '&'}, {"lt;", 3, '<'}, {"gt;", 3, '>'}, {"apos;", 5, '\''},
    };
    size_t i;

    if (p[1] == '#')
        return gmemXMLReadNumber(p + 2, c);
    for (i = 0; i < G_N_ELEMENTS(entities); i++) {
        if (strncmp(p + 1, entities[i].name, entities[i].length) != 0)
            continue;
        *c = (gunichar)entities[i].c;
        return p + 1 + entities[i].length;
    }
    return NULL;
}

/* Returns what follows the attribute at @p, or NULL if it is malformed. */
static const char *
gmemXMLReadAttribute(const char *p, gmemXMLAttr *attr)
{
    const char *quote;
    gunichar c;

    attr->name = p;
    attr->nameLength = (size_t)(gmemXMLSkipName(p) - p);
    p = gmemXMLSkipSpace(p + attr->nameLength);
    if (attr->nameLength == 0 || *p != '=')
        return NULL;
    p = gmemXMLSkipSpace(p + 1);
    if (*p != '"' && *p != '\'')
        return NULL;
    quote = *p == '"' ? "\"<&" : "'<&";
    attr->value = ++p;
    for (p += strcspn(p, quote); *p == '&'; p += strcspn(p, quote)) {
        p = gmemXMLReadReference(p, &c);
        if (p == NULL)
            return NULL;
    }
    if (*p != *quote)
        return NULL;
    attr->valueLength = (size_t)(p - attr->value);
    attr->end = p + 1;
    return attr->end;
}

/* The context of a text: CDATA does not have references; in an attribute, any white space that is
 * not a reference is a space. */
typedef enum {
    GMEM_XML_IN_ATTRIBUTE,
    GMEM_XML_IN_CONTENT,
    GMEM_XML_IN_CDATA
} gmemXMLPlace;

/* Appends what @text (known to be well formed) stands for. */
static void
gmemXMLDecode(GString *value, const char *text, size_t length, gmemXMLPlace place)
{
    bool space = place == GMEM_XML_IN_ATTRIBUTE;
    const char *end = text + length;
    const char *p = text;

    while (p < end) {
        const char *run = p;
        gunichar c;

        while (p < end && *p != '&' && *p != '\r' && (!space || (*p != '\n' && *p != '\t')))
            p++;
        g_string_append_len(value, run, p - run);
        if (p == end)
            break;
        c = (guchar)*p;
        if (c == '&' && place != GMEM_XML_IN_CDATA) {
            p = gmemXMLReadReference(p, &c);
            g_string_append_unichar(value, c);
            continue;
        }
        if (c == '\r' && p + 1 < end && p[1] == '\n')
            p++;
        if (c == '\r')
            c = '\n';
        g_string_append_c(value, space && (c == '\n' || c == '\t') ? ' ' : (char)c);
        p++;
    }
}

static char *
gmemXMLAttrValue(const gmemXMLAttr *attr)
{
    char *plain = g_strndup(attr->value, attr->valueLength);
    GString *value;

    if (strpbrk(plain, "&\t\r\n") == NULL)
        return plain;
    g_free(plain);
    value = g_string_sized_new(attr->valueLength);
    gmemXMLDecode(value, attr->value, attr->valueLength, GMEM_XML_IN_ATTRIBUTE);
    return g_string_free(value, FALSE);
}

/* The length of the prefix of a name, or 0 if there is none. As in libxml2, what does not look like
 * a name on both sides of the colon is a name without a prefix. */
static size_t
gmemXMLPrefixLength(const char *name, size_t length)
{
    const char *colon = memchr(name, ':', length);
    const char *local = colon != NULL ? colon + 1 : NULL;

    if (colon == NULL || colon == name || local == name + length)
        return 0;
    if (!g_ascii_isalpha(*local) && *local != '_' && (guchar)*local < 0x80)
        return 0;
    return (size_t)(colon - name);
}

static bool
gmemXMLIsDeclaration(const gmemXMLAttr *attr)
{
    return attr->name[0] == 'x' && attr->nameLength >= 5 && memcmp(attr->name, "xmlns", 5) == 0 &&
           (attr->nameLength == 5 || gmemXMLPrefixLength(attr->name, attr->nameLength) == 5);
}

static int
gmemXMLComparePrefixes(const void *left, const void *right)
{
    const gmemXMLNs *a = left;
    const gmemXMLNs *b = right;

    if (a->prefixLength != b->prefixLength)
        return a->prefixLength < b->prefixLength ? -1 : 1;
    return memcmp(a->prefix, b->prefix, a->prefixLength);
}

static gmemXMLNs *
gmemXMLFindNs(const gmemXMLParser *parser, const char *prefix, size_t length)
{
    const gmemXMLNs key = {.prefix = prefix, .prefixLength = length};

    return g_tree_lookup(parser->bindings, &key);
}

static void
gmemXMLBind(gmemXMLParser *parser, gmemXMLNs *ns)
{
    if (ns->prefixLength == 0) {
        ns->outer = parser->fallback;
        parser->fallback = ns;
    } else {
        ns->outer = g_tree_lookup(parser->bindings, ns);
        g_tree_replace(parser->bindings, ns, ns);
    }
    g_ptr_array_add(parser->declared, ns);
}

static void
gmemXMLUnbind(gmemXMLParser *parser, gmemXMLNs *ns)
{
    if (ns->prefixLength == 0)
        parser->fallback = ns->outer;
    else if (ns->outer != NULL)
        g_tree_replace(parser->bindings, ns->outer, ns->outer);
    else
        g_tree_remove(parser->bindings, ns);
    g_ptr_array_set_size(parser->declared, (int)parser->declared->len - 1);
}

/* As in libxml2, a declaration that the rules for namespaces forbid is ignored. */
static void
gmemXMLDeclare(gmemXMLParser *parser, gmemXMLNode *node, const gmemXMLAttr *attr)
{
    size_t skip = attr->nameLength == 5 ? 5 : 6;
    gmemXMLNs *ns = g_new0(gmemXMLNs, 1);

    ns->prefix = attr->name + skip;
    ns->prefixLength = attr->nameLength - skip;
    ns->href = gmemXMLAttrValue(attr);
    ns->node = node;
    g_ptr_array_add(parser->xml->namespaces, ns);
    if ((skip == 6 && ns->href[0] == '\0') || strcmp(ns->href, GMEM_XML_NAMESPACE) == 0 ||
        strcmp(ns->href, GMEM_XML_XMLNS_NAMESPACE) == 0 ||
        (ns->prefixLength == 3 && memcmp(ns->prefix, "xml", 3) == 0) ||
        (ns->prefixLength == 5 && memcmp(ns->prefix, "xmlns", 5) == 0))
        return;
    gmemXMLBind(parser, ns);
}

/* The namespace of a name, or NULL if there is none: a prefix that is not declared belongs to the
 * name. @fallback is the namespace of names without a prefix. */
static gmemXMLNs *
gmemXMLResolve(const gmemXMLParser *parser, const char *name, size_t length, gmemXMLNs *fallback)
{
    size_t prefix = gmemXMLPrefixLength(name, length);
    gmemXMLNs *ns = prefix > 0 ? gmemXMLFindNs(parser, name, prefix) : fallback;

    if (ns != NULL && ns->href[0] == '\0') /* xmlns='' */
        return NULL;
    if (ns != NULL)
        ns->uses++;
    return ns;
}

static gmemXMLNode *
gmemXMLNewNode(gmemXMLParser *parser)
{
    gmemXML *xml = parser->xml;
    gmemXMLNode *block;
    gmemXMLNode *node;

    if (xml->used == GMEM_XML_BLOCK || xml->blocks->len == 0) {
        g_ptr_array_add(xml->blocks, g_new(gmemXMLNode, GMEM_XML_BLOCK));
        xml->used = 0;
    }
    block = g_ptr_array_index(xml->blocks, xml->blocks->len - 1);
    node = &block[xml->used++];
    *node = (gmemXMLNode){.parent = parser->open};
    if (parser->open == NULL)
        xml->root = node;
    else if (parser->last != NULL && parser->last->parent == parser->open)
        parser->last->next = node;
    else
        parser->open->children = node;
    return node;
}

static void
gmemXMLClose(gmemXMLParser *parser, gmemXMLNode *node)
{
    while (parser->declared->len > 0) {
        gmemXMLNs *ns = g_ptr_array_index(parser->declared, parser->declared->len - 1);

        if (ns->node != node)
            break;
        gmemXMLUnbind(parser, ns);
    }
    node->end = parser->p;
    parser->last = node;
    parser->open = node->parent;
}

static bool
gmemXMLReadAttributes(gmemXMLParser *parser, gmemXMLNode *node)
{
    const char *p = node->start + 1 + node->nameLength;
    gmemXMLAttr attr = {0};

    for (;;) {
        bool space = gmemXMLIsSpace(*p);

        p = gmemXMLSkipSpace(p);
        if (*p == '>' || (p[0] == '/' && p[1] == '>'))
            break;
        if (!space)
            return false;
        p = gmemXMLReadAttribute(p, &attr);
        if (p == NULL)
            return false;
        if (gmemXMLIsDeclaration(&attr))
            gmemXMLDeclare(parser, node, &attr);
        else if (memchr(attr.name, ':', attr.nameLength) != NULL)
            node->prefixed = true;
    }
    node->tagEnd = p;
    attr.name = NULL;
    while (node->prefixed && gmemXMLNextAttribute(node, &attr))
        gmemXMLResolve(parser, attr.name, attr.nameLength, NULL);
    return true;
}

static bool
gmemXMLReadStartTag(gmemXMLParser *parser)
{
    gmemXMLNode *node;
    const char *name;

    if (parser->open == NULL && parser->xml->root != NULL)
        return false;
    node = gmemXMLNewNode(parser);
    node->start = parser->p;
    name = parser->p + 1;
    node->nameLength = (guint32)(gmemXMLSkipName(name) - name) & G_MAXINT32;
    if (node->nameLength == 0 || !gmemXMLReadAttributes(parser, node))
        return false;
    node->ns = gmemXMLResolve(parser, node->start + 1, node->nameLength, parser->fallback);
    parser->open = node;
    parser->p = node->tagEnd + (*node->tagEnd == '/' ? 2 : 1);
    if (*node->tagEnd == '/')
        gmemXMLClose(parser, node);
    return true;
}

static bool
gmemXMLReadEndTag(gmemXMLParser *parser)
{
    const gmemXMLNode *node = parser->open;
    const char *p = parser->p + 2;

    if (node == NULL || strncmp(p, node->start + 1, node->nameLength) != 0)
        return false;
    p = gmemXMLSkipSpace(p + node->nameLength);
    if (*p != '>')
        return false;
    parser->p = p + 1;
    gmemXMLClose(parser, parser->open);
    return true;
}

/* Like strstr(), but certainly does not look beyond what it finds, which strstr() does not promise.
 */
static const char *
gmemXMLFindText(const char *text, const char *what)
{
    const char *p = strchr(text, what[0]);

    while (p != NULL && strncmp(p, what, strlen(what)) != 0)
        p = strchr(p + 1, what[0]);
    return p;
}

/* Returns what follows the comment, processing instruction or CDATA section at @p; NULL if it does
 * not end; @p itself if there is something else. */
static const char *
gmemXMLSkipAside(const char *p)
{
    static const char *const kinds[][2] = {{"<!--", "-->"}, {"<?", "?>"}, {"<![CDATA[", "]]>"}};
    size_t i;

    if (p[1] != '!' && p[1] != '?')
        return p;
    for (i = 0; i < G_N_ELEMENTS(kinds); i++) {
        const char *end;

        if (!gmemXMLStartsWith(p, kinds[i][0]))
            continue;
        end = gmemXMLFindText(p + strlen(kinds[i][0]), kinds[i][1]);
        return end != NULL ? end + strlen(kinds[i][1]) : NULL;
    }
    return p;
}

/* Text up to the next tag; outside the root, only white space. */
static bool
gmemXMLReadText(gmemXMLParser *parser)
{
    const char *p = parser->p;
    gunichar c;

    if (parser->open == NULL) {
        parser->p = gmemXMLSkipSpace(p);
        return *parser->p == '<' || *parser->p == '\0';
    }
    for (p += strcspn(p, "<&"); *p == '&'; p += strcspn(p, "<&")) {
        p = gmemXMLReadReference(p, &c);
        if (p == NULL)
            return false;
    }
    parser->p = p;
    return true;
}

static bool
gmemXMLReadMarkup(gmemXMLParser *parser)
{
    const char *aside = gmemXMLSkipAside(parser->p);

    if (aside != parser->p) {
        /* A declaration is only allowed at the very beginning, and text only in the root. */
        if (aside == NULL ||
            (parser->p > parser->begin && gmemXMLStartsWith(parser->p, "<?xml") &&
             strchr(GMEM_XML_SPACE "?", parser->p[5]) != NULL) ||
            (parser->open == NULL && gmemXMLStartsWith(parser->p, "<![")))
            return false;
        parser->p = aside;
        return true;
    }
    if (parser->p[1] == '!')
        return false;
    return parser->p[1] == '/' ? gmemXMLReadEndTag(parser) : gmemXMLReadStartTag(parser);
}

/* Returns 0, or -1 with @error. */
static int
gmemXMLRead(gmemXMLParser *parser, GError **error)
{
    for (;;) {
        if (!gmemXMLReadText(parser))
            break;
        if (*parser->p == '\0' && parser->open == NULL && parser->xml->root != NULL)
            return 0;
        if (parser->xml->root == NULL && gmemXMLStartsWith(parser->p, "<!DOCTYPE"))
            return gmemErrorSet(error, VIR_ERR_XML_ERROR, "%s",
                                _("a document type declaration is not supported here: remove it, "
                                  "and write out the entities that it declares"));
        if (*parser->p == '\0' || !gmemXMLReadMarkup(parser))
            break;
    }
    return gmemErrorSet(error, VIR_ERR_XML_DETAIL, _("the XML is malformed at byte %1$zu"),
                        (size_t)(parser->p - parser->xml->text));
}

/* Most texts are ASCII, and eight bytes are examined as quickly as one. */
static bool
gmemXMLIsUTF8(const char *text)
{
    size_t length = strlen(text);
    guint64 word;

    for (; length >= sizeof(word); length -= sizeof(word), text += sizeof(word)) {
        memcpy(&word, text, sizeof(word));
        if ((word & G_GUINT64_CONSTANT(0x8080808080808080)) != 0)
            break;
    }
    return g_utf8_validate(text, (gssize)length, NULL);
}

static int
gmemXMLCheckEncoding(const char *text, GError **error)
{
    g_autofree char *converted = NULL;

    if (gmemXMLEncodingIsUTF8(text) && !gmemXMLIsUTF8(text))
        return gmemErrorSet(error, VIR_ERR_XML_DETAIL, "%s", _("the XML is not in UTF-8"));
    if (gmemXMLEncodingIsASCII(text))
        return 0;
    converted = gmemXMLEncodingConvert(text);
    if (converted == NULL)
        return gmemErrorSet(error, VIR_ERR_XML_DETAIL, "%s",
                            _("the XML is not in the encoding that it declares"));
    return gmemErrorSet(error, VIR_ERR_XML_ERROR, "%s",
                        _("the encoding of the XML is not supported here: use UTF-8"));
}

gmemXML *
gmemXMLParse(const char *text, GError **error)
{
    g_autoptr(gmemXML) xml = g_new0(gmemXML, 1);
    gmemXMLNs *reserved = g_new0(gmemXMLNs, 1);
    gmemXMLParser parser = {.xml = xml};
    int rc = -1;

    xml->blocks = g_ptr_array_new_with_free_func(g_free);
    xml->namespaces = g_ptr_array_new_with_free_func(gmemXMLNsFree);
    g_ptr_array_add(xml->namespaces, reserved);
    if (gmemXMLCheckEncoding(text, error) < 0)
        return NULL;
    xml->text = g_strdup(text);
    parser.begin = xml->text;
    if (gmemXMLStartsWith(xml->text, GMEM_XML_BOM))
        parser.begin += strlen(GMEM_XML_BOM);
    parser.p = parser.begin;
    parser.bindings = g_tree_new(gmemXMLComparePrefixes);
    parser.declared = g_ptr_array_new();
    reserved->prefix = "xml";
    reserved->prefixLength = 3;
    reserved->href = g_strdup(GMEM_XML_NAMESPACE);
    gmemXMLBind(&parser, reserved);
    rc = gmemXMLRead(&parser, error);
    g_tree_unref(parser.bindings);
    g_ptr_array_unref(parser.declared);
    return rc == 0 ? g_steal_pointer(&xml) : NULL;
}

/* Whether libxml2 looks beyond the root in any case. From 2.12 on it may not, but keeps attributes
 * in a table; before that, trying would cost the square of their number. */
static bool
gmemXMLIsThorough(void)
{
    return g_ascii_strtoull(xmlParserVersion, NULL, 10) < 21200;
}

/* Whether libxml2 certainly refuses @text, parsed as libvirt parses it. */
static bool
gmemXMLIsRefused(const char *text)
{
    xmlParserCtxt *ctxt = xmlNewParserCtxt();
    xmlDoc *doc = gmemLibxmlParse(ctxt, text);
    const xmlError *last = ctxt != NULL ? xmlCtxtGetLastError(ctxt) : NULL;
    bool refused = doc == NULL && last != NULL && last->code != XML_ERR_NO_MEMORY;

    xmlFreeDoc(doc);
    xmlFreeParserCtxt(ctxt);
    return refused;
}

char *
gmemXMLMalformed(const char *text)
{
    bool tags = strchr(text, '<') != NULL || gmemXMLEncodingIsEBCDIC(text);
    /* Text without a tag is not a document. To other text, append a tag that begins after the root,
     * or in whatever did not end. */
    g_autofree char *malformed = g_strconcat(text, tags ? "\n</" : "", NULL);

    /* libxml2 2.15 does not look beyond the root after an error that it can recover from: an
     * unbound prefix, or a bad xml:id. */
    return gmemXMLIsThorough() || gmemXMLIsRefused(malformed) ? g_steal_pointer(&malformed)
                                                              : g_strdup("<malformed");
}

gmemXMLNode *
gmemXMLRoot(const gmemXML *xml)
{
    return xml->root;
}

const char *
gmemXMLText(const gmemXML *xml)
{
    return xml->text;
}

size_t
gmemXMLNsUses(const gmemXMLNs *ns)
{
    return ns->uses;
}

const gmemXMLNode *
gmemXMLNsNode(const gmemXMLNs *ns)
{
    return ns->node;
}

/* The name after the prefix, or the whole name if there is no namespace. */
static const char *
gmemXMLLocalName(const gmemXMLNode *node, size_t *length)
{
    const char *name = node->start + 1;
    size_t prefix = node->ns != NULL ? gmemXMLPrefixLength(name, node->nameLength) : 0;
    size_t skip = prefix > 0 ? prefix + 1 : 0;

    *length = node->nameLength - skip;
    return name + skip;
}

char *
gmemXMLName(const gmemXMLNode *node)
{
    size_t length;
    const char *name = gmemXMLLocalName(node, &length);

    return g_strndup(name, length);
}

bool
gmemXMLIsAnyNs(const gmemXMLNode *node, const char *name)
{
    size_t length;
    const char *local = gmemXMLLocalName(node, &length);

    return strlen(name) == length && memcmp(local, name, length) == 0;
}

bool
gmemXMLIs(const gmemXMLNode *node, const char *name)
{
    return node->ns == NULL && gmemXMLIsAnyNs(node, name);
}

bool
gmemXMLIsNs(const gmemXMLNode *node, const char *href, const char *name)
{
    return node->ns != NULL && gmemXMLIsAnyNs(node, name) && strcmp(node->ns->href, href) == 0;
}

/* Writes the elements that @path leads to from @parent, at most @limit, to @found, unless that is
 * NULL, and returns their number. It recurses as deep as @path, not as the document. */
static size_t
gmemXMLCollect(gmemXMLNode *parent, const char *path, gmemXMLNode **found, size_t limit)
{
    size_t length = (size_t)(strchrnul(path, '/') - path);
    gmemXMLNode *child;
    size_t n = 0;

    for (child = parent->children; child != NULL && n < limit; child = child->next) {
        if (child->ns != NULL || child->nameLength != length ||
            memcmp(child->start + 1, path, length) != 0)
            continue;
        if (path[length] == '/')
            n += gmemXMLCollect(child, path + length + 1, found != NULL ? found + n : NULL,
                                limit - n);
        else if (found != NULL)
            found[n++] = child;
        else
            n++;
    }
    return n;
}

gmemXMLNode **
gmemXMLFind(gmemXMLNode *root, const char *path)
{
    size_t n = gmemXMLCollect(root, path, NULL, G_MAXSIZE);
    gmemXMLNode **nodes = g_new0(gmemXMLNode *, n + 1);

    if (n > 0)
        gmemXMLCollect(root, path, nodes, n);
    return nodes;
}

gmemXMLNode *
gmemXMLFindFirst(gmemXMLNode *root, const char *path)
{
    gmemXMLNode *node = NULL;

    gmemXMLCollect(root, path, &node, 1);
    return node;
}

gmemXMLNode *
gmemXMLNext(const gmemXMLNode *node, const gmemXMLNode *top, bool descend)
{
    if (descend && node->children != NULL)
        return node->children;
    while (node != top && node->next == NULL)
        node = node->parent;
    return node != top ? node->next : NULL;
}

bool
gmemXMLNextAttribute(const gmemXMLNode *node, gmemXMLAttr *attr)
{
    const char *p = attr->name != NULL ? attr->end : node->start + 1 + node->nameLength;

    do {
        p = gmemXMLSkipSpace(p);
        if (p >= node->tagEnd)
            return false;
        p = gmemXMLReadAttribute(p, attr);
    } while (gmemXMLIsDeclaration(attr));
    return true;
}

static bool
gmemXMLAttrIs(const gmemXMLAttr *attr, const char *name)
{
    return strlen(name) == attr->nameLength && memcmp(attr->name, name, attr->nameLength) == 0;
}

char *
gmemXMLAttribute(const gmemXMLNode *node, const char *name)
{
    gmemXMLAttr attr = {0};

    while (node != NULL && gmemXMLNextAttribute(node, &attr)) {
        if (gmemXMLAttrIs(&attr, name))
            return gmemXMLAttrValue(&attr);
    }
    return NULL;
}

/* The "<" of the end tag, or "/>" if there is no end tag. */
static const char *
gmemXMLCloseTag(const gmemXMLNode *node)
{
    const char *p = node->tagEnd;

    if (*p == '>') {
        for (p = node->end - 1; *p != '<'; p--)
            ;
    }
    return p;
}

/* The start of the content; the end of the tag for "<a/>". */
static const char *
gmemXMLContentStart(const gmemXMLNode *node)
{
    return node->tagEnd + (*node->tagEnd == '>' ? 1 : 0);
}

/* Returns what follows the tag at @p, which is well formed. */
static const char *
gmemXMLSkipTag(const char *p)
{
    for (;;) {
        p += strcspn(p, "'\">");
        if (*p == '>')
            return p + 1;
        p = strchr(p + 1, *p) + 1;
    }
}

char *
gmemXMLString(const gmemXMLNode *node)
{
    const char *close = gmemXMLCloseTag(node);
    const char *p = gmemXMLContentStart(node);
    GString *text = g_string_new(NULL);

    while (p < close) {
        size_t length = *p != '<' ? strcspn(p, "<") : 0;
        const char *aside;

        gmemXMLDecode(text, p, length, GMEM_XML_IN_CONTENT);
        p += length;
        if (p >= close)
            break;
        aside = gmemXMLSkipAside(p);
        if (gmemXMLStartsWith(p, "<![CDATA["))
            gmemXMLDecode(text, p + 9, (size_t)(aside - 3 - (p + 9)), GMEM_XML_IN_CDATA);
        p = aside != p ? aside : gmemXMLSkipTag(p);
    }
    return g_string_free(text, FALSE);
}

char *
gmemXMLContent(const gmemXMLNode *node)
{
    return g_strstrip(gmemXMLString(node));
}

bool
gmemXMLIsEmpty(const gmemXMLNode *node)
{
    const char *close = gmemXMLCloseTag(node);
    const char *p = gmemXMLSkipSpace(gmemXMLContentStart(node));

    while (p < close) {
        const char *aside = gmemXMLSkipAside(p);

        if (aside == p || gmemXMLStartsWith(p, "<!["))
            return false;
        p = gmemXMLSkipSpace(aside);
    }
    return true;
}

char *
gmemXMLPrefix(const gmemXMLNode *node)
{
    size_t length = gmemXMLPrefixLength(node->start + 1, node->nameLength);

    return length > 0 ? g_strndup(node->start + 1, length) : NULL;
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
gmemXMLSlice(const gmemXMLNode *node)
{
    return g_strndup(node->start, (size_t)(node->end - node->start));
}

char *
gmemXMLIndent(const gmemXMLNode *node)
{
    const char *start = gmemXMLContentStart(node);

    return g_strndup(start, *node->tagEnd == '>' ? strspn(start, GMEM_XML_SPACE) : 0);
}

/* Returns where the white space before @p starts, but not before @floor. */
static const char *
gmemXMLSkipSpaceBack(const char *p, const char *floor)
{
    while (p > floor && g_ascii_isspace(p[-1]))
        p--;
    return p;
}

bool
gmemXMLEndsInSpace(const gmemXMLNode *node)
{
    const char *close = gmemXMLCloseTag(node);

    return gmemXMLSkipSpaceBack(close, gmemXMLContentStart(node)) < close;
}

typedef struct {
    const char *at;
    size_t length;      /* how many bytes go */
    char *text;         /* what comes in their place; NULL: nothing */
    gmemXMLNode *wraps; /* an element that had no end tag and gets one with this change, or NULL */
    guint sequence;
} gmemXMLChange;

struct gmemXMLEdit {
    const gmemXML *xml;
    GArray *changes;   /* gmemXMLChange */
    GHashTable *wraps; /* an element that a change wraps: its number plus one */
    GHashTable *cut;   /* where attributes stand that are removed */
};

gmemXMLEdit *
gmemXMLEditNew(gmemXML *xml)
{
    gmemXMLEdit *edit = g_new0(gmemXMLEdit, 1);

    edit->xml = xml;
    edit->changes = g_array_new(FALSE, FALSE, sizeof(gmemXMLChange));
    edit->wraps = g_hash_table_new(NULL, NULL);
    edit->cut = g_hash_table_new(NULL, NULL);
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
    g_hash_table_unref(edit->wraps);
    g_hash_table_unref(edit->cut);
    g_free(edit);
}

static void
gmemXMLEditAdd(gmemXMLEdit *edit, const char *at, size_t length, const char *text)
{
    gmemXMLChange change = {at, length, g_strdup(text), NULL, edit->changes->len};

    g_array_append_val(edit->changes, change);
}

void
gmemXMLEditRemove(gmemXMLEdit *edit, gmemXMLNode *node)
{
    const char *start = gmemXMLSkipSpaceBack(node->start, edit->xml->text);

    if (gmemXMLEditRemoved(node))
        return;
    node->changed |= GMEM_XML_REMOVED;
    gmemXMLEditAdd(edit, start, (size_t)(node->end - start), NULL);
}

/* The attribute with that name, including namespace declarations. */
static bool
gmemXMLFindAttribute(const gmemXMLNode *node, const char *name, gmemXMLAttr *attr)
{
    const char *p = gmemXMLSkipSpace(node->start + 1 + node->nameLength);

    while (p < node->tagEnd) {
        p = gmemXMLSkipSpace(gmemXMLReadAttribute(p, attr));
        if (gmemXMLAttrIs(attr, name))
            return true;
    }
    return false;
}

void
gmemXMLEditSetAttribute(gmemXMLEdit *edit, gmemXMLNode *node, const char *name, const char *value)
{
    g_autofree char *escaped = value != NULL ? gmemXMLEscape(value) : NULL;
    g_autofree char *attribute = NULL;
    gmemXMLAttr attr = {0};
    const char *start;
    const char *end;

    if (gmemXMLFindAttribute(node, name, &attr)) {
        start = gmemXMLSkipSpaceBack(attr.name, node->start);
        end = attr.end;
    } else {
        start = end = gmemXMLSkipSpaceBack(node->tagEnd, node->start);
    }
    if (value != NULL)
        attribute = g_strdup_printf(" %s='%s'", name, escaped);
    else if (start == end || !g_hash_table_add(edit->cut, (void *)attr.name))
        return;
    else if (!gmemXMLIsDeclaration(&attr))
        node->changed++;
    gmemXMLEditAdd(edit, start, (size_t)(end - start), attribute);
}

/* "<a/>" becomes "<a>@markup</a>". A second change to the same element is appended to the first. */
static void
gmemXMLEditWrap(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup, bool front)
{
    guint number = GPOINTER_TO_UINT(g_hash_table_lookup(edit->wraps, node));
    g_autofree char *wrapped = NULL;
    gmemXMLChange *change;
    size_t split;
    char *joined;

    if (number == 0) {
        wrapped = g_strdup_printf(">%s</%.*s>", markup, (int)node->nameLength, node->start + 1);
        gmemXMLEditAdd(edit, node->tagEnd, 2, wrapped);
        g_hash_table_insert(edit->wraps, node, GUINT_TO_POINTER(edit->changes->len));
        return;
    }
    change = &g_array_index(edit->changes, gmemXMLChange, number - 1);
    split = front ? 1 : strlen(change->text) - node->nameLength - strlen("</>");
    joined = g_strdup_printf("%.*s%s%s", (int)split, change->text, markup, change->text + split);
    g_free(change->text);
    change->text = joined;
}

void
gmemXMLEditPrepend(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup)
{
    if (*node->tagEnd == '/')
        gmemXMLEditWrap(edit, node, markup, true);
    else
        gmemXMLEditAdd(edit, node->tagEnd + 1, 0, markup);
}

void
gmemXMLEditAppend(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup)
{
    if (*node->tagEnd == '/')
        gmemXMLEditWrap(edit, node, markup, false);
    else
        gmemXMLEditAdd(edit, gmemXMLSkipSpaceBack(gmemXMLCloseTag(node), node->tagEnd + 1), 0,
                       markup);
}

void
gmemXMLEditInsertAfter(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup)
{
    gmemXMLEditAdd(edit, node->end, 0, markup);
}

void
gmemXMLEditReplace(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup)
{
    gmemXMLEditAdd(edit, node->start, (size_t)(node->end - node->start), markup);
}

bool
gmemXMLEditRemoved(const gmemXMLNode *node)
{
    return (node->changed & GMEM_XML_REMOVED) != 0;
}

bool
gmemXMLEditEmptied(const gmemXMLNode *node)
{
    const char *close = gmemXMLCloseTag(node);
    const char *p = gmemXMLSkipSpace(gmemXMLContentStart(node));
    const gmemXMLNode *child = node->children;
    gmemXMLAttr attr = {0};
    guint32 attributes = 0;

    while (gmemXMLNextAttribute(node, &attr))
        attributes++;
    if (attributes > (node->changed & ~GMEM_XML_REMOVED))
        return false;
    for (; child != NULL && p == child->start && gmemXMLEditRemoved(child); child = child->next)
        p = gmemXMLSkipSpace(child->end);
    return p >= close;
}

static int
gmemXMLCompareChanges(const void *left, const void *right)
{
    const gmemXMLChange *a = left;
    const gmemXMLChange *b = right;

    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    /* What is inserted after one element comes before what is cut out after it. */
    if ((a->length == 0) != (b->length == 0))
        return a->length == 0 ? -1 : 1;
    return a->sequence < b->sequence ? -1 : 1;
}

/* One change of a patch: the @cut bytes at @at are removed, and the next @size bytes of the patch's
 * text are inserted. */
typedef struct {
    size_t at;
    size_t cut;
    size_t size;
} gmemXMLStep;

/* The steps are followed by all the text that they insert. */
struct gmemXMLPatch {
    size_t memory;
    size_t length; /* of the text that is changed */
    size_t result; /* of what comes out */
    size_t n;
    gmemXMLStep steps[];
};

/* Keeps only changes that are not inside something that is removed as a whole, in order. Returns
 * the number of bytes that they insert. */
static size_t
gmemXMLEditSettle(gmemXMLEdit *edit)
{
    const char *position = edit->xml->text;
    size_t inserted = 0;
    guint i, n = 0;

    g_array_sort(edit->changes, gmemXMLCompareChanges);
    for (i = 0; i < edit->changes->len; i++) {
        gmemXMLChange change = g_array_index(edit->changes, gmemXMLChange, i);

        if (change.at < position) {
            g_free(change.text);
            continue;
        }
        position = change.at + change.length;
        inserted += change.text != NULL ? strlen(change.text) : 0;
        g_array_index(edit->changes, gmemXMLChange, n++) = change;
    }
    g_array_set_size(edit->changes, n);
    return inserted;
}

gmemXMLPatch *
gmemXMLEditPatch(gmemXMLEdit *edit)
{
    size_t inserted = gmemXMLEditSettle(edit);
    size_t memory = sizeof(gmemXMLPatch) + edit->changes->len * sizeof(gmemXMLStep) + inserted;
    gmemXMLPatch *patch = g_malloc(memory);
    char *text = (char *)&patch->steps[edit->changes->len];
    guint i;

    patch->memory = memory;
    patch->length = strlen(edit->xml->text);
    patch->result = patch->length + inserted;
    patch->n = edit->changes->len;
    for (i = 0; i < patch->n; i++) {
        const gmemXMLChange *change = &g_array_index(edit->changes, gmemXMLChange, i);
        gmemXMLStep *step = &patch->steps[i];

        step->at = (size_t)(change->at - edit->xml->text);
        step->cut = change->length;
        step->size = change->text != NULL ? strlen(change->text) : 0;
        if (step->size > 0)
            memcpy(text, change->text, step->size);
        text += step->size;
        patch->result -= step->cut;
    }
    return patch;
}

size_t
gmemXMLPatchSize(const gmemXMLPatch *patch)
{
    return patch->memory;
}

char *
gmemXMLPatchApply(const gmemXMLPatch *patch, const char *text, size_t length)
{
    const char *inserted = (const char *)&patch->steps[patch->n];
    size_t position = 0;
    char *result, *p;
    size_t i;

    if (length != patch->length)
        return NULL;
    result = p = g_malloc(patch->result + 1);
    for (i = 0; i < patch->n; i++) {
        const gmemXMLStep *step = &patch->steps[i];

        p = (char *)memcpy(p, text + position, step->at - position) + (step->at - position);
        p = (char *)memcpy(p, inserted, step->size) + step->size;
        inserted += step->size;
        position = step->at + step->cut;
    }
    memcpy(p, text + position, length - position + 1);
    return result;
}

char *
gmemXMLEditApply(gmemXMLEdit *edit)
{
    g_autofree gmemXMLPatch *patch = gmemXMLEditPatch(edit);

    return gmemXMLPatchApply(patch, edit->xml->text, patch->length);
}
