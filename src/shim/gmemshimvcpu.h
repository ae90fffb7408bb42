/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimvcpu.h: mode convertible: what the shim does for each vCPU. */
#pragma once

#include <stdbool.h>

/* gmemShimVcpuInit: to be called before the other functions. Returns 0, or reports the reason and
 * returns -1. */
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
 * Performs the call. If the state of all vCPUs has now been set, and none has run since, resets
 * memory. Returns as ioctl(2).
 */
int gmemShimVcpuSetState(int fd, void *argument);

/**
 * gmemShimVcpuSetCPUID:
 * @fd, @argument: of KVM_SET_CPUID2
 *
 * Performs the call, and reports KVM_HC_MAP_GPA_RANGE to the guest. Returns as ioctl(2).
 */
int gmemShimVcpuSetCPUID(int fd, const void *argument);
