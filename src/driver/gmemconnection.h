/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemconnection.h: whose connection is this, and how do errors get to its client? */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

/**
 * gmemConnectionIsOurs:
 * @conn: may be NULL
 *
 * Whether calls on @conn end in a QEMU driver inside this very process: then they are ours to act
 * on. A client of a daemon, virtproxyd, and a daemon that is itself a client of another daemon
 * (migration) must see that daemon's answer unchanged.
 *
 * The first such connection of an embedded driver also tells the capabilities cache its directory.
 * Resets the last error of libvirt: call it before the real function, or after one that succeeded.
 */
bool gmemConnectionIsOurs(virConnectPtr conn);

/**
 * gmemConnectionReport:
 * @conn: whose error handler, where it has one of its own, is told
 * @error: taken over and freed; of domain GMEM_ERROR
 *
 * Makes @error the last error of libvirt in this thread and of @conn, as an error of the QEMU driver.
 */
void gmemConnectionReport(virConnectPtr conn, GError *error);

/**
 * gmemConnectionCleanError:
 *
 * Where a helper fails that libvirt runs, its last error quotes the helper's environment. In an
 * embedding client that has the preload of this library, which a start takes out (gmemexec.c): so
 * does this, from the last error of this thread.
 */
void gmemConnectionCleanError(void);
