/* SPDX-License-Identifier: MIT
 *
 * The software TLB: what gets in, with which tags, and what each flush takes away (SDM 3, 4.10).
 */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LA 0x400000u
#define GPA 0x456000u

static const struct tlb_entry *entry(const struct cpu *c, uint32_t kind, uint64_t la)
{
    return tlb_at(&c->tlbs[kind], la);
}

/* Whether an inline load would hit. */
static bool cached(const struct cpu *c, uint64_t la)
{
    return tlb_hit(entry(c, TLB_SUPERVISOR, la)->rtag, la, 1);
}

static bool write_cached(const struct cpu *c, uint64_t la)
{
    return tlb_hit(entry(c, TLB_SUPERVISOR, la)->wtag, la, 1);
}

static void load(struct cpu *c, uint64_t la)
{
    uint64_t value;

    assert_int_equal(rig_load(c, la, 1, &value), -1);
}

static void a_read_does_not_give_the_right_to_write_before_d_is_set(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);

    (void)state;
    rig_map(r, LA, GPA, 12, P | W, NULL);
    load(c, LA);
    assert_true(cached(c, LA));
    assert_false(write_cached(c, LA));
    assert_int_equal(rig_store(c, LA, 0x77, 1), -1);
    assert_true(write_cached(c, LA));
    assert_int_equal(r->ram[GPA], 0x77);
    assert_ptr_equal(tlb_host(entry(c, TLB_SUPERVISOR, LA), LA + 5), r->ram + GPA + 5);
    rig_destroy(r);
}

static void a_page_with_code_is_written_by_the_slow_path_until_the_code_has_gone(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    uint32_t *word;

    (void)state;
    rig_map(r, LA, GPA, 12, P | W | D, NULL);
    load(c, LA);
    assert_true(write_cached(c, LA));
    word = memory_code_word(memory_slot_at(&r->e, GPA), GPA);
    remote_mark_code(c, word, 3, GPA + 7);
    assert_false(write_cached(c, LA));
    assert_true(cached(c, LA));
    /* The store itself tells which code it hit; the rig takes those marks away. */
    assert_int_equal(rig_store(c, LA + 0x80, 1, 4), -1);
    assert_int_equal(r->smc_gpa, GPA + 0x80);
    assert_int_equal(r->smc_bytes, 4);
    assert_int_equal(*word, 1);
    assert_int_equal(rig_store(c, LA, 1, 1), -1);
    assert_int_equal(*word, 0);
    assert_int_equal(rig_store(c, LA, 1, 1), -1);
    assert_true(write_cached(c, LA));
    assert_int_equal(r->smc_calls, 2);
    rig_destroy(r);
}

static void bad_rom_devices_and_the_apic_page_never_get_write_tags(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    uint64_t value;

    (void)state;
    rig_chip(r);
    c->apic_base = 0x900 | 0x600000; /* over RAM */
    rig_map(r, LA, ROM_BASE, 12, P | W, NULL);
    rig_map(r, LA + 0x1000, MMIO_BASE, 12, P | W, NULL);
    rig_map(r, LA + 0x2000, 0x600000, 12, P | W, NULL);
    assert_int_equal(rig_store(c, LA, 1, 1), -1);
    assert_int_equal(rig_store(c, LA + 0x1000, 1, 1), -1);
    assert_int_equal(rig_store(c, LA + 0x2000, 1, 4), -1);
    load(c, LA);
    assert_true(cached(c, LA));
    assert_false(write_cached(c, LA));
    assert_false(cached(c, LA + 0x1000));
    assert_false(cached(c, LA + 0x2000));
    assert_int_equal(r->rom[0], 0);
    assert_int_equal(r->apic_accesses, 1);
    assert_int_equal(r->deadlines, 1);
    assert_int_equal(rig_load(c, LA + 0x2000, 4, &value), -1);
    assert_int_equal(value, 0x5a);
    /* Out of xAPIC mode the page is what is behind it. */
    c->apic_base |= 0x400;
    assert_int_equal(rig_store(c, LA + 0x2000, 0x1234, 4), -1);
    assert_int_equal(rig_peek(r, 0x600000, 4), 0x1234);
    rig_destroy(r);
}

static void bad_84_a_new_cr3_keeps_global_pages_only(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    uint32_t jumps;

    (void)state;
    rig_map(r, LA, GPA, 12, P | W, NULL);
    rig_map(r, LA + 0x1000, GPA + 0x1000, 12, P | W | G, NULL);
    load(c, LA);
    load(c, LA + 0x1000);
    jumps = r->jumps[0];
    tlb_flush_local(c);
    assert_false(cached(c, LA));
    assert_true(cached(c, LA + 0x1000));
    assert_true(r->jumps[0] > jumps);
    tlb_flush(c);
    assert_false(cached(c, LA + 0x1000));
    rig_destroy(r);
}

static void bad_84_a_flush_finds_everything_however_much_was_filled(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);

    (void)state;
    for (uint32_t filled = 1; filled <= 512; filled += 73) {
        for (uint32_t i = 0; i < 512; i++)
            rig_map(r, LA + i * PAGE_SIZE, GPA, 12, P | (i % 7 == 3 ? G : 0), NULL);
        for (uint32_t i = 0; i < filled; i++)
            load(c, LA + i * PAGE_SIZE);
        tlb_flush_local(c);
        for (uint32_t i = 0; i < 512; i++)
            assert_int_equal(cached(c, LA + i * PAGE_SIZE), i < filled && i % 7 == 3);
        tlb_flush(c);
        for (uint32_t i = 0; i < 512; i++)
            assert_false(cached(c, LA + i * PAGE_SIZE));
    }
    rig_destroy(r);
}

static void bad_84_an_entry_that_was_global_goes_when_it_is_no_longer(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);

    (void)state;
    rig_map(r, LA, GPA, 12, P | G, NULL);
    load(c, LA);
    rig_map(r, LA, GPA, 12, P, NULL);
    tlb_flush_page(c, LA);
    load(c, LA);
    tlb_flush_local(c);
    assert_false(cached(c, LA));
    rig_destroy(r);
}

static void bad_83_a_split_page_is_seen_after_invlpg_at_any_of_its_addresses(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    uint64_t value;

    (void)state;
    rig_poke(r, 0x800000 + 0x5000, 0x11, 1);
    rig_poke(r, 0xa00000, 0x22, 1);
    rig_map(r, LA, 0x800000, 21, P | W, NULL);
    load(c, LA + 0x5000);
    load(c, LA + 0x9000);
    load(c, LA + 0x200000 - 1);
    /* Split: without INVLPG the old translation may go on, as it does here. */
    rig_map(r, LA + 0x5000, 0xa00000, 12, P | W, NULL);
    assert_true(cached(c, LA + 0x5000));
    /* INVLPG of one address drops all parts of the large page. */
    tlb_flush_page(c, LA + 0x1000);
    assert_false(cached(c, LA + 0x5000));
    assert_false(cached(c, LA + 0x9000));
    assert_false(cached(c, LA + 0x200000 - 1));
    assert_int_equal(rig_load(c, LA + 0x5000, 1, &value), -1);
    assert_int_equal(value, 0x22);
    rig_destroy(r);
}

static void invlpg_drops_global_pages_and_no_others(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);

    (void)state;
    rig_map(r, LA, GPA, 12, P | G, NULL);
    rig_map(r, LA + 0x1000, GPA, 12, P, NULL);
    load(c, LA);
    load(c, LA + 0x1000);
    tlb_flush_page(c, LA + 0x123);
    assert_false(cached(c, LA));
    assert_true(cached(c, LA + 0x1000));
    rig_destroy(r);
}

static void a_page_fault_drops_what_was_cached_for_the_page(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);

    (void)state;
    rig_map(r, LA, GPA, 12, P, NULL);
    load(c, LA);
    assert_int_equal(rig_store(c, LA, 1, 1), EXC_PF);
    assert_int_equal(c->event.error, 3);
    assert_false(cached(c, LA));
    rig_destroy(r);
}

static void kinds_of_access_have_tags_of_their_own(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    struct call fetch = {.kind = FETCH, .la = LA};
    uint64_t value;

    (void)state;
    c->cr4 |= CR4_SMAP;
    rig_map(r, LA, GPA, 12, P | W | U | D, NULL);
    assert_int_equal(rig_load(c, LA, 1, &value), EXC_PF);
    c->rflags |= FLAG_AC;
    load(c, LA);
    assert_true(entry(c, TLB_SUPERVISOR_AC, LA)->wtag == LA);
    assert_false(cached(c, LA));
    /* A supervisor's fetch from a user page is allowed without SMEP, but no read comes of it. */
    c->rflags &= ~(uint64_t)FLAG_AC;
    assert_int_equal(rig_call(c, &fetch), -1);
    assert_int_equal(fetch.value, GPA);
    assert_true(entry(c, TLB_SUPERVISOR, LA)->xtag == LA);
    assert_false(cached(c, LA));
    c->cpl = 3;
    load(c, LA);
    assert_true(entry(c, TLB_USER, LA)->rtag == LA);
    rig_destroy(r);
}

/* Goes to a PCID as MOV to CR3 does. */
static void go(struct cpu *c, uint32_t pcid, bool keep)
{
    tlb_switch(c, pcid, keep);
    c->cr3 = (c->cr3 & ~0xfffull) | pcid;
}

static bool user_cached(const struct cpu *c, uint64_t la)
{
    return tlb_hit(entry(c, TLB_USER + c->space, la)->rtag, la, 1);
}

static void bad_84_user_pages_of_some_pcids_are_kept(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);

    (void)state;
    c->cr4 |= CR4_PCIDE;
    c->cpl = 3;
    rig_map(r, LA, GPA, 12, P | U, NULL);
    for (uint32_t pcid = 1; pcid <= SPACES; pcid++) {
        go(c, pcid, true);
        assert_false(user_cached(c, LA));
        load(c, LA);
        assert_true(user_cached(c, LA));
    }
    go(c, 1, true);
    assert_true(user_cached(c, LA));
    assert_ptr_equal(c->tlb, &c->tlbs[TLB_USER + c->space]);
    /* One PCID is flushed: without bit 63, or by INVPCID. */
    go(c, 2, false);
    assert_false(user_cached(c, LA));
    tlb_flush_pcid(c, 3);
    go(c, 3, true);
    assert_false(user_cached(c, LA));
    go(c, 4, true);
    assert_true(user_cached(c, LA));
    tlb_flush_pcid(c, 4);
    assert_false(user_cached(c, LA));
    /* INVLPG is for all of them here, and for one address. */
    go(c, 1, true);
    assert_true(user_cached(c, LA));
    tlb_flush_page(c, LA);
    assert_false(user_cached(c, LA));
    go(c, 5, true);
    assert_false(user_cached(c, LA));
    rig_destroy(r);
}

static void bad_84_a_pcid_that_was_given_up_or_flushed_begins_empty(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);

    (void)state;
    c->cr4 |= CR4_PCIDE;
    c->cpl = 3;
    rig_map(r, LA, GPA, 12, P | U, NULL);
    go(c, 1, false);
    load(c, LA);
    for (uint32_t pcid = 2; pcid <= SPACES + 1; pcid++)
        go(c, pcid, true);
    go(c, 1, true);
    assert_false(user_cached(c, LA));
    for (uint32_t kind = 0; kind < 2; kind++) {
        load(c, LA);
        go(c, 2, true);
        (kind ? tlb_flush : tlb_flush_local)(c);
        go(c, 1, true);
        assert_false(user_cached(c, LA));
    }
    rig_destroy(r);
}

/* The jump cache's keys: no two contexts have one number, nor has one that was flushed its old one,
 * though there are only so many; when they begin anew the jump cache is forgotten. */
static void bad_84_a_flushed_pcid_has_another_number(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);

    (void)state;
    c->cr4 |= CR4_PCIDE;
    c->cpl = 3;
    cpu_mode_changed(c);
    for (uint32_t round = 0; round < 2000; round++) {
        uint64_t key = c->mode_key;
        uint32_t jumps = r->jumps[0];

        if (round % 3 == 0)
            go(c, round % 7, false);
        else
            tlb_flush_pcid(c, (uint32_t)c->cr3 & 0xfff);
        assert_true(c->mode_key != key || r->jumps[0] != jumps);
        assert_int_equal(c->mode_key, cpu_mode_key(c, c->mode));
        for (uint32_t i = 0; i < SPACES; i++)
            for (uint32_t k = 0; k < SPACES; k++)
                assert_true(i == k || !c->spaces[k].used || (!c->spaces[i].used && i != c->space) ||
                            c->spaces[i].id != c->spaces[k].id);
    }
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_does_not_give_the_right_to_write_before_d_is_set),
        cmocka_unit_test(a_page_with_code_is_written_by_the_slow_path_until_the_code_has_gone),
        cmocka_unit_test(bad_rom_devices_and_the_apic_page_never_get_write_tags),
        cmocka_unit_test(bad_84_a_new_cr3_keeps_global_pages_only),
        cmocka_unit_test(bad_84_a_flush_finds_everything_however_much_was_filled),
        cmocka_unit_test(bad_84_an_entry_that_was_global_goes_when_it_is_no_longer),
        cmocka_unit_test(bad_83_a_split_page_is_seen_after_invlpg_at_any_of_its_addresses),
        cmocka_unit_test(invlpg_drops_global_pages_and_no_others),
        cmocka_unit_test(a_page_fault_drops_what_was_cached_for_the_page),
        cmocka_unit_test(kinds_of_access_have_tags_of_their_own),
        cmocka_unit_test(bad_84_user_pages_of_some_pcids_are_kept),
        cmocka_unit_test(bad_84_a_pcid_that_was_given_up_or_flushed_begins_empty),
        cmocka_unit_test(bad_84_a_flushed_pcid_has_another_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
