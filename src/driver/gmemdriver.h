/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdriver.h: what the functions in front of libvirt's have in common. */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "gmemplan.h"
#include "gmemxml.h"

/* XML on its way from a client to libvirt. Use it as g_auto(gmemDriverXML) ours = {.text = xml}; */
typedef struct {
    const char *text; /* what libvirt is given: the client's own text until that has to change */
    char *made;       /* what it was changed into; NULL: nothing */
    gmemXML *doc;     /* @text as it was read, once it was: to be read further, not edited */
    gmemPlan *plan;   /* what the domain in it asks for; NULL: nothing of ours */
} gmemDriverXML;

void gmemDriverXMLClear(gmemDriverXML *xml);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemDriverXML, gmemDriverXMLClear)

/* gmemDriverXMLReplace: takes over @made, which is what libvirt will be given. */
void gmemDriverXMLReplace(gmemDriverXML *xml, char *made);

/* gmemDriverXMLRead: reads the text (not NULL), once. Returns 1; 0 if it is malformed, and was
 * replaced so that libvirt refuses it: what each version of libxml2 accepts is not decided here; or
 * -1 with @error if it cannot be read. */
int gmemDriverXMLRead(gmemDriverXML *xml, GError **error);

/* gmemDriverXMLTake: takes over @lowered, which gmemLowerXML() made of the text and which libvirt
 * will be given, and @plan, which is the domain's. */
void gmemDriverXMLTake(gmemDriverXML *xml, gmemXML *lowered, gmemPlan *plan);

/**
 * gmemDriverMayConcern:
 *
 * For a call that requires write access and only matters for a domain with private memory, before
 * GMEM_DOOR, because finding out a domain's connection can cost more than the door itself. If it
 * is false, no domain can have private memory, and the call is passed on.
 */
bool gmemDriverMayConcern(void);

/* gmemDriverConcerns: behind the door, whether @conn is ours and a domain may have private memory.
 */
bool gmemDriverConcerns(virConnectPtr conn);

/**
 * gmemDriverLower:
 * @xml: a domain, or a document that contains domains (gmemnested.h); its text can be NULL. Out:
 * the text to use, and the plan; unchanged if the call is not ours, or if it is lowered already
 * @validate: also check the two elements against the schema
 *
 * Returns 0, or -1 with the error reported.
 */
int gmemDriverLower(virConnectPtr conn, gmemDriverXML *xml, bool validate);

/**
 * gmemDriverRaise:
 * @xml: what the real function returned, and gmemRaiseMayHavePair()
 *
 * Takes over @xml, and returns what the client should see, to be freed with free(). XML that cannot
 * be raised (for example, with a pair of a later version) is shown as it is stored, and a line is
 * logged. To a read-only connection, everything is shown as it is stored if gmem.conf says so.
 */
char *gmemDriverRaise(virConnectPtr conn, char *xml);

/* gmemDriverCheckPlan: gmemStartCheck() with the error reported; @plan can be NULL. */
int gmemDriverCheckPlan(virConnectPtr conn, const gmemPlan *plan);

/**
 * gmemDriverCheckSaved:
 * @plan: of a guest that will continue from a save image or snapshot; can be NULL
 *
 * Like gmemDriverCheckPlan(), except for what the guest can do without: it must not lose its pages
 * because the kernel does not keep a NUMA policy. The domain's log says that there is no policy
 * (gmemexec.c). After this call, QEMU is not started for a guest of another mode (gmemexpect.h).
 */
int gmemDriverCheckSaved(virConnectPtr conn, gmemPlan *plan);

/**
 * gmemDriverCheckDomain:
 * @flags: of virDomainCreateWithFlags
 *
 * The checks before a client starts a domain that is defined, or that continues from its managed
 * save image. Returns 0, or -1 with the error reported.
 */
int gmemDriverCheckDomain(virDomainPtr domain, unsigned int flags);

/**
 * gmemDriverStarted:
 * @conn: of the call; obtained before the call, because obtaining it resets libvirt's last error
 * @result: what the real function returned; less than 0 if it failed
 *
 * To be called after a call that starts a domain. If it failed because our own child refused, the
 * error is replaced by the child's. Returns @result.
 */
int gmemDriverStarted(virConnectPtr conn, int result);

/**
 * gmemDriverGetPlan:
 * @flags: of virDomainGetXMLDesc: 0 for the domain as it runs, otherwise as it is defined. A
 * running domain with <private/> is asked itself (gmemWitnessCheckRunning())
 * @plan: out: what the domain asks for, to be freed with gmemPlanFree(); NULL if that is nothing,
 * or if the call is not ours
 *
 * Returns 0, or -1 with an error reported if it cannot be determined: libvirt does not show the
 * domain (the error is then its own), the domain's pair is damaged, or its emulator does not
 * confirm it.
 */
int gmemDriverGetPlan(virDomainPtr domain, unsigned int flags, gmemPlan **plan);

/**
 * gmemDriverGetStoredPlan:
 * @conn: obtained before @xml, because nearly every call of libvirt resets the last error
 * @xml: as libvirt stores it (of a save image, of a snapshot); taken over. NULL if libvirt, whose
 * error is then the last one, did not show it
 * @plan: out: what the domain in @xml asks for; NULL if that is nothing
 *
 * Returns 0, or -1 with an error reported if it cannot be determined.
 */
int gmemDriverGetStoredPlan(virConnectPtr conn, char *xml, gmemPlan **plan);

/* gmemDriverReadStored: the same. @doc: out: NULL before the call; @xml as it was read, to be freed
 * with gmemXMLFree() */
int gmemDriverReadStored(virConnectPtr conn, char *xml, gmemXML **doc, gmemPlan **plan);

/* gmemDriverReadOurs: the same, but text that certainly has no pair is not read: @doc stays NULL.
 */
int gmemDriverReadOurs(virConnectPtr conn, char *xml, gmemXML **doc, gmemPlan **plan);

/**
 * gmemDriverIsSpecialFile:
 *
 * Whether @path, which comes from a client, exists and is not a regular file with contents. A pipe
 * without a writer would block whoever opens it, and a pipe can only be read once, and not by us.
 * Files of the kernel that block readers (/proc/kmsg, trace_pipe) report that they are regular, and
 * empty.
 */
bool gmemDriverIsSpecialFile(const char *path);

/* Operations for which the host has to read the memory of the running guest. */
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
 * @operation: the operation
 *
 * Whether it can be performed on the running guest. Returns 0, or -1 with
 * VIR_ERR_OPERATION_UNSUPPORTED reported if private pages prevent it, or with another error if this
 * cannot be determined.
 */
int gmemDriverRefuseConvertible(virDomainPtr domain, gmemDriverOperation operation);

/* gmemDriverDefinedName: the name of the domain that @xml (its text is not NULL) defines: *@length
 * bytes in memory of @xml, not terminated; or NULL if it cannot be determined at little cost. */
const char *gmemDriverDefinedName(const gmemDriverXML *xml, size_t *length);

/**
 * gmemDriverCheckDefinition:
 * @xml: of a domain, lowered; its text can be NULL
 *
 * Whether the domain can be defined like this. A managed save image continues in its own mode at
 * the next start, and at an autostart nobody can refuse that. Returns 0, or -1 with
 * VIR_ERR_CONFIG_UNSUPPORTED reported if the domain has, or may have, an image of another mode.
 */
int gmemDriverCheckDefinition(virConnectPtr conn, gmemDriverXML *xml);

/* gmemDriverCheckRedefined: the same for an existing domain. */
int gmemDriverCheckRedefined(virDomainPtr domain, const gmemPlan *now);

/* gmemDriverCheckManaged: whether a managed save of the running @domain would have the mode that it
 * is defined with. Returns 0, or -1 with the error reported. */
int gmemDriverCheckManaged(virDomainPtr domain);

/**
 * gmemDriverRefuseOtherMode:
 * @then: the plan of the saved or running guest; NULL: an ordinary domain
 * @now: the plan of the XML that is to replace it; NULL as above
 *
 * libvirt's own check of ABI stability does not look into <qemu:commandline>. Returns 0, or -1 with
 * VIR_ERR_CONFIG_UNSUPPORTED reported if the kind of memory would change.
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
 * Returns 0, or -1 with the error reported if it cannot be determined.
 */
int gmemDriverGetFormer(virConnectPtr conn, const gmemXML *xml, gmemDriverFormer *former);
