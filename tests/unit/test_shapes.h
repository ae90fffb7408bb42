/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_shapes.h: domain XML and command lines of any size, each large in one way. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The parts of a domain, and of a snapshot that contains it; the shapes fill in what they are
 * about. */
typedef struct {
    GString *prolog;      /* in front of the root element */
    GString *root;        /* attributes of <domain> */
    GString *backing;     /* in <memoryBacking>, in front of <private/> */
    GString *body;        /* in <domain> */
    GString *devices;     /* in <devices> */
    GString *arguments;   /* in <qemu:commandline>, after the pair */
    GString *commandline; /* after <qemu:commandline> */
    GString *added;       /* in the pair's list, after what is always there */
    GString *around;      /* attributes of <domainsnapshot> */
    GString *beside;      /* in <domainsnapshot>, in front of the domain */
    size_t domains;       /* how many of them are in <domainsnapshot> */
    bool convertible;     /* they have launch security sw-protected, and not <private/> */
} testParts;

/* The result of lowering or raising a shape. */
typedef enum {
    TEST_SHAPE_FINE,    /* the domain with the requested change */
    TEST_SHAPE_REFUSED, /* an error */
    TEST_SHAPE_EITHER,  /* one of the two: there is a limit to a number, which bounds the cost, too
                         */
} testShapeOutcome;

typedef struct {
    const char *name;
    /* Fills in some @size bytes; NULL: @piece is repeated between @head and @tail instead. */
    void (*fill)(testParts *parts, size_t size);
    size_t part; /* its place in testParts */
    const char *head;
    const char *piece;
    const char *tail;
    testShapeOutcome lowered;
    testShapeOutcome raised;
} testShape;

extern const testShape testShapes[];
extern const size_t testShapesCount;

/* The documents of a shape: as a user writes it, and as stock libvirt shows it. Free with
 * g_free(). */
char *testShapeDomain(const testShape *shape, size_t size, bool lowered);
char *testShapeSnapshot(const testShape *shape, size_t size, bool lowered);

/* Command lines as stock libvirt gives them to QEMU. */
typedef struct {
    const char *name;
    /* Adds some @size bytes of words. */
    void (*fill)(GPtrArray *argv, size_t size);
    testShapeOutcome outcome;
} testArgvShape;

extern const testArgvShape testArgvShapes[];
extern const size_t testArgvShapesCount;

/* NULL-terminated; free with g_strfreev(). */
char **testArgvShapeMake(const testArgvShape *shape, size_t size);
