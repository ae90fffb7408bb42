/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemprops.c: the properties that an option of QEMU's has, as key=value,… or as JSON. */

#include "gmemprops.h"

#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"

void
gmemPropsClear(gmemProps *props)
{
    gmemJSONFree(props->json);
    props->json = NULL;
}

bool
gmemKeyvalNext(const char **text, const char *implied, char **key, char **value)
{
    const char *end = *text + strcspn(*text, "=,");
    char *out;

    if (**text == '\0')
        return false;
    if (*end == '=') {
        *key = g_strndup(*text, (size_t)(end - *text));
        *text = end + 1;
    } else if (implied != NULL) {
        *key = g_strdup(implied);
    } else {
        *key = g_strndup(*text, (size_t)(end - *text));
        *value = g_strdup("on");
        *text = *end == ',' ? end + 1 : end;
        return true;
    }
    *value = out = g_malloc(strlen(*text) + 1);
    for (; **text != '\0'; (*text)++) {
        if (**text == ',' && *++*text != ',')
            break;
        *out++ = **text;
    }
    *out = '\0';
    return true;
}

/* The value of @key, the last where it is given more than once; NULL where it is not there. */
static char *
gmemKeyvalGet(const char *text, const char *implied, const char *key)
{
    char *found = NULL;
    bool first = true;
    char *name, *value;

    while (gmemKeyvalNext(&text, first ? implied : NULL, &name, &value)) {
        if (strcmp(name, key) == 0) {
            g_free(found);
            found = g_steal_pointer(&value);
        }
        g_free(name);
        g_free(value);
        first = false;
    }
    return found;
}

int
gmemPropsInit(gmemProps *props, const gmemArgvOption *option, const char *implied, GError **error)
{
    props->text = option->value;
    props->implied = implied;
    if (option->value == NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("the option '-%s' at the end of QEMU's command line has no value"),
                            option->name);
    if (option->value[0] != '{')
        return 0;
    props->json = gmemJSONParse(option->value, NULL);
    if (props->json == NULL || gmemJSONHasDuplicates(props->json))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("cannot read the value of QEMU's option '-%s %s'"), option->name,
                            option->value);
    return 0;
}

char *
gmemPropsGet(const gmemProps *props, const char *key)
{
    gmemJSON *value;

    if (props->json == NULL)
        return gmemKeyvalGet(props->text, props->implied, key);
    value = gmemJSONGet(props->json, key);
    if (value == NULL)
        return NULL;
    if (YAJL_IS_STRING(value))
        return g_strdup(YAJL_GET_STRING(value));
    if (YAJL_IS_NUMBER(value))
        return g_strdup(YAJL_GET_NUMBER(value));
    if (YAJL_IS_TRUE(value) || YAJL_IS_FALSE(value))
        return g_strdup(YAJL_IS_TRUE(value) ? "on" : "off");
    return g_strdup("");
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
