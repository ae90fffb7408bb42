/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomainvalidate.c: what cannot be used with the two elements, as far as the XML alone decides.
 *
 * Each rule is one function, and a table says for which mode it is. Values that stock libvirt does
 * not know are left to libvirt's own error. */

#include "gmemdomainvalidate.h"

#include <string.h>

#include "gmemdomainmemory.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemplatform.h"

/* libvirt rounds sizes up before a start: cells, and RAM without cells, to the former, and DIMMs to
 * the latter. (Measured: libvirt 9.0 makes 65 MiB of 65537 KiB, and 66 MiB if it is a DIMM.) */
#define GMEM_CELL_GRANULE_KIB 1024
#define GMEM_DIMM_GRANULE_KIB 2048

typedef int (*gmemDomainRule)(const gmemDomainDef *def, const char *wish, GError **error);

static int
gmemDomainValidateLaunchSecurity(const gmemDomainDef *def, const char *wish, GError **error)
{
    switch (def->launchSecurity) {
    case GMEM_LAUNCH_SECURITY_SEV:
    case GMEM_LAUNCH_SECURITY_S390_PV:
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("%1$s cannot be used with <launchSecurity type='%2$s'>, whose guest "
                              "RAM is not guest_memfd; remove one of the two"),
                            wish, def->launchSecurityText);
    case GMEM_LAUNCH_SECURITY_UNKNOWN:
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("%1$s cannot be used with <launchSecurity type='%2$s'>, which "
                              "libvirt-gmem does not know; remove one of the two"),
                            wish, def->launchSecurityText);
    case GMEM_LAUNCH_SECURITY_NONE:
    case GMEM_LAUNCH_SECURITY_SW_PROTECTED:
    case GMEM_LAUNCH_SECURITY_SEV_SNP:
    case GMEM_LAUNCH_SECURITY_TDX:
    default:
        return 0;
    }
}

static int
gmemDomainValidateType(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (def->type == NULL || strcmp(def->type, "kvm") == 0)
        return 0;
    return gmemErrorSet(
        error, VIR_ERR_CONFIG_UNSUPPORTED,
        /* TRANSLATORS: %1$s is <private/> or <launchSecurity type='sw-protected'/>, as below. */
        _("%1$s requires <domain type='kvm'>, not type '%2$s': guest_memfd belongs to KVM"), wish,
        def->type);
}

static int
gmemDomainValidateArch(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (def->arch == NULL || strcmp(def->arch, GMEM_PLATFORM_ARCH) == 0)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s requires <type arch='%2$s'>, not architecture '%3$s'"), wish,
                        GMEM_PLATFORM_ARCH, def->arch);
}

static int
gmemDomainValidateMachine(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (!gmemPlatformRefusesMachine(def->machine))
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s is not available for machine type '%2$s'; use <type machine='q35'> "
                          "or <type machine='pc'>"),
                        wish, def->machine);
}

static int
gmemDomainValidateSmm(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (!def->smm)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s cannot be used with SMM, which <smm> switches on: a "
                          "software-protected VM has no SMM; use <smm state='off'/>"),
                        wish);
}

static int
gmemDomainValidateLoader(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (!def->loaderSecure)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s cannot be used with <loader secure='yes'>, which requires SMM; use "
                          "firmware without secure boot and <loader secure='no'>"),
                        wish);
}

static int
gmemDomainValidateFirmware(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (def->secureBoot == NULL)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s cannot be used with <feature enabled='yes' name='%2$s'/>, which "
                          "requires SMM; use enabled='no'"),
                        wish, def->secureBoot);
}

static int
gmemDomainValidateIoapic(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (g_strcmp0(def->ioapicDriver, "kvm") != 0)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s cannot be used with <ioapic driver='kvm'/>: it requires a split "
                          "interrupt controller; use <ioapic driver='qemu'/>"),
                        wish);
}

static int
gmemDomainValidateSource(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (g_strcmp0(def->sourceType, "file") != 0 && g_strcmp0(def->sourceType, "anonymous") != 0)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s cannot be used with <source type='%2$s'/>: guest_memfd is the "
                          "source of guest RAM; remove it or use <source type='memfd'/>"),
                        wish, def->sourceType);
}

static int
gmemDomainValidateAccess(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (g_strcmp0(def->accessMode, "private") != 0)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s cannot be used with <access mode='private'/>: guest_memfd can only "
                          "be mapped shared; remove it or use <access mode='shared'/>"),
                        wish);
}

static int
gmemDomainValidateCells(const gmemDomainDef *def, const char *wish, GError **error)
{
    size_t i;

    for (i = 0; i < def->ncells; i++) {
        if (g_strcmp0(def->cells[i].access, "private") == 0)
            return gmemErrorSet(
                error, VIR_ERR_CONFIG_UNSUPPORTED,
                _("%1$s cannot be used with <cell memAccess='private'>: guest_memfd can only be "
                  "mapped shared; remove it or use memAccess='shared'"),
                wish);
    }
    return 0;
}

/* NVDIMM and virtio-pmem are host files. They are never guest_memfd, and are allowed beside it. */
static int
gmemDomainValidateDimmAccess(const gmemDomainDef *def, const char *wish, GError **error)
{
    size_t i;

    for (i = 0; i < def->nmemories; i++) {
        if (g_strcmp0(def->memories[i].model, "dimm") == 0 &&
            g_strcmp0(def->memories[i].access, "private") == 0)
            return gmemErrorSet(
                error, VIR_ERR_CONFIG_UNSUPPORTED,
                _("%1$s cannot be used with <memory model='dimm' access='private'>: guest_memfd "
                  "can only be mapped shared; remove it or use access='shared'"),
                wish);
    }
    return 0;
}

static int
gmemDomainValidateHugepages(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (!def->hugepages)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s cannot be used with <hugepages>: guest_memfd has pages of %2$d KiB "
                          "only; remove <hugepages>"),
                        wish, GMEM_PLATFORM_PAGE_KIB);
}

static int
gmemDomainValidateDimmPages(const gmemDomainDef *def, const char *wish, GError **error)
{
    size_t i;

    for (i = 0; i < def->nmemories; i++) {
        if (g_strcmp0(def->memories[i].model, "dimm") == 0 &&
            def->memories[i].pagesize > GMEM_PLATFORM_PAGE_KIB)
            return gmemErrorSet(
                error, VIR_ERR_CONFIG_UNSUPPORTED,
                _("%1$s cannot be used with <pagesize> of %2$llu KiB for a <memory model='dimm'>: "
                  "guest_memfd has pages of %3$d KiB only; remove <pagesize>"),
                wish, def->memories[i].pagesize, GMEM_PLATFORM_PAGE_KIB);
    }
    return 0;
}

/* Returns the next size that is a multiple of @page, or 0 if @size, after libvirt has rounded it up
 * to @granule, is a multiple already. All sizes are in KiB. */
static unsigned long long
gmemDomainValidateNextSize(unsigned long long size,
                           unsigned long long granule,
                           unsigned long long page)
{
    unsigned long long rounded = (size + granule - 1) / granule * granule;

    return page == 0 || rounded % page == 0 ? 0 : (rounded / page + 1) * page;
}

static int
gmemDomainValidateCellPages(const gmemDomainDef *def, const char *wish, GError **error)
{
    unsigned long long ram = gmemDomainMemoryMainRam(def);
    unsigned long long next;
    size_t i;

    for (i = 0; i < def->ncells; i++) {
        const gmemDomainCell *cell = &def->cells[i];

        next = gmemDomainValidateNextSize(cell->size, GMEM_CELL_GRANULE_KIB, cell->page);
        if (next > 0)
            return gmemErrorSet(
                error, VIR_ERR_CONFIG_UNSUPPORTED,
                _("%1$s requires <cell id='%2$llu'> (%3$llu KiB) to be a multiple of its huge page "
                  "size (%4$llu KiB); use %5$llu KiB or other pages"),
                wish, cell->id, cell->size, cell->page, next);
    }
    next = def->ncells == 0 ? gmemDomainValidateNextSize(ram, GMEM_CELL_GRANULE_KIB, def->page) : 0;
    if (next == 0)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s requires guest RAM (%2$llu KiB) to be a multiple of its huge page "
                          "size (%3$llu KiB); use %4$llu KiB or other pages"),
                        wish, ram, def->page, next);
}

static int
gmemDomainValidateDimmSizes(const gmemDomainDef *def, const char *wish, GError **error)
{
    size_t i;

    for (i = 0; i < def->nmemories; i++) {
        const gmemDomainMemory *memory = &def->memories[i];
        unsigned long long next =
            gmemDomainValidateNextSize(memory->size, GMEM_DIMM_GRANULE_KIB, memory->page);

        if (next > 0 && g_strcmp0(memory->model, "dimm") == 0)
            return gmemErrorSet(
                error, VIR_ERR_CONFIG_UNSUPPORTED,
                _("%1$s requires <memory> device %2$zu (%3$llu KiB) to be a multiple of its huge "
                  "page size (%4$llu KiB); use %5$llu KiB or other pages"),
                wish, i + 1, memory->size, memory->page, next);
    }
    return 0;
}

static int
gmemDomainValidateLocked(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (!def->locked)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s cannot be used with <locked/>: it would populate the shared half "
                          "of guest RAM, and private memory is never swapped; remove <locked/>"),
                        wish);
}

static int
gmemDomainValidateVirtioMem(const gmemDomainDef *def, const char *wish, GError **error)
{
    size_t i;

    for (i = 0; i < def->nmemories; i++) {
        if (g_strcmp0(def->memories[i].model, "virtio-mem") == 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("%1$s cannot be used with <memory model='virtio-mem'>; use "
                                  "<memory model='dimm'>"),
                                wish);
    }
    return 0;
}

static int
gmemDomainValidateSgxEpc(const gmemDomainDef *def, const char *wish, GError **error)
{
    size_t i;

    for (i = 0; i < def->nmemories; i++) {
        if (g_strcmp0(def->memories[i].model, "sgx-epc") == 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("%1$s cannot be used with <memory model='sgx-epc'>: enclave "
                                  "pages are not guest_memfd; remove it"),
                                wish);
    }
    return 0;
}

static int
gmemDomainValidateVfio(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (def->vfio == NULL)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s cannot be used with %2$s: its DMA requires pinned shared pages; "
                          "use an emulated or virtio device"),
                        wish, def->vfio);
}

static int
gmemDomainValidateMemfdUser(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (def->memfdUser == NULL)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s cannot be used with %2$s, which requires guest RAM in a memfd, and "
                          "not in guest_memfd; remove the attribute"),
                        wish, def->memfdUser);
}

static int
gmemDomainValidateSuspend(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (!def->suspendToMem)
        return 0;
    return gmemErrorSet(
        error, VIR_ERR_CONFIG_UNSUPPORTED,
        _("%1$s cannot be used with <suspend-to-mem enabled='yes'/>: waking up looks like a reset, "
          "which private memory does not survive; use enabled='no'"),
        wish);
}

/* libvirt makes these dumps by itself, without a call that could be refused. */
static int
gmemDomainValidateDump(const gmemDomainDef *def, const char *wish, GError **error)
{
    if (def->dump == NULL)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("%1$s cannot be used with %2$s: the host cannot read the guest's private "
                          "pages; use an action without a dump"),
                        wish, def->dump);
}

/* The memory of the domain as libvirt counts it, including all memory devices; 0 if a size is
 * unreadable. */
static unsigned long long
gmemDomainValidateTotal(const gmemDomainDef *def)
{
    unsigned long long sum = gmemDomainMemoryRam(def);
    size_t i;

    if (def->ncells == 0)
        return def->memory;
    for (i = 0; sum != 0 && i < def->nmemories; i++) {
        if (g_strcmp0(def->memories[i].model, "dimm") != 0)
            sum += def->memories[i].size;
    }
    return sum;
}

static int
gmemDomainValidateCurrentMemory(const gmemDomainDef *def, const char *wish, GError **error)
{
    unsigned long long total = gmemDomainValidateTotal(def);

    if (def->currentMemory == 0 || def->currentMemory >= total)
        return 0;
    return gmemErrorSet(
        error, VIR_ERR_CONFIG_UNSUPPORTED,
        _("%1$s cannot be used with <currentMemory> (%2$llu KiB) below the domain's memory (%3$llu "
          "KiB): memory ballooning is not supported for private memory; remove <currentMemory>"),
        wish, def->currentMemory, total);
}

int
gmemDomainValidateLimit(unsigned long long limit,
                        unsigned long long ram,
                        const char *wish,
                        GError **error)
{
    if (limit == 0 || limit >= ram)
        return 0;
    return gmemErrorSet(
        error, VIR_ERR_CONFIG_UNSUPPORTED,
        _("%1$s cannot be used with <hard_limit> (%2$llu KiB) below guest RAM (%3$llu KiB): its "
          "shared and private halves together can take %4$llu KiB; raise or remove <hard_limit>"),
        wish, limit, ram, 2 * ram);
}

static int
gmemDomainValidateHardLimit(const gmemDomainDef *def, const char *wish, GError **error)
{
    return gmemDomainValidateLimit(def->hardLimit, gmemDomainMemoryRam(def), wish, error);
}

/* In the order of the table in docs/formatdomain.rst. A domain that breaks several rules gets the
 * error of the first one. For the paths, see gmemDomainValidateFind(). */
static const struct {
    bool convertible;
    bool fullyShared;
    gmemDomainRule rule;
    const char *where;
} gmemDomainRules[] = {
    {.rule = gmemDomainValidateType, .convertible = true, .fullyShared = true, .where = ""},
    {.rule = gmemDomainValidateArch, .convertible = true, .fullyShared = true, .where = "os/type"},
    {.rule = gmemDomainValidateMachine,
     .convertible = true,
     .fullyShared = true,
     .where = "os/type"},
    {.rule = gmemDomainValidateSmm, .convertible = true, .where = "features/smm"},
    {.rule = gmemDomainValidateLoader, .convertible = true, .where = "os/loader"},
    {.rule = gmemDomainValidateFirmware,
     .convertible = true,
     .where = "os/firmware/feature@enabled=yes"},
    {.rule = gmemDomainValidateIoapic, .convertible = true, .where = "features/ioapic"},
    {.rule = gmemDomainValidateSource, .fullyShared = true, .where = "memoryBacking/source"},
    {.rule = gmemDomainValidateAccess, .fullyShared = true, .where = "memoryBacking/access"},
    {.rule = gmemDomainValidateCells,
     .fullyShared = true,
     .where = "cpu/numa/cell@memAccess=private"},
    {.rule = gmemDomainValidateDimmAccess,
     .fullyShared = true,
     .where = "devices/memory@access=private"},
    {.rule = gmemDomainValidateHugepages, .fullyShared = true, .where = "memoryBacking/hugepages"},
    {.rule = gmemDomainValidateDimmPages,
     .fullyShared = true,
     .where = "devices/memory/source/pagesize"},
    {.rule = gmemDomainValidateCellPages, .convertible = true, .where = "cpu/numa/cell|memory"},
    {.rule = gmemDomainValidateDimmSizes,
     .convertible = true,
     .where = "devices/memory@model=dimm"},
    {.rule = gmemDomainValidateLocked, .convertible = true, .where = "memoryBacking/locked"},
    {.rule = gmemDomainValidateVirtioMem,
     .convertible = true,
     .fullyShared = true,
     .where = "devices/memory@model=virtio-mem"},
    {.rule = gmemDomainValidateSgxEpc,
     .convertible = true,
     .fullyShared = true,
     .where = "devices/memory@model=sgx-epc"},
    {.rule = gmemDomainValidateVfio,
     .convertible = true,
     .where = "devices/hostdev@type=pci|devices/hostdev@type=mdev|devices/interface@type=hostdev|"
              "devices/disk@type=nvme"},
    {.rule = gmemDomainValidateCurrentMemory, .convertible = true, .where = "currentMemory"},
    {.rule = gmemDomainValidateHardLimit, .convertible = true, .where = "memtune/hard_limit"},
    {.rule = gmemDomainValidateSuspend, .convertible = true, .where = "pm/suspend-to-mem"},
    {.rule = gmemDomainValidateDump,
     .convertible = true,
     .where = "on_crash|devices/watchdog@action=dump|devices/watchdog"},
    {.rule = gmemDomainValidateMemfdUser,
     .fullyShared = true,
     .where = "devices/video/model@blob=on|devices/hostdev/driver@iommufd=yes|devices/video"},
};

/* The first element at @path; if the path ends with "@" and a name, the first with that attribute.
 */
static const gmemXMLNode *
gmemDomainValidateFindAt(const gmemDomainDef *def, const char *path)
{
    g_auto(GStrv) parts = g_strsplit_set(path, "@=", 3);
    g_autofree gmemXMLNode **found = gmemXMLFind(def->root, parts[0]);
    size_t i;

    for (i = 0; found[i] != NULL; i++) {
        g_autofree char *value = parts[1] != NULL ? gmemXMLAttribute(found[i], parts[1]) : NULL;

        if (parts[1] == NULL || g_strcmp0(value, parts[2]) == 0)
            return found[i];
    }
    return NULL;
}

/* @paths are separated by "|", and the first one that exists counts. If none exists, it is the
 * element that asks for private memory. */
static const gmemXMLNode *
gmemDomainValidateFind(const gmemDomainDef *def, const char *where)
{
    g_auto(GStrv) paths = g_strsplit(where, "|", -1);
    const gmemXMLNode *fault = where[0] == '\0' ? def->root : NULL;
    size_t i;

    for (i = 0; fault == NULL && paths[i] != NULL; i++)
        fault = gmemDomainValidateFindAt(def, paths[i]);
    if (fault == NULL)
        fault = def->launchSecurityNode != NULL ? def->launchSecurityNode : def->privateNode;
    return fault != NULL ? fault : def->root;
}

static int
gmemDomainValidateRuleAt(const gmemDomainDef *def, size_t i, GError **error)
{
    bool holds = (gmemDomainRules[i].convertible && def->mode == GMEM_MODE_CONVERTIBLE) ||
                 (gmemDomainRules[i].fullyShared && def->mode == GMEM_MODE_FULLY_SHARED);

    return holds ? gmemDomainRules[i].rule(def, gmemModeElement(def->mode), error) : 0;
}

int
gmemDomainValidate(const gmemDomainDef *def, GError **error)
{
    size_t i;

    if (gmemDomainValidateLaunchSecurity(def, gmemModeElement(def->mode), error) < 0)
        return -1;
    for (i = 0; i < G_N_ELEMENTS(gmemDomainRules); i++) {
        if (gmemDomainValidateRuleAt(def, i, error) < 0)
            return -1;
    }
    return 0;
}

void
gmemDomainValidateAll(const gmemDomainDef *def, gmemDomainValidateReport *report, void *opaque)
{
    g_autoptr(GError) first = NULL;
    size_t i;

    if (gmemDomainValidateLaunchSecurity(def, gmemModeElement(def->mode), &first) < 0)
        report(gmemDomainValidateFind(def, GMEM_MODE_LAUNCH), first, opaque);
    for (i = 0; i < G_N_ELEMENTS(gmemDomainRules); i++) {
        g_autoptr(GError) error = NULL;

        if (gmemDomainValidateRuleAt(def, i, &error) < 0)
            report(gmemDomainValidateFind(def, gmemDomainRules[i].where), error, opaque);
    }
}
