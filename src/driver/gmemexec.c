/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemexec.c: in front of execve and execv: the authoritative check, then QEMU's command line.
 *
 * This runs in the child that libvirt forked off a process with many threads, as QEMU's user, in
 * its namespaces and with its label. A lock that another thread held at the fork stays held
 * forever, so nothing here may take one: what is called takes no lock but malloc's, which the C
 * library makes safe. This excludes GLib's containers and GError, whose allocator has locks (up to
 * 2.74; gmemerror.h has a replacement), g_strerror() and message catalogues (gmemi18n.h). Should a
 * lock be forgotten, the alarm ends the child. What only root can read was read before the fork
 * (gmemhostconf.h, gmemcapscache.h). A refusal is text on fd 2, the domain's log, which libvirt
 * quotes; if there is a call, the refusal is also passed back to it (gmemrefusal.h). */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "config.h"
#include "gmemargv.h"
#include "gmemautofd.h"
#include "gmemcapscache.h"
#include "gmemcarrier.h"
#include "gmemcommand.h"
#include "gmemerror.h"
#include "gmemexpect.h"
#include "gmemfile.h"
#include "gmemfiles.h"
#include "gmemhostconf.h"
#include "gmemi18n.h"
#include "gmemimage.h"
#include "gmemkvm.h"
#include "gmemlog.h"
#include "gmemnotes.h"
#include "gmempreload.h"
#include "gmemprocess.h"
#include "gmemprops.h"
#include "gmemreal.h"
#include "gmemrefusal.h"
#include "gmemvalidate.h"

/* The limit, in seconds, for everything between libvirt's call and the real execve: the emulator's
 * own probe, which has a limit of its own (GMEM_PROBE_TIMEOUT_MS); nothing else waits. */
#define GMEM_EXEC_TIMEOUT 30

#define GMEM_ENV "/usr/bin/env"

/* The bit of coredump_filter for shared mappings of files. */
#define GMEM_COREDUMP_MAPPED_SHARED (1UL << 3)

/* The exit status of libvirt's own child if it "cannot execute binary" (EX_CANNOT_INVOKE, POSIX).
 */
#define GMEM_EXEC_REFUSED 126

/* An autostart has no client, so the file is not read at any other time. */
__attribute__((constructor)) static void
gmemExecInit(void)
{
    g_autoptr(GError) error = NULL;

    if (gmemHostConfRefresh(GMEM_HOST_CONF_FILE, &error) < 0 && gmemProcessIsDaemon())
        gmemLog("warning: no domain can be defined, and none with <launchSecurity "
                "type='sw-protected'/> can be started: %s",
                error->message);
}

static G_GNUC_NORETURN void
gmemExecRefuse(const GError *error)
{
    g_autofree char *message = gmemErrorFormat(error);

    gmemLog("%s", message);
    gmemRefusalSet(error);
    _exit(GMEM_EXEC_REFUSED);
}

static const char *
gmemExecGetPreload(char *const envp[], size_t *index)
{
    size_t i;

    for (i = 0; envp != NULL && envp[i] != NULL; i++) {
        if (g_str_has_prefix(envp[i], "LD_PRELOAD=")) {
            *index = i;
            return envp[i] + strlen("LD_PRELOAD=");
        }
    }
    *index = i;
    return NULL;
}

/* A shallow copy of @envp in which LD_PRELOAD is @value (NULL: not set). It is never freed, because
 * execve follows. */
static char **
gmemExecSetPreload(char *const envp[], const char *value)
{
    size_t n = 0, found, i, j = 0;
    char **copy;

    while (envp != NULL && envp[n] != NULL)
        n++;
    copy = g_new0(char *, n + 2);
    gmemExecGetPreload(envp, &found);
    for (i = 0; i < n; i++) {
        if (i != found)
            copy[j++] = envp[i];
        else if (value != NULL)
            copy[j++] = g_strconcat("LD_PRELOAD=", value, NULL);
    }
    if (found == n && value != NULL)
        copy[j] = g_strconcat("LD_PRELOAD=", value, NULL);
    return copy;
}

/* A shallow copy of @envp with entry @index at the end. */
static char **
gmemExecMoveLast(char *const envp[], size_t index)
{
    size_t n = g_strv_length((char **)envp);
    char **copy = g_new0(char *, n + 1);
    size_t i;

    for (i = 0; i + 1 < n; i++)
        copy[i] = envp[i < index ? i : i + 1];
    copy[n - 1] = envp[index];
    return copy;
}

/* The environment for a child that must not have this library: @envp itself if it is clean. A value
 * from a domain's <qemu:env> that replaces ours would be at the end if there had been nothing to
 * replace. */
static char *const *
gmemExecCleanEnvironment(char *const envp[])
{
    size_t index;
    const char *value = gmemExecGetPreload(envp, &index);
    char *rest = value != NULL ? gmemPreloadWithout(value) : NULL;

    if (rest != NULL)
        return gmemExecSetPreload(envp, rest[0] != '\0' ? rest : NULL);
    if (value != NULL && gmemProcessPreloadIsOurs())
        return gmemExecMoveLast(envp, index);
    return envp;
}

static char *const *
gmemExecAddShim(char *const envp[])
{
    const char *shim = gmemProcessShimPath();
    GMEM_AUTO_FD fd = -1;
    const char *value;
    size_t index;

    /* ld.so only warns about a preload that it cannot load. QEMU would then refuse the carrier
     * option, which it does not know; this message says what is really wrong. access() is not used,
     * because AppArmor does not control it: QEMU's profile is already in force here. */
    fd = open(shim, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        GError *error = NULL;

        gmemErrorSet(&error, VIR_ERR_CONFIG_UNSUPPORTED,
                     _("this QEMU binary has no guest_memfd memory backend of its own, and the "
                       "library that supplies one, '%1$s', cannot be read by the user that QEMU "
                       "runs as (uid %2$u): %3$s"),
                     shim, (unsigned int)geteuid(), gmemI18nErrno(errno));
        gmemExecRefuse(error);
    }
    value = gmemExecGetPreload(envp, &index);
    /* After the others, because a sanitizer's run-time library must be the first. */
    return gmemExecSetPreload(
        envp, value != NULL && value[0] != '\0' ? g_strconcat(value, ":", shim, NULL) : shim);
}

static void
gmemExecLogNotes(const gmemPlan *plan)
{
    g_auto(GStrv) notes = gmemNotesFormat(plan);
    size_t i;

    for (i = 0; notes[i] != NULL; i++)
        gmemLog("%s", notes[i]);
}

/* Guest RAM should be in a core dump of QEMU (<memory dumpCore='on'>). The kernel treats
 * guest_memfd as a mapped file, and leaves those out by default (core(5): bit 3). If guest RAM
 * should not be in a dump, QEMU itself says so for the mapping. The filter outlives execve. A
 * process that has changed its user may not open the file unless it is dumpable; execve sets this
 * again in any case. */
static void
gmemExecDumpCore(void)
{
    static const char *const path = "/proc/self/coredump_filter";
    char filter[32] = "";
    int dumpable = prctl(PR_GET_DUMPABLE);
    GMEM_AUTO_FD fd = -1;
    int written = -1;

    prctl(PR_SET_DUMPABLE, 1);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && read(fd, filter, sizeof(filter) - 1) > 0)
        written = dprintf(fd, "0x%lx", strtoul(filter, NULL, 16) | GMEM_COREDUMP_MAPPED_SHARED);
    if (written < 0)
        gmemLog("guest RAM will be missing in a core dump of QEMU: cannot change %s: %s", path,
                gmemI18nErrno(errno));
    prctl(PR_SET_DUMPABLE, dumpable);
}

static bool
gmemExecIsIncoming(char *const argv[])
{
    gmemArgvOption option;

    return gmemArgvFind(argv, "incoming", &option) > 0;
}

/* The domain's managed save image, or NULL if the domain has no name. */
static char *
gmemExecGetImage(char *const argv[])
{
    gmemArgvOption option;
    gmemKeyval name = {.implied = "guest", .opts = true};
    char *path = NULL;
    char *key, *value;

    if (gmemArgvFind(argv, "name", &option) == 0 || option.value == NULL)
        return NULL;
    name.text = option.value;
    while (path == NULL && gmemPropsKeyvalNext(&name, &key, &value) > 0) {
        if (strcmp(key, "guest") == 0)
            path = gmemFilesGetImage(value);
        g_free(key);
        g_free(value);
    }
    return path;
}

/* If there is no client's call, a guest that continues does so from its managed save image
 * (autostart). libvirt gives the image to QEMU's user before it lets the child continue. */
static bool
gmemExecGetImageMode(char *const argv[], gmemMode *mode)
{
    g_autofree char *path = gmemExecGetImage(argv);
    GMEM_AUTO_FD fd = -1;
    int why = 0;
    bool known;

    if (path == NULL)
        return false;
    fd = gmemFileOpen(path, &why);
    known = fd >= 0 && gmemImageMode(fd, mode);
    if (!known)
        gmemLog("cannot determine whether the guest in '%s' continues with the kind of memory that "
                "it was saved with: %s",
                path, fd < 0 ? gmemFileReason(why) : "it is not a save image");
    return known;
}

/* A guest continues in its own mode, whatever a hook has made of its XML. */
static void
gmemExecCheckExpected(char *const argv[], gmemMode mode)
{
    GError *error = NULL;
    gmemMode expected;

    if (!gmemExecIsIncoming(argv) ||
        (!gmemExpected(&expected) && !gmemExecGetImageMode(argv, &expected)) || expected == mode)
        return;
    gmemErrorSet(&error, VIR_ERR_CONFIG_UNSUPPORTED,
                 _("the guest is of mode '%1$s', and the XML that libvirt starts QEMU with is of "
                   "mode '%2$s': a hook script may change the XML only as libvirt stores it, with "
                   "the option '%3$s' in it"),
                 gmemModeToString(expected), gmemModeToString(mode), GMEM_CARRIER_OPTION);
    gmemExecRefuse(error);
}

/* An autostart of a domain whose elements libvirt has dropped. A client's call has already been
 * checked. */
static void
gmemExecCheckFile(char *const argv[])
{
    const char *message = gmemProcessStartsOrdinary() ? NULL : gmemFilesFind(argv);
    GError *error = NULL;

    if (message == NULL)
        return;
    gmemErrorSet(&error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", message);
    gmemExecRefuse(error);
}

/* A saved guest would be lost if a missing NUMA policy were an error. A guest that arrives by
 * migration has been checked by the call, and stays where it is. */
static int
gmemExecValidateHost(char *const argv[], gmemPlan *plan, const gmemKVM *kvm, GError **error)
{
    if (plan->cellNodesetsDiffer && gmemExecIsIncoming(argv)) {
        GError *lost = NULL; /* freeing it takes one of GLib's locks */

        if (gmemQEMUValidateHost(plan, kvm, &lost) == 0)
            return 0;
        plan->cellNodesetsDiffer = false;
        if (gmemQEMUValidateHost(plan, kvm, error) < 0)
            return -1;
        gmemLog("the guest continues without its NUMA policy: %s", lost->message);
        return 0;
    }
    return gmemQEMUValidateHost(plan, kvm, error);
}

static void
gmemExecQEMU(const char *path, char *const argv[], char *const envp[])
{
    GError *error = NULL;
    GError *invalid = NULL; /* gmem.conf */
    g_autoptr(gmemQEMUCaps) caps = NULL;
    g_autoptr(gmemCommand) command = NULL;
    g_autoptr(gmemKVM) kvm = NULL;
    gmemPlan plan = {0};
    gmemHostConf conf = {0};
    unsigned long long huge = 0;

    alarm(GMEM_EXEC_TIMEOUT);
    caps = gmemCapsCacheLookupInChild(path, &error);
    if (caps == NULL)
        gmemExecRefuse(error);
    gmemHostConfGet(&conf, &invalid);
    command = gmemCommandBuild(argv, caps, conf.startPrivate, &error);
    if (command == NULL)
        gmemExecRefuse(error);
    gmemExecCheckExpected(argv, command->mode);
    if (command->mode != GMEM_MODE_NONE) {
        kvm = gmemKVMProbe();
        plan.mode = command->mode;
        plan.cellNodesetsDiffer = command->nodesetsDiffer;
        plan.firmware = command->firmware;
        if (gmemExecValidateHost(argv, &plan, kvm, &error) < 0 ||
            gmemQEMUValidateEmulator(&plan, caps, &error) < 0 ||
            gmemQEMUValidatePages(command, &huge, &error) < 0)
            gmemExecRefuse(error);
        if (command->mode == GMEM_MODE_CONVERTIBLE && invalid != NULL)
            gmemExecRefuse(invalid);
        /* Whether QEMU does what it is asked for, QEMU or the shim in it reports. */
        gmemLog("QEMU is asked for guest RAM of %llu bytes in %zu memory backends as guest_memfd, "
                "mode %s, by %s",
                command->ramSize, command->nbackends, gmemModeToString(command->mode),
                command->supplier);
        plan.ram = command->ramSize / 1024;
        plan.hugeRam = huge / 1024;
        plan.sharedOnly = command->sharedOnly;
        gmemExecLogNotes(&plan);
    }
    if (command->dumpCore && command->mode != GMEM_MODE_NONE)
        gmemExecDumpCore();
    if (command->shim)
        envp = gmemExecAddShim(envp);
    alarm(0);
    gmemReal()->execve(path, command->argv, envp);
}

/* Some vhost-user back ends cannot handle guest_memfd by themselves (vhost-user-gmem.c). libvirt
 * starts virtiofsd before QEMU, and its arguments do not name the domain. So each virtiofsd gets
 * the preload, unless it is known that the domain does not have private memory.
 *
 * libvirtd's AppArmor profile runs virtiofsd, like everything in /usr/bin, with a scrubbed
 * environment, in which ld.so ignores a preload. env(1), which is itself started that way, sets it
 * after the environment has been scrubbed. */
static void
gmemExecVirtiofsd(const char *path, char *const argv[], char *const envp[])
{
    const char *library = gmemProcessVhostUserPath();
    size_t n = g_strv_length((char **)argv);
    const char *value;
    char **words;
    size_t index;

    if (access(library, R_OK) < 0 || access(GMEM_ENV, X_OK) < 0) {
        gmemLog("virtiofsd is started without '%s', which it may need to map guest_memfd: %s",
                library, gmemI18nErrno(errno));
        return;
    }
    value = gmemExecGetPreload(envp, &index);
    words = g_new0(char *, n + 3);
    words[0] = g_strdup("env");
    words[1] = value != NULL && value[0] != '\0'
                   ? g_strconcat("LD_PRELOAD=", value, ":", library, NULL)
                   : g_strconcat("LD_PRELOAD=", library, NULL);
    words[2] = g_strdup(path);
    memcpy(words + 3, argv + 1, (n - 1) * sizeof(*words));
    gmemReal()->execve(GMEM_ENV, words, envp);
}

/* Recognised by the arguments that libvirt gives to it, because <binary path='...'/> can have any
 * name. */
static bool
gmemExecIsVirtiofsd(const char *path, char *const argv[])
{
    size_t i;

    /* env would read a word with '=' as a variable. */
    if (strchr(path, '=') != NULL || argv[0] == NULL || argv[1] == NULL ||
        !g_str_has_prefix(argv[1], "--fd="))
        return false;
    for (i = 2; argv[i] != NULL; i++) {
        if (g_str_has_prefix(argv[i], "source=") || strcmp(argv[i], "--shared-dir") == 0)
            return true;
    }
    return false;
}

/* If a client in session mode does not find a running daemon, libvirt executes one, which should
 * have the library like its parent. */
static bool
gmemExecIsDaemon(const char *path)
{
    g_autofree char *name = g_path_get_basename(path);

    return gmemPreloadIsDaemon(name);
}

static int
gmemExec(const void *caller, const char *path, char *const argv[], char *const envp[])
{
    if (path == NULL || argv == NULL || !gmemProcessCallerIsLibvirt(caller))
        return gmemReal()->execve(path, argv, envp);
    gmemI18nSetForked();
    if (gmemProcessIsDaemon() || !gmemExecIsDaemon(path))
        envp = gmemExecCleanEnvironment(envp);
    if (gmemExecIsVirtiofsd(path, argv) && !gmemProcessStartsOrdinary())
        gmemExecVirtiofsd(path, argv, envp);
    if (!gmemCommandHasPair(argv)) {
        gmemExecCheckExpected(argv, GMEM_MODE_NONE);
        gmemExecCheckFile(argv);
        return gmemReal()->execve(path, argv, envp);
    }
    gmemFilesNotePrivate();
    gmemExecQEMU(path, argv, envp);
    return -1; /* execve's errno is still set */
}

GMEM_INTERPOSED int
execve(const char *path, char *const argv[], char *const envp[])
{
    return gmemExec(__builtin_return_address(0), path, argv, envp);
}

GMEM_INTERPOSED int
execv(const char *path, char *const argv[])
{
    return gmemExec(__builtin_return_address(0), path, argv, environ);
}
