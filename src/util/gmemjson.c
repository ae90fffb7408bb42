/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemjson.c: JSON by yajl: parsing with a limit on nesting, and writing in libvirt's compact form.
 *
 * QEMU's own dialect (see the comment at the top of its qobject/json-lexer.c) is first converted to
 * strict JSON. In addition to RFC 8259 it has strings in single quotes and the escape \'. It does
 * not have noncharacters, raw or escaped, an exponent after a lone zero, and duplicate member
 * names. U+0000 is the bytes C0 80. What yajl accepts beyond RFC 8259, comments and two more kinds
 * of space, is refused here.
 *
 * Also for the child between fork and exec: it uses malloc, and no GLib containers. */

#include "gmemjson.h"

#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

#include "gmemi18n.h"

/* QEMU's MAX_NESTING. */
#define GMEM_JSON_QEMU_DEPTH_MAX 1024

/* A member of an object, or an element of an array, which has no key. */
typedef struct {
    char *key;
    gmemJSON *value;
} gmemJSONMember;

/* Small, because a client's text can have many of them. */
struct gmemJSON {
    gmemJSONType type;
    char *text; /* a string, or how anything but an array or object is spelt */
    gmemJSONMember *items;
    size_t nitems;
    gmemJSON *parent;
};

struct gmemJSONGen {
    yajl_gen yajl;
};

/* The state of parsing. */
typedef struct {
    gmemJSON *root;
    gmemJSON *open; /* the innermost array or object that has not ended */
    char *key;      /* of its next member */
} gmemJSONReader;

/* GLib creates the locale for its g_ascii_strto…() functions when they are first used. A thread
 * that has to wait for another one there returns with the errno of a futex, and GLib then assumes
 * that the text is not a number (2.74). A child between fork and exec could wait forever. So they
 * are first used here. */
__attribute__((constructor)) static void
gmemJSONInitNumbers(void)
{
    (void)g_ascii_strtoull("0", NULL, 10);
}

static void *
gmemJSONAlloc(void *context G_GNUC_UNUSED, size_t size)
{
    return g_malloc(size);
}

static void *
gmemJSONRealloc(void *context G_GNUC_UNUSED, void *pointer, size_t size)
{
    return g_realloc(pointer, size);
}

static void
gmemJSONDealloc(void *context G_GNUC_UNUSED, void *pointer)
{
    g_free(pointer);
}

/* yajl does not check whether its allocations succeed. */
static yajl_alloc_funcs gmemJSONAllocFuncs = {
    .malloc = gmemJSONAlloc,
    .realloc = gmemJSONRealloc,
    .free = gmemJSONDealloc,
};

void
gmemJSONFree(gmemJSON *json)
{
    size_t i;

    if (json == NULL)
        return;
    for (i = 0; i < json->nitems; i++) {
        g_free(json->items[i].key);
        gmemJSONFree(json->items[i].value);
    }
    g_free(json->items);
    g_free(json->text);
    g_free(json);
}

/* Room is doubled whenever it is used up, that is, at powers of two. yajl's own tree makes room for
 * one more member each time, and if realloc() copies, this costs the square of the length. */
static void
gmemJSONAppend(gmemJSON *parent, char *key, gmemJSON *item)
{
    if ((parent->nitems & (parent->nitems - 1)) == 0)
        parent->items = g_renew(gmemJSONMember, parent->items, MAX(1, 2 * parent->nitems));
    parent->items[parent->nitems++] = (gmemJSONMember){key, item};
}

/* @text is NULL for an array or object. Returns 1, like yajl's callbacks. */
static int
gmemJSONAdd(gmemJSONReader *reader, gmemJSONType type, const char *text, size_t length)
{
    gmemJSON *json = g_new0(gmemJSON, 1);

    json->type = type;
    json->text = text != NULL ? g_strndup(text, length) : NULL;
    json->parent = reader->open;
    if (reader->open != NULL)
        gmemJSONAppend(reader->open, g_steal_pointer(&reader->key), json);
    else
        reader->root = json;
    if (text == NULL)
        reader->open = json;
    return 1;
}

static int
gmemJSONReadNull(void *reader)
{
    return gmemJSONAdd(reader, GMEM_JSON_NULL, "null", 4);
}

static int
gmemJSONReadBool(void *reader, int value)
{
    return gmemJSONAdd(reader, GMEM_JSON_BOOL, value != 0 ? "true" : "false", value != 0 ? 4 : 5);
}

static int
gmemJSONReadNumber(void *reader, const char *text, size_t length)
{
    return gmemJSONAdd(reader, GMEM_JSON_NUMBER, text, length);
}

static int
gmemJSONReadString(void *reader, const unsigned char *text, size_t length)
{
    return gmemJSONAdd(reader, GMEM_JSON_STRING, (const char *)text, length);
}

static int
gmemJSONReadKey(void *data, const unsigned char *text, size_t length)
{
    gmemJSONReader *reader = data;

    reader->key = g_strndup((const char *)text, length);
    return 1;
}

static int
gmemJSONReadObject(void *reader)
{
    return gmemJSONAdd(reader, GMEM_JSON_OBJECT, NULL, 0);
}

static int
gmemJSONReadArray(void *reader)
{
    return gmemJSONAdd(reader, GMEM_JSON_ARRAY, NULL, 0);
}

static int
gmemJSONReadEnd(void *data)
{
    gmemJSONReader *reader = data;

    reader->open = reader->open->parent;
    return 1;
}

static const yajl_callbacks gmemJSONCallbacks = {
    .yajl_null = gmemJSONReadNull,
    .yajl_boolean = gmemJSONReadBool,
    .yajl_number = gmemJSONReadNumber,
    .yajl_string = gmemJSONReadString,
    .yajl_start_map = gmemJSONReadObject,
    .yajl_map_key = gmemJSONReadKey,
    .yajl_end_map = gmemJSONReadEnd,
    .yajl_start_array = gmemJSONReadArray,
    .yajl_end_array = gmemJSONReadEnd,
};

/* @words: out: if NULL is returned: yajl's reason, to be freed with g_free(). */
static gmemJSON *
gmemJSONRead(const char *text, char **words)
{
    gmemJSONReader reader = {0};
    yajl_handle handle = yajl_alloc(&gmemJSONCallbacks, &gmemJSONAllocFuncs, &reader);
    const unsigned char *bytes = (const unsigned char *)text;
    const size_t length = strlen(text);
    yajl_status status;

    yajl_config(handle, yajl_allow_comments, 1);
    status = yajl_parse(handle, bytes, length);
    if (status == yajl_status_ok)
        status = yajl_complete_parse(handle);
    if (status != yajl_status_ok) {
        *words = (char *)yajl_get_error(handle, 1, bytes, length);
        g_clear_pointer(&reader.root, gmemJSONFree);
    }
    g_free(reader.key);
    yajl_free(handle);
    return reader.root;
}

/* Brackets inside strings do not nest; everything else about the grammar is yajl's business. Most
 * texts are too short to be too deep. */
static bool
gmemJSONTooDeep(const char *text, unsigned int depthMax)
{
    unsigned int depth = 0;
    bool string = false;

    if (strnlen(text, depthMax + 1) <= depthMax)
        return false;
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
    g_autofree char *words = NULL;
    bool deep = gmemJSONTooDeep(text, depthMax);
    gmemJSON *json = deep ? NULL : gmemJSONRead(text, &words);

    if (json != NULL || reason == NULL)
        return json;
    if (deep)
        *reason = g_strdup_printf(_("JSON nested deeper than %1$u levels"), depthMax);
    else
        *reason = g_strdup_printf(_("malformed JSON: %1$s"),
                                  words != NULL ? g_strchomp(words) : _("no value"));
    return NULL;
}

gmemJSON *
gmemJSONParse(const char *text, char **reason)
{
    return gmemJSONParseTo(text, GMEM_JSON_DEPTH_MAX, reason);
}

/* Reads four hexadecimal digits; returns -1 if there are none. */
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

/* Returns the character at @text, as QEMU reads it, and its @length in the text; -1 if it is not
 * allowed. For an escape without 'u', this is the letter. */
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

/* Converts a string of QEMU's at *@in, including its quotes, to strict JSON at *@out, and advances
 * both. */
static bool
gmemJSONString(const char **in, char **out)
{
    const char quote = *(*in)++;

    *(*out)++ = '"';
    while (**in != quote) {
        size_t length;
        int code;

        /* What most of it is. */
        if (**in >= ' ' && **in < '\x7f' && **in != '\\' && **in != '"') {
            *(*out)++ = *(*in)++;
            continue;
        }
        code = gmemJSONCharacter(*in, &length);
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

/* Converts QEMU's dialect to strict JSON. Returns NULL if QEMU's lexer refuses the text, or if yajl
 * would accept more. */
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

bool
gmemJSONIs(const gmemJSON *json, gmemJSONType type)
{
    return json != NULL && json->type == type;
}

const char *
gmemJSONText(const gmemJSON *json)
{
    return json != NULL ? json->text : NULL;
}

size_t
gmemJSONCount(const gmemJSON *json)
{
    return json != NULL ? json->nitems : 0;
}

gmemJSON *
gmemJSONItem(const gmemJSON *json, size_t i)
{
    return json->items[i].value;
}

const char *
gmemJSONKey(const gmemJSON *object, size_t i)
{
    return object->items[i].key;
}

gmemJSON *
gmemJSONGet(const gmemJSON *object, const char *name)
{
    size_t i;

    if (!gmemJSONIs(object, GMEM_JSON_OBJECT))
        return NULL;
    for (i = object->nitems; i > 0; i--) {
        if (strcmp(object->items[i - 1].key, name) == 0)
            return object->items[i - 1].value;
    }
    return NULL;
}

const char *
gmemJSONGetString(const gmemJSON *object, const char *name)
{
    const gmemJSON *string = gmemJSONGet(object, name);

    return gmemJSONIs(string, GMEM_JSON_STRING) ? string->text : NULL;
}

bool
gmemJSONGetSize(const gmemJSON *object, const char *name, unsigned long long *value)
{
    const gmemJSON *number = gmemJSONGet(object, name);
    guint64 parsed;

    if (!gmemJSONIs(number, GMEM_JSON_NUMBER) ||
        !g_ascii_string_to_unsigned(number->text, 10, 0, G_MAXUINT64, &parsed, NULL))
        return false;
    *value = parsed;
    return true;
}

static int
gmemJSONCompare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, because the text can be a client's, and long. */
static bool
gmemJSONHasTwice(const gmemJSON *object)
{
    g_autofree const char **sorted = g_new(const char *, object->nitems);
    size_t i;

    for (i = 0; i < object->nitems; i++)
        sorted[i] = object->items[i].key;
    if (object->nitems > 1)
        qsort(sorted, object->nitems, sizeof(*sorted), gmemJSONCompare);
    for (i = 1; i < object->nitems; i++) {
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            return true;
    }
    return false;
}

bool
gmemJSONHasDuplicates(const gmemJSON *json)
{
    size_t i;

    for (i = 0; i < gmemJSONCount(json); i++) {
        if (gmemJSONHasDuplicates(json->items[i].value))
            return true;
    }
    return gmemJSONIs(json, GMEM_JSON_OBJECT) && gmemJSONHasTwice(json);
}

gmemJSONGen *
gmemJSONGenNew(void)
{
    gmemJSONGen *gen = g_new0(gmemJSONGen, 1);

    gen->yajl = yajl_gen_alloc(&gmemJSONAllocFuncs);
    return gen;
}

void
gmemJSONGenFree(gmemJSONGen *gen)
{
    if (gen == NULL)
        return;
    yajl_gen_free(gen->yajl);
    g_free(gen);
}

void
gmemJSONGenBegin(gmemJSONGen *gen, gmemJSONType type)
{
    if (type == GMEM_JSON_ARRAY)
        yajl_gen_array_open(gen->yajl);
    else
        yajl_gen_map_open(gen->yajl);
}

void
gmemJSONGenEnd(gmemJSONGen *gen, gmemJSONType type)
{
    if (type == GMEM_JSON_ARRAY)
        yajl_gen_array_close(gen->yajl);
    else
        yajl_gen_map_close(gen->yajl);
}

void
gmemJSONGenString(gmemJSONGen *gen, const char *text)
{
    if (text != NULL)
        yajl_gen_string(gen->yajl, (const unsigned char *)text, strlen(text));
    else
        yajl_gen_null(gen->yajl);
}

void
gmemJSONGenNumber(gmemJSONGen *gen, guint64 number)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, number);

    yajl_gen_number(gen->yajl, text, strlen(text));
}

void
gmemJSONGenBool(gmemJSONGen *gen, bool value)
{
    yajl_gen_bool(gen->yajl, value);
}

void
gmemJSONGenValue(gmemJSONGen *gen, const gmemJSON *value)
{
    size_t i;

    if (value->type == GMEM_JSON_STRING) {
        gmemJSONGenString(gen, value->text);
    } else if (value->text != NULL) {
        yajl_gen_number(gen->yajl, value->text, strlen(value->text));
    } else {
        gmemJSONGenBegin(gen, value->type);
        for (i = 0; i < value->nitems; i++) {
            if (value->items[i].key != NULL)
                gmemJSONGenString(gen, value->items[i].key);
            gmemJSONGenValue(gen, value->items[i].value);
        }
        gmemJSONGenEnd(gen, value->type);
    }
}

char *
gmemJSONGenFinish(gmemJSONGen *gen)
{
    const unsigned char *text = NULL;
    size_t length = 0;

    if (yajl_gen_get_buf(gen->yajl, &text, &length) != yajl_gen_status_ok)
        return g_strdup("");
    return g_strndup((const char *)text, length);
}
