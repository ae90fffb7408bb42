/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemrules.h: the rules of gmem.conf: private memory for domains whose clients cannot ask for it.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemhostconf.h"
#include "gmemplan.h"
#include "gmemxml.h"

/* The answer of the rules for a domain. */
typedef struct {
    const gmemHostConfRule *rule; /* the first one that the domain meets; NULL: none */
    gmemMode own;                 /* what the domain asks for by itself */
    char *name;                   /* the domain's; may be NULL */
} gmemRulesAnswer;

void gmemRulesAnswerClear(gmemRulesAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemRulesAnswer, gmemRulesAnswerClear)

/* gmemRulesIsWeaker: whether a rule of mode @wanted has something to add to @mode. */
bool gmemRulesIsWeaker(gmemMode mode, gmemMode wanted);

/**
 * gmemRulesMeets:
 * @domain: a <domain>
 * @condition: out: if 0 is returned, the first condition that is not met
 * @error: VIR_ERR_XML_ERROR if what the rule is about is not UTF-8, so that the answer cannot be
 *         determined
 *
 * Returns 1 if the domain meets all conditions of @rule, 0 if it does not, or -1 with @error. The
 * cost is linear in the size of the domain.
 */
int gmemRulesMeets(const gmemHostConfRule *rule,
                   gmemXMLNode *domain,
                   gmemHostConfCondition *condition,
                   GError **error);

/**
 * gmemRulesAsk:
 * @conf: has the rules; NULL: none
 * @xml: a domain as a client wrote it; anything else meets no rule
 * @validate: whether the elements are also checked against the schema
 * @answer: out; to be cleared with gmemRulesAnswerClear(); valid as long as @conf is
 * @error: as gmemRulesMeets(), or if the elements or the pair in @xml are malformed
 *
 * Returns 0, or -1 with @error.
 */
int gmemRulesAsk(const gmemHostConf *conf,
                 const gmemXML *xml,
                 bool validate,
                 gmemRulesAnswer *answer,
                 GError **error);

/**
 * gmemRulesApply:
 * @xml: the domain; its one edit is made here
 * @answer: the answer for @xml, with a rule
 * @mode: the mode that the domain is to have: more than it asks for by itself
 * @validate: whether the elements are also checked against the schema
 * @path: the path of gmem.conf, for messages
 * @plan: out: the plan of the domain with the element, to be freed with gmemPlanFree()
 * @error: the error of the domain with the element, prefixed with the rule's name;
 *         VIR_ERR_CONFIG_UNSUPPORTED also if another <launchSecurity> conflicts
 *
 * Writes the element into the text as if its author had, and lowers that. Returns the result of
 * gmemLowerXML(), which has @mode, or, beside launch security that makes memory private by itself,
 * keeps the element.
 */
gmemXML *gmemRulesApply(gmemXML *xml,
                        const gmemRulesAnswer *answer,
                        gmemMode mode,
                        bool validate,
                        const char *path,
                        gmemPlan **plan,
                        GError **error);
