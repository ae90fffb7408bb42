/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemcommandline.h: what matters to guest memory on QEMU's command line. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "gmemcarrier.h"
#include "gmemprops.h"

/* The id that libvirt gives to its launch security objects. */
#define GMEM_LAUNCH_OBJECT "lsec0"

typedef enum {
    GMEM_USE_NONE = 0,
    GMEM_USE_RAM,
    GMEM_USE_FILE,   /* NVDIMM, virtio-pmem: a host file, never private */
    GMEM_USE_DEVICE, /* ivshmem-plain: memory of a PCI device, as a video card has; never private */
    GMEM_USE_OTHER,  /* not allowed beside private memory */
} gmemUse;

typedef struct {
    char *id;
    char *name; /* for messages: the id in quotes, and the element that libvirt makes it for */
    char *type;
    size_t index; /* of its value in argv */
    gmemProps props;
    gmemUse use;
    char *user; /* what refers to it */
} gmemBackend;

typedef struct {
    char *id;
    char *user; /* for messages: "-machine memory-backend", "pc-dimm 'dimm0'" … */
    gmemUse use;
} gmemReference;

typedef struct {
    char *const *argv;
    size_t argc;
    size_t pair; /* index of the carrier option */
    size_t npairs;
    const char *carrier;
    size_t machine; /* index of the first -machine's value; 0: none */
    gmemBackend *backends;
    size_t nbackends;
    gmemReference *references;
    size_t nreferences;
    char *machineType;
    char *memoryBackend;
    char *replaced;       /* what was the memory backend before the last -machine that says so */
    char *guestSupport;   /* confidential-guest-support */
    char *hardwareObject; /* id of a launch object whose VM has guest_memfd by itself */
    char *irqchip;
    char *accelIrqchip;
    char *smm;
    char *firmware; /* an image in flash memory, or the BIOS, that requires SMM */
    char *dumpGuestCore;
    char *suspend;    /* a -global that leaves suspend-to-memory on */
    char *memfdUser;  /* a device that requires RAM to be a memfd, with the property */
    char *vfio;       /* a device or disk whose DMA goes to pinned memory */
    char *restored;   /* an option that fills memory from elsewhere */
    bool locked;      /* QEMU locks its memory */
    char *sharedOnly; /* what reaches only what the guest shares */
    bool kvm;
    bool launchObject; /* an object of that id is there already */
} gmemCommandLine;

/**
 * gmemCommandLineRead:
 * @line: all zero; to be cleared with gmemCommandLineClear(), whatever is returned
 * @argv: must outlive @line
 * @error: VIR_ERR_XML_ERROR for a pair that is missing or duplicate, VIR_ERR_CONFIG_UNSUPPORTED for
 * an option that cannot be read, or could change memory backends in a way that cannot be followed
 *
 * Also called in the child between fork and exec: takes no lock.
 */
int gmemCommandLineRead(gmemCommandLine *line, char *const argv[], GError **error);

void gmemCommandLineClear(gmemCommandLine *line);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gmemCommandLine, gmemCommandLineClear)

/* gmemCommandLineDeviceUse: what the memory backend that property @key of a device names is used
 * for. */
gmemUse gmemCommandLineDeviceUse(const char *driver, const char *key);

/* gmemCommandLineLaunchType: the type of <launchSecurity> for which libvirt, or we, write a launch
 * object of that type of QEMU's: "sev-snp"; NULL if @object is not one that has guest_memfd. */
const char *gmemCommandLineLaunchType(const char *object);

/* gmemCommandLineReplace: replaces a string, which is freed, by another; NULL changes nothing. */
void gmemCommandLineReplace(char **member, char *value);
