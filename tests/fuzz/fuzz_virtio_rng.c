/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the virtio source of random bytes (virtio_fuzz.h), with and without a limit.
 */
#include "virtio_fuzz.h"

#include "rng/rng.h"

static struct rng_config configs[FUZZ_SETS];

static void *config(uint32_t options, uint32_t set)
{
    configs[set] = (struct rng_config){.rate = UINT64_C(100) * (options & 0x7f),
                                       .period = options & 0x80 ? 3600000 : 10};
    return &configs[set];
}

static uint32_t queues(uint32_t options)
{
    (void)options;
    return 1;
}

static void event(struct rig *r, struct fuzz_input *in, uint32_t set)
{
    (void)set;
    fake_advance_ns(r->host, fuzz_take(in, 1) * 1000000);
}

/* In a new period 64 bytes are due, of 100 at the least: that all are zeroes happens once in 2^512
 * times. */
static void probe(struct rig *r, uint32_t set)
{
    static const uint8_t zeroes[64];
    const struct rig_buffer b = {RIG_DATA, 64, 1};
    uint32_t len = 0;

    (void)set;
    memset(rig_ram(r, RIG_DATA), 0, 64);
    fake_advance_ns(r->host, UINT64_C(3600000) * 1000000);
    rig_add(r, 0, &b, 1);
    rig_notify(r, 0);
    fake_poll(r->host, 0);
    assert_true(rig_used(r, 0, NULL, &len));
    assert_int_equal(len, 64);
    assert_memory_not_equal(rig_ram(r, RIG_DATA), zeroes, 64);
}

const struct fuzz_device fuzz_device = {
    .model = "rng", .config = config, .queues = queues, .event = event, .probe = probe};
