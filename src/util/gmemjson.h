/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemjson.h: JSON: parsing with a limit on nesting, and writing in libvirt's compact form. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* A value: a tree, or a part of one, which is freed with the tree. */
typedef struct gmemJSON gmemJSON;

typedef enum {
    GMEM_JSON_NULL = 0,
    GMEM_JSON_BOOL,
    GMEM_JSON_NUMBER,
    GMEM_JSON_STRING,
    GMEM_JSON_ARRAY,
    GMEM_JSON_OBJECT
} gmemJSONType;

/* JSON that nests deeper is refused, because trees are freed recursively, and some of the text
 * comes from clients. QEMU's schema, the deepest known input, nests 6 levels. */
#define GMEM_JSON_DEPTH_MAX 64

void gmemJSONFree(gmemJSON *json);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemJSON, gmemJSONFree)

typedef struct gmemJSONGen gmemJSONGen;
void gmemJSONGenFree(gmemJSONGen *gen);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemJSONGen, gmemJSONGenFree)

/**
 * gmemJSONParse:
 * @text: one JSON value, NUL-terminated
 * @reason: out: if NULL is returned: what is wrong, to be freed; can be NULL. This is not a GError,
 *          because callers report it in their own words, and also where an error cannot be freed
 *          (gmemerror.h)
 *
 * Returns the tree, to be freed with gmemJSONFree(), or NULL. The order of an object's members is
 * kept, and so are duplicate members.
 */
gmemJSON *gmemJSONParse(const char *text, char **reason);

/**
 * gmemJSONParseQEMU:
 * @text: the same in QEMU's dialect, as on its command line
 *
 * Returns the tree, or NULL for text that QEMU refuses. Takes no lock.
 */
gmemJSON *gmemJSONParseQEMU(const char *text);

/* gmemJSONIs: whether @json is a value of @type. NULL, which accessors return for a missing value,
 * is not of any type. */
bool gmemJSONIs(const gmemJSON *json, gmemJSONType type);

/* gmemJSONText: a string, or the spelling of a number, bool or null, otherwise NULL. Owned by the
 * tree. A string that contains U+0000 ends there. */
const char *gmemJSONText(const gmemJSON *json);

/* gmemJSONCount: the number of elements of an array, or of members of an object; 0 for anything
 * else. */
size_t gmemJSONCount(const gmemJSON *json);

/* gmemJSONItem: element or member number @i, from 0 to gmemJSONCount() - 1. */
gmemJSON *gmemJSONItem(const gmemJSON *json, size_t i);

/* gmemJSONKey: the name of member number @i of an object. */
const char *gmemJSONKey(const gmemJSON *object, size_t i);

/**
 * gmemJSONGet:
 *
 * Returns @object's member @name, of whatever type, or NULL (also if @object is not an object). If
 * the name is given twice, this is the last one, as in QEMU's parser.
 */
gmemJSON *gmemJSONGet(const gmemJSON *object, const char *name);

/* gmemJSONGetString: member @name if it is a string, otherwise NULL; owned by the tree. */
const char *gmemJSONGetString(const gmemJSON *object, const char *name);

/* gmemJSONGetSize: member @name as a non-negative integer (bytes, for sizes) into @value. */
bool gmemJSONGetSize(const gmemJSON *object, const char *name, unsigned long long *value);

/* gmemJSONHasDuplicates: whether @json, or an object inside it, has two members with the same name.
 */
bool gmemJSONHasDuplicates(const gmemJSON *json);

/* gmemJSONGenNew: a generator of compact UTF-8 text that does not escape '/', like libvirt's. */
gmemJSONGen *gmemJSONGenNew(void);

/* gmemJSONGenBegin: begins an array or object, which ends with gmemJSONGenEnd(). In an object each
 * value comes after a string, its name. */
void gmemJSONGenBegin(gmemJSONGen *gen, gmemJSONType type);
void gmemJSONGenEnd(gmemJSONGen *gen, gmemJSONType type);

/* gmemJSONGenString: adds a NUL-terminated string (key or value); NULL: adds null. */
void gmemJSONGenString(gmemJSONGen *gen, const char *text);

void gmemJSONGenNumber(gmemJSONGen *gen, guint64 number);
void gmemJSONGenBool(gmemJSONGen *gen, bool value);

/* gmemJSONGenValue: adds a parsed value whole; numbers keep their spelling. */
void gmemJSONGenValue(gmemJSONGen *gen, const gmemJSON *value);

/* gmemJSONGenFinish: the text so far, NUL-terminated, to be freed with g_free(). */
char *gmemJSONGenFinish(gmemJSONGen *gen);
