/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemfirmware.c: what QEMU's firmware descriptors say about a firmware image.
 *
 * A descriptor is a JSON file in one of a few directories. Of two files with the same name, only
 * the one in the directory that takes precedence counts, even if it is empty: this is how an
 * administrator disables a distribution's descriptor. Several descriptors can be about the same
 * image, with different variable stores, so all of them are considered.
 *
 * Also runs in the child between fork and exec: it uses malloc, but nothing that takes a lock. */

#include "gmemfirmware.h"

#include <dirent.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemfile.h"
#include "gmemjson.h"

/* Descriptors have some hundred bytes. */
#define GMEM_FIRMWARE_SIZE_MAX (64 * 1024)

#define GMEM_FIRMWARE_DIRECTORY "qemu/firmware"

static const char *
gmemFirmwareExecutable(gmemJSON *descriptor)
{
    gmemJSON *mapping = gmemJSONGet(descriptor, "mapping");
    gmemJSON *executable = gmemJSONGet(mapping, "executable");

    /* "flash" has an executable; "memory" and "kernel" have a file name of their own. */
    return gmemJSONGetString(executable != NULL ? executable : mapping, "filename");
}

static bool
gmemFirmwareHasFeature(gmemJSON *descriptor, const char *feature)
{
    gmemJSON *features = gmemJSONGet(descriptor, "features");
    size_t i;

    for (i = 0; i < gmemJSONCount(features); i++) {
        if (g_strcmp0(gmemJSONText(gmemJSONItem(features, i)), feature) == 0)
            return true;
    }
    return false;
}

/* Distributions and users have several names for an image: links, and other spellings of a path. */
static bool
gmemFirmwareIsSame(const char *image, const char *path)
{
    struct stat one, other;

    if (image == NULL || strcmp(image, path) == 0)
        return image != NULL;
    return stat(image, &one) == 0 && stat(path, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* Whether one of the first @n @directories has a file with that name. */
static bool
gmemFirmwareIsMasked(const char *const directories[], size_t n, const char *name)
{
    size_t i;

    for (i = 0; i < n; i++) {
        g_autofree char *file = g_strconcat(directories[i], "/", name, NULL);

        if (access(file, F_OK) == 0)
            return true;
    }
    return false;
}

/* Counts the descriptors of @path in the directory with that @index. */
static void
gmemFirmwareCount(
    const char *const directories[], size_t index, const char *path, size_t *all, size_t *requiring)
{
    DIR *directory = opendir(directories[index]);
    struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        g_autofree char *file = g_strconcat(directories[index], "/", entry->d_name, NULL);
        g_autofree char *text = NULL;
        g_autoptr(gmemJSON) descriptor = NULL;
        int why;

        if (!g_str_has_suffix(entry->d_name, ".json") ||
            gmemFirmwareIsMasked(directories, index, entry->d_name))
            continue;
        text = gmemFileLoad(file, GMEM_FIRMWARE_SIZE_MAX, &why);
        descriptor = text != NULL ? gmemJSONParse(text, NULL) : NULL;
        if (descriptor == NULL || !gmemFirmwareIsSame(gmemFirmwareExecutable(descriptor), path))
            continue;
        *all += 1;
        if (gmemFirmwareHasFeature(descriptor, "requires-smm"))
            *requiring += 1;
    }
    if (directory != NULL)
        closedir(directory);
}

bool
gmemFirmwareRequiresSMMIn(const char *const directories[], const char *path)
{
    size_t all = 0, requiring = 0, i;

    for (i = 0; directories[i] != NULL; i++)
        gmemFirmwareCount(directories, i, path, &all, &requiring);
    return all > 0 && requiring == all;
}

/* The directory of a user's own descriptors, which only a session daemon uses. */
static char *
gmemFirmwareUserDirectory(void)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");

    if (geteuid() == 0)
        return NULL;
    if (config != NULL && config[0] != '\0')
        return g_strconcat(config, "/" GMEM_FIRMWARE_DIRECTORY, NULL);
    return home != NULL ? g_strconcat(home, "/.config/" GMEM_FIRMWARE_DIRECTORY, NULL) : NULL;
}

bool
gmemFirmwareRequiresSMM(const char *path)
{
    g_autofree char *user = gmemFirmwareUserDirectory();
    const char *directories[] = {user, "/etc/" GMEM_FIRMWARE_DIRECTORY,
                                 "/usr/share/" GMEM_FIRMWARE_DIRECTORY, NULL};

    return gmemFirmwareRequiresSMMIn(user != NULL ? directories : directories + 1, path);
}
