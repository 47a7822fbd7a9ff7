/* SPDX-License-Identifier: MIT
 *
 * hvf/test_entry.c - the stand-in refuses what VM entry refuses: each rule of its checks is broken
 * once, from a state that it takes.
 *
 * Intel SDM 3C, 26.2.1 (controls: hv_vcpu_run() fails), 26.3.1 (guest state: exit reason
 * 80000021h).
 */
#include "bench.h"

struct rule {
    const char *why;
    struct setting set[4];
};

static void apply(const struct bench *b, const struct rule *rule)
{
    bench_write_valid(b->id);
    for (uint32_t i = 0; i < 4 && rule->set[i].field; i++)
        bench_write(b->id, rule->set[i].field, rule->set[i].value);
}

static void the_state_that_all_start_from_runs_to_its_hlt(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    assert_int_equal(hv_vcpu_run(b.id), HV_SUCCESS);
    assert_int_equal(bench_get(b.id, VMX_EXIT_REASON), EXIT_HLT);
    assert_int_equal(bench_get(b.id, VMX_EXIT_LENGTH), 1);
    assert_int_equal(bench_get(b.id, VMX_RIP), 0x1000);
    bench_tear_down(b);
}

#define EVENT(vector, type)                                                                        \
    {                                                                                              \
        VMX_ENTRY_INTERRUPTION, (vector) | (type) | INTERRUPTION_VALID                             \
    }

static void controls_that_the_processor_lacks_fail_the_entry(void **state)
{
    static const struct rule rules[] = {
        {"pin-based controls", {{VMX_PIN_CONTROLS, 0x3e}}},
        {"pin-based controls", {{VMX_PIN_CONTROLS, 0x7f}}},
        {"processor-based controls", {{VMX_PROC_CONTROLS, 0x94006170}}},
        {"processor-based controls", {{VMX_PROC_CONTROLS, 0x94006172 | PROC_TPR_SHADOW}}},
        {"secondary controls", {{VMX_PROC2_CONTROLS, PROC2_VPID}}},
        {"secondary controls", {{VMX_PROC2_CONTROLS, 0x4022}}},
        {"VM-exit controls", {{VMX_EXIT_CONTROLS, 0}}},
        {"VM-entry controls", {{VMX_ENTRY_CONTROLS, 0x11fa}}},
        {"NMI-window exiting needs virtual NMIs",
         {{VMX_PIN_CONTROLS, 0x1f}, {VMX_PROC_CONTROLS, 0x94006172 | PROC_NMI_WINDOW}}},
        {"interruption type", {EVENT(1, 0x100)}},
        {"interruption type", {EVENT(1, INTERRUPTION_OTHER)}},
        {"interruption information's reserved bits", {EVENT(32, 0x2000)}},
        {"NMI is vector 2", {EVENT(3, INTERRUPTION_NMI)}},
        {"exceptions are vectors below 32", {EVENT(32, INTERRUPTION_EXCEPTION)}},
        {"delivery of an error code", {EVENT(6, INTERRUPTION_EXCEPTION | INTERRUPTION_HAS_ERROR)}},
        {"delivery of an error code", {EVENT(13, INTERRUPTION_EXCEPTION | INTERRUPTION_HAS_ERROR)}},
        {"delivery of an error code", {EVENT(13, INTERRUPTION_EXCEPTION), {VMX_CR0, 0x31}}},
        {"error code's reserved bits",
         {EVENT(13, INTERRUPTION_EXCEPTION | INTERRUPTION_HAS_ERROR),
          {VMX_CR0, 0x31},
          {VMX_ENTRY_ERROR_CODE, 0x8000}}},
        {"instruction length", {EVENT(0x80, INTERRUPTION_SOFTWARE)}},
        {"instruction length", {EVENT(0x80, INTERRUPTION_SOFTWARE), {VMX_ENTRY_LENGTH, 16}}},
    };
    struct bench b = bench_set_up();

    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        apply(&b, &rules[i]);
        assert_int_equal(hv_vcpu_run(b.id), HV_ERROR);
        assert_string_equal(standin_why(), rules[i].why);
    }
    bench_tear_down(b);
}

/* Rights, base, limit and selector of a segment. */
#define RIGHTS(seg, value)                                                                         \
    {                                                                                              \
        VMX_ES_RIGHTS + 2 * (seg), value                                                           \
    }
#define BASE(seg, value)                                                                           \
    {                                                                                              \
        VMX_ES_BASE + 2 * (seg), value                                                             \
    }
#define LIMIT(seg, value)                                                                          \
    {                                                                                              \
        VMX_ES_LIMIT + 2 * (seg), value                                                            \
    }
#define SELECTOR(seg, value)                                                                       \
    {                                                                                              \
        VMX_ES_SELECTOR + 2 * (seg), value                                                         \
    }
#define LONG_ENTRY                                                                                 \
    {                                                                                              \
        VMX_ENTRY_CONTROLS, 0x11fb | ENTRY_GUEST_64                                                \
    }

static void expect_refusals(const struct rule *rules, size_t count)
{
    struct bench b = bench_set_up();

    for (size_t i = 0; i < count; i++) {
        apply(&b, &rules[i]);
        assert_int_equal(hv_vcpu_run(b.id), HV_SUCCESS);
        if (bench_get(b.id, VMX_EXIT_REASON) != (EXIT_INVALID_ENTRY | EXIT_INVALID_STATE))
            fail_msg("rule %zu was not enforced: %s", i, rules[i].why);
        assert_string_equal(standin_why(), rules[i].why);
        assert_int_equal(bench_get(b.id, VMX_RIP),
                         rules[i].set[0].field == VMX_RIP ? rules[i].set[0].value : 0x1000);
    }
    bench_tear_down(b);
}

static void control_registers_that_cannot_be_are_invalid_state(void **state)
{
    static const struct rule rules[] = {
        {"CR0's fixed bits", {{VMX_CR0, 0x10}}},
        {"CR0's fixed bits", {{VMX_PROC2_CONTROLS, PROC2_EPT | PROC2_VPID}}},
        {"CR0's reserved bits", {{VMX_CR0, 0x70}}},
        {"CR0.PG needs CR0.PE", {{VMX_CR0, 0x80000030}}},
        {"CR4.VMXE is fixed to 1", {{VMX_CR4, 0x20}}},
        {"CR4's reserved bits", {{VMX_CR4, 0x802000}}},
        {"IA-32e mode needs paging and PAE", {LONG_ENTRY}},
        {"IA-32e mode needs paging and PAE", {LONG_ENTRY, {VMX_CR0, 0x80000031}}},
        {"CR4.PCIDE needs IA-32e mode", {{VMX_CR4, 0x22000}}},
        {"CR3 beyond physical addresses", {{VMX_CR3, UINT64_C(1) << 46}}},
        {"DR7's upper half", {{VMX_DR7, UINT64_C(1) << 32}}},
        {"IA32_DEBUGCTL's reserved bits", {{VMX_DEBUGCTL, 4}}},
        {"SYSENTER's addresses", {{VMX_SYSENTER_ESP, UINT64_C(1) << 47}}},
        {"SYSENTER's addresses", {{VMX_SYSENTER_EIP, UINT64_C(1) << 47}}},
        {"IA32_PAT's types", {{VMX_PAT, 0x0207040600070406}}},
        {"IA32_EFER's reserved bits", {{VMX_EFER, 2}}},
        {"IA32_EFER.LMA and IA-32e mode", {{VMX_EFER, 0x400}}},
        {"IA32_EFER.LME and LMA", {{VMX_EFER, 0x100}, {VMX_CR0, 0x80000031}}},
        {"a PDPTE's reserved bits", {{VMX_PDPTE0, 3}, {VMX_CR0, 0x80000031}, {VMX_CR4, 0x2020}}},
    };

    (void)state;
    expect_refusals(rules, sizeof(rules) / sizeof(rules[0]));
}

static void segments_that_cannot_be_are_invalid_state(void **state)
{
    static const struct rule rules[] = {
        {"virtual-8086 segment base",
         {{VMX_RFLAGS, 0x20002}, {VMX_CR0, 0x31}, BASE(SEG_ES, 0x10), RIGHTS(SEG_ES, 0xf3)}},
        {"virtual-8086 segment limit",
         {{VMX_RFLAGS, 0x20002}, {VMX_CR0, 0x31}, LIMIT(SEG_ES, 0xfffff)}},
        {"virtual-8086 segment rights", {{VMX_RFLAGS, 0x20002}, {VMX_CR0, 0x31}}},
        {"base of FS or GS", {BASE(SEG_FS, UINT64_C(1) << 47)}},
        {"base of CS", {BASE(SEG_CS, UINT64_C(1) << 32)}},
        {"CS is unusable", {RIGHTS(SEG_CS, 0x1009b)}},
        {"base of SS, DS or ES", {BASE(SEG_DS, UINT64_C(1) << 32)}},
        {"type of CS", {RIGHTS(SEG_CS, 0x91)}},
        {"type of SS", {RIGHTS(SEG_SS, 0x91)}},
        {"type of a data segment", {RIGHTS(SEG_DS, 0x92)}},
        {"type of a data segment", {RIGHTS(SEG_ES, 0x99)}},
        {"a segment of the system", {RIGHTS(SEG_DS, 0x83)}},
        {"a segment that is not present", {RIGHTS(SEG_DS, 0x13)}},
        {"reserved bits of rights", {RIGHTS(SEG_DS, 0x193)}},
        {"granularity of a limit", {LIMIT(SEG_DS, 0x100000)}},
        {"granularity of a limit", {RIGHTS(SEG_DS, 0x8093), LIMIT(SEG_DS, 0xff000)}},
        {"DPL of CS", {RIGHTS(SEG_CS, 0xf3)}},
        {"DPL of CS and SS", {RIGHTS(SEG_CS, 0xfb)}},
        {"DPL of conforming CS", {RIGHTS(SEG_CS, 0xff)}},
        {"DPL of SS in real mode", {RIGHTS(SEG_CS, 0xfb), RIGHTS(SEG_SS, 0xf3)}},
        {"CS has both L and D",
         {LONG_ENTRY, {VMX_CR0, 0x80000031}, {VMX_CR4, 0x2020}, RIGHTS(SEG_CS, 0x609b)}},
        {"TR is in an LDT", {SELECTOR(SEG_TR, 4)}},
        {"type of TR", {RIGHTS(SEG_TR, 0x89)}},
        {"rights of TR", {RIGHTS(SEG_TR, 0x9b)}},
        {"rights of TR", {RIGHTS(SEG_TR, 0x0b)}},
        {"rights of TR", {RIGHTS(SEG_TR, 0x1008b)}},
        {"granularity of TR", {LIMIT(SEG_TR, 0x100000)}},
        {"base of TR", {BASE(SEG_TR, UINT64_C(1) << 47)}},
        {"LDTR is in an LDT", {SELECTOR(SEG_LDT, 4)}},
        {"type of LDTR", {RIGHTS(SEG_LDT, 0x81)}},
        {"rights of LDTR", {RIGHTS(SEG_LDT, 0x92)}},
        {"granularity of LDTR", {LIMIT(SEG_LDT, 0x100000)}},
        {"base of LDTR", {BASE(SEG_LDT, UINT64_C(1) << 47)}},
        {"base of a descriptor table", {{VMX_GDTR_BASE, UINT64_C(1) << 47}}},
        {"base of a descriptor table", {{VMX_IDTR_BASE, UINT64_C(1) << 47}}},
        {"limit of a descriptor table", {{VMX_GDTR_LIMIT, 0x10000}}},
        {"limit of a descriptor table", {{VMX_IDTR_LIMIT, 0x10000}}},
    };

    (void)state;
    expect_refusals(rules, sizeof(rules) / sizeof(rules[0]));
}

/* DPL and RPL count where guests are not unrestricted, and those need paging. */
static void privilege_of_segments_counts_for_restricted_guests(void **state)
{
    static const struct setting restricted[] = {{VMX_PROC2_CONTROLS, PROC2_EPT | PROC2_VPID},
                                                {VMX_CR0, 0x80000031}};
    struct bench b = bench_set_up();

    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        bench_write(b.id, restricted[i].field, restricted[i].value);
    bench_write(b.id, VMX_SS_SELECTOR, 3);
    assert_int_equal(hv_vcpu_run(b.id), HV_SUCCESS);
    assert_string_equal(standin_why(), "DPL of SS");
    bench_write(b.id, VMX_SS_SELECTOR, 0);
    bench_write(b.id, VMX_ES_SELECTOR, 3);
    assert_int_equal(hv_vcpu_run(b.id), HV_SUCCESS);
    assert_string_equal(standin_why(), "DPL of a data segment");
    bench_tear_down(b);
}

static void other_state_that_cannot_be_is_invalid(void **state)
{
    static const struct rule rules[] = {
        {"RIP", {{VMX_RIP, UINT64_C(1) << 32}}},
        {"RFLAGS' reserved bits", {{VMX_RFLAGS, 0}}},
        {"RFLAGS' reserved bits", {{VMX_RFLAGS, 0xa}}},
        {"an interrupt with RFLAGS.IF clear", {EVENT(32, INTERRUPTION_EXTERNAL)}},
        {"activity state", {{VMX_ACTIVITY, 1}}},
        {"interruptibility's reserved bits", {{VMX_INTERRUPTIBILITY, 0x10}}},
        {"blocking by both STI and MOV SS", {{VMX_INTERRUPTIBILITY, 3}, {VMX_RFLAGS, 0x202}}},
        {"blocking by STI with RFLAGS.IF clear", {{VMX_INTERRUPTIBILITY, BLOCKED_BY_STI}}},
        {"blocking by SMI", {{VMX_INTERRUPTIBILITY, BLOCKED_BY_SMI}}},
        {"an interrupt while they are blocked",
         {EVENT(32, INTERRUPTION_EXTERNAL),
          {VMX_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS},
          {VMX_RFLAGS, 0x202}}},
        {"an NMI while MOV SS blocks it",
         {EVENT(2, INTERRUPTION_NMI), {VMX_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS}}},
        {"an NMI while NMIs are blocked",
         {EVENT(2, INTERRUPTION_NMI), {VMX_INTERRUPTIBILITY, BLOCKED_BY_NMI}}},
        {"pending debug exceptions' reserved bits", {{VMX_PENDING_DEBUG, 0x10}}},
        {"pending single-step",
         {{VMX_PENDING_DEBUG, PENDING_DEBUG_STEP}, {VMX_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS}}},
        {"VMCS link pointer", {{VMX_LINK_POINTER, 0}}},
    };

    (void)state;
    expect_refusals(rules, sizeof(rules) / sizeof(rules[0]));
}

static void virtual_8086_mode_needs_protected_mode(void **state)
{
    struct bench b = bench_set_up();

    (void)state;
    for (uint32_t i = 0; i < 6; i++)
        bench_write(b.id, VMX_ES_RIGHTS + 2 * i, 0xf3);
    bench_write(b.id, VMX_RFLAGS, 0x20002);
    assert_int_equal(hv_vcpu_run(b.id), HV_SUCCESS);
    assert_int_equal(bench_get(b.id, VMX_EXIT_REASON), EXIT_INVALID_ENTRY | EXIT_INVALID_STATE);
    assert_string_equal(standin_why(), "RFLAGS.VM");
    bench_tear_down(b);
}

static void calls_of_another_thread_or_of_no_vm_are_refused(void **state)
{
    struct bench b = bench_set_up();
    uint64_t value;
    hv_vcpuid_t id;

    (void)state;
    assert_int_equal(hv_vm_create(HV_VM_DEFAULT), HV_BUSY);
    assert_int_equal(hv_vcpu_run(b.id + 1), HV_BAD_ARGUMENT);
    assert_int_equal(hv_vm_map(b.ram, 0, BENCH_RAM_BYTES, HV_MEMORY_READ), HV_ERROR);
    assert_int_equal(hv_vm_map(b.ram, 0x100001, 0x1000, HV_MEMORY_READ), HV_BAD_ARGUMENT);
    assert_int_equal(hv_vm_protect(0x100000, 0x1000, HV_MEMORY_READ), HV_BAD_ARGUMENT);
    assert_int_equal(hv_vm_unmap(0x1000, 0x1000), HV_BAD_ARGUMENT);
    assert_int_equal(hv_vmx_vcpu_read_vmcs(b.id, 0x6fff, &value), HV_BAD_ARGUMENT);
    assert_int_equal(hv_vmx_vcpu_write_vmcs(b.id, VMX_EXIT_REASON, 0), HV_BAD_ARGUMENT);
    assert_int_equal(hv_vcpu_write_register(b.id, HV_X86_XCR0, 4), HV_BAD_ARGUMENT);
    assert_int_equal(hv_vcpu_enable_native_msr(b.id, 0x1a0, true), HV_BAD_ARGUMENT);
    assert_int_equal(hv_vcpu_read_msr(b.id, 0xc0000082, &value), HV_BAD_ARGUMENT);
    bench_tear_down(b);
    assert_int_equal(hv_vcpu_create(&id, HV_VCPU_DEFAULT), HV_ERROR);
    assert_int_equal(hv_vm_destroy(), HV_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_that_all_start_from_runs_to_its_hlt),
        cmocka_unit_test(controls_that_the_processor_lacks_fail_the_entry),
        cmocka_unit_test(control_registers_that_cannot_be_are_invalid_state),
        cmocka_unit_test(segments_that_cannot_be_are_invalid_state),
        cmocka_unit_test(privilege_of_segments_counts_for_restricted_guests),
        cmocka_unit_test(other_state_that_cannot_be_is_invalid),
        cmocka_unit_test(virtual_8086_mode_needs_protected_mode),
        cmocka_unit_test(calls_of_another_thread_or_of_no_vm_are_refused),
    };

    return cmocka_run_group_tests_name("hvf_entry", tests, NULL, NULL);
}
