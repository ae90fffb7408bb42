/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemprocess.h: the kind of process into which the library was loaded, and from where it was
 * loaded. */
#pragma once

#include <stdbool.h>

/* gmemProcessIsDaemon: whether this is libvirtd or virtqemud, by the name of the executable. */
bool gmemProcessIsDaemon(void);

/* gmemProcessShimPath: the absolute path of qemu-gmem.so: in the build tree if this library was
 * loaded from one, otherwise the installed one. It does not check whether the file exists. */
const char *gmemProcessShimPath(void);

/* gmemProcessVhostUserPath: the same for vhost-user-gmem.so. */
const char *gmemProcessVhostUserPath(void);

/* gmemProcessSetStartsOrdinary: whether this thread's call starts a domain that is known to have no
 * private memory. Each interposed call that can start one begins with false. */
void gmemProcessSetStartsOrdinary(bool ordinary);

/* gmemProcessStartsOrdinary: the last value that was set; false also in a thread that does not
 * serve a client's call (autostart). Takes no lock, because it is called in the child between fork
 * and exec. */
bool gmemProcessStartsOrdinary(void);

/* gmemProcessCallerIsLibvirt: whether a return address is in libvirt.so. Takes no lock, unlike
 * dladdr(), because it is called in the child between fork and exec. */
bool gmemProcessCallerIsLibvirt(const void *address);

/* gmemProcessImports: whether the program itself refers to @name, a function of a library: so a
 * definition in this library, which is loaded before the others, serves the program's calls. */
bool gmemProcessImports(const char *name);

/* gmemProcessPreloadIsOurs: whether this process's LD_PRELOAD has entries of ours and no others. */
bool gmemProcessPreloadIsOurs(void);
