/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_libvirt.h: a libvirt with one domain, whose XML the test chooses, in place of the real one:
 * its functions are in front of the library's, and record what they were called with. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gmemerror.h"
#include "gmemhostconf.h"
#include "gmemlower.h"
#include "gmemreal.h"
#include "gmemrefusal.h"
#include "gmemwitness.h"

#define TEST_NAME "a domain that no host has"
#define TEST_UUID "5a1c0c1e-9a6f-4f0e-8d60-0c1f6c9be001"

/* Nothing looks at what is behind these. */
static char testObjects[3];
#define TEST_CONN ((virConnectPtr)&testObjects[0])
#define TEST_DOMAIN ((virDomainPtr)&testObjects[1])
#define TEST_SNAPSHOT ((virDomainSnapshotPtr)&testObjects[2])

/* What can be chosen. Documents are as libvirt stores them. */
static struct {
    const char *uri;
    const char *running;  /* NULL: the domain does not run */
    const char *defined;  /* NULL: it is not defined */
    const char *managed;  /* of its managed save image; NULL: it has none */
    const char *image;    /* of a save image; NULL: libvirt cannot read it */
    const char *snapshot; /* NULL: there is none */
    int active;           /* what virDomainIsActive() returns; -2: as it is */
    int managedCode;      /* the error where its managed save image cannot be read */
    const char *witness;  /* why the emulator is not what it should be; NULL: it is */
    const char *hotplug;  /* the same for memory that is attached */
    const char *refusal;  /* of the child that becomes the emulator */
    bool readOnlyStored;  /* what gmem.conf says */
    bool ruled;           /* the same: a rule gives every domain <private/> */
    uid_t user;           /* that the process runs as */
    int result;           /* of the calls that change something */
} testHost;

/* What was called: the last of those that change something. */
static struct {
    const char *name; /* NULL: none */
    const void *text;
    char copy[4096];     /* of a text that only lives as long as the call */
    const char *defined; /* what virDomainDefineXML() got */
    unsigned long memory;
    unsigned int flags;
    int number;
    int asked; /* whether the domain runs, or exists */
} testCalled;

static struct {
    int code;
    char message[1024];
} testError;

static void
testSetError(virErrorPtr error)
{
    testError.code = error->code;
    g_strlcpy(testError.message, error->message != NULL ? error->message : "",
              sizeof(testError.message));
}

static void
testFail(int code)
{
    testError.code = code;
    g_strlcpy(testError.message, "libvirt's own error", sizeof(testError.message));
}

/* Like each of libvirt's calls, this resets the last error. */
static int
testCall(const char *name, const void *text, unsigned int flags)
{
    memset(&testError, 0, sizeof(testError));
    if (testHost.refusal != NULL) {
        const GError refusal = {GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED, (char *)testHost.refusal};

        gmemRefusalSet(&refusal);
    }
    testCalled.name = name;
    testCalled.text = text;
    testCalled.flags = flags;
    testCalled.number++;
    return testHost.result;
}

/* The same for a text of a device or of a domain. */
static int
testCallText(const char *name, const char *text, unsigned int flags)
{
    g_strlcpy(testCalled.copy, text != NULL ? text : "", sizeof(testCalled.copy));
    return testCall(name, text, flags);
}

uid_t
geteuid(void)
{
    return testHost.user;
}

int
virGetLastErrorCode(void)
{
    return testError.code;
}

void
virResetLastError(void)
{
    memset(&testError, 0, sizeof(testError));
}

virErrorPtr
virSaveLastError(void)
{
    virErrorPtr error = g_new0(virError, 1);

    error->code = testError.code;
    error->message = g_strdup(testError.message);
    return error;
}

void
virFreeError(virErrorPtr error)
{
    g_free(error->message);
    g_free(error);
}

char *
virConnectGetURI(virConnectPtr conn G_GNUC_UNUSED)
{
    return g_strdup(testHost.uri);
}

virConnectPtr
virDomainGetConnect(virDomainPtr domain)
{
    g_assert_true(domain == TEST_DOMAIN);
    virResetLastError();
    return TEST_CONN;
}

const char *
virDomainGetName(virDomainPtr domain)
{
    g_assert_true(domain == TEST_DOMAIN);
    virResetLastError();
    return TEST_NAME;
}

int
virDomainIsActive(virDomainPtr domain)
{
    g_assert_true(domain == TEST_DOMAIN);
    testCalled.asked++;
    virResetLastError();
    if (testHost.active == -1)
        testFail(VIR_ERR_NO_DOMAIN);
    return testHost.active != -2 ? testHost.active : testHost.running != NULL;
}

int
virDomainIsPersistent(virDomainPtr domain)
{
    g_assert_true(domain == TEST_DOMAIN);
    testCalled.asked++;
    virResetLastError();
    return testHost.defined != NULL;
}

int
virDomainFree(virDomainPtr domain)
{
    g_assert_true(domain == TEST_DOMAIN);
    virResetLastError();
    return 0;
}

int
virDomainHasManagedSaveImage(virDomainPtr domain, unsigned int flags)
{
    g_assert_true(domain == TEST_DOMAIN);
    g_assert_cmpuint(flags, ==, 0);
    testCalled.asked++;
    virResetLastError();
    return testHost.managed != NULL || testHost.managedCode != 0;
}

virDomainPtr
virDomainLookupByUUIDString(virConnectPtr conn, const char *uuid)
{
    g_assert_true(conn == TEST_CONN);
    virResetLastError();
    if (testHost.defined != NULL && g_str_equal(uuid, TEST_UUID))
        return TEST_DOMAIN;
    testFail(g_str_equal(uuid, "hidden") ? VIR_ERR_AUTH_FAILED : VIR_ERR_NO_DOMAIN);
    return NULL;
}

int
virConnectListAllDomains(virConnectPtr conn, virDomainPtr **domains, unsigned int flags)
{
    g_assert_true(conn == TEST_CONN);
    g_assert_cmpuint(flags, ==, VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE);
    virResetLastError();
    if (domains != NULL)
        *domains = g_new0(virDomainPtr, 2);
    if (domains != NULL && testHost.managed != NULL)
        (*domains)[0] = TEST_DOMAIN;
    return testHost.managed != NULL;
}

virConnectPtr
virDomainSnapshotGetConnect(virDomainSnapshotPtr snapshot)
{
    g_assert_true(snapshot == TEST_SNAPSHOT);
    virResetLastError();
    return TEST_CONN;
}

virDomainPtr
virDomainSnapshotGetDomain(virDomainSnapshotPtr snapshot)
{
    g_assert_true(snapshot == TEST_SNAPSHOT);
    virResetLastError();
    return TEST_DOMAIN;
}

int
virDomainSnapshotFree(virDomainSnapshotPtr snapshot)
{
    g_assert_true(snapshot == TEST_SNAPSHOT);
    virResetLastError();
    return 0;
}

virDomainSnapshotPtr
virDomainSnapshotLookupByName(virDomainPtr domain, const char *name, unsigned int flags)
{
    g_assert_true(domain == TEST_DOMAIN);
    g_assert_cmpuint(flags, ==, 0);
    virResetLastError();
    if (testHost.snapshot != NULL && g_str_equal(name, " s"))
        return TEST_SNAPSHOT;
    testFail(g_str_equal(name, "hidden") ? VIR_ERR_AUTH_FAILED : VIR_ERR_NO_DOMAIN_SNAPSHOT);
    return NULL;
}

/* In front of our own, which ask the host. */

int
gmemWitnessCheckRunning(virDomainPtr domain, const gmemPlan *plan, GError **error)
{
    g_assert_true(domain == TEST_DOMAIN);
    if (plan == NULL || plan->mode != GMEM_MODE_FULLY_SHARED || testHost.witness == NULL)
        return 0;
    g_set_error_literal(error, GMEM_ERROR, VIR_ERR_OPERATION_UNSUPPORTED, testHost.witness);
    return -1;
}

int
gmemWitnessCheckHotplug(virDomainPtr domain, const gmemPlan *plan, GError **error)
{
    g_assert_true(domain == TEST_DOMAIN);
    if (plan->mode != GMEM_MODE_CONVERTIBLE && testHost.hotplug == NULL)
        return 0;
    g_set_error_literal(error, GMEM_ERROR, VIR_ERR_OPERATION_UNSUPPORTED,
                        testHost.hotplug != NULL ? testHost.hotplug : "hotplug");
    return -1;
}

int __wrap_gmemHostConfRefresh(const char *path, GError **error);
int
__wrap_gmemHostConfRefresh(const char *path G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
    return 0;
}

int __wrap_gmemHostConfGet(gmemHostConf *conf, GError **error);
int
__wrap_gmemHostConfGet(gmemHostConf *conf, GError **error G_GNUC_UNUSED)
{
    static gmemHostConfRule rule = {.name = (char *)"all", .mode = GMEM_MODE_FULLY_SHARED};

    memset(conf, 0, sizeof(*conf));
    conf->readOnlyStored = testHost.readOnlyStored;
    conf->rules = &rule;
    conf->nrules = testHost.ruled;
    return 0;
}

static char *
testShow(const char *text, int code)
{
    if (text == NULL)
        testFail(code);
    return g_strdup(text);
}

static char *
testGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
    bool inactive = (flags & VIR_DOMAIN_XML_INACTIVE) != 0;

    g_assert_true(domain == TEST_DOMAIN);
    virResetLastError();
    return testShow(testHost.running != NULL && (!inactive || testHost.defined == NULL)
                        ? testHost.running
                        : testHost.defined,
                    VIR_ERR_NO_DOMAIN);
}

static char *
testManagedGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
    g_assert_true(domain == TEST_DOMAIN);
    g_assert_cmpuint(flags & ~1U, ==, 0);
    virResetLastError();
    return testShow(testHost.managed, testHost.managedCode);
}

static char *
testImageGetXMLDesc(virConnectPtr conn, const char *file, unsigned int flags)
{
    g_assert_true(conn == TEST_CONN);
    g_assert_nonnull(file);
    g_assert_cmpuint(flags & ~1U, ==, 0);
    virResetLastError();
    return testShow(testHost.image, VIR_ERR_OPERATION_FAILED);
}

static char *
testSnapshotGetXMLDesc(virDomainSnapshotPtr snapshot, unsigned int flags G_GNUC_UNUSED)
{
    g_assert_true(snapshot == TEST_SNAPSHOT);
    virResetLastError();
    return testShow(testHost.snapshot, VIR_ERR_NO_DOMAIN_SNAPSHOT);
}

/* libvirt does not tell this client which emulator it would run, so the host is not asked. */
static char *
testGetDomainCapabilities(virConnectPtr conn,
                          const char *emulator G_GNUC_UNUSED,
                          const char *arch G_GNUC_UNUSED,
                          const char *machine G_GNUC_UNUSED,
                          const char *type G_GNUC_UNUSED,
                          unsigned int flags G_GNUC_UNUSED)
{
    g_assert_true(conn == TEST_CONN);
    testFail(VIR_ERR_AUTH_FAILED);
    return NULL;
}
