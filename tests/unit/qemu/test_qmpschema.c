/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_qmpschema.c: QMP schemas of real QEMUs, and what is found in them. Made-up schemas, with
 * what no QEMU offers yet, are in test_capabilities.c. */

#include "config.h"

#include <glib.h>
#include <string.h>

#include "gmemjson.h"
#include "gmemqmpschema.h"
#include "test_recorded.h"

static void
testRecordedSchemas(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(testRecorded); i++) {
        g_autofree char *text = testRecordedReplies(testRecorded[i].name);
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        g_autoptr(gmemJSON) json = gmemJSONParse(lines[2], NULL);
        g_autoptr(gmemQMPSchema) schema = NULL;
        g_autoptr(GError) error = NULL;
        gmemJSON *file, *memfd;

        g_test_message("%s", testRecorded[i].name);
        schema = gmemQMPSchemaNew(gmemJSONGet(json, "return"), "/q", &error);
        g_assert_no_error(error);
        memfd = gmemQMPSchemaFindObject(schema, "memory-backend-memfd");
        file = gmemQMPSchemaFindObject(schema, "memory-backend-file");
        g_assert_nonnull(memfd);
        g_assert_null(gmemQMPSchemaFindObject(schema, "memory-backend-none"));
        g_assert_cmpint(gmemQMPSchemaGetSwitch(schema, memfd, "seal"), ==, GMEM_QMP_SCHEMA_BOOL);
        g_assert_cmpint(gmemQMPSchemaGetSwitch(schema, memfd, "size"), ==, GMEM_QMP_SCHEMA_NONE);
        g_assert_cmpint(gmemQMPSchemaGetSwitch(schema, memfd, "none"), ==, GMEM_QMP_SCHEMA_NONE);
        /* On, off or auto, which was added after 7.2. */
        g_assert_cmpint(gmemQMPSchemaGetSwitch(schema, file, "rom"), ==,
                        testRecorded[i].version < 8000000 ? GMEM_QMP_SCHEMA_NONE
                                                          : GMEM_QMP_SCHEMA_ENUM);
    }
}

int
main(int argc, char **argv)
{
    g_setenv("LC_ALL", "C", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmpschema/recorded", testRecordedSchemas);
    return g_test_run();
}
