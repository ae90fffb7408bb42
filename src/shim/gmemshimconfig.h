/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimconfig.h: the shim's configuration, as it stands in QEMU's argv. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The option whose value is the configuration; no QEMU knows it. */
#define GMEM_SHIM_OPTION "x-libvirt-gmem"

#define GMEM_SHIM_CONFIG_VERSION 1

/* As many as a machine can have: QEMU allows 128 NUMA nodes (MAX_NODES) and ACPI 256 memory slots
 * (ACPI_MAX_RAM_SLOTS); the rest is room to grow. */
#define GMEM_SHIM_BACKENDS_MAX 512

/* For each an object, a device and a node. */
#define GMEM_SHIM_OPTIONS_MAX (8 * GMEM_SHIM_BACKENDS_MAX)

/* An id of QEMU's, with its NUL. QEMU has no limit; libvirt's are short ("ram-node127"). */
#define GMEM_SHIM_ID_MAX 64

/* To add one: here, and its name in gmemshimconfig.c. The names are those of gmemModeToString(). */
typedef enum {
    GMEM_SHIM_MODE_CONVERTIBLE,
    GMEM_SHIM_MODE_FULLY_SHARED,
    GMEM_SHIM_MODE_LAST
} gmemShimMode;

const char *gmemShimModeToString(gmemShimMode mode);

/* A memory backend of the command line. */
typedef struct {
    char id[GMEM_SHIM_ID_MAX];
    unsigned long long size; /* bytes */
    bool ram;                /* else an NVDIMM's or a virtio-pmem's: a file of the host */
} gmemShimConfigBackend;

typedef struct {
    gmemShimMode mode;
    unsigned int backends;  /* how many RAM backends QEMU's command line makes; at least one */
    unsigned long long ram; /* their sizes added up, in bytes; not zero */

    uint64_t *options;     /* what gmemArgvHash() gives of each option that makes memory */
    unsigned int nOptions; /* how many; 0: an older libvirt-gmem did not tell */

    /* Mode convertible only. */
    bool startPrivate;           /* what memory is when the guest starts */
    gmemShimConfigBackend *list; /* all memory backends as QEMU makes them, one after another */
    unsigned int listed;         /* how many */
} gmemShimConfig;

/**
 * gmemShimConfigParse:
 * @value: the option's value: "version=1,mode=fully-shared,backends=2,ram=536870912", just so; in
 *         mode convertible ",start=shared" (or private) comes behind it, and for each memory
 *         backend of the command line, in its order, ",backend=ID:SIZE", or ",other=ID:SIZE" where
 *         that is no RAM; at the end of each ",argv=HASH:HASH…", which an older libvirt-gmem lacks
 * @config: out; free with gmemShimConfigClear()
 * @reason: out: where it is refused, why; translated
 * @reasonSize: bytes at @reason
 *
 * Returns whether @value is a configuration that this shim serves.
 */
bool
gmemShimConfigParse(const char *value, gmemShimConfig *config, char *reason, size_t reasonSize);

void gmemShimConfigClear(gmemShimConfig *config);
