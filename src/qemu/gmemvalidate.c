/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemvalidate.c: may this domain start on this host with this QEMU? */

#include "gmemvalidate.h"

#include "gmemerror.h"
#include "gmemi18n.h"

static int
gmemQEMUValidateNUMA(const gmemPlan *plan, const gmemKVM *kvm, GError **error)
{
    if (!plan->cellNodesetsDiffer)
        return 0;
    if (!kvm->numaPolicyKnown)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("cells bound to different host nodes need a kernel that keeps a NUMA "
                              "policy on guest_memfd, and Linux %s offers no way to find out "
                              "whether it does"),
                            kvm->kernel);
    if (!kvm->numaPolicy)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("cells bound to different host nodes need a kernel that keeps a NUMA "
                              "policy on guest_memfd, and Linux %s does not; one nodeset for the "
                              "whole domain is possible"),
                            kvm->kernel);
    return 0;
}

int
gmemQEMUValidateHost(const gmemPlan *plan, const gmemKVM *kvm, GError **error)
{
    switch (plan->mode) {
    case GMEM_MODE_CONVERTIBLE:
        if (gmemKVMCanConvertible(kvm, error) < 0)
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
    /* The shim will serve convertible mode, too; it does not yet (docs/design.rst). */
    if (plan->mode == GMEM_MODE_CONVERTIBLE &&
        !gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_SW_PROTECTED_VM))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("<launchSecurity type='sw-protected'/> needs a QEMU that has the "
                              "object sw-protected-vm, which the emulator '%s' (version %u.%u.%u) "
                              "does not have"),
                            caps->emulator, caps->version / 1000000, caps->version / 1000 % 1000,
                            caps->version % 1000);
    if (plan->mode == GMEM_MODE_FULLY_SHARED && !gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_MEMFD))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("<private/> needs memory-backend-memfd, which the emulator '%s' "
                              "(version %u.%u.%u) does not have"),
                            caps->emulator, caps->version / 1000000, caps->version / 1000 % 1000,
                            caps->version % 1000);
    return 0;
}
