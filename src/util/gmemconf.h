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
 * Returns 0, or -1 with @error. Takes no lock.
 */
int gmemConfRead(const char *path, gmemConf *conf, GError **error);
