/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdrivermemory.c: in front of what acts on the memory of a guest: ballooning, memory devices,
 * dumps. */

#include <glib.h>
#include <stdlib.h>

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

static int
gmemMemoryCheckBalloon(virDomainPtr domain, unsigned long memory, unsigned int flags)
{
    GError *error = NULL;

    if (domain == NULL || !gmemConnectionIsOurs(virDomainGetConnect(domain)))
        return 0;
    if (!gmemMemoryChangesConvertible(domain, flags))
        return 0;
    if (memory >= virDomainGetMaxMemory(domain))
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

/* The domain as its user wrote it, with @device in it; NULL where it is none of ours. libvirt adds
 * a memory device to <currentMemory>, too, so what that was says nothing. */
static char *
gmemMemoryWithDevice(virDomainPtr domain, unsigned int flags, const char *device, bool memory)
{
    g_autofree char *xml = gmemReal()->virDomainGetXMLDesc(domain, flags);
    g_autofree char *raised = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(gmemXML) doc = NULL;
    g_autoptr(gmemXMLEdit) edit = NULL;
    xmlNode *devices, *current;

    virResetLastError();
    if (xml == NULL || !gmemRaiseConcerns(xml))
        return NULL;
    raised = gmemRaise(xml, &plan, NULL);
    doc = raised != NULL && plan != NULL ? gmemXMLParse(raised) : NULL;
    devices = doc != NULL ? gmemXMLFindFirst(gmemXMLRoot(doc), "devices") : NULL;
    if (devices == NULL)
        return NULL;
    edit = gmemXMLEditNew(doc);
    gmemXMLEditAppend(edit, devices, device);
    current = gmemXMLFindFirst(gmemXMLRoot(doc), "currentMemory");
    if (memory && current != NULL)
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

/* The rules of define, for the domain that the device would make. @access: out, of a memory device:
 * what lowering would say in it. */
static int
gmemMemoryCheckRules(
    virDomainPtr domain, unsigned int flags, const char *device, bool memory, char **access)
{
    g_autofree char *with = gmemMemoryWithDevice(domain, flags, device, memory);
    g_autofree char *lowered = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    GError *error = NULL;

    if (with == NULL)
        return 0;
    lowered = gmemLower(with, false, &plan, &error);
    /* What is well formed for itself is not in the domain's XML only where it needs entities. */
    if (lowered != NULL && plan == NULL)
        gmemErrorSet(&error, VIR_ERR_XML_ERROR, "%s",
                     _("a device that is attached to a domain with private memory cannot use "
                       "entities: write them out"));
    if (error != NULL) {
        gmemConnectionReport(virDomainGetConnect(domain), error);
        return -1;
    }
    if (memory && *access == NULL)
        *access = gmemMemoryAccess(lowered);
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
    rc = gmemStartCheckHotplug(virDomainGetConnect(domain), plan, &error);
    if (rc < 0)
        gmemConnectionReport(virDomainGetConnect(domain), error);
    return rc;
}

/* @lowered: out: the device for libvirt, to be freed with g_free(); NULL where it goes on as it is.
 * As in a domain that is defined, the shared access of private RAM must not become an NVDIMM's. */
static int
gmemMemoryCheckAttach(virDomainPtr domain, const char *device, unsigned int flags, char **lowered)
{
    g_autoptr(gmemXML) doc = NULL;
    g_autoptr(gmemXMLEdit) edit = NULL;
    g_autofree char *element = NULL;
    g_autofree char *own = NULL;
    g_autofree char *access = NULL;
    bool live, config, memory;

    *lowered = NULL;
    if (domain == NULL || device == NULL || !gmemConnectionIsOurs(virDomainGetConnect(domain)))
        return 0;
    doc = gmemXMLParse(device);
    /* Without what may stand in front of it: a declaration. No XML: libvirt will say so. */
    element = doc != NULL ? gmemXMLSlice(doc, gmemXMLRoot(doc)) : NULL;
    if (element == NULL)
        return 0;
    memory = gmemXMLIs(gmemXMLRoot(doc), "memory");
    live = gmemMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_LIVE);
    config = gmemMemoryAffects(domain, flags, VIR_DOMAIN_AFFECT_CONFIG);
    if (live && memory && gmemMemoryCheckHotplug(domain, gmemXMLRoot(doc)) < 0)
        return -1;
    if (live && gmemMemoryCheckRules(domain, 0, element, memory, &access) < 0)
        return -1;
    if (config &&
        gmemMemoryCheckRules(domain, VIR_DOMAIN_XML_INACTIVE, element, memory, &access) < 0)
        return -1;
    virResetLastError();
    own = gmemXMLAttribute(gmemXMLRoot(doc), "access");
    if (access == NULL || own != NULL)
        return 0;
    edit = gmemXMLEditNew(doc);
    gmemXMLEditSetAttribute(edit, gmemXMLRoot(doc), "access", access);
    *lowered = gmemXMLEditApply(edit, NULL);
    return 0;
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
    if (GMEM_DOOR(virDomainSetMemoryFlags, gmemConnectionOf(domain), flags) &&
        (flags & VIR_DOMAIN_MEM_MAXIMUM) == 0 && gmemMemoryCheckBalloon(domain, memory, flags) < 0)
        return -1;
    return gmemReal()->virDomainSetMemoryFlags(domain, memory, flags);
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
        gmemMemoryCheckAttach(domain, xml, VIR_DOMAIN_AFFECT_LIVE, &lowered) < 0)
        return -1;
    return gmemReal()->virDomainAttachDevice(domain, lowered != NULL ? lowered : xml);
}

GMEM_INTERPOSED int
virDomainAttachDeviceFlags(virDomainPtr domain, const char *xml, unsigned int flags)
{
    g_autofree char *lowered = NULL;

    if (GMEM_DOOR(virDomainAttachDeviceFlags, gmemConnectionOf(domain), flags) &&
        gmemMemoryCheckAttach(domain, xml, flags, &lowered) < 0)
        return -1;
    return gmemReal()->virDomainAttachDeviceFlags(domain, lowered != NULL ? lowered : xml, flags);
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
