/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcommand.c: a plan and libvirt's command line make the command line that QEMU gets.
 *
 * Three steps. Read: argv is walked once, option by option, and what matters to guest memory is
 * noted down; an option that could change memory backends in a way this cannot follow is refused.
 * Check: every backend that RAM refers to must be there and fit the mode, every other one must be a
 * host file of an NVDIMM or of virtio-pmem. Emit: words are edited or put in as the row of "What
 * QEMU offers" (docs/design.rst) says; all others are passed as they are.
 *
 * libvirt's own arguments can be followed by the user's, which override them. So options merge as
 * in QEMU: all -machine options make one, in which the last value of a key counts.
 *
 * Runs in the child between fork and exec: malloc, but nothing that takes a lock, which rules out
 * GLib's containers. */

#include "gmemcommand.h"

#include <stdio.h>
#include <string.h>

#include "gmemargv.h"
#include "gmemcarrier.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemjson.h"

/* Without the dash that GMEM_CARRIER_OPTION has: names are compared as QEMU does. */
#define GMEM_CARRIER_NAME (&GMEM_CARRIER_OPTION[1])

/* Bytes. guest_memfd's only page, and the default huge page that a "hugetlb" without size means. */
#define GMEM_PAGE_SIZE 4096
#define GMEM_HUGE_PAGE_SIZE (2 * 1024 * 1024)

/* The version of the shim's configuration. */
#define GMEM_SHIM_CONFIG_VERSION 1

/* The change of lowering that is about preallocation. */
#define GMEM_ALLOCATION_PATH "memoryBacking/allocation/@mode"

/* What libvirt calls its launch security objects. */
#define GMEM_LAUNCH_OBJECT "lsec0"

/* They set up RAM or the accelerator in ways that the checks below would not see. */
static const char *const gmemCommandRefused[] = {
    "mem-path",   "mem-prealloc", "readconfig", "preconfig",  "no-kvm",
    "enable-hax", "xen-domid",    "xen-attach", "xen-create",
};

/* Machines without what either mode needs (validation table); a user's -machine can change it. */
static const char *const gmemCommandMachinesRefused[] = {"isapc", "microvm", "none", "xenfv",
                                                         "xenpv"};

/* Launch objects whose RAM is guest_memfd anyway; <private/> changes nothing there. */
static const char *const gmemCommandHardwareObjects[] = {"sev-snp-guest", "tdx-guest"};

/* The value of an option that has properties, in either notation. */
typedef struct {
    const char *text;
    const char *implied; /* key of a first word without '=' */
    gmemJSON *json;      /* NULL: key=value,… */
} gmemProps;

typedef enum {
    GMEM_USE_NONE = 0,
    GMEM_USE_RAM,
    GMEM_USE_FILE, /* NVDIMM, virtio-pmem: a host file, never private */
} gmemUse;

typedef struct {
    char *id;
    char *type;
    size_t index; /* of its value in argv */
    gmemProps props;
    gmemUse use;
    char *user; /* what refers to it */
} gmemBackend;

typedef struct {
    char *id;
    char *user; /* for messages: "-machine memory-backend", "pc-dimm 'dimm0'" … */
    gmemUse use;
} gmemReference;

typedef struct {
    char *const *argv;
    size_t argc;
    size_t pair; /* index of the carrier option */
    size_t npairs;
    const char *carrier;
    size_t machine; /* index of the first -machine's value; 0: none */
    gmemBackend *backends;
    size_t nbackends;
    gmemReference *references;
    size_t nreferences;
    char *machineType;
    char *memoryBackend;
    char *guestSupport;   /* confidential-guest-support */
    char *hardwareObject; /* id of a launch object whose VM has guest_memfd by itself */
    char *irqchip;
    char *accelIrqchip;
    char *smm;
    char *suspend;    /* -global that says whether there is suspend-to-memory */
    char *vfio;       /* a device whose DMA goes to pinned memory */
    char *sharedOnly; /* what reaches only what the guest shares */
    bool kvm;
    bool launchObject; /* an object of that id is there already */
} gmemCommandLine;

static void
gmemPropsClear(gmemProps *props)
{
    gmemJSONFree(props->json);
    props->json = NULL;
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemProps, gmemPropsClear)

static void
gmemCommandLineClear(gmemCommandLine *line)
{
    size_t i;

    for (i = 0; i < line->nbackends; i++) {
        g_free(line->backends[i].id);
        g_free(line->backends[i].type);
        g_free(line->backends[i].user);
        gmemPropsClear(&line->backends[i].props);
    }
    for (i = 0; i < line->nreferences; i++) {
        g_free(line->references[i].id);
        g_free(line->references[i].user);
    }
    g_free(line->backends);
    g_free(line->references);
    g_free(line->machineType);
    g_free(line->memoryBackend);
    g_free(line->guestSupport);
    g_free(line->hardwareObject);
    g_free(line->irqchip);
    g_free(line->accelIrqchip);
    g_free(line->smm);
    g_free(line->suspend);
    g_free(line->vfio);
    g_free(line->sharedOnly);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemCommandLine, gmemCommandLineClear)

static bool
gmemIsOneOf(const char *text, const char *const *list, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (g_strcmp0(text, list[i]) == 0)
            return true;
    }
    return false;
}

/* The next key and value of key=value,…; a doubled comma is a comma of the value. A key without
 * a value is "on", as in QEMU's short form of booleans. */
static bool
gmemKeyvalNext(const char **text, const char *implied, char **key, char **value)
{
    const char *end = *text + strcspn(*text, "=,");
    char *out;

    if (**text == '\0')
        return false;
    if (*end == '=') {
        *key = g_strndup(*text, (size_t)(end - *text));
        *text = end + 1;
    } else if (implied != NULL) {
        *key = g_strdup(implied);
    } else {
        *key = g_strndup(*text, (size_t)(end - *text));
        *value = g_strdup("on");
        *text = *end == ',' ? end + 1 : end;
        return true;
    }
    *value = out = g_malloc(strlen(*text) + 1);
    for (; **text != '\0'; (*text)++) {
        if (**text == ',' && *++*text != ',')
            break;
        *out++ = **text;
    }
    *out = '\0';
    return true;
}

/* The value of @key, the last where it is given more than once; NULL where it is not there. */
static char *
gmemKeyvalGet(const char *text, const char *implied, const char *key)
{
    char *found = NULL;
    bool first = true;
    char *name, *value;

    while (gmemKeyvalNext(&text, first ? implied : NULL, &name, &value)) {
        if (strcmp(name, key) == 0) {
            g_free(found);
            found = g_steal_pointer(&value);
        }
        g_free(name);
        g_free(value);
        first = false;
    }
    return found;
}

static int
gmemPropsInit(gmemProps *props, const gmemArgvOption *option, const char *implied, GError **error)
{
    props->text = option->value;
    props->implied = implied;
    if (option->value == NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("the option '-%s' at the end of QEMU's command line has no value"),
                            option->name);
    if (option->value[0] != '{')
        return 0;
    props->json = gmemJSONParse(option->value, NULL);
    if (props->json == NULL || gmemJSONHasDuplicates(props->json))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("cannot read the value of QEMU's option '-%s %s'"), option->name,
                            option->value);
    return 0;
}

/* The spelling of a property; NULL where it is not there. Something nested is an empty string,
 * which is no valid value of any property that is asked for here. */
static char *
gmemPropsGet(const gmemProps *props, const char *key)
{
    gmemJSON *value;

    if (props->json == NULL)
        return gmemKeyvalGet(props->text, props->implied, key);
    value = gmemJSONGet(props->json, key);
    if (value == NULL)
        return NULL;
    if (YAJL_IS_STRING(value))
        return g_strdup(YAJL_GET_STRING(value));
    if (YAJL_IS_NUMBER(value))
        return g_strdup(YAJL_GET_NUMBER(value));
    if (YAJL_IS_TRUE(value) || YAJL_IS_FALSE(value))
        return g_strdup(YAJL_IS_TRUE(value) ? "on" : "off");
    return g_strdup("");
}

/* 1, 0, or -1 where the property is not there. Anything unreadable counts as not true. */
static int
gmemPropsGetBool(const gmemProps *props, const char *key)
{
    static const char *const words[] = {"on", "yes", "true", "y"};
    g_autofree char *value = gmemPropsGet(props, key);

    if (value == NULL)
        return -1;
    return gmemIsOneOf(value, words, G_N_ELEMENTS(words)) ? 1 : 0;
}

/* Bytes; with QEMU's suffixes in key=value notation. */
static bool
gmemPropsGetSize(const gmemProps *props, const char *key, unsigned long long *size)
{
    static const char suffixes[] = "bkmgtpe";
    g_autofree char *value = gmemPropsGet(props, key);
    const char *suffix = NULL;
    size_t length = value != NULL ? strlen(value) : 0;
    unsigned int shift = 0;
    guint64 number;

    if (length == 0)
        return false;
    if (g_ascii_isalpha(value[length - 1])) {
        suffix = strchr(suffixes, g_ascii_tolower(value[length - 1]));
        if (suffix == NULL)
            return false;
        shift = 10 * (unsigned int)(suffix - suffixes);
        value[length - 1] = '\0';
    }
    if (!g_ascii_string_to_unsigned(value, 10, 1, G_MAXUINT64 >> shift, &number, NULL))
        return false;
    *size = number << shift;
    return true;
}

static void
gmemReplace(char **member, char *value)
{
    if (value == NULL)
        return;
    g_free(*member);
    *member = value;
}

static int
gmemReadCarrier(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    if (line->npairs > 0)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            _("QEMU's option '%s' is there more than once"), GMEM_CARRIER_OPTION);
    if (option->value == NULL)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("QEMU's option '%s' has no value"),
                            GMEM_CARRIER_OPTION);
    line->npairs++;
    line->pair = option->index;
    line->carrier = option->value;
    return 0;
}

/* Keys may be written with '_' or '-' for the same thing (QEMU 6.2 and later turn one into the
 * other; before, these keys had one spelling each). */
static int
gmemReadMachine(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    const char *text = option->value;
    bool first = true;
    char *name, *value;

    if (text == NULL || text[0] == '{')
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("cannot read the value of QEMU's option '-%s %s'"), option->name,
                            text != NULL ? text : "");
    if (line->machine == 0)
        line->machine = option->index + 1;
    while (gmemKeyvalNext(&text, first ? "type" : NULL, &name, &value)) {
        g_autofree char *key = g_strdelimit(name, "_", '-');

        first = false;
        if (strcmp(key, "type") == 0) {
            gmemReplace(&line->machineType, g_steal_pointer(&value));
        } else if (strcmp(key, "memory-backend") == 0) {
            gmemReplace(&line->memoryBackend, g_steal_pointer(&value));
        } else if (strcmp(key, "confidential-guest-support") == 0 ||
                   strcmp(key, "memory-encryption") == 0) {
            gmemReplace(&line->guestSupport, g_steal_pointer(&value));
        } else if (strcmp(key, "kernel-irqchip") == 0) {
            gmemReplace(&line->irqchip, g_steal_pointer(&value));
        } else if (strcmp(key, "smm") == 0) {
            gmemReplace(&line->smm, g_steal_pointer(&value));
        } else if (strcmp(key, "accel") == 0) {
            g_autofree char *accel = g_steal_pointer(&value);

            if (strcmp(accel, "kvm") != 0)
                return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                    _("guest_memfd is KVM's, and QEMU would use the accelerator "
                                      "'%s'"),
                                    accel);
            line->kvm = true;
        }
        g_free(value);
    }
    return 0;
}

static int
gmemReadAccel(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    g_auto(gmemProps) props = {0};
    g_autofree char *accel = NULL;

    if (gmemPropsInit(&props, option, "accel", error) < 0)
        return -1;
    accel = gmemPropsGet(&props, "accel");
    if (g_strcmp0(accel, "kvm") != 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("guest_memfd is KVM's, and QEMU would use the accelerator '%s'"),
                            accel != NULL ? accel : option->value);
    line->kvm = true;
    gmemReplace(&line->accelIrqchip, gmemPropsGet(&props, "kernel-irqchip"));
    return 0;
}

/* Takes @id and @user over. */
static void
gmemAddReference(gmemCommandLine *line, char *id, char *user, gmemUse use)
{
    gmemReference *reference;

    line->references = g_renew(gmemReference, line->references, line->nreferences + 1);
    reference = &line->references[line->nreferences++];
    reference->id = id;
    reference->user = user;
    reference->use = use;
}

static int
gmemReadNUMA(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    g_auto(gmemProps) props = {0};
    g_autofree char *type = NULL;
    g_autofree char *mem = NULL;
    char *memdev;

    if (gmemPropsInit(&props, option, "type", error) < 0)
        return -1;
    type = gmemPropsGet(&props, "type");
    if (g_strcmp0(type, "node") != 0)
        return 0;
    mem = gmemPropsGet(&props, "mem");
    if (mem != NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("QEMU's option '-numa %s' gives a cell memory without a memory "
                              "backend"),
                            option->value);
    memdev = gmemPropsGet(&props, "memdev");
    if (memdev != NULL)
        gmemAddReference(line, memdev, g_strdup_printf("-numa %s", option->value), GMEM_USE_RAM);
    return 0;
}

/* Devices and network backends whose other half maps guest memory. */
static void
gmemReadShared(gmemCommandLine *line, const char *option, const char *driver)
{
    if (line->sharedOnly == NULL && driver != NULL &&
        (g_str_has_prefix(driver, "vhost-user") || g_str_has_prefix(driver, "vhost-vdpa")))
        line->sharedOnly = g_strdup_printf("-%s %s", option, driver);
}

static int
gmemReadNetdev(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    g_auto(gmemProps) props = {0};
    g_autofree char *type = NULL;

    if (option->value != NULL && strstr(option->value, "vhost-") == NULL)
        return 0;
    if (gmemPropsInit(&props, option, "type", error) < 0)
        return -1;
    type = gmemPropsGet(&props, "type");
    gmemReadShared(line, option->name, type);
    return 0;
}

static int
gmemReadDevice(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    g_auto(gmemProps) props = {0};
    g_autofree char *driver = NULL;
    g_autofree char *id = NULL;
    char *memdev;
    gmemUse use;

    /* Most devices have nothing to do with memory, and their JSON need not be parsed. */
    if (option->value != NULL && strstr(option->value, "dimm") == NULL &&
        strstr(option->value, "mem") == NULL && strstr(option->value, "vfio") == NULL &&
        strstr(option->value, "vhost-") == NULL && strchr(option->value, '\\') == NULL)
        return 0;
    if (gmemPropsInit(&props, option, "driver", error) < 0)
        return -1;
    driver = gmemPropsGet(&props, "driver");
    id = gmemPropsGet(&props, "id");
    if (driver == NULL)
        return 0;
    gmemReadShared(line, option->name, driver);
    if (line->vfio == NULL && g_str_has_prefix(driver, "vfio-"))
        line->vfio = g_strdup(driver);
    if (g_str_has_prefix(driver, "virtio-mem"))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("memory device '%s' is of type %s, which cannot be private"),
                            id != NULL ? id : "", driver);
    if (strcmp(driver, "pc-dimm") == 0)
        use = GMEM_USE_RAM;
    else if (strcmp(driver, "nvdimm") == 0 || g_str_has_prefix(driver, "virtio-pmem"))
        use = GMEM_USE_FILE;
    else
        return 0;
    memdev = gmemPropsGet(&props, "memdev");
    if (memdev == NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("memory device '%s' of type %s has no memory backend"),
                            id != NULL ? id : "", driver);
    gmemAddReference(line, memdev, g_strdup_printf("%s '%s'", driver, id != NULL ? id : ""), use);
    return 0;
}

static int
gmemReadObject(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    g_auto(gmemProps) props = {0};
    g_autofree char *type = NULL;
    g_autofree char *id = NULL;
    gmemBackend *backend;

    if (gmemPropsInit(&props, option, "qom-type", error) < 0)
        return -1;
    type = gmemPropsGet(&props, "qom-type");
    id = gmemPropsGet(&props, "id");
    if (g_strcmp0(id, GMEM_LAUNCH_OBJECT) == 0)
        line->launchObject = true;
    if (gmemIsOneOf(type, gmemCommandHardwareObjects, G_N_ELEMENTS(gmemCommandHardwareObjects)))
        gmemReplace(&line->hardwareObject, g_strdup(id));
    if (type == NULL || !g_str_has_prefix(type, "memory-backend-"))
        return 0;
    if (id == NULL || id[0] == '\0')
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("a memory backend of type %s has no id"), type);
    line->backends = g_renew(gmemBackend, line->backends, line->nbackends + 1);
    backend = &line->backends[line->nbackends++];
    backend->id = g_steal_pointer(&id);
    backend->type = g_steal_pointer(&type);
    backend->index = option->index + 1;
    backend->props = props;
    backend->use = GMEM_USE_NONE;
    backend->user = NULL;
    props.json = NULL;
    return 0;
}

/* -set group.id.property=value, applied to options that were given in key=value notation. */
static bool
gmemSetConcernsMemory(const char *value)
{
    static const char *const groups[] = {"object.", "machine.", "memory.", "numa.", "accel."};
    size_t i;

    for (i = 0; value != NULL && i < G_N_ELEMENTS(groups); i++) {
        if (g_str_has_prefix(value, groups[i]))
            return true;
    }
    return value == NULL || strstr(value, ".memdev=") != NULL;
}

/* -global driver.property=value or driver=,property=,value=. */
static bool
gmemGlobalConcernsMemory(const char *value)
{
    return value == NULL || g_str_has_prefix(value, "memory-backend") ||
           strstr(value, "driver=memory-backend") != NULL || strstr(value, ".memdev=") != NULL ||
           strstr(value, "property=memdev") != NULL || strstr(value, "kernel-irqchip") != NULL;
}

/* libvirt writes what <pm><suspend-to-mem enabled='…'/> says as -global DRIVER.disable_s3=0 or 1.
 */
static void
gmemReadGlobal(gmemCommandLine *line, const gmemArgvOption *option)
{
    if (option->value != NULL && strstr(option->value, ".disable_s3=") != NULL)
        gmemReplace(&line->suspend, g_strdup(option->value));
}

static int
gmemReadOption(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    const char *name = option->name;

    if (name == NULL)
        return 0;
    if (strcmp(name, GMEM_CARRIER_NAME) == 0)
        return gmemReadCarrier(line, option, error);
    if (strcmp(name, "machine") == 0 || strcmp(name, "M") == 0)
        return gmemReadMachine(line, option, error);
    if (strcmp(name, "accel") == 0)
        return gmemReadAccel(line, option, error);
    if (strcmp(name, "enable-kvm") == 0)
        line->kvm = true;
    if (strcmp(name, "numa") == 0)
        return gmemReadNUMA(line, option, error);
    if (strcmp(name, "device") == 0)
        return gmemReadDevice(line, option, error);
    if (strcmp(name, "netdev") == 0)
        return gmemReadNetdev(line, option, error);
    if (strcmp(name, "object") == 0)
        return gmemReadObject(line, option, error);
    if (gmemIsOneOf(name, gmemCommandRefused, G_N_ELEMENTS(gmemCommandRefused)) ||
        (strcmp(name, "set") == 0 && gmemSetConcernsMemory(option->value)) ||
        (strcmp(name, "global") == 0 && gmemGlobalConcernsMemory(option->value)))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("QEMU's option '-%s%s%s' could change what the RAM of a domain with "
                              "private memory is made of"),
                            name, option->value != NULL ? " " : "",
                            option->value != NULL ? option->value : "");
    if (strcmp(name, "global") == 0)
        gmemReadGlobal(line, option);
    return 0;
}

static int
gmemCommandLineRead(gmemCommandLine *line, char *const argv[], GError **error)
{
    gmemArgvOption option;
    size_t position = 0;

    line->argv = argv;
    while (argv[line->argc] != NULL)
        line->argc++;
    while (gmemArgvNext(argv, &position, &option)) {
        if (gmemReadOption(line, &option, error) < 0)
            return -1;
    }
    if (line->npairs == 0)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("QEMU's option '%s' is not there"),
                            GMEM_CARRIER_OPTION);
    if (line->memoryBackend != NULL)
        gmemAddReference(line, g_strdup(line->memoryBackend), g_strdup("-machine memory-backend"),
                         GMEM_USE_RAM);
    return 0;
}

static gmemBackend *
gmemFindBackend(gmemCommandLine *line, const char *id)
{
    size_t i;

    for (i = 0; i < line->nbackends; i++) {
        if (strcmp(line->backends[i].id, id) == 0)
            return &line->backends[i];
    }
    return NULL;
}

static int
gmemCheckReferences(gmemCommandLine *line, GError **error)
{
    bool main = false;
    size_t i;

    for (i = 0; i < line->nbackends; i++) {
        if (gmemFindBackend(line, line->backends[i].id) != &line->backends[i])
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("there are two memory backends '%s'"), line->backends[i].id);
    }
    for (i = 0; i < line->nreferences; i++) {
        const gmemReference *reference = &line->references[i];
        gmemBackend *backend = gmemFindBackend(line, reference->id);

        if (backend == NULL)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("there is no memory backend '%s', which %s uses"), reference->id,
                                reference->user);
        if (backend->use != GMEM_USE_NONE)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend '%s' is used twice, by %s and by %s"),
                                reference->id, backend->user, reference->user);
        backend->use = reference->use;
        backend->user = g_strdup(reference->user);
        if (reference->user[0] == '-')
            main = true;
    }
    /* dimms alone would leave the machine's first RAM to QEMU, as ordinary memory. */
    if (!main)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("the machine's RAM has no memory backend, so it cannot be private"));
    return 0;
}

static int
gmemCheckBackends(const gmemCommandLine *line, GError **error)
{
    size_t i;

    for (i = 0; i < line->nbackends; i++) {
        const gmemBackend *backend = &line->backends[i];

        if (backend->use == GMEM_USE_NONE)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend '%s' (%s) is neither RAM nor an NVDIMM or "
                                  "virtio-pmem device, which a domain with private memory cannot "
                                  "have"),
                                backend->id, backend->type);
        /* Also because qemu-gmem.so takes every memory-backend-memfd for RAM. */
        if (backend->use == GMEM_USE_FILE && strcmp(backend->type, "memory-backend-file") != 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend '%s' of %s is a %s; beside private memory it has "
                                  "to be a memory-backend-file"),
                                backend->id, backend->user, backend->type);
    }
    return 0;
}

static int
gmemCheckMachine(const gmemCommandLine *line, GError **error)
{
    if (line->machine == 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("QEMU's command line has no -machine"));
    if (gmemIsOneOf(line->machineType, gmemCommandMachinesRefused,
                    G_N_ELEMENTS(gmemCommandMachinesRefused)))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("machine type '%s' cannot have private memory"), line->machineType);
    if (!line->kvm)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("guest_memfd is KVM's, and QEMU is not told to use KVM"));
    return 0;
}

/* A pair that asks for nothing: <private/> beside sev-snp or tdx. Beside anything else it would be
 * a wish that nobody fulfils. */
static int
gmemCheckHardware(const gmemCommandLine *line, GError **error)
{
    if (line->guestSupport == NULL || g_strcmp0(line->guestSupport, line->hardwareObject) != 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("QEMU's option '%s' leaves private memory to the domain's launch "
                              "security, and there is none that has it"),
                            GMEM_CARRIER_OPTION);
    return 0;
}

static int
gmemCheckConvertible(const gmemCommandLine *line, bool shim, GError **error)
{
    if (line->guestSupport != NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("the machine has confidential guest support already: '%s'"),
                            line->guestSupport);
    if (line->launchObject)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, _("there is already an object '%s'"),
                            GMEM_LAUNCH_OBJECT);
    if ((line->irqchip != NULL && strcmp(line->irqchip, "split") != 0) ||
        (line->accelIrqchip != NULL && strcmp(line->accelIrqchip, "split") != 0))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("a software-protected VM needs kernel_irqchip=split, not '%s'"),
                            line->irqchip != NULL && strcmp(line->irqchip, "split") != 0
                                ? line->irqchip
                                : line->accelIrqchip);
    if (shim && line->irqchip == NULL && line->accelIrqchip == NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("a software-protected VM needs kernel_irqchip=split, which is not on "
                              "QEMU's command line"));
    if (line->vfio != NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("a software-protected VM cannot have the device '%s': its DMA needs "
                              "pinned shared pages"),
                            line->vfio);
    if (g_strcmp0(line->smm, "on") == 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("a software-protected VM has no SMM, and QEMU is told smm=on"));
    return 0;
}

/* The shim tells a reset by what QEMU does with its vCPUs (gmemshimvcpu.c), and waking up from
 * suspend-to-memory is the same to it: memory would be lost. */
static int
gmemCheckSuspend(const gmemCommandLine *line, GError **error)
{
    if (line->suspend != NULL && g_str_has_suffix(line->suspend, "=0"))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("a software-protected VM loses its private memory in suspend-to-"
                              "memory, which QEMU is told to have: '%s'"),
                            line->suspend);
    return 0;
}

/* QEMU's own property ignores hugetlb ("TODO: add huge page support" in its series) and insists on
 * share; the shim's memfd can be neither. */
static int
gmemCheckFullyShared(const gmemCommandLine *line, GError **error)
{
    size_t i;

    if (line->guestSupport != NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("fully shared guest_memfd and confidential guest support ('%s') "
                              "exclude each other"),
                            line->guestSupport);
    for (i = 0; i < line->nbackends; i++) {
        const gmemBackend *backend = &line->backends[i];

        if (backend->use != GMEM_USE_RAM)
            continue;
        if (strcmp(backend->type, "memory-backend-memfd") != 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend '%s' is a %s; for fully shared guest_memfd it "
                                  "has to be a memory-backend-memfd"),
                                backend->id, backend->type);
        if (gmemPropsGetBool(&backend->props, "share") != 1)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend '%s' is not shared, which fully shared "
                                  "guest_memfd has to be"),
                                backend->id);
        if (gmemPropsGetBool(&backend->props, "hugetlb") > 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend '%s' asks for huge pages, which guest_memfd does "
                                  "not have"),
                                backend->id);
    }
    return 0;
}

/* The host nodes that a backend is bound to, as they are written; NULL: none. */
static char *
gmemBackendNodes(const gmemBackend *backend)
{
    g_autoptr(gmemJSONGen) gen = NULL;
    gmemJSON *nodes;

    if (backend->props.json == NULL)
        return gmemPropsGet(&backend->props, "host-nodes");
    nodes = gmemJSONGet(backend->props.json, "host-nodes");
    if (nodes == NULL)
        return NULL;
    gen = gmemJSONGenNew();
    gmemJSONGenValue(gen, nodes);
    return gmemJSONGenFinish(gen);
}

/* How @backend is bound to host nodes, in a form that can be compared. */
static char *
gmemBackendBinding(const gmemBackend *backend)
{
    g_autofree char *policy = gmemPropsGet(&backend->props, "policy");
    g_autofree char *nodes = gmemBackendNodes(backend);

    return g_strdup_printf("%s %s", policy != NULL ? policy : "", nodes != NULL ? nodes : "");
}

static int
gmemSumUpOne(const gmemBackend *backend, gmemCommand *command, GError **error)
{
    gmemCommandRam *ram = &command->ram[command->nbackends];

    if (!gmemPropsGetSize(&backend->props, "size", &ram->size) ||
        ram->size > G_MAXUINT64 - command->ramSize)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("cannot read the size of memory backend '%s'"), backend->id);
    if (ram->size % GMEM_PAGE_SIZE != 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("memory backend '%s' has a size of %llu bytes, which is no multiple "
                              "of guest_memfd's pages of %d bytes"),
                            backend->id, ram->size, GMEM_PAGE_SIZE);
    if (gmemPropsGetBool(&backend->props, "hugetlb") > 0 &&
        !gmemPropsGetSize(&backend->props, "hugetlbsize", &ram->hugePage))
        ram->hugePage = GMEM_HUGE_PAGE_SIZE;
    if (strcmp(backend->type, "memory-backend-file") == 0)
        ram->path = gmemPropsGet(&backend->props, "mem-path");
    ram->id = g_strdup(backend->id);
    command->ramSize += ram->size;
    command->nbackends++;
    return 0;
}

static int
gmemSumUp(const gmemCommandLine *line, gmemCommand *command, GError **error)
{
    g_autofree char *first = NULL;
    size_t i;

    command->ram = g_new0(gmemCommandRam, line->nbackends);
    for (i = 0; i < line->nbackends; i++) {
        const gmemBackend *backend = &line->backends[i];
        g_autofree char *binding = NULL;

        if (backend->use != GMEM_USE_RAM)
            continue;
        if (gmemSumUpOne(backend, command, error) < 0)
            return -1;
        binding = gmemBackendBinding(backend);
        if (first != NULL && strcmp(first, binding) != 0)
            command->nodesetsDiffer = true;
        gmemReplace(&first, g_steal_pointer(&binding));
    }
    command->sharedOnly = g_strdup(line->sharedOnly);
    return 0;
}

/* The value of @backend as edited so far. */
static const char *
gmemBackendText(const gmemBackend *backend, char *const *edits)
{
    return edits[backend->index] != NULL ? edits[backend->index] : backend->props.text;
}

/* Sets @property on all RAM: only that is added to a value, the rest stays as it was written.
 * @edits: a word for each of argv, NULL where it stays. */
static int
gmemEditProperty(const gmemCommandLine *line, const char *property, char **edits, GError **error)
{
    size_t i;

    for (i = 0; i < line->nbackends; i++) {
        const gmemBackend *backend = &line->backends[i];
        int present = gmemPropsGetBool(&backend->props, property);
        const char *text = gmemBackendText(backend, edits);
        const char *brace = strrchr(text, '}');
        char *edited;

        if (backend->use != GMEM_USE_RAM || present == 1)
            continue;
        if (present == 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend '%s' has the property '%s' switched off"),
                                backend->id, property);
        if (backend->props.json != NULL && brace != NULL)
            edited =
                g_strdup_printf("%.*s,\"%s\":true%s", (int)(brace - text), text, property, brace);
        else
            edited = g_strdup_printf("%s,%s=on", text, property);
        gmemReplace(&edits[backend->index], edited);
    }
    return 0;
}

/* Whether libvirt preallocates @backend because of what lowering wrote. NVDIMMs it always does. */
static bool
gmemPreallocIsLowered(const gmemBackend *backend)
{
    return backend->use == GMEM_USE_RAM ||
           (backend->use == GMEM_USE_FILE && g_str_has_prefix(backend->user, "virtio-pmem"));
}

/* libvirt preallocates huge pages whether or not it is asked to, and refuses to be asked not to. In
 * convertible mode RAM would be held twice then. Lowering tells by a change of its own to
 * <allocation mode='immediate'> that it was not the user who wrote that. */
static void
gmemEditPrealloc(const gmemCommandLine *line, const gmemCarrier *carrier, char **edits)
{
    static const char on[] = "\"prealloc\":true";
    bool unwanted = false;
    size_t i;

    for (i = 0; i < carrier->nchanges; i++) {
        if (strcmp(carrier->changes[i].path, GMEM_ALLOCATION_PATH) == 0)
            unwanted = true;
    }
    for (i = 0; unwanted && i < line->nbackends; i++) {
        const gmemBackend *backend = &line->backends[i];
        const char *text = gmemBackendText(backend, edits);
        const char *at = strstr(text, on);

        /* Spelled in another way it is not libvirt's, but a user's own argument, and so a wish. */
        if (!gmemPreallocIsLowered(backend) || backend->props.json == NULL || at == NULL)
            continue;
        gmemReplace(
            &edits[backend->index],
            g_strdup_printf("%.*s\"prealloc\":false%s", (int)(at - text), text, at + strlen(on)));
    }
}

/* argv with @edits; where @keepPair is false, -@option @value stands in the place of the pair, or
 * nothing where @option is NULL; where it is true, right behind it. That place is where libvirt
 * puts launch security objects: behind its devices, before the user's arguments. */
static char **
gmemAssemble(const gmemCommandLine *line,
             char *const *edits,
             bool keepPair,
             const char *option,
             const char *value)
{
    char **argv = g_new0(char *, line->argc + 3);
    size_t n = 0;
    size_t i;

    for (i = 0; i < line->argc; i++) {
        bool pair = i == line->pair || i == line->pair + 1;

        if (!pair || keepPair)
            argv[n++] = g_strdup(edits[i] != NULL ? edits[i] : line->argv[i]);
        if (i == line->pair + 1 && option != NULL) {
            argv[n++] = g_strdup(option);
            argv[n++] = g_strdup(value);
        }
    }
    return argv;
}

static void
gmemFreeEdits(char **edits, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        g_free(edits[i]);
    g_free(edits);
}

/* First row: a QEMU that has the object type. */
static int
gmemEmitObject(const gmemCommandLine *line,
               const gmemQEMUCaps *caps,
               char **edits,
               gmemCommand *command,
               GError **error)
{
    bool split = line->irqchip != NULL || line->accelIrqchip != NULL;

    if (gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_BACKEND_PRIVATE) &&
        gmemEditProperty(line, "private", edits, error) < 0)
        return -1;
    edits[line->machine] =
        g_strdup_printf("%s%s,confidential-guest-support=%s", line->argv[line->machine],
                        split ? "" : ",kernel_irqchip=split", GMEM_LAUNCH_OBJECT);
    command->emulatorObject = g_strdup("sw-protected-vm");
    command->argv =
        gmemAssemble(line, edits, false, "-object",
                     "{\"qom-type\":\"sw-protected-vm\",\"id\":\"" GMEM_LAUNCH_OBJECT "\"}");
    return 0;
}

/* Second row: a QEMU that has the property. */
static int
gmemEmitProperty(const gmemCommandLine *line,
                 const char *property,
                 char **edits,
                 gmemCommand *command,
                 GError **error)
{
    if (gmemEditProperty(line, property, edits, error) < 0)
        return -1;
    command->emulatorObject = g_strdup(property);
    command->argv = gmemAssemble(line, edits, false, NULL, NULL);
    return 0;
}

/* What only mode convertible has: QEMU makes memory backends in the order of its command line. */
static void
gmemEmitShimList(const gmemCommandLine *line, GString *config)
{
    size_t i;

    g_string_append(config, ",start=shared");
    for (i = 0; i < line->nbackends; i++) {
        const gmemBackend *backend = &line->backends[i];
        unsigned long long size = 0;

        if (gmemPropsGetSize(&backend->props, "size", &size))
            g_string_append_printf(config, ",%s=%s:%llu",
                                   backend->use == GMEM_USE_RAM ? "backend" : "other", backend->id,
                                   size);
    }
}

/* Third row. */
static void
gmemEmitShim(const gmemCommandLine *line, char **edits, gmemCommand *command)
{
    g_autoptr(GString) config = g_string_new(NULL);
    g_autofree char *suspend = NULL;

    g_string_printf(config, "version=%d,mode=%s,backends=%zu,ram=%llu", GMEM_SHIM_CONFIG_VERSION,
                    gmemModeToString(command->mode), command->nbackends, command->ramSize);
    if (command->mode == GMEM_MODE_CONVERTIBLE) {
        gmemEmitShimList(line, config);
        if (line->suspend == NULL)
            suspend =
                g_strdup_printf("%s.disable_s3=1",
                                strstr(line->machineType, "q35") != NULL ? "ICH9-LPC" : "PIIX4_PM");
    }
    edits[line->pair + 1] = g_strdup(config->str);
    command->shim = true;
    command->emulatorObject = g_strdup("shim");
    command->argv = gmemAssemble(line, edits, true, suspend != NULL ? "-global" : NULL, suspend);
}

static int
gmemEmit(const gmemCommandLine *line,
         const gmemCarrier *carrier,
         const gmemQEMUCaps *caps,
         char **edits,
         gmemCommand *command,
         GError **error)
{
    if (command->mode == GMEM_MODE_CONVERTIBLE) {
        bool object = gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_SW_PROTECTED_VM);

        if (gmemCheckConvertible(line, !object, error) < 0)
            return -1;
        gmemEditPrealloc(line, carrier, edits);
        if (object)
            return gmemEmitObject(line, caps, edits, command, error);
        if (gmemCheckSuspend(line, error) < 0)
            return -1;
    } else {
        if (gmemCheckFullyShared(line, error) < 0)
            return -1;
        if (gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD))
            return gmemEmitProperty(line, "guest-memfd", edits, command, error);
        if (gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_MEMFD_X_GUEST_MEMFD))
            return gmemEmitProperty(line, "x-guest-memfd", edits, command, error);
    }
    gmemEmitShim(line, edits, command);
    return 0;
}

void
gmemCommandFree(gmemCommand *command)
{
    size_t i;

    if (command == NULL)
        return;
    for (i = 0; i < command->nbackends; i++) {
        g_free(command->ram[i].id);
        g_free(command->ram[i].path);
    }
    g_free(command->ram);
    g_free(command->sharedOnly);
    g_strfreev(command->argv);
    g_free(command->emulatorObject);
    g_free(command);
}

bool
gmemCommandConcerns(char *const argv[])
{
    gmemArgvOption option;

    return gmemArgvFind(argv, GMEM_CARRIER_NAME, &option) > 0;
}

gmemCommand *
gmemCommandBuild(char *const argv[], const gmemQEMUCaps *caps, GError **error)
{
    g_auto(gmemCommandLine) line = {0};
    g_autoptr(gmemCarrier) carrier = NULL;
    g_autoptr(gmemCommand) command = g_new0(gmemCommand, 1);
    char **edits;
    int rc = 0;

    if (gmemCommandLineRead(&line, argv, error) < 0)
        return NULL;
    carrier = gmemCarrierParse(line.carrier, error);
    if (carrier == NULL)
        return NULL;
    command->mode = carrier->mode;
    edits = g_new0(char *, line.argc + 1);
    if (command->mode == GMEM_MODE_NONE) {
        rc = gmemCheckHardware(&line, error);
        command->emulatorObject = g_strdup("none");
        command->argv = gmemAssemble(&line, edits, false, NULL, NULL);
    } else if (gmemCheckMachine(&line, error) < 0 || gmemCheckReferences(&line, error) < 0 ||
               gmemCheckBackends(&line, error) < 0 || gmemSumUp(&line, command, error) < 0 ||
               gmemEmit(&line, carrier, caps, edits, command, error) < 0) {
        rc = -1;
    }
    gmemFreeEdits(edits, line.argc);
    return rc == 0 ? g_steal_pointer(&command) : NULL;
}

void
gmemCommandStartPrivate(gmemCommand *command)
{
    static const char shared[] = ",start=shared,";
    gmemArgvOption option;
    const char *at;
    char **word;

    if (!command->shim || command->mode != GMEM_MODE_CONVERTIBLE ||
        gmemArgvFind(command->argv, GMEM_CARRIER_NAME, &option) == 0)
        return;
    word = &command->argv[option.index + 1];
    at = strstr(*word, shared);
    if (at != NULL)
        gmemReplace(word, g_strdup_printf("%.*s,start=private,%s", (int)(at - *word), *word,
                                          at + strlen(shared)));
}
