/* SPDX-License-Identifier: MIT
 *
 * dev-uart/test_uart_interrupts.c - the 16550A's interrupts, as the PC16550D datasheet has them:
 * when each comes, what ends it, which comes first.
 */
#include "fixture.h"

static void thre_interrupt_comes_when_enabled_and_goes_when_iir_is_read(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, IER_ETBEI);
    assert_int_equal(irq(f), 1);
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_THRE);
    assert_int_equal(irq(f), 0);
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_NONE);
    out(f, THR, 'a');
    assert_int_equal(irq(f), 1);
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_THRE);
    assert_int_equal(irq(f), 0);
    /* Off and on again raises it again: drivers test for the bug of chips that do not. */
    out(f, IER, 0);
    out(f, IER, IER_ETBEI);
    assert_int_equal(irq(f), 1);
}

static void thre_interrupt_waits_for_the_backend(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, IER_ETBEI);
    in(f, IIR);
    f->chr->room = 0;
    out(f, THR, 'a');
    assert_int_equal(irq(f), 0);
    assert_int_equal(in(f, LSR) & (LSR_THRE | LSR_TEMT), 0);
    fake_char_open(f->chr, UINT64_MAX);
    assert_int_equal(irq(f), 1);
    assert_int_equal(in(f, LSR) & (LSR_THRE | LSR_TEMT), LSR_THRE | LSR_TEMT);
    fake_char_expect(f->chr, "a");
}

static void writing_thr_clears_a_pending_thre_interrupt(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, IER_ETBEI);
    f->chr->room = 0;
    assert_int_equal(irq(f), 1);
    out(f, THR, 'a');
    assert_int_equal(irq(f), 0);
}

static void received_data_interrupt_goes_with_the_data(void **state)
{
    struct fixture *f = *state;

    bring_up(f, 0, IER_ERBFI);
    assert_int_equal(fake_char_give(f->chr, "xy", 2), 1);
    assert_int_equal(irq(f), 1);
    assert_int_equal(in(f, IIR), IIR_RDA);
    assert_int_equal(in(f, LSR) & LSR_DR, LSR_DR);
    assert_int_equal(in(f, RBR), 'x');
    assert_int_equal(irq(f), 0);
    assert_int_equal(in(f, LSR) & LSR_DR, 0);
    assert_int_equal(f->chr->resumes, 1);
}

static void trigger_levels_are_1_4_8_and_14(void **state)
{
    static const unsigned levels[] = {1, 4, 8, 14};
    struct fixture *f = *state;

    for (uint32_t t = 0; t < 4; t++) {
        bring_up(f, t << 6 | FCR_ENABLE | FCR_RCVR_RESET, IER_ERBFI);
        for (unsigned n = 1; n <= 16; n++) {
            assert_int_equal(fake_char_give(f->chr, &"0123456789abcdef"[n - 1], 1), 1);
            assert_int_equal(irq(f), n >= levels[t]);
        }
        assert_int_equal(in(f, IIR), IIR_FIFO | IIR_RDA);
        assert_int_equal(fake_char_give(f->chr, "z", 1), 0);
        for (unsigned n = 16; n > 0; n--) {
            assert_int_equal(irq(f), n >= levels[t]);
            assert_int_equal(in(f, RBR), "0123456789abcdef"[16 - n]);
        }
        assert_int_equal(irq(f), 0);
    }
}

static void time_out_comes_after_four_characters_without_a_move(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE | 0xc0, IER_ERBFI);
    fake_char_give(f->chr, "a", 1);
    fake_advance_ns(f->host, TIMEOUT_NS - 1);
    fake_char_give(f->chr, "b", 1); /* starts it anew */
    fake_advance_ns(f->host, TIMEOUT_NS - 1);
    assert_int_equal(irq(f), 0);
    fake_advance_ns(f->host, 1);
    assert_int_equal(irq(f), 1);
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_CTI);
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_CTI); /* IIR does not clear it */
    assert_int_equal(in(f, RBR), 'a');
    assert_int_equal(irq(f), 0);
    fake_advance_ns(f->host, TIMEOUT_NS - 1);
    assert_int_equal(irq(f), 0);
    fake_advance_ns(f->host, 1); /* the read started it anew */
    assert_int_equal(irq(f), 1);
    assert_int_equal(in(f, RBR), 'b');
    fake_advance_ns(f->host, 10 * TIMEOUT_NS);
    assert_int_equal(irq(f), 0);
}

static void time_out_knows_the_frame(void **state)
{
    static const struct {
        uint8_t lcr, divisor;
        uint32_t half_bits;
    } frames[] = {{0x00, 12, 14}, {0x04, 12, 15}, {0x03, 12, 20}, {0x07, 12, 22},
                  {0x1f, 12, 24}, {0x1f, 1, 24},  {0x0a, 96, 20}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        uint64_t ns = UINT64_C(32000000000) * frames[i].half_bits * frames[i].divisor / 1843200u;

        bring_up(f, FCR_ENABLE | 0xc0, IER_ERBFI);
        out(f, LCR, LCR_DLAB);
        out(f, DLL, frames[i].divisor);
        out(f, LCR, frames[i].lcr);
        fake_char_give(f->chr, "a", 1);
        fake_advance_ns(f->host, ns - 1);
        assert_int_equal(irq(f), 0);
        fake_advance_ns(f->host, 1);
        assert_int_equal(irq(f), 1);
        in(f, RBR);
    }
}

static void time_out_is_that_of_the_newest_rate(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE | 0xc0, IER_ERBFI);
    out(f, LCR, LCR_DLAB);
    out(f, DLM, 0xff);
    out(f, LCR, 3);
    fake_char_give(f->chr, "a", 1); /* half a minute */
    out(f, LCR, LCR_DLAB);
    out(f, DLM, 0);
    out(f, LCR, 3);
    fake_char_give(f->chr, "b", 1);
    fake_advance_ns(f->host, TIMEOUT_NS);
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_CTI);
}

static void no_time_out_in_16450_mode(void **state)
{
    struct fixture *f = *state;

    bring_up(f, 0, IER_ERBFI);
    fake_char_give(f->chr, "a", 1);
    fake_advance_ns(f->host, 100 * TIMEOUT_NS);
    assert_int_equal(in(f, IIR), IIR_RDA);
}

static void line_status_interrupt_goes_when_lsr_is_read(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, IER_ELSI);
    fake_char_event(f->chr, BP_CHAR_BREAK);
    assert_int_equal(irq(f), 1);
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_RLS);
    assert_int_equal(in(f, LSR), LSR_DR | LSR_BI | LSR_THRE | LSR_TEMT | LSR_FIFO_ERROR);
    assert_int_equal(irq(f), 0);
    assert_int_equal(in(f, LSR), LSR_DR | LSR_THRE | LSR_TEMT);
    assert_int_equal(in(f, RBR), 0);
}

static void break_shows_when_its_byte_is_at_the_top(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, IER_ELSI);
    fake_char_give(f->chr, "a", 1);
    fake_char_event(f->chr, BP_CHAR_BREAK);
    fake_char_give(f->chr, "b", 1);
    assert_int_equal(irq(f), 0);
    assert_int_equal(in(f, LSR) & (LSR_BI | LSR_FIFO_ERROR), LSR_FIFO_ERROR);
    assert_int_equal(in(f, LSR) & (LSR_BI | LSR_FIFO_ERROR), LSR_FIFO_ERROR);
    assert_int_equal(in(f, RBR), 'a');
    assert_int_equal(irq(f), 1);
    assert_int_equal(in(f, LSR) & (LSR_BI | LSR_FIFO_ERROR), LSR_BI | LSR_FIFO_ERROR);
    assert_int_equal(in(f, RBR), 0);
    assert_int_equal(in(f, RBR), 'b');
    assert_int_equal(in(f, LSR) & (LSR_BI | LSR_FIFO_ERROR), 0);
}

static void break_waits_while_the_fifo_is_full(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, 0);
    assert_int_equal(fake_char_give(f->chr, "0123456789abcdef", 16), 16);
    fake_char_event(f->chr, BP_CHAR_BREAK);
    assert_int_equal(fake_char_give(f->chr, "z", 1), 0); /* it comes after the break */
    assert_int_equal(in(f, RBR), '0');
    for (int i = 1; i < 16; i++)
        assert_int_equal(in(f, RBR), "0123456789abcdef"[i]);
    assert_int_equal(in(f, LSR) & (LSR_BI | LSR_OE), LSR_BI);
    assert_int_equal(in(f, RBR), 0);
    assert_int_equal(f->chr->resumes, 1);
}

static void modem_status_interrupt_follows_the_backend(void **state)
{
    struct fixture *f = *state;

    bring_up(f, 0, IER_EDSSI);
    fake_char_event(f->chr, BP_CHAR_OPENED);
    assert_int_equal(irq(f), 0);
    fake_char_event(f->chr, BP_CHAR_HANGUP);
    assert_int_equal(irq(f), 1);
    assert_int_equal(in(f, IIR), IIR_MS);
    assert_int_equal(in(f, MSR), MSR_DDCD | MSR_DDSR | MSR_DCTS);
    assert_int_equal(irq(f), 0);
    assert_int_equal(in(f, MSR), 0);
    fake_char_event(f->chr, BP_CHAR_OPENED);
    assert_int_equal(in(f, MSR), MSR_DDCD | MSR_DDSR | MSR_DCTS | MSR_CTS | MSR_DSR | MSR_DCD);
    fake_char_event(f->chr, BP_CHAR_RESIZED);
    assert_int_equal(irq(f), 0);
}

static void priorities_are_line_status_data_transmitter_modem(void **state)
{
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, IER_MASK);
    fake_char_event(f->chr, BP_CHAR_HANGUP);
    fake_char_event(f->chr, BP_CHAR_BREAK);
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_RLS);
    in(f, LSR);
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_RDA);
    in(f, RBR);
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_THRE); /* not cleared by the reads above */
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_MS);
    assert_int_equal(irq(f), 1);
    in(f, MSR);
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_NONE);
    assert_int_equal(irq(f), 0);
    assert_int_equal(fake_irq_edges(f->host, LINE), 0); /* it stayed up all the while */
}

static void ier_masks_each_source_alone(void **state)
{
    static const uint8_t ids[] = {IIR_RDA, IIR_THRE, IIR_RLS, IIR_MS};
    struct fixture *f = *state;

    bring_up(f, FCR_ENABLE, 0);
    out(f, THR, 'x');
    fake_char_event(f->chr, BP_CHAR_HANGUP);
    fake_char_event(f->chr, BP_CHAR_BREAK);
    assert_int_equal(in(f, IIR), IIR_FIFO | IIR_NONE);
    assert_int_equal(irq(f), 0);
    for (uint32_t bit = 0; bit < 4; bit++) {
        out(f, IER, 1u << bit);
        assert_int_equal(irq(f), 1);
        assert_int_equal(in(f, IIR), IIR_FIFO | ids[bit]);
        out(f, IER, 0);
        assert_int_equal(irq(f), 0);
    }
}

static void out2_gates_the_line(void **state)
{
    struct fixture *f = *state;

    bring_up(f, 0, IER_ETBEI);
    assert_int_equal(irq(f), 1);
    out(f, MCR, 0);
    assert_int_equal(irq(f), 0);
    out(f, MCR, MCR_OUT2);
    assert_int_equal(irq(f), 1);
    assert_int_equal(in(f, IIR), IIR_THRE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(thre_interrupt_comes_when_enabled_and_goes_when_iir_is_read),
        TEST(thre_interrupt_waits_for_the_backend),
        TEST(writing_thr_clears_a_pending_thre_interrupt),
        TEST(received_data_interrupt_goes_with_the_data),
        TEST(trigger_levels_are_1_4_8_and_14),
        TEST(time_out_comes_after_four_characters_without_a_move),
        TEST(time_out_knows_the_frame),
        TEST(time_out_is_that_of_the_newest_rate),
        TEST(no_time_out_in_16450_mode),
        TEST(line_status_interrupt_goes_when_lsr_is_read),
        TEST(break_shows_when_its_byte_is_at_the_top),
        TEST(break_waits_while_the_fifo_is_full),
        TEST(modem_status_interrupt_follows_the_backend),
        TEST(priorities_are_line_status_data_transmitter_modem),
        TEST(ier_masks_each_source_alone),
        TEST(out2_gates_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
