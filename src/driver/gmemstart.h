/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemstart.h: the check before a start: the same rules as in the child, but with a proper error.
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

#include "gmemcapabilities.h"
#include "gmemplan.h"

/**
 * gmemStartGetCaps:
 * @conn: one of ours
 * @plan: of a domain that libvirt has just parsed for this client, for which it has run the
 * emulator, or tried to; libvirt's default emulator if the XML named none
 * @caps: out: what the emulator offers; NULL if libvirt has no default
 * @error: as gmemCapsCacheLookup()
 *
 * Returns 0, or -1 with @error.
 */
int gmemStartGetCaps(virConnectPtr conn, const gmemPlan *plan, gmemQEMUCaps **caps, GError **error);

/**
 * gmemStartCheck:
 *
 * Whether a domain with @plan may start here. A program that a client names is only run for clients
 * for which libvirt would run it: virConnectGetDomainCapabilities is refused to read-only clients
 * for exactly this reason (CVE-2019-10167), so libvirt is asked for that first. Returns 0, also if
 * the client may not ask (the child's check is authoritative), or -1 with the errors of
 * gmemvalidate.h.
 */
int gmemStartCheck(virConnectPtr conn, const gmemPlan *plan, GError **error);

/* gmemStartCheckParsed: the same for a domain as in gmemStartGetCaps(), without asking libvirt. */
int gmemStartCheckParsed(virConnectPtr conn, const gmemPlan *plan, GError **error);

/* gmemStartNote: logs what an administrator should know about a domain that is about to start to
 * the daemon's log; it is also in the domain's own log (gmemexec.c). */
void gmemStartNote(const gmemPlan *plan);

/* gmemStartCheckDomain: the same check, and log, for a defined domain, whatever it asks for.
 * Returns -1 without @error if libvirt does not show the domain: its own error is then the last
 * one. */
int gmemStartCheckDomain(virDomainPtr domain, GError **error);

/**
 * gmemStartGetModes:
 * @emulator: absolute path
 *
 * Returns 1 << gmemMode for each mode that this host can run with @emulator, or 0 if this cannot be
 * determined.
 */
unsigned int gmemStartGetModes(const char *emulator);
