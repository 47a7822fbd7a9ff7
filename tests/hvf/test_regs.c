/* SPDX-License-Identifier: MIT
 *
 * hvf/test_regs.c - register sets, where cpu-hvf is not as others (cpu-kvm/test_sets.c): each comes
 * back as set, and is what the guest has;
 * sets that no processor can have are refused.
 */
#include "cpu-kvm/rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MSR_LSTAR 0xc0000082u

static int try_set(struct rig *r, const char *set, const void *regs, uint32_t size)
{
    rig_forget();
    return r->ops->regs_set(r->vcpus[0], set, regs, size);
}

static void flags_that_no_processor_has_are_refused(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_gpr in = {.rflags = 0x8002};

    (void)state;
    assert_int_equal(try_set(r, BP_X86_GPR, &in, sizeof(in)), -EINVAL);
    assert_string_equal(rig_failure(), "x86.gpr/1: RFLAGS has bits set that no processor has");
    rig_free(r);
}

static void sets_of_the_wrong_size_or_name_are_refused(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_gpr in = {.rflags = 2};

    (void)state;
    assert_int_equal(try_set(r, BP_X86_GPR, &in, sizeof(in) - 8), -EINVAL);
    assert_string_equal(rig_failure(), "x86.gpr/1 has 144 bytes, not 136");
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_CLOCK, &in, 8), -EINVAL);
    assert_string_equal(rig_failure(), "x86.clock/1 has 24 bytes, not 8");
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_CLOCK, &in, 8), -EINVAL);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_CPUID, &in, 8), -EINVAL);
    assert_int_equal(try_set(r, "arm.gpr/1", &in, 8), -ENOENT);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_PIC, &in, 8), -ENOENT);
    rig_free(r);
}

static void system_registers_come_back_as_set(void **state)
{
    static const uint8_t nothing[] = {0x90};
    struct rig *r = rig_new(1);
    struct bp_x86_sys in, out;

    (void)state;
    rig_load_long(r, nothing, sizeof(nothing));
    rig_get(r, 0, BP_X86_SYS, &in, sizeof(in));
    in.fs.base = 0x7fff12345000;
    in.gs.base = 0xffff888000000000;
    in.gdt.base = 0xffffffff81000000;
    in.gdt.limit = 0x7f;
    in.idt.base = 0xfffffe0000000000;
    in.cr2 = 0xdeadbeef000;
    in.dr[0] = 0x1000;
    in.dr[3] = 0x4000;
    in.dr7 = 0x401;
    in.xcr0 = 7;
    rig_set(r, 0, BP_X86_SYS, &in, sizeof(in));
    rig_get(r, 0, BP_X86_SYS, &out, sizeof(out));
    assert_memory_equal(&in, &out, sizeof(in));
    in.apic_base = 0;
    in.xcr0 = 0;
    rig_set(r, 0, BP_X86_SYS, &in, sizeof(in));
    rig_get(r, 0, BP_X86_SYS, &out, sizeof(out));
    assert_int_equal(out.apic_base, 0xfee00900);
    assert_int_equal(out.xcr0, 7);
    rig_free(r);
}

static void system_registers_that_contradict_are_refused(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_sys good, in;

    (void)state;
    rig_get(r, 0, BP_X86_SYS, &good, sizeof(good));
    in = good;
    in.cr0 = 0x80000010;
    assert_int_equal(try_set(r, BP_X86_SYS, &in, sizeof(in)), -EINVAL);
    assert_string_equal(rig_failure(), "x86.sys/1: CR0 has paging without protection");
    in = good;
    in.efer = 0x400;
    assert_int_equal(try_set(r, BP_X86_SYS, &in, sizeof(in)), -EINVAL);
    assert_string_equal(rig_failure(), "x86.sys/1: EFER.LMA needs EFER.LME, CR0.PG and CR4.PAE");
    in = good;
    in.cs.attributes = 0xe09b;
    assert_int_equal(try_set(r, BP_X86_SYS, &in, sizeof(in)), -EINVAL);
    assert_string_equal(rig_failure(), "x86.sys/1: CS has both L and D set");
    in = good;
    in.xcr0 = 0x100;
    assert_int_equal(try_set(r, BP_X86_SYS, &in, sizeof(in)), -EINVAL);
    assert_string_equal(rig_failure(), "x86.sys/1: XCR0 has states that this processor lacks");
    rig_free(r);
}

static void the_fpu_area_comes_back_as_set(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_fpu *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));

    (void)state;
    rig_get(r, 0, BP_X86_FPU, in, sizeof(*in));
    assert_int_equal(in->length, 832);
    in->area[0] = 0x7f; /* FCW 0x027f */
    in->area[1] = 0x02;
    memset(in->area + 160, 0x5a, 16); /* XMM0 */
    memset(in->area + 576, 0x5b, 16); /* YMM0's upper half */
    in->area[512] = 7;                /* XSTATE_BV */
    rig_set(r, 0, BP_X86_FPU, in, sizeof(*in));
    rig_get(r, 0, BP_X86_FPU, out, sizeof(*out));
    assert_memory_equal(in, out, sizeof(*in));
    in->length = 512;
    assert_int_equal(try_set(r, BP_X86_FPU, in, sizeof(*in)), -EINVAL);
    assert_string_equal(rig_failure(), "x86.fpu/1: its length is not that of an XSAVE area");
    in->length = 576;
    in->area[527] = 0x80;
    assert_int_equal(try_set(r, BP_X86_FPU, in, sizeof(*in)), -EINVAL);
    assert_string_equal(
        rig_failure(),
        "x86.fpu/1: the area is in compacted format, and the standard one is needed");
    in->area[527] = 0;
    in->area[513] = 2;
    assert_int_equal(try_set(r, BP_X86_FPU, in, sizeof(*in)), -EINVAL);
    assert_string_equal(rig_failure(), "x86.fpu/1: it has components that this processor lacks");
    in->area[513] = 0;
    in->area[27] = 1; /* MXCSR */
    assert_int_equal(try_set(r, BP_X86_FPU, in, sizeof(*in)), -EINVAL);
    assert_string_equal(rig_failure(), "x86.fpu/1: MXCSR has reserved bits set");
    free(in);
    free(out);
    rig_free(r);
}

static struct bp_x86_msr *find_msr(struct bp_x86_msrs *m, uint32_t index)
{
    for (uint32_t i = 0; i < m->count; i++)
        if (m->msrs[i].index == index)
            return &m->msrs[i];
    fail_msg("MSR 0x%x is not there", index);
    return NULL;
}

static void msrs_come_back_as_set(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_msrs *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));

    (void)state;
    rig_get(r, 0, BP_X86_MSR, in, sizeof(*in));
    assert_true(in->count > 40);
    find_msr(in, MSR_LSTAR)->value = 0xffffffff81234560;
    find_msr(in, 0x176)->value = 0xffffffff81000000;
    find_msr(in, 0x277)->value = 0x0007010600070106;
    find_msr(in, 0x2ff)->value = 0xc06;
    find_msr(in, 0x200)->value = 0x80000006;
    find_msr(in, 0x3b)->value = 0x1234;
    rig_set(r, 0, BP_X86_MSR, in, sizeof(*in));
    rig_get(r, 0, BP_X86_MSR, out, sizeof(*out));
    assert_int_equal(in->count, out->count);
    for (uint32_t i = 0; i < in->count; i++) {
        assert_int_equal(in->msrs[i].index, out->msrs[i].index);
        if (in->msrs[i].index != 0x10)
            assert_int_equal(in->msrs[i].value, out->msrs[i].value);
    }
    free(in);
    free(out);
    rig_free(r);
}

static void msrs_that_cannot_be_are_named(void **state)
{
    static const struct bp_x86_msr wrong[] = {
        {.index = 0xdead, .value = 1}, {.index = MSR_LSTAR, .value = UINT64_C(1) << 47},
        {.index = 0x277, .value = 2},  {.index = 0x2ff, .value = 0x1000},
        {.index = 0x1a0, .value = 2},  {.index = 0xc0000080, .value = 2},
    };
    struct rig *r = rig_new(1);
    struct bp_x86_msrs *in = calloc(1, sizeof(*in));
    char text[100];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        in->count = 1;
        in->msrs[0] = wrong[i];
        assert_int_equal(try_set(r, BP_X86_MSR, in, sizeof(*in)), -EINVAL);
        snprintf(text, sizeof(text), "x86.msr/1: MSR 0x%x does not take 0x%llx", wrong[i].index,
                 (unsigned long long)wrong[i].value);
        assert_string_equal(rig_failure(), text);
    }
    in->count = BP_X86_MSRS_MAX + 1;
    assert_int_equal(try_set(r, BP_X86_MSR, in, sizeof(*in)), -EINVAL);
    assert_string_equal(rig_failure(), "x86.msr/1: it has more than 512 MSRs");
    free(in);
    rig_free(r);
}

static void events_come_back_as_set(void **state)
{
    static const struct bp_x86_events cases[] = {
        {.exception = BP_X86_EVENT_INJECTED, .exception_vector = 6, .shadow = 2},
        {.interrupt = BP_X86_EVENT_INJECTED, .interrupt_vector = 0x41, .nmi_masked = 1},
        {.interrupt = BP_X86_EVENT_INJECTED, .interrupt_vector = 0x80, .interrupt_soft = 1},
        {.nmi_injected = 1},
        {.triple_fault_pending = 1},
    };
    struct rig *r = rig_new(1);
    struct bp_x86_events out, wrong = {.exception = 3};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rig_set(r, 0, BP_X86_EVENTS, &cases[i], sizeof(cases[i]));
        rig_get(r, 0, BP_X86_EVENTS, &out, sizeof(out));
        assert_memory_equal(&cases[i], &out, sizeof(out));
    }
    assert_int_equal(r->ops->vcpu_run(r->vcpus[0]), BP_STOP_TRIPLE_FAULT);
    assert_int_equal(try_set(r, BP_X86_EVENTS, &wrong, sizeof(wrong)), -EINVAL);
    assert_string_equal(rig_failure(), "x86.events/1: that exception does not exist");
    wrong = (struct bp_x86_events){.smm = 1};
    assert_int_equal(try_set(r, BP_X86_EVENTS, &wrong, sizeof(wrong)), -EINVAL);
    assert_string_equal(rig_failure(),
                        "x86.events/1: this processor has no system management mode");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_that_no_processor_has_are_refused),
        cmocka_unit_test(sets_of_the_wrong_size_or_name_are_refused),
        cmocka_unit_test(system_registers_come_back_as_set),
        cmocka_unit_test(system_registers_that_contradict_are_refused),
        cmocka_unit_test(the_fpu_area_comes_back_as_set),
        cmocka_unit_test(msrs_come_back_as_set),
        cmocka_unit_test(msrs_that_cannot_be_are_named),
        cmocka_unit_test(events_come_back_as_set),
    };

    return cmocka_run_group_tests_name("hvf_regs", tests, NULL, NULL);
}
