/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_shapes.c: domain XML and command lines of any size, each large in one way: in what a user
 * can write many times or make long, and in the products of two such things. */

#include <string.h>

#include "test_shapes.h"

#define TEST_QEMU "http://libvirt.org/schemas/domain/qemu/1.0"
#define TEST_PAIR_HEAD "{\"version\":1,\"mode\":\"fully-shared\",\"added\":["
#define TEST_PAIR_ADDED                                                                            \
    "{\"path\":\"memoryBacking/source/@type\",\"value\":\"memfd\"},"                               \
    "{\"path\":\"memoryBacking/access/@mode\",\"value\":\"shared\"}"
#define TEST_PAIR_CONVERTIBLE                                                                      \
    "{\"version\":1,\"mode\":\"convertible\",\"launchSecurity\":\"sw-protected\",\"added\":["      \
    "{\"path\":\"features/ioapic/@driver\",\"value\":\"qemu\"},"                                   \
    "{\"path\":\"features/smm/@state\",\"value\":\"off\"}"
#define TEST_PAIR_TAIL "]}"

/* Repeats @piece until there are @size bytes, with the number of the repetition (from 1) for each
 * '%'. */
static void
testRepeat(GString *text, size_t size, const char *piece)
{
    size_t end = text->len + size;
    size_t i;

    for (i = 1; text->len < end; i++) {
        const char *at;

        for (at = piece; *at != '\0'; at++) {
            if (*at == '%')
                g_string_append_printf(text, "%zu", i);
            else
                g_string_append_c(text, *at);
        }
    }
}

/* -- attributes and namespaces ------------------------------------------------------------------
 */

static void
testAttributes(testParts *parts, size_t size)
{
    g_string_append(parts->body, "<metadata><m:m xmlns:m='u'");
    testRepeat(parts->body, size, " a%='x'");
    g_string_append(parts->body, "/></metadata>");
}

/* libvirt refuses it, and its error contains what precedes the mistake. */
static void
testMalformedAttributes(testParts *parts, size_t size)
{
    testAttributes(parts, size);
    g_string_append(parts->commandline, "<");
}

static void
testSecurityAttributes(testParts *parts, size_t size)
{
    g_string_append(parts->body, "<launchSecurity type='sw-protected'");
    testRepeat(parts->body, size / 2, " a%='x'");
    testRepeat(parts->body, size / 2, " xmlns:a%='x'");
    g_string_append(parts->body, "/>");
}

static void
testNamespacesUsed(testParts *parts, size_t size)
{
    testRepeat(parts->root, size / 2, " xmlns:a%='u'");
    testRepeat(parts->body, size / 2, "<a1:x/>");
}

static void
testLongNamespace(testParts *parts, size_t size)
{
    g_string_append(parts->root, " xmlns:u='");
    testRepeat(parts->root, size / 2, "u");
    g_string_append(parts->root, "'");
    testRepeat(parts->body, size / 2, "<u:x/>");
}

/* -- elements and text --------------------------------------------------------------------------
 */

static void
testNested(testParts *parts, size_t size)
{
    size_t left;

    for (left = size / strlen("<a></a>"); left > 0; left -= MIN(left, 240)) {
        testRepeat(parts->body, MIN(left, 240) * strlen("<a>"), "<a>");
        testRepeat(parts->body, MIN(left, 240) * strlen("</a>"), "</a>");
    }
}

static void
testLongName(testParts *parts, size_t size)
{
    GString *name = g_string_new(NULL);

    testRepeat(name, 1500, "n");
    g_string_append_printf(name, "%%");
    g_string_prepend(name, "<");
    g_string_append(name, "/>");
    testRepeat(parts->body, size, name->str);
    g_string_free(name, TRUE);
}

static void
testSpace(testParts *parts, size_t size)
{
    testRepeat(parts->backing, size / 4, " ");
    testRepeat(parts->root, size / 4, "\n");
    testRepeat(parts->commandline, size / 4, "\t");
    testRepeat(parts->devices, size / 4, " ");
}

static void
testLatin1(testParts *parts, size_t size)
{
    g_string_append(parts->prolog, "<?xml version='1.0' encoding='ISO-8859-1'?>");
    g_string_append(parts->body, "<description>");
    testRepeat(parts->body, size, "na&#xef;ve ");
    g_string_append(parts->body, "</description>");
}

/* -- document type declarations -----------------------------------------------------------------
 */

static void
testDeclare(testParts *parts, size_t size, const char *piece)
{
    g_string_append(parts->prolog, "<!DOCTYPE domain [");
    testRepeat(parts->prolog, size, piece);
    g_string_append(parts->prolog, "]>");
}

static void
testEntities(testParts *parts, size_t size)
{
    testDeclare(parts, size / 2, "<!ENTITY e% 'x'>");
    testRepeat(parts->body, size / 2, "&e1;");
}

static void
testLongEntity(testParts *parts, size_t size)
{
    g_string_append(parts->prolog, "<!DOCTYPE domain [<!ENTITY e '");
    testRepeat(parts->prolog, size / 2, "x");
    g_string_append(parts->prolog, "'>]>");
    g_string_append(parts->body, "<description>");
    testRepeat(parts->body, size / 2, "&e;");
    g_string_append(parts->body, "</description>");
}

static void
testDefaults(testParts *parts, size_t size)
{
    testDeclare(parts, size / 2, "<!ATTLIST a a% CDATA 'x'>");
    testRepeat(parts->body, size / 2, "<a/>");
}

static void
testDeclaredComments(testParts *parts, size_t size)
{
    testDeclare(parts, size, "<!-- % -->");
}

/* -- what the two elements look at --------------------------------------------------------------
 */

static void
testCells(testParts *parts, size_t size)
{
    g_string_append(parts->body, "<cpu><numa>");
    testRepeat(parts->body, size, "<cell id='%' memory='4'/>");
    g_string_append(parts->body, "</numa></cpu>");
}

static void
testPages(testParts *parts, size_t size)
{
    g_string_append(parts->backing, "<hugepages>");
    testRepeat(parts->backing, size, "<page size='4' nodeset='%'/>");
    g_string_append(parts->backing, "</hugepages>");
}

static void
testLongNodeset(testParts *parts, size_t size)
{
    g_string_append(parts->backing, "<hugepages><page size='4' nodeset='");
    testRepeat(parts->backing, size, "0-16383,");
    g_string_append(parts->backing, "1'/></hugepages>");
}

static void
testCellsPages(testParts *parts, size_t size)
{
    testCells(parts, size / 2);
    testPages(parts, size / 2);
}

static void
testCellsNodeset(testParts *parts, size_t size)
{
    testCells(parts, size / 2);
    testLongNodeset(parts, size / 2);
}

static void
testConvertiblePages(testParts *parts, size_t size)
{
    parts->convertible = true;
    testCellsPages(parts, size);
}

static void
testConvertibleNodeset(testParts *parts, size_t size)
{
    parts->convertible = true;
    testCellsNodeset(parts, size);
}

static void
testCellsPagesNodesets(testParts *parts, size_t size)
{
    testCells(parts, size / 3);
    g_string_append(parts->backing, "<hugepages>");
    testRepeat(parts->backing, size * 2 / 3,
               "<page size='4' nodeset='10000-16383,10000-16383,10000-16383,10000-16383'/>");
    g_string_append(parts->backing, "</hugepages>");
}

static void
testMemnodesNodeset(testParts *parts, size_t size)
{
    g_string_append(parts->body, "<numatune><memory mode='strict' nodeset='");
    testRepeat(parts->body, size / 2, "0-7,");
    g_string_append(parts->body, "7'/>");
    testRepeat(parts->body, size / 2, "<memnode cellid='%' mode='strict' nodeset='0-7'/>");
    g_string_append(parts->body, "</numatune>");
}

static void
testDimms(testParts *parts, size_t size)
{
    testRepeat(parts->devices, size,
               "<memory model='dimm'><source><nodemask>0-3</nodemask></source><target>"
               "<size unit='KiB'>524288</size><node>%</node></target></memory>");
}

static void
testDimmsPages(testParts *parts, size_t size)
{
    testDimms(parts, size / 2);
    testPages(parts, size / 2);
}

static void
testConvertibleDimms(testParts *parts, size_t size)
{
    parts->convertible = true;
    testDimmsPages(parts, size);
}

static void
testNVDIMMs(testParts *parts, size_t size)
{
    testRepeat(parts->devices, size,
               "<memory model='nvdimm'><source><path>/x</path></source><target>"
               "<size unit='KiB'>524288</size><node>%</node></target></memory>");
}

static void
testFeatures(testParts *parts, size_t size)
{
    g_string_append(parts->body, "<os><firmware>");
    testRepeat(parts->body, size, "<feature enabled='no' name='x%'/>");
    g_string_append(parts->body, "</firmware></os><features>");
    testRepeat(parts->body, size / 4, "<f%/>");
    g_string_append(parts->body, "</features>");
}

/* -- the command line in the domain -------------------------------------------------------------
 */

static void
testAdded(testParts *parts, size_t size)
{
    testRepeat(parts->added, size,
               ",{\"path\":\"devices/memory[%]/@access\",\"value\":\"private\"}");
}

static void
testAddedNVDIMMs(testParts *parts, size_t size)
{
    testNVDIMMs(parts, size);
    testAdded(parts, size / 2);
}

/* -- snapshots ----------------------------------------------------------------------------------
 */

static void
testDomains(testParts *parts, size_t size)
{
    parts->domains = 1 + size / 700;
}

/* The variable that a set of cells is read into has room for all of libvirt's cells. */
static void
testDomainsNodes(testParts *parts, size_t size)
{
    testDomains(parts, size);
    g_string_append(parts->backing, "<hugepages><page size='4' nodeset='1'/></hugepages>");
}

static void
testDomainsNamespaces(testParts *parts, size_t size)
{
    parts->domains = 1 + size / 2 / 700;
    testRepeat(parts->around, size / 2, " xmlns:a%='u'");
}

static void
testDomainsHref(testParts *parts, size_t size)
{
    parts->domains = 1 + size / 2 / 700;
    g_string_append(parts->around, " xmlns:a='");
    testRepeat(parts->around, size / 2, "u");
    g_string_append(parts->around, "'");
}

static void
testDomainsUsedHref(testParts *parts, size_t size)
{
    testDomainsHref(parts, size);
    g_string_append(parts->body, "<metadata><a:x xmlns:a='u'/></metadata>");
}

/* @piece repeated in @part, between @head and @tail; or the result of a function. */
#define IN(part, head, piece, tail) NULL, offsetof(testParts, part), head, piece, tail
#define BY(function) function, 0, NULL, NULL, NULL
#define FINE TEST_SHAPE_FINE, TEST_SHAPE_FINE

const testShape testShapes[] = {
    {"attributes of one element", BY(testAttributes), FINE},
    {"attributes, malformed", BY(testMalformedAttributes), TEST_SHAPE_FINE, TEST_SHAPE_REFUSED},
    {"attributes of <domain>", IN(root, "", " a%='x'", ""), FINE},
    {"elements with attributes", IN(body, "", "<a b='%' c='x' d='' e='y'/>", ""), FINE},
    {"a long value", IN(body, "<x a='", "value ", "'/>"), FINE},
    {"a long value in <domain>", IN(root, " a='", "/>&amp;", "'"), FINE},
    {"namespaces", IN(root, "", " xmlns:a%='u'", ""), FINE},
    {"namespaces of QEMU", IN(root, "", " xmlns:q%='" TEST_QEMU "'", ""), FINE},
    {"namespaces, used", BY(testNamespacesUsed), FINE},
    {"a namespace for each element", IN(body, "", "<n:a xmlns:n='u%' n:b='c'/>", ""), FINE},
    {"a long namespace, used", BY(testLongNamespace), FINE},
    {"elements", IN(body, "", "<a/>", ""), FINE},
    {"formatted elements", IN(body, "", "\n  <a>\n    <b></b>\n  </a>", ""), FINE},
    {"elements 240 deep", BY(testNested), FINE},
    {"metadata",
     IN(body,
        "<metadata>",
        "<m:m xmlns:m='urn:%'><memoryBacking><private/></memoryBacking></m:m>",
        "</metadata>"),
     FINE},
    {"long names", BY(testLongName), FINE},
    {"text", IN(body, "<description>", "private memory ", "</description>"), FINE},
    {"references to characters", IN(body, "<description>", "&#65;&lt;", "</description>"), FINE},
    {"white space", BY(testSpace), FINE},
    {"white space in tags", IN(body, "", "<a\t\n            >             </a      >", ""), FINE},
    {"comments", IN(body, "", "<!-- <private/> -->", ""), FINE},
    {"a long comment", IN(backing, "<!--", "<private/> ", "-->"), FINE},
    {"processing instructions", IN(body, "", "<?p <private/>?>", ""), FINE},
    {"CDATA sections", IN(body, "<metadata>", "<a><![CDATA[<private/>]]></a>", "</metadata>"),
     FINE},
    {"a long CDATA section",
     IN(body, "<description><![CDATA[", "<memoryBacking>]]", "]]></description>"), FINE},
    {"ISO-8859-1", BY(testLatin1), FINE},
    {"entities and references", BY(testEntities), TEST_SHAPE_REFUSED, TEST_SHAPE_REFUSED},
    {"a long entity and references", BY(testLongEntity), TEST_SHAPE_REFUSED, TEST_SHAPE_REFUSED},
    {"declared attributes", BY(testDefaults), TEST_SHAPE_REFUSED, TEST_SHAPE_REFUSED},
    {"comments in the declaration", BY(testDeclaredComments), TEST_SHAPE_REFUSED,
     TEST_SHAPE_REFUSED},
    {"cells", BY(testCells), FINE},
    {"pages", BY(testPages), FINE},
    {"a long set of nodes", BY(testLongNodeset), FINE},
    {"cells and pages", BY(testCellsPages), FINE},
    {"cells and a long set of nodes", BY(testCellsNodeset), FINE},
    {"cells, pages and sets of nodes", BY(testCellsPagesNodesets), FINE},
    {"convertible: cells and pages", BY(testConvertiblePages), FINE},
    {"convertible: cells and a long set of nodes", BY(testConvertibleNodeset), FINE},
    {"nodes of cells",
     IN(body,
        "<numatune><memory mode='strict' nodeset='0-1023'/>",
        "<memnode cellid='%' mode='strict' nodeset='0,1-1023'/>",
        "</numatune>"),
     FINE},
    {"nodes of cells and a long set", BY(testMemnodesNodeset), FINE},
    {"modules", BY(testDimms), FINE},
    {"modules and pages", BY(testDimmsPages), FINE},
    {"convertible: modules and pages", BY(testConvertibleDimms), FINE},
    {"NVDIMMs", BY(testNVDIMMs), TEST_SHAPE_EITHER, TEST_SHAPE_FINE},
    {"devices",
     IN(devices,
        "",
        "<disk type='file'><source file='/x/%'/></disk><hostdev type='usb'/>"
        "<interface type='user'><model type='virtio'/></interface>"
        "<filesystem><driver type='path'/></filesystem><video><driver name='qemu'/></video>"
        "<shmem name='%'><model type='ivshmem-doorbell'/></shmem>",
        ""),
     FINE},
    {"features", BY(testFeatures), FINE},
    {"a long number", IN(body, "<currentMemory>", "0", "1048576</currentMemory>"), FINE},
    {"launch securities", IN(body, "", "<launchSecurity type='s%'/>", ""), TEST_SHAPE_REFUSED,
     TEST_SHAPE_EITHER},
    {"attributes of launch security", BY(testSecurityAttributes), TEST_SHAPE_REFUSED,
     TEST_SHAPE_REFUSED},
    {"elements of launch security",
     IN(body, "<launchSecurity type='sw-protected'><x", " a%='x'", "/></launchSecurity>"),
     TEST_SHAPE_REFUSED, TEST_SHAPE_REFUSED},
    {"<private/> many times", IN(backing, "", "<private/>", ""), TEST_SHAPE_REFUSED,
     TEST_SHAPE_REFUSED},
    {"arguments", IN(arguments, "", "<qemu:arg value='-a%'/>", ""), FINE},
    {"a long argument",
     IN(arguments, "<qemu:arg value='-a'/><qemu:arg value='", "{&quot;a&quot;:1}", "'/>"), FINE},
    {"command lines",
     IN(commandline,
        "",
        "<q:commandline xmlns:q='" TEST_QEMU "'><q:arg value='-S'/></q:commandline>",
        ""),
     FINE},
    {"a long list of changes", BY(testAdded), TEST_SHAPE_FINE, TEST_SHAPE_EITHER},
    {"a long list of changes of NVDIMMs", BY(testAddedNVDIMMs), TEST_SHAPE_EITHER,
     TEST_SHAPE_EITHER},
    {"domains", BY(testDomains), FINE},
    {"domains and sets of cells", BY(testDomainsNodes), FINE},
    {"domains and namespaces", BY(testDomainsNamespaces), FINE},
    {"domains and a long namespace", BY(testDomainsHref), FINE},
    {"domains and a long namespace, used", BY(testDomainsUsedHref), FINE},
    {"disks of a snapshot",
     IN(beside, "<name>s</name><disks>", "<disk name='vd%' snapshot='no'/>", "</disks>"), FINE},
};
const size_t testShapesCount = G_N_ELEMENTS(testShapes);

static const size_t testPartsCount = offsetof(testParts, domains) / sizeof(GString *);

static void
testPartsInit(testParts *parts)
{
    GString **all = (GString **)parts;
    size_t i;

    for (i = 0; i < testPartsCount; i++)
        all[i] = g_string_new(NULL);
    parts->domains = 1;
    parts->convertible = false;
}

static void
testPartsClear(testParts *parts)
{
    GString **all = (GString **)parts;
    size_t i;

    for (i = 0; i < testPartsCount; i++)
        g_string_free(all[i], TRUE);
}

/* The mode's own parts, as a user writes them and as lowering leaves them. */
static const struct {
    const char *backing;
    const char *body;
    const char *loweredBacking;
    const char *loweredBody;
    const char *pair;
} testModes[] = {
    {"<private/>", "", "<source type='memfd'/><access mode='shared'/>", "",
     TEST_PAIR_HEAD TEST_PAIR_ADDED},
    {"", "<launchSecurity type='sw-protected'/>", "",
     "<features><ioapic driver='qemu'/><smm state='off'/></features>", TEST_PAIR_CONVERTIBLE},
};

static void
testShapeFill(const testShape *shape, testParts *parts, size_t size)
{
    GString *part = *(GString **)((char *)parts + shape->part);

    if (shape->fill != NULL) {
        shape->fill(parts, size);
        return;
    }
    g_string_append(part, shape->head);
    testRepeat(part, size, shape->piece);
    g_string_append(part, shape->tail);
}

static void
testAppend(GString *text, ...)
{
    const char *piece;
    va_list pieces;

    va_start(pieces, text);
    while ((piece = va_arg(pieces, const char *)) != NULL)
        g_string_append(text, piece);
    va_end(pieces);
}

static void
testAppendDomain(GString *text, const testParts *parts, bool lowered, const char *name)
{
    size_t mode = parts->convertible ? 1 : 0;

    testAppend(text, "<", name, " type='kvm' xmlns:qemu='" TEST_QEMU "'", parts->root->str,
               "><name>a</name><memory>1048576</memory><memoryBacking>", parts->backing->str,
               lowered ? testModes[mode].loweredBacking : testModes[mode].backing,
               "</memoryBacking><os><type arch='x86_64' machine='pc'>hvm</type></os>",
               lowered ? testModes[mode].loweredBody : testModes[mode].body, parts->body->str,
               "<devices>", parts->devices->str, "</devices><qemu:commandline>", NULL);
    if (lowered)
        testAppend(text, "<qemu:arg value='-x-libvirt-gmem'/><qemu:arg value='",
                   testModes[mode].pair, parts->added->str, TEST_PAIR_TAIL "'/>", NULL);
    testAppend(text, parts->arguments->str, "</qemu:commandline>", parts->commandline->str, "</",
               name, ">", NULL);
}

char *
testShapeDomain(const testShape *shape, size_t size, bool lowered)
{
    testParts parts;
    GString *text;

    testPartsInit(&parts);
    testShapeFill(shape, &parts, size);
    text = g_string_new(parts.prolog->str);
    testAppendDomain(text, &parts, lowered, "domain");
    testPartsClear(&parts);
    return g_string_free(text, FALSE);
}

char *
testShapeSnapshot(const testShape *shape, size_t size, bool lowered)
{
    testParts parts;
    GString *text;
    size_t i;

    testPartsInit(&parts);
    testShapeFill(shape, &parts, size);
    text = g_string_new(parts.prolog->str);
    g_string_append_printf(text, "<domainsnapshot%s>", parts.around->str);
    g_string_append(text, parts.beside->str);
    for (i = 0; i < parts.domains; i++)
        testAppendDomain(text, &parts, lowered, i % 2 == 0 ? "domain" : "inactiveDomain");
    g_string_append(text, "</domainsnapshot>");
    testPartsClear(&parts);
    return g_string_free(text, FALSE);
}

/* -- command lines ------------------------------------------------------------------------------
 */

/* Like testRepeat(), with one word for each of @pieces (NULL-terminated) in each repetition. */
static void
testWords(GPtrArray *argv, size_t size, const char *const *pieces)
{
    size_t total = 0;
    size_t i, j;

    for (i = 1; total < size; i++) {
        for (j = 0; pieces[j] != NULL; j++) {
            g_autofree char *number = g_strdup_printf("%zu", i);
            GString *word = g_string_new(pieces[j]);

            g_string_replace(word, "%", number, 0);
            total += word->len + 1;
            g_ptr_array_add(argv, g_string_free(word, FALSE));
        }
    }
}

#define TEST_WORDS(argv, size, ...) testWords(argv, size, (const char *const[]){__VA_ARGS__, NULL})

#define TEST_MEMFD                                                                                 \
    "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"b%\",\"share\":true,\"size\":67108864}"

/* One option @name with the value @head, @piece repeated, @tail. */
static void
testOption(GPtrArray *argv,
           size_t size,
           const char *name,
           const char *head,
           const char *piece,
           const char *tail)
{
    GString *value = g_string_new(head);

    testRepeat(value, size, piece);
    g_string_append(value, tail);
    g_ptr_array_add(argv, g_strdup(name));
    g_ptr_array_add(argv, g_string_free(value, FALSE));
}

static void
testArgvWords(GPtrArray *argv, size_t size)
{
    TEST_WORDS(argv, size, "-a", "b%");
}

static void
testArgvImages(GPtrArray *argv, size_t size)
{
    TEST_WORDS(argv, size, "image%");
}

static void
testArgvDevices(GPtrArray *argv, size_t size)
{
    TEST_WORDS(argv, size, "-device", "{\"driver\":\"virtio-blk-pci\",\"id\":\"mem%\"}", "-netdev",
               "{\"type\":\"user\",\"id\":\"vhost-%\"}");
}

static void
testArgvCells(GPtrArray *argv, size_t size)
{
    TEST_WORDS(argv, size, "-object", TEST_MEMFD, "-numa", "node,nodeid=%,memdev=b%");
}

static void
testArgvDimms(GPtrArray *argv, size_t size)
{
    TEST_WORDS(argv, size, "-object", TEST_MEMFD, "-device",
               "{\"driver\":\"pc-dimm\",\"id\":\"d%\",\"memdev\":\"b%\"}");
}

static void
testArgvKeyvalDimms(GPtrArray *argv, size_t size)
{
    TEST_WORDS(argv, size, "-object", "memory-backend-memfd,id=b%,share=on,size=64M", "-device",
               "pc-dimm,id=d%,memdev=b%");
}

static void
testArgvObjects(GPtrArray *argv, size_t size)
{
    TEST_WORDS(argv, size, "-object", "{\"qom-type\":\"secret\",\"id\":\"s%\",\"data\":\"x\"}");
}

static void
testArgvNodes(GPtrArray *argv, size_t size)
{
    testOption(argv, size, "-object",
               "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"b\",\"share\":true,"
               "\"size\":67108864,\"host-nodes\":[0",
               ",%", "]}");
    TEST_WORDS(argv, 1, "-device", "{\"driver\":\"pc-dimm\",\"memdev\":\"b\"}");
}

static void
testArgvMembers(GPtrArray *argv, size_t size)
{
    testOption(argv, size, "-object", "{\"qom-type\":\"secret\",\"id\":\"s\"", ",\"m%\":%", "}");
}

static void
testArgvDeep(GPtrArray *argv, size_t size)
{
    testOption(argv, size, "-object", "{\"qom-type\":\"secret\",\"id\":\"s\",\"m\":[0",
               ",[[[[[{\"a\":[[]]}]]]]]", "]}");
}

static void
testArgvString(GPtrArray *argv, size_t size)
{
    testOption(argv, size, "-object", "{\"qom-type\":\"secret\",\"id\":\"s\",\"data\":\"",
               "\\u0041\\n%", "\"}");
}

static void
testArgvNumber(GPtrArray *argv, size_t size)
{
    testOption(argv, size, "-object", "{\"qom-type\":\"secret\",\"id\":\"s\",\"m\":1.", "0", "}");
}

static void
testArgvKeys(GPtrArray *argv, size_t size)
{
    testOption(argv, size, "-object", "memory-backend-memfd,id=b,share=on,size=64M", ",k%=v", "");
    TEST_WORDS(argv, 1, "-device", "pc-dimm,memdev=b");
}

static void
testArgvCommas(GPtrArray *argv, size_t size)
{
    testOption(argv, size, "-object", "secret,id=s,data=", ",,", "");
}

static void
testArgvMachine(GPtrArray *argv, size_t size)
{
    testOption(argv, size, "-machine", "q35", ",usb=off", "");
}

static void
testArgvMachines(GPtrArray *argv, size_t size)
{
    TEST_WORDS(argv, size, "-machine", "smm=off", "-accel", "kvm", "-global", "a%.disable_s3=1");
}

static void
testArgvShared(GPtrArray *argv, size_t size)
{
    TEST_WORDS(argv, size, "-chardev", "socket,id=c%,path=/x", "-device",
               "{\"driver\":\"vhost-user-fs-pci\",\"id\":\"f%\",\"chardev\":\"c%\"}");
}

const testArgvShape testArgvShapes[] = {
    {"options that nobody knows", testArgvWords, TEST_SHAPE_FINE},
    {"images", testArgvImages, TEST_SHAPE_FINE},
    {"devices and networks", testArgvDevices, TEST_SHAPE_FINE},
    {"cells", testArgvCells, TEST_SHAPE_EITHER},
    {"modules", testArgvDimms, TEST_SHAPE_EITHER},
    {"modules, key=value", testArgvKeyvalDimms, TEST_SHAPE_EITHER},
    {"objects", testArgvObjects, TEST_SHAPE_FINE},
    {"host nodes", testArgvNodes, TEST_SHAPE_FINE},
    {"members of an object", testArgvMembers, TEST_SHAPE_FINE},
    {"nested members of an object", testArgvDeep, TEST_SHAPE_FINE},
    {"a long string", testArgvString, TEST_SHAPE_FINE},
    {"a long number", testArgvNumber, TEST_SHAPE_EITHER},
    {"keys", testArgvKeys, TEST_SHAPE_FINE},
    {"commas", testArgvCommas, TEST_SHAPE_FINE},
    {"keys of -machine", testArgvMachine, TEST_SHAPE_FINE},
    {"machines and accelerators", testArgvMachines, TEST_SHAPE_FINE},
    {"processes that share memory", testArgvShared, TEST_SHAPE_FINE},
};
const size_t testArgvShapesCount = G_N_ELEMENTS(testArgvShapes);

char **
testArgvShapeMake(const testArgvShape *shape, size_t size)
{
    GPtrArray *argv = g_ptr_array_new();

    TEST_WORDS(argv, 1, "qemu", "-machine", "q35,memory-backend=pc.ram", "-accel", "kvm", "-object",
               "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,"
               "\"size\":67108864}",
               "-x-libvirt-gmem", TEST_PAIR_HEAD TEST_PAIR_ADDED TEST_PAIR_TAIL);
    shape->fill(argv, size);
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}
