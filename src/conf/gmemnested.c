/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnested.c: lowers and raises the domains that other documents have in them.
 *
 * A domain inside of another document is cut out as text, treated as a document of its own, and put
 * back. libvirt declares the namespaces of a domain on the domain itself, so nothing is lost by the
 * cut. */

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

/* @plan is set where the node is the <domain>. */
static int
gmemNestedNode(const gmemNestedWay *way,
               const gmemXML *xml,
               gmemXMLEdit *edit,
               xmlNode *node,
               gmemPlan **plan,
               GError **error)
{
    g_autofree char *slice = gmemXMLSlice(xml, node);
    g_autofree char *made = NULL;

    if (slice == NULL)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("<%s> cannot come out of an entity"),
                            (const char *)node->name);
    made = gmemNestedOne(way, slice, plan, error);
    if (made == NULL)
        return -1;
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
