/* SPDX-License-Identifier: MIT
 *
 * machine/replica_chip.c - the interrupt controllers of bp_machine_compare()'s second backend: they
 * answer what the first's did (ext/irqchip.h). Interrupts wait when replica.c says so.
 */
#include "machine/compare.h"

#include <errno.h>

static int chip_attach(void *self, uint32_t vcpu, const struct bp_irqchip_vcpu *user,
                       struct bp_irqchip_view *view)
{
    struct replica *r = self;

    (void)vcpu;
    r->user = *user;
    view->pending = &r->pending;
    view->deadline_ns = &r->deadline_ns;
    return 0;
}

static int chip_mmio_read(void *self, uint32_t vcpu, uint32_t offset, uint32_t width,
                          uint64_t *value)
{
    const struct event *e = replica_repeat(self, EVENT_APIC_READ, offset, 0, width);

    (void)vcpu;
    *value = e ? e->value : 0;
    return e ? e->result : 0;
}

static int chip_mmio_write(void *self, uint32_t vcpu, uint32_t offset, uint32_t width,
                           uint64_t value)
{
    const struct event *e = replica_repeat(self, EVENT_APIC_WRITE, offset, value, width);

    (void)vcpu;
    return e ? e->result : 0;
}

static int chip_msr_read(void *self, uint32_t vcpu, uint32_t index, uint64_t *value)
{
    const struct replica *r = self;

    if (index == BP_IRQCHIP_MSR_APIC_BASE) {
        *value = r->apic_base;
        return 0;
    }

    const struct event *e = replica_repeat(self, EVENT_MSR_READ, index, 0, 8);

    (void)vcpu;
    *value = e ? e->value : 0;
    return e ? e->result : 0;
}

static int chip_msr_write(void *self, uint32_t vcpu, uint32_t index, uint64_t value)
{
    const struct event *e = replica_repeat(self, EVENT_MSR_WRITE, index, value, 8);
    struct replica *r = self;

    if (e && !e->result && index == BP_IRQCHIP_MSR_APIC_BASE)
        r->apic_base = value;

    (void)vcpu;
    return e ? e->result : 0;
}

static uint64_t chip_cr8_get(void *self, uint32_t vcpu)
{
    const struct event *e = replica_repeat(self, EVENT_CR8_READ, 0, 0, 8);

    (void)vcpu;
    return e ? e->value : 0;
}

static void chip_cr8_set(void *self, uint32_t vcpu, uint64_t value)
{
    (void)vcpu;
    replica_repeat(self, EVENT_CR8_WRITE, 0, value, 8);
}

static int32_t chip_acknowledge(void *self, uint32_t vcpu)
{
    struct replica *r = self;
    const struct event *e = replica_repeat(self, EVENT_INTERRUPT, 0, 0, 1);

    (void)vcpu;
    __atomic_fetch_and(&r->pending, ~BP_IRQCHIP_INTR, __ATOMIC_SEQ_CST);
    return e ? e->result : -EAGAIN;
}

static uint32_t chip_take(void *self, uint32_t vcpu, uint32_t bits, uint32_t *sipi_vector)
{
    struct replica *r = self;
    const struct event *e = replica_repeat(self, EVENT_TAKE, bits, 0, 4);

    (void)vcpu;
    __atomic_fetch_and(&r->pending, ~bits, __ATOMIC_SEQ_CST);
    if (sipi_vector)
        *sipi_vector = e ? e->vector : 0;
    return e ? (uint32_t)e->value : 0;
}

static uint32_t chip_ferr_set(void *self, uint32_t vcpu, uint32_t level)
{
    (void)vcpu;
    return replica_ferr(self, level);
}

static int chip_apic_base_set(void *self, uint32_t vcpu, uint64_t value)
{
    struct replica *r = self;

    (void)vcpu;
    r->apic_base = value;
    return 0;
}

/* What needs no answer. */
static int chip_detach(void *self, uint32_t vcpu)
{
    (void)self;
    (void)vcpu;
    return 0;
}

static void chip_reset(void *self, uint32_t vcpu, uint32_t kind)
{
    (void)self;
    (void)vcpu;
    (void)kind;
}

static void chip_post(void *self, uint32_t vcpu, uint32_t bits, uint32_t vector)
{
    (void)self;
    (void)vcpu;
    (void)bits;
    (void)vector;
}

static void chip_nothing(void *self, uint32_t vcpu)
{
    (void)self;
    (void)vcpu;
}

const struct bp_irqchip replica_chip = {.size = sizeof(replica_chip),
                                        .attach = chip_attach,
                                        .detach = chip_detach,
                                        .reset = chip_reset,
                                        .mmio_read = chip_mmio_read,
                                        .mmio_write = chip_mmio_write,
                                        .msr_read = chip_msr_read,
                                        .msr_write = chip_msr_write,
                                        .cr8_get = chip_cr8_get,
                                        .cr8_set = chip_cr8_set,
                                        .acknowledge = chip_acknowledge,
                                        .take = chip_take,
                                        .post = chip_post,
                                        .expire = chip_nothing,
                                        .tsc_changed = chip_nothing,
                                        .apic_base_set = chip_apic_base_set,
                                        .ferr_set = chip_ferr_set};
