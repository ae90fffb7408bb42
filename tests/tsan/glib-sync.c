/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* glib-sync.c: tells ThreadSanitizer about GLib's mutexes.
 *
 * Debian's GLib is not instrumented, and it implements its mutexes with futexes, so accesses that
 * they order would be reported as races. These functions therefore stand in front of GLib's in
 * everything that is linked with them, which is only this project's code. */

#include <dlfcn.h>
#include <glib.h>
#include <sanitizer/tsan_interface.h>

typedef void (*Function)(GMutex *mutex);

void
g_mutex_lock(GMutex *mutex)
{
    const Function real = (Function)dlsym(RTLD_NEXT, "g_mutex_lock");

    __tsan_mutex_pre_lock(mutex, __tsan_mutex_linker_init);
    real(mutex);
    __tsan_mutex_post_lock(mutex, __tsan_mutex_linker_init, 0);
}

void
g_mutex_unlock(GMutex *mutex)
{
    const Function real = (Function)dlsym(RTLD_NEXT, "g_mutex_unlock");

    __tsan_mutex_pre_unlock(mutex, __tsan_mutex_linker_init);
    real(mutex);
    __tsan_mutex_post_unlock(mutex, __tsan_mutex_linker_init);
}
