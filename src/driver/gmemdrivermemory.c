/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdrivermemory.c: the functions that act on the memory of a guest, or on what can conflict with
 * it: ballooning and limits, devices, dumps. */

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "gmemconnection.h"
#include "gmemdomainvalidate.h"
#include "gmemdriver.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemlower.h"
#include "gmemreal.h"
#include "gmemstart.h"
#include "gmemwitness.h"
#include "gmemxml.h"

/* virDomainModificationImpact defines these flags for all calls that change a domain. If it cannot
 * be determined whether the domain runs, both are assumed. */
static bool
gmemDriverMemoryAffects(virDomainPtr domain, unsigned int flags, unsigned int what)
{
    if ((flags & (VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG)) != 0)
        return (flags & what) != 0;
    return virDomainIsActive(domain) != (what == VIR_DOMAIN_AFFECT_LIVE ? 0 : 1);
}

/* @flags as for gmemDriverGetPlan(). Returns 1 if the domain is convertible, 0 if it is not, or -1
 * with the error reported. */
static int
gmemDriverMemoryIsConvertible(virDomainPtr domain, unsigned int flags)
{
    g_autoptr(gmemPlan) plan = NULL;

    if (gmemDriverGetPlan(domain, flags, &plan) < 0)
        return -1;
    return plan != NULL && plan->mode == GMEM_MODE_CONVERTIBLE;
}

/* Whether a call with @flags changes a domain that runs as, or is defined as, a convertible one: 1
 * or 0, or -1 with the error reported. */
static int
gmemDriverMemoryChangesConvertible(virDomainPtr domain, unsigned int flags)
{
    int convertible = 0;

    if (gmemDriverMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_LIVE))
        convertible = gmemDriverMemoryIsConvertible(domain, 0);
    if (convertible == 0 && gmemDriverMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_CONFIG))
        convertible = gmemDriverMemoryIsConvertible(domain, VIR_DOMAIN_XML_INACTIVE);
    return convertible;
}

/* Whether @memory, in KiB, is less than <memory> of a convertible domain, as it runs or as it is
 * defined (@xmlFlags): 1 or 0, or -1 with the error reported. */
static int
gmemDriverMemoryIsBelow(virDomainPtr domain, unsigned int xmlFlags, unsigned long memory)
{
    g_autoptr(gmemPlan) plan = NULL;

    if (gmemDriverGetPlan(domain, xmlFlags, &plan) < 0)
        return -1;
    return plan != NULL && plan->mode == GMEM_MODE_CONVERTIBLE && memory < plan->memory;
}

/* The configuration of a running domain can have another size. */
static int
gmemDriverMemoryCheckBalloon(virDomainPtr domain, unsigned long memory, unsigned int flags)
{
    int below = 0;

    if (!gmemDriverConcerns(virDomainGetConnect(domain)))
        return 0;
    if (gmemDriverMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_LIVE))
        below = gmemDriverMemoryIsBelow(domain, 0, memory);
    if (below == 0 && gmemDriverMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_CONFIG))
        below = gmemDriverMemoryIsBelow(domain, VIR_DOMAIN_XML_INACTIVE, memory);
    if (below <= 0)
        return below;
    return gmemConnectionRefuse(
        virDomainGetConnect(domain), VIR_ERR_OPERATION_UNSUPPORTED, "%s",
        _("memory ballooning is not supported for a domain with <launchSecurity "
          "type='sw-protected'/>: current memory cannot be set below maximum memory"));
}

static int
gmemDriverMemoryCheckLimit(virDomainPtr domain, unsigned int xmlFlags, unsigned long long limit)
{
    g_autoptr(gmemPlan) plan = NULL;
    GError *error = NULL;

    if (gmemDriverGetPlan(domain, xmlFlags, &plan) < 0)
        return -1;
    if (plan == NULL || plan->mode != GMEM_MODE_CONVERTIBLE ||
        gmemDomainValidateLimit(limit, plan->ram, gmemModeElement(plan->mode), &error) == 0)
        return 0;
    return gmemConnectionReport(virDomainGetConnect(domain), error);
}

/* <hard_limit> is part of a rule, and what libvirt shows of the domain must remain definable. */
static int
gmemDriverMemoryCheckParameters(virDomainPtr domain,
                                virTypedParameterPtr params,
                                int nparams,
                                unsigned int flags)
{
    int i;

    if (params == NULL || !gmemDriverConcerns(virDomainGetConnect(domain)))
        return 0;
    for (i = 0; i < nparams; i++) {
        unsigned long long limit = params[i].value.ul;

        if (params[i].type != VIR_TYPED_PARAM_ULLONG ||
            strncmp(params[i].field, VIR_DOMAIN_MEMORY_HARD_LIMIT, sizeof(params[i].field)) != 0)
            continue;
        if ((gmemDriverMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_LIVE) &&
             gmemDriverMemoryCheckLimit(domain, 0, limit) < 0) ||
            (gmemDriverMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_CONFIG) &&
             gmemDriverMemoryCheckLimit(domain, VIR_DOMAIN_XML_INACTIVE, limit) < 0))
            return -1;
    }
    virResetLastError();
    return 0;
}

/* libvirt then dumps the guest by itself. */
static int
gmemDriverMemoryCheckLifecycle(virDomainPtr domain, unsigned int action, unsigned int flags)
{
    int convertible;

    if (action != VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_DESTROY &&
        action != VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_RESTART)
        return 0;
    if (!gmemDriverConcerns(virDomainGetConnect(domain)))
        return 0;
    convertible = gmemDriverMemoryChangesConvertible(domain, flags);
    if (convertible <= 0)
        return convertible;
    return gmemConnectionRefuse(
        virDomainGetConnect(domain), VIR_ERR_OPERATION_UNSUPPORTED, "%s",
        _("a domain with <launchSecurity type='sw-protected'/> cannot be dumped when it "
          "crashes: the host cannot read the guest's private pages; use an action without "
          "a dump"));
}

/* *@stored, *@plan: out: NULL before the call, and afterwards if the domain is not ours. Returns 0,
 * or -1 with the error reported. */
static int
gmemDriverMemoryRead(virDomainPtr domain, unsigned int flags, gmemXML **stored, gmemPlan **plan)
{
    virConnectPtr conn = virDomainGetConnect(domain); /* first: this resets libvirt's last error */

    return gmemDriverReadOurs(conn, gmemReal()->virDomainGetXMLDesc(domain, flags), stored, plan);
}

/* A document with a device, for a call that attaches the device or (@update) replaces an existing
 * one. libvirt uses the name of the root, whatever its namespace. */
typedef struct {
    gmemXMLNode *root;
    char *element; /* the text of the root, without what may stand in front of it */
    char *name;
    bool memory;
    bool update;
    char *access; /* of a memory device: what lowering would say in it; NULL for nothing */
} gmemDriverMemoryDevice;

static void
gmemDriverMemoryDeviceClear(gmemDriverMemoryDevice *device)
{
    g_free(device->element);
    g_free(device->name);
    g_free(device->access);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemDriverMemoryDevice, gmemDriverMemoryDeviceClear)

/* The domain as its user would write it with @device. libvirt decides which device an update
 * replaces, and the others do not change, so the new one stands for all devices of its kind.
 * libvirt also adds a memory device to <currentMemory>, so its former value is ignored. */
static char *
gmemDriverMemoryWithDevice(gmemXML *stored, const gmemDriverMemoryDevice *device, GError **error)
{
    gmemXMLNode *root = gmemXMLRoot(stored);
    gmemXMLNode *devices = gmemXMLFindFirst(root, "devices");
    gmemXMLNode *current = gmemXMLFindFirst(root, "currentMemory");
    g_autofree char *path = g_strconcat("devices/", device->name, NULL);
    g_autofree gmemXMLNode **former = gmemXMLFind(root, path);
    g_autoptr(gmemXMLEdit) edit = gmemXMLEditNew(stored);
    size_t i;

    if (gmemRaiseEdit(stored, gmemLowerFindRoot, edit, NULL, error) < 0)
        return NULL;
    if (devices == NULL) {
        gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, "%s",
                     _("the XML that libvirt reports for the domain has no <devices>"));
        return NULL;
    }
    for (i = 0; device->update && former[i] != NULL; i++)
        gmemXMLEditRemove(edit, former[i]);
    gmemXMLEditAppend(edit, devices, device->element);
    if (device->memory && current != NULL)
        gmemXMLEditRemove(edit, current);
    return gmemXMLEditApply(edit);
}

/* The access that lowering gave to the last memory device of @lowered, or NULL. */
static char *
gmemDriverMemoryAccess(const gmemXML *lowered)
{
    g_autofree gmemXMLNode **devices = gmemXMLFind(gmemXMLRoot(lowered), "devices/memory");
    size_t n = 0;

    while (devices[n] != NULL)
        n++;
    return n > 0 ? gmemXMLAttribute(devices[n - 1], "access") : NULL;
}

/* Checks the rules of define and of a start. Returns the lowered domain. */
static gmemXML *
gmemDriverMemoryJudge(virConnectPtr conn, const char *text, GError **error)
{
    g_autoptr(gmemXML) lowered = gmemXMLParse(text, error);
    g_autoptr(gmemPlan) plan = NULL;

    if (lowered != NULL)
        lowered = gmemLowerXML(g_steal_pointer(&lowered), gmemLowerFindRoot, false, &plan, error);
    if (lowered == NULL)
        return NULL;
    if (plan == NULL) {
        /* Both were well formed, and the result contains the domain's elements. */
        gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, "%s",
                     _("the domain's XML cannot be changed for the check"));
        return NULL;
    }
    return gmemStartCheck(conn, plan, error) == 0 ? g_steal_pointer(&lowered) : NULL;
}

/* The device is not to blame for an error that the domain has anyway, for example if the host
 * cannot start it. */
static bool
gmemDriverMemoryIsNotNew(virConnectPtr conn, const gmemXML *stored, const GError *error)
{
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) anyway = NULL;

    return (gmemRaisePlanXML(stored, gmemLowerFindRoot, true, &plan, &anyway) < 0 ||
            gmemStartCheck(conn, plan, &anyway) < 0) &&
           strcmp(anyway->message, error->message) == 0;
}

/* Whether the domain with @device could be defined, and could be started: otherwise a guest with
 * the device could be saved as usual, and could not be restored. */
static int
gmemDriverMemoryCheckRules(virDomainPtr domain, unsigned int flags, gmemDriverMemoryDevice *device)
{
    virConnectPtr conn = virDomainGetConnect(domain);
    g_autoptr(gmemXML) stored = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    g_autofree char *with = NULL;
    g_autoptr(gmemXML) lowered = NULL;
    GError *error = NULL;

    if (gmemDriverMemoryRead(domain, flags, &stored, &plan) < 0)
        return -1;
    if (plan == NULL)
        return 0;
    with = gmemDriverMemoryWithDevice(stored, device, &error);
    if (with != NULL && device->root->ns != NULL)
        gmemErrorSet(&error, VIR_ERR_XML_ERROR,
                     _("a device that is attached to a domain with private memory must not be in a "
                       "namespace; write <%1$s> without one"),
                     device->name);
    else if (with != NULL)
        lowered = gmemDriverMemoryJudge(conn, with, &error);
    if (error != NULL) {
        if (!gmemDriverMemoryIsNotNew(conn, stored, error))
            return gmemConnectionReport(conn, error);
        g_clear_error(&error);
    }
    if (lowered != NULL && device->memory && device->access == NULL)
        device->access = gmemDriverMemoryAccess(lowered);
    return 0;
}

/* A memory backend that is added to a running QEMU is created by QMP, without an execve. Only the
 * shim, which is inside QEMU, makes it a guest_memfd. */
static int
gmemDriverMemoryCheckHotplug(virDomainPtr domain, gmemXMLNode *device)
{
    virConnectPtr conn = virDomainGetConnect(domain);
    g_autoptr(gmemPlan) plan = NULL;
    g_autofree char *model = gmemXMLAttribute(device, "model");
    bool file = g_strcmp0(model, "nvdimm") == 0 || g_strcmp0(model, "virtio-pmem") == 0;
    GError *error = NULL;

    if (gmemDriverGetStoredPlan(conn, gmemReal()->virDomainGetXMLDesc(domain, 0), &plan) < 0)
        return -1;
    /* A host file remains one, whoever adds it. */
    if (plan == NULL || (file && plan->mode == GMEM_MODE_FULLY_SHARED))
        return 0;
    return gmemWitnessCheckHotplug(domain, plan, &error) < 0 ? gmemConnectionReport(conn, error)
                                                             : 0;
}

/* A device cannot be read, as @error (taken over) says. What a document type declaration makes of
 * it only matters for our domains. */
static int
gmemDriverMemoryRefuseUnreadable(virDomainPtr domain, GError *error)
{
    g_autoptr(gmemPlan) running = NULL;
    g_autoptr(gmemPlan) defined = NULL;
    int rc = 0;

    if (gmemDriverGetPlan(domain, 0, &running) < 0 ||
        gmemDriverGetPlan(domain, VIR_DOMAIN_XML_INACTIVE, &defined) < 0)
        rc = -1;
    if (running != NULL || defined != NULL)
        return gmemConnectionReport(virDomainGetConnect(domain), error);
    g_error_free(error);
    return rc;
}

/* As in a domain that is defined, the shared access of private RAM must not apply to an NVDIMM:
 * @xml is changed if it would. */
static int
gmemDriverMemoryCheckDevice(virDomainPtr domain,
                            gmemDriverXML *xml,
                            unsigned int flags,
                            bool update)
{
    g_auto(gmemDriverMemoryDevice) device = {.update = update};
    g_autoptr(gmemXMLEdit) edit = NULL;
    g_autofree char *own = NULL;
    GError *error = NULL;
    bool live, config;
    int rc;

    if (xml->text == NULL || !gmemDriverConcerns(virDomainGetConnect(domain)))
        return 0;
    rc = gmemDriverXMLRead(xml, &error);
    if (rc <= 0)
        return rc < 0 ? gmemDriverMemoryRefuseUnreadable(domain, error) : 0;
    device.root = gmemXMLRoot(xml->doc);
    device.element = gmemXMLSlice(device.root);
    device.name = gmemXMLName(device.root);
    device.memory = strcmp(device.name, "memory") == 0;
    live = gmemDriverMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_LIVE);
    config = gmemDriverMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_CONFIG);
    if ((live && device.memory && !update &&
         gmemDriverMemoryCheckHotplug(domain, device.root) < 0) ||
        (live && gmemDriverMemoryCheckRules(domain, 0, &device) < 0) ||
        (config && gmemDriverMemoryCheckRules(domain, VIR_DOMAIN_XML_INACTIVE, &device) < 0))
        return -1;
    virResetLastError();
    own = gmemXMLAttribute(device.root, "access");
    if (device.access == NULL || own != NULL)
        return 0;
    edit = gmemXMLEditNew(xml->doc);
    gmemXMLEditSetAttribute(edit, device.root, "access", device.access);
    gmemDriverXMLReplace(xml, gmemXMLEditApply(edit));
    return 0;
}

/* The size of a domain's memory is part of a rule, and libvirt does not change <currentMemory>,
 * which must not be less in a convertible domain. */
static int
gmemDriverMemoryCheckMaximum(virDomainPtr domain, unsigned long memory, bool *convertible)
{
    g_autofree char *markup = g_strdup_printf("<memory unit='KiB'>%lu</memory>", memory);
    g_autofree char *made = NULL;
    g_autoptr(gmemXML) stored = NULL;
    g_autoptr(gmemXMLEdit) edit = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(gmemPlan) then = NULL;
    GError *error = NULL;
    gmemXMLNode *node;

    if (!gmemDriverConcerns(virDomainGetConnect(domain)))
        return 0;
    if (gmemDriverMemoryRead(domain, VIR_DOMAIN_XML_INACTIVE, &stored, &plan) < 0)
        return -1;
    if (plan == NULL || plan->mode != GMEM_MODE_CONVERTIBLE)
        return 0;
    *convertible = true;
    edit = gmemXMLEditNew(stored);
    node = gmemXMLFindFirst(gmemXMLRoot(stored), "memory");
    if (node != NULL)
        gmemXMLEditReplace(edit, node, markup);
    node = gmemXMLFindFirst(gmemXMLRoot(stored), "currentMemory");
    if (node != NULL)
        gmemXMLEditRemove(edit, node);
    made = gmemXMLEditApply(edit);
    if (gmemRaisePlan(made, gmemLowerFindRoot, true, &then, &error) < 0 &&
        !gmemDriverMemoryIsNotNew(virDomainGetConnect(domain), stored, error))
        return gmemConnectionReport(virDomainGetConnect(domain), error);
    g_clear_error(&error);
    return 0;
}

/* @rc: the result of changing the maximum, which libvirt only does in configurations. */
static int
gmemDriverMemoryCarryCurrent(virDomainPtr domain, unsigned long memory, bool convertible, int rc)
{
    if (rc < 0 || !convertible)
        return rc;
    return gmemReal()->virDomainSetMemoryFlags(domain, memory, VIR_DOMAIN_AFFECT_CONFIG);
}

GMEM_INTERPOSED int
virDomainSetMemory(virDomainPtr domain, unsigned long memory)
{
    if (gmemDriverMayConcern() && GMEM_DOOR(virDomainSetMemory, gmemConnectionOf(domain), 0) &&
        gmemDriverMemoryCheckBalloon(domain, memory, VIR_DOMAIN_AFFECT_LIVE) < 0)
        return -1;
    return gmemReal()->virDomainSetMemory(domain, memory);
}

GMEM_INTERPOSED int
virDomainSetMemoryFlags(virDomainPtr domain, unsigned long memory, unsigned int flags)
{
    bool maximum = (flags & VIR_DOMAIN_MEM_MAXIMUM) != 0;
    bool convertible = false;
    int rc;

    if (gmemDriverMayConcern() &&
        GMEM_DOOR(virDomainSetMemoryFlags, gmemConnectionOf(domain), flags) &&
        (maximum ? gmemDriverMemoryCheckMaximum(domain, memory, &convertible)
                 : gmemDriverMemoryCheckBalloon(domain, memory, flags)) < 0)
        return -1;
    rc = gmemReal()->virDomainSetMemoryFlags(domain, memory, flags);
    return gmemDriverMemoryCarryCurrent(domain, memory, convertible, rc);
}

GMEM_INTERPOSED int
virDomainSetMaxMemory(virDomainPtr domain, unsigned long memory)
{
    bool convertible = false;
    int rc;

    if (gmemDriverMayConcern() && GMEM_DOOR(virDomainSetMaxMemory, gmemConnectionOf(domain), 0) &&
        gmemDriverMemoryCheckMaximum(domain, memory, &convertible) < 0)
        return -1;
    rc = gmemReal()->virDomainSetMaxMemory(domain, memory);
    return gmemDriverMemoryCarryCurrent(domain, memory, convertible, rc);
}

GMEM_INTERPOSED int
virDomainSetMemoryParameters(virDomainPtr domain,
                             virTypedParameterPtr params,
                             int nparams,
                             unsigned int flags)
{
    if (gmemDriverMayConcern() &&
        GMEM_DOOR(virDomainSetMemoryParameters, gmemConnectionOf(domain), flags) &&
        gmemDriverMemoryCheckParameters(domain, params, nparams, flags) < 0)
        return -1;
    return gmemReal()->virDomainSetMemoryParameters(domain, params, nparams, flags);
}

GMEM_INTERPOSED int
virDomainSetLifecycleAction(virDomainPtr domain,
                            unsigned int type,
                            unsigned int action,
                            unsigned int flags)
{
    if (gmemDriverMayConcern() &&
        GMEM_DOOR(virDomainSetLifecycleAction, gmemConnectionOf(domain), flags) &&
        gmemDriverMemoryCheckLifecycle(domain, action, flags) < 0)
        return -1;
    return gmemReal()->virDomainSetLifecycleAction(domain, type, action, flags);
}

GMEM_INTERPOSED int
virDomainAttachDevice(virDomainPtr domain, const char *xml)
{
    g_auto(gmemDriverXML) ours = {.text = xml};

    if (gmemDriverMayConcern() && GMEM_DOOR(virDomainAttachDevice, gmemConnectionOf(domain), 0) &&
        gmemDriverMemoryCheckDevice(domain, &ours, VIR_DOMAIN_AFFECT_LIVE, false) < 0)
        return -1;
    return gmemReal()->virDomainAttachDevice(domain, ours.text);
}

GMEM_INTERPOSED int
virDomainAttachDeviceFlags(virDomainPtr domain, const char *xml, unsigned int flags)
{
    g_auto(gmemDriverXML) ours = {.text = xml};

    if (gmemDriverMayConcern() &&
        GMEM_DOOR(virDomainAttachDeviceFlags, gmemConnectionOf(domain), flags) &&
        gmemDriverMemoryCheckDevice(domain, &ours, flags, false) < 0)
        return -1;
    return gmemReal()->virDomainAttachDeviceFlags(domain, ours.text, flags);
}

GMEM_INTERPOSED int
virDomainUpdateDeviceFlags(virDomainPtr domain, const char *xml, unsigned int flags)
{
    g_auto(gmemDriverXML) ours = {.text = xml};

    if (gmemDriverMayConcern() &&
        GMEM_DOOR(virDomainUpdateDeviceFlags, gmemConnectionOf(domain), flags) &&
        gmemDriverMemoryCheckDevice(domain, &ours, flags, true) < 0)
        return -1;
    return gmemReal()->virDomainUpdateDeviceFlags(domain, ours.text, flags);
}

/* The copy replaces the disk in the running guest, like a device that is attached. */
GMEM_INTERPOSED int
virDomainBlockCopy(virDomainPtr domain,
                   const char *disk,
                   const char *xml,
                   virTypedParameterPtr params,
                   int nparams,
                   unsigned int flags)
{
    g_auto(gmemDriverXML) ours = {.text = xml};

    if (gmemDriverMayConcern() && GMEM_DOOR(virDomainBlockCopy, gmemConnectionOf(domain), flags) &&
        gmemDriverMemoryCheckDevice(domain, &ours, VIR_DOMAIN_AFFECT_LIVE, false) < 0)
        return -1;
    return gmemReal()->virDomainBlockCopy(domain, disk, ours.text, params, nparams, flags);
}

/* A pair of version 1 identifies devices by indexes, which change when libvirt removes a device
 * from the configuration. So it is updated before that. Returns 0, or -1 with libvirt's error. */
static int
gmemDriverMemoryRenewPair(virDomainPtr domain, unsigned int flags)
{
    const unsigned int whole = VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE;
    virDomainPtr defined;
    g_autofree char *raised = NULL;
    g_autofree char *lowered = NULL;
    char *xml;
    bool current;

    if (!gmemDriverConcerns(virDomainGetConnect(domain)) ||
        !gmemDriverMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_CONFIG) ||
        virDomainIsPersistent(domain) != 1)
        return 0;
    xml = gmemReal()->virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    if (xml == NULL)
        return -1;
    current = !gmemRaiseMayHavePair(xml) || strstr(xml, "devices/memory[") == NULL;
    free(xml);
    if (current)
        return 0;
    xml = gmemReal()->virDomainGetXMLDesc(domain, whole);
    if (xml == NULL)
        return -1;
    /* A damaged pair is left alone. */
    raised = gmemRaise(xml, NULL, NULL);
    lowered = raised != NULL ? gmemLower(raised, false, NULL, NULL) : NULL;
    current = lowered == NULL || strcmp(lowered, xml) == 0;
    free(xml);
    if (current)
        return 0;
    defined = gmemReal()->virDomainDefineXML(virDomainGetConnect(domain), lowered);
    if (defined == NULL)
        return -1;
    virDomainFree(defined);
    return 0;
}

GMEM_INTERPOSED int
virDomainDetachDeviceFlags(virDomainPtr domain, const char *xml, unsigned int flags)
{
    if (gmemDriverMayConcern() &&
        GMEM_DOOR(virDomainDetachDeviceFlags, gmemConnectionOf(domain), flags) &&
        gmemDriverMemoryRenewPair(domain, flags) < 0)
        return -1;
    return gmemReal()->virDomainDetachDeviceFlags(domain, xml, flags);
}

GMEM_INTERPOSED int
virDomainDetachDeviceAlias(virDomainPtr domain, const char *alias, unsigned int flags)
{
    if (gmemDriverMayConcern() &&
        GMEM_DOOR(virDomainDetachDeviceAlias, gmemConnectionOf(domain), flags) &&
        gmemDriverMemoryRenewPair(domain, flags) < 0)
        return -1;
    return gmemReal()->virDomainDetachDeviceAlias(domain, alias, flags);
}

GMEM_INTERPOSED int
virDomainCoreDump(virDomainPtr domain, const char *to, unsigned int flags)
{
    if (gmemDriverMayConcern() && GMEM_DOOR(virDomainCoreDump, gmemConnectionOf(domain), flags) &&
        gmemDriverRefuseConvertible(domain, GMEM_DRIVER_DUMP) < 0)
        return -1;
    return gmemReal()->virDomainCoreDump(domain, to, flags);
}

GMEM_INTERPOSED int
virDomainCoreDumpWithFormat(virDomainPtr domain,
                            const char *to,
                            unsigned int format,
                            unsigned int flags)
{
    if (gmemDriverMayConcern() &&
        GMEM_DOOR(virDomainCoreDumpWithFormat, gmemConnectionOf(domain), flags) &&
        gmemDriverRefuseConvertible(domain, GMEM_DRIVER_DUMP) < 0)
        return -1;
    return gmemReal()->virDomainCoreDumpWithFormat(domain, to, format, flags);
}

GMEM_INTERPOSED int
virDomainMemoryPeek(
    virDomainPtr domain, unsigned long long start, size_t size, void *buffer, unsigned int flags)
{
    if (gmemDriverMayConcern() && GMEM_DOOR(virDomainMemoryPeek, gmemConnectionOf(domain), flags) &&
        gmemDriverRefuseConvertible(domain, GMEM_DRIVER_PEEK) < 0)
        return -1;
    return gmemReal()->virDomainMemoryPeek(domain, start, size, buffer, flags);
}

GMEM_INTERPOSED int
virDomainStartDirtyRateCalc(virDomainPtr domain, int seconds, unsigned int flags)
{
    if (gmemDriverMayConcern() &&
        GMEM_DOOR(virDomainStartDirtyRateCalc, gmemConnectionOf(domain), flags) &&
        gmemDriverRefuseConvertible(domain, GMEM_DRIVER_DIRTY_RATE) < 0)
        return -1;
    return gmemReal()->virDomainStartDirtyRateCalc(domain, seconds, flags);
}
