/* SPDX-License-Identifier: MIT
 *
 * loop/loop_epoll.c - the event loop on Linux: epoll for fds, one timerfd for the earliest timer,
 * an eventfd to end it.
 *
 * A watch can be removed by any thread that is inside its domain while the loop is about to call
 * it. So the loop looks an event's watch up, enters the domain, and looks again: what is gone by
 * then is not called. The same holds for timers.
 */
#include "loop/loop.h"

#include "loop/thread.h"
#include "loop/timers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 32
#define KEY_TIMER UINT64_MAX
#define KEY_STOP (UINT64_MAX - 1)

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
    int epoll_fd, timer_fd, stop_fd;
    bool running;
    pthread_t thread;
    pthread_mutex_t lock; /* a leaf lock, for all below */
    struct watch *watches;
    uint32_t watch_count;
    uint32_t next_serial;
    struct timer_heap timers;
    uint64_t programmed_ns; /* host time the timerfd is set to; UINT64_MAX: disarmed */
    uint64_t round_ns;      /* guest time of the last round of timers */
};

static int add_own(struct loop *loop, int fd, uint64_t key)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = key};
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int loop_new(const struct clock *clock, struct loop **out)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return -ENOMEM;
    loop->clock = clock;
    loop->programmed_ns = UINT64_MAX;
    pthread_mutex_init(&loop->lock, NULL);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    loop->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = loop->epoll_fd < 0 || loop->timer_fd < 0 || loop->stop_fd < 0 ? -errno : 0;
    if (!err)
        err = add_own(loop, loop->timer_fd, KEY_TIMER);
    if (!err)
        err = add_own(loop, loop->stop_fd, KEY_STOP);
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
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    if (loop->timer_fd >= 0)
        close(loop->timer_fd);
    if (loop->stop_fd >= 0)
        close(loop->stop_fd);
    timer_heap_free(&loop->timers);
    free(loop->watches);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

/* ---- timers -------------------------------------------------------------------------------------
 */

/* Makes the timerfd fire for the earliest timer. Firing too early is harmless, so it is set again
 * only when it would fire too late. Holds loop->lock. */
static void program_timer(struct loop *loop)
{
    const struct timer *first = timer_heap_first(&loop->timers);

    if (!first || !clock_runs(loop->clock))
        return;
    uint64_t host_ns = clock_to_host_ns(loop->clock, first->when_ns);
    if (host_ns >= loop->programmed_ns)
        return;
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(host_ns / 1000000000u),
                                         .tv_nsec = (long)(host_ns % 1000000000u)}};
    if (!host_ns)
        at.it_value.tv_nsec = 1; /* 0 would disarm */
    timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
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
    uint64_t ticks, now = clock_now_ns(loop->clock);

    /* The count does not matter, only that the fd is no longer readable. */
    if (read(loop->timer_fd, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
        return;
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

static uint32_t to_epoll(uint32_t events)
{
    return (events & BP_FD_READ ? (uint32_t)EPOLLIN : 0) |
           (events & BP_FD_WRITE ? (uint32_t)EPOLLOUT : 0);
}

static uint32_t from_epoll(uint32_t events)
{
    return (events & EPOLLIN ? BP_FD_READ : 0) | (events & EPOLLOUT ? BP_FD_WRITE : 0) |
           (events & (EPOLLHUP | EPOLLERR) ? BP_FD_HANGUP : 0);
}

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
            epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
            w->owner = NULL;
        }
        return 0;
    }
    if (!w && !(w = free_watch(loop)))
        return -ENOMEM;
    uint32_t serial = ++loop->next_serial;
    struct epoll_event event = {
        .events = to_epoll(wanted->events),
        .data.u64 = (uint64_t)serial << 32 | (uint32_t)(w - loop->watches),
    };
    int how = w->owner ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int failed = epoll_ctl(loop->epoll_fd, how, wanted->fd, &event);
    if (failed && errno == ENOENT) /* closed and opened again without telling */
        failed = epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, wanted->fd, &event);
    if (failed) {
        int err = -errno;
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
            epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
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

static void call_watch(struct loop *loop, const struct epoll_event *event)
{
    struct watch w;

    if (!look_up(loop, event->data.u64, &w))
        return;
    struct domain *domain = w.domain;
    domain_enter(domain);
    if (look_up(loop, event->data.u64, &w))
        w.ready(w.self, w.fd, from_epoll(event->events));
    domain_leave(domain);
}

/* ---- the thread ---------------------------------------------------------------------------------
 */

static void *run(void *argument)
{
    struct loop *loop = argument;
    struct epoll_event events[EVENTS_AT_ONCE];

    for (;;) {
        int count = epoll_wait(loop->epoll_fd, events, EVENTS_AT_ONCE, -1);
        if (count < 0 && errno != EINTR)
            return NULL;
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == KEY_STOP)
                return NULL;
            if (events[i].data.u64 == KEY_TIMER)
                fire_timers(loop);
            else
                call_watch(loop, &events[i]);
        }
    }
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
    uint64_t one = 1;

    if (!loop->running)
        return;
    while (write(loop->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_join(loop->thread, NULL);
    while (read(loop->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    loop->running = false;
}
