/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemrefusal.h: passes a refusal from the child back to the call that started the domain.
 *
 * If a child ends before QEMU runs, libvirt reports what it wrote as an internal error. The thread
 * that serves the call forks the child, so the two share a page of memory, without a lock. execve
 * unmaps it, so QEMU cannot write to it. */
#pragma once

#include <glib.h>

/* gmemRefusalForget: what this thread's children refuse from now on belongs to another call. */
void gmemRefusalForget(void);

/**
 * gmemRefusalSet:
 * @error: of domain GMEM_ERROR
 *
 * Called in the child: the reason why it does not become QEMU. A message of more than a page is
 * cut. Takes no lock.
 */
void gmemRefusalSet(const GError *error);

/**
 * gmemRefusalTake:
 *
 * Returns the refusal of a child of this thread's call, to be freed with g_error_free(), or NULL if
 * there was none.
 */
GError *gmemRefusalTake(void);
