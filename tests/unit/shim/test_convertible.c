/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_convertible.c: the shim's convertible mode on an imitated KVM.
 *
 * No host of a distribution has KVM_X86_SW_PROTECTED_VM, so here the shim's ioctl() goes to
 * fakeIoctl(), which imitates what Documentation/virt/kvm/api.rst of Linux 7.2 says of the requests
 * that the shim makes: which slots KVM accepts, what attributes are, what is in struct kvm_run. The
 * memory is real: a guest_memfd is a memfd, in which holes can be punched as well. tests/nested
 * shows what the real KVM does with all this. The shim's state belongs to a process, so each test
 * has its own process. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/kvm_para.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gmemkvmabi.h"
#include "gmemshimconfig.h"
#include "gmemshimconvertible.h"
#include "gmemshimhalves.h"
#include "gmemshimreal.h"
#include "gmemshimstatus.h"
#include "gmemshimvcpu.h"
#include "test_locked.h"

#define PAGE GMEM_SHIM_PAGE
#define MIB (1024 * 1024ULL)
#define LOW_SIZE (2 * MIB)
#define HIGH_SIZE (1 * MIB)
#define HIGH_ADDRESS LOW_SIZE
#define PAGES_MAX (160 * MIB / PAGE)
#define SLOTS_MAX 600
#define EXITS_MAX 128
#define FAKE_KVM 1000000
#define FAKE_VM 1000001
#define CONFIG                                                                                     \
    "version=1,mode=convertible,backends=2,ram=3145728,start=%s,backend=ram-node0:2097152,"        \
    "other=nv:1048576,backend=ram-node1:1048576"

typedef struct {
    bool used;
    struct gmemKVMMemoryRegion2 region;
} FakeSlot;

/* What KVM_RUN returns with. */
typedef struct {
    int error;
    uint32_t reason;
    uint64_t args[3]; /* of a hypercall; flags, gpa and size of a memory fault */
} FakeExit;

static struct {
    pthread_mutex_t lock;
    FakeSlot slots[SLOTS_MAX];
    bool attribute[PAGES_MAX]; /* private */
    unsigned int attributesSet;
    bool refuseAttributes;
    unsigned long refused; /* a request that fails, or 0 */
    uint64_t type;
    uint64_t exitHypercall;
    uint32_t cpuidFeatures;
    FakeExit exits[EXITS_MAX];
    unsigned int nextExit;
    int64_t results[EXITS_MAX]; /* of hypercalls, as they are when KVM is entered again */
    struct kvm_run *run;        /* of the vCPU that runs */
    void (*meanwhile)(void);    /* what has to wait while an attribute is set */
    sem_t *leave;               /* … or the thread that this ends */
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

static char *low;  /* the shared halves, and an NVDIMM */
static char *high; /* … */
static char *nvdimm;
static gmemShimConfig config;

static bool
fakeOverlap(uint64_t start, uint64_t size, uint64_t other, uint64_t otherSize)
{
    return start < other + otherSize && other < start + size;
}

static int
fakeFail(int error)
{
    errno = error;
    return -1;
}

static int
fakeSetSlot(const struct gmemKVMMemoryRegion2 *region)
{
    const bool gmem = (region->flags & KVM_MEM_GUEST_MEMFD) != 0;
    FakeSlot *slot = &fake.slots[region->slot];
    size_t i;

    g_assert_cmpuint(region->slot, <, SLOTS_MAX);
    if (region->memory_size == 0) {
        if (!slot->used)
            return fakeFail(EINVAL);
        slot->used = false;
        return 0;
    }
    if (gmem && (region->flags & (KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES)) != 0)
        return fakeFail(EINVAL);
    if (slot->used && (gmem || (slot->region.flags & KVM_MEM_GUEST_MEMFD) != 0))
        return fakeFail(EINVAL);
    for (i = 0; i < SLOTS_MAX; i++) {
        const struct gmemKVMMemoryRegion2 *other = &fake.slots[i].region;

        if (!fake.slots[i].used || i == region->slot)
            continue;
        if (fakeOverlap(region->guest_phys_addr, region->memory_size, other->guest_phys_addr,
                        other->memory_size))
            return fakeFail(EEXIST);
        /* Linux 6.12 does this; 7.2 returns EEXIST here, too. */
        if (gmem && (other->flags & KVM_MEM_GUEST_MEMFD) != 0 &&
            region->guest_memfd == other->guest_memfd &&
            fakeOverlap(region->guest_memfd_offset, region->memory_size, other->guest_memfd_offset,
                        other->memory_size))
            return fakeFail(EINVAL);
    }
    slot->used = true;
    slot->region = *region;
    return 0;
}

static int
fakeSetAttributes(const struct gmemKVMMemoryAttributes *attributes)
{
    uint64_t i;

    if (fake.refuseAttributes)
        return fakeFail(ENOMEM);
    g_assert_cmpuint((attributes->address | attributes->size) % PAGE, ==, 0);
    g_assert_cmpuint(attributes->address + attributes->size, <=, PAGES_MAX * PAGE);
    for (i = 0; i < attributes->size / PAGE; i++)
        fake.attribute[attributes->address / PAGE + i] = attributes->attributes != 0;
    fake.attributesSet++;
    return 0;
}

static int
fakeRun(void)
{
    const FakeExit *next = &fake.exits[fake.nextExit];

    g_assert_cmpuint(fake.nextExit, <, EXITS_MAX);
    if (fake.nextExit > 0 && fake.run->exit_reason == KVM_EXIT_HYPERCALL)
        fake.results[fake.nextExit - 1] = (int64_t)fake.run->hypercall.ret;
    fake.nextExit++;
    fake.run->exit_reason = next->reason;
    if (next->reason == KVM_EXIT_HYPERCALL) {
        fake.run->hypercall.nr = KVM_HC_MAP_GPA_RANGE;
        memcpy(fake.run->hypercall.args, next->args, sizeof(next->args));
    } else {
        memcpy(&fake.run->hw, next->args, sizeof(next->args));
    }
    return next->error == 0 ? 0 : fakeFail(next->error);
}

static int
fakeLocked(int fd, unsigned long request, void *argument)
{
    const struct gmemKVMCreateGuestMemfd *create = argument;
    const struct kvm_cpuid2 *cpuid = argument;
    const struct kvm_enable_cap *cap = argument;
    struct gmemKVMMemoryRegion2 region = {0};
    int memfd;

    if (request == fake.refused)
        return fakeFail(EPERM);
    switch (request) {
    case KVM_CREATE_VM:
        g_assert_cmpint(fd, ==, FAKE_KVM);
        fake.type = (uintptr_t)argument;
        return FAKE_VM;
    case KVM_ENABLE_CAP:
        g_assert_cmpuint(cap->cap, ==, KVM_CAP_EXIT_HYPERCALL);
        fake.exitHypercall = cap->args[0];
        return 0;
    case KVM_CHECK_EXTENSION:
        return fd == FAKE_VM ? 1 : 2;
    case GMEM_KVM_CREATE_GUEST_MEMFD:
        g_assert_cmpuint(create->size % PAGE, ==, 0);
        memfd = memfd_create("guest", 0);
        g_assert_cmpint(ftruncate(memfd, (off_t)create->size), ==, 0);
        return memfd;
    case KVM_SET_USER_MEMORY_REGION:
        memcpy(&region, argument, sizeof(struct kvm_userspace_memory_region));
        return fakeSetSlot(&region);
    case GMEM_KVM_SET_USER_MEMORY_REGION2:
        return fakeSetSlot(argument);
    case GMEM_KVM_SET_MEMORY_ATTRIBUTES:
        return fakeSetAttributes(argument);
    case KVM_GET_VCPU_MMAP_SIZE:
        return (int)PAGE;
    case KVM_SET_CPUID2:
        fake.cpuidFeatures = cpuid->entries[cpuid->nent - 1].eax;
        return 0;
    case KVM_SET_MP_STATE:
        return 0;
    case KVM_RUN:
        return fakeRun();
    default:
        g_assert_not_reached();
    }
}

static int
fakeIoctl(int fd, unsigned long request, ...)
{
    void *argument;
    va_list args;
    int result;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    /* These two come before the lock. */
    if (request != KVM_SET_MP_STATE && request != KVM_GET_VCPU_MMAP_SIZE)
        lockedNotePassage();
    if (request == GMEM_KVM_SET_MEMORY_ATTRIBUTES && fake.meanwhile != NULL) {
        void (*call)(void) = fake.meanwhile;

        fake.meanwhile = NULL;
        lockedExpectWait(call);
    }
    if (request == GMEM_KVM_SET_MEMORY_ATTRIBUTES && fake.leave != NULL) {
        sem_post(fake.leave);
        fake.leave = NULL;
        lockedExpectSleep();
    }
    pthread_mutex_lock(&fake.lock);
    result = fakeLocked(fd, request, argument);
    pthread_mutex_unlock(&fake.lock);
    return result;
}

static char *
mapBackend(uint64_t size)
{
    void *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    g_assert_true(mapping != MAP_FAILED);
    return mapping;
}

/* The descriptor of an anonymous mapping has no meaning. */
static void
tellMapped(char *mapping, uint64_t size)
{
    g_assert_cmpint(gmemShimConvertibleMapped(
                        mapping, size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, STDERR_FILENO),
                    ==, 0);
}

static int
setSlot(uint32_t slot, uint64_t address, uint64_t size, const char *memory, uint32_t flags)
{
    const struct kvm_userspace_memory_region region = {
        .slot = slot,
        .flags = flags,
        .guest_phys_addr = address,
        .memory_size = size,
        .userspace_addr = (uintptr_t)memory,
    };

    return gmemShimConvertibleSetSlot(&region, KVM_SET_USER_MEMORY_REGION);
}

static bool
slotIsBound(uint32_t slot)
{
    g_assert_true(fake.slots[slot].used);
    return (fake.slots[slot].region.flags & KVM_MEM_GUEST_MEMFD) != 0;
}

static bool
verifies(const char *expected)
{
    char reason[512] = "";
    const bool right = gmemShimConvertibleVerify(reason, sizeof(reason));

    g_test_message("%s", reason);
    if (expected != NULL)
        g_assert_nonnull(strstr(reason, expected));
    return right;
}

static void
beginVM(const char *value)
{
    char reason[512];

    gmemShimReal()->ioctl = fakeIoctl;
    g_assert_true(gmemShimConfigParse(value, &config, reason, sizeof(reason)));
    g_assert_cmpint(gmemShimConvertibleInit(&config), ==, 0);
    g_assert_cmpint(gmemShimVcpuInit(), ==, 0);
    g_assert_false(gmemShimConvertibleMayMap());
    g_assert_cmpint(gmemShimConvertibleCreateVM(FAKE_KVM), ==, FAKE_VM);
    g_assert_cmpuint(fake.type, ==, KVM_X86_SW_PROTECTED_VM);
    g_assert_cmpuint(fake.exitHypercall, ==, 1 << KVM_HC_MAP_GPA_RANGE);
}

/* A VM and its memory backends, but no slots yet. */
static void
begin(const char *start)
{
    g_autofree char *value = g_strdup_printf(CONFIG, start);

    beginVM(value);
    low = mapBackend(LOW_SIZE);
    nvdimm = mapBackend(HIGH_SIZE);
    high = mapBackend(HIGH_SIZE);
    tellMapped(low, LOW_SIZE);
    tellMapped(nvdimm, HIGH_SIZE);
    tellMapped(high, HIGH_SIZE);
    g_assert_false(gmemShimConvertibleMayMap());
}

static void
beginWithSlots(const char *start)
{
    begin(start);
    g_assert_cmpint(setSlot(0, 0, LOW_SIZE, low, 0), ==, 0);
    g_assert_cmpint(setSlot(1, HIGH_ADDRESS, HIGH_SIZE, high, 0), ==, 0);
    g_assert_true(verifies(NULL));
}

/* Runs the caller's test in a process of its own; true in that process. */
static bool
inOwnProcess(void)
{
    if (g_test_subprocess())
        return true;
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
    g_test_trap_assert_passed();
    return false;
}

/* The file that virt-gmem reads, found in the same way; to be closed. */
static int
openStatus(void)
{
    g_autoptr(GDir) directory = g_dir_open("/proc/self/fd", 0, NULL);
    const char *entry;
    int fd = -1;

    while (fd < 0 && (entry = g_dir_read_name(directory)) != NULL) {
        g_autofree char *path = g_build_filename("/proc/self/fd", entry, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);

        if (target != NULL && strstr(target, GMEM_SHIM_STATUS_NAME) != NULL)
            fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            g_assert_cmpint(fcntl(atoi(entry), F_GETFD), ==, FD_CLOEXEC);
    }
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/* Whether the file has a slot of that number and with these addresses. */
static bool
slotIsPublished(uint32_t number, uint64_t guest, const char *address)
{
    const int fd = openStatus();
    gmemShimStatusSlot slot;
    gmemShimStatus status;
    bool found = false;
    uint32_t i;

    g_assert_cmpint(pread(fd, &status, sizeof(status), 0), ==, sizeof(status));
    for (i = 0; i < status.slotRoom && !found; i++) {
        g_assert_cmpint(pread(fd, &slot, sizeof(slot), (off_t)(status.slotsAt + i * sizeof(slot))),
                        ==, sizeof(slot));
        found = slot.size > 0 && slot.number == number && slot.guest == guest &&
                slot.address == (uintptr_t)address;
    }
    close(fd);
    return found;
}

static void
readStatus(gmemShimStatus *status, gmemShimStatusBackend backends[2])
{
    const int fd = openStatus();

    g_assert_cmpint(pread(fd, status, sizeof(*status), 0), ==, sizeof(*status));
    g_assert_cmpint(pread(fd, backends, 2 * sizeof(*backends), sizeof(*status)), ==,
                    2 * sizeof(*backends));
    close(fd);
    g_assert_cmpmem(status->magic, 8, GMEM_SHIM_STATUS_MAGIC, 8);
    g_assert_cmpuint(status->version, ==, GMEM_SHIM_STATUS_VERSION);
    g_assert_cmpuint(status->backends, ==, 2);
    g_assert_cmpuint(status->sequence % 2, ==, 0);
}

static bool
isZero(const char *memory, uint64_t size)
{
    uint64_t i;

    for (i = 0; i < size; i++) {
        if (memory[i] != 0)
            return false;
    }
    return true;
}

static void
testBackends(void)
{
    char *other;

    if (!inOwnProcess())
        return;
    begin("shared");
    g_assert_false(verifies("memory backend 'ram-node0' is in no memory slot"));
    g_assert_cmpint(setSlot(0, 0, LOW_SIZE, low, 0), ==, 0);
    g_assert_false(verifies("memory backend 'ram-node1' is in no memory slot"));
    g_assert_cmpint(setSlot(1, HIGH_ADDRESS, HIGH_SIZE, high, 0), ==, 0);
    g_assert_true(verifies(NULL));
    g_assert_cmpint(setSlot(0, 0, 0, low, 0), ==, 0);
    g_assert_false(verifies("the RAM at guest address 0 has no guest_memfd"));

    /* Memory that is not RAM gets an ordinary slot: an NVDIMM, video memory. */
    g_assert_cmpint(setSlot(2, 4 * MIB, HIGH_SIZE, nvdimm, 0), ==, 0);
    g_assert_false(slotIsBound(2));
    other = mapBackend(LOW_SIZE);
    tellMapped(other, LOW_SIZE);
    g_assert_cmpint(setSlot(3, 6 * MIB, LOW_SIZE, other, 0), ==, 0);
    g_assert_false(slotIsBound(3));
    /* If only a part of it is RAM, it is not RAM either. */
    g_assert_cmpint(setSlot(4, 8 * MIB, LOW_SIZE, low + PAGE, 0), ==, 0);
    g_assert_false(slotIsBound(4));
}

/* Only its owner and root can read the file, and its size is for ever. Nothing is inherited. */
static void
testDescriptors(void)
{
    struct stat file;
    int status;

    if (!inOwnProcess())
        return;
    begin("shared");
    g_assert_cmpint(gmemShimHalvesByIndex(0)->file, ==, -1);
    g_assert_cmpint(fcntl(gmemShimHalvesByIndex(0)->gmem, F_GETFD), ==, FD_CLOEXEC);
    status = openStatus();
    g_assert_cmpint(fstat(status, &file), ==, 0);
    g_assert_cmpint(file.st_mode & ALLPERMS, ==, S_IRUSR | S_IWUSR);
    g_assert_cmpint(fcntl(status, F_GET_SEALS), ==, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    close(status);
}

/* There is no VM if it cannot be of that type, or if its hypercalls would not arrive. */
static void
testVMRefused(void)
{
    static const unsigned long requests[] = {KVM_CREATE_VM, KVM_ENABLE_CAP};
    size_t i;

    if (!inOwnProcess())
        return;
    gmemShimReal()->ioctl = fakeIoctl;
    for (i = 0; i < G_N_ELEMENTS(requests); i++) {
        fake.refused = requests[i];
        g_assert_cmpint(gmemShimConvertibleCreateVM(FAKE_KVM), ==, -1);
        g_assert_cmpint(errno, ==, EPERM);
        g_assert_false(gmemShimConvertibleMayMap());
    }
}

static void
testBackendsMissing(void)
{
    g_autofree char *value = g_strdup_printf(CONFIG, "shared");
    char reason[512];

    if (!inOwnProcess())
        return;
    gmemShimReal()->ioctl = fakeIoctl;
    g_assert_true(gmemShimConfigParse(value, &config, reason, sizeof(reason)));
    g_assert_cmpint(gmemShimConvertibleInit(&config), ==, 0);
    g_assert_false(verifies("no KVM VM"));
    g_assert_cmpint(gmemShimConvertibleCreateVM(FAKE_KVM), ==, FAKE_VM);
    high = mapBackend(HIGH_SIZE);
    tellMapped(high, HIGH_SIZE);
    g_assert_false(verifies("2 memory backends, but QEMU mapped only 0 of them"));
    low = mapBackend(LOW_SIZE);
    tellMapped(low, LOW_SIZE);
    g_assert_false(verifies("2 memory backends, but QEMU mapped only 1 of them"));
    g_assert_true(gmemShimConvertibleMayMap());
}

static void
testExtensions(void)
{
    if (!inOwnProcess())
        return;
    begin("shared");
    g_assert_cmpint(gmemShimConvertibleCheckExtension(FAKE_KVM, KVM_CAP_GUEST_MEMFD), ==, 0);
    g_assert_cmpint(gmemShimConvertibleCheckExtension(FAKE_VM, KVM_CAP_MEMORY_ATTRIBUTES), ==, 0);
    /* The answer is the VM's, whoever is asked. */
    g_assert_cmpint(gmemShimConvertibleCheckExtension(FAKE_KVM, KVM_CAP_MULTI_ADDRESS_SPACE), ==,
                    1);
}

static void
testSlots(void)
{
    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    g_assert_true(slotIsBound(0));
    g_assert_cmpuint(fake.slots[0].region.guest_memfd_offset, ==, 0);

    /* The firmware's shadow: private pages under the ROM do not conflict with the ROM, and are not
     * lost. */
    g_assert_cmpint(gmemShimConvertibleMap(0xc8000, 2 * PAGE, true), ==, 0);
    g_assert_true(fake.attribute[0xc8] && fake.attribute[0xc9] && !fake.attribute[0xca]);
    g_assert_cmpint(setSlot(0, 0, 0, low, 0), ==, 0);
    g_assert_false(fake.attribute[0xc8] || fake.attribute[0xc9]);
    g_assert_cmpint(setSlot(0, 0, 0xc0000, low, 0), ==, 0);
    g_assert_cmpint(setSlot(2, 0xc0000, 0x10000, low + 0xc0000, KVM_MEM_READONLY), ==, 0);
    g_assert_cmpint(setSlot(3, 0xd0000, LOW_SIZE - 0xd0000, low + 0xd0000, 0), ==, 0);
    g_assert_true(slotIsBound(0) && !slotIsBound(2) && slotIsBound(3));
    g_assert_cmpuint(fake.slots[3].region.guest_memfd_offset, ==, 0xd0000);
    g_assert_false(fake.attribute[0xc8]);
    g_assert_cmpint(gmemShimConvertibleMap(0xc8000, PAGE, false), ==, -EINVAL);
    g_assert_cmpint(setSlot(2, 0, 0, low, 0), ==, 0);
    g_assert_cmpint(setSlot(2, 0xc0000, 0x10000, low + 0xc0000, 0), ==, 0);
    g_assert_true(slotIsBound(2));
    g_assert_true(fake.attribute[0xc8] && fake.attribute[0xc9] && !fake.attribute[0xca]);

    /* An alias has the shared half; RAM that would not have a private half is refused. */
    g_assert_cmpint(setSlot(4, 8 * MIB, 0x20000, low + 0xb0000, 0), ==, 0);
    g_assert_false(slotIsBound(4));
    g_assert_false(fake.attribute[(8 * MIB + 0x18000) / PAGE]);
    g_assert_cmpint(setSlot(3, 0, 0, low, 0), ==, 0);
    g_assert_cmpint(setSlot(5, 9 * MIB, 0x20000, low + 0xc0000, 0), ==, -1);
    g_assert_cmpint(errno, ==, EINVAL);
    g_assert_false(fake.slots[5].used);
    g_assert_false(fake.attribute[(9 * MIB + 0x8000) / PAGE]);

    /* What KVM has is published, and what was refused or removed is not. */
    g_assert_true(slotIsPublished(2, 0xc0000, low + 0xc0000));
    g_assert_true(slotIsPublished(4, 8 * MIB, low + 0xb0000));
    g_assert_false(slotIsPublished(3, 0xd0000, low + 0xd0000));
    g_assert_false(slotIsPublished(5, 9 * MIB, low + 0xc0000));
}

/* There is room for a number of slots in what is published, and it says if that was not enough. */
static void
testSlotsLost(void)
{
    gmemShimStatusBackend backends[2];
    gmemShimStatus status;
    uint32_t i;

    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    readStatus(&status, backends);
    g_assert_cmpuint(status.slotRoom, ==, GMEM_SHIM_STATUS_SLOTS_MAX);
    for (i = 2; i <= status.slotRoom; i++) {
        readStatus(&status, backends);
        g_assert_cmpuint(status.slotsLost, ==, 0);
        g_assert_cmpint(setSlot(i, 16 * MIB + i * PAGE, PAGE, nvdimm, 0), ==, 0);
    }
    readStatus(&status, backends);
    g_assert_cmpuint(status.slotsLost, ==, 1);
    g_assert_true(slotIsPublished(i - 2, 16 * MIB + (i - 2) * PAGE, nvdimm));
}

static void
testSlotChanges(void)
{
    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    g_assert_cmpint(gmemShimConvertibleMap(HIGH_ADDRESS, PAGE, true), ==, 0);
    /* The same slot again; at another address; with logging. */
    g_assert_cmpint(setSlot(1, HIGH_ADDRESS, HIGH_SIZE, high, 0), ==, 0);
    g_assert_cmpint(setSlot(1, 5 * MIB, HIGH_SIZE, high, 0), ==, 0);
    g_assert_true(slotIsBound(1));
    g_assert_false(fake.attribute[HIGH_ADDRESS / PAGE]);
    g_assert_true(fake.attribute[5 * MIB / PAGE]);
    g_assert_cmpint(setSlot(1, 5 * MIB, HIGH_SIZE, high, KVM_MEM_LOG_DIRTY_PAGES), ==, -1);
    g_assert_cmpint(errno, ==, EOPNOTSUPP);
    g_assert_true(slotIsBound(1));
    /* With another part of the memory. */
    g_assert_cmpint(setSlot(1, 5 * MIB, 0, high, 0), ==, 0);
    g_assert_cmpint(setSlot(1, 5 * MIB, HIGH_SIZE / 2, high, 0), ==, 0);
    g_assert_cmpint(setSlot(1, 5 * MIB, HIGH_SIZE / 2, high + HIGH_SIZE / 2, 0), ==, 0);
    g_assert_cmpuint(fake.slots[1].region.guest_memfd_offset, ==, HIGH_SIZE / 2);
    g_assert_false(fake.attribute[5 * MIB / PAGE]);
    /* A slot that does not exist is not removed, and an ordinary one is handled as usual. */
    g_assert_cmpint(setSlot(7, 0, 0, low, 0), ==, -1);
    g_assert_cmpint(setSlot(7, 7 * MIB, HIGH_SIZE, nvdimm, KVM_MEM_LOG_DIRTY_PAGES), ==, 0);
    g_assert_cmpuint(fake.slots[7].region.flags, ==, KVM_MEM_LOG_DIRTY_PAGES);
}

static void
testConversions(void)
{
    gmemShimStatusBackend backends[2];
    gmemShimStatus status;
    gmemShimHalves *halves;
    char page[PAGE];
    uint64_t i;

    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    halves = gmemShimHalvesByIndex(0);
    memset(low, 'S', LOW_SIZE);
    memset(high, 'S', HIGH_SIZE);

    /* Across the border between two backends. The memory of the shared half is freed. */
    g_assert_cmpint(gmemShimConvertibleMap(LOW_SIZE - 3 * PAGE, 4 * PAGE, true), ==, 0);
    g_assert_true(isZero(low + LOW_SIZE - 3 * PAGE, 3 * PAGE) && isZero(high, PAGE));
    g_assert_cmpint(low[LOW_SIZE - 3 * PAGE - 1], ==, 'S');
    g_assert_cmpint(high[PAGE], ==, 'S');
    for (i = 0; i < 8; i++)
        g_assert_cmpint(fake.attribute[LOW_SIZE / PAGE - 5 + i], ==, i >= 2 && i < 6);

    /* What was private is gone, and nothing else. */
    memset(page, 'P', PAGE);
    g_assert_cmpint(pwrite(halves->gmem, page, PAGE, LOW_SIZE - 3 * PAGE), ==, PAGE);
    g_assert_cmpint(pwrite(halves->gmem, page, PAGE, LOW_SIZE - 2 * PAGE), ==, PAGE);
    g_assert_cmpint(gmemShimConvertibleMap(LOW_SIZE - 4 * PAGE, 2 * PAGE, false), ==, 0);
    g_assert_cmpint(pread(halves->gmem, page, PAGE, LOW_SIZE - 3 * PAGE), ==, PAGE);
    g_assert_true(isZero(page, PAGE));
    g_assert_cmpint(pread(halves->gmem, page, PAGE, LOW_SIZE - 2 * PAGE), ==, PAGE);
    g_assert_cmpint(page[0], ==, 'P');
    g_assert_cmpint(low[LOW_SIZE - 4 * PAGE], ==, 'S');
    g_assert_true(isZero(low + LOW_SIZE - 3 * PAGE, PAGE));

    readStatus(&status, backends);
    g_assert_cmpuint(status.hypercalls, ==, 2);
    g_assert_cmpuint(status.refused, ==, 0);
    g_assert_cmpstr(backends[0].id, ==, "ram-node0");
    g_assert_cmpuint(backends[0].privateBytes, ==, 2 * PAGE);
    g_assert_cmpuint(backends[0].sharedBytes, ==, LOW_SIZE - 2 * PAGE);
    g_assert_cmpuint(backends[0].toPrivate, ==, 1);
    g_assert_cmpuint(backends[0].toShared, ==, 1);
    g_assert_cmpstr(backends[1].id, ==, "ram-node1");
    g_assert_cmpuint(backends[1].privateBytes, ==, PAGE);
    g_assert_cmpuint(backends[1].toPrivate, ==, 1);
    g_assert_cmpuint(backends[1].toShared, ==, 0);

    /* If nothing changes, it is not a conversion, and KVM is not asked. */
    fake.refuseAttributes = true;
    g_assert_cmpint(gmemShimConvertibleMap(LOW_SIZE - 2 * PAGE, 2 * PAGE, true), ==, 0);
    g_assert_cmpint(gmemShimConvertibleMap(LOW_SIZE - 2 * PAGE, PAGE, true), ==, 0);
    readStatus(&status, backends);
    g_assert_cmpuint(backends[0].toPrivate, ==, 1);

    /* KVM has no memory for the attribute, and nothing has changed. */
    g_assert_cmpint(gmemShimConvertibleMap(0, PAGE, true), ==, -EFAULT);
    g_assert_cmpint(low[0], ==, 'S');
    readStatus(&status, backends);
    g_assert_cmpuint(status.refused, ==, 1);
    g_assert_cmpuint(backends[0].privateBytes, ==, 2 * PAGE);
}

/* Others wait for the lock during the conversion of at most 64 MiB. */
static void
testConversionChunks(void)
{
    static const uint64_t chunk = 64 * MIB;
    char *memory;

    if (!inOwnProcess())
        return;
    beginVM(
        "version=1,mode=convertible,backends=1,ram=134217728,start=shared,backend=ram:134217728");
    memory = mapBackend(2 * chunk);
    tellMapped(memory, 2 * chunk);
    g_assert_cmpint(setSlot(0, 0, 2 * chunk, memory, 0), ==, 0);
    g_assert_cmpint(gmemShimConvertibleMap(0, chunk, true), ==, 0);
    g_assert_cmpuint(fake.attributesSet, ==, 1);
    g_assert_cmpint(gmemShimConvertibleMap(0, chunk, false), ==, 0);
    g_assert_cmpuint(fake.attributesSet, ==, 2);
    g_assert_cmpint(gmemShimConvertibleMap(PAGE, chunk + PAGE, true), ==, 0);
    g_assert_cmpuint(fake.attributesSet, ==, 4);
    g_assert_false(fake.attribute[0]);
    g_assert_true(fake.attribute[1]);
    g_assert_true(fake.attribute[chunk / PAGE + 1]);
    g_assert_false(fake.attribute[chunk / PAGE + 2]);
}

static void
testConversionsRefused(void)
{
    static const struct {
        uint64_t address;
        uint64_t size;
    } ranges[] = {
        {0, 0},
        {1, PAGE},
        {0, PAGE - 1},
        {LOW_SIZE + HIGH_SIZE, PAGE},
        {LOW_SIZE + HIGH_SIZE - PAGE, 2 * PAGE},
        {0, LOW_SIZE + HIGH_SIZE + PAGE},
        {~0ULL - PAGE + 1, PAGE},
        {~0ULL - PAGE + 1, 2 * PAGE},
        {PAGE, ~0ULL - PAGE + 1},
    };
    size_t i;

    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    memset(low, 'S', LOW_SIZE);
    for (i = 0; i < G_N_ELEMENTS(ranges); i++) {
        g_test_message("%" G_GINT64_MODIFIER "x %" G_GINT64_MODIFIER "x", ranges[i].address,
                       ranges[i].size);
        g_assert_cmpint(gmemShimConvertibleMap(ranges[i].address, ranges[i].size, true), ==,
                        -EINVAL);
    }
    g_assert_cmpuint(fake.attributesSet, ==, 0);
    for (i = 0; i < LOW_SIZE; i++)
        g_assert_cmpint(low[i], ==, 'S');
    g_assert_cmpint(gmemShimConvertibleMap(0, LOW_SIZE + HIGH_SIZE, true), ==, 0);
}

static int
makeVcpu(void)
{
    const int fd = memfd_create("vcpu", 0);

    g_assert_cmpint(ftruncate(fd, PAGE), ==, 0);
    g_assert_cmpint(gmemShimVcpuMade(FAKE_KVM, fd), ==, 0);
    return fd;
}

static int
runVcpu(int fd, const FakeExit *exits, size_t n)
{
    int result;

    fake.run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    g_assert_true(fake.run != MAP_FAILED);
    memcpy(fake.exits, exits, n * sizeof(*exits));
    fake.nextExit = 0;
    result = gmemShimVcpuRun(fd, NULL);
    g_assert_cmpuint(fake.nextExit, ==, n);
    munmap(fake.run, PAGE);
    return result;
}

static void
testHypercalls(void)
{
    static const FakeExit exits[] = {
        {0, KVM_EXIT_HYPERCALL, {0x100000, 4, KVM_MAP_GPA_RANGE_ENCRYPTED}},
        {0, KVM_EXIT_HYPERCALL, {0x101000, 1, 0}},
        {0, KVM_EXIT_HYPERCALL, {8 * MIB, 1, KVM_MAP_GPA_RANGE_ENCRYPTED}},
        {0, KVM_EXIT_HYPERCALL, {0, 1ULL << 52, KVM_MAP_GPA_RANGE_ENCRYPTED}},
        {0, KVM_EXIT_HLT, {0}},
    };
    static const FakeExit interrupted[] = {
        {0, KVM_EXIT_HYPERCALL, {0x100000, 1, 0}},
        {EINTR, KVM_EXIT_INTR, {0}},
    };
    int vcpu;

    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    vcpu = makeVcpu();
    g_assert_cmpint(runVcpu(vcpu, exits, G_N_ELEMENTS(exits)), ==, 0);
    g_assert_cmpint(fake.results[0], ==, 0);
    g_assert_cmpint(fake.results[1], ==, 0);
    g_assert_cmpint(fake.results[2], ==, -EINVAL);
    g_assert_cmpint(fake.results[3], ==, -EINVAL);
    g_assert_true(fake.attribute[0x100] && !fake.attribute[0x101] && fake.attribute[0x102]);

    /* If a pause is requested in the meantime, it takes effect when the hypercall is complete. */
    g_assert_cmpint(runVcpu(vcpu, interrupted, G_N_ELEMENTS(interrupted)), ==, -1);
    g_assert_cmpint(errno, ==, EINTR);
    g_assert_false(fake.attribute[0x100]);
}

static void
testFaults(void)
{
    const FakeExit shared = {EFAULT, KVM_EXIT_MEMORY_FAULT, {0, 0x100234, 8}};
    const FakeExit toPrivate = {
        EFAULT, KVM_EXIT_MEMORY_FAULT, {KVM_MEMORY_EXIT_FLAG_PRIVATE, 0x100000, PAGE}};
    const FakeExit nowhere = {
        EFAULT, KVM_EXIT_MEMORY_FAULT, {KVM_MEMORY_EXIT_FLAG_PRIVATE, 8 * MIB, PAGE}};
    const FakeExit halt = {0, KVM_EXIT_HLT, {0}};
    const FakeExit other = {EFAULT, KVM_EXIT_UNKNOWN, {0}};
    const FakeExit interrupted = {EINTR, KVM_EXIT_MEMORY_FAULT, {0, 0x100234, 8}};
    gmemShimStatusBackend backends[2];
    gmemShimStatus status;
    FakeExit exits[EXITS_MAX];
    int vcpu;
    size_t i;

    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    vcpu = makeVcpu();

    /* The access lost a race: it is tried again, and nothing is converted. */
    g_assert_cmpint(gmemShimConvertibleMap(0x100000, PAGE, true), ==, 0);
    exits[0] = exits[1] = shared;
    exits[2] = halt;
    g_assert_cmpint(runVcpu(vcpu, exits, 3), ==, 0);
    g_assert_true(fake.attribute[0x100]);

    /* It keeps failing, so the access is a request to convert. */
    for (i = 0; i < 17; i++)
        exits[i] = shared;
    exits[17] = halt;
    g_assert_cmpint(runVcpu(vcpu, exits, 18), ==, 0);
    g_assert_false(fake.attribute[0x100]);
    readStatus(&status, backends);
    g_assert_cmpuint(status.implicit, ==, 1);
    for (i = 0; i < 17; i++)
        exits[i] = toPrivate;
    g_assert_cmpint(runVcpu(vcpu, exits, 18), ==, 0);
    g_assert_true(fake.attribute[0x100]);
    readStatus(&status, backends);
    g_assert_cmpuint(status.implicit, ==, 2);

    /* The page should be converted, and KVM cannot do it: QEMU gets the error. */
    g_assert_cmpint(runVcpu(vcpu, exits, 17), ==, -1);
    g_assert_cmpint(errno, ==, EFAULT);
    /* There is never any RAM there; and another failure. */
    for (i = 0; i < 101; i++)
        exits[i] = nowhere;
    g_assert_cmpint(runVcpu(vcpu, exits, 101), ==, -1);
    g_assert_cmpint(errno, ==, EFAULT);
    g_assert_cmpint(runVcpu(vcpu, &other, 1), ==, -1);
    g_assert_cmpint(errno, ==, EFAULT);
    /* The reason is that of the last exit; this was none. */
    g_assert_cmpint(runVcpu(vcpu, &interrupted, 1), ==, -1);
    g_assert_cmpint(errno, ==, EINTR);

    /* Accesses to different pages in turn: none of them keeps failing. */
    for (i = 0; i < 40; i++)
        exits[i] = (FakeExit){EFAULT, KVM_EXIT_MEMORY_FAULT, {0, 0x100234 + i % 2 * PAGE, 8}};
    exits[40] = halt;
    g_assert_cmpint(runVcpu(vcpu, exits, 41), ==, 0);
    g_assert_true(fake.attribute[0x100]);
}

/* QEMU replaces a slot by removing it first. An access meanwhile must neither stop the guest, nor
 * be taken for a request to convert once the slot exists again. */
static void
testFaultsWhileReplaced(void)
{
    const FakeExit shared = {EFAULT, KVM_EXIT_MEMORY_FAULT, {0, 0x100234, 8}};
    FakeExit exits[EXITS_MAX];
    gmemShimStatusBackend backends[2];
    gmemShimStatus status;
    int vcpu;
    size_t i;

    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    vcpu = makeVcpu();
    g_assert_cmpint(gmemShimConvertibleMap(0x100000, PAGE, true), ==, 0);
    g_assert_cmpint(setSlot(0, 0, 0, low, 0), ==, 0);
    for (i = 0; i < 40; i++)
        exits[i] = shared;
    exits[40] = (FakeExit){EINTR, KVM_EXIT_INTR, {0}};
    g_assert_cmpint(runVcpu(vcpu, exits, 41), ==, -1);
    g_assert_cmpint(errno, ==, EINTR);
    g_assert_cmpint(setSlot(0, 0, LOW_SIZE, low, 0), ==, 0);
    exits[10] = (FakeExit){0, KVM_EXIT_HLT, {0}};
    g_assert_cmpint(runVcpu(vcpu, exits, 11), ==, 0);
    g_assert_true(fake.attribute[0x100]);
    readStatus(&status, backends);
    g_assert_cmpuint(status.implicit, ==, 0);
}

/* The pages of the private half are allocated where the shared half is bound to, and
 * immediately. */
static void
testBound(void)
{
    const unsigned long nodes[] = {~0UL};
    const unsigned long first[] = {1};
    gmemShimHalves *halves;
    struct stat file;
    int policy = -1;

    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    halves = gmemShimHalvesByIndex(0);
    /* The number is counted like the system call's: one more than the bits that are looked at. */
    gmemShimConvertibleBound(low, LOW_SIZE, MPOL_BIND, nodes, 3);
    g_assert_cmphex(halves->nodes[0], ==, 3);
    g_assert_cmpint(halves->policy, ==, MPOL_BIND);
    /* This does not apply to a part of it. */
    gmemShimConvertibleBound(low + PAGE, PAGE, MPOL_BIND, first, 2);
    g_assert_cmphex(halves->nodes[0], ==, 3);

    gmemShimConvertibleBound(low, LOW_SIZE, MPOL_BIND, first, 2);
    g_assert_cmphex(halves->nodes[0], ==, 1);
    if (syscall(SYS_set_mempolicy, MPOL_BIND, first, 2UL) < 0) {
        g_test_skip("no set_mempolicy()");
        return;
    }
    /* The thread keeps its own policy. */
    g_assert_cmpint(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0UL), ==, 0);
    g_assert_cmpint(fstat(halves->gmem, &file), ==, 0);
    g_assert_cmpint(file.st_blocks, ==, 0);
    g_assert_cmpint(gmemShimConvertibleMap(PAGE, PAGE, true), ==, 0);
    g_assert_cmpint(fstat(halves->gmem, &file), ==, 0);
    g_assert_cmpint(file.st_blocks, ==, PAGE / 512);
    g_assert_cmpint(syscall(SYS_get_mempolicy, &policy, NULL, 0UL, NULL, 0UL), ==, 0);
    g_assert_cmpint(policy, ==, MPOL_DEFAULT);
}

/* All of it, if all of it is private from the start. */
static void
testBoundPrivate(void)
{
    const unsigned long first[] = {1};
    struct stat file;

    if (!inOwnProcess())
        return;
    beginWithSlots("private");
    if (syscall(SYS_set_mempolicy, MPOL_BIND, first, 2UL) < 0) {
        g_test_skip("no set_mempolicy()");
        return;
    }
    gmemShimConvertibleBound(low, LOW_SIZE, MPOL_BIND, first, 2);
    g_assert_cmpint(fstat(gmemShimHalvesByIndex(0)->gmem, &file), ==, 0);
    g_assert_cmpint(file.st_blocks, ==, LOW_SIZE / 512);
}

/* Memory that cannot be freed is reported once, and counted. */
static void
testHeld(void)
{
    gmemShimStatusBackend backends[2];
    gmemShimStatus status;
    char text[4096] = "";
    int log, null;
    size_t i;

    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    log = memfd_create("log", MFD_CLOEXEC);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    g_assert_cmpint(dup2(null, gmemShimHalvesByIndex(0)->gmem), >=, 0);
    g_assert_cmpint(dup2(log, STDERR_FILENO), ==, STDERR_FILENO);
    for (i = 0; i < 3; i++) {
        g_assert_cmpint(gmemShimConvertibleMap(0x100000, PAGE, true), ==, 0);
        g_assert_cmpint(gmemShimConvertibleMap(0x100000, PAGE, false), ==, 0);
    }
    readStatus(&status, backends);
    g_assert_cmpuint(status.held, ==, 3);
    g_assert_cmpint(pread(log, text, sizeof(text) - 1, 0), >, 0);
    g_assert_nonnull(
        strstr(text, "memory backend 'ram-node0': 4096 bytes of private memory are held"));
    g_assert_true(strchr(text, '\n') == text + strlen(text) - 1);
}

static blkcnt_t
blocks(int fd)
{
    struct stat file;

    g_assert_cmpint(fstat(fd, &file), ==, 0);
    return file.st_blocks * 512;
}

/* The shared half can be in a file, of which QEMU closes its descriptor later. */
static void
testFiles(void)
{
    static const int flags[] = {MAP_SHARED, MAP_PRIVATE};
    size_t i;

    if (!inOwnProcess())
        return;
    beginVM("version=1,mode=convertible,backends=2,ram=4194304,start=shared,backend=a:2097152,"
            "backend=b:2097152");
    for (i = 0; i < G_N_ELEMENTS(flags); i++) {
        const int fd = memfd_create("file", MFD_CLOEXEC);
        const gmemShimHalves *halves;
        char *memory;

        g_assert_cmpint(ftruncate(fd, LOW_SIZE), ==, 0);
        g_assert_cmpint(fallocate(fd, 0, 0, LOW_SIZE), ==, 0);
        memory = mmap(NULL, LOW_SIZE, PROT_READ | PROT_WRITE, flags[i], fd, 0);
        g_assert_true(memory != MAP_FAILED);
        memset(memory, 'S', LOW_SIZE);
        g_assert_cmpint(gmemShimConvertibleMapped(memory, LOW_SIZE, flags[i] | MAP_FIXED, fd), ==,
                        0);
        close(fd);
        halves = gmemShimHalvesByIndex((unsigned int)i);
        g_assert_cmpint(fcntl(halves->file, F_GETFD), ==, FD_CLOEXEC);
        g_assert_cmpint(setSlot((uint32_t)i, i * LOW_SIZE, LOW_SIZE, memory, 0), ==, 0);
        g_assert_cmpint(blocks(halves->file), ==, LOW_SIZE);
        g_assert_cmpint(gmemShimConvertibleMap(i * LOW_SIZE + PAGE, 2 * PAGE, true), ==, 0);
        g_assert_cmpint(blocks(halves->file), ==, LOW_SIZE - 2 * PAGE);
        g_assert_true(isZero(memory + PAGE, 2 * PAGE));
        g_assert_cmpint(memory[PAGE - 1], ==, 'S');
        g_assert_cmpint(memory[3 * PAGE], ==, 'S');
    }
}

static bool
isResident(char *memory)
{
    unsigned char resident = 0;

    g_assert_cmpint(mincore(memory, PAGE, &resident), ==, 0);
    return (resident & 1) != 0;
}

/* A huge page is given back as a whole, and until then what became private of it is cleared.
 * Ordinary memory stands for huge pages of 1 MiB. */
static void
testHugePages(void)
{
    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    gmemShimHalvesByIndex(0)->sharedPage = MIB;
    memset(low, 'S', MIB);
    g_assert_cmpint(gmemShimConvertibleMap(MIB - PAGE, 2 * PAGE, true), ==, 0);
    g_assert_true(isResident(low + MIB - PAGE));
    g_assert_true(isZero(low + MIB - PAGE, PAGE));
    g_assert_cmpint(low[MIB - PAGE - 1], ==, 'S');
    /* What is not there is not made. */
    g_assert_false(isResident(low + MIB));
    memset(low + MIB, 'S', MIB);
    g_assert_cmpint(gmemShimConvertibleMap(PAGE, MIB - 2 * PAGE, true), ==, 0);
    g_assert_true(isResident(low));
    g_assert_cmpint(low[PAGE - 1], ==, 'S');
    g_assert_true(isZero(low + PAGE, MIB - PAGE));
    g_assert_cmpint(gmemShimConvertibleMap(0, PAGE, true), ==, 0);
    g_assert_false(isResident(low));
    g_assert_false(isResident(low + MIB - PAGE));
    g_assert_true(isResident(low + MIB));
    g_assert_cmpint(low[MIB + PAGE], ==, 'S');
}

static void *
runOnce(void *data)
{
    const FakeExit halt = {0, KVM_EXIT_HLT, {0}};

    g_assert_cmpint(runVcpu(*(int *)data, &halt, 1), ==, 0);
    return NULL;
}

static uint64_t
resets(void)
{
    gmemShimStatusBackend backends[2];
    gmemShimStatus status;

    readStatus(&status, backends);
    g_assert_cmpuint(backends[0].privateBytes + backends[0].sharedBytes, ==, LOW_SIZE);
    return status.resets;
}

static void
testReset(void)
{
    const FakeExit halt = {0, KVM_EXIT_HLT, {0}};
    gmemShimStatusBackend backends[2];
    gmemShimStatus status;
    gmemShimHalves *halves;
    pthread_t thread;
    char page[PAGE];
    int first, second, plugged;

    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    halves = gmemShimHalvesByIndex(0);
    first = makeVcpu();
    second = makeVcpu();

    /* The initial state of the vCPUs is not a reset. */
    gmemShimVcpuSetState(first, NULL);
    gmemShimVcpuSetState(second, NULL);
    g_assert_cmpuint(resets(), ==, 0);

    g_assert_cmpint(gmemShimConvertibleMap(0x100000, PAGE, true), ==, 0);
    memset(page, 'P', PAGE);
    g_assert_cmpint(pwrite(halves->gmem, page, PAGE, 0x100000), ==, PAGE);
    memset(low, 'S', PAGE);
    g_assert_cmpint(runVcpu(first, &halt, 1), ==, 0);
    g_assert_cmpint(runVcpu(second, &halt, 1), ==, 0);

    /* A vCPU is plugged in while the others run, or are only paused. */
    plugged = makeVcpu();
    gmemShimVcpuSetState(plugged, NULL);
    g_assert_cmpuint(resets(), ==, 0);
    g_assert_true(fake.attribute[0x100]);

    /* It runs in a thread of its own, which ends when it is unplugged. */
    g_assert_cmpint(pthread_create(&thread, NULL, runOnce, &plugged), ==, 0);
    pthread_join(thread, NULL);

    gmemShimVcpuSetState(first, NULL);
    g_assert_cmpuint(resets(), ==, 0);
    g_assert_true(fake.attribute[0x100]);
    memset(low + PAGE, 'R', PAGE); /* QEMU writes something there for the next boot */
    gmemShimVcpuSetState(second, NULL);
    g_assert_cmpuint(resets(), ==, 1);
    g_assert_false(fake.attribute[0x100]);
    g_assert_cmpint(pread(halves->gmem, page, PAGE, 0x100000), ==, PAGE);
    g_assert_true(isZero(page, PAGE));
    g_assert_cmpint(low[0], ==, 'S');
    g_assert_cmpint(low[PAGE], ==, 'R');

    /* Once for all vCPUs, and again after they have run. */
    gmemShimVcpuSetState(first, NULL);
    g_assert_cmpuint(resets(), ==, 1);
    g_assert_cmpint(runVcpu(second, &halt, 1), ==, 0);
    gmemShimVcpuSetState(second, NULL);
    g_assert_cmpuint(resets(), ==, 2);

    /* What is private is counted from there on. */
    g_assert_cmpint(gmemShimConvertibleMap(0x100000, PAGE, true), ==, 0);
    readStatus(&status, backends);
    g_assert_cmpuint(backends[0].privateBytes, ==, PAGE);
}

static void
testStartPrivate(void)
{
    const FakeExit halt = {0, KVM_EXIT_HLT, {0}};
    gmemShimStatusBackend backends[2];
    gmemShimStatus status;
    int vcpu;
    uint64_t i;

    if (!inOwnProcess())
        return;
    beginWithSlots("private");
    readStatus(&status, backends);
    g_assert_cmpuint(status.startPrivate, ==, 1);
    g_assert_cmpuint(backends[0].privateBytes, ==, LOW_SIZE);
    for (i = 0; i < PAGES_MAX; i++)
        g_assert_cmpint(fake.attribute[i], ==, i < (LOW_SIZE + HIGH_SIZE) / PAGE);
    g_assert_cmpint(gmemShimConvertibleMap(PAGE, PAGE, false), ==, 0);
    low[PAGE] = 'S';
    g_assert_false(fake.attribute[1]);

    vcpu = makeVcpu();
    g_assert_cmpint(runVcpu(vcpu, &halt, 1), ==, 0);
    gmemShimVcpuSetState(vcpu, NULL);
    g_assert_true(fake.attribute[1]);
    g_assert_cmpint(low[PAGE], ==, 0);
    readStatus(&status, backends);
    g_assert_cmpuint(backends[0].privateBytes, ==, LOW_SIZE);
}

static void
testCPUID(void)
{
    static const struct {
        uint32_t base;
        const char *signature;
        bool told;
    } cases[] = {
        {KVM_CPUID_SIGNATURE, "KVMKVMKVM\0\0\0", true},
        {KVM_CPUID_SIGNATURE + 0x100, "KVMKVMKVM\0\0\0", true}, /* after Hyper-V's */
        {KVM_CPUID_SIGNATURE + 0xff00, "KVMKVMKVM\0\0\0", true},
        {KVM_CPUID_SIGNATURE + 0x10000, "KVMKVMKVM\0\0\0", false},
        {KVM_CPUID_SIGNATURE, "Microsoft Hv", false},
        {1, "KVMKVMKVM\0\0\0", false},
    };
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[2];
    } cpuid = {.head.nent = 2};
    size_t i;

    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        cpuid.entries[0].function = cases[i].base;
        memcpy(&cpuid.entries[0].ebx, cases[i].signature, 4);
        memcpy(&cpuid.entries[0].ecx, cases[i].signature + 4, 4);
        memcpy(&cpuid.entries[0].edx, cases[i].signature + 8, 4);
        cpuid.entries[1].function = cases[i].base + 1;
        cpuid.entries[1].eax = 0x3;
        g_assert_cmpint(gmemShimVcpuSetCPUID(3, &cpuid), ==, 0);
        g_assert_cmphex(fake.cpuidFeatures, ==, cases[i].told ? 0x10003 : 0x3);
        g_assert_cmphex(cpuid.entries[1].eax, ==, 0x3);
    }
}

static void *
convertAtRandom(void *data)
{
    unsigned int seed = GPOINTER_TO_UINT(data);
    unsigned int i;

    for (i = 0; i < 4000; i++) {
        const uint64_t page = (uint64_t)rand_r(&seed) % 700;
        const uint64_t pages = 1 + (uint64_t)rand_r(&seed) % 60;

        g_assert_cmpint(gmemShimConvertibleMap(page * PAGE, pages * PAGE, rand_r(&seed) % 2 != 0),
                        ==, 0);
    }
    return NULL;
}

/* KVM, the bitmap and the published sums agree after any sequence of conversions. */
static void
testThreads(void)
{
    gmemShimStatusBackend backends[2];
    gmemShimStatus status;
    pthread_t threads[4];
    uint64_t counted[2] = {0};
    uint64_t page;
    unsigned int i;

    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    for (i = 0; i < G_N_ELEMENTS(threads); i++)
        g_assert_cmpint(pthread_create(&threads[i], NULL, convertAtRandom, GUINT_TO_POINTER(i + 1)),
                        ==, 0);
    for (i = 0; i < G_N_ELEMENTS(threads); i++)
        pthread_join(threads[i], NULL);

    for (page = 0; page < (LOW_SIZE + HIGH_SIZE) / PAGE; page++) {
        const bool second = page >= LOW_SIZE / PAGE;
        const uint64_t offset = (second ? page - LOW_SIZE / PAGE : page) * PAGE;
        uint64_t end;

        g_assert_cmpint(
            gmemShimHalvesRun(gmemShimHalvesByIndex(second), offset, offset + PAGE, &end), ==,
            fake.attribute[page]);
        if (fake.attribute[page])
            counted[second] += PAGE;
    }
    readStatus(&status, backends);
    g_assert_cmpuint(status.hypercalls, ==, 16000);
    g_assert_cmpuint(status.refused, ==, 0);
    for (i = 0; i < 2; i++) {
        g_assert_cmpuint(counted[i], >, 0);
        g_assert_cmpuint(backends[i].privateBytes, ==, counted[i]);
        g_assert_cmpuint(backends[i].privateBytes + backends[i].sharedBytes, ==,
                         i == 0 ? LOW_SIZE : HIGH_SIZE);
    }
}

static void
meanwhileMapped(void)
{
    tellMapped(low, LOW_SIZE);
}

static void
meanwhileKeepsPages(void)
{
    g_assert_true(gmemShimConvertibleKeepsPages(low, PAGE));
}

static void
meanwhileBound(void)
{
    gmemShimConvertibleBound(low, LOW_SIZE, 0, NULL, 0);
}

static void
meanwhileSetSlot(void)
{
    g_assert_cmpint(setSlot(1, HIGH_ADDRESS, HIGH_SIZE, high, 0), ==, 0);
}

static void
meanwhileMap(void)
{
    g_assert_cmpint(gmemShimConvertibleMap(PAGE, PAGE, true), ==, 0);
}

static void
meanwhileFault(void)
{
    g_assert_cmpint(gmemShimConvertibleFault(0, PAGE, true, false), ==, GMEM_SHIM_FAULT_RETRY);
}

static void
meanwhileVerify(void)
{
    g_assert_true(verifies(NULL));
}

/* A conversion excludes everything else. */
static void
testLock(void)
{
    static void (*const calls[])(void) = {
        meanwhileMapped, meanwhileKeepsPages, meanwhileBound,  meanwhileSetSlot,
        meanwhileMap,    meanwhileFault,      meanwhileVerify, gmemShimConvertibleReset,
    };
    size_t i;

    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    for (i = 0; i < G_N_ELEMENTS(calls); i++) {
        g_assert_cmpint(gmemShimConvertibleMap(0, PAGE, false), ==, 0);
        fake.meanwhile = calls[i];
        g_assert_cmpint(gmemShimConvertibleMap(0, PAGE, true), ==, 0);
        lockedJoin();
    }

    /* This also holds for its second step, before which the lock was released. The first step is
     * done already. */
    g_assert_cmpint(gmemShimConvertibleMap(0, LOW_SIZE, true), ==, 0);
    g_assert_cmpint(gmemShimConvertibleMap(HIGH_ADDRESS, PAGE, false), ==, 0);
    fake.meanwhile = meanwhileKeepsPages;
    g_assert_cmpint(gmemShimConvertibleMap(0, LOW_SIZE + PAGE, true), ==, 0);
    g_assert_null(fake.meanwhile);
    lockedJoin();
}

static int resetVcpus[2];

static void
meanwhileRun(void)
{
    runOnce(&resetVcpus[1]);
}

static void
meanwhileMade(void)
{
    makeVcpu();
}

static void
meanwhileSetState(void)
{
    gmemShimVcpuSetState(resetVcpus[1], NULL);
}

/* No vCPU starts to run, and none is created, in the middle of a reset. */
static void
testResetLock(void)
{
    static void (*const calls[])(void) = {meanwhileRun, meanwhileMade, meanwhileSetState};
    size_t i;

    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    resetVcpus[0] = makeVcpu();
    resetVcpus[1] = makeVcpu();
    for (i = 0; i < G_N_ELEMENTS(calls); i++) {
        runOnce(&resetVcpus[0]);
        gmemShimVcpuSetState(resetVcpus[1], NULL);
        g_assert_cmpint(gmemShimConvertibleMap(0, PAGE, true), ==, 0);
        fake.meanwhile = calls[i];
        gmemShimVcpuSetState(resetVcpus[0], NULL);
        g_assert_null(fake.meanwhile);
        lockedJoin();
        g_assert_cmpuint(resets(), ==, i + 1);
    }
}

static struct {
    sem_t may;
    sem_t ran;
    pthread_key_t gone; /* created after the shim's, so it runs after that one */
} leaving;

static void
noteGone(void *unused G_GNUC_UNUSED)
{
    atomic_store(&locked.through, true);
}

static void *
runAndLeave(void *unused G_GNUC_UNUSED)
{
    runOnce(&resetVcpus[1]);
    g_assert_cmpint(pthread_setspecific(leaving.gone, &leaving), ==, 0);
    sem_post(&leaving.ran);
    while (sem_wait(&leaving.may) < 0) {
    }
    lockedBegin();
    return NULL;
}

/* Nor does a vCPU end. */
static void
testResetLockAtEnd(void)
{
    if (!inOwnProcess())
        return;
    beginWithSlots("shared");
    resetVcpus[0] = makeVcpu();
    resetVcpus[1] = makeVcpu();
    g_assert_cmpint(pthread_key_create(&leaving.gone, noteGone), ==, 0);
    sem_init(&leaving.may, 0, 0);
    sem_init(&leaving.ran, 0, 0);
    atomic_store(&locked.tid, 0);
    atomic_store(&locked.through, false);
    g_assert_cmpint(pthread_create(&locked.thread, NULL, runAndLeave, NULL), ==, 0);
    while (sem_wait(&leaving.ran) < 0) {
    }
    runOnce(&resetVcpus[0]);
    gmemShimVcpuSetState(resetVcpus[1], NULL);
    g_assert_cmpint(gmemShimConvertibleMap(0, PAGE, true), ==, 0);
    fake.leave = &leaving.may;
    gmemShimVcpuSetState(resetVcpus[0], NULL);
    g_assert_null(fake.leave);
    lockedJoin();
    g_assert_cmpuint(resets(), ==, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/convertible/backends", testBackends);
    g_test_add_func("/convertible/descriptors", testDescriptors);
    g_test_add_func("/convertible/refused-vm", testVMRefused);
    g_test_add_func("/convertible/missing-backends", testBackendsMissing);
    g_test_add_func("/convertible/extensions", testExtensions);
    g_test_add_func("/convertible/slots", testSlots);
    g_test_add_func("/convertible/lost-slots", testSlotsLost);
    g_test_add_func("/convertible/changed-slots", testSlotChanges);
    g_test_add_func("/convertible/conversions", testConversions);
    g_test_add_func("/convertible/conversions-in-chunks", testConversionChunks);
    g_test_add_func("/convertible/refused-conversions", testConversionsRefused);
    g_test_add_func("/convertible/hypercalls", testHypercalls);
    g_test_add_func("/convertible/faults", testFaults);
    g_test_add_func("/convertible/faults-while-replaced", testFaultsWhileReplaced);
    g_test_add_func("/convertible/bound", testBound);
    g_test_add_func("/convertible/bound-private", testBoundPrivate);
    g_test_add_func("/convertible/held", testHeld);
    g_test_add_func("/convertible/files", testFiles);
    g_test_add_func("/convertible/huge-pages", testHugePages);
    g_test_add_func("/convertible/reset", testReset);
    g_test_add_func("/convertible/start-private", testStartPrivate);
    g_test_add_func("/convertible/cpuid", testCPUID);
    g_test_add_func("/convertible/threads", testThreads);
    g_test_add_func("/convertible/lock", testLock);
    g_test_add_func("/convertible/reset-lock", testResetLock);
    g_test_add_func("/convertible/reset-lock-at-end", testResetLockAtEnd);
    return g_test_run();
}
