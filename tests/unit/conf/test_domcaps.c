/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_domcaps.c: domain capabilities, stock and raised.
 *
 * tests/domaincapsdata/libvirt-*.xml are answers of stock libvirt, recorded with the QEMU of the
 * same Debian release (9.0 with QEMU 7.2, 11.3 with 10.0, 12.8 with 11.1) on a host with KVM,
 * shortened: only a few CPU models and features are left, and not all devices. One was not
 * recorded: *-sev.xml is its neighbour with what libvirt's documentation says about a host with AMD
 * SEV. Each of the other files there is what the answer for one row of the table below must become;
 * with GMEM_TEST_REGENERATE_OUTPUT=1 in the environment they are written again. */

#include "config.h"

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <string.h>

#include "gmemdomcaps.h"
#include "gmemvalidate.h"

#define CONVERTIBLE (1u << GMEM_MODE_CONVERTIBLE)
#define FULLY_SHARED (1u << GMEM_MODE_FULLY_SHARED)
#define BOTH (CONVERTIBLE | FULLY_SHARED)

typedef enum {
    HOST_OLD,       /* KVM without guest_memfd */
    HOST_PROTECTED, /* CONFIG_KVM_SW_PROTECTED_VM, guest_memfd that cannot be mapped */
    HOST_STOCK,     /* what distributions build: guest_memfd that can be mapped */
    HOST_BOTH,      /* the same with CONFIG_KVM_SW_PROTECTED_VM */
    HOST_LAST
} Host;

static const char *const hostNames[] = {
    [HOST_OLD] = "linux-6.1",
    [HOST_PROTECTED] = "linux-6.12-protected",
    [HOST_STOCK] = "linux-6.18",
    [HOST_BOTH] = "linux-7.2-protected",
};
G_STATIC_ASSERT(G_N_ELEMENTS(hostNames) == HOST_LAST);

static const gmemKVM hosts[] = {
    [HOST_OLD] = {.available = true, .kernel = (char *)"6.1"},
    [HOST_PROTECTED] = {.available = true,
                        .vmTypes = 3,
                        .attributes = 8,
                        .userMemory2 = true,
                        .convertibleGuestMemfd = true,
                        .kernel = (char *)"6.12"},
    [HOST_STOCK] = {.available = true,
                    .vmTypes = 1,
                    .userMemory2 = true,
                    .guestMemfd = true,
                    .gmemFlags = 3,
                    .kernel = (char *)"6.18"},
    [HOST_BOTH] = {.available = true,
                   .vmTypes = 3,
                   .attributes = 8,
                   .userMemory2 = true,
                   .guestMemfd = true,
                   .convertibleGuestMemfd = true,
                   .gmemFlags = 3,
                   .kernel = (char *)"7.2"},
};

typedef enum {
    QEMU_NO_MEMFD, /* built without it */
    QEMU_STOCK,    /* nothing but memory-backend-memfd */
    QEMU_PROTECTED,
    QEMU_GUEST_MEMFD,
    QEMU_X_GUEST_MEMFD,
    QEMU_LAST
} Emulator;

static const char *const emulatorNames[] = {
    [QEMU_NO_MEMFD] = "no-memfd",           [QEMU_STOCK] = "memfd",
    [QEMU_PROTECTED] = "sw-protected-vm",   [QEMU_GUEST_MEMFD] = "guest-memfd",
    [QEMU_X_GUEST_MEMFD] = "x-guest-memfd",
};
G_STATIC_ASSERT(G_N_ELEMENTS(emulatorNames) == QEMU_LAST);

static const guint64 emulatorFlags[] = {
    [QEMU_NO_MEMFD] = 0,
    [QEMU_STOCK] = 1 << GMEM_QEMU_CAPS_MEMFD,
    [QEMU_PROTECTED] = 1 << GMEM_QEMU_CAPS_MEMFD | 1 << GMEM_QEMU_CAPS_SW_PROTECTED_VM |
                       1 << GMEM_QEMU_CAPS_BACKEND_PRIVATE,
    [QEMU_GUEST_MEMFD] = 1 << GMEM_QEMU_CAPS_MEMFD | 1 << GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD,
    [QEMU_X_GUEST_MEMFD] = 1 << GMEM_QEMU_CAPS_MEMFD | 1 << GMEM_QEMU_CAPS_MEMFD_X_GUEST_MEMFD,
};
G_STATIC_ASSERT(G_N_ELEMENTS(emulatorFlags) == QEMU_LAST);

typedef enum {
    VIRT_KVM,
    VIRT_QEMU,
    VIRT_LAST
} Virt;

static const char *const virtNames[] = {[VIRT_KVM] = "kvm", [VIRT_QEMU] = "qemu"};
G_STATIC_ASSERT(G_N_ELEMENTS(virtNames) == VIRT_LAST);

static const char *const libvirts[] = {"9.0", "11.3", "12.8"};

typedef struct {
    Host host;
    Emulator emulator;
    Virt virt;
    const char *stock;  /* file is libvirt-STOCK.xml */
    unsigned int modes; /* what host and emulator support, whatever the virt type */
} Row;

/* clang-format off */
static const Row rows[] = {
    {HOST_OLD,       QEMU_NO_MEMFD,      VIRT_KVM,  "9.0-kvm-pc",       0},
    {HOST_OLD,       QEMU_STOCK,         VIRT_KVM,  "9.0-kvm-q35",      0},
    {HOST_OLD,       QEMU_PROTECTED,     VIRT_KVM,  "11.3-kvm-pc",      0},
    {HOST_OLD,       QEMU_GUEST_MEMFD,   VIRT_KVM,  "12.8-kvm-pc",      0},
    {HOST_OLD,       QEMU_X_GUEST_MEMFD, VIRT_KVM,  "12.8-kvm-q35-sev", 0},
    {HOST_PROTECTED, QEMU_NO_MEMFD,      VIRT_KVM,  "9.0-kvm-pc",       CONVERTIBLE},
    {HOST_PROTECTED, QEMU_STOCK,         VIRT_KVM,  "9.0-kvm-q35",      CONVERTIBLE},
    {HOST_PROTECTED, QEMU_PROTECTED,     VIRT_KVM,  "11.3-kvm-q35",     CONVERTIBLE},
    {HOST_PROTECTED, QEMU_GUEST_MEMFD,   VIRT_KVM,  "12.8-kvm-q35",     CONVERTIBLE},
    {HOST_PROTECTED, QEMU_X_GUEST_MEMFD, VIRT_KVM,  "12.8-kvm-q35-sev", CONVERTIBLE},
    {HOST_STOCK,     QEMU_NO_MEMFD,      VIRT_KVM,  "11.3-kvm-q35",     0},
    {HOST_STOCK,     QEMU_STOCK,         VIRT_KVM,  "9.0-kvm-q35",      FULLY_SHARED},
    {HOST_STOCK,     QEMU_PROTECTED,     VIRT_KVM,  "11.3-kvm-pc",      FULLY_SHARED},
    {HOST_STOCK,     QEMU_GUEST_MEMFD,   VIRT_KVM,  "12.8-kvm-q35",     FULLY_SHARED},
    {HOST_STOCK,     QEMU_X_GUEST_MEMFD, VIRT_KVM,  "12.8-kvm-q35-sev", FULLY_SHARED},
    {HOST_BOTH,      QEMU_NO_MEMFD,      VIRT_KVM,  "11.3-kvm-pc",      CONVERTIBLE},
    {HOST_BOTH,      QEMU_STOCK,         VIRT_KVM,  "9.0-kvm-q35",      BOTH},
    {HOST_BOTH,      QEMU_PROTECTED,     VIRT_KVM,  "11.3-kvm-q35",     BOTH},
    {HOST_BOTH,      QEMU_GUEST_MEMFD,   VIRT_KVM,  "12.8-kvm-pc",      BOTH},
    {HOST_BOTH,      QEMU_X_GUEST_MEMFD, VIRT_KVM,  "12.8-kvm-q35-sev", BOTH},
    {HOST_OLD,       QEMU_NO_MEMFD,      VIRT_QEMU, "9.0-qemu-pc",      0},
    {HOST_OLD,       QEMU_STOCK,         VIRT_QEMU, "9.0-qemu-q35",     0},
    {HOST_OLD,       QEMU_PROTECTED,     VIRT_QEMU, "11.3-qemu-pc",     0},
    {HOST_OLD,       QEMU_GUEST_MEMFD,   VIRT_QEMU, "12.8-qemu-pc",     0},
    {HOST_OLD,       QEMU_X_GUEST_MEMFD, VIRT_QEMU, "12.8-qemu-q35",    0},
    {HOST_PROTECTED, QEMU_NO_MEMFD,      VIRT_QEMU, "9.0-qemu-pc",      CONVERTIBLE},
    {HOST_PROTECTED, QEMU_STOCK,         VIRT_QEMU, "9.0-qemu-q35",     CONVERTIBLE},
    {HOST_PROTECTED, QEMU_PROTECTED,     VIRT_QEMU, "11.3-qemu-q35",    CONVERTIBLE},
    {HOST_PROTECTED, QEMU_GUEST_MEMFD,   VIRT_QEMU, "12.8-qemu-q35",    CONVERTIBLE},
    {HOST_PROTECTED, QEMU_X_GUEST_MEMFD, VIRT_QEMU, "12.8-qemu-pc",     CONVERTIBLE},
    {HOST_STOCK,     QEMU_NO_MEMFD,      VIRT_QEMU, "11.3-qemu-q35",    0},
    {HOST_STOCK,     QEMU_STOCK,         VIRT_QEMU, "9.0-qemu-q35",     FULLY_SHARED},
    {HOST_STOCK,     QEMU_PROTECTED,     VIRT_QEMU, "11.3-qemu-q35",    FULLY_SHARED},
    {HOST_STOCK,     QEMU_GUEST_MEMFD,   VIRT_QEMU, "12.8-qemu-q35",    FULLY_SHARED},
    {HOST_STOCK,     QEMU_X_GUEST_MEMFD, VIRT_QEMU, "12.8-qemu-pc",     FULLY_SHARED},
    {HOST_BOTH,      QEMU_NO_MEMFD,      VIRT_QEMU, "11.3-qemu-pc",     CONVERTIBLE},
    {HOST_BOTH,      QEMU_STOCK,         VIRT_QEMU, "9.0-qemu-pc",      BOTH},
    {HOST_BOTH,      QEMU_PROTECTED,     VIRT_QEMU, "11.3-qemu-pc",     BOTH},
    {HOST_BOTH,      QEMU_GUEST_MEMFD,   VIRT_QEMU, "12.8-qemu-q35",    BOTH},
    {HOST_BOTH,      QEMU_X_GUEST_MEMFD, VIRT_QEMU, "12.8-qemu-pc",     BOTH},
};
/* clang-format on */
G_STATIC_ASSERT(G_N_ELEMENTS(rows) == (size_t)HOST_LAST * QEMU_LAST * VIRT_LAST);

/* Every line that may be added, whatever the stock answer. */
static const char *const newLines[] = {
    "    <enum name='private'>",
    "      <value>convertible</value>",
    "      <value>fully-shared</value>",
    "    </enum>",
    "    <enum name='private'/>",
    "    <launchSecurity supported='yes'>",
    "      <enum name='sectype'>",
    "        <value>sw-protected</value>",
    "      </enum>",
    "    </launchSecurity>",
};

#define NO_LAUNCH_SECURITY "    <launchSecurity supported='no'/>"

static char *
pathOf(const char *name)
{
    return g_strdup_printf("%s/%s.xml", GMEM_DOMCAPS_DATA, name);
}

static char *
readData(const char *name)
{
    g_autofree char *path = pathOf(name);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return text;
}

static char *
readStock(const char *stock)
{
    g_autofree char *name = g_strconcat("libvirt-", stock, NULL);

    return readData(name);
}

static char *
nameOf(const Row *row)
{
    return g_strdup_printf("%s.%s.%s", hostNames[row->host], emulatorNames[row->emulator],
                           virtNames[row->virt]);
}

static unsigned int offered;

static unsigned int
getOffered(const char *emulator G_GNUC_UNUSED)
{
    return offered;
}

static char *
raiseFor(const char *stock, unsigned int modes)
{
    offered = modes;
    return gmemDomCapsRaise(stock, getOffered);
}

static void
testGolden(gconstpointer data)
{
    const Row *row = data;
    g_autofree char *name = nameOf(row);
    g_autofree char *stock = readStock(row->stock);
    g_autofree char *raised = raiseFor(stock, row->modes);
    g_autofree char *wanted = NULL;

    if (g_strcmp0(g_getenv("GMEM_TEST_REGENERATE_OUTPUT"), "1") == 0) {
        g_autofree char *path = pathOf(name);
        g_autoptr(GError) error = NULL;

        g_file_set_contents(path, raised, -1, &error);
        g_assert_no_error(error);
    }
    wanted = readData(name);
    g_assert_cmpstr(raised, ==, wanted);
}

/* No cell is missing, no cell and no pair occurs twice, and no version of libvirt, mode or file is
 * left out. */
static void
testTable(void)
{
    g_autoptr(GHashTable) cells = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) pairs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) versions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GDir) dir = g_dir_open(GMEM_DOMCAPS_DATA, 0, NULL);
    const char *entry;
    unsigned int modes;
    size_t i;

    g_assert_nonnull(dir);
    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *name = nameOf(&rows[i]);
        g_autofree char *virt = g_strdup_printf("-%s-", virtNames[rows[i].virt]);
        size_t digits = strcspn(rows[i].stock, "-");

        g_assert_nonnull(strstr(rows[i].stock, virt));
        g_hash_table_add(files, g_strdup_printf("%s.xml", name));
        g_hash_table_add(files, g_strdup_printf("libvirt-%s.xml", rows[i].stock));
        g_hash_table_add(
            versions, g_strdup_printf("%.*s%s%u", (int)digits, rows[i].stock, virt, rows[i].modes));
        g_assert_true(
            g_hash_table_add(pairs, g_strdup_printf("%s %u", rows[i].stock, rows[i].modes)));
        g_assert_true(g_hash_table_add(cells, g_steal_pointer(&name)));
    }
    for (i = 0; i < G_N_ELEMENTS(libvirts); i++) {
        for (modes = 0; modes <= BOTH; modes += CONVERTIBLE) {
            g_autofree char *kvm = g_strdup_printf("%s-kvm-%u", libvirts[i], modes);
            g_autofree char *qemu = g_strdup_printf("%s-qemu-%u", libvirts[i], modes);

            g_assert_true(g_hash_table_contains(versions, kvm));
            g_assert_true(g_hash_table_contains(versions, qemu));
        }
    }
    while ((entry = g_dir_read_name(dir)) != NULL) {
        g_test_message("%s", entry);
        g_assert_true(g_hash_table_remove(files, entry));
    }
    g_assert_cmpuint(g_hash_table_size(files), ==, 0);
}

/* The modes in the table are those with which a domain would be allowed to start. */
static void
testModes(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        gmemQEMUCaps caps = {(char *)"/usr/bin/qemu-system-x86_64", 7002022,
                             emulatorFlags[rows[i].emulator]};
        unsigned int modes = 0;
        gmemMode mode;

        for (mode = GMEM_MODE_NONE + 1; mode < GMEM_MODE_LAST; mode++) {
            gmemPlan plan = {.mode = mode};

            if (gmemQEMUValidateHost(&plan, &hosts[rows[i].host], NULL) == 0 &&
                gmemQEMUValidateEmulator(&plan, &caps, NULL) == 0)
                modes |= 1u << mode;
        }
        g_test_message("%s %s", hostNames[rows[i].host], emulatorNames[rows[i].emulator]);
        g_assert_cmpuint(modes, ==, rows[i].modes);
    }
}

static bool
isLine(const char *text, size_t length, const char *line)
{
    return strlen(line) == length && memcmp(text, line, length) == 0;
}

static bool
isNew(const char *text, size_t length)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(newLines); i++) {
        if (isLine(text, length, newLines[i]))
            return true;
    }
    return false;
}

/* Removing the new lines from @raised gives @stock again: nothing else was changed. */
static void
assertOnlyAdds(const char *stock, const char *raised)
{
    while (*raised != '\0') {
        size_t length = (size_t)(strchrnul(raised, '\n') - raised);
        size_t stockLength = (size_t)(strchrnul(stock, '\n') - stock);
        size_t end = raised[length] == '\n' ? 1 : 0;

        if (length == stockLength && memcmp(stock, raised, length + 1) == 0) {
            stock += length + end;
        } else {
            g_test_message("%.*s", (int)length, raised);
            g_assert_true(isNew(raised, length));
            if (isLine(stock, stockLength, NO_LAUNCH_SECURITY) &&
                isLine(raised, length, "    <launchSecurity supported='yes'>"))
                stock += stockLength + 1;
        }
        raised += length + end;
    }
    g_assert_cmpstr(stock, ==, "");
}

/* The strings that @expression selects, each followed by '|'; read only by libxml2. */
static char *
selectStrings(const char *xml, const char *expression)
{
    xmlDoc *doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET);
    GString *result = g_string_new(NULL);
    xmlXPathContext *context;
    xmlXPathObject *object;
    int i;

    g_assert_nonnull(doc);
    context = xmlXPathNewContext(doc);
    object = xmlXPathEval((const xmlChar *)expression, context);
    g_assert_nonnull(object);
    for (i = 0; object->nodesetval != NULL && i < object->nodesetval->nodeNr; i++) {
        xmlChar *content = xmlNodeGetContent(object->nodesetval->nodeTab[i]);

        g_string_append_printf(result, "%s|", (char *)content);
        xmlFree(content);
    }
    xmlXPathFreeObject(object);
    xmlXPathFreeContext(context);
    xmlFreeDoc(doc);
    return g_string_free(result, FALSE);
}

static void
assertSelects(const char *xml, const char *expression, const char *wanted)
{
    g_autofree char *found = selectStrings(xml, expression);

    g_test_message("%s", expression);
    g_assert_cmpstr(found, ==, wanted);
}

#define PRIVATE_VALUES                                                                             \
    "/domainCapabilities/memoryBacking[@supported='yes']/enum[@name='private']/value"
#define SECTYPES                                                                                   \
    "/domainCapabilities/features/launchSecurity[@supported='yes']/enum[@name='sectype']/value"

static const char *
privateValues(unsigned int modes)
{
    static const char *const values[] = {
        [0] = "",
        [CONVERTIBLE] = "convertible|",
        [FULLY_SHARED] = "fully-shared|",
        [BOTH] = "convertible|fully-shared|",
    };

    return values[modes];
}

/* What must hold for any stock answer; @possible: whether such domains can have the modes at
 * all. */
static void
assertRaised(const char *stock, unsigned int modes, bool possible)
{
    unsigned int effective = possible ? modes : 0;
    g_autofree char *emulator = gmemDomCapsEmulator(stock);
    g_autofree char *raised = raiseFor(stock, modes);
    g_autofree char *again = raiseFor(raised, modes);
    g_autofree char *types = selectStrings(stock, SECTYPES);
    g_autofree char *wanted =
        g_strconcat(types, effective & CONVERTIBLE ? "sw-protected|" : "", NULL);

    g_assert_cmpstr(emulator, ==, "/usr/bin/qemu-system-x86_64");
    assertOnlyAdds(stock, raised);
    assertSelects(raised, PRIVATE_VALUES, privateValues(effective));
    assertSelects(raised, SECTYPES, wanted);
    assertSelects(raised, "/domainCapabilities/*/enum[@name='private']/@name", "private|");
    g_assert_cmpstr(again, ==, raised);
}

static void
testProperties(void)
{
    size_t i;
    unsigned int modes;

    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *stock = readStock(rows[i].stock);

        g_test_message("%s", rows[i].stock);
        for (modes = 0; modes <= BOTH; modes += CONVERTIBLE)
            assertRaised(stock, modes, rows[i].virt == VIRT_KVM);
    }
}

static char *
replace(const char *text, const char *old, const char *new)
{
    g_auto(GStrv) parts = g_strsplit(text, old, -1);

    g_assert_cmpuint(g_strv_length(parts), ==, 2);
    return g_strjoinv(new, parts);
}

static void
testOtherMachines(void)
{
    static const char machine[] = "<machine>pc-q35-11.1</machine>";
    static const char *const others[][2] = {
        {machine, "<machine>isapc</machine>"},
        {machine, "<machine>microvm</machine>"},
        {machine, "<machine>none</machine>"},
        {"<arch>x86_64</arch>", "<arch>i686</arch>"},
        {"<arch>x86_64</arch>", "<arch>aarch64</arch>"},
        {"<domain>kvm</domain>", "<domain>hvf</domain>"},
        {"  <domain>kvm</domain>\n", ""},
        {"  <arch>x86_64</arch>\n", ""},
    };
    g_autofree char *stock = readStock("12.8-kvm-q35");
    g_autofree char *pc = replace(stock, machine, "<machine>pc-i440fx-2.9</machine>");
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *other = replace(stock, others[i][0], others[i][1]);

        g_test_message("%s", others[i][1]);
        assertRaised(other, BOTH, false);
    }
    assertRaised(pc, BOTH, true);
}

/* @text is a part of a stock answer that contains @old once, which becomes @new; raised with
 * @modes, it must be the same with @raised there. */
static void
assertPart(const char *old, const char *new, const char *raised, unsigned int modes)
{
    g_autofree char *stock = readStock("12.8-kvm-q35");
    g_autofree char *plain = replace(stock, old, new);
    g_autofree char *wanted = replace(stock, old, raised);
    g_autofree char *result = raiseFor(plain, modes);
    g_autofree char *again = raiseFor(result, modes);

    g_assert_cmpstr(result, ==, wanted);
    g_assert_cmpstr(again, ==, wanted);
}

#define MEMORY_BACKING                                                                             \
    "  <memoryBacking supported='yes'>\n"                                                          \
    "    <enum name='sourceType'>\n"                                                               \
    "      <value>file</value>\n"                                                                  \
    "      <value>anonymous</value>\n"                                                             \
    "      <value>memfd</value>\n"                                                                 \
    "    </enum>\n"                                                                                \
    "  </memoryBacking>\n"
#define ENUM_OF_ONE                                                                                \
    "    <enum name='private'>\n"                                                                  \
    "      <value>fully-shared</value>\n"                                                          \
    "    </enum>\n"
#define BACKING_OF_ONE "  <memoryBacking supported='yes'>\n" ENUM_OF_ONE "  </memoryBacking>\n"

#define BACKING(supported) "  <memoryBacking supported='" supported "'/>\n"
#define BACKING_OF_NONE(supported)                                                                 \
    "  <memoryBacking supported='" supported "'>\n"                                                \
    "    <enum name='private'/>\n"                                                                 \
    "  </memoryBacking>\n"
/* The answer of a libvirt that knows the enum itself. */
#define BACKING_OF_OTHER(more)                                                                     \
    "  <memoryBacking supported='yes'>\n"                                                          \
    "    <enum name='private'>\n"                                                                  \
    "      <value>other</value>\n" more "    </enum>\n"                                            \
    "    <enum name='sourceType'/>\n"                                                              \
    "  </memoryBacking>\n"

static void
testMemoryBacking(void)
{
    static const struct {
        const char *stock;
        const char *raised;
        unsigned int modes;
    } cases[] = {
        {"", BACKING_OF_ONE, FULLY_SHARED},
        {BACKING("no"), BACKING_OF_ONE, FULLY_SHARED},
        {BACKING("yes"), BACKING_OF_ONE, FULLY_SHARED},
        {BACKING_OF_NONE("no"), BACKING_OF_ONE, FULLY_SHARED},
        /* If there is nothing to offer, nothing that is missing is created. */
        {"", "", 0},
        {BACKING("no"), BACKING("no"), 0},
        {BACKING("yes"), BACKING_OF_NONE("yes"), 0},
        /* Values that are neither yes nor no are not ours to interpret. */
        {BACKING("perhaps"), BACKING("perhaps"), FULLY_SHARED},
        {"  <memoryBacking/>\n", "  <memoryBacking/>\n", FULLY_SHARED},
        {BACKING_OF_OTHER(""), BACKING_OF_OTHER("      <value>fully-shared</value>\n"),
         FULLY_SHARED},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s", cases[i].stock);
        assertPart(MEMORY_BACKING, cases[i].stock, cases[i].raised, cases[i].modes);
    }
}

/* Like assertPart(), but for convertible, for which <memoryBacking> also gets a mode. */
static void
assertSecurity(const char *new, const char *raised)
{
    g_autofree char *stock = readStock("12.8-kvm-q35");
    g_autofree char *plain = replace(stock, NO_LAUNCH_SECURITY "\n", new);
    g_autofree char *security = replace(stock, NO_LAUNCH_SECURITY "\n", raised);
    g_autofree char *wanted = replace(security, "  </memoryBacking>\n",
                                      "    <enum name='private'>\n"
                                      "      <value>convertible</value>\n"
                                      "    </enum>\n"
                                      "  </memoryBacking>\n");
    g_autofree char *result = raiseFor(plain, CONVERTIBLE);

    g_assert_cmpstr(result, ==, wanted);
}

#define SECURITY(supported, enums)                                                                 \
    "    <launchSecurity supported='" supported "'>\n" enums "    </launchSecurity>\n"
#define SECTYPE(values) "      <enum name='sectype'>\n" values "      </enum>\n"
#define LAUNCH_SECURITY(values) SECURITY("yes", SECTYPE(values))
#define SW_PROTECTED "        <value>sw-protected</value>\n"

#define OTHERS "        <value>sev</value>\n        <value>tdx</value>\n"

static void
testLaunchSecurity(void)
{
    static const char *const cases[][2] = {
        {"", LAUNCH_SECURITY(SW_PROTECTED)},
        {"    <launchSecurity supported='no'/>\n", LAUNCH_SECURITY(SW_PROTECTED)},
        {"    <launchSecurity supported='yes'/>\n", LAUNCH_SECURITY(SW_PROTECTED)},
        {SECURITY("no", "      <enum name='sectype'/>\n"), LAUNCH_SECURITY(SW_PROTECTED)},
        {SECURITY("yes", "      <enum name='other'/>\n"),
         SECURITY("yes", "      <enum name='other'/>\n" SECTYPE(SW_PROTECTED))},
        {LAUNCH_SECURITY(OTHERS), LAUNCH_SECURITY(OTHERS SW_PROTECTED)},
        {LAUNCH_SECURITY(SW_PROTECTED "        <value>tdx</value>\n"),
         LAUNCH_SECURITY(SW_PROTECTED "        <value>tdx</value>\n")},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s", cases[i][0]);
        assertSecurity(cases[i][0], cases[i][1]);
    }
    /* Fully shared memory is not launch security. */
    assertPart("  </memoryBacking>\n", "  </memoryBacking>\n", ENUM_OF_ONE "  </memoryBacking>\n",
               FULLY_SHARED);
}

static void
assertUnchanged(const char *xml)
{
    g_autofree char *raised = raiseFor(xml, BOTH);
    g_autofree char *emulator = gmemDomCapsEmulator(xml);

    g_assert_cmpstr(raised, ==, xml);
    g_assert_null(emulator);
}

static void
testPassedThrough(void)
{
    g_autofree char *stock = readStock("9.0-kvm-pc");
    g_autofree char *other = g_strdup(stock);
    size_t length = strlen(stock) - strlen("\n");
    size_t i;

    assertUnchanged("");
    assertUnchanged("no XML at all");
    assertUnchanged("<domain type='kvm'><memoryBacking supported='yes'/></domain>");
    assertUnchanged("<domainCapabilities/>");
    assertUnchanged("<x:domainCapabilities xmlns:x='urn:x'/>");
    /* The change would be in an entity, where there is no text to change. */
    assertUnchanged("<!DOCTYPE domainCapabilities [<!ENTITY e \"<memoryBacking supported='yes'>"
                    "</memoryBacking>\">]><domainCapabilities><domain>kvm</domain>"
                    "<arch>x86_64</arch>&e;</domainCapabilities>");
    for (i = 0; i < length; i++) {
        other[i] = '\0';
        assertUnchanged(other);
        other[i] = stock[i];
    }
}

/* The same answer in another style of XML comes from another program, but is raised correctly,
 * too. */
static void
testOtherStyle(void)
{
    const char *stock =
        "<domainCapabilities><path>/q</path><domain>kvm</domain><machine>q35</machine>"
        "<arch>x86_64</arch><cpu/><memoryBacking supported=\"yes\"></memoryBacking>"
        "<features></features></domainCapabilities>";
    g_autofree char *raised = raiseFor(stock, BOTH);

    assertSelects(raised, PRIVATE_VALUES, "convertible|fully-shared|");
    assertSelects(raised, SECTYPES, "sw-protected|");
}

/* Stock answers differ by libvirt, QEMU and host; the result must not depend on their length. */
static void
testLong(void)
{
    g_autofree char *stock = readStock("12.8-kvm-q35");
    GString *models = g_string_new("    <mode name='custom' supported='yes'>\n");
    g_autofree char *longStock = NULL;
    g_autofree char *text = NULL;
    unsigned int i;

    /* libxml2 counts lines with 16 bits. */
    for (i = 0; i < 100000; i++)
        g_string_append_printf(models, "      <model usable='no' vendor='x'>m%u</model>\n", i);
    text = g_string_free(models, FALSE);
    longStock = replace(stock, "    <mode name='custom' supported='yes'>\n", text);
    assertRaised(longStock, BOTH, true);
}

int
main(int argc, char **argv)
{
    size_t i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *name = nameOf(&rows[i]);
        g_autofree char *path = g_strconcat("/domcaps/golden/", name, NULL);

        g_test_add_data_func(path, &rows[i], testGolden);
    }
    g_test_add_func("/domcaps/table/complete", testTable);
    g_test_add_func("/domcaps/table/modes", testModes);
    g_test_add_func("/domcaps/properties", testProperties);
    g_test_add_func("/domcaps/other-machines", testOtherMachines);
    g_test_add_func("/domcaps/memory-backing", testMemoryBacking);
    g_test_add_func("/domcaps/launch-security", testLaunchSecurity);
    g_test_add_func("/domcaps/passed-through", testPassedThrough);
    g_test_add_func("/domcaps/other-style", testOtherStyle);
    g_test_add_func("/domcaps/long", testLong);
    return g_test_run();
}
