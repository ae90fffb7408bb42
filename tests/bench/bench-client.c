/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-client.c: calls libvirt as bench.py says, and reports how long each call took.
 *
 * Each line on stdin is a piece, a number of calls and a file with a domain's XML; the answer is a
 * line with the nanoseconds of each call. With the embedded driver, these are processor time of
 * this process; with a daemon, elapsed time. Under callgrind, only the calls in benchMeasured() are
 * counted, not the ones that "warm" makes first. */

#include <glib.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    virConnectPtr conn;
    virDomainPtr domain;
    char *xml;
} benchJob;

static bool benchEmbedded;

static guint64
benchNow(void)
{
    struct timespec now;

    clock_gettime(benchEmbedded ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
    return (guint64)now.tv_sec * 1000000000 + (guint64)now.tv_nsec;
}

static void G_GNUC_NORETURN
benchFail(const char *what)
{
    fprintf(stderr, "bench-client: %s: %s\n", what, virGetLastErrorMessage());
    exit(EXIT_FAILURE);
}

static void
benchDefine(benchJob *job)
{
    virDomainPtr domain = virDomainDefineXML(job->conn, job->xml);

    if (domain == NULL)
        benchFail("define");
    virDomainFree(domain);
}

static void
benchDumpxml(benchJob *job)
{
    char *xml = virDomainGetXMLDesc(job->domain, 0);

    if (xml == NULL)
        benchFail("dumpxml");
    free(xml);
}

static void
benchNative(benchJob *job)
{
    char *native = virConnectDomainXMLToNative(job->conn, "qemu-argv", job->xml, 0);

    if (native == NULL)
        benchFail("native");
    free(native);
}

/* The calls that monitoring makes. */
static void
benchList(benchJob *job)
{
    virDomainPtr *domains;
    int n = virConnectListAllDomains(job->conn, &domains, 0);
    int i;

    if (n < 0)
        benchFail("list");
    for (i = 0; i < n; i++) {
        char *xml = virDomainGetXMLDesc(domains[i], 0);

        if (xml == NULL)
            benchFail("list");
        free(xml);
        virDomainFree(domains[i]);
    }
    free(domains);
}

static void
benchNames(benchJob *job)
{
    virDomainPtr *domains;
    int n = virConnectListAllDomains(job->conn, &domains, 0);
    int i;

    for (i = 0; i < n; i++)
        virDomainFree(domains[i]);
    if (n < 0)
        benchFail("names");
    free(domains);
}

static void
benchStart(benchJob *job)
{
    if (virDomainCreate(job->domain) < 0 || virDomainDestroy(job->domain) < 0)
        benchFail("start");
}

static void
benchSave(benchJob *job)
{
    if (virDomainManagedSave(job->domain, 0) < 0 || virDomainCreate(job->domain) < 0)
        benchFail("save");
}

static void
benchCreate(benchJob *job)
{
    if (virDomainCreate(job->domain) < 0)
        benchFail("create");
}

static void
benchDestroy(benchJob *job)
{
    if (virDomainDestroy(job->domain) < 0)
        benchFail("destroy");
}

static void
benchUndefine(benchJob *job)
{
    if (virDomainUndefine(job->domain) < 0)
        benchFail("undefine");
}

static const struct {
    const char *name;
    void (*run)(benchJob *job);
    bool needsDomain;
} benchPieces[] = {
    {"define", benchDefine, false},  {"dumpxml", benchDumpxml, true},
    {"native", benchNative, false},  {"list", benchList, false},
    {"names", benchNames, false},    {"start", benchStart, true},
    {"save", benchSave, true},       {"create", benchCreate, true},
    {"destroy", benchDestroy, true}, {"undefine", benchUndefine, true},
};

/* The symbol that callgrind looks for. */
static void G_GNUC_NO_INLINE
benchMeasured(void (*run)(benchJob *job), benchJob *job)
{
    run(job);
}

/* The domain with the UUID in the XML. */
static virDomainPtr
benchFind(virConnectPtr conn, const char *xml)
{
    const char *uuid = strstr(xml, "<uuid>");
    g_autofree char *text = uuid != NULL ? g_strndup(uuid + 6, VIR_UUID_STRING_BUFLEN - 1) : NULL;
    virDomainPtr domain = text != NULL ? virDomainLookupByUUIDString(conn, text) : NULL;

    if (domain == NULL)
        benchFail("lookup");
    return domain;
}

static void
benchRun(virConnectPtr conn, const char *name, guint64 calls, const char *path)
{
    benchJob job = {.conn = conn};
    bool warm = g_str_has_prefix(name, "warm-");
    guint64 i;
    size_t k;

    if (!g_file_get_contents(path, &job.xml, NULL, NULL))
        benchFail(path);
    for (k = 0; k < G_N_ELEMENTS(benchPieces); k++) {
        if (strcmp(benchPieces[k].name, warm ? name + 5 : name) == 0)
            break;
    }
    if (k == G_N_ELEMENTS(benchPieces))
        benchFail(name);
    if (benchPieces[k].needsDomain)
        job.domain = benchFind(conn, job.xml);
    for (i = 0; i < calls; i++) {
        guint64 begin = benchNow();

        if (warm)
            benchPieces[k].run(&job);
        else
            benchMeasured(benchPieces[k].run, &job);
        printf("%" G_GUINT64_FORMAT " ", benchNow() - begin);
    }
    if (job.domain != NULL)
        virDomainFree(job.domain);
    g_free(job.xml);
    printf("\n");
    fflush(stdout);
}

static void *
benchEvents(void *data)
{
    while (data == NULL)
        virEventRunDefaultImpl();
    return NULL;
}

int
main(int argc, char **argv)
{
    char line[4096];
    virConnectPtr conn;

    if (argc != 2 || virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
        return EXIT_FAILURE;
    benchEmbedded = strstr(argv[1], "/embed") != NULL;
    g_thread_unref(g_thread_new("events", benchEvents, NULL));
    conn = virConnectOpen(argv[1]);
    if (conn == NULL)
        benchFail("open");
    while (fgets(line, sizeof(line), stdin) != NULL) {
        g_auto(GStrv) words = g_strsplit(g_strchomp(line), " ", 3);

        if (g_strv_length(words) != 3)
            return EXIT_FAILURE;
        benchRun(conn, words[0], g_ascii_strtoull(words[1], NULL, 10), words[2]);
    }
    /* An embedded driver takes some time to close. */
    fflush(NULL);
    _Exit(EXIT_SUCCESS);
}
