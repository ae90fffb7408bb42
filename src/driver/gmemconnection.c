/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemconnection.c: the door: which driver serves a connection, which calls are allowed on it, and
 * how errors are reported to its client. */

#include "gmemconnection.h"

#include <libxml/uri.h>
#include <libxml/xmlmemory.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "gmemcapscache.h"
#include "gmemerror.h"
#include "gmemexpect.h"
#include "gmemlog.h"
#include "gmempreload.h"
#include "gmemprocess.h"
#include "gmemqemuconf.h"
#include "gmemreal.h"
#include "gmemrefusal.h"

/* What is known of a connection. */
enum {
    GMEM_CONNECTION_READ_ONLY = 1 << 0,
    GMEM_CONNECTION_EXAMINED = 1 << 1, /* its URI has been looked at */
    GMEM_CONNECTION_OURS = 1 << 2,     /* what that said */
};

/* All connections, by address. An address that is used again has passed one of the functions below
 * before anybody else can know it, so it is never mistaken for the previous connection. For the
 * same reason, nothing has to be removed when a connection is closed. */
static GMutex gmemConnectionLock;
static GHashTable *gmemConnections;

static virConnectPtr
gmemConnectionOpened(virConnectPtr conn, bool readOnly)
{
    if (conn == NULL)
        return NULL;
    g_mutex_lock(&gmemConnectionLock);
    if (gmemConnections == NULL)
        gmemConnections = g_hash_table_new(NULL, NULL);
    g_hash_table_insert(gmemConnections, conn,
                        GUINT_TO_POINTER(readOnly ? GMEM_CONNECTION_READ_ONLY : 0));
    g_mutex_unlock(&gmemConnectionLock);
    return conn;
}

/* Returns what is known of @conn, and adds @more to it. Returns 0 if @conn has not passed any of
 * the functions below; then nothing is recorded. */
static unsigned int
gmemConnectionKnow(virConnectPtr conn, unsigned int more)
{
    gpointer known = NULL;

    g_mutex_lock(&gmemConnectionLock);
    if (gmemConnections != NULL &&
        g_hash_table_lookup_extended(gmemConnections, conn, NULL, &known) && more != 0) {
        known = GUINT_TO_POINTER(GPOINTER_TO_UINT(known) | more);
        g_hash_table_insert(gmemConnections, conn, known);
    }
    g_mutex_unlock(&gmemConnectionLock);
    return GPOINTER_TO_UINT(known);
}

bool
gmemConnectionIsReadOnly(virConnectPtr conn)
{
    return (gmemConnectionKnow(conn, 0) & GMEM_CONNECTION_READ_ONLY) != 0;
}

void
gmemConnectionBegin(bool writes)
{
    gmemProcessSetStartsOrdinary(false);
    gmemExpectNothing();
    if (writes)
        gmemRefusalForget();
}

bool
gmemConnectionMayCall(virConnectPtr conn, int need, unsigned int flags)
{
    bool writes = need == GMEM_WRITER || ((unsigned int)need & flags) != 0;

    gmemConnectionBegin(writes);
    return conn != NULL && !(writes && gmemConnectionIsReadOnly(conn));
}

GMEM_INTERPOSED virConnectPtr
virConnectOpen(const char *name)
{
    return gmemConnectionOpened(gmemReal()->virConnectOpen(name), false);
}

GMEM_INTERPOSED virConnectPtr
virConnectOpenReadOnly(const char *name)
{
    return gmemConnectionOpened(gmemReal()->virConnectOpenReadOnly(name), true);
}

GMEM_INTERPOSED virConnectPtr
virConnectOpenAuth(const char *name, virConnectAuthPtr auth, unsigned int flags)
{
    return gmemConnectionOpened(gmemReal()->virConnectOpenAuth(name, auth, flags),
                                (flags & VIR_CONNECT_RO) != 0);
}

/* The result is to be freed with g_free(). */
static char *
gmemConnectionUnescape(const char *text, size_t length)
{
    g_autofree char *part = g_strndup(text, length);
    char *plain = xmlURIUnescapeString(part, 0, NULL);
    char *copy = g_strdup(plain);

    xmlFree(plain);
    return copy;
}

/* The directory of the embedded driver that @uri names, to be freed with g_free(), or NULL. As in
 * libvirt, the first one counts, names are case-insensitive and can be escaped, and ';' separates
 * them only where no '&' follows. */
static char *
gmemConnectionParseRoot(xmlURI *uri)
{
    const char *param = uri->query_raw != NULL ? uri->query_raw : "";

    while (*param != '\0') {
        size_t length = strcspn(param, strchr(param, '&') != NULL ? "&" : ";");
        const char *end = param + length;
        const char *value = memchr(param, '=', length);

        if (value != NULL) {
            g_autofree char *name = gmemConnectionUnescape(param, (size_t)(value - param));

            value++;
            if (name != NULL && g_ascii_strcasecmp(name, "root") == 0)
                return gmemConnectionUnescape(value, (size_t)(end - value));
        }
        param = *end != '\0' ? end + 1 : end;
    }
    return NULL;
}

static void
gmemConnectionInitEmbedded(xmlURI *uri)
{
    g_autofree char *root = gmemConnectionParseRoot(uri);
    g_autofree char *directory = NULL;
    g_autofree char *config = NULL;

    if (root == NULL)
        return;
    directory = g_build_filename(root, "cache", "gmem", NULL);
    config = g_build_filename(root, "etc", "qemu.conf", NULL);
    gmemCapsCacheInit(directory, config);
}

/* Whether libvirt serves @uri with a QEMU driver inside this process. Such a URI has neither a
 * transport ("qemu+ssh") nor a server; the parameter "socket" only leads to another process with
 * the transport "unix". */
static bool
gmemConnectionIsLocal(xmlURI *uri)
{
    if (g_strcmp0(uri->scheme, "qemu") != 0 || uri->server != NULL)
        return false;
    if (g_strcmp0(uri->path, "/embed") != 0)
        return gmemProcessIsDaemon();
    gmemConnectionInitEmbedded(uri);
    return true;
}

bool
gmemConnectionIsOurs(virConnectPtr conn)
{
    unsigned int known = conn != NULL ? gmemConnectionKnow(conn, 0) : 0;
    char *text;
    xmlURI *uri;
    bool ours;

    if (conn == NULL || (known & GMEM_CONNECTION_EXAMINED) != 0)
        return (known & GMEM_CONNECTION_OURS) != 0;
    text = virConnectGetURI(conn);
    uri = text != NULL ? xmlParseURI(text) : NULL;
    /* libvirt could parse it, so there is not enough memory. Taking a foreign call for ours does
     * not lose anything, but the opposite would lose what a domain asks for. */
    ours = uri == NULL || gmemConnectionIsLocal(uri);
    if (uri != NULL)
        gmemConnectionKnow(conn, GMEM_CONNECTION_EXAMINED | (ours ? GMEM_CONNECTION_OURS : 0));
    xmlFreeURI(uri);
    free(text);
    return ours;
}

char *
gmemConnectionGetRoot(virConnectPtr conn)
{
    /* A daemon's own driver has no root directory, and asking for its URI costs more than most
     * answers. */
    char *text = gmemProcessIsDaemon() ? NULL : virConnectGetURI(conn);
    xmlURI *uri = text != NULL ? xmlParseURI(text) : NULL;
    char *root = NULL;

    if (uri != NULL && g_strcmp0(uri->path, "/embed") == 0)
        root = gmemConnectionParseRoot(uri);
    xmlFreeURI(uri);
    free(text);
    return root;
}

static void
gmemConnectionSetError(virConnectPtr conn, const GError *error)
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
        gmemLog("error: %s", message);
    if (gmemReal()->virSetError != NULL) {
        gmemReal()->virSetError(&report);
        if (gmemReal()->virDispatchError != NULL)
            gmemReal()->virDispatchError(conn);
    }
}

int
gmemConnectionReport(virConnectPtr conn, GError *error)
{
    if (error != NULL)
        gmemConnectionSetError(conn, error);
    g_clear_error(&error);
    return -1;
}

int
gmemConnectionRefuse(virConnectPtr conn, int code, const char *format, ...)
{
    GError *error;
    va_list args;

    va_start(args, format);
    error = g_error_new_valist(GMEM_ERROR, code, format, args);
    va_end(args);
    return gmemConnectionReport(conn, error);
}

virErrorPtr
gmemConnectionKeepError(void)
{
    return virGetLastErrorCode() != VIR_ERR_OK ? virSaveLastError() : NULL;
}

void
gmemConnectionGiveError(virErrorPtr error)
{
    if (error == NULL)
        return;
    if (gmemReal()->virSetError != NULL)
        gmemReal()->virSetError(error);
    virFreeError(error);
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
    g_autofree char *rest = value != NULL ? gmemPreloadWithout(value) : NULL;
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

/* The daemon autostarts domains before any client calls, so this cannot wait for a connection. */
__attribute__((constructor)) static void
gmemConnectionInitDaemon(void)
{
    g_autofree char *directory = NULL;
    g_autofree char *config = NULL;

    if (!gmemProcessIsDaemon())
        return;
    if (geteuid() == 0) {
        gmemCapsCacheInit(GMEM_LIBVIRT_CACHEDIR "/gmem", GMEM_QEMU_CONF_FILE);
        return;
    }
    directory = g_build_filename(g_get_user_cache_dir(), "libvirt", "gmem", NULL);
    config = g_build_filename(g_get_user_config_dir(), "libvirt", "qemu.conf", NULL);
    gmemCapsCacheInit(directory, config);
}
