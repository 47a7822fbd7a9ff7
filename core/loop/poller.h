/* SPDX-License-Identifier: MIT
 *
 * loop/poller.h - what an event loop asks of the operating system: which fds are ready, one timer,
 * and to be woken. poller_epoll.c is Linux's, poller_kqueue.c that of macOS and the BSDs.
 *
 * Who waits is one thread; everything else may be called by any, at the same time. The user keeps
 * the list of what is watched; here an fd has a key, and the key comes back with the event.
 */
#ifndef LOOP_POLLER_H
#define LOOP_POLLER_H

#include <stdbool.h>
#include <stdint.h>

/* Keys that no fd has. */
#define POLLER_TIMER UINT64_MAX      /* the timer expired; it is disarmed */
#define POLLER_WAKE (UINT64_MAX - 1) /* poller_wake() was called */

struct poller;

struct poller_event {
    uint64_t key;
    uint32_t events; /* BP_FD_*, of an fd */
    uint32_t reserved;
};

/* -errno. */
int poller_new(struct poller **out);
/* Nobody waits. NULL is allowed. */
void poller_free(struct poller *p);

/* Watches `fd` for BP_FD_READ and BP_FD_WRITE, level-triggered; BP_FD_HANGUP is told in any case.
 * `known`: it is watched already, and what is asked for and the key change. 0; -EPERM for what
 * cannot be watched (regular files), -EBADF, -ENOMEM, -ENOSPC. */
int poller_watch(struct poller *p, int fd, uint32_t events, uint64_t key, bool known);
/* Ends it. Events of it that were taken already may still come out of a poller_wait() under way. */
void poller_forget(struct poller *p, int fd);

/* Sets the one timer to `host_ns` of clock_host_ns(), in the place of what it was set to. */
void poller_timer(struct poller *p, uint64_t host_ns);
/* Has poller_wait() return POLLER_WAKE, once. */
void poller_wake(struct poller *p);

/* Waits for events; at most `max` of them. Their number, 0 if it was interrupted; -errno for what
 * cannot be gone on with. */
int poller_wait(struct poller *p, struct poller_event *events, int max);

#endif
