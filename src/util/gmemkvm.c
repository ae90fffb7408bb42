/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemkvm.c: asks KVM what it can do for guest_memfd.
 *
 * It matters on which descriptor a capability is queried. KVM_CAP_VM_TYPES is a property of the
 * system. The others are properties of a VM, and depend on its type: up to Linux 6.16 only a VM of
 * the convertible type has guest_memfd at all, and memory attributes still only exist for that
 * type. So a temporary VM of each existing type is queried.
 *
 * Convertible memory has a shared half that is not guest_memfd. Kernels that convert in place take
 * shared pages from guest_memfd, and the guest would run on the wrong memory. This is determined
 * neither by a version nor by a capability, whose number may change, but by whether a page can be
 * made private in the VM or in its guest_memfd.
 *
 * There is no capability that says whether guest_memfd keeps a NUMA policy per file. It is
 * determined by mapping one file twice: a policy that mbind() sets on one mapping is only seen on
 * the other one if it was stored in the file; otherwise it stays with the mapping. */

#include "config.h"

#include "gmemkvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "gmemautofd.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemplatform.h"

#define GMEM_KVM_IN_PLACE "/sys/module/kvm/parameters/gmem_in_place_conversion"

#define FULLY_SHARED_FLAGS (GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)

/* The kernel's own maximum number of nodes (MAX_NUMNODES) is at most 1024. */
#define NODES_MAX 1024
#define BITS_PER_WORD (8 * sizeof(unsigned long))

/* If the policy of @second changes when that of @first is set, the file keeps it. */
static bool
gmemKVMNumaPolicyIsShared(void *first, void *second, size_t size, bool *known)
{
    unsigned long nodes[NODES_MAX / BITS_PER_WORD] = {0};
    unsigned long one[NODES_MAX / BITS_PER_WORD] = {0};
    int mode = MPOL_DEFAULT;
    size_t i;

    if (syscall(SYS_get_mempolicy, NULL, nodes, NODES_MAX, NULL, MPOL_F_MEMS_ALLOWED) < 0)
        return false;

    for (i = 0; i < G_N_ELEMENTS(nodes); i++) {
        if (nodes[i]) {
            one[i] = nodes[i] & -nodes[i];
            break;
        }
    }

    if (syscall(SYS_mbind, first, size, MPOL_BIND, one, NODES_MAX, 0) < 0)
        return false;
    if (syscall(SYS_get_mempolicy, &mode, NULL, 0, second, MPOL_F_ADDR) < 0)
        return false;

    *known = true;
    return mode == MPOL_BIND;
}

static void
gmemKVMProbeNumaPolicy(gmemKVM *kvm, int memfd, size_t size)
{
    void *first = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    void *second = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);

    if (first != MAP_FAILED && second != MAP_FAILED)
        kvm->numaPolicy = gmemKVMNumaPolicyIsShared(first, second, size, &kvm->numaPolicyKnown);

    if (first != MAP_FAILED)
        munmap(first, size);
    if (second != MAP_FAILED)
        munmap(second, size);
}

/* A capability can exist although its use is forbidden (seccomp, LSM), so create one. */
static void
gmemKVMProbeGuestMemfd(gmemKVM *kvm, int vm)
{
    size_t size = GMEM_PLATFORM_PAGE;
    struct gmemKVMCreateGuestMemfd create = {.size = size, .flags = FULLY_SHARED_FLAGS};
    GMEM_AUTO_FD memfd = -1;

    if (!kvm->guestMemfd || (kvm->gmemFlags & FULLY_SHARED_FLAGS) != FULLY_SHARED_FLAGS)
        return;

    if ((memfd = ioctl(vm, GMEM_KVM_CREATE_GUEST_MEMFD, &create)) < 0) {
        kvm->createErrno = errno;
        return;
    }
    /* KVM has no flag to create it with O_CLOEXEC. */
    fcntl(memfd, F_SETFD, FD_CLOEXEC);

    gmemKVMProbeNumaPolicy(kvm, memfd, size);
}

static unsigned int
gmemKVMCheckExtension(int fd, long capability)
{
    int answer = ioctl(fd, KVM_CHECK_EXTENSION, capability);

    return answer < 0 ? 0 : answer;
}

static int
gmemKVMCreateVM(int kvmfd, unsigned long type)
{
    int vm;

    do {
        vm = ioctl(kvmfd, KVM_CREATE_VM, type);
    } while (vm < 0 && errno == EINTR);

    return vm;
}

/* @memory: a page of this process, which is the shared half. */
static void
gmemKVMProbeAttributesOf(gmemKVM *kvm, int vm, int memfd, const void *memory, size_t size)
{
    struct gmemKVMMemoryAttributes2 inPlace = {.size = size,
                                               .attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE};
    struct gmemKVMMemoryAttributes attributes = {.size = size,
                                                 .attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE};
    struct gmemKVMMemoryRegion2 region = {.flags = KVM_MEM_GUEST_MEMFD,
                                          .memory_size = size,
                                          .userspace_addr = (uintptr_t)memory,
                                          .guest_memfd = (uint32_t)memfd};

    /* Older kernels have no requests on guest_memfd at all. */
    kvm->inPlace = ioctl(memfd, GMEM_KVM_SET_MEMORY_ATTRIBUTES2, &inPlace) == 0 || errno != ENOTTY;
    if (!kvm->inPlace && (ioctl(vm, GMEM_KVM_SET_USER_MEMORY_REGION2, &region) < 0 ||
                          ioctl(vm, GMEM_KVM_SET_MEMORY_ATTRIBUTES, &attributes) < 0))
        kvm->attributesErrno = errno;
}

static void
gmemKVMProbeAttributes(gmemKVM *kvm, int vm)
{
    size_t size = GMEM_PLATFORM_PAGE;
    struct gmemKVMCreateGuestMemfd create = {.size = size};
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    GMEM_AUTO_FD memfd = ioctl(vm, GMEM_KVM_CREATE_GUEST_MEMFD, &create);

    if (memfd < 0 || memory == MAP_FAILED) {
        kvm->attributesErrno = errno;
    } else {
        fcntl(memfd, F_SETFD, FD_CLOEXEC);
        gmemKVMProbeAttributesOf(kvm, vm, memfd, memory, size);
    }
    if (memory != MAP_FAILED)
        munmap(memory, size);
}

static void
gmemKVMProbeConvertible(gmemKVM *kvm, int kvmfd)
{
    GMEM_AUTO_FD vm = -1;

    if ((kvm->vmTypes & (1U << KVM_X86_SW_PROTECTED_VM)) == 0)
        return;
    if ((vm = gmemKVMCreateVM(kvmfd, KVM_X86_SW_PROTECTED_VM)) < 0) {
        kvm->createConvertibleErrno = errno;
        return;
    }

    kvm->attributes = gmemKVMCheckExtension(vm, KVM_CAP_MEMORY_ATTRIBUTES);
    kvm->convertibleGuestMemfd = gmemKVMCheckExtension(vm, KVM_CAP_GUEST_MEMFD);
    if (kvm->convertibleGuestMemfd)
        gmemKVMProbeAttributes(kvm, vm);
}

static void
gmemKVMProbeDefault(gmemKVM *kvm, int vm)
{
    kvm->attributes = gmemKVMCheckExtension(vm, KVM_CAP_MEMORY_ATTRIBUTES);
    kvm->userMemory2 = gmemKVMCheckExtension(vm, KVM_CAP_USER_MEMORY2);
    kvm->guestMemfd = gmemKVMCheckExtension(vm, KVM_CAP_GUEST_MEMFD);
    kvm->gmemFlags = gmemKVMCheckExtension(vm, KVM_CAP_GUEST_MEMFD_FLAGS);
    gmemKVMProbeGuestMemfd(kvm, vm);
}

static char *
gmemKVMOpenReason(const char *path, int why)
{
    if (why == ENOENT || why == ENODEV || why == ENXIO)
        return g_strdup_printf(
            _("%1$s cannot be opened: %2$s; load the module kvm_amd or kvm_intel, switch "
              "virtualization on in the firmware or, inside a virtual machine, allow it to nest"),
            path, gmemI18nErrno(why));
    if (why == EACCES || why == EPERM)
        return g_strdup_printf(_("%1$s cannot be opened: %2$s; run as root, or as a member of the "
                                 "file's group (usually kvm)"),
                               path, gmemI18nErrno(why));
    return g_strdup_printf(_("%1$s cannot be opened: %2$s"), path, gmemI18nErrno(why));
}

static void
gmemKVMProbeDevice(gmemKVM *kvm, const char *path, int kvmfd)
{
    int version = ioctl(kvmfd, KVM_GET_API_VERSION, 0);
    int vm;

    if (version != KVM_API_VERSION) {
        kvm->kvmErrno = version < 0 ? errno : ENOTSUP;
        kvm->reason = g_strdup_printf(_("%1$s is not KVM: KVM_GET_API_VERSION failed: %2$s"), path,
                                      gmemI18nErrno(kvm->kvmErrno));
        return;
    }

    kvm->vmTypes = gmemKVMCheckExtension(kvmfd, KVM_CAP_VM_TYPES);

    if ((vm = gmemKVMCreateVM(kvmfd, KVM_X86_DEFAULT_VM)) < 0) {
        kvm->kvmErrno = errno;
        kvm->reason = g_strdup_printf(
            _("KVM of Linux %1$s cannot create a virtual machine: %2$s; see the kernel's log"),
            kvm->kernel, gmemI18nErrno(kvm->kvmErrno));
        return;
    }

    kvm->available = true;
    gmemKVMProbeDefault(kvm, vm);
    close(vm);
    gmemKVMProbeConvertible(kvm, kvmfd);
}

gmemKVM *
gmemKVMProbePath(const char *path)
{
    gmemKVM *kvm = g_new0(gmemKVM, 1);
    GMEM_AUTO_FD kvmfd = -1;
    struct utsname host;

    kvm->kernel = g_strdup(uname(&host) == 0 ? host.release : "?");

    if ((kvmfd = open(path, O_RDWR | O_CLOEXEC)) < 0) {
        kvm->kvmErrno = errno;
        kvm->reason = gmemKVMOpenReason(path, kvm->kvmErrno);
        return kvm;
    }

    gmemKVMProbeDevice(kvm, path, kvmfd);
    return kvm;
}

gmemKVM *
gmemKVMProbe(void)
{
    return gmemKVMProbePath(GMEM_KVM_DEVICE);
}

/* What the answer depends on. KVM's modules recreate their device when they are loaded, and only
 * read most of their parameters then. */
typedef struct {
    dev_t file[2]; /* the file system that has the device file; the device */
    ino_t inode;
    uid_t owner;
    gid_t group;
    mode_t mode;
    /* The first one is that of the module parameter gmem_in_place_conversion, or 0 if it does not
     * exist. There are enough to leave no padding, because stamps are compared as a whole. */
    char inPlace[4];
    struct timespec changed;
} gmemKVMStamp;

static GMutex gmemKVMLock;
static gmemKVM *gmemKVMKnown; /* a complete answer, or NULL */
static gmemKVMStamp gmemKVMKnownStamp;

static bool
gmemKVMReadStamp(gmemKVMStamp *stamp)
{
    GMEM_AUTO_FD fd = -1;
    struct stat device;

    memset(stamp, 0, sizeof(*stamp));
    if (stat(GMEM_KVM_DEVICE, &device) < 0)
        return false;
    stamp->file[0] = device.st_dev;
    stamp->file[1] = device.st_rdev;
    stamp->inode = device.st_ino;
    stamp->owner = device.st_uid;
    stamp->group = device.st_gid;
    stamp->mode = device.st_mode;
    stamp->changed = device.st_ctim;
    fd = open(GMEM_KVM_IN_PLACE, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    if (read(fd, stamp->inPlace, 1) != 1)
        stamp->inPlace[0] = 0;
    return true;
}

/* What failed may succeed next time. */
static bool
gmemKVMIsComplete(const gmemKVM *kvm)
{
    return kvm->available && kvm->createErrno == 0 && kvm->createConvertibleErrno == 0 &&
           kvm->attributesErrno == 0;
}

static gmemKVM *
gmemKVMCopy(const gmemKVM *kvm)
{
    gmemKVM *copy = g_new(gmemKVM, 1);

    *copy = *kvm;
    copy->reason = g_strdup(kvm->reason);
    copy->kernel = g_strdup(kvm->kernel);
    return copy;
}

gmemKVM *
gmemKVMLookup(void)
{
    gmemKVMStamp stamp, after;
    bool there = gmemKVMReadStamp(&stamp);
    gmemKVM *kvm = NULL;

    g_mutex_lock(&gmemKVMLock);
    if (there && gmemKVMKnown != NULL && memcmp(&stamp, &gmemKVMKnownStamp, sizeof(stamp)) == 0)
        kvm = gmemKVMCopy(gmemKVMKnown);
    g_mutex_unlock(&gmemKVMLock);
    if (kvm != NULL)
        return kvm;
    kvm = gmemKVMProbe();
    if (!there || !gmemKVMIsComplete(kvm) || !gmemKVMReadStamp(&after) ||
        memcmp(&stamp, &after, sizeof(stamp)) != 0)
        return kvm;
    g_mutex_lock(&gmemKVMLock);
    gmemKVMFree(gmemKVMKnown);
    gmemKVMKnown = gmemKVMCopy(kvm);
    gmemKVMKnownStamp = stamp;
    g_mutex_unlock(&gmemKVMLock);
    return kvm;
}

void
gmemKVMFree(gmemKVM *kvm)
{
    if (kvm == NULL)
        return;

    g_free(kvm->reason);
    g_free(kvm->kernel);
    g_free(kvm);
}

int
gmemKVMCanFullyShared(const gmemKVM *kvm, GError **error)
{
    if (!kvm->available)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", kvm->reason);

    if (!kvm->guestMemfd)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("KVM of Linux %1$s has no guest_memfd for ordinary virtual machines "
                              "(KVM_CAP_GUEST_MEMFD = 0); use Linux 6.18 or newer"),
                            kvm->kernel);

    if ((kvm->gmemFlags & FULLY_SHARED_FLAGS) != FULLY_SHARED_FLAGS)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("KVM of Linux %1$s has no guest_memfd that the host can map "
              "(KVM_CAP_GUEST_MEMFD_FLAGS = 0x%2$x without 0x%3$x); use Linux 6.18 or newer"),
            kvm->kernel, kvm->gmemFlags, (unsigned int)FULLY_SHARED_FLAGS & ~kvm->gmemFlags);

    if (kvm->createErrno != 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("KVM of Linux %1$s refuses to create a guest_memfd: %2$s"),
                            kvm->kernel, gmemI18nErrno(kvm->createErrno));

    return 0;
}

int
gmemKVMCanConvertible(const gmemKVM *kvm, GError **error)
{
    if (!kvm->available)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", kvm->reason);

    if ((kvm->vmTypes & (1U << KVM_X86_SW_PROTECTED_VM)) == 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("KVM of Linux %1$s has no KVM_X86_SW_PROTECTED_VM (KVM_CAP_VM_TYPES "
                              "= 0x%2$x); use Linux 6.12 or newer with CONFIG_KVM_SW_PROTECTED_VM"),
                            kvm->kernel, kvm->vmTypes);

    if (kvm->createConvertibleErrno != 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("KVM of Linux %1$s refuses to create a virtual machine of type "
                              "KVM_X86_SW_PROTECTED_VM: %2$s"),
                            kvm->kernel, gmemI18nErrno(kvm->createConvertibleErrno));

    if (kvm->inPlace)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("KVM of Linux %1$s converts pages in place: it would take the shared "
                              "pages of a software-protected VM from guest_memfd, too; convertible "
                              "memory requires KVM's module parameter gmem_in_place_conversion=0 "
                              "and a kernel with CONFIG_KVM_VM_MEMORY_ATTRIBUTES"),
                            kvm->kernel);

    if ((kvm->attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE) == 0)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("KVM of Linux %1$s cannot make pages private (KVM_CAP_MEMORY_ATTRIBUTES = 0x%2$x "
              "without 0x%3$x); use Linux 6.12 or newer with CONFIG_KVM_SW_PROTECTED_VM"),
            kvm->kernel, kvm->attributes, (unsigned int)KVM_MEMORY_ATTRIBUTE_PRIVATE);

    if (!kvm->userMemory2)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("KVM of Linux %1$s cannot bind guest_memfd to a memory slot "
                              "(KVM_CAP_USER_MEMORY2 = 0); use Linux 6.12 or newer"),
                            kvm->kernel);

    if (!kvm->convertibleGuestMemfd)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("KVM of Linux %1$s has no guest_memfd for virtual machines of type "
                              "KVM_X86_SW_PROTECTED_VM (KVM_CAP_GUEST_MEMFD = 0); use Linux 6.12 "
                              "or newer with CONFIG_KVM_SW_PROTECTED_VM"),
                            kvm->kernel);

    if (kvm->attributesErrno != 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("KVM of Linux %1$s refuses to make a page of a virtual machine of "
                              "type KVM_X86_SW_PROTECTED_VM private: %2$s"),
                            kvm->kernel, gmemI18nErrno(kvm->attributesErrno));

    return 0;
}
