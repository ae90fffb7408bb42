/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_log.c: a line in the log is one line, whatever its contents. */

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gmemlog.h"

#define PREFIX "libvirt-gmem: "

/* What gmemLog("%s", @text) writes. */
static char *
logged(const char *text)
{
    char buffer[4 * GMEM_LOG_LINE];
    int ends[2], saved = dup(STDERR_FILENO);
    ssize_t length;

    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_cmpint(dup2(ends[1], STDERR_FILENO), ==, STDERR_FILENO);
    errno = ENOTTY;
    gmemLog("%s", text);
    g_assert_cmpint(errno, ==, ENOTTY);
    g_assert_cmpint(dup2(saved, STDERR_FILENO), ==, STDERR_FILENO);
    length = read(ends[0], buffer, sizeof(buffer));
    g_assert_cmpint(length, >, 0);
    close(ends[0]);
    close(ends[1]);
    close(saved);
    return g_strndup(buffer, (gsize)length);
}

static void
testText(void)
{
    static const struct {
        const char *text, *line;
    } cases[] = {
        {"", ""},
        {"domain 'vm' <private/> 100 %", "domain 'vm' <private/> 100 %"},
        {"domain 'größe 内存 \360\237\230\200'", "domain 'größe 内存 \360\237\230\200'"},
        {"a\n2026-01-01: error: b", "a\\x0a2026-01-01: error: b"},
        {"\r\n\t\a\033[2J\177", "\\x0d\\x0a\\x09\\x07\\x1b[2J\\x7f"},
        {"C:\\x0a", "C:\\\\x0a"},
        {"\302\233 a control", "\\xc2\\x9b a control"},
        {"\342\200\256 a direction", "\\xe2\\x80\\xae a direction"},
        {"\342\200\250 a line", "\\xe2\\x80\\xa8 a line"},
        {"\342\200\251 a paragraph", "\\xe2\\x80\\xa9 a paragraph"},
        {"\377\300\200 a\303", "\\xff\\xc0\\x80 a\\xc3"},
        {"\355\240\200", "\\xed\\xa0\\x80"},
        {"\374\203\277\277\277\277", "\\xfc\\x83\\xbf\\xbf\\xbf\\xbf"},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *got = logged(cases[i].text);
        g_autofree char *wanted = g_strconcat(PREFIX, cases[i].line, "\n", NULL);

        g_assert_cmpstr(got, ==, wanted);
    }
}

/* This holds for every character, wherever the line is cut, and however much is cut. */
static void
testLength(void)
{
    static const char *const characters[] = {"y", "\n", "\\", "\303\266", "\302\205", "\377"};
    size_t i, n;

    for (i = 0; i < G_N_ELEMENTS(characters); i++) {
        for (n = 1; n < 2 * GMEM_LOG_LINE; n++) {
            g_autoptr(GString) text = g_string_new(NULL);
            g_autofree char *line = NULL;
            size_t length;

            while (text->len < n)
                g_string_append(text, characters[i]);
            line = logged(text->str);
            length = strlen(line);
            g_assert_cmpuint(length, <, GMEM_LOG_LINE);
            g_assert_true(g_utf8_validate(line, -1, NULL));
            g_assert_true(strchr(line, '\n') == line + length - 1);
            if (n >= GMEM_LOG_LINE) {
                g_assert_true(g_str_has_suffix(line, "...\n"));
                g_assert_cmpuint(length, >, GMEM_LOG_LINE - 32);
            }
        }
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/log/text", testText);
    g_test_add_func("/log/length", testLength);
    return g_test_run();
}
