/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcarrier.c: the value of the carrier pair, between text and structure.
 *
 * The text comes back from places that others can write to (a client's XML, a saved image, another
 * host), so parsing accepts exactly what formatting writes and nothing that is merely similar. Runs
 * between fork and exec, too: malloc only, none of glib's containers. */

#include "gmemcarrier.h"

#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemjson.h"

/* No word of a command line can be longer (Linux: MAX_ARG_STRLEN). */
#define GMEM_CARRIER_LENGTH_MAX (128 * 1024)

gmemCarrier *
gmemCarrierNew(void)
{
    return g_new0(gmemCarrier, 1);
}

void
gmemCarrierFree(gmemCarrier *carrier)
{
    size_t i;

    if (carrier == NULL)
        return;
    for (i = 0; i < carrier->nchanges; i++) {
        g_free(carrier->changes[i].path);
        g_free(carrier->changes[i].value);
        g_free(carrier->changes[i].former);
    }
    g_free(carrier->changes);
    g_free(carrier);
}

void
gmemCarrierAddChange(gmemCarrier *carrier, const char *path, const char *value, const char *former)
{
    gmemCarrierChange *change;

    /* The array is full at every power of two, and is doubled then. */
    if ((carrier->nchanges & (carrier->nchanges - 1)) == 0)
        carrier->changes = g_renew(gmemCarrierChange, carrier->changes,
                                   carrier->nchanges > 0 ? 2 * carrier->nchanges : 1);
    change = &carrier->changes[carrier->nchanges++];
    change->path = g_strdup(path);
    change->value = g_strdup(value);
    change->former = g_strdup(former);
}

static void
gmemCarrierFormatMember(gmemJSONGen *gen, const char *name, const char *value)
{
    if (value == NULL)
        return;
    gmemJSONGenString(gen, name);
    gmemJSONGenString(gen, value);
}

/* The oldest version that can express what the carrier contains, so that older releases can read
 * it. */
static int
gmemCarrierVersion(const gmemCarrier *carrier)
{
    size_t i;

    for (i = 0; i < carrier->nchanges; i++) {
        const char *bracket = strchr(carrier->changes[i].path, '[');

        if (bracket != NULL && !g_ascii_isdigit(bracket[1]))
            return GMEM_CARRIER_VERSION;
    }
    return GMEM_CARRIER_VERSION_OLDEST;
}

char *
gmemCarrierFormat(const gmemCarrier *carrier)
{
    g_autoptr(gmemJSONGen) gen = gmemJSONGenNew();
    size_t i;

    gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
    gmemJSONGenString(gen, "version");
    gmemJSONGenNumber(gen, (guint64)gmemCarrierVersion(carrier));
    gmemCarrierFormatMember(gen, "mode", gmemModeToString(carrier->mode));
    gmemCarrierFormatMember(gen, GMEM_MODE_LAUNCH,
                            carrier->mode == GMEM_MODE_CONVERTIBLE ? GMEM_MODE_LAUNCH_TYPE : NULL);
    gmemJSONGenString(gen, "added");
    gmemJSONGenBegin(gen, GMEM_JSON_ARRAY);
    for (i = 0; i < carrier->nchanges; i++) {
        gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
        gmemCarrierFormatMember(gen, "path", carrier->changes[i].path);
        gmemCarrierFormatMember(gen, "value", carrier->changes[i].value);
        gmemCarrierFormatMember(gen, "former", carrier->changes[i].former);
        gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
    }
    gmemJSONGenEnd(gen, GMEM_JSON_ARRAY);
    gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
    return gmemJSONGenFinish(gen);
}

static int
gmemCarrierParseVersion(gmemJSON *json, GError **error)
{
    unsigned long long version = 0;

    if (!gmemJSONGetSize(json, "version", &version))
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("the value of '%1$s' has no version"),
                            GMEM_CARRIER_OPTION);
    if (version < GMEM_CARRIER_VERSION_OLDEST || version > GMEM_CARRIER_VERSION)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            _("the value of '%1$s' has version %2$llu, and this libvirt-gmem knows "
                              "versions up to %3$d only"),
                            GMEM_CARRIER_OPTION, version, GMEM_CARRIER_VERSION);
    return 0;
}

static int
gmemCarrierParseMode(gmemCarrier *carrier, gmemJSON *json, GError **error)
{
    const char *mode = gmemJSONGetString(json, "mode");

    if (mode == NULL)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("the value of '%1$s' has no mode"),
                            GMEM_CARRIER_OPTION);
    carrier->mode = gmemModeFromString(mode);
    if (strcmp(mode, gmemModeToString(carrier->mode)) != 0)
        return gmemErrorSet(
            error, VIR_ERR_XML_ERROR,
            _("the value of '%1$s' has mode '%2$s', which libvirt-gmem does not know"),
            GMEM_CARRIER_OPTION, mode);
    return 0;
}

static int
gmemCarrierParseChange(gmemCarrier *carrier, gmemJSON *json, GError **error)
{
    const char *path = gmemJSONGetString(json, "path");
    const char *value = gmemJSONGetString(json, "value");

    if (path == NULL || value == NULL)
        return gmemErrorSet(
            error, VIR_ERR_XML_ERROR,
            _("the value of '%1$s' is damaged: a change requires a path and a value"),
            GMEM_CARRIER_OPTION);
    gmemCarrierAddChange(carrier, path, value, gmemJSONGetString(json, "former"));
    return 0;
}

static int
gmemCarrierParseChanges(gmemCarrier *carrier, gmemJSON *json, GError **error)
{
    gmemJSON *added = gmemJSONGet(json, "added");
    size_t i;

    if (!gmemJSONIs(added, GMEM_JSON_ARRAY))
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("the value of '%1$s' has no list 'added'"),
                            GMEM_CARRIER_OPTION);
    for (i = 0; i < gmemJSONCount(added); i++) {
        if (gmemCarrierParseChange(carrier, gmemJSONItem(added, i), error) < 0)
            return -1;
    }
    return 0;
}

/* Unknown and duplicate keys, escapes and spaces are not checked anywhere else: they are missing
 * when the carrier is formatted again. */
static int
gmemCarrierCheckText(const gmemCarrier *carrier, const char *text, GError **error)
{
    g_autofree char *again = gmemCarrierFormat(carrier);

    if (strcmp(again, text) == 0)
        return 0;
    return gmemErrorSet(
        error, VIR_ERR_XML_ERROR,
        _("the value of '%1$s' is damaged: it differs from what libvirt-gmem writes"),
        GMEM_CARRIER_OPTION);
}

int
gmemCarrierCheckLength(const char *text, GError **error)
{
    if (strlen(text) <= GMEM_CARRIER_LENGTH_MAX)
        return 0;
    return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                        _("the value of '%1$s' is longer than %2$d bytes"), GMEM_CARRIER_OPTION,
                        GMEM_CARRIER_LENGTH_MAX);
}

gmemCarrier *
gmemCarrierParse(const char *text, GError **error)
{
    g_autoptr(gmemCarrier) carrier = gmemCarrierNew();
    g_autoptr(gmemJSON) json = NULL;
    g_autofree char *reason = NULL;

    if (gmemCarrierCheckLength(text, error) < 0)
        return NULL;
    json = gmemJSONParse(text, &reason);
    if (json == NULL) {
        gmemErrorSet(error, VIR_ERR_XML_ERROR, _("the value of '%1$s' is damaged: %2$s"),
                     GMEM_CARRIER_OPTION, reason);
        return NULL;
    }
    /* The version comes first, because a newer version can have other keys. */
    if (gmemCarrierParseVersion(json, error) < 0 ||
        gmemCarrierParseMode(carrier, json, error) < 0 ||
        gmemCarrierParseChanges(carrier, json, error) < 0 ||
        gmemCarrierCheckText(carrier, text, error) < 0)
        return NULL;
    return g_steal_pointer(&carrier);
}
