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
 * @plan: of a domain that libvirt has just parsed for this client, and so has run its emulator, or
 *        tried to; libvirt's default where the XML named none
 * @caps: out: what the emulator offers; NULL where libvirt has no default
 * @error: as gmemCapsCacheLookup()
 *
 * Returns 0, or -1 with @error.
 */
int gmemStartGetCaps(virConnectPtr conn, const gmemPlan *plan, gmemQEMUCaps **caps, GError **error);

/**
 * gmemStartCheck:
 *
 * Whether a domain with @plan may start here. Running a program that a client names is only done
 * for clients that libvirt would do it for: virConnectGetDomainCapabilities is refused to read-only
 * clients for just that reason (CVE-2019-10167), so libvirt's answer to it comes first. Returns 0,
 * also where the client may not ask (the child's check is the authority); -1 with what
 * gmemvalidate.h reports.
 */
int gmemStartCheck(virConnectPtr conn, const gmemPlan *plan, GError **error);

/* gmemStartCheckParsed: the same for a domain as in gmemStartGetCaps(): libvirt is not asked. */
int gmemStartCheckParsed(virConnectPtr conn, const gmemPlan *plan, GError **error);

/* gmemStartNote: what an administrator should know of a domain that is about to start goes to the
 * log of the daemon; the domain's own log has it, too (gmemexec.c). */
void gmemStartNote(const gmemPlan *plan);

/* gmemStartCheckDomain: the same check, and note, for a defined domain, whatever it asks for.
 * Returns -1 without @error where libvirt does not show the domain: its own error is then the last
 * one. */
int gmemStartCheckDomain(virDomainPtr domain, GError **error);

/**
 * gmemStartGetModes:
 * @domcaps: stock libvirt's domain capabilities
 *
 * Returns 1 << gmemMode for each mode that this host can run with the emulator that @domcaps is
 * about; 0 where that cannot be determined.
 */
unsigned int gmemStartGetModes(const char *domcaps);
