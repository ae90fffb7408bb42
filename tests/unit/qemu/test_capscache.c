/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_capscache.c: which answers of emulators are kept, which are believed, and what the forked
 * child finds while other threads of its parent hold locks. The emulator is
 * ../../fake-emulators/fake-emulator.c, which counts how often it is asked.
 *
 * The source is included: a lock that is private to it has to be held at a fork. */

#include "config.h"

#include "../../../src/qemu/gmemcapscache.c"

#include <glib/gstdio.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#define REPLIES(property)                                                                          \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 1, \"minor\": 2, \"major\": 9}}}}\n"           \
    "{\"return\": {}}\n"                                                                           \
    "{\"return\": [{\"name\": \"object-add\", \"arg-type\": \"1\", \"meta-type\": \"command\"}, "  \
    "{\"name\": \"1\", \"tag\": \"qom-type\", \"meta-type\": \"object\", \"members\": [], "        \
    "\"variants\": [{\"case\": \"memory-backend-memfd\", \"type\": \"2\"}]}, "                     \
    "{\"name\": \"2\", \"meta-type\": \"object\", \"members\": [{\"name\": \"" property            \
    "\", \"type\": \"bool\"}]}]}\n"                                                                \
    "{\"return\": {}}\n"

#define MEMFD (G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_MEMFD)
#define PROPERTY (G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD)

/* A child that waits for a lock is killed after so many seconds. */
#define CHILD_PATIENCE 60

typedef struct {
    char *root; /* 0755: the emulator does not run as root */
    char *emulator;
    char *cache; /* the directory */
    char *file;  /* the cache file of @emulator */
} Fixture;

static void
writeText(const char *path, const char *text)
{
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
    g_assert_cmpint(chmod(path, 0644), ==, 0);
}

static void
setReplies(const char *emulator, const char *text)
{
    g_autofree char *path = g_strconcat(emulator, ".replies", NULL);

    writeText(path, text);
}

static char *
makeEmulator(const char *root, const char *name)
{
    char *path = g_build_filename(root, name, NULL);
    g_autofree char *count = g_strconcat(path, ".count", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    gsize length;

    g_file_get_contents(FAKE_EMULATOR, &text, &length, &error);
    g_assert_no_error(error);
    g_file_set_contents(path, text, (gssize)length, &error);
    g_assert_no_error(error);
    g_assert_cmpint(chmod(path, 0755), ==, 0);
    writeText(count, "");
    g_assert_cmpint(chmod(count, 0666), ==, 0);
    setReplies(path, REPLIES("guest-memfd"));
    return path;
}

static size_t
countProbes(const char *emulator)
{
    g_autofree char *path = g_strconcat(emulator, ".count", NULL);
    struct stat st;

    g_assert_cmpint(stat(path, &st), ==, 0);
    return (size_t)st.st_size;
}

/* Drops what is in memory, so that the next lookup reads the disk. */
static void
forget(const char *cache)
{
    gmemCapsCacheInit(NULL, "/nonexistent/other");
    gmemCapsCacheInit(cache, "/nonexistent/qemu.conf");
}

static void
setUp(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *hash = NULL;
    g_autofree char *name = NULL;

    fixture->root = g_dir_make_tmp("gmem-cache-XXXXXX", NULL);
    g_assert_cmpint(chmod(fixture->root, 0755), ==, 0);
    fixture->emulator = makeEmulator(fixture->root, "qemu");
    fixture->cache = g_build_filename(fixture->root, "var", "cache", "gmem", NULL);
    /* This does not use the code under test. */
    hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, fixture->emulator, -1);
    name = g_strconcat(hash, ".json", NULL);
    fixture->file = g_build_filename(fixture->cache, name, NULL);
    forget(fixture->cache);
}

static void
tearDown(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    char *argv[] = {(char[]){"rm"}, (char[]){"-rf"}, fixture->root, NULL};

    gmemCapsCacheInit(NULL, NULL);
    g_spawn_sync("/", argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
    g_free(fixture->root);
    g_free(fixture->emulator);
    g_free(fixture->cache);
    g_free(fixture->file);
}

static void
lookupFlags(const char *emulator, guint64 flags)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemQEMUCaps) caps = gmemCapsCacheLookup(emulator, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(caps->emulator, ==, emulator);
    g_assert_cmphex(caps->flags, ==, flags);
    g_assert_cmpuint(caps->version, ==, 9002001);
}

static void
lookup(const Fixture *fixture)
{
    lookupFlags(fixture->emulator, MEMFD | PROPERTY);
}

/* The directory contains only the file with this name; no temporary file was left behind. */
static void
assertOneFile(const Fixture *fixture)
{
    g_autoptr(GDir) dir = g_dir_open(fixture->cache, 0, NULL);
    g_autofree char *name = g_path_get_basename(fixture->file);

    g_assert_nonnull(dir);
    g_assert_cmpstr(g_dir_read_name(dir), ==, name);
    g_assert_null(g_dir_read_name(dir));
}

static void
testMemoryAndDisk(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    struct stat st;
    mode_t mask = umask(0077);

    lookup(fixture);
    umask(mask);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 1);
    lookup(fixture);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 1);
    gmemCapsCacheInit(fixture->cache, "/nonexistent/qemu.conf"); /* the same again: no change */
    g_assert_cmpuint(gmemCapsCacheCurrent->nentries, ==, 1);

    assertOneFile(fixture);
    g_assert_cmpint(lstat(fixture->file, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0644);
    g_assert_cmpuint(st.st_uid, ==, geteuid());
    g_assert_cmpint(lstat(fixture->cache, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFDIR | 0755);

    forget(fixture->cache);
    g_assert_cmpuint(gmemCapsCacheCurrent->nentries, ==, 0);
    lookup(fixture);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 1);
    g_assert_cmpuint(gmemCapsCacheCurrent->nentries, ==, 1);
}

static void
testMemoryOnly(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    gmemCapsCacheInit(NULL, NULL);
    lookup(fixture);
    lookup(fixture);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 1);
    g_assert_false(g_file_test(fixture->cache, G_FILE_TEST_EXISTS));
}

static void
damageWith(const char *path, const char *from, const char *to)
{
    g_autofree char *text = NULL;
    g_autofree char *damaged = NULL;
    char *at;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    at = strstr(text, from);
    g_assert_nonnull(at);
    damaged = g_strdup_printf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    writeText(path, damaged);
}

static void
damageEmpty(const Fixture *fixture)
{
    writeText(fixture->file, "");
}

static void
damageCut(const Fixture *fixture)
{
    struct stat st;

    g_assert_cmpint(stat(fixture->file, &st), ==, 0);
    g_assert_cmpint(truncate(fixture->file, st.st_size - 1), ==, 0);
}

static void
damageGarbage(const Fixture *fixture)
{
    writeText(fixture->file, "\x7f"
                             "ELF garbage");
}

static void
damageNul(const Fixture *fixture)
{
    FILE *file = fopen(fixture->file, "ae");

    g_assert_nonnull(file);
    g_assert_cmpint(fputc('\0', file), ==, 0);
    g_assert_cmpint(fclose(file), ==, 0);
}

static void
damageLong(const Fixture *fixture)
{
    g_autofree char *spaces = g_strnfill(GMEM_CAPS_CACHE_FILE_MAX, ' ');
    g_autofree char *start = g_strconcat(spaces, "{", NULL);

    damageWith(fixture->file, "{", start);
}

static void
damageFormat(const Fixture *fixture)
{
    damageWith(fixture->file, "\"format\":1", "\"format\":2");
}

static void
damageWriter(const Fixture *fixture)
{
    damageWith(fixture->file, "\"writer\":\"", "\"writer\":\"9");
}

static void
damageKernel(const Fixture *fixture)
{
    damageWith(fixture->file, "\"kernel\":\"", "\"kernel\":\"0");
}

static void
damageEmulator(const Fixture *fixture)
{
    damageWith(fixture->file, "\"emulator\":\"", "\"emulator\":\"/bin");
}

static void
damageSize(const Fixture *fixture)
{
    damageWith(fixture->file, "\"size\":", "\"size\":1");
}

static void
damageInode(const Fixture *fixture)
{
    damageWith(fixture->file, "\"inode\":", "\"inode\":1");
}

static void
damageTimes(const Fixture *fixture)
{
    damageWith(fixture->file, "\"mtime\":1", "\"mtime\":2");
}

static void
damageChangeTime(const Fixture *fixture)
{
    damageWith(fixture->file, "\"ctime\":1", "\"ctime\":2");
}

static void
damageFlag(const Fixture *fixture)
{
    damageWith(fixture->file, "\"memory-backend-memfd\"", "\"memory-backend-of-tomorrow\"");
}

static void
damageFlagType(const Fixture *fixture)
{
    damageWith(fixture->file, "\"memory-backend-memfd\"", "1");
}

static void
damageFlags(const Fixture *fixture)
{
    damageWith(fixture->file, "\"flags\":", "\"flags\":\"sw-protected-vm\",\"rest\":");
}

static void
damageVersion(const Fixture *fixture)
{
    damageWith(fixture->file, "\"version\":", "\"version\":1000000000000");
}

static void
damageTwice(const Fixture *fixture)
{
    damageWith(fixture->file, "\"format\":1", "\"format\":1,\"flags\":[\"sw-protected-vm\"]");
}

static void
damageGroupWritable(const Fixture *fixture)
{
    g_assert_cmpint(chmod(fixture->file, 0664), ==, 0);
}

static void
damageOthersWritable(const Fixture *fixture)
{
    g_assert_cmpint(chmod(fixture->file, 0646), ==, 0);
}

static void
damageOwner(const Fixture *fixture)
{
    g_assert_cmpint(chown(fixture->file, 65534, 65534), ==, 0);
}

static void
damageLink(const Fixture *fixture)
{
    g_autofree char *target = g_strconcat(fixture->file, ".target", NULL);

    g_assert_cmpint(rename(fixture->file, target), ==, 0);
    g_assert_cmpint(symlink(target, fixture->file), ==, 0);
}

static void
damageFifo(const Fixture *fixture)
{
    g_assert_cmpint(unlink(fixture->file), ==, 0);
    g_assert_cmpint(mkfifo(fixture->file, 0644), ==, 0);
}

typedef struct {
    const char *name;
    void (*damage)(const Fixture *fixture);
    bool root;
} Damage;

static const Damage damages[] = {
    {"empty", damageEmpty, false},
    {"cut", damageCut, false},
    {"garbage", damageGarbage, false},
    {"nul", damageNul, false},
    {"long", damageLong, false},
    {"other-format", damageFormat, false},
    {"other-writer", damageWriter, false},
    {"other-kernel", damageKernel, false},
    {"other-emulator", damageEmulator, false},
    {"other-size", damageSize, false},
    {"other-inode", damageInode, false},
    {"other-mtime", damageTimes, false},
    {"other-ctime", damageChangeTime, false},
    {"unknown-flag", damageFlag, false},
    {"flag-is-a-number", damageFlagType, false},
    {"flags-are-a-string", damageFlags, false},
    {"version-too-large", damageVersion, false},
    {"key-twice", damageTwice, false},
    {"group-writable", damageGroupWritable, false},
    {"writable-by-others", damageOthersWritable, false},
    {"foreign", damageOwner, true},
    {"symlink", damageLink, false},
    {"fifo", damageFifo, false},
};

/* Ignored, and replaced by a good one. */
static void
testDamage(Fixture *fixture, gconstpointer data)
{
    const Damage *test = data;
    g_autofree char *good = NULL;
    g_autofree char *now = NULL;
    struct stat st;

    if (test->root && geteuid() != 0) {
        g_test_skip("not root");
        return;
    }
    lookup(fixture);
    g_assert_true(g_file_get_contents(fixture->file, &good, NULL, NULL));
    test->damage(fixture);
    forget(fixture->cache);
    lookup(fixture);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 2);
    g_assert_cmpint(lstat(fixture->file, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0644);
    g_assert_cmpuint(st.st_uid, ==, geteuid());
    g_assert_true(g_file_get_contents(fixture->file, &now, NULL, NULL));
    g_assert_cmpstr(now, ==, good);
    forget(fixture->cache);
    lookup(fixture);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 2);
}

/* The answer is not lost if the file cannot be replaced. */
static void
testFileIsDirectory(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_assert_cmpint(g_mkdir_with_parents(fixture->file, 0755), ==, 0);
    lookup(fixture);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 1);
    assertOneFile(fixture);
}

static void
checkDirectoryRefused(const Fixture *fixture)
{
    lookup(fixture);
    forget(fixture->cache);
    lookup(fixture);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 2);
    g_assert_false(g_file_test(fixture->file, G_FILE_TEST_EXISTS));
}

static void
testDirectoryWritable(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_assert_cmpint(g_mkdir_with_parents(fixture->cache, 0755), ==, 0);
    g_assert_cmpint(chmod(fixture->cache, 01777), ==, 0);
    checkDirectoryRefused(fixture);
}

static void
testDirectoryForeign(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    if (geteuid() != 0) {
        g_test_skip("not root");
        return;
    }
    g_assert_cmpint(g_mkdir_with_parents(fixture->cache, 0755), ==, 0);
    g_assert_cmpint(chown(fixture->cache, 65534, 65534), ==, 0);
    checkDirectoryRefused(fixture);
}

static void
testDirectoryLink(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *parent = g_path_get_dirname(fixture->cache);

    g_assert_cmpint(g_mkdir_with_parents(parent, 0755), ==, 0);
    g_assert_cmpint(symlink(fixture->root, fixture->cache), ==, 0);
    checkDirectoryRefused(fixture);
}

static void
testDirectoryIsFile(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *parent = g_path_get_dirname(fixture->cache);

    g_assert_cmpint(g_mkdir_with_parents(parent, 0755), ==, 0);
    writeText(fixture->cache, "");
    checkDirectoryRefused(fixture);
}

/* A good directory that becomes a bad one: its contents are not believed any more. */
static void
testDirectoryTurns(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    lookup(fixture);
    g_assert_cmpint(chmod(fixture->cache, 0777), ==, 0);
    forget(fixture->cache);
    lookup(fixture);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 2);
}

static void
testUpgrade(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *other = NULL;
    struct timespec times[2];
    struct stat st;

    lookup(fixture);
    setReplies(fixture->emulator, REPLIES("something"));
    lookup(fixture); /* as long as the file stays as it is */

    /* Like a package manager: another file with the same name, and here with the same size and
     * time. */
    g_assert_cmpint(stat(fixture->emulator, &st), ==, 0);
    other = makeEmulator(fixture->root, "new");
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    g_assert_cmpint(utimensat(AT_FDCWD, other, times, 0), ==, 0);
    g_assert_cmpint(rename(other, fixture->emulator), ==, 0);
    lookupFlags(fixture->emulator, MEMFD);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 2);
    g_assert_cmpuint(gmemCapsCacheCurrent->nentries, ==, 1);
    forget(fixture->cache);
    lookupFlags(fixture->emulator, MEMFD);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 2);

    /* In place. */
    setReplies(fixture->emulator, REPLIES("guest-memfd"));
    times[1].tv_nsec = (times[1].tv_nsec + 1) % 1000000000;
    g_assert_cmpint(utimensat(AT_FDCWD, fixture->emulator, times, 0), ==, 0);
    lookup(fixture);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 3);
}

static void
testErrorNotKept(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;

    setReplies(fixture->emulator, "not today\n");
    g_assert_null(gmemCapsCacheLookup(fixture->emulator, &error));
    g_assert_error(error, GMEM_ERROR, VIR_ERR_INTERNAL_ERROR);
    g_assert_cmpuint(gmemCapsCacheCurrent->nentries, ==, 0);
    g_assert_false(g_file_test(fixture->cache, G_FILE_TEST_EXISTS));
    setReplies(fixture->emulator, REPLIES("guest-memfd"));
    lookup(fixture);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 2);
}

static void
testNoUser(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *config = g_build_filename(fixture->root, "qemu.conf", NULL);
    g_autofree char *message =
        g_strdup_printf("user 'no-such-user', which '%s' names, does not exist", config);
    g_autoptr(GError) error = NULL;

    writeText(config, "user = \"no-such-user\"\n");
    gmemCapsCacheInit(fixture->cache, config);
    g_assert_null(gmemCapsCacheLookup(fixture->emulator, &error));
    g_assert_cmpstr(error->message, ==, message);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 0);
}

/* A script stands for a QEMU that can be upgraded without changing the script. */
static void
testScript(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *script = g_build_filename(fixture->root, "wrapper", NULL);
    g_autofree char *text = g_strdup_printf("#!/bin/sh\nexec %s \"$@\"\n", fixture->emulator);

    writeText(script, text);
    g_assert_cmpint(chmod(script, 0755), ==, 0);
    lookupFlags(script, MEMFD | PROPERTY);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 1);
    g_assert_false(g_file_test(fixture->cache, G_FILE_TEST_EXISTS));
    g_assert_cmpuint(gmemCapsCacheCurrent->nentries, ==, 1);
    /* It is still valid for parent and child of one start. */
    gmemCapsCacheCurrent->entries[0].made = gmemCapsCacheNow();
    g_autoptr(gmemQEMUCaps) child = gmemCapsCacheLookupInChild(script, NULL);
    g_assert_nonnull(child);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 1);
    /* It is not valid any longer than that. */
    setReplies(fixture->emulator, REPLIES("something"));
    gmemCapsCacheCurrent->entries[0].made -= GMEM_CAPS_CACHE_SCRIPT_MS;
    lookupFlags(script, MEMFD);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 2);
    g_assert_false(g_file_test(fixture->cache, G_FILE_TEST_EXISTS));
}

static void
testUnusable(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *plain = g_build_filename(fixture->root, "plain", NULL);
    const struct {
        const char *path;
        char *message;
    } tests[] = {
        {"qemu", g_strdup("the emulator 'qemu' is not an absolute path")},
        {"", g_strdup("the emulator '' is not an absolute path")},
        {"/nonexistent",
         g_strdup("cannot use the emulator '/nonexistent': No such file or directory")},
        {fixture->root,
         g_strdup_printf("the emulator '%s' is not an executable file", fixture->root)},
        {plain, g_strdup_printf("the emulator '%s' is not an executable file", plain)},
    };
    size_t i;

    writeText(plain, "");
    for (i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GError) childs = NULL;

        g_assert_null(gmemCapsCacheLookup(tests[i].path, &error));
        g_assert_cmpstr(error->message, ==, tests[i].message);
        g_assert_error(error, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
        g_assert_null(gmemCapsCacheLookupInChild(tests[i].path, &childs));
        g_assert_cmpstr(childs->message, ==, tests[i].message);
        g_free(tests[i].message);
    }
}

/* What is asked while the file changes can be either one's answer. */
static void
testChanging(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *script = g_build_filename(fixture->root, "wrapper", NULL);
    g_autofree char *text =
        g_strdup_printf("#!/bin/sh\necho '#' >>$0\nexec %s \"$@\"\n", fixture->emulator);

    writeText(script, text);
    g_assert_cmpint(chmod(script, 0777), ==, 0);
    lookupFlags(script, MEMFD | PROPERTY);
    g_assert_cmpuint(gmemCapsCacheCurrent->nentries, ==, 0);
    lookupFlags(script, MEMFD | PROPERTY);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 2);
}

/* A file that a killed thread of that number has left behind is not in the way. */
static void
testLeftBehind(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *name = g_path_get_basename(fixture->file);
    g_autofree char *left =
        g_strdup_printf("%s/.%s.%ld", fixture->cache, name, (long)syscall(SYS_gettid));

    g_assert_cmpint(g_mkdir_with_parents(fixture->cache, 0755), ==, 0);
    writeText(left, "");
    lookup(fixture);
    assertOneFile(fixture);
}

/* Looks the emulator up in a separate process, which has nothing in memory. */
static void
lookupElsewhere(const Fixture *fixture, size_t probes)
{
    g_setenv("GMEM_TEST_EMULATOR", fixture->emulator, TRUE);
    g_setenv("GMEM_TEST_CACHE", fixture->cache, TRUE);
    g_test_trap_subprocess("/cache/subprocess/lookup", 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
    g_test_trap_assert_passed();
    g_assert_cmpuint(countProbes(fixture->emulator), ==, probes);
}

static void
testLookupSubprocess(void)
{
    gmemCapsCacheInit(g_getenv("GMEM_TEST_CACHE"), "/nonexistent/qemu.conf");
    lookupFlags(g_getenv("GMEM_TEST_EMULATOR"), MEMFD | PROPERTY);
}

/* What another build of the library wrote is not believed, because that build may have looked for
 * fewer things. The file of this program stands for the library's. */
static void
testOtherBuild(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    struct stat st;

    lookupElsewhere(fixture, 1);
    lookupElsewhere(fixture, 1);
    g_assert_cmpint(stat(self, &st), ==, 0);
    g_assert_cmpint(chmod(self, st.st_mode & 07777), ==, 0);
    lookupElsewhere(fixture, 2);
    lookupElsewhere(fixture, 2);
}

static void
testEviction(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    size_t i;

    gmemCapsCacheInit(NULL, NULL);
    for (i = 0; i < GMEM_CAPS_CACHE_ENTRIES_MAX + 5; i++) {
        g_autofree char *name = g_strdup_printf("qemu%zu", i);
        g_autofree char *path = makeEmulator(fixture->root, name);

        lookupFlags(path, MEMFD | PROPERTY);
    }
    g_assert_cmpuint(gmemCapsCacheCurrent->nentries, ==, GMEM_CAPS_CACHE_ENTRIES_MAX);
    g_assert_true(g_str_has_suffix(gmemCapsCacheCurrent->entries[0].caps->emulator, "/qemu5"));
    g_assert_null(gmemCapsCacheCurrent->retired);
}

/* A table that a reader may still be using remains until the next replacement without a reader. */
static void
testRetired(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    const gmemCapsCacheTable *held;

    lookup(fixture);
    held = gmemCapsCacheReadBegin();
    forget(fixture->cache);
    forget(fixture->cache);
    g_assert_nonnull(gmemCapsCacheCurrent->retired);
    g_assert_cmpstr(held->entries[0].caps->emulator, ==, fixture->emulator);
    gmemCapsCacheReadEnd();
    forget(fixture->cache);
    g_assert_null(gmemCapsCacheCurrent->retired);
}

typedef struct {
    const char *emulators[4];
    const char *cache;
} Shared;

static gpointer
lookupManyTimes(gpointer data)
{
    const Shared *shared = data;
    size_t i;

    for (i = 0; i < 200; i++) {
        lookupFlags(shared->emulators[i % G_N_ELEMENTS(shared->emulators)], MEMFD | PROPERTY);
        if (i % 50 == 49)
            forget(shared->cache);
    }
    return NULL;
}

static void
testThreads(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    GThread *threads[4];
    Shared shared = {.cache = fixture->cache};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(shared.emulators); i++) {
        g_autofree char *name = g_strdup_printf("qemu%zu", i);

        shared.emulators[i] = makeEmulator(fixture->root, name);
    }
    for (i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("lookup", lookupManyTimes, &shared);
    for (i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    g_assert_cmpint(gmemCapsCacheReaders, ==, 0);
    for (i = 0; i < G_N_ELEMENTS(shared.emulators); i++)
        g_free((char *)shared.emulators[i]);
}

static void
waitForChild(pid_t pid)
{
    int status;

    g_assert_cmpint(pid, >, 0);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
}

/* Two daemons that start at the same time, and a few more. */
static void
testProcesses(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    pid_t pids[4];
    size_t i, j;

    for (i = 0; i < G_N_ELEMENTS(pids); i++) {
        pids[i] = fork();
        if (pids[i] != 0)
            continue;
        for (j = 0; j < 10; j++) {
            forget(fixture->cache);
            g_unlink(fixture->file);
            lookup(fixture);
        }
        forget(fixture->cache);
        lookup(fixture);
        _exit(0);
    }
    for (i = 0; i < G_N_ELEMENTS(pids); i++)
        waitForChild(pids[i]);
    assertOneFile(fixture);
    i = countProbes(fixture->emulator);
    lookup(fixture);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, i);
}

static GMutex testReady;

/* Holds every lock that it can get, until @testReady is free. */
static gpointer
holdLocks(gpointer locked)
{
    g_mutex_lock(&gmemCapsCacheWriter);
    flockfile(stdout);
    flockfile(stderr);
    g_atomic_int_set((int *)locked, 1);
    g_mutex_lock(&testReady);
    g_mutex_unlock(&testReady);
    funlockfile(stderr);
    funlockfile(stdout);
    g_mutex_unlock(&gmemCapsCacheWriter);
    return NULL;
}

/* Does what libvirt's child does, including the change to QEMU's user if it is root. Exit status 0
 * means that it was found. */
static void
lookupInForkedChild(const char *emulator, guint64 flags)
{
    int locked = 0;
    GThread *thread;
    pid_t pid;

    g_mutex_lock(&testReady);
    thread = g_thread_new("holder", holdLocks, &locked);
    while (!g_atomic_int_get(&locked))
        g_thread_yield();
    pid = fork();
    if (pid == 0) {
        gmemQEMUCaps *caps;

        alarm(CHILD_PATIENCE);
        if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
                               setresuid(65534, 65534, 65534) < 0))
            _exit(2);
        caps = gmemCapsCacheLookupInChild(emulator, NULL);
        if (caps == NULL)
            _exit(3);
        _exit(caps->flags == flags ? 0 : 4);
    }
    g_mutex_unlock(&testReady);
    g_thread_join(thread);
    waitForChild(pid);
}

static void
testChild(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *script = g_build_filename(fixture->root, "wrapper", NULL);
    g_autofree char *text = g_strdup_printf("#!/bin/sh\nexec %s \"$@\"\n", fixture->emulator);

    /* It is not found anywhere: the child asks the emulator itself, and does not write a file. */
    lookupInForkedChild(fixture->emulator, MEMFD | PROPERTY);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 1);
    g_assert_false(g_file_test(fixture->cache, G_FILE_TEST_EXISTS));

    /* From memory. */
    lookup(fixture);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 2);
    lookupInForkedChild(fixture->emulator, MEMFD | PROPERTY);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 2);

    /* From disk. */
    forget(fixture->cache);
    lookupInForkedChild(fixture->emulator, MEMFD | PROPERTY);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 2);

    /* Not from a file that others could have written. */
    g_assert_cmpint(chmod(fixture->file, 0666), ==, 0);
    lookupInForkedChild(fixture->emulator, MEMFD | PROPERTY);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 3);

    writeText(script, text);
    g_assert_cmpint(chmod(script, 0755), ==, 0);
    lookupInForkedChild(script, MEMFD | PROPERTY);
    g_assert_cmpuint(countProbes(fixture->emulator), ==, 4);
}

/* Forks while the other threads do whatever they do. */
static void
testChildAmongThreads(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    GThread *threads[2];
    Shared shared = {.cache = fixture->cache};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(shared.emulators); i++) {
        g_autofree char *name = g_strdup_printf("qemu%zu", i);

        shared.emulators[i] = makeEmulator(fixture->root, name);
        lookupFlags(shared.emulators[i], MEMFD | PROPERTY);
    }
    for (i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("lookup", lookupManyTimes, &shared);
    for (i = 0; i < 100; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            gmemQEMUCaps *caps;

            alarm(CHILD_PATIENCE);
            caps = gmemCapsCacheLookupInChild(shared.emulators[i % 4], NULL);
            _exit(caps != NULL && caps->flags == (MEMFD | PROPERTY) ? 0 : 1);
        }
        waitForChild(pid);
    }
    for (i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    for (i = 0; i < G_N_ELEMENTS(shared.emulators); i++)
        g_free((char *)shared.emulators[i]);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*function)(Fixture *fixture, gconstpointer data);
    } tests[] = {
        {"/cache/memory-and-disk", testMemoryAndDisk},
        {"/cache/memory-only", testMemoryOnly},
        {"/cache/file-is-directory", testFileIsDirectory},
        {"/cache/directory/writable-by-others", testDirectoryWritable},
        {"/cache/directory/foreign", testDirectoryForeign},
        {"/cache/directory/symlink", testDirectoryLink},
        {"/cache/directory/file", testDirectoryIsFile},
        {"/cache/directory/turns", testDirectoryTurns},
        {"/cache/upgrade", testUpgrade},
        {"/cache/error-not-kept", testErrorNotKept},
        {"/cache/no-user", testNoUser},
        {"/cache/script", testScript},
        {"/cache/changing", testChanging},
        {"/cache/left-behind", testLeftBehind},
        {"/cache/unusable", testUnusable},
        {"/cache/other-build", testOtherBuild},
        {"/cache/eviction", testEviction},
        {"/cache/retired", testRetired},
        {"/cache/threads", testThreads},
        {"/cache/processes", testProcesses},
        {"/cache/child", testChild},
        {"/cache/child-among-threads", testChildAmongThreads},
    };
    size_t i;

    g_setenv("LC_ALL", "C", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cache/subprocess/lookup", testLookupSubprocess);
    for (i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, setUp, tests[i].function, tearDown);
    for (i = 0; i < G_N_ELEMENTS(damages); i++) {
        g_autofree char *path = g_strconcat("/cache/damaged/", damages[i].name, NULL);

        g_test_add(path, Fixture, &damages[i], setUp, testDamage, tearDown);
    }
    return g_test_run();
}
