/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemstart.c: the check before a start: the same rules as in the child, but with a proper error.
 */

#include "gmemstart.h"

#include <stdlib.h>

#include "gmemcapscache.h"
#include "gmemdomcaps.h"
#include "gmemfiles.h"
#include "gmemhostconf.h"
#include "gmemkvm.h"
#include "gmemlog.h"
#include "gmemlower.h"
#include "gmemnotes.h"
#include "gmemplatform.h"
#include "gmemprocess.h"
#include "gmemreal.h"
#include "gmemvalidate.h"

/* The emulator that libvirt says it would run, given @emulator, which can be NULL; NULL if libvirt
 * does not answer this client. Free with g_free(). */
static char *
gmemStartAskEmulator(virConnectPtr conn, const char *emulator)
{
    char *domcaps = gmemReal()->virConnectGetDomainCapabilities(conn, emulator, GMEM_PLATFORM_ARCH,
                                                                NULL, "kvm", 0);
    char *found;

    if (domcaps == NULL) {
        virResetLastError();
        return NULL;
    }
    found = gmemDomCapsEmulator(domcaps);
    free(domcaps);
    return found;
}

/* libvirt's default, which is asked for again when the search for it leads somewhere else. */
static char *
gmemStartDefaultEmulator(virConnectPtr conn)
{
    static GMutex lock;
    static char *answer, *basis;
    g_autofree char *path = g_find_program_in_path(GMEM_PLATFORM_EMULATOR);
    char *emulator = NULL;

    g_mutex_lock(&lock);
    if (path != NULL && g_strcmp0(path, basis) == 0)
        emulator = g_strdup(answer);
    g_mutex_unlock(&lock);
    if (emulator != NULL)
        return emulator;
    emulator = gmemStartAskEmulator(conn, NULL);
    if (path == NULL || emulator == NULL)
        return emulator;
    g_mutex_lock(&lock);
    g_free(answer);
    g_free(basis);
    answer = g_strdup(emulator);
    basis = g_steal_pointer(&path);
    g_mutex_unlock(&lock);
    return emulator;
}

int
gmemStartGetCaps(virConnectPtr conn, const gmemPlan *plan, gmemQEMUCaps **caps, GError **error)
{
    g_autofree char *emulator =
        plan->emulator != NULL ? g_strdup(plan->emulator) : gmemStartDefaultEmulator(conn);

    *caps = emulator != NULL ? gmemCapsCacheLookup(emulator, error) : NULL;
    return emulator != NULL && *caps == NULL ? -1 : 0;
}

/* Whether host and emulator support it. @caps: NULL if the client may not know. */
static int
gmemStartCheckEmulator(const gmemPlan *plan, const gmemQEMUCaps *caps, GError **error)
{
    g_autoptr(gmemKVM) kvm = NULL;

    if (caps == NULL)
        return 0;
    kvm = gmemKVMLookup();
    if (gmemQEMUValidateHost(plan, kvm, error) < 0)
        return -1;
    return gmemQEMUValidateEmulator(plan, caps, error);
}

int
gmemStartCheck(virConnectPtr conn, const gmemPlan *plan, GError **error)
{
    g_autofree char *emulator = NULL;
    g_autoptr(gmemQEMUCaps) caps = NULL;

    /* This is also because the child uses what is read here. */
    if (plan->mode == GMEM_MODE_CONVERTIBLE && gmemHostConfRefresh(GMEM_HOST_CONF_FILE, error) < 0)
        return -1;
    emulator = gmemStartAskEmulator(conn, plan->emulator);
    if (emulator == NULL)
        return 0;
    caps = gmemCapsCacheLookup(emulator, error);
    return caps != NULL ? gmemStartCheckEmulator(plan, caps, error) : -1;
}

int
gmemStartCheckParsed(virConnectPtr conn, const gmemPlan *plan, GError **error)
{
    g_autoptr(gmemQEMUCaps) caps = NULL;

    if (plan->mode == GMEM_MODE_CONVERTIBLE && gmemHostConfRefresh(GMEM_HOST_CONF_FILE, error) < 0)
        return -1;
    if (gmemStartGetCaps(conn, plan, &caps, error) < 0)
        return -1;
    return gmemStartCheckEmulator(plan, caps, error);
}

void
gmemStartNote(const gmemPlan *plan)
{
    g_auto(GStrv) notes = gmemNotesFormat(plan);
    size_t i;

    if (!gmemProcessIsDaemon())
        return;
    for (i = 0; notes[i] != NULL; i++)
        gmemLog("domain '%s': %s", plan->name != NULL ? plan->name : "", notes[i]);
}

int
gmemStartCheckDomain(virDomainPtr domain, GError **error)
{
    g_autoptr(gmemPlan) plan = NULL;
    g_autofree char *xml = /* libvirt's strings are malloc's, as GLib's are */
        gmemReal()->virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);

    if (xml == NULL)
        return -1;
    if (!gmemRaiseMayHavePair(xml)) {
        if (gmemFilesCheck(virDomainGetConnect(domain), domain, NULL, error) < 0)
            return -1;
        gmemProcessSetStartsOrdinary(true);
        return 0;
    }
    /* Calls that do not carry a whole domain (attach, setmem …) may have changed the configuration
     * since it was checked at define. */
    if (gmemRaisePlan(xml, gmemLowerFindRoot, true, &plan, error) < 0 ||
        gmemFilesCheck(virDomainGetConnect(domain), domain, plan, error) < 0)
        return -1;
    if (plan == NULL)
        return 0;
    if (gmemStartCheck(virDomainGetConnect(domain), plan, error) < 0)
        return -1;
    gmemStartNote(plan);
    return 0;
}

unsigned int
gmemStartGetModes(const char *emulator)
{
    g_autoptr(gmemQEMUCaps) caps = NULL;
    g_autoptr(gmemKVM) kvm = NULL;
    g_autoptr(GError) error = NULL;
    gmemPlan plan = {0};
    unsigned int modes = 0;

    caps = gmemCapsCacheLookup(emulator, &error);
    if (caps == NULL) {
        gmemLog("warning: what '%s' offers is not known: %s", emulator, error->message);
        return 0;
    }
    kvm = gmemKVMLookup();
    for (plan.mode = GMEM_MODE_NONE + 1; plan.mode < GMEM_MODE_LAST; plan.mode++) {
        if (gmemQEMUValidateHost(&plan, kvm, NULL) == 0 &&
            gmemQEMUValidateEmulator(&plan, caps, NULL) == 0)
            modes |= 1U << plan.mode;
    }
    return modes;
}
