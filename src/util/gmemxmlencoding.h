/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemxmlencoding.h: the encoding of an XML document. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define GMEM_XML_BOM "\xef\xbb\xbf"
#define GMEM_XML_SPACE " \t\r\n"

/* gmemXMLEncodingIsASCII: whether all ASCII characters in @text are encoded as their ASCII bytes,
 * whatever the other bytes are. False if the XML declaration names an encoding for which this is
 * not known. */
bool gmemXMLEncodingIsASCII(const char *text);

/* gmemXMLEncodingIsUTF8: whether @text declares UTF-8, or does not declare another encoding. */
bool gmemXMLEncodingIsUTF8(const char *text);

/* gmemXMLEncodingIsEBCDIC: whether @text starts like XML in an encoding of the EBCDIC family. */
bool gmemXMLEncodingIsEBCDIC(const char *text);

/* gmemXMLEncodingConvert: @text in UTF-8, to be freed with g_free(), or NULL if it is not in the
 * encoding that it declares, or if that is unknown. */
char *gmemXMLEncodingConvert(const char *text);
