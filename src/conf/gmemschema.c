/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemschema.c: the RELAX NG schema of the two elements, embedded at build time. */

#include "gmemschema.h"

#include <libxml/relaxng.h>
#include <libxml/xmlschemastypes.h>
#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemlibxml.h"
#include "gmemschemadata.h"

#define GMEM_SCHEMA_NAME "gmem.rng"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNG, xmlRelaxNGFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNGValidCtxt, xmlRelaxNGFreeValidCtxt)

static void G_GNUC_PRINTF(2, 3) gmemSchemaCollect(void *opaque, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_string_append_vprintf(opaque, format, args);
    va_end(args);
}

/* A valid element has at most two. */
#define GMEM_SCHEMA_ATTRIBUTES_MAX 16

/* Returns @element in the form that is given to the schema, to be freed with g_free(). The cost in
 * libxml2 grows with the square of the number of some parts, so these are removed: namespace
 * declarations, because nothing that is valid has a namespace, and attributes and elements beyond
 * those that make it invalid. */
static char *
gmemSchemaReduce(const gmemXMLNode *element)
{
    GString *text = g_string_new(NULL);
    g_autofree char *content = gmemXMLString(element);
    g_autofree char *escaped = gmemXMLEscape(content);
    const gmemXMLNode *child = element->children;
    gmemXMLAttr attr = {0};
    size_t n;

    g_string_append_len(text, element->start, element->nameLength + 1);
    for (n = 0; n < GMEM_SCHEMA_ATTRIBUTES_MAX && gmemXMLNextAttribute(element, &attr); n++) {
        g_string_append_c(text, ' ');
        g_string_append_len(text, attr.name, attr.end - attr.name);
    }
    g_string_append_c(text, '>');
    if (child != NULL)
        g_string_append_printf(text, "<%.*s/>", (int)child->nameLength, child->start + 1);
    else
        g_string_append(text, escaped);
    g_string_append_printf(text, "</%.*s>", (int)element->nameLength, element->start + 1);
    return g_string_free(text, FALSE);
}

/* A document that only has @element, or NULL if there is not enough memory, or libxml2 refuses it.
 */
static xmlDoc *
gmemSchemaIsolate(const gmemXMLNode *element)
{
    g_autofree char *text = gmemSchemaReduce(element);
    xmlParserCtxt *ctxt = xmlNewParserCtxt();
    xmlDoc *doc = gmemLibxmlParse(ctxt, text);

    xmlFreeParserCtxt(ctxt);
    return doc;
}

/* libxml2 initializes its data type libraries at first use, without a lock in older versions, and
 * libvirt's own threads use them, too. So this is done before there are threads. */
__attribute__((constructor)) static void
gmemSchemaInit(void)
{
    xmlRelaxNGInitTypes();
    xmlSchemaInitTypes();
}

const char *
gmemSchemaText(void)
{
    return gmemSchemaData;
}

static xmlRelaxNG *
gmemSchemaLoad(GString *words)
{
    xmlRelaxNGParserCtxt *parser =
        xmlRelaxNGNewMemParserCtxt(gmemSchemaData, (int)strlen(gmemSchemaData));
    xmlRelaxNG *schema;

    if (parser != NULL)
        xmlRelaxNGSetParserErrors(parser, gmemSchemaCollect, gmemSchemaCollect, words);
    schema = parser != NULL ? xmlRelaxNGParse(parser) : NULL;
    xmlRelaxNGFreeParserCtxt(parser);
    return schema;
}

int
gmemSchemaValidate(const gmemXMLNode *element, GError **error)
{
    g_autoptr(GString) words = g_string_new(NULL);
    g_autoptr(xmlRelaxNG) schema = gmemSchemaLoad(words);
    g_autoptr(xmlRelaxNGValidCtxt) validator = NULL;
    g_autoptr(xmlDoc) doc = gmemSchemaIsolate(element);

    if (schema == NULL)
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, _("cannot load schema %1$s: %2$s"),
                            GMEM_SCHEMA_NAME, words->str);
    validator = xmlRelaxNGNewValidCtxt(schema);
    if (validator != NULL)
        xmlRelaxNGSetValidErrors(validator, gmemSchemaCollect, gmemSchemaCollect, words);
    if (doc == NULL || validator == NULL || xmlRelaxNGValidateDoc(validator, doc) != 0)
        return gmemErrorSet(error, VIR_ERR_XML_INVALID_SCHEMA,
                            _("Unable to validate doc against %1$s\n%2$s"), GMEM_SCHEMA_NAME,
                            g_strchomp(words->str));
    return 0;
}
