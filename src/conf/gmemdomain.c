/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomain.c: reads the two elements and what else of a domain matters to them, and writes the
 * elements. What it reads, it reads as stock libvirt does: elements in no namespace, the first one
 * where libvirt takes the first, and the same defaults. */

#include "gmemdomain.h"

#include <assert.h>
#include <string.h>

#include "gmemargv.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemschema.h"

/* As many as libvirt has for a set of host nodes. */
#define GMEM_DOMAIN_NODES_MAX 16384

/* x86_64's base page, and guest_memfd's only one. */
#define GMEM_DOMAIN_PAGE_KIB 4

/* The smallest that the host's default huge page can be. */
#define GMEM_DOMAIN_HUGE_PAGE_KIB 2048

static const char *const gmemLaunchSecurityNames[] = {
    [GMEM_LAUNCH_SECURITY_NONE] = "",
    [GMEM_LAUNCH_SECURITY_SW_PROTECTED] = "sw-protected",
    [GMEM_LAUNCH_SECURITY_SEV] = "sev",
    [GMEM_LAUNCH_SECURITY_SEV_SNP] = "sev-snp",
    [GMEM_LAUNCH_SECURITY_S390_PV] = "s390-pv",
    [GMEM_LAUNCH_SECURITY_TDX] = "tdx",
    [GMEM_LAUNCH_SECURITY_UNKNOWN] = "unknown",
};
static_assert(G_N_ELEMENTS(gmemLaunchSecurityNames) == GMEM_LAUNCH_SECURITY_LAST,
              "a type of launch security has no name");

const char *
gmemLaunchSecurityToString(gmemLaunchSecurity type)
{
    return gmemLaunchSecurityNames[type < GMEM_LAUNCH_SECURITY_LAST ? type
                                                                    : GMEM_LAUNCH_SECURITY_UNKNOWN];
}

gmemLaunchSecurity
gmemLaunchSecurityFromString(const char *text)
{
    size_t i;

    for (i = GMEM_LAUNCH_SECURITY_SW_PROTECTED; i < GMEM_LAUNCH_SECURITY_UNKNOWN; i++) {
        if (strcmp(gmemLaunchSecurityNames[i], text) == 0)
            return (gmemLaunchSecurity)i;
    }
    return GMEM_LAUNCH_SECURITY_UNKNOWN;
}

/* Whether some entity may bring one of the elements with it. A "<private" is always literally in
 * the replacement text of one entity: no reference can stand inside a tag. */
static bool
gmemDomainEntitiesMayHide(const gmemXML *xml)
{
    const xmlNode *node = gmemXMLRoot(xml)->doc->intSubset->children;

    for (; node != NULL; node = node->next) {
        const xmlEntity *entity = (const xmlEntity *)node;

        if (node->type != XML_ENTITY_DECL)
            continue;
        if (entity->content == NULL || strstr((const char *)entity->content, "<private") ||
            strstr((const char *)entity->content, "<launchSecurity"))
            return true;
    }
    return false;
}

/* Stock libvirt does not look into entities between elements: an element in there would be dropped
 * without a word. */
static int
gmemDomainCheckEntities(const gmemXML *xml, xmlNode *parent, GError **error)
{
    const xmlNode *child;

    for (child = parent->children; child != NULL; child = child->next) {
        if (child->type != XML_ENTITY_REF_NODE)
            continue;
        if (xmlGetDocEntity(child->doc, child->name) == NULL || gmemDomainEntitiesMayHide(xml))
            return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                                _("entity reference '&%s;' in <%s> may hide <private/> or "
                                  "<launchSecurity>: write the elements out"),
                                (const char *)child->name, (const char *)parent->name);
    }
    return 0;
}

static int
gmemDomainCheckAllEntities(const gmemXML *xml, GError **error)
{
    static const char *const paths[] = {"memoryBacking", "launchSecurity"};
    size_t i, j;

    if (!gmemXMLHasDTD(xml))
        return 0;
    if (gmemDomainCheckEntities(xml, gmemXMLRoot(xml), error) < 0)
        return -1;
    for (i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autofree xmlNode **nodes = gmemXMLFind(gmemXMLRoot(xml), paths[i]);

        for (j = 0; nodes[j] != NULL; j++) {
            if (gmemDomainCheckEntities(xml, nodes[j], error) < 0)
                return -1;
        }
    }
    return 0;
}

/* @attributes: how many the element may have. Comments and white space are no content. */
static int
gmemDomainCheckEmpty(const xmlNode *node, size_t attributes, GError **error)
{
    const xmlAttr *attribute;
    const xmlNode *child;
    size_t count = 0;

    for (attribute = node->properties; attribute != NULL; attribute = attribute->next)
        count++;
    if (count > attributes)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            attributes > 0 ? _("element <%s> takes no attribute but 'type'")
                                           : _("element <%s> takes no attributes"),
                            (const char *)node->name);
    for (child = node->children; child != NULL; child = child->next) {
        if (child->type != XML_COMMENT_NODE && child->type != XML_PI_NODE &&
            (child->type != XML_TEXT_NODE || !xmlIsBlankNode(child)))
            return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("element <%s> takes no content"),
                                (const char *)node->name);
    }
    return 0;
}

static int
gmemDomainParsePrivate(gmemDomainDef *def, bool validate, GError **error)
{
    g_autofree xmlNode **nodes = gmemXMLFind(gmemXMLRoot(def->xml), "memoryBacking/private");

    if (nodes[0] == NULL)
        return 0;
    if (nodes[1] != NULL)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("more than one <%s> element"), "private");
    if ((validate && gmemSchemaValidate(nodes[0], error) < 0) ||
        gmemDomainCheckEmpty(nodes[0], 0, error) < 0)
        return -1;
    def->private = true;
    def->privateNode = nodes[0];
    return 0;
}

static int
gmemDomainParseLaunchSecurity(gmemDomainDef *def, bool validate, GError **error)
{
    g_autofree xmlNode **nodes = gmemXMLFind(gmemXMLRoot(def->xml), "launchSecurity");
    size_t i;

    for (i = 0; nodes[i] != NULL; i++) {
        g_autofree char *text = gmemXMLAttribute(nodes[i], "type");
        gmemLaunchSecurity type = gmemLaunchSecurityFromString(text != NULL ? text : "");

        if (type == GMEM_LAUNCH_SECURITY_SW_PROTECTED) {
            if (nodes[1] != NULL)
                return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("more than one <%s> element"),
                                    "launchSecurity");
            if ((validate && gmemSchemaValidate(nodes[i], error) < 0) ||
                gmemDomainCheckEmpty(nodes[i], 1, error) < 0)
                return -1;
        }
        if (i > 0)
            continue;
        def->launchSecurity = type;
        def->launchSecurityText = g_strdup(text != NULL ? text : "");
        def->launchSecurityNode = nodes[i];
    }
    return 0;
}

/* All <qemu:arg>, as libvirt puts them behind its own arguments: the nodes of all of them and,
 * one further on, their values. */
static void
gmemDomainFindArguments(gmemDomainDef *def, GPtrArray *nodes, GPtrArray *argv)
{
    xmlNode *commandline;
    xmlNode *arg;

    g_ptr_array_add(nodes, NULL);
    g_ptr_array_add(argv, g_strdup("qemu"));
    for (commandline = gmemXMLRoot(def->xml)->children; commandline != NULL;
         commandline = commandline->next) {
        if (!gmemXMLIsNs(commandline, GMEM_QEMU_NAMESPACE, "commandline"))
            continue;
        if (def->commandline == NULL)
            def->commandline = commandline;
        for (arg = commandline->children; arg != NULL; arg = arg->next) {
            char *value;

            if (!gmemXMLIsNs(arg, GMEM_QEMU_NAMESPACE, "arg"))
                continue;
            value = gmemXMLAttribute(arg, "value");
            g_ptr_array_add(nodes, arg);
            g_ptr_array_add(argv, value != NULL ? value : g_strdup(""));
        }
    }
    g_ptr_array_add(argv, NULL);
}

static int
gmemDomainParseCarrier(gmemDomainDef *def, GError **error)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    gmemArgvOption option;
    size_t position = 0;
    size_t count = 0;
    size_t first = 0;

    gmemDomainFindArguments(def, nodes, argv);
    while (gmemArgvNext((char *const *)argv->pdata, &position, &option)) {
        if (option.name == NULL || strcmp(option.name, &GMEM_CARRIER_OPTION[1]) != 0)
            continue;
        if (count++ == 0)
            first = option.index;
    }
    if (count == 0)
        return 0;
    if (count > 1)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("option '%s' is there more than once"),
                            GMEM_CARRIER_OPTION);
    if (first != 1 || strcmp(g_ptr_array_index(argv, 1), GMEM_CARRIER_OPTION) != 0)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            _("option '%s' must be the first argument of <qemu:commandline>"),
                            GMEM_CARRIER_OPTION);
    if (nodes->len < 3)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("option '%s' has no value"),
                            GMEM_CARRIER_OPTION);
    def->pair[0] = g_ptr_array_index(nodes, 1);
    def->pair[1] = g_ptr_array_index(nodes, 2);
    if (def->pair[0]->parent != def->commandline || def->pair[1]->parent != def->commandline)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            _("option '%s' and its value must be in the first <qemu:commandline>"),
                            GMEM_CARRIER_OPTION);
    def->carrierText = g_strdup(g_ptr_array_index(argv, 2));
    def->carrier = gmemCarrierParse(def->carrierText, error);
    return def->carrier != NULL ? 0 : -1;
}

/* libvirt finds most attributes by their local name, whatever their namespace, and the first of
 * two; others it finds in no namespace only. Which is which changes with its releases. */
static int
gmemDomainCheckAttributes(const xmlNode *node, GError **error)
{
    /* All that are read of elements here, in gmemlower.c, and in gmemdrivermemory.c. */
    static const char *const names[] = {
        "access",  "action",  "arch",   "autodeflate", "driver", "enabled", "freePageReporting",
        "id",      "machine", "memory", "memAccess",   "mode",   "model",   "name",
        "nodeset", "secure",  "size",   "state",       "type",   "unit",    NULL,
    };
    const xmlAttr *attribute;

    for (attribute = node->properties; attribute != NULL; attribute = attribute->next) {
        if (attribute->ns == NULL || !g_strv_contains(names, (const char *)attribute->name))
            continue;
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            _("attribute '%s:%s' of element <%s> is in a namespace"),
                            (const char *)attribute->ns->prefix, (const char *)attribute->name,
                            (const char *)node->name);
    }
    return 0;
}

/* The same for all of the domain but what its users keep in <metadata>, and what is in a namespace
 * as a whole. */
static int
gmemDomainCheckAllAttributes(const xmlNode *root, GError **error)
{
    const xmlNode *node = root;

    while (node != NULL) {
        bool descend = node->type == XML_ELEMENT_NODE && (node->ns == NULL || node == root) &&
                       !(node->parent == root && gmemXMLIs(node, "metadata"));

        if (descend && gmemDomainCheckAttributes(node, error) < 0)
            return -1;
        if (descend && node->children != NULL) {
            node = node->children;
            continue;
        }
        while (node != root && node->next == NULL)
            node = node->parent;
        node = node != root ? node->next : NULL;
    }
    return 0;
}

/* Lowering changes these, or their attributes: it must be clear which ones libvirt goes by. That
 * <memoryBacking> and <features> are more than one does not matter: to libvirt's expressions what
 * is in them is in one, as it is to gmemXMLFind(). */
static int
gmemDomainCheckSingle(const gmemDomainDef *def, GError **error)
{
    static const char *const paths[] = {
        "memoryBacking/source", "memoryBacking/access", "memoryBacking/allocation",
        "features/smm",         "features/ioapic",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autofree xmlNode **nodes = gmemXMLFind(gmemXMLRoot(def->xml), paths[i]);

        if (nodes[0] != NULL && nodes[1] != NULL)
            return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("more than one <%s> element"),
                                (const char *)nodes[0]->name);
    }
    return 0;
}

/* libvirt's units: "b", "bytes", "KB" is 1000 bytes, "K" and "KiB" are 1024; without one, KiB.
 * Returns KiB, rounded up; 0 for what stock libvirt refuses anyway. */
static unsigned long long
gmemDomainScale(const char *number, const char *unit)
{
    static const char prefixes[] = "kmgtpe";
    unsigned long long base = 1024;
    unsigned long long bytes = 1;
    const char *prefix;
    guint64 value;

    if (number == NULL || !g_ascii_string_to_unsigned(number, 10, 0, G_MAXUINT64, &value, NULL))
        return 0;
    if (unit == NULL || unit[0] == '\0')
        unit = "KiB";
    prefix = strchr(prefixes, g_ascii_tolower(unit[0]));
    if (prefix == NULL) {
        if (g_ascii_strcasecmp(unit, "b") != 0 && g_ascii_strcasecmp(unit, "bytes") != 0)
            return 0;
        return value / 1024 + (value % 1024 != 0);
    }
    if (unit[1] != '\0' && g_ascii_strcasecmp(unit + 1, "iB") != 0) {
        if (g_ascii_strcasecmp(unit + 1, "B") != 0)
            return 0;
        base = 1000;
    }
    for (; prefix >= prefixes; prefix--)
        bytes *= base;
    if (value > G_MAXUINT64 / bytes)
        return 0;
    value *= bytes;
    return value / 1024 + (value % 1024 != 0);
}

static unsigned long long
gmemDomainParseSize(xmlNode *root, const char *path)
{
    xmlNode *node = gmemXMLFindFirst(root, path);
    g_autofree char *unit = gmemXMLAttribute(node, "unit");
    g_autofree char *number = node != NULL ? gmemXMLContent(node) : NULL;

    return gmemDomainScale(number, unit);
}

static bool
gmemDomainAttributeIs(xmlNode *node, const char *name, const char *value)
{
    g_autofree char *text = gmemXMLAttribute(node, name);

    return g_strcmp0(text, value) == 0;
}

static void
gmemDomainParseOs(gmemDomainDef *def, xmlNode *root)
{
    xmlNode *type = gmemXMLFindFirst(root, "os/type");
    xmlNode *loader = gmemXMLFindFirst(root, "os/loader");
    g_autofree xmlNode **features = gmemXMLFind(root, "os/firmware/feature");
    size_t i;

    def->arch = gmemXMLAttribute(type, "arch");
    def->machine = gmemXMLAttribute(type, "machine");
    def->loaderSecure = gmemDomainAttributeIs(loader, "secure", "yes");
    def->loader = loader != NULL ? gmemXMLContent(loader) : NULL;
    for (i = 0; features[i] != NULL; i++) {
        if (gmemDomainAttributeIs(features[i], "name", "secure-boot") &&
            gmemDomainAttributeIs(features[i], "enabled", "yes"))
            def->secureBoot = true;
    }
}

static void
gmemDomainParseFeatures(gmemDomainDef *def, xmlNode *root)
{
    xmlNode *smm = gmemXMLFindFirst(root, "features/smm");

    def->smm = smm != NULL && !gmemDomainAttributeIs(smm, "state", "off");
    def->ioapicDriver = gmemXMLAttribute(gmemXMLFindFirst(root, "features/ioapic"), "driver");
}

static void
gmemDomainParsePages(gmemDomainDef *def, xmlNode *root)
{
    g_autofree xmlNode **nodes = gmemXMLFind(root, "memoryBacking/hugepages/page");
    size_t i;

    while (nodes[def->npages] != NULL)
        def->npages++;
    if (def->npages == 0) {
        def->pages = g_new0(gmemDomainPage, 1);
        def->npages = 1;
        def->hugepages = true;
        return;
    }
    def->pages = g_new0(gmemDomainPage, def->npages);
    for (i = 0; i < def->npages; i++) {
        g_autofree char *number = gmemXMLAttribute(nodes[i], "size");
        g_autofree char *unit = gmemXMLAttribute(nodes[i], "unit");

        def->pages[i].size = gmemDomainScale(number, unit);
        def->pages[i].nodeset = gmemXMLAttribute(nodes[i], "nodeset");
        if (def->pages[i].size != GMEM_DOMAIN_PAGE_KIB)
            def->hugepages = true;
    }
}

static void
gmemDomainParseMemoryBacking(gmemDomainDef *def, xmlNode *root)
{
    def->sourceType = gmemXMLAttribute(gmemXMLFindFirst(root, "memoryBacking/source"), "type");
    def->accessMode = gmemXMLAttribute(gmemXMLFindFirst(root, "memoryBacking/access"), "mode");
    if (gmemXMLFindFirst(root, "memoryBacking/hugepages") != NULL)
        gmemDomainParsePages(def, root);
    def->locked = gmemXMLFindFirst(root, "memoryBacking/locked") != NULL;
}

static void
gmemDomainParseCells(gmemDomainDef *def, xmlNode *root)
{
    g_autofree xmlNode **nodes = gmemXMLFind(root, "cpu/numa/cell");
    size_t i;

    while (nodes[def->ncells] != NULL)
        def->ncells++;
    def->cells = g_new0(gmemDomainCell, def->ncells);
    for (i = 0; i < def->ncells; i++) {
        g_autofree char *number = gmemXMLAttribute(nodes[i], "memory");
        g_autofree char *unit = gmemXMLAttribute(nodes[i], "unit");

        def->cells[i].id = gmemXMLAttribute(nodes[i], "id");
        def->cells[i].size = gmemDomainScale(number, unit);
        def->cells[i].access = gmemXMLAttribute(nodes[i], "memAccess");
    }
}

static void
gmemDomainParseMemories(gmemDomainDef *def, xmlNode *root)
{
    g_autofree xmlNode **nodes = gmemXMLFind(root, "devices/memory");
    size_t i;

    while (nodes[def->nmemories] != NULL)
        def->nmemories++;
    def->memories = g_new0(gmemDomainMemory, def->nmemories);
    for (i = 0; i < def->nmemories; i++) {
        xmlNode *node;

        def->memories[i].model = gmemXMLAttribute(nodes[i], "model");
        def->memories[i].access = gmemXMLAttribute(nodes[i], "access");
        def->memories[i].size = gmemDomainParseSize(nodes[i], "target/size");
        def->memories[i].pagesize = gmemDomainParseSize(nodes[i], "source/pagesize");
        node = gmemXMLFindFirst(nodes[i], "target/node");
        def->memories[i].node = node != NULL ? gmemXMLContent(node) : NULL;
        if (def->memories[i].pagesize > GMEM_DOMAIN_PAGE_KIB)
            def->hugedimms = true;
    }
}

static void
gmemDomainParseVfio(gmemDomainDef *def, xmlNode *root)
{
    g_autofree xmlNode **hostdevs = gmemXMLFind(root, "devices/hostdev");
    g_autofree xmlNode **interfaces = gmemXMLFind(root, "devices/interface");
    g_autofree xmlNode **disks = gmemXMLFind(root, "devices/disk");
    size_t i;

    for (i = 0; hostdevs[i] != NULL && def->vfio == NULL; i++) {
        g_autofree char *type = gmemXMLAttribute(hostdevs[i], "type");

        if (g_strcmp0(type, "pci") == 0 || g_strcmp0(type, "mdev") == 0)
            def->vfio = g_strdup_printf("<hostdev type='%s'>", type);
    }
    for (i = 0; interfaces[i] != NULL && def->vfio == NULL; i++) {
        if (gmemDomainAttributeIs(interfaces[i], "type", "hostdev"))
            def->vfio = g_strdup("<interface type='hostdev'>");
    }
    /* QEMU drives these by itself, and maps guest RAM for the controller as it does for VFIO. */
    for (i = 0; disks[i] != NULL && def->vfio == NULL; i++) {
        if (gmemDomainAttributeIs(disks[i], "type", "nvme"))
            def->vfio = g_strdup("<disk type='nvme'>");
    }
}

static void
gmemDomainParseDump(gmemDomainDef *def, xmlNode *root)
{
    g_autofree xmlNode **watchdogs = gmemXMLFind(root, "devices/watchdog");
    xmlNode *crash = gmemXMLFindFirst(root, "on_crash");
    g_autofree char *action = crash != NULL ? gmemXMLContent(crash) : NULL;
    size_t i;

    if (action != NULL && g_str_has_prefix(action, "coredump-"))
        def->dump = g_strdup_printf("<on_crash>%s</on_crash>", action);
    for (i = 0; watchdogs[i] != NULL && def->dump == NULL; i++) {
        if (gmemDomainAttributeIs(watchdogs[i], "action", "dump"))
            def->dump = g_strdup("<watchdog action='dump'/>");
    }
}

/* Devices whose other half is another process, or hardware, that maps guest memory. What the guest
 * keeps private is not in what they map. */
static void
gmemDomainParseBackends(gmemDomainDef *def, xmlNode *root)
{
    static const struct {
        const char *path;
        const char *attribute;
        const char *value;
        const char *words;
    } devices[] = {
        {"devices/disk", "type", "vhostuser", "<disk type='vhostuser'>"},
        {"devices/filesystem/driver", "type", "virtiofs",
         "<filesystem> with <driver type='virtiofs'/>"},
        {"devices/interface", "type", "vhostuser", "<interface type='vhostuser'>"},
        {"devices/interface", "type", "vdpa", "<interface type='vdpa'>"},
        {"devices/video/driver", "name", "vhostuser", "<video> with <driver name='vhostuser'/>"},
    };
    size_t i, j;

    for (i = 0; i < G_N_ELEMENTS(devices) && def->backend == NULL; i++) {
        g_autofree xmlNode **nodes = gmemXMLFind(root, devices[i].path);

        for (j = 0; nodes[j] != NULL && def->backend == NULL; j++) {
            if (gmemDomainAttributeIs(nodes[j], devices[i].attribute, devices[i].value))
                def->backend = g_strdup(devices[i].words);
        }
    }
}

/* Reads "0-3,^2,8" into @set, a bit a node; false where that is not one. */
static bool
gmemDomainParseNodes(const char *text, guint8 *set)
{
    while (*text != '\0') {
        bool add = *text != '^';
        unsigned long from, to, node;
        char *end;

        text += !add;
        if (!g_ascii_isdigit(*text))
            return false;
        from = to = strtoul(text, &end, 10);
        if (*end == '-') {
            if (!add || !g_ascii_isdigit(end[1]))
                return false;
            to = strtoul(end + 1, &end, 10);
        }
        if (to >= GMEM_DOMAIN_NODES_MAX || from > to)
            return false;
        for (node = from; node <= to; node++) {
            if (add)
                set[node / 8] |= (guint8)(1U << (node % 8));
            else
                set[node / 8] &= (guint8) ~(1U << (node % 8));
        }
        while (g_ascii_isspace(*end))
            end++;
        if (*end == ',')
            end++;
        else if (*end != '\0')
            return false;
        while (g_ascii_isspace(*end))
            end++;
        text = end;
    }
    return true;
}

static bool
gmemDomainSameNodes(const char *left, const char *right)
{
    g_autofree guint8 *a = g_new0(guint8, GMEM_DOMAIN_NODES_MAX / 8);
    g_autofree guint8 *b = g_new0(guint8, GMEM_DOMAIN_NODES_MAX / 8);

    if (left == NULL || right == NULL)
        return left == right;
    if (strcmp(left, right) == 0)
        return true;
    return gmemDomainParseNodes(left, a) && gmemDomainParseNodes(right, b) &&
           memcmp(a, b, GMEM_DOMAIN_NODES_MAX / 8) == 0;
}

/* libvirt's default mode is strict. */
static char *
gmemDomainParseNumaMode(xmlNode *node)
{
    char *mode = gmemXMLAttribute(node, "mode");

    return mode != NULL ? mode : g_strdup("strict");
}

/* Not on memory backends, but by the domain's cpuset or as the policy that QEMU inherits, libvirt
 * puts in force what <memory> of <numatune> says. Whatever a cell wants else needs a policy of its
 * own. */
static void
gmemDomainParseNumatune(gmemDomainDef *def, xmlNode *root)
{
    g_autofree xmlNode **memnodes = gmemXMLFind(root, "numatune/memnode");
    g_autofree xmlNode **nodemasks = gmemXMLFind(root, "devices/memory/source/nodemask");
    xmlNode *memory = gmemXMLFindFirst(root, "numatune/memory");
    g_autofree char *whole = gmemXMLAttribute(memory, "nodeset");
    g_autofree char *wholeMode = gmemDomainParseNumaMode(memory);
    size_t i;

    for (i = 0; memnodes[i] != NULL && !def->nodesetsDiffer; i++) {
        g_autofree char *nodeset = gmemXMLAttribute(memnodes[i], "nodeset");
        g_autofree char *mode = gmemDomainParseNumaMode(memnodes[i]);

        def->nodesetsDiffer = strcmp(mode, wholeMode) != 0 || !gmemDomainSameNodes(nodeset, whole);
    }
    for (i = 0; nodemasks[i] != NULL && !def->nodesetsDiffer; i++) {
        g_autofree char *nodeset = gmemXMLContent(nodemasks[i]);

        def->nodesetsDiffer = !gmemDomainSameNodes(nodeset, whole);
    }
}

void
gmemDomainDefFree(gmemDomainDef *def)
{
    size_t i;

    if (def == NULL)
        return;
    g_free(def->launchSecurityText);
    gmemCarrierFree(def->carrier);
    g_free(def->carrierText);
    g_free(def->name);
    g_free(def->type);
    g_free(def->arch);
    g_free(def->machine);
    g_free(def->emulator);
    g_free(def->loader);
    g_free(def->ioapicDriver);
    g_free(def->sourceType);
    g_free(def->accessMode);
    for (i = 0; i < def->npages; i++)
        g_free(def->pages[i].nodeset);
    g_free(def->pages);
    for (i = 0; i < def->ncells; i++) {
        g_free(def->cells[i].id);
        g_free(def->cells[i].access);
    }
    g_free(def->cells);
    for (i = 0; i < def->nmemories; i++) {
        g_free(def->memories[i].model);
        g_free(def->memories[i].node);
        g_free(def->memories[i].access);
    }
    g_free(def->memories);
    g_free(def->vfio);
    g_free(def->backend);
    g_free(def->dump);
    g_free(def);
}

bool
gmemDomainConcerned(const gmemDomainDef *def)
{
    return def->private || def->launchSecurity == GMEM_LAUNCH_SECURITY_SW_PROTECTED;
}

gmemDomainDef *
gmemDomainParseXML(gmemXML *xml, bool validate, GError **error)
{
    g_autoptr(gmemDomainDef) def = g_new0(gmemDomainDef, 1);
    xmlNode *root = gmemXMLRoot(xml);
    xmlNode *name;
    xmlNode *emulator;

    def->xml = xml;
    if (gmemDomainCheckAllEntities(xml, error) < 0 ||
        gmemDomainParsePrivate(def, validate, error) < 0 ||
        gmemDomainParseLaunchSecurity(def, validate, error) < 0 ||
        gmemDomainParseCarrier(def, error) < 0)
        return NULL;
    if (!gmemDomainConcerned(def) && def->carrier == NULL)
        return g_steal_pointer(&def);
    if (gmemDomainConcerned(def) && def->carrier != NULL) {
        gmemErrorSet(error, VIR_ERR_XML_ERROR, _("%s and option '%s' exclude each other"),
                     def->private ? "<private/>" : "<launchSecurity type='sw-protected'/>",
                     GMEM_CARRIER_OPTION);
        return NULL;
    }
    if (gmemDomainCheckSingle(def, error) < 0 || gmemDomainCheckAllAttributes(root, error) < 0)
        return NULL;

    name = gmemXMLFindFirst(root, "name");
    emulator = gmemXMLFindFirst(root, "devices/emulator");
    def->name = name != NULL ? gmemXMLContent(name) : NULL;
    def->emulator = emulator != NULL ? gmemXMLContent(emulator) : NULL;
    def->type = gmemXMLAttribute(root, "type");
    gmemDomainParseOs(def, root);
    gmemDomainParseFeatures(def, root);
    gmemDomainParseMemoryBacking(def, root);
    gmemDomainParseCells(def, root);
    gmemDomainParseMemories(def, root);
    def->memory = gmemDomainParseSize(root, "memory");
    def->currentMemory = gmemDomainParseSize(root, "currentMemory");
    def->hardLimit = gmemDomainParseSize(root, "memtune/hard_limit");
    def->suspendToMem =
        gmemDomainAttributeIs(gmemXMLFindFirst(root, "pm/suspend-to-mem"), "enabled", "yes");
    gmemDomainParseVfio(def, root);
    gmemDomainParseBackends(def, root);
    gmemDomainParseDump(def, root);
    gmemDomainParseNumatune(def, root);
    return g_steal_pointer(&def);
}

void
gmemDomainPostParse(gmemDomainDef *def)
{
    if (def->carrier != NULL) {
        def->mode = def->carrier->mode;
        return;
    }
    if (def->launchSecurity == GMEM_LAUNCH_SECURITY_SW_PROTECTED) {
        def->private = true;
        def->mode = GMEM_MODE_CONVERTIBLE;
    } else if (def->private && def->launchSecurity == GMEM_LAUNCH_SECURITY_NONE) {
        def->mode = GMEM_MODE_FULLY_SHARED;
    }
}

static bool
gmemDomainInNodes(const char *text, unsigned long long node)
{
    g_autofree guint8 *set = g_new0(guint8, GMEM_DOMAIN_NODES_MAX / 8);

    return node < GMEM_DOMAIN_NODES_MAX && gmemDomainParseNodes(text, set) &&
           (set[node / 8] & (1U << (node % 8))) != 0;
}

static unsigned long long
gmemDomainParseId(const char *text, unsigned long long otherwise)
{
    guint64 id;

    if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &id, NULL))
        return otherwise;
    return id;
}

unsigned long long
gmemDomainCellId(const gmemDomainDef *def, size_t i)
{
    return gmemDomainParseId(def->cells[i].id, i);
}

unsigned long long
gmemDomainPageOfCell(const gmemDomainDef *def, unsigned long long id)
{
    const gmemDomainPage *found = NULL;
    size_t i;

    for (i = 0; i < def->npages; i++) {
        const gmemDomainPage *page = &def->pages[i];

        if (page->nodeset == NULL && found == NULL)
            found = page;
        if (page->nodeset == NULL || !gmemDomainInNodes(page->nodeset, id))
            continue;
        found = page;
        break;
    }
    if (found == NULL || found->size == GMEM_DOMAIN_PAGE_KIB)
        return 0;
    return found->size != 0 ? found->size : GMEM_DOMAIN_HUGE_PAGE_KIB;
}

unsigned long long
gmemDomainPageOfMemory(const gmemDomainDef *def, const gmemDomainMemory *memory)
{
    if (memory->pagesize == 0)
        return gmemDomainPageOfCell(def, gmemDomainParseId(memory->node, 0));
    return memory->pagesize != GMEM_DOMAIN_PAGE_KIB ? memory->pagesize : 0;
}

unsigned long long
gmemDomainMainRam(const gmemDomainDef *def)
{
    unsigned long long devices = 0;
    size_t i;

    /* <memory> counts all devices, too. */
    for (i = 0; i < def->nmemories; i++)
        devices += def->memories[i].size;
    return def->memory > devices ? def->memory - devices : 0;
}

unsigned long long
gmemDomainRam(const gmemDomainDef *def)
{
    unsigned long long sum = def->ncells > 0 ? 0 : gmemDomainMainRam(def);
    size_t i;

    for (i = 0; i < def->ncells; i++) {
        if (def->cells[i].size == 0)
            return 0;
        sum += def->cells[i].size;
    }
    for (i = 0; i < def->nmemories; i++) {
        if (g_strcmp0(def->memories[i].model, "dimm") == 0)
            sum += def->memories[i].size;
    }
    return sum;
}

/* KiB of guest RAM that huge pages are for. */
static unsigned long long
gmemDomainHugeRam(const gmemDomainDef *def)
{
    unsigned long long sum = 0;
    size_t i;

    if (def->ncells == 0 && gmemDomainPageOfCell(def, 0) != 0)
        sum = gmemDomainMainRam(def);
    for (i = 0; i < def->ncells; i++) {
        if (gmemDomainPageOfCell(def, gmemDomainCellId(def, i)) != 0)
            sum += def->cells[i].size;
    }
    for (i = 0; i < def->nmemories; i++) {
        if (g_strcmp0(def->memories[i].model, "dimm") == 0 &&
            gmemDomainPageOfMemory(def, &def->memories[i]) != 0)
            sum += def->memories[i].size;
    }
    return sum;
}

/* Returns the last child of @root called as one of @names (NULL-terminated); NULL for none. */
static xmlNode *
gmemDomainLastOf(xmlNode *root, const char *const *names)
{
    xmlNode *last = NULL;
    xmlNode *child;
    size_t i;

    for (child = root->children; child != NULL; child = child->next) {
        for (i = 0; names[i] != NULL; i++) {
            if (gmemXMLIs(child, names[i]))
                last = child;
        }
    }
    return last;
}

static void
gmemDomainFormatAfter(gmemXMLEdit *edit,
                      xmlNode *root,
                      const char *const *names,
                      const char *markup)
{
    xmlNode *last = gmemDomainLastOf(root, names);

    if (last != NULL)
        gmemXMLEditInsertAfter(edit, last, markup);
    else
        gmemXMLEditAppend(edit, root, markup);
}

void
gmemDomainFormat(const gmemDomainDef *def, gmemXMLEdit *edit)
{
    /* What stock libvirt writes in front of <memoryBacking>, and of <launchSecurity>. */
    static const char *const beforeBacking[] = {
        "name",      "uuid",   "genid",         "title",     "description", "metadata",
        "maxMemory", "memory", "currentMemory", "blkiotune", "memtune",     NULL,
    };
    static const char *const beforeSecurity[] = {"devices", "seclabel", "keywrap", NULL};
    xmlNode *root = gmemXMLRoot(def->xml);
    xmlNode *backing = gmemXMLFindFirst(root, "memoryBacking");
    /* More than a line's end and two spaces where the domain stands inside of another document. */
    g_autofree char *indent = gmemXMLIndent(def->xml, root);
    g_autofree char *private = g_strdup_printf("%s  <private/>", indent);
    g_autofree char *closed = g_strconcat(private, indent, NULL);
    g_autofree char *whole = g_strdup_printf("%s<memoryBacking>%s</memoryBacking>", indent, closed);
    g_autofree char *security = g_strdup_printf("%s<launchSecurity type='sw-protected'/>", indent);

    if (backing != NULL)
        gmemXMLEditAppend(edit, backing, gmemXMLEndsInSpace(def->xml, backing) ? private : closed);
    else
        gmemDomainFormatAfter(edit, root, beforeBacking, whole);
    if (def->carrier->swProtected)
        gmemDomainFormatAfter(edit, root, beforeSecurity, security);
}

gmemPlan *
gmemDomainPlan(const gmemDomainDef *def)
{
    gmemPlan *plan = g_new0(gmemPlan, 1);

    plan->mode = def->mode;
    plan->name = g_strdup(def->name);
    plan->emulator = g_strdup(def->emulator);
    plan->cellNodesetsDiffer = def->nodesetsDiffer;
    plan->ram = gmemDomainRam(def);
    plan->hugeRam = gmemDomainHugeRam(def);
    plan->backend = g_strdup(def->backend);
    plan->firmware = g_strdup(def->loader);
    return plan;
}
