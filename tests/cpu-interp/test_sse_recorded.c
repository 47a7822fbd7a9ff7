/* SPDX-License-Identifier: MIT
 *
 * test_sse_recorded.c - vector instructions by the engine on any host, and what an x86-64 processor
 * made of the same operands: recorded.txt, which test_sse_host.c writes.
 *
 * A line is an instruction in hexadecimal and two digests of vectors.h: of registers and memory,
 * and of MXCSR. It does not prove what vectors.h leaves out, nor RCP and RSQRT.
 */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "decode/insn.h"

static int engine_act(struct vectors *v, const uint8_t *bytes, size_t length, struct state *s)
{
    int stopped = vectors_run(v, bytes, length, s);

    memcpy(v->data, v->bench->ram + DATA, DATA_BYTES);
    return stopped == BENCH_STOPPED ? 0 : -1;
}

/* The instruction's length, or 0. */
static uint32_t parse(const char *line, uint8_t bytes[15], uint32_t *values, uint32_t *mxcsr)
{
    char text[31];
    uint32_t length;

    /* NOLINTNEXTLINE(cert-err34-c): their count says that all were numbers of that form */
    if (sscanf(line, "%30[0-9a-f] %x %x", text, values, mxcsr) != 3)
        return 0;
    length = (uint32_t)strlen(text) / 2;
    for (uint32_t i = 0; i < length; i++) {
        const char digits[3] = {text[2 * i], text[2 * i + 1], 0};

        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return length;
}

static void vector_instructions_are_as_recorded(void **state)
{
    static uint8_t data[DATA_BYTES];
    struct vectors v = {.data = data};
    uint32_t forms = 0, failures = 0;
    char line[80];
    FILE *file = fopen(RECORDED, "r");

    (void)state;
    assert_non_null(file);
    vectors_start(&v);
    while (fgets(line, sizeof(line), file)) {
        uint32_t values, mxcsr, got_values, got_mxcsr, length;
        uint8_t bytes[15];
        char text[96];
        int result;

        length = parse(line, bytes, &values, &mxcsr);
        assert_int_not_equal(length, 0);
        result = vectors_digest(&v, engine_act, bytes, length, &got_values, &got_mxcsr);
        forms++;
        if (result == 0 && got_values == values && got_mxcsr == mxcsr)
            continue;
        failures++;
        insn_format(bytes, length, MODE_64 | MODE_FLAT | MODE_PE, 0, text, sizeof(text));
        print_error("%s (%.*s): %s\n", text, (int)(2 * length), line,
                    result != 0            ? "does not run"
                    : got_values != values ? "another result"
                                           : "other flags in MXCSR");
    }
    (void)fclose(file);
    vectors_stop(&v);
    print_message("%u forms\n", forms);
    assert_int_equal(failures, 0);
    assert_true(forms > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_instructions_are_as_recorded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
