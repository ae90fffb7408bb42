/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemi18n.c: gettext for a library, and no gettext in a child between fork and exec. */

#include "gmemi18n.h"

#include <string.h>

/* Written by the only thread that a forked child has. */
static bool gmemI18nForked;

void
gmemI18nSetForked(void)
{
    gmemI18nForked = true;
}

bool
gmemI18nIsForked(void)
{
    return gmemI18nForked;
}

/* dgettext, not gettext, because the current text domain belongs to libvirtd or to the client. */
const char *
gmemI18nGet(const char *text)
{
    return gmemI18nForked ? text : dgettext(GMEM_TEXT_DOMAIN, text);
}

const char *
gmemI18nPlural(const char *singular, const char *plural, unsigned long number)
{
    return dngettext(GMEM_TEXT_DOMAIN, singular, plural, number);
}

const char *
gmemI18nErrno(int number)
{
    const char *text = gmemI18nForked ? strerrordesc_np(number) : strerror(number);

    return text != NULL ? text : "unknown error";
}
