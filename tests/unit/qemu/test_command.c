/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_command.c: properties of the command line that golden files do not show: options in
 * both notations, options that override each other, and each refusal with its code and message.
 * What real libvirt writes is in ../../qemuxml2argvdata. */

#include "config.h"

#include <glib.h>
#include <string.h>

#include "gmemcommand.h"
#include "gmemerror.h"

#define FLAG(flag) (G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_##flag)

#define CAPS_SHIM FLAG(MEMFD)
#define CAPS_OBJECT (FLAG(MEMFD) | FLAG(SW_PROTECTED_VM) | FLAG(BACKEND_PRIVATE))
#define CAPS_OBJECT_ONLY (FLAG(MEMFD) | FLAG(SW_PROTECTED_VM))
#define CAPS_PROPERTY (FLAG(MEMFD) | FLAG(MEMFD_GUEST_MEMFD))
#define CAPS_X_PROPERTY (FLAG(MEMFD) | FLAG(MEMFD_X_GUEST_MEMFD))
#define CAPS_BOTH (CAPS_PROPERTY | FLAG(MEMFD_X_GUEST_MEMFD))

#define OPTION "-x-libvirt-gmem"
#define SHARED "{\"version\":1,\"mode\":\"fully-shared\",\"added\":[]}"
#define CONVERTIBLE                                                                                \
    "{\"version\":1,\"mode\":\"convertible\",\"launchSecurity\":\"sw-protected\",\"added\":[]}"
#define NO_PREALLOC                                                                                \
    "{\"version\":1,\"mode\":\"convertible\",\"launchSecurity\":\"sw-protected\",\"added\":["      \
    "{\"path\":\"memoryBacking/allocation/@mode\",\"value\":\"immediate\"}]}"
#define NONE "{\"version\":1,\"mode\":\"none\",\"added\":[]}"

#define MACHINE "-machine", "q35,usb=off,memory-backend=pc.ram"
#define SPLIT "-machine", "q35,memory-backend=pc.ram,kernel_irqchip=split"
#define KVM "-accel", "kvm"
#define MEMFD(id, size)                                                                            \
    "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"" id "\",\"share\":true,\"size\":" size "}"
#define RAM(id, size) "{\"qom-type\":\"memory-backend-ram\",\"id\":\"" id "\",\"size\":" size "}"
#define HUGE(rest)                                                                                 \
    "{\"qom-type\":\"memory-backend-file\",\"id\":\"pc.ram\",\"mem-path\":\"/"                     \
    "x\",\"prealloc\":" rest
#define MIB64 "67108864"

#define PREALLOC_FILE(id, prealloc)                                                                \
    "{\"qom-type\":\"memory-backend-file\",\"id\":\"" id                                           \
    "\",\"mem-path\":\"/x\",\"prealloc\":" prealloc ",\"size\":4096}"

/* What most tests have in front of what they are about. */
#define HEAD "qemu", MACHINE, KVM, "-m", "64", "-object", MEMFD("pc.ram", MIB64)

#define CONVERTIBLE_HEAD "qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION, CONVERTIBLE
#define LOOKING_GLASS                                                                              \
    "{'qom-type':'memory-backend-file','id':'looking-glass','mem-path':'/dev/kvmfr0',"             \
    "'size':134217728,'share':true}"

#define WORDS_MAX 40

typedef struct {
    const char *name;
    guint64 flags;
    const char *argv[WORDS_MAX];
    const char *expected[WORDS_MAX];
    const char *object; /* what makes it guest_memfd: "shim" where QEMU cannot */
    size_t backends;
    unsigned long long ram;
} Case;

#define ONE(object) object, 1, 64 << 20

#define SHIM_64 "version=1,mode=fully-shared,backends=1,ram=67108864"
#define SHIM_CONVERTIBLE_64                                                                        \
    "version=1,mode=convertible,backends=1,ram=67108864,start=shared,backend=pc.ram:67108864"
#define LETTERS_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define NO_S3 "-global", "ICH9-LPC.disable_s3=1"

/* The user's own arguments that are none of our business. */
#define HARMLESS                                                                                   \
    "-set", "device.r0.max-bytes=1024", "-set", "drive.d.cache=none", "-set",                      \
        "netdev.n.vhost=off", "-global", "ICH9-LPC.disable_s3=0", "-global",                       \
        "driver=virtio-net-pci,property=romfile,value=", "-overcommit", "mem-lock=on",             \
        "-blockdev", "nvme,node-name=n", "-incoming", "defer", "-novel", "word", "-loadvm", "x"
#define HARMLESS_CONVERTIBLE                                                                       \
    "-global", "ICH9-LPC.disable_s3=0x1", "-overcommit", "mem-lock=on", "-overcommit",             \
        "mem-lock=off", "-machine", "smm=off", "-blockdev", "file,node-name=nvme", "-drive",       \
        "file=/nvme://x", "-realtime", "mlock=off"

static const Case cases[] = {
    {
        "shim",
        CAPS_SHIM,
        {HEAD, OPTION, SHARED, "-S"},
        {HEAD, OPTION, SHIM_64, "-S"},
        ONE("shim"),
    },
    {
        "property",
        CAPS_PROPERTY,
        {HEAD, "-S", OPTION, SHARED},
        {"qemu", MACHINE, KVM, "-m", "64", "-object",
         "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,"
         "\"size\":67108864,\"guest-memfd\":true}",
         "-S"},
        ONE("guest-memfd"),
    },
    {
        "property-on-off-auto",
        CAPS_PROPERTY | FLAG(MEMFD_GUEST_MEMFD_ENUM),
        {HEAD, OPTION, SHARED},
        {"qemu", MACHINE, KVM, "-m", "64", "-object",
         "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,"
         "\"size\":67108864,\"guest-memfd\":\"on\"}"},
        ONE("guest-memfd"),
    },
    {
        "x-property",
        CAPS_X_PROPERTY,
        {HEAD, OPTION, SHARED},
        {"qemu", MACHINE, KVM, "-m", "64", "-object",
         "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,"
         "\"size\":67108864,\"x-guest-memfd\":true}"},
        ONE("x-guest-memfd"),
    },
    {
        "stable-name-preferred",
        CAPS_BOTH,
        {HEAD, OPTION, SHARED},
        {"qemu", MACHINE, KVM, "-m", "64", "-object",
         "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,"
         "\"size\":67108864,\"guest-memfd\":true}"},
        ONE("guest-memfd"),
    },
    {
        "object",
        CAPS_OBJECT,
        {"qemu", MACHINE, KVM, "-object", RAM("pc.ram", MIB64), "-S", OPTION, CONVERTIBLE,
         "-sandbox", "on"},
        {"qemu", "-machine",
         "q35,usb=off,memory-backend=pc.ram,kernel_irqchip=split,"
         "confidential-guest-support=lsec0",
         KVM, "-object",
         "{\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\",\"size\":67108864,"
         "\"private\":true}",
         "-S", "-object", "{\"qom-type\":\"sw-protected-vm\",\"id\":\"lsec0\"}", "-sandbox", "on"},
        ONE("sw-protected-vm"),
    },
    {
        "object-without-property",
        CAPS_OBJECT_ONLY,
        {"qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION, CONVERTIBLE, "-sandbox",
         "on"},
        {"qemu", "-machine",
         "q35,memory-backend=pc.ram,kernel_irqchip=split,confidential-guest-support=lsec0", KVM,
         "-object", RAM("pc.ram", MIB64), "-object",
         "{\"qom-type\":\"sw-protected-vm\",\"id\":\"lsec0\"}", "-sandbox", "on"},
        ONE("sw-protected-vm"),
    },
    {
        "shim-convertible",
        CAPS_SHIM,
        {"qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION, CONVERTIBLE},
        {"qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION, SHIM_CONVERTIBLE_64, NO_S3},
        ONE("shim"),
    },
    {
        /* more than one backend, in the order of the command line; what the shim requires is said
         * whether or not libvirt has said it: its property may be another machine's */
        "shim-convertible-list",
        CAPS_SHIM,
        {"qemu",
         "-machine",
         "pc,kernel_irqchip=split",
         KVM,
         "-global",
         "PIIX4_PM.disable_s3=1",
         "-object",
         RAM("ram-node1", MIB64),
         "-object",
         "memory-backend-file,id=nv,mem-path=/x,size=1G",
         "-object",
         RAM("ram-node0", MIB64),
         "-numa",
         "node,nodeid=0,memdev=ram-node0",
         "-numa",
         "node,nodeid=1,memdev=ram-node1",
         "-device",
         "nvdimm,memdev=nv",
         OPTION,
         CONVERTIBLE},
        {"qemu",
         "-machine",
         "pc,kernel_irqchip=split",
         KVM,
         "-global",
         "PIIX4_PM.disable_s3=1",
         "-object",
         RAM("ram-node1", MIB64),
         "-object",
         "memory-backend-file,id=nv,mem-path=/x,size=1G",
         "-object",
         RAM("ram-node0", MIB64),
         "-numa",
         "node,nodeid=0,memdev=ram-node0",
         "-numa",
         "node,nodeid=1,memdev=ram-node1",
         "-device",
         "nvdimm,memdev=nv",
         OPTION,
         "version=1,mode=convertible,backends=2,ram=134217728,start=shared,"
         "backend=ram-node1:67108864,other=nv:1073741824,backend=ram-node0:67108864",
         "-global",
         "PIIX4_PM.disable_s3=1"},
        "shim",
        2,
        128 << 20,
    },
    {
        /* the same wish, but a QEMU that has only the other mode's property */
        "property-does-not-help-convertible",
        CAPS_PROPERTY,
        {"qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION, CONVERTIBLE},
        {"qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION, SHIM_CONVERTIBLE_64, NO_S3},
        ONE("shim"),
    },
    {
        "object-does-not-help-shared",
        CAPS_OBJECT,
        {HEAD, OPTION, SHARED},
        {HEAD, OPTION, SHIM_64},
        ONE("shim"),
    },
    {
        "two-dashes",
        CAPS_SHIM,
        {"qemu", "--machine", "pc,memory-backend=pc.ram", "--accel", "kvm", "--object",
         MEMFD("pc.ram", MIB64), "--x-libvirt-gmem", SHARED},
        {"qemu", "--machine", "pc,memory-backend=pc.ram", "--accel", "kvm", "--object",
         MEMFD("pc.ram", MIB64), "--x-libvirt-gmem", SHIM_64},
        ONE("shim"),
    },
    {
        "key-value-notation",
        CAPS_PROPERTY,
        {"qemu", "-M", "q35,accel=kvm", "-object",
         "memory-backend-memfd,id=ram-node0,size=64M,share=on", "-object",
         "id=ram-node1,share=yes,size=67108864,qom-type=memory-backend-memfd", "-numa",
         "node,nodeid=0,memdev=ram-node0", "-numa", "nodeid=1,memdev=ram-node1,type=node", OPTION,
         SHARED},
        {"qemu", "-M", "q35,accel=kvm", "-object",
         "memory-backend-memfd,id=ram-node0,size=64M,share=on,guest-memfd=on", "-object",
         "id=ram-node1,share=yes,size=67108864,qom-type=memory-backend-memfd,guest-memfd=on",
         "-numa", "node,nodeid=0,memdev=ram-node0", "-numa", "nodeid=1,memdev=ram-node1,type=node"},
        "guest-memfd",
        2,
        128 << 20,
    },
    {
        "key-value-private",
        CAPS_OBJECT,
        {"qemu", "-enable-kvm", "-machine", "memory-backend=a-b,type=pc", "-object",
         "memory-backend-file,id=a-b,size=0.5G,size=1G,mem-path=/x,,y", OPTION, CONVERTIBLE},
        {"qemu", "-enable-kvm", "-machine",
         "memory-backend=a-b,type=pc,kernel_irqchip=split,confidential-guest-support=lsec0",
         "-object", "memory-backend-file,id=a-b,size=0.5G,size=1G,mem-path=/x,,y,private=on",
         "-object", "{\"qom-type\":\"sw-protected-vm\",\"id\":\"lsec0\"}"},
        "sw-protected-vm",
        1,
        1 << 30,
    },
    {
        "numa-distances",
        CAPS_SHIM,
        {"qemu", "-machine", "pc", KVM, "-object", MEMFD("r0", MIB64), "-numa",
         "node,nodeid=0,memdev=r0", "-numa", "dist,src=0,dst=0,val=10", OPTION, SHARED},
        {"qemu", "-machine", "pc", KVM, "-object", MEMFD("r0", MIB64), "-numa",
         "node,nodeid=0,memdev=r0", "-numa", "dist,src=0,dst=0,val=10", OPTION, SHIM_64},
        ONE("shim"),
    },
    {
        "last-machine-counts",
        CAPS_SHIM,
        {"qemu", "-machine", "q35,memory-backend=other", KVM, "-object", MEMFD("pc.ram", MIB64),
         OPTION, SHARED, "-machine", "memory-backend=pc.ram"},
        {"qemu", "-machine", "q35,memory-backend=other", KVM, "-object", MEMFD("pc.ram", MIB64),
         OPTION, SHIM_64, "-machine", "memory-backend=pc.ram"},
        ONE("shim"),
    },
    {
        "split-by-accel",
        CAPS_OBJECT_ONLY,
        {"qemu", MACHINE, "-accel", "kvm,kernel-irqchip=split", "-object", RAM("pc.ram", MIB64),
         OPTION, CONVERTIBLE},
        {"qemu", "-machine", "q35,usb=off,memory-backend=pc.ram,confidential-guest-support=lsec0",
         "-accel", "kvm,kernel-irqchip=split", "-object", RAM("pc.ram", MIB64), "-object",
         "{\"qom-type\":\"sw-protected-vm\",\"id\":\"lsec0\"}"},
        ONE("sw-protected-vm"),
    },
    {
        "split-by-accel-for-shim",
        CAPS_SHIM,
        {"qemu", MACHINE, "-accel", "kvm,kernel-irqchip=split", "-object", RAM("pc.ram", MIB64),
         OPTION, CONVERTIBLE},
        {"qemu", MACHINE, "-accel", "kvm,kernel-irqchip=split", "-object", RAM("pc.ram", MIB64),
         OPTION, SHIM_CONVERTIBLE_64, NO_S3},
        ONE("shim"),
    },
    {
        "dimm-nvdimm-pmem",
        CAPS_PROPERTY,
        {HEAD, "-object", MEMFD("memdimm0", MIB64), "-device",
         "{\"driver\":\"pc-dimm\",\"node\":0,\"memdev\":\"memdimm0\",\"id\":\"dimm0\"}", "-object",
         "{\"qom-type\":\"memory-backend-file\",\"id\":\"memnv\",\"mem-path\":\"/x\",\"size\":1}",
         "-device", "nvdimm,memdev=memnv,id=nv0", "-object",
         "memory-backend-file,id=mempm,mem-path=/y,size=1G", "-device",
         "{\"driver\":\"virtio-pmem-pci\",\"memdev\":\"mempm\",\"id\":\"pm0\"}", OPTION, SHARED},
        {"qemu", MACHINE, KVM, "-m", "64", "-object",
         "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,"
         "\"size\":67108864,\"guest-memfd\":true}",
         "-object",
         "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"memdimm0\",\"share\":true,"
         "\"size\":67108864,\"guest-memfd\":true}",
         "-device", "{\"driver\":\"pc-dimm\",\"node\":0,\"memdev\":\"memdimm0\",\"id\":\"dimm0\"}",
         "-object",
         "{\"qom-type\":\"memory-backend-file\",\"id\":\"memnv\",\"mem-path\":\"/x\",\"size\":1}",
         "-device", "nvdimm,memdev=memnv,id=nv0", "-object",
         "memory-backend-file,id=mempm,mem-path=/y,size=1G", "-device",
         "{\"driver\":\"virtio-pmem-pci\",\"memdev\":\"mempm\",\"id\":\"pm0\"}"},
        "guest-memfd",
        2,
        128 << 20,
    },
    {
        "property-there-already",
        CAPS_PROPERTY,
        {"qemu", MACHINE, KVM, "-object",
         "memory-backend-memfd,id=pc.ram,size=64M,share=on,guest-memfd=on", OPTION, SHARED},
        {"qemu", MACHINE, KVM, "-object",
         "memory-backend-memfd,id=pc.ram,size=64M,share=on,guest-memfd=on"},
        ONE("guest-memfd"),
    },
    {
        "longest-part-of-set",
        CAPS_SHIM,
        {HEAD, OPTION, SHARED, "-set", "device." LETTERS_63 ".vgamem_mb=64"},
        {HEAD, OPTION, SHIM_64, "-set", "device." LETTERS_63 ".vgamem_mb=64"},
        ONE("shim"),
    },
    {
        "values-of-other-options",
        CAPS_SHIM,
        {HEAD, "-append", OPTION, "-name", "-object", OPTION, SHARED, "-kernel", "-machine"},
        {HEAD, "-append", OPTION, "-name", "-object", OPTION, SHIM_64, "-kernel", "-machine"},
        ONE("shim"),
    },
    {
        "harmless-set-and-global",
        CAPS_SHIM,
        {HEAD, OPTION, SHARED, "-set", "device.video0.vgamem_mb=64", "-global",
         "ICH9-LPC.disable_s3=1", "-device", "virtio-blk-pci,drive=mem,id=x"},
        {HEAD, OPTION, SHIM_64, "-set", "device.video0.vgamem_mb=64", "-global",
         "ICH9-LPC.disable_s3=1", "-device", "virtio-blk-pci,drive=mem,id=x"},
        ONE("shim"),
    },
    {
        "harmless-user-arguments",
        CAPS_SHIM,
        {HEAD, OPTION, SHARED, HARMLESS},
        {HEAD, OPTION, SHIM_64, HARMLESS},
        ONE("shim"),
    },
    {
        "harmless-in-convertible",
        CAPS_SHIM,
        {CONVERTIBLE_HEAD, HARMLESS_CONVERTIBLE},
        {"qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION, SHIM_CONVERTIBLE_64, NO_S3,
         HARMLESS_CONVERTIBLE},
        ONE("shim"),
    },
    {
        /* as Looking Glass has it, in QEMU's dialect of JSON */
        "ivshmem",
        CAPS_SHIM,
        {HEAD, OPTION, SHARED, "-object", LOOKING_GLASS, "-device",
         "{'driver':'ivshmem-plain','id':'shmem0','memdev':'looking-glass'}"},
        {HEAD, OPTION, SHIM_64, "-object", LOOKING_GLASS, "-device",
         "{'driver':'ivshmem-plain','id':'shmem0','memdev':'looking-glass'}"},
        ONE("shim"),
    },
    {
        "ivshmem-with-property",
        CAPS_PROPERTY,
        {HEAD, OPTION, SHARED, "-object", LOOKING_GLASS, "-device",
         "ivshmem-plain,memdev=looking-glass"},
        {"qemu", MACHINE, KVM, "-m", "64", "-object",
         "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,\"size\":" MIB64
         ",\"guest-memfd\":true}",
         "-object", LOOKING_GLASS, "-device", "ivshmem-plain,memdev=looking-glass"},
        ONE("guest-memfd"),
    },
    {
        "ivshmem-convertible",
        CAPS_SHIM,
        {CONVERTIBLE_HEAD, "-object", MEMFD("shm", "4096"), "-device", "ivshmem-plain,memdev=shm"},
        {"qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION,
         SHIM_CONVERTIBLE_64 ",other=shm:4096", NO_S3, "-object", MEMFD("shm", "4096"), "-device",
         "ivshmem-plain,memdev=shm"},
        ONE("shim"),
    },
    {
        /* asked for by libvirt on its own account, together with "private" */
        "prealloc-not-asked-for",
        CAPS_OBJECT,
        {"qemu", SPLIT, KVM, "-object", HUGE("true,\"size\":67108864}"), OPTION, NO_PREALLOC},
        {"qemu", "-machine",
         "q35,memory-backend=pc.ram,kernel_irqchip=split,confidential-guest-support=lsec0", KVM,
         "-object", HUGE("false,\"size\":67108864,\"private\":true}"), "-object",
         "{\"qom-type\":\"sw-protected-vm\",\"id\":\"lsec0\"}"},
        ONE("sw-protected-vm"),
    },
    {
        /* what a virtio-pmem has only since lowering wrote it; an NVDIMM always does */
        "prealloc-not-asked-for-files",
        CAPS_SHIM,
        {"qemu", SPLIT, KVM, "-object", HUGE("true,\"size\":67108864}"), "-object",
         PREALLOC_FILE("nv", "true"), "-device", "nvdimm,memdev=nv", "-object",
         PREALLOC_FILE("pm", "true"), "-device", "virtio-pmem-pci,memdev=pm", OPTION, NO_PREALLOC},
        {"qemu", SPLIT, KVM, "-object", HUGE("false,\"size\":67108864}"), "-object",
         PREALLOC_FILE("nv", "true"), "-device", "nvdimm,memdev=nv", "-object",
         PREALLOC_FILE("pm", "false"), "-device", "virtio-pmem-pci,memdev=pm", OPTION,
         SHIM_CONVERTIBLE_64 ",other=nv:4096,other=pm:4096", NO_S3},
        ONE("shim"),
    },
    {
        "prealloc-not-asked-for-shim",
        CAPS_SHIM,
        {"qemu", SPLIT, KVM, "-object", HUGE("true,\"size\":67108864}"), OPTION, NO_PREALLOC},
        {"qemu", SPLIT, KVM, "-object", HUGE("false,\"size\":67108864}"), OPTION,
         SHIM_CONVERTIBLE_64, NO_S3},
        ONE("shim"),
    },
    {
        "prealloc-asked-for",
        CAPS_SHIM,
        {"qemu", SPLIT, KVM, "-object", HUGE("true,\"size\":67108864}"), OPTION, CONVERTIBLE},
        {"qemu", SPLIT, KVM, "-object", HUGE("true,\"size\":67108864}"), OPTION,
         SHIM_CONVERTIBLE_64, NO_S3},
        ONE("shim"),
    },
    {
        "launch-security-of-hardware",
        CAPS_SHIM,
        {"qemu", "-machine", "q35,confidential-guest-support=lsec0,memory-backend=pc.ram", KVM,
         "-object", RAM("pc.ram", MIB64), "-object",
         "{\"qom-type\":\"sev-snp-guest\",\"id\":\"lsec0\"}", OPTION, NONE},
        {"qemu", "-machine", "q35,confidential-guest-support=lsec0,memory-backend=pc.ram", KVM,
         "-object", RAM("pc.ram", MIB64), "-object",
         "{\"qom-type\":\"sev-snp-guest\",\"id\":\"lsec0\"}"},
        "none",
        0,
        0,
    },
};

static void
testCase(gconstpointer data)
{
    const Case *test = data;
    gmemQEMUCaps caps = {.emulator = (char[]){"/q"}, .flags = test->flags};
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemCommand) command = gmemCommandBuild((char *const *)test->argv, &caps, &error);
    size_t i;

    g_assert_no_error(error);
    for (i = 0; test->expected[i] != NULL && command->argv[i] != NULL; i++)
        g_assert_cmpstr(command->argv[i], ==, test->expected[i]);
    g_assert_cmpstr(command->argv[i], ==, test->expected[i]);
    g_assert_cmpint(command->shim, ==, g_str_equal(test->object, "shim"));
    g_assert_cmpuint(command->ramSize, ==, test->ram);
    g_assert_cmpuint(command->nbackends, ==, test->backends);
    g_assert_cmpstr(command->emulatorObject, ==, test->object);
}

static void
assertStart(guint64 flags, const char *carrier, const char *expected)
{
    const char *argv[] = {"qemu", SPLIT,   KVM, "-object", MEMFD("pc.ram", MIB64),
                          OPTION, carrier, NULL};
    gmemQEMUCaps caps = {.emulator = (char[]){"/q"}, .flags = flags};
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemCommand) command = gmemCommandBuild((char *const *)argv, &caps, &error);
    g_autofree char *joined = NULL;

    g_assert_no_error(error);
    gmemCommandSeal(command, true);
    joined = g_strjoinv(" ", command->argv);
    g_test_message("%s", joined);
    g_assert_cmpint(strstr(joined, "start=private") != NULL, ==, expected != NULL);
    if (expected != NULL)
        g_assert_nonnull(strstr(joined, expected));
}

/* What the administrator can choose concerns the shim's convertible mode and nothing else. */
static void
testStartPrivate(void)
{
    assertStart(CAPS_SHIM, CONVERTIBLE,
                OPTION " version=1,mode=convertible,backends=1,ram=67108864,start=private,"
                       "backend=pc.ram:67108864,argv=");
    assertStart(CAPS_SHIM, SHARED, NULL);
    assertStart(CAPS_OBJECT, CONVERTIBLE, NULL);
}

typedef struct {
    const char *name;
    guint64 flags;
    int code;
    const char *message;
    const char *argv[WORDS_MAX];
} Refusal;

#define BAD VIR_ERR_CONFIG_UNSUPPORTED
#define NOT_BESIDE                                                                                 \
    "; beside private memory there can be that of nvdimm, virtio-pmem and ivshmem-plain only"
#define WOULD_CHANGE " could change what the RAM of a domain with private memory is made of"

static const Refusal refusals[] = {
    {"suspend-to-memory",
     CAPS_SHIM,
     BAD,
     "a software-protected VM loses its private memory in suspend-to-memory, which QEMU's command "
     "line enables: 'ICH9-LPC.disable_s3=0'",
     {"qemu", SPLIT, KVM, "-global", "ICH9-LPC.disable_s3=0", "-object", RAM("pc.ram", MIB64),
      OPTION, CONVERTIBLE}},
    {"size-of-no-whole-pages",
     CAPS_SHIM,
     BAD,
     "memory backend 'pc.ram' (<memory>) has a size of 67108865 bytes, which is not a multiple of "
     "guest_memfd's "
     "pages of 4096 bytes",
     {"qemu", MACHINE, KVM, "-object", MEMFD("pc.ram", "67108865"), OPTION, SHARED}},
    {"cell-of-no-whole-pages",
     CAPS_OBJECT,
     BAD,
     "memory backend 'ram-node1' (<cell id='1'>) has a size of 1048577 bytes, which is not a "
     "multiple of "
     "guest_memfd's pages of 4096 bytes",
     {"qemu", "-machine", "q35,kernel_irqchip=split", KVM, "-object", RAM("ram-node0", "1048576"),
      "-numa", "node,memdev=ram-node0", "-object", RAM("ram-node1", "1048577"), "-numa",
      "node,memdev=ram-node1", OPTION, CONVERTIBLE}},
    {"convertible-vfio",
     CAPS_OBJECT,
     BAD,
     "a software-protected VM cannot have the device 'vfio-pci': its DMA requires pinned shared "
     "pages",
     {"qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION, CONVERTIBLE, "-device",
      "{\"driver\":\"vfio-pci\",\"host\":\"0000:06:12.5\",\"id\":\"hostdev0\"}"}},
    {"convertible-user-vfio",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have the device 'vfio-ccw': its DMA requires pinned shared "
     "pages",
     {"qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION, CONVERTIBLE, "-device",
      "vfio-ccw,sysfsdev=/x"}},
    {"no-pair",
     CAPS_SHIM,
     VIR_ERR_XML_ERROR,
     "QEMU's command line does not have the option '-x-libvirt-gmem'",
     {HEAD}},
    {"pair-doubled",
     CAPS_SHIM,
     VIR_ERR_XML_ERROR,
     "QEMU's option '-x-libvirt-gmem' is given more than once",
     {HEAD, OPTION, SHARED, OPTION, SHARED}},
    {"pair-doubled-with-two-dashes",
     CAPS_SHIM,
     VIR_ERR_XML_ERROR,
     "QEMU's option '-x-libvirt-gmem' is given more than once",
     {HEAD, OPTION, SHARED, "--x-libvirt-gmem", SHARED}},
    {"pair-without-value",
     CAPS_SHIM,
     VIR_ERR_XML_ERROR,
     "QEMU's option '-x-libvirt-gmem' has no value",
     {HEAD, OPTION}},
    {"no-machine",
     CAPS_SHIM,
     BAD,
     "QEMU's command line has no -machine",
     {"qemu", KVM, OPTION, SHARED}},
    {"machine-as-json",
     CAPS_SHIM,
     BAD,
     "cannot read the value of QEMU's option '-machine {\"type\":\"pc\"}'",
     {"qemu", "-machine", "{\"type\":\"pc\"}", KVM, OPTION, SHARED}},
    {"microvm",
     CAPS_SHIM,
     BAD,
     "machine type 'microvm' cannot have private memory; use q35 or pc",
     {HEAD, OPTION, SHARED, "-machine", "microvm"}},
    {"isapc",
     CAPS_SHIM,
     BAD,
     "machine type 'isapc' cannot have private memory; use q35 or pc",
     {HEAD, OPTION, SHARED, "-machine", "type=isapc"}},
    {"no-accelerator",
     CAPS_SHIM,
     BAD,
     "guest_memfd requires KVM, which QEMU's command line does not enable",
     {"qemu", MACHINE, "-object", MEMFD("pc.ram", MIB64), OPTION, SHARED}},
    {"tcg",
     CAPS_SHIM,
     BAD,
     "guest_memfd requires KVM, and QEMU would use the accelerator 'tcg'",
     {"qemu", MACHINE, "-accel", "tcg", "-object", MEMFD("pc.ram", MIB64), OPTION, SHARED}},
    {"tcg-too",
     CAPS_SHIM,
     BAD,
     "guest_memfd requires KVM, and QEMU would use the accelerator 'tcg'",
     {HEAD, OPTION, SHARED, "-accel", "tcg,thread=multi"}},
    {"tcg-by-machine",
     CAPS_SHIM,
     BAD,
     "guest_memfd requires KVM, and QEMU would use the accelerator 'kvm:tcg'",
     {HEAD, OPTION, SHARED, "-machine", "accel=kvm:tcg"}},
    {"numa-as-json",
     CAPS_SHIM,
     BAD,
     "cannot read the value of QEMU's option '-numa {\"type\":\"node\",\"memdev\":\"r0\"}'",
     {"qemu", "-machine", "pc", KVM, "-object", MEMFD("r0", MIB64), "-numa",
      "{\"type\":\"node\",\"memdev\":\"r0\"}", OPTION, SHARED}},
    {"no-ram",
     CAPS_SHIM,
     BAD,
     "the machine's RAM has no memory backend, so it cannot be private",
     {"qemu", "-machine", "pc", KVM, OPTION, SHARED}},
    {"only-a-dimm",
     CAPS_SHIM,
     BAD,
     "the machine's RAM has no memory backend, so it cannot be private",
     {"qemu", "-machine", "pc", KVM, "-object", MEMFD("d", MIB64), "-device",
      "pc-dimm,memdev=d,id=dimm0", OPTION, SHARED}},
    {"backend-missing",
     CAPS_SHIM,
     BAD,
     "there is no memory backend 'pc.ram', which -machine memory-backend uses",
     {"qemu", MACHINE, KVM, OPTION, SHARED}},
    {"dimm-backend-missing",
     CAPS_SHIM,
     BAD,
     "there is no memory backend 'x', which pc-dimm 'dimm0' uses",
     {HEAD, "-device", "{\"driver\":\"pc-dimm\",\"memdev\":\"x\",\"id\":\"dimm0\"}", OPTION,
      SHARED}},
    {"backend-twice",
     CAPS_SHIM,
     BAD,
     "two memory backends have the id 'pc.ram' (<memory>)",
     {HEAD, OPTION, SHARED, "-object", "memory-backend-ram,id=pc.ram,size=64M"}},
    {"backend-used-twice",
     CAPS_SHIM,
     BAD,
     "memory backend 'pc.ram' (<memory>) is used twice, by nvdimm 'n' and by -machine "
     "memory-backend",
     {HEAD, OPTION, SHARED, "-device", "nvdimm,memdev=pc.ram,id=n"}},
    {"backend-without-id",
     CAPS_SHIM,
     BAD,
     "a memory backend of type memory-backend-ram has no id",
     {HEAD, OPTION, SHARED, "-object", "memory-backend-ram,size=64M"}},
    {"backend-unused",
     CAPS_SHIM,
     BAD,
     "memory backend 'shm' (memory-backend-file) is not used by anything on QEMU's command line, "
     "which a domain with private memory cannot have",
     {HEAD, OPTION, SHARED, "-object", "memory-backend-file,id=shm,mem-path=/x,size=1M"}},
    {"backend-of-another-device",
     CAPS_SHIM,
     BAD,
     "memory backend 'b' (memory-backend-ram) is used by hv-balloon 'x'" NOT_BESIDE,
     {HEAD, OPTION, SHARED, "-object", "memory-backend-ram,id=b,size=1G", "-device",
      "{'driver':'hv-balloon','memdev':'b','id':'x'}"}},
    {"backend-of-cxl",
     CAPS_SHIM,
     BAD,
     "memory backend 'b' (memory-backend-ram) is used by cxl-type3 ''" NOT_BESIDE,
     {HEAD, OPTION, SHARED, "-object", "memory-backend-ram,id=b,size=1G", "-device",
      "cxl-type3,volatile-memdev=b"}},
    {"backend-of-nvme",
     CAPS_SHIM,
     BAD,
     "memory backend 'b' (memory-backend-file) is used by nvme 'n'" NOT_BESIDE,
     {HEAD, OPTION, SHARED, "-object", "memory-backend-file,id=b,size=1G,mem-path=/x", "-device",
      "nvme,id=n,serial=x,pmrdev=b"}},
    {"backend-of-sgx",
     CAPS_SHIM,
     BAD,
     "memory backend 'b' (memory-backend-epc) is used by -machine sgx-epc.0.memdev" NOT_BESIDE,
     {HEAD, OPTION, SHARED, "-object", "memory-backend-epc,id=b,size=1G", "-machine",
      "sgx-epc.0.memdev=b,sgx-epc.0.node=0"}},
    {"backend-replaced",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-machine memory-backend=ram1' would replace the memory backend 'pc.ram' that "
     "is the domain's RAM",
     {HEAD, OPTION, SHARED, "-object", MEMFD("ram1", MIB64), "-machine", "memory-backend=ram1"}},
    {"backend-replaced-with-underscore",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-machine memory-backend=ram1' would replace the memory backend 'pc.ram' that "
     "is the domain's RAM",
     {HEAD, OPTION, SHARED, "-object", MEMFD("ram1", MIB64), "-M", "memory_backend=ram1"}},
    {"ivshmem-of-memfd",
     CAPS_SHIM,
     BAD,
     "memory backend 'shm' of ivshmem-plain 'i' is a memory-backend-memfd; beside fully shared "
     "private memory it must be a memory-backend-file",
     {HEAD, OPTION, SHARED, "-object", MEMFD("shm", MIB64), "-device",
      "ivshmem-plain,memdev=shm,id=i"}},
    {"ivshmem-of-ram",
     CAPS_SHIM,
     BAD,
     "memory backend 'pc.ram' (<memory>) is used twice, by ivshmem-plain 'i' and by -machine "
     "memory-backend",
     {HEAD, OPTION, SHARED, "-device", "ivshmem-plain,memdev=pc.ram,id=i"}},
    {"only-ivshmem",
     CAPS_SHIM,
     BAD,
     "the machine's RAM has no memory backend, so it cannot be private",
     {"qemu", "-machine", "pc", KVM, "-object", MEMFD("d", MIB64), "-device",
      "ivshmem-plain,memdev=d", OPTION, SHARED}},
    {"no-machine-type",
     CAPS_SHIM,
     BAD,
     "QEMU's command line does not say which machine it is for",
     {"qemu", "-machine", "memory-backend=pc.ram,kernel_irqchip=split", KVM, "-object",
      RAM("pc.ram", MIB64), OPTION, CONVERTIBLE}},
    {"epc",
     CAPS_SHIM,
     BAD,
     "memory backend 'epc' (memory-backend-epc) is not used by anything on QEMU's command line, "
     "which a domain with private memory cannot have",
     {HEAD, OPTION, SHARED, "-object", "{\"qom-type\":\"memory-backend-epc\",\"id\":\"epc\"}"}},
    {"nvdimm-on-memfd",
     CAPS_SHIM,
     BAD,
     "memory backend 'n' of nvdimm 'n0' is a memory-backend-memfd; beside private memory it must "
     "be a memory-backend-file",
     {HEAD, OPTION, SHARED, "-object", MEMFD("n", MIB64), "-device", "nvdimm,memdev=n,id=n0"}},
    {"virtio-mem",
     CAPS_SHIM,
     BAD,
     "memory device 'vm0' is of type virtio-mem-pci, which cannot be private",
     {HEAD, OPTION, SHARED, "-device",
      "{\"driver\":\"virtio-mem-pci\",\"memdev\":\"x\",\"id\":\"vm0\"}"}},
    {"virtio-mem-escaped",
     CAPS_SHIM,
     BAD,
     "memory device 'vm0' is of type virtio-mem-pci, which cannot be private",
     {HEAD, OPTION, SHARED, "-device", "{\"driver\":\"virtio-\\u006dem-pci\",\"id\":\"vm0\"}"}},
    {"dimm-without-backend",
     CAPS_SHIM,
     BAD,
     "memory device 'd' of type pc-dimm has no memory backend",
     {HEAD, OPTION, SHARED, "-device", "pc-dimm,id=d"}},
    {"numa-mem",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-numa node,mem=64' gives a cell memory without a memory backend",
     {HEAD, OPTION, SHARED, "-numa", "node,mem=64"}},
    {"size-unreadable",
     CAPS_SHIM,
     BAD,
     "cannot read the size of memory backend 'pc.ram' (<memory>)",
     {"qemu", MACHINE, KVM, "-object", "memory-backend-memfd,id=pc.ram,size=1.5G,share=on", OPTION,
      SHARED}},
    {"cell-zero",
     CAPS_SHIM,
     BAD,
     "memory backend 'ram-node1' (<cell id='1'>) has a size of 0, which QEMU refuses; give it "
     "memory",
     {"qemu", "-machine", "pc", KVM, "-object", MEMFD("ram-node0", "67108864"), "-object",
      MEMFD("ram-node1", "0"), "-numa", "node,memdev=ram-node0", "-numa", "node,memdev=ram-node1",
      OPTION, SHARED}},
    {"dimm-unshared",
     CAPS_SHIM,
     BAD,
     "memory backend 'memdimm0' (<memory model='dimm'>) is not shared, which fully shared "
     "guest_memfd requires",
     {HEAD, "-object", "memory-backend-memfd,id=memdimm0,size=67108864", "-device",
      "pc-dimm,id=dimm0,memdev=memdimm0", OPTION, SHARED}},
    {"size-zero",
     CAPS_SHIM,
     BAD,
     "memory backend 'pc.ram' (<memory>) has a size of 0, which QEMU refuses; give it memory",
     {"qemu", MACHINE, KVM, "-object", MEMFD("pc.ram", "0"), OPTION, SHARED}},
    {"size-overflow",
     CAPS_SHIM,
     BAD,
     "cannot read the size of memory backend 'r1'",
     {"qemu", "-machine", "pc", KVM, "-object", MEMFD("r0", "18446744073709547520"), "-object",
      MEMFD("r1", "18446744073709547520"), "-numa", "node,memdev=r0", "-numa", "node,memdev=r1",
      OPTION, SHARED}},
    {"size-suffix-overflow",
     CAPS_SHIM,
     BAD,
     "cannot read the size of memory backend 'pc.ram' (<memory>)",
     {"qemu", MACHINE, KVM, "-object", "memory-backend-memfd,id=pc.ram,size=99E,share=on", OPTION,
      SHARED}},
    {"size-missing",
     CAPS_SHIM,
     BAD,
     "cannot read the size of memory backend 'pc.ram' (<memory>)",
     {"qemu", MACHINE, KVM, "-object", "memory-backend-memfd,id=pc.ram,share=on", OPTION, SHARED}},
    {"object-unreadable",
     CAPS_SHIM,
     BAD,
     "cannot read the value of QEMU's option '-object {\"qom-type\":'",
     {HEAD, OPTION, SHARED, "-object", "{\"qom-type\":"}},
    {"object-with-a-key-twice",
     CAPS_SHIM,
     BAD,
     "cannot read the value of QEMU's option '-object {\"id\":\"a\",\"id\":\"b\"}'",
     {HEAD, OPTION, SHARED, "-object", "{\"id\":\"a\",\"id\":\"b\"}"}},
    {"option-at-the-end",
     CAPS_SHIM,
     BAD,
     "the option '-object' at the end of QEMU's command line has no value",
     {HEAD, OPTION, SHARED, "-object"}},
    {"mem-path",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-mem-path /x'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-mem-path", "/x"}},
    {"mem-prealloc",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-mem-prealloc'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-mem-prealloc"}},
    {"readconfig",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-readconfig /x'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-readconfig", "/x"}},
    {"preconfig",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-preconfig'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "--preconfig"}},
    {"set-object",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set object.pc.ram.share=off'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "object.pc.ram.share=off"}},
    {"set-memdev",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set device.dimm0.memdev=x'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "device.dimm0.memdev=x"}},
    {"global-memdev",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-global pc-dimm.memdev=x'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-global", "pc-dimm.memdev=x"}},
    {"global-backend",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-global driver=memory-backend-memfd,property=share,value=off'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-global", "driver=memory-backend-memfd,property=share,value=off"}},
    {"shared-on-file",
     CAPS_SHIM,
     BAD,
     "memory backend 'pc.ram' (<memory>) is a memory-backend-file; for fully shared guest_memfd it "
     "must be a memory-backend-memfd",
     {"qemu", MACHINE, KVM, "-object",
      "memory-backend-file,id=pc.ram,size=64M,share=on,mem-path=/x", OPTION, SHARED}},
    {"shared-on-ram-with-property",
     CAPS_PROPERTY,
     BAD,
     "memory backend 'pc.ram' (<memory>) is a memory-backend-ram; for fully shared guest_memfd it "
     "must be a memory-backend-memfd",
     {"qemu", MACHINE, KVM, "-object", RAM("pc.ram", MIB64), OPTION, SHARED}},
    {"shared-not-shared",
     CAPS_SHIM,
     BAD,
     "memory backend 'pc.ram' (<memory>) is not shared, which fully shared guest_memfd requires",
     {"qemu", MACHINE, KVM, "-object", "memory-backend-memfd,id=pc.ram,size=64M", OPTION, SHARED}},
    {"shared-off",
     CAPS_PROPERTY,
     BAD,
     "memory backend 'pc.ram' (<memory>) is not shared, which fully shared guest_memfd requires",
     {"qemu", MACHINE, KVM, "-object", "memory-backend-memfd,id=pc.ram,size=64M,share=off", OPTION,
      SHARED}},
    {"shared-hugetlb",
     CAPS_SHIM,
     BAD,
     "memory backend 'pc.ram' (<memory>) asks for huge pages, which guest_memfd does not have",
     {"qemu", MACHINE, KVM, "-object",
      "memory-backend-memfd,id=pc.ram,size=64M,share=on,hugetlb=on", OPTION, SHARED}},
    {"shared-property-off",
     CAPS_PROPERTY,
     BAD,
     "memory backend 'pc.ram' (<memory>) has the property 'guest-memfd' switched off; switch it on "
     "or remove it",
     {"qemu", MACHINE, KVM, "-object",
      "memory-backend-memfd,id=pc.ram,size=64M,share=on,guest-memfd=off", OPTION, SHARED}},
    {"shared-with-confidential",
     CAPS_SHIM,
     BAD,
     "fully shared guest_memfd and confidential guest support ('sev0') are mutually exclusive",
     {HEAD, OPTION, SHARED, "-machine", "confidential-guest-support=sev0"}},
    {"shared-with-iommufd",
     CAPS_SHIM,
     BAD,
     "QEMU's device 'vfio-pci,iommufd=iommufd0' requires guest RAM in a memfd, and not in "
     "guest_memfd",
     {HEAD, OPTION, SHARED, "-object", "iommufd,id=iommufd0", "-device",
      "{\"driver\":\"vfio-pci\",\"host\":\"0000:06:12.5\",\"iommufd\":\"iommufd0\"}"}},
    {"shared-with-blob",
     CAPS_SHIM,
     BAD,
     "QEMU's device 'virtio-vga,blob=true' requires guest RAM in a memfd, and not in guest_memfd",
     {HEAD, OPTION, SHARED, "-device", "virtio-vga,blob=true"}},
    {"shared-with-set-blob",
     CAPS_SHIM,
     BAD,
     "QEMU's device 'g,blob=on' requires guest RAM in a memfd, and not in guest_memfd",
     {HEAD, OPTION, SHARED, "-device", "virtio-vga,id=g", "-set", "device.g.blob=on"}},
    {"shared-with-set-iommufd",
     CAPS_SHIM,
     BAD,
     "QEMU's device 'v,iommufd=i' requires guest RAM in a memfd, and not in guest_memfd",
     {HEAD, OPTION, SHARED, "-device", "vfio-pci,id=v", "-set", "device.v.iommufd=i"}},
    {"shared-with-global-blob",
     CAPS_SHIM,
     BAD,
     "QEMU's device 'virtio-vga,blob=on' requires guest RAM in a memfd, and not in guest_memfd",
     {HEAD, OPTION, SHARED, "-global", "virtio-vga.blob=on"}},
    {"shared-with-global-iommufd",
     CAPS_SHIM,
     BAD,
     "QEMU's device 'vfio-pci,iommufd=i' requires guest RAM in a memfd, and not in guest_memfd",
     {HEAD, OPTION, SHARED, "-global", "driver=vfio-pci,property=iommufd,value=i"}},
    {"convertible-with-confidential",
     CAPS_OBJECT,
     BAD,
     "the machine has confidential guest support already: 'sev0'",
     {HEAD, OPTION, CONVERTIBLE, "-machine", "confidential-guest-support=sev0"}},
    {"convertible-with-encryption",
     CAPS_OBJECT,
     BAD,
     "the machine has confidential guest support already: 'sev0'",
     {HEAD, OPTION, CONVERTIBLE, "-machine", "memory-encryption=sev0"}},
    {"convertible-lsec0",
     CAPS_OBJECT,
     BAD,
     "QEMU's command line has an object 'lsec0' already",
     {HEAD, OPTION, CONVERTIBLE, "-object", "secret,id=lsec0,data=x"}},
    {"convertible-irqchip",
     CAPS_OBJECT,
     BAD,
     "a software-protected VM requires kernel_irqchip=split, not 'on'",
     {"qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION, CONVERTIBLE, "-machine",
      "kernel-irqchip=on"}},
    {"convertible-irqchip-by-accel",
     CAPS_OBJECT,
     BAD,
     "a software-protected VM requires kernel_irqchip=split, not 'off'",
     {"qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION, CONVERTIBLE, "-accel",
      "kvm,kernel-irqchip=off"}},
    {"convertible-irqchip-missing",
     CAPS_SHIM,
     BAD,
     "a software-protected VM requires kernel_irqchip=split, which is not on QEMU's command line",
     {"qemu", MACHINE, KVM, "-object", RAM("pc.ram", MIB64), OPTION, CONVERTIBLE}},
    {"convertible-smm",
     CAPS_OBJECT,
     BAD,
     "a software-protected VM has no SMM, but QEMU's command line has smm=on",
     {"qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION, CONVERTIBLE, "-machine",
      "smm=on"}},
    {"convertible-private-off",
     CAPS_OBJECT,
     BAD,
     "memory backend 'pc.ram' (<memory>) has the property 'private' switched off; switch it on or "
     "remove it",
     {"qemu", SPLIT, KVM, "-object",
      "{\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\",\"size\":4096,\"private\":false}",
      OPTION, CONVERTIBLE}},
    {"set-driver",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set device.d.driver=pc-dimm'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "device.d.driver=pc-dimm"}},
    {"set-id",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set device.d.id=x'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "device.d.id=x"}},
    {"set-lsa",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set device.d.lsa=x'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "device.d.lsa=x"}},
    {"set-no-value",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set device.d.driver'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "device.d.driver"}},
    {"set-no-key",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set device.d'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "device.d"}},
    {"set-machine",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set machine.x.memory-backend=y'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "machine.x.memory-backend=y"}},
    {"set-memory",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set memory.x.size=1G'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "memory.x.size=1G"}},
    {"set-numa",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set numa.x.memdev=y'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "numa.x.memdev=y"}},
    {"set-accel",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set accel.x.accel=tcg'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "accel.x.accel=tcg"}},
    {"set-global",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set global.x.value=y'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "global.x.value=y"}},
    {"set-overcommit",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set overcommit.x.mem-lock=on'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "overcommit.x.mem-lock=on"}},
    {"set-netdev-type",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set netdev.n.type=vhost-user'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "netdev.n.type=vhost-user"}},
    {"set-long",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set "
     "device.d.kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk=1'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set",
      "device.d.kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk=1"}},
    {"set-unknown",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set no-such.x.y=z'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", "no-such.x.y=z"}},
    {"set-empty",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-set '" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-set", ""}},
    {"global-memdev-long",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-global driver=nvdimm,property=memdev,value=x'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-global", "driver=nvdimm,property=memdev,value=x"}},
    {"global-memdev-base",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-global device.memdev=x'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-global", "device.memdev=x"}},
    {"global-lsa",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-global cxl-type3.lsa=x'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-global", "cxl-type3.lsa=x"}},
    {"global-backend-any",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-global memory-backend-file.readonly=on'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-global", "memory-backend-file.readonly=on"}},
    {"global-irqchip",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-global kvm-accel.kernel-irqchip=off'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-global", "kvm-accel.kernel-irqchip=off"}},
    {"global-irqchip-underscore",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-global kvm-accel.kernel_irqchip=off'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-global", "kvm-accel.kernel_irqchip=off"}},
    {"global-no-value",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-global property=memdev,driver=x'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-global", "property=memdev,driver=x"}},
    {"global-no-dot",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-global x'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-global", "x"}},
    {"global-no-property",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-global driver=x,value=y'" WOULD_CHANGE,
     {HEAD, OPTION, SHARED, "-global", "driver=x,value=y"}},
    {"suspend-two-zeros",
     CAPS_SHIM,
     BAD,
     "a software-protected VM loses its private memory in suspend-to-memory, which QEMU's command "
     "line enables: 'ICH9-LPC.disable_s3=00'",
     {CONVERTIBLE_HEAD, "-global", "ICH9-LPC.disable_s3=00"}},
    {"suspend-hexadecimal",
     CAPS_SHIM,
     BAD,
     "a software-protected VM loses its private memory in suspend-to-memory, which QEMU's command "
     "line enables: 'PIIX4_PM.disable_s3=0x0'",
     {CONVERTIBLE_HEAD, "-global", "PIIX4_PM.disable_s3=0x0"}},
    {"suspend-negative",
     CAPS_SHIM,
     BAD,
     "a software-protected VM loses its private memory in suspend-to-memory, which QEMU's command "
     "line enables: 'ICH9-LPC.disable_s3=-0'",
     {CONVERTIBLE_HEAD, "-global", "ICH9-LPC.disable_s3=-0"}},
    {"suspend-word",
     CAPS_SHIM,
     BAD,
     "a software-protected VM loses its private memory in suspend-to-memory, which QEMU's command "
     "line enables: 'ICH9-LPC.disable_s3=off'",
     {CONVERTIBLE_HEAD, "-global", "ICH9-LPC.disable_s3=off"}},
    {"suspend-space",
     CAPS_SHIM,
     BAD,
     "a software-protected VM loses its private memory in suspend-to-memory, which QEMU's command "
     "line enables: 'ICH9-LPC.disable_s3= 0'",
     {CONVERTIBLE_HEAD, "-global", "ICH9-LPC.disable_s3= 0"}},
    {"suspend-nothing",
     CAPS_SHIM,
     BAD,
     "a software-protected VM loses its private memory in suspend-to-memory, which QEMU's command "
     "line enables: 'ICH9-LPC.disable_s3='",
     {CONVERTIBLE_HEAD, "-global", "ICH9-LPC.disable_s3="}},
    {"suspend-dash",
     CAPS_SHIM,
     BAD,
     "a software-protected VM loses its private memory in suspend-to-memory, which QEMU's command "
     "line enables: 'ICH9-LPC.disable-s3=0'",
     {CONVERTIBLE_HEAD, "-global", "ICH9-LPC.disable-s3=0"}},
    {"suspend-long",
     CAPS_SHIM,
     BAD,
     "a software-protected VM loses its private memory in suspend-to-memory, which QEMU's command "
     "line enables: 'driver=ICH9-LPC,property=disable_s3,value=0'",
     {CONVERTIBLE_HEAD, "-global", "driver=ICH9-LPC,property=disable_s3,value=0"}},
    {"suspend-long-order",
     CAPS_SHIM,
     BAD,
     "a software-protected VM loses its private memory in suspend-to-memory, which QEMU's command "
     "line enables: 'value=0,property=disable_s3,driver=ICH9-LPC'",
     {CONVERTIBLE_HEAD, "-global", "value=0,property=disable_s3,driver=ICH9-LPC"}},
    {"locked-on",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have its memory locked: QEMU's option '-overcommit mem-lock' "
     "would populate all of the shared half",
     {CONVERTIBLE_HEAD, "-overcommit", "mem-lock=on"}},
    {"locked-yes",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have its memory locked: QEMU's option '-overcommit mem-lock' "
     "would populate all of the shared half",
     {CONVERTIBLE_HEAD, "-overcommit", "cpu-pm=on,mem-lock=yes"}},
    {"locked-bare",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have its memory locked: QEMU's option '-overcommit mem-lock' "
     "would populate all of the shared half",
     {CONVERTIBLE_HEAD, "-overcommit", "mem-lock"}},
    {"locked-on-fault",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have its memory locked: QEMU's option '-overcommit mem-lock' "
     "would populate all of the shared half",
     {CONVERTIBLE_HEAD, "-overcommit", "mem-lock=on-fault"}},
    {"locked-old",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have its memory locked: QEMU's option '-overcommit mem-lock' "
     "would populate all of the shared half",
     {CONVERTIBLE_HEAD, "-realtime", "mlock=on"}},
    {"locked-old-default",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have its memory locked: QEMU's option '-overcommit mem-lock' "
     "would populate all of the shared half",
     {CONVERTIBLE_HEAD, "-realtime", ""}},
    {"vfio-blockdev",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have the device '-blockdev nvme': its DMA requires pinned "
     "shared pages",
     {CONVERTIBLE_HEAD, "-blockdev", "driver=nvme,device=0000:01:00.0,namespace=1,node-name=x"}},
    {"vfio-blockdev-inner",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have the device '-blockdev nvme': its DMA requires pinned "
     "shared pages",
     {CONVERTIBLE_HEAD, "-blockdev", "raw,node-name=x,file.driver=nvme"}},
    {"vfio-blockdev-json",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have the device '-blockdev nvme': its DMA requires pinned "
     "shared pages",
     {CONVERTIBLE_HEAD, "-blockdev", "{'driver':'raw','file':{'driver':'n\\u0076me'}}"}},
    {"vfio-blkio",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have the device '-blockdev virtio-blk-vfio-pci': its DMA "
     "requires pinned shared pages",
     {CONVERTIBLE_HEAD, "-blockdev", "virtio-blk-vfio-pci,node-name=x"}},
    {"vfio-drive",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have the device '-drive nvme': its DMA requires pinned shared "
     "pages",
     {CONVERTIBLE_HEAD, "-drive", "if=none,driver=nvme,device=x"}},
    {"vfio-drive-format",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have the device '-drive nvme://0000:01:00.0/1': its DMA "
     "requires pinned shared pages",
     {CONVERTIBLE_HEAD, "-drive", "nvme://0000:01:00.0/1,format=raw"}},
    {"vfio-drive-json",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have the device '-drive "
     "json:{'driver':'raw','file':{'driver':'nvme'}}': its DMA requires pinned shared pages",
     {CONVERTIBLE_HEAD, "-drive", "json:{'driver':'raw',,'file':{'driver':'nvme'}}"}},
    {"vfio-drive-json-name",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have the device '-drive "
     "json:{'file.filename':1,'file':{'filename':'nvme://x/1'}}': its DMA requires pinned shared "
     "pages",
     {CONVERTIBLE_HEAD, "-drive",
      "file=json:{'file.filename':1,,'file':{'filename':'nvme://x/1'}}"}},
    {"vfio-hda",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have the device '-hda nvme://x/1': its DMA requires pinned "
     "shared pages",
     {CONVERTIBLE_HEAD, "-hda", "nvme://x/1"}},
    {"vfio-set",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have the device '-set nvme': its DMA requires pinned shared "
     "pages",
     {CONVERTIBLE_HEAD, "-set", "drive.d.driver=nvme"}},
    {"vfio-positional",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot have the device '-drive nvme://x/1': its DMA requires pinned "
     "shared pages",
     {CONVERTIBLE_HEAD, "nvme://x/1"}},
    {"smm-yes",
     CAPS_SHIM,
     BAD,
     "a software-protected VM has no SMM, but QEMU's command line has smm=yes",
     {CONVERTIBLE_HEAD, "-machine", "smm=yes"}},
    {"smm-auto",
     CAPS_SHIM,
     BAD,
     "a software-protected VM has no SMM, but QEMU's command line has smm=auto",
     {CONVERTIBLE_HEAD, "-machine", "smm=auto"}},
    {"incoming",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot be restored, which QEMU's option '-incoming defer' asks for",
     {CONVERTIBLE_HEAD, "-incoming", "defer"}},
    {"loadvm",
     CAPS_SHIM,
     BAD,
     "a software-protected VM cannot be restored, which QEMU's option '-loadvm snap' asks for",
     {CONVERTIBLE_HEAD, "-loadvm", "snap"}},
    {"unknown-option",
     CAPS_SHIM,
     BAD,
     "libvirt-gmem does not know QEMU's option '-novel', and cannot determine whether '-mem-path' "
     "is its value or another option",
     {HEAD, OPTION, SHARED, "-novel", "-mem-path", "/x"}},
    {"nobody-has-it",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-x-libvirt-gmem' leaves private memory to the domain's launch security, and "
     "the domain has none for it",
     {HEAD, OPTION, NONE}},
    {"sev-has-it-not",
     CAPS_SHIM,
     BAD,
     "QEMU's option '-x-libvirt-gmem' leaves private memory to the domain's launch security, and "
     "the domain has none for it",
     {HEAD, "-machine", "confidential-guest-support=lsec0", "-object", "sev-guest,id=lsec0", OPTION,
      NONE}},
};

static void
testRefusal(gconstpointer data)
{
    const Refusal *test = data;
    gmemQEMUCaps caps = {.emulator = (char[]){"/q"}, .flags = test->flags};
    g_autoptr(GError) error = NULL;

    g_assert_null(gmemCommandBuild((char *const *)test->argv, &caps, &error));
    g_assert_nonnull(error);
    g_assert_cmpstr(error->message, ==, test->message);
    g_assert_error(error, GMEM_ERROR, test->code);
}

/* The carrier is the conf part's to judge; here only that its refusal is passed on. */
static void
testDamagedCarrier(void)
{
    static const char *const values[] = {
        "",
        "x",
        "{}",
        "{\"version\":3,\"mode\":\"fully-shared\",\"added\":[]}",
        "{\"version\":1,\"mode\":\"fully-shared\",\"added\":[],\"more\":1}",
        "version=1,mode=fully-shared,backends=1,ram=67108864",
    };
    gmemQEMUCaps caps = {.emulator = (char[]){"/q"}, .flags = CAPS_SHIM};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(values); i++) {
        const char *const argv[] = {HEAD, OPTION, values[i], NULL};
        g_autoptr(GError) error = NULL;

        g_assert_null(gmemCommandBuild((char *const *)argv, &caps, &error));
        g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_ERROR);
    }
}

static void
testConcerns(void)
{
    static const char *const none[] = {"qemu", "-append", OPTION, OPTION "x", "y", NULL};
    static const char *const one[] = {"qemu", "-append", OPTION, "--x-libvirt-gmem", NULL};
    static const char *const empty[] = {NULL};

    g_assert_false(gmemCommandHasPair((char *const *)none));
    g_assert_true(gmemCommandHasPair((char *const *)one));
    g_assert_false(gmemCommandHasPair((char *const *)empty));
}

static void
testNodesets(void)
{
    static const struct {
        const char *first;
        const char *second;
        bool differ;
    } tests[] = {
        {"", "", false},
        {",\"host-nodes\":[0]", ",\"host-nodes\":[0]", false},
        {",\"host-nodes\":[0,1],\"policy\":\"bind\"", ",\"policy\":\"bind\",\"host-nodes\":[0,1]",
         false},
        {",\"host-nodes\":[0,1],\"policy\":\"bind\"",
         ",\"host-nodes\":[0,1],\"policy\":\"preferred\"", true},
        {",\"host-nodes\":[0]", ",\"host-nodes\":[1]", true},
        {",\"host-nodes\":[0]", "", true},
        {"", ",\"host-nodes\":[0]", true},
        {",\"host-nodes\":[0]", ",\"host-nodes\":[0,1]", true},
    };
    gmemQEMUCaps caps = {.emulator = (char[]){"/q"}, .flags = CAPS_SHIM};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *first = g_strdup_printf("{\"qom-type\":\"memory-backend-memfd\",\"id\":"
                                                 "\"r0\",\"share\":true,\"size\":4096%s}",
                                                 tests[i].first);
        g_autofree char *second = g_strdup_printf("{\"qom-type\":\"memory-backend-memfd\",\"id\":"
                                                  "\"r1\",\"share\":true,\"size\":4096%s}",
                                                  tests[i].second);
        const char *const argv[] = {"qemu",  "-machine",       "pc",   KVM,     "-object",
                                    first,   "-object",        second, "-numa", "node,memdev=r0",
                                    "-numa", "node,memdev=r1", OPTION, SHARED,  NULL};
        g_autoptr(GError) error = NULL;
        g_autoptr(gmemCommand) command = gmemCommandBuild((char *const *)argv, &caps, &error);

        g_assert_no_error(error);
        g_assert_cmpint(command->nodesetsDiffer, ==, tests[i].differ);
    }
}

/* As many cells as QEMU accepts, and no time to speak of. */
static void
testManyCells(void)
{
    gmemQEMUCaps caps = {.emulator = (char[]){"/q"}, .flags = CAPS_SHIM};
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    static const char *const head[] = {"qemu", "-machine", "pc", KVM, OPTION, SHARED};
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemCommand) command = NULL;
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(head); i++)
        g_ptr_array_add(argv, g_strdup(head[i]));
    for (i = 0; i < 1000; i++) {
        g_ptr_array_add(argv, g_strdup("-object"));
        g_ptr_array_add(argv, g_strdup_printf("{\"qom-type\":\"memory-backend-memfd\",\"id\":"
                                              "\"ram-node%zu\",\"share\":true,\"size\":4096}",
                                              i));
        g_ptr_array_add(argv, g_strdup("-numa"));
        g_ptr_array_add(argv, g_strdup_printf("node,nodeid=%zu,memdev=ram-node%zu", i, i));
    }
    g_ptr_array_add(argv, NULL);
    command = gmemCommandBuild((char *const *)argv->pdata, &caps, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(command->nbackends, ==, 1000);
    g_assert_cmpuint(command->ramSize, ==, 4096000);
    g_assert_cmpuint(g_strv_length(command->argv), ==, argv->len - 1);
}

/* As many backends and devices that use them as @n says, after a domain's own. */
static char **
manyWords(size_t n)
{
    static const char *const head[] = {HEAD, OPTION, SHARED};
    char **argv = g_new0(char *, G_N_ELEMENTS(head) + 4 * n + 1);
    size_t words = 0, i;

    for (i = 0; i < G_N_ELEMENTS(head); i++)
        argv[words++] = g_strdup(head[i]);
    for (i = 0; i < n; i++) {
        argv[words++] = g_strdup("-object");
        argv[words++] = g_strdup_printf("memory-backend-ram,id=m%zu,size=1M", i);
        argv[words++] = g_strdup("-device");
        argv[words++] = g_strdup_printf("{'driver':'ivshmem-plain','memdev':'m%zu'}", i);
    }
    return argv;
}

/* There is a bound, and up to it no time that matters. */
static void
testManyBackends(void)
{
    gmemQEMUCaps caps = {.emulator = (char[]){"/q"}, .flags = CAPS_SHIM};
    g_auto(GStrv) most = manyWords(1023);
    g_auto(GStrv) more = manyWords(100000);
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemCommand) command = NULL;
    gint64 start = g_get_monotonic_time();

    command = gmemCommandBuild(most, &caps, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(command->nbackends, ==, 1);
    g_assert_null(gmemCommandBuild(more, &caps, &error));
    g_assert_cmpstr(error->message, ==, "QEMU's command line has more than 1024 memory backends");
    g_assert_cmpint(g_get_monotonic_time() - start, <, 10 * G_USEC_PER_SEC);
}

int
main(int argc, char **argv)
{
    size_t i;

    g_setenv("LC_ALL", "C", TRUE);
    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/command/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], testCase);
    }
    for (i = 0; i < G_N_ELEMENTS(refusals); i++) {
        g_autofree char *path = g_strconcat("/command/refused/", refusals[i].name, NULL);

        g_test_add_data_func(path, &refusals[i], testRefusal);
    }
    g_test_add_func("/command/damaged-carrier", testDamagedCarrier);
    g_test_add_func("/command/concerns", testConcerns);
    g_test_add_func("/command/nodesets", testNodesets);
    g_test_add_func("/command/many-cells", testManyCells);
    g_test_add_func("/command/many-backends", testManyBackends);
    g_test_add_func("/command/start-private", testStartPrivate);
    return g_test_run();
}
