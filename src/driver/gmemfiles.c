/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemfiles.c: definitions that were not made by a call: files that somebody put into the directory
 * where libvirt keeps its own.
 *
 * The files are read twice: all of them before the daemon's main(), which is before libvirt reads
 * them, and the file of a domain before the domain starts. The first reading is for autostart,
 * which is not a call, and for files that libvirt has rewritten since, without what it had dropped.
 * The second is for later files, and SIGHUP. If the words are not in a file, it is only searched as
 * text. */

#include "gmemfiles.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "gmemargv.h"
#include "gmemconnection.h"
#include "gmemerror.h"
#include "gmemfile.h"
#include "gmemi18n.h"
#include "gmemlog.h"
#include "gmemlower.h"
#include "gmemprocess.h"
#include "gmemreal.h"
#include "gmemrules.h"
#include "gmemxml.h"

#define GMEM_FILES_SUFFIX ".xml"

/* Created before there are threads, and kept; only @forgotten changes. */
typedef struct {
    char *name;
    char *argument; /* how QEMU's -name begins */
    gmemMode mode;  /* GMEM_MODE_LAST: cannot be determined */
    char *message;  /* why the domain does not start in another one */
    int forgotten;
} gmemFilesEntry;

static gmemFilesEntry **gmemFilesFound;

/* NULL in processes that are not daemons. */
static char *gmemFilesSavesDirectory;

/* Whether any domain of this process's libvirt may have private memory, for good. It is shared with
 * the children, in which a domain may show for the first time. */
static int gmemFilesNowhere = true;
static int *gmemFilesPrivate = &gmemFilesNowhere;

/* Whether libvirt's directories have been searched since it read them. This is not shared: a child
 * may have another libvirt. */
static int gmemFilesSearched;

void
gmemFilesNotePrivate(void)
{
    __atomic_store_n(gmemFilesPrivate, true, __ATOMIC_SEQ_CST);
}

/* The directory of libvirt's definitions; @root: of an embedded driver, otherwise NULL. */
static char *
gmemFilesDirectory(const char *root)
{
    if (root != NULL)
        return g_build_filename(root, "etc", "qemu", NULL);
    if (geteuid() == 0)
        return g_strdup(GMEM_LIBVIRT_SYSCONFDIR "/qemu");
    return g_build_filename(g_get_user_config_dir(), "libvirt", "qemu", NULL);
}

char *
gmemFilesRunDirectory(const char *root)
{
    if (root != NULL)
        return g_build_filename(root, "run", "qemu", NULL);
    if (geteuid() == 0)
        return g_strdup(GMEM_LIBVIRT_RUNDIR "/qemu");
    return g_build_filename(g_get_user_runtime_dir(), "libvirt", "qemu", "run", NULL);
}

/* The file of the domain named @name, to be freed with g_free(). */
static char *
gmemFilesPath(virConnectPtr conn, const char *name)
{
    g_autofree char *root = gmemConnectionGetRoot(conn);
    g_autofree char *directory = gmemFilesDirectory(root);

    return g_strconcat(directory, "/", name, GMEM_FILES_SUFFIX, NULL);
}

char *
gmemFilesGetImage(const char *name)
{
    if (gmemFilesSavesDirectory == NULL)
        return NULL;
    return g_strconcat(gmemFilesSavesDirectory, "/", name, ".save", NULL);
}

bool
gmemFilesMayBeSaved(const char *name, size_t length)
{
    char path[PATH_MAX];

    if (gmemFilesSavesDirectory == NULL || access(gmemFilesSavesDirectory, X_OK) < 0 ||
        snprintf(path, sizeof(path), "%s/%.*s.save", gmemFilesSavesDirectory, (int)length, name) >=
            (int)sizeof(path))
        return true;
    return access(path, F_OK) == 0 || errno != ENOENT;
}

gmemMode
gmemFilesGetStronger(virConnectPtr conn, const char *name, gmemMode mode)
{
    g_autofree char *path = gmemFilesPath(conn, name);
    g_autofree char *text = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    bool named = false;
    gmemMode other;
    int why;

    text = gmemFileLoad(path, GMEM_FILE_XML_MAX, &why);
    for (other = GMEM_MODE_NONE + 1; text != NULL && other < GMEM_MODE_LAST && !named; other++)
        named = gmemRulesIsWeaker(mode, other) && strstr(text, gmemModeToString(other)) != NULL;
    if (named)
        gmemRaisePlan(text, gmemLowerFindRoot, false, &plan, NULL);
    return plan != NULL && gmemRulesIsWeaker(mode, plan->mode) ? plan->mode : GMEM_MODE_NONE;
}

/* What the file at @path asks for that libvirt will not find in it. *@plan is NULL if that is
 * nothing, as in everything that libvirt wrote itself. Returns -1 with @error if it cannot be
 * determined. */
static int
gmemFilesRead(const char *path, gmemPlan **plan, GError **error)
{
    int why;
    /* Like libvirt, this follows symbolic links; unlike libvirt, it does not wait for anybody. */
    g_autofree char *text = gmemFileLoad(path, GMEM_FILE_XML_MAX, &why);
    g_autoptr(gmemPlan) stored = NULL;
    g_autoptr(gmemXML) xml = NULL;

    *plan = NULL;
    if (why != 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, _("cannot read '%1$s': %2$s"), path,
                            gmemFileReason(why));
    if (text == NULL || !gmemLowerMayHaveElements(text))
        return 0;
    /* This is how libvirt stores a private domain. Whether the pair is right is checked when it
     * starts. */
    if (!gmemLowerMayHaveUnlowered(text)) {
        gmemFilesNotePrivate();
        return 0;
    }
    /* What is malformed for us may not be malformed for the libxml2 that reads it later. */
    xml = gmemXMLParse(text, error);
    if (xml == NULL)
        return -1;
    gmemRaisePlanXML(xml, gmemLowerFindRoot, false, &stored, NULL);
    if (stored != NULL) {
        gmemFilesNotePrivate();
        return 0;
    }
    xml = gmemLowerXML(g_steal_pointer(&xml), gmemLowerFindRoot, false, plan, error);
    if (xml == NULL)
        return -1;
    if (*plan != NULL && (*plan)->mode == GMEM_MODE_NONE)
        g_clear_pointer(plan, gmemPlanFree);
    return 0;
}

/* @cause: the error of gmemFilesRead(), in which case there is no @plan. */
static int
gmemFilesRefuse(
    const char *path, const char *name, const gmemPlan *plan, const GError *cause, GError **error)
{
    if (plan == NULL)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("cannot determine what '%1$s', which libvirt reads by itself, asks for (%2$s): "
              "domain '%3$s' does not start until it has been defined with 'virsh define'"),
            path, cause->message, name);
    return gmemErrorSet(
        error, VIR_ERR_CONFIG_UNSUPPORTED,
        _("%1$s in '%2$s' is not known to libvirt, which reads the file by itself: domain '%3$s' "
          "does not start until it has been defined with 'virsh define'"),
        gmemModeElement(plan->mode), path, name);
}

static gmemFilesEntry *
gmemFilesFindName(const char *name)
{
    gmemFilesEntry **entry;

    for (entry = gmemFilesFound; entry != NULL && *entry != NULL; entry++) {
        if (strcmp((*entry)->name, name) == 0 &&
            !__atomic_load_n(&(*entry)->forgotten, __ATOMIC_ACQUIRE))
            return *entry;
    }
    return NULL;
}

void
gmemFilesForget(virDomainPtr domain)
{
    const char *name = gmemFilesFound != NULL ? virDomainGetName(domain) : NULL;
    gmemFilesEntry *entry;

    while (name != NULL && (entry = gmemFilesFindName(name)) != NULL)
        __atomic_store_n(&entry->forgotten, 1, __ATOMIC_RELEASE);
}

int
gmemFilesCheck(virConnectPtr conn, virDomainPtr domain, const gmemPlan *held, GError **error)
{
    gmemMode mode = held != NULL ? held->mode : GMEM_MODE_NONE;
    const char *name = virDomainGetName(domain);
    const gmemFilesEntry *entry = gmemFilesFindName(name);
    g_autofree char *path = gmemFilesPath(conn, name);
    g_autoptr(gmemPlan) plan = NULL;
    g_autoptr(GError) failed = NULL;

    if (gmemFilesRead(path, &plan, &failed) < 0 || (plan != NULL && plan->mode != mode))
        return gmemFilesRefuse(path, name, plan, failed, error);
    if (entry != NULL && entry->mode != mode)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", entry->message);
    return 0;
}

const char *
gmemFilesFind(char *const argv[])
{
    gmemFilesEntry **entry;
    gmemArgvOption option;

    if (gmemFilesFound == NULL || gmemArgvFind(argv, "name", &option) == 0 || option.value == NULL)
        return NULL;
    for (entry = gmemFilesFound; *entry != NULL; entry++) {
        size_t length = strlen((*entry)->argument);

        /* In QEMU's values, commas are doubled. */
        if (strncmp(option.value, (*entry)->argument, length) == 0 &&
            (option.value[length] == '\0' ||
             (option.value[length] == ',' && option.value[length + 1] != ',')) &&
            !__atomic_load_n(&(*entry)->forgotten, __ATOMIC_ACQUIRE))
            return (*entry)->message;
    }
    return NULL;
}

/* Notes if the file has private memory, or cannot be read. Adds an entry to @found (NULL: there are
 * none) if it is not as libvirt itself would have written it. */
static void
gmemFilesScan(const char *directory, const char *file, GPtrArray *found)
{
    g_autofree char *path = g_build_filename(directory, file, NULL);
    g_autoptr(GError) failed = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    g_auto(GStrv) parts = NULL;
    g_autofree char *escaped = NULL;
    gmemFilesEntry *entry;

    if (gmemFilesRead(path, &plan, &failed) == 0 && plan == NULL)
        return;
    gmemFilesNotePrivate();
    if (found == NULL)
        return;
    entry = g_new0(gmemFilesEntry, 1);
    entry->name = plan != NULL && plan->name != NULL
                      ? g_strdup(plan->name)
                      : g_strndup(file, strlen(file) - strlen(GMEM_FILES_SUFFIX));
    entry->mode = plan != NULL ? plan->mode : GMEM_MODE_LAST;
    parts = g_strsplit(entry->name, ",", -1);
    escaped = g_strjoinv(",,", parts);
    entry->argument = g_strconcat("guest=", escaped, NULL);
    gmemFilesRefuse(path, entry->name, plan, failed, &error);
    entry->message = g_strdup(error->message);
    gmemLog("warning: %s", entry->message);
    g_ptr_array_add(found, entry);
}

/* A guest that ran before this process did has a status file, which libvirt writes. */
static void
gmemFilesScanStatus(const char *directory, const char *file, GPtrArray *found G_GNUC_UNUSED)
{
    g_autofree char *path = g_build_filename(directory, file, NULL);
    g_autofree char *text = NULL;
    int why;

    text = gmemFileLoad(path, GMEM_FILE_XML_MAX, &why);
    if (why != 0 || (text != NULL && gmemRaiseMayHavePair(text)))
        gmemFilesNotePrivate();
}

/* Calls @scan for each file. libvirt parses all of them when it starts; searching them costs a part
 * of that. */
static void
gmemFilesScanAll(const char *directory,
                 void (*scan)(const char *directory, const char *file, GPtrArray *found),
                 GPtrArray *found)
{
    g_autoptr(GError) failed = NULL;
    g_autoptr(GDir) files = g_dir_open(directory, 0, &failed);
    const char *file;

    if (files == NULL && !g_error_matches(failed, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        gmemFilesNotePrivate();
    errno = 0;
    while (files != NULL && (file = g_dir_read_name(files)) != NULL) {
        if (g_str_has_suffix(file, GMEM_FILES_SUFFIX))
            scan(directory, file, found);
        errno = 0;
    }
    if (errno != 0)
        gmemFilesNotePrivate();
}

/* libvirt has read its directories before it serves the first call. Returns false, and nothing is
 * known, if they do not exist: libvirt has not made them yet, or has others than we know. */
static bool
gmemFilesSearch(virConnectPtr conn)
{
    g_autofree char *root = gmemConnectionGetRoot(conn);
    g_autofree char *definitions = gmemFilesDirectory(root);
    g_autofree char *running = gmemFilesRunDirectory(root);

    if ((root == NULL && !gmemProcessIsDaemon()) || !g_file_test(definitions, G_FILE_TEST_IS_DIR) ||
        !g_file_test(running, G_FILE_TEST_IS_DIR))
        return false;
    gmemFilesScanAll(definitions, gmemFilesScan, NULL);
    gmemFilesScanAll(running, gmemFilesScanStatus, NULL);
    __atomic_store_n(&gmemFilesSearched, true, __ATOMIC_SEQ_CST);
    return true;
}

bool
gmemFilesMayBePrivate(virConnectPtr conn)
{
    bool searched = __atomic_load_n(&gmemFilesSearched, __ATOMIC_SEQ_CST);

    if (!searched && conn != NULL)
        searched = gmemFilesSearch(conn);
    return !searched || __atomic_load_n(gmemFilesPrivate, __ATOMIC_SEQ_CST);
}

/* The daemon reads its directories again (SIGHUP), in a thread of its own. It is noted before it
 * begins, and for good, because a file may be replaced at any time. */
GMEM_INTERPOSED int
virStateReload(void)
{
    gmemFilesNotePrivate();
    return gmemReal()->virStateReload();
}

__attribute__((constructor)) static void
gmemFilesInit(void)
{
    g_autofree char *directory = NULL;
    g_autoptr(GPtrArray) found = NULL;
    void *page = mmap(NULL, sizeof(*gmemFilesPrivate), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (page != MAP_FAILED)
        gmemFilesPrivate = page;
    if (!gmemProcessIsDaemon())
        return;
    if (!gmemProcessImports("virStateReload"))
        gmemFilesNotePrivate();
    gmemFilesSavesDirectory =
        geteuid() == 0 ? g_strdup(GMEM_LIBVIRT_STATEDIR "/qemu/save")
                       : g_build_filename(g_get_user_config_dir(), "libvirt", "qemu", "save", NULL);
    directory = gmemFilesDirectory(NULL);
    found = g_ptr_array_new();
    gmemFilesScanAll(directory, gmemFilesScan, found);
    if (found->len == 0)
        return;
    g_ptr_array_add(found, NULL);
    gmemFilesFound = (gmemFilesEntry **)g_ptr_array_free(g_steal_pointer(&found), FALSE);
}
