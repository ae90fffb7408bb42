/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemexpect.c: passes the mode of a guest that is about to continue from the call to the child. */

#include "gmemexpect.h"

static __thread bool gmemExpectKnown;
static __thread gmemMode gmemExpectMode;

void
gmemExpect(const gmemPlan *plan)
{
    gmemExpectKnown = true;
    gmemExpectMode = plan != NULL ? plan->mode : GMEM_MODE_NONE;
}

void
gmemExpectNothing(void)
{
    gmemExpectKnown = false;
}

bool
gmemExpected(gmemMode *mode)
{
    *mode = gmemExpectMode;
    return gmemExpectKnown;
}
