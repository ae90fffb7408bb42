/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemplan.h: what a domain requires of guest_memfd, in the form that the parts of the project
 * exchange. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemmode.h"

/* All strings are owned by the plan. The child between fork and exec only has argv: it knows
 * neither name nor emulator, and fills in the rest from argv. */
typedef struct {
    gmemMode mode;
    char *name;                /* the domain's name */
    char *emulator;            /* <emulator>, NULL where the XML has none */
    bool cellNodesetsDiffer;   /* a cell (or dimm) is bound to other nodes than the whole domain (in
                                * argv: than another), or otherwise: no cpuset can hold it there */
    unsigned long long memory; /* KiB: <memory>, which includes memory devices; 0 as the next */
    unsigned long long ram;    /* KiB of guest RAM; 0 where the XML has an unreadable size */
    unsigned long long hugeRam; /* KiB of that which are, or whose shared half is, on huge pages */
    char *sharedOnly;           /* the first device whose other half reaches shared pages only */
    char *firmware;             /* the image that the XML, or QEMU's command line, names */
} gmemPlan;

void gmemPlanFree(gmemPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemPlan, gmemPlanFree)
