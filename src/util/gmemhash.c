/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemhash.c: SHA-256 by gnutls. */

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
    unsigned char digest[GMEM_SHA256_SIZE];
    GString *hex;
    size_t i;
    int rc;

    rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), digest);
    if (rc < 0) {
        gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, _("cannot hash: %s"), gnutls_strerror(rc));
        return NULL;
    }
    hex = g_string_sized_new(2 * sizeof(digest));
    for (i = 0; i < sizeof(digest); i++)
        g_string_append_printf(hex, "%02x", digest[i]);
    return g_string_free(hex, FALSE);
}
