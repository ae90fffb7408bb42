/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemraised.c: how texts of libvirt's were raised, to raise the same texts again.
 *
 * An entry counts only where digest and length are the text's, and the pair stands where it stood.
 * Nothing that an entry says can become untrue, so none is ever invalid: that of a text that
 * libvirt no longer gives is only not asked for. */

#include "gmemraised.h"

#include <gnutls/crypto.h>
#include <string.h>

#include "gmemcarrier.h"
#include "gmemhash.h"

typedef struct {
    gmemHashKeyed digest; /* the key of the table */
    size_t option;        /* where the pair stands in the text */
    gmemXMLPatch *patch;
} gmemRaisedEntry;

/* A guess at the size of an entry in the table and in the heap. */
#define GMEM_RAISED_OVERHEAD (sizeof(gmemRaisedEntry) + 64)

static GMutex gmemRaisedLock;
static GHashTable *gmemRaisedTable; /* of entries, each its own key */
static size_t gmemRaisedUsed;
static guint8 gmemRaisedKey[GMEM_HASH_KEY_SIZE];

/* Any part of a digest will do. */
static guint
gmemRaisedHash(const void *entry)
{
    return (guint)((const gmemRaisedEntry *)entry)->digest.half[0];
}

static gboolean
gmemRaisedEqual(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(gmemHashKeyed)) == 0;
}

static void
gmemRaisedEntryClear(void *entry)
{
    g_free(((gmemRaisedEntry *)entry)->patch);
}

static void
gmemRaisedEntryUnref(void *entry)
{
    g_atomic_rc_box_release_full(entry, gmemRaisedEntryClear);
}

/* With the lock held. False where there are no random bytes: then nothing is kept. */
static bool
gmemRaisedInit(void)
{
    if (gmemRaisedTable != NULL)
        return true;
    if (gnutls_rnd(GNUTLS_RND_KEY, gmemRaisedKey, sizeof(gmemRaisedKey)) < 0)
        return false;
    gmemRaisedTable =
        g_hash_table_new_full(gmemRaisedHash, gmemRaisedEqual, gmemRaisedEntryUnref, NULL);
    return true;
}

/* What @text is known by; false where it has no pair, or nothing is kept. */
static bool
gmemRaisedIdentify(const char *text, size_t length, gmemRaisedEntry *entry)
{
    const char *option = strstr(text, GMEM_CARRIER_OPTION);
    bool ready;

    g_mutex_lock(&gmemRaisedLock);
    ready = gmemRaisedInit();
    g_mutex_unlock(&gmemRaisedLock);
    if (option == NULL || !ready)
        return false;
    entry->option = (size_t)(option - text);
    gmemHashKeyedCompute(gmemRaisedKey, text, length, &entry->digest);
    return true;
}

char *
gmemRaisedApply(const char *text)
{
    size_t length = strlen(text);
    gmemRaisedEntry wanted = {0};
    gmemRaisedEntry *entry;
    char *raised = NULL;

    if (!gmemRaisedIdentify(text, length, &wanted))
        return NULL;
    g_mutex_lock(&gmemRaisedLock);
    entry = g_hash_table_lookup(gmemRaisedTable, &wanted);
    if (entry != NULL)
        g_atomic_rc_box_acquire(entry);
    g_mutex_unlock(&gmemRaisedLock);
    if (entry == NULL)
        return NULL;
    if (entry->option == wanted.option)
        raised = gmemXMLPatchApply(entry->patch, text, length);
    gmemRaisedEntryUnref(entry);
    return raised;
}

void
gmemRaisedRemember(const char *text, gmemXMLPatch *patch)
{
    size_t size = gmemXMLPatchSize(patch) + GMEM_RAISED_OVERHEAD;
    gmemRaisedEntry *entry = g_atomic_rc_box_new0(gmemRaisedEntry);

    entry->patch = patch;
    if (size > GMEM_RAISED_SIZE_MAX || !gmemRaisedIdentify(text, strlen(text), entry)) {
        gmemRaisedEntryUnref(entry);
        return;
    }
    g_mutex_lock(&gmemRaisedLock);
    if (gmemRaisedUsed + size > GMEM_RAISED_SIZE_MAX) {
        g_hash_table_remove_all(gmemRaisedTable);
        gmemRaisedUsed = 0;
    }
    /* Another thread may have been faster. */
    if (!g_hash_table_contains(gmemRaisedTable, entry)) {
        g_hash_table_add(gmemRaisedTable, entry);
        gmemRaisedUsed += size;
    } else {
        gmemRaisedEntryUnref(entry);
    }
    g_mutex_unlock(&gmemRaisedLock);
}

size_t
gmemRaisedSize(void)
{
    size_t used;

    g_mutex_lock(&gmemRaisedLock);
    used = gmemRaisedUsed;
    g_mutex_unlock(&gmemRaisedLock);
    return used;
}
