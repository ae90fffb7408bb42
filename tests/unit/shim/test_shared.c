/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_shared.c: the shim's fully shared mode on the real KVM. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemkvmabi.h"
#include "gmemshimconfig.h"
#include "gmemshimreport.h"
#include "gmemshimshared.h"
#include "gmemshimstatus.h"
#include "test_captured.h"
#include "test_locked.h"

#define BACKEND_NAME "memory-backend-memfd"
#define BACKEND_SIZE (2 * 1024 * 1024)
#define STRANGE_ERRNO 4242

static int
openVM(void)
{
    const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int vm;

    if (kvm < 0) {
        g_autofree char *reason = g_strdup_printf("/dev/kvm: %s", g_strerror(errno));

        g_test_skip(reason);
        return -1;
    }
    vm = ioctl(kvm, KVM_CREATE_VM, 0);
    close(kvm);
    if (vm >= 0 && (ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_GUEST_MEMFD_FLAGS) & 3) != 3) {
        g_test_skip("KVM has no guest_memfd that can be mapped and shared");
        close(vm);
        return -1;
    }
    g_assert_cmpint(vm, >=, 0);
    return vm;
}

static void
init(unsigned int backends, unsigned long long ram)
{
    const gmemShimConfig config = {
        .mode = GMEM_MODE_FULLY_SHARED, .backends = backends, .ram = ram};

    g_assert_cmpint(gmemShimSharedInit(&config), ==, 0);
}

static bool
isGuestMemfd(int fd)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree char *target = g_file_read_link(path, NULL);

    return target != NULL && strstr(target, "[kvm-gmem]") != NULL;
}

static unsigned int
countDescriptors(void)
{
    GDir *directory = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned int count = 0;

    g_assert_nonnull(directory);
    while (g_dir_read_name(directory) != NULL)
        count++;
    g_dir_close(directory);
    return count;
}

static int
makeBackend(int vm, unsigned int flags)
{
    const int fd = gmemShimSharedCreate(BACKEND_NAME, flags);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(gmemShimSharedResize(fd, BACKEND_SIZE, vm, ftruncate), ==, 0);
    return fd;
}

static void
testSharedBackend(void)
{
    const unsigned int flags[] = {MFD_ALLOW_SEALING, MFD_CLOEXEC | MFD_ALLOW_SEALING};
    const int vm = openVM();
    struct stat file;
    char *memory;
    size_t i;

    if (vm < 0)
        return;
    for (i = 0; i < G_N_ELEMENTS(flags); i++) {
        const int closeOnExec = (flags[i] & MFD_CLOEXEC) != 0 ? FD_CLOEXEC : 0;
        unsigned int before;
        int fd;
        int next;

        init(2, 2 * BACKEND_SIZE);
        before = countDescriptors();
        g_assert_false(gmemShimSharedMayHave(-1));
        next = open("/dev/null", O_RDONLY);
        close(next);
        g_assert_false(gmemShimSharedMayHave(next));

        errno = STRANGE_ERRNO;
        fd = gmemShimSharedCreate(BACKEND_NAME, flags[i]);
        g_assert_cmpint(errno, ==, STRANGE_ERRNO);
        g_assert_cmpint(fd, ==, next);
        g_assert_true(gmemShimSharedMayHave(fd));
        g_assert_false(gmemShimSharedSealed(fd));
        g_assert_false(isGuestMemfd(fd));

        errno = STRANGE_ERRNO;
        g_assert_cmpint(gmemShimSharedResize(fd, BACKEND_SIZE, vm, ftruncate), ==, 0);
        g_assert_true(gmemShimSharedSealed(fd));
        g_assert_cmpint(errno, ==, STRANGE_ERRNO);
        g_assert_true(isGuestMemfd(fd));
        g_assert_cmpint(fcntl(fd, F_GETFD), ==, closeOnExec);
        g_assert_cmpint(fstat(fd, &file), ==, 0);
        g_assert_cmpint(file.st_size, ==, BACKEND_SIZE);

        g_assert_cmpuint(countDescriptors(), ==, before + 1);

        memory = mmap(NULL, BACKEND_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        g_assert_true(memory != MAP_FAILED);
        memory[BACKEND_SIZE - 1] = 'x';
        g_assert_cmpint(munmap(memory, BACKEND_SIZE), ==, 0);

        /* A second ftruncate is left to the kernel, which refuses it. */
        g_assert_cmpint(gmemShimSharedResize(fd, 2 * BACKEND_SIZE, vm, ftruncate), ==, -1);
        g_assert_cmpint(errno, ==, EINVAL);
        close(fd);
    }
    close(vm);
}

/* close() is not intercepted, so the number then belongs to another file. */
static void
testSharedReuse(void)
{
    const int vm = openVM();
    struct stat file;
    int other;
    int fd;

    if (vm < 0)
        return;
    init(1, BACKEND_SIZE);

    fd = makeBackend(vm, 0);
    close(fd);
    other = (int)syscall(SYS_memfd_create, "other", MFD_ALLOW_SEALING);
    g_assert_cmpint(other, ==, fd);
    g_assert_true(gmemShimSharedMayHave(other));
    g_assert_false(gmemShimSharedSealed(other));
    g_assert_cmpint(gmemShimSharedResize(other, 12345, vm, ftruncate), ==, 0);
    g_assert_false(isGuestMemfd(other));
    g_assert_cmpint(fstat(other, &file), ==, 0);
    g_assert_cmpint(file.st_size, ==, 12345);
    close(other);

    fd = makeBackend(vm, 0);
    g_assert_cmpint(fd, ==, other);
    g_assert_true(isGuestMemfd(fd));
    g_assert_true(gmemShimSharedSealed(fd));
    close(fd);

    /* This also holds if the memfd never got a size. */
    fd = gmemShimSharedCreate(BACKEND_NAME, 0);
    close(fd);
    other = (int)syscall(SYS_memfd_create, "other", 0);
    g_assert_cmpint(other, ==, fd);
    g_assert_cmpint(gmemShimSharedResize(other, 4096, vm, ftruncate), ==, 0);
    g_assert_false(isGuestMemfd(other));
    close(other);
    close(vm);
}

static void
testSharedTableFull(void)
{
    const int vm = openVM();
    const size_t gone[] = {0, 100, GMEM_SHIM_BACKENDS_MAX - 1};
    int made[G_N_ELEMENTS(gone)];
    int fds[GMEM_SHIM_BACKENDS_MAX];
    g_autofree char *text = NULL;
    Captured captured;
    struct rlimit limit;
    size_t i;

    if (vm < 0)
        return;
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    if (limit.rlim_cur < GMEM_SHIM_BACKENDS_MAX + 100) {
        limit.rlim_cur = GMEM_SHIM_BACKENDS_MAX + 100;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
            g_test_skip("RLIMIT_NOFILE is too low");
            close(vm);
            return;
        }
    }
    init(1, BACKEND_SIZE);

    for (i = 0; i < GMEM_SHIM_BACKENDS_MAX; i++) {
        fds[i] = gmemShimSharedCreate(BACKEND_NAME, 0);
        g_assert_cmpint(fds[i], >=, 0);
    }
    captureStart(&captured);
    g_assert_cmpint(gmemShimSharedCreate(BACKEND_NAME, 0), ==, -1);
    g_assert_cmpint(errno, ==, ENFILE);
    text = captureEnd(&captured);
    g_assert_cmpstr(text, ==, "qemu-gmem: more than 512 memory backends\n");

    /* Files that are gone make room, even if other files now have their numbers. */
    close(fds[3]);
    fds[3] = gmemShimSharedCreate(BACKEND_NAME, 0);
    g_assert_cmpint(fds[3], >=, 0);
    for (i = 0; i < G_N_ELEMENTS(gone); i++) {
        g_assert_cmpint(dup2(STDERR_FILENO, fds[gone[i]]), ==, fds[gone[i]]);
        made[i] = makeBackend(vm, 0);
        g_assert_true(isGuestMemfd(made[i]));
    }
    for (i = 0; i < G_N_ELEMENTS(gone); i++)
        close(made[i]);
    for (i = 0; i < GMEM_SHIM_BACKENDS_MAX; i++)
        close(fds[i]);
    close(vm);
}

/* The largest number of backends that the status files of this process list. */
static uint32_t
countPublished(void)
{
    g_autoptr(GDir) directory = g_dir_open("/proc/self/fd", 0, NULL);
    const char *entry;
    uint32_t most = 0;

    while ((entry = g_dir_read_name(directory)) != NULL) {
        g_autofree char *path = g_build_filename("/proc/self/fd", entry, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);
        gmemShimStatus status;

        if (target == NULL || strstr(target, GMEM_SHIM_STATUS_NAME) == NULL)
            continue;
        g_assert_cmpint(pread(atoi(entry), &status, sizeof(status), 0), ==, sizeof(status));
        most = MAX(most, status.backends);
    }
    return most;
}

/* QEMU may create more than are listed, one after the other, but the list has an end. */
static void
testSharedListFull(void)
{
    const int vm = openVM();
    size_t i;

    if (vm < 0)
        return;
    init(1, BACKEND_SIZE);
    for (i = 0; i < GMEM_SHIM_BACKENDS_MAX + 2; i++)
        close(makeBackend(vm, 0));
    g_assert_cmpuint(countPublished(), ==, GMEM_SHIM_BACKENDS_MAX);
    close(vm);
}

static void
testSharedRefusals(void)
{
    const int vm = openVM();
    g_autofree char *hugepages = NULL;
    g_autofree char *none = NULL;
    g_autofree char *odd = NULL;
    Captured captured;
    struct stat file;
    int fd;

    if (vm < 0)
        return;
    init(1, BACKEND_SIZE);

    captureStart(&captured);
    g_assert_cmpint(gmemShimSharedCreate(BACKEND_NAME, MFD_HUGETLB), ==, -1);
    g_assert_cmpint(errno, ==, EOPNOTSUPP);
    hugepages = captureEnd(&captured);
    g_assert_nonnull(strstr(hugepages, "asks for hugepages"));

    fd = gmemShimSharedCreate(BACKEND_NAME, 0);
    captureStart(&captured);
    g_assert_cmpint(gmemShimSharedResize(fd, BACKEND_SIZE, -1, ftruncate), ==, -1);
    g_assert_cmpint(errno, ==, ENODEV);
    none = captureEnd(&captured);
    g_assert_nonnull(strstr(none, "QEMU has created no KVM VM"));

    captureStart(&captured);
    g_assert_cmpint(gmemShimSharedResize(fd, BACKEND_SIZE + 1, vm, ftruncate), ==, -1);
    g_assert_cmpint(errno, ==, EINVAL);
    odd = captureEnd(&captured);
    g_assert_nonnull(strstr(odd, "ioctl KVM_CREATE_GUEST_MEMFD of 2097153 bytes failed: Invalid "
                                 "argument: the size is not a multiple of the page size"));

    /* Nothing is made of no bytes. */
    g_assert_cmpint(gmemShimSharedResize(fd, 0, vm, ftruncate), ==, 0);
    g_assert_false(isGuestMemfd(fd));

    /* The file is unchanged, and never an ordinary memfd with a size. */
    g_assert_cmpint(fstat(fd, &file), ==, 0);
    g_assert_cmpint(file.st_size, ==, 0);
    close(fd);
    close(vm);
}

static void *
mapBackend(int fd)
{
    void *memory = mmap(NULL, BACKEND_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    g_assert_true(memory != MAP_FAILED);
    return memory;
}

static void
setSlot(unsigned int slot, guint64 guest, const void *memory)
{
    const struct kvm_userspace_memory_region region = {
        .slot = slot,
        .guest_phys_addr = guest,
        .memory_size = BACKEND_SIZE,
        .userspace_addr = (guint64)memory,
    };

    errno = STRANGE_ERRNO;
    gmemShimSharedSlot(&region, false);
    g_assert_cmpint(errno, ==, STRANGE_ERRNO);
}

static void
assertUnverified(const char *why)
{
    char reason[GMEM_SHIM_REPORT_MAX] = "";

    g_assert_false(gmemShimSharedVerify(reason, sizeof(reason)));
    g_test_message("%s", reason);
    g_assert_nonnull(strstr(reason, why));
}

static void
testSharedVerify(void)
{
    const int vm = openVM();
    char reason[GMEM_SHIM_REPORT_MAX];
    void *memory[3];
    void *ordinary;
    int fd[3];
    size_t i;

    if (vm < 0)
        return;
    ordinary = mmap(NULL, BACKEND_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    init(2, 2 * BACKEND_SIZE);
    assertUnverified("QEMU made 0 guest_memfds of 0 bytes");

    fd[0] = makeBackend(vm, 0);
    memory[0] = mapBackend(fd[0]);
    setSlot(0, 0, memory[0]);
    assertUnverified("QEMU made 1 guest_memfds of 2097152 bytes");

    /* A memfd that never got a size is not a guest_memfd. */
    close(gmemShimSharedCreate(BACKEND_NAME, 0));
    assertUnverified("QEMU made 1 guest_memfds of 2097152 bytes");

    fd[1] = makeBackend(vm, 0);
    memory[1] = mapBackend(fd[1]);
    assertUnverified("is in no memory slot");
    setSlot(1, 1ULL << 32, ordinary);
    assertUnverified("is in no memory slot");
    setSlot(1, 1ULL << 32, (char *)memory[1] + BACKEND_SIZE - 4096);
    g_assert_true(gmemShimSharedVerify(reason, sizeof(reason)));

    /* Plugged in before the guest ran, so not counted. */
    fd[2] = makeBackend(vm, 0);
    g_assert_true(gmemShimSharedVerify(reason, sizeof(reason)));
    memory[2] = mapBackend(fd[2]);

    setSlot(0, 0, ordinary);
    assertUnverified("the RAM at guest address 0 is not guest_memfd");
    /* What a CPU sees in system management mode does not count. */
    setSlot(0x10000, 0, memory[0]);
    assertUnverified("the RAM at guest address 0 is not guest_memfd");
    setSlot(0, 0, memory[2]);
    g_assert_true(gmemShimSharedVerify(reason, sizeof(reason)));
    setSlot(0x10000, 0, ordinary);
    g_assert_true(gmemShimSharedVerify(reason, sizeof(reason)));

    init(2, 2 * BACKEND_SIZE + 1);
    assertUnverified("of 4194305 bytes in all");

    for (i = 0; i < 3; i++) {
        munmap(memory[i], BACKEND_SIZE);
        close(fd[i]);
    }
    munmap(ordinary, BACKEND_SIZE);
    close(vm);
}

static void (*meanwhile)(void);

/* Called with the lock held, because the memfd is not one of ours. */
static int
resizeAndHold(int fd, off_t size)
{
    lockedExpectWait(meanwhile);
    return ftruncate(fd, size);
}

static void
meanwhileCreate(void)
{
    close(gmemShimSharedCreate(BACKEND_NAME, 0));
}

static void
meanwhileResize(void)
{
    gmemShimSharedResize(-1, 0, -1, ftruncate);
}

static void
meanwhileSealed(void)
{
    g_assert_false(gmemShimSharedSealed(-1));
}

static void
meanwhileSlot(void)
{
    const struct kvm_userspace_memory_region region = {.slot = 1};

    gmemShimSharedSlot(&region, true);
}

static void
meanwhileVerify(void)
{
    char reason[512];

    g_assert_false(gmemShimSharedVerify(reason, sizeof(reason)));
}

/* Only one thread at a time looks at the table of backends, or changes it. */
static void
testSharedLock(void)
{
    static void (*const calls[])(void) = {
        meanwhileCreate, meanwhileResize, meanwhileSealed, meanwhileSlot, meanwhileVerify,
    };
    const int other = memfd_create("other", MFD_CLOEXEC);
    size_t i;

    init(1, BACKEND_SIZE);
    for (i = 0; i < G_N_ELEMENTS(calls); i++) {
        meanwhile = calls[i];
        g_assert_cmpint(gmemShimSharedResize(other, BACKEND_SIZE, -1, resizeAndHold), ==, 0);
        lockedJoin();
    }
    close(other);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/shim/shared/verify", testSharedVerify);
    g_test_add_func("/shim/shared/backend", testSharedBackend);
    g_test_add_func("/shim/shared/reuse", testSharedReuse);
    g_test_add_func("/shim/shared/table-full", testSharedTableFull);
    g_test_add_func("/shim/shared/list-full", testSharedListFull);
    g_test_add_func("/shim/shared/refusals", testSharedRefusals);
    g_test_add_func("/shim/shared/lock", testSharedLock);
    return g_test_run();
}
