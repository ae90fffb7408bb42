/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_vhostuser.c: where a vhost-user back end can seek to: in a guest_memfd, to what its size
 * allows; in everything else, to what the kernel allows.
 *
 * The source itself is included, with other names for what this program needs from libc. */

#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gmemautofd.h"
#include "gmemkvmabi.h"

#define lseek testLseek
#define lseek64 testLseek64

off_t testLseek(int fd, off_t offset, int whence);
off64_t testLseek64(int fd, off64_t offset, int whence);

#include "../../../src/vhostuser/vhost-user-gmem.c"

#define SIZE (2 * 1024 * 1024)

typedef struct {
    off_t offset;
    int whence;
    off_t position;
    int why; /* if @position is -1 */
} Case;

static void
checkSeeks(int fd, const Case *cases, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        g_test_message("%ld from %d", (long)cases[i].offset, cases[i].whence);
        errno = 0;
        g_assert_cmpint(testLseek(fd, cases[i].offset, cases[i].whence), ==, cases[i].position);
        if (cases[i].position < 0)
            g_assert_cmpint(errno, ==, cases[i].why);
        g_assert_cmpint(testLseek64(fd, cases[i].offset, cases[i].whence), ==, cases[i].position);
    }
}

static void
testGuestMemfd(void)
{
    static const Case cases[] = {
        {0, SEEK_END, SIZE, 0},     {-1, SEEK_END, SIZE - 1, 0},       {-SIZE, SEEK_END, 0, 0},
        {1, SEEK_END, SIZE + 1, 0}, {-SIZE - 1, SEEK_END, -1, EINVAL}, {0, SEEK_SET, 0, 0},
        {4096, SEEK_SET, 4096, 0},  {-1, SEEK_SET, -1, EINVAL},        {0, SEEK_CUR, -1, ESPIPE},
        {0, SEEK_DATA, -1, ESPIPE},
    };
    struct gmemKVMCreateGuestMemfd create = {
        .size = SIZE, .flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED};
    GMEM_AUTO_FD kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    GMEM_AUTO_FD vm = kvm >= 0 ? ioctl(kvm, KVM_CREATE_VM, 0) : -1;
    GMEM_AUTO_FD fd = vm >= 0 ? ioctl(vm, GMEM_KVM_CREATE_GUEST_MEMFD, &create) : -1;

    if (fd < 0) {
        g_test_skip("no guest_memfd");
        return;
    }
    checkSeeks(fd, cases, G_N_ELEMENTS(cases));
}

static void
testOthers(void)
{
    static const Case ofFile[] = {
        {0, SEEK_END, SIZE, 0},
        {5, SEEK_SET, 5, 0},
        {-SIZE - 1, SEEK_END, -1, EINVAL},
    };
    static const Case ofPipe[] = {{0, SEEK_END, -1, ESPIPE}, {0, SEEK_SET, -1, ESPIPE}};
    static const Case ofNone[] = {{0, SEEK_END, -1, EBADF}};
    GMEM_AUTO_FD file = memfd_create("file", MFD_CLOEXEC);
    int ends[2];

    g_assert_cmpint(ftruncate(file, SIZE), ==, 0);
    checkSeeks(file, ofFile, G_N_ELEMENTS(ofFile));
    g_assert_cmpint(testLseek(file, 2, SEEK_CUR), ==, 7);
    g_assert_cmpint(pipe(ends), ==, 0);
    checkSeeks(ends[0], ofPipe, G_N_ELEMENTS(ofPipe));
    close(ends[0]);
    close(ends[1]);
    checkSeeks(-1, ofNone, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vhost-user/guest-memfd", testGuestMemfd);
    g_test_add_func("/vhost-user/others", testOthers);
    return g_test_run();
}
