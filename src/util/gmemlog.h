/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemlog.h: writes one line to the log, whatever a client's names contain. */
#pragma once

#include <glib.h>

/* The maximum length of a line in bytes, including its end. A message is a sentence; what is longer
 * is a repetition of a client's name or path. */
#define GMEM_LOG_LINE 1024

/**
 * gmemLog:
 * @format: printf format of the line, in English
 *
 * Writes a line to fd 2: the daemon's log, an embedding client's stderr, or the domain's log in the
 * child between fork and exec. Whatever the arguments contain, it is one line of reasonable length:
 * what is not printable or not UTF-8 is written as \xNN, a backslash is doubled, and "..." stands
 * for what is left out. It neither allocates nor takes a lock, and preserves errno.
 */
void gmemLog(const char *format, ...) G_GNUC_PRINTF(1, 2);
