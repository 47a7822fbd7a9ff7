/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_balloon.c - the balloon: pages handed over read as zeroes, and what else a guest
 * may say.
 */
#include "rig.h"

#include "balloon/balloon.h"

#include <backplane/ext/balloon.h>
#include <backplane/util/le.h>
#include <errno.h>

#define STATS BIT(1)
#define REPORTING BIT(5)
#define PAGE_AT(i) (0xa0000u + UINT64_C(4096) * (i))

static struct balloon_config config;

static int setup(void **state)
{
    config = (struct balloon_config){.target = 3 << 20, .stats_period = 2, .reporting = 1};
    *state = rig_new("balloon", &config, *state);
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static const struct bp_balloon *interface(struct rig *r)
{
    return fake_ops(r->host)->extension(fake_self(r->host), BP_BALLOON_ID);
}

/* Hands over `count` page numbers, in a list of `bytes` bytes. */
static void inflate(struct rig *r, const uint32_t *pages, uint32_t count, uint32_t bytes)
{
    const struct rig_buffer b = {RIG_DATA, bytes, 0};

    for (uint32_t i = 0; i < count; i++)
        bp_put_le32(rig_ram(r, RIG_DATA + 4 * i), pages[i]);
    rig_do(r, 0, &b, 1);
}

static int is_zero(struct rig *r, uint64_t gpa)
{
    for (uint32_t i = 0; i < 4096; i++)
        if (*rig_ram(r, gpa + i))
            return 0;
    return 1;
}

static void pages_that_are_handed_over_are_discarded(void **state)
{
    static const uint32_t pages[] = {0xa0, 0xa1, 0xa3, 0xa6, 0xa5};
    struct rig *r = *state;

    rig_start(r, 0, 2);
    memset(rig_ram(r, PAGE_AT(0)), 0xaa, 8 * (size_t)4096);
    inflate(r, pages, 5, 20);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(is_zero(r, PAGE_AT(i)), i != 2 && i != 4 && i != 7);
    assert_int_equal(fake_log_count(r->host), 0);
}

static void the_target_is_told(void **state)
{
    struct rig *r = *state;
    const struct bp_balloon *b = interface(r);

    rig_start(r, 0, 2);
    assert_int_equal(rig_config(r, 0, 4), 768);
    b->set_target(fake_self(r->host), 1 << 20);
    assert_int_equal(b->target(fake_self(r->host)), 1 << 20);
    assert_int_equal(fake_poll(r->host, 1000), 1);
    assert_true(rig_config_interrupted(r));
    assert_int_equal(rig_config(r, 0, 4), 256);
    rig_set_config(r, 4, 200, 4);
    assert_int_equal(b->actual(fake_self(r->host)), 200 * UINT64_C(4096));
    b->set_target(fake_self(r->host), 1 << 20); /* as it was */
    assert_int_equal(fake_poll(r->host, 1000), 1);
    assert_false(rig_config_interrupted(r));
}

static void power_on_begins_the_generations_anew(void **state)
{
    struct rig *r = *state;
    struct virtio *v = fake_self(r->host);
    uint32_t before;

    rig_start(r, 0, 2);
    interface(r)->set_target(v, 1 << 20);
    fake_poll(r->host, 1000);
    before = v->generation;
    assert_int_not_equal(before, 0);
    rig_set_status(r, 0); /* a driver that reads the configuration meanwhile sees no old one */
    assert_int_equal(v->generation, before);
    fake_ops(r->host)->stop(v);
    fake_ops(r->host)->reset(v, BP_RESET_COLD);
    assert_int_equal(fake_ops(r->host)->start(v), 0);
    assert_int_equal(v->generation, 0);
}

static void statistics_are_asked_for(void **state)
{
    struct rig *r = *state;
    struct bp_balloon_stats stats = {.size = sizeof(stats)};
    const struct rig_buffer b = {RIG_DATA, 20, 0};

    rig_start(r, STATS, 3);
    for (uint32_t round = 1; round < 4; round++) {
        bp_put_le16(rig_ram(r, RIG_DATA), 4);
        bp_put_le64(rig_ram(r, RIG_DATA + 2), UINT64_C(1000) * round);
        bp_put_le16(rig_ram(r, RIG_DATA + 10), 500); /* of a later revision */
        rig_add(r, 2, &b, 1);
        rig_notify(r, 2);
        assert_false(rig_used(r, 2, NULL, NULL));
        interface(r)->stats(fake_self(r->host), &stats);
        assert_int_equal(stats.updates, round);
        assert_int_equal(stats.free_memory, UINT64_C(1000) * round);
        assert_true(stats.total_memory == BP_BALLOON_UNKNOWN);
        fake_advance_ns(r->host, 2000000000);
        assert_true(rig_used(r, 2, NULL, NULL));
        assert_true(rig_interrupted(r, 2));
    }
}

static void pages_that_are_reported_are_discarded(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer b[] = {{PAGE_AT(0), 8192, 1}, {PAGE_AT(4) + 1, 8192, 1}};

    rig_start(r, STATS | REPORTING, 4);
    memset(rig_ram(r, PAGE_AT(0)), 0xaa, 8 * (size_t)4096);
    rig_do(r, 3, b, 2);
    for (uint32_t i = 0; i < 8; i++) /* of the second, what is whole pages */
        assert_int_equal(is_zero(r, PAGE_AT(i)), i < 2 || i == 5);
}

static void queues_that_were_not_negotiated_move_up(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer b = {PAGE_AT(0), 4096, 1};

    rig_start(r, REPORTING, 3);
    memset(rig_ram(r, PAGE_AT(0)), 0xaa, 4096);
    rig_do(r, 2, &b, 1);
    assert_true(is_zero(r, PAGE_AT(0)));
}

static void state_moves_with_a_buffer_for_statistics(void **state)
{
    struct rig *r = *state;
    struct balloon_config other = config;
    struct rig *to = rig_new("balloon", &other, &r->kind);
    const struct rig_buffer b = {RIG_DATA, 10, 0};

    rig_start(r, STATS, 3);
    rig_add(r, 2, &b, 1);
    rig_notify(r, 2);
    memcpy(fake_ram(to->host), fake_ram(r->host), FAKE_RAM_BYTES);
    memcpy(to->queues, r->queues, sizeof(to->queues));
    fake_move_state(r->host, to->host);
    assert_false(rig_config_interrupted(to));
    assert_int_equal(((struct virtio *)fake_self(to->host))->generation,
                     ((struct virtio *)fake_self(r->host))->generation);
    fake_advance_ns(to->host, 2000000000);
    assert_true(rig_used(to, 2, NULL, NULL));
    rig_free(to);
}

static void bad_55_pages(void **state)
{
    static const uint32_t zero = 0, good = 0xa0;
    struct rig *r = *state;
    const uint32_t outside[] = {(uint32_t)(r->bar >> 12), 0xffffffff, FAKE_RAM_BYTES >> 12,
                                0x80000000, 0x00100000};
    uint8_t status;

    rig_start(r, 0, 2);
    status = rig_status(r);
    for (uint32_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        inflate(r, outside + i, 1, 4);
        assert_string_equal(fake_log(r->host, NULL), "memory was handed over that is not RAM");
        assert_int_equal(fake_log_count(r->host), i + 1);
    }
    assert_int_equal(rig_status(r), status);
    memset(rig_ram(r, PAGE_AT(0)), 0xaa, 4096);
    inflate(r, &good, 1, 7); /* and three bytes more */
    assert_string_equal(fake_log(r->host, NULL),
                        "a list of pages whose length is not a multiple of 4");
    assert_true(is_zero(r, PAGE_AT(0)));
    /* Page 0 is RAM as any other, and what lies behind it is not touched. */
    memset(rig_ram(r, 0), 0xaa, 8192);
    inflate(r, &zero, 1, 4);
    assert_true(is_zero(r, 0));
    assert_int_equal(*rig_ram(r, 4096), 0xaa);
    memset(rig_ram(r, PAGE_AT(0)), 0xaa, 4096);
    inflate(r, &good, 1, 4);
    assert_true(is_zero(r, PAGE_AT(0)));
}

static void bad_55_the_ring_itself(void **state)
{
    static const uint32_t ring = RIG_RING(0) >> 12, good = 0xa0;
    const struct rig_buffer b = {RIG_DATA, 4, 0};
    struct rig *r = *state;

    rig_start(r, 0, 2);
    bp_put_le32(rig_ram(r, RIG_DATA), ring);
    rig_add(r, 0, &b, 1);
    rig_notify(r, 0); /* whatever it finds there now */
    rig_notify(r, 0);
    rig_start(r, 0, 2);
    memset(rig_ram(r, PAGE_AT(0)), 0xaa, 4096);
    inflate(r, &good, 1, 4);
    assert_true(is_zero(r, PAGE_AT(0)));
}

static void bad_55_a_list_that_is_too_long(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer b = {0, FAKE_RAM_BYTES - 4096, 0};

    rig_start(r, 0, 2);
    memset(rig_ram(r, 0), 0xff, 0x8000); /* 8192 pages that are not there */
    rig_do(r, 0, &b, 1);
    assert_true(fake_log_count(r->host) > 4000 && fake_log_count(r->host) < 4200);
}

static void bad_second_buffer_for_statistics(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer b = {RIG_DATA, 10, 0};

    rig_start(r, STATS, 3);
    rig_add(r, 2, &b, 1);
    rig_add(r, 2, &b, 1);
    rig_notify(r, 2);
    assert_string_equal(fake_log(r->host, NULL), "a second buffer for statistics");
    assert_true(rig_used(r, 2, NULL, NULL));
    assert_false(rig_used(r, 2, NULL, NULL));
}

static const struct CMUnitTest tests[] = {
    RIG_EACH(pages_that_are_handed_over_are_discarded, setup, teardown),
    RIG_EACH(the_target_is_told, setup, teardown),
    RIG_EACH(power_on_begins_the_generations_anew, setup, teardown),
    RIG_EACH(statistics_are_asked_for, setup, teardown),
    RIG_EACH(pages_that_are_reported_are_discarded, setup, teardown),
    RIG_EACH(queues_that_were_not_negotiated_move_up, setup, teardown),
    RIG_EACH(state_moves_with_a_buffer_for_statistics, setup, teardown),
    RIG_EACH(bad_55_pages, setup, teardown),
    RIG_EACH(bad_55_the_ring_itself, setup, teardown),
    RIG_EACH(bad_55_a_list_that_is_too_long, setup, teardown),
    RIG_EACH(bad_second_buffer_for_statistics, setup, teardown),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
