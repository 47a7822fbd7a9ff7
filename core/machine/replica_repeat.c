/* SPDX-License-Identifier: MIT
 *
 * machine/replica_repeat.c - the world of a replica's vCPU: what it asks of devices is answered as
 * the recording of the first backend has it, and what it asks otherwise is told.
 */
#include "machine/compare.h"

#include <errno.h>

static const char *const kind_names[] = {
    [EVENT_PORT_READ] = "reads port",
    [EVENT_PORT_WRITE] = "writes port",
    [EVENT_MEMORY_READ] = "reads a device at",
    [EVENT_MEMORY_WRITE] = "writes a device at",
    [EVENT_APIC_READ] = "reads its local APIC at",
    [EVENT_APIC_WRITE] = "writes its local APIC at",
    [EVENT_MSR_READ] = "reads MSR",
    [EVENT_MSR_WRITE] = "writes MSR",
    [EVENT_CR8_READ] = "reads CR8",
    [EVENT_CR8_WRITE] = "writes CR8",
    [EVENT_INTERRUPT] = "takes an interrupt",
    [EVENT_TAKE] = "takes an NMI, INIT or SIPI",
    [EVENT_FERR] = "tells FERR#",
};

static bool is_write(uint32_t kind)
{
    return kind == EVENT_PORT_WRITE || kind == EVENT_MEMORY_WRITE || kind == EVENT_APIC_WRITE ||
           kind == EVENT_MSR_WRITE || kind == EVENT_CR8_WRITE;
}

static uint64_t cut(uint64_t value, uint32_t width)
{
    return width < 8 ? value & ((UINT64_C(1) << 8 * width) - 1) : value;
}

/* Leaves out what this backend's own interrupt controllers are asked, and FERR#: a processor that
 * waits for an interrupt tells it again and again, and not at all where one waits already. */
static void pass_over(struct replica *r, uint32_t end)
{
    const struct event *events = r->recording->events;

    while (r->at < end && (events[r->at].kind == EVENT_FERR ||
                           (r->own_chip && events[r->at].kind >= EVENT_APIC_READ)))
        r->at++;
}

/* IGNNE#, as it was when the first told this level last in the step; 1 if it did not, so that the
 * second goes on and it is seen what differs. The interrupt that ends the wait came before it. */
uint32_t replica_ferr(const struct replica *r, uint32_t level)
{
    const struct recording *first = r->recording;
    uint32_t ignne = 1;

    for (uint32_t i = r->from; r->active && i < r->limit; i++)
        if (first->events[i].kind == EVENT_FERR && first->events[i].value == level)
            ignne = (uint32_t)first->events[i].result;
    if (level && !ignne)
        r->user.attention(r->user.context);
    return ignne;
}

/* The recorded event that this one is, or NULL: it differs, which is noted. */
const struct event *replica_repeat(struct replica *r, enum event_kind kind, uint64_t address,
                                   uint64_t value, uint32_t width)
{
    static const struct event nothing;
    const struct event *e;

    if (!r->active)
        return &nothing;
    pass_over(r, r->limit);
    e = r->at < r->limit ? &r->recording->events[r->at] : NULL;
    if (e && e->kind == kind &&
        (kind == EVENT_INTERRUPT || (e->address == address && e->width == width)) &&
        (!is_write(kind) || cut(e->value, width) == cut(value, width))) {
        r->at++;
        return e;
    }
    if (!r->has_differed) {
        r->has_differed = true;
        r->differs =
            (struct event){.kind = kind, .address = address, .value = value, .width = width};
        r->differs_at = r->at;
    }
    return NULL;
}

/* ---- the bus --------------------------------------------------------------------------------- */

/* The one whose vCPU this thread is: the bus is called with nothing else that says so. */
static __thread struct replica *running;

void replica_adopt(struct replica *r)
{
    running = r;
}

static uint64_t mmio_read(struct bp_vcpu *vcpu, uint64_t gpa, uint32_t width)
{
    const struct event *e = replica_repeat(running, EVENT_MEMORY_READ, gpa, 0, width);

    (void)vcpu;
    return e ? e->value : cut(UINT64_MAX, width);
}

static void mmio_write(struct bp_vcpu *vcpu, uint64_t gpa, uint64_t value, uint32_t width)
{
    (void)vcpu;
    replica_repeat(running, EVENT_MEMORY_WRITE, gpa, value, width);
}

static uint32_t pio_read(struct bp_vcpu *vcpu, uint16_t port, uint32_t width)
{
    const struct event *e = replica_repeat(running, EVENT_PORT_READ, port, 0, width);

    (void)vcpu;
    return e ? (uint32_t)e->value : (uint32_t)cut(UINT32_MAX, width);
}

static void pio_write(struct bp_vcpu *vcpu, uint16_t port, uint32_t value, uint32_t width)
{
    (void)vcpu;
    replica_repeat(running, EVENT_PORT_WRITE, port, value, width);
}

static int resolve(struct bp_vcpu *vcpu, uint64_t gpa, struct bp_slot *out)
{
    const struct replica *r = running;

    (void)vcpu;
    *out = (struct bp_slot){.base = gpa & ~UINT64_C(4095), .length = 4096};
    for (uint32_t i = 0; r && i < r->slot_count; i++) {
        const struct bp_mem_slot *s = &r->slots[i];

        if (gpa - s->gpa < s->length) {
            *out = (struct bp_slot){.base = s->gpa,
                                    .length = s->length,
                                    .ram = s->host,
                                    .ram_flags = s->flags,
                                    .generation = r->generation};
            return 0;
        }
    }
    return -ENOENT;
}

static int enter(struct bp_vcpu *vcpu, const struct bp_slot *slot)
{
    (void)vcpu;
    (void)slot;
    return -ESTALE;
}

static void leave(struct bp_vcpu *vcpu, const struct bp_slot *slot)
{
    (void)vcpu;
    (void)slot;
}

const struct bp_bus replica_bus = {.size = sizeof(struct bp_bus),
                                   .mmio_read = mmio_read,
                                   .mmio_write = mmio_write,
                                   .pio_read = pio_read,
                                   .pio_write = pio_write,
                                   .resolve = resolve,
                                   .enter = enter,
                                   .leave = leave};

/* ---- differences ----------------------------------------------------------------------------- */

static void tell_event(struct difference *d, const char *who, const struct event *e)
{
    if (e->kind == EVENT_INTERRUPT)
        difference_add(d, "  the %s takes an interrupt\n", who);
    else if (is_write(e->kind))
        difference_add(d, "  the %s %s 0x%llx: 0x%llx, %u bytes\n", who, kind_names[e->kind],
                       (unsigned long long)e->address, (unsigned long long)cut(e->value, e->width),
                       e->width);
    else
        difference_add(d, "  the %s %s 0x%llx, %u bytes\n", who, kind_names[e->kind],
                       (unsigned long long)e->address, e->width);
}

/* Device accesses of the step: those that were not repeated. */
void replica_compare_events(struct replica *r, struct difference *d, uint32_t end)
{
    const struct recording *first = r->recording;

    pass_over(r, end);
    if (r->has_differed) {
        if (r->differs_at < end)
            tell_event(d, "first", &first->events[r->differs_at]);
        else
            difference_add(d, "  the first asks for nothing\n");
        tell_event(d, "second", &r->differs);
    } else if (r->at < end) {
        tell_event(d, "first", &first->events[r->at]);
        difference_add(d, "  the second asks for nothing\n");
    }
}
