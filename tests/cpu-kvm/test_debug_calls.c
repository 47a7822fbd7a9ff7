/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/test_debug_calls.c - "bp.debug/1" by a fake KVM: what KVM_SET_GUEST_DEBUG is told, and
 * what is made of KVM_EXIT_DEBUG (api.rst, 4.87 and 5).
 *
 * It proves what KVM is asked for, not that a real one does it: test_debug.c has that.
 */
#include "fake_kvm.h"
#include "rig.h"

#include <backplane/ext/debug.h>

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DR6_BS 0x4000u
#define RFLAGS_RF 0x10000u

struct machine {
    const struct bp_cpu_ops *ops;
    const struct bp_debug *debug;
    struct bp_bus bus;
    void *vm, *vcpu;
};

/* The one that runs: a device's write has no other way to it. */
static struct machine *the_machine(void)
{
    static struct machine m;

    return &m;
}

static unsigned *writes(void)
{
    static unsigned count;

    return &count;
}

static void device_write(struct bp_vcpu *vcpu, uint64_t gpa, uint64_t value, uint32_t width)
{
    (void)vcpu;
    (void)gpa;
    (void)value;
    (void)width;
    ++*writes();
}

/* One that has its vCPU kicked meanwhile. */
static void port_write(struct bp_vcpu *vcpu, uint16_t port, uint32_t value, uint32_t width)
{
    (void)vcpu;
    (void)port;
    (void)value;
    (void)width;
    ++*writes();
    the_machine()->ops->vcpu_kick(the_machine()->vcpu);
}

static struct bp_bus the_bus(void)
{
    return (struct bp_bus){
        .size = sizeof(struct bp_bus), .mmio_write = device_write, .pio_write = port_write};
}

static int set_up(void **state)
{
    const char *config[] = {"/dev/kvm"};
    struct machine *m = the_machine();

    fake_kvm_reset();
    alarm(RIG_SECONDS);
    rig_forget();
    *writes() = 0;
    *m = (struct machine){.ops = rig_ops(), .bus = the_bus()};
    if (m->ops->vm_create(rig_host(), rig_node(), config, 1, &m->vm) ||
        m->ops->vcpu_create(m->vm, 0, NULL, &m->bus, &m->vcpu))
        return -1;
    m->debug = m->ops->extension(m->vm, BP_DEBUG_ID);
    *state = m;
    return m->debug ? 0 : -1;
}

static int tear_down(void **state)
{
    struct machine *m = *state;

    m->ops->vcpu_destroy(m->vcpu);
    m->ops->vm_destroy(m->vm);
    fake_kvm()->on = false;
    return 0;
}

static int set(struct machine *m, uint32_t flags, const struct bp_debug_point *points,
               uint32_t count)
{
    struct bp_debug_request request = {
        .size = sizeof(request), .flags = flags, .point_count = count};

    for (uint32_t i = 0; i < count; i++)
        request.points[i] = points[i];
    return m->debug->set(m->vcpu, &request);
}

static void runs_to(struct machine *m, int stop, uint32_t reasons, uint32_t points)
{
    struct bp_debug_stop why = {.size = sizeof(why)};

    assert_int_equal(m->ops->vcpu_run(m->vcpu), stop);
    m->debug->why(m->vcpu, &why);
    assert_int_equal(why.reasons, reasons);
    assert_int_equal(why.points, points);
}

/* ---- what KVM is told ----------------------------------------------------------------------- */

static void each_flag_is_one_of_kvms(void **state)
{
    static const struct {
        uint32_t flags, control;
    } cases[] = {
        {BP_DEBUG_STEP, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP},
        {BP_DEBUG_SOFTWARE, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP},
        {BP_DEBUG_HOLD, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_BLOCKIRQ},
        {BP_DEBUG_STEP | BP_DEBUG_SOFTWARE | BP_DEBUG_HOLD,
         KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP |
             KVM_GUESTDBG_BLOCKIRQ},
        {0, 0},
    };
    static const struct kvm_guest_debug_arch none;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(set(*state, cases[i].flags, NULL, 0), 0);
        assert_int_equal(fake_kvm()->debug.control, cases[i].control);
        assert_memory_equal(&fake_kvm()->debug.arch, &none, sizeof(none));
    }
}

static void points_are_debug_registers(void **state)
{
    static const struct bp_debug_point points[] = {
        {.address = 0x1001, .kind = BP_DEBUG_EXECUTE, .length = 1},
        {.address = 0x2002, .kind = BP_DEBUG_WRITE, .length = 2},
        {.address = 0x3004, .kind = BP_DEBUG_ACCESS, .length = 4},
        {.address = 0xffffffff80000008, .kind = BP_DEBUG_WRITE, .length = 8},
    };
    const struct kvm_guest_debug_arch *arch = &fake_kvm()->debug.arch;

    assert_int_equal(set(*state, 0, points, 4), 0);
    assert_int_equal(fake_kvm()->debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(arch->debugreg[i], points[i].address);
    /* G0 to G3; R/W and LEN of each, from bit 16 on: 0 0, 1 1, 3 3, 1 2. */
    assert_int_equal(arch->debugreg[7], 0x400 | 0xaa | UINT64_C(0x9f50) << 16);
    assert_int_equal(set(*state, BP_DEBUG_STEP, points, 1), 0);
    assert_int_equal(fake_kvm()->debug.control,
                     KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_SINGLESTEP);
    assert_int_equal(arch->debugreg[7], 0x402);
    assert_int_equal(arch->debugreg[1], 0);
    assert_int_equal(set(*state, 0, NULL, 0), 0);
    assert_int_equal(arch->debugreg[7], 0);
}

static void a_kvm_that_cannot_hold_interrupts_is_told(void **state)
{
    fake_kvm()->debug_flags = 0;
    assert_int_equal(set(*state, BP_DEBUG_HOLD, NULL, 0), -ENOTSUP);
    assert_string_equal(rig_failure(), "this host's KVM cannot hold interrupts while a guest is "
                                       "debugged: it needs Linux 5.16 or later");
    assert_int_equal(fake_kvm()->debugs, 0);
}

static void a_kvm_that_does_not_debug_is_told(void **state)
{
    fake_kvm()->refused = KVM_SET_GUEST_DEBUG;
    fake_kvm()->refused_errno = EINVAL;
    assert_int_equal(set(*state, BP_DEBUG_SOFTWARE, NULL, 0), -EINVAL);
    assert_string_equal(rig_failure(), "KVM_SET_GUEST_DEBUG: Invalid argument");
}

/* ---- what it answers ------------------------------------------------------------------------ */

static int exit_debug(struct kvm_run *run, uint32_t exception, uint64_t dr6)
{
    run->exit_reason = KVM_EXIT_DEBUG;
    run->debug.arch.exception = exception;
    run->debug.arch.dr6 = dr6;
    return 0;
}

static int steps(struct kvm_run *run, unsigned n)
{
    (void)n;
    return exit_debug(run, 1, DR6_BS);
}

static void a_step_is_asked_for_before_each_run(void **state)
{
    fake_kvm()->script = steps;
    assert_int_equal(set(*state, BP_DEBUG_STEP, NULL, 0), 0);
    runs_to(*state, BP_STOP_DEBUG, BP_DEBUG_BY_STEP, 0);
    runs_to(*state, BP_STOP_DEBUG, BP_DEBUG_BY_STEP, 0);
    assert_int_equal(fake_kvm()->debugs, 3);
    assert_int_equal(fake_kvm()->runs, 2);
}

static int meets_int3(struct kvm_run *run, unsigned n)
{
    (void)n;
    return exit_debug(run, 3, 0);
}

static void int3_is_told(void **state)
{
    fake_kvm()->script = meets_int3;
    assert_int_equal(set(*state, BP_DEBUG_SOFTWARE, NULL, 0), 0);
    runs_to(*state, BP_STOP_DEBUG, BP_DEBUG_BY_SOFTWARE, 0);
    assert_int_equal(fake_kvm()->debugs, 1);
}

static int meets_points(struct kvm_run *run, unsigned n)
{
    static const uint64_t dr6[] = {2, 1, DR6_BS | 2};

    return exit_debug(run, 1, dr6[n]);
}

/* RF is for one that is met before its instruction; what is written to has been. */
static void points_are_told_and_an_instructions_is_passed(void **state)
{
    static const struct bp_debug_point points[] = {
        {.address = 0x1000, .kind = BP_DEBUG_EXECUTE, .length = 1},
        {.address = 0x2000, .kind = BP_DEBUG_WRITE, .length = 4}};

    fake_kvm()->script = meets_points;
    assert_int_equal(set(*state, 0, points, 2), 0);
    runs_to(*state, BP_STOP_DEBUG, BP_DEBUG_BY_POINT, 2);
    runs_to(*state, BP_STOP_DEBUG, BP_DEBUG_BY_POINT, 1);
    assert_int_equal(fake_kvm()->rflags, 2);
    runs_to(*state, BP_STOP_DEBUG, BP_DEBUG_BY_POINT | BP_DEBUG_BY_STEP, 2);
    assert_int_equal(fake_kvm()->rflags, 2 | RFLAGS_RF);
}

/* ---- writes to devices, whose step KVM loses ------------------------------------------------ */

static int comes_out_if_asked(struct kvm_run *run)
{
    if (!run->immediate_exit)
        fail_msg("the guest runs on behind its instruction");
    errno = EINTR;
    return -1;
}

/* A write of 16 bytes is two exits. */
static int writes_memory(struct kvm_run *run, unsigned n)
{
    if (n == 2)
        return comes_out_if_asked(run);
    if (n == 3)
        return exit_debug(run, 1, DR6_BS);
    run->exit_reason = KVM_EXIT_MMIO;
    run->mmio.phys_addr = 0x9000000 + 8 * n;
    run->mmio.len = 8;
    run->mmio.is_write = 1;
    return 0;
}

static void a_step_ends_with_the_write_to_a_device(void **state)
{
    fake_kvm()->script = writes_memory;
    assert_int_equal(set(*state, BP_DEBUG_STEP, NULL, 0), 0);
    runs_to(*state, BP_STOP_DEBUG, BP_DEBUG_BY_STEP, 0);
    assert_int_equal(*writes(), 2);
    assert_int_equal(fake_kvm()->runs, 3);
    runs_to(*state, BP_STOP_DEBUG, BP_DEBUG_BY_STEP, 0);
    assert_int_equal(fake_kvm()->runs, 4);
}

static int writes_port(struct kvm_run *run, unsigned n)
{
    if (n)
        return comes_out_if_asked(run);
    run->exit_reason = KVM_EXIT_IO;
    run->io.direction = KVM_EXIT_IO_OUT;
    run->io.port = 0x80;
    run->io.size = 1;
    run->io.count = 1;
    return 0;
}

static void a_kick_during_the_write_waits_for_the_step(void **state)
{
    fake_kvm()->script = writes_port;
    assert_int_equal(set(*state, BP_DEBUG_STEP, NULL, 0), 0);
    runs_to(*state, BP_STOP_DEBUG, BP_DEBUG_BY_STEP, 0);
    assert_int_equal(*writes(), 1);
    runs_to(*state, BP_STOP_KICKED, BP_DEBUG_BY_STEP, 0);
}

static int writes_and_stops(struct kvm_run *run, unsigned n)
{
    if (!n)
        return writes_memory(run, 0);
    if (n == 1)
        return exit_debug(run, 1, DR6_BS);
    if (run->immediate_exit)
        fail_msg("KVM is asked to come out of a step that is over");
    return exit_debug(run, 1, DR6_BS);
}

static void a_kvm_that_stops_by_itself_is_not_asked_twice(void **state)
{
    fake_kvm()->script = writes_and_stops;
    assert_int_equal(set(*state, BP_DEBUG_STEP, NULL, 0), 0);
    runs_to(*state, BP_STOP_DEBUG, BP_DEBUG_BY_STEP, 0);
    runs_to(*state, BP_STOP_DEBUG, BP_DEBUG_BY_STEP, 0);
    assert_int_equal(fake_kvm()->runs, 3);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_flag_is_one_of_kvms),
        CASE(points_are_debug_registers),
        CASE(a_kvm_that_cannot_hold_interrupts_is_told),
        CASE(a_kvm_that_does_not_debug_is_told),
        CASE(a_step_is_asked_for_before_each_run),
        CASE(int3_is_told),
        CASE(points_are_told_and_an_instructions_is_passed),
        CASE(a_step_ends_with_the_write_to_a_device),
        CASE(a_kick_during_the_write_waits_for_the_step),
        CASE(a_kvm_that_stops_by_itself_is_not_asked_twice),
    };

    return cmocka_run_group_tests_name("cpu_kvm_debug_calls", tests, NULL, NULL);
}
