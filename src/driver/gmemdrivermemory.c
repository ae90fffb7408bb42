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

static int
gmemMemoryCheckBalloon(virDomainPtr domain, unsigned long memory)
{
    g_autoptr(gmemPlan) plan = gmemDriverGetPlan(domain, 0);
    GError *error = NULL;

    if (plan == NULL || plan->mode != GMEM_MODE_CONVERTIBLE ||
        memory >= virDomainGetMaxMemory(domain))
        return 0;
    gmemErrorSet(&error, VIR_ERR_OPERATION_UNSUPPORTED, "%s",
                 _("a domain with <launchSecurity type='sw-protected'/> cannot be ballooned: its "
                   "current memory stays its memory"));
    gmemConnectionReport(error);
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

/* The rules of define, for the domain that the device would make. */
static int
gmemMemoryCheckRules(virDomainPtr domain, unsigned int flags, const char *device, bool memory)
{
    g_autofree char *with = gmemMemoryWithDevice(domain, flags, device, memory);
    g_autofree char *lowered = NULL;
    GError *error = NULL;

    if (with == NULL)
        return 0;
    lowered = gmemLower(with, false, NULL, &error);
    if (lowered != NULL)
        return 0;
    gmemConnectionReport(error);
    return -1;
}

/* A memory backend that is added to a running QEMU goes by QMP, past execve: only the shim, which
 * is inside of QEMU, makes it a guest_memfd. */
static int
gmemMemoryCheckHotplug(virDomainPtr domain)
{
    g_autoptr(gmemPlan) plan = gmemDriverGetPlan(domain, 0);
    GError *error = NULL;
    int rc;

    if (plan == NULL)
        return 0;
    rc = gmemStartCheckHotplug(virDomainGetConnect(domain), plan, &error);
    if (rc < 0)
        gmemConnectionReport(error);
    return rc;
}

static int
gmemMemoryCheckAttach(virDomainPtr domain, const char *device, unsigned int flags)
{
    g_autoptr(gmemXML) doc = NULL;
    g_autofree char *element = NULL;
    bool live, config, memory;

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
    if (live && memory && gmemMemoryCheckHotplug(domain) < 0)
        return -1;
    if (live && gmemMemoryCheckRules(domain, 0, element, memory) < 0)
        return -1;
    if (config && gmemMemoryCheckRules(domain, VIR_DOMAIN_XML_INACTIVE, element, memory) < 0)
        return -1;
    virResetLastError();
    return 0;
}

GMEM_INTERPOSED int
virDomainSetMemory(virDomainPtr domain, unsigned long memory)
{
    if (gmemMemoryCheckBalloon(domain, memory) < 0)
        return -1;
    return gmemReal()->virDomainSetMemory(domain, memory);
}

GMEM_INTERPOSED int
virDomainSetMemoryFlags(virDomainPtr domain, unsigned long memory, unsigned int flags)
{
    if ((flags & VIR_DOMAIN_MEM_MAXIMUM) == 0 && gmemMemoryCheckBalloon(domain, memory) < 0)
        return -1;
    return gmemReal()->virDomainSetMemoryFlags(domain, memory, flags);
}

GMEM_INTERPOSED int
virDomainAttachDevice(virDomainPtr domain, const char *xml)
{
    if (gmemMemoryCheckAttach(domain, xml, VIR_DOMAIN_AFFECT_LIVE) < 0)
        return -1;
    return gmemReal()->virDomainAttachDevice(domain, xml);
}

GMEM_INTERPOSED int
virDomainAttachDeviceFlags(virDomainPtr domain, const char *xml, unsigned int flags)
{
    if (gmemMemoryCheckAttach(domain, xml, flags) < 0)
        return -1;
    return gmemReal()->virDomainAttachDeviceFlags(domain, xml, flags);
}

GMEM_INTERPOSED int
virDomainCoreDump(virDomainPtr domain, const char *to, unsigned int flags)
{
    if (gmemDriverRefuseConvertible(domain, _("a memory dump")) < 0)
        return -1;
    return gmemReal()->virDomainCoreDump(domain, to, flags);
}

GMEM_INTERPOSED int
virDomainCoreDumpWithFormat(virDomainPtr domain,
                            const char *to,
                            unsigned int format,
                            unsigned int flags)
{
    if (gmemDriverRefuseConvertible(domain, _("a memory dump")) < 0)
        return -1;
    return gmemReal()->virDomainCoreDumpWithFormat(domain, to, format, flags);
}

GMEM_INTERPOSED int
virDomainMemoryPeek(
    virDomainPtr domain, unsigned long long start, size_t size, void *buffer, unsigned int flags)
{
    if (gmemDriverRefuseConvertible(domain, _("a look into memory")) < 0)
        return -1;
    return gmemReal()->virDomainMemoryPeek(domain, start, size, buffer, flags);
}

GMEM_INTERPOSED int
virDomainStartDirtyRateCalc(virDomainPtr domain, int seconds, unsigned int flags)
{
    if (gmemDriverRefuseConvertible(domain, _("measuring the rate of changed memory")) < 0)
        return -1;
    return gmemReal()->virDomainStartDirtyRateCalc(domain, seconds, flags);
}
