/* SPDX-License-Identifier: MIT
 *
 * Tests of plugin/elf_check.c, on a real plugin with bytes changed. What is not tested: that the
 * system's loader agrees; test_loader.c loads real files.
 */
#include "plugin/elf_check.h"
#include "plugin/temp.h"

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bytes {
    unsigned char *data;
    size_t len;
    int error; /* what read gives; 0: the bytes */
};

static int read_bytes(void *context, uint64_t offset, void *to, uint64_t length)
{
    const struct bytes *b = context;

    /* The contract: never outside of the file. */
    assert_true(offset <= b->len && length <= b->len - offset);
    if (b->error)
        return b->error;
    memcpy(to, b->data + offset, length);
    return 0;
}

static int check(struct bytes *b, struct error *e)
{
    return elf_check(&(struct elf_source){.length = b->len, .read = read_bytes, .context = b},
                     "x.so", e);
}

static int set_up(void **state)
{
    struct bytes *b = calloc(1, sizeof(*b));

    if (!b)
        return -1;
    b->data = temp_read(GOOD "/fake-parts.so", &b->len);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bytes *b = *state;

    free(b->data);
    free(b);
    return 0;
}

static void refuses(struct bytes *b, const char *text)
{
    struct error e = {""};

    assert_int_equal(check(b, &e), -ENOEXEC);
    assert_string_equal(e.text, text);
}

static Elf64_Ehdr *header(struct bytes *b)
{
    return (Elf64_Ehdr *)(void *)b->data;
}

/* The first program header of `type`, after `skip` others. */
static Elf64_Phdr *segment(struct bytes *b, uint32_t type, unsigned skip)
{
    Elf64_Phdr *p = (Elf64_Phdr *)(void *)(b->data + header(b)->e_phoff);

    for (unsigned i = 0; i < header(b)->e_phnum; i++)
        if (p[i].p_type == type && skip-- == 0)
            return &p[i];
    fail_msg("no program header of type %u", type);
    return NULL;
}

static void real_plugin_is_accepted(void **state)
{
    struct error e = {""};

    assert_int_equal(check(*state, &e), 0);
}

static void plugin_without_section_headers_is_accepted(void **state)
{
    struct error e = {""};

    header(*state)->e_shoff = 0;
    assert_int_equal(check(*state, &e), 0);
}

static void every_truncation_is_refused(void **state)
{
    struct bytes *b = *state;
    size_t whole = b->len;
    struct error e;

    for (b->len = 0; b->len < whole; b->len++)
        assert_int_equal(check(b, &e), -ENOEXEC);
}

/* Whatever the bytes of the headers are, nothing outside of the file is read. */
static void every_changed_header_byte_is_survived(void **state)
{
    static const unsigned char values[] = {0x00, 0x7f, 0x80, 0xff};
    struct bytes *b = *state;
    size_t headers = header(b)->e_phoff + (size_t)header(b)->e_phnum * sizeof(Elf64_Phdr);
    struct error e;

    for (size_t at = 0; at < headers; at++) {
        unsigned char was = b->data[at];

        for (unsigned i = 0; i < sizeof(values); i++) {
            int err;

            b->data[at] = values[i];
            err = check(b, &e);
            assert_true(err == 0 || err == -ENOEXEC);
        }
        b->data[at] = was;
    }
}

static void bad_98_header_cut_off_is_refused(void **state)
{
    struct bytes *b = *state;

    b->len = 63;
    refuses(b,
            "x.so is truncated: it has 63 bytes, but its header reaches to byte 64; build or copy "
            "it again");
}

static void bad_98_identification_cut_off_is_refused(void **state)
{
    struct bytes *b = *state;

    b->len = 10;
    refuses(b,
            "x.so is truncated: it has 10 bytes, but its header reaches to byte 64; build or copy "
            "it again");
}

static void bad_98_32_bit_plugin_is_refused(void **state)
{
    struct bytes *b = *state;

#ifndef __x86_64__
    skip();
#endif
    b->data[EI_CLASS] = ELFCLASS32;
    header(b)->e_machine = EM_386;
    refuses(b,
            "x.so is built for i386 (3), 32-bit, little-endian; this host is x86-64 (62), 64-bit, "
            "little-endian: build it for this host");
}

static void bad_98_big_endian_plugin_is_refused(void **state)
{
    struct bytes *b = *state;

#ifndef __x86_64__
    skip();
#endif
    b->data[EI_DATA] = ELFDATA2MSB;
    b->data[18] = 0;
    b->data[19] = EM_S390;
    refuses(b, "x.so is built for s390 (22), 64-bit, big-endian; this host is x86-64 (62), 64-bit, "
               "little-endian: build it for this host");
}

static void bad_98_unknown_processor_is_refused(void **state)
{
    struct bytes *b = *state;

#ifndef __x86_64__
    skip();
#endif
    b->data[EI_CLASS] = 9;
    header(b)->e_machine = 0xffff;
    refuses(
        b, "x.so is built for an unknown processor (65535), of no known class, little-endian; this "
           "host is x86-64 (62), 64-bit, little-endian: build it for this host");
}

static void bad_98_unknown_elf_version_is_refused(void **state)
{
    struct bytes *b = *state;

    b->data[EI_VERSION] = 2;
    refuses(b, "x.so is a damaged ELF file: its version is not 1; build or copy it again");
}

static void bad_98_object_file_is_refused(void **state)
{
    header(*state)->e_type = ET_REL;
    refuses(*state, "x.so is a relocatable object (ELF type 1); expected a shared object (type 3): "
                    "link it with -shared");
}

static void bad_98_static_program_is_refused(void **state)
{
    header(*state)->e_type = ET_EXEC;
    refuses(*state,
            "x.so is a program (ELF type 2); expected a shared object (type 3): link it with "
            "-shared");
}

static void bad_98_core_dump_is_refused(void **state)
{
    header(*state)->e_type = ET_CORE;
    refuses(*state, "x.so is a core dump (ELF type 4); expected a shared object (type 3): link it "
                    "with -shared");
}

static void bad_98_no_program_headers_are_refused(void **state)
{
    header(*state)->e_phnum = 0;
    refuses(*state,
            "x.so is a damaged ELF file: it has no program headers of the known size; build "
            "or copy it again");
}

static void bad_98_odd_program_header_size_is_refused(void **state)
{
    header(*state)->e_phentsize = 32;
    refuses(*state,
            "x.so is a damaged ELF file: it has no program headers of the known size; build "
            "or copy it again");
}

static void bad_98_too_many_program_headers_are_refused(void **state)
{
    header(*state)->e_phnum = 0xffff;
    refuses(*state,
            "x.so is a damaged ELF file: it has more than 1024 program headers; build or copy "
            "it again");
}

static void bad_98_program_headers_that_wrap_are_refused(void **state)
{
    struct bytes *b = *state;
    char text[256];

    header(b)->e_phoff = UINT64_MAX - 8;
    snprintf(text, sizeof(text),
             "x.so is truncated: it has %zu bytes, but its program headers reach to byte "
             "18446744073709551615; build or copy it again",
             b->len);
    refuses(b, text);
}

static void bad_98_segment_beyond_the_file_is_refused(void **state)
{
    struct bytes *b = *state;
    Elf64_Phdr *p = segment(b, PT_LOAD, 1);
    char text[256];

    p->p_filesz = p->p_memsz = b->len;
    snprintf(
        text, sizeof(text),
        "x.so is truncated: it has %zu bytes, but its segments reach to byte %zu; build or copy "
        "it again",
        b->len, b->len + p->p_offset);
    refuses(b, text);
}

static void bad_98_segment_larger_in_the_file_is_refused(void **state)
{
    segment(*state, PT_LOAD, 0)->p_memsz = 1;
    refuses(*state,
            "x.so is a damaged ELF file: a segment is larger in the file than in memory, or "
            "wraps; build or copy it again");
}

static void bad_98_segment_that_wraps_is_refused(void **state)
{
    segment(*state, PT_LOAD, 1)->p_vaddr = UINT64_MAX - 1;
    refuses(*state,
            "x.so is a damaged ELF file: a segment is larger in the file than in memory, or "
            "wraps; build or copy it again");
}

static void bad_98_overlapping_segments_are_refused(void **state)
{
    segment(*state, PT_LOAD, 1)->p_vaddr = segment(*state, PT_LOAD, 0)->p_vaddr;
    refuses(*state,
            "x.so is a damaged ELF file: its segments lie over each other; build or copy it "
            "again");
}

static void bad_98_dynamic_section_beyond_the_file_is_refused(void **state)
{
    struct bytes *b = *state;
    Elf64_Phdr *p = segment(b, PT_DYNAMIC, 0);
    char text[256];

    p->p_offset = b->len;
    snprintf(
        text, sizeof(text),
        "x.so is truncated: it has %zu bytes, but its dynamic section reaches to byte %zu; build "
        "or copy it again",
        b->len, b->len + p->p_filesz);
    refuses(b, text);
}

static void bad_98_no_dynamic_section_is_refused(void **state)
{
    segment(*state, PT_DYNAMIC, 0)->p_type = PT_NULL;
    refuses(*state,
            "x.so is a damaged ELF file: it has nothing to load, or no dynamic section; build "
            "or copy it again");
}

static void bad_98_read_error_is_told(void **state)
{
    struct bytes *b = *state;
    struct error e = {""};

    b->error = -EIO;
    assert_int_equal(check(b, &e), -EIO);
    assert_string_equal(e.text,
                        "x.so cannot be read: Input/output error; check the file system that "
                        "it is on");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* The argument is the name of one test. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(real_plugin_is_accepted),
        TEST(plugin_without_section_headers_is_accepted),
        TEST(every_truncation_is_refused),
        TEST(every_changed_header_byte_is_survived),
        TEST(bad_98_header_cut_off_is_refused),
        TEST(bad_98_identification_cut_off_is_refused),
        TEST(bad_98_32_bit_plugin_is_refused),
        TEST(bad_98_big_endian_plugin_is_refused),
        TEST(bad_98_unknown_processor_is_refused),
        TEST(bad_98_unknown_elf_version_is_refused),
        TEST(bad_98_object_file_is_refused),
        TEST(bad_98_static_program_is_refused),
        TEST(bad_98_core_dump_is_refused),
        TEST(bad_98_no_program_headers_are_refused),
        TEST(bad_98_odd_program_header_size_is_refused),
        TEST(bad_98_too_many_program_headers_are_refused),
        TEST(bad_98_program_headers_that_wrap_are_refused),
        TEST(bad_98_segment_beyond_the_file_is_refused),
        TEST(bad_98_segment_larger_in_the_file_is_refused),
        TEST(bad_98_segment_that_wraps_is_refused),
        TEST(bad_98_overlapping_segments_are_refused),
        TEST(bad_98_dynamic_section_beyond_the_file_is_refused),
        TEST(bad_98_no_dynamic_section_is_refused),
        TEST(bad_98_read_error_is_told),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
