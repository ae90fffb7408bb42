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
 * @command: the command line with which QEMU is about to be started
 * @huge: out: the size of the RAM backends on huge pages, in bytes
 * @error: VIR_ERR_CONFIG_UNSUPPORTED with the backend, its size and the page size, if one is not a
 *         multiple of the other
 *
 * Examines the mounts that the command line names, so it has to be called where QEMU's file system
 * is: in the child between fork and exec. Takes no lock.
 */
int gmemQEMUValidatePages(const gmemCommand *command, unsigned long long *huge, GError **error);
