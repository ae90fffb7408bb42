/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_generated.c: what must always hold of lowering and raising, on generated domains, on
 * very large ones, and on damaged XML.
 *
 * Everything is seeded: g_test's --seed repeats a run. The judge is plain libxml2
 * (test_conf_util.h), which looks at XML as stock libvirt does. */

#include <string.h>

#include "gmemcarrier.h"
#include "gmemerror.h"
#include "gmemlower.h"
#include "../test_conf_util.h"

#define TEST_DOMAINS 600
#define TEST_MUTATIONS 20000

/* A domain in different stages: as the user writes it, and as post-parse leaves it. */
typedef struct {
    gmemMode mode; /* GMEM_MODE_NONE: neither element */
    char *text;
    char *expected;
    char *metadata;
} testDomain;

static void
testDomainClear(testDomain *domain)
{
    g_clear_pointer(&domain->text, g_free);
    g_clear_pointer(&domain->expected, g_free);
    g_clear_pointer(&domain->metadata, g_free);
}

static const char *
testPick(GRand *rand, const char *const *choices, size_t n)
{
    return choices[g_rand_int_range(rand, 0, (gint32)n)];
}

#define TEST_PICK(rand, ...)                                                                       \
    testPick(rand, (const char *const[]){__VA_ARGS__},                                             \
             G_N_ELEMENTS(((const char *const[]){__VA_ARGS__})))

static bool
testChance(GRand *rand, int percent)
{
    return g_rand_int_range(rand, 0, 100) < percent;
}

static const char *
testSpace(GRand *rand)
{
    return TEST_PICK(rand, "", "", "\n  ", " ", "\n\n\t", "\r\n  ", "<!-- c -->",
                     "\n  <!-- - -->\n");
}

static char *
testMetadata(GRand *rand, int depth)
{
    GString *text = g_string_new(NULL);
    int i;

    for (i = g_rand_int_range(rand, 0, 4); i > 0; i--) {
        g_string_append(text, TEST_PICK(rand, "text é ü", "<!-- <private/> -->", "&lt;&amp;&#13;",
                                        "<![CDATA[<memoryBacking><private/></memoryBacking>]]>",
                                        "<?pi -x-libvirt-gmem?>", "\n      ", "\t"));
        if (depth < 4) {
            g_autofree char *inner = testMetadata(rand, depth + 1);
            const char *name = TEST_PICK(rand, "m:a", "m:private", "m:memoryBacking", "m:domain");

            g_string_append_printf(
                text, "<%s %s>%s</%s>", name,
                TEST_PICK(rand, "", "a=\"'\"", "m:b='&quot;>'", "xmlns='urn:i'", "c='&#10;/>'"),
                inner, name);
        }
    }
    return g_string_free(text, FALSE);
}

/* In random order, with random white space between. */
static void
testShuffle(GRand *rand, GString *text, GPtrArray *parts)
{
    while (parts->len > 0) {
        guint i = (guint)g_rand_int_range(rand, 0, (gint32)parts->len);
        g_autofree char *part = g_ptr_array_steal_index_fast(parts, i);

        g_string_append_printf(text, "%s%s", testSpace(rand), part);
    }
    g_string_append(text, testSpace(rand));
}

static void
testAdd(GPtrArray *parts, const char *part)
{
    if (part[0] != '\0')
        g_ptr_array_add(parts, g_strdup(part));
}

static char *
testBacking(GRand *rand, testDomain *domain, bool wished)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new();
    GString *text = g_string_new(NULL);
    bool shared = domain->mode == GMEM_MODE_FULLY_SHARED;
    bool convertible = domain->mode == GMEM_MODE_CONVERTIBLE;

    testAdd(parts, TEST_PICK(rand, "", "", "<nosharepages/>"));
    testAdd(parts, TEST_PICK(rand, "", "", "<discard/>"));
    testAdd(parts, TEST_PICK(rand, "", "", "<allocation mode='immediate' threads='2'/>",
                             "<allocation mode='ondemand'/>", "<allocation threads=\"3\"/>"));
    testAdd(parts,
            shared ? TEST_PICK(rand, "", "", "<source type='memfd'/>", "<source type=\"memfd\" />")
                   : TEST_PICK(rand, "", "<source type='file'/>", "<source type='memfd'/>"));
    testAdd(parts, shared ? TEST_PICK(rand, "", "", "<access mode='shared'/>")
                          : TEST_PICK(rand, "", "<access mode='private'/>"));
    testAdd(parts, shared ? TEST_PICK(rand, "", "", "<hugepages><page size='4'/></hugepages>")
                          : TEST_PICK(rand, "", "<hugepages/>",
                                      "<hugepages><page size='2' unit='MiB'/></hugepages>"));
    testAdd(parts, convertible ? "" : TEST_PICK(rand, "", "<locked/>"));
    if (wished)
        testAdd(parts, TEST_PICK(rand, "<private/>", "<private />", "<private></private>",
                                 "<private>\n  </private>"));
    g_string_append(text, "<memoryBacking>");
    testShuffle(rand, text, parts);
    g_string_append(text, "</memoryBacking>");
    return g_string_free(text, FALSE);
}

static char *
testDevices(GRand *rand)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new();
    GString *text = g_string_new(NULL);
    int i;

    testAdd(parts, TEST_PICK(rand, "", "<emulator>/usr/bin/qemu</emulator>"));
    testAdd(parts,
            TEST_PICK(rand, "", "<memballoon model='none'/>", "<memballoon model='virtio'/>",
                      "<memballoon autodeflate=\"on\" model='virtio'><stats period='5'/>"
                      "</memballoon>",
                      "<memballoon model='virtio' freePageReporting = 'on' autodeflate='on'/>",
                      "<memballoon model='virtio' autodeflate='off'/>"));
    for (i = g_rand_int_range(rand, 0, 4); i > 0; i--)
        testAdd(parts, TEST_PICK(rand,
                                 "<memory model='dimm'><target><size>2048</size></target>"
                                 "</memory>",
                                 "<memory model='nvdimm' access='private'/>",
                                 "<memory model='dimm'><source><pagesize>4</pagesize></source>"
                                 "<target><size>4096</size></target></memory>",
                                 "<disk type='file'><source file='/private/>'/></disk>",
                                 "<interface type='user'/>"));
    g_string_append(text, "<devices>");
    testShuffle(rand, text, parts);
    g_string_append(text, "</devices>");
    return g_string_free(text, FALSE);
}

static const char *
testFeatures(GRand *rand, gmemMode mode)
{
    if (mode == GMEM_MODE_CONVERTIBLE)
        return TEST_PICK(rand, "", "<features><acpi/></features>",
                         "<features>\n    <acpi/>\n    <smm state='off'/>\n  </features>",
                         "<features><ioapic driver=\"qemu\"/><hap/></features>",
                         "<features><smm state='off'/><ioapic driver='qemu'/></features>");
    return TEST_PICK(rand, "", "<features><smm state='on'/><ioapic driver='kvm'/></features>",
                     "<features><acpi/></features>");
}

static const char *
testCommandline(GRand *rand)
{
    return TEST_PICK(
        rand, "", "",
        "<qemu:commandline xmlns:qemu='" TEST_QEMU "'><qemu:arg value='-a'/></qemu:commandline>",
        "<q:commandline xmlns:q='" TEST_QEMU "'>\n    <q:arg value='-append'/>\n    <q:arg "
        "value='-x-libvirt-gmem'/>\n  </q:commandline>",
        "<commandline xmlns='" TEST_QEMU
        "'><arg value='-S'/><env name='A' value='b'/></commandline>",
        "<qemu:commandline xmlns:qemu='" TEST_QEMU "'><!-- c --><qemu:arg value='-b'/>"
        "</qemu:commandline><q:commandline xmlns:q='" TEST_QEMU "'><q:arg value='-c'/>"
        "</q:commandline>",
        "<qemu:capabilities xmlns:qemu='" TEST_QEMU "'><qemu:del capability='c'/>"
        "</qemu:capabilities>");
}

static void
testGenerate(GRand *rand, gmemMode mode, testDomain *domain)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new();
    g_autofree char *devices = testDevices(rand);
    g_autofree char *inner = testMetadata(rand, 0);
    g_autofree char *backing = NULL;
    bool wished =
        mode == GMEM_MODE_FULLY_SHARED || (mode != GMEM_MODE_NONE && testChance(rand, 30));
    bool security = mode == GMEM_MODE_CONVERTIBLE;
    GString *text = g_string_new(NULL);
    const char *root = TEST_PICK(rand, "", "", " xmlns:qemu='urn:x' qemu:y='z'",
                                 " xmlns:o=\"urn:o\"", "\n  id='7' ");

    domain->mode = mode;
    domain->metadata = g_strdup_printf("<metadata><m:m xmlns:m='urn:m'>%s</m:m></metadata>", inner);
    if (wished || testChance(rand, 40))
        backing = testBacking(rand, domain, wished);

    g_string_append(text, TEST_PICK(rand, "", "", "<?xml version='1.0'?>\n",
                                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- é -->",
                                    "\xef\xbb\xbf", "\n\n"));
    g_string_append_printf(text, "<domain type='kvm'%s>", root);
    testAdd(parts, "<name>a</name>");
    testAdd(parts, "<memory unit='MiB'>1024</memory>");
    testAdd(parts, TEST_PICK(rand, "", "<currentMemory unit='GiB'>1</currentMemory>"));
    testAdd(parts, "<os><type arch='x86_64'>hvm</type></os>");
    testAdd(parts, TEST_PICK(rand, "", "<title>&lt;private/> &amp; é</title>"));
    testAdd(parts, TEST_PICK(rand, "", "<seclabel type='none'/>"));
    testAdd(parts, domain->metadata);
    testAdd(parts, devices);
    testAdd(parts, testFeatures(rand, mode));
    testAdd(parts, testCommandline(rand));
    if (backing != NULL)
        testAdd(parts, backing);
    if (security)
        testAdd(parts, TEST_PICK(rand, "<launchSecurity type='sw-protected'/>",
                                 "<launchSecurity type = \"sw-protected\" ></launchSecurity>"));
    testShuffle(rand, text, parts);
    g_string_append(text, "</domain>");
    g_string_append(text, TEST_PICK(rand, "", "\n", "<!-- end -->"));
    domain->text = g_string_free(text, FALSE);

    if (security && !wished) {
        if (backing != NULL) {
            g_auto(GStrv) around = g_strsplit(domain->text, backing, 2);
            g_autofree char *with = g_strdup(backing);
            g_autofree char *joined = NULL;

            with[strlen(with) - strlen("</memoryBacking>")] = '\0';
            joined = g_strconcat(with, "<private/></memoryBacking>", NULL);
            domain->expected = g_strjoinv(joined, around);
        } else {
            g_autofree char *cut = g_strdup(domain->text);
            char *end = g_strrstr(cut, "</domain>");
            g_autofree char *tail = g_strdup(end);

            *end = '\0';
            domain->expected =
                g_strconcat(cut, "<memoryBacking><private/></memoryBacking>", tail, NULL);
        }
    } else {
        domain->expected = g_strdup(domain->text);
    }
}

static void
testProperties(const testDomain *domain)
{
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(gmemPlan) stored = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *lowered = gmemLower(domain->text, true, &plan, &error);
    g_autofree char *again = NULL;
    g_autofree char *raised = NULL;

    g_assert_no_error(error);
    if (domain->mode == GMEM_MODE_NONE) {
        g_assert_cmpstr(lowered, ==, domain->text);
        g_assert_null(plan);
        return;
    }
    g_assert_cmpint(plan->mode, ==, domain->mode);
    testUtilAssert(lowered, "count(memoryBacking/private)", "0");
    testUtilAssert(lowered, "count(launchSecurity)", "0");
    testUtilAssert(lowered, "(qemu:commandline/qemu:arg)[1]/@value", GMEM_CARRIER_OPTION);
    g_assert_nonnull(strstr(lowered, domain->metadata));
    if (domain->mode == GMEM_MODE_FULLY_SHARED) {
        testUtilAssert(lowered, "memoryBacking/source/@type", "memfd");
        testUtilAssert(lowered, "memoryBacking/access/@mode", "shared");
    } else {
        testUtilAssert(lowered, "features/smm/@state", "off");
        testUtilAssert(lowered, "features/ioapic/@driver", "qemu");
        testUtilAssert(lowered, "count(devices/memballoon/@*[.='on'])", "0");
        /* Beside huge pages, libvirt must not see an allocation mode other than immediate, which is
         * what it does anyway. */
        testUtilAssert(lowered,
                       "memoryBacking[hugepages][not(allocation/@mode = 'immediate')] and "
                       "not(memoryBacking/hugepages/page/@size = '4')",
                       "false");
    }

    again = gmemLower(lowered, true, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(again, ==, lowered);

    /* The inserted elements do not break any rule. */
    gmemRaisePlan(lowered, gmemLowerFindRoot, true, &stored, &error);
    g_assert_no_error(error);
    g_assert_cmpint(stored->mode, ==, plan->mode);
    g_assert_cmpuint(stored->ram, ==, plan->ram);

    raised = gmemRaise(lowered, NULL, &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(raised, domain->metadata));
    testUtilAssertSame(raised, domain->expected, domain->text);

    /* And back again. */
    g_free(again);
    again = gmemLower(raised, true, NULL, &error);
    g_assert_no_error(error);
    testUtilAssertSame(again, lowered, domain->text);
}

static GRand *
testRand(void)
{
    return g_rand_new_with_seed((guint32)g_test_rand_int());
}

static void
testGenerated(void)
{
    static const gmemMode modes[] = {GMEM_MODE_NONE, GMEM_MODE_FULLY_SHARED, GMEM_MODE_CONVERTIBLE};
    g_autoptr(GRand) rand = testRand();
    size_t i;

    for (i = 0; i < TEST_DOMAINS; i++) {
        testDomain domain = {0};

        testGenerate(rand, modes[i % G_N_ELEMENTS(modes)], &domain);
        testProperties(&domain);
        testDomainClear(&domain);
    }
}

static void
testLarge(const char *text, double seconds)
{
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *lowered = NULL;
    g_autofree char *again = NULL;
    g_autofree char *raised = NULL;

    g_test_timer_start();
    lowered = gmemLower(text, true, &plan, &error);
    g_assert_no_error(error);
    g_assert_nonnull(plan);
    g_test_message("lower: %.3f s", g_test_timer_elapsed());
    again = gmemLower(lowered, true, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(again, ==, lowered);
    g_test_message("lower again: %.3f s", g_test_timer_elapsed());
    raised = gmemRaise(lowered, NULL, &error);
    g_assert_no_error(error);
    g_test_message("raise: %.3f s", g_test_timer_elapsed());
    g_assert_cmpfloat(g_test_timer_elapsed(), <, seconds);
    testUtilAssertSame(raised, text, "a large domain");
}

/* Linear work takes a fraction of a second even here and under a sanitizer; quadratic work takes
 * hours. */
#define TEST_LARGE_SECONDS 60.0

static void
testCells(void)
{
    static const int counts[] = {1000, 50000};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(counts); i++) {
        GString *text = g_string_new("<domain type='kvm'><name>cells</name><cpu><numa>\n");
        int cell;

        for (cell = 0; cell < counts[i]; cell++)
            g_string_append_printf(text, "<cell id='%d' cpus='%d' memory='%d'/>\n", cell, cell,
                                   1024 * (cell + 1));
        g_string_append(text, "</numa></cpu><numatune>");
        for (cell = 0; cell < counts[i]; cell++)
            g_string_append_printf(text, "<memnode cellid='%d' mode='strict' nodeset='0-1'/>\n",
                                   cell);
        g_string_append(text,
                        "<memory nodeset='0,1'/></numatune><qemu:commandline xmlns:qemu='" TEST_QEMU
                        "'>");
        for (cell = 0; cell < counts[i]; cell++)
            g_string_append(text, "<qemu:arg value='-S'/>");
        g_string_append(text, "</qemu:commandline><memoryBacking><private/></memoryBacking>"
                              "</domain>");
        testLarge(text->str, TEST_LARGE_SECONDS);
        g_string_free(text, TRUE);
    }
}

static void
testMetadataLarge(void)
{
    GString *text =
        g_string_new("<domain type='kvm'><name>a</name><metadata><m:m xmlns:m='urn:m'>");

    while (text->len < 10 * 1024 * 1024)
        g_string_append(text, "\n  <m:private a='\"'>é &amp; <![CDATA[<private/>]]></m:private>");
    g_string_append(text, "</m:m></metadata><memoryBacking><private/></memoryBacking></domain>");
    testLarge(text->str, TEST_LARGE_SECONDS);
    g_string_free(text, TRUE);
}

/* Ten megabytes in one attribute, and in one tag. */
static void
testAttributeLarge(void)
{
    g_autofree char *value = g_strnfill(9 * 1024 * 1024, '\'');
    g_autofree char *text = g_strdup_printf(
        "<domain type='kvm'><name>a</name><metadata><m:m xmlns:m='urn:m' a=\"%s\"/></metadata>"
        "<memoryBacking><private/></memoryBacking></domain>",
        value);

    testLarge(text, TEST_LARGE_SECONDS);
}

static const char *const testWords[] = {
    "<private/>",
    "<private>",
    "</private>",
    "<memoryBacking>",
    "</memoryBacking>",
    "<launchSecurity type='sw-protected'/>",
    "</domain>",
    "<domain type='kvm'>",
    "<features>",
    "<smm/>",
    "<q:arg value='-x-libvirt-gmem'/>",
    "<qemu:arg value='x'/>",
    "xmlns=''",
    "xmlns='u'",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "&amp;",
    "&e;",
    "&#60;",
    "'",
    "\"",
    "=",
    "/>",
    ">",
    "<",
    "<source type='memfd'/>",
    "<access mode='shared'/>",
    "\xef\xbb\xbf",
    "{&quot;version&quot;:1",
    "<!DOCTYPE domain [<!ENTITY e '<private/>'>]>",
    "encoding='UTF-7'",
    "<a:b xmlns:a='u'/>",
    "\x01",
    "\xff",
    "\xc3\xa9",
};

static char *
testMutate(GRand *rand, const char *text)
{
    GString *mutant = g_string_new(text);
    int n = g_rand_int_range(rand, 1, 5);

    while (n-- > 0 && mutant->len > 4) {
        gssize at = g_rand_int_range(rand, 0, (gint32)mutant->len);
        gssize rest = (gssize)mutant->len - at;
        gssize wanted = g_rand_int_range(rand, 1, testChance(rand, 20) ? 200 : 8);
        gssize length = MIN(rest, wanted);

        switch (g_rand_int_range(rand, 0, 5)) {
        case 0:
            mutant->str[at] = (char)g_rand_int_range(rand, 1, 256);
            break;
        case 1:
            g_string_erase(mutant, at, length);
            break;
        case 2: {
            g_autofree char *copy = g_strndup(mutant->str + at, (gsize)length);

            g_string_insert(mutant, g_rand_int_range(rand, 0, (gint32)mutant->len), copy);
            break;
        }
        default:
            g_string_insert(mutant, at, testPick(rand, testWords, G_N_ELEMENTS(testWords)));
        }
    }
    return g_string_free(mutant, FALSE);
}

/* Whatever was done to the text: if libvirt's parser sees the request, it is kept, or the domain is
 * refused. */
static bool
testMutant(const char *mutant)
{
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(gmemPlan) raisedPlan = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) raiseError = NULL;
    g_autofree char *lowered = gmemLower(mutant, (strlen(mutant) % 2) != 0, &plan, &error);
    g_autofree char *raised = gmemRaise(mutant, &raisedPlan, &raiseError);
    xmlDoc *doc = testUtilParse(mutant);
    bool unbound = testUtilUnbound();
    bool ours = false;

    g_assert_true((lowered == NULL) == (error != NULL));
    g_assert_true((raised == NULL) == (raiseError != NULL));
    if (lowered == NULL)
        g_assert_null(plan);
    if (error != NULL)
        g_assert_true(error->domain == GMEM_ERROR);
    if (plan == NULL && lowered != NULL && strcmp(lowered, mutant) != 0) {
        g_autofree char *malformed = gmemXMLMalformed(mutant);

        g_assert_cmpstr(lowered, ==, malformed);
        g_assert_null(testUtilParse(lowered));
        g_assert_true(doc == NULL || unbound);
        xmlFreeDoc(doc);
        return false;
    }
    if (raisedPlan == NULL && raised != NULL)
        g_assert_cmpstr(raised, ==, mutant);
    if (doc != NULL && strcmp((const char *)xmlDocGetRootElement(doc)->name, "domain") == 0) {
        g_autofree char *backing = testUtilXPath(doc, "count(memoryBacking/private)");
        g_autofree char *security =
            testUtilXPath(doc, "count(launchSecurity[@type='sw-protected'])");

        ours = strcmp(backing, "0") != 0 || strcmp(security, "0") != 0;
    }
    if (doc != NULL)
        xmlFreeDoc(doc);
    if (!ours || lowered == NULL)
        return false;
    g_assert_nonnull(plan);
    testUtilAssert(lowered, "count(memoryBacking/private)", "0");
    testUtilAssert(lowered, "count(launchSecurity[@type='sw-protected'])", "0");
    testUtilAssert(lowered, "(qemu:commandline/qemu:arg)[1]/@value", GMEM_CARRIER_OPTION);
    return true;
}

static void
testMutations(void)
{
    g_autoptr(GRand) rand = testRand();
    unsigned int arrived = 0;
    size_t i;

    for (i = 0; i < TEST_MUTATIONS / 50; i++) {
        testDomain domain = {0};
        g_autofree char *lowered = NULL;
        int j;

        testGenerate(rand, i % 2 != 0 ? GMEM_MODE_FULLY_SHARED : GMEM_MODE_CONVERTIBLE, &domain);
        lowered = gmemLower(domain.text, false, NULL, NULL);
        for (j = 0; j < 50; j++) {
            g_autofree char *mutant = testMutate(rand, j % 2 != 0 ? domain.text : lowered);

            arrived += testMutant(mutant);
        }
        testDomainClear(&domain);
    }
    g_test_message("%u of %d mutants kept their wish", arrived, TEST_MUTATIONS);
    g_assert_cmpuint(arrived, >, TEST_MUTATIONS / 100);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/conf/generated/properties", testGenerated);
    g_test_add_func("/conf/generated/cells", testCells);
    g_test_add_func("/conf/generated/metadata", testMetadataLarge);
    g_test_add_func("/conf/generated/attribute", testAttributeLarge);
    g_test_add_func("/conf/generated/mutations", testMutations);
    return g_test_run();
}
