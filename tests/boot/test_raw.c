/* SPDX-License-Identifier: MIT
 *
 * Raw binaries at any address, in each mode.
 */
#include "boot/fixture.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <string.h>

static struct machine *with_raw(uint64_t ram, uint32_t mode, uint64_t address, uint32_t length)
{
    struct machine *m = machine_new(ram);

    for (uint32_t i = 0; i < length; i++)
        m->kernel.bytes[i] = (uint8_t)(i * 5);
    m->kernel.size = length;
    m->request.protocol = BOOT_RAW;
    m->request.raw_mode = mode;
    m->request.raw_address = address;
    m->request.raw_entry = address;
    return m;
}

static void boot_sector_starts_in_real_mode(void **state)
{
    struct machine *m = with_raw(MIB, 16, 0x7c00, 512);
    const struct bp_x86_sys *sys = &m->state.sys;
    (void)state;

    machine_must_load(m);
    assert_string_equal(m->state.protocol, "raw 16-bit");
    assert_memory_equal(machine_at(m, 0x7c00, 512), m->kernel.bytes, 512);
    assert_int_equal(m->state.gpr.rip, 0x7c00);
    assert_int_equal(m->state.gpr.rsp, 0);
    assert_int_equal(m->state.gpr.rflags, 2);
    assert_int_equal(sys->cs.selector, 0);
    assert_int_equal(sys->cs.base, 0);
    assert_int_equal(sys->cs.limit, 0xffff);
    assert_int_equal(sys->cs.attributes, 0x9b);
    assert_int_equal(sys->ds.attributes, 0x93);
    assert_int_equal(sys->tr.attributes, 0x8b);
    assert_int_equal(sys->ldt.attributes, 0);
    assert_int_equal(sys->idt.limit, 0x3ff);
    assert_int_equal(sys->cr0, 0x10);
    assert_int_equal(sys->efer, 0);
    assert_int_equal(machine_at(m, 0x500, 1)[0], 0xcc); /* no GDT was written */
    machine_free(m);
}

static void real_mode_reaches_the_first_mib(void **state)
{
    struct machine *m = with_raw(MIB, 16, 0x8fff0, 32);
    (void)state;

    m->request.raw_entry = 0x8fff8;
    machine_must_load(m);
    assert_int_equal(m->state.sys.cs.selector, 0x8000);
    assert_int_equal(m->state.sys.cs.base, 0x80000);
    assert_int_equal(m->state.sys.ss.base, 0x80000);
    assert_int_equal(m->state.gpr.rip, 0xfff8);
    machine_free(m);
}

static void flat_binary_starts_in_32_bit(void **state)
{
    struct machine *m = with_raw(4 * MIB, 32, 0x100000, 100);
    (void)state;

    m->request.raw_entry = 0x100063;
    machine_must_load(m);
    assert_string_equal(m->state.protocol, "raw 32-bit");
    assert_flat(&m->state, 32);
    assert_int_equal(m->state.gpr.rip, 0x100063);
    assert_int_equal(m->state.gpr.rsp, 0xa0000); /* the end of a page that is RAM */
    assert_true(bp_le64(machine_at(m, 0x510, 8)) == 0x00cf9b000000ffff);
    machine_free(m);
}

static void flat_binary_starts_in_64_bit(void **state)
{
    struct machine *m = with_raw(4 * MIB, 64, 0x100000, 100);
    (void)state;

    machine_must_load(m);
    assert_string_equal(m->state.protocol, "raw 64-bit");
    assert_flat(&m->state, 64);
    assert_int_equal(m->state.sys.cr3, 0x9000);
    assert_int_equal(m->state.gpr.rip, 0x100000);
    machine_free(m);
}

static void loaders_structures_make_way_for_the_binary(void **state)
{
    struct machine *m = with_raw(MIB, 64, 0, BLOB_MAX); /* over GDT and page tables */
    (void)state;

    machine_must_load(m);
    assert_flat(&m->state, 64);
    assert_memory_equal(machine_at(m, 0, BLOB_MAX), m->kernel.bytes, BLOB_MAX);
    assert_int_equal(m->state.sys.gdt.base, BLOB_MAX);
    assert_int_equal(m->state.sys.cr3, BLOB_MAX + 0x1000);
    assert_int_equal(bp_le64(machine_at(m, BLOB_MAX + 0x1000, 8)), (BLOB_MAX + 0x2000) | 0x23);
    machine_free(m);
}

static void pages_above_four_gib_are_mapped_for_a_binary_there(void **state)
{
    struct machine *m = with_raw(6 * GIB, 64, 5 * GIB - 16, 100);
    (void)state;

    m->request.raw_entry = 5 * GIB;
    machine_must_load(m);
    assert_true(m->state.gpr.rip == 5 * GIB);
    uint64_t pdpt = bp_le64(machine_at(m, m->state.sys.cr3, 8)) & ~0xfffull;
    uint64_t pd = bp_le64(machine_at(m, pdpt + 40, 8)) & ~0xfffull;
    assert_true(bp_le64(machine_at(m, pd, 8)) == (5 * GIB | 0xe3));
    assert_int_equal(bp_le64(machine_at(m, pdpt + 48, 8)), 0);
    machine_free(m);
}

static void bad_95_bad_requests_get_a_sentence_each(void **state)
{
    static const struct {
        uint32_t mode;
        uint64_t address, entry;
        int err;
        const char *sentence;
    } cases[] = {
        {0, 0, 0, -EINVAL, "kernel: mode 0 is not possible, expected 16, 32 or 64"},
        {32, 0x1000, 0xfff, -EINVAL,
         "kernel: the entry 0xfff is outside the binary, which has 100 bytes at 0x1000"},
        {32, 0x1000, 0x1064, -EINVAL,
         "kernel: the entry 0x1064 is outside the binary, which has 100 bytes at 0x1000"},
        {16, 0x100000, 0x100000, -EINVAL,
         "kernel: the entry 0x100000 is out of real mode's reach, expected at most 0xfffff"},
        {32, 0x100000000, 0x100000000, -EINVAL,
         "kernel: the entry 0x100000000 is out of 32-bit mode's reach, expected at most "
         "0xffffffff"},
        {64, 0x8000000000, 0x8000000000, -EINVAL,
         "kernel: the entry 0x8000000000 is above the 512 GiB that are mapped"},
        {64, 0x9ffd0, 0x9ffd0, -ENOSPC,
         "kernel: the binary at 0x9ffd0-0xa0033 would not be all in RAM; the machine's RAM is "
         "0x0-0x9ffff, 0x100000-0x3fffff"},
        {64, 0xffffffffffffffff, 0xffffffffffffffff, -EINVAL,
         "kernel: the entry 0xffffffffffffffff is above the 512 GiB that are mapped"},
        {32, 0xc0000000, 0xc0000000, -ENOSPC,
         "kernel: the binary at 0xc0000000-0xc0000063 would not be all in RAM; the machine's RAM "
         "is "
         "0x0-0x9ffff, 0x100000-0x3fffff"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct machine *m = with_raw(4 * MIB, cases[i].mode, cases[i].address, 100);

        m->request.raw_entry = cases[i].entry;
        machine_must_fail(m, cases[i].err, cases[i].sentence);
        machine_free(m);
    }
}

static void bad_95_parameters_that_it_cannot_get_are_refused(void **state)
{
    struct machine *m = with_raw(4 * MIB, 64, 0x1000, 100);
    (void)state;

    m->request.initrd = "initrd";
    machine_must_fail(m, -EINVAL,
                      "kernel: a raw binary is not told about initrd or modules; remove them");
    m->request.initrd = NULL;
    m->request.cmdline = "quiet";
    machine_must_fail(m, -EINVAL,
                      "kernel: a raw binary is not told about a command line; remove it");
    m->request.cmdline = "";
    machine_must_load(m);
    machine_free(m);
}

static void bad_95_ram_full_of_binary_has_no_room_for_page_tables(void **state)
{
    struct machine *m = with_raw(0x8000, 64, 0, 0x8000);
    (void)state;

    machine_must_fail(
        m, -ENOSPC,
        "kernel: the GDT of 32 bytes finds no free RAM between 0x1000 and 0xffffffff; the "
        "machine's RAM is 0x0-0x7fff: give it more memory");
    m->request.raw_mode = 16; /* needs nothing else */
    machine_must_load(m);
    machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boot_sector_starts_in_real_mode),
        cmocka_unit_test(real_mode_reaches_the_first_mib),
        cmocka_unit_test(flat_binary_starts_in_32_bit),
        cmocka_unit_test(flat_binary_starts_in_64_bit),
        cmocka_unit_test(loaders_structures_make_way_for_the_binary),
        cmocka_unit_test(pages_above_four_gib_are_mapped_for_a_binary_there),
        cmocka_unit_test(bad_95_bad_requests_get_a_sentence_each),
        cmocka_unit_test(bad_95_parameters_that_it_cannot_get_are_refused),
        cmocka_unit_test(bad_95_ram_full_of_binary_has_no_room_for_page_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
