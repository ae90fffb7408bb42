/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_command.c: properties of the command line that golden files do not show: options in
 * both notations, options that override each other, and each refusal with its code and message.
 * What real libvirt writes is in ../../qemuxml2argvdata. */

#include "config.h"

#include <glib.h>
#include <string.h>

#include "gmemcommand.h"
#include "gmemcommandline.h"
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

/* What most tests have before the arguments that they are about. */
#define HEAD "qemu", MACHINE, KVM, "-m", "64", "-object", MEMFD("pc.ram", MIB64)
#define SHARED_HEAD HEAD, OPTION, SHARED
/* The first of these, for a QEMU that has guest_memfd of its own. */
#define PRIVATE_HEAD(property)                                                                     \
    "qemu", MACHINE, KVM, "-m", "64", "-object",                                                   \
        "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,"                 \
        "\"size\":" MIB64 "," property "}"
#define SW_PROTECTED "-object", "{\"qom-type\":\"sw-protected-vm\",\"id\":\"lsec0\"}"

#define CONVERTIBLE_HEAD "qemu", SPLIT, KVM, "-object", RAM("pc.ram", MIB64), OPTION, CONVERTIBLE
#define LOOKING_GLASS                                                                              \
    "{'qom-type':'memory-backend-file','id':'looking-glass','mem-path':'/dev/kvmfr0',"             \
    "'size':134217728,'share':true}"

#define WORDS_MAX 40

/* A command line and the result. */
typedef struct {
    const char *name;
    guint64 flags;
    const char *argv[WORDS_MAX];
    const char *expected[WORDS_MAX]; /* empty: argv with @shim in it */
    const char *shim;                /* the shim's configuration */
    const char *object;              /* what makes it guest_memfd; NULL: the shim */
    size_t backends;                 /* 0: one */
    unsigned long long ram;          /* 0: 64 MiB a backend */
} Case;

#define NO_BACKENDS SIZE_MAX

#define SHIM_64 "version=1,mode=fully-shared,backends=1,ram=67108864"
#define SHIM_CONVERTIBLE_64                                                                        \
    "version=1,mode=convertible,backends=1,ram=67108864,start=shared,backend=pc.ram:67108864"
#define LETTERS_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define NO_S3(chip) chip ".disable_s3=1"

/* Arguments of the user's that do not matter here. */
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
    {"shim", CAPS_SHIM, {SHARED_HEAD, "-S"}, .shim = SHIM_64},
    {"property",
     CAPS_PROPERTY,
     {HEAD, "-S", OPTION, SHARED},
     .expected = {PRIVATE_HEAD("\"guest-memfd\":true"), "-S"},
     .object = "guest-memfd"},
    {"property-on-off-auto",
     CAPS_PROPERTY | FLAG(MEMFD_GUEST_MEMFD_ENUM),
     {SHARED_HEAD},
     .expected = {PRIVATE_HEAD("\"guest-memfd\":\"on\"")},
     .object = "guest-memfd"},
    {"x-property",
     CAPS_X_PROPERTY,
     {SHARED_HEAD},
     .expected = {PRIVATE_HEAD("\"x-guest-memfd\":true")},
     .object = "x-guest-memfd"},
    {"stable-name-preferred",
     CAPS_BOTH,
     {SHARED_HEAD},
     .expected = {PRIVATE_HEAD("\"guest-memfd\":true")},
     .object = "guest-memfd"},
    {"object",
     CAPS_OBJECT,
     {"qemu", MACHINE, KVM, "-object", RAM("pc.ram", MIB64), "-S", OPTION, CONVERTIBLE, "-sandbox",
      "on"},
     .expected = {"qemu", "-machine",
                  "q35,usb=off,memory-backend=pc.ram,kernel_irqchip=split,"
                  "confidential-guest-support=lsec0",
                  KVM, "-object",
                  "{\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\",\"size\":67108864,"
                  "\"private\":true}",
                  "-S", SW_PROTECTED, "-sandbox", "on"},
     .object = "sw-protected-vm"},
    {"object-without-property",
     CAPS_OBJECT_ONLY,
     {CONVERTIBLE_HEAD, "-sandbox", "on"},
     .expected = {"qemu", "-machine",
                  "q35,memory-backend=pc.ram,kernel_irqchip=split,confidential-guest-support=lsec0",
                  KVM, "-object", RAM("pc.ram", MIB64), SW_PROTECTED, "-sandbox", "on"},
     .object = "sw-protected-vm"},
    {"shim-convertible", CAPS_SHIM, {CONVERTIBLE_HEAD}, .shim = SHIM_CONVERTIBLE_64},
    {/* more than one backend, in the order of the command line; what the shim requires is reported
      * whether libvirt has specified it or not, because its property may belong to another
      * machine */
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
     .shim = "version=1,mode=convertible,backends=2,ram=134217728,start=shared,"
             "backend=ram-node1:67108864,other=nv:1073741824,backend=ram-node0:67108864",
     .backends = 2},
    {/* the same request, but a QEMU that only has the other mode's property */
     "property-does-not-help-convertible",
     CAPS_PROPERTY,
     {CONVERTIBLE_HEAD},
     .shim = SHIM_CONVERTIBLE_64},
    {"object-does-not-help-shared", CAPS_OBJECT, {SHARED_HEAD}, .shim = SHIM_64},
    {"two-dashes",
     CAPS_SHIM,
     {"qemu", "--machine", "pc,memory-backend=pc.ram", "--accel", "kvm", "--object",
      MEMFD("pc.ram", MIB64), "--x-libvirt-gmem", SHARED},
     .shim = SHIM_64},
    {"key-value-notation",
     CAPS_PROPERTY,
     {"qemu", "-M", "q35,accel=kvm", "-object",
      "memory-backend-memfd,id=ram-node0,size=64M,share=on", "-object",
      "id=ram-node1,share=yes,size=67108864,qom-type=memory-backend-memfd", "-numa",
      "node,nodeid=0,memdev=ram-node0", "-numa", "nodeid=1,memdev=ram-node1,type=node", OPTION,
      SHARED},
     .expected =
         {"qemu", "-M", "q35,accel=kvm", "-object",
          "memory-backend-memfd,id=ram-node0,size=64M,share=on,guest-memfd=on", "-object",
          "id=ram-node1,share=yes,size=67108864,qom-type=memory-backend-memfd,guest-memfd=on",
          "-numa", "node,nodeid=0,memdev=ram-node0", "-numa",
          "nodeid=1,memdev=ram-node1,type=node"},
     .object = "guest-memfd",
     .backends = 2},
    {"key-value-private",
     CAPS_OBJECT,
     {"qemu", "-enable-kvm", "-machine", "memory-backend=a-b,type=pc", "-object",
      "memory-backend-file,id=a-b,size=0.5G,size=1G,mem-path=/x,,y", OPTION, CONVERTIBLE},
     .expected =
         {"qemu", "-enable-kvm", "-machine",
          "memory-backend=a-b,type=pc,kernel_irqchip=split,confidential-guest-support=lsec0",
          "-object", "memory-backend-file,id=a-b,size=0.5G,size=1G,mem-path=/x,,y,private=on",
          SW_PROTECTED},
     .object = "sw-protected-vm",
     .ram = 1 << 30},
    {"numa-distances",
     CAPS_SHIM,
     {"qemu", "-machine", "pc", KVM, "-object", MEMFD("r0", MIB64), "-numa",
      "node,nodeid=0,memdev=r0", "-numa", "dist,src=0,dst=0,val=10", OPTION, SHARED},
     .shim = SHIM_64},
    {"last-machine-counts",
     CAPS_SHIM,
     {"qemu", "-machine", "q35,memory-backend=other", KVM, "-object", MEMFD("pc.ram", MIB64),
      OPTION, SHARED, "-machine", "memory-backend=pc.ram"},
     .shim = SHIM_64},
    {"split-by-accel",
     CAPS_OBJECT_ONLY,
     {"qemu", MACHINE, "-accel", "kvm,kernel-irqchip=split", "-object", RAM("pc.ram", MIB64),
      OPTION, CONVERTIBLE},
     .expected = {"qemu", "-machine",
                  "q35,usb=off,memory-backend=pc.ram,confidential-guest-support=lsec0", "-accel",
                  "kvm,kernel-irqchip=split", "-object", RAM("pc.ram", MIB64), SW_PROTECTED},
     .object = "sw-protected-vm"},
    {"split-by-accel-for-shim",
     CAPS_SHIM,
     {"qemu", MACHINE, "-accel", "kvm,kernel-irqchip=split", "-object", RAM("pc.ram", MIB64),
      OPTION, CONVERTIBLE},
     .shim = SHIM_CONVERTIBLE_64},
    {"dimm-nvdimm-pmem",
     CAPS_PROPERTY,
     {HEAD, "-object", MEMFD("memdimm0", MIB64), "-device",
      "{\"driver\":\"pc-dimm\",\"node\":0,\"memdev\":\"memdimm0\",\"id\":\"dimm0\"}", "-object",
      "{\"qom-type\":\"memory-backend-file\",\"id\":\"memnv\",\"mem-path\":\"/x\",\"size\":1}",
      "-device", "nvdimm,memdev=memnv,id=nv0", "-object",
      "memory-backend-file,id=mempm,mem-path=/y,size=1G", "-device",
      "{\"driver\":\"virtio-pmem-pci\",\"memdev\":\"mempm\",\"id\":\"pm0\"}", OPTION, SHARED},
     .expected =
         {PRIVATE_HEAD("\"guest-memfd\":true"), "-object",
          "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"memdimm0\",\"share\":true,"
          "\"size\":67108864,\"guest-memfd\":true}",
          "-device", "{\"driver\":\"pc-dimm\",\"node\":0,\"memdev\":\"memdimm0\",\"id\":\"dimm0\"}",
          "-object",
          "{\"qom-type\":\"memory-backend-file\",\"id\":\"memnv\",\"mem-path\":\"/x\",\"size\":1}",
          "-device", "nvdimm,memdev=memnv,id=nv0", "-object",
          "memory-backend-file,id=mempm,mem-path=/y,size=1G", "-device",
          "{\"driver\":\"virtio-pmem-pci\",\"memdev\":\"mempm\",\"id\":\"pm0\"}"},
     .object = "guest-memfd",
     .backends = 2},
    {"property-there-already",
     CAPS_PROPERTY,
     {"qemu", MACHINE, KVM, "-object",
      "memory-backend-memfd,id=pc.ram,size=64M,share=on,guest-memfd=on", OPTION, SHARED},
     .expected = {"qemu", MACHINE, KVM, "-object",
                  "memory-backend-memfd,id=pc.ram,size=64M,share=on,guest-memfd=on"},
     .object = "guest-memfd"},
    {"longest-part-of-set",
     CAPS_SHIM,
     {SHARED_HEAD, "-set", "device." LETTERS_63 ".vgamem_mb=64"},
     .shim = SHIM_64},
    {"values-of-other-options",
     CAPS_SHIM,
     {HEAD, "-append", OPTION, "-name", "-object", OPTION, SHARED, "-kernel", "-machine"},
     .shim = SHIM_64},
    {"harmless-set-and-global",
     CAPS_SHIM,
     {SHARED_HEAD, "-set", "device.video0.vgamem_mb=64", "-global", "ICH9-LPC.disable_s3=1",
      "-device", "virtio-blk-pci,drive=mem,id=x"},
     .shim = SHIM_64},
    {"harmless-user-arguments", CAPS_SHIM, {SHARED_HEAD, HARMLESS}, .shim = SHIM_64},
    {"harmless-in-convertible",
     CAPS_SHIM,
     {CONVERTIBLE_HEAD, HARMLESS_CONVERTIBLE},
     .shim = SHIM_CONVERTIBLE_64},
    {/* as Looking Glass has it, in QEMU's dialect of JSON */
     "ivshmem",
     CAPS_SHIM,
     {SHARED_HEAD, "-object", LOOKING_GLASS, "-device",
      "{'driver':'ivshmem-plain','id':'shmem0','memdev':'looking-glass'}"},
     .shim = SHIM_64},
    {"ivshmem-with-property",
     CAPS_PROPERTY,
     {SHARED_HEAD, "-object", LOOKING_GLASS, "-device", "ivshmem-plain,memdev=looking-glass"},
     .expected = {PRIVATE_HEAD("\"guest-memfd\":true"), "-object", LOOKING_GLASS, "-device",
                  "ivshmem-plain,memdev=looking-glass"},
     .object = "guest-memfd"},
    {"ivshmem-convertible",
     CAPS_SHIM,
     {CONVERTIBLE_HEAD, "-object", MEMFD("shm", "4096"), "-device", "ivshmem-plain,memdev=shm"},
     .shim = SHIM_CONVERTIBLE_64 ",other=shm:4096"},
    {/* requested by libvirt on its own initiative, together with "private" */
     "prealloc-not-asked-for",
     CAPS_OBJECT,
     {"qemu", SPLIT, KVM, "-object", HUGE("true,\"size\":67108864}"), OPTION, NO_PREALLOC},
     .expected = {"qemu", "-machine",
                  "q35,memory-backend=pc.ram,kernel_irqchip=split,confidential-guest-support=lsec0",
                  KVM, "-object", HUGE("false,\"size\":67108864,\"private\":true}"), SW_PROTECTED},
     .object = "sw-protected-vm"},
    {/* a virtio-pmem only has this since lowering wrote it; an NVDIMM always has it */
     "prealloc-not-asked-for-files",
     CAPS_SHIM,
     {"qemu", SPLIT, KVM, "-object", HUGE("true,\"size\":67108864}"), "-object",
      PREALLOC_FILE("nv", "true"), "-device", "nvdimm,memdev=nv", "-object",
      PREALLOC_FILE("pm", "true"), "-device", "virtio-pmem-pci,memdev=pm", OPTION, NO_PREALLOC},
     .expected = {"qemu", SPLIT, KVM, "-object", HUGE("false,\"size\":67108864}"), "-object",
                  PREALLOC_FILE("nv", "true"), "-device", "nvdimm,memdev=nv", "-object",
                  PREALLOC_FILE("pm", "false"), "-device", "virtio-pmem-pci,memdev=pm", OPTION,
                  SHIM_CONVERTIBLE_64 ",other=nv:4096,other=pm:4096", "-global",
                  NO_S3("ICH9-LPC")}},
    {"prealloc-not-asked-for-shim",
     CAPS_SHIM,
     {"qemu", SPLIT, KVM, "-object", HUGE("true,\"size\":67108864}"), OPTION, NO_PREALLOC},
     .expected = {"qemu", SPLIT, KVM, "-object", HUGE("false,\"size\":67108864}"), OPTION,
                  SHIM_CONVERTIBLE_64, "-global", NO_S3("ICH9-LPC")}},
    {"prealloc-asked-for",
     CAPS_SHIM,
     {"qemu", SPLIT, KVM, "-object", HUGE("true,\"size\":67108864}"), OPTION, CONVERTIBLE},
     .shim = SHIM_CONVERTIBLE_64},
    {"launch-security-of-hardware",
     CAPS_SHIM,
     {"qemu", "-machine", "q35,confidential-guest-support=lsec0,memory-backend=pc.ram", KVM,
      "-object", RAM("pc.ram", MIB64), "-object",
      "{\"qom-type\":\"sev-snp-guest\",\"id\":\"lsec0\"}", OPTION, NONE},
     .expected = {"qemu", "-machine", "q35,confidential-guest-support=lsec0,memory-backend=pc.ram",
                  KVM, "-object", RAM("pc.ram", MIB64), "-object",
                  "{\"qom-type\":\"sev-snp-guest\",\"id\":\"lsec0\"}"},
     .object = "none",
     .backends = NO_BACKENDS},
};

static gmemCommand *
buildStart(const char *const *argv, guint64 flags, bool startPrivate, GError **error)
{
    gmemQEMUCaps caps = {.emulator = (char[]){"/q"}, .flags = flags};

    return gmemCommandBuild((char *const *)argv, &caps, startPrivate, error);
}

static gmemCommand *
build(const char *const *argv, guint64 flags, GError **error)
{
    return buildStart(argv, flags, false, error);
}

/* @argv with the shim's configuration in place of the carrier, as the option's last value. */
static void
expectShim(const char *const *argv, const char *shim, const char **expected)
{
    bool q35 = false;
    size_t option = 0, n = 0, i;

    for (i = 0; argv[i] != NULL; i++) {
        q35 |= g_str_has_prefix(argv[i], "q35");
        if (g_str_has_suffix(argv[i], OPTION))
            option = i;
    }
    for (i = 0; argv[i] != NULL; i++) {
        expected[n++] = option > 0 && i == option + 1 ? shim : argv[i];
        if (i == option + 1 && strstr(shim, "mode=convertible") != NULL) {
            expected[n++] = "-global";
            expected[n++] = q35 ? NO_S3("ICH9-LPC") : NO_S3("PIIX4_PM");
        }
    }
}

/* The shim's configuration ends in hashes of the options that make memory. */
static void
assertShim(char *const argv[], const char *value, const char *expected)
{
    g_autoptr(GString) text = g_string_new(expected);
    gmemArgvOption option;
    size_t position = 0;
    unsigned int n = 0;

    while (gmemArgvNext(argv, &position, &option)) {
        if (gmemArgvMakesMemory(&option))
            g_string_append_printf(text, "%s%016" G_GINT64_MODIFIER "x", n++ == 0 ? ",argv=" : ":",
                                   gmemArgvHash(&option));
    }
    g_assert_cmpstr(value, ==, text->str);
}

static void
testCase(gconstpointer data)
{
    const Case *test = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemCommand) command = build(test->argv, test->flags, &error);
    const char *object = test->object != NULL ? test->object : "shim";
    size_t backends = test->backends == NO_BACKENDS ? 0 : MAX(test->backends, 1);
    const char *made[WORDS_MAX] = {NULL};
    const char *const *expected = test->shim != NULL ? made : test->expected;
    size_t i;

    g_assert_no_error(error);
    if (test->shim != NULL)
        expectShim(test->argv, test->shim, made);
    for (i = 0; expected[i] != NULL && command->argv[i] != NULL; i++) {
        if (g_str_has_prefix(expected[i], "version="))
            assertShim(command->argv, command->argv[i], expected[i]);
        else
            g_assert_cmpstr(command->argv[i], ==, expected[i]);
    }
    g_assert_cmpstr(command->argv[i], ==, expected[i]);
    g_assert_cmpint(command->shim, ==, g_str_equal(object, "shim"));
    g_assert_cmpuint(command->ramSize, ==, test->ram > 0 ? test->ram : backends * (64 << 20));
    g_assert_cmpuint(command->nbackends, ==, backends);
    g_assert_cmpstr(command->supplier, ==, object);
}

static void
assertStart(guint64 flags, const char *carrier, const char *expected)
{
    const char *argv[] = {"qemu", SPLIT,   KVM, "-object", MEMFD("pc.ram", MIB64),
                          OPTION, carrier, NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemCommand) command = buildStart(argv, flags, true, &error);
    g_autofree char *joined = NULL;

    g_assert_no_error(error);
    joined = g_strjoinv(" ", command->argv);
    g_test_message("%s", joined);
    g_assert_cmpint(strstr(joined, "start=private") != NULL, ==, expected != NULL);
    if (expected != NULL)
        g_assert_nonnull(strstr(joined, expected));
}

/* What the administrator can choose only affects the shim's convertible mode. */
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
    const char *message;
    const char *argv[WORDS_MAX];
    guint64 flags; /* 0: CAPS_SHIM */
    int code;      /* 0: VIR_ERR_CONFIG_UNSUPPORTED */
} Refusal;

#define NOT_BESIDE                                                                                 \
    "; beside private memory there can be that of nvdimm, virtio-pmem and ivshmem-plain only"
#define NO_BACKEND "the machine's RAM has no memory backend, so it cannot be private"
#define SIZE_UNREADABLE "cannot read the size of memory backend 'pc.ram' (<memory>)"
#define LOCKED                                                                                     \
    "a software-protected VM cannot have its memory locked: QEMU's option '-overcommit mem-lock' " \
    "would populate all of the shared half"
#define LOST_IN_SLEEP(option)                                                                      \
    "a software-protected VM loses its private memory in suspend-to-memory, which QEMU's command " \
    "line enables: '" option "'"
#define PINNED(device)                                                                             \
    "a software-protected VM cannot have the device '" device                                      \
    "': its DMA requires pinned shared pages"
#define REQUIRES_MEMFD(device)                                                                     \
    "QEMU's device '" device "' requires guest RAM in a memfd, and not in guest_memfd"

static const Refusal refusals[] = {
    {"suspend-to-memory", LOST_IN_SLEEP("ICH9-LPC.disable_s3=0"),
     .argv = {"qemu", SPLIT, KVM, "-global", "ICH9-LPC.disable_s3=0", "-object",
              RAM("pc.ram", MIB64), OPTION, CONVERTIBLE}},
    {"size-of-no-whole-pages",
     "memory backend 'pc.ram' (<memory>) has a size of 67108865 bytes, which is not a multiple of "
     "guest_memfd's pages of 4096 bytes",
     .argv = {"qemu", MACHINE, KVM, "-object", MEMFD("pc.ram", "67108865"), OPTION, SHARED}},
    {"cell-of-no-whole-pages",
     "memory backend 'ram-node1' (<cell id='1'>) has a size of 1048577 bytes, which is not a "
     "multiple of guest_memfd's pages of 4096 bytes",
     .argv = {"qemu", "-machine", "q35,kernel_irqchip=split", KVM, "-object",
              RAM("ram-node0", "1048576"), "-numa", "node,memdev=ram-node0", "-object",
              RAM("ram-node1", "1048577"), "-numa", "node,memdev=ram-node1", OPTION, CONVERTIBLE},
     .flags = CAPS_OBJECT},
    {"convertible-vfio", PINNED("vfio-pci"),
     .argv = {CONVERTIBLE_HEAD, "-device",
              "{\"driver\":\"vfio-pci\",\"host\":\"0000:06:12.5\",\"id\":\"hostdev0\"}"},
     .flags = CAPS_OBJECT},
    {"convertible-user-vfio", PINNED("vfio-ccw"),
     .argv = {CONVERTIBLE_HEAD, "-device", "vfio-ccw,sysfsdev=/x"}},
    {"no-pair", "QEMU's command line does not have the option '-x-libvirt-gmem'", .argv = {HEAD},
     .code = VIR_ERR_XML_ERROR},
    {"pair-doubled", "QEMU's option '-x-libvirt-gmem' is given more than once",
     .argv = {SHARED_HEAD, OPTION, SHARED}, .code = VIR_ERR_XML_ERROR},
    {"pair-doubled-with-two-dashes", "QEMU's option '-x-libvirt-gmem' is given more than once",
     .argv = {SHARED_HEAD, "--x-libvirt-gmem", SHARED}, .code = VIR_ERR_XML_ERROR},
    {"pair-without-value", "QEMU's option '-x-libvirt-gmem' has no value", .argv = {HEAD, OPTION},
     .code = VIR_ERR_XML_ERROR},
    {"no-machine", "QEMU's command line has no -machine", .argv = {"qemu", KVM, OPTION, SHARED}},
    {"machine-as-json", "cannot read the value of QEMU's option '-machine {\"type\":\"pc\"}'",
     .argv = {"qemu", "-machine", "{\"type\":\"pc\"}", KVM, OPTION, SHARED}},
    {"microvm", "machine type 'microvm' cannot have private memory; use q35 or pc",
     .argv = {SHARED_HEAD, "-machine", "microvm"}},
    {"isapc", "machine type 'isapc' cannot have private memory; use q35 or pc",
     .argv = {SHARED_HEAD, "-machine", "type=isapc"}},
    {"no-accelerator", "guest_memfd requires KVM, which QEMU's command line does not enable",
     .argv = {"qemu", MACHINE, "-object", MEMFD("pc.ram", MIB64), OPTION, SHARED}},
    {"tcg", "guest_memfd requires KVM, and QEMU would use the accelerator 'tcg'",
     .argv = {"qemu", MACHINE, "-accel", "tcg", "-object", MEMFD("pc.ram", MIB64), OPTION, SHARED}},
    {"tcg-too", "guest_memfd requires KVM, and QEMU would use the accelerator 'tcg'",
     .argv = {SHARED_HEAD, "-accel", "tcg,thread=multi"}},
    {"tcg-by-machine", "guest_memfd requires KVM, and QEMU would use the accelerator 'kvm:tcg'",
     .argv = {SHARED_HEAD, "-machine", "accel=kvm:tcg"}},
    {"numa-as-json",
     "cannot read the value of QEMU's option '-numa {\"type\":\"node\",\"memdev\":\"r0\"}'",
     .argv = {"qemu", "-machine", "pc", KVM, "-object", MEMFD("r0", MIB64), "-numa",
              "{\"type\":\"node\",\"memdev\":\"r0\"}", OPTION, SHARED}},
    {"no-ram", NO_BACKEND, .argv = {"qemu", "-machine", "pc", KVM, OPTION, SHARED}},
    {"only-a-dimm", NO_BACKEND,
     .argv = {"qemu", "-machine", "pc", KVM, "-object", MEMFD("d", MIB64), "-device",
              "pc-dimm,memdev=d,id=dimm0", OPTION, SHARED}},
    {"backend-missing", "there is no memory backend 'pc.ram', which -machine memory-backend uses",
     .argv = {"qemu", MACHINE, KVM, OPTION, SHARED}},
    {"dimm-backend-missing", "there is no memory backend 'x', which pc-dimm 'dimm0' uses",
     .argv = {HEAD, "-device", "{\"driver\":\"pc-dimm\",\"memdev\":\"x\",\"id\":\"dimm0\"}", OPTION,
              SHARED}},
    {"backend-twice", "two memory backends have the id 'pc.ram' (<memory>)",
     .argv = {SHARED_HEAD, "-object", "memory-backend-ram,id=pc.ram,size=64M"}},
    {"backend-used-twice",
     "memory backend 'pc.ram' (<memory>) is used twice, by nvdimm 'n' and by -machine "
     "memory-backend",
     .argv = {SHARED_HEAD, "-device", "nvdimm,memdev=pc.ram,id=n"}},
    {"backend-without-id", "a memory backend of type memory-backend-ram has no id",
     .argv = {SHARED_HEAD, "-object", "memory-backend-ram,size=64M"}},
    {"backend-unused",
     "memory backend 'shm' (memory-backend-file) is not used by anything on QEMU's command line, "
     "which a domain with private memory cannot have",
     .argv = {SHARED_HEAD, "-object", "memory-backend-file,id=shm,mem-path=/x,size=1M"}},
    {"backend-of-another-device",
     "memory backend 'b' (memory-backend-ram) is used by hv-balloon 'x'" NOT_BESIDE,
     .argv = {SHARED_HEAD, "-object", "memory-backend-ram,id=b,size=1G", "-device",
              "{'driver':'hv-balloon','memdev':'b','id':'x'}"}},
    {"backend-of-cxl", "memory backend 'b' (memory-backend-ram) is used by cxl-type3 ''" NOT_BESIDE,
     .argv = {SHARED_HEAD, "-object", "memory-backend-ram,id=b,size=1G", "-device",
              "cxl-type3,volatile-memdev=b"}},
    {"backend-of-nvme", "memory backend 'b' (memory-backend-file) is used by nvme 'n'" NOT_BESIDE,
     .argv = {SHARED_HEAD, "-object", "memory-backend-file,id=b,size=1G,mem-path=/x", "-device",
              "nvme,id=n,serial=x,pmrdev=b"}},
    {"backend-of-sgx",
     "memory backend 'b' (memory-backend-epc) is used by -machine sgx-epc.0.memdev" NOT_BESIDE,
     .argv = {SHARED_HEAD, "-object", "memory-backend-epc,id=b,size=1G", "-machine",
              "sgx-epc.0.memdev=b,sgx-epc.0.node=0"}},
    {"backend-replaced",
     "QEMU's option '-machine memory-backend=ram1' would replace the memory backend 'pc.ram' that "
     "is the domain's RAM",
     .argv = {SHARED_HEAD, "-object", MEMFD("ram1", MIB64), "-machine", "memory-backend=ram1"}},
    {"backend-replaced-with-underscore",
     "QEMU's option '-machine memory-backend=ram1' would replace the memory backend 'pc.ram' that "
     "is the domain's RAM",
     .argv = {SHARED_HEAD, "-object", MEMFD("ram1", MIB64), "-M", "memory_backend=ram1"}},
    {"ivshmem-doorbell",
     "memory backend 'b' (memory-backend-file) is used by ivshmem-doorbell 'i'" NOT_BESIDE,
     .argv = {SHARED_HEAD, "-object", "memory-backend-file,id=b,size=1G,mem-path=/x", "-device",
              "ivshmem-doorbell,memdev=b,id=i"}},
    {"ivshmem-of-memfd",
     "memory backend 'shm' of ivshmem-plain 'i' is a memory-backend-memfd; beside fully shared "
     "private memory it must be a memory-backend-file",
     .argv = {SHARED_HEAD, "-object", MEMFD("shm", MIB64), "-device",
              "ivshmem-plain,memdev=shm,id=i"}},
    {"ivshmem-of-ram",
     "memory backend 'pc.ram' (<memory>) is used twice, by ivshmem-plain 'i' and by -machine "
     "memory-backend",
     .argv = {SHARED_HEAD, "-device", "ivshmem-plain,memdev=pc.ram,id=i"}},
    {"only-ivshmem", NO_BACKEND,
     .argv = {"qemu", "-machine", "pc", KVM, "-object", MEMFD("d", MIB64), "-device",
              "ivshmem-plain,memdev=d", OPTION, SHARED}},
    {"no-machine-type", "QEMU's command line does not say which machine it is for",
     .argv = {"qemu", "-machine", "memory-backend=pc.ram,kernel_irqchip=split", KVM, "-object",
              RAM("pc.ram", MIB64), OPTION, CONVERTIBLE}},
    {"epc",
     "memory backend 'epc' (memory-backend-epc) is not used by anything on QEMU's command line, "
     "which a domain with private memory cannot have",
     .argv = {SHARED_HEAD, "-object", "{\"qom-type\":\"memory-backend-epc\",\"id\":\"epc\"}"}},
    {"nvdimm-on-memfd",
     "memory backend 'n' of nvdimm 'n0' is a memory-backend-memfd; beside private memory it must "
     "be a memory-backend-file",
     .argv = {SHARED_HEAD, "-object", MEMFD("n", MIB64), "-device", "nvdimm,memdev=n,id=n0"}},
    {"nvdimm-on-ram",
     "memory backend 'n' of nvdimm 'n0' is a memory-backend-ram; beside private memory it must be "
     "a memory-backend-file",
     .argv = {SHARED_HEAD, "-object", "memory-backend-ram,id=n,size=64M", "-device",
              "nvdimm,memdev=n,id=n0"}},
    {"virtio-mem", "memory device 'vm0' is of type virtio-mem-pci, which cannot be private",
     .argv = {SHARED_HEAD, "-device",
              "{\"driver\":\"virtio-mem-pci\",\"memdev\":\"x\",\"id\":\"vm0\"}"}},
    {"virtio-mem-escaped", "memory device 'vm0' is of type virtio-mem-pci, which cannot be private",
     .argv = {SHARED_HEAD, "-device", "{\"driver\":\"virtio-\\u006dem-pci\",\"id\":\"vm0\"}"}},
    {"dimm-without-backend", "memory device 'd' of type pc-dimm has no memory backend",
     .argv = {SHARED_HEAD, "-device", "pc-dimm,id=d"}},
    {"numa-mem", "QEMU's option '-numa node,mem=64' gives a cell memory without a memory backend",
     .argv = {SHARED_HEAD, "-numa", "node,mem=64"}},
    {"size-unreadable", SIZE_UNREADABLE,
     .argv = {"qemu", MACHINE, KVM, "-object", "memory-backend-memfd,id=pc.ram,size=1.5G,share=on",
              OPTION, SHARED}},
    {"cell-zero",
     "memory backend 'ram-node1' (<cell id='1'>) has a size of 0, which QEMU refuses; give it "
     "memory",
     .argv = {"qemu", "-machine", "pc", KVM, "-object", MEMFD("ram-node0", "67108864"), "-object",
              MEMFD("ram-node1", "0"), "-numa", "node,memdev=ram-node0", "-numa",
              "node,memdev=ram-node1", OPTION, SHARED}},
    {"dimm-unshared",
     "memory backend 'memdimm0' (<memory model='dimm'>) is not shared, which fully shared "
     "guest_memfd requires",
     .argv = {HEAD, "-object", "memory-backend-memfd,id=memdimm0,size=67108864", "-device",
              "pc-dimm,id=dimm0,memdev=memdimm0", OPTION, SHARED}},
    {"size-zero",
     "memory backend 'pc.ram' (<memory>) has a size of 0, which QEMU refuses; give it memory",
     .argv = {"qemu", MACHINE, KVM, "-object", MEMFD("pc.ram", "0"), OPTION, SHARED}},
    {"size-overflow", "cannot read the size of memory backend 'r1'",
     .argv = {"qemu", "-machine", "pc", KVM, "-object", MEMFD("r0", "18446744073709547520"),
              "-object", MEMFD("r1", "18446744073709547520"), "-numa", "node,memdev=r0", "-numa",
              "node,memdev=r1", OPTION, SHARED}},
    {"size-suffix-overflow", SIZE_UNREADABLE,
     .argv = {"qemu", MACHINE, KVM, "-object", "memory-backend-memfd,id=pc.ram,size=99E,share=on",
              OPTION, SHARED}},
    {"size-missing", SIZE_UNREADABLE,
     .argv = {"qemu", MACHINE, KVM, "-object", "memory-backend-memfd,id=pc.ram,share=on", OPTION,
              SHARED}},
    {"object-unreadable", "cannot read the value of QEMU's option '-object {\"qom-type\":'",
     .argv = {SHARED_HEAD, "-object", "{\"qom-type\":"}},
    {"object-with-a-key-twice",
     "cannot read the value of QEMU's option '-object {\"id\":\"a\",\"id\":\"b\"}'",
     .argv = {SHARED_HEAD, "-object", "{\"id\":\"a\",\"id\":\"b\"}"}},
    {"option-at-the-end", "the option '-object' at the end of QEMU's command line has no value",
     .argv = {SHARED_HEAD, "-object"}},
    {"shared-on-file",
     "memory backend 'pc.ram' (<memory>) is a memory-backend-file; for fully shared guest_memfd it "
     "must be a memory-backend-memfd",
     .argv = {"qemu", MACHINE, KVM, "-object",
              "memory-backend-file,id=pc.ram,size=64M,share=on,mem-path=/x", OPTION, SHARED}},
    {"shared-on-ram-with-property",
     "memory backend 'pc.ram' (<memory>) is a memory-backend-ram; for fully shared guest_memfd it "
     "must be a memory-backend-memfd",
     .argv = {"qemu", MACHINE, KVM, "-object", RAM("pc.ram", MIB64), OPTION, SHARED},
     .flags = CAPS_PROPERTY},
    {"shared-not-shared",
     "memory backend 'pc.ram' (<memory>) is not shared, which fully shared guest_memfd requires",
     .argv = {"qemu", MACHINE, KVM, "-object", "memory-backend-memfd,id=pc.ram,size=64M", OPTION,
              SHARED}},
    {"shared-off",
     "memory backend 'pc.ram' (<memory>) is not shared, which fully shared guest_memfd requires",
     .argv = {"qemu", MACHINE, KVM, "-object", "memory-backend-memfd,id=pc.ram,size=64M,share=off",
              OPTION, SHARED},
     .flags = CAPS_PROPERTY},
    {"shared-hugetlb",
     "memory backend 'pc.ram' (<memory>) asks for huge pages, which guest_memfd does not have",
     .argv = {"qemu", MACHINE, KVM, "-object",
              "memory-backend-memfd,id=pc.ram,size=64M,share=on,hugetlb=on", OPTION, SHARED}},
    {"shared-property-off",
     "memory backend 'pc.ram' (<memory>) has the property 'guest-memfd' switched off; switch it on "
     "or remove it",
     .argv = {"qemu", MACHINE, KVM, "-object",
              "memory-backend-memfd,id=pc.ram,size=64M,share=on,guest-memfd=off", OPTION, SHARED},
     .flags = CAPS_PROPERTY},
    {"shared-with-confidential",
     "fully shared guest_memfd and confidential guest support ('sev0') are mutually exclusive",
     .argv = {SHARED_HEAD, "-machine", "confidential-guest-support=sev0"}},
    {"shared-with-iommufd", REQUIRES_MEMFD("vfio-pci,iommufd=iommufd0"),
     .argv = {SHARED_HEAD, "-object", "iommufd,id=iommufd0", "-device",
              "{\"driver\":\"vfio-pci\",\"host\":\"0000:06:12.5\",\"iommufd\":\"iommufd0\"}"}},
    {"shared-with-blob", REQUIRES_MEMFD("virtio-vga,blob=true"),
     .argv = {SHARED_HEAD, "-device", "virtio-vga,blob=true"}},
    {"shared-with-set-blob", REQUIRES_MEMFD("g,blob=on"),
     .argv = {SHARED_HEAD, "-device", "virtio-vga,id=g", "-set", "device.g.blob=on"}},
    {"shared-with-set-iommufd", REQUIRES_MEMFD("v,iommufd=i"),
     .argv = {SHARED_HEAD, "-device", "vfio-pci,id=v", "-set", "device.v.iommufd=i"}},
    {"shared-with-global-blob", REQUIRES_MEMFD("virtio-vga,blob=on"),
     .argv = {SHARED_HEAD, "-global", "virtio-vga.blob=on"}},
    {"shared-with-global-iommufd", REQUIRES_MEMFD("vfio-pci,iommufd=i"),
     .argv = {SHARED_HEAD, "-global", "driver=vfio-pci,property=iommufd,value=i"}},
    {"convertible-with-confidential", "the machine has confidential guest support already: 'sev0'",
     .argv = {HEAD, OPTION, CONVERTIBLE, "-machine", "confidential-guest-support=sev0"},
     .flags = CAPS_OBJECT},
    {"convertible-with-encryption", "the machine has confidential guest support already: 'sev0'",
     .argv = {HEAD, OPTION, CONVERTIBLE, "-machine", "memory-encryption=sev0"},
     .flags = CAPS_OBJECT},
    {"convertible-lsec0", "QEMU's command line has an object 'lsec0' already",
     .argv = {HEAD, OPTION, CONVERTIBLE, "-object", "secret,id=lsec0,data=x"},
     .flags = CAPS_OBJECT},
    {"convertible-irqchip", "a software-protected VM requires kernel_irqchip=split, not 'on'",
     .argv = {CONVERTIBLE_HEAD, "-machine", "kernel-irqchip=on"}, .flags = CAPS_OBJECT},
    {"convertible-irqchip-by-accel",
     "a software-protected VM requires kernel_irqchip=split, not 'off'",
     .argv = {CONVERTIBLE_HEAD, "-accel", "kvm,kernel-irqchip=off"}, .flags = CAPS_OBJECT},
    {"convertible-irqchip-missing",
     "a software-protected VM requires kernel_irqchip=split, which is not on QEMU's command line",
     .argv = {"qemu", MACHINE, KVM, "-object", RAM("pc.ram", MIB64), OPTION, CONVERTIBLE}},
    {"convertible-smm", "a software-protected VM has no SMM, but QEMU's command line has smm=on",
     .argv = {CONVERTIBLE_HEAD, "-machine", "smm=on"}, .flags = CAPS_OBJECT},
    {"convertible-private-off",
     "memory backend 'pc.ram' (<memory>) has the property 'private' switched off; switch it on or "
     "remove it",
     .argv =
         {"qemu", SPLIT, KVM, "-object",
          "{\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\",\"size\":4096,\"private\":false}",
          OPTION, CONVERTIBLE},
     .flags = CAPS_OBJECT},
    {"suspend-two-zeros", LOST_IN_SLEEP("ICH9-LPC.disable_s3=00"),
     .argv = {CONVERTIBLE_HEAD, "-global", "ICH9-LPC.disable_s3=00"}},
    {"suspend-hexadecimal", LOST_IN_SLEEP("PIIX4_PM.disable_s3=0x0"),
     .argv = {CONVERTIBLE_HEAD, "-global", "PIIX4_PM.disable_s3=0x0"}},
    {"suspend-negative", LOST_IN_SLEEP("ICH9-LPC.disable_s3=-0"),
     .argv = {CONVERTIBLE_HEAD, "-global", "ICH9-LPC.disable_s3=-0"}},
    {"suspend-word", LOST_IN_SLEEP("ICH9-LPC.disable_s3=off"),
     .argv = {CONVERTIBLE_HEAD, "-global", "ICH9-LPC.disable_s3=off"}},
    {"suspend-space", LOST_IN_SLEEP("ICH9-LPC.disable_s3= 0"),
     .argv = {CONVERTIBLE_HEAD, "-global", "ICH9-LPC.disable_s3= 0"}},
    {"suspend-nothing", LOST_IN_SLEEP("ICH9-LPC.disable_s3="),
     .argv = {CONVERTIBLE_HEAD, "-global", "ICH9-LPC.disable_s3="}},
    {"suspend-dash", LOST_IN_SLEEP("ICH9-LPC.disable-s3=0"),
     .argv = {CONVERTIBLE_HEAD, "-global", "ICH9-LPC.disable-s3=0"}},
    {"suspend-long", LOST_IN_SLEEP("driver=ICH9-LPC,property=disable_s3,value=0"),
     .argv = {CONVERTIBLE_HEAD, "-global", "driver=ICH9-LPC,property=disable_s3,value=0"}},
    {"suspend-long-order", LOST_IN_SLEEP("value=0,property=disable_s3,driver=ICH9-LPC"),
     .argv = {CONVERTIBLE_HEAD, "-global", "value=0,property=disable_s3,driver=ICH9-LPC"}},
    {"locked-on", LOCKED, .argv = {CONVERTIBLE_HEAD, "-overcommit", "mem-lock=on"}},
    {"locked-yes", LOCKED, .argv = {CONVERTIBLE_HEAD, "-overcommit", "cpu-pm=on,mem-lock=yes"}},
    {"locked-bare", LOCKED, .argv = {CONVERTIBLE_HEAD, "-overcommit", "mem-lock"}},
    {"locked-on-fault", LOCKED, .argv = {CONVERTIBLE_HEAD, "-overcommit", "mem-lock=on-fault"}},
    {"locked-old", LOCKED, .argv = {CONVERTIBLE_HEAD, "-realtime", "mlock=on"}},
    {"locked-old-default", LOCKED, .argv = {CONVERTIBLE_HEAD, "-realtime", ""}},
    {"vfio-blockdev", PINNED("-blockdev nvme"),
     .argv = {CONVERTIBLE_HEAD, "-blockdev",
              "driver=nvme,device=0000:01:00.0,namespace=1,node-name=x"}},
    {"vfio-blockdev-inner", PINNED("-blockdev nvme"),
     .argv = {CONVERTIBLE_HEAD, "-blockdev", "raw,node-name=x,file.driver=nvme"}},
    {"vfio-blockdev-json", PINNED("-blockdev nvme"),
     .argv = {CONVERTIBLE_HEAD, "-blockdev", "{'driver':'raw','file':{'driver':'n\\u0076me'}}"}},
    {"vfio-blkio", PINNED("-blockdev virtio-blk-vfio-pci"),
     .argv = {CONVERTIBLE_HEAD, "-blockdev", "virtio-blk-vfio-pci,node-name=x"}},
    {"vfio-drive", PINNED("-drive nvme"),
     .argv = {CONVERTIBLE_HEAD, "-drive", "if=none,driver=nvme,device=x"}},
    {"vfio-drive-format", PINNED("-drive nvme://0000:01:00.0/1"),
     .argv = {CONVERTIBLE_HEAD, "-drive", "nvme://0000:01:00.0/1,format=raw"}},
    {"vfio-drive-json", PINNED("-drive json:{'driver':'raw','file':{'driver':'nvme'}}"),
     .argv = {CONVERTIBLE_HEAD, "-drive", "json:{'driver':'raw',,'file':{'driver':'nvme'}}"}},
    {"vfio-drive-json-name",
     PINNED("-drive json:{'file.filename':1,'file':{'filename':'nvme://x/1'}}"),
     .argv = {CONVERTIBLE_HEAD, "-drive",
              "file=json:{'file.filename':1,,'file':{'filename':'nvme://x/1'}}"}},
    {"vfio-hda", PINNED("-hda nvme://x/1"), .argv = {CONVERTIBLE_HEAD, "-hda", "nvme://x/1"}},
    {"vfio-hdb", PINNED("-hdb nvme://x/1"), .argv = {CONVERTIBLE_HEAD, "-hdb", "nvme://x/1"}},
    {"vfio-hdc", PINNED("-hdc nvme://x/1"), .argv = {CONVERTIBLE_HEAD, "-hdc", "nvme://x/1"}},
    {"vfio-hdd", PINNED("-hdd nvme://x/1"), .argv = {CONVERTIBLE_HEAD, "-hdd", "nvme://x/1"}},
    {"vfio-fda", PINNED("-fda nvme://x/1"), .argv = {CONVERTIBLE_HEAD, "-fda", "nvme://x/1"}},
    {"vfio-fdb", PINNED("-fdb nvme://x/1"), .argv = {CONVERTIBLE_HEAD, "-fdb", "nvme://x/1"}},
    {"vfio-cdrom", PINNED("-cdrom nvme://x/1"), .argv = {CONVERTIBLE_HEAD, "-cdrom", "nvme://x/1"}},
    {"vfio-pflash", PINNED("-pflash nvme://x/1"),
     .argv = {CONVERTIBLE_HEAD, "-pflash", "nvme://x/1"}},
    {"vfio-bios", PINNED("-bios nvme://x/1"), .argv = {CONVERTIBLE_HEAD, "-bios", "nvme://x/1"}},
    {"vfio-set", PINNED("-set nvme"), .argv = {CONVERTIBLE_HEAD, "-set", "drive.d.driver=nvme"}},
    {"vfio-positional", PINNED("-drive nvme://x/1"), .argv = {CONVERTIBLE_HEAD, "nvme://x/1"}},
    {"smm-yes", "a software-protected VM has no SMM, but QEMU's command line has smm=yes",
     .argv = {CONVERTIBLE_HEAD, "-machine", "smm=yes"}},
    {"smm-auto", "a software-protected VM has no SMM, but QEMU's command line has smm=auto",
     .argv = {CONVERTIBLE_HEAD, "-machine", "smm=auto"}},
    {"incoming",
     "a software-protected VM cannot be restored, which QEMU's option '-incoming defer' asks for",
     .argv = {CONVERTIBLE_HEAD, "-incoming", "defer"}},
    {"loadvm",
     "a software-protected VM cannot be restored, which QEMU's option '-loadvm snap' asks for",
     .argv = {CONVERTIBLE_HEAD, "-loadvm", "snap"}},
    {"unknown-option",
     "libvirt-gmem does not know QEMU's option '-novel', and cannot determine whether '-mem-path' "
     "is its value or another option",
     .argv = {SHARED_HEAD, "-novel", "-mem-path", "/x"}},
    {"nobody-has-it",
     "QEMU's option '-x-libvirt-gmem' leaves private memory to the domain's launch security, and "
     "the domain has none for it",
     .argv = {HEAD, OPTION, NONE}},
    {"sev-has-it-not",
     "QEMU's option '-x-libvirt-gmem' leaves private memory to the domain's launch security, and "
     "the domain has none for it",
     .argv = {HEAD, "-machine", "confidential-guest-support=lsec0", "-object", "sev-guest,id=lsec0",
              OPTION, NONE}},
};

/* By gmemArgvMakesMemory() the shim notices what a wrapper adds, so it has to know every option
 * with which a command line gets memory. A device that uses memory in a way of its own is refused,
 * and requires such an option anyway. */
static void
assertMakesMemory(const char *const *argv)
{
    gmemArgvOption option;
    size_t position = 0;
    size_t i;

    while (gmemArgvNext((char *const *)argv, &position, &option)) {
        const char *alone[] = {"qemu", argv[option.index], option.value, OPTION, "{}", NULL};
        g_auto(gmemCommandLine) line = {0};
        bool makes;

        if (option.value == NULL)
            continue;
        gmemCommandLineRead(&line, (char *const *)alone, NULL);
        makes = line.nbackends > 0;
        for (i = 0; i < line.nreferences; i++)
            makes = makes || line.references[i].use != GMEM_USE_OTHER;
        g_test_message("-%s %s", option.name, option.value);
        g_assert_true(!makes || gmemArgvMakesMemory(&option));
    }
}

static void
testMakesMemory(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++)
        assertMakesMemory(cases[i].argv);
    for (i = 0; i < G_N_ELEMENTS(refusals); i++)
        assertMakesMemory(refusals[i].argv);
}

/* For a domain with <private/>, beside its own arguments: options that could change what its RAM
 * is. */
static const char *const changes[][3] = {
    {"-mem-path", "/x"},
    {"-mem-prealloc"},
    {"-readconfig", "/x"},
    {"--preconfig"},
    {"-set", "object.pc.ram.share=off"},
    {"-set", "device.dimm0.memdev=x"},
    {"-global", "pc-dimm.memdev=x"},
    {"-global", "driver=memory-backend-memfd,property=share,value=off"},
    {"-set", "device.d.driver=pc-dimm"},
    {"-set", "device.d.id=x"},
    {"-set", "device.d.lsa=x"},
    {"-set", "device.d.driver"},
    {"-set", "device.d"},
    {"-set", "machine.x.memory-backend=y"},
    {"-set", "memory.x.size=1G"},
    {"-set", "numa.x.memdev=y"},
    {"-set", "accel.x.accel=tcg"},
    {"-set", "global.x.value=y"},
    {"-set", "overcommit.x.mem-lock=on"},
    {"-set", "netdev.n.type=vhost-user"},
    {"-set", "net.n.type=vhost-user"},
    {"-set", "nic.n.type=vhost-user"},
    {"-set", "device.d.kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk=1"},
    {"-set", "no-such.x.y=z"},
    {"-set", ""},
    {"-global", "driver=nvdimm,property=memdev,value=x"},
    {"-global", "device.memdev=x"},
    {"-global", "cxl-type3.lsa=x"},
    {"-global", "memory-backend-file.readonly=on"},
    {"-global", "kvm-accel.kernel-irqchip=off"},
    {"-global", "kvm-accel.kernel_irqchip=off"},
    {"-global", "property=memdev,driver=x"},
    {"-global", "x"},
    {"-global", "driver=x,value=y"},
};

static void
testRefusal(gconstpointer data)
{
    const Refusal *test = data;
    int code = test->code != 0 ? test->code : VIR_ERR_CONFIG_UNSUPPORTED;
    g_autoptr(GError) error = NULL;

    g_assert_null(build(test->argv, test->flags != 0 ? test->flags : CAPS_SHIM, &error));
    g_assert_nonnull(error);
    g_assert_cmpstr(error->message, ==, test->message);
    g_assert_error(error, GMEM_ERROR, code);
}

static void
testChange(gconstpointer data)
{
    const char *const *words = data;
    const char *argv[] = {SHARED_HEAD, words[0], words[1], NULL};
    g_autofree char *option =
        words[1] != NULL ? g_strdup_printf("%s %s", words[0], words[1]) : g_strdup(words[0]);
    g_autofree char *message =
        g_strdup_printf("QEMU's option '%s' could change what the RAM of a domain with private "
                        "memory is made of",
                        g_str_has_prefix(option, "--") ? option + 1 : option);
    g_autoptr(GError) error = NULL;

    g_assert_null(build(argv, CAPS_SHIM, &error));
    g_assert_nonnull(error);
    g_assert_cmpstr(error->message, ==, message);
    g_assert_error(error, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
}

/* QEMU's words for no. */
static void
testUnlocked(void)
{
    static const char *const words[] = {"off", "no", "false", "n"};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(words); i++) {
        g_autofree char *lock = g_strconcat("mem-lock=", words[i], NULL);
        const char *argv[] = {CONVERTIBLE_HEAD, "-overcommit", "mem-lock=on",
                              "-overcommit",    lock,          NULL};
        g_autoptr(GError) error = NULL;
        g_autoptr(gmemCommand) command = build(argv, CAPS_SHIM, &error);

        g_assert_no_error(error);
        g_assert_nonnull(command);
    }
}

/* The carrier is checked in the conf part; here only its refusal is passed on. */
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
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(values); i++) {
        const char *const argv[] = {HEAD, OPTION, values[i], NULL};
        g_autoptr(GError) error = NULL;

        g_assert_null(build(argv, CAPS_SHIM, &error));
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

/* The backend of a cell, with the size of one page; @rest: its other properties. */
static char *
backend(size_t cell, const char *rest)
{
    return g_strdup_printf("{\"qom-type\":\"memory-backend-memfd\",\"id\":\"ram-node%zu\","
                           "\"share\":true,\"size\":4096%s}",
                           cell, rest);
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
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *first = backend(0, tests[i].first);
        g_autofree char *second = backend(1, tests[i].second);
        const char *const argv[] = {"qemu",    "-machine",
                                    "pc",      KVM,
                                    "-object", first,
                                    "-object", second,
                                    "-numa",   "node,memdev=ram-node0",
                                    "-numa",   "node,memdev=ram-node1",
                                    OPTION,    SHARED,
                                    NULL};
        g_autoptr(GError) error = NULL;
        g_autoptr(gmemCommand) command = build(argv, CAPS_SHIM, &error);

        g_assert_no_error(error);
        g_assert_cmpint(command->nodesetsDiffer, ==, tests[i].differ);
    }
}

/* As many cells as QEMU accepts, which takes hardly any time. */
static void
testManyCells(void)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    static const char *const head[] = {"qemu", "-machine", "pc", KVM, OPTION, SHARED};
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemCommand) command = NULL;
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(head); i++)
        g_ptr_array_add(argv, g_strdup(head[i]));
    for (i = 0; i < 1000; i++) {
        g_ptr_array_add(argv, g_strdup("-object"));
        g_ptr_array_add(argv, backend(i, ""));
        g_ptr_array_add(argv, g_strdup("-numa"));
        g_ptr_array_add(argv, g_strdup_printf("node,nodeid=%zu,memdev=ram-node%zu", i, i));
    }
    g_ptr_array_add(argv, NULL);
    command = build((const char *const *)argv->pdata, CAPS_SHIM, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(command->nbackends, ==, 1000);
    g_assert_cmpuint(command->ramSize, ==, 4096000);
    g_assert_cmpuint(g_strv_length(command->argv), ==, argv->len - 1);
}

/* @n backends, and devices that use them, after a domain's own. */
static char **
manyWords(size_t n)
{
    static const char *const head[] = {SHARED_HEAD};
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

/* There is a limit, and up to that the time does not matter. */
static void
testManyBackends(void)
{
    g_auto(GStrv) most = manyWords(1023);
    g_auto(GStrv) more = manyWords(100000);
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemCommand) command = NULL;
    gint64 start = g_get_monotonic_time();

    command = build((const char *const *)most, CAPS_SHIM, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(command->nbackends, ==, 1);
    g_assert_null(build((const char *const *)more, CAPS_SHIM, &error));
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
    for (i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autofree char *path = g_strdup_printf("/command/changes-ram/%zu", i);

        g_test_add_data_func(path, changes[i], testChange);
    }
    g_test_add_func("/command/makes-memory", testMakesMemory);
    g_test_add_func("/command/unlocked", testUnlocked);
    g_test_add_func("/command/damaged-carrier", testDamagedCarrier);
    g_test_add_func("/command/concerns", testConcerns);
    g_test_add_func("/command/nodesets", testNodesets);
    g_test_add_func("/command/many-cells", testManyCells);
    g_test_add_func("/command/many-backends", testManyBackends);
    g_test_add_func("/command/start-private", testStartPrivate);
    return g_test_run();
}
