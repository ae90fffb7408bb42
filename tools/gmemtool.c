/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtool.c: what the verbs of virt-gmem share. */

#include "config.h"

#include "gmemtool.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmemi18n.h"
#include "gmempreload.h"

gmemToolFiles *
gmemToolFilesFind(void)
{
    gmemToolFiles *files = g_new0(gmemToolFiles, 1);
    const char *self;

    files->self = g_file_read_link("/proc/self/exe", NULL);
    self = files->self != NULL ? files->self : "/";
    files->library = gmemPreloadFind(GMEM_PRELOAD_LIBRARY, self, "tools");
    files->shim = gmemPreloadFind(GMEM_PRELOAD_SHIM, self, "tools");
    return files;
}

void
gmemToolFilesFree(gmemToolFiles *files)
{
    if (files == NULL)
        return;

    g_free(files->library);
    g_free(files->shim);
    g_free(files->self);
    g_free(files);
}

/* Never returns. The exit status can be an errno, because every errno is below 256. */
static void G_GNUC_NORETURN
openInChild(uid_t uid, gid_t gid, const char *path, int flags)
{
    if (geteuid() == 0) {
        const struct passwd *user = getpwuid(uid);

        /* As in libvirt, the user's own primary group is included, whatever @gid is. */
        if ((user != NULL ? initgroups(user->pw_name, user->pw_gid) : setgroups(0, NULL)) < 0 ||
            setgid(gid) < 0 || setuid(uid) < 0)
            _exit(errno);
    }
    _exit(open(path, flags | O_CLOEXEC) < 0 ? errno : 0);
}

int
gmemToolOpenAs(uid_t uid, gid_t gid, const char *path, int flags)
{
    pid_t child = fork();
    int status;

    if (child < 0)
        return errno;
    if (child == 0)
        openInChild(uid, gid, path, flags);

    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return errno;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

char *
gmemToolFileFault(const char *path)
{
    if (access(path, R_OK) == 0)
        return NULL;
    return g_strdup_printf(_("%1$s is missing or unreadable (%2$s); install libvirt-gmem"), path,
                           g_strerror(errno));
}

char *
gmemToolUserName(uid_t uid)
{
    const struct passwd *user = getpwuid(uid);

    return user != NULL ? g_strdup(user->pw_name) : g_strdup_printf("%u", uid);
}

void
gmemToolError(const char *format, ...)
{
    g_autofree char *message = NULL;
    va_list args;

    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);
    fputs(gmemToolPaint(stderr, GMEM_TOOL_RED), stderr);
    fprintf(stderr, _("error: %1$s\n"), message);
    fputs(gmemToolPaint(stderr, GMEM_TOOL_PLAIN), stderr);
}

/* stdio writes a long text at once, and has nothing left to flush if that fails. It keeps a short
 * one until it is flushed. */
int
gmemToolPrint(const char *text)
{
    return fputs(text, stdout) != EOF && fflush(stdout) == 0 ? 0 : GMEM_TOOL_EXIT_FAILED;
}

const char *
gmemToolPaint(FILE *out, gmemToolColour colour)
{
    static const char *const codes[] = {
        [GMEM_TOOL_PLAIN] = "\033[0m",
        [GMEM_TOOL_GREEN] = "\033[32m",
        [GMEM_TOOL_YELLOW] = "\033[33m",
        [GMEM_TOOL_RED] = "\033[31m",
    };
    const char *no = g_getenv("NO_COLOR");

    return (no != NULL && no[0] != '\0') || !isatty(fileno(out)) ? "" : codes[colour];
}

char *
gmemToolRead(const char *path)
{
    const char *name = strcmp(path, "-") == 0 ? "/dev/stdin" : path;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    gsize length;

    if (!g_file_get_contents(name, &text, &length, &error)) {
        gmemToolError("%s", error->message);
        return NULL;
    }
    if (strlen(text) != length) {
        gmemToolError(_("'%1$s' is not text: it contains a NUL byte"), path);
        return NULL;
    }
    return g_steal_pointer(&text);
}

bool
gmemToolParse(const GOptionEntry *entries,
              int *argc,
              char ***argv,
              const char *parameters,
              const char *summary)
{
    g_autoptr(GOptionContext) context = g_option_context_new(parameters);
    g_autoptr(GError) error = NULL;

    g_option_context_set_translation_domain(context, GMEM_TEXT_DOMAIN);
    g_option_context_add_main_entries(context, entries, GMEM_TEXT_DOMAIN);
    g_option_context_set_summary(context, summary);
    if (!g_option_context_parse(context, argc, argv, &error)) {
        gmemToolError("%s", error->message);
        return false;
    }
    return true;
}
