/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemplatform.h: what another architecture, or a KVM with larger pages, would have otherwise.
 * For the shim, too: nothing but libc. */
#pragma once

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* As libvirt and QEMU call it. */
#define GMEM_PLATFORM_ARCH "x86_64"

/* What libvirt looks for first, where a domain names no emulator. */
#define GMEM_PLATFORM_EMULATOR "qemu-system-" GMEM_PLATFORM_ARCH

/* The id of RAM without cells on libvirt's command lines: QEMU's default-ram-id of the machines. */
#define GMEM_PLATFORM_RAM_ID "pc.ram"

/* Bytes. The base page, and guest_memfd's only one (no hugetlb and no THP as of Linux 7.2). */
#define GMEM_PLATFORM_PAGE 4096
#define GMEM_PLATFORM_PAGE_KIB (GMEM_PLATFORM_PAGE / 1024)

/* Bytes. What huge pages of no stated size have: the smallest that the host's default can be. */
#define GMEM_PLATFORM_HUGE_PAGE (2 * 1024 * 1024)
#define GMEM_PLATFORM_HUGE_PAGE_KIB (GMEM_PLATFORM_HUGE_PAGE / 1024)

/* gmemPlatformRefusesMachine: whether a machine type of that name lacks what either mode requires.
 * NULL is none. */
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

/* gmemPlatformIsAddress: whether a relocation of that type (R_… of elf.h) puts the address of a
 * symbol there. */
static inline bool
gmemPlatformIsAddress(unsigned long type)
{
    return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT || type == R_X86_64_64;
}
