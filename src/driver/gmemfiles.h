/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemfiles.h: definitions that were not made by a call: files that somebody put into the directory
 * where libvirt keeps its own.
 *
 * libvirt reads them when it starts, and on SIGHUP, and drops the elements, like everything that it
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
 * @error: VIR_ERR_CONFIG_UNSUPPORTED; also if the file exists and cannot be read
 *
 * Whether the domain's file does not ask for more than libvirt has, now and when the daemon
 * started. For an ordinary domain, the file is read once. Returns 0, or -1 with @error.
 */
int gmemFilesCheck(virDomainPtr domain, const gmemPlan *held, GError **error);

/* gmemFilesForget: @domain has been defined by a call, so what its file said when the daemon
 * started no longer counts. Thread-safe. */
void gmemFilesForget(virDomainPtr domain);

/* gmemFilesFind: the reason why QEMU must not start with @argv, which does not ask for private
 * memory: when the daemon started, a file of that domain did. NULL if there was no such file. For
 * the child between fork and exec: takes no lock. */
const char *gmemFilesFind(char *const argv[]);

/* gmemFilesNotePrivate: a definition, image or snapshot asks for private memory. From now on it is
 * checked whether a domain would lose it (gmemFilesMayBePrivate()). */
void gmemFilesNotePrivate(void);

/* gmemFilesMayBePrivate: whether any definition of this process's libvirt, to which @conn leads,
 * may ask for private memory. */
bool gmemFilesMayBePrivate(virConnectPtr conn);

/* gmemFilesSaves: the directory of libvirt's managed save images, or NULL in a process that is not
 * a daemon. */
const char *gmemFilesSaves(void);

/* gmemFilesMayBeSaved: whether the domain with the @length bytes at @name as its name may have a
 * managed save image. False only if it certainly does not. The cost does not depend on the number
 * of domains, and nothing is allocated. */
bool gmemFilesMayBeSaved(const char *name, size_t length);

/**
 * gmemFilesGetStronger:
 * @name: of a domain of @conn, one of ours
 * @mode: the mode that it is about to have
 *
 * Returns the mode that the domain is defined with, read from libvirt's file, if @mode is weaker;
 * GMEM_MODE_NONE if it is not, or if this cannot be determined. This is for warnings: refusals
 * depend on what libvirt itself says.
 */
gmemMode gmemFilesGetStronger(virConnectPtr conn, const char *name, gmemMode mode);
