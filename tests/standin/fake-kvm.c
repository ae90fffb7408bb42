/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fake-kvm.c: preloaded into libvirt before libvirt-gmem.so, imitates hosts with another KVM.
 *
 * GMEM_TEST_KVM is a comma-separated list of N=V: KVM_CHECK_EXTENSION of capability N is answered
 * with V (uapi/linux/kvm.h: 235 KVM_CAP_VM_TYPES, 233 KVM_CAP_MEMORY_ATTRIBUTES, 234
 * KVM_CAP_GUEST_MEMFD, 244 KVM_CAP_GUEST_MEMFD_FLAGS). Where the types of VM are made up, a VM of
 * any type can be made; it is an ordinary one. libvirt does not pass the list on to QEMU, in which
 * this therefore changes nothing. */

#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "gmemkvmabi.h"

static int
answerOf(unsigned long capability)
{
    const char *list = getenv("GMEM_TEST_KVM");

    while (list != NULL && *list != '\0') {
        char *end;

        if (strtoul(list, &end, 10) == capability && *end == '=')
            return atoi(end + 1);
        list = strchr(list, ',');
        if (list != NULL)
            list++;
    }
    return -1;
}

__attribute__((visibility("default"))) int
ioctl(int fd, unsigned long request, ...)
{
    int (*real)(int, unsigned long, ...) =
        (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    void *argument;
    va_list args;
    int answer;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);

    if (request == KVM_CHECK_EXTENSION) {
        answer = answerOf((unsigned long)argument);
        if (answer >= 0)
            return answer;
    }
    if (request == KVM_CREATE_VM && answerOf(KVM_CAP_VM_TYPES) >= 0)
        argument = NULL;
    return real(fd, request, argument);
}
