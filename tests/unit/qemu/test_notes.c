/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_notes.c: what is logged from the XML and the command line of a domain; and sizes compared
 * with the huge pages that a command line really gets. */

#include "config.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mount.h>

#include "gmemcommand.h"
#include "gmemerror.h"
#include "gmemlower.h"
#include "gmemnotes.h"
#include "gmemvalidate.h"

#define CONVERTIBLE                                                                                \
    "{\"version\":1,\"mode\":\"convertible\",\"launchSecurity\":\"sw-protected\",\"added\":[]}"
#define UNSTABLE                                                                                   \
    "the kernel's interface to software-protected VMs is not stable: they are for development "    \
    "and testing"
#define COST(ram, both)                                                                            \
    "guest RAM of " ram " KiB can take up to " both                                                \
    " KiB of host memory: a shared and a private half"
#define COST_HUGE(ram, both, huge)                                                                 \
    "guest RAM of " ram " KiB can take up to " both " KiB of host memory: a shared half, " huge    \
    " KiB of it on huge pages, and a private half in pages of 4 KiB"
#define REACHES(what) what " reaches only those pages that the guest shares"

#define NOTES_MAX 4

static void
assertNotes(const gmemPlan *plan, const char *const *expected)
{
    g_auto(GStrv) notes = gmemNotesFormat(plan);
    g_autofree char *got = g_strjoinv("\n", notes);
    g_autofree char *wanted = g_strjoinv("\n", (char **)expected);

    g_assert_cmpstr(got, ==, wanted);
}

static void
testXML(void)
{
    static const struct {
        const char *rest;
        const char *devices;
        const char *notes[NOTES_MAX + 1];
    } cases[] = {
        {"<memoryBacking><private/></memoryBacking>", "<interface type='vhostuser'/>", {NULL}},
        {"<launchSecurity type='sev-snp'/><memoryBacking><private/></memoryBacking>", "", {NULL}},
        {"<launchSecurity type='sw-protected'/>", "", {UNSTABLE, COST("1048576", "2097152"), NULL}},
        {"<launchSecurity type='sw-protected'/><cpu><numa><cell memory='x'/></numa></cpu>",
         "",
         {UNSTABLE, NULL}},
        {"<launchSecurity type='sw-protected'/><memoryBacking><hugepages/></memoryBacking>",
         "",
         {UNSTABLE, COST_HUGE("1048576", "2097152", "1048576"), NULL}},
        {"<launchSecurity type='sw-protected'/><memoryBacking><hugepages><page size='2048' "
         "nodeset='1'/></hugepages></memoryBacking><cpu><numa><cell memory='2048'/><cell "
         "memory='4096'/></numa></cpu>",
         "<memory model='dimm'><target><size>6144</size><node>1</node></target></memory>"
         "<memory model='dimm'><target><size>8192</size><node>0</node></target></memory>"
         "<memory model='nvdimm'><target><size>16384</size><node>1</node></target></memory>",
         {UNSTABLE, COST_HUGE("20480", "40960", "10240"), NULL}},
        {"<launchSecurity type='sw-protected'/>",
         "<filesystem type='mount'><driver type='virtiofs'/></filesystem>",
         {UNSTABLE, COST("1048576", "2097152"),
          REACHES("<filesystem> with <driver type='virtiofs'/>"), NULL}},
        {"<launchSecurity type='sw-protected'/>",
         "<filesystem type='mount'/><interface type='user'/><interface type='vhostuser'/>",
         {UNSTABLE, COST("1048576", "2097152"), REACHES("<interface type='vhostuser'>"), NULL}},
        {"<launchSecurity type='sw-protected'/>",
         "<disk type='file'/><disk type='vhostuser'/>",
         {UNSTABLE, COST("1048576", "2097152"), REACHES("<disk type='vhostuser'>"), NULL}},
        {"<launchSecurity type='sw-protected'/>",
         "<interface type='vdpa'/>",
         {UNSTABLE, COST("1048576", "2097152"), REACHES("<interface type='vdpa'>"), NULL}},
        {"<launchSecurity type='sw-protected'/>",
         "<video><driver name='vhostuser'/></video>",
         {UNSTABLE, COST("1048576", "2097152"), REACHES("<video> with <driver name='vhostuser'/>"),
          NULL}},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *xml = g_strdup_printf(
            "<domain type='kvm'><name>a</name><memory unit='GiB'>1</memory><os><type>hvm</type>"
            "</os><devices>%s</devices>%s</domain>",
            cases[i].devices, cases[i].rest);
        g_autoptr(gmemPlan) plan = NULL;
        g_autoptr(GError) error = NULL;
        g_autofree char *lowered = gmemLower(xml, false, &plan, &error);

        g_test_message("%s", xml);
        g_assert_no_error(error);
        g_assert_nonnull(lowered);
        assertNotes(plan, cases[i].notes);
    }
}

static gmemCommand *
build(const char *backend, const char *carrier, const char *option, const char *value)
{
    const char *const argv[] = {"qemu",
                                "-machine",
                                "q35,memory-backend=pc.ram,kernel_irqchip=split",
                                "-accel",
                                "kvm",
                                "-object",
                                backend,
                                "-x-libvirt-gmem",
                                carrier,
                                option,
                                value,
                                NULL};
    gmemQEMUCaps caps = {.emulator = (char[]){"/q"},
                         .flags = G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_MEMFD};
    g_autoptr(GError) error = NULL;
    gmemCommand *command = gmemCommandBuild((char *const *)argv, &caps, false, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(command->nbackends, ==, 1);
    g_assert_cmpstr(command->ram[0].name, ==, "'pc.ram' (<memory>)");
    return command;
}

#define MEMFD(rest)                                                                                \
    "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,\"size\":"            \
    "67108864" rest "}"

static void
testCommandLine(void)
{
    static const struct {
        const char *option;
        const char *value;
        const char *found;
    } cases[] = {
        {"-device", "{\"driver\":\"virtio-net-pci\",\"netdev\":\"n\"}", NULL},
        {"-device", "{\"driver\":\"vhost-user-fs-pci\",\"chardev\":\"c\"}",
         "-device vhost-user-fs-pci"},
        {"-device", "vhost-user-blk-pci,chardev=c", "-device vhost-user-blk-pci"},
        {"-device", "{\"driver\":\"vhost-user-gpu\",\"chardev\":\"c\"}", "-device vhost-user-gpu"},
        {"-device", "vhost-vsock-pci,guest-cid=3", NULL},
        {"-device", "virtio-net-pci,id=vhost-user-1", NULL},
        {"-netdev", "{\"type\":\"vhost-user\",\"chardev\":\"c\",\"id\":\"n\"}",
         "-netdev vhost-user"},
        {"-netdev", "vhost-vdpa,vhostdev=/dev/vhost-vdpa-0,id=n", "-netdev vhost-vdpa"},
        {"-netdev", "tap,id=vhost-user", NULL},
        {"-chardev", "socket,id=vhost-user-fs,path=/x", NULL},
        {"-object", "cryptodev-vhost-user,id=c,chardev=x", "-object cryptodev-vhost-user"},
        {"-object", "cryptodev-backend-builtin,id=c", NULL},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(gmemCommand) command = NULL;

        g_test_message("%s %s", cases[i].option, cases[i].value);
        command = build(MEMFD(""), CONVERTIBLE, cases[i].option, cases[i].value);
        g_assert_cmpstr(command->sharedOnly, ==, cases[i].found);
    }
}

static void
testPages(void)
{
    static const struct {
        const char *backend;
        unsigned long long huge;
        const char *message;
    } cases[] = {
        {MEMFD(""), 0, NULL},
        {MEMFD(",\"hugetlb\":true,\"hugetlbsize\":2097152"), 64 << 20, NULL},
        {MEMFD(",\"hugetlb\":true"), 64 << 20, NULL},
        {MEMFD(",\"hugetlb\":false,\"hugetlbsize\":1073741824"), 0, NULL},
        {MEMFD(",\"hugetlb\":true,\"hugetlbsize\":1073741824"), 0,
         "memory backend 'pc.ram' (<memory>) has a size of 67108864 bytes, which is not a multiple "
         "of "
         "its huge "
         "pages of 1073741824 bytes"},
        /* A file on an ordinary file system. */
        {"{\"qom-type\":\"memory-backend-file\",\"id\":\"pc.ram\",\"mem-path\":\"/\","
         "\"size\":67108864}",
         0, NULL},
        {"{\"qom-type\":\"memory-backend-file\",\"id\":\"pc.ram\",\"mem-path\":\"/nowhere\","
         "\"size\":67108864}",
         0, NULL},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(gmemCommand) command = build(cases[i].backend, CONVERTIBLE, NULL, NULL);
        g_autoptr(GError) error = NULL;
        unsigned long long huge = 1;
        int rc = gmemQEMUValidatePages(command, &huge, &error);

        g_test_message("%s", cases[i].backend);
        g_assert_cmpint(rc, ==, cases[i].message != NULL ? -1 : 0);
        if (cases[i].message != NULL) {
            g_assert_error(error, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
            g_assert_cmpstr(error->message, ==, cases[i].message);
        } else {
            g_assert_cmpuint(huge, ==, cases[i].huge);
        }
    }
}

/* On a mount of huge pages; no page is taken. */
static void
testMount(void)
{
    g_autofree char *directory = g_dir_make_tmp("gmem-huge-XXXXXX", NULL);
    g_autofree char *backend =
        g_strdup_printf("{\"qom-type\":\"memory-backend-file\",\"id\":\"pc.ram\",\"mem-path\":"
                        "\"%s\",\"size\":69206016}",
                        directory);
    g_autofree char *odd =
        g_strdup_printf("{\"qom-type\":\"memory-backend-file\",\"id\":\"pc.ram\",\"mem-path\":"
                        "\"%s\",\"size\":68157440}",
                        directory);
    g_autoptr(gmemCommand) command = build(backend, CONVERTIBLE, NULL, NULL);
    g_autoptr(gmemCommand) oddCommand = build(odd, CONVERTIBLE, NULL, NULL);
    g_autoptr(GError) error = NULL;
    unsigned long long huge = 0;

    if (mount("none", directory, "hugetlbfs", 0, "pagesize=2M") < 0) {
        g_rmdir(directory);
        g_test_skip("huge pages cannot be mounted here");
        return;
    }
    g_assert_cmpint(gmemQEMUValidatePages(command, &huge, &error), ==, 0);
    g_assert_no_error(error);
    g_assert_cmpuint(huge, ==, 69206016);
    g_assert_cmpint(gmemQEMUValidatePages(oddCommand, &huge, &error), ==, -1);
    umount(directory);
    g_rmdir(directory);
    g_assert_cmpstr(error->message, ==,
                    "memory backend 'pc.ram' (<memory>) has a size of 68157440 bytes, which is not "
                    "a multiple of "
                    "its huge pages of 2097152 bytes");
}

int
main(int argc, char **argv)
{
    g_setenv("LC_ALL", "C", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/notes/xml", testXML);
    g_test_add_func("/notes/command-line", testCommandLine);
    g_test_add_func("/notes/pages", testPages);
    g_test_add_func("/notes/mount", testMount);
    return g_test_run();
}
