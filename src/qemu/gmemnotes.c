/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnotes.c: what an administrator should know about a domain that is about to start. Nothing
 * here prevents the start; it is logged. */

#include "gmemnotes.h"

#include "gmemplatform.h"

/* For the longest list, and its end. */
#define GMEM_NOTES_MAX 4

char **
gmemNotesFormat(const gmemPlan *plan)
{
    char **notes = g_new0(char *, GMEM_NOTES_MAX);
    size_t n = 0;

    if (plan->mode != GMEM_MODE_CONVERTIBLE)
        return notes;
    notes[n++] =
        g_strdup("the kernel's interface to software-protected VMs is not stable: they are "
                 "for development and testing");
    if (plan->ram > 0 && plan->hugeRam > 0)
        notes[n++] =
            g_strdup_printf("guest RAM of %llu KiB can take up to %llu KiB of host memory: "
                            "a shared half, %llu KiB of it on huge pages, and a private "
                            "half in pages of %d KiB",
                            plan->ram, 2 * plan->ram, plan->hugeRam, GMEM_PLATFORM_PAGE_KIB);
    else if (plan->ram > 0)
        notes[n++] =
            g_strdup_printf("guest RAM of %llu KiB can take up to %llu KiB of host memory: "
                            "a shared and a private half",
                            plan->ram, 2 * plan->ram);
    if (plan->sharedOnly != NULL)
        notes[n++] =
            g_strdup_printf("%s reaches only those pages that the guest shares", plan->sharedOnly);
    return notes;
}
