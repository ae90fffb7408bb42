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

/* A word as it is spelled, in the text. */
typedef struct {
    const char *text;
    size_t length;
} gmemNativeWord;

/* Two arrays in parallel: the words as the shell would hand them on, and as they are spelled. */
struct gmemNative {
    GPtrArray *values;
    GArray *spelled; /* of gmemNativeWord */
    size_t nenv;     /* how many of them are the environment */
};

void
gmemNativeFree(gmemNative *words)
{
    if (words == NULL)
        return;
    g_ptr_array_unref(words->values);
    g_array_unref(words->spelled);
    g_free(words);
}

static const char *
gmemNativeWordEnd(const char *p)
{
    char quote = '\0';

    for (; *p != '\0'; p++) {
        if (*p == '\\' && quote != '\'' && p[1] != '\0')
            p++;
        else if (*p == quote)
            quote = '\0';
        else if (quote == '\0' && (*p == '\'' || *p == '"'))
            quote = *p;
        else if (quote == '\0' && g_ascii_isspace(*p))
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

/* What the shell makes of a word, to be freed with g_free(); NULL where its quotes do not end. Most
 * have none, or one pair around all of it. */
static char *
gmemNativeValue(const char *word, size_t length)
{
    g_autofree char *spelled = g_strndup(word, length);

    if (strpbrk(spelled, "'\"\\") == NULL)
        return g_steal_pointer(&spelled);
    if (word[0] == '\'' && strcspn(spelled + 1, "'") == length - 2)
        return g_strndup(word + 1, length - 2);
    return g_shell_unquote(spelled, NULL);
}

/* NULL where it cannot be read. */
static gmemNative *
gmemNativeSplit(const char *native)
{
    g_autoptr(gmemNative) words = g_new0(gmemNative, 1);
    const char *p = gmemNativeSkipSpace(native);

    words->values = g_ptr_array_new_with_free_func(g_free);
    words->spelled = g_array_new(FALSE, FALSE, sizeof(gmemNativeWord));
    while (*p != '\0') {
        const char *end = gmemNativeWordEnd(p);
        gmemNativeWord word = {p, (size_t)(end - p)};
        char *value = gmemNativeValue(p, word.length);

        if (value == NULL)
            return NULL;
        if (words->nenv == words->values->len && gmemNativeIsAssignment(value))
            words->nenv++;
        g_ptr_array_add(words->values, value);
        g_array_append_val(words->spelled, word);
        p = gmemNativeSkipSpace(end);
    }
    g_ptr_array_add(words->values, NULL);
    return g_steal_pointer(&words);
}

static char *const *
gmemNativeArgv(const gmemNative *words)
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
gmemNativeAppendSpelled(GString *text, const gmemNative *words, size_t i)
{
    const gmemNativeWord *word = &g_array_index(words->spelled, gmemNativeWord, i);

    if (text->len > 0)
        g_string_append_c(text, ' ');
    g_string_append_len(text, word->text, (gssize)word->length);
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
gmemNativeIndex(const gmemNative *words, GTree *first, guint *same)
{
    guint place;

    for (place = words->spelled->len; place > words->nenv; place--) {
        char *word = g_ptr_array_index(words->values, place - 1);

        same[place] = GPOINTER_TO_UINT(g_tree_lookup(first, word));
        g_tree_replace(first, word, GUINT_TO_POINTER(place));
    }
}

/* New words between and instead of old ones: an old word that comes next keeps its spelling. Most
 * come right after the one before. */
static void
gmemNativeAppendArgv(GString *text, const gmemNative *words, char *const argv[])
{
    g_autoptr(GTree) first = NULL;
    g_autofree guint *same = NULL;
    guint last = (guint)words->nenv;
    size_t i;

    for (i = 0; argv[i] != NULL; i++) {
        guint place = last + 1;

        if (g_strcmp0(g_ptr_array_index(words->values, last), argv[i]) != 0) {
            if (first == NULL) {
                first = g_tree_new(gmemNativeCompare);
                same = g_new0(guint, words->spelled->len + 1);
                gmemNativeIndex(words, first, same);
            }
            place = GPOINTER_TO_UINT(g_tree_lookup(first, argv[i]));
            while (place != 0 && place <= last)
                place = same[place];
            g_tree_replace(first, argv[i], GUINT_TO_POINTER(place));
        }
        if (place != 0) {
            gmemNativeAppendSpelled(text, words, place - 1);
            last = place;
        } else {
            gmemNativeAppend(text, argv[i]);
        }
    }
}

int
gmemNativeRead(const char *native, gmemNative **words, GError **error)
{
    *words = NULL;
    if (strstr(native, "x-libvirt-gmem") == NULL)
        return 0;
    *words = gmemNativeSplit(native);
    if (*words == NULL)
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR,
                            _("cannot read libvirt's command line: %1$s"), native);
    if (!gmemCommandHasPair(gmemNativeArgv(*words)))
        g_clear_pointer(words, gmemNativeFree);
    return 0;
}

char *
gmemNativeBuild(const gmemNative *words, const gmemQEMUCaps *caps, const char *shim, GError **error)
{
    g_autoptr(gmemCommand) command = gmemCommandBuild(gmemNativeArgv(words), caps, error);
    GString *text;
    size_t i;

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
            gmemNativeAppendSpelled(text, words, i);
        }
    }
    if (command->shim && shim != NULL) {
        g_autofree char *preload = g_strconcat(GMEM_NATIVE_PRELOAD, shim, NULL);

        gmemNativeAppend(text, preload);
    }
    gmemNativeAppendArgv(text, words, command->argv);
    return g_string_free(text, FALSE);
}

/* Where the environment ends: the program. */
static char *
gmemNativeEnvironmentEnd(char *p)
{
    while (*p != '\0') {
        char *end = (char *)gmemNativeWordEnd(p);
        g_autofree char *value = gmemNativeValue(p, (size_t)(end - p));

        if (value == NULL || !gmemNativeIsAssignment(value))
            break;
        p = (char *)gmemNativeSkipSpace(end);
    }
    return p;
}

/* LD_PRELOAD with only @rest in it, as libvirt would have written it, in the place of what stands
 * between @start and @end, which is no shorter. */
static void
gmemNativePutPreload(char *start, const char *end, const char *rest)
{
    bool quote = strpbrk(rest, GMEM_NATIVE_QUOTED) != NULL;
    g_autofree char *quoted = quote ? g_shell_quote(rest) : g_strdup(rest);
    g_autofree char *word = g_strconcat(GMEM_NATIVE_PRELOAD, quoted, NULL);
    size_t length = MIN(strlen(word), (size_t)(end - start));

    memcpy(start, word, length); /* NOLINT(bugprone-not-null-terminated-result): text follows */
    memmove(start + length, end, strlen(end) + 1);
}

/* The word between @start and @end, and a space after it, goes in front of @environment; @next is
 * the word after it. */
static void
gmemNativePutLast(char *start, const char *end, const char *next, const char *environment)
{
    size_t length = (size_t)(end - start);
    size_t others = (size_t)(environment - next);
    g_autofree char *word = g_strndup(start, length);

    memmove(start, next, others);
    memcpy(start + others, word, length);
    start[others + length] = ' ';
    memmove(start + others + length + 1, environment, strlen(environment) + 1);
}

void
gmemNativeDropPreload(char *native)
{
    const char *environment = gmemNativeEnvironmentEnd(native);
    char *start = native;

    while (start < environment) {
        const char *end = gmemNativeWordEnd(start);
        const char *next = gmemNativeSkipSpace(end);
        g_autofree char *value = gmemNativeValue(start, (size_t)(end - start));
        g_autofree char *rest = NULL;

        if (value == NULL || !g_str_has_prefix(value, GMEM_NATIVE_PRELOAD)) {
            start += next - start;
            continue;
        }
        rest = gmemPreloadWithout(value + strlen(GMEM_NATIVE_PRELOAD));
        if (rest != NULL && rest[0] != '\0')
            gmemNativePutPreload(start, end, rest);
        else if (rest != NULL)
            memmove(start, next, strlen(next) + 1);
        else if (gmemProcessPreloadIsOurs() && next > end)
            /* A <qemu:env> replaced ours; with nothing to replace it comes last. */
            gmemNativePutLast(start, end, next, environment);
        return;
    }
}
