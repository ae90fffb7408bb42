/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* glib-sync.c: tells ThreadSanitizer of GLib's mutexes.
 *
 * Debian's GLib is not instrumented, and its mutexes are futexes of its own: what they order would
 * be reported as races. So these stand in front of GLib's functions in what is linked with them,
 * which is this project's code and no other. */

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
