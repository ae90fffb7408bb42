/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemxmlencoding.c: the encoding of an XML document.
 *
 * libvirt is given strings, which end at the first NUL, so UTF-16 and UTF-32 cannot occur. Of the
 * families that XML distinguishes by the first bytes, this leaves EBCDIC and encodings like ASCII.
 * Whether the declaration counts depends on libxml2's version: in a string, 2.9 reads everything as
 * UTF-8. Tags are the same either way if the encoding is a superset of ASCII. So only documents in
 * these encodings are supported, and they keep their bytes. */

#include "gmemxmlencoding.h"

#include <string.h>

/* "<?xm" in EBCDIC, and the encoding of that family in which libxml2 reads the declaration. */
#define GMEM_XML_EBCDIC "\x4c\x6f\xa7\x94"
#define GMEM_XML_EBCDIC_NAME "IBM037"

/* Returns the encoding that the XML declaration of @text names, to be freed with g_free(), or NULL
 * if it does not name one. */
static char *
gmemXMLEncodingName(const char *text)
{
    const char *end;
    const char *p;

    if (!g_str_has_prefix(text, "<?xml") || strchr(GMEM_XML_SPACE, text[5]) == NULL)
        return NULL;
    end = strstr(text, "?>");
    p = end != NULL ? g_strstr_len(text, end - text, "encoding") : NULL;
    if (p == NULL)
        return NULL;
    p += strlen("encoding");
    p += strspn(p, GMEM_XML_SPACE "='\"");
    return g_strndup(p, strspn(p, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-"));
}

bool
gmemXMLEncodingIsEBCDIC(const char *text)
{
    return g_str_has_prefix(text, GMEM_XML_EBCDIC);
}

bool
gmemXMLEncodingIsUTF8(const char *text)
{
    g_autofree char *name = gmemXMLEncodingName(text);

    return name == NULL || g_ascii_strcasecmp(name, "UTF-8") == 0 ||
           g_ascii_strcasecmp(name, "UTF8") == 0;
}

bool
gmemXMLEncodingIsASCII(const char *text)
{
    /* The last ones cannot be true for a string: a parser ignores them, or stops. Some clients
     * write them nevertheless. */
    static const char *const known[] = {
        "UTF-8",     "UTF8",        "US-ASCII", "ASCII",  "ISO-8859-", "ISO8859-",
        "ISO_8859-", "WINDOWS-125", "UTF-16",   "UTF-32", "UCS-",      "ISO-10646-UCS-",
    };
    g_autofree char *name = gmemXMLEncodingName(text);
    size_t i;

    if (gmemXMLEncodingIsEBCDIC(text))
        return false;
    for (i = 0; name != NULL && i < G_N_ELEMENTS(known); i++) {
        if (g_ascii_strncasecmp(name, known[i], strlen(known[i])) == 0)
            return true;
    }
    return name == NULL;
}

char *
gmemXMLEncodingConvert(const char *text)
{
    bool ebcdic = gmemXMLEncodingIsEBCDIC(text);
    g_autofree char *readable =
        ebcdic ? g_convert(text, -1, "UTF-8", GMEM_XML_EBCDIC_NAME, NULL, NULL, NULL) : NULL;
    g_autofree char *name = gmemXMLEncodingName(readable != NULL ? readable : text);

    if (name == NULL)
        return ebcdic ? g_steal_pointer(&readable) : g_strdup(text);
    return g_convert(text, -1, "UTF-8", name, NULL, NULL, NULL);
}
