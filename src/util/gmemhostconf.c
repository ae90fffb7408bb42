/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemhostconf.c: what the administrator has decided for all domains of the host.
 *
 * The file is read before a start, by the daemon: the child between fork and exec is no longer
 * root, and GLib's parser has locks. The child finds what was read behind an atomic pointer. fork()
 * copies one page after another while other threads run on, so a reading that was replaced may be
 * what a child has; it stays, and there are as many as root has changed the file. */

#include "gmemhostconf.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemerror.h"
#include "gmemfile.h"
#include "gmemi18n.h"

#define GMEM_HOST_CONF_GROUP "convertible"
#define GMEM_HOST_CONF_START "start"

/* Some lines are expected; nobody reads megabytes in the daemon's stead. */
#define GMEM_HOST_CONF_SIZE_MAX (64 * 1024)

/* Whoever can write the file decides how domains start. */
static int
gmemHostConfCheckOwner(const char *path, int fd, GError **error)
{
    struct stat file;

    if (fstat(fd, &file) < 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, _("cannot read '%s': %s"), path,
                            g_strerror(errno));
    if (file.st_uid != 0 || (file.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("'%s' has to be owned and writable by root only"), path);
    return 0;
}

/* The whole file, NUL-terminated; NULL with @error, or without where there is none. */
static char *
gmemHostConfLoad(const char *path, GError **error)
{
    int why;
    int fd = gmemFileOpen(path, &why);
    char *text;

    if (fd < 0 && (why == ENOENT || why == ENOTDIR))
        return NULL;
    if (fd >= 0 && gmemHostConfCheckOwner(path, fd, error) < 0) {
        close(fd);
        return NULL;
    }
    text = fd >= 0 ? gmemFileRead(fd, GMEM_HOST_CONF_SIZE_MAX, &why) : NULL;
    if (fd >= 0)
        close(fd);
    if (text == NULL)
        gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, _("cannot read '%s': %s"), path,
                     gmemFileReason(why));
    /* GLib's parser gives no value where that is not UTF-8. */
    if (text != NULL && !g_utf8_validate(text, -1, NULL)) {
        gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, _("'%s' is not text in UTF-8"), path);
        g_clear_pointer(&text, g_free);
    }
    return text;
}

/* Immutable. */
typedef struct gmemHostConfReading {
    gmemHostConf conf;
    char *message; /* why there is none; else NULL */
    struct gmemHostConfReading *previous;
} gmemHostConfReading;

static gmemHostConfReading *gmemHostConfCurrent;

static int
gmemHostConfParse(const char *path, GKeyFile *file, gmemHostConf *conf, GError **error)
{
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    g_auto(GStrv) keys = NULL;
    g_autofree char *start = NULL;
    size_t i;

    for (i = 0; groups[i] != NULL; i++) {
        if (strcmp(groups[i], GMEM_HOST_CONF_GROUP) != 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("'%s' has the group [%s], which is not known"), path, groups[i]);
    }
    keys = g_key_file_get_keys(file, GMEM_HOST_CONF_GROUP, NULL, NULL);
    for (i = 0; keys != NULL && keys[i] != NULL; i++) {
        if (strcmp(keys[i], GMEM_HOST_CONF_START) != 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("'%s' has the key '%s' in [%s], which is not known"), path,
                                keys[i], GMEM_HOST_CONF_GROUP);
    }
    start = g_key_file_get_value(file, GMEM_HOST_CONF_GROUP, GMEM_HOST_CONF_START, NULL);
    if (start != NULL && strcmp(start, "private") != 0 && strcmp(start, "shared") != 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("'%s' has %s=%s in [%s]: it can be 'shared' or 'private'"), path,
                            GMEM_HOST_CONF_START, start, GMEM_HOST_CONF_GROUP);
    conf->startPrivate = g_strcmp0(start, "private") == 0;
    return 0;
}

int
gmemHostConfRead(const char *path, gmemHostConf *conf, GError **error)
{
    g_autoptr(GKeyFile) file = NULL;
    g_autoptr(GError) failed = NULL;
    g_autofree char *text = NULL;

    memset(conf, 0, sizeof(*conf));
    text = gmemHostConfLoad(path, &failed);
    if (failed != NULL) {
        g_propagate_error(error, g_steal_pointer(&failed));
        return -1;
    }
    if (text == NULL)
        return 0;
    file = g_key_file_new();
    if (!g_key_file_load_from_data(file, text, (gsize)-1, G_KEY_FILE_NONE, &failed))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, _("cannot read '%s': %s"), path,
                            failed->message);
    return gmemHostConfParse(path, file, conf, error);
}

int
gmemHostConfRefresh(const char *path, GError **error)
{
    gmemHostConfReading *reading = g_new0(gmemHostConfReading, 1);
    gmemHostConfReading *current = __atomic_load_n(&gmemHostConfCurrent, __ATOMIC_ACQUIRE);
    GError *failed = NULL;

    if (gmemHostConfRead(path, &reading->conf, &failed) < 0)
        reading->message = g_strdup(failed->message);
    if (current != NULL && current->conf.startPrivate == reading->conf.startPrivate &&
        g_strcmp0(current->message, reading->message) == 0) {
        g_free(reading->message);
        g_free(reading);
    } else {
        reading->previous = __atomic_exchange_n(&gmemHostConfCurrent, reading, __ATOMIC_ACQ_REL);
    }
    if (failed == NULL)
        return 0;
    g_propagate_error(error, failed);
    return -1;
}

int
gmemHostConfGet(gmemHostConf *conf, GError **error)
{
    const gmemHostConfReading *reading = __atomic_load_n(&gmemHostConfCurrent, __ATOMIC_ACQUIRE);

    if (reading == NULL)
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, _("'%s' has not been read"),
                            GMEM_HOST_CONF_FILE);
    if (reading->message != NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", reading->message);
    *conf = reading->conf;
    return 0;
}
