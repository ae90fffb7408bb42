/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimstatus.h: what the shim of a convertible domain publishes: where its memory is.
 *
 * A memfd of QEMU's, named GMEM_SHIM_STATUS_NAME, mode 0600: it lasts as long as QEMU does, is in
 * no directory, and /proc/PID/fd opens it for QEMU's user and root alone. Readers map it read-only.
 * The layout is an interface between the shim and virt-gmem of one version; `version` changes with
 * it. Numbers are written with atomic stores, each right by itself; a sum that must be consistent
 * is read between two equal even values of `sequence`. */
#pragma once

#include <stdint.h>

#define GMEM_SHIM_STATUS_NAME "libvirt-gmem-status"
#define GMEM_SHIM_STATUS_MAGIC "GMEMSTAT"
#define GMEM_SHIM_STATUS_VERSION 1
#define GMEM_SHIM_STATUS_ID_MAX 64

/* A RAM backend. privateBytes + sharedBytes is its size. */
typedef struct {
    char id[GMEM_SHIM_STATUS_ID_MAX]; /* QEMU's id of the memory backend: "ram-node0"; cut to fit */
    uint64_t privateBytes;            /* of guest pages that are private now */
    uint64_t sharedBytes;
    uint64_t
        toPrivate; /* conversions that made something of this backend private, since the start */
    uint64_t toShared; /* and shared */
    uint64_t reserved[4];
} gmemShimStatusBackend;

typedef struct {
    char magic[8];
    uint32_t version;
    uint32_t backends;     /* how many of them follow */
    uint64_t sequence;     /* odd while numbers are being changed */
    uint64_t hypercalls;   /* KVM_HC_MAP_GPA_RANGE that the guest made */
    uint64_t implicit;     /* conversions because of an access, not of a hypercall */
    uint64_t refused;      /* hypercalls that were answered with an error */
    uint64_t resets;       /* of the guest: all memory went back to its initial state */
    uint64_t startPrivate; /* 1: memory starts private, 0: shared */
    gmemShimStatusBackend backend[];
} gmemShimStatus;
