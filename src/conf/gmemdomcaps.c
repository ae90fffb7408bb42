/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomcaps.c: reports in libvirt's domain capabilities which of the two memory modes can be
 * used.
 */

#include "gmemdomcaps.h"

#include <stdbool.h>

#include "gmemplatform.h"
#include "gmemxml.h"

/* A block in libvirt's answer, the enum in it that we fill in, and where the block belongs. */
typedef struct {
    const char *name;
    const char *enumName;
    const char *const *values; /* NULL-terminated */
    int indent;                /* of the block, in columns */
    gmemXMLNode *node;         /* NULL: libvirt has none */
    gmemXMLNode *parent;       /* a new block is appended to that, … */
    gmemXMLNode *behind;       /* … or put after that: one of the two, or NULL: nowhere */
} gmemDomCapsBlock;

static bool
gmemDomCapsIs(gmemXMLNode *root, const char *element, const char *wanted)
{
    gmemXMLNode *node = gmemXMLFindFirst(root, element);
    g_autofree char *content = node != NULL ? gmemXMLContent(node) : NULL;

    return g_strcmp0(content, wanted) == 0;
}

/* Whether a domain of the kind that the answer is about could have one of the modes on any host. */
static bool
gmemDomCapsCanHaveElements(gmemXMLNode *root)
{
    gmemXMLNode *node = gmemXMLFindFirst(root, "machine");
    g_autofree char *machine = node != NULL ? gmemXMLContent(node) : NULL;

    return gmemDomCapsIs(root, "domain", "kvm") &&
           gmemDomCapsIs(root, "arch", GMEM_PLATFORM_ARCH) && !gmemPlatformRefusesMachine(machine);
}

static gmemXMLNode *
gmemDomCapsFindEnum(gmemXMLNode *block, const char *name)
{
    g_autofree gmemXMLNode **enums = gmemXMLFind(block, "enum");
    size_t i;

    for (i = 0; enums[i] != NULL; i++) {
        g_autofree char *enumName = gmemXMLAttribute(enums[i], "name");

        if (g_strcmp0(enumName, name) == 0)
            return enums[i];
    }
    return NULL;
}

static bool
gmemDomCapsHasValue(gmemXMLNode *node, const char *wanted)
{
    g_autofree gmemXMLNode **values = gmemXMLFind(node, "value");
    size_t i;

    for (i = 0; values[i] != NULL; i++) {
        g_autofree char *value = gmemXMLContent(values[i]);

        if (g_str_equal(value, wanted))
            return true;
    }
    return false;
}

/* The values that @node (NULL: a new enum) does not have yet, each on its own line. */
static char *
gmemDomCapsFormatValues(gmemXMLNode *node, const char *const *values, int indent)
{
    GString *markup = g_string_new(NULL);

    for (; *values != NULL; values++) {
        if (node == NULL || !gmemDomCapsHasValue(node, *values))
            g_string_append_printf(markup, "\n%*s<value>%s</value>", indent, "", *values);
    }
    return g_string_free(markup, FALSE);
}

static char *
gmemDomCapsFormatEnum(const gmemDomCapsBlock *block)
{
    int indent = block->indent + 2;
    g_autofree char *values = gmemDomCapsFormatValues(NULL, block->values, indent + 2);

    if (*values == '\0')
        return g_strdup_printf("\n%*s<enum name='%s'/>", indent, "", block->enumName);
    return g_strdup_printf("\n%*s<enum name='%s'>%s\n%*s</enum>", indent, "", block->enumName,
                           values, indent, "");
}

/* The end tag of an element without content is not on a line of its own yet. */
static void
gmemDomCapsAppend(gmemXMLEdit *edit, gmemXMLNode *node, const char *markup, int indent)
{
    g_autofree char *lines = NULL;

    if (gmemXMLIsEmpty(node) && !gmemXMLEndsInSpace(node))
        lines = g_strdup_printf("%s\n%*s", markup, indent, "");
    gmemXMLEditAppend(edit, node, lines != NULL ? lines : markup);
}

static void
gmemDomCapsMakeBlock(gmemXMLEdit *edit, const gmemDomCapsBlock *block)
{
    g_autofree char *content = gmemDomCapsFormatEnum(block);
    g_autofree char *markup =
        g_strdup_printf("\n%*s<%s supported='yes'>%s\n%*s</%s>", block->indent, "", block->name,
                        content, block->indent, "", block->name);

    if (block->parent != NULL)
        gmemDomCapsAppend(edit, block->parent, markup, block->indent - 2);
    else if (block->behind != NULL)
        gmemXMLEditInsertAfter(edit, block->behind, markup);
}

static void
gmemDomCapsFillBlock(gmemXMLEdit *edit, const gmemDomCapsBlock *block)
{
    gmemXMLNode *node = gmemDomCapsFindEnum(block->node, block->enumName);
    g_autofree char *markup = NULL;

    if (node == NULL) {
        markup = gmemDomCapsFormatEnum(block);
        gmemDomCapsAppend(edit, block->node, markup, block->indent);
        return;
    }
    markup = gmemDomCapsFormatValues(node, block->values, block->indent + 4);
    if (*markup != '\0')
        gmemDomCapsAppend(edit, node, markup, block->indent + 2);
}

static void
gmemDomCapsRaiseBlock(gmemXMLEdit *edit, const gmemDomCapsBlock *block)
{
    g_autofree char *supported = gmemXMLAttribute(block->node, "supported");
    bool offers = *block->values != NULL;

    if (block->node == NULL) {
        if (offers)
            gmemDomCapsMakeBlock(edit, block);
        return;
    }
    if (g_strcmp0(supported, "no") == 0 && offers)
        gmemXMLEditSetAttribute(edit, block->node, "supported", "yes");
    else if (g_strcmp0(supported, "yes") != 0)
        return;
    gmemDomCapsFillBlock(edit, block);
}

static char *
gmemDomCapsFindEmulator(gmemXMLNode *root)
{
    gmemXMLNode *path =
        gmemXMLIs(root, "domainCapabilities") ? gmemXMLFindFirst(root, "path") : NULL;

    return path != NULL ? gmemXMLContent(path) : NULL;
}

char *
gmemDomCapsEmulator(const char *xml)
{
    g_autoptr(gmemXML) document = gmemXMLParse(xml, NULL);

    return document != NULL ? gmemDomCapsFindEmulator(gmemXMLRoot(document)) : NULL;
}

char *
gmemDomCapsRaise(const char *xml, gmemDomCapsGetModes getModes)
{
    g_autoptr(gmemXML) document = gmemXMLParse(xml, NULL);
    g_autofree char *emulator = NULL;
    g_autoptr(gmemXMLEdit) edit = NULL;
    const char *usable[GMEM_MODE_LAST] = {NULL};
    const char *types[2] = {NULL};
    gmemDomCapsBlock memory = {"memoryBacking", GMEM_MODE_PRIVATE, usable, 2, NULL, NULL, NULL};
    gmemDomCapsBlock security = {GMEM_MODE_LAUNCH, "sectype", types, 4, NULL, NULL, NULL};
    unsigned int modes;
    size_t nusable = 0;
    gmemMode mode;
    gmemXMLNode *root;

    if (document == NULL)
        return g_strdup(xml);
    root = gmemXMLRoot(document);
    if (!gmemXMLIs(root, "domainCapabilities"))
        return g_strdup(xml);

    emulator = gmemDomCapsCanHaveElements(root) ? gmemDomCapsFindEmulator(root) : NULL;
    modes = emulator != NULL ? getModes(emulator) : 0;
    for (mode = GMEM_MODE_NONE + 1; mode < GMEM_MODE_LAST; mode++) {
        if (modes & (1u << mode))
            usable[nusable++] = gmemModeToString(mode);
    }

    edit = gmemXMLEditNew(document);
    memory.node = gmemXMLFindFirst(root, "memoryBacking");
    memory.behind = gmemXMLFindFirst(root, "cpu");
    gmemDomCapsRaiseBlock(edit, &memory);
    if (modes & (1u << GMEM_MODE_CONVERTIBLE)) {
        types[0] = GMEM_MODE_LAUNCH_TYPE;
        security.node = gmemXMLFindFirst(root, "features/" GMEM_MODE_LAUNCH);
        security.parent = gmemXMLFindFirst(root, "features");
        gmemDomCapsRaiseBlock(edit, &security);
    }
    return gmemXMLEditApply(edit);
}
