/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolstatus.c: `virt-gmem status`: the memory of running domains, and which processes have it.
 *
 * Everything is determined from outside QEMU (gmemtoolmemory.c). Guests attack QEMU, so texts are
 * cleaned before they are printed on a terminal. */

#include "config.h"

#include "gmemtool.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "gmemi18n.h"
#include "gmemtoolmemory.h"

#define GMEM_COLUMNS 100

typedef struct {
    gboolean json, prometheus, watch;
    char *map;
    int interval; /* seconds between two looks */
    int count;    /* of looks; 0: until it is ended */
} gmemStatusOptions;

static bool
isShown(const GPtrArray *domains, const char *name)
{
    guint i;

    for (i = 0; i < domains->len; i++) {
        const gmemToolDomain *domain = domains->pdata[i];

        if (domain->error == NULL && g_strcmp0(domain->name, name) == 0)
            return true;
    }
    return false;
}

/* Reports on standard error what could not be shown; returns the exit status. */
static int
complain(const GPtrArray *domains, char **names, unsigned int denied)
{
    int result = 0;
    char **wanted;
    guint i;

    for (i = 0; i < domains->len; i++) {
        const gmemToolDomain *domain = domains->pdata[i];
        g_autofree char *name = gmemToolClean(domain->name != NULL ? domain->name : "?", SIZE_MAX);

        /* A wrapper script that waits for QEMU also has its command line. */
        if (domain->error == NULL || (domain->absent && isShown(domains, domain->name)))
            continue;
        gmemToolError(_("domain '%1$s' (process %2$d): %3$s"), name, domain->pid, domain->error);
        result = GMEM_TOOL_EXIT_FAILED;
    }
    for (wanted = names; *wanted != NULL; wanted++) {
        bool found = false;

        for (i = 0; i < domains->len && !found; i++)
            found = g_strcmp0(((gmemToolDomain *)domains->pdata[i])->name, *wanted) == 0;
        if (found)
            continue;
        gmemToolError(_("no domain '%1$s' is running"), *wanted);
        result = GMEM_TOOL_EXIT_FAILED;
    }
    if (denied > 0) {
        gmemToolError(
            gmemI18nPlural("%1$u domain of another user may not be inspected; run as root",
                           "%1$u domains of other users may not be inspected; run as root", denied),
            denied);
        result = GMEM_TOOL_EXIT_FAILED;
    }
    return result;
}

static void
showAll(const GPtrArray *domains, const gmemStatusOptions *options)
{
    guint i;

    if (options->json)
        gmemToolShowJSON(domains);
    else if (options->prometheus)
        gmemToolShowMetrics(domains);
    for (i = 0; !options->json && !options->prometheus && i < domains->len; i++) {
        const gmemToolDomain *domain = domains->pdata[i];

        if (domain->error == NULL)
            gmemToolShowText(domain);
    }
}

static GPtrArray *
lookFor(char **names, bool holders, unsigned int *denied)
{
    GPtrArray *domains;
    guint i;

    *denied = 0;
    domains = gmemToolDomains(names, denied);
    for (i = 0; holders && i < domains->len; i++) {
        if (((gmemToolDomain *)domains->pdata[i])->error == NULL)
            gmemToolFindHolders(domains->pdata[i]);
    }
    return domains;
}

/* ---- --watch ---- */

static int
findColumns(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : GMEM_COLUMNS;
}

static const gmemToolDomain *
findSame(const GPtrArray *domains, const gmemToolDomain *wanted)
{
    guint i;

    for (i = 0; domains != NULL && i < domains->len; i++) {
        const gmemToolDomain *domain = domains->pdata[i];

        if (domain->error == NULL && domain->pid == wanted->pid)
            return domain;
    }
    return NULL;
}

static void
showLook(const GPtrArray *domains, const GPtrArray *former, double seconds)
{
    bool terminal = isatty(STDOUT_FILENO);
    guint i;

    if (terminal)
        printf("\033[H\033[J");
    for (i = 0; i < domains->len; i++) {
        const gmemToolDomain *domain = domains->pdata[i];

        if (domain->error != NULL)
            continue;
        if (terminal)
            gmemToolShowBars(domain, findSame(former, domain), seconds, findColumns());
        else
            gmemToolShowText(domain);
    }
    if (terminal)
        printf(_("# private, = shared, blank: not there yet; Ctrl-C ends\n"));
    fflush(stdout);
}

/* Looks repeatedly; returns the exit status of the last look. */
static int
watch(char **names, const gmemStatusOptions *options)
{
    g_autoptr(GPtrArray) former = NULL;
    gint64 before = 0;
    int i;

    for (i = 1;; i++) {
        unsigned int denied;
        g_autoptr(GPtrArray) domains = lookFor(names, false, &denied);
        gint64 now = g_get_monotonic_time();

        showLook(domains, former, (double)MAX(now - before, 1) / G_USEC_PER_SEC);
        if (i == options->count || ferror(stdout) != 0)
            return complain(domains, names, denied);
        g_clear_pointer(&former, g_ptr_array_unref);
        former = g_steal_pointer(&domains);
        before = now;
        g_usleep((gulong)options->interval * G_USEC_PER_SEC);
    }
}

/* ---- --map ---- */

static int
writeMap(const GPtrArray *domains, const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    if (domains->len != 1 || ((gmemToolDomain *)domains->pdata[0])->error != NULL) {
        if (domains->len != 1)
            gmemToolError(_("--map requires exactly one domain, and %1$u were found"),
                          domains->len);
        return GMEM_TOOL_EXIT_FAILED;
    }
    text = gmemToolShowMap(domains->pdata[0]);
    if (g_file_set_contents(path, text, -1, &error))
        return 0;
    gmemToolError("%s", error->message);
    return GMEM_TOOL_EXIT_FAILED;
}

static bool
check(const gmemStatusOptions *options)
{
    if (options->json + options->prometheus + options->watch + (options->map != NULL) > 1) {
        gmemToolError(_("--json, --prometheus, --watch and --map are mutually exclusive"));
        return false;
    }
    if (options->interval < 1 || options->count < 0) {
        gmemToolError(_("--interval and --count require a number of at least 1"));
        return false;
    }
    return true;
}

static int
status(char **names, const gmemStatusOptions *options)
{
    g_autoptr(GPtrArray) domains = NULL;
    unsigned int denied;
    int result = 0;
    int fault;

    if (options->watch)
        return watch(names, options);
    domains = lookFor(names, options->map == NULL, &denied);
    if (options->map != NULL)
        result = writeMap(domains, options->map);
    else
        showAll(domains, options);
    fflush(stdout);
    fault = complain(domains, names, denied);
    return fault != 0 ? fault : result;
}

int
gmemToolStatus(int argc, char **argv)
{
    gmemStatusOptions options = {.interval = 1};
    const GOptionEntry entries[] = {
        {"json", 'j', 0, G_OPTION_ARG_NONE, &options.json, N_("print JSON"), NULL},
        {"prometheus", 'p', 0, G_OPTION_ARG_NONE, &options.prometheus,
         N_("print metrics for node_exporter's text collector"), NULL},
        {"watch", 'w', 0, G_OPTION_ARG_NONE, &options.watch,
         N_("print it repeatedly: as bars on a terminal, otherwise as tables"), NULL},
        {"interval", 'i', 0, G_OPTION_ARG_INT, &options.interval,
         N_("with --watch: print it every SECONDS; 1 by default"), N_("SECONDS")},
        {"count", 'c', 0, G_OPTION_ARG_INT, &options.count,
         N_("with --watch: print it NUMBER times"), N_("NUMBER")},
        {"map", 'm', 0, G_OPTION_ARG_FILENAME, &options.map,
         N_("write a picture of the guest's address space"), N_("FILE.svg")},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    int result = GMEM_TOOL_EXIT_USAGE;

    if (gmemToolParse(
            entries, &argc, &argv, _("[DOMAIN…]"),
            _("Shows the memory of running domains with guest_memfd, whatever made it, and "
              "which processes have it;\nof all of them, or of those named.")) &&
        check(&options))
        result = status(argv + 1, &options);
    g_free(options.map);
    return result;
}
