/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemhostconf.h: what the administrator has configured for all domains of the host. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#include "config.h"

#include "gmemmode.h"

/* If it does not exist, everything has its default. */
#define GMEM_HOST_CONF_FILE GMEM_LIBVIRT_SYSCONFDIR "/gmem.conf"

/* The conditions of a rule. To add one: here, its key in gmemhostconf.c, and where it is looked up
 * in gmemrules.c. */
typedef enum {
    GMEM_HOST_CONF_NAME = 0,
    GMEM_HOST_CONF_TITLE,
    GMEM_HOST_CONF_NOVA_FLAVOR,
    GMEM_HOST_CONF_NOVA_EXTRA_SPEC,
    GMEM_HOST_CONF_NOVA_IMAGE_PROPERTY,
    GMEM_HOST_CONF_CONDITION_LAST
} gmemHostConfCondition;

const char *gmemHostConfConditionToString(gmemHostConfCondition condition);

/* [rule NAME]: domains that meet all of its conditions get at least this mode. */
typedef struct {
    char *name;
    gmemMode mode;
    /* NULL if there is no such condition, otherwise a pattern with '*' and '?'. Those of
     * GMEM_HOST_CONF_NOVA_EXTRA_SPEC and GMEM_HOST_CONF_NOVA_IMAGE_PROPERTY are for the name in
     * keys[]. */
    char *patterns[GMEM_HOST_CONF_CONDITION_LAST];
    char *keys[GMEM_HOST_CONF_CONDITION_LAST];
} gmemHostConfRule;

typedef struct {
    bool startPrivate; /* [convertible] start=private: memory is private when the guest starts */
    /* [read-only] domain-xml=stored: read-only connections are shown what libvirt stores. */
    bool readOnlyStored;
    gmemHostConfRule *rules; /* in the order of the file */
    size_t nrules;
} gmemHostConf;

/* gmemHostConfClear: frees what gmemHostConfRead() and gmemHostConfParse() have stored in @conf. */
void gmemHostConfClear(gmemHostConf *conf);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemHostConf, gmemHostConfClear)

/**
 * gmemHostConfRead:
 * @path: GMEM_HOST_CONF_FILE
 * @conf: out; to be cleared with gmemHostConfClear(); empty after an error, and if there is no file
 * @error: VIR_ERR_CONFIG_UNSUPPORTED: the file exists but cannot be read, is not owned by root or
 *         is writable by others, or gmemHostConfParse() refuses it; the message names it
 *
 * Returns 0, or -1 with @error.
 */
int gmemHostConfRead(const char *path, gmemHostConf *conf, GError **error);

/**
 * gmemHostConfParse:
 * @path: for messages
 * @text: the contents of the file: groups and keys as in a GKeyFile, but none of them twice
 * @conf, @error: as above; the message has the number of the line
 *
 * If anything is unknown, the whole file is refused.
 */
int gmemHostConfParse(const char *path, const char *text, gmemHostConf *conf, GError **error);

/**
 * gmemHostConfRefresh:
 * @path: GMEM_HOST_CONF_FILE
 * @error: as gmemHostConfRead()
 *
 * Reads the file and, if it has changed, stores the result for gmemHostConfGet(), even if it is an
 * error. Thread-safe. If there is no file, this costs one open(2).
 *
 * Returns 0, or -1 with @error.
 */
int gmemHostConfRefresh(const char *path, GError **error);

/**
 * gmemHostConfGet:
 * @conf: out: the result of the last gmemHostConfRefresh() in this process or its parent; valid as
 * long as the process exists, and must not be cleared
 * @error: its error; VIR_ERR_INTERNAL_ERROR if there was no such call
 *
 * For the child between fork and exec, whose user may not be allowed to read the file. Takes no
 * lock.
 */
int gmemHostConfGet(gmemHostConf *conf, GError **error);
