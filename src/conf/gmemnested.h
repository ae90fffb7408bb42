/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnested.h: the domains that other documents have in them. */
#pragma once

#include <glib.h>

#include "gmemxml.h"

/**
 * gmemNestedFind:
 * @xml: a <domain>, or a <domainsnapshot> or <domaincheckpoint> with domains in it
 *
 * The domain, or each of the domains: <domain>, and <inactiveDomain>, the persistent configuration
 * beside that of a running domain. See gmemLowerFind.
 */
gmemXMLNode **gmemNestedFind(const gmemXML *xml);

/* gmemNestedRaiseAgain: gmemRaise() for all of them, for a text that libvirt may give often: what
 * it was raised to once is not found out again (gmemraised.h). */
char *gmemNestedRaiseAgain(const char *xml, GError **error);
