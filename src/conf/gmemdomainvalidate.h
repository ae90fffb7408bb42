/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomainvalidate.h: the rules that only depend on a domain's XML. */
#pragma once

#include <glib.h>

#include "gmemdomaindef.h"

/**
 * gmemDomainValidate:
 * @error: VIR_ERR_CONFIG_UNSUPPORTED, naming the conflicting element and what would make it work
 *
 * Checks all rules that only depend on the XML. Returns 0, or -1 with @error.
 */
int gmemDomainValidate(const gmemDomainDef *def, GError **error);

/* gmemDomainValidateReport: @node is the conflicting element in the definition's document; if
 * several break one rule, the first of them. */
typedef void gmemDomainValidateReport(const gmemXMLNode *node, const GError *error, void *opaque);

/* gmemDomainValidateAll: checks the same rules, and reports each one that is broken, in the order
 * of gmemDomainValidate(). */
void
gmemDomainValidateAll(const gmemDomainDef *def, gmemDomainValidateReport *report, void *opaque);

/**
 * gmemDomainValidateLimit:
 * @limit, @ram: <hard_limit> and guest RAM of a convertible domain, in KiB; a @limit of 0 means
 * none
 * @wish: the element to name
 * @error: as gmemDomainValidate()
 *
 * The rule about these two, for code that changes the limit of a domain without a document.
 */
int gmemDomainValidateLimit(unsigned long long limit,
                            unsigned long long ram,
                            const char *wish,
                            GError **error);
