/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolargv.c: the command line that QEMU would get, compared with stock libvirt's.
 *
 * This process has libvirt-gmem.so in front of libvirt (gmemtoolrun.c). Stock libvirt's answer
 * comes from libvirt's own function, which is looked up in libvirt's own file. */

#include "config.h"

#include "gmemtool.h"

#include <dlfcn.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "gmemmode.h"
#include "gmempreload.h"
#include "gmemxml.h"

#define GMEM_LIBVIRT_FILE "libvirt.so.0"
#define GMEM_NATIVE_FORMAT "qemu-argv"

typedef char *
gmemToNative(virConnectPtr conn, const char *format, const char *xml, unsigned int flags);

/* A word, quoted for a shell. */
static char *
quote(const char *word)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-_=+:,./@%";

    return word[0] != '\0' && strspn(word, safe) == strlen(word) ? g_strdup(word)
                                                                 : g_shell_quote(word);
}

/* Returns a variable, the emulator, or an option with its value, each as one line. */
static GPtrArray *
toLines(const char *native, GError **error)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) words = NULL;
    char **word;

    if (!g_shell_parse_argv(native, NULL, &words, error))
        return NULL;
    for (word = words; *word != NULL; word++) {
        g_autofree char *quoted = NULL;

        /* libvirt shows the variable of its own process; a start removes it. */
        if (g_str_has_prefix(*word, "LD_PRELOAD=") &&
            strstr(*word, gmemPreloadListName(GMEM_PRELOAD_LIBRARY)) != NULL)
            continue;
        quoted = quote(*word);

        if ((*word)[0] == '-' && word[1] != NULL && word[1][0] != '-') {
            g_autofree char *value = quote(*++word);

            g_ptr_array_add(lines, g_strconcat(quoted, " ", value, NULL));
        } else {
            g_ptr_array_add(lines, g_steal_pointer(&quoted));
        }
    }
    return g_steal_pointer(&lines);
}

static bool
has(const GPtrArray *lines, const char *line)
{
    guint i;

    for (i = 0; i < lines->len; i++) {
        if (strcmp(lines->pdata[i], line) == 0)
            return true;
    }
    return false;
}

static void
printMarked(char mark, gmemToolColour colour, const char *line)
{
    printf("%s%c %s%s\n", gmemToolPaint(stdout, colour), mark, line,
           gmemToolPaint(stdout, GMEM_TOOL_PLAIN));
}

/* Lines that both have are in the order of the new ones, and removed lines come before added ones.
 */
static void
printDifference(const GPtrArray *old, const GPtrArray *new)
{
    guint i = 0;
    guint j;

    for (j = 0; j <= new->len; j++) {
        bool common = j < new->len &&has(old, new->pdata[j]);

        for (; i < old->len && (!has(new, old->pdata[i]) || common || j == new->len); i++) {
            if (common && strcmp(old->pdata[i], new->pdata[j]) == 0)
                break;
            if (!has(new, old->pdata[i]))
                printMarked('-', GMEM_TOOL_RED, old->pdata[i]);
        }
        if (j < new->len)
            printMarked(common ? ' ' : '+', common ? GMEM_TOOL_PLAIN : GMEM_TOOL_GREEN,
                        new->pdata[j]);
        if (common)
            i++;
    }
}

/* libvirt invents a UUID if there is none, a different one for each command line. */
static char *
withUUID(const char *xml)
{
    g_autoptr(gmemXML) document = gmemXMLParse(xml, NULL);
    g_autoptr(gmemXMLEdit) edit = document != NULL ? gmemXMLEditNew(document) : NULL;
    g_autofree char *uuid = g_uuid_string_random();
    g_autofree char *markup = g_strdup_printf("<uuid>%s</uuid>", uuid);

    if (document == NULL || gmemXMLFindFirst(gmemXMLRoot(document), "uuid") != NULL)
        return g_strdup(xml);
    gmemXMLEditPrepend(edit, gmemXMLRoot(document), markup);
    return gmemXMLEditApply(edit);
}

/* The domain without the two elements; the library has already parsed @xml. */
static char *
withoutElements(const char *xml)
{
    g_autoptr(gmemXML) document = gmemXMLParse(xml, NULL);
    g_autoptr(gmemXMLEdit) edit = document != NULL ? gmemXMLEditNew(document) : NULL;
    gmemXMLNode *node;

    if (document == NULL)
        return g_strdup(xml);
    node = gmemXMLFindFirst(gmemXMLRoot(document), "memoryBacking/" GMEM_MODE_PRIVATE);
    if (node != NULL)
        gmemXMLEditRemove(edit, node);
    if ((node = gmemXMLFindFirst(gmemXMLRoot(document), GMEM_MODE_LAUNCH)) != NULL) {
        g_autofree char *type = gmemXMLAttribute(node, "type");

        if (g_strcmp0(type, GMEM_MODE_LAUNCH_TYPE) == 0)
            gmemXMLEditRemove(edit, node);
    }
    return gmemXMLEditApply(edit);
}

static GPtrArray *
ask(gmemToNative *toNative, virConnectPtr conn, const char *xml)
{
    char *native = toNative != NULL ? toNative(conn, GMEM_NATIVE_FORMAT, xml, 0) : NULL;
    g_autoptr(GError) error = NULL;
    GPtrArray *lines = native != NULL ? toLines(native, &error) : NULL;

    if (native == NULL)
        gmemToolError("%s", virGetLastErrorMessage());
    else if (lines == NULL)
        gmemToolError("%s", error->message);
    free(native);
    return lines;
}

/* The lines of stock libvirt. */
static GPtrArray *
askStock(virConnectPtr conn, const char *xml)
{
    g_autofree char *plain = withoutElements(xml);
    void *libvirt = dlopen(GMEM_LIBVIRT_FILE, RTLD_LAZY | RTLD_NOLOAD);
    gmemToNative *toNative;
    GPtrArray *lines;

    if (libvirt == NULL) {
        gmemToolError("%s", dlerror());
        return NULL;
    }
    *(void **)&toNative = dlsym(libvirt, "virConnectDomainXMLToNative");
    lines = ask(toNative, conn, plain);
    dlclose(libvirt);
    return lines;
}

int
gmemToolPrintArgv(virConnectPtr conn, const char *xml, bool diff)
{
    g_autofree char *whole = withUUID(xml);
    g_autoptr(GPtrArray) new = ask(virConnectDomainXMLToNative, conn, whole);
    g_autoptr(GPtrArray) old = NULL;
    guint i;

    if (new == NULL || (diff && (old = askStock(conn, whole)) == NULL))
        return -1;
    if (diff)
        printDifference(old, new);
    for (i = 0; !diff && i < new->len; i++)
        printf("%s%s\n", (char *)new->pdata[i], i + 1 < new->len ? " \\" : "");
    return 0;
}
