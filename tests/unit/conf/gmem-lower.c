/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmem-lower.c: reads domain XML from stdin and prints the XML that stock libvirt is given; a tool
 * for ../../record-argv.py. */

#include "config.h"

#include <stdio.h>
#include <string.h>

#include "gmemerror.h"
#include "gmemlower.h"

/* As much as libvirt accepts in one call, plus what is inserted into it. */
#define TEST_SIZE_MAX (5 * 1024 * 1024)

int
main(void)
{
    g_autofree char *text = g_malloc(TEST_SIZE_MAX);
    g_autofree char *lowered = NULL;
    g_autoptr(GError) error = NULL;
    size_t length = fread(text, 1, TEST_SIZE_MAX - 1, stdin);

    text[length] = '\0';
    lowered = gmemLower(text, false, NULL, &error);
    if (lowered == NULL) {
        g_autofree char *message = gmemErrorFormat(error);

        fprintf(stderr, "%s\n", message);
        return 1;
    }
    return fputs(lowered, stdout) == EOF ? 1 : 0;
}
