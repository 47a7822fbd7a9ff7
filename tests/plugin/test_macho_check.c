/* SPDX-License-Identifier: MIT
 *
 * Tests of plugin/macho_check.c, on an image made here: a header, a segment, and what is changed in
 * them. What is not tested: that Darwin's own loader agrees.
 */
#include "plugin/macho_check.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define HEADER 32u
#define SEGMENT 72u
#define CODE 16u
#define THIN (HEADER + SEGMENT + CODE)
#define FAT_AT 64u

struct bytes {
    uint8_t data[256];
    uint64_t len;
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
    return macho_check(&(struct elf_source){.length = b->len, .read = read_bytes, .context = b},
                       MACHO_X86_64, "x.so", e);
}

static void refuses(struct bytes *b, const char *text)
{
    struct error e = {""};

    assert_int_equal(check(b, &e), -ENOEXEC);
    assert_string_equal(e.text, text);
}

static void put_image(uint8_t *to, uint32_t machine)
{
    bp_put_le32(to, 0xfeedfacf);
    bp_put_le32(to + 4, machine);
    bp_put_le32(to + 12, 8);       /* MH_BUNDLE */
    bp_put_le32(to + 16, 1);       /* load commands */
    bp_put_le32(to + 20, SEGMENT); /* bytes of them */
    to += HEADER;
    bp_put_le32(to, 0x19); /* LC_SEGMENT_64 */
    bp_put_le32(to + 4, SEGMENT);
    bp_put_le64(to + 32, 0x1000);                  /* in memory */
    bp_put_le64(to + 40, 0);                       /* offset */
    bp_put_le64(to + 48, HEADER + SEGMENT + CODE); /* in the file */
}

static struct bytes thin(void)
{
    struct bytes b = {.len = THIN};

    put_image(b.data, MACHO_X86_64);
    return b;
}

static void put_be32(uint8_t *to, uint32_t value)
{
    bp_put_le32(to, __builtin_bswap32(value));
}

/* A universal file with one part, for `machine`. */
static struct bytes fat(uint32_t machine)
{
    struct bytes b = {.len = FAT_AT + THIN};

    put_be32(b.data, 0xcafebabe);
    put_be32(b.data + 4, 1);
    put_be32(b.data + 8, machine);
    put_be32(b.data + 16, FAT_AT);
    put_be32(b.data + 20, THIN);
    put_image(b.data + FAT_AT, machine);
    return b;
}

static void a_bundle_is_taken(void **state)
{
    struct bytes b = thin(), universal = fat(MACHO_X86_64);
    struct error e;

    (void)state;
    assert_int_equal(check(&b, &e), 0);
    bp_put_le32(b.data + 12, 6); /* MH_DYLIB */
    assert_int_equal(check(&b, &e), 0);
    assert_int_equal(check(&universal, &e), 0);
}

static void bad_98_no_mach_o(void **state)
{
    struct bytes b = {.len = 0}, text = {.data = "#!/bin/sh\n", .len = 10};

    (void)state;
    refuses(&b, "x.so is empty; expected a shared object: build or copy it again");
    refuses(&text,
            "x.so is not a Mach-O file (it begins with 23 21 2f 62); expected a shared object, "
            "as bp_add_plugin() or cc -bundle builds it");
}

static void bad_98_another_processor(void **state)
{
    struct bytes b = thin(), universal = fat(MACHO_ARM64), small = thin();

    (void)state;
    bp_put_le32(b.data + 4, MACHO_ARM64);
    refuses(&b, "x.so is built for arm64 (16777228); this host is x86-64 (16777223): build it for "
                "this host");
    refuses(&universal, "x.so is built for arm64 (16777228); this host is x86-64 (16777223): build "
                        "it for this host");
    bp_put_le32(small.data, 0xfeedface);
    refuses(&small, "x.so is built for another kind of processor; this host is x86-64, 64-bit, "
                    "little-endian: build it for this host");
}

static void bad_98_a_program(void **state)
{
    struct bytes b = thin();

    (void)state;
    bp_put_le32(b.data + 12, 2);
    refuses(&b,
            "x.so is a program (Mach-O type 2); expected a bundle (type 8): link it with -bundle");
}

static void bad_98_truncated_at_every_byte(void **state)
{
    struct bytes whole = thin(), universal = fat(MACHO_X86_64);

    (void)state;
    for (uint64_t len = 1; len < whole.len; len++) {
        struct bytes b = whole;
        struct error e;
        b.len = len;
        assert_int_equal(check(&b, &e), -ENOEXEC);
    }
    for (uint64_t len = 4; len < universal.len; len++) {
        struct bytes b = universal;
        struct error e;
        b.len = len;
        assert_int_equal(check(&b, &e), -ENOEXEC);
    }
    whole.len = 40;
    refuses(&whole, "x.so is truncated: it has 40 bytes, but its load commands reach to byte 104; "
                    "build or copy it again");
    universal.len = FAT_AT;
    refuses(&universal, "x.so is truncated: it has 64 bytes, but its part for x86-64 reaches to "
                        "byte 184; build or copy it again");
}

static void bad_98_headers_that_lie(void **state)
{
    struct bytes b = thin();

    (void)state;
    bp_put_le32(b.data + 16, 5000);
    refuses(&b, "x.so is a damaged Mach-O file: it has more than 4096 load commands, or 1 MiB of "
                "them; build or copy it again");
    b = thin();
    bp_put_le32(b.data + HEADER + 4, 4);
    refuses(&b, "x.so is a damaged Mach-O file: a load command has a size that cannot be; build or "
                "copy it again");
    b = thin();
    bp_put_le32(b.data + 16, 2);
    refuses(&b, "x.so is a damaged Mach-O file: its load commands are longer than it says; build "
                "or copy it again");
    b = thin();
    bp_put_le32(b.data + HEADER, 2);
    refuses(&b, "x.so is a damaged Mach-O file: it has nothing to load; build or copy it again");
    b = thin();
    bp_put_le64(b.data + HEADER + 32, 8);
    refuses(&b, "x.so is a damaged Mach-O file: a segment is larger in the file than in memory; "
                "build or copy it again");
    b = thin();
    bp_put_le64(b.data + HEADER + 40, UINT64_MAX);
    refuses(&b, "x.so is truncated: it has 120 bytes, but its segments reach beyond; build or copy "
                "it again");
    b = fat(MACHO_X86_64);
    put_be32(b.data + 4, 1000);
    refuses(&b, "x.so is a damaged Mach-O file: it is for no processor, or for more than 64; build "
                "or copy it again");
}

static void bad_98_unreadable(void **state)
{
    struct bytes b = thin();
    struct error e;

    (void)state;
    b.error = -EIO;
    assert_int_equal(check(&b, &e), -EIO);
    assert_string_equal(e.text, "x.so cannot be read: Input/output error; check the file system "
                                "that it is on");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_is_taken),
        cmocka_unit_test(bad_98_no_mach_o),
        cmocka_unit_test(bad_98_another_processor),
        cmocka_unit_test(bad_98_a_program),
        cmocka_unit_test(bad_98_truncated_at_every_byte),
        cmocka_unit_test(bad_98_headers_that_lie),
        cmocka_unit_test(bad_98_unreadable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
