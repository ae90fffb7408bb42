/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemfirmware.h: what QEMU's firmware descriptors say of a firmware image. */
#pragma once

#include <stdbool.h>

/**
 * gmemFirmwareRequiresSMM:
 * @path: a firmware image, as domain XML or QEMU's command line names it
 *
 * Whether the descriptors that the host has for that file, by whatever name, all list the feature
 * "requires-smm". Such an image does not get beyond its first instructions where there is no system
 * management mode. An image without a descriptor, or with one that cannot be read, counts as one
 * that does not.
 *
 * Facts: QEMU's docs/interop/firmware.json (members, directories and their order).
 *
 * Called also in the child between fork and exec: takes no lock.
 */
bool gmemFirmwareRequiresSMM(const char *path);

/* gmemFirmwareRequiresSMMIn: the same for a NULL-terminated list of directories, of which an
 * earlier one takes precedence. */
bool gmemFirmwareRequiresSMMIn(const char *const directories[], const char *path);
