/* SPDX-License-Identifier: MIT
 *
 * dev-uart/test_mmio_console.c - the debug console of one page.
 */
#include "fake_char.h"
#include "fakes/host.h"
#include "uart.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BASE 0x9000000u

struct fixture {
    struct fake_host *host;
    struct fake_char *chr;
    struct mmio_console_config config;
};

static uint64_t in(struct fixture *f, uint32_t offset, uint32_t width)
{
    return fake_read(f->host, BP_SPACE_MMIO, f->config.base + offset, width);
}

static void out(struct fixture *f, uint32_t offset, uint64_t value, uint32_t width)
{
    fake_write(f->host, BP_SPACE_MMIO, f->config.base + offset, value, width);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->chr = fake_char_new();
    f->config = (struct mmio_console_config){
        .chardev = fake_peer(BP_CHAR_ID, &fake_char_ops, f->chr), .base = BASE};
    f->host = fake_host_new(PLUGIN_FILE, "mmio-console", &f->config);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fake_host_free(f->host);
    free(f->chr);
    free(f);
    return 0;
}

static void any_width_at_offset_0_writes_one_byte(void **state)
{
    struct fixture *f = *state;

    out(f, 0, 'a', 1);
    out(f, 0, 0x1162, 2);
    out(f, 0, 0x11111163, 4);
    out(f, 0, UINT64_C(0x1111111111111164), 8);
    fake_char_expect(f->chr, "abcd");
}

static void any_width_at_offset_0_reads_one_byte_or_0(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(in(f, 0, 1), 0);
    assert_int_equal(fake_char_give(f->chr, "abcd", 4), 4);
    assert_int_equal(in(f, 0, 1), 'a');
    assert_int_equal(in(f, 0, 2), 'b');
    assert_int_equal(in(f, 0, 4), 'c');
    assert_int_equal(in(f, 0, 8), 'd');
    assert_int_equal(in(f, 0, 8), 0);
}

static void status_tells_input_and_room(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(in(f, 4, 4), 2);
    fake_char_give(f->chr, "a", 1);
    assert_int_equal(in(f, 4, 1), 3);
    assert_int_equal(in(f, 8, 8), 3);
    f->chr->room = 0;
    for (int i = 0; i < 256; i++)
        out(f, 0, 'x', 1);
    assert_int_equal(in(f, 4, 4), 1);
    fake_char_open(f->chr, 10);
    assert_int_equal(in(f, 4, 4), 3);
}

static void nothing_is_lost_to_a_slow_backend(void **state)
{
    struct fixture *f = *state;
    uint32_t sent = 0;

    f->chr->room = 0;
    for (uint32_t turn = 0; f->chr->len < 5000; turn++) {
        while (sent < 5000 && (in(f, 4, 4) & 2))
            out(f, 0, (uint8_t)(sent++ * 3), 1);
        fake_char_open(f->chr, 1 + turn % 300);
    }
    for (uint32_t i = 0; i < 5000; i++)
        assert_int_equal(f->chr->output[i], (uint8_t)(i * 3));
    assert_int_equal(fake_log_count(f->host), 0);
}

static void input_resumes_when_half_is_read(void **state)
{
    struct fixture *f = *state;
    uint8_t chunk[300] = {1, 2, 3};

    assert_int_equal(fake_char_give(f->chr, chunk, sizeof(chunk)), 256);
    for (int i = 0; i < 127; i++)
        in(f, 0, 1);
    assert_int_equal(f->chr->resumes, 0);
    in(f, 0, 1);
    assert_int_equal(f->chr->resumes, 1);
}

static void the_rest_of_the_page_is_empty(void **state)
{
    struct fixture *f = *state;

    for (uint32_t offset = 16; offset < 4096; offset += 8) {
        out(f, offset, UINT64_MAX, 8);
        assert_int_equal(in(f, offset, 8), 0);
    }
    assert_int_equal(in(f, 1, 1), 0);
    assert_int_equal(in(f, 5, 2), 0);
    fake_char_expect(f->chr, "");
    assert_int_equal(in(f, 4096, 1), 0xff);
}

static void bad_flood_of_a_blocked_backend_is_bounded(void **state)
{
    struct fixture *f = *state;

    f->chr->room = 0;
    for (uint32_t i = 0; i < 1000; i++)
        out(f, 0, i, 1);
    assert_string_equal(fake_log(f->host, NULL), "a byte was written to a full console, and is "
                                                 "lost: wait for bit 1 of STATUS");
    fake_char_open(f->chr, UINT64_MAX);
    assert_int_equal(f->chr->len, 256);
    assert_int_equal(f->chr->output[255], 255);
}

static void bad_base_is_told(void **state)
{
    struct fixture *f = *state;
    struct mmio_console_config config = {.base = 0x9000010};
    struct fake_host *h;

    (void)f;
    assert_int_equal(fake_host_try(PLUGIN_FILE, "mmio-console", &config, &h), -EINVAL);
    assert_string_equal(fake_failure(), "base 0x9000010 is no multiple of 4096; move it to the "
                                        "start of a page");
}

static void without_a_backend_output_is_discarded(void **state)
{
    struct fixture *f = *state;
    struct mmio_console_config config = {.base = BASE + 4096};
    struct fake_host *h = fake_host_new(PLUGIN_FILE, "mmio-console", &config);

    (void)f;
    for (int i = 0; i < 1000; i++)
        fake_write(h, BP_SPACE_MMIO, BASE + 4096, 'x', 1);
    assert_int_equal(fake_read(h, BP_SPACE_MMIO, BASE + 4100, 4), 2);
    fake_host_free(h);
}

static void snapshot_carries_both_queues(void **state)
{
    struct fixture *f = *state;
    struct fixture g = {.config = f->config, .chr = fake_char_new()};

    g.config.chardev = fake_peer(BP_CHAR_ID, &fake_char_ops, g.chr);
    g.host = fake_host_new(PLUGIN_FILE, "mmio-console", &g.config);
    f->chr->room = 0;
    out(f, 0, 'o', 1);
    out(f, 0, 'k', 1);
    fake_char_give(f->chr, "in", 2);
    fake_move_state(f->host, g.host);
    fake_advance_ns(g.host, 0);
    fake_char_expect(g.chr, "ok");
    assert_int_equal(in(&g, 0, 1), 'i');
    assert_int_equal(in(&g, 0, 1), 'n');
    fake_host_free(g.host);
    free(g.chr);
}

static void bad_snapshot_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct bp_instance_ops *ops = fake_ops(f->host);
    uint16_t beyond = 1000;

    for (const struct bp_field *field = ops->fields; field->name; field++) {
        if (field->width != 2)
            continue;
        ops->stop(fake_self(f->host));
        memcpy((uint8_t *)fake_self(f->host) + field->offset, &beyond, 2);
        assert_int_equal(ops->after_load(fake_self(f->host)), -EINVAL);
        assert_string_equal(fake_failure(), "the snapshot's console has a queue beyond its "
                                            "bounds; the file is damaged");
        ops->reset(fake_self(f->host), BP_RESET_COLD);
        ops->start(fake_self(f->host));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_width_at_offset_0_writes_one_byte),
        TEST(any_width_at_offset_0_reads_one_byte_or_0),
        TEST(status_tells_input_and_room),
        TEST(nothing_is_lost_to_a_slow_backend),
        TEST(input_resumes_when_half_is_read),
        TEST(the_rest_of_the_page_is_empty),
        TEST(bad_flood_of_a_blocked_backend_is_bounded),
        TEST(bad_base_is_told),
        TEST(without_a_backend_output_is_discarded),
        TEST(snapshot_carries_both_queues),
        TEST(bad_snapshot_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
