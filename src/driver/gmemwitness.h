/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemwitness.h: asks the QEMU of a running domain itself how its memory came about.
 *
 * The emulator's file at its path may have been replaced since the start; this does not depend on
 * it. A guest that has taken QEMU over can make it say anything: the answer is good for what would
 * otherwise be done by mistake, not as evidence. */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

#include "gmemplan.h"

/**
 * gmemWitnessCheckHotplug:
 *
 * Whether a memory device may be attached to a running domain with @plan: the QEMU that runs is
 * asked, not the emulator's file at its path today. Returns 0, or -1 with
 * VIR_ERR_OPERATION_UNSUPPORTED.
 */
int gmemWitnessCheckHotplug(virDomainPtr domain, const gmemPlan *plan, GError **error);

/**
 * gmemWitnessCheckRunning:
 * @plan: of the domain as libvirt says it runs; may be NULL
 *
 * Whether the QEMU that runs, if one does, has the memory that a plan of mode fully-shared
 * promises. Other plans are taken as they are: there is nothing to confirm of an ordinary one, and
 * next to nothing is done with a convertible one. Returns 0, or -1 with
 * VIR_ERR_OPERATION_UNSUPPORTED, or without @error where libvirt does not report whether the domain
 * runs.
 */
int gmemWitnessCheckRunning(virDomainPtr domain, const gmemPlan *plan, GError **error);
