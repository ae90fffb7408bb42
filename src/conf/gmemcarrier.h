/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcarrier.h: the pair of QEMU arguments that carries what a domain asks for through stock
 * libvirt. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemplan.h"
#include "gmemshimconfig.h"

/* Stock QEMU refuses this option, so lowered XML does not start without libvirt-gmem. */
#define GMEM_CARRIER_OPTION "-" GMEM_SHIM_OPTION

/* Version 2 identifies one of several elements by its name
 * ("os/firmware/feature[secure-boot]/@enabled"), and one of several devices by its file
 * ("devices/memory[path:…]/@access"). Version 1 identified devices by their index
 * ("devices/memory[2]/@access"), which changes when a device before it is removed. A pair without
 * such changes still has version 1. */
#define GMEM_CARRIER_VERSION_OLDEST 1
#define GMEM_CARRIER_VERSION 2
#define GMEM_CARRIER_KEY "path:"

/* The path of the change that concerns preallocation, which gmemcommand.c undoes. */
#define GMEM_CARRIER_ALLOCATION "memoryBacking/allocation/@mode"

/* One thing that lowering added or changed. @path leads from <domain> to an attribute, as in
 * "memoryBacking/source/@type". @former is NULL if the attribute did not exist. */
typedef struct {
    char *path;
    char *value;
    char *former;
} gmemCarrierChange;

typedef struct {
    gmemMode mode;
    gmemCarrierChange *changes; /* "added" */
    size_t nchanges;
} gmemCarrier;

gmemCarrier *gmemCarrierNew(void);
void gmemCarrierFree(gmemCarrier *carrier);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemCarrier, gmemCarrierFree)

/* gmemCarrierAddChange: copies its arguments; @former may be NULL. */
void
gmemCarrierAddChange(gmemCarrier *carrier, const char *path, const char *value, const char *former);

/**
 * gmemCarrierFormat:
 *
 * Returns the value of the pair: compact JSON, always the same bytes for the same carrier. Free
 * with g_free().
 */
char *gmemCarrierFormat(const gmemCarrier *carrier);

/* gmemCarrierCheckLength: refuses @text with VIR_ERR_XML_ERROR if it does not fit on a command
 * line. */
int gmemCarrierCheckLength(const char *text, GError **error);

/**
 * gmemCarrierParse:
 * @text: the value of the pair
 * @error: VIR_ERR_XML_ERROR if @text has an unknown version or mode, or is not what
 *         gmemCarrierFormat() writes
 *
 * Also called in the child between fork and exec, so it must not take a lock.
 */
gmemCarrier *gmemCarrierParse(const char *text, GError **error);
