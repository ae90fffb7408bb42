/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_status.c: how a status is recognised, and its list of memory slots. */

#include "gmemstatus.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gmemautofd.h"

#define ROOM 5

static int
makeMemfd(const char *name, const void *data, size_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, size), ==, size);
    return fd;
}

/* Nothing else than all three seals is the shim's. */
static void
testSealed(void)
{
    static const int seals[] = {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL};
    unsigned int chosen, i;

    for (chosen = 0; chosen < 8; chosen++) {
        GMEM_AUTO_FD fd = makeMemfd("any", "", 1);

        for (i = 0; i < G_N_ELEMENTS(seals); i++) {
            if ((chosen & 1U << i) != 0)
                g_assert_cmpint(fcntl(fd, F_ADD_SEALS, seals[i]), ==, 0);
        }
        g_assert_cmpint(gmemStatusIsSealed(fd), ==, chosen == 7);
    }
    g_assert_false(gmemStatusIsSealed(STDOUT_FILENO));
}

static size_t
countDescriptors(void)
{
    g_autoptr(GDir) directory = g_dir_open("/proc/self/fd", 0, NULL);
    size_t count = 0;

    while (g_dir_read_name(directory) != NULL)
        count++;
    return count;
}

static void
testOpen(void)
{
    GMEM_AUTO_FD directory = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    GMEM_AUTO_FD other = makeMemfd(GMEM_SHIM_STATUS_NAME "-2", "other", 5);
    GMEM_AUTO_FD made = -1;
    GMEM_AUTO_FD second = -1;
    GMEM_AUTO_FD found = -1;
    char text[8] = "";
    size_t before;
    int why = -1;

    g_assert_cmpint(gmemStatusOpen(directory, &why), ==, -1);
    g_assert_cmpint(why, ==, 0);
    made = makeMemfd(GMEM_SHIM_STATUS_NAME, "status", 6);
    second = makeMemfd(GMEM_SHIM_STATUS_NAME, "status", 6);
    before = countDescriptors();
    found = gmemStatusOpen(directory, &why);
    g_assert_cmpint(found, >=, 0);
    g_assert_cmpint(why, ==, 0);
    g_assert_cmpint(pread(found, text, sizeof(text), 0), ==, 6);
    g_assert_cmpstr(text, ==, "status");
    g_assert_cmpint(fcntl(found, F_GETFL) & O_ACCMODE, ==, O_RDONLY);
    g_assert_cmpint(fcntl(found, F_GETFD), ==, FD_CLOEXEC);
    /* Of two, one is opened, and nothing else stays open. */
    g_assert_cmpuint(countDescriptors(), ==, before + 1);
}

/* Entries that are in use, wherever they are in the list. */
static void
testSlots(void)
{
    struct {
        gmemShimStatus head;
        gmemShimStatusSlot slot[ROOM];
    } file = {
        .head = {.sequence = 2, .slotsAt = sizeof(gmemShimStatus), .slotRoom = ROOM},
        .slot = {[1] = {.size = 1, .number = 7}, [ROOM - 1] = {.size = 4096, .number = 9}},
    };
    GMEM_AUTO_FD fd = makeMemfd("slots", &file, sizeof(file));
    g_autoptr(GArray) slots = gmemStatusReadSlots(fd, &file.head);
    guint32 numbers = 0;
    guint i;

    g_assert_nonnull(slots);
    for (i = 0; i < slots->len; i++)
        numbers += g_array_index(slots, gmemShimStatusSlot, i).number;
    g_assert_cmpuint(slots->len, ==, 2);
    g_assert_cmpuint(numbers, ==, 16);
}

/* A list that is being changed is not read. */
static void
testSlotsChanging(void)
{
    struct {
        gmemShimStatus head;
        gmemShimStatusSlot slot[1];
    } file = {.head = {.sequence = 3, .slotsAt = sizeof(gmemShimStatus), .slotRoom = 1}};
    GMEM_AUTO_FD fd = makeMemfd("slots", &file, sizeof(file));

    g_assert_null(gmemStatusReadSlots(fd, &file.head));
}

/* A list that is not reported, that lacks a slot, or that a hostile QEMU claims to have. */
static void
testNoSlots(void)
{
    static const gmemShimStatus heads[] = {
        {.slotsAt = sizeof(gmemShimStatus)},
        {.slotsAt = sizeof(gmemShimStatus), .slotRoom = 1, .slotsLost = 1},
        {.slotsAt = sizeof(gmemShimStatus), .slotRoom = GMEM_SHIM_STATUS_SLOTS_MAX + 1},
        {.slotsAt = G_MAXUINT64, .slotRoom = 1},
    };
    g_autofree char *large = g_malloc0(64 * 1024);
    GMEM_AUTO_FD fd = makeMemfd("slots", large, 64 * 1024);
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(heads); i++)
        g_assert_null(gmemStatusReadSlots(fd, &heads[i]));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/status/seals", testSealed);
    g_test_add_func("/status/open", testOpen);
    g_test_add_func("/status/slots", testSlots);
    g_test_add_func("/status/changing slots", testSlotsChanging);
    g_test_add_func("/status/no slots", testNoSlots);
    return g_test_run();
}
