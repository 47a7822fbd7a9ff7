/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/interp_regs.c - the software CPU's register sets, on the rig of the KVM backend: each
 * goes in and comes out the same, what no processor can have is refused, and the time-stamp
 * counter's two MSRs do not move each other.
 */
#include "rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MSR_TSC 0x10u
#define MSR_TSC_ADJUST 0x3bu
#define MSR_LSTAR 0xc0000082u
#define XSAVE_HEADER 512u

static struct rig *machine(void)
{
    rig_backend("cpu-interp");
    return rig_new(1);
}

static void refused(struct rig *r, const char *set, const void *regs, uint32_t size,
                    const char *sentence)
{
    rig_forget();
    assert_int_equal(r->ops->regs_set(r->vcpus[0], set, regs, size), -EINVAL);
    assert_string_equal(rig_failure(), sentence);
}

static void general_registers_come_back_as_set(void **state)
{
    struct rig *r = machine();
    struct bp_x86_gpr in, out;
    uint64_t *word = (uint64_t *)&in;

    (void)state;
    for (unsigned i = 0; i < 17; i++)
        word[i] = 0x1111111111111111u * (i % 15 + 1);
    in.rflags = 0x40ed7; /* AC, OF, DF, IF, SF, ZF, AF, PF, CF */
    rig_set(r, 0, BP_X86_GPR, &in, sizeof(in));
    rig_get(r, 0, BP_X86_GPR, &out, sizeof(out));
    assert_memory_equal(&in, &out, sizeof(in));
    in.rflags = 0x8002;
    refused(r, BP_X86_GPR, &in, sizeof(in), "x86.gpr/1: RFLAGS has bits set that no processor has");
    refused(r, BP_X86_GPR, &in, sizeof(in) - 8, "x86.gpr/1 has 144 bytes here, and 136 were given");
    rig_free(r);
}

static void system_registers_come_back_as_set(void **state)
{
    struct rig *r = machine();
    struct bp_x86_sys in, out;

    (void)state;
    rig_get(r, 0, BP_X86_SYS, &in, sizeof(in));
    in.cs = (struct bp_x86_segment){0, UINT32_MAX, 0x08, 0xa09b};
    in.ds = in.es = in.ss = (struct bp_x86_segment){0, UINT32_MAX, 0x10, 0xc093};
    in.fs = (struct bp_x86_segment){0x7fff12345678, UINT32_MAX, 0, 0xc093};
    in.gs = (struct bp_x86_segment){0xffff888012345678, UINT32_MAX, 0, 0xc093};
    in.ldt = (struct bp_x86_segment){0x1000, 0xfff, 0x40, 0x82};
    in.tr = (struct bp_x86_segment){0xfffffe0000003000, 0x206f, 0x48, 0x8b};
    in.gdt.base = 0xfffffe0000001000;
    in.gdt.limit = 0x7f;
    in.idt.base = 0xfffffe0000000000;
    in.idt.limit = 0xfff;
    in.cr0 = 0x80050033;
    in.cr2 = 0x123456789abc;
    in.cr3 = 0x5000;
    in.cr4 = 0x6a0 | 0x40000;
    in.efer = 0xd01;
    in.xcr0 = 7;
    in.dr[0] = 0x1000;
    in.dr[3] = 0xffff800000000000;
    in.dr6 = 0xffff0ff1;
    in.dr7 = 0x403;
    rig_set(r, 0, BP_X86_SYS, &in, sizeof(in));
    rig_get(r, 0, BP_X86_SYS, &out, sizeof(out));
    assert_memory_equal(&in, &out, sizeof(in));
    in.cr0 = 0x80000010;
    refused(r, BP_X86_SYS, &in, sizeof(in), "x86.sys/1: CR0 has paging without protection");
    in.cr0 = 0x11;
    refused(r, BP_X86_SYS, &in, sizeof(in),
            "x86.sys/1: EFER.LMA needs EFER.LME, CR0.PG and CR4.PAE");
    in.efer = 0;
    in.cs.attributes = 0xe09b;
    refused(r, BP_X86_SYS, &in, sizeof(in), "x86.sys/1: CS has both L and D set");
    rig_free(r);
}

static void fpu_comes_back_as_set(void **state)
{
    struct rig *r = machine();
    struct bp_x86_fpu *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));

    (void)state;
    assert_non_null(in);
    assert_non_null(out);
    rig_get(r, 0, BP_X86_FPU, in, sizeof(*in));
    assert_int_equal(in->length, 832);
    assert_int_equal(in->area[XSAVE_HEADER], 3); /* AVX is in its initial state */
    in->area[0] = 0x7f;
    in->area[1] = 0x0b;  /* rounds up */
    in->area[3] = 0x38;  /* TOP 7 */
    in->area[4] = 0x80;  /* one register in use */
    in->area[24] = 0xa5; /* MXCSR */
    in->area[25] = 0x5f;
    in->area[XSAVE_HEADER] = 7;
    for (uint32_t i = 0; i < 10; i++)
        in->area[32 + i] = (uint8_t)(0x81 + i);
    for (uint32_t i = 0; i < 256; i++) {
        in->area[160 + i] = (uint8_t)(i * 7 + 1);
        in->area[576 + i] = (uint8_t)(i * 5 + 3);
    }
    rig_set(r, 0, BP_X86_FPU, in, sizeof(*in));
    rig_get(r, 0, BP_X86_FPU, out, sizeof(*out));
    assert_memory_equal(in->area, out->area, 24);
    assert_memory_equal(in->area + 24, out->area + 24, 4);
    assert_memory_equal(in->area + 32, out->area + 32, 10);
    assert_memory_equal(in->area + 160, out->area + 160, 256);
    assert_memory_equal(in->area + XSAVE_HEADER, out->area + XSAVE_HEADER, 64 + 256);
    in->area[XSAVE_HEADER] = 0x23;
    refused(r, BP_X86_FPU, in, sizeof(*in),
            "x86.fpu/1: it has components that this processor lacks");
    in->area[XSAVE_HEADER] = 3;
    in->area[XSAVE_HEADER + 15] = 0x80;
    refused(r, BP_X86_FPU, in, sizeof(*in),
            "x86.fpu/1: the area is in compacted format, and the standard one is needed");
    in->area[XSAVE_HEADER + 15] = 0;
    in->area[26] = 1;
    refused(r, BP_X86_FPU, in, sizeof(*in), "x86.fpu/1: MXCSR has reserved bits set");
    in->length = 100;
    refused(r, BP_X86_FPU, in, sizeof(*in), "x86.fpu/1: its length is not that of an XSAVE area");
    free(in);
    free(out);
    rig_free(r);
}

static uint64_t msr_of(const struct bp_x86_msrs *all, uint32_t index)
{
    for (uint32_t i = 0; i < all->count; i++)
        if (all->msrs[i].index == index)
            return all->msrs[i].value;
    fail_msg("MSR 0x%x is not in the set", index);
    return 0;
}

static void msrs_come_back_as_set(void **state)
{
    struct rig *r = machine();
    struct bp_x86_msrs *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));

    (void)state;
    assert_non_null(in);
    assert_non_null(out);
    rig_get(r, 0, BP_X86_MSR, in, sizeof(*in));
    for (uint32_t i = 0; i < in->count; i++)
        if (in->msrs[i].index == MSR_LSTAR)
            in->msrs[i].value = 0xffffffff81000080;
        else if (in->msrs[i].index == 0x277)
            in->msrs[i].value = 0x0407050600070106;
    rig_set(r, 0, BP_X86_MSR, in, sizeof(*in));
    rig_get(r, 0, BP_X86_MSR, out, sizeof(*out));
    assert_int_equal(in->count, out->count);
    for (uint32_t i = 0; i < in->count; i++)
        if (in->msrs[i].index != MSR_TSC && in->msrs[i].value != out->msrs[i].value)
            fail_msg("MSR 0x%x", in->msrs[i].index);
    in->count = 1;
    in->msrs[0] = (struct bp_x86_msr){.index = MSR_LSTAR, .value = 0x800000000000};
    refused(r, BP_X86_MSR, in, sizeof(*in),
            "x86.msr/1: MSR 0xc0000082 does not take 0x800000000000");
    in->count = 513;
    refused(r, BP_X86_MSR, in, sizeof(*in), "x86.msr/1: it has more than 512 MSRs");
    free(in);
    free(out);
    rig_free(r);
}

/* WRMSR of one moves the other; a state that is put back has both, in either order. */
static void time_stamp_counter_and_its_adjustment_are_put_back_apart(void **state)
{
    struct rig *r = machine();
    struct bp_x86_msrs *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));

    (void)state;
    assert_non_null(in);
    assert_non_null(out);
    for (uint32_t order = 0; order < 2; order++) {
        uint64_t tsc = UINT64_C(0x123400000000) + order,
                 adjust = UINT64_C(0xfffffff000000000) + order;

        in->count = 2;
        in->msrs[order] = (struct bp_x86_msr){.index = MSR_TSC, .value = tsc};
        in->msrs[order ^ 1] = (struct bp_x86_msr){.index = MSR_TSC_ADJUST, .value = adjust};
        rig_set(r, 0, BP_X86_MSR, in, sizeof(*in));
        rig_get(r, 0, BP_X86_MSR, out, sizeof(*out));
        assert_true(msr_of(out, MSR_TSC_ADJUST) == adjust);
        /* It counts meanwhile, but not for a quarter of an hour. */
        assert_true(msr_of(out, MSR_TSC) - tsc < UINT64_C(1000000000000));
    }
    free(in);
    free(out);
    rig_free(r);
}

static void events_come_back_as_set(void **state)
{
    struct rig *r = machine();
    struct bp_x86_events in = {.shadow = 2, .nmi_masked = 1}, out;

    (void)state;
    rig_set(r, 0, BP_X86_EVENTS, &in, sizeof(in));
    rig_get(r, 0, BP_X86_EVENTS, &out, sizeof(out));
    assert_memory_equal(&in, &out, sizeof(in));
    in.exception = 3;
    refused(r, BP_X86_EVENTS, &in, sizeof(in), "x86.events/1: that exception does not exist");
    in.exception = BP_X86_EVENT_INJECTED;
    in.exception_vector = 32;
    refused(r, BP_X86_EVENTS, &in, sizeof(in), "x86.events/1: that exception does not exist");
    in = (struct bp_x86_events){.smm = 1};
    refused(r, BP_X86_EVENTS, &in, sizeof(in),
            "x86.events/1: this processor has no system management mode");
    rig_free(r);
}

static void states_between_processors_come_back_as_set(void **state)
{
    struct rig *r = machine();
    struct bp_x86_mp in = {0}, out;

    (void)state;
    for (in.state = 0; in.state <= BP_X86_MP_WAIT_SIPI; in.state++) {
        rig_set(r, 0, BP_X86_MP, &in, sizeof(in));
        rig_get(r, 0, BP_X86_MP, &out, sizeof(out));
        assert_int_equal(out.state, in.state);
    }
    in.state = BP_X86_MP_SIPI + 1;
    refused(r, BP_X86_MP, &in, sizeof(in), "x86.mp/1: there is no such state");
    rig_free(r);
}

static void cpuid_comes_back_as_set(void **state)
{
    struct rig *r = machine();
    struct bp_x86_cpuid *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));

    (void)state;
    assert_non_null(in);
    assert_non_null(out);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_CPUID, in, sizeof(*in)), 0);
    rig_set(r, 0, BP_X86_CPUID, in, sizeof(*in));
    rig_get(r, 0, BP_X86_CPUID, out, sizeof(*out));
    assert_memory_equal(in, out, sizeof(*in));
    in->count = 257;
    refused(r, BP_X86_CPUID, in, sizeof(*in), "x86.cpuid/1: it has more than 256 leaves");
    free(in);
    free(out);
    rig_free(r);
}

static void set_that_is_unknown_or_needs_controllers_is_absent(void **state)
{
    struct rig *r = machine();
    uint8_t bytes[64] = {0};

    (void)state;
    assert_int_equal(r->ops->regs_get(r->vcpus[0], "x86.nothing/1", bytes, 8), -ENOENT);
    assert_int_equal(r->ops->regs_set(r->vcpus[0], "x86.nothing/1", bytes, 8), -ENOENT);
    assert_int_equal(r->ops->regs_get(r->vcpus[0], BP_X86_LAPIC, bytes, 8), -ENOENT);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_PIC, bytes, 8), -ENOENT);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(general_registers_come_back_as_set),
        cmocka_unit_test(system_registers_come_back_as_set),
        cmocka_unit_test(fpu_comes_back_as_set),
        cmocka_unit_test(msrs_come_back_as_set),
        cmocka_unit_test(time_stamp_counter_and_its_adjustment_are_put_back_apart),
        cmocka_unit_test(events_come_back_as_set),
        cmocka_unit_test(states_between_processors_come_back_as_set),
        cmocka_unit_test(cpuid_comes_back_as_set),
        cmocka_unit_test(set_that_is_unknown_or_needs_controllers_is_absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
