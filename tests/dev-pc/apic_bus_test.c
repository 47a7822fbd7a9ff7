/* SPDX-License-Identifier: MIT
 *
 * dev-pc/apic_bus_test.c - interrupts between processors and from devices: IPIs, MSIs, the I/O APIC
 * (82093AA), and the 8259s through it.
 */
#include "chip.h"

static struct chip *enabled(unsigned vcpus)
{
    struct chip *c = chip_new(&chip_defaults, vcpus);

    apic_enable_all(c);
    return c;
}

/* Which of the first 32 vCPUs have INTR pending; what is pending is taken and ended. */
static uint32_t takers(struct chip *c, int32_t vector)
{
    uint32_t mask = 0;

    for (uint32_t i = 0; i < c->count; i++) {
        if (!(pending(c, i) & BP_IRQCHIP_INTR))
            continue;
        mask |= 1u << i;
        assert_int_equal(inta(c, i), vector);
        if (rdmsr(c, i, 0x1b) & 0x400)
            assert_int_equal(wrmsr(c, i, 0x80b, 0), 0);
        else
            apic_write(c, i, EOI, 0);
    }
    return mask;
}

static void ipi(struct chip *c, uint32_t from, uint32_t destination, uint32_t icr)
{
    apic_write(c, from, ICR2, destination << 24);
    apic_write(c, from, ICR, icr);
    assert_int_equal(apic_read(c, from, ICR) & 0x1000, 0); /* idle */
}

/* ---- IPIs ---- */

static void a_physical_ipi_reaches_one_or_all(void **state)
{
    struct chip *c = enabled(4);

    (void)state;
    ipi(c, 0, 2, 0x4040);
    assert_int_equal(takers(c, 0x40), 1u << 2);
    ipi(c, 2, 2, 0x4041);
    assert_int_equal(takers(c, 0x41), 1u << 2);
    ipi(c, 1, 0xff, 0x4042);
    assert_int_equal(takers(c, 0x42), 0xf);
    ipi(c, 1, 9, 0x4043); /* nobody */
    assert_int_equal(takers(c, 0x43), 0);
    chip_free(c);
}

static void shorthands_reach_self_all_and_others(void **state)
{
    struct chip *c = enabled(4);

    (void)state;
    ipi(c, 1, 3, 0x44050);
    assert_int_equal(takers(c, 0x50), 1u << 1);
    ipi(c, 1, 3, 0x84051);
    assert_int_equal(takers(c, 0x51), 0xf);
    ipi(c, 1, 3, 0xc4052);
    assert_int_equal(takers(c, 0x52), 0xd);
    chip_free(c);
}

static void flat_logical_destinations_are_bit_masks(void **state)
{
    struct chip *c = enabled(4);

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        apic_write(c, i, LDR, 1u << (24 + i));
    ipi(c, 0, 0x0a, 0x4840);
    assert_int_equal(takers(c, 0x40), 0xa);
    ipi(c, 0, 0x10, 0x4841);
    assert_int_equal(takers(c, 0x41), 0);
    ipi(c, 0, 0xff, 0x4842);
    assert_int_equal(takers(c, 0x42), 0xf);
    chip_free(c);
}

static void cluster_destinations_name_a_cluster_and_its_members(void **state)
{
    struct chip *c = enabled(4);

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        apic_write(c, i, DFR, 0x0fffffff);
        apic_write(c, i, LDR, (i / 2 << 4 | 1u << i % 2) << 24);
    }
    ipi(c, 0, 0x11, 0x4840);
    assert_int_equal(takers(c, 0x40), 1u << 2);
    ipi(c, 0, 0x03, 0x4841);
    assert_int_equal(takers(c, 0x41), 0x3);
    ipi(c, 0, 0x2f, 0x4842);
    assert_int_equal(takers(c, 0x42), 0);
    ipi(c, 0, 0xff, 0x4843);
    assert_int_equal(takers(c, 0x43), 0xf);
    apic_write(c, 1, DFR, 0x7fffffff); /* no model of this name */
    ipi(c, 0, 0x03, 0x4844);
    assert_int_equal(takers(c, 0x44), 0x1);
    chip_free(c);
}

static void lowest_priority_goes_to_the_least_busy_in_turn(void **state)
{
    struct chip *c = enabled(4);

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        apic_write(c, i, LDR, 1u << (24 + i));
    apic_write(c, 0, TPR, 0x20);
    apic_write(c, 3, TPR, 0x20);
    ipi(c, 0, 0x0f, 0x4940);
    uint32_t first = takers(c, 0x40);
    ipi(c, 0, 0x0f, 0x4940);
    uint32_t second = takers(c, 0x40);
    assert_int_equal(first | second, 0x6);
    assert_int_equal(first & second, 0);
    apic_write(c, 1, SVR, 0xff); /* disabled: no candidate */
    apic_write(c, 2, TPR, 0x30);
    ipi(c, 0, 0x0e, 0x4941);
    assert_int_equal(takers(c, 0x41), 1u << 3);
    ipi(c, 0, 0x02, 0x4942);
    assert_int_equal(takers(c, 0x42), 0);
    chip_free(c);
}

static void nmi_smi_init_and_sipi_are_passed_on(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 2); /* disabled: they come all the same */
    uint32_t vector = 0;

    (void)state;
    ipi(c, 0, 1, 0x4400);
    assert_int_equal(pending(c, 1), BP_IRQCHIP_NMI);
    ipi(c, 0, 1, 0x4200);
    assert_int_equal(pending(c, 1), BP_IRQCHIP_NMI | BP_IRQCHIP_SMI);
    assert_int_equal(c->ops->take(c->self, 1, BP_IRQCHIP_NMI | BP_IRQCHIP_SMI, NULL),
                     BP_IRQCHIP_NMI | BP_IRQCHIP_SMI);
    ipi(c, 0, 1, 0xc500); /* INIT, level, assert */
    assert_int_equal(pending(c, 1), BP_IRQCHIP_INIT);
    assert_int_equal(c->ops->take(c->self, 1, BP_IRQCHIP_INIT, NULL), BP_IRQCHIP_INIT);
    c->ops->reset(c->self, 1, BP_IRQCHIP_RESET_INIT);
    ipi(c, 0, 1, 0x8500); /* de-assert: nothing */
    assert_int_equal(pending(c, 1), 0);
    ipi(c, 0, 1, 0x4699);
    ipi(c, 0, 1, 0x4699);
    assert_int_equal(c->ops->take(c->self, 1, UINT32_MAX, &vector), BP_IRQCHIP_SIPI);
    assert_int_equal(vector, 0x99);
    ipi(c, 0, 1, 0x4300); /* reserved modes */
    ipi(c, 0, 1, 0x4700);
    assert_int_equal(pending(c, 1), 0);
    assert_int_equal(pending(c, 0), 0);
    chip_free(c);
}

static void init_to_all_but_self_and_startup_of_all(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 5);

    (void)state;
    apic_write(c, 0, ICR, 0xc4500);
    for (uint32_t i = 1; i < 5; i++)
        assert_int_equal(pending(c, i), BP_IRQCHIP_INIT);
    assert_int_equal(pending(c, 0), 0);
    apic_write(c, 0, ICR, 0xc4608);
    for (uint32_t i = 1; i < 5; i++)
        assert_int_equal(pending(c, i), BP_IRQCHIP_INIT | BP_IRQCHIP_SIPI);
    chip_free(c);
}

/* ---- x2APIC ---- */

static void x2apic_sends_by_one_64_bit_write(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 32);

    (void)state;
    for (uint32_t i = 0; i < 32; i++) {
        to_x2apic(c, i);
        assert_int_equal(wrmsr(c, i, 0x80f, 0x1ff), 0);
    }
    assert_int_equal(wrmsr(c, 0, 0x830, 17ull << 32 | 0x40), 0);
    assert_int_equal(takers(c, 0x40), 1u << 17);
    assert_int_equal(rdmsr(c, 0, 0x830), 17ull << 32 | 0x40);
    assert_int_equal(wrmsr(c, 0, 0x830, 0x00010005ull << 32 | 0x841), 0); /* cluster 1, 0 and 2 */
    assert_int_equal(takers(c, 0x41), 0x00050000);
    assert_int_equal(wrmsr(c, 0, 0x830, 0xffffffffull << 32 | 0x42), 0);
    assert_int_equal(takers(c, 0x42), 0xffffffff);
    assert_int_equal(wrmsr(c, 0, 0x830, 0xffull << 32 | 0x43), 0); /* ID 255 alone */
    assert_int_equal(takers(c, 0x43), 0);
    assert_int_equal(wrmsr(c, 0, 0x830, 0xc0044), 0);
    assert_int_equal(takers(c, 0x44), 0xfffffffe);
    assert_int_equal(wrmsr(c, 9, 0x83f, 0x45), 0);
    assert_int_equal(takers(c, 0x45), 1u << 9);
    assert_int_equal(wrmsr(c, 9, 0x83f, 0x0f), 0); /* an error, not #GP */
    assert_int_equal(wrmsr(c, 9, 0x828, 0), 0);
    assert_int_equal(rdmsr(c, 9, 0x828), 0x20);
    assert_int_equal(wrmsr(c, 9, 0x830, 0x0e), 0);
    assert_int_equal(wrmsr(c, 9, 0x828, 0), 0);
    assert_int_equal(rdmsr(c, 9, 0x828), 0x20);
    chip_free(c);
}

static void vcpus_above_255_are_reached_by_x2apic_and_extended_messages(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 1);
    struct chip_vcpu far = {0}, last = {0};
    const struct bp_irqchip *ops = c->ops;

    (void)state;
    assert_int_equal(chip_attach_one(c, 0x123, &far), 0);
    assert_int_equal(chip_attach_one(c, BP_IRQCHIP_VCPUS - 1, &last), 0);
    to_x2apic(c, 0);
    to_x2apic(c, 0x123);
    assert_int_equal(rdmsr(c, 0x123, 0x802), 0x123);
    assert_int_equal(rdmsr(c, 0x123, 0x80d), 0x00120008);
    assert_int_equal(wrmsr(c, 0x123, 0x80f, 0x1ff), 0);
    assert_int_equal(wrmsr(c, 0, 0x830, 0x123ull << 32 | 0x40), 0);
    assert_int_equal(ops->acknowledge(c->self, 0x123), 0x40);
    assert_int_equal(wrmsr(c, 0x123, 0x80b, 0), 0);
    ops->msi(c->self, 0xfee00000 | 0x23u << 12 | 1u << 5, 0x41);
    assert_int_equal(ops->acknowledge(c->self, 0x123), 0x41);
    assert_int_equal(wrmsr(c, 0x123, 0x80b, 0), 0);
    fake_write(c->host, BP_SPACE_MMIO, 0xfec00000, 0x11 + 2 * 7, 4);
    fake_write(c->host, BP_SPACE_MMIO, 0xfec00010, 0x23u << 24 | 1u << 17, 4);
    ioapic_write(c, 0x10 + 2 * 7, 0x42);
    line(c, 7, 1);
    assert_int_equal(ops->acknowledge(c->self, 0x123), 0x42);
    apic_write(c, BP_IRQCHIP_VCPUS - 1, SVR, 0x1ff);
    assert_int_equal(wrmsr(c, 0, 0x830, 0xffffffffull << 32 | 0x4400), 0);
    assert_int_equal(*last.view.pending, BP_IRQCHIP_NMI);
    chip_free(c);
}

/* ---- messages ---- */

static void bad_63_messages_that_are_no_interrupt_are_dropped_and_told(void **state)
{
    static const struct {
        uint64_t address;
        uint32_t data;
    } bad[] = {
        {0x1000, 0x40},                /* RAM */
        {0xfef00000, 0x40},            /* beyond the window */
        {UINT64_C(0x1fee00000), 0x40}, /* above 4 GiB */
        {UINT64_MAX, 0xffffffff},
        {0xfee00000, 0x340}, /* reserved delivery modes */
        {0xfee00000, 0x640},
    };
    struct chip *c = enabled(1);
    uint32_t level;

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        c->ops->msi(c->self, bad[i].address, bad[i].data);
        assert_int_equal(pending(c, 0), 0);
        assert_int_equal(fake_log_count(c->host), i + 1);
    }
    assert_string_equal(fake_log(c->host, &level),
                        "the message 0x640 to 0xfee00000 is no interrupt");
    assert_int_equal(level, BP_LOG_WARN | BP_LOG_GUEST);
    chip_free(c);
}

static void a_message_has_destination_mode_and_hint(void **state)
{
    struct chip *c = enabled(4);

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        apic_write(c, i, LDR, 1u << (24 + i));
    c->ops->msi(c->self, 0xfee03000, 0x40);
    assert_int_equal(takers(c, 0x40), 1u << 3);
    c->ops->msi(c->self, 0xfee06004, 0x41); /* logical */
    assert_int_equal(takers(c, 0x41), 0x6);
    c->ops->msi(c->self, 0xfee0600c, 0x42); /* and one of them */
    assert_int_equal(__builtin_popcount(takers(c, 0x42)), 1);
    c->ops->msi(c->self, 0xfee06004, 0x143); /* lowest priority by mode */
    assert_int_equal(__builtin_popcount(takers(c, 0x43)), 1);
    c->ops->msi(c->self, 0xfeeff000, 0x44);
    assert_int_equal(takers(c, 0x44), 0xf);
    c->ops->msi(c->self, 0xfee01000, 0x8045); /* level, de-asserted */
    assert_int_equal(takers(c, 0x45), 0);
    c->ops->msi(c->self, 0xfee01000, 0xc046); /* level: ended by broadcast, which nobody has */
    assert_true(apic_bit(c, 1, TMR, 0x46));
    assert_int_equal(takers(c, 0x46), 1u << 1);
    c->ops->msi(c->self, 0xfee01000, 0x46); /* edge clears the trigger mode */
    assert_false(apic_bit(c, 1, TMR, 0x46));
    chip_free(c);
}

/* ---- I/O APIC ---- */

static void the_io_apic_has_its_registers(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 1);

    (void)state;
    assert_int_equal(ioapic_read(c, 1), 0x00170011);
    assert_int_equal(ioapic_read(c, 0), 0);
    ioapic_write(c, 0, 0xffffffff);
    assert_int_equal(ioapic_read(c, 0), 0x0f000000);
    assert_int_equal(ioapic_read(c, 2), 0x0f000000);
    ioapic_write(c, 1, 0);
    assert_int_equal(ioapic_read(c, 1), 0x00170011);
    for (uint32_t i = 0; i < 24; i++) {
        assert_int_equal(rte(c, i), MASKED);
        ioapic_write(c, 0x10 + 2 * i, 0xffffffff);
        assert_int_equal(rte(c, i), 0x1afff);
        ioapic_write(c, 0x11 + 2 * i, 0xffffffff);
        assert_int_equal(ioapic_read(c, 0x11 + 2 * i), 0xfffe0000);
    }
    ioapic_write(c, 0x40, 0xffffffff); /* beyond the last */
    assert_int_equal(ioapic_read(c, 0x40), 0);
    assert_int_equal(ioapic_read(c, 0xff), 0);
    fake_write(c->host, BP_SPACE_MMIO, 0xfec00000, 0x1ff, 4);
    assert_int_equal(fake_read(c->host, BP_SPACE_MMIO, 0xfec00000, 4), 0xff);
    assert_int_equal(fake_read(c->host, BP_SPACE_MMIO, 0xfec00040, 4), 0);
    fake_write(c->host, BP_SPACE_MMIO, 0xfec00ffc, 1, 4);
    chip_free(c);
}

static void an_edge_is_delivered_once(void **state)
{
    struct chip *c = enabled(2);

    (void)state;
    rte_write(c, 5, 0x40, 1);
    line(c, 5, 1);
    assert_int_equal(takers(c, 0x40), 1u << 1);
    line(c, 5, 1);
    assert_int_equal(takers(c, 0x40), 0);
    line(c, 5, 0);
    line(c, 5, 1);
    assert_int_equal(takers(c, 0x40), 1u << 1);
    assert_int_equal(c->ended, 0);
    chip_free(c);
}

static void an_edge_at_a_masked_input_is_lost(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    rte_write(c, 5, 0x40 | MASKED, 0);
    line(c, 5, 1);
    rte_write(c, 5, 0x40, 0);
    assert_int_equal(takers(c, 0x40), 0);
    chip_free(c);
}

static void a_level_is_delivered_again_until_the_line_falls(void **state)
{
    struct chip *c = enabled(2);

    (void)state;
    rte_write(c, 20, 0x40 | RTE_LEVEL, 1);
    line(c, 20, 1);
    assert_int_equal(rte(c, 20), 0x40 | RTE_LEVEL | RTE_REMOTE_IRR);
    assert_int_equal(inta(c, 1), 0x40);
    assert_true(apic_bit(c, 1, TMR, 0x40));
    assert_int_equal(pending(c, 1), 0);
    line(c, 20, 0);
    line(c, 20, 1); /* while remote IRR is set: not sent */
    assert_int_equal(pending(c, 1), 0);
    apic_write(c, 1, EOI, 0);
    assert_int_equal(c->ended, 1u << 20);
    assert_int_equal(inta(c, 1), 0x40);
    assert_int_equal(rte(c, 20), 0x40 | RTE_LEVEL | RTE_REMOTE_IRR);
    line(c, 20, 0);
    apic_write(c, 1, EOI, 0);
    assert_int_equal(rte(c, 20), 0x40 | RTE_LEVEL);
    assert_int_equal(pending(c, 1), 0);
    chip_free(c);
}

static void inputs_that_share_a_vector_end_together(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    rte_write(c, 20, 0x40 | RTE_LEVEL, 0);
    rte_write(c, 21, 0x40 | RTE_LEVEL, 0);
    line(c, 20, 1);
    line(c, 21, 1);
    inta(c, 0);
    line(c, 21, 0);
    apic_write(c, 0, EOI, 0);
    assert_int_equal(c->ended, 3u << 20);
    assert_int_equal(rte(c, 20), 0x40 | RTE_LEVEL | RTE_REMOTE_IRR); /* still up: sent again */
    assert_int_equal(rte(c, 21), 0x40 | RTE_LEVEL);
    chip_free(c);
}

static void a_level_waits_for_its_mask_and_its_destination(void **state)
{
    struct chip *c = chip_new(&chip_defaults, 1); /* disabled */

    (void)state;
    rte_write(c, 20, 0x40 | RTE_LEVEL | MASKED, 0);
    line(c, 20, 1);
    assert_int_equal(rte(c, 20), 0x40 | RTE_LEVEL | MASKED);
    rte_write(c, 20, 0x40 | RTE_LEVEL, 0);
    assert_int_equal(rte(c, 20), 0x40 | RTE_LEVEL); /* nobody took it */
    apic_enable(c, 0);
    rte_write(c, 20, 0x40 | RTE_LEVEL, 0);
    assert_int_equal(takers(c, 0x40), 1);
    chip_free(c);
}

static void making_an_input_edge_triggered_ends_it(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    rte_write(c, 20, 0x40 | RTE_LEVEL, 0);
    line(c, 20, 1);
    inta(c, 0);
    ioapic_write(c, 0x10 + 40, 0x40 | MASKED);
    assert_int_equal(rte(c, 20), 0x40 | MASKED);
    ioapic_write(c, 0x10 + 40, 0x40 | RTE_LEVEL);
    assert_int_equal(rte(c, 20), 0x40 | RTE_LEVEL | RTE_REMOTE_IRR);
    chip_free(c);
}

static void lines_go_to_their_inputs_and_line_0_to_input_2(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    for (uint32_t i = 0; i < 24; i++)
        rte_write(c, i, 0x40 + i, 0);
    for (uint32_t i = 0; i < 24; i++) {
        line(c, i, 1);
        assert_int_equal(takers(c, (int32_t)(i ? 0x40 + i : 0x42)), i != 2);
        line(c, i, 0);
    }
    rte_write(c, 2, 0x42 | RTE_LEVEL, 0);
    line(c, 0, 1);
    inta(c, 0);
    line(c, 0, 0);
    apic_write(c, 0, EOI, 0);
    assert_int_equal(c->ended, 1); /* told as the line, not the input */
    chip_free(c);
}

static void an_input_can_send_nmi_init_smi_and_reserved_modes_send_nothing(void **state)
{
    struct chip *c = enabled(1);
    static const uint32_t modes[8] = {0, 0, BP_IRQCHIP_SMI, 0, BP_IRQCHIP_NMI, BP_IRQCHIP_INIT,
                                      0, 0};

    (void)state;
    for (uint32_t mode = 2; mode < 7; mode++) {
        rte_write(c, 6, mode << 8 | RTE_LEVEL, 0); /* edges all the same */
        line(c, 6, 1);
        assert_int_equal(pending(c, 0), modes[mode]);
        assert_int_equal(rte(c, 6) & RTE_REMOTE_IRR, 0);
        c->ops->take(c->self, 0, UINT32_MAX, NULL);
        line(c, 6, 0);
    }
    chip_free(c);
}

static void lowest_priority_level_interrupts_end_like_others(void **state)
{
    struct chip *c = enabled(3);

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        apic_write(c, i, LDR, 1u << (24 + i));
    rte_write(c, 16, 0x140 | RTE_LOGICAL | RTE_LEVEL, 7);
    line(c, 16, 1);
    assert_int_equal(rte(c, 16) & RTE_REMOTE_IRR, RTE_REMOTE_IRR);
    line(c, 16, 0);
    assert_int_equal(__builtin_popcount(takers(c, 0x40)), 1);
    assert_int_equal(rte(c, 16) & RTE_REMOTE_IRR, 0);
    chip_free(c);
}

static void broadcast_suppression_leaves_the_end_to_the_eoi_register(void **state)
{
    struct chip *c = chip_new(&chip_directed_eoi, 1);

    (void)state;
    assert_int_equal(apic_read(c, 0, VERSION), 0x01050014);
    assert_int_equal(ioapic_read(c, 1), 0x00170020);
    apic_write(c, 0, SVR, 0x11ff);
    assert_int_equal(apic_read(c, 0, SVR), 0x11ff);
    rte_write(c, 20, 0x40 | RTE_LEVEL, 0);
    line(c, 20, 1);
    inta(c, 0);
    apic_write(c, 0, EOI, 0);
    assert_int_equal(c->ended, 0);
    assert_int_equal(pending(c, 0), 0);
    fake_write(c->host, BP_SPACE_MMIO, 0xfec00040, 0x41, 4); /* another's */
    assert_int_equal(c->ended, 0);
    fake_write(c->host, BP_SPACE_MMIO, 0xfec00040, 0x40, 4);
    assert_int_equal(c->ended, 1u << 20);
    assert_int_equal(pending(c, 0), BP_IRQCHIP_INTR);
    chip_free(c);

    c = enabled(1); /* without the property neither exists */
    apic_write(c, 0, SVR, 0x11ff);
    assert_int_equal(apic_read(c, 0, SVR), 0x1ff);
    rte_write(c, 20, 0x40 | RTE_LEVEL, 0);
    line(c, 20, 1);
    fake_write(c->host, BP_SPACE_MMIO, 0xfec00040, 0x40, 4);
    assert_int_equal(c->ended, 0);
    chip_free(c);
}

static void the_8259s_come_through_input_0(void **state)
{
    struct chip *c = enabled(2);

    (void)state;
    pics_init(c, 0x20, 1);
    apic_write(c, 0, LVT_LINT0, 0x700 | MASKED);
    rte_write(c, 0, 0x700, 1);
    line(c, 4, 1);
    assert_int_equal(pending(c, 0), 0);
    assert_int_equal(pending(c, 1), BP_IRQCHIP_INTR);
    assert_int_equal(inta(c, 1), 0x24);
    assert_int_equal(pending(c, 1), 0);
    out8(c->host, 0x20, 0x20);
    line(c, 3, 1);
    assert_int_equal(inta(c, 1), 0x23);
    chip_free(c);
}

static void a_snapshot_of_the_io_apic_moves(void **state)
{
    struct chip *from = enabled(1), *to = enabled(1);
    struct bp_x86_ioapic io, again;

    (void)state;
    ioapic_write(from, 0, 0x05000000);
    rte_write(from, 20, 0x40 | RTE_LEVEL, 0);
    rte_write(from, 5, 0x850 | 0x2000, 0x81);
    line(from, 20, 1);
    line(from, 9, 1);
    fake_write(from->host, BP_SPACE_MMIO, 0xfec00000, 0x12, 4);
    STATE_GET(from, 0, BP_X86_IOAPIC, &io);
    assert_int_equal(io.base_address, 0xfec00000);
    assert_int_equal(io.irr, 1u << 20 | 1u << 9);
    assert_int_equal(io.redirection[5], UINT64_C(0x8100000000002850));
    assert_int_equal(io.redirection[20], 0x40 | RTE_LEVEL | RTE_REMOTE_IRR);
    STATE_SET(to, 0, BP_X86_IOAPIC, &io);
    STATE_GET(to, 0, BP_X86_IOAPIC, &again);
    assert_memory_equal(&io, &again, sizeof(io));
    assert_int_equal(pending(to, 0), 0); /* it is in the local APIC's state */
    line(to, 20, 1);                     /* the device tells its level again */
    struct bp_x86_lapic lapic;
    STATE_GET(from, 0, BP_X86_LAPIC, &lapic);
    STATE_SET(to, 0, BP_X86_LAPIC, &lapic);
    assert_int_equal(inta(to, 0), 0x40);
    apic_write(to, 0, EOI, 0);
    assert_int_equal(inta(to, 0), 0x40); /* the line is still up */
    line(to, 20, 0);
    apic_write(to, 0, EOI, 0);
    assert_int_equal(pending(to, 0), 0);
    chip_free(from);
    chip_free(to);
}

static void a_pending_level_of_a_snapshot_is_sent(void **state)
{
    struct chip *c = enabled(1);
    struct bp_x86_ioapic io;

    (void)state;
    STATE_GET(c, 0, BP_X86_IOAPIC, &io);
    io.irr = 0xffffffff;
    io.id = 0xffffffff;
    io.redirection[7] = 0x47 | RTE_LEVEL;
    io.redirection[23] = UINT64_MAX;
    STATE_SET(c, 0, BP_X86_IOAPIC, &io);
    assert_int_equal(inta(c, 0), 0x47);
    STATE_GET(c, 0, BP_X86_IOAPIC, &io);
    assert_int_equal(io.irr, 0x00fffffe);
    assert_int_equal(io.id, 0xf);
    assert_int_equal(io.redirection[23], UINT64_C(0xfffe00000001afff));
    io.base_address = 0xfec01000;
    assert_int_equal(c->ops->state_set(c->self, 0, BP_X86_IOAPIC, &io, sizeof(io)), -EINVAL);
    chip_free(c);
}

static void extint_that_waits_at_input_0_survives_a_move(void **state)
{
    struct chip *from = enabled(1), *to = enabled(1);
    struct bp_x86_ioapic io;
    struct bp_x86_lapic lapic;
    struct bp_x86_pic pic;

    (void)state;
    pics_init(from, 0x20, 1);
    apic_write(from, 0, LVT_LINT0, 0x700 | MASKED);
    rte_write(from, 0, 0x700, 0);
    line(from, 4, 1);
    STATE_GET(from, 0, BP_X86_LAPIC, &lapic);
    STATE_GET(from, 0, BP_X86_PIC, &pic);
    STATE_GET(from, 0, BP_X86_IOAPIC, &io);
    STATE_SET(to, 0, BP_X86_LAPIC, &lapic);
    STATE_SET(to, 0, BP_X86_PIC, &pic);
    STATE_SET(to, 0, BP_X86_IOAPIC, &io);
    assert_int_equal(inta(to, 0), 0x24);
    chip_free(from);
    chip_free(to);
}

static void reset_masks_every_input(void **state)
{
    struct chip *c = enabled(1);

    (void)state;
    rte_write(c, 20, 0x40 | RTE_LEVEL, 0);
    line(c, 20, 1);
    fake_ops(c->host)->stop(c->self);
    fake_ops(c->host)->reset(c->self, BP_RESET_COLD);
    assert_int_equal(fake_ops(c->host)->start(c->self), 0);
    assert_int_equal(rte(c, 20), MASKED);
    assert_int_equal(pending(c, 0), 0);
    assert_int_equal(apic_read(c, 0, SVR), 0xff);
    chip_free(c);
}

static void addresses_and_ports_that_are_taken_are_refused(void **state)
{
    struct chip_config config = chip_defaults;
    struct fake_host *h;

    (void)state;
    config.speaker_port = 0x21;
    assert_int_equal(fake_host_try(DEV_PC, "irqchip", &config, &h), -EBUSY);
    assert_string_equal(fake_failure(),
                        "ports 0x21 to 0x21 cannot be had; choose another `speaker-port`");
    config.speaker_port = 0x61;
    config.pit_port = 0xfffe;
    assert_int_equal(fake_host_try(DEV_PC, "irqchip", &config, &h), -EINVAL);
    assert_string_equal(fake_failure(),
                        "ports 0xfffe to 0x10001 cannot be had; choose another `pit-port`");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_physical_ipi_reaches_one_or_all),
        cmocka_unit_test(shorthands_reach_self_all_and_others),
        cmocka_unit_test(flat_logical_destinations_are_bit_masks),
        cmocka_unit_test(cluster_destinations_name_a_cluster_and_its_members),
        cmocka_unit_test(lowest_priority_goes_to_the_least_busy_in_turn),
        cmocka_unit_test(nmi_smi_init_and_sipi_are_passed_on),
        cmocka_unit_test(init_to_all_but_self_and_startup_of_all),
        cmocka_unit_test(x2apic_sends_by_one_64_bit_write),
        cmocka_unit_test(vcpus_above_255_are_reached_by_x2apic_and_extended_messages),
        cmocka_unit_test(bad_63_messages_that_are_no_interrupt_are_dropped_and_told),
        cmocka_unit_test(a_message_has_destination_mode_and_hint),
        cmocka_unit_test(the_io_apic_has_its_registers),
        cmocka_unit_test(an_edge_is_delivered_once),
        cmocka_unit_test(an_edge_at_a_masked_input_is_lost),
        cmocka_unit_test(a_level_is_delivered_again_until_the_line_falls),
        cmocka_unit_test(inputs_that_share_a_vector_end_together),
        cmocka_unit_test(a_level_waits_for_its_mask_and_its_destination),
        cmocka_unit_test(making_an_input_edge_triggered_ends_it),
        cmocka_unit_test(lines_go_to_their_inputs_and_line_0_to_input_2),
        cmocka_unit_test(an_input_can_send_nmi_init_smi_and_reserved_modes_send_nothing),
        cmocka_unit_test(lowest_priority_level_interrupts_end_like_others),
        cmocka_unit_test(broadcast_suppression_leaves_the_end_to_the_eoi_register),
        cmocka_unit_test(the_8259s_come_through_input_0),
        cmocka_unit_test(a_snapshot_of_the_io_apic_moves),
        cmocka_unit_test(a_pending_level_of_a_snapshot_is_sent),
        cmocka_unit_test(extint_that_waits_at_input_0_survives_a_move),
        cmocka_unit_test(reset_masks_every_input),
        cmocka_unit_test(addresses_and_ports_that_are_taken_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
