/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-shim.c: does what the shim does for a convertible guest, on an imitated KVM that accepts
 * everything, so that callgrind can count its instructions.
 *
 * usage: bench-shim PIECE FILE
 *
 * The piece is "convert" or "exit" (of KVM_RUN, one that is not a conversion). FILE has the bytes
 * to convert, the number of slots, and the number of conversions that the guest has made before.
 * The piece is done once in benchMeasured(), where it is counted, and once before. */

#include <errno.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gmemkvmabi.h"
#include "gmemshimconfig.h"
#include "gmemshimconvertible.h"
#include "gmemshimhalves.h"
#include "gmemshimreal.h"
#include "gmemshimvcpu.h"

#define BENCH_GIB (1024ULL * 1024 * 1024)
#define BENCH_CONFIG                                                                               \
    "version=1,mode=convertible,backends=1,ram=4294967296,start=shared,backend=ram:4294967296"
#define BENCH_KVM 1000000
#define BENCH_VM 1000001

/* The first slot has two GiB, and the others share the rest. */
#define BENCH_FIRST (2 * BENCH_GIB)

static struct kvm_run *benchRun;

static int
benchIoctl(int fd, unsigned long request, ...)
{
    const struct gmemKVMCreateGuestMemfd *create;
    va_list args;
    int memfd;

    (void)fd;
    va_start(args, request);
    create = va_arg(args, const void *);
    va_end(args);
    switch (request) {
    case KVM_CREATE_VM:
        return BENCH_VM;
    case KVM_CHECK_EXTENSION:
        return fd == BENCH_VM ? 1 : 2;
    case GMEM_KVM_CREATE_GUEST_MEMFD:
        memfd = memfd_create("guest", MFD_CLOEXEC);
        return ftruncate(memfd, (off_t)create->size) == 0 ? memfd : -1;
    case KVM_GET_VCPU_MMAP_SIZE:
        return (int)GMEM_SHIM_PAGE;
    case KVM_RUN:
        benchRun->exit_reason = KVM_EXIT_IO;
        return 0;
    default:
        return 0;
    }
}

static void __attribute__((noreturn)) benchFail(const char *what)
{
    fprintf(stderr, "bench-shim: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void
benchSetSlot(uint32_t slot, uint64_t address, uint64_t size, const char *memory)
{
    const struct kvm_userspace_memory_region region = {
        .slot = slot,
        .guest_phys_addr = address,
        .memory_size = size,
        .userspace_addr = (uintptr_t)memory + address,
    };

    if (gmemShimConvertibleSetSlot(&region, KVM_SET_USER_MEMORY_REGION) < 0)
        benchFail("slot");
}

static void
benchBegin(unsigned long slots, unsigned long earlier)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    static gmemShimConfig config;
    char reason[512] = "";
    unsigned long i;
    uint64_t each;
    char *memory;

    gmemShimReal()->ioctl = benchIoctl;
    if (!gmemShimConfigParse(BENCH_CONFIG, &config, reason, sizeof(reason)) ||
        gmemShimConvertibleInit(&config) < 0 || gmemShimVcpuInit() < 0 ||
        gmemShimConvertibleCreateVM(BENCH_KVM) < 0)
        benchFail(reason);
    memory = mmap(NULL, 4 * BENCH_GIB, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED ||
        gmemShimConvertibleMapped(memory, 4 * BENCH_GIB, flags | MAP_FIXED, -1) < 0)
        benchFail("memory");
    benchSetSlot(0, 0, BENCH_FIRST, memory);
    each = BENCH_FIRST / slots / GMEM_SHIM_PAGE * GMEM_SHIM_PAGE;
    for (i = 1; i < slots; i++)
        benchSetSlot((uint32_t)i, BENCH_FIRST + (i - 1) * each, each, memory);
    for (i = 0; i < earlier; i++)
        gmemShimConvertibleMap(BENCH_FIRST / 2 + 2 * i * GMEM_SHIM_PAGE, GMEM_SHIM_PAGE, true);
}

static int
benchMakeVcpu(void)
{
    const int fd = memfd_create("vcpu", MFD_CLOEXEC);

    if (ftruncate(fd, (off_t)GMEM_SHIM_PAGE) < 0)
        benchFail("vCPU");
    benchRun = mmap(NULL, GMEM_SHIM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (benchRun == MAP_FAILED || gmemShimVcpuMade(BENCH_KVM, fd) < 0)
        benchFail("vCPU");
    return fd;
}

/* The symbol that callgrind looks for; the compiler must not make copies of it under other names.
 */
#if !__has_attribute(noipa)
#define noipa noinline
#endif
static int __attribute__((noipa)) benchMeasured(int vcpu, uint64_t size)
{
    return vcpu >= 0 ? gmemShimVcpuRun(vcpu, NULL) : gmemShimConvertibleMap(0, size, true);
}

int
main(int argc, char **argv)
{
    unsigned long long size;
    unsigned long slots, earlier;
    FILE *file = argc == 3 ? fopen(argv[2], "r") : NULL;
    int vcpu;

    if (file == NULL || fscanf(file, "%llu %lu %lu", &size, &slots, &earlier) != 3 || slots == 0)
        return EXIT_FAILURE;
    fclose(file);
    benchBegin(slots, earlier);
    vcpu = strcmp(argv[1], "exit") == 0 ? benchMakeVcpu() : -1;
    if (vcpu >= 0)
        gmemShimVcpuRun(vcpu, NULL);
    else if (gmemShimConvertibleMap(0, size, true) < 0 ||
             gmemShimConvertibleMap(0, size, false) < 0)
        benchFail("conversion");
    return benchMeasured(vcpu, size) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
