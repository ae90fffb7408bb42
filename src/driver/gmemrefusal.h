/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemrefusal.h: a refusal, from the child back to the call that started the domain.
 *
 * Of a child that ends before QEMU runs, libvirt reports what it wrote, as an internal error. The
 * thread that serves the call forks the child, so the two share a page of memory, without a lock;
 * execve unmaps it, so that no QEMU can write there. */
#pragma once

#include <glib.h>

/* gmemRefusalForget: from here on, what this thread's children refuse is of another call. */
void gmemRefusalForget(void);

/**
 * gmemRefusalSet:
 * @error: of domain GMEM_ERROR
 *
 * In the child: the reason why it does not become QEMU. A message of more than a page is cut. Takes
 * no lock.
 */
void gmemRefusalSet(const GError *error);

/**
 * gmemRefusalTake:
 *
 * Returns what a child of this thread's call refused, to be freed with g_error_free(); NULL:
 * nothing.
 */
GError *gmemRefusalTake(void);
