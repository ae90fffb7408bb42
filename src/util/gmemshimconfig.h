/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimconfig.h: the shim's configuration in QEMU's argv: the value of the pair if the shim is
 * required. It is not JSON, so that the shim does not need a parser for that:
 *
 *   version=1,mode=fully-shared,backends=2,ram=536870912,argv=0123456789abcdef
 *   version=1,mode=convertible,backends=1,ram=268435456,start=shared,backend=pc.ram:268435456,argv=…
 *
 * The first four keys are always present, in this order. mode is a word of gmemModeToString(),
 * backends is the number of RAM backends, and ram is their total size in bytes. In convertible
 * mode, start follows, which says what memory is when the guest starts, and then id and size of
 * each memory backend on the command line, in the order in which QEMU creates them: backend= for
 * RAM, other= for an NVDIMM or a virtio-pmem. At the end is ",argv=HASH:HASH…" with 16 hexadecimal
 * digits for each option on the command line that creates memory (gmemargv.h), in order; an older
 * libvirt-gmem does not write this. The shim refuses anything else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gmemmode.h"

/* The option whose value is the configuration and, before that, what libvirt's XML carries
 * (gmemcarrier.h). No QEMU knows it. Without the dash: names are compared as QEMU does. */
#define GMEM_SHIM_OPTION "x-libvirt-gmem"

#define GMEM_SHIM_CONFIG_VERSION 1

/* The maximum that a machine can have: QEMU allows 128 NUMA nodes (MAX_NODES) and ACPI 256 memory
 * slots (ACPI_MAX_RAM_SLOTS); the rest is room to grow. */
#define GMEM_SHIM_BACKENDS_MAX 512

/* For each memory backend an object, a device and a node. */
#define GMEM_SHIM_OPTIONS_MAX (8 * GMEM_SHIM_BACKENDS_MAX)

/* The size of an id, including its NUL. QEMU has no limit; libvirt's ids are short ("ram-node127").
 */
#define GMEM_SHIM_ID_MAX 64

/* A memory backend on the command line. */
typedef struct {
    char id[GMEM_SHIM_ID_MAX];
    unsigned long long size; /* bytes */
    bool ram;                /* else an NVDIMM's or a virtio-pmem's: a file of the host */
} gmemShimConfigBackend;

typedef struct {
    gmemMode mode;
    unsigned int backends;  /* how many RAM backends QEMU's command line makes; at least one */
    unsigned long long ram; /* their sizes added up, in bytes; not zero */

    uint64_t *options;     /* what gmemArgvHash() gives of each option that makes memory */
    unsigned int nOptions; /* how many; 0: an older libvirt-gmem did not tell */

    /* Mode convertible only. */
    bool startPrivate;           /* what memory is when the guest starts */
    gmemShimConfigBackend *list; /* all memory backends as QEMU makes them, one after another */
    unsigned int listed;         /* how many */
} gmemShimConfig;

/* gmemShimConfigFormat: the text for gmemShimConfigParse(), to be freed with free(). Ends the
 * process if there is no memory, as GLib does. */
char *gmemShimConfigFormat(const gmemShimConfig *config);

/**
 * gmemShimConfigParse:
 * @value: the option's value
 * @config: out; free with gmemShimConfigClear()
 * @reason: out: if it is refused, the reason
 * @reasonSize: the size of @reason in bytes
 *
 * Returns whether @value is a configuration that this shim can serve.
 */
bool
gmemShimConfigParse(const char *value, gmemShimConfig *config, char *reason, size_t reasonSize);

/* gmemShimConfigHasMode: whether @value is a configuration of any version, and for @mode. */
bool gmemShimConfigHasMode(const char *value, gmemMode mode);

void gmemShimConfigClear(gmemShimConfig *config);
