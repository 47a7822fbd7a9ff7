/* SPDX-License-Identifier: MIT
 *
 * hvf/test_exits.c - what the stand-in's controls make exit, and what the exits tell.
 *
 * Intel SDM 3C, 24.6 (controls), 25.1 to 25.3, 26.6 (injection), 27.2. Code runs in real mode.
 */
#include "bench.h"

#include <string.h>

/* Puts code at RIP, and runs until something else than an interrupt of the host's exits. */
static uint64_t run(struct bench b)
{
    do
        assert_int_equal(hv_vcpu_run(b.id), HV_SUCCESS);
    while (bench_get(b.id, VMX_EXIT_REASON) == EXIT_EXTERNAL_INTERRUPT);
    return bench_get(b.id, VMX_EXIT_REASON);
}

#define CODE(b, ...)                                                                               \
    do {                                                                                           \
        static const uint8_t code[] = {__VA_ARGS__};                                               \
        bench_code(b, code, sizeof(code));                                                         \
    } while (0)

static uint64_t reg(struct bench b, hv_x86_reg_t name)
{
    uint64_t value = 0;

    assert_int_equal(hv_vcpu_read_register(b.id, name, &value), HV_SUCCESS);
    return value;
}

static void proc_control(struct bench b, uint32_t bit)
{
    bench_write(b.id, VMX_PROC_CONTROLS, bench_get(b.id, VMX_PROC_CONTROLS) | bit);
}

static void ports_tell_direction_width_and_kind(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    CODE(b, 0xe4, 0x71); /* in $0x71,%al */
    assert_int_equal(run(b), EXIT_IO);
    assert_int_equal(bench_get(b.id, VMX_EXIT_QUALIFICATION), 0x00710048);
    assert_int_equal(bench_get(b.id, VMX_EXIT_LENGTH), 2);
    CODE(b, 0x66, 0xef); /* out %eax,%dx */
    hv_vcpu_write_register(b.id, HV_X86_RDX, 0xcf8);
    assert_int_equal(run(b), EXIT_IO);
    assert_int_equal(bench_get(b.id, VMX_EXIT_QUALIFICATION), 0x0cf80003);
    CODE(b, 0xf3, 0x26, 0x6f); /* rep outsw %es: */
    hv_vcpu_write_register(b.id, HV_X86_RCX, 2);
    assert_int_equal(run(b), EXIT_IO);
    assert_int_equal(bench_get(b.id, VMX_EXIT_QUALIFICATION), 0x0cf80031);
    assert_int_equal(bench_get(b.id, VMX_EXIT_INSTRUCTION), SEG_ES << 15);
    assert_int_equal(bench_get(b.id, VMX_EXIT_LENGTH), 3);
    bench_tear_down(b);
}

static void cr0_is_read_by_mask_and_shadow_and_exits_by_them(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    bench_write(b.id, VMX_CR0_MASK, CR0_NE | CR0_CD);
    bench_write(b.id, VMX_CR0_SHADOW, CR0_CD);
    CODE(b, 0x0f, 0x20, 0xc0,    /* mov %cr0,%eax */
         0x0f, 0x01, 0xe3,       /* smsw %bx */
         0x66, 0x83, 0xc8, 0x08, /* or $8,%eax: TS, not masked */
         0x0f, 0x22, 0xc0,       /* mov %eax,%cr0 */
         0x0f, 0x06,             /* clts */
         0x66, 0x83, 0xc8, 0x20, /* or $0x20,%eax: NE, masked */
         0x0f, 0x22, 0xc0);      /* mov %eax,%cr0 */
    assert_int_equal(run(b), EXIT_CONTROL_REGISTER);
    assert_int_equal(bench_get(b.id, VMX_RIP), BENCH_CODE + 19);
    assert_int_equal(bench_get(b.id, VMX_EXIT_QUALIFICATION), 0);
    assert_int_equal(reg(b, HV_X86_RAX), CR0_CD | CR0_ET | 0x28);
    assert_int_equal(reg(b, HV_X86_RBX), CR0_ET);
    assert_int_equal(bench_get(b.id, VMX_CR0), 0x30);
    bench_tear_down(b);
}

static void cr8_and_cr3_exit_if_asked(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    CODE(b, 0x0f, 0x22, 0xd9); /* mov %ecx,%cr3 */
    proc_control(b, PROC_CR3_LOAD);
    assert_int_equal(run(b), EXIT_CONTROL_REGISTER);
    assert_int_equal(bench_get(b.id, VMX_EXIT_QUALIFICATION), 0x103);
    CODE(b, 0x0f, 0x20, 0xda); /* mov %cr3,%edx */
    proc_control(b, PROC_CR3_STORE);
    assert_int_equal(run(b), EXIT_CONTROL_REGISTER);
    assert_int_equal(bench_get(b.id, VMX_EXIT_QUALIFICATION), 0x213);
    CODE(b, 0xf0, 0x0f, 0x22, 0xc0); /* lock mov %eax,%cr0: AMD's, #UD here */
    bench_write(b.id, VMX_EXCEPTION_BITMAP, 1u << EXC_UD);
    assert_int_equal(run(b), EXIT_EXCEPTION);
    bench_tear_down(b);
}

static void other_instructions_exit_by_their_controls(void **state)
{
    static const struct {
        uint8_t code[3];
        uint32_t control, reason;
    } cases[] = {
        {{0x0f, 0x31, 0xf4}, PROC_RDTSC, EXIT_RDTSC},
        {{0x0f, 0x33, 0xf4}, PROC_RDPMC, EXIT_RDPMC},
        {{0x0f, 0x01, 0x3f}, PROC_INVLPG, EXIT_INVLPG},
        {{0xf3, 0x90, 0xf4}, PROC_PAUSE, EXIT_PAUSE},
        {{0x0f, 0x21, 0xc0}, PROC_MOV_DR, EXIT_DEBUG_REGISTER},
        {{0x0f, 0xa2, 0xf4}, 0, EXIT_CPUID},
        {{0x0f, 0x08, 0xf4}, 0, EXIT_INVD},
        {{0x0f, 0x01, 0xc1}, 0, EXIT_VMCALL},
        {{0x0f, 0x32, 0xf4}, 0, EXIT_RDMSR},
        {{0x0f, 0x30, 0xf4}, 0, EXIT_WRMSR},
    };
    struct bench b = bench_set_up();
    uint8_t bytes[4] = {[3] = 0xf4};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bench_write_valid(b.id);
        memcpy(bytes, cases[i].code, 3);
        bench_code(b, bytes, sizeof(bytes));
        if (cases[i].control && cases[i].reason != EXIT_RDPMC) {
            assert_int_equal(run(b), EXIT_HLT); /* without it: done */
            bench_write_valid(b.id);
        }
        proc_control(b, cases[i].control);
        assert_int_equal(run(b), cases[i].reason);
        assert_int_equal(bench_get(b.id, VMX_RIP), BENCH_CODE);
    }
    CODE(b, 0x0f, 0x09, 0xf4); /* wbinvd */
    bench_write_valid(b.id);
    assert_int_equal(run(b), EXIT_HLT);
    bench_write_valid(b.id);
    bench_write(b.id, VMX_PROC2_CONTROLS,
                PROC2_EPT | PROC2_VPID | PROC2_UNRESTRICTED | PROC2_WBINVD);
    assert_int_equal(run(b), EXIT_WBINVD);
    bench_tear_down(b);
}

static void an_msr_made_native_does_not_exit(void **state)
{
    struct bench b = bench_set_up();
    uint64_t value = 0;

    (void)state;
    assert_int_equal(hv_vcpu_enable_native_msr(b.id, 0xc0000082, true), HV_SUCCESS);
    hv_vcpu_write_register(b.id, HV_X86_RCX, 0xc0000082);
    hv_vcpu_write_register(b.id, HV_X86_RAX, 0x1234);
    CODE(b, 0x0f, 0x30, 0xf4); /* wrmsr; hlt */
    assert_int_equal(run(b), EXIT_HLT);
    assert_int_equal(hv_vcpu_read_msr(b.id, 0xc0000082, &value), HV_SUCCESS);
    assert_int_equal(value, 0x1234);
    bench_tear_down(b);
}

static void the_tsc_has_its_offset_if_asked(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    CODE(b, 0x0f, 0x31, 0xf4); /* rdtsc; hlt */
    bench_write(b.id, VMX_TSC_OFFSET, (UINT64_C(1) << 56) - __builtin_ia32_rdtsc());
    proc_control(b, PROC_TSC_OFFSET);
    assert_int_equal(run(b), EXIT_HLT);
    assert_int_equal(reg(b, HV_X86_RDX) >> 24, 1);
    bench_tear_down(b);
}

static void exceptions_of_the_bitmap_exit_and_others_are_delivered(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    CODE(b, 0x0f, 0x0b);     /* ud2 */
    b.ram[6 * 4 + 1] = 0x20; /* its vector: 0:2000h */
    b.ram[0x2000] = 0xf4;
    assert_int_equal(run(b), EXIT_HLT);
    assert_int_equal(bench_get(b.id, VMX_RIP), 0x2000);
    bench_write_valid(b.id);
    bench_write(b.id, VMX_EXCEPTION_BITMAP, 1u << EXC_UD);
    assert_int_equal(run(b), EXIT_EXCEPTION);
    assert_int_equal(bench_get(b.id, VMX_EXIT_INTERRUPTION),
                     EXC_UD | INTERRUPTION_EXCEPTION | INTERRUPTION_VALID);
    assert_int_equal(bench_get(b.id, VMX_RIP), BENCH_CODE);
    CODE(b, 0xcc); /* int3 */
    bench_write(b.id, VMX_EXCEPTION_BITMAP, 1u << EXC_BP);
    assert_int_equal(run(b), EXIT_EXCEPTION);
    assert_int_equal(bench_get(b.id, VMX_EXIT_INTERRUPTION),
                     EXC_BP | INTERRUPTION_SOFTWARE_EXCEPTION | INTERRUPTION_VALID);
    assert_int_equal(bench_get(b.id, VMX_EXIT_LENGTH), 1);
    bench_tear_down(b);
}

static void injected_events_are_delivered_and_not_intercepted(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    b.ram[0x80 * 4 + 1] = 0x20;
    b.ram[6 * 4 + 1] = 0x20;
    b.ram[0x2000] = 0xf4;
    bench_write(b.id, VMX_EXCEPTION_BITMAP, UINT32_MAX);
    bench_write(b.id, VMX_ENTRY_INTERRUPTION, EXC_UD | INTERRUPTION_EXCEPTION | INTERRUPTION_VALID);
    assert_int_equal(run(b), EXIT_HLT);
    assert_int_equal(bench_get(b.id, VMX_RIP), 0x2000);
    assert_int_equal(b.ram[0x7ffb] << 8 | b.ram[0x7ffa], BENCH_CODE);
    assert_int_equal(bench_get(b.id, VMX_ENTRY_INTERRUPTION) & INTERRUPTION_VALID, 0);
    /* INT 80h, of two bytes: RIP is pushed behind it. */
    bench_write_valid(b.id);
    bench_write(b.id, VMX_ENTRY_INTERRUPTION, 0x80 | INTERRUPTION_SOFTWARE | INTERRUPTION_VALID);
    bench_write(b.id, VMX_ENTRY_LENGTH, 2);
    assert_int_equal(run(b), EXIT_HLT);
    assert_int_equal(b.ram[0x7ffb] << 8 | b.ram[0x7ffa], BENCH_CODE + 2);
    bench_tear_down(b);
}

static void a_delivery_that_exits_is_told_for_another_time(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    b.ram[6 * 4 + 1] = 0x20;
    CODE(b, 0x0f, 0x0b);
    /* No memory for the frame. */
    bench_write(b.id, VMX_ES_BASE + 2 * SEG_SS, 0x100000);
    assert_int_equal(run(b), EXIT_EPT_VIOLATION);
    assert_int_equal(bench_get(b.id, VMX_IDT_VECTORING),
                     EXC_UD | INTERRUPTION_EXCEPTION | INTERRUPTION_VALID);
    assert_int_equal(bench_get(b.id, VMX_GUEST_PHYSICAL_ADDRESS), 0x107ffe);
    assert_int_equal(bench_get(b.id, VMX_EXIT_QUALIFICATION),
                     EPT_WRITE | EPT_LINEAR_VALID | EPT_LINEAR_FINAL);
    assert_int_equal(bench_get(b.id, VMX_RIP), BENCH_CODE);
    assert_int_equal(bench_get(b.id, VMX_RSP), 0x8000);
    bench_tear_down(b);
}

static void a_locked_access_that_exits_holds_nothing(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    CODE(b, 0xf0, 0x01, 0x07); /* lock add %ax,(%bx) */
    bench_write(b.id, VMX_ES_BASE + 2 * SEG_DS, 0x100000);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(run(b), EXIT_EPT_VIOLATION);
        assert_int_equal(bench_get(b.id, VMX_EXIT_QUALIFICATION) & 7, EPT_READ);
        assert_int_equal(bench_get(b.id, VMX_RIP), BENCH_CODE);
    }
    bench_tear_down(b);
}

static void a_page_without_write_permission_exits_for_stores_only(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    CODE(b, 0xa1, 0x00, 0x30, 0xa3, 0x00, 0x30, 0xf4); /* mov 0x3000,%ax; mov %ax,0x3000; hlt */
    assert_int_equal(hv_vm_protect(0x3000, 0x1000, HV_MEMORY_READ | HV_MEMORY_EXEC), HV_SUCCESS);
    assert_int_equal(run(b), EXIT_EPT_VIOLATION);
    assert_int_equal(bench_get(b.id, VMX_RIP), BENCH_CODE + 3);
    assert_int_equal(bench_get(b.id, VMX_EXIT_QUALIFICATION),
                     EPT_WRITE | EPT_READABLE | EPT_EXECUTABLE | EPT_LINEAR_VALID |
                         EPT_LINEAR_FINAL);
    assert_int_equal(
        hv_vm_protect(0x3000, 0x1000, HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC),
        HV_SUCCESS);
    assert_int_equal(run(b), EXIT_HLT);
    bench_tear_down(b);
}

static void windows_open_when_nothing_blocks(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    CODE(b, 0xfb, 0x90, 0x90, 0xf4); /* sti; nop; nop; hlt */
    proc_control(b, PROC_INTERRUPT_WINDOW);
    assert_int_equal(run(b), EXIT_INTERRUPT_WINDOW);
    assert_int_equal(bench_get(b.id, VMX_RIP), BENCH_CODE + 2); /* behind STI's shadow */
    bench_write_valid(b.id);
    CODE(b, 0x8e, 0xd0, 0x90, 0xf4); /* mov %ax,%ss; nop; hlt */
    bench_write(b.id, VMX_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS);
    proc_control(b, PROC_NMI_WINDOW);
    assert_int_equal(run(b), EXIT_NMI_WINDOW);
    assert_int_equal(bench_get(b.id, VMX_RIP), BENCH_CODE + 3);
    bench_write_valid(b.id);
    CODE(b, 0xf4);
    bench_write(b.id, VMX_INTERRUPTIBILITY, BLOCKED_BY_NMI);
    proc_control(b, PROC_NMI_WINDOW);
    assert_int_equal(run(b), EXIT_HLT);
    bench_tear_down(b);
}

static void an_exit_in_the_shadow_of_sti_tells_of_it(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    CODE(b, 0xfb, 0xf4); /* sti; hlt */
    assert_int_equal(run(b), EXIT_HLT);
    assert_int_equal(bench_get(b.id, VMX_INTERRUPTIBILITY), BLOCKED_BY_STI);
    bench_tear_down(b);
}

static void pending_debug_exceptions_come_first(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    bench_write(b.id, VMX_PENDING_DEBUG, PENDING_DEBUG_STEP);
    bench_write(b.id, VMX_EXCEPTION_BITMAP, 1u << EXC_DB);
    assert_int_equal(run(b), EXIT_EXCEPTION);
    assert_int_equal(bench_get(b.id, VMX_EXIT_QUALIFICATION), 0x4000);
    assert_int_equal(bench_get(b.id, VMX_PENDING_DEBUG), 0);
    bench_tear_down(b);
}

static void a_triple_fault_exits(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    CODE(b, 0x0f, 0x0b);
    bench_write(b.id, VMX_IDTR_LIMIT, 0);
    assert_int_equal(run(b), EXIT_TRIPLE_FAULT);
    bench_tear_down(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_tell_direction_width_and_kind),
        cmocka_unit_test(cr0_is_read_by_mask_and_shadow_and_exits_by_them),
        cmocka_unit_test(cr8_and_cr3_exit_if_asked),
        cmocka_unit_test(other_instructions_exit_by_their_controls),
        cmocka_unit_test(an_msr_made_native_does_not_exit),
        cmocka_unit_test(the_tsc_has_its_offset_if_asked),
        cmocka_unit_test(exceptions_of_the_bitmap_exit_and_others_are_delivered),
        cmocka_unit_test(injected_events_are_delivered_and_not_intercepted),
        cmocka_unit_test(a_delivery_that_exits_is_told_for_another_time),
        cmocka_unit_test(a_locked_access_that_exits_holds_nothing),
        cmocka_unit_test(a_page_without_write_permission_exits_for_stores_only),
        cmocka_unit_test(windows_open_when_nothing_blocks),
        cmocka_unit_test(an_exit_in_the_shadow_of_sti_tells_of_it),
        cmocka_unit_test(pending_debug_exceptions_come_first),
        cmocka_unit_test(a_triple_fault_exits),
    };

    return cmocka_run_group_tests_name("hvf_exits", tests, NULL, NULL);
}
