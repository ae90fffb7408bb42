/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolrun.c: `virt-gmem run`, which runs a domain from an XML file, without a daemon, and
 * leaves nothing behind; and `virt-gmem argv`, which only makes libvirt write the command line.
 *
 * There are two processes. The first one, the keeper, creates a temporary root and starts this
 * program again with libvirt-gmem.so preloaded, so that it is in front of libvirt there: this is
 * the worker, in which libvirt's embedded driver runs the domain. The keeper does not use libvirt;
 * it waits and then removes the root. It is the subreaper of all its descendants: QEMU, which
 * libvirt detaches, becomes its child, so what is left of a worker that crashed or was killed is
 * found there and killed. If the keeper itself is killed, the worker gets SIGTERM, cleans up as on
 * Ctrl-C, and removes the root. Only if both are killed at once, something is left behind. */

#include "config.h"

#include "gmemtool.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <grp.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemkvm.h"
#include "gmempreload.h"

/* The path of QEMU's monitor socket is below the root and must fit into 108 bytes (unix(7)). */
#define GMEM_ROOT_AS_ROOT "/run/virt-gmem-XXXXXX"
#define GMEM_ROOT_ELSE "/tmp/virt-gmem-XXXXXX"

/* How much of QEMU's log is shown after a crash, in bytes. */
#define GMEM_LOG_TAIL 2048

typedef struct {
    char *file;
    char *emulator;
    int seconds; /* 0: for ever */
    char *root;  /* the worker's: set by the keeper */
    bool argv;   /* the command line is printed, and nothing is run */
    bool diff;   /* beside stock libvirt's */
} gmemRunOptions;

/* The reason why a domain ended. */
typedef enum {
    RUN_END_NONE = 0, /* it has not */
    RUN_END_SIGNAL,
    RUN_END_TIME,
    RUN_END_CRASH,
    RUN_END_SHUTDOWN
} gmemRunEnd;

typedef struct {
    const gmemRunOptions *options;
    virConnectPtr conn;
    virDomainPtr domain;
    gmemRunEnd end;
} gmemRun;

/* Set by the signal handlers; a process runs one domain. */
static volatile sig_atomic_t caught;
static volatile sig_atomic_t workerPid;
static int wakeup[2] = {-1, -1};

static void
handleSignals(void (*handler)(int))
{
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct sigaction hangup;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* nohup(1) */
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
}

/* Does not enter directories of other file systems. Files that seem to be on one are removed
 * nevertheless: on overlayfs they have the device number of a layer. */
static void
removeRoot(const char *root)
{
    char *const paths[] = {(char *)root, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
    const FTSENT *entry;

    while (tree != NULL && (entry = fts_read(tree)) != NULL) {
        /* A directory comes a second time, after its contents. */
        if (entry->fts_info != FTS_D && remove(entry->fts_path) < 0)
            gmemToolError(_("%1$s cannot be removed: %2$s"), entry->fts_path, g_strerror(errno));
    }
    if (tree != NULL)
        fts_close(tree);
}

/* ---- the worker ---- */

static void
workerCaught(int number)
{
    int saved = errno;

    caught = number;
    /* If the pipe is full, the reader wakes up anyway. */
    (void)!write(wakeup[1], "", 1);
    errno = saved;
}

/* Errors are reported where the call failed; otherwise libvirt would print each of them, too. */
static void
ignoreError(void *data G_GNUC_UNUSED, virErrorPtr error G_GNUC_UNUSED)
{
}

static int
failLibvirt(const char *what)
{
    gmemToolError("%s: %s", what, virGetLastErrorMessage());
    return -1;
}

static void
onSignal(int watch G_GNUC_UNUSED, int fd, int events G_GNUC_UNUSED, void *data)
{
    gmemRun *run = data;
    char buffer[16];

    if (read(fd, buffer, sizeof(buffer)) > 0 && run->end != RUN_END_CRASH)
        run->end = RUN_END_SIGNAL;
}

static void
onTimeout(int timer G_GNUC_UNUSED, void *data)
{
    gmemRun *run = data;

    if (run->end != RUN_END_CRASH)
        run->end = RUN_END_TIME;
}

static int
onLifecycle(virConnectPtr conn G_GNUC_UNUSED,
            virDomainPtr domain G_GNUC_UNUSED,
            int event,
            int detail,
            void *data)
{
    gmemRun *run = data;

    if (event != VIR_DOMAIN_EVENT_STOPPED)
        return 0;

    if (detail == VIR_DOMAIN_EVENT_STOPPED_CRASHED || detail == VIR_DOMAIN_EVENT_STOPPED_FAILED)
        run->end = RUN_END_CRASH;
    else
        run->end = RUN_END_SHUTDOWN;
    return 0;
}

/* If a library cannot be preloaded, ld.so only prints a warning. */
static bool
libraryIsInFront(const char *library)
{
    void *function = dlsym(RTLD_DEFAULT, "virDomainDefineXML");
    g_autofree char *name = NULL;
    Dl_info info;

    if (function == NULL || dladdr(function, &info) == 0)
        return false;

    name = g_path_get_basename(info.dli_fname);
    if (strcmp(name, gmemPreloadListName(GMEM_PRELOAD_LIBRARY)) == 0)
        return true;

    gmemToolError(_("%1$s could not be preloaded"), library);
    return false;
}

/* Reports what the host lacks like `virt-gmem host`; libvirt only says that the emulator does not
 * support KVM. */
static int
checkKVM(GError **error)
{
    g_autoptr(gmemKVM) kvm = gmemKVMProbe();

    return kvm->available ? 0 : gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", kvm->reason);
}

static char *
readXML(const gmemRunOptions *options, GError **error)
{
    g_autofree char *text = NULL;
    g_autofree char *xml = NULL;
    bool kvm;

    if (!g_file_get_contents(options->file, &text, NULL, error) ||
        (xml = gmemToolXMLPrepare(text, options->emulator, options->argv ? stderr : stdout, &kvm,
                                  error)) == NULL ||
        (kvm && checkKVM(error) < 0))
        return NULL;
    return g_steal_pointer(&xml);
}

/* The process ID of QEMU, from the file that libvirt makes it write; 0 if there is none. */
static int
findPid(const gmemRun *run)
{
    g_autofree char *name = g_strconcat(virDomainGetName(run->domain), ".pid", NULL);
    g_autofree char *path = g_build_filename(run->options->root, "run", "qemu", name, NULL);
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? atoi(text) : 0;
}

static void
showLog(const gmemRun *run)
{
    g_autofree char *name = g_strconcat(virDomainGetName(run->domain), ".log", NULL);
    g_autofree char *path = g_build_filename(run->options->root, "log", "qemu", name, NULL);
    g_autofree char *text = NULL;
    size_t length;

    if (g_file_get_contents(path, &text, &length, NULL))
        fprintf(stderr, _("the end of its log:\n%1$s"),
                length > GMEM_LOG_TAIL ? text + length - GMEM_LOG_TAIL : text);
}

static int
startDomain(gmemRun *run)
{
    /* Converted through the one function type that compilers accept for any other. */
    virConnectDomainEventGenericCallback callback =
        VIR_DOMAIN_EVENT_CALLBACK((void (*)(void))onLifecycle);
    g_autofree char *uri = g_strconcat("qemu:///embed?root=", run->options->root, NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *xml = readXML(run->options, &error);
    char *dump;

    if (xml == NULL) {
        gmemToolError("%s", error->message);
        return -1;
    }

    if ((run->conn = virConnectOpen(uri)) == NULL)
        return failLibvirt(_("the embedded driver does not start"));
    if (caught != 0)
        return -1;
    if (run->options->argv)
        return gmemToolPrintArgv(run->conn, xml, run->options->diff);

    if ((run->domain = virDomainDefineXML(run->conn, xml)) == NULL)
        return failLibvirt(run->options->file);
    if (virConnectDomainEventRegisterAny(run->conn, run->domain, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                         callback, run, NULL) < 0)
        return failLibvirt(run->options->file);
    if (caught != 0)
        return -1;

    if (virDomainCreate(run->domain) < 0)
        return caught != 0 ? -1 : failLibvirt(_("the domain does not start"));

    if ((dump = virDomainGetXMLDesc(run->domain, 0)) == NULL)
        return failLibvirt(_("the domain cannot be dumped"));
    printf("%s", dump);
    free(dump);
    return 0;
}

static void
printEnd(const gmemRun *run)
{
    const char *name = virDomainGetName(run->domain);

    switch (run->end) {
    case RUN_END_SIGNAL:
        printf(_("ended: %1$s, stopped by a signal\n"), name);
        break;
    case RUN_END_TIME:
        printf(_("ended: %1$s, the time is up\n"), name);
        break;
    case RUN_END_CRASH:
        printf(_("ended: %1$s, QEMU crashed\n"), name);
        break;
    case RUN_END_SHUTDOWN:
        printf(_("ended: %1$s, the guest has shut down\n"), name);
        break;
    case RUN_END_NONE:
    default:
        break;
    }
    fflush(stdout);
}

static int
waitForEnd(gmemRun *run)
{
    printf(_("running: %1$s, process %2$d; stop it with Ctrl-C\n"), virDomainGetName(run->domain),
           findPid(run));
    fflush(stdout);

    if (run->options->seconds > 0 &&
        virEventAddTimeout(run->options->seconds * 1000, onTimeout, run, NULL) < 0)
        return failLibvirt(_("a timer cannot be added"));

    while (run->end == RUN_END_NONE) {
        if (virEventRunDefaultImpl() < 0)
            return failLibvirt(_("the event loop fails"));
    }

    printEnd(run);
    if (run->end != RUN_END_CRASH)
        return 0;
    showLog(run);
    return -1;
}

static int
stopDomain(gmemRun *run)
{
    /* NVRAM of ours is removed with the root. Any other NVRAM is a file that the XML names,
     * possibly of another domain. */
    const unsigned int flags =
        VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
        VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_KEEP_NVRAM;
    int result = 0;

    if (run->domain != NULL) {
        if (virDomainIsActive(run->domain) == 1 && virDomainDestroy(run->domain) < 0 &&
            virDomainIsActive(run->domain) == 1)
            result = failLibvirt(_("the domain cannot be destroyed"));
        if (virDomainIsPersistent(run->domain) == 1 &&
            virDomainUndefineFlags(run->domain, flags) < 0)
            result = failLibvirt(_("the domain cannot be undefined"));
        virDomainFree(run->domain);
    }
    if (run->conn != NULL)
        virConnectClose(run->conn);
    return result;
}

static int
work(const gmemRunOptions *options, const gmemToolFiles *files)
{
    gmemRun run = {.options = options};
    pid_t keeper = getppid();
    int result;

    if (!libraryIsInFront(files->library))
        return GMEM_TOOL_EXIT_FAILED;

    if (pipe2(wakeup, O_CLOEXEC | O_NONBLOCK) < 0) {
        gmemToolError("pipe2: %s", g_strerror(errno));
        return GMEM_TOOL_EXIT_FAILED;
    }
    handleSignals(workerCaught);
    /* Whoever reads our output may go away, which must not end us before everything is cleaned up.
     */
    signal(SIGPIPE, SIG_IGN);

    virSetErrorFunc(NULL, ignoreError);
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0 ||
        virEventAddHandle(wakeup[0], VIR_EVENT_HANDLE_READABLE, onSignal, &run, NULL) < 0)
        result = failLibvirt(_("libvirt does not start"));
    else
        result = startDomain(&run);
    if (result == 0 && !options->argv)
        result = waitForEnd(&run);
    if (stopDomain(&run) < 0)
        result = -1;

    if (getppid() != keeper)
        removeRoot(options->root);
    if (result == 0)
        return 0;
    return caught != 0 ? GMEM_TOOL_EXIT_SIGNAL + caught : GMEM_TOOL_EXIT_FAILED;
}

/* ---- the keeper ---- */

static void
keeperCaught(int number)
{
    int saved = errno;

    caught = number;
    if (workerPid > 0)
        kill(workerPid, SIGTERM);
    errno = saved;
}

/* The reason why the user that libvirt runs QEMU as by default cannot be used, translated, or NULL.
 */
static char *
findObstacle(const gmemToolFiles *files)
{
    const char *const paths[] = {GMEM_KVM_DEVICE, files->shim};
    const int modes[] = {O_RDWR, O_RDONLY};
    const struct passwd *user = getpwnam(GMEM_QEMU_USER);
    const struct group *group = getgrnam(GMEM_QEMU_GROUP);
    size_t i;

    if (user == NULL || group == NULL)
        return g_strdup_printf(_("user %1$s does not exist"), GMEM_QEMU_USER);

    for (i = 0; i < G_N_ELEMENTS(paths); i++) {
        int why = gmemToolOpenAs(user->pw_uid, group->gr_gid, paths[i], modes[i]);

        if (why != 0)
            return g_strdup_printf(_("user %1$s cannot open %2$s: %3$s"), GMEM_QEMU_USER, paths[i],
                                   g_strerror(why));
    }
    return NULL;
}

/* No cgroups, namespaces or labels: libvirt would require systemd and a security driver. */
static int
writeConfig(const char *root, const gmemToolFiles *files, bool quiet, GError **error)
{
    g_autofree char *directory = g_build_filename(root, "etc", NULL);
    g_autofree char *path = g_build_filename(directory, "qemu.conf", NULL);
    g_autofree char *obstacle = geteuid() == 0 ? findObstacle(files) : NULL;
    /* libvirt creates directories for that user even if it may not change their owner. */
    g_autofree char *user = g_strdup_printf("+%u", geteuid());
    g_autofree char *group = g_strdup_printf("+%u", getegid());
    bool change = geteuid() == 0 && obstacle == NULL;
    g_autofree char *text = NULL;

    if (obstacle != NULL && !quiet)
        printf(_("QEMU runs as root: %1$s\n"), obstacle);
    text = g_strdup_printf("user = \"%s\"\ngroup = \"%s\"\nnamespaces = []\n"
                           "cgroup_controllers = []\nsecurity_driver = \"none\"\n"
                           "stdio_handler = \"file\"\n",
                           change ? GMEM_QEMU_USER : user, change ? GMEM_QEMU_GROUP : group);

    if (mkdir(directory, 0755) < 0 && errno != EEXIST) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "%s: %s", directory,
                    g_strerror(errno));
        return -1;
    }
    return g_file_set_contents(path, text, -1, error) ? 0 : -1;
}

static char *
makeRoot(const gmemToolFiles *files, bool quiet)
{
    g_autofree char *root = g_strdup(geteuid() == 0 ? GMEM_ROOT_AS_ROOT : GMEM_ROOT_ELSE);
    g_autoptr(GError) error = NULL;

    /* QEMU's user has to be able to enter it. */
    if (g_mkdtemp_full(root, 0755) == NULL) {
        gmemToolError("%s: %s", root, g_strerror(errno));
        return NULL;
    }
    if (writeConfig(root, files, quiet, &error) < 0) {
        gmemToolError("%s", error->message);
        removeRoot(root);
        return NULL;
    }
    return g_steal_pointer(&root);
}

/* Never returns. */
static void G_GNUC_NORETURN
becomeWorker(const gmemToolFiles *files, const char *root, int argc, char **argv, pid_t keeper)
{
    const char *former = g_getenv("LD_PRELOAD");
    g_autofree char *preload = former != NULL && former[0] != '\0'
                                   ? g_strconcat(files->library, ":", former, NULL)
                                   : g_strdup(files->library);
    g_autofree char *option = g_strconcat("--root=", root, NULL);
    g_autofree char *log = g_strconcat("3:file:", root, "/libvirt.log", NULL);
    g_auto(GStrv) args = g_new0(char *, argc + 3);
    int n = 0;
    int i;

    args[n++] = g_strdup("virt-gmem");
    args[n++] = g_strdup(argv[0]);
    args[n++] = g_strdup(option);
    for (i = 1; i < argc; i++)
        args[n++] = g_strdup(argv[i]);

    g_setenv("LD_PRELOAD", preload, TRUE);
    /* libvirt's log would be mixed with our own output; users who want it say where it goes. */
    g_setenv("LIBVIRT_LOG_OUTPUTS", log, FALSE);
    /* An ordinary user's embedded driver also keeps state in the home directory. */
    if (geteuid() != 0)
        g_setenv("XDG_CACHE_HOME", root, TRUE);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == keeper)
        execv(files->self, args);
    gmemToolError("%s: %s", files->self, g_strerror(errno));
    _exit(GMEM_TOOL_EXIT_FAILED);
}

static pid_t
startWorker(const gmemToolFiles *files, const char *root, int argc, char **argv)
{
    pid_t keeper = getpid();
    sigset_t all;
    sigset_t former;
    pid_t pid;

    fflush(stdout);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &former);
    pid = fork();
    if (pid == 0) {
        /* A pending signal is delivered here, where its default, the end, does no harm: nothing was
         * started yet. */
        handleSignals(SIG_DFL);
        sigprocmask(SIG_SETMASK, &former, NULL);
        becomeWorker(files, root, argc, argv, keeper);
    }
    workerPid = pid > 0 ? pid : 0;
    sigprocmask(SIG_SETMASK, &former, NULL);

    if (pid < 0)
        gmemToolError("fork: %s", g_strerror(errno));
    else if (caught != 0)
        kill(pid, SIGTERM);
    return pid;
}

/* Also reaps what the worker's driver detached, because libvirt waits for QEMU's process to
 * disappear. */
static int
waitForWorker(pid_t pid)
{
    int status;

    for (;;) {
        pid_t ended = waitpid(-1, &status, 0);

        if (ended == pid)
            return status;
        if (ended < 0 && errno != EINTR)
            return 0;
    }
}

static pid_t
parentOf(const char *pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/stat", pid);
    g_autofree char *text = NULL;
    const char *behind;
    int parent = 0;

    /* The name before it can contain anything. */
    if (!g_file_get_contents(path, &text, NULL, NULL) || (behind = strrchr(text, ')')) == NULL)
        return 0;
    return sscanf(behind, ") %*c %d", &parent) == 1 ? parent : 0;
}

static unsigned int
killChildren(void)
{
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    unsigned int count = 0;
    const char *name;

    while (proc != NULL && (name = g_dir_read_name(proc)) != NULL) {
        if (g_ascii_isdigit(name[0]) && parentOf(name) == getpid()) {
            kill(atoi(name), SIGKILL);
            waitpid(atoi(name), NULL, 0);
            count++;
        }
    }
    return count;
}

static int
keep(const gmemToolFiles *files, int argc, char **argv)
{
    g_autofree char *fault = NULL;
    g_autofree char *root = NULL;
    unsigned int killed = 0;
    unsigned int more;
    pid_t pid;
    int status;

    if ((fault = gmemToolFileFault(files->library)) != NULL) {
        gmemToolError("%s", fault);
        return GMEM_TOOL_EXIT_FAILED;
    }

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    handleSignals(keeperCaught);
    /* As in the worker: if the reader of our output is killed, this must not keep us from cleaning
     * up. */
    signal(SIGPIPE, SIG_IGN);
    if ((root = makeRoot(files, strcmp(argv[0], "argv") == 0)) == NULL)
        return GMEM_TOOL_EXIT_FAILED;

    if ((pid = startWorker(files, root, argc, argv)) < 0) {
        removeRoot(root);
        return GMEM_TOOL_EXIT_FAILED;
    }
    status = waitForWorker(pid);
    workerPid = 0;

    while ((more = killChildren()) > 0)
        killed += more;
    removeRoot(root);

    if (WIFSIGNALED(status)) {
        if (caught != 0)
            return GMEM_TOOL_EXIT_SIGNAL + caught;
        gmemToolError(gmemI18nPlural("the worker was ended by signal %1$d; %2$u process that it "
                                     "left was killed",
                                     "the worker was ended by signal %1$d; %2$u processes that it "
                                     "left were killed",
                                     killed),
                      WTERMSIG(status), killed);
        return GMEM_TOOL_EXIT_FAILED;
    }
    return WEXITSTATUS(status);
}

static void
gmemRunOptionsClear(gmemRunOptions *options)
{
    g_free(options->file);
    g_free(options->emulator);
    g_free(options->root);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemRunOptions, gmemRunOptionsClear)

/* The one file; returns false after printing the error. */
static bool
takeFile(gmemRunOptions *options, int argc, char **argv)
{
    if (argc != 2)
        gmemToolError(argc < 2 ? _("no file is given") : _("more than one file is given"));
    else
        options->file = g_strdup(argv[1]);
    return argc == 2;
}

int
gmemToolArgv(int argc, char **argv)
{
    g_auto(gmemRunOptions) options = {.argv = true};
    g_autoptr(gmemToolFiles) files = gmemToolFilesFind();
    g_auto(GStrv) all = g_strdupv(argv);
    int allCount = argc;
    gboolean diff = FALSE;
    const GOptionEntry entries[] = {
        {"diff", 'd', 0, G_OPTION_ARG_NONE, &diff,
         N_("mark what differs from the same domain without the two elements"), NULL},
        {"emulator", 'e', 0, G_OPTION_ARG_FILENAME, &options.emulator,
         N_("use this QEMU binary, whatever the XML says"), N_("PATH")},
        {"root", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &options.root, NULL, NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };

    if (!gmemToolParse(entries, &argc, &argv, _("FILE.xml"),
                       _("Prints the command line that QEMU would get for a domain, without "
                         "running it.")))
        return GMEM_TOOL_EXIT_USAGE;
    if (!takeFile(&options, argc, argv))
        return GMEM_TOOL_EXIT_USAGE;
    options.diff = diff;
    return options.root != NULL ? work(&options, files) : keep(files, allCount, all);
}

int
gmemToolRun(int argc, char **argv)
{
    g_auto(gmemRunOptions) options = {0};
    g_autoptr(gmemToolFiles) files = gmemToolFilesFind();
    /* Parsing removes options, and the worker gets all of them. */
    g_auto(GStrv) all = g_strdupv(argv);
    int allCount = argc;
    g_autofree char *duration = NULL;
    guint64 seconds = 0;
    const GOptionEntry entries[] = {
        {"for", 'f', 0, G_OPTION_ARG_STRING, &duration, N_("end the domain after that time"),
         N_("SECONDS")},
        {"emulator", 'e', 0, G_OPTION_ARG_FILENAME, &options.emulator,
         N_("use this QEMU binary, whatever the XML says"), N_("PATH")},
        {"root", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &options.root, NULL, NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };

    if (!gmemToolParse(entries, &argc, &argv, _("FILE.xml"),
                       _("Runs a domain by libvirt's embedded driver until Ctrl-C, until the guest "
                         "ends, or for a time,\nand leaves nothing behind.")))
        return GMEM_TOOL_EXIT_USAGE;
    if (!takeFile(&options, argc, argv))
        return GMEM_TOOL_EXIT_USAGE;
    if (duration != NULL &&
        !g_ascii_string_to_unsigned(duration, 10, 1, G_MAXINT / 1000, &seconds, NULL)) {
        gmemToolError(_("--for requires a number of seconds from 1 to %1$d, not '%2$s'"),
                      G_MAXINT / 1000, duration);
        return GMEM_TOOL_EXIT_USAGE;
    }
    options.seconds = (int)seconds;

    return options.root != NULL ? work(&options, files) : keep(files, allCount, all);
}
