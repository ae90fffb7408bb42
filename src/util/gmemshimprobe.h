/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimprobe.h: how the driver's probe of an emulator (gmemprobe.h) determines whether the shim
 * is loaded into the QEMU that it starts, and whether QEMU's calls reach it. */
#pragma once

/* The variable that makes the shim report this when QEMU is started without our option. */
#define GMEM_SHIM_PROBE_VARIABLE "GMEM_SHIM_PROBE"

/* What the shim prints on QEMU's monitor, stdout, before QEMU's greeting: a line that is skipped
 * like any other event. */
#define GMEM_SHIM_PROBE_EVENT "{\"event\": \"X_LIBVIRT_GMEM_SHIM\"}\n"
