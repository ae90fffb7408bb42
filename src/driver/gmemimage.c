/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemimage.c: what a save image of libvirt says about its guest's memory.
 *
 * Such a file begins with libvirt's header (magic, version, and the length of the XML), followed by
 * the domain's XML, which ends with a NUL. libvirt always writes the XML in the same way, so the
 * pair is found as text: a parser has locks, and this runs between fork and exec. A domain's
 * <metadata> can contain other text that looks like the pair. In that case a guest may be refused
 * that could continue, and its administrator finds the reason in what he wrote. */

#include "gmemimage.h"

#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gmemautofd.h"
#include "gmemcarrier.h"
#include "gmemfile.h"
#include "gmemlower.h"

#define GMEM_IMAGE_MAGIC "LibvirtQemudSave"

/* The two arguments as libvirt formats them. */
#define GMEM_IMAGE_OPTION "<qemu:arg value='" GMEM_CARRIER_OPTION "'/>"
#define GMEM_IMAGE_VALUE "<qemu:arg value='"

typedef struct {
    char magic[16];
    guint32 version;
    guint32 length; /* of the XML with its NUL, and what may come after that */
    guint32 rest[17];
} gmemImageHeader;

/* The domain's XML as libvirt has stored it, in a mapping of *@size bytes, or NULL if there is
 * none. For an allocation of that size, malloc would put its memory in order first, which takes
 * longer. */
static char *
gmemImageGetXML(int fd, size_t *size)
{
    gmemImageHeader header;
    size_t length = 0;
    ssize_t got = 1;
    char *text;

    if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
        memcmp(header.magic, GMEM_IMAGE_MAGIC, sizeof(header.magic)) != 0 ||
        header.length > GMEM_FILE_XML_MAX)
        return NULL;
    *size = (size_t)header.length + 1;
    text = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (text == MAP_FAILED)
        return NULL;
    while (got > 0 && length < header.length) {
        got = pread(fd, text + length, header.length - length, (off_t)(sizeof(header) + length));
        length += got > 0 ? (size_t)got : 0;
    }
    if (text[0] == '<')
        return text;
    munmap(text, *size);
    return NULL;
}

/* The value after the option at @at, or NULL if it is not as libvirt writes it. */
static char *
gmemImageGetValue(const char *at)
{
    static const char quote[] = "&quot;";
    char *value, *out;

    at += strlen(GMEM_IMAGE_OPTION);
    at += strspn(at, " \n");
    if (!g_str_has_prefix(at, GMEM_IMAGE_VALUE))
        return NULL;
    at += strlen(GMEM_IMAGE_VALUE);
    value = out = g_strndup(at, strcspn(at, "'"));
    for (at = value; *at != '\0'; out++) {
        bool quoted = strncmp(at, quote, strlen(quote)) == 0;

        *out = *at;
        if (quoted)
            *out = '"';
        at += quoted ? strlen(quote) : 1;
    }
    *out = '\0';
    return value;
}

bool
gmemImageMode(int fd, gmemMode *mode)
{
    size_t size = 0;
    char *text = gmemImageGetXML(fd, &size);
    const char *at =
        text != NULL && gmemRaiseMayHavePair(text) ? strstr(text, GMEM_IMAGE_OPTION) : NULL;
    g_autofree char *value = at != NULL ? gmemImageGetValue(at) : NULL;
    g_autoptr(gmemCarrier) carrier = value != NULL ? gmemCarrierParse(value, NULL) : NULL;

    if (text != NULL)
        munmap(text, size);
    *mode = carrier != NULL ? carrier->mode : GMEM_MODE_NONE;
    /* A pair that cannot be read is refused by the rest of the child. */
    return text != NULL && (at == NULL || carrier != NULL);
}

/* gmemImageMode() of the file @path; false also if the daemon may not read it. */
static bool
gmemImageModeOf(const char *path, gmemMode *mode)
{
    int why;
    GMEM_AUTO_FD fd = gmemFileOpen(path, &why);

    *mode = GMEM_MODE_NONE;
    return fd >= 0 && gmemImageMode(fd, mode);
}

bool
gmemImageIsPrivate(const char *path)
{
    gmemMode mode;

    gmemImageModeOf(path, &mode);
    return mode != GMEM_MODE_NONE;
}

bool
gmemImageIsOrdinary(const char *path)
{
    gmemMode mode;

    return gmemImageModeOf(path, &mode) && mode == GMEM_MODE_NONE;
}
