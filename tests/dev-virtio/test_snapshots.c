/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_snapshots.c - state that a file brings which somebody changed: it is refused with
 * a sentence, or does no harm, and the device is sound afterwards.
 */
#include "fake_net.h"
#include "rig.h"

#include "balloon/balloon.h"
#include "net/net.h"
#include "rng/rng.h"

#include <errno.h>

static const struct rig_buffer one = {RIG_DATA, 64, 1};

static void put(struct rig *r, const char *name, uint32_t index, uint64_t value)
{
    const struct bp_field *f = fake_ops(r->host)->fields;

    while (f->name && strcmp(f->name, name) != 0)
        f++;
    assert_non_null(f->name);
    assert_true(index < f->count);
    memcpy((uint8_t *)fake_self(r->host) + f->offset + (size_t)index * f->stride, &value, f->width);
}

/* What after_load() says of the state as it is now. The device runs again on return. */
static int load_as_it_is(struct rig *r)
{
    const struct bp_instance_ops *ops = fake_ops(r->host);
    int err;

    ops->stop(fake_self(r->host));
    err = ops->after_load(fake_self(r->host));
    assert_int_equal(ops->start(fake_self(r->host)), 0);
    return err;
}

/* The same; and what stands there after it was refused is a state that can be loaded. */
static int load(struct rig *r)
{
    int err = load_as_it_is(r);

    if (err)
        assert_int_equal(load_as_it_is(r), 0);
    return err;
}

static void bad_queues_are_refused(void **state)
{
    static const struct {
        const char *field;
        uint32_t index;
        uint64_t value;
        int of_split, of_packed;
    } cases[] = {
        {"queues.desc", 0, RIG_DESC(0) + 1, 1, 1}, /* words of rings are read by one access each */
        {"queues.desc", 0, RIG_DESC(0) + 8, 1, 1},
        {"queues.driver", 0, RIG_DRIVER(0) + 1, 1, 1},
        {"queues.driver", 0, RIG_DRIVER(0) + 2, 0, 1},
        {"queues.device", 0, RIG_DEVICE(0) + 1, 1, 1},
        {"queues.device", 0, RIG_DEVICE(0) + 2, 1, 1},
        {"queues.size", 0, 0, 1, 1},
        {"queues.size", 0, RIG_QUEUE_SIZE + 1, 1, 1},
        {"queues.size", 0, 3, 1, 0},
        {"queues.enabled", 0, 2, 1, 1},
        {"queues.enabled", 1, 1, 1, 1}, /* there is one queue */
        {"queues.next_avail", 0, RIG_QUEUE_SIZE, 0, 1},
        {"queues.next_avail", 0, 0x8000, 1, 1},
        {"queues.next_used", 0, RIG_QUEUE_SIZE, 1, 1},
        {"queues.in_flight", 0, RIG_QUEUE_SIZE + 1, 1, 1},
        {"queues.avail_wrap", 0, 2, 1, 1},
        {"queues.used_wrap", 0, 255, 1, 1},
        {"accepted", 0, BIT(VIRTIO_F_VERSION_1) | BIT(33), 1, 1},
    };
    struct rng_config config = {.period = 1000};
    struct rig *r = rig_new("rng", &config, *state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (!(r->kind.packed ? cases[i].of_packed : cases[i].of_split))
            continue;
        rig_start(r, 0, 1);
        put(r, cases[i].field, cases[i].index, cases[i].value);
        assert_int_equal(load(r), -EINVAL);
        assert_string_equal(fake_failure(),
                            "the snapshot's virtio device has features or queues that it cannot "
                            "have; the file is damaged");
        assert_int_equal(rig_status(r), 0);
        rig_start(r, 0, 1);
        assert_int_equal(rig_do(r, 0, &one, 1), 64);
    }
    rig_free(r);
}

/* More addresses than there is room for would be looked for beyond it. */
static void bad_lists_of_addresses_are_refused(void **state)
{
    static const struct {
        const char *field;
        uint64_t value;
    } cases[] = {{"pairs", 0},
                 {"pairs", 2},
                 {"pairs", UINT32_MAX},
                 {"unicast_count", NET_MACS_MAX + 1},
                 {"unicast_count", UINT32_MAX},
                 {"multicast_count", NET_MACS_MAX + 1}};
    static const uint64_t features = BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX);
    static const uint8_t other[60] = {2, 0, 0, 0, 0, 9};
    struct net_config config = {.queues = 1, .mac = {0x52, 0x54, 0, 1, 2, 3}};
    const struct rig_buffer b = {RIG_DATA, 1526, 1};
    struct fake_net *wire = fake_net_new();
    struct rig *r;

    config.net = fake_peer(BP_NET_ID, &fake_net_ops, wire);
    r = rig_new("net", &config, *state);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rig_start(r, features, 3);
        rig_add(r, 0, &b, 1);
        put(r, cases[i].field, 0, cases[i].value);
        assert_int_equal(load(r), -EINVAL);
        assert_string_equal(fake_failure(),
                            "the snapshot's network device has more queues or addresses than it "
                            "can have; the file is damaged");
        fake_advance_ns(r->host, 0);
        assert_int_equal(fake_net_give(wire, 0, other, sizeof(other), NULL), -ENETDOWN);
        rig_start(r, features, 3);
        rig_add(r, 0, &b, 1);
        assert_int_equal(fake_net_give(wire, 0, other, sizeof(other), NULL), -EADDRNOTAVAIL);
        assert_int_equal(fake_net_give(wire, 0, config.mac, 14, NULL), 0);
        assert_true(rig_used(r, 0, NULL, NULL));
    }
    rig_free(r);
    fake_net_free(wire);
}

static void bad_buffers_for_statistics_are_refused(void **state)
{
    static const struct {
        const char *field;
        uint64_t value;
    } cases[] = {{"has_stats_buffer", 2}, {"stats_slots", 0}, {"stats_slots", UINT16_MAX}};
    const uint64_t features = BIT(1); /* VIRTIO_BALLOON_F_STATS_VQ */
    struct balloon_config config = {.stats_period = 1};
    const struct rig_buffer b = {RIG_DATA, 10, 0};
    struct rig *r = rig_new("balloon", &config, *state);

    for (size_t i = 0; i <= sizeof(cases) / sizeof(cases[0]); i++) {
        int is_there = i < sizeof(cases) / sizeof(cases[0]);

        rig_start(r, features, 3);
        if (is_there) {
            rig_add(r, 2, &b, 1);
            rig_notify(r, 2);
        }
        put(r, is_there ? cases[i].field : "has_stats_buffer", 0, is_there ? cases[i].value : 1);
        assert_int_equal(load(r), -EINVAL);
        assert_string_equal(fake_failure(), "the snapshot's balloon has a buffer of a queue that "
                                            "it has not; the file is damaged");
        fake_advance_ns(r->host, UINT64_C(2000000000));
        rig_start(r, features, 3);
        rig_add(r, 2, &b, 1);
        rig_notify(r, 2);
        assert_int_equal(load(r), 0);
        fake_advance_ns(r->host, UINT64_C(2000000000));
        assert_true(rig_used(r, 2, NULL, NULL));
    }
    rig_free(r);
}

/* A period that would not end for centuries: no guest waits that long for a reset to help. */
static void bad_period_is_one_of_the_configured_length(void **state)
{
    struct rng_config config = {.period = 1000, .rate = 150};
    struct rig *r = rig_new("rng", &config, *state);

    rig_start(r, 0, 1);
    assert_int_equal(rig_do(r, 0, &one, 1), 64);
    put(r, "period_end_ns", 0, UINT64_MAX);
    put(r, "given", 0, UINT64_MAX);
    assert_int_equal(load(r), 0);
    rig_add(r, 0, &one, 1);
    rig_notify(r, 0);
    fake_advance_ns(r->host, UINT64_C(1000000000));
    assert_true(rig_used(r, 0, NULL, NULL));
    rig_free(r);
}

static const struct CMUnitTest tests[] = {
    RIG_EACH(bad_queues_are_refused, NULL, NULL),
    RIG_EACH(bad_lists_of_addresses_are_refused, NULL, NULL),
    RIG_EACH(bad_buffers_for_statistics_are_refused, NULL, NULL),
    RIG_EACH(bad_period_is_one_of_the_configured_length, NULL, NULL),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
