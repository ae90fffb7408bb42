/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemschema.h: the RELAX NG schema of the two elements. */
#pragma once

#include <glib.h>

#include "gmemxml.h"

/**
 * gmemSchemaValidate:
 * @element: <private> or <launchSecurity type='sw-protected'>
 * @error: VIR_ERR_XML_INVALID_SCHEMA with libxml2's words
 *
 * Stock libvirt validates the rest: it never sees these two.
 */
int gmemSchemaValidate(const gmemXMLNode *element, GError **error);
