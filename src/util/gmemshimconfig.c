/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemshimconfig.c: the shim's configuration in QEMU's argv: written by libvirt-gmem, between fork
 * and exec, and read by the shim. libc only. */

#include "gmemshimconfig.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GMEM_SHIM_CONFIG_MODE ",mode="

/* The last key of the configuration, and the number of digits of each number in its value. */
#define GMEM_SHIM_CONFIG_ARGV ",argv="
#define GMEM_SHIM_HASH_DIGITS 16

/* In bytes: more than all keys that occur once, with their numbers; and more than the key and the
 * size of a memory backend. */
#define GMEM_SHIM_CONFIG_HEAD 160
#define GMEM_SHIM_CONFIG_BACKEND 32

/* Appends to the text at @end, and advances @end. */
#define GMEM_SHIM_CONFIG_ADD(end, ...) ((end) += sprintf((end), __VA_ARGS__))

/* Skips @literal. */
static bool
gmemShimConfigSkip(const char **text, const char *literal)
{
    const size_t length = strlen(literal);

    if (strncmp(*text, literal, length) != 0)
        return false;
    *text += length;
    return true;
}

/* A decimal number of at most 64 bits, without sign or leading zeros, so that a number has only one
 * spelling. */
static bool
gmemShimConfigNumber(const char **text, unsigned long long *number)
{
    const char *digit = *text;
    unsigned long long value = 0;

    if (*digit < '1' || *digit > '9')
        return false;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        const unsigned long long units = (unsigned long long)(*digit - '0');

        if (value > (ULLONG_MAX - units) / 10)
            return false;
        value = value * 10 + units;
    }
    *text = digit;
    *number = value;
    return true;
}

static bool
gmemShimConfigMode(const char **text, gmemMode *mode)
{
    const size_t length = strcspn(*text, ",");
    gmemMode i;

    for (i = GMEM_MODE_NONE + 1; i < GMEM_MODE_LAST; i++) {
        const char *name = gmemModeToString(i);

        if (strlen(name) == length && memcmp(name, *text, length) == 0) {
            *mode = i;
            *text += length;
            return true;
        }
    }
    return false;
}

/* An id that QEMU accepts: a letter, then letters, digits, "-", "." and "_". */
static size_t
gmemShimConfigIdLength(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char others[] = "0123456789-._";
    size_t length = 0;

    if (*text == '\0' || strchr(letters, *text) == NULL)
        return 0;
    while (text[length] != '\0' &&
           (strchr(letters, text[length]) != NULL || strchr(others, text[length]) != NULL))
        length++;
    return length;
}

static bool
gmemShimConfigBackendParse(const char **text, gmemShimConfigBackend *backend)
{
    size_t length;

    backend->ram = gmemShimConfigSkip(text, ",backend=");
    if (!backend->ram && !gmemShimConfigSkip(text, ",other="))
        return false;
    length = gmemShimConfigIdLength(*text);
    if (length == 0)
        return false;
    snprintf(backend->id, sizeof(backend->id), "%.*s", (int)length, *text);
    *text += length;
    return gmemShimConfigSkip(text, ":") && gmemShimConfigNumber(text, &backend->size);
}

/* ",argv=" and a list, or nothing. */
static bool
gmemShimConfigOptions(const char **text, gmemShimConfig *config)
{
    if (!gmemShimConfigSkip(text, GMEM_SHIM_CONFIG_ARGV))
        return true;
    config->options = calloc(GMEM_SHIM_OPTIONS_MAX, sizeof(*config->options));
    if (config->options == NULL)
        return false;
    do {
        char *end = NULL;

        if (config->nOptions == GMEM_SHIM_OPTIONS_MAX ||
            strspn(*text, "0123456789abcdef") != GMEM_SHIM_HASH_DIGITS)
            return false;
        config->options[config->nOptions++] = strtoull(*text, &end, 16);
        *text = end;
    } while (gmemShimConfigSkip(text, ":"));
    return true;
}

/* The part that only convertible mode has. @config has the rest. */
static bool
gmemShimConfigConvertible(const char **text, gmemShimConfig *config)
{
    unsigned int backends = 0;
    unsigned long long ram = 0;

    config->startPrivate = gmemShimConfigSkip(text, ",start=private");
    if (!config->startPrivate && !gmemShimConfigSkip(text, ",start=shared"))
        return false;
    config->list = calloc(2 * GMEM_SHIM_BACKENDS_MAX, sizeof(*config->list));
    if (config->list == NULL)
        return false;
    while (**text != '\0' &&
           strncmp(*text, GMEM_SHIM_CONFIG_ARGV, strlen(GMEM_SHIM_CONFIG_ARGV)) != 0) {
        gmemShimConfigBackend *backend = &config->list[config->listed];

        if (config->listed == 2 * GMEM_SHIM_BACKENDS_MAX ||
            !gmemShimConfigBackendParse(text, backend))
            return false;
        config->listed++;
        if (!backend->ram)
            continue;
        backends++;
        if (backend->size > ULLONG_MAX - ram)
            return false;
        ram += backend->size;
    }
    return backends == config->backends && ram == config->ram;
}

char *
gmemShimConfigFormat(const gmemShimConfig *config)
{
    char *text = malloc(GMEM_SHIM_CONFIG_HEAD +
                        config->listed * (GMEM_SHIM_ID_MAX + GMEM_SHIM_CONFIG_BACKEND) +
                        config->nOptions * (GMEM_SHIM_HASH_DIGITS + 1));
    char *end = text;
    unsigned int i;

    if (text == NULL)
        abort();
    GMEM_SHIM_CONFIG_ADD(end, "version=%d" GMEM_SHIM_CONFIG_MODE "%s,backends=%u,ram=%llu",
                         GMEM_SHIM_CONFIG_VERSION, gmemModeToString(config->mode), config->backends,
                         config->ram);
    if (config->mode == GMEM_MODE_CONVERTIBLE)
        GMEM_SHIM_CONFIG_ADD(end, ",start=%s", config->startPrivate ? "private" : "shared");
    for (i = 0; i < config->listed; i++) {
        const gmemShimConfigBackend *backend = &config->list[i];

        GMEM_SHIM_CONFIG_ADD(end, ",%s=%s:%llu", backend->ram ? "backend" : "other", backend->id,
                             backend->size);
    }
    for (i = 0; i < config->nOptions; i++)
        GMEM_SHIM_CONFIG_ADD(end, "%s%016" PRIx64, i == 0 ? GMEM_SHIM_CONFIG_ARGV : ":",
                             config->options[i]);
    return text;
}

void
gmemShimConfigClear(gmemShimConfig *config)
{
    free(config->list);
    free(config->options);
    memset(config, 0, sizeof(*config));
}

/* "version=" and its number: with another version, nothing else is examined. */
static bool
gmemShimConfigParseVersion(const char **text, const char *value, char *reason, size_t reasonSize)
{
    unsigned long long number;

    /* What libvirt's XML carries is JSON, which libvirt-gmem replaces when it starts the emulator.
     */
    if (**text == '{') {
        snprintf(reason, reasonSize,
                 "'%.100s' is what the domain's XML carries, not the shim's configuration: QEMU "
                 "was not started by libvirt-gmem",
                 value);
        return false;
    }
    if (!gmemShimConfigSkip(text, "version=") || !gmemShimConfigNumber(text, &number)) {
        snprintf(reason, reasonSize, "no version in '%.200s'", value);
        return false;
    }
    if (number == GMEM_SHIM_CONFIG_VERSION)
        return true;
    snprintf(reason, reasonSize,
             "version %llu in '%.200s', where this shim knows version %d: are libvirt-gmem.so "
             "and qemu-gmem.so from the same package?",
             number, value, GMEM_SHIM_CONFIG_VERSION);
    return false;
}

bool
gmemShimConfigHasMode(const char *value, gmemMode mode)
{
    const char *text = strstr(value, GMEM_SHIM_CONFIG_MODE);
    gmemMode found;

    return text != NULL && gmemShimConfigSkip(&text, GMEM_SHIM_CONFIG_MODE) &&
           gmemShimConfigMode(&text, &found) && *text == ',' && found == mode;
}

/* The part that both modes have. */
static bool
gmemShimConfigParseHead(
    const char **text, const char *value, gmemShimConfig *config, char *reason, size_t reasonSize)
{
    unsigned long long number;

    if (!gmemShimConfigSkip(text, GMEM_SHIM_CONFIG_MODE) ||
        !gmemShimConfigMode(text, &config->mode)) {
        snprintf(reason, reasonSize, "no mode, or an unknown one, in '%.200s'", value);
        return false;
    }
    if (!gmemShimConfigSkip(text, ",backends=") || !gmemShimConfigNumber(text, &number) ||
        number > GMEM_SHIM_BACKENDS_MAX) {
        snprintf(reason, reasonSize, "no number of memory backends from 1 to %d in '%.200s'",
                 GMEM_SHIM_BACKENDS_MAX, value);
        return false;
    }
    config->backends = (unsigned int)number;
    if (gmemShimConfigSkip(text, ",ram=") && gmemShimConfigNumber(text, &config->ram))
        return true;
    snprintf(reason, reasonSize, "no size of RAM in bytes in '%.200s'", value);
    return false;
}

/* The lists, up to the end. */
static bool
gmemShimConfigParseLists(
    const char **text, const char *value, gmemShimConfig *config, char *reason, size_t reasonSize)
{
    if (config->mode == GMEM_MODE_CONVERTIBLE && !gmemShimConfigConvertible(text, config)) {
        snprintf(reason, reasonSize,
                 "no start=shared or start=private, or no list of memory backends that make %u of "
                 "%llu bytes, in '%.200s'",
                 config->backends, config->ram, value);
        return false;
    }
    if (!gmemShimConfigOptions(text, config)) {
        snprintf(reason, reasonSize, "no list of numbers of %d digits after argv= in '%.200s'",
                 GMEM_SHIM_HASH_DIGITS, value);
        return false;
    }
    if (**text == '\0')
        return true;
    snprintf(reason, reasonSize, "'%.100s' is left over at the end of '%.200s'", *text, value);
    return false;
}

bool
gmemShimConfigParse(const char *value, gmemShimConfig *config, char *reason, size_t reasonSize)
{
    const char *text = value;
    gmemShimConfig parsed = {0};

    if (gmemShimConfigParseVersion(&text, value, reason, reasonSize) &&
        gmemShimConfigParseHead(&text, value, &parsed, reason, reasonSize) &&
        gmemShimConfigParseLists(&text, value, &parsed, reason, reasonSize)) {
        *config = parsed;
        return true;
    }
    gmemShimConfigClear(&parsed);
    return false;
}
