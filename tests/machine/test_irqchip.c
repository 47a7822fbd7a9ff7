/* SPDX-License-Identifier: MIT
 *
 * A CPU backend without interrupt controllers, in machines that have them from dev-pc: lines and
 * messages arrive, a reset resets them, ACPI tells of what is there.
 *
 * The CPU is a fake that runs a bytecode and takes interrupts where its code says so; controllers,
 * devices, bus, router and threads are the real ones. What this does not prove is that a guest's
 * interrupt handlers run.
 */
#include "machine/rig.h"

#include <errno.h>
#include <stdbool.h>

#define CHIPLESS "cpu.plugin", "cpu-chipless", "--backend"
#define DEBUG_EXIT "[exit]\nplugin = dev-pc\nmodel = debug-exit\n"
#define EXIT                                                                                       \
    {OUT, 1, 0x501},                                                                               \
    {                                                                                              \
        HLT, 0, 0                                                                                  \
    } /* with the lower 7 bits of rax */
#define OUTB(port, value)                                                                          \
    {LOAD, 0, value},                                                                              \
    {                                                                                              \
        OUT, 1, port                                                                               \
    }
#define MOVL(address, value)                                                                       \
    {LOAD, 0, value},                                                                              \
    {                                                                                              \
        WRITE, 4, address                                                                          \
    }
#define MOVQ(address, value)                                                                       \
    {LOAD, 0, value},                                                                              \
    {                                                                                              \
        WRITE, 8, address                                                                          \
    }

/* Vectors 0x20-0x27 and 0x28-0x2f; nothing but line 4 (and the cascade's) is let through. */
#define INIT_PICS                                                                                  \
    OUTB(0x20, 0x11), OUTB(0x21, 0x20), OUTB(0x21, 4), OUTB(0x21, 1), OUTB(0xa0, 0x11),            \
        OUTB(0xa1, 0x28), OUTB(0xa1, 2), OUTB(0xa1, 1), OUTB(0x21, 0xef)
/* THRE, which is up from the beginning, interrupts by way of OUT2. */
#define INIT_UART OUTB(0x3fc, 8), OUTB(0x3f9, 2)
#define UART "[line]\nplugin = chr-host\nmodel = null\n[com1]\nplugin = dev-uart\nchardev = line\n"

#define SVR 0xfee000f0
#define HPET 0xfed00000ull

static struct rig *chipless(const struct instruction *code, size_t count, const char *more)
{
    struct rig *r = make(code, count, more);

    assert_int_equal(bp_machine_set(r->m, CHIPLESS), 0);
    return r;
}

static uint32_t exit_code(struct rig *r)
{
    struct bp_exit ended = wait_end(started(r));

    assert_int_equal(ended.reason, BP_EXIT_DEBUG);
    return ended.code >> 1;
}

static void a_line_arrives_through_the_8259s(void **state)
{
    struct rig *r =
        chipless(CODE(INIT_PICS, INIT_UART, {HLT, 0, 0}, {ACK, 0, 0}, EXIT), DEBUG_EXIT UART);
    (void)state;

    assert_int_equal(exit_code(r), 0x24);
    assert_string_equal(r->said, "");
    discard(r);
}

static void a_line_arrives_through_the_io_apic(void **state)
{
    /* Input 4: edge, fixed, vector 0x55, to APIC 0. */
    struct rig *r = chipless(CODE(MOVL(SVR, 0x1ff), MOVL(0xfec00000, 0x18), MOVL(0xfec00010, 0x55),
                                  INIT_UART, {HLT, 0, 0}, {ACK, 0, 0}, EXIT),
                             DEBUG_EXIT UART);
    (void)state;

    assert_int_equal(exit_code(r), 0x55);
    discard(r);
}

static void a_message_arrives_at_the_local_apic(void **state)
{
    /* The board's HPET sends one from its timer 0. */
    struct rig *r = chipless(CODE(MOVL(SVR, 0x1ff), MOVQ(HPET + 0x110, 0xfee0000000000041),
                                  MOVQ(HPET + 0x100, 0x4004), MOVQ(HPET + 0x108, 100),
                                  MOVQ(HPET + 0x10, 1), {HLT, 0, 0}, {ACK, 0, 0}, EXIT),
                             DEBUG_EXIT);
    (void)state;

    assert_int_equal(exit_code(r), 0x41);
    discard(r);
}

static void the_hpet_interrupts_in_the_pits_place(void **state)
{
    /* Line 0 is let through, the PIT raises it at once; then the HPET's timer 0 does. */
    struct rig *r =
        chipless(CODE(INIT_PICS, OUTB(0x21, 0xfe), OUTB(0x43, 0x34), OUTB(0x40, 16), OUTB(0x40, 0),
                      {HLT, 0, 0}, {ACK, 0, 0}, {WRITE, 4, 0x9000}, MOVQ(HPET + 0x100, 4),
                      MOVQ(HPET + 0x108, 100000), MOVQ(HPET + 0x10, 3), OUTB(0x20, 0x20),
                      {HLT, 0, 0}, {ACK, 0, 0}, EXIT),
                 DEBUG_EXIT);
    (void)state;

    assert_int_equal(exit_code(r), 0x20);
    discard(r);
}

static void a_reset_resets_the_controllers(void **state)
{
    /* First: turns its APIC on, with an odd spurious vector. Then: tells what it finds. */
    struct rig *r =
        chipless(CODE({READ, 4, 0x9000}, {JUMP_ZERO, 0, AT(5)}, {READ, 4, SVR}, EXIT,
                      /* 5: */ MOVL(SVR, 0x1aa), MOVL(0x9000, 1), OUTB(0xcf9, 6), {HLT, 0, 0}),
                 DEBUG_EXIT);
    (void)state;

    assert_int_equal(exit_code(r), 0x7f); /* 0xff; the status has its lower 7 bits */
    discard(r);
}

static void an_interrupt_in_service_at_a_reset_comes_again(void **state)
{
    struct rig *r = chipless(CODE(INIT_PICS, INIT_UART, {HLT, 0, 0}, {ACK, 0, 0},
                                  {WRITE, 4, 0x9004}, {READ, 4, 0x9000}, {JUMP_ZERO, 0, AT(30)},
                                  /* 27: */ {READ, 4, 0x9004}, EXIT,
                                  /* 30: */ MOVL(0x9000, 1), OUTB(0xcf9, 6), {HLT, 0, 0}),
                             DEBUG_EXIT UART);
    (void)state;

    assert_int_equal(exit_code(r), 0x24);
    discard(r);
}

static void every_vcpu_has_a_local_apic(void **state)
{
    /* The second waits for a vector that the first sends when it is told to. */
    struct rig *r =
        chipless(CODE({NAME, 0, 0}, {JUMP_ZERO, 0, AT(10)}, MOVL(SVR, 0x1ff), MOVL(0x9000, 1),
                      {HLT, 0, 0}, {ACK, 0, 0}, EXIT,
                      /* 10: */ {READ, 4, 0x9000}, {JUMP_ZERO, 0, AT(10)},
                      MOVL(0xfee00310, 0x1000000), MOVL(0xfee00300, 0x4033), {HLT, 0, 0}),
                 "together = yes\n" DEBUG_EXIT);
    (void)state;

    assert_int_equal(bp_machine_set(r->m, "machine.cpus", "2", "--cpus"), 0);
    assert_int_equal(exit_code(r), 0x33);
    discard(r);
}

static void without_controllers_a_machine_runs_and_interrupts_go_nowhere(void **state)
{
    struct rig *r =
        chipless(CODE(INIT_UART, {READ, 4, 0xfee00020}, {CHIP, 0, 0}, EXIT), DEBUG_EXIT UART);
    (void)state;

    assert_int_equal(bp_machine_set(r->m, "machine.board", "none", "--set"), 0);
    assert_int_equal(bp_machine_set(r->m, "machine.log", "3", "--log"), 0);
    assert_int_equal(exit_code(r), 0);
    assert_non_null(strstr(r->said, "neither cpu-chipless nor a section brings interrupt "
                                    "controllers: interrupts go nowhere\n"));
    discard(r);
}

static void controllers_can_be_written_without_a_board(void **state)
{
    struct rig *r = chipless(CODE(INIT_PICS, INIT_UART, {HLT, 0, 0}, {ACK, 0, 0}, EXIT),
                             DEBUG_EXIT UART "[chips]\nplugin = dev-pc\nmodel = irqchip\n");
    (void)state;

    assert_int_equal(bp_machine_set(r->m, "machine.board", "none", "--set"), 0);
    assert_int_equal(exit_code(r), 0x24);
    discard(r);
}

static void a_backend_with_its_own_controllers_is_given_none(void **state)
{
    struct rig *r = make(CODE({CHIP, 0, 0}, EXIT), DEBUG_EXIT);
    (void)state;

    assert_int_equal(exit_code(r), 0);
    discard(r);
}

static void a_machine_with_controllers_can_be_started_again(void **state)
{
    struct rig *r =
        chipless(CODE(INIT_PICS, INIT_UART, {HLT, 0, 0}, {ACK, 0, 0}, EXIT), DEBUG_EXIT UART);
    (void)state;

    for (int i = 0; i < 3; i++)
        assert_int_equal(exit_code(r), 0x24);
    discard(r);
}

/* ---- what is printed ---- */

static void the_printed_machine_has_the_sections(void **state)
{
    struct rig *r = chipless(CODE({HLT, 0, 0}), "");
    char *text = bp_machine_print(r->m);
    (void)state;

    assert_int_equal(bp_machine_check(r->m), 0);
    assert_non_null(strstr(text, "\n[irqchip]\nplugin = dev-pc\nmodel = irqchip\n"));
    assert_non_null(strstr(text, "\n[hpet]\nplugin = dev-pc\nmodel = hpet\nbase = 0xfed00000\n"
                                 "irqchip = irqchip\nrtc = rtc\n"));
    free(text);
    discard(r);
    r = make(CODE({HLT, 0, 0}), "");
    text = bp_machine_print(r->m);
    assert_null(strstr(text, "[irqchip]"));
    assert_null(strstr(text, "[hpet]"));
    free(text);
    discard(r);
}

/* ---- ACPI ---- */

/* True if the XSDT of a machine that stands names a table of this signature; it has 2 MiB. */
static bool has_table(struct rig *r, const char *signature)
{
    uint8_t area[0x20000];
    bool found = false;

    assert_int_equal(bp_machine_read(r->m, 0xe0000, area, sizeof(area)), 0);
    assert_memory_equal(area, "RSD PTR ", 8);
    uint64_t xsdt = bp_le64(area + 24) - 0xe0000;
    assert_in_range(xsdt, 0, sizeof(area) - 4096);
    for (uint32_t at = 36; at < bp_le32(area + xsdt + 4); at += 8) {
        uint64_t table = bp_le64(area + xsdt + at) - 0xe0000;
        assert_in_range(table, 0, sizeof(area) - 36);
        found |= memcmp(area + table, signature, 4) == 0;
    }
    return found;
}

static void acpi_tells_of_an_hpet_where_there_is_one(void **state)
{
    struct rig *with = started(chipless(CODE({HLT, 0, 0}), ""));
    struct rig *without = started(make(CODE({HLT, 0, 0}), ""));
    (void)state;

    assert_int_equal(bp_machine_pause(with->m), 0);
    assert_int_equal(bp_machine_pause(without->m), 0);
    assert_true(has_table(with, "HPET"));
    assert_true(has_table(with, "APIC"));
    assert_false(has_table(without, "HPET"));
    assert_true(has_table(without, "APIC"));
    discard(with);
    discard(without);
}

/* ---- what cannot be ---- */

static void bad_98_controllers_beside_a_backends_own(void **state)
{
    struct rig *r = make(CODE({HLT, 0, 0}), "[irqchip]\nplugin = dev-pc\nmodel = irqchip\n");
    (void)state;

    assert_int_equal(bp_machine_check(r->m), -EINVAL);
    assert_string_equal(r->said, "[irqchip] model = irqchip: cpu-fake has interrupt controllers of "
                                 "its own, and a machine can have only one set: remove this "
                                 "section, or name another backend in [cpu]\n");
    discard(r);
}

static void refuses(const char *model, const char *sentence)
{
    char more[100], said[300];

    snprintf(more, sizeof(more), "[chip]\nplugin = cpu-chipless\nmodel = %s\n", model);
    struct rig *r = chipless(CODE({HLT, 0, 0}), more);
    assert_int_equal(bp_machine_start(r->m), -EINVAL);
    snprintf(said, sizeof(said), "[chip] %s cannot be made: %s\n", model, sentence);
    assert_string_equal(r->said, said);
    discard(r);
}

static void bad_98_devices_that_only_claim_to_be_controllers(void **state)
{
    (void)state;
    refuses("hollow", "its model claims to be interrupt controllers, but it does not offer "
                      "bp.irqchip/1");
    refuses("torn",
            "what it offers as bp.irqchip/1 is broken: attach of table bp_irqchip is NULL; it is "
            "required: set it");
}

static void bad_98_a_backend_that_contradicts_its_model(void **state)
{
    struct rig *r = make(CODE({HLT, 0, 0}), "");
    (void)state;

    assert_int_equal(bp_machine_set(r->m, "cpu.plugin", "cpu-liar", "--backend"), 0);
    assert_int_equal(bp_machine_start(r->m), -EINVAL);
    assert_string_equal(r->said, "cpu-liar contradicts itself: its model is without "
                                 "BP_MODEL_IRQCHIP, and its VM has BP_CPU_IRQCHIP\n");
    discard(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_arrives_through_the_8259s),
        cmocka_unit_test(a_line_arrives_through_the_io_apic),
        cmocka_unit_test(a_message_arrives_at_the_local_apic),
        cmocka_unit_test(the_hpet_interrupts_in_the_pits_place),
        cmocka_unit_test(a_reset_resets_the_controllers),
        cmocka_unit_test(an_interrupt_in_service_at_a_reset_comes_again),
        cmocka_unit_test(every_vcpu_has_a_local_apic),
        cmocka_unit_test(without_controllers_a_machine_runs_and_interrupts_go_nowhere),
        cmocka_unit_test(controllers_can_be_written_without_a_board),
        cmocka_unit_test(a_backend_with_its_own_controllers_is_given_none),
        cmocka_unit_test(a_machine_with_controllers_can_be_started_again),
        cmocka_unit_test(the_printed_machine_has_the_sections),
        cmocka_unit_test(acpi_tells_of_an_hpet_where_there_is_one),
        cmocka_unit_test(bad_98_controllers_beside_a_backends_own),
        cmocka_unit_test(bad_98_devices_that_only_claim_to_be_controllers),
        cmocka_unit_test(bad_98_a_backend_that_contradicts_its_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
