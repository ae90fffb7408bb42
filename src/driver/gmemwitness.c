/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemwitness.c: asks the QEMU of a running domain itself where its memory comes from, and refuses
 * calls that depend on the memory if that is not what the domain's XML says.
 *
 * No public call of libvirt's reports the process of a domain. But libvirt stores its number in a
 * file, which the process itself locks before it becomes QEMU: only its owner can hold the lock,
 * and it ends with the owner. So the process is the one whose number is in the file and which,
 * according to the kernel, holds the lock. /proc/PID is opened before the kernel is asked, and
 * remains that process's.
 *
 * What the process says is published by the shim in it (gmemstatus.h), in a file that belongs to
 * the user of the process. If there is no such file, its command line says more. Linux only reads
 * that from anonymous memory, so a hostile QEMU cannot put a file there that never answers. */

#include "gmemwitness.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "gmemargv.h"
#include "gmemautofd.h"
#include "gmemcapabilities.h"
#include "gmemconnection.h"
#include "gmemerror.h"
#include "gmemfiles.h"
#include "gmemi18n.h"
#include "gmemprops.h"
#include "gmemshimconfig.h"
#include "gmemstatus.h"

/* libvirt's command lines have some KiB; Linux returns them whole. */
#define GMEM_WITNESS_CMDLINE_MAX (4U * 1024 * 1024)

/* What the process says. */
typedef enum {
    GMEM_WITNESS_FULLY_SHARED, /* the shim is in it: memory backends are guest_memfd, later ones,
                                  too */
    GMEM_WITNESS_CONVERTIBLE,  /* the shim is in it, or in a QEMU that it waits for, in mode
                                  convertible */
    GMEM_WITNESS_PROPERTY,     /* its command line has QEMU use guest_memfd of its own */
    GMEM_WITNESS_OLDER,        /* an older library started it, whose shim says nothing, or it waits
                                  for its QEMU; fully shared by its command line */
    GMEM_WITNESS_SILENT,       /* there is nothing of guest_memfd to be found */
} gmemWitness;

/* Whether process @pid, and nobody else, holds the lock on the file at @fd. */
static bool
gmemWitnessHoldsLock(int fd, pid_t pid)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid == pid;
}

/* The number in the file at @fd, or 0. */
static pid_t
gmemWitnessReadNumber(int fd)
{
    char text[32] = "";
    ssize_t count = pread(fd, text, sizeof(text) - 1, 0);
    guint64 number = 0;

    if (count <= 0)
        return 0;
    text[count] = '\0';
    g_strchomp(text);
    return g_ascii_string_to_unsigned(text, 10, 1, INT_MAX, &number, NULL) ? (pid_t)number : 0;
}

/* Returns a descriptor of /proc/PID of the process that holds @path, which the caller has to close,
 * or -1. */
static int
gmemWitnessOpen(const char *path, pid_t *pid, GError **error)
{
    GMEM_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    GMEM_AUTO_FD directory = -1;
    g_autofree char *proc = NULL;
    struct stat st;

    if (fd < 0)
        return gmemErrorSet(error, VIR_ERR_OPERATION_UNSUPPORTED, _("cannot read '%1$s': %2$s"),
                            path, g_strerror(errno));
    *pid = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? gmemWitnessReadNumber(fd) : 0;
    proc = g_strdup_printf("/proc/%d", (int)*pid);
    directory = *pid > 0 ? open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (directory < 0 || !gmemWitnessHoldsLock(fd, *pid))
        return gmemErrorSet(error, VIR_ERR_OPERATION_UNSUPPORTED,
                            _("the process whose number is in '%1$s' does not hold that file"),
                            path);
    return gmemAutoFDSteal(&directory);
}

/* The effective user of the process to which @directory belongs. */
static bool
gmemWitnessGetUser(int directory, uid_t *uid)
{
    GMEM_AUTO_FD fd = openat(directory, "status", O_RDONLY | O_CLOEXEC);
    char text[4096] = "";
    ssize_t count = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    const char *line;

    if (count <= 0)
        return false;
    text[count] = '\0';
    line = strstr(text, "\nUid:");
    return line != NULL && sscanf(line, "\nUid: %*u %u", uid) == 1;
}

/* A status that a process of that user has made, or NULL with @error. */
static gmemShimStatus *
gmemWitnessReadStatus(int directory, pid_t pid, int fd, GError **error)
{
    gmemShimStatus *status;
    const char *fault = NULL;
    struct stat st;
    uid_t uid;

    if (!gmemStatusIsSealed(fd) || fstat(fd, &st) < 0 || !gmemWitnessGetUser(directory, &uid) ||
        st.st_uid != uid) {
        gmemErrorSet(error, VIR_ERR_OPERATION_UNSUPPORTED,
                     _("the status of the emulator (process %1$d) was not made by that process"),
                     (int)pid);
        return NULL;
    }
    status = gmemStatusRead(fd, &fault);
    if (status == NULL)
        gmemErrorSet(error, VIR_ERR_OPERATION_UNSUPPORTED,
                     _("cannot read the status of the emulator (process %1$d): %2$s"), (int)pid,
                     fault);
    return status;
}

static char *
gmemWitnessReadCommandLine(int directory, gsize *length)
{
    GMEM_AUTO_FD fd = openat(directory, "cmdline", O_RDONLY | O_CLOEXEC);
    char *text = g_malloc(GMEM_WITNESS_CMDLINE_MAX + 1);
    ssize_t count;

    *length = 0;
    while (fd >= 0 && *length < GMEM_WITNESS_CMDLINE_MAX &&
           (count = read(fd, text + *length, GMEM_WITNESS_CMDLINE_MAX - *length)) > 0)
        *length += (gsize)count;
    text[*length] = '\0';
    return text;
}

static bool
gmemWitnessHasProperty(char *const argv[])
{
    gmemArgvOption option;
    size_t position = 0;
    bool has = false;

    while (!has && gmemArgvNext(argv, &position, &option)) {
        g_auto(gmemProps) props = {0};

        has = option.name != NULL && strcmp(option.name, "object") == 0 &&
              gmemPropsInit(&props, &option, GMEM_PROPS_OPTS_OR_JSON, "qom-type", NULL) == 0 &&
              gmemQEMUCapsIsSupplied(&props);
    }
    return has;
}

/* Whether @text, of @length bytes, words with a NUL each, is the command line of that domain's
 * QEMU. @witness: out: anything but GMEM_WITNESS_FULLY_SHARED. */
static bool
gmemWitnessFromCommandLine(char *text, gsize length, const char *uuid, gmemWitness *witness)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    char *const *argv;
    gmemArgvOption option;
    char *word;

    for (word = text; word < text + length; word += strlen(word) + 1)
        g_ptr_array_add(words, word);
    g_ptr_array_add(words, NULL);
    argv = (char *const *)words->pdata;
    if (words->len < 2 || gmemArgvFind(argv, "uuid", &option) != 1 ||
        g_strcmp0(option.value, uuid) != 0)
        return false;
    if (gmemArgvFind(argv, GMEM_SHIM_OPTION, &option) > 0)
        *witness =
            option.value != NULL && gmemShimConfigHasMode(option.value, GMEM_MODE_FULLY_SHARED)
                ? GMEM_WITNESS_OLDER
                : GMEM_WITNESS_CONVERTIBLE;
    else
        *witness = gmemWitnessHasProperty(argv) ? GMEM_WITNESS_PROPERTY : GMEM_WITNESS_SILENT;
    return true;
}

/* Asks process @pid, to which @directory belongs. Returns -1 with @error if it has no answer. */
static int
gmemWitnessExamine(int directory, pid_t pid, const char *uuid, gmemWitness *witness, GError **error)
{
    g_autofree gmemShimStatus *status = NULL;
    g_autofree char *text = NULL;
    GMEM_AUTO_FD fd = -1;
    struct stat own, its;
    gsize length;
    int result;

    /* What libvirt has forked is a copy of this process until it becomes QEMU. */
    if (fstatat(directory, "exe", &its, 0) < 0 || stat("/proc/self/exe", &own) < 0 ||
        !S_ISREG(its.st_mode) || (its.st_dev == own.st_dev && its.st_ino == own.st_ino))
        return gmemErrorSet(
            error, VIR_ERR_OPERATION_UNSUPPORTED,
            _("the process of the domain (%1$d) is not an emulator, or may not be inspected"),
            (int)pid);
    text = gmemWitnessReadCommandLine(directory, &length);
    if (!gmemWitnessFromCommandLine(text, length, uuid, witness))
        return gmemErrorSet(error, VIR_ERR_OPERATION_UNSUPPORTED,
                            _("the command line of the emulator (process %1$d) does not have the "
                              "UUID of the domain"),
                            (int)pid);
    fd = gmemStatusOpen(directory, &result);
    if (fd < 0 && result == 0)
        return 0;
    if (fd < 0)
        return gmemErrorSet(error, VIR_ERR_OPERATION_UNSUPPORTED,
                            _("cannot read the status of the emulator (process %1$d): %2$s"),
                            (int)pid, g_strerror(result));
    status = gmemWitnessReadStatus(directory, pid, fd, error);
    if (status == NULL)
        return -1;
    *witness = status->mode == GMEM_SHIM_STATUS_FULLY_SHARED ? GMEM_WITNESS_FULLY_SHARED
                                                             : GMEM_WITNESS_CONVERTIBLE;
    return 0;
}

/* Asks the QEMU of a running domain of ours. Returns -1 with VIR_ERR_OPERATION_UNSUPPORTED if the
 * process cannot be found for certain, or may not be inspected, or if its answer is inconsistent.
 */
static int
gmemWitnessAsk(virDomainPtr domain, gmemWitness *witness, GError **error)
{
    g_autofree char *root = gmemConnectionGetRoot(virDomainGetConnect(domain));
    g_autofree char *where = gmemFilesRunDirectory(root);
    g_autofree char *file = g_strconcat(virDomainGetName(domain), ".pid", NULL);
    g_autofree char *path = g_build_filename(where, file, NULL);
    char uuid[VIR_UUID_STRING_BUFLEN] = "";
    pid_t pid = 0;
    GMEM_AUTO_FD directory = gmemWitnessOpen(path, &pid, error);

    *witness = GMEM_WITNESS_SILENT;
    if (directory < 0)
        return -1;
    virDomainGetUUIDString(domain, uuid);
    return gmemWitnessExamine(directory, pid, uuid, witness, error);
}

/* Refuses if memory that libvirt adds to that process would be ordinary, or could be. */
static int
gmemWitnessCheckHotplugAnswer(gmemWitness witness, GError **error)
{
    switch (witness) {
    case GMEM_WITNESS_FULLY_SHARED:
        return 0;
    case GMEM_WITNESS_PROPERTY:
        return gmemErrorSet(
            error, VIR_ERR_OPERATION_UNSUPPORTED, "%s",
            _("memory cannot be attached to a running domain with <private/> whose emulator has "
              "guest_memfd of its own, which libvirt does not request for attached memory; add the "
              "memory to the domain while it is shut off"));
    case GMEM_WITNESS_OLDER:
        return gmemErrorSet(error, VIR_ERR_OPERATION_UNSUPPORTED, "%s",
                            _("memory cannot be attached to a running domain with <private/>: its "
                              "emulator was started by an older libvirt-gmem, or by a wrapper "
                              "that waits for it, and does not report what its memory is; shut the "
                              "domain down and start it again"));
    case GMEM_WITNESS_CONVERTIBLE:
    case GMEM_WITNESS_SILENT:
    default:
        return gmemErrorSet(
            error, VIR_ERR_OPERATION_UNSUPPORTED, "%s",
            _("memory cannot be attached to a running domain with <private/> whose emulator would "
              "allocate ordinary memory; shut the domain down and start it again"));
    }
}

int
gmemWitnessCheckHotplug(virDomainPtr domain, const gmemPlan *plan, GError **error)
{
    g_autoptr(GError) cause = NULL;
    gmemWitness witness;

    if (plan->mode == GMEM_MODE_CONVERTIBLE)
        return gmemErrorSet(error, VIR_ERR_OPERATION_UNSUPPORTED, "%s",
                            _("memory cannot be attached to a running domain with <launchSecurity "
                              "type='sw-protected'/>; add it to the domain while it is shut off"));
    if (plan->mode != GMEM_MODE_FULLY_SHARED)
        return 0;
    if (gmemWitnessAsk(domain, &witness, &cause) < 0)
        return gmemErrorSet(
            error, VIR_ERR_OPERATION_UNSUPPORTED,
            _("memory cannot be attached to a running domain with <private/>: %1$s"),
            cause->message);
    return gmemWitnessCheckHotplugAnswer(witness, error);
}

/* Refuses if the memory of that process is not what <private/> asks for. */
static int
gmemWitnessCheckRunningAnswer(gmemWitness witness, const char *name, GError **error)
{
    switch (witness) {
    case GMEM_WITNESS_FULLY_SHARED:
    case GMEM_WITNESS_PROPERTY:
    case GMEM_WITNESS_OLDER:
        return 0;
    case GMEM_WITNESS_CONVERTIBLE:
        return gmemErrorSet(
            error, VIR_ERR_OPERATION_UNSUPPORTED,
            _("refusing what depends on the memory of the running domain '%1$s': its emulator has "
              "the memory of <launchSecurity type='sw-protected'/>, and not that of <private/>; "
              "shut the domain down and start it again"),
            name);
    case GMEM_WITNESS_SILENT:
    default:
        return gmemErrorSet(
            error, VIR_ERR_OPERATION_UNSUPPORTED,
            _("refusing what depends on the memory of the running domain '%1$s': its emulator has "
              "no guest_memfd, which <private/> asks for; shut the domain down and start it again"),
            name);
    }
}

int
gmemWitnessCheckRunning(virDomainPtr domain, const gmemPlan *plan, GError **error)
{
    g_autoptr(GError) cause = NULL;
    gmemWitness witness;
    int active;

    if (plan == NULL || plan->mode != GMEM_MODE_FULLY_SHARED)
        return 0;
    active = virDomainIsActive(domain);
    if (active != 1)
        return active;
    if (gmemWitnessAsk(domain, &witness, &cause) == 0)
        return gmemWitnessCheckRunningAnswer(witness, virDomainGetName(domain), error);
    /* It may have ended since. */
    if (virDomainIsActive(domain) == 0)
        return 0;
    return gmemErrorSet(error, VIR_ERR_OPERATION_UNSUPPORTED,
                        _("refusing what depends on the memory of the running domain '%1$s', as it "
                          "cannot be determined whether its emulator has guest_memfd: %2$s"),
                        virDomainGetName(domain), cause->message);
}
