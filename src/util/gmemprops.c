/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemprops.c: the properties of a QEMU option, as key=value,… or as JSON.
 *
 * Both parsers of key=value,… take a first word without '=' for the value of an implied key, a
 * doubled comma for one comma in a value, and the last value of a duplicate key. QemuOpts (QEMU's
 * util/qemu-option.c) accepts any key, takes a key without '=' for a boolean, and uses the first
 * value of "id", which must be an identifier. keyval (util/keyval.c) requires '=' after every other
 * key, ends an implied value at the first comma, and has structured keys: "a.b=", "list.0=".
 * Whether they all fit into one structure is left to QEMU. */

#include "gmemprops.h"

#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"

/* QEMU's limit for each part of a key. */
#define GMEM_KEYVAL_PART_MAX 127

void
gmemPropsClear(gmemProps *props)
{
    gmemJSONFree(props->json);
    props->json = NULL;
}

bool
gmemPropsIsId(const char *value)
{
    if (!g_ascii_isalpha(*value))
        return false;
    while (g_ascii_isalnum(*value) || *value == '-' || *value == '.' || *value == '_')
        value++;
    return *value == '\0';
}

/* Whether @key is a key of keyval: parts separated by dots, each of which is a name (a letter, then
 * letters, digits, '-' and '_', which can be prefixed with a vendor's "__com.example_") or, except
 * for the first, a number. */
static bool
gmemPropsKeyvalIsKey(const char *key, size_t length)
{
    const char *end = key + length;
    const char *part = key;

    for (;;) {
        const char *at = part;

        if (part != key && g_ascii_isdigit(*at)) {
            while (at < end && g_ascii_isdigit(*at))
                at++;
        } else {
            if (strncmp(at, "__", 2) == 0) {
                for (at += 2; at < end && (g_ascii_isalnum(*at) || *at == '-' || *at == '.'); at++)
                    continue;
                if (at == end || *at++ != '_')
                    return false;
            }
            if (at == end || !g_ascii_isalpha(*at))
                return false;
            while (at < end && (g_ascii_isalnum(*at) || *at == '-' || *at == '_'))
                at++;
        }
        if (at - part > GMEM_KEYVAL_PART_MAX || (at < end && *at != '.'))
            return false;
        if (at == end)
            return true;
        part = at + 1;
    }
}

/* One pair of key=value,…, which points into the text: none of it is terminated. */
typedef struct {
    const char *key;
    size_t keyLength;
    const char *value; /* commas in it are doubled */
    size_t length;
} gmemPropsPair;

static char *
gmemPropsPairValue(const gmemPropsPair *pair)
{
    char *value = g_malloc(pair->length + 1);
    char *out = value;
    size_t i;

    for (i = 0; i < pair->length; i += pair->value[i] == ',' ? 2 : 1)
        *out++ = pair->value[i];
    *out = '\0';
    return value;
}

static bool
gmemPropsPairIs(const gmemPropsPair *pair, const char *key)
{
    return strlen(key) == pair->keyLength && memcmp(pair->key, key, pair->keyLength) == 0;
}

/* Moves past @pair's value, which begins at the text, and past its comma. */
static void
gmemPropsPairEnd(gmemKeyval *keyval, gmemPropsPair *pair)
{
    const char *end = keyval->text;

    while (*end != '\0' && (*end != ',' || end[1] == ','))
        end += *end == ',' ? 2 : 1;
    pair->value = keyval->text;
    pair->length = (size_t)(end - keyval->text);
    keyval->text = *end == ',' ? end + 1 : end;
}

/* As gmemPropsKeyvalNext(). */
static int
gmemPropsPairNext(gmemKeyval *keyval, gmemPropsPair *pair)
{
    size_t length = strcspn(keyval->text, "=,");
    bool assigned = keyval->text[length] == '=';
    const char *implied = keyval->implied;
    bool no;

    if (keyval->text[0] == '\0')
        return 0;
    keyval->implied = NULL;
    if (!assigned && implied != NULL && (keyval->opts || length > 0)) {
        *pair = (gmemPropsPair){implied, strlen(implied), keyval->text, length};
        if (keyval->opts)
            gmemPropsPairEnd(keyval, pair);
        else
            keyval->text += length + (keyval->text[length] == ',' ? 1 : 0);
        return 1;
    }
    if (!keyval->opts && (!assigned || !gmemPropsKeyvalIsKey(keyval->text, length)))
        return -1;
    *pair = (gmemPropsPair){.key = keyval->text, .keyLength = length};
    keyval->text += length;
    if (assigned) {
        keyval->text++;
        gmemPropsPairEnd(keyval, pair);
        return 1;
    }
    if (*keyval->text == ',')
        keyval->text++;
    no = length >= 2 && strncmp(pair->key, "no", 2) == 0;
    pair->value = no ? "off" : "on";
    pair->length = strlen(pair->value);
    pair->key += no ? 2 : 0;
    pair->keyLength -= no ? 2 : 0;
    return 1;
}

int
gmemPropsKeyvalNext(gmemKeyval *keyval, char **key, char **value)
{
    gmemPropsPair pair;
    int rc = gmemPropsPairNext(keyval, &pair);

    if (rc > 0) {
        *key = g_strndup(pair.key, pair.keyLength);
        *value = gmemPropsPairValue(&pair);
    }
    return rc;
}

/* The value of @key that is effective, or NULL if it is missing. */
static char *
gmemPropsKeyvalGet(gmemKeyval keyval, const char *key)
{
    bool first = keyval.opts && strcmp(key, "id") == 0;
    gmemPropsPair found = {0};
    gmemPropsPair pair;

    while (gmemPropsPairNext(&keyval, &pair) > 0) {
        if (gmemPropsPairIs(&pair, key) && (found.key == NULL || !first))
            found = pair;
    }
    return found.key != NULL ? gmemPropsPairValue(&found) : NULL;
}

/* Whether all of it can be read. */
static bool
gmemPropsKeyvalIsValid(gmemKeyval keyval)
{
    g_autofree char *id = keyval.opts ? gmemPropsKeyvalGet(keyval, "id") : NULL;
    gmemPropsPair pair;
    int rc;

    while ((rc = gmemPropsPairNext(&keyval, &pair)) > 0)
        continue;
    return rc == 0 && (id == NULL || gmemPropsIsId(id));
}

int
gmemPropsInit(gmemProps *props,
              const gmemArgvOption *option,
              gmemPropsNotation notation,
              const char *implied,
              GError **error)
{
    bool json = notation == GMEM_PROPS_OPTS_OR_JSON || notation == GMEM_PROPS_KEYVAL_OR_JSON;
    bool opts = notation == GMEM_PROPS_OPTS || notation == GMEM_PROPS_OPTS_OR_JSON;

    if (option->value == NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("the option '-%1$s' at the end of QEMU's command line has no value"),
                            option->name);
    props->keyval = (gmemKeyval){option->value, implied, opts};
    if (option->value[0] == '{' && json)
        props->json = gmemJSONParseQEMU(option->value);
    if (option->value[0] == '{' ? props->json == NULL : !gmemPropsKeyvalIsValid(props->keyval))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("cannot read the value of QEMU's option '-%1$s %2$s'"), option->name,
                            option->value);
    return 0;
}

/* The spelling of a scalar, or an empty string for anything else. */
static char *
gmemPropsSpelling(gmemJSON *value)
{
    if (gmemJSONIs(value, GMEM_JSON_STRING) || gmemJSONIs(value, GMEM_JSON_NUMBER))
        return g_strdup(gmemJSONText(value));
    if (gmemJSONIs(value, GMEM_JSON_BOOL))
        return g_strdup(strcmp(gmemJSONText(value), "true") == 0 ? "on" : "off");
    return g_strdup("");
}

char *
gmemPropsGet(const gmemProps *props, const char *key)
{
    gmemJSON *value;

    if (props->json == NULL)
        return gmemPropsKeyvalGet(props->keyval, key);
    value = gmemJSONGet(props->json, key);
    return value != NULL ? gmemPropsSpelling(value) : NULL;
}

/* Both forms of a list in key=value,…: "key=0-3" and "key.0=0,key.1=1". */
static char *
gmemPropsKeyvalGetList(gmemKeyval keyval, const char *key)
{
    const size_t implied = keyval.implied != NULL ? strlen(keyval.implied) : 0;
    /* A word "," becomes "=on,"; the first one is prefixed with the implied key. */
    char *list = g_malloc0(4 * (strlen(keyval.text) + 1) + implied + 1);
    const size_t length = strlen(key);
    char *end = list;
    char *name, *value;

    while (gmemPropsKeyvalNext(&keyval, &name, &value) > 0) {
        if (strncmp(name, key, length) == 0 && (name[length] == '\0' || name[length] == '.'))
            end = g_stpcpy(g_stpcpy(g_stpcpy(g_stpcpy(end, name), "="), value), ",");
        g_free(name);
        g_free(value);
    }
    if (end == list)
        g_clear_pointer(&list, g_free);
    return list;
}

char *
gmemPropsGetList(const gmemProps *props, const char *key)
{
    g_autoptr(gmemJSONGen) gen = NULL;
    gmemJSON *list;

    if (props->json == NULL)
        return gmemPropsKeyvalGetList(props->keyval, key);
    list = gmemJSONGet(props->json, key);
    if (list == NULL)
        return NULL;
    gen = gmemJSONGenNew();
    gmemJSONGenValue(gen, list);
    return gmemJSONGenFinish(gen);
}

bool
gmemPropsIsTrue(const char *value)
{
    static const char *const words[] = {"on", "yes", "true", "y", NULL};

    return g_strv_contains(words, value);
}

int
gmemPropsGetBool(const gmemProps *props, const char *key)
{
    g_autofree char *value = gmemPropsGet(props, key);

    if (value == NULL)
        return -1;
    return gmemPropsIsTrue(value) ? 1 : 0;
}

bool
gmemPropsGetSize(const gmemProps *props, const char *key, unsigned long long *size)
{
    static const char suffixes[] = "bkmgtpe";
    g_autofree char *value = gmemPropsGet(props, key);
    const char *suffix = NULL;
    size_t length = value != NULL ? strlen(value) : 0;
    unsigned int shift = 0;
    guint64 number;

    if (length == 0)
        return false;
    if (g_ascii_isalpha(value[length - 1])) {
        suffix = strchr(suffixes, g_ascii_tolower(value[length - 1]));
        if (suffix == NULL)
            return false;
        shift = 10 * (unsigned int)(suffix - suffixes);
        value[length - 1] = '\0';
    }
    if (!g_ascii_string_to_unsigned(value, 10, 1, G_MAXUINT64 >> shift, &number, NULL))
        return false;
    *size = number << shift;
    return true;
}

static char *
gmemPropsFindJSON(gmemJSON *json, const char *key, bool (*match)(const char *value))
{
    bool object = gmemJSONIs(json, GMEM_JSON_OBJECT);
    char *found = NULL;
    size_t i;

    for (i = 0; found == NULL && i < gmemJSONCount(json); i++) {
        gmemJSON *value = gmemJSONItem(json, i);

        if (object && gmemJSONIs(value, GMEM_JSON_STRING) &&
            strcmp(gmemJSONKey(json, i), key) == 0 && match(gmemJSONText(value)))
            return g_strdup(gmemJSONText(value));
        found = gmemPropsFindJSON(value, key, match);
    }
    return found;
}

char *
gmemPropsFind(const gmemProps *props, const char *key, bool (*match)(const char *value))
{
    g_autofree char *suffix = g_strconcat(".", key, NULL);
    gmemKeyval keyval = props->keyval;
    char *found = NULL;
    char *name, *value;

    if (props->json != NULL)
        return gmemPropsFindJSON(props->json, key, match);
    while (found == NULL && gmemPropsKeyvalNext(&keyval, &name, &value) > 0) {
        if ((strcmp(name, key) == 0 || g_str_has_suffix(name, suffix)) && match(value))
            found = g_steal_pointer(&value);
        g_free(name);
        g_free(value);
    }
    return found;
}
