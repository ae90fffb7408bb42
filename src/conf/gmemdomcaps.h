/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomcaps.h: reports in libvirt's domain capabilities which of the two memory modes can be
 * used.
 */
#pragma once

#include "gmemplan.h"

/**
 * gmemDomCapsEmulator:
 * @xml: <domainCapabilities> as stock libvirt formatted it
 *
 * Returns the emulator that the answer is about, to be freed with g_free(); NULL where it does not
 * matter what it offers: the virt type is not kvm, the architecture not x86_64, the machine one of
 * isapc, microvm and none; or @xml is something else.
 */
char *gmemDomCapsEmulator(const char *xml);

/**
 * gmemDomCapsRaise:
 * @xml: <domainCapabilities> as stock libvirt formatted it
 * @modes: what host and emulator can do: 1 << GMEM_MODE_CONVERTIBLE, 1 << GMEM_MODE_FULLY_SHARED
 *
 * A pure function of its arguments. Where gmemDomCapsEmulator() gives NULL, @modes counts as 0.
 *
 *  - <memoryBacking> gains <enum name='private'> with the modes that can be used. Where none can,
 *    the enum is there without values: libvirt's way to say "known here, but nothing of it works",
 *    where an absent enum would mean "never heard of it".
 *  - <launchSecurity> (libvirt 10.5 and later have it) gains sw-protected in its enum sectype where
 *    convertible can be used, and stays as it is where not.
 *
 * Where there is something to offer, a block that says supported='no' becomes a supported one, and
 * one that is not there is made in the place where libvirt formats it; where there is nothing to
 * offer, neither happens. Enums and values that are there already are not added again, so that
 * raising an answer twice changes nothing.
 *
 * Everything else keeps its bytes. What is not domain capabilities, or not well formed, is returned
 * as it is: a client then has libvirt's answer, which is right as far as it goes.
 *
 * Returns the text, to be freed with g_free(); never NULL.
 */
char *gmemDomCapsRaise(const char *xml, unsigned int modes);
