/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemplan.h: what a domain asks of guest_memfd, as the project's parts hand it to each other. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemmode.h"

/* All strings are owned by the plan. The child between fork and exec, which has only argv, knows
 * neither name nor emulator, and fills in the rest from there. */
typedef struct {
    gmemMode mode;
    char *name;              /* the domain's name */
    char *emulator;          /* <emulator>, NULL where the XML has none */
    bool cellNodesetsDiffer; /* a cell (or dimm) is bound to other nodes than the whole domain (in
                              * argv: than another), or otherwise: no cpuset can hold it there */
    unsigned long long ram;  /* KiB of guest RAM; 0 where the XML has an unreadable size */
    unsigned long long hugeRam; /* KiB of that which are, or whose shared half is, on huge pages */
    char *sharedOnly;           /* the first device whose other half reaches shared pages only */
    char *firmware;             /* the image that the XML, or QEMU's command line, names */
} gmemPlan;

void gmemPlanFree(gmemPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemPlan, gmemPlanFree)
