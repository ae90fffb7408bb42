/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemdomaindef.h: the parsed form of a domain, which the stages in gmemdomain*.h hand on. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemcarrier.h"
#include "gmemmode.h"
#include "gmemxml.h"

/* <launchSecurity type='…'> */
typedef enum {
    GMEM_LAUNCH_SECURITY_NONE = 0,
    GMEM_LAUNCH_SECURITY_SW_PROTECTED,
    GMEM_LAUNCH_SECURITY_SEV,
    GMEM_LAUNCH_SECURITY_SEV_SNP,
    GMEM_LAUNCH_SECURITY_S390_PV,
    GMEM_LAUNCH_SECURITY_TDX,
    GMEM_LAUNCH_SECURITY_UNKNOWN, /* for stock libvirt to judge */
} gmemLaunchSecurity;

/* A <cell> of <cpu><numa>, or a memory device. Sizes are in KiB, and 0 if unreadable. */
typedef struct {
    unsigned long long id; /* where it is not given, libvirt counts */
    unsigned long long size;
    unsigned long long page; /* the size of its huge pages; 0: ordinary ones */
    char *access;            /* memAccess or access; NULL where absent, like all strings here */
} gmemDomainCell;

typedef struct {
    char *model;
    unsigned long long size;
    unsigned long long pagesize; /* that it asks for itself; 0: none */
    unsigned long long page;     /* as a cell's: its own, or those of the cell that it belongs to */
    char *access;
} gmemDomainMemory;

/* Strings and nodes are NULL if the XML does not have the item. Nodes belong to the document. */
typedef struct {
    gmemXMLNode *root; /* the <domain>; its document outlives the definition */

    /* The two elements and the carrier pair. */
    gmemXMLNode *privateNode;
    gmemLaunchSecurity launchSecurity;
    char *launchSecurityText;
    gmemXMLNode *launchSecurityNode;
    gmemCarrier *carrier;
    char *carrierText;
    gmemXMLNode *pair[2];
    gmemXMLNode *commandline; /* the first <qemu:commandline> */

    gmemMode mode; /* PostParse; from the carrier where there is one */

    /* What else matters. */
    char *name;
    char *type;
    char *arch;
    char *machine;
    char *emulator;
    char *loader; /* the path in <loader> */
    bool loaderSecure;
    const char *secureBoot; /* the feature by which firmware auto-selection asks for it */
    bool smm;               /* on; <smm/> without state is on, too */
    char *ioapicDriver;
    char *sourceType;
    char *accessMode;
    bool hugepages; /* some page is larger than 4 KiB, or of the host's default size */
    bool hugedimms; /* some memory device asks for such pages itself */
    bool locked;
    gmemDomainCell *cells;
    size_t ncells;
    gmemDomainMemory *memories;
    size_t nmemories;
    unsigned long long page;          /* KiB: as a cell's, where there are none */
    unsigned long long memory;        /* KiB: <memory>; 0 where absent or unreadable, as the next */
    unsigned long long currentMemory; /* KiB */
    unsigned long long hardLimit;     /* KiB */
    bool suspendToMem;                /* asked for */
    char *dump; /* what has libvirt dump the guest's memory by itself: "<on_crash>…</on_crash>" or
                 * "<watchdog action='dump'/>" */
    char *vfio; /* the first device that requires VFIO, as users write it: "<hostdev type='pci'>" */
    const char *memfdUser; /* the first device that requires RAM to be a memfd, as users write it */
    char *sharedOnly;      /* the first device whose back end, a process or hardware, only reaches
                            * shared pages: "<filesystem> with <driver type='virtiofs'/>" */
    bool nodesetsDiffer;
} gmemDomainDef;
