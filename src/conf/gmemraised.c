/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gmemraised.c: remembers how texts from libvirt were raised, to raise the same texts again.
 *
 * An entry is used only if digest and length are those of the text. Nothing that an entry says can
 * become untrue, so entries are never invalidated: the entry of a text that libvirt no longer
 * returns is just not used any more. */

#include "gmemraised.h"

#include <gnutls/crypto.h>
#include <string.h>

#include "gmemhash.h"

typedef struct {
    gmemHashKeyed digest; /* the key of the table */
    gmemXMLPatch *patch;
} gmemRaisedEntry;

/* An estimate of the size of an entry in the table and on the heap. */
#define GMEM_RAISED_OVERHEAD (sizeof(gmemRaisedEntry) + 64)

static GMutex gmemRaisedLock;
static GHashTable *gmemRaisedTable; /* of entries, each its own key */
static size_t gmemRaisedUsed;
static guint8 gmemRaisedKey[GMEM_HASH_KEY_SIZE];

/* Any part of a digest is a good hash. */
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

/* Called with the lock held. Returns false if there are no random bytes; then nothing is cached. */
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

/* Computes the key of @text. Returns false if nothing is cached. */
static bool
gmemRaisedIdentify(const char *text, size_t length, gmemRaisedEntry *entry)
{
    bool ready;

    g_mutex_lock(&gmemRaisedLock);
    ready = gmemRaisedInit();
    g_mutex_unlock(&gmemRaisedLock);
    if (ready)
        gmemHashKeyedCompute(gmemRaisedKey, text, length, &entry->digest);
    return ready;
}

char *
gmemRaisedApply(const char *text)
{
    size_t length = strlen(text);
    gmemRaisedEntry wanted = {0};
    gmemRaisedEntry *entry;
    char *raised;

    if (!gmemRaisedIdentify(text, length, &wanted))
        return NULL;
    g_mutex_lock(&gmemRaisedLock);
    entry = g_hash_table_lookup(gmemRaisedTable, &wanted);
    if (entry != NULL)
        g_atomic_rc_box_acquire(entry);
    g_mutex_unlock(&gmemRaisedLock);
    if (entry == NULL)
        return NULL;
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
