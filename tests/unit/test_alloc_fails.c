/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_alloc_fails.c: if an allocation fails, the result is an error or the end of the process, but
 * the request for private memory is never lost.
 *
 * Each case is run once normally, which gives the right answer and the number of allocations:
 * GLib's, libxml2's, yajl's and libc's own. Then it is run once for each of these, in a process of
 * its own, and that allocation fails; for some of them, all later ones fail, too. The answer must
 * then be the right one or an error, or the process must have ended (GLib ends it). Above all, the
 * answer must not be the unchanged XML, or come without a plan.
 *
 * What is asked about an ordinary domain must not allocate anything.
 *
 * GLib before 2.76 requires G_SLICE=always-malloc in the environment (see test_alloc.h). */

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmemcommand.h"
#include "gmemdomcaps.h"
#include "gmemhostconf.h"
#include "gmemlower.h"
#include "gmemnested.h"
#include "test_alloc.h"

/* For one in so many allocations, all later ones fail, too. */
#define TEST_STEP 16

#define TEST_QEMU "http://libvirt.org/schemas/domain/qemu/1.0"
#define TEST_PAIR(name, rest)                                                                      \
    "<qemu:arg value='-x-libvirt-gmem'/><qemu:arg value='{\"version\":1,\"mode\":\"" name          \
    "\"" rest "}'/>"
#define TEST_SHARED(rest)                                                                          \
    TEST_PAIR("fully-shared", ",\"added\":[{\"path\":\"memoryBacking/source/@type\","              \
                              "\"value\":\"memfd\"}," rest                                         \
                              "{\"path\":\"memoryBacking/access/@mode\",\"value\":\"shared\"}]")
#define TEST_HEAD "<name>a</name><memory>1048576</memory>"
#define TEST_OS                                                                                    \
    "<os><type arch='x86_64' machine='pc'>hvm</type><firmware><feature enabled='no' "              \
    "name='secure-boot'/></firmware></os>"
#define TEST_NVDIMM                                                                                \
    "<memory model='nvdimm'><source><path>/x</path></source><target><size>4096</size></target>"    \
    "</memory>"
#define TEST_PRIVATE                                                                               \
    "<domain type='kvm'>" TEST_HEAD "<memoryBacking><private/></memoryBacking>" TEST_OS            \
    "<cpu><numa><cell id='0' memory='1048576'/></numa></cpu><numatune><memory nodeset='0'/>"       \
    "<memnode cellid='0' nodeset='0-0'/></numatune><devices><emulator>/q</emulator>" TEST_NVDIMM   \
    "</devices></domain>"
#define TEST_CONVERTIBLE                                                                           \
    "<domain type='kvm'>" TEST_HEAD "<memoryBacking><hugepages><page size='2' unit='M' "           \
    "nodeset='0'/></hugepages></memoryBacking>" TEST_OS                                            \
    "<cpu><numa><cell id='0' memory='1048576'/></numa></cpu><devices>"                             \
    "<memballoon model='virtio' autodeflate='on'/></devices>"                                      \
    "<launchSecurity type='sw-protected'/></domain>"
#define TEST_LOWERED                                                                               \
    "<domain type='kvm' xmlns:qemu='" TEST_QEMU "'>" TEST_HEAD                                     \
    "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>" TEST_OS         \
    "<devices><memory model='nvdimm' access='private'/></devices><qemu:commandline>" TEST_SHARED(  \
        "{\"path\":\"devices/memory[1]/@access\",\"value\":\"private\"},") "<qemu:arg "            \
                                                                           "value='-S'/></"        \
                                                                           "qemu:commandline></"   \
                                                                           "domain>"

/* The function of a case. */
typedef enum {
    TEST_LOWER,
    TEST_VALIDATE,
    TEST_RAISE,
    TEST_NESTED_LOWER,
    TEST_NESTED_RAISE,
    TEST_DOMCAPS,
    TEST_ARGV,
} testWhat;

typedef struct {
    const char *name;
    testWhat what;
    const char *text;
} testCase;

#define TEST_SNAPSHOT(text, other)                                                                 \
    "<domainsnapshot xmlns:o='urn:o'><name>s</name>" text                                          \
    "<inactiveDomain type='kvm' o:a='b'>" TEST_HEAD "<memoryBacking>" other                        \
    "</memoryBacking></inactiveDomain></domainsnapshot>"

static const testCase testCases[] = {
    {"lower", TEST_LOWER, TEST_PRIVATE},
    {"lower convertible", TEST_LOWER, TEST_CONVERTIBLE},
    {"lower what is lowered", TEST_LOWER, TEST_LOWERED},
    {"lower ISO-8859-1", TEST_LOWER, "<?xml version='1.0' encoding='ISO-8859-1'?>" TEST_PRIVATE},
    {"validate", TEST_VALIDATE, TEST_PRIVATE},
    {"raise", TEST_RAISE, TEST_LOWERED},
    {"lower in a snapshot", TEST_NESTED_LOWER, TEST_SNAPSHOT(TEST_PRIVATE, "<private/>")},
    {"raise in a snapshot", TEST_NESTED_RAISE, TEST_SNAPSHOT(TEST_LOWERED, "<locked/>")},
    {"domain capabilities", TEST_DOMCAPS,
     "<domainCapabilities><path>/q</path><domain>kvm</domain><machine>q35</machine>"
     "<arch>x86_64</arch><cpu/><memoryBacking supported='yes'><enum name='sourceType'/>"
     "</memoryBacking><features><sev supported='no'/></features></domainCapabilities>"},
    {"argv, the shim", TEST_ARGV, "S"},
    {"argv, convertible", TEST_ARGV, "C"},
    {"argv, a property", TEST_ARGV, "P"},
};

/* The result of a case. */
typedef enum {
    TEST_RIGHT = 0,
    TEST_ERROR,
    TEST_ENDED, /* the process */
    TEST_UNCHANGED,
    TEST_NO_PLAN,
    TEST_OTHER,   /* another answer */
    TEST_NEITHER, /* neither an answer nor an error */
    TEST_HANGS,
    TEST_OUTCOME_LAST
} testOutcome;

static const char *const testOutcomeNames[] = {
    "right",        "errors",        "ends of the process", "unchanged",
    "without plan", "other answers", "without an error",    "without an end",
};

/* How the processes communicate, and the right answer. */
typedef struct {
    testOutcome outcome;
    size_t allocations;
    bool failed;
    char text[8192];
    char plan[256];
} testShared;

static testShared *testResult;
static testShared testReference;
static int testNull;

static void
testFormatPlan(const gmemPlan *plan, char *text, size_t size)
{
    text[0] = '\0';
    if (plan != NULL)
        g_snprintf(text, size, "%s '%s' '%s' %d %llu %llu '%s'", gmemModeToString(plan->mode),
                   plan->name, plan->emulator != NULL ? plan->emulator : "",
                   plan->cellNodesetsDiffer, plan->ram, plan->hugeRam,
                   plan->sharedOnly != NULL ? plan->sharedOnly : "");
}

/* The carrier's value has been lowered for the shim, for convertible memory or for a property. */
static gmemCommand *
testBuild(char kind, GError **error)
{
    static const char *const pairs[] = {
        "{\"version\":1,\"mode\":\"fully-shared\",\"added\":[]}",
        "{\"version\":1,\"mode\":\"convertible\",\"launchSecurity\":\"sw-protected\",\"added\":["
        "{\"path\":\"memoryBacking/allocation/@mode\",\"value\":\"immediate\"}]}",
    };
    const gmemQEMUCaps caps = {
        .flags =
            1 << GMEM_QEMU_CAPS_MEMFD | (kind == 'P' ? 1 << GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD : 0),
    };
    const char *const words[] = {
        "/usr/bin/qemu",
        "-machine",
        "q35,memory-backend=ram0,kernel_irqchip=split",
        "-accel",
        "kvm",
        "-object",
        "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"ram0\",\"prealloc\":true,\"share\":true,"
        "\"size\":67108864,\"host-nodes\":[0,1],\"policy\":\"bind\"}",
        "-object",
        "memory-backend-memfd,id=ram1,share=on,size=64M",
        "-numa",
        "node,nodeid=0,memdev=ram1",
        "-device",
        "{\"driver\":\"virtio-blk-pci\",\"id\":\"mem\"}",
        "-x-libvirt-gmem",
        pairs[kind == 'C' ? 1 : 0],
        "-S",
        NULL,
    };

    return gmemCommandBuild((char *const *)(gpointer)words, &caps, false, error);
}

static unsigned int
testModes(const char *emulator G_GNUC_UNUSED)
{
    return 1 << GMEM_MODE_FULLY_SHARED;
}

static char *
testMake(const testCase *test, gmemPlan **plan, GError **error)
{
    g_autoptr(gmemCommand) command = NULL;

    switch (test->what) {
    case TEST_LOWER:
    case TEST_VALIDATE:
        return gmemLower(test->text, test->what == TEST_VALIDATE, plan, error);
    case TEST_RAISE:
        return gmemRaise(test->text, plan, error);
    case TEST_NESTED_LOWER:
        return gmemLowerDomains(test->text, gmemNestedFind, false, plan, error);
    case TEST_NESTED_RAISE:
        return gmemRaiseDomains(test->text, gmemNestedFind, plan, error);
    case TEST_DOMCAPS:
        return gmemDomCapsRaise(test->text, testModes);
    case TEST_ARGV:
    default:
        command = testBuild(test->text[0], error);
        testAllocFail(0, false);
        return command != NULL ? g_strjoinv("\n", command->argv) : NULL;
    }
}

static testOutcome
testJudge(const testCase *test, const char *made, const GError *error)
{
    if (made == NULL)
        return error != NULL ? TEST_ERROR : TEST_NEITHER;
    if (strcmp(made, test->text) == 0 && strcmp(made, testReference.text) != 0)
        return TEST_UNCHANGED;
    if (testResult->plan[0] == '\0' && testReference.plan[0] != '\0')
        return TEST_NO_PLAN;
    return strcmp(made, testReference.text) == 0 &&
                   strcmp(testResult->plan, testReference.plan) == 0 && error == NULL
               ? TEST_RIGHT
               : TEST_OTHER;
}

/* The process that runs @test; allocation number @which fails. */
static void G_GNUC_NORETURN
testChild(const testCase *test, size_t which, bool rest)
{
    const struct rlimit patience = {10, 10};
    const struct rlimit stack = {256 * 1024, 256 * 1024};
    gmemPlan *plan = NULL;
    GError *error = NULL;
    char *made;

    /* What GLib prints when it ends the process is expected here, and only what ends a daemon may
     * end this process. */
    dup2(testNull, STDOUT_FILENO);
    dup2(testNull, STDERR_FILENO);
    g_log_set_always_fatal(G_LOG_FATAL_MASK);
    prctl(PR_SET_DUMPABLE, 0);
    setrlimit(RLIMIT_CPU, &patience);
    /* If no memory is left at all, GLib reports that recursively, until the stack is exhausted. */
    setrlimit(RLIMIT_STACK, &stack);
    testAllocStart();
    testAllocFail(which, rest);
    made = testMake(test, &plan, &error);
    testAllocFail(0, false);
    testResult->allocations = testAllocGet().count;
    testResult->failed = testAllocFailed();
    testFormatPlan(plan, testResult->plan, sizeof(testResult->plan));
    g_strlcpy(testResult->text, made != NULL ? made : "", sizeof(testResult->text));
    testResult->outcome = testJudge(test, made, error);
    _exit(0);
}

static testOutcome
testRun(const testCase *test, size_t which, bool rest)
{
    int status = 0;
    pid_t pid;

    memset(testResult, 0, sizeof(*testResult));
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0)
        testChild(test, which, rest);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return TEST_HANGS;
    return status == 0 ? testResult->outcome : TEST_ENDED;
}

/* If all later ones fail, too, GLib ends the process soon, so some of these are sufficient. */
static void
testFailEach(const testCase *test, bool rest)
{
    const size_t step = rest ? TEST_STEP : 1;
    size_t counts[TEST_OUTCOME_LAST] = {0};
    g_autoptr(GString) words = g_string_new(NULL);
    size_t which, i;

    for (which = 1; which <= testReference.allocations; which += step) {
        testOutcome outcome = testRun(test, which, rest);

        counts[outcome]++;
        if (outcome > TEST_ENDED) {
            g_test_message("%s: %s where allocation %zu fails%s:\n%s", test->name,
                           testOutcomeNames[outcome], which, rest ? " and all behind it" : "",
                           testResult->text);
            g_test_fail();
        }
    }
    for (i = 0; i < TEST_OUTCOME_LAST; i++) {
        if (counts[i] > 0)
            g_string_append_printf(words, ", %zu %s", counts[i], testOutcomeNames[i]);
    }
    g_test_message("%zu allocations, %s%s", testReference.allocations,
                   rest ? "each fails and all behind it" : "each fails alone", words->str);
}

static void
testOne(const void *data)
{
    const testCase *test = data;

    memset(&testReference, 0, sizeof(testReference));
    testRun(test, 0, false);
    testReference = *testResult;
    g_assert_cmpstr(testReference.text, !=, "");
    g_assert_cmpint(testReference.allocations, >, 20);
    testFailEach(test, false);
    testFailEach(test, true);
}

/* A definition and a dump ask this. @path: of gmem.conf */
static void
testOrdinary(const char *path)
{
    static const char *const text = "<domain type='kvm'>" TEST_HEAD TEST_OS "</domain>";

    g_assert_cmpint(gmemHostConfRefresh(path, NULL), ==, 0);
    testAllocStart();
    g_assert_cmpint(gmemHostConfRefresh(path, NULL), ==, 0);
    g_assert_false(gmemLowerMayHaveElements(text));
    g_assert_false(gmemRaiseMayHavePair(text));
    g_assert_cmpint(testAllocGet().count, ==, 0);
}

static void
testOrdinaryWithout(void)
{
    testOrdinary("/nonexistent/gmem.conf");
}

static void
testOrdinaryWith(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("gmem-XXXXXX.conf", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, "# none\n", 7), ==, 7);
    close(fd);
    if (geteuid() == 0)
        testOrdinary(path);
    else
        g_test_skip("a configuration file has to be root's");
    g_unlink(path);
}

int
main(int argc, char **argv)
{
    size_t i;

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/alloc_fails/ordinary, no file", testOrdinaryWithout);
    g_test_add_func("/alloc_fails/ordinary, with a file", testOrdinaryWith);
    testResult =
        mmap(NULL, sizeof(*testResult), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    g_assert_true(testResult != MAP_FAILED);
    for (i = 0; i < G_N_ELEMENTS(testCases); i++) {
        g_autofree char *path = g_strdup_printf("/alloc_fails/%s", testCases[i].name);

        g_test_add_data_func(path, &testCases[i], testOne);
    }
    return g_test_run();
}
