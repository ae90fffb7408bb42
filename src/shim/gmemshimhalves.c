/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimhalves.c: mode convertible: RAM backends, each with a shared and a private half. */

#include "gmemshimhalves.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "gmemkvmabi.h"
#include "gmemshimerrno.h"
#include "gmemshimpublish.h"
#include "gmemshimreal.h"
#include "gmemshimreport.h"

#define GMEM_SHIM_BITS 64 /* of a word of the bitmap */

static const gmemShimConfig *gmemShimHalvesConfig;
static gmemShimHalves gmemShimHalvesTable[GMEM_SHIM_BACKENDS_MAX];
static unsigned int gmemShimHalvesMade;
static atomic_uint gmemShimHalvesNext; /* of the configuration's list */

/* The bits of word @word from @first on and before @end, counted over the whole map. */
static uint64_t
gmemShimHalvesMask(uint64_t word, uint64_t first, uint64_t end)
{
    uint64_t mask = ~0ULL;

    if (word == first / GMEM_SHIM_BITS)
        mask &= ~0ULL << (first % GMEM_SHIM_BITS);
    if (word == end / GMEM_SHIM_BITS)
        mask &= (1ULL << (end % GMEM_SHIM_BITS)) - 1;
    return mask;
}

/* Sets bits; returns how many of them have changed. */
static uint64_t
gmemShimHalvesSet(uint64_t *bits, uint64_t first, uint64_t end, bool value)
{
    uint64_t changed = 0;
    uint64_t word;

    for (word = first / GMEM_SHIM_BITS; word * GMEM_SHIM_BITS < end; word++) {
        const uint64_t mask = gmemShimHalvesMask(word, first, end);
        const uint64_t wrong = (value ? ~bits[word] : bits[word]) & mask;

        changed += (uint64_t)__builtin_popcountll(wrong);
        bits[word] ^= wrong;
    }
    return changed;
}

static bool
gmemShimHalvesAll(const uint64_t *bits, uint64_t first, uint64_t end)
{
    uint64_t word;

    for (word = first / GMEM_SHIM_BITS; word * GMEM_SHIM_BITS < end; word++) {
        if ((~bits[word] & gmemShimHalvesMask(word, first, end)) != 0)
            return false;
    }
    return true;
}

/* 4 KiB unless the memory is from hugetlbfs: shmem's transparent huge pages can be freed in part.
 */
static uint64_t
gmemShimHalvesPage(int file)
{
    struct statfs fs;

    if (file < 0 || fstatfs(file, &fs) < 0 || fs.f_type != HUGETLBFS_MAGIC)
        return GMEM_SHIM_PAGE;
    return (uint64_t)fs.f_bsize;
}

static int
gmemShimHalvesMake(
    const gmemShimConfigBackend *config, void *base, uint64_t size, int flags, int file, int vm)
{
    const uint64_t words = (size / GMEM_SHIM_PAGE + GMEM_SHIM_BITS - 1) / GMEM_SHIM_BITS;
    gmemShimRealTable *real = gmemShimReal();
    gmemShimHalves made = {
        .config = config,
        .base = base,
        .size = size,
        .sharedPage = gmemShimHalvesPage(file),
        .sharedMapping = (flags & MAP_SHARED) != 0,
        .file = -1,
        .gmem = -1,
        .isPrivate = calloc(words, sizeof(uint64_t)),
    };
    struct stat status;

    if (made.isPrivate != NULL) {
        if (file >= 0)
            made.file = real->fcntl(file, F_DUPFD_CLOEXEC, NULL);
        if (file < 0 || made.file >= 0)
            made.gmem = gmemShimRealGuestMemfd(vm, size, 0);
    }
    if (made.gmem < 0) {
        GMEM_SHIM_KEEP_ERRNO;

        gmemShimReport("memory backend '%s' of %llu bytes gets no guest_memfd: %m", config->id,
                       config->size);
        if (made.file >= 0)
            close(made.file);
        free(made.isPrivate);
        return -1;
    }
    if (gmemShimHalvesConfig->startPrivate)
        made.privateSize =
            GMEM_SHIM_PAGE * gmemShimHalvesSet(made.isPrivate, 0, size / GMEM_SHIM_PAGE, true);
    /* A transparent huge page of which a part was freed is held as a whole. Kernels without them
     * have nothing to switch off, and refuse. */
    if (made.sharedPage == GMEM_SHIM_PAGE)
        real->madvise(base, size, MADV_NOHUGEPAGE);
    if (fstat(made.gmem, &status) == 0)
        gmemShimPublishHalves(config->id, status.st_ino, (uint64_t)(uintptr_t)base);
    gmemShimHalvesTable[gmemShimHalvesMade++] = made;
    return 0;
}

/* What can fail in each conversion. */
typedef enum {
    GMEM_SHIM_HELD_SHARED,  /* to give shared memory back */
    GMEM_SHIM_HELD_PRIVATE, /* or private memory */
    GMEM_SHIM_HELD_PLACE,   /* to take private memory from where it is bound to */
} gmemShimHeld;

/* Counts a failure; returns whether it is the first of its kind, because guests convert thousands
 * of times a second, and the domain's log must not fill up. Preserves errno. */
static bool
gmemShimHalvesFailed(gmemShimHalves *halves, gmemShimHeld what)
{
    const unsigned int bit = 1U << what;
    const bool first = (halves->reported & bit) == 0;

    halves->reported |= bit;
    gmemShimPublishHeld();
    return first;
}

/* The pages of a file are freed in the file, those of an anonymous mapping in the mapping, and
 * those of a private mapping of a file in both. */
static void
gmemShimHalvesFreeShared(gmemShimHalves *halves, uint64_t offset, uint64_t size)
{
    gmemShimRealTable *real = gmemShimReal();
    int result = 0;

    if (halves->sharedMapping) {
        result = real->madvise(halves->base + offset, size, MADV_REMOVE);
    } else {
        result = real->madvise(halves->base + offset, size, MADV_DONTNEED);
        if (halves->file >= 0)
            result |= fallocate(halves->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                (off_t)offset, (off_t)size);
    }
    if (result < 0 && gmemShimHalvesFailed(halves, GMEM_SHIM_HELD_SHARED))
        gmemShimReport("memory backend '%s': %llu bytes of shared memory are held although they "
                       "are private now: %m (virt-gmem status counts further failures)",
                       halves->config->id, (unsigned long long)size);
}

static void
gmemShimHalvesFreePrivate(gmemShimHalves *halves, uint64_t offset, uint64_t size)
{
    if (fallocate(halves->gmem, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                  (off_t)size) < 0 &&
        gmemShimHalvesFailed(halves, GMEM_SHIM_HELD_PRIVATE))
        gmemShimReport("memory backend '%s': %llu bytes of private memory are held although they "
                       "are shared now: %m (virt-gmem status counts further failures)",
                       halves->config->id, (unsigned long long)size);
}

/* Private pages come from where the thread that allocates them may take memory. A guest_memfd only
 * keeps a policy of its own if it can be mapped, but for a slot with such a guest_memfd KVM also
 * takes shared pages from it, and not from QEMU's mapping. So the private pages of a bound backend
 * are allocated at once, by a thread that temporarily has its policy. */
static void
gmemShimHalvesPlace(gmemShimHalves *halves, uint64_t offset, uint64_t size)
{
    const unsigned long count = GMEM_SHIM_NODES_MAX + 1;
    unsigned long formerNodes[GMEM_SHIM_NODES_WORDS] = {0};
    int former = 0;
    int result;
    int why;

    if (halves->policy == 0)
        return;
    if (syscall(SYS_get_mempolicy, &former, formerNodes, count, NULL, 0UL) == 0 &&
        syscall(SYS_set_mempolicy, (long)halves->policy, halves->nodes, count) == 0) {
        do {
            result = fallocate(halves->gmem, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
        } while (result < 0 && errno == EINTR);
        why = result < 0 ? errno : 0;
        syscall(SYS_set_mempolicy, (long)former, formerNodes, count);
    } else {
        why = errno;
    }
    if (why == 0 || !gmemShimHalvesFailed(halves, GMEM_SHIM_HELD_PLACE))
        return;
    errno = why;
    gmemShimReport("memory backend '%s': %llu bytes of private memory are not bound to its host "
                   "nodes: %m (virt-gmem status counts further failures)",
                   halves->config->id, (unsigned long long)size);
}

/* Huge pages are freed as a whole, when the last of their 4 KiB pages has become private. Until
 * then the private pages are cleared, so that they read as zeros when they are made shared again;
 * but not if there is no huge page, because none might be available. */
static void
gmemShimHalvesFreeHuge(gmemShimHalves *halves, uint64_t offset, uint64_t size)
{
    const uint64_t page = halves->sharedPage;
    const uint64_t end = offset + size;
    uint64_t start;

    for (start = offset / page * page; start < end; start += page) {
        const uint64_t from = start > offset ? start : offset;
        const uint64_t to = start + page < end ? start + page : end;
        unsigned char resident = 0;

        if (gmemShimHalvesAll(halves->isPrivate, start / GMEM_SHIM_PAGE,
                              (start + page) / GMEM_SHIM_PAGE))
            gmemShimHalvesFreeShared(halves, start, page);
        else if (mincore(halves->base + start, GMEM_SHIM_PAGE, &resident) == 0 &&
                 (resident & 1) != 0)
            memset(halves->base + from, 0, to - from);
    }
}

void
gmemShimHalvesInit(const gmemShimConfig *config)
{
    gmemShimHalvesConfig = config;
}

bool
gmemShimHalvesWanted(void)
{
    return gmemShimHalvesConfig != NULL &&
           atomic_load(&gmemShimHalvesNext) < gmemShimHalvesConfig->listed;
}

int
gmemShimHalvesMapped(void *base, size_t size, int flags, int file, int vm)
{
    const gmemShimConfigBackend *config;
    uint64_t page;

    if (!gmemShimHalvesWanted())
        return 0;
    config = &gmemShimHalvesConfig->list[atomic_load(&gmemShimHalvesNext)];
    if ((flags & MAP_ANONYMOUS) != 0)
        file = -1;
    page = gmemShimHalvesPage(file);
    if (size != (config->size + page - 1) / page * page)
        return 0;
    if (config->ram && gmemShimHalvesMake(config, base, size, flags, file, vm) < 0)
        return -1;
    atomic_fetch_add(&gmemShimHalvesNext, 1);
    return 0;
}

gmemShimHalves *
gmemShimHalvesAt(uint64_t address, uint64_t size)
{
    unsigned int i;

    for (i = 0; i < gmemShimHalvesMade; i++) {
        gmemShimHalves *halves = &gmemShimHalvesTable[i];
        const uint64_t base = (uint64_t)(uintptr_t)halves->base;

        if (address >= base && address - base < halves->size &&
            size <= halves->size - (address - base))
            return halves;
    }
    return NULL;
}

gmemShimHalves *
gmemShimHalvesByIndex(unsigned int index)
{
    return index < gmemShimHalvesMade ? &gmemShimHalvesTable[index] : NULL;
}

void
gmemShimHalvesBound(gmemShimHalves *halves,
                    int policy,
                    const unsigned long *nodes,
                    unsigned long maxNode)
{
    const unsigned long bits = 8 * sizeof(unsigned long);

    memset(halves->nodes, 0, sizeof(halves->nodes));
    /* As mbind(2) counts: one more than are examined. */
    for (unsigned long node = 0; nodes != NULL && node + 1 < maxNode; node++) {
        if (node < GMEM_SHIM_NODES_MAX && (nodes[node / bits] >> node % bits & 1) != 0)
            halves->nodes[node / bits] |= 1UL << node % bits;
    }
    halves->policy = policy;
    if (halves->privateSize == halves->size)
        gmemShimHalvesPlace(halves, 0, halves->size);
}

bool
gmemShimHalvesRun(const gmemShimHalves *halves, uint64_t offset, uint64_t end, uint64_t *runEnd)
{
    const uint64_t last = end / GMEM_SHIM_PAGE;
    uint64_t page = offset / GMEM_SHIM_PAGE;
    const bool first = (halves->isPrivate[page / GMEM_SHIM_BITS] >> page % GMEM_SHIM_BITS & 1) != 0;

    while (page < last) {
        const uint64_t word = halves->isPrivate[page / GMEM_SHIM_BITS];
        const uint64_t other = (first ? ~word : word) >> page % GMEM_SHIM_BITS;

        if (other != 0) {
            page += (uint64_t)__builtin_ctzll(other);
            break;
        }
        page = (page / GMEM_SHIM_BITS + 1) * GMEM_SHIM_BITS;
    }
    *runEnd = page < last ? page * GMEM_SHIM_PAGE : end;
    return first;
}

uint64_t
gmemShimHalvesConvert(gmemShimHalves *halves, uint64_t offset, uint64_t size, bool isPrivate)
{
    const uint64_t changed =
        GMEM_SHIM_PAGE * gmemShimHalvesSet(halves->isPrivate, offset / GMEM_SHIM_PAGE,
                                           (offset + size) / GMEM_SHIM_PAGE, isPrivate);

    if (changed == 0)
        return 0;
    if (!isPrivate) {
        halves->privateSize -= changed;
        gmemShimHalvesFreePrivate(halves, offset, size);
    } else {
        halves->privateSize += changed;
        if (halves->sharedPage > GMEM_SHIM_PAGE)
            gmemShimHalvesFreeHuge(halves, offset, size);
        else
            gmemShimHalvesFreeShared(halves, offset, size);
        gmemShimHalvesPlace(halves, offset, size);
    }
    return changed;
}

void
gmemShimHalvesReset(gmemShimHalves *halves, bool isPrivate)
{
    gmemShimHalvesSet(halves->isPrivate, 0, halves->size / GMEM_SHIM_PAGE, isPrivate);
    halves->privateSize = isPrivate ? halves->size : 0;
    gmemShimHalvesFreePrivate(halves, 0, halves->size);
    if (isPrivate) {
        gmemShimHalvesFreeShared(halves, 0, halves->size);
        gmemShimHalvesPlace(halves, 0, halves->size);
    }
}
