/* SPDX-License-Identifier: MIT
 *
 * dev-pc/debug_ports_test.c - isa-debug-exit, the debug port 0xE9 and the panic port.
 */
#include "ports.h"

#include <errno.h>

struct exit_config {
    uint16_t port;
    uint8_t iosize;
};

struct debug_config {
    struct bp_node *chardev;
    uint16_t port;
    uint8_t readback;
};

struct panic_config {
    uint16_t port;
};

/* A terminal that takes `room` bytes in all and keeps them. */
struct terminal {
    char text[8192];
    uint64_t len, room;
};

static int terminal_attach(void *self, const struct bp_char_port *port, void *port_self)
{
    (void)self;
    (void)port;
    (void)port_self;
    return 0;
}

static uint64_t terminal_write(void *self, const uint8_t *data, uint64_t len)
{
    struct terminal *t = self;
    uint64_t n = len < t->room ? len : t->room;

    memcpy(t->text + t->len, data, n);
    t->len += n;
    t->room -= n;
    return n;
}

static void terminal_resume(void *self)
{
    (void)self;
}

static const struct bp_char terminal_ops = {
    .size = sizeof(struct bp_char),
    .attach = terminal_attach,
    .write = terminal_write,
    .resume = terminal_resume,
};

/* ---- debug-exit
 * ------------------------------------------------------------------------------------ */

static void exit_code_is_what_was_written(void **state)
{
    struct exit_config c = {.port = 0x501, .iosize = 2};
    struct fake_host *h = fake_host_new(DEV_PC, "debug-exit", &c);
    uint32_t code = 1;

    (void)state;
    out8(h, 0x501, 0);
    assert_int_equal(fake_request(h, &code), BP_REQUEST_EXIT);
    assert_int_equal(code, 0);
    out8(h, 0x501, 0x2a);
    assert_int_equal(fake_request(h, &code), BP_REQUEST_EXIT);
    assert_int_equal(code, 0x2a);
    out16(h, 0x501, 0x1234);
    assert_int_equal(fake_request(h, &code), BP_REQUEST_EXIT);
    assert_int_equal(code, 0x1234);
    out8(h, 0x502, 7);
    assert_int_equal(fake_request(h, &code), BP_REQUEST_EXIT);
    assert_int_equal(code, 7);
    fake_host_free(h);
}

static void exit_code_has_32_bits_where_there_are_four_ports(void **state)
{
    struct exit_config c = {.port = 0xf4, .iosize = 4};
    struct fake_host *h = fake_host_new(DEV_PC, "debug-exit", &c);
    uint32_t code;

    (void)state;
    fake_write(h, BP_SPACE_PIO, 0xf4, 0x80000001, 4);
    assert_int_equal(fake_request(h, &code), BP_REQUEST_EXIT);
    assert_int_equal(code, 0x80000001);
    fake_host_free(h);
}

static void exit_port_reads_zero_and_its_neighbours_are_not_its_own(void **state)
{
    struct exit_config c = {.port = 0x501, .iosize = 1};
    struct fake_host *h = fake_host_new(DEV_PC, "debug-exit", &c);

    (void)state;
    assert_int_equal(in8(h, 0x501), 0);
    assert_int_equal(in8(h, 0x500), 0xff);
    assert_int_equal(in8(h, 0x502), 0xff);
    out8(h, 0x502, 1);
    out8(h, 0x500, 1);
    assert_int_equal(fake_request(h, NULL), 0);
    fake_host_free(h);
}

static void exit_ports_beyond_the_last_are_refused(void **state)
{
    struct exit_config c = {.port = 0xffff, .iosize = 2};
    struct fake_host *h;

    (void)state;
    assert_true(fake_host_try(DEV_PC, "debug-exit", &c, &h) < 0);
    assert_string_equal(fake_failure(),
                        "ports 0xffff to 0x10000 cannot be had; choose another `port`");
}

/* ---- debug-port
 * ------------------------------------------------------------------------------------ */

static void debug_port_writes_to_its_backend(void **state)
{
    struct terminal t = {.room = sizeof(t.text)};
    struct debug_config c = {fake_peer(BP_CHAR_ID, &terminal_ops, &t), 0xe9, 0xe9};
    struct fake_host *h = fake_host_new(DEV_PC, "debug-port", &c);

    (void)state;
    out8(h, 0xe9, 'h');
    out8(h, 0xe9, 'i');
    assert_int_equal(t.len, 2);
    assert_memory_equal(t.text, "hi", 2);
    assert_int_equal(in8(h, 0xe9), 0xe9);
    assert_int_equal(in8(h, 0xe8), 0xff);
    assert_int_equal(in16(h, 0xe9), 0xffe9);
    fake_host_free(h);
}

static void debug_port_without_a_backend_discards(void **state)
{
    struct debug_config c = {NULL, 0x402, 0x12};
    struct fake_host *h = fake_host_new(DEV_PC, "debug-port", &c);

    (void)state;
    for (int i = 0; i < 10000; i++)
        out8(h, 0x402, 'x');
    assert_int_equal(fake_log_count(h), 0);
    assert_int_equal(in8(h, 0x402), 0x12);
    fake_host_free(h);
}

static void debug_port_keeps_what_a_slow_backend_does_not_take(void **state)
{
    struct terminal t = {.room = 1};
    struct debug_config c = {fake_peer(BP_CHAR_ID, &terminal_ops, &t), 0xe9, 0xe9};
    struct fake_host *h = fake_host_new(DEV_PC, "debug-port", &c);
    const struct bp_char_port *port;
    void *port_self;

    (void)state;
    for (const char *p = "slowly"; *p; p++)
        out8(h, 0xe9, (uint8_t)*p);
    assert_int_equal(t.len, 1);
    port = fake_port(c.chardev, &port_self);
    t.room = 2;
    port->writable(port_self);
    assert_int_equal(t.len, 3);
    t.room = 100;
    port->writable(port_self);
    assert_memory_equal(t.text, "slowly", 6);
    assert_int_equal(t.len, 6);
    out8(h, 0xe9, '!');
    assert_int_equal(t.len, 7);
    fake_host_free(h);
}

static void debug_port_says_once_that_output_is_lost(void **state)
{
    struct terminal t = {.room = 0};
    struct debug_config c = {fake_peer(BP_CHAR_ID, &terminal_ops, &t), 0xe9, 0xe9};
    struct fake_host *h = fake_host_new(DEV_PC, "debug-port", &c);
    const struct bp_char_port *port;
    void *port_self;

    (void)state;
    for (int i = 0; i < 4096; i++)
        out8(h, 0xe9, (uint32_t)('a' + i % 26));
    assert_int_equal(fake_log_count(h), 0);
    for (int i = 0; i < 100; i++)
        out8(h, 0xe9, '?');
    assert_int_equal(fake_log_count(h), 1);
    assert_string_equal(
        fake_log(h, NULL),
        "the char backend is slower than the guest: output beyond 4096 bytes is lost");
    port = fake_port(c.chardev, &port_self);
    t.room = sizeof(t.text);
    port->writable(port_self);
    assert_int_equal(t.len, 4096);
    for (int i = 0; i < 4096; i++)
        assert_int_equal(t.text[i], 'a' + i % 26);
    fake_host_free(h);
}

static void debug_port_discards_input(void **state)
{
    struct terminal t = {.room = sizeof(t.text)};
    struct debug_config c = {fake_peer(BP_CHAR_ID, &terminal_ops, &t), 0xe9, 0xe9};
    struct fake_host *h = fake_host_new(DEV_PC, "debug-port", &c);
    const struct bp_char_port *port;
    void *port_self;

    (void)state;
    port = fake_port(c.chardev, &port_self);
    assert_int_equal(port->receive(port_self, (const uint8_t *)"input", 5), 5);
    assert_int_equal(in8(h, 0xe9), 0xe9);
    assert_int_equal(t.len, 0);
    fake_host_free(h);
}

static void debug_port_output_survives_a_snapshot(void **state)
{
    struct terminal full = {.room = 0}, t = {.room = sizeof(t.text)};
    struct debug_config c = {fake_peer(BP_CHAR_ID, &terminal_ops, &full), 0xe9, 0xe9};
    struct debug_config d = {fake_peer(BP_CHAR_ID, &terminal_ops, &t), 0xe9, 0xe9};
    struct fake_host *from = fake_host_new(DEV_PC, "debug-port", &c);
    struct fake_host *to = fake_host_new(DEV_PC, "debug-port", &d);

    (void)state;
    out8(from, 0xe9, 'o');
    out8(from, 0xe9, 'k');
    fake_move_state(from, to);
    assert_int_equal(t.len, 2);
    assert_memory_equal(t.text, "ok", 2);
    fake_host_free(from);
    fake_host_free(to);
}

static void debug_port_refuses_a_snapshot_beyond_its_buffer(void **state)
{
    struct debug_config c = {NULL, 0xe9, 0xe9};
    struct fake_host *h = fake_host_new(DEV_PC, "debug-port", &c);
    uint32_t *count = field_of(h, "fifo.count");

    (void)state;
    fake_ops(h)->stop(fake_self(h));
    *count = 4097;
    assert_int_equal(fake_ops(h)->after_load(fake_self(h)), -EINVAL);
    assert_string_equal(
        fake_failure(),
        "the snapshot's buffer (4097 bytes from 0 on) is beyond the 4096 there are");
    *count = 0;
    fake_host_free(h);
}

static void debug_port_refuses_a_reference_to_something_else(void **state)
{
    struct debug_config c = {fake_peer("bp.irqchip/1", &terminal_ops, NULL), 0xe9, 0xe9};
    struct fake_host *h;

    (void)state;
    assert_int_equal(fake_host_try(DEV_PC, "debug-port", &c, &h), -ENOENT);
    assert_string_equal(fake_failure(), "`chardev` cannot be used: it must name a char backend "
                                        "that no other device has");
}

/* ---- pvpanic
 * --------------------------------------------------------------------------------------- */

static const struct panic_config panic_defaults = {.port = 0x505};

static void panic_port_tells_what_it_understands(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "pvpanic", &panic_defaults);

    (void)state;
    assert_int_equal(in8(h, 0x505), 0x03);
    fake_host_free(h);
}

static void a_panic_ends_the_machine(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "pvpanic", &panic_defaults);

    (void)state;
    out8(h, 0x505, 0x01);
    assert_int_equal(fake_request(h, NULL), BP_REQUEST_PANIC);
    assert_int_equal(fake_log_count(h), 0);
    fake_host_free(h);
}

static void a_crash_kernel_does_not_end_the_machine(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "pvpanic", &panic_defaults);
    uint32_t level;

    (void)state;
    out8(h, 0x505, 0x02);
    assert_int_equal(fake_request(h, NULL), 0);
    assert_string_equal(fake_log(h, &level), "the guest panicked and starts its crash kernel");
    assert_int_equal(level, BP_LOG_WARN);
    fake_host_free(h);
}

static void bad_a_flood_of_crash_kernels_is_told_once(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "pvpanic", &panic_defaults);
    unsigned before = fake_log_count(h);

    (void)state;
    for (int i = 0; i < 1000; i++)
        out8(h, 0x505, 0x02);
    assert_int_equal(fake_log_count(h), before + 1);
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), BP_RESET_WARM);
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
    out8(h, 0x505, 0x02);
    assert_int_equal(fake_log_count(h), before + 2);
    fake_host_free(h);
}

static void unknown_panic_events_are_told_and_ignored(void **state)
{
    struct fake_host *h = fake_host_new(DEV_PC, "pvpanic", &panic_defaults);
    uint32_t level;

    (void)state;
    out8(h, 0x505, 0xf0);
    assert_int_equal(fake_request(h, NULL), 0);
    assert_string_equal(fake_log(h, &level),
                        "panic event 0xf0 has bits beyond 0x03, which are ignored");
    assert_int_equal(level, BP_LOG_DEBUG | BP_LOG_GUEST);
    out8(h, 0x505, 0x00);
    assert_int_equal(fake_log_count(h), 1);
    fake_host_free(h);
}

static void the_tables_have_a_panic_device(void **state)
{
    struct panic_config c = {.port = 0x520};
    struct fake_host *h = fake_host_new(DEV_PC, "pvpanic", &c);
    struct recorded r = describe(h);

    (void)state;
    assert_int_equal(r.devices, 1);
    assert_string_equal(r.hid, "QEMU0001");
    assert_int_equal(r.port, 0x520);
    assert_int_equal(r.ports, 1);
    assert_int_equal(r.irq, UINT32_MAX);
    assert_int_equal(r.powers, 0);
    fake_host_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_code_is_what_was_written),
        cmocka_unit_test(exit_code_has_32_bits_where_there_are_four_ports),
        cmocka_unit_test(exit_port_reads_zero_and_its_neighbours_are_not_its_own),
        cmocka_unit_test(exit_ports_beyond_the_last_are_refused),
        cmocka_unit_test(debug_port_writes_to_its_backend),
        cmocka_unit_test(debug_port_without_a_backend_discards),
        cmocka_unit_test(debug_port_keeps_what_a_slow_backend_does_not_take),
        cmocka_unit_test(debug_port_says_once_that_output_is_lost),
        cmocka_unit_test(debug_port_discards_input),
        cmocka_unit_test(debug_port_output_survives_a_snapshot),
        cmocka_unit_test(debug_port_refuses_a_snapshot_beyond_its_buffer),
        cmocka_unit_test(debug_port_refuses_a_reference_to_something_else),
        cmocka_unit_test(panic_port_tells_what_it_understands),
        cmocka_unit_test(a_panic_ends_the_machine),
        cmocka_unit_test(a_crash_kernel_does_not_end_the_machine),
        cmocka_unit_test(bad_a_flood_of_crash_kernels_is_told_once),
        cmocka_unit_test(unknown_panic_events_are_told_and_ignored),
        cmocka_unit_test(the_tables_have_a_panic_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
