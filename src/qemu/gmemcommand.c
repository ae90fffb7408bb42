/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcommand.c: makes the command line that QEMU gets from a plan and libvirt's command line.
 *
 * There are three steps. Read (gmemcommandline.c) records what matters to guest memory. Check
 * (gmemcommandcheck.c) verifies that every backend that RAM refers to exists and fits the mode.
 * Emit edits or inserts words as the row of "What QEMU offers" (docs/design.rst) says; all others
 * are passed on as they are.
 *
 * Runs in the child between fork and exec: it uses malloc, but nothing that takes a lock, which
 * excludes GLib's containers. */

#include "gmemcommand.h"

#include <stdio.h>
#include <string.h>

#include "gmemargv.h"
#include "gmemcommandcheck.h"
#include "gmemcommandline.h"
#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemplatform.h"
#include "gmemqemunames.h"
#include "gmemshimconfig.h"

/* How @backend is bound to host nodes, in a form that can be compared. */
static char *
gmemCommandBackendBinding(const gmemBackend *backend)
{
    g_autofree char *policy = gmemPropsGet(&backend->props, "policy");
    g_autofree char *nodes = gmemPropsGetList(&backend->props, "host-nodes");

    return g_strdup_printf("%s %s", policy != NULL ? policy : "", nodes != NULL ? nodes : "");
}

static int
gmemCommandSumUpOne(const gmemBackend *backend, gmemCommand *command, GError **error)
{
    gmemCommandRam *ram = &command->ram[command->nbackends];
    g_autofree char *size = gmemPropsGet(&backend->props, "size");

    if (g_strcmp0(size, "0") == 0)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("memory backend %1$s has a size of 0, which QEMU refuses; give it memory"),
            backend->name);
    if (!gmemPropsGetSize(&backend->props, "size", &ram->size) ||
        ram->size > G_MAXUINT64 - command->ramSize)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("cannot read the size of memory backend %1$s"), backend->name);
    if (ram->size % GMEM_PLATFORM_PAGE != 0)
        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("memory backend %1$s has a size of %2$llu bytes, which is not a "
                              "multiple of guest_memfd's pages of %3$d bytes"),
                            backend->name, ram->size, GMEM_PLATFORM_PAGE);
    if (gmemPropsGetBool(&backend->props, "hugetlb") > 0 &&
        !gmemPropsGetSize(&backend->props, "hugetlbsize", &ram->hugePage))
        ram->hugePage = GMEM_PLATFORM_HUGE_PAGE;
    if (strcmp(backend->type, GMEM_QEMU_MEMORY_BACKEND_FILE) == 0)
        ram->path = gmemPropsGet(&backend->props, "mem-path");
    ram->name = g_strdup(backend->name);
    command->ramSize += ram->size;
    command->nbackends++;
    return 0;
}

static int
gmemCommandSumUp(const gmemCommandLine *line, gmemCommand *command, GError **error)
{
    g_autofree char *first = NULL;
    size_t i;

    command->ram = g_new0(gmemCommandRam, line->nbackends);
    for (i = 0; i < line->nbackends; i++) {
        const gmemBackend *backend = &line->backends[i];
        g_autofree char *binding = NULL;

        if (backend->use != GMEM_USE_RAM)
            continue;
        if (gmemCommandSumUpOne(backend, command, error) < 0)
            return -1;
        binding = gmemCommandBackendBinding(backend);
        if (first != NULL && strcmp(first, binding) != 0)
            command->nodesetsDiffer = true;
        gmemCommandLineReplace(&first, g_steal_pointer(&binding));
    }
    command->sharedOnly = g_strdup(line->sharedOnly);
    command->firmware = g_strdup(line->firmware);
    command->dumpCore = line->dumpGuestCore == NULL || gmemPropsIsTrue(line->dumpGuestCore);
    return 0;
}

/* The value of @backend as edited so far. */
static const char *
gmemCommandBackendText(const gmemBackend *backend, char *const *edits)
{
    return edits[backend->index] != NULL ? edits[backend->index] : backend->props.keyval.text;
}

/* Sets @property on all RAM. Only this is added to a value; the rest stays as it was written. @on:
 * the value in JSON; @edits: a word for each of argv, or NULL if it does not change. */
static int
gmemCommandEditProperty(
    const gmemCommandLine *line, const char *property, const char *on, char **edits, GError **error)
{
    size_t i;

    for (i = 0; i < line->nbackends; i++) {
        const gmemBackend *backend = &line->backends[i];
        int present = gmemPropsGetBool(&backend->props, property);
        const char *text = gmemCommandBackendText(backend, edits);
        const char *brace = strrchr(text, '}');
        char *edited;

        if (backend->use != GMEM_USE_RAM || present == 1)
            continue;
        if (present == 0)
            return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                _("memory backend %1$s has the property '%2$s' switched off; "
                                  "switch it on or remove it"),
                                backend->name, property);
        if (backend->props.json != NULL && brace != NULL)
            edited =
                g_strdup_printf("%.*s,\"%s\":%s%s", (int)(brace - text), text, property, on, brace);
        else
            edited = g_strdup_printf("%s,%s=on", text, property);
        gmemCommandLineReplace(&edits[backend->index], edited);
    }
    return 0;
}

/* Whether libvirt preallocates @backend because of what lowering wrote. It always does so for
 * NVDIMMs. */
static bool
gmemCommandPreallocIsLowered(const gmemBackend *backend)
{
    return backend->use == GMEM_USE_RAM ||
           (backend->use == GMEM_USE_FILE && g_str_has_prefix(backend->user, "virtio-pmem"));
}

/* libvirt preallocates huge pages whether it is asked to or not, and refuses to be asked not to. In
 * convertible mode this would take twice the RAM. If lowering has changed <allocation
 * mode='immediate'>, the user did not write that. */
static void
gmemCommandEditPrealloc(const gmemCommandLine *line, const gmemCarrier *carrier, char **edits)
{
    static const char on[] = "\"prealloc\":true";
    bool unwanted = false;
    size_t i;

    for (i = 0; i < carrier->nchanges; i++) {
        if (strcmp(carrier->changes[i].path, GMEM_CARRIER_ALLOCATION) == 0)
            unwanted = true;
    }
    for (i = 0; unwanted && i < line->nbackends; i++) {
        const gmemBackend *backend = &line->backends[i];
        const char *text = gmemCommandBackendText(backend, edits);
        const char *at = strstr(text, on);

        /* With another spelling, it was not written by libvirt but is a user's own argument, and so
         * intended. */
        if (!gmemCommandPreallocIsLowered(backend) || backend->props.json == NULL || at == NULL)
            continue;
        gmemCommandLineReplace(
            &edits[backend->index],
            g_strdup_printf("%.*s\"prealloc\":false%s", (int)(at - text), text, at + strlen(on)));
    }
}

/* @word belongs to @command if @from is GMEM_COMMAND_NEW. */
static void
gmemCommandAdd(gmemCommand *command, char *word, size_t from)
{
    command->argv[command->argc] = word;
    command->from[command->argc++] = from;
}

/* argv with @edits, which are taken over. If @keepPair is false, -@option @value replaces the pair,
 * or nothing does if @option is NULL; if it is true, they directly follow the pair. This is where
 * libvirt puts launch security objects: after its devices, before the user's arguments. */
static void
gmemCommandAssemble(gmemCommand *command,
                    const gmemCommandLine *line,
                    char **edits,
                    bool keepPair,
                    const char *option,
                    const char *value)
{
    size_t i;

    command->argv = g_new0(char *, line->argc + 3);
    command->from = g_new0(size_t, line->argc + 2);
    for (i = 0; i < line->argc; i++) {
        bool pair = i == line->pair || i == line->pair + 1;

        if ((!pair || keepPair) && edits[i] != NULL)
            gmemCommandAdd(command, g_steal_pointer(&edits[i]), GMEM_COMMAND_NEW);
        else if (!pair || keepPair)
            gmemCommandAdd(command, line->argv[i], i);
        if (i == line->pair + 1 && option != NULL) {
            gmemCommandAdd(command, g_strdup(option), GMEM_COMMAND_NEW);
            gmemCommandAdd(command, g_strdup(value), GMEM_COMMAND_NEW);
        }
    }
}

static void
gmemCommandFreeEdits(char **edits, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        g_free(edits[i]);
    g_free(edits);
}

/* First row: a QEMU that has the object type. */
static int
gmemCommandEmitObject(const gmemCommandLine *line,
                      const gmemQEMUCaps *caps,
                      char **edits,
                      gmemCommand *command,
                      GError **error)
{
    bool split = line->irqchip != NULL || line->accelIrqchip != NULL;

    if (gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_BACKEND_PRIVATE) &&
        gmemCommandEditProperty(line, GMEM_QEMU_PRIVATE, "true", edits, error) < 0)
        return -1;
    edits[line->machine] =
        g_strdup_printf("%s%s,confidential-guest-support=%s", line->argv[line->machine],
                        split ? "" : ",kernel_irqchip=split", GMEM_LAUNCH_OBJECT);
    gmemCommandAssemble(command, line, edits, false, "-object",
                        "{\"qom-type\":\"" GMEM_QEMU_SW_PROTECTED_VM
                        "\",\"id\":\"" GMEM_LAUNCH_OBJECT "\"}");
    return 0;
}

/* Second row: a QEMU that has the property. */
static int
gmemCommandEmitProperty(
    const gmemCommandLine *line, const char *on, char **edits, gmemCommand *command, GError **error)
{
    if (gmemCommandEditProperty(line, command->supplier, on, edits, error) < 0)
        return -1;
    gmemCommandAssemble(command, line, edits, false, NULL, NULL);
    return 0;
}

/* What the shim reads instead of the carrier. Mode convertible also lists the memory backends,
 * which QEMU creates in the order of its command line. The options of @command that create memory
 * are listed so that the shim notices when a wrapper script adds others. */
static char *
gmemCommandFormatShimConfig(const gmemCommandLine *line,
                            bool startPrivate,
                            const gmemCommand *command)
{
    gmemShimConfig config = {
        .mode = command->mode,
        .backends = (unsigned int)command->nbackends,
        .ram = command->ramSize,
        .startPrivate = startPrivate,
    };
    gmemArgvOption option;
    size_t position = 0;
    char *text;
    size_t i;

    config.list = g_new0(gmemShimConfigBackend, line->nbackends);
    for (i = 0; config.mode == GMEM_MODE_CONVERTIBLE && i < line->nbackends; i++) {
        const gmemBackend *backend = &line->backends[i];
        gmemShimConfigBackend *listed = &config.list[config.listed];

        if (!gmemPropsGetSize(&backend->props, "size", &listed->size))
            continue;
        listed->ram = backend->use == GMEM_USE_RAM;
        g_strlcpy(listed->id, backend->id, sizeof(listed->id));
        config.listed++;
    }
    config.options = g_new0(uint64_t, command->argc);
    while (gmemArgvNext(command->argv, &position, &option)) {
        if (gmemArgvMakesMemory(&option))
            config.options[config.nOptions++] = gmemArgvHash(&option);
    }
    text = gmemShimConfigFormat(&config);
    gmemShimConfigClear(&config);
    return text;
}

/* Third row. */
static void
gmemCommandEmitShim(const gmemCommandLine *line,
                    bool startPrivate,
                    char **edits,
                    gmemCommand *command)
{
    g_autofree char *suspend = NULL;
    size_t value = line->pair + 1;

    if (command->mode == GMEM_MODE_CONVERTIBLE)
        suspend = g_strdup_printf("%s.disable_s3=1", gmemPlatformSuspendDevice(line->machineType));
    command->shim = true;
    gmemCommandAssemble(command, line, edits, true, suspend != NULL ? "-global" : NULL, suspend);
    command->argv[value] = gmemCommandFormatShimConfig(line, startPrivate, command);
    command->from[value] = GMEM_COMMAND_NEW;
}

static int
gmemCommandEmit(const gmemCommandLine *line,
                const gmemCarrier *carrier,
                const gmemQEMUCaps *caps,
                bool startPrivate,
                char **edits,
                gmemCommand *command,
                GError **error)
{
    gmemQEMUSupplier supplier = gmemQEMUCapsGetSupplier(caps, command->mode);
    const char *on = "true";

    command->supplier = gmemQEMUCapsSupplierToString(supplier);
    if (command->mode == GMEM_MODE_CONVERTIBLE) {
        if (gmemCommandCheckConvertible(line, supplier == GMEM_QEMU_SUPPLIER_SHIM, error) < 0)
            return -1;
        gmemCommandEditPrealloc(line, carrier, edits);
    } else if (gmemCommandCheckFullyShared(line, error) < 0) {
        return -1;
    }
    switch (supplier) {
    case GMEM_QEMU_SUPPLIER_OBJECT:
        return gmemCommandEmitObject(line, caps, edits, command, error);

    case GMEM_QEMU_SUPPLIER_PROPERTY:
        if (gmemQEMUCapsGet(caps, GMEM_QEMU_CAPS_MEMFD_GUEST_MEMFD_ENUM))
            on = "\"on\"";
        return gmemCommandEmitProperty(line, on, edits, command, error);

    case GMEM_QEMU_SUPPLIER_X_PROPERTY:
        return gmemCommandEmitProperty(line, on, edits, command, error);

    case GMEM_QEMU_SUPPLIER_SHIM:
    case GMEM_QEMU_SUPPLIER_LAST:
    default:
        gmemCommandEmitShim(line, startPrivate, edits, command);
        return 0;
    }
}

void
gmemCommandFree(gmemCommand *command)
{
    size_t i;

    if (command == NULL)
        return;
    for (i = 0; i < command->nbackends; i++) {
        g_free(command->ram[i].name);
        g_free(command->ram[i].path);
    }
    g_free(command->ram);
    g_free(command->sharedOnly);
    g_free(command->firmware);
    for (i = 0; i < command->argc; i++) {
        if (command->from[i] == GMEM_COMMAND_NEW)
            g_free(command->argv[i]);
    }
    g_free(command->argv);
    g_free(command->from);
    g_free(command);
}

bool
gmemCommandHasPair(char *const argv[])
{
    gmemArgvOption option;

    return gmemArgvFind(argv, GMEM_SHIM_OPTION, &option) > 0;
}

gmemCommand *
gmemCommandBuild(char *const argv[], const gmemQEMUCaps *caps, bool startPrivate, GError **error)
{
    g_auto(gmemCommandLine) line = {0};
    g_autoptr(gmemCarrier) carrier = NULL;
    g_autoptr(gmemCommand) command = g_new0(gmemCommand, 1);
    char **edits;
    int rc = 0;

    if (gmemCommandLineRead(&line, argv, error) < 0)
        return NULL;
    carrier = gmemCarrierParse(line.carrier, error);
    if (carrier == NULL)
        return NULL;
    command->mode = carrier->mode;
    edits = g_new0(char *, line.argc + 1);
    if (command->mode == GMEM_MODE_NONE) {
        rc = gmemCommandCheckHardware(&line, error);
        command->supplier = gmemModeToString(GMEM_MODE_NONE);
        gmemCommandAssemble(command, &line, edits, false, NULL, NULL);
    } else if (gmemCommandCheckBackends(&line, error) < 0 ||
               gmemCommandSumUp(&line, command, error) < 0 ||
               gmemCommandEmit(&line, carrier, caps, startPrivate, edits, command, error) < 0) {
        rc = -1;
    }
    gmemCommandFreeEdits(edits, line.argc);
    return rc == 0 ? g_steal_pointer(&command) : NULL;
}
