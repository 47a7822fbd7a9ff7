/* SPDX-License-Identifier: MIT
 *
 * Multiboot 1: flat and ELF kernels, the information, and what damaged headers get (bad input 95).
 */
#include "boot/fixture.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define INFO 0x7000u
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct machine *with_multiboot(uint64_t ram)
{
    struct machine *m = machine_new(ram);

    make_multiboot(&m->kernel);
    return m;
}

static void flat_kernel_is_loaded_by_its_address_fields(void **state)
{
    struct machine *m = with_multiboot(64 * MIB);
    (void)state;

    memset(machine_at(m, MULTIBOOT_GPA, 0x4000), 0xcc, 0x4000);
    machine_must_load(m);
    assert_string_equal(m->state.protocol, "multiboot");
    assert_flat(&m->state, 32);
    assert_int_equal(m->state.gpr.rip, MULTIBOOT_GPA + 0x100);
    assert_int_equal(m->state.gpr.rax, 0x2badb002);
    assert_int_equal(m->state.gpr.rbx, INFO);
    const uint8_t *p = machine_at(m, MULTIBOOT_GPA, 0x4000);
    assert_memory_equal(p, m->kernel.bytes, MULTIBOOT_BYTES);
    for (unsigned i = MULTIBOOT_BYTES; i < 0x3000; i++)
        assert_int_equal(p[i], 0);
    assert_int_equal(p[0x3000], 0xcc); /* beyond the bss nothing is touched */
    machine_free(m);
}

static void load_addr_may_be_in_the_middle_of_the_file(void **state)
{
    struct machine *m = with_multiboot(64 * MIB);
    uint8_t *p = m->kernel.bytes + MULTIBOOT_HEADER;
    (void)state;

    bp_put_le32(p + 12, 0x200020); /* header_addr: the text begins 0x20 before, at byte 0x20 */
    bp_put_le32(p + 16, 0x200000);
    bp_put_le32(p + 20, 0); /* to the file's end */
    bp_put_le32(p + 24, 0); /* no bss */
    bp_put_le32(p + 28, 0x200000);
    machine_must_load(m);
    assert_memory_equal(machine_at(m, 0x200000, MULTIBOOT_BYTES - 0x20), m->kernel.bytes + 0x20,
                        MULTIBOOT_BYTES - 0x20);
    assert_int_equal(m->state.gpr.rip, 0x200000);
    machine_free(m);
}

static void elf_kernel_is_loaded_by_its_segments(void **state)
{
    const unsigned widths[] = {32, 64};
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        struct machine *m = machine_new(64 * MIB);

        make_elf(&m->kernel, widths[i], ELF_MULTIBOOT);
        machine_must_load(m);
        assert_string_equal(m->state.protocol, "multiboot");
        assert_flat(&m->state, 32);
        assert_int_equal(m->state.gpr.rip, ELF_TEXT_GPA);
        assert_memory_equal(machine_at(m, ELF_DATA_GPA, ELF_DATA_BYTES),
                            m->kernel.bytes + ELF_DATA_OFFSET, ELF_DATA_BYTES);
        machine_free(m);
    }
}

static void information_is_complete(void **state)
{
    struct machine *m = with_multiboot(64 * MIB);
    char module[64], with_arguments[80];
    const char *modules[] = {with_arguments, module};
    (void)state;

    file_make(module, "module", 6);
    snprintf(with_arguments, sizeof(with_arguments), "%s one two", module);
    machine_initrd(m, 5000);
    m->request.cmdline = "a=b";
    m->request.modules = modules;
    m->request.module_count = 2;
    machine_must_load(m);
    file_remove(module);

    const uint8_t *p = machine_at(m, INFO, 4096);
    assert_int_equal(bp_le32(p), 0x24d);
    assert_int_equal(bp_le32(p + 4), 640);
    assert_int_equal(bp_le32(p + 8), 63 * 1024);
    assert_string_equal((char *)machine_at(m, bp_le32(p + 16), 4), "a=b");
    assert_string_equal((char *)machine_at(m, bp_le32(p + 64), 10), "Backplane");

    /* Modules stand in order right above the bss, each at a page. */
    assert_int_equal(bp_le32(p + 20), 3);
    const uint8_t *list = machine_at(m, bp_le32(p + 24), 48);
    assert_int_equal(bp_le32(list), 0x103000);
    assert_int_equal(bp_le32(list + 4), 0x103000 + 5000);
    assert_initrd_at(m, 0x103000, 5000);
    assert_string_equal((char *)machine_at(m, bp_le32(list + 8), 64), m->initrd);
    assert_int_equal(bp_le32(list + 16), 0x105000);
    assert_int_equal(bp_le32(list + 20), 0x105006);
    assert_memory_equal(machine_at(m, 0x105000, 6), "module", 6);
    assert_string_equal((char *)machine_at(m, bp_le32(list + 24), 80), with_arguments);
    assert_int_equal(bp_le32(list + 32), 0x106000);
    assert_string_equal((char *)machine_at(m, bp_le32(list + 40), 64), module);

    assert_int_equal(bp_le32(p + 44), 96);
    const uint8_t *map = machine_at(m, bp_le32(p + 48), 96);
    assert_int_equal(bp_le32(map), 20);
    assert_int_equal(bp_le64(map + 4), 0);
    assert_int_equal(bp_le64(map + 12), 0xa0000);
    assert_int_equal(bp_le32(map + 20), 1);
    assert_int_equal(bp_le64(map + 52), 0x100000);
    assert_int_equal(bp_le64(map + 60), 63 * MIB);
    assert_int_equal(bp_le32(map + 68), 1);
    machine_free(m);
}

static void mem_upper_ends_at_the_first_hole(void **state)
{
    struct machine *m = machine_with_hole(5 * GIB, 16 * MIB, 0x1000);
    (void)state;

    make_multiboot(&m->kernel);
    machine_must_load(m);
    assert_int_equal(bp_le32(machine_at(m, INFO + 8, 4)), 15 * 1024);
    machine_free(m);
}

static void bad_95_header_must_end_in_the_first_8192_bytes(void **state)
{
    struct machine *m = with_multiboot(64 * MIB);
    (void)state;

    memset(m->kernel.bytes, 0, BLOB_MAX);
    make_elf(&m->kernel, 32, 0);
    m->kernel.size = 0x3000;
    multiboot_flags(&m->kernel, 8192 - 12, 3);
    machine_must_load(m);
    assert_string_equal(m->state.protocol, "multiboot");
    memset(m->kernel.bytes + 8192 - 12, 0, 12);
    multiboot_flags(&m->kernel, 8192 - 8, 3);
    m->request.protocol = BOOT_MULTIBOOT;
    machine_must_fail(
        m, -EINVAL,
        "kernel: has no multiboot header: expected 0x1badb002 at a multiple of 4 in the "
        "first 8192 bytes");
    machine_free(m);
}

static void bad_95_address_fields_must_be_in_the_first_8192_bytes(void **state)
{
    struct machine *m = with_multiboot(64 * MIB);
    (void)state;

    memset(m->kernel.bytes, 0, BLOB_MAX);
    m->kernel.size = 0x3000;
    multiboot_flags(&m->kernel, 8192 - 28, 0x10003);
    machine_must_fail(
        m, -EINVAL,
        "kernel: the multiboot header at byte 8164 is cut off, expected 32 bytes within "
        "the file's first 8192");
    machine_free(m);
}

static void magic_by_chance_is_passed_over(void **state)
{
    struct machine *m = with_multiboot(64 * MIB);
    (void)state;

    bp_put_le32(m->kernel.bytes, 0x1badb002); /* no checksum: the header comes later */
    machine_must_load(m);
    assert_int_equal(m->state.gpr.rip, MULTIBOOT_GPA + 0x100);
    make_elf(&m->kernel, 64, ELF_MULTIBOOT);
    m->kernel.bytes[ELF_TEXT_OFFSET + 8] ^= 1; /* an ELF file is one without */
    machine_must_load(m);
    assert_string_equal(m->state.protocol, "ELF 64-bit");
    machine_free(m);
}

static void bad_95_wrong_checksum_gets_a_sentence(void **state)
{
    struct machine *m = with_multiboot(64 * MIB);
    (void)state;

    m->kernel.bytes[MULTIBOOT_HEADER + 8] ^= 1;
    machine_must_fail(
        m, -EINVAL,
        "kernel: the multiboot header has a wrong checksum: magic, flags and checksum do "
        "not add up to 0");
    machine_free(m);
}

static void bad_95_demands_that_cannot_be_met_get_a_sentence(void **state)
{
    struct machine *m = with_multiboot(64 * MIB);
    (void)state;

    multiboot_flags(&m->kernel, MULTIBOOT_HEADER, 0x10007);
    machine_must_fail(m, -EINVAL,
                      "kernel: the multiboot header demands a video mode (flags bit 2), and this "
                      "machine has no display");
    multiboot_flags(&m->kernel, MULTIBOOT_HEADER, 0x10103);
    machine_must_fail(
        m, -EINVAL,
        "kernel: the multiboot header has flags 0x10103, expected none of bits 3 to 15, "
        "which multiboot 1 does not define");
    multiboot_flags(&m->kernel, MULTIBOOT_HEADER, 0x20010003); /* bits 16-31: optional */
    machine_must_load(m);
    multiboot_flags(&m->kernel, MULTIBOOT_HEADER, 3);
    machine_must_fail(
        m, -EINVAL,
        "kernel: the multiboot header has no address fields (flags bit 16), and the file "
        "is no ELF file");
    machine_free(m);
}

static void bad_95_damaged_address_fields_get_a_sentence_each(void **state)
{
    static const struct {
        uint32_t field, value;
        int err;
        const char *sentence;
    } cases[] = {
        {12, 0xfffff, -EINVAL,
         "kernel: multiboot load_addr 0x100000 and header_addr 0xfffff do not fit a header at byte "
         "64 "
         "of the file"},
        {12, 0x100041, -EINVAL,
         "kernel: multiboot load_addr 0x100000 and header_addr 0x100041 do not fit a header at "
         "byte 64 "
         "of the file"},
        {16, 0xfffff, -EINVAL,
         "kernel: multiboot load_addr 0xfffff and header_addr 0x100040 do not fit a header at byte "
         "64 "
         "of the file"},
        {20, 0x100000, -EINVAL,
         "kernel: multiboot load_end_addr 0x100000 is not above load_addr 0x100000"},
        {20, 0xfffff, -EINVAL,
         "kernel: multiboot load_end_addr 0xfffff is not above load_addr 0x100000"},
        {20, 0x100801, -EINVAL,
         "kernel: multiboot load_addr and load_end_addr ask for 2049 bytes at byte 0, but the file "
         "has "
         "only 2048 bytes; it is truncated"},
        {20, 0xffffffff, -EINVAL,
         "kernel: multiboot load_addr and load_end_addr ask for 4293918719 bytes at byte 0, but "
         "the "
         "file has only 2048 bytes; it is truncated"},
        {24, 0x1007ff, -EINVAL,
         "kernel: multiboot bss_end_addr 0x1007ff is below the end of what is loaded, 0x100800"},
        {24, 0xffffffff, -ENOSPC,
         "kernel: the kernel at 0x100000-0xfffffffe would not be all in RAM; the machine's RAM is "
         "0x0-0x9ffff, 0x100000-0x3ffffff"},
        {28, 0xfffff, -EINVAL,
         "kernel: multiboot entry_addr 0xfffff is outside what is loaded, 0x100000-0x1007ff"},
        {28, 0x100800, -EINVAL,
         "kernel: multiboot entry_addr 0x100800 is outside what is loaded, 0x100000-0x1007ff"},
    };
    struct machine *m = with_multiboot(64 * MIB);
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        make_multiboot(&m->kernel);
        bp_put_le32(m->kernel.bytes + MULTIBOOT_HEADER + cases[i].field, cases[i].value);
        machine_must_fail(m, cases[i].err, cases[i].sentence);
    }
    machine_free(m);
}

static void bad_95_kernel_over_the_information_is_refused(void **state)
{
    struct machine *m = with_multiboot(64 * MIB);
    uint8_t *p = m->kernel.bytes + MULTIBOOT_HEADER;
    (void)state;

    bp_put_le32(p + 12, 0x6800 + MULTIBOOT_HEADER);
    bp_put_le32(p + 16, 0x6800);
    bp_put_le32(p + 20, 0x7000);
    bp_put_le32(p + 24, 0x7001);
    bp_put_le32(p + 28, 0x6800);
    machine_must_fail(m, -ENOSPC,
                      "kernel: the kernel at 0x6800-0x7000 overlaps the boot information at "
                      "0x7000-0x70e3");
    bp_put_le32(p + 24, 0x7000);
    machine_must_load(m);
    machine_free(m);
}

static void bad_95_module_that_does_not_fit_is_refused(void **state)
{
    struct machine *m = with_multiboot(2 * MIB);
    char sentence[256];
    (void)state;

    machine_initrd(m, MIB);
    snprintf(
        sentence, sizeof(sentence),
        "%s: the initrd of 1048576 bytes finds no free RAM between 0x103000 and 0xffffffff; the "
        "machine's RAM is 0x0-0x9ffff, 0x100000-0x1fffff: give it more memory",
        m->initrd);
    machine_must_fail(m, -ENOSPC, sentence);
    machine_free(m);
}

static void bad_95_absent_modules_are_named(void **state)
{
    struct machine *m = with_multiboot(64 * MIB);
    const char *modules[] = {"/nonexistent/module arguments"};
    (void)state;

    m->request.modules = modules;
    m->request.module_count = 1;
    machine_must_fail(m, -ENOENT, "/nonexistent/module: there is no such file");
    modules[0] = " x";
    machine_must_fail(
        m, -EINVAL,
        "kernel: module 1 is \" x\", expected a path and, after a space, its arguments");
    machine_free(m);
}

static void bad_95_too_many_modules_are_refused(void **state)
{
    struct machine *m = with_multiboot(64 * MIB);
    static const char *modules[65];
    char module[64];
    (void)state;

    file_make(module, "m", 1);
    for (unsigned i = 0; i < 65; i++)
        modules[i] = module;
    m->request.modules = modules;
    m->request.module_count = 65;
    machine_must_fail(m, -EINVAL, "kernel: 65 modules were asked for, at most 64 are possible");
    m->request.module_count = UINT32_MAX;
    m->request.initrd = module;
    machine_must_fail(m, -EINVAL,
                      "kernel: 4294967296 modules were asked for, at most 64 are possible");
    m->request.module_count = 63;
    machine_must_load(m);
    assert_int_equal(bp_le32(machine_at(m, INFO + 20, 4)), 64);
    file_remove(module);
    machine_free(m);
}

static void strings_of_modules_share_the_command_lines_room(void **state)
{
    struct machine *m = with_multiboot(64 * MIB);
    static char line[BOOT_CMDLINE_MAX];
    const char *modules[] = {"m"};
    (void)state;

    memset(line, 'x', sizeof(line) - 2);
    m->request.cmdline = line;
    m->request.modules = modules;
    m->request.module_count = 1;
    machine_must_fail(m, -EINVAL,
                      "kernel: the command line and the modules' strings have 65537 bytes with the "
                      "terminating 0, and there is room for 65536");
    machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flat_kernel_is_loaded_by_its_address_fields),
        cmocka_unit_test(load_addr_may_be_in_the_middle_of_the_file),
        cmocka_unit_test(elf_kernel_is_loaded_by_its_segments),
        cmocka_unit_test(information_is_complete),
        cmocka_unit_test(mem_upper_ends_at_the_first_hole),
        cmocka_unit_test(bad_95_header_must_end_in_the_first_8192_bytes),
        cmocka_unit_test(bad_95_address_fields_must_be_in_the_first_8192_bytes),
        cmocka_unit_test(magic_by_chance_is_passed_over),
        cmocka_unit_test(bad_95_wrong_checksum_gets_a_sentence),
        cmocka_unit_test(bad_95_demands_that_cannot_be_met_get_a_sentence),
        cmocka_unit_test(bad_95_damaged_address_fields_get_a_sentence_each),
        cmocka_unit_test(bad_95_kernel_over_the_information_is_refused),
        cmocka_unit_test(bad_95_module_that_does_not_fit_is_refused),
        cmocka_unit_test(bad_95_absent_modules_are_named),
        cmocka_unit_test(bad_95_too_many_modules_are_refused),
        cmocka_unit_test(strings_of_modules_share_the_command_lines_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
