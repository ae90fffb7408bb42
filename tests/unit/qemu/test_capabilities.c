/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_capabilities.c: flags found in QMP schemas; and answers that are not schemas are refused. */

#include "config.h"

#include <glib.h>
#include <limits.h>
#include <string.h>

#include "gmemcapabilities.h"
#include "gmemerror.h"
#include "test_recorded.h"

#define GREETING                                                                                   \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "             \
    "\"package\": \"\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define DONE "{\"return\": {}}\r\n"
#define EVENT "{\"timestamp\": {\"seconds\": 1}, \"event\": \"SHUTDOWN\", \"data\": {}}\r\n"

/* As QEMU writes them: types have numbers, except for the built-in ones. */
#define MEMBER(name, type) "{\"name\": \"" name "\", \"default\": null, \"type\": \"" type "\"}"
#define TYPE(name, members)                                                                        \
    ", {\"name\": \"" name "\", \"members\": [" MEMBER("size", "int") members                      \
        "], \"meta-type\": \"object\"}"
#define CASE(name, type) ", {\"case\": \"" name "\", \"type\": \"" type "\"}"
#define SCHEMA(cases, types)                                                                       \
    "{\"return\": [{\"name\": \"query-status\", \"ret-type\": \"1\", \"meta-type\": "              \
    "\"command\"}, "                                                                               \
    "{\"name\": \"object-add\", \"arg-type\": \"183\", \"meta-type\": \"command\"}, "              \
    "{\"name\": \"183\", \"tag\": \"qom-type\", \"meta-type\": \"object\", \"variants\": ["        \
    "{\"case\": \"can-bus\", \"type\": \"0\"}" cases "], \"members\": []}"                         \
    ", {\"name\": \"0\", \"members\": [], \"meta-type\": \"object\"}" types "]}\r\n"

#define CASES                                                                                      \
    CASE("memory-backend-file", "3")                                                               \
    CASE("memory-backend-ram", "2") CASE("memory-backend-memfd", "1")

#define ENUM(values) ", {\"name\": \"4\", \"meta-type\": \"enum\", \"values\": [\"" values "\"]}"
#define ON_OFF_AUTO ENUM("auto\", \"on\", \"off")
#define ALTERNATE                                                                                  \
    ON_OFF_AUTO ", {\"name\": \"5\", \"meta-type\": \"alternate\", \"members\": ["                 \
                "{\"type\": \"bool\"}, {\"type\": \"4\"}]}"
#define ALTERNATE_ENUM                                                                             \
    ON_OFF_AUTO ", {\"name\": \"5\", \"meta-type\": \"alternate\", \"members\": ["                 \
                "{\"type\": \"str\"}, {\"type\": \"4\"}]}"

typedef struct {
    const char *name;
    const char *schema;
    guint64 flags;
} Case;

#define FLAG(flag) (G_GUINT64_CONSTANT(1) << GMEM_QEMU_CAPS_##flag)

static const Case cases[] = {
    {"distribution", SCHEMA(CASES, TYPE("1", "") TYPE("2", "") TYPE("3", "")), FLAG(MEMFD)},
    {"rfc",
     SCHEMA(CASES CASE("sw-protected-vm", "0"),
            TYPE("1", ", " MEMBER("private", "bool")) TYPE("2", ", " MEMBER("private", "bool"))
                TYPE("3", ", " MEMBER("private", "bool"))),
     FLAG(MEMFD) | FLAG(SW_PROTECTED_VM) | FLAG(BACKEND_PRIVATE)},
    {"rfc-without-property",
     SCHEMA(CASES CASE("sw-protected-vm", "0"), TYPE("1", "") TYPE("2", "") TYPE("3", "")),
     FLAG(MEMFD) | FLAG(SW_PROTECTED_VM)},
    {"private-on-some-only",
     SCHEMA(CASES CASE("sw-protected-vm", "0"),
            TYPE("1", "") TYPE("2", ", " MEMBER("private", "bool")) TYPE("3", "")),
     FLAG(MEMFD)},
    {"private-of-another-type",
     SCHEMA(CASES CASE("sw-protected-vm", "0"),
            TYPE("1", ", " MEMBER("private", "str")) TYPE("2", ", " MEMBER("private", "str"))
                TYPE("3", ", " MEMBER("private", "str"))),
     FLAG(MEMFD) | FLAG(SW_PROTECTED_VM)},
    {"property-without-object",
     SCHEMA(CASES,
            TYPE("1", ", " MEMBER("private", "bool")) TYPE("2", ", " MEMBER("private", "bool"))
                TYPE("3", ", " MEMBER("private", "bool"))),
     FLAG(MEMFD)},
    {"guest-memfd",
     SCHEMA(CASES, TYPE("1", ", " MEMBER("guest-memfd", "bool")) TYPE("2", "") TYPE("3", "")),
     FLAG(MEMFD) | FLAG(MEMFD_GUEST_MEMFD)},
    {"guest-memfd-on-off-auto",
     SCHEMA(CASES,
            TYPE("1", ", " MEMBER("guest-memfd", "4")) TYPE("2", "") TYPE("3", "") ON_OFF_AUTO),
     FLAG(MEMFD) | FLAG(MEMFD_GUEST_MEMFD) | FLAG(MEMFD_GUEST_MEMFD_ENUM)},
    {"guest-memfd-alternate",
     SCHEMA(CASES,
            TYPE("1", ", " MEMBER("guest-memfd", "5")) TYPE("2", "") TYPE("3", "") ALTERNATE),
     FLAG(MEMFD) | FLAG(MEMFD_GUEST_MEMFD)},
    {"guest-memfd-alternate-enum",
     SCHEMA(CASES,
            TYPE("1", ", " MEMBER("guest-memfd", "5")) TYPE("2", "") TYPE("3", "") ALTERNATE_ENUM),
     FLAG(MEMFD) | FLAG(MEMFD_GUEST_MEMFD) | FLAG(MEMFD_GUEST_MEMFD_ENUM)},
    {"guest-memfd-other-enum",
     SCHEMA(CASES,
            TYPE("1", ", " MEMBER("guest-memfd", "4")) TYPE("2", "") TYPE("3", "") ENUM("x")),
     FLAG(MEMFD)},
    {"x-guest-memfd",
     SCHEMA(CASES, TYPE("1", ", " MEMBER("x-guest-memfd", "bool")) TYPE("2", "") TYPE("3", "")),
     FLAG(MEMFD) | FLAG(MEMFD_X_GUEST_MEMFD)},
    {"guest-memfd-elsewhere",
     SCHEMA(CASES, TYPE("1", "") TYPE("2", ", " MEMBER("guest-memfd", "bool")) TYPE("3", "")),
     FLAG(MEMFD)},
    {"no-memfd", SCHEMA(CASE("memory-backend-ram", "2"), TYPE("2", "")), 0},
    {"type-missing", SCHEMA(CASE("memory-backend-memfd", "99"), ""), 0},
};

/* Each part has three digits. */
static void
testVersions(void)
{
    static const struct {
        unsigned int major, minor, micro;
        unsigned int version; /* UINT_MAX: refused */
    } versions[] = {
        {9, 2, 1, 9002001},     {999, 999, 999, 999999999}, {0, 0, 0, 0},
        {1000, 0, 0, UINT_MAX}, {0, 1000, 0, UINT_MAX},     {0, 0, 1000, UINT_MAX},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(versions); i++) {
        g_autofree char *replies = g_strdup_printf(
            "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": %u, \"minor\": %u, \"major\": %u}}}}\n"
            "%s%s%s",
            versions[i].micro, versions[i].minor, versions[i].major, DONE,
            SCHEMA(CASES, TYPE("1", "") TYPE("2", "") TYPE("3", "")), DONE);
        g_autoptr(GError) error = NULL;
        g_autoptr(gmemQEMUCaps) caps = gmemQEMUCapsFromQMP("/q", replies, &error);

        if (versions[i].version == UINT_MAX) {
            g_assert_null(caps);
            g_assert_error(error, GMEM_ERROR, VIR_ERR_INTERNAL_ERROR);
            continue;
        }
        g_assert_no_error(error);
        g_assert_cmpuint(caps->version, ==, versions[i].version);
    }
}

static void
testFlags(gconstpointer data)
{
    const Case *test = data;
    g_autofree char *text = g_strconcat(GREETING, DONE, test->schema, EVENT, DONE, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemQEMUCaps) caps = gmemQEMUCapsFromQMP("/q", text, &error);
    g_autoptr(gmemQEMUCaps) copy = NULL;

    g_assert_no_error(error);
    g_assert_cmphex(caps->flags, ==, test->flags);
    g_assert_cmpuint(caps->version, ==, 7002022);
    g_assert_cmpstr(caps->emulator, ==, "/q");
    copy = gmemQEMUCapsCopy(caps);
    g_assert_cmphex(copy->flags, ==, caps->flags);
    g_assert_cmpstr(copy->emulator, ==, caps->emulator);
    g_assert_true(copy->emulator != caps->emulator);
}

/* No release of QEMU has guest_memfd of its own for all guest RAM. */
static void
testRecordedReply(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(testRecorded); i++) {
        g_autofree char *text = testRecordedReplies(testRecorded[i].name);
        g_autoptr(GError) error = NULL;
        g_autoptr(gmemQEMUCaps) caps = gmemQEMUCapsFromQMP("/q", text, &error);

        g_assert_no_error(error);
        g_assert_cmpuint(caps->version, ==, testRecorded[i].version);
        g_assert_cmphex(caps->flags, ==, FLAG(MEMFD));
    }
}

static void
testNames(void)
{
    size_t i, j;

    for (i = 0; i < GMEM_QEMU_CAPS_LAST; i++) {
        const char *name = gmemQEMUCapsFlagToString((gmemQEMUCapsFlag)i);

        g_assert_nonnull(name);
        for (j = 0; j < i; j++)
            g_assert_cmpstr(name, !=, gmemQEMUCapsFlagToString((gmemQEMUCapsFlag)j));
    }
    g_assert_null(gmemQEMUCapsFlagToString(GMEM_QEMU_CAPS_LAST));
}

/* QEMU 5.2 and older: any properties, nothing described. */
static void
testUntagged(void)
{
    g_autofree char *text = g_strconcat(
        GREETING, DONE,
        "{\"return\": [{\"name\": \"object-add\", \"arg-type\": \"1\", \"meta-type\": \"command\"},"
        "{\"name\": \"1\", \"members\": [], \"meta-type\": \"object\"}]}\n",
        DONE, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemQEMUCaps) caps = gmemQEMUCapsFromQMP("/q", text, &error);

    g_assert_no_error(error);
    g_assert_cmphex(caps->flags, ==, 0);
}

/* Its variants are not those of a property that says which type of object is made. */
static void
testOtherTag(void)
{
    g_autofree char *good = g_strconcat(GREETING, DONE, SCHEMA(CASES, TYPE("1", "")), DONE, NULL);
    g_auto(GStrv) parts = g_strsplit(good, "\"tag\": \"qom-type\"", 2);
    g_autofree char *text = g_strjoinv("\"tag\": \"id\"", parts);
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemQEMUCaps) caps = gmemQEMUCapsFromQMP("/q", text, &error);

    g_assert_no_error(error);
    g_assert_cmpint(g_strv_length(parts), ==, 2);
    g_assert_cmphex(caps->flags, ==, 0);
}

/* Each lookup uses an index; a search would take minutes. */
static void
testLarge(void)
{
    g_autoptr(GString) text = g_string_new(GREETING DONE "{\"return\": [");
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemQEMUCaps) caps = NULL;
    size_t i;

    for (i = 0; i < 40000; i++)
        g_string_append_printf(text, "{\"name\": \"t%zu\", \"meta-type\": \"enum\"},\n",
                               i * 7919 % 40000);
    /* One line contains one reply. */
    g_strdelimit(text->str + strlen(GREETING DONE), "\n", ' ');
    g_string_append(text,
                    "{\"name\": \"object-add\", \"arg-type\": \"a\", \"meta-type\": "
                    "\"command\"}, {\"name\": \"a\", \"tag\": \"qom-type\", \"meta-type\": "
                    "\"object\", \"variants\": [{\"case\": \"memory-backend-memfd\", "
                    "\"type\": \"m\"}]}, {\"name\": \"m\", \"meta-type\": \"object\", "
                    "\"members\": [{\"name\": \"guest-memfd\", \"type\": \"bool\"}]}]}\n" DONE);
    caps = gmemQEMUCapsFromQMP("/q", text->str, &error);
    g_assert_no_error(error);
    g_assert_cmphex(caps->flags, ==, FLAG(MEMFD) | FLAG(MEMFD_GUEST_MEMFD));
}

typedef struct {
    const char *name;
    const char *replies;
    const char *message;
} Refusal;

#define GOOD SCHEMA(CASES, TYPE("1", ""))

static const Refusal refusals[] = {
    {"nothing", "", "the emulator '/q' ended before it had answered all QMP commands"},
    {"no-quit", GREETING DONE GOOD,
     "the emulator '/q' ended before it had answered all QMP commands"},
    {"no-greeting", DONE GOOD DONE,
     "the emulator '/q' does not speak QMP: its reply is unexpected"},
    {"one-too-many", GREETING DONE GOOD DONE DONE,
     "the emulator '/q' does not speak QMP: its reply is unexpected"},
    {"two-greetings", GREETING GREETING DONE GOOD DONE,
     "the emulator '/q' does not speak QMP: its reply is unexpected"},
    {"no-object", GREETING "[]\n", "the emulator '/q' does not speak QMP: its reply is unexpected"},
    {"refused", GREETING "{\"error\": {\"class\": \"GenericError\", \"desc\": \"not today\"}}\n",
     "the emulator '/q' refused a QMP command: not today"},
    {"refused-without-words", GREETING "{\"error\": 1}\n",
     "the emulator '/q' refused a QMP command without giving a reason"},
    {"no-version", "{\"QMP\": {}}\n" DONE GOOD DONE,
     "the emulator '/q' does not report its version"},
    {"no-list", GREETING DONE DONE DONE,
     "the emulator '/q' did not answer query-qmp-schema with a list"},
    {"empty-list", GREETING DONE "{\"return\": []}\n" DONE,
     "the QMP schema of the emulator '/q' has no command object-add"},
    {"nameless", GREETING DONE "{\"return\": [{\"meta-type\": \"enum\"}]}\n" DONE,
     "the QMP schema of the emulator '/q' has an entry without a name"},
    {"no-argument",
     GREETING DONE "{\"return\": [{\"name\": \"object-add\", \"meta-type\": \"command\"}]}\n" DONE,
     "the QMP schema of the emulator '/q' does not describe the argument of object-add"},
    {"argument-is-no-object",
     GREETING DONE "{\"return\": [{\"name\": \"object-add\", \"meta-type\": \"command\", "
                   "\"arg-type\": \"object-add\"}]}\n" DONE,
     "the QMP schema of the emulator '/q' does not describe the argument of object-add"},
};

static void
testRefusal(gconstpointer data)
{
    const Refusal *test = data;
    g_autoptr(GError) error = NULL;

    g_assert_null(gmemQEMUCapsFromQMP("/q", test->replies, &error));
    g_assert_error(error, GMEM_ERROR, VIR_ERR_INTERNAL_ERROR);
    g_assert_cmpstr(error->message, ==, test->message);
}

static void
testMalformed(void)
{
    static const char *const texts[] = {"garbage", "{\"QMP\": ", "{\"a\": 1} {", GREETING "\x01"};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(gmemQEMUCapsFromQMP("/q", texts[i], &error));
        g_assert_error(error, GMEM_ERROR, VIR_ERR_INTERNAL_ERROR);
        g_assert_true(g_str_has_prefix(error->message,
                                       "the emulator '/q' does not speak QMP: malformed JSON: "));
        g_assert_null(strchr(error->message, '\n'));
    }
}

static void
assertSupplier(guint64 flags, gmemMode mode, gmemQEMUSupplier supplier, const char *name)
{
    const gmemQEMUCaps caps = {.flags = flags};

    g_assert_cmpint(gmemQEMUCapsGetSupplier(&caps, mode), ==, supplier);
    g_assert_cmpstr(gmemQEMUCapsSupplierToString(supplier), ==, name);
}

/* The table "What QEMU offers" in docs/design.rst. */
static void
testSupplier(void)
{
    const guint64 all = FLAG(LAST) - 1;

    assertSupplier(FLAG(SW_PROTECTED_VM), GMEM_MODE_CONVERTIBLE, GMEM_QEMU_SUPPLIER_OBJECT,
                   "sw-protected-vm");
    assertSupplier(all & ~FLAG(SW_PROTECTED_VM), GMEM_MODE_CONVERTIBLE, GMEM_QEMU_SUPPLIER_SHIM,
                   "shim");
    assertSupplier(all, GMEM_MODE_FULLY_SHARED, GMEM_QEMU_SUPPLIER_PROPERTY, "guest-memfd");
    assertSupplier(FLAG(MEMFD_X_GUEST_MEMFD), GMEM_MODE_FULLY_SHARED, GMEM_QEMU_SUPPLIER_X_PROPERTY,
                   "x-guest-memfd");
    assertSupplier(FLAG(MEMFD) | FLAG(SW_PROTECTED_VM), GMEM_MODE_FULLY_SHARED,
                   GMEM_QEMU_SUPPLIER_SHIM, "shim");
    assertSupplier(all, GMEM_MODE_NONE, GMEM_QEMU_SUPPLIER_SHIM, "shim");
}

/* Of a running guest: what QEMU's own property looks like on its command line. */
static void
testSupplied(void)
{
    static const struct {
        const char *value;
        bool supplied;
    } objects[] = {
        {"memory-backend-memfd,id=a,guest-memfd=on", true},
        {"{\"qom-type\":\"memory-backend-memfd\",\"guest-memfd\":\"on\"}", true},
        {"{\"qom-type\":\"memory-backend-memfd\",\"x-guest-memfd\":true}", true},
        {"memory-backend-memfd,id=a,guest-memfd=off,x-guest-memfd=off", false},
        {"memory-backend-memfd,id=a,private=on", false},
        {"sw-protected-vm,id=a", false},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(objects); i++) {
        const gmemArgvOption option = {.name = "object", .value = objects[i].value};
        g_auto(gmemProps) props = {0};

        g_assert_cmpint(gmemPropsInit(&props, &option, GMEM_PROPS_OPTS_OR_JSON, "qom-type", NULL),
                        ==, 0);
        g_assert_cmpint(gmemQEMUCapsIsSupplied(&props), ==, objects[i].supplied);
    }
}

int
main(int argc, char **argv)
{
    size_t i;

    g_setenv("LC_ALL", "C", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/capabilities/names", testNames);
    g_test_add_func("/capabilities/versions", testVersions);
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/capabilities/flags/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], testFlags);
    }
    for (i = 0; i < G_N_ELEMENTS(refusals); i++) {
        g_autofree char *path = g_strconcat("/capabilities/refused/", refusals[i].name, NULL);

        g_test_add_data_func(path, &refusals[i], testRefusal);
    }
    g_test_add_func("/capabilities/recorded", testRecordedReply);
    g_test_add_func("/capabilities/untagged", testUntagged);
    g_test_add_func("/capabilities/other-tag", testOtherTag);
    g_test_add_func("/capabilities/malformed", testMalformed);
    g_test_add_func("/capabilities/large-schema", testLarge);
    g_test_add_func("/capabilities/supplier", testSupplier);
    g_test_add_func("/capabilities/supplied", testSupplied);
    return g_test_run();
}
