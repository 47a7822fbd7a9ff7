/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_rings.c - rings by every transport and of every kind, with the entropy device. A
 * guest's faults are in test_rings_bad.c.
 */
#include "rings_fixture.h"

static void a_buffer_is_filled_and_given_back(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    works(r);
    assert_true(rig_interrupted(r, 0));
    assert_false(rig_interrupted(r, 0));
    assert_int_equal(fake_log_count(r->host), 0);
}

static void a_ring_goes_round_many_times(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    for (uint32_t i = 0; i < 10 * RIG_QUEUE_SIZE; i++)
        works(r);
}

static void chains_are_filled_across_their_buffers(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer b[] = {
        {RIG_DATA, 5, 1}, {RIG_DATA + 0x1000, 7, 1}, {RIG_DATA + 0x2000, 100, 1}};

    rig_start(r, 0, 1);
    for (uint32_t i = 0; i < 3 * RIG_QUEUE_SIZE; i++) {
        memset(rig_ram(r, RIG_DATA + 0x2000), 0, 101);
        assert_int_equal(rig_do(r, 0, b, 3), 112);
        assert_true(is_filled(r, RIG_DATA + 0x2000, 100));
        assert_int_equal(*rig_ram(r, RIG_DATA + 0x2000 + 100), 0);
    }
}

static void indirect_tables_are_followed(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer b[] = {{RIG_DATA, 16, 1}, {RIG_DATA + 0x1000, 48, 1}};

    rig_start(r, BIT(VIRTIO_F_INDIRECT_DESC), 1);
    for (uint32_t i = 0; i < 3 * RIG_QUEUE_SIZE; i++) {
        uint16_t id = rig_add_indirect(r, 0, b, 2, 32, 0), got = 0;
        uint32_t len = 0;

        rig_notify(r, 0);
        assert_true(rig_used(r, 0, &got, &len));
        assert_int_equal(got, id);
        assert_int_equal(len, 64);
    }
}

static void no_interrupt_comes_where_the_driver_wants_none(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    /* avail.flags NO_INTERRUPT; driver event suppression DISABLE */
    *rig_ram(r, RIG_DRIVER(0) + (r->kind.packed ? 2 : 0)) = 1;
    works(r);
    assert_false(rig_interrupted(r, 0));
    *rig_ram(r, RIG_DRIVER(0) + (r->kind.packed ? 2 : 0)) = 0;
    works(r);
    assert_true(rig_interrupted(r, 0));
}

static void an_interrupt_comes_at_the_event_index(void **state)
{
    struct rig *r = *state;
    uint8_t *event = rig_ram(r, RIG_DRIVER(0));

    rig_start(r, BIT(VIRTIO_F_EVENT_IDX), 1);
    for (uint32_t lap = 0; lap < 3; lap++) {
        for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++) {
            /* wanted after the fifth of each lap */
            if (r->kind.packed) {
                bp_put_le16(event, (uint16_t)(4 | (lap % 2 ? 0u : 0x8000u)));
                bp_put_le16(event + 2, 2);
            } else {
                bp_put_le16(event + 4 + 2 * (size_t)RIG_QUEUE_SIZE,
                            (uint16_t)(lap * RIG_QUEUE_SIZE + 4));
            }
            works(r);
            assert_int_equal(rig_interrupted(r, 0), i == 4);
        }
    }
}

static void the_device_says_when_it_wants_a_kick(void **state)
{
    struct rig *r = *state;
    const uint8_t *device = rig_ram(r, RIG_DEVICE(0));

    rig_start(r, BIT(VIRTIO_F_EVENT_IDX), 1);
    for (uint32_t i = 1; i < 2 * RIG_QUEUE_SIZE; i++) {
        works(r);
        if (r->kind.packed) {
            assert_int_equal(bp_le16(device),
                             i % RIG_QUEUE_SIZE | (i < RIG_QUEUE_SIZE ? 0x8000u : 0u));
            assert_int_equal(bp_le16(device + 2), 2);
        } else {
            assert_int_equal(bp_le16(device + 4 + 8 * (size_t)RIG_QUEUE_SIZE), i);
        }
    }
}

static void many_chains_are_done_by_one_kick(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++)
        rig_add(r, 0, &one, 1);
    rig_notify(r, 0);
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++)
        assert_true(rig_used(r, 0, NULL, NULL));
    assert_false(rig_used(r, 0, NULL, NULL));
}

static void a_queue_is_reset_alone_and_works_again(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_F_RING_RESET), 1);
    works(r);
    rig_select(r, 0);
    rig_queue_reset(r);
    assert_int_equal(rig_queue_resetting(r), 0);
    assert_int_equal(rig_enabled(r), 0);
    rig_notify(r, 0); /* nobody is there */
    rig_setup(r, 0);
    works(r);
}

static void state_moves_in_the_middle_of_a_lap(void **state)
{
    struct rig *r = *state;
    struct rng_config second = config;
    struct rig *to = rig_new("rng", &second, &r->kind);

    rig_start(r, 0, 1);
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE + 3; i++)
        works(r);
    memcpy(fake_ram(to->host), fake_ram(r->host), FAKE_RAM_BYTES);
    memcpy(to->queues, r->queues, sizeof(to->queues));
    fake_move_state(r->host, to->host);
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++)
        works(to);
    rig_free(to);
}

/* With doorbells the vCPU that notifies does no work: the loop does. */
static void a_doorbell_is_answered_by_the_loop(void **state)
{
    const struct rig_kind *kind = *state;
    struct rig *r;

    fake_offer_doorbells(true);
    config = (struct rng_config){.period = 1000};
    r = rig_new("rng", &config, kind);
    fake_offer_doorbells(false);
    rig_start(r, 0, 1);
    rig_add(r, 0, &one, 1);
    rig_notify(r, 0);
    assert_false(rig_used(r, 0, NULL, NULL));
    assert_int_equal(fake_poll(r->host, 1000), 1);
    assert_true(rig_used(r, 0, NULL, NULL));
    fake_poll(r->host, 0); /* which is this backend's way to an interrupt, too */
    assert_true(rig_interrupted(r, 0));
    rig_set_status(r, 0); /* one that was rung before a reset finds nothing */
    rig_notify(r, 0);
    rig_start(r, 0, 1);
    fake_poll(r->host, 1000);
    assert_false(rig_used(r, 0, NULL, NULL));
    rig_free(r);
}

static void a_rate_is_kept(void **state)
{
    struct rig *r;
    const struct rig_kind *kind = *state;
    const struct rig_buffer b = {RIG_DATA, 100, 1};
    uint32_t len = 0;

    config = (struct rng_config){.period = 1000, .rate = 150};
    r = rig_new("rng", &config, kind);
    rig_start(r, 0, 1);
    assert_int_equal(rig_do(r, 0, &b, 1), 100);
    assert_int_equal(rig_do(r, 0, &b, 1), 50);
    rig_add(r, 0, &b, 1);
    rig_notify(r, 0);
    assert_false(rig_used(r, 0, NULL, NULL));
    fake_advance_ns(r->host, 999999999);
    assert_false(rig_used(r, 0, NULL, NULL));
    fake_advance_ns(r->host, 1);
    assert_true(rig_used(r, 0, NULL, &len));
    assert_int_equal(len, 100);
    rig_free(r);
}

static void status_bits_are_cleared_by_reset_alone(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    rig_set_status(r, STATUS_ACKNOWLEDGE);
    assert_true(rig_status(r) & STATUS_DRIVER_OK);
    works(r);
    rig_set_status(r, 0);
    assert_int_equal(rig_status(r), 0);
}

static const struct CMUnitTest tests[] = {
    RIG_EACH(a_buffer_is_filled_and_given_back, setup, teardown),
    RIG_EACH(a_ring_goes_round_many_times, setup, teardown),
    RIG_EACH(chains_are_filled_across_their_buffers, setup, teardown),
    RIG_EACH(indirect_tables_are_followed, setup, teardown),
    RIG_EACH(no_interrupt_comes_where_the_driver_wants_none, setup, teardown),
    RIG_EACH(an_interrupt_comes_at_the_event_index, setup, teardown),
    RIG_EACH(the_device_says_when_it_wants_a_kick, setup, teardown),
    RIG_EACH(many_chains_are_done_by_one_kick, setup, teardown),
    RIG_EACH(a_queue_is_reset_alone_and_works_again, setup, teardown),
    RIG_EACH(state_moves_in_the_middle_of_a_lap, setup, teardown),
    RIG_EACH(a_rate_is_kept, NULL, NULL),
    RIG_EACH(a_doorbell_is_answered_by_the_loop, NULL, NULL),
    RIG_EACH(status_bits_are_cleared_by_reset_alone, setup, teardown),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
