/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemstatus.h: finds and reads what the shim in a QEMU publishes (gmemshimstatus.h).
 *
 * Guests attack QEMU: what QEMU has written is read as hostile input. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemshimstatus.h"

/**
 * gmemStatusOpen:
 * @directory: a descriptor of /proc/PID
 * @why: out: 0 or an errno
 *
 * Returns a descriptor, the caller's, of that process's status. It is a memfd for certain: nothing
 * else is opened, because that could wait for ever. -1 where there is none (@why is 0, or ENOENT or
 * ESRCH where the process has ended), or it may not be looked at.
 */
int gmemStatusOpen(int directory, int *why);

/**
 * gmemStatusRead:
 * @fd: of gmemStatusOpen()
 * @fault: out: why it cannot be read; translated
 *
 * Reads a status of any version into the layout of the latest. Takes a second at most. Returns it,
 * to be freed with g_free(), or NULL.
 */
gmemShimStatus *gmemStatusRead(int fd, const char **fault);

/**
 * gmemStatusReadSlots:
 * @fd: of gmemStatusOpen()
 * @status: of gmemStatusRead()
 *
 * Returns KVM's memory slots, of gmemShimStatusSlot, those in use only; free with g_array_unref().
 * NULL where they are not reported, do not fit into the list, or are being changed for a second.
 */
GArray *gmemStatusReadSlots(int fd, const gmemShimStatus *status);

/* gmemStatusIsSealed: whether @fd is a memfd of the kind that a shim makes, and nothing else: what
 * it says may be a lie nevertheless, if QEMU was taken over. */
bool gmemStatusIsSealed(int fd);
