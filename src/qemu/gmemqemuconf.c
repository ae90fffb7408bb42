/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemqemuconf.c: the user as which libvirt runs QEMU, from libvirt's qemu.conf. */

#include "gmemqemuconf.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "config.h"
#include "gmemerror.h"
#include "gmemfile.h"
#include "gmemi18n.h"

/* The qemu.conf that is shipped has 40 KiB. */
#define GMEM_QEMU_CONF_MAX (1024 * 1024)

/* The user if neither qemu.conf nor the build names one that exists. */
#define GMEM_QEMU_CONF_NOBODY "nobody"

/* One line of qemu.conf: the value of @key, or NULL. libvirt's format (virconf.c) is a name, '=',
 * and a string in single, double or three double quotes without escapes, or a number; '#' starts a
 * comment. */
static char *
gmemQEMUConfParseLine(const char *line, const char *key)
{
    size_t length = strlen(key);
    const char *end;

    line += strspn(line, " \t");
    if (strncmp(line, key, length) != 0)
        return NULL;
    line += length;
    line += strspn(line, " \t");
    if (*line != '=')
        return NULL;
    line++;
    line += strspn(line, " \t");
    if (g_str_has_prefix(line, "\"\"\"")) {
        end = strstr(line + 3, "\"\"\"");
        return end != NULL ? g_strndup(line + 3, (size_t)(end - line - 3)) : NULL;
    }
    if (*line == '"' || *line == '\'') {
        end = strchr(line + 1, *line);
        return end != NULL ? g_strndup(line + 1, (size_t)(end - line - 1)) : NULL;
    }
    length = strspn(line, "0123456789");
    return length > 0 ? g_strndup(line, length) : NULL;
}

/* libvirt keeps entries in the order of the file and uses the first one with a name. */
static char *
gmemQEMUConfGet(const char *text, const char *key)
{
    while (*text != '\0') {
        const char *end = strchrnul(text, '\n');
        g_autofree char *line = g_strndup(text, (size_t)(end - text));
        char *value = gmemQEMUConfParseLine(line, key);

        if (value != NULL)
            return value;
        text = *end == '\0' ? end : end + 1;
    }
    return NULL;
}

static char *
gmemQEMUConfRead(const char *path, GError **error)
{
    int why = 0;
    char *text = path != NULL ? gmemFileLoad(path, GMEM_QEMU_CONF_MAX, &why) : NULL;

    if (why == 0)
        return text != NULL ? text : g_strdup("");
    gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, _("cannot read '%1$s': %2$s"), path,
                 gmemFileReason(why));
    return NULL;
}

/* Like libvirt's virGetUserID: "+N" is a number, and anything else is a name, or a number if no
 * such name exists. Returns 0 and *@id, or an errno: ENOENT if there is no such user or group. */
static int
gmemQEMUConfFindID(const char *name, bool group, unsigned int *id)
{
    const char *digits = name[0] == '+' ? name + 1 : name;
    size_t size = 1024;
    guint64 number;
    int rc;

    while (name[0] != '+') {
        g_autofree char *buffer = g_malloc(size);
        struct passwd passwd, *foundUser = NULL;
        struct group entry, *foundGroup = NULL;

        if (group)
            rc = getgrnam_r(name, &entry, buffer, size, &foundGroup);
        else
            rc = getpwnam_r(name, &passwd, buffer, size, &foundUser);
        if (rc == EINTR)
            continue;
        if (rc == ERANGE && size < 1024 * 1024) {
            size *= 2;
            continue;
        }
        if (foundUser != NULL || foundGroup != NULL) {
            *id = group ? foundGroup->gr_gid : foundUser->pw_uid;
            return 0;
        }
        break;
    }
    /* The largest number means "do not change" for setresuid(). */
    if (g_ascii_isdigit(digits[0]) &&
        g_ascii_string_to_unsigned(digits, 10, 0, G_MAXUINT32 - 1, &number, NULL)) {
        *id = (unsigned int)number;
        return 0;
    }
    return ENOENT;
}

static int
gmemQEMUConfFindUser(const char *path,
                     const char *configured,
                     const char *fallback,
                     bool group,
                     unsigned int *id,
                     GError **error)
{
    int rc;

    if (configured == NULL) {
        if (gmemQEMUConfFindID(fallback, group, id) == 0 ||
            gmemQEMUConfFindID(GMEM_QEMU_CONF_NOBODY, group, id) == 0)
            return 0;
        /* On Debian, the group of that user has another name than everywhere else. */
        *id = 65534;
        return 0;
    }
    rc = gmemQEMUConfFindID(configured, group, id);
    if (rc == 0)
        return 0;
    if (group)
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("group '%1$s', which '%2$s' names, does not exist"), configured,
                            path);
    return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                        _("user '%1$s', which '%2$s' names, does not exist"), configured, path);
}

int
gmemQEMUConfGetUser(const char *path, gmemQEMUUser *user, GError **error)
{
    g_autofree char *text = gmemQEMUConfRead(path, error);
    g_autofree char *userName = NULL;
    g_autofree char *groupName = NULL;

    if (text == NULL)
        return -1;
    userName = gmemQEMUConfGet(text, "user");
    groupName = gmemQEMUConfGet(text, "group");
    if (gmemQEMUConfFindUser(path, userName, GMEM_QEMU_USER, false, &user->uid, error) < 0 ||
        gmemQEMUConfFindUser(path, groupName, GMEM_QEMU_GROUP, true, &user->gid, error) < 0)
        return -1;
    return 0;
}
