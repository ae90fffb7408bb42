/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimprobe.h: how the driver's probe of an emulator (gmemprobe.h) finds out whether the shim
 * gets into the QEMU that it starts, and receives its calls there. */
#pragma once

/* The variable that has the shim say so, where QEMU is started without our option. */
#define GMEM_SHIM_PROBE_VARIABLE "GMEM_SHIM_PROBE"

/* What it says on QEMU's monitor, stdout, before QEMU's greeting: a line that is skipped as any
 * other event is. */
#define GMEM_SHIM_PROBE_EVENT "{\"event\": \"X_LIBVIRT_GMEM_SHIM\"}\n"
