/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemfiles.h: definitions that did not come by a call: files that somebody put where libvirt keeps
 * its own.
 *
 * libvirt reads them when it starts, and on SIGHUP, and drops the elements as it drops all that it
 * does not know. The domain must not run as if they had not been there. */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "gmemplan.h"

/**
 * gmemFilesCheck:
 * @domain: about to be started by a client, one of ours
 * @held: the plan of the definition that libvirt has; NULL: an ordinary domain
 * @error: VIR_ERR_CONFIG_UNSUPPORTED; also where the file is there and cannot be read
 *
 * Whether the domain's file asks for no more than libvirt has, nor did when the daemon started. An
 * ordinary domain costs one reading of its file. Returns 0, or -1 with @error.
 */
int gmemFilesCheck(virDomainPtr domain, const gmemPlan *held, GError **error);

/* gmemFilesForget: @domain has been defined by a call. What its file said when the
 * daemon started no longer counts. Thread-safe. */
void gmemFilesForget(virDomainPtr domain);

/* gmemFilesFind: why QEMU must not start with @argv, which asks for no private memory: a file, read
 * when the daemon started, did for that domain; NULL: none did. For the child between fork and
 * exec: takes no lock. */
const char *gmemFilesFind(char *const argv[]);

/* gmemFilesNotePrivate: a definition, image or snapshot asks for private memory: from now on
 * domains are looked at that would lose it (gmemFilesMayBePrivate()). */
void gmemFilesNotePrivate(void);

/* gmemFilesMayBePrivate: whether any definition of this process's libvirt, which @conn leads to,
 * may ask for private memory. */
bool gmemFilesMayBePrivate(virConnectPtr conn);

/* gmemFilesSaves: where libvirt keeps managed save images; NULL in other processes than daemons. */
const char *gmemFilesSaves(void);

/* gmemFilesMayBeSaved: whether there may be a managed save image of the domain called @name. False
 * only where there certainly is none: that costs the same whatever the number of domains. */
bool gmemFilesMayBeSaved(const char *name);

/**
 * gmemFilesGetStronger:
 * @name: of a domain of @conn, one of ours
 * @mode: what it is about to have
 *
 * Returns the mode that the domain is defined with, read from libvirt's file, where @mode is
 * weaker; GMEM_MODE_NONE where it is not, or that cannot be determined. For warnings: what is
 * refused is decided by what libvirt itself says.
 */
gmemMode gmemFilesGetStronger(virConnectPtr conn, const char *name, gmemMode mode);
