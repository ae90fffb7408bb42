/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_argv.c: gmemargv.c compared with QEMU's own options. */

#include "config.h"

#include <glib.h>
#include <string.h>

#include "gmemargv.h"

#define QEMU "/usr/bin/qemu-system-x86_64"

/* The column in which the help's descriptions begin. */
#define HELP_COLUMN 16

static void
checkWalk(const char *const *words, const char *expected)
{
    g_autoptr(GString) got = g_string_new(NULL);
    gmemArgvOption option;
    size_t position = 0;

    while (gmemArgvNext((char *const *)words, &position, &option)) {
        g_string_append_printf(got, "%s=%s@%zu+%zu ", option.name != NULL ? option.name : "(disk)",
                               option.value != NULL ? option.value : "(none)", option.index,
                               option.count);
    }
    g_assert_cmpstr(got->str, ==, expected);
}

static void
testWalk(void)
{
    checkWalk((const char *[]){"qemu", NULL}, "");
    checkWalk((const char *[]){NULL}, "");
    checkWalk((const char *[]){"qemu", "-S", "-m", "1G", "--nodefaults", NULL},
              "S=(none)@1+1 m=1G@2+2 nodefaults=(none)@4+1 ");
    checkWalk((const char *[]){"qemu", "disk.img", "-S", NULL}, "(disk)=(none)@1+1 S=(none)@2+1 ");
    checkWalk((const char *[]){"qemu", "-append", "-x-libvirt-gmem", "-S", NULL},
              "append=-x-libvirt-gmem@1+2 S=(none)@3+1 ");
    checkWalk((const char *[]){"qemu", "-S", "-x-libvirt-gmem", "-S", NULL},
              "S=(none)@1+1 x-libvirt-gmem=-S@2+2 ");
    checkWalk((const char *[]){"qemu", "-m", NULL}, "m=(none)@1+1 ");
    checkWalk((const char *[]){"qemu", "-", "-S", NULL}, "=-S@1+2 ");
    checkWalk((const char *[]){"qemu", "--", "x", "", NULL}, "=x@1+2 (disk)=(none)@3+1 ");
    checkWalk((const char *[]){"qemu", "---S", "x", NULL}, "-S=x@1+2 ");
}

static void
testFind(void)
{
    const char *const words[] = {
        "qemu", "-append", "-x-libvirt-gmem", "-x-libvirt-gmem", "1", "--x-libvirt-gmem",
        "2",    NULL};
    gmemArgvOption first;

    g_assert_cmpuint(gmemArgvFind((char *const *)words, "x-libvirt-gmem", &first), ==, 2);
    g_assert_cmpuint(first.index, ==, 3);
    g_assert_cmpstr(first.value, ==, "1");
    g_assert_cmpuint(gmemArgvFind((char *const *)words, "append", &first), ==, 1);
    g_assert_cmpuint(gmemArgvFind((char *const *)words, "machine", &first), ==, 0);
}

static bool
takesValue(const char *name)
{
    g_autofree char *dashed = g_strconcat("-", name, NULL);
    const char *const words[] = {"qemu", dashed, "word", NULL};
    gmemArgvOption option;
    size_t position = 0;

    g_assert_true(gmemArgvNext((char *const *)words, &position, &option));
    return option.count == 2;
}

static bool
isAmbiguous(const char *name)
{
    g_autofree char *dashed = g_strconcat("-", name, NULL);
    const char *const words[] = {"qemu", dashed, "-word", NULL};
    gmemArgvOption option;
    size_t position = 0;

    g_assert_true(gmemArgvNext((char *const *)words, &position, &option));
    return gmemArgvIsAmbiguous(&option);
}

static void
testAmbiguous(void)
{
    const gmemArgvOption word = {"novel", "word", 1, 2};

    g_assert_true(isAmbiguous("novel"));
    g_assert_false(isAmbiguous("append"));
    g_assert_false(isAmbiguous("x-libvirt-gmem"));
    g_assert_false(isAmbiguous("S"));
    g_assert_false(gmemArgvIsAmbiguous(&word));
}

/* A line of the help: "-name arg   what it does", or "-name   what it does". The argument, if any,
 * is between the name and the column of descriptions; a name that is too long for that is followed
 * by two or more spaces if there is a description. */
static bool
helpHasValue(const char *line, size_t length)
{
    const char *rest = line + length;
    size_t spaces = strspn(rest, " ");

    if (rest[spaces] == '\0' || g_str_has_prefix(rest, " or -"))
        return false;
    return length < HELP_COLUMN ? length + spaces < HELP_COLUMN : spaces < 2;
}

static void
testHelp(void)
{
    g_autofree char *help = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) lines = NULL;
    char *argv[] = {(char[]){QEMU}, (char[]){"-help"}, NULL};
    size_t options = 0, flags = 0, i;

    if (!g_file_test(QEMU, G_FILE_TEST_IS_EXECUTABLE)) {
        g_test_skip("no " QEMU);
        return;
    }
    g_spawn_sync("/", argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &help, NULL, NULL,
                 &error);
    g_assert_no_error(error);
    lines = g_strsplit(help, "\n", -1);
    for (i = 0; lines[i] != NULL; i++) {
        size_t length = strcspn(lines[i], " /[");
        g_autofree char *name = NULL;
        bool expected;

        if (lines[i][0] != '-')
            continue;
        /* "-M   as -machine", in QEMU 11.1: this line says nothing about the argument. */
        if (strstr(lines[i], "  as -") != NULL)
            continue;
        name = g_strndup(lines[i], length);
        expected = helpHasValue(lines[i], length);
        options++;
        if (!expected)
            flags++;
        if (takesValue(g_str_has_prefix(name, "--") ? name + 2 : name + 1) != expected)
            g_error("%s: the help says it takes %s value", name, expected ? "a" : "no");
        if (isAmbiguous(g_str_has_prefix(name, "--") ? name + 2 : name + 1))
            g_error("%s is not listed among the options with a value", name);
    }
    g_test_message("%zu lines of help, %zu options without a value", options, flags);
    g_assert_cmpuint(options, >, 100);
    g_assert_cmpuint(flags, >, 20);
}

/* What a wrapper must leave as it is. */
static void
testMakesMemory(void)
{
    static const struct {
        gmemArgvOption option;
        bool makes;
    } cases[] = {
        {{.name = "set", .value = "device.x.y=z"}, true},
        {{.name = "readconfig", .value = "/x"}, true},
        {{.name = "mem-path", .value = "/x"}, true},
        {{.name = "object", .value = "memory-backend-ram,id=x,size=1G"}, true},
        {{.name = "object", .value = "{\"qom-type\":\"m\\u0065mory-backend-ram\"}"}, true},
        {{.name = "object", .value = "rng-random,id=x"}, false},
        {{.name = "machine", .value = "pc,memory-backend=x"}, true},
        {{.name = "M", .value = "pc,memory_backend=x"}, true},
        {{.name = "machine", .value = "pc"}, false},
        {{.name = "numa", .value = "node,memdev=x"}, true},
        {{.name = "numa", .value = "dist,src=0,dst=1,val=20"}, false},
        {{.name = "device", .value = "pc-dimm,id=x"}, true},
        {{.name = "device", .value = "virtio-mem-pci,id=x"}, true},
        {{.name = "device", .value = "virtio-pmem-pci,id=x"}, true},
        {{.name = "device", .value = "ivshmem-plain,id=x"}, true},
        {{.name = "device", .value = "virtio-net-pci,id=x"}, false},
        {{.name = "device", .value = NULL}, false},
        {{.name = "append", .value = "memory-backend-ram"}, false},
        {{.name = NULL, .value = NULL}, false},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%zu", i);
        g_assert_cmpint(gmemArgvMakesMemory(&cases[i].option), ==, cases[i].makes);
    }
}

/* FNV-1a of name and value, each with its end: the shim may be of another version. */
static void
testHash(void)
{
    static const struct {
        gmemArgvOption option;
        uint64_t hash;
    } cases[] = {
        {{.name = "m", .value = "1G"}, 0x483fcfa936b94c7cULL},
        {{.name = "snapshot", .value = NULL}, 0xf2167cd6ed12a7b5ULL},
        {{.name = "ab", .value = "c"}, 0xad22872f536e4705ULL},
        {{.name = "a", .value = "bc"}, 0x401801fc84f3ca79ULL},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmphex(gmemArgvHash(&cases[i].option), ==, cases[i].hash);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/argv/walk", testWalk);
    g_test_add_func("/argv/find", testFind);
    g_test_add_func("/argv/ambiguous", testAmbiguous);
    g_test_add_func("/argv/makes-memory", testMakesMemory);
    g_test_add_func("/argv/hash", testHash);
    g_test_add_func("/argv/help-of-installed-qemu", testHelp);
    return g_test_run();
}
