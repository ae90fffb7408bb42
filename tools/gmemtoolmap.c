/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolmap.c: the guest's addresses as a picture: which of them are private, shared, or not
 * there.
 *
 * A square is a range of guest memory. The kernel is asked how much of it is in memory: by a
 * duplicate of guest_memfd's descriptor, and by QEMU's page tables for an ordinary half. What the
 * guest has not touched yet is in neither. */

#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gmemautofd.h"
#include "gmemi18n.h"
#include "gmemplatform.h"
#include "gmemtoolmemory.h"
#include "gmemtoolproc.h"

#define GMEM_MAP_COLUMNS 128
#define GMEM_MAP_SQUARES 8192 /* of a domain, about */
#define GMEM_MAP_SIDE 7       /* pixels */
#define GMEM_MAP_LEFT 150

typedef struct {
    const gmemToolDomain *domain;
    int process;    /* /proc/PID */
    guint64 square; /* bytes */
    GString *text;
    int y;
} gmemMap;

static guint64
chooseSquare(const gmemToolDomain *domain)
{
    guint64 square = GMEM_PLATFORM_PAGE;
    guint64 size = 0;
    guint i;

    for (i = 0; i < domain->backends->len; i++)
        size += (guint64)MAX(((gmemToolBackend *)domain->backends->pdata[i])->size, 0);
    while (size / square > GMEM_MAP_SQUARES)
        square *= 2;
    return square;
}

/* The upper part of a square is the private memory, the lower one the shared memory. Amounts are in
 * bytes. */
static void
drawSquare(gmemMap *map, int x, int y, gint64 isPrivate, gint64 isShared, guint64 size)
{
    const double side = GMEM_MAP_SIDE;
    double upper = (double)isPrivate / (double)size * side;
    double lower = (double)isShared / (double)size * side;
    char numbers[3][G_ASCII_DTOSTR_BUF_SIZE];

    if (isPrivate > 0)
        g_string_append_printf(
            map->text, "<rect class='p' x='%d' y='%d' width='%d' height='%s'/>\n", x, y,
            GMEM_MAP_SIDE,
            g_ascii_formatd(numbers[0], sizeof(numbers[0]), "%.2f", MAX(upper, 0.5)));
    if (isShared > 0) {
        lower = MIN(MAX(lower, 0.5), side);
        g_string_append_printf(
            map->text, "<rect class='s' x='%d' y='%s' width='%d' height='%s'/>\n", x,
            g_ascii_formatd(numbers[1], sizeof(numbers[1]), "%.2f", y + side - lower),
            GMEM_MAP_SIDE, g_ascii_formatd(numbers[2], sizeof(numbers[2]), "%.2f", lower));
    }
}

static void
drawRange(gmemMap *map, const gmemToolBackend *backend, const gmemToolRange *range)
{
    bool fullyShared = gmemToolIsFullyShared(map->domain);
    guint64 squares = (range->size + map->square - 1) / map->square;
    int rows = (int)((squares + GMEM_MAP_COLUMNS - 1) / GMEM_MAP_COLUMNS);
    guint64 i;

    for (i = 0; i < squares; i++) {
        guint64 offset = range->offset + i * map->square;
        guint64 size = MIN(map->square, range->offset + range->size - offset);
        gint64 gmem = gmemToolCached(backend->fd, offset, size);
        gint64 other = fullyShared || backend->address == 0
                           ? 0
                           : gmemToolPresent(map->process, backend->address + offset, size);

        drawSquare(map, GMEM_MAP_LEFT + (int)(i % GMEM_MAP_COLUMNS) * (GMEM_MAP_SIDE + 1),
                   map->y + (int)(i / GMEM_MAP_COLUMNS) * (GMEM_MAP_SIDE + 1),
                   fullyShared ? 0 : gmem, fullyShared ? gmem : other, size);
    }
    map->y += rows * (GMEM_MAP_SIDE + 1) + 6;
}

/* The background of the squares: memory that is not there. */
static void
drawGround(gmemMap *map, const char *label, guint64 size)
{
    guint64 squares = (size + map->square - 1) / map->square;
    guint64 whole = squares / GMEM_MAP_COLUMNS;
    guint64 rest = squares % GMEM_MAP_COLUMNS;
    const int step = GMEM_MAP_SIDE + 1;

    g_string_append_printf(map->text, "<text x='%d' y='%d' text-anchor='end'>%s</text>\n",
                           GMEM_MAP_LEFT - 8, map->y + GMEM_MAP_SIDE + 1, label);
    if (whole > 0)
        g_string_append_printf(
            map->text, "<rect class='a' x='%d' y='%d' width='%d' height='%d'/>\n", GMEM_MAP_LEFT,
            map->y, GMEM_MAP_COLUMNS * step - 1, (int)whole * step - 1);
    if (rest > 0)
        g_string_append_printf(
            map->text, "<rect class='a' x='%d' y='%d' width='%d' height='%d'/>\n", GMEM_MAP_LEFT,
            map->y + (int)whole * step, (int)rest * step - 1, GMEM_MAP_SIDE);
}

static char *
escapeID(const gmemToolBackend *backend)
{
    g_autofree char *id = gmemToolClean(backend->id != NULL ? backend->id : _("unknown"), SIZE_MAX);

    return g_markup_escape_text(id, -1);
}

/* Merges KVM slots that are adjacent both in the guest and in the backend. */
static void
join(GArray *ranges)
{
    guint i;

    for (i = 1; i < ranges->len;) {
        gmemToolRange *former = &g_array_index(ranges, gmemToolRange, i - 1);
        const gmemToolRange *range = &g_array_index(ranges, gmemToolRange, i);

        if (former->start + former->size != range->start ||
            former->offset + former->size != range->offset) {
            i++;
            continue;
        }
        former->size += range->size;
        g_array_remove_index(ranges, i);
    }
}

/* What is not known about a memory backend, one line for each. */
static void
drawUnknown(gmemMap *map, const gmemToolBackend *backend, bool addresses)
{
    const struct {
        bool known;
        const char *text;
    } lines[] = {{addresses, _("guest addresses are unknown")},
                 {backend->gmemResident >= 0, _("what is in guest_memfd is unknown")},
                 {backend->ordinaryResident >= 0, _("what is in the ordinary half is unknown")}};
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(lines); i++) {
        if (lines[i].known)
            continue;
        g_string_append_printf(map->text, "<text x='%d' y='%d'>%s</text>\n", GMEM_MAP_LEFT,
                               map->y + 10, lines[i].text);
        map->y += 14;
    }
}

static void
drawBackend(gmemMap *map, const gmemToolBackend *backend)
{
    g_autofree char *id = escapeID(backend);
    g_autoptr(GArray) ranges = backend->ranges != NULL
                                   ? g_array_copy(backend->ranges)
                                   : g_array_new(FALSE, TRUE, sizeof(gmemToolRange));
    bool known = ranges->len > 0;
    guint i;

    join(ranges);
    if (!known && backend->size > 0) {
        gmemToolRange whole = {0, (guint64)backend->size, 0};
        g_array_append_val(ranges, whole);
    }
    g_string_append_printf(map->text, "<text class='h' x='%d' y='%d'>%s</text>\n", GMEM_MAP_LEFT,
                           map->y + 10, id);
    map->y += 16;
    drawUnknown(map, backend, known);
    for (i = 0; i < ranges->len; i++) {
        const gmemToolRange *range = &g_array_index(ranges, gmemToolRange, i);
        g_autofree char *label = g_strdup_printf("%s0x%" PRIx64, known ? "" : "+", range->start);

        drawGround(map, label, range->size);
        drawRange(map, backend, range);
    }
}

static void
drawLegend(gmemMap *map, const char *name)
{
    g_autofree char *square = g_format_size_full(map->square, G_FORMAT_SIZE_IEC_UNITS);
    const struct {
        const char *class, *text;
        /* TRANSLATORS: of pages, in the legend of a picture. */
    } entries[] = {{"p", _("private")}, {"s", _("shared")}, {"a", _("not there yet")}};
    int i;

    g_string_append_printf(map->text, "<text class='h' x='8' y='18'>%s</text>\n", name);
    for (i = 0; i < (int)G_N_ELEMENTS(entries); i++)
        g_string_append_printf(map->text,
                               "<rect class='%s' x='%d' y='28' width='10' height='10'/>"
                               "<text x='%d' y='37'>%s</text>\n",
                               entries[i].class, GMEM_MAP_LEFT + i * 130,
                               GMEM_MAP_LEFT + i * 130 + 15, entries[i].text);
    g_string_append_printf(map->text, "<text x='%d' y='37'>", GMEM_MAP_LEFT + 390);
    g_string_append_printf(map->text, _("a square is %1$s"), square);
    g_string_append(map->text, "</text>\n");
    map->y = 54;
}

char *
gmemToolShowMap(const gmemToolDomain *domain)
{
    static const char style[] = "text{font:11px sans-serif;fill:#222}.h{font-weight:bold}"
                                ".a{fill:#e4e4e4}.p{fill:#a3184f}.s{fill:#3a7bbf}";
    g_autoptr(GString) body = g_string_new(NULL);
    g_autofree char *name = gmemToolClean(domain->name != NULL ? domain->name : "?", SIZE_MAX);
    g_autofree char *escaped = g_markup_escape_text(name, -1);
    g_autofree char *path = g_strdup_printf("/proc/%d", domain->pid);
    GMEM_AUTO_FD process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    gmemMap map = {domain, process, chooseSquare(domain), body, 0};
    const int width = GMEM_MAP_LEFT + GMEM_MAP_COLUMNS * (GMEM_MAP_SIDE + 1) + 8;
    guint i;

    drawLegend(&map, escaped);
    for (i = 0; i < domain->backends->len; i++)
        drawBackend(&map, domain->backends->pdata[i]);
    return g_strdup_printf("<?xml version='1.0' encoding='UTF-8'?>\n"
                           "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d'>\n"
                           "<style>%s</style>\n<rect width='100%%' height='100%%' fill='white'/>\n"
                           "%s</svg>\n",
                           width, map.y + 8, style, body->str);
}
