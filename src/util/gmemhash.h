/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemhash.h: SHA-256 (by gnutls), and SipHash for frequent lookups. */
#pragma once

#include <glib.h>

#define GMEM_HASH_KEY_SIZE 16

/* A digest of 128 bits. */
typedef struct {
    guint64 half[2];
} gmemHashKeyed;

/**
 * gmemHashSHA256:
 * @text: what to hash, NUL-terminated
 * @error: VIR_ERR_INTERNAL_ERROR with gnutls's reason
 *
 * Returns 64 lower-case hexadecimal digits, to be freed with g_free(), or NULL.
 */
char *gmemHashSHA256(const char *text, GError **error);

/**
 * gmemHashKeyedCompute:
 * @key: GMEM_HASH_KEY_SIZE secret bytes
 * @data: @length bytes
 *
 * SipHash-2-4 with an output of 128 bits (Aumasson and Bernstein, 2012). Without the key, nobody
 * can find two texts with the same digest.
 */
void
gmemHashKeyedCompute(const guint8 *key, const void *data, size_t length, gmemHashKeyed *digest);
