/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemstatus.h: finds and reads what the shim in a QEMU publishes (gmemshimstatus.h).
 *
 * Guests attack QEMU, so what QEMU has written is treated as hostile input. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemshimstatus.h"

/**
 * gmemStatusOpen:
 * @directory: a descriptor of /proc/PID
 * @why: out: 0 or an errno
 *
 * Returns a descriptor of that process's status, which the caller has to close. It is certainly a
 * memfd: nothing else is opened, because that could wait forever. Returns -1 if there is none
 * (*@why is 0, or ENOENT or ESRCH if the process has ended), or if the process may not be
 * inspected.
 */
int gmemStatusOpen(int directory, int *why);

/**
 * gmemStatusRead:
 * @fd: from gmemStatusOpen()
 * @fault: out: the reason why it cannot be read; translated
 *
 * Reads a status of any version into the layout of the latest one. Takes at most a second. Returns
 * it, to be freed with g_free(), or NULL.
 */
gmemShimStatus *gmemStatusRead(int fd, const char **fault);

/**
 * gmemStatusReadSlots:
 * @fd: from gmemStatusOpen()
 * @status: from gmemStatusRead()
 *
 * Returns the KVM memory slots that are in use, as an array of gmemShimStatusSlot; free with
 * g_array_unref(). Returns NULL if they are not reported, do not fit into the list, or are being
 * changed for a second.
 */
GArray *gmemStatusReadSlots(int fd, const gmemShimStatus *status);

/* gmemStatusIsSealed: whether @fd is a memfd of the kind that a shim makes, and nothing else. What
 * it says can still be a lie if QEMU was taken over. */
bool gmemStatusIsSealed(int fd);
