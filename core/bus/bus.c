/* SPDX-License-Identifier: MIT
 *
 * bus/bus.c - regions, views and their retirement, and the dispatch of accesses.
 */
#include "bus/bus.h"

#include "bus/access.h"
#include "bus/view.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct bus {
    struct bus_view *view; /* atomic */
    uint32_t generation;   /* atomic; of `view` */
    pthread_mutex_t lock;  /* a leaf lock, for all below */
    struct bus_listener listener;
    struct bp_region **regions; /* placed or not */
    uint32_t count, capacity;
    uint32_t batch;
    bool memory_touched;
    uint64_t next_serial;
    struct bus_view *retired;
    struct bp_region *gone; /* forgotten, but still in the view; linked by `self` */
    struct bus_reader *readers;
    const struct bus_tracer *tracer; /* or NULL */
};

/* ---- views --------------------------------------------------------------------------------------
 */

static bool is_pinned(const struct bus *bus, const struct bus_view *view)
{
    for (const struct bus_reader *r = bus->readers; r; r = r->next)
        if (__atomic_load_n(&r->pinned, __ATOMIC_SEQ_CST) == view)
            return true;
    return false;
}

static void free_retired(struct bus *bus)
{
    for (struct bus_view **link = &bus->retired; *link;) {
        struct bus_view *view = *link;
        if (is_pinned(bus, view)) {
            link = &view->next_retired;
        } else {
            *link = view->next_retired;
            view_free(view);
        }
    }
}

/* Replaces the view by what the regions say now. Holds bus->lock. */
static int publish(struct bus *bus)
{
    if (bus->batch)
        return 0;
    struct bp_region **placed = calloc(bus->count + 1, sizeof(struct bp_region *));
    if (!placed)
        return -ENOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; i < bus->count; i++)
        if (bus->regions[i]->base != BP_UNMAPPED)
            placed[count++] = bus->regions[i];
    struct bus_view *view = view_new(placed, count, bus->generation + 1);
    free(placed);
    if (!view)
        return -ENOMEM;
    struct bus_view *old = bus->view;
    __atomic_store_n(&bus->view, view, __ATOMIC_SEQ_CST);
    __atomic_store_n(&bus->generation, view->generation, __ATOMIC_RELEASE);
    if (old) {
        old->next_retired = bus->retired;
        bus->retired = old;
    }
    free_retired(bus);
    if (bus->memory_touched && bus->listener.memory_changed) {
        bus->memory_touched = false;
        bus->listener.memory_changed(bus->listener.context, bus);
    }
    return 0;
}

/* The view is the reader's until unpin(); nests. */
static struct bus_view *pin(struct bus_reader *reader)
{
    if (reader->depth++)
        return reader->pinned;
    struct bus_view *view = __atomic_load_n(&reader->bus->view, __ATOMIC_ACQUIRE);
    for (;;) {
        /* The store must be visible before the second load: a view retired in between sees it. */
        __atomic_store_n(&reader->pinned, view, __ATOMIC_SEQ_CST);
        struct bus_view *again = __atomic_load_n(&reader->bus->view, __ATOMIC_SEQ_CST);
        if (again == view)
            return view;
        view = again;
    }
}

static void unpin(struct bus_reader *reader)
{
    if (!--reader->depth)
        __atomic_store_n(&reader->pinned, NULL, __ATOMIC_RELEASE);
}

void bus_reader_init(struct bus_reader *reader, struct bus *bus)
{
    *reader = (struct bus_reader){.bus = bus};
    pthread_mutex_lock(&bus->lock);
    reader->next = bus->readers;
    bus->readers = reader;
    pthread_mutex_unlock(&bus->lock);
}

void bus_reader_exit(struct bus_reader *reader)
{
    struct bus *bus = reader->bus;

    pthread_mutex_lock(&bus->lock);
    for (struct bus_reader **link = &bus->readers; *link; link = &(*link)->next) {
        if (*link == reader) {
            *link = reader->next;
            break;
        }
    }
    pthread_mutex_unlock(&bus->lock);
}

/* ---- regions ------------------------------------------------------------------------------------
 */

int bus_new(const struct bus_listener *listener, struct bus **out)
{
    struct bus *bus = calloc(1, sizeof(*bus));

    if (!bus)
        return -ENOMEM;
    if (listener)
        bus->listener = *listener;
    pthread_mutex_init(&bus->lock, NULL);
    if (publish(bus)) {
        bus_free(bus);
        return -ENOMEM;
    }
    *out = bus;
    return 0;
}

static void region_free(struct bp_region *r)
{
    if (r->ram_bytes)
        munmap(r->ram, r->ram_bytes);
    free(r);
}

/* Frees what was forgotten: no view has it any more. */
static void free_gone(struct bus *bus)
{
    while (bus->gone) {
        struct bp_region *next = bus->gone->self;
        region_free(bus->gone);
        bus->gone = next;
    }
}

void bus_free(struct bus *bus)
{
    if (!bus)
        return;
    for (uint32_t i = 0; i < bus->count; i++)
        region_free(bus->regions[i]);
    free_gone(bus);
    while (bus->retired) {
        struct bus_view *next = bus->retired->next_retired;
        view_free(bus->retired);
        bus->retired = next;
    }
    view_free(bus->view);
    free(bus->regions);
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

static int add_region(struct bus *bus, struct bp_region *region)
{
    int err = 0;

    pthread_mutex_lock(&bus->lock);
    if (bus->count == bus->capacity) {
        uint32_t capacity = bus->capacity ? 2 * bus->capacity : 32;
        struct bp_region **regions = realloc(bus->regions, capacity * sizeof(struct bp_region *));
        if (regions) {
            bus->regions = regions;
            bus->capacity = capacity;
        } else {
            err = -ENOMEM;
        }
    }
    if (!err)
        bus->regions[bus->count++] = region;
    pthread_mutex_unlock(&bus->lock);
    return err;
}

static bool is_width(uint8_t width)
{
    return width == 1 || width == 2 || width == 4 || width == 8;
}

static const char *refuse_region(uint32_t space, uint64_t length, const struct bp_region_ops *ops)
{
    if (space > BP_SPACE_PIO)
        return "the address space is neither BP_SPACE_MMIO nor BP_SPACE_PIO";
    if (!length || (space == BP_SPACE_PIO && length > 0x10000))
        return "the region's length is 0 or beyond the address space";
    if (!ops || ops->size < offsetof(struct bp_region_ops, write) + sizeof(ops->write))
        return "the region's table is missing or cut short";
    if (!is_width(ops->min_access) || !is_width(ops->max_access) ||
        ops->min_access > ops->max_access)
        return "min_access and max_access must be 1, 2, 4 or 8, and in this order";
    if (length % ops->min_access)
        return "the region's length is no multiple of its min_access";
    if (!ops->read || !ops->write)
        return "the region's read or write is NULL";
    return NULL;
}

void bus_trace(struct bus *bus, const struct bus_tracer *tracer)
{
    bus->tracer = tracer;
}

static uint64_t traced_read(void *self, uint64_t offset, uint32_t width)
{
    const struct bp_region *r = self;
    const struct bus_tracer *t = r->bus->tracer;
    uint64_t value = access_mask(r->traced_ops.read(r->traced_self, offset, width), width);

    t->access(t->context, r, r->space, r->base + offset, width, value, false);
    return value;
}

static void traced_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    const struct bp_region *r = self;
    const struct bus_tracer *t = r->bus->tracer;

    /* First, so that what the device does about it comes after it. */
    t->access(t->context, r, r->space, r->base + offset, width, value, true);
    r->traced_ops.write(r->traced_self, offset, value, width);
}

static void put_tracer(struct bp_region *r)
{
    r->traced_ops = r->ops;
    r->traced_self = r->self;
    r->ops.read = traced_read;
    r->ops.write = traced_write;
    r->self = r;
}

int bus_region_new(struct bus *bus, const void *owner, struct domain *domain, uint32_t space,
                   uint64_t length, const struct bp_region_ops *ops, void *self,
                   enum bus_layer layer, struct bp_region **out, const char **why)
{
    *why = refuse_region(space, length, ops);
    if (*why)
        return -EINVAL;
    struct bp_region *r = calloc(1, sizeof(*r));
    *why = "out of memory";
    if (!r)
        return -ENOMEM;
    memcpy(&r->ops, ops, ops->size < sizeof(r->ops) ? ops->size : sizeof(r->ops));
    r->ops.size = sizeof(r->ops);
    r->bus = bus;
    r->owner = owner;
    r->domain = domain;
    r->self = self;
    if (bus->tracer)
        put_tracer(r);
    r->space = space;
    r->layer = layer;
    r->length = length;
    r->base = BP_UNMAPPED;
    for (uint32_t width = ops->min_access; width <= ops->max_access; width *= 2)
        r->widths |= width;
    if (add_region(bus, r)) {
        free(r);
        return -ENOMEM;
    }
    *out = r;
    return 0;
}

int bus_memory_new(struct bus *bus, const void *owner, uint64_t length, uint8_t *host,
                   uint32_t flags, bool mapped, enum bus_layer layer, struct bp_region **out,
                   const char **why)
{
    *why = "a memory region's length must be a multiple of 4096, not 0";
    if (!length || length % 4096)
        return -EINVAL;
    struct bp_region *r = calloc(1, sizeof(*r));
    *why = "out of memory";
    if (!r)
        return -ENOMEM;
    r->bus = bus;
    r->owner = owner;
    r->ram = host;
    r->ram_flags = flags;
    r->space = BP_SPACE_MMIO;
    r->layer = layer;
    r->length = length;
    r->base = BP_UNMAPPED;
    if (add_region(bus, r)) {
        free(r);
        return -ENOMEM;
    }
    if (mapped)
        r->ram_bytes = length;
    *out = r;
    return 0;
}

/* The region that forbids `r` at `base`: configured devices do not overlap each other or RAM. */
static const struct bp_region *in_the_way(const struct bus *bus, const struct bp_region *r,
                                          uint64_t base)
{
    if (r->layer != BUS_LAYER_FIXED)
        return NULL;
    for (uint32_t i = 0; i < bus->count; i++) {
        const struct bp_region *other = bus->regions[i];
        if (other != r && other->space == r->space && other->base != BP_UNMAPPED &&
            other->layer <= BUS_LAYER_FIXED && base < other->base + other->length &&
            other->base < base + r->length)
            return other;
    }
    return NULL;
}

/* True if `r` at `base` is memory, or covers some of a lower layer, so that the memory slots change
 * when it comes or goes. */
static bool changes_memory(const struct bus *bus, const struct bp_region *r, uint64_t base)
{
    if (r->space != BP_SPACE_MMIO || base == BP_UNMAPPED)
        return false;
    bool changes = r->ram != NULL;
    for (uint32_t i = 0; i < bus->count && !changes; i++) {
        const struct bp_region *other = bus->regions[i];
        changes = other->ram && other->base != BP_UNMAPPED && base < other->base + other->length &&
                  other->base < base + r->length;
    }
    return changes;
}

int bus_place(struct bp_region *r, uint64_t base, const struct bp_region **other)
{
    struct bus *bus = r->bus;
    uint64_t limit = r->space == BP_SPACE_PIO ? 0x10000 : UINT64_MAX;

    *other = NULL;
    if (base != BP_UNMAPPED && (r->length > limit || base > limit - r->length))
        return -EINVAL;
    pthread_mutex_lock(&bus->lock);
    int err = 0;
    if (base != BP_UNMAPPED) {
        *other = in_the_way(bus, r, base);
        err = *other ? -EBUSY : 0;
    }
    if (!err && base != r->base) {
        uint64_t old = r->base;
        r->base = base;
        r->serial = ++bus->next_serial;
        bus->memory_touched |= changes_memory(bus, r, old) || changes_memory(bus, r, base);
        err = publish(bus);
        if (err)
            r->base = old;
    }
    pthread_mutex_unlock(&bus->lock);
    return err;
}

uint64_t bus_taken(struct bus *bus, uint32_t space, uint64_t base, uint64_t length)
{
    uint64_t end = 0;

    pthread_mutex_lock(&bus->lock);
    for (uint32_t i = 0; i < bus->count; i++) {
        const struct bp_region *r = bus->regions[i];
        if (r->space == space && r->base != BP_UNMAPPED && r->layer < BUS_LAYER_BAR &&
            base < r->base + r->length && r->base < base + length)
            end = r->base + r->length;
    }
    pthread_mutex_unlock(&bus->lock);
    return end;
}

uint64_t bus_place_of(const struct bp_region *r)
{
    pthread_mutex_lock(&r->bus->lock);
    uint64_t base = r->base;
    pthread_mutex_unlock(&r->bus->lock);
    return base;
}

const struct bp_region *bus_answers(struct bus *bus, uint64_t gpa)
{
    const struct bp_region *best = NULL;

    pthread_mutex_lock(&bus->lock);
    for (uint32_t i = 0; i < bus->count; i++) {
        const struct bp_region *r = bus->regions[i];
        if (r->space != BP_SPACE_MMIO || r->base == BP_UNMAPPED || gpa < r->base ||
            gpa - r->base >= r->length)
            continue;
        if (!best || r->layer < best->layer ||
            (r->layer == best->layer && r->serial < best->serial))
            best = r;
    }
    pthread_mutex_unlock(&bus->lock);
    return best;
}

void bus_forget(struct bus *bus, const void *owner)
{
    uint32_t kept = 0;

    pthread_mutex_lock(&bus->lock);
    for (uint32_t i = 0; i < bus->count; i++) {
        struct bp_region *r = bus->regions[i];
        if (r->owner == owner) {
            bus->memory_touched |= changes_memory(bus, r, r->base);
            r->self = bus->gone;
            bus->gone = r;
        } else {
            bus->regions[kept++] = r;
        }
    }
    bus->count = kept;
    /* In a batch, or without memory for a new view, the old one stays, and with it what it points
     * to. */
    if (publish(bus) == 0 && !bus->batch)
        free_gone(bus);
    pthread_mutex_unlock(&bus->lock);
}

void bus_batch_begin(struct bus *bus)
{
    pthread_mutex_lock(&bus->lock);
    bus->batch++;
    pthread_mutex_unlock(&bus->lock);
}

int bus_batch_end(struct bus *bus)
{
    pthread_mutex_lock(&bus->lock);
    bus->batch--;
    int err = publish(bus);
    if (!err && !bus->batch)
        free_gone(bus);
    pthread_mutex_unlock(&bus->lock);
    return err;
}

const uint32_t *bus_generation(const struct bus *bus)
{
    return &bus->generation;
}

uint32_t bus_retired_views(struct bus *bus)
{
    uint32_t count = 0;

    pthread_mutex_lock(&bus->lock);
    free_retired(bus);
    for (const struct bus_view *v = bus->retired; v; v = v->next_retired)
        count++;
    pthread_mutex_unlock(&bus->lock);
    return count;
}

void bus_memory_slots(struct bus *bus,
                      void (*each)(void *context, uint64_t gpa, uint64_t length, uint8_t *host,
                                   uint32_t flags),
                      void *context)
{
    const struct bus_view *view = bus->view;

    for (uint32_t i = 0; i < view->mmio_count; i++) {
        const struct view_slot *s = &view->mmio[i];
        uint64_t base = (s->base + 4095) & ~4095ull, end = s->end & ~4095ull;
        if (s->region->ram && end > base)
            each(context, base, end - base, s->region->ram + s->offset + (base - s->base),
                 s->region->ram_flags);
    }
}

/* ---- dispatch -----------------------------------------------------------------------------------
 */

static inline const struct view_slot *find(struct bus_reader *reader, const struct bus_view *view,
                                           uint32_t space, uint64_t address)
{
    if (space == BP_SPACE_PIO)
        return view_find_pio(view, address);
    if (reader->last_mmio < view->mmio_count) {
        const struct view_slot *last = &view->mmio[reader->last_mmio];
        if (address - last->base < last->end - last->base && address >= last->base)
            return last;
    }
    const struct view_slot *slot = view_find_mmio(view, address);
    if (slot && slot >= view->mmio && slot < view->mmio + view->mmio_count)
        reader->last_mmio = (uint32_t)(slot - view->mmio);
    return slot;
}

/* Memory has no owner to ask; an UNLOCKED region locks for itself. */
static inline struct domain *domain_of(const struct bp_region *r)
{
    return r->ram || r->ops.flags & BP_REGION_UNLOCKED ? NULL : r->domain;
}

/* How much of an access of `width` bytes at `address` one region, or the gap, answers. */
static uint32_t share(const struct view_slot *slot, uint64_t address, uint32_t width,
                      uint64_t *offset)
{
    if (!slot)
        return 1; /* gaps are walked bytewise: what is next may begin anywhere */
    *offset = slot->offset + (address - slot->base);
    uint64_t left = slot->region->length - *offset;
    return left < width ? (uint32_t)left : width;
}

/* The region that takes the whole access by one call of its callback, as nearly all are; or NULL.
 */
static inline struct bp_region *takes_whole(const struct view_slot *slot, uint64_t address,
                                            uint32_t width, uint64_t *offset)
{
    if (!slot)
        return NULL;
    struct bp_region *r = slot->region;
    *offset = slot->offset + (address - slot->base);
    return access_fits(r, *offset, width) && width <= r->length - *offset ? r : NULL;
}

static inline void enter_region(const struct bp_region *r)
{
    struct domain *domain = domain_of(r);

    if (domain)
        domain_enter(domain);
}

static inline void leave_region(const struct bp_region *r)
{
    struct domain *domain = domain_of(r);

    if (domain)
        domain_leave(domain);
}

static inline uint64_t nth_address(uint32_t space, uint64_t address, uint32_t n)
{
    return space == BP_SPACE_PIO ? (address + n) & 0xffff : address + n;
}

/* Nobody answers at `address`. */
static void trace_nobody(const struct bus_reader *reader, uint32_t space, uint64_t address,
                         uint32_t width, uint64_t value, bool write)
{
    const struct bus_tracer *t = reader->bus->tracer;

    if (t)
        t->access(t->context, NULL, space, address, width, value, write);
}

/* What is memory, or nobody's, or must be split or widened. The view is pinned. */
static uint64_t read_pieces(struct bus_reader *reader, const struct bus_view *view, uint32_t space,
                            uint64_t address, uint32_t width)
{
    uint64_t value = 0;

    for (uint32_t done = 0; done < width;) {
        uint64_t at = nth_address(space, address, done), offset = 0, got;
        const struct view_slot *slot = find(reader, view, space, at);
        uint32_t part = share(slot, at, width - done, &offset);
        if (slot) {
            enter_region(slot->region);
            got = access_read(slot->region, offset, part);
            leave_region(slot->region);
        } else {
            got = access_mask(UINT64_MAX, part);
            trace_nobody(reader, space, at, part, got, false);
        }
        value |= got << 8 * done;
        done += part;
    }
    return value;
}

static void write_pieces(struct bus_reader *reader, const struct bus_view *view, uint32_t space,
                         uint64_t address, uint64_t value, uint32_t width)
{
    for (uint32_t done = 0; done < width;) {
        uint64_t at = nth_address(space, address, done), offset = 0;
        const struct view_slot *slot = find(reader, view, space, at);
        uint32_t part = share(slot, at, width - done, &offset);
        if (slot) {
            enter_region(slot->region);
            access_write(slot->region, offset, value >> 8 * done, part);
            leave_region(slot->region);
        } else {
            trace_nobody(reader, space, at, part, access_mask(value >> 8 * done, part), true);
        }
        done += part;
    }
}

uint64_t bus_read(struct bus_reader *reader, uint32_t space, uint64_t address, uint32_t width)
{
    const struct bus_view *view = pin(reader);
    uint64_t offset, value;
    struct bp_region *r = takes_whole(find(reader, view, space, address), address, width, &offset);

    if (r) {
        enter_region(r);
        value = access_mask(r->ops.read(r->self, offset, width), width);
        leave_region(r);
    } else {
        value = read_pieces(reader, view, space, address, width);
    }
    unpin(reader);
    return value;
}

void bus_write(struct bus_reader *reader, uint32_t space, uint64_t address, uint64_t value,
               uint32_t width)
{
    const struct bus_view *view = pin(reader);
    uint64_t offset;
    struct bp_region *r = takes_whole(find(reader, view, space, address), address, width, &offset);

    if (r) {
        enter_region(r);
        r->ops.write(r->self, offset, access_mask(value, width), width);
        leave_region(r);
    } else {
        write_pieces(reader, view, space, address, value, width);
    }
    unpin(reader);
}

int bus_resolve(struct bus_reader *reader, uint64_t gpa, struct bp_slot *out)
{
    const struct bus_view *view = pin(reader);
    const struct view_slot *slot = find(reader, view, BP_SPACE_MMIO, gpa);

    *out = (struct bp_slot){.generation = view->generation};
    if (slot) {
        struct bp_region *r = slot->region;
        out->base = slot->base;
        out->length = slot->end - slot->base;
        out->ram = r->ram ? r->ram + slot->offset : NULL;
        out->ram_flags = r->ram_flags;
        out->offset = slot->offset;
        out->ops = r->ram ? NULL : &r->ops;
        out->self = r->self;
        out->region = r;
    } else {
        uint64_t end;
        view_gap(view, gpa, &out->base, &end);
        out->length = end - out->base;
    }
    unpin(reader);
    return slot ? 0 : -ENOENT;
}

int bus_enter(struct bus_reader *reader, const struct bp_slot *slot)
{
    const struct bus_view *view = pin(reader);

    if (view->generation != slot->generation) {
        unpin(reader);
        return -ESTALE;
    }
    enter_region(slot->region);
    return 0;
}

void bus_leave(struct bus_reader *reader, const struct bp_slot *slot)
{
    leave_region(slot->region);
    unpin(reader);
}
