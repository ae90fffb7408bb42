/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virt-gmem.c: the tool for guest_memfd domains: what a host can do, how to run a domain without a
 * daemon, and what the memory of running domains is. */

#include "config.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "gmemi18n.h"
#include "gmemtool.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} verbs[] = {
    {"host", gmemToolHost, N_("say what this host can do, and what is missing")},
    {"emulator", gmemToolEmulator, N_("say what a QEMU binary offers for guest_memfd")},
    {"validate", gmemToolValidate, N_("check a domain's XML against all rules")},
    {"explain", gmemToolExplain, N_("say what the rules of gmem.conf make of a domain, and why")},
    {"lower", gmemToolLower, N_("print what libvirt is given for a domain's XML")},
    {"raise", gmemToolRaise, N_("print what a user sees of XML that libvirt stores")},
    {"argv", gmemToolArgv, N_("print the command line that QEMU would get")},
    {"run", gmemToolRun, N_("run a domain from an XML file, without a daemon")},
    {"schema", gmemToolSchema, N_("print a schema of domain XML, made of libvirt's")},
    {"status", gmemToolStatus, N_("show the memory of running domains, and who has it")},
};

static void
usage(FILE *out)
{
    size_t i;

    fprintf(out, _("Usage: virt-gmem VERB [OPTION…]\n\nVerbs:\n"));
    for (i = 0; i < G_N_ELEMENTS(verbs); i++)
        fprintf(out, "  %-8s %s\n", verbs[i].name, _(verbs[i].summary));
    fprintf(out,
            _("\n'virt-gmem help VERB' lists a verb's options; --version prints the version.\n"));
}

static int
runVerb(size_t verb, int argc, char **argv)
{
    g_autofree char *name = g_strdup_printf("virt-gmem %s", verbs[verb].name);

    g_set_prgname(name);
    return verbs[verb].run(argc, argv);
}

/* `help VERB` is `VERB --help`. */
static int
help(const char *name)
{
    char option[] = "--help";
    size_t i;

    for (i = 0; name != NULL && i < G_N_ELEMENTS(verbs); i++) {
        char *argv[] = {(char *)name, option, NULL};

        if (strcmp(name, verbs[i].name) == 0)
            return runVerb(i, 2, argv);
    }
    if (name != NULL) {
        gmemToolError(_("'%1$s' is not a verb of virt-gmem"), name);
        usage(stderr);
        return GMEM_TOOL_EXIT_USAGE;
    }
    usage(stdout);
    return 0;
}

int
main(int argc, char **argv)
{
    size_t i;

    setlocale(LC_ALL, "");
    bindtextdomain(GMEM_TEXT_DOMAIN, GMEM_LOCALEDIR);
    bind_textdomain_codeset(GMEM_TEXT_DOMAIN, "UTF-8");
    g_set_prgname("virt-gmem");

    if (argc < 2) {
        usage(stderr);
        return GMEM_TOOL_EXIT_USAGE;
    }

    for (i = 0; i < G_N_ELEMENTS(verbs); i++) {
        if (strcmp(argv[1], verbs[i].name) == 0)
            return runVerb(i, argc - 1, argv + 1);
    }

    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(strcmp(argv[1], "help") == 0 && argc > 2 ? argv[2] : NULL);
    if (strcmp(argv[1], "--version") == 0) {
        printf("virt-gmem %s\n", PACKAGE_VERSION);
        return 0;
    }

    gmemToolError(_("'%1$s' is not a verb of virt-gmem"), argv[1]);
    usage(stderr);
    return GMEM_TOOL_EXIT_USAGE;
}
