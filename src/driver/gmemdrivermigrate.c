/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdrivermigrate.c: the functions through which libvirt's daemon serves migration.
 *
 * On the source, XML from a user (for the destination, or for its persistent configuration) is
 * lowered, and a guest with private pages is refused. The source's output is meant for another
 * daemon and remains lowered: a destination without this library then fails to start QEMU. On the
 * destination, XML arrives lowered and is passed on as it is. The checks of a start are made first,
 * while the error can still be reported. Cookies belong to libvirt and are ignored.
 *
 * An embedded driver has no daemon in front of it: there the public functions, with which clients
 * start a migration, call the driver directly. In clients of a daemon, they are passed on
 * untouched. */

#include <glib.h>
#include <stdbool.h>

#include "gmemconnection.h"
#include "gmemdriver.h"
#include "gmemexpect.h"
#include "gmemfiles.h"
#include "gmemi18n.h"
#include "gmemmigrateapi.h"
#include "gmemparams.h"
#include "gmemreal.h"

/* @xml: for the destination; its text is NULL if the source's own is used. */
static int
gmemDriverMigrateCheckSource(virDomainPtr domain, const gmemDriverXML *xml)
{
    g_autoptr(gmemPlan) running = NULL;

    if (gmemDriverRefuseConvertible(domain, GMEM_DRIVER_MIGRATE) < 0)
        return -1;
    if (xml->text == NULL || !gmemConnectionIsOurs(gmemConnectionOf(domain)))
        return 0;
    if (gmemDriverGetPlan(domain, 0, &running) < 0)
        return -1;
    return gmemDriverRefuseOtherMode(virDomainGetConnect(domain), running, xml->plan);
}

static int
gmemDriverMigrateLower(virDomainPtr domain, gmemDriverXML *xml)
{
    if (gmemDriverLower(gmemConnectionOf(domain), xml, false) < 0)
        return -1;
    return gmemDriverMigrateCheckSource(domain, xml);
}

static int
gmemDriverMigrateLowerParams(virDomainPtr domain, gmemParams *params)
{
    g_auto(gmemDriverXML) xml = {.text = gmemParamsGet(params, VIR_MIGRATE_PARAM_DEST_XML)};
    g_auto(gmemDriverXML)
        persistent = {.text = gmemParamsGet(params, VIR_MIGRATE_PARAM_PERSIST_XML)};

    if (gmemDriverLower(virDomainGetConnect(domain), &persistent, false) < 0 ||
        gmemDriverMigrateLower(domain, &xml) < 0)
        return -1;
    gmemParamsReplace(params, VIR_MIGRATE_PARAM_DEST_XML, g_steal_pointer(&xml.made));
    gmemParamsReplace(params, VIR_MIGRATE_PARAM_PERSIST_XML, g_steal_pointer(&persistent.made));
    return 0;
}

/* A hook may change the XML, and the definition that stays here comes later, in a cookie. */
static void
gmemDriverMigrateArrives(virConnectPtr dconn)
{
    if (gmemConnectionIsOurs(dconn))
        gmemFilesNotePrivate();
}

/* An offline migration moves a definition, and does not start anything. */
static int
gmemDriverMigrateCheckDestination(virConnectPtr conn, gmemDriverXML *xml, unsigned long flags)
{
    gmemDriverMigrateArrives(conn);
    if (gmemDriverLower(conn, xml, false) < 0)
        return -1;
    if ((flags & VIR_MIGRATE_PERSIST_DEST) != 0 && gmemDriverCheckDefinition(conn, xml) < 0)
        return -1;
    gmemExpect(xml->plan);
    return (flags & VIR_MIGRATE_OFFLINE) == 0 ? gmemDriverCheckPlan(conn, xml->plan) : 0;
}

static int
gmemDriverMigrateCheckDestinationParams(virConnectPtr conn, gmemParams *params, unsigned int flags)
{
    g_auto(gmemDriverXML) xml = {.text = gmemParamsGet(params, VIR_MIGRATE_PARAM_DEST_XML)};

    if (gmemDriverMigrateCheckDestination(conn, &xml, flags) < 0)
        return -1;
    gmemParamsReplace(params, VIR_MIGRATE_PARAM_DEST_XML, g_steal_pointer(&xml.made));
    return 0;
}

/* Post-copy transfers pages from the source when the guest on the destination touches them. QEMU
 * only notices in the middle of the migration that the kernel does not report such accesses to
 * guest_memfd. By then neither host has all of the guest, and it is lost. */
static int
gmemDriverMigrateRefusePostCopy(virDomainPtr domain)
{
    g_autoptr(gmemPlan) plan = NULL;
    int active;

    if (gmemDriverGetPlan(domain, 0, &plan) < 0)
        return -1;
    if (plan == NULL || plan->mode == GMEM_MODE_NONE)
        return 0;
    active = virDomainIsActive(domain);
    if (active != 1)
        return active;
    return gmemConnectionRefuse(
        virDomainGetConnect(domain), VIR_ERR_OPERATION_UNSUPPORTED, "%s",
        _("post-copy migration is not possible for a domain with <private/>: userfaultfd "
          "does not work on guest_memfd"));
}

GMEM_INTERPOSED int
virDomainMigrateStartPostCopy(virDomainPtr domain, unsigned int flags)
{
    if (gmemDriverMayConcern() &&
        GMEM_DOOR(virDomainMigrateStartPostCopy, gmemConnectionOf(domain), flags) &&
        gmemDriverMigrateRefusePostCopy(domain) < 0)
        return -1;
    return gmemReal()->virDomainMigrateStartPostCopy(domain, flags);
}

GMEM_INTERPOSED int
virDomainMigratePrepare2(virConnectPtr dconn,
                         char **cookie,
                         int *cookielen,
                         const char *uri_in,
                         char **uri_out,
                         unsigned long flags,
                         const char *dname,
                         unsigned long bandwidth,
                         const char *dom_xml)
{
    g_auto(gmemDriverXML) ours = {.text = dom_xml};

    if (GMEM_DOOR(virDomainMigratePrepare2, dconn, flags) &&
        gmemDriverMigrateCheckDestination(dconn, &ours, flags) < 0)
        return -1;
    return gmemDriverStarted(
        dconn, gmemReal()->virDomainMigratePrepare2(dconn, cookie, cookielen, uri_in, uri_out,
                                                    flags, dname, bandwidth, ours.text));
}

GMEM_INTERPOSED int
virDomainMigratePrepareTunnel(virConnectPtr dconn,
                              virStreamPtr st,
                              unsigned long flags,
                              const char *dname,
                              unsigned long bandwidth,
                              const char *dom_xml)
{
    g_auto(gmemDriverXML) ours = {.text = dom_xml};

    if (GMEM_DOOR(virDomainMigratePrepareTunnel, dconn, flags) &&
        gmemDriverMigrateCheckDestination(dconn, &ours, flags) < 0)
        return -1;
    return gmemDriverStarted(dconn, gmemReal()->virDomainMigratePrepareTunnel(
                                        dconn, st, flags, dname, bandwidth, ours.text));
}

GMEM_INTERPOSED int
virDomainMigratePerform(virDomainPtr domain,
                        const char *cookie,
                        int cookielen,
                        const char *uri,
                        unsigned long flags,
                        const char *dname,
                        unsigned long bandwidth)
{
    if (gmemDriverMayConcern() &&
        GMEM_DOOR(virDomainMigratePerform, gmemConnectionOf(domain), flags) &&
        gmemDriverRefuseConvertible(domain, GMEM_DRIVER_MIGRATE) < 0)
        return -1;
    return gmemReal()->virDomainMigratePerform(domain, cookie, cookielen, uri, flags, dname,
                                               bandwidth);
}

GMEM_INTERPOSED char *
virDomainMigrateBegin3(virDomainPtr domain,
                       const char *xmlin,
                       char **cookieout,
                       int *cookieoutlen,
                       unsigned long flags,
                       const char *dname,
                       unsigned long bandwidth)
{
    g_auto(gmemDriverXML) ours = {.text = xmlin};

    if (GMEM_DOOR(virDomainMigrateBegin3, gmemConnectionOf(domain), flags) &&
        gmemDriverMigrateLower(domain, &ours) < 0)
        return NULL;
    return gmemReal()->virDomainMigrateBegin3(domain, ours.text, cookieout, cookieoutlen, flags,
                                              dname, bandwidth);
}

GMEM_INTERPOSED int
virDomainMigratePrepare3(virConnectPtr dconn,
                         const char *cookiein,
                         int cookieinlen,
                         char **cookieout,
                         int *cookieoutlen,
                         const char *uri_in,
                         char **uri_out,
                         unsigned long flags,
                         const char *dname,
                         unsigned long bandwidth,
                         const char *dom_xml)
{
    g_auto(gmemDriverXML) ours = {.text = dom_xml};

    if (GMEM_DOOR(virDomainMigratePrepare3, dconn, flags) &&
        gmemDriverMigrateCheckDestination(dconn, &ours, flags) < 0)
        return -1;
    return gmemDriverStarted(dconn, gmemReal()->virDomainMigratePrepare3(
                                        dconn, cookiein, cookieinlen, cookieout, cookieoutlen,
                                        uri_in, uri_out, flags, dname, bandwidth, ours.text));
}

GMEM_INTERPOSED int
virDomainMigratePrepareTunnel3(virConnectPtr dconn,
                               virStreamPtr st,
                               const char *cookiein,
                               int cookieinlen,
                               char **cookieout,
                               int *cookieoutlen,
                               unsigned long flags,
                               const char *dname,
                               unsigned long bandwidth,
                               const char *dom_xml)
{
    g_auto(gmemDriverXML) ours = {.text = dom_xml};

    if (GMEM_DOOR(virDomainMigratePrepareTunnel3, dconn, flags) &&
        gmemDriverMigrateCheckDestination(dconn, &ours, flags) < 0)
        return -1;
    return gmemDriverStarted(dconn, gmemReal()->virDomainMigratePrepareTunnel3(
                                        dconn, st, cookiein, cookieinlen, cookieout, cookieoutlen,
                                        flags, dname, bandwidth, ours.text));
}

GMEM_INTERPOSED int
virDomainMigratePerform3(virDomainPtr domain,
                         const char *xmlin,
                         const char *cookiein,
                         int cookieinlen,
                         char **cookieout,
                         int *cookieoutlen,
                         const char *dconnuri,
                         const char *uri,
                         unsigned long flags,
                         const char *dname,
                         unsigned long bandwidth)
{
    g_auto(gmemDriverXML) ours = {.text = xmlin};

    if (GMEM_DOOR(virDomainMigratePerform3, gmemConnectionOf(domain), flags) &&
        gmemDriverMigrateLower(domain, &ours) < 0)
        return -1;
    return gmemReal()->virDomainMigratePerform3(domain, ours.text, cookiein, cookieinlen, cookieout,
                                                cookieoutlen, dconnuri, uri, flags, dname,
                                                bandwidth);
}

GMEM_INTERPOSED char *
virDomainMigrateBegin3Params(virDomainPtr domain,
                             virTypedParameterPtr params,
                             int nparams,
                             char **cookieout,
                             int *cookieoutlen,
                             unsigned int flags)
{
    g_auto(gmemParams) ours = {params, nparams, NULL};

    if (GMEM_DOOR(virDomainMigrateBegin3Params, gmemConnectionOf(domain), flags) &&
        gmemDriverMigrateLowerParams(domain, &ours) < 0)
        return NULL;
    return gmemReal()->virDomainMigrateBegin3Params(domain, ours.list, ours.n, cookieout,
                                                    cookieoutlen, flags);
}

GMEM_INTERPOSED int
virDomainMigratePrepare3Params(virConnectPtr dconn,
                               virTypedParameterPtr params,
                               int nparams,
                               const char *cookiein,
                               int cookieinlen,
                               char **cookieout,
                               int *cookieoutlen,
                               char **uri_out,
                               unsigned int flags)
{
    g_auto(gmemParams) ours = {params, nparams, NULL};

    if (GMEM_DOOR(virDomainMigratePrepare3Params, dconn, flags) &&
        gmemDriverMigrateCheckDestinationParams(dconn, &ours, flags) < 0)
        return -1;
    return gmemDriverStarted(dconn, gmemReal()->virDomainMigratePrepare3Params(
                                        dconn, ours.list, ours.n, cookiein, cookieinlen, cookieout,
                                        cookieoutlen, uri_out, flags));
}

GMEM_INTERPOSED int
virDomainMigratePrepareTunnel3Params(virConnectPtr dconn,
                                     virStreamPtr st,
                                     virTypedParameterPtr params,
                                     int nparams,
                                     const char *cookiein,
                                     int cookieinlen,
                                     char **cookieout,
                                     int *cookieoutlen,
                                     unsigned int flags)
{
    g_auto(gmemParams) ours = {params, nparams, NULL};

    if (GMEM_DOOR(virDomainMigratePrepareTunnel3Params, dconn, flags) &&
        gmemDriverMigrateCheckDestinationParams(dconn, &ours, flags) < 0)
        return -1;
    return gmemDriverStarted(dconn, gmemReal()->virDomainMigratePrepareTunnel3Params(
                                        dconn, st, ours.list, ours.n, cookiein, cookieinlen,
                                        cookieout, cookieoutlen, flags));
}

GMEM_INTERPOSED int
virDomainMigratePerform3Params(virDomainPtr domain,
                               const char *dconnuri,
                               virTypedParameterPtr params,
                               int nparams,
                               const char *cookiein,
                               int cookieinlen,
                               char **cookieout,
                               int *cookieoutlen,
                               unsigned int flags)
{
    g_auto(gmemParams) ours = {params, nparams, NULL};

    if (GMEM_DOOR(virDomainMigratePerform3Params, gmemConnectionOf(domain), flags) &&
        gmemDriverMigrateLowerParams(domain, &ours) < 0)
        return -1;
    return gmemReal()->virDomainMigratePerform3Params(domain, dconnuri, ours.list, ours.n, cookiein,
                                                      cookieinlen, cookieout, cookieoutlen, flags);
}

GMEM_INTERPOSED virDomainPtr
virDomainMigrate(virDomainPtr domain,
                 virConnectPtr dconn,
                 unsigned long flags,
                 const char *dname,
                 const char *uri,
                 unsigned long bandwidth)
{
    if (GMEM_DOOR(virDomainMigrate, gmemConnectionOf(domain), flags) &&
        gmemDriverRefuseConvertible(domain, GMEM_DRIVER_MIGRATE) < 0)
        return NULL;
    gmemDriverMigrateArrives(dconn);
    return gmemReal()->virDomainMigrate(domain, dconn, flags, dname, uri, bandwidth);
}

GMEM_INTERPOSED virDomainPtr
virDomainMigrate2(virDomainPtr domain,
                  virConnectPtr dconn,
                  const char *dxml,
                  unsigned long flags,
                  const char *dname,
                  const char *uri,
                  unsigned long bandwidth)
{
    g_auto(gmemDriverXML) ours = {.text = dxml};

    if (GMEM_DOOR(virDomainMigrate2, gmemConnectionOf(domain), flags) &&
        gmemDriverMigrateLower(domain, &ours) < 0)
        return NULL;
    gmemDriverMigrateArrives(dconn);
    return gmemReal()->virDomainMigrate2(domain, dconn, ours.text, flags, dname, uri, bandwidth);
}

GMEM_INTERPOSED virDomainPtr
virDomainMigrate3(virDomainPtr domain,
                  virConnectPtr dconn,
                  virTypedParameterPtr params,
                  unsigned int nparams,
                  unsigned int flags)
{
    g_auto(gmemParams) ours = {params, (int)nparams, NULL};

    if (GMEM_DOOR(virDomainMigrate3, gmemConnectionOf(domain), flags) &&
        gmemDriverMigrateLowerParams(domain, &ours) < 0)
        return NULL;
    gmemDriverMigrateArrives(dconn);
    return gmemReal()->virDomainMigrate3(domain, dconn, ours.list, nparams, flags);
}

GMEM_INTERPOSED int
virDomainMigrateToURI(virDomainPtr domain,
                      const char *duri,
                      unsigned long flags,
                      const char *dname,
                      unsigned long bandwidth)
{
    if (GMEM_DOOR(virDomainMigrateToURI, gmemConnectionOf(domain), flags) &&
        gmemDriverRefuseConvertible(domain, GMEM_DRIVER_MIGRATE) < 0)
        return -1;
    return gmemReal()->virDomainMigrateToURI(domain, duri, flags, dname, bandwidth);
}

GMEM_INTERPOSED int
virDomainMigrateToURI2(virDomainPtr domain,
                       const char *dconnuri,
                       const char *miguri,
                       const char *dxml,
                       unsigned long flags,
                       const char *dname,
                       unsigned long bandwidth)
{
    g_auto(gmemDriverXML) ours = {.text = dxml};

    if (GMEM_DOOR(virDomainMigrateToURI2, gmemConnectionOf(domain), flags) &&
        gmemDriverMigrateLower(domain, &ours) < 0)
        return -1;
    return gmemReal()->virDomainMigrateToURI2(domain, dconnuri, miguri, ours.text, flags, dname,
                                              bandwidth);
}

GMEM_INTERPOSED int
virDomainMigrateToURI3(virDomainPtr domain,
                       const char *dconnuri,
                       virTypedParameterPtr params,
                       unsigned int nparams,
                       unsigned int flags)
{
    g_auto(gmemParams) ours = {params, (int)nparams, NULL};

    if (GMEM_DOOR(virDomainMigrateToURI3, gmemConnectionOf(domain), flags) &&
        gmemDriverMigrateLowerParams(domain, &ours) < 0)
        return -1;
    return gmemReal()->virDomainMigrateToURI3(domain, dconnuri, ours.list, nparams, flags);
}
