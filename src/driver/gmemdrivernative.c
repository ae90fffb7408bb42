/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdrivernative.c: the function that shows the command line of a domain. */

#include <glib.h>
#include <stdlib.h>

#include "gmemconnection.h"
#include "gmemdriver.h"
#include "gmemnative.h"
#include "gmemprocess.h"
#include "gmemreal.h"
#include "gmemstart.h"

GMEM_INTERPOSED char *
virConnectDomainXMLToNative(virConnectPtr conn,
                            const char *format,
                            const char *xml,
                            unsigned int flags)
{
    g_auto(gmemDriverXML) ours = {.text = xml};
    g_autofree char *clean = NULL;
    g_autoptr(gmemQEMUCaps) caps = NULL;
    GError *error = NULL;
    char *native, *built;

    if (!GMEM_DOOR(virConnectDomainXMLToNative, conn, flags))
        return gmemReal()->virConnectDomainXMLToNative(conn, format, xml, flags);
    if (gmemDriverLower(conn, &ours, false) < 0)
        return NULL;
    native = gmemReal()->virConnectDomainXMLToNative(conn, format, ours.text, flags);
    if (native == NULL)
        gmemConnectionCleanError();
    if (native == NULL || !gmemConnectionIsOurs(conn))
        return native;
    clean = gmemNativeWithoutPreload(native);
    if (clean != NULL) {
        free(native);
        native = g_steal_pointer(&clean);
    }
    if (ours.plan == NULL || !gmemNativeHasPair(native))
        return native;
    if (gmemStartGetCaps(conn, ours.plan, &caps, &error) < 0) {
        free(native);
        gmemConnectionReport(conn, error);
        return NULL;
    }
    if (caps == NULL)
        return native;
    built = gmemNativeBuild(native, caps, gmemProcessShimPath(), &error);
    free(native);
    if (built == NULL)
        gmemConnectionReport(conn, error);
    return built;
}
