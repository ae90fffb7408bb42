/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_shimconfig.c: libFuzzer harness for the shim's configuration: it is refused with a reason,
 * or is the same when it is written and read again. */

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "gmemshimconfig.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    gmemShimConfig config = {0};
    gmemShimConfig again = {0};
    char reason[200] = "";
    char *written, *writtenAgain;

    if (!gmemShimConfigParse(text, &config, reason, sizeof(reason))) {
        g_assert_true(reason[0] != '\0' && strlen(reason) < sizeof(reason));
        return 0;
    }
    g_assert_true(config.mode == GMEM_MODE_CONVERTIBLE || config.mode == GMEM_MODE_FULLY_SHARED);
    g_assert_cmpuint(config.backends, >, 0);
    g_assert_cmpuint(config.ram, >, 0);
    written = gmemShimConfigFormat(&config);
    g_assert_true(gmemShimConfigParse(written, &again, reason, sizeof(reason)));
    writtenAgain = gmemShimConfigFormat(&again);
    g_assert_cmpstr(written, ==, writtenAgain);
    g_assert_cmpint(config.nOptions, ==, again.nOptions);
    g_assert_cmpint(config.listed, ==, again.listed);
    free(written);
    free(writtenAgain);
    gmemShimConfigClear(&config);
    gmemShimConfigClear(&again);
    return 0;
}
