/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_lower.c: lowering and raising of hand-written domains, and every refusal. */

#include <string.h>

#include "gmemcarrier.h"
#include "gmemerror.h"
#include "gmemlower.h"
#include "../test_conf_util.h"

#define TEST_SW "<launchSecurity type='sw-protected'/>"
#define TEST_PRIVATE "<memoryBacking><private/></memoryBacking>"
#define TEST_SHARED_PAIR                                                                           \
    "{\"version\":1,\"mode\":\"fully-shared\",\"added\":["                                         \
    "{\"path\":\"memoryBacking/source/@type\",\"value\":\"memfd\"},"                               \
    "{\"path\":\"memoryBacking/access/@mode\",\"value\":\"shared\"}]}"
#define TEST_CONVERTIBLE_PAIR                                                                      \
    "{\"version\":1,\"mode\":\"convertible\",\"launchSecurity\":\"sw-protected\",\"added\":["      \
    "{\"path\":\"features/ioapic/@driver\",\"value\":\"qemu\"},"                                   \
    "{\"path\":\"features/smm/@state\",\"value\":\"off\"}]}"

/* A domain that is as short as possible, with @type and @os for what most refusals concern. */
static char *
testDomain(const char *type, const char *os, const char *devices, const char *rest)
{
    return g_strdup_printf("<domain type='%s'>\n  <name>d&amp;d</name>\n"
                           "  <memory unit='KiB'>1048576</memory>\n"
                           "  <os>%s</os>\n  <devices>%s</devices>\n  %s\n</domain>\n",
                           type, os, devices, rest);
}

static char *
testSimple(const char *rest)
{
    return testDomain("kvm", "<type arch='x86_64' machine='q35'>hvm</type>",
                      "<emulator>/usr/bin/qemu</emulator>", rest);
}

static char *
testLower(const char *text, gmemMode mode)
{
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) error = NULL;
    char *lowered = gmemLower(text, true, &plan, &error);

    g_assert_no_error(error);
    g_assert_nonnull(lowered);
    g_assert_nonnull(plan);
    g_assert_cmpint(plan->mode, ==, mode);
    testUtilAssert(lowered, "qemu:commandline[1]/qemu:arg[1]/@value", GMEM_CARRIER_OPTION);
    testUtilAssert(lowered, "count(memoryBacking/private)", "0");
    testUtilAssert(lowered, "count(launchSecurity[@type='sw-protected'])", "0");
    return lowered;
}

static void
testLowers(const char *text, gmemMode mode)
{
    g_free(testLower(text, mode));
}

/* Lowers @text, checks what must always hold, and returns the raised XML. */
static char *
testRound(const char *text, gmemMode mode)
{
    g_autofree char *lowered = testLower(text, mode);
    g_autofree char *again = testLower(lowered, mode);
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) error = NULL;
    char *raised = gmemRaise(lowered, &plan, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(again, ==, lowered);
    g_assert_cmpint(plan->mode, ==, mode);
    return raised;
}

static void
testRoundAssert(const char *text, const char *expected, gmemMode mode)
{
    g_autofree char *raised = testRound(text, mode);

    testUtilAssertSame(raised, expected, text);
}

static void
testRefused(const char *text, bool validate, int code, const char *message)
{
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *lowered = gmemLower(text, validate, &plan, &error);
    g_autofree char *whole = NULL;

    g_assert_null(lowered);
    g_assert_null(plan);
    g_assert_nonnull(error);
    whole = gmemErrorFormat(error);
    g_assert_cmpstr(whole, ==, message);
    g_assert_error(error, GMEM_ERROR, code);
}

static void
testUntouched(const char *text)
{
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *lowered = gmemLower(text, true, &plan, &error);
    g_autofree char *raised = gmemRaise(text, &plan, NULL);

    g_assert_no_error(error);
    g_assert_cmpstr(lowered, ==, text);
    g_assert_null(plan);
    g_assert_cmpstr(raised, ==, text);
}

/* libvirt's parser refuses it, and its error is the expected one. */
static void
testMalformed(const char *text)
{
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *lowered = gmemLower(text, true, &plan, &error);
    g_autofree char *malformed = gmemXMLMalformed(text);

    g_assert_no_error(error);
    g_assert_cmpstr(lowered, ==, malformed);
    g_assert_null(testUtilParse(lowered));
    g_assert_null(plan);
}

static void
testFullyShared(void)
{
    g_autofree char *text = testSimple("<memoryBacking>\n    <private/>\n  </memoryBacking>");
    g_autofree char *lowered = testLower(text, GMEM_MODE_FULLY_SHARED);
    g_autofree char *raised = NULL;
    g_autoptr(gmemPlan) plan = NULL;

    testUtilAssert(lowered, "memoryBacking/source/@type", "memfd");
    testUtilAssert(lowered, "memoryBacking/access/@mode", "shared");
    testUtilAssert(lowered, "qemu:commandline/qemu:arg[2]/@value", TEST_SHARED_PAIR);
    testUtilAssert(lowered, "count(qemu:commandline/qemu:arg)", "2");
    testUtilAssert(lowered, "count(features)", "0");
    raised = gmemRaise(lowered, &plan, NULL);
    g_assert_cmpstr(raised, ==, text);
    g_assert_cmpstr(plan->name, ==, "d&d");
    g_assert_cmpstr(plan->emulator, ==, "/usr/bin/qemu");
    g_assert_false(plan->cellNodesetsDiffer);
}

/* libvirt keeps white space in a domain's name. */
static void
testSpacedName(void)
{
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *lowered = gmemLower(
        "<domain type='kvm'><name> a\n</name>" TEST_PRIVATE "</domain>", false, &plan, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(plan->name, ==, " a\n");
}

/* What the user wrote is not mistaken for what lowering inserted. */
static void
testFullySharedPartly(void)
{
    g_autofree char *text = testSimple(
        "<memoryBacking><hugepages xmlns='urn:other'/><source type='memfd'/><locked/><private/>"
        "<allocation mode='immediate'/></memoryBacking>");
    g_autofree char *lowered = testLower(text, GMEM_MODE_FULLY_SHARED);
    g_autofree char *both = testSimple("<memoryBacking><access mode='shared'/><private/>"
                                       "<source type='memfd'/></memoryBacking>");
    g_autofree char *lowered2 = testLower(both, GMEM_MODE_FULLY_SHARED);
    g_autofree char *empty = testSimple("<memoryBacking><access/><private></private><source />"
                                        "</memoryBacking>");
    g_autofree char *emptyRaised = testRound(empty, GMEM_MODE_FULLY_SHARED);

    testUtilAssert(lowered, "qemu:commandline/qemu:arg[2]/@value",
                   "{\"version\":1,\"mode\":\"fully-shared\",\"added\":["
                   "{\"path\":\"memoryBacking/access/@mode\",\"value\":\"shared\"}]}");
    testRoundAssert(text, text, GMEM_MODE_FULLY_SHARED);
    testUtilAssert(lowered2, "qemu:commandline/qemu:arg[2]/@value",
                   "{\"version\":1,\"mode\":\"fully-shared\",\"added\":[]}");
    testRoundAssert(both, both, GMEM_MODE_FULLY_SHARED);
    testUtilAssert(emptyRaised, "count(memoryBacking/*)", "1");
}

/* Guest writes must not start to reach an NVDIMM's file because the RAM is now shared. */
static void
testNVDIMM(void)
{
    static const char nvdimms[] =
        "<memory model='dimm'><target><size>1024</size></target></memory>"
        "<memory model='nvdimm'><source><path>/a</path></source></memory>"
        "<memory model='nvdimm' access='shared'><source><path>/b</path></source></memory>"
        "<memory model='nvdimm' access='private'><source><path>/c</path></source></memory>";
    g_autofree char *text = testDomain("kvm", "<type>hvm</type>", nvdimms, TEST_PRIVATE);
    g_autofree char *chosen = testDomain("kvm", "<type>hvm</type>", nvdimms,
                                         "<memoryBacking><access mode='shared'/><private/>"
                                         "</memoryBacking>");
    g_autofree char *lowered = testLower(text, GMEM_MODE_FULLY_SHARED);
    g_autofree char *loweredChosen = testLower(chosen, GMEM_MODE_FULLY_SHARED);

    testUtilAssert(lowered, "count(devices/memory/@access)", "3");
    testUtilAssert(lowered, "devices/memory[1]/@access", "");
    testUtilAssert(lowered, "devices/memory[2]/@access", "private");
    testUtilAssert(lowered, "devices/memory[3]/@access", "shared");
    testUtilAssert(lowered,
                   "contains(qemu:commandline/qemu:arg[2]/@value, "
                   "'{\"path\":\"devices/memory[path:6a50dc8584134c7d]/@access\","
                   "\"value\":\"private\"}')",
                   "true");
    testUtilAssert(lowered, "starts-with(qemu:commandline/qemu:arg[2]/@value, '{\"version\":2,')",
                   "true");
    testRoundAssert(text, text, GMEM_MODE_FULLY_SHARED);
    /* if the user asks for shared access of the domain, NVDIMMs get it, too, as in stock libvirt */
    testUtilAssert(loweredChosen, "devices/memory[2]/@access", "");
}

/* A memory device can have huge pages in a domain that has none, and libvirt preallocates them. */
static void
testHugeDIMM(void)
{
    static const char dimm[] =
        "<memory model='dimm'><source><pagesize>%s</pagesize></source></memory>";
    static const char *const pages[] = {"2048", "4"};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(pages); i++) {
        g_auto(GStrv) parts = g_strsplit(dimm, "%s", 2);
        g_autofree char *devices = g_strjoinv(pages[i], parts);
        g_autofree char *text = testDomain("kvm", "<type>hvm</type>", devices, TEST_SW);
        g_autofree char *lowered = testLower(text, GMEM_MODE_CONVERTIBLE);

        testUtilAssert(lowered, "memoryBacking/allocation/@mode", i == 0 ? "immediate" : "");
    }
}

/* As many as libvirt has slots for, two of them with one file, one of which the user wrote. */
static void
testManyNVDIMMs(void)
{
    g_autoptr(GString) devices = g_string_new(NULL);
    g_autofree char *text = NULL;
    g_autofree char *mixed = testDomain(
        "kvm", "<type>hvm</type>",
        "<memory model='nvdimm'><source><path>/a</path></source></memory>"
        "<memory model='nvdimm' access='private'><source><path>/a</path></source></memory>",
        TEST_PRIVATE);
    g_autofree char *lowered = NULL;
    g_autofree char *raised = NULL;
    int i;

    for (i = 0; i < 256; i++)
        g_string_append_printf(
            devices,
            "<memory model='nvdimm'><source><path>/nvdimm \"%d\" \\</path></source></memory>", i);
    text = testDomain("kvm", "<type>hvm</type>", devices->str, TEST_PRIVATE);
    testRoundAssert(text, text, GMEM_MODE_FULLY_SHARED);
    lowered = testLower(mixed, GMEM_MODE_FULLY_SHARED);
    testUtilAssert(lowered, "count(devices/memory[@access='private'])", "2");
    raised = gmemRaise(lowered, NULL, NULL);
    testUtilAssert(raised, "devices/memory[2]/@access", "private");
}

/* The pair of so many would not fit on QEMU's command line. */
static void
testTooManyNVDIMMs(void)
{
    g_autoptr(GString) devices = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    int i;

    for (i = 0; i < 2000; i++)
        g_string_append_printf(
            devices, "<memory model='nvdimm'><source><path>/%d</path></source></memory>", i);
    text = testDomain("kvm", "<type>hvm</type>", devices->str, TEST_PRIVATE);
    g_assert_null(gmemLower(text, false, NULL, &error));
    g_assert_error(error, GMEM_ERROR, VIR_ERR_INTERNAL_ERROR);
    g_assert_nonnull(strstr(error->message, "is longer than 131072 bytes"));
}

static void
testConvertible(void)
{
    g_autofree char *text = testSimple(TEST_SW);
    g_autofree char *expected = testSimple(TEST_PRIVATE TEST_SW);
    g_autofree char *lowered = testLower(text, GMEM_MODE_CONVERTIBLE);

    testUtilAssert(lowered, "features/ioapic/@driver", "qemu");
    testUtilAssert(lowered, "features/smm/@state", "off");
    testUtilAssert(lowered, "count(features)", "1");
    testUtilAssert(lowered, "count(memoryBacking)", "0");
    testUtilAssert(lowered, "qemu:commandline/qemu:arg[2]/@value", TEST_CONVERTIBLE_PAIR);
    testRoundAssert(text, expected, GMEM_MODE_CONVERTIBLE);
    testRoundAssert(expected, expected, GMEM_MODE_CONVERTIBLE);
}

static void
testConvertiblePartly(void)
{
    static const char *const features[] = {
        "<features/>",
        "<features></features>",
        "<features><acpi/></features>",
        "<features><acpi/><smm state='off'/></features>",
        "<features><ioapic driver='qemu'/><apic/></features>",
        "<features><ioapic driver='qemu'/><smm state='off'/></features>",
        "<features><!-- none --></features>",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(features); i++) {
        g_autofree char *text = g_strdup_printf(
            "<domain type='kvm'><name>a</name><memory>1048576</memory>%s<devices>"
            "<memballoon model='virtio' autodeflate='on' freePageReporting='on'/></devices>"
            "<memoryBacking><source type='file'/><access mode='private'/><hugepages/>"
            "<private/></memoryBacking>" TEST_SW "</domain>",
            features[i]);
        g_autofree char *lowered = testLower(text, GMEM_MODE_CONVERTIBLE);
        g_autofree char *expected = NULL;

        testUtilAssert(lowered, "devices/memballoon/@autodeflate", "off");
        testUtilAssert(lowered, "devices/memballoon/@freePageReporting", "off");
        testUtilAssert(lowered, "features/smm/@state", "off");
        testUtilAssert(lowered, "features/ioapic/@driver", "qemu");
        testUtilAssert(lowered, "memoryBacking/source/@type", "file");
        /* Stock libvirt does not print an empty <features>. */
        expected = g_strdup(text);
        if (i < 2)
            memset(strstr(expected, features[i]), ' ', strlen(features[i]));
        testRoundAssert(text, expected, GMEM_MODE_CONVERTIBLE);
    }
}

/* Raising only undoes a change that is still there. */
static void
testChangedSince(void)
{
    g_autofree char *text = testDomain("kvm", "<type>hvm</type>",
                                       "<memballoon model='virtio' autodeflate='on'/>", TEST_SW);
    g_autofree char *lowered = testLower(text, GMEM_MODE_CONVERTIBLE);
    g_autofree char *changed = NULL;
    g_autofree char *raised = NULL;
    g_autofree char *gone = NULL;
    g_autofree char *raised2 = NULL;
    g_auto(GStrv) parts = g_strsplit(lowered, "<smm state='off'/>", 2);
    g_auto(GStrv) parts2 = g_strsplit(lowered, "autodeflate='off'", 2);

    changed = g_strjoinv("<smm state='on'/>", parts);
    raised = gmemRaise(changed, NULL, NULL);
    testUtilAssert(raised, "features/smm/@state", "on");
    testUtilAssert(raised, "count(features/*)", "1");
    testUtilAssert(raised, "devices/memballoon/@autodeflate", "on");
    gone = g_strjoinv("", parts2);
    raised2 = gmemRaise(gone, NULL, NULL);
    testUtilAssert(raised2, "count(devices/memballoon/@autodeflate)", "0");
    testUtilAssert(raised2, "count(features)", "0");
    /* Neither text is what the elements would have produced. */
    testRefused(changed, false, VIR_ERR_CONFIG_UNSUPPORTED,
                "unsupported configuration: <launchSecurity type='sw-protected'/> cannot be used "
                "with SMM, which <smm> switches on: a software-protected VM has no SMM; use <smm "
                "state='off'/>");
    testRefused(gone, false, VIR_ERR_XML_ERROR,
                "XML error: the value of '-x-libvirt-gmem' does not match this domain; remove the "
                "option and use <private/> or <launchSecurity type='sw-protected'/>");
}

/* Their RAM is guest_memfd already: the request is kept, and does not change anything. */
static void
testHardware(void)
{
    static const char *const types[] = {"sev-snp", "tdx"};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(types); i++) {
        g_autofree char *rest = g_strdup_printf(
            TEST_PRIVATE "<launchSecurity type='%s'><policy>1</policy></launchSecurity>", types[i]);
        g_autofree char *with = testSimple(rest);
        g_autofree char *without = testSimple(rest + strlen(TEST_PRIVATE));
        g_autofree char *lowered = testLower(with, GMEM_MODE_NONE);

        testUtilAssert(lowered, "qemu:commandline/qemu:arg[2]/@value",
                       "{\"version\":1,\"mode\":\"none\",\"added\":[]}");
        testUtilAssert(lowered, "launchSecurity/@type", types[i]);
        testUtilAssert(lowered, "count(memoryBacking/*)", "0");
        testRoundAssert(with, with, GMEM_MODE_NONE);
        testUntouched(without);
    }
}

static void
testNeither(void)
{
    static const char *const rests[] = {
        "",
        "<launchSecurity type='sev'><policy>1</policy></launchSecurity>",
        "<launchSecurity type='s390-pv'/>",
        "<launchSecurity type='bogus'/>",
        "<launchSecurity type='sw_protected'/>",
        "<launchSecurity/>",
        "<launchSecurity type='sev'/><launchSecurity type='bogus'/>",
        "<private/>",
        "<memoryBacking><source><private/></source></memoryBacking>",
        "<memoryBacking><private xmlns='urn:x'/></memoryBacking>",
        "<memoryBacking xmlns:p='urn:x'><p:private/></memoryBacking>",
        "<memoryBacking xmlns='urn:x'><private/></memoryBacking>",
        "<memoryBacking><!-- <private/> --></memoryBacking>",
        "<memoryBacking><![CDATA[<private/>]]></memoryBacking>",
        "<memoryBacking><?private <private/> ?></memoryBacking>",
        "<memoryBacking><privately/></memoryBacking>",
        "<description>&lt;private/> -x-libvirt-gmem <![CDATA[<memoryBacking><private/>]]>"
        "</description>",
        "<metadata><x:a xmlns:x='urn:x'><memoryBacking><private/></memoryBacking>"
        "<launchSecurity type='sw-protected'/></x:a></metadata>",
        "<devices><launchSecurity type='sw-protected'/></devices>",
        "<launchSecurity xmlns='urn:x' type='sw-protected'/>",
        "<qemu:commandline xmlns:qemu='" TEST_QEMU "'><qemu:arg value='-append'/>"
        "<qemu:arg value='-x-libvirt-gmem'/></qemu:commandline>",
        "<qemu:commandline xmlns:qemu='" TEST_QEMU "'><qemu:arg value='-S'/>"
        "<qemu:arg value='-append'/><qemu:arg value='&#45;x-libvirt-gmem'/></qemu:commandline>",
        "<qemu:commandline xmlns:qemu='" TEST_QEMU "'><qemu:env name='A' "
        "value='-x-libvirt-gmem'/></qemu:commandline>",
        "<qemu:commandline xmlns:qemu='urn:not-qemu'><qemu:arg value='-x-libvirt-gmem'/>"
        "</qemu:commandline>",
        "<commandline><arg value='-x-libvirt-gmem'/></commandline>",
        "<qemu:commandline xmlns:qemu='" TEST_QEMU "'><arg value='-x-libvirt-gmem'/>"
        "</qemu:commandline>",
        "<qemu:commandline xmlns:qemu='" TEST_QEMU "'><qemu:arg/></qemu:commandline>",
    };
    static const char *const texts[] = {
        "",
        "<domain xmlns='urn:x' type='kvm'>" TEST_PRIVATE "</domain>",
        "<domainsnapshot>" TEST_PRIVATE "</domainsnapshot>",
        "<other><domain type='kvm'>" TEST_PRIVATE "</domain></other>",
        "<!DOCTYPE domain [<!ENTITY t '<title>t</title>'><!ENTITY n 'n'>]>"
        "<domain type='kvm'>&t;<name>&n;</name></domain>",
    };
    static const char *const malformed[] = {
        "no XML with <private/>",
        "no XML with -x-libvirt-gmem",
        "<domain><memoryBacking><private/></memoryBacking>",
        "<domain type='kvm'><memoryBacking><private></memoryBacking></domain>",
        "<?xml version='1.0' encoding='no-such-encoding'?><domain>" TEST_PRIVATE "</domain>",
        "<domainsnapshot>" TEST_PRIVATE "</domain>",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(rests); i++) {
        g_autofree char *text = testSimple(rests[i]);

        g_test_message("%s", rests[i]);
        testUntouched(text);
    }
    for (i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_test_message("%s", texts[i]);
        testUntouched(texts[i]);
    }
    for (i = 0; i < G_N_ELEMENTS(malformed); i++) {
        g_test_message("%s", malformed[i]);
        testMalformed(malformed[i]);
    }
}

static void
testConcerns(void)
{
    g_assert_false(gmemLowerMayHaveElements(""));
    g_assert_false(gmemLowerMayHaveElements("<domain type='kvm'><name>private</name></domain>"));
    g_assert_false(gmemLowerMayHaveElements("<?xml version=\"1.0\" encoding=\"UTF-8\"?><domain/>"));
    g_assert_false(
        gmemLowerMayHaveElements("\xef\xbb\xbf <?xml version='1.0' encoding = 'iso-8859-15'?>"
                                 "<domain/>"));
    g_assert_false(gmemLowerMayHaveElements("<domain><title encoding='UTF-7'/></domain>"));
    g_assert_true(gmemLowerMayHaveElements("<domain><memoryBacking><private/>"));
    g_assert_true(gmemLowerMayHaveElements("<domain><launchSecurity"));
    g_assert_true(gmemLowerMayHaveElements("<arg value='-x-libvirt-gmem'"));
    g_assert_false(gmemLowerMayHaveElements("<?xml version='1.0' encoding='UTF-7'?><domain/>"));
    g_assert_true(
        gmemLowerMayHaveElements("<?xml version='1.0' encoding='UTF-7'?>+ADw-private/+AD4-"));
    g_assert_true(gmemLowerMayHaveElements("<?xml version='1.0' encoding='no-such'?><domain/>"));
    /* "<?xml?><private/>" in EBCDIC */
    g_assert_true(gmemLowerMayHaveElements("\x4c\x6f\xa7\x94\x93\x6f\x6e\x4c\x97\x99\x89\xa5\x81"
                                           "\xa3\x85\x61\x6e"));
    g_assert_true(
        gmemLowerMayHaveElements("<!DOCTYPE domain [<!ENTITY a '&#60;&#112;rivate/>'>]>"));
    g_assert_false(gmemRaiseMayHavePair("<domain/>"));
    g_assert_true(gmemRaiseMayHavePair("<qemu:arg value='-x-libvirt-gmem'/>"));
}

/* @root: attributes of the domain's root element; @rest: its <qemu:commandline>s. */
static const struct {
    const char *root;
    const char *rest;
    const char *args; /* the user's own */
} testCommandlines[] = {
    {"", "", ""},
    {" xmlns:qemu='" TEST_QEMU "'", "", ""},
    {" xmlns:qemu='urn:x' qemu:a='b'", "", ""},
    {" xmlns:qemu='" TEST_QEMU "'",
     "<qemu:commandline><qemu:arg value='-a'/><qemu:arg value='1'/></qemu:commandline>", "-a 1"},
    {" xmlns:q='" TEST_QEMU "'",
     "<q:commandline><q:arg value='-a'/><q:env name='E' value='v'/></q:commandline>", "-a"},
    {" xmlns:qemu='urn:x' xmlns:q='" TEST_QEMU "'",
     "<qemu:commandline><qemu:arg value='-no'/></qemu:commandline>"
     "<q:commandline><!-- c --><q:arg value='-append'/><q:arg value='-x-libvirt-gmem'/>"
     "</q:commandline>",
     "-append -x-libvirt-gmem"},
    {"", "<commandline xmlns='" TEST_QEMU "'><arg value='-a'/></commandline>", "-a"},
    {"",
     "<commandline xmlns='" TEST_QEMU "'><x:arg xmlns:x='" TEST_QEMU "' value='-a'/>"
     "</commandline>",
     "-a"},
    {" xmlns:qemu='" TEST_QEMU "'",
     "<qemu:commandline><qemu:arg value='-a'/></qemu:commandline>"
     "<qemu:commandline><qemu:arg value='-b'/></qemu:commandline>",
     "-a -b"},
    {" xmlns:qemu='" TEST_QEMU "'",
     "<qemu:commandline><qemu:env name='E' value='v'/></qemu:commandline>"
     "<qemu:commandline><qemu:arg value='-b'/></qemu:commandline>",
     "-b"},
    {" xmlns:qemu='" TEST_QEMU "'",
     "<qemu:commandline>\n    <qemu:env name='E' value='v'/>\n"
     "  </qemu:commandline>",
     ""},
    {" xmlns:qemu='" TEST_QEMU "'",
     "<qemu:capabilities><qemu:del capability='c'/></qemu:capabilities>", ""},
};

static char *
testArguments(const char *text, unsigned int from)
{
    GString *all = g_string_new(NULL);
    unsigned int i;

    for (i = from;; i++) {
        g_autofree char *count = g_strdup_printf("count(qemu:commandline/qemu:arg) >= %u", i);
        g_autofree char *path = g_strdup_printf("(qemu:commandline/qemu:arg)[%u]/@value", i);
        g_autofree char *more = testUtilEval(text, count);
        g_autofree char *value = NULL;

        if (strcmp(more, "true") != 0)
            return g_string_free(all, FALSE);
        value = testUtilEval(text, path);
        g_string_append_printf(all, "%s%s", all->len > 0 ? " " : "", value);
    }
}

static void
testCommandline(void)
{
    size_t i, mode;

    for (i = 0; i < 2 * G_N_ELEMENTS(testCommandlines); i++) {
        const char *rest = testCommandlines[i / 2].rest;
        g_autofree char *text = NULL;
        g_autofree char *expected = NULL;
        g_autofree char *lowered = NULL;
        g_autofree char *args = NULL;
        g_autofree char *first = NULL;

        mode = i % 2 != 0 ? GMEM_MODE_CONVERTIBLE : GMEM_MODE_FULLY_SHARED;
        text = g_strdup_printf("<domain type='kvm'%s><name>a</name>%s%s</domain>",
                               testCommandlines[i / 2].root, rest,
                               mode == GMEM_MODE_CONVERTIBLE ? TEST_SW : TEST_PRIVATE);
        expected = g_strdup_printf(
            "<domain type='kvm'%s><name>a</name>%s" TEST_PRIVATE "%s</domain>",
            testCommandlines[i / 2].root, rest, mode == GMEM_MODE_CONVERTIBLE ? TEST_SW : "");
        g_test_message("%s", text);
        lowered = testLower(text, (gmemMode)mode);
        args = testArguments(lowered, 3);
        g_assert_cmpstr(args, ==, testCommandlines[i / 2].args);
        first = testUtilEval(lowered, "(qemu:commandline/qemu:arg)[1]/@value");
        g_assert_cmpstr(first, ==, GMEM_CARRIER_OPTION);
        testRoundAssert(text, expected, (gmemMode)mode);
    }
}

/* This also holds with the setting that libvirt leaves in its thread. */
static void
testRaisedAs(const char *lowered, const char *wanted)
{
    g_autofree char *raised = gmemRaise(lowered, NULL, NULL);
    int keep = xmlKeepBlanksDefault(0);
    g_autofree char *without = gmemRaise(lowered, NULL, NULL);

    xmlKeepBlanksDefault(keep);
    g_assert_cmpstr(without, ==, raised);
    g_assert_cmpstr(raised, ==, wanted);
}

/* libvirt's own formatting, as stock libvirt 9.0 prints such a domain, and the required result. */
static void
testFormatting(void)
{
    g_autofree char *lowered = g_strdup_printf(
        "<domain type='kvm' id='3' xmlns:qemu='%s'>\n"
        "  <name>a</name>\n"
        "  <metadata>\n"
        "    <x:y xmlns:x=\"urn:x\" a=\"&#xE9;\">é<![CDATA[<q>]]></x:y>\n"
        "  </metadata>\n"
        "  <memory unit='KiB'>1048576</memory>\n"
        "  <currentMemory unit='KiB'>1048576</currentMemory>\n"
        "  <vcpu placement='static'>1</vcpu>\n"
        "  <features>\n"
        "    <smm state='off'/>\n"
        "    <ioapic driver='qemu'/>\n"
        "  </features>\n"
        "  <devices>\n"
        "    <memballoon model='virtio' autodeflate='off'>\n"
        "      <address type='pci'/>\n"
        "    </memballoon>\n"
        "  </devices>\n"
        "  <seclabel type='none'/>\n"
        "  <qemu:commandline>\n"
        "    <qemu:arg value='-x-libvirt-gmem'/>\n"
        "    <qemu:arg value='{&quot;version&quot;:1,&quot;mode&quot;:&quot;convertible&quot;,"
        "&quot;launchSecurity&quot;:&quot;sw-protected&quot;,&quot;added&quot;:["
        "{&quot;path&quot;:&quot;features/ioapic/@driver&quot;,&quot;value&quot;:&quot;qemu&quot;},"
        "{&quot;path&quot;:&quot;features/smm/@state&quot;,&quot;value&quot;:&quot;off&quot;},"
        "{&quot;path&quot;:&quot;devices/memballoon/@autodeflate&quot;,&quot;value&quot;:"
        "&quot;off&quot;,&quot;former&quot;:&quot;on&quot;}]}'/>\n"
        "  </qemu:commandline>\n"
        "</domain>\n",
        TEST_QEMU);

    testRaisedAs(lowered, "<domain type='kvm' id='3'>\n"
                          "  <name>a</name>\n"
                          "  <metadata>\n"
                          "    <x:y xmlns:x=\"urn:x\" a=\"&#xE9;\">é<![CDATA[<q>]]></x:y>\n"
                          "  </metadata>\n"
                          "  <memory unit='KiB'>1048576</memory>\n"
                          "  <currentMemory unit='KiB'>1048576</currentMemory>\n"
                          "  <memoryBacking>\n"
                          "    <private/>\n"
                          "  </memoryBacking>\n"
                          "  <vcpu placement='static'>1</vcpu>\n"
                          "  <devices>\n"
                          "    <memballoon model='virtio' autodeflate='on'>\n"
                          "      <address type='pci'/>\n"
                          "    </memballoon>\n"
                          "  </devices>\n"
                          "  <seclabel type='none'/>\n"
                          "  <launchSecurity type='sw-protected'/>\n"
                          "</domain>\n");
}

static void
testFormattingBacking(void)
{
    static const char lowered[] =
        "<domain type='kvm' xmlns:qemu='" TEST_QEMU "'>\n"
        "  <name>a</name>\n"
        "  <metadata>\n"
        "    <qemu:mine xmlns:qemu=\"" TEST_QEMU "\"/>\n"
        "  </metadata>\n"
        "  <memoryBacking>\n"
        "    <locked/>\n"
        "    <source type='memfd'/>\n"
        "    <access mode='shared'/>\n"
        "  </memoryBacking>\n"
        "  <devices>\n"
        "  </devices>\n"
        "  <qemu:commandline>\n"
        "    <qemu:arg value='-x-libvirt-gmem'/>\n"
        "    <qemu:arg value='{&quot;version&quot;:1,&quot;mode&quot;:&quot;fully-shared&quot;,"
        "&quot;added&quot;:[{&quot;path&quot;:&quot;memoryBacking/source/@type&quot;,&quot;value"
        "&quot;:&quot;memfd&quot;},{&quot;path&quot;:&quot;memoryBacking/access/@mode&quot;,&quot;"
        "value&quot;:&quot;shared&quot;}]}'/>\n"
        "    <qemu:arg value='-S'/>\n"
        "  </qemu:commandline>\n"
        "</domain>\n";

    testRaisedAs(lowered, "<domain type='kvm' xmlns:qemu='" TEST_QEMU "'>\n"
                          "  <name>a</name>\n"
                          "  <metadata>\n"
                          "    <qemu:mine xmlns:qemu=\"" TEST_QEMU "\"/>\n"
                          "  </metadata>\n"
                          "  <memoryBacking>\n"
                          "    <locked/>\n"
                          "    <private/>\n"
                          "  </memoryBacking>\n"
                          "  <devices>\n"
                          "  </devices>\n"
                          "  <qemu:commandline>\n"
                          "    <qemu:arg value='-S'/>\n"
                          "  </qemu:commandline>\n"
                          "</domain>\n");
}

/* libvirt treats several <memoryBacking> as one, and several <features>, too. */
static void
testRepeated(void)
{
    static const char *const backings[] = {
        "<memoryBacking><locked/></memoryBacking><memoryBacking><private/></memoryBacking>",
        "<memoryBacking><private/></memoryBacking><memoryBacking><locked/></memoryBacking>",
        "<memoryBacking/><memoryBacking><locked/><private/></memoryBacking>",
        "<memoryBacking><locked/><private/></memoryBacking><memoryBacking/>",
        "<memoryBacking><locked/><access mode='shared'/></memoryBacking><memoryBacking/>"
        "<memoryBacking><source type='memfd'/><private/></memoryBacking>",
    };
    g_autofree char *features =
        testSimple("<features/><features><acpi/></features><features><smm state='off'/></features>"
                   "<memoryBacking/><memoryBacking><hugepages/></memoryBacking>" TEST_SW);
    g_autofree char *lowered = testLower(features, GMEM_MODE_CONVERTIBLE);
    g_autofree char *raised = testRound(features, GMEM_MODE_CONVERTIBLE);
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(backings); i++) {
        g_autofree char *backing = testSimple(backings[i]);
        g_autofree char *shared = testLower(backing, GMEM_MODE_FULLY_SHARED);
        g_autofree char *again = testRound(backing, GMEM_MODE_FULLY_SHARED);

        testUtilAssert(shared, "memoryBacking/source/@type", "memfd");
        testUtilAssert(shared, "memoryBacking/access/@mode", "shared");
        testUtilAssert(shared, "count(memoryBacking/source)", "1");
        testUtilAssert(again, "count(memoryBacking/private)", "1");
        testUtilAssert(again, "count(memoryBacking/locked)", "1");
        testUtilAssert(again, "count(memoryBacking/source)", i < 4 ? "0" : "1");
        testUtilAssert(again, "count(memoryBacking/access)", i < 4 ? "0" : "1");
    }
    testUtilAssert(lowered, "features/smm/@state", "off");
    testUtilAssert(lowered, "features/ioapic/@driver", "qemu");
    testUtilAssert(lowered, "count(features/smm)", "1");
    testUtilAssert(raised, "count(features/ioapic)", "0");
    testUtilAssert(raised, "count(memoryBacking/allocation)", "0");
    testUtilAssert(raised, "count(memoryBacking/hugepages)", "1");
}

/* What the elements forbid is forbidden in each <memoryBacking>. */
static void
testRepeatedForbidden(void)
{
    static const char *const forbidden[] = {
        "<memoryBacking><private/></memoryBacking><memoryBacking><hugepages/></memoryBacking>",
        "<memoryBacking><hugepages/></memoryBacking><memoryBacking><private/></memoryBacking>",
        "<memoryBacking><private/></memoryBacking><memoryBacking><source type='file'/>"
        "</memoryBacking>",
        "<features/><features><acpi/><ioapic driver='kvm'/></features><features><smm/></features>"
        "<memoryBacking/><memoryBacking><hugepages/></memoryBacking>" TEST_SW,
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(forbidden); i++) {
        g_autofree char *text = testSimple(forbidden[i]);
        g_autoptr(GError) error = NULL;

        g_assert_null(gmemLower(text, true, NULL, &error));
        g_assert_error(error, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
    }
}

/* The root's declaration remains if something else requires it. */
static void
testNamespaceUsed(void)
{
    static const char *const uses[] = {
        "<metadata><qemu:mine/></metadata>",
        "<metadata><m:m xmlns:m='urn:m'><a><b qemu:c='d'/></a></m:m></metadata>",
        "<qemu:capabilities/>",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(uses); i++) {
        g_autofree char *text = g_strdup_printf("<domain type='kvm' xmlns:qemu='" TEST_QEMU "'>"
                                                "<name>a</name>%s" TEST_PRIVATE "</domain>",
                                                uses[i]);
        g_autofree char *raised = testRound(text, GMEM_MODE_FULLY_SHARED);

        g_assert_nonnull(strstr(raised, "<domain type='kvm' xmlns:qemu='"));
    }
    {
        g_autofree char *raised =
            testRound("<domain xmlns:qemu='" TEST_QEMU "' type='kvm'><name>a</name>" TEST_PRIVATE
                      "<qemu:commandline></qemu:commandline></domain>",
                      GMEM_MODE_FULLY_SHARED);

        g_assert_true(g_str_has_prefix(raised, "<domain type='kvm'>"));
    }
}

/* A pair that a client wrote: @option and @value in a domain that is otherwise lowered. */
static char *
testReady(const char *value, const char *rest)
{
    g_autofree char *escaped = g_markup_escape_text(value, -1);
    g_autofree char *all = g_strdup_printf(
        "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
        "<q:commandline xmlns:q='" TEST_QEMU "'><q:arg value='-x-libvirt-gmem'/>"
        "<q:arg value='%s'/>%s</q:commandline>",
        escaped, rest);

    return testSimple(all);
}

static void
testReadyMade(void)
{
    static const char notGiven[] =
        "XML error: the value of '-x-libvirt-gmem' does not match this domain; remove the option "
        "and use <private/> or <launchSecurity type='sw-protected'/>";
    static const char otherwise[] = "XML error: the value of '-x-libvirt-gmem' is damaged: it "
                                    "differs from what libvirt-gmem writes";
    static const struct {
        const char *value;
        const char *rest;
        const char *message;
    } cases[] = {
        {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":[]}", "", NULL},
        {TEST_SHARED_PAIR, "", NULL},
        {TEST_SHARED_PAIR, "<q:arg value='-append'/><q:arg value='-x-libvirt-gmem'/>", NULL},
        {"{\"version\": 1,\"mode\":\"fully-shared\",\"added\":[]}", "", otherwise},
        {"{\"mode\":\"fully-shared\",\"version\":1,\"added\":[]}", "", otherwise},
        {"{\"version\":1,\"mode\":\"none\",\"added\":[]}", "", notGiven},
        {"{\"version\":1,\"mode\":\"convertible\",\"launchSecurity\":\"sw-protected\",\"added\":[]"
         "}",
         "", notGiven},
        {TEST_CONVERTIBLE_PAIR, "", notGiven},
        {"{\"version\":2,\"mode\":\"fully-shared\",\"added\":[]}", "", otherwise},
        {"{\"version\":3,\"mode\":\"fully-shared\",\"added\":[]}", "",
         "XML error: the value of '-x-libvirt-gmem' has version 3, and this libvirt-gmem knows "
         "versions up to 2 only"},
        {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":[],\"key\":1}", "", otherwise},
        {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":[{\"path\":\"devices/disk/@type\","
         "\"value\":\"file\"}]}",
         "",
         "XML error: the value of '-x-libvirt-gmem' has a change of 'devices/disk/@type' to "
         "'file', which libvirt-gmem does not know"},
        {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":[{\"path\":\"memoryBacking/source/"
         "@type\",\"value\":\"memfd\",\"former\":\"file\"}]}",
         "",
         "XML error: the value of '-x-libvirt-gmem' has a change of 'memoryBacking/source/@type' "
         "to 'memfd', which libvirt-gmem does not know"},
        {"nonsense", "", NULL},
        {TEST_SHARED_PAIR, "<q:arg value='-x-libvirt-gmem'/><q:arg value='{}'/>",
         "XML error: option '-x-libvirt-gmem' is given more than once"},
        {TEST_SHARED_PAIR, "<q:arg value='--x-libvirt-gmem'/>",
         "XML error: option '-x-libvirt-gmem' is given more than once"},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = testReady(cases[i].value, cases[i].rest);
        g_autoptr(GError) error = NULL;
        g_autoptr(gmemPlan) plan = NULL;
        g_autofree char *lowered = gmemLower(text, false, &plan, &error);
        g_autofree char *whole = error != NULL ? gmemErrorFormat(error) : NULL;

        g_test_message("%s", cases[i].value);
        if (cases[i].message == NULL && strcmp(cases[i].value, "nonsense") == 0) {
            g_assert_true(
                g_str_has_prefix(whole, "XML error: the value of '-x-libvirt-gmem' is damaged: "));
        } else if (cases[i].message == NULL) {
            g_assert_no_error(error);
            g_assert_cmpstr(lowered, ==, text);
            g_assert_cmpint(plan->mode, ==, GMEM_MODE_FULLY_SHARED);
        } else {
            g_assert_null(lowered);
            g_assert_cmpstr(whole, ==, cases[i].message);
            g_assert_cmpint(error->code, ==, VIR_ERR_XML_ERROR);
        }
    }
}

#define NVDIMM_AT(number) ",{\"path\":\"devices/memory[" number "]/@access\",\"value\":\"private\"}"
#define SOURCE_CHANGE "{\"path\":\"memoryBacking/source/@type\",\"value\":\"memfd\"}"
#define ACCESS_CHANGE ",{\"path\":\"memoryBacking/access/@mode\",\"value\":\"shared\"}"

#define KEY_A "path:6a50dc8584134c7d"
#define KEY_B "path:9812b0b9d61e09b9"
#define NVDIMM(path, access)                                                                       \
    "<memory model='nvdimm'" access "><source><path>" path "</path></source></memory>"
#define OF_OURS " access='private'"

/* libvirt removes a device from a domain, but the pair still lists it. Pairs of version 1 identify
 * devices by their numbers, and are accepted, too. */
static void
testReadyGone(void)
{
    static const struct {
        const char *version;
        const char *devices;
        const char *keys;  /* in the pair */
        const char *again; /* in the new one; NULL: refused */
    } cases[] = {
        {"1", "", NVDIMM_AT("1"), ""},
        {"2", "", NVDIMM_AT(KEY_A), ""},
        {"2", NVDIMM("/b", OF_OURS), NVDIMM_AT(KEY_A) NVDIMM_AT(KEY_B), NVDIMM_AT(KEY_B)},
        /* What else libvirt stores of a device does not matter. */
        {"2", NVDIMM("/a</path>\n<alignsize>2048</alignsize>\n<path>", OF_OURS), NVDIMM_AT(KEY_A),
         NVDIMM_AT(KEY_A)},
        {"2", NVDIMM("/a", OF_OURS), NVDIMM_AT(KEY_A) NVDIMM_AT(KEY_B), NVDIMM_AT(KEY_A)},
        /* The user's own choice, whatever stood before it. */
        {"2", NVDIMM("/b", OF_OURS), NVDIMM_AT(KEY_A), ""},
        {"1", NVDIMM("/a", OF_OURS) NVDIMM("/b", OF_OURS), NVDIMM_AT("1") NVDIMM_AT("2"),
         NVDIMM_AT(KEY_A) NVDIMM_AT(KEY_B)},
        {"1", NVDIMM("/a", OF_OURS), NVDIMM_AT("1") NVDIMM_AT("2"), NVDIMM_AT(KEY_A)},
        {"1", NVDIMM("/a", OF_OURS), NVDIMM_AT("2"), ""},
        {"2", NVDIMM("/a", " access='shared'"), NVDIMM_AT(KEY_A), ""},
        {"1", "<memory model='dimm'/>" NVDIMM("/a", OF_OURS), NVDIMM_AT("2") NVDIMM_AT("4"),
         NVDIMM_AT(KEY_A)},
        {"2", "<memory model='dimm'/>", NVDIMM_AT(KEY_A), ""},
        /* An NVDIMM that is missing from the pair. */
        {"1", NVDIMM("/a", ""), "", NULL},
        {"2", NVDIMM("/a", ""), NVDIMM_AT(KEY_B), NULL},
        /* Not in the order in which they are written; twice; of the wrong version. */
        {"2", NVDIMM("/a", OF_OURS) NVDIMM("/b", OF_OURS), NVDIMM_AT(KEY_B) NVDIMM_AT(KEY_A), NULL},
        {"1", NVDIMM("/a", OF_OURS), NVDIMM_AT("1") NVDIMM_AT("1"), NULL},
        {"1", NVDIMM("/a", OF_OURS), NVDIMM_AT(KEY_A), NULL},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *pair = g_strconcat("{\"version\":", cases[i].version,
                                            ",\"mode\":\"fully-shared\",\"added\":[" SOURCE_CHANGE,
                                            cases[i].keys, ACCESS_CHANGE "]}", NULL);
        g_autofree char *ready = testReady(pair, "");
        g_auto(GStrv) parts = g_strsplit(ready, "</devices>", 2);
        g_autofree char *text =
            g_strconcat(parts[0], cases[i].devices, "</devices>", parts[1], NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(gmemPlan) plan = NULL;
        g_autofree char *lowered = gmemLower(text, false, &plan, &error);
        g_autofree char *wanted = NULL;

        g_test_message("%s", text);
        if (cases[i].again == NULL) {
            g_assert_null(lowered);
            g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_ERROR);
            continue;
        }
        g_assert_no_error(error);
        g_assert_cmpint(plan->mode, ==, GMEM_MODE_FULLY_SHARED);
        wanted = g_strconcat(cases[i].again[0] != '\0' ? "{\"version\":2" : "{\"version\":1",
                             ",\"mode\":\"fully-shared\",\"added\":[" SOURCE_CHANGE, cases[i].again,
                             ACCESS_CHANGE "]}", NULL);
        testUtilAssert(lowered, "qemu:commandline/qemu:arg[2]/@value", wanted);
        g_free(testRound(lowered, GMEM_MODE_FULLY_SHARED));
        /* The devices are as libvirt had them. */
        g_assert_nonnull(strstr(lowered, cases[i].devices));
    }
}

/* Another device that now has the number of an NVDIMM is not taken for one. */
static void
testRaiseOtherDevice(void)
{
    static const char dimm[] = "<memory model='dimm' access='private'/>";
    g_autofree char *ready = testReady(
        "{\"version\":1,\"mode\":\"fully-shared\",\"added\":[" SOURCE_CHANGE NVDIMM_AT("1")
            ACCESS_CHANGE "]}",
        "");
    g_auto(GStrv) parts = g_strsplit(ready, "</devices>", 2);
    g_autofree char *text = g_strconcat(parts[0], dimm, "</devices>", parts[1], NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *raised = gmemRaise(text, NULL, &error);

    g_assert_no_error(error);
    g_assert_null(strstr(raised, "x-libvirt-gmem"));
    g_assert_nonnull(strstr(raised, dimm));
}

/* The pair in other places and shapes. */
static void
testMisplaced(void)
{
    static const struct {
        const char *commandlines; /* PAIR stands for the pair's two arguments */
        const char *message;
    } cases[] = {
        {"<q:commandline><q:arg value='-S'/>PAIR</q:commandline>",
         "XML error: option '-x-libvirt-gmem' must be the first argument of <qemu:commandline>"},
        {"<q:commandline><q:arg value='-append'/><q:arg value='x'/>PAIR</q:commandline>",
         "XML error: option '-x-libvirt-gmem' must be the first argument of <qemu:commandline>"},
        {"<q:commandline><q:arg value='--x-libvirt-gmem'/><q:arg value='{}'/></q:commandline>",
         "XML error: option '-x-libvirt-gmem' must be the first argument of <qemu:commandline>"},
        {"<q:commandline><q:arg value='-x-libvirt-gmem'/></q:commandline>",
         "XML error: option '-x-libvirt-gmem' has no value"},
        {"<q:commandline/><q:commandline>PAIR</q:commandline>",
         "XML error: option '-x-libvirt-gmem' and its value must be in the first "
         "<qemu:commandline>"},
        {"<q:commandline><q:arg value='-x-libvirt-gmem'/></q:commandline>"
         "<q:commandline><q:arg value='{}'/></q:commandline>",
         "XML error: option '-x-libvirt-gmem' and its value must be in the first "
         "<qemu:commandline>"},
        {"<q:commandline>PAIR</q:commandline><memoryBacking><private/></memoryBacking>",
         "XML error: <private/> and option '-x-libvirt-gmem' are mutually exclusive"},
        {"<q:commandline>PAIR</q:commandline>" TEST_SW,
         "XML error: <launchSecurity type='sw-protected'/> and option '-x-libvirt-gmem' are "
         "mutually exclusive"},
        {"<q:commandline><q:arg value='&#45;x-libvirt-gme&#109;'/></q:commandline>",
         "XML error: option '-x-libvirt-gmem' has no value"},
    };
    g_autofree char *escaped = g_markup_escape_text(TEST_SHARED_PAIR, -1);
    g_autofree char *pair =
        g_strdup_printf("<q:arg value='-x-libvirt-gmem'/><q:arg value='%s'/>", escaped);
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) parts = g_strsplit(cases[i].commandlines, "PAIR", -1);
        g_autofree char *rest = g_strjoinv(pair, parts);
        g_autofree char *text = g_strdup_printf(
            "<domain type='kvm' xmlns:q='" TEST_QEMU "'><name>a</name>%s</domain>", rest);
        g_autoptr(GError) error = NULL;

        g_test_message("%s", cases[i].commandlines);
        testRefused(text, false, VIR_ERR_XML_ERROR, cases[i].message);
        if (gmemRaiseMayHavePair(text)) {
            g_assert_null(gmemRaise(text, NULL, &error));
            g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_ERROR);
        }
    }
}

/* libxml2's words change between versions; they follow on a line of their own. */
static void
testInvalid(const char *text)
{
    static const char start[] = "XML document failed to validate against schema: Unable to "
                                "validate doc against gmem.rng\n";
    g_autoptr(GError) error = NULL;
    g_autofree char *lowered = gmemLower(text, true, NULL, &error);
    g_autofree char *whole = NULL;

    g_assert_null(lowered);
    g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_INVALID_SCHEMA);
    whole = gmemErrorFormat(error);
    g_assert_true(g_str_has_prefix(whole, start));
    g_assert_cmpuint(strlen(whole), >, strlen(start));
}

#define REPEATED(name) "XML error: element <" name "> must not be repeated"
#define CONTENT(name) "XML error: element <" name "> must not have content"
#define NAMESPACED(attribute, name)                                                                \
    "XML error: attribute '" attribute "' of element <" name "> must not be in a namespace"

static void
testMalformedElements(void)
{
    static const struct {
        const char *rest;
        const char *message;
        bool schema; /* the schema sees it, too */
    } cases[] = {
        {"<memoryBacking><private a='1'/></memoryBacking>",
         "XML error: element <private> must not have attributes", true},
        {"<memoryBacking xmlns:x='urn:x'><private x:a='1'/></memoryBacking>",
         "XML error: element <private> must not have attributes", true},
        {"<memoryBacking><private>yes</private></memoryBacking>", CONTENT("private"), true},
        {"<memoryBacking><private><![CDATA[yes]]></private></memoryBacking>", CONTENT("private"),
         true},
        {"<memoryBacking><private>\n<a/></private></memoryBacking>", CONTENT("private"), true},
        {"<memoryBacking><private/><private/></memoryBacking>", REPEATED("private"), false},
        {"<memoryBacking><private/></memoryBacking><memoryBacking><private/></memoryBacking>",
         REPEATED("private"), false},
        {"<memoryBacking><private/><source/></memoryBacking><memoryBacking><source type='file'/>"
         "</memoryBacking>",
         REPEATED("source"), false},
        {"<memoryBacking><allocation/></memoryBacking><memoryBacking><allocation/></"
         "memoryBacking>" TEST_SW,
         REPEATED("allocation"), false},
        {"<memoryBacking><private/><source/><source type='file'/></memoryBacking>",
         REPEATED("source"), false},
        {"<memoryBacking><private/><access/><access mode='private'/></memoryBacking>",
         REPEATED("access"), false},
        {"<features><smm state='off'/></features><features><smm/></features>" TEST_SW,
         REPEATED("smm"), false},
        {"<features><smm state='off'/><smm/></features>" TEST_SW, REPEATED("smm"), false},
        {"<features><ioapic driver='qemu'/><ioapic/></features>" TEST_SW, REPEATED("ioapic"),
         false},
        {"<features><smm xmlns:x='urn:x' x:state='on' state='off'/></features>" TEST_SW,
         NAMESPACED("x:state", "smm"), false},
        {"<devices xmlns:x='urn:x'><hostdev x:type='pci'/></devices>" TEST_SW,
         NAMESPACED("x:type", "hostdev"), false},
        {"<devices><memory xmlns:x='urn:x' x:model='virtio-mem' model='dimm'/></devices>" TEST_SW,
         NAMESPACED("x:model", "memory"), false},
        {"<q:commandline xmlns:q='" TEST_QEMU "' xmlns:x='urn:x'>"
         "<q:arg x:value='-x-libvirt-gmem' value='-S'/><q:arg value='{}'/></q:commandline>",
         NAMESPACED("x:value", "arg"), false},
        {"<q:commandline xmlns:q='" TEST_QEMU "'><q:arg q:value='-x-libvirt-gmem'/>"
         "<q:arg value='{}'/></q:commandline>",
         NAMESPACED("q:value", "arg"), false},
        {"<memoryBacking><private/></memoryBacking><devices xmlns:x='urn:x'><video><model "
         "type='virtio' x:blob='on'/></video></devices>",
         NAMESPACED("x:blob", "model"), false},
        {"<devices xmlns:x='urn:x'><hostdev><driver x:iommufd='yes'/></hostdev></devices>" TEST_SW,
         NAMESPACED("x:iommufd", "driver"), false},
        {"<devices><memory model='dimm' xml:id='0'/></devices>" TEST_SW,
         NAMESPACED("xml:id", "memory"), false},
        {TEST_SW TEST_SW, REPEATED("launchSecurity"), false},
        {"<launchSecurity type='sev'/>" TEST_SW, REPEATED("launchSecurity"), false},
        {TEST_SW "<launchSecurity type='bogus'/>", REPEATED("launchSecurity"), false},
        {"<launchSecurity type='sw-protected' kernelHashes='yes'/>",
         "XML error: element <launchSecurity> must not have attributes other than 'type'", true},
        {"<launchSecurity type='sw-protected'><policy>1</policy></launchSecurity>",
         CONTENT("launchSecurity"), true},
        {"<launchSecurity type='sw-protected'>text</launchSecurity>", CONTENT("launchSecurity"),
         true},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = testSimple(cases[i].rest);

        g_test_message("%s", cases[i].rest);
        testRefused(text, false, VIR_ERR_XML_ERROR, cases[i].message);
        if (cases[i].schema)
            testInvalid(text);
        else
            testRefused(text, true, VIR_ERR_XML_ERROR, cases[i].message);
    }
}

static void
testWellFormedElements(void)
{
    static const char *const rests[] = {
        "<memoryBacking><private></private></memoryBacking>",
        "<memoryBacking><private >\n\t</private\n></memoryBacking>",
        "<memoryBacking><private><!-- why --></private></memoryBacking>",
        "<memoryBacking><private><?why not?></private></memoryBacking>",
        "<memoryBacking><private xmlns:x='urn:x'/></memoryBacking>",
        "<memoryBacking>text<private/></memoryBacking>",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(rests); i++) {
        g_autofree char *text = testSimple(rests[i]);
        testLowers(text, GMEM_MODE_FULLY_SHARED);
    }
    {
        g_autofree char *text = testSimple(
            "<launchSecurity\ttype = \"sw&#45;protected\" ><!-- x -->\n</launchSecurity>");
        testLowers(text, GMEM_MODE_CONVERTIBLE);
    }
}

#define BALLOON(current, memory)                                                                   \
    "cannot be used with <currentMemory> (" current " KiB) below the domain's memory (" memory     \
    " KiB): memory ballooning is not supported for private memory; remove <currentMemory>"
#define MACHINES "; use <type machine='q35'> or <type machine='pc'>"
#define MAPPED_SHARED ": guest_memfd can only be mapped shared; remove it or use "
#define NO_SMM                                                                                     \
    "cannot be used with SMM, which <smm> switches on: a software-protected VM has no SMM; use "   \
    "<smm state='off'/>"
#define PINNED ": its DMA requires pinned shared pages; use an emulated or virtio device"
#define SMALL_PAGES ": guest_memfd has pages of 4 KiB only; remove "

/* The rules that only depend on XML. A message continues after the element that it is about. */
static const struct {
    const char *type; /* NULL: kvm */
    const char *os;   /* NULL: <type>hvm</type> */
    const char *devices;
    const char *rest;
    const char *shared;      /* the message for <private/>; NULL: accepted */
    const char *convertible; /* for sw-protected, with <private/> and without */
    bool same;               /* for sw-protected the same as for <private/> */
    bool alone;              /* has another launch security already */
} testRules[] = {
    {.type = "qemu",
     .shared = "requires <domain type='kvm'>, not type 'qemu': guest_memfd belongs to KVM",
     .same = true},
    {.type = "hvf",
     .shared = "requires <domain type='kvm'>, not type 'hvf': guest_memfd belongs to KVM",
     .same = true},
    {.os = "<type arch='aarch64' machine='virt'>hvm</type>",
     .shared = "requires <type arch='x86_64'>, not architecture 'aarch64'",
     .same = true},
    {.os = "<type arch='i686'>hvm</type>",
     .shared = "requires <type arch='x86_64'>, not architecture 'i686'",
     .same = true},
    {.os = "<type machine='isapc'>hvm</type>",
     .shared = "is not available for machine type 'isapc'" MACHINES,
     .same = true},
    {.os = "<type machine='microvm'>hvm</type>",
     .shared = "is not available for machine type 'microvm'" MACHINES,
     .same = true},
    {.os = "<type machine='none'>hvm</type>",
     .shared = "is not available for machine type 'none'" MACHINES,
     .same = true},
    {.os = "<type machine='pc-i440fx-7.2'>hvm</type>"},
    {.rest = "<features><smm state='on'/></features>", .convertible = NO_SMM},
    {.rest = "<features><smm/></features>", .convertible = NO_SMM},
    {.rest = "<features><smm state='off'/></features>"},
    {.os = "<type>hvm</type><loader secure='yes'>/f</loader>",
     .convertible = "cannot be used with <loader secure='yes'>, which requires SMM; use firmware "
                    "without secure boot and <loader secure='no'>"},
    {.os = "<type>hvm</type><loader secure='no'>/f</loader>"},
    {.os = "<type>hvm</type><firmware><feature enabled='yes' name='secure-boot'/></firmware>",
     .convertible = "cannot be used with <feature enabled='yes' name='secure-boot'/>, which "
                    "requires SMM; use enabled='no'"},
    {.os = "<type>hvm</type><firmware><feature enabled='no' name='enrolled-keys'/><feature "
           "enabled='no' name='secure-boot'/></firmware>"},
    {.os = "<type>hvm</type><firmware><feature enabled='yes' name='enrolled-keys'/></firmware>",
     .convertible = "cannot be used with <feature enabled='yes' name='enrolled-keys'/>, which "
                    "requires SMM; use enabled='no'"},
    {.rest = "<features><ioapic driver='kvm'/></features>",
     .convertible = "cannot be used with <ioapic driver='kvm'/>: it requires a split interrupt "
                    "controller; use <ioapic driver='qemu'/>"},
    {.rest = "<features><ioapic driver='qemu'/></features>"},
    {.rest = "<memoryBacking><source type='file'/></memoryBacking>",
     .shared = "cannot be used with <source type='file'/>: guest_memfd is the source of guest RAM; "
               "remove it or use <source type='memfd'/>"},
    {.rest = "<memoryBacking><source type='anonymous'/></memoryBacking>",
     .shared = "cannot be used with <source type='anonymous'/>: guest_memfd is the source of guest "
               "RAM; remove it or use <source type='memfd'/>"},
    {.rest = "<memoryBacking><source type='memfd'/></memoryBacking>"},
    {.rest = "<memoryBacking><access mode='private'/></memoryBacking>",
     .shared =
         "cannot be used with <access mode='private'/>" MAPPED_SHARED "<access mode='shared'/>"},
    {.rest = "<memoryBacking><access mode='shared'/></memoryBacking>"},
    {.rest = "<cpu><numa><cell id='0' memory='1024'/><cell id='1' memory='1' unit='MiB' "
             "memAccess='private'/></numa></cpu>",
     .shared = "cannot be used with <cell memAccess='private'>" MAPPED_SHARED "memAccess='shared'"},
    {.devices = "<memory model='dimm' access='private'/>",
     .shared = "cannot be used with <memory model='dimm' access='private'>" MAPPED_SHARED
               "access='shared'"},
    {.devices = "<memory model='nvdimm' access='private'/>"},
    {.rest = "<memoryBacking><hugepages/></memoryBacking>",
     .shared = "cannot be used with <hugepages>" SMALL_PAGES "<hugepages>"},
    {.rest = "<memoryBacking><hugepages><page size='1' unit='G' "
             "nodeset='0'/></hugepages></memoryBacking>",
     .shared = "cannot be used with <hugepages>" SMALL_PAGES "<hugepages>"},
    {.devices = "<memory model='dimm'><source><pagesize unit='MiB'>2</pagesize></source></memory>",
     .shared = "cannot be used with <pagesize> of 2048 KiB for a <memory model='dimm'>" SMALL_PAGES
               "<pagesize>"},
    {.devices = "<memory model='dimm'><source><pagesize>4</pagesize></source></memory>"},
    {.rest = "<memoryBacking><locked/></memoryBacking>",
     .convertible = "cannot be used with <locked/>: it would populate the shared half of guest "
                    "RAM, and private memory is never swapped; remove <locked/>"},
    {.devices = "<memory model='virtio-mem'/>",
     .shared = "cannot be used with <memory model='virtio-mem'>; use <memory model='dimm'>",
     .same = true},
    {.devices = "<hostdev mode='subsystem' type='pci'/>",
     .convertible = "cannot be used with <hostdev type='pci'>" PINNED},
    {.devices = "<hostdev type='usb'/><hostdev type='mdev' model='vfio-pci'/>",
     .convertible = "cannot be used with <hostdev type='mdev'>" PINNED},
    {.devices = "<interface type='hostdev'/>",
     .convertible = "cannot be used with <interface type='hostdev'>" PINNED},
    {.devices = "<hostdev type='usb'/>"},
    {.rest = "<currentMemory unit='MiB'>1023</currentMemory>",
     .convertible = BALLOON("1047552", "1048576")},
    {.rest = "<currentMemory unit='GiB'>1</currentMemory>"},
    {.rest = "<currentMemory>0</currentMemory>"},
    {.rest = "<currentMemory unit='MB'>1074</currentMemory>"},
    {.rest = "<currentMemory unit='Mb'>1073</currentMemory>",
     .convertible = BALLOON("1047852", "1048576")},
    {.rest = "<currentMemory unit='furlong'>1</currentMemory>"},
    {.rest = "<currentMemory unit='mile'>1</currentMemory>"},
    {.rest = "<currentMemory unit='EiB'>99</currentMemory>"},
    {.rest = "<currentMemory>-1</currentMemory>"},
    {.rest = "<currentMemory>1</currentMemory><cpu><numa><cell memory='x'/></numa></cpu>"},
    {.devices = "<memory model='dimm'><target><size>1024</size></target></memory>",
     .rest = "<currentMemory>2048</currentMemory><cpu><numa><cell memory='2048'/></numa></cpu>",
     .convertible = BALLOON("2048", "3072")},
    {.rest = "<memtune><hard_limit unit='bytes'>1073741823</hard_limit></memtune>"},
    {.rest = "<memtune><hard_limit unit='M'>1000</hard_limit></memtune>",
     .convertible =
         "cannot be used with <hard_limit> (1024000 KiB) below guest RAM (1048576 KiB): its shared "
         "and private halves together can take 2097152 KiB; raise or remove <hard_limit>"},
    {.rest = "<launchSecurity type='sev'/>",
     .shared = "cannot be used with <launchSecurity type='sev'>, whose guest RAM is not "
               "guest_memfd; remove one of the two",
     .alone = true},
    {.rest = "<launchSecurity type='s390-pv'/>",
     .shared = "cannot be used with <launchSecurity type='s390-pv'>, whose guest RAM is not "
               "guest_memfd; remove one of the two",
     .alone = true},
    {.rest = "<launchSecurity type='cca'/>",
     .shared = "cannot be used with <launchSecurity type='cca'>, which libvirt-gmem does not know; "
               "remove one of the two",
     .alone = true},
};

/* Adds <private/> to the domain's <memoryBacking>, creating that if necessary. */
static char *
testAddPrivate(const char *rest)
{
    g_auto(GStrv) parts = g_strsplit(rest, "</memoryBacking>", 2);

    if (parts[0] == NULL || parts[1] == NULL)
        return g_strconcat(rest, TEST_PRIVATE, NULL);
    return g_strjoinv("<private/></memoryBacking>", parts);
}

/* Checks rule @i with the elements of @mode, which @rest contains. */
static void
testRule(size_t i, const char *rest, gmemMode mode)
{
    bool shared = mode == GMEM_MODE_FULLY_SHARED;
    const char *message =
        shared || testRules[i].same ? testRules[i].shared : testRules[i].convertible;
    const char *type = testRules[i].type != NULL ? testRules[i].type : "kvm";
    const char *os = testRules[i].os != NULL ? testRules[i].os : "<type>hvm</type>";
    const char *devices = testRules[i].devices != NULL ? testRules[i].devices : "";
    g_autofree char *text = testDomain(type, os, devices, rest);
    g_autofree char *whole = NULL;

    g_test_message("%s", text);
    if (message == NULL) {
        testLowers(text, mode);
        return;
    }
    whole = g_strdup_printf("unsupported configuration: %s %s", shared ? "<private/>" : TEST_SW,
                            message);
    testRefused(text, false, VIR_ERR_CONFIG_UNSUPPORTED, whole);
    testRefused(text, true, VIR_ERR_CONFIG_UNSUPPORTED, whole);
}

static void
testValidate(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(testRules); i++) {
        const char *rest = testRules[i].rest != NULL ? testRules[i].rest : "";
        g_autofree char *shared = testAddPrivate(rest);
        g_autofree char *secure = g_strconcat(rest, TEST_SW, NULL);
        g_autofree char *both = g_strconcat(shared, TEST_SW, NULL);

        testRule(i, shared, GMEM_MODE_FULLY_SHARED);
        if (testRules[i].alone)
            continue;
        testRule(i, secure, GMEM_MODE_CONVERTIBLE);
        testRule(i, both, GMEM_MODE_CONVERTIBLE);
    }
}

/* What a start has to know of the domain. */
static void
testPlan(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    g_autofree char *lowered = gmemLower(
        "<domain type='kvm'><name> vm</name><memory>1024</memory><os><type>hvm</type>"
        "<loader>/f</loader></os><devices><emulator>/e</emulator><interface type='vhostuser'/>"
        "</devices><launchSecurity type='sw-protected'/></domain>",
        false, &plan, &error);

    g_assert_no_error(error);
    g_assert_cmpint(plan->mode, ==, GMEM_MODE_CONVERTIBLE);
    g_assert_cmpstr(plan->name, ==, " vm");
    g_assert_cmpstr(plan->emulator, ==, "/e");
    g_assert_cmpstr(plan->firmware, ==, "/f");
    g_assert_cmpstr(plan->sharedOnly, ==, "<interface type='vhostuser'>");
    g_assert_cmpuint(plan->memory, ==, 1024);
    g_assert_cmpuint(plan->ram, ==, 1024);
    g_assert_false(plan->cellNodesetsDiffer);
}

#define DIMM(model, size, page)                                                                    \
    "<devices><memory model='" model "'><source><pagesize>" page                                   \
    "</pagesize></source><target>" size "</target></memory></devices>"

/* Which part of guest RAM is in huge pages: for cells, and for a domain without cells. */
static void
testHugeRam(void)
{
    static const struct {
        const char *rest;
        unsigned long long ram;
        unsigned long long huge;
    } cases[] = {
        {"<memoryBacking><hugepages/></memoryBacking>", 1048576, 1048576},
        {"<memoryBacking><hugepages><page size='2048' nodeset='0'/></hugepages></memoryBacking>"
         "<cpu><numa><cell id='0' memory='4096'/><cell id='1' memory='2048'/></numa></cpu>",
         6144, 4096},
        {"<memoryBacking><hugepages><page size='2048' nodeset='1'/></hugepages></memoryBacking>"
         "<cpu><numa><cell id='0' memory='4096'/><cell id='1' memory='2048'/></numa></cpu>",
         6144, 2048},
        {DIMM("dimm", "<size unit='KiB'>4096</size>", ""), 1048576, 0},
        {DIMM("dimm", "<size unit='b'>4194304</size>", "2048"), 1048576, 4096},
        {DIMM("dimm", "<size unit='bytes'>4194304</size>", "4"), 1048576, 0},
        {DIMM("nvdimm", "<size unit=''>4096</size>", "2048"), 1044480, 0},
        {DIMM("nvdimm", "<size>4096</size>", "") "<memoryBacking><hugepages/></memoryBacking>",
         1044480, 1044480},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *rest =
            g_strconcat(cases[i].rest, "<launchSecurity type='sw-protected'/>", NULL);
        g_autofree char *text = testSimple(rest);
        g_autoptr(GError) error = NULL;
        g_autoptr(gmemPlan) plan = NULL;
        g_autofree char *lowered = gmemLower(text, false, &plan, &error);

        g_assert_no_error(error);
        g_assert_cmpuint(plan->ram, ==, cases[i].ram);
        g_assert_cmpuint(plan->hugeRam, ==, cases[i].huge);
    }
}

static void
testNodesets(void)
{
    static const struct {
        const char *rest;
        bool differ;
    } cases[] = {
        {"", false},
        {"<numatune><memory nodeset='0'/></numatune>", false},
        {"<numatune><memory nodeset='0-1'/><memnode cellid='0' nodeset='0,1'/></numatune>", false},
        {"<numatune><memory nodeset='0-3,^2'/><memnode cellid='0' nodeset='3,0-1'/></numatune>",
         false},
        {"<numatune><memory nodeset='0-1'/><memnode cellid='0' nodeset='1'/></numatune>", true},
        {"<numatune><memnode cellid='0' nodeset='1'/></numatune>", true},
        {"<numatune><memory nodeset='x'/><memnode cellid='0' nodeset='x'/></numatune>", false},
        {"<numatune><memory nodeset='0'/><memnode cellid='0' nodeset='99999999999'/></numatune>",
         true},
        {"<numatune><memory nodeset='16383'/><memnode nodeset='16383,'/></numatune>", false},
        {"<numatune><memory nodeset='16384'/><memnode nodeset='16384,'/></numatune>", true},
        {"<numatune><memory nodeset='0-8'/><memnode nodeset='0-15'/></numatune>", true},
        {"<numatune><memory nodeset='1-16'/><memnode nodeset='1-15'/></numatune>", true},
        {"<numatune><memory nodeset='0-7'/><memnode nodeset='0-3,4-7'/></numatune>", false},
        {"<numatune><memory nodeset='0, 1 ,3'/><memnode nodeset='3 , 0-1'/></numatune>", false},
        {"<numatune><memory nodeset='0'/><memnode nodeset='0-'/></numatune>", true},
        {"<numatune><memory nodeset='0'/><memnode nodeset='0;'/></numatune>", true},
        {"<numatune><memory nodeset='1-0'/><memnode nodeset='0-1'/></numatune>", true},
        {"<numatune><memory nodeset='0'/><memnode nodeset='^0-1'/></numatune>", true},
        {"<numatune><memory nodeset='0'/><memnode/></numatune>", true},
        {"<numatune><memory placement='auto'/></numatune>", false},
        {"<numatune><memory nodeset='1'/></numatune><devices><memory model='dimm'><source>"
         "<nodemask>0</nodemask></source></memory></devices>",
         true},
        {"<numatune><memory nodeset='1'/></numatune><devices><memory model='dimm'><source>"
         "<nodemask> 1 </nodemask></source></memory></devices>",
         false},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *rest = g_strconcat(cases[i].rest, TEST_PRIVATE, NULL);
        g_autofree char *text = testSimple(rest);
        g_autoptr(gmemPlan) plan = NULL;
        g_autoptr(gmemPlan) raisedPlan = NULL;
        g_autofree char *lowered = gmemLower(text, false, &plan, NULL);
        g_autofree char *raised = NULL;

        g_test_message("%s", cases[i].rest);
        g_assert_nonnull(lowered);
        g_assert_cmpint(plan->cellNodesetsDiffer, ==, cases[i].differ);
        raised = gmemRaise(lowered, &raisedPlan, NULL);
        g_assert_cmpint(raisedPlan->cellNodesetsDiffer, ==, cases[i].differ);
    }
}

/* If a document type declaration could add or remove one of the elements, or the option, the
 * document is refused. */
static void
testDeclared(void)
{
    static const char domain[] = "<domain type='kvm'><name>a</name>&e;</domain>";
    static const char plain[] = "<domain type='kvm'><name>a</name>" TEST_PRIVATE "</domain>";
    static const char argument[] =
        "<domain type='kvm'><name>a</name><qemu:commandline xmlns:qemu='" TEST_QEMU
        "'><qemu:arg value='&a;&b;'/></qemu:commandline></domain>";
    static const struct {
        const char *declaration;
        const char *domain;
    } cases[] = {
        {"[<!ENTITY e '<memoryBacking><private/></memoryBacking>'>]", domain},
        {"[<!ENTITY e '&#60;memoryBacking>&#60;&#112;rivate/>&#60;/memoryBacking>'>]", domain},
        {"[<!ENTITY f '<private/>'><!ENTITY e '<memoryBacking>&f;</memoryBacking>'>]", domain},
        {"[<!ENTITY e '<launchSecurity type=\"sw-protected\"/>'>]", domain},
        {"[<!ENTITY % p '<!ENTITY e \"&#38;#60;private/>\">'> %p;]", domain},
        {"[<!ENTITY e SYSTEM 'file:///nowhere'>]", domain},
        {"[<!ENTITY e PUBLIC 'x' 'file:///nowhere'>]", domain},
        {"SYSTEM 'nowhere.dtd'", domain},
        {"[<!ENTITY a '-x-lib'><!ENTITY b 'virt-gmem'>]", argument},
        {"", plain},
        {"[<!ENTITY e 'x'>]", plain},
        {"[<!ATTLIST memoryBacking xmlns CDATA 'urn:x'>]", plain},
        {"[<!ATTLIST launchSecurity type CDATA 'sw-protected'>]",
         "<domain type='kvm'><name>a</name><launchSecurity/></domain>"},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text =
            g_strdup_printf("<!DOCTYPE domain %s>%s", cases[i].declaration, cases[i].domain);

        g_test_message("%s", text);
        testRefused(text, false, VIR_ERR_XML_ERROR,
                    "XML error: a document type declaration is not supported here: remove it, and "
                    "write out the entities that it declares");
    }
}

/* Whether a declared encoding counts depends on libxml2's version. If it does not matter for tags,
 * the text keeps its bytes; otherwise, whatever can be seen of the elements either way is
 * refused. */
static void
testEncodings(void)
{
    static const char *const fine[] = {
        "<?xml version='1.0' encoding='ISO-8859-1'?><domain type='kvm'><name>\xc3\xa9</name>"
        "<memoryBacking><private/></memoryBacking></domain>",
        "\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?>\n<domain type='kvm'><name>\xc3\xa9"
        "</name><memoryBacking>\n<private/></memoryBacking></domain>",
        "<?xml version=\"1.0\" encoding=\"utf-16\"?><domain type='kvm'><name>e</name>"
        "<memoryBacking><private/></memoryBacking></domain>",
        "\xef\xbb\xbf<?xml version='1.0' encoding='UTF-7'?><domain type='kvm'><name>e</name>"
        "<memoryBacking><private/></memoryBacking></domain>",
    };
    static const char *const refused[] = {
        "<?xml version='1.0' encoding='UTF-7'?><domain type='kvm'><name>e</name>"
        "<memoryBacking>+ADw-private/+AD4-</memoryBacking></domain>",
        "<?xml version='1.0' encoding='UTF-7'?><domain type='kvm'><name>e</name>"
        "<memoryBacking><private/></memoryBacking></domain>",
        "<?xml version='1.0' encoding='Shift_JIS'?><domain type='kvm'><name>e</name>"
        "<memoryBacking><private/></memoryBacking></domain>",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(fine); i++) {
        xmlDoc *doc = testUtilParse(fine[i]);

        if (doc != NULL) {
            testLowers(fine[i], GMEM_MODE_FULLY_SHARED);
        } else {
            g_autofree char *lowered = gmemLower(fine[i], false, NULL, NULL);

            /* Newer versions of libxml2 refuse a text that claims to be UTF-16 but is not, and so
             * does libvirt, with the pair in it and without. */
            g_assert_nonnull(strstr(fine[i], "utf-16"));
            g_assert_nonnull(lowered);
            g_assert_null(testUtilParse(lowered));
        }
        xmlFreeDoc(doc);
    }
    for (i = 0; i < G_N_ELEMENTS(refused); i++)
        testRefused(refused[i], false, VIR_ERR_XML_ERROR,
                    "XML error: the encoding of the XML is not supported here: use UTF-8");
    testMalformed("<?xml version='1.0' encoding='no-such'?><domain/>");
    testUntouched("<?xml version='1.0' encoding='UTF-7'?><domain/>");
    testUntouched("<?xml version='1.0' encoding='EUC-JP'?><domain><name>private</name></domain>");
}

/* A domain with @os in <os firmware='efi'>, or another @firmware. */
static char *
testFirmwareText(const char *firmware, const char *os)
{
    return g_strdup_printf("<domain type='kvm'>\n  <name>a</name>\n  <memory>65536</memory>\n  "
                           "<os%s>\n    <type arch='x86_64' machine='q35'>hvm</type>%s\n  </os>\n  "
                           "<launchSecurity type='sw-protected'/>\n</domain>\n",
                           firmware, os);
}

/* libvirt 9.0 is prevented from choosing firmware that requires SMM, unless the user has specified
 * it. */
static void
testFirmware(void)
{
    static const char feature[] = "<feature enabled='no' name='secure-boot'/>";
    static const struct {
        const char *firmware;
        const char *os;
        bool changed;
    } cases[] = {
        {" firmware='efi'", "", true},
        {" firmware='efi'", "<firmware/>", true},
        {" firmware='efi'", "<firmware><feature enabled='no' name='enrolled-keys'/></firmware>",
         true},
        {" firmware='efi'", "<loader secure='no'/>", true},
        {" firmware='efi'", "<firmware><feature name='secure-boot' enabled='no'/></firmware>",
         false},
        {" firmware='bios'", "", false},
        {"", "<loader type='pflash' readonly='yes'>/a</loader>", false},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = testFirmwareText(cases[i].firmware, cases[i].os);
        g_autofree char *lowered = testLower(text, GMEM_MODE_CONVERTIBLE);
        g_autofree char *raised = testRound(text, GMEM_MODE_CONVERTIBLE);

        g_assert_true((strstr(lowered, feature) != NULL) == cases[i].changed);
        g_assert_null(strstr(raised, feature));
        g_assert_cmpint(strstr(raised, "enrolled-keys") != NULL, ==,
                        strstr(text, "enrolled-keys") != NULL);
        /* What the user wrote about it remains. */
        g_assert_cmpint(strstr(raised, "secure-boot") != NULL, ==,
                        strstr(text, "secure-boot") != NULL);
    }
}

/* RAM that the host maps does not require it. */
static void
testFirmwareFullyShared(void)
{
    g_autofree char *lowered = testLower(
        "<domain type='kvm'><name>a</name><memory>65536</memory><os firmware='efi'><type>hvm"
        "</type></os><memoryBacking><private/></memoryBacking></domain>",
        GMEM_MODE_FULLY_SHARED);

    g_assert_null(strstr(lowered, "secure-boot"));
}

/* libvirt compares the root's name, not its namespace, so this is a domain for it. */
static void
testPrefixedRoot(void)
{
    g_autofree char *lowered =
        testLower("<x:domain xmlns:x='urn:x' type='kvm'><name>a</name>" TEST_PRIVATE "</x:domain>",
                  GMEM_MODE_FULLY_SHARED);

    testUtilAssert(lowered, "name", "a");
}

static void
testRaiseDamaged(void)
{
    static const char *const values[] = {
        "",
        "{}",
        "{&quot;version&quot;:7}",
        ("{&quot;version&quot;:1,&quot;mode&quot;:&quot;fully-shared&quot;,&quot;added&quot;:["
         "{&quot;path&quot;:&quot;x&quot;,&quot;value&quot;:&quot;y&quot;}]}"),
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(values); i++) {
        g_autofree char *text =
            g_strdup_printf("<domain xmlns:qemu='" TEST_QEMU "'><qemu:commandline>"
                            "<qemu:arg value='-x-libvirt-gmem'/><qemu:arg value='%s'/>"
                            "</qemu:commandline></domain>",
                            values[i]);
        g_autoptr(GError) error = NULL;
        g_autoptr(gmemPlan) plan = NULL;

        g_assert_null(gmemRaise(text, &plan, &error));
        g_assert_null(plan);
        g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_ERROR);
        g_clear_error(&error);
        g_assert_cmpint(gmemRaisePlan(text, gmemLowerFindRoot, false, &plan, &error), ==, -1);
        g_assert_null(plan);
        g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_ERROR);
    }
}

/* libxml2, which has the schema, reports its own error for an xml:id. */
static void
testSilent(void)
{
    if (!testUtilInSilence())
        return;
    g_free(gmemLower("<domain type='kvm'><name>a</name><launchSecurity type='sw-protected' "
                     "xml:id='1&#10;forged'/></domain>",
                     true, NULL, NULL));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/conf/lower/fully-shared", testFullyShared);
    g_test_add_func("/conf/lower/spaced-name", testSpacedName);
    g_test_add_func("/conf/lower/fully-shared-partly", testFullySharedPartly);
    g_test_add_func("/conf/lower/nvdimm", testNVDIMM);
    g_test_add_func("/conf/lower/nvdimm/many", testManyNVDIMMs);
    g_test_add_func("/conf/lower/nvdimm/too-many", testTooManyNVDIMMs);
    g_test_add_func("/conf/lower/dimm/huge", testHugeDIMM);
    g_test_add_func("/conf/lower/convertible", testConvertible);
    g_test_add_func("/conf/lower/convertible-partly", testConvertiblePartly);
    g_test_add_func("/conf/lower/changed-since", testChangedSince);
    g_test_add_func("/conf/lower/hardware", testHardware);
    g_test_add_func("/conf/lower/neither", testNeither);
    g_test_add_func("/conf/lower/concerns", testConcerns);
    g_test_add_func("/conf/lower/commandline", testCommandline);
    g_test_add_func("/conf/lower/formatting", testFormatting);
    g_test_add_func("/conf/lower/formatting-backing", testFormattingBacking);
    g_test_add_func("/conf/lower/repeated", testRepeated);
    g_test_add_func("/conf/lower/repeated-forbidden", testRepeatedForbidden);
    g_test_add_func("/conf/lower/namespace-used", testNamespaceUsed);
    g_test_add_func("/conf/lower/ready-made", testReadyMade);
    g_test_add_func("/conf/lower/ready-gone", testReadyGone);
    g_test_add_func("/lower/raise-other-device", testRaiseOtherDevice);
    g_test_add_func("/conf/lower/misplaced", testMisplaced);
    g_test_add_func("/conf/lower/malformed-elements", testMalformedElements);
    g_test_add_func("/conf/lower/well-formed-elements", testWellFormedElements);
    g_test_add_func("/conf/lower/validate", testValidate);
    g_test_add_func("/lower/huge-ram", testHugeRam);
    g_test_add_func("/lower/plan", testPlan);
    g_test_add_func("/conf/lower/nodesets", testNodesets);
    g_test_add_func("/conf/lower/declared", testDeclared);
    g_test_add_func("/conf/lower/encodings", testEncodings);
    g_test_add_func("/conf/lower/firmware", testFirmware);
    g_test_add_func("/conf/lower/firmware-fully-shared", testFirmwareFullyShared);
    g_test_add_func("/conf/lower/prefixed-root", testPrefixedRoot);
    g_test_add_func("/conf/lower/raise-damaged", testRaiseDamaged);
    g_test_add_func("/conf/lower/silent", testSilent);
    return g_test_run();
}
