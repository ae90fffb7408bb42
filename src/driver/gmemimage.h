/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemimage.h: what a save image of libvirt's itself says of its guest's memory. */
#pragma once

#include <stdbool.h>

#include "gmemplan.h"

/**
 * gmemImageMode:
 * @fd: of a regular file; where it stands is neither used nor changed
 * @mode: out: that of the guest in there
 *
 * Returns whether @fd is a save image whose XML could be read. Takes no lock: it is asked in the
 * child between fork and exec.
 */
bool gmemImageMode(int fd, gmemMode *mode);

/* gmemImageIsPrivate: whether the file @path is a save image of a guest with private memory, as far
 * as the daemon may read it. Waits for nobody. */
bool gmemImageIsPrivate(const char *path);
