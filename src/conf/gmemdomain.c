/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomain.c: reads the two elements and everything else in a domain that matters to them, and
 * writes the elements. It reads as stock libvirt does: elements in no namespace, the first element
 * where libvirt uses the first, and the same defaults. */

#include "gmemdomain.h"

#include <assert.h>
#include <string.h>

#include "gmemargv.h"
#include "gmemdomainmemory.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemschema.h"

static const char *const gmemLaunchSecurityNames[] = {
    [GMEM_LAUNCH_SECURITY_SW_PROTECTED] = GMEM_MODE_LAUNCH_TYPE,
    [GMEM_LAUNCH_SECURITY_SEV] = "sev",
    [GMEM_LAUNCH_SECURITY_SEV_SNP] = "sev-snp",
    [GMEM_LAUNCH_SECURITY_S390_PV] = "s390-pv",
    [GMEM_LAUNCH_SECURITY_TDX] = "tdx",
};
static_assert(G_N_ELEMENTS(gmemLaunchSecurityNames) == GMEM_LAUNCH_SECURITY_UNKNOWN,
              "a type of launch security has no name");

static gmemLaunchSecurity
gmemLaunchSecurityFromString(const char *text)
{
    size_t i;

    for (i = GMEM_LAUNCH_SECURITY_SW_PROTECTED; i < GMEM_LAUNCH_SECURITY_UNKNOWN; i++) {
        if (strcmp(gmemLaunchSecurityNames[i], text) == 0)
            return (gmemLaunchSecurity)i;
    }
    return GMEM_LAUNCH_SECURITY_UNKNOWN;
}

/* @attributes: the number of attributes that the element may have. Comments and white space do not
 * count as content. */
static int
gmemDomainCheckEmpty(const gmemXMLNode *node, const char *name, size_t attributes, GError **error)
{
    gmemXMLAttr attr = {0};
    size_t count = 0;

    while (gmemXMLNextAttribute(node, &attr))
        count++;
    if (count > attributes)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            attributes > 0
                                ? _("element <%1$s> must not have attributes other than 'type'")
                                : _("element <%1$s> must not have attributes"),
                            name);
    if (!gmemXMLIsEmpty(node))
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("element <%1$s> must not have content"),
                            name);
    return 0;
}

static int
gmemDomainParsePrivate(gmemDomainDef *def, bool validate, GError **error)
{
    g_autofree gmemXMLNode **nodes = gmemXMLFind(def->root, "memoryBacking/" GMEM_MODE_PRIVATE);

    if (nodes[0] == NULL)
        return 0;
    if (nodes[1] != NULL)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("element <%1$s> must not be repeated"),
                            GMEM_MODE_PRIVATE);
    if ((validate && gmemSchemaValidate(nodes[0], error) < 0) ||
        gmemDomainCheckEmpty(nodes[0], GMEM_MODE_PRIVATE, 0, error) < 0)
        return -1;
    def->privateNode = nodes[0];
    return 0;
}

static int
gmemDomainParseLaunchSecurity(gmemDomainDef *def, bool validate, GError **error)
{
    g_autofree gmemXMLNode **nodes = gmemXMLFind(def->root, GMEM_MODE_LAUNCH);
    size_t i;

    for (i = 0; nodes[i] != NULL; i++) {
        g_autofree char *text = gmemXMLAttribute(nodes[i], "type");
        gmemLaunchSecurity type = gmemLaunchSecurityFromString(text != NULL ? text : "");

        if (type == GMEM_LAUNCH_SECURITY_SW_PROTECTED) {
            if (nodes[1] != NULL)
                return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                                    _("element <%1$s> must not be repeated"), GMEM_MODE_LAUNCH);
            if ((validate && gmemSchemaValidate(nodes[i], error) < 0) ||
                gmemDomainCheckEmpty(nodes[i], GMEM_MODE_LAUNCH, 1, error) < 0)
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

/* libvirt finds most attributes by their local name, whatever their namespace, and uses the first
 * of two. It finds others only in no namespace. Which ones these are depends on its release. */
static int
gmemDomainCheckAttributes(const gmemXMLNode *node, GError **error)
{
    /* All attributes that are read here, in gmemlower.c and in gmemdrivermemory.c. */
    static const char *const names[] = {
        "access",    "action",  "arch",    "autodeflate",
        "blob",      "driver",  "enabled", "freePageReporting",
        "firmware",  "id",      "iommufd", "machine",
        "memAccess", "memory",  "mode",    "model",
        "name",      "nodeset", "secure",  "size",
        "state",     "type",    "unit",    "value",
        NULL,
    };
    gmemXMLAttr attr = {0};

    while (node->prefixed && gmemXMLNextAttribute(node, &attr)) {
        const char *colon = memchr(attr.name, ':', attr.nameLength);
        g_autofree char *name = NULL;
        g_autofree char *element = NULL;

        if (colon == NULL)
            continue;
        name = g_strndup(colon + 1, attr.nameLength - (size_t)(colon + 1 - attr.name));
        if (!g_strv_contains(names, name))
            continue;
        element = gmemXMLName(node);
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            _("attribute '%2$.*1$s' of element <%3$s> must not be in a namespace"),
                            (int)attr.nameLength, attr.name, element);
    }
    return 0;
}

/* All <qemu:arg>, in the order in which libvirt appends them to its own arguments: their nodes, and
 * their values with an offset of one. */
static int
gmemDomainFindArguments(gmemDomainDef *def, GPtrArray *nodes, GPtrArray *argv, GError **error)
{
    gmemXMLNode *commandline;
    gmemXMLNode *arg;

    g_ptr_array_add(nodes, NULL);
    g_ptr_array_add(argv, g_strdup("qemu"));
    for (commandline = def->root->children; commandline != NULL; commandline = commandline->next) {
        if (!gmemXMLIsNs(commandline, GMEM_QEMU_NAMESPACE, "commandline"))
            continue;
        if (def->commandline == NULL)
            def->commandline = commandline;
        for (arg = commandline->children; arg != NULL; arg = arg->next) {
            char *value;

            if (!gmemXMLIsNs(arg, GMEM_QEMU_NAMESPACE, "arg"))
                continue;
            if (gmemDomainCheckAttributes(arg, error) < 0)
                return -1;
            value = gmemXMLAttribute(arg, "value");
            g_ptr_array_add(nodes, arg);
            g_ptr_array_add(argv, value != NULL ? value : g_strdup(""));
        }
    }
    g_ptr_array_add(argv, NULL);
    return 0;
}

static int
gmemDomainParseCarrier(gmemDomainDef *def, gmemDomainExtent extent, GError **error)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    gmemArgvOption option;
    size_t position = 0;
    size_t count = 0;
    size_t first = 0;

    if (gmemDomainFindArguments(def, nodes, argv, error) < 0)
        return -1;
    while (gmemArgvNext((char *const *)argv->pdata, &position, &option)) {
        if (option.name == NULL || strcmp(option.name, GMEM_SHIM_OPTION) != 0)
            continue;
        if (count++ == 0)
            first = option.index;
    }
    if (count == 0)
        return 0;
    if (count > 1)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("option '%1$s' is given more than once"),
                            GMEM_CARRIER_OPTION);
    if (first != 1 || strcmp(g_ptr_array_index(argv, 1), GMEM_CARRIER_OPTION) != 0)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            _("option '%1$s' must be the first argument of <qemu:commandline>"),
                            GMEM_CARRIER_OPTION);
    if (nodes->len < 3)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("option '%1$s' has no value"),
                            GMEM_CARRIER_OPTION);
    def->pair[0] = g_ptr_array_index(nodes, 1);
    def->pair[1] = g_ptr_array_index(nodes, 2);
    if (def->pair[0]->parent != def->commandline || def->pair[1]->parent != def->commandline)
        return gmemErrorSet(
            error, VIR_ERR_XML_ERROR,
            _("option '%1$s' and its value must be in the first <qemu:commandline>"),
            GMEM_CARRIER_OPTION);
    def->carrierText = g_strdup(g_ptr_array_index(argv, 2));
    if (extent == GMEM_DOMAIN_PAIR)
        return gmemCarrierCheckLength(def->carrierText, error);
    def->carrier = gmemCarrierParse(def->carrierText, error);
    return def->carrier != NULL ? 0 : -1;
}

/* The same for the whole domain, except for what users keep in <metadata> and for elements in
 * another namespace. */
static int
gmemDomainCheckAllAttributes(const gmemXMLNode *root, GError **error)
{
    const gmemXMLNode *node;
    bool descend;

    for (node = root; node != NULL; node = gmemXMLNext(node, root, descend)) {
        descend = (node->ns == NULL || node == root) &&
                  !(node->parent == root && gmemXMLIs(node, "metadata"));
        if (descend && gmemDomainCheckAttributes(node, error) < 0)
            return -1;
    }
    return 0;
}

/* Lowering changes these elements or their attributes, so it must be certain which one libvirt
 * uses. Several <memoryBacking> or <features> do not matter: libvirt's expressions, and
 * gmemXMLFind(), see their contents as one. */
static int
gmemDomainCheckSingle(const gmemDomainDef *def, GError **error)
{
    static const char *const paths[] = {
        "memoryBacking/source", "memoryBacking/access", "memoryBacking/allocation",
        "features/smm",         "features/ioapic",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autofree gmemXMLNode **nodes = gmemXMLFind(def->root, paths[i]);
        const char *slash = strrchr(paths[i], '/');
        const char *name = slash != NULL ? slash + 1 : paths[i];

        if (nodes[0] != NULL && nodes[1] != NULL)
            return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("element <%1$s> must not be repeated"),
                                name);
    }
    return 0;
}

static bool
gmemDomainAttributeIs(gmemXMLNode *node, const char *name, const char *value)
{
    g_autofree char *text = gmemXMLAttribute(node, name);

    return g_strcmp0(text, value) == 0;
}

static void
gmemDomainParseOs(gmemDomainDef *def, gmemXMLNode *root)
{
    gmemXMLNode *type = gmemXMLFindFirst(root, "os/type");
    gmemXMLNode *loader = gmemXMLFindFirst(root, "os/loader");
    g_autofree gmemXMLNode **features = gmemXMLFind(root, "os/firmware/feature");
    size_t i;

    def->arch = gmemXMLAttribute(type, "arch");
    def->machine = gmemXMLAttribute(type, "machine");
    def->loaderSecure = gmemDomainAttributeIs(loader, "secure", "yes");
    def->loader = loader != NULL ? gmemXMLContent(loader) : NULL;
    for (i = 0; features[i] != NULL; i++) {
        if (!gmemDomainAttributeIs(features[i], "enabled", "yes"))
            continue;
        if (gmemDomainAttributeIs(features[i], "name", "secure-boot"))
            def->secureBoot = "secure-boot";
        else if (gmemDomainAttributeIs(features[i], "name", "enrolled-keys"))
            def->secureBoot = "enrolled-keys";
    }
}

static void
gmemDomainParseFeatures(gmemDomainDef *def, gmemXMLNode *root)
{
    gmemXMLNode *smm = gmemXMLFindFirst(root, "features/smm");

    def->smm = smm != NULL && !gmemDomainAttributeIs(smm, "state", "off");
    def->ioapicDriver = gmemXMLAttribute(gmemXMLFindFirst(root, "features/ioapic"), "driver");
}

static void
gmemDomainParseVfio(gmemDomainDef *def, gmemXMLNode *root)
{
    g_autofree gmemXMLNode **hostdevs = gmemXMLFind(root, "devices/hostdev");
    g_autofree gmemXMLNode **interfaces = gmemXMLFind(root, "devices/interface");
    g_autofree gmemXMLNode **disks = gmemXMLFind(root, "devices/disk");
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

/* Devices for which QEMU passes the descriptor of guest RAM to the kernel as a memfd:
 * IOMMU_IOAS_MAP_FILE and UDMABUF_CREATE_LIST only accept files of memfd_create(2), the latter only
 * sealed ones. */
static void
gmemDomainParseMemfdUsers(gmemDomainDef *def, gmemXMLNode *root)
{
    static const struct {
        const char *path;
        const char *attribute;
        const char *value;
        const char *name;
    } users[] = {
        {.path = "devices/hostdev/driver",
         .attribute = "iommufd",
         .value = "yes",
         .name = "<hostdev> with <driver iommufd='yes'/>"},
        {.path = "devices/interface/driver",
         .attribute = "iommufd",
         .value = "yes",
         .name = "<interface> with <driver iommufd='yes'/>"},
        {.path = "devices/video/model",
         .attribute = "blob",
         .value = "on",
         .name = "<video> with <model blob='on'/>"},
    };
    size_t i, j;

    for (i = 0; i < G_N_ELEMENTS(users); i++) {
        g_autofree gmemXMLNode **nodes = gmemXMLFind(root, users[i].path);

        for (j = 0; nodes[j] != NULL && def->memfdUser == NULL; j++) {
            if (gmemDomainAttributeIs(nodes[j], users[i].attribute, users[i].value))
                def->memfdUser = users[i].name;
        }
    }
}

static void
gmemDomainParseDump(gmemDomainDef *def, gmemXMLNode *root)
{
    g_autofree gmemXMLNode **watchdogs = gmemXMLFind(root, "devices/watchdog");
    gmemXMLNode *crash = gmemXMLFindFirst(root, "on_crash");
    g_autofree char *action = crash != NULL ? gmemXMLContent(crash) : NULL;
    size_t i;

    if (action != NULL && g_str_has_prefix(action, "coredump-"))
        def->dump = g_strdup_printf("<on_crash>%s</on_crash>", action);
    for (i = 0; watchdogs[i] != NULL && def->dump == NULL; i++) {
        if (gmemDomainAttributeIs(watchdogs[i], "action", "dump"))
            def->dump = g_strdup("<watchdog action='dump'/>");
    }
}

/* Devices whose back end is another process, or hardware, that maps guest memory. Pages that the
 * guest keeps private are not in what they map. */
static void
gmemDomainParseSharedOnly(gmemDomainDef *def, gmemXMLNode *root)
{
    static const struct {
        const char *path;
        const char *attribute;
        const char *value;
        const char *words;
    } devices[] = {
        {.path = "devices/disk",
         .attribute = "type",
         .value = "vhostuser",
         .words = "<disk type='vhostuser'>"},
        {.path = "devices/filesystem/driver",
         .attribute = "type",
         .value = "virtiofs",
         .words = "<filesystem> with <driver type='virtiofs'/>"},
        {.path = "devices/interface",
         .attribute = "type",
         .value = "vhostuser",
         .words = "<interface type='vhostuser'>"},
        {.path = "devices/interface",
         .attribute = "type",
         .value = "vdpa",
         .words = "<interface type='vdpa'>"},
        {.path = "devices/video/driver",
         .attribute = "name",
         .value = "vhostuser",
         .words = "<video> with <driver name='vhostuser'/>"},
    };
    size_t i, j;

    for (i = 0; i < G_N_ELEMENTS(devices) && def->sharedOnly == NULL; i++) {
        g_autofree gmemXMLNode **nodes = gmemXMLFind(root, devices[i].path);

        for (j = 0; nodes[j] != NULL && def->sharedOnly == NULL; j++) {
            if (gmemDomainAttributeIs(nodes[j], devices[i].attribute, devices[i].value))
                def->sharedOnly = g_strdup(devices[i].words);
        }
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
    for (i = 0; i < def->ncells; i++)
        g_free(def->cells[i].access);
    g_free(def->cells);
    for (i = 0; i < def->nmemories; i++) {
        g_free(def->memories[i].model);
        g_free(def->memories[i].access);
    }
    g_free(def->memories);
    g_free(def->vfio);
    g_free(def->sharedOnly);
    g_free(def->dump);
    g_free(def);
}

bool
gmemDomainHasElements(const gmemDomainDef *def)
{
    return def->privateNode != NULL || def->launchSecurity == GMEM_LAUNCH_SECURITY_SW_PROTECTED;
}

static void
gmemDomainParseRest(gmemDomainDef *def)
{
    gmemXMLNode *root = def->root;
    gmemXMLNode *name = gmemXMLFindFirst(root, "name");
    gmemXMLNode *emulator = gmemXMLFindFirst(root, "devices/emulator");

    def->name = name != NULL ? gmemXMLString(name) : NULL; /* with white space */
    def->emulator = emulator != NULL ? gmemXMLContent(emulator) : NULL;
    def->type = gmemXMLAttribute(root, "type");
    gmemDomainParseOs(def, root);
    gmemDomainParseFeatures(def, root);
    gmemDomainMemoryParse(def);
    def->suspendToMem =
        gmemDomainAttributeIs(gmemXMLFindFirst(root, "pm/suspend-to-mem"), "enabled", "yes");
    gmemDomainParseVfio(def, root);
    gmemDomainParseSharedOnly(def, root);
    gmemDomainParseDump(def, root);
    gmemDomainParseMemfdUsers(def, root);
}

gmemDomainDef *
gmemDomainParseXML(gmemXMLNode *root, gmemDomainExtent extent, GError **error)
{
    g_autoptr(gmemDomainDef) def = g_new0(gmemDomainDef, 1);
    bool validate = extent == GMEM_DOMAIN_VALIDATED;

    def->root = root;
    if (gmemDomainParsePrivate(def, validate, error) < 0 ||
        gmemDomainParseLaunchSecurity(def, validate, error) < 0 ||
        gmemDomainParseCarrier(def, extent, error) < 0)
        return NULL;
    if (!gmemDomainHasElements(def) && def->carrierText == NULL)
        return g_steal_pointer(&def);
    if (gmemDomainHasElements(def) && def->carrierText != NULL) {
        gmemErrorSet(error, VIR_ERR_XML_ERROR, _("%1$s and option '%2$s' are mutually exclusive"),
                     gmemModeElement(def->privateNode != NULL ? GMEM_MODE_FULLY_SHARED
                                                              : GMEM_MODE_CONVERTIBLE),
                     GMEM_CARRIER_OPTION);
        return NULL;
    }
    if (gmemDomainCheckSingle(def, error) < 0 || gmemDomainCheckAllAttributes(root, error) < 0)
        return NULL;
    if (extent != GMEM_DOMAIN_PAIR)
        gmemDomainParseRest(def);
    return g_steal_pointer(&def);
}

void
gmemDomainPostParse(gmemDomainDef *def)
{
    if (def->carrier != NULL) {
        def->mode = def->carrier->mode;
        return;
    }
    if (def->launchSecurity == GMEM_LAUNCH_SECURITY_SW_PROTECTED)
        def->mode = GMEM_MODE_CONVERTIBLE;
    else if (def->privateNode != NULL && def->launchSecurity == GMEM_LAUNCH_SECURITY_NONE)
        def->mode = GMEM_MODE_FULLY_SHARED;
}

/* Returns the last child of @root whose name is one of @names (NULL-terminated), or NULL. */
static gmemXMLNode *
gmemDomainLastOf(gmemXMLNode *root, const char *const *names)
{
    gmemXMLNode *last = NULL;
    gmemXMLNode *child;
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
                      gmemXMLNode *root,
                      const char *const *names,
                      const char *markup)
{
    gmemXMLNode *last = gmemDomainLastOf(root, names);

    if (last != NULL)
        gmemXMLEditInsertAfter(edit, last, markup);
    else
        gmemXMLEditAppend(edit, root, markup);
}

void
gmemDomainFormat(const gmemDomainDef *def, gmemXMLEdit *edit)
{
    /* The elements that stock libvirt writes before <memoryBacking>, and before <launchSecurity>.
     */
    static const char *const beforeBacking[] = {
        "name",      "uuid",   "genid",         "title",     "description", "metadata",
        "maxMemory", "memory", "currentMemory", "blkiotune", "memtune",     NULL,
    };
    static const char *const beforeSecurity[] = {"devices", "seclabel", "keywrap", NULL};
    gmemXMLNode *root = def->root;
    gmemXMLNode *backing = gmemXMLFindFirst(root, "memoryBacking");
    /* This is more than a newline and two spaces if the domain is inside another document. */
    g_autofree char *indent = gmemXMLIndent(root);
    g_autofree char *element =
        g_strconcat(indent, "  ", gmemModeElement(GMEM_MODE_FULLY_SHARED), NULL);
    g_autofree char *closed = g_strconcat(element, indent, NULL);
    g_autofree char *whole = g_strdup_printf("%s<memoryBacking>%s</memoryBacking>", indent, closed);
    g_autofree char *security = g_strconcat(indent, gmemModeElement(GMEM_MODE_CONVERTIBLE), NULL);

    if (backing != NULL)
        gmemXMLEditAppend(edit, backing, gmemXMLEndsInSpace(backing) ? element : closed);
    else
        gmemDomainFormatAfter(edit, root, beforeBacking, whole);
    if (def->carrier->mode == GMEM_MODE_CONVERTIBLE)
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
    plan->memory = def->memory;
    plan->ram = gmemDomainMemoryRam(def);
    plan->hugeRam = gmemDomainMemoryHugeRam(def);
    plan->sharedOnly = g_strdup(def->sharedOnly);
    plan->firmware = g_strdup(def->loader);
    return plan;
}
