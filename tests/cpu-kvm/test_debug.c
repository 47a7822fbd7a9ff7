/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/test_debug.c - "bp.debug/1" of each backend: steps, INT3, points. tests/hvf and the
 * software CPU have the same program. Steps through deliveries and string I/O are compared between
 * backends by tests/compare.
 */
#include "rig.h"

#include <backplane/ext/debug.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifndef DEBUG_BACKEND
#define DEBUG_BACKEND "cpu-kvm"
#endif

#define DATA 0x2000u /* what RSI is at the start */

static bool has_flag(const char *flag)
{
    FILE *in = fopen("/proc/cpuinfo", "r");
    char line[8192];
    bool found = false;

    while (in && fgets(line, sizeof(line), in))
        if (!strncmp(line, "flags", 5))
            found |= strstr(line, flag) != NULL;
    if (in)
        fclose(in);
    return found;
}

/* A KVM on a processor without VMX and SVM emulates ring 0, and steps as it likes. */
static bool has_hardware(void)
{
    return strcmp(DEBUG_BACKEND, "cpu-kvm") != 0 || has_flag(" vmx ") || has_flag(" svm ");
}

/* In the lab the processor is QEMU's: it does not let #BP of INT3 exit, and takes no breakpoints
 * from the VMCB. What KVM is asked for is tested by test_debug_calls.c. */
static bool has_whole_processor(void)
{
    return strcmp(DEBUG_BACKEND, "cpu-kvm") != 0 || (has_hardware() && !has_flag(" hypervisor "));
}

static struct rig *machine(const void *code, size_t length)
{
    if (!has_hardware()) {
        print_message("skipped: this KVM has no hardware below it, and emulates ring 0\n");
        skip();
    }
    rig_backend(DEBUG_BACKEND);
    struct rig *r = rig_new(1);

    rig_load_long(r, code, length);
    return r;
}

static const struct bp_debug *debug_of(const struct rig *r)
{
    const struct bp_debug *debug = r->ops->extension(r->vm, BP_DEBUG_ID);

    assert_non_null(debug);
    return debug;
}

static void set(struct rig *r, uint32_t flags, const struct bp_debug_point *points, uint32_t count)
{
    struct bp_debug_request request = {
        .size = sizeof(request), .flags = flags, .point_count = count};

    for (uint32_t i = 0; i < count; i++)
        request.points[i] = points[i];
    assert_int_equal(debug_of(r)->set(r->vcpus[0], &request), 0);
}

/* Runs to the next stop, which has these reasons (BY_EVENT aside) and points, at this offset of the
 * code. */
static void stops(struct rig *r, uint32_t reasons, uint32_t points, uint64_t at)
{
    struct bp_debug_stop why = {.size = sizeof(why)};
    struct bp_x86_gpr gpr;

    rig_run(r, BP_STOP_DEBUG);
    debug_of(r)->why(r->vcpus[0], &why);
    assert_int_equal(why.reasons & ~BP_DEBUG_BY_EVENT, reasons);
    assert_int_equal(why.points, points);
    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    assert_int_equal(gpr.rip, RIG_CODE_AT + at);
}

static void a_step_is_one_instruction(void **state)
{
    static const uint8_t code[] = {
        0xb8, 1,         0, 0,    0,             /* mov eax, 1 */
        0x83, 0xc0,      2,                      /* add eax, 2 */
        0xe6, 0x80,                              /* out 0x80, al */
        0xa1, 0,         0, 0x20, 0, 0, 0, 0, 0, /* mov eax, [LONG_MMIO] */
        0x0f, 0xa2,                              /* cpuid */
        0x89, 0x07,                              /* mov [rdi], eax */
        0xff, 0x07,                              /* inc dword [rdi] */
        0x6e,                                    /* outsb */
        0xe6, PORT_DONE,                         /* out */
    };
    struct rig *r = machine(code, sizeof(code));

    (void)state;
    set(r, BP_DEBUG_STEP, NULL, 0);
    stops(r, BP_DEBUG_BY_STEP, 0, 5);
    stops(r, BP_DEBUG_BY_STEP, 0, 8);
    assert_int_equal(r->access_count, 0);
    stops(r, BP_DEBUG_BY_STEP, 0, 10);
    rig_expect(r, 0, false, true, 0x80, 3, 1);
    stops(r, BP_DEBUG_BY_STEP, 0, 19);
    assert_int_equal(r->access_count, 2);
    stops(r, BP_DEBUG_BY_STEP, 0, 21);
    stops(r, BP_DEBUG_BY_STEP, 0, 23);
    assert_int_equal(r->access_count, 3);
    stops(r, BP_DEBUG_BY_STEP, 0, 25);
    assert_int_equal(r->access_count, 5);
    stops(r, BP_DEBUG_BY_STEP, 0, 26);
    assert_int_equal(r->access_count, 6);
    set(r, 0, NULL, 0);
    rig_run(r, BP_STOP_KICKED);
    rig_free(r);
}

static void of_a_repeated_instruction_a_step_is_one_repetition(void **state)
{
    static const uint8_t code[] = {
        0xb9, 3,         0,    0, 0, /* mov ecx, 3 */
        0x48, 0x89,      0xf7,       /* mov rdi, rsi */
        0xf3, 0xaa,                  /* rep stosb */
        0xe6, PORT_DONE,
    };
    struct rig *r = machine(code, sizeof(code));
    struct bp_x86_gpr gpr;

    (void)state;
    set(r, BP_DEBUG_STEP, NULL, 0);
    stops(r, BP_DEBUG_BY_STEP, 0, 5);
    stops(r, BP_DEBUG_BY_STEP, 0, 8);
    stops(r, BP_DEBUG_BY_STEP, 0, 8);
    stops(r, BP_DEBUG_BY_STEP, 0, 8);
    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    assert_int_equal(gpr.rcx, 1);
    assert_int_equal(gpr.rdi, DATA + 2);
    stops(r, BP_DEBUG_BY_STEP, 0, 10);
    rig_free(r);
}

static void int3_stops_where_it_stands(void **state)
{
    static const uint8_t code[] = {0x90, 0xcc, 0xe6, PORT_DONE};
    struct rig *r = machine(code, sizeof(code));
    struct bp_x86_gpr gpr;

    (void)state;
    set(r, BP_DEBUG_SOFTWARE, NULL, 0);
    stops(r, BP_DEBUG_BY_SOFTWARE, 0, 1);
    /* It is still there: the debugger puts back what it stands for. */
    stops(r, BP_DEBUG_BY_SOFTWARE, 0, 1);
    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    gpr.rip++;
    rig_set(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    rig_run(r, BP_STOP_KICKED);
    rig_free(r);
}

static void a_point_stops_before_its_instruction_and_is_passed_then(void **state)
{
    static const uint8_t code[] = {
        0x31, 0xc9,         /* xor ecx, ecx */
        0xff, 0xc1,         /* again: inc ecx */
        0x83, 0xf9,      2, /* cmp ecx, 2 */
        0x75, 0xf9,         /* jne again */
        0xe6, PORT_DONE,
    };
    static const struct bp_debug_point points[2] = {{.address = RIG_CODE_AT + 9, .length = 1},
                                                    {.address = RIG_CODE_AT + 2, .length = 1}};
    struct rig *r = machine(code, sizeof(code));

    (void)state;
    set(r, 0, points, 2);
    stops(r, BP_DEBUG_BY_POINT, 2, 2);
    stops(r, BP_DEBUG_BY_POINT, 2, 2);
    stops(r, BP_DEBUG_BY_POINT, 1, 9);
    rig_run(r, BP_STOP_KICKED);
    rig_free(r);
}

/* One comes before the instruction, another when it has stopped for its point. */
static void a_kick_neither_passes_nor_repeats_a_point(void **state)
{
    static const uint8_t code[] = {0xe6, PORT_DONE, 0x90, 0xe6, PORT_DONE};
    static const struct bp_debug_point point = {.address = RIG_CODE_AT + 2, .length = 1};
    struct rig *r = machine(code, sizeof(code));
    struct bp_x86_gpr gpr;

    (void)state;
    set(r, 0, &point, 1);
    rig_run(r, BP_STOP_KICKED);
    stops(r, BP_DEBUG_BY_POINT, 1, 2);
    r->ops->vcpu_kick(r->vcpus[0]);
    rig_run(r, BP_STOP_KICKED);
    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    assert_int_equal(gpr.rip, RIG_CODE_AT + 2);
    rig_run(r, BP_STOP_KICKED);
    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    assert_int_equal(gpr.rip, RIG_CODE_AT + sizeof(code));
    rig_free(r);
}

static void data_points_stop_after_the_access(void **state)
{
    static const uint8_t code[] = {
        0x8b, 0x06,                  /* mov eax, [rsi] */
        0x89, 0x46,      0x08,       /* mov [rsi+8], eax */
        0x8b, 0x46,      0x08,       /* mov eax, [rsi+8] */
        0xc6, 0x46,      0x03, 0x05, /* mov byte [rsi+3], 5 */
        0xe6, PORT_DONE,
    };
    static const struct bp_debug_point points[2] = {
        {.address = DATA, .kind = BP_DEBUG_WRITE, .length = 4},
        {.address = DATA + 8, .kind = BP_DEBUG_ACCESS, .length = 8}};
    struct rig *r = machine(code, sizeof(code));

    (void)state;
    set(r, 0, points, 2);
    stops(r, BP_DEBUG_BY_POINT, 2, 5);
    stops(r, BP_DEBUG_BY_POINT, 2, 8);
    stops(r, BP_DEBUG_BY_POINT, 1, 12);
    rig_run(r, BP_STOP_KICKED);
    rig_free(r);
}

static void the_guest_keeps_its_debug_registers(void **state)
{
    static const uint8_t code[] = {
        0xb8, 0x78,      0x56, 0x34, 0x12, /* mov eax, 0x12345678 */
        0x0f, 0x23,      0xc0,             /* mov dr0, rax */
        0x0f, 0x21,      0xc3,             /* mov rbx, dr0 */
        0x0f, 0x21,      0xf9,             /* mov rcx, dr7 */
        0xe6, PORT_DONE,
    };
    static const struct bp_debug_point point = {.address = RIG_CODE_AT + 14, .length = 1};
    struct rig *r = machine(code, sizeof(code));
    struct bp_x86_gpr gpr;
    struct bp_x86_sys sys;

    (void)state;
    set(r, 0, &point, 1);
    stops(r, BP_DEBUG_BY_POINT, 1, 14);
    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    assert_int_equal(gpr.rbx, 0x12345678);
    assert_int_equal(gpr.rcx, 0x400);
    rig_get(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    assert_int_equal(sys.dr[0], 0x12345678);
    set(r, 0, NULL, 0);
    rig_get(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    assert_int_equal(sys.dr[0], 0x12345678);
    assert_int_equal(sys.dr7, 0x400);
    rig_run(r, BP_STOP_KICKED);
    rig_free(r);
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const struct bp_debug_request wrong[] = {
        {.size = 8},
        {.size = sizeof(struct bp_debug_request), .flags = 0x80},
        {.size = sizeof(struct bp_debug_request), .point_count = 5},
        {.size = sizeof(struct bp_debug_request), .point_count = 1, .points = {{.length = 3}}},
        {.size = sizeof(struct bp_debug_request), .point_count = 1, .points = {{.length = 4}}},
        {.size = sizeof(struct bp_debug_request),
         .point_count = 1,
         .points = {{.kind = BP_DEBUG_WRITE, .length = 4, .address = 2}}},
        {.size = sizeof(struct bp_debug_request),
         .point_count = 1,
         .points = {{.kind = 2, .length = 1}}},
    };
    static const uint8_t code[] = {0xe6, PORT_DONE};
    struct rig *r = machine(code, sizeof(code));

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        rig_forget();
        assert_int_equal(debug_of(r)->set(r->vcpus[0], &wrong[i]), -EINVAL);
        assert_string_equal(rig_failure(), "bp.debug/1: that request makes no sense");
    }
    rig_run(r, BP_STOP_KICKED);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_is_one_instruction),
        cmocka_unit_test(of_a_repeated_instruction_a_step_is_one_repetition),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    const struct CMUnitTest whole[] = {
        cmocka_unit_test(int3_stops_where_it_stands),
        cmocka_unit_test(a_point_stops_before_its_instruction_and_is_passed_then),
        cmocka_unit_test(a_kick_neither_passes_nor_repeats_a_point),
        cmocka_unit_test(data_points_stop_after_the_access),
        cmocka_unit_test(the_guest_keeps_its_debug_registers),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    if (has_whole_processor())
        return failed + cmocka_run_group_tests(whole, NULL, NULL);
    print_message(
        "left out: INT3 and points, for which KVM needs a processor that is not emulated\n");
    return failed;
}
