/* SPDX-License-Identifier: MIT
 *
 * validate/world.c - the world of a plugin under validation, from the checks' side: verdicts, what
 * is random, who is inside an instance's domain, and time. What the plugin calls is in host.c.
 *
 * Guest memory ends at a page that cannot be touched, so that a device that writes behind what
 * dma_map() gave it dies there.
 */
#include "validate/world.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STORM_MAX 200000u /* expired timers without time going on */

/* ---- verdicts -------------------------------------------------------------------------------- */

void verdict(struct world *w, uint32_t what, const char *format, ...)
{
    uint32_t none = VERDICT_NONE;
    va_list args;

    va_start(args, format);
    /* The first one holds: another thread may find the consequences of what this one did. */
    if (__atomic_compare_exchange_n(&w->shared->verdict, &none, what, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED)) {
        vsnprintf(w->shared->text, sizeof(w->shared->text), format, args);
        _exit(0);
    }
    va_end(args);
    for (;;)
        pause();
}

void doing(struct world *w, const char *format, ...)
{
    va_list args;

    __atomic_fetch_add(&w->shared->progress, 1, __ATOMIC_RELAXED);
    if (w->threads)
        return; /* whose call it was could not be told */
    va_start(args, format);
    vsnprintf(w->shared->doing, sizeof(w->shared->doing), format, args);
    va_end(args);
}

/* ---- random ---------------------------------------------------------------------------------- */

void tape_random(struct tape *t, uint64_t seed)
{
    *t = (struct tape){.state = seed};
}

void tape_input(struct tape *t, const uint8_t *data, uint64_t len)
{
    *t = (struct tape){.data = data, .len = len};
}

/* Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (2014): SplitMix64. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint8_t tape_byte(struct tape *t)
{
    if (!t->data)
        return (uint8_t)(next_random(&t->state) >> 32);
    if (t->at < t->len)
        return t->data[t->at++];
    t->ended = true;
    return 0;
}

uint64_t tape_bits(struct tape *t, uint32_t bytes)
{
    uint64_t value = 0;

    if (!t->data)
        return bytes < 8 ? next_random(&t->state) & ((UINT64_C(1) << 8 * bytes) - 1)
                         : next_random(&t->state);
    for (uint32_t i = 0; i < bytes; i++)
        value |= (uint64_t)tape_byte(t) << 8 * i;
    return value;
}

uint64_t tape_below(struct tape *t, uint64_t bound)
{
    if (bound < 2)
        return 0;
    return tape_bits(t, bound <= 0x100 ? 1 : bound <= 0x10000 ? 2 : 8) % bound;
}

/* ---- domains --------------------------------------------------------------------------------- */

bool node_is_inside(const struct bp_node *n)
{
    return __atomic_load_n(&n->owner, __ATOMIC_RELAXED) == (uint64_t)pthread_self();
}

void node_enter(struct bp_node *n)
{
    n = n->domain;
    if (node_is_inside(n))
        world_fail(n->world, "the domain is entered twice: a callback was made from inside another "
                             "one of the same instance");
    if (!n->running)
        world_fail(n->world, "a callback reaches an instance that is stopped");
    pthread_mutex_lock(&n->lock);
    __atomic_store_n(&n->owner, (uint64_t)pthread_self(), __ATOMIC_RELAXED);
}

void node_leave(struct bp_node *n)
{
    n = n->domain;
    pthread_mutex_lock(&n->tables);
    for (uint32_t i = 0; i < WORLD_MAPS; i++)
        if (n->maps[i].at && n->maps[i].in_domain &&
            pthread_equal(n->maps[i].thread, pthread_self()))
            world_fail(n->world, "a mapping of dma_map() outlives the callback that made it: "
                                 "dma_unmap() ends it before the callback returns");
    pthread_mutex_unlock(&n->tables);
    __atomic_store_n(&n->owner, 0, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&n->lock);
}

void must_be_main(struct bp_node *n, const char *what)
{
    struct world *w = n->world;

    if (!pthread_equal(pthread_self(), w->main_thread))
        world_fail(w, "%s was called on a thread of the plugin's own; it is [main]", what);
    if (n->domain->running)
        world_fail(w, "%s was called while the guest runs; it is [main]", what);
}

void must_be_inside(struct bp_node *n, const char *what)
{
    struct world *w = n->world;

    if (node_is_inside(n->domain))
        return;
    if (!pthread_equal(pthread_self(), w->main_thread))
        world_fail(w,
                   "%s was called on a thread of the plugin's own, outside its domain; a thread "
                   "asks for a callback instead, by an fd that fd_watch() watches",
                   what);
    if (n->domain->running)
        world_fail(w, "%s was called outside the instance's domain", what);
}

/* ---- time and events ------------------------------------------------------------------------- */

bool world_armed(const struct bp_node *n)
{
    for (uint32_t i = 0; i < WORLD_TIMERS; i++)
        if (n->timers[i] != UINT64_MAX)
            return true;
    return false;
}

void world_advance(struct bp_node *n, uint64_t ns)
{
    struct world *w = n->world;
    uint64_t end, storm = 0;
    uint32_t fired = 0;

    /* Some 292 years after power-on nobody is there any more. */
    if (__builtin_add_overflow(w->now_ns, ns, &end) || end > INT64_MAX)
        end = w->now_ns;
    for (;;) {
        uint64_t when = UINT64_MAX;
        uint32_t next = 0;

        node_enter(n);
        for (uint32_t i = 0; i < WORLD_TIMERS; i++) {
            if (n->timers[i] < when) {
                when = n->timers[i];
                next = i;
            }
        }
        if (when == UINT64_MAX || when > end) {
            node_leave(n);
            break;
        }
        storm = when > w->now_ns ? 0 : storm + 1;
        if (storm > STORM_MAX)
            world_fail(w,
                       "timer %u is armed again and again for a time that is past: guest time "
                       "could never go on",
                       next);
        if (when > w->now_ns)
            __atomic_store_n(&w->now_ns, when, __ATOMIC_RELAXED);
        n->timers[next] = UINT64_MAX;
        doing(w, "timer(%u)", next);
        n->ops.timer(n->self, next);
        node_leave(n);
        /* A timer of a nanosecond would take for ever to get through a year. */
        if (!storm && ++fired == 4096)
            break;
    }
    if (end > w->now_ns)
        __atomic_store_n(&w->now_ns, end, __ATOMIC_RELAXED);
}

uint32_t world_poll(struct bp_node *n, int timeout_ms)
{
    struct pollfd fds[WORLD_WATCHES];
    struct watch watches[WORLD_WATCHES];
    uint32_t count = 0, calls = 0;

    pthread_mutex_lock(&n->tables);
    for (uint32_t i = 0; i < WORLD_WATCHES; i++) {
        const struct watch *w = &n->watches[i];

        if (!w->events)
            continue;
        watches[count] = *w;
        fds[count].fd = w->fd;
        fds[count++].events = (short)((w->events & BP_FD_READ ? POLLIN : 0) |
                                      (w->events & BP_FD_WRITE ? POLLOUT : 0));
    }
    pthread_mutex_unlock(&n->tables);
    if (!count || poll(fds, count, timeout_ms) <= 0)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t ready = (fds[i].revents & POLLIN ? BP_FD_READ : 0) |
                         (fds[i].revents & POLLOUT ? BP_FD_WRITE : 0) |
                         (fds[i].revents & (POLLHUP | POLLERR) ? BP_FD_HANGUP : 0);
        bool still = false;

        if (fds[i].revents & POLLNVAL)
            world_fail(n->world, "fd %d was closed before its watch was removed", fds[i].fd);
        if (!ready)
            continue;
        node_enter(n);
        for (uint32_t j = 0; j < WORLD_WATCHES; j++)
            still |= n->watches[j].events && n->watches[j].generation == watches[i].generation;
        if (still) {
            doing(n->world, "the callback of fd_watch() for fd %d", fds[i].fd);
            watches[i].ready(watches[i].self, fds[i].fd, ready);
            calls++;
        }
        node_leave(n);
    }
    return calls;
}

struct world *world_new(struct shared *shared, const struct model *model, const char *folder,
                        uint64_t seed)
{
    struct world *w = calloc(1, sizeof(*w));
    uint8_t *at;

    if (!w)
        return NULL;
    w->shared = shared;
    w->model = model;
    w->folder = folder;
    w->seed = seed;
    w->main_thread = pthread_self();
    at = mmap(NULL, WORLD_RAM_BYTES + 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || mprotect(at + 4096, WORLD_RAM_BYTES, PROT_READ | PROT_WRITE)) {
        free(w);
        return NULL;
    }
    w->ram = at + 4096;
    return w;
}
