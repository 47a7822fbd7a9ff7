/* SPDX-License-Identifier: MIT
 *
 * dev-uart/uart.c - a 16550A: National Semiconductor PC16550D, June 1995 (section numbers are its),
 * wired as on a PC: OUT2 gates the interrupt.
 *
 * Output is not slowed to the baud rate: a byte leaves when the backend takes it, and waits in the
 * transmitter FIFO, THRE and TEMT clear, while the backend takes nothing. The backend keeps input
 * that the receiver FIFO has no room for, so only loopback can overrun. Left out: DMA mode (RXRDY
 * and TXRDY go nowhere on a PC), the delay of THRE by one character, parity, and the word length,
 * which counts for the time-out only: a guest that never programs LCR still prints its 8 bits.
 */
#include "uart.h"

#include "regs.h"

#include <backplane/ext/acpi.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TIMER_RX 0u /* character time-out */
#define TIMER_KICK                                                                                 \
    1u /* output that a snapshot brought: the backend does not know that it waits                  \
        */

#define HALF_BITS_MAX 24u /* of a character: start bit, 8 bits, parity, two stop bits */
#define RESET_DIVISOR 12u /* 9600 baud; the chip's own is undefined after power up */

/* Everything is [dom]. */
struct uart {
    /* What a byte of output touches. */
    uint8_t lcr, mcr, ier, fcr;
    uint8_t thre_latch; /* the THRE interrupt is pending: THR became empty since IIR was read */
    uint8_t irq_level;
    uint8_t tx_head, tx_count;
    uint32_t irq;
    uint32_t clock;
    struct bp_peer chr; /* ops NULL: no backend */
    const struct bp_host *host;
    struct bp_node *node;

    uint8_t lsr_errors; /* LSR_ERRORS that the guest has not read */
    uint8_t msr, scr;
    uint8_t rx_head, rx_count;
    uint8_t rx_bad;       /* bytes in the FIFO, below the top, that have an error */
    uint8_t rx_timed_out; /* the time-out interrupt is pending */
    uint8_t rx_armed;     /* TIMER_RX runs */
    uint8_t rx_held;      /* the backend keeps input until resume() */
    uint8_t break_waits;  /* a break came while the FIFO was full */
    uint8_t break_sent;   /* what the backend was told last */
    uint8_t hung_up;      /* nobody at the other end: DCD, DSR and CTS are down */
    uint16_t divisor;
    uint16_t port;
    uint64_t rx_deadline_ns; /* when the FIFO has been left alone for four characters */
    uint64_t rx_timer_ns;    /* when TIMER_RX expires */
    uint8_t tx[UART_FIFO];
    uint8_t rx[UART_FIFO];
    uint8_t rx_errors[UART_FIFO]; /* LSR_CHAR_ERRORS of each byte */
};

static uint32_t fifo_size(const struct uart *u)
{
    return u->fcr & FCR_ENABLE ? UART_FIFO : 1u;
}

/* ---- interrupts
 * ---------------------------------------------------------------------------------- */

static uint32_t rx_trigger(const struct uart *u)
{
    static const uint8_t levels[] = {1, 4, 8, 14};

    return u->fcr & FCR_ENABLE ? levels[u->fcr >> FCR_TRIGGER_SHIFT] : 1u;
}

/* Table IV: the pending interrupt of highest priority. */
static uint8_t interrupt_id(const struct uart *u)
{
    if ((u->ier & IER_ELSI) && u->lsr_errors)
        return IIR_RLS;
    if ((u->ier & IER_ERBFI) && u->rx_count >= rx_trigger(u))
        return IIR_RDA;
    if ((u->ier & IER_ERBFI) && u->rx_timed_out)
        return IIR_CTI;
    if ((u->ier & IER_ETBEI) && u->thre_latch)
        return IIR_THRE;
    if ((u->ier & IER_EDSSI) && (u->msr & MSR_DELTAS))
        return IIR_MS;
    return IIR_NONE;
}

static void update_irq(struct uart *u)
{
    uint8_t level = (u->mcr & MCR_OUT2) && interrupt_id(u) != IIR_NONE;

    if (level == u->irq_level)
        return;
    u->irq_level = level;
    u->host->irq_set(u->node, u->irq, level);
}

/* ---- receiver
 * ------------------------------------------------------------------------------------ */

/* Four characters of so many half bits, 16 clocks per divisor a bit (8.11). */
static uint64_t characters_ns(const struct uart *u, uint32_t half_bits, uint32_t divisor)
{
    return 4u * UINT64_C(1000000000) * half_bits * 8u * divisor / u->clock;
}

/* A character is start bit, word, parity and stop bits (8.4). */
static uint64_t timeout_ns(const struct uart *u)
{
    uint32_t word = 5u + (u->lcr & LCR_WORD);
    uint32_t half_bits = 2u * (1u + word + (u->lcr & LCR_PARITY ? 1u : 0u)) + 2u;

    if (u->lcr & LCR_STOP)
        half_bits += word == 5 ? 1u : 2u;
    /* With a divisor of 0 the chip would stand still for ever. */
    return characters_ns(u, half_bits, u->divisor ? u->divisor : 1u);
}

static void set_rx_timer(struct uart *u)
{
    u->rx_armed = 1;
    u->rx_timer_ns = u->rx_deadline_ns;
    u->host->timer_set(u->node, TIMER_RX, u->rx_timer_ns);
}

/* The FIFO was written or read: the time-out starts anew. The timer is left to expire early, which
 * is cheaper than moving it for every byte; after a change to a faster rate it would be late. */
static void restart_timeout(struct uart *u)
{
    if (!(u->fcr & FCR_ENABLE) || !u->rx_count)
        return;
    u->rx_deadline_ns = u->host->clock_ns(u->node) + timeout_ns(u);
    if (!u->rx_armed || u->rx_deadline_ns < u->rx_timer_ns)
        set_rx_timer(u);
}

static void rx_timer(struct uart *u)
{
    u->rx_armed = 0;
    if (!(u->fcr & FCR_ENABLE) || !u->rx_count)
        return;
    if (u->host->clock_ns(u->node) < u->rx_deadline_ns) {
        set_rx_timer(u);
        return;
    }
    u->rx_timed_out = 1;
    update_irq(u);
}

/* The errors of the byte at the top of the FIFO show in LSR (8.4). */
static void reveal_top(struct uart *u)
{
    uint8_t *errors = &u->rx_errors[u->rx_head];

    if (!u->rx_count || !*errors)
        return;
    u->lsr_errors |= *errors;
    *errors = 0;
    u->rx_bad--;
}

static void rx_push(struct uart *u, uint8_t byte, uint8_t errors)
{
    uint32_t at;

    if (u->rx_count == fifo_size(u)) {
        u->lsr_errors |= LSR_OE;
        if (u->fcr & FCR_ENABLE)
            return;      /* the FIFO keeps what it has */
        u->rx_count = 0; /* RBR is overwritten */
    }
    at = (u->rx_head + u->rx_count) % UART_FIFO;
    u->rx[at] = byte;
    u->rx_errors[at] = errors;
    u->rx_bad = (uint8_t)(u->rx_bad + (errors != 0));
    if (u->rx_count++ == 0)
        reveal_top(u);
}

/* Lets the backend go on when half the FIFO is free: a byte at a time would cost a wake-up each.
 * What is left in the FIFO interrupts the guest, by its time-out at the latest. */
static void rx_resume(struct uart *u)
{
    const struct bp_char *ops = u->chr.ops;

    if (u->break_waits && !(u->mcr & MCR_LOOP) && u->rx_count < fifo_size(u)) {
        u->break_waits = 0;
        rx_push(u, 0, LSR_BI);
        restart_timeout(u);
    }
    if (!u->rx_held || (u->mcr & MCR_LOOP) || u->rx_count > fifo_size(u) / 2)
        return;
    u->rx_held = 0;
    ops->resume(u->chr.self);
}

static void rx_clear(struct uart *u)
{
    u->rx_head = u->rx_count = u->rx_bad = u->rx_timed_out = 0;
    memset(u->rx_errors, 0, sizeof(u->rx_errors));
}

static uint8_t read_rbr(struct uart *u)
{
    uint8_t byte = u->rx[u->rx_head];

    if (!u->rx_count)
        return byte; /* the last one again, as the chip has it */
    u->rx_head = (uint8_t)((u->rx_head + 1) % UART_FIFO);
    u->rx_count--;
    u->rx_timed_out = 0;
    reveal_top(u);
    rx_resume(u);
    restart_timeout(u);
    update_irq(u);
    return byte;
}

static uint8_t read_lsr(struct uart *u)
{
    uint8_t value = u->lsr_errors;

    if (u->rx_count)
        value |= LSR_DR;
    if (!u->tx_count)
        value |= LSR_THRE | LSR_TEMT;
    if ((u->fcr & FCR_ENABLE) && (u->rx_bad || (u->lsr_errors & LSR_CHAR_ERRORS)))
        value |= LSR_FIFO_ERROR;
    if (u->lsr_errors) {
        u->lsr_errors = 0;
        update_irq(u);
    }
    return value;
}

/* ---- transmitter
 * --------------------------------------------------------------------------------- */

static uint64_t send(struct uart *u, const uint8_t *data, uint64_t len)
{
    const struct bp_char *ops = u->chr.ops;

    return ops ? ops->write(u->chr.self, data, len) : len;
}

static void tx_became_empty(struct uart *u)
{
    u->thre_latch = 1;
    if (u->ier & IER_ETBEI)
        update_irq(u);
}

/* Hands the FIFO to the backend until it is empty or the backend takes less. */
static void tx_drain(struct uart *u)
{
    while (u->tx_count) {
        uint32_t len = UART_FIFO - u->tx_head;
        uint64_t taken;

        if (len > u->tx_count)
            len = u->tx_count;
        taken = send(u, u->tx + u->tx_head, len);
        if (taken > len)
            taken = len;
        u->tx_head = (uint8_t)((u->tx_head + taken) % UART_FIFO);
        u->tx_count = (uint8_t)(u->tx_count - taken);
        if (taken < len)
            return;
    }
    tx_became_empty(u);
}

/* Out of line: loopback, and output that has to wait. */
static __attribute__((noinline)) void write_thr_slow(struct uart *u, uint8_t byte)
{
    if (u->mcr & MCR_LOOP) {
        rx_push(u, byte, 0);
        restart_timeout(u);
        u->thre_latch = !u->tx_count;
        update_irq(u);
        return;
    }
    if (u->tx_count == fifo_size(u)) {
        u->host->log(u->node, BP_LOG_WARN | BP_LOG_GUEST,
                     "a byte was written to a full transmitter, and is lost: wait for LSR.THRE");
        return;
    }
    u->tx[(u->tx_head + u->tx_count++) % UART_FIFO] = byte;
    if (u->thre_latch) {
        u->thre_latch = 0;
        update_irq(u);
    }
}

static void write_thr(struct uart *u, uint8_t byte)
{
    if (!u->tx_count && !(u->mcr & MCR_LOOP) && send(u, &byte, 1))
        tx_became_empty(u);
    else
        write_thr_slow(u, byte);
}

static void tx_clear(struct uart *u)
{
    if (!u->tx_count)
        return;
    u->tx_head = u->tx_count = 0;
    tx_became_empty(u);
}

/* Break control acts on SOUT, which marks in loopback (8.3, 8.9). */
static void update_break(struct uart *u)
{
    const struct bp_char *ops = u->chr.ops;
    uint8_t on = (u->lcr & LCR_BREAK) && !(u->mcr & MCR_LOOP);

    if (on == u->break_sent)
        return;
    u->break_sent = on;
    if (ops)
        ops->set_break(u->chr.self, on);
}

/* ---- modem lines
 * --------------------------------------------------------------------------------- */

static uint8_t modem_lines(const struct uart *u)
{
    uint8_t lines = 0;

    if (!(u->mcr & MCR_LOOP))
        return u->hung_up ? 0 : MSR_CTS | MSR_DSR | MSR_DCD;
    if (u->mcr & MCR_RTS)
        lines |= MSR_CTS;
    if (u->mcr & MCR_DTR)
        lines |= MSR_DSR;
    if (u->mcr & MCR_OUT1)
        lines |= MSR_RI;
    if (u->mcr & MCR_OUT2)
        lines |= MSR_DCD;
    return lines;
}

/* Sets the deltas of what changed; RI counts only when it ends (8.8). */
static void update_modem(struct uart *u)
{
    uint8_t lines = modem_lines(u);
    uint8_t changed = (uint8_t)((lines ^ u->msr) & MSR_LINES);

    if (lines & MSR_RI)
        changed &= (uint8_t)~MSR_RI;
    u->msr = (uint8_t)(lines | (u->msr & MSR_DELTAS) | changed >> 4);
}

/* ---- registers
 * ----------------------------------------------------------------------------------- */

static uint8_t read_iir(struct uart *u)
{
    uint8_t id = interrupt_id(u);

    if (id == IIR_THRE) {
        u->thre_latch = 0;
        update_irq(u);
    }
    return u->fcr & FCR_ENABLE ? id | IIR_FIFO : id;
}

static uint8_t read_msr(struct uart *u)
{
    uint8_t value = u->msr;

    if (value & MSR_DELTAS) {
        u->msr &= MSR_LINES;
        update_irq(u);
    }
    return value;
}

static void write_ier(struct uart *u, uint8_t value)
{
    uint8_t enabled = value & ~u->ier & IER_MASK;

    u->ier = value & IER_MASK;
    /* Enabling THRE while it is empty interrupts at once: Linux's probe counts on it. */
    if ((enabled & IER_ETBEI) && !u->tx_count)
        u->thre_latch = 1;
    update_irq(u);
}

/* 8.4. Without the enable bit the others are not programmed; a change of it clears both FIFOs. */
static void write_fcr(struct uart *u, uint8_t value)
{
    uint8_t changed = (uint8_t)((value ^ u->fcr) & FCR_ENABLE);

    if (!(value & FCR_ENABLE))
        value = 0;
    if (changed || (value & FCR_RCVR_RESET))
        rx_clear(u);
    if (changed || (value & FCR_XMIT_RESET))
        tx_clear(u);
    u->fcr = value & FCR_STORED;
    rx_resume(u);
    update_irq(u);
}

static void write_mcr(struct uart *u, uint8_t value)
{
    u->mcr = value & MCR_MASK;
    update_break(u);
    update_modem(u);
    rx_resume(u);
    update_irq(u);
}

static uint64_t uart_read(void *self, uint64_t offset, uint32_t width)
{
    struct uart *u = self;

    (void)width;
    switch (offset) {
    case RBR:
        return u->lcr & LCR_DLAB ? u->divisor & 0xffu : read_rbr(u);
    case IER:
        return u->lcr & LCR_DLAB ? u->divisor >> 8 : u->ier;
    case IIR:
        return read_iir(u);
    case LCR:
        return u->lcr;
    case MCR:
        return u->mcr;
    case LSR:
        return read_lsr(u);
    case MSR:
        return read_msr(u);
    default:
        return u->scr;
    }
}

static void uart_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct uart *u = self;
    uint8_t byte = (uint8_t)value;

    (void)width;
    switch (offset) {
    case THR:
        if (u->lcr & LCR_DLAB)
            u->divisor = (uint16_t)((u->divisor & 0xff00u) | byte);
        else
            write_thr(u, byte);
        break;
    case IER:
        if (u->lcr & LCR_DLAB)
            u->divisor = (uint16_t)((uint32_t)byte << 8 | (u->divisor & 0xffu));
        else
            write_ier(u, byte);
        break;
    case FCR:
        write_fcr(u, byte);
        break;
    case LCR:
        u->lcr = byte;
        update_break(u);
        break;
    case MCR:
        write_mcr(u, byte);
        break;
    case SCR:
        u->scr = byte;
        break;
    default:
        break; /* LSR is for factory tests (8.5), MSR is read-only */
    }
}

static const struct bp_register registers[] = {
    {"RBR", RBR, 1, BP_REG_RO},
    {"THR", THR, 1, BP_REG_WO},
    {"DLL (DLAB=1)", DLL, 1, BP_REG_RW},
    {"IER", IER, 1, BP_REG_RW},
    {"DLM (DLAB=1)", DLM, 1, BP_REG_RW},
    {"IIR", IIR, 1, BP_REG_RC},
    {"FCR", FCR, 1, BP_REG_WO},
    {"LCR", LCR, 1, BP_REG_RW},
    {"MCR", MCR, 1, BP_REG_RW},
    {"LSR", LSR, 1, BP_REG_RC},
    {"MSR", MSR, 1, BP_REG_RC},
    {"SCR", SCR, 1, BP_REG_RW},
    {NULL, 0, 0, 0},
};

const struct bp_region_ops uart_region_ops = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 1,
    .max_access = 1,
    .register_stride = sizeof(struct bp_register),
    .name = "registers",
    .registers = registers,
    .read = uart_read,
    .write = uart_write,
};

/* ---- the backend's calls
 * --------------------------------------------------------------------------- */

static uint64_t port_receive(void *self, const uint8_t *data, uint64_t len)
{
    struct uart *u = self;
    uint64_t taken = 0;

    /* In loopback SIN is disconnected; what is typed meanwhile waits with the backend. */
    while (taken < len && !(u->mcr & MCR_LOOP) && !u->break_waits && u->rx_count < fifo_size(u))
        rx_push(u, data[taken++], 0);
    u->rx_held = taken < len;
    if (taken) {
        restart_timeout(u);
        update_irq(u);
    }
    return taken;
}

static void port_writable(void *self)
{
    struct uart *u = self;

    if (u->tx_count)
        tx_drain(u);
}

static void port_event(void *self, uint32_t what, uint32_t columns, uint32_t rows)
{
    struct uart *u = self;

    (void)columns;
    (void)rows;
    switch (what) {
    case BP_CHAR_OPENED:
        u->hung_up = 0;
        break;
    case BP_CHAR_HANGUP:
        u->hung_up = 1;
        break;
    case BP_CHAR_BREAK:
        u->break_waits = 1;
        rx_resume(u);
        break;
    default:
        return; /* a serial line knows nothing of windows */
    }
    update_modem(u);
    update_irq(u);
}

static const struct bp_char_port char_port = {
    .size = sizeof(struct bp_char_port),
    .receive = port_receive,
    .writable = port_writable,
    .event = port_event,
};

/* ---- ACPI
 * ------------------------------------------------------------------------------------------ */

/* COM1..COM4 have fixed numbers; any other port is told apart by its own, which none of them has.
 */
static uint32_t acpi_uid(uint16_t port)
{
    switch (port) {
    case 0x3f8:
        return 1;
    case 0x2f8:
        return 2;
    case 0x3e8:
        return 3;
    case 0x2e8:
        return 4;
    default:
        return 5u + port;
    }
}

static void describe(void *self, struct bp_acpi_builder *b)
{
    const struct uart *u = self;

    b->device(b, "PNP0501", acpi_uid(u->port), u->port, UART_PORTS, u->irq);
}

static const struct bp_acpi acpi = {.size = sizeof(struct bp_acpi), .describe = describe};

/* ---- life
 * ------------------------------------------------------------------------------------------ */

static void uart_destroy(void *self)
{
    free(self);
}

static int uart_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **self)
{
    const struct uart_config *c = config;
    struct uart *u = calloc(1, sizeof(*u));
    struct bp_region *region;
    int err;

    if (!u)
        return bp_failf(host, node, -ENOMEM, "no memory for a serial port");
    u->host = host;
    u->node = node;
    u->irq = c->irq;
    u->clock = c->clock;
    u->port = c->port;
    err = host->region_new(node, BP_SPACE_PIO, UART_PORTS, &uart_region_ops, u, &region);
    if (!err)
        err = host->region_place(region, c->port);
    if (err) {
        bp_failf(host, node, err,
                 "cannot place 8 ports at 0x%x: %s; give `port` a value where they are free",
                 c->port, strerror(-err));
        goto fail;
    }
    if (c->chardev) {
        err = host->link(node, c->chardev, BP_CHAR_ID, &char_port, u, &u->chr);
        if (err) {
            bp_failf(host, node, err,
                     "cannot use the section that `chardev` names: %s; name a character backend "
                     "that no other device uses",
                     strerror(-err));
            goto fail;
        }
    }
    *self = u;
    return 0;
fail:
    uart_destroy(u);
    return err;
}

/* Table III. The divisor and SCR survive Master Reset. */
static void uart_reset(void *self, uint32_t kind)
{
    struct uart *u = self;

    if (kind == BP_RESET_COLD) {
        u->divisor = RESET_DIVISOR;
        u->scr = 0;
    }
    u->ier = u->fcr = u->lcr = u->mcr = 0;
    u->lsr_errors = u->thre_latch = u->break_waits = 0;
    u->tx_head = u->tx_count = 0;
    rx_clear(u);
    memset(u->rx, 0, sizeof(u->rx));
    memset(u->tx, 0, sizeof(u->tx));
    u->rx_deadline_ns = 0;
    u->msr = modem_lines(u);
    u->rx_armed = 0;
    u->host->timer_set(u->node, TIMER_RX, UINT64_MAX);
    update_break(u);
    rx_resume(u);
    update_irq(u);
}

static void uart_timer(void *self, uint32_t id)
{
    struct uart *u = self;

    if (id == TIMER_RX)
        rx_timer(u);
    else if (u->tx_count)
        tx_drain(u);
}

/* A snapshot is input like any other. */
static int check_loaded(const struct uart *u)
{
    uint32_t bad = 0;

    for (uint32_t i = 0; i < UART_FIFO; i++)
        if (u->rx_errors[i] & ~LSR_CHAR_ERRORS)
            return 0;
    for (uint32_t i = 0; i < u->rx_count && i < UART_FIFO; i++)
        bad += u->rx_errors[(u->rx_head + i) % UART_FIFO] ? 1u : 0u;
    return u->tx_head < UART_FIFO && u->rx_head < UART_FIFO && u->tx_count <= fifo_size(u) &&
           u->rx_count <= fifo_size(u) && u->rx_bad == bad && (u->rx_count || !u->rx_timed_out) &&
           !(u->ier & ~IER_MASK) && !(u->mcr & ~MCR_MASK) && !(u->fcr & ~FCR_STORED) &&
           !(u->lsr_errors & ~LSR_ERRORS) && ((u->fcr & FCR_ENABLE) || !u->fcr);
}

static int uart_after_load(void *self)
{
    struct uart *u = self;
    uint8_t armed = u->rx_armed;
    uint64_t latest = u->host->clock_ns(u->node) + characters_ns(u, HALF_BITS_MAX, UINT16_MAX);

    if (!check_loaded(u)) {
        uart_reset(u, BP_RESET_COLD);
        return u->host->fail(u->node, -EINVAL,
                             "the snapshot's serial port is in a state that no 16550A can have; "
                             "the file is damaged");
    }
    if (u->rx_deadline_ns > latest)
        u->rx_deadline_ns = latest;
    if (armed)
        set_rx_timer(u);
    if (u->tx_count)
        u->host->timer_set(u->node, TIMER_KICK, 0);
    update_break(u);
    update_modem(u); /* this end's lines, whatever those of the saved one were */
    rx_resume(u);    /* what its backend keeps is for this receiver, too */
    u->irq_level = 0;
    u->host->irq_set(u->node, u->irq, 0);
    update_irq(u);
    return 0;
}

static const void *uart_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_ACPI_ID) == 0 ? &acpi : NULL;
}

static const struct bp_field fields[] = {
    BP_FIELD(struct uart, divisor, 1),     BP_FIELD(struct uart, ier, 1),
    BP_FIELD(struct uart, fcr, 1),         BP_FIELD(struct uart, lcr, 1),
    BP_FIELD(struct uart, mcr, 1),         BP_FIELD(struct uart, lsr_errors, 1),
    BP_FIELD(struct uart, msr, 1),         BP_FIELD(struct uart, scr, 1),
    BP_FIELD(struct uart, thre_latch, 1),  BP_FIELD(struct uart, tx_head, 1),
    BP_FIELD(struct uart, tx_count, 1),    BP_ARRAY(struct uart, tx, 1),
    BP_FIELD(struct uart, rx_head, 1),     BP_FIELD(struct uart, rx_count, 1),
    BP_FIELD(struct uart, rx_bad, 1),      BP_FIELD(struct uart, rx_timed_out, 1),
    BP_FIELD(struct uart, rx_armed, 1),    BP_FIELD(struct uart, rx_deadline_ns, 1),
    BP_FIELD(struct uart, break_waits, 1), BP_ARRAY(struct uart, rx, 1),
    BP_ARRAY(struct uart, rx_errors, 1),   {.name = NULL},
};

const struct bp_instance_ops uart_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = fields,
    .field_stride = sizeof(struct bp_field),
    .create = uart_create,
    .destroy = uart_destroy,
    .reset = uart_reset,
    .timer = uart_timer,
    .after_load = uart_after_load,
    .extension = uart_extension,
};
