/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnotes.c: what an administrator should know of a domain that is about to start. Nothing here
 * stands in the way of the start; it goes to the log. */

#include "gmemnotes.h"

#include "gmemi18n.h"

/* For the longest list, and its end. */
#define GMEM_NOTES_MAX 4

static const char *gmemNotesText(const char *text, bool translated) G_GNUC_FORMAT(1);

static const char *
gmemNotesText(const char *text, bool translated)
{
    return translated ? _(text) : text;
}

char **
gmemNotesFormat(const gmemPlan *plan, bool translated)
{
    char **notes = g_new0(char *, GMEM_NOTES_MAX);
    size_t n = 0;

    if (plan->mode != GMEM_MODE_CONVERTIBLE)
        return notes;
    notes[n++] = g_strdup(
        gmemNotesText(N_("the kernel's interface to software-protected VMs is not stable: they are "
                         "for development and testing"),
                      translated));
    if (plan->ram > 0 && plan->hugeRam > 0)
        notes[n++] = g_strdup_printf(
            gmemNotesText(N_("guest RAM of %llu KiB can take up to %llu KiB of host memory: a shared "
                             "half, %llu KiB of it on huge pages, and a private half in pages of "
                             "4 KiB"),
                          translated),
            plan->ram, 2 * plan->ram, plan->hugeRam);
    else if (plan->ram > 0)
        notes[n++] = g_strdup_printf(
            gmemNotesText(N_("guest RAM of %llu KiB can take up to %llu KiB of host memory: a shared "
                             "and a private half"),
                          translated),
            plan->ram, 2 * plan->ram);
    if (plan->backend != NULL)
        notes[n++] = g_strdup_printf(
            gmemNotesText(N_("%s reaches only those pages that the guest shares"), translated),
            plan->backend);
    return notes;
}
