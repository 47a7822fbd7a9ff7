/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/test_device.c - the sentence for everything that can be wrong with a host's KVM, by a
 * fake of it.
 *
 * It proves what is said, not that a real kernel fails in just this way.
 */
#include "fake_kvm.h"
#include "rig.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int create(const char *path)
{
    const char *config[] = {path};
    void *vm = NULL;
    int err;

    alarm(RIG_SECONDS);
    rig_forget();
    err = rig_ops()->vm_create(rig_host(), rig_node(), config, 2, &vm);
    if (err == 0)
        rig_ops()->vm_destroy(vm);
    return err;
}

static int set_up(void **state)
{
    (void)state;
    fake_kvm_reset();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_kvm()->on = false;
    return 0;
}

/* ---- opening -------------------------------------------------------------------------------- */

static void a_good_kvm_gives_a_machine(void **state)
{
    (void)state;
    assert_int_equal(create("/dev/kvm"), 0);
    assert_string_equal(rig_failure(), "");
}

static void no_device(void **state)
{
    (void)state;
    assert_int_equal(create("/nonexistent/kvm"), -ENODEV);
    assert_string_equal(
        rig_failure(),
        "/nonexistent/kvm does not exist: load the kernel module kvm_intel or kvm_amd, "
        "and if it refuses, enable virtualization in the firmware (on a virtual "
        "machine: nested virtualization)");
}

static void no_driver(void **state)
{
    (void)state;
    fake_kvm()->open_errno = ENXIO;
    assert_int_equal(create("/dev/kvm"), -ENODEV);
    assert_string_equal(rig_failure(), "/dev/kvm has no driver behind it: load the kernel module "
                                       "kvm_intel or kvm_amd");
}

static void no_permission_names_the_group_and_the_user(void **state)
{
    (void)state;
    fake_kvm()->open_errno = EACCES;
    fake_kvm()->device_group = 65534000; /* without a name on any host */
    fake_kvm()->user = 65534001;
    assert_int_equal(create("/dev/kvm"), -EACCES);
    assert_string_equal(
        rig_failure(),
        "/dev/kvm is open to group 65534000 only, and user 65534001 is not in it: run "
        "`usermod -aG 65534000 65534001` as root and log in again");
}

static void a_device_closed_to_its_group_wants_another_mode(void **state)
{
    (void)state;
    fake_kvm()->open_errno = EACCES;
    fake_kvm()->device_mode = S_IFCHR | 0600;
    fake_kvm()->user = 65534001;
    assert_int_equal(create("/dev/kvm"), -EACCES);
    assert_string_equal(
        rig_failure(),
        "/dev/kvm has group root and mode 0600, which is closed to user 65534001: run "
        "`chgrp kvm /dev/kvm` and `chmod 660 /dev/kvm` as root, and add the user to "
        "group kvm");
}

static void a_device_in_use(void **state)
{
    (void)state;
    fake_kvm()->open_errno = EBUSY;
    assert_int_equal(create("/dev/kvm"), -EBUSY);
    assert_string_equal(rig_failure(), "/dev/kvm is in use by another hypervisor: stop that first");
}

static void any_other_error_is_given_by_name(void **state)
{
    (void)state;
    fake_kvm()->open_errno = EMFILE;
    assert_int_equal(create("/dev/kvm"), -EMFILE);
    assert_string_equal(rig_failure(), "/dev/kvm cannot be opened: Too many open files");
}

static void another_file_is_no_kvm_device(void **state)
{
    (void)state;
    fake_kvm()->api_version = -1;
    assert_int_equal(create("/dev/kvm"), -ENODEV);
    assert_string_equal(rig_failure(),
                        "/dev/kvm is no KVM device: name the right one, usually /dev/kvm");
}

static void an_old_api(void **state)
{
    (void)state;
    fake_kvm()->api_version = 10;
    assert_int_equal(create("/dev/kvm"), -ENOTSUP);
    assert_string_equal(rig_failure(),
                        "/dev/kvm speaks version 10 of the KVM API, and version 12 is "
                        "needed: use a kernel from Linux 4.20 on");
}

static void a_missing_capability_is_named(void **state)
{
    (void)state;
    fake_kvm()->missing = KVM_CAP_EXCEPTION_PAYLOAD;
    assert_int_equal(create("/dev/kvm"), -ENOTSUP);
    assert_string_equal(
        rig_failure(),
        "/dev/kvm lacks KVM_CAP_EXCEPTION_PAYLOAD, which Linux has from 4.20 on: use a "
        "newer kernel, or another CPU backend");
}

static void another_hypervisor_holds_the_processor(void **state)
{
    (void)state;
    fake_kvm()->create_errno = EBUSY;
    assert_int_equal(create("/dev/kvm"), -EBUSY);
    assert_string_equal(rig_failure(), "/dev/kvm: another hypervisor holds the processor's "
                                       "virtualization: stop that first");
}

static void creation_is_tried_again_after_a_signal(void **state)
{
    (void)state;
    fake_kvm()->create_eintrs = 3;
    assert_int_equal(create("/dev/kvm"), 0);
    assert_int_equal(fake_kvm()->create_eintrs, 0);
}

static void a_machine_that_cannot_be_created(void **state)
{
    (void)state;
    fake_kvm()->create_errno = ENOMEM;
    assert_int_equal(create("/dev/kvm"), -ENOMEM);
    assert_string_equal(rig_failure(),
                        "/dev/kvm: a virtual machine cannot be created: Cannot allocate memory");
}

static void too_many_vcpus(void **state)
{
    (void)state;
    fake_kvm()->max_vcpus = 1;
    assert_int_equal(create("/dev/kvm"), -EINVAL);
    assert_string_equal(rig_failure(),
                        "/dev/kvm runs 1 to 1 vCPUs a machine, and this one has 2: set `cpus`");
}

static void a_kernel_without_controllers(void **state)
{
    (void)state;
    fake_kvm()->refused = KVM_CREATE_IRQCHIP;
    fake_kvm()->refused_errno = ENOSPC;
    assert_int_equal(create("/dev/kvm"), -ENOSPC);
    assert_string_equal(rig_failure(), "KVM_CREATE_IRQCHIP failed: No space left on device");
}

/* ---- a run that fails ----------------------------------------------------------------------- */

static int end_in(struct kvm_run *run, unsigned n)
{
    (void)n;
    memset(&run->internal, 0, sizeof(run->internal));
    run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
    run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
    return 0;
}

static int refuse_entry(struct kvm_run *run, unsigned n)
{
    (void)n;
    run->exit_reason = KVM_EXIT_FAIL_ENTRY;
    run->fail_entry.hardware_entry_failure_reason = 0x80000021;
    return 0;
}

static int end_unknown(struct kvm_run *run, unsigned n)
{
    (void)n;
    run->exit_reason = KVM_EXIT_UNKNOWN;
    run->hw.hardware_exit_reason = 7;
    return 0;
}

static int end_halted(struct kvm_run *run, unsigned n)
{
    (void)n;
    run->exit_reason = KVM_EXIT_HLT;
    return 0;
}

static int fault(struct kvm_run *run, unsigned n)
{
    (void)run;
    (void)n;
    errno = EFAULT;
    return -1;
}

/* Runs a machine of 64 KiB whose byte at 0x1234 and on is a known instruction. */
static int run_script(int (*script)(struct kvm_run *run, unsigned n))
{
    static uint8_t ram[0x2000] __attribute__((aligned(4096)));
    const char *config[] = {"/dev/kvm"};
    struct bp_mem_slot slot = {.size = sizeof(slot), .length = sizeof(ram), .host = ram};
    const struct bp_cpu_ops *ops = rig_ops();
    void *vm, *vcpu;
    int result;

    alarm(RIG_SECONDS);
    rig_forget();
    memcpy(ram + 0x1234, (const uint8_t[]){0x0f, 0x0b, 0x90}, 3);
    assert_int_equal(ops->vm_create(rig_host(), rig_node(), config, 1, &vm), 0);
    assert_int_equal(ops->mem_set(vm, &slot), 0);
    assert_int_equal(ops->vcpu_create(vm, 0, NULL, NULL, &vcpu), 0);
    fake_kvm()->script = script;
    result = ops->vcpu_run(vcpu);
    ops->vcpu_destroy(vcpu);
    ops->vm_destroy(vm);
    return result;
}

#define AT_RIP                                                                                     \
    " at 0010:0000000000001234, instruction bytes 0f 0b 90 00 00 00 00 00 00 00 00 00 00 00 00"

static void an_internal_error_shows_registers_and_bytes(void **state)
{
    (void)state;
    assert_int_equal(run_script(end_in), -EIO);
    assert_string_equal(rig_failure(),
                        "vCPU 0: KVM_RUN ended in KVM_EXIT_INTERNAL_ERROR 1 (it cannot "
                        "emulate the instruction)" AT_RIP);
    assert_string_equal(
        rig_log(3), "vCPU 0: rax 000000000000000a rbx 0000000000000000 rcx 0000000000000000 rdx "
                    "0000000000000000 rsi 0000000000000000 rdi 0000000000000000 rsp "
                    "0000000000000000 rbp 0000000000000000");
}

static void a_refused_entry(void **state)
{
    (void)state;
    assert_int_equal(run_script(refuse_entry), -EIO);
    assert_string_equal(rig_failure(),
                        "vCPU 0: KVM_RUN ended in KVM_EXIT_FAIL_ENTRY (the processor refuses the "
                        "guest's state, hardware reason 0x80000021)" AT_RIP);
}

static void an_exit_unknown_to_the_kernel(void **state)
{
    (void)state;
    assert_int_equal(run_script(end_unknown), -EIO);
    assert_string_equal(rig_failure(),
                        "vCPU 0: KVM_RUN ended in KVM_EXIT_UNKNOWN (hardware reason 0x7)" AT_RIP);
}

static void an_exit_that_is_not_used(void **state)
{
    (void)state;
    assert_int_equal(run_script(end_halted), -EIO);
    assert_string_equal(rig_failure(),
                        "vCPU 0: KVM_RUN ended in KVM_EXIT_HLT (number 5), which this "
                        "machine does not use" AT_RIP);
}

static void a_run_that_fails(void **state)
{
    (void)state;
    assert_int_equal(run_script(fault), -EFAULT);
    assert_string_equal(rig_failure(), "vCPU 0: KVM_RUN failed: Bad address" AT_RIP);
}

/* ---- the probe ------------------------------------------------------------------------------ */

static int out(struct kvm_run *run, uint8_t value)
{
    run->exit_reason = KVM_EXIT_IO;
    run->io.direction = KVM_EXIT_IO_OUT;
    run->io.size = 1;
    run->io.count = 1;
    run->io.port = 0x80;
    *((uint8_t *)run + run->io.data_offset) = value;
    return 0;
}

/* The reports of a guest that gets through. */
static const uint8_t good_steps[] = {1, 2, 3, 4, 5, 4, 5, 4, 5, 6};

static int good_guest(struct kvm_run *run, unsigned n)
{
    return out(run, good_steps[n]);
}

static int stops_in_int3(struct kvm_run *run, unsigned n)
{
    return n < 1 ? out(run, 1) : end_in(run, n);
}

static int shuts_down_in_cmpxchg16b(struct kvm_run *run, unsigned n)
{
    run->exit_reason = KVM_EXIT_SHUTDOWN;
    return n < 2 ? out(run, good_steps[n]) : 0;
}

static int wrong_in_xrstor(struct kvm_run *run, unsigned n)
{
    return n < 3 ? out(run, good_steps[n]) : out(run, 0xff);
}

/* A KVM that does not see the guest's XSETBV, and enters with the XCR0 that it knows of. */
static int misses_xsetbv(struct kvm_run *run, unsigned n)
{
    return fake_kvm()->xcr0 == 3 ? good_guest(run, n) : wrong_in_xrstor(run, n);
}

static int fails_at_once(struct kvm_run *run, unsigned n)
{
    return fault(run, n);
}

static int slow_guest(struct kvm_run *run, unsigned n)
{
    const struct timespec slow = {.tv_nsec = 60000000};

    if (good_steps[n] == 5)
        nanosleep(&slow, NULL);
    return out(run, good_steps[n]);
}

static int never_done(struct kvm_run *run, unsigned n)
{
    const struct timespec a_while = {.tv_nsec = 20000000};

    if (n < 1)
        return out(run, 1);
    nanosleep(&a_while, NULL);
    errno = EINTR;
    return -1;
}

static int64_t probe(int (*script)(struct kvm_run *run, unsigned n))
{
    alarm(RIG_SECONDS);
    rig_forget();
    fake_kvm()->script = script;
    return rig_ops()->probe(rig_host(), rig_node());
}

static void the_probe_takes_a_good_kvm(void **state)
{
    (void)state;
    assert_int_equal(probe(good_guest), BP_CPU_IRQCHIP | BP_CPU_SNAPSHOT);
    assert_string_equal(rig_failure(), "");
}

static void the_probe_refuses_a_page_table_kvm(void **state)
{
    (void)state;
    assert_int_equal(probe(stops_in_int3), -ENODEV);
    assert_string_equal(rig_failure(),
                        "/dev/kvm cannot run a stock kernel: INT3 in ring 0 ends in "
                        "KVM_EXIT_INTERNAL_ERROR (this host offers a page-table based KVM)");
}

static void the_probe_refuses_a_guest_that_shuts_down(void **state)
{
    (void)state;
    assert_int_equal(probe(shuts_down_in_cmpxchg16b), -ENODEV);
    assert_string_equal(rig_failure(),
                        "/dev/kvm cannot run a stock kernel: CMPXCHG16B in ring 0 ends "
                        "in KVM_EXIT_SHUTDOWN");
}

static void the_probe_refuses_wrong_results(void **state)
{
    (void)state;
    assert_int_equal(probe(wrong_in_xrstor), -ENODEV);
    assert_string_equal(rig_failure(),
                        "/dev/kvm cannot run a stock kernel: XRSTOR in ring 0 gives a "
                        "wrong result");
}

static void the_probe_takes_a_kvm_that_misses_xsetbv(void **state)
{
    (void)state;
    fake_kvm()->has_xsave = true;
    assert_int_equal(probe(misses_xsetbv), BP_CPU_IRQCHIP | BP_CPU_SNAPSHOT);
    assert_string_equal(rig_failure(), "");
}

static void the_probe_leaves_xcr0_to_the_guest_where_kvm_refuses_it(void **state)
{
    (void)state;
    fake_kvm()->has_xsave = true;
    fake_kvm()->refused = KVM_SET_XCRS;
    fake_kvm()->refused_errno = EINVAL;
    assert_int_equal(probe(good_guest), BP_CPU_IRQCHIP | BP_CPU_SNAPSHOT);
    fake_kvm()->runs = 0;
    assert_int_equal(probe(misses_xsetbv), -ENODEV);
    assert_string_equal(rig_failure(),
                        "/dev/kvm cannot run a stock kernel: XRSTOR in ring 0 gives a "
                        "wrong result");
}

static void the_probe_refuses_a_run_that_fails(void **state)
{
    (void)state;
    assert_int_equal(probe(fails_at_once), -ENODEV);
    assert_string_equal(rig_failure(),
                        "/dev/kvm cannot run a stock kernel: entering long mode in ring "
                        "0 has KVM_RUN fail: Bad address");
}

static void the_probe_refuses_a_slow_kvm(void **state)
{
    const char *head = "/dev/kvm runs guest kernel code ";
    const char *tail =
        " times slower than the host: 20 times is the most that is taken without asking";
    const char *digits, *end;

    (void)state;
    assert_int_equal(probe(slow_guest), -ENODEV);
    assert_memory_equal(rig_failure(), head, strlen(head));
    digits = rig_failure() + strlen(head);
    end = digits + strspn(digits, "0123456789");
    assert_true(end > digits);
    assert_string_equal(end, tail);
}

static void the_probe_ends_when_the_guest_does_not(void **state)
{
    (void)state;
    assert_int_equal(probe(never_done), -ENODEV);
    assert_string_equal(
        rig_failure(),
        "/dev/kvm cannot run a stock kernel: INT3 in ring 0 is not done after 700 ms");
}

static void the_probe_says_what_vm_create_says(void **state)
{
    (void)state;
    fake_kvm()->open_errno = ENOENT;
    assert_int_equal(probe(good_guest), -ENODEV);
    assert_string_equal(
        rig_failure(),
        "/dev/kvm does not exist: load the kernel module kvm_intel or kvm_amd, and if "
        "it refuses, enable virtualization in the firmware (on a virtual machine: "
        "nested virtualization)");
    fake_kvm()->open_errno = 0;
    fake_kvm()->missing = KVM_CAP_IRQCHIP;
    assert_int_equal(probe(good_guest), -ENOTSUP);
    assert_string_equal(rig_failure(),
                        "/dev/kvm lacks KVM_CAP_IRQCHIP, which Linux has from 2.6.25 on: "
                        "use a newer kernel, or another CPU backend");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_kvm_gives_a_machine),
        TEST(no_device),
        TEST(no_driver),
        TEST(no_permission_names_the_group_and_the_user),
        TEST(a_device_closed_to_its_group_wants_another_mode),
        TEST(a_device_in_use),
        TEST(any_other_error_is_given_by_name),
        TEST(another_file_is_no_kvm_device),
        TEST(an_old_api),
        TEST(a_missing_capability_is_named),
        TEST(another_hypervisor_holds_the_processor),
        TEST(creation_is_tried_again_after_a_signal),
        TEST(a_machine_that_cannot_be_created),
        TEST(too_many_vcpus),
        TEST(a_kernel_without_controllers),
        TEST(an_internal_error_shows_registers_and_bytes),
        TEST(a_refused_entry),
        TEST(an_exit_unknown_to_the_kernel),
        TEST(an_exit_that_is_not_used),
        TEST(a_run_that_fails),
        TEST(the_probe_takes_a_good_kvm),
        TEST(the_probe_refuses_a_page_table_kvm),
        TEST(the_probe_refuses_a_guest_that_shuts_down),
        TEST(the_probe_refuses_wrong_results),
        TEST(the_probe_takes_a_kvm_that_misses_xsetbv),
        TEST(the_probe_leaves_xcr0_to_the_guest_where_kvm_refuses_it),
        TEST(the_probe_refuses_a_run_that_fails),
        TEST(the_probe_refuses_a_slow_kvm),
        TEST(the_probe_ends_when_the_guest_does_not),
        TEST(the_probe_says_what_vm_create_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
