/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdriverdefine.c: the functions that define, create, start, rename and show a domain.
 *
 * Each asks whether the call is one of ours, does its part with the stages of conf and qemu, and
 * calls the real one, as all gmemdriver*.c do. What libvirt is given, and gives back, for a domain
 * that uses neither element is passed on as the same pointer. */

#include <glib.h>

#include "gmemconnection.h"
#include "gmemdriver.h"
#include "gmemfiles.h"
#include "gmemlog.h"
#include "gmemlower.h"
#include "gmemreal.h"
#include "gmemstart.h"

/* What would refuse the domain's start here does not refuse its definition: it may be meant for
 * another day or host. The log tells. */
static void
gmemDriverDefineDone(virConnectPtr conn, virDomainPtr domain, const gmemPlan *plan)
{
    g_autoptr(GError) error = NULL;

    /* libvirtd has other drivers, whose domains may have the same names. */
    if (domain == NULL || !gmemConnectionIsOurs(conn))
        return;
    gmemFilesForget(domain);
    if (plan != NULL && gmemStartCheckParsed(conn, plan, &error) < 0)
        gmemLog("warning: domain '%s' is defined but could not start now: %s",
                plan->name != NULL ? plan->name : "", error->message);
}

static int
gmemDriverDefineLower(virConnectPtr conn, gmemDriverXML *xml, bool validate)
{
    if (gmemDriverLower(conn, xml, validate) < 0)
        return -1;
    return gmemDriverCheckDefinition(conn, xml);
}

static int
gmemDriverDefineLowerToStart(virConnectPtr conn, gmemDriverXML *xml, unsigned int flags)
{
    if (gmemDriverLower(conn, xml, (flags & VIR_DOMAIN_START_VALIDATE) != 0) < 0)
        return -1;
    return gmemDriverCheckPlan(conn, xml->plan);
}

GMEM_INTERPOSED virDomainPtr
virDomainDefineXMLFlags(virConnectPtr conn, const char *xml, unsigned int flags)
{
    g_auto(gmemDriverXML) ours = {.text = xml};
    virDomainPtr domain;

    if (GMEM_DOOR(virDomainDefineXMLFlags, conn, flags) &&
        gmemDriverDefineLower(conn, &ours, (flags & VIR_DOMAIN_DEFINE_VALIDATE) != 0) < 0)
        return NULL;
    domain = gmemReal()->virDomainDefineXMLFlags(conn, ours.text, flags);
    gmemDriverDefineDone(conn, domain, ours.plan);
    return domain;
}

GMEM_INTERPOSED virDomainPtr
virDomainDefineXML(virConnectPtr conn, const char *xml)
{
    g_auto(gmemDriverXML) ours = {.text = xml};
    virDomainPtr domain;

    if (GMEM_DOOR(virDomainDefineXML, conn, 0) && gmemDriverDefineLower(conn, &ours, false) < 0)
        return NULL;
    domain = gmemReal()->virDomainDefineXML(conn, ours.text);
    gmemDriverDefineDone(conn, domain, ours.plan);
    return domain;
}

GMEM_INTERPOSED virDomainPtr
virDomainCreateXML(virConnectPtr conn, const char *xml, unsigned int flags)
{
    g_auto(gmemDriverXML) ours = {.text = xml};
    virDomainPtr domain;

    if (GMEM_DOOR(virDomainCreateXML, conn, flags) &&
        gmemDriverDefineLowerToStart(conn, &ours, flags) < 0)
        return NULL;
    domain = gmemReal()->virDomainCreateXML(conn, ours.text, flags);
    gmemDriverStarted(conn, domain != NULL ? 0 : -1);
    return domain;
}

GMEM_INTERPOSED virDomainPtr
virDomainCreateXMLWithFiles(
    virConnectPtr conn, const char *xml, unsigned int nfiles, int *files, unsigned int flags)
{
    g_auto(gmemDriverXML) ours = {.text = xml};

    if (GMEM_DOOR(virDomainCreateXMLWithFiles, conn, flags) &&
        gmemDriverDefineLowerToStart(conn, &ours, flags) < 0)
        return NULL;
    return gmemReal()->virDomainCreateXMLWithFiles(conn, ours.text, nfiles, files, flags);
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
gmemDriverDefineCheckRename(virDomainPtr domain)
{
    g_autoptr(gmemPlan) held = NULL;
    GError *error = NULL;

    if (!gmemConnectionIsOurs(gmemConnectionOf(domain)))
        return 0;
    if (gmemDriverGetPlan(domain, VIR_DOMAIN_XML_INACTIVE, &held) < 0)
        return -1;
    if (gmemFilesCheck(domain, held, &error) == 0)
        return 0;
    return gmemConnectionReport(virDomainGetConnect(domain), error);
}

GMEM_INTERPOSED int
virDomainRename(virDomainPtr domain, const char *name, unsigned int flags)
{
    if (GMEM_DOOR(virDomainRename, gmemConnectionOf(domain), flags) &&
        gmemDriverDefineCheckRename(domain) < 0)
        return -1;
    return gmemReal()->virDomainRename(domain, name, flags);
}

GMEM_INTERPOSED char *
virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
    char *xml = gmemReal()->virDomainGetXMLDesc(domain, flags);
    virConnectPtr conn;

    /* Asked first, as virDomainGetConnect() costs more: it formats the UUID for libvirt's log. What
     * is looked at here is what libvirt has let the client see. */
    if (xml == NULL || !gmemRaiseMayHavePair(xml))
        return xml;
    conn = virDomainGetConnect(domain);
    return GMEM_DOOR(virDomainGetXMLDesc, conn, flags) ? gmemDriverRaise(conn, xml) : xml;
}
