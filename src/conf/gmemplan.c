/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemplan.c: what a domain asks of guest_memfd. Used between fork and exec, too: no locks. */

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
