/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_unit.c: the shim's parts inside a test program, where sanitizers can watch them. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gmemkvmabi.h"
#include "gmemshimconfig.h"
#include "gmemshimreal.h"
#include "gmemshimreport.h"
#include "gmemshimshared.h"
#include "gmemshimstart.h"

#define BACKEND_NAME "memory-backend-memfd"
#define BACKEND_SIZE (2 * 1024 * 1024)
#define STRANGE_ERRNO 4242

/* What stderr gets while this lives. */
typedef struct {
    int saved;
    int file;
} Captured;

static void
captureStart(Captured *captured)
{
    captured->file = (int)syscall(SYS_memfd_create, "captured", MFD_CLOEXEC);
    g_assert_cmpint(captured->file, >=, 0);
    captured->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    g_assert_cmpint(dup2(captured->file, STDERR_FILENO), ==, STDERR_FILENO);
}

static char *
captureEnd(Captured *captured)
{
    char text[4 * GMEM_SHIM_REPORT_MAX] = "";
    ssize_t length;

    g_assert_cmpint(dup2(captured->saved, STDERR_FILENO), ==, STDERR_FILENO);
    close(captured->saved);
    length = pread(captured->file, text, sizeof(text) - 1, 0);
    close(captured->file);
    g_assert_cmpint(length, >=, 0);
    return g_strndup(text, (gsize)length);
}

/* What libvirt-gmem writes of it is what was read. */
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

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        gmemShimConfig config = {0};
        char reason[GMEM_SHIM_REPORT_MAX] = "untouched";

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
    char reason[GMEM_SHIM_REPORT_MAX] = "untouched";

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

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        gmemShimConfig config = {.backends = 77};
        char reason[GMEM_SHIM_REPORT_MAX] = "";

        g_test_message("%s", cases[i].value);
        g_assert_false(gmemShimConfigParse(cases[i].value, &config, reason, sizeof(reason)));
        g_assert_nonnull(strstr(reason, cases[i].reason));
        g_assert_cmpuint(config.backends, ==, 77);
    }
}

/* Whatever the length: the reason ends within its buffer. */
static void
testConfigLong(void)
{
    g_autofree char *longValue = g_strnfill(1024 * 1024, '7');
    g_autofree char *json = g_strdup_printf("{%s", longValue);
    g_autofree char *version = g_strdup_printf("version=2,%s", longValue);
    const char *values[] = {longValue, json, version};
    gmemShimConfig config;

    for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
        char reason[64];

        g_assert_false(gmemShimConfigParse(values[i], &config, reason, sizeof(reason)));
        g_assert_cmpuint(strlen(reason), ==, sizeof(reason) - 1);
    }
}

#define GOOD "version=1,mode=fully-shared,backends=1,ram=4096"

static void
testArgv(void)
{
    static const struct {
        const char *before;
        gmemShimArgvResult result;
        const char *after; /* or what the reason says */
    } cases[] = {
        {"qemu -S", GMEM_SHIM_ARGV_ABSENT, "qemu -S"},
        {"qemu", GMEM_SHIM_ARGV_ABSENT, "qemu"},
        {"qemu -S -x-libvirt-gmem " GOOD " -m 1", GMEM_SHIM_ARGV_TAKEN, "qemu -S -m 1"},
        {"qemu -x-libvirt-gmem " GOOD, GMEM_SHIM_ARGV_TAKEN, "qemu"},
        {"qemu --x-libvirt-gmem " GOOD " disk", GMEM_SHIM_ARGV_TAKEN, "qemu disk"},
        {"qemu -S -x-libvirt-gmem " GOOD, GMEM_SHIM_ARGV_TAKEN, "qemu -S"},
        {"qemu -append -x-libvirt-gmem", GMEM_SHIM_ARGV_ABSENT, "qemu -append -x-libvirt-gmem"},
        {"qemu -append -x-libvirt-gmem -x-libvirt-gmem " GOOD, GMEM_SHIM_ARGV_TAKEN,
         "qemu -append -x-libvirt-gmem"},
        {"qemu -name x-libvirt-gmem -S", GMEM_SHIM_ARGV_ABSENT, "qemu -name x-libvirt-gmem -S"},
        {"qemu -x-libvirt-gmemm " GOOD, GMEM_SHIM_ARGV_ABSENT, "qemu -x-libvirt-gmemm " GOOD},
        {"qemu -x-libvirt-gmem", GMEM_SHIM_ARGV_REFUSED, "it has no value"},
        {"qemu -x-libvirt-gmem -S", GMEM_SHIM_ARGV_REFUSED, "no version in '-S'"},
        {"qemu -x-libvirt-gmem " GOOD " -x-libvirt-gmem " GOOD, GMEM_SHIM_ARGV_REFUSED,
         "it is given 2 times"},
        {"qemu -x-libvirt-gmem " GOOD " -S -x-libvirt-gmem", GMEM_SHIM_ARGV_REFUSED,
         "it is given 2 times"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) words = g_strsplit(cases[i].before, " ", -1);
        const guint count = g_strv_length(words);
        /* As on a process's stack: the environment stands right behind argv. */
        g_autofree char **stack = g_new0(char *, count + 3);
        char environment[] = "HOME=/";
        char reason[GMEM_SHIM_REPORT_MAX] = "";
        gmemShimConfig config;
        char **argv = stack;
        int argc = (int)count;

        memcpy(stack, words, count * sizeof(*words));
        stack[count + 1] = environment;
        g_test_message("%s", cases[i].before);

        g_assert_cmpint(gmemShimStartHasPair(argv), ==, cases[i].result != GMEM_SHIM_ARGV_ABSENT);
        g_assert_cmpint(gmemShimStartTakePair(&argc, &argv, &config, reason, sizeof(reason)), ==,
                        cases[i].result);
        if (cases[i].result == GMEM_SHIM_ARGV_REFUSED) {
            g_assert_nonnull(strstr(reason, cases[i].after));
            g_assert_true(argv == stack);
            g_assert_cmpint(argc, ==, count);
        } else {
            g_autofree char *after = g_strjoinv(" ", argv);

            g_assert_cmpstr(after, ==, cases[i].after);
            g_assert_cmpint(argc, ==, g_strv_length(argv));
        }
        g_assert_null(argv[argc]);
        g_assert_true(argv[argc + 1] == environment);
    }
}

/* execve() allows it. */
static void
testArgvEmpty(void)
{
    char *argv[] = {NULL};

    g_assert_false(gmemShimStartHasPair(argv));
}

static void
testPreload(void)
{
    g_autofree char *directory = g_dir_make_tmp("gmem-shim-XXXXXX", NULL);
    g_autofree char *own = g_build_filename(directory, "qemu-gmem.so", NULL);
    g_autofree char *other = g_build_filename(directory, "other", "qemu-gmem.so", NULL);
    g_autofree char *link = g_build_filename(directory, "link.so", NULL);
    g_autofree char *crooked = g_strdup_printf("%s/./qemu-gmem.so", directory);
    g_autofree char *colons = g_strdup_printf("LD_PRELOAD=/a.so:%s:/b.so", own);
    g_autofree char *spaces = g_strdup_printf("LD_PRELOAD=%s /a.so /b.so", own);
    g_autofree char *last = g_strdup_printf("LD_PRELOAD=/a.so %s", own);
    g_autofree char *twice = g_strdup_printf("LD_PRELOAD=%s:/a.so:%s", own, own);
    g_autofree char *alone = g_strdup_printf("LD_PRELOAD=%s", own);
    g_autofree char *empties = g_strdup_printf("LD_PRELOAD=:%s::", own);
    g_autofree char *linked = g_strdup_printf("LD_PRELOAD=%s:/a.so", link);
    g_autofree char *spelled = g_strdup_printf("LD_PRELOAD=%s:/a.so", crooked);
    g_autofree char *namesake = g_strdup_printf("LD_PRELOAD=%s", other);
    g_autofree char *longer = g_strdup_printf("LD_PRELOAD=%s.1:/a.so", own);
    g_autofree char *huge = g_strnfill(8192, 'x');
    g_autofree char *endless = g_strdup_printf("LD_PRELOAD=/%s:%s", huge, own);
    g_autofree char *endlessAfter = g_strdup_printf("LD_PRELOAD=/%s", huge);
    const struct {
        const char *before;
        const char *after; /* NULL: the variable is gone */
    } cases[] = {
        {colons, "LD_PRELOAD=/a.so:/b.so"},
        {spaces, "LD_PRELOAD=/a.so /b.so"},
        {last, "LD_PRELOAD=/a.so"},
        {twice, "LD_PRELOAD=/a.so"},
        {alone, NULL},
        {empties, NULL},
        {linked, "LD_PRELOAD=/a.so"},
        {spelled, "LD_PRELOAD=/a.so"},
        {namesake, namesake},
        {longer, longer},
        {endless, endlessAfter},
        {"LD_PRELOAD=qemu-gmem.so:libasan.so.8", "LD_PRELOAD=libasan.so.8"},
        {"LD_PRELOAD=libasan.so.8", "LD_PRELOAD=libasan.so.8"},
        {"LD_PRELOAD=", NULL},
        {"LD_PRELOADX=qemu-gmem.so", "LD_PRELOADX=qemu-gmem.so"},
    };

    g_assert_true(g_file_set_contents(own, "", 0, NULL));
    g_assert_cmpint(symlink(own, link), ==, 0);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *variable = g_strdup(cases[i].before);
        char home[] = "HOME=/root";
        char path[] = "PATH=/bin";
        char *environment[] = {home, variable, path, NULL};

        g_test_message("%.200s", cases[i].before);
        gmemShimStartDropPreload(environment, own);
        g_assert_cmpstr(environment[0], ==, "HOME=/root");
        if (cases[i].after == NULL) {
            g_assert_cmpstr(environment[1], ==, "PATH=/bin");
            g_assert_null(environment[2]);
        } else {
            g_assert_cmpstr(environment[1], ==, cases[i].after);
            g_assert_cmpstr(environment[2], ==, "PATH=/bin");
            g_assert_null(environment[3]);
        }
    }

    g_assert_cmpint(unlink(link), ==, 0);
    g_assert_cmpint(unlink(own), ==, 0);
    g_assert_cmpint(rmdir(directory), ==, 0);
}

static void
testReport(void)
{
    g_autofree char *longText = g_strnfill(3 * GMEM_SHIM_REPORT_MAX, 'x');
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    Captured captured;

    captureStart(&captured);
    errno = EBADF;
    gmemShimReport("%s: %m", "one");
    g_assert_cmpint(errno, ==, EBADF);
    gmemShimReport("%s", longText);
    text = captureEnd(&captured);

    lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 3);
    g_assert_cmpstr(lines[0], ==, "qemu-gmem: one: Bad file descriptor");
    g_assert_cmpuint(strlen(lines[1]), ==, GMEM_SHIM_REPORT_MAX - 2);
    g_assert_cmpstr(lines[2], ==, "");
}

static int
openVM(void)
{
    const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int vm;

    if (kvm < 0) {
        g_autofree char *reason = g_strdup_printf("/dev/kvm: %s", g_strerror(errno));

        g_test_skip(reason);
        return -1;
    }
    vm = ioctl(kvm, KVM_CREATE_VM, 0);
    close(kvm);
    if (vm >= 0 && (ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_GUEST_MEMFD_FLAGS) & 3) != 3) {
        g_test_skip("KVM has no guest_memfd that can be mapped and shared");
        close(vm);
        return -1;
    }
    g_assert_cmpint(vm, >=, 0);
    return vm;
}

static void
init(unsigned int backends, unsigned long long ram)
{
    const gmemShimConfig config = {
        .mode = GMEM_MODE_FULLY_SHARED, .backends = backends, .ram = ram};

    g_assert_cmpint(gmemShimSharedInit(&config), ==, 0);
}

static bool
isGuestMemfd(int fd)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree char *target = g_file_read_link(path, NULL);

    return target != NULL && strstr(target, "[kvm-gmem]") != NULL;
}

static unsigned int
countDescriptors(void)
{
    GDir *directory = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned int count = 0;

    g_assert_nonnull(directory);
    while (g_dir_read_name(directory) != NULL)
        count++;
    g_dir_close(directory);
    return count;
}

static int
makeBackend(int vm, unsigned int flags)
{
    const int fd = gmemShimSharedCreate(BACKEND_NAME, flags);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(gmemShimSharedResize(fd, BACKEND_SIZE, vm, ftruncate), ==, 0);
    return fd;
}

static void
testSharedBackend(void)
{
    const unsigned int flags[] = {MFD_ALLOW_SEALING, MFD_CLOEXEC | MFD_ALLOW_SEALING};
    const int vm = openVM();
    struct stat file;
    char *memory;

    if (vm < 0)
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
        const int closeOnExec = (flags[i] & MFD_CLOEXEC) != 0 ? FD_CLOEXEC : 0;
        unsigned int before;
        int fd;
        int next;

        init(2, 2 * BACKEND_SIZE);
        before = countDescriptors();
        g_assert_false(gmemShimSharedMayHave(-1));
        next = open("/dev/null", O_RDONLY);
        close(next);
        g_assert_false(gmemShimSharedMayHave(next));

        errno = STRANGE_ERRNO;
        fd = gmemShimSharedCreate(BACKEND_NAME, flags[i]);
        g_assert_cmpint(errno, ==, STRANGE_ERRNO);
        g_assert_cmpint(fd, ==, next);
        g_assert_true(gmemShimSharedMayHave(fd));
        g_assert_false(gmemShimSharedSealed(fd));
        g_assert_false(isGuestMemfd(fd));

        errno = STRANGE_ERRNO;
        g_assert_cmpint(gmemShimSharedResize(fd, BACKEND_SIZE, vm, ftruncate), ==, 0);
        g_assert_true(gmemShimSharedSealed(fd));
        g_assert_cmpint(errno, ==, STRANGE_ERRNO);
        g_assert_true(isGuestMemfd(fd));
        g_assert_cmpint(fcntl(fd, F_GETFD), ==, closeOnExec);
        g_assert_cmpint(fstat(fd, &file), ==, 0);
        g_assert_cmpint(file.st_size, ==, BACKEND_SIZE);

        g_assert_cmpuint(countDescriptors(), ==, before + 1);

        memory = mmap(NULL, BACKEND_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        g_assert_true(memory != MAP_FAILED);
        memory[BACKEND_SIZE - 1] = 'x';
        g_assert_cmpint(munmap(memory, BACKEND_SIZE), ==, 0);

        /* A second ftruncate is the kernel's affair, and it refuses. */
        g_assert_cmpint(gmemShimSharedResize(fd, 2 * BACKEND_SIZE, vm, ftruncate), ==, -1);
        g_assert_cmpint(errno, ==, EINVAL);
        close(fd);
    }
    close(vm);
}

/* close() is not watched: the number is then another file's. */
static void
testSharedReuse(void)
{
    const int vm = openVM();
    struct stat file;
    int other;
    int fd;

    if (vm < 0)
        return;
    init(1, BACKEND_SIZE);

    fd = makeBackend(vm, 0);
    close(fd);
    other = (int)syscall(SYS_memfd_create, "other", MFD_ALLOW_SEALING);
    g_assert_cmpint(other, ==, fd);
    g_assert_true(gmemShimSharedMayHave(other));
    g_assert_false(gmemShimSharedSealed(other));
    g_assert_cmpint(gmemShimSharedResize(other, 12345, vm, ftruncate), ==, 0);
    g_assert_false(isGuestMemfd(other));
    g_assert_cmpint(fstat(other, &file), ==, 0);
    g_assert_cmpint(file.st_size, ==, 12345);
    close(other);

    fd = makeBackend(vm, 0);
    g_assert_cmpint(fd, ==, other);
    g_assert_true(isGuestMemfd(fd));
    g_assert_true(gmemShimSharedSealed(fd));
    close(fd);

    /* Also where the memfd never got a size. */
    fd = gmemShimSharedCreate(BACKEND_NAME, 0);
    close(fd);
    other = (int)syscall(SYS_memfd_create, "other", 0);
    g_assert_cmpint(other, ==, fd);
    g_assert_cmpint(gmemShimSharedResize(other, 4096, vm, ftruncate), ==, 0);
    g_assert_false(isGuestMemfd(other));
    close(other);
    close(vm);
}

static void
testSharedTableFull(void)
{
    const int vm = openVM();
    int fds[GMEM_SHIM_BACKENDS_MAX];
    g_autofree char *text = NULL;
    Captured captured;
    struct rlimit limit;

    if (vm < 0)
        return;
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    if (limit.rlim_cur < GMEM_SHIM_BACKENDS_MAX + 100) {
        limit.rlim_cur = GMEM_SHIM_BACKENDS_MAX + 100;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
            g_test_skip("RLIMIT_NOFILE is too low");
            close(vm);
            return;
        }
    }
    init(1, BACKEND_SIZE);

    for (size_t i = 0; i < GMEM_SHIM_BACKENDS_MAX; i++) {
        fds[i] = gmemShimSharedCreate(BACKEND_NAME, 0);
        g_assert_cmpint(fds[i], >=, 0);
    }
    captureStart(&captured);
    g_assert_cmpint(gmemShimSharedCreate(BACKEND_NAME, 0), ==, -1);
    g_assert_cmpint(errno, ==, ENFILE);
    text = captureEnd(&captured);
    g_assert_cmpstr(text, ==, "qemu-gmem: more than 512 memory backends\n");

    /* Files that are gone make room, also where other files have their numbers. */
    close(fds[3]);
    fds[3] = gmemShimSharedCreate(BACKEND_NAME, 0);
    g_assert_cmpint(fds[3], >=, 0);
    g_assert_cmpint(dup2(STDERR_FILENO, fds[100]), ==, fds[100]);
    {
        const int fd = makeBackend(vm, 0);

        g_assert_true(isGuestMemfd(fd));
        close(fd);
    }
    for (size_t i = 0; i < GMEM_SHIM_BACKENDS_MAX; i++)
        close(fds[i]);
    close(vm);
}

static void
testSharedRefusals(void)
{
    const int vm = openVM();
    g_autofree char *hugepages = NULL;
    g_autofree char *none = NULL;
    g_autofree char *odd = NULL;
    Captured captured;
    struct stat file;
    int fd;

    if (vm < 0)
        return;
    init(1, BACKEND_SIZE);

    captureStart(&captured);
    g_assert_cmpint(gmemShimSharedCreate(BACKEND_NAME, MFD_HUGETLB), ==, -1);
    g_assert_cmpint(errno, ==, EOPNOTSUPP);
    hugepages = captureEnd(&captured);
    g_assert_nonnull(strstr(hugepages, "asks for hugepages"));

    fd = gmemShimSharedCreate(BACKEND_NAME, 0);
    captureStart(&captured);
    g_assert_cmpint(gmemShimSharedResize(fd, BACKEND_SIZE, -1, ftruncate), ==, -1);
    g_assert_cmpint(errno, ==, ENODEV);
    none = captureEnd(&captured);
    g_assert_nonnull(strstr(none, "QEMU has created no KVM VM"));

    captureStart(&captured);
    g_assert_cmpint(gmemShimSharedResize(fd, BACKEND_SIZE + 1, vm, ftruncate), ==, -1);
    g_assert_cmpint(errno, ==, EINVAL);
    odd = captureEnd(&captured);
    g_assert_nonnull(strstr(odd, "ioctl KVM_CREATE_GUEST_MEMFD of 2097153 bytes failed: Invalid "
                                 "argument: the size is not a multiple of the page size"));

    /* The file is as it was, never an ordinary memfd with a size. */
    g_assert_cmpint(fstat(fd, &file), ==, 0);
    g_assert_cmpint(file.st_size, ==, 0);
    close(fd);
    close(vm);
}

static void *
mapBackend(int fd)
{
    void *memory = mmap(NULL, BACKEND_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    g_assert_true(memory != MAP_FAILED);
    return memory;
}

static void
setSlot(unsigned int slot, guint64 guest, const void *memory)
{
    const struct kvm_userspace_memory_region region = {
        .slot = slot,
        .guest_phys_addr = guest,
        .memory_size = BACKEND_SIZE,
        .userspace_addr = (guint64)memory,
    };

    errno = STRANGE_ERRNO;
    gmemShimSharedSlot(&region);
    g_assert_cmpint(errno, ==, STRANGE_ERRNO);
}

static void
assertUnverified(const char *why)
{
    char reason[GMEM_SHIM_REPORT_MAX] = "";

    g_assert_false(gmemShimSharedVerify(reason, sizeof(reason)));
    g_test_message("%s", reason);
    g_assert_nonnull(strstr(reason, why));
}

static void
testSharedVerify(void)
{
    const int vm = openVM();
    char reason[GMEM_SHIM_REPORT_MAX];
    void *memory[3];
    void *ordinary;
    int fd[3];

    if (vm < 0)
        return;
    ordinary = mmap(NULL, BACKEND_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    init(2, 2 * BACKEND_SIZE);
    assertUnverified("QEMU made 0 guest_memfds of 0 bytes");

    fd[0] = makeBackend(vm, 0);
    memory[0] = mapBackend(fd[0]);
    setSlot(0, 0, memory[0]);
    assertUnverified("QEMU made 1 guest_memfds of 2097152 bytes");

    /* A memfd that never got a size is no guest_memfd. */
    close(gmemShimSharedCreate(BACKEND_NAME, 0));
    assertUnverified("QEMU made 1 guest_memfds of 2097152 bytes");

    fd[1] = makeBackend(vm, 0);
    memory[1] = mapBackend(fd[1]);
    assertUnverified("is in no memory slot");
    setSlot(1, 1ULL << 32, ordinary);
    assertUnverified("is in no memory slot");
    setSlot(1, 1ULL << 32, (char *)memory[1] + BACKEND_SIZE - 4096);
    g_assert_true(gmemShimSharedVerify(reason, sizeof(reason)));

    /* Plugged in before the guest ran: not counted. */
    fd[2] = makeBackend(vm, 0);
    g_assert_true(gmemShimSharedVerify(reason, sizeof(reason)));
    memory[2] = mapBackend(fd[2]);

    setSlot(0, 0, ordinary);
    assertUnverified("the RAM at guest address 0 is not guest_memfd");
    /* What a CPU in system management mode sees does not count. */
    setSlot(0x10000, 0, memory[0]);
    assertUnverified("the RAM at guest address 0 is not guest_memfd");
    setSlot(0, 0, memory[2]);
    g_assert_true(gmemShimSharedVerify(reason, sizeof(reason)));
    setSlot(0x10000, 0, ordinary);
    g_assert_true(gmemShimSharedVerify(reason, sizeof(reason)));

    init(2, 2 * BACKEND_SIZE + 1);
    assertUnverified("of 4194305 bytes in all");

    for (size_t i = 0; i < 3; i++) {
        munmap(memory[i], BACKEND_SIZE);
        close(fd[i]);
    }
    munmap(ordinary, BACKEND_SIZE);
    close(vm);
}

static void
testReal(void)
{
    gmemShimRealTable *real;

    errno = STRANGE_ERRNO;
    real = gmemShimReal();
    g_assert_cmpint(errno, ==, STRANGE_ERRNO);
    g_assert_true(real == gmemShimReal());
    g_assert_nonnull(real->startMain);
    g_assert_nonnull(real->ioctl);
    g_assert_nonnull(real->memfdCreate);
    g_assert_nonnull(real->ftruncate);
    g_assert_nonnull(real->ftruncate64);
    g_assert_nonnull(real->fcntl);
    g_assert_nonnull(real->fcntl64);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/shim/config/good", testConfigGood);
    g_test_add_func("/shim/config/convertible", testConfigConvertible);
    g_test_add_func("/shim/config/bad", testConfigBad);
    g_test_add_func("/shim/config/long", testConfigLong);
    g_test_add_func("/shim/argv", testArgv);
    g_test_add_func("/shim/argv/empty", testArgvEmpty);
    g_test_add_func("/shim/preload", testPreload);
    g_test_add_func("/shim/report", testReport);
    g_test_add_func("/shim/real", testReal);
    g_test_add_func("/shim/shared/verify", testSharedVerify);
    g_test_add_func("/shim/shared/backend", testSharedBackend);
    g_test_add_func("/shim/shared/reuse", testSharedReuse);
    g_test_add_func("/shim/shared/table-full", testSharedTableFull);
    g_test_add_func("/shim/shared/refusals", testSharedRefusals);
    return g_test_run();
}
