/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimconfig.h: the shim's configuration, as it stands in QEMU's argv. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The option whose value is the configuration; no QEMU knows it. */
#define GMEM_SHIM_OPTION "x-libvirt-gmem"

#define GMEM_SHIM_CONFIG_VERSION 1

/* As many as a machine can have: QEMU allows 128 NUMA nodes (MAX_NODES) and ACPI 256 memory slots
 * (ACPI_MAX_RAM_SLOTS); the rest is room to grow. */
#define GMEM_SHIM_BACKENDS_MAX 512

/* To add one: here, and its name in gmemshimconfig.c. The names are those of gmemModeToString(). */
typedef enum {
    GMEM_SHIM_MODE_CONVERTIBLE,
    GMEM_SHIM_MODE_FULLY_SHARED,
    GMEM_SHIM_MODE_LAST
} gmemShimMode;

const char *gmemShimModeToString(gmemShimMode mode);

typedef struct {
    gmemShimMode mode;
    unsigned int backends;  /* how many RAM backends QEMU's command line makes; at least one */
    unsigned long long ram; /* their sizes added up, in bytes; not zero */
} gmemShimConfig;

/**
 * gmemShimConfigParse:
 * @value: the option's value: "version=1,mode=fully-shared,backends=2,ram=536870912", just so
 * @config: out
 * @reason: out: where it is refused, why; translated
 * @reasonSize: bytes at @reason
 *
 * Returns whether @value is a configuration that this shim serves.
 */
bool
gmemShimConfigParse(const char *value, gmemShimConfig *config, char *reason, size_t reasonSize);
