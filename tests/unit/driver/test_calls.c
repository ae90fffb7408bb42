/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_calls.c: for which state of a domain, and which flags, the calls are refused: those that
 * change its memory, and those for which the host reads it. tests/e2e shows the same by the real
 * libvirt, but not every combination. */

#include "gmemdriver.h"

#include "gmemcarrier.h"
#include "gmemconnection.h"
#include "gmemexpect.h"
#include "gmemfiles.h"
#include "gmemprocess.h"
#include "test_libvirt.h"

#define PRIVATE "<memoryBacking><private/></memoryBacking>"
#define SW "<launchSecurity type='sw-protected'/>"
/* libvirt declares the namespace of its arguments in the first tag. */
#define DOMAIN "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
#define DOCUMENT(rest)                                                                             \
    DOMAIN "<name>" TEST_NAME "</name><uuid>" TEST_UUID "</uuid>"                                  \
           "<memory unit='KiB'>65536</memory><currentMemory unit='KiB'>65536</currentMemory>"      \
           "<os><type arch='x86_64' machine='pc'>hvm</type></os><devices/>" rest "</domain>"

#define LIVE VIR_DOMAIN_AFFECT_LIVE
#define CONFIG VIR_DOMAIN_AFFECT_CONFIG

/* The three kinds of domains: as users write them, and as libvirt stores them. */
enum {
    ORDINARY = 0,
    SHARED,
    CONVERTIBLE,
    KINDS
};
static const char *const written[KINDS] = {DOCUMENT(""), DOCUMENT(PRIVATE), DOCUMENT(SW)};
static char *stored[KINDS];

static const gmemMode modes[KINDS] = {GMEM_MODE_NONE, GMEM_MODE_FULLY_SHARED,
                                      GMEM_MODE_CONVERTIBLE};

static int
fakeSetMemory(virDomainPtr domain G_GNUC_UNUSED, unsigned long memory)
{
    testCalled.memory = memory;
    return testCall("SetMemory", NULL, 0);
}

static int
fakeSetMemoryFlags(virDomainPtr domain G_GNUC_UNUSED, unsigned long memory, unsigned int flags)
{
    testCalled.memory = memory;
    return testCall("SetMemoryFlags", NULL, flags);
}

static int
fakeSetMaxMemory(virDomainPtr domain G_GNUC_UNUSED, unsigned long memory)
{
    testCalled.memory = memory;
    return testCall("SetMaxMemory", NULL, 0);
}

static int
fakeSetMemoryParameters(virDomainPtr domain G_GNUC_UNUSED,
                        virTypedParameterPtr params,
                        int n G_GNUC_UNUSED,
                        unsigned int flags)
{
    return testCall("SetMemoryParameters", params, flags);
}

static int
fakeSetLifecycleAction(virDomainPtr domain G_GNUC_UNUSED,
                       unsigned int type G_GNUC_UNUSED,
                       unsigned int action G_GNUC_UNUSED,
                       unsigned int flags)
{
    return testCall("SetLifecycleAction", NULL, flags);
}

static int
fakeAttachDevice(virDomainPtr domain G_GNUC_UNUSED, const char *xml)
{
    return testCallText("AttachDevice", xml, 0);
}

static int
fakeAttachDeviceFlags(virDomainPtr domain G_GNUC_UNUSED, const char *xml, unsigned int flags)
{
    return testCallText("AttachDeviceFlags", xml, flags);
}

static int
fakeUpdateDeviceFlags(virDomainPtr domain G_GNUC_UNUSED, const char *xml, unsigned int flags)
{
    return testCallText("UpdateDeviceFlags", xml, flags);
}

static int
fakeBlockCopy(virDomainPtr domain G_GNUC_UNUSED,
              const char *disk G_GNUC_UNUSED,
              const char *xml,
              virTypedParameterPtr params G_GNUC_UNUSED,
              int n G_GNUC_UNUSED,
              unsigned int flags)
{
    return testCall("BlockCopy", xml, flags);
}

static int
fakeDetachDeviceFlags(virDomainPtr domain G_GNUC_UNUSED, const char *xml, unsigned int flags)
{
    return testCall("DetachDeviceFlags", xml, flags);
}

static int
fakeDetachDeviceAlias(virDomainPtr domain G_GNUC_UNUSED, const char *alias, unsigned int flags)
{
    return testCall("DetachDeviceAlias", alias, flags);
}

static int
fakeCoreDump(virDomainPtr domain G_GNUC_UNUSED, const char *to, unsigned int flags)
{
    return testCall("CoreDump", to, flags);
}

static int
fakeCoreDumpWithFormat(virDomainPtr domain G_GNUC_UNUSED,
                       const char *to,
                       unsigned int format G_GNUC_UNUSED,
                       unsigned int flags)
{
    return testCall("CoreDumpWithFormat", to, flags);
}

static int
fakeMemoryPeek(virDomainPtr domain G_GNUC_UNUSED,
               unsigned long long start G_GNUC_UNUSED,
               size_t size G_GNUC_UNUSED,
               void *buffer,
               unsigned int flags)
{
    return testCall("MemoryPeek", buffer, flags);
}

static int
fakeStartDirtyRateCalc(virDomainPtr domain G_GNUC_UNUSED,
                       int seconds G_GNUC_UNUSED,
                       unsigned int flags)
{
    return testCall("StartDirtyRateCalc", NULL, flags);
}

static virDomainPtr
fakeDefineXML(virConnectPtr conn G_GNUC_UNUSED, const char *xml)
{
    g_free((char *)testCalled.defined);
    testCalled.defined = g_strdup(xml);
    return testHost.result < 0 ? NULL : TEST_DOMAIN;
}

static virDomainPtr
fakeDefineXMLFlags(virConnectPtr conn G_GNUC_UNUSED, const char *xml, unsigned int flags)
{
    return testCallText("DefineXMLFlags", xml, flags) < 0 ? NULL : TEST_DOMAIN;
}

static virDomainPtr
fakeCreateXML(virConnectPtr conn G_GNUC_UNUSED, const char *xml, unsigned int flags)
{
    return testCallText("CreateXML", xml, flags) < 0 ? NULL : TEST_DOMAIN;
}

static int
fakeRename(virDomainPtr domain G_GNUC_UNUSED, const char *name, unsigned int flags)
{
    return testCall("Rename", name, flags);
}

static virConnectPtr
fakeOpen(const char *name G_GNUC_UNUSED)
{
    return TEST_CONN;
}

static int
fakeSave(virDomainPtr domain G_GNUC_UNUSED, const char *to)
{
    return testCall("Save", to, 0);
}

static int
fakeSaveFlags(virDomainPtr domain G_GNUC_UNUSED,
              const char *to G_GNUC_UNUSED,
              const char *xml,
              unsigned int flags)
{
    return testCall("SaveFlags", xml, flags);
}

static int
fakeManagedSave(virDomainPtr domain G_GNUC_UNUSED, unsigned int flags)
{
    return testCall("ManagedSave", NULL, flags);
}

static int
fakeManagedSaveDefineXML(virDomainPtr domain G_GNUC_UNUSED, const char *xml, unsigned int flags)
{
    return testCall("ManagedSaveDefineXML", xml, flags);
}

static int
fakeSaveImageDefineXML(virConnectPtr conn G_GNUC_UNUSED,
                       const char *file G_GNUC_UNUSED,
                       const char *xml,
                       unsigned int flags)
{
    return testCall("SaveImageDefineXML", xml, flags);
}

static void
noteParams(virTypedParameterPtr params, int n)
{
    int i;

    testCalled.copy[0] = '\0';
    for (i = 0; i < n; i++)
        g_strlcat(testCalled.copy, params[i].value.s, sizeof(testCalled.copy));
}

static int
fakeSaveParams(virDomainPtr domain G_GNUC_UNUSED,
               virTypedParameterPtr params,
               int n,
               unsigned int flags)
{
    noteParams(params, n);
    return testCall("SaveParams", params, flags);
}

static int
fakeRestoreParams(virConnectPtr conn G_GNUC_UNUSED,
                  virTypedParameterPtr params,
                  int n,
                  unsigned int flags)
{
    noteParams(params, n);
    return testCall("RestoreParams", params, flags);
}

static int
fakeMigrateToURI3(virDomainPtr domain G_GNUC_UNUSED,
                  const char *uri G_GNUC_UNUSED,
                  virTypedParameterPtr params,
                  unsigned int n,
                  unsigned int flags)
{
    noteParams(params, (int)n);
    return testCall("MigrateToURI3", params, flags);
}

static int
fakeRestore(virConnectPtr conn G_GNUC_UNUSED, const char *from)
{
    return testCall("Restore", from, 0);
}

static int
fakeRestoreFlags(virConnectPtr conn G_GNUC_UNUSED,
                 const char *from G_GNUC_UNUSED,
                 const char *xml,
                 unsigned int flags)
{
    return testCall("RestoreFlags", xml, flags);
}

static virDomainSnapshotPtr
fakeSnapshotCreateXML(virDomainPtr domain G_GNUC_UNUSED, const char *xml, unsigned int flags)
{
    return testCall("SnapshotCreateXML", xml, flags) < 0 ? NULL : TEST_SNAPSHOT;
}

static int
fakeRevertToSnapshot(virDomainSnapshotPtr snapshot G_GNUC_UNUSED, unsigned int flags)
{
    return testCall("RevertToSnapshot", NULL, flags);
}

static int
fakeMigrateStartPostCopy(virDomainPtr domain G_GNUC_UNUSED, unsigned int flags)
{
    return testCall("MigrateStartPostCopy", NULL, flags);
}

static int
fakeMigrateToURI(virDomainPtr domain G_GNUC_UNUSED,
                 const char *uri G_GNUC_UNUSED,
                 unsigned long flags,
                 const char *name G_GNUC_UNUSED,
                 unsigned long bandwidth G_GNUC_UNUSED)
{
    return testCall("MigrateToURI", NULL, (unsigned int)flags);
}

static int
fakeMigrateToURI2(virDomainPtr domain G_GNUC_UNUSED,
                  const char *uri G_GNUC_UNUSED,
                  const char *destination G_GNUC_UNUSED,
                  const char *xml,
                  unsigned long flags,
                  const char *name G_GNUC_UNUSED,
                  unsigned long bandwidth G_GNUC_UNUSED)
{
    return testCall("MigrateToURI2", xml, (unsigned int)flags);
}

static int
fakeCreate(virDomainPtr domain G_GNUC_UNUSED)
{
    return testCall("Create", NULL, 0);
}

static int
fakeCreateWithFlags(virDomainPtr domain G_GNUC_UNUSED, unsigned int flags)
{
    return testCall("CreateWithFlags", NULL, flags);
}

static int
fakeMigratePrepare2(virConnectPtr conn G_GNUC_UNUSED,
                    char **cookie G_GNUC_UNUSED,
                    int *length G_GNUC_UNUSED,
                    const char *in G_GNUC_UNUSED,
                    char **out G_GNUC_UNUSED,
                    unsigned long flags,
                    const char *name G_GNUC_UNUSED,
                    unsigned long bandwidth G_GNUC_UNUSED,
                    const char *xml)
{
    return testCall("MigratePrepare2", xml, (unsigned int)flags);
}

static const gmemRealTable table = {
    .virConnectOpen = fakeOpen,
    .virConnectOpenReadOnly = fakeOpen,
    .virConnectGetDomainCapabilities = testGetDomainCapabilities,
    .virDomainAttachDevice = fakeAttachDevice,
    .virDomainAttachDeviceFlags = fakeAttachDeviceFlags,
    .virDomainBlockCopy = fakeBlockCopy,
    .virDomainCoreDump = fakeCoreDump,
    .virDomainCoreDumpWithFormat = fakeCoreDumpWithFormat,
    .virDomainCreate = fakeCreate,
    .virDomainCreateWithFlags = fakeCreateWithFlags,
    .virDomainCreateXML = fakeCreateXML,
    .virDomainDefineXML = fakeDefineXML,
    .virDomainDefineXMLFlags = fakeDefineXMLFlags,
    .virDomainMigrateToURI3 = fakeMigrateToURI3,
    .virDomainRestoreParams = fakeRestoreParams,
    .virDomainSaveParams = fakeSaveParams,
    .virDomainRename = fakeRename,
    .virDomainDetachDeviceAlias = fakeDetachDeviceAlias,
    .virDomainDetachDeviceFlags = fakeDetachDeviceFlags,
    .virDomainGetXMLDesc = testGetXMLDesc,
    .virDomainManagedSave = fakeManagedSave,
    .virDomainManagedSaveDefineXML = fakeManagedSaveDefineXML,
    .virDomainManagedSaveGetXMLDesc = testManagedGetXMLDesc,
    .virDomainMemoryPeek = fakeMemoryPeek,
    .virDomainMigratePrepare2 = fakeMigratePrepare2,
    .virDomainMigrateStartPostCopy = fakeMigrateStartPostCopy,
    .virDomainMigrateToURI = fakeMigrateToURI,
    .virDomainMigrateToURI2 = fakeMigrateToURI2,
    .virDomainRestore = fakeRestore,
    .virDomainRestoreFlags = fakeRestoreFlags,
    .virDomainRevertToSnapshot = fakeRevertToSnapshot,
    .virDomainSave = fakeSave,
    .virDomainSaveFlags = fakeSaveFlags,
    .virDomainSaveImageDefineXML = fakeSaveImageDefineXML,
    .virDomainSaveImageGetXMLDesc = testImageGetXMLDesc,
    .virDomainSetLifecycleAction = fakeSetLifecycleAction,
    .virDomainSetMaxMemory = fakeSetMaxMemory,
    .virDomainSetMemory = fakeSetMemory,
    .virDomainSetMemoryFlags = fakeSetMemoryFlags,
    .virDomainSetMemoryParameters = fakeSetMemoryParameters,
    .virDomainSnapshotCreateXML = fakeSnapshotCreateXML,
    .virDomainSnapshotGetXMLDesc = testSnapshotGetXMLDesc,
    .virDomainStartDirtyRateCalc = fakeStartDirtyRateCalc,
    .virDomainUpdateDeviceFlags = fakeUpdateDeviceFlags,
    .virSetError = testSetError,
};

const gmemRealTable *
gmemReal(void)
{
    return &table;
}

static void
start(int running, int defined)
{
    memset(&testHost, 0, sizeof(testHost));
    testHost.uri = "qemu:///embed?root=/proc/none";
    testHost.running = running >= 0 ? stored[running] : NULL;
    testHost.defined = defined >= 0 ? stored[defined] : NULL;
    testHost.active = -2;
    memset(&testCalled, 0, sizeof(testCalled));
    g_assert_true(virConnectOpen(NULL) == TEST_CONN); /* so that its URI is looked at */
    virResetLastError();
}

/* The connection is that of another driver. */
static void
foreign(void)
{
    testHost.uri = "test:///default";
    g_assert_true(virConnectOpen(NULL) == TEST_CONN);
}

/* @rc is that of a call that was passed on once, with no error left over. */
static void
passed(int rc)
{
    g_assert_cmpint(rc, ==, 0);
    g_assert_cmpint(testCalled.number, ==, 1);
    g_assert_cmpint(testError.code, ==, 0);
    testCalled.number = 0;
}

/* @rc is that of a call that was not passed on; @part: of the message. */
static void
refused(int rc, int code, const char *part)
{
    g_assert_cmpint(rc, ==, -1);
    g_assert_cmpint(testCalled.number, ==, 0);
    g_assert_nonnull(strstr(testError.message, part));
    g_assert_cmpint(testError.code, ==, code);
    virResetLastError();
}

/* Calls that change a running domain, or its definition, or both. */
typedef struct {
    int (*call)(unsigned int flags);
    int code;
    const char *part; /* of the refusal for a convertible domain */
} Change;

static int
balloon(unsigned int flags)
{
    return virDomainSetMemoryFlags(TEST_DOMAIN, 65535, flags);
}

static int
limit(unsigned int flags)
{
    virTypedParameter list[2] = {{.type = VIR_TYPED_PARAM_ULLONG, .value.ul = 1},
                                 {.type = VIR_TYPED_PARAM_ULLONG, .value.ul = 65535}};

    g_strlcpy(list[0].field, VIR_DOMAIN_MEMORY_SOFT_LIMIT, sizeof(list[0].field));
    g_strlcpy(list[1].field, VIR_DOMAIN_MEMORY_HARD_LIMIT, sizeof(list[1].field));
    return virDomainSetMemoryParameters(TEST_DOMAIN, list, 2, flags);
}

static int
dumpLater(unsigned int flags)
{
    return virDomainSetLifecycleAction(TEST_DOMAIN, VIR_DOMAIN_LIFECYCLE_CRASH,
                                       VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_DESTROY, flags);
}

static int
dumpAndGoOn(unsigned int flags)
{
    return virDomainSetLifecycleAction(TEST_DOMAIN, VIR_DOMAIN_LIFECYCLE_CRASH,
                                       VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_RESTART, flags);
}

static int
attach(unsigned int flags)
{
    return virDomainAttachDeviceFlags(TEST_DOMAIN, "<hostdev type='pci'/>", flags);
}

static int
update(unsigned int flags)
{
    return virDomainUpdateDeviceFlags(TEST_DOMAIN, "<watchdog action='dump'/>", flags);
}

static const Change changes[] = {
    {balloon, VIR_ERR_OPERATION_UNSUPPORTED, "memory ballooning is not supported"},
    {limit, VIR_ERR_CONFIG_UNSUPPORTED, "<hard_limit> (65535 KiB) below guest RAM"},
    {dumpLater, VIR_ERR_OPERATION_UNSUPPORTED, "cannot be dumped when it"},
    {dumpAndGoOn, VIR_ERR_OPERATION_UNSUPPORTED, "cannot be dumped when it"},
    {attach, VIR_ERR_CONFIG_UNSUPPORTED, "<hostdev type='pci'>"},
    {update, VIR_ERR_CONFIG_UNSUPPORTED, "<watchdog action='dump'/>"},
};

/* A call looks at what it changes: the domain as it runs, as it is defined, or both. */
static void
testChanges(void)
{
    static const unsigned int flags[] = {0, LIVE, CONFIG, LIVE | CONFIG};
    int running, defined;
    size_t i, j;

    for (i = 0; i < G_N_ELEMENTS(changes); i++) {
        for (running = -1; running < KINDS; running++) {
            for (defined = 0; defined < KINDS; defined++) {
                for (j = 0; j < G_N_ELEMENTS(flags); j++) {
                    bool live = flags[j] == 0 ? running >= 0 : (flags[j] & LIVE) != 0;
                    bool config = flags[j] == 0 ? running < 0 : (flags[j] & CONFIG) != 0;
                    int now = running >= 0 ? running : defined;

                    start(running, defined);
                    if ((live && now == CONVERTIBLE) || (config && defined == CONVERTIBLE)) {
                        refused(changes[i].call(flags[j]), changes[i].code, changes[i].part);
                        continue;
                    }
                    passed(changes[i].call(flags[j]));
                    g_assert_cmpuint(testCalled.flags, ==, flags[j]);
                }
            }
        }
    }
}

/* If it cannot be determined whether the domain runs, both are looked at. */
static void
testUnknown(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(changes); i++) {
        start(CONVERTIBLE, ORDINARY);
        testHost.active = -1;
        refused(changes[i].call(0), changes[i].code, changes[i].part);
        start(ORDINARY, CONVERTIBLE);
        testHost.active = -1;
        refused(changes[i].call(0), changes[i].code, changes[i].part);
        /* libvirt does not show the domain */
        start(-1, -1);
        refused(changes[i].call(CONFIG), VIR_ERR_NO_DOMAIN, "libvirt's own error");
        refused(changes[i].call(LIVE), VIR_ERR_NO_DOMAIN, "libvirt's own error");
        /* somebody else's domain, of which nothing is asked */
        start(CONVERTIBLE, CONVERTIBLE);
        foreign();
        passed(changes[i].call(0));
        g_assert_cmpint(testCalled.asked, ==, 0);
    }
}

/* What is not a domain is passed on, for libvirt to refuse. */
static void
testNobody(void)
{
    virTypedParameter list[1] = {{.type = VIR_TYPED_PARAM_ULLONG, .value.ul = 1}};

    start(CONVERTIBLE, CONVERTIBLE);
    g_strlcpy(list[0].field, VIR_DOMAIN_MEMORY_HARD_LIMIT, sizeof(list[0].field));
    passed(virDomainSetMemory(NULL, 1));
    passed(virDomainSetMemoryFlags(NULL, 1, 0));
    passed(virDomainSetMaxMemory(NULL, 1));
    passed(virDomainSetMemoryParameters(NULL, list, 1, 0));
    passed(virDomainSetLifecycleAction(NULL, VIR_DOMAIN_LIFECYCLE_CRASH,
                                       VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_RESTART, 0));
    passed(virDomainAttachDevice(NULL, "<hostdev type='pci'/>"));
    passed(virDomainUpdateDeviceFlags(NULL, "<hostdev type='pci'/>", 0));
    passed(virDomainDetachDeviceAlias(NULL, "dimm0", CONFIG));
    passed(virDomainSaveFlags(NULL, "/f", written[SHARED], 0));
    passed(virDomainMigrateToURI2(NULL, "uri", NULL, written[SHARED], 0, NULL, 0));
    passed(virDomainMigrateToURI3(NULL, "uri", list, 0, 0));
    g_assert_cmpint(testCalled.asked, ==, 0);
}

static void
testBounds(void)
{
    virTypedParameter list[2] = {{.type = VIR_TYPED_PARAM_ULLONG, .value.ul = 65536},
                                 {.type = VIR_TYPED_PARAM_ULLONG, .value.ul = 65535}};

    start(CONVERTIBLE, CONVERTIBLE);
    passed(virDomainSetMemoryFlags(TEST_DOMAIN, 65536, LIVE));
    passed(virDomainSetMemory(TEST_DOMAIN, 65536));
    refused(virDomainSetMemory(TEST_DOMAIN, 65535), VIR_ERR_OPERATION_UNSUPPORTED, "ballooning");
    g_strlcpy(list[0].field, VIR_DOMAIN_MEMORY_HARD_LIMIT, sizeof(list[0].field));
    g_strlcpy(list[1].field, VIR_DOMAIN_MEMORY_HARD_LIMIT "s", sizeof(list[1].field));
    passed(virDomainSetMemoryParameters(TEST_DOMAIN, list, 2, LIVE));
    list[0].value.ul = 0;
    passed(virDomainSetMemoryParameters(TEST_DOMAIN, list, 1, LIVE));
    list[0].value.ul = 1;
    refused(virDomainSetMemoryParameters(TEST_DOMAIN, list, 1, LIVE), VIR_ERR_CONFIG_UNSUPPORTED,
            "<hard_limit> (1 KiB)");
    list[0].type = VIR_TYPED_PARAM_INT;
    passed(virDomainSetMemoryParameters(TEST_DOMAIN, list, 1, LIVE));
    passed(virDomainSetMemoryParameters(TEST_DOMAIN, NULL, 0, LIVE));
    passed(virDomainSetLifecycleAction(TEST_DOMAIN, VIR_DOMAIN_LIFECYCLE_CRASH,
                                       VIR_DOMAIN_LIFECYCLE_ACTION_RESTART, LIVE));
}

/* Both functions that change the maximum, in the definition only. */
static void
testMaximum(void)
{
    const unsigned int maximum = VIR_DOMAIN_MEM_MAXIMUM | CONFIG;

    start(ORDINARY, CONVERTIBLE);
    g_assert_cmpint(virDomainSetMemoryFlags(TEST_DOMAIN, 32768, maximum), ==, 0);
    g_assert_cmpint(testCalled.number, ==, 2);
    g_assert_cmpuint(testCalled.flags, ==, CONFIG);
    g_assert_cmpuint(testCalled.memory, ==, 32768);
    start(ORDINARY, CONVERTIBLE);
    g_assert_cmpint(virDomainSetMaxMemory(TEST_DOMAIN, 32768), ==, 0);
    g_assert_cmpint(testCalled.number, ==, 2);
    g_assert_cmpstr(testCalled.name, ==, "SetMemoryFlags");
    g_assert_cmpuint(testCalled.flags, ==, CONFIG);
    g_assert_cmpuint(testCalled.memory, ==, 32768);
    /* It failed, so the current memory stays. */
    start(ORDINARY, CONVERTIBLE);
    testHost.result = -1;
    g_assert_cmpint(virDomainSetMaxMemory(TEST_DOMAIN, 32768), ==, -1);
    g_assert_cmpint(testCalled.number, ==, 1);
    start(CONVERTIBLE, SHARED);
    passed(virDomainSetMaxMemory(TEST_DOMAIN, 32768));
    start(CONVERTIBLE, ORDINARY);
    passed(virDomainSetMemoryFlags(TEST_DOMAIN, 32768, maximum));
}

/* @kind with other text in place of @from, to be freed with g_free(). */
static char *
with(int kind, const char *from, const char *to)
{
    g_auto(GStrv) parts = g_strsplit(stored[kind], from, 2);

    g_assert_nonnull(parts[1]);
    return g_strconcat(parts[0], to, parts[1], NULL);
}

#define LIMIT(kib) "<memtune><hard_limit unit='KiB'>" kib "</hard_limit></memtune><os>"
#define DIMM                                                                                       \
    "<memory model='dimm'><target><size unit='KiB'>2048</size><node>0</node></target></memory>"

/* What the device is not to blame for does not prevent that it is attached. */
static void
testNotNew(void)
{
    g_autofree char *limited = with(CONVERTIBLE, "<os>", LIMIT("5"));

    start(-1, CONVERTIBLE);
    testHost.defined = limited; /* as if it had been written when the check did not exist */
    passed(virDomainAttachDeviceFlags(TEST_DOMAIN, "<serial type='pty'/>", CONFIG));
    refused(virDomainAttachDeviceFlags(TEST_DOMAIN, "<disk type='nvme'/>", CONFIG),
            VIR_ERR_CONFIG_UNSUPPORTED, "<disk type='nvme'>");
    refused(virDomainSetMaxMemory(TEST_DOMAIN, 65537), VIR_ERR_CONFIG_UNSUPPORTED,
            "<hard_limit> (5 KiB) below guest RAM (65537 KiB)");
    g_assert_cmpint(virDomainSetMaxMemory(TEST_DOMAIN, 65536), ==, 0);
}

/* Memory that is attached counts, once where it replaces other memory. */
static void
testDimms(void)
{
    g_autofree char *cells = with(CONVERTIBLE, "<devices/>",
                                  "<cpu><numa><cell id='0' memory='65536'/></numa></cpu>"
                                  "<devices>" DIMM "</devices>");
    g_autofree char *limited = NULL;
    g_auto(GStrv) parts = g_strsplit(cells, "<os>", 2);

    limited = g_strconcat(parts[0], LIMIT("67584"), parts[1], NULL);
    start(-1, CONVERTIBLE);
    testHost.defined = limited;
    refused(virDomainAttachDeviceFlags(TEST_DOMAIN, DIMM, CONFIG), VIR_ERR_CONFIG_UNSUPPORTED,
            "<hard_limit> (67584 KiB) below guest RAM (69632 KiB)");
    passed(virDomainUpdateDeviceFlags(TEST_DOMAIN, DIMM, CONFIG));
}

static void
testCurrent(void)
{
    g_autofree char *cells =
        with(CONVERTIBLE, "<os>", "<cpu><numa><cell id='0' memory='65536'/></numa></cpu><os>");

    start(-1, CONVERTIBLE);
    testHost.defined = cells;
    passed(virDomainAttachDeviceFlags(TEST_DOMAIN, DIMM, CONFIG));
    start(-1, CONVERTIBLE);
    g_assert_cmpint(virDomainSetMaxMemory(TEST_DOMAIN, 131072), ==, 0);
    g_assert_cmpint(testCalled.number, ==, 2);
}

/* The devices for which the text is changed, or which another check is for. */
static void
testDevices(void)
{
    static const char nvdimm[] = "<memory model='nvdimm'><source><path>/f</path></source><target>"
                                 "<size unit='KiB'>2048</size></target></memory>";
    static const char dimm[] = "<memory model='dimm'><target><size unit='KiB'>2048</size></target>"
                               "</memory>";
    static const char foreign[] = "<serial xmlns='urn:other' type='pty'/>";

    start(SHARED, ORDINARY);
    passed(virDomainAttachDeviceFlags(TEST_DOMAIN, dimm, CONFIG));
    g_assert_true(testCalled.text == dimm);
    passed(virDomainAttachDeviceFlags(TEST_DOMAIN, dimm, LIVE));
    testHost.hotplug = "the emulator would not";
    refused(virDomainAttachDeviceFlags(TEST_DOMAIN, dimm, LIVE), VIR_ERR_OPERATION_UNSUPPORTED,
            testHost.hotplug);
    refused(virDomainAttachDeviceFlags(TEST_DOMAIN, dimm, LIVE | CONFIG),
            VIR_ERR_OPERATION_UNSUPPORTED, testHost.hotplug);
    refused(virDomainAttachDevice(TEST_DOMAIN, dimm), VIR_ERR_OPERATION_UNSUPPORTED,
            testHost.hotplug);
    passed(virDomainAttachDeviceFlags(TEST_DOMAIN, dimm, CONFIG));
    passed(virDomainUpdateDeviceFlags(TEST_DOMAIN, dimm, LIVE));
    passed(virDomainAttachDeviceFlags(TEST_DOMAIN, nvdimm, LIVE));
    passed(virDomainAttachDeviceFlags(TEST_DOMAIN, "<memory model='virtio-pmem'/>", LIVE));
    passed(virDomainAttachDevice(TEST_DOMAIN, "<memballoon model='virtio'/>"));

    start(CONVERTIBLE, ORDINARY);
    refused(virDomainAttachDevice(TEST_DOMAIN, nvdimm), VIR_ERR_OPERATION_UNSUPPORTED, "hotplug");
    refused(virDomainBlockCopy(TEST_DOMAIN, "vda", "<disk type='nvme'/>", NULL, 0, 0),
            VIR_ERR_CONFIG_UNSUPPORTED, "<disk type='nvme'>");
    passed(virDomainBlockCopy(TEST_DOMAIN, "vda", NULL, NULL, 0, 0));
    refused(virDomainAttachDevice(TEST_DOMAIN, foreign), VIR_ERR_XML_ERROR, "<serial>");
    start(ORDINARY, ORDINARY);
    passed(virDomainAttachDevice(TEST_DOMAIN, foreign));
    g_assert_true(testCalled.text == foreign);
}

/* An NVDIMM of a domain whose RAM is shared only because it is private. */
static void
testAccess(void)
{
    static const char plain[] = "<memory model='nvdimm'><source><path>/f</path></source><target>"
                                "<size unit='KiB'>2048</size></target></memory>";
    static const char own[] = "<memory model='nvdimm' access='shared'><source><path>/f</path>"
                              "</source><target><size unit='KiB'>2048</size></target></memory>";

    start(-1, SHARED);
    passed(virDomainAttachDeviceFlags(TEST_DOMAIN, own, CONFIG));
    g_assert_true(testCalled.text == own);
    passed(virDomainAttachDeviceFlags(TEST_DOMAIN, plain, CONFIG));
    g_assert_nonnull(strstr(testCalled.copy, "access='private'"));
    passed(virDomainAttachDeviceFlags(TEST_DOMAIN, "<serial type='pty'/>", CONFIG));
    g_assert_cmpstr(testCalled.copy, ==, "<serial type='pty'/>");
    start(SHARED, ORDINARY);
    passed(virDomainAttachDeviceFlags(TEST_DOMAIN, plain, LIVE | CONFIG));
    g_assert_nonnull(strstr(testCalled.copy, "access='private'"));
    start(-1, ORDINARY);
    passed(virDomainAttachDeviceFlags(TEST_DOMAIN, plain, CONFIG));
    g_assert_true(testCalled.text == plain);
}

/* What the device would be made of cannot be read, so it must not be for a domain of ours. */
static void
testUnreadable(void)
{
    static const char doctype[] = "<!DOCTYPE serial [<!ENTITY e 'x'>]><serial type='&e;'/>";
    static const char malformed[] = "<serial type='pty'>";
    int running, defined;

    for (running = -1; running < KINDS; running++) {
        for (defined = 0; defined < KINDS; defined++) {
            start(running, defined);
            if (running > ORDINARY || defined > ORDINARY) {
                g_assert_cmpint(virDomainAttachDeviceFlags(TEST_DOMAIN, doctype, CONFIG), ==, -1);
                g_assert_cmpint(testCalled.number, ==, 0);
                g_assert_cmpint(testError.code, !=, 0);
            } else {
                passed(virDomainAttachDeviceFlags(TEST_DOMAIN, doctype, CONFIG));
                g_assert_true(testCalled.text == doctype);
            }
        }
    }
    start(SHARED, SHARED);
    passed(virDomainAttachDeviceFlags(TEST_DOMAIN, malformed, CONFIG));
    g_assert_true(testCalled.text != malformed);
}

static int
save(void)
{
    return virDomainSave(TEST_DOMAIN, "/f");
}

static int
saveFlags(void)
{
    return virDomainSaveFlags(TEST_DOMAIN, "/f", NULL, 0);
}

static int
managedSave(void)
{
    return virDomainManagedSave(TEST_DOMAIN, 0);
}

static int
coreDump(void)
{
    return virDomainCoreDump(TEST_DOMAIN, "/f", 0);
}

static int
coreDumpWithFormat(void)
{
    return virDomainCoreDumpWithFormat(TEST_DOMAIN, "/f", 0, 0);
}

static int
peek(void)
{
    return virDomainMemoryPeek(TEST_DOMAIN, 0, 0, NULL, 0);
}

static int
dirtyRate(void)
{
    return virDomainStartDirtyRateCalc(TEST_DOMAIN, 1, 0);
}

static int
migrateToURI(void)
{
    return virDomainMigrateToURI(TEST_DOMAIN, "uri", 0, NULL, 0);
}

static int
migrateToURI2(void)
{
    return virDomainMigrateToURI2(TEST_DOMAIN, "uri", NULL, NULL, 0, NULL, 0);
}

static int
snapshot(void)
{
    return virDomainSnapshotCreateXML(TEST_DOMAIN, "<domainsnapshot/>", 0) != NULL ? 0 : -1;
}

/* Calls for which the host reads the guest's memory. */
static const struct {
    int (*call)(void);
    const char *part;
} reads[] = {
    {save, "saving is not possible"},
    {saveFlags, "saving is not possible"},
    {managedSave, "saving is not possible"},
    {coreDump, "a memory dump is not possible"},
    {coreDumpWithFormat, "a memory dump is not possible"},
    {peek, "reading guest memory is not possible"},
    {dirtyRate, "measuring the rate of changed memory is not possible"},
    {migrateToURI, "migration is not possible"},
    {migrateToURI2, "migration is not possible"},
    {snapshot, "a snapshot with memory is not possible"},
};

static void
testReads(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(reads); i++) {
        start(CONVERTIBLE, ORDINARY);
        refused(reads[i].call(), VIR_ERR_OPERATION_UNSUPPORTED, reads[i].part);
        start(-1, CONVERTIBLE); /* libvirt says that it does not run */
        passed(reads[i].call());
        start(SHARED, SHARED);
        passed(reads[i].call());
        testHost.witness = "the emulator is another";
        refused(reads[i].call(), VIR_ERR_OPERATION_UNSUPPORTED, testHost.witness);
        start(ORDINARY, ORDINARY);
        passed(reads[i].call());
        start(-1, -1);
        testHost.active = 1;
        refused(reads[i].call(), VIR_ERR_NO_DOMAIN, "libvirt's own error");
        start(CONVERTIBLE, CONVERTIBLE);
        foreign();
        passed(reads[i].call());
    }
}

static void
testPostCopy(void)
{
    start(SHARED, ORDINARY);
    refused(virDomainMigrateStartPostCopy(TEST_DOMAIN, 0), VIR_ERR_OPERATION_UNSUPPORTED,
            "post-copy migration is not possible");
    start(ORDINARY, SHARED);
    passed(virDomainMigrateStartPostCopy(TEST_DOMAIN, 0));
    start(-1, SHARED);
    passed(virDomainMigrateStartPostCopy(TEST_DOMAIN, 0));
}

/* The words of a refusal for @then, which was @did, and @now; NULL if they are the same. */
static void
mode(int rc, int then, int now, const char *did)
{
    static const char *const names[KINDS] = {"ordinary memory", "<private/>", SW};

    if (then == now) {
        passed(rc);
        return;
    }
    g_assert_nonnull(strstr(testError.message, did));
    g_assert_nonnull(strstr(strstr(testError.message, did), names[then]));
    g_assert_nonnull(strstr(strstr(strstr(testError.message, did), names[then]), names[now]));
    refused(rc, VIR_ERR_CONFIG_UNSUPPORTED, did);
}

/* XML that replaces a guest's own has its mode. */
static void
testReplaced(void)
{
    int then, now;
    gmemMode expected;

    for (then = 0; then < KINDS; then++) {
        for (now = 0; now < KINDS; now++) {
            if (then != CONVERTIBLE) {
                start(then, ORDINARY);
                mode(virDomainSaveFlags(TEST_DOMAIN, "/f", written[now], 0), then, now,
                     "was started with");
                mode(virDomainMigrateToURI2(TEST_DOMAIN, "uri", NULL, written[now], 0, NULL, 0),
                     then, now, "was started with");
            }
            start(-1, ORDINARY);
            testHost.image = stored[then];
            mode(virDomainSaveImageDefineXML(TEST_CONN, "/f", written[now], 0), then, now,
                 "was started with");
            mode(virDomainRestoreFlags(TEST_CONN, "/f", written[now], 0), then, now,
                 "was started with");
            if (then == now) {
                g_assert_true(gmemExpected(&expected));
                g_assert_cmpint(expected, ==, modes[now]);
            }
            testHost.managed = stored[then];
            mode(virDomainManagedSaveDefineXML(TEST_DOMAIN, written[now], 0), then, now,
                 "was started with");
        }
    }
    start(-1, ORDINARY);
    refused(virDomainSaveImageDefineXML(TEST_CONN, "/f", written[ORDINARY], 0),
            VIR_ERR_OPERATION_FAILED, "libvirt's own error");
    refused(virDomainSaveImageDefineXML(TEST_CONN, "/dev/null", written[ORDINARY], 0),
            VIR_ERR_OPERATION_UNSUPPORTED, "'/dev/null' is not a regular file");
    passed(virDomainSaveImageDefineXML(TEST_CONN, "/f", NULL, 0));
    passed(virDomainSaveImageDefineXML(TEST_CONN, NULL, written[SHARED], 0));
}

/* The same where the XML is one of several parameters. */
static void
testParams(void)
{
    virTypedParameter list[2] = {{.type = VIR_TYPED_PARAM_STRING},
                                 {.type = VIR_TYPED_PARAM_STRING}};
    int then, now;

    for (then = 0; then < KINDS; then++) {
        for (now = 0; now < KINDS; now++) {
            start(then != CONVERTIBLE ? then : ORDINARY, ORDINARY);
            testHost.image = stored[then];
            g_strlcpy(list[0].field, VIR_DOMAIN_SAVE_PARAM_FILE, sizeof(list[0].field));
            list[0].value.s = (char *)"/f";
            g_strlcpy(list[1].field, VIR_DOMAIN_SAVE_PARAM_DXML, sizeof(list[1].field));
            list[1].value.s = (char *)written[now];
            mode(virDomainRestoreParams(TEST_CONN, list, 2, 0), then, now, "was started with");
            if (then == now)
                g_assert_cmpint(strstr(testCalled.copy, GMEM_CARRIER_OPTION) != NULL, ==,
                                now != ORDINARY);
            if (then == CONVERTIBLE)
                continue;
            mode(virDomainSaveParams(TEST_DOMAIN, list, 2, 0), then, now, "was started with");
            if (then == now)
                g_assert_cmpint(strstr(testCalled.copy, GMEM_CARRIER_OPTION) != NULL, ==,
                                now != ORDINARY);
            g_strlcpy(list[0].field, VIR_MIGRATE_PARAM_PERSIST_XML, sizeof(list[0].field));
            g_strlcpy(list[1].field, VIR_MIGRATE_PARAM_DEST_XML, sizeof(list[1].field));
            mode(virDomainMigrateToURI3(TEST_DOMAIN, "uri", list, 2, 0), then, now,
                 "was started with");
            list[0].value.s = (char *)written[SHARED];
            list[1].value.s = (char *)written[then];
            passed(virDomainMigrateToURI3(TEST_DOMAIN, "uri", list, 2, 0));
            g_assert_null(strstr(testCalled.copy, "<private/>"));
        }
    }
}

/* A guest that continues is expected to have its own mode. */
static void
testRestore(void)
{
    gmemMode expected;
    int then;

    for (then = 0; then < KINDS; then++) {
        start(-1, ORDINARY);
        testHost.image = stored[then];
        passed(virDomainRestore(TEST_CONN, "/f"));
        g_assert_true(gmemExpected(&expected));
        g_assert_cmpint(expected, ==, modes[then]);
        g_assert_cmpint(gmemProcessStartsOrdinary(), ==, then == ORDINARY);
        passed(virDomainRestoreFlags(TEST_CONN, "/f", NULL, 0));
        g_assert_true(gmemExpected(&expected));
        g_assert_cmpint(expected, ==, modes[then]);
        /* nothing is known of a pipe, or where libvirt cannot read the image */
        passed(virDomainRestore(TEST_CONN, "/dev/null"));
        g_assert_false(gmemExpected(&expected));
        testHost.image = NULL;
        passed(virDomainRestore(TEST_CONN, "/f"));
        g_assert_false(gmemExpected(&expected));
        g_assert_false(gmemProcessStartsOrdinary());
    }
}

/* A managed save image and the definition have one mode. */
static void
testManaged(void)
{
    gmemMode expected;
    int then, now;

    for (then = 0; then < KINDS; then++) {
        for (now = 0; now < KINDS; now++) {
            start(-1, now);
            testHost.managed = stored[then];
            mode(virDomainCreate(TEST_DOMAIN), then, now, "managed save image is of a guest with");
            mode(virDomainCreateWithFlags(TEST_DOMAIN, 0), then, now,
                 "managed save image is of a guest with");
            if (then == now) {
                g_assert_true(gmemExpected(&expected));
                g_assert_cmpint(expected, ==, modes[now]);
            }
            passed(virDomainCreateWithFlags(TEST_DOMAIN, VIR_DOMAIN_START_FORCE_BOOT));
            g_assert_false(gmemExpected(&expected));
            g_assert_cmpint(gmemProcessStartsOrdinary(), ==, now == ORDINARY);
            if (then == CONVERTIBLE)
                continue;
            start(then, now);
            mode(virDomainManagedSave(TEST_DOMAIN, 0), then, now, "was started with");
        }
    }
    /* libvirt will not continue from a damaged one, and the answer to another error is not known */
    start(-1, SHARED);
    testHost.managedCode = VIR_ERR_OPERATION_FAILED;
    passed(virDomainCreate(TEST_DOMAIN));
    testHost.managedCode = VIR_ERR_OPERATION_INVALID;
    passed(virDomainCreate(TEST_DOMAIN));
    testHost.managedCode = VIR_ERR_AUTH_FAILED;
    refused(virDomainCreate(TEST_DOMAIN), VIR_ERR_AUTH_FAILED, "libvirt's own error");
}

#define MIGRATE(xml, flags)                                                                        \
    virDomainMigratePrepare2(TEST_CONN, NULL, NULL, NULL, NULL, flags, NULL, 0, xml)

/* A definition that arrives from another host. */
static void
testArrives(void)
{
    gmemMode expected;
    int then, now;

    for (then = 0; then < KINDS; then++) {
        for (now = 0; now < KINDS; now++) {
            start(-1, then);
            testHost.managed = stored[then];
            mode(MIGRATE(stored[now], VIR_MIGRATE_PERSIST_DEST), then, now,
                 "has a managed save image of a guest with");
            passed(MIGRATE(stored[now], 0));
            g_assert_true(gmemExpected(&expected));
            g_assert_cmpint(expected, ==, modes[now]);
            g_assert_cmpint(gmemProcessStartsOrdinary(), ==, now == ORDINARY);
            passed(MIGRATE(stored[now], VIR_MIGRATE_OFFLINE));
            g_assert_false(gmemProcessStartsOrdinary());
        }
    }
}

static char *
snapshotOf(const char *state, const char *memory, int kind, bool lowered)
{
    return g_strdup_printf("<domainsnapshot><name> s</name><state>%s</state>%s%s</domainsnapshot>",
                           state, memory, lowered ? stored[kind] : written[kind]);
}

static int
redefine(const char *xml)
{
    return virDomainSnapshotCreateXML(TEST_DOMAIN, xml, VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE) != NULL
               ? 0
               : -1;
}

static void
testSnapshots(void)
{
    int then, now;

    for (then = 0; then < KINDS; then++) {
        for (now = 0; now < KINDS; now++) {
            g_autofree char *former = snapshotOf("running", "", then, true);
            g_autofree char *off = snapshotOf("shutoff", "", then, true);
            g_autofree char *xml = snapshotOf("running", "", now, false);
            g_autofree char *bare = g_strdup("<domainsnapshot><name> s</name></domainsnapshot>");

            start(-1, ORDINARY);
            testHost.snapshot = former;
            mode(redefine(xml), then, now, "was started with");
            passed(redefine(bare));
            start(now, ORDINARY);
            testHost.snapshot = former;
            mode(virDomainRevertToSnapshot(TEST_SNAPSHOT, 0), now, then, "was started with");
            testHost.snapshot = off;
            passed(virDomainRevertToSnapshot(TEST_SNAPSHOT, 0));
            /* disks only */
            passed(virDomainSnapshotCreateXML(TEST_DOMAIN, bare,
                                              VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY) != NULL
                       ? 0
                       : -1);
        }
    }
}

static void
testRevert(void)
{
    g_autofree char *running = snapshotOf("running", "", SHARED, true);
    g_autofree char *off = snapshotOf("shutoff", "", ORDINARY, true);
    gmemMode expected;

    start(-1, ORDINARY);
    testHost.snapshot = running;
    passed(virDomainRevertToSnapshot(TEST_SNAPSHOT, 0));
    g_assert_true(gmemExpected(&expected));
    g_assert_cmpint(expected, ==, GMEM_MODE_FULLY_SHARED);
    testHost.active = -1;
    refused(virDomainRevertToSnapshot(TEST_SNAPSHOT, 0), VIR_ERR_NO_DOMAIN, "libvirt's own error");
    testHost.active = -2;
    testHost.managed = stored[ORDINARY];
    refused(virDomainRevertToSnapshot(TEST_SNAPSHOT, 0), VIR_ERR_CONFIG_UNSUPPORTED,
            "has a managed save image of a guest with ordinary memory");
    start(-1, ORDINARY);
    testHost.snapshot = off;
    passed(virDomainRevertToSnapshot(TEST_SNAPSHOT, 0));
    g_assert_false(gmemProcessStartsOrdinary());
    passed(virDomainRevertToSnapshot(TEST_SNAPSHOT, VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING));
    g_assert_true(gmemProcessStartsOrdinary());
    passed(virDomainRevertToSnapshot(TEST_SNAPSHOT, VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED));
    g_assert_true(gmemProcessStartsOrdinary());
}

/* The memory of an external snapshot is a save image of its own. */
static void
testMemoryFile(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("gmem-XXXXXX", &path, NULL);
    g_autofree char *memory = g_strdup_printf("<memory/><memory file='%s'/>", path);
    int then, now;

    g_assert_cmpint(fd, >=, 0);
    for (then = 0; then < KINDS; then++) {
        for (now = 0; now < KINDS; now++) {
            g_autofree char *xml = snapshotOf("running", memory, now, false);

            start(-1, SHARED);
            testHost.image = stored[then];
            /* it is empty */
            g_assert_cmpint(ftruncate(fd, 0), ==, 0);
            refused(redefine(xml), VIR_ERR_CONFIG_UNSUPPORTED,
                    "is not a regular file, or is empty");
            g_assert_cmpint(pwrite(fd, "x", 1, 0), ==, 1);
            mode(redefine(xml), then, now, "was started with");
            testHost.defined = stored[ORDINARY];
            if (now == ORDINARY)
                passed(redefine(xml)); /* nothing says that it is private */
            else
                mode(redefine(xml), then, now, "was started with");
        }
    }
    start(-1, SHARED);
    g_assert_cmpint(unlink(path), ==, 0);
    {
        g_autofree char *xml = snapshotOf("running", memory, SHARED, false);

        passed(redefine(xml)); /* there is none */
    }
    close(fd);
}

/* A pair of version 1 is renewed before libvirt removes a device, and only then. */
static void
testRenew(void)
{
    static const char old[] =
        "{\"version\":1,\"mode\":\"fully-shared\",\"added\":[{\"path\":\"memoryBacking/source/@"
        "type\",\"value\":\"memfd\"},{\"path\":\"devices/memory[1]/@access\",\"value\":\"private\"}"
        ",{\"path\":\"memoryBacking/access/@mode\",\"value\":\"shared\"}]}";
    g_autofree char *xml = g_strdup_printf(
        DOMAIN "<name>" TEST_NAME
               "</name><memory unit='KiB'>65536</memory><memoryBacking><source type='memfd'/>"
               "<access mode='shared'/></memoryBacking><os><type>hvm</type></os><devices>"
               "<memory model='nvdimm' access='private'><source><path>/f</path></source></memory>"
               "</devices><qemu:commandline><qemu:arg value='" GMEM_CARRIER_OPTION
               "'/><qemu:arg value='%s'/>"
               "</qemu:commandline></domain>",
        old);
    size_t i;

    for (i = 0; i < 2; i++) {
        start(-1, -1);
        testHost.defined = xml;
        passed(i == 0 ? virDomainDetachDeviceFlags(TEST_DOMAIN, "<memory/>", CONFIG)
                      : virDomainDetachDeviceAlias(TEST_DOMAIN, "dimm0", CONFIG));
        g_assert_nonnull(testCalled.defined);
        g_assert_null(strstr(testCalled.defined, "memory[1]"));
        g_assert_nonnull(strstr(testCalled.defined, "[" GMEM_CARRIER_KEY));
        g_free((char *)testCalled.defined);
        start(ORDINARY, -1);
        testHost.defined = xml;
        passed(virDomainDetachDeviceFlags(TEST_DOMAIN, "<memory/>", LIVE));
        g_assert_null(testCalled.defined);
        start(-1, SHARED);
        passed(virDomainDetachDeviceFlags(TEST_DOMAIN, "<memory/>", CONFIG));
        g_assert_null(testCalled.defined);
    }
    start(-1, -1);
    testHost.running = xml; /* of a domain without a definition, nothing is kept */
    passed(virDomainDetachDeviceFlags(TEST_DOMAIN, "<memory/>", CONFIG));
    g_assert_null(testCalled.defined);
    start(-1, -1);
    testHost.defined = xml;
    foreign();
    passed(virDomainDetachDeviceFlags(TEST_DOMAIN, "<memory/>", CONFIG));
    g_assert_null(testCalled.defined);
    start(-1, -1);
    testHost.defined = xml;
    testHost.result = -1;
    g_assert_cmpint(virDomainDetachDeviceFlags(TEST_DOMAIN, "<memory/>", CONFIG), ==, -1);
    g_assert_cmpint(testCalled.number, ==, 0);
    g_free((char *)testCalled.defined);
}

/* What libvirt shows of a domain is what its user wrote, except where nothing is ours to change. */
static void
testShown(void)
{
    g_autofree char *damaged = with(SHARED, "fully-shared", "fully");
    static const struct {
        bool readOnly, stored;
        uid_t user;
        bool raised;
    } cases[] = {
        {false, false, 0, true}, {true, false, 0, true}, {false, true, 0, true},
        {true, true, 0, false},  {true, true, 1, true},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *xml = NULL;

        start(SHARED, SHARED);
        testHost.readOnlyStored = cases[i].stored;
        testHost.user = cases[i].user;
        g_assert_nonnull(cases[i].readOnly ? virConnectOpenReadOnly(NULL) : virConnectOpen(NULL));
        xml = virDomainGetXMLDesc(TEST_DOMAIN, 0);
        g_assert_cmpint(strstr(xml, "<private/>") != NULL, ==, cases[i].raised);
        g_assert_cmpint(strstr(xml, GMEM_CARRIER_OPTION) == NULL, ==, cases[i].raised);
    }
    for (i = 0; i < 3; i++) {
        g_autofree char *xml = NULL;

        start(i == 2 ? SHARED : ORDINARY, ORDINARY);
        if (i == 1)
            testHost.running = damaged;
        if (i == 2)
            foreign();
        xml = virDomainGetXMLDesc(TEST_DOMAIN, 0);
        g_assert_cmpstr(xml, ==, testHost.running);
    }
    start(-1, -1);
    g_assert_null(virDomainGetXMLDesc(TEST_DOMAIN, 0));
    g_assert_cmpint(testError.code, ==, VIR_ERR_NO_DOMAIN);
}

/* The error of the child is that of the call, but only where the call failed. */
static void
testRefusal(void)
{
    start(-1, SHARED);
    testHost.refusal = "the emulator would not";
    passed(virDomainCreate(TEST_DOMAIN));
    testHost.result = -1;
    g_assert_cmpint(virDomainCreateWithFlags(TEST_DOMAIN, 0), ==, -1);
    testCalled.number = 0;
    refused(-1, VIR_ERR_CONFIG_UNSUPPORTED, testHost.refusal);
    testHost.refusal = NULL;
    g_assert_cmpint(virDomainCreate(TEST_DOMAIN), ==, -1);
    g_assert_cmpint(testError.code, ==, 0);
}

static int
define(const char *xml)
{
    return virDomainDefineXMLFlags(TEST_CONN, xml, 0) != NULL ? 0 : -1;
}

/* A definition has the mode of the managed save image. */
static void
testDefine(void)
{
    static const char unreadable[] = "<!DOCTYPE domain [<!ENTITY e 'x'>]><domain><name>&e;</name>"
                                     "<uuid>" TEST_UUID "</uuid></domain>";
    static const char part[] = "has a managed save image of a guest with";
    int then, now;

    for (then = 0; then < KINDS; then++) {
        for (now = 0; now < KINDS; now++) {
            g_autofree char *other = NULL;
            g_auto(GStrv) parts = g_strsplit(written[now], "<uuid>" TEST_UUID "</uuid>", 2);

            other = g_strconcat(parts[0], parts[1], NULL);
            start(-1, ORDINARY);
            testHost.managed = stored[then];
            mode(define(written[now]), then, now, part);
            if (then == now)
                g_assert_cmpint(strstr(testCalled.copy, GMEM_CARRIER_OPTION) != NULL, ==,
                                now != ORDINARY);
            passed(define(other)); /* it gets a new one */
            testHost.defined = NULL;
            passed(define(written[now]));
        }
        start(-1, ORDINARY);
        testHost.managed = stored[then];
        /* it could be any of them */
        mode(define(unreadable), then, ORDINARY, part);
        refused(define("<domain><uuid>hidden</uuid></domain>"), VIR_ERR_AUTH_FAILED,
                "libvirt's own error");
        passed(define("<domain><uuid>"));
        foreign();
        passed(define(written[(then + 1) % KINDS]));
        g_assert_true(testCalled.text == written[(then + 1) % KINDS]);
    }
}

static int
create(const char *xml)
{
    return virDomainCreateXML(TEST_CONN, xml, 0) != NULL ? 0 : -1;
}

/* A rule gives a domain what it does not ask for, unless it has an image that cannot. */
static void
testRules(void)
{
    int then, now;

    for (then = -1; then < KINDS; then++) {
        for (now = 0; now < KINDS; now++) {
            int wanted = then == ORDINARY || now != ORDINARY ? now : SHARED;

            start(-1, ORDINARY);
            testHost.ruled = true;
            testHost.managed = then >= 0 ? stored[then] : NULL;
            if (then > now)
                wanted = then;
            mode(define(written[now]), then >= 0 ? then : wanted, wanted,
                 "has a managed save image of a guest with");
            if (then >= 0 && then != wanted)
                continue;
            g_assert_cmpint(strstr(testCalled.copy, GMEM_CARRIER_OPTION) != NULL, ==,
                            wanted != ORDINARY);
            passed(create(written[now]));
            g_assert_nonnull(strstr(testCalled.copy, GMEM_CARRIER_OPTION));
            testHost.user = 1;
            passed(create(written[now]));
            g_assert_cmpint(strstr(testCalled.copy, GMEM_CARRIER_OPTION) != NULL, ==,
                            now != ORDINARY);
        }
    }
    start(-1, ORDINARY);
    testHost.ruled = true;
    foreign();
    passed(define(written[ORDINARY]));
    g_assert_true(testCalled.text == written[ORDINARY]);
}

/* An empty file is as little an image as a pipe. */
static void
testEmpty(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("gmem-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    start(-1, ORDINARY);
    testHost.image = stored[ORDINARY];
    refused(virDomainSaveImageDefineXML(TEST_CONN, path, written[ORDINARY], 0),
            VIR_ERR_OPERATION_UNSUPPORTED, "is not a regular file, or is empty");
    g_assert_cmpint(write(fd, "x", 1), ==, 1);
    passed(virDomainSaveImageDefineXML(TEST_CONN, path, written[ORDINARY], 0));
    close(fd);
    g_assert_cmpint(unlink(path), ==, 0);
}

int
main(int argc, char **argv)
{
    size_t i;
    int rc;

    g_test_init(&argc, &argv, NULL);
    /* The domains of this libvirt have come by no call. */
    gmemFilesNotePrivate();
    for (i = 0; i < KINDS; i++) {
        stored[i] = gmemLower(written[i], false, NULL, NULL);
        g_assert_nonnull(stored[i]);
    }
    g_test_add_func("/driver-calls/changes", testChanges);
    g_test_add_func("/driver-calls/unknown", testUnknown);
    g_test_add_func("/driver-calls/nobody", testNobody);
    g_test_add_func("/driver-calls/bounds", testBounds);
    g_test_add_func("/driver-calls/maximum", testMaximum);
    g_test_add_func("/driver-calls/not-new", testNotNew);
    g_test_add_func("/driver-calls/dimms", testDimms);
    g_test_add_func("/driver-calls/current", testCurrent);
    g_test_add_func("/driver-calls/shown", testShown);
    g_test_add_func("/driver-calls/refusal", testRefusal);
    g_test_add_func("/driver-calls/define", testDefine);
    g_test_add_func("/driver-calls/rules", testRules);
    g_test_add_func("/driver-calls/empty", testEmpty);
    g_test_add_func("/driver-calls/devices", testDevices);
    g_test_add_func("/driver-calls/access", testAccess);
    g_test_add_func("/driver-calls/unreadable", testUnreadable);
    g_test_add_func("/driver-calls/reads", testReads);
    g_test_add_func("/driver-calls/post-copy", testPostCopy);
    g_test_add_func("/driver-calls/replaced", testReplaced);
    g_test_add_func("/driver-calls/restore", testRestore);
    g_test_add_func("/driver-calls/managed", testManaged);
    g_test_add_func("/driver-calls/arrives", testArrives);
    g_test_add_func("/driver-calls/snapshots", testSnapshots);
    g_test_add_func("/driver-calls/revert", testRevert);
    g_test_add_func("/driver-calls/memory-file", testMemoryFile);
    g_test_add_func("/driver-calls/params", testParams);
    g_test_add_func("/driver-calls/renew", testRenew);
    rc = g_test_run();
    for (i = 0; i < KINDS; i++)
        g_free(stored[i]);
    return rc;
}
