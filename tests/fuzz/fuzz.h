/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz.h: what the libFuzzer harnesses have in common. A broken promise aborts (g_assert), as a
 * sanitizer's finding does. */
#pragma once

#include <glib.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemerror.h"
#include "gmemplan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every refusal has a reason, in UTF-8 that libvirt can send, with a code of libvirt's. */
static inline void
fuzzAssertRefused(const GError *error)
{
    g_assert_nonnull(error);
    g_assert_true(error->domain == GMEM_ERROR);
    g_assert_cmpint(error->code, >, VIR_ERR_OK);
    g_assert_true(error->message[0] != '\0');
}

/* The result of a function: either a value and no error, or an error and no value. */
#define FUZZ_ASSERT_EITHER(value, error)                                                           \
    do {                                                                                           \
        if ((value) != NULL)                                                                       \
            g_assert_no_error(error);                                                              \
        else                                                                                       \
            fuzzAssertRefused(error);                                                              \
    } while (0)

/* A regular file with @size bytes of @data in it; the caller closes it. */
static inline int
fuzzFile(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, size), ==, (ssize_t)size);
    g_assert_cmpint(fchmod(fd, 0644), ==, 0);
    return fd;
}

static inline void
fuzzAssertPlansEqual(const gmemPlan *a, const gmemPlan *b)
{
    g_assert_true((a == NULL) == (b == NULL));
    if (a == NULL)
        return;
    g_assert_cmpint(a->mode, ==, b->mode);
    g_assert_cmpstr(a->name, ==, b->name);
    g_assert_cmpstr(a->emulator, ==, b->emulator);
    g_assert_cmpstr(a->firmware, ==, b->firmware);
    g_assert_cmpuint(a->ram, ==, b->ram);
    g_assert_cmpuint(a->hugeRam, ==, b->hugeRam);
    g_assert_cmpint(a->cellNodesetsDiffer, ==, b->cellNodesetsDiffer);
}
