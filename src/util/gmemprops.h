/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemprops.h: the properties that an option of QEMU's has, as key=value,… or as JSON. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemargv.h"
#include "gmemjson.h"

/* The value of an option that has properties, in either notation. */
typedef struct {
    const char *text;    /* as in argv, which owns it */
    const char *implied; /* key of a first word without '=' */
    gmemJSON *json;      /* NULL: key=value,… */
} gmemProps;

/**
 * gmemPropsInit:
 * @props: to be cleared with gmemPropsClear(), whatever is returned
 * @option: has to outlive @props
 * @implied: key of a first word without '='; NULL: none
 * @error: VIR_ERR_CONFIG_UNSUPPORTED for an option without a value, or one that cannot be read
 *
 * Like all of this file, called also in the child between fork and exec: takes no lock.
 */
int
gmemPropsInit(gmemProps *props, const gmemArgvOption *option, const char *implied, GError **error);

void gmemPropsClear(gmemProps *props);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemProps, gmemPropsClear)

/**
 * gmemPropsGet:
 *
 * Returns the spelling of a property, to be freed with g_free(), or NULL where it is not there.
 * Something nested is an empty string, which is no valid value of any property asked for here.
 */
char *gmemPropsGet(const gmemProps *props, const char *key);

/* gmemPropsIsTrue: whether @value is one of QEMU's words for true. */
bool gmemPropsIsTrue(const char *value);

/* gmemPropsGetBool: 1, 0, or -1 where the property is not there. Anything unreadable counts as not
 * true. */
int gmemPropsGetBool(const gmemProps *props, const char *key);

/* gmemPropsGetSize: a property in bytes; with QEMU's suffixes in key=value notation. Returns false
 * where it is not there, or is no such number. */
bool gmemPropsGetSize(const gmemProps *props, const char *key, unsigned long long *size);

/**
 * gmemKeyvalNext:
 * @text: what is left of key=value,…; moved on
 * @implied: key of a word without '='; NULL: such a word is a boolean, and "on"
 * @key, @value: to be freed with g_free()
 *
 * Returns false at the end. A doubled comma is a comma of the value.
 */
bool gmemKeyvalNext(const char **text, const char *implied, char **key, char **value);
