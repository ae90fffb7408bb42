/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnested.h: finds and raises the domains in a document: a domain, a snapshot, a checkpoint. */
#pragma once

#include <glib.h>

#include "gmemxml.h"

/**
 * gmemNestedFind:
 * @xml: a <domain>, or a <domainsnapshot> or <domaincheckpoint> with domains in it
 *
 * Returns the domain, or each of the domains: <domain>, and <inactiveDomain>, which is the
 * persistent configuration of a running domain. See gmemLowerFind.
 */
gmemXMLNode **gmemNestedFind(const gmemXML *xml);

/* gmemNestedRaiseAgain: gmemRaise() for all of them, for a text that libvirt may return often: the
 * result is cached (gmemraised.h). */
char *gmemNestedRaiseAgain(const char *xml, GError **error);
