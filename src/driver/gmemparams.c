/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemparams.c: reads and replaces strings, such as XML, in a list of typed parameters. */

#include "gmemparams.h"

#include <stdlib.h>
#include <string.h>

void
gmemParamsClear(gmemParams *params)
{
    if (params->copy != NULL)
        virTypedParamsFree(params->copy, params->n);
    params->copy = NULL;
}

static int
gmemParamsFind(const virTypedParameter *list, int n, const char *name)
{
    int i;

    for (i = 0; list != NULL && i < n; i++) {
        if (strncmp(list[i].field, name, sizeof(list[i].field)) == 0 &&
            list[i].type == VIR_TYPED_PARAM_STRING)
            return i;
    }
    return -1;
}

const char *
gmemParamsGet(const gmemParams *params, const char *name)
{
    int at = gmemParamsFind(params->list, params->n, name);

    return at >= 0 ? params->list[at].value.s : NULL;
}

static void
gmemParamsCopy(gmemParams *params)
{
    int i;

    if (params->copy != NULL)
        return;
    /* virTypedParamsFree() calls free(), which g_strdup() is good for, too */
    params->copy = calloc((size_t)params->n, sizeof(*params->copy));
    if (params->copy == NULL)
        g_error("out of memory");
    for (i = 0; i < params->n; i++) {
        params->copy[i] = params->list[i];
        if (params->list[i].type == VIR_TYPED_PARAM_STRING)
            params->copy[i].value.s = g_strdup(params->list[i].value.s);
    }
    params->list = params->copy;
}

void
gmemParamsReplace(gmemParams *params, const char *name, char *value)
{
    int at = gmemParamsFind(params->list, params->n, name);

    if (value == NULL)
        return;
    gmemParamsCopy(params);
    g_free(params->copy[at].value.s);
    params->copy[at].value.s = value;
}
