/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_linear.c: the cost of documents and command lines grows no faster than their size.
 *
 * Each shape of test_shapes.c is generated in three sizes, each twice the one before, and is
 * processed in all ways: it is lowered, validated and raised, alone and in a snapshot; command
 * lines are built. The following must hold:
 *
 *  - the second step costs at most 2.2 times what the first one does, in instructions and in
 *    allocations (what does not depend on the size drops out of the steps);
 *  - as large as libvirt accepts text in one call, it still works, in memory that is bounded by the
 *    text's size;
 *  - what comes out is no larger than what went in and what is inserted for each domain.
 *
 * If there is a limit to a number, beyond which there is an error, the first rule does not apply.
 *
 * Everything is counted, nothing is timed. Instructions are what valgrind's callgrind counts in
 * testMeasured(), for all ways of a shape together: the program runs itself under it, as "count
 * SIZE SHAPE…". What is done once (binding functions, tables of libraries, memory for malloc) is
 * done before, because otherwise the first size would include it, and the first step would be too
 * small. memcpy() and memset() must not use "rep movsb" and "rep stosb" from some length on: those
 * count for each byte, the loops in their place for each 128 or so. How many instructions malloc
 * takes, and how many pieces of a shape fit into a number of bytes, still varies a little. So
 * whatever exceeds the limit is counted again in larger sizes, where the variation is negligible,
 * and what is not linear is more visible. */

#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmemcommand.h"
#include "gmemlower.h"
#include "gmemnested.h"
#include "test_alloc.h"
#include "test_shapes.h"

/* The first of three sizes in bytes, each twice the one before; and the first one if it is counted
 * again. */
#define TEST_SIZES 3
#define TEST_SIZE (4 * 1024)
#define TEST_SIZE_AGAIN (16 * 1024)

/* libvirt's limit (VIR_NET_MESSAGE_STRING_MAX) minus what surrounds a shape's own bytes. */
#define TEST_SIZE_MAX (4 * 1024 * 1024 - 8192)

/* A larger ratio is not linear. */
#define TEST_GROWTH_MAX 2.2

/* glibc's tunables: "rep movsb" and "rep stosb" only for what is longer than any text here. */
#define TEST_TUNABLES                                                                              \
    "glibc.cpu.x86_rep_movsb_threshold=0x40000000:glibc.cpu.x86_rep_stosb_threshold=0x40000000"

/* First steps that are smaller than this are noise. */
#define TEST_STEP_INSTRUCTIONS 100000
#define TEST_STEP_ALLOCATIONS 40

/* Bytes of memory for each byte of input: what libxml2 alone takes for the tree of a text full of
 * <a/>, and some copies of the text. And bytes that do not depend on the input. */
#define TEST_MEMORY_MAX 40
#define TEST_MEMORY_MIN (256 * 1024)

/* Bytes that are inserted for each domain, and for each memory device or memory backend. */
#define TEST_INSERTED_DOMAIN 1024
#define TEST_INSERTED_MEMORY 128

/* A limit of processor time in seconds, so that what is not linear comes to an end. */
#define TEST_PATIENCE 30

typedef enum {
    TEST_WAY_LOWER = 0,
    TEST_WAY_VALIDATE,
    TEST_WAY_RAISE,
    TEST_WAY_NESTED_LOWER,
    TEST_WAY_NESTED_RAISE,
    TEST_WAY_ARGV, /* the only one for command lines */
    TEST_WAY_LAST,
} testWay;

static const char *const testWayNames[] = {
    "lower", "validate", "raise", "lower in a snapshot", "raise in a snapshot", "argv",
};

/* One thing to do, and its result. */
typedef struct {
    testWay way;
    char *text;
    char **argv;
    char *made;
    gmemPlan *plan;
    gmemCommand *command;
    GError *error;
} testJob;

/* The measurements of one. */
typedef struct {
    size_t input;
    size_t output;
    size_t allowed; /* the largest size of the output */
    bool made;
    bool refused;
    testAllocCounts counts;
    char message[256];
} testResult;

/* The instructions of a shape, in each size. */
typedef guint64 testCounts[TEST_SIZES];

static const gmemQEMUCaps testCaps = {.flags = 1 << GMEM_QEMU_CAPS_MEMFD};

static const char *testProgram;
static testCounts *testCounted; /* one for each shape; NULL: valgrind is not installed */

static void
testDo(testJob *job)
{
    switch (job->way) {
    case TEST_WAY_LOWER:
    case TEST_WAY_VALIDATE:
        job->made = gmemLower(job->text, job->way == TEST_WAY_VALIDATE, &job->plan, &job->error);
        break;
    case TEST_WAY_RAISE:
        job->made = gmemRaise(job->text, &job->plan, &job->error);
        break;
    case TEST_WAY_NESTED_LOWER:
        job->made = gmemLowerDomains(job->text, gmemNestedFind, true, &job->plan, &job->error);
        break;
    case TEST_WAY_NESTED_RAISE:
        job->made = gmemRaiseDomains(job->text, gmemNestedFind, &job->plan, &job->error);
        break;
    case TEST_WAY_ARGV:
    case TEST_WAY_LAST:
    default:
        job->command = gmemCommandBuild(job->argv, &testCaps, false, &job->error);
        break;
    }
}

static void
testDoAll(testJob *jobs, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        testDo(&jobs[i]);
}

/* The symbol that callgrind looks for. */
static void G_GNUC_NO_INLINE
testMeasured(testJob *jobs, size_t n)
{
    testDoAll(jobs, n);
}

/* Shape number @shape: first the shapes of XML, then those of command lines. */
static const char *
testShapeName(size_t shape)
{
    return shape < testShapesCount ? testShapes[shape].name
                                   : testArgvShapes[shape - testShapesCount].name;
}

static size_t
testShapeTotal(void)
{
    return testShapesCount + testArgvShapesCount;
}

static bool
testShapeGoes(size_t shape, testWay way)
{
    return (shape < testShapesCount) == (way != TEST_WAY_ARGV);
}

static testShapeOutcome
testShapeOutcomeOf(size_t shape, testWay way)
{
    if (shape >= testShapesCount)
        return testArgvShapes[shape - testShapesCount].outcome;
    return way == TEST_WAY_RAISE || way == TEST_WAY_NESTED_RAISE ? testShapes[shape].raised
                                                                 : testShapes[shape].lowered;
}

/* Whether only the size of the text limits the number of what the shape has many of. */
static bool
testIsUnlimited(size_t shape)
{
    testWay way;

    for (way = 0; way < TEST_WAY_LAST; way++) {
        if (testShapeGoes(shape, way) && testShapeOutcomeOf(shape, way) == TEST_SHAPE_EITHER)
            return false;
    }
    return true;
}

static void
testJobInit(testJob *job, size_t shape, testWay way, size_t size)
{
    bool raise = way == TEST_WAY_RAISE || way == TEST_WAY_NESTED_RAISE;

    *job = (testJob){.way = way};
    if (way == TEST_WAY_ARGV)
        job->argv = testArgvShapeMake(&testArgvShapes[shape - testShapesCount], size);
    else if (way == TEST_WAY_NESTED_LOWER || way == TEST_WAY_NESTED_RAISE)
        job->text = testShapeSnapshot(&testShapes[shape], size, raise);
    else
        job->text = testShapeDomain(&testShapes[shape], size, raise);
}

static void
testJobClear(testJob *job)
{
    g_free(job->text);
    g_free(job->made);
    g_strfreev(job->argv);
    gmemPlanFree(job->plan);
    gmemCommandFree(job->command);
    g_clear_error(&job->error);
}

static size_t
testLength(char *const *argv)
{
    size_t length = 0;

    for (; *argv != NULL; argv++)
        length += strlen(*argv) + 1;
    return length;
}

static size_t
testOccurrences(const char *text, const char *piece)
{
    size_t count = 0;

    while ((text = strstr(text, piece)) != NULL) {
        text += strlen(piece);
        count++;
    }
    return count;
}

static void
testRun(size_t shape, testWay way, size_t size, testResult *result)
{
    testJob job;

    *result = (testResult){0};
    testJobInit(&job, shape, way, size);
    testAllocStart();
    testDo(&job);
    result->counts = testAllocGet();
    result->made = job.made != NULL || job.command != NULL;
    result->refused = job.error != NULL;
    if (job.error != NULL)
        g_strlcpy(result->message, job.error->message, sizeof(result->message));
    if (job.argv != NULL) {
        result->input = testLength(job.argv);
        result->output = job.command != NULL ? testLength(job.command->argv) : 0;
        result->allowed = result->input + TEST_INSERTED_DOMAIN +
                          TEST_INSERTED_MEMORY * (job.command != NULL ? job.command->nbackends : 0);
    } else {
        result->input = strlen(job.text);
        result->output = job.made != NULL ? strlen(job.made) : 0;
        result->allowed =
            result->input + TEST_INSERTED_DOMAIN * testOccurrences(job.text, "<memoryBacking>") +
            TEST_INSERTED_MEMORY * testOccurrences(job.text, "<memory model='nvdimm'");
    }
    testJobClear(&job);
}

/* -- instructions -------------------------------------------------------------------------------
 */

/* Processes @shape in all ways. @run: testMeasured(), or a function that is not counted. */
static void
testCountOne(size_t shape, size_t size, void (*run)(testJob *jobs, size_t n))
{
    testJob jobs[TEST_WAY_LAST];
    testWay way;
    size_t n = 0;

    /* Validating includes lowering. */
    for (way = TEST_WAY_VALIDATE; way < TEST_WAY_LAST; way++) {
        if (testShapeGoes(shape, way))
            testJobInit(&jobs[n++], shape, way, size);
    }
    run(jobs, n);
    while (n > 0)
        testJobClear(&jobs[--n]);
}

/* Runs what callgrind is to count, in the order in which testReadCounts() reads it. */
static int
testCount(int argc, char **argv)
{
    size_t size = (size_t)strtoul(argv[0], NULL, 10);
    int i, j;

    for (i = 1; i < argc; i++) {
        size_t shape = (size_t)strtoul(argv[i], NULL, 10);

        testCountOne(shape, size, testDoAll);
        for (j = 0; j < TEST_SIZES; j++)
            testCountOne(shape, size << j, testMeasured);
    }
    return 0;
}

/* @text: callgrind's file, with a line "summary: NUMBER" for each run of testMeasured(). */
static void
testReadCounts(const char *text, const GArray *shapes)
{
    static const char mark[] = "\nsummary: ";
    guint i;
    int j;

    for (i = 0; i < shapes->len; i++) {
        for (j = 0; j < TEST_SIZES; j++) {
            text = strstr(text, mark);
            if (text == NULL)
                g_error("callgrind has counted less than it was to");
            text += strlen(mark);
            testCounted[g_array_index(shapes, size_t, i)][j] = g_ascii_strtoull(text, NULL, 10);
        }
    }
}

/* The environment of the program that is counted. */
static char **
testEnvironment(void)
{
    char **envp = g_get_environ();

    envp = g_environ_setenv(envp, "LD_BIND_NOW", "1", TRUE);
    envp = g_environ_setenv(envp, "GLIBC_TUNABLES", TEST_TUNABLES, TRUE);
    return g_environ_unsetenv(envp, "MALLOC_PERTURB_");
}

static void
testCollect(const GArray *shapes, size_t size)
{
    g_auto(GStrv) envp = testEnvironment();
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *directory = g_dir_make_tmp("test-linear-XXXXXX", &error);
    g_autofree char *file = g_build_filename(directory, "callgrind.out", NULL);
    g_autofree char *text = NULL;
    int status = -1;
    guint i;

    g_assert_no_error(error);
    g_ptr_array_add(argv, g_strdup("valgrind"));
    g_ptr_array_add(argv, g_strdup("-q"));
    g_ptr_array_add(argv, g_strdup("--tool=callgrind"));
    g_ptr_array_add(argv, g_strdup("--combine-dumps=yes"));
    g_ptr_array_add(argv, g_strdup("--dump-line=no"));
    g_ptr_array_add(argv, g_strdup("--toggle-collect=testMeasured"));
    g_ptr_array_add(argv, g_strdup("--dump-after=testMeasured"));
    g_ptr_array_add(argv, g_strdup_printf("--callgrind-out-file=%s", file));
    g_ptr_array_add(argv, g_strdup(testProgram));
    g_ptr_array_add(argv, g_strdup("count"));
    g_ptr_array_add(argv, g_strdup_printf("%zu", size));
    for (i = 0; i < shapes->len; i++)
        g_ptr_array_add(argv, g_strdup_printf("%zu", g_array_index(shapes, size_t, i)));
    g_ptr_array_add(argv, NULL);
    g_spawn_sync(NULL, (char **)argv->pdata, envp, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
                 &status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
    g_file_get_contents(file, &text, NULL, &error);
    g_assert_no_error(error);
    testReadCounts(text, shapes);
    g_unlink(file);
    g_rmdir(directory);
}

/* How many times larger the second step is than the first one; 0 if it is negligible. */
static double
testGrowth(guint64 first, guint64 second, guint64 third, guint64 noise)
{
    if (second < first + noise && third < second + 2 * noise)
        return 0;
    return ((double)third - (double)second) / (double)(MAX(second, first + noise / 2) - first);
}

static double
testCountedGrowth(size_t shape)
{
    const guint64 *counted = testCounted[shape];

    return testGrowth(counted[0], counted[1], counted[2], TEST_STEP_INSTRUCTIONS);
}

static void
testCollectAll(void)
{
    g_autoptr(GArray) shapes = g_array_new(FALSE, FALSE, sizeof(size_t));
    g_autoptr(GArray) again = g_array_new(FALSE, FALSE, sizeof(size_t));
    size_t shape;

    testCounted = g_new0(testCounts, testShapeTotal());
    for (shape = 0; shape < testShapeTotal(); shape++) {
        if (testIsUnlimited(shape))
            g_array_append_val(shapes, shape);
    }
    testCollect(shapes, TEST_SIZE);
    for (shape = 0; shape < testShapeTotal(); shape++) {
        if (testIsUnlimited(shape) && testCountedGrowth(shape) > TEST_GROWTH_MAX)
            g_array_append_val(again, shape);
    }
    if (again->len > 0)
        testCollect(again, TEST_SIZE_AGAIN);
}

/* -- the tests ----------------------------------------------------------------------------------
 */

/* Prints what does not hold. */
static void G_GNUC_PRINTF(3, 4) testComplain(size_t shape, testWay way, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_test_message("%s, %s: %s", testShapeName(shape), testWayNames[way], text);
    g_test_fail();
}

/* testRun() in a process of its own, which may end. */
static bool
testRunAside(size_t shape, testWay way, size_t size, testResult *result)
{
    int fds[2];
    int status = 0;
    pid_t pid;
    bool got;

    g_assert_cmpint(pipe(fds), ==, 0);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        const struct rlimit patience = {TEST_PATIENCE, TEST_PATIENCE};

        setrlimit(RLIMIT_CPU, &patience);
        testRun(shape, way, size, result);
        _exit(write(fds[1], result, sizeof(*result)) == (ssize_t)sizeof(*result) ? 0 : 1);
    }
    close(fds[1]);
    got = read(fds[0], result, sizeof(*result)) == (ssize_t)sizeof(*result);
    close(fds[0]);
    waitpid(pid, &status, 0);
    if (!got)
        testComplain(shape, way, "%zu bytes end the process (%s)", size,
                     WIFSIGNALED(status) ? g_strsignal(WTERMSIG(status)) : "by itself");
    return got;
}

static void
testCheckOutcome(size_t shape, testWay way, const testResult *result)
{
    testShapeOutcome outcome = testShapeOutcomeOf(shape, way);

    if (result->made == result->refused || (outcome == TEST_SHAPE_FINE && result->refused) ||
        (outcome == TEST_SHAPE_REFUSED && result->made))
        testComplain(shape, way, "%zu bytes are %s: %s", result->input,
                     result->made ? "taken" : "refused", result->message);
    if (result->output > result->allowed)
        testComplain(shape, way, "%zu bytes become %zu", result->input, result->output);
}

static void
testSmall(size_t shape, testWay way)
{
    testResult results[TEST_SIZES];
    double growth;
    int i;

    for (i = 0; i < TEST_SIZES; i++) {
        testRun(shape, way, (size_t)TEST_SIZE_AGAIN << i, &results[i]);
        testCheckOutcome(shape, way, &results[i]);
    }
    if (testShapeOutcomeOf(shape, way) == TEST_SHAPE_EITHER)
        return;
    growth = testGrowth(results[0].counts.count, results[1].counts.count, results[2].counts.count,
                        TEST_STEP_ALLOCATIONS);
    if (growth > TEST_GROWTH_MAX)
        testComplain(shape, way, "allocations grow %.1f times as much in the second step", growth);
}

static void
testLarge(size_t shape, testWay way)
{
    testResult result;

    if (!testRunAside(shape, way, TEST_SIZE_MAX, &result))
        return;
    testCheckOutcome(shape, way, &result);
    if (result.counts.peak > TEST_MEMORY_MAX * result.input + TEST_MEMORY_MIN)
        testComplain(shape, way, "%zu bytes take %zu bytes of memory", result.input,
                     result.counts.peak);
}

static void
testOne(const void *data)
{
    size_t shape = GPOINTER_TO_SIZE(data);
    testWay way;

    if (testCounted != NULL && testIsUnlimited(shape) &&
        testCountedGrowth(shape) > TEST_GROWTH_MAX) {
        g_test_message("%s: instructions grow %.1f times as much in the second step",
                       testShapeName(shape), testCountedGrowth(shape));
        g_test_fail();
    }
    for (way = 0; way < TEST_WAY_LAST; way++) {
        if (testShapeGoes(shape, way))
            testSmall(shape, way);
    }
    for (way = TEST_WAY_NESTED_LOWER; way < TEST_WAY_LAST && !g_test_failed(); way++) {
        if (testShapeGoes(shape, way))
            testLarge(shape, way);
    }
}

static void
testInstructions(void)
{
    if (testCounted == NULL)
        g_test_skip("valgrind is not installed");
}

int
main(int argc, char **argv)
{
    g_autofree char *valgrind = g_find_program_in_path("valgrind");
    size_t shape;

    if (argc > 2 && strcmp(argv[1], "count") == 0)
        return testCount(argc - 2, argv + 2);
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    testProgram = argv[0];
    if (valgrind != NULL)
        testCollectAll();
    g_test_add_func("/linear/instructions are counted", testInstructions);
    for (shape = 0; shape < testShapeTotal(); shape++) {
        g_autofree char *path = g_strdup_printf(
            "/linear/%s/%s", shape < testShapesCount ? "xml" : "argv", testShapeName(shape));

        g_test_add_data_func(path, GSIZE_TO_POINTER(shape), testOne);
    }
    return g_test_run();
}
