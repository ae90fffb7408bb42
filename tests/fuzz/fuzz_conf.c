/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_conf.c: libFuzzer harness for configuration files: gmem.conf, and libvirt's qemu.conf, from
 * which the user that runs QEMU is read. */

#include <stdio.h>

#include "fuzz.h"
#include "gmemhostconf.h"
#include "gmemqemuconf.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) userError = NULL;
    int fd = fuzzFile(data, size);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    gmemQEMUUser user;
    g_auto(gmemHostConf) conf = {0};

    if (gmemHostConfRead(path, &conf, &error) < 0)
        fuzzAssertRefused(error);
    else
        g_assert_no_error(error);
    if (gmemQEMUConfGetUser(path, &user, &userError) < 0)
        fuzzAssertRefused(userError);
    else
        g_assert_no_error(userError);
    close(fd);
    return 0;
}
