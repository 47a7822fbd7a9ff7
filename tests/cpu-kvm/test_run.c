/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/test_run.c - guests of a few instructions: what reaches the bus, and how vcpu_run() ends.
 *
 * The guests are few and short enough for a KVM that emulates ring 0. It does not prove that a
 * kernel runs.
 */
#include "rig.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* tests/hvf runs these under another backend, which has another sentence. */
#ifndef OVERLAP_TEXT
#define OVERLAP_ERROR EEXIST
#define OVERLAP_TEXT "KVM refuses memory slot 1, 0x1000 bytes at 0x1000: File exists"
#endif

#define LOAD_REAL(r, ...)                                                                          \
    do {                                                                                           \
        static const uint8_t code[] = {__VA_ARGS__};                                               \
        rig_load_real(r, code, sizeof(code));                                                      \
    } while (0)
#define LOAD_LONG(r, ...)                                                                          \
    do {                                                                                           \
        static const uint8_t code[] = {__VA_ARGS__};                                               \
        rig_load_long(r, code, sizeof(code));                                                      \
    } while (0)
#define DONE 0xe6, PORT_DONE /* out %al,$0xf4 */

static struct bp_x86_gpr gpr_of(struct rig *r)
{
    struct bp_x86_gpr gpr;

    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    return gpr;
}

static void port_writes_of_every_width_reach_the_bus(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_REAL(r, 0x66, 0xb8, 0x44, 0x33, 0x22, 0x11, /* mov $0x11223344,%eax */
              0xee, 0xef, 0x66, 0xef,                /* out %al,%dx; %ax; %eax */
              DONE);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->access_count, 3);
    rig_expect(r, 0, false, true, 0x80, 0x44, 1);
    rig_expect(r, 1, false, true, 0x80, 0x3344, 2);
    rig_expect(r, 2, false, true, 0x80, 0x11223344, 4);
    rig_free(r);
}

static void port_reads_of_every_width_change_no_more_than_they_should(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_REAL(r, 0x66, 0xb8, 0x44, 0x33, 0x22, 0x11, /* mov $0x11223344,%eax */
              0xec, 0x66, 0x89, 0xc3,                /* in %dx,%al; mov %eax,%ebx */
              0xed, 0x66, 0x89, 0xc6,                /* in %dx,%ax; mov %eax,%esi */
              0x66, 0xed, DONE);                     /* in %dx,%eax */
    r->answer = 0xaabbccdd;
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(gpr_of(r).rbx, 0x112233dd);
    assert_int_equal(gpr_of(r).rsi, 0x1122ccde);
    assert_int_equal(gpr_of(r).rax, 0xaabbccdf);
    rig_free(r);
}

static void rep_outs_writes_every_element_in_order(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_REAL(r, 0x31, 0xc0, 0x8e, 0xd8, /* xor %ax,%ax; mov %ax,%ds */
              0xfc, 0xf3, 0x6e,          /* cld; rep outsb */
              0xb9, 0x02, 0x00,          /* mov $2,%cx */
              0xf3, 0x6f, DONE);         /* rep outsw */
    memcpy(r->ram + 0x2000, "abcdEFGH", 8);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->access_count, 6);
    for (unsigned i = 0; i < 4; i++)
        rig_expect(r, i, false, true, 0x80, 'a' + i, 1);
    rig_expect(r, 4, false, true, 0x80, 'E' | 'F' << 8, 2);
    rig_expect(r, 5, false, true, 0x80, 'G' | 'H' << 8, 2);
    rig_free(r);
}

static void rep_ins_fills_memory_in_order(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_REAL(r, 0x31, 0xc0, 0x8e, 0xc0, /* xor %ax,%ax; mov %ax,%es */
              0xbf, 0x00, 0x20,          /* mov $0x2000,%di */
              0xfc, 0xf3, 0x6c,          /* cld; rep insb */
              0xb9, 0x02, 0x00,          /* mov $2,%cx */
              0x66, 0xf3, 0x6d, DONE);   /* rep insl */
    r->answer = 0x31;
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->access_count, 6);
    assert_memory_equal(r->ram + 0x2000, "\x31\x32\x33\x34\x35\0\0\0\x36\0\0\0", 12);
    rig_free(r);
}

static void memory_writes_of_every_width_reach_the_bus(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_LONG(r, 0x48, 0xb8, 8, 7, 6, 5, 4, 3, 2, 1, /* mov $0x0102030405060708,%rax */
              0x88, 0x07, 0x66, 0x89, 0x07,          /* mov %al,(%rdi); %ax */
              0x89, 0x07, 0x48, 0x89, 0x07,          /* %eax; %rax */
              DONE);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->access_count, 4);
    rig_expect(r, 0, true, true, LONG_MMIO, 0x08, 1);
    rig_expect(r, 1, true, true, LONG_MMIO, 0x0708, 2);
    rig_expect(r, 2, true, true, LONG_MMIO, 0x05060708, 4);
    rig_expect(r, 3, true, true, LONG_MMIO, 0x0102030405060708, 8);
    rig_free(r);
}

static void memory_reads_of_every_width_come_from_the_bus(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_LONG(r, 0x31, 0xc0, 0x31, 0xdb,             /* xor %eax,%eax; xor %ebx,%ebx */
              0x8a, 0x07, 0x66, 0x8b, 0x5f, 0x02,    /* mov (%rdi),%al; mov 2(%rdi),%bx */
              0x8b, 0x4f, 0x04, 0x48, 0x8b, 0x57, 8, /* mov 4(%rdi),%ecx; mov 8(%rdi),%rdx */
              DONE);
    r->answer = 0x1122334455667788;
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(gpr_of(r).rax, 0x88);
    assert_int_equal(gpr_of(r).rbx, 0x7789);
    assert_int_equal(gpr_of(r).rcx, 0x5566778a);
    assert_int_equal(gpr_of(r).rdx, 0x112233445566778b);
    rig_free(r);
}

static void a_write_across_pages_arrives_complete(void **state)
{
    struct rig *r = rig_new(1);
    uint8_t got[8] = {0};
    uint32_t bytes = 0;

    (void)state;
    LOAD_LONG(r, 0x48, 0xb8, 8, 7, 6, 5, 4, 3, 2, 1,           /* mov $0x0102030405060708,%rax */
              0x48, 0x89, 0x87, 0xfd, 0x0f, 0x00, 0x00, DONE); /* mov %rax,0xffd(%rdi) */
    rig_run(r, BP_STOP_KICKED);
    for (unsigned i = 0; i < r->access_count; i++) {
        uint64_t at = r->accesses[i].address - (LONG_MMIO + 0xffd);

        assert_true(at + r->accesses[i].width <= sizeof(got));
        memcpy(got + at, &r->accesses[i].value, r->accesses[i].width);
        bytes += r->accesses[i].width;
    }
    assert_int_equal(bytes, 8);
    assert_memory_equal(got, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
    rig_free(r);
}

static void an_unaligned_read_takes_its_bytes(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_LONG(r, 0x8b, 0x47, 0x03, DONE); /* mov 3(%rdi),%eax */
    r->answer = 0xcafef00d;
    rig_run(r, BP_STOP_KICKED);
    rig_expect(r, 0, true, false, LONG_MMIO + 3, 0xcafef00d, 4);
    assert_int_equal(gpr_of(r).rax, 0xcafef00d);
    rig_free(r);
}

static void writes_to_readonly_memory_go_to_the_bus(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_mem_slot rom = {.size = sizeof(rom),
                              .index = 1,
                              .flags = BP_RAM_READONLY,
                              .gpa = REAL_MMIO,
                              .length = 4096};

    (void)state;
    rom.host = r->ram + 0x10000;
    memcpy(rom.host, "ROM", 3);
    assert_int_equal(r->ops->mem_set(r->vm, &rom), 0);
    LOAD_REAL(r, 0xb0, 0x55, 0xa2, 0, 0, /* mov $0x55,%al; mov %al,0 */
              0xa0, 1, 0, DONE);         /* mov 1,%al */
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->access_count, 1);
    rig_expect(r, 0, true, true, REAL_MMIO, 0x55, 1);
    assert_int_equal(gpr_of(r).rax & 0xff, 'O');
    assert_memory_equal(rom.host, "ROM", 3);
    rig_free(r);
}

static void a_slot_can_be_replaced_and_removed(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_mem_slot slot = {.size = sizeof(slot), .index = 9, .gpa = REAL_MMIO, .length = 8192};

    (void)state;
    slot.host = r->ram + 0x10000;
    slot.host[0] = 1;
    assert_int_equal(r->ops->mem_set(r->vm, &slot), 0);
    slot.host = r->ram + 0x20000;
    slot.host[0] = 2;
    slot.length = 4096;
    assert_int_equal(r->ops->mem_set(r->vm, &slot), 0);
    LOAD_REAL(r, 0xa0, 0, 0, DONE); /* mov 0,%al */
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(gpr_of(r).rax & 0xff, 2);
    slot.length = 0;
    assert_int_equal(r->ops->mem_set(r->vm, &slot), 0);
    assert_int_equal(r->ops->mem_set(r->vm, &slot), 0); /* twice is once */
    LOAD_REAL(r, 0xa0, 0, 0, DONE);
    r->answer = 3;
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(gpr_of(r).rax & 0xff, 3);
    rig_free(r);
}

static void slots_over_each_other_are_refused_with_a_sentence(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_mem_slot slot = {.size = sizeof(slot), .index = 1, .gpa = 0x1000, .length = 4096};

    (void)state;
    slot.host = r->ram;
    assert_int_equal(r->ops->mem_set(r->vm, &slot), -OVERLAP_ERROR);
    assert_string_equal(rig_failure(), OVERLAP_TEXT);
    rig_free(r);
}

/* ---- the end of a run ----------------------------------------------------------------------- */

static void a_kick_before_the_run_is_not_lost(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_REAL(r, 0xeb, 0xfe); /* jmp . */
    r->ops->vcpu_kick(r->vcpus[0]);
    r->ops->vcpu_kick(r->vcpus[0]);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(gpr_of(r).rip, RIG_CODE_AT);
    rig_free(r);
}

static void *kick_soon(void *arg)
{
    struct rig *r = arg;

    usleep(10000);
    r->ops->vcpu_kick(r->vcpus[0]);
    return NULL;
}

static void a_kick_ends_a_guest_that_spins(void **state)
{
    struct rig *r = rig_new(1);
    pthread_t thread;

    (void)state;
    LOAD_REAL(r, 0xeb, 0xfe);
    assert_int_equal(pthread_create(&thread, NULL, kick_soon, r), 0);
    rig_run(r, BP_STOP_KICKED);
    pthread_join(thread, NULL);
    rig_free(r);
}

static void a_kick_ends_a_guest_that_halts_for_ever(void **state)
{
    struct rig *r = rig_new(1);
    pthread_t thread;

    (void)state;
    LOAD_REAL(r, 0xfa, 0xf4, 0xeb, 0xfd); /* cli; hlt; jmp */
    assert_int_equal(pthread_create(&thread, NULL, kick_soon, r), 0);
    rig_run(r, BP_STOP_KICKED);
    pthread_join(thread, NULL);
    rig_free(r);
}

static void kick_during_read(struct rig *r, const struct access *a)
{
    (void)a;
    r->ops->vcpu_kick(r->vcpus[0]);
}

static void a_kick_during_an_access_leaves_a_finished_instruction(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_LONG(r, 0x8b, 0x07, 0xeb, 0xfe); /* mov (%rdi),%eax; jmp . */
    r->answer = 0x600d;
    r->on_access = kick_during_read;
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->access_count, 1);
    assert_int_equal(gpr_of(r).rax, 0x600d);
    assert_int_equal(gpr_of(r).rip, RIG_CODE_AT + 2);
    rig_free(r);
}

#define STRESS_KICKS 2000u

struct stress {
    struct rig *rig;
    uint32_t returns; /* of vcpu_run(), counted by the runner */
    uint32_t stop;
};

/* Kicks, and waits for the return that answers it: a kick that is lost hangs until the alarm. */
static void *kick_and_wait(void *arg)
{
    struct stress *s = arg;

    for (uint32_t i = 0; i < STRESS_KICKS; i++) {
        uint32_t before = __atomic_load_n(&s->returns, __ATOMIC_SEQ_CST);

        s->rig->ops->vcpu_kick(s->rig->vcpus[0]);
        while (__atomic_load_n(&s->returns, __ATOMIC_SEQ_CST) == before)
            sched_yield();
        /* On a host of one slow processor all of them take minutes: what must not happen is that
         * one hangs. */
        alarm(RIG_SECONDS);
    }
    __atomic_store_n(&s->stop, 1, __ATOMIC_SEQ_CST);
    s->rig->ops->vcpu_kick(s->rig->vcpus[0]);
    return NULL;
}

static void of_thousands_of_kicks_none_is_lost_and_none_kills(void **state)
{
    struct rig *r = rig_new(1);
    struct stress s = {.rig = r};
    pthread_t threads[2];

    (void)state;
    LOAD_REAL(r, 0xee, 0xeb, 0xfd); /* out %al,%dx; jmp: in and out of the guest all the time */
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, kick_and_wait, &s), 0);
    while (!__atomic_load_n(&s.stop, __ATOMIC_SEQ_CST)) {
        rig_run(r, BP_STOP_KICKED);
        __atomic_add_fetch(&s.returns, 1, __ATOMIC_SEQ_CST);
    }
    /* The other kicker waits for returns until it is through. */
    for (unsigned i = 0; i < 2; i++) {
        while (pthread_tryjoin_np(threads[i], NULL) != 0) {
            r->ops->vcpu_kick(r->vcpus[0]);
            rig_run(r, BP_STOP_KICKED);
            __atomic_add_fetch(&s.returns, 1, __ATOMIC_SEQ_CST);
        }
    }
    rig_free(r);
}

static void a_triple_fault_is_told(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_LONG(r, 0x0f, 0x0b); /* ud2, with zeroes for an IDT */
    rig_run(r, BP_STOP_TRIPLE_FAULT);
    rig_free(r);
}

static void reset_after_a_triple_fault_starts_over(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_gpr gpr;
    struct bp_x86_sys sys;

    (void)state;
    LOAD_LONG(r, 0x0f, 0x0b);
    rig_run(r, BP_STOP_TRIPLE_FAULT);
    assert_int_equal(r->ops->vcpu_reset(r->vcpus[0]), 0);
    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    rig_get(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    assert_int_equal(gpr.rip, 0xfff0);
    assert_int_equal(sys.cs.selector, 0xf000);
    assert_int_equal(sys.cs.base, 0xffff0000);
    assert_int_equal(sys.idt.limit, 0xffff);
    LOAD_REAL(r, 0xee, DONE);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->access_count, 1);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_writes_of_every_width_reach_the_bus),
        cmocka_unit_test(port_reads_of_every_width_change_no_more_than_they_should),
        cmocka_unit_test(rep_outs_writes_every_element_in_order),
        cmocka_unit_test(rep_ins_fills_memory_in_order),
        cmocka_unit_test(memory_writes_of_every_width_reach_the_bus),
        cmocka_unit_test(memory_reads_of_every_width_come_from_the_bus),
        cmocka_unit_test(a_write_across_pages_arrives_complete),
        cmocka_unit_test(an_unaligned_read_takes_its_bytes),
        cmocka_unit_test(writes_to_readonly_memory_go_to_the_bus),
        cmocka_unit_test(a_slot_can_be_replaced_and_removed),
        cmocka_unit_test(slots_over_each_other_are_refused_with_a_sentence),
        cmocka_unit_test(a_kick_before_the_run_is_not_lost),
        cmocka_unit_test(a_kick_ends_a_guest_that_spins),
        cmocka_unit_test(a_kick_ends_a_guest_that_halts_for_ever),
        cmocka_unit_test(a_kick_during_an_access_leaves_a_finished_instruction),
        cmocka_unit_test(of_thousands_of_kicks_none_is_lost_and_none_kills),
        cmocka_unit_test(a_triple_fault_is_told),
        cmocka_unit_test(reset_after_a_triple_fault_starts_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
