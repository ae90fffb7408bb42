/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemmode.c: the modes in which a domain's memory is guest_memfd. libc only, because the shim uses
 * it, too. */

#include "gmemmode.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const char *const gmemModeNames[] = {
    [GMEM_MODE_NONE] = "none",
    [GMEM_MODE_CONVERTIBLE] = "convertible",
    [GMEM_MODE_FULLY_SHARED] = "fully-shared",
};
static_assert(sizeof(gmemModeNames) / sizeof(gmemModeNames[0]) == GMEM_MODE_LAST,
              "every mode has a name");

const char *
gmemModeToString(gmemMode mode)
{
    return gmemModeNames[mode < GMEM_MODE_LAST ? mode : GMEM_MODE_NONE];
}

gmemMode
gmemModeFromString(const char *text)
{
    size_t i;

    for (i = 0; i < GMEM_MODE_LAST; i++) {
        if (strcmp(gmemModeNames[i], text) == 0)
            return (gmemMode)i;
    }
    return GMEM_MODE_NONE;
}

const char *
gmemModeElement(gmemMode mode)
{
    return mode == GMEM_MODE_CONVERTIBLE ? "<launchSecurity type='sw-protected'/>" : "<private/>";
}
