/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the models of dev-uart: accesses of a guest, a backend that gives, takes as much as it
 * wants and tells of breaks, time, state that moves to another instance, or that was changed
 * before. After each input an honest driver must be served.
 *
 *     1 byte    the model, with a backend or without, how fast the crystal is
 *     steps     one byte each says which, operands behind it
 */
#include "dev-uart/fake_char.h"
#include "instance_fuzz.h"

#include "regs.h"
#include "uart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OPTION_CONSOLE 1u
#define OPTION_ALONE 2u /* without a backend */
#define OPTION_SLOW 4u

#define PORT 0x3f8u
#define IRQ 4u
#define BASE UINT64_C(0xe0000000)
#define ROOM 4096u /* bytes that the backend takes at most before it is opened again */
#define STEPS_MAX 1000u
#define MOVES_MAX 4u
#define SECOND_NS UINT64_C(1000000000)
#define TIMEOUT_NS (1000 * SECOND_NS) /* more than four characters at 1 Hz */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An instance and its backend; there are two, one for what the state moves to. */
struct end {
    struct fake_char *chr;
    struct bp_node *node;
    struct uart_config uart;
    struct mmio_console_config console;
};

struct run {
    struct fuzz_input in;
    struct fake_host *host;
    struct fake_char *chr;
    uint32_t options, set, moves;
};

static struct end ends[2];

static uint32_t take(struct run *run, uint32_t bytes)
{
    return (uint32_t)fuzz_take(&run->in, bytes);
}

static int is_console(const struct run *run)
{
    return run->options & OPTION_CONSOLE;
}

static int has_backend(const struct run *run)
{
    return !(run->options & OPTION_ALONE);
}

/* An instance on backend `set`, which is as new. */
static struct fake_host *make(struct run *run, uint32_t set)
{
    struct end *e = &ends[set];
    struct bp_node *node;

    if (!e->chr) {
        e->chr = fake_char_new();
        e->node = fake_peer(BP_CHAR_ID, &fake_char_ops, e->chr);
    }
    memset(e->chr, 0, offsetof(struct fake_char, output));
    e->chr->room = ROOM;
    node = has_backend(run) ? e->node : NULL;
    e->uart = (struct uart_config){.chardev = node,
                                   .irq = IRQ,
                                   .clock = run->options & OPTION_SLOW ? 1 : 1843200,
                                   .port = PORT};
    e->console = (struct mmio_console_config){.chardev = node, .base = BASE};
    run->chr = e->chr;
    return is_console(run) ? fake_host_new(PLUGIN_FILE, "mmio-console", &e->console)
                           : fake_host_new(PLUGIN_FILE, "16550a", &e->uart);
}

static void out(struct run *run, uint32_t reg, uint32_t value)
{
    fake_write(run->host, BP_SPACE_PIO, PORT + reg, value, 1);
}

/* Where IIR says whether something is pending, the line must say the same. */
static uint8_t in(struct run *run, uint32_t reg)
{
    uint32_t level = fake_irq_level(run->host, IRQ);
    uint8_t mcr = (uint8_t)fake_read(run->host, BP_SPACE_PIO, PORT + MCR, 1);
    uint8_t value = (uint8_t)fake_read(run->host, BP_SPACE_PIO, PORT + reg, 1);

    if (reg == IIR)
        assert_int_equal(level, (mcr & MCR_OUT2) && !(value & IIR_NONE));
    return value;
}

/* ---- steps ---- */

static void access_register(struct run *run, uint32_t is_write)
{
    uint32_t at = take(run, 2), width = 1u << take(run, 1) % 4;

    if (!is_console(run) && is_write)
        out(run, at % UART_PORTS, at >> 8);
    else if (!is_console(run))
        in(run, at % UART_PORTS);
    else if (is_write)
        fake_write(run->host, BP_SPACE_MMIO, BASE + at % MMIO_CONSOLE_BYTES,
                   fuzz_take(&run->in, width), width);
    else
        fake_read(run->host, BP_SPACE_MMIO, BASE + at % MMIO_CONSOLE_BYTES, width);
}

/* One register again and again: fills and empties queues. */
static void access_many(struct run *run)
{
    uint32_t what = take(run, 1), count = take(run, 1);

    for (uint32_t i = 0; i < count; i++)
        if (is_console(run) && what & 1)
            fake_write(run->host, BP_SPACE_MMIO, BASE, i, 4);
        else if (is_console(run))
            fake_read(run->host, BP_SPACE_MMIO, BASE, 4);
        else if (what & 1)
            out(run, THR, i);
        else
            in(run, RBR);
}

static void give(struct run *run)
{
    uint8_t data[256];
    uint32_t len = take(run, 1);

    for (uint32_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i * 7 + len);
    if (has_backend(run))
        fake_char_give(run->chr, data, len);
}

/* `room`: from 0 on, which is told to the device if it waits for it. */
static void open_backend(struct run *run, uint64_t room)
{
    if (has_backend(run))
        fake_char_open(run->chr, room);
}

static void tell(struct run *run)
{
    static const uint32_t events[] = {BP_CHAR_OPENED, BP_CHAR_HANGUP, BP_CHAR_BREAK,
                                      BP_CHAR_RESIZED};

    if (has_backend(run))
        fake_char_event(run->chr, events[take(run, 1) % 4]);
}

/* The state moves to another instance, which goes on in the place of this one. */
static void move(struct run *run)
{
    struct fake_host *from = run->host, *to;

    if (run->moves == MOVES_MAX)
        return;
    run->moves++;
    run->set ^= 1;
    to = make(run, run->set);
    fake_move_state(from, to);
    fake_host_free(from);
    run->host = to;
}

static void rarely(struct run *run)
{
    switch (take(run, 1) % 4) {
    case 0:
        move(run);
        break;
    case 1:
        fuzz_reset(run->host, BP_RESET_WARM);
        break;
    default:
        fuzz_damage(run->host, &run->in);
        fuzz_start(run->host);
    }
}

static void step(struct run *run)
{
    run->chr->len = 0;
    switch (take(run, 1) % 12) {
    case 0:
    case 1:
    case 2:
        access_register(run, 1);
        break;
    case 3:
    case 4:
        access_register(run, 0);
        break;
    case 5:
        access_many(run);
        break;
    case 6:
    case 7:
        give(run);
        break;
    case 8:
        open_backend(run, take(run, 2) % ROOM);
        break;
    case 9:
        tell(run);
        break;
    case 10:
        fake_advance_ns(run->host, (uint64_t)take(run, 2) << 14);
        break;
    default:
        rarely(run);
    }
}

/* ---- an honest driver ---- */

static void expect_output(struct run *run, const char *text)
{
    if (has_backend(run))
        fake_char_expect(run->chr, text);
}

/* What an interrupt handler does: whatever was pending ends, and none storms. */
static void handle(struct run *run)
{
    for (uint32_t i = 0;; i++) {
        if (in(run, IIR) & IIR_NONE)
            return;
        assert_true(i < 2 * UART_FIFO + 4);
        in(run, LSR);
        in(run, RBR);
        in(run, MSR);
    }
}

/* As a driver's open() does it: nothing of before is left, no machine is reset for it. */
static void set_up(struct run *run)
{
    out(run, LCR, 3);
    out(run, MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    out(run, IER, 0);
    out(run, FCR, FCR_ENABLE);
    out(run, FCR, FCR_ENABLE | FCR_RCVR_RESET | FCR_XMIT_RESET);
    out(run, FCR, 0);
    out(run, LCR, LCR_DLAB | 3);
    out(run, DLL, 1);
    out(run, DLM, 0);
    out(run, LCR, 3);
    out(run, FCR, FCR_ENABLE | 3u << FCR_TRIGGER_SHIFT);
    for (uint32_t i = 0; i < UART_FIFO && in(run, LSR) & LSR_DR; i++)
        in(run, RBR);
    in(run, IIR);
    in(run, MSR);
    assert_int_equal(in(run, LSR), LSR_THRE | LSR_TEMT);
    assert_int_equal(in(run, IIR), IIR_FIFO | IIR_NONE);
}

static void expect_uart(struct run *run)
{
    static const char text[] = "hello";

    out(run, LCR, 3); /* not the divisor */
    handle(run);
    set_up(run);
    run->chr->len = 0;
    for (uint32_t i = 0; i < 5; i++)
        out(run, THR, (uint8_t)text[i]);
    expect_output(run, text);
    out(run, IER, IER_ETBEI);
    assert_int_equal(in(run, IIR), IIR_FIFO | IIR_THRE);
    out(run, IER, IER_ERBFI);
    assert_int_equal(fake_irq_level(run->host, IRQ), 0);
    if (!has_backend(run))
        return;
    assert_int_equal(fake_char_give(run->chr, text, 5), 5);
    assert_int_equal(fake_irq_level(run->host, IRQ), 0);
    fake_advance_ns(run->host, TIMEOUT_NS);
    assert_int_equal(in(run, IIR), IIR_FIFO | IIR_CTI);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(in(run, RBR), text[i]);
    assert_int_equal(in(run, IIR), IIR_FIFO | IIR_NONE);
}

static uint32_t status(struct run *run)
{
    return (uint32_t)fake_read(run->host, BP_SPACE_MMIO, BASE + 4, 4);
}

static void expect_console(struct run *run)
{
    static const char text[] = "hello";

    for (uint32_t i = 0; i < 256 && status(run) & 1; i++)
        fake_read(run->host, BP_SPACE_MMIO, BASE, 1);
    assert_int_equal(status(run), 2);
    run->chr->len = 0;
    for (uint32_t i = 0; i < 5; i++)
        fake_write(run->host, BP_SPACE_MMIO, BASE, (uint8_t)text[i], 1);
    expect_output(run, text);
    if (!has_backend(run))
        return;
    assert_int_equal(fake_char_give(run->chr, text, 5), 5);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(fake_read(run->host, BP_SPACE_MMIO, BASE, 1), text[i]);
    assert_int_equal(status(run), 2);
}

/* What did not fit is asked for again, and so none of it is lost. */
static void expect_all_input(struct run *run)
{
    uint8_t data[600];
    uint32_t given = 0, got = 0;

    for (uint32_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i ^ i >> 8);
    while (has_backend(run) && got < sizeof(data)) {
        uint32_t resumes = run->chr->resumes, before = got;

        given += (uint32_t)fake_char_give(run->chr, data + given, sizeof(data) - given);
        while (is_console(run) ? status(run) & 1 : in(run, LSR) & LSR_DR) {
            uint8_t byte = is_console(run) ? (uint8_t)fake_read(run->host, BP_SPACE_MMIO, BASE, 1)
                                           : in(run, RBR);

            assert_int_equal(byte, data[got++]);
        }
        assert_true(got > before);
        assert_true(given == sizeof(data) || run->chr->resumes > resumes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = {.in = {data, size}};

    setenv("CMOCKA_TEST_ABORT", "1", 0); /* a failed check shall end the program, with a trace */
    run.options = take(&run, 1);
    run.host = make(&run, 0);
    for (uint32_t i = 0; run.in.left && i < STEPS_MAX; i++)
        step(&run);
    run.chr->len = 0;
    open_backend(&run, ROOM);
    fake_advance_ns(run.host, 0);
    if (is_console(&run))
        expect_console(&run);
    else
        expect_uart(&run);
    expect_all_input(&run);
    fake_host_free(run.host);
    return 0;
}
