/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemplatform.h: what differs on another architecture, or with a KVM that has larger pages. The
 * shim uses it, too, so it only requires libc. */
#pragma once

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The name that libvirt and QEMU use. */
#define GMEM_PLATFORM_ARCH "x86_64"

/* The emulator that libvirt looks for first if a domain does not name one. */
#define GMEM_PLATFORM_EMULATOR "qemu-system-" GMEM_PLATFORM_ARCH

/* The id of RAM without cells on libvirt's command lines: default-ram-id of QEMU's machines. */
#define GMEM_PLATFORM_RAM_ID "pc.ram"

/* In bytes. The base page size, and the only one of guest_memfd (no hugetlb and no THP as of Linux
 * 7.2). */
#define GMEM_PLATFORM_PAGE 4096
#define GMEM_PLATFORM_PAGE_KIB (GMEM_PLATFORM_PAGE / 1024)

/* In bytes. The assumed size of huge pages without a stated size: the smallest that the host's
 * default can be. */
#define GMEM_PLATFORM_HUGE_PAGE (2 * 1024 * 1024)
#define GMEM_PLATFORM_HUGE_PAGE_KIB (GMEM_PLATFORM_HUGE_PAGE / 1024)

/* gmemPlatformRefusesMachine: whether machine type @name lacks what both modes require. NULL does
 * not. */
static inline bool
gmemPlatformRefusesMachine(const char *name)
{
    static const char *const machines[] = {"isapc", "microvm", "none", "xenfv", "xenpv"};
    size_t i;

    for (i = 0; name != NULL && i < sizeof(machines) / sizeof(machines[0]); i++) {
        if (strcmp(name, machines[i]) == 0)
            return true;
    }
    return false;
}

/* gmemPlatformSuspendDevice: the device of machine type @name that has suspend-to-memory. */
static inline const char *
gmemPlatformSuspendDevice(const char *name)
{
    return strstr(name, "q35") != NULL ? "ICH9-LPC" : "PIIX4_PM";
}

/* gmemPlatformIsAddress: whether a relocation of that type (R_… of elf.h) stores the address of a
 * symbol. */
static inline bool
gmemPlatformIsAddress(unsigned long type)
{
    return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT || type == R_X86_64_64;
}
