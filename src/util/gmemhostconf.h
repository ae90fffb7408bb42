/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemhostconf.h: what the administrator has decided for all domains of the host. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#include "gmemmode.h"

/* Not there: everything as it is by default. */
#define GMEM_HOST_CONF_FILE "/etc/libvirt/gmem.conf"

/* What a rule can ask of a domain. To add one: here, its key in gmemhostconf.c, and where it is
 * looked for in gmemrules.c. */
typedef enum {
    GMEM_HOST_CONF_NAME = 0,
    GMEM_HOST_CONF_TITLE,
    GMEM_HOST_CONF_NOVA_FLAVOR,
    GMEM_HOST_CONF_NOVA_EXTRA_SPEC,
    GMEM_HOST_CONF_NOVA_IMAGE_PROPERTY,
    GMEM_HOST_CONF_CONDITION_LAST
} gmemHostConfCondition;

const char *gmemHostConfConditionToString(gmemHostConfCondition condition);

/* [rule NAME]: domains that meet all of its conditions have at least this mode. */
typedef struct {
    char *name;
    gmemMode mode;
    /* NULL: not asked for. Else with '*' and '?'; those of GMEM_HOST_CONF_NOVA_EXTRA_SPEC and
     * GMEM_HOST_CONF_NOVA_IMAGE_PROPERTY are for what is called keys[]. */
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

/* gmemHostConfClear: frees what gmemHostConfRead() and gmemHostConfParse() have put into @conf. */
void gmemHostConfClear(gmemHostConf *conf);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemHostConf, gmemHostConfClear)

/**
 * gmemHostConfRead:
 * @path: GMEM_HOST_CONF_FILE
 * @conf: out; to be cleared with gmemHostConfClear(); empty after an error, and where there is no
 * file
 * @error: VIR_ERR_CONFIG_UNSUPPORTED: the file is there and cannot be read, is not owned by root or
 *         is writable by others, or gmemHostConfParse() refuses it; the message names it
 *
 * Returns 0, or -1 with @error.
 */
int gmemHostConfRead(const char *path, gmemHostConf *conf, GError **error);

/**
 * gmemHostConfParse:
 * @path: for messages
 * @text: what is in the file: groups and keys as in a GKeyFile, but none of them twice
 * @conf, @error: as above; the message has the line's number
 *
 * What is unknown is refused, and all of the file with it.
 */
int gmemHostConfParse(const char *path, const char *text, gmemHostConf *conf, GError **error);

/**
 * gmemHostConfRefresh:
 * @path: GMEM_HOST_CONF_FILE
 * @error: as gmemHostConfRead()
 *
 * Reads the file and, where it has changed, keeps the result, also if it is an error, for
 * gmemHostConfGet(). Thread-safe. Where there is no file, this costs one open(2).
 *
 * Returns 0, or -1 with @error.
 */
int gmemHostConfRefresh(const char *path, GError **error);

/**
 * gmemHostConfGet:
 * @conf: out: what the last gmemHostConfRefresh() of this process, or of the one that it was forked
 * off, found; nobody's to clear, and there for as long as the process is
 * @error: its error; VIR_ERR_INTERNAL_ERROR where there was none
 *
 * For the child between fork and exec, whose user may not be allowed to read the file. Takes no
 * lock.
 */
int gmemHostConfGet(gmemHostConf *conf, GError **error);
