/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshim.c: qemu-gmem.so, preloaded into a QEMU that has no guest_memfd backend of its own.
 *
 * Theory of operation
 *
 * libvirt-gmem starts the QEMU of a private domain with this library in LD_PRELOAD and with the
 * option -x-libvirt-gmem in argv, whose value says what the domain's RAM is. QEMU does not know
 * that option, and refuses to start with it. Only the shim removes it, after it has understood the
 * value and before QEMU's main sees it. So a shim that was not loaded cannot go unnoticed.
 *
 * QEMU then runs unchanged, and the shim interposes functions of libc that it calls. It does not
 * rely on QEMU's internals, only on what QEMU asks the kernel for. In mode fully-shared, a
 * memory-backend-memfd gets a guest_memfd of its VM instead of a memfd. In mode convertible, the VM
 * is a software-protected one, each RAM backend gets a guest_memfd beside its own memory, and the
 * guest's conversions are served:
 *
 *   __libc_start_main   both: recognises QEMU, reads the configuration     gmemshimstart.c
 *                       proves that QEMU's calls of those below arrive     gmemshimproof.c
 *   ioctl               both: KVM_RUN: holds the guest back until all is right
 *                       fully-shared: KVM_CREATE_VM: remembers the VM
 *                         KVM_SET_USER_MEMORY_REGION(2): sees what is RAM  gmemshimshared.c
 *                       convertible: KVM_CREATE_VM, KVM_CHECK_EXTENSION,
 *                         KVM_SET_USER_MEMORY_REGION(2)                    gmemshimconvertible.c
 *                         KVM_CREATE_VCPU, KVM_SET_CPUID2, KVM_RUN,
 *                         KVM_SET_MP_STATE                                 gmemshimvcpu.c
 *   memfd_create        fully-shared: notes a memory backend               gmemshimshared.c
 *   ftruncate(64)       fully-shared: puts the guest_memfd in its place    gmemshimshared.c
 *   fcntl(64)           fully-shared: answers F_ADD_SEALS                  gmemshimshared.c
 *   mmap(64)            convertible: sees a memory backend                 gmemshimhalves.c
 *   madvise             convertible: no transparent huge pages for RAM     gmemshimconvertible.c
 *   mbind               convertible: binds the private half, too           gmemshimhalves.c
 *
 * There is one state for the process. It changes only from one of these to the next:
 *
 *   inert      No configuration, or not in QEMU: every call is passed on. This is what a wrapper
 *              script's interpreter and everything else that inherits LD_PRELOAD gets.
 *   armed      The configuration has been read. Memory is replaced as QEMU makes it.
 *   verified   At the first KVM_RUN all that the configuration says was found to be true. What is
 *              plugged in later is replaced as before.
 *
 * There is no fallback to ordinary memory. If a guest_memfd cannot be created, QEMU's call fails,
 * and QEMU ends by itself (or, if it is for a DIMM that is plugged in, only object-add fails). If
 * RAM was created in a way that the shim does not see, the process ends before the first KVM_RUN.
 *
 * A call that does not concern the shim costs an atomic load and a comparison, preserves errno and
 * takes no lock, in any thread, in signal handlers and in forked children. QEMU's children do not
 * load the shim, because it removes itself from LD_PRELOAD in QEMU. */

/* With 64-bit file offsets <unistd.h> renames ftruncate and fcntl; both names are defined here. */
#undef _FILE_OFFSET_BITS

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gmemkvmabi.h"
#include "gmemshimconfig.h"
#include "gmemshimconvertible.h"
#include "gmemshimerrno.h"
#include "gmemshimprobe.h"
#include "gmemshimproof.h"
#include "gmemshimpublish.h"
#include "gmemshimreal.h"
#include "gmemshimreport.h"
#include "gmemshimshared.h"
#include "gmemshimstart.h"
#include "gmemshimvcpu.h"

#define GMEM_SHIM_EXPORT __attribute__((visibility("default")))

/* To add a state: here, its name below, and the theory above. */
typedef enum {
    GMEM_SHIM_INERT,
    GMEM_SHIM_ARMED,
    GMEM_SHIM_VERIFIED,
    GMEM_SHIM_LAST
} gmemShimState;

static const char *const gmemShimStateNames[] = {
    [GMEM_SHIM_INERT] = "inert",
    [GMEM_SHIM_ARMED] = "armed",
    [GMEM_SHIM_VERIFIED] = "verified",
};
static_assert(sizeof(gmemShimStateNames) / sizeof(gmemShimStateNames[0]) == GMEM_SHIM_LAST,
              "every state has a name");

int __libc_start_main(gmemShimMain *main,
                      int argc,
                      char **argv,
                      void (*init)(void),
                      void (*fini)(void),
                      void (*rtldFini)(void),
                      void *stackEnd);

static atomic_int gmemShimCurrent = GMEM_SHIM_INERT;
static gmemShimConfig gmemShimConfiguration; /* constant from GMEM_SHIM_ARMED on */
static atomic_int gmemShimKVM = -1;          /* QEMU's descriptor of /dev/kvm */
static atomic_int gmemShimVM = -1;           /* and of its VM */
static pthread_mutex_t gmemShimVerifyLock = PTHREAD_MUTEX_INITIALIZER;

long mbind(void *base,
           unsigned long size,
           int policy,
           const unsigned long *nodes,
           unsigned long maxNode,
           unsigned int flags);

static gmemShimState
gmemShimGet(void)
{
    return (gmemShimState)atomic_load_explicit(&gmemShimCurrent, memory_order_acquire);
}

static void
gmemShimEnter(gmemShimState state)
{
    atomic_store_explicit(&gmemShimCurrent, (int)state, memory_order_release);
    gmemShimReport("%s: mode %s, %u memory backends, %llu bytes of RAM", gmemShimStateNames[state],
                   gmemModeToString(gmemShimConfiguration.mode), gmemShimConfiguration.backends,
                   gmemShimConfiguration.ram);
}

/* Constant once the shim is armed. */
static bool
gmemShimIs(gmemMode mode)
{
    return gmemShimGet() != GMEM_SHIM_INERT && gmemShimConfiguration.mode == mode;
}

static void
gmemShimArm(void)
{
    int result;

    if (gmemShimConfiguration.mode == GMEM_MODE_FULLY_SHARED)
        result = gmemShimSharedInit(&gmemShimConfiguration);
    else
        result = gmemShimConvertibleInit(&gmemShimConfiguration) < 0 ? -1 : gmemShimVcpuInit();
    if (result < 0)
        _exit(EXIT_FAILURE);
    gmemShimEnter(GMEM_SHIM_ARMED);
}

/* The driver probes an emulator, which includes whether the shim is loaded into it. */
static void
gmemShimAnswerProbe(char *const argv[])
{
    static const char event[] = GMEM_SHIM_PROBE_EVENT;
    char reason[GMEM_SHIM_REPORT_MAX];

    if (getenv(GMEM_SHIM_PROBE_VARIABLE) == NULL || !gmemShimStartIsQEMU(argv))
        return;
    if (!gmemShimProofRun(reason, sizeof(reason)))
        gmemShimReport("QEMU's calls do not all arrive at the shim: %s", reason);
    else if (write(STDOUT_FILENO, event, strlen(event)) < 0)
        gmemShimReport("write: %m");
}

/* Runs in the process that libvirt executed, or in one that it became by exec, before its main. */
static void
gmemShimStart(int *argc, char ***argv)
{
    char reason[GMEM_SHIM_REPORT_MAX];

    if (!gmemShimStartHasPair(*argv)) {
        gmemShimAnswerProbe(*argv);
        return;
    }
    if (!gmemShimStartIsQEMU(*argv))
        return;

    if (!gmemShimProofRun(reason, sizeof(reason))) {
        gmemShimReport("QEMU's calls do not all arrive at the shim: %s", reason);
        _exit(EXIT_FAILURE);
    }
    if (gmemShimStartTakePair(argc, argv, &gmemShimConfiguration, reason, sizeof(reason)) !=
        GMEM_SHIM_ARGV_TAKEN) {
        gmemShimReport("option -%s: %s", GMEM_SHIM_OPTION, reason);
        _exit(EXIT_FAILURE);
    }
    gmemShimStartDropPreload(environ);
    gmemShimArm();
}

/* QEMU creates one VM, unless it is configured to create a new one at each reset (-machine
 * x-change-vmfd-on-reset, QEMU 11): the guest_memfds belong to the first one. */
static int
gmemShimCreateVM(int fd, unsigned long request, void *argument)
{
    gmemShimRealTable *real = gmemShimReal();
    int none = -1;
    int vm;

    if (atomic_load(&gmemShimVM) >= 0) {
        gmemShimReport(
            "QEMU asks for a second KVM VM, whose memory could not be distinguished from "
            "that of the first");
        errno = EBUSY;
        return -1;
    }
    vm = gmemShimIs(GMEM_MODE_CONVERTIBLE) ? gmemShimConvertibleCreateVM(fd)
                                           : real->ioctl(fd, request, argument);
    atomic_store(&gmemShimKVM, fd);
    if (vm >= 0 && !atomic_compare_exchange_strong(&gmemShimVM, &none, vm)) {
        close(vm);
        errno = EBUSY;
        return -1;
    }
    return vm;
}

static bool
gmemShimVerifyMode(char *reason, size_t reasonSize)
{
    if (gmemShimConfiguration.mode == GMEM_MODE_FULLY_SHARED)
        return gmemShimSharedVerify(reason, reasonSize);
    return gmemShimConvertibleVerify(reason, reasonSize);
}

/* Every vCPU's thread comes here until one of them has verified the memory. */
static void
gmemShimVerify(void)
{
    char reason[GMEM_SHIM_REPORT_MAX];
    GMEM_SHIM_KEEP_ERRNO;

    pthread_mutex_lock(&gmemShimVerifyLock);
    if (gmemShimGet() == GMEM_SHIM_ARMED) {
        if (!gmemShimVerifyMode(reason, sizeof(reason))) {
            gmemShimReport("refusing to run the guest: %s", reason);
            /* Not exit(), because other threads are running; and not abort(), because a core dump
             * has the guest's RAM. */
            _exit(EXIT_FAILURE);
        }
        gmemShimEnter(GMEM_SHIM_VERIFIED);
        gmemShimPublishVerified();
    }
    pthread_mutex_unlock(&gmemShimVerifyLock);
}

/* What QEMU asks KVM for in mode fully-shared. */
static int
gmemShimIoctlShared(gmemShimState state, int fd, unsigned long request, void *argument)
{
    const int result = gmemShimReal()->ioctl(fd, request, argument);

    if (result == 0 && state != GMEM_SHIM_INERT &&
        ((unsigned int)request == KVM_SET_USER_MEMORY_REGION ||
         (unsigned int)request == GMEM_KVM_SET_USER_MEMORY_REGION2))
        gmemShimSharedSlot(argument, state == GMEM_SHIM_VERIFIED);
    return result;
}

/* What it asks for in mode convertible. */
static int
gmemShimIoctlConvertible(int fd, unsigned long request, void *argument)
{
    int result;

    switch ((unsigned int)request) {
    case KVM_CHECK_EXTENSION:
        return gmemShimConvertibleCheckExtension(fd, (unsigned long)argument);
    case KVM_SET_USER_MEMORY_REGION:
    case GMEM_KVM_SET_USER_MEMORY_REGION2:
        return gmemShimConvertibleSetSlot(argument, request);
    case KVM_CREATE_VCPU:
        result = gmemShimReal()->ioctl(fd, request, argument);
        if (result >= 0 && gmemShimVcpuMade(atomic_load(&gmemShimKVM), result) < 0) {
            close(result);
            return -1;
        }
        return result;
    case KVM_SET_CPUID2:
        return gmemShimVcpuSetCPUID(fd, argument);
    case KVM_SET_MP_STATE:
        return gmemShimVcpuSetState(fd, argument);
    case KVM_RUN:
        return gmemShimVcpuRun(fd, argument);
    default:
        return gmemShimReal()->ioctl(fd, request, argument);
    }
}

static void *
gmemShimMmapBy(void *base, size_t size, int protection, int flags, int fd, off_t offset)
{
    const int before = errno;
    void *mapping;

    if (gmemShimProofArrived(base))
        return MAP_FAILED;
    mapping = gmemShimReal()->mmap(base, size, protection, flags, fd, offset);
    if (mapping == MAP_FAILED || (flags & MAP_FIXED) == 0 ||
        protection != (PROT_READ | PROT_WRITE) || !gmemShimIs(GMEM_MODE_CONVERTIBLE) ||
        !gmemShimConvertibleMayMap())
        return mapping;
    if (gmemShimConvertibleMapped(mapping, size, flags, fd) < 0)
        return MAP_FAILED;
    errno = before;
    return mapping;
}

static int
gmemShimFtruncateBy(gmemShimFtruncate *real, int fd, off_t length)
{
    if (gmemShimProofArrived((const void *)(intptr_t)length))
        return -1;
    if (!gmemShimIs(GMEM_MODE_FULLY_SHARED) || !gmemShimSharedMayHave(fd))
        return real(fd, length);
    return gmemShimSharedResize(fd, length, atomic_load(&gmemShimVM), real);
}

static int
gmemShimFcntlBy(gmemShimFcntl *real, int fd, int command, void *argument)
{
    if (gmemShimProofArrived(argument))
        return -1;
    if (command == F_ADD_SEALS && gmemShimIs(GMEM_MODE_FULLY_SHARED) && gmemShimSharedMayHave(fd) &&
        gmemShimSharedSealed(fd))
        return 0;
    return real(fd, command, argument);
}

/* Variadic functions pass on one argument of the size of a pointer. ioctl(2) and fcntl(2) never
 * have more, and reading one that the caller did not pass is harmless if registers carry it. */

GMEM_SHIM_EXPORT int
ioctl(int fd, unsigned long request, ...)
{
    const gmemShimState state = gmemShimGet();
    gmemShimRealTable *real = gmemShimReal();
    void *argument;
    va_list args;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);

    if (state == GMEM_SHIM_INERT)
        return gmemShimProofArrived(argument) ? -1 : real->ioctl(fd, request, argument);

    /* The kernel uses 32 bits; callers that keep the request in an int have it sign-extended. */
    if ((unsigned int)request == KVM_CREATE_VM)
        return gmemShimCreateVM(fd, request, argument);
    if ((unsigned int)request == KVM_RUN && state == GMEM_SHIM_ARMED)
        gmemShimVerify();
    if (gmemShimConfiguration.mode == GMEM_MODE_CONVERTIBLE)
        return gmemShimIoctlConvertible(fd, request, argument);
    return gmemShimIoctlShared(state, fd, request, argument);
}

GMEM_SHIM_EXPORT int
memfd_create(const char *name, unsigned int flags)
{
    if (gmemShimProofArrived(name))
        return -1;
    if (gmemShimIs(GMEM_MODE_FULLY_SHARED) && name != NULL && gmemShimSharedIsBackend(name))
        return gmemShimSharedCreate(name, flags);
    return gmemShimReal()->memfdCreate(name, flags);
}

GMEM_SHIM_EXPORT int
ftruncate(int fd, off_t length)
{
    return gmemShimFtruncateBy(gmemShimReal()->ftruncate, fd, length);
}

GMEM_SHIM_EXPORT int
ftruncate64(int fd, off64_t length)
{
    return gmemShimFtruncateBy(gmemShimReal()->ftruncate64, fd, length);
}

GMEM_SHIM_EXPORT int
fcntl(int fd, int command, ...)
{
    void *argument;
    va_list args;

    va_start(args, command);
    argument = va_arg(args, void *);
    va_end(args);
    return gmemShimFcntlBy(gmemShimReal()->fcntl, fd, command, argument);
}

GMEM_SHIM_EXPORT int
fcntl64(int fd, int command, ...)
{
    void *argument;
    va_list args;

    va_start(args, command);
    argument = va_arg(args, void *);
    va_end(args);
    return gmemShimFcntlBy(gmemShimReal()->fcntl64, fd, command, argument);
}

GMEM_SHIM_EXPORT void *
mmap(void *base, size_t size, int protection, int flags, int fd, off_t offset)
{
    return gmemShimMmapBy(base, size, protection, flags, fd, offset);
}

GMEM_SHIM_EXPORT void *
mmap64(void *base, size_t size, int protection, int flags, int fd, off64_t offset)
{
    return gmemShimMmapBy(base, size, protection, flags, fd, offset);
}

GMEM_SHIM_EXPORT int
madvise(void *base, size_t size, int advice)
{
    if (gmemShimProofArrived(base))
        return -1;
    if (advice == MADV_HUGEPAGE && gmemShimIs(GMEM_MODE_CONVERTIBLE) &&
        gmemShimConvertibleKeepsPages(base, size))
        return 0;
    return gmemShimReal()->madvise(base, size, advice);
}

/* A function of libnuma, with which QEMU is linked; the C library does not have it. */
GMEM_SHIM_EXPORT long
mbind(void *base,
      unsigned long size,
      int policy,
      const unsigned long *nodes,
      unsigned long maxNode,
      unsigned int flags)
{
    long result;

    if (gmemShimProofArrived(base))
        return -1;
    result = syscall(SYS_mbind, base, size, policy, nodes, maxNode, flags);
    if (result == 0 && gmemShimIs(GMEM_MODE_CONVERTIBLE))
        gmemShimConvertibleBound(base, size, policy, nodes, maxNode);
    return result;
}

GMEM_SHIM_EXPORT int
__libc_start_main(gmemShimMain *main,
                  int argc,
                  char **argv,
                  void (*init)(void),
                  void (*fini)(void),
                  void (*rtldFini)(void),
                  void *stackEnd)
{
    gmemShimStart(&argc, &argv);
    return gmemShimReal()->startMain(main, argc, argv, init, fini, rtldFini, stackEnd);
}
