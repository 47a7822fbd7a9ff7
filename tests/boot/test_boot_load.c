/* SPDX-License-Identifier: MIT
 *
 * boot_load() with real files: what is no regular file, what is no kernel, which protocol wins, and
 * every way to cut a good image short (bad input 95).
 */
#include "boot/fixture.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void must_fail_at(struct machine *m, const char *path, int err, const char *rest)
{
    char sentence[512];
    int got;

    m->request.kernel = path;
    got = boot_load(&m->request, &m->target, &m->state, &m->e);
    snprintf(sentence, sizeof(sentence), "%s: %s", path, rest);
    assert_string_equal(m->e.text, sentence);
    assert_int_equal(got, err);
}

static void file_is_loaded_like_memory(void **state)
{
    struct machine *m = machine_new(64 * MIB);
    char path[64];
    (void)state;

    make_bzimage(&m->kernel);
    file_make(path, m->kernel.bytes, m->kernel.size);
    m->request.kernel = path;
    assert_int_equal(boot_load(&m->request, &m->target, &m->state, &m->e), 0);
    assert_memory_equal(machine_at(m, 0x1000000, BZIMAGE_CODE_BYTES),
                        m->kernel.bytes + BZIMAGE_CODE_OFFSET, BZIMAGE_CODE_BYTES);
    file_remove(path);
    machine_free(m);
}

static void bad_95_what_is_no_regular_file_gets_a_sentence(void **state)
{
    struct machine *m = machine_new(4 * MIB);
    char file[64], special[80];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;
    (void)state;

    file_make(file, "", 0);
    must_fail_at(m, file, -EINVAL, "is empty (0 bytes)");
    must_fail_at(m, "/nonexistent/vmlinuz", -ENOENT, "there is no such file");
    snprintf(special, sizeof(special), "%s/below", file);
    must_fail_at(m, special, -ENOENT, "there is no such file");
    must_fail_at(m, "/", -EISDIR, "is a directory, expected a file");
    must_fail_at(m, "/dev/null", -EINVAL, "is a character device, expected a regular file");
    snprintf(special, sizeof(special), "%s.s", file);
    assert_int_equal(mkfifo(special, 0600), 0);
    must_fail_at(m, special, -EINVAL,
                 "is a FIFO, expected a regular file"); /* and does not block */
    unlink(special);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", special);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    must_fail_at(m, special, -EINVAL, "is a socket, expected a regular file");
    close(fd);
    unlink(special);
    file_remove(file);
    machine_free(m);
}

static void bad_95_unreadable_file_gets_a_sentence(void **state)
{
    struct machine *m = machine_new(4 * MIB);
    char path[64];
    (void)state;

    file_make(path, "x", 1);
    assert_int_equal(chmod(path, 0), 0);
    if (!geteuid()) /* root may read everything */
        assert_int_equal(seteuid(65534), 0);
    must_fail_at(m, path, -EACCES, "no permission to read this file");
    if (!getuid())
        assert_int_equal(seteuid(0), 0);
    file_remove(path);
    machine_free(m);
}

static void bad_95_initrd_that_is_no_file_is_to_blame_itself(void **state)
{
    struct machine *m = machine_new(64 * MIB);
    char empty[64], sentence[128];
    (void)state;

    make_bzimage(&m->kernel);
    m->request.initrd = "/dev";
    machine_must_fail(m, -EISDIR, "/dev: is a directory, expected a file");
    m->request.initrd = "/nonexistent/initrd";
    machine_must_fail(m, -ENOENT, "/nonexistent/initrd: there is no such file");
    file_make(empty, "", 0);
    m->request.initrd = empty;
    snprintf(sentence, sizeof(sentence), "%s: is empty (0 bytes)", empty);
    machine_must_fail(m, -EINVAL, sentence);
    file_remove(empty);
    machine_free(m);
}

static void bad_95_file_that_shrinks_is_an_error(void **state)
{
    char path[64], sentence[256];
    struct image image;
    struct error e;
    uint8_t bytes[100] = {0}, out[100];
    (void)state;

    file_make(path, bytes, sizeof(bytes));
    assert_int_equal(image_open(&image, path, &e), 0);
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(image_read(&image, 0, out, 100, &e), -ENODATA);
    snprintf(
        sentence, sizeof(sentence),
        "%s: ends after 10 bytes, but had 100 when it was opened; it must not change while it is "
        "loaded",
        path);
    assert_string_equal(e.text, sentence);
    assert_int_equal(image_read(&image, 0, out, 10, &e), 0);
    image_close(&image);
    file_remove(path);
}

static void bad_95_reading_beyond_the_end_is_an_error(void **state)
{
    struct image image;
    struct error e;
    uint8_t out[16];
    (void)state;

    image_from_memory(&image, "name", "0123456789", 10);
    assert_int_equal(image_read(&image, 2, out, 8, &e), 0);
    assert_memory_equal(out, "23456789", 8);
    assert_int_equal(image_read(&image, 10, out, 0, &e), 0);
    assert_int_equal(image_read(&image, 3, out, 8, &e), -ENODATA);
    assert_string_equal(e.text,
                        "name: ends after 10 bytes, but 8 are needed at 3; the file is truncated");
    assert_int_equal(image_read(&image, UINT64_MAX, out, 8, &e), -ENODATA);
    assert_int_equal(image_read(&image, 8, out, UINT64_MAX - 4, &e), -ENODATA);
    image_close(&image);
}

static void bad_95_unknown_files_are_told_what_is_accepted(void **state)
{
    struct machine *m = machine_new(4 * MIB);
    (void)state;

    m->kernel.size = 3;
    memcpy(m->kernel.bytes, "#!/", 3);
    machine_must_fail(
        m, -EINVAL,
        "kernel: is no kernel that can be started: expected a Linux bzImage, an ELF file "
        "(vmlinux, PVH or multiboot) or a multiboot 1 header in the first 8192 bytes; "
        "a flat binary is started by `binary`, or --binary");
    machine_free(m);
}

static void bad_95_compressed_files_are_recognised(void **state)
{
    static const struct {
        const char magic[5], *name;
    } cases[] = {{"\x1f\x8b\x08", "gzip"},
                 {"\xfd"
                  "7zX",
                  "xz"},
                 {"\x28\xb5\x2f\xfd", "zstd"},
                 {"BZh9", "bzip2"}};
    struct machine *m = machine_new(4 * MIB);
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char sentence[80];

        m->kernel.size = 100;
        memcpy(m->kernel.bytes, cases[i].magic, 4);
        snprintf(sentence, sizeof(sentence), "kernel: is compressed with %s; unpack it first",
                 cases[i].name);
        machine_must_fail(m, -EINVAL, sentence);
    }
    machine_free(m);
}

static void named_protocol_wins_over_detection(void **state)
{
    struct machine *m = machine_new(64 * MIB);
    (void)state;

    make_elf(&m->kernel, 64, ELF_PVH | ELF_MULTIBOOT);
    m->request.protocol = BOOT_ELF;
    machine_must_load(m);
    assert_string_equal(m->state.protocol, "ELF 64-bit");
    m->request.protocol = BOOT_MULTIBOOT;
    machine_must_load(m);
    assert_string_equal(m->state.protocol, "multiboot");
    m->request.protocol = BOOT_RAW;
    m->request.raw_mode = 64;
    m->request.raw_address = m->request.raw_entry = 0x100000;
    machine_must_load(m);
    assert_string_equal(m->state.protocol, "raw 64-bit");
    machine_free(m);
}

static void bad_95_unknown_protocol_is_refused(void **state)
{
    struct machine *m = machine_new(4 * MIB);
    (void)state;

    m->kernel.size = 1;
    m->request.protocol = (enum boot_protocol)99;
    machine_must_fail(m, -EINVAL, "kernel: unknown boot protocol 99");
    machine_free(m);
}

static void loading_twice_gives_the_same(void **state)
{
    struct machine *m = machine_new(64 * MIB);
    uint8_t first[4096];
    (void)state;

    make_bzimage(&m->kernel);
    m->request.cmdline = "a long command line";
    machine_must_load(m);
    memcpy(first, machine_at(m, 0x7000, 4096), 4096);
    memset(machine_at(m, 0x500, 0x9000), 0xff, 0x9000);
    machine_must_load(m);
    assert_memory_equal(first, machine_at(m, 0x7000, 4096), 4096);
    machine_free(m);
}

/* ---- truncation -------------------------------------------------------------------------------
 */

/* Loads every prefix of the image; each shorter than `whole` must fail with a sentence about it.
 * The bytes are copied to the heap, so that a sanitizer sees one byte too many. */
static void sweep(struct machine *m, uint32_t whole, uint32_t step_after_header)
{
    struct blob good = m->kernel;

    for (uint32_t size = 1; size <= good.size; size += size < 0x700 ? 1 : step_after_header) {
        struct image image;
        uint8_t *copy = malloc(size);
        int err;

        assert_non_null(copy);
        memcpy(copy, good.bytes, size);
        image_from_memory(&image, "kernel", copy, size);
        memset(&m->e, 0, sizeof(m->e));
        err = loader_run(&m->request, &image, &m->target, &m->state, &m->e);
        free(copy);
        if (size >= whole && err)
            fail_msg("%u of %u bytes do not load: %s", size, good.size, m->e.text);
        if (size < whole && (!err || strncmp(m->e.text, "kernel: ", 8) != 0))
            fail_msg("%u of %u bytes: %d \"%s\"", size, good.size, err, m->e.text);
    }
}

static void bad_95_no_part_of_a_bzimage_loads(void **state)
{
    struct machine *m = machine_new(64 * MIB);
    (void)state;

    make_bzimage(&m->kernel);
    sweep(m, m->kernel.size, 512);
    m->kernel.size -= 1;
    machine_must_fail(
        m, -EINVAL,
        "kernel: the kernel has 4096 bytes from byte 1024 on, but the file has only 5119 "
        "bytes; it is truncated");
    m->request.protocol = BOOT_LINUX;
    make_bzimage(&m->kernel);
    sweep(m, m->kernel.size, 512);
    machine_free(m);
}

static void bad_95_no_part_of_an_elf_kernel_loads(void **state)
{
    const enum boot_protocol protocols[] = {BOOT_AUTO, BOOT_ELF, BOOT_PVH, BOOT_MULTIBOOT};
    struct machine *m = machine_new(64 * MIB);
    (void)state;

    for (unsigned i = 0; i < 4; i++) {
        for (unsigned bits = 32; bits <= 64; bits += 32) {
            m->request.protocol = protocols[i];
            make_elf(&m->kernel, bits, ELF_PVH | ELF_MULTIBOOT);
            sweep(m, ELF_NOTE_OFFSET + ELF_NOTE_BYTES, 1);
        }
    }
    machine_free(m);
}

static void bad_95_no_part_of_a_multiboot_kernel_loads(void **state)
{
    struct machine *m = machine_new(64 * MIB);
    (void)state;

    make_multiboot(&m->kernel);
    sweep(m, m->kernel.size, 1);
    machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_is_loaded_like_memory),
        cmocka_unit_test(bad_95_what_is_no_regular_file_gets_a_sentence),
        cmocka_unit_test(bad_95_unreadable_file_gets_a_sentence),
        cmocka_unit_test(bad_95_initrd_that_is_no_file_is_to_blame_itself),
        cmocka_unit_test(bad_95_file_that_shrinks_is_an_error),
        cmocka_unit_test(bad_95_reading_beyond_the_end_is_an_error),
        cmocka_unit_test(bad_95_unknown_files_are_told_what_is_accepted),
        cmocka_unit_test(bad_95_compressed_files_are_recognised),
        cmocka_unit_test(named_protocol_wins_over_detection),
        cmocka_unit_test(bad_95_unknown_protocol_is_refused),
        cmocka_unit_test(loading_twice_gives_the_same),
        cmocka_unit_test(bad_95_no_part_of_a_bzimage_loads),
        cmocka_unit_test(bad_95_no_part_of_an_elf_kernel_loads),
        cmocka_unit_test(bad_95_no_part_of_a_multiboot_kernel_loads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
