/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemerror.h: errors with the libvirt error code that a client gets. */
#pragma once

#include <glib.h>
#include <libvirt/virterror.h>

/**
 * GMEM_ERROR:
 *
 * The domain of every GError of this project. The error's code is a libvirt code (virErrorNumber,
 * libvirt/virterror.h); its message is translated and has no prefix: gmemErrorFormat() adds it.
 * Codes in use:
 *
 *  VIR_ERR_XML_ERROR              the XML itself is wrong, whatever the host
 *  VIR_ERR_XML_DETAIL             it is not well formed
 *  VIR_ERR_XML_INVALID_SCHEMA     it breaks the schema, and validation was asked for
 *  VIR_ERR_CONFIG_UNSUPPORTED     well formed, but host, QEMU or another element forbids it
 *  VIR_ERR_OPERATION_UNSUPPORTED  the operation cannot be done on such a domain
 *  VIR_ERR_OPERATION_TIMEOUT      somebody else (an emulator) did not answer in time
 *  VIR_ERR_SYSTEM_ERROR           a system call failed where it should not
 *  VIR_ERR_INTERNAL_ERROR         the rest
 */
#define GMEM_ERROR (gmemErrorQuark())

GQuark gmemErrorQuark(void);

/**
 * gmemErrorSet:
 * @error: out: the error; can be NULL
 * @code: the libvirt code (VIR_ERR_…)
 * @format: printf format of the translated message, without libvirt's prefix
 *
 * Returns -1, so that a refusal is one statement: return gmemErrorSet(error, …);
 * After gmemI18nSetForked() it does not take a lock, and the error must not be freed.
 */
int gmemErrorSet(GError **error, int code, const char *format, ...) G_GNUC_PRINTF(3, 4);

/**
 * gmemErrorFormat:
 * @error: an error of domain GMEM_ERROR; one of another domain counts as internal
 *
 * Returns the whole message as libvirt would write it, with its prefix ("unsupported configuration:
 * …"), because virSetError() uses the text as it is. Free with g_free().
 */
char *gmemErrorFormat(const GError *error);
