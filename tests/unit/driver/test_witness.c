/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_witness.c: what files of a process say about the memory of its guest. That the process is
 * the right one, and asked at the right time, is tested in ../../e2e/test_witness.py. */

#include "../../../src/driver/gmemwitness.c"

#include <sys/mman.h>

#include "gmemshimconfig.h"

#define UUID "00000000-0000-0000-0000-00000000000a"
#define OTHER "00000000-0000-0000-0000-00000000000b"
#define WORD(word) word "\0"
#define QEMU WORD("qemu") WORD("-name") WORD("guest=a")
#define OF(uuid) WORD("-uuid") WORD(uuid)
#define SHIM(mode) WORD("-" GMEM_SHIM_OPTION) WORD("version=1,mode=" mode ",ram=1")
#define LINE(words) words, sizeof(words) - 1

static void
testCommandLine(void)
{
    static const struct {
        const char *text;
        size_t length;
        bool found;
        gmemWitness witness;
    } cases[] = {
        {LINE(QEMU OF(UUID)), true, GMEM_WITNESS_SILENT},
        {LINE(QEMU OF(UUID) SHIM("fully-shared")), true, GMEM_WITNESS_OLDER},
        {LINE(QEMU OF(UUID) SHIM("convertible")), true, GMEM_WITNESS_CONVERTIBLE},
        {LINE(QEMU OF(UUID) WORD("-" GMEM_SHIM_OPTION)), true, GMEM_WITNESS_CONVERTIBLE},
        {LINE(QEMU OF(UUID) WORD("-object") WORD("memory-backend-memfd,id=a,guest-memfd=on")), true,
         GMEM_WITNESS_PROPERTY},
        {LINE(QEMU OF(UUID) WORD("-object") WORD("memory-backend-memfd,id=a,guest-memfd=off")),
         true, GMEM_WITNESS_SILENT},
        {LINE(QEMU OF(OTHER)), false, GMEM_WITNESS_SILENT},
        {LINE(QEMU OF(OTHER) SHIM("fully-shared")), false, GMEM_WITNESS_SILENT},
        {LINE(QEMU OF(UUID "0")), false, GMEM_WITNESS_SILENT},
        {LINE(QEMU OF(UUID) OF(UUID)), false, GMEM_WITNESS_SILENT},
        {LINE(QEMU WORD("-uuid")), false, GMEM_WITNESS_SILENT},
        {LINE(QEMU), false, GMEM_WITNESS_SILENT},
        {LINE(""), false, GMEM_WITNESS_SILENT},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_malloc0(cases[i].length + 1);
        gmemWitness witness = GMEM_WITNESS_SILENT;

        g_test_message("%zu", i);
        memcpy(text, cases[i].text, cases[i].length);
        g_assert_cmpint(gmemWitnessFromCommandLine(text, cases[i].length, UUID, &witness), ==,
                        cases[i].found);
        g_assert_cmpint(witness, ==, cases[i].witness);
    }
}

/* A descriptor of a file with that content, to be closed. */
static int
makeFile(const char *text, size_t length)
{
    const int fd = memfd_create("gmem-witness", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, text, length), ==, (ssize_t)length);
    return fd;
}

static void
testNumber(void)
{
    static const struct {
        const char *text;
        pid_t number;
    } cases[] = {
        {"123\n", 123},
        {"123", 123},
        {"2147483647\n", INT_MAX},
        {"2147483648\n", 0},
        {"", 0},
        {"\n", 0},
        {"0\n", 0},
        {"-1\n", 0},
        {"12x\n", 0},
        {"1\n2\n", 0},
        {"11111111111111111111111111111111", 0},
        {"1                                ", 1},
        {"11111111111111111111111111111111111111111111111111111111111111111111\n", 0},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        GMEM_AUTO_FD fd = makeFile(cases[i].text, strlen(cases[i].text));

        g_test_message("%zu", i);
        g_assert_cmpint(gmemWitnessReadNumber(fd), ==, cases[i].number);
    }
}

/* The user with whose rights the process acts now. */
static void
testUser(void)
{
    static const struct {
        const char *text;
        bool found;
    } cases[] = {
        {"Name:\ta\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n", true},
        {"Name:\tUid: 9 9 9 9\nUid:\t1\t2\t3\t4\n", true},
        {"Name:\ta\nUid:\t1\n", false},
        {"Name:\ta\nGid:\t1\t2\t3\t4\n", false},
        {"", false},
    };
    g_autofree char *directory = g_dir_make_tmp("gmem-witness-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "status", NULL);
    GMEM_AUTO_FD fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uid_t uid;
    size_t i;

    g_assert_false(gmemWitnessGetUser(fd, &uid));
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%zu", i);
        uid = 0;
        g_assert_true(g_file_set_contents(path, cases[i].text, -1, NULL));
        g_assert_cmpint(gmemWitnessGetUser(fd, &uid), ==, cases[i].found);
        if (cases[i].found)
            g_assert_cmpuint(uid, ==, 2);
    }
    g_assert_cmpint(unlink(path), ==, 0);
    g_assert_cmpint(rmdir(directory), ==, 0);
}

/* What is refused for each answer. */
static void
testAnswers(void)
{
    static const struct {
        gmemWitness witness;
        bool hotplug;
        bool running;
    } cases[] = {
        {GMEM_WITNESS_FULLY_SHARED, true, true}, {GMEM_WITNESS_CONVERTIBLE, false, false},
        {GMEM_WITNESS_PROPERTY, false, true},    {GMEM_WITNESS_OLDER, false, true},
        {GMEM_WITNESS_SILENT, false, false},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) hotplug = NULL;
        g_autoptr(GError) running = NULL;

        g_test_message("%zu", i);
        g_assert_cmpint(gmemWitnessCheckHotplugAnswer(cases[i].witness, &hotplug), ==,
                        cases[i].hotplug ? 0 : -1);
        g_assert_cmpint(hotplug == NULL, ==, cases[i].hotplug);
        g_assert_cmpint(gmemWitnessCheckRunningAnswer(cases[i].witness, "a", &running), ==,
                        cases[i].running ? 0 : -1);
        g_assert_cmpint(running == NULL, ==, cases[i].running);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/driver-witness/command-line", testCommandLine);
    g_test_add_func("/driver-witness/number", testNumber);
    g_test_add_func("/driver-witness/user", testUser);
    g_test_add_func("/driver-witness/answers", testAnswers);
    return g_test_run();
}
