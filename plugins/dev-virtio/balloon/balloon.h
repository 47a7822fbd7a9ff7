/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/balloon/balloon.h - the memory balloon's configuration.
 */
#ifndef BALLOON_H
#define BALLOON_H

#include "virtio.h"

struct balloon_config {
    struct virtio_config virtio;
    uint64_t target;       /* bytes that the guest is asked to give back */
    uint32_t stats_period; /* s; 0: never asked */
    uint8_t deflate_on_oom, reporting;
    uint8_t reserved[2];
};

extern const struct bp_instance_ops balloon_ops;

#endif
