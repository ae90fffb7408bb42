/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemprobe.c: runs a QEMU binary to ask it what it offers.
 *
 * The binary is whatever the domain's XML names, so it is not trusted. It runs as a user without
 * privileges, with an environment of our choice and no descriptors except three pipes. Its output
 * is limited, and so is its time, by one deadline for everything until it has been reaped. As root
 * it also gets a PID namespace of its own, which no process in it outlives, not even one that has
 * left the process group; without root the process group is killed.
 *
 * Between clone and execve there are only system calls. Before that, and in the caller if that is
 * itself a forked child of a threaded process, malloc is used but no lock is taken: no GLib
 * containers, no GSubprocess. The child is created by the system call and not by fork(), because
 * the system call supports CLONE_PIDFD and CLONE_NEWPID. It bypasses the handlers of
 * pthread_atfork, which are for children that call more than execve. */

#include "gmemprobe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "gmemautofd.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmempreload.h"
#include "gmemshimprobe.h"

/* Debian 12's C library does not have this constant yet; Linux has it since 5.4. */
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* How much of what the emulator prints on stderr is kept for the message: the end of it. */
#define GMEM_PROBE_WORDS_MAX 1024

/* How long a process may take to die after SIGKILL before it is given up (it hangs in an
 * uninterruptible system call, and nobody could reap it). */
#define GMEM_PROBE_BURIAL_MS 2000

/* Fits into any pipe (PIPE_BUF), so writing it never waits for the emulator. */
static const char gmemProbeCommands[] = "{\"execute\":\"qmp_capabilities\"}\n"
                                        "{\"execute\":\"query-qmp-schema\"}\n";
static const char gmemProbeQuit[] = "{\"execute\":\"quit\"}\n";
static_assert(sizeof(gmemProbeCommands) + sizeof(gmemProbeQuit) < 4096, "PIPE_BUF");

/* The number of replies to the first two. The last command is only sent after them: the schema is
 * larger than a pipe, and QEMU drops what has not been read of it when it quits (11.1 does, one
 * time in ten). */
#define GMEM_PROBE_REPLIES 2

/* What the child was doing when it failed, for the message. */
typedef enum {
    GMEM_PROBE_STEP_STDIO = 0,
    GMEM_PROBE_STEP_CAPABILITIES,
    GMEM_PROBE_STEP_USER,
    GMEM_PROBE_STEP_NO_NEW_PRIVS,
    GMEM_PROBE_STEP_CLOSE,
    GMEM_PROBE_STEP_EXEC,
    GMEM_PROBE_STEP_LAST
} gmemProbeStep;

/* What the child reports over the status pipe, which execve closes. GMEM_PROBE_STEP_LAST is not a
 * failure: its user cannot read the shim, and it continues without the shim. */
typedef struct {
    gmemProbeStep step;
    int saved;
} gmemProbeFailure;

/* Both ends of the four pipes, and the child. -1: none. */
typedef struct {
    const char *emulator;
    int in[2];     /* the emulator's stdin: our commands */
    int out[2];    /* its stdout: the replies */
    int words[2];  /* its stderr */
    int status[2]; /* gmemProbeFailure, at most two, or end of file at execve */
    bool shim;     /* it gets the shim */
    bool confined; /* gmemProbeIsConfined() */
    pid_t pid;
    int pidfd;
    bool exited;
    siginfo_t info;
    struct timespec deadline;
    char *text; /* stdout so far */
    size_t length;
    size_t allocated;
    size_t line; /* where the line begins that is being read */
    size_t seen; /* up to where there is no end of that line */
    unsigned int replies;
    char last[GMEM_PROBE_WORDS_MAX + 1];
    size_t nlast;
} gmemProbeRun;

/* Set before there are threads. */
static const char *gmemProbeShim;

static void
gmemProbeClose(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void
gmemProbeRunClear(gmemProbeRun *run)
{
    size_t i;

    for (i = 0; i < 2; i++) {
        gmemProbeClose(&run->in[i]);
        gmemProbeClose(&run->out[i]);
        gmemProbeClose(&run->words[i]);
        gmemProbeClose(&run->status[i]);
    }
    gmemProbeClose(&run->pidfd);
    g_free(run->text);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemProbeRun, gmemProbeRunClear)

/* Above the standard streams, which a daemon may have closed, because the child moves pipes to
 * these. */
static int
gmemProbePipe(int fds[2], GError **error)
{
    size_t i;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return gmemErrorSet(error, VIR_ERR_SYSTEM_ERROR, _("cannot create a pipe: %1$s"),
                            gmemI18nErrno(errno));
    for (i = 0; i < 2; i++) {
        int high;

        if (fds[i] > STDERR_FILENO)
            continue;
        high = fcntl(fds[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (high < 0)
            return gmemErrorSet(error, VIR_ERR_SYSTEM_ERROR, _("cannot create a pipe: %1$s"),
                                gmemI18nErrno(errno));
        close(fds[i]);
        fds[i] = high;
    }
    return 0;
}

/* Whether a security module may treat what we execute differently from what libvirt executes. */
static bool
gmemProbeIsConfined(void)
{
    static const char free[] = "unconfined";
    char label[sizeof(free)] = "";
    GMEM_AUTO_FD fd = open("/proc/self/attr/current", O_RDONLY | O_CLOEXEC);
    ssize_t count = fd >= 0 ? read(fd, label, sizeof(label) - 1) : -1;

    return count > 0 && strcmp(label, free) != 0;
}

/* libvirt passes these variables to a QEMU that it probes, and little else. @shim: NULL: none */
static char **
gmemProbeEnvironment(const char *shim)
{
    static const char *const passed[] = {"LD_LIBRARY_PATH", "TMPDIR"};
    const char *path = getenv("PATH");
    const char *preload = getenv("LD_PRELOAD");
    g_autofree char *without = preload != NULL ? gmemPreloadWithout(preload) : NULL;
    const char *rest = without != NULL ? without : preload != NULL ? preload : "";
    char **envp = g_new0(char *, G_N_ELEMENTS(passed) + 6);
    size_t n = 0;
    size_t i;

    envp[n++] = g_strdup("LC_ALL=C");
    envp[n++] = g_strdup("HOME=/");
    envp[n++] = g_strconcat("PATH=", path != NULL ? path : "/usr/sbin:/usr/bin:/sbin:/bin", NULL);
    for (i = 0; i < G_N_ELEMENTS(passed); i++) {
        const char *value = getenv(passed[i]);

        if (value != NULL)
            envp[n++] = g_strconcat(passed[i], "=", value, NULL);
    }
    if (shim != NULL) {
        envp[n++] = g_strdup(GMEM_SHIM_PROBE_VARIABLE "=1");
        envp[n++] = g_strconcat("LD_PRELOAD=", rest, rest[0] != '\0' ? ":" : "", shim, NULL);
    } else if (rest[0] != '\0') {
        envp[n++] = g_strconcat("LD_PRELOAD=", rest, NULL);
    }
    return envp;
}

static void
gmemProbeChildTell(int status, gmemProbeStep step)
{
    gmemProbeFailure failure = {.step = step, .saved = errno};

    /* If even this fails, the parent sees a child that ended without a message. */
    if (write(status, &failure, sizeof(failure)) < 0)
        _exit(127);
}

static G_GNUC_NORETURN void
gmemProbeChildFail(int status, gmemProbeStep step)
{
    gmemProbeChildTell(status, step);
    _exit(126);
}

/* The kernel takes the ambient ones with them. */
static int
gmemProbeChildDropCapabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return (int)syscall(SYS_capset, &header, data);
}

/* As far as this is permitted: it is not to a root that libvirt took the capabilities from. That
 * uid 0 gets none from execve is no_new_privs' doing anyway, once capset() has emptied the sets. */
static void
gmemProbeChildEmptyBoundingSet(void)
{
    unsigned long cap;

    for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

/* The kernel's struct sigaction, for SIG_DFL. The C library keeps 32 and 33 to itself, and somebody
 * may have ignored them, too, before this process began. */
static void
gmemProbeResetSignals(void)
{
    static const unsigned long none[4];
    sigset_t set;
    int i;

    for (i = 1; i < NSIG; i++)
        syscall(SYS_rt_sigaction, i, none, NULL, NSIG / 8);
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

/* System calls, not the C library's setresuid() and the like: those signal every thread that the
 * library still knows of. */
static void
gmemProbeChild(const gmemProbeRun *run,
               const gmemQEMUUser *user,
               char *const argv[],
               char *const envp[],
               char *const plain[])
{
    struct rlimit none = {0, 0};
    int status = run->status[1];
    bool root = geteuid() == 0;

    gmemProbeResetSignals();
    setsid();
    setrlimit(RLIMIT_CORE, &none);
    if (chdir("/") < 0 || dup2(run->in[0], STDIN_FILENO) < 0 ||
        dup2(run->out[1], STDOUT_FILENO) < 0 || dup2(run->words[1], STDERR_FILENO) < 0)
        gmemProbeChildFail(status, GMEM_PROBE_STEP_STDIO);

    gmemProbeChildEmptyBoundingSet();
    if (root && user != NULL &&
        (syscall(SYS_setgroups, 0, NULL) < 0 ||
         syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0 ||
         syscall(SYS_setresuid, user->uid, user->uid, user->uid) < 0))
        gmemProbeChildFail(status, GMEM_PROBE_STEP_USER);
    if (gmemProbeChildDropCapabilities() < 0)
        gmemProbeChildFail(status, GMEM_PROBE_STEP_CAPABILITIES);
    /* AppArmor refuses to a confined process with that bit what libvirt's profiles want for an
     * emulator: to be executed without a profile. libvirt asks emulators without it, too. */
    if (!run->confined && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        gmemProbeChildFail(status, GMEM_PROBE_STEP_NO_NEW_PRIVS);
    if (run->shim && access(gmemProbeShim, R_OK) < 0) {
        gmemProbeChildTell(status, GMEM_PROBE_STEP_LAST);
        envp = plain;
    }
    /* After the change of user, which would undo it. The thread that made us waits for us; where
     * its process is killed meanwhile, this is what ends the emulator. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);

    if (dup2(status, STDERR_FILENO + 1) < 0 || fcntl(STDERR_FILENO + 1, F_SETFD, FD_CLOEXEC) < 0 ||
        syscall(SYS_close_range, STDERR_FILENO + 2, ~0U, 0) < 0)
        gmemProbeChildFail(status, GMEM_PROBE_STEP_CLOSE);

    /* The system call, because inside libvirt-gmem.so the name execve is that library's own
     * replacement, which would probe this emulator before it lets it start. */
    syscall(SYS_execve, run->emulator, argv, envp);
    gmemProbeChildFail(STDERR_FILENO + 1, GMEM_PROBE_STEP_EXEC);
}

static int
gmemProbeSpawn(gmemProbeRun *run, const gmemQEMUUser *user, GError **error)
{
    /* -S and machine none: nothing runs or is allocated. TCG comes first, because a user without
     * groups may not open KVM's device, and the answers do not depend on the accelerator. */
    char *const argv[] = {(char *)run->emulator,
                          (char[]){"-S"},
                          (char[]){"-no-user-config"},
                          (char[]){"-nodefaults"},
                          (char[]){"-display"},
                          (char[]){"none"},
                          (char[]){"-machine"},
                          (char[]){"none,accel=tcg:kvm"},
                          (char[]){"-qmp"},
                          (char[]){"stdio"},
                          NULL};
    g_auto(GStrv) envp = gmemProbeEnvironment(run->shim ? gmemProbeShim : NULL);
    g_auto(GStrv) plain = gmemProbeEnvironment(NULL);
    unsigned long flags = CLONE_PIDFD | SIGCHLD;
    sigset_t all, old;
    long pid = -1;
    int saved;

    if (gmemProbePipe(run->in, error) < 0 || gmemProbePipe(run->out, error) < 0 ||
        gmemProbePipe(run->words, error) < 0 || gmemProbePipe(run->status, error) < 0)
        return -1;
    /* This cannot cause SIGPIPE: both ends stay open here, whatever the child does with its own. */
    if (write(run->in[1], gmemProbeCommands, strlen(gmemProbeCommands)) < 0)
        return gmemErrorSet(error, VIR_ERR_SYSTEM_ERROR, _("cannot write to a pipe: %1$s"),
                            gmemI18nErrno(errno));
    fcntl(run->out[0], F_SETFL, O_NONBLOCK);
    fcntl(run->words[0], F_SETFL, O_NONBLOCK);
    fcntl(run->status[0], F_SETFL, O_NONBLOCK);

    /* The caller's signal handlers must not run in the child. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    /* x86_64's order of arguments: flags, stack, parent's tid (here the pidfd), child's tid, TLS.
     */
    if (geteuid() == 0)
        pid = syscall(SYS_clone, flags | CLONE_NEWPID, 0, &run->pidfd, 0, 0);
    if (pid < 0) /* Not root, or root of a container that may not do this. */
        pid = syscall(SYS_clone, flags, 0, &run->pidfd, 0, 0);
    if (pid == 0)
        gmemProbeChild(run, user, argv, envp, plain);
    saved = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (pid < 0) {
        run->pidfd = -1;
        return gmemErrorSet(error, VIR_ERR_SYSTEM_ERROR,
                            _("cannot create a process for the emulator '%1$s': %2$s"),
                            run->emulator, gmemI18nErrno(saved));
    }
    run->pid = (pid_t)pid;
    gmemProbeClose(&run->out[1]);
    gmemProbeClose(&run->words[1]);
    gmemProbeClose(&run->status[1]);
    return 0;
}

static int
gmemProbeTimeLeft(const struct timespec *deadline)
{
    struct timespec now;
    gint64 left;

    clock_gettime(CLOCK_MONOTONIC, &now);
    left = (gint64)(deadline->tv_sec - now.tv_sec) * 1000 +
           (deadline->tv_nsec - now.tv_nsec) / 1000000;
    return (int)CLAMP(left, 0, G_MAXINT);
}

/* Only for gmemProbeTimeLeft(): the nanoseconds can be more than a second. */
static struct timespec
gmemProbeDeadline(unsigned int timeout)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout / 1000;
    deadline.tv_nsec += (long)(timeout % 1000) * 1000000;
    return deadline;
}

/* Reads what is available. Returns -1 if that is more than an answer can have. */
static int
gmemProbeReadReplies(gmemProbeRun *run, GError **error)
{
    for (;;) {
        ssize_t got;

        if (run->length >= GMEM_PROBE_OUTPUT_MAX)
            return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                                _("the emulator '%1$s' printed more than %2$d bytes when it was "
                                  "asked what it offers"),
                                run->emulator, GMEM_PROBE_OUTPUT_MAX);
        if (run->allocated - run->length < 2) {
            run->allocated = run->allocated == 0 ? 256 * 1024 : run->allocated * 2;
            run->text = g_realloc(run->text, run->allocated);
        }
        got = read(run->out[0], run->text + run->length, run->allocated - run->length - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return 0;
        if (got == 0) {
            gmemProbeClose(&run->out[0]);
            return 0;
        }
        run->length += (size_t)got;
    }
}

static bool
gmemProbeIsReply(const char *line, size_t length)
{
    static const char *const starts[] = {"{\"return\"", "{\"error\""};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(starts); i++) {
        if (length >= strlen(starts[i]) && memcmp(line, starts[i], strlen(starts[i])) == 0)
            return true;
    }
    return false;
}

/* Makes the emulator quit when it has answered. QMP writes each reply as a line. */
static int
gmemProbeGoOn(gmemProbeRun *run, GError **error)
{
    while (run->replies < GMEM_PROBE_REPLIES && run->seen < run->length) {
        const char *end = memchr(run->text + run->seen, '\n', run->length - run->seen);

        if (end == NULL) {
            run->seen = run->length;
            return 0;
        }
        run->replies +=
            gmemProbeIsReply(run->text + run->line, (size_t)(end - run->text) - run->line);
        run->seen = run->line = (size_t)(end - run->text) + 1;
        if (run->replies == GMEM_PROBE_REPLIES &&
            write(run->in[1], gmemProbeQuit, strlen(gmemProbeQuit)) < 0)
            return gmemErrorSet(error, VIR_ERR_SYSTEM_ERROR, _("cannot write to a pipe: %1$s"),
                                gmemI18nErrno(errno));
    }
    return 0;
}

static void
gmemProbeReadWords(gmemProbeRun *run)
{
    char chunk[GMEM_PROBE_WORDS_MAX];
    size_t i;

    for (i = 0; i < 64; i++) { /* 64 KiB at a time, so that the other pipe is read, too */
        ssize_t got = read(run->words[0], chunk, sizeof(chunk));
        size_t keep;

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return;
        if (got == 0) {
            gmemProbeClose(&run->words[0]);
            return;
        }
        keep = MIN(run->nlast, GMEM_PROBE_WORDS_MAX - (size_t)got);
        memmove(run->last, run->last + run->nlast - keep, keep);
        memcpy(run->last + keep, chunk, (size_t)got);
        run->nlast = keep + (size_t)got;
    }
}

/* Waits until the emulator has ended, whoever else may still hold its end of a pipe. */
static int
gmemProbeListen(gmemProbeRun *run, GError **error)
{
    while (!run->exited) {
        struct pollfd fds[] = {
            {.fd = run->pidfd, .events = POLLIN},
            {.fd = run->out[0], .events = POLLIN},
            {.fd = run->words[0], .events = POLLIN},
        };
        int left = gmemProbeTimeLeft(&run->deadline);
        int n = left > 0 ? poll(fds, G_N_ELEMENTS(fds), left) : 0;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return gmemErrorSet(error, VIR_ERR_SYSTEM_ERROR, _("cannot wait for a process: %1$s"),
                                gmemI18nErrno(errno));
        if (n == 0)
            return gmemErrorSet(error, VIR_ERR_OPERATION_TIMEOUT,
                                _("the emulator '%1$s' did not report in time what it offers"),
                                run->emulator);
        run->exited = fds[0].revents != 0;
        if (run->out[0] >= 0 &&
            (gmemProbeReadReplies(run, error) < 0 || gmemProbeGoOn(run, error) < 0))
            return -1;
        if (run->words[0] >= 0)
            gmemProbeReadWords(run);
    }
    return 0;
}

/* Until the child is reaped, its number cannot be another process's, and neither can its process
 * group's. */
static void
gmemProbeBury(gmemProbeRun *run)
{
    struct timespec deadline = gmemProbeDeadline(GMEM_PROBE_BURIAL_MS);
    struct pollfd fd = {.fd = run->pidfd, .events = POLLIN};
    int left;

    kill(-run->pid, SIGKILL);
    /* It may not have called setsid() yet. */
    syscall(SYS_pidfd_send_signal, run->pidfd, SIGKILL, NULL, 0);
    while ((left = gmemProbeTimeLeft(&deadline)) > 0) {
        int n = poll(&fd, 1, left);

        if (n > 0 || (n < 0 && errno != EINTR))
            break;
    }
    while (waitid((idtype_t)P_PIDFD, (id_t)run->pidfd, &run->info, WEXITED | WNOHANG) < 0 &&
           errno == EINTR)
        continue;
}

/* The emulator's last output as a part of a message: one line, printable. */
static char *
gmemProbeLastWords(const gmemProbeRun *run)
{
    char *words = g_strndup(run->last, run->nlast);
    size_t i;

    for (i = 0; words[i] != '\0'; i++) {
        if (!g_ascii_isprint(words[i]))
            words[i] = g_ascii_isspace(words[i]) ? ' ' : '?';
    }
    g_strstrip(words);
    if (words[0] == '\0') {
        g_free(words);
        words = g_strdup(_("it printed no message"));
    }
    return words;
}

/* Reports why the child did not become the emulator. */
static int
gmemProbeRefuseFailure(const char *emulator, const gmemProbeFailure *failure, GError **error)
{
    const char *cause = gmemI18nErrno(failure->saved);

    switch (failure->step) {
    case GMEM_PROBE_STEP_STDIO:
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("cannot set up the standard streams of the emulator '%1$s' to ask "
                              "what it offers: %2$s"),
                            emulator, cause);
    case GMEM_PROBE_STEP_CAPABILITIES:
        return gmemErrorSet(
            error, VIR_ERR_INTERNAL_ERROR,
            _("cannot drop the capabilities of the emulator '%1$s' to ask what it offers: %2$s"),
            emulator, cause);
    case GMEM_PROBE_STEP_USER:
        return gmemErrorSet(
            error, VIR_ERR_INTERNAL_ERROR,
            _("cannot change the user to ask the emulator '%1$s' what it offers: %2$s"), emulator,
            cause);
    case GMEM_PROBE_STEP_NO_NEW_PRIVS:
        return gmemErrorSet(
            error, VIR_ERR_INTERNAL_ERROR,
            _("cannot set no_new_privs to ask the emulator '%1$s' what it offers: %2$s"), emulator,
            cause);
    case GMEM_PROBE_STEP_CLOSE:
        return gmemErrorSet(
            error, VIR_ERR_INTERNAL_ERROR,
            _("cannot close descriptors to ask the emulator '%1$s' what it offers: %2$s"), emulator,
            cause);
    case GMEM_PROBE_STEP_EXEC:
    case GMEM_PROBE_STEP_LAST:
    default:
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("cannot execute the emulator '%1$s' to ask what it offers: %2$s"),
                            emulator, cause);
    }
}

static int
gmemProbeCheckEnd(gmemProbeRun *run, GError **error)
{
    g_autofree char *words = gmemProbeLastWords(run);
    gmemProbeFailure failure = {.step = GMEM_PROBE_STEP_LAST};
    bool reported = read(run->status[0], &failure, sizeof(failure)) == (ssize_t)sizeof(failure);

    if (reported && failure.step == GMEM_PROBE_STEP_LAST) {
        run->shim = false;
        reported = read(run->status[0], &failure, sizeof(failure)) == (ssize_t)sizeof(failure);
    }
    if (reported && failure.step < GMEM_PROBE_STEP_LAST)
        return gmemProbeRefuseFailure(run->emulator, &failure, error);
    /* info stays zero if somebody else in this process reaps children that are not his, or ignores
     * SIGCHLD; then only the replies count. */
    if (run->info.si_pid != 0 && run->info.si_code != CLD_EXITED)
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the emulator '%1$s' was killed by signal %2$d when it was asked "
                              "what it offers: %3$s"),
                            run->emulator, run->info.si_status, words);
    if (run->info.si_pid != 0 && run->info.si_status != 0)
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the emulator '%1$s' failed with exit status %2$d when it was asked "
                              "what it offers: %3$s"),
                            run->emulator, run->info.si_status, words);
    if (run->length == 0 || memchr(run->text, '\0', run->length) != NULL)
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("the emulator '%1$s' does not speak QMP: %2$s"), run->emulator,
                            words);
    run->text[run->length] = '\0';
    return 0;
}

void
gmemProbeSetShim(const char *path)
{
    gmemProbeShim = path;
}

gmemQEMUCaps *
gmemProbe(const char *emulator, const gmemQEMUUser *user, unsigned int timeout, GError **error)
{
    g_auto(gmemProbeRun) run = {
        .emulator = emulator,
        .in = {-1, -1},
        .out = {-1, -1},
        .words = {-1, -1},
        .status = {-1, -1},
        .pidfd = -1,
        .deadline = gmemProbeDeadline(timeout),
        .confined = gmemProbeIsConfined(),
    };
    gmemQEMUCaps *caps;
    int rc;

    run.shim = gmemProbeShim != NULL && !run.confined;
    if (gmemProbeSpawn(&run, user, error) < 0)
        return NULL;
    rc = gmemProbeListen(&run, error);
    gmemProbeBury(&run);
    if (rc < 0 || gmemProbeCheckEnd(&run, error) < 0)
        return NULL;
    caps = gmemQEMUCapsFromQMP(emulator, run.text, error);
    if (caps != NULL && run.shim && strstr(run.text, GMEM_SHIM_PROBE_EVENT) == NULL)
        caps->flags |= G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_NO_SHIM;
    return caps;
}
