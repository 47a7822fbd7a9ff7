/* SPDX-License-Identifier: MIT
 *
 * shared/alarm.h - a thread that waits for the earliest of several deadlines in guest time, such as
 * those of a machine's local APICs, and has whoever is due told.
 *
 * It is woken only by a deadline earlier than the one it waits for: a guest that moves its timer
 * on, as nearly all do, costs no system call.
 */
#ifndef SHARED_ALARM_H
#define SHARED_ALARM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct alarm {
    pthread_mutex_t lock; /* a leaf lock; of all below, and of what due() walks */
    pthread_cond_t changed;
    pthread_t thread;
    uint64_t wake_ns; /* when the thread looks next; atomic */
    bool runs, ends;
    bool stands; /* guest time does */
    uint64_t (*now_ns)(void *context);
    /* Tells those whose deadline is not after `now_ns`, each deadline once, and returns the
     * earliest of the others, UINT64_MAX if there is none. Under `lock`. */
    uint64_t (*due)(void *context, uint64_t now_ns);
    void *context;
};

/* Fills it in. To be ended by alarm_destroy(), whether it was started or not. */
void alarm_init(struct alarm *a, uint64_t (*now_ns)(void *context),
                uint64_t (*due)(void *context, uint64_t now_ns), void *context);
/* 0, or -errno if there is no thread. */
int alarm_start(struct alarm *a);
void alarm_stop(struct alarm *a); /* on return due() is not called any more */
void alarm_destroy(struct alarm *a);
/* Guest time stands still, or goes on. */
void alarm_stand(struct alarm *a, bool stands);
/* Has the thread look again. */
void alarm_wake(struct alarm *a);

/* A deadline may have changed, to `deadline_ns`. [any] */
static inline void alarm_moved(struct alarm *a, uint64_t deadline_ns)
{
    if (deadline_ns < __atomic_load_n(&a->wake_ns, __ATOMIC_SEQ_CST))
        alarm_wake(a);
}

#endif
