/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimproof.c: proves that the calls that QEMU makes reach the shim.
 *
 * Even if the shim is loaded, QEMU's calls may not reach it: another library that is preloaded
 * before it may have functions with the same names, and make the system calls by itself. RAM would
 * then be ordinary memory, and KVM_RUN, before which that would be noticed, is such a call, too.
 *
 * The dynamic linker decides for each name which function a call of QEMU's reaches, and stores it
 * in the slot of the program's relocation. So each function is called once through that slot, with
 * arguments that do no harm in any implementation (no descriptor, no size, no such request), one of
 * which is the address of a variable of ours. A function of a sanitizer or tracer that passes calls
 * on is fine, because they arrive. A slot that is not bound yet (lazy binding) is bound by the
 * call. */

#include "gmemshimproof.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "gmemplatform.h"
#include "gmemshimerrno.h"
#include "gmemshimreal.h"

/* A request that no driver has, without data that a sanitizer would examine. */
#define GMEM_SHIM_PROOF_REQUEST _IO(0, 0)
#define GMEM_SHIM_PROOF_NONE (~0U) /* no such flags, command, policy */

typedef void gmemShimProofTry(void *function, const void *word);
typedef long gmemShimProofMbind(void *base,
                                unsigned long size,
                                int policy,
                                const void *nodes,
                                unsigned long max,
                                unsigned flags);

const void *_Atomic gmemShimProofWord;
static bool gmemShimProofSeen;
/* Also a name, for memfd_create. */
static const char gmemShimProofOwn[] = "qemu-gmem";

static void
gmemShimProofIoctl(void *function, const void *word)
{
    ((gmemShimIoctl *)function)(-1, GMEM_SHIM_PROOF_REQUEST, word);
}

static void
gmemShimProofMemfdCreate(void *function, const void *word)
{
    ((gmemShimMemfdCreate *)function)(word, GMEM_SHIM_PROOF_NONE);
}

static void
gmemShimProofFtruncate(void *function, const void *word)
{
    ((gmemShimFtruncate *)function)(-1, (off_t)(intptr_t)word);
}

static void
gmemShimProofFcntl(void *function, const void *word)
{
    ((gmemShimFcntl *)function)(-1, F_GETFD, word);
}

static void
gmemShimProofMmap(void *function, const void *word)
{
    ((gmemShimMmap *)function)((void *)(uintptr_t)word, 0, PROT_NONE, MAP_PRIVATE, -1, 0);
}

static void
gmemShimProofMadvise(void *function, const void *word)
{
    ((gmemShimMadvise *)function)((void *)(uintptr_t)word, 0, (int)GMEM_SHIM_PROOF_NONE);
}

static void
gmemShimProofBind(void *function, const void *word)
{
    ((gmemShimProofMbind *)function)((void *)(uintptr_t)word, 0, (int)GMEM_SHIM_PROOF_NONE, NULL, 0,
                                     GMEM_SHIM_PROOF_NONE);
}

/* To add a function that the shim interposes: here, too. Of the functions with the same `need`, one
 * has to be imported, because QEMU creates and runs memory with them. */
static const struct {
    const char *name;
    const char *need;
    gmemShimProofTry *call;
} gmemShimProofs[] = {
    {.name = "ioctl", .need = "ioctl", .call = gmemShimProofIoctl},
    {.name = "memfd_create", .call = gmemShimProofMemfdCreate},
    {.name = "ftruncate", .call = gmemShimProofFtruncate},
    {.name = "ftruncate64", .call = gmemShimProofFtruncate},
    {.name = "fcntl", .call = gmemShimProofFcntl},
    {.name = "fcntl64", .call = gmemShimProofFcntl},
    {.name = "mmap", .need = "mmap", .call = gmemShimProofMmap},
    {.name = "mmap64", .need = "mmap", .call = gmemShimProofMmap},
    {.name = "madvise", .call = gmemShimProofMadvise},
    {.name = "mbind", .call = gmemShimProofBind},
};
#define GMEM_SHIM_PROOFS (sizeof(gmemShimProofs) / sizeof(gmemShimProofs[0]))

typedef struct {
    uintptr_t base; /* what the program's addresses are moved by */
    const ElfW(Sym) * symbols;
    const char *names;
    const ElfW(Rela) * tables[2]; /* of functions, and of all else */
    size_t counts[2];
    bool imported[GMEM_SHIM_PROOFS];
    char *reason;
    size_t reasonSize;
    bool proven;
} gmemShimProofProgram;

/* The dynamic linker has relocated the addresses in segments that it can write to. */
static const void *
gmemShimProofAddress(const gmemShimProofProgram *program, const ElfW(Dyn) * entry)
{
    const uintptr_t address = entry->d_un.d_ptr;

    return (const void *)(address < program->base ? program->base + address : address);
}

static void
gmemShimProofRead(gmemShimProofProgram *program, const ElfW(Dyn) * entry)
{
    for (; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_SYMTAB)
            program->symbols = gmemShimProofAddress(program, entry);
        else if (entry->d_tag == DT_STRTAB)
            program->names = gmemShimProofAddress(program, entry);
        else if (entry->d_tag == DT_JMPREL)
            program->tables[0] = gmemShimProofAddress(program, entry);
        else if (entry->d_tag == DT_PLTRELSZ)
            program->counts[0] = entry->d_un.d_val / sizeof(ElfW(Rela));
        else if (entry->d_tag == DT_RELA)
            program->tables[1] = gmemShimProofAddress(program, entry);
        else if (entry->d_tag == DT_RELASZ)
            program->counts[1] = entry->d_un.d_val / sizeof(ElfW(Rela));
    }
}

/* Calls what the program has in @slot for an interposed function. */
static void
gmemShimProofTryOne(gmemShimProofProgram *program, size_t index, void *slot)
{
    Dl_info where = {0};
    void *function;

    memcpy(&function, slot, sizeof(function));
    if (function == NULL)
        return;
    program->imported[index] = true;
    gmemShimProofSeen = false;
    gmemShimProofs[index].call(function, gmemShimProofOwn);
    if (gmemShimProofSeen)
        return;
    if (dladdr(function, &where) == 0 || where.dli_fname == NULL)
        where.dli_fname = "?";
    snprintf(program->reason, program->reasonSize,
             "calls of %s() do not arrive at it, but at '%s': take that out of LD_PRELOAD, or "
             "have it pass calls on",
             gmemShimProofs[index].name, where.dli_fname);
    program->proven = false;
}

static void
gmemShimProofTryTable(gmemShimProofProgram *program, const ElfW(Rela) * table, size_t count)
{
    size_t i, j;

    for (i = 0; table != NULL && program->proven && i < count; i++) {
        const unsigned long type = ELF64_R_TYPE(table[i].r_info);
        const char *name;

        if (!gmemPlatformIsAddress(type))
            continue;
        name = program->names + program->symbols[ELF64_R_SYM(table[i].r_info)].st_name;
        for (j = 0; program->proven && j < GMEM_SHIM_PROOFS; j++) {
            if (strcmp(gmemShimProofs[j].name, name) == 0)
                gmemShimProofTryOne(program, j, (void *)(program->base + table[i].r_offset));
        }
    }
}

/* A call by system call number, or in a way that is not known here, would not be noticed. */
static void
gmemShimProofCheckNeeds(gmemShimProofProgram *program)
{
    size_t i, j;

    for (i = 0; program->proven && i < GMEM_SHIM_PROOFS; i++) {
        const char *need = gmemShimProofs[i].need;
        bool met = need == NULL;

        for (j = 0; !met && j < GMEM_SHIM_PROOFS; j++)
            met = program->imported[j] && gmemShimProofs[j].need == need;
        if (met)
            continue;
        snprintf(program->reason, program->reasonSize,
                 "the emulator does not import %s() from the C library", need);
        program->proven = false;
    }
}

/* Called for each object, starting with the program: dl_iterate_phdr(3). */
static int
gmemShimProofVisit(struct dl_phdr_info *info, size_t size, void *data)
{
    gmemShimProofProgram *program = data;
    size_t i;

    (void)size;
    program->base = info->dlpi_addr;
    for (i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            gmemShimProofRead(program,
                              (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr));
    }
    program->proven = true;
    if (program->symbols != NULL && program->names != NULL) {
        for (i = 0; i < 2; i++)
            gmemShimProofTryTable(program, program->tables[i], program->counts[i]);
    }
    gmemShimProofCheckNeeds(program);
    return 1;
}

void
gmemShimProofNote(void)
{
    gmemShimProofSeen = true;
}

bool
gmemShimProofRun(char *reason, size_t reasonSize)
{
    gmemShimProofProgram program = {.reason = reason, .reasonSize = reasonSize};
    GMEM_SHIM_KEEP_ERRNO;

    atomic_store(&gmemShimProofWord, gmemShimProofOwn);
    dl_iterate_phdr(gmemShimProofVisit, &program);
    atomic_store(&gmemShimProofWord, NULL);
    return program.proven;
}
