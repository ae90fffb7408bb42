/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemplan.c: what a domain requires of guest_memfd. Also used between fork and exec: it takes no
 * locks. */

#include "gmemplan.h"

void
gmemPlanFree(gmemPlan *plan)
{
    if (plan == NULL)
        return;
    g_free(plan->name);
    g_free(plan->emulator);
    g_free(plan->sharedOnly);
    g_free(plan->firmware);
    g_free(plan);
}
