/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemimage.h: what a save image of libvirt says about its guest's memory. */
#pragma once

#include <stdbool.h>

#include "gmemmode.h"

/**
 * gmemImageMode:
 * @fd: of a regular file; its offset is neither used nor changed
 * @mode: out: the mode of the guest in the image
 *
 * Returns whether @fd is a save image whose XML could be read. Takes no lock, because it is called
 * in the child between fork and exec.
 */
bool gmemImageMode(int fd, gmemMode *mode);

/* gmemImageIsPrivate: whether the file @path is a save image of a guest with private memory, as far
 * as the daemon may read it. Does not wait for anybody. */
bool gmemImageIsPrivate(const char *path);

/* gmemImageIsOrdinary: whether the file @path is a save image without a pair, as far as its text
 * goes: of a guest with ordinary memory, or cut off, which libvirt refuses. So libvirt need not
 * parse it. Does not wait for anybody, except for a file that gmemDriverIsSpecialFile() is true
 * for. */
bool gmemImageIsOrdinary(const char *path);
