/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_validate.c: hosts and emulators on which a domain may not start, and those on which it may.
 * The messages about what KVM lacks are in gmemkvm.c, and are tested with that. */

#include "config.h"

#include <glib.h>

#include "gmemerror.h"
#include "gmemvalidate.h"

#define FLAG(flag) (G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_##flag)

#define KERNEL "6.18.0-test"

static char kernel[] = KERNEL;

static gmemKVM
capableHost(void)
{
    return (gmemKVM){
        .available = true,
        .vmTypes = 1U << KVM_X86_DEFAULT_VM | 1U << KVM_X86_SW_PROTECTED_VM,
        .attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE,
        .userMemory2 = true,
        .guestMemfd = true,
        .convertibleGuestMemfd = true,
        .gmemFlags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
        .numaPolicy = true,
        .numaPolicyKnown = true,
        .kernel = kernel,
    };
}

static void
assertHost(const gmemKVM *kvm, gmemMode mode, bool differ, const char *message)
{
    gmemPlan plan = {.mode = mode, .cellNodesetsDiffer = differ};
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(gmemQEMUValidateHost(&plan, kvm, &error), ==, message == NULL ? 0 : -1);
    if (message == NULL) {
        g_assert_no_error(error);
        return;
    }
    g_assert_cmpstr(error->message, ==, message);
    g_assert_error(error, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
}

static void
testCapable(void)
{
    gmemKVM kvm = capableHost();

    assertHost(&kvm, GMEM_MODE_CONVERTIBLE, true, NULL);
    assertHost(&kvm, GMEM_MODE_FULLY_SHARED, true, NULL);
    assertHost(&kvm, GMEM_MODE_NONE, true, NULL);
}

/* Each mode has its own requirements. */
static void
testModes(void)
{
    gmemKVM kvm = capableHost();
    gmemKVM none = {.kernel = kernel, .reason = kernel};

    kvm.vmTypes = 1U << KVM_X86_DEFAULT_VM;
    assertHost(&kvm, GMEM_MODE_FULLY_SHARED, false, NULL);
    assertHost(&kvm, GMEM_MODE_CONVERTIBLE, false,
               "KVM of Linux " KERNEL " has no KVM_X86_SW_PROTECTED_VM (KVM_CAP_VM_TYPES = 0x1); "
               "use Linux 6.12 or newer with CONFIG_KVM_SW_PROTECTED_VM");
    kvm = capableHost();
    kvm.gmemFlags = GUEST_MEMFD_FLAG_MMAP;
    assertHost(&kvm, GMEM_MODE_CONVERTIBLE, false, NULL);
    assertHost(&kvm, GMEM_MODE_FULLY_SHARED, false,
               "KVM of Linux " KERNEL " has no guest_memfd that the host can map "
               "(KVM_CAP_GUEST_MEMFD_FLAGS = 0x1 without 0x2); use Linux 6.18 or newer");
    assertHost(&none, GMEM_MODE_NONE, true, NULL);
    assertHost(&none, GMEM_MODE_FULLY_SHARED, true, KERNEL);
}

static void
testNUMA(void)
{
    gmemKVM kvm = capableHost();

    kvm.numaPolicy = false;
    assertHost(&kvm, GMEM_MODE_CONVERTIBLE, false, NULL);
    assertHost(&kvm, GMEM_MODE_FULLY_SHARED, false, NULL);
    assertHost(&kvm, GMEM_MODE_CONVERTIBLE, true,
               "cells bound to different host nodes require a kernel that keeps a NUMA policy on "
               "guest_memfd, and Linux " KERNEL " does not; one nodeset for the whole domain is "
               "possible");
    assertHost(&kvm, GMEM_MODE_FULLY_SHARED, true,
               "cells bound to different host nodes require a kernel that keeps a NUMA policy on "
               "guest_memfd, and Linux " KERNEL " does not; one nodeset for the whole domain is "
               "possible");
    kvm.numaPolicyKnown = false;
    assertHost(&kvm, GMEM_MODE_CONVERTIBLE, true,
               "cells bound to different host nodes require a kernel that keeps a NUMA policy on "
               "guest_memfd, and Linux " KERNEL " offers no way to find out whether it does");
}

#define NOT_LOADED                                                                                 \
    "the emulator '/q' has no guest_memfd of its own, and qemu-gmem.so, which supplies it, "       \
    "cannot be preloaded into it; the file must be loadable, a wrapper must keep the "             \
    "environment, and no other preloaded library may intercept the same calls"

static void
assertEmulator(guint64 flags, gmemMode mode, const char *message)
{
    gmemQEMUCaps caps = {.emulator = (char[]){"/q"}, .version = 7002022, .flags = flags};
    gmemPlan plan = {.mode = mode};
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(gmemQEMUValidateEmulator(&plan, &caps, &error), ==, message == NULL ? 0 : -1);
    if (message == NULL) {
        g_assert_no_error(error);
        return;
    }
    g_assert_cmpstr(error->message, ==, message);
    g_assert_error(error, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
}

static void
testEmulator(void)
{
    assertEmulator(FLAG(MEMFD), GMEM_MODE_FULLY_SHARED, NULL);
    assertEmulator(0, GMEM_MODE_NONE, NULL);
    assertEmulator(
        0, GMEM_MODE_FULLY_SHARED,
        "<private/> requires memory-backend-memfd, which the emulator '/q' (version 7.2.22) "
        "does not have");
    assertEmulator(FLAG(SW_PROTECTED_VM), GMEM_MODE_CONVERTIBLE, NULL);
    assertEmulator(FLAG(MEMFD), GMEM_MODE_CONVERTIBLE, NULL);
    assertEmulator(0, GMEM_MODE_CONVERTIBLE, NULL);
    assertEmulator(FLAG(MEMFD) | FLAG(NO_SHIM), GMEM_MODE_FULLY_SHARED, NOT_LOADED);
    assertEmulator(FLAG(MEMFD) | FLAG(NO_SHIM), GMEM_MODE_CONVERTIBLE, NOT_LOADED);
    assertEmulator(FLAG(MEMFD) | FLAG(NO_SHIM), GMEM_MODE_NONE, NULL);
    assertEmulator(FLAG(MEMFD) | FLAG(NO_SHIM) | FLAG(MEMFD_GUEST_MEMFD), GMEM_MODE_FULLY_SHARED,
                   NULL);
    assertEmulator(FLAG(NO_SHIM) | FLAG(SW_PROTECTED_VM), GMEM_MODE_CONVERTIBLE, NULL);
}

int
main(int argc, char **argv)
{
    g_setenv("LC_ALL", "C", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/validate/capable", testCapable);
    g_test_add_func("/validate/modes", testModes);
    g_test_add_func("/validate/numa", testNUMA);
    g_test_add_func("/validate/emulator", testEmulator);
    return g_test_run();
}
