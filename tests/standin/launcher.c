/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* launcher.c: the beginning of a QEMU stand-in, which is an ELF image like QEMU: it makes python3
 * run the archive that is appended to this file (created by ../e2e/gmem_standin.py). */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PYTHON "/usr/bin/python3"

int
main(int argc, char **argv)
{
    static char path[PATH_MAX];
    char **words = calloc((size_t)argc + 3, sizeof(*words));
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (words == NULL || length < 0) {
        perror("qemu stand-in");
        return 1;
    }
    words[0] = (char[]){PYTHON};
    words[1] = (char[]){"-I"};
    words[2] = path;
    if (argc > 1)
        memcpy(words + 3, argv + 1, (size_t)(argc - 1) * sizeof(*words));
    execv(PYTHON, words);
    perror(PYTHON);
    return 1;
}
