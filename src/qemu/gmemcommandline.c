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

/* Groups of -set of whose options nothing is judged here, or what -set changes is looked at. */
static const char *const gmemCommandSetGroups[] = {
    "chardev", "device", "drive",  "fsdev", "mon",    "net", "netdev", "nic",
    "rtc",     "spice",  "tpmdev", "trace", "virtfs", "vnc", NULL,
};

/* Properties of devices that name a memory backend. */
static const char *const gmemCommandMemoryKeys[] = {
    "memdev", "volatile-memdev", "persistent-memdev", "lsa", "pmrdev", NULL,
};

/* What libvirt calls the image of UEFI firmware. */
#define GMEM_FIRMWARE_NODE "libvirt-pflash0-storage"

/* As many backends, and as many that refer to them, as QEMU could have: 128 NUMA nodes, 256 memory
 * slots, and PCI devices. What compares each with each stays cheap. */
#define GMEM_COMMAND_BACKENDS_MAX 1024

/* Of group, id and key of -set, and driver and property of -global: QEMU's limit. */
#define GMEM_COMMAND_PART_MAX 63

/* Launch objects whose RAM is guest_memfd anyway; <private/> changes nothing there. */
static const char *const gmemCommandHardwareObjects[] = {"sev-snp-guest", "tdx-guest", NULL};

void
gmemCommandLineClear(gmemCommandLine *line)
{
    size_t i;

    for (i = 0; i < line->nbackends; i++) {
        g_free(line->backends[i].id);
        g_free(line->backends[i].name);
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
    g_free(line->replaced);
    g_free(line->guestSupport);
    g_free(line->hardwareObject);
    g_free(line->irqchip);
    g_free(line->accelIrqchip);
    g_free(line->smm);
    g_free(line->firmware);
    g_free(line->dumpGuestCore);
    g_free(line->suspend);
    g_free(line->memfdUser);
    g_free(line->vfio);
    g_free(line->restored);
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
gmemRefuseOption(const gmemArgvOption *option, GError **error)
{
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("QEMU's option '-%s%s%s' could change what the RAM of a domain with "
                          "private memory is made of"),
                        option->name, option->value != NULL ? " " : "",
                        option->value != NULL ? option->value : "");
}

static int
gmemReadCarrier(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    if (line->npairs > 0)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            _("QEMU's option '%s' is given more than once"), GMEM_CARRIER_OPTION);
    if (option->value == NULL)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("QEMU's option '%s' has no value"),
                            GMEM_CARRIER_OPTION);
    line->npairs++;
    line->pair = option->index;
    line->carrier = option->value;
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
gmemRefuseAccel(const char *accel, GError **error)
{
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("guest_memfd is KVM's, and QEMU would use the accelerator '%s'"), accel);
}

/* The user's -machine comes after libvirt's, and replaces what that has said. */
static void
gmemReadMemoryBackend(gmemCommandLine *line, char *id)
{
    g_free(line->replaced);
    line->replaced = line->memoryBackend;
    line->memoryBackend = id;
}

/* Where each member of the line is that is what the machine's key says. */
static char **
gmemMachineMember(gmemCommandLine *line, const char *key)
{
    if (strcmp(key, "type") == 0)
        return &line->machineType;
    if (strcmp(key, "confidential-guest-support") == 0 || strcmp(key, "memory-encryption") == 0)
        return &line->guestSupport;
    if (strcmp(key, "kernel-irqchip") == 0)
        return &line->irqchip;
    if (strcmp(key, "smm") == 0)
        return &line->smm;
    return strcmp(key, "dump-guest-core") == 0 ? &line->dumpGuestCore : NULL;
}

/* Keys may be written with '_' or '-' for the same thing (QEMU 6.2 and later turn one into the
 * other; before, these keys had one spelling each). */
static int
gmemReadMachine(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    g_auto(gmemProps) props = {0};
    char *name, *text;

    if (gmemPropsInit(&props, option, GMEM_PROPS_KEYVAL, "type", error) < 0)
        return -1;
    if (line->machine == 0)
        line->machine = option->index + 1;
    while (gmemKeyvalNext(&props.keyval, &name, &text) > 0) {
        g_autofree char *key = g_strdelimit(name, "_", '-');
        g_autofree char *value = text;
        char **member = gmemMachineMember(line, key);

        if (member != NULL)
            gmemCommandLineReplace(member, g_steal_pointer(&value));
        else if (strcmp(key, "memory-backend") == 0)
            gmemReadMemoryBackend(line, g_steal_pointer(&value));
        else if (g_str_has_suffix(key, ".memdev"))
            gmemAddReference(line, g_steal_pointer(&value), g_strdup_printf("-machine %s", key),
                             GMEM_USE_OTHER);
        else if (strcmp(key, "accel") == 0 && strcmp(value, "kvm") != 0)
            return gmemRefuseAccel(value, error);
        else if (strcmp(key, "accel") == 0)
            line->kvm = true;
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
        return gmemRefuseAccel(accel != NULL ? accel : option->value, error);
    line->kvm = true;
    gmemCommandLineReplace(&line->accelIrqchip, gmemPropsGet(&props, "kernel-irqchip"));
    return 0;
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

/* Devices, objects and network backends whose other half maps guest memory. */
static void
gmemReadShared(gmemCommandLine *line, const char *option, const char *driver)
{
    if (line->sharedOnly == NULL && driver != NULL &&
        (g_str_has_prefix(driver, "vhost-user") || g_str_has_prefix(driver, "vhost-vdpa") ||
         g_str_has_prefix(driver, "cryptodev-vhost")))
        line->sharedOnly = g_strdup_printf("-%s %s", option, driver);
}

static int
gmemReadNetdev(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    bool json = strcmp(option->name, "netdev") == 0;
    g_auto(gmemProps) props = {0};
    g_autofree char *type = NULL;

    if (gmemPropsInit(&props, option, json ? GMEM_PROPS_OPTS_OR_JSON : GMEM_PROPS_OPTS, "type",
                      error) < 0)
        return -1;
    type = gmemPropsGet(&props, "type");
    gmemReadShared(line, option->name, type);
    return 0;
}

/* Whether @value, of a key that says what a disk is, has QEMU drive an NVMe controller or a virtio
 * device by VFIO: a driver, or the name of an image. */
static bool
gmemDiskIsVFIO(const char *value)
{
    static const char *const drivers[] = {"nvme", "virtio-blk-vfio-pci", NULL};
    static const char *const keys[] = {"driver", "filename", NULL};
    g_auto(gmemProps) props = {0};
    bool found = false;
    size_t i;

    if (g_strv_contains(drivers, value) || g_str_has_prefix(value, "nvme:"))
        return true;
    if (!g_str_has_prefix(value, "json:"))
        return false;
    props.json = gmemJSONParseQEMU(value + strlen("json:"));
    for (i = 0; props.json != NULL && !found && keys[i] != NULL; i++) {
        g_autofree char *disk = gmemPropsFind(&props, keys[i], gmemDiskIsVFIO);

        found = disk != NULL;
    }
    return found;
}

static void
gmemReadDisk(gmemCommandLine *line, const char *option, const char *disk)
{
    if (line->vfio == NULL && disk != NULL && gmemDiskIsVFIO(disk))
        line->vfio = g_strdup_printf("-%s %s", option, disk);
}

static int
gmemReadBlockdev(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    static const char *const keys[] = {"driver", "format", "file", "filename", NULL};
    bool drive = strcmp(option->name, "drive") == 0;
    g_auto(gmemProps) props = {0};
    g_autofree char *node = NULL;
    size_t i;

    if (gmemPropsInit(&props, option, drive ? GMEM_PROPS_OPTS : GMEM_PROPS_KEYVAL_OR_JSON,
                      drive ? "file" : "driver", error) < 0)
        return -1;
    for (i = 0; keys[i] != NULL; i++) {
        g_autofree char *disk = gmemPropsFind(&props, keys[i], gmemDiskIsVFIO);

        gmemReadDisk(line, option->name, disk);
    }
    node = gmemPropsGet(&props, "node-name");
    if (g_strcmp0(node, GMEM_FIRMWARE_NODE) == 0)
        gmemCommandLineReplace(&line->firmware, gmemPropsGet(&props, "filename"));
    return 0;
}

static int
gmemReadBIOS(gmemCommandLine *line, const gmemArgvOption *option, GError **error G_GNUC_UNUSED)
{
    gmemCommandLineReplace(&line->firmware, g_strdup(option->value));
    return 0;
}

static gmemUse
gmemDeviceUse(const char *driver, const char *key)
{
    if (strcmp(key, "memdev") != 0)
        return GMEM_USE_OTHER;
    if (strcmp(driver, "pc-dimm") == 0)
        return GMEM_USE_RAM;
    if (strcmp(driver, "nvdimm") == 0 || g_str_has_prefix(driver, "virtio-pmem"))
        return GMEM_USE_FILE;
    return strcmp(driver, "ivshmem-plain") == 0 ? GMEM_USE_DEVICE : GMEM_USE_OTHER;
}

/* See gmemDomainParseMemfdUsers() in gmemdomain.c. */
static void
gmemReadMemfdUser(gmemCommandLine *line, const gmemProps *props, const char *driver)
{
    g_autofree char *iommufd = gmemPropsGet(props, "iommufd");

    if (line->memfdUser != NULL)
        return;
    if (iommufd != NULL)
        line->memfdUser = g_strdup_printf("%s,iommufd=%s", driver, iommufd);
    else if (gmemPropsGetBool(props, "blob") == 1)
        line->memfdUser = g_strdup_printf("%s,blob=on", driver);
}

static int
gmemReadDevice(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    g_auto(gmemProps) props = {0};
    g_autofree char *driver = NULL;
    g_autofree char *id = NULL;
    bool memory = false;
    size_t i;

    if (gmemPropsInit(&props, option, GMEM_PROPS_OPTS_OR_JSON, "driver", error) < 0)
        return -1;
    driver = gmemPropsGet(&props, "driver");
    id = gmemPropsGet(&props, "id");
    if (driver == NULL)
        return 0;
    gmemReadShared(line, option->name, driver);
    gmemReadMemfdUser(line, &props, driver);
    if (line->vfio == NULL && g_str_has_prefix(driver, "vfio-"))
        line->vfio = g_strdup(driver);
    if (g_str_has_prefix(driver, "virtio-mem"))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("memory device '%s' is of type %s, which cannot be private"),
                            id != NULL ? id : "", driver);
    for (i = 0; gmemCommandMemoryKeys[i] != NULL; i++) {
        const char *key = gmemCommandMemoryKeys[i];
        char *memdev = gmemPropsGet(&props, key);

        if (memdev == NULL)
            continue;
        memory = true;
        gmemAddReference(line, memdev, g_strdup_printf("%s '%s'", driver, id != NULL ? id : ""),
                         gmemDeviceUse(driver, key));
    }
    if (!memory && gmemDeviceUse(driver, "memdev") != GMEM_USE_OTHER)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("memory device '%s' of type %s has no memory backend"),
                            id != NULL ? id : "", driver);
    return 0;
}

/* Takes all but @error over. */
static char *
gmemBackendName(const char *id)
{
    static const char cell[] = "ram-node";

    if (strcmp(id, "pc.ram") == 0)
        return g_strdup_printf("'%s' (<memory>)", id);
    if (g_str_has_prefix(id, cell))
        return g_strdup_printf("'%s' (<cell id='%s'>)", id, id + strlen(cell));
    if (g_str_has_prefix(id, "memdimm"))
        return g_strdup_printf("'%s' (<memory model='dimm'>)", id);
    return g_strdup_printf("'%s'", id);
}

static int
gmemAddBackend(gmemCommandLine *line, gmemBackend *backend, GError **error)
{
    line->backends = g_renew(gmemBackend, line->backends, line->nbackends + 1);
    line->backends[line->nbackends++] = *backend;
    if (backend->id == NULL || backend->id[0] == '\0')
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("a memory backend of type %s has no id"), backend->type);
    if (!gmemPropsIsId(backend->id))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("the id '%s' of a memory backend is not an identifier of QEMU's"),
                            backend->id);
    line->backends[line->nbackends - 1].name = gmemBackendName(backend->id);
    if (line->nbackends > GMEM_COMMAND_BACKENDS_MAX)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("QEMU's command line has more than %d memory backends"),
                            GMEM_COMMAND_BACKENDS_MAX);
    return 0;
}

static int
gmemReadObject(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    g_auto(gmemProps) props = {0};
    g_autofree char *type = NULL;
    g_autofree char *id = NULL;
    gmemBackend backend = {0};

    if (gmemPropsInit(&props, option, GMEM_PROPS_OPTS_OR_JSON, "qom-type", error) < 0)
        return -1;
    type = gmemPropsGet(&props, "qom-type");
    id = gmemPropsGet(&props, "id");
    gmemReadShared(line, option->name, type);
    if (g_strcmp0(id, GMEM_LAUNCH_OBJECT) == 0)
        line->launchObject = true;
    if (type != NULL && g_strv_contains(gmemCommandHardwareObjects, type))
        gmemCommandLineReplace(&line->hardwareObject, g_strdup(id));
    if (type == NULL || !g_str_has_prefix(type, "memory-backend-"))
        return 0;
    backend.id = g_steal_pointer(&id);
    backend.type = g_steal_pointer(&type);
    backend.index = option->index + 1;
    backend.props = props;
    props.json = NULL;
    return gmemAddBackend(line, &backend, error);
}

/* What is in *@text before @end, which *@text is moved behind; to be freed with g_free(). NULL: one
 * of @ends comes first, or it is too short or too long for QEMU. */
static char *
gmemTakePart(const char **text, char end, const char *ends)
{
    size_t length = strcspn(*text, ends);
    char *part;

    if (length == 0 || length > GMEM_COMMAND_PART_MAX || (*text)[length] != end)
        return NULL;
    part = g_strndup(*text, length);
    *text += length + 1;
    return part;
}

/* -set group.id.key=value: another key for an option that came before, in key=value notation. */
static int
gmemReadSet(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    static const char *const judged[] = {"driver", "id", NULL};
    const char *value = option->value != NULL ? option->value : "";
    g_autofree char *group = gmemTakePart(&value, '.', ".");
    g_autofree char *id = group != NULL ? gmemTakePart(&value, '.', ".") : NULL;
    g_autofree char *key = id != NULL ? gmemTakePart(&value, '=', "=") : NULL;

    if (key == NULL || !g_strv_contains(gmemCommandSetGroups, group))
        return gmemRefuseOption(option, error);
    if (strcmp(group, "device") == 0 &&
        (g_strv_contains(judged, key) || g_strv_contains(gmemCommandMemoryKeys, key)))
        return gmemRefuseOption(option, error);
    if ((g_str_has_prefix(group, "net") || strcmp(group, "nic") == 0) && strcmp(key, "type") == 0)
        return gmemRefuseOption(option, error);
    if (strcmp(group, "drive") == 0)
        gmemReadDisk(line, option->name, value);
    return 0;
}

/* A number other than zero, as QEMU reads one. */
static bool
gmemIsNonZero(const char *value)
{
    char *end = NULL;

    return g_ascii_isdigit(value[0]) && g_ascii_strtoull(value, &end, 0) > 0 && *end == '\0';
}

/* -global driver.property=value or driver=,property=,value=. libvirt writes what
 * <pm><suspend-to-mem enabled='…'/> says as DRIVER.disable_s3=0 or 1. */
static int
gmemReadGlobal(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    const char *text = option->value != NULL ? option->value : "";
    g_autofree char *driver = gmemTakePart(&text, '.', ".=");
    g_autofree char *property = driver != NULL ? gmemTakePart(&text, '=', "=") : NULL;
    g_autofree char *value = property != NULL ? g_strdup(text) : NULL;
    g_auto(gmemProps) props = {0};

    if (property == NULL) {
        if (gmemPropsInit(&props, option, GMEM_PROPS_OPTS, NULL, error) < 0)
            return -1;
        g_free(driver);
        driver = gmemPropsGet(&props, "driver");
        property = gmemPropsGet(&props, "property");
        value = gmemPropsGet(&props, "value");
    }
    if (driver == NULL || property == NULL || value == NULL)
        return gmemRefuseOption(option, error);
    g_strdelimit(property, "_", '-');
    if (g_str_has_prefix(driver, "memory-backend") || strcmp(property, "kernel-irqchip") == 0 ||
        g_strv_contains(gmemCommandMemoryKeys, property))
        return gmemRefuseOption(option, error);
    if (strcmp(property, "disable-s3") == 0 && !gmemIsNonZero(value))
        gmemCommandLineReplace(&line->suspend, g_strdup(option->value));
    return 0;
}

/* -overcommit, and -realtime, which QEMU had before it and where locking is what it does unless it
 * is told otherwise. */
static int
gmemReadLock(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    static const char *const words[] = {"off", "no", "false", "n", NULL};
    bool old = strcmp(option->name, "realtime") == 0;
    g_auto(gmemProps) props = {0};
    g_autofree char *value = NULL;

    if (gmemPropsInit(&props, option, GMEM_PROPS_OPTS, NULL, error) < 0)
        return -1;
    value = gmemPropsGet(&props, old ? "mlock" : "mem-lock");
    if (value != NULL)
        line->locked = !g_strv_contains(words, value);
    else if (old)
        line->locked = true;
    return 0;
}

static int
gmemReadKVM(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    (void)option;
    (void)error;
    line->kvm = true;
    return 0;
}

static int
gmemReadImage(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    (void)error;
    gmemReadDisk(line, option->name, option->value);
    return 0;
}

static int
gmemReadRestored(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    (void)error;
    gmemCommandLineReplace(
        &line->restored,
        g_strdup_printf("-%s %s", option->name, option->value != NULL ? option->value : ""));
    return 0;
}

static int
gmemReadOption(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    static const struct {
        const char *name;
        int (*read)(gmemCommandLine *line, const gmemArgvOption *option, GError **error);
    } readers[] = {
        {GMEM_SHIM_OPTION, gmemReadCarrier},
        {"M", gmemReadMachine},
        {"accel", gmemReadAccel},
        {"bios", gmemReadBIOS},
        {"blockdev", gmemReadBlockdev},
        {"cdrom", gmemReadImage},
        {"device", gmemReadDevice},
        {"drive", gmemReadBlockdev},
        {"enable-kvm", gmemReadKVM},
        {"fda", gmemReadImage},
        {"fdb", gmemReadImage},
        {"global", gmemReadGlobal},
        {"hda", gmemReadImage},
        {"hdb", gmemReadImage},
        {"hdc", gmemReadImage},
        {"hdd", gmemReadImage},
        {"incoming", gmemReadRestored},
        {"loadvm", gmemReadRestored},
        {"machine", gmemReadMachine},
        {"net", gmemReadNetdev},
        {"netdev", gmemReadNetdev},
        {"nic", gmemReadNetdev},
        {"numa", gmemReadNUMA},
        {"object", gmemReadObject},
        {"overcommit", gmemReadLock},
        {"pflash", gmemReadImage},
        {"realtime", gmemReadLock},
        {"set", gmemReadSet},
    };
    size_t i;

    if (option->name == NULL) {
        gmemReadDisk(line, "drive", line->argv[option->index]);
        return 0;
    }
    if (gmemArgvIsAmbiguous(option))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("QEMU's option '-%s' is not one that libvirt-gmem knows, so whether "
                              "'%s' is its value or another option is not known either"),
                            option->name, option->value);
    for (i = 0; i < G_N_ELEMENTS(readers); i++) {
        if (strcmp(option->name, readers[i].name) == 0)
            return readers[i].read(line, option, error);
    }
    return g_strv_contains(gmemCommandRefused, option->name) ? gmemRefuseOption(option, error) : 0;
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
    if (line->nreferences > GMEM_COMMAND_BACKENDS_MAX)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("QEMU's command line uses more than %d memory backends"),
                            GMEM_COMMAND_BACKENDS_MAX);
    return 0;
}
