/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcapabilities.h: what a QEMU binary offers for guest_memfd, as flags found by asking it. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemmode.h"
#include "gmemprops.h"

/* To add a flag: here, its name in gmemcapabilities.c, and how to find it in the schema there. */
typedef enum {
    GMEM_QEMU_CAPS_SW_PROTECTED_VM,   /* object type sw-protected-vm */
    GMEM_QEMU_CAPS_BACKEND_PRIVATE,   /* bool "private" on memory-backend-ram, -file and -memfd */
    GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD, /* switch "guest-memfd" on memory-backend-memfd */
    GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD_ENUM, /* it is an OnOffAuto: in JSON "on", and not true */
    GMEM_QEMU_CAPS_MEMFD_X_GUEST_MEMFD,    /* bool "x-guest-memfd" on memory-backend-memfd */
    GMEM_QEMU_CAPS_MEMFD,   /* object type memory-backend-memfd: the shim requires it */
    GMEM_QEMU_CAPS_NO_SHIM, /* the shim was tried, and does not get into it: a wrapper that clears
                             * the environment, another preload before it */
    GMEM_QEMU_CAPS_LAST
} gmemQEMUCapsFlag;

/* The name of a flag in the cache file and in logs: "sw-protected-vm", "memory-backend.private" …
 */
const char *gmemQEMUCapsFlagToString(gmemQEMUCapsFlag flag);

/* Immutable after it has been created. */
typedef struct {
    char *emulator;       /* absolute path, as the XML names it */
    unsigned int version; /* major * 1000000 + minor * 1000 + micro; for messages only */
    guint64 flags;        /* 1 << gmemQEMUCapsFlag */
} gmemQEMUCaps;

void gmemQEMUCapsFree(gmemQEMUCaps *caps);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemQEMUCaps, gmemQEMUCapsFree)

gmemQEMUCaps *gmemQEMUCapsCopy(const gmemQEMUCaps *caps);

bool gmemQEMUCapsGet(const gmemQEMUCaps *caps, gmemQEMUCapsFlag flag);

/* What supplies guest_memfd in a mode: a row of the table "What QEMU offers" in docs/design.rst
 * each. To add one: here, its row in gmemcapabilities.c, and gmemCommandEmit(), which uses it. */
typedef enum {
    GMEM_QEMU_SUPPLIER_SHIM = 0,
    GMEM_QEMU_SUPPLIER_OBJECT,     /* object type sw-protected-vm */
    GMEM_QEMU_SUPPLIER_PROPERTY,   /* "guest-memfd" of memory-backend-memfd */
    GMEM_QEMU_SUPPLIER_X_PROPERTY, /* "x-guest-memfd" of memory-backend-memfd */
    GMEM_QEMU_SUPPLIER_LAST
} gmemQEMUSupplier;

/* "shim", or the name of the object type or property. */
const char *gmemQEMUCapsSupplierToString(gmemQEMUSupplier supplier);

/* gmemQEMUCapsGetSupplier: what supplies @mode in that QEMU: the shim if it does not offer anything
 * itself. */
gmemQEMUSupplier gmemQEMUCapsGetSupplier(const gmemQEMUCaps *caps, gmemMode mode);

/* gmemQEMUCapsIsSupplied: whether a memory backend has the property by which QEMU itself supplies
 * fully shared memory. */
bool gmemQEMUCapsIsSupplied(const gmemProps *props);

/**
 * gmemQEMUCapsFromQMP:
 * @emulator: for messages and for the result
 * @replies: what QEMU printed on its QMP monitor: lines of JSON: the greeting, then the replies to
 *           qmp_capabilities, query-qmp-schema and quit
 * @error: VIR_ERR_INTERNAL_ERROR naming @emulator if @replies is something else
 *
 * A pure function: the flags are determined from the variants of the argument of object-add.
 */
gmemQEMUCaps *gmemQEMUCapsFromQMP(const char *emulator, const char *replies, GError **error);
