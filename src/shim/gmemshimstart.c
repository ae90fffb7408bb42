/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimstart.c: what has to be done before a program's main: is it QEMU, argv, environment.
 *
 * The shim is preloaded into what libvirt executes, which may not be QEMU: <emulator> may name a
 * script that ends in `exec qemu-system-x86_64 "$@"`, or a compiled program that does the same.
 * Such a process must pass the pair and LD_PRELOAD on as they are. If the pair were removed there,
 * the QEMU that it starts would run with ordinary memory and nobody would notice. So QEMU is
 * recognised by what it must have, and not others by what they lack: every string in
 * gmemShimStartMarks[], including its NUL, is in the read-only segments of the main executable. In
 * doubt the pair stays, and then QEMU refuses to start ("invalid option"). */

#include "gmemshimstart.h"

#include <link.h>
#include <stdio.h>
#include <string.h>

#include "gmemargv.h"
#include "gmempreloadlist.h"
#include "gmemqemunames.h"

/* The text and its size for the search, which includes the terminating NUL. A wrapper that edits
 * the emulator's options can contain the first ones, but neither KVM nor a monitor of its own. */
#define GMEM_SHIM_MARK(text, ...)                                                                  \
    {                                                                                              \
        text, sizeof(text), __VA_ARGS__                                                            \
    }
static const struct {
    const char *text;
    size_t size;
    bool memfd; /* only where a memfd is to be replaced */
} gmemShimStartMarks[] = {
    GMEM_SHIM_MARK(GMEM_QEMU_MEMORY_BACKEND_RAM, false),  /* memory backends */
    GMEM_SHIM_MARK("/dev/kvm", false),                    /* the accelerator */
    GMEM_SHIM_MARK("query-qmp-schema", false),            /* the monitor */
    GMEM_SHIM_MARK(GMEM_QEMU_MEMORY_BACKEND_MEMFD, true), /* the object whose memory is replaced */
    GMEM_SHIM_MARK("memfd_create", true), /* imported: the way it gets that memory */
};

/* The strings that are looked for, and those that were found. */
typedef struct {
    bool memfd;
    bool found;
} gmemShimStartSearch;

/* @executable: PF_X to search the segments with code, 0 to search the others */
static bool
gmemShimStartSegmentsHave(const struct dl_phdr_info *info,
                          const char *mark,
                          size_t size,
                          uint32_t executable)
{
    size_t i;

    for (i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        const void *start = (const void *)(info->dlpi_addr + segment->p_vaddr);

        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0 ||
            (segment->p_flags & PF_R) == 0 || (segment->p_flags & PF_X) != executable)
            continue;
        if (memmem(start, segment->p_filesz, mark, size) != NULL)
            return true;
    }
    return false;
}

/* Called for each object, starting with the program: dl_iterate_phdr(3). */
static int
gmemShimStartVisit(struct dl_phdr_info *info, size_t size, void *data)
{
    gmemShimStartSearch *search = data;
    size_t i;

    (void)size;
    search->found = true;
    for (i = 0; search->found && i < sizeof(gmemShimStartMarks) / sizeof(gmemShimStartMarks[0]);
         i++) {
        const char *text = gmemShimStartMarks[i].text;
        const size_t length = gmemShimStartMarks[i].size;

        /* Many megabytes are code, which has no strings where the linker keeps it apart. */
        if (search->memfd || !gmemShimStartMarks[i].memfd)
            search->found = gmemShimStartSegmentsHave(info, text, length, 0) ||
                            gmemShimStartSegmentsHave(info, text, length, PF_X);
    }
    return 1;
}

bool
gmemShimStartIsQEMU(char *const argv[])
{
    gmemShimStartSearch search = {.memfd = false};
    gmemArgvOption pair;

    if (gmemArgvFind(argv, GMEM_SHIM_OPTION, &pair) > 0 && pair.value != NULL)
        search.memfd = !gmemShimConfigHasMode(pair.value, GMEM_MODE_CONVERTIBLE);
    dl_iterate_phdr(gmemShimStartVisit, &search);
    return search.found;
}

bool
gmemShimStartHasPair(char *const argv[])
{
    gmemArgvOption first;

    return gmemArgvFind(argv, GMEM_SHIM_OPTION, &first) > 0;
}

/* libvirt-gmem has checked the options that create memory. A wrapper script may have added others
 * since: "-device pc-dimm" with an ordinary memory backend. */
static bool
gmemShimStartCompare(char *const argv[],
                     const gmemShimConfig *config,
                     char *reason,
                     size_t reasonSize)
{
    gmemArgvOption option;
    size_t position = 0;
    unsigned int found = 0;

    while (config->nOptions > 0 && gmemArgvNext(argv, &position, &option)) {
        if (!gmemArgvMakesMemory(&option))
            continue;
        if (found < config->nOptions && gmemArgvHash(&option) == config->options[found]) {
            found++;
            continue;
        }
        snprintf(reason, reasonSize,
                 "'-%s %.300s' is not what libvirt-gmem gave to the emulator: a wrapper must "
                 "neither add, change nor reorder options that make memory",
                 option.name, option.value != NULL ? option.value : "");
        return false;
    }
    if (found == config->nOptions)
        return true;
    snprintf(reason, reasonSize,
             "of %u options that make memory, which libvirt-gmem gave to the emulator, a wrapper "
             "has left only %u",
             config->nOptions, found);
    return false;
}

gmemShimArgvResult
gmemShimStartTakePair(
    int *argc, char ***argv, gmemShimConfig *config, char *reason, size_t reasonSize)
{
    gmemArgvOption pair;
    const size_t count = gmemArgvFind(*argv, GMEM_SHIM_OPTION, &pair);

    if (count == 0)
        return GMEM_SHIM_ARGV_ABSENT;
    if (count > 1) {
        snprintf(reason, reasonSize, "it is given %zu times", count);
        return GMEM_SHIM_ARGV_REFUSED;
    }
    if (pair.value == NULL) {
        snprintf(reason, reasonSize, "it has no value");
        return GMEM_SHIM_ARGV_REFUSED;
    }
    if (!gmemShimConfigParse(pair.value, config, reason, reasonSize))
        return GMEM_SHIM_ARGV_REFUSED;
    if (!gmemShimStartCompare(*argv, config, reason, reasonSize)) {
        gmemShimConfigClear(config);
        return GMEM_SHIM_ARGV_REFUSED;
    }

    memmove(*argv + pair.count, *argv, pair.index * sizeof(**argv));
    *argv += pair.count;
    *argc -= (int)pair.count;
    return GMEM_SHIM_ARGV_TAKEN;
}

void
gmemShimStartDropPreload(char **environment)
{
    static const char name[] = "LD_PRELOAD=";
    char **from;
    char **to = environment;

    for (from = environment; *from != NULL; from++) {
        if (strncmp(*from, name, strlen(name)) == 0) {
            char *list = *from + strlen(name);

            gmemPreloadListFilter(list);
            if (gmemPreloadListIsEmpty(list))
                continue;
        }
        *to++ = *from;
    }
    *to = NULL;
}
