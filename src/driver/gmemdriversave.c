/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdriversave.c: in front of libvirt's saving and restoring, and of the XML in save images. */

#include <glib.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "gmemconnection.h"
#include "gmemdriver.h"
#include "gmemi18n.h"
#include "gmemparams.h"
#include "gmemreal.h"

/* What libvirt keeps in @image, to be freed with free(); NULL where that cannot be looked at. A
 * pipe can be read but once, and not by us. */
static char *
gmemSaveGetImageXML(virConnectPtr conn, const char *image)
{
    struct stat status;

    if (image == NULL || (stat(image, &status) == 0 && S_ISFIFO(status.st_mode)))
        return NULL;
    return gmemReal()->virDomainSaveImageGetXMLDesc(conn, image, 0);
}

/* @stored: libvirt's XML of a saved guest, taken over. */
static int
gmemSaveCheckMode(virConnectPtr conn, char *stored, const gmemPlan *now)
{
    g_autoptr(gmemPlan) then = NULL;

    return gmemDriverGetStoredPlan(stored, &then) ? gmemDriverRefuseOtherMode(conn, then, now) : 0;
}

/* The XML that goes with a guest's memory must keep its mode. @lowered is out, as is @xml NULL in.
 */
static int
gmemSaveLower(virDomainPtr domain, const char *xml, char **lowered)
{
    g_autoptr(gmemPlan) then = NULL;
    g_autoptr(gmemPlan) now = NULL;

    *lowered = NULL;
    if (domain == NULL || xml == NULL)
        return 0;
    if (gmemDriverLower(virDomainGetConnect(domain), xml, false, lowered, &now) < 0)
        return -1;
    then = gmemDriverGetPlan(domain, 0);
    return gmemDriverRefuseOtherMode(virDomainGetConnect(domain), then, now);
}

/* Checks before a restore of @file with @now in the place of its own XML (@replaced). */
static int
gmemSaveCheckRestore(virConnectPtr conn, const char *file, bool replaced, const gmemPlan *now)
{
    g_autoptr(gmemPlan) then = NULL;

    if (!gmemConnectionIsOurs(conn) ||
        !gmemDriverGetStoredPlan(gmemSaveGetImageXML(conn, file), &then))
        return 0;
    if (replaced && gmemDriverRefuseOtherMode(conn, then, now) < 0)
        return -1;
    return gmemDriverCheckPlan(conn, replaced ? now : then);
}

GMEM_INTERPOSED int
virDomainSave(virDomainPtr domain, const char *to)
{
    if (gmemDriverRefuseConvertible(domain, _("saving")) < 0)
        return -1;
    return gmemReal()->virDomainSave(domain, to);
}

GMEM_INTERPOSED int
virDomainSaveFlags(virDomainPtr domain, const char *to, const char *dxml, unsigned int flags)
{
    g_autofree char *lowered = NULL;

    if (gmemDriverRefuseConvertible(domain, _("saving")) < 0 ||
        gmemSaveLower(domain, dxml, &lowered) < 0)
        return -1;
    return gmemReal()->virDomainSaveFlags(domain, to, lowered != NULL ? lowered : dxml, flags);
}

GMEM_INTERPOSED int
virDomainSaveParams(virDomainPtr domain,
                    virTypedParameterPtr params,
                    int nparams,
                    unsigned int flags)
{
    g_auto(gmemParams) ours = {params, nparams, NULL};
    const char *dxml = gmemParamsGet(params, nparams, VIR_DOMAIN_SAVE_PARAM_DXML);
    g_autofree char *lowered = NULL;

    if (gmemDriverRefuseConvertible(domain, _("saving")) < 0 ||
        gmemSaveLower(domain, dxml, &lowered) < 0 ||
        (domain != NULL &&
         gmemParamsLower(virDomainGetConnect(domain), &ours, VIR_DOMAIN_SAVE_PARAM_DXML, NULL) < 0))
        return -1;
    return gmemReal()->virDomainSaveParams(domain, ours.list, ours.n, flags);
}

GMEM_INTERPOSED int
virDomainManagedSave(virDomainPtr domain, unsigned int flags)
{
    if (gmemDriverRefuseConvertible(domain, _("saving")) < 0)
        return -1;
    return gmemReal()->virDomainManagedSave(domain, flags);
}

GMEM_INTERPOSED int
virDomainRestore(virConnectPtr conn, const char *from)
{
    if (gmemSaveCheckRestore(conn, from, false, NULL) < 0)
        return -1;
    return gmemReal()->virDomainRestore(conn, from);
}

GMEM_INTERPOSED int
virDomainRestoreFlags(virConnectPtr conn, const char *from, const char *dxml, unsigned int flags)
{
    g_autofree char *lowered = NULL;
    g_autoptr(gmemPlan) plan = NULL;

    if (gmemDriverLower(conn, dxml, false, &lowered, &plan) < 0 ||
        gmemSaveCheckRestore(conn, from, dxml != NULL, plan) < 0)
        return -1;
    return gmemReal()->virDomainRestoreFlags(conn, from, lowered != NULL ? lowered : dxml, flags);
}

GMEM_INTERPOSED int
virDomainRestoreParams(virConnectPtr conn,
                       virTypedParameterPtr params,
                       int nparams,
                       unsigned int flags)
{
    g_auto(gmemParams) ours = {params, nparams, NULL};
    const char *from = gmemParamsGet(params, nparams, VIR_DOMAIN_SAVE_PARAM_FILE);
    bool replaced = gmemParamsGet(params, nparams, VIR_DOMAIN_SAVE_PARAM_DXML) != NULL;
    g_autoptr(gmemPlan) plan = NULL;

    if (gmemParamsLower(conn, &ours, VIR_DOMAIN_SAVE_PARAM_DXML, &plan) < 0 ||
        gmemSaveCheckRestore(conn, from, replaced, plan) < 0)
        return -1;
    return gmemReal()->virDomainRestoreParams(conn, ours.list, ours.n, flags);
}

GMEM_INTERPOSED char *
virDomainSaveImageGetXMLDesc(virConnectPtr conn, const char *file, unsigned int flags)
{
    return gmemDriverRaise(conn, gmemReal()->virDomainSaveImageGetXMLDesc(conn, file, flags));
}

GMEM_INTERPOSED int
virDomainSaveImageDefineXML(virConnectPtr conn,
                            const char *file,
                            const char *dxml,
                            unsigned int flags)
{
    g_autofree char *lowered = NULL;
    g_autoptr(gmemPlan) now = NULL;

    if (gmemDriverLower(conn, dxml, false, &lowered, &now) < 0)
        return -1;
    if (dxml != NULL && gmemConnectionIsOurs(conn) &&
        gmemSaveCheckMode(conn, gmemSaveGetImageXML(conn, file), now) < 0)
        return -1;
    return gmemReal()->virDomainSaveImageDefineXML(conn, file, lowered != NULL ? lowered : dxml,
                                                   flags);
}

GMEM_INTERPOSED char *
virDomainManagedSaveGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
    char *xml = gmemReal()->virDomainManagedSaveGetXMLDesc(domain, flags);

    return xml != NULL ? gmemDriverRaise(virDomainGetConnect(domain), xml) : NULL;
}

GMEM_INTERPOSED int
virDomainManagedSaveDefineXML(virDomainPtr domain, const char *dxml, unsigned int flags)
{
    g_autofree char *lowered = NULL;
    g_autoptr(gmemPlan) now = NULL;

    if (domain != NULL && dxml != NULL && gmemConnectionIsOurs(virDomainGetConnect(domain))) {
        virConnectPtr conn = virDomainGetConnect(domain);

        if (gmemDriverLower(conn, dxml, false, &lowered, &now) < 0 ||
            gmemSaveCheckMode(conn, gmemReal()->virDomainManagedSaveGetXMLDesc(domain, 0), now) < 0)
            return -1;
    }
    return gmemReal()->virDomainManagedSaveDefineXML(domain, lowered != NULL ? lowered : dxml,
                                                     flags);
}
