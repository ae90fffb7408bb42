/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemargv.c: reads QEMU's command line as QEMU does: option by option, each with its value.
 *
 * QEMU's rule is that a word which does not start with '-' is a disk image. Every other word is an
 * option, written with one dash or two, and uses the next word whatever that looks like, unless the
 * option is one of those without a value. A new QEMU may have options without a value that are not
 * listed here. The word after such an option is then taken for its value; callers to whom this
 * matters use gmemArgvIsAmbiguous(). If our own option is hidden in this way, QEMU refuses to
 * start. */

#include "gmemargv.h"

#include <string.h>

/* By their first letters: in the help of 7.2 … 11.1, then of other targets or older versions, some
 * of them accepted without being in any help. */
static const char *const gmemArgvFlags['x' + 1][16] = {
    ['S'] = {"S"},
    ['a'] = {"audio-help", "async-teardown", "alt-grab"},
    ['c'] = {"ctrl-grab", "curses"},
    ['d'] = {"daemonize"},
    ['e'] = {"enable-kvm", "enable-sync-profile", "enable-fips", "enable-hax"},
    ['f'] = {"full-screen"},
    ['h'] = {"h", "help"},
    ['j'] = {"jitdump"},
    ['l'] = {"localtime"},
    ['m'] = {"mem-prealloc"},
    ['n'] = {"nographic", "no-fd-bootchk", "no-acpi", "no-hpet", "no-reboot", "no-shutdown",
             "nodefaults", "no-user-config", "no-frame", "no-kvm", "no-kvm-irqchip", "no-kvm-pit",
             "no-kvm-pit-reinjection", "no-quit", "nodefconfig"},
    ['o'] = {"only-migratable", "old-param"},
    ['p'] = {"portrait", "preconfig", "perfmap"},
    ['s'] = {"snapshot", "singlestep", "s", "sdl", "semihosting"},
    ['t'] = {"tdf"},
    ['u'] = {"usb"},
    ['v'] = {"version"},
    ['w'] = {"win2k-hack"},
    ['x'] = {"xen-attach", "xen-domid-restrict", "xen-create"},
};

/* Options with a value, in the help of 7.2 … 11.1, and our own. */
static const char *const gmemArgvValued[] = {
    "D",
    "L",
    "M",
    "accel",
    "acpitable",
    "action",
    "add-fd",
    "append",
    "audio",
    "audiodev",
    "bios",
    "blockdev",
    "boot",
    "cdrom",
    "chardev",
    "chroot",
    "compat",
    "cpu",
    "d",
    "debugcon",
    "device",
    "dfilter",
    "display",
    "drive",
    "dtb",
    "dump-vmstate",
    "echr",
    "fda",
    "fdb",
    "fsdev",
    "fw_cfg",
    "gdb",
    "global",
    "hda",
    "hdb",
    "hdc",
    "hdd",
    "icount",
    "incoming",
    "initrd",
    "iscsi",
    "k",
    "kernel",
    "loadvm",
    "m",
    "machine",
    "mem-path",
    "mon",
    "monitor",
    "msg",
    "mtdblock",
    "name",
    "net",
    "netdev",
    "nic",
    "numa",
    "object",
    "option-rom",
    "overcommit",
    "parallel",
    "pflash",
    "pidfile",
    "plugin",
    "prom-env",
    "qmp",
    "qmp-pretty",
    "readconfig",
    "realtime",
    "rotate",
    "rtc",
    "run-with",
    "runas",
    "sandbox",
    "sd",
    "seed",
    "semihosting-config",
    "serial",
    "set",
    "shim",
    "smbios",
    "smp",
    "spice",
    "tpmdev",
    "trace",
    "usbdevice",
    "uuid",
    "vga",
    "virtfs",
    "vnc",
    "watchdog",
    "watchdog-action",
    "writeconfig",
    "x-libvirt-gmem",
    "xen-domid",
};

static bool
gmemArgvIsFlag(const char *name)
{
    const unsigned char letter = (unsigned char)name[0];
    const char *const *flag;

    if (letter >= sizeof(gmemArgvFlags) / sizeof(gmemArgvFlags[0]))
        return false;
    for (flag = gmemArgvFlags[letter]; *flag != NULL; flag++) {
        /* Most differ in the second letter, which is looked at without a call. */
        if ((*flag)[1] == name[1] && strcmp(*flag, name) == 0)
            return true;
    }
    return false;
}

bool
gmemArgvNext(char *const argv[], size_t *position, gmemArgvOption *option)
{
    const char *word;

    /* argv[0] itself can be missing: execve() allows an empty argv. */
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

bool
gmemArgvIsAmbiguous(const gmemArgvOption *option)
{
    size_t i;

    if (option->name == NULL || option->value == NULL || option->value[0] != '-')
        return false;
    for (i = 0; i < sizeof(gmemArgvValued) / sizeof(gmemArgvValued[0]); i++) {
        if (strcmp(gmemArgvValued[i], option->name) == 0)
            return false;
    }
    return true;
}

/* Whether any word is -name or --name, be it an option or the value of one. */
static bool
gmemArgvHasWord(char *const argv[], const char *name)
{
    size_t i;

    for (i = 0; argv[i] != NULL; i++) {
        const char *word = argv[i];

        if (word[0] != '-')
            continue;
        word += word[1] == '-' ? 2 : 1;
        if (word[0] == name[0] && strcmp(word, name) == 0)
            return true;
    }
    return false;
}

size_t
gmemArgvFind(char *const argv[], const char *name, gmemArgvOption *first)
{
    gmemArgvOption option;
    size_t position = 0;
    size_t found = 0;

    /* What every program that libvirt runs is asked for costs next to nothing if it is not there.
     */
    if (!gmemArgvHasWord(argv, name))
        return 0;
    while (gmemArgvNext(argv, &position, &option)) {
        if (option.name == NULL || strcmp(option.name, name) != 0)
            continue;
        if (found++ == 0)
            *first = option;
    }
    return found;
}

bool
gmemArgvMakesMemory(const gmemArgvOption *option)
{
    static const char *const always[] = {"set", "readconfig", "mem-path"};
    static const char *const some[] = {"object", "device", "machine", "M", "numa"};
    /* Words in the values of such options. QEMU also accepts '_' in keys of the machine. An escape
     * in JSON could stand for any of them. */
    static const char *const words[] = {"memory-backend", "memory_backend", "memdev",  "dimm",
                                        "virtio-mem",     "pmem",           "ivshmem", "\\u"};
    bool named = false;
    size_t i;

    for (i = 0; option->name != NULL && i < sizeof(always) / sizeof(always[0]); i++) {
        if (strcmp(option->name, always[i]) == 0)
            return true;
    }
    for (i = 0; option->name != NULL && i < sizeof(some) / sizeof(some[0]); i++)
        named = named || strcmp(option->name, some[i]) == 0;
    for (i = 0; named && option->value != NULL && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strstr(option->value, words[i]) != NULL)
            return true;
    }
    return false;
}

uint64_t
gmemArgvHash(const gmemArgvOption *option)
{
    const char *const texts[] = {option->name, option->value};
    uint64_t hash = 0xcbf29ce484222325ULL;
    size_t i;

    for (i = 0; i < 2; i++) {
        const char *text = texts[i] != NULL ? texts[i] : "";

        do {
            hash = (hash ^ (unsigned char)*text) * 0x100000001b3ULL;
        } while (*text++ != '\0');
    }
    return hash;
}
