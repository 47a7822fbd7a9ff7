/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/test_machine.c - what is one a machine: interrupts, doorbells, dirty log, time, several
 * vCPUs.
 */
#include "rig.h"

#include <backplane/ext/dirty_log.h>
#include <backplane/ext/doorbell.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <x86intrin.h>

#define MSR_TSC 0x10u
#define VECTOR 0x41u
#define HANDLER_AT 0x1800u
#define MSI_ADDRESS 0xfee00000u

/* ---- interrupts ----------------------------------------------------------------------------- */

/* sti; hlt; jmp back: a guest that waits; an interrupt's handler tells that it came. */
static void load_waiter(struct rig *r, uint8_t vector)
{
    static const uint8_t code[] = {0xfb, 0xf4, 0xeb, 0xfd};
    static const uint8_t handler[] = {0xe6, PORT_DONE, 0xcf};
    const uint16_t entry[2] = {HANDLER_AT, 0};
    struct bp_x86_sys sys;

    memcpy(r->ram + HANDLER_AT, handler, sizeof(handler));
    memcpy(r->ram + (size_t)vector * 4, entry, sizeof(entry));
    rig_load_real(r, code, sizeof(code));
    rig_get(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    sys.ss.base = 0;
    sys.ss.selector = 0;
    rig_set(r, 0, BP_X86_SYS, &sys, sizeof(sys));
}

static void enable_lapic(struct rig *r)
{
    struct bp_x86_lapic lapic;

    rig_get(r, 0, BP_X86_LAPIC, &lapic, sizeof(lapic));
    lapic.registers[0xf] |= 0x100;
    rig_set(r, 0, BP_X86_LAPIC, &lapic, sizeof(lapic));
}

static void set_up_pic(struct rig *r)
{
    struct bp_x86_pic pic;

    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_PIC, &pic, sizeof(pic)), 0);
    pic.chip[0].irq_base = VECTOR - 4;
    pic.chip[0].imr = 0xef;
    pic.chip[0].init_state = 0;
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_PIC, &pic, sizeof(pic)), 0);
}

static void *raise_line(void *arg)
{
    struct rig *r = arg;

    usleep(10000);
    r->ops->irq(r->vm, 4, 1);
    return NULL;
}

static void an_interrupt_line_wakes_a_halted_guest(void **state)
{
    struct rig *r = rig_new(1);
    pthread_t thread;

    (void)state;
    set_up_pic(r);
    load_waiter(r, VECTOR);
    assert_int_equal(pthread_create(&thread, NULL, raise_line, r), 0);
    rig_run(r, BP_STOP_KICKED);
    pthread_join(thread, NULL);
    assert_int_equal(r->done, 1);
    rig_free(r);
}

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

static void a_message_wakes_a_halted_guest(void **state)
{
    struct rig *r = rig_new(1);

    (void)state;
    enable_lapic(r);
    load_waiter(r, VECTOR);
    r->ops->msi(r->vm, MSI_ADDRESS, VECTOR);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->done, 1);
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
    load_waiter(r, VECTOR);
    r->ops->irq(r->vm, 4, 1);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->done, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(d->irqfd(r->vm, fds[i], 0, 0, 0), 0);
        close(fds[i]);
    }
    rig_free(r);
}

/* ---- dirty log ------------------------------------------------------------------------------ */

static void the_dirty_log_has_the_pages_that_were_written(void **state)
{
    /* mov %al,0x6000; mov 0x7000,%al; mov %al,0x41000 (rsi-relative to stay short); out done */
    static const uint8_t code[] = {
        0x88, 0x86,     0x00, 0x40, 0x00, 0x00, /* mov %al,0x4000(%rsi) */
        0x8a, 0x86,     0x00, 0x50, 0x00, 0x00, /* mov 0x5000(%rsi),%al */
        0x88, 0x86,     0x00, 0xf0, 0x03, 0x00, /* mov %al,0x3f000(%rsi) */
        0xe6, PORT_DONE};
    struct rig *r = rig_new(1);
    const struct bp_dirty_log *log = r->ops->extension(r->vm, BP_DIRTY_LOG_ID);
    uint64_t bitmap[2] = {0};

    (void)state;
    assert_non_null(log);
    assert_int_equal(log->enable(r->vm, 5, 1), -ENOENT);
    assert_int_equal(log->fetch(r->vm, 5, bitmap, sizeof(bitmap)), -ENOENT);
    assert_int_equal(log->fetch(r->vm, 0, bitmap, sizeof(bitmap)), -EINVAL);
    rig_load_long(r, code, sizeof(code));
    assert_int_equal(log->enable(r->vm, 0, 1), 0);
    assert_int_equal(log->enable(r->vm, 0, 1), 0);
    assert_int_equal(log->fetch(r->vm, 0, bitmap, 8), -EINVAL);
    assert_int_equal(log->fetch(r->vm, 0, bitmap, sizeof(bitmap)), 0);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(log->fetch(r->vm, 0, bitmap, sizeof(bitmap)), 0);
    assert_true(bitmap[0] & 1u << 6);
    assert_false(bitmap[0] & 1u << 7);
    assert_true(bitmap[1] & 1u << 1);
    assert_int_equal(log->fetch(r->vm, 0, bitmap, sizeof(bitmap)), 0);
    assert_int_equal(bitmap[0] | bitmap[1], 0);
    assert_int_equal(log->enable(r->vm, 0, 0), 0);
    assert_int_equal(log->fetch(r->vm, 0, bitmap, sizeof(bitmap)), -EINVAL);
    rig_free(r);
}

/* ---- time ----------------------------------------------------------------------------------- */

static uint64_t tsc_of(struct rig *r, uint32_t vcpu)
{
    struct bp_x86_msrs *m = calloc(1, sizeof(*m));
    uint64_t tsc = 0;

    rig_get(r, vcpu, BP_X86_MSR, m, sizeof(*m));
    for (uint32_t i = 0; i < m->count; i++)
        tsc = m->msrs[i].index == MSR_TSC ? m->msrs[i].value : tsc;
    free(m);
    return tsc;
}

static bool host_tsc_is_stable(void)
{
    char text[256] = "";
    FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/available_clocksource", "re");

    if (f) {
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
    }
    return strstr(text, "tsc") != NULL;
}

/* The TSC and guest time at one moment. Reading both takes a while where the test is interrupted in
 * between: the quickest of many tries is taken. */
static void read_both(uint64_t *tsc, uint64_t *ns)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < 200; i++) {
        uint64_t before = __rdtsc(), now = rig_host()->clock_ns(rig_node());
        uint64_t took = __rdtsc() - before;

        if (took < best) {
            best = took;
            *tsc = before + took / 2;
            *ns = now;
        }
    }
}

/* The TSC's rate, by guest time. */
static uint64_t measure_hz(void)
{
    uint64_t ns, ns_before, tsc, tsc_before;

    read_both(&tsc_before, &ns_before);
    usleep(200000);
    read_both(&tsc, &ns);
    return (uint64_t)((unsigned __int128)(tsc - tsc_before) * 1000000000 / (ns - ns_before));
}

/* Does KVM think that the TSC runs as fast as it does, to 250 ppm? Not if its module was loaded
 * before the kernel had measured it: then KVM corrects its guests' counters all the time. That is
 * seen in every measurement; on a machine that is busy with other things one alone may be off. */
static bool rates_agree(struct rig *r)
{
    struct bp_x86_clock clock;

    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_CLOCK, &clock, sizeof(clock)), 0);
    for (int i = 0; i < 5; i++) {
        uint64_t hz = measure_hz();
        uint64_t apart = hz > clock.tsc_hz ? hz - clock.tsc_hz : clock.tsc_hz - hz;

        if (apart < clock.tsc_hz / 4000)
            return true;
    }
    return false;
}

static bool tsc_can_be_set(struct rig *r)
{
    struct bp_x86_msrs *m = calloc(1, sizeof(*m));
    bool set;

    assert_non_null(m);
    m->count = 1;
    m->msrs[0] = (struct bp_x86_msr){.index = MSR_TSC, .value = UINT64_C(1) << 60};
    rig_set(r, 0, BP_X86_MSR, m, sizeof(*m));
    free(m);
    set = tsc_of(r, 0) >> 60 == 1;
    assert_int_equal(r->ops->vcpu_reset(r->vcpus[0]), 0);
    return set;
}

/* Exact comparisons of counters want them to stay as set. Where the host's TSC is not the same on
 * every processor KVM computes them anew at every turn; some KVMs cannot set them at all. */
static void want_settable_tsc(struct rig *r)
{
    const char *why = NULL;

    if (!tsc_can_be_set(r))
        why = "this KVM's guests see the host's TSC";
    else if (!host_tsc_is_stable())
        why = "the host's TSC is marked unstable";
    else if (!rates_agree(r))
        why = "KVM takes the host's TSC for faster or slower than it is";
    if (why) {
        rig_free(r);
        print_message("skipped: %s\n", why);
        skip();
    }
}

static void guest_time_stands_still_while_stopped(void **state)
{
    struct rig *r = rig_new(2);
    struct bp_x86_clock before, after;
    uint64_t tsc, host;

    (void)state;
    want_settable_tsc(r);
    rig_add_vcpu(r, 1);
    r->ops->vm_time(r->vm, BP_TIME_STOPPED);
    r->ops->vm_time(r->vm, BP_TIME_STOPPED);
    tsc = tsc_of(r, 0);
    assert_int_equal(tsc_of(r, 1), tsc);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_CLOCK, &before, sizeof(before)), 0);
    usleep(50000);
    assert_int_equal(tsc_of(r, 0), tsc);
    assert_int_equal(tsc_of(r, 1), tsc);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_CLOCK, &after, sizeof(after)), 0);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_true(before.tsc_hz > 1000000);
    assert_int_equal(before.tsc, tsc);
    host = __rdtsc();
    r->ops->vm_time(r->vm, BP_TIME_RUNS);
    r->ops->vm_time(r->vm, BP_TIME_RUNS);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_CLOCK, &after, sizeof(after)), 0);
    host = __rdtsc() - host;
    assert_true(after.tsc >= before.tsc);
    assert_true(after.tsc - before.tsc <= host);
    assert_true(after.paravirtual_ns >= before.paravirtual_ns);
    rig_free(r);
}

static void a_clock_set_while_stopped_is_where_time_goes_on(void **state)
{
    struct rig *r = rig_new(2);
    struct bp_x86_clock in, out;

    (void)state;
    want_settable_tsc(r);
    rig_add_vcpu(r, 1);
    r->ops->vm_time(r->vm, BP_TIME_STOPPED);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_CLOCK, &in, sizeof(in)), 0);
    in.paravirtual_ns = 123456789000000;
    in.tsc = 0x123456789abc;
    assert_int_equal(r->ops->vm_set(r->vm, BP_X86_CLOCK, &in, sizeof(in)), 0);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_CLOCK, &out, sizeof(out)), 0);
    assert_memory_equal(&in, &out, sizeof(in));
    assert_int_equal(tsc_of(r, 1), in.tsc);
    r->ops->vm_time(r->vm, BP_TIME_RUNS);
    assert_int_equal(r->ops->vm_get(r->vm, BP_X86_CLOCK, &out, sizeof(out)), 0);
    assert_true(out.tsc >= in.tsc);
    assert_true(out.paravirtual_ns >= in.paravirtual_ns);
    rig_free(r);
}

static void a_reset_keeps_the_counters_in_step(void **state)
{
    static const uint8_t code[] = {0xe6, PORT_DONE};
    struct rig *r = rig_new(2);
    struct bp_x86_msrs *m;

    (void)state;
    want_settable_tsc(r);
    rig_add_vcpu(r, 1);
    m = calloc(1, sizeof(*m));
    assert_non_null(m);
    m->count = 1;
    m->msrs[0] = (struct bp_x86_msr){.index = MSR_TSC, .value = 5};
    rig_load_real(r, code, sizeof(code));
    rig_run(r, BP_STOP_KICKED);
    rig_set(r, 0, BP_X86_MSR, m, sizeof(*m));
    assert_int_equal(r->ops->vcpu_reset(r->vcpus[0]), 0);
    assert_int_equal(r->ops->vcpu_reset(r->vcpus[1]), 0);
    r->ops->vm_time(r->vm, BP_TIME_STOPPED);
    assert_int_equal(tsc_of(r, 0), tsc_of(r, 1));
    free(m);
    rig_free(r);
}

static void a_deadline_survives_a_pause(void **state)
{
    struct rig *r = rig_new(1);
    struct bp_x86_lapic in, out;

    (void)state;
    rig_get(r, 0, BP_X86_LAPIC, &in, sizeof(in));
    in.registers[0xf] = 0x1ff;
    in.registers[0x32] = 0x400ef; /* TSC deadline */
    rig_set(r, 0, BP_X86_LAPIC, &in, sizeof(in));
    in.tsc_deadline = tsc_of(r, 0) + (UINT64_C(1) << 40);
    rig_set(r, 0, BP_X86_LAPIC, &in, sizeof(in));
    r->ops->vm_time(r->vm, BP_TIME_STOPPED);
    rig_get(r, 0, BP_X86_LAPIC, &out, sizeof(out));
    assert_int_equal(out.tsc_deadline, in.tsc_deadline);
    r->ops->vm_time(r->vm, BP_TIME_RUNS);
    rig_get(r, 0, BP_X86_LAPIC, &out, sizeof(out));
    assert_int_equal(out.tsc_deadline, in.tsc_deadline);
    rig_free(r);
}

/* ---- several vCPUs -------------------------------------------------------------------------- */

#define AP_AT 0x6000u /* SIPI vector 6 */

static void *run_second(void *arg)
{
    struct rig *r = arg;
    int *result = malloc(sizeof(int));

    rig_add_vcpu(r, 1);
    *result = r->ops->vcpu_run(r->vcpus[1]);
    rig_remove_vcpu(r, 1);
    return result;
}

static void the_first_processor_starts_the_second(void **state)
{
    /* DS at the local APIC: INIT, then SIPI, to all others */
    static const uint8_t code[] = {
        0x66, 0xc7,      0x06, 0x00, 0x03, 0x00, 0x45, 0x0c, 0x00, /* movl $0xc4500,0x300 */
        0x66, 0xc7,      0x06, 0x00, 0x03, 0x06, 0x46, 0x0c, 0x00, /* movl $0xc4606,0x300 */
        0xe6, PORT_DONE,
    };
    static const uint8_t ap[] = {0xe6, PORT_DONE, 0xfa, 0xf4};
    struct rig *r = rig_new(2);
    struct bp_x86_sys sys;
    pthread_t thread;
    void *result;

    (void)state;
    memcpy(r->ram + AP_AT, ap, sizeof(ap));
    rig_load_real(r, code, sizeof(code));
    rig_get(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    sys.ds.base = 0xfee00000;
    sys.ds.selector = 0;
    rig_set(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    assert_int_equal(pthread_create(&thread, NULL, run_second, r), 0);
    while (!__atomic_load_n(&r->vcpus[1], __ATOMIC_ACQUIRE))
        usleep(1000);
    usleep(20000);
    rig_run(r, BP_STOP_KICKED);
    pthread_join(thread, &result);
    assert_int_equal(*(int *)result, BP_STOP_KICKED);
    assert_int_equal(r->done, 3);
    free(result);
    rig_free(r);
}

static void the_others_wait_after_power_on(void **state)
{
    struct rig *r = rig_new(2);
    struct bp_x86_mp mp;
    struct bp_x86_sys sys;

    (void)state;
    rig_add_vcpu(r, 1);
    rig_get(r, 1, BP_X86_MP, &mp, sizeof(mp));
    assert_int_equal(mp.state, BP_X86_MP_WAIT_INIT);
    rig_get(r, 1, BP_X86_SYS, &sys, sizeof(sys));
    assert_int_equal(sys.apic_base, 0xfee00800); /* not the boot processor */
    r->ops->vcpu_kick(r->vcpus[1]);
    assert_int_equal(r->ops->vcpu_run(r->vcpus[1]), BP_STOP_KICKED);
    rig_free(r);
}

static void a_vcpu_beyond_the_machines_number_is_refused(void **state)
{
    struct rig *r = rig_new(1);
    void *self;

    (void)state;
    assert_int_equal(r->ops->vcpu_create(r->vm, 1, NULL, NULL, &self), -EINVAL);
    assert_string_equal(rig_failure(), "vCPU 1 is not below 1, the machine's number");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interrupt_line_wakes_a_halted_guest),
        cmocka_unit_test(the_pits_line_is_input_2_of_the_io_apic),
        cmocka_unit_test(a_line_that_does_not_exist_is_logged),
        cmocka_unit_test(a_message_wakes_a_halted_guest),
        cmocka_unit_test(the_chips_come_back_as_set_and_reset),
        cmocka_unit_test(the_pit_comes_back_as_set),
        cmocka_unit_test(a_doorbell_takes_its_port_write_and_no_other),
        cmocka_unit_test(a_doorbell_of_any_width_takes_every_memory_write),
        cmocka_unit_test(doorbells_that_cannot_be_are_refused),
        cmocka_unit_test(an_fd_raises_its_message_and_the_lines_still_work),
        cmocka_unit_test(the_dirty_log_has_the_pages_that_were_written),
        cmocka_unit_test(guest_time_stands_still_while_stopped),
        cmocka_unit_test(a_clock_set_while_stopped_is_where_time_goes_on),
        cmocka_unit_test(a_reset_keeps_the_counters_in_step),
        cmocka_unit_test(a_deadline_survives_a_pause),
        cmocka_unit_test(the_first_processor_starts_the_second),
        cmocka_unit_test(the_others_wait_after_power_on),
        cmocka_unit_test(a_vcpu_beyond_the_machines_number_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
