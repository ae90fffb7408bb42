/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemi18n.h: gettext for a library that must not change its process's text domain, and that
 * speaks English, without a lock, in a child between fork and exec. */
#pragma once

#include <libintl.h>
#include <stdbool.h>

#define GMEM_TEXT_DOMAIN "libvirt-gmem"

#define _(text) gmemI18nGet(text)
#define N_(text) text

/**
 * gmemI18nSetForked:
 *
 * From here on this process is the child between fork and exec of one with many threads. Whatever
 * lock another thread held at the fork stays held for ever, so that texts are no longer looked up,
 * and errors (gmemerror.h) no longer come from GLib's allocator. There is no way back.
 */
void gmemI18nSetForked(void);
bool gmemI18nIsForked(void);

/* gmemI18nGet: @text in the user's language; itself where there is no other, or after a fork. */
const char *gmemI18nGet(const char *text)
    __attribute__((format_arg(1), returns_nonnull, nonnull(1)));

/* gmemI18nPlural: of both texts the one that @number takes in the user's language. Not after a
 * fork: only the tool has it. */
const char *gmemI18nPlural(const char *singular, const char *plural, unsigned long number)
    __attribute__((format_arg(1), format_arg(2), returns_nonnull, nonnull(1, 2)));

/* gmemI18nErrno: what the error @number is called; good until the thread asks again. g_strerror()
 * has a lock. */
const char *gmemI18nErrno(int number);
