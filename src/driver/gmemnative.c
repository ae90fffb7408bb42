/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemnative.c: the command line as text, as domxml-to-native returns it.
 *
 * The text is `NAME=VALUE … program argument …`, with each word quoted for a shell if necessary. It
 * is split into words here, and each keeps its own spelling, so that words that we do not change
 * keep their bytes. */

#include "gmemnative.h"

#include <string.h>

#include "gmemcommand.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmempreload.h"
#include "gmemprocess.h"
#include "gmemshimconfig.h"

/* Each of these characters makes libvirt quote a word (seen in the output of 9.0.0 … 12.8.0). */
#define GMEM_NATIVE_QUOTED "\r\t\n !\"#$&'()*;<>?[\\]^`{|}~"

#define GMEM_NATIVE_PRELOAD "LD_PRELOAD="

/* The characters that separate words. */
#define GMEM_NATIVE_SPACE " \t\n\f\r"

/* In bytes: what is added in most cases. */
#define GMEM_NATIVE_ROOM 512

/* A word as it is spelled in the text. */
typedef struct {
    const char *text;
    size_t length;
} gmemNativeWord;

/* Two parallel arrays: the words as the shell would pass them on, and as they are spelled. */
struct gmemNative {
    char *text;    /* of all values, which are no longer than they are spelled */
    char **values; /* NULL-terminated */
    gmemNativeWord *spelled;
    size_t length; /* of what they were read from */
    size_t nwords;
    size_t nenv; /* how many of them are the environment */
};

void
gmemNativeFree(gmemNative *words)
{
    if (words == NULL)
        return;
    g_free(words->text);
    g_free(words->values);
    g_free(words->spelled);
    g_free(words);
}

static const char *
gmemNativeWordEnd(const char *p)
{
    for (;;) {
        p += strcspn(p, GMEM_NATIVE_SPACE "'\"\\");
        if (*p == '\'') {
            p++;
            p += strcspn(p, "'");
        } else if (*p == '"') {
            for (p++; *p != '"' && *p != '\0'; p++)
                p += *p == '\\' && p[1] != '\0' ? 1 : 0;
        } else if (*p == '\\' && p[1] != '\0') {
            p++;
        } else if (*p != '\\') {
            return p;
        }
        p += *p != '\0' ? 1 : 0;
    }
}

/* Space between words, and the line ends that some versions of libvirt escape for readability. */
static const char *
gmemNativeSkipSpace(const char *p)
{
    while (g_ascii_isspace(*p) || (p[0] == '\\' && p[1] == '\n'))
        p += *p == '\\' ? 2 : 1;
    return p;
}

/* A name in quotes would be that of a program. */
static bool
gmemNativeIsAssignment(const char *word)
{
    const char *p = word;

    while (g_ascii_isalnum(*p) || *p == '_')
        p++;
    return p > word && *p == '=';
}

/* Writes what the shell makes of @word to @out, with a NUL. Returns its length, or -1 if its quotes
 * do not end. Most words do not have quotes, or have one pair around the whole word. */
static gssize
gmemNativeValue(const gmemNativeWord *word, char *out)
{
    g_autofree char *value = NULL;

    memcpy(out, word->text, word->length);
    out[word->length] = '\0';
    if (strpbrk(out, "'\"\\") == NULL)
        return (gssize)word->length;
    if (out[0] == '\'' && strcspn(out + 1, "'") == word->length - 2) {
        memmove(out, out + 1, word->length - 2);
        out[word->length - 2] = '\0';
        return (gssize)word->length - 2;
    }
    value = g_shell_unquote(out, NULL);
    return value != NULL ? g_stpcpy(out, value) - out : -1;
}

/* Returns NULL if the command line cannot be read. */
static gmemNative *
gmemNativeSplit(const char *native)
{
    g_autoptr(gmemNative) words = g_new0(gmemNative, 1);
    const char *p = gmemNativeSkipSpace(native);
    size_t room = 0;
    char *value;

    words->length = strlen(p);
    words->text = value = g_malloc(words->length + 1);
    for (; *p != '\0'; p = gmemNativeSkipSpace(p)) {
        gmemNativeWord word = {p, (size_t)(gmemNativeWordEnd(p) - p)};
        gssize length = gmemNativeValue(&word, value);

        if (length < 0)
            return NULL;
        if (words->nwords == room) {
            room = MAX(64, 2 * room);
            words->values = g_renew(char *, words->values, room + 1);
            words->spelled = g_renew(gmemNativeWord, words->spelled, room);
        }
        if (words->nenv == words->nwords && gmemNativeIsAssignment(p))
            words->nenv++;
        words->spelled[words->nwords] = word;
        words->values[words->nwords++] = value;
        value += length + 1;
        p += word.length;
    }
    if (words->nwords == 0)
        words->values = g_new0(char *, 1);
    words->values[words->nwords] = NULL;
    return g_steal_pointer(&words);
}

static char *const *
gmemNativeArgv(const gmemNative *words)
{
    return words->values + words->nenv;
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
    if (text->len > 0)
        g_string_append_c(text, ' ');
    g_string_append_len(text, words->spelled[i].text, (gssize)words->spelled[i].length);
}

/* LD_PRELOAD: in an assignment, a shell only accepts quotes around the value. */
static void
gmemNativeAppendPreload(GString *text, const char *others, const char *shim)
{
    g_autofree char *both = others != NULL ? g_strconcat(others, ":", shim, NULL) : g_strdup(shim);
    g_autofree char *quoted =
        strpbrk(both, GMEM_NATIVE_QUOTED) != NULL ? g_shell_quote(both) : g_strdup(both);
    g_autofree char *word = g_strconcat(GMEM_NATIVE_PRELOAD, quoted, NULL);

    if (text->len > 0)
        g_string_append_c(text, ' ');
    g_string_append(text, word);
}

int
gmemNativeRead(const char *native, gmemNative **words, GError **error)
{
    *words = NULL;
    if (strstr(native, GMEM_SHIM_OPTION) == NULL)
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
    g_autoptr(gmemCommand) command = gmemCommandBuild(gmemNativeArgv(words), caps, false, error);
    GString *text;
    size_t i;

    if (command == NULL)
        return NULL;
    text = g_string_sized_new(words->length + GMEM_NATIVE_ROOM);
    for (i = 0; i < words->nenv; i++) {
        const char *value = words->values[i];

        if (command->shim && g_str_has_prefix(value, GMEM_NATIVE_PRELOAD)) {
            gmemNativeAppendPreload(text, value + strlen(GMEM_NATIVE_PRELOAD), shim);
            shim = NULL;
        } else {
            gmemNativeAppendSpelled(text, words, i);
        }
    }
    if (command->shim && shim != NULL)
        gmemNativeAppendPreload(text, NULL, shim);
    for (i = 0; i < command->argc; i++) {
        if (command->from[i] == GMEM_COMMAND_NEW)
            gmemNativeAppend(text, command->argv[i]);
        else
            gmemNativeAppendSpelled(text, words, words->nenv + command->from[i]);
    }
    return g_string_free(text, FALSE);
}

/* Writes LD_PRELOAD with only @rest in it, as libvirt would have written it, in place of what is
 * between @start and @end, which is not shorter. */
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

/* Moves the word between @start and @end, and a space after it, before @environment; @next is the
 * word after it. */
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

/* Handles the word LD_PRELOAD=… between @start and @end. Usually it only has this library, and no
 * quotes; this case does not require memory. */
static void
gmemNativeFilterPreload(char *start, char *end)
{
    const char *next = gmemNativeSkipSpace(end);
    char *value = start + strlen(GMEM_NATIVE_PRELOAD);
    const char after = *end;
    g_autofree char *unquoted = NULL;
    bool found;

    *end = '\0';
    if (strpbrk(value, "'\"\\") != NULL)
        value = unquoted = g_shell_unquote(value, NULL);
    found = value != NULL && gmemPreloadListFilter(value);
    *end = after;
    if (found && value[0] != '\0') {
        gmemNativePutPreload(start, end, value);
    } else if (found) {
        memmove(start, next, strlen(next) + 1);
    } else if (value != NULL && next > end && gmemProcessPreloadIsOurs()) {
        const char *environment = next;

        /* A <qemu:env> replaced ours; with nothing to replace it would be last. */
        while (gmemNativeIsAssignment(environment))
            environment = gmemNativeSkipSpace(gmemNativeWordEnd(environment));
        gmemNativePutLast(start, end, next, environment);
    }
}

void
gmemNativeDropPreload(char *native)
{
    char *start = native;

    while (gmemNativeIsAssignment(start)) {
        char *end = (char *)gmemNativeWordEnd(start);

        if (g_str_has_prefix(start, GMEM_NATIVE_PRELOAD)) {
            gmemNativeFilterPreload(start, end);
            return;
        }
        start = (char *)gmemNativeSkipSpace(end);
    }
}
