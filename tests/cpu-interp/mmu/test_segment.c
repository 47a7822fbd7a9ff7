/* SPDX-License-Identifier: MIT
 *
 * Segments: limits and rights of accesses, descriptors, loading segment registers (SDM 3, 3.4,
 * 5.3 to 5.6).
 */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define GDT 0x5000u
#define LDT 0x6000u

/* A descriptor's fields. `access`: the byte with P, DPL, S and type; `flags`: G, D/B, L, AVL. */
static uint64_t descriptor(uint32_t base, uint32_t limit, uint8_t access, uint8_t flags)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
           (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)flags << 52 |
           (uint64_t)(base >> 24) << 56;
}

static struct cpu *protected_mode(struct rig *r)
{
    struct cpu *c = rig_paging(r, NONE);

    c->gdt.base = GDT;
    c->gdt.limit = 0x7f;
    c->seg[SEG_LDT] = (struct segment){.base = LDT, .limit = 0xf, .attributes = 0x82};
    return c;
}

static int ea(struct cpu *c, uint8_t seg, uint64_t offset, uint32_t size, uint32_t access)
{
    struct call call = {.kind = EA, .seg = seg, .la = offset, .size = size, .access = access};

    return rig_call(c, &call);
}

/* Puts the descriptor into GDT entry 4 and loads it with selector 0x20 | rpl. */
static int load(struct rig *r, uint8_t seg, uint64_t value, uint32_t rpl)
{
    struct call call = {.kind = SEGMENT, .seg = seg, .value = 0x20 | rpl};

    rig_poke(r, GDT + 0x20, value, 8);
    return rig_call(r->cpu[0], &call);
}

static int load_selector(struct cpu *c, uint8_t seg, uint16_t selector)
{
    struct call call = {.kind = SEGMENT, .seg = seg, .value = selector};

    return rig_call(c, &call);
}

static void a_descriptor_says_base_limit_and_attributes(void **state)
{
    struct segment s = descriptor_segment(0x23, descriptor(0x12345678, 0xabcde, 0xf3, 0xd), 0);

    (void)state;
    assert_int_equal(s.base, 0x12345678);
    assert_int_equal(s.limit, 0xabcdefff);
    assert_int_equal(s.attributes, 0xd0f3);
    assert_int_equal(s.selector, 0x23);
    s = descriptor_segment(0x28, descriptor(0x12345678, 0x67, 0x89, 0), 0xffff8880);
    assert_int_equal(s.base, 0xffff888012345678);
    assert_int_equal(s.limit, 0x67);
}

static void an_access_must_end_within_the_limit(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = protected_mode(r);

    (void)state;
    for (uint32_t i = SEG_SS; i <= SEG_DS; i++) {
        uint8_t seg = (uint8_t)i;
        int vector = seg == SEG_SS ? EXC_SS : EXC_GP;

        c->seg[seg] = (struct segment){.base = 0x1000, .limit = 0x1ff, .attributes = 0x4093};
        assert_int_equal(ea(c, seg, 0x1fc, 4, ACCESS_WRITE), -1);
        assert_int_equal(ea(c, seg, 0x1fd, 4, ACCESS_WRITE), vector);
        assert_int_equal(c->event.error, 0);
        assert_int_equal(ea(c, seg, 0x1ff, 1, ACCESS_READ), -1);
        assert_int_equal(ea(c, seg, 0x200, 1, ACCESS_READ), vector);
        assert_int_equal(ea(c, seg, 0xffffffff, 4, ACCESS_READ), vector);
    }
    rig_destroy(r);
}

static void a_segment_that_expands_down_begins_above_its_limit(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = protected_mode(r);

    (void)state;
    c->seg[SEG_DS] = (struct segment){.limit = 0xfff, .attributes = 0x97};
    assert_int_equal(ea(c, SEG_DS, 0xfff, 1, ACCESS_READ), EXC_GP);
    assert_int_equal(ea(c, SEG_DS, 0x1000, 4, ACCESS_READ), -1);
    assert_int_equal(ea(c, SEG_DS, 0xfffc, 4, ACCESS_READ), -1);
    assert_int_equal(ea(c, SEG_DS, 0xfffd, 4, ACCESS_READ), EXC_GP);
    c->seg[SEG_DS].attributes |= SEG_DB;
    assert_int_equal(ea(c, SEG_DS, 0xfffd, 4, ACCESS_READ), -1);
    assert_int_equal(ea(c, SEG_DS, 0xfffffffd, 4, ACCESS_READ), EXC_GP);
    rig_destroy(r);
}

static void rights_of_a_segment_are_checked_in_protected_mode_only(void **state)
{
    static const struct {
        uint16_t attributes;
        bool read, write;
    } cases[] = {{0x0000, 0, 0}, {0x0010, 0, 0}, {0x0091, 1, 0},
                 {0x0093, 1, 1}, {0x0099, 0, 0}, {0x009b, 1, 0}};
    struct rig *r = rig_create(1);
    struct cpu *c = protected_mode(r);

    (void)state;
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        c->seg[SEG_ES] = (struct segment){.limit = 0xffff, .attributes = cases[i].attributes};
        c->mode = MODE_PE | MODE_32;
        assert_int_equal(ea(c, SEG_ES, 0, 4, ACCESS_READ), cases[i].read ? -1 : EXC_GP);
        assert_int_equal(ea(c, SEG_ES, 0, 4, ACCESS_WRITE), cases[i].write ? -1 : EXC_GP);
        c->mode = 0;
        assert_int_equal(ea(c, SEG_ES, 0, 4, ACCESS_WRITE), -1);
    }
    rig_destroy(r);
}

static void real_mode_accesses_end_at_64_kilobytes(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = protected_mode(r);
    struct call call = {.kind = EA, .seg = SEG_DS, .la = 0xffff, .size = 1};

    (void)state;
    c->mode = 0;
    c->seg[SEG_DS] = (struct segment){.base = 0xffff0, .limit = 0xffff, .attributes = 0x93};
    c->seg[SEG_SS] = c->seg[SEG_DS];
    assert_int_equal(rig_call(c, &call), -1);
    assert_int_equal(call.value, 0x10ffef);
    assert_int_equal(ea(c, SEG_DS, 0xffff, 2, ACCESS_READ), EXC_GP);
    assert_int_equal(ea(c, SEG_SS, 0xfffd, 4, ACCESS_WRITE), EXC_SS);
    rig_destroy(r);
}

static void in_64_bit_mode_only_fs_and_gs_have_bases(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    struct call call = {.kind = EA, .seg = SEG_DS, .la = 0x10, .size = 8};

    (void)state;
    c->seg[SEG_DS].base = 0x5000;
    c->seg[SEG_GS].base = 0xffff888000000000;
    assert_int_equal(rig_call(c, &call), -1);
    assert_int_equal(call.value, 0x10);
    call.seg = SEG_GS;
    assert_int_equal(rig_call(c, &call), -1);
    assert_int_equal(call.value, 0xffff888000000010);
    assert_int_equal(ea(c, SEG_SS, 0x7ffffffffffc, 8, ACCESS_READ), EXC_SS);
    assert_int_equal(ea(c, SEG_DS, 0x7ffffffffffc, 8, ACCESS_READ), EXC_GP);
    rig_destroy(r);
}

static void an_offset_has_the_bits_of_its_address_size(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = protected_mode(r);
    struct uop u = {.base = RBX, .index = RSI, .scale = 2, .disp = -2, .asize = 2};

    (void)state;
    c->reg[RBX] = 0x1ffff;
    c->reg[RSI] = 0x100000000;
    assert_int_equal(ea_offset(c, &u), 0xfffd);
    u.asize = 4;
    assert_int_equal(ea_offset(c, &u), 0x1fffd);
    u.asize = 8;
    assert_int_equal(ea_offset(c, &u), 0x40001fffd);
    rig_destroy(r);
}

static void loading_a_segment_sets_it_and_its_accessed_bit(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = protected_mode(r);

    (void)state;
    assert_int_equal(load(r, SEG_ES, descriptor(0x1000, 0xfffff, 0x92, 0xc), 0), -1);
    assert_int_equal(c->seg[SEG_ES].base, 0x1000);
    assert_int_equal(c->seg[SEG_ES].limit, UINT32_MAX);
    assert_int_equal(c->seg[SEG_ES].attributes, 0xc093);
    assert_int_equal(c->seg[SEG_ES].selector, 0x20);
    assert_int_equal(rig_peek(r, GDT + 0x25, 1), 0x93);
    assert_int_equal(r->mode_changes, 1);
    /* From the LDT. */
    rig_poke(r, LDT + 8, descriptor(0x2000, 0xff, 0x93, 4), 8);
    assert_int_equal(load_selector(c, SEG_FS, 0xc), -1);
    assert_int_equal(c->seg[SEG_FS].base, 0x2000);
    rig_destroy(r);
}

static void bad_selectors_beyond_their_table_raise_gp_with_the_selector(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = protected_mode(r);

    (void)state;
    assert_int_equal(load_selector(c, SEG_DS, 0x83), EXC_GP);
    assert_int_equal(c->event.error, 0x80);
    c->gdt.limit = 0x26; /* a byte too short */
    assert_int_equal(load_selector(c, SEG_DS, 0x20), EXC_GP);
    assert_int_equal(load_selector(c, SEG_DS, 0x14), EXC_GP);
    assert_int_equal(c->event.error, 0x14);
    c->seg[SEG_LDT].attributes = 0;
    assert_int_equal(load_selector(c, SEG_DS, 0xc), EXC_GP);
    rig_destroy(r);
}

static void bad_descriptors_are_refused_for_data_registers(void **state)
{
    static const struct {
        uint8_t access, cpl, rpl;
        int vector;
    } cases[] = {
        {0x93, 0, 0, -1},     {0x13, 0, 0, EXC_NP}, {0x89, 0, 0, EXC_GP}, /* a TSS */
        {0x99, 0, 0, EXC_GP},                                             /* execute-only code */
        {0x9b, 0, 0, -1},     {0x93, 3, 3, EXC_GP}, {0x93, 0, 3, EXC_GP}, {0xf3, 3, 3, -1},
        {0xf3, 0, 3, -1},     {0xb3, 2, 1, EXC_GP}, {0x9f, 3, 3, -1}, /* conforming */
        {0x9d, 3, 3, EXC_GP},                                         /* and not readable */
        {0x73, 3, 3, EXC_NP},
    };
    struct rig *r = rig_create(1);
    struct cpu *c = protected_mode(r);

    (void)state;
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        c->cpl = cases[i].cpl;
        c->seg[SEG_GS].selector = 0x55;
        assert_int_equal(
            load(r, SEG_GS, descriptor(0, 0xfffff, cases[i].access, 0xc), cases[i].rpl),
            cases[i].vector);
        if (cases[i].vector != -1) {
            assert_int_equal(c->event.error, 0x20);
            assert_int_equal(c->seg[SEG_GS].selector, 0x55);
        }
    }
    rig_destroy(r);
}

static void bad_descriptors_are_refused_for_the_stack(void **state)
{
    static const struct {
        uint8_t access, cpl, rpl;
        int vector;
    } cases[] = {{0x93, 0, 0, -1},     {0x13, 0, 0, EXC_SS}, {0x91, 0, 0, EXC_GP},
                 {0x9b, 0, 0, EXC_GP}, {0x93, 0, 3, EXC_GP}, {0xf3, 0, 0, EXC_GP},
                 {0xf3, 3, 3, -1},     {0xf3, 3, 0, EXC_GP}, {0x82, 0, 0, EXC_GP}};
    struct rig *r = rig_create(1);
    struct cpu *c = protected_mode(r);

    (void)state;
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        c->cpl = cases[i].cpl;
        assert_int_equal(
            load(r, SEG_SS, descriptor(0, 0xfffff, cases[i].access, 0xc), cases[i].rpl),
            cases[i].vector);
        if (cases[i].vector != -1)
            assert_int_equal(c->event.error, 0x20);
    }
    rig_destroy(r);
}

static void a_null_selector_makes_a_register_useless(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = protected_mode(r);

    (void)state;
    for (uint16_t selector = 0; selector < 4; selector++) {
        assert_int_equal(load_selector(c, SEG_ES, selector), -1);
        assert_int_equal(c->seg[SEG_ES].selector, selector);
        assert_int_equal(ea(c, SEG_ES, 0, 1, ACCESS_READ), EXC_GP);
        assert_int_equal(load_selector(c, SEG_SS, selector), EXC_GP);
        assert_int_equal(c->event.error, 0);
    }
    rig_destroy(r);
}

static void a_null_stack_is_for_inner_rings_of_64_bit_mode(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);

    (void)state;
    assert_int_equal(load_selector(c, SEG_SS, 0), -1);
    assert_int_equal(load_selector(c, SEG_SS, 1), EXC_GP);
    c->cpl = 2;
    assert_int_equal(load_selector(c, SEG_SS, 2), -1);
    c->cpl = 3;
    assert_int_equal(load_selector(c, SEG_SS, 3), EXC_GP);
    rig_destroy(r);
}

static void real_mode_loads_the_base_and_keeps_the_limit(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = protected_mode(r);

    (void)state;
    c->mode = 0;
    c->seg[SEG_DS] = (struct segment){.limit = UINT32_MAX, .attributes = 0xc093};
    c->seg[SEG_ES] = (struct segment){.limit = 0, .attributes = 0};
    assert_int_equal(load_selector(c, SEG_DS, 0x1234), -1);
    assert_int_equal(c->seg[SEG_DS].base, 0x12340);
    assert_int_equal(c->seg[SEG_DS].limit, UINT32_MAX);
    assert_int_equal(load_selector(c, SEG_ES, 0xffff), -1);
    assert_int_equal(c->seg[SEG_ES].limit, 0xffff);
    c->rflags |= FLAG_VM;
    assert_int_equal(load_selector(c, SEG_DS, 0x1234), -1);
    assert_int_equal(c->seg[SEG_DS].limit, 0xffff);
    assert_int_equal(c->seg[SEG_DS].attributes, 0xf3);
    rig_destroy(r);
}

static void bad_a_descriptor_table_that_is_not_there_faults_as_a_supervisors(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);

    (void)state;
    rig_map(r, 0x400000, GDT, 12, P | W | U, NULL);
    c->gdt.base = 0x400ff4;
    c->gdt.limit = 0xff;
    c->cpl = 3;
    /* The descriptor's second half is in an absent page. */
    assert_int_equal(load_selector(c, SEG_DS, 0xb), EXC_PF);
    assert_int_equal(c->event.cr2, 0x401000);
    assert_int_equal(c->event.error, 0);
    /* A table that may not be written, whose accessed bit is to be set. */
    rig_map(r, 0x400000, GDT, 12, P | U, NULL);
    rig_poke(r, GDT + 8, descriptor(0, 0xfffff, 0xf2, 0xc), 8);
    c->gdt.base = 0x400000;
    tlb_flush(c);
    assert_int_equal(load_selector(c, SEG_DS, 0xb), EXC_PF);
    assert_int_equal(c->event.cr2, 0x40000d);
    assert_int_equal(c->event.error, 3);
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_descriptor_says_base_limit_and_attributes),
        cmocka_unit_test(an_access_must_end_within_the_limit),
        cmocka_unit_test(a_segment_that_expands_down_begins_above_its_limit),
        cmocka_unit_test(rights_of_a_segment_are_checked_in_protected_mode_only),
        cmocka_unit_test(real_mode_accesses_end_at_64_kilobytes),
        cmocka_unit_test(in_64_bit_mode_only_fs_and_gs_have_bases),
        cmocka_unit_test(an_offset_has_the_bits_of_its_address_size),
        cmocka_unit_test(loading_a_segment_sets_it_and_its_accessed_bit),
        cmocka_unit_test(bad_selectors_beyond_their_table_raise_gp_with_the_selector),
        cmocka_unit_test(bad_descriptors_are_refused_for_data_registers),
        cmocka_unit_test(bad_descriptors_are_refused_for_the_stack),
        cmocka_unit_test(a_null_selector_makes_a_register_useless),
        cmocka_unit_test(a_null_stack_is_for_inner_rings_of_64_bit_mode),
        cmocka_unit_test(real_mode_loads_the_base_and_keeps_the_limit),
        cmocka_unit_test(bad_a_descriptor_table_that_is_not_there_faults_as_a_supervisors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
