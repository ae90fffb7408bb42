/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemjson.c: JSON through yajl: parse with a bound on nesting, write in libvirt's compact form. */

#include "gmemjson.h"

#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"

void
gmemJSONFree(gmemJSON *json)
{
    yajl_tree_free(json);
}

void
gmemJSONGenFree(gmemJSONGen *gen)
{
    yajl_gen_free(gen);
}

/* Brackets inside strings do not nest; everything else about the grammar is yajl's business. */
static bool
gmemJSONTooDeep(const char *text)
{
    unsigned int depth = 0;
    bool string = false;

    for (; *text != '\0'; text++) {
        if (string) {
            if (*text == '\\' && text[1] != '\0')
                text++;
            else if (*text == '"')
                string = false;
        } else if (*text == '"') {
            string = true;
        } else if (*text == '{' || *text == '[') {
            if (++depth > GMEM_JSON_DEPTH_MAX)
                return true;
        } else if ((*text == '}' || *text == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

gmemJSON *
gmemJSONParse(const char *text, GError **error)
{
    char reason[256] = "";
    gmemJSON *json;

    if (gmemJSONTooDeep(text)) {
        gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, _("JSON nested deeper than %d levels"),
                     GMEM_JSON_DEPTH_MAX);
        return NULL;
    }
    json = yajl_tree_parse(text, reason, sizeof(reason));
    if (json == NULL)
        gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, _("malformed JSON: %s"),
                     reason[0] != '\0' ? g_strchomp(reason) : _("no value"));
    return json;
}

gmemJSON *
gmemJSONGet(gmemJSON *object, const char *name)
{
    size_t i;

    if (!YAJL_IS_OBJECT(object))
        return NULL;
    for (i = object->u.object.len; i > 0; i--) {
        if (strcmp(object->u.object.keys[i - 1], name) == 0)
            return object->u.object.values[i - 1];
    }
    return NULL;
}

const char *
gmemJSONGetString(gmemJSON *object, const char *name)
{
    return YAJL_GET_STRING(gmemJSONGet(object, name));
}

bool
gmemJSONGetBool(gmemJSON *object, const char *name)
{
    return YAJL_IS_TRUE(gmemJSONGet(object, name));
}

bool
gmemJSONGetSize(gmemJSON *object, const char *name, unsigned long long *value)
{
    gmemJSON *number = gmemJSONGet(object, name);
    guint64 parsed;

    /* The spelling, not yajl's conversion: that one ends at 2^63. */
    if (!YAJL_IS_NUMBER(number) ||
        !g_ascii_string_to_unsigned(YAJL_GET_NUMBER(number), 10, 0, G_MAXUINT64, &parsed, NULL))
        return false;
    *value = parsed;
    return true;
}

bool
gmemJSONHasDuplicates(gmemJSON *object)
{
    size_t i, j;

    if (!YAJL_IS_OBJECT(object))
        return false;
    for (i = 0; i < object->u.object.len; i++) {
        for (j = i + 1; j < object->u.object.len; j++) {
            if (strcmp(object->u.object.keys[i], object->u.object.keys[j]) == 0)
                return true;
        }
    }
    return false;
}

gmemJSONGen *
gmemJSONGenNew(void)
{
    gmemJSONGen *gen = yajl_gen_alloc(NULL);

    if (gen == NULL)
        g_error("out of memory");
    return gen;
}

void
gmemJSONGenString(gmemJSONGen *gen, const char *text)
{
    yajl_gen_string(gen, (const unsigned char *)text, strlen(text));
}

void
gmemJSONGenValue(gmemJSONGen *gen, gmemJSON *value)
{
    size_t i;

    switch (value->type) {
    case yajl_t_string:
        gmemJSONGenString(gen, value->u.string);
        break;
    case yajl_t_number:
        yajl_gen_number(gen, value->u.number.r, strlen(value->u.number.r));
        break;
    case yajl_t_object:
        yajl_gen_map_open(gen);
        for (i = 0; i < value->u.object.len; i++) {
            gmemJSONGenString(gen, value->u.object.keys[i]);
            gmemJSONGenValue(gen, value->u.object.values[i]);
        }
        yajl_gen_map_close(gen);
        break;
    case yajl_t_array:
        yajl_gen_array_open(gen);
        for (i = 0; i < value->u.array.len; i++)
            gmemJSONGenValue(gen, value->u.array.values[i]);
        yajl_gen_array_close(gen);
        break;
    case yajl_t_true:
    case yajl_t_false:
        yajl_gen_bool(gen, value->type == yajl_t_true);
        break;
    case yajl_t_null:
    case yajl_t_any:
    default:
        yajl_gen_null(gen);
        break;
    }
}

char *
gmemJSONGenFinish(gmemJSONGen *gen)
{
    const unsigned char *text = NULL;
    size_t length = 0;

    if (yajl_gen_get_buf(gen, &text, &length) != yajl_gen_status_ok)
        return g_strdup("");
    return g_strndup((const char *)text, length);
}
