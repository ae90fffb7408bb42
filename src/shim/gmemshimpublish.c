/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimpublish.c: keeps what gmemshimstatus.h describes up to date. */

#include "gmemshimpublish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemshimreal.h"
#include "gmemshimreport.h"
#include "gmemshimstatus.h"

static gmemShimStatus *gmemShimPublished;

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

/* Readers take what lies between two equal even numbers: the first must be seen before what it
 * announces, the second after it. */
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
    for (uint32_t i = 0; i < gmemShimPublished->backends; i++) {
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
    const int fd = real->memfdCreate(GMEM_SHIM_STATUS_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *mapping = MAP_FAILED;

    /* The descriptor stays open: it is how readers find the file. */
    if (fd >= 0 && fchmod(fd, S_IRUSR | S_IWUSR) == 0 && real->ftruncate(fd, (off_t)size) == 0 &&
        real->fcntl(fd, F_ADD_SEALS, (void *)seals) == 0)
        mapping = real->mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapping != MAP_FAILED)
        return mapping;
    gmemShimReport("cannot publish what the domain's memory is: %m");
    if (fd >= 0)
        close(fd);
    return NULL;
}

int
gmemShimPublishInit(const gmemShimConfig *config)
{
    gmemShimStatus *status =
        gmemShimPublishMap(sizeof(*status) + config->listed * sizeof(gmemShimStatusBackend));

    if (status == NULL)
        return -1;
    status->version = GMEM_SHIM_STATUS_VERSION;
    status->startPrivate = config->startPrivate;
    status->mode = config->mode == GMEM_MODE_CONVERTIBLE ? GMEM_SHIM_STATUS_CONVERTIBLE
                                                         : GMEM_SHIM_STATUS_FULLY_SHARED;
    status->ram = config->ram;
    for (unsigned int i = 0; i < config->listed; i++) {
        const gmemShimConfigBackend *listed = &config->list[i];
        gmemShimStatusBackend *backend = &status->backend[status->backends];

        if (!listed->ram)
            continue;
        snprintf(backend->id, sizeof(backend->id), "%s", listed->id);
        backend->privateBytes = config->startPrivate ? listed->size : 0;
        backend->sharedBytes = listed->size - backend->privateBytes;
        status->backends++;
    }
    /* Last: a file without it is not read. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    memcpy(status->magic, GMEM_SHIM_STATUS_MAGIC, sizeof(status->magic));
    gmemShimPublished = status;
    return 0;
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
    gmemShimPublishBegin();
    for (uint32_t i = 0; i < gmemShimPublished->backends; i++) {
        gmemShimStatusBackend *backend = &gmemShimPublished->backend[i];

        gmemShimPublishSizes(backend, gmemShimPublished->startPrivate
                                          ? backend->privateBytes + backend->sharedBytes
                                          : 0);
    }
    gmemShimPublishAdd(&gmemShimPublished->resets);
    gmemShimPublishEnd();
}
