/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_image.c: what a save image says about its guest's memory, in files that are made here.
 * Images of real guests are restored in ../../e2e/test_calls_save.py. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemcarrier.h"
#include "gmemfile.h"
#include "gmemimage.h"

#define MAGIC "LibvirtQemudSave"
#define HEADER 92
/* The length in the header is that of the text. */
#define WHOLE 0
#define NOBODY 65534

/* As libvirt writes it: the namespace is declared if there are arguments. */
#define DOMAIN(rest)                                                                               \
    "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"                \
    "  <name>a</name>\n" rest "</domain>\n"
#define ARGUMENTS(first, second)                                                                   \
    "  <qemu:commandline>\n    <qemu:arg value='" first "'/>\n    <qemu:arg value='" second        \
    "'/>\n  </qemu:commandline>\n"
#define ORDINARY DOMAIN(ARGUMENTS("-name", "b"))

typedef struct {
    const char *what;
    const char *magic;
    const char *xml;
    guint32 length;
    size_t cut; /* so many bytes are missing at the end */
    bool readable;
    gmemMode mode;
} Case;

static const Case cases[] = {
    {"ordinary", MAGIC, ORDINARY, WHOLE, 0, true, GMEM_MODE_NONE},
    {"without arguments", MAGIC, DOMAIN(""), WHOLE, 0, true, GMEM_MODE_NONE},
    {"without the namespace", MAGIC, "<domain type='kvm'>\n  <name>a</name>\n</domain>\n", WHOLE, 0,
     true, GMEM_MODE_NONE},
    {"another option", MAGIC, DOMAIN(ARGUMENTS("-x-libvirt-gmemm", "")), WHOLE, 0, true,
     GMEM_MODE_NONE},
    {"the option as text", MAGIC,
     DOMAIN("<title>&lt;qemu:arg value='-x-libvirt-gmem'/&gt;</title>"), WHOLE, 0, true,
     GMEM_MODE_NONE},
    {"with room after the XML", MAGIC, ORDINARY, GMEM_FILE_XML_MAX, 0, true, GMEM_MODE_NONE},
    {"damaged: the value is none", MAGIC, DOMAIN(ARGUMENTS("-x-libvirt-gmem", "{")), WHOLE, 0,
     false, GMEM_MODE_NONE},
    {"damaged: an unknown mode", MAGIC,
     DOMAIN(ARGUMENTS("-x-libvirt-gmem",
                      "{&quot;version&quot;:1,&quot;mode&quot;:&quot;no&quot;,"
                      "&quot;added&quot;:[]}")),
     WHOLE, 0, false, GMEM_MODE_NONE},
    {"damaged: the option has no value", MAGIC, DOMAIN("  <qemu:arg value='-x-libvirt-gmem'/>\n"),
     WHOLE, 0, false, GMEM_MODE_NONE},
    {"damaged: no XML", MAGIC, "?" ORDINARY, WHOLE, 0, false, GMEM_MODE_NONE},
    {"too long", MAGIC, ORDINARY, GMEM_FILE_XML_MAX + 1, 0, false, GMEM_MODE_NONE},
    {"not finished", "LibvirtQemudPart", ORDINARY, WHOLE, 0, false, GMEM_MODE_NONE},
    {"another magic in the last byte", "LibvirtQemudSavf", ORDINARY, WHOLE, 0, false,
     GMEM_MODE_NONE},
    {"truncated: no XML", MAGIC, ORDINARY, WHOLE, sizeof(ORDINARY), false, GMEM_MODE_NONE},
    {"truncated: in the header", MAGIC, ORDINARY, WHOLE, sizeof(ORDINARY) + 1, false,
     GMEM_MODE_NONE},
    {"truncated: only the magic", MAGIC, ORDINARY, WHOLE, sizeof(ORDINARY) + HEADER - 16, false,
     GMEM_MODE_NONE},
    {"empty", MAGIC, ORDINARY, WHOLE, sizeof(ORDINARY) + HEADER, false, GMEM_MODE_NONE},
};

static char *directory;
static char *path;

/* The file for that header and text. */
static GString *
makeImage(const char *magic, const char *xml, guint32 length, size_t cut)
{
    guint32 header[HEADER / sizeof(guint32)] = {0};
    GString *image;

    memcpy(header, magic, strlen(MAGIC));
    header[4] = 2;
    header[5] = length == WHOLE ? (guint32)strlen(xml) + 1 : length;
    image = g_string_new_len((const char *)header, sizeof(header));
    g_string_append_len(image, xml, (gssize)strlen(xml) + 1);
    g_assert_cmpuint(cut, <=, image->len);
    g_string_truncate(image, image->len - cut);
    return image;
}

/* What all three functions say about the file. */
static void
assertAnswers(bool readable, gmemMode expected)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    gmemMode mode = GMEM_MODE_CONVERTIBLE;

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(lseek(fd, 7, SEEK_SET), ==, 7);
    g_assert_cmpint(gmemImageMode(fd, &mode), ==, readable);
    g_assert_cmpint(mode, ==, expected);
    g_assert_cmpint(lseek(fd, 0, SEEK_CUR), ==, 7);
    close(fd);
    g_assert_cmpint(gmemImageIsOrdinary(path), ==, readable && expected == GMEM_MODE_NONE);
    g_assert_cmpint(gmemImageIsPrivate(path), ==, expected != GMEM_MODE_NONE);
}

static void
testImage(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *now = &cases[i];
        GString *image = makeImage(now->magic, now->xml, now->length, now->cut);

        g_test_message("%s", now->what);
        g_assert_true(g_file_set_contents(path, image->str, (gssize)image->len, NULL));
        assertAnswers(now->readable, now->mode);
        g_string_free(image, TRUE);
    }
    g_assert_cmpint(unlink(path), ==, 0);
}

/* With the pair as it is written, and as libvirt quotes it. */
static void
testPrivate(void)
{
    static const gmemMode modes[] = {GMEM_MODE_FULLY_SHARED, GMEM_MODE_CONVERTIBLE};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_autoptr(gmemCarrier) carrier = gmemCarrierNew();
        g_autofree char *value = NULL;
        g_autofree char *xml = NULL;
        g_auto(GStrv) parts = NULL;
        g_autofree char *quoted = NULL;
        GString *image;

        carrier->mode = modes[i];
        gmemCarrierAddChange(carrier, "memoryBacking/source/@type", "memfd", NULL);
        value = gmemCarrierFormat(carrier);
        parts = g_strsplit(value, "\"", -1);
        quoted = g_strjoinv("&quot;", parts);
        xml = g_strdup_printf(DOMAIN(ARGUMENTS("-x-libvirt-gmem", "%s")), quoted);
        g_test_message("%s", xml);

        image = makeImage(MAGIC, xml, WHOLE, 0);
        g_assert_true(g_file_set_contents(path, image->str, (gssize)image->len, NULL));
        assertAnswers(true, modes[i]);
        /* The rest of the text is not needed to know it. */
        g_assert_true(g_file_set_contents(path, image->str, (gssize)image->len - 10, NULL));
        assertAnswers(true, modes[i]);
        /* Half of the pair is not taken for a guest without one. */
        g_string_truncate(image, HEADER + (gsize)(strstr(xml, "added") - xml));
        g_assert_true(g_file_set_contents(path, image->str, (gssize)image->len, NULL));
        assertAnswers(false, GMEM_MODE_NONE);
        g_string_free(image, TRUE);
    }
    g_assert_cmpint(unlink(path), ==, 0);
}

/* Where nothing can be read, nothing is certain, and nobody is waited for. */
static void
testUnreadable(void)
{
    GString *image = makeImage(MAGIC, ORDINARY, WHOLE, 0);
    const bool root = geteuid() == 0;
    int waiting = 0;
    int fd;

    g_test_message("no file, and a directory");
    g_assert_false(gmemImageIsOrdinary(path));
    g_assert_false(gmemImageIsPrivate(path));
    g_assert_false(gmemImageIsOrdinary(directory));
    g_assert_false(gmemImageIsPrivate(directory));

    g_test_message("a file that may not be read");
    g_assert_true(g_file_set_contents(path, image->str, (gssize)image->len, NULL));
    g_assert_cmpint(chmod(directory, 0755), ==, 0);
    g_assert_cmpint(chmod(path, 0), ==, 0);
    g_assert_true(!root || seteuid(NOBODY) == 0);
    g_assert_false(gmemImageIsOrdinary(path));
    g_assert_false(gmemImageIsPrivate(path));
    g_assert_true(!root || seteuid(0) == 0);
    g_assert_cmpint(chmod(path, 0600), ==, 0);
    g_assert_true(gmemImageIsOrdinary(path));
    g_assert_cmpint(unlink(path), ==, 0);

    g_test_message("a FIFO that nobody writes to, and one with an image");
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    g_assert_false(gmemImageIsOrdinary(path));
    g_assert_false(gmemImageIsPrivate(path));
    fd = open(path, O_RDWR | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, image->str, image->len), ==, (ssize_t)image->len);
    g_assert_false(gmemImageIsOrdinary(path));
    g_assert_false(gmemImageIsPrivate(path));
    g_assert_cmpint(ioctl(fd, FIONREAD, &waiting), ==, 0);
    g_assert_cmpint(waiting, ==, (int)image->len);
    close(fd);
    g_assert_cmpint(unlink(path), ==, 0);
    g_string_free(image, TRUE);
}

int
main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    directory = g_dir_make_tmp("gmem-image-XXXXXX", NULL);
    g_assert_nonnull(directory);
    path = g_build_filename(directory, "image", NULL);
    g_test_add_func("/driver-image/image", testImage);
    g_test_add_func("/driver-image/private", testPrivate);
    g_test_add_func("/driver-image/unreadable", testUnreadable);
    result = g_test_run();
    g_assert_cmpint(rmdir(directory), ==, 0);
    g_free(path);
    g_free(directory);
    return result;
}
