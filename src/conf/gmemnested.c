/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnested.c: lowers and raises the domains that other documents have in them.
 *
 * A domain inside of another document is cut out as text, treated as a document of its own, and put
 * back. What the text means by what stands around it has to come along: namespaces are declared
 * again on the domain; entities cannot be, so a domain that needs them is refused. */

#include "gmemnested.h"

#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemlower.h"
#include "gmemxml.h"

typedef struct {
    bool raise;
    bool validate;
} gmemNestedWay;

static char *
gmemNestedOne(const gmemNestedWay *way, const char *xml, gmemPlan **plan, GError **error)
{
    return way->raise ? gmemRaise(xml, plan, error) : gmemLower(xml, way->validate, plan, error);
}

static bool
gmemNestedConcerns(const gmemNestedWay *way, const char *xml)
{
    return way->raise ? gmemRaiseConcerns(xml) : gmemLowerConcerns(xml);
}

static bool
gmemNestedIsContainer(const gmemXML *xml)
{
    const char *name = (const char *)gmemXMLRoot(xml)->name;

    return strcmp(name, "domainsnapshot") == 0 || strcmp(name, "domaincheckpoint") == 0;
}

/* The declarations of namespaces around @node that it does not have itself. */
static char *
gmemNestedNamespaces(const xmlNode *node)
{
    GString *text = g_string_new(NULL);
    xmlNs **all = node->parent != NULL ? xmlGetNsList(node->doc, node->parent) : NULL;
    size_t i;

    for (i = 0; all != NULL && all[i] != NULL; i++) {
        const xmlNs *own = node->nsDef;
        g_autofree char *href = NULL;

        while (own != NULL && xmlStrcmp(own->prefix, all[i]->prefix) != 0)
            own = own->next;
        /* A default namespace: the node was found in none, so it declares that itself. */
        if (own != NULL || all[i]->prefix == NULL)
            continue;
        href = gmemXMLEscape((const char *)all[i]->href);
        g_string_append_printf(text, " xmlns:%s='%s'", (const char *)all[i]->prefix, href);
    }
    xmlFree(all);
    return g_string_free(text, FALSE);
}

/* The node as a document of its own. */
static char *
gmemNestedCut(const gmemXML *xml, const xmlNode *node, GError **error)
{
    g_autofree char *slice = gmemXMLSlice(xml, node);
    g_autofree char *namespaces = NULL;
    g_autoptr(gmemXML) alone = NULL;
    char *cut;
    size_t name;

    if (slice == NULL) {
        gmemErrorSet(error, VIR_ERR_XML_ERROR, _("<%s> cannot come out of an entity"),
                     (const char *)node->name);
        return NULL;
    }
    namespaces = gmemNestedNamespaces(node);
    name = 1 + strcspn(slice + 1, " \t\r\n/>");
    cut = g_strdup_printf("%.*s%s%s", (int)name, slice, namespaces, slice + name);
    if (!gmemXMLHasDTD(xml))
        return cut;
    alone = gmemXMLParse(cut);
    if (alone != NULL)
        return cut;
    g_free(cut);
    gmemErrorSet(error, VIR_ERR_XML_ERROR, _("entities cannot be used in the <%s> of a <%s>"),
                 (const char *)node->name, (const char *)gmemXMLRoot(xml)->name);
    return NULL;
}

/* @plan is set where the node is the <domain>. */
static int
gmemNestedNode(const gmemNestedWay *way,
               const gmemXML *xml,
               gmemXMLEdit *edit,
               xmlNode *node,
               gmemPlan **plan,
               GError **error)
{
    g_autofree char *cut = gmemNestedCut(xml, node, error);
    g_autofree char *made = NULL;

    if (cut == NULL)
        return -1;
    made = gmemNestedOne(way, cut, plan, error);
    if (made == NULL)
        return -1;
    if (strcmp(made, cut) != 0)
        gmemXMLEditReplace(edit, node, made);
    return 0;
}

static char *
gmemNested(const gmemNestedWay *way, const char *text, gmemPlan **plan, GError **error)
{
    static const char *const names[] = {"domain", "inactiveDomain"};
    g_autoptr(gmemXML) xml = NULL;
    g_autoptr(gmemXMLEdit) edit = NULL;
    g_autoptr(gmemPlan) found = NULL;
    char *made;
    size_t i, j;

    if (plan != NULL)
        *plan = NULL;
    if (!gmemNestedConcerns(way, text))
        return g_strdup(text);
    xml = gmemXMLParse(text);
    if (xml == NULL || !gmemNestedIsContainer(xml))
        return gmemNestedOne(way, text, plan, error);

    edit = gmemXMLEditNew(xml);
    for (i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree xmlNode **nodes = gmemXMLFind(gmemXMLRoot(xml), names[i]);

        for (j = 0; nodes[j] != NULL; j++) {
            bool first = i == 0 && j == 0;

            if (gmemNestedNode(way, xml, edit, nodes[j], first ? &found : NULL, error) < 0)
                return NULL;
        }
    }
    made = gmemXMLEditApply(edit, error);
    if (made != NULL && plan != NULL)
        *plan = g_steal_pointer(&found);
    return made;
}

char *
gmemNestedLower(const char *xml, bool validate, gmemPlan **plan, GError **error)
{
    const gmemNestedWay way = {false, validate};

    return gmemNested(&way, xml, plan, error);
}

char *
gmemNestedRaise(const char *xml, gmemPlan **plan, GError **error)
{
    const gmemNestedWay way = {true, false};

    return gmemNested(&way, xml, plan, error);
}
