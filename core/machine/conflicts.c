/* SPDX-License-Identifier: MIT
 *
 * machine/conflicts.c - who claims which ports, addresses, interrupt lines and PCI functions, and
 * what is claimed twice.
 *
 * Works on what the tables of properties declare and on what the core itself occupies, so it needs
 * no instance. What a guest places later (PCI BARs) is not its affair.
 */
#include "machine/parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLAIM_PCI                                                                                  \
    0x100u /* beside BP_CLAIM_*: device << 3 | function, of every value of type PCI                \
            */

struct claim {
    uint64_t first, last;
    uint32_t space;  /* BP_CLAIM_* or CLAIM_PCI */
    uint32_t shared; /* an interrupt line that others may use as well */
    uint32_t reserves;
    uint32_t rank;                     /* position in the file; 0 is the core */
    const struct plan_instance *owner; /* NULL: the core */
    const struct bp_prop *prop;
    const char *what;    /* the core's */
    uint32_t of_board;   /* there with board = pc only */
    uint32_t of_irqchip; /* there unless a device has these claims, or nobody */
    uint32_t of_rom;     /* firmware's */
};

/* What is there in every machine, or on every pc board. The interrupt controllers' registers are
 * the backend's, or will be whoever's it is that `auto` chooses; a device that has them claims them
 * by its keys. Of PCI's address register only whole dwords are: a byte written to 0xcf9 is the
 * chipsets' reset register, which belongs to whoever offers it.
 */
static const struct claim core_claims[] = {
    {.space = BP_CLAIM_PIO,
     .first = 0x20,
     .last = 0x21,
     .what = "the first interrupt controller",
     .of_irqchip = 1},
    {.space = BP_CLAIM_PIO,
     .first = 0xa0,
     .last = 0xa1,
     .what = "the second interrupt controller",
     .of_irqchip = 1},
    {.space = BP_CLAIM_PIO,
     .first = 0x4d0,
     .last = 0x4d1,
     .what = "the interrupt trigger registers",
     .of_irqchip = 1},
    {.space = BP_CLAIM_PIO,
     .first = 0x40,
     .last = 0x43,
     .what = "the interval timer",
     .of_irqchip = 1},
    {.space = BP_CLAIM_PIO,
     .first = 0x61,
     .last = 0x61,
     .what = "the interval timer's gate",
     .of_irqchip = 1},
    {.space = BP_CLAIM_PIO,
     .first = 0xcf8,
     .last = 0xcf8,
     .what = "PCI configuration",
     .of_board = 1},
    {.space = BP_CLAIM_PIO,
     .first = 0xcfa,
     .last = 0xcff,
     .what = "PCI configuration",
     .of_board = 1},
    {.space = BP_CLAIM_MMIO,
     .first = 0xe0000000,
     .last = 0xefffffff,
     .what = "PCI configuration",
     .of_board = 1},
    {.space = BP_CLAIM_MMIO,
     .first = 0xfec00000,
     .last = 0xfec00fff,
     .what = "the I/O APIC",
     .of_irqchip = 1},
    {.space = BP_CLAIM_MMIO, .first = 0xfee00000, .last = 0xfeefffff, .what = "the local APICs"},
    {.space = CLAIM_PCI, .first = 0, .last = 7, .what = "the PCI host bridge", .of_board = 1},
    {.space = BP_CLAIM_IRQ, .first = 0, .last = 0, .what = "the interval timer"},
    {.space = BP_CLAIM_IRQ, .first = 2, .last = 2, .what = "the second interrupt controller"},
};

struct claims {
    struct planning *p;
    struct claim *all;
    size_t count, capacity;
};

static int add_claim(struct claims *c, const struct claim *claim)
{
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? c->capacity * 2 : 64;
        struct claim *grown = realloc(c->all, capacity * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        c->all = grown;
        c->capacity = capacity;
    }
    c->all[c->count++] = *claim;
    return 0;
}

/* ---- sentences ---- */

struct range_text {
    char text[48];
};

static struct range_text range_text(const struct claim *c)
{
    struct range_text r;

    if (c->space == BP_CLAIM_IRQ)
        snprintf(r.text, sizeof(r.text), "interrupt %llu", (unsigned long long)c->first);
    else if (c->space == CLAIM_PCI && c->first != c->last)
        snprintf(r.text, sizeof(r.text), "PCI device %llx", (unsigned long long)c->first >> 3);
    else if (c->space == CLAIM_PCI)
        snprintf(r.text, sizeof(r.text), "PCI function %llx.%llu",
                 (unsigned long long)c->first >> 3, (unsigned long long)c->first & 7);
    else if (c->first == c->last)
        snprintf(r.text, sizeof(r.text), "%s0x%llx", c->space == BP_CLAIM_PIO ? "port " : "",
                 (unsigned long long)c->first);
    else
        snprintf(r.text, sizeof(r.text), "%s0x%llx-0x%llx",
                 c->space == BP_CLAIM_PIO ? "ports " : "", (unsigned long long)c->first,
                 (unsigned long long)c->last);
    return r;
}

/* Tells at `c`'s place; `rest` goes on after section, key, value and range. */
static void tell(struct claims *cs, const struct claim *c, const char *rest)
{
    struct props_text at = props_text(c->owner->section, c->prop);

    report_error(cs->p->report, at.file, at.line, c->owner->name, "[%s] %s = %s (%s%s) %s",
                 c->owner->name, c->prop->name, quoted(at.text).text, range_text(c).text,
                 at.given ? "" : ", the default", rest);
}

/* Tells that two claims overlap, at the place of the one that stands later in the file. */
static void tell_overlap(struct claims *cs, const struct claim *a, const struct claim *b)
{
    const struct claim *late = b->rank >= a->rank ? b : a, *early = late == b ? a : b;
    const char *verb =
        late->space == BP_CLAIM_IRQ || late->space == CLAIM_PCI ? "is taken by" : "overlaps";
    char rest[1024];

    if (!late->owner)
        return;
    if (!early->owner) {
        snprintf(rest, sizeof(rest), "%s %s (%s), which %s", verb, early->what,
                 range_text(early).text,
                 early->of_rom     ? "[boot] firmware brings"
                 : early->of_board ? "every pc board has"
                                   : "every machine has");
    } else {
        struct props_text at = props_text(early->owner->section, early->prop);
        char place[300] = "";

        if (at.line)
            snprintf(place, sizeof(place), "%.200s:%u", at.file, at.line);
        else
            snprintf(place, sizeof(place), "%.200s", at.file ? at.file : "default");
        snprintf(rest, sizeof(rest), "%s [%s] %s = %s (%s, %s)%s", verb, early->owner->name,
                 early->prop->name, quoted(at.text).text, range_text(early).text, place,
                 late->space != BP_CLAIM_IRQ ? ""
                 : late->shared              ? ", which does not share it"
                                             : ", and cannot be shared");
    }
    tell(cs, late, rest);
}

/* ---- collecting ---- */

static int collect_value(struct claims *cs, const struct plan_instance *owner,
                         const struct bp_prop *prop, uint64_t value)
{
    uint64_t end = prop->claim == BP_CLAIM_PIO ? 0xffff : UINT64_MAX;
    struct claim c = {
        .space = prop->type == BP_PROP_PCI ? CLAIM_PCI : prop->claim,
        .first = value,
        .last = value,
        .owner = owner,
        .prop = prop,
        .rank = (uint32_t)(owner->section - cs->p->config->sections) + 1,
    };

    if (c.space == CLAIM_PCI)
        return add_claim(cs, &c);
    if (prop->claim == BP_CLAIM_IRQ) {
        c.shared = prop->claim_length != 0;
        return add_claim(cs, &c);
    }
    c.reserves = prop->claim == BP_CLAIM_MMIO && prop->flags & BP_PROP_RESERVES;
    if (prop->claim_length &&
        (__builtin_add_overflow(value, prop->claim_length - 1, &c.last) || c.last > end)) {
        c.last = end;
        tell(cs, &c,
             prop->claim == BP_CLAIM_PIO ? "goes beyond the last port, 0xffff"
                                         : "goes beyond the last address, 2^64 - 1");
        return 0;
    }
    return add_claim(cs, &c);
}

/* Firmware's ROM, and the part of it that hides RAM below 1 MiB. */
static int collect_rom(struct claims *cs)
{
    uint64_t bytes = cs->p->plan->boot.firmware_bytes;
    uint64_t low = bytes < BOOT_ROM_LOW_MAX ? bytes : BOOT_ROM_LOW_MAX;
    struct claim rom = {.space = BP_CLAIM_MMIO,
                        .first = BOOT_ROM_END - bytes,
                        .last = BOOT_ROM_END - 1,
                        .what = "the ROM",
                        .of_rom = 1};
    struct claim copy = {.space = BP_CLAIM_MMIO,
                         .first = BOOT_ROM_LOW_END - low,
                         .last = BOOT_ROM_LOW_END - 1,
                         .what = "the ROM's end",
                         .of_rom = 1};
    int ret = bytes ? add_claim(cs, &rom) : 0;

    return bytes && !ret ? add_claim(cs, &copy) : ret;
}

static int collect(struct claims *cs)
{
    const struct plan *plan = cs->p->plan;
    int backends = !plan_irqchip(plan) && !planning_lacks_irqchip(cs->p);
    int ret = 0;

    for (size_t i = 0; !ret && i < sizeof(core_claims) / sizeof(core_claims[0]); i++)
        if ((!core_claims[i].of_board || plan->machine.board == PLAN_BOARD_PC) &&
            (!core_claims[i].of_irqchip || backends))
            ret = add_claim(cs, &core_claims[i]);
    if (!ret)
        ret = collect_rom(cs);
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct plan_instance *owner = &plan->instances[i];

        for (const struct bp_prop *prop = owner->model->props; prop && prop->name; prop++) {
            uint64_t value;

            if (!owner->config || (prop->type != BP_PROP_PCI && prop->claim == BP_CLAIM_NONE) ||
                prop->claim > BP_CLAIM_IRQ || !props_text(owner->section, prop).text)
                continue;
            for (uint64_t n = 0; !ret && props_number(prop, owner->config, n, &value); n++)
                ret = collect_value(cs, owner, prop, value);
        }
    }
    return ret;
}

/* ---- overlaps ---- */

static int by_address(const void *left, const void *right)
{
    const struct claim *a = left, *b = right;

    if (a->space != b->space)
        return a->space < b->space ? -1 : 1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

/* Each claim against the one that reaches furthest among those that begin before it. */
static void find_overlaps(struct claims *cs)
{
    const struct claim *reach = NULL;

    qsort(cs->all, cs->count, sizeof(cs->all[0]), by_address);
    for (size_t i = 0; i < cs->count; i++) {
        const struct claim *c = &cs->all[i];
        int same = reach && reach->space == c->space;

        if (same && c->first <= reach->last && !(c->shared && reach->shared))
            tell_overlap(cs, reach, c);
        /* An exclusive claim of a line must meet all the others of that line. */
        if (!same || c->last > reach->last || (c->last == reach->last && reach->shared))
            reach = c;
    }
}

/* ---- RAM ---- */

/* Notes that the guest is not given the pages of [first, last], which lie in RAM. `list` has room.
 */
static void reserve(struct plan *plan, uint64_t first, uint64_t last)
{
    uint64_t gpa = first & ~(uint64_t)(RAM_PAGE - 1);
    uint64_t end = (last | (RAM_PAGE - 1)) + 1;
    struct ram_reserved *before =
        plan->reserved_count ? &plan->reserved[plan->reserved_count - 1] : NULL;

    if (before && gpa <= before->gpa + before->length) {
        if (end > before->gpa + before->length)
            before->length = end - before->gpa;
        return;
    }
    plan->reserved[plan->reserved_count++] = (struct ram_reserved){gpa, end - gpa};
}

/* What one stretch of RAM, [base, base + length), and the claims in ascending order share. */
static void check_stretch(struct claims *cs, uint64_t base, uint64_t length)
{
    uint64_t end = base + length - 1;

    for (size_t i = 0; length && i < cs->count; i++) {
        const struct claim *c = &cs->all[i];
        char rest[160];

        if (c->space != BP_CLAIM_MMIO || !(c->owner || c->reserves) || c->last < base ||
            c->first > end)
            continue;
        if (c->reserves) {
            reserve(cs->p->plan, c->first > base ? c->first : base, c->last < end ? c->last : end);
            continue;
        }
        snprintf(
            rest, sizeof(rest),
            "lies in guest RAM, which has 0x%llx-0x%llx: choose an address outside it, or less "
            "memory",
            (unsigned long long)base, (unsigned long long)end);
        tell(cs, c, rest);
    }
}

static int check_ram(struct claims *cs)
{
    uint64_t memory = cs->p->plan->machine.memory;
    uint64_t low = memory < RAM_LOW_END ? memory : RAM_LOW_END;

    /* A claim meets each of the two stretches at most once. */
    cs->p->plan->reserved =
        plan_arena_alloc(cs->p->plan->arena, 2 * cs->count * sizeof(struct ram_reserved));
    if (!cs->p->plan->reserved)
        return -ENOMEM;
    check_stretch(cs, 0, low);
    check_stretch(cs, RAM_HIGH_BASE, memory - low);
    return 0;
}

void conflicts_check(struct planning *p, int ram_known)
{
    struct claims cs = {.p = p};
    int ret = collect(&cs);

    if (!ret)
        find_overlaps(&cs);
    if (!ret && ram_known)
        ret = check_ram(&cs);
    if (ret)
        report_error(p->report, NULL, 0, NULL, "out of memory");
    free(cs.all);
}
