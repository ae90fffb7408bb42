/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolhost.c: `virt-gmem host`: what this host can do for guest_memfd, line by line.
 *
 * There is one line for each requirement, with the reason and the remedy if it is missing, and one
 * for each memory mode, which the exit status reports. A missing requirement is FAIL if a mode that
 * was asked about requires it, otherwise WARN. By default only the fully shared mode is asked
 * about, because the kernels of distributions do not support the other one. */

#include "config.h"

#include "gmemtool.h"

#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gmemcapabilities.h"
#include "gmemerror.h"
#include "gmemhostconf.h"
#include "gmemi18n.h"
#include "gmemjson.h"
#include "gmemkvm.h"
#include "gmemplan.h"
#include "gmemplatform.h"
#include "gmempreload.h"
#include "gmemprobe.h"
#include "gmemvalidate.h"

#define GMEM_LIBVIRT_MIN 9000000

typedef enum {
    GMEM_RESULT_PASS = 0,
    GMEM_RESULT_WARN,
    GMEM_RESULT_FAIL,
    GMEM_RESULT_LAST
} gmemResult;

/* Not translated: scripts look for these. */
static const char *const resultNames[] = {
    [GMEM_RESULT_PASS] = "PASS",
    [GMEM_RESULT_WARN] = "WARN",
    [GMEM_RESULT_FAIL] = "FAIL",
};
G_STATIC_ASSERT(G_N_ELEMENTS(resultNames) == GMEM_RESULT_LAST);

static const gmemToolColour resultColours[] = {
    [GMEM_RESULT_PASS] = GMEM_TOOL_GREEN,
    [GMEM_RESULT_WARN] = GMEM_TOOL_YELLOW,
    [GMEM_RESULT_FAIL] = GMEM_TOOL_RED,
};
G_STATIC_ASSERT(G_N_ELEMENTS(resultColours) == GMEM_RESULT_LAST);

typedef struct {
    const char *id; /* for --json; part of the interface */
    const char *title;
    gmemResult result;
    char *detail; /* what was found; reason and remedy where something is missing; may be NULL */
} gmemCheck;

typedef struct {
    gmemMode asked; /* GMEM_MODE_NONE: no mode in particular */
    gmemToolFiles *files;
    char *emulator;
    gmemKVM *kvm;
    gmemQEMUCaps *caps; /* NULL: the emulator could not be asked */
    unsigned long libvirtVersion;
    char *confFault;               /* what is wrong with gmem.conf, or NULL */
    GArray *checks;                /* of gmemCheck */
    char *reasons[GMEM_MODE_LAST]; /* why a mode cannot be used; NULL: it can */
} gmemHost;

static void
gmemCheckClear(gmemCheck *check)
{
    g_free(check->detail);
}

static gmemHost *
gmemHostNew(gmemMode asked, const char *emulator)
{
    gmemHost *host = g_new0(gmemHost, 1);

    host->asked = asked;
    host->files = gmemToolFilesFind();
    host->emulator =
        emulator != NULL ? g_strdup(emulator) : g_find_program_in_path(GMEM_PLATFORM_EMULATOR);
    host->checks = g_array_new(FALSE, TRUE, sizeof(gmemCheck));
    g_array_set_clear_func(host->checks, (GDestroyNotify)gmemCheckClear);
    return host;
}

static void
gmemHostFree(gmemHost *host)
{
    size_t i;

    gmemToolFilesFree(host->files);
    g_free(host->emulator);
    gmemKVMFree(host->kvm);
    gmemQEMUCapsFree(host->caps);
    g_free(host->confFault);
    g_array_free(host->checks, TRUE);
    for (i = 0; i < G_N_ELEMENTS(host->reasons); i++)
        g_free(host->reasons[i]);
    g_free(host);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemHost, gmemHostFree)

/* Takes ownership of @detail. */
static void
addCheck(gmemHost *host, const char *id, const char *title, gmemResult result, char *detail)
{
    gmemCheck check = {.id = id, .title = title, .result = result, .detail = detail};

    g_array_append_val(host->checks, check);
}

/* The result if something that only @mode requires is missing. */
static gmemResult
missing(const gmemHost *host, gmemMode mode)
{
    if (host->asked == GMEM_MODE_NONE)
        return mode == GMEM_MODE_FULLY_SHARED ? GMEM_RESULT_FAIL : GMEM_RESULT_WARN;
    return mode == host->asked ? GMEM_RESULT_FAIL : GMEM_RESULT_WARN;
}

static gmemResult
passOr(bool there, gmemResult otherwise)
{
    return there ? GMEM_RESULT_PASS : otherwise;
}

static void
checkKVMConvertible(gmemHost *host)
{
    const gmemKVM *kvm = host->kvm;
    gmemResult lacking = missing(host, GMEM_MODE_CONVERTIBLE);
    bool type = (kvm->vmTypes & (1U << KVM_X86_SW_PROTECTED_VM)) != 0;
    bool attributes = (kvm->attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE) != 0;

    addCheck(host, "kvm-vm-types", _("KVM: VM type for convertible memory (VM_TYPES)"),
             passOr(type, lacking),
             type
                 ? g_strdup_printf("0x%x", kvm->vmTypes)
                 : g_strdup_printf(
                       _("0x%1$x without 0x2; requires Linux 6.12 with CONFIG_KVM_SW_PROTECTED_VM"),
                       kvm->vmTypes));
    addCheck(host, "kvm-memory-attributes", _("KVM: private pages (MEMORY_ATTRIBUTES)"),
             passOr(attributes, lacking),
             attributes ? g_strdup_printf("0x%x", kvm->attributes)
                        : g_strdup_printf(_("0x%1$x without 0x8; comes with that VM type"),
                                          kvm->attributes));
    if (kvm->inPlace)
        addCheck(
            host, "kvm-in-place-conversion", _("KVM: shared pages apart from private ones"),
            lacking,
            g_strdup(_("KVM converts pages in place; requires kvm.gmem_in_place_conversion=0 and "
                       "CONFIG_KVM_VM_MEMORY_ATTRIBUTES")));
    if (kvm->attributesErrno != 0)
        addCheck(host, "kvm-private-pages", _("KVM: a page can be made private"), lacking,
                 g_strdup(g_strerror(kvm->attributesErrno)));
    addCheck(host, "kvm-user-memory2", _("KVM: guest_memfd in memory slots (USER_MEMORY2)"),
             passOr(kvm->userMemory2, lacking),
             kvm->userMemory2 ? NULL : g_strdup(_("requires Linux 6.12")));
}

static void
checkKVMFullyShared(gmemHost *host)
{
    const gmemKVM *kvm = host->kvm;
    gmemResult lacking = missing(host, GMEM_MODE_FULLY_SHARED);
    bool mmap = (kvm->gmemFlags & GUEST_MEMFD_FLAG_MMAP) != 0;
    bool shared = (kvm->gmemFlags & GUEST_MEMFD_FLAG_INIT_SHARED) != 0;

    addCheck(host, "kvm-guest-memfd", _("KVM: guest_memfd (GUEST_MEMFD)"),
             passOr(kvm->guestMemfd, lacking),
             kvm->guestMemfd ? NULL : g_strdup(_("none for ordinary VMs; requires Linux 6.18")));
    addCheck(host, "kvm-guest-memfd-mmap", _("KVM: guest_memfd the host can map (FLAGS, MMAP)"),
             passOr(mmap, lacking),
             mmap ? g_strdup_printf("0x%x", kvm->gmemFlags)
                  : g_strdup_printf(_("0x%1$x without 0x1; requires Linux 6.18"), kvm->gmemFlags));
    addCheck(
        host, "kvm-guest-memfd-init-shared",
        _("KVM: guest_memfd shared from the start (FLAGS, INIT_SHARED)"), passOr(shared, lacking),
        shared ? g_strdup_printf("0x%x", kvm->gmemFlags)
               : g_strdup_printf(_("0x%1$x without 0x2; requires Linux 6.18"), kvm->gmemFlags));
    if (kvm->createErrno != 0)
        addCheck(host, "kvm-guest-memfd-create", _("KVM: guest_memfd can be created"), lacking,
                 g_strdup(g_strerror(kvm->createErrno)));
}

static void
checkNumaPolicy(gmemHost *host)
{
    const char *reason = NULL;

    if (!host->kvm->numaPolicyKnown)
        reason = _("cannot be determined here");
    else if (!host->kvm->numaPolicy)
        reason = _("cells bound to different host nodes are refused, one nodeset for the whole "
                   "domain works; requires a newer Linux, such as 7.2");

    addCheck(host, "numa-policy", _("KVM: NUMA policy of guest_memfd"),
             passOr(reason == NULL, GMEM_RESULT_WARN), g_strdup(reason));
}

static void
checkKVM(gmemHost *host)
{
    host->kvm = gmemKVMProbe();
    addCheck(host, "kvm", _("KVM: /dev/kvm"), passOr(host->kvm->available, GMEM_RESULT_FAIL),
             g_strdup(host->kvm->available ? host->kvm->kernel : host->kvm->reason));
    if (!host->kvm->available)
        return;

    checkKVMFullyShared(host);
    checkNumaPolicy(host);
    checkKVMConvertible(host);
}

/* A file that QEMU, as libvirt runs it, has to open. */
static void
checkQEMUUserOpens(gmemHost *host,
                   const gmemQEMUUser *user,
                   const char *id,
                   const char *title,
                   const char *path,
                   int flags)
{
    int why = gmemToolOpenAs(user->uid, user->gid, path, flags);
    g_autofree char *name = gmemToolUserName(user->uid);

    addCheck(host, id, title, passOr(why == 0, GMEM_RESULT_WARN),
             why == 0 ? g_strdup(name)
                      : g_strdup_printf(_("user %1$s cannot open %2$s: %3$s; grant that user "
                                          "access, or configure another in %4$s"),
                                        name, path, g_strerror(why), GMEM_QEMU_CONF_FILE));
}

static void
checkEmulator(gmemHost *host, const gmemQEMUUser *user)
{
    static const char *const title = N_("QEMU: emulator");
    g_autoptr(GError) error = NULL;
    unsigned int version;

    if (host->emulator == NULL) {
        addCheck(host, "qemu", _(title), GMEM_RESULT_FAIL,
                 g_strdup_printf(
                     _("%1$s is not in PATH; install it, or name another emulator with --emulator"),
                     GMEM_PLATFORM_EMULATOR));
        return;
    }
    host->caps = gmemProbe(host->emulator, user, GMEM_PROBE_TIMEOUT_MS, &error);
    if (host->caps == NULL) {
        addCheck(host, "qemu", _(title), GMEM_RESULT_FAIL,
                 g_strdup_printf("%s: %s", host->emulator, error->message));
        return;
    }

    version = host->caps->version;
    addCheck(host, "qemu", _(title), GMEM_RESULT_PASS,
             g_strdup_printf("%s, %u.%u.%u", host->emulator, version / 1000000,
                             version / 1000 % 1000, version % 1000));
}

static bool
supplies(const gmemHost *host, gmemMode mode)
{
    return gmemQEMUCapsGetSupplier(host->caps, mode) != GMEM_QEMU_SUPPLIER_SHIM;
}

static void
checkOffers(gmemHost *host)
{
    bool memfd = gmemQEMUCapsGet(host->caps, GMEM_QEMU_CAPS_MEMFD);

    addCheck(host, "qemu-memfd", _("QEMU: memory-backend-memfd"),
             passOr(memfd, missing(host, GMEM_MODE_FULLY_SHARED)),
             memfd ? NULL : g_strdup(_("not built in; install a QEMU for Linux hosts")));
    addCheck(host, "qemu-guest-memfd", _("QEMU: guest_memfd for fully shared memory"),
             GMEM_RESULT_PASS,
             g_strdup(supplies(host, GMEM_MODE_FULLY_SHARED)
                          ? _("its own")
                          : _("none of its own: qemu-gmem.so has it")));
    addCheck(host, "qemu-sw-protected-vm", _("QEMU: software-protected VMs"), GMEM_RESULT_PASS,
             g_strdup(supplies(host, GMEM_MODE_CONVERTIBLE)
                          ? _("its own object sw-protected-vm")
                          : _("none of its own: qemu-gmem.so makes them")));
}

static void
checkQEMU(gmemHost *host)
{
    g_autoptr(GError) error = NULL;
    gmemQEMUUser user = {.uid = geteuid(), .gid = getegid()};

    if (geteuid() == 0 && gmemQEMUConfGetUser(GMEM_QEMU_CONF_FILE, &user, &error) < 0) {
        addCheck(host, "qemu-user", _("QEMU: its user"), GMEM_RESULT_WARN,
                 g_strdup(error->message));
        user.uid = user.gid = 0;
    }

    checkEmulator(host, &user);
    if (host->caps != NULL)
        checkOffers(host);

    if (error != NULL)
        return;
    if (host->kvm->available)
        checkQEMUUserOpens(host, &user, "qemu-user-kvm", _("QEMU: its user may open /dev/kvm"),
                           GMEM_KVM_DEVICE, O_RDWR);
    if (access(host->files->shim, F_OK) == 0)
        checkQEMUUserOpens(host, &user, "qemu-user-shim", _("QEMU: its user may read qemu-gmem.so"),
                           host->files->shim, O_RDONLY);
}

static void
checkFile(gmemHost *host, const char *id, const char *title, const char *path)
{
    g_autofree char *fault = gmemToolFileFault(path);

    addCheck(host, id, title, passOr(fault == NULL, GMEM_RESULT_FAIL),
             g_strdup(fault != NULL ? fault : path));
}

/* An invalid file of the administrator's: no convertible domain starts. */
static void
checkConf(gmemHost *host)
{
    g_autoptr(GError) error = NULL;
    g_auto(gmemHostConf) conf = {0};

    if (gmemHostConfRead(GMEM_HOST_CONF_FILE, &conf, &error) < 0)
        host->confFault = g_strdup(error->message);
    addCheck(host, "gmem-conf", "gmem.conf",
             passOr(host->confFault == NULL, missing(host, GMEM_MODE_CONVERTIBLE)),
             g_strdup(host->confFault != NULL ? host->confFault : GMEM_HOST_CONF_FILE));
}

static void
checkDaemons(gmemHost *host)
{
    bool good;
    char *detail = gmemToolDaemonsDescribe(host->files->library, &good);

    addCheck(host, "daemons", _("libvirt: its daemons have libvirt-gmem.so"),
             passOr(good, GMEM_RESULT_WARN),
             detail != NULL ? detail : g_strdup(_("none is running")));
}

static void
checkLibraries(gmemHost *host)
{
    bool new;

    checkFile(host, "library", gmemPreloadListName(GMEM_PRELOAD_LIBRARY), host->files->library);
    checkFile(host, "shim", gmemPreloadListName(GMEM_PRELOAD_SHIM), host->files->shim);

    virGetVersion(&host->libvirtVersion, NULL, NULL);
    new = host->libvirtVersion >= GMEM_LIBVIRT_MIN;
    addCheck(host, "libvirt", "libvirt", passOr(new, GMEM_RESULT_FAIL),
             g_strdup_printf(new ? "%lu.%lu.%lu" : _("%1$lu.%2$lu.%3$lu; requires 9.0.0 or newer"),
                             host->libvirtVersion / 1000000, host->libvirtVersion / 1000 % 1000,
                             host->libvirtVersion % 1000));
    checkDaemons(host);
    checkConf(host);
}

/* Whether the shim can be used, which is required if QEMU does not offer anything itself. */
static int
needShim(const gmemHost *host, GError **error)
{
    if (access(host->files->shim, R_OK) < 0)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("%1$s has no guest_memfd of its own for this mode, and %2$s cannot be read"),
            host->emulator, host->files->shim);
    return 0;
}

static int
judge(const gmemHost *host, gmemMode mode, GError **error)
{
    const gmemPlan plan = {.mode = mode};

    if (gmemQEMUValidateHost(&plan, host->kvm, error) < 0)
        return -1;
    if (host->caps == NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, _("no emulator answers"));
    if (gmemQEMUValidateEmulator(&plan, host->caps, error) < 0)
        return -1;
    if (access(host->files->library, R_OK) < 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, _("%1$s cannot be read"),
                            host->files->library);
    if (mode == GMEM_MODE_CONVERTIBLE && host->confFault != NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", host->confFault);
    return supplies(host, mode) ? 0 : needShim(host, error);
}

static void
judgeMode(gmemHost *host, gmemMode mode, const char *id, const char *title)
{
    g_autoptr(GError) error = NULL;

    if (judge(host, mode, &error) < 0)
        host->reasons[mode] = g_strdup(error->message);
    addCheck(host, id, title, passOr(host->reasons[mode] == NULL, missing(host, mode)),
             g_strdup(host->reasons[mode]));
}

static void
printText(const gmemHost *host)
{
    glong width = 0;
    guint i;

    for (i = 0; i < host->checks->len; i++)
        width = MAX(width, g_utf8_strlen(g_array_index(host->checks, gmemCheck, i).title, -1));

    for (i = 0; i < host->checks->len; i++) {
        const gmemCheck *check = &g_array_index(host->checks, gmemCheck, i);

        printf("%s%*s : %s%s%s", check->title, (int)(width - g_utf8_strlen(check->title, -1)), "",
               gmemToolPaint(stdout, resultColours[check->result]), resultNames[check->result],
               gmemToolPaint(stdout, GMEM_TOOL_PLAIN));
        if (check->detail != NULL)
            printf(" (%s)", check->detail);
        printf("\n");
    }
}

static void
genMember(gmemJSONGen *gen, const char *name, const char *value)
{
    gmemJSONGenString(gen, name);
    gmemJSONGenString(gen, value);
}

static void
genKVM(gmemJSONGen *gen, const gmemKVM *kvm)
{
    gmemJSONGenString(gen, "kvm");
    gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
    gmemJSONGenString(gen, "available");
    gmemJSONGenBool(gen, kvm->available);
    genMember(gen, "reason", kvm->reason);
    genMember(gen, "kernel", kvm->kernel);
    gmemJSONGenString(gen, "vm-types");
    gmemJSONGenNumber(gen, kvm->vmTypes);
    gmemJSONGenString(gen, "memory-attributes");
    gmemJSONGenNumber(gen, kvm->attributes);
    gmemJSONGenString(gen, "user-memory2");
    gmemJSONGenBool(gen, kvm->userMemory2);
    gmemJSONGenString(gen, "guest-memfd");
    gmemJSONGenBool(gen, kvm->guestMemfd);
    gmemJSONGenString(gen, "guest-memfd-flags");
    gmemJSONGenNumber(gen, kvm->gmemFlags);
    gmemJSONGenString(gen, "numa-policy");
    if (kvm->numaPolicyKnown)
        gmemJSONGenBool(gen, kvm->numaPolicy);
    else
        gmemJSONGenString(gen, NULL);
    gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
}

static void
genQEMU(gmemJSONGen *gen, const gmemHost *host)
{
    unsigned int flag;

    gmemJSONGenString(gen, "qemu");
    gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
    genMember(gen, "emulator", host->emulator);
    gmemJSONGenString(gen, "version");
    gmemJSONGenNumber(gen, host->caps != NULL ? host->caps->version : 0);
    gmemJSONGenString(gen, "offers");
    gmemJSONGenBegin(gen, GMEM_JSON_ARRAY);
    for (flag = 0; host->caps != NULL && flag < GMEM_QEMU_CAPS_LAST; flag++) {
        if (gmemQEMUCapsGet(host->caps, flag))
            gmemJSONGenString(gen, gmemQEMUCapsFlagToString(flag));
    }
    gmemJSONGenEnd(gen, GMEM_JSON_ARRAY);
    gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
}

static void
genChecks(gmemJSONGen *gen, const gmemHost *host)
{
    guint i;

    gmemJSONGenString(gen, "checks");
    gmemJSONGenBegin(gen, GMEM_JSON_ARRAY);
    for (i = 0; i < host->checks->len; i++) {
        const gmemCheck *check = &g_array_index(host->checks, gmemCheck, i);

        gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
        genMember(gen, "id", check->id);
        genMember(gen, "title", check->title);
        genMember(gen, "result", resultNames[check->result]);
        genMember(gen, "detail", check->detail);
        gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
    }
    gmemJSONGenEnd(gen, GMEM_JSON_ARRAY);
}

static void
genModes(gmemJSONGen *gen, const gmemHost *host)
{
    unsigned int mode;

    gmemJSONGenString(gen, "modes");
    gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
    for (mode = GMEM_MODE_NONE + 1; mode < GMEM_MODE_LAST; mode++) {
        gmemJSONGenString(gen, gmemModeToString(mode));
        gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
        gmemJSONGenString(gen, "usable");
        gmemJSONGenBool(gen, host->reasons[mode] == NULL);
        genMember(gen, "reason", host->reasons[mode]);
        gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
    }
    gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);
}

static void
printJSON(const gmemHost *host)
{
    g_autoptr(gmemJSONGen) gen = gmemJSONGenNew();
    g_autofree char *text = NULL;

    gmemJSONGenBegin(gen, GMEM_JSON_OBJECT);
    genMember(gen, "version", PACKAGE_VERSION);
    gmemJSONGenString(gen, "libvirt");
    gmemJSONGenNumber(gen, host->libvirtVersion);
    genMember(gen, "library", host->files->library);
    genMember(gen, "shim", host->files->shim);
    genKVM(gen, host->kvm);
    genQEMU(gen, host);
    genChecks(gen, host);
    genModes(gen, host);
    gmemJSONGenEnd(gen, GMEM_JSON_OBJECT);

    text = gmemJSONGenFinish(gen);
    printf("%s\n", text);
}

/* The file promises the modes that can be used. If a running daemon does not have the library, it
 * promises nothing, because the domains of that daemon have ordinary memory. */
static void
printProviderConfig(const gmemHost *host)
{
    static const char *const traits[] = {
        [GMEM_MODE_CONVERTIBLE] = "CUSTOM_GMEM_CONVERTIBLE",
        [GMEM_MODE_FULLY_SHARED] = "CUSTOM_GMEM_FULLY_SHARED",
    };
    bool daemons = true;
    bool any = false;
    guint i;
    unsigned int mode;

    for (i = 0; i < host->checks->len; i++) {
        const gmemCheck *check = &g_array_index(host->checks, gmemCheck, i);

        if (strcmp(check->id, "daemons") == 0 && check->result != GMEM_RESULT_PASS) {
            daemons = false;
            gmemToolError(_("no traits are promised: %1$s"), check->detail);
        }
    }
    printf("meta:\n  schema_version: '1.0'\n"
           "providers:\n  - identification:\n      uuid: '$COMPUTE_NODE'\n"
           "    traits:\n      additional:");
    for (mode = GMEM_MODE_NONE + 1; daemons && mode < GMEM_MODE_LAST; mode++) {
        if (host->reasons[mode] != NULL)
            continue;
        printf("\n        - %s", traits[mode]);
        any = true;
    }
    printf(any ? "\n" : " []\n");
}

static int
exitStatus(const gmemHost *host)
{
    bool shared = host->reasons[GMEM_MODE_FULLY_SHARED] == NULL;
    bool convertible = host->reasons[GMEM_MODE_CONVERTIBLE] == NULL;

    if (host->asked != GMEM_MODE_NONE)
        return host->reasons[host->asked] != NULL ? GMEM_TOOL_EXIT_FAILED : 0;
    if (shared)
        return convertible ? GMEM_TOOL_EXIT_HOST_BOTH : GMEM_TOOL_EXIT_HOST_FULLY_SHARED;
    return convertible ? GMEM_TOOL_EXIT_HOST_CONVERTIBLE : GMEM_TOOL_EXIT_HOST_NONE;
}

int
gmemToolHost(int argc, char **argv)
{
    g_autofree char *emulator = NULL;
    g_autofree char *modeName = NULL;
    gboolean json = FALSE;
    gboolean providers = FALSE;
    gmemMode asked = GMEM_MODE_NONE;
    g_autoptr(gmemHost) host = NULL;
    const GOptionEntry entries[] = {
        {"emulator", 'e', 0, G_OPTION_ARG_FILENAME, &emulator, N_("the QEMU binary to ask"),
         N_("PATH")},
        {"mode", 'm', 0, G_OPTION_ARG_STRING, &modeName,
         N_("exit with 0 if MODE, fully-shared or convertible, can be used, otherwise with 1"),
         N_("MODE")},
        {"json", 'j', 0, G_OPTION_ARG_NONE, &json, N_("print JSON"), NULL},
        {"nova-provider-config", 0, 0, G_OPTION_ARG_NONE, &providers,
         N_("print a provider file for OpenStack Nova"), NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };

    if (!gmemToolParse(entries, &argc, &argv, NULL,
                       _("Says what this host can do for guest_memfd, and what is missing.")))
        return GMEM_TOOL_EXIT_USAGE;
    if (argc > 1) {
        gmemToolError(_("unexpected argument '%1$s'"), argv[1]);
        return GMEM_TOOL_EXIT_USAGE;
    }
    if (modeName != NULL && (asked = gmemModeFromString(modeName)) == GMEM_MODE_NONE) {
        gmemToolError(_("'%1$s' is not a mode: fully-shared or convertible"), modeName);
        return GMEM_TOOL_EXIT_USAGE;
    }
    if (emulator != NULL) {
        g_autofree char *absolute = g_canonicalize_filename(emulator, NULL);

        g_free(emulator);
        emulator = g_steal_pointer(&absolute);
    }

    host = gmemHostNew(asked, emulator);
    checkKVM(host);
    checkQEMU(host);
    checkLibraries(host);
    judgeMode(host, GMEM_MODE_FULLY_SHARED, "mode-fully-shared",
              _("Mode: fully shared, <private/>"));
    judgeMode(host, GMEM_MODE_CONVERTIBLE, "mode-convertible",
              _("Mode: convertible, <launchSecurity type='sw-protected'/>"));

    if (providers)
        printProviderConfig(host);
    else if (json)
        printJSON(host);
    else
        printText(host);
    return exitStatus(host);
}
