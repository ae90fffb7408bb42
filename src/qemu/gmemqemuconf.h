/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemqemuconf.h: libvirt's qemu.conf: the user that it runs QEMU as. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* The system daemon's (config.h). */
#define GMEM_QEMU_CONF_FILE GMEM_LIBVIRT_SYSCONFDIR "/qemu.conf"

typedef struct {
    uid_t uid; /* who the emulator runs as */
    gid_t gid;
} gmemQEMUUser;

/**
 * gmemQEMUConfGetUser:
 * @path: libvirt's qemu.conf; one that does not exist is as good as an empty one
 * @user: out: the user and group that libvirt would run QEMU as
 * @error: VIR_ERR_INTERNAL_ERROR: a user or group that does not exist, an unreadable file
 *
 * Reads `user` and `group` (names, or numbers as in "+64055") as libvirt does: the first line that
 * sets one counts. Where there is none, the default of the build (GMEM_QEMU_USER, GMEM_QEMU_GROUP);
 * where that does not exist on this host, "nobody", and at last 65534: never root by default.
 */
int gmemQEMUConfGetUser(const char *path, gmemQEMUUser *user, GError **error);
