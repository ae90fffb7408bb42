/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemparams.h: XML that travels in typed parameters. */
#pragma once

#include <libvirt/libvirt.h>

#include "gmemplan.h"

/* A copy of a list of typed parameters in which some values may be others. */
typedef struct {
    virTypedParameterPtr list; /* the caller's own list where nothing had to change */
    int n;
    virTypedParameterPtr copy; /* what has to be freed; NULL: nothing */
} gmemParams;

void gmemParamsClear(gmemParams *params);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemParams, gmemParamsClear)

/* gmemParamsGet: the string @name of a list, NULL where it is not there or no string. */
const char *gmemParamsGet(virTypedParameterPtr list, int n, const char *name);

/**
 * gmemParamsLower:
 * @params: in: the list; out: the list for libvirt
 * @name: the string parameter that carries XML
 * @plan: as gmemDriverLower(); may be NULL
 *
 * Returns 0, or -1 with the error reported.
 */
int gmemParamsLower(virConnectPtr conn, gmemParams *params, const char *name, gmemPlan **plan);
