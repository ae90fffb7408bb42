/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_probe.c: asks the real QEMU, and emulators that misbehave in many ways
 * (../../fake-emulators). None of them may outlive the question, leak a descriptor or leave a
 * zombie. */

#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmemerror.h"
#include "gmemprobe.h"

#define QEMU "/usr/bin/qemu-system-x86_64"

/* For emulators that never answer. Others have GMEM_PROBE_TIMEOUT_MS, but do not require all of
 * it. */
#define SHORT_MS 400

static char *directory; /* where users without privileges can access the fake emulators */

static char *
fakePath(const char *name)
{
    return g_build_filename(directory, name, NULL);
}

static void
copyFake(const char *name)
{
    g_autofree char *from = g_build_filename(FAKE_EMULATORS, name, NULL);
    g_autofree char *to = fakePath(name);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    gsize length;

    g_file_get_contents(from, &text, &length, &error);
    g_assert_no_error(error);
    g_file_set_contents(to, text, (gssize)length, &error);
    g_assert_no_error(error);
    g_assert_cmpint(chmod(to, 0755), ==, 0);
}

static size_t
countDescriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;

    g_assert_nonnull(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* Whether a process other than this test is running that has our directory in its command line. */
static bool
fakesAreRunning(void)
{
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    g_autofree char *self = g_strdup_printf("%d", (int)getpid());
    const char *name;

    while ((name = g_dir_read_name(proc)) != NULL) {
        g_autofree char *path = g_build_filename("/proc", name, "cmdline", NULL);
        g_autofree char *text = NULL;
        gsize length = 0;

        if (!g_ascii_isdigit(name[0]) || strcmp(name, self) == 0 ||
            !g_file_get_contents(path, &text, &length, NULL))
            continue;
        if (memmem(text, length, directory, strlen(directory)) != NULL) {
            g_test_message("still there: %s", name);
            return true;
        }
    }
    return false;
}

/* Members of a killed process group die when they run next; those of a PID namespace have died when
 * its first process can be waited for. */
static bool
fakesStay(void)
{
    size_t i;

    for (i = 0; geteuid() != 0 && i < 1000 && fakesAreRunning(); i++)
        g_usleep(10000);
    return fakesAreRunning();
}

/* A probe, and what must hold after each one. */
static gmemQEMUCaps *
probe(const char *emulator, const gmemQEMUUser *user, unsigned int timeout, GError **error)
{
    size_t before = countDescriptors();
    gmemQEMUCaps *caps = gmemProbe(emulator, user, timeout, error);

    g_assert_cmpuint(countDescriptors(), ==, before);
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
    g_assert_cmpint(errno, ==, ECHILD);
    g_assert_false(fakesStay());
    g_assert_true((caps != NULL) != (*error != NULL));
    return caps;
}

static const gmemQEMUUser *
nobody(void)
{
    static gmemQEMUUser user = {65534, 65534};

    return geteuid() == 0 ? &user : NULL;
}

static void
testReal(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemQEMUCaps) caps = NULL;

    if (!g_file_test(QEMU, G_FILE_TEST_IS_EXECUTABLE)) {
        g_test_skip("no " QEMU);
        return;
    }
    caps = probe(QEMU, nobody(), GMEM_PROBE_TIMEOUT_MS, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(caps->emulator, ==, QEMU);
    g_assert_cmpuint(caps->version, >=, 6000000);
    g_test_message("version %u, flags 0x%" G_GINT64_MODIFIER "x", caps->version, caps->flags);
    g_assert_true(gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_MEMFD));
}

typedef struct {
    const char *name;
    unsigned int timeout;
    int code;
    const char *pattern; /* a part of the message; $ stands for the emulator's path in quotes */
} Case;

static const Case cases[] = {
    {"hangs", SHORT_MS, VIR_ERR_OPERATION_TIMEOUT,
     "the emulator $ did not report in time what it offers"},
    {"half-answers", SHORT_MS, VIR_ERR_OPERATION_TIMEOUT,
     "the emulator $ did not report in time what it offers"},
    {"floods", GMEM_PROBE_TIMEOUT_MS, VIR_ERR_INTERNAL_ERROR,
     "the emulator $ printed more than 16777216 bytes when it was asked what it offers"},
    {"floods-stderr", SHORT_MS, VIR_ERR_OPERATION_TIMEOUT,
     "the emulator $ did not report in time what it offers"},
    {"lies", GMEM_PROBE_TIMEOUT_MS, VIR_ERR_INTERNAL_ERROR,
     "the emulator $ did not answer query-qmp-schema with a list"},
    {"dies", GMEM_PROBE_TIMEOUT_MS, VIR_ERR_INTERNAL_ERROR,
     "the emulator $ was killed by signal 11 when it was asked what it offers: about to die"},
    {"fails", GMEM_PROBE_TIMEOUT_MS, VIR_ERR_INTERNAL_ERROR,
     "the emulator $ failed with exit status 7 when it was asked what it offers: ?[31mqemu: could "
     "not load a library  libfoo.so?[0m"},
    {"silent", GMEM_PROBE_TIMEOUT_MS, VIR_ERR_INTERNAL_ERROR,
     "the emulator $ does not speak QMP: it printed no message"},
    {"garbage", GMEM_PROBE_TIMEOUT_MS, VIR_ERR_INTERNAL_ERROR,
     "the emulator $ does not speak QMP: *"},
    {"nul", GMEM_PROBE_TIMEOUT_MS, VIR_ERR_INTERNAL_ERROR,
     "the emulator $ does not speak QMP: it printed no message"},
    {"missing", GMEM_PROBE_TIMEOUT_MS, VIR_ERR_INTERNAL_ERROR,
     "cannot execute the emulator $ to ask what it offers: No such file or directory"},
    {".", GMEM_PROBE_TIMEOUT_MS, VIR_ERR_INTERNAL_ERROR,
     "cannot execute the emulator $ to ask what it offers: Permission denied"},
};

static void
testCase(gconstpointer data)
{
    const Case *test = data;
    g_autofree char *path = fakePath(test->name);
    g_autofree char *quoted = g_strdup_printf("'%s'", path);
    g_auto(GStrv) parts = g_strsplit(test->pattern, "$", 2);
    g_autofree char *pattern = g_strjoinv(quoted, parts);
    g_autoptr(GError) error = NULL;

    g_assert_null(probe(path, nobody(), test->timeout, &error));
    if (g_str_has_suffix(pattern, "*"))
        g_assert_cmpint(strncmp(error->message, pattern, strlen(pattern) - 1), ==, 0);
    else
        g_assert_cmpstr(error->message, ==, pattern);
    g_assert_error(error, GMEM_ERROR, test->code);
}

static void
testAnswers(gconstpointer data)
{
    g_autofree char *path = fakePath(data);
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemQEMUCaps) caps = probe(path, nobody(), GMEM_PROBE_TIMEOUT_MS, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(caps->version, ==, 11002000);
    g_assert_cmphex(caps->flags, ==,
                    1 << GMEM_QEMU_CAPS_MEMFD | 1 << GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD);
}

/* The end of what it prints is kept. */
static void
testTalks(void)
{
    g_autofree char *path = fakePath("talks");
    g_autoptr(GString) all = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *message = NULL;
    int i;

    for (i = 100; i < 150; i++)
        g_string_append_printf(all, "line %d of what an emulator says at great length ", i);
    message = g_strdup_printf("the emulator '%s' failed with exit status 7 when it was asked what "
                              "it offers: %s",
                              path, g_strstrip(all->str + all->len - 1024));
    g_assert_null(probe(path, nobody(), GMEM_PROBE_TIMEOUT_MS, &error));
    g_assert_cmpstr(error->message, ==, message);
}

/* The emulator ends if whoever asks it is killed. */
static void
testOrphan(void)
{
    g_autofree char *path = fakePath("stays");
    int status;
    size_t i;
    pid_t pid;

    if (geteuid() != 0) {
        g_test_skip("what it has started itself stays without root");
        return;
    }
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        gmemProbe(path, nobody(), 60000, NULL);
        _exit(0);
    }
    for (i = 0; i < 1000 && !fakesAreRunning(); i++)
        g_usleep(10000);
    g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFSIGNALED(status));
    for (i = 0; i < 1000 && fakesAreRunning(); i++)
        g_usleep(10000);
    g_assert_false(fakesAreRunning());
}

/* Runs @function in a child with the user nobody, like libvirt's child before it becomes QEMU. */
static void
asNobody(void (*function)(gconstpointer), gconstpointer data)
{
    int status;
    pid_t pid = fork();

    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
            setresuid(65534, 65534, 65534) < 0)
            _exit(99);
        function(data);
        _exit(0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
}

static void
testUnprivileged(gconstpointer data)
{
    if (geteuid() != 0)
        testAnswers(data);
    else
        asNobody(testAnswers, data);
}

static void
testUnprivilegedHang(void)
{
    if (geteuid() != 0)
        testCase(&cases[0]);
    else
        asNobody(testCase, &cases[0]);
}

static char *
lastWords(const gmemQEMUUser *user)
{
    g_autofree char *path = fakePath("tells");
    g_autoptr(GError) error = NULL;

    g_assert_null(probe(path, user, GMEM_PROBE_TIMEOUT_MS, &error));
    g_test_message("%s", error->message);
    return g_strdup(error->message);
}

static void
assertSays(const char *words, const char *part)
{
    g_autofree char *padded = g_strconcat(" ", part, " ", NULL);
    g_autofree char *all = g_strconcat(words, " ", NULL);

    if (strstr(all, padded) == NULL)
        g_error("no '%s' in: %s", part, words);
}

/* Everything that it must not have. */
static void
testPrivileges(void)
{
    g_autofree char *words = NULL;
    sigset_t set, old;
    int fd = open("/dev/null", O_RDONLY); /* not O_CLOEXEC: it must be closed all the same */

    signal(SIGUSR2, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    g_setenv("LD_PRELOAD", "/nowhere/libvirt-gmem.so:/nowhere/qemu-gmem.so", TRUE);
    g_setenv("SECRET", "1", TRUE);
    g_setenv("TMPDIR", "/tmp", TRUE);
    words = lastWords(nobody());
    g_unsetenv("LD_PRELOAD");
    g_unsetenv("SECRET");
    g_unsetenv("TMPDIR");
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(SIGUSR2, SIG_DFL);
    close(fd);

    if (geteuid() == 0) {
        assertSays(words, "id=65534:65534:65534");
        assertSays(words, "CapBnd=0000000000000000");
    }
    assertSays(words, "CapPrm=0000000000000000 CapEff=0000000000000000");
    assertSays(words, "CapAmb=0000000000000000");
    assertSays(words, "NoNewPrivs=1");
    assertSays(words, "SigBlk=0000000000000000 SigIgn=0000000000000000");
    assertSays(words, "fds=0,1,2,3,");
    assertSays(words, "core=0 cwd=/ args=-S_-no-user-config_-nodefaults_-display_none_-machine_"
                      "none,accel=tcg:kvm_-qmp_stdio HOME=/ LC_ALL=C");
    assertSays(words, "TMPDIR=/tmp");
    g_assert_null(strstr(words, "LD_PRELOAD"));
    g_assert_null(strstr(words, "SECRET"));
}

static void
testPreload(void)
{
    g_autofree char *words = NULL;

    /* ld.so reports what it cannot load, and continues. */
    g_setenv("LD_PRELOAD",
             "/nowhere/libvirt-gmem.so /nowhere/first.so::qemu-gmem.so:libvirt-gmem.so.0:/x/y/"
             "qemu-gmem.so",
             TRUE);
    words = lastWords(nobody());
    g_unsetenv("LD_PRELOAD");
    assertSays(words, "LD_PRELOAD=/nowhere/first.so::libvirt-gmem.so.0");
}

/* qemu.conf may specify that QEMU runs as root; this means uid 0 and nothing more. */
static void
testRoot(void)
{
    gmemQEMUUser root = {0, 0};
    g_autofree char *words = NULL;
    g_autofree char *stays = NULL;

    if (geteuid() != 0) {
        g_test_skip("not root");
        return;
    }
    words = lastWords(&root);
    assertSays(words, "id=0:0:0");
    assertSays(words, "CapPrm=0000000000000000 CapEff=0000000000000000 CapBnd=0000000000000000");
    stays = lastWords(NULL);
    assertSays(stays, "CapPrm=0000000000000000 CapEff=0000000000000000 CapBnd=0000000000000000");
}

/* If the standard streams are closed, new descriptors get their numbers. */
static void
testClosedStreams(void)
{
    int status;
    pid_t pid = fork();

    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        g_autofree char *path = fakePath("answers");
        g_autoptr(GError) error = NULL;
        g_autoptr(gmemQEMUCaps) caps = NULL;

        close(0);
        close(1);
        close(2);
        caps = gmemProbe(path, nobody(), GMEM_PROBE_TIMEOUT_MS, &error);
        _exit(caps != NULL ? 0 : 1);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
}

/* If SIGCHLD is ignored, there is no exit status, but the answers are complete. */
static void
testIgnoredChildren(void)
{
    g_autofree char *path = fakePath("answers");
    g_autofree char *silent = fakePath("silent");
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemQEMUCaps) caps = NULL;

    signal(SIGCHLD, SIG_IGN);
    caps = probe(path, nobody(), GMEM_PROBE_TIMEOUT_MS, &error);
    g_assert_no_error(error);
    g_assert_null(probe(silent, nobody(), GMEM_PROBE_TIMEOUT_MS, &error));
    signal(SIGCHLD, SIG_DFL);
}

typedef struct {
    const char *text;    /* of qemu.conf; NULL: the file does not exist */
    const char *user;    /* the name of the user found, or its number */
    const char *group;   /* likewise; NULL: the default */
    const char *message; /* refused; $: the path */
} Config;

static const Config configs[] = {
    {NULL, NULL, NULL, NULL},
    {"", NULL, NULL, NULL},
    {"#user = \"daemon\"\n#group = \"daemon\"\n", NULL, NULL, NULL},
    {"user = \"daemon\"\n", "daemon", NULL, NULL},
    {"user=\"daemon\"\ngroup='bin'", "daemon", "bin", NULL},
    {"  user\t=\t'daemon' # not \"root\"\n", "daemon", NULL, NULL},
    {"user = \"\"\"daemon\"\"\"\n", "daemon", NULL, NULL},
    {"user = \"daemon\"\nuser = \"root\"\n", "daemon", NULL, NULL},
    {"users = \"root\"\nuser_x = \"root\"\nuser = \"+1234\"\ngroup = \"+0\"\n", "1234", "0", NULL},
    {"user = \"4321\"\ngroup = 77\n", "4321", "77", NULL},
    {"user = \"no-such-user\"\n", NULL, NULL,
     "user 'no-such-user', which '$' names, does not exist"},
    {"group = \"no-such-group\"\n", NULL, NULL,
     "group 'no-such-group', which '$' names, does not exist"},
    {"user = \"\"\n", NULL, NULL, "user '', which '$' names, does not exist"},
    {"user = \"+\"\n", NULL, NULL, "user '+', which '$' names, does not exist"},
    {"user = \"+4294967295\"\n", NULL, NULL, "user '+4294967295', which '$' names, does not exist"},
    {"user = \"-1\"\n", NULL, NULL, "user '-1', which '$' names, does not exist"},
    {"user = \"+1 \"\n", NULL, NULL, "user '+1 ', which '$' names, does not exist"},
};

static uid_t
userNumber(const char *name)
{
    struct passwd *entry = getpwnam(name);

    return entry != NULL ? entry->pw_uid : (uid_t)g_ascii_strtoull(name, NULL, 10);
}

static gid_t
groupNumber(const char *name)
{
    struct group *entry = getgrnam(name);

    return entry != NULL ? entry->gr_gid : (gid_t)g_ascii_strtoull(name, NULL, 10);
}

static void
testConfig(void)
{
    g_autofree char *path = fakePath("qemu.conf");
    gmemQEMUUser standard = {0, 0};
    size_t i;

    g_assert_cmpint(gmemQEMUConfGetUser(NULL, &standard, NULL), ==, 0);
    g_assert_cmpuint(standard.uid, !=, 0);
    g_assert_cmpuint(standard.gid, !=, 0);
    if (getpwnam(GMEM_QEMU_USER) != NULL)
        g_assert_cmpuint(standard.uid, ==, getpwnam(GMEM_QEMU_USER)->pw_uid);
    for (i = 0; i < G_N_ELEMENTS(configs); i++) {
        const Config *test = &configs[i];
        gmemQEMUUser user = {0, 0};
        g_autoptr(GError) error = NULL;

        g_unlink(path);
        if (test->text != NULL)
            g_assert_true(g_file_set_contents(path, test->text, -1, NULL));
        g_test_message("%s", test->text != NULL ? test->text : "(none)");
        if (test->message != NULL) {
            g_auto(GStrv) parts = g_strsplit(test->message, "$", 2);
            g_autofree char *message = g_strjoinv(path, parts);

            g_assert_cmpint(gmemQEMUConfGetUser(path, &user, &error), ==, -1);
            g_assert_cmpstr(error->message, ==, message);
            g_assert_error(error, GMEM_ERROR, VIR_ERR_INTERNAL_ERROR);
            continue;
        }
        g_assert_cmpint(gmemQEMUConfGetUser(path, &user, &error), ==, 0);
        g_assert_no_error(error);
        g_assert_cmpuint(user.uid, ==, test->user != NULL ? userNumber(test->user) : standard.uid);
        g_assert_cmpuint(user.gid, ==,
                         test->group != NULL ? groupNumber(test->group) : standard.gid);
    }
}

static void
assertConfigUnreadable(const char *path, const char *why)
{
    gmemQEMUUser user;
    g_autoptr(GError) error = NULL;
    g_autofree char *message = g_strdup_printf("cannot read '%s': %s", path, why);

    g_assert_cmpint(gmemQEMUConfGetUser(path, &user, &error), ==, -1);
    g_assert_cmpstr(error->message, ==, message);
    g_assert_error(error, GMEM_ERROR, VIR_ERR_INTERNAL_ERROR);
}

/* Such a file neither blocks the reader nor fills memory. */
static void
testConfigUnreadable(void)
{
    g_autofree char *fifo = fakePath("fifo");
    g_autofree char *large = fakePath("large");
    int fd;

    assertConfigUnreadable(directory, "it is not a regular file");
    assertConfigUnreadable("/dev/zero", "it is not a regular file");
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    assertConfigUnreadable(fifo, "it is not a regular file");
    fd = open(large, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    g_assert_cmpint(ftruncate(fd, G_MAXINT), ==, 0);
    close(fd);
    assertConfigUnreadable(large, "File too large");
    g_unlink(fifo);
    g_unlink(large);
}

static void
removeDirectory(void)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = fakePath(name);

        g_unlink(path);
    }
    g_rmdir(directory);
}

int
main(int argc, char **argv)
{
    static const char *const scripts[] = {
        "answers", "dies",         "escapes", "fails", "floods", "floods-stderr",
        "garbage", "half-answers", "hangs",   "hasty", "lies",   "lingers",
        "long",    "nul",          "silent",  "stays", "talks",  "tells",
    };
    size_t i;
    int status;

    g_setenv("LC_ALL", "C", TRUE);
    g_unsetenv("LD_PRELOAD");
    g_test_init(&argc, &argv, NULL);
    directory = g_dir_make_tmp("gmem-probe-XXXXXX", NULL);
    g_assert_cmpint(chmod(directory, 0755), ==, 0);
    for (i = 0; i < G_N_ELEMENTS(scripts); i++)
        copyFake(scripts[i]);

    g_test_add_func("/probe/real", testReal);
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/probe/", cases[i].name, NULL);

        g_test_add_data_func(strcmp(cases[i].name, ".") != 0 ? path : "/probe/directory", &cases[i],
                             testCase);
    }
    g_test_add_data_func("/probe/answers", "answers", testAnswers);
    g_test_add_data_func("/probe/hasty", "hasty", testAnswers);
    g_test_add_data_func("/probe/lingers", "lingers", testAnswers);
    g_test_add_data_func("/probe/long", "long", testAnswers);
    g_test_add_func("/probe/talks", testTalks);
    g_test_add_func("/probe/orphan", testOrphan);
    if (geteuid() == 0)
        g_test_add_data_func("/probe/escapes", "escapes", testAnswers);
    g_test_add_data_func("/probe/unprivileged/answers", "answers", testUnprivileged);
    g_test_add_data_func("/probe/unprivileged/lingers", "lingers", testUnprivileged);
    g_test_add_func("/probe/unprivileged/hangs", testUnprivilegedHang);
    g_test_add_func("/probe/privileges", testPrivileges);
    g_test_add_func("/probe/preload", testPreload);
    g_test_add_func("/probe/root", testRoot);
    g_test_add_func("/probe/closed-streams", testClosedStreams);
    g_test_add_func("/probe/ignored-children", testIgnoredChildren);
    g_test_add_func("/probe/config", testConfig);
    g_test_add_func("/probe/config-unreadable", testConfigUnreadable);
    status = g_test_run();
    removeDirectory();
    return status;
}
