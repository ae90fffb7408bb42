/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemhostconf.h: what the administrator has decided for all domains of the host. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Not there: everything as it is by default. */
#define GMEM_HOST_CONF_FILE "/etc/libvirt/gmem.conf"

typedef struct {
    bool startPrivate; /* [convertible] start=private: memory is private when the guest starts */
} gmemHostConf;

/**
 * gmemHostConfRead:
 * @path: GMEM_HOST_CONF_FILE
 * @conf: out
 * @error: VIR_ERR_CONFIG_UNSUPPORTED: the file is there and cannot be read, is not root's alone to
 *         write, is no GKeyFile, or says what is not known; the message names it
 *
 * Returns 0, or -1 with @error.
 */
int gmemHostConfRead(const char *path, gmemHostConf *conf, GError **error);

/**
 * gmemHostConfRefresh:
 * @path: GMEM_HOST_CONF_FILE
 * @error: as gmemHostConfRead()
 *
 * Reads and keeps what was found, be it an error, for gmemHostConfGet(). Thread-safe.
 *
 * Returns 0, or -1 with @error.
 */
int gmemHostConfRefresh(const char *path, GError **error);

/**
 * gmemHostConfGet:
 * @conf: out: what the last gmemHostConfRefresh() of this process, or of the one that it was forked
 * off, found
 * @error: its error; VIR_ERR_INTERNAL_ERROR where there was none
 *
 * For the child between fork and exec, whose user need not be one that may read the file. Takes no
 * lock.
 */
int gmemHostConfGet(gmemHostConf *conf, GError **error);
