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
 * Where this program's own libraries are: in the build tree if this program is in one, otherwise
 * where they are installed. Does not check whether they exist. Never fails.
 */
gmemToolFiles *gmemToolFilesFind(void);

void gmemToolFilesFree(gmemToolFiles *files);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemToolFiles, gmemToolFilesFree)

/**
 * gmemToolOpenAs:
 * @uid, @gid: the user, with the groups that the system's user database gives to @uid, including
 * its primary one
 * @path: a file
 * @flags: of open(2)
 *
 * Returns 0 if that user may open it, otherwise the errno. Requires root unless @uid is the caller.
 */
int gmemToolOpenAs(uid_t uid, gid_t gid, const char *path, int flags);

/**
 * gmemToolFileFault:
 * @path: a file of this project
 *
 * Returns NULL if it can be read, otherwise the reason and the remedy, translated; free with
 * g_free().
 */
char *gmemToolFileFault(const char *path);

/**
 * gmemToolDaemonsDescribe:
 * @library: where libvirt-gmem.so is, for the remedy
 * @good: out: whether all of them have it, and its file is still the one on disk
 *
 * Returns for each libvirtd and virtqemud on this host, of the system or of a session, which
 * libvirt-gmem it has, translated, to be freed with g_free(). Returns NULL if none is running, with
 * @good true.
 */
char *gmemToolDaemonsDescribe(const char *library, bool *good);

/* gmemToolUserName: the user's name or, if there is none, its number; free with g_free(). */
char *gmemToolUserName(uid_t uid);

/* gmemToolError: prints "error: " and the message, with a newline, on standard error. */
void gmemToolError(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* gmemToolPrint: prints @text on standard output. Returns 0, or GMEM_TOOL_EXIT_FAILED if not all of
 * it could be written. */
int gmemToolPrint(const char *text);

typedef enum {
    GMEM_TOOL_PLAIN = 0,
    GMEM_TOOL_GREEN,
    GMEM_TOOL_YELLOW,
    GMEM_TOOL_RED,
} gmemToolColour;

/* gmemToolPaint: the text that switches a terminal on @out to that colour, as in
 * virt-host-validate; "" if @out is not a terminal, or if NO_COLOR in the environment has a value.
 * GMEM_TOOL_PLAIN ends a colour. */
const char *gmemToolPaint(FILE *out, gmemToolColour colour);

/**
 * gmemToolRead:
 * @path: a file, or "-" for standard input
 *
 * Returns its text, to be freed with g_free(), or prints the reason and returns NULL. A text that
 * contains a NUL is refused.
 */
char *gmemToolRead(const char *path);

/**
 * gmemToolParse:
 * @entries: the verb's options
 * @argc, @argv: what follows the program's name, the verb first; parsed options are removed
 * @parameters: for --help, what follows the options
 * @summary: for --help
 *
 * Returns false after printing the error.
 */
bool gmemToolParse(const GOptionEntry *entries,
                   int *argc,
                   char ***argv,
                   const char *parameters,
                   const char *summary);

/**
 * gmemToolXMLPrepare:
 * @text: a domain's XML, possibly dumped from a running one
 * @emulator: replaces its <emulator>; NULL: keep it
 * @notes: where to print what was omitted
 * @kvm: out: whether the domain is to run with KVM
 * @error: VIR_ERR_CONFIG_UNSUPPORTED: it has something that requires a daemon and cannot be omitted
 *
 * Returns the XML without what requires a daemon, after printing to @notes what that is; @text
 * itself if it cannot be parsed. Free with g_free().
 */
char *
gmemToolXMLPrepare(const char *text, const char *emulator, FILE *notes, bool *kvm, GError **error);

/**
 * gmemToolPrintArgv:
 * @conn: libvirt's embedded driver, with libvirt-gmem.so in front of it
 * @xml: a domain
 * @diff: compare with what libvirt would make of it without the two elements
 *
 * Prints the command line that QEMU would get, one option per line. Returns 0, or -1 after printing
 * the error.
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
