/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcommandline.c: what on QEMU's command line matters to guest memory.
 *
 * argv is walked once, option by option, and what matters is noted down; an option that could
 * change memory backends in a way this cannot follow is refused. libvirt's own arguments can be
 * followed by the user's, which override them. So options merge as in QEMU: all -machine options
 * make one, in which the last value of a key counts.
 *
 * Runs in the child between fork and exec: malloc, but nothing that takes a lock, which rules out
 * GLib's containers. */

#include "gmemcommandline.h"

#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"

/* They set up RAM or the accelerator in ways that the checks would not see. */
static const char *const gmemCommandRefused[] = {
    "mem-path",   "mem-prealloc", "readconfig", "preconfig",  "no-kvm",
    "enable-hax", "xen-domid",    "xen-attach", "xen-create", NULL,
};

/* Launch objects whose RAM is guest_memfd anyway; <private/> changes nothing there. */
static const char *const gmemCommandHardwareObjects[] = {"sev-snp-guest", "tdx-guest", NULL};

void
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
    g_free(line->dumpGuestCore);
    g_free(line->suspend);
    g_free(line->vfio);
    g_free(line->sharedOnly);
}

void
gmemCommandLineReplace(char **member, char *value)
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
    g_auto(gmemProps) props = {0};
    char *name, *value;

    if (gmemPropsInit(&props, option, GMEM_PROPS_KEYVAL, "type", error) < 0)
        return -1;
    if (line->machine == 0)
        line->machine = option->index + 1;
    while (gmemKeyvalNext(&props.keyval, &name, &value) > 0) {
        g_autofree char *key = g_strdelimit(name, "_", '-');

        if (strcmp(key, "type") == 0) {
            gmemCommandLineReplace(&line->machineType, g_steal_pointer(&value));
        } else if (strcmp(key, "memory-backend") == 0) {
            gmemCommandLineReplace(&line->memoryBackend, g_steal_pointer(&value));
        } else if (strcmp(key, "confidential-guest-support") == 0 ||
                   strcmp(key, "memory-encryption") == 0) {
            gmemCommandLineReplace(&line->guestSupport, g_steal_pointer(&value));
        } else if (strcmp(key, "kernel-irqchip") == 0) {
            gmemCommandLineReplace(&line->irqchip, g_steal_pointer(&value));
        } else if (strcmp(key, "smm") == 0) {
            gmemCommandLineReplace(&line->smm, g_steal_pointer(&value));
        } else if (strcmp(key, "dump-guest-core") == 0) {
            gmemCommandLineReplace(&line->dumpGuestCore, g_steal_pointer(&value));
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

    if (gmemPropsInit(&props, option, GMEM_PROPS_OPTS, "accel", error) < 0)
        return -1;
    accel = gmemPropsGet(&props, "accel");
    if (g_strcmp0(accel, "kvm") != 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("guest_memfd is KVM's, and QEMU would use the accelerator '%s'"),
                            accel != NULL ? accel : option->value);
    line->kvm = true;
    gmemCommandLineReplace(&line->accelIrqchip, gmemPropsGet(&props, "kernel-irqchip"));
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

    if (gmemPropsInit(&props, option, GMEM_PROPS_OPTS, "type", error) < 0)
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

    if (gmemPropsInit(&props, option, GMEM_PROPS_OPTS_OR_JSON, "type", error) < 0)
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

    if (gmemPropsInit(&props, option, GMEM_PROPS_OPTS_OR_JSON, "driver", error) < 0)
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

    if (gmemPropsInit(&props, option, GMEM_PROPS_OPTS_OR_JSON, "qom-type", error) < 0)
        return -1;
    type = gmemPropsGet(&props, "qom-type");
    id = gmemPropsGet(&props, "id");
    if (g_strcmp0(id, GMEM_LAUNCH_OBJECT) == 0)
        line->launchObject = true;
    if (type != NULL && g_strv_contains(gmemCommandHardwareObjects, type))
        gmemCommandLineReplace(&line->hardwareObject, g_strdup(id));
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
        gmemCommandLineReplace(&line->suspend, g_strdup(option->value));
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
    if (g_strv_contains(gmemCommandRefused, name) ||
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

int
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
