/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomcaps.h: reports in libvirt's domain capabilities which of the two memory modes can be
 * used. */
#pragma once

#include "gmemmode.h"

/**
 * gmemDomCapsEmulator:
 * @xml: <domainCapabilities> as stock libvirt formatted it
 *
 * Returns the emulator that the answer is about, to be freed with g_free(), or NULL if @xml is
 * something else. This is also for answers about a machine type that cannot have private memory:
 * libvirt takes the emulator's default if it is not given one, and a domain can have another.
 */
char *gmemDomCapsEmulator(const char *xml);

/* Returns what the host can do with @emulator: 1 << GMEM_MODE_CONVERTIBLE, 1 <<
 * GMEM_MODE_FULLY_SHARED. */
typedef unsigned int (*gmemDomCapsGetModes)(const char *emulator);

/**
 * gmemDomCapsRaise:
 * @xml: <domainCapabilities> as stock libvirt formatted it
 * @getModes: is asked about the emulator. There are no modes if the virt type is not kvm, or if
 *            architecture or machine type cannot have private memory (gmemplatform.h)
 *
 * These parts can change:
 *
 *  - <memoryBacking> gets <enum name='private'> with the modes that can be used. If there are none,
 *    the enum has no values: this is libvirt's way to say that it knows the feature but none of it
 *    works, whereas an absent enum means that it does not know the feature.
 *  - <launchSecurity> (in libvirt 10.5 and later) gets sw-protected in its enum sectype if
 *    convertible memory can be used, and does not change otherwise.
 *
 * If there is something to offer, a block with supported='no' becomes a supported one, and a
 * missing block is added in the place where libvirt would format it; otherwise neither happens.
 * Existing enums and values are not added again, so raising an answer twice does not change
 * anything.
 *
 * Everything else keeps its bytes. Text that is not domain capabilities, or is not well formed, is
 * returned as it is: the client then gets libvirt's answer, which is right as far as it goes.
 *
 * Returns the text, to be freed with g_free(); never NULL.
 */
char *gmemDomCapsRaise(const char *xml, gmemDomCapsGetModes getModes);
