/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vhost-user-gmem.c: guest_memfd for vhost-user back ends that seek in the descriptors of guest
 * memory.
 *
 * QEMU passes descriptors of guest memory to a back end. Some back ends, such as virtiofsd 1.13,
 * determine the size of each file by lseek(SEEK_END), and end if that fails. A guest_memfd has a
 * size, but does not support seeking (ESPIPE). This library, preloaded into such a program, answers
 * the seeks: to the end with the size from fstat(), and to an offset with that offset, because no
 * read() or write() of a guest_memfd can follow.
 *
 * It only does so for regular files in which the kernel refuses to seek, which is true for a
 * guest_memfd and not for an ordinary file. A back end's sandbox may not have /proc, and its
 * seccomp filter allows lseek and fstat, so nothing else is called. */

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
