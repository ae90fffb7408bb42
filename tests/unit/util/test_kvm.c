/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_kvm.c: gmemkvm.c compared with the same questions asked with bare system calls, and what it
 * reports if there is no KVM or if KVM lacks something. */

#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <linux/kvm.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmemerror.h"
#include "gmemkvm.h"

/* Repeated here on purpose: the numbers of Documentation/virt/kvm/api.rst. */
#define CAP_USER_MEMORY2 231
#define CAP_MEMORY_ATTRIBUTES 233
#define CAP_GUEST_MEMFD 234
#define CAP_VM_TYPES 235
#define CAP_GUEST_MEMFD_FLAGS 244
#define CREATE_GUEST_MEMFD 0xc040aed4UL

#define IN_PLACE "/sys/module/kvm/parameters/gmem_in_place_conversion"

/* What gmemkvm.c sees of the host: these stand in front of libc's functions with the same names. */
static struct {
    unsigned int asked;  /* how often it opened /dev/kvm */
    bool changing;       /* whether that changes the following answers */
    long changed;        /* added to the time of change of any file */
    const char *inPlace; /* what that module parameter is; NULL: as it is */
    int openErrno;       /* why /dev/kvm cannot be opened; 0: it can */
    int version;         /* KVM's answer to KVM_GET_API_VERSION; 0: as it is */
    int interrupted;     /* how often KVM_CREATE_VM still fails with EINTR */
    bool noVM;           /* whether no VM can be made */
    bool convertible;    /* whether it has software-protected VMs, which are ordinary ones here */
    enum {
        FAIL_NOTHING,
        FAIL_SHARED,     /* to make a guest_memfd that can be mapped */
        FAIL_VM,         /* to make a software-protected VM */
        FAIL_ATTRIBUTES, /* to make a page of it private */
        FAIL_LAST
    } failure;
} shown;

/* KVM's answer to @request; -2: the real KVM's. */
static int
answer(unsigned long request, unsigned long argument)
{
    const struct gmemKVMCreateGuestMemfd *create;

    if (request == GMEM_KVM_CREATE_GUEST_MEMFD) {
        create = (const struct gmemKVMCreateGuestMemfd *)argument;
        return shown.failure == FAIL_SHARED && create->flags != 0 ? -1 : -2;
    }
    if (request == KVM_GET_API_VERSION && shown.version != 0)
        return shown.version;
    if (request == KVM_CREATE_VM && (shown.noVM || shown.interrupted > 0))
        return -1;
    if (!shown.convertible)
        return -2;
    if (request == KVM_CHECK_EXTENSION && argument == CAP_VM_TYPES)
        return 1 << KVM_X86_DEFAULT_VM | 1 << KVM_X86_SW_PROTECTED_VM;
    if (request == KVM_CREATE_VM && argument == KVM_X86_SW_PROTECTED_VM)
        return shown.failure == FAIL_VM ? -1 : -2;
    if (request == GMEM_KVM_SET_USER_MEMORY_REGION2)
        return 0;
    if (request == GMEM_KVM_SET_MEMORY_ATTRIBUTES)
        return shown.failure == FAIL_ATTRIBUTES ? -1 : 0;
    return -2;
}

int
ioctl(int fd, unsigned long request, ...)
{
    unsigned long argument;
    va_list args;
    int rc;

    va_start(args, request);
    argument = va_arg(args, unsigned long);
    va_end(args);
    rc = answer(request, argument);
    if (rc == -1)
        errno = request == KVM_CREATE_VM && shown.interrupted-- > 0 ? EINTR : ENOMEM;
    if (rc != -2)
        return rc;
    if (shown.convertible && request == KVM_CREATE_VM)
        argument = KVM_X86_DEFAULT_VM;
    return (int)syscall(SYS_ioctl, fd, request, argument);
}

/* libc's open(), as far as it is used here. */
int
open(const char *path, int flags, ...)
{
    int fd;

    if (strcmp(path, "/dev/kvm") == 0)
        shown.asked++;
    if (strcmp(path, "/dev/kvm") == 0 && shown.openErrno != 0) {
        errno = shown.openErrno;
        return -1;
    }
    if (shown.changing)
        shown.changed = 100;
    if (shown.inPlace == NULL || strcmp(path, IN_PLACE) != 0)
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
    fd = memfd_create("parameter", MFD_CLOEXEC);
    g_assert_cmpint(pwrite(fd, shown.inPlace, strlen(shown.inPlace), 0), >, 0);
    return fd;
}

int
stat(const char *path, struct stat *file)
{
    int rc = fstatat(AT_FDCWD, path, file, 0);

    if (rc == 0)
        file->st_ctim.tv_sec += shown.changed;
    return rc;
}

static unsigned int
countDescriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned int count = 0;

    g_assert_nonnull(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* Returns a descriptor of /dev/kvm, or -1 having skipped the test. */
static int
openKVM(void)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        g_autofree char *reason = g_strdup_printf("/dev/kvm: %s", g_strerror(errno));
        g_test_skip(reason);
    }
    return fd;
}

static void
testCapabilities(void)
{
    int fd = openKVM();
    int vm;
    int types;
    struct utsname host;

    if (fd < 0)
        return;

    unsigned int before = countDescriptors();
    g_autoptr(gmemKVM) kvm = gmemKVMProbe();
    g_assert_cmpuint(countDescriptors(), ==, before);

    g_assert_true(kvm->available);
    g_assert_null(kvm->reason);
    g_assert_cmpint(kvm->kvmErrno, ==, 0);
    g_assert_cmpint(uname(&host), ==, 0);
    g_assert_cmpstr(kvm->kernel, ==, host.release);

    types = ioctl(fd, KVM_CHECK_EXTENSION, CAP_VM_TYPES);
    g_assert_cmpuint(kvm->vmTypes, ==, MAX(types, 0));

    vm = ioctl(fd, KVM_CREATE_VM, 0);
    g_assert_cmpint(vm, >=, 0);
    g_assert_true(kvm->userMemory2 == (ioctl(vm, KVM_CHECK_EXTENSION, CAP_USER_MEMORY2) > 0));
    g_assert_true(kvm->guestMemfd == (ioctl(vm, KVM_CHECK_EXTENSION, CAP_GUEST_MEMFD) > 0));
    g_assert_cmpuint(kvm->gmemFlags, ==,
                     MAX(ioctl(vm, KVM_CHECK_EXTENSION, CAP_GUEST_MEMFD_FLAGS), 0));

    if (types > 0 && types & 2) {
        close(vm);
        vm = ioctl(fd, KVM_CREATE_VM, 1);
        g_assert_cmpint(vm, >=, 0);
        g_assert_true(kvm->convertibleGuestMemfd ==
                      (ioctl(vm, KVM_CHECK_EXTENSION, CAP_GUEST_MEMFD) > 0));
    } else {
        g_assert_false(kvm->convertibleGuestMemfd);
    }
    g_assert_cmpuint(kvm->attributes, ==,
                     MAX(ioctl(vm, KVM_CHECK_EXTENSION, CAP_MEMORY_ATTRIBUTES), 0));

    close(vm);
    close(fd);
}

static void
testCreate(void)
{
    int fd = openKVM();
    uint64_t create[8] = {4096, 3};
    unsigned long node = 1;
    int mode = -1;
    int vm;
    int memfd;

    if (fd < 0)
        return;

    g_autoptr(gmemKVM) kvm = gmemKVMProbe();
    vm = ioctl(fd, KVM_CREATE_VM, 0);
    g_assert_cmpint(vm, >=, 0);
    memfd = ioctl(vm, CREATE_GUEST_MEMFD, create);

    if (memfd < 0) {
        g_assert_cmpint(gmemKVMCanFullyShared(kvm, NULL), ==, -1);
        g_assert_false(kvm->numaPolicyKnown);
        g_test_skip("KVM here makes no guest_memfd that the host can map");
    } else {
        g_autoptr(GError) error = NULL;
        void *one = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memfd, 0);
        void *two = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memfd, 0);

        g_assert_cmpint(gmemKVMCanFullyShared(kvm, &error), ==, 0);
        g_assert_no_error(error);
        g_assert_cmpint(kvm->createErrno, ==, 0);

        g_assert_true(one != MAP_FAILED && two != MAP_FAILED);
        if (syscall(SYS_mbind, one, 4096UL, MPOL_BIND, &node, 64UL, 0) == 0) {
            g_assert_cmpint(syscall(SYS_get_mempolicy, &mode, NULL, 0, two, MPOL_F_ADDR), ==, 0);
            g_assert_true(kvm->numaPolicyKnown);
            g_assert_true(kvm->numaPolicy == (mode == MPOL_BIND));
        } else {
            g_test_message("mbind: %s", g_strerror(errno));
        }
        munmap(one, 4096);
        munmap(two, 4096);
        close(memfd);
    }

    close(vm);
    close(fd);
}

static void
testProbeTwice(void)
{
    int fd = openKVM();
    unsigned int i;

    if (fd < 0)
        return;
    close(fd);

    unsigned int before = countDescriptors();
    for (i = 0; i < 3; i++) {
        g_autoptr(gmemKVM) first = gmemKVMProbe();
        g_autoptr(gmemKVM) second = gmemKVMProbe();

        g_assert_cmpuint(first->gmemFlags, ==, second->gmemFlags);
        g_assert_true(first->numaPolicy == second->numaPolicy);
    }
    g_assert_cmpuint(countDescriptors(), ==, before);
}

static void
assertUnavailable(const gmemKVM *kvm, int why, const char *words)
{
    g_autoptr(GError) shared = NULL;
    g_autoptr(GError) convertible = NULL;

    g_assert_false(kvm->available);
    g_assert_cmpint(kvm->kvmErrno, ==, why);
    g_assert_nonnull(kvm->reason);
    if (!g_str_has_prefix(kvm->reason, words))
        g_error("'%s' does not begin with '%s'", kvm->reason, words);

    g_assert_false(kvm->userMemory2 || kvm->guestMemfd || kvm->numaPolicy || kvm->numaPolicyKnown);
    g_assert_cmpuint(kvm->gmemFlags | kvm->vmTypes | kvm->attributes, ==, 0);

    g_assert_cmpint(gmemKVMCanFullyShared(kvm, &shared), ==, -1);
    g_assert_error(shared, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
    g_assert_cmpstr(shared->message, ==, kvm->reason);
    g_assert_cmpint(gmemKVMCanConvertible(kvm, &convertible), ==, -1);
    g_assert_error(convertible, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
    g_assert_cmpstr(convertible->message, ==, kvm->reason);
}

static void
testNotKVM(void)
{
    unsigned int before = countDescriptors();
    g_autoptr(gmemKVM) null = gmemKVMProbePath("/dev/null");
    g_autoptr(gmemKVM) missing = gmemKVMProbePath("/nonexistent/kvm");
    g_autoptr(gmemKVM) directory = gmemKVMProbePath("/");

    g_assert_cmpuint(countDescriptors(), ==, before);
    assertUnavailable(
        null, ENOTTY,
        "/dev/null is not KVM: KVM_GET_API_VERSION failed: Inappropriate ioctl for device");
    assertUnavailable(missing, ENOENT,
                      "/nonexistent/kvm cannot be opened: No such file or directory; load the "
                      "module kvm_amd or kvm_intel");
    assertUnavailable(directory, EISDIR, "/ cannot be opened: Is a directory");
}

/* What the administrator can do depends on why it is so. */
static void
testUnusable(void)
{
    static const struct {
        int why;
        const char *words;
    } cases[] = {
        {ENOENT, "No such file or directory; load the module"},
        {ENODEV, "No such device; load the module"},
        {ENXIO, "No such device or address; load the module"},
        {EACCES, "Permission denied; run as root"},
        {EPERM, "Operation not permitted; run as root"},
        {EBUSY, "Device or resource busy"},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *words = g_strconcat("/dev/kvm cannot be opened: ", cases[i].words, NULL);
        g_autoptr(gmemKVM) kvm = NULL;

        shown.openErrno = cases[i].why;
        kvm = gmemKVMProbe();
        shown.openErrno = 0;
        assertUnavailable(kvm, cases[i].why, words);
        if (cases[i].why == EBUSY)
            g_assert_cmpstr(kvm->reason, ==, words);
    }
}

/* KVM of another version is none; a VM that cannot be made is told, unless that was interrupted. */
static void
testUnwilling(void)
{
    int fd = openKVM();

    if (fd < 0)
        return;
    close(fd);
    shown.version = KVM_API_VERSION + 1;
    g_autoptr(gmemKVM) other = gmemKVMProbe();
    shown.version = 0;
    g_assert_false(other->available);
    g_assert_cmpint(other->kvmErrno, ==, ENOTSUP);
    g_assert_true(g_str_has_prefix(other->reason, "/dev/kvm is not KVM: "));

    shown.noVM = true;
    g_autoptr(gmemKVM) none = gmemKVMProbe();
    shown.noVM = false;
    g_assert_false(none->available);
    g_assert_cmpint(none->kvmErrno, ==, ENOMEM);
    g_assert_nonnull(strstr(none->reason, " cannot create a virtual machine: Cannot allocate "));

    shown.interrupted = 3;
    g_autoptr(gmemKVM) late = gmemKVMProbe();
    g_assert_true(late->available);
    g_assert_cmpint(shown.interrupted, ==, 0);
}

static void
testForbidden(void)
{
    g_autofree char *path = g_strdup("/tmp/gmem-test-kvm-XXXXXX");
    g_autofree char *words = NULL;
    int fd = g_mkstemp(path);
    pid_t child;
    int status;

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_cmpint(g_chmod(path, 0), ==, 0);
    words = g_strdup_printf("%s cannot be opened: Permission denied; run as root, or as a member",
                            path);

    child = fork();
    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        /* Root may open anything, so this runs as nobody. */
        if (getuid() == 0 && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
            _exit(2);
        g_autoptr(gmemKVM) kvm = gmemKVMProbePath(path);
        assertUnavailable(kvm, EACCES, words);
        _exit(0);
    }

    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_unlink(path);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

typedef struct {
    const char *name;
    gmemKVM kvm;
    const char *shared;      /* the message; NULL: it can */
    const char *convertible; /* likewise */
} Host;

static char kernel[] = "6.x";

#define NO_CONVERTIBLE                                                                             \
    "KVM of Linux 6.x has no KVM_X86_SW_PROTECTED_VM (KVM_CAP_VM_TYPES = 0x1); use Linux 6.12 or " \
    "newer with CONFIG_KVM_SW_PROTECTED_VM"
#define NO_SHARED                                                                                  \
    "KVM of Linux 6.x has no guest_memfd for ordinary virtual machines (KVM_CAP_GUEST_MEMFD = "    \
    "0); use Linux 6.18 or newer"

static const Host hosts[] = {
    {"linux-6.1",
     {.vmTypes = 0},
     NO_SHARED,
     "KVM of Linux 6.x has no KVM_X86_SW_PROTECTED_VM (KVM_CAP_VM_TYPES = 0x0); use Linux 6.12 or "
     "newer with CONFIG_KVM_SW_PROTECTED_VM"},
    {"linux-6.12-distribution", {.vmTypes = 1, .userMemory2 = true}, NO_SHARED, NO_CONVERTIBLE},
    {"linux-6.12-sw-protected",
     {.vmTypes = 3, .userMemory2 = true, .attributes = 8, .convertibleGuestMemfd = true},
     NO_SHARED,
     NULL},
    {"linux-6.17",
     {.vmTypes = 1, .userMemory2 = true, .guestMemfd = true, .gmemFlags = 1},
     "KVM of Linux 6.x has no guest_memfd that the host can map (KVM_CAP_GUEST_MEMFD_FLAGS = 0x1 "
     "without 0x2); use Linux 6.18 or newer",
     NO_CONVERTIBLE},
    {"linux-6.18",
     {.vmTypes = 1, .userMemory2 = true, .guestMemfd = true, .gmemFlags = 3},
     NULL,
     NO_CONVERTIBLE},
    {"linux-7.2-sw-protected",
     {.vmTypes = 3,
      .userMemory2 = true,
      .guestMemfd = true,
      .gmemFlags = 3,
      .attributes = 8,
      .convertibleGuestMemfd = true},
     NULL,
     NULL},
    {"newer-flags",
     {.vmTypes = 0x13,
      .userMemory2 = true,
      .guestMemfd = true,
      .gmemFlags = 0xf,
      .attributes = 0x18,
      .convertibleGuestMemfd = true},
     NULL,
     NULL},
    {"create-refused",
     {.vmTypes = 1, .userMemory2 = true, .guestMemfd = true, .gmemFlags = 3, .createErrno = EPERM},
     "KVM of Linux 6.x refuses to create a guest_memfd: Operation not permitted",
     NO_CONVERTIBLE},
    {"type-refused",
     {.vmTypes = 3, .userMemory2 = true, .createConvertibleErrno = EINVAL},
     NO_SHARED,
     "KVM of Linux 6.x refuses to create a virtual machine of type KVM_X86_SW_PROTECTED_VM: "
     "Invalid "
     "argument"},
    {"no-attributes",
     {.vmTypes = 3, .userMemory2 = true, .convertibleGuestMemfd = true},
     NO_SHARED,
     "KVM of Linux 6.x cannot make pages private (KVM_CAP_MEMORY_ATTRIBUTES = 0x0 without 0x8); "
     "use Linux 6.12 or newer with CONFIG_KVM_SW_PROTECTED_VM"},
    {"in-place",
     {.vmTypes = 3,
      .userMemory2 = true,
      .guestMemfd = true,
      .gmemFlags = 3,
      .convertibleGuestMemfd = true,
      .inPlace = true},
     NULL,
     "KVM of Linux 6.x converts pages in place: it would take the shared pages of a "
     "software-protected VM from guest_memfd, too; convertible memory requires KVM's module "
     "parameter "
     "gmem_in_place_conversion=0 and a kernel with CONFIG_KVM_VM_MEMORY_ATTRIBUTES"},
    {"attributes-refused",
     {.vmTypes = 3,
      .userMemory2 = true,
      .attributes = 8,
      .convertibleGuestMemfd = true,
      .attributesErrno = EINVAL},
     NO_SHARED,
     "KVM of Linux 6.x refuses to make a page of a virtual machine of type KVM_X86_SW_PROTECTED_VM "
     "private: Invalid argument"},
    {"no-user-memory2",
     {.vmTypes = 3, .attributes = 8, .convertibleGuestMemfd = true},
     NO_SHARED,
     "KVM of Linux 6.x cannot bind guest_memfd to a memory slot (KVM_CAP_USER_MEMORY2 = 0); use "
     "Linux 6.12 or newer"},
    {"no-convertible-guest-memfd",
     {.vmTypes = 3, .attributes = 8, .userMemory2 = true},
     NO_SHARED,
     "KVM of Linux 6.x has no guest_memfd for virtual machines of type KVM_X86_SW_PROTECTED_VM "
     "(KVM_CAP_GUEST_MEMFD = 0); use Linux 6.12 or newer with CONFIG_KVM_SW_PROTECTED_VM"},
};

static void
assertAnswer(int result, GError *error, const char *message)
{
    if (!message) {
        g_assert_no_error(error);
        g_assert_cmpint(result, ==, 0);
        return;
    }
    g_assert_cmpint(result, ==, -1);
    g_assert_error(error, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
    g_assert_cmpstr(error->message, ==, message);
}

static void
testHost(const void *data)
{
    const Host *host = data;
    gmemKVM kvm = host->kvm;
    g_autoptr(GError) shared = NULL;
    g_autoptr(GError) convertible = NULL;
    int result;

    kvm.available = true;
    kvm.kernel = kernel;

    result = gmemKVMCanFullyShared(&kvm, &shared);
    assertAnswer(result, shared, host->shared);
    result = gmemKVMCanConvertible(&kvm, &convertible);
    assertAnswer(result, convertible, host->convertible);
}

/* Asks, and returns whether KVM was asked for that. */
static bool
lookUp(void)
{
    unsigned int before = shown.asked;
    g_autoptr(gmemKVM) known = gmemKVMLookup();
    bool asked = shown.asked > before;
    g_autoptr(gmemKVM) kvm = gmemKVMProbe();

    g_assert_cmpint(known->available, ==, kvm->available);
    g_assert_cmpuint(known->vmTypes, ==, kvm->vmTypes);
    g_assert_cmpuint(known->attributes, ==, kvm->attributes);
    g_assert_cmpuint(known->gmemFlags, ==, kvm->gmemFlags);
    g_assert_cmpint(known->guestMemfd, ==, kvm->guestMemfd);
    g_assert_cmpint(known->inPlace, ==, kvm->inPlace);
    g_assert_cmpstr(known->kernel, ==, kvm->kernel);
    g_assert_cmpstr(known->reason, ==, kvm->reason);
    return asked;
}

/* KVM is asked once, and again if what the answer depends on has changed. */
static void
testLookup(void)
{
    int fd = openKVM();

    if (fd < 0)
        return;
    close(fd);
    g_assert_true(lookUp());
    g_assert_false(lookUp());
    shown.changed = 1;
    g_assert_true(lookUp());
    g_assert_false(lookUp());
    shown.inPlace = "Y\n";
    g_assert_true(lookUp());
    g_assert_false(lookUp());
    shown.inPlace = "N\n";
    g_assert_true(lookUp());
    g_assert_false(lookUp());
}

/* An answer of modules that were loaded meanwhile does not hold for those that are loaded again. */
static void
testLookupChanging(void)
{
    int fd = openKVM();

    if (fd < 0)
        return;
    close(fd);
    shown.changed = 99;
    shown.changing = true;
    g_assert_true(lookUp());
    shown.changing = false;
    shown.changed = 99;
    g_assert_true(lookUp());
    g_assert_false(lookUp());
}

/* A failure may be different next time, so it is not stored. */
static void
testLookupFailed(void)
{
    int fd = openKVM();
    g_autoptr(gmemKVM) kvm = NULL;
    int i;

    if (fd < 0)
        return;
    close(fd);
    kvm = gmemKVMProbe();
    if (!kvm->guestMemfd || kvm->gmemFlags == 0) {
        g_test_skip("KVM has no guest_memfd that can be mapped");
        return;
    }
    shown.convertible = true;
    for (i = FAIL_SHARED; i < FAIL_LAST; i++) {
        shown.changed++;
        shown.failure = i;
        g_assert_true(lookUp());
        g_assert_true(lookUp());
        shown.failure = FAIL_NOTHING;
        g_assert_true(lookUp());
        g_assert_false(lookUp());
    }
    shown.convertible = false;
    shown.changed++;
}

int
main(int argc, char **argv)
{
    size_t i;

    g_setenv("LC_ALL", "C", TRUE);
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/kvm/capabilities", testCapabilities);
    g_test_add_func("/kvm/create", testCreate);
    g_test_add_func("/kvm/repeat", testProbeTwice);
    g_test_add_func("/kvm/lookup", testLookup);
    g_test_add_func("/kvm/lookup-changing", testLookupChanging);
    g_test_add_func("/kvm/lookup-failed", testLookupFailed);
    g_test_add_func("/kvm/not-kvm", testNotKVM);
    g_test_add_func("/kvm/unusable", testUnusable);
    g_test_add_func("/kvm/unwilling", testUnwilling);
    g_test_add_func("/kvm/forbidden", testForbidden);
    for (i = 0; i < G_N_ELEMENTS(hosts); i++) {
        g_autofree char *name = g_strdup_printf("/kvm/host/%s", hosts[i].name);
        g_test_add_data_func(name, &hosts[i], testHost);
    }

    return g_test_run();
}
