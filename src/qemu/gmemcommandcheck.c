/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcommandcheck.c: can the RAM of this command line be private? */

#include "gmemcommandcheck.h"

#include <stdlib.h>
#include <string.h>

#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemplatform.h"
#include "gmemqemunames.h"

static int
gmemCommandCheckCompare(const void *a, const void *b)
{
    return strcmp((*(gmemBackend *const *)a)->id, (*(gmemBackend *const *)b)->id);
}

static int
gmemCommandCheckReferences(gmemCommandLine *line, GError **error)
{
    g_autofree gmemBackend **sorted = g_new(gmemBackend *, line->nbackends + 1);
    bool main = false;
    size_t i;

    for (i = 0; i < line->nbackends; i++)
        sorted[i] = &line->backends[i];
    qsort(sorted, line->nbackends, sizeof(*sorted), gmemCommandCheckCompare);
    for (i = 1; i < line->nbackends; i++) {
        if (gmemCommandCheckCompare(&sorted[i - 1], &sorted[i]) == 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("two memory backends have the id %1$s"), sorted[i]->name);
    }
    for (i = 0; i < line->nreferences; i++) {
        const gmemReference *reference = &line->references[i];
        gmemBackend wanted = {.id = reference->id};
        gmemBackend *key = &wanted;
        gmemBackend **found =
            bsearch(&key, sorted, line->nbackends, sizeof(*sorted), gmemCommandCheckCompare);
        gmemBackend *backend = found != NULL ? *found : NULL;

        if (backend == NULL)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("there is no memory backend '%1$s', which %2$s uses"),
                                reference->id, reference->user);
        if (backend->use != GMEM_USE_NONE)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend %1$s is used twice, by %2$s and by %3$s"),
                                backend->name, backend->user, reference->user);
        backend->use = reference->use;
        backend->user = g_strdup(reference->user);
        if (reference->use == GMEM_USE_RAM && reference->user[0] == '-')
            main = true;
    }
    /* DIMMs alone would leave the machine's first RAM to QEMU, as ordinary memory. */
    if (!main)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("the machine's RAM has no memory backend, so it cannot be private"));
    return 0;
}

static int
gmemCommandCheckUses(const gmemCommandLine *line, GError **error)
{
    size_t i;

    for (i = 0; i < line->nbackends; i++) {
        const gmemBackend *backend = &line->backends[i];

        if (backend->use == GMEM_USE_NONE && g_strcmp0(backend->id, line->replaced) == 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("QEMU's option '-machine memory-backend=%1$s' would replace the "
                                  "memory backend '%2$s' that is the domain's RAM"),
                                line->memoryBackend, line->replaced);
        if (backend->use == GMEM_USE_NONE)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend %1$s (%2$s) is not used by anything on QEMU's "
                                  "command line, which a domain with private memory cannot have"),
                                backend->name, backend->type);
        if (backend->use == GMEM_USE_OTHER)
            return gmemErrorSet(
                error, VIR_ERR_CONFIG_UNSUPPORTED,
                _("memory backend %1$s (%2$s) is used by %3$s; beside private memory there can be "
                  "that of nvdimm, virtio-pmem and ivshmem-plain only"),
                backend->name, backend->type, backend->user);
        /* This is also because qemu-gmem.so treats every memory-backend-memfd as RAM. */
        if (backend->use == GMEM_USE_FILE &&
            strcmp(backend->type, GMEM_QEMU_MEMORY_BACKEND_FILE) != 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend %1$s of %2$s is a %3$s; beside private memory it "
                                  "must be a memory-backend-file"),
                                backend->name, backend->user, backend->type);
    }
    return 0;
}

static int
gmemCommandCheckMachine(const gmemCommandLine *line, GError **error)
{
    if (line->machine == 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("QEMU's command line has no -machine"));
    if (line->machineType == NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("QEMU's command line does not say which machine it is for"));
    if (gmemPlatformRefusesMachine(line->machineType))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("machine type '%1$s' cannot have private memory; use q35 or pc"),
                            line->machineType);
    if (!line->kvm)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("guest_memfd requires KVM, which QEMU's command line does not enable"));
    return 0;
}

int
gmemCommandCheckBackends(gmemCommandLine *line, GError **error)
{
    if (gmemCommandCheckMachine(line, error) < 0 || gmemCommandCheckReferences(line, error) < 0)
        return -1;
    return gmemCommandCheckUses(line, error);
}

/* A pair that does not ask for anything: <private/> beside sev-snp or tdx. Beside anything else it
 * would be a request that nobody fulfils. */
int
gmemCommandCheckHardware(const gmemCommandLine *line, GError **error)
{
    if (line->guestSupport == NULL || g_strcmp0(line->guestSupport, line->hardwareObject) != 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("QEMU's option '%1$s' leaves private memory to the domain's launch "
                              "security, and the domain has none for it"),
                            GMEM_CARRIER_OPTION);
    return 0;
}

/* The shim recognises a reset by what QEMU does with its vCPUs (gmemshimvcpu.c), and cannot
 * distinguish it from waking up from suspend-to-memory: memory would be lost. */
static int
gmemCommandCheckSuspend(const gmemCommandLine *line, GError **error)
{
    if (line->suspend != NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("a software-protected VM loses its private memory in "
                              "suspend-to-memory, which QEMU's command line enables: '%1$s'"),
                            line->suspend);
    return 0;
}

int
gmemCommandCheckConvertible(const gmemCommandLine *line, bool shim, GError **error)
{
    if (line->guestSupport != NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("the machine has confidential guest support already: '%1$s'"),
                            line->guestSupport);
    if (line->launchObject)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("QEMU's command line has an object '%1$s' already"),
                            GMEM_LAUNCH_OBJECT);
    if ((line->irqchip != NULL && strcmp(line->irqchip, "split") != 0) ||
        (line->accelIrqchip != NULL && strcmp(line->accelIrqchip, "split") != 0))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("a software-protected VM requires kernel_irqchip=split, not '%1$s'"),
                            line->irqchip != NULL && strcmp(line->irqchip, "split") != 0
                                ? line->irqchip
                                : line->accelIrqchip);
    if (shim && line->irqchip == NULL && line->accelIrqchip == NULL)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("a software-protected VM requires kernel_irqchip=split, which is not on "
              "QEMU's command line"));
    if (line->locked)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("a software-protected VM cannot have its memory locked: QEMU's option "
              "'-overcommit mem-lock' would populate all of the shared half"));
    if (line->restored != NULL)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("a software-protected VM cannot be restored, which QEMU's option '%1$s' asks for"),
            line->restored);
    if (line->vfio != NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("a software-protected VM cannot have the device '%1$s': its DMA "
                              "requires pinned shared pages"),
                            line->vfio);
    if (line->smm != NULL && strcmp(line->smm, "off") != 0)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("a software-protected VM has no SMM, but QEMU's command line has smm=%1$s"),
            line->smm);
    return shim ? gmemCommandCheckSuspend(line, error) : 0;
}

/* QEMU's own property ignores hugetlb ("TODO: add huge page support" in its series) and requires
 * share; the shim's memfd supports neither huge pages nor private mappings. */
int
gmemCommandCheckFullyShared(const gmemCommandLine *line, GError **error)
{
    size_t i;

    if (line->guestSupport != NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("fully shared guest_memfd and confidential guest support ('%1$s') "
                              "are mutually exclusive"),
                            line->guestSupport);
    if (line->memfdUser != NULL)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("QEMU's device '%1$s' requires guest RAM in a memfd, and not in guest_memfd"),
            line->memfdUser);
    for (i = 0; i < line->nbackends; i++) {
        const gmemBackend *backend = &line->backends[i];

        /* qemu-gmem.so would count it as RAM, and give it a guest_memfd. */
        if (backend->use == GMEM_USE_DEVICE &&
            strcmp(backend->type, GMEM_QEMU_MEMORY_BACKEND_MEMFD) == 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend %1$s of %2$s is a memory-backend-memfd; beside "
                                  "fully shared private memory it must be a memory-backend-file"),
                                backend->name, backend->user);
        if (backend->use != GMEM_USE_RAM)
            continue;
        if (strcmp(backend->type, GMEM_QEMU_MEMORY_BACKEND_MEMFD) != 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend %1$s is a %2$s; for fully shared guest_memfd it "
                                  "must be a memory-backend-memfd"),
                                backend->name, backend->type);
        if (gmemPropsGetBool(&backend->props, "share") != 1)
            return gmemErrorSet(
                error, VIR_ERR_CONFIG_UNSUPPORTED,
                _("memory backend %1$s is not shared, which fully shared guest_memfd requires"),
                backend->name);
        if (gmemPropsGetBool(&backend->props, "hugetlb") > 0)
            return gmemErrorSet(
                error, VIR_ERR_CONFIG_UNSUPPORTED,
                _("memory backend %1$s asks for huge pages, which guest_memfd does not have"),
                backend->name);
    }
    return 0;
}
