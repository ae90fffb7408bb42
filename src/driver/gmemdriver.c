/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdriver.c: the functions in front of libvirt's public API.
 *
 * Each asks whether the call is one of ours, does its part with the stages of conf and qemu, and
 * calls the real one. What libvirt is given, and gives back, for a domain that uses neither element
 * is passed on as the same pointer. */

#include "gmemdriver.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gmemconnection.h"
#include "gmemerror.h"
#include "gmemexpect.h"
#include "gmemfiles.h"
#include "gmemi18n.h"
#include "gmemlog.h"
#include "gmemlower.h"
#include "gmemnative.h"
#include "gmemnested.h"
#include "gmemprocess.h"
#include "gmemreal.h"
#include "gmemrefusal.h"
#include "gmemstart.h"
#include "gmemxml.h"

int
gmemDriverLower(virConnectPtr conn, const char *xml, bool validate, char **lowered, gmemPlan **plan)
{
    GError *error = NULL;

    *lowered = NULL;
    if (plan != NULL)
        *plan = NULL;
    if (xml == NULL || !gmemLowerConcerns(xml) || !gmemConnectionIsOurs(conn))
        return 0;
    *lowered = gmemNestedLower(xml, validate, plan, &error);
    if (*lowered != NULL)
        return 0;
    gmemConnectionReport(conn, error);
    return -1;
}

char *
gmemDriverRaise(virConnectPtr conn, char *xml)
{
    g_autoptr(GError) error = NULL;
    char *raised;

    if (xml == NULL || !gmemRaiseConcerns(xml) || !gmemConnectionIsOurs(conn))
        return xml;
    raised = gmemNestedRaise(xml, NULL, &error);
    if (raised == NULL) {
        gmemLog("warning: a domain is shown as it is stored: %s", error->message);
        return xml;
    }
    free(xml);
    return raised; /* g_malloc is malloc since glib 2.46: the caller may free() it */
}

/* What would refuse the domain's start here does not refuse its definition: it may be meant for
 * another day or host. The log tells. */
static void
gmemDriverDefined(virDomainPtr domain, const gmemPlan *plan)
{
    g_autoptr(GError) error = NULL;

    /* libvirtd has other drivers, whose domains may have the same names. */
    if (domain == NULL || !gmemConnectionIsOurs(virDomainGetConnect(domain)))
        return;
    gmemFilesForget(virDomainGetName(domain));
    if (plan != NULL && gmemStartCheck(virDomainGetConnect(domain), plan, &error) < 0)
        gmemLog("warning: domain '%s' is defined but could not start now: %s",
                plan->name != NULL ? plan->name : "", error->message);
}

int
gmemDriverCheckPlan(virConnectPtr conn, const gmemPlan *plan)
{
    GError *error = NULL;

    if (plan == NULL) {
        gmemProcessSetStartsOrdinary(true);
        return 0;
    }
    if (gmemStartCheck(conn, plan, &error) == 0) {
        gmemStartNote(plan);
        return 0;
    }
    gmemConnectionReport(conn, error);
    return -1;
}

int
gmemDriverCheckSaved(virConnectPtr conn, gmemPlan *plan)
{
    if (plan != NULL)
        plan->cellNodesetsDiffer = false;
    gmemExpect(plan);
    return gmemDriverCheckPlan(conn, plan);
}

int
gmemDriverStarted(virConnectPtr conn, int result)
{
    GError *error = result < 0 ? gmemRefusalTake() : NULL;

    if (error != NULL)
        gmemConnectionReport(conn, error);
    return result;
}

int
gmemDriverGetPlan(virDomainPtr domain, unsigned int flags, gmemPlan **plan)
{
    virConnectPtr conn = gmemConnectionOf(domain);
    GError *error = NULL;
    int rc;

    *plan = NULL;
    if (!gmemConnectionIsOurs(conn))
        return 0;
    rc = gmemDriverGetStoredPlan(conn, gmemReal()->virDomainGetXMLDesc(domain, flags), plan);
    if (rc == 0 && flags == 0)
        rc = gmemStartCheckRunning(domain, *plan, &error);
    /* NULL: libvirt's own error is the last one. */
    if (error != NULL)
        gmemConnectionReport(conn, error);
    return rc;
}

int
gmemDriverGetStoredPlan(virConnectPtr conn, char *xml, gmemPlan **plan)
{
    g_autofree char *stored = xml; /* libvirt's strings are malloc's, as GLib's are */
    g_autofree char *raised = NULL;
    GError *error = NULL;

    *plan = NULL;
    if (xml == NULL)
        return -1;
    raised = gmemRaiseConcerns(xml) ? gmemNestedRaise(stored, plan, &error) : NULL;
    if (error == NULL)
        return 0;
    gmemConnectionReport(conn, error);
    return -1;
}

bool
gmemDriverIsSpecialFile(const char *path)
{
    struct stat file;

    return stat(path, &file) == 0 && (!S_ISREG(file.st_mode) || file.st_size == 0);
}

int
gmemDriverRefuseConvertible(virDomainPtr domain, const char *operation)
{
    g_autoptr(gmemPlan) plan = NULL;
    GError *error = NULL;
    int active;

    if (gmemDriverGetPlan(domain, 0, &plan) < 0)
        return -1;
    if (plan == NULL || plan->mode != GMEM_MODE_CONVERTIBLE)
        return 0;
    active = virDomainIsActive(domain);
    if (active != 1)
        return active;
    gmemErrorSet(
        &error, VIR_ERR_OPERATION_UNSUPPORTED,
        _("%s is not possible for a domain with <launchSecurity type='sw-protected'/>: the "
          "host cannot read the guest's private pages"),
        operation);
    gmemConnectionReport(virDomainGetConnect(domain), error);
    return -1;
}

/* What a guest's memory is, for messages. */
static const char *
gmemDriverModeElement(const gmemPlan *plan)
{
    switch (plan != NULL ? plan->mode : GMEM_MODE_NONE) {
    case GMEM_MODE_CONVERTIBLE:
        return "<launchSecurity type='sw-protected'/>";
    case GMEM_MODE_FULLY_SHARED:
        return "<private/>";
    case GMEM_MODE_NONE:
    case GMEM_MODE_LAST:
    default:
        return _("ordinary memory");
    }
}

static bool
gmemDriverSameMode(const gmemPlan *then, const gmemPlan *now)
{
    return (then != NULL ? then->mode : GMEM_MODE_NONE) ==
           (now != NULL ? now->mode : GMEM_MODE_NONE);
}

int
gmemDriverRefuseOtherMode(virConnectPtr conn, const gmemPlan *then, const gmemPlan *now)
{
    GError *error = NULL;

    if (gmemDriverSameMode(then, now))
        return 0;
    gmemErrorSet(&error, VIR_ERR_CONFIG_UNSUPPORTED,
                 _("the guest was started with %s and cannot go on with %s"),
                 gmemDriverModeElement(then), gmemDriverModeElement(now));
    gmemConnectionReport(conn, error);
    return -1;
}

/* What a managed save image asks for. Returns 1 with *@plan; 0 where libvirt will not go on from
 * the image, which is damaged or gone: it starts the domain as defined then; -1 with the error
 * reported. */
static int
gmemDriverGetManagedSave(virDomainPtr domain, gmemPlan **plan)
{
    virConnectPtr conn = virDomainGetConnect(domain); /* resets errors */
    int has = virDomainHasManagedSaveImage(domain, 0);
    char *xml;

    if (has != 1)
        return has;
    xml = gmemReal()->virDomainManagedSaveGetXMLDesc(domain, 0);
    if (xml == NULL && (virGetLastErrorCode() == VIR_ERR_OPERATION_FAILED ||
                        virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID)) {
        virResetLastError();
        return 0;
    }
    return gmemDriverGetStoredPlan(conn, xml, plan) < 0 ? -1 : 1;
}

int
gmemDriverCheckRedefined(virDomainPtr domain, const gmemPlan *now)
{
    g_autoptr(gmemPlan) saved = NULL;
    GError *error = NULL;
    int image = gmemDriverGetManagedSave(domain, &saved);

    if (image <= 0 || gmemDriverSameMode(saved, now))
        return MIN(image, 0);
    gmemErrorSet(&error, VIR_ERR_CONFIG_UNSUPPORTED,
                 _("domain '%s' has a managed save image of a guest with %s, and cannot be "
                   "defined with %s until 'virsh managedsave-remove' has removed the image"),
                 virDomainGetName(domain), gmemDriverModeElement(saved),
                 gmemDriverModeElement(now));
    gmemConnectionReport(virDomainGetConnect(domain), error);
    return -1;
}

/* What is named as @uuid, as libvirt reads that, if it is there. */
static int
gmemDriverCheckDefinitionOf(virConnectPtr conn, const char *uuid, const gmemPlan *now)
{
    virDomainPtr domain = virDomainLookupByUUIDString(conn, uuid);
    virErrorPtr error;
    int rc;

    if (domain == NULL) {
        /* libvirt does not define with what is no UUID. */
        if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN &&
            virGetLastErrorCode() != VIR_ERR_INVALID_ARG)
            return -1;
        virResetLastError();
        return 0;
    }
    rc = gmemDriverCheckRedefined(domain, now);
    error = gmemConnectionKeepError();
    virDomainFree(domain);
    gmemConnectionGiveError(error);
    return rc;
}

/* The definition may be that of any of them. */
static int
gmemDriverCheckDefinitionOfAny(virConnectPtr conn, const gmemPlan *now)
{
    virDomainPtr *domains = NULL;
    int n = virConnectListAllDomains(conn, &domains, VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE);
    int rc = MIN(n, 0);
    virErrorPtr error;
    int i;

    for (i = 0; i < n && rc == 0; i++)
        rc = gmemDriverCheckRedefined(domains[i], now);
    error = gmemConnectionKeepError();
    for (i = 0; i < n; i++)
        virDomainFree(domains[i]);
    free(domains);
    gmemConnectionGiveError(error);
    return rc;
}

/* The UUID that @xml gives its domain, to be freed with g_free(); NULL: none. *@unknown is out:
 * whether that cannot be told, so that it may be any. */
static char *
gmemDriverDefinedUUID(const char *xml, char **lowered, bool *unknown)
{
    g_autoptr(GError) fault = NULL;
    g_autoptr(gmemXML) doc = gmemXMLParse(xml, &fault);
    gmemXMLNode *node = doc != NULL ? gmemXMLFindFirst(gmemXMLRoot(doc), "uuid") : NULL;

    *unknown = doc == NULL;
    if (lowered != NULL && g_error_matches(fault, GMEM_ERROR, VIR_ERR_XML_DETAIL)) {
        g_free(*lowered);
        *lowered = gmemXMLMalformed(xml);
        *unknown = false;
    }
    return node != NULL ? gmemXMLContent(node) : NULL;
}

int
gmemDriverCheckDefinition(virConnectPtr conn, const char *xml, char **lowered, const gmemPlan *now)
{
    g_autofree char *uuid = NULL;
    bool unknown;

    if (xml == NULL || !gmemConnectionIsOurs(conn))
        return 0;
    if (virConnectListAllDomains(conn, NULL, VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE) == 0)
        return 0;
    uuid = gmemDriverDefinedUUID(xml, lowered, &unknown);
    if (uuid != NULL)
        return gmemDriverCheckDefinitionOf(conn, uuid, now);
    if (unknown)
        return gmemDriverCheckDefinitionOfAny(conn, now);
    /* What has none gets a new one. */
    virResetLastError();
    return 0;
}

int
gmemDriverCheckManaged(virDomainPtr domain)
{
    g_autoptr(gmemPlan) running = NULL;
    g_autoptr(gmemPlan) defined = NULL;
    GError *error = NULL;

    if (gmemDriverGetPlan(domain, 0, &running) < 0 ||
        gmemDriverGetPlan(domain, VIR_DOMAIN_XML_INACTIVE, &defined) < 0)
        return -1;
    if (gmemDriverSameMode(running, defined))
        return 0;
    gmemErrorSet(
        &error, VIR_ERR_CONFIG_UNSUPPORTED,
        _("the guest was started with %s, and the domain is defined with %s now, so a "
          "managed save could not go on: save the guest to a file ('virsh save'), or define "
          "the domain as it runs"),
        gmemDriverModeElement(running), gmemDriverModeElement(defined));
    gmemConnectionReport(virDomainGetConnect(domain), error);
    return -1;
}

/* What a managed save image has in it goes on as it was, whatever the domain's configuration has
 * become. So it must not have become another mode: a guest on ordinary memory would go on as if it
 * were the private one that the configuration shows. */
static int
gmemDriverCheckManagedSave(virDomainPtr domain, gmemPlan *then)
{
    g_autoptr(gmemPlan) now = NULL;
    GError *error = NULL;

    if (gmemDriverGetPlan(domain, VIR_DOMAIN_XML_INACTIVE, &now) < 0)
        return -1;
    if (gmemFilesCheck(domain, now, &error) < 0) {
        gmemConnectionReport(virDomainGetConnect(domain), error);
        return -1;
    }
    if (gmemDriverSameMode(then, now))
        return gmemDriverCheckSaved(virDomainGetConnect(domain), then);
    gmemErrorSet(&error, VIR_ERR_CONFIG_UNSUPPORTED,
                 _("the managed save image is of a guest with %s, and the domain is defined with "
                   "%s now: remove the image, or start without it ('--force-boot')"),
                 gmemDriverModeElement(then), gmemDriverModeElement(now));
    gmemConnectionReport(virDomainGetConnect(domain), error);
    return -1;
}

static int
gmemDriverCheckDomain(virDomainPtr domain, unsigned int flags)
{
    g_autoptr(gmemPlan) saved = NULL;
    GError *error = NULL;
    int image = 0;

    /* Public functions may be handed anything; what is no domain gets libvirt's own error. */
    if (domain == NULL || !gmemConnectionIsOurs(virDomainGetConnect(domain)))
        return 0;
    if ((flags & VIR_DOMAIN_START_FORCE_BOOT) == 0)
        image = gmemDriverGetManagedSave(domain, &saved);
    if (image < 0)
        return -1;
    if (image > 0)
        return gmemDriverCheckManagedSave(domain, saved);
    if (gmemStartCheckDomain(domain, &error) == 0)
        return 0;
    /* NULL: libvirt's own error is the last one. */
    if (error != NULL)
        gmemConnectionReport(virDomainGetConnect(domain), error);
    return -1;
}

GMEM_INTERPOSED virDomainPtr
virDomainDefineXMLFlags(virConnectPtr conn, const char *xml, unsigned int flags)
{
    g_autofree char *lowered = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    virDomainPtr domain;

    if (GMEM_DOOR(virDomainDefineXMLFlags, conn, flags) &&
        (gmemDriverLower(conn, xml, (flags & VIR_DOMAIN_DEFINE_VALIDATE) != 0, &lowered, &plan) <
             0 ||
         gmemDriverCheckDefinition(conn, xml, &lowered, plan) < 0))
        return NULL;
    domain = gmemReal()->virDomainDefineXMLFlags(conn, lowered != NULL ? lowered : xml, flags);
    gmemDriverDefined(domain, plan);
    return domain;
}

GMEM_INTERPOSED virDomainPtr
virDomainDefineXML(virConnectPtr conn, const char *xml)
{
    g_autofree char *lowered = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    virDomainPtr domain;

    if (GMEM_DOOR(virDomainDefineXML, conn, 0) &&
        (gmemDriverLower(conn, xml, false, &lowered, &plan) < 0 ||
         gmemDriverCheckDefinition(conn, xml, &lowered, plan) < 0))
        return NULL;
    domain = gmemReal()->virDomainDefineXML(conn, lowered != NULL ? lowered : xml);
    gmemDriverDefined(domain, plan);
    return domain;
}

GMEM_INTERPOSED virDomainPtr
virDomainCreateXML(virConnectPtr conn, const char *xml, unsigned int flags)
{
    g_autofree char *lowered = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    virDomainPtr domain;

    if (GMEM_DOOR(virDomainCreateXML, conn, flags) &&
        (gmemDriverLower(conn, xml, (flags & VIR_DOMAIN_START_VALIDATE) != 0, &lowered, &plan) <
             0 ||
         gmemDriverCheckPlan(conn, plan) < 0))
        return NULL;
    domain = gmemReal()->virDomainCreateXML(conn, lowered != NULL ? lowered : xml, flags);
    gmemDriverStarted(conn, domain != NULL ? 0 : -1);
    return domain;
}

GMEM_INTERPOSED virDomainPtr
virDomainCreateXMLWithFiles(
    virConnectPtr conn, const char *xml, unsigned int nfiles, int *files, unsigned int flags)
{
    g_autofree char *lowered = NULL;
    g_autoptr(gmemPlan) plan = NULL;

    if (GMEM_DOOR(virDomainCreateXMLWithFiles, conn, flags) &&
        (gmemDriverLower(conn, xml, (flags & VIR_DOMAIN_START_VALIDATE) != 0, &lowered, &plan) <
             0 ||
         gmemDriverCheckPlan(conn, plan) < 0))
        return NULL;
    return gmemReal()->virDomainCreateXMLWithFiles(conn, lowered != NULL ? lowered : xml, nfiles,
                                                   files, flags);
}

GMEM_INTERPOSED int
virDomainCreate(virDomainPtr domain)
{
    virConnectPtr conn = gmemConnectionOf(domain);

    if (GMEM_DOOR(virDomainCreate, conn, 0) && gmemDriverCheckDomain(domain, 0) < 0)
        return -1;
    return gmemDriverStarted(conn, gmemReal()->virDomainCreate(domain));
}

GMEM_INTERPOSED int
virDomainCreateWithFlags(virDomainPtr domain, unsigned int flags)
{
    virConnectPtr conn = gmemConnectionOf(domain);

    if (GMEM_DOOR(virDomainCreateWithFlags, conn, flags) &&
        gmemDriverCheckDomain(domain, flags) < 0)
        return -1;
    return gmemDriverStarted(conn, gmemReal()->virDomainCreateWithFlags(domain, flags));
}

GMEM_INTERPOSED int
virDomainCreateWithFiles(virDomainPtr domain, unsigned int nfiles, int *files, unsigned int flags)
{
    if (GMEM_DOOR(virDomainCreateWithFiles, gmemConnectionOf(domain), flags) &&
        gmemDriverCheckDomain(domain, flags) < 0)
        return -1;
    return gmemReal()->virDomainCreateWithFiles(domain, nfiles, files, flags);
}

/* libvirt writes the file of the other name anew, without what it has dropped of this one. */
static int
gmemDriverCheckRename(virDomainPtr domain)
{
    g_autoptr(gmemPlan) held = NULL;
    GError *error = NULL;

    if (!gmemConnectionIsOurs(gmemConnectionOf(domain)))
        return 0;
    if (gmemDriverGetPlan(domain, VIR_DOMAIN_XML_INACTIVE, &held) < 0)
        return -1;
    if (gmemFilesCheck(domain, held, &error) == 0)
        return 0;
    gmemConnectionReport(virDomainGetConnect(domain), error);
    return -1;
}

GMEM_INTERPOSED int
virDomainRename(virDomainPtr domain, const char *name, unsigned int flags)
{
    if (GMEM_DOOR(virDomainRename, gmemConnectionOf(domain), flags) &&
        gmemDriverCheckRename(domain) < 0)
        return -1;
    return gmemReal()->virDomainRename(domain, name, flags);
}

GMEM_INTERPOSED char *
virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
    char *xml = gmemReal()->virDomainGetXMLDesc(domain, flags);

    if (xml == NULL || !GMEM_DOOR(virDomainGetXMLDesc, virDomainGetConnect(domain), flags))
        return xml;
    return gmemDriverRaise(virDomainGetConnect(domain), xml);
}

GMEM_INTERPOSED char *
virConnectDomainXMLToNative(virConnectPtr conn,
                            const char *format,
                            const char *xml,
                            unsigned int flags)
{
    g_autofree char *lowered = NULL;
    g_autofree char *clean = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(gmemQEMUCaps) caps = NULL;
    GError *error = NULL;
    char *native, *built;

    if (!GMEM_DOOR(virConnectDomainXMLToNative, conn, flags))
        return gmemReal()->virConnectDomainXMLToNative(conn, format, xml, flags);
    if (gmemDriverLower(conn, xml, false, &lowered, &plan) < 0)
        return NULL;
    native = gmemReal()->virConnectDomainXMLToNative(conn, format, lowered != NULL ? lowered : xml,
                                                     flags);
    if (native == NULL)
        gmemConnectionCleanError();
    if (native == NULL || !gmemConnectionIsOurs(conn))
        return native;
    clean = gmemNativeWithoutPreload(native);
    if (clean != NULL) {
        free(native);
        native = g_steal_pointer(&clean);
    }
    if (plan == NULL || !gmemNativeConcerns(native))
        return native;
    if (gmemStartGetCaps(conn, plan, &caps, &error) < 0) {
        free(native);
        gmemConnectionReport(conn, error);
        return NULL;
    }
    if (caps == NULL)
        return native;
    built = gmemNativeBuild(native, caps, gmemProcessShimPath(), &error);
    free(native);
    if (built == NULL)
        gmemConnectionReport(conn, error);
    return built;
}
