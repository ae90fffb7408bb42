/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolmemory.c: the memory of a running domain, as far as it is known from outside QEMU.
 *
 * QEMU's command line has its memory backends. qemu-gmem.so publishes which guest_memfd belongs to
 * which backend, what is private, and where in the guest it is (gmemshimstatus.h). For a QEMU that
 * makes guest_memfd itself, only the kernel can be asked: a guest_memfd belongs to the backend with
 * its size if there is only one. How much of a guest_memfd is in memory, the kernel reports for a
 * duplicate of its descriptor, whether it can be mapped or not. */

#include "config.h"

#include "gmemtoolmemory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemargv.h"
#include "gmemautofd.h"
#include "gmemcapabilities.h"
#include "gmemcommandline.h"
#include "gmemi18n.h"
#include "gmemmode.h"
#include "gmemprops.h"
#include "gmemqemunames.h"
#include "gmemtoolproc.h"

#define GMEM_NODES_WITH_MEMORY "/sys/devices/system/node/has_memory"

static void
backendFree(gmemToolBackend *backend)
{
    g_free(backend->id);
    g_free(backend->policy);
    g_free(backend->nodes);
    if (backend->fd >= 0)
        close(backend->fd);
    if (backend->ranges != NULL)
        g_array_unref(backend->ranges);
    g_free(backend);
}

static gmemToolBackend *
backendNew(GPtrArray *backends)
{
    gmemToolBackend *backend = g_new0(gmemToolBackend, 1);

    backend->cell = backend->size = backend->gmemResident = backend->ordinaryResident = -1;
    backend->privateBytes = backend->sharedBytes = backend->toPrivate = backend->toShared = -1;
    backend->fd = -1;
    g_ptr_array_add(backends, backend);
    return backend;
}

void
gmemToolDomainFree(gmemToolDomain *domain)
{
    g_free(domain->name);
    g_free(domain->status);
    g_free(domain->cgroup);
    g_clear_pointer(&domain->backends, g_ptr_array_unref);
    g_clear_pointer(&domain->holders, g_ptr_array_unref);
    g_clear_pointer(&domain->files, g_array_unref);
    g_clear_pointer(&domain->mappings, g_array_unref);
    g_free(domain->error);
    g_free(domain);
}

bool
gmemToolIsFullyShared(const gmemToolDomain *domain)
{
    return g_strcmp0(domain->mode, gmemModeToString(GMEM_MODE_FULLY_SHARED)) == 0;
}

char *
gmemToolClean(const char *text, size_t length)
{
    g_autofree char *copy = g_strndup(text, strnlen(text, length));
    g_autofree char *valid = g_utf8_make_valid(copy, -1);
    GString *clean = g_string_new(NULL);
    const char *p;

    for (p = valid; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        g_string_append_unichar(clean, g_unichar_isprint(c) ? c : 0xfffd);
    }
    return g_string_free(clean, FALSE);
}

/* ---- the command line ---- */

/* The name in the value of -name, "guest=NAME,debug-threads=on", in which a comma of the name is
 * doubled, or NULL. */
static char *
nameFromOption(const char *value)
{
    GString *name = g_string_new(NULL);
    const char *p = value;

    /* Unlike the others, the first part can be without "guest=". */
    while (p != NULL && !g_str_has_prefix(p, "guest=")) {
        if ((p = strchr(p, ',')) != NULL)
            p++;
    }
    for (p = p != NULL ? p + strlen("guest=") : NULL;
         p != NULL && *p != '\0' && (p[0] != ',' || p[1] == ','); p++) {
        if (*p == ',')
            p++;
        g_string_append_c(name, *p);
    }
    return g_string_free(name, name->len == 0);
}

static char *
readPolicy(const gmemProps *props)
{
    g_autofree char *policy = gmemPropsGet(props, "policy");
    g_autofree char *nodes = gmemPropsGetList(props, "host-nodes");

    if (nodes == NULL)
        return g_strdup(policy != NULL && strcmp(policy, "default") != 0 ? policy : "none");
    g_strdelimit(nodes, "[]", ' ');
    return g_strdup_printf("%s %s", policy != NULL ? policy : "default", g_strstrip(nodes));
}

/* Determines from the launch objects and backends what makes guest_memfd, and in which kind of VM.
 */
static void
readKind(gmemToolDomain *domain, const char *type, const gmemProps *props)
{
    const char *launch = gmemCommandLineLaunchType(type);

    if (launch != NULL)
        domain->mode = launch;
    if (domain->mode == NULL && gmemQEMUCapsIsSupplied(props))
        domain->mode = gmemModeToString(GMEM_MODE_FULLY_SHARED);
}

static void
readObject(gmemToolDomain *domain, const gmemArgvOption *option)
{
    g_auto(gmemProps) props = {0};
    g_autofree char *type = NULL;
    unsigned long long size = 0;
    gmemToolBackend *backend;

    if (gmemPropsInit(&props, option, GMEM_PROPS_OPTS_OR_JSON, "qom-type", NULL) < 0 ||
        (type = gmemPropsGet(&props, "qom-type")) == NULL)
        return;
    readKind(domain, type, &props);
    if (!g_str_has_prefix(type, GMEM_QEMU_MEMORY_BACKEND))
        return;
    backend = backendNew(domain->backends);
    backend->id = gmemPropsGet(&props, "id");
    backend->size = gmemPropsGetSize(&props, "size", &size) ? (gint64)size : -1;
    backend->policy = readPolicy(&props);
}

/* Makes @id's entry RAM of the machine, in NUMA cell @cell. */
static void
markRam(gmemToolDomain *domain, GHashTable *ram, const char *id, gint64 cell)
{
    guint i;

    for (i = 0; id != NULL && i < domain->backends->len; i++) {
        gmemToolBackend *backend = domain->backends->pdata[i];

        if (g_strcmp0(backend->id, id) == 0) {
            backend->cell = cell;
            g_hash_table_add(ram, backend);
        }
    }
}

static gint64
readNumber(const gmemProps *props, const char *key)
{
    g_autofree char *text = gmemPropsGet(props, key);

    return text != NULL ? g_ascii_strtoll(text, NULL, 0) : -1;
}

static void
readUse(gmemToolDomain *domain, GHashTable *ram, const gmemArgvOption *option)
{
    bool machine = strcmp(option->name, "machine") == 0;
    bool numa = strcmp(option->name, "numa") == 0;
    g_auto(gmemProps) props = {0};
    g_autofree char *id = NULL;
    g_autofree char *driver = NULL;

    if (gmemPropsInit(&props, option,
                      machine ? GMEM_PROPS_KEYVAL
                      : numa  ? GMEM_PROPS_OPTS
                              : GMEM_PROPS_OPTS_OR_JSON,
                      machine || numa ? "type" : "driver", NULL) < 0)
        return;
    driver = gmemPropsGet(&props, "driver");
    if (!machine && !numa &&
        (driver == NULL || gmemCommandLineDeviceUse(driver, "memdev") != GMEM_USE_RAM))
        return;
    id = gmemPropsGet(&props, machine ? "memory-backend" : "memdev");
    markRam(domain, ram, id, machine ? 0 : readNumber(&props, numa ? "nodeid" : "node"));
}

/* The RAM backends, in the order in which QEMU creates them. */
static void
readCommandLine(gmemToolDomain *domain, char *const argv[])
{
    g_autoptr(GHashTable) ram = g_hash_table_new(NULL, NULL);
    gmemArgvOption option;
    size_t position = 0;
    guint i;

    while (gmemArgvNext(argv, &position, &option)) {
        if (option.name != NULL && option.value != NULL && strcmp(option.name, "object") == 0)
            readObject(domain, &option);
    }
    for (position = 0; gmemArgvNext(argv, &position, &option);) {
        if (option.name != NULL && option.value != NULL &&
            (strcmp(option.name, "machine") == 0 || strcmp(option.name, "numa") == 0 ||
             strcmp(option.name, "device") == 0))
            readUse(domain, ram, &option);
    }
    for (i = domain->backends->len; i-- > 0;) {
        if (!g_hash_table_contains(ram, domain->backends->pdata[i]))
            g_ptr_array_remove_index(domain->backends, i);
    }
}

/* @directory: /proc/PID. The name is not cleaned, because it is compared with what the user asks
 * for. */
static void
readArguments(gmemToolDomain *domain, int directory)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    gsize length = 0;
    g_autofree char *text = gmemToolText(directory, "cmdline", &length);
    gmemArgvOption option;
    char *p;

    for (p = text; p != NULL && p < text + length; p += strlen(p) + 1)
        g_ptr_array_add(argv, p);
    g_ptr_array_add(argv, NULL);
    if (argv->len < 2)
        return;
    if (gmemArgvFind((char *const *)argv->pdata, "name", &option) > 0 && option.value != NULL)
        domain->name = nameFromOption(option.value);
    readCommandLine(domain, (char *const *)argv->pdata);
}

/* ---- which guest_memfd is whose ---- */

/* What qemu-gmem.so reports in mode fully-shared: the first entries are the command line's
 * backends. */
static void
matchShared(gmemToolDomain *domain)
{
    const gmemShimStatus *status = domain->status;
    guint known = domain->backends->len;
    uint32_t i;

    for (i = 0; i < status->backends; i++) {
        gmemToolBackend *backend = i < known ? domain->backends->pdata[i] : NULL;

        if (backend != NULL && backend->size != (gint64)status->backend[i].sharedBytes)
            return;
        if (backend == NULL) {
            backend = backendNew(domain->backends);
            backend->size = (gint64)status->backend[i].sharedBytes;
        }
        backend->inode = status->backend[i].inode;
    }
}

static void
matchConvertible(gmemToolDomain *domain)
{
    const gmemShimStatus *status = domain->status;
    uint32_t i;

    for (i = 0; i < status->backends; i++) {
        const gmemShimStatusBackend *published = &status->backend[i];
        gmemToolBackend *backend = NULL;
        guint j;

        for (j = 0; j < domain->backends->len && backend == NULL; j++) {
            gmemToolBackend *other = domain->backends->pdata[j];

            if (strncmp(other->id != NULL ? other->id : "", published->id,
                        sizeof(published->id) - 1) == 0)
                backend = other;
        }
        if (backend == NULL) {
            backend = backendNew(domain->backends);
            backend->id = g_strndup(published->id, sizeof(published->id));
            backend->size = (gint64)(published->privateBytes + published->sharedBytes);
        }
        backend->privateBytes = (gint64)published->privateBytes;
        backend->sharedBytes = (gint64)published->sharedBytes;
        backend->toPrivate = (gint64)published->toPrivate;
        backend->toShared = (gint64)published->toShared;
        backend->inode = published->inode;
        backend->address = published->address;
    }
}

/* The size of a guest_memfd, or -1. @fd: out: a duplicate, or -1. */
static gint64
sizeOf(const gmemToolDomain *domain, const gmemToolFile *file, int *fd)
{
    struct stat st;

    *fd = gmemToolDuplicate(domain->pid, file->fd);
    return *fd >= 0 && fstat(*fd, &st) == 0 && st.st_ino == file->inode ? st.st_size : -1;
}

/* The backend of this guest_memfd, by what is published or by its size, or NULL if that is unknown.
 */
static gmemToolBackend *
owner(const gmemToolDomain *domain, const gmemToolFile *file, gint64 size)
{
    gmemToolBackend *found = NULL;
    guint same = 0;
    guint i;

    for (i = 0; i < domain->backends->len; i++) {
        gmemToolBackend *backend = domain->backends->pdata[i];

        if (backend->inode == file->inode)
            return backend;
        if (backend->inode == 0 && backend->size == size) {
            found = backend;
            same++;
        }
    }
    return same == 1 ? found : NULL;
}

/* Assigns each guest_memfd to its backend; one that could belong to several gets an entry of its
 * own. */
static void
matchFiles(gmemToolDomain *domain)
{
    guint i;

    for (i = 0; i < domain->files->len; i++) {
        const gmemToolFile *file = &g_array_index(domain->files, gmemToolFile, i);
        gmemToolBackend *backend;
        gint64 size;
        int fd;

        if (!file->gmem)
            continue;
        size = sizeOf(domain, file, &fd);
        if ((backend = owner(domain, file, size)) == NULL || backend->fd >= 0) {
            backend = backendNew(domain->backends);
            backend->size = size;
        }
        backend->inode = file->inode;
        backend->fd = fd;
        backend->gmemResident = gmemToolCached(fd, 0, (guint64)MAX(size, 0));
    }
}

/* A DIMM that was removed is still in the status. */
static void
dropGone(gmemToolDomain *domain)
{
    guint i;

    for (i = domain->backends->len; i-- > 0;) {
        const gmemToolBackend *backend = domain->backends->pdata[i];

        if (backend->id == NULL && backend->inode != 0 && backend->fd < 0)
            g_ptr_array_remove_index(domain->backends, i);
    }
}

/* ---- where it is ---- */

static void
findAddress(const gmemToolDomain *domain, gmemToolBackend *backend)
{
    guint i;

    for (i = 0; domain->mappings != NULL && backend->inode != 0 && i < domain->mappings->len; i++) {
        const gmemToolMapping *mapping = &g_array_index(domain->mappings, gmemToolMapping, i);

        if (mapping->gmem && mapping->inode == backend->inode && mapping->offset == 0 &&
            backend->address == 0)
            backend->address = mapping->start;
    }
}

static int
compareRanges(const void *a, const void *b)
{
    const gmemToolRange *one = a;
    const gmemToolRange *two = b;

    return one->start < two->start ? -1 : one->start > two->start;
}

/* Determines the guest addresses of @backend. Address space 0 is ordinary memory. */
static void
findRanges(gmemToolBackend *backend, const GArray *slots)
{
    guint i;

    backend->ranges = g_array_new(FALSE, TRUE, sizeof(gmemToolRange));
    for (i = 0; i < slots->len; i++) {
        const gmemShimStatusSlot *slot = &g_array_index(slots, gmemShimStatusSlot, i);
        gmemToolRange range = {slot->guest, slot->size, slot->address - backend->address};

        if (slot->number >> 16 == 0 && slot->address >= backend->address &&
            range.offset < (guint64)backend->size &&
            slot->size <= (guint64)backend->size - range.offset)
            g_array_append_val(backend->ranges, range);
    }
    g_array_sort(backend->ranges, compareRanges);
}

/* The nodes of the pages that QEMU has mapped there, counted from @maps. */
static char *
findNodes(const gmemToolBackend *backend, const char *maps)
{
    g_autofree guint64 *pages = g_new0(guint64, 1024);
    GString *text = g_string_new(NULL);
    const char *line;
    unsigned int node;

    for (line = maps; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        guint64 address = g_ascii_strtoull(line += *line == '\n', NULL, 16);
        const char *end = strchrnul(line, '\n');
        const char *p;

        if (address < backend->address || address >= backend->address + (guint64)backend->size)
            continue;
        for (p = line; (p = strstr(p, " N")) != NULL && p < end; p++) {
            guint64 count;

            if (sscanf(p, " N%u=%" SCNu64, &node, &count) == 2 && node < 1024)
                pages[node] += count;
        }
    }
    for (node = 0; node < 1024; node++) {
        if (pages[node] > 0)
            g_string_append_printf(text, "%s%u: %" PRIu64 " KiB", text->len > 0 ? ", " : "", node,
                                   pages[node] * (guint64)sysconf(_SC_PAGESIZE) / 1024);
    }
    return g_string_free(text, text->len == 0);
}

/* If the host has memory on one node only, all pages are on that node. */
static char *
onlyNode(void)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents(GMEM_NODES_WITH_MEMORY, &text, NULL, NULL))
        return NULL;
    g_strchomp(text);
    return strspn(text, "0123456789") == strlen(text) && text[0] != '\0' ? g_steal_pointer(&text)
                                                                         : NULL;
}

static void
findPlaces(gmemToolDomain *domain, int directory, const GArray *slots)
{
    g_autofree char *only = onlyNode();
    g_autofree char *maps = only != NULL ? NULL : gmemToolText(directory, "numa_maps", NULL);
    bool fullyShared = gmemToolIsFullyShared(domain);
    guint i;

    for (i = 0; i < domain->backends->len; i++) {
        gmemToolBackend *backend = domain->backends->pdata[i];

        if (fullyShared)
            findAddress(domain, backend);
        if (only != NULL)
            backend->nodes = g_strdup(only);
        else if (maps != NULL && backend->address != 0 && fullyShared && backend->size > 0)
            backend->nodes = findNodes(backend, maps);
        if (fullyShared) {
            backend->ordinaryResident = 0;
            backend->privateBytes = backend->size >= 0 ? 0 : -1;
            backend->sharedBytes = backend->size;
            backend->toPrivate = backend->toShared = 0;
        } else if (backend->address != 0 && backend->size > 0) {
            backend->ordinaryResident =
                gmemToolPresent(directory, backend->address, (guint64)backend->size);
        }
        if (slots != NULL && backend->address != 0 && backend->size > 0)
            findRanges(backend, slots);
    }
}

/* ---- one domain ---- */

static bool
hasGuestMemfd(const GArray *files)
{
    guint i;

    for (i = 0; files != NULL && i < files->len; i++) {
        if (g_array_index(files, gmemToolFile, i).gmem)
            return true;
    }
    return false;
}

/* Whether the mapping is QEMU's own mapping of an ordinary half that is in a file. */
static bool
isOrdinary(const gmemToolDomain *domain, const gmemToolMapping *own)
{
    guint i;

    for (i = 0; own->inode != 0 && !own->gmem && i < domain->backends->len; i++) {
        const gmemToolBackend *backend = domain->backends->pdata[i];

        if (backend->address >= own->start && backend->address < own->end)
            return true;
    }
    return false;
}

/* What the memory of @domain consists of, among its files: guest_memfds, and the memfds of ordinary
 * halves. */
static void
keepFiles(gmemToolDomain *domain)
{
    guint i;

    for (i = domain->files->len; i-- > 0;) {
        const gmemToolFile *file = &g_array_index(domain->files, gmemToolFile, i);
        bool wanted = file->gmem;
        guint j;

        for (j = 0; !wanted && domain->mappings != NULL && j < domain->mappings->len; j++) {
            const gmemToolMapping *own = &g_array_index(domain->mappings, gmemToolMapping, j);

            wanted = own->inode == file->inode && isOrdinary(domain, own);
        }
        if (!wanted)
            g_array_remove_index_fast(domain->files, i);
    }
}

static void
fill(gmemToolDomain *domain, int directory, const GArray *slots)
{
    if (domain->status != NULL) {
        domain->supplier = "qemu-gmem.so";
        domain->mode = gmemModeToString(domain->status->mode == GMEM_SHIM_STATUS_FULLY_SHARED
                                            ? GMEM_MODE_FULLY_SHARED
                                            : GMEM_MODE_CONVERTIBLE);
        if (domain->status->mode == GMEM_SHIM_STATUS_FULLY_SHARED)
            matchShared(domain);
        else
            matchConvertible(domain);
    } else {
        domain->supplier = "QEMU";
    }
    domain->mappings = gmemToolMappingsOf(directory);
    matchFiles(domain);
    dropGone(domain);
    findPlaces(domain, directory, slots);
    keepFiles(domain);
    domain->seconds = gmemToolStarted(directory);
    domain->charge = gmemToolCharge(directory, &domain->cgroup);
}

static void
refuse(gmemToolDomain *domain, int why)
{
    domain->absent = why == 0;
    domain->error = why == 0
                        ? g_strdup(_("the memory of the domain is not guest_memfd"))
                        : g_strdup_printf(_("process %1$d may not be inspected: %2$s; run as root"),
                                          domain->pid, g_strerror(why));
}

/* Reads the status that qemu-gmem.so publishes, if the process has one; @slots: out. Returns false
 * if the status was seen before, because a child that QEMU has just forked has it, too. */
static bool
readStatus(gmemToolDomain *domain, int fd, GHashTable *seen, GArray **slots)
{
    const char *fault = NULL;
    struct stat st = {0};

    if (fstat(fd, &st) == 0 &&
        !g_hash_table_add(seen, g_strdup_printf("%ju", (uintmax_t)st.st_ino)))
        return false;
    if ((domain->status = gmemStatusRead(fd, &fault)) == NULL)
        domain->error = g_strdup(fault);
    else
        *slots = gmemStatusReadSlots(fd, domain->status);
    return true;
}

/* The process if it is a domain with guest_memfd, or one with a name in @names; otherwise NULL.
 * @seen: see readStatus(). @denied: is incremented if the process may not be inspected and was not
 * asked for by name. */
static gmemToolDomain *
examine(int directory, pid_t pid, char **names, GHashTable *seen, unsigned int *denied)
{
    g_autoptr(gmemToolDomain) domain = g_new0(gmemToolDomain, 1);
    g_autoptr(GArray) slots = NULL;
    GMEM_AUTO_FD status = -1;
    bool named, vm = false, fresh = true;
    int why;

    domain->pid = pid;
    domain->backends = g_ptr_array_new_with_free_func((GDestroyNotify)backendFree);
    readArguments(domain, directory);
    named = domain->name != NULL && g_strv_contains((const char *const *)names, domain->name);
    if (names[0] != NULL && !named)
        return NULL;

    if ((status = gmemStatusOpen(directory, &why)) >= 0) {
        fresh = readStatus(domain, status, seen, &slots);
        why = 0;
    }
    /* The process has ended. */
    if (!fresh || why == ENOENT || why == ESRCH)
        return NULL;
    if (domain->error != NULL)
        return g_steal_pointer(&domain);
    if (why == 0 && (domain->files = gmemToolFilesOf(directory, &vm)) == NULL)
        why = errno;
    if (domain->files != NULL && (domain->status != NULL || (vm && hasGuestMemfd(domain->files)))) {
        fill(domain, directory, slots);
        return g_steal_pointer(&domain);
    }
    if (!named) {
        *denied += domain->name != NULL && why != 0;
        return NULL;
    }
    refuse(domain, why);
    return g_steal_pointer(&domain);
}

static int
compareDomains(const void *a, const void *b)
{
    const gmemToolDomain *one = *(gmemToolDomain *const *)a;
    const gmemToolDomain *two = *(gmemToolDomain *const *)b;
    int order = g_strcmp0(one->name, two->name);

    return order != 0 ? order : one->pid - two->pid;
}

/* Calls @look for each process. */
static void
eachProcess(void (*look)(int directory, pid_t pid, void *opaque), void *opaque)
{
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    const char *name;

    while (proc != NULL && (name = g_dir_read_name(proc)) != NULL) {
        g_autofree char *path = g_strconcat("/proc/", name, NULL);
        GMEM_AUTO_FD directory =
            g_ascii_isdigit(name[0]) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

        if (directory >= 0)
            look(directory, atoi(name), opaque);
    }
}

typedef struct {
    char **names;
    GHashTable *seen;
    GPtrArray *domains;
    unsigned int *denied;
} gmemSearch;

static void
lookForDomain(int directory, pid_t pid, void *opaque)
{
    gmemSearch *search = opaque;
    gmemToolDomain *domain = examine(directory, pid, search->names, search->seen, search->denied);

    if (domain != NULL)
        g_ptr_array_add(search->domains, domain);
}

GPtrArray *
gmemToolDomains(char **names, unsigned int *denied)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    gmemSearch search = {
        .names = names,
        .seen = seen,
        .domains = g_ptr_array_new_with_free_func((GDestroyNotify)gmemToolDomainFree),
        .denied = denied,
    };

    eachProcess(lookForDomain, &search);
    g_ptr_array_sort(search.domains, compareDomains);
    return search.domains;
}

/* ---- the witness ---- */

static void
holderFree(gmemToolHolder *holder)
{
    g_free(holder->name);
    g_free(holder);
}

/* Whether the mapping is one of a file that belongs to the domain's memory. All guest_memfds are on
 * one mount, so their inode numbers distinguish them. */
static bool
isMapped(const gmemToolDomain *domain, const gmemToolMapping *mapping)
{
    guint i;

    for (i = 0; mapping->gmem && i < domain->files->len; i++) {
        const gmemToolFile *file = &g_array_index(domain->files, gmemToolFile, i);

        if (file->gmem && file->inode == mapping->inode)
            return true;
    }
    for (i = 0; !mapping->gmem && domain->mappings != NULL && i < domain->mappings->len; i++) {
        const gmemToolMapping *own = &g_array_index(domain->mappings, gmemToolMapping, i);

        if (own->inode == mapping->inode && own->device == mapping->device &&
            isOrdinary(domain, own))
            return true;
    }
    return false;
}

static void
lookForHolder(int directory, pid_t pid, void *opaque)
{
    gmemToolDomain *domain = opaque;
    g_autoptr(GArray) mappings = gmemToolMappingsOf(directory);
    g_autoptr(GArray) files = mappings != NULL ? gmemToolFilesOf(directory, NULL) : NULL;
    gmemToolHolder *holder;
    guint i;

    /* This process has them open to inspect them. */
    if (pid == getpid())
        return;
    if (mappings == NULL || files == NULL) {
        domain->unseen += errno == EACCES || errno == EPERM;
        return;
    }
    holder = g_new0(gmemToolHolder, 1);
    holder->pid = pid;
    for (i = 0; i < mappings->len; i++) {
        const gmemToolMapping *mapping = &g_array_index(mappings, gmemToolMapping, i);

        if (!isMapped(domain, mapping))
            continue;
        holder->mapped += mapping->end - mapping->start;
        holder->writable = holder->writable || mapping->writable;
    }
    for (i = 0; i < files->len; i++) {
        const gmemToolFile *file = &g_array_index(files, gmemToolFile, i);
        guint j;

        for (j = 0; j < domain->files->len; j++) {
            const gmemToolFile *own = &g_array_index(domain->files, gmemToolFile, j);

            if (file->inode == own->inode && file->mount == own->mount)
                holder->fds += file->count;
        }
    }
    if (holder->mapped == 0 && holder->fds == 0) {
        holderFree(holder);
        return;
    }
    holder->name = gmemToolText(directory, "comm", NULL);
    g_ptr_array_add(domain->holders, holder);
}

static int
compareHolders(const void *a, const void *b)
{
    return (*(gmemToolHolder *const *)a)->pid - (*(gmemToolHolder *const *)b)->pid;
}

void
gmemToolFindHolders(gmemToolDomain *domain)
{
    domain->holders = g_ptr_array_new_with_free_func((GDestroyNotify)holderFree);
    domain->unseen = 0;
    eachProcess(lookForHolder, domain);
    g_ptr_array_sort(domain->holders, compareHolders);
}
