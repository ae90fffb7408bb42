/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* listed.h: numbers by name in the environment, for preloaded libraries: NAME=N,NAME=N… */
#pragma once

#include <stdlib.h>
#include <string.h>

/* The number of @name in the list in @variable, or -1. */
static inline int
listed(const char *variable, const char *name)
{
    const char *list = getenv(variable);
    const size_t length = strlen(name);

    while (list != NULL && *list != '\0') {
        if (strncmp(list, name, length) == 0 && list[length] == '=')
            return atoi(list + length + 1);
        list = strchr(list, ',');
        if (list != NULL)
            list++;
    }
    return -1;
}
