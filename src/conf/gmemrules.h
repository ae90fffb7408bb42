/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemrules.h: the rules of gmem.conf: private memory for domains that cannot ask for it. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemhostconf.h"
#include "gmemxml.h"

/* What the rules say of a domain. */
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
 * @condition: out: where 0 is returned: the first condition that is not met
 * @error: VIR_ERR_XML_ERROR: what the rule is about is not UTF-8 there, so that it cannot be
 * determined
 *
 * Returns 1 where the domain meets all conditions of @rule, 0 where not, -1 with @error. Its cost
 * is linear in the domain.
 */
int gmemRulesMeets(const gmemHostConfRule *rule,
                   gmemXMLNode *domain,
                   gmemHostConfCondition *condition,
                   GError **error);

/**
 * gmemRulesAsk:
 * @conf: its rules; NULL: none
 * @xml: a domain as a client wrote it; anything else meets no rule
 * @answer: out; to be cleared with gmemRulesAnswerClear(); valid as long as @conf is
 * @error: as gmemRulesMeets(), or the elements, or the pair, in there are malformed
 *
 * Returns 0, or -1 with @error.
 */
int
gmemRulesAsk(const gmemHostConf *conf, const gmemXML *xml, gmemRulesAnswer *answer, GError **error);

/**
 * gmemRulesApply:
 * @xml: the domain; its one edit is made here
 * @answer: of @xml, with a rule
 * @mode: what the domain is to have: more than it asks for by itself
 * @path: of gmem.conf, for messages
 * @error: of the domain with the element, the rule's name in front of it;
 * VIR_ERR_CONFIG_UNSUPPORTED also where another <launchSecurity> conflicts
 *
 * Returns the text with the element, as if its author had written it, to be freed with g_free();
 * what else is in there keeps its bytes. It is certain that lowering gives it @mode (or, beside
 * launch security that makes memory private by itself, keeps the element).
 */
char *gmemRulesApply(
    gmemXML *xml, const gmemRulesAnswer *answer, gmemMode mode, const char *path, GError **error);
