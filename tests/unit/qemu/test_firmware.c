/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_firmware.c: which firmware images cannot run without SMM, according to their descriptors. */

#include <glib.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmemfirmware.h"

#define FLASH "/fw/CODE.fd"

static void
descriptor(const char *directory, const char *name, const char *text)
{
    g_autofree char *file = g_build_filename(directory, name, NULL);

    g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

static char *
flash(const char *executable, const char *features)
{
    return g_strdup_printf("{\"description\":\"x\",\"interface-types\":[\"uefi\"],\"mapping\":{"
                           "\"device\":\"flash\",\"executable\":{\"filename\":\"%s\",\"format\":"
                           "\"raw\"},\"nvram-template\":{\"filename\":\"/fw/VARS.fd\"}},"
                           "\"features\":[%s]}",
                           executable, features);
}

/* Directories, the first of which takes precedence. */
typedef struct {
    char *directories[4];
} Fixture;

static void
setUp(Fixture *fixture, const void *data G_GNUC_UNUSED)
{
    fixture->directories[0] = g_dir_make_tmp("gmem-firmware-XXXXXX", NULL);
    fixture->directories[1] = g_dir_make_tmp("gmem-firmware-XXXXXX", NULL);
    fixture->directories[2] = g_dir_make_tmp("gmem-firmware-XXXXXX", NULL);
    fixture->directories[3] = NULL;
}

static void
tearDown(Fixture *fixture, const void *data G_GNUC_UNUSED)
{
    size_t i;

    for (i = 0; fixture->directories[i] != NULL; i++) {
        g_autoptr(GDir) directory = g_dir_open(fixture->directories[i], 0, NULL);
        const char *name;

        while ((name = g_dir_read_name(directory)) != NULL) {
            g_autofree char *file = g_build_filename(fixture->directories[i], name, NULL);

            g_unlink(file);
        }
        g_rmdir(fixture->directories[i]);
        g_free(fixture->directories[i]);
    }
}

static bool requires(const Fixture *fixture, const char *path)
{
    return gmemFirmwareRequiresSMMIn((const char *const *)fixture->directories, path);
}

static void
testFlash(Fixture *fixture, const void *data G_GNUC_UNUSED)
{
    g_autofree char *smm = flash(FLASH, "\"acpi-s3\",\"requires-smm\"");
    g_autofree char *other = flash("/fw/OTHER.fd", "\"acpi-s3\"");

    g_assert_false(requires(fixture, FLASH));
    descriptor(fixture->directories[1], "50.json", smm);
    descriptor(fixture->directories[1], "60.json", other);
    g_assert_true(requires(fixture, FLASH));
    g_assert_false(requires(fixture, "/fw/OTHER.fd"));
    g_assert_false(requires(fixture, "/fw/VARS.fd"));
}

static void
testMemory(Fixture *fixture, const void *data G_GNUC_UNUSED)
{
    descriptor(fixture->directories[1], "50.json",
               "{\"mapping\":{\"device\":\"memory\",\"filename\":\"" FLASH "\"},"
               "\"features\":[\"requires-smm\"]}");
    g_assert_true(requires(fixture, FLASH));
}

/* Debian's OVMF_CODE_4M.snakeoil.fd is a link to an image that two descriptors list under other
 * names. */
static void
testOtherNames(Fixture *fixture, const void *data G_GNUC_UNUSED)
{
    const char *directory = fixture->directories[1];
    g_autofree char *image = g_build_filename(directory, "CODE.fd", NULL);
    g_autofree char *copy = g_build_filename(directory, "COPY.fd", NULL);
    g_autofree char *symbolic = g_build_filename(directory, "SYMBOLIC.fd", NULL);
    g_autofree char *hard = g_build_filename(directory, "HARD.fd", NULL);
    g_autofree char *spelled = g_strconcat(directory, "//.//CODE.fd", NULL);
    g_autofree char *smm = flash(symbolic, "\"requires-smm\"");

    descriptor(directory, "CODE.fd", "code");
    descriptor(directory, "COPY.fd", "code");
    descriptor(directory, "50.json", smm);
    g_assert_false(requires(fixture, image));
    g_assert_cmpint(symlink("CODE.fd", symbolic), ==, 0);
    g_assert_cmpint(link(image, hard), ==, 0);
    g_assert_true(requires(fixture, symbolic));
    g_assert_true(requires(fixture, image));
    g_assert_true(requires(fixture, hard));
    g_assert_true(requires(fixture, spelled));
    g_assert_false(requires(fixture, copy));
}

/* One descriptor that lets the image run without SMM is sufficient. */
static void
testSeveral(Fixture *fixture, const void *data G_GNUC_UNUSED)
{
    g_autofree char *smm = flash(FLASH, "\"requires-smm\",\"secure-boot\"");
    g_autofree char *plain = flash(FLASH, "");

    descriptor(fixture->directories[1], "40.json", smm);
    descriptor(fixture->directories[1], "50.json", smm);
    g_assert_true(requires(fixture, FLASH));
    descriptor(fixture->directories[0], "60.json", plain);
    g_assert_false(requires(fixture, FLASH));
}

static void
testMasked(Fixture *fixture, const void *data G_GNUC_UNUSED)
{
    g_autofree char *smm = flash(FLASH, "\"requires-smm\"");

    descriptor(fixture->directories[1], "50.json", smm);
    g_assert_true(requires(fixture, FLASH));
    descriptor(fixture->directories[0], "50.json", "");
    g_assert_false(requires(fixture, FLASH));
    descriptor(fixture->directories[2], "60.json", smm);
    g_assert_true(requires(fixture, FLASH));
    descriptor(fixture->directories[1], "60.json", "");
    g_assert_false(requires(fixture, FLASH));
}

static void
testDamaged(Fixture *fixture, const void *data G_GNUC_UNUSED)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "17",
        "{\"mapping\":[]}",
        "{\"mapping\":{\"filename\":7}}",
        "{\"mapping\":{\"filename\":\"" FLASH "\"},\"features\":\"requires-smm\"}",
        "{\"mapping\":{\"filename\":\"" FLASH "\"},\"features\":[[\"requires-smm\"],7]}",
    };
    g_autofree char *smm = flash(FLASH, "\"requires-smm\"");
    g_autofree char *fifo = g_build_filename(fixture->directories[1], "10.json", NULL);
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(texts); i++) {
        descriptor(fixture->directories[1], "50.json", texts[i]);
        g_assert_false(requires(fixture, FLASH));
    }
    /* Neither prevents the good one from being read, and nothing waits for a writer. */
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    descriptor(fixture->directories[1], "40.json", "{");
    descriptor(fixture->directories[1], "50.json", smm);
    descriptor(fixture->directories[1], "README", smm);
    g_assert_true(requires(fixture, FLASH));
}

/* Whether a process of user @uid, whose configuration is in these directories, finds @path. */
static bool
requiresFor(uid_t uid, const char *config, const char *home, const char *path)
{
    int status;
    pid_t child = fork();

    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        g_unsetenv("XDG_CONFIG_HOME");
        g_setenv("HOME", home, TRUE);
        if (config != NULL)
            g_setenv("XDG_CONFIG_HOME", config, TRUE);
        if (uid != geteuid() && setuid(uid) < 0)
            _exit(2);
        _exit(gmemFirmwareRequiresSMM(path) ? 0 : 1);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), <, 2);
    return WEXITSTATUS(status) == 0;
}

/* A session daemon also finds what its user has installed; the system's daemon does not. */
static void
testUser(Fixture *fixture, const void *data G_GNUC_UNUSED)
{
    const uid_t user = geteuid() == 0 ? 65534 : geteuid();
    const mode_t mask = umask(022);
    const char *home = fixture->directories[0];
    g_autofree char *config = g_build_filename(home, ".config", NULL);
    g_autofree char *qemu = g_build_filename(config, "qemu", NULL);
    g_autofree char *directory = g_build_filename(qemu, "firmware", NULL);
    g_autofree char *file = g_build_filename(directory, "50.json", NULL);
    g_autofree char *smm = flash(FLASH, "\"requires-smm\"");

    g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
    g_assert_cmpint(g_chmod(home, 0755), ==, 0);
    descriptor(directory, "50.json", smm);
    g_assert_true(requiresFor(user, NULL, home, FLASH));
    g_assert_true(requiresFor(user, "", home, FLASH));
    g_assert_true(requiresFor(user, config, "/nonexistent", FLASH));
    g_assert_false(requiresFor(user, fixture->directories[1], home, FLASH));
    if (geteuid() == 0)
        g_assert_false(requiresFor(0, config, home, FLASH));
    g_assert_cmpint(g_unlink(file), ==, 0);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
    g_assert_cmpint(g_rmdir(qemu), ==, 0);
    g_assert_cmpint(g_rmdir(config), ==, 0);
    umask(mask);
}

static void
testNoDirectory(void)
{
    static const char *const none[] = {"/nonexistent/firmware", NULL};

    g_assert_false(gmemFirmwareRequiresSMMIn(none, FLASH));
    g_assert_false(gmemFirmwareRequiresSMM(FLASH));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, function)                                                                       \
    g_test_add("/qemu/firmware/" name, Fixture, NULL, setUp, function, tearDown)
    TEST("flash", testFlash);
    TEST("memory", testMemory);
    TEST("other-names", testOtherNames);
    TEST("several", testSeveral);
    TEST("masked", testMasked);
    TEST("damaged", testDamaged);
    TEST("user", testUser);
    g_test_add_func("/qemu/firmware/no-directory", testNoDirectory);
    return g_test_run();
}
