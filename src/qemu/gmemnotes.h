/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnotes.h: what an administrator should know of a domain that is about to start. */
#pragma once

#include <glib.h>

#include "gmemplan.h"

/**
 * gmemNotesFormat:
 * @plan: the mode; ram, hugeRam and sharedOnly where they are known
 *
 * For the log, so in English. Returns lines without their ends, NULL-terminated, to be freed with
 * g_strfreev(); often none.
 */
char **gmemNotesFormat(const gmemPlan *plan);
