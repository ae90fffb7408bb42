/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_qemu_xml2argv.c: golden command lines, one for each cell of {row of "What QEMU offers" ×
 * mode × shape of the memory backends} that is allowed. Of each there are, in ../qemuxml2argvdata:
 *
 *   NAME.xml         the domain as its user writes it
 *   NAME.stock.args  what real libvirt makes of it once lowered (by ../record-argv.py)
 *   NAME.args        what QEMU is started with
 *
 * GMEM_TEST_REGENERATE_OUTPUT=1 in the environment rewrites NAME.args. */

#include "config.h"

#include <glib.h>
#include <string.h>

#include "gmemcarrier.h"
#include "gmemcommand.h"
#include "gmemerror.h"
#include "gmemlower.h"

typedef enum {
    ROW_OBJECT = 0, /* sw-protected-vm and "private" */
    ROW_PROPERTY,   /* "guest-memfd" */
    ROW_SHIM,       /* neither */
    ROW_LAST
} Row;

typedef enum {
    SHAPE_PLAIN = 0, /* no NUMA: the one backend of -machine memory-backend */
    SHAPE_CELLS,
    SHAPE_HOST_NODES,
    SHAPE_HUGEPAGES,
    SHAPE_DIMM,
    SHAPE_NVDIMM, /* beside private RAM */
    SHAPE_LAST
} Shape;

#define FLAG(flag) (G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_##flag)

static const struct {
    const char *name;
    guint64 flags;
} rows[] = {
    [ROW_OBJECT] = {"object", FLAG(MEMFD) | FLAG(SW_PROTECTED_VM) | FLAG(BACKEND_PRIVATE)},
    [ROW_PROPERTY] = {"property", FLAG(MEMFD) | FLAG(MEMFD_GUEST_MEMFD)},
    [ROW_SHIM] = {"shim", FLAG(MEMFD)},
};
G_STATIC_ASSERT(G_N_ELEMENTS(rows) == ROW_LAST);

static const char *const shapes[] = {
    [SHAPE_PLAIN] = "plain",         [SHAPE_CELLS] = "cells", [SHAPE_HOST_NODES] = "host-nodes",
    [SHAPE_HUGEPAGES] = "hugepages", [SHAPE_DIMM] = "dimm",   [SHAPE_NVDIMM] = "nvdimm",
};
G_STATIC_ASSERT(G_N_ELEMENTS(shapes) == SHAPE_LAST);

typedef struct {
    Row row;
    gmemMode mode;
    Shape shape;
} Cell;

/* The table. A cell that is not here has to be forbidden(). */
static const Cell cells[] = {
    {ROW_OBJECT, GMEM_MODE_CONVERTIBLE, SHAPE_PLAIN},
    {ROW_OBJECT, GMEM_MODE_CONVERTIBLE, SHAPE_CELLS},
    {ROW_OBJECT, GMEM_MODE_CONVERTIBLE, SHAPE_HOST_NODES},
    {ROW_OBJECT, GMEM_MODE_CONVERTIBLE, SHAPE_HUGEPAGES},
    {ROW_OBJECT, GMEM_MODE_CONVERTIBLE, SHAPE_DIMM},
    {ROW_OBJECT, GMEM_MODE_CONVERTIBLE, SHAPE_NVDIMM},
    {ROW_OBJECT, GMEM_MODE_FULLY_SHARED, SHAPE_PLAIN},
    {ROW_OBJECT, GMEM_MODE_FULLY_SHARED, SHAPE_CELLS},
    {ROW_OBJECT, GMEM_MODE_FULLY_SHARED, SHAPE_HOST_NODES},
    {ROW_OBJECT, GMEM_MODE_FULLY_SHARED, SHAPE_DIMM},
    {ROW_OBJECT, GMEM_MODE_FULLY_SHARED, SHAPE_NVDIMM},
    {ROW_PROPERTY, GMEM_MODE_CONVERTIBLE, SHAPE_PLAIN},
    {ROW_PROPERTY, GMEM_MODE_CONVERTIBLE, SHAPE_CELLS},
    {ROW_PROPERTY, GMEM_MODE_CONVERTIBLE, SHAPE_HOST_NODES},
    {ROW_PROPERTY, GMEM_MODE_CONVERTIBLE, SHAPE_HUGEPAGES},
    {ROW_PROPERTY, GMEM_MODE_CONVERTIBLE, SHAPE_DIMM},
    {ROW_PROPERTY, GMEM_MODE_CONVERTIBLE, SHAPE_NVDIMM},
    {ROW_PROPERTY, GMEM_MODE_FULLY_SHARED, SHAPE_PLAIN},
    {ROW_PROPERTY, GMEM_MODE_FULLY_SHARED, SHAPE_CELLS},
    {ROW_PROPERTY, GMEM_MODE_FULLY_SHARED, SHAPE_HOST_NODES},
    {ROW_PROPERTY, GMEM_MODE_FULLY_SHARED, SHAPE_DIMM},
    {ROW_PROPERTY, GMEM_MODE_FULLY_SHARED, SHAPE_NVDIMM},
    {ROW_SHIM, GMEM_MODE_CONVERTIBLE, SHAPE_PLAIN},
    {ROW_SHIM, GMEM_MODE_CONVERTIBLE, SHAPE_CELLS},
    {ROW_SHIM, GMEM_MODE_CONVERTIBLE, SHAPE_HOST_NODES},
    {ROW_SHIM, GMEM_MODE_CONVERTIBLE, SHAPE_HUGEPAGES},
    {ROW_SHIM, GMEM_MODE_CONVERTIBLE, SHAPE_DIMM},
    {ROW_SHIM, GMEM_MODE_CONVERTIBLE, SHAPE_NVDIMM},
    {ROW_SHIM, GMEM_MODE_FULLY_SHARED, SHAPE_PLAIN},
    {ROW_SHIM, GMEM_MODE_FULLY_SHARED, SHAPE_CELLS},
    {ROW_SHIM, GMEM_MODE_FULLY_SHARED, SHAPE_HOST_NODES},
    {ROW_SHIM, GMEM_MODE_FULLY_SHARED, SHAPE_DIMM},
    {ROW_SHIM, GMEM_MODE_FULLY_SHARED, SHAPE_NVDIMM},
};

/* guest_memfd has no huge pages. */
static bool
forbidden(gmemMode mode, Shape shape)
{
    return mode == GMEM_MODE_FULLY_SHARED && shape == SHAPE_HUGEPAGES;
}

static char *
cellName(const Cell *cell)
{
    return g_strdup_printf("%s-%s-%s", rows[cell->row].name, gmemModeToString(cell->mode),
                           shapes[cell->shape]);
}

static char *
dataPath(const char *name, const char *suffix)
{
    return g_strdup_printf("%s/%s%s", GOLDEN_DATA, name, suffix);
}

static char *
readData(const char *name, const char *suffix)
{
    g_autofree char *path = dataPath(name, suffix);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return text;
}

static char **
readArgs(const char *name, const char *suffix)
{
    g_autofree char *text = readData(name, suffix);
    g_autoptr(GError) error = NULL;
    char **argv = NULL;

    g_shell_parse_argv(text, NULL, &argv, &error);
    g_assert_no_error(error);
    return argv;
}

/* As ../record-argv.py writes them: one option a line, with its value. */
static char *
formatArgs(char *const *argv)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_@%+=:,./-";
    g_autoptr(GString) text = g_string_new(NULL);
    size_t i;

    for (i = 0; argv[i] != NULL; i++) {
        if (i > 0)
            g_string_append(text, argv[i][0] == '-' ? " \\\n" : " ");
        if (argv[i][0] != '\0' && strspn(argv[i], plain) == strlen(argv[i])) {
            g_string_append(text, argv[i]);
        } else {
            g_autofree char *quoted = g_shell_quote(argv[i]);

            g_string_append(text, quoted);
        }
    }
    g_string_append_c(text, '\n');
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
testCell(gconstpointer data)
{
    const Cell *cell = data;
    g_autofree char *name = cellName(cell);
    g_auto(GStrv) stock = readArgs(name, ".stock.args");
    gmemQEMUCaps caps = {.emulator = stock[0], .flags = rows[cell->row].flags};
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemCommand) command = gmemCommandBuild(stock, &caps, &error);
    g_autofree char *text = NULL;
    g_autofree char *expected = NULL;

    g_assert_no_error(error);
    g_assert_cmpint(command->mode, ==, cell->mode);
    text = formatArgs(command->argv);
    if (g_strcmp0(g_getenv("GMEM_TEST_REGENERATE_OUTPUT"), "1") == 0) {
        g_autofree char *path = dataPath(name, ".args");

        g_file_set_contents(path, text, -1, &error);
        g_assert_no_error(error);
    }
    expected = readData(name, ".args");
    g_assert_cmpstr(text, ==, expected);
}

/* That the recording is one of this XML, as lowering is now. */
static void
testCarrier(gconstpointer data)
{
    const Cell *cell = data;
    g_autofree char *name = cellName(cell);
    g_autofree char *xml = readData(name, ".xml");
    g_auto(GStrv) stock = readArgs(name, ".stock.args");
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemPlan) plan = NULL;
    g_autofree char *lowered = gmemLower(xml, true, &plan, &error);
    g_autofree char *domain = g_strdup_printf("guest=%s,debug-threads=on", name);
    g_autofree char *argument = NULL;
    size_t i;

    g_assert_no_error(error);
    g_assert_cmpint(plan->mode, ==, cell->mode);
    g_assert_cmpstr(plan->name, ==, name);
    g_assert_true(g_strv_contains((const char *const *)stock, domain));
    for (i = 0; stock[i] != NULL && strcmp(stock[i], GMEM_CARRIER_OPTION) != 0; i++)
        continue;
    g_assert_nonnull(stock[i]);
    g_assert_nonnull(stock[i + 1]);
    argument = g_markup_printf_escaped("<qemu:arg value='%s'/>", stock[i + 1]);
    /* libvirt's way of writing a quotation mark in an attribute differs from GLib's. */
    if (strstr(lowered, argument) == NULL) {
        g_auto(GStrv) parts = g_strsplit(argument, "&quot;", -1);

        g_free(argument);
        argument = g_strjoinv("\"", parts);
    }
    if (strstr(lowered, argument) == NULL)
        g_error("%s.stock.args has another pair than this, record it again:\n%s", name, lowered);
}

/* Every cell is in the table once, or forbidden. */
static void
testTable(void)
{
    size_t row, mode, shape, i;

    for (row = 0; row < ROW_LAST; row++) {
        for (mode = GMEM_MODE_CONVERTIBLE; mode < GMEM_MODE_LAST; mode++) {
            for (shape = 0; shape < SHAPE_LAST; shape++) {
                size_t found = 0;

                for (i = 0; i < G_N_ELEMENTS(cells); i++) {
                    if (cells[i].row == (Row)row && cells[i].mode == (gmemMode)mode &&
                        cells[i].shape == (Shape)shape)
                        found++;
                }
                g_assert_cmpuint(found, ==, forbidden((gmemMode)mode, (Shape)shape) ? 0 : 1);
            }
        }
    }
}

/* Each cell has its three files, and there is no other file but the directory's description. */
static void
testFiles(void)
{
    static const char *const suffixes[] = {".xml", ".stock.args", ".args"};
    g_autoptr(GHashTable) wanted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GDir) dir = g_dir_open(GOLDEN_DATA, 0, NULL);
    const char *file;
    size_t i, j;

    g_assert_nonnull(dir);
    g_hash_table_add(wanted, g_strdup("README.rst"));
    for (i = 0; i < G_N_ELEMENTS(cells); i++) {
        g_autofree char *name = cellName(&cells[i]);

        for (j = 0; j < G_N_ELEMENTS(suffixes); j++)
            g_hash_table_add(wanted, g_strconcat(name, suffixes[j], NULL));
    }
    while ((file = g_dir_read_name(dir)) != NULL) {
        if (!g_hash_table_remove(wanted, file))
            g_error("%s/%s belongs to no cell", GOLDEN_DATA, file);
    }
    g_assert_cmpuint(g_hash_table_size(wanted), ==, 0);
}

/* @text without the domain's name, which would tell any two files apart. */
static char *
anonymous(const char *text, const char *name)
{
    g_auto(GStrv) parts = g_strsplit(text, name, -1);
    g_autofree char *without = g_strjoinv("NAME", parts);
    g_autoptr(GRegex) uuid = g_regex_new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|domain-1-[^/]*|"
                                         "/1-[^\"]*",
                                         0, 0, NULL);

    return g_regex_replace_literal(uuid, without, -1, 0, "X", 0, NULL);
}

static void
testNoDoubles(void)
{
    static const char *const suffixes[] = {".xml", ".stock.args", ".args"};
    size_t i, j;

    for (j = 0; j < G_N_ELEMENTS(suffixes); j++) {
        g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

        for (i = 0; i < G_N_ELEMENTS(cells); i++) {
            char *name = cellName(&cells[i]);
            g_autofree char *text = readData(name, suffixes[j]);
            char *key = anonymous(text, name);

            if (g_hash_table_contains(seen, key))
                g_error("%s%s is %s%s again", name, suffixes[j],
                        (const char *)g_hash_table_lookup(seen, key), suffixes[j]);
            g_hash_table_insert(seen, key, name);
        }
        g_assert_cmpuint(g_hash_table_size(seen), ==, G_N_ELEMENTS(cells));
    }
}

/* The forbidden cells are refused where they can be first: by lowering. */
static void
testForbidden(void)
{
    g_autofree char *xml = readData("shim-convertible-hugepages", ".xml");
    g_auto(GStrv) parts = g_strsplit(xml, "<launchSecurity type='sw-protected'/>", -1);
    g_autofree char *without = g_strjoinv("", parts);
    g_auto(GStrv) others = g_strsplit(without, "<memoryBacking>", -1);
    g_autofree char *wish = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(g_strv_length(parts), ==, 2);
    g_assert_cmpuint(g_strv_length(others), ==, 2);
    wish = strstr(without, "<private/>") != NULL ? g_strdup(without)
                                                 : g_strjoinv("<memoryBacking><private/>", others);
    g_assert_null(gmemLower(wish, false, NULL, &error));
    g_assert_error(error, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
}

int
main(int argc, char **argv)
{
    size_t i;

    g_setenv("LC_ALL", "C", TRUE);
    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < G_N_ELEMENTS(cells); i++) {
        g_autofree char *name = cellName(&cells[i]);
        g_autofree char *cell = g_strconcat("/xml2argv/", name, NULL);
        g_autofree char *carrier = g_strconcat("/xml2argv/recorded/", name, NULL);

        g_test_add_data_func(cell, &cells[i], testCell);
        g_test_add_data_func(carrier, &cells[i], testCarrier);
    }
    g_test_add_func("/xml2argv/table/complete", testTable);
    g_test_add_func("/xml2argv/table/files", testFiles);
    g_test_add_func("/xml2argv/table/no-doubles", testNoDoubles);
    g_test_add_func("/xml2argv/table/forbidden", testForbidden);
    return g_test_run();
}
