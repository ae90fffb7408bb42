/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemschema.c: the RELAX NG schema of the two elements, embedded at build time. */

#include "gmemschema.h"

#include <libxml/relaxng.h>
#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"
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

/* A document of @element alone; NULL where there is no memory for it. */
static xmlDoc *
gmemSchemaIsolate(const gmemXMLNode *element)
{
    g_autofree char *slice = gmemXMLSlice(element);

    return xmlReadMemory(slice, (int)strlen(slice), NULL, "UTF-8",
                         XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_NOERROR);
}

/* libxml2 sets up its library of data types at first use, without a lock in older versions. */
static xmlRelaxNG *
gmemSchemaLoad(GString *words)
{
    static GMutex lock;
    xmlRelaxNGParserCtxt *parser;
    xmlRelaxNG *schema;

    g_mutex_lock(&lock);
    parser = xmlRelaxNGNewMemParserCtxt(gmemSchemaData, (int)strlen(gmemSchemaData));
    if (parser != NULL)
        xmlRelaxNGSetParserErrors(parser, gmemSchemaCollect, gmemSchemaCollect, words);
    schema = parser != NULL ? xmlRelaxNGParse(parser) : NULL;
    xmlRelaxNGFreeParserCtxt(parser);
    g_mutex_unlock(&lock);
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
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, _("cannot load schema %s: %s"),
                            GMEM_SCHEMA_NAME, words->str);
    validator = xmlRelaxNGNewValidCtxt(schema);
    if (validator != NULL)
        xmlRelaxNGSetValidErrors(validator, gmemSchemaCollect, gmemSchemaCollect, words);
    if (doc == NULL || validator == NULL || xmlRelaxNGValidateDoc(validator, doc) != 0)
        return gmemErrorSet(error, VIR_ERR_XML_INVALID_SCHEMA,
                            _("Unable to validate doc against %s\n%s"), GMEM_SCHEMA_NAME,
                            g_strchomp(words->str));
    return 0;
}
