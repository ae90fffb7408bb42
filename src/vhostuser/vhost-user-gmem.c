/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vhost-user-gmem.c: guest_memfd for vhost-user back ends that seek in guest memory's descriptors.
 *
 * QEMU hands a back end descriptors of guest memory. Some, virtiofsd 1.13 for one, find out by
 * lseek(SEEK_END) how large the file of each is, and end where that fails: a guest_memfd has a
 * size, but cannot seek (ESPIPE). Preloaded into such a program, this answers the seeks: to the
 * end by fstat(), and to an offset by that offset, as no read() or write() of a guest_memfd can
 * follow.
 *
 * Only regular files that the kernel refuses to seek in are concerned, which is what a guest_memfd
 * is and an ordinary file is not. A back end's sandbox may have no /proc, and its seccomp filter
 * knows lseek and fstat, so nothing else is asked. */

/* With 64-bit file offsets <unistd.h> renames lseek; both names are defined here. */
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

EXPORTED off64_t
lseek64(int fd, off64_t offset, int whence)
{
    off64_t position = syscall(SYS_lseek, fd, offset, whence);
    int error = errno;
    struct stat file;

    if (position >= 0 || error != ESPIPE || (whence != SEEK_END && whence != SEEK_SET))
        return position;
    if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode)) {
        if (whence == SEEK_END)
            offset += file.st_size;
        if (offset >= 0)
            return offset;
        error = EINVAL;
    }
    errno = error;
    return -1;
}

EXPORTED off_t
lseek(int fd, off_t offset, int whence)
{
    return lseek64(fd, offset, whence);
}
