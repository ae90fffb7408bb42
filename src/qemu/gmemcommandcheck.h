/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcommandcheck.h: can the RAM of this command line be private? */
#pragma once

#include "gmemcommandline.h"

/*
 * All of them: VIR_ERR_CONFIG_UNSUPPORTED with what conflicts, named as on the command line.
 * Called also in the child between fork and exec: no lock.
 */

/**
 * gmemCommandCheckBackends:
 *
 * What goes for both modes: machine and accelerator; every backend that RAM refers to is there,
 * once, and every other one is a host file of an NVDIMM or of virtio-pmem. Sets each backend's use
 * and user.
 */
int gmemCommandCheckBackends(gmemCommandLine *line, GError **error);

/* gmemCommandCheckHardware: a pair of mode "none" is beside launch security that has guest_memfd
 * by itself. */
int gmemCommandCheckHardware(const gmemCommandLine *line, GError **error);

/* gmemCommandCheckConvertible: @shim: QEMU has no object of its own for it. */
int gmemCommandCheckConvertible(const gmemCommandLine *line, bool shim, GError **error);

int gmemCommandCheckFullyShared(const gmemCommandLine *line, GError **error);
