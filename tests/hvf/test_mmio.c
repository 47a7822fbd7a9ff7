/* SPDX-License-Identifier: MIT
 *
 * hvf/test_mmio.c - every instruction that mmio.c carries out, on a device: what reaches the bus,
 * and what registers and flags are afterwards; and what it refuses.
 *
 * RDI is at the device (LONG_MMIO), RSI at 0x2000, RCX 4, DX 0x80.
 */
#include "cpu-kvm/rig.h"

#include <errno.h>
#include <string.h>

#define LOAD_LONG(r, ...)                                                                          \
    do {                                                                                           \
        static const uint8_t code[] = {__VA_ARGS__};                                               \
        rig_load_long(r, code, sizeof(code));                                                      \
    } while (0)
#define DONE 0xe6, PORT_DONE
#define FLAGS 0x8d5u

static struct bp_x86_gpr gpr_of(struct rig *r)
{
    struct bp_x86_gpr gpr;

    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    return gpr;
}

/* One instruction, of up to 8 bytes, with RAX as given and the device answering `answer`. */
static struct bp_x86_gpr run_one(struct rig *r, const uint8_t *code, size_t length, uint64_t rax,
                                 uint64_t answer)
{
    uint8_t all[16];
    struct bp_x86_gpr gpr;

    memcpy(all, code, length);
    all[length] = 0xe6;
    all[length + 1] = PORT_DONE;
    rig_load_long(r, all, length + 2);
    gpr = gpr_of(r);
    gpr.rax = rax;
    gpr.rbx = UINT64_C(0x1122334455667788);
    rig_set(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    r->answer = answer;
    r->access_count = 0;
    rig_run(r, BP_STOP_KICKED);
    return gpr_of(r);
}

static void moves_zero_and_sign_extend(void **state)
{
    static const struct {
        uint8_t code[6];
        uint8_t length, width;
        uint64_t rax;
    } cases[] = {
        {{0x8a, 0x07}, 2, 1, UINT64_C(0xffffffffffffff81)},             /* mov (%rdi),%al */
        {{0x8a, 0x27}, 2, 1, UINT64_C(0xffffffffffff81ff)},             /* mov (%rdi),%ah */
        {{0x66, 0x8b, 0x07}, 3, 2, UINT64_C(0xffffffffffffa281)},       /* %ax */
        {{0x8b, 0x07}, 2, 4, 0xc4b3a281},                               /* %eax */
        {{0x48, 0x8b, 0x07}, 3, 8, UINT64_C(0x88776655c4b3a281)},       /* %rax */
        {{0x0f, 0xb6, 0x07}, 3, 1, 0x81},                               /* movzbl */
        {{0x48, 0x0f, 0xb7, 0x07}, 4, 2, 0xa281},                       /* movzwq */
        {{0x0f, 0xbe, 0x07}, 3, 1, 0xffffff81},                         /* movsbl */
        {{0x48, 0x0f, 0xbf, 0x07}, 4, 2, UINT64_C(0xffffffffffffa281)}, /* movswq */
        {{0x48, 0x63, 0x07}, 3, 4, UINT64_C(0xffffffffc4b3a281)},       /* movslq */
    };
    struct rig *r = rig_new(1);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bp_x86_gpr gpr =
            run_one(r, cases[i].code, cases[i].length, UINT64_MAX, UINT64_C(0x88776655c4b3a281));
        assert_int_equal(gpr.rax, cases[i].rax);
        assert_int_equal(r->access_count, 1);
        assert_int_equal(r->accesses[0].address, LONG_MMIO);
        assert_int_equal(r->accesses[0].width, cases[i].width);
    }
    rig_free(r);
}

static void arithmetic_with_a_device_writes_and_sets_flags(void **state)
{
    static const struct {
        uint8_t code[4];
        uint8_t length;
        bool writes;
        uint64_t rax, answer, written;
        uint32_t flags;
    } cases[] = {
        {{0x00, 0x07}, 2, true, 0x90, 0x90, 0x20, 0x801},          /* add %al: CF OF */
        {{0x01, 0x07}, 2, true, 1, 0xffffffff, 0, 0x55},           /* add: CF PF AF ZF */
        {{0x29, 0x07}, 2, true, 1, 0, 0xffffffff, 0x95},           /* sub: CF PF AF SF */
        {{0x21, 0x07}, 2, true, 0xf0, 0x3c, 0x30, 0x04},           /* and */
        {{0x09, 0x07}, 2, true, 0x80000000, 1, 0x80000001, 0x80},  /* or */
        {{0x31, 0x07}, 2, true, 5, 5, 0, 0x44},                    /* xor */
        {{0x39, 0x07}, 2, false, 2, 1, 0, 0x95},                   /* cmp %eax,(%rdi) */
        {{0x85, 0x07}, 2, false, 2, 1, 0, 0x44},                   /* test */
        {{0xf7, 0x17}, 2, true, 0, 0x0f, 0xfffffff0, 0},           /* not */
        {{0xf7, 0x1f}, 2, true, 0, 1, 0xffffffff, 0x95},           /* neg */
        {{0xff, 0x07}, 2, true, 0, 0x7fffffff, 0x80000000, 0x894}, /* inc: OF SF AF PF */
        {{0xff, 0x0f}, 2, true, 0, 1, 0, 0x44},                    /* dec */
        {{0xf0, 0x83, 0x0f, 0x10}, 4, true, 0, 1, 0x11, 0x04},     /* lock or $16 */
    };
    struct rig *r = rig_new(1);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bp_x86_gpr gpr =
            run_one(r, cases[i].code, cases[i].length, cases[i].rax, cases[i].answer);
        uint32_t width = cases[i].code[0] == 0 ? 1 : 4;

        assert_int_equal(gpr.rflags & FLAGS, cases[i].flags);
        assert_int_equal(r->access_count, cases[i].writes ? 2 : 1);
        if (cases[i].writes)
            rig_expect(r, 1, true, true, LONG_MMIO, cases[i].written, width);
        assert_int_equal(gpr.rax, cases[i].rax);
    }
    rig_free(r);
}

static void carries_go_into_adc_and_sbb(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_LONG(r, 0xf9, 0x83, 0x17, 0x01, /* stc; adcl $1,(%rdi) */
              0xf9, 0x83, 0x1f, 0x01,    /* stc; sbbl $1,(%rdi) */
              DONE);
    r->answer = 5;
    rig_run(r, BP_STOP_KICKED);
    rig_expect(r, 1, true, true, LONG_MMIO, 7, 4);
    rig_expect(r, 3, true, true, LONG_MMIO, 4, 4);
    rig_free(r);
}

static void exchanges_give_the_register_what_was_there(void **state)
{
    static const uint8_t xchg[] = {0x87, 0x07}, xadd[] = {0x0f, 0xc1, 0x07};
    static const uint8_t cmpxchg[] = {0x0f, 0xb1, 0x1f};
    struct rig *r = rig_new(1);
    struct bp_x86_gpr gpr;

    (void)state;
    assert_int_equal(run_one(r, xchg, 2, 0x77, 0x55).rax, 0x55);
    rig_expect(r, 1, true, true, LONG_MMIO, 0x77, 4);
    assert_int_equal(run_one(r, xadd, 3, 0x10, 0x55).rax, 0x55);
    rig_expect(r, 1, true, true, LONG_MMIO, 0x65, 4);
    gpr = run_one(r, cmpxchg, 3, 0x55, 0x55);
    assert_true(gpr.rflags & 0x40);
    rig_expect(r, 1, true, true, LONG_MMIO, 0x55667788, 4);
    gpr = run_one(r, cmpxchg, 3, 0x54, 0x55);
    assert_false(gpr.rflags & 0x40);
    assert_int_equal(gpr.rax, 0x55);
    rig_expect(r, 1, true, true, LONG_MMIO, 0x55, 4);
    rig_free(r);
}

static void bit_tests_reach_beyond_their_operand(void **state)
{
    static const uint8_t bt[] = {0x0f, 0xa3, 0x07}, bts[] = {0x0f, 0xba, 0x2f, 0x03};
    static const uint8_t btr[] = {0x0f, 0xb3, 0x07}, btc[] = {0x0f, 0xba, 0x3f, 0x03};
    struct rig *r = rig_new(1);

    (void)state;
    assert_true(run_one(r, bt, 3, 33, 2).rflags & 1);
    rig_expect(r, 0, true, false, LONG_MMIO + 4, 2, 4);
    assert_false(run_one(r, bts, 4, 0, 1).rflags & 1);
    rig_expect(r, 1, true, true, LONG_MMIO, 9, 4);
    assert_true(run_one(r, btr, 3, 64, 1).rflags & 1);
    rig_expect(r, 1, true, true, LONG_MMIO + 8, 0, 4);
    assert_true(run_one(r, btc, 4, 0, 8).rflags & 1);
    rig_expect(r, 1, true, true, LONG_MMIO, 0, 4);
    rig_free(r);
}

static void strings_move_between_memory_and_a_device(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_LONG(r, 0xfc, 0xf3, 0xa4,          /* cld; rep movsb: to the device */
              0xb9, 2, 0, 0, 0,             /* mov $2,%ecx */
              0x48, 0x87, 0xf7,             /* xchg %rsi,%rdi */
              0xf3, 0xa5,                   /* rep movsl: from the device */
              0x48, 0x89, 0xf7, 0xab,       /* mov %rsi,%rdi; stosl */
              0x48, 0x8d, 0x77, 0xfc, 0xac, /* lea -4(%rdi),%rsi; lodsb */
              DONE);
    memcpy(r->ram + 0x2000, "abcd", 4);
    r->answer = 0x31323334;
    rig_run(r, BP_STOP_KICKED);
    for (unsigned i = 0; i < 4; i++)
        rig_expect(r, i, true, true, LONG_MMIO + i, 'a' + i, 1);
    rig_expect(r, 4, true, false, LONG_MMIO + 4, 0x31323334, 4);
    rig_expect(r, 5, true, false, LONG_MMIO + 8, 0x31323335, 4);
    assert_memory_equal(r->ram + 0x2004,
                        "4321"
                        "5321",
                        8);
    assert_int_equal(r->accesses[6].address, LONG_MMIO + 12);
    assert_true(r->accesses[6].write);
    rig_expect(r, 7, true, false, LONG_MMIO + 12, 0x36, 1);
    assert_int_equal(gpr_of(r).rcx, 0);
    rig_free(r);
}

static void an_access_across_two_pages_is_split_at_the_page(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_LONG(r, 0x48, 0x8b, 0x87, 0xfc, 0x0f, 0, 0, /* mov 0xffc(%rdi),%rax */
              DONE);
    r->answer = 0x1111;
    rig_run(r, BP_STOP_KICKED);
    rig_expect(r, 0, true, false, LONG_MMIO + 0xffc, 0x1111, 4);
    rig_expect(r, 1, true, false, LONG_MMIO + 0x1000, 0x1112, 4);
    assert_int_equal(gpr_of(r).rax, UINT64_C(0x0000111200001111));
    rig_free(r);
}

static void a_long_repetition_sees_a_kick(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_LONG(r, 0xb9, 0xb8, 0x0b, 0, 0, /* mov $3000,%ecx */
              0xf3, 0xaa,                /* rep stosb */
              DONE);
    r->ops->vcpu_kick(r->vcpus[0]);
    rig_run(r, BP_STOP_KICKED);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(gpr_of(r).rcx, 0);
    assert_int_equal(gpr_of(r).rdi, LONG_MMIO + 3000);
    rig_free(r);
}

static void an_instruction_that_is_not_emulated_is_named(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_LONG(r, 0xff, 0x37, DONE); /* push (%rdi) */
    assert_int_equal(r->ops->vcpu_run(r->vcpus[0]), -EIO);
    assert_non_null(strstr(rig_failure(),
                           "vCPU 0 cannot go on: its instruction push accesses a device at "
                           "0x200000, and this backend does not emulate it (exit reason 0x30, "));
    LOAD_LONG(r, 0x0f, 0x6f, 0x07, DONE); /* movq (%rdi),%mm0 */
    assert_int_equal(r->ops->vcpu_run(r->vcpus[0]), -EIO);
    assert_non_null(strstr(rig_failure(), "its instruction movq accesses a device at 0x200000"));
    rig_free(r);
}

static void code_where_no_memory_is_ends_the_machine(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    LOAD_LONG(r, 0xff, 0xe7); /* jmp *%rdi */
    assert_int_equal(r->ops->vcpu_run(r->vcpus[0]), -EIO);
    assert_non_null(
        strstr(rig_failure(), "vCPU 0 cannot go on: it executes code where there is no memory"));
    rig_free(r);
}

static void page_tables_where_no_memory_is_end_the_machine(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_sys sys;

    (void)state;
    LOAD_LONG(r, DONE);
    rig_get(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    sys.cr3 = LONG_MMIO;
    rig_set(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    assert_int_equal(r->ops->vcpu_run(r->vcpus[0]), -EIO);
    assert_non_null(strstr(rig_failure(), "its page tables are where there is no memory to write"));
    rig_free(r);
}

static void a_frame_pushed_where_no_memory_is_ends_the_machine(void **state)
{
    struct rig *r = rig_new(1);
    const uint64_t gate[2] = {UINT64_C(0x00008e0000081000), 0};
    struct bp_x86_sys sys;
    struct bp_x86_gpr gpr;
    const uint64_t gdt[2] = {0, UINT64_C(0x00af9b000000ffff)};

    (void)state;
    LOAD_LONG(r, 0x0f, 0x0b); /* ud2 */
    memcpy(r->ram + 0x6060, gate, sizeof(gate));
    memcpy(r->ram + 0x6800, gdt, sizeof(gdt));
    rig_get(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    sys.idt = (struct bp_x86_table){.base = 0x6000, .limit = 0xff};
    sys.gdt = (struct bp_x86_table){.base = 0x6800, .limit = 15};
    rig_set(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    gpr = gpr_of(r);
    gpr.rsp = LONG_MMIO + 0x800;
    rig_set(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    assert_int_equal(r->ops->vcpu_run(r->vcpus[0]), -EIO);
    assert_non_null(strstr(
        rig_failure(),
        "vCPU 0 cannot go on: an exception or interrupt pushes its frame where no memory is"));
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_zero_and_sign_extend),
        cmocka_unit_test(arithmetic_with_a_device_writes_and_sets_flags),
        cmocka_unit_test(carries_go_into_adc_and_sbb),
        cmocka_unit_test(exchanges_give_the_register_what_was_there),
        cmocka_unit_test(bit_tests_reach_beyond_their_operand),
        cmocka_unit_test(strings_move_between_memory_and_a_device),
        cmocka_unit_test(an_access_across_two_pages_is_split_at_the_page),
        cmocka_unit_test(a_long_repetition_sees_a_kick),
        cmocka_unit_test(an_instruction_that_is_not_emulated_is_named),
        cmocka_unit_test(code_where_no_memory_is_ends_the_machine),
        cmocka_unit_test(page_tables_where_no_memory_is_end_the_machine),
        cmocka_unit_test(a_frame_pushed_where_no_memory_is_ends_the_machine),
    };

    return cmocka_run_group_tests_name("hvf_mmio", tests, NULL, NULL);
}
