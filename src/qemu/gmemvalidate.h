/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemvalidate.h: may this domain start on this host with this QEMU? */
#pragma once

#include <glib.h>

#include "gmemcapabilities.h"
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
