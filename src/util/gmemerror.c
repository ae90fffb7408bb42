/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemerror.c: errors with the libvirt error code that a client gets. */

#include "gmemerror.h"

#include <stdarg.h>

#include "gmemi18n.h"

/* The text that libvirt puts before the message of an error with that code (the behaviour of
 * virStrerror's table, taken from the messages of libvirt 9.0.0, and unchanged in 12.8.0). */
static const struct {
    int code;
    const char *format;
} gmemErrorPrefixes[] = {
    {.code = VIR_ERR_XML_ERROR, .format = N_("XML error: %1$s")},
    {.code = VIR_ERR_XML_DETAIL, .format = "%s"},
    {.code = VIR_ERR_XML_INVALID_SCHEMA,
     .format = N_("XML document failed to validate against schema: %1$s")},
    {.code = VIR_ERR_CONFIG_UNSUPPORTED, .format = N_("unsupported configuration: %1$s")},
    {.code = VIR_ERR_OPERATION_UNSUPPORTED, .format = N_("Operation not supported: %1$s")},
    {.code = VIR_ERR_OPERATION_TIMEOUT, .format = N_("Timed out during operation: %1$s")},
    {.code = VIR_ERR_SYSTEM_ERROR, .format = "%s"},
    {.code = VIR_ERR_INTERNAL_ERROR, .format = N_("internal error: %1$s")},
};

/* Written when the library is loaded, so that the child between fork and exec does not have to look
 * it up in GLib's table of quarks, whose lock another thread may have held. */
static GQuark gmemErrorDomain;

/* Before constructors without a number, which may already report an error. */
__attribute__((constructor(102))) static void
gmemErrorInit(void)
{
    gmemErrorDomain = g_quark_from_static_string("libvirt-gmem-error");
}

GQuark
gmemErrorQuark(void)
{
    return gmemErrorDomain;
}

/* GLib allocates errors under a lock. An error of the child is allocated by malloc, and is never
 * freed: the child's first error is its last. */
static GError *gmemErrorNewForked(int code, const char *format, va_list args) G_GNUC_PRINTF(2, 0);

static GError *
gmemErrorNewForked(int code, const char *format, va_list args)
{
    GError *error = g_new0(GError, 1);

    error->domain = GMEM_ERROR;
    error->code = code;
    error->message = g_strdup_vprintf(format, args);
    return error;
}

int
gmemErrorSet(GError **error, int code, const char *format, ...)
{
    va_list args;

    if (error == NULL)
        return -1;
    va_start(args, format);
    g_propagate_error(error, gmemI18nIsForked()
                                 ? gmemErrorNewForked(code, format, args)
                                 : g_error_new_valist(GMEM_ERROR, code, format, args));
    va_end(args);
    return -1;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are those of the table above   \
                                                      */
char *
gmemErrorFormat(const GError *error)
{
    int code = error->domain == GMEM_ERROR ? error->code : VIR_ERR_INTERNAL_ERROR;
    const char *format = N_("internal error: %1$s");
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(gmemErrorPrefixes); i++) {
        if (gmemErrorPrefixes[i].code == code)
            format = gmemErrorPrefixes[i].format;
    }
    return g_strdup_printf(_(format), error->message);
}
#pragma GCC diagnostic pop
