/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolstatus.c: `virt-gmem status`: how much of a running domain's memory is private.
 *
 * The shim in QEMU publishes that (gmemstatus.h); whose domain it is stands in QEMU's command line.
 * Guests attack QEMU: texts are cleaned before they reach a terminal.
 */

#include "config.h"

#include "gmemtool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemargv.h"
#include "gmemi18n.h"
#include "gmemjson.h"
#include "gmemstatus.h"

/* Linux gives the command line whole; libvirt's are some KiB long. */
#define GMEM_STATUS_CMDLINE_MAX ((gsize)4 * 1024 * 1024)

typedef struct {
    pid_t pid;
    char *name;             /* of the domain, as QEMU was told; NULL: it was told none */
    gmemShimStatus *status; /* NULL: see error */
    char *error;            /* why it cannot be shown */
    bool absent;            /* because there is none */
} gmemStatusDomain;

static void
gmemStatusDomainFree(gmemStatusDomain *domain)
{
    g_free(domain->name);
    g_free(domain->status);
    g_free(domain->error);
    g_free(domain);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemStatusDomain, gmemStatusDomainFree)

/* What others wrote, fit for a terminal and for JSON. @length: at most so many bytes of it. */
static char *
cleanText(const char *text, size_t length)
{
    g_autofree char *copy = g_strndup(text, strnlen(text, length));
    g_autofree char *valid = g_utf8_make_valid(copy, -1);
    GString *clean = g_string_new(NULL);

    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        g_string_append_unichar(clean, g_unichar_isprint(c) ? c : 0xfffd);
    }
    return g_string_free(clean, FALSE);
}

/* The name in the value of -name, "guest=NAME,debug-threads=on", where a comma of the name's own is
 * two; NULL where there is none. */
static char *
nameFromOption(const char *value)
{
    GString *name = g_string_new(NULL);
    const char *p = value;

    /* Unlike other parts, the first may stand without "guest=". */
    while (p && !g_str_has_prefix(p, "guest=")) {
        if ((p = strchr(p, ',')))
            p++;
    }
    for (p = p ? p + strlen("guest=") : NULL; p && *p && (p[0] != ',' || p[1] == ','); p++) {
        if (*p == ',')
            p++;
        g_string_append_c(name, *p);
    }
    return g_string_free(name, name->len == 0);
}

/* @directory: /proc/PID. Uncleaned: it is compared with what the user has asked for. */
static char *
readName(int directory)
{
    int fd = openat(directory, "cmdline", O_RDONLY | O_CLOEXEC);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    gmemArgvOption option;
    char buffer[4096];
    ssize_t count;

    if (fd < 0)
        return NULL;
    while ((count = read(fd, buffer, sizeof(buffer))) > 0 && text->len < GMEM_STATUS_CMDLINE_MAX)
        g_string_append_len(text, buffer, count);
    close(fd);

    for (char *p = text->str; p < text->str + text->len; p += strlen(p) + 1)
        g_ptr_array_add(argv, p);
    g_ptr_array_add(argv, NULL);
    if (argv->len < 2 || gmemArgvFind((char *const *)argv->pdata, "name", &option) == 0)
        return NULL;
    return option.value ? nameFromOption(option.value) : NULL;
}

/* A process that has a status, or is a domain of that name in @names; else NULL. @seen: files that
 * were met before, as a child that QEMU has just forked has it, too. @denied: gets 1 more where
 * nobody asked for the domain by name and it may not be looked at. */
static gmemStatusDomain *
lookAt(const char *pid, char **names, GHashTable *seen, unsigned int *denied)
{
    g_autoptr(gmemStatusDomain) domain = g_new0(gmemStatusDomain, 1);
    g_autofree char *path = g_strconcat("/proc/", pid, NULL);
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *fault = NULL;
    struct stat st = {0};
    bool named;
    int why;
    int fd;

    if (directory < 0)
        return NULL;
    domain->pid = atoi(pid);
    domain->name = readName(directory);
    named = domain->name && g_strv_contains((const char *const *)names, domain->name);
    if (names[0] && !named) {
        close(directory);
        return NULL;
    }

    fd = gmemStatusOpen(directory, &why);
    close(directory);
    if (fd < 0) {
        /* It has ended. */
        if (why == ENOENT || why == ESRCH)
            return NULL;
        if (named && why == 0)
            domain->error = g_strdup(_("its memory is not convertible, or QEMU converts it by "
                                       "itself"));
        else if (named)
            domain->error = g_strdup_printf(_("process %d may not be looked into: %s; run as root"),
                                            domain->pid, g_strerror(why));
        else if (domain->name && why != 0)
            (*denied)++;
        domain->absent = why == 0;
        return domain->error ? g_steal_pointer(&domain) : NULL;
    }

    if (fstat(fd, &st) == 0 &&
        !g_hash_table_add(seen, g_strdup_printf("%ju", (uintmax_t)st.st_ino))) {
        close(fd);
        return NULL;
    }
    if (!(domain->status = gmemStatusRead(fd, &fault)))
        domain->error = g_strdup(fault);
    close(fd);
    if (domain->status && domain->status->mode != GMEM_SHIM_STATUS_CONVERTIBLE) {
        if (!named)
            return NULL;
        g_clear_pointer(&domain->status, g_free);
        domain->error = g_strdup(_("its memory is fully shared: none of it is converted"));
    }
    return g_steal_pointer(&domain);
}

static int
compareDomains(const void *a, const void *b)
{
    const gmemStatusDomain *one = *(gmemStatusDomain *const *)a;
    const gmemStatusDomain *two = *(gmemStatusDomain *const *)b;
    int order = g_strcmp0(one->name, two->name);

    return order ? order : one->pid - two->pid;
}

static GPtrArray *
findDomains(char **names, unsigned int *denied)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GPtrArray *domains = g_ptr_array_new_with_free_func((GDestroyNotify)gmemStatusDomainFree);
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    const char *name;

    while (proc && (name = g_dir_read_name(proc))) {
        gmemStatusDomain *domain;

        if (g_ascii_isdigit(name[0]) && (domain = lookAt(name, names, seen, denied)))
            g_ptr_array_add(domains, domain);
    }
    g_ptr_array_sort(domains, compareDomains);
    return domains;
}

static void
printDomain(const gmemStatusDomain *domain)
{
    const gmemShimStatus *status = domain->status;
    g_autofree char *name = cleanText(domain->name ? domain->name : "?", SIZE_MAX);

    printf(status->startPrivate ? _("%s (process %d), memory starts private\n")
                                : _("%s (process %d), memory starts shared\n"),
           name, domain->pid);
    printf("  %-20s %16s %16s %12s %12s\n", _("Backend"), _("Private KiB"), _("Shared KiB"),
           _("To private"), _("To shared"));
    for (uint32_t i = 0; i < status->backends; i++) {
        const gmemShimStatusBackend *backend = &status->backend[i];
        g_autofree char *id = cleanText(backend->id, sizeof(backend->id));

        printf("  %-20s %16" PRIu64 " %16" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", id,
               backend->privateBytes / 1024, backend->sharedBytes / 1024, backend->toPrivate,
               backend->toShared);
    }
    printf(_("  hypercalls %" PRIu64 ", implicit conversions %" PRIu64 ", refused %" PRIu64
             ", resets %" PRIu64 "\n"),
           status->hypercalls, status->implicit, status->refused, status->resets);
    if (status->held > 0)
        printf(_("  memory not given back, or not bound to its host nodes, %" PRIu64
                 " times: see the domain's log\n"),
               status->held);
}

static void
genNumber(gmemJSONGen *gen, const char *name, uint64_t value)
{
    gmemJSONGenString(gen, name);
    gmemJSONGenNumber(gen, value);
}

static void
genDomain(gmemJSONGen *gen, const gmemStatusDomain *domain)
{
    const gmemShimStatus *status = domain->status;

    gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
    gmemJSONGenString(gen, "name");
    if (domain->name) {
        g_autofree char *name = cleanText(domain->name, SIZE_MAX);
        gmemJSONGenString(gen, name);
    } else {
        gmemJSONGenString(gen, NULL);
    }
    genNumber(gen, "process", (uint64_t)domain->pid);
    gmemJSONGenString(gen, "start");
    gmemJSONGenString(gen, status->startPrivate ? "private" : "shared");
    genNumber(gen, "hypercalls", status->hypercalls);
    genNumber(gen, "implicit", status->implicit);
    genNumber(gen, "refused", status->refused);
    genNumber(gen, "resets", status->resets);
    genNumber(gen, "held", status->held);
    gmemJSONGenString(gen, "backends");
    gmemJSONGenBegin(gen, GMEM_JSON_ARRAY);
    for (uint32_t i = 0; i < status->backends; i++) {
        const gmemShimStatusBackend *backend = &status->backend[i];
        g_autofree char *id = cleanText(backend->id, sizeof(backend->id));

        gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
        gmemJSONGenString(gen, "id");
        gmemJSONGenString(gen, id);
        genNumber(gen, "private", backend->privateBytes);
        genNumber(gen, "shared", backend->sharedBytes);
        genNumber(gen, "to-private", backend->toPrivate);
        genNumber(gen, "to-shared", backend->toShared);
        gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
    }
    gmemJSONGenEnd(gen, GMEM_JSON_ARRAY);
    gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
}

static void
printJSON(const GPtrArray *domains)
{
    g_autoptr(gmemJSONGen) gen = gmemJSONGenNew();
    g_autofree char *text = NULL;

    gmemJSONGenBegin(gen, GMEM_JSON_ARRAY);
    for (guint i = 0; i < domains->len; i++) {
        const gmemStatusDomain *domain = domains->pdata[i];

        if (domain->status)
            genDomain(gen, domain);
    }
    gmemJSONGenEnd(gen, GMEM_JSON_ARRAY);
    text = gmemJSONGenFinish(gen);
    printf("%s\n", text);
}

static bool
isShown(const GPtrArray *domains, const char *name)
{
    for (guint i = 0; i < domains->len; i++) {
        const gmemStatusDomain *domain = domains->pdata[i];

        if (domain->status && g_strcmp0(domain->name, name) == 0)
            return true;
    }
    return false;
}

/* Says on standard error what could not be shown; the exit status. */
static int
complain(const GPtrArray *domains, char **names, unsigned int denied)
{
    int result = 0;

    for (guint i = 0; i < domains->len; i++) {
        const gmemStatusDomain *domain = domains->pdata[i];
        g_autofree char *name = cleanText(domain->name ? domain->name : "?", SIZE_MAX);

        /* A wrapper script that waits for QEMU has its command line, too. */
        if (domain->status || (domain->absent && isShown(domains, domain->name)))
            continue;
        gmemToolError(_("domain '%s' (process %d): %s"), name, domain->pid, domain->error);
        result = GMEM_TOOL_EXIT_FAILED;
    }
    for (char **name = names; *name; name++) {
        bool found = false;

        for (guint i = 0; i < domains->len && !found; i++)
            found = g_strcmp0(((gmemStatusDomain *)domains->pdata[i])->name, *name) == 0;
        if (found)
            continue;
        gmemToolError(_("no domain '%s' is running"), *name);
        result = GMEM_TOOL_EXIT_FAILED;
    }
    if (denied > 0) {
        gmemToolError(_("%u domains of other users may not be looked at; run as root"), denied);
        result = GMEM_TOOL_EXIT_FAILED;
    }
    return result;
}

int
gmemToolStatus(int argc, char **argv)
{
    g_autoptr(GPtrArray) domains = NULL;
    unsigned int denied = 0;
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"json", 'j', 0, G_OPTION_ARG_NONE, &json, N_("print JSON"), NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };

    if (!gmemToolParse(
            entries, &argc, &argv, _("[DOMAIN…]"),
            _("Says how much of the memory of running domains is private and shared, and "
              "how often that changed;\nof all domains whose memory is convertible, or "
              "of those named.")))
        return GMEM_TOOL_EXIT_USAGE;

    domains = findDomains(argv + 1, &denied);
    if (json) {
        printJSON(domains);
    } else {
        for (guint i = 0; i < domains->len; i++) {
            const gmemStatusDomain *domain = domains->pdata[i];

            if (domain->status)
                printDomain(domain);
        }
    }
    fflush(stdout);
    return complain(domains, argv + 1, denied);
}
