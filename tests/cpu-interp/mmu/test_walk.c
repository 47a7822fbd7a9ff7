/* SPDX-License-Identifier: MIT
 *
 * Page walks: every mode and page size, rights at every level, error codes, A and D bits, tables
 * in odd places. What it does not prove: that processors agree; the lab compares with KVM.
 */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Every kind of mapping there is. */
static const struct shape {
    enum paging paging;
    uint32_t shift, levels;
    uint64_t la, gpa;
} shapes[] = {
    {LEGACY, 12, 2, 0xc0123000, 0x456000},       {LEGACY, 22, 1, 0xc0400000, 0x800000},
    {LEGACY, 22, 1, 0xc0400000, 0xab00800000}, /* PSE-36 */
    {PAE, 12, 2, 0xc0123000, 0x456000},          {PAE, 21, 1, 0xc0200000, 0xab00800000},
    {LONG, 12, 4, 0xffff888000123000, 0x456000}, {LONG, 12, 4, 0x7fff12345000, 0xab00456000},
    {LONG, 21, 3, 0xffffffff81000000, 0x800000}, {LONG, 30, 2, 0xffff888040000000, 0xab40000000},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static bool walk(struct cpu *c, uint64_t la, uint32_t access, struct translation *t,
                 uint32_t *error)
{
    *error = 0x12345678;
    return mmu_walk(c, la, access, t, error);
}

static void every_mode_finds_its_page_in_every_size(void **state)
{
    struct rig *r = rig_create(1);
    struct translation t;
    uint32_t error;

    (void)state;
    for (uint32_t i = 0; i < SHAPES; i++) {
        const struct shape *s = &shapes[i];
        struct cpu *c = rig_paging(r, s->paging);
        uint64_t offset = ((uint64_t)1 << s->shift) - 0x123;

        assert_int_equal(rig_map(r, s->la, s->gpa, s->shift, P | W | U, NULL), s->levels);
        assert_true(walk(c, s->la + offset, ACCESS_READ, &t, &error));
        assert_int_equal(t.gpa, s->gpa + offset);
        assert_int_equal(t.page_bytes, (uint64_t)1 << s->shift);
        assert_int_equal(mmu_debug_translate(c, s->la + offset), s->gpa + offset);
        assert_int_equal(mmu_debug_translate(c, s->la ^ 0x80000000), -1);
    }
    rig_destroy(r);
}

static void without_paging_addresses_are_32_bits_of_themselves(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, NONE);
    struct translation t;
    uint32_t error;

    (void)state;
    c->cr4 |= CR4_SMAP | CR4_SMEP;
    assert_true(walk(c, 0x100001234, ACCESS_WRITE, &t, &error));
    assert_int_equal(t.gpa, 0x1234);
    assert_true(t.writable && t.readable && t.executable && t.dirty);
    rig_destroy(r);
}

static void an_absent_entry_at_any_level_faults_without_p(void **state)
{
    struct rig *r = rig_create(1);
    struct translation t;
    uint64_t where[4];
    uint32_t error;

    (void)state;
    for (uint32_t i = 0; i < SHAPES; i++) {
        const struct shape *s = &shapes[i];
        struct cpu *c = rig_paging(r, s->paging);

        for (uint32_t level = 0; level < s->levels; level++) {
            rig_map(r, s->la, s->gpa, s->shift, P | W | U, where);
            rig_poke(r, where[level], rig_peek(r, where[level], 4) & ~(uint64_t)P, 4);
            assert_false(walk(c, s->la, ACCESS_READ, &t, &error));
            assert_int_equal(error, 0);
            assert_false(walk(c, s->la, ACCESS_WRITE, &t, &error));
            assert_int_equal(error, 2);
            c->cpl = 3;
            assert_false(walk(c, s->la, ACCESS_WRITE, &t, &error));
            assert_int_equal(error, 6);
            assert_false(walk(c, s->la, ACCESS_FETCH, &t, &error));
            assert_int_equal(error, s->paging == LEGACY ? 4 : 0x14);
            assert_false(walk(c, s->la, ACCESS_READ | ACCESS_SYSTEM, &t, &error));
            assert_int_equal(error, 0);
            c->cpl = 0;
        }
    }
    rig_destroy(r);
}

/* SDM 3, 4.6.1, said another way than the code says it. */
static bool allowed(const struct cpu *c, uint32_t access, bool w, bool u, bool nx)
{
    uint32_t kind = access & 3;

    if (!(access & ACCESS_SYSTEM) && c->cpl == 3) {
        if (!u)
            return false;
        return kind == ACCESS_READ || (kind == ACCESS_WRITE ? w : !nx);
    }
    if (kind == ACCESS_FETCH)
        return !nx && !(u && (c->cr4 & CR4_SMEP));
    if (u && (c->cr4 & CR4_SMAP) && ((access & ACCESS_SYSTEM) || !(c->rflags & FLAG_AC)))
        return false;
    return kind == ACCESS_READ || w || !(c->cr0 & CR0_WP);
}

/* One mapping, every access in every setting of the bits that count. */
static void try_all(struct cpu *c, uint64_t la, bool w, bool u, bool nx)
{
    static const uint32_t accesses[] = {ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH,
                                        ACCESS_READ | ACCESS_SYSTEM, ACCESS_WRITE | ACCESS_SYSTEM};
    struct translation t;
    uint32_t error;

    for (uint32_t set = 0; set < 64; set++) {
        c->cr0 = (c->cr0 & ~CR0_WP) | (set & 1 ? CR0_WP : 0);
        c->cr4 = (c->cr4 & ~(uint64_t)(CR4_SMEP | CR4_SMAP)) | (set & 2 ? CR4_SMEP : 0) |
                 (set & 4 ? CR4_SMAP : 0);
        c->rflags = FLAG_ONE | (set & 8 ? FLAG_AC : 0);
        c->cpl = set & 16 ? 3 : set & 32 ? 1 : 0;
        for (uint32_t k = 0; k < 5; k++) {
            bool found = walk(c, la, accesses[k], &t, &error);
            bool fetch = accesses[k] & ACCESS_FETCH;
            uint32_t expected = 1 | (accesses[k] & ACCESS_WRITE ? 2 : 0) |
                                (c->cpl == 3 && !(accesses[k] & ACCESS_SYSTEM) ? 4 : 0) |
                                (fetch && ((c->cr4 & CR4_SMEP) || (c->efer & EFER_NXE)) ? 16 : 0);

            assert_int_equal(found, allowed(c, accesses[k], w, u, nx));
            if (found) {
                assert_int_equal(t.readable, allowed(c, accesses[k] & 4, w, u, nx));
                assert_int_equal(t.writable,
                                 allowed(c, (accesses[k] & 4) | ACCESS_WRITE, w, u, nx));
                assert_int_equal(t.executable,
                                 allowed(c, (accesses[k] & 4) | ACCESS_FETCH, w, u, nx));
            } else {
                assert_int_equal(error, expected);
            }
        }
    }
}

static void bad_85_rights_are_those_of_all_levels_together(void **state)
{
    struct rig *r = rig_create(1);
    uint64_t where[4];

    (void)state;
    for (uint32_t i = 0; i < SHAPES; i++) {
        const struct shape *s = &shapes[i];

        for (uint32_t level = 0; level < s->levels; level++) {
            uint32_t bytes = s->paging == LEGACY ? 4 : 8;

            for (uint32_t rights = 0; rights < 8; rights++) {
                struct cpu *c = rig_paging(r, s->paging);
                uint64_t remove = (rights & 1 ? W : 0) | (rights & 2 ? U : 0);
                bool nx = bytes == 8 && (rights & 4);

                rig_map(r, s->la, s->gpa, s->shift, P | W | U, where);
                rig_poke(r, where[level],
                         (rig_peek(r, where[level], bytes) & ~remove) | (nx ? NX : 0), bytes);
                try_all(c, s->la, !(rights & 1), !(rights & 2), nx);
            }
        }
    }
    rig_destroy(r);
}

static void expect_reserved(struct rig *r, const struct shape *s, uint32_t level, uint32_t bit)
{
    uint32_t bytes = s->paging == LEGACY ? 4 : 8, error;
    struct cpu *c = r->cpu[0];
    struct translation t;
    uint64_t where[4];

    rig_map(r, s->la, s->gpa, s->shift, P | W | U, where);
    rig_poke(r, where[level], rig_peek(r, where[level], bytes) | (uint64_t)1 << bit, bytes);
    assert_false(walk(c, s->la, ACCESS_READ, &t, &error));
    assert_int_equal(error, 9);
    /* Not present: nothing is reserved. */
    rig_poke(r, where[level], rig_peek(r, where[level], bytes) & ~(uint64_t)P, bytes);
    assert_false(walk(c, s->la, ACCESS_READ, &t, &error));
    assert_int_equal(error, 0);
}

static void bad_82_reserved_bits_fault_at_every_level(void **state)
{
    struct rig *r = rig_create(1);

    (void)state;
    for (uint32_t i = 0; i < SHAPES; i++) {
        const struct shape *s = &shapes[i];
        struct cpu *c = rig_paging(r, s->paging);

        if (s->paging == LEGACY) {
            if (s->shift == 22)
                expect_reserved(r, s, 0, 21);
            continue;
        }
        for (uint32_t level = 0; level < s->levels; level++) {
            for (uint32_t bit = 40; bit < (s->paging == PAE ? 63u : 52u); bit++)
                expect_reserved(r, s, level, bit);
            c->efer &= ~(uint64_t)EFER_NXE;
            expect_reserved(r, s, level, 63);
            c->efer |= EFER_NXE;
        }
        for (uint32_t bit = 13; s->shift > 12 && bit < s->shift; bit++)
            expect_reserved(r, s, s->levels - 1, bit);
        if (s->paging == LONG)
            expect_reserved(r, s, 0, 7);
    }
    rig_destroy(r);
}

static void bad_82_a_gigabyte_page_is_reserved_where_cpuid_lacks_it(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    struct translation t;
    uint32_t error;

    (void)state;
    c->features[0] = 0;
    rig_map(r, 0x40000000, 0x40000000, 30, P | W, NULL);
    assert_false(walk(c, 0x40000000, ACCESS_READ, &t, &error));
    assert_int_equal(error, 9);
    rig_destroy(r);
}

static void a_and_d_are_set_by_what_is_used_and_written(void **state)
{
    struct rig *r = rig_create(1);
    struct translation t;
    uint64_t where[4];
    uint32_t error;

    (void)state;
    for (uint32_t i = 0; i < SHAPES; i++) {
        const struct shape *s = &shapes[i];
        struct cpu *c = rig_paging(r, s->paging);

        rig_map(r, s->la, s->gpa, s->shift, P | W, where);
        assert_true(walk(c, s->la, ACCESS_READ, &t, &error));
        assert_false(t.dirty);
        for (uint32_t level = 0; level < s->levels; level++)
            assert_int_equal(rig_peek(r, where[level], 1) & (A | D), A);
        assert_true(walk(c, s->la, ACCESS_WRITE, &t, &error));
        assert_true(t.dirty);
        for (uint32_t level = 0; level < s->levels; level++)
            assert_int_equal(rig_peek(r, where[level], 1) & (A | D),
                             level + 1 == s->levels ? A | D : A);
    }
    rig_destroy(r);
}

static void a_walk_that_faults_sets_neither_a_nor_d(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    struct translation t;
    uint64_t where[4];
    uint32_t error;

    (void)state;
    rig_map(r, 0x400000, 0x456000, 12, P | U, where);
    assert_false(walk(c, 0x400000, ACCESS_WRITE, &t, &error));
    for (uint32_t level = 0; level < 4; level++)
        assert_int_equal(rig_peek(r, where[level], 1) & (A | D), 0);
    rig_destroy(r);
}

static void global_needs_pge(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    struct translation t;
    uint32_t error;

    (void)state;
    rig_map(r, 0x400000, 0x456000, 12, P | U | G, NULL);
    assert_true(walk(c, 0x400000, ACCESS_READ, &t, &error));
    assert_true(t.global);
    c->cr4 &= ~(uint64_t)CR4_PGE;
    assert_true(walk(c, 0x400000, ACCESS_READ, &t, &error));
    assert_false(t.global);
    rig_destroy(r);
}

static void bad_82_a_table_in_a_device_is_read_and_never_written(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    struct translation t;
    uint64_t entry = 0x456000 | P | W;
    uint32_t error;

    (void)state;
    memcpy(&r->mmio[0], &entry, 8);
    rig_map(r, 0, 0, 12, P | W, NULL);
    rig_poke(r, TABLE_PD, MMIO_BASE | P | W, 8);
    assert_true(walk(c, 0x123, ACCESS_WRITE, &t, &error));
    assert_int_equal(t.gpa, 0x456123);
    assert_int_equal(r->accesses, 1);
    assert_false(r->access[0].write);
    assert_int_equal(r->access[0].width, 8);
    /* Where nothing answers all bits are set: reserved ones among them. */
    rig_poke(r, TABLE_PD, 0xe0000000 | P | W, 8);
    assert_false(walk(c, 0x123, ACCESS_READ, &t, &error));
    assert_int_equal(error, 9);
    rig_destroy(r);
}

static void bad_82_a_table_in_rom_keeps_its_bits(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    struct translation t;
    uint64_t entry = 0x456000 | P | W;
    uint32_t error;

    (void)state;
    memcpy(r->rom, &entry, 8);
    rig_map(r, 0, 0, 12, P | W, NULL);
    rig_poke(r, TABLE_PD, ROM_BASE | P | W, 8);
    assert_true(walk(c, 0x123, ACCESS_WRITE, &t, &error));
    assert_int_equal(t.gpa, 0x456123);
    assert_memory_equal(r->rom, &entry, 8);
    assert_int_equal(r->accesses, 0);
    rig_destroy(r);
}

static void bad_82_a_table_that_maps_itself_is_one_walk(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    struct translation t;
    uint32_t error;

    (void)state;
    rig_poke(r, TABLE_PML4 + 8 * 0x1ed, TABLE_PML4 | P | W, 8);
    /* All four levels by the same entry: the table is its own page. */
    assert_true(walk(c, 0xfffff6fb7dbedf68, ACCESS_WRITE, &t, &error));
    assert_int_equal(t.gpa, TABLE_PML4 + 0xf68);
    assert_int_equal(rig_peek(r, TABLE_PML4 + 8 * 0x1ed, 8), TABLE_PML4 | P | W | A | D);
    rig_destroy(r);
}

static void a_and_d_in_a_page_with_code_drop_that_code(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    struct translation t;
    uint64_t where[4];
    uint32_t error;

    (void)state;
    rig_map(r, 0x400000, 0x456000, 12, P | W, where);
    *memory_code_word(memory_slot_at(&r->e, where[3]), where[3]) = 1;
    assert_true(walk(c, 0x400000, ACCESS_READ, &t, &error));
    assert_int_equal(r->smc_calls, 1);
    assert_int_equal(r->smc_gpa, where[3]);
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode_finds_its_page_in_every_size),
        cmocka_unit_test(without_paging_addresses_are_32_bits_of_themselves),
        cmocka_unit_test(an_absent_entry_at_any_level_faults_without_p),
        cmocka_unit_test(bad_85_rights_are_those_of_all_levels_together),
        cmocka_unit_test(bad_82_reserved_bits_fault_at_every_level),
        cmocka_unit_test(bad_82_a_gigabyte_page_is_reserved_where_cpuid_lacks_it),
        cmocka_unit_test(a_and_d_are_set_by_what_is_used_and_written),
        cmocka_unit_test(a_walk_that_faults_sets_neither_a_nor_d),
        cmocka_unit_test(global_needs_pge),
        cmocka_unit_test(bad_82_a_table_in_a_device_is_read_and_never_written),
        cmocka_unit_test(bad_82_a_table_in_rom_keeps_its_bits),
        cmocka_unit_test(bad_82_a_table_that_maps_itself_is_one_walk),
        cmocka_unit_test(a_and_d_in_a_page_with_code_drop_that_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
