/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_xml2argv.c: golden command lines, one for each cell of {row of "What QEMU offers" ×
 * mode × shape of the memory backends} that is allowed. Of each there are, in
 * ../../qemuxml2argvdata:
 *
 *   NAME.xml         the domain as its user writes it
 *   NAME.stock.args  what real libvirt makes of it once lowered (by ../../record-argv.py)
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

#define FLAG(flag) (G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_##flag)

#define CONVERTIBLE (1U << GMEM_MODE_CONVERTIBLE)
#define FULLY_SHARED (1U << GMEM_MODE_FULLY_SHARED)
#define BOTH (CONVERTIBLE | FULLY_SHARED)

/* The first half of the table: what QEMU offers. The basic shapes are sufficient where a QEMU that
 * offers something for one mode leaves the other mode to the shim, and where two QEMUs only differ
 * in the name of a property. */
static const struct {
    const char *name;
    guint64 flags;
    unsigned int all;   /* modes with every shape */
    unsigned int basic; /* modes with the basic shapes */
} rows[] = {
    {"object", FLAG(MEMFD) | FLAG(SW_PROTECTED_VM) | FLAG(BACKEND_PRIVATE), CONVERTIBLE,
     FULLY_SHARED},
    {"object-bare", FLAG(MEMFD) | FLAG(SW_PROTECTED_VM), 0, CONVERTIBLE},
    {"property", FLAG(MEMFD) | FLAG(MEMFD_GUEST_MEMFD), FULLY_SHARED, CONVERTIBLE},
    {"x-property", FLAG(MEMFD) | FLAG(MEMFD_X_GUEST_MEMFD), 0, FULLY_SHARED},
    {"shim", FLAG(MEMFD), BOTH, 0},
};

/* The second half: the domain's memory, and in which modes it is allowed. */
static const struct {
    const char *name;
    unsigned int modes;
    bool basic;
} shapes[] = {
    {"plain", BOTH, true}, /* no NUMA: the only backend is the one of -machine memory-backend */
    {"cells", BOTH, true},
    {"host-nodes", BOTH, true},
    {"hugepages", CONVERTIBLE, true}, /* guest_memfd has none */
    {"dimm", BOTH, true},
    {"nvdimm", BOTH, true},
    {"eight-cells", BOTH, false},
    {"above-4g", BOTH, false}, /* 3.5 GiB: a part of it is above the hole */
    {"cpuless", BOTH, false},
    {"preferred", BOTH, false},
    {"interleave", BOTH, false},
    {"restrictive", BOTH, false}, /* does not concern QEMU */
    {"memnode", BOTH, false},
    {"memfd", BOTH, false},
    {"file", CONVERTIBLE, false},
    {"anonymous", CONVERTIBLE, false},
    {"locked", FULLY_SHARED, false},
    {"immediate", BOTH, false},        /* with threads */
    {"huge-cell", CONVERTIBLE, false}, /* one cell of two */
    {"huge-memfd", CONVERTIBLE, false},
    {"huge-immediate", CONVERTIBLE, false},
    {"huge-dimm", CONVERTIBLE, false}, /* one dimm of two */
    {"dimms", BOTH, false},
    {"virtio-pmem", BOTH, false},
    {"user-dimm", BOTH, false},    /* by the user's own arguments */
    {"user-machine", BOTH, false}, /* a second -machine */
    {"shmem", BOTH, false},        /* libvirt's, and Looking Glass in QEMU's dialect of JSON */
    {"vhost-user", BOTH, false},
    {"pflash", BOTH, false},
    {"bios", BOTH, false},
    {"efi", BOTH, false},   /* libvirt chooses firmware, without SMM for convertible memory */
    {"mixed", BOTH, false}, /* bound cells, dimm, NVDIMM, allocated at once */
};

typedef struct {
    size_t row;
    gmemMode mode;
    size_t shape;
} Cell;

/* The content of the table: the product of both halves. */
static Cell cells[G_N_ELEMENTS(rows) * GMEM_MODE_LAST * G_N_ELEMENTS(shapes)];
static size_t ncells;

static void
fillTable(void)
{
    size_t row, mode, shape;

    for (row = 0; row < G_N_ELEMENTS(rows); row++) {
        for (mode = 0; mode < GMEM_MODE_LAST; mode++) {
            for (shape = 0; shape < G_N_ELEMENTS(shapes); shape++) {
                unsigned int modes = rows[row].all | (shapes[shape].basic ? rows[row].basic : 0);

                if ((modes & shapes[shape].modes & (1U << mode)) != 0)
                    cells[ncells++] = (Cell){row, (gmemMode)mode, shape};
            }
        }
    }
}

static char *
cellName(const Cell *cell)
{
    return g_strdup_printf("%s-%s-%s", rows[cell->row].name, gmemModeToString(cell->mode),
                           shapes[cell->shape].name);
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

/* As ../../record-argv.py writes them: one option per line, with its value. What the shim compares
 * the command line with is omitted: it says nothing new about it. */
static char *
formatArgs(char *const *argv)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_@%+=:,./-";
    g_autoptr(GString) text = g_string_new(NULL);
    size_t i;

    for (i = 0; argv[i] != NULL; i++) {
        const char *hashes = strstr(argv[i], ",argv=");
        g_autofree char *word =
            hashes != NULL ? g_strndup(argv[i], (gsize)(hashes - argv[i])) : g_strdup(argv[i]);

        if (i > 0)
            g_string_append(text, word[0] == '-' ? " \\\n" : " ");
        if (word[0] != '\0' && strspn(word, plain) == strlen(word)) {
            g_string_append(text, word);
        } else {
            g_autofree char *quoted = g_shell_quote(word);

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
    g_autoptr(gmemCommand) command = gmemCommandBuild(stock, &caps, false, &error);
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

/* The recording must belong to this XML, as it is lowered now. */
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
    /* libvirt and GLib write a quotation mark in an attribute differently. */
    if (strstr(lowered, argument) == NULL) {
        g_auto(GStrv) parts = g_strsplit(argument, "&quot;", -1);

        g_free(argument);
        argument = g_strjoinv("\"", parts);
    }
    if (strstr(lowered, argument) == NULL)
        g_error("%s.stock.args has another pair than this, record it again:\n%s", name, lowered);
}

/* There are no gaps: every row exists in its modes, every shape in every mode that allows it; and
 * no name occurs twice. */
static void
testTable(void)
{
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    unsigned int seen[G_N_ELEMENTS(shapes)] = {0};
    size_t i;

    for (i = 0; i < ncells; i++) {
        g_assert_true(g_hash_table_add(names, cellName(&cells[i])));
        seen[cells[i].shape] |= 1U << cells[i].mode;
    }
    for (i = 0; i < G_N_ELEMENTS(shapes); i++)
        g_assert_cmphex(seen[i], ==, shapes[i].modes);
    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        bool object = (rows[i].flags & FLAG(SW_PROTECTED_VM)) != 0;
        bool property =
            (rows[i].flags & (FLAG(MEMFD_GUEST_MEMFD) | FLAG(MEMFD_X_GUEST_MEMFD))) != 0;
        unsigned int wanted = object ? CONVERTIBLE : property ? FULLY_SHARED : BOTH;

        g_assert_cmphex((rows[i].all | rows[i].basic) & wanted, ==, wanted);
    }
    g_assert_cmpuint(ncells, >=, 100);
}

/* Each cell has its three files, and there is no other file except the directory's description. */
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
    for (i = 0; i < ncells; i++) {
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

/* @text without the domain's name, which would differ between any two files. */
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

        for (i = 0; i < ncells; i++) {
            char *name = cellName(&cells[i]);
            g_autofree char *text = readData(name, suffixes[j]);
            char *key = anonymous(text, name);

            if (g_hash_table_contains(seen, key))
                g_error("%s%s is %s%s again", name, suffixes[j],
                        (const char *)g_hash_table_lookup(seen, key), suffixes[j]);
            g_hash_table_insert(seen, key, name);
        }
        g_assert_cmpuint(g_hash_table_size(seen), ==, ncells);
    }
}

/* @text with @before removed or replaced; it must occur. */
static char *
replaced(const char *text, const char *before, const char *after)
{
    g_auto(GStrv) parts = g_strsplit(text, before, -1);

    g_assert_cmpuint(g_strv_length(parts), ==, 2);
    return g_strjoinv(after, parts);
}

/* @xml, which has <memoryBacking>, in the other mode. */
static char *
otherMode(const char *xml, gmemMode mode)
{
    g_autofree char *without = NULL;

    if (mode == GMEM_MODE_FULLY_SHARED)
        return replaced(xml, "</devices>", "</devices><launchSecurity type='sw-protected'/>");
    without = replaced(xml, "<launchSecurity type='sw-protected'/>", "");
    if (strstr(without, "<private/>") != NULL)
        return g_steal_pointer(&without);
    return replaced(without, "<memoryBacking>", "<memoryBacking><private/>");
}

/* A shape that is allowed in one mode only is refused in the other one as early as possible, by
 * lowering. */
static void
testForbidden(void)
{
    size_t i, refused = 0;

    for (i = 0; i < ncells; i++) {
        const Cell *cell = &cells[i];
        g_autofree char *name = cellName(cell);
        g_autofree char *xml = NULL;
        g_autofree char *wish = NULL;
        g_autoptr(GError) error = NULL;

        if (strcmp(rows[cell->row].name, "shim") != 0 || shapes[cell->shape].modes == BOTH)
            continue;
        xml = readData(name, ".xml");
        if (strstr(xml, "<memoryBacking>") == NULL) {
            char *with = replaced(xml, "<vcpu>", "<memoryBacking></memoryBacking><vcpu>");

            g_free(xml);
            xml = with;
        }
        wish = otherMode(xml, cell->mode);
        g_assert_null(gmemLower(wish, false, NULL, &error));
        g_assert_error(error, GMEM_ERROR, VIR_ERR_CONFIG_UNSUPPORTED);
        refused++;
    }
    g_assert_cmpuint(refused, ==, 8);
}

int
main(int argc, char **argv)
{
    size_t i;

    g_setenv("LC_ALL", "C", TRUE);
    g_test_init(&argc, &argv, NULL);
    fillTable();
    for (i = 0; i < ncells; i++) {
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
