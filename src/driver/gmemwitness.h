/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemwitness.h: asks the QEMU of a running domain itself where its memory comes from, and refuses
 * calls that depend on the memory if that is not what the domain's XML says.
 *
 * This does not depend on the emulator's file, which may have been replaced since the start. A
 * guest that has taken QEMU over can make it say anything: the answer prevents mistakes, and is not
 * evidence. */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

#include "gmemplan.h"

/**
 * gmemWitnessCheckHotplug:
 *
 * Whether a memory device may be attached to a running domain with @plan. The running QEMU is
 * asked, not the emulator's current file. Returns 0, or -1 with VIR_ERR_OPERATION_UNSUPPORTED.
 */
int gmemWitnessCheckHotplug(virDomainPtr domain, const gmemPlan *plan, GError **error);

/**
 * gmemWitnessCheckRunning:
 * @plan: of the domain as it runs, according to libvirt; can be NULL
 *
 * Whether the running QEMU, if there is one, has the memory that a plan of mode fully-shared
 * promises. Other plans are accepted as they are: there is nothing to confirm for an ordinary
 * domain, and almost nothing is done with a convertible one. Returns 0, or -1 with
 * VIR_ERR_OPERATION_UNSUPPORTED, or without @error if libvirt does not report whether the domain
 * runs.
 */
int gmemWitnessCheckRunning(virDomainPtr domain, const gmemPlan *plan, GError **error);
