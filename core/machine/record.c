/* SPDX-License-Identifier: MIT
 *
 * machine/record.c - bp_machine_compare()'s first backend: runs the machine step by step, and
 * writes down what its vCPU asks of the bus and of the interrupt controllers, and its registers.
 *
 * The scribe stands in the tables that the backend was given, which are the machine's own
 * (cpu.h: "may be kept by pointer"). They are called on the vCPU's thread; which recording is
 * meant is that thread's own.
 */
#include "machine/compare.h"

#include <errno.h>
#include <string.h>

/* The one whose vCPU this thread is, from record_begin() on. */
static __thread struct recording *running;

static struct event *note(enum event_kind kind, uint64_t address, uint64_t value, uint32_t width)
{
    struct recording *r = running;

    if (!r->active)
        return NULL;
    if (r->event_count == TURN_EVENTS) {
        r->overflow = true;
        return NULL;
    }
    struct event *e = &r->events[r->event_count++];
    *e = (struct event){.kind = kind, .width = width, .address = address, .value = value};
    return e;
}

/* ---- the marker ----------------------------------------------------------------------------- */

/* A byte was written to an address: is the marker what the last ones are? */
static void look_for_marker(struct recording *r, uint32_t kind, uint64_t address, uint8_t byte)
{
    struct marker_place *p = NULL;

    for (uint32_t i = 0; i < r->place_count && !p; i++)
        if (r->places[i].kind == kind && r->places[i].address == address)
            p = &r->places[i];
    if (!p && r->place_count < MARKER_PLACES) {
        p = &r->places[r->place_count++];
        *p = (struct marker_place){.kind = kind, .address = address};
    }
    if (!p)
        return;
    memmove(p->last, p->last + 1, MARKER_BYTES - 1);
    p->last[MARKER_BYTES - 1] = (char)byte;
    p->used += p->used < MARKER_BYTES;
    if (r->marker_bytes && p->used >= r->marker_bytes &&
        !memcmp(p->last + MARKER_BYTES - r->marker_bytes, r->marker, r->marker_bytes))
        r->marker_met = true;
}

/* ---- the bus -------------------------------------------------------------------------------- */

/* Devices may be read by a vCPU only, and that runs in a step. */
static uint64_t mmio_read(struct bp_vcpu *vcpu, uint64_t gpa, uint32_t width)
{
    uint64_t value = running->bus.mmio_read(vcpu, gpa, width);

    note(EVENT_MEMORY_READ, gpa, value, width);
    return value;
}

static void mmio_write(struct bp_vcpu *vcpu, uint64_t gpa, uint64_t value, uint32_t width)
{
    note(EVENT_MEMORY_WRITE, gpa, value, width);
    if (width == 1)
        look_for_marker(running, EVENT_MEMORY_WRITE, gpa, (uint8_t)value);
    running->bus.mmio_write(vcpu, gpa, value, width);
}

static uint32_t pio_read(struct bp_vcpu *vcpu, uint16_t port, uint32_t width)
{
    uint32_t value = running->bus.pio_read(vcpu, port, width);

    note(EVENT_PORT_READ, port, value, width);
    return value;
}

static void pio_write(struct bp_vcpu *vcpu, uint16_t port, uint32_t value, uint32_t width)
{
    note(EVENT_PORT_WRITE, port, value, width);
    if (width == 1)
        look_for_marker(running, EVENT_PORT_WRITE, port, (uint8_t)value);
    running->bus.pio_write(vcpu, port, value, width);
}

/* ---- the interrupt controllers: outside a step they are asked for registers, by us ---------- */

static int chip_mmio_read(void *self, uint32_t vcpu, uint32_t offset, uint32_t width,
                          uint64_t *value)
{
    int result = running->chip.mmio_read(self, vcpu, offset, width, value);
    struct event *e = note(EVENT_APIC_READ, offset, result ? 0 : *value, width);

    if (e)
        e->result = result;
    return result;
}

static int chip_mmio_write(void *self, uint32_t vcpu, uint32_t offset, uint32_t width,
                           uint64_t value)
{
    struct event *e = note(EVENT_APIC_WRITE, offset, value, width);
    int result = running->chip.mmio_write(self, vcpu, offset, width, value);

    if (e)
        e->result = result;
    return result;
}

static int chip_msr_read(void *self, uint32_t vcpu, uint32_t index, uint64_t *value)
{
    int result = running->chip.msr_read(self, vcpu, index, value);

    /* Backends ask for themselves, too, where the page is; and others keep it in mind. */
    if (index == BP_IRQCHIP_MSR_APIC_BASE)
        return result;

    struct event *e = note(EVENT_MSR_READ, index, result ? 0 : *value, 8);

    if (e)
        e->result = result;
    return result;
}

static int chip_msr_write(void *self, uint32_t vcpu, uint32_t index, uint64_t value)
{
    struct event *e = note(EVENT_MSR_WRITE, index, value, 8);
    int result = running->chip.msr_write(self, vcpu, index, value);

    if (e)
        e->result = result;
    return result;
}

static uint64_t chip_cr8_get(void *self, uint32_t vcpu)
{
    uint64_t value = running->chip.cr8_get(self, vcpu);

    note(EVENT_CR8_READ, 0, value, 8);
    return value;
}

static void chip_cr8_set(void *self, uint32_t vcpu, uint64_t value)
{
    note(EVENT_CR8_WRITE, 0, value, 8);
    running->chip.cr8_set(self, vcpu, value);
}

static int32_t chip_acknowledge(void *self, uint32_t vcpu)
{
    int32_t result = running->chip.acknowledge(self, vcpu);
    struct event *e = note(EVENT_INTERRUPT, 0, result < 0 ? 0 : (uint64_t)result, 1);

    if (e)
        e->result = result;
    return result;
}

static uint32_t chip_take(void *self, uint32_t vcpu, uint32_t bits, uint32_t *sipi_vector)
{
    uint32_t vector = 0, taken = running->chip.take(self, vcpu, bits, &vector);
    struct event *e = note(EVENT_TAKE, bits, taken, 4);

    if (e)
        e->vector = vector;
    if (sipi_vector)
        *sipi_vector = vector;
    return taken;
}

static uint32_t chip_ferr_set(void *self, uint32_t vcpu, uint32_t level)
{
    uint32_t ignne = running->chip.ferr_set(self, vcpu, level);
    struct event *e = note(EVENT_FERR, 0, level, 4);

    if (e)
        e->result = (int32_t)ignne;
    return ignne;
}

static int adopt(struct bp_vcpu *v, void *argument)
{
    (void)v;
    running = argument;
    return 0;
}

int record_begin(struct recording *r, struct bp_machine *m)
{
    int err = vcpus_call(m->vcpus, 0, adopt, r);

    if (err)
        return err;
    r->machine = m;
    r->bus = m->bus_ops;
    m->bus_ops.mmio_read = mmio_read;
    m->bus_ops.mmio_write = mmio_write;
    m->bus_ops.pio_read = pio_read;
    m->bus_ops.pio_write = pio_write;
    r->chip = m->irqchip_ops;
    if (!m->irqchip.ops)
        return 0;
    m->irqchip_ops.mmio_read = chip_mmio_read;
    m->irqchip_ops.mmio_write = chip_mmio_write;
    m->irqchip_ops.msr_read = chip_msr_read;
    m->irqchip_ops.msr_write = chip_msr_write;
    m->irqchip_ops.cr8_get = chip_cr8_get;
    m->irqchip_ops.cr8_set = chip_cr8_set;
    m->irqchip_ops.acknowledge = chip_acknowledge;
    m->irqchip_ops.take = chip_take;
    m->irqchip_ops.ferr_set = chip_ferr_set;
    return 0;
}

void record_end(struct recording *r)
{
    if (!r->machine)
        return;
    r->machine->bus_ops = r->bus;
    r->machine->irqchip_ops = r->chip;
    r->machine = NULL;
}

/* ---- the guest's memory as its code sees it ------------------------------------------------- */

#define PRESENT 1u
#define LARGE 0x80u
#define CR0_PG 0x80000000u
#define CR4_PSE 0x10u
#define CR4_PAE 0x20u
#define EFER_LMA 0x400u

/* What a processor reads, where that is memory: ROM hides RAM. In one page. */
static bool read_memory(const struct bp_machine *m, uint64_t gpa, void *to, uint32_t bytes)
{
    for (uint32_t i = 0; i < m->mem_slot_count; i++) {
        const struct bp_mem_slot *s = &m->mem_slots[i];

        if (gpa < s->gpa || gpa - s->gpa >= s->length)
            continue;
        memcpy(to, s->host + (gpa - s->gpa), bytes);
        return true;
    }
    return false;
}

static uint64_t table_entry(const struct bp_machine *m, uint64_t gpa, uint32_t bytes)
{
    uint64_t entry = 0;

    return read_memory(m, gpa, &entry, bytes) ? entry : 0;
}

/* The physical address of `la`, rights aside (SDM 3A, 4.3 to 4.5). -1: not present. */
static int64_t translate(struct bp_machine *m, const struct bp_x86_sys *s, uint64_t la)
{
    bool lma = s->efer & EFER_LMA, pae = s->cr4 & CR4_PAE;
    uint32_t bytes = pae ? 8 : 4, index_bits = pae ? 9 : 10, level = lma ? 4 : pae ? 3 : 2;
    uint64_t frame = UINT64_C(0xffffffffff000), entry, table = s->cr3 & frame & ~UINT64_C(0xfff);

    if (!(s->cr0 & CR0_PG))
        return (int64_t)(uint32_t)la;
    if (pae && !lma)
        table = s->pdpte[la >> 30 & 3] & frame, level = 2;
    for (;; level--) {
        uint32_t shift = 12 + index_bits * (level - 1);

        entry = table_entry(m, table + (la >> shift & ((1u << index_bits) - 1)) * bytes, bytes);
        if (!(entry & PRESENT))
            return -1;
        if (level == 1 || (level < 4 && entry & LARGE && (pae || s->cr4 & CR4_PSE))) {
            uint64_t in_page = (UINT64_C(1) << shift) - 1;
            return (int64_t)((entry & frame & ~in_page) | (la & in_page));
        }
        table = entry & frame;
    }
}

/* Up to `bytes` bytes at `la`; returns how many could be read, and where the first is. */
static uint32_t read_linear(struct bp_machine *m, const struct bp_x86_sys *s, uint64_t la, void *to,
                            uint32_t bytes, uint64_t *gpa)
{
    uint8_t *out = to;

    for (uint32_t done = 0; done < bytes;) {
        uint32_t part = 4096 - (uint32_t)((la + done) & 4095);
        int64_t at = translate(m, s, la + done);

        part = part < bytes - done ? part : bytes - done;
        if (at < 0 || !read_memory(m, (uint64_t)at, out + done, part))
            return done;
        if (gpa && !done)
            *gpa = (uint64_t)at;
        done += part;
    }
    return bytes;
}

static uint64_t stack_address(const struct state *s)
{
    bool is64 = s->sys.efer & EFER_LMA && s->sys.cs.attributes & 0x2000;
    uint64_t sp = is64                            ? s->gpr.rsp
                  : s->sys.ss.attributes & 0x4000 ? (uint32_t)s->gpr.rsp
                                                  : (uint16_t)s->gpr.rsp;

    return is64 ? sp : (uint32_t)(s->sys.ss.base + sp);
}

/* What the handler will find on its stack. In a page that is not contiguous with the next one only
 * its part of it. */
static void take_frame(struct bp_machine *m, struct state *s)
{
    uint64_t la = stack_address(s);
    uint32_t room = 4096 - (uint32_t)(la & 4095);

    s->frame_bytes = read_linear(m, &s->sys, la, s->frame, room < FRAME_BYTES ? room : FRAME_BYTES,
                                 &s->frame_gpa);
}

#define TSS_BYTES 104u
#define CALL_BYTES 280u /* of a far CALL through a gate: SS, RSP, 31 parameters, CS, RIP */

/* The processor wrote there in the step. */
static void note_written(struct bp_machine *m, const struct bp_x86_sys *s, uint64_t la,
                         uint32_t bytes)
{
    for (uint32_t done = 0, part; done < bytes; done += part) {
        int64_t at = translate(m, s, la + done);

        part = 4096 - (uint32_t)((la + done) & 4095);
        part = part < bytes - done ? part : bytes - done;
        if (at >= 0)
            machine_compare_written(m->writes, (uint64_t)at, part);
    }
}

/* Of steps that the second is given what more they wrote than the frame of a delivery. It is copied
 * as what devices write, at the end of the turn, which is now. */
static void note_given(struct bp_machine *m, const struct state *from, const struct state *s)
{
    if (state_enters_task(from, s)) {
        note_written(m, &from->sys, from->sys.tr.base, TSS_BYTES);
        note_written(m, &s->sys, s->sys.tr.base, TSS_BYTES);
        note_written(m, &s->sys, s->sys.gdt.base, s->sys.gdt.limit + 1u);
    }
    if (state_enters_ring(from, s) && !s->is_delivery)
        note_written(m, &s->sys, stack_address(s), CALL_BYTES);
}

/* ---- steps ---------------------------------------------------------------------------------- */

int record_state(struct bp_vcpu *v, struct state *s, bool fpu)
{
    int err = v->ops->regs_get(v->self, BP_X86_GPR, &s->gpr, sizeof(s->gpr));

    if (!err)
        err = v->ops->regs_get(v->self, BP_X86_SYS, &s->sys, sizeof(s->sys));
    s->has_fpu = fpu;
    if (!err && fpu) {
        struct bp_x86_fpu all;

        err = v->ops->regs_get(v->self, BP_X86_FPU, &all, sizeof(all));
        if (!err)
            memcpy(s->fpu, all.area, sizeof(s->fpu));
    }
    return err;
}

/* Instructions that can change FPU state or load it: ESC, those of map 0F and VEX, whatever their
 * prefixes. */
static bool is_of_fpu(const struct state *s)
{
    uint32_t i = 0;

    for (; i < s->code_bytes; i++) {
        uint8_t b = s->code[i];

        if (b != 0x66 && b != 0x67 && b != 0xf2 && b != 0xf3 && b != 0x2e && b != 0x36 &&
            b != 0x3e && b != 0x26 && b != 0x64 && b != 0x65 && b != 0xf0 && (b & 0xf0) != 0x40)
            break;
    }
    if (i == s->code_bytes)
        return true;
    return (s->code[i] & 0xf8) == 0xd8 || s->code[i] == 0x0f || s->code[i] == 0xc4 ||
           s->code[i] == 0xc5 || s->code[i] == 0x9b;
}

/* PUSHF, in which TF would be seen. */
static bool pushes_flags(const struct state *s)
{
    return s->code[0] == 0x9c || (s->code[0] == 0x66 && s->code[1] == 0x9c);
}

static bool is_requested(const struct bp_machine *m)
{
    return __atomic_load_n(&m->request, __ATOMIC_ACQUIRE) != REQUEST_NONE;
}

/* One step into `s`, from the state `from`. 1: it was one; 0: the machine ends; -errno. */
static int step(struct bp_vcpu *v, struct recording *r, const struct state *from, struct state *s)
{
    struct bp_machine *m = r->machine;
    struct bp_debug_stop why = {.size = sizeof(why)};
    bool is64 = from->sys.efer & EFER_LMA && from->sys.cs.attributes & 0x2000;
    uint64_t la = is64 ? from->gpr.rip : (uint32_t)(from->sys.cs.base + from->gpr.rip);
    int stop, err;

    s->code_bytes = read_linear(m, &from->sys, la, s->code, CODE_BYTES, NULL);
    memset(s->code + s->code_bytes, 0, CODE_BYTES - s->code_bytes);
    do {
        if (is_requested(m))
            return 0;
        r->active = true;
        stop = v->ops->vcpu_run(v->self);
        r->active = false;
    } while (stop == BP_STOP_KICKED);
    if (stop < 0)
        return stop;
    r->debug.why(v->self, &why);
    s->stop = (uint32_t)stop;
    s->is_delivery = why.reasons & BP_DEBUG_BY_EVENT;
    s->frame_bytes = 0;
    err = record_state(v, s, is_of_fpu(s));
    if (err)
        return err;
    if (s->is_delivery || pushes_flags(s))
        take_frame(m, s);
    if (r->by_tf)
        note_given(m, from, s);
    s->end = r->event_count;
    r->state_count++;
    return 1;
}

/* Would a step by TF go on behind it: STI, MOV SS, POP SS, LSS, a repetition? */
static bool lingers(const struct state *from, const struct state *s, uint32_t count)
{
    uint8_t b = s->code[0];

    return count < TURN_STEPS + LINGER_STEPS && (b == 0xfb || b == 0x8e || b == 0x17 || b == 0x0f ||
                                                 b == 0x66 || from->gpr.rip == s->gpr.rip);
}

struct turn {
    struct recording *recording;
    uint32_t steps;
};

static int turn(struct bp_vcpu *v, void *argument)
{
    const struct turn *t = argument;
    struct recording *r = t->recording;
    uint32_t generation = __atomic_load_n(r->bus.generation, __ATOMIC_ACQUIRE);
    int result;

    r->active = false;
    result = record_state(v, &r->before, false);
    while (!result) {
        const struct state *from = r->state_count ? &r->states[r->state_count - 1] : &r->before;
        const struct state *earlier = r->state_count > 1 ? from - 1 : &r->before;

        if ((r->state_count >= t->steps && !(r->by_tf && lingers(earlier, from, r->state_count))) ||
            r->event_count > TURN_EVENTS - STEP_EVENTS || r->marker_met ||
            is_requested(r->machine) || (r->state_count && from->stop == BP_STOP_TRIPLE_FAULT) ||
            /* The other's memory must follow before it goes on. */
            __atomic_load_n(r->bus.generation, __ATOMIC_ACQUIRE) != generation ||
            compare_has_writes(r->machine))
            break;
        result = step(v, r, from, &r->states[r->state_count]);
        if (result == 0)
            break;
        result = result < 0 ? result : 0;
    }
    return r->overflow ? -EOVERFLOW : result;
}

int record_turn(struct recording *r, uint32_t steps)
{
    struct turn t = {.recording = r, .steps = steps < TURN_STEPS ? steps : TURN_STEPS};

    r->event_count = r->state_count = 0;
    return vcpus_call(r->machine->vcpus, 0, turn, &t);
}
