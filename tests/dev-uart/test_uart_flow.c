/* SPDX-License-Identifier: MIT
 *
 * dev-uart/test_uart_flow.c - no byte is lost or out of order, whatever each side takes at a time.
 *
 * A guest that plays by LSR talks to a backend that takes and gives chunks of random sizes.
 */
#include "fixture.h"

#define BYTES 20000u

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static uint8_t pattern(uint32_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

/* A guest that writes as much as THRE allows, while the backend takes random amounts. */
static void transmit(struct fixture *f, uint32_t seed, uint32_t fifo)
{
    uint32_t sent = 0;

    f->chr->len = 0;
    f->chr->room = 0;
    out(f, FCR, fifo > 1 ? FCR_ENABLE : 0);
    while (f->chr->len < BYTES) {
        for (uint32_t n = 0; n < fifo && sent < BYTES && (in(f, LSR) & LSR_THRE || n); n++)
            out(f, THR, pattern(sent++));
        if (next(&seed) & 1)
            fake_char_open(f->chr, next(&seed) % 40);
        else
            f->chr->room = next(&seed) % 3; /* room that the device is not told of */
        f->chr->owed |= f->chr->len < sent;
    }
    for (uint32_t i = 0; i < BYTES; i++)
        assert_int_equal(f->chr->output[i], pattern(i));
    assert_int_equal(fake_log_count(f->host), 0);
    assert_int_equal(in(f, LSR) & LSR_THRE, LSR_THRE);
}

static void every_byte_leaves_in_order(void **state)
{
    for (uint32_t seed = 1; seed <= 8; seed++) {
        transmit(*state, seed, 16);
        transmit(*state, seed, 1);
    }
}

/* A backend with `BYTES` of input; the guest reads at random moments, a random number. */
static void receive(struct fixture *f, uint32_t seed, uint32_t fcr)
{
    uint32_t given = 0, got = 0, idle = 0;
    int may_give = 1;

    out(f, FCR, 0);
    out(f, FCR, fcr);
    out(f, IER, IER_ERBFI);
    out(f, MCR, MCR_OUT2);
    f->chr->resumes = 0;
    while (got < BYTES) {
        uint32_t before = got;

        if (f->chr->resumes) {
            f->chr->resumes = 0;
            may_give = 1;
        }
        if (may_give && given < BYTES) {
            uint8_t chunk[64];
            uint32_t len = 1 + next(&seed) % 64, taken;

            if (len > BYTES - given)
                len = BYTES - given;
            for (uint32_t i = 0; i < len; i++)
                chunk[i] = pattern(given + i);
            taken = (uint32_t)fake_char_give(f->chr, chunk, len);
            given += taken;
            may_give = taken == len;
        }
        fake_advance_ns(f->host, next(&seed) % 3000000);
        /* Interrupt-driven: it reads only when told. */
        for (uint32_t n = next(&seed) % 20; n && fake_irq_level(f->host, 4); n--) {
            assert_int_equal(in(f, LSR) & (LSR_DR | LSR_OE), LSR_DR);
            assert_int_equal(in(f, RBR), pattern(got++));
        }
        idle = got == before ? idle + 1 : 0;
        assert_true(idle < 100); /* nobody waits for the other for ever */
    }
}

static void every_byte_arrives_in_order(void **state)
{
    for (uint32_t seed = 1; seed <= 4; seed++) {
        receive(*state, seed, 0);
        for (uint32_t trigger = 0; trigger < 4; trigger++)
            receive(*state, seed, FCR_ENABLE | trigger << 6);
    }
}

static void bad_67_flood_of_a_blocked_backend_is_bounded(void **state)
{
    struct fixture *f = *state;

    out(f, FCR, FCR_ENABLE);
    f->chr->room = 0;
    for (uint32_t i = 0; i < 100000; i++)
        out(f, THR, i);
    assert_int_equal(in(f, LSR), 0);
    assert_int_equal(f->chr->writes, 1); /* it waits for writable() */
    assert_string_equal(fake_log(f->host, NULL), "a byte was written to a full transmitter, and "
                                                 "is lost: wait for LSR.THRE");
    fake_char_open(f->chr, UINT64_MAX);
    assert_int_equal(f->chr->len, 16);
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(f->chr->output[i], i);
}

static void bad_68_input_without_a_reader_is_not_taken(void **state)
{
    struct fixture *f = *state;
    uint8_t chunk[4096] = {0};
    uint64_t taken = 0;

    out(f, FCR, FCR_ENABLE);
    for (int i = 0; i < 1000; i++)
        taken += fake_char_give(f->chr, chunk, sizeof(chunk));
    assert_int_equal(taken, 16);
    assert_int_equal(f->chr->resumes, 0);
    assert_int_equal(in(f, LSR) & LSR_OE, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_byte_leaves_in_order),
        TEST(every_byte_arrives_in_order),
        TEST(bad_67_flood_of_a_blocked_backend_is_bounded),
        TEST(bad_68_input_without_a_reader_is_not_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
