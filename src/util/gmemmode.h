/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemmode.h: the modes in which a domain's memory is guest_memfd. libc only, because the shim uses
 * it, too. */
#pragma once

/* The names of the two elements, and the type that is ours. src/conf/schemas/gmem.rng has them,
 * too; messages quote them as users write them. */
#define GMEM_MODE_PRIVATE "private" /* in <memoryBacking> */
#define GMEM_MODE_LAUNCH "launchSecurity"
#define GMEM_MODE_LAUNCH_TYPE "sw-protected"

/* To add a mode: here, and its row in gmemmode.c. */
typedef enum {
    GMEM_MODE_NONE = 0, /* also <private/> with launch security whose RAM is guest_memfd anyway */
    GMEM_MODE_CONVERTIBLE,  /* <launchSecurity type='sw-protected'/> */
    GMEM_MODE_FULLY_SHARED, /* <memoryBacking><private/></memoryBacking> alone */
    GMEM_MODE_LAST
} gmemMode;

/* "convertible", "fully-shared" or "none": the words used in the carrier, in the shim's
 * configuration and in domain capabilities. */
const char *gmemModeToString(gmemMode mode);

/* Returns the mode, or GMEM_MODE_NONE for any other word (also for "none"). */
gmemMode gmemModeFromString(const char *text);

/* gmemModeElement: the element that gives @mode to a domain, as users write it: "<private/>". */
const char *gmemModeElement(gmemMode mode);
