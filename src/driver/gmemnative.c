/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnative.c: the command line as text, which is what domxml-to-native gives.
 *
 * The text is `NAME=VALUE … program argument …`, each word quoted for a shell where it has to be.
 * It is split into words here, each kept beside its own spelling, so that what is not ours to
 * change comes out as the same bytes. */

#include "gmemnative.h"

#include <string.h>

#include "gmemcommand.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmempreload.h"
#include "gmemprocess.h"

/* A character of these makes libvirt quote a word (seen in the output of 9.0.0 … 12.8.0). */
#define GMEM_NATIVE_QUOTED "\r\t\n !\"#$&'()*;<>?[\\]^`{|}~"

#define GMEM_NATIVE_PRELOAD "LD_PRELOAD="

/* Two arrays in parallel: the words as the shell would hand them on, and as they are spelled. */
typedef struct {
    GPtrArray *values;
    GPtrArray *spelled;
    size_t nenv; /* how many of them are the environment */
} gmemNativeWords;

static void
gmemNativeWordsFree(gmemNativeWords *words)
{
    g_ptr_array_unref(words->values);
    g_ptr_array_unref(words->spelled);
    g_free(words);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(gmemNativeWords, gmemNativeWordsFree)

static const char *
gmemNativeWordEnd(const char *p)
{
    char quote = '\0';

    for (; *p != '\0'; p++) {
        if (*p == '\\' && quote != '\'' && p[1] != '\0')
            p++;
        else if (quote != '\0')
            quote = *p == quote ? '\0' : quote;
        else if (*p == '\'' || *p == '"')
            quote = *p;
        else if (g_ascii_isspace(*p))
            break;
    }
    return p;
}

/* Space between words, and the line ends that some versions of libvirt escape for readability. */
static const char *
gmemNativeSkipSpace(const char *p)
{
    while (g_ascii_isspace(*p) || (p[0] == '\\' && p[1] == '\n'))
        p += *p == '\\' ? 2 : 1;
    return p;
}

static bool
gmemNativeIsAssignment(const char *word)
{
    size_t length = strspn(word, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_");

    return length > 0 && word[length] == '=';
}

static gmemNativeWords *
gmemNativeSplit(const char *native)
{
    g_autoptr(gmemNativeWords) words = g_new0(gmemNativeWords, 1);
    const char *p = gmemNativeSkipSpace(native);

    words->values = g_ptr_array_new_with_free_func(g_free);
    words->spelled = g_ptr_array_new_with_free_func(g_free);
    while (*p != '\0') {
        const char *end = gmemNativeWordEnd(p);
        g_autofree char *spelled = g_strndup(p, end - p);
        char *value = g_shell_unquote(spelled, NULL);

        if (value == NULL)
            return NULL;
        if (words->nenv == words->values->len && gmemNativeIsAssignment(value))
            words->nenv++;
        g_ptr_array_add(words->values, value);
        g_ptr_array_add(words->spelled, g_steal_pointer(&spelled));
        p = gmemNativeSkipSpace(end);
    }
    g_ptr_array_add(words->values, NULL);
    return g_steal_pointer(&words);
}

static char *const *
gmemNativeArgv(const gmemNativeWords *words)
{
    return (char *const *)words->values->pdata + words->nenv;
}

static void
gmemNativeAppend(GString *text, const char *word)
{
    g_autofree char *quoted = NULL;

    if (text->len > 0)
        g_string_append_c(text, ' ');
    if (word[0] != '\0' && strpbrk(word, GMEM_NATIVE_QUOTED) == NULL) {
        g_string_append(text, word);
        return;
    }
    quoted = g_shell_quote(word);
    g_string_append(text, quoted);
}

static void
gmemNativeAppendSpelled(GString *text, const char *spelled)
{
    if (text->len > 0)
        g_string_append_c(text, ' ');
    g_string_append(text, spelled);
}

static int
gmemNativeCompare(const void *left, const void *right)
{
    return strcmp(left, right);
}

/* Of each old word where it stands first, counted from 1, in *@first, and in @same, at each place,
 * the next place of the same word; 0: none. So that finding one does not cost more, the more there
 * are. */
static void
gmemNativeIndex(const gmemNativeWords *words, GTree *first, guint *same)
{
    guint place;

    for (place = words->spelled->len; place > words->nenv; place--) {
        char *word = g_ptr_array_index(words->values, place - 1);

        same[place] = GPOINTER_TO_UINT(g_tree_lookup(first, word));
        g_tree_replace(first, word, GUINT_TO_POINTER(place));
    }
}

/* New words between and instead of old ones: an old word that comes next keeps its spelling. */
static void
gmemNativeAppendArgv(GString *text, const gmemNativeWords *words, char *const argv[])
{
    g_autoptr(GTree) first = g_tree_new(gmemNativeCompare);
    g_autofree guint *same = g_new0(guint, words->spelled->len + 1);
    guint last = 0;
    size_t i;

    gmemNativeIndex(words, first, same);
    for (i = 0; argv[i] != NULL; i++) {
        guint place = GPOINTER_TO_UINT(g_tree_lookup(first, argv[i]));

        while (place != 0 && place <= last)
            place = same[place];
        g_tree_replace(first, argv[i], GUINT_TO_POINTER(place));
        if (place != 0) {
            gmemNativeAppendSpelled(text, g_ptr_array_index(words->spelled, place - 1));
            last = place;
        } else {
            gmemNativeAppend(text, argv[i]);
        }
    }
}

bool
gmemNativeHasPair(const char *native)
{
    g_autoptr(gmemNativeWords) words = NULL;

    if (strstr(native, "x-libvirt-gmem") == NULL)
        return false;
    words = gmemNativeSplit(native);
    return words == NULL || gmemCommandHasPair(gmemNativeArgv(words));
}

char *
gmemNativeBuild(const char *native, const gmemQEMUCaps *caps, const char *shim, GError **error)
{
    g_autoptr(gmemNativeWords) words = gmemNativeSplit(native);
    g_autoptr(gmemCommand) command = NULL;
    GString *text;
    size_t i;

    if (words == NULL) {
        gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, _("cannot read libvirt's command line: %1$s"),
                     native);
        return NULL;
    }
    command = gmemCommandBuild(gmemNativeArgv(words), caps, error);
    if (command == NULL)
        return NULL;
    gmemCommandSeal(command, false);
    text = g_string_new(NULL);
    for (i = 0; i < words->nenv; i++) {
        const char *value = g_ptr_array_index(words->values, i);

        if (command->shim && g_str_has_prefix(value, GMEM_NATIVE_PRELOAD)) {
            g_autofree char *both = g_strconcat(value, ":", shim, NULL);

            gmemNativeAppend(text, both);
            shim = NULL;
        } else {
            gmemNativeAppendSpelled(text, g_ptr_array_index(words->spelled, i));
        }
    }
    if (command->shim && shim != NULL) {
        g_autofree char *preload = g_strconcat(GMEM_NATIVE_PRELOAD, shim, NULL);

        gmemNativeAppend(text, preload);
    }
    gmemNativeAppendArgv(text, words, command->argv);
    return g_string_free(text, FALSE);
}

/* LD_PRELOAD with only @rest in it, as libvirt would have written it. */
static void
gmemNativeAppendPreload(GString *text, const char *rest)
{
    g_autofree char *quoted = NULL;

    if (strpbrk(rest, GMEM_NATIVE_QUOTED) != NULL)
        quoted = g_shell_quote(rest);
    g_string_append_printf(text, "%s%s", GMEM_NATIVE_PRELOAD, quoted != NULL ? quoted : rest);
}

/* Where the environment ends: the program. */
static const char *
gmemNativeEnvironmentEnd(const char *p)
{
    while (*p != '\0') {
        const char *end = gmemNativeWordEnd(p);
        g_autofree char *spelled = g_strndup(p, end - p);
        g_autofree char *value = g_shell_unquote(spelled, NULL);

        if (value == NULL || !gmemNativeIsAssignment(value))
            break;
        p = gmemNativeSkipSpace(end);
    }
    return p;
}

char *
gmemNativeWithoutPreload(const char *native)
{
    const char *environment = gmemNativeEnvironmentEnd(native);
    const char *start = native;

    while (start < environment) {
        const char *end = gmemNativeWordEnd(start);
        const char *next = gmemNativeSkipSpace(end);
        g_autofree char *spelled = g_strndup(start, end - start);
        g_autofree char *value = g_shell_unquote(spelled, NULL);
        g_autofree char *rest = NULL;
        GString *text;

        if (value == NULL || !g_str_has_prefix(value, GMEM_NATIVE_PRELOAD)) {
            start = next;
            continue;
        }
        rest = gmemPreloadWithout(value + strlen(GMEM_NATIVE_PRELOAD));
        if (rest == NULL && !gmemProcessPreloadIsOurs())
            return NULL;
        text = g_string_new_len(native, start - native);
        if (rest == NULL) {
            /* A <qemu:env> replaced ours; with nothing to replace it comes last. */
            g_string_append_len(text, next, environment - next);
            g_string_append_printf(text, "%s ", spelled);
            g_string_append(text, environment);
        } else if (rest[0] != '\0') {
            gmemNativeAppendPreload(text, rest);
            g_string_append(text, end);
        } else {
            g_string_append(text, next);
        }
        return g_string_free(text, FALSE);
    }
    return NULL;
}
