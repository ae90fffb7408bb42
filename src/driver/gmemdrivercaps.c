/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdrivercaps.c: in front of libvirt's domain capabilities. */

#include <glib.h>
#include <stdlib.h>

#include "gmemconnection.h"
#include "gmemdomcaps.h"
#include "gmemreal.h"
#include "gmemstart.h"

GMEM_INTERPOSED char *
virConnectGetDomainCapabilities(virConnectPtr conn,
                                const char *emulatorbin,
                                const char *arch,
                                const char *machine,
                                const char *virttype,
                                unsigned int flags)
{
    char *xml = gmemReal()->virConnectGetDomainCapabilities(conn, emulatorbin, arch, machine,
                                                            virttype, flags);
    char *raised;

    if (xml == NULL || !GMEM_DOOR(virConnectGetDomainCapabilities, conn, flags) ||
        !gmemConnectionIsOurs(conn))
        return xml;
    raised = gmemDomCapsRaise(xml, gmemStartGetModes);
    free(xml);
    return raised;
}
