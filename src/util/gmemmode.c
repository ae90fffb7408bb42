/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemmode.c: the modes in which a domain's memory is guest_memfd. libc only, because the shim uses
 * it, too. */

#include "gmemmode.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    const char *element; /* of GMEM_MODE_NONE: what a domain has that does not take effect */
} gmemModes[] = {
    [GMEM_MODE_NONE] = {.name = "none", .element = "<" GMEM_MODE_PRIVATE "/>"},
    [GMEM_MODE_CONVERTIBLE] = {.name = "convertible",
                               .element =
                                   "<" GMEM_MODE_LAUNCH " type='" GMEM_MODE_LAUNCH_TYPE "'/>"},
    [GMEM_MODE_FULLY_SHARED] = {.name = "fully-shared", .element = "<" GMEM_MODE_PRIVATE "/>"},
};
static_assert(sizeof(gmemModes) / sizeof(gmemModes[0]) == GMEM_MODE_LAST, "every mode has a row");

const char *
gmemModeToString(gmemMode mode)
{
    return gmemModes[mode < GMEM_MODE_LAST ? mode : GMEM_MODE_NONE].name;
}

gmemMode
gmemModeFromString(const char *text)
{
    size_t i;

    for (i = 0; i < GMEM_MODE_LAST; i++) {
        if (strcmp(gmemModes[i].name, text) == 0)
            return (gmemMode)i;
    }
    return GMEM_MODE_NONE;
}

const char *
gmemModeElement(gmemMode mode)
{
    return gmemModes[mode < GMEM_MODE_LAST ? mode : GMEM_MODE_NONE].element;
}
