/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/rings_fixture.h - what the tests of rings share: the entropy device, whose buffers
 * show whether they were used.
 */
#ifndef RINGS_FIXTURE_H
#define RINGS_FIXTURE_H

#include "rig.h"

#include "rng/rng.h"

#include <backplane/util/le.h>

static struct rng_config config;

static inline int setup(void **state)
{
    const struct rig_kind *kind = *state;

    config = (struct rng_config){.period = 1000};
    *state = rig_new("rng", &config, kind);
    return 0;
}

static inline int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static const struct rig_buffer one = {RIG_DATA, 64, 1};

/* Are the bytes random: not all zero? 64 zeroes come once in 2^512 times. */
static inline int is_filled(struct rig *r, uint64_t gpa, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        if (*rig_ram(r, gpa + i))
            return 1;
    return 0;
}

static inline void works(struct rig *r)
{
    memset(rig_ram(r, RIG_DATA), 0, 64);
    assert_int_equal(rig_do(r, 0, &one, 1), 64);
    assert_true(is_filled(r, RIG_DATA, 64));
}

/* After whatever happened: a reset, and all is well. */
static inline void works_after_reset(struct rig *r)
{
    rig_start(r, 0, 1);
    works(r);
}

#endif
