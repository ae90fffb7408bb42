/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemi18n.h: gettext for a library that must not change the text domain of its process, and that
 * uses English, without a lock, in a child between fork and exec. */
#pragma once

#include <libintl.h>
#include <stdbool.h>

#define GMEM_TEXT_DOMAIN "libvirt-gmem"

#define _(text) gmemI18nGet(text)
#define N_(text) text

/**
 * gmemI18nSetForked:
 *
 * Marks this process as the child between fork and exec of a process with many threads. A lock that
 * another thread held at the fork stays held forever. So from now on texts are not looked up, and
 * errors (gmemerror.h) do not come from GLib's allocator. This cannot be undone.
 */
void gmemI18nSetForked(void);
bool gmemI18nIsForked(void);

/* gmemI18nGet: @text in the user's language, or @text itself if there is no translation, or after a
 * fork. */
const char *gmemI18nGet(const char *text)
    __attribute__((format_arg(1), returns_nonnull, nonnull(1)));

/* gmemI18nPlural: whichever of the two texts the user's language requires for @number. Not for use
 * after a fork: only the tool uses it. */
const char *gmemI18nPlural(const char *singular, const char *plural, unsigned long number)
    __attribute__((format_arg(1), format_arg(2), returns_nonnull, nonnull(1, 2)));

/* gmemI18nErrno: the text for the error @number, valid until the thread's next call. g_strerror()
 * takes a lock. */
const char *gmemI18nErrno(int number);
