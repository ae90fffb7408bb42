/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client.c: many threads that use one embedded driver at once: each defines, shows, translates,
 * starts and removes a domain of its own, and shows those of others meanwhile.
 *
 * usage: tsan-client URI ROUNDS DIRECTORY, which contains domains with the names vm-NUMBER in
 * NUMBER.xml */

#include <glib.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 4

typedef struct {
    const char *uri, *directory;
    unsigned int number, rounds, failed;
} Work;

static void
ignoreError(void *data, virErrorPtr error)
{
    (void)data;
    (void)error;
}

static void *
runEvents(void *data)
{
    (void)data;
    while (virEventRunDefaultImpl() == 0)
        continue;
    return NULL;
}

/* Whether @text exists and, if @part is given, contains it; frees @text. */
static unsigned int
expect(char *text, const char *part)
{
    const unsigned int failed = text == NULL || (part != NULL && strstr(text, part) == NULL);

    free(text);
    return failed;
}

static unsigned int
showOthers(virConnectPtr conn)
{
    virDomainPtr *domains = NULL;
    const int count = virConnectListAllDomains(conn, &domains, 0);
    int i;

    for (i = 0; i < count; i++) {
        /* It may have been removed by now. */
        free(virDomainGetXMLDesc(domains[i], 0));
        free(virDomainGetXMLDesc(domains[i], VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE));
        virDomainFree(domains[i]);
    }
    free(domains);
    return count < 0;
}

static unsigned int
useDomain(virConnectPtr conn, virDomainPtr domain, const char *xml)
{
    unsigned int failed = expect(virDomainGetXMLDesc(domain, 0), "<private/>");

    failed += showOthers(conn);
    failed += expect(virConnectDomainXMLToNative(conn, "qemu-argv", xml, 0), "-x-libvirt-gmem");
    failed += expect(virConnectGetDomainCapabilities(conn, NULL, NULL, NULL, "kvm", 0), NULL);
    if (virDomainCreate(domain) == 0) {
        failed += expect(virDomainGetXMLDesc(domain, 0), "<private/>");
        failed += virDomainDestroy(domain) < 0;
    } else {
        failed++;
    }
    return failed + (virDomainUndefine(domain) < 0);
}

static void *
work(void *data)
{
    Work *own = data;
    g_autofree char *path = g_strdup_printf("%s/%u.xml", own->directory, own->number);
    g_autofree char *xml = NULL;
    virConnectPtr conn = virConnectOpen(own->uri);
    unsigned int i;

    virSetErrorFunc(NULL, ignoreError);
    if (conn == NULL || !g_file_get_contents(path, &xml, NULL, NULL)) {
        own->failed++;
        return NULL;
    }
    for (i = 0; i < own->rounds; i++) {
        virDomainPtr domain = virDomainDefineXML(conn, xml);

        own->failed += domain != NULL ? useDomain(conn, domain, xml) : 1;
        if (domain != NULL)
            virDomainFree(domain);
    }
    virConnectClose(conn);
    return NULL;
}

int
main(int argc, char **argv)
{
    GThread *threads[THREADS];
    Work works[THREADS];
    unsigned int failed = 0;
    virConnectPtr conn;
    unsigned int i;

    if (argc != 4)
        return 2;
    virSetErrorFunc(NULL, ignoreError);
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
        return 2;
    g_thread_unref(g_thread_new("events", runEvents, NULL));
    /* The connection stays open, and with it the driver. */
    conn = virConnectOpen(argv[1]);
    if (conn == NULL)
        g_error("%s: %s", argv[1], virGetLastErrorMessage());
    for (i = 0; i < THREADS; i++) {
        works[i] = (Work){argv[1], argv[3], i, (unsigned int)atoi(argv[2]), 0};
        threads[i] = g_thread_new("client", work, &works[i]);
    }
    for (i = 0; i < THREADS; i++) {
        g_thread_join(threads[i]);
        failed += works[i].failed;
    }
    virConnectClose(conn);
    g_print("%u calls failed\n", failed);
    /* Not exit(), because libvirt's own threads run until the end. */
    fflush(stdout);
    _exit(failed != 0);
}
