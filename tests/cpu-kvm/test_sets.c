/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/test_sets.c - what the register sets of every backend do alike: they come back as set,
 * the guest has what was set, and it moves to another machine by them. Run for cpu-kvm, cpu-interp
 * and, by tests/hvf, for cpu-hvf; what differs from backend to backend is in a file of each.
 */
#include "rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifndef SETS_BACKEND
#define SETS_BACKEND "cpu-kvm"
#define SETS_BAD_MP "x86.mp/1: state 77 does not exist"
#define SETS_BAD_CPUID "x86.cpuid/1: a count of 257 is above 256"
#endif

static struct rig *machine(void)
{
    rig_backend(SETS_BACKEND);
    return rig_new(1);
}

static int try_set(struct rig *r, const char *set, const void *regs, uint32_t size)
{
    rig_forget();
    return r->ops->regs_set(r->vcpus[0], set, regs, size);
}

static void general_registers_come_back_as_set(void **state)
{
    struct rig *r = machine();
    struct bp_x86_gpr in, out;
    uint64_t *word = (uint64_t *)&in;

    (void)state;
    for (unsigned i = 0; i < 17; i++)
        word[i] = 0x1111111111111111u * (i % 15 + 1);
    in.rip = 0xfedc;
    in.rflags = 0x202;
    rig_set(r, 0, BP_X86_GPR, &in, sizeof(in));
    rig_get(r, 0, BP_X86_GPR, &out, sizeof(out));
    assert_memory_equal(&in, &out, sizeof(in));
    rig_free(r);
}

static void mp_states_come_back_as_set(void **state)
{
    struct rig *r = machine();
    const uint32_t states[] = {BP_X86_MP_WAIT_INIT, BP_X86_MP_WAIT_SIPI, BP_X86_MP_HALTED,
                               BP_X86_MP_RUNNABLE};
    struct bp_x86_mp in = {0}, out;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        in.state = states[i];
        rig_set(r, 0, BP_X86_MP, &in, sizeof(in));
        rig_get(r, 0, BP_X86_MP, &out, sizeof(out));
        assert_int_equal(out.state, in.state);
    }
    in.state = 77;
    assert_int_equal(try_set(r, BP_X86_MP, &in, sizeof(in)), -EINVAL);
    assert_string_equal(rig_failure(), SETS_BAD_MP);
    rig_free(r);
}

static void the_guest_sees_the_cpuid_that_was_set(void **state)
{
    static const uint8_t code[] = {
        0xb8, 0x00,      0x01, 0x00, 0x40, 0x0f, 0xa2, /* mov $0x40000100,%eax; cpuid */
        0xe6, PORT_DONE,
    };
    struct rig *r = machine();
    struct bp_x86_cpuid *c = calloc(1, sizeof(*c)), *out = calloc(1, sizeof(*out));
    struct bp_x86_gpr gpr;

    (void)state;
    rig_get(r, 0, BP_X86_CPUID, c, sizeof(*c));
    assert_true(c->count < BP_X86_CPUID_MAX);
    for (uint32_t i = 0; i < c->count; i++)
        if (c->leaves[i].leaf == 0x40000000)
            c->leaves[i].eax = 0x40000100;
    c->leaves[c->count++] = (struct bp_x86_cpuid_leaf){
        .leaf = 0x40000100, .eax = 0x11, .ebx = 0x22, .ecx = 0x33, .edx = 0x44};
    rig_set(r, 0, BP_X86_CPUID, c, sizeof(*c));
    rig_get(r, 0, BP_X86_CPUID, out, sizeof(*out));
    assert_memory_equal(c, out, sizeof(*c));
    rig_load_long(r, code, sizeof(code));
    rig_run(r, BP_STOP_KICKED);
    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    assert_int_equal(gpr.rax, 0x11);
    assert_int_equal(gpr.rbx, 0x22);
    assert_int_equal(gpr.rcx, 0x33);
    assert_int_equal(gpr.rdx, 0x44);
    c->count = BP_X86_CPUID_MAX + 1;
    assert_int_equal(try_set(r, BP_X86_CPUID, c, sizeof(*c)), -EINVAL);
    assert_string_equal(rig_failure(), SETS_BAD_CPUID);
    free(c);
    free(out);
    rig_free(r);
}

static void a_guest_moves_to_another_machine_by_its_sets(void **state)
{
    /* mov $7,%ebx; mov %ebx,%ecx; out %al,done: here it moves; add %ebx,%ecx; out %al,done */
    static const uint8_t code[] = {0xbb, 7,    0,    0,    0,    0x89, 0xd9,
                                   0xe6, 0xf4, 0x01, 0xd9, 0xe6, 0xf4};
    struct rig *r = machine(), *s;
    struct bp_x86_gpr gpr;
    struct bp_x86_sys sys;
    struct bp_x86_fpu *fpu = calloc(1, sizeof(*fpu));
    struct bp_x86_msrs *msrs = calloc(1, sizeof(*msrs));
    struct bp_x86_lapic lapic;
    struct bp_x86_events events;
    struct bp_x86_mp mp;
    uint8_t *ram = malloc(RIG_RAM_BYTES);
    bool has_lapic;

    (void)state;
    assert_non_null(ram);
    rig_load_long(r, code, sizeof(code));
    rig_run(r, BP_STOP_KICKED);
    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    rig_get(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    rig_get(r, 0, BP_X86_FPU, fpu, sizeof(*fpu));
    rig_get(r, 0, BP_X86_MSR, msrs, sizeof(*msrs));
    /* Where the backend has a local APIC of its own. */
    has_lapic = !r->ops->regs_get(r->vcpus[0], BP_X86_LAPIC, &lapic, sizeof(lapic));
    rig_get(r, 0, BP_X86_EVENTS, &events, sizeof(events));
    rig_get(r, 0, BP_X86_MP, &mp, sizeof(mp));
    memcpy(ram, r->ram, RIG_RAM_BYTES);
    rig_free(r); /* some have one VM a process */
    s = machine();
    memcpy(s->ram, ram, RIG_RAM_BYTES);
    rig_set(s, 0, BP_X86_SYS, &sys, sizeof(sys));
    rig_set(s, 0, BP_X86_MSR, msrs, sizeof(*msrs));
    rig_set(s, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    rig_set(s, 0, BP_X86_FPU, fpu, sizeof(*fpu));
    if (has_lapic)
        rig_set(s, 0, BP_X86_LAPIC, &lapic, sizeof(lapic));
    rig_set(s, 0, BP_X86_MP, &mp, sizeof(mp));
    rig_set(s, 0, BP_X86_EVENTS, &events, sizeof(events));
    rig_run(s, BP_STOP_KICKED);
    rig_get(s, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    assert_int_equal(gpr.rcx, 14);
    free(ram);
    free(fpu);
    free(msrs);
    rig_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(general_registers_come_back_as_set),
        cmocka_unit_test(mp_states_come_back_as_set),
        cmocka_unit_test(the_guest_sees_the_cpuid_that_was_set),
        cmocka_unit_test(a_guest_moves_to_another_machine_by_its_sets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
