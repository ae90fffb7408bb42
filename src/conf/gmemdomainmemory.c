/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomainmemory.c: a domain's memory: sizes, cells, memory devices, huge pages and nodesets. */

#include "gmemdomainmemory.h"

#include <stdlib.h>
#include <string.h>

#include "gmemplatform.h"

/* The limit of libvirt for a set of nodes. */
#define GMEM_DOMAIN_NODES_MAX 16384

/* libvirt's units: "b" and "bytes", "KB" for 1000 bytes, "K" and "KiB" for 1024; the default is
 * KiB. Returns KiB, rounded up, or 0 for a size that stock libvirt refuses anyway. */
static unsigned long long
gmemDomainMemoryScale(const char *number, const char *unit)
{
    static const char prefixes[] = "kmgtpe";
    unsigned long long base = 1024;
    unsigned long long bytes = 1;
    const char *prefix;
    guint64 value;

    if (number == NULL || !g_ascii_string_to_unsigned(number, 10, 0, G_MAXUINT64, &value, NULL))
        return 0;
    if (unit == NULL || unit[0] == '\0')
        unit = "KiB";
    prefix = strchr(prefixes, g_ascii_tolower(unit[0]));
    if (prefix == NULL) {
        if (g_ascii_strcasecmp(unit, "b") != 0 && g_ascii_strcasecmp(unit, "bytes") != 0)
            return 0;
        return value / 1024 + (value % 1024 != 0);
    }
    if (unit[1] != '\0' && g_ascii_strcasecmp(unit + 1, "iB") != 0) {
        if (g_ascii_strcasecmp(unit + 1, "B") != 0)
            return 0;
        base = 1000;
    }
    for (; prefix >= prefixes; prefix--)
        bytes *= base;
    if (value > G_MAXUINT64 / bytes)
        return 0;
    value *= bytes;
    return value / 1024 + (value % 1024 != 0);
}

static unsigned long long
gmemDomainMemoryParseSize(gmemXMLNode *root, const char *path)
{
    gmemXMLNode *node = gmemXMLFindFirst(root, path);
    g_autofree char *unit = gmemXMLAttribute(node, "unit");
    g_autofree char *number = node != NULL ? gmemXMLContent(node) : NULL;

    return gmemDomainMemoryScale(number, unit);
}

/* A set of nodes, with one bit for each. */
typedef struct {
    guint8 bits[GMEM_DOMAIN_NODES_MAX / 8];
} gmemDomainNodes;

/* Sets whole bytes at once, so that the cost of a nodeset does not depend on the width of its
 * ranges. */
static void
gmemDomainMemoryAddNodes(gmemDomainNodes *set, unsigned long from, unsigned long to)
{
    for (; from <= to && from % 8 != 0; from++)
        set->bits[from / 8] |= (guint8)(1U << (from % 8));
    if (from + 7 <= to) {
        unsigned long bytes = (to + 1 - from) / 8;

        memset(set->bits + from / 8, 0xff, bytes);
        from += 8 * bytes;
    }
    for (; from <= to; from++)
        set->bits[from / 8] |= (guint8)(1U << (from % 8));
}

/* Reads "0-3,^2,8" into @set. Returns false if the text is not a nodeset. */
static bool
gmemDomainMemoryParseNodes(const char *text, gmemDomainNodes *set)
{
    memset(set, 0, sizeof(*set));
    while (*text != '\0') {
        bool add = *text != '^';
        unsigned long from, to;
        char *end;

        text += !add;
        if (!g_ascii_isdigit(*text))
            return false;
        from = to = strtoul(text, &end, 10);
        if (*end == '-') {
            if (!add || !g_ascii_isdigit(end[1]))
                return false;
            to = strtoul(end + 1, &end, 10);
        }
        if (to >= GMEM_DOMAIN_NODES_MAX || from > to)
            return false;
        if (add)
            gmemDomainMemoryAddNodes(set, from, to);
        else
            set->bits[from / 8] &= (guint8) ~(1U << (from % 8));
        while (g_ascii_isspace(*end))
            end++;
        if (*end == ',')
            end++;
        else if (*end != '\0')
            return false;
        while (g_ascii_isspace(*end))
            end++;
        text = end;
    }
    return true;
}

/* The contents of <hugepages>. Sizes are in KiB; 0 means the host's default size. Only exists while
 * a domain is read, because its size does not depend on the domain's. */
typedef struct {
    unsigned long long ofCell[GMEM_DOMAIN_NODES_MAX];
    guint8 given[GMEM_DOMAIN_NODES_MAX / 8]; /* cells that a <page> names, a bit each */
    unsigned long long rest;                 /* of all other cells */
    bool restGiven;
} gmemDomainPages;

/* A nodeset, to compare others with. */
typedef struct {
    const char *text;
    bool valid;
    gmemDomainNodes set;
} gmemDomainWhole;

static bool
gmemDomainMemorySameNodes(const char *text, const gmemDomainWhole *whole)
{
    gmemDomainNodes set;

    if (text == NULL || whole->text == NULL)
        return text == whole->text;
    if (strcmp(text, whole->text) == 0)
        return true;
    return whole->valid && gmemDomainMemoryParseNodes(text, &set) &&
           memcmp(&set, &whole->set, sizeof(set)) == 0;
}

/* libvirt uses the first <page> that names a cell. */
static void
gmemDomainMemoryParsePage(gmemDomainPages *pages, const char *nodeset, unsigned long long size)
{
    gmemDomainNodes set;
    size_t i, j;

    if (nodeset == NULL) {
        if (!pages->restGiven)
            pages->rest = size;
        pages->restGiven = true;
        return;
    }
    if (!gmemDomainMemoryParseNodes(nodeset, &set))
        return;
    for (i = 0; i < sizeof(set.bits); i++) {
        guint8 fresh = set.bits[i] & (guint8)~pages->given[i];

        for (j = 0; fresh != 0 && j < 8; j++) {
            if (fresh & (1U << j))
                pages->ofCell[8 * i + j] = size;
        }
        pages->given[i] |= fresh;
    }
}

/* If there is no <page>, <hugepages> itself counts as one. Returns NULL if that does not exist
 * either. Free with g_free(). */
static gmemDomainPages *
gmemDomainMemoryParsePages(gmemDomainDef *def, gmemXMLNode *root)
{
    g_autofree gmemXMLNode **nodes = gmemXMLFind(root, "memoryBacking/hugepages/page");
    gmemDomainPages *pages;
    size_t i;

    if (gmemXMLFindFirst(root, "memoryBacking/hugepages") == NULL)
        return NULL;
    pages = g_new0(gmemDomainPages, 1);
    if (nodes[0] == NULL) {
        pages->restGiven = true;
        def->hugepages = true;
    }
    for (i = 0; nodes[i] != NULL; i++) {
        g_autofree char *number = gmemXMLAttribute(nodes[i], "size");
        g_autofree char *unit = gmemXMLAttribute(nodes[i], "unit");
        g_autofree char *nodeset = gmemXMLAttribute(nodes[i], "nodeset");
        unsigned long long size = gmemDomainMemoryScale(number, unit);

        gmemDomainMemoryParsePage(pages, nodeset, size);
        if (size != GMEM_PLATFORM_PAGE_KIB)
            def->hugepages = true;
    }
    return pages;
}

/* The size of a cell's huge pages, in KiB; 0 for ordinary pages. The host's default size is assumed
 * to be the smallest possible one. */
static unsigned long long
gmemDomainMemoryPageOf(const gmemDomainPages *pages, unsigned long long cell)
{
    bool given = pages != NULL && cell < GMEM_DOMAIN_NODES_MAX &&
                 (pages->given[cell / 8] & (1U << (cell % 8))) != 0;
    unsigned long long size;

    if (!given && (pages == NULL || !pages->restGiven))
        return 0;
    size = given ? pages->ofCell[cell] : pages->rest;
    if (size == GMEM_PLATFORM_PAGE_KIB)
        return 0;
    return size != 0 ? size : GMEM_PLATFORM_HUGE_PAGE_KIB;
}

/* The number of a cell, or @otherwise if @text is not a number. */
static unsigned long long
gmemDomainMemoryParseId(const char *text, unsigned long long otherwise)
{
    guint64 id;

    if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &id, NULL))
        return otherwise;
    return id;
}

static void
gmemDomainMemoryParseBacking(gmemDomainDef *def, gmemXMLNode *root)
{
    def->sourceType = gmemXMLAttribute(gmemXMLFindFirst(root, "memoryBacking/source"), "type");
    def->accessMode = gmemXMLAttribute(gmemXMLFindFirst(root, "memoryBacking/access"), "mode");
    def->locked = gmemXMLFindFirst(root, "memoryBacking/locked") != NULL;
}

static void
gmemDomainMemoryParseCells(gmemDomainDef *def, const gmemDomainPages *pages, gmemXMLNode *root)
{
    g_autofree gmemXMLNode **nodes = gmemXMLFind(root, "cpu/numa/cell");
    size_t i;

    while (nodes[def->ncells] != NULL)
        def->ncells++;
    def->cells = g_new0(gmemDomainCell, def->ncells);
    for (i = 0; i < def->ncells; i++) {
        g_autofree char *id = gmemXMLAttribute(nodes[i], "id");
        g_autofree char *number = gmemXMLAttribute(nodes[i], "memory");
        g_autofree char *unit = gmemXMLAttribute(nodes[i], "unit");

        def->cells[i].id = gmemDomainMemoryParseId(id, i);
        def->cells[i].page = gmemDomainMemoryPageOf(pages, def->cells[i].id);
        def->cells[i].size = gmemDomainMemoryScale(number, unit);
        def->cells[i].access = gmemXMLAttribute(nodes[i], "memAccess");
    }
}

static void
gmemDomainMemoryParseDevices(gmemDomainDef *def, const gmemDomainPages *pages, gmemXMLNode *root)
{
    g_autofree gmemXMLNode **nodes = gmemXMLFind(root, "devices/memory");
    size_t i;

    while (nodes[def->nmemories] != NULL)
        def->nmemories++;
    def->memories = g_new0(gmemDomainMemory, def->nmemories);
    for (i = 0; i < def->nmemories; i++) {
        gmemDomainMemory *memory = &def->memories[i];
        gmemXMLNode *node = gmemXMLFindFirst(nodes[i], "target/node");
        g_autofree char *cell = node != NULL ? gmemXMLContent(node) : NULL;

        memory->model = gmemXMLAttribute(nodes[i], "model");
        memory->access = gmemXMLAttribute(nodes[i], "access");
        memory->size = gmemDomainMemoryParseSize(nodes[i], "target/size");
        memory->pagesize = gmemDomainMemoryParseSize(nodes[i], "source/pagesize");
        if (memory->pagesize == 0)
            memory->page = gmemDomainMemoryPageOf(pages, gmemDomainMemoryParseId(cell, 0));
        else if (memory->pagesize != GMEM_PLATFORM_PAGE_KIB)
            memory->page = memory->pagesize;
        if (memory->pagesize > GMEM_PLATFORM_PAGE_KIB)
            def->hugedimms = true;
    }
}

/* libvirt's default mode is strict. */
static char *
gmemDomainMemoryParseNumaMode(gmemXMLNode *node)
{
    char *mode = gmemXMLAttribute(node, "mode");

    return mode != NULL ? mode : g_strdup("strict");
}

/* What <memory> of <numatune> says, libvirt enforces with the domain's cpuset, or with the policy
 * that QEMU inherits, and not on memory backends. Anything else that a cell asks for requires a
 * policy of its own. */
static void
gmemDomainMemoryParseNumatune(gmemDomainDef *def, gmemXMLNode *root)
{
    g_autofree gmemXMLNode **memnodes = gmemXMLFind(root, "numatune/memnode");
    g_autofree gmemXMLNode **nodemasks = gmemXMLFind(root, "devices/memory/source/nodemask");
    gmemXMLNode *memory = gmemXMLFindFirst(root, "numatune/memory");
    g_autofree char *text = gmemXMLAttribute(memory, "nodeset");
    gmemDomainWhole whole = {.text = text};
    g_autofree char *wholeMode = gmemDomainMemoryParseNumaMode(memory);
    size_t i;

    whole.valid = text != NULL && gmemDomainMemoryParseNodes(text, &whole.set);
    for (i = 0; memnodes[i] != NULL && !def->nodesetsDiffer; i++) {
        g_autofree char *nodeset = gmemXMLAttribute(memnodes[i], "nodeset");
        g_autofree char *mode = gmemDomainMemoryParseNumaMode(memnodes[i]);

        def->nodesetsDiffer =
            strcmp(mode, wholeMode) != 0 || !gmemDomainMemorySameNodes(nodeset, &whole);
    }
    for (i = 0; nodemasks[i] != NULL && !def->nodesetsDiffer; i++) {
        g_autofree char *nodeset = gmemXMLContent(nodemasks[i]);

        def->nodesetsDiffer = !gmemDomainMemorySameNodes(nodeset, &whole);
    }
}

void
gmemDomainMemoryParse(gmemDomainDef *def)
{
    g_autofree gmemDomainPages *pages = gmemDomainMemoryParsePages(def, def->root);

    def->page = gmemDomainMemoryPageOf(pages, 0);
    def->memory = gmemDomainMemoryParseSize(def->root, "memory");
    def->currentMemory = gmemDomainMemoryParseSize(def->root, "currentMemory");
    def->hardLimit = gmemDomainMemoryParseSize(def->root, "memtune/hard_limit");
    gmemDomainMemoryParseBacking(def, def->root);
    gmemDomainMemoryParseCells(def, pages, def->root);
    gmemDomainMemoryParseDevices(def, pages, def->root);
    gmemDomainMemoryParseNumatune(def, def->root);
}

unsigned long long
gmemDomainMemoryMainRam(const gmemDomainDef *def)
{
    unsigned long long devices = 0;
    size_t i;

    /* <memory> includes all memory devices. */
    for (i = 0; i < def->nmemories; i++)
        devices += def->memories[i].size;
    return def->memory > devices ? def->memory - devices : 0;
}

unsigned long long
gmemDomainMemoryRam(const gmemDomainDef *def)
{
    unsigned long long sum = def->ncells > 0 ? 0 : gmemDomainMemoryMainRam(def);
    size_t i;

    for (i = 0; i < def->ncells; i++) {
        if (def->cells[i].size == 0)
            return 0;
        sum += def->cells[i].size;
    }
    for (i = 0; i < def->nmemories; i++) {
        if (g_strcmp0(def->memories[i].model, "dimm") == 0)
            sum += def->memories[i].size;
    }
    return sum;
}

unsigned long long
gmemDomainMemoryHugeRam(const gmemDomainDef *def)
{
    unsigned long long sum = 0;
    size_t i;

    if (def->ncells == 0 && def->page != 0)
        sum = gmemDomainMemoryMainRam(def);
    for (i = 0; i < def->ncells; i++) {
        if (def->cells[i].page != 0)
            sum += def->cells[i].size;
    }
    for (i = 0; i < def->nmemories; i++) {
        if (g_strcmp0(def->memories[i].model, "dimm") == 0 && def->memories[i].page != 0)
            sum += def->memories[i].size;
    }
    return sum;
}
