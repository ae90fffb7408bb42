/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemlower.h: converts between the XML that users write and the XML that stock libvirt
 * understands. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemplan.h"
#include "gmemxml.h"

/**
 * gmemLowerMayHaveElements:
 * @xml: domain XML from a client
 *
 * Returns false if @xml certainly has neither of the elements nor the carrier pair. This is a
 * substring search, and the whole cost for a domain that does not use them. True does not promise
 * anything.
 */
bool gmemLowerMayHaveElements(const char *xml);

/* gmemLowerMayHaveUnlowered: the same for the two elements alone; lowered XML has a pair instead.
 */
bool gmemLowerMayHaveUnlowered(const char *xml);

/**
 * gmemLower:
 * @xml: domain XML as a client wrote it (root element <domain>)
 * @validate: also validate the two elements against the schema (VIR_DOMAIN_DEFINE_VALIDATE)
 * @plan: out: the plan; can be NULL
 * @error: VIR_ERR_XML_ERROR, VIR_ERR_XML_INVALID_SCHEMA or VIR_ERR_CONFIG_UNSUPPORTED;
 *         VIR_ERR_INTERNAL_ERROR if the result does not say what it should
 *
 * Parse, post-parse, validate, lower: a pure function of @xml that asks neither the host nor QEMU.
 * Time and memory are linear in the length of @xml, whatever its shape.
 *
 * Returns the XML for stock libvirt, to be freed with g_free(). If there is nothing to change (@xml
 * has neither element, or is lowered already), this is a copy of @xml; *@plan is NULL unless the
 * domain is ours. Returns NULL if the domain is refused, which includes XML that may concern us and
 * has a document type declaration. Malformed XML that may concern us is returned in a form on which
 * stock libvirt certainly reports its own error (gmemXMLMalformed()). If @xml is lowered already,
 * the pair is renewed if it names devices that libvirt has since removed from the domain.
 *
 * <private/> beside launch security sev-snp or tdx does not ask for anything, but has to be shown
 * again: such a domain gets a pair and a plan of mode GMEM_MODE_NONE.
 */
char *gmemLower(const char *xml, bool validate, gmemPlan **plan, GError **error);

/**
 * gmemRaiseMayHavePair:
 *
 * Returns false if @xml, as stock libvirt formatted it, certainly does not have a carrier pair.
 */
bool gmemRaiseMayHavePair(const char *xml);

/**
 * gmemRaise:
 * @xml: domain XML as stock libvirt formatted it
 * @plan: out: the plan; can be NULL
 * @error: VIR_ERR_XML_ERROR if there is a carrier pair that is damaged, duplicate, misplaced or of
 * an unknown version, VIR_ERR_XML_DETAIL if @xml is not well formed; callers that only show XML
 *         then show @xml as it is
 *
 * Returns what the user wrote, formatted as libvirt formats (a copy of @xml if it does not have a
 * carrier pair; *@plan is then NULL), to be freed with g_free(). Returns NULL on error.
 */
char *gmemRaise(const char *xml, gmemPlan **plan, GError **error);

/* Returns the elements of a document that are domains, the first <domain> first, if there is one;
 * NULL-terminated, to be freed with g_free(). gmemLowerFindRoot: the root, if it is a domain. */
typedef gmemXMLNode **(*gmemLowerFind)(const gmemXML *xml);
gmemXMLNode **gmemLowerFindRoot(const gmemXML *xml);

/**
 * gmemLowerXML:
 * @xml: a document as it was read; taken over
 * @find: finds the elements that are domains
 *
 * gmemLower() for each of them. Returns @xml if there is nothing to change, otherwise the result,
 * which has been read again to verify it. It must not be edited; free with gmemXMLFree(). The rest
 * of the document keeps its bytes. *@plan is that of the first <domain>.
 */
gmemXML *
gmemLowerXML(gmemXML *xml, gmemLowerFind find, bool validate, gmemPlan **plan, GError **error);

/* gmemLowerDomains, gmemRaiseDomains: gmemLower() and gmemRaise() for each domain in a document.
 * *@plan is that of the first <domain>. The rest of the document keeps its bytes. */
char *gmemLowerDomains(
    const char *text, gmemLowerFind find, bool validate, gmemPlan **plan, GError **error);
char *gmemRaiseDomains(const char *text, gmemLowerFind find, gmemPlan **plan, GError **error);

/**
 * gmemRaisePlan:
 * @text: as for gmemRaiseDomains()
 * @validate: also check the rules of define, which a change that libvirt has made since may break
 * @plan: out: of the first <domain>, to be freed with gmemPlanFree(); NULL if it has no pair
 * @error: as gmemRaise(); with @validate also VIR_ERR_CONFIG_UNSUPPORTED
 *
 * Determines what domains that stock libvirt stores ask for, without raising them. Returns 0, or
 * -1.
 */
int
gmemRaisePlan(const char *text, gmemLowerFind find, bool validate, gmemPlan **plan, GError **error);

/* gmemRaisePlanXML: the same for a document that has been read. */
int gmemRaisePlanXML(
    const gmemXML *xml, gmemLowerFind find, bool validate, gmemPlan **plan, GError **error);

/* gmemRaiseEdit: adds the changes that gmemRaiseDomains() makes to @edit, which is for @xml; others
 * can be added. Returns 1, 0 if there are none, or -1 with @error. */
int gmemRaiseEdit(
    const gmemXML *xml, gmemLowerFind find, gmemXMLEdit *edit, gmemPlan **plan, GError **error);

/* gmemRaiseFindPatch: the changes that gmemRaiseDomains() makes, or NULL if there are none, to be
 * freed with g_free(). Returns 0, or -1 with @error. */
int gmemRaiseFindPatch(
    const char *text, gmemLowerFind find, gmemXMLPatch **patch, gmemPlan **plan, GError **error);
