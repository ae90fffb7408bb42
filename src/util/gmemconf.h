/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemconf.h: what the administrator has decided for all domains of the host. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Not there: everything as it is by default. */
#define GMEM_CONF_FILE "/etc/libvirt/gmem.conf"

typedef struct {
    bool startPrivate; /* [convertible] start=private: memory is private when the guest starts */
} gmemConf;

/**
 * gmemConfRead:
 * @path: GMEM_CONF_FILE
 * @conf: out
 * @error: VIR_ERR_CONFIG_UNSUPPORTED: the file is there and cannot be read, is not root's alone to
 *         write, is no GKeyFile, or says what is not known; the message names it
 *
 * Returns 0, or -1 with @error.
 */
int gmemConfRead(const char *path, gmemConf *conf, GError **error);

/**
 * gmemConfRefresh:
 * @path: GMEM_CONF_FILE
 * @error: as gmemConfRead()
 *
 * Reads and keeps what was found, be it an error, for gmemConfGet(). Thread-safe.
 *
 * Returns 0, or -1 with @error.
 */
int gmemConfRefresh(const char *path, GError **error);

/**
 * gmemConfGet:
 * @conf: out: what the last gmemConfRefresh() of this process, or of the one that it was forked
 * off, found
 * @error: its error; VIR_ERR_INTERNAL_ERROR where there was none
 *
 * For the child between fork and exec, whose user need not be one that may read the file. Takes no
 * lock.
 */
int gmemConfGet(gmemConf *conf, GError **error);
