/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemrules.c: the rules of gmem.conf: private memory for domains whose clients cannot ask for it.
 *
 * A rule acts like a client that writes the element, in place of one that does not know it: it is
 * an edit of the text, before anything else examines it. So everything that holds for the elements
 * holds for a rule, and a domain that a rule gave the element never depends on that rule again. A
 * rule says what a domain has at least, and removes nothing. */

#include "gmemrules.h"

#include <string.h>

#include "gmemdomain.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemlower.h"

/* OpenStack Nova's metadata. */
#define GMEM_RULES_NOVA "http://openstack.org/xmlns/libvirt/nova/1.1"

void
gmemRulesAnswerClear(gmemRulesAnswer *answer)
{
    g_clear_pointer(&answer->name, g_free);
}

bool
gmemRulesIsWeaker(gmemMode mode, gmemMode wanted)
{
    return mode != wanted && wanted != GMEM_MODE_NONE && mode != GMEM_MODE_CONVERTIBLE;
}

/* '*' matches any text, '?' any character. Only the last '*' is tried again, so the cost is at most
 * the product of the lengths. */
static bool
gmemRulesGlob(const char *pattern, const char *text)
{
    const char *star = NULL;
    const char *retry = NULL;

    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == '?' || (*pattern != '\0' && *pattern == *text)) {
            text = *pattern == '?' ? g_utf8_next_char(text) : text + 1;
            pattern++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = retry = g_utf8_next_char(retry);
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

/* Returns like gmemRulesMeets(). @value can be NULL, and is freed. */
static int
gmemRulesCompare(const char *pattern, char *value, gmemHostConfCondition condition, GError **error)
{
    g_autofree char *text = value;

    if (text == NULL)
        return 0;
    if (!g_utf8_validate(text, -1, NULL))
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            _("cannot determine whether the domain meets the condition %1$s of a "
                              "rule: its text is not in UTF-8"),
                            gmemHostConfConditionToString(condition));
    return gmemRulesGlob(pattern, text) ? 1 : 0;
}

/* Compares one of Nova's elements, if @condition is about it. The parents of these elements differ
 * between Nova's releases, so they are ignored. */
static int
gmemRulesMeetsNovaElement(const gmemHostConfRule *rule,
                          gmemHostConfCondition condition,
                          gmemXMLNode *node,
                          GError **error)
{
    static const char *const elements[] = {
        [GMEM_HOST_CONF_NOVA_FLAVOR] = "flavor",
        [GMEM_HOST_CONF_NOVA_EXTRA_SPEC] = "extraSpec",
        [GMEM_HOST_CONF_NOVA_IMAGE_PROPERTY] = "property",
    };
    g_autofree char *name = NULL;

    if (!gmemXMLIsNs(node, GMEM_RULES_NOVA, elements[condition]))
        return 0;
    name = gmemXMLAttribute(node, "name");
    if (rule->keys[condition] == NULL)
        return gmemRulesCompare(rule->patterns[condition], g_steal_pointer(&name), condition,
                                error);
    if (g_strcmp0(name, rule->keys[condition]) != 0)
        return 0;
    return gmemRulesCompare(rule->patterns[condition], gmemXMLContent(node), condition, error);
}

static int
gmemRulesMeetsNova(const gmemHostConfRule *rule,
                   gmemHostConfCondition condition,
                   gmemXMLNode *domain,
                   GError **error)
{
    gmemXMLNode *metadata = gmemXMLFindFirst(domain, "metadata");
    gmemXMLNode *node = metadata != NULL ? metadata->children : NULL;
    int meets = 0;

    for (; node != NULL && meets == 0; node = gmemXMLNext(node, metadata, true))
        meets = gmemRulesMeetsNovaElement(rule, condition, node, error);
    return meets;
}

static int
gmemRulesMeetsCondition(const gmemHostConfRule *rule,
                        gmemHostConfCondition condition,
                        gmemXMLNode *domain,
                        GError **error)
{
    gmemXMLNode *node;

    if (condition != GMEM_HOST_CONF_NAME && condition != GMEM_HOST_CONF_TITLE)
        return gmemRulesMeetsNova(rule, condition, domain, error);
    node = gmemXMLFindFirst(domain, condition == GMEM_HOST_CONF_NAME ? "name" : "title");
    return gmemRulesCompare(rule->patterns[condition], node != NULL ? gmemXMLString(node) : NULL,
                            condition, error);
}

int
gmemRulesMeets(const gmemHostConfRule *rule,
               gmemXMLNode *domain,
               gmemHostConfCondition *condition,
               GError **error)
{
    int meets = 1;
    size_t i;

    for (i = 0; i < GMEM_HOST_CONF_CONDITION_LAST && meets == 1; i++) {
        *condition = (gmemHostConfCondition)i;
        if (rule->patterns[i] != NULL)
            meets = gmemRulesMeetsCondition(rule, *condition, domain, error);
    }
    return meets;
}

int
gmemRulesAsk(const gmemHostConf *conf,
             const gmemXML *xml,
             bool validate,
             gmemRulesAnswer *answer,
             GError **error)
{
    gmemXMLNode *root = gmemXMLRoot(xml);
    g_autoptr(gmemDomainDef) def = NULL;
    gmemHostConfCondition condition;
    gmemXMLNode *name;
    int meets = 0;
    size_t i;

    memset(answer, 0, sizeof(*answer));
    if (!gmemXMLIsAnyNs(root, "domain"))
        return 0;
    def = gmemDomainParseXML(root, validate ? GMEM_DOMAIN_VALIDATED : GMEM_DOMAIN_WHOLE, error);
    if (def == NULL)
        return -1;
    gmemDomainPostParse(def);
    answer->own = def->mode;
    for (i = 0; conf != NULL && i < conf->nrules && meets == 0; i++) {
        meets = gmemRulesMeets(&conf->rules[i], root, &condition, error);
        if (meets > 0)
            answer->rule = &conf->rules[i];
    }
    if (meets < 0)
        return -1;
    name = gmemXMLFindFirst(root, "name");
    answer->name = name != NULL ? gmemXMLString(name) : NULL;
    return 0;
}

/* Refuses a domain to which @mode cannot be added. */
static int
gmemRulesCheck(
    const gmemDomainDef *def, const char *rule, gmemMode mode, const char *path, GError **error)
{
    if (def->carrier != NULL)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("rule '%1$s' of '%2$s' gives the domain %3$s, which is not possible in the form of "
              "XML that libvirt stores; define the domain as 'virsh dumpxml' shows it"),
            rule, path, gmemModeElement(mode));
    if (mode == GMEM_MODE_CONVERTIBLE && def->launchSecurity != GMEM_LAUNCH_SECURITY_NONE)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("rule '%1$s' of '%2$s' gives the domain %3$s, but the domain has "
                              "<launchSecurity type='%4$s'/>; change one of the two"),
                            rule, path, gmemModeElement(mode), def->launchSecurityText);
    return 0;
}

/* Returns the text with the element. */
static char *
gmemRulesEdit(gmemXML *xml, gmemMode mode)
{
    g_autoptr(gmemXMLEdit) edit = gmemXMLEditNew(xml);
    gmemXMLNode *root = gmemXMLRoot(xml);
    gmemXMLNode *backing = gmemXMLFindFirst(root, "memoryBacking");
    const char *element = gmemModeElement(mode);
    g_autofree char *whole = g_strdup_printf("<memoryBacking>%s</memoryBacking>", element);

    if (mode == GMEM_MODE_CONVERTIBLE)
        gmemXMLEditAppend(edit, root, element);
    else if (backing != NULL)
        gmemXMLEditAppend(edit, backing, element);
    else
        gmemXMLEditAppend(edit, root, whole);
    return gmemXMLEditApply(edit);
}

gmemXML *
gmemRulesApply(gmemXML *xml,
               const gmemRulesAnswer *answer,
               gmemMode mode,
               bool validate,
               const char *path,
               gmemPlan **plan,
               GError **error)
{
    g_autoptr(gmemDomainDef) def = gmemDomainParseXML(gmemXMLRoot(xml), GMEM_DOMAIN_WHOLE, error);
    const char *rule = answer->rule->name;
    g_autofree char *text = NULL;
    g_autoptr(gmemXML) ruled = NULL;
    g_autoptr(GError) failed = NULL;

    *plan = NULL;
    if (def == NULL || gmemRulesCheck(def, rule, mode, path, error) < 0)
        return NULL;
    text = gmemRulesEdit(xml, mode);
    ruled = gmemXMLParse(text, &failed);
    if (ruled != NULL)
        ruled = gmemLowerXML(g_steal_pointer(&ruled), gmemLowerFindRoot, validate, plan, &failed);
    if (ruled != NULL && *plan != NULL &&
        ((*plan)->mode == mode || (*plan)->mode == GMEM_MODE_NONE))
        return g_steal_pointer(&ruled);
    g_clear_pointer(plan, gmemPlanFree);
    if (failed != NULL)
        gmemErrorSet(error, failed->code, _("rule '%1$s' of '%2$s' gives the domain %3$s: %4$s"),
                     rule, path, gmemModeElement(mode), failed->message);
    else
        gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                     _("rule '%1$s' of '%2$s' gives the domain %3$s, which has no effect there"),
                     rule, path, gmemModeElement(mode));
    return NULL;
}
