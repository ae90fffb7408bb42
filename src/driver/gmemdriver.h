/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdriver.h: what the functions in front of libvirt's have in common. */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "gmemplan.h"
#include "gmemxml.h"

/* XML on its way from a client to libvirt: g_auto(gmemDriverXML) ours = {.text = xml}; */
typedef struct {
    const char *text; /* what libvirt is given: the client's own text until that has to change */
    char *made;       /* what it was changed into; NULL: nothing */
    gmemXML *doc;     /* @text as it was read, once it was: to be read further, not edited */
    gmemPlan *plan;   /* what the domain in it asks for; NULL: nothing of ours */
} gmemDriverXML;

void gmemDriverXMLClear(gmemDriverXML *xml);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemDriverXML, gmemDriverXMLClear)

/* gmemDriverXMLReplace: libvirt is given @made, which is taken over. */
void gmemDriverXMLReplace(gmemDriverXML *xml, char *made);

/* gmemDriverXMLRead: reads the text (not NULL), once. Returns 1; 0 where it is malformed, and was
 * replaced for libvirt to refuse it: which version of libxml2 accepts what is not decided here; -1
 * with @error where it cannot be read. */
int gmemDriverXMLRead(gmemDriverXML *xml, GError **error);

/* gmemDriverXMLTake: libvirt is given @lowered, which gmemLowerXML() made of the text, and the
 * domain has @plan; both are taken over. */
void gmemDriverXMLTake(gmemDriverXML *xml, gmemXML *lowered, gmemPlan *plan);

/**
 * gmemDriverLower:
 * @xml: a domain, or a document that has domains in it (gmemnested.h); its text may be NULL. Out:
 *       the text to use, and the plan; as it was where the call is none of ours, or it is lowered
 * @validate: also check the two elements against the schema
 *
 * Returns 0, or -1 with the error reported.
 */
int gmemDriverLower(virConnectPtr conn, gmemDriverXML *xml, bool validate);

/**
 * gmemDriverRaise:
 * @xml: what the real function gave; may be NULL, and is then given back
 *
 * Takes @xml over, and returns what its client shall see, to be freed with free(). What cannot be
 * raised (a pair of a later version, say) is shown as it is stored, with a line in the log. So is
 * everything to a read-only connection, where gmem.conf says so.
 */
char *gmemDriverRaise(virConnectPtr conn, char *xml);

/* gmemDriverCheckPlan: gmemStartCheck() with the error reported; @plan may be NULL. */
int gmemDriverCheckPlan(virConnectPtr conn, const gmemPlan *plan);

/**
 * gmemDriverCheckSaved:
 * @plan: of a guest that is to go on from a save image or snapshot; may be NULL
 *
 * gmemDriverCheckPlan(), but for what the guest can do without: the pages it has are not lost for
 * lack of a NUMA policy. The domain's log says that there is none (gmemexec.c). QEMU is not started
 * for a guest of another mode by this call (gmemexpect.h).
 */
int gmemDriverCheckSaved(virConnectPtr conn, gmemPlan *plan);

/**
 * gmemDriverCheckDomain:
 * @flags: virDomainCreateWithFlags's
 *
 * What is checked before a client starts a domain that is defined, or that goes on from its managed
 * save image. Returns 0, or -1 with the error reported.
 */
int gmemDriverCheckDomain(virDomainPtr domain, unsigned int flags);

/**
 * gmemDriverStarted:
 * @conn: of the call; asked for before it, as that resets libvirt's last error
 * @result: what the real function gave; below 0: it failed
 *
 * After a call that starts a domain: the error becomes the refusal of our own child, where that is
 * why it failed. Returns @result.
 */
int gmemDriverStarted(virConnectPtr conn, int result);

/**
 * gmemDriverGetPlan:
 * @flags: of virDomainGetXMLDesc: 0 for the domain as it runs, else as it is defined. What runs
 * with <private/> is asked itself (gmemWitnessCheckRunning())
 * @plan: out: what the domain asks for, to be freed with gmemPlanFree(); NULL where that is
 * nothing, or the call is none of ours
 *
 * Returns 0, or -1 with an error reported where it cannot be determined: libvirt does not show the
 * domain (the error is then its own), the domain's pair is damaged, or its emulator does not
 * confirm it.
 */
int gmemDriverGetPlan(virDomainPtr domain, unsigned int flags, gmemPlan **plan);

/**
 * gmemDriverGetStoredPlan:
 * @conn: asked for before @xml was, as nearly every call of libvirt's resets the last error
 * @xml: as libvirt keeps it (a save image's, a snapshot's); taken over; NULL where libvirt, whose
 *       error is then the last one, did not show it
 * @plan: out: what the domain in there asks for; NULL where that is nothing
 *
 * Returns 0, or -1 with an error reported where it cannot be determined.
 */
int gmemDriverGetStoredPlan(virConnectPtr conn, char *xml, gmemPlan **plan);

/**
 * gmemDriverIsSpecialFile:
 *
 * Whether @path, a client's text, exists and is not a regular file with anything in it: a pipe that
 * nobody writes to would block whoever opens it, and a pipe can be read only once, and not by us.
 * Files of the kernel that block whoever reads them (/proc/kmsg, trace_pipe) report that they are
 * regular, and empty.
 */
bool gmemDriverIsSpecialFile(const char *path);

/* What requires the host to read the memory of the running guest. */
typedef enum {
    GMEM_DRIVER_SAVE = 0,
    GMEM_DRIVER_SNAPSHOT,
    GMEM_DRIVER_MIGRATE,
    GMEM_DRIVER_DUMP,
    GMEM_DRIVER_PEEK,
    GMEM_DRIVER_DIRTY_RATE,
    GMEM_DRIVER_OPERATION_LAST
} gmemDriverOperation;

/**
 * gmemDriverRefuseConvertible:
 * @operation: what cannot be done
 *
 * Whether that can be done with the running guest. Returns 0, or -1 with
 * VIR_ERR_OPERATION_UNSUPPORTED reported where private pages prevent it; or with another error
 * where it cannot be determined.
 */
int gmemDriverRefuseConvertible(virDomainPtr domain, gmemDriverOperation operation);

/* gmemDriverDefinedName: the name of the domain that @xml (its text is not NULL) defines, to be
 * freed with g_free(); NULL where that cannot be told at little cost. */
char *gmemDriverDefinedName(const gmemDriverXML *xml);

/**
 * gmemDriverCheckDefinition:
 * @xml: of a domain, lowered; its text may be NULL
 *
 * Whether the domain can be defined like that. A managed save image goes on in its own mode at the
 * next start, and at an autostart nobody is left to refuse that. Returns 0, or -1 with
 * VIR_ERR_CONFIG_UNSUPPORTED reported where the domain has an image of another mode, or may be one
 * that has.
 */
int gmemDriverCheckDefinition(virConnectPtr conn, gmemDriverXML *xml);

/* gmemDriverCheckRedefined: the same for a domain that is there. */
int gmemDriverCheckRedefined(virDomainPtr domain, const gmemPlan *now);

/* gmemDriverCheckManaged: whether a managed save of @domain as it runs would be of the mode that it
 * is defined with. Returns 0, or -1 with the error reported. */
int gmemDriverCheckManaged(virDomainPtr domain);

/**
 * gmemDriverRefuseOtherMode:
 * @then: the plan of the saved or running guest; NULL: an ordinary domain
 * @now: the plan of the XML that is to replace it; NULL as above
 *
 * libvirt's own check of ABI stability does not look into <qemu:commandline>. Returns 0, or -1 with
 * VIR_ERR_CONFIG_UNSUPPORTED reported where memory would become another kind.
 */
int gmemDriverRefuseOtherMode(virConnectPtr conn, const gmemPlan *then, const gmemPlan *now);

/* What exists of a domain that is about to be defined. */
typedef struct {
    gmemMode mode; /* as it is defined; GMEM_MODE_NONE also where it is not */
    bool image;    /* it has a managed save image, of a guest of this mode: */
    gmemMode saved;
} gmemDriverFormer;

/**
 * gmemDriverGetFormer:
 * @xml: the definition
 *
 * Returns 0, or -1 with the error reported where it cannot be determined.
 */
int gmemDriverGetFormer(virConnectPtr conn, const gmemXML *xml, gmemDriverFormer *former);
