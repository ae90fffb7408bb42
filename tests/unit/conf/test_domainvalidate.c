/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_domainvalidate.c: the table in docs/formatdomain.rst that lists what is refused, cell by
 * cell.
 *
 * The rows are those of the table. /rules/documented compares its cells with the verdicts here, and
 * /rules/rules compares these with the rules, so that a new rule requires a row and cases. Each row
 * has a verdict for each mode: "refused" cells require a domain that is refused, with the code and
 * full message; "ok" cells one that is accepted; cells with both verdicts (something is refused,
 * and something similar is not) require both. If XML alone does not decide, the row names the test
 * that shows it. /rules/table checks that there are no gaps and no duplicates. */

#include "config.h"

#include "../../../src/conf/gmemdomainvalidate.c"

#include "gmemlower.h"
#include "gmemvalidate.h"
#include "../test_conf_util.h"

#define SW "<launchSecurity type='sw-protected'/>"
#define HVM "<type>hvm</type>"

typedef enum {
    ROW_TYPE = 0,
    ROW_ARCH,
    ROW_MACHINE,
    ROW_SMM,
    ROW_LOADER,
    ROW_FIRMWARE,
    ROW_IOAPIC,
    ROW_SOURCE_FILE,
    ROW_SOURCE_ANONYMOUS,
    ROW_SOURCE_MEMFD,
    ROW_ACCESS,
    ROW_CELL_ACCESS,
    ROW_HUGEPAGES,
    ROW_HUGEPAGES_OF_CELLS,
    ROW_HUGEPAGES_OF_DIMM,
    ROW_PAGE_MULTIPLE,
    ROW_ALLOCATION,
    ROW_LOCKED,
    ROW_NUMATUNE,
    ROW_NUMA_BINDING,
    ROW_CELLS,
    ROW_VIRTIO_MEM,
    ROW_SGX_EPC,
    ROW_SHMEM,
    ROW_FILES,
    ROW_VFIO,
    ROW_MEMFD_USER,
    ROW_VHOST_USER,
    ROW_BALLOON,
    ROW_CURRENT_MEMORY,
    ROW_BALLOON_FLAGS,
    ROW_HARD_LIMIT,
    ROW_SUSPEND,
    ROW_OWN_DUMP,
    ROW_OTHER_SECURITY,
    ROW_SETMEM,
    ROW_SAVE,
    ROW_MANAGED_SAVE,
    ROW_SNAPSHOT,
    ROW_DUMP,
    ROW_PEEK,
    ROW_MIGRATION,
    ROW_ATTACH,
    ROW_LAST
} Row;

typedef enum {
    OK = 1,
    REFUSED = 2,
    BOTH = OK | REFUSED,
    ELSEWHERE = 4
} Verdict;

/* If the verdict is ELSEWHERE: the test that shows it, and a word that must be in that test. */
static const struct {
    const char *name;
    Verdict shared;
    Verdict convertible;
    const char *sharedTest;
    const char *convertibleTest;
} rows[] = {
    [ROW_TYPE] = {"<domain type> other than kvm", BOTH, BOTH, NULL, NULL},
    [ROW_ARCH] = {"<type arch> other than x86_64", BOTH, BOTH, NULL, NULL},
    [ROW_MACHINE] = {"machine isapc, microvm, none, Xen's", BOTH, BOTH, NULL, NULL},
    [ROW_SMM] = {"<smm state='on'/>", OK, BOTH, NULL, NULL},
    [ROW_LOADER] = {"<loader secure='yes'>, Secure Boot's features", OK, BOTH, NULL, NULL},
    [ROW_FIRMWARE] = {"firmware that requires SMM", OK, ELSEWHERE, NULL,
                      "tests/e2e/test_firmware.py: refused at start"},
    [ROW_IOAPIC] = {"<ioapic driver='kvm'/>", OK, BOTH, NULL, NULL},
    [ROW_SOURCE_FILE] = {"<source type='file'/>", REFUSED, OK, NULL, NULL},
    [ROW_SOURCE_ANONYMOUS] = {"<source type='anonymous'/>", REFUSED, OK, NULL, NULL},
    [ROW_SOURCE_MEMFD] = {"<source type='memfd'/>, or no source", OK, OK, NULL, NULL},
    [ROW_ACCESS] = {"<access mode='private'/>", BOTH, OK, NULL, NULL},
    [ROW_CELL_ACCESS] = {"private access of a cell or DIMM", BOTH, OK, NULL, NULL},
    [ROW_HUGEPAGES] = {"<hugepages>", BOTH, OK, NULL, NULL},
    [ROW_HUGEPAGES_OF_CELLS] = {"<page nodeset> in <hugepages>", REFUSED, OK, NULL, NULL},
    [ROW_HUGEPAGES_OF_DIMM] = {"<pagesize> of a DIMM", BOTH, OK, NULL, NULL},
    [ROW_PAGE_MULTIPLE] = {"a size that is not a multiple of its pages", OK, BOTH, NULL, NULL},
    [ROW_ALLOCATION] = {"<allocation>", OK, OK, NULL, NULL},
    [ROW_LOCKED] = {"<locked/>", OK, REFUSED, NULL, NULL},
    [ROW_NUMATUNE] = {"<numatune> for the whole domain", OK, OK, NULL, NULL},
    [ROW_NUMA_BINDING] = {"<numatune> that differs between cells", BOTH, BOTH, NULL, NULL},
    [ROW_CELLS] = {"cells, with CPUs and without", OK, OK, NULL, NULL},
    [ROW_VIRTIO_MEM] = {"<memory model='virtio-mem'>", REFUSED, REFUSED, NULL, NULL},
    [ROW_SGX_EPC] = {"<memory model='sgx-epc'>", REFUSED, REFUSED, NULL, NULL},
    [ROW_SHMEM] = {"<shmem>", OK, OK, NULL, NULL},
    [ROW_FILES] = {"<memory model> nvdimm, virtio-pmem", OK, OK, NULL, NULL},
    [ROW_VFIO] = {"VFIO: host devices, mediated devices, NVMe", OK, BOTH, NULL, NULL},
    [ROW_MEMFD_USER] = {"VFIO by iommufd, video with blob resources", BOTH, OK, NULL, NULL},
    [ROW_VHOST_USER] = {"virtiofs, vhost-user, vDPA", OK, OK, NULL, NULL},
    [ROW_BALLOON] = {"<memballoon>", OK, OK, NULL, NULL},
    [ROW_CURRENT_MEMORY] = {"<currentMemory> below <memory>", OK, BOTH, NULL, NULL},
    [ROW_BALLOON_FLAGS] = {"autodeflate, freePageReporting", OK, OK, NULL, NULL},
    [ROW_HARD_LIMIT] = {"<hard_limit> below guest RAM", OK, BOTH, NULL, NULL},
    [ROW_SUSPEND] = {"<suspend-to-mem enabled='yes'/>", OK, BOTH, NULL, NULL},
    [ROW_OWN_DUMP] = {"<on_crash>, <watchdog>: with a dump", OK, BOTH, NULL, NULL},
    [ROW_OTHER_SECURITY] = {"<launchSecurity> sev, s390-pv", BOTH, ELSEWHERE, NULL,
                            "tests/unit/conf/test_lower.c: \"<launchSecurity type='sev'/>\" "
                            "TEST_SW, REPEATED(\"launchSecurity\")"},
    /* Fully shared first, then convertible: what is accepted there, and refused here. */
    [ROW_SETMEM] = {"call: setmem of a running domain", ELSEWHERE, ELSEWHERE,
                    "tests/e2e/test_calls_memory.py: setmem: the balloon of a running domain",
                    "tests/e2e/test_convertible_running.py: setMemoryFlags"},
    [ROW_SAVE] = {"call: save", ELSEWHERE, ELSEWHERE, "tests/e2e/test_calls_save.py: @test('save')",
                  "tests/e2e/test_convertible_running.py: ('save'"},
    [ROW_MANAGED_SAVE] = {"call: managedsave", ELSEWHERE, ELSEWHERE,
                          "tests/e2e/test_calls_save.py: managed save, and what it shows",
                          "tests/e2e/test_convertible_running.py: ('managedSave'"},
    [ROW_SNAPSHOT] = {"call: snapshot with memory", ELSEWHERE, ELSEWHERE,
                      "tests/e2e/test_calls_snapshot.py: snapshot with memory of a running domain",
                      "tests/e2e/test_convertible_running.py: ('snapshotCreateXML'"},
    [ROW_DUMP] = {"call: dump", ELSEWHERE, ELSEWHERE,
                  "tests/e2e/test_calls_memory.py: dump and dump --memory-only",
                  "tests/e2e/test_convertible_running.py: ('coreDumpWithFormat'"},
    [ROW_PEEK] = {"call: memory peek", ELSEWHERE, ELSEWHERE,
                  "tests/e2e/test_calls_memory.py: memory peek shows what the guest has written",
                  "tests/e2e/test_convertible_running.py: ('memoryPeek'"},
    [ROW_MIGRATION] = {"call: migrate", ELSEWHERE, ELSEWHERE,
                       "tests/e2e/test_migrate.py: @suite.test",
                       "tests/e2e/test_convertible_running.py: ('migrateToURI'"},
    [ROW_ATTACH] = {"call: attach a DIMM to a running domain", ELSEWHERE, ELSEWHERE,
                    "tests/e2e/test_calls_memory.py: attach of a dimm to a running domain",
                    "tests/e2e/test_convertible_running.py: ('attachDeviceFlags'"},
};
G_STATIC_ASSERT(G_N_ELEMENTS(rows) == ROW_LAST);

/* What the host's KVM is assumed to do with a NUMA policy. */
typedef enum {
    HOST_UNASKED = 0,
    HOST_NO_POLICY,
    HOST_POLICY,
    HOST_UNKNOWN
} Host;

#define SHARED GMEM_MODE_FULLY_SHARED
#define CONVERTIBLE GMEM_MODE_CONVERTIBLE
#define BACKING(inner) "<memoryBacking>" inner "</memoryBacking>"
#define CELL(id, memory, more) "<cell id='" id "' cpus='" id "' memory='" memory "'" more "/>"
#define NUMA(cells) "<cpu><numa>" cells "</numa></cpu>"
#define DIMM(size, more)                                                                           \
    "<memory model='dimm'>" more "<target><size>" size "</size><node>0</node></target></memory>"

typedef struct {
    Row row;
    gmemMode mode;
    const char *type; /* of the domain */
    const char *os;
    const char *devices;
    const char *rest;
    const char *message; /* after "unsupported configuration: <wish> "; NULL: accepted */
    const char *path;    /* in the lowered XML, where accepted */
    const char *value;   /* of the lowered XML */
    Host host;
} Case;

/* The same domain in both modes, with the same result. */
#define EITHER(row, type, os, devices, rest, message)                                              \
    {row, SHARED, type, os, devices, rest, message, NULL, NULL, HOST_UNASKED},                     \
    {                                                                                              \
        row, CONVERTIBLE, type, os, devices, rest, message, NULL, NULL, HOST_UNASKED               \
    }
#define ACCEPTED(row, mode, devices, rest, path, value)                                            \
    {                                                                                              \
        row, mode, "kvm", HVM, devices, rest, NULL, path, value, HOST_UNASKED                      \
    }
#define REFUSAL(row, mode, devices, rest, message)                                                 \
    {                                                                                              \
        row, mode, "kvm", HVM, devices, rest, message, NULL, NULL, HOST_UNASKED                    \
    }

#define ALLOCATION "memoryBacking/allocation/@mode"
#define NO_MACHINE(name)                                                                           \
    "is not available for machine type '" name "'; use <type machine='q35'> or <type "             \
    "machine='pc'>"
#define NO_HUGEPAGES                                                                               \
    "cannot be used with <hugepages>: guest_memfd has pages of 4 KiB only; remove <hugepages>"
#define NO_MULTIPLE(what, size, page, better)                                                      \
    "requires " what " (" size " KiB) to be a multiple of its huge page size (" page               \
    " KiB); use " better " KiB or other pages"
#define NO_MEMFD(what)                                                                             \
    "cannot be used with " what                                                                    \
    ", which requires guest RAM in a memfd, and not in guest_memfd; remove the attribute"
#define NO_DMA(what)                                                                               \
    "cannot be used with " what                                                                    \
    ": its DMA requires pinned shared pages; use an emulated or virtio device"
#define NO_BALLOON(current, memory)                                                                \
    "cannot be used with <currentMemory> (" current " KiB) below the domain's memory (" memory     \
    " KiB): memory ballooning is not supported for private memory; remove <currentMemory>"
#define NO_LIMIT(limit, ram, both)                                                                 \
    "cannot be used with <hard_limit> (" limit " KiB) below guest RAM (" ram " KiB): its shared "  \
    "and private halves together can take " both " KiB; raise or remove <hard_limit>"
#define NO_LOCKED                                                                                  \
    "cannot be used with <locked/>: it would populate the shared half of guest RAM, and private "  \
    "memory is never swapped; remove <locked/>"
#define MEMNODE(cell, mode, nodeset)                                                               \
    "<memnode cellid='" cell "' mode='" mode "' nodeset='" nodeset "'/>"
#define WHOLE(mode, nodeset) "<memory mode='" mode "' nodeset='" nodeset "'/>"

static const Case cases[] = {
    EITHER(ROW_TYPE,
           "qemu",
           HVM,
           "",
           "",
           "requires <domain type='kvm'>, not type 'qemu': guest_memfd belongs to KVM"),
    EITHER(ROW_TYPE,
           "xen",
           HVM,
           "",
           "",
           "requires <domain type='kvm'>, not type 'xen': guest_memfd belongs to KVM"),
    EITHER(ROW_TYPE, "kvm", HVM, "", "", NULL),

    EITHER(ROW_ARCH,
           "kvm",
           "<type arch='aarch64' machine='virt'>hvm</type>",
           "",
           "",
           "requires <type arch='x86_64'>, not architecture 'aarch64'"),
    EITHER(ROW_ARCH,
           "kvm",
           "<type arch='i686'>hvm</type>",
           "",
           "",
           "requires <type arch='x86_64'>, not architecture 'i686'"),
    EITHER(ROW_ARCH, "kvm", "<type arch='x86_64'>hvm</type>", "", "", NULL),

    EITHER(ROW_MACHINE, "kvm", "<type machine='isapc'>hvm</type>", "", "", NO_MACHINE("isapc")),
    EITHER(ROW_MACHINE, "kvm", "<type machine='microvm'>hvm</type>", "", "", NO_MACHINE("microvm")),
    EITHER(ROW_MACHINE, "kvm", "<type machine='none'>hvm</type>", "", "", NO_MACHINE("none")),
    EITHER(ROW_MACHINE, "kvm", "<type machine='pc-q35-7.2'>hvm</type>", "", "", NULL),
    EITHER(ROW_MACHINE, "kvm", "<type machine='pc'>hvm</type>", "", "", NULL),

    ACCEPTED(
        ROW_SMM, SHARED, "", "<features><smm state='on'/></features>", "features/smm/@state", "on"),
    REFUSAL(ROW_SMM,
            CONVERTIBLE,
            "",
            "<features><smm state='on'/></features>",
            "cannot be used with SMM, which <smm> switches on: a software-protected VM has no SMM; "
            "use <smm "
            "state='off'/>"),
    REFUSAL(ROW_SMM,
            CONVERTIBLE,
            "",
            "<features><smm><tseg>8</tseg></smm></features>",
            "cannot be used with SMM, which <smm> switches on: a software-protected VM has no SMM; "
            "use <smm "
            "state='off'/>"),
    ACCEPTED(
        ROW_SMM, CONVERTIBLE, "", "<features><acpi/></features>", "features/smm/@state", "off"),
    ACCEPTED(ROW_SMM,
             CONVERTIBLE,
             "",
             "<features><smm state='off'/></features>",
             "features/smm/@state",
             "off"),

    {ROW_LOADER, SHARED, "kvm", HVM "<loader secure='yes'>/f</loader>", "",
     "<features><smm state='on'/></features>", NULL, "os/loader/@secure", "yes", HOST_UNASKED},
    {ROW_LOADER, CONVERTIBLE, "kvm", HVM "<loader secure='yes'>/f</loader>", "", "",
     "cannot be used with <loader secure='yes'>, which requires SMM; use firmware without secure "
     "boot "
     "and <loader secure='no'>",
     NULL, NULL, HOST_UNASKED},
    {ROW_LOADER, CONVERTIBLE, "kvm",
     HVM "<firmware><feature enabled='yes' name='secure-boot'/></firmware>", "", "",
     "cannot be used with <feature enabled='yes' name='secure-boot'/>, which requires SMM; use "
     "enabled='no'",
     NULL, NULL, HOST_UNASKED},
    {ROW_LOADER, CONVERTIBLE, "kvm",
     HVM "<firmware><feature enabled='yes' name='enrolled-keys'/></firmware>", "", "",
     "cannot be used with <feature enabled='yes' name='enrolled-keys'/>, which requires SMM; use "
     "enabled='no'",
     NULL, NULL, HOST_UNASKED},
    {ROW_LOADER, CONVERTIBLE, "kvm", HVM "<loader secure='no'>/f</loader>", "", "", NULL, NULL,
     NULL, HOST_UNASKED},

    {ROW_FIRMWARE, SHARED, "kvm", HVM "<loader readonly='yes' type='pflash'>/f</loader>", "",
     "<features><smm state='on'/></features>", NULL, "os/loader", "/f", HOST_UNASKED},

    ACCEPTED(ROW_IOAPIC,
             SHARED,
             "",
             "<features><ioapic driver='kvm'/></features>",
             "features/ioapic/@driver",
             "kvm"),
    REFUSAL(ROW_IOAPIC,
            CONVERTIBLE,
            "",
            "<features><ioapic driver='kvm'/></features>",
            "cannot be used with <ioapic driver='kvm'/>: it requires a split interrupt controller; "
            "use <ioapic driver='qemu'/>"),
    ACCEPTED(ROW_IOAPIC, CONVERTIBLE, "", "", "features/ioapic/@driver", "qemu"),

    REFUSAL(ROW_SOURCE_FILE,
            SHARED,
            "",
            BACKING("<source type='file'/>"),
            "cannot be used with <source type='file'/>: guest_memfd is the source of guest RAM; "
            "remove it or use <source type='memfd'/>"),
    ACCEPTED(ROW_SOURCE_FILE,
             CONVERTIBLE,
             "",
             BACKING("<source type='file'/>"),
             "memoryBacking/source/@type",
             "file"),
    REFUSAL(ROW_SOURCE_ANONYMOUS,
            SHARED,
            "",
            BACKING("<source type='anonymous'/>"),
            "cannot be used with <source type='anonymous'/>: guest_memfd is the source of guest "
            "RAM; remove it or use <source type='memfd'/>"),
    ACCEPTED(ROW_SOURCE_ANONYMOUS,
             CONVERTIBLE,
             "",
             BACKING("<source type='anonymous'/>"),
             "memoryBacking/source/@type",
             "anonymous"),
    ACCEPTED(ROW_SOURCE_MEMFD,
             SHARED,
             "",
             BACKING("<source type='memfd'/>"),
             "memoryBacking/source/@type",
             "memfd"),
    ACCEPTED(ROW_SOURCE_MEMFD, SHARED, "", BACKING(""), "memoryBacking/source/@type", "memfd"),
    ACCEPTED(ROW_SOURCE_MEMFD,
             CONVERTIBLE,
             "",
             BACKING("<source type='memfd'/>"),
             "memoryBacking/source/@type",
             "memfd"),
    ACCEPTED(ROW_SOURCE_MEMFD, CONVERTIBLE, "", BACKING(""), "count(memoryBacking/source)", "0"),

    REFUSAL(ROW_ACCESS,
            SHARED,
            "",
            BACKING("<access mode='private'/>"),
            "cannot be used with <access mode='private'/>: guest_memfd can only be mapped shared; "
            "remove it or use <access mode='shared'/>"),
    ACCEPTED(ROW_ACCESS,
             SHARED,
             "",
             BACKING("<access mode='shared'/>"),
             "memoryBacking/access/@mode",
             "shared"),
    ACCEPTED(
        ROW_ACCESS, SHARED, "", BACKING("<nosharepages/>"), "memoryBacking/access/@mode", "shared"),
    ACCEPTED(ROW_ACCESS,
             CONVERTIBLE,
             "",
             BACKING("<access mode='private'/>"),
             "memoryBacking/access/@mode",
             "private"),
    ACCEPTED(ROW_ACCESS,
             CONVERTIBLE,
             "",
             BACKING("<access mode='shared'/>"),
             "memoryBacking/access/@mode",
             "shared"),

    REFUSAL(ROW_CELL_ACCESS,
            SHARED,
            "",
            NUMA(CELL("0", "1024", "") CELL("1", "1024", " memAccess='private'")),
            "cannot be used with <cell memAccess='private'>: guest_memfd can only be mapped "
            "shared; remove it or use memAccess='shared'"),
    REFUSAL(ROW_CELL_ACCESS,
            SHARED,
            "<memory model='dimm' access='private'/>",
            "",
            "cannot be used with <memory model='dimm' access='private'>: guest_memfd can only be "
            "mapped shared; remove it or use access='shared'"),
    ACCEPTED(ROW_CELL_ACCESS,
             SHARED,
             "",
             NUMA(CELL("0", "1024", " memAccess='shared'")),
             "cpu/numa/cell/@memAccess",
             "shared"),
    ACCEPTED(ROW_CELL_ACCESS,
             CONVERTIBLE,
             "",
             NUMA(CELL("0", "1024", " memAccess='private'")),
             "cpu/numa/cell/@memAccess",
             "private"),

    REFUSAL(ROW_HUGEPAGES, SHARED, "", BACKING("<hugepages/>"), NO_HUGEPAGES),
    REFUSAL(ROW_HUGEPAGES,
            SHARED,
            "",
            BACKING("<hugepages><page size='1' unit='G'/></hugepages>"),
            NO_HUGEPAGES),
    /* What is called a huge page here is not one. */
    ACCEPTED(
        ROW_HUGEPAGES, SHARED, "", BACKING("<hugepages><page size='4'/></hugepages>"), NULL, NULL),
    ACCEPTED(ROW_HUGEPAGES, CONVERTIBLE, "", BACKING("<hugepages/>"), ALLOCATION, "immediate"),
    ACCEPTED(ROW_HUGEPAGES,
             CONVERTIBLE,
             "",
             BACKING("<hugepages><page size='2' unit='MiB'/></hugepages><source type='memfd'/>"),
             ALLOCATION,
             "immediate"),
    ACCEPTED(ROW_HUGEPAGES,
             CONVERTIBLE,
             "",
             BACKING("<hugepages><page size='1' unit='G'/></hugepages>"),
             ALLOCATION,
             "immediate"),
    ACCEPTED(ROW_HUGEPAGES,
             CONVERTIBLE,
             "",
             BACKING("<hugepages><page size='4'/></hugepages>"),
             "count(memoryBacking/allocation)",
             "0"),

    REFUSAL(ROW_HUGEPAGES_OF_CELLS,
            SHARED,
            "",
            BACKING("<hugepages><page size='2048' nodeset='1'/></hugepages>")
                NUMA(CELL("0", "2048", "") CELL("1", "2048", "")),
            NO_HUGEPAGES),
    ACCEPTED(ROW_HUGEPAGES_OF_CELLS,
             CONVERTIBLE,
             "",
             BACKING("<hugepages><page size='2048' nodeset='1'/></hugepages>")
                 NUMA(CELL("0", "1024", "") CELL("1", "2048", "")),
             ALLOCATION,
             "immediate"),
    ACCEPTED(ROW_HUGEPAGES_OF_CELLS,
             CONVERTIBLE,
             "",
             BACKING("<hugepages><page size='4' nodeset='0'/><page size='2' unit='MiB'/>"
                     "</hugepages>") NUMA(CELL("0", "1024", "") CELL("1", "2048", "")),
             ALLOCATION,
             "immediate"),

    REFUSAL(ROW_HUGEPAGES_OF_DIMM,
            SHARED,
            DIMM("2048", "<source><pagesize unit='MiB'>2</pagesize></source>"),
            "",
            "cannot be used with <pagesize> of 2048 KiB for a <memory model='dimm'>: guest_memfd "
            "has pages of 4 KiB only; remove <pagesize>"),
    ACCEPTED(ROW_HUGEPAGES_OF_DIMM,
             SHARED,
             DIMM("2048", "<source><pagesize>4</pagesize></source>"),
             "",
             NULL,
             NULL),
    ACCEPTED(ROW_HUGEPAGES_OF_DIMM,
             CONVERTIBLE,
             DIMM("2048", "<source><pagesize unit='MiB'>2</pagesize></source>"),
             NUMA(CELL("0", "1024", "")),
             ALLOCATION,
             "immediate"),

    /* libvirt rounds up to MiB before a start, so all sizes consist of whole pages. */
    ACCEPTED(
        ROW_PAGE_MULTIPLE, SHARED, "", NUMA(CELL("0", "1025", "") CELL("1", "3", "")), NULL, NULL),
    ACCEPTED(ROW_PAGE_MULTIPLE,
             CONVERTIBLE,
             "",
             NUMA(CELL("0", "1025", "") CELL("1", "3", "")),
             NULL,
             NULL),
    ACCEPTED(ROW_PAGE_MULTIPLE,
             CONVERTIBLE,
             "",
             BACKING("<hugepages/>") NUMA(CELL("0", "4095", "")),
             NULL,
             NULL),
    REFUSAL(ROW_PAGE_MULTIPLE,
            CONVERTIBLE,
            "",
            BACKING("<hugepages/>") NUMA(CELL("0", "4096", "") CELL("1", "4097", "")),
            NO_MULTIPLE("<cell id='1'>", "4097", "2048", "6144")),
    REFUSAL(ROW_PAGE_MULTIPLE,
            CONVERTIBLE,
            "",
            BACKING("<hugepages><page size='2048' nodeset='5-7,^6'/></hugepages>")
                NUMA("<cell id='7' memory='3' unit='MiB'/><cell id='6' memory='3' unit='MiB'/>"),
            NO_MULTIPLE("<cell id='7'>", "3072", "2048", "4096")),
    REFUSAL(ROW_PAGE_MULTIPLE,
            CONVERTIBLE,
            "",
            BACKING("<hugepages><page size='1' unit='G'/></hugepages>")
                NUMA("<cell memory='1' unit='GiB'/><cell memory='1536' unit='MiB'/>"),
            NO_MULTIPLE("<cell id='1'>", "1572864", "1048576", "2097152")),
    REFUSAL(ROW_PAGE_MULTIPLE,
            CONVERTIBLE,
            "",
            BACKING("<hugepages><page size='2' unit='G'/></hugepages>"),
            NO_MULTIPLE("guest RAM", "1048576", "2097152", "2097152")),
    /* libvirt uses the first <page>. */
    REFUSAL(ROW_PAGE_MULTIPLE,
            CONVERTIBLE,
            "",
            BACKING("<hugepages><page size='2' unit='G'/><page size='2048'/></hugepages>"),
            NO_MULTIPLE("guest RAM", "1048576", "2097152", "2097152")),
    REFUSAL(ROW_PAGE_MULTIPLE,
            CONVERTIBLE,
            DIMM("2048", "") DIMM("2050", "<source><pagesize unit='MiB'>4</pagesize></source>")
                DIMM("4098", "<source><pagesize unit='MiB'>4</pagesize></source>"),
            NUMA(CELL("0", "1024", "")),
            NO_MULTIPLE("<memory> device 3", "4098", "4096", "8192")),
    /* A DIMM has the pages of its cell. */
    REFUSAL(ROW_PAGE_MULTIPLE,
            CONVERTIBLE,
            DIMM("2048", ""),
            BACKING("<hugepages><page size='4096' nodeset='0'/></hugepages>")
                NUMA(CELL("0", "4096", "")),
            NO_MULTIPLE("<memory> device 1", "2048", "4096", "4096")),
    ACCEPTED(ROW_PAGE_MULTIPLE,
             CONVERTIBLE,
             DIMM("2048", ""),
             BACKING("<hugepages><page size='4096' nodeset='1'/></hugepages>")
                 NUMA(CELL("0", "1024", "") CELL("1", "4096", "")),
             NULL,
             NULL),

    ACCEPTED(ROW_ALLOCATION,
             SHARED,
             "",
             BACKING("<allocation mode='immediate' threads='3'/>"),
             ALLOCATION,
             "immediate"),
    ACCEPTED(ROW_ALLOCATION,
             SHARED,
             "",
             BACKING("<allocation mode='ondemand' threads='3'/>"),
             ALLOCATION,
             "ondemand"),
    ACCEPTED(ROW_ALLOCATION,
             CONVERTIBLE,
             "",
             BACKING("<allocation mode='immediate'/>"),
             "contains(qemu:commandline/qemu:arg[2]/@value, 'allocation')",
             "false"),
    ACCEPTED(ROW_ALLOCATION,
             CONVERTIBLE,
             "",
             BACKING("<allocation mode='ondemand'/>"),
             ALLOCATION,
             "ondemand"),
    ACCEPTED(ROW_ALLOCATION,
             CONVERTIBLE,
             "",
             BACKING("<hugepages/><allocation mode='immediate' threads='2'/>"),
             "contains(qemu:commandline/qemu:arg[2]/@value, 'allocation')",
             "false"),
    ACCEPTED(ROW_ALLOCATION,
             CONVERTIBLE,
             "",
             BACKING("<hugepages/><allocation threads='2'/>"),
             "contains(qemu:commandline/qemu:arg[2]/@value, 'allocation')",
             "true"),
    /* Stock libvirt refuses this beside huge pages; here it is what is required. */
    ACCEPTED(ROW_ALLOCATION,
             CONVERTIBLE,
             "",
             BACKING("<hugepages/><allocation mode='ondemand'/>"),
             "contains(qemu:commandline/qemu:arg[2]/@value, '\"former\":\"ondemand\"')",
             "true"),

    ACCEPTED(ROW_LOCKED, SHARED, "", BACKING("<locked/>"), "count(memoryBacking/locked)", "1"),
    REFUSAL(ROW_LOCKED, CONVERTIBLE, "", BACKING("<locked/>"), NO_LOCKED),
    REFUSAL(
        ROW_LOCKED, CONVERTIBLE, "", BACKING("<locked/>") NUMA(CELL("0", "65536", "")), NO_LOCKED),

#define NUMATUNE(mode)                                                                             \
    ACCEPTED(ROW_NUMATUNE, SHARED, "", "<numatune>" WHOLE(mode, "0") "</numatune>",                \
             "numatune/memory/@mode", mode),                                                       \
        ACCEPTED(ROW_NUMATUNE, CONVERTIBLE, "", "<numatune>" WHOLE(mode, "0") "</numatune>",       \
                 "numatune/memory/@mode", mode)
    NUMATUNE("strict"),
    NUMATUNE("preferred"),
    NUMATUNE("interleave"),
    NUMATUNE("restrictive"),
    ACCEPTED(ROW_NUMATUNE,
             SHARED,
             "",
             "<numatune>" WHOLE("strict", "0-1")
                 MEMNODE("0", "strict", "1") "</numatune>" NUMA(CELL("0", "1024", "")),
             "numatune/memnode/@nodeset",
             "1"),

/* One domain on hosts whose KVM keeps a policy, does not keep it, or cannot be asked. */
#define BOUND(mode, numatune, message, host)                                                       \
    {                                                                                              \
        ROW_NUMA_BINDING, mode, "kvm", HVM, "",                                                    \
            "<numatune>" numatune "</numatune>" NUMA(CELL("0", "1024", "")), message, NULL, NULL,  \
            host                                                                                   \
    }
#define BOUND_ALL(mode, numatune, no)                                                              \
    BOUND(mode, numatune, (no) ? NO_POLICY : NULL, HOST_NO_POLICY),                                \
        BOUND(mode, numatune, NULL, HOST_POLICY),                                                  \
        BOUND(mode, numatune, (no) ? UNKNOWN_POLICY : NULL, HOST_UNKNOWN)
#define NO_POLICY                                                                                  \
    "cells bound to different host nodes require a kernel that keeps a NUMA policy on "            \
    "guest_memfd, "                                                                                \
    "and Linux 6.18.0 does not; one nodeset for the whole domain is possible"
#define UNKNOWN_POLICY                                                                             \
    "cells bound to different host nodes require a kernel that keeps a NUMA policy on "            \
    "guest_memfd, "                                                                                \
    "and Linux 6.18.0 offers no way to find out whether it does"
    BOUND_ALL(SHARED, WHOLE("strict", "1"), false),
    BOUND_ALL(SHARED, WHOLE("interleave", "0-1") MEMNODE("0", "interleave", "0,1"), false),
    BOUND_ALL(SHARED, WHOLE("strict", "0-1") MEMNODE("0", "strict", "1"), true),
    BOUND_ALL(SHARED, WHOLE("strict", "0-1") MEMNODE("0", "preferred", "0-1"), true),
    BOUND_ALL(SHARED, WHOLE("preferred", "0") MEMNODE("0", "strict", "0"), true),
    BOUND_ALL(SHARED, MEMNODE("0", "strict", "0"), true),
    BOUND_ALL(CONVERTIBLE, WHOLE("restrictive", "1"), false),
    BOUND_ALL(CONVERTIBLE, WHOLE("strict", "0-1") MEMNODE("0", "strict", "1"), true),

    ACCEPTED(ROW_CELLS,
             SHARED,
             "",
             NUMA(CELL("0", "1024", "") "<cell id='1' memory='2048'/>"
                                        "<cell id='2' cpus='' memory='2048'/>"),
             "count(cpu/numa/cell)",
             "3"),
    ACCEPTED(ROW_CELLS,
             CONVERTIBLE,
             "",
             NUMA(CELL("0", "1024", "") "<cell id='1' memory='2048'/>"),
             "count(cpu/numa/cell)",
             "2"),

    REFUSAL(ROW_VIRTIO_MEM,
            SHARED,
            "<memory model='virtio-mem'/>",
            "",
            "cannot be used with <memory model='virtio-mem'>; use <memory model='dimm'>"),
    REFUSAL(ROW_VIRTIO_MEM,
            CONVERTIBLE,
            "<memory model='virtio-mem'/>",
            "",
            "cannot be used with <memory model='virtio-mem'>; use <memory model='dimm'>"),

    EITHER(
        ROW_SGX_EPC,
        "kvm",
        HVM,
        "<memory model='dimm'/><memory model='sgx-epc'><target><size>2048</size></target>"
        "</memory>",
        "",
        "cannot be used with <memory model='sgx-epc'>: enclave pages are not guest_memfd; remove "
        "it"),
    /* The memory of a PCI device, like a video card's. */
    EITHER(ROW_SHMEM, "kvm", HVM, "<shmem name='a'/>", "", NULL),
    EITHER(ROW_SHMEM,
           "kvm",
           HVM,
           "<shmem name='a'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>",
           "",
           NULL),
    /* It has no memory backend, and what a server gives it is not RAM. */
    EITHER(ROW_SHMEM,
           "kvm",
           HVM,
           "<shmem name='a'><model type='ivshmem-doorbell'/><server path='/a'/></shmem>",
           "",
           NULL),

    ACCEPTED(ROW_FILES,
             SHARED,
             "<memory model='nvdimm' access='private'/>",
             "",
             "devices/memory/@access",
             "private"),
    ACCEPTED(ROW_FILES,
             SHARED,
             "<memory model='virtio-pmem' access='shared'/>",
             "",
             "devices/memory/@access",
             "shared"),
    ACCEPTED(
        ROW_FILES, CONVERTIBLE, "<memory model='nvdimm'/>", "", "devices/memory/@model", "nvdimm"),
    ACCEPTED(ROW_FILES,
             CONVERTIBLE,
             "<memory model='virtio-pmem' access='shared'/>",
             "",
             "devices/memory/@model",
             "virtio-pmem"),

    REFUSAL(ROW_MEMFD_USER,
            SHARED,
            "<hostdev mode='subsystem' type='pci'><driver name='vfio' iommufd='yes'/></hostdev>",
            "",
            NO_MEMFD("<hostdev> with <driver iommufd='yes'/>")),
    REFUSAL(ROW_MEMFD_USER,
            SHARED,
            "<interface type='hostdev'><driver iommufd='yes'/></interface>",
            "",
            NO_MEMFD("<interface> with <driver iommufd='yes'/>")),
    REFUSAL(ROW_MEMFD_USER,
            SHARED,
            "<video><model type='vga'/></video><video><model type='virtio' blob='on'/></video>",
            "",
            NO_MEMFD("<video> with <model blob='on'/>")),
    ACCEPTED(ROW_MEMFD_USER,
             SHARED,
             "<hostdev type='pci'><driver iommufd='no'/></hostdev>",
             "",
             "devices/hostdev/driver/@iommufd",
             "no"),
    ACCEPTED(ROW_MEMFD_USER,
             SHARED,
             "<video><model type='virtio' blob='off'/></video>",
             "",
             "devices/video/model/@blob",
             "off"),
    /* The shared half is an ordinary memfd. */
    ACCEPTED(ROW_MEMFD_USER,
             CONVERTIBLE,
             "<video><model type='virtio' blob='on'/></video>",
             "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>",
             "devices/video/model/@blob",
             "on"),

    ACCEPTED(ROW_VFIO,
             SHARED,
             "<hostdev mode='subsystem' type='pci'/>",
             "",
             "devices/hostdev/@type",
             "pci"),
    ACCEPTED(ROW_VFIO,
             SHARED,
             "<hostdev type='mdev' model='vfio-pci'/>",
             "",
             "devices/hostdev/@type",
             "mdev"),
    REFUSAL(ROW_VFIO,
            CONVERTIBLE,
            "<hostdev mode='subsystem' type='pci'/>",
            "",
            NO_DMA("<hostdev type='pci'>")),
    REFUSAL(ROW_VFIO,
            CONVERTIBLE,
            "<hostdev type='usb'/><hostdev type='mdev' model='vfio-pci'/>",
            "",
            NO_DMA("<hostdev type='mdev'>")),
    REFUSAL(ROW_VFIO,
            CONVERTIBLE,
            "<interface type='hostdev'/>",
            "",
            NO_DMA("<interface type='hostdev'>")),
    REFUSAL(ROW_VFIO,
            CONVERTIBLE,
            "<interface type='user'/><interface type='hostdev'/>",
            "",
            NO_DMA("<interface type='hostdev'>")),
    REFUSAL(ROW_VFIO, CONVERTIBLE, "<disk type='nvme'/>", "", NO_DMA("<disk type='nvme'>")),
    ACCEPTED(ROW_VFIO, SHARED, "<disk type='nvme'/>", "", "devices/disk/@type", "nvme"),
    ACCEPTED(ROW_VFIO,
             CONVERTIBLE,
             "<hostdev mode='subsystem' type='usb'/>",
             "",
             "devices/hostdev/@type",
             "usb"),

#define VIRTIOFS "<filesystem type='mount'><driver type='virtiofs'/></filesystem>"
    /* libvirt requires shared memory there, which it has here without <access mode='shared'/>. */
    ACCEPTED(ROW_VHOST_USER, SHARED, VIRTIOFS, "", "memoryBacking/access/@mode", "shared"),
    ACCEPTED(ROW_VHOST_USER,
             SHARED,
             "<interface type='vhostuser'/><disk type='vhostuser'/>",
             "",
             "memoryBacking/access/@mode",
             "shared"),
    ACCEPTED(ROW_VHOST_USER,
             CONVERTIBLE,
             VIRTIOFS,
             BACKING("<access mode='shared'/>"),
             "memoryBacking/access/@mode",
             "shared"),
    ACCEPTED(ROW_VHOST_USER,
             CONVERTIBLE,
             "<interface type='vhostuser'/>",
             BACKING("<access mode='shared'/>"),
             "devices/interface/@type",
             "vhostuser"),

#define BALLOON(model)                                                                             \
    ACCEPTED(ROW_BALLOON, SHARED, "<memballoon model='" model "'/>", "",                           \
             "devices/memballoon/@model", model),                                                  \
        ACCEPTED(ROW_BALLOON, CONVERTIBLE, "<memballoon model='" model "'/>", "",                  \
                 "devices/memballoon/@model", model)
    BALLOON("virtio"),
    BALLOON("virtio-transitional"),
    BALLOON("virtio-non-transitional"),
    BALLOON("none"),
    ACCEPTED(ROW_BALLOON,
             CONVERTIBLE,
             "<memballoon model='virtio'><stats period='5'/></memballoon>",
             "",
             "devices/memballoon/stats/@period",
             "5"),

    ACCEPTED(ROW_CURRENT_MEMORY,
             SHARED,
             "",
             "<currentMemory unit='MiB'>512</currentMemory>",
             "currentMemory",
             "512"),
    REFUSAL(ROW_CURRENT_MEMORY,
            CONVERTIBLE,
            "",
            "<currentMemory unit='MiB'>512</currentMemory>",
            NO_BALLOON("524288", "1048576")),
    REFUSAL(ROW_CURRENT_MEMORY,
            CONVERTIBLE,
            DIMM("2048", ""),
            "<currentMemory>1024</currentMemory>" NUMA(CELL("0", "1024", "")),
            NO_BALLOON("1024", "3072")),
    ACCEPTED(ROW_CURRENT_MEMORY,
             CONVERTIBLE,
             "",
             "<currentMemory unit='MiB'>1024</currentMemory>",
             "currentMemory",
             "1024"),

    ACCEPTED(ROW_BALLOON_FLAGS,
             SHARED,
             "<memballoon model='virtio' autodeflate='on' freePageReporting='on'/>",
             "",
             "devices/memballoon[@autodeflate='on']/@freePageReporting",
             "on"),
    ACCEPTED(ROW_BALLOON_FLAGS,
             CONVERTIBLE,
             "<memballoon model='virtio' autodeflate='on' freePageReporting='on'/>",
             "",
             "devices/memballoon[@autodeflate='off']/@freePageReporting",
             "off"),

    ACCEPTED(ROW_HARD_LIMIT,
             SHARED,
             "",
             "<memtune><hard_limit>1024</hard_limit></memtune>",
             "memtune/hard_limit",
             "1024"),
    REFUSAL(ROW_HARD_LIMIT,
            CONVERTIBLE,
            "",
            "<memtune><hard_limit unit='MiB'>1023</hard_limit></memtune>",
            NO_LIMIT("1047552", "1048576", "2097152")),
    REFUSAL(ROW_HARD_LIMIT,
            CONVERTIBLE,
            DIMM("2048", "") "<memory model='nvdimm'/>",
            NUMA(CELL("0", "1024", "") CELL("1", "1024", "")) "<memtune><hard_limit>4095"
                                                              "</hard_limit></memtune>",
            NO_LIMIT("4095", "4096", "8192")),
    /* If a size cannot be read, nothing can be compared, and libvirt refuses the domain. */
    ACCEPTED(ROW_HARD_LIMIT,
             CONVERTIBLE,
             "",
             NUMA(CELL("0", "1024", "") CELL("1", "x", "")) "<memtune><hard_limit>1023"
                                                            "</hard_limit></memtune>",
             "memtune/hard_limit",
             "1023"),
    ACCEPTED(ROW_HARD_LIMIT,
             CONVERTIBLE,
             "",
             "<memtune><hard_limit unit='MiB'>1024</hard_limit></memtune>",
             "memtune/hard_limit",
             "1024"),

#define SUSPEND(enabled) "<pm><suspend-to-mem enabled='" enabled "'/></pm>"
    ACCEPTED(ROW_SUSPEND, SHARED, "", SUSPEND("yes"), "pm/suspend-to-mem/@enabled", "yes"),
    REFUSAL(ROW_SUSPEND,
            CONVERTIBLE,
            "",
            SUSPEND("yes"),
            "cannot be used with <suspend-to-mem enabled='yes'/>: waking up looks like a reset, "
            "which private memory does not survive; use enabled='no'"),
    ACCEPTED(ROW_SUSPEND, CONVERTIBLE, "", SUSPEND("no"), "pm/suspend-to-mem/@enabled", "no"),
    ACCEPTED(ROW_SUSPEND,
             CONVERTIBLE,
             "",
             "<pm><suspend-to-disk enabled='yes'/></pm>",
             "pm/suspend-to-disk/@enabled",
             "yes"),

#define CRASH(action) "<on_crash>" action "</on_crash>"
#define WATCHDOG(action) "<devices><watchdog model='i6300esb' action='" action "'/></devices>"
#define OWN_DUMP(words, body)                                                                      \
    REFUSAL(ROW_OWN_DUMP, CONVERTIBLE, "", body,                                                   \
            "cannot be used with " words ": the host cannot read the guest's private pages; use "  \
            "an action without a dump")
    ACCEPTED(ROW_OWN_DUMP, SHARED, "", CRASH("coredump-destroy"), "on_crash", "coredump-destroy"),
    ACCEPTED(ROW_OWN_DUMP, SHARED, "", WATCHDOG("dump"), "devices/watchdog/@action", "dump"),
    OWN_DUMP("<on_crash>coredump-destroy</on_crash>", CRASH("coredump-destroy")),
    OWN_DUMP("<on_crash>coredump-restart</on_crash>", CRASH("coredump-restart")),
    OWN_DUMP("<watchdog action='dump'/>", WATCHDOG("dump")),
    ACCEPTED(ROW_OWN_DUMP, CONVERTIBLE, "", CRASH("restart"), "on_crash", "restart"),
    ACCEPTED(ROW_OWN_DUMP, CONVERTIBLE, "", WATCHDOG("reset"), "devices/watchdog/@action", "reset"),

#define SECURITY(type)                                                                             \
    REFUSAL(ROW_OTHER_SECURITY, SHARED, "", "<launchSecurity type='" type "'/>",                   \
            "cannot be used with <launchSecurity type='" type                                      \
            "'>, whose guest RAM is not guest_memfd; remove one of the two")
    SECURITY("sev"),
    SECURITY("s390-pv"),
    ACCEPTED(ROW_OTHER_SECURITY,
             GMEM_MODE_NONE,
             "",
             "<launchSecurity type='sev-snp'/>",
             "launchSecurity/@type",
             "sev-snp"),
    ACCEPTED(ROW_OTHER_SECURITY,
             GMEM_MODE_NONE,
             "",
             "<launchSecurity type='tdx'/>",
             "launchSecurity/@type",
             "tdx"),
};

/* The element that a case uses; a mode of none means <private/> beside other launch security. */
static const char *
caseWish(const Case *test)
{
    return test->mode == CONVERTIBLE ? SW : "<private/>";
}

/* In front of each case's devices, because the first one of a kind is not the only one; behind
 * those of a case that is refused, because the last one is not, either. */
#define HARMLESS                                                                                   \
    "<disk type='file'/><filesystem><driver type='path'/></filesystem><interface type='user'/>"    \
    "<watchdog action='reset'/><hostdev type='usb'/><video><model type='virtio'/></video>"

static char *
caseDomain(const Case *test, bool first)
{
    g_autofree char *rest = g_strdup(test->rest);
    g_auto(GStrv) parts = g_strsplit(rest, "</memoryBacking>", 2);
    g_autofree char *wished = NULL;

    if (test->mode == CONVERTIBLE)
        wished = g_strconcat(rest, SW, NULL);
    else if (parts[0] == NULL || parts[1] == NULL)
        wished = g_strconcat(rest, BACKING("<private/>"), NULL);
    else
        wished = g_strjoinv("<private/></memoryBacking>", parts);
    return g_strdup_printf("<domain type='%s'><name>a</name><memory unit='GiB'>1</memory>"
                           "<os>%s</os><devices>%s%s</devices>%s</domain>",
                           test->type, test->os, first ? test->devices : HARMLESS,
                           first ? HARMLESS : test->devices, wished);
}

static void
assertMessage(const Case *test, const GError *error)
{
    g_autofree char *whole = error != NULL ? gmemErrorFormat(error) : NULL;
    g_autofree char *expected = NULL;

    if (test->message == NULL) {
        g_assert_no_error(error);
        return;
    }
    g_assert_error(error, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
    expected = g_strdup_printf("unsupported configuration: %s%s%s",
                               test->host == HOST_UNASKED ? caseWish(test) : "",
                               test->host == HOST_UNASKED ? " " : "", test->message);
    g_assert_cmpstr(whole, ==, expected);
}

static void
checkHost(const Case *test, const gmemPlan *plan)
{
    gmemKVM kvm = {
        .available = true,
        .vmTypes = 1U << KVM_X86_DEFAULT_VM | 1U << KVM_X86_SW_PROTECTED_VM,
        .attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE,
        .userMemory2 = true,
        .guestMemfd = true,
        .convertibleGuestMemfd = true,
        .gmemFlags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
        .numaPolicyKnown = test->host != HOST_UNKNOWN,
        .numaPolicy = test->host == HOST_POLICY,
        .kernel = (char *)"6.18.0",
    };
    g_autoptr(GError) error = NULL;
    int rc = gmemQEMUValidateHost(plan, &kvm, &error);

    g_assert_cmpint(rc, ==, test->message != NULL ? -1 : 0);
    assertMessage(test, error);
}

static void
checkSamePlan(const gmemPlan *plan, const gmemPlan *expected)
{
    g_assert_cmpint(plan->mode, ==, expected->mode);
    g_assert_cmpuint(plan->ram, ==, expected->ram);
    g_assert_cmpuint(plan->hugeRam, ==, expected->hugeRam);
}

/* The domain as libvirt stores it, with changes since: a start reports the same error. */
static void
checkStored(const Case *test, const char *text)
{
    gmemCarrier carrier = {.mode = test->mode};
    g_autofree char *value = gmemCarrierFormat(&carrier);
    g_autofree char *escaped = gmemXMLEscape(value);
    g_autofree char *end =
        g_strdup_printf("<qemu:commandline xmlns:qemu='" TEST_QEMU "'><qemu:arg value='%s'/>"
                        "<qemu:arg value=\"%s\"/></qemu:commandline></domain>",
                        GMEM_CARRIER_OPTION, escaped);
    g_auto(GStrv) parts = g_strsplit(text, caseWish(test), 2);
    g_autofree char *without = g_strjoinv("", parts);
    g_auto(GStrv) ends = g_strsplit(without, "</domain>", 2);
    g_autofree char *stored = g_strjoinv(end, ends);
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(gmemRaisePlan(stored, gmemLowerFindRoot, false, &plan, &error), ==, 0);
    g_assert_cmpint(plan->mode, ==, test->mode);
    g_clear_pointer(&plan, gmemPlanFree);
    g_assert_cmpint(gmemRaisePlan(stored, gmemLowerFindRoot, true, &plan, &error), ==, -1);
    g_assert_null(plan);
    assertMessage(test, error);
}

/* A domain is refused as well if what it is refused for comes first. */
static void
checkFirst(const Case *test)
{
    g_autofree char *text = caseDomain(test, true);
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) error = NULL;

    g_test_message("%s", text);
    g_assert_null(gmemLower(text, true, &plan, &error));
    g_assert_null(plan);
    assertMessage(test, error);
}

static void
testCase(const void *data)
{
    const Case *test = data;
    g_autofree char *text = caseDomain(test, false);
    g_autofree char *lowered = NULL;
    g_autofree char *raised = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(gmemPlan) raisedPlan = NULL;
    g_autoptr(GError) error = NULL;

    g_test_message("%s", text);
    lowered = gmemLower(text, true, &plan, &error);
    if (test->host != HOST_UNASKED) {
        g_assert_no_error(error);
        checkHost(test, plan);
        return;
    }
    assertMessage(test, error);
    if (test->message != NULL) {
        g_assert_null(lowered);
        g_assert_null(plan);
        checkStored(test, text);
        checkFirst(test);
        return;
    }
    g_assert_cmpint(plan->mode, ==, test->mode);
    if (test->path != NULL) {
        g_autofree char *last = g_strdup_printf("(%s)[last()]", test->path);

        testUtilAssert(lowered, last, test->value);
    }
    /* An accepted domain is shown as it was written, except for what an element implies. */
    raised = gmemRaise(lowered, &raisedPlan, &error);
    g_assert_no_error(error);
    if (test->mode != CONVERTIBLE)
        testUtilAssertSame(raised, text, text);
    checkSamePlan(raisedPlan, plan);
    g_clear_pointer(&raisedPlan, gmemPlanFree);
    /* The inserted elements do not break any rule. */
    gmemRaisePlan(lowered, gmemLowerFindRoot, true, &raisedPlan, &error);
    g_assert_no_error(error);
    checkSamePlan(raisedPlan, plan);
}

/* Each cell has the cases that its verdict requires, and no domain occurs twice. */
static void
testTable(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    unsigned int found[ROW_LAST][2] = {{0}};
    size_t i, j;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *domain = caseDomain(&cases[i], false);
        char *key = g_strdup_printf("%u %u %s", cases[i].row, cases[i].host, domain);

        found[cases[i].row][cases[i].mode == CONVERTIBLE] |=
            cases[i].message != NULL ? REFUSED : OK;
        if (!g_hash_table_add(seen, key))
            g_error("twice in row '%s': %s", rows[cases[i].row].name, domain);
    }
    for (i = 0; i < ROW_LAST; i++) {
        const Verdict wanted[] = {rows[i].shared, rows[i].convertible};

        g_assert_nonnull(rows[i].name);
        for (j = 0; j < G_N_ELEMENTS(wanted); j++) {
            unsigned int want = wanted[j] == ELSEWHERE ? 0 : wanted[j];

            g_assert_cmpint(wanted[j], !=, 0);
            if (found[i][j] != want)
                g_error("row '%s', %s: cases for %u, verdict %u", rows[i].name,
                        j == 0 ? "fully shared" : "convertible", found[i][j], want);
        }
    }
}

static void
assertThere(const char *row, const char *test)
{
    g_auto(GStrv) parts = g_strsplit(test, ": ", 2);
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(g_strv_length(parts), ==, 2);
    path = g_build_filename(SOURCE_ROOT, parts[0], NULL);
    g_test_message("%s: '%s' in %s", row, parts[1], path);
    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(text, parts[1]));
}

/* The row that a rule belongs to; and if QEMU's command line can express the same, the case in
 * ../qemu/test_command.c for the user's own arguments. */
static const struct {
    gmemDomainRule rule;
    Row row;
    const char *arguments; /* NULL: libvirt does it, or uses it to choose the emulator */
} ruleRows[] = {
    {gmemDomainValidateType, ROW_TYPE, "tcg"},
    {gmemDomainValidateArch, ROW_ARCH, NULL},
    {gmemDomainValidateMachine, ROW_MACHINE, "microvm"},
    {gmemDomainValidateSmm, ROW_SMM, "convertible-smm"},
    {gmemDomainValidateLoader, ROW_LOADER, "convertible-smm"},
    {gmemDomainValidateFirmware, ROW_LOADER, "convertible-smm"},
    {gmemDomainValidateIoapic, ROW_IOAPIC, "convertible-irqchip"},
    {gmemDomainValidateSource, ROW_SOURCE_FILE, "-mem-path"},
    {gmemDomainValidateSource, ROW_SOURCE_ANONYMOUS, "shared-on-ram-with-property"},
    {gmemDomainValidateAccess, ROW_ACCESS, "shared-not-shared"},
    {gmemDomainValidateCells, ROW_CELL_ACCESS, "shared-off"},
    {gmemDomainValidateDimmAccess, ROW_CELL_ACCESS, "dimm-unshared"},
    {gmemDomainValidateHugepages, ROW_HUGEPAGES, "shared-hugetlb"},
    {gmemDomainValidateHugepages, ROW_HUGEPAGES_OF_CELLS, "shared-hugetlb"},
    {gmemDomainValidateDimmPages, ROW_HUGEPAGES_OF_DIMM, "shared-hugetlb"},
    {gmemDomainValidateCellPages, ROW_PAGE_MULTIPLE, "cell-of-no-whole-pages"},
    {gmemDomainValidateDimmSizes, ROW_PAGE_MULTIPLE, "size-of-no-whole-pages"},
    {gmemDomainValidateLocked, ROW_LOCKED, "locked-on"},
    {gmemDomainValidateVirtioMem, ROW_VIRTIO_MEM, "virtio-mem"},
    {gmemDomainValidateSgxEpc, ROW_SGX_EPC, "epc"},
    {gmemDomainValidateVfio, ROW_VFIO, "convertible-user-vfio"},
    {gmemDomainValidateCurrentMemory, ROW_CURRENT_MEMORY, NULL},
    {gmemDomainValidateHardLimit, ROW_HARD_LIMIT, NULL},
    {gmemDomainValidateSuspend, ROW_SUSPEND, "suspend-two-zeros"},
    {gmemDomainValidateDump, ROW_OWN_DUMP, NULL},
    {gmemDomainValidateMemfdUser, ROW_MEMFD_USER, "shared-with-blob"},
};

/* Not decided by a rule of the table of rules. */
static bool
isRefusedOtherwise(Row row)
{
    return row == ROW_NUMA_BINDING || row == ROW_OTHER_SECURITY;
}

static void
testArguments(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(ruleRows); i++) {
        g_autofree char *twin =
            g_strdup_printf("tests/unit/qemu/test_command.c: \"%s\"", ruleRows[i].arguments);

        if (ruleRows[i].arguments != NULL)
            assertThere(rows[ruleRows[i].row].name, twin);
    }
}

/* Whether a domain of the rule's cases has an element there. */
static bool
isFoundAt(gmemDomainRule rule, const char *path)
{
    size_t i, j;

    for (i = 0; i < G_N_ELEMENTS(ruleRows); i++) {
        for (j = 0; ruleRows[i].rule == rule && j < G_N_ELEMENTS(cases); j++) {
            g_autofree char *text = caseDomain(&cases[j], false);
            g_autoptr(gmemXML) xml = gmemXMLParse(text, NULL);
            gmemDomainDef def = {.root = gmemXMLRoot(xml)};

            if (cases[j].row == ruleRows[i].row && cases[j].message != NULL &&
                gmemDomainValidateFindAt(&def, path) != NULL)
                return true;
        }
    }
    return false;
}

/* A rule looks where it says it does. */
static void
testWhere(void)
{
    size_t i, j;

    for (i = 0; i < G_N_ELEMENTS(gmemDomainRules); i++) {
        g_auto(GStrv) paths = g_strsplit(gmemDomainRules[i].where, "|", -1);

        for (j = 0; paths[j] != NULL; j++) {
            if (!isFoundAt(gmemDomainRules[i].rule, paths[j]))
                g_error("no refused domain of rule number %zu has '%s'", i, paths[j]);
        }
    }
}

/* Each rule has a row, which is refused in exactly the modes that the rule is for. */
static void
testRules(void)
{
    bool shared[ROW_LAST] = {false};
    bool convertible[ROW_LAST] = {false};
    size_t i, j;

    for (i = 0; i < G_N_ELEMENTS(gmemDomainRules); i++) {
        size_t found = 0;

        for (j = 0; j < G_N_ELEMENTS(ruleRows); j++) {
            if (ruleRows[j].rule != gmemDomainRules[i].rule)
                continue;
            found++;
            shared[ruleRows[j].row] |= gmemDomainRules[i].fullyShared;
            convertible[ruleRows[j].row] |= gmemDomainRules[i].convertible;
        }
        if (found == 0)
            g_error("rule number %zu has no row: here, and in docs/formatdomain.rst", i);
    }
    for (i = 0; i < ROW_LAST; i++) {
        bool elsewhere = isRefusedOtherwise((Row)i);

        g_test_message("row '%s'", rows[i].name);
        g_assert_cmpint((rows[i].shared & REFUSED) != 0, ==, shared[i] || elsewhere);
        g_assert_cmpint((rows[i].convertible & REFUSED) != 0, ==,
                        convertible[i] || (elsewhere && rows[i].convertible != ELSEWHERE));
    }
}

/* The next line of the table in @text that describes a row; NULL if there is none. */
static char *
nextDocumented(char **text)
{
    char *line = *text;

    *text = strchr(line, '\n');
    g_assert_nonnull(*text);
    *(*text)++ = '\0';
    return line[0] != '=' ? line : NULL;
}

static void
assertDocumented(const char *cell, Verdict verdict, bool convertible)
{
    bool refused = verdict == ELSEWHERE ? convertible : (verdict & REFUSED) != 0;

    g_test_message("%s", cell);
    g_assert_true(g_str_has_prefix(cell, refused ? "refused" : "accepted"));
}

/* The table that users read has these rows, in this order, with these verdicts. */
static void
testDocumented(void)
{
    g_autofree char *path = g_build_filename(SOURCE_ROOT, "docs/formatdomain.rst", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    char *rest;
    size_t i, second, third;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    rest = strstr(text, "\nIn the XML, or asked for ");
    g_assert_nonnull(rest);
    rest++;
    second = strcspn(rest, "F");
    third = strcspn(rest, "C");
    g_assert_nonnull(nextDocumented(&rest));
    g_assert_null(nextDocumented(&rest));
    for (i = 0; i < ROW_LAST; i++) {
        char *line = nextDocumented(&rest);
        g_autofree char *name = NULL;
        g_auto(GStrv) parts = NULL;

        if (line == NULL)
            g_error("no row '%s' in %s", rows[i].name, path);
        g_assert_cmpuint(strlen(line), >, third);
        line[second - 1] = '\0';
        parts = g_strsplit(line, "``", -1);
        name = g_strjoinv(NULL, parts);
        g_assert_cmpstr(g_strchomp(name), ==, rows[i].name);
        assertDocumented(line + second, rows[i].shared, false);
        assertDocumented(line + third, rows[i].convertible, true);
    }
    g_assert_null(nextDocumented(&rest));
}

/* The other tests that rows refer to exist. */
static void
testElsewhere(void)
{
    size_t i;

    for (i = 0; i < ROW_LAST; i++) {
        g_assert_cmpint(rows[i].shared == ELSEWHERE, ==, rows[i].sharedTest != NULL);
        g_assert_cmpint(rows[i].convertible == ELSEWHERE, ==, rows[i].convertibleTest != NULL);
        if (rows[i].sharedTest != NULL)
            assertThere(rows[i].name, rows[i].sharedTest);
        if (rows[i].convertibleTest != NULL)
            assertThere(rows[i].name, rows[i].convertibleTest);
    }
}

int
main(int argc, char **argv)
{
    size_t i;

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/table", testTable);
    g_test_add_func("/rules/elsewhere", testElsewhere);
    g_test_add_func("/rules/rules", testRules);
    g_test_add_func("/rules/arguments", testArguments);
    g_test_add_func("/rules/where", testWhere);
    g_test_add_func("/rules/documented", testDocumented);
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf(
            "/rules/%s/%s/%s/%zu", gmemModeToString(cases[i].mode),
            cases[i].message != NULL ? "refused" : "ok", rows[cases[i].row].name, i);

        g_test_add_data_func(path, &cases[i], testCase);
    }
    return g_test_run();
}
