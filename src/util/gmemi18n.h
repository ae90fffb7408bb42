/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemi18n.h: gettext for a library that must not change its process's text domain. */
#pragma once

#include <libintl.h>

#define GMEM_TEXT_DOMAIN "libvirt-gmem"

/* dgettext, not gettext: the current text domain belongs to libvirtd or to the client. */
#define _(text) dgettext(GMEM_TEXT_DOMAIN, text)
#define N_(text) text
