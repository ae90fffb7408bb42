/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimvcpu.h: mode convertible: what the shim does for each vCPU. */
#pragma once

#include <stdbool.h>

/* gmemShimVcpuInit: before the others. Returns 0, or reports the reason and returns -1. */
int gmemShimVcpuInit(void);

/**
 * gmemShimVcpuMade:
 * @kvm: /dev/kvm
 * @fd: a vCPU's descriptor, from KVM_CREATE_VCPU
 *
 * Returns 0, or reports the reason and returns -1 with errno.
 */
int gmemShimVcpuMade(int kvm, int fd);

/**
 * gmemShimVcpuRun:
 * @fd, @argument: of KVM_RUN
 *
 * Runs the vCPU until there is something for QEMU to do. Returns as ioctl(2).
 */
int gmemShimVcpuRun(int fd, void *argument);

/**
 * gmemShimVcpuSetState:
 * @fd, @argument: of KVM_SET_MP_STATE
 *
 * Does that, and resets memory where with this all vCPUs have been set to a state that none of them
 * had run in. Returns as ioctl(2).
 */
int gmemShimVcpuSetState(int fd, void *argument);

/**
 * gmemShimVcpuSetCPUID:
 * @fd, @argument: of KVM_SET_CPUID2
 *
 * Tells the guest that there is KVM_HC_MAP_GPA_RANGE. Returns as ioctl(2).
 */
int gmemShimVcpuSetCPUID(int fd, const void *argument);
