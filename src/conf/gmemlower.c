/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemlower.c: between the XML that users write and the XML that stock libvirt understands.
 *
 * Lowering takes the two elements out, puts the carrier pair in, and makes the changes listed in
 * gmemLowerings, which the pair remembers. What it made is then parsed again: a wish that did not
 * arrive in the text that libvirt gets must never start a domain without it. Raising is the way
 * back from XML that libvirt formatted. */

#include "gmemlower.h"

#include <string.h>

#include "gmemcarrier.h"
#include "gmemdomain.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemxml.h"

/* What a mode needs of the rest of the domain. */
typedef struct {
    gmemMode mode;
    const char *parent;
    const char *element;
    const char *attribute;
    const char *value;
    const char *former; /* changed only where the attribute is this; NULL: where it is absent */
    const char *model;  /* all elements of this model, each by its number among its siblings; NULL:
                         * the only element there is */
    bool hugepages;     /* changed only where something is on huge pages */
} gmemLowering;

static const gmemLowering gmemLowerings[] = {
    {GMEM_MODE_FULLY_SHARED, "memoryBacking", "source", "type", "memfd", NULL, NULL, false},
    /* The access of the domain is also that of an NVDIMM without one of its own: it must not begin
     * to write to its file because the RAM is shared. Looked at before the latter is changed. */
    {GMEM_MODE_FULLY_SHARED, "devices", "memory", "access", "private", NULL, "nvdimm", false},
    {GMEM_MODE_FULLY_SHARED, "memoryBacking", "access", "mode", "shared", NULL, NULL, false},
    /* libvirt preallocates huge pages, asked to or not, and refuses to be asked not to. So that the
     * step in front of QEMU knows that no user asked, this says that we did (gmemcommand.c). */
    {GMEM_MODE_CONVERTIBLE, "memoryBacking", "allocation", "mode", "immediate", NULL, NULL, true},
    {GMEM_MODE_CONVERTIBLE, "memoryBacking", "allocation", "mode", "immediate", "ondemand", NULL,
     true},
    {GMEM_MODE_CONVERTIBLE, "features", "ioapic", "driver", "qemu", NULL, NULL, false},
    {GMEM_MODE_CONVERTIBLE, "features", "smm", "state", "off", NULL, NULL, false},
    /* OpenStack Nova always writes these on. */
    {GMEM_MODE_CONVERTIBLE, "devices", "memballoon", "autodeflate", "off", "on", NULL, false},
    {GMEM_MODE_CONVERTIBLE, "devices", "memballoon", "freePageReporting", "off", "on", NULL, false},
};

/* @number counts from 1; 0 where the element is the only one. */
static char *
gmemLoweringPath(const gmemLowering *lowering, size_t number)
{
    if (number == 0)
        return g_strdup_printf("%s/%s/@%s", lowering->parent, lowering->element,
                               lowering->attribute);
    return g_strdup_printf("%s/%s[%zu]/@%s", lowering->parent, lowering->element, number,
                           lowering->attribute);
}

/* All elements that a lowering may be about. Free with g_free(). */
static xmlNode **
gmemLoweringElements(const gmemLowering *lowering, const gmemXML *xml)
{
    g_autofree char *path = g_strdup_printf("%s/%s", lowering->parent, lowering->element);

    return gmemXMLFind(gmemXMLRoot(xml), path);
}

static xmlNode *
gmemLoweringElement(const gmemLowering *lowering, size_t number, const gmemXML *xml)
{
    g_autofree xmlNode **elements = gmemLoweringElements(lowering, xml);
    size_t i;

    for (i = 0; elements[i] != NULL; i++) {
        if (i + 1 >= number)
            return elements[i];
    }
    return NULL;
}

/* What goes into an element that the domain does not have. */
typedef struct {
    const char *name;
    GString *content;
} gmemLowerMissing;

/* Makes the element that is missing: the next change is in another one, @next. */
static void
gmemLowerMake(const gmemDomainDef *def,
              gmemXMLEdit *edit,
              gmemLowerMissing *missing,
              const char *next)
{
    g_autofree char *markup = NULL;

    if (missing->name != NULL && g_strcmp0(missing->name, next) != 0) {
        markup =
            g_strdup_printf("<%s>%s</%s>", missing->name, missing->content->str, missing->name);
        gmemXMLEditAppend(edit, gmemXMLRoot(def->xml), markup);
        g_string_truncate(missing->content, 0);
    }
    missing->name = next;
}

/* Makes one change, where it is due, and notes it in @carrier. */
static void
gmemLowerChangeOne(const gmemLowering *lowering,
                   size_t number,
                   xmlNode *element,
                   const gmemDomainDef *def,
                   gmemXMLEdit *edit,
                   gmemCarrier *carrier,
                   gmemLowerMissing *missing)
{
    g_autofree char *value = gmemXMLAttribute(element, lowering->attribute);
    g_autofree char *path = gmemLoweringPath(lowering, number);
    xmlNode *parent = gmemXMLFindFirst(gmemXMLRoot(def->xml), lowering->parent);
    g_autofree char *markup = NULL;

    if (g_strcmp0(value, lowering->former) != 0)
        return;
    gmemCarrierAddChange(carrier, path, lowering->value, lowering->former);
    markup =
        g_strdup_printf("<%s %s='%s'/>", lowering->element, lowering->attribute, lowering->value);
    if (element != NULL) {
        gmemXMLEditSetAttribute(edit, element, lowering->attribute, lowering->value);
    } else if (parent != NULL) {
        gmemXMLEditAppend(edit, parent, markup);
    } else {
        gmemLowerMake(def, edit, missing, lowering->parent);
        g_string_append(missing->content, markup);
    }
}

/* An NVDIMM follows the domain's access only where the user left both open. */
static void
gmemLowerChangeEach(const gmemLowering *lowering,
                    const gmemDomainDef *def,
                    gmemXMLEdit *edit,
                    gmemCarrier *carrier,
                    gmemLowerMissing *missing)
{
    g_autofree xmlNode **elements = gmemLoweringElements(lowering, def->xml);
    size_t i;

    if (def->accessMode != NULL)
        return;
    for (i = 0; elements[i] != NULL; i++) {
        g_autofree char *model = gmemXMLAttribute(elements[i], "model");

        if (g_strcmp0(model, lowering->model) == 0)
            gmemLowerChangeOne(lowering, i + 1, elements[i], def, edit, carrier, missing);
    }
}

/* Makes the changes of the domain's mode and notes them in @carrier. Those in one parent stand
 * together in the table, so that a missing one is made once. */
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
            gmemLowerChangeEach(lowering, def, edit, carrier, &missing);
        else
            gmemLowerChangeOne(lowering, 0, gmemLoweringElement(lowering, 0, def->xml), def, edit,
                               carrier, &missing);
    }
    gmemLowerMake(def, edit, &missing, NULL);
}

/* The pair goes in front of the user's own arguments, which follow libvirt's own ones directly. */
static void
gmemLowerPair(const gmemDomainDef *def, gmemXMLEdit *edit, const char *carrierText)
{
    const xmlChar *prefix = (const xmlChar *)"qemu";
    const char *colon = ":";
    g_autofree char *escaped = gmemXMLEscape(carrierText);
    g_autofree char *pair = NULL;
    g_autofree char *commandline = NULL;

    if (def->commandline != NULL) {
        prefix = def->commandline->ns->prefix;
        colon = prefix != NULL ? ":" : "";
        prefix = prefix != NULL ? prefix : (const xmlChar *)"";
    }
    pair = g_strdup_printf("<%s%sarg value='%s'/><%s%sarg value='%s'/>", (const char *)prefix,
                           colon, GMEM_CARRIER_OPTION, (const char *)prefix, colon, escaped);
    if (def->commandline != NULL) {
        gmemXMLEditPrepend(edit, def->commandline, pair);
        return;
    }
    /* The root may have bound the prefix to something else. */
    commandline = g_strdup_printf("<qemu:commandline xmlns:qemu='%s'>%s</qemu:commandline>",
                                  GMEM_QEMU_NAMESPACE, pair);
    gmemXMLEditAppend(edit, gmemXMLRoot(def->xml), commandline);
}

/* The number in a path, 0 for none. What is no number gives one whose path is another one. */
static size_t
gmemLoweringNumber(const char *path)
{
    const char *bracket = strchr(path, '[');

    return bracket != NULL ? (size_t)g_ascii_strtoull(bracket + 1, NULL, 10) : 0;
}

/* Returns what @change is about; NULL where lowering never makes such a change in @mode. */
static const gmemLowering *
gmemLoweringOfChange(gmemMode mode, const gmemCarrierChange *change)
{
    size_t number = gmemLoweringNumber(change->path);
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(gmemLowerings); i++) {
        g_autofree char *path = gmemLoweringPath(&gmemLowerings[i], number);

        if (gmemLowerings[i].mode == mode && (gmemLowerings[i].model != NULL) == (number > 0) &&
            strcmp(path, change->path) == 0 && strcmp(gmemLowerings[i].value, change->value) == 0 &&
            g_strcmp0(gmemLowerings[i].former, change->former) == 0)
            return &gmemLowerings[i];
    }
    return NULL;
}

/* The element that @change is about, where it still has the value that lowering gave it. */
static xmlNode *
gmemLoweringHolder(const gmemLowering *lowering,
                   const gmemCarrierChange *change,
                   const gmemXML *xml)
{
    xmlNode *element = gmemLoweringElement(lowering, gmemLoweringNumber(change->path), xml);
    g_autofree char *value = gmemXMLAttribute(element, lowering->attribute);
    g_autofree char *model = gmemXMLAttribute(element, "model");

    if (g_strcmp0(value, lowering->value) != 0 ||
        (lowering->model != NULL && g_strcmp0(model, lowering->model) != 0))
        return NULL;
    return element;
}

static bool
gmemLowerHolds(const gmemDomainDef *def, const gmemCarrier *carrier)
{
    size_t i;

    for (i = 0; i < carrier->nchanges; i++) {
        const gmemCarrierChange *change = &carrier->changes[i];
        const gmemLowering *lowering = gmemLoweringOfChange(carrier->mode, change);

        if (lowering == NULL || gmemLoweringHolder(lowering, change, def->xml) == NULL)
            return false;
    }
    return true;
}

static int
gmemLowerVerify(const char *lowered, const char *carrierText, GError **error)
{
    g_autoptr(gmemXML) xml = gmemXMLParse(lowered);
    g_autoptr(gmemDomainDef) def = NULL;
    g_autoptr(GError) local = NULL;

    if (xml != NULL)
        def = gmemDomainParseXML(xml, false, &local);
    if (def == NULL || g_strcmp0(def->carrierText, carrierText) != 0 ||
        !gmemLowerHolds(def, def->carrier))
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the domain's XML cannot be rewritten for libvirt: %s"),
                            local != NULL ? local->message
                                          : _("a change did not take effect; does a document type "
                                              "declaration interfere?"));
    return 0;
}

/* @def has one of the elements. *@carrierText and @plan may be NULL. */
static char *
gmemLowerDomain(gmemDomainDef *def, char **carrierText, gmemPlan **plan, GError **error)
{
    g_autoptr(gmemCarrier) carrier = gmemCarrierNew();
    g_autoptr(gmemXMLEdit) edit = gmemXMLEditNew(def->xml);
    g_autofree char *text = NULL;
    g_autofree char *lowered = NULL;

    gmemDomainPostParse(def);
    if (gmemDomainValidate(def, error) < 0)
        return NULL;

    carrier->mode = def->mode;
    carrier->swProtected = def->launchSecurity == GMEM_LAUNCH_SECURITY_SW_PROTECTED;
    if (def->privateNode != NULL)
        gmemXMLEditRemove(edit, def->privateNode);
    if (carrier->swProtected)
        gmemXMLEditRemove(edit, def->launchSecurityNode);
    gmemLowerChange(def, edit, carrier);
    text = gmemCarrierFormat(carrier);
    gmemLowerPair(def, edit, text);

    lowered = gmemXMLEditApply(edit, error);
    if (lowered == NULL || gmemLowerVerify(lowered, text, error) < 0)
        return NULL;
    if (carrierText != NULL)
        *carrierText = g_steal_pointer(&text);
    if (plan != NULL)
        *plan = gmemDomainPlan(def);
    return g_steal_pointer(&lowered);
}

static void
gmemRaiseChange(const gmemLowering *lowering,
                const gmemCarrierChange *change,
                const gmemDomainDef *def,
                gmemXMLEdit *edit)
{
    xmlNode *element = gmemLoweringHolder(lowering, change, def->xml);
    xmlNode *parent;

    if (element == NULL)
        return;
    gmemXMLEditSetAttribute(edit, element, lowering->attribute, lowering->former);
    if (lowering->former != NULL || !gmemXMLEditEmptied(edit, element))
        return;
    parent = element->parent;
    gmemXMLEditRemove(edit, element);
    /* <memoryBacking> is about to get <private/>. */
    if (!gmemXMLIs(parent, "memoryBacking") && gmemXMLEditEmptied(edit, parent))
        gmemXMLEditRemove(edit, parent);
}

/* Whether anything that stays uses the namespace declaration @ns. */
static bool
gmemRaiseUses(const gmemXMLEdit *edit, const xmlNode *root, const xmlNs *ns)
{
    const xmlNode *node = root;
    const xmlAttr *attribute;

    while (node != NULL) {
        bool descend = node->type == XML_ELEMENT_NODE && !gmemXMLEditRemoved(edit, node);

        if (descend) {
            if (node->ns == ns)
                return true;
            for (attribute = node->properties; attribute != NULL; attribute = attribute->next) {
                if (attribute->ns == ns)
                    return true;
            }
        }
        if (descend && node->children != NULL) {
            node = node->children;
            continue;
        }
        while (node != root && node->next == NULL)
            node = node->parent;
        node = node != root ? node->next : NULL;
    }
    return false;
}

/* libvirt declares the namespace on <domain> only where it has something to print in it. */
static void
gmemRaiseNamespace(const gmemDomainDef *def, gmemXMLEdit *edit)
{
    xmlNode *root = gmemXMLRoot(def->xml);
    const xmlNs *ns;

    for (ns = root->nsDef; ns != NULL; ns = ns->next) {
        g_autofree char *name = NULL;

        if (ns->prefix == NULL || g_strcmp0((const char *)ns->href, GMEM_QEMU_NAMESPACE) != 0 ||
            gmemRaiseUses(edit, root, ns))
            continue;
        name = g_strdup_printf("xmlns:%s", (const char *)ns->prefix);
        gmemXMLEditSetAttribute(edit, root, name, NULL);
    }
}

/* @def has a carrier pair. */
static char *
gmemRaiseDomain(const gmemDomainDef *def, GError **error)
{
    g_autoptr(gmemXMLEdit) edit = gmemXMLEditNew(def->xml);
    size_t i;

    for (i = 0; i < def->carrier->nchanges; i++) {
        const gmemLowering *lowering =
            gmemLoweringOfChange(def->carrier->mode, &def->carrier->changes[i]);

        if (lowering == NULL) {
            gmemErrorSet(
                error, VIR_ERR_XML_ERROR, _("unknown change of '%s' to '%s' in value of '%s'"),
                def->carrier->changes[i].path, def->carrier->changes[i].value, GMEM_CARRIER_OPTION);
            return NULL;
        }
        gmemRaiseChange(lowering, &def->carrier->changes[i], def, edit);
    }
    gmemXMLEditRemove(edit, def->pair[0]);
    gmemXMLEditRemove(edit, def->pair[1]);
    if (gmemXMLEditEmptied(edit, def->commandline))
        gmemXMLEditRemove(edit, def->commandline);
    gmemRaiseNamespace(def, edit);
    gmemDomainFormat(def, edit);
    return gmemXMLEditApply(edit, error);
}

static bool
gmemLowerHasChange(const gmemCarrier *carrier, const gmemCarrierChange *wanted)
{
    size_t i;

    for (i = 0; i < carrier->nchanges; i++) {
        const gmemCarrierChange *change = &carrier->changes[i];

        if (strcmp(change->path, wanted->path) == 0 && strcmp(change->value, wanted->value) == 0 &&
            g_strcmp0(change->former, wanted->former) == 0)
            return true;
    }
    return false;
}

/* Devices are known by their number, and libvirt takes devices out of a domain without a look at
 * the pair. Returns @carrier without the changes of devices that @fresh does not have. */
static gmemCarrier *
gmemLowerDropGone(const gmemCarrier *carrier, const gmemCarrier *fresh)
{
    gmemCarrier *rest = gmemCarrierNew();
    size_t i;

    rest->mode = carrier->mode;
    rest->swProtected = carrier->swProtected;
    for (i = 0; i < carrier->nchanges; i++) {
        const gmemCarrierChange *change = &carrier->changes[i];

        if (gmemLoweringNumber(change->path) == 0 || gmemLowerHasChange(fresh, change))
            gmemCarrierAddChange(rest, change->path, change->value, change->former);
    }
    return rest;
}

/* Whether the pair of @def is @freshText, which its elements would have given, but for devices that
 * are gone. */
static bool
gmemLowerIsReady(const gmemDomainDef *def, const char *freshText)
{
    g_autoptr(gmemCarrier) fresh = gmemCarrierParse(freshText, NULL);
    g_autofree char *again = gmemCarrierFormat(def->carrier);
    g_autoptr(gmemCarrier) rest = NULL;
    g_autofree char *restText = NULL;

    if (fresh == NULL || strcmp(again, def->carrierText) != 0)
        return false;
    rest = gmemLowerDropGone(def->carrier, fresh);
    restText = gmemCarrierFormat(rest);
    return strcmp(restText, freshText) == 0 && gmemLowerHolds(def, rest);
}

/* A pair that a client wrote must be the one that its elements would have given: then the XML is
 * what this library once made, otherwise anything. Returns the XML for libvirt. */
static char *
gmemLowerReady(const char *text, const gmemDomainDef *def, gmemPlan **plan, GError **error)
{
    g_autofree char *raised = gmemRaiseDomain(def, error);
    g_autofree char *lowered = NULL;
    g_autofree char *carrierText = NULL;
    g_autoptr(gmemPlan) again = NULL;
    g_autoptr(gmemXML) xml = NULL;
    g_autoptr(gmemDomainDef) fresh = NULL;

    if (raised == NULL)
        return NULL;
    xml = gmemXMLParse(raised);
    if (xml != NULL)
        fresh = gmemDomainParseXML(xml, false, error);
    if (fresh != NULL)
        lowered = gmemLowerDomain(fresh, &carrierText, &again, error);
    if (xml != NULL && lowered == NULL)
        return NULL;
    if (carrierText == NULL || !gmemLowerIsReady(def, carrierText)) {
        gmemErrorSet(
            error, VIR_ERR_XML_ERROR,
            _("value of '%s' is not what this domain gives; leave the option out and write "
              "<private/> or <launchSecurity type='sw-protected'/>"),
            GMEM_CARRIER_OPTION);
        return NULL;
    }
    if (plan != NULL)
        *plan = g_steal_pointer(&again);
    /* What lowering has made stays as it is to the byte. */
    return strcmp(carrierText, def->carrierText) == 0 ? g_strdup(text) : g_steal_pointer(&lowered);
}

/* libvirt compares the root's name only, not its namespace. A snapshot of a running domain has the
 * persistent configuration beside it, under a name of its own (gmemnested.c). */
static bool
gmemLowerIsDomain(const xmlNode *root)
{
    return strcmp((const char *)root->name, "domain") == 0 ||
           strcmp((const char *)root->name, "inactiveDomain") == 0;
}

/* Returns the definition of the domain in @text where there may be something to do; NULL with
 * @error where it is malformed, without where it is none of our business: not well formed (stock
 * libvirt will say so), or no domain. *@xml must be freed behind the definition. */
static gmemDomainDef *
gmemLowerParse(const char *text, bool validate, gmemXML **xml, GError **error)
{
    *xml = gmemXMLParse(text);
    if (*xml == NULL || !gmemLowerIsDomain(gmemXMLRoot(*xml)))
        return NULL;
    return gmemDomainParseXML(*xml, validate, error);
}

/* Whether "<private" is those bytes in @xml: not where the XML declaration names an encoding that
 * is no superset of ASCII (or that we do not know to be one). */
static bool
gmemLowerIsASCII(const char *xml)
{
    static const char *const known[] = {
        "UTF-8", "UTF8", "US-ASCII", "ASCII", "ISO-8859-", "ISO8859-", "ISO_8859-", "WINDOWS-125",
    };
    const char *end;
    const char *encoding;
    size_t i;

    if (g_str_has_prefix(xml, "\xef\xbb\xbf"))
        xml += 3;
    xml += strspn(xml, " \t\r\n");
    if (*xml != '<')
        return *xml == '\0';
    if (!g_str_has_prefix(xml, "<?xml"))
        return true;
    end = strstr(xml, "?>");
    encoding = g_strstr_len(xml, end != NULL ? end - xml : -1, "encoding");
    if (encoding == NULL)
        return true;
    encoding += strlen("encoding");
    encoding += strspn(encoding, " \t\r\n='\"");
    for (i = 0; i < G_N_ELEMENTS(known); i++) {
        if (g_ascii_strncasecmp(encoding, known[i], strlen(known[i])) == 0)
            return true;
    }
    return false;
}

bool
gmemLowerConcerns(const char *xml)
{
    /* Names of elements are literal, except in entities; those need a document type declaration.
     * Attributes can be written with character references: our option, too. */
    return strstr(xml, "<private") != NULL || strstr(xml, "<launchSecurity") != NULL ||
           strstr(xml, GMEM_CARRIER_OPTION) != NULL || strstr(xml, "<!DOCTYPE") != NULL ||
           (strstr(xml, "&#") != NULL && strstr(xml, "commandline") != NULL) ||
           !gmemLowerIsASCII(xml);
}

char *
gmemLower(const char *text, bool validate, gmemPlan **plan, GError **error)
{
    g_autoptr(gmemXML) xml = NULL;
    g_autoptr(gmemDomainDef) def = NULL;
    g_autoptr(GError) local = NULL;

    if (plan != NULL)
        *plan = NULL;
    if (!gmemLowerConcerns(text))
        return g_strdup(text);
    def = gmemLowerParse(text, validate, &xml, &local);
    if (local != NULL) {
        g_propagate_error(error, g_steal_pointer(&local));
        return NULL;
    }
    if (def != NULL && def->carrier != NULL)
        return gmemLowerReady(text, def, plan, error);
    if (def == NULL || !gmemDomainConcerned(def))
        return g_strdup(text);
    return gmemLowerDomain(def, NULL, plan, error);
}

bool
gmemRaiseConcerns(const char *xml)
{
    return strstr(xml, GMEM_CARRIER_OPTION) != NULL;
}

char *
gmemRaise(const char *text, gmemPlan **plan, GError **error)
{
    g_autoptr(gmemXML) xml = NULL;
    g_autoptr(gmemDomainDef) def = NULL;
    g_autoptr(GError) local = NULL;
    char *raised;

    if (plan != NULL)
        *plan = NULL;
    if (!gmemRaiseConcerns(text))
        return g_strdup(text);
    def = gmemLowerParse(text, false, &xml, &local);
    if (local != NULL) {
        g_propagate_error(error, g_steal_pointer(&local));
        return NULL;
    }
    if (def == NULL || def->carrier == NULL)
        return g_strdup(text);
    gmemDomainPostParse(def);
    raised = gmemRaiseDomain(def, error);
    if (raised != NULL && plan != NULL)
        *plan = gmemDomainPlan(def);
    return raised;
}
