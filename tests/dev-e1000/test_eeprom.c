/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/test_eeprom.c - the 93C46 by EERD and by its pins, driven as Linux's driver does.
 */
#include "nic.h"

static uint32_t eerd(struct nic *n, uint32_t word)
{
    uint32_t value;

    wr(n, E1000_EERD, EERD_START | word << 8);
    value = rd(n, E1000_EERD);
    assert_true(value & EERD_DONE);
    return value >> 16;
}

static void pins(struct nic *n, uint32_t bits)
{
    wr(n, E1000_EECD, EECD_REQ | bits);
}

static void shift_out(struct nic *n, uint32_t value, uint32_t bits)
{
    while (bits--) {
        uint32_t di = value >> bits & 1u ? EECD_DI : 0u;

        pins(n, EECD_CS | di);
        pins(n, EECD_CS | di | EECD_SK);
        pins(n, EECD_CS | di);
    }
}

static uint32_t shift_in(struct nic *n, uint32_t bits)
{
    uint32_t value = 0;

    while (bits--) {
        pins(n, EECD_CS | EECD_SK);
        value = value << 1 | (rd(n, E1000_EECD) & EECD_DO ? 1u : 0u);
        pins(n, EECD_CS);
    }
    return value;
}

static void standby(struct nic *n)
{
    pins(n, 0);
    pins(n, EECD_CS);
}

static uint32_t pin_read(struct nic *n, uint32_t word)
{
    uint32_t value;

    standby(n);
    shift_out(n, 6, 3);
    shift_out(n, word, 6);
    assert_false(rd(n, E1000_EECD) & EECD_DO); /* the zero before the data */
    value = shift_in(n, 16);
    standby(n);
    return value;
}

static void words_sum_up_to_baba(void **state)
{
    struct nic *n = nic_new();
    uint32_t sum = 0;

    (void)state;
    for (uint32_t i = 0; i < 64; i++)
        sum += eerd(n, i);
    assert_int_equal(sum & 0xffff, 0xbaba);
    assert_int_equal(eerd(n, 0), 0x5452);
    assert_int_equal(eerd(n, 2), 0x5634);
    assert_int_equal(eerd(n, 13), 0x100e);
    nic_free(n);
}

static void pins_read_what_eerd_reads(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    pins(n, 0);
    assert_int_equal(rd(n, E1000_EECD) & (EECD_GNT | EECD_PRES), EECD_GNT | EECD_PRES);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(pin_read(n, i), eerd(n, i));
    wr(n, E1000_EECD, 0);
    assert_false(rd(n, E1000_EECD) & EECD_GNT);
    nic_free(n);
}

static void reading_goes_on_with_the_next_word(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    standby(n);
    shift_out(n, 6, 3);
    shift_out(n, 63, 6);
    assert_int_equal(shift_in(n, 16), eerd(n, 63));
    assert_int_equal(shift_in(n, 16), eerd(n, 0));
    nic_free(n);
}

static void word_is_written_after_ewen(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    standby(n);
    shift_out(n, 5, 3); /* WRITE, not enabled */
    shift_out(n, 3, 6);
    shift_out(n, 0x1234, 16);
    standby(n);
    assert_int_equal(eerd(n, 3), 0);
    shift_out(n, 0x13, 5); /* EWEN */
    shift_out(n, 0, 4);
    standby(n);
    shift_out(n, 5, 3);
    shift_out(n, 3, 6);
    shift_out(n, 0x1234, 16);
    standby(n);
    assert_true(rd(n, E1000_EECD) & EECD_DO); /* ready */
    assert_int_equal(eerd(n, 3), 0x1234);
    shift_out(n, 7, 3); /* ERASE */
    shift_out(n, 3, 6);
    standby(n);
    assert_int_equal(eerd(n, 3), 0xffff);
    shift_out(n, 0x11, 5); /* WRAL */
    shift_out(n, 0, 4);
    shift_out(n, 0xabcd, 16);
    standby(n);
    assert_int_equal(eerd(n, 0), 0xabcd);
    assert_int_equal(eerd(n, 63), 0xabcd);
    shift_out(n, 0x10, 5); /* EWDS */
    shift_out(n, 0, 4);
    standby(n);
    shift_out(n, 0x12, 5); /* ERAL */
    shift_out(n, 0, 4);
    standby(n);
    assert_int_equal(eerd(n, 0), 0xabcd);
    nic_free(n);
}

static void new_address_is_taken_at_reset(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    standby(n);
    shift_out(n, 0x13, 5);
    shift_out(n, 0, 4);
    standby(n);
    shift_out(n, 5, 3);
    shift_out(n, 2, 6);
    shift_out(n, 0x9988, 16);
    standby(n);
    assert_int_equal(rd(n, E1000_RA + 4), 0x80005634);
    wr(n, E1000_CTRL_EXT, CTRL_EXT_EE_RST);
    assert_int_equal(rd(n, E1000_RA + 4), 0x80009988);
    assert_int_equal(rd(n, E1000_CTRL_EXT), 0);
    nic_free(n);
}

static void bad_pins_without_request_are_not_connected(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    wr(n, E1000_EECD, EECD_CS | EECD_DI);
    wr(n, E1000_EECD, EECD_CS | EECD_DI | EECD_SK);
    pins(n, EECD_CS);
    assert_int_equal(pin_read(n, 0), 0x5452);
    nic_free(n);
}

static void bad_24_eerd_beyond_64_words_is_done_and_0(void **state)
{
    struct nic *n = nic_new();

    (void)state;
    for (uint32_t i = 64; i < 256; i++)
        assert_int_equal(eerd(n, i), 0);
    assert_string_equal(fake_log(n->h, NULL), "EERD asks for word 255 of 64; it reads 0");
    nic_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_sum_up_to_baba),
        cmocka_unit_test(pins_read_what_eerd_reads),
        cmocka_unit_test(reading_goes_on_with_the_next_word),
        cmocka_unit_test(word_is_written_after_ewen),
        cmocka_unit_test(new_address_is_taken_at_reset),
        cmocka_unit_test(bad_pins_without_request_are_not_connected),
        cmocka_unit_test(bad_24_eerd_beyond_64_words_is_done_and_0),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
