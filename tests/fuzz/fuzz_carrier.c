/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_carrier.c: libFuzzer harness for the pair: if what was read is written, read and written
 * again, the bytes are the same; and the notes of a plan come to an end. */

#include "fuzz.h"
#include "gmemcarrier.h"
#include "gmemnotes.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemCarrier) carrier = gmemCarrierParse(text, &error);
    g_autoptr(gmemCarrier) again = NULL;
    g_autofree char *written = NULL;
    g_autofree char *writtenAgain = NULL;
    g_auto(GStrv) notes = NULL;
    gmemPlan plan = {0};
    size_t i;

    FUZZ_ASSERT_EITHER(carrier, error);
    if (carrier == NULL)
        return 0;
    written = gmemCarrierFormat(carrier);
    g_assert_cmpstr(written, ==, text);
    again = gmemCarrierParse(written, &error);
    g_assert_no_error(error);
    writtenAgain = gmemCarrierFormat(again);
    g_assert_cmpstr(writtenAgain, ==, written);
    g_assert_cmpint(again->mode, ==, carrier->mode);
    g_assert_cmpuint(again->nchanges, ==, carrier->nchanges);

    plan.mode = carrier->mode;
    plan.name = text;
    plan.sharedOnly = text;
    plan.firmware = text;
    plan.ram = size;
    plan.hugeRam = size / 2;
    notes = gmemNotesFormat(&plan);
    for (i = 0; notes[i] != NULL; i++)
        g_assert_true(notes[i][0] != '\0');
    return 0;
}
