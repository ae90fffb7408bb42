/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_error.c: the code that a client gets, and the words that libvirt puts before a message. */

#include <glib.h>

#include "gmemerror.h"

static void
testFormat(void)
{
    static const struct {
        int code;
        const char *text;
    } cases[] = {
        {VIR_ERR_XML_ERROR, "XML error: why"},
        {VIR_ERR_XML_DETAIL, "why"},
        {VIR_ERR_XML_INVALID_SCHEMA, "XML document failed to validate against schema: why"},
        {VIR_ERR_CONFIG_UNSUPPORTED, "unsupported configuration: why"},
        {VIR_ERR_OPERATION_UNSUPPORTED, "Operation not supported: why"},
        {VIR_ERR_OPERATION_TIMEOUT, "Timed out during operation: why"},
        {VIR_ERR_SYSTEM_ERROR, "why"},
        {VIR_ERR_INTERNAL_ERROR, "internal error: why"},
        {VIR_ERR_NO_DOMAIN, "internal error: why"}, /* none of ours */
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;

        g_assert_cmpint(gmemErrorSet(&error, cases[i].code, "%s", "why"), ==, -1);
        g_assert_error(error, GMEM_ERROR, cases[i].code);
        text = gmemErrorFormat(error);
        g_assert_cmpstr(text, ==, cases[i].text);
    }
    g_assert_cmpint(gmemErrorSet(NULL, VIR_ERR_XML_ERROR, "why"), ==, -1);
}

/* GLib's codes are not libvirt's. */
static void
testForeign(void)
{
    g_autoptr(GError) error = g_error_new(G_FILE_ERROR, VIR_ERR_XML_ERROR, "why");
    g_autofree char *text = gmemErrorFormat(error);

    g_assert_cmpstr(text, ==, "internal error: why");
}

int
main(int argc, char **argv)
{
    g_setenv("LC_ALL", "C", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/error/format", testFormat);
    g_test_add_func("/error/foreign", testForeign);
    return g_test_run();
}
