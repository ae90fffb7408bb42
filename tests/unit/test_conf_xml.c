/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_conf_xml.c: XML that is changed as text. */

#include <string.h>

#include "gmemerror.h"
#include "gmemxml.h"

static gmemXML *
testParse(const char *text)
{
    gmemXML *xml = gmemXMLParse(text);

    g_assert_nonnull(xml);
    return xml;
}

static void
testMalformed(void)
{
    static const char *const texts[] = {
        "",
        " ",
        "a",
        "<a",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a b='<'/>",
        "<a b='1' b='2'/>",
        "<a>&undeclared;</a>",
        "<?xml version='1.0' encoding='no-such-encoding'?><a/>",
        "<a>\xff</a>",
        " <?xml version='1.0'?><a/>",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_test_message("%zu", i);
        g_assert_null(gmemXMLParse(texts[i]));
    }
}

static void
testNesting(void)
{
    GString *text = g_string_new(NULL);
    size_t i;

    for (i = 0; i < 100000; i++)
        g_string_append(text, "<a>");
    for (i = 0; i < 100000; i++)
        g_string_append(text, "</a>");
    g_assert_null(gmemXMLParse(text->str));
    g_string_free(text, TRUE);
}

static void
testFind(void)
{
    g_autoptr(gmemXML) xml = testParse("<r xmlns:x='urn:x'><a><b n='1'/></a><x:a><b n='2'/></x:a>"
                                       "<a><b n='3'/><x:b n='4'/><b xmlns='urn:y' n='5'/></a>"
                                       "<a xmlns=''><b n='6'/></a></r>");
    g_autofree xmlNode **nodes = gmemXMLFind(gmemXMLRoot(xml), "a/b");
    g_autofree xmlNode **none = gmemXMLFind(gmemXMLRoot(xml), "a/c/d");
    static const char *const expected[] = {"1", "3", "6"};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_autofree char *value = NULL;

        g_assert_nonnull(nodes[i]);
        value = gmemXMLAttribute(nodes[i], "n");
        g_assert_cmpstr(value, ==, expected[i]);
    }
    g_assert_null(nodes[i]);
    g_assert_null(none[0]);
    g_assert_null(gmemXMLFindFirst(gmemXMLRoot(xml), "b"));
    g_assert_null(gmemXMLAttribute(NULL, "n"));
    g_assert_true(gmemXMLIsNs(gmemXMLRoot(xml)->children->next, "urn:x", "a"));
    g_assert_false(gmemXMLIsNs(gmemXMLRoot(xml)->children, "urn:x", "a"));
}

static void
testAttribute(void)
{
    g_autoptr(gmemXML) xml = testParse("<!DOCTYPE r [<!ENTITY e 'x&#38;#38;y'>]>"
                                       "<r xmlns:p='urn:p' p:a='1' a='2&#45;&e;&lt;' "
                                       "p:b='3'>  t &e; </r>");
    g_autofree char *a = gmemXMLAttribute(gmemXMLRoot(xml), "a");
    g_autofree char *b = gmemXMLAttribute(gmemXMLRoot(xml), "b");
    g_autofree char *content = gmemXMLContent(gmemXMLRoot(xml));

    g_assert_cmpstr(a, ==, "2-x&y<");
    g_assert_null(b);
    g_assert_cmpstr(content, ==, "t x&y");
    g_assert_true(gmemXMLHasDTD(xml));
}

static void
testEscape(void)
{
    g_autofree char *escaped = gmemXMLEscape("a<b>&'\"é\n");

    g_assert_cmpstr(escaped, ==, "a&lt;b&gt;&amp;&apos;&quot;é\n");
}

/* One letter a change, made to the element that a path leads to. */
static const struct {
    const char *before;
    const char *changes; /* "x PATH", space apart: see testChange() */
    const char *after;
} testEdits[] = {
    {"<r><a/><b/></r>", "r a", "<r><b/></r>"},
    {"<r>\n  <a/>\n  <b/>\n</r>", "r a r b", "<r>\n</r>"},
    {"<r>\n  <a >\n <c/></a >\n  <b/>\n</r>", "r a", "<r>\n  <b/>\n</r>"},
    {"<r><!-- <a/> --><a/><![CDATA[<a/>]]></r>", "r a", "<r><!-- <a/> --><![CDATA[<a/>]]></r>"},
    {"<r><a x='>'><c y=\"/>\"/></a></r>", "r a/c", "<r><a x='>'></a></r>"},
    {"<r><a/></r>", "s a", "<r><a k='v&apos;'/></r>"},
    {"<r><a /></r>", "s a", "<r><a k='v&apos;' /></r>"},
    {"<r><a></a></r>", "s a", "<r><a k='v&apos;'></a></r>"},
    {"<r><a k=\"o'\"/></r>", "s a", "<r><a k='v&apos;'/></r>"},
    {"<r><a kk='1'\n\tk = 'o' l='2'/></r>", "s a", "<r><a kk='1' k='v&apos;' l='2'/></r>"},
    {"<r><a l=\" k='1'\" k='o'/></r>", "s a", "<r><a l=\" k='1'\" k='v&apos;'/></r>"},
    {"<r><a l='1' k='o'/></r>", "d a", "<r><a l='1'/></r>"},
    {"<r><a k='o'>t</a></r>", "d a", "<r><a>t</a></r>"},
    {"<r><a/></r>", "d a", "<r><a/></r>"},
    {"<r><a/></r>", "p a", "<r><a><P/></a></r>"},
    {"<r><a/></r>", "q a", "<r><a><Q/></a></r>"},
    {"<r><a/></r>", "q a p a", "<r><a><P/><Q/></a></r>"},
    {"<r><a x='1' /></r>", "p a q a s a", "<r><a x='1' k='v&apos;' ><P/><Q/></a></r>"},
    {"<r><a></a></r>", "p a q a", "<r><a><P/><Q/></a></r>"},
    {"<r><a>\n  <b/>\n</a></r>", "p a q a", "<r><a><P/>\n  <b/><Q/>\n</a></r>"},
    {"<r><a>\n  <b/>\n</a></r>", "r a/b q a", "<r><a><Q/>\n</a></r>"},
    {"<r><a>\n  <b/>\n</a></r>", "q a r a/b p a", "<r><a><P/><Q/>\n</a></r>"},
    {"<r><a/> <b/></r>", "r b i a", "<r><a/><I/></r>"},
    {"<r><a/> <b/></r>", "i a r b i b", "<r><a/><I/><I/></r>"},
    {"<r><a><b/></a></r>", "r a/b s a r a", "<r></r>"},
    {"<x:r xmlns:x='u'><a/></x:r>", "q .", "<x:r xmlns:x='u'><a/><Q/></x:r>"},
    {"<x:r xmlns:x='u'/>", "q .", "<x:r xmlns:x='u'><Q/></x:r>"},
    {"\xef\xbb\xbf<r><a/></r>\n", "p a", "\xef\xbb\xbf<r><a><P/></a></r>\n"},
    {"<?xml version='1.0' encoding='utf-8'?>\r\n<!-- é --><r>\r\n<a/>é<b/></r>", "r a r b",
     "<?xml version='1.0' encoding='utf-8'?>\r\n<!-- é --><r>é</r>"},
    {"<!DOCTYPE r [<!ENTITY e '<a/><a/>'>]><r>&e;<a/>&e;</r>", "p a",
     "<!DOCTYPE r [<!ENTITY e '<a/><a/>'>]><r>&e;<a><P/></a>&e;</r>"},
};

static void
testChange(gmemXMLEdit *edit, char kind, xmlNode *node)
{
    switch (kind) {
    case 'r':
        gmemXMLEditRemove(edit, node);
        g_assert_true(gmemXMLEditRemoved(edit, node));
        break;
    case 's':
        gmemXMLEditSetAttribute(edit, node, "k", "v'");
        break;
    case 'd':
        gmemXMLEditSetAttribute(edit, node, "k", NULL);
        break;
    case 'p':
        gmemXMLEditPrepend(edit, node, "<P/>");
        break;
    case 'q':
        gmemXMLEditAppend(edit, node, "<Q/>");
        break;
    default:
        gmemXMLEditInsertAfter(edit, node, "<I/>");
    }
}

static void
testEdit(void)
{
    size_t i, j;

    for (i = 0; i < G_N_ELEMENTS(testEdits); i++) {
        g_autoptr(gmemXML) xml = testParse(testEdits[i].before);
        g_autoptr(gmemXMLEdit) edit = gmemXMLEditNew(xml);
        g_auto(GStrv) words = g_strsplit(testEdits[i].changes, " ", -1);
        g_autofree char *after = NULL;

        for (j = 0; words[j] != NULL; j += 2)
            testChange(edit, words[j][0],
                       strcmp(words[j + 1], ".") == 0
                           ? gmemXMLRoot(xml)
                           : gmemXMLFindFirst(gmemXMLRoot(xml), words[j + 1]));
        after = gmemXMLEditApply(edit, NULL);
        g_assert_cmpstr(after, ==, testEdits[i].after);
    }
}

static void
testEmptied(void)
{
    g_autoptr(gmemXML) xml = testParse("<r><a k='1'>\n<b/><c/> </a><d>t</d><e><!-- --></e></r>");
    g_autoptr(gmemXMLEdit) edit = gmemXMLEditNew(xml);
    xmlNode *root = gmemXMLRoot(xml);
    xmlNode *a = gmemXMLFindFirst(root, "a");

    g_assert_false(gmemXMLEditEmptied(edit, a));
    gmemXMLEditRemove(edit, gmemXMLFindFirst(a, "b"));
    gmemXMLEditRemove(edit, gmemXMLFindFirst(a, "c"));
    g_assert_false(gmemXMLEditEmptied(edit, a));
    gmemXMLEditSetAttribute(edit, a, "k", NULL);
    g_assert_true(gmemXMLEditEmptied(edit, a));
    g_assert_false(gmemXMLEditEmptied(edit, gmemXMLFindFirst(root, "d")));
    g_assert_false(gmemXMLEditEmptied(edit, gmemXMLFindFirst(root, "e")));
}

/* An element out of an entity can be read, but stands nowhere in the text. */
static void
testEntity(void)
{
    g_autoptr(gmemXML) xml = testParse("<!DOCTYPE r [<!ENTITY e '<a/>'>]><r>&e;</r>");
    g_autoptr(gmemXMLEdit) edit = gmemXMLEditNew(xml);
    g_autoptr(GError) error = NULL;
    xmlNode *reference = gmemXMLRoot(xml)->children;
    xmlEntity *entity = xmlGetDocEntity(reference->doc, (const xmlChar *)"e");

    g_assert_cmpint(reference->type, ==, XML_ENTITY_REF_NODE);
    g_assert_null(gmemXMLFindFirst(gmemXMLRoot(xml), "a"));
    g_assert_nonnull(entity);
    g_assert_nonnull(entity->children);
    gmemXMLEditRemove(edit, entity->children);
    g_assert_null(gmemXMLEditApply(edit, &error));
    g_assert_error(error, GMEM_ERROR, VIR_ERR_INTERNAL_ERROR);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/util/xml/malformed", testMalformed);
    g_test_add_func("/util/xml/nesting", testNesting);
    g_test_add_func("/util/xml/find", testFind);
    g_test_add_func("/util/xml/attribute", testAttribute);
    g_test_add_func("/util/xml/escape", testEscape);
    g_test_add_func("/util/xml/edit", testEdit);
    g_test_add_func("/util/xml/emptied", testEmptied);
    g_test_add_func("/util/xml/entity", testEntity);
    return g_test_run();
}
