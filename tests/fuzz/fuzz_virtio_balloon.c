/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the virtio balloon (virtio_fuzz.h): lists of pages, reports, statistics, and a target that
 * changes.
 */
#include "virtio_fuzz.h"

#include "balloon/balloon.h"

#include <backplane/ext/balloon.h>
#include <backplane/util/le.h>

static struct balloon_config configs[FUZZ_SETS];

static void *config(uint32_t options, uint32_t set)
{
    configs[set] = (struct balloon_config){.target = (options & 0xf0) << 12,
                                           .stats_period = options & 1 ? 0 : 1,
                                           .reporting = !(options & 2),
                                           .deflate_on_oom = !(options & 4)};
    return &configs[set];
}

static uint32_t queues(uint32_t options)
{
    return 4 - (options & 1) - (options >> 1 & 1);
}

static void event(struct rig *r, struct fuzz_input *in, uint32_t set)
{
    const struct bp_balloon *b = fake_ops(r->host)->extension(fake_self(r->host), BP_BALLOON_ID);
    struct bp_balloon_stats stats = {.size = sizeof(stats)};
    uint64_t target = fuzz_take(in, 8);

    (void)set;
    b->set_target(fake_self(r->host), target);
    assert_int_equal(b->target(fake_self(r->host)), target / 4096 * 4096);
    fake_poll(r->host, 0);
    b->stats(fake_self(r->host), &stats);
    b->actual(fake_self(r->host));
}

/* Gives a page back, which is zeroes then. */
static void probe(struct rig *r, uint32_t set)
{
    const struct rig_buffer b = {RIG_DATA, 4, 0};

    (void)set;
    bp_put_le32(rig_ram(r, RIG_DATA), 0xa0);
    *rig_ram(r, 0xa0000) = *rig_ram(r, 0xa0fff) = *rig_ram(r, 0xa1000) = 0x5a;
    fuzz_do(r, 0, &b, 1);
    assert_int_equal(*rig_ram(r, 0xa0000), 0);
    assert_int_equal(*rig_ram(r, 0xa0fff), 0);
    assert_int_equal(*rig_ram(r, 0xa1000), 0x5a);
}

const struct fuzz_device fuzz_device = {
    .model = "balloon", .config = config, .queues = queues, .event = event, .probe = probe};
