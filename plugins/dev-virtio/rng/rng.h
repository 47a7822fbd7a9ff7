/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/rng/rng.h - the entropy device's configuration.
 */
#ifndef RNG_H
#define RNG_H

#include "virtio.h"

struct rng_config {
    struct virtio_config virtio;
    uint64_t rate;   /* bytes a period; 0: as many as the guest takes */
    uint32_t period; /* ms */
    uint32_t reserved;
};

extern const struct bp_instance_ops rng_ops;

#endif
