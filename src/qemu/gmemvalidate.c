/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemvalidate.c: may this domain start on this host with this QEMU? */

#include "gmemvalidate.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include "gmemerror.h"
#include "gmemfirmware.h"
#include "gmemi18n.h"

static int
gmemQEMUValidateNUMA(const gmemPlan *plan, const gmemKVM *kvm, GError **error)
{
    if (!plan->cellNodesetsDiffer)
        return 0;
    if (!kvm->numaPolicyKnown)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("cells bound to different host nodes require a kernel that keeps a NUMA policy on "
              "guest_memfd, and Linux %1$s offers no way to find out whether it does"),
            kvm->kernel);
    if (!kvm->numaPolicy)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("cells bound to different host nodes require a kernel that keeps a NUMA policy on "
              "guest_memfd, and Linux %1$s does not; one nodeset for the whole domain is possible"),
            kvm->kernel);
    return 0;
}

/* A machine without SMM hangs silently with such firmware: nothing else would say why. */
static int
gmemQEMUValidateFirmware(const gmemPlan *plan, GError **error)
{
    if (plan->firmware == NULL || !gmemFirmwareRequiresSMM(plan->firmware))
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("the firmware '%1$s' requires SMM, which is not available with "
                          "<launchSecurity type='sw-protected'/>; use firmware without Secure "
                          "Boot, or <os firmware='efi'> without <loader>"),
                        plan->firmware);
}

int
gmemQEMUValidateHost(const gmemPlan *plan, const gmemKVM *kvm, GError **error)
{
    switch (plan->mode) {
    case GMEM_MODE_CONVERTIBLE:
        if (gmemKVMCanConvertible(kvm, error) < 0 || gmemQEMUValidateFirmware(plan, error) < 0)
            return -1;
        return gmemQEMUValidateNUMA(plan, kvm, error);

    case GMEM_MODE_FULLY_SHARED:
        if (gmemKVMCanFullyShared(kvm, error) < 0)
            return -1;
        return gmemQEMUValidateNUMA(plan, kvm, error);

    case GMEM_MODE_NONE:
    case GMEM_MODE_LAST:
    default:
        return 0;
    }
}

int
gmemQEMUValidateEmulator(const gmemPlan *plan, const gmemQEMUCaps *caps, GError **error)
{
    if (plan->mode == GMEM_MODE_FULLY_SHARED && !gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_MEMFD))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("<private/> requires memory-backend-memfd, which the emulator '%1$s' "
                              "(version %2$u.%3$u.%4$u) does not have"),
                            caps->emulator, caps->version / 1000000, caps->version / 1000 % 1000,
                            caps->version % 1000);
    if (plan->mode != GMEM_MODE_NONE && gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_NO_SHIM) &&
        gmemQEMUCapsGetSupplier(caps, plan->mode) == GMEM_QEMU_SUPPLIER_SHIM)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("the emulator '%1$s' has no guest_memfd of its own, and qemu-gmem.so, which supplies "
              "it, cannot be preloaded into it; the file must be loadable, a wrapper must keep the "
              "environment, and no other preloaded library may intercept the same calls"),
            caps->emulator);
    return 0;
}

/* The page size of the memory that @ram uses, in bytes; 0 for ordinary pages. */
static unsigned long long
gmemQEMUValidateHugePage(const gmemCommandRam *ram)
{
    struct statfs fs;

    if (ram->path == NULL || statfs(ram->path, &fs) < 0 || fs.f_type != HUGETLBFS_MAGIC)
        return ram->hugePage;
    return (unsigned long long)fs.f_bsize;
}

int
gmemQEMUValidatePages(const gmemCommand *command, unsigned long long *huge, GError **error)
{
    size_t i;

    *huge = 0;
    for (i = 0; i < command->nbackends; i++) {
        const gmemCommandRam *ram = &command->ram[i];
        unsigned long long page = gmemQEMUValidateHugePage(ram);

        if (page == 0)
            continue;
        if (ram->size % page != 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend %1$s has a size of %2$llu bytes, which is not a "
                                  "multiple of its huge pages of %3$llu bytes"),
                                ram->name, ram->size, page);
        *huge += ram->size;
    }
    return 0;
}
