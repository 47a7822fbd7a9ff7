/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_console.c - ports of the console device, their control queue, and no byte lost.
 */
#include "dev-uart/fake_char.h"
#include "rig.h"

#include "console/console.h"

#include <backplane/util/le.h>
#include <errno.h>

#define MULTI BIT(VIRTIO_CONSOLE_F_MULTIPORT)
#define CONTROL_BUFFER(i) (RIG_DATA + 0x4000u + 0x100u * (i))
#define INPUT(i) (RIG_DATA + 0x8000u + 0x1000u * (i))

static struct console_config config;
static struct fake_char *chr[2];
static struct bp_node *ports[1];
static const char *names[1] = {"org.backplane.test"};

static int setup(void **state)
{
    for (int i = 0; i < 2; i++)
        chr[i] = fake_char_new();
    ports[0] = fake_peer(BP_CHAR_ID, &fake_char_ops, chr[1]);
    config = (struct console_config){.chardev = fake_peer(BP_CHAR_ID, &fake_char_ops, chr[0]),
                                     .ports = {.items = ports, .count = 1},
                                     .names = {.items = names, .count = 1}};
    *state = rig_new("console", &config, *state);
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    for (int i = 0; i < 2; i++)
        free(chr[i]);
    return 0;
}

static void say(struct rig *r, uint32_t queue, const char *text)
{
    const struct rig_buffer b = {RIG_DATA, (uint32_t)strlen(text), 0};

    memcpy(rig_ram(r, RIG_DATA), text, strlen(text));
    rig_add(r, queue, &b, 1);
    rig_notify(r, queue);
}

static void give_input_buffer(struct rig *r, uint32_t queue, uint32_t i, uint32_t len)
{
    const struct rig_buffer b = {INPUT(i), len, 1};

    rig_add(r, queue, &b, 1);
    rig_notify(r, queue);
}

static void output_and_input_of_one_port(void **state)
{
    struct rig *r = *state;
    uint32_t len = 0;

    rig_start(r, 0, 2);
    say(r, 1, "hello");
    assert_true(rig_used(r, 1, NULL, NULL));
    fake_char_expect(chr[0], "hello");
    assert_int_equal(fake_char_give(chr[0], "abc", 3), 0); /* no buffer yet */
    give_input_buffer(r, 0, 0, 2);
    assert_int_equal(chr[0]->resumes, 1);
    assert_int_equal(fake_char_give(chr[0], "abc", 3), 2);
    give_input_buffer(r, 0, 1, 2);
    assert_int_equal(chr[0]->resumes, 2);
    assert_int_equal(fake_char_give(chr[0], "c", 1), 1);
    assert_true(rig_used(r, 0, NULL, &len));
    assert_int_equal(len, 2);
    assert_memory_equal(rig_ram(r, INPUT(0)), "ab", 2);
    assert_true(rig_used(r, 0, NULL, &len));
    assert_int_equal(len, 1);
    assert_int_equal(*rig_ram(r, INPUT(1)), 'c');
}

static void a_slow_backend_holds_the_ring(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 2);
    chr[0]->room = 3;
    say(r, 1, "hello");
    assert_false(rig_used(r, 1, NULL, NULL));
    fake_char_expect(chr[0], "hel");
    fake_char_open(chr[0], 1);
    fake_char_expect(chr[0], "hell");
    assert_false(rig_used(r, 1, NULL, NULL));
    fake_char_open(chr[0], 100);
    fake_char_expect(chr[0], "hello");
    assert_true(rig_used(r, 1, NULL, NULL));
}

static void bad_53_chain_of_many_descriptors(void **state)
{
    struct rig *r = *state;
    struct rig_buffer b[RIG_QUEUE_SIZE];
    char expected[RIG_QUEUE_SIZE * 100 + 1] = {0};

    rig_start(r, 0, 2);
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++) {
        b[i] = (struct rig_buffer){RIG_DATA + 0x200 * i, 100, 0};
        memset(rig_ram(r, RIG_DATA + 0x200 * i), 'a' + (int)i, 100);
        memset(expected + 100 * (size_t)i, 'a' + (int)i, 100);
    }
    rig_do(r, 1, b, RIG_QUEUE_SIZE);
    fake_char_expect(chr[0], expected);
}

/* A backend that takes all at once: still the device works for one budget, then others have their
 * turn. */
static uint64_t swallow(void *self, const uint8_t *data, uint64_t len)
{
    struct fake_char *c = self;

    (void)data;
    c->writes++;
    return len;
}

static int attach(void *self, const struct bp_char_port *port, void *port_self)
{
    (void)self;
    (void)port;
    (void)port_self;
    return 0;
}

static void resume(void *self)
{
    (void)self;
}

static const struct bp_char swallowing = {
    .size = sizeof(struct bp_char), .attach = attach, .write = swallow, .resume = resume};

static void bad_53_output_of_16_mib_takes_turns(void **state)
{
    const struct rig_kind *kind = *state;
    struct rig_buffer many[RIG_QUEUE_SIZE];
    struct fake_char *sink = fake_char_new();
    struct rig *r;
    uint32_t turns = 0;

    config = (struct console_config){.chardev = fake_peer(BP_CHAR_ID, &swallowing, sink)};
    r = rig_new("console", &config, kind);
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++)
        many[i] = (struct rig_buffer){0, FAKE_RAM_BYTES, 0};
    rig_start(r, 0, 2);
    rig_add(r, 1, many, RIG_QUEUE_SIZE);
    rig_notify(r, 1);
    assert_int_equal(sink->writes, VIRTIO_BUDGET);
    for (; !rig_used(r, 1, NULL, NULL); turns++)
        fake_advance_ns(r->host, 0);
    assert_int_equal(sink->writes, RIG_QUEUE_SIZE * FAKE_RAM_BYTES / 4096);
    rig_free(r);
    free(sink);
}

/* A guest on another processor that gives an empty buffer for each that the device takes. */
static struct rig *refilling;
static uint32_t refills;

static void refill(struct fake_host *h, uint64_t gpa, uint64_t len)
{
    const struct rig_buffer empty = {INPUT(0), 0, 1};

    (void)h;
    if (len != DESC_BYTES || gpa < RIG_DESC(0) || gpa >= RIG_DRIVER(0) || refills == 5000)
        return;
    refills++;
    rig_add(refilling, 0, &empty, 1);
}

static void bad_53_input_for_empty_buffers_takes_turns(void **state)
{
    const struct rig_kind *kind = *state;
    const struct rig_buffer empty = {INPUT(0), 0, 1}, good = {INPUT(1), 100, 1};
    struct fake_char *end = fake_char_new();
    struct rig *r;

    config = (struct console_config){.chardev = fake_peer(BP_CHAR_ID, &fake_char_ops, end)};
    refilling = r = rig_new_large("console", &config, kind);
    rig_start(r, 0, 2);
    refills = 0;
    fake_after_dma_read(r->host, refill);
    rig_add(r, 0, &empty, 1);
    assert_int_equal(fake_char_give(end, (const uint8_t *)"x", 1), 0);
    fake_after_dma_read(r->host, NULL);
    assert_int_equal(refills, VIRTIO_BUDGET);
    /* The device goes on by itself, and what comes then is taken. */
    assert_int_equal(end->resumes, 0);
    fake_advance_ns(r->host, 0);
    assert_int_equal(end->resumes, 1);
    while (rig_used(r, 0, NULL, NULL))
        ;
    rig_add(r, 0, &good, 1);
    assert_int_equal(fake_char_give(end, (const uint8_t *)"x", 1), 1);
    assert_int_equal(*rig_ram(r, INPUT(1)), 'x');
    assert_false(rig_status(r) & STATUS_NEEDS_RESET);
    rig_free(r);
    free(end);
}

static void an_emergency_write_needs_no_driver(void **state)
{
    struct rig *r = *state;

    rig_set_config(r, CONSOLE_emerg_wr, '!', 4);
    fake_char_expect(chr[0], "!");
}

static void the_window_is_told(void **state)
{
    struct rig *r = *state;

    rig_start(r, BIT(VIRTIO_CONSOLE_F_SIZE), 2);
    chr[0]->port->event(chr[0]->port_self, BP_CHAR_RESIZED, 132, 50);
    assert_true(rig_config_interrupted(r));
    assert_int_equal(rig_config(r, CONSOLE_cols, 2), 132);
    assert_int_equal(rig_config(r, CONSOLE_rows, 2), 50);
    chr[0]->port->event(chr[0]->port_self, BP_CHAR_RESIZED, 132, 50); /* as it was */
    assert_false(rig_config_interrupted(r));
}

static void control(struct rig *r, uint32_t id, uint16_t event, uint16_t value)
{
    const struct rig_buffer b = {RIG_DATA, 8, 0};

    bp_put_le32(rig_ram(r, RIG_DATA), id);
    bp_put_le16(rig_ram(r, RIG_DATA + 4), event);
    bp_put_le16(rig_ram(r, RIG_DATA + 6), value);
    rig_do(r, CONSOLE_CONTROL_TX, &b, 1);
}

/* Takes the next message: what it is. `i` counts buffers. */
static void expect_message(struct rig *r, uint32_t i, uint32_t id, uint32_t event, uint32_t value,
                           const char *name)
{
    const uint8_t *m = rig_ram(r, CONTROL_BUFFER(i));
    uint32_t len = 0;

    assert_true(rig_used(r, CONSOLE_CONTROL_RX, NULL, &len));
    assert_int_equal(bp_le32(m), id);
    assert_int_equal(bp_le16(m + 4), event);
    assert_int_equal(bp_le16(m + 6), value);
    if (name) {
        assert_int_equal(len, 8 + strlen(name));
        assert_memory_equal(m + 8, name, strlen(name));
    }
}

static void give_control_buffers(struct rig *r, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        const struct rig_buffer b = {CONTROL_BUFFER(i), 0x100, 1};

        rig_add(r, CONSOLE_CONTROL_RX, &b, 1);
    }
    rig_notify(r, CONSOLE_CONTROL_RX);
}

static void ports_are_introduced(void **state)
{
    struct rig *r = *state;

    fake_char_event(chr[1], BP_CHAR_OPENED);
    rig_start(r, MULTI, 6);
    assert_int_equal(rig_config(r, CONSOLE_max_nr_ports, 4), 2);
    control(r, 0xffffffff, 0, 1); /* DEVICE_READY, before there is any buffer */
    give_control_buffers(r, 0, 10);
    expect_message(r, 0, 0, 1, 1, NULL); /* DEVICE_ADD */
    expect_message(r, 1, 1, 1, 1, NULL);
    control(r, 0, 3, 1);                 /* PORT_READY */
    expect_message(r, 2, 0, 4, 1, NULL); /* CONSOLE_PORT */
    expect_message(r, 3, 0, 7, 1, "console");
    control(r, 1, 3, 1);
    expect_message(r, 4, 1, 7, 1, "org.backplane.test");
    expect_message(r, 5, 1, 6, 1, NULL); /* PORT_OPEN */
    say(r, 5, "to the port");
    assert_true(rig_used(r, 5, NULL, NULL));
    fake_char_expect(chr[1], "to the port");
    /* Input waits until the guest opens the port. */
    give_input_buffer(r, 4, 0, 100);
    assert_int_equal(fake_char_give(chr[1], "xyz", 3), 0);
    control(r, 1, 6, 1);
    assert_int_equal(chr[1]->resumes, 1);
    assert_int_equal(fake_char_give(chr[1], "xyz", 3), 3);
    assert_true(rig_used(r, 4, NULL, NULL));
    fake_char_event(chr[1], BP_CHAR_HANGUP);
    expect_message(r, 6, 1, 6, 0, NULL);
    chr[0]->port->event(chr[0]->port_self, BP_CHAR_RESIZED, 80, 25);
    expect_message(r, 7, 0, 5, 1, NULL);
    assert_int_equal(bp_le16(rig_ram(r, CONTROL_BUFFER(7) + 8)), 25);
    assert_int_equal(bp_le16(rig_ram(r, CONTROL_BUFFER(7) + 10)), 80);
}

/* The message has rows first, as Linux reads it; the configuration columns first (5.3.4). */
static void a_size_is_told_as_drivers_read_it(void **state)
{
    struct rig *r = *state;
    uint32_t len = 0;

    rig_start(r, MULTI, 6);
    give_control_buffers(r, 0, 2);
    chr[0]->port->event(chr[0]->port_self, BP_CHAR_RESIZED, 132, 43);
    assert_true(rig_used(r, CONSOLE_CONTROL_RX, NULL, &len));
    assert_int_equal(len, 12);
    assert_memory_equal(rig_ram(r, CONTROL_BUFFER(0)), "\0\0\0\0\5\0\1\0\53\0\204\0", 12);
    assert_int_equal(rig_config(r, 0, 4), 43 << 16 | 132);
}

static void state_moves_with_output_half_written(void **state)
{
    struct rig *r = *state;
    struct console_config other = config;
    struct fake_char *more[2] = {fake_char_new(), fake_char_new()};
    struct bp_node *other_ports[1] = {fake_peer(BP_CHAR_ID, &fake_char_ops, more[1])};
    struct rig *to;

    other.chardev = fake_peer(BP_CHAR_ID, &fake_char_ops, more[0]);
    other.ports.items = other_ports;
    to = rig_new("console", &other, &r->kind);
    rig_start(r, 0, 2);
    chr[0]->room = 3;
    say(r, 1, "hello");
    memcpy(fake_ram(to->host), fake_ram(r->host), FAKE_RAM_BYTES);
    memcpy(to->queues, r->queues, sizeof(to->queues));
    fake_move_state(r->host, to->host);
    fake_advance_ns(to->host, 0);
    fake_char_expect(more[0], "lo");
    assert_true(rig_used(to, 1, NULL, NULL));
    rig_free(to);
    free(more[0]);
    free(more[1]);
}

static void bad_control_messages_are_ignored(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer cut = {RIG_DATA, 7, 0};

    rig_start(r, MULTI, 6);
    control(r, 2, 3, 1);
    assert_string_equal(fake_log(r->host, NULL),
                        "a control message for a port that does not exist");
    control(r, 0, 77, 1);
    assert_string_equal(fake_log(r->host, NULL),
                        "a control message of a kind that the driver does not send");
    rig_do(r, CONSOLE_CONTROL_TX, &cut, 1);
    assert_string_equal(fake_log(r->host, NULL),
                        "a control message shorter than 8 bytes, or not in RAM");
    for (uint32_t i = 0; i < 1000; i++)
        control(r, i & 1, 3, 1); /* no buffers: what is owed does not pile up */
    give_control_buffers(r, 0, 10);
    expect_message(r, 0, 0, 4, 1, NULL);
    expect_message(r, 1, 0, 7, 1, NULL);
    expect_message(r, 2, 1, 7, 1, NULL);
    assert_false(rig_used(r, CONSOLE_CONTROL_RX, NULL, NULL));
}

static void bad_43_buffers_outside_ram(void **state)
{
    struct rig *r = *state;
    const struct rig_buffer out = {RIG_MMIO_BASE, 100, 0}, in = {RIG_MMIO_BASE, 100, 1};

    rig_start(r, 0, 2);
    rig_do(r, 1, &out, 1);
    rig_add(r, 0, &in, 1);
    rig_notify(r, 0);
    assert_int_equal(fake_char_give(chr[0], "x", 1), 0);
    say(r, 1, "ok");
    fake_char_expect(chr[0], "ok");
}

static const struct CMUnitTest tests[] = {
    RIG_EACH(output_and_input_of_one_port, setup, teardown),
    RIG_EACH(a_slow_backend_holds_the_ring, setup, teardown),
    RIG_EACH(an_emergency_write_needs_no_driver, setup, teardown),
    RIG_EACH(the_window_is_told, setup, teardown),
    RIG_EACH(ports_are_introduced, setup, teardown),
    RIG_EACH(a_size_is_told_as_drivers_read_it, setup, teardown),
    RIG_EACH(state_moves_with_output_half_written, setup, teardown),
    RIG_EACH(bad_control_messages_are_ignored, setup, teardown),
    RIG_EACH(bad_43_buffers_outside_ram, setup, teardown),
    RIG_EACH(bad_53_chain_of_many_descriptors, setup, teardown),
    RIG_EACH(bad_53_output_of_16_mib_takes_turns, NULL, NULL),
    RIG_EACH(bad_53_input_for_empty_buffers_takes_turns, NULL, NULL),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
