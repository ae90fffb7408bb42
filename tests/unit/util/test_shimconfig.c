/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_shimconfig.c: the shim's configuration, read and written. */

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "gmemshimconfig.h"

#define REASON_MAX 512

/* What libvirt-gmem writes for it is what was read. */
static void
assertFormat(const gmemShimConfig *config, const char *value)
{
    char *text = gmemShimConfigFormat(config);

    g_assert_cmpstr(text, ==, value);
    free(text);
}

static void
testConfigGood(void)
{
    static const struct {
        const char *value;
        unsigned int backends;
        unsigned long long ram;
    } cases[] = {
        {"version=1,mode=fully-shared,backends=1,ram=4096", 1, 4096},
        {"version=1,mode=fully-shared,backends=2,ram=536870912", 2, 536870912},
        {"version=1,mode=fully-shared,backends=512,ram=18446744073709551615", 512,
         18446744073709551615ULL},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        gmemShimConfig config = {0};
        char reason[REASON_MAX] = "untouched";

        g_assert_true(gmemShimConfigParse(cases[i].value, &config, reason, sizeof(reason)));
        g_assert_cmpint(config.mode, ==, GMEM_MODE_FULLY_SHARED);
        g_assert_cmpuint(config.backends, ==, cases[i].backends);
        g_assert_cmpuint(config.ram, ==, cases[i].ram);
        g_assert_cmpstr(reason, ==, "untouched");
        assertFormat(&config, cases[i].value);
    }
}

static void
testConfigConvertible(void)
{
    static const char startPrivate[] =
        "version=1,mode=convertible,backends=2,ram=12288,start=private,backend=ram-node0:4096,"
        "other=mem.nv_1:77,backend=B:8192";
    static const char startShared[] =
        "version=1,mode=convertible,backends=1,ram=4096,start=shared,backend=pc.ram:4096,"
        "argv=0000000000000001:fedcba9876543210";
    gmemShimConfig config = {0};
    char reason[REASON_MAX] = "untouched";

    g_assert_true(gmemShimConfigParse(startPrivate, &config, reason, sizeof(reason)));
    assertFormat(&config, startPrivate);
    g_assert_cmpstr(reason, ==, "untouched");
    g_assert_cmpint(config.mode, ==, GMEM_MODE_CONVERTIBLE);
    g_assert_cmpuint(config.backends, ==, 2);
    g_assert_cmpuint(config.ram, ==, 12288);
    g_assert_true(config.startPrivate);
    g_assert_cmpuint(config.listed, ==, 3);
    g_assert_cmpstr(config.list[0].id, ==, "ram-node0");
    g_assert_cmpuint(config.list[0].size, ==, 4096);
    g_assert_true(config.list[0].ram);
    g_assert_cmpstr(config.list[1].id, ==, "mem.nv_1");
    g_assert_cmpuint(config.list[1].size, ==, 77);
    g_assert_false(config.list[1].ram);
    g_assert_cmpstr(config.list[2].id, ==, "B");
    gmemShimConfigClear(&config);
    g_assert_null(config.list);

    g_assert_true(gmemShimConfigParse(startShared, &config, reason, sizeof(reason)));
    g_assert_false(config.startPrivate);
    g_assert_cmpuint(config.nOptions, ==, 2);
    assertFormat(&config, startShared);
    gmemShimConfigClear(&config);
}

static void
testConfigBad(void)
{
    static const struct {
        const char *value;
        const char *reason;
    } cases[] = {
        {"", "no version"},
        {"garbage", "no version"},
        {"{\"version\":1,\"mode\":\"fully-shared\"}", "the domain's XML carries"},
        {"version=", "no version"},
        {"version=0,mode=fully-shared,backends=1,ram=4096", "no version"},
        {"version=01,mode=fully-shared,backends=1,ram=4096", "no version"},
        {"version=+1,mode=fully-shared,backends=1,ram=4096", "no version"},
        {" version=1,mode=fully-shared,backends=1,ram=4096", "no version"},
        {"mode=fully-shared,version=1,backends=1,ram=4096", "no version"},
        {"version=2,mode=fully-shared,backends=1,ram=4096", "version 2 in"},
        {"version=11,mode=fully-shared,backends=1,ram=4096", "version 11 in"},
        {"version=18446744073709551617,mode=fully-shared,backends=1,ram=4096", "no version"},
        {"version=1", "no mode"},
        {"version=1,mode=", "no mode"},
        {"version=1,mode=Fully-Shared,backends=1,ram=4096", "no mode"},
        {"version=1,mode=fully-share,backends=1,ram=4096", "no mode"},
        {"version=1,mode=fully-sharedd,backends=1,ram=4096", "no mode"},
        {"version=1,mode=convertible,backends=1,ram=4096", "no start="},
        {"version=1,mode=convertible,backends=1,ram=4096,start=shared", "make 1 of 4096 bytes"},
        {"version=1,mode=convertible,backends=1,ram=4096,start=,backend=a:4096", "no start="},
        {"version=1,mode=convertible,backends=1,ram=4096,start=both,backend=a:4096", "no start="},
        {"version=1,mode=convertible,backends=1,ram=4096,backend=a:4096,start=shared", "no start="},
        {"version=1,mode=convertible,backends=1,ram=4096,start=shared,backend=a:4095",
         "no list of"},
        {"version=1,mode=convertible,backends=2,ram=4096,start=shared,backend=a:4096",
         "no list of"},
        {"version=1,mode=convertible,backends=1,ram=4096,start=shared,other=a:4096", "no list of"},
        {"version=1,mode=convertible,backends=1,ram=4096,start=shared,backend=:4096", "no list of"},
        {"version=1,mode=convertible,backends=1,ram=4096,start=shared,backend=1a:4096",
         "no list of"},
        {"version=1,mode=convertible,backends=1,ram=4096,start=shared,backend=a/b:4096",
         "no list of"},
        {"version=1,mode=convertible,backends=1,ram=4096,start=shared,backend=a:4096,",
         "no list of"},
        {"version=1,mode=convertible,backends=2,ram=1,start=shared,backend=a:18446744073709551615,"
         "backend=b:2",
         "no list of"},
        {"version=1,mode=fully-shared,backends=1,ram=4096,start=shared,backend=a:4096",
         "',start=shared,backend=a:4096' is left over"},
        {"version=1,mode=fully-shared", "no number of memory backends"},
        {"version=1,mode=fully-shared,backends=0,ram=4096", "no number of memory backends"},
        {"version=1,mode=fully-shared,backends=513,ram=4096", "no number of memory backends"},
        {"version=1,mode=fully-shared,backends=4294967297,ram=4096",
         "no number of memory backends"},
        {"version=1,mode=fully-shared,backends=-1,ram=4096", "no number of memory backends"},
        {"version=1,mode=fully-shared,backends=0x1,ram=4096", "no number of memory backends"},
        {"version=1,mode=fully-shared,backends=1", "no size of RAM"},
        {"version=1,mode=fully-shared,backends=1 ,ram=4096", "no size of RAM"},
        {"version=1,mode=fully-shared,ram=4096,backends=1", "no number of memory backends"},
        {"version=1,mode=fully-shared,backends=1,ram=", "no size of RAM"},
        {"version=1,mode=fully-shared,backends=1,ram=0", "no size of RAM"},
        {"version=1,mode=fully-shared,backends=1,ram=4K", "'K' is left over"},
        {"version=1,mode=fully-shared,backends=1,ram=4096,", "',' is left over"},
        {"version=1,mode=fully-shared,backends=1,ram=4096,extra=1", "',extra=1' is left over"},
        {"version=1,mode=fully-shared,backends=1,ram=18446744073709551616", "no size of RAM"},
        {"version=1,mode=fully-shared,backends=1,ram=99999999999999999999999", "no size of RAM"},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        gmemShimConfig config = {.backends = 77};
        char reason[REASON_MAX] = "";

        g_test_message("%s", cases[i].value);
        g_assert_false(gmemShimConfigParse(cases[i].value, &config, reason, sizeof(reason)));
        g_assert_nonnull(strstr(reason, cases[i].reason));
        g_assert_cmpuint(config.backends, ==, 77);
    }
}

/* Whatever the length, the reason fits into its buffer. */
static void
testConfigLong(void)
{
    g_autofree char *longValue = g_strnfill(1024 * 1024, '7');
    g_autofree char *json = g_strdup_printf("{%s", longValue);
    g_autofree char *version = g_strdup_printf("version=2,%s", longValue);
    const char *values[] = {longValue, json, version};
    gmemShimConfig config;
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(values); i++) {
        char reason[64];

        g_assert_false(gmemShimConfigParse(values[i], &config, reason, sizeof(reason)));
        g_assert_cmpuint(strlen(reason), ==, sizeof(reason) - 1);
    }
}

/* The last value that is allowed, and the first one that is not. */
static void
testConfigLimits(void)
{
    static const char full[] = "version=1,mode=convertible,backends=1,ram=18446744073709551615,"
                               "start=shared,backend=a:18446744073709551615";
    static const char hash[] = "0123456789abcdef";
    g_autoptr(GString) text = g_string_new("version=1,mode=fully-shared,backends=1,ram=1,argv=");
    gmemShimConfig config = {0};
    char reason[REASON_MAX];
    size_t i;

    g_assert_true(gmemShimConfigParse(full, &config, reason, sizeof(reason)));
    gmemShimConfigClear(&config);

    for (i = 0; i < GMEM_SHIM_OPTIONS_MAX; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? ":" : "", hash);
    g_assert_true(gmemShimConfigParse(text->str, &config, reason, sizeof(reason)));
    g_assert_cmpuint(config.nOptions, ==, GMEM_SHIM_OPTIONS_MAX);
    gmemShimConfigClear(&config);
    g_string_append_printf(text, ":%s", hash);
    g_assert_false(gmemShimConfigParse(text->str, &config, reason, sizeof(reason)));
}

/* What can be said of a running QEMU's configuration, whoever wrote it. */
static void
testConfigMode(void)
{
    static const struct {
        const char *value;
        gmemMode mode;
    } cases[] = {
        {"version=1,mode=fully-shared,backends=1,ram=1", GMEM_MODE_FULLY_SHARED},
        {"version=1,mode=convertible,backends=1,ram=1,start=shared", GMEM_MODE_CONVERTIBLE},
        {"version=7,other=1,mode=fully-shared,more", GMEM_MODE_FULLY_SHARED},
        {"version=1,mode=fully-shared", GMEM_MODE_NONE},
        {"version=1,mode=fully-shared-not,backends=1", GMEM_MODE_NONE},
        {"version=1,mode=none,backends=1", GMEM_MODE_NONE},
        {"{\"version\":1,\"mode\":\"convertible\"}", GMEM_MODE_NONE},
        {"", GMEM_MODE_NONE},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s", cases[i].value);
        g_assert_cmpint(gmemShimConfigHasMode(cases[i].value, GMEM_MODE_FULLY_SHARED), ==,
                        cases[i].mode == GMEM_MODE_FULLY_SHARED);
        g_assert_cmpint(gmemShimConfigHasMode(cases[i].value, GMEM_MODE_CONVERTIBLE), ==,
                        cases[i].mode == GMEM_MODE_CONVERTIBLE);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/shimconfig/good", testConfigGood);
    g_test_add_func("/shimconfig/convertible", testConfigConvertible);
    g_test_add_func("/shimconfig/bad", testConfigBad);
    g_test_add_func("/shimconfig/long", testConfigLong);
    g_test_add_func("/shimconfig/limits", testConfigLimits);
    g_test_add_func("/shimconfig/mode", testConfigMode);
    return g_test_run();
}
