/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemfirmware.h: what QEMU's firmware descriptors say about a firmware image. */
#pragma once

#include <stdbool.h>

/**
 * gmemFirmwareRequiresSMM:
 * @path: a firmware image, as domain XML or QEMU's command line names it
 *
 * Whether all descriptors that the host has for that file, by whatever name, list the feature
 * "requires-smm". Without system management mode, such an image does not get beyond its first
 * instructions. An image without a descriptor, or with one that cannot be read, counts as one that
 * does not require it.
 *
 * Source: QEMU's docs/interop/firmware.json (members, directories and their order).
 *
 * Also called in the child between fork and exec: takes no lock.
 */
bool gmemFirmwareRequiresSMM(const char *path);

/* gmemFirmwareRequiresSMMIn: the same with a NULL-terminated list of directories, in which an
 * earlier one takes precedence. */
bool gmemFirmwareRequiresSMMIn(const char *const directories[], const char *path);
