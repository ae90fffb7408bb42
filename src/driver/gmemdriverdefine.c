/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdriverdefine.c: the functions that define, create, start, rename and show a domain.
 *
 * Like those in all gmemdriver*.c, each one asks whether the call is ours, does its part with the
 * stages of conf and qemu, and calls the real function. For a domain that uses neither element,
 * what libvirt is given, and what it returns, is passed on as the same pointer. */

#include <glib.h>
#include <unistd.h>

#include "gmemconnection.h"
#include "gmemdriver.h"
#include "gmemfiles.h"
#include "gmemhostconf.h"
#include "gmemlog.h"
#include "gmemlower.h"
#include "gmemreal.h"
#include "gmemrules.h"
#include "gmemstart.h"
#include "gmemxml.h"

/* For the log. */
static const char *
gmemDriverDefineMemory(gmemMode mode)
{
    return mode != GMEM_MODE_NONE ? gmemModeElement(mode) : "ordinary memory";
}

/* The mode that the rule gives, with a line in the log, or GMEM_MODE_NONE. A managed save image
 * keeps its mode, whatever has happened to the rules. */
static gmemMode
gmemDriverDefineRuledMode(const gmemRulesAnswer *answer, const gmemDriverFormer *former)
{
    gmemMode mode = former->image ? former->saved : answer->rule->mode;
    const char *name = answer->name != NULL ? answer->name : "";

    if (mode != answer->rule->mode)
        gmemLog("warning: rule '%s' of '%s' does not give domain '%s' %s: it has a managed save "
                "image of a guest with %s",
                answer->rule->name, GMEM_HOST_CONF_FILE, name, gmemModeElement(answer->rule->mode),
                gmemDriverDefineMemory(mode));
    if (!gmemRulesIsWeaker(answer->own, mode))
        return GMEM_MODE_NONE;
    gmemLog("rule '%s' of '%s' gives domain '%s' %s", answer->rule->name, GMEM_HOST_CONF_FILE, name,
            gmemModeElement(mode));
    return mode;
}

/* @failed: why there are no rules, or NULL. */
static int
gmemDriverDefineApplyRule(virConnectPtr conn,
                          const gmemHostConf *conf,
                          const GError *failed,
                          bool define,
                          bool validate,
                          gmemDriverXML *xml)
{
    g_auto(gmemRulesAnswer) answer = {0};
    gmemDriverFormer former = {0};
    gmemXML *lowered;
    gmemPlan *plan;
    GError *error = NULL;
    gmemMode mode;

    if (gmemRulesAsk(conf, xml->doc, validate, &answer, &error) < 0)
        return gmemConnectionReport(conn, error);
    /* A rule could not add anything. */
    if (answer.own == GMEM_MODE_CONVERTIBLE || (failed == NULL && answer.rule == NULL))
        return 0;
    if (failed != NULL)
        return gmemConnectionReport(conn, g_error_copy(failed));
    if (define && gmemDriverGetFormer(conn, xml->doc, &former) < 0)
        return -1;
    mode = gmemDriverDefineRuledMode(&answer, &former);
    if (mode == GMEM_MODE_NONE)
        return 0;
    lowered = gmemRulesApply(xml->doc, &answer, mode, validate, GMEM_HOST_CONF_FILE, &plan, &error);
    if (lowered == NULL)
        return gmemConnectionReport(conn, error);
    gmemDriverXMLTake(xml, lowered, plan);
    return 0;
}

/* Applies the administrator's rules to @xml. They are for the host's own daemon: a user's daemon
 * may not be able to read them, and root's embedded driver has the same domains. */
static int
gmemDriverDefineRule(virConnectPtr conn, gmemDriverXML *xml, bool define, bool validate)
{
    g_autoptr(GError) failed = NULL;
    GError *error = NULL;
    gmemHostConf conf = {0};
    int rc;

    if (xml->text == NULL || geteuid() != 0 || !gmemConnectionIsOurs(conn))
        return 0;
    if (gmemHostConfRefresh(GMEM_HOST_CONF_FILE, &failed) == 0)
        gmemHostConfGet(&conf, &failed);
    if (failed == NULL && conf.nrules == 0)
        return 0;
    rc = gmemDriverXMLRead(xml, &error);
    if (rc < 0)
        return gmemConnectionReport(conn, error);
    return rc > 0 ? gmemDriverDefineApplyRule(conn, &conf, failed, define, validate, xml) : 0;
}

/* The mode that the domain was defined with, if that is known to be more than it is now. */
static gmemMode
gmemDriverDefineFormerMode(virConnectPtr conn, gmemDriverXML *xml)
{
    gmemMode mode = xml->plan != NULL ? xml->plan->mode : GMEM_MODE_NONE;
    g_autofree char *name = NULL;
    gmemXMLNode *node = NULL;
    const char *literal;
    size_t length;

    if (xml->text == NULL || mode == GMEM_MODE_CONVERTIBLE || !gmemConnectionIsOurs(conn) ||
        !gmemFilesMayBePrivate(conn))
        return GMEM_MODE_NONE;
    literal = gmemDriverDefinedName(xml, &length);
    if (literal != NULL) {
        name = g_strndup(literal, length);
    } else {
        if (gmemDriverXMLRead(xml, NULL) > 0)
            node = gmemXMLFindFirst(gmemXMLRoot(xml->doc), "name");
        name = node != NULL ? gmemXMLString(node) : NULL;
    }
    return name != NULL ? gmemFilesGetStronger(conn, name, mode) : GMEM_MODE_NONE;
}

/* A problem that would prevent the domain's start does not prevent its definition, which may be
 * meant for another day or host. It is logged. So is the loss of private memory, perhaps by a
 * client that does not know the element and rewrites the domain. */
static void
gmemDriverDefineDone(virConnectPtr conn, virDomainPtr domain, const gmemPlan *plan, gmemMode former)
{
    gmemMode mode = plan != NULL ? plan->mode : GMEM_MODE_NONE;
    g_autoptr(GError) error = NULL;

    /* libvirtd has other drivers, whose domains can have the same names. */
    if (domain == NULL || !gmemConnectionIsOurs(conn))
        return;
    gmemFilesForget(domain);
    if (former != GMEM_MODE_NONE)
        gmemLog("warning: domain '%s' was defined with %s, and is defined with %s now",
                virDomainGetName(domain), gmemModeElement(former), gmemDriverDefineMemory(mode));
    if (plan != NULL && gmemStartCheckParsed(conn, plan, &error) < 0)
        gmemLog("warning: domain '%s' is defined but could not start now: %s",
                plan->name != NULL ? plan->name : "", error->message);
}

/* *@former: out: gmemDriverDefineFormerMode() */
static int
gmemDriverDefineLower(virConnectPtr conn, gmemDriverXML *xml, bool validate, gmemMode *former)
{
    if (gmemDriverDefineRule(conn, xml, true, validate) < 0 ||
        gmemDriverLower(conn, xml, validate) < 0 || gmemDriverCheckDefinition(conn, xml) < 0)
        return -1;
    *former = gmemDriverDefineFormerMode(conn, xml);
    return 0;
}

static int
gmemDriverDefineLowerToStart(virConnectPtr conn, gmemDriverXML *xml, unsigned int flags)
{
    bool validate = (flags & VIR_DOMAIN_START_VALIDATE) != 0;

    if (gmemDriverDefineRule(conn, xml, false, validate) < 0 ||
        gmemDriverLower(conn, xml, validate) < 0)
        return -1;
    return gmemDriverCheckPlan(conn, xml->plan);
}

GMEM_INTERPOSED virDomainPtr
virDomainDefineXMLFlags(virConnectPtr conn, const char *xml, unsigned int flags)
{
    g_auto(gmemDriverXML) ours = {.text = xml};
    gmemMode former = GMEM_MODE_NONE;
    virDomainPtr domain;

    if (GMEM_DOOR(virDomainDefineXMLFlags, conn, flags) &&
        gmemDriverDefineLower(conn, &ours, (flags & VIR_DOMAIN_DEFINE_VALIDATE) != 0, &former) < 0)
        return NULL;
    domain = gmemReal()->virDomainDefineXMLFlags(conn, ours.text, flags);
    gmemDriverDefineDone(conn, domain, ours.plan, former);
    return domain;
}

GMEM_INTERPOSED virDomainPtr
virDomainDefineXML(virConnectPtr conn, const char *xml)
{
    g_auto(gmemDriverXML) ours = {.text = xml};
    gmemMode former = GMEM_MODE_NONE;
    virDomainPtr domain;

    if (GMEM_DOOR(virDomainDefineXML, conn, 0) &&
        gmemDriverDefineLower(conn, &ours, false, &former) < 0)
        return NULL;
    domain = gmemReal()->virDomainDefineXML(conn, ours.text);
    gmemDriverDefineDone(conn, domain, ours.plan, former);
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

/* libvirt writes the file again under the other name, without what it has dropped. */
static int
gmemDriverDefineCheckRename(virConnectPtr conn, virDomainPtr domain)
{
    g_autoptr(gmemPlan) held = NULL;
    GError *error = NULL;

    if (!gmemConnectionIsOurs(conn))
        return 0;
    if (gmemDriverGetPlan(domain, VIR_DOMAIN_XML_INACTIVE, &held) < 0)
        return -1;
    if (gmemFilesCheck(conn, domain, held, &error) == 0)
        return 0;
    return gmemConnectionReport(virDomainGetConnect(domain), error);
}

GMEM_INTERPOSED int
virDomainRename(virDomainPtr domain, const char *name, unsigned int flags)
{
    virConnectPtr conn = gmemConnectionOf(domain);

    if (GMEM_DOOR(virDomainRename, conn, flags) && gmemDriverDefineCheckRename(conn, domain) < 0)
        return -1;
    return gmemReal()->virDomainRename(domain, name, flags);
}

GMEM_INTERPOSED char *
virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
    char *xml = gmemReal()->virDomainGetXMLDesc(domain, flags);
    virConnectPtr conn;

    /* This comes first, because virDomainGetConnect() costs more: it formats the UUID for libvirt's
     * log. The XML is only what libvirt has let the client see. */
    if (xml == NULL || !gmemRaiseMayHavePair(xml))
        return xml;
    conn = virDomainGetConnect(domain);
    return GMEM_DOOR(virDomainGetXMLDesc, conn, flags) ? gmemDriverRaise(conn, xml) : xml;
}
