/* SPDX-License-Identifier: MIT
 *
 * dev-uart/test_uart.c - the 16550A's registers, interrupts and modem lines, as the PC16550D
 * datasheet has them.
 *
 * It does not prove that a driver works; guests do that.
 */
#include "fake_char.h"
#include "fakes/host.h"
#include "regs.h"
#include "uart.h"

#include <backplane/ext/acpi.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PORT 0x3f8u
#define LINE 4u
/* Four characters of 8N1 at divisor 12 with the PC's crystal: 4 * 10 * 16 * 12 / 1843200 s. */
#define TIMEOUT_NS UINT64_C(4166666)

struct fixture {
    struct fake_host *host;
    struct fake_char *chr;
    struct uart_config config;
};

static uint8_t in(struct fixture *f, uint32_t reg)
{
    return (uint8_t)fake_read(f->host, BP_SPACE_PIO, f->config.port + reg, 1);
}

static void out(struct fixture *f, uint32_t reg, uint32_t value)
{
    fake_write(f->host, BP_SPACE_PIO, f->config.port + reg, value, 1);
}

static uint32_t irq(struct fixture *f)
{
    return fake_irq_level(f->host, f->config.irq);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->chr = fake_char_new();
    f->config = (struct uart_config){.chardev = fake_peer(BP_CHAR_ID, &fake_char_ops, f->chr),
                                     .irq = LINE,
                                     .clock = 1843200,
                                     .port = PORT};
    f->host = fake_host_new(PLUGIN_FILE, NULL, &f->config);
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

/* As a driver does: 8N1, FIFOs on with trigger `fcr`, interrupts through. */
static void bring_up(struct fixture *f, uint32_t fcr, uint32_t ier)
{
    out(f, LCR, 3);
    out(f, FCR, fcr);
    out(f, MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    in(f, MSR);
    out(f, IER, ier);
    fake_irq_edges(f->host, LINE);
}

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

/* ---- interrupts
 * ---------------------------------------------------------------------------------- */

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

/* ---- snapshots and ACPI
 * --------------------------------------------------------------------------- */

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        TEST(snapshot_carries_everything),
        TEST(bad_snapshot_is_refused_and_the_port_reset),
        TEST(bad_snapshot_with_a_time_out_of_nothing_is_refused),
        TEST(bad_snapshot_cannot_put_off_the_time_out),
        TEST(state_with_room_lets_the_backend_go_on),
        TEST(acpi_numbers_ports_as_com1_to_com4),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
