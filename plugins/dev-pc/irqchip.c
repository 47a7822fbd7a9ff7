/* SPDX-License-Identifier: MIT
 *
 * dev-pc/irqchip.c - the interrupt controllers of a PC in one instance, because they are wired to
 * each other: both 8259s, the I/O APIC, a local APIC for each vCPU, the PIT and port 0x61, and what
 * becomes of the processors' FERR#. Offered as "bp.irqchip/1" (irqchip_interface.c) to CPU backends
 * that have none of their own; the guest's ports and registers are in irqchip_regions.c.
 *
 * The 8259s and the I/O APIC have locks of their own: lines come from any thread, and vCPUs end
 * interrupts at the same time. The PIT is in the instance's domain, as its timer is. All state is
 * in the sets of x86.h, which the CPU backend passes on: so it has the same name in a snapshot
 * whoever has the controllers, and the instance itself saves nothing.
 */
#include "irqchip.h"

#include "pc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- life ----------------------------------------------------------------------------------- */

static void irqchip_destroy(void *self)
{
    struct irqchip *chip = self;

    for (uint32_t i = 0; i < irqchip_lapics(chip); i++)
        if (chip->lapics[i])
            irqchip_interface.detach(chip, i);
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
    err = irqchip_place(chip);
    if (err) {
        irqchip_destroy(chip);
        return err;
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
        irqchip_interface.reset(chip, i, BP_IRQCHIP_RESET_POWER_ON);
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
    .regions = irqchip_regions,
};
