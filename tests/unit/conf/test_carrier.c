/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_carrier.c: the value of the carrier pair, and the names of modes. */

#include <string.h>

#include "gmemcarrier.h"
#include "gmemerror.h"

static void
testModes(void)
{
    g_assert_cmpstr(gmemModeToString(GMEM_MODE_NONE), ==, "none");
    g_assert_cmpstr(gmemModeToString(GMEM_MODE_CONVERTIBLE), ==, "convertible");
    g_assert_cmpstr(gmemModeToString(GMEM_MODE_FULLY_SHARED), ==, "fully-shared");
    g_assert_cmpint(gmemModeFromString("none"), ==, GMEM_MODE_NONE);
    g_assert_cmpint(gmemModeFromString("convertible"), ==, GMEM_MODE_CONVERTIBLE);
    g_assert_cmpint(gmemModeFromString("fully-shared"), ==, GMEM_MODE_FULLY_SHARED);
    g_assert_cmpint(gmemModeFromString("Fully-Shared"), ==, GMEM_MODE_NONE);
    g_assert_cmpint(gmemModeFromString(""), ==, GMEM_MODE_NONE);
}

static void
testFormat(void)
{
    g_autoptr(gmemCarrier) carrier = gmemCarrierNew();
    g_autoptr(gmemCarrier) parsed = NULL;
    g_autofree char *text = NULL;
    g_autofree char *again = NULL;

    carrier->mode = GMEM_MODE_CONVERTIBLE;
    gmemCarrierAddChange(carrier, "features/smm/@state", "off", NULL);
    gmemCarrierAddChange(carrier, "devices/memballoon/@autodeflate", "off", "on");
    text = gmemCarrierFormat(carrier);
    g_assert_cmpstr(text, ==,
                    "{\"version\":1,\"mode\":\"convertible\",\"launchSecurity\":\"sw-protected\","
                    "\"added\":[{\"path\":\"features/smm/@state\",\"value\":\"off\"},"
                    "{\"path\":\"devices/memballoon/@autodeflate\",\"value\":\"off\","
                    "\"former\":\"on\"}]}");
    parsed = gmemCarrierParse(text, NULL);
    g_assert_nonnull(parsed);
    g_assert_cmpint(parsed->mode, ==, GMEM_MODE_CONVERTIBLE);
    g_assert_cmpuint(parsed->nchanges, ==, 2);
    g_assert_null(parsed->changes[0].former);
    g_assert_cmpstr(parsed->changes[1].former, ==, "on");
    again = gmemCarrierFormat(parsed);
    g_assert_cmpstr(again, ==, text);
}

static void
testFormatSmall(void)
{
    static const gmemMode modes[] = {GMEM_MODE_NONE, GMEM_MODE_FULLY_SHARED};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_autoptr(gmemCarrier) carrier = gmemCarrierNew();
        g_autoptr(gmemCarrier) parsed = NULL;
        g_autofree char *expected = g_strdup_printf("{\"version\":1,\"mode\":\"%s\",\"added\":[]}",
                                                    gmemModeToString(modes[i]));
        g_autofree char *text = NULL;

        carrier->mode = modes[i];
        text = gmemCarrierFormat(carrier);
        g_assert_cmpstr(text, ==, expected);
        parsed = gmemCarrierParse(text, NULL);
        g_assert_nonnull(parsed);
        g_assert_cmpint(parsed->mode, ==, modes[i]);
    }
}

#define TEST_OTHERWISE                                                                             \
    "the value of '-x-libvirt-gmem' is damaged: it differs from what libvirt-gmem writes"

/* Every one of these is refused; @message is the whole message or, if it ends in "…", its
 * beginning. */
static const struct {
    const char *text;
    const char *message;
} testDamages[] = {
    {"", "the value of '-x-libvirt-gmem' is damaged: …"},
    {" ", "the value of '-x-libvirt-gmem' is damaged: …"},
    {"{", "the value of '-x-libvirt-gmem' is damaged: …"},
    {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":[]",
     "the value of '-x-libvirt-gmem' is damaged: …"},
    {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":[]}x",
     "the value of '-x-libvirt-gmem' is damaged: …"},
    {"{\"version\":1,\"mode\":\"fully-\\u0073hared\",\"added\":[]}", TEST_OTHERWISE},
    {"{\"version\":1,\"mode\":\"fully-shared\\u0000\",\"added\":[]}", TEST_OTHERWISE},
    {"[]", "the value of '-x-libvirt-gmem' has no version"},
    {"1", "the value of '-x-libvirt-gmem' has no version"},
    {"null", "the value of '-x-libvirt-gmem' has no version"},
    {"{}", "the value of '-x-libvirt-gmem' has no version"},
    {"{\"version\":\"1\",\"mode\":\"fully-shared\",\"added\":[]}",
     "the value of '-x-libvirt-gmem' has no version"},
    {"{\"version\":1.0,\"mode\":\"fully-shared\",\"added\":[]}",
     "the value of '-x-libvirt-gmem' has no version"},
    {"{\"version\":-1,\"mode\":\"fully-shared\",\"added\":[]}",
     "the value of '-x-libvirt-gmem' has no version"},
    {"{\"version\":3,\"mode\":\"fully-shared\",\"added\":[],\"newer\":true}",
     "the value of '-x-libvirt-gmem' has version 3, and this libvirt-gmem knows versions up to 2 "
     "only"},
    {"{\"version\":0,\"mode\":\"fully-shared\",\"added\":[]}",
     "the value of '-x-libvirt-gmem' has version 0, and this libvirt-gmem knows versions up to 2 "
     "only"},
    {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":[],\"newer\":true}", TEST_OTHERWISE},
    {"{\"version\":1,\"mode\":\"fully-shared\",\"mode\":\"none\",\"added\":[]}", TEST_OTHERWISE},
    {"{\"version\":1,\"version\":1,\"mode\":\"fully-shared\",\"added\":[]}", TEST_OTHERWISE},
    {"{\"version\":1,\"added\":[]}", "the value of '-x-libvirt-gmem' has no mode"},
    {"{\"version\":1,\"mode\":1,\"added\":[]}", "the value of '-x-libvirt-gmem' has no mode"},
    {"{\"version\":1,\"mode\":\"secret\",\"added\":[]}",
     "the value of '-x-libvirt-gmem' has mode 'secret', which libvirt-gmem does not know"},
    {"{\"version\":1,\"mode\":\"\",\"added\":[]}",
     "the value of '-x-libvirt-gmem' has mode '', which libvirt-gmem does not know"},
    {"{\"version\":1,\"mode\":\"convertible\",\"added\":[]}", TEST_OTHERWISE},
    {"{\"version\":1,\"mode\":\"fully-shared\",\"launchSecurity\":\"sw-protected\",\"added\":[]}",
     TEST_OTHERWISE},
    {"{\"version\":1,\"mode\":\"none\",\"launchSecurity\":\"sw-protected\",\"added\":[]}",
     TEST_OTHERWISE},
    {"{\"version\":1,\"mode\":\"convertible\",\"launchSecurity\":\"tdx\",\"added\":[]}",
     TEST_OTHERWISE},
    {"{\"version\":1,\"mode\":\"convertible\",\"launchSecurity\":null,\"added\":[]}",
     TEST_OTHERWISE},
    {"{\"version\":1,\"mode\":\"fully-shared\"}",
     "the value of '-x-libvirt-gmem' has no list 'added'"},
    {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":{}}",
     "the value of '-x-libvirt-gmem' has no list 'added'"},
    {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":[1]}",
     "the value of '-x-libvirt-gmem' is damaged: a change requires a path and a value"},
    {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":[{\"path\":\"a\"}]}",
     "the value of '-x-libvirt-gmem' is damaged: a change requires a path and a value"},
    {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":[{\"path\":\"a\",\"value\":1}]}",
     "the value of '-x-libvirt-gmem' is damaged: a change requires a path and a value"},
    {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":"
     "[{\"path\":\"a\",\"value\":\"b\",\"former\":1}]}",
     TEST_OTHERWISE},
    {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":"
     "[{\"path\":\"a\",\"value\":\"b\",\"later\":\"c\"}]}",
     TEST_OTHERWISE},
    {"{\"version\":1,\"mode\":\"fully-shared\",\"added\":"
     "[{\"path\":\"a\",\"path\":\"a\",\"value\":\"b\"}]}",
     TEST_OTHERWISE},
    {" {\"version\":1,\"mode\":\"fully-shared\",\"added\":[]}", TEST_OTHERWISE},
    {"{\"version\":1,\"mode\":\"fully-shared\", \"added\":[]}", TEST_OTHERWISE},
    {"{\"mode\":\"fully-shared\",\"version\":1,\"added\":[]}", TEST_OTHERWISE},
    {"{\"version\":2,\"mode\":\"fully-shared\",\"added\":[]}", TEST_OTHERWISE},
};

static void
testDamaged(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(testDamages); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(gmemCarrier) carrier = gmemCarrierParse(testDamages[i].text, &error);
        const char *dots = strstr(testDamages[i].message, "…");

        g_test_message("%s", testDamages[i].text);
        g_assert_null(carrier);
        g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_ERROR);
        if (dots != NULL) {
            g_autofree char *start =
                g_strndup(testDamages[i].message, (gsize)(dots - testDamages[i].message));

            g_assert_true(g_str_has_prefix(error->message, start));
            g_assert_cmpuint(strlen(error->message), >, strlen(start));
        } else {
            g_assert_cmpstr(error->message, ==, testDamages[i].message);
        }
    }
}

static void
testLong(void)
{
    g_autofree char *padding = g_strnfill(140000, ' ');
    g_autofree char *text =
        g_strdup_printf("{\"version\":1,%s\"mode\":\"fully-shared\",\"added\":[]}", padding);
    g_autofree char *deep = g_strnfill(4000, '[');
    g_autoptr(GError) error = NULL;

    g_assert_null(gmemCarrierParse(text, &error));
    g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_ERROR);
    g_assert_cmpstr(error->message, ==,
                    "the value of '-x-libvirt-gmem' is longer than 131072 bytes");
    g_clear_error(&error);
    g_assert_null(gmemCarrierParse(deep, &error));
    g_assert_error(error, GMEM_ERROR, VIR_ERR_XML_ERROR);
}

/* The limit itself is accepted. */
static void
testLongest(void)
{
    static const char format[] =
        "{\"version\":1,\"mode\":\"fully-shared\",\"added\":[{\"path\":\"p\",\"value\":\"%s\"}]}";
    size_t more;

    for (more = 0; more < 2; more++) {
        g_autofree char *value = g_strnfill(131072 - strlen(format) + strlen("%s") + more, 'v');
        g_autofree char *text = g_strdup_printf(format, value);
        g_autoptr(gmemCarrier) carrier = gmemCarrierParse(text, NULL);

        g_assert_cmpuint(strlen(text), ==, 131072 + more);
        g_assert_true((carrier != NULL) == (more == 0));
    }
}

/* If one byte of a good value is missing or different, the value is refused, or it is a good one
 * again. */
static void
testMutations(void)
{
    static const char good[] =
        "{\"version\":1,\"mode\":\"fully-shared\",\"added\":[{\"path\":\"memoryBacking/source/"
        "@type\",\"value\":\"memfd\"}]}";
    size_t i;
    int byte;

    for (i = 0; i < strlen(good); i++) {
        for (byte = 0; byte < 256; byte++) {
            g_autofree char *text = g_strdup(good);
            g_autoptr(GError) error = NULL;
            g_autoptr(gmemCarrier) carrier = NULL;

            text[i] = (char)byte;
            carrier = gmemCarrierParse(text, &error);
            g_assert_true((carrier == NULL) == (error != NULL));
            if (carrier != NULL)
                g_assert_cmpint(carrier->mode, ==, GMEM_MODE_FULLY_SHARED);
        }
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/conf/carrier/modes", testModes);
    g_test_add_func("/conf/carrier/format", testFormat);
    g_test_add_func("/conf/carrier/format-small", testFormatSmall);
    g_test_add_func("/conf/carrier/damaged", testDamaged);
    g_test_add_func("/conf/carrier/long", testLong);
    g_test_add_func("/conf/carrier/longest", testLongest);
    g_test_add_func("/conf/carrier/mutations", testMutations);
    return g_test_run();
}
