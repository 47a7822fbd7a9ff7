/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/test_chips.c - what KVM brings along: its interrupt controllers and PIT as sets,
 * doorbells. What every backend does with interrupts is in test_machine.c.
 */
#include "waiter.h"

#include <backplane/ext/doorbell.h>

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define VECTOR 0x41u
#define MSI_ADDRESS 0xfee00000u

/* ---- interrupts ----------------------------------------------------------------------------- */

static void the_pits_line_is_input_2_of_the_io_apic(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_ioapic ioapic;
    struct bp_x86_pit pit;

    (void)state;
    enable_lapic(r);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_IOAPIC, &ioapic, sizeof(ioapic)), 0);
    ioapic.redirection[2] = VECTOR; /* fixed, edge, to APIC 0 */
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_IOAPIC, &ioapic, sizeof(ioapic)), 0);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_PIT, &pit, sizeof(pit)), 0);
    pit.channel[0] =
        (struct bp_x86_pit_channel){.count = 11932, .mode = 2, .rw_mode = 3, .gate = 1};
    load_waiter(r, VECTOR);
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_PIT, &pit, sizeof(pit)), 0);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->done, 1);
    rig_free(r);
}

static void a_line_that_does_not_exist_is_logged(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    r->ops->irq(r->vm, 24, 1);
    assert_string_equal(rig_log(0), "interrupt line 24 is not below 24");
    /* The host says GUEST messages at a bounded rate, and only if asked. */
    assert_int_equal(rig_log_level() & BP_LOG_GUEST, BP_LOG_GUEST);
    rig_free(r);
}

static void the_chips_come_back_as_set_and_reset(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_pic pic, pic_out, pic_first;
    struct bp_x86_ioapic ioapic, ioapic_out, ioapic_first;

    (void)state;
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_PIC, &pic_first, sizeof(pic)), 0);
    pic = pic_first;
    pic.chip[0].irq_base = 0x20;
    pic.chip[0].imr = 0xfb;
    pic.chip[1].irq_base = 0x28;
    pic.chip[1].elcr = 0x0c;
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_PIC, &pic, sizeof(pic)), 0);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_PIC, &pic_out, sizeof(pic)), 0);
    assert_memory_equal(&pic, &pic_out, sizeof(pic));
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_IOAPIC, &ioapic_first, sizeof(ioapic)), 0);
    assert_int_equal(ioapic_first.base_address, 0xfec00000);
    ioapic = ioapic_first;
    ioapic.redirection[4] = 0x31;
    ioapic.redirection[23] = 0x0100000000018041;
    ioapic.ioregsel = 0x10;
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_IOAPIC, &ioapic, sizeof(ioapic)), 0);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_IOAPIC, &ioapic_out, sizeof(ioapic)), 0);
    assert_memory_equal(&ioapic, &ioapic_out, sizeof(ioapic));
    assert_int_equal(r->ops->vcpu_reset(r->vcpus[0]), 0);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_PIC, &pic_out, sizeof(pic)), 0);
    assert_memory_equal(&pic_first, &pic_out, sizeof(pic));
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_IOAPIC, &ioapic_out, sizeof(ioapic)), 0);
    assert_memory_equal(&ioapic_first, &ioapic_out, sizeof(ioapic));
    pic.chip[1].priority_add = 8;
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_PIC, &pic, sizeof(pic)), -EINVAL);
    assert_string_equal(rig_failure(),
                        "x86.pic/1: priority 8 is not below 8, or initialization state "
                        "0 not below 4");
    rig_free(r);
}

static void the_pit_comes_back_as_set(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_pit in, out;

    (void)state;
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_PIT, &in, sizeof(in)), 0);
    in.channel[0] = (struct bp_x86_pit_channel){.count = 1193, .mode = 2, .rw_mode = 3, .gate = 1};
    in.channel[2].count = 65536;
    in.channel[2].mode = 0;
    in.speaker_on = 1;
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_PIT, &in, sizeof(in)), 0);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_PIT, &out, sizeof(out)), 0);
    for (unsigned i = 0; i < 3; i++)
        in.channel[i].load_time_ns = out.channel[i].load_time_ns; /* loaded anew */
    assert_memory_equal(&in, &out, sizeof(in));
    in.channel[1].count = 65537;
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_PIT, &in, sizeof(in)), -EINVAL);
    rig_free(r);
}

/* ---- doorbells ------------------------------------------------------------------------------ */

static const struct bp_cpu_doorbell *doorbell_of(struct rig *r)
{
    const struct bp_cpu_doorbell *d = r->ops->extension(r->vm, BP_DOORBELL_ID);

    assert_non_null(d);
    assert_null(r->ops->extension(r->vm, "bp.nonsense/1"));
    return d;
}

static uint64_t rings(int fd)
{
    uint64_t count = 0;

    return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void a_doorbell_takes_its_port_write_and_no_other(void **state)
{
    /* mov $5,%al; out %al,%dx; mov $6,%al; out %al,%dx; out %al,done */
    static const uint8_t code[] = {0xb0, 5, 0xee, 0xb0, 6, 0xee, 0xe6, PORT_DONE};
    struct rig *r = rig_new(1);
    const struct bp_cpu_doorbell *d = doorbell_of(r);
    int fd = eventfd(0, EFD_NONBLOCK);

    (void)state;
    assert_int_equal(d->ioeventfd(r->vm, BP_SPACE_PIO, 0x80, 1, 5, fd, 1), 0);
    rig_load_real(r, code, sizeof(code));
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(rings(fd), 1);
    assert_int_equal(r->access_count, 1);
    rig_expect(r, 0, false, true, 0x80, 6, 1);
    assert_int_equal(d->ioeventfd(r->vm, BP_SPACE_PIO, 0x80, 1, 5, fd, 0), 0);
    rig_load_real(r, code, sizeof(code));
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(rings(fd), 0);
    assert_int_equal(r->access_count, 3);
    close(fd);
    rig_free(r);
}

static void a_doorbell_of_any_width_takes_every_memory_write(void **state)
{
    /* mov %al,(%rdi); mov %ax,(%rdi); mov %eax,(%rdi); out %al,done */
    static const uint8_t code[] = {0x88, 0x07, 0x66, 0x89, 0x07, 0x89, 0x07, 0xe6, PORT_DONE};
    struct rig *r = rig_new(1);
    const struct bp_cpu_doorbell *d = doorbell_of(r);
    int fd = eventfd(0, EFD_NONBLOCK);

    (void)state;
    assert_int_equal(d->ioeventfd(r->vm, BP_SPACE_MMIO, LONG_MMIO, 0, BP_DOORBELL_ANY_VALUE, fd, 1),
                     0);
    rig_load_long(r, code, sizeof(code));
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(rings(fd), 3);
    assert_int_equal(r->access_count, 0);
    close(fd);
    rig_free(r);
}

static void doorbells_that_cannot_be_are_refused(void **state)
{
    struct rig *r = rig_new(1);
    const struct bp_cpu_doorbell *d = doorbell_of(r);
    int fd = eventfd(0, EFD_NONBLOCK);

    (void)state;
    assert_int_equal(d->ioeventfd(r->vm, BP_SPACE_PIO, 0x80, 3, 1, fd, 1), -EINVAL);
    assert_int_equal(d->ioeventfd(r->vm, BP_SPACE_PIO, 0x80, 8, 1, fd, 1), -EINVAL);
    assert_int_equal(d->ioeventfd(r->vm, BP_SPACE_PIO, 0x10000, 1, 1, fd, 1), -EINVAL);
    assert_int_equal(d->ioeventfd(r->vm, BP_SPACE_MMIO, 0x1000, 1, 256, fd, 1), -EINVAL);
    assert_int_equal(d->ioeventfd(r->vm, BP_SPACE_MMIO, 0x1000, 0, 1, fd, 1), -EINVAL);
    assert_int_equal(d->ioeventfd(r->vm, 7, 0x1000, 1, 1, fd, 1), -EINVAL);
    assert_int_equal(d->ioeventfd(r->vm, BP_SPACE_PIO, 0x80, 1, 1, fd, 0), -ENOENT);
    assert_int_equal(d->irqfd(r->vm, fd, MSI_ADDRESS, VECTOR, 0), -ENOENT);
    assert_int_equal(d->irqfd(r->vm, -1, MSI_ADDRESS, VECTOR, 1), -EINVAL);
    assert_int_equal(d->irqfd(r->vm, STDERR_FILENO, MSI_ADDRESS, VECTOR, 1), -EINVAL);
    close(fd);
    rig_free(r);
}

static void ring(int fd)
{
    const uint64_t one = 1;

    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void an_fd_raises_its_message_and_the_lines_still_work(void **state)
{
    struct rig *r = rig_new(1);
    const struct bp_cpu_doorbell *d = doorbell_of(r);
    int fds[3];

    (void)state;
    enable_lapic(r);
    set_up_pic(r);
    for (unsigned i = 0; i < 3; i++) {
        fds[i] = eventfd(0, EFD_NONBLOCK);
        assert_int_equal(d->irqfd(r->vm, fds[i], MSI_ADDRESS, 0x60 + i, 1), 0);
    }
    load_waiter(r, 0x61);
    ring(fds[1]);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->done, 1);
    /* Another message, another fd gone: its row is used again. */
    assert_int_equal(d->irqfd(r->vm, fds[1], MSI_ADDRESS, 0x71, 1), 0);
    assert_int_equal(d->irqfd(r->vm, fds[0], 0, 0, 0), 0);
    assert_int_equal(d->irqfd(r->vm, fds[0], MSI_ADDRESS, 0x72, 1), 0);
    assert_int_equal(r->ops->vcpu_reset(r->vcpus[0]), 0);
    enable_lapic(r);
    set_up_pic(r);
    r->done = 0;
    load_waiter(r, 0x71);
    ring(fds[1]);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->done, 1);
    assert_int_equal(r->ops->vcpu_reset(r->vcpus[0]), 0);
    set_up_pic(r);
    r->done = 0;
    load_waiter(r, LINE_VECTOR);
    r->ops->irq(r->vm, 4, 1);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->done, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(d->irqfd(r->vm, fds[i], 0, 0, 0), 0);
        close(fds[i]);
    }
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pits_line_is_input_2_of_the_io_apic),
        cmocka_unit_test(a_line_that_does_not_exist_is_logged),
        cmocka_unit_test(the_chips_come_back_as_set_and_reset),
        cmocka_unit_test(the_pit_comes_back_as_set),
        cmocka_unit_test(a_doorbell_takes_its_port_write_and_no_other),
        cmocka_unit_test(a_doorbell_of_any_width_takes_every_memory_write),
        cmocka_unit_test(doorbells_that_cannot_be_are_refused),
        cmocka_unit_test(an_fd_raises_its_message_and_the_lines_still_work),
    };

    return cmocka_run_group_tests_name("cpu_kvm_chips", tests, NULL, NULL);
}
