/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ioctl.h: the ioctl() of a preloaded library, which only has to define answer(). */
#pragma once

#include <dlfcn.h>
#include <stdarg.h>
#include <sys/ioctl.h>

typedef int (*Ioctl)(int, unsigned long, ...);

/* @real: the ioctl() of the next library. */
static int answer(Ioctl real, int fd, unsigned long request, void *argument);

__attribute__((visibility("default"))) int
ioctl(int fd, unsigned long request, ...)
{
    void *argument;
    va_list args;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    return answer((Ioctl)dlsym(RTLD_NEXT, "ioctl"), fd, request, argument);
}
