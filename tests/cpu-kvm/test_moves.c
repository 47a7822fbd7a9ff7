/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/test_moves.c - a guest in the middle of a computation, with integers, x87 and SSE, goes
 * on under the other backend: its state is the register sets and its memory, and nothing else. It
 * does not show that interrupt controllers move: the rig has none.
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* tests/hvf has another pair. */
#ifndef MOVES_NATIVE
#define MOVES_NATIVE "cpu-kvm"
#define MOVES_SOFTWARE "cpu-interp"
#endif

#define PORT_STOP 0x80u
#define RESULTS 0x2000u

/* 1000 rounds: 1 is added by the x87, the round by SSE2, twice the round by LEA; each ends with a
 * write to PORT_STOP. */
static const uint8_t guest[] = {
    0x31, 0xc0,                   /* xor eax, eax */
    0xb9, 0xe8, 0x03, 0,    0,    /* mov ecx, 1000 */
    0xdb, 0xe3,                   /* fninit: after power-on exceptions are not masked */
    0xd9, 0xe8, 0xd9, 0xee,       /* fld1; fldz */
    0x66, 0x0f, 0xef, 0xc0,       /* pxor xmm0, xmm0 */
    0xd8, 0xc1,                   /* again: fadd st0, st1 */
    0xf2, 0x0f, 0x2a, 0xc9,       /* cvtsi2sd xmm1, ecx */
    0xf2, 0x0f, 0x58, 0xc1,       /* addsd xmm0, xmm1 */
    0x48, 0x8d, 0x04, 0x48,       /* lea rax, [rax+rcx*2] */
    0xe6, 0x80, 0xff, 0xc9,       /* out 0x80, al; dec ecx */
    0x75, 0xec,                   /* jnz again */
    0xdf, 0x3e,                   /* fistp qword [rsi] */
    0xf2, 0x0f, 0x11, 0x46, 0x08, /* movsd [rsi+8], xmm0 */
    0x48, 0x89, 0x46, 0x10,       /* mov [rsi+16], rax */
    0xe6, 0xf4, 0xf4,             /* out 0xf4, al; hlt */
};

static void kick(struct rig *r, const struct access *a)
{
    if (!a->mmio && a->write && a->address == PORT_STOP)
        r->ops->vcpu_kick(r->vcpus[0]);
}

/* A KVM on a processor without VMX and SVM emulates ring 0, and that without x87 and SSE. */
static bool has_hardware(void)
{
    static const char *const names[] = {" vmx ", " svm "};
    FILE *in = fopen("/proc/cpuinfo", "r");
    char line[8192];
    bool found = strcmp(MOVES_NATIVE, "cpu-kvm") != 0;

    while (in && fgets(line, sizeof(line), in))
        if (!strncmp(line, "flags", 5))
            found |= strstr(line, names[0]) || strstr(line, names[1]);
    if (in)
        fclose(in);
    return found;
}

static struct rig *machine(const char *backend)
{
    if (!has_hardware()) {
        print_message("skipped: this KVM has no hardware below it, and emulates ring 0\n");
        skip();
    }
    rig_backend(backend);
    struct rig *r = rig_new(1);

    r->on_access = kick;
    return r;
}

/* One set, whole. */
static void move(struct rig *from, struct rig *to, const char *set, uint32_t size)
{
    void *regs = calloc(1, size);

    assert_non_null(regs);
    rig_get(from, 0, set, regs, size);
    rig_set(to, 0, set, regs, size);
    free(regs);
}

/* The MSRs that both have. A value that the other does not know is one of a feature that the guest
 * does not use. */
static uint32_t move_msrs(struct rig *from, struct rig *to)
{
    struct bp_x86_msrs *all = calloc(1, sizeof(*all)), *one = calloc(1, sizeof(*one));
    uint32_t moved = 0;

    assert_non_null(all);
    assert_non_null(one);
    rig_get(from, 0, BP_X86_MSR, all, sizeof(*all));
    one->count = 1;
    for (uint32_t i = 0; i < all->count; i++) {
        one->msrs[0] = all->msrs[i];
        moved += to->ops->regs_set(to->vcpus[0], BP_X86_MSR, one, sizeof(*one)) == 0;
    }
    free(all);
    free(one);
    return moved;
}

static void move_all(struct rig *from, struct rig *to)
{
    memcpy(to->ram, from->ram, RIG_RAM_BYTES);
    assert_true(move_msrs(from, to) >= 8);
    move(from, to, BP_X86_SYS, sizeof(struct bp_x86_sys));
    move(from, to, BP_X86_GPR, sizeof(struct bp_x86_gpr));
    move(from, to, BP_X86_FPU, sizeof(struct bp_x86_fpu));
    move(from, to, BP_X86_MP, sizeof(struct bp_x86_mp));
    move(from, to, BP_X86_EVENTS, sizeof(struct bp_x86_events));
}

static void rounds(struct rig *r, uint32_t count)
{
    while (count--)
        rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->done, 0);
}

static void finish(struct rig *r)
{
    uint64_t whole, sum;
    double real;

    while (!r->done)
        rig_run(r, BP_STOP_KICKED);
    memcpy(&whole, r->ram + RESULTS, 8);
    memcpy(&real, r->ram + RESULTS + 8, 8);
    memcpy(&sum, r->ram + RESULTS + 16, 8);
    assert_int_equal(whole, 1000);
    assert_true(real == 500500.0);
    assert_int_equal(sum, 1001000);
}

static void guest_goes_on_under_the_software_cpu(void **state)
{
    struct rig *kvm = machine(MOVES_NATIVE), *interp = machine(MOVES_SOFTWARE);

    (void)state;
    rig_load_long(kvm, guest, sizeof(guest));
    rounds(kvm, 400);
    move_all(kvm, interp);
    finish(interp);
    rig_free(kvm);
    rig_free(interp);
}

static void guest_goes_on_under_kvm(void **state)
{
    struct rig *kvm = machine(MOVES_NATIVE), *interp = machine(MOVES_SOFTWARE);

    (void)state;
    rig_load_long(interp, guest, sizeof(guest));
    rounds(interp, 400);
    move_all(interp, kvm);
    finish(kvm);
    rig_free(kvm);
    rig_free(interp);
}

static void guest_goes_there_and_back_again_and_again(void **state)
{
    struct rig *on[2] = {machine(MOVES_NATIVE), machine(MOVES_SOFTWARE)};
    uint32_t at = 0;

    (void)state;
    rig_load_long(on[0], guest, sizeof(guest));
    for (uint32_t n = 0; n < 20; n++) {
        rounds(on[at], 37);
        move_all(on[at], on[at ^ 1]);
        at ^= 1;
    }
    finish(on[at]);
    rig_free(on[0]);
    rig_free(on[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guest_goes_on_under_the_software_cpu),
        cmocka_unit_test(guest_goes_on_under_kvm),
        cmocka_unit_test(guest_goes_there_and_back_again_and_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
