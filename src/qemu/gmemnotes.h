/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnotes.h: what an administrator should know about a domain that is about to start. */
#pragma once

#include <glib.h>

#include "gmemplan.h"

/**
 * gmemNotesFormat:
 * @plan: the mode; ram, hugeRam and sharedOnly if they are known
 *
 * The notes are for the log, and so in English. Returns lines without line ends, NULL-terminated,
 * to be freed with g_strfreev(); there are often none.
 */
char **gmemNotesFormat(const gmemPlan *plan);
