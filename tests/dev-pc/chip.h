/* SPDX-License-Identifier: MIT
 *
 * dev-pc/chip.h - what the tests of the interrupt controllers share: an irqchip on the fake host
 * with some vCPUs attached, and short names for their accesses.
 *
 * Lines are told by the test, as the host's router would: the fake host does not know of the chip.
 */
#ifndef TESTS_DEV_PC_CHIP_H
#define TESTS_DEV_PC_CHIP_H

#include "chip_config.h"
#include "ports.h"

#include <backplane/ext/irqchip.h>
#include <backplane/ext/x86.h>
#include <errno.h>
#include <stdlib.h>

static const struct chip_config chip_directed_eoi = {CHIP_DEFAULTS, .directed_eoi = 1};

#define CHIP_VCPUS 32
#define CHIP_TSC_HZ 2000000000u

struct chip;

struct chip_vcpu {
    struct chip *chip;
    struct bp_irqchip_view view;
    unsigned attentions;
};

struct chip {
    struct fake_host *host;
    const struct bp_irqchip *ops;
    void *self;
    uint64_t tsc_offset; /* the TSC counts guest time twice a ns, from here */
    struct chip_vcpu vcpus[CHIP_VCPUS];
    unsigned count;
    uint64_t ended; /* lines that the EOI listener was told */
};

static inline void chip_attention(void *context)
{
    __atomic_fetch_add(&((struct chip_vcpu *)context)->attentions, 1, __ATOMIC_RELAXED);
}

static inline uint64_t chip_tsc(void *context)
{
    struct chip *c = ((struct chip_vcpu *)context)->chip;

    return c->tsc_offset + 2 * fake_now_ns(c->host);
}

static inline int chip_attach_one(struct chip *c, uint32_t vcpu, struct chip_vcpu *v)
{
    struct bp_irqchip_vcpu user = {.size = sizeof(user),
                                   .context = v,
                                   .attention = chip_attention,
                                   .tsc = chip_tsc,
                                   .tsc_hz = CHIP_TSC_HZ};

    v->chip = c;
    v->view.size = sizeof(v->view);
    return c->ops->attach(c->self, vcpu, &user, &v->view);
}

static inline void chip_ended(void *context, uint32_t line)
{
    __atomic_fetch_or(&((struct chip *)context)->ended, UINT64_C(1) << line, __ATOMIC_RELAXED);
}

static inline struct chip *chip_new(const struct chip_config *config, unsigned vcpus)
{
    struct chip *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    assert_true(vcpus <= CHIP_VCPUS);
    c->host = fake_host_new(DEV_PC, "irqchip", config);
    c->self = fake_self(c->host);
    c->ops = fake_ops(c->host)->extension(c->self, BP_IRQCHIP_ID);
    assert_non_null(c->ops);
    assert_int_equal(c->ops->size, sizeof(*c->ops));
    c->count = vcpus;
    for (unsigned i = 0; i < vcpus; i++)
        assert_int_equal(chip_attach_one(c, i, &c->vcpus[i]), 0);
    c->ops->eoi_listen(c->self, chip_ended, c);
    return c;
}

static inline void chip_free(struct chip *c)
{
    fake_host_free(c->host);
    free(c);
}

/* ---- local APICs ---- */

enum {
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    TMR = 0x180,
    IRR = 0x200,
    ESR = 0x280,
    ICR = 0x300,
    ICR2 = 0x310,
    LVT_TIMER = 0x320,
    LVT_THERMAL = 0x330,
    LVT_PMC = 0x340,
    LVT_LINT0 = 0x350,
    LVT_LINT1 = 0x360,
    LVT_ERROR = 0x370,
    TIMER_INITIAL = 0x380,
    TIMER_CURRENT = 0x390,
    TIMER_DIVIDE = 0x3e0,
};

#define MASKED 0x10000u

static inline uint32_t apic_read(struct chip *c, uint32_t vcpu, uint32_t offset)
{
    uint64_t value = 0;

    assert_int_equal(c->ops->mmio_read(c->self, vcpu, offset, 4, &value), 0);
    return (uint32_t)value;
}

static inline void apic_write(struct chip *c, uint32_t vcpu, uint32_t offset, uint32_t value)
{
    assert_int_equal(c->ops->mmio_write(c->self, vcpu, offset, 4, value), 0);
}

static inline int wrmsr(struct chip *c, uint32_t vcpu, uint32_t index, uint64_t value)
{
    return c->ops->msr_write(c->self, vcpu, index, value);
}

static inline uint64_t rdmsr(struct chip *c, uint32_t vcpu, uint32_t index)
{
    uint64_t value = 0;

    assert_int_equal(c->ops->msr_read(c->self, vcpu, index, &value), 0);
    return value;
}

static inline uint32_t pending(struct chip *c, uint32_t vcpu)
{
    return __atomic_load_n(c->vcpus[vcpu].view.pending, __ATOMIC_ACQUIRE);
}

static inline uint64_t deadline(struct chip *c, uint32_t vcpu)
{
    return __atomic_load_n(c->vcpus[vcpu].view.deadline_ns, __ATOMIC_ACQUIRE);
}

static inline int32_t inta(struct chip *c, uint32_t vcpu)
{
    return c->ops->acknowledge(c->self, vcpu);
}

/* Bit `vector` of ISR, TMR or IRR. */
static inline bool apic_bit(struct chip *c, uint32_t vcpu, uint32_t first, uint32_t vector)
{
    return apic_read(c, vcpu, first + vector / 32 * 16) >> vector % 32 & 1;
}

static inline void apic_enable(struct chip *c, uint32_t vcpu)
{
    apic_write(c, vcpu, SVR, 0x1ff);
}

static inline void apic_enable_all(struct chip *c)
{
    for (unsigned i = 0; i < c->count; i++)
        apic_enable(c, i);
}

/* An edge-triggered fixed message to one vCPU. */
static inline void msi(struct chip *c, uint32_t vcpu, uint32_t vector)
{
    c->ops->msi(c->self, 0xfee00000 | vcpu << 12, vector);
}

static inline void to_x2apic(struct chip *c, uint32_t vcpu)
{
    assert_int_equal(wrmsr(c, vcpu, 0x1b, rdmsr(c, vcpu, 0x1b) | 0x400), 0);
}

/* ---- I/O APIC ---- */

static inline uint32_t ioapic_read(struct chip *c, uint32_t reg)
{
    fake_write(c->host, BP_SPACE_MMIO, 0xfec00000, reg, 4);
    return (uint32_t)fake_read(c->host, BP_SPACE_MMIO, 0xfec00010, 4);
}

static inline void ioapic_write(struct chip *c, uint32_t reg, uint32_t value)
{
    fake_write(c->host, BP_SPACE_MMIO, 0xfec00000, reg, 4);
    fake_write(c->host, BP_SPACE_MMIO, 0xfec00010, value, 4);
}

#define RTE_LOGICAL 0x800u
#define RTE_REMOTE_IRR 0x4000u
#define RTE_LEVEL 0x8000u

static inline void rte_write(struct chip *c, uint32_t pin, uint32_t low, uint32_t destination)
{
    ioapic_write(c, 0x11 + 2 * pin, destination << 24);
    ioapic_write(c, 0x10 + 2 * pin, low);
}

static inline uint32_t rte(struct chip *c, uint32_t pin)
{
    return ioapic_read(c, 0x10 + 2 * pin);
}

static inline void line(struct chip *c, uint32_t n, uint32_t level)
{
    c->ops->line_set(c->self, n, level);
}

/* ---- 8259s ---- */

/* As a PC's firmware does: master at `base`, slave at `base` + 8, nothing masked. */
static inline void pics_init(struct chip *c, uint8_t base, uint8_t icw4)
{
    out8(c->host, 0x20, 0x11);
    out8(c->host, 0x21, base);
    out8(c->host, 0x21, 0x04);
    out8(c->host, 0x21, icw4);
    out8(c->host, 0xa0, 0x11);
    out8(c->host, 0xa1, base + 8u);
    out8(c->host, 0xa1, 0x02);
    out8(c->host, 0xa1, icw4);
    out8(c->host, 0x21, 0);
    out8(c->host, 0xa1, 0);
}

#define STATE_GET(c, vcpu, set, state)                                                             \
    assert_int_equal((c)->ops->state_get((c)->self, vcpu, set, state, sizeof(*(state))), 0)
#define STATE_SET(c, vcpu, set, state)                                                             \
    assert_int_equal((c)->ops->state_set((c)->self, vcpu, set, state, sizeof(*(state))), 0)

#endif
