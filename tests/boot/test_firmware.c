/* SPDX-License-Identifier: MIT
 *
 * Firmware: read into ROM, and the processor as it is after power-on.
 */
#include "boot/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROM_BYTES 0x3000u

static uint8_t image[ROM_BYTES]; /* what is in the file */

struct rom {
    struct machine *m;
    uint8_t bytes[ROM_BYTES];
    char path[64];
};

static struct rom *with_rom(void)
{
    struct rom *r = calloc(1, sizeof(*r));

    assert_non_null(r);
    for (uint32_t i = 0; i < ROM_BYTES; i++)
        image[i] = (uint8_t)(i * 7 + (i >> 8));
    file_make(r->path, image, ROM_BYTES);
    r->m = machine_new(MIB);
    r->m->target.rom = r->bytes;
    r->m->target.rom_bytes = ROM_BYTES;
    r->m->request = (struct boot_request){.firmware = r->path};
    return r;
}

static void rom_free(struct rom *r)
{
    file_remove(r->path);
    machine_free(r->m);
    free(r);
}

static int load(struct rom *r)
{
    return boot_load(&r->m->request, &r->m->target, &r->m->state, &r->m->e);
}

static void firmware_is_read_and_the_processor_left_at_its_reset_vector(void **state)
{
    struct rom *r = with_rom();
    (void)state;

    assert_int_equal(load(r), 0);
    assert_memory_equal(r->bytes, image, ROM_BYTES);
    assert_string_equal(r->m->state.protocol, "firmware");
    assert_true(r->m->state.power_on);
    assert_int_equal(r->m->state.gpr.rip, 0xfffffff0);
    assert_int_equal(machine_at(r->m, 0x500, 1)[0], 0xcc); /* RAM is left alone */
    assert_int_equal(machine_at(r->m, 0x7000, 1)[0], 0xcc);
    rom_free(r);
}

static void firmware_is_read_again_at_a_reset(void **state)
{
    struct rom *r = with_rom();
    (void)state;

    assert_int_equal(load(r), 0);
    memset(r->bytes, 0, ROM_BYTES);
    assert_int_equal(load(r), 0);
    assert_memory_equal(r->bytes, image, ROM_BYTES);
    rom_free(r);
}

static void bad_95_firmware_that_changed_its_size(void **state)
{
    struct rom *r = with_rom();
    char sentence[200];
    (void)state;

    assert_int_equal(truncate(r->path, 0x2000), 0);
    assert_int_equal(load(r), -EINVAL);
    snprintf(
        sentence, sizeof(sentence),
        "%s: has 8192 bytes, but had 12288 when the machine was made; its size must not change",
        r->path);
    assert_string_equal(r->m->e.text, sentence);
    assert_int_equal(truncate(r->path, 0), 0);
    assert_int_equal(load(r), -EINVAL);
    snprintf(sentence, sizeof(sentence), "%s: is empty (0 bytes)", r->path);
    assert_string_equal(r->m->e.text, sentence);
    rom_free(r);
}

static void bad_95_each_size_at_the_edges_of_what_is_allowed(void **state)
{
    static const struct {
        uint64_t bytes;
        bool good;
    } cases[] = {
        {1, false},         {4095, false},      {4096, true},        {4097, false},
        {0x20000, true},    {0x21000, true},    {0xffffff, false},   {0x1000000, true},
        {0x1000001, false}, {0x1001000, false}, {1ull << 33, false},
    };
    struct rom *r = with_rom();
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char sentence[300];
        uint64_t bytes = 0;

        assert_int_equal(truncate(r->path, (off_t)cases[i].bytes), 0);
        int err = boot_check_firmware(r->path, &bytes, &r->m->e);
        assert_int_equal(err, cases[i].good ? 0 : -EINVAL);
        assert_int_equal(bytes, cases[i].bytes);
        snprintf(
            sentence, sizeof(sentence),
            "%s: has %llu bytes, which no firmware image has: expected a multiple of 4096, and "
            "at most 16777216",
            r->path, (unsigned long long)cases[i].bytes);
        if (err)
            assert_string_equal(r->m->e.text, sentence);
    }
    rom_free(r);
}

static void bad_95_firmware_that_is_no_file(void **state)
{
    struct rom *r = with_rom();
    char path[80], sentence[200];
    uint64_t bytes;
    (void)state;

    snprintf(path, sizeof(path), "%s.fifo", r->path);
    assert_int_equal(mkfifo(path, 0600), 0);
    r->m->request.firmware = path;
    snprintf(sentence, sizeof(sentence), "%s: is a FIFO, expected a regular file", path);
    assert_int_equal(boot_check_firmware(path, &bytes, &r->m->e), -EINVAL);
    assert_string_equal(r->m->e.text, sentence);
    assert_int_equal(load(r), -EINVAL);
    assert_string_equal(r->m->e.text, sentence);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(boot_check_firmware("/", &bytes, &r->m->e), -EISDIR);
    assert_string_equal(r->m->e.text, "/: is a directory, expected a file");
    rom_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(firmware_is_read_and_the_processor_left_at_its_reset_vector),
        cmocka_unit_test(firmware_is_read_again_at_a_reset),
        cmocka_unit_test(bad_95_firmware_that_changed_its_size),
        cmocka_unit_test(bad_95_each_size_at_the_edges_of_what_is_allowed),
        cmocka_unit_test(bad_95_firmware_that_is_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
