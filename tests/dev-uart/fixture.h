/* SPDX-License-Identifier: MIT
 *
 * dev-uart/fixture.h - what the tests of the 16550A share: one on the fake host, with a backend
 * under the test's control, and short names for its accesses.
 */
#ifndef TESTS_DEV_UART_FIXTURE_H
#define TESTS_DEV_UART_FIXTURE_H

#include "fake_char.h"
#include "fakes/host.h"
#include "regs.h"
#include "uart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

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

static inline uint8_t in(struct fixture *f, uint32_t reg)
{
    return (uint8_t)fake_read(f->host, BP_SPACE_PIO, f->config.port + reg, 1);
}

static inline void out(struct fixture *f, uint32_t reg, uint32_t value)
{
    fake_write(f->host, BP_SPACE_PIO, f->config.port + reg, value, 1);
}

static inline uint32_t irq(struct fixture *f)
{
    return fake_irq_level(f->host, f->config.irq);
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    fake_host_free(f->host);
    free(f->chr);
    free(f);
    return 0;
}

/* As a driver does: 8N1, FIFOs on with trigger `fcr`, interrupts through. */
static inline void bring_up(struct fixture *f, uint32_t fcr, uint32_t ier)
{
    out(f, LCR, 3);
    out(f, FCR, fcr);
    out(f, MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    in(f, MSR);
    out(f, IER, ier);
    fake_irq_edges(f->host, LINE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
