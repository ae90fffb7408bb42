/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemhash.h: SHA-256 by gnutls. */
#pragma once

#include <glib.h>

/**
 * gmemHashSHA256:
 * @text: what to hash, NUL-terminated
 * @error: VIR_ERR_INTERNAL_ERROR with gnutls's reason
 *
 * Returns 64 lower-case hexadecimal digits, to be freed with g_free(), or NULL.
 */
char *gmemHashSHA256(const char *text, GError **error);
