/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_image.c: libFuzzer harness for save images, which may have been written by whoever owns the
 * file. */

#include "fuzz.h"
#include "gmemimage.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = fuzzFile(data, size);
    gmemMode mode = GMEM_MODE_LAST;

    if (!gmemImageMode(fd, &mode))
        g_assert_cmpint(mode, ==, GMEM_MODE_NONE);
    g_assert_cmpint(mode, <, GMEM_MODE_LAST);
    close(fd);
    return 0;
}
