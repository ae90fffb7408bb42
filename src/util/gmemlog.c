/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemlog.c: writes one line to the log, whatever a client's names contain. */

#include "gmemlog.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GMEM_LOG_PREFIX "libvirt-gmem: "
#define GMEM_LOG_CUT "..."

/* The length of the longest character, of 6 bytes, when it is escaped. */
#define GMEM_LOG_ESCAPED_MAX (6 * sizeof("\\xNN"))

/* Appends the character at @text to @out as it should appear in the log. Returns the number of
 * bytes of @text that it occupied. */
static size_t
gmemLogEscape(const char *text, char out[GMEM_LOG_ESCAPED_MAX])
{
    gunichar character = g_utf8_get_char_validated(text, -1);
    bool valid = character < (gunichar)-2; /* the two answers that are none */
    size_t length = valid ? (size_t)g_unichar_to_utf8(character, NULL) : 1;
    size_t i;

    /* GLib considers separators of lines and paragraphs printable, but they end a line for others.
     */
    if (valid && character != '\\' && character != 0x2028 && character != 0x2029 &&
        g_unichar_isprint(character)) {
        memcpy(out, text, length);
        out[length] = '\0';
        return length;
    }
    if (character == '\\') {
        g_strlcpy(out, "\\\\", GMEM_LOG_ESCAPED_MAX);
        return length;
    }
    for (i = 0; i < length; i++)
        sprintf(out + i * strlen("\\xNN"), "\\x%02x", (unsigned char)text[i]);
    return length;
}

void
gmemLog(const char *format, ...)
{
    const int saved = errno;
    char text[GMEM_LOG_LINE];
    char line[GMEM_LOG_LINE] = GMEM_LOG_PREFIX;
    char escaped[GMEM_LOG_ESCAPED_MAX];
    const size_t room = sizeof(line) - sizeof(GMEM_LOG_CUT "\n");
    size_t at = 0, end = strlen(line), length;
    va_list args;

    va_start(args, format);
    if (vsnprintf(text, sizeof(text), format, args) < 0)
        text[0] = '\0';
    va_end(args);
    while (text[at] != '\0') {
        length = gmemLogEscape(text + at, escaped);
        if (end + strlen(escaped) > room)
            break;
        end = (size_t)(stpcpy(line + end, escaped) - line);
        at += length;
    }
    end = (size_t)(stpcpy(line + end, text[at] != '\0' ? GMEM_LOG_CUT "\n" : "\n") - line);
    /* If this fails, there is nobody left to whom it could be reported. */
    if (write(STDERR_FILENO, line, end) < 0)
        errno = saved;
    errno = saved;
}
