/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdriver.c: what the functions in front of libvirt's public API have in common: lowering and
 * raising, the early check, and the mode of a guest that is defined, saved or running. */

#include "gmemdriver.h"

#include <assert.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemconnection.h"
#include "gmemerror.h"
#include "gmemexpect.h"
#include "gmemfiles.h"
#include "gmemhostconf.h"
#include "gmemi18n.h"
#include "gmemimage.h"
#include "gmemlog.h"
#include "gmemlower.h"
#include "gmemnested.h"
#include "gmemprocess.h"
#include "gmemreal.h"
#include "gmemrefusal.h"
#include "gmemstart.h"
#include "gmemwitness.h"
#include "gmemxml.h"

bool
gmemDriverMayConcern(void)
{
    if (gmemFilesMayBePrivate(NULL))
        return true;
    gmemConnectionBegin(true);
    return false;
}

bool
gmemDriverConcerns(virConnectPtr conn)
{
    return gmemConnectionIsOurs(conn) && gmemFilesMayBePrivate(conn);
}

void
gmemDriverXMLClear(gmemDriverXML *xml)
{
    g_clear_pointer(&xml->made, g_free);
    g_clear_pointer(&xml->doc, gmemXMLFree);
    g_clear_pointer(&xml->plan, gmemPlanFree);
}

void
gmemDriverXMLReplace(gmemDriverXML *xml, char *made)
{
    g_clear_pointer(&xml->doc, gmemXMLFree);
    g_free(xml->made);
    xml->text = xml->made = made;
}

int
gmemDriverXMLRead(gmemDriverXML *xml, GError **error)
{
    g_autoptr(GError) fault = NULL;

    if (xml->doc == NULL)
        xml->doc = gmemXMLParse(xml->text, &fault);
    if (fault == NULL)
        return 1;
    if (g_error_matches(fault, GMEM_ERROR, VIR_ERR_XML_DETAIL)) {
        gmemDriverXMLReplace(xml, gmemXMLMalformed(xml->text));
        return 0;
    }
    g_propagate_error(error, g_steal_pointer(&fault));
    return -1;
}

void
gmemDriverXMLTake(gmemDriverXML *xml, gmemXML *lowered, gmemPlan *plan)
{
    if (strcmp(gmemXMLText(lowered), xml->text) != 0)
        gmemDriverXMLReplace(xml, g_strdup(gmemXMLText(lowered)));
    gmemXMLFree(xml->doc);
    xml->doc = lowered;
    xml->plan = plan;
    if (plan != NULL || gmemRaiseMayHavePair(xml->text))
        gmemFilesNotePrivate();
}

int
gmemDriverLower(virConnectPtr conn, gmemDriverXML *xml, bool validate)
{
    gmemPlan *plan = NULL;
    gmemXML *lowered = NULL;
    GError *error = NULL;
    int rc;

    if (xml->text == NULL || xml->plan != NULL || !gmemLowerMayHaveElements(xml->text) ||
        !gmemConnectionIsOurs(conn))
        return 0;
    rc = gmemDriverXMLRead(xml, &error);
    if (rc > 0)
        lowered = gmemLowerXML(g_steal_pointer(&xml->doc), gmemNestedFind, validate, &plan, &error);
    if (error != NULL)
        return gmemConnectionReport(conn, error);
    if (lowered != NULL)
        gmemDriverXMLTake(xml, lowered, plan);
    return 0;
}

/* Whether the administrator has configured it. A file that cannot be read does not decide anything,
 * so the default applies. The file is for the host's own daemon; a user's daemon may not be able to
 * read it. */
static bool
gmemDriverShowsStored(virConnectPtr conn)
{
    gmemHostConf conf = {0};

    return gmemConnectionIsReadOnly(conn) && geteuid() == 0 &&
           gmemHostConfRefresh(GMEM_HOST_CONF_FILE, NULL) == 0 &&
           gmemHostConfGet(&conf, NULL) == 0 && conf.readOnlyStored;
}

char *
gmemDriverRaise(virConnectPtr conn, char *xml)
{
    g_autoptr(GError) error = NULL;
    char *raised;

    if (!gmemConnectionIsOurs(conn) || gmemDriverShowsStored(conn))
        return xml;
    raised = gmemNestedRaiseAgain(xml, &error);
    if (raised == NULL) {
        gmemLog("warning: a domain is shown as it is stored: %s", error->message);
        return xml;
    }
    free(xml);
    return raised; /* g_malloc is malloc since glib 2.46: the caller may free() it */
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
    return gmemConnectionReport(conn, error);
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
    virConnectPtr conn;
    GError *error = NULL;
    int rc;

    *plan = NULL;
    if (!gmemFilesMayBePrivate(NULL))
        return 0;
    conn = gmemConnectionOf(domain);
    if (!gmemDriverConcerns(conn))
        return 0;
    rc = gmemDriverGetStoredPlan(conn, gmemReal()->virDomainGetXMLDesc(domain, flags), plan);
    if (rc < 0 || flags != 0)
        return rc;
    rc = gmemWitnessCheckRunning(domain, *plan, &error);
    return rc < 0 ? gmemConnectionReport(conn, error) : 0;
}

int
gmemDriverReadStored(virConnectPtr conn, char *xml, gmemXML **doc, gmemPlan **plan)
{
    g_autofree char *stored = xml; /* libvirt's strings are malloc's, as GLib's are */
    GError *error = NULL;

    *plan = NULL;
    if (stored == NULL)
        return -1;
    if (gmemRaiseMayHavePair(stored))
        gmemFilesNotePrivate();
    *doc = gmemXMLParse(stored, &error);
    if (*doc == NULL || gmemRaisePlanXML(*doc, gmemNestedFind, false, plan, &error) < 0)
        return gmemConnectionReport(conn, error);
    return 0;
}

int
gmemDriverReadOurs(virConnectPtr conn, char *xml, gmemXML **doc, gmemPlan **plan)
{
    if (xml == NULL || gmemRaiseMayHavePair(xml))
        return gmemDriverReadStored(conn, xml, doc, plan);
    free(xml);
    *plan = NULL;
    return 0;
}

int
gmemDriverGetStoredPlan(virConnectPtr conn, char *xml, gmemPlan **plan)
{
    g_autoptr(gmemXML) doc = NULL;

    return gmemDriverReadOurs(conn, xml, &doc, plan);
}

bool
gmemDriverIsSpecialFile(const char *path)
{
    struct stat file;

    return stat(path, &file) == 0 && (!S_ISREG(file.st_mode) || file.st_size == 0);
}

/* Whole sentences, so that they can be translated. */
static const char *const gmemDriverRefusals[] = {
    [GMEM_DRIVER_SAVE] = N_("saving is not possible for a domain with <launchSecurity "
                            "type='sw-protected'/>: the host cannot read the guest's private "
                            "pages"),
    [GMEM_DRIVER_SNAPSHOT] = N_("a snapshot with memory is not possible for a domain with "
                                "<launchSecurity type='sw-protected'/>: the host cannot read the "
                                "guest's private pages"),
    [GMEM_DRIVER_MIGRATE] = N_("migration is not possible for a domain with <launchSecurity "
                               "type='sw-protected'/>: the host cannot read the guest's private "
                               "pages"),
    [GMEM_DRIVER_DUMP] = N_("a memory dump is not possible for a domain with <launchSecurity "
                            "type='sw-protected'/>: the host cannot read the guest's private "
                            "pages"),
    [GMEM_DRIVER_PEEK] = N_("reading guest memory is not possible for a domain with "
                            "<launchSecurity type='sw-protected'/>: the host cannot read the "
                            "guest's private pages"),
    [GMEM_DRIVER_DIRTY_RATE] = N_("measuring the rate of changed memory is not possible for a "
                                  "domain with <launchSecurity type='sw-protected'/>: the host "
                                  "cannot read the guest's private pages"),
};
static_assert(G_N_ELEMENTS(gmemDriverRefusals) == GMEM_DRIVER_OPERATION_LAST,
              "every operation has a message");

int
gmemDriverRefuseConvertible(virDomainPtr domain, gmemDriverOperation operation)
{
    g_autoptr(gmemPlan) plan = NULL;
    int active;

    if (gmemDriverGetPlan(domain, 0, &plan) < 0)
        return -1;
    if (plan == NULL || plan->mode != GMEM_MODE_CONVERTIBLE)
        return 0;
    active = virDomainIsActive(domain);
    if (active != 1)
        return active;
    return gmemConnectionRefuse(virDomainGetConnect(domain), VIR_ERR_OPERATION_UNSUPPORTED, "%s",
                                _(gmemDriverRefusals[operation]));
}

static gmemMode
gmemDriverMode(const gmemPlan *plan)
{
    return plan != NULL ? plan->mode : GMEM_MODE_NONE;
}

/* The element of a guest, for messages; NULL if it has ordinary memory. */
static const char *
gmemDriverModeElement(const gmemPlan *plan)
{
    gmemMode mode = gmemDriverMode(plan);

    return mode == GMEM_MODE_NONE ? NULL : gmemModeElement(mode);
}

static bool
gmemDriverSameMode(const gmemPlan *then, const gmemPlan *now)
{
    return gmemDriverMode(then) == gmemDriverMode(now);
}

int
gmemDriverRefuseOtherMode(virConnectPtr conn, const gmemPlan *then, const gmemPlan *now)
{
    const char *started = gmemDriverModeElement(then);
    const char *wanted = gmemDriverModeElement(now);

    if (gmemDriverSameMode(then, now))
        return 0;
    if (started == NULL)
        return gmemConnectionRefuse(
            conn, VIR_ERR_CONFIG_UNSUPPORTED,
            _("the guest was started with ordinary memory and cannot continue with %1$s"), wanted);
    if (wanted == NULL)
        return gmemConnectionRefuse(
            conn, VIR_ERR_CONFIG_UNSUPPORTED,
            _("the guest was started with %1$s and cannot continue with ordinary memory"), started);
    return gmemConnectionRefuse(conn, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("the guest was started with %1$s and cannot continue with %2$s"),
                                started, wanted);
}

/* What a managed save image asks for. Returns 1 with *@plan; 0 if libvirt will not continue from
 * the image, because it is damaged or missing, and will start the domain as it is defined; or -1
 * with the error reported. */
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
    int image = gmemDriverGetManagedSave(domain, &saved);
    const char *then = gmemDriverModeElement(saved);
    const char *wanted = gmemDriverModeElement(now);
    virConnectPtr conn;
    const char *name;

    if (image <= 0 || gmemDriverSameMode(saved, now))
        return MIN(image, 0);
    conn = virDomainGetConnect(domain);
    name = virDomainGetName(domain);
    if (then == NULL)
        return gmemConnectionRefuse(
            conn, VIR_ERR_CONFIG_UNSUPPORTED,
            _("domain '%1$s' has a managed save image of a guest with ordinary memory, and cannot "
              "be defined with %2$s until 'virsh managedsave-remove' has removed the image"),
            name, wanted);
    if (wanted == NULL)
        return gmemConnectionRefuse(
            conn, VIR_ERR_CONFIG_UNSUPPORTED,
            _("domain '%1$s' has a managed save image of a guest with %2$s, and cannot be defined "
              "with ordinary memory until 'virsh managedsave-remove' has removed the image"),
            name, then);
    return gmemConnectionRefuse(
        conn, VIR_ERR_CONFIG_UNSUPPORTED,
        _("domain '%1$s' has a managed save image of a guest with %2$s, and cannot be defined with "
          "%3$s until 'virsh managedsave-remove' has removed the image"),
        name, then, wanted);
}

/* Looks up the domain with @uuid, parsed as libvirt does. *@domain: out: NULL if it does not exist.
 */
static int
gmemDriverLookup(virConnectPtr conn, const char *uuid, virDomainPtr *domain)
{
    *domain = virDomainLookupByUUIDString(conn, uuid);
    if (*domain != NULL)
        return 0;
    /* libvirt does not define a domain with an invalid UUID. */
    if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN && virGetLastErrorCode() != VIR_ERR_INVALID_ARG)
        return -1;
    virResetLastError();
    return 0;
}

/* Like virDomainFree(), but does not reset the last error. */
static void
gmemDriverFree(virDomainPtr domain)
{
    virErrorPtr error = gmemConnectionKeepError();

    virDomainFree(domain);
    gmemConnectionGiveError(error);
}

static int
gmemDriverCheckDefinitionOf(virConnectPtr conn, const char *uuid, const gmemPlan *now)
{
    virDomainPtr domain;
    int rc;

    if (gmemDriverLookup(conn, uuid, &domain) < 0)
        return -1;
    if (domain == NULL)
        return 0;
    rc = gmemDriverCheckRedefined(domain, now);
    gmemDriverFree(domain);
    return rc;
}

int
gmemDriverGetFormer(virConnectPtr conn, const gmemXML *xml, gmemDriverFormer *former)
{
    gmemXMLNode *node = gmemXMLFindFirst(gmemXMLRoot(xml), "uuid");
    g_autofree char *uuid = node != NULL ? gmemXMLContent(node) : NULL;
    g_autoptr(gmemPlan) defined = NULL;
    g_autoptr(gmemPlan) saved = NULL;
    virDomainPtr domain = NULL;
    int image;

    memset(former, 0, sizeof(*former));
    if (uuid == NULL)
        return 0;
    if (gmemDriverLookup(conn, uuid, &domain) < 0)
        return -1;
    if (domain == NULL)
        return 0;
    image = gmemDriverGetPlan(domain, VIR_DOMAIN_XML_INACTIVE, &defined);
    if (image == 0)
        image = gmemDriverGetManagedSave(domain, &saved);
    gmemDriverFree(domain);
    former->mode = gmemDriverMode(defined);
    former->image = image > 0;
    former->saved = gmemDriverMode(saved);
    return MIN(image, 0);
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

/* The UUID that @xml gives to its domain, to be freed with g_free(), or NULL if there is none.
 * *@unknown: out: whether it cannot be determined, so that it could be any UUID. */
static char *
gmemDriverDefinedUUID(gmemDriverXML *xml, bool *unknown)
{
    int rc = gmemDriverXMLRead(xml, NULL);
    gmemXMLNode *node = rc > 0 ? gmemXMLFindFirst(gmemXMLRoot(xml->doc), "uuid") : NULL;

    *unknown = rc < 0;
    return node != NULL ? gmemXMLContent(node) : NULL;
}

/* Does not parse the document. Names of elements are literal, so if there is only one with this
 * name, without a reference in it and without anything that could end it earlier, libvirt reads the
 * same. */
const char *
gmemDriverDefinedName(const gmemDriverXML *xml, size_t *length)
{
    const char *name = strstr(xml->text, "<name");

    if (xml->plan != NULL && xml->plan->name != NULL) {
        *length = strlen(xml->plan->name);
        return xml->plan->name;
    }
    if (name == NULL || name[5] != '>' || strstr(name + 6, "<name") != NULL)
        return NULL;
    *length = strcspn(name + 6, "<&\r");
    return g_str_has_prefix(name + 6 + *length, "</name") ? name + 6 : NULL;
}

int
gmemDriverCheckDefinition(virConnectPtr conn, gmemDriverXML *xml)
{
    g_autofree char *uuid = NULL;
    const char *name;
    size_t length;
    bool unknown;

    if (xml->text == NULL || !gmemConnectionIsOurs(conn))
        return 0;
    name = gmemDriverDefinedName(xml, &length);
    if (name != NULL && !gmemFilesMayBeSaved(name, length))
        return 0;
    if (virConnectListAllDomains(conn, NULL, VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE) == 0)
        return 0;
    uuid = gmemDriverDefinedUUID(xml, &unknown);
    if (uuid != NULL)
        return gmemDriverCheckDefinitionOf(conn, uuid, xml->plan);
    if (unknown)
        return gmemDriverCheckDefinitionOfAny(conn, xml->plan);
    /* A domain without a UUID gets a new one. */
    virResetLastError();
    return 0;
}

int
gmemDriverCheckManaged(virDomainPtr domain)
{
    g_autoptr(gmemPlan) running = NULL;
    g_autoptr(gmemPlan) defined = NULL;
    virConnectPtr conn;
    const char *then, *now;

    if (gmemDriverGetPlan(domain, 0, &running) < 0 ||
        gmemDriverGetPlan(domain, VIR_DOMAIN_XML_INACTIVE, &defined) < 0)
        return -1;
    if (gmemDriverSameMode(running, defined))
        return 0;
    conn = virDomainGetConnect(domain);
    then = gmemDriverModeElement(running);
    now = gmemDriverModeElement(defined);
    if (then == NULL)
        return gmemConnectionRefuse(
            conn, VIR_ERR_CONFIG_UNSUPPORTED,
            _("the guest was started with ordinary memory, and the domain is defined with %1$s "
              "now, so a managed save image could not be restored: save the guest to a file "
              "('virsh save'), or define the domain as it runs"),
            now);
    if (now == NULL)
        return gmemConnectionRefuse(
            conn, VIR_ERR_CONFIG_UNSUPPORTED,
            _("the guest was started with %1$s, and the domain is defined with ordinary memory "
              "now, so a managed save image could not be restored: save the guest to a file "
              "('virsh save'), or define the domain as it runs"),
            then);
    return gmemConnectionRefuse(
        conn, VIR_ERR_CONFIG_UNSUPPORTED,
        _("the guest was started with %1$s, and the domain is defined with %2$s now, so a managed "
          "save image could not be restored: save the guest to a file ('virsh save'), or define "
          "the domain as it runs"),
        then, now);
}

/* A guest in a managed save image continues as it was, whatever the domain's configuration has
 * become. So the mode of the configuration must not have changed: otherwise a guest with ordinary
 * memory would continue as if it were the private one that the configuration shows. */
static int
gmemDriverCheckManagedSave(virDomainPtr domain, gmemPlan *image)
{
    g_autoptr(gmemPlan) defined = NULL;
    virConnectPtr conn;
    GError *error = NULL;
    const char *then, *now;

    if (gmemDriverGetPlan(domain, VIR_DOMAIN_XML_INACTIVE, &defined) < 0)
        return -1;
    if (gmemFilesCheck(virDomainGetConnect(domain), domain, defined, &error) < 0)
        return gmemConnectionReport(virDomainGetConnect(domain), error);
    if (gmemDriverSameMode(image, defined))
        return gmemDriverCheckSaved(virDomainGetConnect(domain), image);
    conn = virDomainGetConnect(domain);
    then = gmemDriverModeElement(image);
    now = gmemDriverModeElement(defined);
    if (then == NULL)
        return gmemConnectionRefuse(
            conn, VIR_ERR_CONFIG_UNSUPPORTED,
            _("the managed save image is of a guest with ordinary memory, and the domain is "
              "defined with %1$s now: remove the image, or start without it ('--force-boot')"),
            now);
    if (now == NULL)
        return gmemConnectionRefuse(
            conn, VIR_ERR_CONFIG_UNSUPPORTED,
            _("the managed save image is of a guest with %1$s, and the domain is defined with "
              "ordinary memory now: remove the image, or start without it ('--force-boot')"),
            then);
    return gmemConnectionRefuse(
        conn, VIR_ERR_CONFIG_UNSUPPORTED,
        _("the managed save image is of a guest with %1$s, and the domain is defined with %2$s "
          "now: remove the image, or start without it ('--force-boot')"),
        then, now);
}

/* The same if no domain has private memory: only a managed save image and the domain's own file can
 * still ask for it. Returns 1, or 0 if there is, or may be, such an image, or -1 with the error
 * reported. */
static int
gmemDriverCheckOrdinary(virDomainPtr domain, virConnectPtr conn, unsigned int flags)
{
    const char *name = virDomainGetName(domain);
    GError *error = NULL;

    if ((flags & VIR_DOMAIN_START_FORCE_BOOT) == 0 && gmemFilesMayBeSaved(name, strlen(name))) {
        g_autofree char *image = gmemFilesGetImage(name);

        if (image == NULL || !gmemImageIsOrdinary(image))
            return 0;
    }
    if (gmemFilesCheck(conn, domain, NULL, &error) < 0)
        return gmemConnectionReport(conn, error);
    if (gmemFilesMayBePrivate(NULL))
        return 0;
    return gmemDriverCheckSaved(conn, NULL) < 0 ? -1 : 1;
}

int
gmemDriverCheckDomain(virDomainPtr domain, unsigned int flags)
{
    virConnectPtr conn = gmemConnectionOf(domain);
    g_autoptr(gmemPlan) saved = NULL;
    GError *error = NULL;
    int image = 0;

    /* Callers can pass anything to public functions. If it is not a domain, they get libvirt's own
     * error. */
    if (!gmemConnectionIsOurs(conn))
        return 0;
    if (!gmemFilesMayBePrivate(conn))
        image = gmemDriverCheckOrdinary(domain, conn, flags);
    if (image != 0)
        return MIN(image, 0);
    if ((flags & VIR_DOMAIN_START_FORCE_BOOT) == 0)
        image = gmemDriverGetManagedSave(domain, &saved);
    if (image < 0)
        return -1;
    if (image > 0)
        return gmemDriverCheckManagedSave(domain, saved);
    return gmemStartCheckDomain(domain, &error) < 0 ? gmemConnectionReport(conn, error) : 0;
}
