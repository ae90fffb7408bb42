/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdriversnapshot.c: snapshots and checkpoints, which contain domains. */

#include <glib.h>
#include <stdlib.h>
#include <unistd.h>

#include "gmemconnection.h"
#include "gmemdriver.h"
#include "gmemi18n.h"
#include "gmemimage.h"
#include "gmemlower.h"
#include "gmemreal.h"
#include "gmemxml.h"

/* The file with the memory of an external snapshot, or NULL if @snapshot does not have one. Of
 * several <memory> elements, libvirt uses the first that names a file. */
static char *
gmemDriverSnapshotMemoryFile(const gmemXML *snapshot)
{
    g_autofree gmemXMLNode **nodes = gmemXMLFind(gmemXMLRoot(snapshot), "memory");
    char *file = NULL;
    size_t i;

    for (i = 0; file == NULL && nodes[i] != NULL; i++)
        file = gmemXMLAttribute(nodes[i], "file");
    return file;
}

/* Such a file is a save image, with XML of its own. libvirt does not open it when a snapshot is
 * redefined, so a problem with it only matters for a domain with private memory. */
static int
gmemDriverSnapshotCheckMemoryFile(virDomainPtr domain, const gmemXML *snapshot, const gmemPlan *now)
{
    virConnectPtr conn = virDomainGetConnect(domain);
    g_autofree char *file = gmemDriverSnapshotMemoryFile(snapshot);
    g_autoptr(gmemPlan) defined = NULL;
    g_autoptr(gmemPlan) then = NULL;

    if (file == NULL)
        return 0;
    if (now == NULL && gmemDriverGetPlan(domain, VIR_DOMAIN_XML_INACTIVE, &defined) < 0)
        return -1;
    if ((now == NULL && defined == NULL && !gmemImageIsPrivate(file)) || access(file, F_OK) < 0)
        return 0;
    if (gmemDriverIsSpecialFile(file))
        return gmemConnectionRefuse(
            conn, VIR_ERR_CONFIG_UNSUPPORTED,
            _("the file '%1$s' with the memory of a snapshot is not a regular file, or is empty: "
              "cannot determine whether the guest in it has private memory"),
            file);
    if (gmemDriverGetStoredPlan(conn, gmemReal()->virDomainSaveImageGetXMLDesc(conn, file, 0),
                                &then) < 0)
        return -1;
    return gmemDriverRefuseOtherMode(conn, then, now);
}

static int
gmemDriverSnapshotCheckFormer(virDomainPtr domain, const char *name, const gmemPlan *now)
{
    virConnectPtr conn = virDomainGetConnect(domain);
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(domain, name, 0);
    g_autoptr(gmemPlan) then = NULL;
    virErrorPtr error;
    int rc;

    if (snapshot == NULL) {
        if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_SNAPSHOT)
            return -1;
        virResetLastError();
        return 0;
    }
    rc = gmemDriverGetStoredPlan(conn, gmemReal()->virDomainSnapshotGetXMLDesc(snapshot, 0), &then);
    error = gmemConnectionKeepError();
    virDomainSnapshotFree(snapshot);
    gmemConnectionGiveError(error);
    return rc < 0 ? -1 : gmemDriverRefuseOtherMode(conn, then, now);
}

/* An existing snapshot has, or may have, the memory of a guest: its replacement must have the same
 * mode. If @xml has no domain, libvirt keeps the existing one. */
static int
gmemDriverSnapshotCheckRedefine(virDomainPtr domain, gmemDriverXML *xml)
{
    GError *error = NULL;
    int rc = gmemDriverXMLRead(xml, &error);
    gmemXMLNode *name;
    g_autofree char *text = NULL;

    if (rc < 0)
        return gmemConnectionReport(virDomainGetConnect(domain), error);
    if (rc == 0)
        return 0;
    name = gmemXMLFindFirst(gmemXMLRoot(xml->doc), "name");
    if (name == NULL || gmemXMLFindFirst(gmemXMLRoot(xml->doc), "domain") == NULL)
        return 0;
    /* White space is part of the name. */
    text = gmemXMLString(name);
    if (gmemDriverSnapshotCheckFormer(domain, text, xml->plan) < 0)
        return -1;
    return gmemDriverSnapshotCheckMemoryFile(domain, xml->doc, xml->plan);
}

GMEM_INTERPOSED virDomainSnapshotPtr
virDomainSnapshotCreateXML(virDomainPtr domain, const char *xml, unsigned int flags)
{
    virConnectPtr conn = gmemConnectionOf(domain);
    bool redefine = (flags & VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE) != 0;
    g_auto(gmemDriverXML) ours = {.text = xml};

    if (GMEM_DOOR(virDomainSnapshotCreateXML, conn, flags) && xml != NULL &&
        gmemConnectionIsOurs(conn)) {
        if (gmemDriverLower(conn, &ours, (flags & VIR_DOMAIN_SNAPSHOT_CREATE_VALIDATE) != 0) < 0 ||
            (redefine && gmemDriverSnapshotCheckRedefine(domain, &ours) < 0))
            return NULL;
        if (!redefine && (flags & VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY) == 0 &&
            virDomainIsActive(domain) != 0 &&
            gmemDriverRefuseConvertible(domain, GMEM_DRIVER_SNAPSHOT) < 0)
            return NULL;
    }
    return gmemReal()->virDomainSnapshotCreateXML(domain, ours.text, flags);
}

GMEM_INTERPOSED char *
virDomainSnapshotGetXMLDesc(virDomainSnapshotPtr snapshot, unsigned int flags)
{
    char *xml = gmemReal()->virDomainSnapshotGetXMLDesc(snapshot, flags);

    if (xml == NULL || !gmemRaiseMayHavePair(xml) ||
        !GMEM_DOOR(virDomainSnapshotGetXMLDesc, virDomainSnapshotGetConnect(snapshot), flags))
        return xml;
    return gmemDriverRaise(virDomainSnapshotGetConnect(snapshot), xml);
}

#define GMEM_SNAPSHOT_STARTS                                                                       \
    (VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING | VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED)

/* Whether @snapshot has the memory of a guest, which continues after a revert. */
static bool
gmemDriverSnapshotHasMemory(const gmemXML *snapshot)
{
    static const char *const off[] = {"shutdown", "shutoff", "crashed", "disk-snapshot"};
    gmemXMLNode *node = gmemXMLFindFirst(gmemXMLRoot(snapshot), "state");
    g_autofree char *state = node != NULL ? gmemXMLContent(node) : NULL;
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(off); i++) {
        if (g_strcmp0(state, off[i]) == 0)
            return false;
    }
    return true;
}

static int
gmemDriverSnapshotCheckRevert(virDomainSnapshotPtr snapshot, unsigned int flags)
{
    virConnectPtr conn = virDomainSnapshotGetConnect(snapshot);
    virDomainPtr domain = virDomainSnapshotGetDomain(snapshot);
    g_autoptr(gmemPlan) then = NULL;
    g_autoptr(gmemPlan) now = NULL;
    g_autoptr(gmemXML) doc = NULL;
    bool memory;
    int active;

    if (gmemDriverReadStored(conn, gmemReal()->virDomainSnapshotGetXMLDesc(snapshot, 0), &doc,
                             &then) < 0 ||
        gmemDriverCheckRedefined(domain, then) < 0)
        return -1;
    memory = gmemDriverSnapshotHasMemory(doc);
    if (memory && gmemDriverSnapshotCheckMemoryFile(domain, doc, then) < 0)
        return -1;
    /* A running guest is stopped in this case, and does not continue in another mode. */
    if (!memory)
        return (flags & GMEM_SNAPSHOT_STARTS) != 0 ? gmemDriverCheckPlan(conn, then) : 0;
    /* libvirt reverts a running guest in place if its check of ABI stability passes, and this check
     * does not see the mode. */
    active = virDomainIsActive(domain);
    if (active < 0)
        return -1;
    if (active == 1) {
        if (gmemDriverGetPlan(domain, 0, &now) < 0)
            return -1;
        return gmemDriverRefuseOtherMode(conn, now, then);
    }
    return gmemDriverCheckSaved(conn, then);
}

GMEM_INTERPOSED int
virDomainRevertToSnapshot(virDomainSnapshotPtr snapshot, unsigned int flags)
{
    virConnectPtr conn = snapshot != NULL ? virDomainSnapshotGetConnect(snapshot) : NULL;

    if (GMEM_DOOR(virDomainRevertToSnapshot, conn, flags) && gmemConnectionIsOurs(conn) &&
        gmemDriverSnapshotCheckRevert(snapshot, flags) < 0)
        return -1;
    return gmemDriverStarted(conn, gmemReal()->virDomainRevertToSnapshot(snapshot, flags));
}

GMEM_INTERPOSED virDomainCheckpointPtr
virDomainCheckpointCreateXML(virDomainPtr domain, const char *xml, unsigned int flags)
{
    g_auto(gmemDriverXML) ours = {.text = xml};

    if (GMEM_DOOR(virDomainCheckpointCreateXML, gmemConnectionOf(domain), flags) &&
        gmemDriverLower(gmemConnectionOf(domain), &ours, false) < 0)
        return NULL;
    return gmemReal()->virDomainCheckpointCreateXML(domain, ours.text, flags);
}

GMEM_INTERPOSED char *
virDomainCheckpointGetXMLDesc(virDomainCheckpointPtr checkpoint, unsigned int flags)
{
    char *xml = gmemReal()->virDomainCheckpointGetXMLDesc(checkpoint, flags);

    if (xml == NULL || !gmemRaiseMayHavePair(xml) ||
        !GMEM_DOOR(virDomainCheckpointGetXMLDesc, virDomainCheckpointGetConnect(checkpoint), flags))
        return xml;
    return gmemDriverRaise(virDomainCheckpointGetConnect(checkpoint), xml);
}
