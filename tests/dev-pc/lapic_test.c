/* SPDX-License-Identifier: MIT
 *
 * dev-pc/lapic_test.c - local APICs: what a processor reads and writes, priorities, service,
 * errors, pins (SDM 3A, chapter 11). Messages between them are in apic_bus_test.c.
 */
#include "chip.h"

static struct chip *enabled(unsigned vcpus)
{
    struct chip *c = chip_new(&chip_defaults, vcpus);

    apic_enable_all(c);
    return c;
}

/* ---- registers ---- */

static void registers_have_their_reset_values(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 3);

    (void)state;
    assert_int_equal(rdmsr(c, 0, 0x1b), 0xfee00900);
    assert_int_equal(rdmsr(c, 1, 0x1b), 0xfee00800);
    assert_int_equal(apic_read(c, 2, ID), 2u << 24);
    assert_int_equal(apic_read(c, 2, VERSION), 0x50014);
    assert_int_equal(apic_read(c, 2, SVR), 0xff);
    assert_int_equal(apic_read(c, 2, DFR), 0xffffffff);
    assert_int_equal(apic_read(c, 2, LDR), 0);
    assert_int_equal(apic_read(c, 2, TPR), 0);
    for (uint32_t i = LVT_TIMER; i <= LVT_ERROR; i += 0x10)
        assert_int_equal(apic_read(c, 2, i), MASKED);
    assert_int_equal(apic_read(c, 0, LVT_LINT0), 0x700); /* virtual wire */
    assert_int_equal(deadline(c, 2), UINT64_MAX);
    chip_free(c);
}

static void virtual_wire_can_be_left_to_firmware(void **state)
{
    struct chip_config config = chip_defaults;
    struct chip *c;

    (void)state;
    config.virtual_wire = 0;
    c = chip_new(&config, 1);
    assert_int_equal(apic_read(c, 0, LVT_LINT0), MASKED);
    pics_init(c, 0x20, 1);
    line(c, 3, 1);
    assert_int_equal(pending(c, 0), 0);
    chip_free(c);
}

static void only_writable_bits_of_registers_change(void **state)
{
    static const struct {
        uint32_t reg, value;
    } expected[] = {
        {ID, 0},
        {VERSION, 0x50014},
        {TPR, 0xff},
        {LDR, 0xff000000},
        {DFR, 0xffffffff},
        {SVR, 0x3ff},
        {LVT_TIMER, 0x700ff},
        {LVT_THERMAL, 0x107ff},
        {LVT_PMC, 0x107ff},
        {LVT_LINT0, 0x1a7ff},
        {LVT_LINT1, 0x1a7ff},
        {LVT_ERROR, 0x100ff},
        {ICR2, 0xff000000},
        {TIMER_DIVIDE, 0xb},
    };
    struct chip *c = enabled(1);

    (void)state;
    for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        apic_write(c, 0, expected[i].reg, 0xffffffff);
        assert_int_equal(apic_read(c, 0, expected[i].reg), expected[i].value);
    }
    apic_write(c, 0, DFR, 0);
    assert_int_equal(apic_read(c, 0, DFR), 0x0fffffff);
    chip_free(c);
}

static void accesses_of_other_widths_are_dropped_or_give_the_bytes(void **state)
{
    struct chip *c = enabled(1);
    uint64_t value = 0;

    (void)state;
    apic_write(c, 0, LVT_ERROR, 0x100e3);
    for (uint32_t width = 1; width <= 8; width *= 2) {
        assert_int_equal(c->ops->mmio_write(c->self, 0, LVT_ERROR + 1, width, UINT64_MAX), 0);
        assert_int_equal(c->ops->mmio_write(c->self, 0, LVT_ERROR + 8, width, UINT64_MAX), 0);
    }
    assert_int_equal(c->ops->mmio_write(c->self, 0, LVT_ERROR, 1, 0), 0);
    assert_int_equal(c->ops->mmio_write(c->self, 0, LVT_ERROR, 2, 0), 0);
    assert_int_equal(apic_read(c, 0, LVT_ERROR), 0x100e3);
    assert_int_equal(c->ops->mmio_read(c->self, 0, LVT_ERROR, 1, &value), 0);
    assert_int_equal(value, 0xe3);
    assert_int_equal(c->ops->mmio_read(c->self, 0, LVT_ERROR + 2, 2, &value), 0);
    assert_int_equal(value, 1);
    assert_int_equal(c->ops->mmio_read(c->self, 0, LVT_ERROR + 5, 8, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(c->ops->mmio_read(c->self, 0, LVT_ERROR, 8, &value), 0);
    assert_int_equal(value, 0x100e3);
    chip_free(c);
}

static void reserved_registers_are_illegal(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    for (uint32_t offset = 0; offset < 0x1000; offset += 0x10) {
        static const uint32_t good[] = {ID,  VERSION, TPR, 0x90, PPR,  0xc0,  LDR,
                                        DFR, SVR,     ESR, ICR,  ICR2, 0x3e0, EOI};
        bool known = (offset >= ISR && offset < ESR) || (offset >= LVT_TIMER && offset <= 0x390);
        uint64_t value;

        for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
            known |= offset == good[i];
        apic_write(c, 0, ESR, 0);
        c->ops->mmio_read(c->self, 0, offset, 4, &value);
        apic_write(c, 0, ESR, 0);
        if (offset != EOI) /* write-only */
            assert_int_equal(apic_read(c, 0, ESR), known ? 0 : 0x80);
    }
    apic_write(c, 0, ESR, 0);
    apic_write(c, 0, 0x3f0, 0x40); /* SELF IPI is x2APIC's */
    apic_write(c, 0, ESR, 0);
    assert_int_equal(apic_read(c, 0, ESR), 0x80);
    apic_write(c, 0, ESR, 0);
    assert_int_equal(apic_read(c, 0, ESR), 0);
    chip_free(c);
}

static void calls_for_a_vcpu_that_is_not_attached_do_nothing(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 1);
    const struct bp_irqchip *ops = c->ops;
    struct bp_x86_lapic lapic;
    uint64_t value;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        static const uint32_t indexes[] = {1, BP_IRQCHIP_VCPUS, UINT32_MAX};
        uint32_t n = indexes[i];

        assert_int_equal(ops->mmio_read(c->self, n, SVR, 4, &value), -ENOENT);
        assert_int_equal(ops->mmio_write(c->self, n, SVR, 4, 0), -ENOENT);
        assert_int_equal(ops->msr_read(c->self, n, 0x1b, &value), -EINVAL);
        assert_int_equal(ops->msr_write(c->self, n, 0x1b, 0), -EINVAL);
        assert_int_equal(ops->acknowledge(c->self, n), -EAGAIN);
        assert_int_equal(ops->take(c->self, n, UINT32_MAX, NULL), 0);
        assert_int_equal(ops->cr8_get(c->self, n), 0);
        ops->cr8_set(c->self, n, 3);
        ops->post(c->self, n, BP_IRQCHIP_NMI, 0);
        ops->expire(c->self, n);
        ops->tsc_changed(c->self, n);
        ops->reset(c->self, n, BP_IRQCHIP_RESET_INIT);
        assert_int_equal(ops->detach(c->self, n), -ENOENT);
        assert_int_equal(ops->apic_base_set(c->self, n, 0xfee00800), -ENOENT);
        assert_int_equal(ops->state_get(c->self, n, BP_X86_LAPIC, &lapic, sizeof(lapic)), -ENOENT);
        assert_int_equal(ops->state_set(c->self, n, BP_X86_LAPIC, &lapic, sizeof(lapic)), -ENOENT);
    }
    chip_free(c);
}

static void attach_refuses_what_it_cannot_use(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 1);
    struct chip_vcpu v = {0};
    struct bp_irqchip_vcpu user = {
        .size = sizeof(user), .attention = chip_attention, .tsc = chip_tsc};

    (void)state;
    assert_int_equal(chip_attach_one(c, 0, &v), -EEXIST);
    assert_int_equal(chip_attach_one(c, BP_IRQCHIP_VCPUS, &v), -EINVAL);
    assert_int_equal(c->ops->attach(c->self, 1, &user, &v.view), -EINVAL); /* no tsc_hz */
    user.tsc_hz = 1;
    user.tsc = NULL;
    assert_int_equal(c->ops->attach(c->self, 1, &user, &v.view), -EINVAL);
    user.tsc = chip_tsc;
    user.size = 16;
    assert_int_equal(c->ops->attach(c->self, 1, &user, &v.view), -EINVAL);
    assert_null(v.view.pending); /* of none of them is there anything to read */
    assert_null(v.view.deadline_ns);
    chip_free(c);
}

static void a_detached_apic_hears_nothing_and_can_be_attached_again(void **state)
{
    struct chip *c = enabled(2);

    (void)state;
    assert_int_equal(c->ops->detach(c->self, 1), 0);
    msi(c, 1, 0x40);
    msi(c, 0xff, 0x41);
    assert_int_equal(c->vcpus[1].attentions, 0);
    assert_int_equal(inta(c, 0), 0x41);
    assert_int_equal(chip_attach_one(c, 1, &c->vcpus[1]), 0);
    assert_int_equal(apic_read(c, 1, SVR), 0xff);
    apic_enable(c, 1);
    msi(c, 1, 0x40);
    assert_int_equal(inta(c, 1), 0x40);
    chip_free(c);
}

/* ---- priorities ---- */

static void an_interrupt_is_requested_served_and_ended(void **state)
{
    struct chip *c = enabled(2);

    (void)state;
    msi(c, 1, 0x51);
    assert_true(apic_bit(c, 1, IRR, 0x51));
    assert_int_equal(pending(c, 1), BP_IRQCHIP_INTR);
    assert_int_equal(c->vcpus[1].attentions, 1);
    assert_int_equal(inta(c, 1), 0x51);
    assert_false(apic_bit(c, 1, IRR, 0x51));
    assert_true(apic_bit(c, 1, ISR, 0x51));
    assert_int_equal(apic_read(c, 1, PPR), 0x50);
    assert_int_equal(pending(c, 1), 0);
    apic_write(c, 1, EOI, 0);
    assert_false(apic_bit(c, 1, ISR, 0x51));
    assert_int_equal(apic_read(c, 1, PPR), 0);
    assert_int_equal(pending(c, 0), 0);
    chip_free(c);
}

static void only_a_higher_class_interrupts_what_is_in_service(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    msi(c, 0, 0x51);
    inta(c, 0);
    msi(c, 0, 0x5f); /* same class */
    msi(c, 0, 0x41);
    assert_int_equal(pending(c, 0), 0);
    msi(c, 0, 0x60);
    assert_int_equal(inta(c, 0), 0x60);
    apic_write(c, 0, EOI, 0);
    assert_int_equal(pending(c, 0), 0);
    apic_write(c, 0, EOI, 0);
    assert_int_equal(inta(c, 0), 0x5f);
    apic_write(c, 0, EOI, 0);
    assert_int_equal(inta(c, 0), 0x41);
    chip_free(c);
}

static void the_task_priority_holds_lower_classes_back(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    apic_write(c, 0, TPR, 0x53);
    assert_int_equal(apic_read(c, 0, PPR), 0x53);
    assert_int_equal(c->ops->cr8_get(c->self, 0), 5);
    msi(c, 0, 0x5f);
    assert_int_equal(pending(c, 0), 0);
    c->ops->cr8_set(c->self, 0, 4);
    assert_int_equal(apic_read(c, 0, TPR), 0x40);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_INTR);
    c->ops->cr8_set(c->self, 0, 0xff); /* bits that the backend should have refused */
    assert_int_equal(apic_read(c, 0, TPR), 0xf0);
    assert_int_equal(pending(c, 0), 0);
    chip_free(c);
}

static void every_vector_from_16_on_can_be_taken_in_order(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    for (uint32_t v = 16; v < 256; v++)
        msi(c, 0, v);
    for (int32_t v = 255; v >= 16; v--) {
        assert_int_equal(inta(c, 0), v);
        apic_write(c, 0, EOI, 0);
    }
    assert_int_equal(pending(c, 0), 0);
    chip_free(c);
}

static void an_acknowledge_without_request_gives_the_spurious_vector(void **state)
{
    struct chip *c = enabled(2);

    (void)state;
    apic_write(c, 1, SVR, 0x1ef);
    msi(c, 1, 0x30);
    apic_write(c, 1, TPR, 0x30);
    assert_int_equal(inta(c, 1), 0xef);
    assert_false(apic_bit(c, 1, ISR, 0xef));
    assert_int_equal(apic_read(c, 1, ISR + 0x70), 0);
    apic_write(c, 1, SVR, 0xef); /* disabled */
    assert_int_equal(inta(c, 1), -EAGAIN);
    chip_free(c);
}

static void an_eoi_with_nothing_in_service_does_nothing(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    msi(c, 0, 0x40);
    apic_write(c, 0, EOI, 0);
    assert_int_equal(inta(c, 0), 0x40);
    assert_int_equal(c->ended, 0);
    chip_free(c);
}

/* ---- enabling ---- */

static void a_disabled_apic_takes_nmi_but_no_vector(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 2);

    (void)state;
    msi(c, 1, 0x40);
    assert_int_equal(pending(c, 1), 0);
    assert_false(apic_bit(c, 1, IRR, 0x40));
    msi(c, 1, 0x400);
    assert_int_equal(pending(c, 1), BP_IRQCHIP_NMI);
    chip_free(c);
}

static void disabling_masks_the_local_vectors_and_keeps_what_is_pending(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    apic_write(c, 0, LVT_ERROR, 0x40);
    msi(c, 0, 0x50);
    apic_write(c, 0, SVR, 0xff);
    assert_int_equal(apic_read(c, 0, LVT_ERROR), 0x40 | MASKED);
    apic_write(c, 0, LVT_ERROR, 0x40); /* cannot be unmasked now */
    assert_int_equal(apic_read(c, 0, LVT_ERROR), 0x40 | MASKED);
    assert_int_equal(inta(c, 0), 0x50);
    apic_write(c, 0, EOI, 0);
    apic_write(c, 0, SVR, 0x1ff);
    assert_int_equal(apic_read(c, 0, LVT_ERROR), 0x40 | MASKED); /* stays so */
    chip_free(c);
}

static void an_apic_that_is_off_has_no_page_and_loses_its_state(void **state)
{
    struct chip *c = enabled(2);
    uint64_t value;

    (void)state;
    apic_write(c, 1, TPR, 0x50);
    msi(c, 1, 0x60);
    assert_int_equal(wrmsr(c, 1, 0x1b, 0xfee00000), 0);
    assert_int_equal(pending(c, 1), 0);
    assert_int_equal(c->ops->mmio_read(c->self, 1, TPR, 4, &value), -ENOENT);
    assert_int_equal(c->ops->mmio_write(c->self, 1, TPR, 4, 0), -ENOENT);
    msi(c, 1, 0x400);
    assert_int_equal(pending(c, 1), 0);
    c->ops->nmi_set(c->self, 1); /* its pins are the processor's */
    assert_int_equal(pending(c, 1), BP_IRQCHIP_NMI);
    pics_init(c, 0x20, 1);
    line(c, 3, 1);
    assert_int_equal(pending(c, 1), BP_IRQCHIP_NMI | BP_IRQCHIP_INTR);
    assert_int_equal(inta(c, 1), 0x23);
    assert_int_equal(wrmsr(c, 1, 0x1b, 0xfee00800), 0);
    assert_int_equal(apic_read(c, 1, TPR), 0);
    assert_int_equal(apic_read(c, 1, SVR), 0xff);
    chip_free(c);
}

/* ---- errors ---- */

static void a_received_illegal_vector_is_an_error_and_not_requested(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    msi(c, 0, 15);
    assert_int_equal(apic_read(c, 0, IRR), 0);
    assert_int_equal(apic_read(c, 0, ESR), 0); /* only a write shows it */
    apic_write(c, 0, ESR, 0);
    assert_int_equal(apic_read(c, 0, ESR), 0x40);
    apic_write(c, 0, ESR, 0);
    assert_int_equal(apic_read(c, 0, ESR), 0);
    chip_free(c);
}

static void a_sent_illegal_vector_is_an_error_and_goes_nowhere(void **state)
{
    struct chip *c = enabled(2);

    (void)state;
    apic_write(c, 0, ICR2, 1u << 24);
    apic_write(c, 0, ICR, 0x4000 | 9);
    apic_write(c, 0, ESR, 0);
    assert_int_equal(apic_read(c, 0, ESR), 0x20);
    apic_write(c, 1, ESR, 0);
    assert_int_equal(apic_read(c, 1, ESR), 0);
    chip_free(c);
}

static void an_error_interrupts_once_until_esr_is_written(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    apic_write(c, 0, LVT_ERROR, 0xfe);
    msi(c, 0, 1);
    assert_int_equal(inta(c, 0), 0xfe);
    apic_write(c, 0, EOI, 0);
    msi(c, 0, 1);
    assert_int_equal(pending(c, 0), 0);
    apic_write(c, 0, ESR, 0xffffffff);
    msi(c, 0, 1);
    assert_int_equal(inta(c, 0), 0xfe);
    chip_free(c);
}

static void an_illegal_error_vector_does_not_recurse(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    apic_write(c, 0, LVT_ERROR, 3);
    msi(c, 0, 1);
    assert_int_equal(pending(c, 0), 0);
    apic_write(c, 0, ESR, 0);
    assert_int_equal(apic_read(c, 0, ESR), 0x40);
    chip_free(c);
}

/* ---- pins ---- */

static void lint1_delivers_the_nmi_line_as_its_vector_says(void **state)
{
    struct chip *c = enabled(3);

    (void)state;
    apic_write(c, 0, LVT_LINT1, 0x400);
    apic_write(c, 1, LVT_LINT1, 0x0e1);
    c->ops->nmi_set(c->self, 1);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_NMI);
    assert_int_equal(inta(c, 1), 0xe1);
    assert_int_equal(pending(c, 2), 0); /* masked */
    assert_int_equal(c->ops->take(c->self, 0, BP_IRQCHIP_NMI, NULL), BP_IRQCHIP_NMI);
    c->ops->nmi_set(c->self, 1); /* no edge */
    assert_int_equal(pending(c, 0), 0);
    c->ops->nmi_set(c->self, 0);
    c->ops->nmi_set(c->self, 1);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_NMI);
    chip_free(c);
}

static void lint0_can_be_an_edge_a_level_an_nmi_or_extint(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    pics_init(c, 0x20, 1);
    apic_write(c, 0, LVT_LINT0, 0x61); /* fixed, edge */
    line(c, 3, 1);
    assert_int_equal(inta(c, 0), 0x61);
    apic_write(c, 0, EOI, 0);
    assert_int_equal(pending(c, 0), 0);
    apic_write(c, 0, LVT_LINT0, 0x8062); /* level: INTR is still up */
    assert_int_equal(apic_read(c, 0, LVT_LINT0), 0xc062);
    assert_int_equal(inta(c, 0), 0x62);
    assert_true(apic_bit(c, 0, TMR, 0x62));
    assert_int_equal(pending(c, 0), 0);
    apic_write(c, 0, EOI, 0);
    assert_int_equal(inta(c, 0), 0x62); /* again, as long as it is up */
    line(c, 3, 0);
    apic_write(c, 0, EOI, 0);
    assert_int_equal(apic_read(c, 0, LVT_LINT0), 0x8062);
    assert_int_equal(pending(c, 0), 0);
    apic_write(c, 0, LVT_LINT0, 0x400);
    line(c, 3, 1);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_NMI);
    apic_write(c, 0, LVT_LINT0, 0x700);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_NMI | BP_IRQCHIP_INTR);
    assert_int_equal(inta(c, 0), 0x23);
    chip_free(c);
}

static void extint_goes_before_other_vectors_and_leaves_no_service_bit(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    pics_init(c, 0x20, 1);
    apic_write(c, 0, LVT_LINT0, 0x700);
    msi(c, 0, 0xf0);
    line(c, 3, 1);
    assert_int_equal(inta(c, 0), 0x23);
    assert_int_equal(apic_read(c, 0, ISR + 0x10), 0);
    assert_int_equal(inta(c, 0), 0xf0);
    out8(c->host, 0x20, 0x20);
    line(c, 4, 1);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_INTR); /* whatever the priority */
    apic_write(c, 0, LVT_LINT0, 0x700 | MASKED);
    assert_int_equal(pending(c, 0), 0);
    chip_free(c);
}

/* ---- x2APIC ---- */

static void modes_change_along_the_allowed_paths_only(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 2);

    (void)state;
    assert_int_equal(wrmsr(c, 1, 0x1b, 0xfee00400), -EINVAL); /* EXTD without EN */
    assert_int_equal(wrmsr(c, 1, 0x1b, 0xfee00c00), 0);
    assert_int_equal(wrmsr(c, 1, 0x1b, 0xfee00800), -EINVAL); /* back to xAPIC */
    assert_int_equal(wrmsr(c, 1, 0x1b, 0xfee00000), 0);
    assert_int_equal(wrmsr(c, 1, 0x1b, 0xfee00c00), -EINVAL); /* off to x2APIC */
    assert_int_equal(wrmsr(c, 1, 0x1b, 0xfee00800), 0);
    assert_int_equal(wrmsr(c, 1, 0x1b, 0xfee00801), -EINVAL);
    assert_int_equal(wrmsr(c, 1, 0x1b, 0xfee00a00), -EINVAL);
    assert_int_equal(wrmsr(c, 1, 0x1b, UINT64_C(1) << 52 | 0xfee00800), -EINVAL);
    assert_int_equal(wrmsr(c, 1, 0x1b, 0xfedff900),
                     0); /* moved; the page is the backend's affair */
    assert_int_equal(rdmsr(c, 1, 0x1b), 0xfedff900);
    chip_free(c);
}

static void x2apic_has_a_32_bit_id_and_a_derived_logical_one(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 32);

    (void)state;
    apic_write(c, 21, LDR, 0x80000000);
    to_x2apic(c, 21);
    assert_int_equal(rdmsr(c, 21, 0x802), 21);
    assert_int_equal(rdmsr(c, 21, 0x80d), 0x00010020);
    assert_int_equal(rdmsr(c, 21, 0x803), 0x50014);
    uint64_t value;
    assert_int_equal(c->ops->mmio_read(c->self, 21, ID, 4, &value), -ENOENT);
    c->ops->reset(c->self, 21, BP_IRQCHIP_RESET_INIT);
    assert_int_equal(rdmsr(c, 21, 0x802), 21); /* INIT leaves the mode */
    assert_int_equal(rdmsr(c, 21, 0x80d), 0x00010020);
    chip_free(c);
}

static void x2apic_refuses_what_is_reserved(void **state)
{
    static const struct {
        uint32_t msr;
        uint64_t bad;
    } reserved[] = {
        {0x808, 0x100},   {0x80b, 1},       {0x80f, 0x400},   {0x80f, 0x1000},
        {0x828, 1},       {0x830, 0x2000},  {0x830, 0x10000}, {0x830, 0x100000},
        {0x832, 0x80000}, {0x832, 0x100},   {0x833, 0x2000},  {0x834, 0x8000},
        {0x835, 0x800},   {0x836, 0x20000}, {0x837, 0x100},   {0x838, 1ull << 32},
        {0x83e, 4},       {0x83e, 0x10},    {0x83f, 0x100},   {0x808, 1ull << 63},
        {0x802, 0},       {0x803, 0},       {0x80a, 0},       {0x80d, 0},
        {0x839, 0},       {0x810, 0},       {0x820, 0},       {0x80e, 0},
        {0x831, 0},       {0x809, 0},       {0x82f, 0},       {0x840, 0},
        {0x8ff, 0},       {0x801, 0},
    };
    static const uint32_t unreadable[] = {0x800, 0x801, 0x809, 0x80b, 0x80c, 0x80e, 0x829,
                                          0x82f, 0x831, 0x83a, 0x83f, 0x840, 0x8ff};
    struct chip *c = chip_new(&chip_defaults, 1);
    uint64_t value;

    (void)state;
    assert_int_equal(c->ops->msr_read(c->self, 0, 0x802, &value), -EINVAL); /* in xAPIC mode */
    assert_int_equal(wrmsr(c, 0, 0x808, 0), -EINVAL);
    to_x2apic(c, 0);
    for (unsigned i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (wrmsr(c, 0, reserved[i].msr, reserved[i].bad) != -EINVAL)
            fail_msg("MSR 0x%x took 0x%llx", reserved[i].msr, (unsigned long long)reserved[i].bad);
    for (unsigned i = 0; i < sizeof(unreadable) / sizeof(unreadable[0]); i++)
        assert_int_equal(c->ops->msr_read(c->self, 0, unreadable[i], &value), -EINVAL);
    assert_int_equal(wrmsr(c, 0, 0x80b, 0), 0);
    assert_int_equal(wrmsr(c, 0, 0x828, 0), 0);
    assert_int_equal(wrmsr(c, 0, 0x80f, 0x3ff), 0);
    assert_int_equal(wrmsr(c, 0, 0x835, 0x1a7ff), 0);
    assert_int_equal(rdmsr(c, 0, 0x835), 0x1a7ff);
    assert_int_equal(c->ops->msr_read(c->self, 0, 0x10, &value), -EINVAL); /* not ours */
    assert_int_equal(wrmsr(c, 0, 0x900, 0), -EINVAL);
    chip_free(c);
}

/* ---- reset and state ---- */

static void init_resets_registers_but_not_mode_and_later_sipi(void **state)
{
    struct chip *c = enabled(2);
    uint32_t vector = 0;

    (void)state;
    apic_write(c, 1, TPR, 0x20);
    msi(c, 1, 0x50);
    c->ops->post(c->self, 1, BP_IRQCHIP_INIT, 0);
    c->ops->post(c->self, 1, BP_IRQCHIP_SIPI, 0x9a);
    assert_int_equal(c->ops->take(c->self, 1, BP_IRQCHIP_INIT, &vector), BP_IRQCHIP_INIT);
    c->ops->reset(c->self, 1, BP_IRQCHIP_RESET_INIT);
    assert_int_equal(apic_read(c, 1, TPR), 0);
    assert_int_equal(apic_read(c, 1, SVR), 0xff);
    assert_int_equal(rdmsr(c, 1, 0x1b), 0xfee00800);
    assert_int_equal(pending(c, 1), BP_IRQCHIP_SIPI);
    assert_int_equal(c->ops->take(c->self, 1, BP_IRQCHIP_SIPI, &vector), BP_IRQCHIP_SIPI);
    assert_int_equal(vector, 0x9a);
    assert_int_equal(c->ops->take(c->self, 1, UINT32_MAX, &vector), 0);
    to_x2apic(c, 1);
    c->ops->post(c->self, 1, BP_IRQCHIP_NMI, 0);
    c->ops->reset(c->self, 1, BP_IRQCHIP_RESET_POWER_ON);
    assert_int_equal(rdmsr(c, 1, 0x1b), 0xfee00800);
    assert_int_equal(pending(c, 1), 0);
    chip_free(c);
}

static void the_first_sipi_counts_and_an_init_drops_it(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 1);
    uint32_t vector = 0;

    (void)state;
    c->ops->post(c->self, 0, BP_IRQCHIP_SIPI, 1);
    c->ops->post(c->self, 0, BP_IRQCHIP_SIPI, 2);
    c->ops->post(c->self, 0, BP_IRQCHIP_INTR, 0); /* not to be had this way */
    assert_int_equal(c->ops->take(c->self, 0, UINT32_MAX, &vector), BP_IRQCHIP_SIPI);
    assert_int_equal(vector, 1);
    c->ops->post(c->self, 0, BP_IRQCHIP_SIPI, 3);
    c->ops->post(c->self, 0, BP_IRQCHIP_INIT, 0);
    assert_int_equal(c->ops->take(c->self, 0, UINT32_MAX, &vector), BP_IRQCHIP_INIT);
    chip_free(c);
}

static void the_state_moves_to_another_apic(void **state)
{
    struct chip *from = enabled(2), *to = chip_new(&chip_defaults, 2);
    struct bp_x86_lapic lapic, again;

    (void)state;
    apic_write(from, 1, LDR, 0x02000000);
    apic_write(from, 1, DFR, 0x0fffffff);
    apic_write(from, 1, LVT_ERROR, 0xfe);
    apic_write(from, 1, LVT_PMC, 0x400);
    apic_write(from, 1, TPR, 0x10);
    apic_write(from, 1, ICR2, 0x01000000);
    apic_write(from, 1, ICR, 0x80045);
    msi(from, 1, 0x55);
    inta(from, 1);
    msi(from, 1, 0x99);
    STATE_GET(from, 1, BP_X86_LAPIC, &lapic);
    assert_int_equal(lapic.registers[ID / 16], 1u << 24);
    assert_int_equal(lapic.registers[PPR / 16], 0x50);
    assert_int_equal(lapic.registers[(ISR + 0x20) / 16], 1u << 21);
    assert_int_equal(lapic.registers[(IRR + 0x40) / 16], 1u << 25);
    STATE_SET(to, 1, BP_X86_LAPIC, &lapic);
    STATE_GET(to, 1, BP_X86_LAPIC, &again);
    assert_memory_equal(&lapic, &again, sizeof(lapic));
    assert_int_equal(inta(to, 1), 0x99);
    apic_write(to, 1, EOI, 0);
    apic_write(to, 1, EOI, 0);
    assert_int_equal(apic_read(to, 1, PPR), 0x10);
    chip_free(from);
    chip_free(to);
}

static void x2apic_state_has_32_bit_id_and_destination(void **state)
{
    struct chip *from = chip_new(&chip_defaults, 2), *to = chip_new(&chip_defaults, 2);
    struct bp_x86_lapic lapic, again;

    (void)state;
    to_x2apic(from, 1);
    assert_int_equal(wrmsr(from, 1, 0x80f, 0x1ff), 0);
    assert_int_equal(wrmsr(from, 1, 0x830, UINT64_C(0x12345678) << 32 | 0x40), 0);
    STATE_GET(from, 1, BP_X86_LAPIC, &lapic);
    assert_int_equal(lapic.registers[ID / 16], 1);
    assert_int_equal(lapic.registers[ICR / 16], 0x40);
    assert_int_equal(lapic.registers[ICR2 / 16], 0x12345678);
    assert_int_equal(to->ops->state_set(to->self, 1, BP_X86_LAPIC, &lapic, sizeof(lapic)), -EINVAL);
    assert_int_equal(to->ops->apic_base_set(to->self, 1, 0xfee00c00), 0);
    STATE_SET(to, 1, BP_X86_LAPIC, &lapic);
    STATE_GET(to, 1, BP_X86_LAPIC, &again);
    assert_memory_equal(&lapic, &again, sizeof(lapic));
    assert_int_equal(rdmsr(to, 1, 0x830), UINT64_C(0x12345678) << 32 | 0x40);
    /* Back without the rules of WRMSR, as a snapshot would. */
    assert_int_equal(to->ops->apic_base_set(to->self, 1, 0xfee00800), 0);
    assert_int_equal(apic_read(to, 1, ID), 1u << 24);
    assert_int_equal(to->ops->apic_base_set(to->self, 1, 0xfee00400), -EINVAL);
    assert_int_equal(to->ops->apic_base_set(to->self, 1, 0xfee00801), -EINVAL);
    chip_free(from);
    chip_free(to);
}

static void garbage_in_the_state_does_no_harm(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 1);
    struct bp_x86_lapic lapic;

    (void)state;
    memset(&lapic, 0xff, sizeof(lapic));
    assert_int_equal(c->ops->state_set(c->self, 0, BP_X86_LAPIC, &lapic, sizeof(lapic)), -EINVAL);
    lapic.registers[ID / 16] = 0;
    STATE_SET(c, 0, BP_X86_LAPIC, &lapic);
    assert_int_equal(apic_read(c, 0, IRR), 0xffff0000);
    assert_int_equal(apic_read(c, 0, VERSION), 0x50014);
    assert_int_equal(apic_read(c, 0, LVT_ERROR), 0x100ff);
    for (unsigned i = 0; i < 300; i++) {
        inta(c, 0);
        apic_write(c, 0, EOI, 0);
        c->ops->expire(c->self, 0);
    }
    assert_int_equal(c->ops->state_get(c->self, 0, BP_X86_LAPIC, &lapic, 8), -EINVAL);
    chip_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_have_their_reset_values),
        cmocka_unit_test(virtual_wire_can_be_left_to_firmware),
        cmocka_unit_test(only_writable_bits_of_registers_change),
        cmocka_unit_test(accesses_of_other_widths_are_dropped_or_give_the_bytes),
        cmocka_unit_test(reserved_registers_are_illegal),
        cmocka_unit_test(calls_for_a_vcpu_that_is_not_attached_do_nothing),
        cmocka_unit_test(attach_refuses_what_it_cannot_use),
        cmocka_unit_test(a_detached_apic_hears_nothing_and_can_be_attached_again),
        cmocka_unit_test(an_interrupt_is_requested_served_and_ended),
        cmocka_unit_test(only_a_higher_class_interrupts_what_is_in_service),
        cmocka_unit_test(the_task_priority_holds_lower_classes_back),
        cmocka_unit_test(every_vector_from_16_on_can_be_taken_in_order),
        cmocka_unit_test(an_acknowledge_without_request_gives_the_spurious_vector),
        cmocka_unit_test(an_eoi_with_nothing_in_service_does_nothing),
        cmocka_unit_test(a_disabled_apic_takes_nmi_but_no_vector),
        cmocka_unit_test(disabling_masks_the_local_vectors_and_keeps_what_is_pending),
        cmocka_unit_test(an_apic_that_is_off_has_no_page_and_loses_its_state),
        cmocka_unit_test(a_received_illegal_vector_is_an_error_and_not_requested),
        cmocka_unit_test(a_sent_illegal_vector_is_an_error_and_goes_nowhere),
        cmocka_unit_test(an_error_interrupts_once_until_esr_is_written),
        cmocka_unit_test(an_illegal_error_vector_does_not_recurse),
        cmocka_unit_test(lint1_delivers_the_nmi_line_as_its_vector_says),
        cmocka_unit_test(lint0_can_be_an_edge_a_level_an_nmi_or_extint),
        cmocka_unit_test(extint_goes_before_other_vectors_and_leaves_no_service_bit),
        cmocka_unit_test(modes_change_along_the_allowed_paths_only),
        cmocka_unit_test(x2apic_has_a_32_bit_id_and_a_derived_logical_one),
        cmocka_unit_test(x2apic_refuses_what_is_reserved),
        cmocka_unit_test(init_resets_registers_but_not_mode_and_later_sipi),
        cmocka_unit_test(the_first_sipi_counts_and_an_init_drops_it),
        cmocka_unit_test(the_state_moves_to_another_apic),
        cmocka_unit_test(x2apic_state_has_32_bit_id_and_destination),
        cmocka_unit_test(garbage_in_the_state_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
