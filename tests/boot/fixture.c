/* SPDX-License-Identifier: MIT
 *
 * A machine's memory to load into.
 */
#include "boot/fixture.h"

#include <backplane/util/le.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct machine *machine_with_hole(uint64_t bytes, uint64_t gpa, uint64_t length)
{
    struct machine *m = calloc(1, sizeof(*m));
    struct ram_reserved hole = {gpa, length};

    assert_non_null(m);
    assert_int_equal(ram_create(&m->ram, bytes, false, &hole, length ? 1 : 0, &m->e), 0);
    assert_int_equal(e820_from_ram(&m->map, &m->ram), 0);
    m->target = (struct boot_target){.ram = &m->ram, .map = &m->map, .rsdp_gpa = 0xe0000};
    m->request.kernel = "kernel";
    for (uint64_t at = 0; at < 0x40000 && at < bytes; at += RAM_PAGE)
        if (ram_at(&m->ram, at, RAM_PAGE))
            memset(ram_at(&m->ram, at, RAM_PAGE), 0xcc, RAM_PAGE);
    return m;
}

struct machine *machine_new(uint64_t bytes)
{
    return machine_with_hole(bytes, 0, 0);
}

void machine_free(struct machine *m)
{
    if (m->initrd[0])
        file_remove(m->initrd);
    ram_destroy(&m->ram);
    free(m);
}

void file_make(char path[64], const void *bytes, uint64_t length)
{
    char folder[] = "/tmp/backplane-boot-XXXXXX";
    FILE *f;

    assert_non_null(mkdtemp(folder));
    snprintf(path, 64, "%s/file", folder);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, length, f), length);
    assert_int_equal(fclose(f), 0);
}

void file_remove(const char *path)
{
    char folder[64];

    unlink(path);
    snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = 0;
    rmdir(folder);
}

void machine_initrd(struct machine *m, uint64_t length)
{
    uint8_t *bytes = malloc(length);

    assert_non_null(bytes);
    for (uint64_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(i * 3);
    file_make(m->initrd, bytes, length);
    free(bytes);
    m->request.initrd = m->initrd;
}

void assert_initrd_at(struct machine *m, uint64_t gpa, uint64_t length)
{
    const uint8_t *at = machine_at(m, gpa, length);

    for (uint64_t i = 0; i < length; i++)
        if (at[i] != (uint8_t)(i * 3))
            fail_msg("byte %llu of the initrd is 0x%02x", (unsigned long long)i, at[i]);
}

int machine_load(struct machine *m)
{
    struct image image;

    image_from_memory(&image, "kernel", m->kernel.bytes, m->kernel.size);
    return loader_run(&m->request, &image, &m->target, &m->state, &m->e);
}

void machine_must_load(struct machine *m)
{
    int err = machine_load(m);

    if (err)
        fail_msg("%d: %s", err, m->e.text);
}

void machine_must_fail(struct machine *m, int err, const char *sentence)
{
    int got = machine_load(m);

    if (!got)
        fail_msg("loads; expected: %s", sentence);
    assert_string_equal(m->e.text, sentence);
    assert_int_equal(got, err);
}

uint8_t *machine_at(struct machine *m, uint64_t gpa, uint64_t length)
{
    uint8_t *at = ram_at(&m->ram, gpa, length);

    assert_non_null(at);
    return at;
}

static void assert_segment(const struct bp_x86_segment *s, uint16_t selector, uint16_t attributes)
{
    assert_int_equal(s->selector, selector);
    assert_int_equal(s->attributes, attributes);
    assert_int_equal(s->base, 0);
    assert_int_equal(s->limit, 0xffffffff);
}

void assert_flat(const struct boot_state *s, unsigned bits)
{
    assert_segment(&s->sys.cs, 0x10, bits == 64 ? 0xa09b : 0xc09b);
    assert_segment(&s->sys.ds, 0x18, 0xc093);
    assert_segment(&s->sys.es, 0x18, 0xc093);
    assert_segment(&s->sys.ss, 0x18, 0xc093);
    assert_int_equal(s->sys.tr.attributes, 0x8b);
    assert_int_equal(s->sys.tr.limit, 0x67);
    assert_int_equal(s->sys.ldt.attributes, 0);
    assert_int_equal(s->sys.gdt.limit, 31);
    assert_int_equal(s->sys.idt.limit, 0);
    assert_int_equal(s->sys.cr0, bits == 64 ? 0x80000011 : 0x11);
    assert_int_equal(s->sys.cr4, bits == 64 ? 0x20 : 0);
    assert_int_equal(s->sys.efer, bits == 64 ? 0x500 : 0);
    assert_int_equal(s->sys.xcr0, 1);
    assert_int_equal(s->sys.dr6, 0xffff0ff0);
    assert_int_equal(s->sys.dr7, 0x400);
    assert_int_equal(s->sys.apic_base, 0);
    assert_int_equal(s->gpr.rflags, 2); /* interrupts off */
}
