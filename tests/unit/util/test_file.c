/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_file.c: what is read from files that others provide, and what is not even opened. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gmemfile.h"

#define TEST_MAX 8

static char *
scratch(void)
{
    g_autofree char *directory = g_dir_make_tmp("gmem-file-XXXXXX", NULL);

    g_assert_nonnull(directory);
    return g_build_filename(directory, "file", NULL);
}

static void
cleanUp(const char *path)
{
    g_autofree char *directory = g_path_get_dirname(path);

    g_unlink(path);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

static void
testRead(void)
{
    static const struct {
        const char *text;
        gssize length;
        int why;
    } cases[] = {
        {"", 0, 0},
        {"12345678", TEST_MAX, 0},
        {"123456789", TEST_MAX + 1, EFBIG},
        {"1\0002", 3, EILSEQ},
        {"1\000", 2, EILSEQ},
    };
    g_autofree char *path = scratch();
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        int why = -2;
        g_autofree char *text = NULL;

        g_assert_true(g_file_set_contents(path, cases[i].text, cases[i].length, NULL));
        text = gmemFileLoad(path, TEST_MAX, &why);
        g_assert_cmpint(why, ==, cases[i].why);
        g_assert_cmpstr(text, ==, cases[i].why == 0 ? cases[i].text : NULL);
    }
    cleanUp(path);
}

static void
testMissing(void)
{
    g_autofree char *path = scratch();
    g_autofree char *below = NULL;
    int why = -2;

    g_assert_cmpint(gmemFileOpen(path, &why), ==, -1);
    g_assert_cmpint(why, ==, ENOENT);
    g_assert_null(gmemFileLoad(path, TEST_MAX, &why));
    g_assert_cmpint(why, ==, 0);
    /* Nor is there anything below a file. */
    g_assert_true(g_file_set_contents(path, "x", -1, NULL));
    below = g_build_filename(path, "file", NULL);
    g_assert_null(gmemFileLoad(below, TEST_MAX, &why));
    g_assert_cmpint(why, ==, 0);
    g_unlink(path);
    g_assert_cmpint(symlink(path, path), ==, 0);
    g_assert_null(gmemFileLoad(path, TEST_MAX, &why));
    g_assert_cmpint(why, ==, ELOOP);
    cleanUp(path);
}

/* How a process without /proc ends: 0, or 77 if it could not be without it. */
static int
openWithoutProc(const char *path)
{
    int why = -2;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/proc", "tmpfs", 0, NULL) < 0)
        return 77;
    return gmemFileOpen(path, &why) == -1 && why == EIO ? 0 : 1;
}

/* The file is there, which is what ENOENT would deny. A child by fork(), because what sanitizers do
 * when a process exits requires /proc. */
static void
testNoProc(void)
{
    g_autofree char *path = scratch();
    int status;
    pid_t child;

    g_assert_true(g_file_set_contents(path, "x", -1, NULL));
    child = fork();
    g_assert_cmpint(child, >=, 0);
    if (child == 0)
        _exit(openWithoutProc(path));
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        g_test_skip("no mount namespace");
    else
        g_assert_cmpint(WEXITSTATUS(status), ==, 0);
    cleanUp(path);
}

/* @path is not a regular file, and nobody opens it. */
static void
assertNotOpened(const char *path)
{
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    struct inotify_event event;
    int why = -2;

    g_assert_cmpint(inotify_add_watch(watch, path, IN_OPEN), >=, 0);
    g_assert_cmpint(gmemFileOpen(path, &why), ==, -1);
    g_assert_cmpint(why, ==, GMEM_FILE_NOT_REGULAR);
    g_assert_cmpint(read(watch, &event, sizeof(event)), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
    close(watch);
}

static void
testSpecial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_autofree char *path = scratch();
    int server = socket(AF_UNIX, SOCK_STREAM, 0);

    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    assertNotOpened(path);
    g_unlink(path);
    g_assert_cmpuint(g_strlcpy(address.sun_path, path, sizeof(address.sun_path)), <,
                     sizeof(address.sun_path));
    g_assert_cmpint(bind(server, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    assertNotOpened(path);
    close(server);
    g_unlink(path);
    g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
    assertNotOpened(path);
    g_rmdir(path);
    /* A node of our own, because others open /dev/null all the time. Only root can create one. */
    if (mknod(path, S_IFCHR | 0600, makedev(1, 3)) == 0)
        assertNotOpened(path);
    cleanUp(path);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file/read", testRead);
    g_test_add_func("/file/missing", testMissing);
    g_test_add_func("/file/no-proc", testNoProc);
    g_test_add_func("/file/special", testSpecial);
    return g_test_run();
}
