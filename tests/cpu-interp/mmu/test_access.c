/* SPDX-License-Identifier: MIT
 *
 * Slow paths of memory access: what crosses pages, what is no RAM, what is checked and in which
 * order.
 */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LA 0x400000u
#define GPA 0x456000u

/* Two pages whose second one is somewhere else. */
static struct cpu *two_pages(struct rig *r, uint64_t second_gpa, uint64_t second_flags)
{
    struct cpu *c = rig_paging(r, LONG);

    rig_map(r, LA, GPA, 12, P | W | U, NULL);
    rig_map(r, LA + 0x1000, second_gpa, 12, P | W | U, NULL);
    rig_poke(r, TABLE_PT + 8, second_gpa | second_flags, 8);
    return c;
}

static void an_access_across_pages_moves_each_byte_to_its_page(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = two_pages(r, 0x900000, P | W | U);
    uint64_t value;

    (void)state;
    for (uint32_t first = 1; first < 8; first++) {
        assert_int_equal(rig_store(c, LA + 0x1000 - first, 0x8877665544332211, 8), -1);
        assert_int_equal(rig_load(c, LA + 0x1000 - first, 8, &value), -1);
        assert_int_equal(value, 0x8877665544332211);
        assert_int_equal(r->ram[GPA + 0x1000 - first], 0x11);
        assert_int_equal(r->ram[0x900000 + 7 - first], 0x88);
        assert_int_equal(r->ram[GPA + 0x1000], 0);
    }
    rig_destroy(r);
}

static void bad_71_a_fault_in_the_second_page_moves_nothing_and_names_its_first_byte(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = two_pages(r, 0x900000, 0);
    uint8_t bytes[32] = {1, 2, 3};
    struct call call = {.la = LA + 0x1000 - 3, .bytes = bytes};
    uint64_t value;

    (void)state;
    for (uint32_t size = 4; size <= 8; size *= 2) {
        assert_int_equal(rig_load(c, LA + 0x1000 - 3, size, &value), EXC_PF);
        assert_int_equal(c->event.cr2, LA + 0x1000);
        assert_int_equal(c->event.error, 0);
        assert_int_equal(rig_store(c, LA + 0x1000 - 3, UINT64_MAX, size), EXC_PF);
        assert_int_equal(c->event.cr2, LA + 0x1000);
        assert_int_equal(c->event.error, 2);
    }
    for (call.size = 16; call.size <= 32; call.size *= 2) {
        call.kind = STORE_BYTES;
        assert_int_equal(rig_call(c, &call), EXC_PF);
        call.kind = LOAD_BYTES;
        assert_int_equal(rig_call(c, &call), EXC_PF);
        call.kind = RW;
        assert_int_equal(rig_call(c, &call), EXC_PF);
        call.kind = PROBE_WRITE;
        assert_int_equal(rig_call(c, &call), EXC_PF);
        assert_int_equal(c->event.error, 2);
        call.kind = PROBE_READ;
        assert_int_equal(rig_call(c, &call), EXC_PF);
        assert_int_equal(c->event.error, 0);
        assert_int_equal(c->event.cr2, LA + 0x1000);
        call.bytes = bytes;
    }
    assert_int_equal(rig_peek(r, GPA + 0x1000 - 3, 3), 0);
    rig_destroy(r);
}

static void bad_71_a_fault_in_the_first_page_names_the_address_itself(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = two_pages(r, 0x900000, 0);
    uint64_t value;

    (void)state;
    rig_poke(r, TABLE_PT, 0, 8);
    assert_int_equal(rig_load(c, LA + 0xffd, 8, &value), EXC_PF);
    assert_int_equal(c->event.cr2, LA + 0xffd);
    c->cpl = 3;
    assert_int_equal(rig_load(c, LA + 0x123, 8, &value), EXC_PF);
    assert_int_equal(c->event.cr2, LA + 0x123);
    assert_int_equal(c->event.error, 4);
    rig_destroy(r);
}

static void bad_71_a_read_only_second_page_takes_no_byte_of_a_store(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = two_pages(r, 0x900000, P | U);

    (void)state;
    assert_int_equal(rig_store(c, LA + 0xffe, UINT64_MAX, 4), EXC_PF);
    assert_int_equal(c->event.error, 3);
    assert_int_equal(c->event.cr2, LA + 0x1000);
    assert_int_equal(rig_peek(r, GPA + 0xffe, 2), 0);
    rig_destroy(r);
}

static void bad_66_an_access_from_ram_into_a_device_gives_each_its_bytes(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = two_pages(r, MMIO_BASE, P | W);
    uint64_t value;

    (void)state;
    assert_int_equal(rig_store(c, LA + 0xffd, 0x8877665544332211, 8), -1);
    assert_int_equal(rig_peek(r, GPA + 0xffd, 3), 0x332211);
    assert_int_equal(r->accesses, 1);
    assert_int_equal(r->access[0].gpa, MMIO_BASE);
    assert_int_equal(r->access[0].width, 5);
    assert_int_equal(r->access[0].value, 0x8877665544);
    assert_int_equal(rig_load(c, LA + 0xffd, 8, &value), -1);
    assert_int_equal(value, 0x8877665544332211);
    rig_destroy(r);
}

static void bad_66_read_modify_writes_get_no_pointer_to_what_is_not_plain_ram(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = two_pages(r, MMIO_BASE, P | W);
    struct call call = {.kind = RW, .la = LA + 0x10, .size = 8};

    (void)state;
    assert_int_equal(rig_call(c, &call), -1);
    assert_ptr_equal(call.bytes, r->ram + GPA + 0x10);
    call.la = LA + 0xffc; /* two pages */
    assert_int_equal(rig_call(c, &call), -1);
    assert_null(call.bytes);
    call.la = LA + 0x1000; /* a device */
    assert_int_equal(rig_call(c, &call), -1);
    assert_null(call.bytes);
    assert_int_equal(r->accesses, 0);
    *memory_code_word(memory_slot_at(&r->e, GPA), GPA) = 0x80000000;
    call.la = LA + 0x10; /* code */
    assert_int_equal(rig_call(c, &call), -1);
    assert_null(call.bytes);
    rig_poke(r, TABLE_PT + 8, ROM_BASE | P | W, 8);
    tlb_flush(c);
    call.la = LA + 0x1010;
    assert_int_equal(rig_call(c, &call), -1);
    assert_null(call.bytes);
    rig_destroy(r);
}

static void bad_66_runs_of_string_instructions_end_with_the_page(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = two_pages(r, 0x900000, P);
    struct call call = {.kind = RUN, .la = LA + 0xff0, .access = ACCESS_WRITE};

    (void)state;
    assert_int_equal(rig_call(c, &call), -1);
    assert_ptr_equal(call.bytes, r->ram + GPA + 0xff0);
    assert_int_equal(call.size, 16);
    call.la = LA + 0x1000;
    assert_int_equal(rig_call(c, &call), EXC_PF);
    assert_int_equal(c->event.cr2, LA + 0x1000);
    call.access = ACCESS_READ;
    assert_int_equal(rig_call(c, &call), -1);
    assert_ptr_equal(call.bytes, r->ram + 0x900000);
    assert_int_equal(call.size, 4096);
    rig_poke(r, TABLE_PT + 8, MMIO_BASE | P, 8);
    tlb_flush(c);
    assert_int_equal(rig_call(c, &call), -1);
    assert_null(call.bytes);
    assert_int_equal(r->accesses, 0);
    rig_destroy(r);
}

static void many_bytes_reach_a_device_in_aligned_steps(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = two_pages(r, MMIO_BASE, P | W);
    uint8_t from[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, to[16] = {0};
    struct call call = {.kind = STORE_BYTES, .la = LA + 0x1004, .size = 16, .bytes = from};

    (void)state;
    assert_int_equal(rig_call(c, &call), -1);
    assert_int_equal(r->accesses, 3);
    assert_int_equal(r->access[0].width, 4);
    assert_int_equal(r->access[1].width, 8);
    assert_int_equal(r->access[2].width, 4);
    call.kind = LOAD_BYTES;
    call.bytes = to;
    assert_int_equal(rig_call(c, &call), -1);
    assert_memory_equal(from, to, 16);
    rig_destroy(r);
}

static void bad_stores_to_rom_go_to_the_bus(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = two_pages(r, ROM_BASE, P | W);
    uint64_t value;

    (void)state;
    assert_int_equal(rig_store(c, LA + 0x1008, 0x1234, 2), -1);
    assert_int_equal(r->accesses, 1);
    assert_true(r->access[0].write);
    assert_int_equal(r->access[0].gpa, ROM_BASE + 8);
    assert_int_equal(rig_load(c, LA + 0x1008, 2, &value), -1);
    assert_int_equal(value, 0);
    rig_destroy(r);
}

static void bad_addresses_that_are_not_canonical_raise_gp_or_ss(void **state)
{
    static const uint64_t bad[] = {0x800000000000, 0x7ffffffffffd, 0xffff7fffffffffff};
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    struct uop u = {.seg = SEG_SS};
    struct call call = {.kind = LOAD, .size = 4, .u = &u};
    uint64_t value;

    (void)state;
    rig_map(r, 0x7ffffffff000, GPA, 12, P | W, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(rig_load(c, bad[i], 4, &value), EXC_GP);
        call.la = bad[i];
        assert_int_equal(rig_call(c, &call), EXC_SS);
        assert_int_equal(c->event.error, 0);
    }
    assert_int_equal(rig_load(c, 0x7ffffffffffc, 4, &value), -1);
    call.kind = FETCH;
    call.la = 0x800000000000;
    assert_int_equal(rig_call(c, &call), EXC_GP);
    rig_destroy(r);
}

static void linear_addresses_wrap_at_four_gigabytes_outside_64_bit_mode(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, PAE);
    uint64_t value;

    (void)state;
    rig_map(r, 0, 0x700000, 12, P | W, NULL);
    rig_map(r, 0xfffff000, 0x456000, 12, P | W, NULL);
    /* Both by the same table, so they differ in its index alone. */
    rig_poke(r, TABLE_PT, 0x700000 | P | W, 8);
    rig_poke(r, 0x456ffe, 0x2211, 2);
    rig_poke(r, 0x700000, 0x4433, 2);
    assert_int_equal(rig_load(c, 0xfffffffe, 4, &value), -1);
    assert_int_equal(value, 0x44332211);
    rig_poke(r, TABLE_PT, 0, 8);
    tlb_flush(c);
    assert_int_equal(rig_load(c, 0xfffffffe, 4, &value), EXC_PF);
    assert_int_equal(c->event.cr2, 0);
    rig_destroy(r);
}

static void misaligned_user_accesses_raise_ac_when_asked_for(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = two_pages(r, 0x900000, 0);
    uint64_t value;

    (void)state;
    c->slow = 1;
    c->cpl = 3;
    c->cr0 |= CR0_AM;
    c->rflags |= FLAG_AC;
    assert_int_equal(rig_load(c, LA + 2, 4, &value), EXC_AC);
    assert_int_equal(c->event.error, 0);
    assert_true(c->event.has_error);
    assert_int_equal(rig_store(c, LA + 0xfff, 0, 2), EXC_AC);
    assert_int_equal(rig_load(c, LA + 4, 4, &value), -1);
    /* Not for supervisors, not for what the processor does, not without AM. */
    c->cpl = 0;
    assert_int_equal(rig_load(c, LA + 2, 4, &value), -1);
    c->cpl = 3;
    c->cr0 &= ~(uint64_t)CR0_AM;
    assert_int_equal(rig_load(c, LA + 2, 4, &value), -1);
    rig_destroy(r);
}

static void data_breakpoints_are_noted_where_bytes_overlap(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = two_pages(r, 0x900000, P | W);
    uint64_t value;

    (void)state;
    c->slow = 1;
    c->dr[0] = LA + 0x104; /* writes, 4 bytes */
    c->dr[3] = LA + 0x208; /* accesses, 8 bytes */
    c->dr7 = 0x1 | 0x80 | 0xdu << 16 | (uint64_t)0xb << 28;
    assert_int_equal(rig_load(c, LA + 0x104, 4, &value), -1);
    assert_int_equal(rig_store(c, LA + 0x100, 0, 4), -1);
    assert_int_equal(rig_store(c, LA + 0x108, 0, 8), -1);
    assert_int_equal(c->pending_db, 0);
    assert_int_equal(c->pend & PEND_CHECK, 0);
    assert_int_equal(rig_store(c, LA + 0x107, 0, 1), -1);
    assert_int_equal(c->pending_db, 1);
    assert_true(c->pend & PEND_CHECK);
    assert_int_equal(rig_load(c, LA + 0x201, 8, &value), -1);
    assert_int_equal(c->pending_db, 9);
    /* A faulting access traps nothing. */
    c->pending_db = 0;
    c->dr[3] = LA + 0x2000;
    assert_int_equal(rig_load(c, LA + 0x2000, 8, &value), EXC_PF);
    assert_int_equal(c->pending_db, 0);
    rig_destroy(r);
}

static void the_processors_own_accesses_are_a_supervisors_at_any_cpl(void **state)
{
    struct rig *r = rig_create(1);
    struct cpu *c = rig_paging(r, LONG);
    struct call call = {.kind = LD_SYSTEM, .la = LA, .size = 8};

    (void)state;
    rig_map(r, LA, GPA, 12, P | W, NULL);
    rig_poke(r, GPA, 0x1122334455667788, 8);
    c->cpl = 3;
    assert_int_equal(rig_call(c, &call), -1);
    assert_int_equal(call.value, 0x1122334455667788);
    call.kind = LOAD;
    assert_int_equal(rig_call(c, &call), EXC_PF);
    /* SMAP counts, whatever EFLAGS.AC says. */
    rig_map(r, LA, GPA, 12, P | W | U, NULL);
    tlb_flush(c);
    c->cr4 |= CR4_SMAP;
    c->rflags |= FLAG_AC;
    c->cpl = 0;
    call.kind = ST_SYSTEM;
    assert_int_equal(rig_call(c, &call), EXC_PF);
    assert_int_equal(c->event.error, 3);
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_access_across_pages_moves_each_byte_to_its_page),
        cmocka_unit_test(bad_71_a_fault_in_the_second_page_moves_nothing_and_names_its_first_byte),
        cmocka_unit_test(bad_71_a_fault_in_the_first_page_names_the_address_itself),
        cmocka_unit_test(bad_71_a_read_only_second_page_takes_no_byte_of_a_store),
        cmocka_unit_test(bad_66_an_access_from_ram_into_a_device_gives_each_its_bytes),
        cmocka_unit_test(bad_66_read_modify_writes_get_no_pointer_to_what_is_not_plain_ram),
        cmocka_unit_test(bad_66_runs_of_string_instructions_end_with_the_page),
        cmocka_unit_test(many_bytes_reach_a_device_in_aligned_steps),
        cmocka_unit_test(bad_stores_to_rom_go_to_the_bus),
        cmocka_unit_test(bad_addresses_that_are_not_canonical_raise_gp_or_ss),
        cmocka_unit_test(linear_addresses_wrap_at_four_gigabytes_outside_64_bit_mode),
        cmocka_unit_test(misaligned_user_accesses_raise_ac_when_asked_for),
        cmocka_unit_test(data_breakpoints_are_noted_where_bytes_overlap),
        cmocka_unit_test(the_processors_own_accesses_are_a_supervisors_at_any_cpl),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
