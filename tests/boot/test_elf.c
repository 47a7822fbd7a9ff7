/* SPDX-License-Identifier: MIT
 *
 * ELF kernels, plain and with a PVH note: placement, state, hvm_start_info, and what damaged files
 * get (bad input 95).
 */
#include "boot/fixture.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INFO 0x7000u
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct machine *with_elf(unsigned bits, unsigned flags)
{
    struct machine *m = machine_new(64 * MIB);

    make_elf(&m->kernel, bits, flags);
    return m;
}

/* Changes a field of program header i; `field` counts type, offset, vaddr, paddr, filesz, memsz. */
static void set_phdr(struct machine *m, unsigned bits, unsigned i, unsigned field, uint64_t value)
{
    static const uint8_t at64[] = {0, 8, 16, 24, 32, 40}, at32[] = {0, 4, 8, 12, 16, 20};
    uint8_t *p = m->kernel.bytes + elf_phdr(bits, i);

    if (bits == 64 && field)
        bp_put_le64(p + at64[field], value);
    else
        bp_put_le32(p + at32[field], (uint32_t)value);
}

enum { TYPE, OFFSET, VADDR, PADDR, FILESZ, MEMSZ };

static void assert_segments(struct machine *m)
{
    const uint8_t *file = m->kernel.bytes, *data;

    assert_memory_equal(machine_at(m, ELF_TEXT_GPA, ELF_TEXT_BYTES), file + ELF_TEXT_OFFSET,
                        ELF_TEXT_BYTES);
    data = machine_at(m, ELF_DATA_GPA, ELF_DATA_MEMORY);
    assert_memory_equal(data, file + ELF_DATA_OFFSET, ELF_DATA_BYTES);
    for (unsigned i = ELF_DATA_BYTES; i < ELF_DATA_MEMORY; i++)
        assert_int_equal(data[i], 0);
}

static void elf64_starts_in_long_mode_with_boot_params(void **state)
{
    struct machine *m = with_elf(64, 0);
    (void)state;

    memset(machine_at(m, ELF_DATA_GPA, ELF_DATA_MEMORY), 0xcc, ELF_DATA_MEMORY); /* a restart */
    m->request.cmdline = "quiet";
    machine_initrd(m, 100);
    machine_must_load(m);
    assert_string_equal(m->state.protocol, "ELF 64-bit");
    assert_flat(&m->state, 64);
    assert_int_equal(m->state.gpr.rip, ELF_TEXT_GPA);
    assert_int_equal(m->state.gpr.rsi, INFO);
    assert_segments(m);
    const uint8_t *p = machine_at(m, INFO, 4096);
    assert_int_equal(bp_le16(p + 0x1fe), 0xaa55);
    assert_memory_equal(p + 0x202, "HdrS", 4);
    assert_int_equal(bp_le16(p + 0x206), 0x20f);
    assert_int_equal(p[0x210], 0xff);
    assert_int_equal(bp_le32(p + 0x218), 64 * MIB - 4096);
    assert_int_equal(bp_le32(p + 0x21c), 100);
    assert_int_equal(p[0x1e8], 4);
    assert_int_equal(bp_le64(p + 0x70), 0xe0000);
    assert_string_equal((char *)machine_at(m, bp_le32(p + 0x228), 6), "quiet");
    assert_initrd_at(m, 64 * MIB - 4096, 100);
    machine_free(m);
}

static void elf32_starts_in_protected_mode_with_boot_params(void **state)
{
    struct machine *m = with_elf(32, 0);
    (void)state;

    machine_must_load(m);
    assert_string_equal(m->state.protocol, "ELF 32-bit");
    assert_flat(&m->state, 32);
    assert_int_equal(m->state.gpr.rip, ELF_TEXT_GPA);
    assert_int_equal(m->state.gpr.rsi, INFO);
    assert_segments(m);
    machine_free(m);
}

static void virtual_entry_point_is_translated(void **state)
{
    struct machine *m = with_elf(64, 0);
    (void)state;

    bp_put_le64(m->kernel.bytes + 24, 0xffffffff80200010);
    machine_must_load(m);
    assert_int_equal(m->state.gpr.rip, ELF_TEXT_GPA + 0x10);
    machine_free(m);
}

static void bad_95_plain_elf_takes_no_modules(void **state)
{
    struct machine *m = with_elf(64, 0);
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

static void bad_95_plain_elf_has_linux_command_line_limit(void **state)
{
    struct machine *m = with_elf(64, 0);
    char line[2049] = {0};
    (void)state;

    memset(line, 'x', 2048);
    m->request.cmdline = line;
    machine_must_fail(
        m, -EINVAL, "kernel: the command line has 2048 bytes, and this kernel takes at most 2047");
    machine_free(m);
}

/* ---- damaged ELF headers: one change each, in ELF64 --------------------------------------------
 */

static void bad_95_damaged_elf_headers_get_a_sentence_each(void **state)
{
    static const struct {
        uint32_t offset, width;
        uint64_t value;
        const char *sentence;
    } cases[] = {
        {4, 1, 3, "kernel: has ELF class 3, expected 1 (32 bit) or 2 (64 bit)"},
        {5, 1, 2, "kernel: is a big-endian ELF file, expected one for x86"},
        {18, 2, 183,
         "kernel: is an ELF64 file for machine 183 (AArch64), expected ELF64 for x86-64 or ELF32 "
         "for "
         "i386"},
        {18, 2, 3,
         "kernel: is an ELF64 file for machine 3 (i386), expected ELF64 for x86-64 or ELF32 for "
         "i386"},
        {18, 2, 999,
         "kernel: is an ELF64 file for machine 999 (unknown), expected ELF64 for x86-64 or ELF32 "
         "for "
         "i386"},
        {16, 2, 1, "kernel: has ELF type 1, expected an executable (2)"},
        {56, 2, 0, "kernel: has 0 program headers, expected 1 to 128"},
        {56, 2, 0xffff, "kernel: has 65535 program headers, expected 1 to 128"},
        {54, 2, 0, "kernel: has program headers of 0 bytes (e_phentsize), expected 56"},
        {54, 2, 0xffff, "kernel: has program headers of 65535 bytes (e_phentsize), expected 56"},
        {32, 8, 1537,
         "kernel: has 2 program headers at byte 1537, but the file has only 1536 bytes; it is "
         "truncated"},
        {32, 8, 1536 - 111,
         "kernel: has 2 program headers at byte 1425, but the file has only 1536 bytes; it is "
         "truncated"},
        {32, 8, 0xffffffffffffffc0,
         "kernel: has 2 program headers at byte 18446744073709551552, but the file has only 1536 "
         "bytes; "
         "it is truncated"},
        {24, 8, 0, "kernel: the entry point 0x0 is in no segment that the file fills"},
        {24, 8, ELF_TEXT_GPA + ELF_TEXT_BYTES,
         "kernel: the entry point 0x200300 is in no segment that the file fills"},
        {24, 8, ELF_DATA_GPA + ELF_DATA_BYTES, /* in the bss: no code can be there */
         "kernel: the entry point 0x400100 is in no segment that the file fills"},
    };
    struct machine *m = with_elf(64, 0);
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        make_elf(&m->kernel, 64, 0);
        for (uint32_t k = 0; k < cases[i].width; k++)
            m->kernel.bytes[cases[i].offset + k] = (uint8_t)(cases[i].value >> 8 * k);
        machine_must_fail(m, -EINVAL, cases[i].sentence);
    }
    machine_free(m);
}

static void bad_95_damaged_segments_get_a_sentence_each(void **state)
{
    static const struct {
        unsigned segment, field;
        uint64_t value;
        int err;
        const char *sentence;
    } cases[] = {
        {0, FILESZ, ELF_TEXT_BYTES + 1, -EINVAL,
         "kernel: segment 0 has 769 bytes in the file but 768 in memory (p_filesz > p_memsz)"},
        {0, OFFSET, 1537, -EINVAL,
         "kernel: segment 0 has 768 bytes at byte 1537, but the file has only 1536 bytes; it is "
         "truncated"},
        {0, OFFSET, 1536 - ELF_TEXT_BYTES + 1, -EINVAL,
         "kernel: segment 0 has 768 bytes at byte 769, but the file has only 1536 bytes; it is "
         "truncated"},
        {0, OFFSET, UINT64_MAX - 16, -EINVAL,
         "kernel: segment 0 has 768 bytes at byte 18446744073709551599, but the file has only 1536 "
         "bytes; it is truncated"},
        {1, MEMSZ, UINT64_MAX, -ENOSPC,
         "kernel: segment 1 at 0x400000-0xffffffffffffffff would not be all in RAM; the machine's "
         "RAM "
         "is 0x0-0x9ffff, 0x100000-0x3ffffff"},
        {1, MEMSZ, 61 * MIB, -ENOSPC,
         "kernel: segment 1 at 0x400000-0x40fffff would not be all in RAM; the machine's RAM is "
         "0x0-0x9ffff, 0x100000-0x3ffffff"},
        {1, PADDR, 0xfffffffffffff800, -ENOSPC,
         "kernel: segment 1 at 0xfffffffffffff800-0xffffffffffffffff would not be all in RAM; the "
         "machine's RAM is 0x0-0x9ffff, 0x100000-0x3ffffff"},
        {1, PADDR, 0x9f000, -ENOSPC,
         "kernel: segment 1 at 0x9f000-0xa0fff would not be all in RAM; the machine's RAM is "
         "0x0-0x9ffff, 0x100000-0x3ffffff"},
        {1, PADDR, ELF_TEXT_GPA + ELF_TEXT_BYTES - 1, -ENOSPC,
         "kernel: segment 1 at 0x2002ff-0x2022fe overlaps segment 0 at 0x200000-0x2002ff"},
        {1, PADDR, 0x8000, -ENOSPC,
         "kernel: segment 1 at 0x8000-0x9fff overlaps the page tables at 0x9000-0xefff"},
        {1, PADDR, 0x6000, -ENOSPC,
         "kernel: segment 1 at 0x6000-0x7fff overlaps the boot information at 0x7000-0x7fff"},
        {1, PADDR, 0x1f000, -ENOSPC,
         "kernel: segment 1 at 0x1f000-0x20fff overlaps the command line at 0x20000-0x20000"},
        {1, PADDR, 0, -ENOSPC, "kernel: segment 1 at 0x0-0x1fff overlaps the GDT at 0x500-0x51f"},
    };
    struct machine *m = with_elf(64, 0);
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        make_elf(&m->kernel, 64, 0);
        set_phdr(m, 64, cases[i].segment, cases[i].field, cases[i].value);
        machine_must_fail(m, cases[i].err, cases[i].sentence);
    }
    machine_free(m);
}

static void bad_95_file_without_load_segments_gets_a_sentence(void **state)
{
    struct machine *m = with_elf(32, 0);
    (void)state;

    set_phdr(m, 32, 0, TYPE, 6);
    set_phdr(m, 32, 1, FILESZ, 0);
    set_phdr(m, 32, 1, MEMSZ, 0);
    machine_must_fail(m, -EINVAL, "kernel: has no segment to load (PT_LOAD)");
    machine_free(m);
}

static void bad_95_elf32_segment_at_the_end_of_4_gib_is_refused(void **state)
{
    struct machine *m = with_elf(32, 0);
    (void)state;

    set_phdr(m, 32, 1, PADDR, 0xfffff000);
    machine_must_fail(m, -ENOSPC,
                      "kernel: segment 1 at 0xfffff000-0x100000fff would not be all in RAM; the "
                      "machine's RAM is 0x0-0x9ffff, 0x100000-0x3ffffff");
    machine_free(m);
}

static void bad_95_entry_above_four_gib_is_refused(void **state)
{
    struct machine *m = machine_new(5 * GIB);
    (void)state;

    make_elf(&m->kernel, 64, 0);
    set_phdr(m, 64, 0, PADDR, 0x100000000);
    bp_put_le64(m->kernel.bytes + 24, 0x100000000);
    machine_must_fail(
        m, -EINVAL,
        "kernel: the entry point is at physical address 0x100000000, expected one below 4 "
        "GiB");
    machine_free(m);
}

static void bad_95_header_cut_off_gets_a_sentence(void **state)
{
    struct machine *m = with_elf(64, 0);
    (void)state;

    m->kernel.size = 63;
    machine_must_fail(
        m, -EINVAL,
        "kernel: the file ends after 63 bytes, within the ELF header of 64; it is truncated");
    make_elf(&m->kernel, 32, 0);
    m->kernel.size = 51;
    machine_must_fail(
        m, -EINVAL,
        "kernel: the file ends after 51 bytes, within the ELF header of 52; it is truncated");
    machine_free(m);
}

static void bad_95_protocol_elf_demands_an_elf_file(void **state)
{
    struct machine *m = with_elf(64, 0);
    (void)state;

    m->kernel.bytes[0] = 0;
    m->request.protocol = BOOT_ELF;
    machine_must_fail(m, -EINVAL, "kernel: is no ELF file");
    m->request.protocol = BOOT_PVH;
    machine_must_fail(m, -EINVAL, "kernel: is no ELF file");
    machine_free(m);
}

/* ---- PVH --------------------------------------------------------------------------------------
 */

static void pvh_note_is_preferred_to_the_elf_entry(void **state)
{
    const unsigned widths[] = {32, 64};
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        struct machine *m = with_elf(widths[i], ELF_PVH | ELF_MULTIBOOT);

        machine_must_load(m);
        assert_string_equal(m->state.protocol, "PVH");
        assert_flat(&m->state, 32);
        assert_int_equal(m->state.gpr.rip, ELF_TEXT_GPA + 0x10);
        assert_int_equal(m->state.gpr.rbx, INFO);
        assert_segments(m);
        machine_free(m);
    }
}

static void pvh_start_info_is_complete(void **state)
{
    struct machine *m = with_elf(64, ELF_PVH);
    char module[64], with_arguments[80];
    const char *modules[] = {with_arguments};
    (void)state;

    file_make(module, "module", 6);
    snprintf(with_arguments, sizeof(with_arguments), "%s one two", module);
    machine_initrd(m, 5000);
    m->request.cmdline = "console=ttyS0";
    m->request.modules = modules;
    m->request.module_count = 1;
    machine_must_load(m);
    file_remove(module);

    const uint8_t *p = machine_at(m, INFO, 4096);
    assert_int_equal(bp_le32(p), 0x336ec578);
    assert_int_equal(bp_le32(p + 4), 1);
    assert_int_equal(bp_le32(p + 8), 0);
    assert_int_equal(bp_le32(p + 12), 2);
    assert_string_equal((char *)machine_at(m, bp_le64(p + 24), 14), "console=ttyS0");
    assert_int_equal(bp_le64(p + 32), 0xe0000);
    assert_int_equal(bp_le32(p + 48), 4);

    const uint8_t *list = machine_at(m, bp_le64(p + 16), 64);
    assert_int_equal(bp_le64(list), 64 * MIB - 8192);
    assert_int_equal(bp_le64(list + 8), 5000);
    assert_initrd_at(m, 64 * MIB - 8192, 5000);
    assert_string_equal((char *)machine_at(m, bp_le64(list + 16), 64), m->initrd);
    assert_int_equal(bp_le64(list + 32), 64 * MIB - 12288);
    assert_int_equal(bp_le64(list + 40), 6);
    assert_memory_equal(machine_at(m, bp_le64(list + 32), 6), "module", 6);
    assert_string_equal((char *)machine_at(m, bp_le64(list + 48), 80), with_arguments);

    const uint8_t *map = machine_at(m, bp_le64(p + 40), 96);
    assert_int_equal(bp_le64(map + 8), 0xa0000);
    assert_int_equal(bp_le32(map + 16), 1);
    assert_int_equal(bp_le64(map + 48), 0x100000);
    assert_int_equal(bp_le64(map + 56), 63 * MIB);
    assert_int_equal(bp_le32(map + 64), 1);
    machine_free(m);
}

static void pvh_without_modules_has_no_list(void **state)
{
    struct machine *m = with_elf(64, ELF_PVH);
    (void)state;

    machine_must_load(m);
    assert_int_equal(bp_le32(machine_at(m, INFO + 12, 4)), 0);
    assert_int_equal(bp_le64(machine_at(m, INFO + 16, 8)), 0);
    machine_free(m);
}

static void pvh_note_may_have_8_bytes_and_alignment(void **state)
{
    struct machine *m = with_elf(64, ELF_PVH);
    uint8_t *note = m->kernel.bytes + ELF_NOTE_OFFSET;
    (void)state;

    bp_put_le64(m->kernel.bytes + elf_phdr(64, 2) + 48, 8);
    bp_put_le32(note + 4, 15); /* 16 + 15, padded to 0x20 with either alignment */
    bp_put_le32(note + 0x24, 8);
    bp_put_le64(note + 0x30, ELF_TEXT_GPA + 0x20);
    machine_must_load(m);
    assert_int_equal(m->state.gpr.rip, ELF_TEXT_GPA + 0x20);
    machine_free(m);
}

static void bad_95_pvh_is_demanded_but_absent(void **state)
{
    struct machine *m = with_elf(64, 0);
    (void)state;

    m->request.protocol = BOOT_PVH;
    machine_must_fail(
        m, -EINVAL,
        "kernel: has no PVH entry: expected an ELF note of type 18 by \"Xen\" (a Linux "
        "kernel has it with CONFIG_PVH)");
    machine_free(m);
}

static void bad_95_damaged_pvh_notes_get_a_sentence_each(void **state)
{
    struct machine *m = with_elf(64, ELF_PVH);
    uint8_t *xen = m->kernel.bytes + ELF_NOTE_OFFSET + 0x20;
    (void)state;

    bp_put_le32(xen + 4, 2);
    machine_must_fail(m, -EINVAL,
                      "kernel: the PVH entry note has 2 bytes, expected 4 or 8 within its segment");
    bp_put_le32(xen + 4, 0xffffffff);
    machine_must_fail(
        m, -EINVAL,
        "kernel: the PVH entry note has 4294967295 bytes, expected 4 or 8 within its segment");
    make_elf(&m->kernel, 64, ELF_PVH);
    set_phdr(m, 64, 2, FILESZ, ELF_NOTE_BYTES - 8); /* cuts the description off */
    machine_must_fail(m, -EINVAL,
                      "kernel: the PVH entry note has 4 bytes, expected 4 or 8 within its segment");
    make_elf(&m->kernel, 64, ELF_PVH);
    bp_put_le32(xen + 16, 0x300000);
    machine_must_fail(m, -EINVAL,
                      "kernel: the entry point 0x300000 is in no segment that the file fills");
    make_elf(&m->kernel, 64, ELF_PVH);
    set_phdr(m, 64, 2, FILESZ, 0x1000);
    machine_must_fail(
        m, -EINVAL,
        "kernel: segment 2 has 4096 bytes at byte 1536, but the file has only 1592 bytes; "
        "it is truncated");
    machine_free(m);
}

static void bad_95_note_longer_than_its_segment_ends_the_search(void **state)
{
    struct machine *m = with_elf(64, ELF_PVH);
    (void)state;

    bp_put_le32(m->kernel.bytes + ELF_NOTE_OFFSET, 0xffffffff);
    bp_put_le32(m->kernel.bytes + ELF_NOTE_OFFSET + 4, 0xffffffff);
    machine_must_load(m);
    assert_string_equal(m->state.protocol, "ELF 64-bit");
    machine_free(m);
}

static void bad_95_file_full_of_notes_is_searched_only_so_far(void **state)
{
    struct machine *m = with_elf(64, ELF_PVH);
    (void)state;

    /* 2,000 empty notes, and the entry after them. */
    memset(m->kernel.bytes + ELF_NOTE_OFFSET, 0, BLOB_MAX - ELF_NOTE_OFFSET);
    uint8_t *xen = m->kernel.bytes + ELF_NOTE_OFFSET + 24000;
    bp_put_le32(xen, 4);
    bp_put_le32(xen + 4, 4);
    bp_put_le32(xen + 8, 18);
    memcpy(xen + 12, "Xen", 4);
    bp_put_le32(xen + 16, ELF_TEXT_GPA);
    m->kernel.size = ELF_NOTE_OFFSET + 24000 + 20;
    set_phdr(m, 64, 2, FILESZ, 24000 + 20);
    set_phdr(m, 64, 2, MEMSZ, 24000 + 20);
    machine_must_load(m);
    assert_string_equal(m->state.protocol, "ELF 64-bit");
    machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elf64_starts_in_long_mode_with_boot_params),
        cmocka_unit_test(elf32_starts_in_protected_mode_with_boot_params),
        cmocka_unit_test(virtual_entry_point_is_translated),
        cmocka_unit_test(bad_95_plain_elf_takes_no_modules),
        cmocka_unit_test(bad_95_plain_elf_has_linux_command_line_limit),
        cmocka_unit_test(bad_95_damaged_elf_headers_get_a_sentence_each),
        cmocka_unit_test(bad_95_damaged_segments_get_a_sentence_each),
        cmocka_unit_test(bad_95_file_without_load_segments_gets_a_sentence),
        cmocka_unit_test(bad_95_elf32_segment_at_the_end_of_4_gib_is_refused),
        cmocka_unit_test(bad_95_entry_above_four_gib_is_refused),
        cmocka_unit_test(bad_95_header_cut_off_gets_a_sentence),
        cmocka_unit_test(bad_95_protocol_elf_demands_an_elf_file),
        cmocka_unit_test(pvh_note_is_preferred_to_the_elf_entry),
        cmocka_unit_test(pvh_start_info_is_complete),
        cmocka_unit_test(pvh_without_modules_has_no_list),
        cmocka_unit_test(pvh_note_may_have_8_bytes_and_alignment),
        cmocka_unit_test(bad_95_pvh_is_demanded_but_absent),
        cmocka_unit_test(bad_95_damaged_pvh_notes_get_a_sentence_each),
        cmocka_unit_test(bad_95_note_longer_than_its_segment_ends_the_search),
        cmocka_unit_test(bad_95_file_full_of_notes_is_searched_only_so_far),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
