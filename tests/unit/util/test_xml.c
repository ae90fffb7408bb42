/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_xml.c: XML that is changed as text, and XML that is read as libxml2 reads it. */

#include <string.h>

#include "gmemerror.h"
#include "gmemxml.h"
#include "../test_conf_util.h"
#include "../test_xml_agree.h"

static gmemXML *
testParse(const char *text)
{
    gmemXML *xml = gmemXMLParse(text, NULL);

    g_assert_nonnull(xml);
    return xml;
}

static void
testAssertRefused(const char *text, int code)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *malformed = gmemXMLMalformed(text);
    g_autofree char *printable = g_strescape(text, NULL);

    g_test_message("%.80s", printable);
    g_assert_null(gmemXMLParse(text, &error));
    g_assert_error(error, GMEM_ERROR, code);
    g_assert_null(testUtilParse(malformed));
}

static void
testMalformed(void)
{
    static const char *const texts[] = {
        "",
        " ",
        "a",
        "<",
        "<a",
        "<a>",
        "<a/",
        "<a></b>",
        "<a></ab>",
        "<a></a",
        "<a/><b/>",
        "<a/>text",
        "<a p:b=''/></a>",
        "<p:a/><b/>",
        "<p:a/>text",
        "<a xml:id='1'/>text",
        "<a xmlns:xml='u'/><b/>",
        "<a b='<'/>",
        "<a b/>",
        "<a b=1/>",
        "<a b='1'c='2'/>",
        "<a b='1/>",
        "<a>&undeclared;</a>",
        "<a b='&undeclared;'/>",
        "<a>&#0;</a>",
        "<a>&#x110000;</a>",
        "<a>&#99999999999999999999;</a>",
        "<a>&#;</a>",
        "<a>&amp</a>",
        "<a><!-- </a>",
        "<a><!--></a>",
        "<a><?></a>",
        "<a><![CDATA[ </a>",
        "<a><? </a>",
        "<a/><![CDATA[ ]]>",
        "<a><!DOCTYPE a></a>",
        "<?xml version='1.0' encoding='no-such-encoding'?><a/>",
        "<?xml version='1.0' encoding='UTF-7'?><a>\xff</a>",
        "<a>\xff</a>",
        " <?xml version='1.0'?><a/>",
    };
    static const char *const fine[] = {"<a/>", "<a/><!-- ", "<a/> <?p", "<a></a>\n", "<a b='"};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(texts); i++)
        testAssertRefused(texts[i], VIR_ERR_XML_DETAIL);
    testAssertRefused("<!DOCTYPE a><a/>", VIR_ERR_XML_ERROR);
    testAssertRefused("<?xml version='1.0' encoding='UTF-7'?><a/>", VIR_ERR_XML_ERROR);
    testAssertRefused("<?xml version='1.0' encoding='Shift_JIS' ?><a/>", VIR_ERR_XML_ERROR);
    testAssertRefused("<?xml version='1.0'?><!-- --> <!DOCTYPE a [<!ENTITY e 'x'>]><a/>",
                      VIR_ERR_XML_ERROR);
    for (i = 0; i < G_N_ELEMENTS(fine); i++) {
        g_autofree char *malformed = gmemXMLMalformed(fine[i]);

        g_assert_null(testUtilParse(malformed));
    }
}

/* Encodings in which ASCII is written as itself, or that a string cannot be in. */
static void
testEncodings(void)
{
    static const char *const known[] = {
        "UTF-8",  "utf8",     "US-ASCII",   "ascii",        "ISO-8859-1", "iso8859-15",
        "UTF-16", "UTF-32LE", "ISO_8859-2", "windows-1252", "UCS-2",      "ISO-10646-UCS-4",
    };
    static const char *const others[] = {"UTF-7", "EBCDIC-US", "SHIFT_JIS", "IBM037",
                                         "ISO-2022-JP"};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(known); i++) {
        g_autofree char *text =
            g_strdup_printf("<?xml version='1.0' encoding='%s'?><a/>", known[i]);
        g_autoptr(gmemXML) xml = gmemXMLParse(text, NULL);

        g_test_message("%s", known[i]);
        g_assert_nonnull(xml);
    }
    for (i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *text =
            g_strdup_printf("<?xml version='1.0' encoding='%s'?><a/>", others[i]);
        g_autoptr(gmemXML) xml = gmemXMLParse(text, NULL);

        g_test_message("%s", others[i]);
        g_assert_null(xml);
    }
}

/* libxml2 complains about an xml:id in any text. */
static void
testSilent(void)
{
    if (!testUtilInSilence())
        return;
    g_free(gmemXMLMalformed("<a xml:id='1&#10;forged'></a>"));
}

/* Deeper than libxml2 goes: what libvirt was given one level at a time can come back as one
 * document. */
static void
testNesting(void)
{
    GString *text = g_string_new(NULL);
    g_autoptr(gmemXML) xml = NULL;
    gmemXMLNode *node;
    size_t i;

    for (i = 0; i < 100000; i++)
        g_string_append(text, "<a>");
    g_string_append(text, "<b/>");
    for (i = 0; i < 100000; i++)
        g_string_append(text, "</a>");
    xml = testParse(text->str);
    for (node = gmemXMLRoot(xml); node->children != NULL; node = node->children)
        i--;
    g_assert_cmpuint(i, ==, 0);
    g_assert_true(gmemXMLIs(node, "b"));
    g_string_free(text, TRUE);
}

static void
testFind(void)
{
    g_autoptr(gmemXML) xml = testParse("<r xmlns:x='urn:x'><a><b n='1'/></a><x:a><b n='2'/></x:a>"
                                       "<a><b n='3'/><x:b n='4'/><b xmlns='urn:y' n='5'/></a>"
                                       "<a xmlns=''><b n='6'/></a></r>");
    g_autofree gmemXMLNode **nodes = gmemXMLFind(gmemXMLRoot(xml), "a/b");
    g_autofree gmemXMLNode **none = gmemXMLFind(gmemXMLRoot(xml), "a/c/d");
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
    g_autoptr(gmemXML) xml = testParse("<r xmlns:p='urn:p' p:a='1' a='2&#45;&lt;&#xe9;\r\n\t&#10;' "
                                       "p:b='3'>  t<!-- no -->&quot; <a b='>'>u</a>\r\n"
                                       "<![CDATA[&lt;]]><?no no?> </r>");
    g_autofree char *a = gmemXMLAttribute(gmemXMLRoot(xml), "a");
    g_autofree char *b = gmemXMLAttribute(gmemXMLRoot(xml), "b");
    g_autofree char *content = gmemXMLContent(gmemXMLRoot(xml));

    g_assert_cmpstr(a, ==, "2-<é  \n");
    g_assert_null(b);
    g_assert_cmpstr(content, ==, "t\" u\n&lt;");
}

static void
testEscape(void)
{
    g_autofree char *escaped = gmemXMLEscape("a<b>&'\"é\n");

    g_assert_cmpstr(escaped, ==, "a&lt;b&gt;&amp;&apos;&quot;é\n");
}

/* One letter per change, which is made to the element that a path leads to. */
static const struct {
    const char *before;
    const char *changes; /* "x PATH", separated by spaces: see testChange() */
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
    {"<?xml version='1.0' encoding='ISO-8859-1'?><r>\xe9<a/></r>", "p a",
     "<?xml version='1.0' encoding='ISO-8859-1'?><r>\xe9<a><P/></a></r>"},
};

static void
testChange(gmemXMLEdit *edit, char kind, gmemXMLNode *node)
{
    switch (kind) {
    case 'r':
        gmemXMLEditRemove(edit, node);
        g_assert_true(gmemXMLEditRemoved(node));
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
        after = gmemXMLEditApply(edit);
        g_assert_cmpstr(after, ==, testEdits[i].after);
    }
}

static void
testEmptied(void)
{
    g_autoptr(gmemXML) xml = testParse("<r><a k='1'>\n<b/><c/> </a><d>t</d><e><!-- --></e></r>");
    g_autoptr(gmemXMLEdit) edit = gmemXMLEditNew(xml);
    gmemXMLNode *root = gmemXMLRoot(xml);
    gmemXMLNode *a = gmemXMLFindFirst(root, "a");

    g_assert_false(gmemXMLEditEmptied(a));
    gmemXMLEditRemove(edit, gmemXMLFindFirst(a, "b"));
    gmemXMLEditRemove(edit, gmemXMLFindFirst(a, "c"));
    g_assert_false(gmemXMLEditEmptied(a));
    gmemXMLEditSetAttribute(edit, a, "k", NULL);
    g_assert_true(gmemXMLEditEmptied(a));
    g_assert_false(gmemXMLEditEmptied(gmemXMLFindFirst(root, "d")));
    g_assert_false(gmemXMLEditEmptied(gmemXMLFindFirst(root, "e")));
}

/* -- as libxml2 reads it ------------------------------------------------------------------------
 */

static GRand *testRand;

static const char *
testPick(const char *const *words)
{
    return words[g_rand_int_range(testRand, 0, (gint32)g_strv_length((char **)words))];
}

static void
testGenerateName(GString *text)
{
    static const char *const names[] = {"a",     "b",         "private", "p:a", "q:b",
                                        "xml:a", "p:private", "a-b",     "é",   NULL};

    g_string_append(text, testPick(names));
}

static void
testGenerateText(GString *text)
{
    static const char *const pieces[] = {" ",     "\n",    "\r\n", "\t",     "\r",     "text",
                                         "é",     "&amp;", "&lt;", "&#65;",  "&#x3c;", "&#13;",
                                         "&#10;", ">",     "]]",   "&quot;", "&apos;", "&#xe9;",
                                         "/>",    "&gt;",  NULL};
    int i;

    for (i = g_rand_int_range(testRand, 0, 4); i > 0; i--)
        g_string_append(text, testPick(pieces));
}

static void
testGenerateAttributes(GString *text)
{
    static const char *const names[] = {
        " a=", " b =", "\nc= ", " p:a=", " xml:b=", " xmlns:p=", " xmlns:q=", " xmlns=", NULL};
    static const char *const values[] = {
        "u",      "v", "", "http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/",
        "&#117;", NULL};
    size_t i;

    for (i = 0; i + 1 < G_N_ELEMENTS(names); i++) {
        const char *quote = g_rand_boolean(testRand) ? "'" : "\"";

        if (g_rand_int_range(testRand, 0, 4) > 0)
            continue;
        g_string_append(text, names[i]);
        g_string_append(text, quote);
        if (strstr(names[i], "xmlns") != NULL)
            g_string_append(text, testPick(values));
        else
            testGenerateText(text);
        g_string_append(text, quote);
    }
}

static void
testGenerate(GString *text, int depth)
{
    static const char *const asides[] = {
        "<!-- <a> & -->", "<?p <a> & ?>",   "<![CDATA[<a> & ]]>",          "<!---->",
        "<![CDATA[]]>",   "<![CDATA[]]]]>", "<![CDATA[a\r\rb\r\n&amp;]]>", NULL};
    g_autoptr(GString) name = g_string_new(NULL);
    int i;

    testGenerateName(name);
    g_string_append_printf(text, "<%s", name->str);
    testGenerateAttributes(text);
    if (depth == 0 || g_rand_int_range(testRand, 0, 3) == 0) {
        g_string_append(text, g_rand_boolean(testRand) ? "/>" : " />");
        return;
    }
    g_string_append(text, g_rand_boolean(testRand) ? ">" : "\n>");
    for (i = g_rand_int_range(testRand, 0, 4); i > 0; i--) {
        testGenerateText(text);
        if (g_rand_int_range(testRand, 0, 3) == 0)
            g_string_append(text, testPick(asides));
        testGenerate(text, depth - 1);
    }
    testGenerateText(text);
    g_string_append_printf(text, "</%s%s>", name->str, g_rand_boolean(testRand) ? "" : "\t");
}

/* Inserts something, or replaces something with it. */
static void
testMutate(GString *text)
{
    static const char *const pieces[] = {"<",
                                         ">",
                                         "/>",
                                         "</",
                                         "&",
                                         ";",
                                         "'",
                                         "\"",
                                         "=",
                                         " ",
                                         "<!--",
                                         "-->",
                                         "--",
                                         "<?",
                                         "?>",
                                         "<![CDATA[",
                                         "]]>",
                                         "a",
                                         ":",
                                         "<a>",
                                         "</a>",
                                         "<a/>",
                                         "é",
                                         "\xff",
                                         "p:",
                                         "&#60;",
                                         "<?xml ?>",
                                         "\x01",
                                         " a='1'",
                                         "xmlns:",
                                         "xmlns",
                                         "/",
                                         "!",
                                         "<!",
                                         "<private/>",
                                         "",
                                         "&e;",
                                         "<!DOCTYPE a>",
                                         "\xef\xbb\xbf",
                                         NULL};
    gint32 at = g_rand_int_range(testRand, 0, (gint32)text->len + 1);
    gint32 length = g_rand_int_range(testRand, 0, 6);

    g_string_erase(text, at, MIN(length, (gint32)text->len - at));
    g_string_insert(text, at, testPick(pieces));
}

/* Where the reader stopped in @text, because of @error. */
static size_t
testStopped(const char *text, const GError *error)
{
    static const char place[] = "at byte ";
    const char *number = strstr(error->message, place);
    const char *end;

    g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_DETAIL);
    if (number != NULL)
        return (size_t)g_ascii_strtoull(number + strlen(place), NULL, 10);
    g_assert_false(g_utf8_validate(text, -1, &end));
    return (size_t)(end - text);
}

/* libxml2 2.15 does not look beyond the root after an error that is not fatal, such as an unbound
 * prefix. Nothing else may be wrong with a @text that it accepts and the reader does not; and
 * libvirt is then given a text that no libxml2 accepts. */
static void
testAgreeBehind(const char *text, const GError *error, xmlNode *root)
{
    g_autofree char *malformed = gmemXMLMalformed(text);
    g_autofree char *front = g_strndup(text, testStopped(text, error));
    g_autoptr(GError) again = NULL;
    g_autoptr(gmemXML) xml = gmemXMLParse(front, &again);

    g_assert_null(testUtilParse(malformed));
    if (xml == NULL) { /* before what is not UTF-8 */
        front[testStopped(front, again)] = '\0';
        xml = gmemXMLParse(front, NULL);
    }
    g_assert_nonnull(xml);
    testAssertAgree(gmemXMLRoot(xml), root);
}

/* What libxml2 accepts is accepted, and is the same, unless there is a document type
 * declaration. */
static void
testAgree(void)
{
    size_t taken = 0;
    size_t i;
    int j;

    testRand = g_rand_new_with_seed(20260101);
    for (i = 0; i < 40000; i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(gmemXML) xml = NULL;
        xmlDoc *doc;

        testGenerate(text, 3);
        for (j = g_rand_int_range(testRand, 0, 3); j > 0; j--)
            testMutate(text);
        doc = testUtilParse(text->str);
        xml = gmemXMLParse(text->str, &error);
        if (doc == NULL)
            continue;
        g_test_message("%s", text->str);
        if (error != NULL && doc->intSubset == NULL) {
            testAgreeBehind(text->str, error, xmlDocGetRootElement(doc));
            xmlFreeDoc(doc);
            continue;
        }
        if (doc->intSubset != NULL) {
            g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_ERROR);
        } else {
            g_assert_no_error(error);
            testAssertAgree(gmemXMLRoot(xml), xmlDocGetRootElement(doc));
            taken++;
        }
        xmlFreeDoc(doc);
    }
    g_assert_cmpuint(taken, >, 10000);
    g_rand_free(testRand);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/util/xml/malformed", testMalformed);
    g_test_add_func("/util/xml/silent", testSilent);
    g_test_add_func("/util/xml/encodings", testEncodings);
    g_test_add_func("/util/xml/nesting", testNesting);
    g_test_add_func("/util/xml/find", testFind);
    g_test_add_func("/util/xml/attribute", testAttribute);
    g_test_add_func("/util/xml/escape", testEscape);
    g_test_add_func("/util/xml/edit", testEdit);
    g_test_add_func("/util/xml/emptied", testEmptied);
    g_test_add_func("/util/xml/agree", testAgree);
    return g_test_run();
}
