/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemexpect.h: the mode of a guest that is about to go on, from the call to the child.
 *
 * Between a call that brings a guest back (from an image, a snapshot, another host) and the QEMU
 * that it goes on in, libvirt runs the administrator's hook, whose output replaces the domain's
 * XML. The thread that serves the call forks the child, so what it knows is there, too: in a
 * variable of the thread, without a lock. */
#pragma once

#include <stdbool.h>

#include "gmemplan.h"

/* gmemExpect: this thread's call brings back a guest with @plan; NULL: an ordinary one. Each
 * interposed call begins with gmemExpectNothing(). */
void gmemExpect(const gmemPlan *plan);
void gmemExpectNothing(void);

/* gmemExpected: whether anything is expected, and what. Takes no lock. */
bool gmemExpected(gmemMode *mode);
