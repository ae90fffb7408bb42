/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolexplain.c: `virt-gmem explain`: what the rules of a gmem.conf do to a domain, and why. */

#include "config.h"

#include "gmemtool.h"

#include <stdio.h>

#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemrules.h"

/* The key as it is written in the file. */
static char *
formatCondition(const gmemHostConfRule *rule, size_t condition)
{
    const char *key = rule->keys[condition];

    return g_strdup_printf("%s=%s%s%s", gmemHostConfConditionToString(condition),
                           key != NULL ? key : "", key != NULL ? "=" : "",
                           rule->patterns[condition]);
}

static void
printRule(const gmemHostConfRule *rule)
{
    g_autoptr(GString) conditions = g_string_new(NULL);
    size_t i;

    for (i = 0; i < GMEM_HOST_CONF_CONDITION_LAST; i++) {
        g_autofree char *condition = rule->patterns[i] != NULL ? formatCondition(rule, i) : NULL;

        if (condition != NULL)
            g_string_append_printf(conditions, conditions->len > 0 ? " %s" : "%s", condition);
    }
    printf(_("rule '%1$s' gives %2$s memory to domains with %3$s\n"), rule->name,
           gmemModeToString(rule->mode), conditions->str);
}

/* Explains all rules up to the one that applies. */
static int
printWhy(const gmemHostConf *conf, gmemXMLNode *domain, GError **error)
{
    int meets = 0;
    size_t i;

    for (i = 0; i < conf->nrules && meets == 0; i++) {
        const gmemHostConfRule *rule = &conf->rules[i];
        gmemHostConfCondition unmet = GMEM_HOST_CONF_NAME;
        g_autofree char *condition = NULL;

        if ((meets = gmemRulesMeets(rule, domain, &unmet, error)) < 0)
            return -1;
        if (meets > 0) {
            printf(_("rule '%1$s' applies\n"), rule->name);
        } else {
            condition = formatCondition(rule, unmet);
            printf(_("rule '%1$s' does not apply: the domain does not meet %2$s\n"), rule->name,
                   condition);
        }
    }
    return 0;
}

static int
printResult(gmemXML *xml, const gmemRulesAnswer *answer, const char *path, GError **error)
{
    g_autoptr(gmemXML) ruled = NULL;
    g_autoptr(gmemPlan) plan = NULL;

    if (answer->rule == NULL) {
        printf(_("the domain stays as it is: no rule applies\n"));
        return 0;
    }
    if (!gmemRulesIsWeaker(answer->own, answer->rule->mode)) {
        printf(_("the domain stays as it is: it has %1$s itself\n"), gmemModeElement(answer->own));
        return 0;
    }
    if ((ruled = gmemRulesApply(xml, answer, answer->rule->mode, false, path, &plan, error)) ==
        NULL)
        return -1;
    printf(_("the domain gets %1$s\n"), gmemModeElement(answer->rule->mode));
    return 0;
}

static int
explain(const gmemHostConf *conf, const char *path, const char *text, GError **error)
{
    g_autoptr(gmemXML) xml = gmemXMLParse(text, error);
    g_auto(gmemRulesAnswer) answer = {0};

    if (xml == NULL)
        return -1;
    if (!gmemXMLIs(gmemXMLRoot(xml), "domain"))
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("the root element is not <domain>"));
    if (printWhy(conf, gmemXMLRoot(xml), error) < 0 ||
        gmemRulesAsk(conf, xml, false, &answer, error) < 0)
        return -1;
    return printResult(xml, &answer, path, error);
}

int
gmemToolExplain(int argc, char **argv)
{
    g_autofree char *path = NULL;
    g_autofree char *rules = NULL;
    g_autofree char *text = NULL;
    g_autofree char *where =
        g_strdup_printf(_("the file with the rules (default: %1$s)"), GMEM_HOST_CONF_FILE);
    g_autoptr(GError) error = NULL;
    g_auto(gmemHostConf) conf = {0};
    const GOptionEntry entries[] = {
        {"rules", 'r', 0, G_OPTION_ARG_FILENAME, &path, where, N_("FILE")},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };

    if (!gmemToolParse(entries, &argc, &argv, _("[DOMAIN.xml]"),
                       _("Says what the rules of a gmem.conf make of a domain, and why.")))
        return GMEM_TOOL_EXIT_USAGE;
    if (argc > 2) {
        gmemToolError(_("unexpected argument '%1$s'"), argv[2]);
        return GMEM_TOOL_EXIT_USAGE;
    }
    if (path == NULL)
        path = g_strdup(GMEM_HOST_CONF_FILE);
    if ((rules = gmemToolRead(path)) == NULL ||
        (argc > 1 && (text = gmemToolRead(argv[1])) == NULL))
        return GMEM_TOOL_EXIT_FAILED;
    if (gmemHostConfParse(path, rules, &conf, &error) == 0 &&
        (text == NULL || explain(&conf, path, text, &error) == 0)) {
        size_t i;

        for (i = 0; text == NULL && i < conf.nrules; i++)
            printRule(&conf.rules[i]);
        return 0;
    }
    gmemToolError("%s", error->message);
    return GMEM_TOOL_EXIT_FAILED;
}
