/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fake-kvm.c: is preloaded into libvirt before libvirt-gmem.so, and imitates hosts with another
 * KVM.
 *
 * GMEM_TEST_KVM is a comma-separated list of N=V: KVM_CHECK_EXTENSION of capability N is answered
 * with V (uapi/linux/kvm.h: 235 KVM_CAP_VM_TYPES, 233 KVM_CAP_MEMORY_ATTRIBUTES, 234
 * KVM_CAP_GUEST_MEMFD, 244 KVM_CAP_GUEST_MEMFD_FLAGS). If the VM types are imitated, a VM of any
 * type can be made; it is an ordinary VM, and its guest_memfd and attributes are imitated, too.
 * Pages are made private in the VM or, with 1002=1, only in guest_memfd. This is how the series
 * "KVM: guest_memfd: in-place conversion" describes the kernels that have it; no such kernel was
 * available. libvirt does not pass the list on to QEMU, so this does not change anything there.
 *
 * Further numbers that are not capabilities: with 1000=ERRNO, /dev/kvm cannot be opened; with
 * 1001=ERRNO, no VM can be made; with 1003=ERRNO, guest_memfd refuses to convert its first page, as
 * it does with EAGAIN while somebody holds the page. */

#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include "gmemkvmabi.h"
#include "ioctl.h"
#include "listed.h"

#define OPEN_ERRNO 1000
#define CREATE_ERRNO 1001
#define IN_PLACE 1002
#define CONVERT_ERRNO 1003

static int
answerOf(unsigned long capability)
{
    char name[32];

    snprintf(name, sizeof(name), "%lu", capability);
    return listed("GMEM_TEST_KVM", name);
}

static int
answer(Ioctl real, int fd, unsigned long request, void *argument)
{
    int number;

    if (request == KVM_CHECK_EXTENSION) {
        number = answerOf((unsigned long)argument);
        if (number >= 0)
            return number;
    }
    if (request == KVM_CREATE_VM && answerOf(CREATE_ERRNO) > 0) {
        errno = answerOf(CREATE_ERRNO);
        return -1;
    }
    if (answerOf(KVM_CAP_VM_TYPES) < 0)
        return real(fd, request, argument);
    if (request == KVM_CREATE_VM)
        argument = NULL;
    if (request == GMEM_KVM_CREATE_GUEST_MEMFD &&
        ((struct gmemKVMCreateGuestMemfd *)argument)->flags == 0)
        return memfd_create("fake guest_memfd", MFD_CLOEXEC);
    if (request == GMEM_KVM_SET_USER_MEMORY_REGION2)
        return 0;
    if (request == GMEM_KVM_SET_MEMORY_ATTRIBUTES || request == GMEM_KVM_SET_MEMORY_ATTRIBUTES2) {
        if ((request == GMEM_KVM_SET_MEMORY_ATTRIBUTES2) != (answerOf(IN_PLACE) > 0)) {
            errno = ENOTTY;
            return -1;
        }
        if (request == GMEM_KVM_SET_MEMORY_ATTRIBUTES || answerOf(CONVERT_ERRNO) <= 0)
            return 0;
        ((struct gmemKVMMemoryAttributes2 *)argument)->error_offset = 0;
        errno = answerOf(CONVERT_ERRNO);
        return -1;
    }
    return real(fd, request, argument);
}

/* The flag that open() gets with a 64-bit off_t. */
__attribute__((visibility("default"))) int
open64(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...) =
        (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = va_arg(args, mode_t);
    va_end(args);
    if (strcmp(path, "/dev/kvm") != 0 || answerOf(OPEN_ERRNO) < 0)
        return real(path, flags, mode);
    errno = answerOf(OPEN_ERRNO);
    return -1;
}
