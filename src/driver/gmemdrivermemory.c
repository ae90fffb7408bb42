/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdrivermemory.c: in front of what acts on the memory of a guest: ballooning, memory devices,
 * dumps. */

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "gmemconnection.h"
#include "gmemdriver.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemlower.h"
#include "gmemreal.h"
#include "gmemstart.h"
#include "gmemxml.h"

/* virDomainModificationImpact has these for all calls that change a domain. */
static bool
gmemMemoryAffects(virDomainPtr domain, unsigned int flags, unsigned int what)
{
    bool active = virDomainIsActive(domain) == 1;

    if ((flags & (VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG)) != 0)
        return (flags & what) != 0;
    return active == (what == VIR_DOMAIN_AFFECT_LIVE);
}

static bool
gmemMemoryIsConvertible(virDomainPtr domain, unsigned int flags)
{
    g_autoptr(gmemPlan) plan = gmemDriverGetPlan(domain, flags);

    return plan != NULL && plan->mode == GMEM_MODE_CONVERTIBLE;
}

/* Whether a call with @flags changes a domain that is, or is defined as, a convertible one. */
static bool
gmemMemoryChangesConvertible(virDomainPtr domain, unsigned int flags)
{
    return (gmemMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_LIVE) &&
            gmemMemoryIsConvertible(domain, 0)) ||
           (gmemMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_CONFIG) &&
            gmemMemoryIsConvertible(domain, VIR_DOMAIN_XML_INACTIVE));
}

/* KiB: <memory> of the domain, as it runs or as it is defined (@xmlFlags). 0 where nobody says. */
static unsigned long long
gmemMemoryTotal(virDomainPtr domain, unsigned int xmlFlags)
{
    g_autofree char *xml = gmemReal()->virDomainGetXMLDesc(domain, xmlFlags);
    g_autoptr(gmemXML) doc = xml != NULL ? gmemXMLParse(xml) : NULL;
    xmlNode *memory = doc != NULL ? gmemXMLFindFirst(gmemXMLRoot(doc), "memory") : NULL;
    g_autofree char *text = memory != NULL ? gmemXMLContent(memory) : NULL;

    return text != NULL ? g_ascii_strtoull(text, NULL, 10) : 0;
}

/* The configuration of a running domain may have another size. */
static int
gmemMemoryCheckBalloon(virDomainPtr domain, unsigned long memory, unsigned int flags)
{
    GError *error = NULL;

    if (domain == NULL || !gmemConnectionIsOurs(virDomainGetConnect(domain)))
        return 0;
    if (!(gmemMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_LIVE) &&
          gmemMemoryIsConvertible(domain, 0) && memory < gmemMemoryTotal(domain, 0)) &&
        !(gmemMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_CONFIG) &&
          gmemMemoryIsConvertible(domain, VIR_DOMAIN_XML_INACTIVE) &&
          memory < gmemMemoryTotal(domain, VIR_DOMAIN_XML_INACTIVE)))
        return 0;
    gmemErrorSet(&error, VIR_ERR_OPERATION_UNSUPPORTED, "%s",
                 _("a domain with <launchSecurity type='sw-protected'/> cannot be ballooned: its "
                   "current memory stays its memory"));
    gmemConnectionReport(virDomainGetConnect(domain), error);
    return -1;
}

/* libvirt dumps the guest by itself then. */
static int
gmemMemoryCheckLifecycle(virDomainPtr domain, unsigned int action, unsigned int flags)
{
    GError *error = NULL;

    if (action != VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_DESTROY &&
        action != VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_RESTART)
        return 0;
    if (domain == NULL || !gmemConnectionIsOurs(virDomainGetConnect(domain)) ||
        !gmemMemoryChangesConvertible(domain, flags))
        return 0;
    gmemErrorSet(&error, VIR_ERR_OPERATION_UNSUPPORTED, "%s",
                 _("a domain with <launchSecurity type='sw-protected'/> cannot be dumped when it "
                   "crashes: the host cannot read the guest's private pages; use an action without "
                   "a dump"));
    gmemConnectionReport(virDomainGetConnect(domain), error);
    return -1;
}

/* The domain as its user wrote it; NULL where it is none of ours. */
static char *
gmemMemoryRaised(virDomainPtr domain, unsigned int flags)
{
    g_autofree char *xml = gmemReal()->virDomainGetXMLDesc(domain, flags);
    g_autofree char *raised = NULL;
    g_autoptr(gmemPlan) plan = NULL;

    virResetLastError();
    if (xml != NULL && gmemRaiseConcerns(xml))
        raised = gmemRaise(xml, &plan, NULL);
    return plan != NULL ? g_steal_pointer(&raised) : NULL;
}

/* A document with a device in it, for a call that attaches it or (@update) puts it in the place of
 * one that is there. libvirt goes by the name of the root, whatever its namespace. */
typedef struct {
    gmemXML *xml;
    char *element; /* the text of the root, without what may stand in front of it */
    const char *name;
    bool memory;
    bool update;
    char *access; /* of a memory device: what lowering would say in it; NULL for nothing */
} gmemMemoryDevice;

static void
gmemMemoryDeviceClear(gmemMemoryDevice *device)
{
    gmemXMLFree(device->xml);
    g_free(device->element);
    g_free(device->access);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemMemoryDevice, gmemMemoryDeviceClear)

/* The domain @raised with @device in it. Which one an update is about is libvirt's to find out, and
 * the others do not change, so the new one stands for all of its kind. libvirt adds a memory device
 * to <currentMemory>, too, so what that was says nothing. */
static char *
gmemMemoryWithDevice(const char *raised, const gmemMemoryDevice *device)
{
    g_autoptr(gmemXML) doc = gmemXMLParse(raised);
    g_autofree char *path = g_strconcat("devices/", device->name, NULL);
    g_autoptr(gmemXMLEdit) edit = NULL;
    g_autofree xmlNode **former = NULL;
    xmlNode *devices, *current;
    size_t i;

    devices = doc != NULL ? gmemXMLFindFirst(gmemXMLRoot(doc), "devices") : NULL;
    if (devices == NULL)
        return NULL;
    edit = gmemXMLEditNew(doc);
    former = gmemXMLFind(gmemXMLRoot(doc), path);
    for (i = 0; device->update && former[i] != NULL; i++)
        gmemXMLEditRemove(edit, former[i]);
    gmemXMLEditAppend(edit, devices, device->element);
    current = gmemXMLFindFirst(gmemXMLRoot(doc), "currentMemory");
    if (device->memory && current != NULL)
        gmemXMLEditRemove(edit, current);
    return gmemXMLEditApply(edit, NULL);
}

/* The access that lowering gave the last memory device of @lowered; NULL where it gave it none. */
static char *
gmemMemoryAccess(const char *lowered)
{
    g_autoptr(gmemXML) doc = gmemXMLParse(lowered);
    g_autofree xmlNode **devices =
        doc != NULL ? gmemXMLFind(gmemXMLRoot(doc), "devices/memory") : NULL;
    size_t n = 0;

    while (devices != NULL && devices[n] != NULL)
        n++;
    return n > 0 ? gmemXMLAttribute(devices[n - 1], "access") : NULL;
}

/* The rules of define and of a start. Returns the lowered XML. */
static char *
gmemMemoryJudge(virConnectPtr conn, const char *xml, GError **error)
{
    g_autofree char *lowered = NULL;
    g_autoptr(gmemPlan) plan = NULL;

    lowered = gmemLower(xml, false, &plan, error);
    if (lowered == NULL)
        return NULL;
    if (plan == NULL) {
        /* What is well formed for itself is not in the domain's XML only where it needs entities.
         */
        gmemErrorSet(error, VIR_ERR_XML_ERROR, "%s",
                     _("a device that is attached to a domain with private memory cannot use "
                       "entities: write them out"));
        return NULL;
    }
    return gmemStartCheck(conn, plan, error) == 0 ? g_steal_pointer(&lowered) : NULL;
}

/* The device is not to blame for what is the matter with the domain anyway: the host cannot start
 * it, say. */
static bool
gmemMemoryIsNotNew(virConnectPtr conn, const char *raised, const GError *error)
{
    g_autoptr(GError) anyway = NULL;
    g_autofree char *lowered = gmemMemoryJudge(conn, raised, &anyway);

    return lowered == NULL && strcmp(anyway->message, error->message) == 0;
}

/* Whether the domain that @device would make could be defined, and could be started: a guest that
 * has the device is saved as ever, and could not come back. */
static int
gmemMemoryCheckRules(virDomainPtr domain, unsigned int flags, gmemMemoryDevice *device)
{
    virConnectPtr conn = virDomainGetConnect(domain);
    g_autofree char *raised = gmemMemoryRaised(domain, flags);
    g_autofree char *with = raised != NULL ? gmemMemoryWithDevice(raised, device) : NULL;
    g_autofree char *lowered = NULL;
    GError *error = NULL;

    if (with == NULL)
        return 0;
    if (gmemXMLRoot(device->xml)->ns != NULL)
        gmemErrorSet(&error, VIR_ERR_XML_ERROR,
                     _("a device that is attached to a domain with private memory cannot be in a "
                       "namespace: write <%s> without"),
                     device->name);
    else
        lowered = gmemMemoryJudge(conn, with, &error);
    if (error != NULL) {
        if (!gmemMemoryIsNotNew(conn, raised, error)) {
            gmemConnectionReport(conn, error);
            return -1;
        }
        g_clear_error(&error);
    }
    if (lowered != NULL && device->memory && device->access == NULL)
        device->access = gmemMemoryAccess(lowered);
    return 0;
}

/* A memory backend that is added to a running QEMU goes by QMP, past execve: only the shim, which
 * is inside of QEMU, makes it a guest_memfd. */
static int
gmemMemoryCheckHotplug(virDomainPtr domain, xmlNode *device)
{
    g_autoptr(gmemPlan) plan = gmemDriverGetPlan(domain, 0);
    g_autofree char *model = gmemXMLAttribute(device, "model");
    bool file = g_strcmp0(model, "nvdimm") == 0 || g_strcmp0(model, "virtio-pmem") == 0;
    GError *error = NULL;
    int rc;

    /* A file of the host's stays one, whoever adds it. */
    if (plan == NULL || (file && plan->mode == GMEM_MODE_FULLY_SHARED))
        return 0;
    rc = gmemStartCheckHotplug(domain, plan, &error);
    if (rc < 0)
        gmemConnectionReport(virDomainGetConnect(domain), error);
    return rc;
}

/* @lowered: out: the device for libvirt, to be freed with g_free(); NULL where it goes on as it is.
 * As in a domain that is defined, the shared access of private RAM must not become an NVDIMM's. */
static int
gmemMemoryCheckDevice(
    virDomainPtr domain, const char *text, unsigned int flags, bool update, char **lowered)
{
    g_auto(gmemMemoryDevice) device = {.update = update};
    g_autoptr(gmemXMLEdit) edit = NULL;
    g_autofree char *own = NULL;
    bool live, config;

    if (domain == NULL || text == NULL || !gmemConnectionIsOurs(virDomainGetConnect(domain)))
        return 0;
    device.xml = gmemXMLParse(text);
    /* No XML: libvirt will say so. */
    if (device.xml != NULL)
        device.element = gmemXMLSlice(device.xml, gmemXMLRoot(device.xml));
    if (device.element == NULL)
        return 0;
    device.name = (const char *)gmemXMLRoot(device.xml)->name;
    device.memory = strcmp(device.name, "memory") == 0;
    live = gmemMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_LIVE);
    config = gmemMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_CONFIG);
    if ((live && device.memory && !update &&
         gmemMemoryCheckHotplug(domain, gmemXMLRoot(device.xml)) < 0) ||
        (live && gmemMemoryCheckRules(domain, 0, &device) < 0) ||
        (config && gmemMemoryCheckRules(domain, VIR_DOMAIN_XML_INACTIVE, &device) < 0))
        return -1;
    virResetLastError();
    own = gmemXMLAttribute(gmemXMLRoot(device.xml), "access");
    if (device.access == NULL || own != NULL)
        return 0;
    edit = gmemXMLEditNew(device.xml);
    gmemXMLEditSetAttribute(edit, gmemXMLRoot(device.xml), "access", device.access);
    *lowered = gmemXMLEditApply(edit, NULL);
    return 0;
}

/* The size of a domain's memory is part of rules, and libvirt leaves <currentMemory> behind, which
 * a convertible domain must not have below it. */
static int
gmemMemoryCheckMaximum(virDomainPtr domain, unsigned long memory, bool *convertible)
{
    g_autofree char *raised = NULL;
    g_autofree char *markup = g_strdup_printf("<memory unit='KiB'>%lu</memory>", memory);
    g_autofree char *made = NULL;
    g_autofree char *lowered = NULL;
    g_autoptr(gmemXML) doc = NULL;
    g_autoptr(gmemXMLEdit) edit = NULL;
    GError *error = NULL;
    xmlNode *node;

    if (domain == NULL || !gmemConnectionIsOurs(virDomainGetConnect(domain)) ||
        !gmemMemoryIsConvertible(domain, VIR_DOMAIN_XML_INACTIVE))
        return 0;
    *convertible = true;
    raised = gmemMemoryRaised(domain, VIR_DOMAIN_XML_INACTIVE);
    doc = raised != NULL ? gmemXMLParse(raised) : NULL;
    if (doc == NULL)
        return 0;
    edit = gmemXMLEditNew(doc);
    node = gmemXMLFindFirst(gmemXMLRoot(doc), "memory");
    if (node != NULL)
        gmemXMLEditReplace(edit, node, markup);
    node = gmemXMLFindFirst(gmemXMLRoot(doc), "currentMemory");
    if (node != NULL)
        gmemXMLEditRemove(edit, node);
    made = gmemXMLEditApply(edit, &error);
    lowered = made != NULL ? gmemLower(made, false, NULL, &error) : NULL;
    if (lowered != NULL || gmemMemoryIsNotNew(virDomainGetConnect(domain), raised, error)) {
        g_clear_error(&error);
        return 0;
    }
    gmemConnectionReport(virDomainGetConnect(domain), error);
    return -1;
}

/* @rc: what changing the maximum gave. libvirt does that in configurations only. */
static int
gmemMemoryCarryCurrent(virDomainPtr domain, unsigned long memory, bool convertible, int rc)
{
    if (rc < 0 || !convertible)
        return rc;
    return gmemReal()->virDomainSetMemoryFlags(domain, memory, VIR_DOMAIN_AFFECT_CONFIG);
}

GMEM_INTERPOSED int
virDomainSetMemory(virDomainPtr domain, unsigned long memory)
{
    if (GMEM_DOOR(virDomainSetMemory, gmemConnectionOf(domain), 0) &&
        gmemMemoryCheckBalloon(domain, memory, VIR_DOMAIN_AFFECT_LIVE) < 0)
        return -1;
    return gmemReal()->virDomainSetMemory(domain, memory);
}

GMEM_INTERPOSED int
virDomainSetMemoryFlags(virDomainPtr domain, unsigned long memory, unsigned int flags)
{
    bool maximum = (flags & VIR_DOMAIN_MEM_MAXIMUM) != 0;
    bool convertible = false;
    int rc;

    if (GMEM_DOOR(virDomainSetMemoryFlags, gmemConnectionOf(domain), flags) &&
        (maximum ? gmemMemoryCheckMaximum(domain, memory, &convertible)
                 : gmemMemoryCheckBalloon(domain, memory, flags)) < 0)
        return -1;
    rc = gmemReal()->virDomainSetMemoryFlags(domain, memory, flags);
    return gmemMemoryCarryCurrent(domain, memory, convertible, rc);
}

GMEM_INTERPOSED int
virDomainSetMaxMemory(virDomainPtr domain, unsigned long memory)
{
    bool convertible = false;
    int rc;

    if (GMEM_DOOR(virDomainSetMaxMemory, gmemConnectionOf(domain), 0) &&
        gmemMemoryCheckMaximum(domain, memory, &convertible) < 0)
        return -1;
    rc = gmemReal()->virDomainSetMaxMemory(domain, memory);
    return gmemMemoryCarryCurrent(domain, memory, convertible, rc);
}

GMEM_INTERPOSED int
virDomainSetLifecycleAction(virDomainPtr domain,
                            unsigned int type,
                            unsigned int action,
                            unsigned int flags)
{
    if (GMEM_DOOR(virDomainSetLifecycleAction, gmemConnectionOf(domain), flags) &&
        gmemMemoryCheckLifecycle(domain, action, flags) < 0)
        return -1;
    return gmemReal()->virDomainSetLifecycleAction(domain, type, action, flags);
}

GMEM_INTERPOSED int
virDomainAttachDevice(virDomainPtr domain, const char *xml)
{
    g_autofree char *lowered = NULL;

    if (GMEM_DOOR(virDomainAttachDevice, gmemConnectionOf(domain), 0) &&
        gmemMemoryCheckDevice(domain, xml, VIR_DOMAIN_AFFECT_LIVE, false, &lowered) < 0)
        return -1;
    return gmemReal()->virDomainAttachDevice(domain, lowered != NULL ? lowered : xml);
}

GMEM_INTERPOSED int
virDomainAttachDeviceFlags(virDomainPtr domain, const char *xml, unsigned int flags)
{
    g_autofree char *lowered = NULL;

    if (GMEM_DOOR(virDomainAttachDeviceFlags, gmemConnectionOf(domain), flags) &&
        gmemMemoryCheckDevice(domain, xml, flags, false, &lowered) < 0)
        return -1;
    return gmemReal()->virDomainAttachDeviceFlags(domain, lowered != NULL ? lowered : xml, flags);
}

GMEM_INTERPOSED int
virDomainUpdateDeviceFlags(virDomainPtr domain, const char *xml, unsigned int flags)
{
    g_autofree char *lowered = NULL;

    if (GMEM_DOOR(virDomainUpdateDeviceFlags, gmemConnectionOf(domain), flags) &&
        gmemMemoryCheckDevice(domain, xml, flags, true, &lowered) < 0)
        return -1;
    return gmemReal()->virDomainUpdateDeviceFlags(domain, lowered != NULL ? lowered : xml, flags);
}

GMEM_INTERPOSED int
virDomainCoreDump(virDomainPtr domain, const char *to, unsigned int flags)
{
    if (GMEM_DOOR(virDomainCoreDump, gmemConnectionOf(domain), flags) &&
        gmemDriverRefuseConvertible(domain, _("a memory dump")) < 0)
        return -1;
    return gmemReal()->virDomainCoreDump(domain, to, flags);
}

GMEM_INTERPOSED int
virDomainCoreDumpWithFormat(virDomainPtr domain,
                            const char *to,
                            unsigned int format,
                            unsigned int flags)
{
    if (GMEM_DOOR(virDomainCoreDumpWithFormat, gmemConnectionOf(domain), flags) &&
        gmemDriverRefuseConvertible(domain, _("a memory dump")) < 0)
        return -1;
    return gmemReal()->virDomainCoreDumpWithFormat(domain, to, format, flags);
}

GMEM_INTERPOSED int
virDomainMemoryPeek(
    virDomainPtr domain, unsigned long long start, size_t size, void *buffer, unsigned int flags)
{
    if (GMEM_DOOR(virDomainMemoryPeek, gmemConnectionOf(domain), flags) &&
        gmemDriverRefuseConvertible(domain, _("a look into memory")) < 0)
        return -1;
    return gmemReal()->virDomainMemoryPeek(domain, start, size, buffer, flags);
}

GMEM_INTERPOSED int
virDomainStartDirtyRateCalc(virDomainPtr domain, int seconds, unsigned int flags)
{
    if (GMEM_DOOR(virDomainStartDirtyRateCalc, gmemConnectionOf(domain), flags) &&
        gmemDriverRefuseConvertible(domain, _("measuring the rate of changed memory")) < 0)
        return -1;
    return gmemReal()->virDomainStartDirtyRateCalc(domain, seconds, flags);
}
