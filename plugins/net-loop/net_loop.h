/* SPDX-License-Identifier: MIT
 *
 * net-loop/net_loop.h - the config structs that the host fills, one per model, and the models'
 * tables.
 */
#ifndef NET_LOOP_NET_LOOP_H
#define NET_LOOP_NET_LOOP_H

#include <backplane/plugin.h>

#define LOOP_QUEUES_MAX 16u /* queue pairs; each has a timer of its own */

struct echo_config {
    uint32_t depth;   /* frames that wait at most, in each queue */
    uint16_t queues;  /* 1..LOOP_QUEUES_MAX */
    uint8_t swap;     /* source and destination addresses change places */
    uint8_t offloads; /* frames with unfinished checksums and of large segments come back as such */
};

struct null_config {
    uint16_t queues; /* 1..LOOP_QUEUES_MAX */
};

extern const struct bp_instance_ops echo_ops, null_ops;

#endif
