/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_exec.c: what gmemexec.c does between fork and exec, in children of a process whose other
 * threads hold different locks at different times: no child may wait for one.
 *
 * The real code is called, starting with execve(). What is imitated is the caller, the execve after
 * it, which ends the child, and /dev/kvm. */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <libintl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmemcapscache.h"
#include "gmemconnection.h"
#include "gmemhostconf.h"
#include "gmemi18n.h"
#include "gmemkvm.h"
#include "gmemreal.h"
#include "gmemrefusal.h"

#define FORKS 20250
/* How many of these have an invalid gmem.conf. */
#define CONF_FORKS 900
/* How many children after those run an emulator, which takes longer. */
#define PROBE_FORKS 90

/* The number of children that exist at once. */
#define BATCH 90

/* After so many milliseconds, a child is not slow but stuck. */
#define PATIENCE 30000

#define STARTED 0
#define REFUSED 126

#define MACHINE "-machine", "pc,accel=kvm,kernel_irqchip=split,memory-backend=pc.ram"
#define RAM                                                                                        \
    "-object", "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,"          \
               "\"size\":67108864}"
#define CELL(id, node)                                                                             \
    "-object",                                                                                     \
        "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"" id "\",\"share\":true,"                 \
        "\"size\":67108864,\"host-nodes\":[" node "],\"policy\":\"bind\"}",                        \
        "-numa", "node,memdev=" id
#define CARRIER(mode, rest) "-x-libvirt-gmem", "{\"version\":1,\"mode\":\"" mode "\"" rest "}"
#define CONVERTIBLE CARRIER("convertible", ",\"launchSecurity\":\"sw-protected\",\"added\":[]")
#define SHARED CARRIER("fully-shared", ",\"added\":[]")

typedef struct {
    const char *emulator;
    const char *argv[16];
    bool noKVM;
    int status;
    const char *text; /* what the child prints */
} Case;

static const Case cases[] = {
    {"memory", {MACHINE, RAM, SHARED}, false, STARTED, "mode fully-shared, by shim"},
    {"memory", {MACHINE, RAM, CONVERTIBLE}, false, STARTED, "a shared and a private half"},
    {"disk", {MACHINE, RAM, SHARED}, false, STARTED, "mode fully-shared, by guest-memfd"},
    {"memory",
     {"-machine", "pc,accel=kvm", CELL("a", "0"), CELL("b", "1"), SHARED, "-incoming", "defer"},
     false,
     STARTED,
     "continues without its NUMA policy"},
    {"memory", {MACHINE, RAM, SHARED}, true, REFUSED, "cannot be opened: No such file or"},
    {"memory", {MACHINE, SHARED}, false, REFUSED, "there is no memory backend 'pc.ram'"},
    {"memory",
     {MACHINE, RAM, CARRIER("x", "")},
     false,
     REFUSED,
     "has mode 'x', which libvirt-gmem does not know"},
    {"memory", {MACHINE, RAM, "-x-libvirt-gmem", "{"}, false, REFUSED, "malformed JSON"},
    {"memory", {MACHINE, "-object", "{x", SHARED}, false, REFUSED, "-object {x"},
    {"absent", {MACHINE, RAM, SHARED}, false, REFUSED, "absent': No such file"},
};
static const Case confCase = {
    "memory", {MACHINE, RAM, CONVERTIBLE}, false, REFUSED, "no-such-group"};
static const Case probes[] = {
    {"answers", {MACHINE, RAM, SHARED}, false, STARTED, "mode fully-shared, by guest-memfd"},
    {"garbage", {MACHINE, RAM, SHARED}, false, REFUSED, "does not speak QMP"},
    {"fails", {MACHINE, RAM, SHARED}, false, REFUSED, "failed with exit status"},
};

static char *root;
static char *good, *bad; /* gmem.conf */
static gint stop;

/* ---------------------------------------------------------------------------------------------
 * Around the real code */

static bool forked, noKVM;

static int
endHere(const char *path, char *const argv[], char *const envp[])
{
    if (forked)
        _exit(STARTED);
    return (int)syscall(SYS_execve, path, argv, envp);
}

static void
ignoreError(virErrorPtr error G_GNUC_UNUSED)
{
}

static const gmemRealTable table = {.execve = endHere, .virSetError = ignoreError};

const gmemRealTable *__wrap_gmemReal(void);
const gmemRealTable *
__wrap_gmemReal(void)
{
    return &table;
}

/* This does not concern a child, and would require the whole driver. */
char *
gmemConnectionGetRoot(virConnectPtr conn G_GNUC_UNUSED)
{
    return NULL;
}

bool __wrap_gmemProcessCallerIsLibvirt(const void *address);
bool
__wrap_gmemProcessCallerIsLibvirt(const void *address G_GNUC_UNUSED)
{
    return forked;
}

const char *__wrap_gmemProcessShimPath(void);
const char *
__wrap_gmemProcessShimPath(void)
{
    return "/proc/self/exe";
}

gmemKVM *__wrap_gmemKVMProbe(void);
gmemKVM *
__wrap_gmemKVMProbe(void)
{
    gmemKVM *kvm = gmemKVMProbePath(noKVM ? "/nonexistent/kvm" : "/dev/null");

    kvm->numaPolicy = false;
    return kvm;
}

/* A child must not free a GError with GLib's function, which takes a lock. */
void __real_g_error_free(GError *error);
__attribute__((visibility("default"))) void __wrap_g_error_free(GError *error);
void
__wrap_g_error_free(GError *error)
{
    if (forked)
        abort();
    __real_g_error_free(error);
}

/* A host that supports both modes. */
int __wrap_ioctl(int fd, unsigned long request, ...);
int
__wrap_ioctl(int fd G_GNUC_UNUSED, unsigned long request, ...)
{
    va_list args;
    long capability;

    va_start(args, request);
    capability = va_arg(args, long);
    va_end(args);
    switch (request) {
    case KVM_GET_API_VERSION:
        return KVM_API_VERSION;
    case KVM_CREATE_VM:
    case GMEM_KVM_CREATE_GUEST_MEMFD:
        return memfd_create("kvm", MFD_CLOEXEC);
    case KVM_CHECK_EXTENSION:
        return capability == KVM_CAP_MEMORY_ATTRIBUTES ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 3;
    case GMEM_KVM_SET_MEMORY_ATTRIBUTES2:
        errno = ENOTTY;
        return -1;
    default:
        return 0;
    }
}

/* ---------------------------------------------------------------------------------------------
 * Locks */

/* Threads that hold locks must hold them during forks, but must not take processors from the
 * children. */
static void
stepBack(void)
{
    g_assert_cmpint(setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19), ==, 0);
}

static void *
takeSlices(void *data G_GNUC_UNUSED)
{
    gpointer blocks[200];
    size_t i, size;

    stepBack();
    while (!g_atomic_int_get(&stop)) {
        for (size = sizeof(GError); size <= 8 * sizeof(gpointer); size += sizeof(gpointer)) {
            for (i = 0; i < G_N_ELEMENTS(blocks); i++)
                blocks[i] = g_slice_alloc(size);
            for (i = 0; i < G_N_ELEMENTS(blocks); i++)
                g_slice_free1(size, blocks[i]);
        }
    }
    return NULL;
}

static void *
takeGLib(void *data G_GNUC_UNUSED)
{
    int i = 0;

    stepBack();
    while (!g_atomic_int_get(&stop)) {
        g_error_free(g_error_new_literal(G_FILE_ERROR, 1, g_strerror(i++ % 100)));
        g_quark_from_string("test");
    }
    return NULL;
}

static void *
takeGettext(void *data G_GNUC_UNUSED)
{
    stepBack();
    while (!g_atomic_int_get(&stop)) {
        bindtextdomain(GMEM_TEXT_DOMAIN, "/nonexistent/one");
        bindtextdomain(GMEM_TEXT_DOMAIN, "/nonexistent/another");
        dgettext(GMEM_TEXT_DOMAIN, "text");
    }
    return NULL;
}

/* ---------------------------------------------------------------------------------------------
 * Children */

typedef struct {
    const Case *test;
    char *emulator;
    int words; /* the child's standard error */
    pid_t pid;
} Child;

typedef struct {
    Child children[BATCH];
    size_t n;
    size_t rounds;
} Batch;

static void
start(Child *child)
{
    char *argv[G_N_ELEMENTS(child->test->argv) + 1] = {child->emulator};

    memcpy(argv + 1, child->test->argv, sizeof(child->test->argv));
    g_assert_cmpint(ftruncate(child->words, 0), ==, 0);
    child->pid = fork();
    if (child->pid == 0) {
        dup2(child->words, STDERR_FILENO);
        forked = true;
        noKVM = child->test->noKVM;
        execve(child->emulator, argv, environ);
        _exit(1);
    }
    g_assert_cmpint(child->pid, >, 0);
}

static void
finish(Child *child)
{
    struct pollfd fd = {.fd = (int)syscall(SYS_pidfd_open, child->pid, 0), .events = POLLIN};
    char text[4096] = "";
    int status = 0;

    g_assert_cmpint(fd.fd, >=, 0);
    if (poll(&fd, 1, PATIENCE) == 0)
        g_error("a child is stuck that should say '%s'", child->test->text);
    close(fd.fd);
    g_assert_cmpint(waitpid(child->pid, &status, 0), ==, child->pid);
    g_assert_cmpint(pread(child->words, text, sizeof(text) - 1, 0), >=, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != child->test->status ||
        strstr(text, child->test->text) == NULL)
        g_error("status 0x%x instead of %d, and not '%s': %s", (unsigned int)status,
                child->test->status, child->test->text, text);
}

/* All children share the page; if they refuse for any reason, it is in there. */
static void
checkRefusal(const Batch *batch)
{
    GError *refusal = gmemRefusalTake();
    bool refused = false;
    size_t i;

    for (i = 0; i < batch->n; i++)
        refused = refused || batch->children[i].test->status == REFUSED;
    g_assert_true((refusal != NULL) == refused);
    if (batch->children[0].test == &confCase)
        g_assert_nonnull(strstr(refusal->message, confCase.text));
    g_clear_error(&refusal);
    g_assert_null(gmemRefusalTake());
}

/* A thread that has no memory of its own from GLib's allocator, as may be the case for a worker of
 * libvirt's: its children's first allocation requires a lock. */
static void *
forkAll(void *data)
{
    Batch *batch = data;
    size_t i, round;

    for (round = 0; round < batch->rounds; round++) {
        gmemRefusalForget();
        for (i = 0; i < batch->n; i++)
            start(&batch->children[i]);
        for (i = 0; i < batch->n; i++)
            finish(&batch->children[i]);
        checkRefusal(batch);
    }
    return NULL;
}

static void
run(const Case *tests, size_t n, size_t count, const char *conf, bool valid)
{
    Batch batch = {.n = MIN(count, BATCH), .rounds = MAX(count / BATCH, 1)};
    pthread_t thread;
    size_t i;

    g_assert_cmpint(gmemHostConfRefresh(conf, NULL), ==, valid ? 0 : -1);
    for (i = 0; i < batch.n; i++) {
        batch.children[i].test = &tests[i % n];
        batch.children[i].emulator = g_build_filename(root, tests[i % n].emulator, NULL);
        batch.children[i].words = open(root, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
        g_assert_cmpint(batch.children[i].words, >=, 0);
    }
    g_assert_cmpint(pthread_create(&thread, NULL, forkAll, &batch), ==, 0);
    pthread_join(thread, NULL);
    for (i = 0; i < batch.n; i++) {
        g_free(batch.children[i].emulator);
        close(batch.children[i].words);
    }
}

static void
testForks(void)
{
    void *(*const takers[])(void *) = {takeSlices, takeSlices, takeGLib, takeGettext};
    pthread_t threads[G_N_ELEMENTS(takers)];
    size_t i;

    if (geteuid() != 0) {
        g_test_skip("only root can own a gmem.conf");
        return;
    }
    for (i = 0; i < G_N_ELEMENTS(takers); i++)
        g_assert_cmpint(pthread_create(&threads[i], NULL, takers[i], NULL), ==, 0);
    run(cases, G_N_ELEMENTS(cases), FORKS - CONF_FORKS, good, true);
    run(&confCase, 1, CONF_FORKS, bad, false);
    run(probes, G_N_ELEMENTS(probes), PROBE_FORKS, good, true);
    g_atomic_int_set(&stop, 1);
    for (i = 0; i < G_N_ELEMENTS(takers); i++)
        pthread_join(threads[i], NULL);
}

/* ---------------------------------------------------------------------------------------------
 * Preparations */

static void
copy(const char *from, const char *name, mode_t mode)
{
    g_autofree char *to = g_build_filename(root, name, NULL);
    g_autofree char *text = NULL;
    gsize length;

    g_assert_true(g_file_get_contents(from, &text, &length, NULL));
    g_assert_true(g_file_set_contents(to, text, (gssize)length, NULL));
    g_assert_cmpint(g_chmod(to, mode), ==, 0);
}

static char *
writeFile(const char *name, const char *text, mode_t mode)
{
    char *path = g_build_filename(root, name, NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(g_chmod(path, mode), ==, 0);
    return path;
}

/* An ELF image with a property @property of memory-backend-memfd; the parent has already asked
 * it. */
static void
makeKnown(const char *name, const char *property)
{
    static const char replies[] =
        "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 1, \"minor\": 2, \"major\": 9}}}}\n"
        "{\"return\": {}}\n"
        "{\"return\": [{\"name\": \"object-add\", \"arg-type\": \"1\", \"meta-type\": "
        "\"command\"}, "
        "{\"name\": \"1\", \"tag\": \"qom-type\", \"meta-type\": \"object\", \"members\": [], "
        "\"variants\": [{\"case\": \"memory-backend-memfd\", \"type\": \"2\"}]}, "
        "{\"name\": \"2\", \"meta-type\": \"object\", \"members\": [{\"name\": \"%s\", "
        "\"type\": \"bool\"}]}]}\n"
        "{\"return\": {}}\n";
    g_autofree char *path = g_build_filename(root, name, NULL);
    g_autofree char *repliesName = g_strconcat(name, ".replies", NULL);
    g_autofree char *countName = g_strconcat(name, ".count", NULL);
    g_autofree char *text = g_strdup_printf(replies, property);
    g_autoptr(gmemQEMUCaps) caps = NULL;
    g_autoptr(GError) error = NULL;

    g_free(writeFile(repliesName, text, 0644));
    g_free(writeFile(countName, "", 0666));
    copy(FAKE_EMULATOR, name, 0755);
    caps = gmemCapsCacheLookup(path, &error);
    g_assert_no_error(error);
}

static void
prepare(void)
{
    static const char *const scripts[] = {"answers", "garbage", "fails"};
    g_autofree char *cache = NULL;
    size_t i;

    root = g_dir_make_tmp("gmem-exec-XXXXXX", NULL);
    g_assert_nonnull(root);
    g_assert_cmpint(g_chmod(root, 0755), ==, 0);
    good = writeFile("good.conf", "[convertible]\nstart=private\n", 0644);
    bad = writeFile("bad.conf", "[no-such-group]\n", 0644);
    for (i = 0; i < G_N_ELEMENTS(scripts); i++) {
        g_autofree char *script = g_build_filename(FAKE_EMULATORS, scripts[i], NULL);

        copy(script, scripts[i], 0755);
    }
    cache = g_build_filename(root, "cache", NULL);
    gmemCapsCacheInit(cache, NULL);
    makeKnown("disk", "guest-memfd");
    gmemCapsCacheInit(NULL, NULL); /* discards what is in memory */
    gmemCapsCacheInit(cache, NULL);
    makeKnown("memory", "size");
}

int
main(int argc, char **argv)
{
    char *remove[] = {(char[]){"rm"}, (char[]){"-rf"}, NULL, NULL};
    int result;

    g_test_init(&argc, &argv, NULL);
    prepare();
    g_test_add_func("/driver-exec/forks", testForks);
    result = g_test_run();

    remove[2] = root;
    g_spawn_sync("/", remove, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
    g_free(root);
    g_free(good);
    g_free(bad);
    return result;
}
