/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemxmlencoding.h: what encoding an XML document is in. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define GMEM_XML_BOM "\xef\xbb\xbf"
#define GMEM_XML_SPACE " \t\r\n"

/* gmemXMLEncodingIsASCII: whether all characters of ASCII are its bytes in @text, whatever the
 * other bytes are: not where the XML declaration names an encoding of which that is not known. */
bool gmemXMLEncodingIsASCII(const char *text);

/* gmemXMLEncodingIsUTF8: whether @text says, or says nothing else than, that it is in UTF-8. */
bool gmemXMLEncodingIsUTF8(const char *text);

/* gmemXMLEncodingIsEBCDIC: whether @text starts as XML does in an encoding of that family. */
bool gmemXMLEncodingIsEBCDIC(const char *text);

/* gmemXMLEncodingConvert: @text in UTF-8, to be freed with g_free(); NULL where it is not in the
 * encoding that it declares, or that is not known here. */
char *gmemXMLEncodingConvert(const char *text);
