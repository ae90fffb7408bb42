/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemhash.c: SHA-256 by gnutls.
 *
 * Runs in the child between fork and exec, too: no GString, which comes from GLib's slice allocator
 * and so may wait for a lock. */

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
        gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, _("cannot hash: %s"), gnutls_strerror_name(rc));
        return NULL;
    }
    hex = g_malloc0(2 * sizeof(digest) + 1);
    for (i = 0; i < sizeof(digest); i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 0xf];
    }
    return hex;
}
