/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_status.c: libFuzzer harness for what the daemon reads from QEMU, which a guest may have
 * taken over: the shim's status. */

#include <string.h>

#include "fuzz.h"
#include "gmemstatus.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = fuzzFile(data, size);
    const char *fault = NULL;
    g_autofree gmemShimStatus *status = NULL;
    guint64 sequence = 0;

    /* A status that is being changed is waited for, for a second, but the fuzzer must not wait. */
    if (size >= offsetof(gmemShimStatus, hypercalls))
        memcpy(&sequence, data + offsetof(gmemShimStatus, sequence), sizeof(sequence));
    if (sequence % 2 == 0) {
        status = gmemStatusRead(fd, &fault);
        g_assert_true((status == NULL) == (fault != NULL));
        if (status != NULL)
            g_assert_cmpuint(
                size, >=, GMEM_SHIM_STATUS_HEAD_1 + status->backends * sizeof(status->backend[0]));
    }
    g_assert_false(gmemStatusIsSealed(fd));
    close(fd);
    return 0;
}
