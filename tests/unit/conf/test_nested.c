/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_nested.c: domains inside snapshots and checkpoints. */

#include <string.h>

#include "gmemerror.h"
#include "gmemlower.h"
#include "gmemnested.h"
#include "../test_conf_util.h"

#define QEMU_NS " xmlns:qemu='" TEST_QEMU "'"
#define OPTION "-x-libvirt-gmem"
#define VALUE "/qemu:commandline/qemu:arg[2]/@value"

/* As libvirt formats it, in a document with the indentation @indent. */
static char *
testDomain(const char *name, const char *indent, const char *backing)
{
    g_autofree char *text = g_strdup_printf(
        "<%s type='kvm'>\n  <name>vm</name>\n  <memory unit='KiB'>65536</memory>\n"
        "  <currentMemory unit='KiB'>65536</currentMemory>\n%s  <vcpu placement='static'>1</vcpu>\n"
        "  <os>\n    <type arch='x86_64' machine='pc'>hvm</type>\n  </os>\n  <devices>\n"
        "    <emulator>/usr/bin/qemu</emulator>\n  </devices>\n</%s>\n",
        name, backing, name);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GString *indented = g_string_new(NULL);
    size_t i;

    for (i = 0; lines[i + 1] != NULL; i++)
        g_string_append_printf(indented, "%s%s\n", indent, lines[i]);
    return g_string_free(indented, FALSE);
}

#define BACKING "  <memoryBacking>\n    <private/>\n  </memoryBacking>\n"

static char *
testDocument(const char *root, const char *attributes, const char *more, const char *backing)
{
    g_autofree char *domain = testDomain("domain", "  ", backing);
    g_autofree char *inactive = testDomain("inactiveDomain", "  ", backing);
    bool snapshot = strcmp(root, "domainsnapshot") == 0;

    return g_strdup_printf("<%s%s>\n  <name>s</name>\n  <description>a &lt;private/&gt;\n\n      "
                           "of  two lines</description>\n%s%s%s</%s>\n",
                           root, attributes, more, domain, snapshot ? inactive : "", root);
}

static char *
testLower(const char *xml, gmemPlan **plan)
{
    g_autoptr(GError) error = NULL;
    char *lowered = gmemLowerDomains(xml, gmemNestedFind, false, plan, &error);

    g_assert_no_error(error);
    g_assert_nonnull(lowered);
    return lowered;
}

static char *
testRaise(const char *xml, gmemPlan **plan)
{
    g_autoptr(GError) error = NULL;
    char *raised = gmemRaiseDomains(xml, gmemNestedFind, plan, &error);

    g_assert_no_error(error);
    g_assert_nonnull(raised);
    return raised;
}

/* What stock libvirt makes of a lowered domain that it parses and formats again. */
static char *
testFormatted(const char *name, const char *indent, const char *pair)
{
    g_autofree char *domain =
        testDomain(name, indent,
                   "  <memoryBacking>\n    <source type='memfd'/>\n    <access mode='shared'/>\n"
                   "  </memoryBacking>\n");
    g_autofree char *end = g_strdup_printf("%s</%s>\n", indent, name);
    g_autofree char *start = g_strdup_printf("<%s type='kvm'", name);
    g_autofree char *declared = g_strconcat(start, QEMU_NS, NULL);
    g_autofree char *whole =
        g_strdup_printf("%s  <qemu:commandline>\n%s    <qemu:arg value='" OPTION "'/>\n"
                        "%s    <qemu:arg value='%s'/>\n%s  </qemu:commandline>\n%s",
                        indent, indent, indent, pair, indent, end);
    GString *text = g_string_new(domain);

    g_assert_cmpuint(g_string_replace(text, end, whole, 1), ==, 1);
    g_assert_cmpuint(g_string_replace(text, start, declared, 1), ==, 1);
    return g_string_free(text, FALSE);
}

static void
testContainers(void)
{
    static const char *const roots[] = {"domainsnapshot", "domaincheckpoint"};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(roots); i++) {
        g_autofree char *xml = testDocument(roots[i], "", "", BACKING);
        g_autoptr(gmemPlan) plan = NULL;
        g_autofree char *lowered = testLower(xml, &plan);
        g_autofree char *again = testLower(lowered, NULL);
        g_autofree char *raised = NULL;
        const char *mode = "\"mode\":\"fully-shared\"";
        g_autofree char *value = testUtilEval(lowered, "domain" VALUE);

        g_assert_nonnull(plan);
        g_assert_cmpint(plan->mode, ==, GMEM_MODE_FULLY_SHARED);
        g_assert_cmpstr(plan->name, ==, "vm");
        testUtilAssert(lowered, "domain/qemu:commandline/qemu:arg[1]/@value", OPTION);
        g_assert_nonnull(strstr(value, mode));
        testUtilAssert(lowered, "count(//memoryBacking/private)", "0");
        testUtilAssert(lowered, "domain/memoryBacking/source/@type", "memfd");
        if (i == 0) {
            g_autofree char *inactive = testUtilEval(lowered, "inactiveDomain" VALUE);

            g_assert_cmpstr(inactive, ==, value);
        }
        /* lowering what is lowered does not change a byte */
        g_assert_cmpstr(again, ==, lowered);
        raised = testRaise(lowered, NULL);
        testUtilAssert(raised, "count(//memoryBacking/private)", i == 0 ? "2" : "1");
        testUtilAssertSame(raised, xml, xml);
    }
}

/* libvirt only compares the root's name, whatever its namespace. */
static void
testContainersInNamespace(void)
{
    static const char *const roots[] = {"a:domainsnapshot", "a:domaincheckpoint"};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(roots); i++) {
        g_autofree char *xml = testDocument(roots[i], " xmlns:a='u'", "", BACKING);
        g_autofree char *lowered = testLower(xml, NULL);

        testUtilAssert(lowered, "domain/qemu:commandline/qemu:arg[1]/@value", OPTION);
        testUtilAssert(lowered, "count(//memoryBacking/private)", "0");
    }
}

/* What libvirt formatted is raised to what it would have written itself. */
static void
testIndentation(void)
{
    g_autofree char *domain = testDomain("domain", "  ", BACKING);
    g_autofree char *inactive = testDomain("inactiveDomain", "  ", BACKING);
    g_autofree char *text = g_strconcat(domain, inactive, NULL);
    g_autofree char *lowered = testLower(domain, NULL);
    g_autofree char *value = testUtilEval(lowered, VALUE + 1);
    GString *pair = g_string_new(value);
    g_autofree char *formatted = NULL;
    g_autofree char *formattedInactive = NULL;
    g_autofree char *document = NULL;
    g_autofree char *expected = NULL;
    g_autofree char *raised = NULL;
    g_autoptr(gmemPlan) plan = NULL;

    g_string_replace(pair, "\"", "&quot;", 0);
    formatted = testFormatted("domain", "  ", pair->str);
    formattedInactive = testFormatted("inactiveDomain", "  ", pair->str);
    g_string_free(pair, TRUE);
    document = g_strdup_printf("<domainsnapshot>\n  <description>a\n b  </description>\n%s%s"
                               "</domainsnapshot>\n",
                               formatted, formattedInactive);
    expected = g_strdup_printf("<domainsnapshot>\n  <description>a\n b  </description>\n%s"
                               "</domainsnapshot>\n",
                               text);
    raised = testRaise(document, &plan);
    g_assert_cmpstr(raised, ==, expected);
    g_assert_cmpint(plan->mode, ==, GMEM_MODE_FULLY_SHARED);
}

/* Everything except the domains keeps its bytes. */
static void
testRest(void)
{
    const char *more =
        "  <!-- <domain><memoryBacking><private/></memoryBacking></domain> -->\n"
        "  <x:y xmlns:x='urn:x'\n  a=\"1\"><![CDATA[<private/>]]></x:y>\n\t<a  />\r\n";
    g_autofree char *xml = testDocument("domainsnapshot", " a='&#65;'", more, BACKING);
    g_autofree char *lowered = testLower(xml, NULL);
    size_t head = (size_t)(strstr(xml, "  <domain type") - xml);

    g_assert_cmpmem(lowered, head, xml, head);
    g_assert_true(g_str_has_suffix(lowered, "</inactiveDomain>\n</domainsnapshot>\n"));
    testUtilAssert(lowered, "description", "a <private/>\n\n      of  two lines");
}

static void
testSame(void)
{
    static const char *const texts[] = {
        "",
        "nonsense",
        "<domainsnapshot>",
        "<private/>",
        "<domainsnapshot/>",
        "<domainsnapshot><private/></domainsnapshot>",
        "<domainsnapshot><name>-x-libvirt-gmem</name></domainsnapshot>",
        "<domainsnapshot><domain><launchSecurity type='sev'/></domain></domainsnapshot>",
        "<domainsnapshot><domain><private/></domain></domainsnapshot>",
        "<domainsnapshot><domain><metadata><private/></metadata></domain></domainsnapshot>",
        "<domainsnapshot xmlns='urn:x'><domain><memoryBacking><private/></memoryBacking></domain>"
        "</domainsnapshot>",
        "<domainsnapshot xmlns:qemu='" TEST_QEMU "'>\n<domain  ><a/><launchSecurity type=\"tdx\"/>"
        "</domain ></domainsnapshot>",
        "<domainbackup><domain><memoryBacking><private/></memoryBacking></domain></domainbackup>",
        "<network><name><private/></name></network>",
        /* an entity that nobody uses */
        "<!DOCTYPE domainsnapshot [<!ENTITY e 'x'>]><domainsnapshot><name>&e;</name><domain>"
        "</domain></domainsnapshot>",
    };
    g_autofree char *plain = testDocument("domainsnapshot", QEMU_NS, "", "");
    size_t i;

    for (i = 0; i <= G_N_ELEMENTS(texts); i++) {
        const char *text = i < G_N_ELEMENTS(texts) ? texts[i] : plain;
        gmemPlan *plan = (gmemPlan *)&plan;
        g_autofree char *lowered = testLower(text, &plan);
        g_autofree char *raised = testRaise(text, NULL);

        g_assert_null(plan);
        g_assert_cmpstr(lowered, ==, text);
        g_assert_cmpstr(raised, ==, text);
    }
}

/* Declared around the domain, but required in it. */
static void
testNamespaces(void)
{
    static const char *const declared[] = {
        " xmlns:qemu='" TEST_QEMU "'",
        " xmlns:qemu=\"" TEST_QEMU "\" xmlns:x='urn:&lt;&amp;&apos;'",
        " xmlns:x='urn:x' xmlns:qemu='" TEST_QEMU "'",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(declared); i++) {
        g_autofree char *xml = testDocument("domainsnapshot", declared[i], "", BACKING);
        GString *text = g_string_new(xml);
        g_autofree char *lowered = NULL;
        g_autofree char *again = NULL;
        g_autofree char *raised = NULL;

        g_string_replace(text, "</domain>",
                         "<qemu:commandline><qemu:arg value='-name'/></qemu:commandline></domain>",
                         0);
        lowered = testLower(text->str, NULL);
        testUtilAssert(lowered, "count(domain/qemu:commandline)", "1");
        testUtilAssert(lowered, "domain/qemu:commandline/qemu:arg[1]/@value", OPTION);
        testUtilAssert(lowered, "domain/qemu:commandline/qemu:arg[3]/@value", "-name");
        testUtilAssert(lowered, "domain/qemu:commandline/qemu:arg[4]/@value", "");
        again = testLower(lowered, NULL);
        g_assert_cmpstr(again, ==, lowered);
        raised = testRaise(lowered, NULL);
        testUtilAssertSame(raised, text->str, text->str);
        g_string_free(text, TRUE);
    }
}

/* A prefix that means something else inside is not declared again. */
static void
testNamespaceOfItsOwn(void)
{
    g_autofree char *lowered =
        testLower("<domainsnapshot xmlns:qemu='urn:other'><domain type='kvm'" QEMU_NS ">"
                  "<memoryBacking><private/></memoryBacking><os><type arch='x86_64'>hvm</type></os>"
                  "<qemu:commandline/></domain></domainsnapshot>",
                  NULL);

    testUtilAssert(lowered, "domain/qemu:commandline/qemu:arg[1]/@value", OPTION);
}

/* A pair that a client wrote is examined wherever its namespace is declared. */
static void
testForged(void)
{
    static const char *const texts[] = {
        "<domainsnapshot><domain type='kvm'" QEMU_NS "><qemu:commandline><qemu:arg value='" OPTION
        "'/><qemu:arg value='{}'/></qemu:commandline></domain></domainsnapshot>",
        "<domainsnapshot" QEMU_NS "><domain type='kvm'><qemu:commandline><qemu:arg value='" OPTION
        "'/><qemu:arg value='{}'/></qemu:commandline></domain></domainsnapshot>",
        "<domaincheckpoint" QEMU_NS "><domain type='kvm'><qemu:commandline><qemu:arg value='" OPTION
        "'/></qemu:commandline></domain></domaincheckpoint>",
        "<domainsnapshot" QEMU_NS "><domain type='kvm'/><inactiveDomain type='kvm'>"
        "<qemu:commandline><qemu:arg value='" OPTION "'/><qemu:arg value='{\"version\":1,\"mode\":"
        "\"fully-shared\",\"added\":[]}'/></qemu:commandline></inactiveDomain></domainsnapshot>",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%zu", i);
        g_assert_null(gmemLowerDomains(texts[i], gmemNestedFind, false, NULL, &error));
        g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_ERROR);
    }
}

/* Deeper than libxml2 goes: a domain with metadata that libvirt accepts, inside a snapshot. */
static void
testDeep(void)
{
    GString *metadata = g_string_new("<metadata><x:x xmlns:x='urn:x'>");
    g_autofree char *text = NULL;
    g_autofree char *lowered = NULL;
    g_autofree char *raised = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    size_t i;

    for (i = 0; i < 254; i++)
        g_string_append(metadata, "<n>");
    for (i = 0; i < 254; i++)
        g_string_append(metadata, "</n>");
    g_string_append(metadata, "</x:x></metadata>");
    text = g_strdup_printf("<domainsnapshot><domain type='kvm'>%s<memoryBacking><private/>"
                           "</memoryBacking></domain></domainsnapshot>",
                           metadata->str);
    lowered = testLower(text, &plan);
    g_assert_cmpint(plan->mode, ==, GMEM_MODE_FULLY_SHARED);
    g_clear_pointer(&plan, gmemPlanFree);
    g_assert_null(strstr(lowered, "<private/>"));
    raised = testRaise(lowered, &plan);
    g_assert_cmpint(plan->mode, ==, GMEM_MODE_FULLY_SHARED);
    g_assert_nonnull(strstr(raised, "<private/>"));
    g_assert_null(strstr(raised, OPTION));
    g_string_free(metadata, TRUE);
}

static void
testDeclared(void)
{
    static const char *const texts[] = {
        "<!DOCTYPE domainsnapshot [<!ENTITY t 'x'>]><domainsnapshot><domain type='kvm'><title>&t;"
        "</title><memoryBacking><private/></memoryBacking></domain></domainsnapshot>",
        "<!DOCTYPE domainsnapshot [<!ENTITY d \"<domain type='kvm'><memoryBacking><private/>"
        "</memoryBacking></domain>\">]><domainsnapshot>&d;</domainsnapshot>",
        "<!DOCTYPE domainsnapshot><domainsnapshot><domain type='kvm'><memoryBacking><private/>"
        "</memoryBacking></domain></domainsnapshot>",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(gmemLowerDomains(texts[i], gmemNestedFind, false, NULL, &error));
        g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_ERROR);
    }
}

/* Each domain has its own request; the plan is the first one's. */
static void
testOneOfTwo(void)
{
    g_autofree char *private = testDomain("domain", "", BACKING);
    g_autofree char *plain = testDomain("inactiveDomain", "\t", "");
    g_autofree char *xml =
        g_strconcat("<domainsnapshot>", private, plain, "</domainsnapshot>", NULL);
    g_autofree char *reversed = NULL;
    g_autofree char *first = testDomain("domain", "", "");
    g_autofree char *second = testDomain("inactiveDomain", "", BACKING);
    g_autofree char *lowered = NULL;
    g_autofree char *raised = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    gmemPlan *none = (gmemPlan *)&none;

    lowered = testLower(xml, &plan);
    g_assert_nonnull(plan);
    g_assert_nonnull(strstr(lowered, plain));
    testUtilAssert(lowered, "count(//qemu:commandline)", "1");
    raised = testRaise(lowered, NULL);
    g_assert_nonnull(strstr(raised, plain));

    reversed = g_strconcat("<domainsnapshot>", first, second, "</domainsnapshot>", NULL);
    g_clear_pointer(&lowered, g_free);
    lowered = testLower(reversed, &none);
    g_assert_null(none);
    g_assert_nonnull(strstr(lowered, first));
    testUtilAssert(lowered, "count(inactiveDomain/qemu:commandline)", "1");
}

static void
testRules(void)
{
    g_autofree char *xml = testDocument("domainsnapshot", "", "", BACKING);
    GString *text = g_string_new(xml);
    g_autoptr(GError) error = NULL;

    g_string_replace(text, "<inactiveDomain type='kvm'", "<inactiveDomain type='qemu'", 0);
    g_assert_null(gmemLowerDomains(text->str, gmemNestedFind, false, NULL, &error));
    g_assert_error(error, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
    g_clear_error(&error);
    g_string_assign(text, xml);
    g_string_replace(text, "<private/>", "<private a='1'/>", 1);
    g_assert_null(gmemLowerDomains(text->str, gmemNestedFind, true, NULL, &error));
    g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_INVALID_SCHEMA);
    g_string_free(text, TRUE);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nested/containers", testContainers);
    g_test_add_func("/nested/containers-in-namespace", testContainersInNamespace);
    g_test_add_func("/nested/indentation", testIndentation);
    g_test_add_func("/nested/rest", testRest);
    g_test_add_func("/nested/same", testSame);
    g_test_add_func("/nested/namespaces", testNamespaces);
    g_test_add_func("/nested/namespace-of-its-own", testNamespaceOfItsOwn);
    g_test_add_func("/nested/forged", testForged);
    g_test_add_func("/nested/declared", testDeclared);
    g_test_add_func("/nested/deep", testDeep);
    g_test_add_func("/nested/one-of-two", testOneOfTwo);
    g_test_add_func("/nested/rules", testRules);
    return g_test_run();
}
