/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_locked.h: shows without a clock that a call waits for a lock which another thread holds: the
 * holder continues when the call sleeps, and fails if the call got through. */
#pragma once

#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    void (*call)(void);
    pthread_t thread;
    atomic_int tid; /* the ID of the thread, once it is about to make the call */
    atomic_bool through;
} locked;

/* Called by the thread: from here on, if it sleeps, it waits for the lock. */
static inline void
lockedBegin(void)
{
    atomic_store(&locked.tid, (int)syscall(SYS_gettid));
}

static void *
lockedRun(void *unused G_GNUC_UNUSED)
{
    lockedBegin();
    locked.call();
    atomic_store(&locked.through, true);
    return NULL;
}

/* Called where the call does something that it must not do without the lock. */
static inline void
lockedNotePassage(void)
{
    if (atomic_load(&locked.tid) == (int)syscall(SYS_gettid))
        atomic_store(&locked.through, true);
}

static bool
lockedSleeps(void)
{
    char path[64];
    char text[512] = "";
    const char *state;
    int fd;

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(&locked.tid));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (read(fd, text, sizeof(text) - 1) < 0)
        text[0] = '\0';
    close(fd);
    state = strrchr(text, ')');
    return state != NULL && strncmp(state, ") S", 3) == 0;
}

/* Called by the holder of the lock: the thread, which is or will be running, has to wait for it. */
static void
lockedExpectSleep(void)
{
    while (!atomic_load(&locked.through) && (atomic_load(&locked.tid) == 0 || !lockedSleeps()))
        sched_yield();
    g_assert_false(atomic_load(&locked.through));
}

/* The same for @call, in another thread. */
static void
lockedExpectWait(void (*call)(void))
{
    locked.call = call;
    atomic_store(&locked.tid, 0);
    atomic_store(&locked.through, false);
    g_assert_cmpint(pthread_create(&locked.thread, NULL, lockedRun, NULL), ==, 0);
    lockedExpectSleep();
}

/* Called after the holder has released the lock: the call is completed. */
static void
lockedJoin(void)
{
    pthread_join(locked.thread, NULL);
    g_assert_true(atomic_load(&locked.through));
}
