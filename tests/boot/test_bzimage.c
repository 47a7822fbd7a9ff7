/* SPDX-License-Identifier: MIT
 *
 * bzImage: boot_params, placement, and what a damaged image gets (bad input 95). That a real kernel
 * starts from this state is for the guest tests to show.
 */
#include "boot/fixture.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PARAMS 0x7000u

static struct machine *with_bzimage(uint64_t ram)
{
    struct machine *m = machine_new(ram);

    make_bzimage(&m->kernel);
    return m;
}

static void starts_in_long_mode_at_200h(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    machine_must_load(m);
    assert_string_equal(m->state.protocol, "Linux 64-bit");
    assert_flat(&m->state, 64);
    assert_int_equal(m->state.gpr.rip, 0x1000200);
    assert_int_equal(m->state.gpr.rsi, PARAMS);
    assert_int_equal(m->state.sys.cr3, 0x9000);
    assert_int_equal(m->state.sys.gdt.base, 0x500);
    assert_memory_equal(machine_at(m, 0x1000000, BZIMAGE_CODE_BYTES),
                        m->kernel.bytes + BZIMAGE_CODE_OFFSET, BZIMAGE_CODE_BYTES);
    machine_free(m);
}

static void gdt_has_code_at_10h_and_data_at_18h(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    machine_must_load(m);
    const uint8_t *gdt = machine_at(m, 0x500, 32);
    assert_int_equal(bp_le64(gdt), 0);
    assert_int_equal(bp_le64(gdt + 8), 0);
    assert_true(bp_le64(gdt + 16) == 0x00af9b000000ffff);
    assert_true(bp_le64(gdt + 24) == 0x00cf93000000ffff);
    machine_free(m);
}

/* Walks the tables as a processor does. */
static uint64_t walk(struct machine *m, uint64_t address)
{
    uint64_t pml4e = bp_le64(machine_at(m, m->state.sys.cr3 + (address >> 39 & 511) * 8, 8));
    uint64_t pdpte, pde;

    assert_int_equal(pml4e & 0x83, 3);
    pdpte = bp_le64(machine_at(m, (pml4e & ~0xfffull) + (address >> 30 & 511) * 8, 8));
    assert_int_equal(pdpte & 0x83, 3);
    pde = bp_le64(machine_at(m, (pdpte & ~0xfffull) + (address >> 21 & 511) * 8, 8));
    assert_int_equal(pde & 0x83, 0x83);
    return (pde & ~0x1fffffull) + (address & 0x1fffff);
}

static void page_tables_map_four_gib_one_to_one(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    machine_must_load(m);
    for (uint64_t address = 0x1234; address < 4 * GIB; address += 2 * MIB)
        assert_true(walk(m, address) == address);
    assert_int_equal(bp_le64(machine_at(m, 0x9008, 8)), 0); /* nothing beyond */
    assert_int_equal(bp_le64(machine_at(m, 0xa020, 8)), 0);
    machine_free(m);
}

static void boot_params_hold_the_header_and_nothing_of_the_setup_code(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    machine_must_load(m);
    const uint8_t *p = machine_at(m, PARAMS, 4096), *file = m->kernel.bytes;
    assert_memory_equal(p + 0x1f1, file + 0x1f1, 0x210 - 0x1f1);
    assert_int_equal(p[0x210], 0xff);                /* type_of_loader */
    assert_int_equal(p[0x211], 1);                   /* loadflags */
    assert_int_equal(bp_le32(p + 0x214), 0x1000000); /* code32_start */
    assert_memory_equal(p + 0x22c, file + 0x22c, 0x250 - 0x22c);
    assert_int_equal(bp_le64(p + 0x250), 0); /* setup_data */
    assert_memory_equal(p + 0x258, file + 0x258, 0x26c - 0x258);
    for (unsigned i = 0x26c; i < 0x2d0; i++)
        assert_int_equal(p[i], 0);
    for (unsigned i = 0; i < 0x1e8; i++)
        if (i < 0x70 || i >= 0x78)
            assert_int_equal(p[i], 0);
    assert_int_equal(p[0x1ef], 0); /* sentinel */
    assert_int_equal(bp_le64(p + 0x70), 0xe0000);
    machine_free(m);
}

static void boot_params_hold_the_memory_map(void **state)
{
    struct machine *m = with_bzimage(5 * GIB);
    (void)state;

    machine_must_load(m);
    const uint8_t *p = machine_at(m, PARAMS, 4096), *entry = p + 0x2d0;
    assert_int_equal(p[0x1e8], 5);
    assert_int_equal(bp_le64(entry), 0);
    assert_int_equal(bp_le64(entry + 8), 0xa0000);
    assert_int_equal(bp_le32(entry + 16), 1);
    entry += 80;
    assert_true(bp_le64(entry) == 4 * GIB);
    assert_true(bp_le64(entry + 8) == 2 * GIB);
    assert_int_equal(bp_le32(entry + 16), 1);
    machine_free(m);
}

static void command_line_ends_with_zero(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    m->request.cmdline = "console=ttyS0 quiet";
    machine_must_load(m);
    assert_int_equal(bp_le32(machine_at(m, PARAMS + 0x228, 4)), 0x20000);
    assert_string_equal((char *)machine_at(m, 0x20000, 32), "console=ttyS0 quiet");
    machine_free(m);
}

static void no_command_line_is_an_empty_one(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    machine_must_load(m);
    assert_int_equal(bp_le32(machine_at(m, PARAMS + 0x228, 4)), 0x20000);
    assert_string_equal((char *)machine_at(m, 0x20000, 1), "");
    machine_free(m);
}

static void command_line_may_have_cmdline_size_bytes(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    char line[2049];
    (void)state;

    memset(line, 'x', sizeof(line));
    line[2047] = 0;
    m->request.cmdline = line;
    machine_must_load(m);
    line[2047] = 'x';
    line[2048] = 0;
    machine_must_fail(
        m, -EINVAL, "kernel: the command line has 2048 bytes, and this kernel takes at most 2047");
    machine_free(m);
}

static void bad_95_command_line_must_fit_the_loaders_room(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    static char line[70001];
    (void)state;

    memset(line, 'x', sizeof(line) - 1);
    bp_put_le32(m->kernel.bytes + 0x238, 0xffffffff);
    m->request.cmdline = line;
    machine_must_fail(
        m, -EINVAL,
        "kernel: the command line has 70001 bytes with the terminating 0, and there is "
        "room for 65536");
    line[65535] = 0;
    machine_must_load(m);
    machine_free(m);
}

static void initrd_stands_at_the_end_of_ram(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    machine_initrd(m, 5000);
    machine_must_load(m);
    const uint8_t *p = machine_at(m, PARAMS, 4096);
    assert_int_equal(bp_le32(p + 0x218), 64 * MIB - 8192);
    assert_int_equal(bp_le32(p + 0x21c), 5000);
    assert_int_equal(bp_le32(p + 0xc0), 0);
    assert_int_equal(bp_le32(p + 0xc4), 0);
    assert_initrd_at(m, 64 * MIB - 8192, 5000);
    machine_free(m);
}

static void initrd_stays_below_initrd_addr_max(void **state)
{
    struct machine *m = with_bzimage(5 * GIB);
    (void)state;

    machine_initrd(m, 4096);
    machine_must_load(m);
    assert_int_equal(bp_le32(machine_at(m, PARAMS + 0x218, 4)), 0x7ffff000);
    bp_put_le32(m->kernel.bytes + 0x22c, 0x37fffffe);
    machine_must_load(m);
    assert_int_equal(bp_le32(machine_at(m, PARAMS + 0x218, 4)), 0x37ffe000);
    bp_put_le32(m->kernel.bytes + 0x22c, 0xffffffff);
    machine_must_load(m);
    assert_true(bp_le32(machine_at(m, PARAMS + 0x218, 4)) == 0xbffff000); /* the end of low RAM */
    machine_free(m);
}

static void initrd_goes_below_a_kernel_at_the_end_of_ram(void **state)
{
    struct machine *m = with_bzimage(18 * MIB);
    (void)state;

    machine_initrd(m, 4096);
    machine_must_load(m);
    assert_int_equal(bp_le32(machine_at(m, PARAMS + 0x218, 4)), 16 * MIB - 4096);
    machine_free(m);
}

static void bad_95_initrd_that_does_not_fit_is_refused(void **state)
{
    struct machine *m = with_bzimage(18 * MIB);
    char sentence[300];
    (void)state;

    machine_initrd(m, 15 * MIB + 1);
    snprintf(sentence, sizeof(sentence),
             "%s: the initrd of 15728641 bytes finds no free RAM between 0x100000 and 0x7fffffff; "
             "the machine's RAM is 0x0-0x9ffff, 0x100000-0x11fffff: give it more memory",
             m->initrd);
    machine_must_fail(m, -ENOSPC, sentence);
    machine_free(m);
}

static void bad_95_initrd_with_initrd_addr_max_zero_is_refused(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    char sentence[300];
    (void)state;

    machine_initrd(m, 1);
    bp_put_le32(m->kernel.bytes + 0x22c, 0);
    snprintf(sentence, sizeof(sentence),
             "%s: the initrd of 1 bytes finds no free RAM between 0x100000 and 0x0; the machine's "
             "RAM is 0x0-0x9ffff, 0x100000-0x3ffffff: give it more memory",
             m->initrd);
    machine_must_fail(m, -ENOSPC, sentence);
    machine_free(m);
}

static void goes_above_pref_address_when_that_is_taken(void **state)
{
    struct machine *m = machine_with_hole(64 * MIB, 17 * MIB, 0x1000);
    (void)state;

    make_bzimage(&m->kernel);
    machine_must_load(m);
    assert_int_equal(m->state.gpr.rip, 18 * MIB + 0x200); /* the next multiple of 2 MiB */
    assert_int_equal(bp_le32(machine_at(m, PARAMS + 0x214, 4)), 18 * MIB);
    machine_free(m);
}

static void pref_address_that_is_not_aligned_is_rounded_up(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    bp_put_le64(m->kernel.bytes + 0x258, 0x1000001);
    machine_must_load(m);
    assert_int_equal(m->state.gpr.rip, 0x1200200);
    machine_free(m);
}

static void bad_95_init_size_beyond_ram_is_refused(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    bp_put_le32(m->kernel.bytes + 0x260, 48 * MIB);
    machine_must_load(m);
    bp_put_le32(m->kernel.bytes + 0x260, 48 * MIB + 1);
    machine_must_fail(m, -ENOSPC,
                      "kernel: the kernel (init_size) of 50331649 bytes finds no free RAM between "
                      "0x1000000 and 0xffffffff; the machine's RAM is 0x0-0x9ffff, "
                      "0x100000-0x3ffffff: give it more memory");
    machine_free(m);
}

static void bad_95_pref_address_beyond_ram_is_refused(void **state)
{
    struct machine *m = with_bzimage(5 * GIB);
    (void)state;

    bp_put_le64(m->kernel.bytes + 0x258, 4 * GIB); /* RAM, but not mapped */
    machine_must_fail(m, -EINVAL,
                      "kernel: prefers the load address 0x100000000 (pref_address), expected an "
                      "address below 4 GiB");
    bp_put_le64(m->kernel.bytes + 0x258, UINT64_MAX);
    machine_must_fail(
        m, -EINVAL,
        "kernel: prefers the load address 0xffffffffffffffff (pref_address), expected an "
        "address below 4 GiB");
    machine_free(m);
}

static void fixed_kernel_goes_to_one_mib(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    m->kernel.bytes[0x234] = 0;
    machine_initrd(
        m, 47 * MIB); /* between pref_address + init_size and the end there are only 46 MiB */
    assert_int_equal(machine_load(m), -ENOSPC);
    file_remove(m->initrd);
    machine_initrd(m, 46 * MIB);
    machine_must_load(m);
    assert_int_equal(m->state.gpr.rip, 0x100200);
    assert_int_equal(bp_le32(machine_at(m, PARAMS + 0x214, 4)), 0x100000);
    assert_int_equal(bp_le32(machine_at(m, PARAMS + 0x218, 4)), 18 * MIB);
    machine_free(m);
}

static void fixed_kernel_may_run_over_its_own_file(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    m->kernel.bytes[0x234] = 0;
    bp_put_le64(m->kernel.bytes + 0x258, 0x100800);
    machine_must_load(m);
    bp_put_le64(m->kernel.bytes + 0x258, 0);
    machine_must_load(m);
    assert_int_equal(m->state.gpr.rip, 0x100200);
    machine_free(m);
}

static void bad_95_fixed_kernel_may_not_run_outside_ram(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    m->kernel.bytes[0x234] = 0;
    bp_put_le64(m->kernel.bytes + 0x258, 0xfffff000);
    machine_must_fail(
        m, -ENOSPC,
        "kernel: the kernel (init_size) at 0xfffff000-0x1001fefff would not be all in "
        "RAM; the machine's RAM is 0x0-0x9ffff, 0x100000-0x3ffffff");
    machine_free(m);
}

static void kernel_without_xlf_kernel_64_starts_in_32_bit(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    bp_put_le16(m->kernel.bytes + 0x236, 0x7e);
    machine_must_load(m);
    assert_string_equal(m->state.protocol, "Linux 32-bit");
    assert_flat(&m->state, 32);
    assert_int_equal(m->state.gpr.rip, 0x1000000);
    assert_int_equal(m->state.gpr.rsi, PARAMS);
    assert_int_equal(m->state.sys.cr3, 0);
    assert_true(bp_le64(machine_at(m, 0x510, 8)) == 0x00cf9b000000ffff);
    machine_free(m);
}

static void protocol_2_06_has_no_pref_address(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    bp_put_le16(m->kernel.bytes + 0x206, 0x206);
    m->kernel.bytes[0x201] = 0x3a; /* the header ends at 0x23c */
    machine_must_load(m);
    assert_string_equal(m->state.protocol, "Linux 32-bit");
    assert_int_equal(m->state.gpr.rip, 0x200000); /* 1 MiB, aligned */
    const uint8_t *p = machine_at(m, PARAMS, 4096);
    for (unsigned i = 0x23c; i < 0x2d0; i++)
        assert_int_equal(p[i], 0);
    machine_free(m);
}

static void setup_sects_zero_means_four(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    memmove(m->kernel.bytes + 0xa00, m->kernel.bytes + 0x400, 0x1000);
    m->kernel.size = 0x1a00;
    m->kernel.bytes[0x1f1] = 0;
    machine_must_load(m);
    assert_memory_equal(machine_at(m, 0x1000000, 0x1000), m->kernel.bytes + 0xa00, 0x1000);
    machine_free(m);
}

static void bytes_after_the_kernel_are_not_loaded(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    memset(m->kernel.bytes + m->kernel.size, 0xaa, 100); /* a signature for secure boot */
    m->kernel.size += 100;
    machine_must_load(m);
    assert_int_equal(machine_at(m, 0x1001000, 1)[0], 0);
    machine_free(m);
}

/* One damage, one sentence. */
static void bad_95_damaged_headers_get_a_sentence_each(void **state)
{
    static const struct {
        uint32_t offset, width;
        uint64_t value;
        const char *sentence;
    } cases[] = {
        {0x206, 2, 0x205, "kernel: has boot protocol 2.05, expected 2.06 or later (Linux 2.6.22)"},
        {0x206, 2, 0, "kernel: has boot protocol 0.00, expected 2.06 or later (Linux 2.6.22)"},
        {0x201, 1, 0x61,
         "kernel: the setup header ends at 0x263, expected 0x264 to 0x290 with boot protocol 2.15"},
        {0x201, 1, 0xff,
         "kernel: the setup header ends at 0x301, expected 0x264 to 0x290 with boot protocol 2.15"},
        {0x211, 1, 0, "kernel: is a zImage (loaded low), expected a bzImage"},
        {0x1f1, 1, 255,
         "kernel: the setup code has 255 sectors and ends at byte 131072, but the file has only "
         "5120 "
         "bytes; it is truncated"},
        {0x1f4, 4, 0x101,
         "kernel: the kernel has 4112 bytes from byte 1024 on, but the file has only 5120 bytes; "
         "it is "
         "truncated"},
        {0x1f4, 4, 0xffffffff,
         "kernel: the kernel has 68719476720 bytes from byte 1024 on, but the file has only 5120 "
         "bytes; "
         "it is truncated"},
        {0x1f4, 4, 0, "kernel: the kernel has 0 bytes (syssize), expected more than 512"},
        {0x1f4, 4, 0x20, "kernel: the kernel has 512 bytes (syssize), expected more than 512"},
        {0x230, 4, 0, "kernel: kernel_alignment is 0x0, expected a power of two"},
        {0x230, 4, 0x300000, "kernel: kernel_alignment is 0x300000, expected a power of two"},
    };
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_bzimage(&m->kernel);
        for (uint32_t k = 0; k < cases[i].width; k++)
            m->kernel.bytes[cases[i].offset + k] = (uint8_t)(cases[i].value >> 8 * k);
        machine_must_fail(m, -EINVAL, cases[i].sentence);
    }
    machine_free(m);
}

static void bad_95_protocol_linux_demands_the_magic(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    m->kernel.bytes[0x1fe] = 0;
    m->request.protocol = BOOT_LINUX;
    machine_must_fail(
        m, -EINVAL, "kernel: is no Linux bzImage: expected 0xaa55 at 0x1fe and \"HdrS\" at 0x202");
    m->kernel.size = 1;
    machine_must_fail(
        m, -EINVAL, "kernel: is no Linux bzImage: expected 0xaa55 at 0x1fe and \"HdrS\" at 0x202");
    machine_free(m);
}

static void bad_95_header_cut_off_by_the_files_end_gets_a_sentence(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    (void)state;

    m->kernel.size = 0x26b;
    machine_must_fail(
        m, -EINVAL,
        "kernel: the file ends after 619 bytes, within the setup header, which ends at "
        "0x26c; it is truncated");
    machine_free(m);
}

static void bad_95_modules_are_refused(void **state)
{
    struct machine *m = with_bzimage(64 * MIB);
    const char *modules[] = {"a"};
    (void)state;

    m->request.modules = modules;
    m->request.module_count = 1;
    machine_must_fail(
        m, -EINVAL,
        "kernel: is started by the Linux boot protocol, which has no modules; only PVH "
        "and multiboot have");
    machine_free(m);
}

static void bad_95_ram_without_the_loaders_room_is_refused(void **state)
{
    struct machine *m = machine_with_hole(64 * MIB, 0xa000, 0x1000);
    (void)state;

    make_bzimage(&m->kernel);
    machine_must_fail(m, -ENOSPC,
                      "kernel: the page tables at 0x9000-0xefff would not be all in RAM; the "
                      "machine's RAM is 0x0-0x9fff, 0xb000-0x9ffff, 0x100000-0x3ffffff");
    machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_in_long_mode_at_200h),
        cmocka_unit_test(gdt_has_code_at_10h_and_data_at_18h),
        cmocka_unit_test(page_tables_map_four_gib_one_to_one),
        cmocka_unit_test(boot_params_hold_the_header_and_nothing_of_the_setup_code),
        cmocka_unit_test(boot_params_hold_the_memory_map),
        cmocka_unit_test(command_line_ends_with_zero),
        cmocka_unit_test(no_command_line_is_an_empty_one),
        cmocka_unit_test(command_line_may_have_cmdline_size_bytes),
        cmocka_unit_test(bad_95_command_line_must_fit_the_loaders_room),
        cmocka_unit_test(initrd_stands_at_the_end_of_ram),
        cmocka_unit_test(initrd_stays_below_initrd_addr_max),
        cmocka_unit_test(initrd_goes_below_a_kernel_at_the_end_of_ram),
        cmocka_unit_test(bad_95_initrd_that_does_not_fit_is_refused),
        cmocka_unit_test(bad_95_initrd_with_initrd_addr_max_zero_is_refused),
        cmocka_unit_test(goes_above_pref_address_when_that_is_taken),
        cmocka_unit_test(pref_address_that_is_not_aligned_is_rounded_up),
        cmocka_unit_test(bad_95_init_size_beyond_ram_is_refused),
        cmocka_unit_test(bad_95_pref_address_beyond_ram_is_refused),
        cmocka_unit_test(fixed_kernel_goes_to_one_mib),
        cmocka_unit_test(fixed_kernel_may_run_over_its_own_file),
        cmocka_unit_test(bad_95_fixed_kernel_may_not_run_outside_ram),
        cmocka_unit_test(kernel_without_xlf_kernel_64_starts_in_32_bit),
        cmocka_unit_test(protocol_2_06_has_no_pref_address),
        cmocka_unit_test(setup_sects_zero_means_four),
        cmocka_unit_test(bytes_after_the_kernel_are_not_loaded),
        cmocka_unit_test(bad_95_damaged_headers_get_a_sentence_each),
        cmocka_unit_test(bad_95_protocol_linux_demands_the_magic),
        cmocka_unit_test(bad_95_header_cut_off_by_the_files_end_gets_a_sentence),
        cmocka_unit_test(bad_95_modules_are_refused),
        cmocka_unit_test(bad_95_ram_without_the_loaders_room_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
