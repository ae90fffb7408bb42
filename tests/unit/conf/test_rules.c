/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_rules.c: which domains match a rule of gmem.conf, and what the rule makes of them. */

#include <libvirt/virterror.h>
#include <string.h>

#include "gmemerror.h"
#include "gmemlower.h"
#include "gmemrules.h"

#define NOVA " xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'"
#define OTHER " xmlns:nova='http://openstack.org/xmlns/libvirt/nova/9.9'"
#define PATH "/x/gmem.conf"
#define SHARED "mode=fully-shared\n"
#define CONVERTIBLE "mode=convertible\n"

/* A domain with @inner after its name. */
#define DOMAIN(inner)                                                                              \
    "<domain type='kvm'><name>web-1</name>" inner "<memory>65536</memory>"                         \
    "<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"

#define META(ns, inner)                                                                            \
    DOMAIN("<metadata><nova:instance" ns ">" inner "</nova:instance></metadata>")

typedef struct {
    const char *name;
    const char *conditions; /* of a rule */
    const char *xml;
    bool meets;
} Case;

static const Case cases[] = {
    {"name", "name=web-1", DOMAIN(""), true},
    {"name-other", "name=web", DOMAIN(""), false},
    {"star", "name=*", DOMAIN(""), true},
    {"star-in", "name=w*-*1", DOMAIN(""), true},
    {"star-end", "name=web-1*", DOMAIN(""), true},
    {"question", "name=we?-?", DOMAIN(""), true},
    {"question-none", "name=web-1?", DOMAIN(""), false},
    {"back", "title=*aab", DOMAIN("<title>aaaab</title>"), true},
    {"back-none", "title=*aab*c", DOMAIN("<title>aaabaaab</title>"), false},
    {"back-character", "title=*??a*", DOMAIN("<title>\342\202\254ab</title>"), false},
    {"character", "title=M?rz*", DOMAIN("<title>M\303\244rz</title>"), true},
    {"character-one", "title=M??rz", DOMAIN("<title>M\303\244rz</title>"), false},
    {"title-none", "title=*", DOMAIN(""), false},
    {"title-second", "title=b", DOMAIN("<title>a</title><title>b</title>"), false},
    {"reference", "title=a&b", DOMAIN("<title>a&amp;<![CDATA[b]]></title>"), true},
    {"both", "name=web-*\ntitle=a", DOMAIN("<title>a</title>"), true},
    {"one-of-both", "name=web-*\ntitle=b", DOMAIN("<title>a</title>"), false},
    {"flavor", "nova-flavor=gmem.*", META(NOVA, "<nova:flavor name='gmem.small'/>"), true},
    {"flavor-other", "nova-flavor=gmem.*", META(NOVA, "<nova:flavor name='m1.small'/>"), false},
    {"flavor-unnamed", "nova-flavor=*", META(NOVA, "<nova:flavor/>"), false},
    {"flavor-namespace", "nova-flavor=*", META(OTHER, "<nova:flavor name='gmem.small'/>"), false},
    {"flavor-outside", "nova-flavor=*", DOMAIN("<nova:flavor" NOVA " name='gmem'/>"), false},
    {"spec", "nova-extra-spec=gmem:memory=private",
     META(NOVA,
          "<nova:flavor name='a'><nova:extraSpecs><nova:extraSpec name='hw:x'>private"
          "</nova:extraSpec><nova:extraSpec name='gmem:memory'> private </nova:extraSpec>"
          "</nova:extraSpecs></nova:flavor>"),
     true},
    {"spec-other", "nova-extra-spec=gmem:memory=private",
     META(NOVA, "<nova:extraSpec name='hw:x'>private</nova:extraSpec>"), false},
    {"spec-list", "nova-extra-spec=trait:*=*",
     META(NOVA,
          "<nova:extraSpec name='trait:A'>required"
          "</nova:extraSpec>"),
     false},
    {"property", "nova-image-property=traits=*'CUSTOM_X'*",
     META(NOVA,
          "<nova:image uuid='1'/><nova:properties><nova:property name='traits'>['CUSTOM_Y', "
          "'CUSTOM_X']</nova:property></nova:properties>"),
     true},
    {"no-domain", "name=*", "<network><name>web-1</name></network>", false},
};

static gmemHostConf
confOf(const char *conditions, const char *mode)
{
    g_autofree char *text = g_strdup_printf("[rule r]\n%s\n%s", conditions, mode);
    g_autoptr(GError) error = NULL;
    gmemHostConf conf;

    g_assert_cmpint(gmemHostConfParse(PATH, text, &conf, &error), ==, 0);
    g_assert_no_error(error);
    return conf;
}

static void
testMeets(gconstpointer data)
{
    const Case *test = data;
    g_auto(gmemHostConf) conf = confOf(test->conditions, SHARED);
    g_autoptr(gmemXML) xml = gmemXMLParse(test->xml, NULL);
    g_auto(gmemRulesAnswer) answer = {0};
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(gmemRulesAsk(&conf, xml, false, &answer, &error), ==, 0);
    g_assert_no_error(error);
    g_assert_true(answer.rule == (test->meets ? &conf.rules[0] : NULL));
    g_assert_cmpint(answer.own, ==, GMEM_MODE_NONE);
}

typedef struct {
    const char *name;
    const char *mode;
    const char *xml;
    const char *made; /* NULL: the domain is refused with: */
    const char *message;
} Edit;

#define SW "<launchSecurity type='sw-protected'/>"
#define BARE(inner) "<domain type='kvm'><os><type arch='x86_64' machine='pc'>hvm</type></os>" inner
#define GIVES "rule 'r' of '" PATH "' gives the domain "

static const Edit edits[] = {
    {"new", SHARED, BARE("\n</domain>"),
     BARE("<memoryBacking><private/></memoryBacking>\n</domain>"), NULL},
    {"backing", SHARED, BARE("<memoryBacking><nosharepages/></memoryBacking></domain>"),
     BARE("<memoryBacking><nosharepages/><private/></memoryBacking></domain>"), NULL},
    {"backing-empty", SHARED, BARE("<memoryBacking/></domain>"),
     BARE("<memoryBacking><private/></memoryBacking></domain>"), NULL},
    {"convertible", CONVERTIBLE, BARE("</domain>"), BARE(SW "</domain>"), NULL},
    {"more", CONVERTIBLE, BARE("<memoryBacking><private/></memoryBacking></domain>"),
     BARE("<memoryBacking><private/></memoryBacking>" SW "</domain>"), NULL},
    {"tdx", SHARED, BARE("<launchSecurity type='tdx'/></domain>"),
     BARE("<launchSecurity type='tdx'/><memoryBacking><private/></memoryBacking></domain>"), NULL},
    {"tdx-convertible", CONVERTIBLE, BARE("<launchSecurity type='tdx'/></domain>"), NULL,
     GIVES SW ", but the domain has <launchSecurity type='tdx'/>; change one of the two"},
    {"hugepages", SHARED, BARE("<memoryBacking><hugepages/></memoryBacking></domain>"), NULL,
     GIVES "<private/>: <private/> cannot be used with <hugepages>"},
    {"tcg", SHARED, "<domain type='qemu'></domain>", NULL, GIVES "<private/>: "},
    {"namespace", SHARED, "<domain type='kvm' xmlns='urn:x'></domain>", NULL,
     GIVES "<private/>, which has no effect there"},
};

static void
testEdit(gconstpointer data)
{
    const Edit *test = data;
    g_auto(gmemHostConf) conf = confOf("title=*", test->mode);
    const gmemRulesAnswer answer = {.rule = &conf.rules[0]};
    g_autoptr(gmemXML) xml = gmemXMLParse(test->xml, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(gmemXML) made =
        gmemRulesApply(xml, &answer, conf.rules[0].mode, true, PATH, &plan, &error);

    g_assert_true((made == NULL) == (test->made == NULL));
    g_assert_true((plan == NULL) == (test->made == NULL));
    if (test->made != NULL) {
        g_autofree char *lowered = gmemLower(test->made, false, NULL, NULL);

        g_assert_no_error(error);
        g_assert_cmpstr(gmemXMLText(made), ==, lowered);
        return;
    }
    g_test_message("%s", error->message);
    g_assert_true(g_str_has_prefix(error->message, test->message));
    g_assert_cmpint(error->code, ==, VIR_ERR_CONFIG_UNSUPPORTED);
}

/* The first matching rule applies; what the domain itself asks for is reported, too. */
static void
testAsk(void)
{
    static const char text[] = "[rule a]\nname=db-*\nmode=convertible\n"
                               "[rule b]\nname=web-*\nmode=fully-shared\n"
                               "[rule c]\nname=*\nmode=convertible\n";
    g_auto(gmemHostConf) conf = {0};
    g_autoptr(gmemXML) xml =
        gmemXMLParse(DOMAIN("<memoryBacking><private/></memoryBacking>"), NULL);
    g_auto(gmemRulesAnswer) answer = {0};

    g_assert_cmpint(gmemHostConfParse(PATH, text, &conf, NULL), ==, 0);
    g_assert_cmpint(gmemRulesAsk(&conf, xml, false, &answer, NULL), ==, 0);
    g_assert_cmpstr(answer.rule->name, ==, "b");
    g_assert_cmpint(answer.own, ==, GMEM_MODE_FULLY_SHARED);
    g_assert_cmpstr(answer.name, ==, "web-1");
    gmemRulesAnswerClear(&answer);
    g_assert_cmpint(gmemRulesAsk(NULL, xml, false, &answer, NULL), ==, 0);
    g_assert_null(answer.rule);
    g_assert_cmpint(answer.own, ==, GMEM_MODE_FULLY_SHARED);
}

static void
testWeaker(void)
{
    g_assert_true(gmemRulesIsWeaker(GMEM_MODE_NONE, GMEM_MODE_FULLY_SHARED));
    g_assert_true(gmemRulesIsWeaker(GMEM_MODE_NONE, GMEM_MODE_CONVERTIBLE));
    g_assert_true(gmemRulesIsWeaker(GMEM_MODE_FULLY_SHARED, GMEM_MODE_CONVERTIBLE));
    g_assert_false(gmemRulesIsWeaker(GMEM_MODE_CONVERTIBLE, GMEM_MODE_FULLY_SHARED));
    g_assert_false(gmemRulesIsWeaker(GMEM_MODE_CONVERTIBLE, GMEM_MODE_CONVERTIBLE));
    g_assert_false(gmemRulesIsWeaker(GMEM_MODE_NONE, GMEM_MODE_NONE));
    g_assert_false(gmemRulesIsWeaker(GMEM_MODE_FULLY_SHARED, GMEM_MODE_NONE));
}

/* "Cannot be determined" does not mean "no": a title in Latin-1. */
static void
testUnknown(void)
{
    static const char latin[] = "<?xml version='1.0' encoding='ISO-8859-1'?>"
                                "<domain><name>a</name><title>M\344rz</title></domain>";
    g_auto(gmemHostConf) conf = confOf("title=M*", SHARED);
    g_autoptr(gmemXML) xml = gmemXMLParse(latin, NULL);
    g_auto(gmemRulesAnswer) answer = {0};
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(gmemRulesAsk(&conf, xml, false, &answer, &error), ==, -1);
    g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_ERROR);
    g_assert_nonnull(strstr(error->message, "the condition title of a rule"));
}

/* A client that asks for validation gets the error that it would get without rules. */
static void
testValidated(void)
{
    g_auto(gmemHostConf) conf = confOf("name=*", SHARED);
    g_autoptr(gmemXML) xml =
        gmemXMLParse(DOMAIN("<memoryBacking><private x='y'/></memoryBacking>"), NULL);
    g_auto(gmemRulesAnswer) answer = {0};
    g_autoptr(GError) plain = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(gmemRulesAsk(&conf, xml, false, &answer, &plain), ==, -1);
    g_assert_error(plain, GMEM_ERROR, VIR_ERR_XML_ERROR);
    g_assert_cmpint(gmemRulesAsk(&conf, xml, true, &answer, &error), ==, -1);
    g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_INVALID_SCHEMA);
}

/* What libvirt has stored is not edited, so its pair must match the elements. */
static void
testStored(void)
{
    g_auto(gmemHostConf) conf = confOf("name=*", CONVERTIBLE);
    g_autofree char *stored =
        gmemLower(DOMAIN("<memoryBacking><private/></memoryBacking>"), false, NULL, NULL);
    g_autoptr(gmemXML) xml = gmemXMLParse(stored, NULL);
    g_auto(gmemRulesAnswer) answer = {0};
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(gmemRulesAsk(&conf, xml, false, &answer, NULL), ==, 0);
    g_assert_cmpint(answer.own, ==, GMEM_MODE_FULLY_SHARED);
    g_assert_null(gmemRulesApply(xml, &answer, GMEM_MODE_CONVERTIBLE, false, PATH, &plan, &error));
    g_assert_nonnull(strstr(error->message, "define the domain as 'virsh dumpxml' shows it"));
}

int
main(int argc, char **argv)
{
    size_t i;

    g_setenv("LC_ALL", "C", TRUE);
    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = g_strconcat("/rules/meets/", cases[i].name, NULL);

        g_test_add_data_func(name, &cases[i], testMeets);
    }
    for (i = 0; i < G_N_ELEMENTS(edits); i++) {
        g_autofree char *name = g_strconcat("/rules/edit/", edits[i].name, NULL);

        g_test_add_data_func(name, &edits[i], testEdit);
    }
    g_test_add_func("/rules/ask", testAsk);
    g_test_add_func("/rules/weaker", testWeaker);
    g_test_add_func("/rules/unknown", testUnknown);
    g_test_add_func("/rules/validated", testValidated);
    g_test_add_func("/rules/stored", testStored);
    return g_test_run();
}
