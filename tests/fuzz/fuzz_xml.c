/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_xml.c: libFuzzer harness for the reader of XML: whatever libxml2 accepts, with the options
 * that libvirt uses, is accepted and is the same, or is refused with an error; and no text is well
 * formed after gmemXMLMalformed(). */

#include <stdint.h>

#include "../unit/test_conf_util.h"
#include "../unit/test_xml_agree.h"
#include "gmemerror.h"
#include "gmemxmlencoding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autofree char *malformed = gmemXMLMalformed(text);
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemXML) xml = gmemXMLParse(text, &error);
    xmlDoc *doc = testUtilParse(text);

    g_assert_null(testUtilParse(malformed));
    if (doc == NULL)
        return 0;
    /* libxml2 2.15 does not look beyond the root after an error that is not fatal. */
    if (doc->intSubset == NULL && xmlGetLastError() != NULL &&
        g_error_matches(error, GMEM_ERROR, VIR_ERR_XML_DETAIL)) {
        xmlFreeDoc(doc);
        return 0;
    }
    if (doc->intSubset != NULL || !gmemXMLEncodingIsASCII(text)) {
        g_assert_null(xml);
    } else {
        g_assert_no_error(error);
        testAssertAgree(gmemXMLRoot(xml), xmlDocGetRootElement(doc));
    }
    xmlFreeDoc(doc);
    return 0;
}
