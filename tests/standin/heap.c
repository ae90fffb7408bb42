/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* heap.c: is preloaded into libvirtd, and reports how much of its heap is in use.
 *
 * The resident memory of a process says little about leaks, because malloc keeps what many threads
 * had at once. Each time $GMEM_HEAP_ASK is opened for writing, the number of bytes according to
 * malloc is written to $GMEM_HEAP_ANSWER. Both are FIFOs. */

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *
heapAnswer(void *opaque)
{
    const char *ask = getenv("GMEM_HEAP_ASK");
    const char *answer = getenv("GMEM_HEAP_ANSWER");

    (void)opaque;
    while (ask != NULL && answer != NULL) {
        int asked = open(ask, O_RDONLY | O_CLOEXEC);
        struct mallinfo2 info;
        int answered;
        char byte;

        /* Reads until the client has closed it, so that the same opening is not taken for the next
         * one. */
        while (asked >= 0 && read(asked, &byte, 1) > 0)
            continue;
        close(asked);
        answered = asked >= 0 ? open(answer, O_WRONLY | O_CLOEXEC) : -1;
        if (answered < 0)
            break;
        info = mallinfo2();
        dprintf(answered, "%zu\n", info.uordblks + info.hblkhd);
        close(answered);
    }
    return NULL;
}

__attribute__((constructor)) static void
heapInit(void)
{
    pthread_t thread;

    if (strcmp(program_invocation_short_name, "libvirtd") == 0)
        pthread_create(&thread, NULL, heapAnswer, NULL);
}
