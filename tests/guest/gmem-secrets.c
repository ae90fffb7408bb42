/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gmem-secrets.c: what tests do with /dev/private-memory in a Linux guest.
 *
 *     hold PAGES SEED           fills private pages with the seed's pattern, prints "held", stays;
 *                               SIGUSR1 makes it look at them again
 *     open PAGES SEED           the same in ordinary memory
 *     fork PAGES SEED           a child does not have the pages, and its end does not affect the
 *                               parent's
 *     split PAGES SEED          what is left of a mapping after parts are removed and it is moved
 *     churn ROUNDS PAGES SEED   mappings come and go; rounds without memory are counted separately
 *     refused PAGES SEED FILE   whatever pins pages, or is another process, cannot access them
 *     kexec KERNEL INITRD COMMAND-LINE
 *                               starts that kernel at once
 *
 * The pattern is the one of gmem-private.S. Only general registers are used: when the kernel
 * switches to another task, it saves other registers in ordinary memory, which would then contain
 * all of it.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define WORDS (PAGE / sizeof(uint32_t))

static void
die(const char *what)
{
    printf("%s: %s\n", what, strerror(errno));
    exit(1);
}

static unsigned long
number(const char *text)
{
    return strtoul(text, NULL, 0);
}

static void *
privatePages(unsigned long pages)
{
    const int device = open("/dev/private-memory", O_RDWR | O_CLOEXEC);
    void *memory;

    if (device < 0)
        die("/dev/private-memory");
    memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);
    close(device);
    return memory;
}

static void *
privatePagesOrDie(unsigned long pages)
{
    void *memory = privatePages(pages);

    if (memory == MAP_FAILED)
        die("mmap");
    return memory;
}

/* The word at an index: 4 bytes of the pattern, and 4 that distinguish places. */
static uint32_t
wordOf(uint32_t seed, unsigned long index)
{
    static const uint32_t one[] = {0x6c62272e, 0x07bb0142, 0xa17b4f93, 0x5e2dc8f1};
    static const uint32_t two[] = {0x1b873593, 0xcc9e2d51, 0x38b34ae5, 0x97d0e6ab};
    const unsigned int i = index % 8;
    const unsigned int by = 8 * (i % 4);

    if (i >= 4)
        return ~seed ^ (uint32_t)index;
    return one[i] ^ (seed << by | (uint64_t)seed >> (32 - by)) ^ two[i];
}

static void
fill(volatile uint32_t *memory, unsigned long pages, uint32_t seed)
{
    for (unsigned long i = 0; i < pages * WORDS; i++)
        memory[i] = wordOf(seed, i);
}

/* The number of pages that contain it, starting with its word @first. */
static unsigned long
kept(const volatile uint32_t *memory, unsigned long pages, uint32_t seed, unsigned long first)
{
    unsigned long good = 0;

    for (unsigned long page = 0; page < pages; page++) {
        bool same = true;

        for (unsigned long i = page * WORDS; i < (page + 1) * WORDS; i++)
            same &= memory[i] == wordOf(seed, first + i);
        good += same;
    }
    return good;
}

static unsigned long
zeros(const volatile uint32_t *memory, unsigned long pages)
{
    unsigned long found = 0;

    for (unsigned long i = 0; i < pages * WORDS; i++)
        found += memory[i] == 0;
    return found / WORDS;
}

static int
hold(void *memory, unsigned long pages, uint32_t seed)
{
    sigset_t look;
    int signal;

    sigemptyset(&look);
    sigaddset(&look, SIGUSR1);
    sigprocmask(SIG_BLOCK, &look, NULL);
    if (memory == MAP_FAILED)
        die("mmap");
    printf("zeros %lu\n", zeros(memory, pages));
    fill(memory, pages, seed);
    puts("held");
    while (sigwait(&look, &signal) == 0)
        printf("kept %lu\n", kept(memory, pages, seed, 0));
    return 1;
}

static int
forked(unsigned long pages, uint32_t seed)
{
    volatile uint32_t *memory = privatePagesOrDie(pages);
    int status = 0;
    pid_t child;

    fill(memory, pages, seed);
    child = fork();
    if (child == 0)
        _exit((int)(memory[0] & 1)); /* the access does not get there */
    waitpid(child, &status, 0);
    printf("child %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
    printf("kept %lu\n", kept(memory, pages, seed, 0));
    return 0;
}

static int
split(unsigned long pages, uint32_t seed)
{
    const unsigned long third = pages / 3;
    char *memory = privatePagesOrDie(3 * third);
    char *last = memory + 2 * third * PAGE;
    char *there;

    fill((uint32_t *)memory, 3 * third, seed);
    if (munmap(memory + third * PAGE, third * PAGE) < 0)
        die("munmap");
    printf("kept %lu\n", kept((uint32_t *)memory, third, seed, 0));
    there = mmap(NULL, third * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mremap(last, third * PAGE, third * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, there) != there)
        die("mremap");
    printf("kept %lu\n", kept((uint32_t *)there, third, seed, 2 * third * WORDS));
    if (mremap(there, third * PAGE, pages * PAGE, MREMAP_MAYMOVE) == MAP_FAILED)
        printf("grow %d\n", errno);
    return 0;
}

static int
churn(unsigned long rounds, unsigned long pages, uint32_t seed)
{
    unsigned long good = 0;
    unsigned long none = 0;

    for (; rounds > 0; rounds--) {
        void *memory = privatePages(pages);

        if (memory == MAP_FAILED) {
            if (errno != ENOMEM)
                die("mmap");
            none++;
            continue;
        }
        if (zeros(memory, pages) == pages) {
            fill(memory, pages, seed);
            good += kept(memory, pages, seed, 0) == pages;
        }
        munmap(memory, pages * PAGE);
    }
    printf("good %lu\nnone %lu\n", good, none);
    return 0;
}

static void
said(const char *what, long result)
{
    printf("%s %d\n", what, result < 0 ? errno : 0);
}

static int
refused(unsigned long pages, uint32_t seed, const char *path)
{
    char *memory = privatePagesOrDie(pages);
    char buffer[64];
    struct iovec there = {memory, sizeof(buffer)};
    struct iovec here = {buffer, sizeof(buffer)};
    struct iovec whole = {memory, PAGE};
    const int direct = open(path, O_RDWR | O_DIRECT);
    const int own = open("/proc/self/mem", O_RDWR);
    int ends[2];
    int status;
    pid_t child;

    if (direct < 0 || own < 0 || pipe(ends) < 0)
        die(path);
    fill((uint32_t *)memory, pages, seed);
    said("direct-read", pread(direct, memory, PAGE, 0));
    said("direct-write", pwrite(direct, memory, PAGE, 0));
    said("vmsplice", vmsplice(ends[1], &whole, 1, 0));
    said("process_vm_readv", process_vm_readv(getpid(), &here, 1, &there, 1, 0));
    said("mem", pread(own, buffer, sizeof(buffer), (off_t)(uintptr_t)memory));
    said("private-mapping", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE,
                                 open("/dev/private-memory", O_RDWR), 0) == MAP_FAILED
                                ? -1
                                : 0);
    child = fork();
    if (child == 0) {
        const pid_t parent = getppid();

        if (ptrace(PTRACE_ATTACH, parent, 0, 0) < 0)
            die("ptrace");
        waitpid(parent, &status, 0);
        errno = 0;
        said("ptrace", ptrace(PTRACE_PEEKDATA, parent, memory, 0) == -1 && errno ? -1 : 0);
        ptrace(PTRACE_DETACH, parent, 0, 0);
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    /* Calls that copy through the processor work, and the copy is where the program put it. */
    said("write", write(ends[1], memory, 4));
    printf("kept %lu\n", kept((uint32_t *)memory, pages, seed, 0));
    return 0;
}

static int
kexec(const char *kernel, const char *initrd, const char *commandLine)
{
    const int files[] = {open(kernel, O_RDONLY), open(initrd, O_RDONLY)};

    if (files[0] < 0 || files[1] < 0)
        die(kernel);
    if (syscall(SYS_kexec_file_load, files[0], files[1], strlen(commandLine) + 1, commandLine,
                0UL) < 0)
        die("kexec_file_load");
    puts("kexec");
    syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
    die("reboot");
    return 1;
}

int
main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    const unsigned long pages = argc > 2 ? number(argv[2]) : 0;
    const uint32_t seed = argc > 3 ? (uint32_t)number(argv[3]) : 0;

    setlinebuf(stdout);
    if (argc == 4 && strcmp(verb, "hold") == 0)
        return hold(privatePages(pages), pages, seed);
    if (argc == 4 && strcmp(verb, "open") == 0)
        return hold(
            mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            pages, seed);
    if (argc == 4 && strcmp(verb, "fork") == 0)
        return forked(pages, seed);
    if (argc == 4 && strcmp(verb, "split") == 0)
        return split(pages, seed);
    if (argc == 5 && strcmp(verb, "churn") == 0)
        return churn(pages, number(argv[3]), (uint32_t)number(argv[4]));
    if (argc == 5 && strcmp(verb, "refused") == 0)
        return refused(pages, seed, argv[4]);
    if (argc == 5 && strcmp(verb, "kexec") == 0)
        return kexec(argv[2], argv[3], argv[4]);
    fputs("gmem-secrets: see its source for what it does\n", stderr);
    return 2;
}
