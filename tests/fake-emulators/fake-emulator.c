/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fake-emulator.c: an emulator that is an ELF image, as the cache on disk requires: it prints the
 * file NAME.replies, where NAME is its own path, and adds a byte to NAME.count. */

#include <limits.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
    char path[PATH_MAX];
    FILE *file;
    int c;

    snprintf(path, sizeof(path), "%s.count", argc > 0 ? argv[0] : "");
    file = fopen(path, "a");
    if (file == NULL || fputc('x', file) == EOF || fclose(file) != 0) {
        perror(path);
        return 1;
    }
    snprintf(path, sizeof(path), "%s.replies", argv[0]);
    file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    while ((c = fgetc(file)) != EOF)
        putchar(c);
    fclose(file);
    return 0;
}
