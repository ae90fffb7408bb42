/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemqmpschema.h: QEMU's description of its own objects, the reply to query-qmp-schema. */
#pragma once

#include <glib.h>

#include "gmemjson.h"

typedef struct gmemQMPSchema gmemQMPSchema;

/**
 * gmemQMPSchemaNew:
 * @array: the reply; must outlive the result, and everything that is found in it
 * @emulator: for messages
 * @error: VIR_ERR_INTERNAL_ERROR if @array is not such a reply
 *
 * Takes no lock. Free with gmemQMPSchemaFree().
 */
gmemQMPSchema *gmemQMPSchemaNew(gmemJSON *array, const char *emulator, GError **error);
void gmemQMPSchemaFree(gmemQMPSchema *schema);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemQMPSchema, gmemQMPSchemaFree)

/* gmemQMPSchemaFindObject: the type of object that object-add creates for @qomType, or NULL if QEMU
 * does not have it. */
gmemJSON *gmemQMPSchemaFindObject(const gmemQMPSchema *schema, const char *qomType);

/* How a property is switched on in JSON. */
typedef enum {
    GMEM_QMP_SCHEMA_NONE = 0, /* there is no such switch */
    GMEM_QMP_SCHEMA_BOOL,     /* true */
    GMEM_QMP_SCHEMA_ENUM,     /* "on" */
} gmemQMPSchemaSwitch;

/**
 * gmemQMPSchemaGetSwitch:
 * @object: as from gmemQMPSchemaFindObject(); can be NULL
 *
 * The form in JSON of the switch @property of @object: a bool, or an enumeration with "on", or an
 * alternate of which one member is one of these. Built-in types keep their names in the schema;
 * all others are numbered.
 */
gmemQMPSchemaSwitch
gmemQMPSchemaGetSwitch(const gmemQMPSchema *schema, gmemJSON *object, const char *property);
