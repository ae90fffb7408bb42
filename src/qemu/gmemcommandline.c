/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcommandline.c: what matters to guest memory on QEMU's command line.
 *
 * argv is read once, option by option, and what matters is recorded; an option that could change
 * memory backends in a way that cannot be followed is refused. libvirt's own arguments can be
 * followed by the user's, which override them. So options are merged as in QEMU: all -machine
 * options are one, in which the last value of a key counts.
 *
 * Runs in the child between fork and exec: it uses malloc, but nothing that takes a lock, which
 * excludes GLib's containers. */

#include "gmemcommandline.h"

#include <string.h>

#include "gmemerror.h"
#include "gmemfirmware.h"
#include "gmemi18n.h"
#include "gmemplatform.h"
#include "gmemqemunames.h"

/* These set up RAM or the accelerator in ways that the checks would not see. */
static const char *const gmemCommandLineRefused[] = {
    "mem-path",   "mem-prealloc", "readconfig", "preconfig",  "no-kvm",
    "enable-hax", "xen-domid",    "xen-attach", "xen-create", NULL,
};

/* Groups of -set whose options are not checked here, or for which the change by -set is checked. */
static const char *const gmemCommandLineSetGroups[] = {
    "chardev", "device", "drive",  "fsdev", "mon",    "net", "netdev", "nic",
    "rtc",     "spice",  "tpmdev", "trace", "virtfs", "vnc", NULL,
};

/* Properties of devices that name a memory backend. */
static const char *const gmemCommandLineMemoryKeys[] = {
    "memdev", "volatile-memdev", "persistent-memdev", "lsa", "pmrdev", NULL,
};

/* The name that libvirt gives to the image of UEFI firmware, and the prefix of the names of all its
 * images. */
#define GMEM_FIRMWARE_NODE "libvirt-pflash0-storage"
#define GMEM_LIBVIRT_NODE "libvirt-"

/* The maximum number of memory backends, and of their users, that QEMU could have: 128 NUMA nodes,
 * 256 memory slots, and PCI devices. Comparing each with each remains cheap. */
#define GMEM_COMMAND_BACKENDS_MAX 1024

/* The limit in QEMU for group, id and key of -set, and for driver and property of -global. */
#define GMEM_COMMAND_PART_MAX 63

/* Launch objects whose RAM is guest_memfd, and the type of <launchSecurity> that has each. */
static const struct {
    const char *object;
    const char *type;
} gmemCommandLineLaunches[] = {
    {.object = GMEM_QEMU_SW_PROTECTED_VM, .type = GMEM_MODE_LAUNCH_TYPE},
    {.object = "sev-snp-guest", .type = "sev-snp"},
    {.object = "tdx-guest", .type = "tdx"},
};

const char *
gmemCommandLineLaunchType(const char *object)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(gmemCommandLineLaunches); i++) {
        if (strcmp(gmemCommandLineLaunches[i].object, object) == 0)
            return gmemCommandLineLaunches[i].type;
    }
    return NULL;
}

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
gmemCommandLineRefuseOption(const gmemArgvOption *option, GError **error)
{
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("QEMU's option '-%1$s%2$s%3$s' could change what the RAM of a domain "
                          "with private memory is made of"),
                        option->name, option->value != NULL ? " " : "",
                        option->value != NULL ? option->value : "");
}

static int
gmemCommandLineReadCarrier(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    if (line->npairs > 0)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            _("QEMU's option '%1$s' is given more than once"), GMEM_CARRIER_OPTION);
    if (option->value == NULL)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR, _("QEMU's option '%1$s' has no value"),
                            GMEM_CARRIER_OPTION);
    line->npairs++;
    line->pair = option->index;
    line->carrier = option->value;
    return 0;
}

/* Takes ownership of @id and @user. */
static void
gmemCommandLineAddReference(gmemCommandLine *line, char *id, char *user, gmemUse use)
{
    gmemReference *reference;

    if ((line->nreferences & (line->nreferences - 1)) == 0)
        line->references = g_renew(gmemReference, line->references, MAX(1, 2 * line->nreferences));
    reference = &line->references[line->nreferences++];
    reference->id = id;
    reference->user = user;
    reference->use = use;
}

static int
gmemCommandLineRefuseAccel(const char *accel, GError **error)
{
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("guest_memfd requires KVM, and QEMU would use the accelerator '%1$s'"),
                        accel);
}

/* The user's -machine comes after libvirt's, and replaces what that has set. */
static void
gmemCommandLineReadMemoryBackend(gmemCommandLine *line, char *id)
{
    g_free(line->replaced);
    line->replaced = line->memoryBackend;
    line->memoryBackend = id;
}

/* The member of the line for each key of the machine. */
static char **
gmemCommandLineMachineMember(gmemCommandLine *line, const char *key)
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

/* Keys can be written with '_' or '-' (QEMU 6.2 and later convert one to the other; before, these
 * keys had one spelling each). */
static int
gmemCommandLineReadMachine(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    g_auto(gmemProps) props = {0};
    char *name, *text;

    if (gmemPropsInit(&props, option, GMEM_PROPS_KEYVAL, "type", error) < 0)
        return -1;
    if (line->machine == 0)
        line->machine = option->index + 1;
    while (gmemPropsKeyvalNext(&props.keyval, &name, &text) > 0) {
        g_autofree char *key = g_strdelimit(name, "_", '-');
        g_autofree char *value = text;
        char **member = gmemCommandLineMachineMember(line, key);

        if (member != NULL)
            gmemCommandLineReplace(member, g_steal_pointer(&value));
        else if (strcmp(key, "memory-backend") == 0)
            gmemCommandLineReadMemoryBackend(line, g_steal_pointer(&value));
        else if (g_str_has_suffix(key, ".memdev"))
            gmemCommandLineAddReference(line, g_steal_pointer(&value),
                                        g_strdup_printf("-machine %s", key), GMEM_USE_OTHER);
        else if (strcmp(key, "accel") == 0 && strcmp(value, "kvm") != 0)
            return gmemCommandLineRefuseAccel(value, error);
        else if (strcmp(key, "accel") == 0)
            line->kvm = true;
    }
    return 0;
}

static int
gmemCommandLineReadAccel(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    g_auto(gmemProps) props = {0};
    g_autofree char *accel = NULL;

    if (gmemPropsInit(&props, option, GMEM_PROPS_OPTS, "accel", error) < 0)
        return -1;
    accel = gmemPropsGet(&props, "accel");
    if (g_strcmp0(accel, "kvm") != 0)
        return gmemCommandLineRefuseAccel(accel != NULL ? accel : option->value, error);
    line->kvm = true;
    gmemCommandLineReplace(&line->accelIrqchip, gmemPropsGet(&props, "kernel-irqchip"));
    return 0;
}

static int
gmemCommandLineReadNUMA(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
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
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("QEMU's option '-numa %1$s' gives a cell memory without a memory backend"),
            option->value);
    memdev = gmemPropsGet(&props, "memdev");
    if (memdev != NULL)
        gmemCommandLineAddReference(line, memdev, g_strdup_printf("-numa %s", option->value),
                                    GMEM_USE_RAM);
    return 0;
}

/* Devices, objects and network back ends for which another process or hardware maps guest memory.
 */
static void
gmemCommandLineReadShared(gmemCommandLine *line, const char *option, const char *driver)
{
    if (line->sharedOnly == NULL && driver != NULL &&
        (g_str_has_prefix(driver, "vhost-user") || g_str_has_prefix(driver, "vhost-vdpa") ||
         g_str_has_prefix(driver, "cryptodev-vhost")))
        line->sharedOnly = g_strdup_printf("-%s %s", option, driver);
}

static int
gmemCommandLineReadNetdev(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    bool json = strcmp(option->name, "netdev") == 0;
    g_auto(gmemProps) props = {0};
    g_autofree char *type = NULL;

    if (gmemPropsInit(&props, option, json ? GMEM_PROPS_OPTS_OR_JSON : GMEM_PROPS_OPTS, "type",
                      error) < 0)
        return -1;
    type = gmemPropsGet(&props, "type");
    gmemCommandLineReadShared(line, option->name, type);
    return 0;
}

/* Whether @value, of a key that describes a disk, makes QEMU drive an NVMe controller or a virtio
 * device by VFIO: a driver, or the name of an image. */
static bool
gmemCommandLineDiskIsVFIO(const char *value)
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
        g_autofree char *disk = gmemPropsFind(&props, keys[i], gmemCommandLineDiskIsVFIO);

        found = disk != NULL;
    }
    return found;
}

static void
gmemCommandLineReadDisk(gmemCommandLine *line, const char *option, const char *disk)
{
    if (line->vfio == NULL && disk != NULL && gmemCommandLineDiskIsVFIO(disk))
        line->vfio = g_strdup_printf("-%s %s", option, disk);
}

/* Firmware in flash memory: libvirt's, or the user's -drive if=pflash, or an image that -machine
 * pflash0 can name. An image of firmware that requires SMM does not have any other use. */
static void
gmemCommandLineReadFlash(gmemCommandLine *line, const gmemProps *props, bool drive)
{
    static const char *const keys[] = {"file", "filename", NULL};
    g_autofree char *name = gmemPropsGet(props, drive ? "if" : "node-name");
    size_t i;

    if (drive ? g_strcmp0(name, "pflash") != 0
              : name != NULL && g_str_has_prefix(name, GMEM_LIBVIRT_NODE) &&
                    strcmp(name, GMEM_FIRMWARE_NODE) != 0)
        return;
    for (i = 0; keys[i] != NULL; i++)
        gmemCommandLineReplace(&line->firmware,
                               gmemPropsFind(props, keys[i], gmemFirmwareRequiresSMM));
}

static int
gmemCommandLineReadBlockdev(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    static const char *const keys[] = {"driver", "format", "file", "filename", NULL};
    bool drive = strcmp(option->name, "drive") == 0;
    g_auto(gmemProps) props = {0};
    size_t i;

    if (gmemPropsInit(&props, option, drive ? GMEM_PROPS_OPTS : GMEM_PROPS_KEYVAL_OR_JSON,
                      drive ? "file" : "driver", error) < 0)
        return -1;
    for (i = 0; keys[i] != NULL; i++) {
        g_autofree char *disk = gmemPropsFind(&props, keys[i], gmemCommandLineDiskIsVFIO);

        gmemCommandLineReadDisk(line, option->name, disk);
    }
    gmemCommandLineReadFlash(line, &props, drive);
    return 0;
}

/* -bios, and -pflash; the second -pflash has variables. */
static int
gmemCommandLineReadFirmware(gmemCommandLine *line,
                            const gmemArgvOption *option,
                            GError **error G_GNUC_UNUSED)
{
    if (option->value != NULL && gmemFirmwareRequiresSMM(option->value))
        gmemCommandLineReplace(&line->firmware, g_strdup(option->value));
    gmemCommandLineReadDisk(line, option->name, option->value);
    return 0;
}

gmemUse
gmemCommandLineDeviceUse(const char *driver, const char *key)
{
    if (strcmp(key, "memdev") != 0)
        return GMEM_USE_OTHER;
    if (strcmp(driver, "pc-dimm") == 0)
        return GMEM_USE_RAM;
    if (strcmp(driver, "nvdimm") == 0 || g_str_has_prefix(driver, "virtio-pmem"))
        return GMEM_USE_FILE;
    return strcmp(driver, "ivshmem-plain") == 0 ? GMEM_USE_DEVICE : GMEM_USE_OTHER;
}

/* See gmemDomainParseMemfdUsers() in gmemdomain.c. @device: a driver, or the id of -set. */
static void
gmemCommandLineReadMemfdUser(gmemCommandLine *line,
                             const char *device,
                             const char *key,
                             const char *value)
{
    if (line->memfdUser == NULL && value != NULL &&
        (strcmp(key, "iommufd") == 0 || (strcmp(key, "blob") == 0 && gmemPropsIsTrue(value))))
        line->memfdUser = g_strdup_printf("%s,%s=%s", device, key, value);
}

static int
gmemCommandLineReadDevice(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    g_auto(gmemProps) props = {0};
    g_autofree char *driver = NULL;
    g_autofree char *id = NULL;
    g_autofree char *iommufd = NULL;
    g_autofree char *blob = NULL;
    bool memory = false;
    size_t i;

    if (gmemPropsInit(&props, option, GMEM_PROPS_OPTS_OR_JSON, "driver", error) < 0)
        return -1;
    driver = gmemPropsGet(&props, "driver");
    id = gmemPropsGet(&props, "id");
    if (driver == NULL)
        return 0;
    gmemCommandLineReadShared(line, option->name, driver);
    iommufd = gmemPropsGet(&props, "iommufd");
    blob = gmemPropsGet(&props, "blob");
    gmemCommandLineReadMemfdUser(line, driver, "iommufd", iommufd);
    gmemCommandLineReadMemfdUser(line, driver, "blob", blob);
    if (line->vfio == NULL && g_str_has_prefix(driver, "vfio-"))
        line->vfio = g_strdup(driver);
    if (g_str_has_prefix(driver, "virtio-mem"))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("memory device '%1$s' is of type %2$s, which cannot be private"),
                            id != NULL ? id : "", driver);
    for (i = 0; gmemCommandLineMemoryKeys[i] != NULL; i++) {
        const char *key = gmemCommandLineMemoryKeys[i];
        char *memdev = gmemPropsGet(&props, key);

        if (memdev == NULL)
            continue;
        memory = true;
        gmemCommandLineAddReference(line, memdev,
                                    g_strdup_printf("%s '%s'", driver, id != NULL ? id : ""),
                                    gmemCommandLineDeviceUse(driver, key));
    }
    if (!memory && gmemCommandLineDeviceUse(driver, "memdev") != GMEM_USE_OTHER)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("memory device '%1$s' of type %2$s has no memory backend"),
                            id != NULL ? id : "", driver);
    return 0;
}

/* Takes ownership of everything except @error. */
static char *
gmemCommandLineBackendName(const char *id)
{
    static const char cell[] = "ram-node";

    if (strcmp(id, GMEM_PLATFORM_RAM_ID) == 0)
        return g_strdup_printf("'%s' (<memory>)", id);
    if (g_str_has_prefix(id, cell))
        return g_strdup_printf("'%s' (<cell id='%s'>)", id, id + strlen(cell));
    if (g_str_has_prefix(id, "memdimm"))
        return g_strdup_printf("'%s' (<memory model='dimm'>)", id);
    return g_strdup_printf("'%s'", id);
}

static int
gmemCommandLineAddBackend(gmemCommandLine *line, gmemBackend *backend, GError **error)
{
    /* Room is doubled whenever it is used up, that is, at powers of two. */
    if ((line->nbackends & (line->nbackends - 1)) == 0)
        line->backends = g_renew(gmemBackend, line->backends, MAX(1, 2 * line->nbackends));
    line->backends[line->nbackends++] = *backend;
    if (backend->id == NULL || backend->id[0] == '\0')
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("a memory backend of type %1$s has no id"), backend->type);
    if (!gmemPropsIsId(backend->id))
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("the id '%1$s' of a memory backend is not a valid identifier for QEMU"), backend->id);
    line->backends[line->nbackends - 1].name = gmemCommandLineBackendName(backend->id);
    if (line->nbackends > GMEM_COMMAND_BACKENDS_MAX)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("QEMU's command line has more than %1$d memory backends"),
                            GMEM_COMMAND_BACKENDS_MAX);
    return 0;
}

static int
gmemCommandLineReadObject(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    g_auto(gmemProps) props = {0};
    g_autofree char *type = NULL;
    g_autofree char *id = NULL;
    gmemBackend backend = {0};

    if (gmemPropsInit(&props, option, GMEM_PROPS_OPTS_OR_JSON, "qom-type", error) < 0)
        return -1;
    type = gmemPropsGet(&props, "qom-type");
    id = gmemPropsGet(&props, "id");
    gmemCommandLineReadShared(line, option->name, type);
    if (g_strcmp0(id, GMEM_LAUNCH_OBJECT) == 0)
        line->launchObject = true;
    /* RAM of the hardware's VM types is guest_memfd anyway: <private/> has no effect with them. */
    if (type != NULL && gmemCommandLineLaunchType(type) != NULL &&
        strcmp(type, GMEM_QEMU_SW_PROTECTED_VM) != 0)
        gmemCommandLineReplace(&line->hardwareObject, g_strdup(id));
    if (type == NULL || !g_str_has_prefix(type, GMEM_QEMU_MEMORY_BACKEND))
        return 0;
    backend.id = g_steal_pointer(&id);
    backend.type = g_steal_pointer(&type);
    backend.index = option->index + 1;
    backend.props = props;
    props.json = NULL;
    return gmemCommandLineAddBackend(line, &backend, error);
}

/* The part of *@text before @end, to be freed with g_free(); *@text is moved past it. NULL if one
 * of @ends comes first, or if the part is too short or too long for QEMU. */
static char *
gmemCommandLineTakePart(const char **text, char end, const char *ends)
{
    size_t length = strcspn(*text, ends);
    char *part;

    if (length == 0 || length > GMEM_COMMAND_PART_MAX || (*text)[length] != end)
        return NULL;
    part = g_strndup(*text, length);
    *text += length + 1;
    return part;
}

/* -set group.id.key=value: another key for an earlier option, in key=value notation. */
static int
gmemCommandLineReadSet(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    static const char *const judged[] = {"driver", "id", NULL};
    const char *value = option->value != NULL ? option->value : "";
    g_autofree char *group = gmemCommandLineTakePart(&value, '.', ".");
    g_autofree char *id = group != NULL ? gmemCommandLineTakePart(&value, '.', ".") : NULL;
    g_autofree char *key = id != NULL ? gmemCommandLineTakePart(&value, '=', "=") : NULL;

    if (key == NULL || !g_strv_contains(gmemCommandLineSetGroups, group))
        return gmemCommandLineRefuseOption(option, error);
    if (strcmp(group, "device") == 0 &&
        (g_strv_contains(judged, key) || g_strv_contains(gmemCommandLineMemoryKeys, key)))
        return gmemCommandLineRefuseOption(option, error);
    if ((g_str_has_prefix(group, "net") || strcmp(group, "nic") == 0) && strcmp(key, "type") == 0)
        return gmemCommandLineRefuseOption(option, error);
    if (strcmp(group, "device") == 0)
        gmemCommandLineReadMemfdUser(line, id, key, value);
    if (strcmp(group, "drive") == 0)
        gmemCommandLineReadDisk(line, option->name, value);
    return 0;
}

/* A number other than zero, as QEMU reads numbers. */
static bool
gmemCommandLineIsNonZero(const char *value)
{
    char *end = NULL;

    return g_ascii_isdigit(value[0]) && g_ascii_strtoull(value, &end, 0) > 0 && *end == '\0';
}

/* -global driver.property=value or driver=,property=,value=. libvirt converts <pm><suspend-to-mem
 * enabled='…'/> to DRIVER.disable_s3=0 or 1. */
static int
gmemCommandLineReadGlobal(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    const char *text = option->value != NULL ? option->value : "";
    g_autofree char *driver = gmemCommandLineTakePart(&text, '.', ".=");
    g_autofree char *property = driver != NULL ? gmemCommandLineTakePart(&text, '=', "=") : NULL;
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
        return gmemCommandLineRefuseOption(option, error);
    g_strdelimit(property, "_", '-');
    if (g_str_has_prefix(driver, "memory-backend") || strcmp(property, "kernel-irqchip") == 0 ||
        g_strv_contains(gmemCommandLineMemoryKeys, property))
        return gmemCommandLineRefuseOption(option, error);
    gmemCommandLineReadMemfdUser(line, driver, property, value);
    if (strcmp(property, "disable-s3") == 0 && !gmemCommandLineIsNonZero(value))
        gmemCommandLineReplace(&line->suspend, g_strdup(option->value));
    return 0;
}

/* -overcommit, and -realtime, its predecessor, where locking is the default. */
static int
gmemCommandLineReadLock(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
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
gmemCommandLineReadKVM(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    (void)option;
    (void)error;
    line->kvm = true;
    return 0;
}

static int
gmemCommandLineReadImage(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    (void)error;
    gmemCommandLineReadDisk(line, option->name, option->value);
    return 0;
}

static int
gmemCommandLineReadRestored(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    (void)error;
    gmemCommandLineReplace(
        &line->restored,
        g_strdup_printf("-%s %s", option->name, option->value != NULL ? option->value : ""));
    return 0;
}

static int
gmemCommandLineReadOption(gmemCommandLine *line, const gmemArgvOption *option, GError **error)
{
    static const struct {
        const char *name;
        int (*read)(gmemCommandLine *line, const gmemArgvOption *option, GError **error);
    } readers[] = {
        {.name = GMEM_SHIM_OPTION, .read = gmemCommandLineReadCarrier},
        {.name = "M", .read = gmemCommandLineReadMachine},
        {.name = "accel", .read = gmemCommandLineReadAccel},
        {.name = "bios", .read = gmemCommandLineReadFirmware},
        {.name = "blockdev", .read = gmemCommandLineReadBlockdev},
        {.name = "cdrom", .read = gmemCommandLineReadImage},
        {.name = "device", .read = gmemCommandLineReadDevice},
        {.name = "drive", .read = gmemCommandLineReadBlockdev},
        {.name = "enable-kvm", .read = gmemCommandLineReadKVM},
        {.name = "fda", .read = gmemCommandLineReadImage},
        {.name = "fdb", .read = gmemCommandLineReadImage},
        {.name = "global", .read = gmemCommandLineReadGlobal},
        {.name = "hda", .read = gmemCommandLineReadImage},
        {.name = "hdb", .read = gmemCommandLineReadImage},
        {.name = "hdc", .read = gmemCommandLineReadImage},
        {.name = "hdd", .read = gmemCommandLineReadImage},
        {.name = "incoming", .read = gmemCommandLineReadRestored},
        {.name = "loadvm", .read = gmemCommandLineReadRestored},
        {.name = "machine", .read = gmemCommandLineReadMachine},
        {.name = "net", .read = gmemCommandLineReadNetdev},
        {.name = "netdev", .read = gmemCommandLineReadNetdev},
        {.name = "nic", .read = gmemCommandLineReadNetdev},
        {.name = "numa", .read = gmemCommandLineReadNUMA},
        {.name = "object", .read = gmemCommandLineReadObject},
        {.name = "overcommit", .read = gmemCommandLineReadLock},
        {.name = "pflash", .read = gmemCommandLineReadFirmware},
        {.name = "realtime", .read = gmemCommandLineReadLock},
        {.name = "set", .read = gmemCommandLineReadSet},
    };
    size_t i;

    if (option->name == NULL) {
        gmemCommandLineReadDisk(line, "drive", line->argv[option->index]);
        return 0;
    }
    if (gmemArgvIsAmbiguous(option))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("libvirt-gmem does not know QEMU's option '-%1$s', and cannot "
                              "determine whether '%2$s' is its value or another option"),
                            option->name, option->value);
    for (i = 0; i < G_N_ELEMENTS(readers); i++) {
        if (option->name[0] == readers[i].name[0] && strcmp(option->name, readers[i].name) == 0)
            return readers[i].read(line, option, error);
    }
    return g_strv_contains(gmemCommandLineRefused, option->name)
               ? gmemCommandLineRefuseOption(option, error)
               : 0;
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
        if (gmemCommandLineReadOption(line, &option, error) < 0)
            return -1;
    }
    if (line->npairs == 0)
        return gmemErrorSet(error, VIR_ERR_XML_ERROR,
                            _("QEMU's command line does not have the option '%1$s'"),
                            GMEM_CARRIER_OPTION);
    if (line->memoryBackend != NULL)
        gmemCommandLineAddReference(line, g_strdup(line->memoryBackend),
                                    g_strdup("-machine memory-backend"), GMEM_USE_RAM);
    if (line->nreferences > GMEM_COMMAND_BACKENDS_MAX)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("QEMU's command line uses more than %1$d memory backends"),
                            GMEM_COMMAND_BACKENDS_MAX);
    return 0;
}
