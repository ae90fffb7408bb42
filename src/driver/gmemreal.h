/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemreal.h: the one table of the functions that this library stands in front of. */
#pragma once

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdbool.h>
#include <unistd.h>

#include "gmemmigrateapi.h"

/* Marks the definitions that libvirt-gmem.syms exports. */
#define GMEM_INTERPOSED __attribute__((visibility("default")))

/* Every function whose real definition is called from here. */
#define GMEM_REAL_FUNCTIONS(X)                                                                     \
    X(execve)                                                                                      \
    X(virConnectDomainXMLToNative)                                                                 \
    X(virConnectGetDomainCapabilities)                                                             \
    X(virDomainAttachDevice)                                                                       \
    X(virDomainAttachDeviceFlags)                                                                  \
    X(virDomainCheckpointCreateXML)                                                                \
    X(virDomainCheckpointGetXMLDesc)                                                               \
    X(virDomainCoreDump)                                                                           \
    X(virDomainCoreDumpWithFormat)                                                                 \
    X(virDomainCreate)                                                                             \
    X(virDomainCreateWithFiles)                                                                    \
    X(virDomainCreateWithFlags)                                                                    \
    X(virDomainCreateXML)                                                                          \
    X(virDomainCreateXMLWithFiles)                                                                 \
    X(virDomainDefineXML)                                                                          \
    X(virDomainDefineXMLFlags)                                                                     \
    X(virDomainGetXMLDesc)                                                                         \
    X(virDomainManagedSave)                                                                        \
    X(virDomainManagedSaveDefineXML)                                                               \
    X(virDomainManagedSaveGetXMLDesc)                                                              \
    X(virDomainMemoryPeek)                                                                         \
    X(virDomainMigrate)                                                                            \
    X(virDomainMigrate2)                                                                           \
    X(virDomainMigrate3)                                                                           \
    X(virDomainMigrateStartPostCopy)                                                               \
    X(virDomainMigrateToURI)                                                                       \
    X(virDomainMigrateToURI2)                                                                      \
    X(virDomainMigrateToURI3)                                                                      \
    X(virDomainRestore)                                                                            \
    X(virDomainRestoreFlags)                                                                       \
    X(virDomainRestoreParams)                                                                      \
    X(virDomainRevertToSnapshot)                                                                   \
    X(virDomainSave)                                                                               \
    X(virDomainSaveFlags)                                                                          \
    X(virDomainSaveImageDefineXML)                                                                 \
    X(virDomainSaveImageGetXMLDesc)                                                                \
    X(virDomainSaveParams)                                                                         \
    X(virDomainSetMemory)                                                                          \
    X(virDomainSetMemoryFlags)                                                                     \
    X(virDomainSnapshotCreateXML)                                                                  \
    X(virDomainSnapshotGetXMLDesc)                                                                 \
    X(virDomainStartDirtyRateCalc)

/* Those that only the daemon calls, and that libvirt may drop or rename: NULL where it has none, and
 * then nobody calls ours. */
#define GMEM_REAL_PRIVATE_FUNCTIONS(X)                                                             \
    X(virDomainMigrateBegin3)                                                                      \
    X(virDomainMigrateBegin3Params)                                                                \
    X(virDomainMigratePerform)                                                                     \
    X(virDomainMigratePerform3)                                                                    \
    X(virDomainMigratePerform3Params)                                                              \
    X(virDomainMigratePrepare2)                                                                    \
    X(virDomainMigratePrepare3)                                                                    \
    X(virDomainMigratePrepare3Params)                                                              \
    X(virDomainMigratePrepareTunnel)                                                               \
    X(virDomainMigratePrepareTunnel3)                                                              \
    X(virDomainMigratePrepareTunnel3Params)

typedef struct {
#define X(name) __typeof__(&name) name;
    GMEM_REAL_FUNCTIONS(X)
    GMEM_REAL_PRIVATE_FUNCTIONS(X)
#undef X
    /* Private in libvirt, with a version that changes in each release: looked up by name at load,
     * never linked. NULL where libvirt no longer has it: then nothing of ours is served. */
    void (*virSetError)(virErrorPtr error);
    /* The same. Hands the last error to the handler that the client has set, as each public function
     * of libvirt does when it fails; NULL is no loss for clients that ask for the last error. */
    void (*virDispatchError)(virConnectPtr conn);
} gmemRealTable;

/**
 * gmemReal:
 *
 * Returns the table, bound by the first call (the library's constructor, or whoever comes before
 * it). Ends the process where a function is missing: there is nothing to pass the call on to.
 */
const gmemRealTable *gmemReal(void);
