/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemexpect.h: passes the mode of a guest that is about to continue from the call to the child.
 *
 * A call brings a guest back from an image, a snapshot or another host. Before the guest continues
 * in a QEMU, libvirt runs the administrator's hook, whose output replaces the domain's XML. The
 * thread that serves the call forks the child, so the child knows what the thread knows: it is in a
 * variable of the thread, without a lock. */
#pragma once

#include <stdbool.h>

#include "gmemplan.h"

/* gmemExpect: this thread's call brings back a guest with @plan; NULL: an ordinary guest. Each
 * interposed call that can start a guest begins with gmemExpectNothing(). */
void gmemExpect(const gmemPlan *plan);
void gmemExpectNothing(void);

/* gmemExpected: whether a mode is expected, and which one. Takes no lock. */
bool gmemExpected(gmemMode *mode);
