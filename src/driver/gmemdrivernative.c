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
    g_autofree char *lowered = NULL;
    g_autofree char *clean = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(gmemQEMUCaps) caps = NULL;
    GError *error = NULL;
    char *native, *built;

    if (!GMEM_DOOR(virConnectDomainXMLToNative, conn, flags))
        return gmemReal()->virConnectDomainXMLToNative(conn, format, xml, flags);
    if (gmemDriverLower(conn, xml, false, &lowered, &plan) < 0)
        return NULL;
    native = gmemReal()->virConnectDomainXMLToNative(conn, format, lowered != NULL ? lowered : xml,
                                                     flags);
    if (native == NULL)
        gmemConnectionCleanError();
    if (native == NULL || !gmemConnectionIsOurs(conn))
        return native;
    clean = gmemNativeWithoutPreload(native);
    if (clean != NULL) {
        free(native);
        native = g_steal_pointer(&clean);
    }
    if (plan == NULL || !gmemNativeHasPair(native))
        return native;
    if (gmemStartGetCaps(conn, plan, &caps, &error) < 0) {
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
