/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcapabilities.c: what a QEMU binary offers for guest_memfd, as flags found by asking it.
 *
 * The source is query-qmp-schema: a flat array of a thousand or more entries that name each other.
 * The command object-add names the type of its argument; that type is tagged by "qom-type" and has
 * a variant for each object type; a variant's type lists that object type's properties, those it
 * inherits included (QEMU flattens bases in introspection). Entries are found by name, which needs
 * an index; it is a sorted array and not a hash table, because this also runs in the child between
 * fork and exec, where GLib's slice allocator might wait for a lock that nobody will release. */

#include "gmemcapabilities.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemjson.h"

static const char *const gmemQEMUCapsFlagNames[] = {
    [GMEM_QEMU_CAPS_SW_PROTECTED_VM] = "sw-protected-vm",
    [GMEM_QEMU_CAPS_BACKEND_PRIVATE] = "memory-backend.private",
    [GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD] = "memory-backend-memfd.guest-memfd",
    [GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD_ENUM] = "memory-backend-memfd.guest-memfd=on",
    [GMEM_QEMU_CAPS_MEMFD_X_GUEST_MEMFD] = "memory-backend-memfd.x-guest-memfd",
    [GMEM_QEMU_CAPS_MEMFD] = "memory-backend-memfd",
    [GMEM_QEMU_CAPS_NO_SHIM] = "no-shim",
};
static_assert(G_N_ELEMENTS(gmemQEMUCapsFlagNames) == GMEM_QEMU_CAPS_LAST, "every flag has a name");
static_assert(GMEM_QEMU_CAPS_LAST <= 64, "the flags fit into gmemQEMUCaps.flags");

/* Where "private" has to be for all RAM of a domain to get it. */
static const char *const gmemQEMUCapsBackends[] = {
    "memory-backend-ram",
    "memory-backend-file",
    "memory-backend-memfd",
};

typedef struct {
    const char *name;
    gmemJSON *entry;
} gmemQMPSchemaEntry;

/* How a property is switched on in JSON. */
typedef enum {
    GMEM_QMP_SCHEMA_NONE = 0, /* there is no such switch */
    GMEM_QMP_SCHEMA_BOOL,     /* true */
    GMEM_QMP_SCHEMA_ENUM,     /* "on" */
} gmemQMPSchemaSwitch;

typedef struct {
    gmemQMPSchemaEntry *entries; /* sorted by name */
    size_t nentries;
} gmemQMPSchema;

static int
gmemQMPSchemaCompare(const void *a, const void *b)
{
    return strcmp(((const gmemQMPSchemaEntry *)a)->name, ((const gmemQMPSchemaEntry *)b)->name);
}

static gmemJSON *
gmemQMPSchemaFind(const gmemQMPSchema *schema, const char *name, const char *metaType)
{
    gmemQMPSchemaEntry key = {.name = name};
    gmemQMPSchemaEntry *found;

    if (name == NULL || schema->nentries == 0)
        return NULL;
    found = bsearch(&key, schema->entries, schema->nentries, sizeof(key), gmemQMPSchemaCompare);
    if (found == NULL || g_strcmp0(gmemJSONGetString(found->entry, "meta-type"), metaType) != 0)
        return NULL;
    return found->entry;
}

/* The object type that object-add takes for @qomType; NULL where QEMU has no such type. */
static gmemJSON *
gmemQMPSchemaFindVariant(const gmemQMPSchema *schema, gmemJSON *argument, const char *qomType)
{
    gmemJSON *variants = gmemJSONGet(argument, "variants");
    size_t i;

    for (i = 0; i < gmemJSONCount(variants); i++) {
        gmemJSON *variant = gmemJSONItem(variants, i);

        if (g_strcmp0(gmemJSONGetString(variant, "case"), qomType) == 0)
            return gmemQMPSchemaFind(schema, gmemJSONGetString(variant, "type"), "object");
    }
    return NULL;
}

/* OnOffAuto and its like: an enumeration that has "on". */
static bool
gmemQMPSchemaHasOn(const gmemQMPSchema *schema, const char *type)
{
    gmemJSON *values = gmemJSONGet(gmemQMPSchemaFind(schema, type, "enum"), "values");
    size_t i;

    for (i = 0; i < gmemJSONCount(values); i++) {
        if (g_strcmp0(gmemJSONText(gmemJSONItem(values, i)), "on") == 0)
            return true;
    }
    return false;
}

/* The switch @property of @object, as it can be in JSON: a bool, or an enumeration with "on", or an
 * alternate of which one member is a bool. Built-in types keep their names in the schema, all
 * others are numbered. */
static gmemQMPSchemaSwitch
gmemQMPSchemaGetSwitch(const gmemQMPSchema *schema, gmemJSON *object, const char *property)
{
    gmemJSON *members = gmemJSONGet(object, "members");
    const char *type = NULL;
    size_t i;

    for (i = 0; i < gmemJSONCount(members); i++) {
        if (g_strcmp0(gmemJSONGetString(gmemJSONItem(members, i), "name"), property) == 0)
            type = gmemJSONGetString(gmemJSONItem(members, i), "type");
    }
    if (g_strcmp0(type, "bool") == 0)
        return GMEM_QMP_SCHEMA_BOOL;
    if (gmemQMPSchemaHasOn(schema, type))
        return GMEM_QMP_SCHEMA_ENUM;
    members = gmemJSONGet(gmemQMPSchemaFind(schema, type, "alternate"), "members");
    for (i = 0; i < gmemJSONCount(members); i++) {
        const char *choice = gmemJSONGetString(gmemJSONItem(members, i), "type");

        if (g_strcmp0(choice, "bool") == 0)
            return GMEM_QMP_SCHEMA_BOOL;
        if (gmemQMPSchemaHasOn(schema, choice))
            return GMEM_QMP_SCHEMA_ENUM;
    }
    return GMEM_QMP_SCHEMA_NONE;
}

static bool
gmemQMPSchemaHasBool(const gmemQMPSchema *schema, gmemJSON *object, const char *property)
{
    return gmemQMPSchemaGetSwitch(schema, object, property) == GMEM_QMP_SCHEMA_BOOL;
}

static guint64
gmemQMPSchemaGetFlags(const gmemQMPSchema *schema, gmemJSON *argument)
{
    gmemJSON *memfd = gmemQMPSchemaFindVariant(schema, argument, "memory-backend-memfd");
    gmemQMPSchemaSwitch own = gmemQMPSchemaGetSwitch(schema, memfd, "guest-memfd");
    guint64 flags = 0;
    size_t backends = 0;
    size_t halved = 0;
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(gmemQEMUCapsBackends); i++) {
        gmemJSON *backend = gmemQMPSchemaFindVariant(schema, argument, gmemQEMUCapsBackends[i]);

        if (backend == NULL)
            continue;
        backends++;
        if (gmemQMPSchemaHasBool(schema, backend, "private"))
            halved++;
    }
    /* A tree that has "private" on some backends only would leave the others' RAM ordinary without
     * a word: what it calls sw-protected-vm is nothing to build on. */
    if (gmemQMPSchemaFindVariant(schema, argument, "sw-protected-vm") != NULL &&
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
    if (gmemQMPSchemaHasBool(schema, memfd, "x-guest-memfd"))
        flags |= G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_MEMFD_X_GUEST_MEMFD;
    return flags;
}

static int
gmemQEMUCapsReadSchema(gmemQEMUCaps *caps, gmemJSON *array, GError **error)
{
    g_autofree gmemQMPSchemaEntry *entries = NULL;
    gmemQMPSchema schema = {0};
    gmemJSON *command, *argument;
    size_t i;

    if (!gmemJSONIs(array, GMEM_JSON_ARRAY))
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the emulator '%s' did not answer query-qmp-schema with a list"),
                            caps->emulator);
    entries = g_new0(gmemQMPSchemaEntry, gmemJSONCount(array) + 1);
    schema.entries = entries;
    for (i = 0; i < gmemJSONCount(array); i++) {
        const char *name = gmemJSONGetString(gmemJSONItem(array, i), "name");

        if (name == NULL)
            return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                                _("the QMP schema of the emulator '%s' has an entry without a "
                                  "name"),
                                caps->emulator);
        entries[schema.nentries].name = name;
        entries[schema.nentries].entry = gmemJSONItem(array, i);
        schema.nentries++;
    }
    qsort(entries, schema.nentries, sizeof(*entries), gmemQMPSchemaCompare);

    command = gmemQMPSchemaFind(&schema, "object-add", "command");
    if (command == NULL)
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the QMP schema of the emulator '%s' has no command object-add"),
                            caps->emulator);
    argument = gmemQMPSchemaFind(&schema, gmemJSONGetString(command, "arg-type"), "object");
    if (argument == NULL)
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the QMP schema of the emulator '%s' does not describe the argument "
                              "of object-add"),
                            caps->emulator);
    /* Before 6.0 object-add took any properties; then there is nothing to find. */
    if (g_strcmp0(gmemJSONGetString(argument, "tag"), "qom-type") == 0)
        caps->flags = gmemQMPSchemaGetFlags(&schema, argument);
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
                            _("the emulator '%s' does not tell its version"), caps->emulator);
    caps->version = (unsigned int)(major * 1000000 + minor * 1000 + micro);
    return 0;
}

/* The replies to the three commands, in the order in which they were sent. */
typedef enum {
    GMEM_QMP_GREETING = 0,
    GMEM_QMP_CAPABILITIES,
    GMEM_QMP_SCHEMA,
    GMEM_QMP_QUIT,
    GMEM_QMP_DONE
} gmemQMPStage;

static int
gmemQEMUCapsReadLine(gmemQEMUCaps *caps, gmemQMPStage *stage, const char *line, GError **error)
{
    g_autoptr(gmemJSON) json = NULL;
    g_autofree char *reason = NULL;
    gmemJSON *reply;

    json = gmemJSONParse(line, &reason);
    if (json == NULL) {
        /* The parser's message goes on with a picture of the place, over several lines. */
        reason[strcspn(reason, "\n")] = '\0';
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the emulator '%s' does not speak QMP: %s"), caps->emulator, reason);
    }
    if (gmemJSONGet(json, "event") != NULL)
        return 0;
    reply = gmemJSONGet(json, "error");
    if (reply != NULL) {
        const char *words = gmemJSONGetString(reply, "desc");

        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the emulator '%s' refused a QMP command: %s"), caps->emulator,
                            words != NULL ? words : _("no reason given"));
    }
    reply = gmemJSONGet(json, *stage == GMEM_QMP_GREETING ? "QMP" : "return");
    if (reply == NULL || *stage == GMEM_QMP_DONE)
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the emulator '%s' does not speak QMP: an unexpected reply"),
                            caps->emulator);
    if (*stage == GMEM_QMP_GREETING && gmemQEMUCapsReadVersion(caps, reply, error) < 0)
        return -1;
    if (*stage == GMEM_QMP_SCHEMA && gmemQEMUCapsReadSchema(caps, reply, error) < 0)
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

bool
gmemQEMUCapsHasOwnGuestMemfd(const gmemQEMUCaps *caps)
{
    return gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD) ||
           gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_MEMFD_X_GUEST_MEMFD);
}

gmemQEMUCaps *
gmemQEMUCapsFromQMP(const char *emulator, const char *replies, GError **error)
{
    g_autoptr(gmemQEMUCaps) caps = g_new0(gmemQEMUCaps, 1);
    gmemQMPStage stage = GMEM_QMP_GREETING;
    const char *line, *end;

    caps->emulator = g_strdup(emulator);
    for (line = replies; *line != '\0'; line = *end == '\0' ? end : end + 1) {
        g_autofree char *text = NULL;

        end = strchrnul(line, '\n');
        text = g_strstrip(g_strndup(line, (size_t)(end - line)));
        if (text[0] != '\0' && gmemQEMUCapsReadLine(caps, &stage, text, error) < 0)
            return NULL;
    }
    if (stage != GMEM_QMP_DONE) {
        gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                     _("the emulator '%s' ended before it had answered all QMP commands"),
                     emulator);
        return NULL;
    }
    return g_steal_pointer(&caps);
}
