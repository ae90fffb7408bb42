/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemlibxml.h: libxml2's parser, for what our own reader does not do. */
#pragma once

#include <libxml/parser.h>

/**
 * gmemLibxmlParse:
 * @ctxt: a new one; NULL if there was no memory for it
 *
 * Parses @text with libvirt's options, and prints nothing. (Up to 2.13, libxml2 prints errors of an
 * xml:id, including the client's text, in spite of XML_PARSE_NOERROR.) Returns the document, for
 * xmlFreeDoc(), or NULL; the error is then the last error of @ctxt.
 */
xmlDoc *gmemLibxmlParse(xmlParserCtxt *ctxt, const char *text);
