/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdriversave.c: saving and restoring, and the XML in save images. */

#include <glib.h>
#include <stdlib.h>

#include "gmemconnection.h"
#include "gmemdriver.h"
#include "gmemfiles.h"
#include "gmemi18n.h"
#include "gmemimage.h"
#include "gmemlower.h"
#include "gmemparams.h"
#include "gmemreal.h"

/* What the guest that is saved in @image asks for. Returns 0, or -1 with an error reported if this
 * cannot be determined. */
static int
gmemDriverSaveGetImagePlan(virConnectPtr conn, const char *image, gmemPlan **plan)
{

    *plan = NULL;
    if (!gmemDriverIsSpecialFile(image))
        return gmemDriverGetStoredPlan(
            conn, gmemReal()->virDomainSaveImageGetXMLDesc(conn, image, 0), plan);
    return gmemConnectionRefuse(
        conn, VIR_ERR_OPERATION_UNSUPPORTED,
        _("save image '%1$s' is not a regular file, or is empty, so the memory of its guest cannot "
          "be compared with the XML that is to replace it"),
        image);
}

/* The XML that belongs to a guest's memory must keep its mode. */
static int
gmemDriverSaveLower(virDomainPtr domain, gmemDriverXML *xml)
{
    g_autoptr(gmemPlan) then = NULL;

    if (gmemDriverRefuseConvertible(domain, GMEM_DRIVER_SAVE) < 0)
        return -1;
    if (xml->text == NULL)
        return 0;
    if (gmemDriverLower(virDomainGetConnect(domain), xml, false) < 0 ||
        gmemDriverGetPlan(domain, 0, &then) < 0)
        return -1;
    return gmemDriverRefuseOtherMode(virDomainGetConnect(domain), then, xml->plan);
}

/* The same for XML that replaces that in the domain's managed save image. */
static int
gmemDriverSaveLowerManaged(virDomainPtr domain, gmemDriverXML *xml)
{
    virConnectPtr conn = virDomainGetConnect(domain);
    g_autoptr(gmemPlan) then = NULL;

    if (gmemDriverLower(conn, xml, false) < 0 ||
        gmemDriverGetStoredPlan(conn, gmemReal()->virDomainManagedSaveGetXMLDesc(domain, 0),
                                &then) < 0)
        return -1;
    return gmemDriverRefuseOtherMode(conn, then, xml->plan);
}

/* The mode of @image must be that of the XML that replaces its own. */
static int
gmemDriverSaveCheckReplaced(virConnectPtr conn, const char *image, const gmemPlan *now)
{
    g_autoptr(gmemPlan) then = NULL;

    if (gmemDriverSaveGetImagePlan(conn, image, &then) < 0)
        return -1;
    return gmemDriverRefuseOtherMode(conn, then, now);
}

/* The checks before a restore of @file with @xml instead of its own XML. If that is not replaced
 * (NULL), the child checks it, too; this check is for an error with its proper code. */
static int
gmemDriverSaveCheckRestore(virConnectPtr conn, const char *file, gmemDriverXML *replacement)
{
    g_autoptr(gmemPlan) then = NULL;
    char *xml;

    if (file == NULL || !gmemConnectionIsOurs(conn))
        return 0;
    if (replacement->text != NULL)
        return gmemDriverSaveCheckReplaced(conn, file, replacement->plan) < 0
                   ? -1
                   : gmemDriverCheckSaved(conn, replacement->plan);
    if (gmemDriverIsSpecialFile(file)) {
        gmemFilesNotePrivate();
        return 0;
    }
    if (gmemImageIsOrdinary(file))
        return gmemDriverCheckSaved(conn, NULL);
    xml = gmemReal()->virDomainSaveImageGetXMLDesc(conn, file, 0);
    if (xml == NULL) {
        gmemFilesNotePrivate();
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
    if (gmemDriverMayConcern() && GMEM_DOOR(virDomainSave, gmemConnectionOf(domain), 0) &&
        gmemDriverRefuseConvertible(domain, GMEM_DRIVER_SAVE) < 0)
        return -1;
    return gmemReal()->virDomainSave(domain, to);
}

GMEM_INTERPOSED int
virDomainSaveFlags(virDomainPtr domain, const char *to, const char *dxml, unsigned int flags)
{
    g_auto(gmemDriverXML) ours = {.text = dxml};

    if (GMEM_DOOR(virDomainSaveFlags, gmemConnectionOf(domain), flags) &&
        gmemDriverSaveLower(domain, &ours) < 0)
        return -1;
    return gmemReal()->virDomainSaveFlags(domain, to, ours.text, flags);
}

static int
gmemDriverSaveLowerParams(virDomainPtr domain, gmemParams *params)
{
    g_auto(gmemDriverXML) xml = {.text = gmemParamsGet(params, VIR_DOMAIN_SAVE_PARAM_DXML)};

    if (gmemDriverSaveLower(domain, &xml) < 0)
        return -1;
    gmemParamsReplace(params, VIR_DOMAIN_SAVE_PARAM_DXML, g_steal_pointer(&xml.made));
    return 0;
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
    if (gmemDriverMayConcern() &&
        GMEM_DOOR(virDomainManagedSave, gmemConnectionOf(domain), flags) &&
        (gmemDriverRefuseConvertible(domain, GMEM_DRIVER_SAVE) < 0 ||
         gmemDriverCheckManaged(domain) < 0))
        return -1;
    return gmemReal()->virDomainManagedSave(domain, flags);
}

GMEM_INTERPOSED int
virDomainRestore(virConnectPtr conn, const char *from)
{
    gmemDriverXML own = {.text = NULL};

    if (GMEM_DOOR(virDomainRestore, conn, 0) && gmemDriverSaveCheckRestore(conn, from, &own) < 0)
        return -1;
    return gmemDriverStarted(conn, gmemReal()->virDomainRestore(conn, from));
}

GMEM_INTERPOSED int
virDomainRestoreFlags(virConnectPtr conn, const char *from, const char *dxml, unsigned int flags)
{
    g_auto(gmemDriverXML) ours = {.text = dxml};

    if (GMEM_DOOR(virDomainRestoreFlags, conn, flags) &&
        (gmemDriverLower(conn, &ours, false) < 0 ||
         gmemDriverSaveCheckRestore(conn, from, &ours) < 0))
        return -1;
    return gmemDriverStarted(conn, gmemReal()->virDomainRestoreFlags(conn, from, ours.text, flags));
}

static int
gmemDriverSaveCheckRestoreParams(virConnectPtr conn, gmemParams *params)
{
    const char *from = gmemParamsGet(params, VIR_DOMAIN_SAVE_PARAM_FILE);
    g_auto(gmemDriverXML) xml = {.text = gmemParamsGet(params, VIR_DOMAIN_SAVE_PARAM_DXML)};

    if (gmemDriverLower(conn, &xml, false) < 0 || gmemDriverSaveCheckRestore(conn, from, &xml) < 0)
        return -1;
    gmemParamsReplace(params, VIR_DOMAIN_SAVE_PARAM_DXML, g_steal_pointer(&xml.made));
    return 0;
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

    if (xml == NULL || !gmemRaiseMayHavePair(xml) ||
        !GMEM_DOOR(virDomainSaveImageGetXMLDesc, conn, flags))
        return xml;
    return gmemDriverRaise(conn, xml);
}

GMEM_INTERPOSED int
virDomainSaveImageDefineXML(virConnectPtr conn,
                            const char *file,
                            const char *dxml,
                            unsigned int flags)
{
    g_auto(gmemDriverXML) ours = {.text = dxml};

    if (GMEM_DOOR(virDomainSaveImageDefineXML, conn, flags) &&
        (gmemDriverLower(conn, &ours, false) < 0 ||
         (file != NULL && dxml != NULL && gmemConnectionIsOurs(conn) &&
          gmemDriverSaveCheckReplaced(conn, file, ours.plan) < 0)))
        return -1;
    return gmemReal()->virDomainSaveImageDefineXML(conn, file, ours.text, flags);
}

GMEM_INTERPOSED char *
virDomainManagedSaveGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
    char *xml = gmemReal()->virDomainManagedSaveGetXMLDesc(domain, flags);

    if (xml == NULL || !gmemRaiseMayHavePair(xml) ||
        !GMEM_DOOR(virDomainManagedSaveGetXMLDesc, virDomainGetConnect(domain), flags))
        return xml;
    return gmemDriverRaise(virDomainGetConnect(domain), xml);
}

GMEM_INTERPOSED int
virDomainManagedSaveDefineXML(virDomainPtr domain, const char *dxml, unsigned int flags)
{
    virConnectPtr conn = gmemConnectionOf(domain);
    g_auto(gmemDriverXML) ours = {.text = dxml};

    if (GMEM_DOOR(virDomainManagedSaveDefineXML, conn, flags) && dxml != NULL &&
        gmemConnectionIsOurs(conn) && gmemDriverSaveLowerManaged(domain, &ours) < 0)
        return -1;
    return gmemReal()->virDomainManagedSaveDefineXML(domain, ours.text, flags);
}
