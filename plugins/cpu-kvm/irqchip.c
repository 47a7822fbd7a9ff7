/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/irqchip.c - the interrupt controllers and the PIT in the kernel.
 *
 * After api.rst: KVM_CREATE_IRQCHIP, KVM_IRQ_LINE, KVM_GET_IRQCHIP, KVM_SET_IRQCHIP,
 * KVM_SIGNAL_MSI, KVM_CREATE_PIT2, KVM_GET_PIT2, KVM_SET_PIT2. Line n is PIC input n (below 16)
 * and I/O APIC input n; only the PIT's line 0 is I/O APIC input 2 (doorbell.c). The PIT's speaker
 * port, 0x61, is answered by the kernel as well.
 *
 * KVM gives a PIT's counters as they were loaded and when; setting them starts their period anew.
 */
#include "kvm.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/* ---- raising -------------------------------------------------------------------------------- */

void vm_irq(void *self, uint32_t line, uint32_t level)
{
    struct vm *vm = self;
    struct kvm_irq_level arg = {.irq = line, .level = level != 0};

    if (line >= KVM_IOAPIC_NUM_PINS) {
        /* Beyond them are the routes of doorbell.c. A device may come here as often as its guest
         * likes. */
        bp_logf(vm->host, vm->node, BP_LOG_WARN | BP_LOG_GUEST, "interrupt line %u is not below %u",
                line, (unsigned)KVM_IOAPIC_NUM_PINS);
        return;
    }
    ioctl(vm->fd, KVM_IRQ_LINE, &arg);
}

void vm_msi(void *self, uint64_t address, uint32_t data)
{
    struct vm *vm = self;
    struct kvm_msi msi = {
        .address_lo = (uint32_t)address, .address_hi = (uint32_t)(address >> 32), .data = data};

    /* 0: the guest has the target masked, or it does not exist. Hardware drops it too. */
    if (ioctl(vm->fd, KVM_SIGNAL_MSI, &msi) < 0) {
        bp_logf(vm->host, vm->node, BP_LOG_WARN | BP_LOG_GUEST,
                "the message 0x%x to 0x%llx is no interrupt", data, (unsigned long long)address);
    }
}

/* ---- reading and writing chips -------------------------------------------------------------- */

static int chip_read(struct vm *vm, uint32_t id, struct kvm_irqchip *chip)
{
    memset(chip, 0, sizeof(*chip));
    chip->chip_id = id;
    if (ioctl(vm->fd, KVM_GET_IRQCHIP, chip) != 0)
        return bp_failf(vm->host, vm->node, -errno, "KVM_GET_IRQCHIP failed: %m");
    return 0;
}

static int chip_write(struct vm *vm, struct kvm_irqchip *chip)
{
    if (ioctl(vm->fd, KVM_SET_IRQCHIP, chip) != 0)
        return bp_failf(vm->host, vm->node, -errno, "KVM_SET_IRQCHIP failed: %m");
    return 0;
}

int pic_get(struct vm *vm, void *state)
{
    struct bp_x86_pic *to = state;
    struct kvm_irqchip chip;

    for (uint32_t i = 0; i < 2; i++) {
        const struct kvm_pic_state *s = &chip.chip.pic;
        int err = chip_read(vm, i ? KVM_IRQCHIP_PIC_SLAVE : KVM_IRQCHIP_PIC_MASTER, &chip);

        if (err)
            return err;
        to->chip[i] = (struct bp_x86_i8259){
            .irr = s->irr,
            .imr = s->imr,
            .isr = s->isr,
            .last_irr = s->last_irr,
            .priority_add = s->priority_add,
            .irq_base = s->irq_base,
            .read_isr = s->read_reg_select,
            .poll = s->poll,
            .special_mask = s->special_mask,
            .init_state = s->init_state,
            .auto_eoi = s->auto_eoi,
            .rotate_on_auto_eoi = s->rotate_on_auto_eoi,
            .special_fully_nested = s->special_fully_nested_mode,
            .init4 = s->init4,
            .elcr = s->elcr,
            .elcr_mask = s->elcr_mask,
        };
    }
    return 0;
}

int pic_set(struct vm *vm, const void *state)
{
    const struct bp_x86_pic *from = state;

    for (uint32_t i = 0; i < 2; i++) {
        const struct bp_x86_i8259 *s = &from->chip[i];
        struct kvm_irqchip chip = {.chip_id = i ? KVM_IRQCHIP_PIC_SLAVE : KVM_IRQCHIP_PIC_MASTER};
        int err;

        /* KVM indexes by it. */
        if (s->priority_add > 7 || s->init_state > 3) {
            return bp_failf(
                vm->host, vm->node, -EINVAL,
                "%s: priority %u is not below 8, or initialization state %u not below 4",
                BP_X86_PIC, s->priority_add, s->init_state);
        }
        chip.chip.pic = (struct kvm_pic_state){
            .irr = s->irr,
            .imr = s->imr,
            .isr = s->isr,
            .last_irr = s->last_irr,
            .priority_add = s->priority_add,
            .irq_base = s->irq_base,
            .read_reg_select = s->read_isr,
            .poll = s->poll,
            .special_mask = s->special_mask,
            .init_state = s->init_state,
            .auto_eoi = s->auto_eoi,
            .rotate_on_auto_eoi = s->rotate_on_auto_eoi,
            .special_fully_nested_mode = s->special_fully_nested,
            .init4 = s->init4,
            .elcr = s->elcr,
            .elcr_mask = s->elcr_mask,
        };
        err = chip_write(vm, &chip);
        if (err)
            return err;
    }
    return 0;
}

int ioapic_get(struct vm *vm, void *state)
{
    struct bp_x86_ioapic *to = state;
    struct kvm_irqchip chip;
    const struct kvm_ioapic_state *s = &chip.chip.ioapic;
    int err = chip_read(vm, KVM_IRQCHIP_IOAPIC, &chip);

    if (err)
        return err;
    to->base_address = s->base_address;
    to->ioregsel = s->ioregsel;
    to->id = s->id;
    to->irr = s->irr;
    for (uint32_t i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
        to->redirection[i] = s->redirtbl[i].bits;
    return 0;
}

int ioapic_set(struct vm *vm, const void *state)
{
    const struct bp_x86_ioapic *from = state;
    struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};
    struct kvm_ioapic_state *s = &chip.chip.ioapic;

    s->base_address = from->base_address;
    s->ioregsel = from->ioregsel;
    s->id = from->id;
    s->irr = from->irr;
    for (uint32_t i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
        s->redirtbl[i].bits = from->redirection[i];
    return chip_write(vm, &chip);
}

/* ---- PIT ------------------------------------------------------------------------------------ */

static int pit_read(struct vm *vm, struct kvm_pit_state2 *s)
{
    if (ioctl(vm->fd, KVM_GET_PIT2, s) != 0)
        return bp_failf(vm->host, vm->node, -errno, "KVM_GET_PIT2 failed: %m");
    return 0;
}

static int pit_write(struct vm *vm, struct kvm_pit_state2 *s)
{
    if (ioctl(vm->fd, KVM_SET_PIT2, s) != 0)
        return bp_failf(vm->host, vm->node, -errno, "KVM_SET_PIT2 failed: %m");
    return 0;
}

/* A counter that was never loaded has mode 0xff in KVM and load time 0, and no neutral value for
 * them: they are what power-on gives. */
int pit_get(struct vm *vm, void *state)
{
    struct bp_x86_pit *to = state;
    struct kvm_pit_state2 s;
    int64_t to_guest;
    int err = pit_read(vm, &s);

    if (err)
        return err;
    to_guest = (int64_t)vm->host->clock_ns(vm->node) - time_host_ns(vm);
    for (uint32_t i = 0; i < 3; i++) {
        const struct kvm_pit_channel_state *c = &s.channels[i];

        to->channel[i] = (struct bp_x86_pit_channel){
            .count = c->count,
            .latched_count = c->latched_count,
            .count_latched = c->count_latched,
            .status_latched = c->status_latched,
            .status = c->status,
            .read_state = c->read_state,
            .write_state = c->write_state,
            .write_latch = c->write_latch,
            .rw_mode = c->rw_mode,
            .mode = c->mode,
            .bcd = c->bcd,
            .gate = c->gate,
            .load_time_ns = c->count_load_time ? c->count_load_time + to_guest : 0,
        };
    }
    to->speaker_on = (s.flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON) != 0;
    return 0;
}

int pit_set(struct vm *vm, const void *state)
{
    const struct bp_x86_pit *from = state;
    struct kvm_pit_state2 s;

    memset(&s, 0, sizeof(s));
    for (uint32_t i = 0; i < 3; i++) {
        const struct bp_x86_pit_channel *c = &from->channel[i];

        if (c->count > 65536 || (c->mode > 5 && c->mode != 0xff)) {
            return bp_failf(vm->host, vm->node, -EINVAL,
                            "%s: counter %u has count %u and mode %u; 65536 and 5 are the highest",
                            BP_X86_PIT, i, c->count, c->mode);
        }
        s.channels[i] = (struct kvm_pit_channel_state){
            .count = c->count,
            .latched_count = c->latched_count,
            .count_latched = c->count_latched,
            .status_latched = c->status_latched,
            .status = c->status,
            .read_state = c->read_state,
            .write_state = c->write_state,
            .write_latch = c->write_latch,
            .rw_mode = c->rw_mode,
            .mode = c->mode,
            .bcd = c->bcd,
            .gate = c->gate,
        };
    }
    s.flags = from->speaker_on ? KVM_PIT_FLAGS_SPEAKER_DATA_ON : 0;
    return pit_write(vm, &s);
}

void pit_restart(struct vm *vm)
{
    struct kvm_pit_state2 s;

    if (pit_read(vm, &s) == 0)
        pit_write(vm, &s);
}

/* ---- life ----------------------------------------------------------------------------------- */

int irqchip_create(struct vm *vm)
{
    /* The dummy speaker port: without it every guest that calibrates by the PIT, or beeps, would
     * exit on port 0x61, and nobody else knows the output of counter 2. */
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
    int err;

    if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) != 0)
        return bp_failf(vm->host, vm->node, -errno, "KVM_CREATE_IRQCHIP failed: %m");
    if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit) != 0)
        return bp_failf(vm->host, vm->node, -errno, "KVM_CREATE_PIT2 failed: %m");
    pthread_mutex_lock(&vm->lock);
    err = routes_write(vm);
    pthread_mutex_unlock(&vm->lock);
    if (err) {
        errno = -err;
        return bp_failf(vm->host, vm->node, err, "KVM_SET_GSI_ROUTING failed: %m");
    }
    err = pic_get(vm, &vm->reset_pic);
    err = err ? err : ioapic_get(vm, &vm->reset_ioapic);
    err = err ? err : pit_read(vm, &vm->reset_pit);
    return err;
}

int irqchip_reset(struct vm *vm)
{
    struct kvm_pit_state2 pit = vm->reset_pit;
    int err;

    err = pic_set(vm, &vm->reset_pic);
    err = err ? err : ioapic_set(vm, &vm->reset_ioapic);
    err = err ? err : pit_write(vm, &pit);
    return err;
}
