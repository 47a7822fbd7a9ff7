/* SPDX-License-Identifier: MIT
 *
 * The bus: splitting and widening, layers, gaps, retirement of views.
 */
#include "bus/bus.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A device that writes down what reaches it. */
struct probe {
    char log[512];
    uint64_t answer;
    struct bp_region *region; /* moved to `move_to` by a write, if set */
    uint64_t move_to;
};

static void note(struct probe *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct probe *p, const char *format, ...)
{
    size_t used = strlen(p->log);
    va_list args;

    va_start(args, format);
    vsnprintf(p->log + used, sizeof(p->log) - used, format, args);
    va_end(args);
}

static uint64_t probe_read(void *self, uint64_t offset, uint32_t width)
{
    struct probe *p = self;
    note(p, "r%u@%llx ", width, (unsigned long long)offset);
    return p->answer;
}

static void probe_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct probe *p = self;
    note(p, "w%u@%llx=%llx ", width, (unsigned long long)offset, (unsigned long long)value);
    if (p->region) {
        const struct bp_region *other;
        assert_int_equal(bus_place(p->region, p->move_to, &other), 0);
    }
}

struct fixture {
    struct bus *bus;
    struct domain *domain;
    struct bus_reader reader;
    struct probe probe[4];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f || bus_new(NULL, &f->bus))
        return -1;
    f->domain = domain_new();
    bus_reader_init(&f->reader, f->bus);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bus_reader_exit(&f->reader);
    bus_free(f->bus);
    domain_free(f->domain);
    free(f);
    return 0;
}

static struct bp_region *map(struct fixture *f, struct probe *p, uint32_t space, uint64_t base,
                             uint64_t length, uint8_t min, uint8_t max, enum bus_layer layer)
{
    const struct bp_region_ops ops = {.size = sizeof(ops),
                                      .min_access = min,
                                      .max_access = max,
                                      .read = probe_read,
                                      .write = probe_write};
    const struct bp_region *other;
    struct bp_region *r;
    const char *why;

    assert_int_equal(bus_region_new(f->bus, f, f->domain, space, length, &ops, p, layer, &r, &why),
                     0);
    assert_int_equal(bus_place(r, base, &other), 0);
    return r;
}

static void see(void *context, const struct bp_region *r, uint32_t space, uint64_t address,
                uint32_t width, uint64_t value, bool write)
{
    note(context, "%s%u%c%u@%llx=%llx ", r ? "" : "nobody:", space, write ? 'w' : 'r', width,
         (unsigned long long)address, (unsigned long long)value);
}

static void a_tracer_sees_each_access_once_and_changes_none(void **state)
{
    struct fixture *f = *state;
    struct probe *p = &f->probe[0], *seen = &f->probe[1];
    const struct bus_tracer tracer = {.access = see, .context = seen};
    struct bp_slot slot;

    bus_trace(f->bus, &tracer);
    map(f, p, BP_SPACE_MMIO, 0xd0000000, 0x1000, 4, 4, BUS_LAYER_FIXED);
    p->answer = 0x1122334455667788;
    assert_int_equal(bus_read(&f->reader, BP_SPACE_MMIO, 0xd0000008, 4), 0x55667788);
    bus_write(&f->reader, BP_SPACE_MMIO, 0xd0000010, 0xaabbccdd11223344, 8);
    assert_int_equal(bus_read(&f->reader, BP_SPACE_PIO, 0x80, 1), 0xff);
    bus_write(&f->reader, BP_SPACE_MMIO, 0xe0000000, 5, 1);
    assert_string_equal(p->log, "r4@8 w4@10=11223344 w4@14=aabbccdd ");
    assert_string_equal(seen->log, "0r4@d0000008=55667788 0w4@d0000010=11223344 "
                                   "0w4@d0000014=aabbccdd nobody:1r1@80=ff nobody:0w1@e0000000=5 ");

    /* What a backend resolves for itself is seen too. */
    assert_int_equal(bus_resolve(&f->reader, 0xd0000000, &slot), 0);
    assert_int_equal(bus_enter(&f->reader, &slot), 0);
    slot.ops->write(slot.self, 4, 9, 4);
    bus_leave(&f->reader, &slot);
    assert_non_null(strstr(seen->log, "0w4@d0000004=9 "));
    assert_non_null(strstr(p->log, "w4@4=9 "));
}

static void an_access_that_fits_arrives_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct probe *p = &f->probe[0];

    map(f, p, BP_SPACE_MMIO, 0xd0000000, 0x1000, 1, 8, BUS_LAYER_FIXED);
    p->answer = 0x1122334455667788;
    assert_int_equal(bus_read(&f->reader, BP_SPACE_MMIO, 0xd0000008, 4), 0x55667788);
    bus_write(&f->reader, BP_SPACE_MMIO, 0xd0000010, 0xffffffffffffffff, 2);
    assert_string_equal(p->log, "r4@8 w2@10=ffff ");
}

static void bad_66_eight_bytes_to_a_device_of_four(void **state)
{
    struct fixture *f = *state;
    struct probe *p = &f->probe[0];

    map(f, p, BP_SPACE_MMIO, 0xd0000000, 0x1000, 4, 4, BUS_LAYER_FIXED);
    bus_write(&f->reader, BP_SPACE_MMIO, 0xd0000000, 0x1122334455667788, 8);
    assert_string_equal(p->log, "w4@0=55667788 w4@4=11223344 ");
    p->log[0] = 0;
    p->answer = 0xaabbccdd;
    assert_true(bus_read(&f->reader, BP_SPACE_MMIO, 0xd0000ff8, 8) == 0xaabbccddaabbccdd);
    assert_string_equal(p->log, "r4@ff8 r4@ffc ");
}

static void a_narrow_access_is_widened(void **state)
{
    struct fixture *f = *state;
    struct probe *p = &f->probe[0];

    map(f, p, BP_SPACE_MMIO, 0xd0000000, 0x1000, 4, 4, BUS_LAYER_FIXED);
    p->answer = 0x44332211;
    assert_int_equal(bus_read(&f->reader, BP_SPACE_MMIO, 0xd0000006, 1), 0x33);
    bus_write(&f->reader, BP_SPACE_MMIO, 0xd0000006, 0xab, 1);
    assert_string_equal(p->log, "r4@4 w4@4=ab0000 ");
}

static void an_unaligned_access_is_split_at_natural_boundaries(void **state)
{
    struct fixture *f = *state;
    struct probe *p = &f->probe[0];

    map(f, p, BP_SPACE_MMIO, 0xd0000000, 0x1000, 1, 8, BUS_LAYER_FIXED);
    bus_write(&f->reader, BP_SPACE_MMIO, 0xd0000003, 0x8877665544332211, 8);
    assert_string_equal(p->log, "w1@3=11 w4@4=55443322 w2@8=7766 w1@a=88 ");
}

static void nobody_reads_as_ones(void **state)
{
    struct fixture *f = *state;

    assert_true(bus_read(&f->reader, BP_SPACE_MMIO, 0xfffffffffffffff0, 8) == UINT64_MAX);
    assert_int_equal(bus_read(&f->reader, BP_SPACE_PIO, 0x80, 2), 0xffff);
    bus_write(&f->reader, BP_SPACE_PIO, 0xffff, 1, 4); /* wraps to port 0 */
}

static void bad_66_an_access_over_a_regions_end_is_ones_beyond(void **state)
{
    struct fixture *f = *state;
    struct probe *p = &f->probe[0];

    map(f, p, BP_SPACE_MMIO, 0xd0000000, 0x10, 1, 8, BUS_LAYER_FIXED);
    p->answer = 0;
    assert_true(bus_read(&f->reader, BP_SPACE_MMIO, 0xd000000c, 8) == 0xffffffff00000000);
    assert_string_equal(p->log, "r4@c ");
}

static void bad_66_two_neighbours_share_an_access(void **state)
{
    struct fixture *f = *state;

    map(f, &f->probe[0], BP_SPACE_PIO, 0x100, 2, 1, 4, BUS_LAYER_FIXED);
    map(f, &f->probe[1], BP_SPACE_PIO, 0x102, 2, 1, 4, BUS_LAYER_FIXED);
    bus_write(&f->reader, BP_SPACE_PIO, 0x101, 0x44332211, 4);
    assert_string_equal(f->probe[0].log, "w1@1=11 ");
    assert_string_equal(f->probe[1].log, "w2@0=3322 ");
}

static void the_first_byte_decides_who_answers(void **state)
{
    struct fixture *f = *state;

    /* PCI's 0xcf8 and the reset control register inside it. */
    map(f, &f->probe[0], BP_SPACE_PIO, 0xcf8, 4, 1, 4, BUS_LAYER_PLATFORM);
    map(f, &f->probe[1], BP_SPACE_PIO, 0xcf9, 1, 1, 1, BUS_LAYER_FIXED);
    bus_write(&f->reader, BP_SPACE_PIO, 0xcf8, 0x80000000, 4);
    bus_write(&f->reader, BP_SPACE_PIO, 0xcf9, 0x06, 1);
    assert_string_equal(f->probe[0].log, "w4@0=80000000 ");
    assert_string_equal(f->probe[1].log, "w1@0=6 ");
}

static void configured_devices_do_not_overlap(void **state)
{
    struct fixture *f = *state;
    const struct bp_region *other;
    struct bp_region *a, *b;

    a = map(f, &f->probe[0], BP_SPACE_MMIO, 0xd0000000, 0x1000, 1, 8, BUS_LAYER_FIXED);
    b = map(f, &f->probe[1], BP_SPACE_MMIO, 0xd0001000, 0x1000, 1, 8, BUS_LAYER_FIXED);
    assert_int_equal(bus_place(b, 0xd0000fff, &other), -EBUSY);
    assert_ptr_equal(other, a);
    bus_read(&f->reader, BP_SPACE_MMIO, 0xd0001000, 1); /* it stayed where it was */
    assert_string_equal(f->probe[1].log, "r1@0 ");
}

static void bad_57_58_ram_wins_over_bars_and_the_earlier_bar_over_the_later(void **state)
{
    struct fixture *f = *state;
    static uint8_t ram[0x2000];
    const struct bp_region *other;
    struct bp_region *r, *first;
    const char *why;

    assert_int_equal(
        bus_memory_new(f->bus, NULL, sizeof(ram), ram, 0, false, BUS_LAYER_RAM, &r, &why), 0);
    assert_int_equal(bus_place(r, 0, &other), 0);
    ram[0x1ff0] = 0x5a;
    first = map(f, &f->probe[0], BP_SPACE_MMIO, 0x1000, 0x2000, 1, 8, BUS_LAYER_BAR);
    map(f, &f->probe[1], BP_SPACE_MMIO, 0x2800, 0x1000, 1, 8, BUS_LAYER_BAR);
    assert_int_equal(bus_read(&f->reader, BP_SPACE_MMIO, 0x1ff0, 1), 0x5a);
    bus_read(&f->reader, BP_SPACE_MMIO, 0x2900, 1);
    bus_read(&f->reader, BP_SPACE_MMIO, 0x3000, 1);
    assert_string_equal(f->probe[0].log, "r1@1900 ");
    assert_string_equal(f->probe[1].log, "r1@800 ");
    /* Unmapping uncovers. */
    assert_int_equal(bus_place(first, BP_UNMAPPED, &other), 0);
    bus_read(&f->reader, BP_SPACE_MMIO, 0x2900, 1);
    assert_string_equal(f->probe[1].log, "r1@800 r1@100 ");
}

static void bad_60_a_region_cannot_wrap(void **state)
{
    struct fixture *f = *state;
    const struct bp_region *other;
    struct bp_region *r;

    r = map(f, &f->probe[0], BP_SPACE_MMIO, 0, 0x1000, 1, 8, BUS_LAYER_BAR);
    assert_int_equal(bus_place(r, UINT64_MAX - 0xffe, &other), -EINVAL);
    r = map(f, &f->probe[1], BP_SPACE_PIO, 0, 8, 1, 4, BUS_LAYER_BAR);
    assert_int_equal(bus_place(r, 0xfff9, &other), -EINVAL);
    assert_int_equal(bus_place(r, 0xfff8, &other), 0);
}

static void bad_61_a_device_may_move_itself_and_views_do_not_pile_up(void **state)
{
    struct fixture *f = *state;
    struct probe *p = &f->probe[0];

    p->region = map(f, p, BP_SPACE_MMIO, 0xd0000000, 0x1000, 1, 8, BUS_LAYER_BAR);
    for (unsigned i = 0; i < 1000; i++) {
        p->log[0] = 0;
        p->move_to = i % 2 ? 0xd0000000 : 0xe0000000;
        bus_write(&f->reader, BP_SPACE_MMIO, i % 2 ? 0xe0000000 : 0xd0000000, 0, 1);
        assert_string_equal(p->log, "w1@0=0 ");
    }
    assert_int_equal(bus_retired_views(f->bus), 0);
}

static void a_slot_is_stale_after_a_change(void **state)
{
    struct fixture *f = *state;
    const struct bp_region *other;
    struct bp_slot slot;
    struct bp_region *r;

    r = map(f, &f->probe[0], BP_SPACE_MMIO, 0xd0000000, 0x1000, 1, 8, BUS_LAYER_FIXED);
    assert_int_equal(bus_resolve(&f->reader, 0xd0000123, &slot), 0);
    assert_int_equal(slot.base, 0xd0000000);
    assert_int_equal(slot.length, 0x1000);
    assert_int_equal(bus_enter(&f->reader, &slot), 0);
    bus_leave(&f->reader, &slot);
    assert_int_equal(bus_place(r, 0xd1000000, &other), 0);
    assert_int_equal(bus_enter(&f->reader, &slot), -ESTALE);
    assert_int_equal(bus_resolve(&f->reader, 0xd0000123, &slot), -ENOENT);
    assert_int_equal(slot.base, 0);
    assert_int_equal(slot.length, 0xd1000000);
}

static void read_only_memory_drops_writes(void **state)
{
    struct fixture *f = *state;
    static uint8_t rom[0x1000];
    const struct bp_region *other;
    struct bp_region *r;
    const char *why;

    assert_int_equal(bus_memory_new(f->bus, NULL, sizeof(rom), rom, BP_RAM_READONLY, false,
                                    BUS_LAYER_FIXED, &r, &why),
                     0);
    assert_int_equal(bus_place(r, 0xfffff000, &other), 0);
    rom[5] = 7;
    bus_write(&f->reader, BP_SPACE_MMIO, 0xfffff005, 9, 1);
    assert_int_equal(bus_read(&f->reader, BP_SPACE_MMIO, 0xfffff005, 1), 7);
}

static void bad_tables_are_refused(void **state)
{
    struct fixture *f = *state;
    struct bp_region_ops ops = {.size = sizeof(ops),
                                .min_access = 1,
                                .max_access = 4,
                                .read = probe_read,
                                .write = probe_write};
    struct bp_region *r;
    const char *why;

#define REFUSED(length, sentence)                                                                  \
    do {                                                                                           \
        assert_int_equal(bus_region_new(f->bus, f, f->domain, BP_SPACE_MMIO, length, &ops, f,      \
                                        BUS_LAYER_FIXED, &r, &why),                                \
                         -EINVAL);                                                                 \
        assert_string_equal(why, sentence);                                                        \
    } while (0)
    REFUSED(0, "the region's length is 0 or beyond the address space");
    ops.min_access = 3;
    REFUSED(16, "min_access and max_access must be 1, 2, 4 or 8, and in this order");
    ops.min_access = 4;
    REFUSED(15, "the region's length is no multiple of its min_access");
    ops.read = NULL;
    REFUSED(16, "the region's read or write is NULL");
    ops.size = 16;
    REFUSED(16, "the region's table is missing or cut short");
#undef REFUSED
}

/* What the hash of pages and the binary search find must be what a plain list would. */
static void finds_each_of_many_regions(void **state)
{
    struct fixture *f = *state;
    enum { REGIONS = 3000 };
    uint64_t base[REGIONS];

    bus_batch_begin(f->bus);
    for (unsigned i = 0; i < REGIONS; i++) {
        base[i] = 0x100000000 + i * 0x40000ull + (i % 5) * 0x10ull;
        map(f, &f->probe[0], BP_SPACE_MMIO, base[i], i % 7 ? 0x20 : 0x20000, 1, 8, BUS_LAYER_FIXED);
    }
    assert_int_equal(bus_batch_end(f->bus), 0);
    for (unsigned i = 0; i < REGIONS; i++) {
        f->probe[0].log[0] = 0;
        bus_read(&f->reader, BP_SPACE_MMIO, base[i * 1009 % REGIONS] + 0x1f, 1);
        assert_string_equal(f->probe[0].log, "r1@1f ");
        assert_int_equal(bus_read(&f->reader, BP_SPACE_MMIO, base[i] - 1, 1), 0xff);
    }
}

static void forgetting_an_owner_takes_its_regions(void **state)
{
    struct fixture *f = *state;

    map(f, &f->probe[0], BP_SPACE_MMIO, 0xd0000000, 0x1000, 1, 8, BUS_LAYER_FIXED);
    bus_forget(f->bus, f);
    assert_int_equal(bus_read(&f->reader, BP_SPACE_MMIO, 0xd0000000, 1), 0xff);
    assert_string_equal(f->probe[0].log, "");
}

static void regions_forgotten_in_a_batch_go_at_its_end(void **state)
{
    struct fixture *f = *state;

    map(f, &f->probe[0], BP_SPACE_MMIO, 0xd0000000, 0x1000, 1, 8, BUS_LAYER_FIXED);
    bus_batch_begin(f->bus);
    bus_forget(f->bus, f);
    map(f, &f->probe[1], BP_SPACE_MMIO, 0xd0000000, 0x1000, 1, 8, BUS_LAYER_FIXED);
    assert_int_equal(bus_batch_end(f->bus), 0);
    bus_read(&f->reader, BP_SPACE_MMIO, 0xd0000000, 1);
    assert_string_equal(f->probe[0].log, "");
    assert_string_equal(f->probe[1].log, "r1@0 ");
    /* A machine that is taken down leaves the batch open. */
    bus_batch_begin(f->bus);
    bus_forget(f->bus, f);
}

/* The memory slots as a backend would be told of them, "base+length ". */
struct slots {
    char text[256];
};

static void add_slot(void *context, uint64_t gpa, uint64_t length, uint8_t *host, uint32_t flags)
{
    struct slots *s = context;
    size_t used = strlen(s->text);
    (void)host, (void)flags;

    snprintf(s->text + used, sizeof(s->text) - used, "%llx+%llx ", (unsigned long long)gpa,
             (unsigned long long)length);
}

static void memory_changed(void *context, struct bus *bus)
{
    struct slots *s = context;

    s->text[0] = 0;
    bus_memory_slots(bus, add_slot, s);
}

static void a_device_over_memory_takes_it_from_the_memory_slots(void **state)
{
    static uint8_t memory[0x3000];
    struct slots slots = {""};
    const struct bus_listener listener = {.memory_changed = memory_changed, .context = &slots};
    struct fixture g = {.domain = ((struct fixture *)*state)->domain};
    struct bp_region *frame_buffer, *device;
    const struct bp_region *other;
    const char *why;

    assert_int_equal(bus_new(&listener, &g.bus), 0);
    assert_int_equal(bus_memory_new(g.bus, &g, sizeof(memory), memory, 0, false, BUS_LAYER_BAR,
                                    &frame_buffer, &why),
                     0);
    assert_int_equal(bus_place(frame_buffer, 0xe0000000, &other), 0);
    assert_string_equal(slots.text, "e0000000+3000 ");
    device = map(&g, &g.probe[0], BP_SPACE_MMIO, 0xe0001000, 0x1000, 1, 8, BUS_LAYER_FIXED);
    assert_string_equal(slots.text, "e0000000+1000 e0002000+1000 ");
    assert_int_equal(bus_place(device, BP_UNMAPPED, &other), 0);
    assert_string_equal(slots.text, "e0000000+3000 ");
    assert_int_equal(bus_place(device, 0xe0002000, &other), 0);
    assert_string_equal(slots.text, "e0000000+2000 ");
    /* Ports have numbers like these too. */
    slots.text[0] = 0;
    map(&g, &g.probe[1], BP_SPACE_PIO, 0x2000, 8, 1, 4, BUS_LAYER_FIXED);
    assert_string_equal(slots.text, "");
    bus_forget(g.bus, &g);
    assert_string_equal(slots.text, "");
    bus_free(g.bus);
}

#define PLACES 4u
#define ROUNDS 3000u

struct crowd {
    struct fixture *f;
    struct domain *domain;
    unsigned stop; /* atomic */
    unsigned inside;
    unsigned answered; /* atomic */
};

static uint64_t crowd_read(void *self, uint64_t offset, uint32_t width)
{
    struct crowd *c = self;

    assert_int_equal(c->inside++, 0); /* one at a time, in the domain */
    __atomic_fetch_add(&c->answered, 1, __ATOMIC_RELAXED);
    c->inside--;
    return (offset & 0xfff) | width << 16;
}

static void crowd_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct crowd *c = self;
    (void)offset, (void)value, (void)width;

    assert_int_equal(c->inside++, 0);
    c->inside--;
}

static uint64_t place_of(unsigned n)
{
    return 0xd0000000 + (uint64_t)(n % PLACES) * 0x10000;
}

/* A vCPU that looks where a BAR was, is, or will be. */
static void *look_around(void *argument)
{
    struct crowd *c = argument;
    struct bus_reader reader;

    bus_reader_init(&reader, c->f->bus);
    for (unsigned n = 0; !__atomic_load_n(&c->stop, __ATOMIC_RELAXED); n++) {
        uint64_t got = bus_read(&reader, BP_SPACE_MMIO, place_of(n) + 0x24, 4);
        assert_true(got == 0xffffffff || got == 0x40024);
        bus_write(&reader, BP_SPACE_MMIO, place_of(n), n, 4);
        struct bp_slot slot;
        if (!bus_resolve(&reader, place_of(n) + 8, &slot) && !bus_enter(&reader, &slot)) {
            if (!slot.ram)
                assert_int_equal(slot.ops->read(slot.self, slot.offset + 8, 4), 0x40008);
            bus_leave(&reader, &slot);
        }
    }
    bus_reader_exit(&reader);
    return NULL;
}

static void a_bar_moves_under_two_vcpus(void **state)
{
    static const struct bp_region_ops ops = {.size = sizeof(ops),
                                             .min_access = 1,
                                             .max_access = 8,
                                             .read = crowd_read,
                                             .write = crowd_write};
    struct fixture *f = *state;
    struct crowd c = {.f = f, .domain = f->domain};
    const struct bp_region *other;
    struct bp_region *bar;
    const char *why;
    pthread_t thread[2];

    assert_int_equal(bus_region_new(f->bus, f, f->domain, BP_SPACE_MMIO, 0x1000, &ops, &c,
                                    BUS_LAYER_BAR, &bar, &why),
                     0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, look_around, &c), 0);
    /* On a busy machine the two may not have had a turn for long. */
    for (unsigned n = 0; n < ROUNDS || !__atomic_load_n(&c.answered, __ATOMIC_RELAXED); n++) {
        assert_int_equal(bus_place(bar, n % 5 ? place_of(n / 5) : BP_UNMAPPED, &other), 0);
        /* One view a reader can wait, and the one just replaced. */
        assert_true(bus_retired_views(f->bus) <= 2);
        if (n % 64 == 0)
            usleep(100);
    }
    __atomic_store_n(&c.stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_int_equal(bus_retired_views(f->bus), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_tracer_sees_each_access_once_and_changes_none),
        TEST(an_access_that_fits_arrives_as_it_is),
        TEST(bad_66_eight_bytes_to_a_device_of_four),
        TEST(a_narrow_access_is_widened),
        TEST(an_unaligned_access_is_split_at_natural_boundaries),
        TEST(nobody_reads_as_ones),
        TEST(bad_66_an_access_over_a_regions_end_is_ones_beyond),
        TEST(bad_66_two_neighbours_share_an_access),
        TEST(the_first_byte_decides_who_answers),
        TEST(configured_devices_do_not_overlap),
        TEST(bad_57_58_ram_wins_over_bars_and_the_earlier_bar_over_the_later),
        TEST(bad_60_a_region_cannot_wrap),
        TEST(bad_61_a_device_may_move_itself_and_views_do_not_pile_up),
        TEST(a_slot_is_stale_after_a_change),
        TEST(read_only_memory_drops_writes),
        TEST(bad_tables_are_refused),
        TEST(finds_each_of_many_regions),
        TEST(forgetting_an_owner_takes_its_regions),
        TEST(regions_forgotten_in_a_batch_go_at_its_end),
        TEST(a_device_over_memory_takes_it_from_the_memory_slots),
        TEST(a_bar_moves_under_two_vcpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
