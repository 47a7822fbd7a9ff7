/* SPDX-License-Identifier: MIT
 *
 * dev-uart/test_uart_state.c - the 16550A's state in snapshots, good and damaged, and what it says
 * of itself to ACPI.
 */
#include "fixture.h"

#include <backplane/ext/acpi.h>
#include <errno.h>
#include <string.h>

static void snapshot_carries_everything(void **state)
{
    struct fixture *f = *state;
    struct fixture g = {.config = f->config, .chr = fake_char_new()};

    g.config.chardev = fake_peer(BP_CHAR_ID, &fake_char_ops, g.chr);
    g.host = fake_host_new(PLUGIN_FILE, NULL, &g.config);
    bring_up(f, FCR_ENABLE | 0x80, IER_MASK);
    out(f, SCR, 0xa5);
    out(f, LCR, LCR_DLAB);
    out(f, DLL, 0x21);
    out(f, DLM, 0x03);
    out(f, LCR, LCR_BREAK | 3);
    f->chr->room = 3;
    for (int i = 0; i < 8; i++)
        out(f, THR, (uint32_t)('a' + i));
    fake_char_give(f->chr, "xy", 2);
    fake_char_event(f->chr, BP_CHAR_BREAK);
    fake_move_state(f->host, g.host);
    assert_int_equal(g.chr->break_on, 1);
    assert_int_equal(fake_irq_level(g.host, LINE), irq(f));
    fake_advance_ns(g.host, 0);
    fake_char_expect(g.chr, "defgh"); /* what the first backend did not take */
    assert_int_equal(in(&g, IIR), IIR_FIFO | IIR_THRE);
    assert_int_equal(in(&g, SCR), 0xa5);
    assert_int_equal(in(&g, MCR), MCR_DTR | MCR_RTS | MCR_OUT2);
    assert_int_equal(in(&g, IER), IER_MASK);
    assert_int_equal(in(&g, IIR), IIR_FIFO | IIR_NONE);
    fake_advance_ns(g.host, UINT64_C(1000000000)); /* the time-out was running */
    assert_int_equal(in(&g, IIR), IIR_FIFO | IIR_CTI);
    assert_int_equal(in(&g, RBR), 'x');
    assert_int_equal(in(&g, RBR), 'y');
    assert_int_equal(in(&g, LSR) & LSR_BI, LSR_BI);
    out(&g, LCR, LCR_DLAB);
    assert_int_equal(in(&g, DLL), 0x21);
    assert_int_equal(in(&g, DLM), 0x03);
    fake_host_free(g.host);
    free(g.chr);
}

static void bad_snapshot_is_refused_and_the_port_reset(void **state)
{
    struct fixture *f = *state;
    const struct bp_instance_ops *ops = fake_ops(f->host);
    void *self = fake_self(f->host);
    static const char *const names[] = {"tx_head", "rx_head", "tx_count", "rx_count", "rx_bad"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct bp_field *field = ops->fields;

        while (strcmp(field->name, names[i]) != 0)
            field++;
        ops->stop(self);
        ((uint8_t *)self)[field->offset] = 200;
        assert_int_equal(ops->after_load(self), -EINVAL);
        assert_string_equal(fake_failure(), "the snapshot's serial port is in a state that no "
                                            "16550A can have; the file is damaged");
        ops->start(self);
        assert_int_equal(in(f, LSR), LSR_THRE | LSR_TEMT);
    }
}

static void put_field(struct fixture *f, const char *name, uint64_t value)
{
    const struct bp_field *field = fake_ops(f->host)->fields;

    while (strcmp(field->name, name) != 0)
        field++;
    memcpy((uint8_t *)fake_self(f->host) + field->offset, &value, field->width);
}

/* A time-out of an empty FIFO would interrupt for ever: no read of RBR ends it. */
static void bad_snapshot_with_a_time_out_of_nothing_is_refused(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, IER_ERBFI);
    fake_ops(f->host)->stop(fake_self(f->host));
    put_field(f, "rx_timed_out", 1);
    assert_int_equal(fake_ops(f->host)->after_load(fake_self(f->host)), -EINVAL);
    fake_ops(f->host)->start(fake_self(f->host));
    assert_int_equal(irq(f), 0);
}

/* However late a file says: half a minute is the most that a rate makes of it. */
static void bad_snapshot_cannot_put_off_the_time_out(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE | 0xc0, IER_ERBFI);
    fake_char_give(f->chr, "a", 1);
    fake_ops(f->host)->stop(fake_self(f->host));
    put_field(f, "rx_deadline_ns", UINT64_MAX);
    assert_int_equal(fake_ops(f->host)->after_load(fake_self(f->host)), 0);
    fake_ops(f->host)->start(fake_self(f->host));
    fake_advance_ns(f->host, UINT64_C(30000000000));
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_CTI);
}

/* The backend kept input for a full receiver; the one that is loaded has room, and nobody would
 * ask for it later. */
static void state_with_room_lets_the_backend_go_on(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, 0);
    assert_int_equal(fake_char_give(f->chr, "0123456789abcdefghij", 20), 16);
    fake_ops(f->host)->stop(fake_self(f->host));
    put_field(f, "rx_count", 0);
    assert_int_equal(fake_ops(f->host)->after_load(fake_self(f->host)), 0);
    assert_int_equal(f->chr->resumes, 1);
    fake_ops(f->host)->start(fake_self(f->host));
    fake_char_event(f->chr, BP_CHAR_BREAK);
    assert_int_equal(in(f, LSR) & LSR_BI, LSR_BI);
}

static uint32_t described_uid;
static uint32_t described_irq;

static void take_device(struct bp_acpi_builder *b, const char *hid, uint32_t uid, uint16_t port,
                        uint16_t port_count, uint32_t line)
{
    (void)b;
    assert_string_equal(hid, "PNP0501");
    assert_int_equal(port_count, 8);
    assert_true(port == 0x3f8 || port == 0x2f8 || port == 0x3e8 || port == 0x2e8 || port == 0x100);
    described_uid = uid;
    described_irq = line;
}

static void acpi_numbers_ports_as_com1_to_com4(void **state)
{
    static const uint16_t ports[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8, 0x100};
    struct bp_acpi_builder b = {.size = sizeof(b), .device = take_device};
    struct fixture *f = *state;

    for (uint32_t i = 0; i < 5; i++) {
        struct uart_config config = f->config;
        const struct bp_acpi *acpi;
        struct fake_host *h;

        config.chardev = NULL;
        config.port = ports[i];
        config.irq = i;
        h = fake_host_new(PLUGIN_FILE, NULL, &config);
        acpi = fake_ops(h)->extension(fake_self(h), BP_ACPI_ID);
        assert_non_null(acpi);
        acpi->describe(fake_self(h), &b);
        if (i < 4)
            assert_int_equal(described_uid, i + 1);
        else
            assert_true(described_uid >= 5);
        assert_int_equal(described_irq, i);
        assert_null(fake_ops(h)->extension(fake_self(h), "bp.net/1"));
        fake_host_free(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(snapshot_carries_everything),
        TEST(bad_snapshot_is_refused_and_the_port_reset),
        TEST(bad_snapshot_with_a_time_out_of_nothing_is_refused),
        TEST(bad_snapshot_cannot_put_off_the_time_out),
        TEST(state_with_room_lets_the_backend_go_on),
        TEST(acpi_numbers_ports_as_com1_to_com4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
