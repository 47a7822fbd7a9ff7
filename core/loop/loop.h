/* SPDX-License-Identifier: MIT
 *
 * loop/loop.h - an event loop on a thread of its own: watched fds and timers in guest time, each
 * called inside the lock domain of its owner.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "loop/clock.h"
#include "loop/domain.h"

#include <backplane/host.h>
#include <stdbool.h>

struct loop;

/* A timer; the owner's memory, at rest in its domain. Initialise, then loop_timer_set(). */
struct timer {
    struct domain *domain;
    void (*fire)(void *self, uint32_t id); /* [dom] */
    void *self;
    uint64_t when_ns; /* guest time; UINT64_MAX: not armed */
    uint32_t id;
    uint32_t heap_index_plus_1; /* the loop's; 0: not armed */
};

/* A loop without a thread yet. `clock` must outlive it. -errno. [main] */
int loop_new(const struct clock *clock, struct loop **out);
/* Stops it first. Whatever is still watched or armed is forgotten. [main] */
void loop_free(struct loop *loop);

/* Starts or ends the thread: callbacks happen between the two. loop_stop() returns when none runs
 * any more; both may be called again. A loop that ran on while guest time stood is started again
 * when that goes on, for the sake of its timers. -errno. [main] */
int loop_start(struct loop *loop);
void loop_stop(struct loop *loop);

/* Has `call` called on the loop's thread, in no domain, whenever it wakes and before all that it
 * wakes for. One for each loop. Before loop_start(). [main] */
void loop_before_turns(struct loop *loop, void (*call)(void *context), void *context);

/* As bp_host.fd_watch, for `owner`. -EPERM for what cannot be watched (regular files), -EBADF,
 * -ENOMEM, -EBUSY if another owner watches the same fd. [main] [dom] */
int loop_watch(struct loop *loop, const void *owner, struct domain *domain, int fd, uint32_t events,
               void (*ready)(void *self, int fd, uint32_t events), void *self);
/* Forgets every watch of `owner`. [main] */
void loop_forget(struct loop *loop, const void *owner);

/* Arms, moves or (UINT64_MAX) disarms. For a time in the past the timer fires soon, but fds and
 * other timers that are due have their turn before. -ENOMEM. [main] [dom] */
int loop_timer_set(struct loop *loop, struct timer *timer, uint64_t when_ns);

#endif
