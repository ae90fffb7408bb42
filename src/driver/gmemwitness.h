/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemwitness.h: asks the QEMU of a running domain itself how its memory came about. */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

/* What the process says. */
typedef enum {
    GMEM_WITNESS_FULLY_SHARED, /* the shim is in it: memory backends are guest_memfd, later ones,
                                  too */
    GMEM_WITNESS_CONVERTIBLE,  /* the shim is in it, or in a QEMU that it waits for, in mode
                                  convertible */
    GMEM_WITNESS_PROPERTY,     /* its command line has QEMU use guest_memfd of its own */
    GMEM_WITNESS_OLDER,        /* an older library started it, whose shim says nothing, or it waits
                                  for its QEMU; fully shared by its command line */
    GMEM_WITNESS_SILENT,       /* there is nothing of guest_memfd to be found */
} gmemWitness;

/**
 * gmemWitnessAsk:
 * @domain: a running one of a connection of ours
 * @witness: out
 * @error: VIR_ERR_OPERATION_UNSUPPORTED: the process is not found for certain, or may not be
 *         looked at, or what it says makes no sense; the reason is named
 *
 * The emulator's file at its path may have been replaced since the start; this does not depend on
 * it. A guest that has taken QEMU over can make it say anything: the answer is good for what would
 * otherwise be done by mistake, not as evidence. Returns 0, or -1.
 */
int gmemWitnessAsk(virDomainPtr domain, gmemWitness *witness, GError **error);

/**
 * gmemWitnessFromCommandLine:
 * @text: of /proc/PID/cmdline: words, each with its NUL
 * @length: bytes at @text
 * @uuid: the domain's
 * @witness: out: any but GMEM_WITNESS_FULLY_SHARED
 *
 * Returns whether this is the command line of that domain's QEMU.
 */
bool gmemWitnessFromCommandLine(char *text, gsize length, const char *uuid, gmemWitness *witness);
