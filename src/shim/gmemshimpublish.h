/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimpublish.h: keeps what gmemshimstatus.h describes up to date. */
#pragma once

#include <stdbool.h>

#include "gmemshimconfig.h"
#include "gmemshimhalves.h"

/* The caller of all but the first holds the lock of convertible mode. They keep errno. */

/* gmemShimPublishInit: makes the file. Returns 0, or reports the reason and returns -1. */
int gmemShimPublishInit(const gmemShimConfig *config);

/* gmemShimPublishBackend: something of @halves has been made private, or shared; @count: for the
 * first time in this conversion. */
void gmemShimPublishBackend(const gmemShimHalves *halves, bool isPrivate, bool count);

/* gmemShimPublishHypercall: the guest has asked for a conversion; @served or refused. */
void gmemShimPublishHypercall(bool served);

/* gmemShimPublishImplicit: there was a conversion because of an access. */
void gmemShimPublishImplicit(void);

/* gmemShimPublishReset: all memory is in its initial state again. */
void gmemShimPublishReset(void);
