/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemqmpschema.c: QEMU's description of its own objects, the reply to query-qmp-schema.
 *
 * The reply is a flat array of a thousand or more entries that refer to each other by name. The
 * command object-add names the type of its argument. That type is tagged by "qom-type" and has a
 * variant for each object type. A variant's type lists the properties of that object type,
 * including inherited ones (QEMU flattens bases in introspection). Entries are found by name, which
 * requires an index. It is a sorted array and not a hash table, because this also runs in the child
 * between fork and exec, where GLib's slice allocator might wait for a lock that nobody will
 * release. */

#include "gmemqmpschema.h"

#include <stdlib.h>
#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"

typedef struct {
    const char *name;
    gmemJSON *entry;
} gmemQMPSchemaEntry;

struct gmemQMPSchema {
    gmemQMPSchemaEntry *entries; /* sorted by name */
    size_t nentries;
    gmemJSON *objects; /* the variants of object-add's argument; NULL: it accepts any properties */
};

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

gmemJSON *
gmemQMPSchemaFindObject(const gmemQMPSchema *schema, const char *qomType)
{
    size_t i;

    for (i = 0; i < gmemJSONCount(schema->objects); i++) {
        gmemJSON *variant = gmemJSONItem(schema->objects, i);

        if (g_strcmp0(gmemJSONGetString(variant, "case"), qomType) == 0)
            return gmemQMPSchemaFind(schema, gmemJSONGetString(variant, "type"), "object");
    }
    return NULL;
}

/* OnOffAuto and the like: an enumeration that has "on". */
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

gmemQMPSchemaSwitch
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

void
gmemQMPSchemaFree(gmemQMPSchema *schema)
{
    if (schema == NULL)
        return;
    g_free(schema->entries);
    g_free(schema);
}

/* Sorts the entries of @array by name. */
static int
gmemQMPSchemaIndex(gmemQMPSchema *schema, gmemJSON *array, const char *emulator, GError **error)
{
    size_t i;

    if (!gmemJSONIs(array, GMEM_JSON_ARRAY))
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the emulator '%1$s' did not answer query-qmp-schema with a list"),
                            emulator);
    schema->entries = g_new0(gmemQMPSchemaEntry, gmemJSONCount(array) + 1);
    for (i = 0; i < gmemJSONCount(array); i++) {
        const char *name = gmemJSONGetString(gmemJSONItem(array, i), "name");

        if (name == NULL)
            return gmemErrorSet(
                error, VIR_ERR_INTERNAL_ERROR,
                _("the QMP schema of the emulator '%1$s' has an entry without a name"), emulator);
        schema->entries[schema->nentries].name = name;
        schema->entries[schema->nentries].entry = gmemJSONItem(array, i);
        schema->nentries++;
    }
    qsort(schema->entries, schema->nentries, sizeof(*schema->entries), gmemQMPSchemaCompare);
    return 0;
}

gmemQMPSchema *
gmemQMPSchemaNew(gmemJSON *array, const char *emulator, GError **error)
{
    g_autoptr(gmemQMPSchema) schema = g_new0(gmemQMPSchema, 1);
    gmemJSON *command, *argument;

    if (gmemQMPSchemaIndex(schema, array, emulator, error) < 0)
        return NULL;
    command = gmemQMPSchemaFind(schema, "object-add", "command");
    if (command == NULL) {
        gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                     _("the QMP schema of the emulator '%1$s' has no command object-add"),
                     emulator);
        return NULL;
    }
    argument = gmemQMPSchemaFind(schema, gmemJSONGetString(command, "arg-type"), "object");
    if (argument == NULL) {
        gmemErrorSet(
            error, VIR_ERR_INTERNAL_ERROR,
            _("the QMP schema of the emulator '%1$s' does not describe the argument of object-add"),
            emulator);
        return NULL;
    }
    /* Before 6.0, object-add accepted any properties, so there is nothing to find. */
    if (g_strcmp0(gmemJSONGetString(argument, "tag"), "qom-type") == 0)
        schema->objects = gmemJSONGet(argument, "variants");
    return g_steal_pointer(&schema);
}
