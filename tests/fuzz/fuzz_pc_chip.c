/* SPDX-License-Identifier: MIT
 *
 * Fuzzes dev-pc's interrupt controllers and the 8254: accesses of processors and of the board's
 * ports, lines, messages, time, local APICs that come and go, sets of state that somebody changed.
 * What a processor's loop relies on is checked in between: what is pending can be taken, and a
 * timer that expired is due later, if at all.
 */
#include "fuzz_pc.h"

#include "dev-pc/chip.h"

#define VCPUS 3u
#define STEPS_MAX 500u
#define MOVES_MAX 4u
#define LINES 26u /* with some that go nowhere */

struct run {
    struct fuzz_input *in;
    struct chip *chip;
    struct chip_config config;
    uint32_t moves;
};

static uint32_t take(struct run *run, uint32_t bytes)
{
    return (uint32_t)fuzz_take(run->in, bytes);
}

/* ---- what must hold ---- */

static void expect_sound(struct run *run)
{
    struct chip *c = run->chip;

    for (uint32_t i = 0; i < c->count; i++) {
        assert_false(pending(c, i) & ~31u);
        if (deadline(c, i) <= fake_now_ns(c->host))
            c->ops->expire(c->self, i);
        assert_true(deadline(c, i) > fake_now_ns(c->host));
    }
}

/* What the chip itself raises comes back as the host's router brings it. */
static void route(struct run *run)
{
    line(run->chip, 0, fake_irq_level(run->chip->host, 0));
    line(run->chip, 13, fake_irq_level(run->chip->host, 13));
}

static void acknowledge(struct run *run, uint32_t vcpu)
{
    uint32_t waits = pending(run->chip, vcpu) & BP_IRQCHIP_INTR;
    int32_t vector = inta(run->chip, vcpu);

    assert_true(vector < 256);
    assert_true(vector >= (waits ? 0 : -EAGAIN));
}

/* ---- accesses ---- */

static void access_port(struct run *run)
{
    static const uint16_t ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41,
                                     0x42, 0x43, 0x61, 0xf0, 0x20,  0x21,  0xa0, 0x43};
    uint32_t what = take(run, 1);
    uint16_t port = ports[what & 15];

    if (what & 0x10)
        in8(run->chip->host, port);
    else
        out8(run->chip->host, port, take(run, 1));
}

static void access_ioapic(struct run *run)
{
    uint32_t what = take(run, 1);

    if (what & 0x80)
        fake_write(run->chip->host, BP_SPACE_MMIO, 0xfec00000 + take(run, 2) % 0x1000,
                   fuzz_take(run->in, 4), 4);
    else if (what & 0x40)
        ioapic_read(run->chip, what & 0x3f);
    else
        ioapic_write(run->chip, what & 0x3f, take(run, 4));
}

static void access_page(struct run *run, uint32_t vcpu)
{
    static const uint16_t registers[] = {
        TPR,       EOI,       LDR,       DFR,       SVR,           ESR,          ICR, ICR2,
        LVT_TIMER, LVT_LINT0, LVT_LINT1, LVT_ERROR, TIMER_INITIAL, TIMER_DIVIDE, EOI, ICR};
    const struct bp_irqchip *ops = run->chip->ops;
    uint32_t what = take(run, 1), width = 1u << (what >> 4 & 3), offset;
    uint64_t value;
    int err;

    offset = what & 0x80 ? take(run, 2) % 4096 : registers[what & 15];
    if (what & 0x40)
        err = ops->mmio_read(run->chip->self, vcpu, offset, width, &value);
    else if (what & 0x80)
        err = ops->mmio_write(run->chip->self, vcpu, offset, width, fuzz_take(run->in, width));
    else
        err = ops->mmio_write(run->chip->self, vcpu, offset, 4, fuzz_take(run->in, 4));
    assert_true(!err || err == -ENOENT);
}

static void access_msr(struct run *run, uint32_t vcpu)
{
    uint32_t what = take(run, 1), index;
    uint64_t value;

    switch (what & 7) {
    case 0:
        index = BP_IRQCHIP_MSR_APIC_BASE;
        break;
    case 1:
        index = BP_IRQCHIP_MSR_TSC_DEADLINE;
        break;
    case 2:
        index = take(run, 4);
        break;
    default:
        index = BP_IRQCHIP_MSR_X2APIC + take(run, 1) % 0x40;
    }
    if (what & 8) {
        run->chip->ops->msr_read(run->chip->self, vcpu, index, &value);
        return;
    }
    value = fuzz_take(run->in, what >> 4 & 8 ? 8 : 4);
    if ((what & 7) == 0 && what & 0x10) /* through the modes */
        value = 0xfee00000u | (value & 0xd00u);
    else if ((what & 7) == 1 && what & 0x10)
        value += chip_tsc(&run->chip->vcpus[vcpu]);
    wrmsr(run->chip, vcpu, index, value);
}

static void processor(struct run *run, uint32_t vcpu)
{
    struct chip *c = run->chip;
    uint32_t sipi = 0, bits;

    switch (take(run, 1) % 8) {
    case 0:
    case 1:
        acknowledge(run, vcpu);
        break;
    case 2:
        bits = take(run, 1);
        assert_false(c->ops->take(c->self, vcpu, bits, &sipi) & ~(bits & 30u));
        assert_false(pending(c, vcpu) & bits & 30u);
        break;
    case 3:
        c->ops->post(c->self, vcpu, take(run, 4), take(run, 4));
        break;
    case 4:
        c->ops->cr8_set(c->self, vcpu, take(run, 1));
        assert_true(c->ops->cr8_get(c->self, vcpu) < 16);
        break;
    case 5:
        c->ops->reset(c->self, vcpu, take(run, 1) & 1);
        break;
    case 6:
        c->tsc_offset = fuzz_take(run->in, 8);
        for (uint32_t i = 0; i < c->count; i++)
            c->ops->tsc_changed(c->self, i);
        break;
    default:
        c->ops->ferr_set(c->self, vcpu, take(run, 1) & 1);
    }
}

/* The processor's timer, as a backend watches it, or guest time with what is due in it. */
static void advance(struct run *run)
{
    uint32_t what = take(run, 1), vcpu = what % VCPUS;
    uint64_t now = fake_now_ns(run->chip->host), when = deadline(run->chip, vcpu);

    if (what & 0x80 && when > now && when - now < UINT64_C(1) << 40)
        fake_advance_ns(run->chip->host, when - now);
    else
        fake_advance_ns(run->chip->host, (uint64_t)take(run, 2) << (what & 0x40 ? 12 : 0));
}

/* ---- state ---- */

/* Takes the set, changes up to `changes` of its bytes, and gives it back: 0 or -EINVAL. */
static int put_set(struct run *run, struct chip *to, uint32_t vcpu, uint32_t which,
                   uint32_t changes)
{
    static const struct {
        const char *id;
        uint32_t size;
    } sets[] = {{BP_X86_LAPIC, sizeof(struct bp_x86_lapic)},
                {BP_X86_PIC, sizeof(struct bp_x86_pic)},
                {BP_X86_IOAPIC, sizeof(struct bp_x86_ioapic)},
                {BP_X86_PIT, sizeof(struct bp_x86_pit)}};
    uint8_t state[sizeof(struct bp_x86_lapic)];
    int err;

    _Static_assert(sizeof(struct bp_x86_lapic) >= sizeof(struct bp_x86_ioapic) &&
                       sizeof(struct bp_x86_lapic) >= sizeof(struct bp_x86_pit),
                   "the largest of them");
    assert_int_equal(
        run->chip->ops->state_get(run->chip->self, vcpu, sets[which].id, state, sets[which].size),
        0);
    for (uint32_t i = 0; i < changes; i++) {
        uint32_t at = take(run, 2) % sets[which].size;

        for (uint32_t n = take(run, 1) % 9; n && at < sets[which].size; n--)
            state[at++] = (uint8_t)take(run, 1);
    }
    err = to->ops->state_set(to->self, vcpu, sets[which].id, state, sets[which].size);
    assert_true(!err || err == -EINVAL);
    return err;
}

/* Everything moves to other controllers, in the order that irqchip.h says; what they gave is taken.
 */
static void move(struct run *run)
{
    struct chip *to;

    if (run->moves == MOVES_MAX)
        return;
    run->moves++;
    to = chip_new(&run->config, VCPUS);
    fake_advance_ns(to->host, fake_now_ns(run->chip->host));
    to->tsc_offset = run->chip->tsc_offset;
    for (uint32_t i = 0; i < VCPUS; i++) {
        uint64_t base = rdmsr(run->chip, i, BP_IRQCHIP_MSR_APIC_BASE);

        assert_int_equal(to->ops->apic_base_set(to->self, i, base), 0);
        assert_int_equal(put_set(run, to, i, 0, 0), 0);
    }
    for (uint32_t which = 1; which < 4; which++)
        assert_int_equal(put_set(run, to, 0, which, 0), 0);
    chip_free(run->chip);
    run->chip = to;
}

static void rarely(struct run *run, uint32_t vcpu)
{
    struct chip *c = run->chip;

    switch (take(run, 1) % 8) {
    case 0:
        move(run);
        break;
    case 1:
        fuzz_reset(c->host, BP_RESET_WARM);
        break;
    case 2:
        assert_int_equal(c->ops->detach(c->self, vcpu), 0);
        assert_int_equal(chip_attach_one(c, vcpu, &c->vcpus[vcpu]), 0);
        assert_int_equal(chip_attach_one(c, vcpu, &c->vcpus[vcpu]), -EEXIST);
        break;
    case 3:
        c->ops->apic_base_set(c->self, vcpu, fuzz_take(run->in, 8));
        break;
    case 4:
        c->ops->timer_connect(c->self, take(run, 1) & 1);
        break;
    default:
        put_set(run, c, vcpu, take(run, 1) % 4, 1 + take(run, 1) % 4);
    }
}

static void step(struct run *run)
{
    uint32_t what = take(run, 1), vcpu = (what >> 4) % VCPUS, n;
    struct chip *c = run->chip;

    switch (what & 15) {
    case 0:
    case 1:
        access_port(run);
        break;
    case 2:
        access_ioapic(run);
        break;
    case 3:
    case 4:
        access_page(run, vcpu);
        break;
    case 5:
        access_msr(run, vcpu);
        break;
    case 6:
    case 7:
        processor(run, vcpu);
        break;
    case 8:
    case 9:
        n = take(run, 1);
        line(c, n % LINES, n >> 7);
        break;
    case 10:
        n = take(run, 2);
        c->ops->msi(c->self, 0xfee00000u | (n & 3) << 12 | (n & 0xc), n >> 4);
        break;
    case 11:
        c->ops->msi(c->self, fuzz_take(run->in, 8), take(run, 4));
        break;
    case 12:
        c->ops->nmi_set(c->self, take(run, 1) & 1);
        break;
    case 13:
    case 14:
        advance(run);
        break;
    default:
        rarely(run, vcpu);
    }
    route(run);
    expect_sound(run);
}

/* ---- an honest guest, after a reset ---- */

static void expect_pic(struct chip *c)
{
    pics_init(c, 0x20, 1);
    line(c, 3, 1);
    assert_true(pending(c, 0) & BP_IRQCHIP_INTR);
    assert_int_equal(inta(c, 0), 0x23);
    assert_false(pending(c, 0) & BP_IRQCHIP_INTR);
    line(c, 3, 0);
    out8(c->host, 0x20, 0x20);
    out8(c->host, 0x21, 0xff);
    out8(c->host, 0xa1, 0xff);
}

static void expect_timer(struct chip *c)
{
    out8(c->host, 0x43, 0x34);
    out8(c->host, 0x40, 0xa9);
    out8(c->host, 0x40, 0x04);
    fake_irq_edges(c->host, 0);
    fake_advance_ns(c->host, 10500000);
    assert_int_equal(fake_irq_edges(c->host, 0), 10);
    apic_enable(c, 2);
    apic_write(c, 2, LVT_TIMER, 0x70);
    apic_write(c, 2, TIMER_DIVIDE, 0xb);
    apic_write(c, 2, TIMER_INITIAL, 5000);
    assert_int_equal(deadline(c, 2), fake_now_ns(c->host) + 5000);
    fake_advance_ns(c->host, 5000);
    c->ops->expire(c->self, 2);
    assert_int_equal(inta(c, 2), 0x70);
}

static void expect_ioapic(struct chip *c)
{
    apic_enable(c, 1);
    rte_write(c, 20, 0x55 | RTE_LEVEL, 1);
    line(c, 20, 1);
    assert_int_equal(inta(c, 1), 0x55);
    assert_true(rte(c, 20) & RTE_REMOTE_IRR);
    line(c, 20, 0);
    c->ended = 0;
    apic_write(c, 1, EOI, 0);
    assert_true(c->ended >> 20 & 1);
    assert_false(rte(c, 20) & RTE_REMOTE_IRR);
}

void fuzz_chip(struct fuzz_input *in, uint32_t options)
{
    struct run run = {.in = in, .config = chip_defaults};

    run.config.virtual_wire = options & 1;
    run.config.directed_eoi = options >> 1 & 1;
    run.chip = chip_new(&run.config, VCPUS);
    for (uint32_t i = 0; in->left && i < STEPS_MAX; i++)
        step(&run);
    for (uint32_t i = 0; i < LINES; i++)
        line(run.chip, i, 0);
    run.chip->ops->nmi_set(run.chip->self, 0);
    fuzz_reset(run.chip->host, BP_RESET_WARM);
    if (options & 1)
        expect_pic(run.chip);
    expect_timer(run.chip);
    expect_ioapic(run.chip);
    chip_free(run.chip);
}
