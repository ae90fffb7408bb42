/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemstatus.c: finds and reads what the shim in a QEMU publishes.
 *
 * The status is copied with pread(). If the file is truncated meanwhile, this does not cause a
 * SIGBUS, as a mapping would. Numbers are bounded before they are used. Among QEMU's descriptors,
 * the status is recognised by its link. But any file at the root of a mount namespace can have the
 * same link: a FIFO, or a file of a file system that QEMU itself serves and that never answers. So
 * the file is first held by an O_PATH descriptor, and the kernel is asked, without asking the
 * file's own file system, whether it is on the mount that all memfds are on. Whether the numbers
 * are true cannot be determined from here. */

#include "gmemstatus.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemautofd.h"
#include "gmemi18n.h"

#define GMEM_STATUS_LINK "/memfd:" GMEM_SHIM_STATUS_NAME " (deleted)"
/* Far more than a domain can have: QEMU has 128 cells and 256 slots for DIMMs. */
#define GMEM_STATUS_BACKENDS_MAX 1024
/* Numbers are being changed for microseconds; a second is enough for the slowest machine. */
#define GMEM_STATUS_TRIES 1000
#define GMEM_STATUS_WAIT_US 1000
/* Far more descriptors than QEMU has; a hostile one could have millions. */
#define GMEM_STATUS_DESCRIPTORS_MAX 100000

/* Returns whether @fd is a regular file, as far as this is known without asking its file system,
 * and the mount that it is on, which can have the number 0. */
static bool
gmemStatusMount(int fd, guint64 *mount)
{
    struct statx info;

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID, &info) < 0 ||
        (info.stx_mask & STATX_MNT_ID) == 0 || !S_ISREG(info.stx_mode))
        return false;
    *mount = info.stx_mnt_id;
    return true;
}

static bool
gmemStatusIsMemfd(int fd)
{
    GMEM_AUTO_FD own = memfd_create("libvirt-gmem-compare", MFD_CLOEXEC);
    guint64 wanted, found;

    return own >= 0 && gmemStatusMount(own, &wanted) && gmemStatusMount(fd, &found) &&
           wanted == found;
}

/* The entry @name of a /proc/PID/fd. */
static int
gmemStatusOpenEntry(int fds, const char *name, int *why)
{
    GMEM_AUTO_FD held = openat(fds, name, O_PATH | O_CLOEXEC);
    char path[64];
    int fd = -1;

    *why = held < 0 ? errno : 0;
    if (held >= 0 && gmemStatusIsMemfd(held)) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        *why = fd < 0 ? errno : 0;
    }
    return fd;
}

int
gmemStatusOpen(int directory, int *why)
{
    int fds = openat(directory, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fds >= 0 ? fdopendir(fds) : NULL;
    const struct dirent *entry;
    unsigned int seen = 0;
    int found = -1;

    *why = dir != NULL ? 0 : errno;
    while (found < 0 && dir != NULL && (entry = readdir(dir)) != NULL &&
           seen++ < GMEM_STATUS_DESCRIPTORS_MAX) {
        char link[sizeof(GMEM_STATUS_LINK) + 1];
        ssize_t length = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link));

        if (length < 0 && errno == EACCES)
            *why = errno;
        if (length == (ssize_t)strlen(GMEM_STATUS_LINK) &&
            memcmp(link, GMEM_STATUS_LINK, (size_t)length) == 0)
            found = gmemStatusOpenEntry(dirfd(dir), entry->d_name, why);
    }
    if (dir != NULL)
        closedir(dir);
    else if (fds >= 0)
        close(fds);
    return found;
}

bool
gmemStatusIsSealed(int fd)
{
    const int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    int seals = fcntl(fd, F_GET_SEALS);

    return seals >= 0 && (seals & wanted) == wanted;
}

/* Whether all @size bytes could be read. */
static bool
gmemStatusReadAll(int fd, void *data, size_t size, size_t offset)
{
    ssize_t count;

    do {
        count = pread(fd, data, size, (off_t)offset);
    } while (count < 0 && errno == EINTR);
    return count == (ssize_t)size;
}

/* The size of the head in that version; 0 if there is no such version. */
static size_t
gmemStatusHeadSize(guint32 version)
{
    switch (version) {
    case 1:
        return GMEM_SHIM_STATUS_HEAD_1;
    case GMEM_SHIM_STATUS_VERSION:
        return sizeof(gmemShimStatus);
    default:
        return 0;
    }
}

/* Reads the head in the layout of the latest version, and its length in the file. */
static bool
gmemStatusReadHead(int fd, gmemShimStatus *head, size_t *size, const char **fault)
{
    memset(head, 0, sizeof(*head));
    if (!gmemStatusReadAll(fd, head, GMEM_SHIM_STATUS_HEAD_1, 0)) {
        *fault = _("the status is too short");
        return false;
    }
    *fault = NULL;
    *size = gmemStatusHeadSize(head->version);
    if (memcmp(head->magic, GMEM_SHIM_STATUS_MAGIC, sizeof(head->magic)) != 0)
        *fault = _("the status does not begin as libvirt-gmem writes it");
    else if (*size == 0)
        *fault = _("the status is of another version of libvirt-gmem");
    else if (head->backends > GMEM_STATUS_BACKENDS_MAX)
        *fault = _("the status has too many memory backends");
    else if (!gmemStatusReadAll(fd, (char *)head + GMEM_SHIM_STATUS_HEAD_1,
                                *size - GMEM_SHIM_STATUS_HEAD_1, GMEM_SHIM_STATUS_HEAD_1))
        *fault = _("the status is too short");
    if (*fault == NULL && *size == GMEM_SHIM_STATUS_HEAD_1)
        head->mode = GMEM_SHIM_STATUS_CONVERTIBLE;
    return *fault == NULL;
}

gmemShimStatus *
gmemStatusRead(int fd, const char **fault)
{
    unsigned int i;

    for (i = 0; i < GMEM_STATUS_TRIES; i++) {
        g_autofree gmemShimStatus *status = NULL;
        gmemShimStatus head;
        guint64 after;
        size_t headSize, listSize;

        if (!gmemStatusReadHead(fd, &head, &headSize, fault))
            return NULL;
        listSize = head.backends * sizeof(head.backend[0]);
        status = g_malloc0(sizeof(head) + listSize);
        memcpy(status, &head, sizeof(head));
        if (!gmemStatusReadAll(fd, status->backend, listSize, headSize) ||
            !gmemStatusReadAll(fd, &after, sizeof(after), offsetof(gmemShimStatus, sequence))) {
            *fault = _("the status is too short");
            return NULL;
        }
        if (head.sequence % 2 == 0 && head.sequence == after)
            return g_steal_pointer(&status);
        g_usleep(GMEM_STATUS_WAIT_US);
    }
    *fault = _("the status is being changed all the time");
    return NULL;
}

/* One attempt; the list includes unused entries. */
static bool
gmemStatusTrySlots(int fd, const gmemShimStatus *status, GArray *slots)
{
    guint64 before, after;

    return gmemStatusReadAll(fd, &before, sizeof(before), offsetof(gmemShimStatus, sequence)) &&
           before % 2 == 0 &&
           gmemStatusReadAll(fd, slots->data, slots->len * sizeof(gmemShimStatusSlot),
                             status->slotsAt) &&
           gmemStatusReadAll(fd, &after, sizeof(after), offsetof(gmemShimStatus, sequence)) &&
           before == after;
}

GArray *
gmemStatusReadSlots(int fd, const gmemShimStatus *status)
{
    g_autoptr(GArray) slots = g_array_new(FALSE, TRUE, sizeof(gmemShimStatusSlot));
    guint i = 0;

    if (status->slotRoom == 0 || status->slotRoom > GMEM_SHIM_STATUS_SLOTS_MAX ||
        status->slotsLost || status->slotsAt > G_MAXINT32)
        return NULL;
    g_array_set_size(slots, status->slotRoom);
    for (i = 0; !gmemStatusTrySlots(fd, status, slots); i++) {
        if (i == GMEM_STATUS_TRIES)
            return NULL;
        g_usleep(GMEM_STATUS_WAIT_US);
    }
    for (i = slots->len; i-- > 0;) {
        if (g_array_index(slots, gmemShimStatusSlot, i).size == 0)
            g_array_remove_index_fast(slots, i);
    }
    return g_steal_pointer(&slots);
}
