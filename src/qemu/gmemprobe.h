/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemprobe.h: runs a QEMU binary to ask it what it offers. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "gmemcapabilities.h"
#include "gmemqemuconf.h"

/* The time limit for an emulator's answer. libvirt does not have one, and a worker thread of the
 * daemon waits meanwhile. A cold QEMU answers in well under a second, but ten were not enough on a
 * machine that is emulated, or has much more to do than it can. The limit of the child that asks
 * before exec (GMEM_EXEC_TIMEOUT) must be longer. */
#define GMEM_PROBE_TIMEOUT_MS 20000

/* More than this is not a valid answer. The schema of QEMU 11.1 has less than 1 MiB. */
#define GMEM_PROBE_OUTPUT_MAX (16 * 1024 * 1024)

/**
 * gmemProbeSetShim:
 * @path: of qemu-gmem.so; must remain valid
 *
 * From now on gmemProbe() also determines whether the shim is loaded into the emulator.
 */
void gmemProbeSetShim(const char *path);

/**
 * gmemProbe:
 * @emulator: absolute path
 * @user: NULL: keep the current user
 * @timeout: milliseconds, GMEM_PROBE_TIMEOUT_MS
 * @error: VIR_ERR_OPERATION_TIMEOUT, or VIR_ERR_INTERNAL_ERROR with the emulator's last output
 *
 * Spawns `emulator -S -no-user-config -nodefaults -display none -machine none,accel=tcg:kvm -qmp
 * stdio` without privileges (no capabilities, no_new_privs; as root with @user: that user, and no
 * supplementary groups), and talks QMP to it. Of our preloads it only has the shim, if that was set
 * and the user may read it, and GMEM_QEMU_CAPS_NO_SHIM is set if the shim does not answer from
 * QEMU. If a security module confines this process, the shim is not tried, because what we execute
 * may then be run with a scrubbed environment, while QEMU is not when libvirt starts a domain. Nor
 * is no_new_privs set then, because AppArmor would not let the emulator leave a profile with it.
 * Whatever the emulator does, it is killed at the end with its process group; as root, in a PID
 * namespace of its own with every process that it ever created.
 *
 * Safe in the child between fork and exec of a threaded process: takes no locks except malloc's.
 */
gmemQEMUCaps *
gmemProbe(const char *emulator, const gmemQEMUUser *user, unsigned int timeout, GError **error);
