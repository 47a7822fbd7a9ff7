/* SPDX-License-Identifier: MIT
 *
 * fakes/plugins/link_parts.h - what the parts of the plugin link-parts share: a guard that notices
 * two threads inside one lock domain. No part includes another's code; they meet through the host.
 */
#ifndef LINK_PARTS_H
#define LINK_PARTS_H

#include <backplane/plugin.h>
#include <sched.h>

/* One of a lock domain. All members atomic. */
struct guard {
    uintptr_t owner;     /* the thread inside, 0: none */
    uint32_t depth;      /* of its calls from one part into the other */
    uint32_t violations; /* times that another thread came in */
};

/* "test.guard/1": an extension that the host does not know, so it is handed through as it is. From
 * join() on the part uses the caller's guard. [main] */
#define GUARD_ID "test.guard/1"
struct guard_table {
    uint32_t size;
    uint32_t reserved;
    void (*join)(void *self, struct guard *guard);
};

/* "test.counter/1", of the shared model `counter`. [any] */
#define COUNTER_ID "test.counter/1"
struct counter_table {
    uint32_t size;
    uint32_t reserved;
    uint64_t (*add)(void *self, uint64_t n); /* returns the sum */
};

/* First and last in every callback of a domain. */
void guard_enter(struct guard *g);
void guard_leave(struct guard *g);

extern const struct bp_model link_loop, link_ramdisk, link_counter, link_nic;

#endif
