/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemlibxml.c: libxml2's parser, for what our own reader does not do. */

#include "gmemlibxml.h"

#include <glib.h>

#if LIBXML_VERSION < 21200
typedef xmlError gmemLibxmlError;
#else
typedef const xmlError gmemLibxmlError;
#endif

static void
gmemLibxmlIgnore(void *data G_GNUC_UNUSED, gmemLibxmlError *error G_GNUC_UNUSED)
{
}

xmlDoc *
gmemLibxmlParse(xmlParserCtxt *ctxt, const char *text)
{
    if (ctxt == NULL)
        return NULL;
    ctxt->sax->serror = gmemLibxmlIgnore;
    return xmlCtxtReadDoc(ctxt, (const xmlChar *)text, NULL, NULL,
                          XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_NOERROR);
}
