/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemargv.c: reads QEMU's command line the way QEMU does: option by option, each with its value.
 *
 * QEMU's rule: a word that does not start with '-' is a disk image; every other one is an option,
 * written with one dash or two, and takes the next word whatever that looks like, unless the option
 * is one of those without a value. A new QEMU may grow options without a value that are not listed
 * here. Then the word behind such an option is taken for its value, which at worst hides our own
 * option from us, and QEMU refuses to start over it: the safe side. */

#include "gmemargv.h"

#include <string.h>

static const char *const gmemArgvFlags[] = {
    /* in the help of 7.2 … 11.1 */
    "h",
    "help",
    "version",
    "mem-prealloc",
    "audio-help",
    "snapshot",
    "usb",
    "nographic",
    "portrait",
    "full-screen",
    "win2k-hack",
    "no-fd-bootchk",
    "no-acpi",
    "no-hpet",
    "singlestep",
    "preconfig",
    "S",
    "s",
    "perfmap",
    "jitdump",
    "enable-kvm",
    "xen-attach",
    "xen-domid-restrict",
    "no-reboot",
    "no-shutdown",
    "daemonize",
    "only-migratable",
    "nodefaults",
    "no-user-config",
    "async-teardown",
    "enable-sync-profile",
    /* of other targets or older versions, some of them accepted without being in any help */
    "alt-grab",
    "ctrl-grab",
    "curses",
    "enable-fips",
    "enable-hax",
    "localtime",
    "no-frame",
    "no-kvm",
    "no-kvm-irqchip",
    "no-kvm-pit",
    "no-kvm-pit-reinjection",
    "no-quit",
    "nodefconfig",
    "old-param",
    "sdl",
    "semihosting",
    "tdf",
    "xen-create",
};

static bool
gmemArgvIsFlag(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(gmemArgvFlags) / sizeof(gmemArgvFlags[0]); i++) {
        if (strcmp(gmemArgvFlags[i], name) == 0)
            return true;
    }
    return false;
}

bool
gmemArgvNext(char *const argv[], size_t *position, gmemArgvOption *option)
{
    const char *word;

    /* argv[0] may itself be missing: execve() allows an empty argv. */
    if (*position == 0) {
        if (argv[0] == NULL)
            return false;
        *position = 1;
    }
    word = argv[*position];
    if (word == NULL)
        return false;

    option->name = NULL;
    option->value = NULL;
    option->index = *position;
    option->count = 1;
    if (word[0] == '-') {
        option->name = word[1] == '-' ? word + 2 : word + 1;
        if (!gmemArgvIsFlag(option->name) && argv[*position + 1] != NULL) {
            option->value = argv[*position + 1];
            option->count = 2;
        }
    }
    *position += option->count;
    return true;
}

size_t
gmemArgvFind(char *const argv[], const char *name, gmemArgvOption *first)
{
    gmemArgvOption option;
    size_t position = 0;
    size_t found = 0;

    while (gmemArgvNext(argv, &position, &option)) {
        if (option.name == NULL || strcmp(option.name, name) != 0)
            continue;
        if (found++ == 0)
            *first = option;
    }
    return found;
}
