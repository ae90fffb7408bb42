/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnested.c: finds and raises the domains in a document: a domain, a snapshot, a checkpoint. */

#include "gmemnested.h"

#include <string.h>

#include "gmemlower.h"
#include "gmemraised.h"

static bool
gmemNestedIsContainer(const gmemXMLNode *root)
{
    return gmemXMLIsAnyNs(root, "domainsnapshot") || gmemXMLIsAnyNs(root, "domaincheckpoint");
}

gmemXMLNode **
gmemNestedFind(const gmemXML *xml)
{
    static const char *const names[] = {"domain", "inactiveDomain"};
    gmemXMLNode *root = gmemXMLRoot(xml);
    GPtrArray *domains;
    gmemXMLNode *child;
    size_t i;

    if (!gmemNestedIsContainer(root))
        return gmemLowerFindRoot(xml);
    domains = g_ptr_array_new();
    for (i = 0; i < G_N_ELEMENTS(names); i++) {
        for (child = root->children; child != NULL; child = child->next) {
            if (gmemXMLIs(child, names[i]))
                g_ptr_array_add(domains, child);
        }
    }
    g_ptr_array_add(domains, NULL);
    return (gmemXMLNode **)g_ptr_array_free(domains, FALSE);
}

char *
gmemNestedRaiseAgain(const char *xml, GError **error)
{
    char *raised = gmemRaisedApply(xml);
    g_autofree gmemXMLPatch *patch = NULL;

    if (raised != NULL)
        return raised;
    if (gmemRaiseFindPatch(xml, gmemNestedFind, &patch, NULL, error) < 0)
        return NULL;
    if (patch == NULL)
        return g_strdup(xml);
    raised = gmemXMLPatchApply(patch, xml, strlen(xml));
    gmemRaisedRemember(xml, g_steal_pointer(&patch));
    return raised;
}
