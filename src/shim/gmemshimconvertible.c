/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimconvertible.c: mode convertible: a software-protected VM whose pages the guest converts.
 *
 * The VM is created with type KVM_X86_SW_PROTECTED_VM. In such a VM an attribute that KVM keeps for
 * each guest address says whether a page is shared or private, and a memory slot has two halves:
 * QEMU's mapping for the shared pages and a guest_memfd for the private ones. QEMU does not know
 * about either. It creates its memory backends and slots as usual; the shim gives each RAM backend
 * its private half (gmemshimhalves.c) and each slot over RAM both halves, and serves the guest's
 * conversions.
 *
 * Which memory is RAM is known from the order in which QEMU maps it: memory backends come first, in
 * the order of the command line, which the shim's configuration repeats with their sizes. Before
 * the guest runs, this is verified: every backend has to be in a slot, one of them at guest address
 * 0.
 *
 * Slots
 *
 * A slot with a guest_memfd cannot be changed, only removed and created again; it can neither be
 * read-only nor have its changes logged; and no part of a guest_memfd can be in two slots. QEMU
 * nevertheless does the following:
 *
 * - Splitting: when firmware opens or closes the shadow of its ROM (PAM: 0xc0000 to 0xfffff), QEMU
 *   removes the slots around it and creates others. The guest_memfd keeps its pages while it is not
 *   in any slot, so what was private is there again with the next one.
 * - Attributes belong to guest addresses, not to memory. So they are set from the bitmap of the
 *   backend before a slot is created, and cleared when it is removed: the ROM that replaces it can
 *   be read, whatever the RAM under it was.
 * - Read-only RAM (a closed shadow) is an ordinary slot over the shared half. Private pages there
 *   cannot be accessed until it is writable again.
 * - Aliases: q35 shows 128 KiB of RAM a second time (SMRAM at 0xfeda0000). Memory that is in a slot
 *   already only gets the shared half, and KVM is not asked: its answer is EINVAL in Linux 6.12 and
 *   EEXIST in 7.2. If a part of the memory is not in a slot, KVM refuses, and that is an error: RAM
 *   is never left without its private half.
 * - Logging is refused. libvirt does not ask for it, because saving and migration of a convertible
 *   domain are refused earlier.
 *
 * There is only one address space, because lowering switches SMM off.
 *
 * Conversions
 *
 * KVM first gets the attribute, which takes the pages away from all vCPUs; then the other half is
 * freed. If two vCPUs convert the same page at once, they are served one after the other. In a
 * large range the lock is released now and then, so that a small conversion does not have to wait
 * for all of it.
 *
 * KVM_EXIT_MEMORY_FAULT means that the attribute of a page has changed since a vCPU faulted on it.
 * In a VM of this type only the attribute says how a page is accessed, so another vCPU's conversion
 * came in between: retrying is right, and converting the page back would destroy what that vCPU
 * puts there. An access that fails again although nobody converts is an implicit conversion. An
 * access for which KVM has no memory stops the VM, and QEMU reports it. An access where there is no
 * RAM is retried for a while before that, because QEMU replaces a slot by removing it first.
 *
 * A reset is recognised by its vCPUs: see gmemshimvcpu.c. */

#include "gmemshimconvertible.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "gmemkvmabi.h"
#include "gmemautofd.h"
#include "gmemshimerrno.h"
#include "gmemshimhalves.h"
#include "gmemshimlock.h"
#include "gmemshimpublish.h"
#include "gmemshimreal.h"
#include "gmemshimreport.h"

/* The size that is converted without releasing the lock, in bytes: some milliseconds. */
#define GMEM_SHIM_CHUNK (64ULL << 20)

/* A memory slot with both halves. */
typedef struct {
    uint32_t number;
    uint64_t address; /* guest physical */
    uint64_t size;
    uint64_t offset; /* in the backend */
    gmemShimHalves *halves;
} gmemShimConvertibleSlot;

static pthread_mutex_t gmemShimConvertibleLock = PTHREAD_MUTEX_INITIALIZER;
static const gmemShimConfig *gmemShimConvertibleConfig;
static int gmemShimConvertibleVM = -1; /* constant once there is one */
static gmemShimConvertibleSlot *gmemShimConvertibleSlots;
static size_t gmemShimConvertibleSlotCount;
static size_t gmemShimConvertibleSlotRoom;

static gmemShimConvertibleSlot *
gmemShimConvertibleSlotByNumber(uint32_t number)
{
    size_t i;

    for (i = 0; i < gmemShimConvertibleSlotCount; i++) {
        if (gmemShimConvertibleSlots[i].number == number)
            return &gmemShimConvertibleSlots[i];
    }
    return NULL;
}

static gmemShimConvertibleSlot *
gmemShimConvertibleSlotByAddress(uint64_t address)
{
    size_t i;

    for (i = 0; i < gmemShimConvertibleSlotCount; i++) {
        gmemShimConvertibleSlot *slot = &gmemShimConvertibleSlots[i];

        if (address >= slot->address && address - slot->address < slot->size)
            return slot;
    }
    return NULL;
}

/* Whether all of this memory is in slots already. */
static bool
gmemShimConvertibleSlotsHave(const gmemShimHalves *halves, uint64_t offset, uint64_t size)
{
    const uint64_t end = offset + size;
    size_t i;

    while (offset < end) {
        uint64_t next = offset;

        for (i = 0; i < gmemShimConvertibleSlotCount; i++) {
            const gmemShimConvertibleSlot *slot = &gmemShimConvertibleSlots[i];

            if (slot->halves == halves && offset >= slot->offset &&
                offset - slot->offset < slot->size)
                next = slot->offset + slot->size;
        }
        if (next == offset)
            return false;
        offset = next;
    }
    return true;
}

static int
gmemShimConvertibleSetAttributes(uint64_t address, uint64_t size, bool isPrivate)
{
    struct gmemKVMMemoryAttributes attributes = {
        .address = address,
        .size = size,
        .attributes = isPrivate ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
    };

    return gmemShimReal()->ioctl(gmemShimConvertibleVM, GMEM_KVM_SET_MEMORY_ATTRIBUTES,
                                 &attributes);
}

/* Sets the attribute of all memory in a slot that is @isPrivate. */
static int
gmemShimConvertibleSlotAttributes(const gmemShimConvertibleSlot *slot,
                                  bool isPrivate,
                                  bool attribute)
{
    const uint64_t end = slot->offset + slot->size;
    uint64_t offset = slot->offset;

    while (offset < end) {
        uint64_t next;

        if (gmemShimHalvesRun(slot->halves, offset, end, &next) == isPrivate &&
            gmemShimConvertibleSetAttributes(slot->address + (offset - slot->offset), next - offset,
                                             attribute) < 0)
            return -1;
        offset = next;
    }
    return 0;
}

static int
gmemShimConvertibleSlotRemove(gmemShimConvertibleSlot *slot)
{
    struct kvm_userspace_memory_region none = {.slot = slot->number};
    const gmemShimConvertibleSlot removed = *slot;

    if (gmemShimReal()->ioctl(gmemShimConvertibleVM, KVM_SET_USER_MEMORY_REGION, &none) < 0)
        return -1;
    *slot = gmemShimConvertibleSlots[--gmemShimConvertibleSlotCount];
    return gmemShimConvertibleSlotAttributes(&removed, true, false);
}

/* Returns 1 if this memory is in a slot already, and nothing was done. */
static int
gmemShimConvertibleSlotAdd(const gmemShimConvertibleSlot *slot)
{
    struct gmemKVMMemoryRegion2 region = {
        .slot = slot->number,
        .flags = KVM_MEM_GUEST_MEMFD,
        .guest_phys_addr = slot->address,
        .memory_size = slot->size,
        .userspace_addr = (uint64_t)(uintptr_t)(slot->halves->base + slot->offset),
        .guest_memfd_offset = slot->offset,
        .guest_memfd = (uint32_t)slot->halves->gmem,
    };

    if (gmemShimConvertibleSlotsHave(slot->halves, slot->offset, slot->size))
        return 1;
    if (gmemShimConvertibleSlotCount == gmemShimConvertibleSlotRoom) {
        const size_t room = 2 * gmemShimConvertibleSlotRoom + 32;
        gmemShimConvertibleSlot *slots = realloc(gmemShimConvertibleSlots, room * sizeof(*slots));

        if (slots == NULL)
            return -1;
        gmemShimConvertibleSlots = slots;
        gmemShimConvertibleSlotRoom = room;
    }
    if (gmemShimConvertibleSlotAttributes(slot, true, true) < 0 ||
        gmemShimReal()->ioctl(gmemShimConvertibleVM, GMEM_KVM_SET_USER_MEMORY_REGION2, &region) <
            0) {
        GMEM_SHIM_KEEP_ERRNO;

        gmemShimReport("memory backend '%s': %llu bytes at guest address 0x%llx cannot be in a "
                       "memory slot with their guest_memfd: %m",
                       slot->halves->config->id, (unsigned long long)slot->size,
                       (unsigned long long)slot->address);
        gmemShimConvertibleSlotAttributes(slot, true, false);
        return -1;
    }
    gmemShimConvertibleSlots[gmemShimConvertibleSlotCount++] = *slot;
    slot->halves->used = true;
    return 0;
}

/* Whether a guest can have all of this memory converted. */
static bool
gmemShimConvertibleCovered(uint64_t address, uint64_t size)
{
    const uint64_t end = address + size;

    if (size == 0 || end < address || (address | size) % GMEM_SHIM_PAGE != 0)
        return false;
    while (address < end) {
        const gmemShimConvertibleSlot *slot = gmemShimConvertibleSlotByAddress(address);

        if (slot == NULL)
            return false;
        address = slot->address + slot->size;
    }
    return true;
}

/* Converts the part in one slot, or as much of it as fits into one step. */
static int
gmemShimConvertibleConvertStep(
    uint64_t address, uint64_t size, bool isPrivate, uint64_t *done, const gmemShimHalves **counted)
{
    const gmemShimConvertibleSlot *slot = gmemShimConvertibleSlotByAddress(address);
    uint64_t offset, runEnd;

    if (slot == NULL)
        return -1;
    if (size > slot->address + slot->size - address)
        size = slot->address + slot->size - address;
    if (size > GMEM_SHIM_CHUNK)
        size = GMEM_SHIM_CHUNK;
    *done = size;
    offset = slot->offset + (address - slot->address);
    if (gmemShimHalvesRun(slot->halves, offset, offset + size, &runEnd) == isPrivate &&
        runEnd == offset + size)
        return 0;
    if (gmemShimConvertibleSetAttributes(address, size, isPrivate) < 0) {
        gmemShimReport(isPrivate ? "%llu bytes at guest address 0x%llx cannot be made private: %m"
                                 : "%llu bytes at guest address 0x%llx cannot be made shared: %m",
                       (unsigned long long)size, (unsigned long long)address);
        return -1;
    }
    gmemShimHalvesConvert(slot->halves, offset, size, isPrivate);
    gmemShimPublishBackend(slot->halves->config->id, slot->halves->privateSize, isPrivate,
                           *counted != slot->halves);
    *counted = slot->halves;
    return 0;
}

int
gmemShimConvertibleInit(const gmemShimConfig *config)
{
    gmemShimConvertibleConfig = config;
    gmemShimHalvesInit(config);
    return gmemShimPublishInit(config);
}

int
gmemShimConvertibleCreateVM(int fd)
{
    struct kvm_enable_cap hypercalls = {
        .cap = KVM_CAP_EXIT_HYPERCALL,
        .args[0] = 1ULL << KVM_HC_MAP_GPA_RANGE,
    };
    gmemShimRealTable *real = gmemShimReal();
    GMEM_AUTO_FD vm = real->ioctl(fd, KVM_CREATE_VM, (void *)(uintptr_t)KVM_X86_SW_PROTECTED_VM);

    if (vm < 0) {
        gmemShimReport("KVM cannot create a software-protected VM: %m: this requires a Linux with "
                       "CONFIG_KVM_SW_PROTECTED_VM, and EPT or NPT");
        return -1;
    }
    if (real->ioctl(vm, KVM_ENABLE_CAP, &hypercalls) < 0) {
        gmemShimReport("KVM does not pass on the hypercall KVM_HC_MAP_GPA_RANGE: %m");
        return -1;
    }
    gmemShimConvertibleVM = gmemAutoFDSteal(&vm);
    return gmemShimConvertibleVM;
}

int
gmemShimConvertibleCheckExtension(int fd, unsigned long capability)
{
    switch (capability) {
    case KVM_CAP_GUEST_MEMFD:
    case KVM_CAP_GUEST_MEMFD_FLAGS:
    case KVM_CAP_MEMORY_ATTRIBUTES:
        return 0;
    default:
        return gmemShimReal()->ioctl(gmemShimConvertibleVM >= 0 ? gmemShimConvertibleVM : fd,
                                     KVM_CHECK_EXTENSION, (void *)capability);
    }
}

int
gmemShimConvertibleMapped(void *base, size_t size, int flags, int file)
{
    GMEM_SHIM_LOCKED(&gmemShimConvertibleLock);
    return gmemShimHalvesMapped(base, size, flags, file, gmemShimConvertibleVM);
}

bool
gmemShimConvertibleMayMap(void)
{
    return gmemShimConvertibleVM >= 0 && gmemShimHalvesWanted();
}

bool
gmemShimConvertibleKeepsPages(const void *base, size_t size)
{
    GMEM_SHIM_LOCKED(&gmemShimConvertibleLock);
    return gmemShimHalvesAt((uint64_t)(uintptr_t)base, size) != NULL;
}

void
gmemShimConvertibleBound(
    void *base, unsigned long size, int policy, const unsigned long *nodes, unsigned long maxNode)
{
    GMEM_SHIM_KEEP_ERRNO;
    gmemShimHalves *halves;

    GMEM_SHIM_LOCKED(&gmemShimConvertibleLock);
    halves = gmemShimHalvesAt((uint64_t)(uintptr_t)base, size);
    if (halves != NULL && base == halves->base)
        gmemShimHalvesBound(halves, policy, nodes, maxNode);
}

static int
gmemShimConvertibleChangeSlot(const struct kvm_userspace_memory_region *region,
                              unsigned long request)
{
    gmemShimConvertibleSlot slot = {
        .number = region->slot,
        .address = region->guest_phys_addr,
        .size = region->memory_size,
    };
    gmemShimConvertibleSlot *old;
    int added;

    old = gmemShimConvertibleSlotByNumber(region->slot);
    if (region->memory_size > 0)
        slot.halves = gmemShimHalvesAt(region->userspace_addr, region->memory_size);
    if (slot.halves != NULL)
        slot.offset = region->userspace_addr - (uint64_t)(uintptr_t)slot.halves->base;

    if (slot.halves != NULL && (region->flags & KVM_MEM_LOG_DIRTY_PAGES) != 0) {
        gmemShimReport("QEMU asks to log changes of the memory at guest address 0x%llx, which "
                       "KVM cannot do for a software-protected VM: it cannot be saved or "
                       "migrated",
                       (unsigned long long)region->guest_phys_addr);
        errno = EOPNOTSUPP;
        return -1;
    }
    if (old != NULL && old->halves == slot.halves && old->offset == slot.offset &&
        old->address == slot.address && old->size == slot.size && region->flags == 0)
        return 0;
    if (old != NULL && (gmemShimConvertibleSlotRemove(old) < 0 || region->memory_size == 0))
        return region->memory_size == 0 && gmemShimConvertibleSlotByNumber(region->slot) == NULL
                   ? 0
                   : -1;
    if (slot.halves == NULL || (region->flags & KVM_MEM_READONLY) != 0)
        return gmemShimReal()->ioctl(gmemShimConvertibleVM, request, (void *)(uintptr_t)region);

    added = gmemShimConvertibleSlotAdd(&slot);
    if (added > 0)
        return gmemShimReal()->ioctl(gmemShimConvertibleVM, request, (void *)(uintptr_t)region);
    return added;
}

int
gmemShimConvertibleSetSlot(const struct kvm_userspace_memory_region *region, unsigned long request)
{
    int result;

    GMEM_SHIM_LOCKED(&gmemShimConvertibleLock);
    result = gmemShimConvertibleChangeSlot(region, request);
    if (result == 0)
        gmemShimPublishSlot(region);
    return result;
}

int
gmemShimConvertibleMap(uint64_t address, uint64_t size, bool isPrivate)
{
    const gmemShimHalves *counted = NULL;
    int result = 0;

    pthread_mutex_lock(&gmemShimConvertibleLock);
    if (!gmemShimConvertibleCovered(address, size))
        result = -EINVAL;
    while (result == 0 && size > 0) {
        uint64_t done;

        if (gmemShimConvertibleConvertStep(address, size, isPrivate, &done, &counted) < 0) {
            result = -EFAULT;
            break;
        }
        address += done;
        size -= done;
        if (size > 0) {
            pthread_mutex_unlock(&gmemShimConvertibleLock);
            sched_yield();
            pthread_mutex_lock(&gmemShimConvertibleLock);
        }
    }
    gmemShimPublishHypercall(result == 0);
    pthread_mutex_unlock(&gmemShimConvertibleLock);
    return result;
}

gmemShimFault
gmemShimConvertibleFault(uint64_t address, uint64_t size, bool isPrivate, bool insist)
{
    const gmemShimHalves *counted = NULL;
    const uint64_t start = address / GMEM_SHIM_PAGE * GMEM_SHIM_PAGE;
    const gmemShimConvertibleSlot *slot;
    uint64_t offset, runEnd, done;

    GMEM_SHIM_LOCKED(&gmemShimConvertibleLock);
    size = (address + size + GMEM_SHIM_PAGE - 1) / GMEM_SHIM_PAGE * GMEM_SHIM_PAGE - start;
    slot = gmemShimConvertibleSlotByAddress(start);
    if (slot == NULL || !gmemShimConvertibleCovered(start, size))
        return GMEM_SHIM_FAULT_ABSENT;
    if (!insist)
        return GMEM_SHIM_FAULT_RETRY;
    offset = slot->offset + (start - slot->address);
    if (gmemShimHalvesRun(slot->halves, offset, offset + GMEM_SHIM_PAGE, &runEnd) == isPrivate) {
        gmemShimReport(isPrivate ? "KVM has no memory for the private page at guest address 0x%llx"
                                 : "KVM has no memory for the shared page at guest address 0x%llx",
                       (unsigned long long)start);
        return GMEM_SHIM_FAULT_STOP;
    }
    if (gmemShimConvertibleConvertStep(start, size, isPrivate, &done, &counted) < 0)
        return GMEM_SHIM_FAULT_STOP;
    gmemShimPublishImplicit();
    return GMEM_SHIM_FAULT_RETRY;
}

void
gmemShimConvertibleReset(void)
{
    const bool isPrivate = gmemShimConvertibleConfig->startPrivate;
    gmemShimHalves *halves;
    unsigned int i;

    GMEM_SHIM_LOCKED(&gmemShimConvertibleLock);
    for (i = 0; i < gmemShimConvertibleSlotCount; i++) {
        if (gmemShimConvertibleSlotAttributes(&gmemShimConvertibleSlots[i], !isPrivate, isPrivate) <
            0) {
            gmemShimReport("memory cannot be reset: %m");
            /* The guest would find the memory of its next boot where KVM does not look for it. */
            _exit(EXIT_FAILURE);
        }
    }
    for (i = 0; (halves = gmemShimHalvesByIndex(i)) != NULL; i++)
        gmemShimHalvesReset(halves, isPrivate);
    gmemShimPublishReset();
}

bool
gmemShimConvertibleVerify(char *reason, size_t reasonSize)
{
    const gmemShimHalves *halves;
    const gmemShimConvertibleSlot *lowest;
    unsigned int made = 0;
    unsigned int i;

    GMEM_SHIM_LOCKED(&gmemShimConvertibleLock);
    while (gmemShimHalvesByIndex(made) != NULL)
        made++;
    if (gmemShimConvertibleVM < 0) {
        snprintf(reason, reasonSize, "no KVM VM was made");
        return false;
    }
    if (gmemShimHalvesWanted()) {
        snprintf(reason, reasonSize,
                 "the domain's RAM is %u memory backends, but QEMU mapped only %u of them as was "
                 "expected",
                 gmemShimConvertibleConfig->backends, made);
        return false;
    }
    for (i = 0; (halves = gmemShimHalvesByIndex(i)) != NULL; i++) {
        if (!halves->used) {
            snprintf(reason, reasonSize, "memory backend '%s' is in no memory slot",
                     halves->config->id);
            return false;
        }
    }
    lowest = gmemShimConvertibleSlotByAddress(0);
    if (lowest == NULL) {
        snprintf(reason, reasonSize, "the RAM at guest address 0 has no guest_memfd");
        return false;
    }
    return true;
}
