/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemlower.h: between the XML that users write and the XML that stock libvirt understands. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemplan.h"
#include "gmemxml.h"

/**
 * gmemLowerMayHaveElements:
 * @xml: domain XML from a client
 *
 * Returns false where @xml certainly has neither of the elements nor the carrier pair: a substring
 * search, the whole cost for a domain that does not use them. True does not promise anything.
 */
bool gmemLowerMayHaveElements(const char *xml);

/* gmemLowerMayHaveUnlowered: the same for the two elements alone: what was lowered has none, but a
 * pair. */
bool gmemLowerMayHaveUnlowered(const char *xml);

/**
 * gmemLower:
 * @xml: domain XML as a client wrote it (root element <domain>)
 * @validate: also validate the two elements against the schema (VIR_DOMAIN_DEFINE_VALIDATE)
 * @plan: where the plan goes; may be NULL
 * @error: VIR_ERR_XML_ERROR, VIR_ERR_XML_INVALID_SCHEMA or VIR_ERR_CONFIG_UNSUPPORTED;
 *         VIR_ERR_INTERNAL_ERROR where the result would not say what it should
 *
 * Parse, post-parse, validate, lower; a pure function of @xml that asks neither host nor QEMU. Time
 * and memory are linear in @xml, whatever its shape.
 *
 * Returns the XML for stock libvirt, to be freed with g_free(). Where it equals @xml in every byte
 * (neither element is there; or XML that is already lowered) that is a copy; *@plan is NULL unless
 * the domain is ours. NULL on refusal, which includes that @xml may be about us and has a document
 * type declaration. Malformed XML that may be about us comes back so that stock libvirt reports its
 * own error on it, and certainly does (gmemXMLMalformed()). Of XML that is already lowered, the
 * pair is renewed where it names devices that libvirt has removed from the domain since.
 *
 * <private/> beside launch security sev-snp or tdx asks for nothing, but is to be shown again: such
 * a domain gets a pair and a plan of mode GMEM_MODE_NONE.
 */
char *gmemLower(const char *xml, bool validate, gmemPlan **plan, GError **error);

/**
 * gmemRaiseMayHavePair:
 *
 * Returns false where @xml, as stock libvirt formatted it, certainly has no carrier pair.
 */
bool gmemRaiseMayHavePair(const char *xml);

/**
 * gmemRaise:
 * @xml: domain XML as stock libvirt formatted it
 * @plan: where the plan goes; may be NULL
 * @error: VIR_ERR_XML_ERROR where there is a carrier pair that is damaged, doubled, misplaced or of
 *         an unknown version, VIR_ERR_XML_DETAIL where @xml is not well formed; callers that only
 *         show XML then show @xml as it is
 *
 * Returns what the user wrote, formatted as libvirt formats (a copy of @xml where it has no carrier
 * pair; *@plan is then NULL), to be freed with g_free(); NULL on error.
 */
char *gmemRaise(const char *xml, gmemPlan **plan, GError **error);

/* Which elements of a document are domains: the first <domain> first, if there is one;
 * NULL-terminated, to be freed with g_free(). gmemLowerFindRoot: the root, where it is one. */
typedef gmemXMLNode **(*gmemLowerFind)(const gmemXML *xml);
gmemXMLNode **gmemLowerFindRoot(const gmemXML *xml);

/**
 * gmemLowerXML:
 * @xml: a document as it was read, taken over
 * @find: which elements of it are domains
 *
 * gmemLower() for each of them. Returns @xml where there is nothing to change, else what was made
 * of it, which has been read again for verification: to be freed with gmemXMLFree(), and to be
 * read, not edited. The rest of the document keeps its bytes. *@plan is that of the first <domain>.
 */
gmemXML *
gmemLowerXML(gmemXML *xml, gmemLowerFind find, bool validate, gmemPlan **plan, GError **error);

/* gmemLowerDomains, gmemRaiseDomains: gmemLower() and gmemRaise() for each of the domains of a
 * document. *@plan is that of the first <domain>. The rest of the document keeps its bytes. */
char *gmemLowerDomains(
    const char *text, gmemLowerFind find, bool validate, gmemPlan **plan, GError **error);
char *gmemRaiseDomains(const char *text, gmemLowerFind find, gmemPlan **plan, GError **error);

/**
 * gmemRaisePlan:
 * @text: as gmemRaiseDomains() takes it
 * @validate: also by the rules of define, which what libvirt has changed since may break
 * @plan: out: of the first <domain>, to be freed with gmemPlanFree(); NULL where it has no pair
 * @error: as gmemRaise(); with @validate also VIR_ERR_CONFIG_UNSUPPORTED
 *
 * What domains ask for that stock libvirt keeps, without their being raised. Returns 0, or -1.
 */
int
gmemRaisePlan(const char *text, gmemLowerFind find, bool validate, gmemPlan **plan, GError **error);

/* gmemRaiseFindPatch: what gmemRaiseDomains() changes, NULL for nothing, to be freed with g_free().
 * Returns 0, or -1 with @error. */
int gmemRaiseFindPatch(
    const char *text, gmemLowerFind find, gmemXMLPatch **patch, gmemPlan **plan, GError **error);
