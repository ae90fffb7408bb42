/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemtoolxml.c: converts a domain's XML to what libvirt's embedded driver can run.
 *
 * XML from others is often the dump of a running domain. It contains things that only the daemon
 * that runs the domain knows: networks, storage pools and secrets, security labels, paths below its
 * directories. What a guest can do without is omitted, with a line that says so. The rest is
 * refused here, because libvirt's own error would name a driver that nobody asked for. */

#include "config.h"

#include "gmemtool.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gmemerror.h"
#include "gmemi18n.h"
#include "gmemxml.h"

static bool
attributeIs(gmemXMLNode *node, const char *name, const char *value)
{
    g_autofree char *found = gmemXMLAttribute(node, name);

    return g_strcmp0(found, value) == 0;
}

/* Without a security driver there is one model, with which root runs QEMU as another user. */
static char *
describeLabel(gmemXMLNode *node)
{
    g_autofree char *model = gmemXMLAttribute(node, "model");

    if (model == NULL || attributeIs(node, "type", "none") ||
        (geteuid() == 0 && strcmp(model, "dac") == 0))
        return NULL;
    return g_strdup_printf(_("left out, as it requires a daemon: the security label of '%1$s'\n"),
                           model);
}

static char *
describeInterface(gmemXMLNode *node)
{
    gmemXMLNode *source = gmemXMLFindFirst(node, "source");
    gmemXMLNode *filter = gmemXMLFindFirst(node, "filterref");

    if (attributeIs(node, "type", "network")) {
        g_autofree char *network = gmemXMLAttribute(source, "network");
        return g_strdup_printf(
            _("left out, as it requires a daemon: the interface in network '%1$s'\n"),
            network != NULL ? network : "");
    }
    if (filter != NULL) {
        g_autofree char *name = gmemXMLAttribute(filter, "filter");
        return g_strdup_printf(
            _("left out, as it requires a daemon: the interface with network filter '%1$s'\n"),
            name != NULL ? name : "");
    }
    return NULL;
}

static char *
describeListen(gmemXMLNode *node)
{
    g_autofree char *network = gmemXMLAttribute(node, "network");

    return attributeIs(node, "type", "network")
               ? g_strdup_printf(
                     _("left out, as it requires a daemon: listening in network '%1$s'\n"),
                     network != NULL ? network : "")
               : NULL;
}

/* The path that a daemon chose for a channel's socket, which the running domain is using. */
static char *
describeSource(gmemXMLNode *node)
{
    g_autofree char *path = gmemXMLAttribute(node, "path");

    if (!gmemXMLIs(node->parent, "channel") || !attributeIs(node, "mode", "bind") || path == NULL ||
        strstr(path, "/qemu/channel/") == NULL)
        return NULL;
    return g_strdup_printf(_("left out, as it requires a daemon: the path '%1$s' of a channel\n"),
                           path);
}

static const struct {
    const char *element;
    char *(*describe)(gmemXMLNode *node); /* a line that says so; NULL: it may stay */
} leftOut[] = {
    {"seclabel", describeLabel},
    {"interface", describeInterface},
    {"listen", describeListen},
    {"source", describeSource},
};

/* What a guest cannot do without. */
static int
checkDisk(gmemXMLNode *disk, GError **error)
{
    g_autofree char *target = gmemXMLAttribute(gmemXMLFindFirst(disk, "target"), "dev");
    gmemXMLNode *source = gmemXMLFindFirst(disk, "source");

    if (attributeIs(disk, "type", "volume")) {
        g_autofree char *pool = gmemXMLAttribute(source, "pool");
        g_autofree char *volume = gmemXMLAttribute(source, "volume");

        return gmemErrorSet(error, VIR_ERR_CONFIG_UNSUPPORTED,
                            _("disk '%1$s' is the volume '%2$s' of the storage pool '%3$s', which "
                              "requires a daemon: name its file, by <disk type='file'>"),
                            target, volume, pool);
    }
    if (gmemXMLFindFirst(disk, "auth/secret") != NULL ||
        gmemXMLFindFirst(disk, "encryption/secret") != NULL ||
        gmemXMLFindFirst(disk, "source/auth/secret") != NULL ||
        gmemXMLFindFirst(disk, "source/encryption/secret") != NULL)
        return gmemErrorSet(
            error, VIR_ERR_CONFIG_UNSUPPORTED,
            _("disk '%1$s' has a <secret>, which requires a daemon: use a disk without one"),
            target);
    return 0;
}

/* Returns 1 if the contents of @node have to be examined, too, 0 if not, or -1 with @error. */
static int
leaveOutNode(gmemXMLEdit *edit, gmemXMLNode *node, FILE *notes, GError **error)
{
    g_autofree char *what = NULL;
    size_t i;

    /* Can be anybody's, and does not concern libvirt. */
    if (gmemXMLIs(node, "metadata"))
        return 0;
    for (i = 0; i < G_N_ELEMENTS(leftOut) && what == NULL; i++) {
        if (gmemXMLIs(node, leftOut[i].element))
            what = leftOut[i].describe(node);
    }
    if (what != NULL) {
        fputs(what, notes);
        gmemXMLEditRemove(edit, node);
        return 0;
    }
    return gmemXMLIs(node, "disk") && checkDisk(node, error) < 0 ? -1 : 1;
}

/* No recursion, because nothing limits how deep elements nest in a file. */
static int
leaveOut(gmemXMLEdit *edit, gmemXMLNode *root, FILE *notes, GError **error)
{
    gmemXMLNode *node;
    int descend;

    for (node = root->children; node != NULL; node = gmemXMLNext(node, root, descend > 0)) {
        descend = leaveOutNode(edit, node, notes, error);
        if (descend < 0)
            return -1;
    }
    return 0;
}

static void
leaveOutId(gmemXMLEdit *edit, gmemXMLNode *root, FILE *notes)
{
    g_autofree char *id = gmemXMLAttribute(root, "id");

    if (id == NULL)
        return;
    fprintf(notes, _("left out, as it requires a daemon: the id '%1$s' of a running domain\n"), id);
    gmemXMLEditSetAttribute(edit, root, "id", NULL);
}

static void
setEmulator(gmemXMLEdit *edit, gmemXMLNode *root, const char *emulator)
{
    g_autofree char *escaped = gmemXMLEscape(emulator);
    g_autofree char *markup = g_strdup_printf("<emulator>%s</emulator>", escaped);
    gmemXMLNode *devices = gmemXMLFindFirst(root, "devices");
    gmemXMLNode *former = gmemXMLFindFirst(root, "devices/emulator");

    if (former != NULL)
        gmemXMLEditRemove(edit, former);
    if (devices != NULL) {
        gmemXMLEditPrepend(edit, devices, markup);
    } else {
        g_autofree char *both = g_strdup_printf("<devices>%s</devices>", markup);
        gmemXMLEditAppend(edit, root, both);
    }
}

char *
gmemToolXMLPrepare(const char *text, const char *emulator, FILE *notes, bool *kvm, GError **error)
{
    g_autoptr(gmemXML) xml = gmemXMLParse(text, NULL);
    g_autoptr(gmemXMLEdit) edit = NULL;
    gmemXMLNode *root;

    *kvm = false;
    /* libvirt reports what is wrong with it. */
    if (xml == NULL)
        return g_strdup(text);

    root = gmemXMLRoot(xml);
    *kvm = attributeIs(root, "type", "kvm");
    edit = gmemXMLEditNew(xml);
    leaveOutId(edit, root, notes);
    if (leaveOut(edit, root, notes, error) < 0)
        return NULL;
    if (emulator != NULL)
        setEmulator(edit, root, emulator);
    return gmemXMLEditApply(edit);
}
