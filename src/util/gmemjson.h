/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemjson.h: JSON through yajl: parse with a bound on nesting, write in libvirt's compact form. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_tree.h>

typedef struct yajl_val_s gmemJSON;

/* Deeper JSON than this is refused: yajl frees trees recursively, and some of the text comes from
 * clients. QEMU's schema, the deepest input there is, nests 6 levels. */
#define GMEM_JSON_DEPTH_MAX 64

void gmemJSONFree(gmemJSON *json);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemJSON, gmemJSONFree)

void gmemJSONGenFree(struct yajl_gen_t *gen);
typedef struct yajl_gen_t gmemJSONGen;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemJSONGen, gmemJSONGenFree)

/**
 * gmemJSONParse:
 * @text: one JSON value, NUL-terminated
 * @reason: out where NULL is returned: what is wrong, to be freed; callers name what the text was.
 *          May be NULL. No GError: callers go on in their own words, also where an error cannot be
 *          freed (gmemerror.h)
 *
 * Returns the tree, to be freed with gmemJSONFree(), or NULL. The order of an object's members is
 * kept, as are members given twice.
 */
gmemJSON *gmemJSONParse(const char *text, char **reason);

/**
 * gmemJSONParseQEMU:
 * @text: the same in QEMU's dialect, as on its command line
 *
 * Returns the tree, or NULL for what QEMU refuses. Takes no lock.
 */
gmemJSON *gmemJSONParseQEMU(const char *text);

/**
 * gmemJSONGet:
 *
 * Returns @object's member @name, of whatever type, or NULL (also when @object is no object).
 * A name given twice yields the last one, as QEMU's parser would take it: none of them is trusted
 * to be the first.
 */
gmemJSON *gmemJSONGet(gmemJSON *object, const char *name);

/* gmemJSONGetString: member @name where it is a string, else NULL; owned by the tree. */
const char *gmemJSONGetString(gmemJSON *object, const char *name);

/* gmemJSONGetSize: member @name as a non-negative integer (bytes, for sizes) into @value. */
bool gmemJSONGetSize(gmemJSON *object, const char *name, unsigned long long *value);

/* gmemJSONHasDuplicates: whether a member's name occurs twice in @json, or in an object inside. */
bool gmemJSONHasDuplicates(gmemJSON *json);

/* gmemJSONGenNew: a generator of compact UTF-8 text that does not escape '/', like libvirt's. */
gmemJSONGen *gmemJSONGenNew(void);

/* gmemJSONGenString: adds a NUL-terminated string (key or value). */
void gmemJSONGenString(gmemJSONGen *gen, const char *text);

/* gmemJSONGenValue: adds a parsed value whole; numbers keep their spelling. */
void gmemJSONGenValue(gmemJSONGen *gen, gmemJSON *value);

/* gmemJSONGenFinish: the text so far, NUL-terminated, to be freed with g_free(). */
char *gmemJSONGenFinish(gmemJSONGen *gen);
