/* SPDX-License-Identifier: MIT
 *
 * hvf/test_host.c - what the framework refuses is told in sentences; memory slots, dirty pages,
 * read-only memory. What a machine of any backend does is in cpu-kvm/test_machine.c.
 */
#include "cpu-kvm/rig.h"

#include "standin.h"

#include <backplane/ext/dirty_log.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define DONE 0xe6, PORT_DONE
#define LOAD_LONG(r, ...)                                                                          \
    do {                                                                                           \
        static const uint8_t code[] = {__VA_ARGS__};                                               \
        rig_load_long(r, code, sizeof(code));                                                      \
    } while (0)

/* ---- refusals ------------------------------------------------------------------------------- */

static void probe_finds_a_host_that_can(void **state)
{
    (void)state;
    assert_int_equal(rig_ops()->probe(rig_host(), rig_node()), 0);
    /* It leaves nothing open. */
    assert_int_equal(rig_ops()->probe(rig_host(), rig_node()), 0);
}

static void a_framework_that_refuses_is_told_with_what_to_do(void **state)
{
    static const struct {
        hv_return_t result;
        int err;
        const char *text;
    } cases[] = {
        {HV_DENIED, -EACCES,
         "macOS denies this program its hypervisor, as it is not signed with the entitlement "
         "com.apple.security.hypervisor: run scripts/sign-macos"},
        {HV_UNSUPPORTED, -ENODEV,
         "this Mac has no hypervisor (sysctl kern.hv_support tells): its processor, or the virtual "
         "machine that it is, lacks VMX"},
        {HV_NO_DEVICE, -ENODEV,
         "this Mac has no hypervisor (sysctl kern.hv_support tells): its processor, or the virtual "
         "machine that it is, lacks VMX"},
        {HV_NO_RESOURCES, -EIO, "Hypervisor.framework creates no virtual machine: HV_NO_RESOURCES"},
        {0x1234, -EIO, "Hypervisor.framework creates no virtual machine: error 0x1234"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        standin_refuse(cases[i].result);
        rig_forget();
        assert_int_equal(rig_ops()->probe(rig_host(), rig_node()), cases[i].err);
        assert_string_equal(rig_failure(), cases[i].text);
    }
    standin_refuse(HV_SUCCESS);
}

static void a_processor_that_lacks_what_is_needed_is_refused(void **state)
{
    static const struct {
        hv_vmx_capability_t capability;
        uint32_t bits;
        const char *lacks;
    } cases[] = {
        {HV_VMX_CAP_PINBASED, PIN_VIRTUAL_NMI, "virtual NMIs"},
        {HV_VMX_CAP_PROCBASED, PROC_TSC_OFFSET, "exits that emulation needs"},
        {HV_VMX_CAP_PROCBASED2, PROC2_UNRESTRICTED,
         "unrestricted guests (Intel's since 2010 have them)"},
        {HV_VMX_CAP_ENTRY, ENTRY_LOAD_EFER, "EFER at VM entry"},
        {HV_VMX_CAP_EXIT, EXIT_SAVE_EFER, "EFER at VM exit"},
    };
    char text[200];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        standin_lack(cases[i].capability, cases[i].bits);
        assert_int_equal(rig_ops()->probe(rig_host(), rig_node()), -ENOTSUP);
        snprintf(text, sizeof(text), "this processor cannot run guests here: it lacks %s",
                 cases[i].lacks);
        assert_string_equal(rig_failure(), text);
        standin_lack(cases[i].capability, 0);
    }
}

static void a_second_machine_in_the_process_is_refused(void **state)
{
    struct rig *r = rig_new(1);
    void *second;

    (void)state;
    assert_int_equal(r->ops->vm_create(rig_host(), rig_node(), NULL, 1, &second), -EBUSY);
    assert_string_equal(rig_failure(),
                        "this process has a virtual machine already, and Hypervisor.framework "
                        "allows one: use another process, or cpu-interp");
    rig_free(r);
}

static void memory_that_overlaps_is_refused(void **state)
{
    struct rig *r = rig_new(1);
    const struct bp_mem_slot slot = {
        .size = sizeof(slot), .index = 1, .gpa = 0x1000, .length = 0x1000, .host = r->ram};

    (void)state;
    assert_int_equal(r->ops->mem_set(r->vm, &slot), -EINVAL);
    assert_string_equal(rig_failure(), "memory slot 1 at 0x1000 cannot be set: HV_ERROR");
    rig_free(r);
}

/* ---- state that no processor can be in ------------------------------------------------------ */

static void a_state_that_no_processor_can_be_in_is_told_when_run(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_sys sys;

    (void)state;
    LOAD_LONG(r, DONE);
    rig_get(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    sys.tr.attributes = 0x89;
    rig_set(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    assert_int_equal(r->ops->vcpu_run(r->vcpus[0]), -EIO);
    assert_string_equal(
        rig_failure(),
        "vCPU 0 cannot go on: no processor can be in its state (exit reason 0x80000021, "
        "qualification 0x0, at 0x0; cs 0x8 rip 0x1000 rsp 0x7000 rflags 0x2 cr0 0x80010033 cr3 "
        "0x3000 cr4 0x620 efer 0x500)");
    rig_free(r);
}

/* ---- memory --------------------------------------------------------------------------------- */

static void writes_to_read_only_memory_go_to_the_bus(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_mem_slot slot = {.size = sizeof(slot), .length = 0x3000 + 0x4000, .host = r->ram};

    (void)state;
    assert_int_equal(r->ops->mem_set(r->vm, &slot), 0);
    slot = (struct bp_mem_slot){.size = sizeof(slot),
                                .index = 1,
                                .flags = BP_RAM_READONLY,
                                .gpa = 0x7000,
                                .length = 0x1000,
                                .host = r->ram + 0x7000};
    assert_int_equal(r->ops->mem_set(r->vm, &slot), 0);
    LOAD_LONG(r, 0x8b, 0x04, 0x25, 0x00, 0x70, 0, 0, /* mov 0x7000,%eax */
              0x89, 0x04, 0x25, 0x04, 0x70, 0, 0,    /* mov %eax,0x7004 */
              DONE);
    memcpy(r->ram + 0x7000, "ROM!", 4);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->access_count, 1);
    rig_expect(r, 0, true, true, 0x7004, 0x214d4f52, 4);
    assert_int_equal(r->ram[0x7004], 0);
    rig_free(r);
}

static const struct bp_dirty_log *log_of(struct rig *r)
{
    return r->ops->extension(r->vm, BP_DIRTY_LOG_ID);
}

static void pages_that_the_guest_writes_are_logged_once(void **state)
{
    struct rig *r = rig_new(1);
    uint64_t bitmap[RIG_RAM_BYTES / 4096 / 64];

    (void)state;
    LOAD_LONG(r, 0x89, 0x04, 0x25, 0x00, 0x90, 0, 0,    /* mov %eax,0x9000 */
              0xf0, 0xff, 0x04, 0x25, 0x00, 0xb0, 0, 0, /* lock incl 0xb000 */
              0x89, 0x04, 0x25, 0xfe, 0xcf, 0, 0,       /* mov %eax,0xcffe: two pages */
              DONE);
    assert_int_equal(log_of(r)->enable(r->vm, 0, 1), 0);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->access_count, 0);
    assert_int_equal(r->ram[0xb000], 1);
    assert_int_equal(log_of(r)->fetch(r->vm, 0, bitmap, sizeof(bitmap)), 0);
    /* And the page tables, in which A and D were set. */
    assert_int_equal(bitmap[0] & ~UINT64_C(0x38), 1u << 9 | 1u << 11 | 1u << 12 | 1u << 13);
    assert_int_equal(log_of(r)->fetch(r->vm, 0, bitmap, sizeof(bitmap)), 0);
    assert_int_equal(bitmap[0], 0);
    LOAD_LONG(r, 0x89, 0x04, 0x25, 0x00, 0x90, 0, 0, DONE);
    assert_int_equal(log_of(r)->fetch(r->vm, 0, bitmap, sizeof(bitmap)), 0);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(log_of(r)->fetch(r->vm, 0, bitmap, sizeof(bitmap)), 0);
    assert_true(bitmap[0] & 1u << 9);
    assert_false(bitmap[0] & 1u << 11);
    assert_int_equal(log_of(r)->enable(r->vm, 0, 0), 0);
    assert_int_equal(log_of(r)->fetch(r->vm, 0, bitmap, sizeof(bitmap)), -EINVAL);
    rig_free(r);
}

static void what_an_emulated_string_writes_is_logged(void **state)
{
    struct rig *r = rig_new(1);
    uint64_t bitmap[RIG_RAM_BYTES / 4096 / 64];

    (void)state;
    LOAD_LONG(r, 0xbf, 0x00, 0xa0, 0, 0, /* mov $0xa000,%edi */
              0xfc, 0xf3, 0x6c, DONE);   /* cld; rep insb */
    assert_int_equal(log_of(r)->enable(r->vm, 0, 1), 0);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(log_of(r)->fetch(r->vm, 0, bitmap, sizeof(bitmap)), 0);
    assert_true(bitmap[0] & 1u << 10);
    rig_free(r);
}

static void a_log_of_no_slot_or_of_too_little_room_is_refused(void **state)
{
    struct rig *r = rig_new(1);
    uint64_t bitmap[2];

    (void)state;
    assert_int_equal(log_of(r)->enable(r->vm, 5, 1), -ENOENT);
    assert_int_equal(log_of(r)->fetch(r->vm, 5, bitmap, sizeof(bitmap)), -ENOENT);
    assert_int_equal(log_of(r)->enable(r->vm, 0, 1), 0);
    assert_int_equal(log_of(r)->fetch(r->vm, 0, bitmap, 8), -EINVAL);
    assert_null(r->ops->extension(r->vm, "bp.doorbell/1"));
    rig_free(r);
}

/* ---- time ----------------------------------------------------------------------------------- */

static uint64_t tsc_of(struct rig *r)
{
    struct bp_x86_clock clock;

    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_CLOCK, &clock, sizeof(clock)), 0);
    return clock.tsc;
}

static void the_tsc_stands_still_while_time_does(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_clock clock;
    struct bp_x86_gpr gpr;
    uint64_t stopped, guest;

    (void)state;
    r->ops->vm_time(r->vm, BP_TIME_STOPPED);
    stopped = tsc_of(r);
    assert_int_equal(tsc_of(r), stopped);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_CLOCK, &clock, sizeof(clock)), 0);
    clock.tsc = UINT64_C(1) << 50;
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_CLOCK, &clock, sizeof(clock)), 0);
    assert_int_equal(tsc_of(r), UINT64_C(1) << 50);
    r->ops->vm_time(r->vm, BP_TIME_RUNS);
    LOAD_LONG(r, 0x0f, 0x31, DONE); /* rdtsc */
    rig_run(r, BP_STOP_KICKED);
    rig_get(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
    guest = gpr.rdx << 32 | gpr.rax;
    assert_true(guest > UINT64_C(1) << 50);
    assert_true(guest < tsc_of(r));
    clock.tsc_hz++;
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_CLOCK, &clock, sizeof(clock)), -EINVAL);
    rig_free(r);
}

/* ---- vCPUs ---------------------------------------------------------------------------------- */

struct second {
    struct rig *rig;
    int kicked; /* atomic */
};

static void *second_thread(void *context)
{
    struct second *s = context;
    struct rig *r = s->rig;

    rig_add_vcpu(r, 1);
    r->ops->vcpu_run(r->vcpus[1]);                         /* it waits to be started */
    while (!__atomic_load_n(&s->kicked, __ATOMIC_ACQUIRE)) /* nobody kicks what is gone */
        sched_yield();
    rig_remove_vcpu(r, 1);
    return NULL;
}

static void a_vcpu_that_waits_to_be_started_is_kicked(void **state)
{
    struct rig *r = rig_new(2);
    struct second s = {.rig = r};
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, second_thread, &s), 0);
    while (!__atomic_load_n(&r->vcpus[1], __ATOMIC_ACQUIRE))
        sched_yield();
    r->ops->vcpu_kick(r->vcpus[1]);
    __atomic_store_n(&s.kicked, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probe_finds_a_host_that_can),
        cmocka_unit_test(a_framework_that_refuses_is_told_with_what_to_do),
        cmocka_unit_test(a_processor_that_lacks_what_is_needed_is_refused),
        cmocka_unit_test(a_second_machine_in_the_process_is_refused),
        cmocka_unit_test(memory_that_overlaps_is_refused),
        cmocka_unit_test(a_state_that_no_processor_can_be_in_is_told_when_run),
        cmocka_unit_test(writes_to_read_only_memory_go_to_the_bus),
        cmocka_unit_test(pages_that_the_guest_writes_are_logged_once),
        cmocka_unit_test(what_an_emulated_string_writes_is_logged),
        cmocka_unit_test(a_log_of_no_slot_or_of_too_little_room_is_refused),
        cmocka_unit_test(the_tsc_stands_still_while_time_does),
        cmocka_unit_test(a_vcpu_that_waits_to_be_started_is_kicked),
    };

    return cmocka_run_group_tests_name("hvf_host", tests, NULL, NULL);
}
