/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemschema.h: the RELAX NG schema of the two elements. */
#pragma once

#include <glib.h>

#include "gmemxml.h"

/**
 * gmemSchemaValidate:
 * @element: <private> or <launchSecurity type='sw-protected'>
 * @error: VIR_ERR_XML_INVALID_SCHEMA with libxml2's text
 *
 * Stock libvirt validates the rest of the document, in which it never sees these two elements.
 */
int gmemSchemaValidate(const gmemXMLNode *element, GError **error);

/* gmemSchemaText: the schema itself, gmem.rng. */
const char *gmemSchemaText(void);
