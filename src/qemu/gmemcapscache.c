/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcapscache.c: the capabilities of QEMU binaries, cached on disk and in memory.
 *
 * Keys. An entry is valid for one binary as it is: path, modification and status change times (ns),
 * size, inode, kernel release. On disk it is also only valid for the library that wrote it, because
 * another build may look for more: its version, and the status change time of its file. If anything
 * differs, the entry is ignored, and the next store replaces it.
 *
 * Wrappers. A file that is not an ELF image (a script) says nothing about the QEMU that it starts,
 * which can be upgraded while the script does not change. Its results are never stored on disk, and
 * in memory they are only valid for a few seconds. This is long enough for the check in libvirt's
 * parent and the one in its child to cost one probe, and a result that becomes stale in between
 * does no harm, because QEMU refuses a property that it does not have.
 *
 * Disk. Whoever can write these files decides what QEMU is started with. So a file is only used if
 * it and its directory belong to root or to us, and nobody else may write them.
 *
 * Memory. Readers get the table from an atomic pointer and copy what they use; writers, one at a
 * time, build a new table and swap the pointer. The forked child does the same as any reader and so
 * does not need a lock: fork() gives it every other thread's writes up to some point in that
 * thread's order, and a table is complete before the pointer refers to it. A table that was swapped
 * out is freed when there is no reader: those that come after the swap see the new one. (A reader
 * in the child does not change the parent's count, and the child does not free anything.) */

#include "gmemcapscache.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "gmemautofd.h"
#include "gmemerror.h"
#include "gmemfile.h"
#include "gmemhash.h"
#include "gmemi18n.h"
#include "gmemjson.h"
#include "gmemprobe.h"
#include "gmemqemuconf.h"

#define GMEM_CAPS_CACHE_FORMAT 1

/* A file has some 400 bytes; paths can have 4 KiB. */
#define GMEM_CAPS_CACHE_FILE_MAX (16 * 1024)

/* The number of binaries in memory: hosts have a handful. The oldest is dropped if there are more.
 */
#define GMEM_CAPS_CACHE_ENTRIES_MAX 32

/* How long the result for a script is valid, in memory. */
#define GMEM_CAPS_CACHE_SCRIPT_MS 5000

typedef struct {
    gint64 mtime; /* ns */
    gint64 ctime; /* ns */
    guint64 size;
    guint64 inode;
    bool binary; /* an ELF image: what it is cannot change without the file's changing */
} gmemCapsCacheKey;

typedef struct {
    gmemCapsCacheKey key;
    gint64 made; /* CLOCK_MONOTONIC, ms */
    gmemQEMUCaps *caps;
} gmemCapsCacheEntry;

typedef struct gmemCapsCacheTable {
    char *directory; /* NULL: memory only */
    char *config;
    gmemCapsCacheEntry entries[GMEM_CAPS_CACHE_ENTRIES_MAX];
    size_t nentries;
    struct gmemCapsCacheTable *retired; /* swapped out before this one and not yet freed */
} gmemCapsCacheTable;

static GMutex gmemCapsCacheWriter; /* writers only, never taken by a reader or in a forked child */
static gmemCapsCacheTable *gmemCapsCacheCurrent;
static int gmemCapsCacheReaders;

/* Identifies the build of this library that writes and reads the files. Set once, before there is a
 * table; empty if it could not be determined, in which case there are no files. */
static char gmemCapsCacheSelf[64];

static void
gmemCapsCacheTableFree(gmemCapsCacheTable *table)
{
    while (table != NULL) {
        gmemCapsCacheTable *next = table->retired;
        size_t i;

        for (i = 0; i < table->nentries; i++)
            gmemQEMUCapsFree(table->entries[i].caps);
        g_free(table->directory);
        g_free(table->config);
        g_free(table);
        table = next;
    }
}

static const gmemCapsCacheTable *
gmemCapsCacheReadBegin(void)
{
    g_atomic_int_inc(&gmemCapsCacheReaders);
    return g_atomic_pointer_get(&gmemCapsCacheCurrent);
}

static void
gmemCapsCacheReadEnd(void)
{
    (void)g_atomic_int_dec_and_test(&gmemCapsCacheReaders);
}

/* Called with gmemCapsCacheWriter held. */
static void
gmemCapsCacheSwap(gmemCapsCacheTable *fresh)
{
    fresh->retired = g_atomic_pointer_get(&gmemCapsCacheCurrent);
    g_atomic_pointer_set(&gmemCapsCacheCurrent, fresh);
    if (g_atomic_int_get(&gmemCapsCacheReaders) == 0) {
        gmemCapsCacheTableFree(fresh->retired);
        fresh->retired = NULL;
    }
}

static gint64
gmemCapsCacheNow(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (gint64)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
gmemCapsCacheKeyEqual(const gmemCapsCacheKey *a, const gmemCapsCacheKey *b)
{
    return a->mtime == b->mtime && a->ctime == b->ctime && a->size == b->size &&
           a->inode == b->inode && a->binary == b->binary;
}

static bool
gmemCapsCacheIsELF(const char *path)
{
    static const char magic[] = {0x7f, 'E', 'L', 'F'};
    char start[sizeof(magic)];
    int why;
    GMEM_AUTO_FD fd = gmemFileOpen(path, &why);
    ssize_t got;

    if (fd < 0)
        return false;
    got = read(fd, start, sizeof(start));
    return got == (ssize_t)sizeof(start) && memcmp(start, magic, sizeof(magic)) == 0;
}

static int
gmemCapsCacheKeyRead(const char *emulator, gmemCapsCacheKey *key, GError **error)
{
    struct stat st;

    *key = (gmemCapsCacheKey){0};
    if (emulator[0] != '/')
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("the emulator '%1$s' is not an absolute path"), emulator);
    if (stat(emulator, &st) < 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("cannot use the emulator '%1$s': %2$s"), emulator,
                            gmemI18nErrno(errno));
    if (!S_ISREG(st.st_mode) || access(emulator, X_OK) < 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("the emulator '%1$s' is not an executable file"), emulator);
    key->mtime = (gint64)st.st_mtim.tv_sec * G_GINT64_CONSTANT(1000000000) + st.st_mtim.tv_nsec;
    key->ctime = (gint64)st.st_ctim.tv_sec * G_GINT64_CONSTANT(1000000000) + st.st_ctim.tv_nsec;
    key->size = (guint64)st.st_size;
    key->inode = (guint64)st.st_ino;
    key->binary = gmemCapsCacheIsELF(emulator);
    return 0;
}

static gmemQEMUCaps *
gmemCapsCacheTableFind(const gmemCapsCacheTable *table,
                       const char *emulator,
                       const gmemCapsCacheKey *key)
{
    size_t i;

    for (i = 0; table != NULL && i < table->nentries; i++) {
        const gmemCapsCacheEntry *entry = &table->entries[i];

        if (strcmp(entry->caps->emulator, emulator) == 0 &&
            gmemCapsCacheKeyEqual(&entry->key, key) &&
            (key->binary || gmemCapsCacheNow() - entry->made < GMEM_CAPS_CACHE_SCRIPT_MS))
            return gmemQEMUCapsCopy(entry->caps);
    }
    return NULL;
}

static bool
gmemCapsCacheMayTrust(const struct stat *st)
{
    return (st->st_uid == 0 || st->st_uid == geteuid()) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int
gmemCapsCacheOpenDirectory(const char *directory)
{
    GMEM_AUTO_FD fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !gmemCapsCacheMayTrust(&st))
        return -1;
    return gmemAutoFDSteal(&fd);
}

static char *
gmemCapsCacheFileName(const char *emulator)
{
    g_autofree char *hash = gmemHashSHA256(emulator, NULL);

    return hash != NULL ? g_strconcat(hash, ".json", NULL) : NULL;
}

static char *
gmemCapsCacheFileRead(const char *directory, const char *name)
{
    g_autofree char *text = NULL;
    struct stat st;
    ssize_t got = -1;
    GMEM_AUTO_FD dirfd = gmemCapsCacheOpenDirectory(directory);
    GMEM_AUTO_FD fd = -1;

    if (dirfd < 0)
        return NULL;
    fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    text = g_malloc(GMEM_CAPS_CACHE_FILE_MAX + 1);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && gmemCapsCacheMayTrust(&st))
        got = read(fd, text, GMEM_CAPS_CACHE_FILE_MAX + 1);
    if (got <= 0 || got > GMEM_CAPS_CACHE_FILE_MAX || memchr(text, '\0', (size_t)got) != NULL)
        return NULL;
    text[got] = '\0';
    return g_steal_pointer(&text);
}

static bool
gmemCapsCacheJSONHas(gmemJSON *json, const char *name, guint64 expected)
{
    unsigned long long value;

    return gmemJSONGetSize(json, name, &value) && value == expected;
}

static bool
gmemCapsCacheJSONIs(gmemJSON *json, const char *name, const char *expected)
{
    return g_strcmp0(gmemJSONGetString(json, name), expected) == 0;
}

static bool
gmemCapsCacheParseFlags(gmemJSON *array, guint64 *flags)
{
    size_t i, j;

    if (!gmemJSONIs(array, GMEM_JSON_ARRAY))
        return false;
    for (i = 0; i < gmemJSONCount(array); i++) {
        const char *name = gmemJSONText(gmemJSONItem(array, i));

        for (j = 0; j < GMEM_QEMU_CAPS_LAST; j++) {
            if (g_strcmp0(gmemQEMUCapsFlagToString((gmemQEMUCapsFlag)j), name) == 0)
                break;
        }
        if (j == GMEM_QEMU_CAPS_LAST)
            return false;
        *flags |= G_GUINT64_CONSTANT(1) << j;
    }
    return true;
}

static gmemQEMUCaps *
gmemCapsCacheParse(const char *text, const char *emulator, const gmemCapsCacheKey *key)
{
    g_autoptr(gmemJSON) json = gmemJSONParse(text, NULL);
    g_autoptr(gmemQEMUCaps) caps = g_new0(gmemQEMUCaps, 1);
    unsigned long long version;
    struct utsname host;

    if (json == NULL || gmemJSONHasDuplicates(json) || uname(&host) < 0 ||
        !gmemCapsCacheJSONHas(json, "format", GMEM_CAPS_CACHE_FORMAT) ||
        !gmemCapsCacheJSONIs(json, "writer", gmemCapsCacheSelf) ||
        !gmemCapsCacheJSONIs(json, "kernel", host.release) ||
        !gmemCapsCacheJSONIs(json, "emulator", emulator) ||
        !gmemCapsCacheJSONHas(json, "mtime", (guint64)key->mtime) ||
        !gmemCapsCacheJSONHas(json, "ctime", (guint64)key->ctime) ||
        !gmemCapsCacheJSONHas(json, "size", key->size) ||
        !gmemCapsCacheJSONHas(json, "inode", key->inode) ||
        !gmemJSONGetSize(json, "version", &version) || version > G_MAXUINT ||
        !gmemCapsCacheParseFlags(gmemJSONGet(json, "flags"), &caps->flags))
        return NULL;
    caps->emulator = g_strdup(emulator);
    caps->version = (unsigned int)version;
    return g_steal_pointer(&caps);
}

static gmemQEMUCaps *
gmemCapsCacheLoad(const char *directory, const char *emulator, const gmemCapsCacheKey *key)
{
    g_autofree char *name = NULL;
    g_autofree char *text = NULL;

    if (directory == NULL || gmemCapsCacheSelf[0] == '\0' || !key->binary)
        return NULL;
    name = gmemCapsCacheFileName(emulator);
    if (name == NULL)
        return NULL;
    text = gmemCapsCacheFileRead(directory, name);
    return text != NULL ? gmemCapsCacheParse(text, emulator, key) : NULL;
}

static void
gmemCapsCacheGenNumber(gmemJSONGen *gen, const char *name, guint64 value)
{
    gmemJSONGenString(gen, name);
    gmemJSONGenNumber(gen, value);
}

static void
gmemCapsCacheGenString(gmemJSONGen *gen, const char *name, const char *value)
{
    gmemJSONGenString(gen, name);
    gmemJSONGenString(gen, value);
}

static char *
gmemCapsCacheFormat(const gmemQEMUCaps *caps, const gmemCapsCacheKey *key)
{
    g_autoptr(gmemJSONGen) gen = gmemJSONGenNew();
    struct utsname host;
    size_t i;

    if (uname(&host) < 0)
        return NULL;
    gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
    gmemCapsCacheGenNumber(gen, "format", GMEM_CAPS_CACHE_FORMAT);
    gmemCapsCacheGenString(gen, "writer", gmemCapsCacheSelf);
    gmemCapsCacheGenString(gen, "kernel", host.release);
    gmemCapsCacheGenString(gen, "emulator", caps->emulator);
    gmemCapsCacheGenNumber(gen, "mtime", (guint64)key->mtime);
    gmemCapsCacheGenNumber(gen, "ctime", (guint64)key->ctime);
    gmemCapsCacheGenNumber(gen, "size", key->size);
    gmemCapsCacheGenNumber(gen, "inode", key->inode);
    gmemCapsCacheGenNumber(gen, "version", caps->version);
    gmemJSONGenString(gen, "flags");
    gmemJSONGenBegin(gen, GMEM_JSON_ARRAY);
    for (i = 0; i < GMEM_QEMU_CAPS_LAST; i++) {
        if (gmemQEMUCapsGet(caps, (gmemQEMUCapsFlag)i))
            gmemJSONGenString(gen, gmemQEMUCapsFlagToString((gmemQEMUCapsFlag)i));
    }
    gmemJSONGenEnd(gen, GMEM_JSON_ARRAY);
    gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
    return gmemJSONGenFinish(gen);
}

static int
gmemCapsCacheMakeDirectory(const char *directory)
{
    GMEM_AUTO_FD fd = gmemCapsCacheOpenDirectory(directory);

    if (fd >= 0 || errno != ENOENT)
        return gmemAutoFDSteal(&fd);
    if (g_mkdir_with_parents(directory, 0755) < 0)
        return -1;
    fd = gmemCapsCacheOpenDirectory(directory);
    /* QEMU's user reads files here, whatever the daemon's umask is. */
    if (fd >= 0 && fchmod(fd, 0755) < 0)
        return -1;
    return gmemAutoFDSteal(&fd);
}

/* A new file is either complete or does not exist, because another daemon may read it at any time.
 */
static int
gmemCapsCacheFileWrite(int dirfd, const char *name, const char *text)
{
    g_autofree char *temporary = g_strdup_printf(".%s.%ld", name, (long)syscall(SYS_gettid));
    size_t length = strlen(text);
    bool good;
    int fd;

    fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) { /* left behind by a thread of that number that was killed */
        unlinkat(dirfd, temporary, 0);
        fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    if (fd < 0)
        return -1;
    good = write(fd, text, length) == (ssize_t)length && fchmod(fd, 0644) == 0;
    good = close(fd) == 0 && good;
    if (good && renameat(dirfd, temporary, dirfd, name) == 0)
        return 0;
    unlinkat(dirfd, temporary, 0);
    return -1;
}

/* If a result cannot be stored, the only consequence is that the next start costs a probe. */
static void
gmemCapsCacheStore(const char *directory, const gmemQEMUCaps *caps, const gmemCapsCacheKey *key)
{
    g_autofree char *name = NULL;
    g_autofree char *text = NULL;
    GMEM_AUTO_FD dirfd = -1;

    if (directory == NULL || gmemCapsCacheSelf[0] == '\0' || !key->binary)
        return;
    name = gmemCapsCacheFileName(caps->emulator);
    text = gmemCapsCacheFormat(caps, key);
    if (name == NULL || text == NULL)
        return;
    dirfd = gmemCapsCacheMakeDirectory(directory);
    if (dirfd < 0) {
        g_info("cannot use the cache directory %s", directory);
        return;
    }
    if (gmemCapsCacheFileWrite(dirfd, name, text) < 0)
        g_info("cannot write to the cache directory %s: %s", directory, gmemI18nErrno(errno));
}

static void
gmemCapsCacheTableAppend(gmemCapsCacheTable *table,
                         const gmemQEMUCaps *caps,
                         const gmemCapsCacheKey *key,
                         gint64 made)
{
    gmemCapsCacheEntry *entry = &table->entries[table->nentries++];

    entry->key = *key;
    entry->made = made;
    entry->caps = gmemQEMUCapsCopy(caps);
}

/* Stores it in memory, unless the cache was switched to another directory meanwhile. */
static void
gmemCapsCacheRemember(const char *directory,
                      const char *config,
                      const gmemQEMUCaps *caps,
                      const gmemCapsCacheKey *key)
{
    gmemCapsCacheTable *fresh = g_new0(gmemCapsCacheTable, 1);
    const gmemCapsCacheTable *old;
    size_t i, first;

    fresh->directory = g_strdup(directory);
    fresh->config = g_strdup(config);
    g_mutex_lock(&gmemCapsCacheWriter);
    old = g_atomic_pointer_get(&gmemCapsCacheCurrent);
    if (old != NULL &&
        (g_strcmp0(old->directory, directory) != 0 || g_strcmp0(old->config, config) != 0)) {
        g_mutex_unlock(&gmemCapsCacheWriter);
        gmemCapsCacheTableFree(fresh);
        return;
    }
    first = old != NULL && old->nentries == GMEM_CAPS_CACHE_ENTRIES_MAX ? 1 : 0;
    for (i = first; old != NULL && i < old->nentries; i++) {
        const gmemCapsCacheEntry *entry = &old->entries[i];

        if (strcmp(entry->caps->emulator, caps->emulator) != 0)
            gmemCapsCacheTableAppend(fresh, entry->caps, &entry->key, entry->made);
    }
    gmemCapsCacheTableAppend(fresh, caps, key, gmemCapsCacheNow());
    gmemCapsCacheSwap(fresh);
    g_mutex_unlock(&gmemCapsCacheWriter);
}

/* Called with gmemCapsCacheWriter held, and never in the child: dladdr() takes the loader's lock.
 */
static void
gmemCapsCacheFindSelf(void)
{
    Dl_info self;
    struct stat st;

    if (gmemCapsCacheSelf[0] != '\0' || dladdr(&gmemCapsCacheCurrent, &self) == 0 ||
        stat(self.dli_fname, &st) < 0)
        return;
    g_snprintf(gmemCapsCacheSelf, sizeof(gmemCapsCacheSelf), PACKAGE_VERSION " %lld.%09ld",
               (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

void
gmemCapsCacheInit(const char *directory, const char *config)
{
    const gmemCapsCacheTable *old;
    gmemCapsCacheTable *fresh;

    g_mutex_lock(&gmemCapsCacheWriter);
    gmemCapsCacheFindSelf();
    old = g_atomic_pointer_get(&gmemCapsCacheCurrent);
    if (old == NULL || g_strcmp0(old->directory, directory) != 0 ||
        g_strcmp0(old->config, config) != 0) {
        fresh = g_new0(gmemCapsCacheTable, 1);
        fresh->directory = g_strdup(directory);
        fresh->config = g_strdup(config);
        gmemCapsCacheSwap(fresh);
    }
    g_mutex_unlock(&gmemCapsCacheWriter);
}

gmemQEMUCaps *
gmemCapsCacheLookup(const char *emulator, GError **error)
{
    g_autoptr(gmemQEMUCaps) caps = NULL;
    g_autofree char *directory = NULL;
    g_autofree char *config = NULL;
    const gmemCapsCacheTable *table;
    gmemQEMUUser user = {0};
    gmemCapsCacheKey before, after;

    if (gmemCapsCacheKeyRead(emulator, &before, error) < 0)
        return NULL;
    table = gmemCapsCacheReadBegin();
    caps = gmemCapsCacheTableFind(table, emulator, &before);
    if (table != NULL) {
        directory = g_strdup(table->directory);
        config = g_strdup(table->config);
    }
    gmemCapsCacheReadEnd();
    if (caps != NULL)
        return g_steal_pointer(&caps);

    caps = gmemCapsCacheLoad(directory, emulator, &before);
    if (caps != NULL) {
        gmemCapsCacheRemember(directory, config, caps, &before);
        return g_steal_pointer(&caps);
    }

    if (gmemQEMUConfGetUser(config, &user, error) < 0)
        return NULL;
    caps = gmemProbe(emulator, &user, GMEM_PROBE_TIMEOUT_MS, error);
    if (caps == NULL)
        return NULL;
    /* If the file was replaced during the probe, the answer could be either one's, so it is used
     * once and not stored. Nor is it stored if the shim was not loaded, which is not only due to
     * the emulator. */
    if (!gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_NO_SHIM) &&
        gmemCapsCacheKeyRead(emulator, &after, NULL) == 0 &&
        gmemCapsCacheKeyEqual(&before, &after)) {
        gmemCapsCacheStore(directory, caps, &after);
        gmemCapsCacheRemember(directory, config, caps, &after);
    }
    return g_steal_pointer(&caps);
}

gmemQEMUCaps *
gmemCapsCacheLookupInChild(const char *emulator, GError **error)
{
    const gmemCapsCacheTable *table = g_atomic_pointer_get(&gmemCapsCacheCurrent);
    gmemQEMUCaps *caps;
    gmemCapsCacheKey key;

    if (gmemCapsCacheKeyRead(emulator, &key, error) < 0)
        return NULL;
    caps = gmemCapsCacheTableFind(table, emulator, &key);
    if (caps == NULL && table != NULL)
        caps = gmemCapsCacheLoad(table->directory, emulator, &key);
    if (caps == NULL)
        caps = gmemProbe(emulator, NULL, GMEM_PROBE_TIMEOUT_MS, error);
    return caps;
}
