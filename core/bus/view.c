/* SPDX-License-Identifier: MIT
 *
 * bus/view.c - building the map, and finding an address in it in a time that does not grow with the
 * number of regions: ports by a table, MMIO by a hash of pages, long stretches (RAM, large BARs) by
 * binary search among themselves, which are few.
 */
#include "bus/view.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_SHIFT 12
#define HASHED_BYTES 0x10000u /* longer slots are "large" */

struct view_page {
    uint64_t number_plus_1; /* 0: free */
    uint32_t first, last;   /* MMIO slots that touch the page */
};

/* ---- flattening ---------------------------------------------------------------------------------
 */

/* Slots found so far, ascending; a growing array. */
struct slots {
    struct view_slot *at;
    uint32_t count, capacity;
};

/* The first slot that ends above `address`. */
static uint32_t first_above(const struct view_slot *slots, uint32_t count, uint64_t address)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (slots[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool insert(struct slots *slots, uint32_t index, const struct view_slot *slot)
{
    if (slots->count == slots->capacity) {
        uint32_t capacity = slots->capacity ? 2 * slots->capacity : 32;
        struct view_slot *at = realloc(slots->at, capacity * sizeof(*at));
        if (!at)
            return false;
        slots->at = at;
        slots->capacity = capacity;
    }
    memmove(slots->at + index + 1, slots->at + index, (slots->count - index) * sizeof(*slots->at));
    slots->at[index] = *slot;
    slots->count++;
    return true;
}

/* Puts the region wherever no earlier one is. */
static bool add_region(struct slots *slots, struct bp_region *r)
{
    uint64_t at = r->base, end = r->base + r->length;
    uint32_t i = first_above(slots->at, slots->count, at);

    while (at < end) {
        uint64_t free_end = end;
        if (i < slots->count && slots->at[i].base < end)
            free_end = slots->at[i].base;
        if (free_end > at) {
            struct view_slot slot = {at, free_end, at - r->base, r};
            if (!insert(slots, i, &slot))
                return false;
            i++;
        }
        if (free_end == end)
            return true;
        at = slots->at[i].end;
        i++;
    }
    return true;
}

static int by_priority(const void *a, const void *b)
{
    const struct bp_region *x = *(struct bp_region *const *)a, *y = *(struct bp_region *const *)b;

    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    return x->serial < y->serial ? -1 : x->serial > y->serial;
}

/* ---- the indexes --------------------------------------------------------------------------------
 */

static struct view_page *page_entry(const struct bus_view *view, uint64_t page)
{
    uint32_t mask = (1u << view->page_bits) - 1;
    uint32_t i = (uint32_t)(page * 0x9e3779b97f4a7c15ull >> (64 - view->page_bits));

    while (view->pages[i].number_plus_1 && view->pages[i].number_plus_1 != page + 1)
        i = (i + 1) & mask;
    return &view->pages[i];
}

static bool index_mmio(struct bus_view *view)
{
    uint64_t pages = 0;

    for (uint32_t i = 0; i < view->mmio_count; i++) {
        const struct view_slot *s = &view->mmio[i];
        if (s->end - s->base > HASHED_BYTES)
            view->large_count++;
        else
            pages += ((s->end - 1) >> PAGE_SHIFT) - (s->base >> PAGE_SHIFT) + 1;
    }
    view->page_bits = 4;
    while (1ull << view->page_bits < 2 * pages)
        view->page_bits++;
    view->pages = calloc(1ull << view->page_bits, sizeof(*view->pages));
    view->large = calloc(view->large_count + 1, sizeof(*view->large));
    if (!view->pages || !view->large)
        return false;
    uint32_t large = 0;
    for (uint32_t i = 0; i < view->mmio_count; i++) {
        const struct view_slot *s = &view->mmio[i];
        if (s->end - s->base > HASHED_BYTES) {
            view->large[large++] = *s;
            continue;
        }
        for (uint64_t p = s->base >> PAGE_SHIFT; p <= (s->end - 1) >> PAGE_SHIFT; p++) {
            struct view_page *entry = page_entry(view, p);
            if (!entry->number_plus_1)
                *entry = (struct view_page){p + 1, i, i};
            entry->last = i;
        }
    }
    return true;
}

static bool index_pio(struct bus_view *view)
{
    if (view->pio_count >= UINT16_MAX)
        return false; /* more one-port regions than the table can number */
    view->ports = calloc(0x10000, sizeof(*view->ports));
    if (!view->ports)
        return false;
    for (uint32_t i = 0; i < view->pio_count; i++)
        for (uint64_t port = view->pio[i].base; port < view->pio[i].end; port++)
            view->ports[port] = (uint16_t)(i + 1);
    return true;
}

struct bus_view *view_new(struct bp_region *const *regions, uint32_t count, uint32_t generation)
{
    struct bus_view *view = calloc(1, sizeof(*view));
    struct bp_region **sorted = calloc(count + 1, sizeof(struct bp_region *));
    struct slots mmio = {0}, pio = {0};
    bool ok = view && sorted;

    if (ok) {
        memcpy(sorted, regions, count * sizeof(struct bp_region *));
        qsort(sorted, count, sizeof(struct bp_region *), by_priority);
    }
    for (uint32_t i = 0; ok && i < count; i++)
        ok = add_region(sorted[i]->space == BP_SPACE_PIO ? &pio : &mmio, sorted[i]);
    free(sorted);
    if (!ok) {
        free(mmio.at);
        free(pio.at);
        free(view);
        return NULL;
    }
    view->generation = generation;
    view->mmio = mmio.at;
    view->mmio_count = mmio.count;
    view->pio = pio.at;
    view->pio_count = pio.count;
    if (!index_mmio(view) || !index_pio(view)) {
        view_free(view);
        return NULL;
    }
    return view;
}

void view_free(struct bus_view *view)
{
    if (!view)
        return;
    free(view->mmio);
    free(view->pio);
    free(view->large);
    free(view->pages);
    free(view->ports);
    free(view);
}

/* ---- finding ------------------------------------------------------------------------------------
 */

static const struct view_slot *find_in(const struct view_slot *slots, uint32_t count, uint64_t gpa)
{
    uint32_t i = first_above(slots, count, gpa);
    return i < count && slots[i].base <= gpa ? &slots[i] : NULL;
}

const struct view_slot *view_find_mmio(const struct bus_view *view, uint64_t gpa)
{
    const struct view_page *page = page_entry(view, gpa >> PAGE_SHIFT);

    if (page->number_plus_1) {
        const struct view_slot *slot =
            find_in(view->mmio + page->first, page->last - page->first + 1, gpa);
        if (slot)
            return slot;
    }
    return find_in(view->large, view->large_count, gpa);
}

void view_gap(const struct bus_view *view, uint64_t gpa, uint64_t *base, uint64_t *end)
{
    uint32_t i = first_above(view->mmio, view->mmio_count, gpa);

    *base = i ? view->mmio[i - 1].end : 0;
    *end = i < view->mmio_count ? view->mmio[i].base : UINT64_MAX;
}
