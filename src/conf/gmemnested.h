/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnested.h: lowers and raises the domains that other documents have in them. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemplan.h"
#include "gmemxml.h"

/**
 * gmemNestedLower:
 * @xml: a <domain>, or a <domainsnapshot> or <domaincheckpoint> with domains in it
 *
 * gmemLower() for the domain, or for each of the domains: <domain>, and <inactiveDomain>, the
 * persistent configuration beside that of a running domain. *@plan is that of <domain>. The rest of
 * the document keeps its bytes.
 */
char *gmemNestedLower(const char *xml, bool validate, gmemPlan **plan, GError **error);

/* gmemNestedFind: the domains of such a document. */
gmemXMLNode **gmemNestedFind(const gmemXML *xml);

/* gmemNestedRaiseAgain: gmemRaise() in the same way, for a text that libvirt may give often: what
 * it was raised to once is not found out again (gmemraised.h). */
char *gmemNestedRaiseAgain(const char *xml, GError **error);
