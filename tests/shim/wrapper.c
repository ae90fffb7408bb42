/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wrapper.c: a compiled emulator wrapper: executes $GMEM_TEST_EMULATOR with its own arguments.
 *
 * It contains the names of the memory backend and /dev/kvm, like a wrapper that edits QEMU's
 * options. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
    char *emulator = getenv("GMEM_TEST_EMULATOR");
    int i;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "memory-backend-memfd") == 0)
            fprintf(stderr, "wrapper: a memory backend\n");
    }
    if (emulator == NULL || access("/dev/kvm", F_OK) < 0)
        return 2;
    fprintf(stderr, "wrapper: %d arguments\n", argc);
    argv[0] = emulator;
    execv(emulator, argv);
    perror(emulator);
    return 2;
}
