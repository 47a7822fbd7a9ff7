/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/test_regs.c - every register set goes in and comes out the same, and is what the guest
 * has.
 */
#include "rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MSR_LSTAR 0xc0000082u
#define MSR_TSC 0x10u

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
    assert_string_equal(rig_failure(), "RFLAGS 0x8002 has bits set that no processor has");
    rig_free(r);
}

static void a_set_of_the_wrong_size_is_refused(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_gpr in = {.rflags = 2};

    (void)state;
    assert_int_equal(try_set(r, BP_X86_GPR, &in, sizeof(in) - 8), -EINVAL);
    assert_string_equal(rig_failure(), "x86.gpr/1 has 144 bytes, not 136");
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_PIC, &in, 8), -EINVAL);
    assert_string_equal(rig_failure(), "x86.pic/1 has 32 bytes, not 8");
    rig_free(r);
}

static void an_unknown_set_is_not_found(void **state)
{
    struct rig *r = rig_new(1);
    uint64_t word = 0;

    (void)state;
    assert_int_equal(try_set(r, "arm.gpr/1", &word, sizeof(word)), -ENOENT);
    assert_int_equal(r->ops->regs_get(r->vcpus[0], "x86.gpr/2", &word, 8), -ENOENT);
    assert_int_equal(r->ops->vm_get(r->vm, "x86.gpr/1", &word, 8), -ENOENT);
    assert_int_equal(r->ops->vm_set(r->vm, "x86.hpet/1", &word, 8), -ENOENT);
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
    in.cr8 = 3;
    in.dr[0] = 0x1000;
    in.dr[3] = 0x4000;
    in.dr7 = 0x401;
    rig_set(r, 0, BP_X86_SYS, &in, sizeof(in));
    rig_get(r, 0, BP_X86_SYS, &out, sizeof(out));
    assert_memory_equal(&in, &out, sizeof(in));
    rig_free(r);
}

static void zero_leaves_apic_base_and_xcr0(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_sys in, out;

    (void)state;
    rig_get(r, 0, BP_X86_SYS, &in, sizeof(in));
    assert_int_equal(in.apic_base, 0xfee00900); /* enabled, boot processor */
    assert_int_equal(in.xcr0, 1);
    in.apic_base = 0;
    in.xcr0 = 0;
    rig_set(r, 0, BP_X86_SYS, &in, sizeof(in));
    rig_get(r, 0, BP_X86_SYS, &out, sizeof(out));
    assert_int_equal(out.apic_base, 0xfee00900);
    assert_int_equal(out.xcr0, 1);
    rig_free(r);
}

static void control_registers_that_contradict_are_refused(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_sys in;

    (void)state;
    rig_get(r, 0, BP_X86_SYS, &in, sizeof(in));
    in.cr0 = 0x80000011;
    in.cr3 = 0x3000;
    in.cr4 = 0;
    in.efer = 0x500; /* long mode without PAE */
    in.apic_base = 0xfee00900;
    assert_int_equal(try_set(r, BP_X86_SYS, &in, sizeof(in)), -EINVAL);
    assert_string_equal(rig_failure(),
                        "KVM refuses the state cr0 0x80000011 cr3 0x3000 cr4 0x0 efer "
                        "0x500 apic_base 0xfee00900: Invalid argument");
    rig_free(r);
}

static void the_fpu_area_comes_back_as_set(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_fpu *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));

    (void)state;
    rig_get(r, 0, BP_X86_FPU, in, sizeof(*in));
    assert_true(in->length >= 576);
    in->area[0] = 0x7f; /* FCW 0x027f */
    in->area[1] = 0x02;
    memset(in->area + 160, 0x5a, 16); /* XMM0 */
    in->area[512] |= 3;               /* XSTATE_BV: x87, SSE */
    rig_set(r, 0, BP_X86_FPU, in, sizeof(*in));
    rig_get(r, 0, BP_X86_FPU, out, sizeof(*out));
    assert_int_equal(out->length, in->length);
    assert_memory_equal(in->area, out->area, 24);
    assert_memory_equal(in->area + 160, out->area + 160, 16);
    assert_memory_equal(in->area + 512, out->area + 512, 8);
    free(in);
    free(out);
    rig_free(r);
}

static void a_short_or_compacted_fpu_area_is_refused(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_fpu *in = calloc(1, sizeof(*in));

    (void)state;
    in->length = 512;
    assert_int_equal(try_set(r, BP_X86_FPU, in, sizeof(*in)), -EINVAL);
    assert_string_equal(rig_failure(), "x86.fpu/1: a length of 512 is not within 576 and 12288");
    in->length = 576;
    in->area[527] = 0x80;
    assert_int_equal(try_set(r, BP_X86_FPU, in, sizeof(*in)), -EINVAL);
    assert_string_equal(
        rig_failure(),
        "x86.fpu/1: the area is in compacted format, and the standard one is needed");
    free(in);
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
    assert_true(in->count > 10);
    find_msr(in, MSR_LSTAR)->value = 0xffffffff81234560;
    find_msr(in, 0x277)->value = 0x0007040600070406; /* IA32_PAT */
    find_msr(in, 0x2ff)->value = 0xc06;              /* IA32_MTRR_DEF_TYPE */
    rig_set(r, 0, BP_X86_MSR, in, sizeof(*in));
    rig_get(r, 0, BP_X86_MSR, out, sizeof(*out));
    assert_int_equal(in->count, out->count);
    for (uint32_t i = 0; i < in->count; i++) {
        assert_int_equal(in->msrs[i].index, out->msrs[i].index);
        /* The counter runs on, and KVM's clock writes itself when set. */
        if (in->msrs[i].index != MSR_TSC) {
            if (in->msrs[i].value != out->msrs[i].value)
                print_message("MSR 0x%x\n", in->msrs[i].index);
            assert_int_equal(in->msrs[i].value, out->msrs[i].value);
        }
    }
    free(in);
    free(out);
    rig_free(r);
}

static void an_msr_that_does_not_exist_is_named(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_msrs *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));

    (void)state;
    in->count = 3;
    in->msrs[0] = (struct bp_x86_msr){.index = MSR_LSTAR, .value = 0x1000};
    in->msrs[1] = (struct bp_x86_msr){.index = 0xdead, .value = 1};
    in->msrs[2] = (struct bp_x86_msr){.index = MSR_LSTAR, .value = 0x2000};
    assert_int_equal(try_set(r, BP_X86_MSR, in, sizeof(*in)), -EINVAL);
    assert_string_equal(rig_failure(),
                        "KVM refuses value 0x1 for MSR 0xdead: this host or the guest's "
                        "CPUID lacks it");
    rig_get(r, 0, BP_X86_MSR, out, sizeof(*out));
    assert_int_equal(find_msr(out, MSR_LSTAR)->value, 0x1000);
    in->count = BP_X86_MSRS_MAX + 1;
    assert_int_equal(try_set(r, BP_X86_MSR, in, sizeof(*in)), -EINVAL);
    assert_string_equal(rig_failure(), "x86.msr/1: a count of 513 is above 512");
    free(in);
    free(out);
    rig_free(r);
}

static void events_come_back_as_set(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_events out, in = {.exception = BP_X86_EVENT_PENDING,
                                    .exception_vector = 14,
                                    .exception_has_error = 1,
                                    .exception_error = 2,
                                    .exception_has_payload = 1,
                                    .exception_payload = 0x1234,
                                    .nmi_masked = 1,
                                    .shadow = 1};

    (void)state;
    rig_set(r, 0, BP_X86_EVENTS, &in, sizeof(in));
    rig_get(r, 0, BP_X86_EVENTS, &out, sizeof(out));
    assert_true(out.shadow & 1);
    out.shadow = 1; /* 3 on AMD's, which has one for both */
    assert_memory_equal(&in, &out, sizeof(in));
    in = (struct bp_x86_events){
        .exception = BP_X86_EVENT_INJECTED, .exception_vector = 6, .shadow = 2};
    rig_set(r, 0, BP_X86_EVENTS, &in, sizeof(in));
    rig_get(r, 0, BP_X86_EVENTS, &out, sizeof(out));
    assert_true(out.shadow & 2);
    out.shadow = 2;
    assert_memory_equal(&in, &out, sizeof(in));
    in = (struct bp_x86_events){.interrupt = BP_X86_EVENT_INJECTED, .interrupt_vector = 0x41};
    rig_set(r, 0, BP_X86_EVENTS, &in, sizeof(in));
    rig_get(r, 0, BP_X86_EVENTS, &out, sizeof(out));
    assert_memory_equal(&in, &out, sizeof(in));
    rig_free(r);
}

static void general_registers_keep_a_pending_exception(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_events out, in = {.exception = BP_X86_EVENT_PENDING, .exception_vector = 6};
    struct bp_x86_gpr gpr = {.rflags = 2};

    (void)state;
    rig_set(r, 0, BP_X86_EVENTS, &in, sizeof(in));
    rig_set(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    rig_get(r, 0, BP_X86_EVENTS, &out, sizeof(out));
    assert_memory_equal(&in, &out, sizeof(in));
    rig_free(r);
}

static void events_that_cannot_be_are_refused(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_events in = {.exception = BP_X86_EVENT_PENDING, .exception_vector = 32};

    (void)state;
    assert_int_equal(try_set(r, BP_X86_EVENTS, &in, sizeof(in)), -EINVAL);
    assert_string_equal(rig_failure(), "x86.events/1: exception 32 in state 1 does not exist");
    in = (struct bp_x86_events){.interrupt = BP_X86_EVENT_PENDING};
    assert_int_equal(try_set(r, BP_X86_EVENTS, &in, sizeof(in)), -EINVAL);
    assert_string_equal(rig_failure(),
                        "x86.events/1: an interrupt is 0 or injected, not in state 1");
    rig_free(r);
}

static void the_local_apic_comes_back_as_set(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_lapic in, out;

    (void)state;
    rig_get(r, 0, BP_X86_LAPIC, &in, sizeof(in));
    in.registers[0xf] = 0x1ff;        /* SVR: enabled */
    in.registers[0x32] = 0x400ef;     /* LVT timer: TSC deadline */
    in.registers[0x37] = 0x100fe;     /* LVT error, masked */
    in.tsc_deadline = UINT64_MAX / 4; /* far off */
    rig_set(r, 0, BP_X86_LAPIC, &in, sizeof(in));
    rig_get(r, 0, BP_X86_LAPIC, &out, sizeof(out));
    assert_memory_equal(&in, &out, sizeof(in));
    rig_free(r);
}

static const struct bp_x86_cpuid_leaf *leaf_of(const struct bp_x86_cpuid *c, uint32_t leaf)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->leaves[i].leaf == leaf)
            return &c->leaves[i];
    return NULL;
}

static void what_is_offered_is_sound(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_cpuid *c = calloc(1, sizeof(*c));

    (void)state;
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_CPUID, c, sizeof(*c)), 0);
    assert_non_null(leaf_of(c, 1));
    assert_int_equal(leaf_of(c, 1)->ecx & (1u << 31 | 1u << 21 | 1u << 5 | 1u << 3),
                     1u << 31 | 1u << 21); /* hypervisor, x2APIC; no VMX, MONITOR */
    assert_int_equal(leaf_of(c, 6)->eax, 4);
    assert_non_null(leaf_of(c, 0x40000001));
    assert_int_equal(leaf_of(c, 0x80000001)->ecx & 4, 0); /* no SVM */
    assert_null(leaf_of(c, 0x8000000a));
    assert_null(leaf_of(c, 0xb));
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_CPUID, c, sizeof(*c)), -EINVAL);
    free(c);
    rig_free(r);
}

static void reset_undoes_every_set(void **state)
{
    static const uint8_t code[] = {0xe6, PORT_DONE};
    struct rig *r = rig_new(1);
    struct bp_x86_msrs *first = calloc(1, sizeof(*first)), *now = calloc(1, sizeof(*now));
    struct bp_x86_sys sys_first, sys;
    struct bp_x86_lapic lapic_first, lapic;
    struct bp_x86_events events;
    struct bp_x86_gpr gpr;
    uint32_t edx;

    (void)state;
    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    edx = (uint32_t)gpr.rdx; /* the processor's signature */
    rig_get(r, 0, BP_X86_MSR, first, sizeof(*first));
    rig_get(r, 0, BP_X86_SYS, &sys_first, sizeof(sys_first));
    rig_get(r, 0, BP_X86_LAPIC, &lapic_first, sizeof(lapic_first));
    rig_load_long(r, code, sizeof(code));
    rig_run(r, BP_STOP_KICKED);
    memcpy(now, first, sizeof(*now));
    find_msr(now, MSR_LSTAR)->value = 0x1234;
    rig_set(r, 0, BP_X86_MSR, now, sizeof(*now));
    lapic = lapic_first;
    lapic.registers[0xf] = 0x1ff;
    rig_set(r, 0, BP_X86_LAPIC, &lapic, sizeof(lapic));
    events = (struct bp_x86_events){.exception = BP_X86_EVENT_PENDING, .exception_vector = 6};
    rig_set(r, 0, BP_X86_EVENTS, &events, sizeof(events));

    assert_int_equal(r->ops->vcpu_reset(r->vcpus[0]), 0);
    rig_get(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    assert_memory_equal(&sys, &sys_first, sizeof(sys));
    rig_get(r, 0, BP_X86_LAPIC, &lapic, sizeof(lapic));
    assert_memory_equal(&lapic, &lapic_first, sizeof(lapic));
    rig_get(r, 0, BP_X86_EVENTS, &events, sizeof(events));
    assert_int_equal(events.exception, 0);
    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    assert_int_equal(gpr.rip, 0xfff0);
    assert_int_equal(gpr.rdx, edx);
    rig_get(r, 0, BP_X86_MSR, now, sizeof(*now));
    for (uint32_t i = 0; i < first->count; i++)
        if (first->msrs[i].index != MSR_TSC)
            assert_int_equal(find_msr(now, first->msrs[i].index)->value, first->msrs[i].value);
    free(first);
    free(now);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_that_no_processor_has_are_refused),
        cmocka_unit_test(a_set_of_the_wrong_size_is_refused),
        cmocka_unit_test(an_unknown_set_is_not_found),
        cmocka_unit_test(system_registers_come_back_as_set),
        cmocka_unit_test(zero_leaves_apic_base_and_xcr0),
        cmocka_unit_test(control_registers_that_contradict_are_refused),
        cmocka_unit_test(the_fpu_area_comes_back_as_set),
        cmocka_unit_test(a_short_or_compacted_fpu_area_is_refused),
        cmocka_unit_test(msrs_come_back_as_set),
        cmocka_unit_test(an_msr_that_does_not_exist_is_named),
        cmocka_unit_test(events_come_back_as_set),
        cmocka_unit_test(general_registers_keep_a_pending_exception),
        cmocka_unit_test(events_that_cannot_be_are_refused),
        cmocka_unit_test(the_local_apic_comes_back_as_set),
        cmocka_unit_test(what_is_offered_is_sound),
        cmocka_unit_test(reset_undoes_every_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
