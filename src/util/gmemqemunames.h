/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemqemunames.h: QEMU's names of what memory is made of, for all who look for them or write them.
 * Only definitions, because the shim includes it, too. */
#pragma once

/* Object types that are memory: they begin with the first one. */
#define GMEM_QEMU_MEMORY_BACKEND "memory-backend-"
#define GMEM_QEMU_MEMORY_BACKEND_FILE GMEM_QEMU_MEMORY_BACKEND "file"
#define GMEM_QEMU_MEMORY_BACKEND_MEMFD GMEM_QEMU_MEMORY_BACKEND "memfd"
#define GMEM_QEMU_MEMORY_BACKEND_RAM GMEM_QEMU_MEMORY_BACKEND "ram"

/* Their properties in a QEMU that has guest_memfd itself: of all types in a software-protected VM,
 * and of memory-backend-memfd. */
#define GMEM_QEMU_PRIVATE "private"
#define GMEM_QEMU_GUEST_MEMFD "guest-memfd"
#define GMEM_QEMU_X_GUEST_MEMFD "x-guest-memfd"

/* The type of the launch object of a software-protected VM. */
#define GMEM_QEMU_SW_PROTECTED_VM "sw-protected-vm"
