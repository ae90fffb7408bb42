/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-memory.c: measures what it costs to allocate memory before a guest runs, as memfd and as
 * fully shared guest_memfd, by MADV_POPULATE_WRITE (QEMU's preallocation), by fallocate(), or not
 * at all. Then each page is written once through the same mapping.
 *
 * usage: bench-memory memfd|guest MIB none|populate|fallocate THREADS
 *
 * Prints the processor time of all threads for both steps, in nanoseconds. */

#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "gmemkvmabi.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define BENCH_PAGE 4096
#define BENCH_THREADS_MAX 16

typedef struct {
    char *memory;
    size_t size;
    const char *how;
    int fd;
    size_t offset;
} benchPart;

static uint64_t
benchNow(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void __attribute__((noreturn)) benchFail(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static int
benchOpen(const char *kind, size_t size)
{
    struct gmemKVMCreateGuestMemfd create = {
        .size = size, .flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED};
    int fd;

    if (strcmp(kind, "memfd") == 0) {
        fd = memfd_create("bench", MFD_CLOEXEC);
        return ftruncate(fd, (off_t)size) == 0 ? fd : -1;
    }
    fd = ioctl(open("/dev/kvm", O_RDWR | O_CLOEXEC), KVM_CREATE_VM, 0);
    return ioctl(fd, GMEM_KVM_CREATE_GUEST_MEMFD, &create);
}

static void *
benchFill(void *data)
{
    benchPart *part = data;
    volatile char *memory = part->memory;
    size_t i;

    if (strcmp(part->how, "fallocate") == 0) {
        /* The size of a guest_memfd cannot be changed. */
        if (fallocate(part->fd, FALLOC_FL_KEEP_SIZE, (off_t)part->offset, (off_t)part->size) < 0)
            benchFail("fallocate");
    } else if (strcmp(part->how, "populate") == 0) {
        if (madvise(part->memory, part->size, MADV_POPULATE_WRITE) < 0)
            benchFail("madvise");
    } else if (strcmp(part->how, "touch") == 0) {
        for (i = 0; i < part->size; i += BENCH_PAGE)
            memory[i] = 1;
    }
    return NULL;
}

/* @threads threads handle one part each. */
static void
benchRun(char *memory, size_t size, int fd, const char *how, size_t threads)
{
    uint64_t begin = benchNow();
    benchPart parts[BENCH_THREADS_MAX];
    pthread_t ids[BENCH_THREADS_MAX];
    size_t each = size / threads, i;

    for (i = 0; i < threads; i++) {
        parts[i] = (benchPart){memory + i * each, each, how, fd, i * each};
        if (pthread_create(&ids[i], NULL, benchFill, &parts[i]) != 0)
            exit(EXIT_FAILURE);
    }
    for (i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    printf("%lu ", (unsigned long)(benchNow() - begin));
}

int
main(int argc, char **argv)
{
    size_t size = argc == 5 ? (size_t)strtoul(argv[2], NULL, 10) << 20 : 0;
    size_t threads = argc == 5 ? (size_t)strtoul(argv[4], NULL, 10) : 0;
    char *memory;
    int fd;

    if (size == 0 || threads == 0 || threads > BENCH_THREADS_MAX)
        return EXIT_FAILURE;
    fd = benchOpen(argv[1], size);
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        benchFail(argv[1]);
    benchRun(memory, size, fd, argv[3], threads);
    benchRun(memory, size, fd, "touch", 1);
    printf("\n");
    return EXIT_SUCCESS;
}
