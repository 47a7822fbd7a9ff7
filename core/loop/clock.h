/* SPDX-License-Identifier: MIT
 *
 * loop/clock.h - guest time: nanoseconds since power on, standing still while the machine is
 * paused.
 */
#ifndef LOOP_CLOCK_H
#define LOOP_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_RUNNING UINT64_MAX

struct clock {
    uint64_t offset_ns;     /* host monotonic time minus guest time, while it runs */
    uint64_t stopped_at_ns; /* guest time while it stands; CLOCK_RUNNING while it runs */
};

/* The host's CLOCK_MONOTONIC in ns. [any] */
uint64_t clock_host_ns(void);
/* A clock that stands at 0. */
void clock_init(struct clock *c);
/* Guest time. [any] */
uint64_t clock_now_ns(const struct clock *c);
bool clock_runs(const struct clock *c);
/* The host time of guest time `when_ns`, while the clock runs; UINT64_MAX stays what it is. [any]
 */
uint64_t clock_to_host_ns(const struct clock *c, uint64_t when_ns);
/* Let it stand, or go on from where it stood; 0 or more times. [main] */
void clock_stop(struct clock *c);
void clock_start(struct clock *c);

#endif
