/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolfile.c: `virt-gmem validate`, `lower`, `raise`: what depends on the XML alone, without a
 * daemon. */

#include "config.h"

#include "gmemtool.h"

#include <libxml/parser.h>
#include <string.h>

#include "gmemdomain.h"
#include "gmemdomainvalidate.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemlibxml.h"
#include "gmemlower.h"

typedef struct {
    const char *file;
    const char *text; /* the text that nodes are in */
    unsigned int count;
} gmemFindings;

/* In the format of compilers, so that editors can jump there. A column counts characters. */
static void
printFinding(gmemFindings *findings, long line, long column, const char *message)
{
    g_autofree char *oneLine = g_strdelimit(g_strdup(message), "\n", ' ');

    findings->count++;
    printf("%s:%ld:%ld: %s%s%s: %s\n", findings->file, line, column,
           gmemToolPaint(stdout, GMEM_TOOL_RED), _("error"), gmemToolPaint(stdout, GMEM_TOOL_PLAIN),
           oneLine);
}

static void
report(const gmemXMLNode *node, const GError *error, void *opaque)
{
    gmemFindings *findings = opaque;
    const char *start = findings->text;
    long line = 1;
    const char *p;

    for (p = findings->text; p < node->start; p++) {
        if (*p == '\n') {
            line++;
            start = p + 1;
        }
    }
    printFinding(findings, line, 1 + g_utf8_strlen(start, node->start - start), error->message);
}

/* Returns whether @text is well formed, according to libxml2, which knows where an error is. */
static bool
checkWellFormed(const char *text, gmemFindings *findings)
{
    xmlParserCtxt *ctxt = xmlNewParserCtxt();
    xmlDoc *doc = gmemLibxmlParse(ctxt, text);

    if (doc == NULL && ctxt != NULL) {
        const xmlError *error = xmlCtxtGetLastError(ctxt);
        g_autofree char *message =
            g_strdup(error != NULL && error->message != NULL ? error->message : "?");

        printFinding(findings, error != NULL ? error->line : 1,
                     error != NULL ? MAX(error->int2, 1) : 1, g_strchomp(message));
    }
    xmlFreeParserCtxt(ctxt);
    if (doc == NULL)
        return false;
    xmlFreeDoc(doc);
    return true;
}

/* Prints the errors of the domain at @root, and returns the mode that it asks for. */
static gmemMode
checkDomain(gmemXMLNode *root, gmemFindings *findings, bool *ours)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemDomainDef) def = NULL;
    const gmemXMLNode *element;

    *ours = true;
    if (!gmemXMLIs(root, "domain")) {
        gmemErrorSet(&error, VIR_ERR_XML_ERROR, _("the root element is not <domain>"));
    } else if ((def = gmemDomainParseXML(root, GMEM_DOMAIN_WHOLE, &error)) != NULL) {
        gmemDomainPostParse(def);
        gmemDomainValidateAll(def, report, findings);
        *ours = gmemDomainHasElements(def) || def->carrier != NULL;
    }
    if (error != NULL) {
        if ((element = gmemXMLFindFirst(root, "memoryBacking/" GMEM_MODE_PRIVATE)) == NULL)
            element = gmemXMLFindFirst(root, GMEM_MODE_LAUNCH);
        report(element != NULL ? element : root, error, findings);
    }
    return def != NULL ? def->mode : GMEM_MODE_NONE;
}

static int
validate(const char *path, const char *text)
{
    gmemFindings findings = {.file = path};
    g_autoptr(GError) error = NULL;
    g_autoptr(gmemXML) xml = NULL;
    gmemMode mode;
    bool ours;

    if (!checkWellFormed(text, &findings))
        return GMEM_TOOL_EXIT_FAILED;
    if ((xml = gmemXMLParse(text, &error)) == NULL) {
        printFinding(&findings, 1, 1, error->message);
        return GMEM_TOOL_EXIT_FAILED;
    }
    findings.text = gmemXMLText(xml);
    mode = checkDomain(gmemXMLRoot(xml), &findings, &ours);
    if (findings.count > 0)
        return GMEM_TOOL_EXIT_FAILED;
    if (mode != GMEM_MODE_NONE)
        printf(_("%1$s: valid, %2$s memory\n"), path, gmemModeToString(mode));
    else
        printf(ours ? _("%1$s: valid, memory is private by its launch security\n")
                    : _("%1$s: asks for no private memory\n"),
               path);
    return 0;
}

/* Returns the one argument, or NULL after printing the error. */
static const char *
parseFile(int argc, char **argv, const char *summary)
{
    static const GOptionEntry none[] = {{NULL, 0, 0, 0, NULL, NULL, NULL}};

    if (!gmemToolParse(none, &argc, &argv, _("FILE.xml"), summary))
        return NULL;
    if (argc != 2) {
        gmemToolError(argc < 2 ? _("no file is given") : _("more than one file is given"));
        return NULL;
    }
    return argv[1];
}

int
gmemToolValidate(int argc, char **argv)
{
    const char *path =
        parseFile(argc, argv,
                  _("Checks a domain's XML against all rules for private memory, and "
                    "names each that it breaks,\nwith line and column. For what host and QEMU "
                    "decide, see 'virt-gmem host'."));
    g_autofree char *text = NULL;

    if (path == NULL)
        return GMEM_TOOL_EXIT_USAGE;
    return (text = gmemToolRead(path)) != NULL ? validate(path, text) : GMEM_TOOL_EXIT_FAILED;
}

/* The library converts malformed text to another one that libvirt refuses; here there is no libvirt
 * to refuse it. */
static int
convert(const char *path, bool raise)
{
    g_autofree char *text = gmemToolRead(path);
    g_autofree char *result = NULL;
    g_autofree char *message = NULL;
    g_autoptr(GError) error = NULL;
    gmemFindings findings = {.file = path};

    if (text == NULL)
        return GMEM_TOOL_EXIT_FAILED;
    if (!checkWellFormed(text, &findings))
        return GMEM_TOOL_EXIT_FAILED;
    result = raise ? gmemRaise(text, NULL, &error) : gmemLower(text, false, NULL, &error);
    if (result == NULL) {
        message = gmemErrorFormat(error);
        gmemToolError("%s", message);
        return GMEM_TOOL_EXIT_FAILED;
    }
    return gmemToolPrint(result);
}

int
gmemToolLower(int argc, char **argv)
{
    const char *path =
        parseFile(argc, argv,
                  _("Prints the XML that libvirt is given, and stores, for a domain's XML.\n"
                    "FILE.xml may be \"-\", standard input."));

    return path != NULL ? convert(path, false) : GMEM_TOOL_EXIT_USAGE;
}

int
gmemToolRaise(int argc, char **argv)
{
    const char *path =
        parseFile(argc, argv,
                  _("Prints what a user sees of a domain's XML that libvirt stores.\n"
                    "FILE.xml may be \"-\", standard input."));

    return path != NULL ? convert(path, true) : GMEM_TOOL_EXIT_USAGE;
}
