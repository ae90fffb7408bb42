/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* actor.c: the shim takes this program for QEMU, and it then does what a real QEMU would not do for
 * a test.
 *
 * usage: actor -name SCENE   with the shim's option before or after, and the shim preloaded.
 * Prints what it saw, one fact a line; exits 0 unless something could not even be tried. */

#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmemkvmabi.h"

#define STRANGE_ERRNO 4242
#define SIZE (2 * 1024 * 1024)
#define NAME "memory-backend-memfd"
#define REGION2 _IOW(KVMIO, 0x49, unsigned char[160])

/* Strings that a real QEMU contains, and that the shim looks for. */
const char *const actorMarks[] = {NAME, "/dev/kvm", "query-qmp-schema", "memory-backend-ram"};

/* If it is built with another name for one of these, the program does not import it. */
#ifdef ioctl
int
ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *argument;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    return (int)syscall(SYS_ioctl, fd, request, argument);
}
#endif
#ifdef mmap
void *
mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}
#endif

static int kvm = -1;

static void
die(const char *what)
{
    printf("failed: %s: %s\n", what, strerror(errno));
    fflush(stdout);
    exit(2);
}

static int
makeVM(void)
{
    int vm;

    kvm = open(actorMarks[1], O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        die("/dev/kvm");
    vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm < 0)
        die("KVM_CREATE_VM");
    return vm;
}

/* Does what a memory-backend-memfd does, with the 64-bit names or the others. */
static int
makeBackend(bool names64)
{
    const int fd = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        die("memfd_create");
    if ((names64 ? ftruncate64(fd, SIZE) : ftruncate(fd, SIZE)) < 0)
        die("ftruncate");
    if ((names64 ? fcntl64(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)
                 : fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)) < 0)
        die("F_ADD_SEALS");
    return fd;
}

static bool
isGuestMemfd(int fd)
{
    char path[64], target[256] = "";

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "[kvm-gmem]") != NULL;
}

static void *
map(int fd)
{
    void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
                        fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

    if (memory == MAP_FAILED)
        die("mmap");
    return memory;
}

static void
setSlot(int vm, bool second, unsigned int slot, uint64_t guest, const void *memory)
{
    union {
        struct kvm_userspace_memory_region region;
        unsigned char second[160];
    } argument;

    memset(&argument, 0, sizeof(argument));
    argument.region.slot = slot;
    argument.region.guest_phys_addr = guest;
    argument.region.memory_size = SIZE;
    argument.region.userspace_addr = (uint64_t)memory;
    if (ioctl(vm, second ? REGION2 : KVM_SET_USER_MEMORY_REGION, &argument) < 0)
        die("KVM_SET_USER_MEMORY_REGION");
}

/* A vCPU that executes `hlt` at guest address 0. */
static void
runHalt(int vm, void *memory)
{
    const int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    const int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    struct kvm_regs regs = {.rflags = 2};
    struct kvm_sregs sregs;
    struct kvm_run *run;
    int i;

    if (vcpu < 0 || size < 0)
        die("KVM_CREATE_VCPU");
    run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED || ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
        die("KVM_GET_SREGS");
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
        die("KVM_SET_REGS");
    *(unsigned char *)memory = 0xf4;

    for (i = 0; i < 2; i++) {
        if (ioctl(vcpu, KVM_RUN, 0) < 0)
            die("KVM_RUN");
        printf("ran: exit reason %u%s\n", run->exit_reason,
               run->exit_reason == KVM_EXIT_HLT ? " (hlt)" : "");
    }
}

static void
sayFailure(int result, int error)
{
    printf(" %s", result == -1 && errno == error ? "ok" : strerror(errno));
    errno = 0;
}

/* Calls whose result the shim must not change, each with an errno that must stay. */
static void
sceneErrno(void)
{
    const int memfd = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int ends[2];
    int waiting = -1;
    struct stat file;

    if (memfd < 0 || pipe(ends) < 0 || write(ends[1], "four", 4) != 4)
        die("pipe");

    errno = STRANGE_ERRNO;
    printf("ftruncate %d", ftruncate(memfd, 4096));
    printf(" ftruncate64 %d", ftruncate64(memfd, 8192));
    printf(" fcntl %d", fcntl(memfd, F_GETFD));
    printf(" fcntl64 %d", fcntl64(memfd, F_SETFD, 0));
    printf(" ioctl %d", ioctl(ends[0], FIONREAD, &waiting));
    printf(" memfd_create %d", memfd_create("another", 0) >= 0);
    printf(" errno %d\n", errno);
    fstat(memfd, &file);
    printf("size %lld waiting %d\n", (long long)file.st_size, waiting);
    printf("seal %d", fcntl(memfd, F_ADD_SEALS, F_SEAL_GROW));
    printf(" then seals %d\n", fcntl(memfd, F_GET_SEALS));

    printf("bad:");
    sayFailure(ftruncate(-1, 1), EBADF);
    sayFailure(fcntl(-1, F_GETFD), EBADF);
    sayFailure(fcntl64(-1, F_ADD_SEALS, 0), EBADF);
    sayFailure(ioctl(-1, FIONREAD, &waiting), EBADF);
    sayFailure(ioctl(memfd, KVM_CREATE_VM, 0), ENOTTY);
    sayFailure(ioctl(memfd, KVM_SET_USER_MEMORY_REGION, NULL), ENOTTY);
    sayFailure(memfd_create(NULL, 0), EFAULT);
    printf("\n");
}

/* A backend also preserves errno, with both spellings of the names. */
static void
sceneBackend(void)
{
    int i;

    makeVM();
    errno = STRANGE_ERRNO;
    for (i = 0; i < 2; i++) {
        const int fd = makeBackend(i == 0);

        printf("backend %s errno %d close-on-exec %d\n", isGuestMemfd(fd) ? "guest_memfd" : "memfd",
               errno, fcntl(fd, F_GETFD));
    }
}

/* The VM of a second accelerator must not become the RAM's without being noticed. */
static void
sceneSecondVM(void)
{
    makeVM();
    printf("second VM %d", ioctl(kvm, KVM_CREATE_VM, 0));
    printf(" errno %d\n", errno == EBUSY);
}

static void
sceneRun(void)
{
    const int vm = makeVM();
    void *memory = map(makeBackend(true));

    setSlot(vm, false, 0, 0, memory);
    runHalt(vm, memory);
}

static void
sceneRunRegion2(void)
{
    const int vm = makeVM();
    void *memory = map(makeBackend(true));

    setSlot(vm, true, 0, 0, memory);
    runHalt(vm, memory);
}

/* Memory whose creation the shim cannot see. */
static void
sceneRunSyscall(void)
{
    const int vm = makeVM();
    const int fd = (int)syscall(SYS_memfd_create, NAME, 0);
    void *memory;

    if (fd < 0 || ftruncate(fd, SIZE) < 0)
        die("memfd_create");
    memory = map(fd);
    setSlot(vm, false, 0, 0, memory);
    runHalt(vm, memory);
}

static void
sceneRunAnonymous(void)
{
    const int vm = makeVM();
    void *memory = map(-1);

    setSlot(vm, false, 0, 0, memory);
    runHalt(vm, memory);
}

/* The backend exists, but the guest does not get it. */
static void
sceneRunUnused(void)
{
    const int vm = makeVM();
    void *memory = map(-1);

    map(makeBackend(true));
    setSlot(vm, false, 0, 0, memory);
    runHalt(vm, memory);
}

/* The guest gets it, but not as the memory in which it runs. */
static void
sceneRunElsewhere(void)
{
    const int vm = makeVM();
    void *memory = map(-1);

    setSlot(vm, false, 1, 1ULL << 32, map(makeBackend(true)));
    setSlot(vm, false, 0, 0, memory);
    runHalt(vm, memory);
}

static void *
threadBackends(void *unused)
{
    int i;

    (void)unused;
    for (i = 0; i < 100; i++) {
        const int fd = makeBackend(i % 2 == 0);

        if (!isGuestMemfd(fd))
            printf("not a guest_memfd\n");
        if (munmap(map(fd), SIZE) < 0)
            die("munmap");
        close(fd);
    }
    return NULL;
}

static void *
threadOthers(void *unused)
{
    int i;

    (void)unused;
    for (i = 0; i < 2000; i++) {
        const int fd = memfd_create("other", MFD_ALLOW_SEALING);

        errno = STRANGE_ERRNO;
        if (ftruncate(fd, 4096) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0 ||
            errno != STRANGE_ERRNO)
            printf("disturbed: %s\n", strerror(errno));
        if (isGuestMemfd(fd))
            printf("a guest_memfd where none was asked for\n");
        close(fd);
    }
    return NULL;
}

/* Forked children use descriptors, while other threads may hold any lock. */
static void
sceneThreads(void)
{
    pthread_t threads[4];
    int good = 0;
    int i;

    makeVM();
    for (i = 0; i < 4; i++) {
        if (pthread_create(&threads[i], NULL, i < 2 ? threadBackends : threadOthers, NULL) != 0)
            die("pthread_create");
    }
    for (i = 0; i < 100; i++) {
        const pid_t child = fork();
        int status = -1;

        if (child < 0)
            die("fork");
        if (child == 0) {
            int ends[2], waiting;

            alarm(20);
            if (pipe(ends) < 0 || fcntl(ends[0], F_SETFD, FD_CLOEXEC) < 0 ||
                ioctl(ends[0], FIONREAD, &waiting) < 0)
                _exit(1);
            _exit(0);
        }
        if (waitpid(child, &status, 0) == child && status == 0)
            good++;
    }
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    printf("children %d\n", good);
}

static void
sceneArgv(int argc, char **argv, char **envp)
{
    const char *preload = getenv("LD_PRELOAD");
    int i;

    printf("argv");
    for (i = 0; i < argc; i++)
        printf(" %s", argv[i]);
    printf("\nargc %d terminated %d\n", argc, argv[argc] == NULL);
    printf("environment follows %d is passed %d\n", argv[argc + 1] == envp[0], envp == environ);
    printf("page size %lu\n", getauxval(AT_PAGESZ));
    printf("preload %s\n", preload != NULL ? preload : "(none)");
}

int
main(int argc, char **argv, char **envp)
{
    static const struct {
        const char *name;
        void (*play)(void);
    } scenes[] = {
        {"errno", sceneErrno},
        {"backend", sceneBackend},
        {"second-vm", sceneSecondVM},
        {"run", sceneRun},
        {"run-region2", sceneRunRegion2},
        {"run-syscall", sceneRunSyscall},
        {"run-anonymous", sceneRunAnonymous},
        {"run-unused", sceneRunUnused},
        {"run-elsewhere", sceneRunElsewhere},
        {"threads", sceneThreads},
    };
    const char *scene = "argv";
    int argument;
    size_t i;

    for (argument = 1; argument + 1 < argc; argument++) {
        if (strcmp(argv[argument], "-name") == 0)
            scene = argv[argument + 1];
    }
    for (i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        if (strcmp(scenes[i].name, scene) == 0) {
            scenes[i].play();
            return 0;
        }
    }
    /* Never called; keeps the strings that the compiler would otherwise omit. */
    if (argc > 1000)
        puts(actorMarks[argc % 3]);
    sceneArgv(argc, argv, envp);
    return 0;
}
