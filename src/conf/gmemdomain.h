/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomain.h: the two elements and what else of a domain matters to them, stage by stage.
 *
 * Every stage has one duty, as in libvirt: ParseXML only reads, PostParse fills in what an element
 * implies, Validate only refuses, Format only writes. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemdomaindef.h"
#include "gmemplan.h"
#include "gmemxml.h"

#define GMEM_QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

const char *gmemLaunchSecurityToString(gmemLaunchSecurity type);
gmemLaunchSecurity gmemLaunchSecurityFromString(const char *text);

void gmemDomainDefFree(gmemDomainDef *def);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemDomainDef, gmemDomainDefFree)

/* How much of a domain is read. */
typedef enum {
    GMEM_DOMAIN_PAIR,     /* the two elements and the pair only: the other members stay empty */
    GMEM_DOMAIN_WHOLE,    /* all that matters to them, too */
    GMEM_DOMAIN_VALIDATED /* the two elements are also checked against the schema */
} gmemDomainExtent;

/**
 * gmemDomainParseXML:
 * @root: a <domain>, wherever in its document
 * @error: VIR_ERR_XML_ERROR, or VIR_ERR_XML_INVALID_SCHEMA for GMEM_DOMAIN_VALIDATED; says that the
 *         two elements or the carrier pair are malformed, doubled or misplaced. The rest of the
 *         domain is judged by stock libvirt.
 *
 * A domain that has neither the elements nor the pair is read no further than that.
 */
gmemDomainDef *gmemDomainParseXML(gmemXMLNode *root, gmemDomainExtent extent, GError **error);

/* gmemDomainHasElements: whether the domain has one of the elements. */
bool gmemDomainHasElements(const gmemDomainDef *def);

/* gmemDomainPostParse: launch security sw-protected implies <private/>; both decide the mode. */
void gmemDomainPostParse(gmemDomainDef *def);

/* gmemDomainFormat: puts those of the two elements that the carrier stands for where libvirt's
 * formatting would have them. */
void gmemDomainFormat(const gmemDomainDef *def, gmemXMLEdit *edit);

/* gmemDomainPlan: what the other parts of the project have to know. */
gmemPlan *gmemDomainPlan(const gmemDomainDef *def);
