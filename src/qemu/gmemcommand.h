/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcommand.h: makes the command line that QEMU gets from a plan and libvirt's command line. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemcapabilities.h"
#include "gmemplan.h"
#include "gmemmode.h"

/* A memory backend that is RAM. */
typedef struct {
    char *name;                  /* as gmemBackend's */
    char *path;                  /* of a memory-backend-file: its "mem-path"; else NULL */
    unsigned long long size;     /* bytes */
    unsigned long long hugePage; /* bytes; a memory-backend-memfd's "hugetlbsize", else 0 */
} gmemCommandRam;

/* The origin of a word that was not in the command line that was read. */
#define GMEM_COMMAND_NEW G_MAXSIZE

typedef struct {
    char **argv;  /* NULL-terminated; words that stay as they are are those that were read */
    size_t *from; /* of each: which one of those, or GMEM_COMMAND_NEW */
    size_t argc;
    bool shim; /* QEMU requires qemu-gmem.so as a preload; the pair stayed in argv */
    gmemMode mode;
    const char *supplier;       /* gmemQEMUCapsSupplierToString(), or "none" */
    unsigned long long ramSize; /* bytes: the sum of all RAM backends */
    gmemCommandRam *ram;
    size_t nbackends;    /* how many of them */
    char *sharedOnly;    /* the first option that has another process or hardware reach guest
                          * memory: "-device vhost-user-fs-pci"; NULL: none */
    char *firmware;      /* an image that requires SMM; NULL: none */
    bool dumpCore;       /* guest RAM belongs into a core dump of QEMU, QEMU's default */
    bool nodesetsDiffer; /* they are bound to more than one set of host nodes, or in more than one
                          * way: the plan's cellNodesetsDiffer, for the child, which has no other
                          * source */
} gmemCommand;

void gmemCommandFree(gmemCommand *command);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemCommand, gmemCommandFree)

/**
 * gmemCommandHasPair:
 *
 * Returns whether @argv has the carrier option, read as QEMU reads it; no allocation, no lock.
 */
bool gmemCommandHasPair(char *const argv[]);

/**
 * gmemCommandBuild:
 * @argv: the command line as stock libvirt wrote it, including the carrier pair; must outlive the
 *        result
 * @caps: what QEMU offers
 * @startPrivate: in mode convertible, memory is private when the guest starts, if the shim supplies
 *                it
 * @error: VIR_ERR_XML_ERROR for a damaged pair, VIR_ERR_CONFIG_UNSUPPORTED for what cannot be done;
 *         each conflicting memory backend or option is named
 *
 * A pure function that uses neither host nor QEMU, and the authority on what starts. RAM is what
 * the machine uses as RAM: the backend named by -machine memory-backend=, by each -numa …,memdev=,
 * by each pc-dimm's memdev. Every other word of @argv is passed on byte for byte.
 *
 * If the shim is required, the pair stays in its place, and its value becomes the shim's
 * configuration (gmemshimconfig.h), which also identifies the options that create memory: the
 * result must not be changed. A pair of mode "none" (<private/> beside launch security that
 * has guest_memfd by itself) is removed, and nothing else changes.
 *
 * libvirt preallocates huge pages by itself. If lowering recorded a change of
 * memoryBacking/allocation/@mode, this is switched off, because in convertible mode it would take
 * twice the RAM.
 *
 * Also called in the child between fork and exec: takes no lock.
 */
gmemCommand *
gmemCommandBuild(char *const argv[], const gmemQEMUCaps *caps, bool startPrivate, GError **error);
