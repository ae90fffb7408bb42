/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemconnection.h: the door: which driver serves a connection, which calls are allowed on it, and
 * how errors are reported to its client. */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdbool.h>

#include "gmemreal.h"

/**
 * GMEM_DOOR:
 * @function: the name of an interposed function
 * @conn: as gmemConnectionMayCall()
 * @flags: the flags with which the client calls @function; 0 if it has no flags
 *
 * Each interposed function asks this before it examines any of its client's arguments. If it is
 * false, the real function gets all of them untouched, and its answer is returned to the client.
 */
#define GMEM_DOOR(function, conn, flags)                                                           \
    gmemConnectionMayCall(conn, GMEM_NEED_##function, (unsigned int)(flags))

/* gmemConnectionBegin: what an earlier call has left behind for this thread's children is
 * forgotten. @writes: whether the call requires write access, and so may start something */
void gmemConnectionBegin(bool writes);

/**
 * gmemConnectionMayCall:
 * @conn: NULL if the client passed none; libvirt reports that
 * @need: GMEM_WRITER, or the flags with which the call requires write access (gmemreal.h)
 *
 * Whether libvirt will examine the arguments of the call, as far as this depends on whether the
 * connection was opened read-only.
 */
bool gmemConnectionMayCall(virConnectPtr conn, int need, unsigned int flags);

/**
 * gmemConnectionOf:
 *
 * Returns the connection of @domain, or NULL if @domain is NULL or not a domain.
 */
static inline virConnectPtr
gmemConnectionOf(virDomainPtr domain)
{
    return domain != NULL ? virDomainGetConnect(domain) : NULL;
}

/**
 * gmemConnectionIsOurs:
 * @conn: can be NULL
 *
 * Whether calls on @conn are served by a QEMU driver inside this process: only those are ours to
 * change. A client of a daemon, virtproxyd, and a daemon that is itself a client of another daemon
 * (migration) must see that daemon's answer unchanged.
 *
 * This is determined once from the URI as libvirt stores it, with the parser that libvirt uses. The
 * first such connection of an embedded driver also sets the directory of the capabilities cache.
 * May reset the last error of libvirt: call it before the real function, or after one that
 * succeeded.
 */
bool gmemConnectionIsOurs(virConnectPtr conn);

/* gmemConnectionIsReadOnly: whether @conn was opened read-only. It can be NULL. */
bool gmemConnectionIsReadOnly(virConnectPtr conn);

/* gmemConnectionGetRoot: the directory of an embedded driver, to be freed with g_free(), or NULL if
 * @conn belongs to a daemon. */
char *gmemConnectionGetRoot(virConnectPtr conn);

/**
 * gmemConnectionReport:
 * @conn: its error handler is called, if it has one of its own
 * @error: of domain GMEM_ERROR; taken over and freed. NULL: libvirt's own error is the last one,
 * and stays
 *
 * Makes @error the last error of libvirt in this thread and of @conn, as an error of the QEMU
 * driver. Returns -1.
 */
int gmemConnectionReport(virConnectPtr conn, GError *error);

/* gmemConnectionRefuse: gmemErrorSet() and gmemConnectionReport() in one. Returns -1, so that a
 * refusal is one statement. */
int gmemConnectionRefuse(virConnectPtr conn, int code, const char *format, ...) G_GNUC_PRINTF(3, 4);

/**
 * gmemConnectionCleanError:
 *
 * If a helper that libvirt runs fails, libvirt's last error quotes the helper's environment. In an
 * embedding client this contains the preload of this library, which would be removed at a start
 * (gmemexec.c). This function removes it from the last error of this thread.
 */
void gmemConnectionCleanError(void);

/**
 * gmemConnectionKeepError, gmemConnectionGiveError:
 *
 * Preserve the last error of this thread across calls of libvirt that reset it, such as those that
 * free a domain. The first function returns it, or NULL if there is none, and the second takes it
 * over.
 */
virErrorPtr gmemConnectionKeepError(void);
void gmemConnectionGiveError(virErrorPtr error);
