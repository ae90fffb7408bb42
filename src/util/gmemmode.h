/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemmode.h: how a domain's memory is guest_memfd. libc only: the shim has it, too. */
#pragma once

/* To add one: here, and its name in gmemmode.c. */
typedef enum {
    GMEM_MODE_NONE = 0, /* also <private/> with launch security whose RAM is guest_memfd anyway */
    GMEM_MODE_CONVERTIBLE,  /* <launchSecurity type='sw-protected'/> */
    GMEM_MODE_FULLY_SHARED, /* <memoryBacking><private/></memoryBacking> alone */
    GMEM_MODE_LAST
} gmemMode;

/* "convertible", "fully-shared"; "none". The words of the carrier, of the shim's configuration and
 * of domain capabilities. */
const char *gmemModeToString(gmemMode mode);

/* Returns the mode, or GMEM_MODE_NONE for any other word (also for "none"). */
gmemMode gmemModeFromString(const char *text);

/* gmemModeElement: what gives a domain @mode, as users write it: "<private/>". */
const char *gmemModeElement(gmemMode mode);
