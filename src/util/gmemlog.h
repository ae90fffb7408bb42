/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemlog.h: a line in the log. */
#pragma once

#include <glib.h>

/* Bytes of a line at most, its end included. A message is a sentence; what is longer is a client's
 * name or path, repeated. */
#define GMEM_LOG_LINE 1024

/**
 * gmemLog:
 * @format: printf format of the line, in English
 *
 * Writes a line to fd 2: the daemon's log, an embedding client's stderr, or the domain's log in the
 * child between fork and exec. Whoever wrote what goes into @format, it is one line, and of
 * reasonable length: what is not printable or not UTF-8 comes as \xNN, a backslash as two, and
 * "..." stands where the rest is left out. Neither allocates nor takes a lock, and keeps errno.
 */
void gmemLog(const char *format, ...) G_GNUC_PRINTF(1, 2);
