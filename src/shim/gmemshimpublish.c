/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimpublish.c: keeps what gmemshimstatus.h describes up to date. */

#include "gmemshimpublish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "gmemautofd.h"
#include "gmemshimreal.h"
#include "gmemshimreport.h"
#include "gmemshimstatus.h"

static gmemShimStatus *gmemShimPublished;
static size_t gmemShimPublishRoom; /* for how many backends there is room */

static void
gmemShimPublishStore(uint64_t *where, uint64_t value)
{
    __atomic_store_n(where, value, __ATOMIC_RELAXED);
}

static void
gmemShimPublishAdd(uint64_t *where)
{
    gmemShimPublishStore(where, *where + 1);
}

/* Readers use what is between two equal even numbers: the first must be visible before the changes
 * that it announces, and the second after them. */
static void
gmemShimPublishBegin(void)
{
    gmemShimPublishAdd(&gmemShimPublished->sequence);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void
gmemShimPublishEnd(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    gmemShimPublishAdd(&gmemShimPublished->sequence);
}

static void
gmemShimPublishSizes(gmemShimStatusBackend *backend, uint64_t privateBytes)
{
    const uint64_t size = backend->privateBytes + backend->sharedBytes;

    gmemShimPublishStore(&backend->privateBytes, privateBytes);
    gmemShimPublishStore(&backend->sharedBytes, size - privateBytes);
}

static gmemShimStatusBackend *
gmemShimPublishFind(const char *id)
{
    uint32_t i;

    for (i = 0; i < gmemShimPublished->backends; i++) {
        if (strcmp(gmemShimPublished->backend[i].id, id) == 0)
            return &gmemShimPublished->backend[i];
    }
    return NULL;
}

static gmemShimStatus *
gmemShimPublishMap(size_t size)
{
    static const unsigned long seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    gmemShimRealTable *real = gmemShimReal();
    GMEM_AUTO_FD fd = real->memfdCreate(GMEM_SHIM_STATUS_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *mapping = MAP_FAILED;

    if (fd >= 0 && fchmod(fd, S_IRUSR | S_IWUSR) == 0 && real->ftruncate(fd, (off_t)size) == 0 &&
        real->fcntl(fd, F_ADD_SEALS, (void *)seals) == 0)
        mapping = real->mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapping == MAP_FAILED) {
        gmemShimReport("cannot publish what the domain's memory is: %m");
        return NULL;
    }
    /* It stays open, because readers find the file through it. */
    gmemAutoFDSteal(&fd);
    return mapping;
}

/* For convertible memory, whose backends the configuration lists. */
static void
gmemShimPublishList(gmemShimStatus *status, const gmemShimConfig *config)
{
    unsigned int i;

    for (i = 0; i < config->listed; i++) {
        const gmemShimConfigBackend *listed = &config->list[i];
        gmemShimStatusBackend *backend = &status->backend[status->backends];

        if (!listed->ram)
            continue;
        snprintf(backend->id, sizeof(backend->id), "%s", listed->id);
        backend->privateBytes = config->startPrivate ? listed->size : 0;
        backend->sharedBytes = listed->size - backend->privateBytes;
        status->backends++;
    }
}

int
gmemShimPublishInit(const gmemShimConfig *config)
{
    const bool convertible = config->mode == GMEM_MODE_CONVERTIBLE;
    /* In mode fully-shared each guest_memfd is listed when it is created, also one that is plugged
     * in. */
    const size_t room = convertible ? config->listed : GMEM_SHIM_BACKENDS_MAX;
    const size_t slotsAt = sizeof(gmemShimStatus) + room * sizeof(gmemShimStatusBackend);
    gmemShimStatus *status =
        gmemShimPublishMap(slotsAt + GMEM_SHIM_STATUS_SLOTS_MAX * sizeof(gmemShimStatusSlot));

    if (status == NULL)
        return -1;
    status->version = GMEM_SHIM_STATUS_VERSION;
    status->startPrivate = config->startPrivate;
    status->mode = convertible ? GMEM_SHIM_STATUS_CONVERTIBLE : GMEM_SHIM_STATUS_FULLY_SHARED;
    status->ram = config->ram;
    status->slotsAt = slotsAt;
    status->slotRoom = GMEM_SHIM_STATUS_SLOTS_MAX;
    gmemShimPublishRoom = room;
    gmemShimPublishList(status, config);
    /* This comes last, because a file without it is not read. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    memcpy(status->magic, GMEM_SHIM_STATUS_MAGIC, sizeof(status->magic));
    gmemShimPublished = status;
    return 0;
}

void
gmemShimPublishMade(uint64_t inode, uint64_t size)
{
    gmemShimStatusBackend *backend = &gmemShimPublished->backend[gmemShimPublished->backends];

    if (gmemShimPublished->backends >= gmemShimPublishRoom)
        return;
    gmemShimPublishBegin();
    gmemShimPublishStore(&backend->sharedBytes, size);
    gmemShimPublishStore(&backend->inode, inode);
    __atomic_store_n(&gmemShimPublished->backends, gmemShimPublished->backends + 1,
                     __ATOMIC_RELAXED);
    gmemShimPublishEnd();
}

/* The entry of slot @number, otherwise a free one, or NULL. */
static gmemShimStatusSlot *
gmemShimPublishFindSlot(uint32_t number)
{
    gmemShimStatusSlot *slots =
        (gmemShimStatusSlot *)((char *)gmemShimPublished + gmemShimPublished->slotsAt);
    gmemShimStatusSlot *unused = NULL;
    uint32_t i;

    for (i = 0; i < gmemShimPublished->slotRoom; i++) {
        if (slots[i].size > 0 && slots[i].number == number)
            return &slots[i];
        if (slots[i].size == 0 && unused == NULL)
            unused = &slots[i];
    }
    return unused;
}

void
gmemShimPublishSlot(const struct kvm_userspace_memory_region *region)
{
    gmemShimStatusSlot *slot = gmemShimPublishFindSlot(region->slot);

    gmemShimPublishBegin();
    if (slot == NULL) {
        __atomic_store_n(&gmemShimPublished->slotsLost, 1, __ATOMIC_RELAXED);
    } else {
        __atomic_store_n(&slot->number, region->slot, __ATOMIC_RELAXED);
        gmemShimPublishStore(&slot->guest, region->guest_phys_addr);
        gmemShimPublishStore(&slot->address, region->userspace_addr);
        gmemShimPublishStore(&slot->size, region->memory_size);
    }
    gmemShimPublishEnd();
}

void
gmemShimPublishHalves(const char *id, uint64_t inode, uint64_t address)
{
    gmemShimStatusBackend *backend = gmemShimPublishFind(id);

    if (backend == NULL)
        return;
    gmemShimPublishStore(&backend->inode, inode);
    gmemShimPublishStore(&backend->address, address);
}

void
gmemShimPublishVerified(void)
{
    __atomic_store_n(&gmemShimPublished->verified, 1, __ATOMIC_RELEASE);
}

void
gmemShimPublishHeld(void)
{
    gmemShimPublishAdd(&gmemShimPublished->held);
}

void
gmemShimPublishBackend(const char *id, uint64_t privateBytes, bool isPrivate, bool count)
{
    gmemShimStatusBackend *backend = gmemShimPublishFind(id);

    if (backend == NULL)
        return;
    gmemShimPublishBegin();
    gmemShimPublishSizes(backend, privateBytes);
    if (count)
        gmemShimPublishAdd(isPrivate ? &backend->toPrivate : &backend->toShared);
    gmemShimPublishEnd();
}

void
gmemShimPublishHypercall(bool served)
{
    gmemShimPublishBegin();
    gmemShimPublishAdd(&gmemShimPublished->hypercalls);
    if (!served)
        gmemShimPublishAdd(&gmemShimPublished->refused);
    gmemShimPublishEnd();
}

void
gmemShimPublishImplicit(void)
{
    gmemShimPublishBegin();
    gmemShimPublishAdd(&gmemShimPublished->implicit);
    gmemShimPublishEnd();
}

void
gmemShimPublishReset(void)
{
    uint32_t i;

    gmemShimPublishBegin();
    for (i = 0; i < gmemShimPublished->backends; i++) {
        gmemShimStatusBackend *backend = &gmemShimPublished->backend[i];

        gmemShimPublishSizes(backend, gmemShimPublished->startPrivate
                                          ? backend->privateBytes + backend->sharedBytes
                                          : 0);
    }
    gmemShimPublishAdd(&gmemShimPublished->resets);
    gmemShimPublishEnd();
}
