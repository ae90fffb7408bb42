/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemrefusal.c: passes a refusal from the child back to the call that started the domain. */

#include "gmemrefusal.h"

#include <sys/mman.h>

#include "gmemerror.h"

typedef struct {
    int code; /* 0: no refusal */
    char message[4096 - sizeof(int)];
} gmemRefusal;

static __thread gmemRefusal *gmemRefusalPage;

static void
gmemRefusalUnmap(gpointer page)
{
    munmap(page, sizeof(gmemRefusal));
}

/* For its destructor at the end of the thread. */
static GPrivate gmemRefusalOwner = G_PRIVATE_INIT(gmemRefusalUnmap);

void
gmemRefusalForget(void)
{
    void *page;

    if (gmemRefusalPage == NULL) {
        page = mmap(NULL, sizeof(gmemRefusal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                    -1, 0);
        if (page == MAP_FAILED) /* the client then gets libvirt's error, with the text in it */
            return;
        gmemRefusalPage = page;
        g_private_set(&gmemRefusalOwner, page);
    }
    gmemRefusalPage->code = 0;
}

void
gmemRefusalSet(const GError *error)
{
    if (gmemRefusalPage == NULL)
        return;
    g_strlcpy(gmemRefusalPage->message, error->message, sizeof(gmemRefusalPage->message));
    gmemRefusalPage->code = error->code;
}

GError *
gmemRefusalTake(void)
{
    const char *end;
    GError *error;

    if (gmemRefusalPage == NULL || gmemRefusalPage->code == 0)
        return NULL;
    g_utf8_validate(gmemRefusalPage->message, -1, &end); /* where it was cut */
    error = g_error_new(GMEM_ERROR, gmemRefusalPage->code, "%.*s",
                        (int)(end - gmemRefusalPage->message), gmemRefusalPage->message);
    gmemRefusalPage->code = 0;
    return error;
}
