/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemjson.c: JSON through yajl: parse with a bound on nesting, write in libvirt's compact form.
 *
 * QEMU's own dialect (the comment at the top of its qobject/json-lexer.c) is turned into strict
 * JSON first. Beyond RFC 8259 it has strings in single quotes and the escape \'; it lacks
 * noncharacters, raw or escaped, an exponent behind a lone zero, and member names given twice.
 * U+0000 is the bytes C0 80. What yajl has beyond RFC 8259, comments and two more kinds of space,
 * is refused here. */

#include "gmemjson.h"

#include <stdlib.h>
#include <string.h>

#include "gmemi18n.h"

/* QEMU's MAX_NESTING. */
#define GMEM_JSON_QEMU_DEPTH_MAX 1024

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
gmemJSONTooDeep(const char *text, unsigned int depthMax)
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
            if (++depth > depthMax)
                return true;
        } else if ((*text == '}' || *text == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static gmemJSON *
gmemJSONParseTo(const char *text, unsigned int depthMax, char **reason)
{
    char words[256] = "";
    bool deep = gmemJSONTooDeep(text, depthMax);
    gmemJSON *json = deep ? NULL : yajl_tree_parse(text, words, sizeof(words));

    if (json != NULL || reason == NULL)
        return json;
    if (deep)
        *reason = g_strdup_printf(_("JSON nested deeper than %u levels"), depthMax);
    else
        *reason = g_strdup_printf(_("malformed JSON: %s"),
                                  words[0] != '\0' ? g_strchomp(words) : _("no value"));
    return NULL;
}

gmemJSON *
gmemJSONParse(const char *text, char **reason)
{
    return gmemJSONParseTo(text, GMEM_JSON_DEPTH_MAX, reason);
}

/* Four hexadecimal digits; -1: they are not. */
static int
gmemJSONHex(const char *text)
{
    int value = 0;
    size_t i;

    for (i = 0; i < 4; i++) {
        if (!g_ascii_isxdigit(text[i]))
            return -1;
        value = value * 16 + g_ascii_xdigit_value(text[i]);
    }
    return value;
}

/* The character at @text, in QEMU's terms, and its @length there; -1: it is not allowed. Of an
 * escape without 'u' it is the letter. */
static int
gmemJSONCharacter(const char *text, size_t *length)
{
    gunichar code;
    int low;

    if (text[0] == '\\' && text[1] != 'u') {
        *length = 2;
        return text[1] != '\0' && strchr("\"'\\/bfnrt", text[1]) != NULL ? text[1] : -1;
    }
    *length = 2;
    if (strncmp(text, "\xC0\x80", 2) == 0)
        return 0;
    if (text[0] == '\\') {
        *length = 6;
        code = (gunichar)gmemJSONHex(text + 2);
        low = code >> 10 == 0xD800 >> 10 && text[6] == '\\' && text[7] == 'u'
                  ? gmemJSONHex(text + 8)
                  : -1;
        if (low >> 10 == 0xDC00 >> 10) {
            *length = 12;
            code = 0x10000 + ((code & 0x3FF) << 10) + ((gunichar)low & 0x3FF);
        }
    } else {
        code = g_utf8_get_char_validated(text, -1);
        *length = (size_t)g_unichar_to_utf8(code <= 0x10FFFF ? code : 0, NULL);
        if (code < ' ')
            return -1;
    }
    if (code > 0x10FFFF || code >> 11 == 0xD800 >> 11 || (code & 0xFFFE) == 0xFFFE ||
        (code >= 0xFDD0 && code <= 0xFDEF))
        return -1;
    return (int)code;
}

/* A string of QEMU's at *@in, quotes included, as strict JSON at *@out; both are moved on. */
static bool
gmemJSONString(const char **in, char **out)
{
    const char quote = *(*in)++;

    *(*out)++ = '"';
    while (**in != quote) {
        size_t length;
        int code = gmemJSONCharacter(*in, &length);

        if (code < 0)
            return false;
        if (code == 0)
            *out = g_stpcpy(*out, "\xC0\x80");
        else if (code == '"')
            *out = g_stpcpy(*out, "\\\"");
        else if (code == '\'')
            *(*out)++ = '\'';
        else
            *out = (char *)memcpy(*out, *in, length) + length;
        *in += length;
    }
    *(*out)++ = '"';
    (*in)++;
    return true;
}

/* Strict JSON of QEMU's; NULL where QEMU's lexer refuses it, or yajl's takes more. */
static char *
gmemJSONFromQEMU(const char *text)
{
    static const char outside[] = "{}[],:-+.0123456789Eabcdefghijklmnopqrstuvwxyz \t\n\r";
    g_autofree char *strict = g_malloc(2 * strlen(text) + 1);
    char *out = strict;
    char before = '\0';

    while (*text != '\0') {
        if (*text == '"' || *text == '\'') {
            if (!gmemJSONString(&text, &out))
                return NULL;
            before = '"';
            continue;
        }
        if (strchr(outside, *text) == NULL)
            return NULL;
        if (*text == '0' && (text[1] | 0x20) == 'e' && !g_ascii_isdigit(before) && before != '.')
            return NULL;
        before = *text;
        *out++ = *text++;
    }
    *out = '\0';
    return g_steal_pointer(&strict);
}

gmemJSON *
gmemJSONParseQEMU(const char *text)
{
    g_autofree char *strict = gmemJSONFromQEMU(text);
    gmemJSON *json;

    json = strict != NULL ? gmemJSONParseTo(strict, GMEM_JSON_QEMU_DEPTH_MAX, NULL) : NULL;
    if (json != NULL && gmemJSONHasDuplicates(json)) {
        gmemJSONFree(json);
        return NULL;
    }
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

static int
gmemJSONCompare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, because the text may be a client's, and long. */
static bool
gmemJSONHasTwice(const char *const *keys, size_t n)
{
    g_autofree const char **sorted = g_new(const char *, n);
    size_t i;

    for (i = 0; i < n; i++)
        sorted[i] = keys[i];
    if (n > 1)
        qsort(sorted, n, sizeof(*sorted), gmemJSONCompare);
    for (i = 1; i < n; i++) {
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            return true;
    }
    return false;
}

bool
gmemJSONHasDuplicates(gmemJSON *json)
{
    size_t i;

    for (i = 0; YAJL_IS_OBJECT(json) && i < json->u.object.len; i++) {
        if (gmemJSONHasDuplicates(json->u.object.values[i]))
            return true;
    }
    for (i = 0; YAJL_IS_ARRAY(json) && i < json->u.array.len; i++) {
        if (gmemJSONHasDuplicates(json->u.array.values[i]))
            return true;
    }
    return YAJL_IS_OBJECT(json) && gmemJSONHasTwice(json->u.object.keys, json->u.object.len);
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
