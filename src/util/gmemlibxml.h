/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemlibxml.h: libxml2's parser, for what is left to it. */
#pragma once

#include <libxml/parser.h>

/**
 * gmemLibxmlParse:
 * @ctxt: a new one; NULL where there was no memory for it
 *
 * Reads @text with libvirt's options, and prints nothing: up to 2.13, libxml2 prints what it finds
 * wrong with an xml:id in spite of XML_PARSE_NOERROR, the client's text included. Returns the
 * document, for xmlFreeDoc(), or NULL; what is the matter then is the last error of @ctxt.
 */
xmlDoc *gmemLibxmlParse(xmlParserCtxt *ctxt, const char *text);
