/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_calls.c: what the functions do that stand in front of libc's, where a QEMU cannot be brought
 * to do it: threads that meet, calls that fail. Kernel and modes are imitated: the functions with
 * __wrap_ here replace those of the modes.
 *
 * The source itself is included, with other names for what this program needs from libc. The
 * shim's state belongs to a process, and each test sets it. */

#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_locked.h"

#define fcntl testFcntl
#define fcntl64 testFcntl64
#define ftruncate testFtruncate
#define ftruncate64 testFtruncate64
#define ioctl testIoctl
#define madvise testMadvise
#define mbind testMbind
#define memfd_create testMemfdCreate
#define mmap testMmap
#define mmap64 testMmap64
#define __libc_start_main testStartMain

int testFcntl(int fd, int command, ...);
int testFcntl64(int fd, int command, ...);
int testFtruncate(int fd, off_t length);
int testFtruncate64(int fd, off64_t length);
int testIoctl(int fd, unsigned long request, ...);
long testMbind(void *base,
               unsigned long size,
               int policy,
               const unsigned long *nodes,
               unsigned long maxNode,
               unsigned int flags);
int testMadvise(void *base, size_t size, int advice);
int testMemfdCreate(const char *name, unsigned int flags);
void *testMmap(void *base, size_t size, int protection, int flags, int fd, off_t offset);
void *testMmap64(void *base, size_t size, int protection, int flags, int fd, off64_t offset);

#include "../../../src/shim/gmemshim.c"

#define KVM 1000000
#define VM 1000001
#define SIZE (2 * 1024 * 1024)
#define FAILS 4242

void __wrap_gmemShimConvertibleBound(
    void *base, unsigned long size, int policy, const unsigned long *nodes, unsigned long maxNode);
int __wrap_gmemShimConvertibleCreateVM(int fd);
int __wrap_gmemShimConvertibleMapped(void *base, size_t size, int flags, int file);
bool __wrap_gmemShimConvertibleMayMap(void);
bool __wrap_gmemShimConvertibleKeepsPages(const void *base, size_t size);
void __wrap_gmemShimPublishVerified(void);
void __wrap_gmemShimSharedSlot(const struct kvm_userspace_memory_region *region, bool later);
bool __wrap_gmemShimSharedVerify(char *reason, size_t reasonSize);
int __wrap_gmemShimVcpuMade(int kvm, int fd);

static struct {
    atomic_int verifications;
    unsigned int published;
    unsigned int advised;
    unsigned int mapped;
    unsigned int bound;
    bool mayNotMap;
    unsigned int slots;
    const void *slot; /* the last one */
    bool later;
    int result;          /* of the kernel's ioctl() */
    void (*rival)(void); /* what comes in between while a VM is made */
    int made[2];         /* the VMs */
    unsigned int nmade;
} fake;

static char ours[SIZE]; /* what has to keep its pages */
static char others[SIZE] __attribute__((aligned(4096)));

static void
begin(gmemShimState state, gmemMode mode)
{
    memset(&fake, 0, sizeof(fake));
    gmemShimConfiguration.mode = mode;
    atomic_store(&gmemShimCurrent, (int)state);
    atomic_store(&gmemShimKVM, -1);
    atomic_store(&gmemShimVM, -1);
}

bool
__wrap_gmemShimSharedVerify(char *reason G_GNUC_UNUSED, size_t reasonSize G_GNUC_UNUSED)
{
    lockedNotePassage();
    if (atomic_fetch_add(&fake.verifications, 1) == 0)
        lockedExpectWait(gmemShimVerify);
    return true;
}

void
__wrap_gmemShimPublishVerified(void)
{
    fake.published++;
}

/* The memory is looked at once, however many vCPUs start, and none runs before the result. */
static void
testVerifyLock(void)
{
    begin(GMEM_SHIM_ARMED, GMEM_MODE_FULLY_SHARED);
    gmemShimVerify();
    lockedJoin();
    g_assert_cmpint(atomic_load(&fake.verifications), ==, 1);
    g_assert_cmpuint(fake.published, ==, 1);
    g_assert_cmpint(gmemShimGet(), ==, GMEM_SHIM_VERIFIED);
}

static int
makeVM(void)
{
    void (*rival)(void) = fake.rival;
    const int vm = open("/dev/null", O_RDONLY | O_CLOEXEC);

    g_assert_cmpint(vm, >=, 0);
    g_assert_cmpuint(fake.nmade, <, G_N_ELEMENTS(fake.made));
    fake.made[fake.nmade++] = vm;
    fake.rival = NULL;
    if (rival != NULL)
        rival();
    return vm;
}

int
__wrap_gmemShimConvertibleCreateVM(int fd)
{
    g_assert_cmpint(fd, ==, KVM);
    return makeVM();
}

static int
fakeIoctl(int fd, unsigned long request, ...)
{
    if (request == KVM_CREATE_VM) {
        g_assert_cmpint(fd, ==, KVM);
        return makeVM();
    }
    if (fake.result < 0)
        errno = FAILS;
    return fake.result;
}

static void *
rivalRun(void *unused G_GNUC_UNUSED)
{
    g_assert_cmpint(testIoctl(KVM, KVM_CREATE_VM, 0), ==, fake.made[1]);
    return NULL;
}

static void
rivalWins(void)
{
    pthread_t thread;

    g_assert_cmpint(pthread_create(&thread, NULL, rivalRun, NULL), ==, 0);
    pthread_join(thread, NULL);
}

static bool
isOpen(int fd)
{
    struct stat file;

    return fstat(fd, &file) == 0;
}

/* Of two threads that make a VM at the same time, one gets it, even if the other asked first. */
static void
testTwoVMs(void)
{
    static const gmemMode modes[] = {GMEM_MODE_FULLY_SHARED, GMEM_MODE_CONVERTIBLE};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(modes); i++) {
        begin(GMEM_SHIM_ARMED, modes[i]);
        gmemShimReal()->ioctl = fakeIoctl;
        fake.rival = rivalWins;
        g_assert_cmpint(testIoctl(KVM, KVM_CREATE_VM, 0), ==, -1);
        g_assert_cmpint(errno, ==, EBUSY);
        g_assert_cmpuint(fake.nmade, ==, 2);
        g_assert_false(isOpen(fake.made[0]));
        g_assert_true(isOpen(fake.made[1]));
        g_assert_cmpint(atomic_load(&gmemShimVM), ==, fake.made[1]);

        g_assert_cmpint(testIoctl(KVM, KVM_CREATE_VM, 0), ==, -1);
        g_assert_cmpint(errno, ==, EBUSY);
        g_assert_cmpuint(fake.nmade, ==, 2);
        close(fake.made[1]);
    }
}

void
__wrap_gmemShimSharedSlot(const struct kvm_userspace_memory_region *region, bool later)
{
    fake.slots++;
    fake.slot = region;
    fake.later = later;
}

/* Of what QEMU asks for, the memory slots are looked at, by both requests, if KVM accepted them. */
static void
testSlots(void)
{
    static const struct {
        unsigned long request;
        bool slot;
    } requests[] = {
        {KVM_SET_USER_MEMORY_REGION, true},
        {GMEM_KVM_SET_USER_MEMORY_REGION2, true},
        /* The kernel uses 32 bits of it. */
        {~0UL << 32 | KVM_SET_USER_MEMORY_REGION, true},
        {~0UL << 32 | GMEM_KVM_SET_USER_MEMORY_REGION2, true},
        {KVM_GET_DIRTY_LOG, false},
        {KVM_CREATE_VCPU, false},
        {KVM_CHECK_EXTENSION, false},
        {KVM_SET_TSS_ADDR, false},
    };
    static const gmemShimState states[] = {GMEM_SHIM_INERT, GMEM_SHIM_ARMED, GMEM_SHIM_VERIFIED};
    static const int results[] = {0, -1};
    struct kvm_userspace_memory_region region = {.slot = 1};
    size_t i, state, result;

    for (i = 0; i < G_N_ELEMENTS(requests); i++) {
        for (state = 0; state < G_N_ELEMENTS(states); state++) {
            for (result = 0; result < G_N_ELEMENTS(results); result++) {
                const bool looked =
                    requests[i].slot && states[state] != GMEM_SHIM_INERT && results[result] == 0;

                g_test_message("%zu, %zu, %zu", i, state, result);
                begin(states[state], GMEM_MODE_FULLY_SHARED);
                gmemShimReal()->ioctl = fakeIoctl;
                fake.result = results[result];
                errno = 0;
                g_assert_cmpint(testIoctl(VM, requests[i].request, &region), ==, fake.result);
                g_assert_cmpint(errno, ==, fake.result < 0 ? FAILS : 0);
                g_assert_cmpuint(fake.slots, ==, looked ? 1 : 0);
                g_assert_true(fake.slot == (looked ? &region : NULL));
                g_assert_cmpint(fake.later, ==, looked && states[state] == GMEM_SHIM_VERIFIED);
            }
        }
    }
}

bool
__wrap_gmemShimConvertibleKeepsPages(const void *base, size_t size)
{
    g_assert_cmpuint(size, ==, SIZE);
    return base == ours;
}

static int
fakeMadvise(void *base G_GNUC_UNUSED, size_t size, int advice G_GNUC_UNUSED)
{
    g_assert_cmpuint(size, ==, SIZE);
    fake.advised++;
    errno = FAILS;
    return -1;
}

/* Only huge pages are kept from memory, and only from what has two halves. */
static void
testAdvice(void)
{
    static const struct {
        gmemShimState state;
        gmemMode mode;
        char *base;
        int advice;
        bool kept;
    } cases[] = {
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, ours, MADV_HUGEPAGE, true},
        {GMEM_SHIM_VERIFIED, GMEM_MODE_CONVERTIBLE, ours, MADV_HUGEPAGE, true},
        {GMEM_SHIM_INERT, GMEM_MODE_CONVERTIBLE, ours, MADV_HUGEPAGE, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, others, MADV_HUGEPAGE, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_FULLY_SHARED, ours, MADV_HUGEPAGE, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, ours, MADV_NOHUGEPAGE, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, ours, MADV_NORMAL, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, ours, MADV_MERGEABLE, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, ours, MADV_DONTFORK, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, ours, MADV_DONTDUMP, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, ours, MADV_DONTNEED, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, ours, MADV_REMOVE, false},
        {GMEM_SHIM_VERIFIED, GMEM_MODE_CONVERTIBLE, ours, MADV_POPULATE_WRITE, false},
    };
    size_t i;

    gmemShimReal()->madvise = fakeMadvise;
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%zu", i);
        begin(cases[i].state, cases[i].mode);
        errno = 0;
        g_assert_cmpint(testMadvise(cases[i].base, SIZE, cases[i].advice), ==,
                        cases[i].kept ? 0 : -1);
        g_assert_cmpint(errno, ==, cases[i].kept ? 0 : FAILS);
        g_assert_cmpuint(fake.advised, ==, cases[i].kept ? 0 : 1);
    }
}

bool
__wrap_gmemShimConvertibleMayMap(void)
{
    return !fake.mayNotMap;
}

int
__wrap_gmemShimConvertibleMapped(void *base, size_t size, int flags, int file)
{
    g_assert_true(base == others);
    g_assert_cmpuint(size, ==, SIZE);
    g_assert_cmpint(flags & MAP_FIXED, !=, 0);
    g_assert_cmpint(file, ==, 7);
    fake.mapped++;
    errno = FAILS;
    return fake.result;
}

static void *
fakeMmap(void *base,
         size_t size G_GNUC_UNUSED,
         int protection G_GNUC_UNUSED,
         int flags G_GNUC_UNUSED,
         int fd G_GNUC_UNUSED,
         off_t offset G_GNUC_UNUSED)
{
    return base;
}

/* A memory backend is what QEMU maps at a place of its choice, to read and to write. */
static void
testMapped(void)
{
    static const int rw = PROT_READ | PROT_WRITE;
    static const struct {
        gmemShimState state;
        gmemMode mode;
        int protection;
        int flags;
        bool mayNot;
        int result; /* of looking at it */
        bool looked;
    } cases[] = {
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, rw, MAP_SHARED | MAP_FIXED, false, 0, true},
        {GMEM_SHIM_VERIFIED, GMEM_MODE_CONVERTIBLE, rw, MAP_PRIVATE | MAP_FIXED, false, 0, true},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, rw, MAP_SHARED | MAP_FIXED, false, -1, true},
        {GMEM_SHIM_INERT, GMEM_MODE_CONVERTIBLE, rw, MAP_SHARED | MAP_FIXED, false, 0, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_FULLY_SHARED, rw, MAP_SHARED | MAP_FIXED, false, 0, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, rw, MAP_SHARED, false, 0, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, PROT_READ, MAP_FIXED, false, 0, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, PROT_NONE, MAP_FIXED, false, 0, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, rw | PROT_EXEC, MAP_FIXED, false, 0, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, rw, MAP_SHARED | MAP_FIXED, true, 0, false},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        void *expected = cases[i].result < 0 ? MAP_FAILED : others;

        g_test_message("%zu", i);
        begin(cases[i].state, cases[i].mode);
        gmemShimReal()->mmap = fakeMmap;
        fake.mayNotMap = cases[i].mayNot;
        fake.result = cases[i].result;
        errno = 0;
        g_assert_true(testMmap(others, SIZE, cases[i].protection, cases[i].flags, 7, 0) ==
                      expected);
        g_assert_cmpint(errno, ==, cases[i].result < 0 ? FAILS : 0);
        g_assert_cmpuint(fake.mapped, ==, cases[i].looked ? 1 : 0);
        g_assert_true(testMmap64(others, SIZE, cases[i].protection, cases[i].flags, 7, 0) ==
                      expected);
        g_assert_cmpuint(fake.mapped, ==, cases[i].looked ? 2 : 0);
    }

    /* What the kernel refuses to map is not there. */
    begin(GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE);
    g_assert_true(testMmap(MAP_FAILED, SIZE, rw, MAP_SHARED | MAP_FIXED, 7, 0) == MAP_FAILED);
    g_assert_cmpuint(fake.mapped, ==, 0);
}

void
__wrap_gmemShimConvertibleBound(
    void *base, unsigned long size, int policy, const unsigned long *nodes, unsigned long maxNode)
{
    g_assert_true(base == others && nodes == NULL);
    g_assert_cmpuint(size, ==, 0);
    g_assert_cmpint(policy, ==, 0);
    g_assert_cmpuint(maxNode, ==, 0);
    fake.bound++;
}

/* What the kernel has bound, the shim binds, too; what it refuses, it does not. */
static void
testBound(void)
{
    static const struct {
        gmemShimState state;
        gmemMode mode;
        int policy;
        bool bound;
    } cases[] = {
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, 0, true},
        {GMEM_SHIM_VERIFIED, GMEM_MODE_CONVERTIBLE, 0, true},
        {GMEM_SHIM_INERT, GMEM_MODE_CONVERTIBLE, 0, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_FULLY_SHARED, 0, false},
        {GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE, 99, false},
    };
    size_t i;

    if (syscall(SYS_mbind, others, 0UL, 0, NULL, 0UL, 0U) < 0) {
        g_test_skip("no mbind()");
        return;
    }
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%zu", i);
        begin(cases[i].state, cases[i].mode);
        g_assert_cmpint(testMbind(others, 0, cases[i].policy, NULL, 0, 0), ==,
                        cases[i].policy == 0 ? 0 : -1);
        g_assert_cmpuint(fake.bound, ==, cases[i].bound ? 1 : 0);
    }
}

int
__wrap_gmemShimVcpuMade(int kvm, int fd)
{
    g_assert_cmpint(kvm, ==, KVM);
    g_assert_cmpint(fd, ==, fake.result);
    errno = FAILS;
    return fake.later ? 0 : -1;
}

/* A vCPU that cannot be watched is none, and leaves no descriptor. */
static void
testVcpu(void)
{
    int i;

    for (i = 0; i < 2; i++) {
        const bool watched = i == 0;

        begin(GMEM_SHIM_ARMED, GMEM_MODE_CONVERTIBLE);
        gmemShimReal()->ioctl = fakeIoctl;
        atomic_store(&gmemShimKVM, KVM);
        fake.later = watched;
        fake.result = open("/dev/null", O_RDONLY | O_CLOEXEC);
        g_assert_cmpint(fake.result, >=, 0);
        g_assert_cmpint(testIoctl(VM, KVM_CREATE_VCPU, 0), ==, watched ? fake.result : -1);
        g_assert_true(watched || errno == FAILS);
        g_assert_cmpint(isOpen(fake.result), ==, watched);
        if (watched)
            close(fake.result);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/shim/verify-lock", testVerifyLock);
    g_test_add_func("/shim/two-vms", testTwoVMs);
    g_test_add_func("/shim/slots", testSlots);
    g_test_add_func("/shim/advice", testAdvice);
    g_test_add_func("/shim/mapped", testMapped);
    g_test_add_func("/shim/bound", testBound);
    g_test_add_func("/shim/vcpu", testVcpu);
    return g_test_run();
}
