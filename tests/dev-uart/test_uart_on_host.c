/* SPDX-License-Identifier: MIT
 *
 * dev-uart/test_uart_on_host.c - dev-uart and chr-host together, joined as a host joins them.
 */
#include "chr_host.h"
#include "fakes/host.h"
#include "regs.h"
#include "uart.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES 200000u

struct fixture {
    char folder[32], path[64], input[64];
    struct fake_host *chr, *uart;
};

static uint8_t in(struct fixture *f, uint32_t reg)
{
    return (uint8_t)fake_read(f->uart, BP_SPACE_PIO, 0x3f8 + reg, 1);
}

static void out(struct fixture *f, uint32_t reg, uint32_t value)
{
    fake_write(f->uart, BP_SPACE_PIO, 0x3f8 + reg, value, 1);
}

static uint8_t pattern(uint32_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    snprintf(f->folder, sizeof(f->folder), "/tmp/uart-host-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/out", f->folder);
    snprintf(f->input, sizeof(f->input), "%s/in", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fake_host_free(f->uart);
    fake_host_free(f->chr);
    unlink(f->path);
    unlink(f->input);
    rmdir(f->folder);
    free(f);
    return 0;
}

static void join(struct fixture *f, const struct file_config *file)
{
    struct uart_config config = {.irq = 4, .clock = 1843200, .port = 0x3f8};
    void *self;

    f->chr = fake_host_new(CHR_PLUGIN_FILE, "file", file);
    self = fake_self(f->chr);
    config.chardev = fake_peer(BP_CHAR_ID, fake_ops(f->chr)->extension(self, BP_CHAR_ID), self);
    f->uart = fake_host_new(PLUGIN_FILE, "16550a", &config);
    out(f, FCR, FCR_ENABLE | 0x80);
    out(f, MCR, MCR_OUT2);
}

static void a_log_passes_through_a_slow_pipe_whole(void **state)
{
    struct fixture *f = *state;
    struct file_config file = {.path = f->path};
    uint32_t sent = 0, got = 0;
    int reader;

    assert_int_equal(mkfifo(f->path, 0600), 0);
    reader = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    join(f, &file);
    while (got < BYTES) {
        uint8_t data[3000];
        ssize_t n;

        for (uint32_t k = 0; k < 5000 && sent < BYTES && (in(f, LSR) & LSR_THRE); k++)
            out(f, THR, pattern(sent++));
        fake_advance_ns(f->chr, 1000000);
        fake_poll(f->chr, 0);
        n = read(reader, data, sizeof(data));
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(data[i], pattern(got++));
    }
    assert_int_equal(sent, BYTES);
    assert_int_equal(fake_log_count(f->uart), 0);
    close(reader);
}

static void a_paste_arrives_whole(void **state)
{
    struct fixture *f = *state;
    struct file_config file = {.path = f->path, .input = f->input};
    FILE *source = fopen(f->input, "w");
    uint32_t got = 0;

    assert_non_null(source);
    for (uint32_t i = 0; i < BYTES; i++)
        fputc(pattern(i), source);
    fclose(source);
    join(f, &file);
    out(f, IER, IER_ERBFI);
    for (uint32_t turn = 0; got < BYTES; turn++) {
        assert_true(turn < 10 * BYTES);
        fake_advance_ns(f->chr, 100000);
        fake_advance_ns(f->uart, 100000);
        while (fake_irq_level(f->uart, 4) && got < BYTES) {
            assert_int_equal(in(f, LSR) & (LSR_DR | LSR_OE), LSR_DR);
            assert_int_equal(in(f, RBR), pattern(got++));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_log_passes_through_a_slow_pipe_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_paste_arrives_whole, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
