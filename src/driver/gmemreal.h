/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemreal.h: the one table of the functions that this library stands in front of. */
#pragma once

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdbool.h>
#include <unistd.h>

#include "gmemmigrateapi.h"

/* A function of libvirt.so that only its daemon calls, when it is told to read its files again. */
int virStateReload(void);

/* Marks the definitions that libvirt-gmem.syms exports. */
#define GMEM_INTERPOSED __attribute__((visibility("default")))

/* The access that libvirt requires of the connection. On a connection that was opened read-only, a
 * function is denied always (GMEM_WRITER), never (GMEM_ANYBODY), or if it is called with one of
 * these flags. */
#define GMEM_WRITER (-1)
#define GMEM_ANYBODY 0

/* All functions whose real definition is called from here, and the access that libvirt requires for
 * them. */
#define GMEM_REAL_FUNCTIONS(X)                                                                     \
    X(execve, GMEM_ANYBODY)                                                                        \
    X(virConnectDomainXMLToNative, GMEM_WRITER)                                                    \
    X(virConnectGetDomainCapabilities, GMEM_WRITER)                                                \
    X(virConnectOpen, GMEM_ANYBODY)                                                                \
    X(virConnectOpenAuth, GMEM_ANYBODY)                                                            \
    X(virConnectOpenReadOnly, GMEM_ANYBODY)                                                        \
    X(virDomainAttachDevice, GMEM_WRITER)                                                          \
    X(virDomainAttachDeviceFlags, GMEM_WRITER)                                                     \
    X(virDomainBlockCopy, GMEM_WRITER)                                                             \
    X(virDomainCheckpointCreateXML, GMEM_WRITER)                                                   \
    X(virDomainCheckpointGetXMLDesc, VIR_DOMAIN_CHECKPOINT_XML_SECURE)                             \
    X(virDomainCoreDump, GMEM_WRITER)                                                              \
    X(virDomainCoreDumpWithFormat, GMEM_WRITER)                                                    \
    X(virDomainCreate, GMEM_WRITER)                                                                \
    X(virDomainCreateWithFiles, GMEM_WRITER)                                                       \
    X(virDomainCreateWithFlags, GMEM_WRITER)                                                       \
    X(virDomainCreateXML, GMEM_WRITER)                                                             \
    X(virDomainCreateXMLWithFiles, GMEM_WRITER)                                                    \
    X(virDomainDefineXML, GMEM_WRITER)                                                             \
    X(virDomainDefineXMLFlags, GMEM_WRITER)                                                        \
    X(virDomainDetachDeviceAlias, GMEM_WRITER)                                                     \
    X(virDomainDetachDeviceFlags, GMEM_WRITER)                                                     \
    X(virDomainGetXMLDesc, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE)                      \
    X(virDomainManagedSave, GMEM_WRITER)                                                           \
    X(virDomainManagedSaveDefineXML, GMEM_WRITER)                                                  \
    X(virDomainManagedSaveGetXMLDesc, VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)                            \
    X(virDomainMemoryPeek, GMEM_WRITER)                                                            \
    X(virDomainMigrate, GMEM_WRITER)                                                               \
    X(virDomainMigrate2, GMEM_WRITER)                                                              \
    X(virDomainMigrate3, GMEM_WRITER)                                                              \
    X(virDomainMigrateStartPostCopy, GMEM_WRITER)                                                  \
    X(virDomainMigrateToURI, GMEM_WRITER)                                                          \
    X(virDomainMigrateToURI2, GMEM_WRITER)                                                         \
    X(virDomainMigrateToURI3, GMEM_WRITER)                                                         \
    X(virDomainRename, GMEM_WRITER)                                                                \
    X(virDomainRestore, GMEM_WRITER)                                                               \
    X(virDomainRestoreFlags, GMEM_WRITER)                                                          \
    X(virDomainRestoreParams, GMEM_WRITER)                                                         \
    X(virDomainRevertToSnapshot, GMEM_WRITER)                                                      \
    X(virDomainSave, GMEM_WRITER)                                                                  \
    X(virDomainSaveFlags, GMEM_WRITER)                                                             \
    X(virDomainSaveImageDefineXML, GMEM_WRITER)                                                    \
    X(virDomainSaveImageGetXMLDesc, GMEM_WRITER)                                                   \
    X(virDomainSaveParams, GMEM_WRITER)                                                            \
    X(virDomainSetLifecycleAction, GMEM_WRITER)                                                    \
    X(virDomainSetMaxMemory, GMEM_WRITER)                                                          \
    X(virDomainSetMemory, GMEM_WRITER)                                                             \
    X(virDomainSetMemoryFlags, GMEM_WRITER)                                                        \
    X(virDomainSetMemoryParameters, GMEM_WRITER)                                                   \
    X(virDomainSnapshotCreateXML, GMEM_WRITER)                                                     \
    X(virDomainSnapshotGetXMLDesc, VIR_DOMAIN_SNAPSHOT_XML_SECURE)                                 \
    X(virDomainStartDirtyRateCalc, GMEM_WRITER)                                                    \
    X(virDomainUpdateDeviceFlags, GMEM_WRITER)

/* Functions that not every libvirt has: those that only its daemon calls, which libvirt may drop or
 * rename, and public ones that are newer than the oldest libvirt that this is built with. Their
 * prototypes are ours. They are NULL if libvirt does not have them, and then nobody calls ours. */
#define GMEM_REAL_OPTIONAL_FUNCTIONS(X)                                                            \
    X(virDomainMigrateBegin3, GMEM_WRITER)                                                         \
    X(virDomainMigrateBegin3Params, GMEM_WRITER)                                                   \
    X(virDomainMigratePerform, GMEM_WRITER)                                                        \
    X(virDomainMigratePerform3, GMEM_WRITER)                                                       \
    X(virDomainMigratePerform3Params, GMEM_WRITER)                                                 \
    X(virDomainMigratePrepare2, GMEM_WRITER)                                                       \
    X(virDomainMigratePrepare3, GMEM_WRITER)                                                       \
    X(virDomainMigratePrepare3Params, GMEM_WRITER)                                                 \
    X(virDomainMigratePrepareTunnel, GMEM_WRITER)                                                  \
    X(virDomainMigratePrepareTunnel3, GMEM_WRITER)                                                 \
    X(virDomainMigratePrepareTunnel3Params, GMEM_WRITER)                                           \
    X(virStateReload, GMEM_ANYBODY)

typedef struct {
#define X(name, need) __typeof__(&name) name;
    GMEM_REAL_FUNCTIONS(X)
    GMEM_REAL_OPTIONAL_FUNCTIONS(X)
#undef X
    /* Private in libvirt, with a version that changes in each release, so it is looked up by name
     * when the library is loaded, and never linked. NULL if libvirt no longer has it; then no call
     * is served. */
    void (*virSetError)(virErrorPtr error);
    /* The same. It passes the last error to the handler that the client has set, as each public
     * function of libvirt does when it fails. NULL does not matter to clients that ask for the last
     * error. */
    void (*virDispatchError)(virConnectPtr conn);
} gmemRealTable;

/* GMEM_NEED_NAME: the second column of the tables above. */
enum {
#define X(name, need) GMEM_NEED_##name = (need),
    GMEM_REAL_FUNCTIONS(X) GMEM_REAL_OPTIONAL_FUNCTIONS(X)
#undef X
};

/**
 * gmemReal:
 *
 * Returns the table, which is bound by the first call (from the library's constructor, or earlier).
 * Ends the process if a function is missing, because there is nothing to pass the call on to.
 */
const gmemRealTable *gmemReal(void);
