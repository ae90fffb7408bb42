/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimstatus.h: what the shim publishes about the QEMU that it is loaded into: what its memory
 * is, and where.
 *
 * The status is in a memfd of QEMU's, named GMEM_SHIM_STATUS_NAME, with mode 0600, and sealed. It
 * lasts as long as QEMU, is not in any directory, and only QEMU's user and root can open it through
 * /proc/PID/fd. Readers use gmemstatus.h. Numbers are written with atomic stores, so each one is
 * right by itself; numbers that must be consistent with each other are read between two equal even
 * values of `sequence`.
 *
 * The layout is an interface: a guest keeps the shim that it was started with, whatever is
 * installed later. So each version that was ever released remains readable, and a change is a new
 * version:
 *
 *   1   convertible mode only; the head ends with startPrivate
 *   2   both modes; the head as below
 *
 * Members that used to be `reserved` are 0 if an older shim has written them, which means "not
 * reported". */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define GMEM_SHIM_STATUS_NAME "libvirt-gmem-status"
#define GMEM_SHIM_STATUS_MAGIC "GMEMSTAT"
#define GMEM_SHIM_STATUS_VERSION 2
#define GMEM_SHIM_STATUS_ID_MAX 64

/* A RAM backend. Its size is privateBytes + sharedBytes. */
typedef struct {
    char id[GMEM_SHIM_STATUS_ID_MAX]; /* QEMU's id of the memory backend: "ram-node0"; cut to fit */
    uint64_t privateBytes;            /* of guest pages that are private now */
    uint64_t sharedBytes;
    uint64_t
        toPrivate; /* conversions that made something of this backend private, since the start */
    uint64_t toShared; /* and shared */
    uint64_t inode;    /* of its guest_memfd */
    uint64_t address;  /* convertible: of the shared half, in QEMU's address space */
    uint64_t reserved[2];
} gmemShimStatusBackend;

/* A memory slot of KVM. */
typedef struct {
    uint64_t guest;   /* the guest address at which it begins */
    uint64_t size;    /* bytes; 0: the entry is free */
    uint64_t address; /* in QEMU's address space */
    uint32_t number;
    uint32_t reserved;
} gmemShimStatusSlot;

/* The maximum number of slots that is published. A machine has a dozen, and one for each DIMM. */
#define GMEM_SHIM_STATUS_SLOTS_MAX 512

/* Values of gmemShimStatus.mode; 0 is not used. */
#define GMEM_SHIM_STATUS_CONVERTIBLE 1
#define GMEM_SHIM_STATUS_FULLY_SHARED 2

typedef struct {
    char magic[8];
    uint32_t version;
    uint32_t backends;   /* how many of them follow. Mode fully-shared: those that were made so far,
                          * without an id: the first ones are RAM of the command line, as it stands
                          * there; none from an older shim */
    uint64_t sequence;   /* odd while numbers are being changed */
    uint64_t hypercalls; /* KVM_HC_MAP_GPA_RANGE that the guest made */
    uint64_t implicit;   /* conversions because of an access, not of a hypercall */
    uint64_t refused;    /* hypercalls that were answered with an error */
    uint64_t resets;     /* of the guest: all memory went back to its initial state */
    uint64_t startPrivate; /* 1: memory starts private, 0: shared */
    /* Since version 2: */
    uint32_t mode;     /* GMEM_SHIM_STATUS_… */
    uint32_t verified; /* 1: at the first KVM_RUN all RAM was found to be guest_memfd; 0: not yet */
    uint64_t ram;      /* bytes of RAM that QEMU's command line made */
    uint64_t held;     /* times that memory could not be given back, or bound, after a conversion */
    uint64_t slotsAt;  /* bytes from the file's start: a list of gmemShimStatusSlot */
    uint32_t slotRoom; /* how many entries it has */
    uint32_t slotsLost; /* 1: a slot did not fit into it */
    uint64_t reserved[3];
    gmemShimStatusBackend backend[];
} gmemShimStatus;

/* The size of version 1's head, in bytes. */
#define GMEM_SHIM_STATUS_HEAD_1 offsetof(gmemShimStatus, mode)
