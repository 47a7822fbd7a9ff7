/* SPDX-License-Identifier: MIT
 *
 * loop/loop.c - the event loop: watches and timers in front of the system's poller, and its thread.
 *
 * A watch can be removed by any thread that is inside its domain while the loop is about to call
 * it. So the loop looks an event's watch up, enters the domain, and looks again: what is gone by
 * then is not called. The same holds for timers.
 */
#include "loop/loop.h"

#include "loop/poller.h"
#include "loop/thread.h"
#include "loop/timers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_AT_ONCE 32

struct watch {
    const void *owner; /* NULL: a free entry */
    struct domain *domain;
    void (*ready)(void *self, int fd, uint32_t events);
    void *self;
    int fd;
    uint32_t events;
    uint32_t serial; /* tells a watch from its predecessors in the same entry */
};

struct loop {
    const struct clock *clock;
    struct poller *poller;
    void (*before)(void *context); /* or NULL */
    void *before_context;
    bool running;
    pthread_t thread;
    pthread_mutex_t lock; /* a leaf lock, for all below */
    struct watch *watches;
    uint32_t watch_count;
    uint32_t next_serial;
    struct timer_heap timers;
    uint64_t programmed_ns; /* host time the poller's timer is set to; UINT64_MAX: disarmed */
    uint64_t round_ns;      /* guest time of the last round of timers */
};

int loop_new(const struct clock *clock, struct loop **out)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return -ENOMEM;
    loop->clock = clock;
    loop->programmed_ns = UINT64_MAX;
    pthread_mutex_init(&loop->lock, NULL);
    int err = poller_new(&loop->poller);
    if (err) {
        loop_free(loop);
        return err;
    }
    *out = loop;
    return 0;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    loop_stop(loop);
    poller_free(loop->poller);
    timer_heap_free(&loop->timers);
    free(loop->watches);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

/* ---- timers -------------------------------------------------------------------------------------
 */

/* Makes the poller's timer fire for the earliest one. Firing too early is harmless, so it is set
 * again only when it would fire too late. Holds loop->lock. */
static void program_timer(struct loop *loop)
{
    const struct timer *first = timer_heap_first(&loop->timers);

    if (!first || !clock_runs(loop->clock))
        return;
    uint64_t host_ns = clock_to_host_ns(loop->clock, first->when_ns);
    if (host_ns >= loop->programmed_ns)
        return;
    poller_timer(loop->poller, host_ns);
    loop->programmed_ns = host_ns;
}

int loop_timer_set(struct loop *loop, struct timer *timer, uint64_t when_ns)
{
    pthread_mutex_lock(&loop->lock);
    /* What is armed for the past joins the next round, behind all that this one has to fire. */
    timer->when_ns = when_ns > loop->round_ns ? when_ns : loop->round_ns + 1;
    int err = timer_heap_update(&loop->timers, timer);
    program_timer(loop);
    pthread_mutex_unlock(&loop->lock);
    return err;
}

/* Fires what is due now; timers that callbacks arm meanwhile wait for the next round, so that a
 * device that keeps asking for "soon" cannot starve the fds. */
static void fire_timers(struct loop *loop)
{
    uint64_t now = clock_now_ns(loop->clock);

    pthread_mutex_lock(&loop->lock);
    loop->programmed_ns = UINT64_MAX;
    loop->round_ns = now;
    for (;;) {
        struct timer *t = timer_heap_first(&loop->timers);
        if (!t || t->when_ns > now)
            break;
        struct domain *domain = t->domain;
        pthread_mutex_unlock(&loop->lock);
        domain_enter(domain);
        pthread_mutex_lock(&loop->lock);
        bool due = t->heap_index_plus_1 && t->when_ns <= now;
        if (due) {
            t->when_ns = UINT64_MAX;
            timer_heap_update(&loop->timers, t);
        }
        pthread_mutex_unlock(&loop->lock);
        if (due)
            t->fire(t->self, t->id);
        domain_leave(domain);
        pthread_mutex_lock(&loop->lock);
    }
    program_timer(loop);
    pthread_mutex_unlock(&loop->lock);
}

/* ---- watches ------------------------------------------------------------------------------------
 */

static struct watch *find_watch(struct loop *loop, int fd)
{
    for (uint32_t i = 0; i < loop->watch_count; i++)
        if (loop->watches[i].owner && loop->watches[i].fd == fd)
            return &loop->watches[i];
    return NULL;
}

static struct watch *free_watch(struct loop *loop)
{
    for (uint32_t i = 0; i < loop->watch_count; i++)
        if (!loop->watches[i].owner)
            return &loop->watches[i];
    uint32_t count = loop->watch_count ? 2 * loop->watch_count : 8;
    struct watch *watches = realloc(loop->watches, count * sizeof(*watches));
    if (!watches)
        return NULL;
    memset(watches + loop->watch_count, 0, (count - loop->watch_count) * sizeof(*watches));
    loop->watches = watches;
    struct watch *first = &watches[loop->watch_count];
    loop->watch_count = count;
    return first;
}

static int set_watch(struct loop *loop, const struct watch *wanted)
{
    struct watch *w = find_watch(loop, wanted->fd);

    if (w && w->owner != wanted->owner)
        return -EBUSY;
    if (!wanted->events) {
        if (w) {
            poller_forget(loop->poller, w->fd);
            w->owner = NULL;
        }
        return 0;
    }
    if (!w && !(w = free_watch(loop)))
        return -ENOMEM;
    uint32_t serial = ++loop->next_serial;
    int err =
        poller_watch(loop->poller, wanted->fd, wanted->events,
                     (uint64_t)serial << 32 | (uint32_t)(w - loop->watches), w->owner != NULL);
    if (err) {
        w->owner = NULL;
        return err;
    }
    *w = *wanted;
    w->serial = serial;
    return 0;
}

int loop_watch(struct loop *loop, const void *owner, struct domain *domain, int fd, uint32_t events,
               void (*ready)(void *self, int fd, uint32_t events), void *self)
{
    struct watch wanted = {
        .owner = owner, .domain = domain, .ready = ready, .self = self, .fd = fd, .events = events};

    if (fd < 0)
        return -EBADF;
    pthread_mutex_lock(&loop->lock);
    int err = set_watch(loop, &wanted);
    pthread_mutex_unlock(&loop->lock);
    return err;
}

void loop_forget(struct loop *loop, const void *owner)
{
    pthread_mutex_lock(&loop->lock);
    for (uint32_t i = 0; i < loop->watch_count; i++) {
        struct watch *w = &loop->watches[i];
        if (w->owner == owner) {
            poller_forget(loop->poller, w->fd);
            w->owner = NULL;
        }
    }
    pthread_mutex_unlock(&loop->lock);
}

/* Copies the watch that `key` stands for; false if it has gone or changed. */
static bool look_up(struct loop *loop, uint64_t key, struct watch *out)
{
    uint32_t index = (uint32_t)key;

    pthread_mutex_lock(&loop->lock);
    bool found = index < loop->watch_count && loop->watches[index].owner &&
                 loop->watches[index].serial == key >> 32;
    if (found)
        *out = loop->watches[index];
    pthread_mutex_unlock(&loop->lock);
    return found;
}

static void call_watch(struct loop *loop, const struct poller_event *event)
{
    struct watch w;

    if (!look_up(loop, event->key, &w))
        return;
    struct domain *domain = w.domain;
    domain_enter(domain);
    if (look_up(loop, event->key, &w))
        w.ready(w.self, w.fd, event->events);
    domain_leave(domain);
}

/* ---- the thread ---------------------------------------------------------------------------------
 */

static void *run(void *argument)
{
    struct loop *loop = argument;
    struct poller_event events[EVENTS_AT_ONCE];

    for (;;) {
        int count = poller_wait(loop->poller, events, EVENTS_AT_ONCE);
        if (count < 0)
            return NULL;
        if (loop->before)
            loop->before(loop->before_context);
        for (int i = 0; i < count; i++) {
            if (events[i].key == POLLER_WAKE)
                return NULL;
            if (events[i].key == POLLER_TIMER)
                fire_timers(loop);
            else
                call_watch(loop, &events[i]);
        }
    }
}

void loop_before_turns(struct loop *loop, void (*call)(void *context), void *context)
{
    loop->before = call;
    loop->before_context = context;
}

int loop_start(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->programmed_ns = UINT64_MAX; /* guest time may have stood still: all host times moved */
    program_timer(loop);
    pthread_mutex_unlock(&loop->lock);
    if (loop->running)
        return 0;
    int err = thread_start(&loop->thread, "bp-loop", run, loop);
    loop->running = !err;
    return err;
}

void loop_stop(struct loop *loop)
{
    if (!loop->running)
        return;
    poller_wake(loop->poller);
    pthread_join(loop->thread, NULL);
    loop->running = false;
}
