/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolschema.c: `virt-gmem schema`: a RELAX NG schema of domains with the two elements, made
 * from libvirt's own.
 *
 * It includes libvirt's domain.rng, in whatever version exists, and changes two things. The
 * contents of <launchSecurity> are a pattern with a name, to which another one is added as RELAX NG
 * provides for. The contents of <memoryBacking> are in the middle of a pattern, which is therefore
 * copied from its file, extended by <private/>, and redefined. What is added is what our own schema
 * (gmem.rng) has. */

#include "config.h"

#include "gmemtool.h"

#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemmode.h"
#include "gmemschema.h"
#include "gmemxml.h"

#define GMEM_RNG "http://relaxng.org/ns/structure/1.0"

static bool
isElement(const gmemXMLNode *node, const char *name)
{
    g_autofree char *named = gmemXMLAttribute(node, "name");

    return gmemXMLIsNs(node, GMEM_RNG, "element") && g_strcmp0(named, name) == 0;
}

/* The pattern that is the contents of <memoryBacking>, in any order. */
static gmemXMLNode *
findMemoryBacking(gmemXMLNode *root)
{
    gmemXMLNode *node;

    for (node = root; node != NULL; node = gmemXMLNext(node, root, true)) {
        if (isElement(node, "memoryBacking") && node->children != NULL &&
            gmemXMLIsNs(node->children, GMEM_RNG, "interleave") && node->children->children != NULL)
            return node->children;
    }
    return NULL;
}

/* The contents of a definition of our own schema, as its text has them; free with g_free(). */
static char *
ourDefinition(const char *name)
{
    g_autoptr(gmemXML) doc = gmemXMLParse(gmemSchemaText(), NULL);
    gmemXMLNode *node;

    for (node = gmemXMLRoot(doc); node != NULL; node = gmemXMLNext(node, gmemXMLRoot(doc), true)) {
        g_autofree char *named = gmemXMLAttribute(node, "name");

        if (gmemXMLIsNs(node, GMEM_RNG, "define") && g_strcmp0(named, name) == 0)
            return g_strndup(node->tagEnd + 1, (gsize)(node->children->end - node->tagEnd - 1));
    }
    return NULL;
}

/* The definition that contains @node. */
static gmemXMLNode *
definitionOf(gmemXMLNode *node)
{
    while (node != NULL && !gmemXMLIsNs(node, GMEM_RNG, "define"))
        node = node->parent;
    return node;
}

/* @common is the text of domaincommon.rng. Free with g_free(). */
static char *
makeSchema(const char *common, GError **error)
{
    g_autoptr(gmemXML) doc = gmemXMLParse(common, error);
    gmemXMLNode *backing = doc != NULL ? findMemoryBacking(gmemXMLRoot(doc)) : NULL;
    gmemXMLNode *definition = definitionOf(backing);
    g_autofree char *element = ourDefinition("memoryBackingPrivate");
    g_autofree char *launch = ourDefinition("launchSecuritySwProtected");
    g_autofree char *types = NULL;

    if (definition == NULL) {
        if (doc != NULL)
            gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                         _("the schema does not define <memoryBacking>"));
        return NULL;
    }
    types = gmemXMLAttribute(gmemXMLRoot(doc), "datatypeLibrary");
    return g_strdup_printf(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<!-- Made by virt-gmem from libvirt's own schema, which it includes; made again when that "
        "changes. -->\n"
        "<grammar xmlns=\"" GMEM_RNG "\" datatypeLibrary=\"%s\">\n"
        "  <include href=\"domain.rng\">\n"
        "    %.*s\n"
        "            <optional>%s</optional>%.*s\n"
        "  </include>\n"
        "  <define name=\"" GMEM_MODE_LAUNCH "\" combine=\"choice\">%s\n"
        "  </define>\n"
        "</grammar>\n",
        types != NULL ? types : "", (int)(backing->tagEnd + 1 - definition->start),
        definition->start, element, (int)(definition->end - backing->tagEnd - 1),
        backing->tagEnd + 1, launch);
}

int
gmemToolSchema(int argc, char **argv)
{
    const GOptionEntry entries[] = {{NULL, 0, 0, 0, NULL, NULL, NULL}};
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    g_autofree char *common = NULL;
    g_autofree char *schema = NULL;

    if (!gmemToolParse(entries, &argc, &argv, _("[DIRECTORY]"),
                       _("Prints a schema of domains, made of libvirt's in DIRECTORY.")))
        return GMEM_TOOL_EXIT_USAGE;
    if (argc > 2) {
        gmemToolError(_("unexpected argument '%1$s'"), argv[2]);
        return GMEM_TOOL_EXIT_USAGE;
    }
    path = g_build_filename(argc > 1 ? argv[1] : GMEM_LIBVIRT_SCHEMADIR, "domaincommon.rng", NULL);
    if (g_file_get_contents(path, &common, NULL, &error))
        schema = makeSchema(common, &error);
    if (schema == NULL) {
        gmemToolError(_("no schema can be made of %1$s: %2$s"), path, error->message);
        return GMEM_TOOL_EXIT_FAILED;
    }
    return gmemToolPrint(schema);
}
