/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomain.h: the two elements and everything else in a domain that matters to them, stage by
 * stage.
 *
 * As in libvirt, each stage has one duty: ParseXML only reads, PostParse fills in what an element
 * implies, Validate only refuses, Format only writes. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemdomaindef.h"
#include "gmemplan.h"
#include "gmemxml.h"

#define GMEM_QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

void gmemDomainDefFree(gmemDomainDef *def);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemDomainDef, gmemDomainDefFree)

/* How much of a domain is read. */
typedef enum {
    GMEM_DOMAIN_PAIR,     /* the two elements and the text of the pair only */
    GMEM_DOMAIN_WHOLE,    /* all that matters to them, too */
    GMEM_DOMAIN_VALIDATED /* the two elements are also checked against the schema */
} gmemDomainExtent;

/**
 * gmemDomainParseXML:
 * @root: a <domain>, anywhere in its document
 * @error: VIR_ERR_XML_ERROR, or VIR_ERR_XML_INVALID_SCHEMA with GMEM_DOMAIN_VALIDATED, if one of
 * the two elements or the carrier pair is malformed, duplicate or misplaced. Stock libvirt judges
 *         the rest of the domain.
 *
 * If a domain has neither the elements nor the pair, nothing else is read.
 */
gmemDomainDef *gmemDomainParseXML(gmemXMLNode *root, gmemDomainExtent extent, GError **error);

/* gmemDomainHasElements: whether the domain has one of the elements. */
bool gmemDomainHasElements(const gmemDomainDef *def);

/* gmemDomainPostParse: the two elements decide the mode. */
void gmemDomainPostParse(gmemDomainDef *def);

/* gmemDomainFormat: adds those of the two elements that the carrier stands for, in the places where
 * libvirt would format them. */
void gmemDomainFormat(const gmemDomainDef *def, gmemXMLEdit *edit);

/* gmemDomainPlan: what the other parts of the project have to know about the domain. */
gmemPlan *gmemDomainPlan(const gmemDomainDef *def);
