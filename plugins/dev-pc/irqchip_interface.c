/* SPDX-License-Identifier: MIT
 *
 * dev-pc/irqchip_interface.c - "bp.irqchip/1": what a CPU backend and the host's router ask of the
 * interrupt controllers, handed to the chip that it concerns.
 */
#include "irqchip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIC_LINES 16u
#define PIT_LINE 0u

/* ---- lines and messages --------------------------------------------------------------------- */

static void chip_line_set(void *self, uint32_t line, uint32_t level)
{
    struct irqchip *chip = self;

    if (line == PIC_CASCADE || line >= IOAPIC_PINS)
        return;
    if (line < PIC_LINES)
        pic_line(&chip->pic, line, level != 0);
    ioapic_pin(&chip->ioapic, line == PIT_LINE ? PIC_CASCADE : line, level != 0);
}

static void chip_msi(void *self, uint64_t address, uint32_t data)
{
    apic_send_msi(self, address, data);
}

static void chip_nmi_set(void *self, uint32_t level)
{
    struct irqchip *chip = self;
    uint32_t count = irqchip_lapics(chip);

    for (uint32_t i = 0; i < count; i++) {
        struct lapic *l = irqchip_lapic(chip, i);
        if (l)
            lapic_lint(l, 1, level != 0);
    }
}

static void chip_eoi_listen(void *self, void (*eoi)(void *context, uint32_t line), void *context)
{
    struct irqchip *chip = self;

    chip->eoi = eoi;
    chip->eoi_context = context;
}

static void chip_timer_connect(void *self, uint32_t on)
{
    pit_connect(&((struct irqchip *)self)->pit, on != 0);
}

/* ---- local APICs ---------------------------------------------------------------------------- */

static int chip_attach(void *self, uint32_t vcpu, const struct bp_irqchip_vcpu *user,
                       struct bp_irqchip_view *view)
{
    struct irqchip *chip = self;
    struct lapic *l;
    bool intr;

    if (vcpu >= BP_IRQCHIP_VCPUS || !BP_HAS(user, tsc_hz) || !BP_HAS(view, deadline_ns) ||
        !user->attention || !user->tsc || !user->tsc_hz)
        return -EINVAL;
    l = calloc(1, sizeof(*l));
    if (!l || pthread_mutex_init(&l->lock, NULL)) {
        free(l);
        return -ENOMEM;
    }
    l->chip = chip;
    l->id = vcpu;
    l->user = (struct bp_irqchip_vcpu){
        .size = sizeof(l->user),
        .context = user->context,
        .attention = user->attention,
        .tsc = user->tsc,
        .tsc_hz = user->tsc_hz,
    };
    lapic_reset(l, true);

    pthread_mutex_lock(&chip->attach_lock);
    bool taken = irqchip_lapic(chip, vcpu) != NULL;
    if (!taken) {
        __atomic_store_n(&chip->lapics[vcpu], l, __ATOMIC_RELEASE);
        if (irqchip_lapics(chip) <= vcpu)
            __atomic_store_n(&chip->lapic_count, vcpu + 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&chip->attach_lock);
    if (taken) {
        pthread_mutex_destroy(&l->lock);
        free(l);
        return -EEXIST;
    }
    view->pending = &l->pending;
    view->deadline_ns = &l->deadline_ns;
    /* INTR may be up since before. */
    pthread_mutex_lock(&chip->pic.lock);
    intr = chip->pic.intr;
    if (intr)
        lapic_lint(l, 0, true);
    pthread_mutex_unlock(&chip->pic.lock);
    return 0;
}

static void no_attention(void *context)
{
    (void)context;
}

/* The memory stays until destroy(): another thread may be about to deliver to it. */
static int chip_detach(void *self, uint32_t vcpu)
{
    struct irqchip *chip = self;
    struct lapic *l = irqchip_lapic(chip, vcpu);

    if (!l)
        return -ENOENT;
    pthread_mutex_lock(&chip->attach_lock);
    __atomic_store_n(&chip->lapics[vcpu], NULL, __ATOMIC_RELEASE);
    l->next = chip->detached;
    chip->detached = l;
    pthread_mutex_unlock(&chip->attach_lock);
    pthread_mutex_lock(&l->lock); /* on return nobody is in attention(), nor will be */
    l->user.attention = no_attention;
    pthread_mutex_unlock(&l->lock);
    return 0;
}

static void chip_reset(void *self, uint32_t vcpu, uint32_t kind)
{
    struct lapic *l = irqchip_lapic(self, vcpu);

    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    lapic_reset(l, kind == BP_IRQCHIP_RESET_POWER_ON);
    pthread_mutex_unlock(&l->lock);
}

static int chip_mmio_read(void *self, uint32_t vcpu, uint32_t offset, uint32_t width,
                          uint64_t *value)
{
    struct lapic *l = irqchip_lapic(self, vcpu);

    return l ? lapic_mmio_read(l, offset, width, value) : -ENOENT;
}

static int chip_mmio_write(void *self, uint32_t vcpu, uint32_t offset, uint32_t width,
                           uint64_t value)
{
    struct lapic *l = irqchip_lapic(self, vcpu);

    return l ? lapic_mmio_write(l, offset, width, value) : -ENOENT;
}

static int chip_msr_read(void *self, uint32_t vcpu, uint32_t index, uint64_t *value)
{
    struct lapic *l = irqchip_lapic(self, vcpu);

    return l ? lapic_msr_read(l, index, value) : -EINVAL;
}

static int chip_msr_write(void *self, uint32_t vcpu, uint32_t index, uint64_t value)
{
    struct lapic *l = irqchip_lapic(self, vcpu);

    return l ? lapic_msr_write(l, index, value) : -EINVAL;
}

static uint64_t chip_cr8_get(void *self, uint32_t vcpu)
{
    struct lapic *l = irqchip_lapic(self, vcpu);
    uint64_t value;

    if (!l)
        return 0;
    pthread_mutex_lock(&l->lock);
    value = l->registers[APIC_TPR] >> 4;
    pthread_mutex_unlock(&l->lock);
    return value;
}

static void chip_cr8_set(void *self, uint32_t vcpu, uint64_t value)
{
    struct lapic *l = irqchip_lapic(self, vcpu);

    if (l)
        lapic_tpr_set(l, (uint8_t)((value & 0xf) << 4));
}

static int32_t chip_acknowledge(void *self, uint32_t vcpu)
{
    struct lapic *l = irqchip_lapic(self, vcpu);

    return l ? lapic_acknowledge(l) : -EAGAIN;
}

static uint32_t chip_take(void *self, uint32_t vcpu, uint32_t bits, uint32_t *sipi_vector)
{
    struct lapic *l = irqchip_lapic(self, vcpu);
    uint32_t taken;

    if (!l)
        return 0;
    pthread_mutex_lock(&l->lock);
    taken = l->pending & bits & ~BP_IRQCHIP_INTR;
    if (taken & BP_IRQCHIP_SIPI && sipi_vector)
        *sipi_vector = l->sipi_vector;
    __atomic_store_n(&l->pending, l->pending & ~taken, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&l->lock);
    return taken;
}

static void chip_post(void *self, uint32_t vcpu, uint32_t bits, uint32_t sipi_vector)
{
    const uint32_t known = BP_IRQCHIP_NMI | BP_IRQCHIP_SMI | BP_IRQCHIP_INIT | BP_IRQCHIP_SIPI;
    struct lapic *l = irqchip_lapic(self, vcpu);

    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    lapic_post(l, bits & known, (uint8_t)sipi_vector);
    pthread_mutex_unlock(&l->lock);
}

static uint32_t chip_ferr_set(void *self, uint32_t vcpu, uint32_t level)
{
    struct irqchip *chip = self;
    struct lapic *l = irqchip_lapic(chip, vcpu);

    return l ? ferr_level(&chip->ferr, l, level != 0) : 1;
}

static void chip_expire(void *self, uint32_t vcpu)
{
    struct lapic *l = irqchip_lapic(self, vcpu);

    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    lapic_timer_expire(l);
    pthread_mutex_unlock(&l->lock);
}

static void chip_tsc_changed(void *self, uint32_t vcpu)
{
    struct lapic *l = irqchip_lapic(self, vcpu);

    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    lapic_timer_publish(l);
    pthread_mutex_unlock(&l->lock);
}

/* ---- state ---------------------------------------------------------------------------------- */

static int check_set(const char *set, uint32_t size)
{
    static const struct {
        const char *id;
        uint32_t size;
    } sets[] = {
        {BP_X86_LAPIC, sizeof(struct bp_x86_lapic)},
        {BP_X86_PIC, sizeof(struct bp_x86_pic)},
        {BP_X86_IOAPIC, sizeof(struct bp_x86_ioapic)},
        {BP_X86_PIT, sizeof(struct bp_x86_pit)},
    };

    for (uint32_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
        if (!strcmp(set, sets[i].id))
            return size == sets[i].size ? (int)i : -EINVAL;
    return -ENOENT;
}

enum { SET_LAPIC, SET_PIC, SET_IOAPIC, SET_PIT };

static int chip_state_get(void *self, uint32_t vcpu, const char *set, void *state, uint32_t size)
{
    struct irqchip *chip = self;
    struct lapic *l = irqchip_lapic(chip, vcpu);
    int which = check_set(set, size);

    switch (which) {
    case SET_LAPIC:
        return l ? lapic_state_get(l, state) : -ENOENT;
    case SET_PIC:
        pic_state_get(&chip->pic, state);
        return 0;
    case SET_IOAPIC:
        ioapic_state_get(&chip->ioapic, state);
        return 0;
    case SET_PIT:
        pit_state_get(&chip->pit, state);
        return 0;
    default:
        return which;
    }
}

static int chip_state_set(void *self, uint32_t vcpu, const char *set, const void *state,
                          uint32_t size)
{
    struct irqchip *chip = self;
    struct lapic *l = irqchip_lapic(chip, vcpu);
    int which = check_set(set, size);

    switch (which) {
    case SET_LAPIC:
        return l ? lapic_state_set(l, state) : -ENOENT;
    case SET_PIC:
        return pic_state_set(&chip->pic, state);
    case SET_IOAPIC:
        return ioapic_state_set(&chip->ioapic, state);
    case SET_PIT:
        return pit_state_set(&chip->pit, state);
    default:
        return which;
    }
}

static int chip_apic_base_set(void *self, uint32_t vcpu, uint64_t value)
{
    struct lapic *l = irqchip_lapic(self, vcpu);

    if (!l || (value & ~(BASE_ADDRESS | BASE_EN | BASE_EXTD | BASE_BSP)) ||
        (value & (BASE_EN | BASE_EXTD)) == BASE_EXTD)
        return l ? -EINVAL : -ENOENT;
    pthread_mutex_lock(&l->lock);
    lapic_set_base(l, value);
    pthread_mutex_unlock(&l->lock);
    return 0;
}

const struct bp_irqchip irqchip_interface = {
    .size = sizeof(struct bp_irqchip),
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
    .expire = chip_expire,
    .tsc_changed = chip_tsc_changed,
    .line_set = chip_line_set,
    .msi = chip_msi,
    .nmi_set = chip_nmi_set,
    .eoi_listen = chip_eoi_listen,
    .timer_connect = chip_timer_connect,
    .state_get = chip_state_get,
    .state_set = chip_state_set,
    .apic_base_set = chip_apic_base_set,
    .ferr_set = chip_ferr_set,
};
