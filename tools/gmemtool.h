/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtool.h: what the verbs of virt-gmem share. */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* Exit statuses, as docs/manpages/virt-gmem.rst lists them. */
#define GMEM_TOOL_EXIT_HOST_BOTH 0
#define GMEM_TOOL_EXIT_HOST_FULLY_SHARED 1
#define GMEM_TOOL_EXIT_HOST_CONVERTIBLE 2
#define GMEM_TOOL_EXIT_HOST_NONE 3
#define GMEM_TOOL_EXIT_FAILED 1
#define GMEM_TOOL_EXIT_USAGE 64
#define GMEM_TOOL_EXIT_SIGNAL 128 /* plus its number */

typedef struct {
    char *library; /* libvirt-gmem.so, absolute */
    char *shim;    /* qemu-gmem.so, absolute */
    char *self;    /* this program, absolute */
} gmemToolFiles;

/**
 * gmemToolFilesFind:
 *
 * Where this program's own libraries are, judged by where it lies itself: in a build tree beside
 * it, else where they get installed. Says nothing about whether they are there. Never fails.
 */
gmemToolFiles *gmemToolFilesFind(void);

void gmemToolFilesFree(gmemToolFiles *files);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemToolFiles, gmemToolFilesFree)

/**
 * gmemToolOpenAs:
 * @uid, @gid: who, with the groups that the system's user database gives @uid, its primary one
 * included
 * @path: a file
 * @flags: of open(2)
 *
 * Returns 0 where that user may open it, else the errno. Needs root unless @uid is the caller.
 */
int gmemToolOpenAs(uid_t uid, gid_t gid, const char *path, int flags);

/**
 * gmemToolFileFault:
 * @path: a file of this project's
 *
 * Returns NULL where it can be read, else why not and the remedy, translated; free with g_free().
 */
char *gmemToolFileFault(const char *path);

/**
 * gmemToolDaemonsDescribe:
 * @library: where libvirt-gmem.so is, for the remedy
 * @good: out: whether all of them have it, and its file is still the one on disk
 *
 * Returns what each libvirtd and virtqemud of this host, be it the system's or a session's, has of
 * libvirt-gmem, translated, to be freed with g_free(); NULL where none is running, with @good true.
 */
char *gmemToolDaemonsDescribe(const char *library, bool *good);

/* gmemToolUserName: the user's name or, where it has none, its number; free with g_free(). */
char *gmemToolUserName(uid_t uid);

/* gmemToolError: prints "error: " and the message, with a newline, on standard error. */
void gmemToolError(const char *format, ...) G_GNUC_PRINTF(1, 2);

typedef enum {
    GMEM_TOOL_PLAIN = 0,
    GMEM_TOOL_GREEN,
    GMEM_TOOL_YELLOW,
    GMEM_TOOL_RED,
} gmemToolColour;

/* gmemToolPaint: what switches a terminal on @out to that colour, as virt-host-validate does; ""
 * where
 * @out is not a terminal, or NO_COLOR in the environment has a value. GMEM_TOOL_PLAIN ends a
 * colour.
 */
const char *gmemToolPaint(FILE *out, gmemToolColour colour);

/**
 * gmemToolRead:
 * @path: a file, or "-": standard input
 *
 * Returns its text, to be freed with g_free(), or NULL having printed why not. A text with a NUL in
 * it is refused.
 */
char *gmemToolRead(const char *path);

/**
 * gmemToolParse:
 * @entries: the verb's options
 * @argc, @argv: what follows the program's name, the verb first; parsed options are removed
 * @parameters: for --help, what follows the options
 * @summary: for --help
 *
 * Returns false having printed what is wrong.
 */
bool gmemToolParse(const GOptionEntry *entries,
                   int *argc,
                   char ***argv,
                   const char *parameters,
                   const char *summary);

/**
 * gmemToolXMLPrepare:
 * @text: a domain's XML, perhaps dumped from a running one
 * @emulator: what its <emulator> is to be; NULL: as it is
 * @notes: where it is said what was left out
 * @kvm: out: whether the domain is to run by KVM
 * @error: VIR_ERR_CONFIG_UNSUPPORTED: it has something that requires a daemon and cannot be left
 * out
 *
 * Returns the XML without what requires a daemon, having said on @notes what that is;
 * @text itself where it cannot be parsed. Free with g_free().
 */
char *
gmemToolXMLPrepare(const char *text, const char *emulator, FILE *notes, bool *kvm, GError **error);

/**
 * gmemToolPrintArgv:
 * @conn: libvirt's embedded driver, with libvirt-gmem.so in front of it
 * @xml: a domain
 * @diff: beside what libvirt would make of it without the two elements
 *
 * Prints the command line that QEMU would get, an option a line. Returns 0, or -1 having printed
 * what is wrong.
 */
int gmemToolPrintArgv(virConnectPtr conn, const char *xml, bool diff);

/* The verbs; argv[0] is the verb. They return the exit status. */
int gmemToolArgv(int argc, char **argv);
int gmemToolEmulator(int argc, char **argv);
int gmemToolExplain(int argc, char **argv);
int gmemToolHost(int argc, char **argv);
int gmemToolLower(int argc, char **argv);
int gmemToolRaise(int argc, char **argv);
int gmemToolRun(int argc, char **argv);
int gmemToolSchema(int argc, char **argv);
int gmemToolStatus(int argc, char **argv);
int gmemToolValidate(int argc, char **argv);
