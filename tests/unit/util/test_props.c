/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_props.c: QEMU's dialects of JSON and of key=value,… as a table.
 *
 * With --list, prints the table, for ../../e2e/test_dialect.py, which asks a real QEMU; with --read
 * NOTATION, reads texts from standard input, each ended by a NUL, and prints how each is read. */

#include "config.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "gmemprops.h"

/* The result in the table for a text that can be read, but lacks the property. */
#define MISSING "(missing)"

typedef struct {
    const char *option;
    gmemPropsNotation notation;
    const char *implied;
} Notation;

static const Notation notations[] = {
    {"device", GMEM_PROPS_OPTS_OR_JSON, "driver"},
    {"object", GMEM_PROPS_OPTS_OR_JSON, "qom-type"},
    {"blockdev", GMEM_PROPS_KEYVAL_OR_JSON, "driver"},
};

/* How the implied key's property is read; NULL: refused. */
typedef struct {
    const char *option;
    const char *text;
    const char *reading;
} Case;

/* clang-format off */
static const Case cases[] = {
    /* strings */
    {"device", "{\"driver\":\"a\"}", "a"},
    {"device", "{'driver':'a'}", "a"},
    {"device", "{\"driver\":'a'}", "a"},
    {"device", "{'driver':\"a\"}", "a"},
    {"device", "{'driver':'a\"b'}", "a\"b"},
    {"device", "{'driver':'a\\\"b'}", "a\"b"},
    {"device", "{\"driver\":\"a'b\"}", "a'b"},
    {"device", "{\"driver\":\"a\\'b\"}", "a'b"},
    {"device", "{'driver':'a\\'b'}", "a'b"},
    {"device", "{'driver':'a'b'}", NULL},
    {"device", "{'driver':'a\"}", NULL},
    {"device", "{\"driver\":\"a'}", NULL},
    {"device", "{driver:'a'}", NULL},
    {"device", "{'driver':a}", NULL},
    {"device", "{`driver`:`a`}", NULL},
    {"device", "{'driver':'\\\\\\/\\b\\f\\n\\r\\t'}", "\\/\b\f\n\r\t"},
    {"device", "{'driver':'a\\0'}", NULL},
    {"device", "{'driver':'a\\v'}", NULL},
    {"device", "{'driver':'a\\x41'}", NULL},
    {"device", "{'driver':'a\\", NULL},
    {"device", "{'driver':'a", NULL},
    {"device", "{'driver':'a\tb'}", NULL},
    {"device", "{'driver':'a\nb'}", NULL},
    {"device", "{'driver':'a\x1f'}", NULL},
    {"device", "{'driver':'a\x7f'}", "a\x7f"},
    {"device", "{'driver':'%d %%'}", "%d %%"},
    {"device", "{'driver':'a//b/*c*/'}", "a//b/*c*/"},
    /* Unicode */
    {"device", "{'dr\\u0069ver':'\\u0041\\u00e9\\u20AC'}", "A\xc3\xa9\xe2\x82\xac"},
    {"device", "{'driver':'\\u0027\\u0022\\u005c'}", "'\"\\"},
    {"device", "{'driver':'a\\u0000b'}", "a\xc0\x80""b"},
    {"device", "{'driver':'a\xc0\x80""b'}", "a\xc0\x80""b"},
    {"device", "{'driver':'\\u004'}", NULL},
    {"device", "{'driver':'\\u004g'}", NULL},
    {"device", "{'driver':'\\U00000041'}", NULL},
    {"device", "{'driver':'\\uD83D\\uDE00'}", "\xf0\x9f\x98\x80"},
    {"device", "{'driver':'\\uD83D'}", NULL},
    {"device", "{'driver':'\\uDE00\\uD83D'}", NULL},
    {"device", "{'driver':'\\uD83D\\u0041'}", NULL},
    {"device", "{'driver':'\\uD83Dx'}", NULL},
    {"device", "{'driver':'\\uFFFD'}", "\xef\xbf\xbd"},
    {"device", "{'driver':'\\uFFFE'}", NULL},
    {"device", "{'driver':'\\uFDD0'}", NULL},
    {"device", "{'driver':'\\uFDEF'}", NULL},
    {"device", "{'driver':'\\uFDF0'}", "\xef\xb7\xb0"},
    {"device", "{'driver':'\\uD83F\\uDFFF'}", NULL},
    {"device", "{'driver':'\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80'}", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
    {"device", "{'driver':'\xef\xbf\xbe'}", NULL},
    {"device", "{'driver':'\xed\xa0\x80'}", NULL},
    {"device", "{'driver':'\xc1\x81'}", NULL},
    {"device", "{'driver':'\xe0\x80\x80'}", NULL},
    {"device", "{'driver':'\xf4\x90\x80\x80'}", NULL},
    {"device", "{'driver':'\xf8\x88\x80\x80\x80'}", NULL},
    {"device", "{'driver':'\x80'}", NULL},
    {"device", "{'driver':'\xc3'}", NULL},
    {"device", "{'driver':'\xff'}", NULL},
    /* numbers */
    {"device", "{'driver':'a','n':[0,-0,1,-1,10,1.5,-1.5e3,1E+5,1e-5,0.5,0.0e0,100e1]}", "a"},
    {"device", "{'driver':'a','n':123456789012345678901234567890}", "a"},
    {"device", "{'driver':'a','n':1e999}", "a"},
    {"device", "{'driver':'a','n':01}", NULL},
    {"device", "{'driver':'a','n':-01}", NULL},
    {"device", "{'driver':'a','n':0e5}", NULL},
    {"device", "{'driver':'a','n':-0E5}", NULL},
    {"device", "{'driver':'a','n':+1}", NULL},
    {"device", "{'driver':'a','n':1.}", NULL},
    {"device", "{'driver':'a','n':.5}", NULL},
    {"device", "{'driver':'a','n':1e}", NULL},
    {"device", "{'driver':'a','n':1e+}", NULL},
    {"device", "{'driver':'a','n':-}", NULL},
    {"device", "{'driver':'a','n':--1}", NULL},
    {"device", "{'driver':'a','n':0x10}", NULL},
    {"device", "{'driver':'a','n':1k}", NULL},
    {"device", "{'driver':'a','n':1_0}", NULL},
    {"device", "{'driver':'a','n':NaN}", NULL},
    {"device", "{'driver':'a','n':Infinity}", NULL},
    /* words */
    {"device", "{'driver':'a','b':[true,false,null]}", "a"},
    {"device", "{'driver':'a','b':True}", NULL},
    {"device", "{'driver':'a','b':TRUE}", NULL},
    {"device", "{'driver':'a','b':truefalse}", NULL},
    {"device", "{'driver':'a','b':on}", NULL},
    {"device", "{'driver':'a','b':nul}", NULL},
    {"device", "{'driver':'a','b':%d}", NULL},
    {"device", "{'driver':%s}", NULL},
    /* structure */
    {"device", "{}", MISSING},
    {"device", "{'x':1}", MISSING},
    {"device", "{ 'driver' :\t'a'\r\n, 'x' : [ ] , 'y' : { } }", "a"},
    {"device", "{'driver':'a'} \t\r\n", "a"},
    {"device", "{'driver'\v:'a'}", NULL},
    {"device", "{'driver'\f:'a'}", NULL},
    {"device", "{'driver'\xc2\xa0:'a'}", NULL},
    {"device", "{'driver':'a',}", NULL},
    {"device", "{,'driver':'a'}", NULL},
    {"device", "{'driver':'a','x':[1,]}", NULL},
    {"device", "{'driver':'a','x':[,1]}", NULL},
    {"device", "{'driver':'a' 'x':1}", NULL},
    {"device", "{'driver':'a','x':[1 2]}", NULL},
    {"device", "{'driver' 'a'}", NULL},
    {"device", "{'driver'='a'}", NULL},
    {"device", "{'driver':'a';'x':1}", NULL},
    {"device", "{'driver':'a','x':[1}", NULL},
    {"device", "{'driver':'a','x':{1]}", NULL},
    {"device", "{'driver':'a'", NULL},
    {"device", "{'driver':'a'}}", NULL},
    {"device", "{'driver':'a'} {}", NULL},
    {"device", "{'driver':'a'},", NULL},
    {"device", "{'driver':'a'} x", NULL},
    {"device", "{'driver':'a'}\x01", NULL},
    {"device", "{'driver':'a','x':}", NULL},
    {"device", "{'driver':'a','x'}", NULL},
    {"device", "{1:'a'}", NULL},
    {"device", "{null:'a'}", NULL},
    {"device", "{'driver':'a','':1}", "a"},
    {"device", "{'driver':'a',/*x*/'x':1}", NULL},
    {"device", "{'driver':'a'} // x", NULL},
    {"device", "{'driver':'a'} # x", NULL},
    {"device", "{'driver':'a','driver':'b'}", NULL},
    {"device", "{'driver':'a','dri\\u0076er':'b'}", NULL},
    {"device", "{'driver':'a','x':{'y':1,'y':2}}", NULL},
    {"device", "{'driver':'a','x':[[{'y':1,'z':1,'y':2}]]}", NULL},
    {"device", "{'driver':'a','x':{'y':1},'z':{'y':2}}", "a"},
    /* the same in places where another option is parsed */
    {"object", "{'qom-type':'a','id':'x'}", "a"},
    {"object", "{'qom-type':'a','id':'x','id':'y'}", NULL},
    {"blockdev", "{'driver':'a','node-name':'x'}", "a"},
    {"blockdev", "{'driver':'a','node-name':'x',}", NULL},
    /* QemuOpts */
    {"device", "a", "a"},
    {"device", "a,b=c", "a"},
    {"device", "a,,b", "a,b"},
    {"device", "a,,,,b", "a,,b"},
    {"device", "a,,,b=c", "a,"},
    {"device", "driver=a", "a"},
    {"device", "b=c,driver=a", "a"},
    {"device", "a,driver=b", "b"},
    {"device", "driver=a,,b,driver=c,,d", "c,d"},
    {"device", ",driver=a", "a"},
    {"device", "a,", "a"},
    {"device", "a,b", "a"},
    {"device", "a,nob", "a"},
    {"device", "a,driver", "on"},
    {"device", "a,nodriver", "off"},
    {"device", "nodriver", "nodriver"},
    {"device", "a,=b", "a"},
    {"device", "a,b==c", "a"},
    {"device", "a,1=2,.=3,-_=4, =5", "a"},
    {"device", "driver=a=b", "a=b"},
    {"device", "driver=", ""},
    {"device", " driver=a", MISSING},
    {"device", "Driver=a", MISSING},
    {"device", "b=c", MISSING},
    {"device", " {'driver':'a'}", " {'driver':'a'}"},
    {"device", "['driver']", "['driver']"},
    {"device", "a,id=x", "a"},
    {"device", "a,id=x,id=1", "a"},
    {"device", "a,id=1,id=x", NULL},
    {"device", "a,id=X-1._y", "a"},
    {"device", "a,id=", NULL},
    {"device", "a,id=_x", NULL},
    {"device", "a,id=-x", NULL},
    {"device", "a,id=x y", NULL},
    {"device", "a,id=x,,y", NULL},
    {"device", "a,id=x:y", NULL},
    {"device", "a,id=\xc3\xa9", NULL},
    {"device", "a,id", "a"},
    {"object", "a,id=x", "a"},
    {"object", "qom-type=a,id=x,qom-type=b", "b"},
    {"object", "a,id=x,b", "a"},
    {"object", "a,,b,id=x,e.0=1", "a,b"},
    {"object", "id=x,a", MISSING},
    /* keyval */
    {"blockdev", "a", "a"},
    {"blockdev", "a,b=c", "a"},
    {"blockdev", "a,", "a"},
    {"blockdev", "a.b", "a.b"},
    {"blockdev", "0a", "0a"},
    {"blockdev", "a,,b", NULL},
    {"blockdev", "a,b=c,,d,driver=e,,f", "e,f"},
    {"blockdev", "driver=a,driver=b", "b"},
    {"blockdev", "a,b=c,,", "a"},
    {"blockdev", "a,b", NULL},
    {"blockdev", "a,=b", NULL},
    {"blockdev", ",driver=a", NULL},
    {"blockdev", "a,1=2", NULL},
    {"blockdev", "a,1b=2", NULL},
    {"blockdev", "a,b1-_=2", "a"},
    {"blockdev", "a,-b=2", NULL},
    {"blockdev", "a,_b=2", NULL},
    {"blockdev", "a,b c=2", NULL},
    {"blockdev", "a,\xc3\xa9=2", NULL},
    {"blockdev", "a,e.0=f", "a"},
    {"blockdev", "a,e.f.g.0.h=1", "a"},
    {"blockdev", "a,e.=f", NULL},
    {"blockdev", "a,.e=f", NULL},
    {"blockdev", "a,e..f=g", NULL},
    {"blockdev", "a,e.0f=g", NULL},
    {"blockdev", "a,e.f-g.h=i", "a"},
    {"blockdev", "a,__c.d_e=f", "a"},
    {"blockdev", "a,__c_e=f", "a"},
    {"blockdev", "a,e.__c.d_e=f", "a"},
    {"blockdev", "a,__c=f", NULL},
    {"blockdev", "a,__=f", NULL},
    {"blockdev", "a,__c_=f", NULL},
    {"blockdev", "a,b==c", "a"},
    {"blockdev", "driver=", ""},
};
/* clang-format on */

static const Notation *
findNotation(const char *option)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(notations); i++) {
        if (strcmp(notations[i].option, option) == 0)
            return &notations[i];
    }
    g_error("no option '%s'", option);
}

/* To be freed with g_free(). */
static char *
readText(const Notation *notation, const char *text)
{
    const gmemArgvOption option = {notation->option, text, 1, 2};
    g_auto(gmemProps) props = {0};
    char *value;

    if (gmemPropsInit(&props, &option, notation->notation, notation->implied, NULL) < 0)
        return NULL;
    value = gmemPropsGet(&props, notation->implied);
    return value != NULL ? value : g_strdup(MISSING);
}

static void
checkReading(const char *option, const char *text, const char *expected)
{
    g_autofree char *reading = readText(findNotation(option), text);

    if (g_strcmp0(reading, expected) != 0)
        g_test_message("-%s %s", option, text);
    g_assert_cmpstr(reading, ==, expected);
}

static void
testTable(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++)
        checkReading(cases[i].option, cases[i].text, cases[i].reading);
}

/* Each byte inside strings of both kinds, after a backslash, and between tokens. */
static void
testBytes(void)
{
    unsigned int byte;

    for (byte = 1; byte < 256; byte++) {
        const char text[] = {(char)byte, '\0'};
        const char *escape = strchr("\"'\\/bfnrt", (int)byte);
        g_autofree char *single = g_strconcat("{'driver':'", text, "'}", NULL);
        g_autofree char *twice = g_strconcat("{'driver':\"", text, "\"}", NULL);
        g_autofree char *escaped = g_strconcat("{'driver':'\\", text, "'}", NULL);
        g_autofree char *between = g_strconcat("{'driver':", text, "'a'}", NULL);
        bool plain = byte >= ' ' && byte < 0x80 && byte != '\\';

        checkReading("device", single, plain && byte != '\'' ? text : NULL);
        checkReading("device", twice, plain && byte != '"' ? text : NULL);
        checkReading(
            "device", escaped,
            escape == NULL ? NULL
            : g_ascii_isalpha((char)byte)
                ? (const char *[]){"\b", "\f", "\n", "\r", "\t"}[escape - &"\"'\\/bfnrt"[0] - 4]
                : text);
        checkReading("device", between, strchr(" \t\n\r", (int)byte) != NULL ? "a" : NULL);
    }
}

static char *
nested(unsigned int depth)
{
    GString *text = g_string_new("{\"driver\":\"a\",\"x\":");
    unsigned int i;

    for (i = 0; i < depth; i++)
        g_string_append_c(text, '[');
    for (i = 0; i < depth; i++)
        g_string_append_c(text, ']');
    return g_string_free(g_string_append_c(text, '}'), FALSE);
}

static void
testDepth(void)
{
    g_autofree char *deep = nested(1023);
    g_autofree char *tooDeep = nested(1024);
    g_autofree char *part = g_strnfill(127, 'k');
    g_autofree char *longest = g_strdup_printf("a,%s.%s=1", part, part);
    g_autofree char *tooLong = g_strdup_printf("a,x.k%s=1", part);

    checkReading("device", deep, "a");
    checkReading("device", tooDeep, NULL);
    checkReading("blockdev", longest, "a");
    checkReading("blockdev", tooLong, NULL);
}

static void
testValues(void)
{
    const gmemArgvOption option = {
        "object", "{'qom-type':'x','size':134217728,'share':true,'off':false,'l':[0,2],'n':null}",
        1, 2};
    const gmemArgvOption opts = {
        "object", "x,size=128M,share,nooff,host-nodes=0,host-nodes=2-3,id=a,id=b", 1, 2};
    unsigned long long size;
    size_t i;

    for (i = 0; i < 2; i++) {
        g_auto(gmemProps) props = {0};
        g_autofree char *list = NULL;
        g_autofree char *absent = NULL;
        g_autofree char *share = NULL;
        g_autofree char *off = NULL;

        g_assert_cmpint(gmemPropsInit(&props, i == 0 ? &option : &opts, GMEM_PROPS_OPTS_OR_JSON,
                                      "qom-type", NULL),
                        ==, 0);
        g_assert_true(gmemPropsGetSize(&props, "size", &size));
        g_assert_cmpuint(size, ==, 134217728);
        g_assert_cmpint(gmemPropsGetBool(&props, "share"), ==, 1);
        g_assert_cmpint(gmemPropsGetBool(&props, "off"), ==, 0);
        g_assert_cmpint(gmemPropsGetBool(&props, "none"), ==, -1);
        share = gmemPropsGet(&props, "share");
        off = gmemPropsGet(&props, "off");
        g_assert_cmpstr(share, ==, "on");
        g_assert_cmpstr(off, ==, "off");
        list = gmemPropsGetList(&props, i == 0 ? "l" : "host-nodes");
        g_assert_cmpstr(list, ==, i == 0 ? "[0,2]" : "host-nodes=0,host-nodes=2-3,");
        absent = gmemPropsGetList(&props, "none");
        g_assert_null(absent);
        if (i == 1) {
            g_autofree char *id = gmemPropsGet(&props, "id");

            g_assert_cmpstr(id, ==, "a");
        }
    }
}

/* QEMU's words for yes; everything else is no, or an error of QEMU's. */
static void
testTrue(void)
{
    static const char *const yes[] = {"on", "yes", "true", "y"};
    static const char *const no[] = {"off", "no", "false", "n", "", "On", "1", "t", "ye"};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(yes); i++)
        g_assert_true(gmemPropsIsTrue(yes[i]));
    for (i = 0; i < G_N_ELEMENTS(no); i++)
        g_assert_false(gmemPropsIsTrue(no[i]));
}

static void
testSizes(void)
{
    static const struct {
        const char *text;
        unsigned long long size; /* 0: cannot be read */
    } sizes[] = {
        {"x,size=1", 1},
        {"x,size=7b", 7},
        {"x,size=3K", 3ULL << 10},
        {"x,size=3m", 3ULL << 20},
        {"x,size=3G", 3ULL << 30},
        {"x,size=3t", 3ULL << 40},
        {"x,size=3P", 3ULL << 50},
        {"x,size=15E", 15ULL << 60},
        {"x,size=16E", 0},
        {"x,size=18446744073709551615", ~0ULL},
        {"x,size=18446744073709551616", 0},
        {"x,size=0", 0},
        {"x,size=-1", 0},
        {"x,size=1x", 0},
        {"x,size=M", 0},
        {"x,size=", 0},
        {"x,sizes=1", 0},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(sizes); i++) {
        const gmemArgvOption option = {"object", sizes[i].text, 1, 2};
        g_auto(gmemProps) props = {0};
        unsigned long long size = 0;

        g_test_message("%s", sizes[i].text);
        g_assert_cmpint(gmemPropsInit(&props, &option, GMEM_PROPS_OPTS, "qom-type", NULL), ==, 0);
        g_assert_cmpint(gmemPropsGetSize(&props, "size", &size), ==, sizes[i].size > 0);
        g_assert_cmpuint(size, ==, sizes[i].size);
    }
}

/* Only the key itself, and its elements. */
static void
testListKeys(void)
{
    const gmemArgvOption option = {"object", "x,h=1,hh=2,h.1=3,h-1=4,g=5,h.2=6", 1, 2};
    g_auto(gmemProps) props = {0};
    g_autofree char *list = NULL;

    g_assert_cmpint(gmemPropsInit(&props, &option, GMEM_PROPS_OPTS, "qom-type", NULL), ==, 0);
    list = gmemPropsGetList(&props, "h");
    g_assert_cmpstr(list, ==, "h=1,h.1=3,h.2=6,");
}

/* A list is longer than the text that it was read from, because booleans may have no value
 * there. */
static void
testListGrows(void)
{
    static const char value[] = "h,h,h,h,h,h,h,h,h,noh";
    const gmemArgvOption option = {"accel", value, 1, 2};
    g_auto(gmemProps) props = {0};
    g_autofree char *list = NULL;

    g_assert_cmpint(gmemPropsInit(&props, &option, GMEM_PROPS_OPTS, "h", NULL), ==, 0);
    list = gmemPropsGetList(&props, "h");
    g_assert_cmpstr(list, ==, "h=h,h=on,h=on,h=on,h=on,h=on,h=on,h=on,h=on,h=off,");
}

static bool
isNVMe(const char *value)
{
    return strcmp(value, "nvme") == 0;
}

static void
testFind(void)
{
    static const char *const found[] = {
        "{'driver':'nvme'}",
        "{'driver':'raw','file':{'driver':'nvme'}}",
        "{'driver':'quorum','children':[{'driver':'file'},{'driver':'n\\u0076me'}]}",
        "nvme,device=x",
        "raw,file.driver=nvme",
        "quorum,children.0.driver=file,children.1.driver=nvme",
    };
    static const char *const not [] = {
        "{'driver':'raw','file':'nvme'}",
        "{'driver':{'nvme':1}}",
        "raw,file=nvme",
        "raw,xdriver=nvme",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(found) + G_N_ELEMENTS(not ); i++) {
        const gmemArgvOption option = {
            "blockdev", i < G_N_ELEMENTS(found) ? found[i] : not [i - G_N_ELEMENTS(found)], 1, 2};
        g_auto(gmemProps) props = {0};
        g_autofree char *driver = NULL;

        g_assert_cmpint(gmemPropsInit(&props, &option, GMEM_PROPS_KEYVAL_OR_JSON, "driver", NULL),
                        ==, 0);
        driver = gmemPropsFind(&props, "driver", isNVMe);
        g_assert_cmpstr(driver, ==, i < G_N_ELEMENTS(found) ? "nvme" : NULL);
    }
}

static void
testErrors(void)
{
    static const struct {
        gmemArgvOption option;
        gmemPropsNotation notation;
        const char *message;
    } errors[] = {
        {{"object", NULL, 1, 1},
         GMEM_PROPS_OPTS_OR_JSON,
         "the option '-object' at the end of QEMU's command line has no value"},
        {{"object", "{'a'}", 1, 2},
         GMEM_PROPS_OPTS_OR_JSON,
         "cannot read the value of QEMU's option '-object {'a'}'"},
        {{"accel", "{'accel':'kvm'}", 1, 2},
         GMEM_PROPS_OPTS,
         "cannot read the value of QEMU's option '-accel {'accel':'kvm'}'"},
        {{"machine", "{'type':'pc'}", 1, 2},
         GMEM_PROPS_KEYVAL,
         "cannot read the value of QEMU's option '-machine {'type':'pc'}'"},
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(errors); i++) {
        g_auto(gmemProps) props = {0};
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(
            gmemPropsInit(&props, &errors[i].option, errors[i].notation, "type", &error), <, 0);
        g_assert_cmpstr(error->message, ==, errors[i].message);
    }
}

/* Texts and results may contain any byte except NUL. */
static void
printHex(const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        printf("%02x", (unsigned int)(unsigned char)*text);
}

static int
list(void)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        printf("%s ", cases[i].option);
        printHex(cases[i].text);
        printf(cases[i].reading != NULL ? " =" : " !");
        printHex(cases[i].reading);
        printf("\n");
    }
    return 0;
}

static int
readAll(const char *option)
{
    char *text = NULL;
    size_t size = 0;

    while (getdelim(&text, &size, '\0', stdin) > 0) {
        g_autofree char *reading = readText(findNotation(option), text);

        printf(reading != NULL ? "=" : "!");
        printHex(reading);
        printf("\n");
    }
    g_free(text);
    return 0;
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (argc == 3 && strcmp(argv[1], "--read") == 0)
        return readAll(argv[2]);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/props/table", testTable);
    g_test_add_func("/props/bytes", testBytes);
    g_test_add_func("/props/depth", testDepth);
    g_test_add_func("/props/values", testValues);
    g_test_add_func("/props/list-grows", testListGrows);
    g_test_add_func("/props/true", testTrue);
    g_test_add_func("/props/sizes", testSizes);
    g_test_add_func("/props/list-keys", testListKeys);
    g_test_add_func("/props/find", testFind);
    g_test_add_func("/props/errors", testErrors);
    return g_test_run();
}
