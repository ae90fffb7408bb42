/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemqemuconf.h: the user as which libvirt runs QEMU, from libvirt's qemu.conf. */
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
 * @path: libvirt's qemu.conf; a file that does not exist counts as an empty one
 * @user: out: the user and group that libvirt would run QEMU as
 * @error: VIR_ERR_INTERNAL_ERROR: a user or group that does not exist, or an unreadable file
 *
 * Reads `user` and `group` (names, or numbers as in "+64055") as libvirt does: the first line that
 * sets one counts. If there is none, the default of the build is used (GMEM_QEMU_USER,
 * GMEM_QEMU_GROUP); if that does not exist on this host, "nobody", and finally 65534: never root by
 * default.
 */
int gmemQEMUConfGetUser(const char *path, gmemQEMUUser *user, GError **error);
