/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolshow.c: a running domain's memory as a table, as bars, as JSON and for Prometheus. */

#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gmemi18n.h"
#include "gmemjson.h"
#include "gmemtool.h"
#include "gmemtoolmemory.h"

#define GMEM_METRIC "libvirt_gmem_"

static char *
cleanName(const gmemToolDomain *domain)
{
    return gmemToolClean(domain->name != NULL ? domain->name : "?", SIZE_MAX);
}

/* NULL stays NULL. */
static char *
clean(const char *text)
{
    return text != NULL ? gmemToolClean(text, SIZE_MAX) : NULL;
}

static gint64
sum(gint64 a, gint64 b)
{
    return a < 0 || b < 0 ? -1 : a + b;
}

/* ---- the table ---- */

static char *
asKiB(gint64 bytes)
{
    return bytes < 0 ? g_strdup(_("unknown")) : g_strdup_printf("%" PRId64, bytes / 1024);
}

static const char *
orUnknown(const char *text)
{
    return text != NULL ? text : _("unknown");
}

static void
printBackends(const gmemToolDomain *domain)
{
    guint i;

    printf("  %-16s %7s %12s %12s %12s %12s  %-14s %s\n", _("Backend"), _("Cell"), _("Size KiB"),
           _("Resident KiB"), _("Private KiB"), _("Shared KiB"), _("Policy"), _("Nodes"));
    for (i = 0; i < domain->backends->len; i++) {
        const gmemToolBackend *backend = domain->backends->pdata[i];
        g_autofree char *id = clean(backend->id);
        g_autofree char *policy = clean(backend->policy);
        g_autofree char *cell =
            backend->cell < 0 ? g_strdup(_("unknown")) : g_strdup_printf("%" PRId64, backend->cell);
        g_autofree char *size = asKiB(backend->size);
        g_autofree char *resident = asKiB(sum(backend->gmemResident, backend->ordinaryResident));
        g_autofree char *isPrivate = asKiB(backend->privateBytes);
        g_autofree char *isShared = asKiB(backend->sharedBytes);

        printf("  %-16s %7s %12s %12s %12s %12s  %-14s %s\n", orUnknown(id), cell, size, resident,
               isPrivate, isShared, orUnknown(policy), orUnknown(backend->nodes));
    }
}

/* Conversions that the guest has made; there are none if the memory is fully shared. */
static void
printConversions(const gmemToolDomain *domain)
{
    const gmemShimStatus *status = domain->status;
    guint i;

    if (gmemToolIsFullyShared(domain))
        return;
    if (status == NULL) {
        printf(_("  conversions: unknown\n"));
        return;
    }
    for (i = 0; i < domain->backends->len; i++) {
        const gmemToolBackend *backend = domain->backends->pdata[i];
        g_autofree char *id = clean(backend->id);
        double seconds = (double)MAX(domain->seconds, 1);

        if (backend->toPrivate >= 0)
            printf(_("  conversions of %1$s: %2$" PRId64 " to private, %3$" PRId64
                     " to shared, %4$.1f a second since the start\n"),
                   orUnknown(id), backend->toPrivate, backend->toShared,
                   (double)(backend->toPrivate + backend->toShared) / seconds);
    }
    printf(_("  hypercalls %1$" PRIu64 ", implicit conversions %2$" PRIu64 ", refused %3$" PRIu64
             ", resets %4$" PRIu64 "\n"),
           status->hypercalls, status->implicit, status->refused, status->resets);
    if (status->held > 0)
        printf(_("  memory not given back, or not bound to its host nodes, %1$" PRIu64
                 " times: see the domain's log\n"),
               status->held);
}

static void
printHolders(const gmemToolDomain *domain)
{
    guint i;

    for (i = 0; domain->holders != NULL && i < domain->holders->len; i++) {
        const gmemToolHolder *holder = domain->holders->pdata[i];
        g_autofree char *name = clean(holder->name != NULL ? g_strchomp(holder->name) : "?");
        g_autofree char *mapped = asKiB((gint64)holder->mapped);

        if (holder->mapped == 0)
            printf(gmemI18nPlural("  in process %1$d (%2$s): not mapped, %3$u descriptor\n",
                                  "  in process %1$d (%2$s): not mapped, %3$u descriptors\n",
                                  holder->fds),
                   holder->pid, name, holder->fds);
        else if (holder->writable)
            printf(gmemI18nPlural("  in process %1$d (%2$s): %3$s KiB mapped to write, %4$u "
                                  "descriptor\n",
                                  "  in process %1$d (%2$s): %3$s KiB mapped to write, %4$u "
                                  "descriptors\n",
                                  holder->fds),
                   holder->pid, name, mapped, holder->fds);
        else
            printf(gmemI18nPlural("  in process %1$d (%2$s): %3$s KiB mapped to read, %4$u "
                                  "descriptor\n",
                                  "  in process %1$d (%2$s): %3$s KiB mapped to read, %4$u "
                                  "descriptors\n",
                                  holder->fds),
                   holder->pid, name, mapped, holder->fds);
    }
    if (domain->holders != NULL && domain->unseen > 0)
        printf(gmemI18nPlural("  in other processes: unknown: %1$u may not be inspected\n",
                              "  in other processes: unknown: %1$u may not be inspected\n",
                              domain->unseen),
               domain->unseen);
}

void
gmemToolShowText(const gmemToolDomain *domain)
{
    g_autofree char *name = cleanName(domain);
    g_autofree char *charge = asKiB(domain->charge);
    g_autofree char *cgroup = clean(domain->cgroup);
    const char *mode = orUnknown(domain->mode);

    if (domain->status == NULL || domain->status->mode != GMEM_SHIM_STATUS_CONVERTIBLE)
        /* TRANSLATORS: a domain's name, its process, a mode as XML and options have it, a library.
         */
        printf(_("%1$s (process %2$d): %3$s memory, guest_memfd by %4$s\n"), name, domain->pid,
               mode, domain->supplier);
    else
        printf(domain->status->startPrivate
                   ? _("%1$s (process %2$d): %3$s memory, guest_memfd by %4$s, starts private\n")
                   : _("%1$s (process %2$d): %3$s memory, guest_memfd by %4$s, starts shared\n"),
               name, domain->pid, mode, domain->supplier);
    printBackends(domain);
    printConversions(domain);
    if (domain->charge >= 0)
        printf(_("  charged to cgroup %1$s: %2$s KiB\n"), cgroup, charge);
    else
        printf(_("  charged to its cgroup: unknown\n"));
    printHolders(domain);
}

/* ---- bars ---- */

static gint64
converted(const gmemToolDomain *domain, guint i)
{
    const gmemToolBackend *backend =
        domain != NULL && i < domain->backends->len ? domain->backends->pdata[i] : NULL;

    return backend != NULL ? sum(backend->toPrivate, backend->toShared) : -1;
}

static int
cells(gint64 part, gint64 size, int width)
{
    if (part <= 0 || size <= 0)
        return 0;
    return (int)MIN((gint64)width, (gint64)((double)part / (double)size * width + 0.999));
}

static void
printBar(const gmemToolBackend *backend, bool fullyShared, int width)
{
    gint64 gmem = backend->gmemResident;
    int privateCells = fullyShared ? 0 : cells(gmem, backend->size, width);
    int sharedCells =
        MIN(width - privateCells,
            cells(fullyShared ? gmem : backend->ordinaryResident, backend->size, width));
    int i;

    printf("[%s", gmemToolPaint(stdout, GMEM_TOOL_GREEN));
    for (i = 0; i < privateCells; i++)
        putchar('#');
    printf("%s%s", gmemToolPaint(stdout, GMEM_TOOL_PLAIN), gmemToolPaint(stdout, GMEM_TOOL_YELLOW));
    for (i = 0; i < sharedCells; i++)
        putchar('=');
    printf("%s%*s]", gmemToolPaint(stdout, GMEM_TOOL_PLAIN), width - privateCells - sharedCells,
           "");
}

void
gmemToolShowBars(const gmemToolDomain *domain,
                 const gmemToolDomain *former,
                 double seconds,
                 int columns)
{
    g_autofree char *name = cleanName(domain);
    bool fullyShared = gmemToolIsFullyShared(domain);
    int width = CLAMP(columns - 64, 10, 200);
    guint i;

    printf(_("%1$s (process %2$d): %3$s memory\n"), name, domain->pid, orUnknown(domain->mode));
    for (i = 0; i < domain->backends->len; i++) {
        const gmemToolBackend *backend = domain->backends->pdata[i];
        g_autofree char *id = clean(backend->id);
        gint64 now = converted(domain, i);
        gint64 before = converted(former, i);
        g_autofree char *resident = asKiB(sum(backend->gmemResident, backend->ordinaryResident));
        g_autofree char *size = asKiB(backend->size);

        printf("  %-12.12s ", orUnknown(id));
        printBar(backend, fullyShared, width);
        if (now < 0)
            printf(_(" %1$s of %2$s KiB, conversions unknown\n"), resident, size);
        else if (!fullyShared && before >= 0 && now >= before)
            printf(_(" %1$s of %2$s KiB, %3$.0f conversions/s\n"), resident, size,
                   (double)(now - before) / seconds);
        else
            printf(_(" %1$s of %2$s KiB\n"), resident, size);
    }
}

/* ---- JSON ---- */

static void
genNumber(gmemJSONGen *gen, const char *name, gint64 value)
{
    gmemJSONGenString(gen, name);
    if (value < 0)
        gmemJSONGenString(gen, NULL);
    else
        gmemJSONGenNumber(gen, (guint64)value);
}

static void
genString(gmemJSONGen *gen, const char *name, const char *value)
{
    g_autofree char *cleaned = clean(value);

    gmemJSONGenString(gen, name);
    gmemJSONGenString(gen, cleaned);
}

/* Numbers that the shim counts are unsigned 64-bit numbers. */
static void
genCounts(gmemJSONGen *gen, const gmemShimStatus *status)
{
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"hypercalls", status != NULL ? status->hypercalls : 0},
        {"implicit", status != NULL ? status->implicit : 0},
        {"refused", status != NULL ? status->refused : 0},
        {"resets", status != NULL ? status->resets : 0},
        {"held", status != NULL ? status->held : 0},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(counts); i++) {
        gmemJSONGenString(gen, counts[i].name);
        if (status != NULL)
            gmemJSONGenNumber(gen, counts[i].value);
        else
            gmemJSONGenString(gen, NULL);
    }
}

static void
genBackend(gmemJSONGen *gen, const gmemToolBackend *backend)
{
    gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
    genString(gen, "id", backend->id);
    genNumber(gen, "cell", backend->cell);
    genNumber(gen, "size", backend->size);
    genNumber(gen, "resident-guest-memfd", backend->gmemResident);
    genNumber(gen, "resident-ordinary", backend->ordinaryResident);
    genNumber(gen, "private", backend->privateBytes);
    genNumber(gen, "shared", backend->sharedBytes);
    genNumber(gen, "to-private", backend->toPrivate);
    genNumber(gen, "to-shared", backend->toShared);
    genString(gen, "policy", backend->policy);
    genString(gen, "nodes", backend->nodes);
    gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
}

static void
genHolders(gmemJSONGen *gen, const gmemToolDomain *domain)
{
    guint i;

    gmemJSONGenString(gen, "holders");
    gmemJSONGenBegin(gen, GMEM_JSON_ARRAY);
    for (i = 0; domain->holders != NULL && i < domain->holders->len; i++) {
        const gmemToolHolder *holder = domain->holders->pdata[i];

        gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
        genNumber(gen, "process", holder->pid);
        genString(gen, "name", holder->name != NULL ? g_strchomp(holder->name) : NULL);
        genNumber(gen, "mapped", (gint64)holder->mapped);
        gmemJSONGenString(gen, "writable");
        gmemJSONGenBool(gen, holder->writable);
        genNumber(gen, "descriptors", holder->fds);
        gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
    }
    gmemJSONGenEnd(gen, GMEM_JSON_ARRAY);
    genNumber(gen, "unseen", domain->unseen);
}

static void
genDomain(gmemJSONGen *gen, const gmemToolDomain *domain)
{
    const gmemShimStatus *status = domain->status;
    guint i;

    gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
    genString(gen, "name", domain->name);
    genNumber(gen, "process", domain->pid);
    genString(gen, "mode", domain->mode);
    genString(gen, "supplier", domain->supplier);
    genString(gen, "start", status == NULL ? NULL : status->startPrivate ? "private" : "shared");
    genCounts(gen, status);
    genNumber(gen, "seconds", domain->seconds);
    genNumber(gen, "charge", domain->charge);
    genString(gen, "cgroup", domain->cgroup);
    gmemJSONGenString(gen, "backends");
    gmemJSONGenBegin(gen, GMEM_JSON_ARRAY);
    for (i = 0; i < domain->backends->len; i++)
        genBackend(gen, domain->backends->pdata[i]);
    gmemJSONGenEnd(gen, GMEM_JSON_ARRAY);
    genHolders(gen, domain);
    gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
}

void
gmemToolShowJSON(const GPtrArray *domains)
{
    g_autoptr(gmemJSONGen) gen = gmemJSONGenNew();
    g_autofree char *text = NULL;
    guint i;

    gmemJSONGenBegin(gen, GMEM_JSON_ARRAY);
    for (i = 0; i < domains->len; i++) {
        if (((gmemToolDomain *)domains->pdata[i])->error == NULL)
            genDomain(gen, domains->pdata[i]);
    }
    gmemJSONGenEnd(gen, GMEM_JSON_ARRAY);
    text = gmemJSONGenFinish(gen);
    printf("%s\n", text);
}

/* ---- Prometheus ---- */

/* A label's value. */
static char *
escape(const char *text)
{
    g_autofree char *cleaned = clean(text != NULL ? text : "");
    GString *escaped = g_string_new(NULL);
    const char *p;

    for (p = cleaned; *p != '\0'; p++) {
        if (*p == '\\' || *p == '"')
            g_string_append_c(escaped, '\\');
        g_string_append_c(escaped, *p);
    }
    return g_string_free(escaped, FALSE);
}

typedef struct {
    const char *name, *type, *help;
    size_t member;     /* where in gmemToolBackend or gmemToolDomain */
    const char *label; /* one more, or "" */
} gmemMetric;

static const gmemMetric backendMetrics[] = {
    {"backend_size_bytes", "gauge", "Size of a memory backend.", offsetof(gmemToolBackend, size),
     ""},
    {"backend_resident_bytes", "gauge", "What of a memory backend is in the host's memory.",
     offsetof(gmemToolBackend, gmemResident), ",half=\"guest_memfd\""},
    {"backend_resident_bytes", NULL, NULL, offsetof(gmemToolBackend, ordinaryResident),
     ",half=\"ordinary\""},
    {"backend_private_bytes", "gauge", "Guest pages that are private.",
     offsetof(gmemToolBackend, privateBytes), ""},
    {"backend_shared_bytes", "gauge", "Guest pages that are shared.",
     offsetof(gmemToolBackend, sharedBytes), ""},
    {"backend_conversions_total", "counter", "Conversions that the guest has made.",
     offsetof(gmemToolBackend, toPrivate), ",to=\"private\""},
    {"backend_conversions_total", NULL, NULL, offsetof(gmemToolBackend, toShared),
     ",to=\"shared\""},
};

static gint64
memberOf(const void *structure, size_t member)
{
    gint64 value;

    memcpy(&value, (const char *)structure + member, sizeof(value));
    return value;
}

static void
printHead(const gmemMetric *metric)
{
    if (metric->type != NULL)
        printf("# HELP " GMEM_METRIC "%s %s\n# TYPE " GMEM_METRIC "%s %s\n", metric->name,
               metric->help, metric->name, metric->type);
}

static void
printBackendMetric(const GPtrArray *domains, const gmemMetric *metric)
{
    guint i;

    printHead(metric);
    for (i = 0; i < domains->len; i++) {
        const gmemToolDomain *domain = domains->pdata[i];
        g_autofree char *name = escape(domain->name);
        guint j;

        for (j = 0; domain->error == NULL && j < domain->backends->len; j++) {
            const gmemToolBackend *backend = domain->backends->pdata[j];
            g_autofree char *id = escape(backend->id);
            gint64 value = memberOf(backend, metric->member);

            if (value >= 0)
                printf(GMEM_METRIC
                       "%s{domain=\"%s\",process=\"%d\",backend=\"%s\",number=\"%u\"%s} "
                       "%" PRId64 "\n",
                       metric->name, name, domain->pid, id, j, metric->label, value);
        }
    }
}

static void
printDomainMetric(const GPtrArray *domains, const gmemMetric *metric)
{
    guint i;

    printHead(metric);
    for (i = 0; i < domains->len; i++) {
        const gmemToolDomain *domain = domains->pdata[i];
        g_autofree char *name = escape(domain->name);
        gint64 value = domain->error != NULL ? -1
                       : metric->member == 0
                           ? (gint64)(domain->holders != NULL ? domain->holders->len : 0)
                           : memberOf(domain, metric->member);

        if (value >= 0)
            printf(GMEM_METRIC
                   "%s{domain=\"%s\",process=\"%d\",mode=\"%s\",supplier=\"%s\"} %" PRId64 "\n",
                   metric->name, name, domain->pid, domain->mode != NULL ? domain->mode : "unknown",
                   domain->supplier, value);
    }
}

void
gmemToolShowMetrics(const GPtrArray *domains)
{
    static const gmemMetric charge = {"cgroup_bytes", "gauge",
                                      "What the domain's memory cgroup is charged.",
                                      offsetof(gmemToolDomain, charge), ""};
    static const gmemMetric holders = {"holders", "gauge",
                                       "Processes that have guest memory mapped or open, QEMU "
                                       "among them.",
                                       0, ""};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(backendMetrics); i++)
        printBackendMetric(domains, &backendMetrics[i]);
    printDomainMetric(domains, &charge);
    printDomainMetric(domains, &holders);
}
