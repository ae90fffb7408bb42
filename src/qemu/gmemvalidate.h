/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemvalidate.h: may this domain start on this host with this QEMU? */
#pragma once

#include <glib.h>

#include "gmemcapabilities.h"
#include "gmemcommand.h"
#include "gmemkvm.h"
#include "gmemplan.h"

/**
 * gmemQEMUValidateHost:
 * @plan: what the domain asks for
 * @kvm: what the host can do
 * @error: VIR_ERR_CONFIG_UNSUPPORTED naming what is missing
 */
int gmemQEMUValidateHost(const gmemPlan *plan, const gmemKVM *kvm, GError **error);

/* gmemQEMUValidateEmulator: the same for what the QEMU binary offers. */
int gmemQEMUValidateEmulator(const gmemPlan *plan, const gmemQEMUCaps *caps, GError **error);

/**
 * gmemQEMUValidatePages:
 * @command: what QEMU is about to be started with
 * @huge: where the size goes, in bytes, of the RAM backends on huge pages
 * @error: VIR_ERR_CONFIG_UNSUPPORTED with the backend, its size and the page, where one is not a
 *         multiple of the other
 *
 * Looks at the mounts that the command line names, so it belongs where QEMU's file system is: in
 * the child between fork and exec. Takes no lock.
 */
int gmemQEMUValidatePages(const gmemCommand *command, unsigned long long *huge, GError **error);
