/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemlower.c: converts between the XML that users write and the XML that stock libvirt
 * understands.
 *
 * A document is read once, however many domains it contains, and changed where they are. Lowering
 * removes the two elements, inserts the carrier pair, and makes the changes listed in
 * gmemLowerings, which the pair remembers. The result is then parsed again, because a domain whose
 * wish is not in the text that libvirt gets must never start without it. Raising is the way back
 * from XML that libvirt formatted. Text whose meaning cannot be determined is not passed on
 * unchanged. */

#include "gmemlower.h"

#include <string.h>

#include "gmemcarrier.h"
#include "gmemdomain.h"
#include "gmemdomainvalidate.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemxml.h"
#include "gmemxmlencoding.h"

/* Digits of a SHA-256 in a key: enough that no two files of a domain have the same key. */
#define GMEM_LOWERING_KEY_DIGITS 16

/* What a mode requires of the rest of the domain. */
typedef struct {
    gmemMode mode;
    const char *parent;
    const char *element;
    const char *attribute;
    const char *value;
    const char *former; /* changed only where the attribute is this; NULL: where it is absent */
    const char *model;  /* all elements of this model, each by its key; NULL: the only element there
                         * is */
    bool hugepages;     /* changed only where something is on huge pages */
    const char *name;   /* the one of several elements that is called so, made whole where it is
                         * missing; NULL as above */
} gmemLowering;

static const gmemLowering gmemLowerings[] = {
    {.mode = GMEM_MODE_FULLY_SHARED,
     .parent = "memoryBacking",
     .element = "source",
     .attribute = "type",
     .value = "memfd"},
    /* The domain's access also applies to an NVDIMM without one of its own, which must not begin to
     * write to its file because the RAM is shared. This row comes before the one that changes the
     * domain's access. */
    {.mode = GMEM_MODE_FULLY_SHARED,
     .parent = "devices",
     .element = "memory",
     .attribute = "access",
     .value = "private",
     .model = "nvdimm"},
    {.mode = GMEM_MODE_FULLY_SHARED,
     .parent = "memoryBacking",
     .element = "access",
     .attribute = "mode",
     .value = "shared"},
    /* libvirt preallocates huge pages whether it is asked to or not, and refuses to be asked not
     * to. This change tells the step in front of QEMU that the user did not ask for it
     * (gmemcommand.c). */
    {.mode = GMEM_MODE_CONVERTIBLE,
     .parent = "memoryBacking",
     .element = "allocation",
     .attribute = "mode",
     .value = "immediate",
     .hugepages = true},
    {.mode = GMEM_MODE_CONVERTIBLE,
     .parent = "memoryBacking",
     .element = "allocation",
     .attribute = "mode",
     .value = "immediate",
     .former = "ondemand",
     .hugepages = true},
    {.mode = GMEM_MODE_CONVERTIBLE,
     .parent = "features",
     .element = "ioapic",
     .attribute = "driver",
     .value = "qemu"},
    {.mode = GMEM_MODE_CONVERTIBLE,
     .parent = "features",
     .element = "smm",
     .attribute = "state",
     .value = "off"},
    /* OpenStack Nova always switches these on. */
    {.mode = GMEM_MODE_CONVERTIBLE,
     .parent = "devices",
     .element = "memballoon",
     .attribute = "autodeflate",
     .value = "off",
     .former = "on"},
    {.mode = GMEM_MODE_CONVERTIBLE,
     .parent = "devices",
     .element = "memballoon",
     .attribute = "freePageReporting",
     .value = "off",
     .former = "on"},
    /* If libvirt 9.0 may choose firmware that requires SMM, it does, and then refuses it because of
     * the <smm> above. */
    {.mode = GMEM_MODE_CONVERTIBLE,
     .parent = "os/firmware",
     .element = "feature",
     .attribute = "enabled",
     .value = "no",
     .name = "secure-boot"},
};

/* @key is NULL if the element is the only one. */
static char *
gmemLoweringPath(const gmemLowering *lowering, const char *key)
{
    if (key == NULL)
        return g_strconcat(lowering->parent, "/", lowering->element, "/@", lowering->attribute,
                           NULL);
    return g_strconcat(lowering->parent, "/", lowering->element, "[", key, "]/@",
                       lowering->attribute, NULL);
}

/* The file of a device distinguishes it from its siblings, whichever of them are added or removed.
 * The key is a digest, because a path can be as long as the pair, and can contain anything. */
static char *
gmemLoweringKey(gmemXMLNode *element)
{
    gmemXMLNode *path = gmemXMLFindFirst(element, "source/path");
    g_autofree char *text = path != NULL ? gmemXMLContent(path) : g_strdup("");
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);

    digest[GMEM_LOWERING_KEY_DIGITS] = '\0';
    return g_strconcat(GMEM_CARRIER_KEY, digest, NULL);
}

/* The key in the path of a change, to be freed with g_free(), or NULL. */
static char *
gmemLoweringKeyOf(const char *path)
{
    const char *bracket = strchr(path, '[');

    return bracket != NULL ? g_strndup(bracket + 1, strcspn(bracket + 1, "]")) : NULL;
}

/* All elements that @lowering may apply to. Free with g_free(). */
static gmemXMLNode **
gmemLoweringElements(const gmemLowering *lowering, gmemXMLNode *root)
{
    g_autofree char *path = g_strconcat(lowering->parent, "/", lowering->element, NULL);

    return gmemXMLFind(root, path);
}

/* The elements that a lowering of devices applies to, found by key. In pairs of version 1, a key
 * was the index among the siblings, starting at 1. */
typedef struct {
    gmemXMLNode **elements;
    size_t n;
    GHashTable *byKey; /* key -> GPtrArray of elements */
} gmemLoweringDevices;

static void
gmemLoweringDevicesClear(gmemLoweringDevices *devices)
{
    g_clear_pointer(&devices->elements, g_free);
    g_clear_pointer(&devices->byKey, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemLoweringDevices, gmemLoweringDevicesClear)

static void
gmemLoweringDevicesInit(gmemLoweringDevices *devices,
                        const gmemLowering *lowering,
                        gmemXMLNode *root)
{
    devices->elements = gmemLoweringElements(lowering, root);
    devices->byKey =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    for (; devices->elements[devices->n] != NULL; devices->n++) {
        gmemXMLNode *element = devices->elements[devices->n];
        g_autofree char *key = gmemLoweringKey(element);
        GPtrArray *same = g_hash_table_lookup(devices->byKey, key);

        if (same == NULL) {
            same = g_ptr_array_new();
            g_hash_table_insert(devices->byKey, g_steal_pointer(&key), same);
        }
        g_ptr_array_add(same, element);
    }
}
/* The contents of an element that the domain does not have. */
typedef struct {
    const char *name;
    GString *content;
} gmemLowerMissing;

/* Adds the element that is missing: the next change is in another one, @next. */
static void
gmemLowerMake(const gmemDomainDef *def,
              gmemXMLEdit *edit,
              gmemLowerMissing *missing,
              const char *next)
{
    g_autofree char *markup = NULL;

    if (missing->name != NULL && g_strcmp0(missing->name, next) != 0) {
        markup = g_strconcat("<", missing->name, ">", missing->content->str, "</", missing->name,
                             ">", NULL);
        gmemXMLEditAppend(edit, def->root, markup);
        g_string_truncate(missing->content, 0);
    }
    missing->name = next;
}

/* Makes one change, if it is due, and records it in @carrier. */
static void
gmemLowerChangeOne(const gmemLowering *lowering,
                   const gmemDomainDef *def,
                   gmemXMLEdit *edit,
                   gmemCarrier *carrier,
                   gmemLowerMissing *missing)
{
    g_autofree gmemXMLNode **elements = gmemLoweringElements(lowering, def->root);
    g_autofree char *value = gmemXMLAttribute(elements[0], lowering->attribute);
    g_autofree char *path = gmemLoweringPath(lowering, NULL);
    gmemXMLNode *parent = gmemXMLFindFirst(def->root, lowering->parent);
    g_autofree char *markup = NULL;

    if (g_strcmp0(value, lowering->former) != 0)
        return;
    gmemCarrierAddChange(carrier, path, lowering->value, lowering->former);
    markup = g_strconcat("<", lowering->element, " ", lowering->attribute, "='", lowering->value,
                         "'/>", NULL);
    if (elements[0] != NULL) {
        gmemXMLEditSetAttribute(edit, elements[0], lowering->attribute, lowering->value);
    } else if (parent != NULL) {
        gmemXMLEditAppend(edit, parent, markup);
    } else {
        gmemLowerMake(def, edit, missing, lowering->parent);
        g_string_append(missing->content, markup);
    }
}

/* Whether none of the elements with one key has the attribute. Two devices can have the same file.
 * What the user wrote for one of them must not be taken for ours, so the change is not recorded
 * then, and is shown. */
static bool
gmemLowerIsOursAlone(const gmemLowering *lowering, const GPtrArray *elements)
{
    guint i;

    for (i = 0; i < elements->len; i++) {
        g_autofree char *value =
            gmemXMLAttribute(g_ptr_array_index(elements, i), lowering->attribute);

        if (g_strcmp0(value, lowering->former) != 0)
            return false;
    }
    return true;
}

/* An NVDIMM follows the domain's access only if the user specified neither. */
static void
gmemLowerChangeEach(const gmemLowering *lowering,
                    const gmemDomainDef *def,
                    gmemXMLEdit *edit,
                    gmemCarrier *carrier)
{
    g_auto(gmemLoweringDevices) devices = {0};
    size_t i;

    if (def->accessMode != NULL)
        return;
    gmemLoweringDevicesInit(&devices, lowering, def->root);
    for (i = 0; i < devices.n; i++) {
        g_autofree char *model = gmemXMLAttribute(devices.elements[i], "model");
        g_autofree char *value = gmemXMLAttribute(devices.elements[i], lowering->attribute);
        g_autofree char *key = gmemLoweringKey(devices.elements[i]);
        g_autofree char *path = gmemLoweringPath(lowering, key);
        const GPtrArray *same = g_hash_table_lookup(devices.byKey, key);

        if (g_strcmp0(model, lowering->model) != 0 || g_strcmp0(value, lowering->former) != 0)
            continue;
        gmemXMLEditSetAttribute(edit, devices.elements[i], lowering->attribute, lowering->value);
        /* Record a key once; only elements without the attribute are still in the table. */
        if (same != NULL && gmemLowerIsOursAlone(lowering, same))
            gmemCarrierAddChange(carrier, path, lowering->value, lowering->former);
        g_hash_table_remove(devices.byKey, key);
    }
}

static bool
gmemLowerHasName(gmemXMLNode *element, const char *name)
{
    g_autofree char *value = gmemXMLAttribute(element, "name");

    return g_strcmp0(value, name) == 0;
}

/* Which firmware libvirt chooses, if it does: <os firmware='efi'>. If the user has mentioned that
 * feature, it stays as it is. */
static void
gmemLowerChangeNamed(const gmemLowering *lowering,
                     const gmemDomainDef *def,
                     gmemXMLEdit *edit,
                     gmemCarrier *carrier)
{
    g_autofree gmemXMLNode **elements = gmemLoweringElements(lowering, def->root);
    g_autofree char *path = gmemLoweringPath(lowering, lowering->name);
    g_autofree char *firmware = NULL;
    g_autofree char *markup = NULL;
    g_autofree char *whole = NULL;
    gmemXMLNode *os = gmemXMLFindFirst(def->root, "os");
    gmemXMLNode *parent = gmemXMLFindFirst(def->root, lowering->parent);
    size_t i;

    firmware = gmemXMLAttribute(os, "firmware");
    if (g_strcmp0(firmware, "efi") != 0)
        return;
    for (i = 0; elements[i] != NULL; i++) {
        if (gmemLowerHasName(elements[i], lowering->name))
            return;
    }
    markup = g_strdup_printf("<%s %s='%s' name='%s'/>", lowering->element, lowering->attribute,
                             lowering->value, lowering->name);
    whole = g_strdup_printf("<firmware>%s</firmware>", markup);
    gmemXMLEditAppend(edit, parent != NULL ? parent : os, parent != NULL ? markup : whole);
    gmemCarrierAddChange(carrier, path, lowering->value, lowering->former);
}

/* Makes the changes for the domain's mode, and records them in @carrier. Changes in the same parent
 * are adjacent in the table, so that a missing parent is added once. */
static void
gmemLowerChange(const gmemDomainDef *def, gmemXMLEdit *edit, gmemCarrier *carrier)
{
    g_autoptr(GString) content = g_string_new(NULL);
    gmemLowerMissing missing = {NULL, content};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(gmemLowerings); i++) {
        const gmemLowering *lowering = &gmemLowerings[i];

        if (lowering->mode != def->mode ||
            (lowering->hugepages && !def->hugepages && !def->hugedimms))
            continue;
        if (lowering->model != NULL)
            gmemLowerChangeEach(lowering, def, edit, carrier);
        else if (lowering->name != NULL)
            gmemLowerChangeNamed(lowering, def, edit, carrier);
        else
            gmemLowerChangeOne(lowering, def, edit, carrier, &missing);
    }
    gmemLowerMake(def, edit, &missing, NULL);
}

/* The pair comes first among the user's own arguments, which directly follow libvirt's own. */
static void
gmemLowerPair(const gmemDomainDef *def, gmemXMLEdit *edit, const char *carrierText)
{
    g_autofree char *own = def->commandline != NULL ? gmemXMLPrefix(def->commandline) : NULL;
    const char *prefix = def->commandline != NULL ? own : "qemu";
    const char *colon = prefix != NULL ? ":" : "";
    g_autofree char *escaped = gmemXMLEscape(carrierText);
    g_autofree char *pair = NULL;
    g_autofree char *commandline = NULL;

    if (prefix == NULL)
        prefix = "";
    pair = g_strconcat("<", prefix, colon, "arg value='" GMEM_CARRIER_OPTION "'/><", prefix, colon,
                       "arg value='", escaped, "'/>", NULL);
    if (def->commandline != NULL) {
        gmemXMLEditPrepend(edit, def->commandline, pair);
        return;
    }
    /* The root element may have bound the prefix to another namespace. */
    commandline = g_strconcat("<qemu:commandline xmlns:qemu='" GMEM_QEMU_NAMESPACE "'>", pair,
                              "</qemu:commandline>", NULL);
    gmemXMLEditAppend(edit, def->root, commandline);
}

/* Returns the row that made @change, or NULL if lowering never makes such a change in @mode. */
static const gmemLowering *
gmemLoweringOfChange(gmemMode mode, const gmemCarrierChange *change)
{
    g_autofree char *key = gmemLoweringKeyOf(change->path);
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(gmemLowerings); i++) {
        const gmemLowering *lowering = &gmemLowerings[i];
        bool keyed = lowering->model != NULL || lowering->name != NULL;
        g_autofree char *path = NULL;

        if (lowering->mode != mode || keyed != (key != NULL) ||
            strcmp(lowering->value, change->value) != 0 ||
            g_strcmp0(lowering->former, change->former) != 0 ||
            (lowering->name != NULL && g_strcmp0(lowering->name, key) != 0))
            continue;
        path = gmemLoweringPath(lowering, key);
        if (strcmp(path, change->path) == 0)
            return lowering;
    }
    return NULL;
}

/* Whether @element still has the value that lowering gave it. */
static bool
gmemLoweringIsHeld(const gmemLowering *lowering, gmemXMLNode *element)
{
    g_autofree char *value = gmemXMLAttribute(element, lowering->attribute);
    g_autofree char *model = gmemXMLAttribute(element, "model");

    return g_strcmp0(value, lowering->value) == 0 &&
           (lowering->model == NULL || g_strcmp0(model, lowering->model) == 0) &&
           (lowering->name == NULL || gmemLowerHasName(element, lowering->name));
}

/* The elements that @change applies to, if they still have the value that lowering gave them. Free
 * with g_ptr_array_unref(). @devices are those of @root, filled in by the first call that requires
 * them. */
static GPtrArray *
gmemLoweringHolders(const gmemLowering *lowering,
                    const gmemCarrierChange *change,
                    gmemXMLNode *root,
                    gmemLoweringDevices *devices)
{
    g_autofree char *key = gmemLoweringKeyOf(change->path);
    GPtrArray *holders = g_ptr_array_new();
    g_autofree gmemXMLNode **found = NULL;
    gmemXMLNode **elements = NULL;
    size_t n = 0, i;

    if (lowering->model == NULL) {
        elements = found = gmemLoweringElements(lowering, root);
        while (elements[n] != NULL && (n == 0 || lowering->name != NULL))
            n++;
    } else {
        if (devices->byKey == NULL)
            gmemLoweringDevicesInit(devices, lowering, root);
        if (g_ascii_isdigit(key[0])) {
            guint64 number = g_ascii_strtoull(key, NULL, 10);

            n = number >= 1 && number <= devices->n ? 1 : 0;
            elements = n > 0 ? devices->elements + number - 1 : NULL;
        } else {
            GPtrArray *same = g_hash_table_lookup(devices->byKey, key);

            n = same != NULL ? same->len : 0;
            elements = n > 0 ? (gmemXMLNode **)same->pdata : NULL;
        }
    }
    for (i = 0; i < n; i++) {
        if (gmemLoweringIsHeld(lowering, elements[i]))
            g_ptr_array_add(holders, elements[i]);
    }
    return holders;
}

static bool
gmemLowerHolds(const gmemDomainDef *def, const gmemCarrier *carrier)
{
    g_auto(gmemLoweringDevices) devices = {0};
    size_t i;

    for (i = 0; i < carrier->nchanges; i++) {
        const gmemCarrierChange *change = &carrier->changes[i];
        const gmemLowering *lowering = gmemLoweringOfChange(carrier->mode, change);
        g_autoptr(GPtrArray) holders =
            lowering != NULL ? gmemLoweringHolders(lowering, change, def->root, &devices) : NULL;

        if (holders == NULL || holders->len == 0)
            return false;
    }
    return true;
}

/* @def has one of the elements. Fills in @carrier, which is new, and returns the value of the pair,
 * to be freed with g_free(). @plan can be NULL. */
static char *
gmemLowerDomain(
    gmemDomainDef *def, gmemXMLEdit *edit, gmemCarrier *carrier, gmemPlan **plan, GError **error)
{
    char *text;

    gmemDomainPostParse(def);
    if (gmemDomainValidate(def, error) < 0)
        return NULL;

    carrier->mode = def->mode;
    if (def->privateNode != NULL)
        gmemXMLEditRemove(edit, def->privateNode);
    if (carrier->mode == GMEM_MODE_CONVERTIBLE)
        gmemXMLEditRemove(edit, def->launchSecurityNode);
    gmemLowerChange(def, edit, carrier);
    text = gmemCarrierFormat(carrier);
    gmemLowerPair(def, edit, text);
    if (plan != NULL)
        *plan = gmemDomainPlan(def);
    return text;
}

static void
gmemRaiseElement(const gmemLowering *lowering, gmemXMLNode *element, gmemXMLEdit *edit)
{
    gmemXMLNode *parent;

    gmemXMLEditSetAttribute(edit, element, lowering->attribute, lowering->former);
    if (lowering->name != NULL)
        gmemXMLEditSetAttribute(edit, element, "name", NULL);
    if (lowering->former != NULL || !gmemXMLEditEmptied(element))
        return;
    parent = element->parent;
    gmemXMLEditRemove(edit, element);
    /* <memoryBacking> will get <private/>. */
    if (!gmemXMLIs(parent, "memoryBacking") && gmemXMLEditEmptied(parent))
        gmemXMLEditRemove(edit, parent);
}

static void
gmemRaiseChange(const gmemLowering *lowering,
                const gmemCarrierChange *change,
                const gmemDomainDef *def,
                gmemLoweringDevices *devices,
                gmemXMLEdit *edit)
{
    g_autoptr(GPtrArray) holders = gmemLoweringHolders(lowering, change, def->root, devices);
    guint i;

    for (i = 0; i < holders->len; i++)
        gmemRaiseElement(lowering, g_ptr_array_index(holders, i), edit);
}

/* libvirt only declares the namespace on <domain> if it has something to print in it. */
static void
gmemRaiseNamespace(const gmemDomainDef *def, gmemXMLEdit *edit)
{
    const gmemXMLNs *ns = def->pair[0]->ns;
    const gmemXMLNode *const nodes[] = {def->pair[0], def->pair[1], def->commandline};
    g_autofree char *prefix = gmemXMLPrefix(def->pair[0]);
    g_autofree char *name = NULL;
    size_t gone = 0;
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(nodes); i++)
        gone += gmemXMLEditRemoved(nodes[i]) && nodes[i]->ns == ns;
    if (prefix == NULL || gmemXMLNsNode(ns) != def->root || gmemXMLNsUses(ns) > gone)
        return;
    name = g_strdup_printf("xmlns:%s", prefix);
    gmemXMLEditSetAttribute(edit, def->root, name, NULL);
}

/* As gmemLoweringOfChange(), with @error. */
static const gmemLowering *
gmemRaiseLowering(const gmemDomainDef *def, const gmemCarrierChange *change, GError **error)
{
    const gmemLowering *lowering = gmemLoweringOfChange(def->carrier->mode, change);

    if (lowering == NULL)
        gmemErrorSet(error, VIR_ERR_XML_ERROR,
                     _("the value of '%1$s' has a change of '%2$s' to '%3$s', which libvirt-gmem "
                       "does not know"),
                     GMEM_CARRIER_OPTION, change->path, change->value);
    return lowering;
}

/* @def has a carrier pair. */
static int
gmemRaiseDomain(const gmemDomainDef *def, gmemXMLEdit *edit, GError **error)
{
    g_auto(gmemLoweringDevices) devices = {0};
    size_t i;

    for (i = 0; i < def->carrier->nchanges; i++) {
        const gmemCarrierChange *change = &def->carrier->changes[i];
        const gmemLowering *lowering = gmemRaiseLowering(def, change, error);

        if (lowering == NULL)
            return -1;
        gmemRaiseChange(lowering, change, def, &devices, edit);
    }
    gmemXMLEditRemove(edit, def->pair[0]);
    gmemXMLEditRemove(edit, def->pair[1]);
    if (gmemXMLEditEmptied(def->commandline))
        gmemXMLEditRemove(edit, def->commandline);
    gmemRaiseNamespace(def, edit);
    gmemDomainFormat(def, edit);
    return 0;
}

/* The key of a change in a hash table, to be freed with g_free(). */
static char *
gmemLowerChangeKey(const char *path, const gmemCarrierChange *change)
{
    return g_strdup_printf("%s=%s<%s", path, change->value,
                           change->former != NULL ? change->former : "");
}

static GHashTable *
gmemLowerChanges(const gmemCarrier *carrier)
{
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    size_t i;

    for (i = 0; i < carrier->nchanges; i++)
        g_hash_table_add(table, gmemLowerChangeKey(carrier->changes[i].path, &carrier->changes[i]));
    return table;
}

/* The path of @change in a pair of the current version: a device that was identified by its index
 * gets its key. */
static char *
gmemLowerPathOfToday(const gmemDomainDef *def,
                     const gmemCarrierChange *change,
                     gmemLoweringDevices *devices)
{
    const gmemLowering *lowering = gmemLoweringOfChange(def->carrier->mode, change);
    g_autoptr(GPtrArray) holders = NULL;
    g_autofree char *key = NULL;

    if (lowering == NULL || lowering->model == NULL)
        return g_strdup(change->path);
    holders = gmemLoweringHolders(lowering, change, def->root, devices);
    if (holders->len == 0)
        return g_strdup(change->path);
    key = gmemLoweringKey(g_ptr_array_index(holders, 0));
    return gmemLoweringPath(lowering, key);
}

/* libvirt removes devices from a domain without looking at the pair. Returns the pair of @def as it
 * would be written now, without changes of devices that @fresh does not have. */
static gmemCarrier *
gmemLowerDropGone(const gmemDomainDef *def, const gmemCarrier *fresh)
{
    g_auto(gmemLoweringDevices) devices = {0};
    g_autoptr(GHashTable) changes = gmemLowerChanges(fresh);
    gmemCarrier *rest = gmemCarrierNew();
    size_t i;

    rest->mode = def->carrier->mode;
    for (i = 0; i < def->carrier->nchanges; i++) {
        const gmemCarrierChange *change = &def->carrier->changes[i];
        g_autofree char *path = gmemLowerPathOfToday(def, change, &devices);
        g_autofree char *key = gmemLowerChangeKey(path, change);

        if (strchr(path, '[') == NULL || g_hash_table_contains(changes, key))
            gmemCarrierAddChange(rest, path, change->value, change->former);
    }
    return rest;
}

/* Whether the pair of @def is @fresh, which its elements would have given and whose value is
 * @freshText, except for devices that have been removed. */
static bool
gmemLowerIsReady(const gmemDomainDef *def, const gmemCarrier *fresh, const char *freshText)
{
    g_autoptr(gmemCarrier) rest = gmemLowerDropGone(def, fresh);
    g_autofree char *restText = gmemCarrierFormat(rest);

    return strcmp(restText, freshText) == 0 && gmemLowerHolds(def, rest);
}

/* A document that is being changed: its domains, as find() returned them, their parsed forms, and,
 * once it is lowered, the pair of each one and its value, which is NULL for a domain that is not
 * ours. */
typedef struct {
    gmemXML *xml;
    gmemXMLNode **domains;
    GPtrArray *defs; /* of gmemDomainDef, one for each of @domains */
    GPtrArray *carriers;
    GPtrArray *pairs;
} gmemLowerDocument;

static void
gmemLowerDocumentClear(gmemLowerDocument *document)
{
    g_clear_pointer(&document->pairs, g_ptr_array_unref);
    g_clear_pointer(&document->carriers, g_ptr_array_unref);
    g_clear_pointer(&document->defs, g_ptr_array_unref);
    g_clear_pointer(&document->domains, g_free);
    g_clear_pointer(&document->xml, gmemXMLFree);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemLowerDocument, gmemLowerDocumentClear)

/* Parses the domains in @xml. */
static int
gmemLowerDocumentRead(gmemLowerDocument *document,
                      const gmemXML *xml,
                      gmemLowerFind find,
                      gmemDomainExtent extent,
                      GError **error)
{
    size_t i;

    document->domains = find(xml);
    document->defs = g_ptr_array_new_with_free_func((GDestroyNotify)gmemDomainDefFree);
    document->carriers = g_ptr_array_new_with_free_func((GDestroyNotify)gmemCarrierFree);
    document->pairs = g_ptr_array_new_with_free_func(g_free);
    for (i = 0; document->domains[i] != NULL; i++) {
        gmemDomainDef *def = gmemDomainParseXML(document->domains[i], extent, error);

        if (def == NULL)
            return -1;
        g_ptr_array_add(document->defs, def);
    }
    return 0;
}

static int
gmemLowerDocumentParse(gmemLowerDocument *document,
                       const char *text,
                       gmemLowerFind find,
                       gmemDomainExtent extent,
                       GError **error)
{
    document->xml = gmemXMLParse(text, error);
    return document->xml != NULL
               ? gmemLowerDocumentRead(document, document->xml, find, extent, error)
               : -1;
}

/* Where to store the plan of domain number @i: the plan of a document is that of its first
 * <domain>. */
static gmemPlan **
gmemLowerPlanOf(const gmemLowerDocument *document, size_t i, gmemPlan **plan)
{
    return i == 0 && gmemXMLIsAnyNs(document->domains[0], "domain") ? plan : NULL;
}

/* Parses and checks @text, which libvirt will be given. */
static int
gmemLowerVerify(const gmemLowerDocument *document,
                const char *text,
                gmemLowerFind find,
                gmemLowerDocument *made,
                GError **error)
{
    g_autoptr(GError) local = NULL;
    bool holds = gmemLowerDocumentParse(made, text, find, GMEM_DOMAIN_PAIR, &local) == 0 &&
                 made->defs->len == document->defs->len;
    guint i;

    for (i = 0; holds && i < document->defs->len; i++) {
        const gmemDomainDef *def = g_ptr_array_index(made->defs, i);
        const char *pair = g_ptr_array_index(document->pairs, i);

        holds = pair == NULL || (g_strcmp0(def->carrierText, pair) == 0 &&
                                 gmemLowerHolds(def, g_ptr_array_index(document->carriers, i)));
    }
    if (holds)
        return 0;
    return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                        _("the domain's XML cannot be rewritten for libvirt: %1$s"),
                        local != NULL ? local->message : _("a change did not take effect"));
}

/* Lowers the domains that have the elements. @made: out: the result, parsed again; not changed if
 * there is nothing to do. Returns -1 with @error. */
static int
gmemLowerElements(gmemLowerDocument *document,
                  gmemLowerFind find,
                  gmemLowerDocument *made,
                  gmemPlan **plan,
                  GError **error)
{
    g_autoptr(gmemXMLEdit) edit = gmemXMLEditNew(document->xml);
    g_autofree char *text = NULL;
    bool concerned = false;
    guint i;

    for (i = 0; i < document->defs->len; i++) {
        gmemDomainDef *def = g_ptr_array_index(document->defs, i);
        gmemCarrier *carrier = gmemCarrierNew();
        char *pair = NULL;

        g_ptr_array_add(document->carriers, carrier);
        if (gmemDomainHasElements(def)) {
            pair = gmemLowerDomain(def, edit, carrier, gmemLowerPlanOf(document, i, plan), error);
            if (pair == NULL)
                return -1;
            concerned = true;
        }
        g_ptr_array_add(document->pairs, pair);
    }
    if (!concerned)
        return 0;
    text = gmemXMLEditApply(edit);
    return gmemLowerVerify(document, text, find, made, error);
}

/* Raises the domains that have a pair. Returns 1, 0 if there is none, or -1 with @error. */
static int
gmemRaisePairs(gmemLowerDocument *document, gmemXMLEdit *edit, gmemPlan **plan, GError **error)
{
    int concerned = 0;
    guint i;

    for (i = 0; i < document->defs->len; i++) {
        gmemDomainDef *def = g_ptr_array_index(document->defs, i);
        gmemPlan **its = gmemLowerPlanOf(document, i, plan);

        if (def->carrier == NULL)
            continue;
        concerned = 1;
        gmemDomainPostParse(def);
        if (gmemRaiseDomain(def, edit, error) < 0)
            return -1;
        if (its != NULL)
            *its = gmemDomainPlan(def);
    }
    return concerned;
}

/* A pair that a client wrote must be the one that its elements would have given: then this library
 * made the domain, otherwise anybody may have. @pair is the value of that one, @fresh, or NULL;
 * *@changed is set if the domain's pair differs from it. */
static int
gmemLowerCheckReady(const gmemDomainDef *def,
                    const gmemCarrier *fresh,
                    const char *pair,
                    bool *changed,
                    GError **error)
{
    *changed = pair != NULL;
    if (def->carrier == NULL)
        return 0;
    if (pair == NULL || !gmemLowerIsReady(def, fresh, pair))
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            _("the value of '%1$s' does not match this domain; remove the option "
                              "and use <private/> or <launchSecurity type='sw-protected'/>"),
                            GMEM_CARRIER_OPTION);
    /* The output of lowering is passed on byte for byte. */
    *changed = strcmp(pair, def->carrierText) != 0;
    return 0;
}

/* Lowers a document in which domains have pairs, @raised being the one that would have given them.
 */
static gmemXML *
gmemLowerReady(gmemLowerDocument *document,
               const char *raised,
               gmemLowerFind find,
               gmemPlan **plan,
               GError **error)
{
    g_autofree char *renewed = NULL;
    g_autoptr(gmemXMLEdit) edit = gmemXMLEditNew(document->xml);
    g_auto(gmemLowerDocument) elements = {0};
    g_auto(gmemLowerDocument) made = {0};
    bool any = false;
    guint i;

    if (gmemLowerDocumentParse(&elements, raised, find, GMEM_DOMAIN_WHOLE, error) < 0 ||
        gmemLowerElements(&elements, find, &made, plan, error) < 0)
        return NULL;
    for (i = 0; i < document->defs->len && i < elements.defs->len; i++) {
        g_autofree char *slice = NULL;
        bool changed;

        if (gmemLowerCheckReady(g_ptr_array_index(document->defs, i),
                                g_ptr_array_index(elements.carriers, i),
                                g_ptr_array_index(elements.pairs, i), &changed, error) < 0)
            return NULL;
        if (!changed)
            continue;
        any = true;
        /* There is a pair, so there is what it was made for.
         * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        slice = gmemXMLSlice(made.domains[i]);
        gmemXMLEditReplace(edit, document->domains[i], slice);
    }
    if (!any)
        return g_steal_pointer(&document->xml);
    renewed = gmemXMLEditApply(edit);
    return gmemXMLParse(renewed, error);
}

/* An element can only come out of an entity if its name, or a character reference for one of its
 * characters, is in the document type declaration, or if that is in another file. Of the attributes
 * that matter, this applies to those of <qemu:arg>, whose values can also be put together from
 * entities. */
static bool
gmemLowerDeclares(const char *xml)
{
    return strstr(xml, "<!DOCTYPE") != NULL &&
           (strstr(xml, "&#") != NULL || strstr(xml, "SYSTEM") != NULL ||
            strstr(xml, "PUBLIC") != NULL ||
            (strchr(xml, '&') != NULL && strstr(xml, "commandline") != NULL));
}

/* Attributes can be written with character references, and so can our option. */
static bool
gmemLowerMayHavePair(const char *xml)
{
    return strstr(xml, GMEM_CARRIER_OPTION) != NULL ||
           (strstr(xml, "&#") != NULL && strstr(xml, "commandline") != NULL);
}

/* Names of elements are literal, except in entities. */
static bool
gmemLowerTextMayHaveUnlowered(const char *xml)
{
    return strstr(xml, "<" GMEM_MODE_PRIVATE) != NULL ||
           strstr(xml, "<" GMEM_MODE_LAUNCH) != NULL || gmemLowerDeclares(xml);
}

static bool
gmemLowerTextMayHaveElements(const char *xml)
{
    return gmemLowerTextMayHaveUnlowered(xml) || gmemLowerMayHavePair(xml);
}

/* Whether @may is true for @xml, as it is or converted to an encoding like ASCII. */
static bool
gmemLowerMay(const char *xml, bool (*may)(const char *text))
{
    g_autofree char *converted = NULL;

    if (may(xml))
        return true;
    if (gmemXMLEncodingIsASCII(xml))
        return false;
    converted = gmemXMLEncodingConvert(xml);
    return converted == NULL || may(converted);
}

bool
gmemLowerMayHaveElements(const char *xml)
{
    return gmemLowerMay(xml, gmemLowerTextMayHaveElements);
}

bool
gmemLowerMayHaveUnlowered(const char *xml)
{
    return gmemLowerMay(xml, gmemLowerTextMayHaveUnlowered);
}

gmemXML *
gmemLowerXML(gmemXML *xml, gmemLowerFind find, bool validate, gmemPlan **plan, GError **error)
{
    gmemDomainExtent extent = validate ? GMEM_DOMAIN_VALIDATED : GMEM_DOMAIN_WHOLE;
    g_auto(gmemLowerDocument) document = {.xml = xml};
    g_auto(gmemLowerDocument) made = {0};
    g_autoptr(gmemXMLEdit) raising = gmemXMLEditNew(xml);
    g_autofree char *raised = NULL;
    g_autoptr(gmemPlan) found = NULL;
    gmemXML *lowered;
    int pairs;

    if (plan != NULL)
        *plan = NULL;
    if (gmemLowerDocumentRead(&document, xml, find, extent, error) < 0 ||
        (pairs = gmemRaisePairs(&document, raising, NULL, error)) < 0)
        return NULL;
    if (pairs > 0)
        raised = gmemXMLEditApply(raising);
    if (raised != NULL)
        lowered = gmemLowerReady(&document, raised, find, &found, error);
    else if (gmemLowerElements(&document, find, &made, &found, error) < 0)
        lowered = NULL;
    else
        lowered = made.xml != NULL ? g_steal_pointer(&made.xml) : g_steal_pointer(&document.xml);
    if (lowered != NULL && plan != NULL)
        *plan = g_steal_pointer(&found);
    return lowered;
}

char *
gmemLowerDomains(
    const char *text, gmemLowerFind find, bool validate, gmemPlan **plan, GError **error)
{
    g_autoptr(gmemXML) xml = NULL;
    g_autoptr(GError) local = NULL;

    if (plan != NULL)
        *plan = NULL;
    if (!gmemLowerMayHaveElements(text))
        return g_strdup(text);
    xml = gmemXMLParse(text, &local);
    if (g_error_matches(local, GMEM_ERROR, VIR_ERR_XML_DETAIL))
        return gmemXMLMalformed(text);
    if (xml != NULL)
        xml = gmemLowerXML(g_steal_pointer(&xml), find, validate, plan, &local);
    if (local != NULL)
        g_propagate_error(error, g_steal_pointer(&local));
    return xml != NULL ? g_strdup(gmemXMLText(xml)) : NULL;
}

bool
gmemRaiseMayHavePair(const char *xml)
{
    const char *end = g_str_has_prefix(xml, "<domain ") ? strchr(xml, '>') : NULL;

    /* libvirt declares the namespace of its arguments in the first tag, and nowhere else. */
    if (end != NULL && g_strstr_len(xml, end - xml, " xmlns:") == NULL)
        return false;
    return strstr(xml, GMEM_CARRIER_OPTION) != NULL;
}

int
gmemRaiseEdit(
    const gmemXML *xml, gmemLowerFind find, gmemXMLEdit *edit, gmemPlan **plan, GError **error)
{
    g_auto(gmemLowerDocument) document = {0};
    g_autoptr(gmemPlan) found = NULL;
    int pairs;

    if (plan != NULL)
        *plan = NULL;
    if (gmemLowerDocumentRead(&document, xml, find, GMEM_DOMAIN_WHOLE, error) < 0 ||
        (pairs = gmemRaisePairs(&document, edit, &found, error)) < 0)
        return -1;
    if (plan != NULL)
        *plan = g_steal_pointer(&found);
    return pairs;
}

int
gmemRaiseFindPatch(
    const char *text, gmemLowerFind find, gmemXMLPatch **patch, gmemPlan **plan, GError **error)
{
    g_autoptr(gmemXML) xml = NULL;
    g_autoptr(gmemXMLEdit) edit = NULL;
    int pairs;

    *patch = NULL;
    if (plan != NULL)
        *plan = NULL;
    if (strstr(text, GMEM_CARRIER_OPTION) == NULL)
        return 0;
    xml = gmemXMLParse(text, error);
    if (xml == NULL)
        return -1;
    edit = gmemXMLEditNew(xml);
    pairs = gmemRaiseEdit(xml, find, edit, plan, error);
    if (pairs > 0)
        *patch = gmemXMLEditPatch(edit);
    return MIN(pairs, 0);
}

/* The plan of a domain with a carrier pair. What lowering has put in or changed breaks no rule, so
 * the rules say the same of it as of what it was made of. */
static int
gmemRaisePlanOf(gmemDomainDef *def, bool validate, gmemPlan **plan, GError **error)
{
    size_t i;

    for (i = 0; i < def->carrier->nchanges; i++) {
        if (gmemRaiseLowering(def, &def->carrier->changes[i], error) == NULL)
            return -1;
    }
    gmemDomainPostParse(def);
    if (validate && gmemDomainValidate(def, error) < 0)
        return -1;
    if (plan != NULL)
        *plan = gmemDomainPlan(def);
    return 0;
}

int
gmemRaisePlanXML(
    const gmemXML *xml, gmemLowerFind find, bool validate, gmemPlan **plan, GError **error)
{
    g_auto(gmemLowerDocument) document = {0};
    g_autoptr(gmemPlan) found = NULL;
    guint i;

    *plan = NULL;
    if (gmemLowerDocumentRead(&document, xml, find, GMEM_DOMAIN_WHOLE, error) < 0)
        return -1;
    for (i = 0; i < document.defs->len; i++) {
        gmemDomainDef *def = g_ptr_array_index(document.defs, i);

        if (def->carrier != NULL &&
            gmemRaisePlanOf(def, validate, gmemLowerPlanOf(&document, i, &found), error) < 0)
            return -1;
    }
    *plan = g_steal_pointer(&found);
    return 0;
}

int
gmemRaisePlan(const char *text, gmemLowerFind find, bool validate, gmemPlan **plan, GError **error)
{
    g_autoptr(gmemXML) xml = NULL;

    *plan = NULL;
    if (strstr(text, GMEM_CARRIER_OPTION) == NULL)
        return 0;
    xml = gmemXMLParse(text, error);
    return xml != NULL ? gmemRaisePlanXML(xml, find, validate, plan, error) : -1;
}

char *
gmemRaiseDomains(const char *text, gmemLowerFind find, gmemPlan **plan, GError **error)
{
    g_autofree gmemXMLPatch *patch = NULL;

    if (gmemRaiseFindPatch(text, find, &patch, plan, error) < 0)
        return NULL;
    return patch != NULL ? gmemXMLPatchApply(patch, text, strlen(text)) : g_strdup(text);
}

/* libvirt only compares the root's name, not its namespace. A snapshot of a running domain also has
 * the persistent configuration, in an element with another name (gmemnested.c). */
gmemXMLNode **
gmemLowerFindRoot(const gmemXML *xml)
{
    gmemXMLNode **domains = g_new0(gmemXMLNode *, 2);
    gmemXMLNode *root = gmemXMLRoot(xml);

    if (gmemXMLIsAnyNs(root, "domain") || gmemXMLIsAnyNs(root, "inactiveDomain"))
        domains[0] = root;
    return domains;
}

char *
gmemLower(const char *text, bool validate, gmemPlan **plan, GError **error)
{
    return gmemLowerDomains(text, gmemLowerFindRoot, validate, plan, error);
}

char *
gmemRaise(const char *text, gmemPlan **plan, GError **error)
{
    return gmemRaiseDomains(text, gmemLowerFindRoot, plan, error);
}
