/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemplan.c: what a domain asks of guest_memfd. Used between fork and exec, too: no locks. */

#include "gmemplan.h"

#include <assert.h>
#include <string.h>

static const char *const gmemModeNames[] = {
    [GMEM_MODE_NONE] = "none",
    [GMEM_MODE_CONVERTIBLE] = "convertible",
    [GMEM_MODE_FULLY_SHARED] = "fully-shared",
};
static_assert(G_N_ELEMENTS(gmemModeNames) == GMEM_MODE_LAST, "a mode has no name");

const char *
gmemModeToString(gmemMode mode)
{
    return gmemModeNames[mode < GMEM_MODE_LAST ? mode : GMEM_MODE_NONE];
}

gmemMode
gmemModeFromString(const char *text)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(gmemModeNames); i++) {
        if (strcmp(gmemModeNames[i], text) == 0)
            return (gmemMode)i;
    }
    return GMEM_MODE_NONE;
}

void
gmemPlanFree(gmemPlan *plan)
{
    if (plan == NULL)
        return;
    g_free(plan->name);
    g_free(plan->emulator);
    g_free(plan->backend);
    g_free(plan->firmware);
    g_free(plan);
}
