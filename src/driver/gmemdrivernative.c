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
    g_autoptr(gmemQEMUCaps) caps = NULL;
    g_autoptr(gmemNative) words = NULL;
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
    gmemNativeDropPreload(native);
    if (ours.plan == NULL)
        return native;
    if (gmemNativeRead(native, &words, &error) < 0 ||
        (words != NULL && gmemStartGetCaps(conn, ours.plan, &caps, &error) < 0)) {
        free(native);
        gmemConnectionReport(conn, error);
        return NULL;
    }
    if (caps == NULL)
        return native;
    built = gmemNativeBuild(words, caps, gmemProcessShimPath(), &error);
    free(native);
    if (built == NULL)
        gmemConnectionReport(conn, error);
    return built;
}
