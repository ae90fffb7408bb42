/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemprocess.h: what kind of process the library was loaded into, and where it was loaded from. */
#pragma once

#include <stdbool.h>

/* gmemProcessIsDaemon: libvirtd or virtqemud, by the name of the executable. */
bool gmemProcessIsDaemon(void);

/* gmemProcessShimPath: absolute path of qemu-gmem.so: the one of the build tree where this library
 * was loaded out of one, else the installed one. Whether the file exists is not looked at. */
const char *gmemProcessShimPath(void);

/* gmemProcessVhostUserPath: the same for vhost-user-gmem.so. */
const char *gmemProcessVhostUserPath(void);

/* gmemProcessSetStartsOrdinary: whether the call that this thread is in starts a domain that is
 * known to have no private memory. Each interposed call begins with false. */
void gmemProcessSetStartsOrdinary(bool ordinary);

/* gmemProcessStartsOrdinary: what was set last; false also in a thread that no client's call is in
 * (autostart). Takes no lock: it is asked in the child between fork and exec. */
bool gmemProcessStartsOrdinary(void);

/* gmemProcessCallerIsLibvirt: whether a return address lies in libvirt.so. Takes no lock, unlike
 * dladdr(): it is asked in the child between fork and exec. */
bool gmemProcessCallerIsLibvirt(const void *address);

/* gmemProcessPreloadIsOurs: whether this process's LD_PRELOAD has entries of ours and no others. */
bool gmemProcessPreloadIsOurs(void);
