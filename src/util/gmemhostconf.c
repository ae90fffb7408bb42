/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemhostconf.c: what the administrator has configured for all domains of the host.
 *
 * The file is read when the library is loaded, for autostarts, before a start or a definition, and
 * when a read-only connection is shown a private domain. The child between fork and exec cannot
 * read it, because it is no longer root and GLib's containers have locks. It finds what was read
 * behind an atomic pointer. fork() copies page by page while other threads keep running, so a child
 * may have a reading that has been replaced meanwhile. Therefore readings are never freed; there is
 * one for each time that root has changed the file.
 *
 * The format is that of a GKeyFile. But GKeyFile does not report line numbers, joins groups with
 * the same name, and uses the last of two equal keys, and a rule must be the one that its author
 * sees. */

#include "gmemhostconf.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmemautofd.h"
#include "gmemerror.h"
#include "gmemfile.h"
#include "gmemi18n.h"

#define GMEM_HOST_CONF_RULE "rule "
#define GMEM_HOST_CONF_MODE "mode"

/* The cost of comparing a client's text with a pattern is the product of their lengths. */
#define GMEM_HOST_CONF_PATTERN_MAX 255

/* The file should have some lines; the daemon does not read megabytes. */
#define GMEM_HOST_CONF_SIZE_MAX (64 * 1024)

/* Whoever can write the file decides how domains start. */
static int
gmemHostConfCheckOwner(const char *path, int fd, GError **error)
{
    struct stat file;

    if (fstat(fd, &file) < 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, _("cannot read '%1$s': %2$s"), path,
                            g_strerror(errno));
    if (file.st_uid != 0 || (file.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("'%1$s' must be owned by root, and writable by root only"), path);
    return 0;
}

/* *@text: out: the whole file, NUL-terminated, to be freed with g_free(), or NULL if it does not
 * exist. */
static int
gmemHostConfLoad(const char *path, char **text, GError **error)
{
    int why;
    GMEM_AUTO_FD fd = gmemFileOpen(path, &why);

    *text = NULL;
    if (fd < 0 && (why == ENOENT || why == ENOTDIR))
        return 0;
    if (fd >= 0 && gmemHostConfCheckOwner(path, fd, error) < 0)
        return -1;
    if (fd >= 0)
        *text = gmemFileRead(fd, GMEM_HOST_CONF_SIZE_MAX, &why);
    if (*text == NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, _("cannot read '%1$s': %2$s"), path,
                            gmemFileReason(why));
    return 0;
}

/* Immutable. */
typedef struct gmemHostConfReading {
    gmemHostConf conf;
    char *text;    /* what was read; NULL: no file, or @message */
    char *message; /* why there is none; else NULL */
    struct gmemHostConfReading *previous;
} gmemHostConfReading;

static gmemHostConfReading *gmemHostConfCurrent;

static const char *const gmemHostConfConditionNames[] = {
    [GMEM_HOST_CONF_NAME] = "name",
    [GMEM_HOST_CONF_TITLE] = "title",
    [GMEM_HOST_CONF_NOVA_FLAVOR] = "nova-flavor",
    [GMEM_HOST_CONF_NOVA_EXTRA_SPEC] = "nova-extra-spec",
    [GMEM_HOST_CONF_NOVA_IMAGE_PROPERTY] = "nova-image-property",
};
static_assert(G_N_ELEMENTS(gmemHostConfConditionNames) == GMEM_HOST_CONF_CONDITION_LAST,
              "a condition has no key");

const char *
gmemHostConfConditionToString(gmemHostConfCondition condition)
{
    return gmemHostConfConditionNames[condition];
}

/* Keys outside rules. The first value is the default, and the other one sets the bool at @offset.
 */
static const struct {
    const char *group;
    const char *key;
    const char *values[2];
    size_t offset;
} gmemHostConfSwitches[] = {
    {"convertible", "start", {"shared", "private"}, offsetof(gmemHostConf, startPrivate)},
    {"read-only", "domain-xml", {"elements", "stored"}, offsetof(gmemHostConf, readOnlyStored)},
};

/* The state of the parser. */
typedef struct {
    const char *path;
    gmemHostConf *conf;
    size_t line;
    char *group; /* NULL: before the first one */
    size_t groupLine;
    gmemHostConfRule *rule; /* NULL: @group is none */
    GHashTable *seen;       /* groups, and the keys of this one after a newline */
} gmemHostConfParser;

static void
gmemHostConfParserClear(gmemHostConfParser *parser)
{
    g_clear_pointer(&parser->group, g_free);
    g_clear_pointer(&parser->seen, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemHostConfParser, gmemHostConfParserClear)

static int
gmemHostConfRefuseKey(const gmemHostConfParser *parser, const char *key, GError **error)
{
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("line %1$zu of '%2$s' has the key '%3$s' in [%4$s], which is not known"),
                        parser->line, parser->path, key, parser->group);
}

static int
gmemHostConfRefuseValue(const gmemHostConfParser *parser,
                        const char *key,
                        const char *value,
                        const char *const allowed[2],
                        GError **error)
{
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                        _("line %1$zu of '%2$s' has %3$s=%4$s in [%5$s]; use '%6$s' or '%7$s'"),
                        parser->line, parser->path, key, value, parser->group, allowed[0],
                        allowed[1]);
}

static int
gmemHostConfParseSwitch(gmemHostConfParser *parser,
                        const char *key,
                        const char *value,
                        GError **error)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(gmemHostConfSwitches); i++) {
        const char *const *values = gmemHostConfSwitches[i].values;
        bool *on = &G_STRUCT_MEMBER(bool, parser->conf, gmemHostConfSwitches[i].offset);

        if (strcmp(gmemHostConfSwitches[i].group, parser->group) != 0 ||
            strcmp(gmemHostConfSwitches[i].key, key) != 0)
            continue;
        *on = strcmp(value, values[1]) == 0;
        if (*on || strcmp(value, values[0]) == 0)
            return 0;
        return gmemHostConfRefuseValue(parser, key, value, values, error);
    }
    return gmemHostConfRefuseKey(parser, key, error);
}

static int
gmemHostConfParseCondition(gmemHostConfParser *parser,
                           size_t condition,
                           const char *value,
                           GError **error)
{
    const char *key = gmemHostConfConditionNames[condition];
    bool named = condition == GMEM_HOST_CONF_NOVA_EXTRA_SPEC ||
                 condition == GMEM_HOST_CONF_NOVA_IMAGE_PROPERTY;
    const char *equals = named ? strchr(value, '=') : NULL;

    if (named && (equals == NULL || equals == value))
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("line %1$zu of '%2$s' has %3$s=%4$s, which requires the form %5$s=NAME=PATTERN"),
            parser->line, parser->path, key, value, key);
    if (value[0] == '\0' || strlen(value) > GMEM_HOST_CONF_PATTERN_MAX)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("line %1$zu of '%2$s' has a pattern for %3$s that is empty, or "
                              "longer than %4$d bytes"),
                            parser->line, parser->path, key, GMEM_HOST_CONF_PATTERN_MAX);
    if (named)
        parser->rule->keys[condition] = g_strndup(value, (gsize)(equals - value));
    parser->rule->patterns[condition] = g_strdup(named ? equals + 1 : value);
    return 0;
}

static int
gmemHostConfParseRuleKey(gmemHostConfParser *parser,
                         const char *key,
                         const char *value,
                         GError **error)
{
    const char *const modes[] = {gmemModeToString(GMEM_MODE_FULLY_SHARED),
                                 gmemModeToString(GMEM_MODE_CONVERTIBLE)};
    size_t i;

    if (strcmp(key, GMEM_HOST_CONF_MODE) == 0) {
        parser->rule->mode = gmemModeFromString(value);
        if (parser->rule->mode != GMEM_MODE_NONE)
            return 0;
        return gmemHostConfRefuseValue(parser, key, value, modes, error);
    }
    for (i = 0; i < GMEM_HOST_CONF_CONDITION_LAST; i++) {
        if (strcmp(key, gmemHostConfConditionNames[i]) == 0)
            return gmemHostConfParseCondition(parser, i, value, error);
    }
    return gmemHostConfRefuseKey(parser, key, error);
}

static int
gmemHostConfParseKey(gmemHostConfParser *parser, const char *key, const char *value, GError **error)
{
    if (parser->group == NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("line %1$zu of '%2$s' has the key '%3$s' before the first [group]"),
                            parser->line, parser->path, key);
    if (!g_hash_table_add(parser->seen, g_strconcat("\n", key, "\n", parser->group, NULL)))
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("line %1$zu of '%2$s' has the key '%3$s' in [%4$s] for the second time"),
            parser->line, parser->path, key, parser->group);
    if (parser->rule != NULL)
        return gmemHostConfParseRuleKey(parser, key, value, error);
    return gmemHostConfParseSwitch(parser, key, value, error);
}

static bool
gmemHostConfIsGroup(const char *group)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(gmemHostConfSwitches); i++) {
        if (strcmp(gmemHostConfSwitches[i].group, group) == 0)
            return true;
    }
    return false;
}

/* A rule without conditions would apply to every domain, by mistake or on purpose. name=* says that
 * it is on purpose. */
static int
gmemHostConfEndGroup(gmemHostConfParser *parser, GError **error)
{
    bool conditions = false;
    size_t i;

    if (parser->rule == NULL)
        return 0;
    for (i = 0; i < GMEM_HOST_CONF_CONDITION_LAST; i++)
        conditions = conditions || parser->rule->patterns[i] != NULL;
    if (conditions && parser->rule->mode != GMEM_MODE_NONE)
        return 0;
    return gmemErrorSet(
        error, VIR_ERR_CONFIG_UNSUPPORTED,
        conditions
            ? _("[%1$s] at line %2$zu of '%3$s' has no mode=")
            : _("[%1$s] at line %2$zu of '%3$s' has no condition: name=* matches every domain"),
        parser->group, parser->groupLine, parser->path);
}

static int
gmemHostConfParseGroup(gmemHostConfParser *parser, const char *group, GError **error)
{
    bool rule =
        g_str_has_prefix(group, GMEM_HOST_CONF_RULE) && group[strlen(GMEM_HOST_CONF_RULE)] != '\0';
    gmemHostConf *conf = parser->conf;

    if (gmemHostConfEndGroup(parser, error) < 0)
        return -1;
    if (!rule && !gmemHostConfIsGroup(group))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("line %1$zu of '%2$s' has the group [%3$s], which is not known"),
                            parser->line, parser->path, group);
    if (!g_hash_table_add(parser->seen, g_strdup(group)))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("line %1$zu of '%2$s' has the group [%3$s] for the second time"),
                            parser->line, parser->path, group);
    g_free(parser->group);
    parser->group = g_strdup(group);
    parser->groupLine = parser->line;
    parser->rule = NULL;
    if (!rule)
        return 0;
    conf->rules = g_renew(gmemHostConfRule, conf->rules, conf->nrules + 1);
    parser->rule = &conf->rules[conf->nrules++];
    memset(parser->rule, 0, sizeof(*parser->rule));
    parser->rule->name = g_strdup(group + strlen(GMEM_HOST_CONF_RULE));
    return 0;
}

/* @line: without surrounding white space; modified. */
static int
gmemHostConfParseLine(gmemHostConfParser *parser, char *line, GError **error)
{
    size_t length = strlen(line);
    char *equals = strchr(line, '=');

    if (length == 0 || line[0] == '#')
        return 0;
    if (line[0] == '[' && line[length - 1] == ']') {
        line[length - 1] = '\0';
        return gmemHostConfParseGroup(parser, line + 1, error);
    }
    if (line[0] == '[' || equals == NULL || equals == line)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("line %1$zu of '%2$s' is neither [group] nor key=value nor a comment: %3$s"),
            parser->line, parser->path, line);
    *equals = '\0';
    return gmemHostConfParseKey(parser, g_strchomp(line), g_strchug(equals + 1), error);
}

static int
gmemHostConfParseLines(gmemHostConfParser *parser, const char *text, GError **error)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        g_autofree char *line = g_strndup(text, length);

        parser->line++;
        if (gmemHostConfParseLine(parser, g_strstrip(line), error) < 0)
            return -1;
        text += length + (text[length] != '\0');
    }
    return gmemHostConfEndGroup(parser, error);
}

int
gmemHostConfParse(const char *path, const char *text, gmemHostConf *conf, GError **error)
{
    g_auto(gmemHostConfParser) parser = {.path = path, .conf = conf};

    memset(conf, 0, sizeof(*conf));
    if (!g_utf8_validate(text, -1, NULL))
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, _("'%1$s' is not text in UTF-8"),
                            path);
    parser.seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    if (gmemHostConfParseLines(&parser, text, error) == 0)
        return 0;
    gmemHostConfClear(conf);
    return -1;
}

void
gmemHostConfClear(gmemHostConf *conf)
{
    size_t i, j;

    for (i = 0; i < conf->nrules; i++) {
        g_free(conf->rules[i].name);
        for (j = 0; j < GMEM_HOST_CONF_CONDITION_LAST; j++) {
            g_free(conf->rules[i].patterns[j]);
            g_free(conf->rules[i].keys[j]);
        }
    }
    g_free(conf->rules);
    memset(conf, 0, sizeof(*conf));
}

int
gmemHostConfRead(const char *path, gmemHostConf *conf, GError **error)
{
    g_autofree char *text = NULL;

    memset(conf, 0, sizeof(*conf));
    if (gmemHostConfLoad(path, &text, error) < 0)
        return -1;
    return text != NULL ? gmemHostConfParse(path, text, conf, error) : 0;
}

/* The contents of the file, not parsed yet. */
static gmemHostConfReading *
gmemHostConfReadingNew(const char *path)
{
    gmemHostConfReading *reading = g_new0(gmemHostConfReading, 1);
    g_autoptr(GError) error = NULL;

    if (gmemHostConfLoad(path, &reading->text, &error) < 0)
        reading->message = g_strdup(error->message);
    return reading;
}

/* Whether the file at @fd contains @text. */
static bool
gmemHostConfContains(int fd, const char *text)
{
    char buffer[4096];
    ssize_t got;

    while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
        if (strnlen(text, (size_t)got) < (size_t)got || memcmp(text, buffer, (size_t)got) != 0)
            return false;
        text += got;
    }
    return got == 0 && *text == '\0';
}

/* Whether what has been read is still there. This is asked at each definition, so it does not
 * allocate anything. */
static bool
gmemHostConfReadingIsCurrent(const gmemHostConfReading *reading, const char *path)
{
    int why;
    GMEM_AUTO_FD fd = gmemFileOpen(path, &why);

    if (reading == NULL)
        return false;
    if (fd < 0)
        return reading->text == NULL && reading->message == NULL &&
               (why == ENOENT || why == ENOTDIR);
    return reading->text != NULL && gmemHostConfCheckOwner(path, fd, NULL) == 0 &&
           gmemHostConfContains(fd, reading->text);
}

static bool
gmemHostConfReadingSame(const gmemHostConfReading *current, const gmemHostConfReading *reading)
{
    return current != NULL && g_strcmp0(current->text, reading->text) == 0 &&
           (reading->text != NULL || g_strcmp0(current->message, reading->message) == 0);
}

/* Reads the file again. Returns what it contains now. */
static const gmemHostConfReading *
gmemHostConfReadAgain(const char *path, gmemHostConfReading *current)
{
    gmemHostConfReading *reading = gmemHostConfReadingNew(path);
    g_autoptr(GError) failed = NULL;

    if (gmemHostConfReadingSame(current, reading)) {
        g_free(reading->text);
        g_free(reading->message);
        g_free(reading);
        return current;
    }
    if (reading->text != NULL &&
        gmemHostConfParse(path, reading->text, &reading->conf, &failed) < 0)
        reading->message = g_strdup(failed->message);
    reading->previous = __atomic_exchange_n(&gmemHostConfCurrent, reading, __ATOMIC_ACQ_REL);
    return reading;
}

int
gmemHostConfRefresh(const char *path, GError **error)
{
    gmemHostConfReading *current = __atomic_load_n(&gmemHostConfCurrent, __ATOMIC_ACQUIRE);
    const gmemHostConfReading *reading = gmemHostConfReadingIsCurrent(current, path)
                                             ? current
                                             : gmemHostConfReadAgain(path, current);

    if (reading->message == NULL)
        return 0;
    return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", reading->message);
}

int
gmemHostConfGet(gmemHostConf *conf, GError **error)
{
    const gmemHostConfReading *reading = __atomic_load_n(&gmemHostConfCurrent, __ATOMIC_ACQUIRE);

    if (reading == NULL)
        return gmemErrorSet(error, VIR_ERR_INTERNAL_ERROR, _("'%1$s' has not been read"),
                            GMEM_HOST_CONF_FILE);
    if (reading->message != NULL)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", reading->message);
    *conf = reading->conf;
    return 0;
}
