/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdriversave.c: in front of libvirt's saving and restoring, and of the XML in save images. */

#include <glib.h>
#include <stdlib.h>

#include "gmemconnection.h"
#include "gmemdriver.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemparams.h"
#include "gmemreal.h"

/* What the guest that is saved in @image asks for. Returns 0, or -1 with an error reported where
 * that cannot be told. */
static int
gmemDriverSaveGetImagePlan(virConnectPtr conn, const char *image, gmemPlan **plan)
{
    GError *error = NULL;

    *plan = NULL;
    if (!gmemDriverIsSpecialFile(image))
        return gmemDriverGetStoredPlan(
            conn, gmemReal()->virDomainSaveImageGetXMLDesc(conn, image, 0), plan);
    gmemErrorSet(&error, VIR_ERR_OPERATION_UNSUPPORTED,
                 _("save image '%s' is not a regular file, or is empty, so the memory of its guest "
                   "cannot be compared with the XML that is to take its place"),
                 image);
    gmemConnectionReport(conn, error);
    return -1;
}

/* The XML that goes with a guest's memory must keep its mode. @lowered is out, as is @xml NULL in.
 */
static int
gmemDriverSaveLower(virDomainPtr domain, const char *xml, char **lowered)
{
    g_autoptr(gmemPlan) then = NULL;
    g_autoptr(gmemPlan) now = NULL;

    *lowered = NULL;
    if (domain == NULL || xml == NULL)
        return 0;
    if (gmemDriverLower(virDomainGetConnect(domain), xml, false, lowered, &now) < 0)
        return -1;
    if (gmemDriverGetPlan(domain, 0, &then) < 0)
        return -1;
    return gmemDriverRefuseOtherMode(virDomainGetConnect(domain), then, now);
}

/* The same for XML that goes into the domain's managed save image. */
static int
gmemDriverSaveLowerManaged(virDomainPtr domain, const char *xml, char **lowered)
{
    virConnectPtr conn = virDomainGetConnect(domain);
    g_autoptr(gmemPlan) then = NULL;
    g_autoptr(gmemPlan) now = NULL;

    if (gmemDriverLower(conn, xml, false, lowered, &now) < 0 ||
        gmemDriverGetStoredPlan(conn, gmemReal()->virDomainManagedSaveGetXMLDesc(domain, 0),
                                &then) < 0)
        return -1;
    return gmemDriverRefuseOtherMode(conn, then, now);
}

/* @image's own mode must be that of the XML that shall take the place of its own. */
static int
gmemDriverSaveCheckReplaced(virConnectPtr conn, const char *image, const gmemPlan *now)
{
    g_autoptr(gmemPlan) then = NULL;

    if (gmemDriverSaveGetImagePlan(conn, image, &then) < 0)
        return -1;
    return gmemDriverRefuseOtherMode(conn, then, now);
}

/* Checks before a restore of @file with @now in the place of its own XML (@replaced). Where that
 * stays, what it says decides in the child, too: this is for an error with its proper code. */
static int
gmemDriverSaveCheckRestore(virConnectPtr conn, const char *file, bool replaced, gmemPlan *now)
{
    g_autoptr(gmemPlan) then = NULL;
    char *xml;

    if (file == NULL || !gmemConnectionIsOurs(conn))
        return 0;
    if (replaced)
        return gmemDriverSaveCheckReplaced(conn, file, now) < 0 ? -1
                                                                : gmemDriverCheckSaved(conn, now);
    if (gmemDriverIsSpecialFile(file))
        return 0;
    xml = gmemReal()->virDomainSaveImageGetXMLDesc(conn, file, 0);
    if (xml == NULL) {
        virResetLastError();
        return 0;
    }
    if (gmemDriverGetStoredPlan(conn, xml, &then) < 0)
        return -1;
    return gmemDriverCheckSaved(conn, then);
}

GMEM_INTERPOSED int
virDomainSave(virDomainPtr domain, const char *to)
{
    if (GMEM_DOOR(virDomainSave, gmemConnectionOf(domain), 0) &&
        gmemDriverRefuseConvertible(domain, _("saving")) < 0)
        return -1;
    return gmemReal()->virDomainSave(domain, to);
}

GMEM_INTERPOSED int
virDomainSaveFlags(virDomainPtr domain, const char *to, const char *dxml, unsigned int flags)
{
    g_autofree char *lowered = NULL;

    if (GMEM_DOOR(virDomainSaveFlags, gmemConnectionOf(domain), flags) &&
        (gmemDriverRefuseConvertible(domain, _("saving")) < 0 ||
         gmemDriverSaveLower(domain, dxml, &lowered) < 0))
        return -1;
    return gmemReal()->virDomainSaveFlags(domain, to, lowered != NULL ? lowered : dxml, flags);
}

static int
gmemDriverSaveLowerParams(virDomainPtr domain, gmemParams *params)
{
    const char *dxml = gmemParamsGet(params->list, params->n, VIR_DOMAIN_SAVE_PARAM_DXML);
    g_autofree char *lowered = NULL;

    if (gmemDriverRefuseConvertible(domain, _("saving")) < 0 ||
        gmemDriverSaveLower(domain, dxml, &lowered) < 0)
        return -1;
    return gmemParamsLower(virDomainGetConnect(domain), params, VIR_DOMAIN_SAVE_PARAM_DXML, NULL);
}

GMEM_INTERPOSED int
virDomainSaveParams(virDomainPtr domain,
                    virTypedParameterPtr params,
                    int nparams,
                    unsigned int flags)
{
    g_auto(gmemParams) ours = {params, nparams, NULL};

    if (GMEM_DOOR(virDomainSaveParams, gmemConnectionOf(domain), flags) &&
        gmemDriverSaveLowerParams(domain, &ours) < 0)
        return -1;
    return gmemReal()->virDomainSaveParams(domain, ours.list, ours.n, flags);
}

GMEM_INTERPOSED int
virDomainManagedSave(virDomainPtr domain, unsigned int flags)
{
    if (GMEM_DOOR(virDomainManagedSave, gmemConnectionOf(domain), flags) &&
        (gmemDriverRefuseConvertible(domain, _("saving")) < 0 ||
         gmemDriverCheckManaged(domain) < 0))
        return -1;
    return gmemReal()->virDomainManagedSave(domain, flags);
}

GMEM_INTERPOSED int
virDomainRestore(virConnectPtr conn, const char *from)
{
    if (GMEM_DOOR(virDomainRestore, conn, 0) &&
        gmemDriverSaveCheckRestore(conn, from, false, NULL) < 0)
        return -1;
    return gmemDriverStarted(conn, gmemReal()->virDomainRestore(conn, from));
}

GMEM_INTERPOSED int
virDomainRestoreFlags(virConnectPtr conn, const char *from, const char *dxml, unsigned int flags)
{
    g_autofree char *lowered = NULL;
    g_autoptr(gmemPlan) plan = NULL;

    if (GMEM_DOOR(virDomainRestoreFlags, conn, flags) &&
        (gmemDriverLower(conn, dxml, false, &lowered, &plan) < 0 ||
         gmemDriverSaveCheckRestore(conn, from, dxml != NULL, plan) < 0))
        return -1;
    return gmemDriverStarted(conn, gmemReal()->virDomainRestoreFlags(
                                       conn, from, lowered != NULL ? lowered : dxml, flags));
}

static int
gmemDriverSaveCheckRestoreParams(virConnectPtr conn, gmemParams *params)
{
    const char *from = gmemParamsGet(params->list, params->n, VIR_DOMAIN_SAVE_PARAM_FILE);
    bool replaced = gmemParamsGet(params->list, params->n, VIR_DOMAIN_SAVE_PARAM_DXML) != NULL;
    g_autoptr(gmemPlan) plan = NULL;

    if (gmemParamsLower(conn, params, VIR_DOMAIN_SAVE_PARAM_DXML, &plan) < 0)
        return -1;
    return gmemDriverSaveCheckRestore(conn, from, replaced, plan);
}

GMEM_INTERPOSED int
virDomainRestoreParams(virConnectPtr conn,
                       virTypedParameterPtr params,
                       int nparams,
                       unsigned int flags)
{
    g_auto(gmemParams) ours = {params, nparams, NULL};

    if (GMEM_DOOR(virDomainRestoreParams, conn, flags) &&
        gmemDriverSaveCheckRestoreParams(conn, &ours) < 0)
        return -1;
    return gmemDriverStarted(conn,
                             gmemReal()->virDomainRestoreParams(conn, ours.list, ours.n, flags));
}

GMEM_INTERPOSED char *
virDomainSaveImageGetXMLDesc(virConnectPtr conn, const char *file, unsigned int flags)
{
    char *xml = gmemReal()->virDomainSaveImageGetXMLDesc(conn, file, flags);

    if (xml == NULL || !GMEM_DOOR(virDomainSaveImageGetXMLDesc, conn, flags))
        return xml;
    return gmemDriverRaise(conn, xml);
}

GMEM_INTERPOSED int
virDomainSaveImageDefineXML(virConnectPtr conn,
                            const char *file,
                            const char *dxml,
                            unsigned int flags)
{
    g_autofree char *lowered = NULL;
    g_autoptr(gmemPlan) now = NULL;

    if (GMEM_DOOR(virDomainSaveImageDefineXML, conn, flags) &&
        (gmemDriverLower(conn, dxml, false, &lowered, &now) < 0 ||
         (file != NULL && dxml != NULL && gmemConnectionIsOurs(conn) &&
          gmemDriverSaveCheckReplaced(conn, file, now) < 0)))
        return -1;
    return gmemReal()->virDomainSaveImageDefineXML(conn, file, lowered != NULL ? lowered : dxml,
                                                   flags);
}

GMEM_INTERPOSED char *
virDomainManagedSaveGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
    char *xml = gmemReal()->virDomainManagedSaveGetXMLDesc(domain, flags);

    if (xml == NULL ||
        !GMEM_DOOR(virDomainManagedSaveGetXMLDesc, virDomainGetConnect(domain), flags))
        return xml;
    return gmemDriverRaise(virDomainGetConnect(domain), xml);
}

GMEM_INTERPOSED int
virDomainManagedSaveDefineXML(virDomainPtr domain, const char *dxml, unsigned int flags)
{
    virConnectPtr conn = gmemConnectionOf(domain);
    g_autofree char *lowered = NULL;

    if (GMEM_DOOR(virDomainManagedSaveDefineXML, conn, flags) && dxml != NULL &&
        gmemConnectionIsOurs(conn) && gmemDriverSaveLowerManaged(domain, dxml, &lowered) < 0)
        return -1;
    return gmemReal()->virDomainManagedSaveDefineXML(domain, lowered != NULL ? lowered : dxml,
                                                     flags);
}
