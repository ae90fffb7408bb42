/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmem-xml.c: lowers and raises domain XML from stdin, for test_stock.py. */

#include <stdio.h>
#include <string.h>

#include "gmemerror.h"
#include "gmemlower.h"

#define USAGE "usage: gmem-xml lower|validate|raise <XML\n"

static char *
readAll(FILE *file)
{
    GString *text = g_string_new(NULL);
    char buffer[65536];
    size_t length;

    while ((length = fread(buffer, 1, sizeof(buffer), file)) > 0)
        g_string_append_len(text, buffer, (gssize)length);
    return g_string_free(text, FALSE);
}

int
main(int argc, char **argv)
{
    g_autofree char *text = NULL;
    g_autofree char *result = NULL;
    g_autofree char *message = NULL;
    g_autoptr(GError) error = NULL;

    if (argc != 2) {
        fputs(USAGE, stderr);
        return 2;
    }
    text = readAll(stdin);
    if (strcmp(argv[1], "lower") == 0 || strcmp(argv[1], "validate") == 0) {
        result = gmemLower(text, strcmp(argv[1], "validate") == 0, NULL, &error);
    } else if (strcmp(argv[1], "raise") == 0) {
        result = gmemRaise(text, NULL, &error);
    } else {
        fputs(USAGE, stderr);
        return 2;
    }
    if (result != NULL)
        return fputs(result, stdout) == EOF ? 1 : 0;
    message = gmemErrorFormat(error);
    fprintf(stderr, "%d %s\n", error->code, message);
    return 1;
}
