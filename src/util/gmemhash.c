/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemhash.c: SHA-256 (by gnutls) and SipHash.
 *
 * SHA-256 is also used in the child between fork and exec, so there is no GString, which comes from
 * GLib's slice allocator and could wait for a lock. */

#include "gmemhash.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"

#define GMEM_SHA256_SIZE 32

char *
gmemHashSHA256(const char *text, GError **error)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[GMEM_SHA256_SIZE];
    char *hex;
    size_t i;
    int rc;

    rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), digest);
    if (rc < 0) {
        gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, _("cannot hash: %1$s"),
                     gnutls_strerror_name(rc));
        return NULL;
    }
    hex = g_malloc0(2 * sizeof(digest) + 1);
    for (i = 0; i < sizeof(digest); i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 0xf];
    }
    return hex;
}

/* One round on the state of four words. */
static inline void
gmemHashMix(guint64 v[4], int rounds)
{
    for (; rounds > 0; rounds--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = (v[1] << 13 | v[1] >> 51) ^ v[0];
        v[3] = (v[3] << 16 | v[3] >> 48) ^ v[2];
        v[0] = v[0] << 32 | v[0] >> 32;
        v[2] += v[1];
        v[0] += v[3];
        v[1] = (v[1] << 17 | v[1] >> 47) ^ v[2];
        v[3] = (v[3] << 21 | v[3] >> 43) ^ v[0];
        v[2] = v[2] << 32 | v[2] >> 32;
    }
}

static inline void
gmemHashTake(guint64 v[4], guint64 word)
{
    v[3] ^= word;
    gmemHashMix(v, 2);
    v[0] ^= word;
}

/* Reads @size bytes, at most 8, as a little-endian number. */
static inline guint64
gmemHashWord(const guint8 *bytes, size_t size)
{
    guint64 word = 0;

    memcpy(&word, bytes, size);
    return GUINT64_FROM_LE(word);
}

void
gmemHashKeyedCompute(const guint8 *key, const void *data, size_t length, gmemHashKeyed *digest)
{
    const guint64 k[2] = {gmemHashWord(key, 8), gmemHashWord(key + 8, 8)};
    guint64 v[4] = {
        k[0] ^ G_GUINT64_CONSTANT(0x736f6d6570736575),
        k[1] ^ G_GUINT64_CONSTANT(0x646f72616e646f6d) ^ 0xee,
        k[0] ^ G_GUINT64_CONSTANT(0x6c7967656e657261),
        k[1] ^ G_GUINT64_CONSTANT(0x7465646279746573),
    };
    const guint8 *p = data;
    size_t rest;

    for (rest = length; rest >= 8; rest -= 8, p += 8)
        gmemHashTake(v, gmemHashWord(p, 8));
    gmemHashTake(v, (guint64)length << 56 | gmemHashWord(p, rest));
    v[2] ^= 0xee;
    gmemHashMix(v, 4);
    digest->half[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    gmemHashMix(v, 4);
    digest->half[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
}
