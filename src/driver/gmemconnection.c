/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemconnection.c: whose connection is this, and how do errors get to its client? */

#include "gmemconnection.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "gmemcapscache.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemprocess.h"
#include "gmemreal.h"

/* The URI as libvirt keeps it. A driver inside this process has neither a transport ("qemu+ssh")
 * nor a host: with either of them libvirt would have used its remote driver. */
static GUri *
gmemConnectionGetLocalURI(virConnectPtr conn)
{
    char *text = virConnectGetURI(conn);
    g_autoptr(GUri) uri = NULL;

    if (text == NULL)
        return NULL;
    uri = g_uri_parse(text, G_URI_FLAGS_ENCODED_QUERY | G_URI_FLAGS_PARSE_RELAXED, NULL);
    free(text);
    if (uri == NULL || strcmp(g_uri_get_scheme(uri), "qemu") != 0)
        return NULL;
    if (g_uri_get_host(uri) != NULL && g_uri_get_host(uri)[0] != '\0')
        return NULL;
    return g_steal_pointer(&uri);
}

static void
gmemConnectionInitEmbedded(GUri *uri)
{
    g_autoptr(GHashTable) params = NULL;
    g_autofree char *directory = NULL;
    g_autofree char *config = NULL;
    const char *root;

    if (g_uri_get_query(uri) == NULL)
        return;
    params = g_uri_parse_params(g_uri_get_query(uri), -1, "&;", G_URI_PARAMS_NONE, NULL);
    root = params != NULL ? g_hash_table_lookup(params, "root") : NULL;
    if (root == NULL)
        return;
    directory = g_build_filename(root, "cache", "gmem", NULL);
    config = g_build_filename(root, "etc", "qemu.conf", NULL);
    gmemCapsCacheInit(directory, config);
}

bool
gmemConnectionIsOurs(virConnectPtr conn)
{
    g_autoptr(GUri) uri = NULL;
    const char *type;
    bool embedded;

    if (conn == NULL)
        return false;
    uri = gmemConnectionGetLocalURI(conn);
    if (uri == NULL)
        return false;
    embedded = strcmp(g_uri_get_path(uri), "/embed") == 0;
    if (!embedded && !gmemProcessIsDaemon())
        return false;
    /* NULL is a client that may not even ask for the type: a refusal of that must not turn into
     * private memory silently dropped, so the URI decides. */
    type = virConnectGetType(conn);
    if (type != NULL && strcmp(type, "QEMU") != 0)
        return false;
    if (embedded)
        gmemConnectionInitEmbedded(uri);
    virResetLastError();
    return true;
}

void
gmemConnectionReport(virConnectPtr conn, GError *error)
{
    g_autofree char *message = gmemErrorFormat(error);
    virError report = {
        .code = error->domain == GMEM_ERROR ? error->code : VIR_ERR_INTERNAL_ERROR,
        .domain = VIR_FROM_QEMU,
        .message = message,
        .level = VIR_ERR_ERROR,
        .str1 = message,
        .int1 = -1,
        .int2 = -1,
    };

    if (gmemProcessIsDaemon() || gmemReal()->virSetError == NULL)
        gmemProcessWarn(_("error: %s"), message);
    if (gmemReal()->virSetError != NULL) {
        gmemReal()->virSetError(&report);
        if (gmemReal()->virDispatchError != NULL)
            gmemReal()->virDispatchError(conn);
    }
    g_error_free(error);
}

static void
gmemConnectionReplace(char **text, const char *from, const char *to)
{
    g_auto(GStrv) parts = NULL;

    if (*text == NULL || strstr(*text, from) == NULL)
        return;
    parts = g_strsplit(*text, from, -1);
    free(*text);
    *text = g_strjoinv(to, parts);
}

void
gmemConnectionCleanError(void)
{
    const char *value = getenv("LD_PRELOAD");
    g_autofree char *rest = value != NULL ? gmemProcessPreloadWithout(value) : NULL;
    g_autofree char *from = NULL;
    g_autofree char *to = NULL;
    virErrorPtr error;

    if (rest == NULL || gmemReal()->virSetError == NULL)
        return;
    error = virSaveLastError();
    if (error == NULL)
        return;
    from = g_strdup_printf("LD_PRELOAD=%s ", value);
    to = rest[0] != '\0' ? g_strdup_printf("LD_PRELOAD=%s ", rest) : g_strdup("");
    gmemConnectionReplace(&error->message, from, to);
    gmemConnectionReplace(&error->str1, from, to);
    gmemConnectionReplace(&error->str2, from, to);
    gmemReal()->virSetError(error);
    virFreeError(error);
}

/* The daemon autostarts domains before any client calls, so it cannot wait for a connection. */
__attribute__((constructor)) static void
gmemConnectionInitDaemon(void)
{
    g_autofree char *directory = NULL;
    g_autofree char *config = NULL;

    if (!gmemProcessIsDaemon())
        return;
    if (geteuid() == 0) {
        gmemCapsCacheInit(GMEM_LIBVIRT_CACHEDIR "/gmem", GMEM_LIBVIRT_SYSCONFDIR "/qemu.conf");
        return;
    }
    directory = g_build_filename(g_get_user_cache_dir(), "libvirt", "gmem", NULL);
    config = g_build_filename(g_get_user_config_dir(), "libvirt", "qemu.conf", NULL);
    gmemCapsCacheInit(directory, config);
}
