/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemreal.c: the one table of the functions that this library stands in front of. */

#include "gmemreal.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static gmemRealTable gmemRealFunctions;
static pthread_once_t gmemRealOnce = PTHREAD_ONCE_INIT;

static void *
gmemRealLookup(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    if (function == NULL) {
        dprintf(STDERR_FILENO, "libvirt-gmem: %s: not found after this library: %s\n", name,
                dlerror());
        _exit(EXIT_FAILURE);
    }
    return function;
}

static void
gmemRealBind(void)
{
#define X(name, need) gmemRealFunctions.name = (__typeof__(&name))gmemRealLookup(#name);
    GMEM_REAL_FUNCTIONS(X)
#undef X
#define X(name, need) gmemRealFunctions.name = (__typeof__(&name))dlsym(RTLD_NEXT, #name);
    GMEM_REAL_OPTIONAL_FUNCTIONS(X)
#undef X
    gmemRealFunctions.virSetError = (void (*)(virErrorPtr))dlsym(RTLD_NEXT, "virSetError");
    gmemRealFunctions.virDispatchError =
        (void (*)(virConnectPtr))dlsym(RTLD_NEXT, "virDispatchError");
}

const gmemRealTable *
gmemReal(void)
{
    pthread_once(&gmemRealOnce, gmemRealBind);
    return &gmemRealFunctions;
}
