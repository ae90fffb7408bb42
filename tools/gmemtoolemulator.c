/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolemulator.c: `virt-gmem emulator`: what a QEMU binary offers, and therefore what supplies
 * guest_memfd. */

#include "config.h"

#include "gmemtool.h"

#include <unistd.h>

#include "gmemcapabilities.h"
#include "gmemi18n.h"
#include "gmemplan.h"
#include "gmemplatform.h"
#include "gmemprobe.h"
#include "gmemvalidate.h"

/* Returns whether the emulator can serve that mode. */
static bool
printMode(const gmemQEMUCaps *caps, gmemMode mode, const char *title)
{
    const gmemPlan plan = {.mode = mode};
    g_autoptr(GError) error = NULL;
    bool can = gmemQEMUValidateEmulator(&plan, caps, &error) == 0;
    const char *how = gmemQEMUCapsGetSupplier(caps, mode) == GMEM_QEMU_SUPPLIER_SHIM
                          ? _("by qemu-gmem.so in it")
                          : _("by QEMU itself");

    printf("%s: %s%s%s\n", title, gmemToolPaint(stdout, can ? GMEM_TOOL_GREEN : GMEM_TOOL_RED),
           can ? how : error->message, gmemToolPaint(stdout, GMEM_TOOL_PLAIN));
    return can;
}

static int
printCaps(const gmemQEMUCaps *caps)
{
    unsigned int version = caps->version;
    bool all = true;
    unsigned int flag;

    printf("%s, %u.%u.%u\n", caps->emulator, version / 1000000, version / 1000 % 1000,
           version % 1000);
    printf(_("offers:"));
    for (flag = 0; flag < GMEM_QEMU_CAPS_LAST; flag++) {
        if (gmemQEMUCapsGet(caps, flag))
            printf(" %s", gmemQEMUCapsFlagToString(flag));
    }
    printf("\n");
    all = printMode(caps, GMEM_MODE_FULLY_SHARED, _("fully shared memory"));
    all = printMode(caps, GMEM_MODE_CONVERTIBLE, _("convertible memory")) && all;
    return all ? 0 : GMEM_TOOL_EXIT_FAILED;
}

int
gmemToolEmulator(int argc, char **argv)
{
    static const GOptionEntry none[] = {{NULL, 0, 0, 0, NULL, NULL, NULL}};
    g_autoptr(gmemToolFiles) files = gmemToolFilesFind();
    gmemQEMUUser user = {.uid = geteuid(), .gid = getegid()};
    g_autoptr(gmemQEMUCaps) caps = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;

    if (!gmemToolParse(none, &argc, &argv, _("[PATH]"),
                       _("Asks a QEMU binary what it offers for guest_memfd, and says who supplies "
                         "it in each mode.")))
        return GMEM_TOOL_EXIT_USAGE;
    if (argc > 2) {
        gmemToolError(_("unexpected argument '%1$s'"), argv[2]);
        return GMEM_TOOL_EXIT_USAGE;
    }
    path = argc == 2 ? g_canonicalize_filename(argv[1], NULL)
                     : g_find_program_in_path(GMEM_PLATFORM_EMULATOR);
    if (path == NULL) {
        gmemToolError(_("%1$s is not in PATH; install it, or name another emulator"),
                      GMEM_PLATFORM_EMULATOR);
        return GMEM_TOOL_EXIT_FAILED;
    }
    if (geteuid() == 0 && gmemQEMUConfGetUser(GMEM_QEMU_CONF_FILE, &user, &error) < 0) {
        gmemToolError("%s", error->message);
        return GMEM_TOOL_EXIT_FAILED;
    }
    gmemProbeSetShim(files->shim);
    if ((caps = gmemProbe(path, &user, GMEM_PROBE_TIMEOUT_MS, &error)) == NULL) {
        gmemToolError("%s: %s", path, error->message);
        return GMEM_TOOL_EXIT_FAILED;
    }
    return printCaps(caps);
}
