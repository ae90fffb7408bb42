/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimshared.c: mode fully-shared: a memory backend's memfd becomes a guest_memfd.
 *
 * A memory-backend-memfd calls memfd_create("memory-backend-memfd"), ftruncate(),
 * fcntl(F_ADD_SEALS) and mmap(MAP_SHARED), in this order. A guest_memfd requires its size when it
 * is created, so the memfd is only recorded, and in ftruncate() the guest_memfd takes its number.
 * For KVM the memory is an ordinary slot over a mapping: dirty logging, read-only aliases, saving
 * and migration work as usual.
 *
 * A backend is identified by its descriptor number together with st_dev and st_ino. close() is not
 * interposed, so the number alone could have become another file's long ago. A memfd that gets a
 * number takes over its entry, and entries whose file is gone are removed when the table is full.
 *
 * The RAM of the command line exists before QEMU accepts any command from its monitor. So the first
 * guest_memfds, as many as the configuration says, are those of the start. A DIMM that is plugged
 * in before the first KVM_RUN comes after them, and is not counted.
 *
 * Whether a backend really is the guest's RAM is not left to QEMU, but determined from the memory
 * slots that it gives to KVM and from the kernel's list of mappings. This is done when each slot is
 * set, because QEMU may not have /proc later (chroot). Slots are split and joined while firmware
 * runs; it is enough to have seen the backend in one.
 *
 * Locking: gmemShimSharedLock guards everything here, except that gmemShimSharedMayHave() also
 * reads `fd` without it. So calls on other descriptors never wait, not even in a child between fork
 * and exec, where the lock might stay held forever. */

#include "gmemshimshared.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "gmemkvmabi.h"
#include "gmemautofd.h"
#include "gmemplatform.h"
#include "gmemqemunames.h"
#include "gmemshimerrno.h"
#include "gmemshimlock.h"
#include "gmemshimpublish.h"
#include "gmemshimreport.h"

/* The name that a memory-backend-memfd gives to its memfd: the name of its own type, since QEMU
 * 2.12. */
#define GMEM_SHIM_MEMFD_NAME GMEM_QEMU_MEMORY_BACKEND_MEMFD

#define GMEM_SHIM_GUEST_MEMFD_FLAGS (GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)

/* KVM_SET_USER_MEMORY_REGION has the address space in the upper half of the slot's number: 0 is
 * ordinary memory, 1 is what a CPU in system management mode sees. */
#define GMEM_SHIM_SLOT_SPACE(slot) ((slot) >> 16)

typedef struct {
    atomic_int fd;           /* -1: the entry is free */
    dev_t device;            /* of the file that had this number when the entry was written */
    ino_t inode;             /* of that file too */
    unsigned long long size; /* bytes of the guest_memfd; 0: still the memfd that holds the place */
    bool start;              /* made for the command line, not plugged in later */
    bool used;               /* seen in a memory slot */
} gmemShimBackend;

static pthread_mutex_t gmemShimSharedLock = PTHREAD_MUTEX_INITIALIZER;
static gmemShimConfig gmemShimSharedConfig;
static gmemShimBackend gmemShimSharedBackends[GMEM_SHIM_BACKENDS_MAX];
static unsigned int gmemShimSharedMade; /* guest_memfds so far */
static bool gmemShimSharedLowest;       /* a guest_memfd is at guest address 0 */
static int gmemShimSharedMapsErrno;     /* why mappings could not be read, else 0 */

static gmemShimBackend *
gmemShimSharedByNumber(int fd)
{
    size_t i;

    for (i = 0; i < GMEM_SHIM_BACKENDS_MAX; i++) {
        if (atomic_load(&gmemShimSharedBackends[i].fd) == fd)
            return &gmemShimSharedBackends[i];
    }
    return NULL;
}

/* Whether the number still refers to the same file. */
static bool
gmemShimSharedIsAlive(const gmemShimBackend *backend)
{
    struct stat file;

    return fstat(atomic_load(&backend->fd), &file) == 0 && file.st_dev == backend->device &&
           file.st_ino == backend->inode;
}

static gmemShimBackend *
gmemShimSharedFind(int fd)
{
    gmemShimBackend *backend = gmemShimSharedByNumber(fd);

    return backend != NULL && gmemShimSharedIsAlive(backend) ? backend : NULL;
}

static void
gmemShimSharedSweep(void)
{
    size_t i;

    for (i = 0; i < GMEM_SHIM_BACKENDS_MAX; i++) {
        if (!gmemShimSharedIsAlive(&gmemShimSharedBackends[i]))
            atomic_store(&gmemShimSharedBackends[i].fd, -1);
    }
}

static gmemShimBackend *
gmemShimSharedEntry(int fd)
{
    gmemShimBackend *backend = gmemShimSharedByNumber(fd);

    if (backend == NULL)
        backend = gmemShimSharedByNumber(-1);
    if (backend == NULL) {
        gmemShimSharedSweep();
        backend = gmemShimSharedByNumber(-1);
    }
    return backend;
}

static int
gmemShimSharedNote(int fd)
{
    gmemShimBackend *backend;
    struct stat file;

    if (fstat(fd, &file) < 0) {
        gmemShimReport("fstat of a memory backend failed: %m");
        return -1;
    }
    backend = gmemShimSharedEntry(fd);
    if (backend == NULL) {
        gmemShimReport("more than %d memory backends", GMEM_SHIM_BACKENDS_MAX);
        errno = ENFILE;
        return -1;
    }
    backend->device = file.st_dev;
    backend->inode = file.st_ino;
    backend->size = 0;
    backend->start = false;
    atomic_store(&backend->fd, fd);
    return 0;
}

/* What the VM lacks for a guest_memfd, as far as it says so itself. Preserves errno. */
static const char *
gmemShimSharedMissing(int vm, unsigned long long size)
{
    GMEM_SHIM_KEEP_ERRNO;
    gmemShimRealTable *real = gmemShimReal();
    int flags;

    if (real->ioctl(vm, KVM_CHECK_EXTENSION, (void *)KVM_CAP_GUEST_MEMFD) <= 0)
        return "KVM has no guest_memfd (KVM_CAP_GUEST_MEMFD): Linux 6.18 or later is needed, built "
               "with CONFIG_KVM_GUEST_MEMFD";
    flags = real->ioctl(vm, KVM_CHECK_EXTENSION, (void *)KVM_CAP_GUEST_MEMFD_FLAGS);
    if (flags < 0 || ((unsigned int)flags & GUEST_MEMFD_FLAG_MMAP) == 0)
        return "KVM's guest_memfd cannot be mapped (GUEST_MEMFD_FLAG_MMAP): Linux 6.18 or later is "
               "needed";
    if (((unsigned int)flags & GUEST_MEMFD_FLAG_INIT_SHARED) == 0)
        return "KVM's guest_memfd cannot be shared from the start (GUEST_MEMFD_FLAG_INIT_SHARED): "
               "Linux 6.18 or later is needed";
    if (size % GMEM_PLATFORM_PAGE != 0)
        return "the size is not a multiple of the page size";
    return "KVM offers all that is needed for it";
}

/* Returns a guest_memfd, close-on-exec, or -1 with errno and a report. */
static int
gmemShimSharedGuestMemfd(unsigned long long size, int vm)
{
    struct utsname kernel;
    int fd;

    if (vm < 0) {
        gmemShimReport("a memory backend of %llu bytes cannot be guest_memfd: QEMU has "
                       "created no KVM VM; it must run with -accel kvm",
                       size);
        errno = ENODEV;
        return -1;
    }
    fd = gmemShimRealGuestMemfd(vm, size, GMEM_SHIM_GUEST_MEMFD_FLAGS);
    if (fd < 0) {
        const char *missing = gmemShimSharedMissing(vm, size);
        const char *release = uname(&kernel) == 0 ? kernel.release : "?";

        gmemShimReport("ioctl KVM_CREATE_GUEST_MEMFD of %llu bytes failed: %m: %s (this is "
                       "Linux %s)",
                       size, missing, release);
        return -1;
    }
    return fd;
}

/* Puts @from in place of @to. */
static int
gmemShimSharedReplace(int from, int to, struct stat *file)
{
    const int flags = gmemShimReal()->fcntl(to, F_GETFD, NULL);
    int result = -1;

    if (flags < 0)
        gmemShimReport("fcntl F_GETFD of a memory backend failed: %m");
    else if (fstat(from, file) < 0)
        gmemShimReport("fstat of a guest_memfd failed: %m");
    else if (dup3(from, to, (flags & FD_CLOEXEC) != 0 ? O_CLOEXEC : 0) < 0)
        gmemShimReport("dup3 of a guest_memfd failed: %m");
    else
        result = 0;
    return result;
}

/* The file whose mapping contains @address; false if there is none, or if the mappings cannot be
 * read. */
static bool
gmemShimSharedMapping(uint64_t address, dev_t *device, ino_t *inode)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char *line = NULL;
    size_t size = 0;
    bool found = false;

    if (maps == NULL) {
        gmemShimSharedMapsErrno = errno;
        return false;
    }
    while (!found && getline(&line, &size, maps) > 0) {
        unsigned long long start, end, number;
        unsigned int high, low;

        if (sscanf(line, "%llx-%llx %*s %*s %x:%x %llu", &start, &end, &high, &low, &number) != 5)
            continue;
        if (address < start || address >= end)
            continue;
        *device = makedev(high, low);
        *inode = (ino_t)number;
        found = true;
    }
    free(line);
    fclose(maps);
    return found;
}

static gmemShimBackend *
gmemShimSharedByFile(dev_t device, ino_t inode)
{
    size_t i;

    for (i = 0; i < GMEM_SHIM_BACKENDS_MAX; i++) {
        gmemShimBackend *backend = &gmemShimSharedBackends[i];

        if (atomic_load(&backend->fd) >= 0 && backend->size > 0 && backend->device == device &&
            backend->inode == inode)
            return backend;
    }
    return NULL;
}

int
gmemShimSharedInit(const gmemShimConfig *config)
{
    size_t i;

    gmemShimSharedConfig = *config;
    for (i = 0; i < GMEM_SHIM_BACKENDS_MAX; i++)
        atomic_store(&gmemShimSharedBackends[i].fd, -1);
    return gmemShimPublishInit(config);
}

bool
gmemShimSharedIsBackend(const char *name)
{
    return strcmp(name, GMEM_SHIM_MEMFD_NAME) == 0;
}

int
gmemShimSharedCreate(const char *name, unsigned int flags)
{
    const int before = errno;
    GMEM_AUTO_FD fd = -1;

    if ((flags & MFD_HUGETLB) != 0) {
        gmemShimReport("a memory backend asks for hugepages, and guest_memfd has none");
        errno = EOPNOTSUPP;
        return -1;
    }
    fd = gmemShimReal()->memfdCreate(name, flags);
    if (fd < 0)
        return -1;

    GMEM_SHIM_LOCKED(&gmemShimSharedLock);
    if (gmemShimSharedNote(fd) < 0)
        return -1;
    errno = before;
    return gmemAutoFDSteal(&fd);
}

bool
gmemShimSharedMayHave(int fd)
{
    return fd >= 0 && gmemShimSharedByNumber(fd) != NULL;
}

int
gmemShimSharedResize(int fd, off_t size, int vm, gmemShimFtruncate *real)
{
    const int before = errno;
    gmemShimBackend *backend;
    GMEM_AUTO_FD gmem = -1;
    struct stat file;

    GMEM_SHIM_LOCKED(&gmemShimSharedLock);
    backend = gmemShimSharedFind(fd);
    if (backend == NULL || backend->size > 0 || size <= 0) {
        errno = before;
        return real(fd, size);
    }

    gmem = gmemShimSharedGuestMemfd((unsigned long long)size, vm);
    if (gmem < 0 || gmemShimSharedReplace(gmem, fd, &file) < 0)
        return -1;

    backend->device = file.st_dev;
    backend->inode = file.st_ino;
    backend->size = (unsigned long long)size;
    backend->start = gmemShimSharedMade++ < gmemShimSharedConfig.backends;
    gmemShimPublishMade(file.st_ino, (uint64_t)size);
    errno = before;
    return 0;
}

bool
gmemShimSharedSealed(int fd)
{
    GMEM_SHIM_KEEP_ERRNO;
    const gmemShimBackend *backend;
    bool sealed;

    GMEM_SHIM_LOCKED(&gmemShimSharedLock);
    backend = gmemShimSharedFind(fd);
    sealed = backend != NULL && backend->size > 0;
    return sealed;
}

void
gmemShimSharedSlot(const struct kvm_userspace_memory_region *region, bool verified)
{
    GMEM_SHIM_KEEP_ERRNO;
    gmemShimBackend *backend = NULL;
    dev_t device;
    ino_t inode;

    GMEM_SHIM_LOCKED(&gmemShimSharedLock);
    gmemShimPublishSlot(region);
    if (verified || region->memory_size == 0)
        return;

    if (gmemShimSharedMapping(region->userspace_addr, &device, &inode))
        backend = gmemShimSharedByFile(device, inode);
    if (backend != NULL)
        backend->used = true;
    if (region->guest_phys_addr == 0 && GMEM_SHIM_SLOT_SPACE(region->slot) == 0)
        gmemShimSharedLowest = backend != NULL;
}

bool
gmemShimSharedVerify(char *reason, size_t reasonSize)
{
    unsigned int backends = 0;
    unsigned long long ram = 0;
    size_t i;

    GMEM_SHIM_LOCKED(&gmemShimSharedLock);
    for (i = 0; i < GMEM_SHIM_BACKENDS_MAX; i++) {
        const gmemShimBackend *backend = &gmemShimSharedBackends[i];

        if (atomic_load(&backend->fd) >= 0 && backend->start) {
            backends++;
            ram += backend->size;
        }
    }
    if (backends != gmemShimSharedConfig.backends || ram != gmemShimSharedConfig.ram) {
        snprintf(reason, reasonSize,
                 "the domain's RAM is %u memory backends of %llu bytes in all, but QEMU "
                 "made %u guest_memfds of %llu bytes",
                 gmemShimSharedConfig.backends, gmemShimSharedConfig.ram, backends, ram);
        return false;
    }
    if (gmemShimSharedMapsErrno != 0) {
        errno = gmemShimSharedMapsErrno;
        snprintf(reason, reasonSize, "cannot see what the guest's RAM is: /proc/self/maps: %m");
        return false;
    }
    for (i = 0; i < GMEM_SHIM_BACKENDS_MAX; i++) {
        const gmemShimBackend *backend = &gmemShimSharedBackends[i];

        if (atomic_load(&backend->fd) >= 0 && backend->start && !backend->used) {
            snprintf(reason, reasonSize,
                     "the guest_memfd of %llu bytes at descriptor %d is in no memory slot",
                     backend->size, atomic_load(&backend->fd));
            return false;
        }
    }
    if (!gmemShimSharedLowest) {
        snprintf(reason, reasonSize, "the RAM at guest address 0 is not guest_memfd");
        return false;
    }
    return true;
}
