/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemprops.h: the properties of a QEMU option, as key=value,… or as JSON. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemargv.h"
#include "gmemjson.h"

/* QEMU has two parsers of key=value,…, and some options also accept JSON: a value that begins with
 * '{'. With the other notations, such a value is refused. */
typedef enum {
    GMEM_PROPS_OPTS,           /* -accel, -drive, -global, -numa, -overcommit */
    GMEM_PROPS_OPTS_OR_JSON,   /* -device, -netdev, -object */
    GMEM_PROPS_KEYVAL,         /* -machine */
    GMEM_PROPS_KEYVAL_OR_JSON, /* -blockdev */
} gmemPropsNotation;

/* Goes through key=value,…; set it up as { text, implied, opts }. */
typedef struct {
    const char *text;    /* what is left */
    const char *implied; /* key of a first word without '='; NULL: none */
    bool opts;           /* QemuOpts: a key alone is "on", with "no" in front of it "off" */
} gmemKeyval;

typedef struct {
    gmemKeyval keyval; /* its text is argv's */
    gmemJSON *json;    /* NULL: key=value,… */
} gmemProps;

/**
 * gmemPropsInit:
 * @props: to be cleared with gmemPropsClear(), whatever is returned
 * @option: its value must outlive @props
 * @implied: key of a first word without '='; NULL: none
 * @error: VIR_ERR_CONFIG_UNSUPPORTED for an option without a value, or with a value that QEMU
 * refuses to read
 *
 * Like everything in this file, also called in the child between fork and exec: takes no lock.
 */
int gmemPropsInit(gmemProps *props,
                  const gmemArgvOption *option,
                  gmemPropsNotation notation,
                  const char *implied,
                  GError **error);

void gmemPropsClear(gmemProps *props);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemProps, gmemPropsClear)

/**
 * gmemPropsGet:
 *
 * Returns the spelling of a property, to be freed with g_free(), or NULL if it is missing. A
 * boolean of JSON is "on" or "off". A nested value is an empty string, which is not a valid value
 * of any property that is looked up here.
 */
char *gmemPropsGet(const gmemProps *props, const char *key);

/**
 * gmemPropsGetList:
 *
 * Returns the value of a property that is a list, in a form that can be compared, to be freed with
 * g_free(), or NULL if it is missing.
 */
char *gmemPropsGetList(const gmemProps *props, const char *key);

/* gmemPropsIsId: whether @value is what QEMU accepts as an identifier. */
bool gmemPropsIsId(const char *value);

/* gmemPropsIsTrue: whether @value is one of QEMU's words for true. */
bool gmemPropsIsTrue(const char *value);

/* gmemPropsGetBool: 1, 0, or -1 if the property is missing. An unreadable value counts as not true.
 */
int gmemPropsGetBool(const gmemProps *props, const char *key);

/* gmemPropsGetSize: a property in bytes, in key=value notation with QEMU's suffixes. Returns false
 * if it is missing, or is not such a number. */
bool gmemPropsGetSize(const gmemProps *props, const char *key, unsigned long long *size);

/**
 * gmemPropsFind:
 * @key: a name, at any depth
 * @match: whether a value is the one that is looked for
 *
 * Returns the first such value, to be freed with g_free(), or NULL.
 */
char *gmemPropsFind(const gmemProps *props, const char *key, bool (*match)(const char *value));

/**
 * gmemPropsKeyvalNext:
 * @key, @value: out: to be freed with g_free(); set if 1 is returned
 *
 * Returns 1, 0 at the end, or -1 if QEMU refuses the rest. A doubled comma is returned as one comma
 * of the value.
 */
int gmemPropsKeyvalNext(gmemKeyval *keyval, char **key, char **value);
