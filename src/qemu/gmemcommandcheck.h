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
 * The checks for both modes: machine and accelerator; every memory backend that RAM refers to
 * exists, once, and every other one is a host file of an NVDIMM or of virtio-pmem. Sets each
 * backend's use and user.
 */
int gmemCommandCheckBackends(gmemCommandLine *line, GError **error);

/* gmemCommandCheckHardware: a pair of mode "none" requires launch security that has guest_memfd by
 * itself. */
int gmemCommandCheckHardware(const gmemCommandLine *line, GError **error);

/* gmemCommandCheckConvertible: @shim: QEMU does not have an object of its own for it. */
int gmemCommandCheckConvertible(const gmemCommandLine *line, bool shim, GError **error);

int gmemCommandCheckFullyShared(const gmemCommandLine *line, GError **error);
