/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemparams.h: reads and replaces strings, such as XML, in a list of typed parameters. */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

/* A copy of a list of typed parameters in which some values can be replaced. */
typedef struct {
    virTypedParameterPtr list; /* the caller's own list where nothing had to change */
    int n;
    virTypedParameterPtr copy; /* what has to be freed; NULL: nothing */
} gmemParams;

void gmemParamsClear(gmemParams *params);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemParams, gmemParamsClear)

/* gmemParamsGet: the string @name in the list, or NULL if it is missing or not a string. */
const char *gmemParamsGet(const gmemParams *params, const char *name);

/* gmemParamsReplace: replaces the string @name, which is in the list, by @value (taken over; of
 * g_malloc) in the list for libvirt. If @value is NULL, it is not changed. */
void gmemParamsReplace(gmemParams *params, const char *name, char *value);
