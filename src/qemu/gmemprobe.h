/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemprobe.h: runs a QEMU binary to ask it what it offers. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "gmemcapabilities.h"
#include "gmemqemuconf.h"

/* How long an emulator may take to answer. libvirt has no limit of its own there, and a daemon's
 * worker thread waits meanwhile; a cold QEMU answers in well under a second. */
#define GMEM_PROBE_TIMEOUT_MS 10000

/* More than this is not an answer. The schema of QEMU 11.1 has under 1 MiB. */
#define GMEM_PROBE_OUTPUT_MAX (16 * 1024 * 1024)

/**
 * gmemProbeSetShim:
 * @path: of qemu-gmem.so; must stay as it is
 *
 * From now on gmemProbe() also finds out whether the shim gets into the emulator.
 */
void gmemProbeSetShim(const char *path);

/**
 * gmemProbe:
 * @emulator: absolute path
 * @user: NULL: stay who we are
 * @timeout: milliseconds, GMEM_PROBE_TIMEOUT_MS
 * @error: VIR_ERR_OPERATION_TIMEOUT, or VIR_ERR_INTERNAL_ERROR with the emulator's last words
 *
 * Spawns `emulator -S -no-user-config -nodefaults -display none -machine none,accel=tcg:kvm -qmp
 * stdio` without privileges (no capabilities, no_new_privs; as root with @user: that user, and no
 * supplementary groups), and talks QMP to it. Of our preloads it has the shim alone, where that was
 * set and the user may read it, and GMEM_QEMU_CAPS_NO_SHIM is set where the shim does not answer
 * from QEMU. Under a security module that confines this process that is not tried: it may have what
 * we execute run with a scrubbed environment, which it does not when libvirt starts a domain. Nor
 * is no_new_privs set then, with which AppArmor refuses to leave a profile.
 * Whatever it does, it is killed at the end with its process group; as root in a PID namespace of
 * its own with every process it ever made.
 *
 * Safe in the child between fork and exec of a threaded process: no locks, malloc apart.
 */
gmemQEMUCaps *
gmemProbe(const char *emulator, const gmemQEMUUser *user, unsigned int timeout, GError **error);
