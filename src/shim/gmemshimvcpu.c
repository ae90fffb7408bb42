/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimvcpu.c: mode convertible: what the shim does for each vCPU.
 *
 * The shim reads struct kvm_run in a mapping of its own; KVM allows any number of them. Exits that
 * QEMU must not see, because it has not created the VM that they come from, are served here, and
 * KVM is entered again. This also completes the hypercall. KVM returns at once if QEMU has asked
 * for that (immediate_exit, signals), so QEMU's pause and stop wait for at most one conversion.
 *
 * No call marks a reset of the guest, but what QEMU does then is unmistakable. It stops all vCPUs,
 * resets the devices and gives every vCPU its state again. KVM_SET_MP_STATE is part of this, and is
 * not used for anything else while a guest runs (QEMU 7.2, 10.0 and 11.1). So there has been a
 * reset when the state of each vCPU has been set and none has run since, if at least one had run
 * before. A vCPU that is plugged in gets its state, too, but then the others have run since theirs
 * was set. A vCPU that was unplugged no longer counts: QEMU ends its thread, and that is noticed.
 * Waking up from suspend-to-memory looks the same and would lose memory that has to be kept; it is
 * switched off on QEMU's command line.
 *
 * At a reset, QEMU writes to shared memory, before the vCPUs get their state. This is not lost,
 * because making private memory shared does not touch the shared half. */

#include "gmemshimvcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "gmemkvmabi.h"
#include "gmemshimconvertible.h"
#include "gmemshimerrno.h"
#include "gmemshimhalves.h"
#include "gmemshimlock.h"
#include "gmemshimreal.h"
#include "gmemshimreport.h"

/* If an access fails this many times in a row, this is not a race with a conversion. */
#define GMEM_SHIM_FAULTS_MAX 16

/* How many times, and with which delay (ns), an access is retried if there is no RAM. QEMU replaces
 * slots within microseconds; two tenths of a second are for the slowest machine. */
#define GMEM_SHIM_ABSENT_MAX 100
#define GMEM_SHIM_ABSENT_WAIT 2000000L

typedef struct gmemShimVcpu gmemShimVcpu;
struct gmemShimVcpu {
    gmemShimVcpu *next;
    int fd;
    struct kvm_run *run;
    atomic_bool ran; /* since its state was set, and in a thread that has not ended */
    /* The vCPU's own thread's: */
    uint64_t fault;      /* guest address of the last failed access */
    unsigned int faults; /* how often, without anything else in between */
    unsigned int absent; /* how often there was no RAM there */
};

static pthread_mutex_t gmemShimVcpuLock = PTHREAD_MUTEX_INITIALIZER;
static gmemShimVcpu *gmemShimVcpus;   /* grows only */
static bool gmemShimVcpuAnyRan;       /* since the last reset */
static pthread_key_t gmemShimVcpuKey; /* the vCPU that a thread runs */

static gmemShimVcpu *
gmemShimVcpuFind(int fd)
{
    gmemShimVcpu *vcpu;

    for (vcpu = gmemShimVcpus; vcpu != NULL; vcpu = vcpu->next) {
        if (vcpu->fd == fd)
            return vcpu;
    }
    return NULL;
}

/* Called at the end of a vCPU's thread: the vCPU was unplugged. */
static void
gmemShimVcpuLeft(void *data)
{
    gmemShimVcpu *vcpu = data;

    GMEM_SHIM_LOCKED(&gmemShimVcpuLock);
    vcpu->ran = false;
}

/* Returns the vCPU that this thread runs, and records that it does. */
static gmemShimVcpu *
gmemShimVcpuEnter(int fd)
{
    gmemShimVcpu *vcpu = pthread_getspecific(gmemShimVcpuKey);

    if (vcpu != NULL && vcpu->fd == fd && vcpu->ran)
        return vcpu;

    GMEM_SHIM_LOCKED(&gmemShimVcpuLock);
    vcpu = gmemShimVcpuFind(fd);
    if (vcpu == NULL)
        return NULL;
    vcpu->ran = true;
    gmemShimVcpuAnyRan = true;
    pthread_setspecific(gmemShimVcpuKey, vcpu);
    return vcpu;
}

static bool
gmemShimVcpuIsConversion(const struct kvm_run *run)
{
    return run->exit_reason == KVM_EXIT_HYPERCALL && run->hypercall.nr == KVM_HC_MAP_GPA_RANGE;
}

/* KVM has verified that the arguments are whole pages and do not overflow. */
static void
gmemShimVcpuConvert(struct kvm_run *run)
{
    const uint64_t address = run->hypercall.args[0];
    const uint64_t pages = run->hypercall.args[1];
    const bool isPrivate = (run->hypercall.args[2] & KVM_MAP_GPA_RANGE_ENCRYPTED) != 0;
    int result = -EINVAL;

    if (pages <= UINT64_MAX / GMEM_SHIM_PAGE)
        result = gmemShimConvertibleMap(address, pages * GMEM_SHIM_PAGE, isPrivate);
    run->hypercall.ret = (uint64_t)(int64_t)result;
}

static void
gmemShimVcpuForget(gmemShimVcpu *vcpu)
{
    vcpu->faults = 0;
    vcpu->absent = 0;
}

/* QEMU's threads do not wait for anything that this one holds meanwhile, and a signal ends the
 * wait. */
static bool
gmemShimVcpuWait(gmemShimVcpu *vcpu, bool isPrivate)
{
    const struct timespec wait = {.tv_nsec = GMEM_SHIM_ABSENT_WAIT};

    vcpu->faults = 0;
    if (vcpu->absent++ < GMEM_SHIM_ABSENT_MAX) {
        nanosleep(&wait, NULL);
        return true;
    }
    gmemShimReport(isPrivate ? "the guest accessed 0x%llx as private memory, where there is none"
                             : "the guest accessed 0x%llx as shared memory, where there is none",
                   (unsigned long long)vcpu->fault);
    return false;
}

/* Returns whether the guest should try again. Preserves errno. */
static bool
gmemShimVcpuFault(gmemShimVcpu *vcpu)
{
    GMEM_SHIM_KEEP_ERRNO;
    struct gmemKVMMemoryFault fault;
    bool isPrivate;

    /* For a <linux/kvm.h> that is too old to have it in the union. */
    memcpy(&fault, &vcpu->run->hw, sizeof(fault));
    isPrivate = (fault.flags & KVM_MEMORY_EXIT_FLAG_PRIVATE) != 0;
    if (vcpu->fault != fault.gpa)
        gmemShimVcpuForget(vcpu);
    vcpu->fault = fault.gpa;
    vcpu->faults++;
    switch (gmemShimConvertibleFault(fault.gpa, fault.size, isPrivate,
                                     vcpu->faults > GMEM_SHIM_FAULTS_MAX)) {
    case GMEM_SHIM_FAULT_RETRY:
        return true;
    case GMEM_SHIM_FAULT_ABSENT:
        return gmemShimVcpuWait(vcpu, isPrivate);
    case GMEM_SHIM_FAULT_STOP:
    default:
        return false;
    }
}

/* The leaf that KVM uses for its features, which Hyper-V can move. */
static struct kvm_cpuid_entry2 *
gmemShimVcpuFeatures(struct kvm_cpuid2 *cpuid)
{
    uint32_t i;

    for (i = 0; i < cpuid->nent; i++) {
        const struct kvm_cpuid_entry2 *base = &cpuid->entries[i];
        const uint32_t signature[3] = {base->ebx, base->ecx, base->edx};
        uint32_t j;

        if (base->function < KVM_CPUID_SIGNATURE ||
            base->function >= KVM_CPUID_SIGNATURE + 0x10000 ||
            memcmp(signature, "KVMKVMKVM\0\0\0", sizeof(signature)) != 0)
            continue;
        for (j = 0; j < cpuid->nent; j++) {
            if (cpuid->entries[j].function == base->function + 1)
                return &cpuid->entries[j];
        }
    }
    return NULL;
}

int
gmemShimVcpuInit(void)
{
    const int error = pthread_key_create(&gmemShimVcpuKey, gmemShimVcpuLeft);

    if (error != 0) {
        errno = error;
        gmemShimReport("cannot watch the vCPUs' threads: %m");
        return -1;
    }
    return 0;
}

int
gmemShimVcpuMade(int kvm, int fd)
{
    gmemShimRealTable *real = gmemShimReal();
    const int size = real->ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);
    gmemShimVcpu *vcpu = size > 0 ? calloc(1, sizeof(*vcpu)) : NULL;
    void *run = MAP_FAILED;

    if (vcpu != NULL)
        run = real->mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (run == MAP_FAILED) {
        GMEM_SHIM_KEEP_ERRNO;

        gmemShimReport("cannot watch a vCPU: %m");
        free(vcpu);
        return -1;
    }
    vcpu->fd = fd;
    vcpu->run = run;

    GMEM_SHIM_LOCKED(&gmemShimVcpuLock);
    vcpu->next = gmemShimVcpus;
    gmemShimVcpus = vcpu;
    return 0;
}

int
gmemShimVcpuRun(int fd, void *argument)
{
    gmemShimRealTable *real = gmemShimReal();
    gmemShimVcpu *vcpu = gmemShimVcpuEnter(fd);

    for (;;) {
        const int result = real->ioctl(fd, KVM_RUN, argument);

        if (vcpu == NULL)
            return result;
        if (result == 0 && gmemShimVcpuIsConversion(vcpu->run)) {
            gmemShimVcpuForget(vcpu);
            gmemShimVcpuConvert(vcpu->run);
            continue;
        }
        if (result == 0 || errno != EFAULT || vcpu->run->exit_reason != KVM_EXIT_MEMORY_FAULT) {
            gmemShimVcpuForget(vcpu);
            return result;
        }
        if (!gmemShimVcpuFault(vcpu))
            return result;
    }
}

int
gmemShimVcpuSetState(int fd, void *argument)
{
    const int result = gmemShimReal()->ioctl(fd, KVM_SET_MP_STATE, argument);
    GMEM_SHIM_KEEP_ERRNO;
    gmemShimVcpu *vcpu;

    if (result < 0)
        return result;

    GMEM_SHIM_LOCKED(&gmemShimVcpuLock);
    vcpu = gmemShimVcpuFind(fd);
    if (vcpu == NULL)
        return result;
    vcpu->ran = false;
    for (vcpu = gmemShimVcpus; vcpu != NULL; vcpu = vcpu->next) {
        if (vcpu->ran)
            return result;
    }
    if (gmemShimVcpuAnyRan) {
        gmemShimVcpuAnyRan = false;
        gmemShimConvertibleReset();
    }
    return result;
}

int
gmemShimVcpuSetCPUID(int fd, const void *argument)
{
    const struct kvm_cpuid2 *asked = argument;
    const size_t size = sizeof(*asked) + asked->nent * sizeof(asked->entries[0]);
    struct kvm_cpuid2 *given = malloc(size);
    struct kvm_cpuid_entry2 *features;
    int result;

    if (given == NULL)
        return -1;
    memcpy(given, asked, size);
    features = gmemShimVcpuFeatures(given);
    if (features != NULL)
        features->eax |= 1U << KVM_FEATURE_HC_MAP_GPA_RANGE;
    result = gmemShimReal()->ioctl(fd, KVM_SET_CPUID2, given);
    free(given); /* preserves errno since glibc 2.33 */
    return result;
}
