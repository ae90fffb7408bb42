/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemconnection.h: the door: whose connection is this, what may it call, and how do errors
 * get to its client? */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdbool.h>

#include "gmemreal.h"

/**
 * GMEM_DOOR:
 * @function: an interposed function, by its name
 * @conn: as gmemConnectionMayCall()
 * @flags: what the client calls @function with; 0 where that has no flags
 *
 * What each interposed function asks before it looks at any argument of its client's. False: the
 * real function gets all of them untouched, and its answer is the client's.
 */
#define GMEM_DOOR(function, conn, flags)                                                           \
    gmemConnectionMayCall(conn, GMEM_NEED_##function, (unsigned int)(flags))

/**
 * gmemConnectionMayCall:
 * @conn: NULL where the client gave none; libvirt will say so
 * @need: GMEM_WRITER, or the flags that make it one (gmemreal.h)
 *
 * Whether libvirt will look at the arguments of the call, as far as that depends on the connection
 * having been opened read-only.
 */
bool gmemConnectionMayCall(virConnectPtr conn, int need, unsigned int flags);

/**
 * gmemConnectionOf:
 *
 * Returns the connection of @domain; NULL where that is NULL or not a domain.
 */
static inline virConnectPtr
gmemConnectionOf(virDomainPtr domain)
{
    return domain != NULL ? virDomainGetConnect(domain) : NULL;
}

/**
 * gmemConnectionIsOurs:
 * @conn: may be NULL
 *
 * Whether calls on @conn end in a QEMU driver inside this very process: then they are ours to act
 * on. A client of a daemon, virtproxyd, and a daemon that is itself a client of another daemon
 * (migration) must see that daemon's answer unchanged.
 *
 * Asked once of the URI as libvirt keeps it, by the parser that libvirt uses. The first such
 * connection of an embedded driver also sets the directory of the capabilities cache. May reset the
 * last error of libvirt: call it before the real function, or after one that succeeded.
 */
bool gmemConnectionIsOurs(virConnectPtr conn);

/* gmemConnectionIsReadOnly: whether @conn was opened so. It may be NULL. */
bool gmemConnectionIsReadOnly(virConnectPtr conn);

/* gmemConnectionGetRoot: the directory of an embedded driver, to be freed with g_free(); NULL where
 * @conn is a daemon's. */
char *gmemConnectionGetRoot(virConnectPtr conn);

/**
 * gmemConnectionReport:
 * @conn: whose error handler, where it has one of its own, is called
 * @error: taken over and freed; of domain GMEM_ERROR. NULL: libvirt's own error is the last one,
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
 * Where a helper fails that libvirt runs, its last error quotes the helper's environment. In an
 * embedding client that has the preload of this library, which a start takes out (gmemexec.c): so
 * does this, from the last error of this thread.
 */
void gmemConnectionCleanError(void);

/**
 * gmemConnectionKeepError, gmemConnectionGiveError:
 *
 * The last error of this thread, across calls of libvirt's that reset it, such as those that free a
 * domain. What the first returns, NULL where there is none, the second takes over.
 */
virErrorPtr gmemConnectionKeepError(void);
void gmemConnectionGiveError(virErrorPtr error);
