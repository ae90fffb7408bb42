/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomainvalidate.h: the rules that a domain's XML alone decides. */
#pragma once

#include <glib.h>

#include "gmemdomaindef.h"

/**
 * gmemDomainValidate:
 * @error: VIR_ERR_CONFIG_UNSUPPORTED, naming the conflicting element and what would make it work
 *
 * All rules that XML alone decides.
 */
int gmemDomainValidate(const gmemDomainDef *def, GError **error);

/* gmemDomainValidateReport: @node: the conflicting element, of the definition's document; where
 * several break one rule, the first of them. */
typedef void gmemDomainValidateReport(const gmemXMLNode *node, const GError *error, void *opaque);

/* gmemDomainValidateAll: the same rules, and each that is broken is reported, in the order in which
 * gmemDomainValidate() has them. */
void
gmemDomainValidateAll(const gmemDomainDef *def, gmemDomainValidateReport *report, void *opaque);

/**
 * gmemDomainValidateLimit:
 * @limit, @ram: <hard_limit> and guest RAM of a convertible domain, in KiB; a @limit of 0 means
 * none
 * @wish: the element to name
 * @error: as gmemDomainValidate()
 *
 * The rule about them, for code that changes the limit of a domain without a document.
 */
int gmemDomainValidateLimit(unsigned long long limit,
                            unsigned long long ram,
                            const char *wish,
                            GError **error);
