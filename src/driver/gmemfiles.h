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
 * @conn: that of @domain
 * @domain: about to be started by a client, one of ours
 * @held: the plan of the definition that libvirt has; NULL: an ordinary domain
 * @error: VIR_ERR_CONFIG_UNSUPPORTED; also if the file exists and cannot be read
 *
 * Whether the domain's file does not ask for more than libvirt has, now and when the daemon
 * started. For an ordinary domain, the file is read once. Returns 0, or -1 with @error.
 */
int gmemFilesCheck(virConnectPtr conn, virDomainPtr domain, const gmemPlan *held, GError **error);

/* gmemFilesForget: @domain has been defined by a call, so what its file said when the daemon
 * started no longer counts. Thread-safe. */
void gmemFilesForget(virDomainPtr domain);

/* gmemFilesFind: the reason why QEMU must not start with @argv, which does not ask for private
 * memory: when the daemon started, a file of that domain did. NULL if there was no such file. For
 * the child between fork and exec: takes no lock. */
const char *gmemFilesFind(char *const argv[]);

/* gmemFilesNotePrivate: a definition, image, snapshot or command line asks for private memory, or
 * may do so and will not be seen. This cannot be undone, and is known to the parent if a child
 * between fork and exec calls it. Takes no lock. */
void gmemFilesNotePrivate(void);

/**
 * gmemFilesMayBePrivate:
 * @conn: one of ours, whose client may call; NULL: libvirt's files must not be read
 *
 * Whether any domain of this process's libvirt, as it is defined or as it runs, may have private
 * memory. False only if certainly none has: then libvirt need not be asked for a domain's kind. The
 * first call with a connection searches libvirt's files; later ones cost an atomic load.
 * Thread-safe.
 */
bool gmemFilesMayBePrivate(virConnectPtr conn);

/* gmemFilesRunDirectory: libvirt's directory with the status and pid files of its domains, to be
 * freed with g_free(). @root: of an embedded driver, otherwise NULL. */
char *gmemFilesRunDirectory(const char *root);

/* gmemFilesGetImage: the path of the managed save image that the domain named @name has or would
 * have, to be freed with g_free(), or NULL in a process that is not a daemon. Takes no lock. */
char *gmemFilesGetImage(const char *name);

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
