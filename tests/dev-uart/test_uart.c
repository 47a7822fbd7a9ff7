/* SPDX-License-Identifier: MIT
 *
 * dev-uart/test_uart.c - the 16550A's registers, loopback and FIFOs, as the PC16550D datasheet has
 * them, and guests and machine files that are bad.
 *
 * It does not prove that a driver works; guests do that.
 */
#include "fixture.h"

#include <errno.h>

static void reset_values_are_the_datasheets(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(in(f, IER), 0);
    assert_int_equal(in(f, IIR), IIR_NONE);
    assert_int_equal(in(f, LCR), 0);
    assert_int_equal(in(f, MCR), 0);
    assert_int_equal(in(f, LSR), LSR_THRE | LSR_TEMT);
    assert_int_equal(in(f, MSR), MSR_CTS | MSR_DSR | MSR_DCD);
    assert_int_equal(in(f, SCR), 0);
    assert_int_equal(irq(f), 0);
}

static void scratch_ier_mcr_and_lcr_keep_their_bits(void **state)
{
    struct fixture *f = *state;

    for (uint32_t v = 0; v < 256; v++) {
        out(f, SCR, v);
        assert_int_equal(in(f, SCR), v);
        out(f, LCR, v & 0x7f);
        assert_int_equal(in(f, LCR), v & 0x7f);
        out(f, LCR, 3);
        out(f, IER, v);
        assert_int_equal(in(f, IER), v & 0x0f);
        out(f, MCR, v);
        assert_int_equal(in(f, MCR), v & 0x1f);
    }
}

static void divisor_latch_hides_data_and_ier(void **state)
{
    struct fixture *f = *state;

    out(f, LCR, LCR_DLAB | 3);
    assert_int_equal(in(f, DLL), 12);
    out(f, DLL, 0x34);
    out(f, DLM, 0x12);
    assert_int_equal(in(f, DLL), 0x34);
    assert_int_equal(in(f, DLM), 0x12);
    out(f, LCR, 3);
    assert_int_equal(in(f, IER), 0);
    fake_char_expect(f->chr, "");
}

static void probe_of_a_driver_finds_a_16550a(void **state)
{
    struct fixture *f = *state;

    /* The steps of Linux's autoconfig: IER bits, loopback of the modem lines, the FIFO bits of IIR.
     */
    out(f, IER, 0);
    assert_int_equal(in(f, IER), 0);
    out(f, IER, 0x0f);
    assert_int_equal(in(f, IER), 0x0f);
    out(f, IER, 0);
    out(f, MCR, MCR_LOOP | 0x0a);
    assert_int_equal(in(f, MSR) & 0xf0, 0x90);
    out(f, MCR, 0);
    out(f, LCR, 0);
    out(f, FCR, FCR_ENABLE);
    assert_int_equal(in(f, IIR) >> 6, 3);
    /* No 64-byte FIFO of a 16750, no EFR of a 16650, no RSA. */
    out(f, FCR, FCR_ENABLE | 0x20);
    assert_int_equal(in(f, IIR) >> 5, 6);
    out(f, LCR, LCR_DLAB);
    out(f, FCR, FCR_ENABLE | 0x20);
    assert_int_equal(in(f, IIR) >> 5, 6);
    out(f, LCR, 0xbf);
    out(f, FCR, 0x10);
    assert_int_equal(in(f, FCR) & 0x10, 0);
    fake_char_expect(f->chr, "");
}

static void warm_reset_keeps_divisor_and_scratch(void **state)
{
    struct fixture *f = *state;
    const struct bp_instance_ops *ops = fake_ops(f->host);

    out(f, SCR, 0x5a);
    out(f, LCR, LCR_DLAB);
    out(f, DLL, 1);
    ops->stop(fake_self(f->host));
    ops->reset(fake_self(f->host), BP_RESET_WARM);
    ops->start(fake_self(f->host));
    assert_int_equal(in(f, LCR), 0);
    assert_int_equal(in(f, SCR), 0x5a);
    out(f, LCR, LCR_DLAB);
    assert_int_equal(in(f, DLL), 1);
    ops->stop(fake_self(f->host));
    ops->reset(fake_self(f->host), BP_RESET_COLD);
    ops->start(fake_self(f->host));
    assert_int_equal(in(f, SCR), 0);
    out(f, LCR, LCR_DLAB);
    assert_int_equal(in(f, DLL), 12);
}

static void reset_drops_the_interrupt_and_the_break(void **state)
{
    struct fixture *f = *state;
    const struct bp_instance_ops *ops = fake_ops(f->host);

    bring_up(f, 0, IER_ETBEI);
    out(f, LCR, LCR_BREAK | 3);
    assert_int_equal(irq(f), 1);
    assert_int_equal(f->chr->break_on, 1);
    ops->stop(fake_self(f->host));
    ops->reset(fake_self(f->host), BP_RESET_WARM);
    ops->start(fake_self(f->host));
    assert_int_equal(irq(f), 0);
    assert_int_equal(f->chr->break_on, 0);
}

static void output_reaches_the_backend_at_once(void **state)
{
    struct fixture *f = *state;

    for (const char *s = "hello"; *s; s++) {
        assert_int_equal(in(f, LSR) & LSR_THRE, LSR_THRE);
        out(f, THR, (uint8_t)*s);
    }
    fake_char_expect(f->chr, "hello");
}

static void output_without_a_backend_is_discarded(void **state)
{
    struct fixture *f = *state;
    struct uart_config config = f->config;
    struct fixture g = {.config = config};

    g.config.chardev = NULL;
    g.host = fake_host_new(PLUGIN_FILE, "16550a", &g.config);
    for (int i = 0; i < 100; i++) {
        out(&g, THR, 'x');
        assert_int_equal(in(&g, LSR), LSR_THRE | LSR_TEMT);
    }
    out(&g, LCR, LCR_BREAK);
    out(&g, LCR, 0);
    fake_host_free(g.host);
}

static void wide_accesses_are_split_into_registers(void **state)
{
    struct fixture *f = *state;

    fake_write(f->host, BP_SPACE_PIO, PORT + LCR, 0x0003, 2); /* LCR 3, MCR 0 */
    assert_int_equal(in(f, LCR), 3);
    out(f, SCR, 0x77);
    assert_int_equal(fake_read(f->host, BP_SPACE_PIO, PORT + 4, 4), 0x77b06000);
    assert_int_equal(fake_read(f->host, BP_SPACE_PIO, PORT, 8) >> 32, 0x77b06000);
    /* Beyond the last register there is nothing. */
    assert_int_equal(fake_read(f->host, BP_SPACE_PIO, PORT + SCR, 2), 0xff77);
    fake_write(f->host, BP_SPACE_PIO, PORT + SCR, 0xaabb, 2);
    assert_int_equal(in(f, SCR), 0xbb);
}

static void lsr_and_msr_ignore_writes(void **state)
{
    struct fixture *f = *state;

    out(f, LSR, 0xff);
    out(f, MSR, 0xff);
    assert_int_equal(in(f, LSR), LSR_THRE | LSR_TEMT);
    assert_int_equal(in(f, MSR), MSR_CTS | MSR_DSR | MSR_DCD);
}

/* ---- loopback
 * ------------------------------------------------------------------------------------ */

static void loopback_returns_bytes_and_sends_none(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, IER_ERBFI);
    out(f, MCR, MCR_LOOP | MCR_OUT2);
    for (int i = 0; i < 16; i++)
        out(f, THR, (uint32_t)('a' + i));
    assert_int_equal(irq(f), 1);
    for (int i = 0; i < 16; i++)
        assert_int_equal(in(f, RBR), 'a' + i);
    assert_int_equal(in(f, LSR), LSR_THRE | LSR_TEMT);
    fake_char_expect(f->chr, "");
}

static void loopback_overruns_a_full_fifo_and_keeps_it(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, IER_ELSI);
    out(f, MCR, MCR_LOOP | MCR_OUT2);
    for (int i = 0; i < 17; i++)
        out(f, THR, (uint32_t)('a' + i));
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_RLS);
    assert_int_equal(in(f, LSR), LSR_DR | LSR_OE | LSR_THRE | LSR_TEMT);
    assert_int_equal(in(f, LSR), LSR_DR | LSR_THRE | LSR_TEMT);
    for (int i = 0; i < 16; i++)
        assert_int_equal(in(f, RBR), 'a' + i);
    assert_int_equal(in(f, LSR) & LSR_DR, 0);
}

static void loopback_overrun_in_16450_mode_keeps_the_newer(void **state)
{
    struct fixture *f = *state;

    out(f, MCR, MCR_LOOP);
    out(f, THR, 'a');
    out(f, THR, 'b');
    assert_int_equal(in(f, LSR), LSR_DR | LSR_OE | LSR_THRE | LSR_TEMT);
    assert_int_equal(in(f, RBR), 'b');
    assert_int_equal(in(f, LSR) & LSR_DR, 0);
}

static void loopback_joins_modem_outputs_to_inputs(void **state)
{
    struct fixture *f = *state;

    for (uint32_t v = 0; v < 16; v++) {
        uint32_t expect = (v & MCR_RTS ? MSR_CTS : 0) | (v & MCR_DTR ? MSR_DSR : 0) |
                          (v & MCR_OUT1 ? MSR_RI : 0) | (v & MCR_OUT2 ? MSR_DCD : 0);

        out(f, MCR, MCR_LOOP | v);
        assert_int_equal(in(f, MSR) & MSR_LINES, expect);
    }
    out(f, MCR, 0);
    assert_int_equal(in(f, MSR) & MSR_LINES, MSR_CTS | MSR_DSR | MSR_DCD);
}

static void deltas_count_changes_and_only_the_end_of_a_ring(void **state)
{
    struct fixture *f = *state;

    out(f, MCR, MCR_LOOP);
    in(f, MSR);
    out(f, MCR, MCR_LOOP | MCR_OUT1);
    assert_int_equal(in(f, MSR), MSR_RI);
    out(f, MCR, MCR_LOOP);
    assert_int_equal(in(f, MSR), MSR_TERI);
    out(f, MCR, MCR_LOOP | MCR_RTS);
    assert_int_equal(in(f, MSR), MSR_CTS | MSR_DCTS);
    out(f, MCR, MCR_LOOP | MCR_RTS | MCR_DTR);
    assert_int_equal(in(f, MSR), MSR_CTS | MSR_DSR | MSR_DDSR);
    out(f, MCR, MCR_LOOP | MCR_OUT2);
    assert_int_equal(in(f, MSR), MSR_DCD | MSR_DDCD | MSR_DCTS | MSR_DDSR);
}

static void input_waits_while_in_loopback(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, 0);
    out(f, MCR, MCR_LOOP);
    assert_int_equal(fake_char_give(f->chr, "a", 1), 0);
    assert_int_equal(f->chr->resumes, 0);
    out(f, MCR, 0);
    assert_int_equal(f->chr->resumes, 1);
    assert_int_equal(fake_char_give(f->chr, "a", 1), 1);
    assert_int_equal(in(f, RBR), 'a');
}

static void break_control_reaches_the_backend_but_not_in_loopback(void **state)
{
    struct fixture *f = *state;

    out(f, LCR, LCR_BREAK | 3);
    assert_int_equal(f->chr->break_on, 1);
    out(f, LCR, LCR_BREAK | 2);
    assert_int_equal(f->chr->breaks, 1);
    out(f, MCR, MCR_LOOP);
    assert_int_equal(f->chr->break_on, 0);
    out(f, MCR, 0);
    assert_int_equal(f->chr->break_on, 1);
    out(f, LCR, 3);
    assert_int_equal(f->chr->break_on, 0);
    assert_int_equal(f->chr->breaks, 4);
}

/* ---- FIFO control
 * -------------------------------------------------------------------------------- */

static void fifo_resets_clear_one_fifo_each(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, 0);
    f->chr->room = 0;
    out(f, THR, 'a');
    fake_char_give(f->chr, "x", 1);
    out(f, FCR, FCR_ENABLE | FCR_RCVR_RESET);
    assert_int_equal(in(f, LSR), 0);
    fake_char_give(f->chr, "y", 1);
    out(f, FCR, FCR_ENABLE | FCR_XMIT_RESET);
    assert_int_equal(in(f, LSR), LSR_DR | LSR_THRE | LSR_TEMT);
    assert_int_equal(in(f, RBR), 'y');
    fake_char_open(f->chr, UINT64_MAX);
    fake_char_expect(f->chr, "");
}

static void changing_the_enable_bit_clears_both_fifos(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, IER_ETBEI);
    in(f, IIR);
    f->chr->room = 0;
    out(f, THR, 'a');
    fake_char_give(f->chr, "xyz", 3);
    out(f, FCR, 0);
    assert_int_equal(in(f, LSR), LSR_THRE | LSR_TEMT);
    assert_int_equal(irq(f), 1);
    assert_int_equal(in(f, IIR), IIR_THRE);
}

static void fcr_bits_do_nothing_without_the_enable_bit(void **state)
{
    struct fixture *f = *state;

    bring_up(f, 0, 0);
    fake_char_give(f->chr, "x", 1);
    out(f, FCR, 0xc0 | FCR_RCVR_RESET);
    assert_int_equal(in(f, RBR), 'x');
}

/* ---- bad input
 * ----------------------------------------------------------------------------------- */

static void bad_67_divisor_zero_is_harmless(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE | 0xc0, IER_ERBFI);
    out(f, LCR, LCR_DLAB | 3);
    out(f, DLL, 0);
    out(f, DLM, 0);
    out(f, LCR, 3);
    out(f, THR, 'a');
    fake_char_give(f->chr, "x", 1);
    fake_advance_ns(f->host, TIMEOUT_NS);
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_CTI);
    fake_char_expect(f->chr, "a");
}

static void bad_67_storms_of_fcr_lcr_ier_and_mcr_leave_a_working_port(void **state)
{
    struct fixture *f = *state;
    uint32_t seed = 1;

    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525u + 1013904223u;
        out(f, seed >> 28 & 7, seed >> 8);
        if (seed >> 20 & 1)
            in(f, seed >> 24 & 7);
        if ((seed >> 16 & 7) == 0)
            fake_char_give(f->chr, "0123456789abcdefghij", seed >> 10 & 15);
        if ((seed >> 13 & 15) == 0)
            fake_char_event(f->chr, 1 + (seed >> 5 & 3));
        if ((seed >> 9 & 63) == 0)
            f->chr->room = 0;
        if ((seed >> 9 & 31) == 1)
            fake_char_open(f->chr, UINT64_MAX);
        fake_advance_ns(f->host, seed >> 12);
        f->chr->len = 0;
    }
    fake_char_open(f->chr, UINT64_MAX);
    fake_char_event(f->chr, BP_CHAR_OPENED);
    bring_up(f, FCR_ENABLE | FCR_RCVR_RESET | FCR_XMIT_RESET, 0);
    in(f, LSR);
    f->chr->len = 0;
    out(f, THR, 'k');
    fake_char_expect(f->chr, "k");
    while (in(f, LSR) & LSR_DR)
        in(f, RBR);
    assert_int_equal(fake_char_give(f->chr, "x", 1), 1);
    assert_int_equal(in(f, RBR), 'x');
    assert_int_equal(in(f, MSR), MSR_CTS | MSR_DSR | MSR_DCD);
}

static void bad_ports_taken_are_told(void **state)
{
    struct fixture *f = *state;
    struct uart_config config = f->config;
    struct fake_host *h;

    config.chardev = NULL;
    config.port = 0xfffc;
    assert_int_equal(fake_host_try(PLUGIN_FILE, NULL, &config, &h), -EINVAL);
    assert_string_equal(fake_failure(), "cannot place 8 ports at 0xfffc: Invalid argument; give "
                                        "`port` a value where they are free");
}

static void bad_chardev_that_is_taken_is_told(void **state)
{
    struct fixture *f = *state;
    struct fake_host *h;

    assert_int_equal(fake_host_try(PLUGIN_FILE, NULL, &f->config, &h), -EBUSY);
    assert_string_equal(fake_failure(),
                        "cannot use the section that `chardev` names: Device or resource busy; "
                        "name a character backend that no other device uses");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reset_values_are_the_datasheets),
        TEST(scratch_ier_mcr_and_lcr_keep_their_bits),
        TEST(divisor_latch_hides_data_and_ier),
        TEST(probe_of_a_driver_finds_a_16550a),
        TEST(warm_reset_keeps_divisor_and_scratch),
        TEST(reset_drops_the_interrupt_and_the_break),
        TEST(output_reaches_the_backend_at_once),
        TEST(output_without_a_backend_is_discarded),
        TEST(wide_accesses_are_split_into_registers),
        TEST(lsr_and_msr_ignore_writes),
        TEST(loopback_returns_bytes_and_sends_none),
        TEST(loopback_overruns_a_full_fifo_and_keeps_it),
        TEST(loopback_overrun_in_16450_mode_keeps_the_newer),
        TEST(loopback_joins_modem_outputs_to_inputs),
        TEST(deltas_count_changes_and_only_the_end_of_a_ring),
        TEST(input_waits_while_in_loopback),
        TEST(break_control_reaches_the_backend_but_not_in_loopback),
        TEST(fifo_resets_clear_one_fifo_each),
        TEST(changing_the_enable_bit_clears_both_fifos),
        TEST(fcr_bits_do_nothing_without_the_enable_bit),
        TEST(bad_67_divisor_zero_is_harmless),
        TEST(bad_67_storms_of_fcr_lcr_ier_and_mcr_leave_a_working_port),
        TEST(bad_ports_taken_are_told),
        TEST(bad_chardev_that_is_taken_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
