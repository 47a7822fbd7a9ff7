/* SPDX-License-Identifier: MIT
 *
 * dev-pc/irqchip.c - the interrupt controllers of a PC in one instance, because they are wired to
 * each other: both 8259s, the I/O APIC, a local APIC for each vCPU, the PIT and port 0x61, and what
 * becomes of the processors' FERR#. Offered
 * as "bp.irqchip/1" to CPU backends that have none of their own.
 *
 * The 8259s and the I/O APIC have locks of their own: lines come from any thread, and vCPUs end
 * interrupts at the same time. The PIT is in the instance's domain, as its timer is. All state is
 * in the sets of x86.h, which the CPU backend passes on: so it has the same name in a snapshot
 * whoever has the controllers, and the instance itself saves nothing.
 */
#include "irqchip.h"

#include "pc.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIC_LINES 16u
#define PIT_LINE 0u
#define IOAPIC_BYTES 0x1000u

/* ---- wires ---------------------------------------------------------------------------------- */

void irqchip_intr(struct irqchip *chip, bool level)
{
    uint32_t count = irqchip_lapics(chip);

    ioapic_pin(&chip->ioapic, 0, level);
    for (uint32_t i = 0; i < count; i++) {
        struct lapic *l = irqchip_lapic(chip, i);
        if (l)
            lapic_lint(l, 0, level);
    }
}

void irqchip_lines_ended(struct irqchip *chip, uint32_t lines)
{
    for (; lines && chip->eoi; lines &= lines - 1)
        chip->eoi(chip->eoi_context, (uint32_t)__builtin_ctz(lines));
}

void irqchip_pins_ended(struct irqchip *chip, uint32_t pins)
{
    uint32_t line_0 = pins >> PIC_CASCADE & 1; /* arrives at input 2 */

    irqchip_lines_ended(chip, (pins & ~(1u << PIC_CASCADE)) | line_0);
}

void irqchip_eoi(struct irqchip *chip, uint8_t vector)
{
    irqchip_pins_ended(chip, ioapic_eoi(&chip->ioapic, vector));
}

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

void irqchip_attention(struct irqchip *chip)
{
    uint32_t count = irqchip_lapics(chip);

    for (uint32_t i = 0; i < count; i++) {
        struct lapic *l = irqchip_lapic(chip, i);
        if (!l)
            continue;
        pthread_mutex_lock(&l->lock);
        l->user.attention(l->user.context);
        pthread_mutex_unlock(&l->lock);
    }
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

static const struct bp_irqchip irqchip_interface = {
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

/* ---- regions -------------------------------------------------------------------------------- */

static uint64_t pic_region_read(struct irqchip *chip, uint32_t which, uint64_t offset)
{
    uint32_t ended = 0;
    uint8_t value = pic_read(&chip->pic, which, offset & 1, &ended);

    irqchip_lines_ended(chip, ended);
    return value;
}

static void pic_region_write(struct irqchip *chip, uint32_t which, uint64_t offset, uint64_t value)
{
    uint32_t ended = 0;

    pic_write(&chip->pic, which, offset & 1, (uint8_t)value, &ended);
    irqchip_lines_ended(chip, ended);
}

static uint64_t master_read(void *self, uint64_t offset, uint32_t width)
{
    (void)width;
    return pic_region_read(self, 0, offset);
}

static void master_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)width;
    pic_region_write(self, 0, offset, value);
}

static uint64_t slave_read(void *self, uint64_t offset, uint32_t width)
{
    (void)width;
    return pic_region_read(self, 1, offset);
}

static void slave_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)width;
    pic_region_write(self, 1, offset, value);
}

static uint64_t elcr_read(void *self, uint64_t offset, uint32_t width)
{
    (void)width;
    return pic_elcr_read(&((struct irqchip *)self)->pic, (uint32_t)offset);
}

static void elcr_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)width;
    pic_elcr_write(&((struct irqchip *)self)->pic, (uint32_t)offset, (uint8_t)value);
}

static uint64_t pit_region_read(void *self, uint64_t offset, uint32_t width)
{
    (void)width;
    return pit_read(&((struct irqchip *)self)->pit, (uint32_t)offset);
}

static void pit_region_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)width;
    pit_write(&((struct irqchip *)self)->pit, (uint32_t)offset, (uint8_t)value);
}

static uint64_t speaker_read(void *self, uint64_t offset, uint32_t width)
{
    (void)offset;
    (void)width;
    return pit_speaker_read(&((struct irqchip *)self)->pit);
}

static void speaker_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)offset;
    (void)width;
    pit_speaker_write(&((struct irqchip *)self)->pit, (uint8_t)value);
}

static uint64_t ferr_region_read(void *self, uint64_t offset, uint32_t width)
{
    (void)self;
    (void)offset;
    (void)width;
    return 0xff; /* write-only */
}

static void ferr_region_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)offset;
    (void)value;
    (void)width;
    ferr_clear(&((struct irqchip *)self)->ferr);
}

static uint64_t ioapic_region_read(void *self, uint64_t offset, uint32_t width)
{
    (void)width;
    return ioapic_read(&((struct irqchip *)self)->ioapic, offset);
}

static void ioapic_region_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct irqchip *chip = self;

    (void)width;
    irqchip_pins_ended(chip, ioapic_write(&chip->ioapic, offset, (uint32_t)value));
}

static const struct bp_register pic_registers[] = {
    {"ICW1/OCW2/OCW3", 0, 1, BP_REG_RW}, /* R: IRR, ISR or the poll word */
    {"ICW2-4/IMR", 1, 1, BP_REG_RW},
    {NULL, 0, 0, 0},
};
static const struct bp_register elcr_registers[] = {
    {"ELCR1", 0, 1, BP_REG_RW},
    {"ELCR2", 1, 1, BP_REG_RW},
    {NULL, 0, 0, 0},
};
static const struct bp_register pit_registers[] = {
    {"COUNTER0", 0, 1, BP_REG_RW},
    {"COUNTER1", 1, 1, BP_REG_RW},
    {"COUNTER2", 2, 1, BP_REG_RW},
    {"CONTROL", 3, 1, BP_REG_WO},
    {NULL, 0, 0, 0},
};
static const struct bp_register speaker_registers[] = {
    {"NMI_SC", 0, 1, BP_REG_RW},
    {NULL, 0, 0, 0},
};
static const struct bp_register ferr_registers[] = {
    {"COPROC_ERR", 0, 1, BP_REG_WO},
    {NULL, 0, 0, 0},
};
static const struct bp_register ioapic_registers[] = {
    {"IOREGSEL", 0x00, 4, BP_REG_RW},
    {"IOWIN", 0x10, 4, BP_REG_RW},
    {"EOIR", 0x40, 4, BP_REG_WO}, /* with directed-eoi */
    {NULL, 0, 0, 0},
};

#define REGION(name_, width_, flags_, registers_, read_, write_)                                   \
    {                                                                                              \
        .size = sizeof(struct bp_region_ops), .min_access = (width_), .max_access = (width_),      \
        .flags = (flags_), .register_stride = sizeof(struct bp_register), .name = (name_),         \
        .registers = (registers_), .read = (read_), .write = (write_)                              \
    }

static const struct bp_region_ops region_ops[] = {
    REGION("pic", 1, BP_REGION_UNLOCKED, pic_registers, master_read, master_write),
    REGION("pic2", 1, BP_REGION_UNLOCKED, pic_registers, slave_read, slave_write),
    REGION("elcr", 1, BP_REGION_UNLOCKED, elcr_registers, elcr_read, elcr_write),
    REGION("pit", 1, 0, pit_registers, pit_region_read, pit_region_write),
    REGION("speaker", 1, 0, speaker_registers, speaker_read, speaker_write),
    REGION("ferr", 1, BP_REGION_UNLOCKED, ferr_registers, ferr_region_read, ferr_region_write),
    REGION("ioapic", 4, BP_REGION_UNLOCKED, ioapic_registers, ioapic_region_read,
           ioapic_region_write),
};

#define REGIONS (sizeof(region_ops) / sizeof(region_ops[0]))

static const struct bp_region_ops *const regions[] = {
    &region_ops[0], &region_ops[1], &region_ops[2], &region_ops[3],
    &region_ops[4], &region_ops[5], &region_ops[6], NULL};
_Static_assert(sizeof(regions) / sizeof(regions[0]) == REGIONS + 1, "all are told of");

/* ---- life ----------------------------------------------------------------------------------- */

static int place(struct irqchip *chip, uint32_t index, uint64_t base, uint64_t length,
                 const char *key)
{
    const struct bp_host *host = chip->host;
    uint32_t space = index == REGIONS - 1 ? BP_SPACE_MMIO : BP_SPACE_PIO;
    struct bp_region *region;
    int err = host->region_new(chip->node, space, length, &region_ops[index], chip, &region);

    if (!err)
        err = host->region_place(region, base);
    if (err)
        bp_failf(host, chip->node, err, "%s 0x%llx to 0x%llx cannot be had; choose another `%s`",
                 space == BP_SPACE_PIO ? "ports" : "addresses", (unsigned long long)base,
                 (unsigned long long)(base + length - 1), key);
    return err;
}

static void irqchip_destroy(void *self)
{
    struct irqchip *chip = self;

    for (uint32_t i = 0; i < irqchip_lapics(chip); i++)
        if (chip->lapics[i])
            chip_detach(chip, i);
    while (chip->detached) {
        struct lapic *l = chip->detached;
        chip->detached = l->next;
        pthread_mutex_destroy(&l->lock);
        free(l);
    }
    ferr_exit(&chip->ferr);
    pit_exit(&chip->pit);
    ioapic_exit(&chip->ioapic);
    pic_exit(&chip->pic);
    pthread_mutex_destroy(&chip->attach_lock);
    free(chip);
}

static int irqchip_create(const struct bp_host *host, struct bp_node *node, const void *config,
                          void **self)
{
    const struct irqchip_config *c = config;
    const struct {
        const char *key;
        uint64_t base, length;
    } places[REGIONS] = {
        {"pic-port", c->pic_port, 2},
        {"pic2-port", c->pic2_port, 2},
        {"elcr-port", c->elcr_port, 2},
        {"pit-port", c->pit_port, 4},
        {"speaker-port", c->speaker_port, 1},
        {"ferr-port", c->ferr_port, 1},
        {"ioapic-base", c->ioapic_base, IOAPIC_BYTES},
    };
    struct irqchip *chip = calloc(1, sizeof(*chip));
    int err = -ENOMEM;

    if (!chip)
        return host->fail(node, err, "no memory for interrupt controllers");
    chip->host = host;
    chip->node = node;
    chip->config = c;
    if (pthread_mutex_init(&chip->attach_lock, NULL))
        goto no_lock;
    if (pic_init(&chip->pic, chip))
        goto no_pic;
    if (ioapic_init(&chip->ioapic, chip, c->directed_eoi))
        goto no_ioapic;
    if (pit_init(&chip->pit, host, node))
        goto no_pit;
    if (ferr_init(&chip->ferr, chip))
        goto no_ferr;
    for (uint32_t i = 0; i < REGIONS; i++) {
        err = place(chip, i, places[i].base, places[i].length, places[i].key);
        if (err) {
            irqchip_destroy(chip);
            return err;
        }
    }
    *self = chip;
    return 0;

no_ferr:
    pit_exit(&chip->pit);
no_pit:
    ioapic_exit(&chip->ioapic);
no_ioapic:
    pic_exit(&chip->pic);
no_pic:
    pthread_mutex_destroy(&chip->attach_lock);
no_lock:
    free(chip);
    return host->fail(node, err, "no memory for interrupt controllers");
}

/* Sources first, so that nothing of the time before arrives at what was reset. */
static void irqchip_reset(void *self, uint32_t kind)
{
    struct irqchip *chip = self;

    (void)kind; /* nothing here is sticky */
    pit_reset(&chip->pit);
    ferr_reset(&chip->ferr);
    ioapic_reset(&chip->ioapic);
    pic_reset(&chip->pic);
    for (uint32_t i = 0; i < irqchip_lapics(chip); i++)
        chip_reset(chip, i, BP_IRQCHIP_RESET_POWER_ON);
}

static void irqchip_timer(void *self, uint32_t id)
{
    (void)id; /* there is one */
    pit_expire(&((struct irqchip *)self)->pit);
}

static const void *irqchip_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_IRQCHIP_ID) ? NULL : &irqchip_interface;
}

static const struct bp_instance_ops irqchip_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = irqchip_create,
    .destroy = irqchip_destroy,
    .reset = irqchip_reset,
    .timer = irqchip_timer,
    .extension = irqchip_extension,
};

#define PORT_PROP(name_, member_, initial_, count_, help_)                                         \
    {                                                                                              \
        .name = (name_), .help = (help_), .initial = (initial_), .type = BP_PROP_UINT,             \
        .max = 0x10000 - (count_), .claim = BP_CLAIM_PIO, .claim_length = (count_),                \
        BP_PROP_AT(struct irqchip_config, member_)                                                 \
    }

static const struct bp_prop irqchip_props[] = {
    PORT_PROP("pic-port", pic_port, "0x20", 2, "first of 2 ports of the master 8259"),
    PORT_PROP("pic2-port", pic2_port, "0xa0", 2, "first of 2 ports of the slave 8259"),
    PORT_PROP("elcr-port", elcr_port, "0x4d0", 2,
              "first of 2 ports that make 8259 inputs level-triggered"),
    PORT_PROP("pit-port", pit_port, "0x40", 4, "first of 4 ports of the 8254 timer"),
    PORT_PROP("speaker-port", speaker_port, "0x61", 1,
              "port with the gate and output of counter 2"),
    PORT_PROP("ferr-port", ferr_port, "0xf0", 1,
              "port that ends IRQ 13, by which x87 errors are told where CR0.NE is 0"),
    {
        .name = "ioapic-base",
        .help = "address of the I/O APIC; the ACPI tables know it at 0xfec00000 only",
        .initial = "0xfec00000",
        .type = BP_PROP_UINT,
        .min = IOAPIC_BASE,
        .max = IOAPIC_BASE,
        .claim = BP_CLAIM_MMIO,
        .claim_length = IOAPIC_BYTES,
        BP_PROP_AT(struct irqchip_config, ioapic_base),
    },
    {
        .name = "virtual-wire",
        .help =
            "the boot processor gets interrupts of the 8259s from reset on, as firmware sets it up",
        .initial = "yes",
        .type = BP_PROP_BOOL,
        BP_PROP_AT(struct irqchip_config, virtual_wire),
    },
    {
        .name = "directed-eoi",
        .help = "I/O APIC with an EOI register, and local APICs that can leave the end to it; a "
                "running guest "
                "that uses it cannot move to KVM",
        .initial = "no",
        .type = BP_PROP_BOOL,
        BP_PROP_AT(struct irqchip_config, directed_eoi),
    },
    {.name = NULL},
};

const struct bp_model irqchip_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "irqchip",
    .summary =
        "PC interrupt controllers (8259s, I/O APIC, local APICs) and 8254 timer, for CPU backends "
        "without",
    .props = irqchip_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct irqchip_config),
    .flags = BP_MODEL_SHARED | BP_MODEL_ONCE | BP_MODEL_IRQCHIP,
    .instance = &irqchip_ops,
    .regions = regions,
};
