/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcapabilities.c: what a QEMU binary offers for guest_memfd, as flags that are determined by
 * asking it: which properties the objects have that object-add creates (gmemqmpschema.h). */

#include "gmemcapabilities.h"

#include <assert.h>
#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemjson.h"
#include "gmemqemunames.h"
#include "gmemqmpschema.h"

static const char *const gmemQEMUCapsFlagNames[] = {
    [GMEM_QEMU_CAPS_SW_PROTECTED_VM] = GMEM_QEMU_SW_PROTECTED_VM,
    [GMEM_QEMU_CAPS_BACKEND_PRIVATE] = "memory-backend.private",
    [GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD] = GMEM_QEMU_MEMORY_BACKEND_MEMFD "." GMEM_QEMU_GUEST_MEMFD,
    [GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD_ENUM] =
        GMEM_QEMU_MEMORY_BACKEND_MEMFD "." GMEM_QEMU_GUEST_MEMFD "=on",
    [GMEM_QEMU_CAPS_MEMFD_X_GUEST_MEMFD] =
        GMEM_QEMU_MEMORY_BACKEND_MEMFD "." GMEM_QEMU_X_GUEST_MEMFD,
    [GMEM_QEMU_CAPS_MEMFD] = GMEM_QEMU_MEMORY_BACKEND_MEMFD,
    [GMEM_QEMU_CAPS_NO_SHIM] = "no-shim",
};
static_assert(G_N_ELEMENTS(gmemQEMUCapsFlagNames) == GMEM_QEMU_CAPS_LAST, "every flag has a name");
static_assert(GMEM_QEMU_CAPS_LAST <= 64, "the flags fit into gmemQEMUCaps.flags");

/* The objects that must have "private" so that all RAM of a domain can get it. */
static const char *const gmemQEMUCapsBackends[] = {
    GMEM_QEMU_MEMORY_BACKEND_RAM,
    GMEM_QEMU_MEMORY_BACKEND_FILE,
    GMEM_QEMU_MEMORY_BACKEND_MEMFD,
};

/* If a QEMU offers more than one for a mode, the first is used. */
static const struct {
    const char *name;
    gmemMode mode;
    gmemQEMUCapsFlag flag;
} gmemQEMUCapsSuppliers[] = {
    [GMEM_QEMU_SUPPLIER_SHIM] = {.name = "shim"},
    [GMEM_QEMU_SUPPLIER_OBJECT] = {.name = GMEM_QEMU_SW_PROTECTED_VM,
                                   .mode = GMEM_MODE_CONVERTIBLE,
                                   .flag = GMEM_QEMU_CAPS_SW_PROTECTED_VM},
    [GMEM_QEMU_SUPPLIER_PROPERTY] = {.name = GMEM_QEMU_GUEST_MEMFD,
                                     .mode = GMEM_MODE_FULLY_SHARED,
                                     .flag = GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD},
    [GMEM_QEMU_SUPPLIER_X_PROPERTY] = {.name = GMEM_QEMU_X_GUEST_MEMFD,
                                       .mode = GMEM_MODE_FULLY_SHARED,
                                       .flag = GMEM_QEMU_CAPS_MEMFD_X_GUEST_MEMFD},
};
static_assert(G_N_ELEMENTS(gmemQEMUCapsSuppliers) == GMEM_QEMU_SUPPLIER_LAST,
              "every supplier has a row");

static bool
gmemQEMUCapsHasBool(const gmemQMPSchema *schema, gmemJSON *object, const char *property)
{
    return gmemQMPSchemaGetSwitch(schema, object, property) == GMEM_QMP_SCHEMA_BOOL;
}

static guint64
gmemQEMUCapsGetFlags(const gmemQMPSchema *schema)
{
    gmemJSON *memfd = gmemQMPSchemaFindObject(schema, GMEM_QEMU_MEMORY_BACKEND_MEMFD);
    gmemQMPSchemaSwitch own = gmemQMPSchemaGetSwitch(schema, memfd, GMEM_QEMU_GUEST_MEMFD);
    guint64 flags = 0;
    size_t backends = 0;
    size_t halved = 0;
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(gmemQEMUCapsBackends); i++) {
        gmemJSON *backend = gmemQMPSchemaFindObject(schema, gmemQEMUCapsBackends[i]);

        if (backend == NULL)
            continue;
        backends++;
        if (gmemQEMUCapsHasBool(schema, backend, GMEM_QEMU_PRIVATE))
            halved++;
    }
    /* If only some backends in a tree had "private", the RAM of the others would silently be
     * ordinary: what it calls sw-protected-vm cannot be relied on. */
    if (gmemQMPSchemaFindObject(schema, GMEM_QEMU_SW_PROTECTED_VM) != NULL &&
        (halved == 0 || halved == backends)) {
        flags |= G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_SW_PROTECTED_VM;
        if (halved > 0)
            flags |= G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_BACKEND_PRIVATE;
    }
    if (memfd != NULL)
        flags |= G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_MEMFD;
    if (own != GMEM_QMP_SCHEMA_NONE)
        flags |= G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD;
    if (own == GMEM_QMP_SCHEMA_ENUM)
        flags |= G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD_ENUM;
    if (gmemQEMUCapsHasBool(schema, memfd, GMEM_QEMU_X_GUEST_MEMFD))
        flags |= G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_MEMFD_X_GUEST_MEMFD;
    return flags;
}

static int
gmemQEMUCapsReadSchema(gmemQEMUCaps *caps, gmemJSON *array, GError **error)
{
    g_autoptr(gmemQMPSchema) schema = gmemQMPSchemaNew(array, caps->emulator, error);

    if (schema == NULL)
        return -1;
    caps->flags = gmemQEMUCapsGetFlags(schema);
    return 0;
}

static int
gmemQEMUCapsReadVersion(gmemQEMUCaps *caps, gmemJSON *greeting, GError **error)
{
    gmemJSON *version = gmemJSONGet(gmemJSONGet(greeting, "version"), "qemu");
    unsigned long long major, minor, micro;

    if (!gmemJSONGetSize(version, "major", &major) || !gmemJSONGetSize(version, "minor", &minor) ||
        !gmemJSONGetSize(version, "micro", &micro) || major > 999 || minor > 999 || micro > 999)
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the emulator '%1$s' does not report its version"), caps->emulator);
    caps->version = (unsigned int)(major * 1000000 + minor * 1000 + micro);
    return 0;
}

/* The replies to the three commands, in the order in which they were sent. */
typedef enum {
    GMEM_QEMU_CAPS_STAGE_GREETING = 0,
    GMEM_QEMU_CAPS_STAGE_CAPABILITIES,
    GMEM_QEMU_CAPS_STAGE_SCHEMA,
    GMEM_QEMU_CAPS_STAGE_QUIT,
    GMEM_QEMU_CAPS_STAGE_DONE
} gmemQEMUCapsStage;

static int
gmemQEMUCapsReadLine(gmemQEMUCaps *caps, gmemQEMUCapsStage *stage, const char *line, GError **error)
{
    g_autoptr(gmemJSON) json = NULL;
    g_autofree char *reason = NULL;
    gmemJSON *reply;

    json = gmemJSONParse(line, &reason);
    if (json == NULL) {
        /* The parser's message continues with a picture of the position, over several lines. */
        reason[strcspn(reason, "\n")] = '\0';
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the emulator '%1$s' does not speak QMP: %2$s"), caps->emulator,
                            reason);
    }
    if (gmemJSONGet(json, "event") != NULL)
        return 0;
    reply = gmemJSONGet(json, "error");
    if (reply != NULL) {
        const char *words = gmemJSONGetString(reply, "desc");

        if (words == NULL)
            return gmemErrorSet(
                error, VIR_ERR_INTERNAL_ERROR,
                _("the emulator '%1$s' refused a QMP command without giving a reason"),
                caps->emulator);
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the emulator '%1$s' refused a QMP command: %2$s"), caps->emulator,
                            words);
    }
    reply = gmemJSONGet(json, *stage == GMEM_QEMU_CAPS_STAGE_GREETING ? "QMP" : "return");
    if (reply == NULL || *stage == GMEM_QEMU_CAPS_STAGE_DONE)
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the emulator '%1$s' does not speak QMP: its reply is unexpected"),
                            caps->emulator);
    if (*stage == GMEM_QEMU_CAPS_STAGE_GREETING && gmemQEMUCapsReadVersion(caps, reply, error) < 0)
        return -1;
    if (*stage == GMEM_QEMU_CAPS_STAGE_SCHEMA && gmemQEMUCapsReadSchema(caps, reply, error) < 0)
        return -1;
    (*stage)++;
    return 0;
}

const char *
gmemQEMUCapsFlagToString(gmemQEMUCapsFlag flag)
{
    return (size_t)flag < G_N_ELEMENTS(gmemQEMUCapsFlagNames) ? gmemQEMUCapsFlagNames[flag] : NULL;
}

void
gmemQEMUCapsFree(gmemQEMUCaps *caps)
{
    if (caps == NULL)
        return;
    g_free(caps->emulator);
    g_free(caps);
}

gmemQEMUCaps *
gmemQEMUCapsCopy(const gmemQEMUCaps *caps)
{
    gmemQEMUCaps *copy = g_new0(gmemQEMUCaps, 1);

    *copy = *caps;
    copy->emulator = g_strdup(caps->emulator);
    return copy;
}

bool
gmemQEMUCapsGet(const gmemQEMUCaps *caps, gmemQEMUCapsFlag flag)
{
    return (caps->flags & (G_GUINT64_CONSTANT(1) << flag)) != 0;
}

const char *
gmemQEMUCapsSupplierToString(gmemQEMUSupplier supplier)
{
    return gmemQEMUCapsSuppliers[supplier].name;
}

gmemQEMUSupplier
gmemQEMUCapsGetSupplier(const gmemQEMUCaps *caps, gmemMode mode)
{
    gmemQEMUSupplier i;

    for (i = GMEM_QEMU_SUPPLIER_SHIM + 1; i < GMEM_QEMU_SUPPLIER_LAST; i++) {
        if (gmemQEMUCapsSuppliers[i].mode == mode &&
            gmemQEMUCapsGet(caps, gmemQEMUCapsSuppliers[i].flag))
            return i;
    }
    return GMEM_QEMU_SUPPLIER_SHIM;
}

bool
gmemQEMUCapsIsSupplied(const gmemProps *props)
{
    gmemQEMUSupplier i;

    for (i = GMEM_QEMU_SUPPLIER_SHIM + 1; i < GMEM_QEMU_SUPPLIER_LAST; i++) {
        if (gmemQEMUCapsSuppliers[i].mode == GMEM_MODE_FULLY_SHARED &&
            gmemPropsGetBool(props, gmemQEMUCapsSuppliers[i].name) > 0)
            return true;
    }
    return false;
}

gmemQEMUCaps *
gmemQEMUCapsFromQMP(const char *emulator, const char *replies, GError **error)
{
    g_autoptr(gmemQEMUCaps) caps = g_new0(gmemQEMUCaps, 1);
    gmemQEMUCapsStage stage = GMEM_QEMU_CAPS_STAGE_GREETING;
    const char *line, *end;

    caps->emulator = g_strdup(emulator);
    for (line = replies; *line != '\0'; line = *end == '\0' ? end : end + 1) {
        g_autofree char *text = NULL;

        end = strchrnul(line, '\n');
        text = g_strstrip(g_strndup(line, (size_t)(end - line)));
        if (text[0] != '\0' && gmemQEMUCapsReadLine(caps, &stage, text, error) < 0)
            return NULL;
    }
    if (stage != GMEM_QEMU_CAPS_STAGE_DONE) {
        gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                     _("the emulator '%1$s' ended before it had answered all QMP commands"),
                     emulator);
        return NULL;
    }
    return g_steal_pointer(&caps);
}
