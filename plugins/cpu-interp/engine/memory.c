/* SPDX-License-Identifier: MIT
 *
 * engine/memory.c - guest memory as the engine sees it: slots, and which bytes have translated
 * code.
 *
 * Slots are few and change a handful of times in a boot, so all vCPUs stop for a change, and
 * lookups take no lock. Pages that belong to no slot are devices, or nothing: the bus answers.
 */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mmu/tlb.h"
#include "remote.h"

struct memory_slot *memory_slot_at(struct engine *e, uint64_t gpa)
{
    for (uint32_t i = 0; i < e->slot_count; i++)
        if (gpa - e->slots[i].gpa < e->slots[i].length)
            return &e->slots[i];
    return NULL;
}

/* 0, or -EINVAL for a slot that cannot be: the host has checked it, but says [any]. */
static int slot_check(const struct bp_mem_slot *slot)
{
    uint64_t end;

    if (slot->index >= MEMORY_SLOTS)
        return -EINVAL;
    if (slot->length == 0)
        return 0;
    if (!slot->host || (slot->gpa | slot->length) & ~PAGE_MASK ||
        __builtin_add_overflow(slot->gpa, slot->length - 1, &end))
        return -EINVAL;
    return 0;
}

static struct memory_slot *slot_by_index(struct engine *e, uint32_t index)
{
    for (uint32_t i = 0; i < e->slot_count; i++)
        if (e->slots[i].index == index)
            return &e->slots[i];
    return NULL;
}

static bool slot_overlaps(const struct engine *e, const struct bp_mem_slot *slot)
{
    for (uint32_t i = 0; i < e->slot_count; i++) {
        const struct memory_slot *s = &e->slots[i];

        if (s->index != slot->index && slot->gpa <= s->gpa + (s->length - 1) &&
            s->gpa <= slot->gpa + (slot->length - 1))
            return true;
    }
    return false;
}

static void slot_remove(struct engine *e, struct memory_slot *s)
{
    uint32_t at = (uint32_t)(s - e->slots);

    memmove(s, s + 1, (e->slot_count - at - 1) * sizeof(*s));
    e->slot_count--;
    memset(&e->slots[e->slot_count], 0, sizeof(*s));
}

static void slot_insert(struct engine *e, const struct memory_slot *slot)
{
    uint32_t at = 0;

    while (at < e->slot_count && e->slots[at].length >= slot->length)
        at++;
    memmove(&e->slots[at + 1], &e->slots[at], (e->slot_count - at) * sizeof(*slot));
    e->slots[at] = *slot;
    e->slot_count++;
}

int engine_memory_set(struct engine *e, const struct bp_mem_slot *slot)
{
    struct memory_slot fresh = {.gpa = slot->gpa,
                                .length = slot->length,
                                .host = slot->host,
                                .flags = slot->flags,
                                .index = slot->index};
    struct memory_slot *old;
    uint32_t *unused = NULL;
    uint64_t *unused_kept = NULL;
    int r = slot_check(slot);

    if (r < 0)
        return r;
    if (slot->length) {
        fresh.code = calloc(slot->length >> 12, sizeof(*fresh.code));
        if (!fresh.code)
            return -ENOMEM;
    }
    remote_stop(e);
    if (slot->length && slot_overlaps(e, slot)) {
        unused = fresh.code;
        r = -EINVAL;
    } else {
        old = slot_by_index(e, slot->index);
        if (old) {
            unused = old->code;
            unused_kept = old->kept;
            slot_remove(e, old);
        }
        if (slot->length)
            slot_insert(e, &fresh);
    }
    remote_go(e);
    free(unused);
    free(unused_kept);
    return r;
}

static int keep_pages(struct memory_slot *s, uint64_t first, uint64_t last, bool on)
{
    uint64_t begin = (first - s->gpa) >> 12, end = (last - s->gpa) >> 12;

    if (!s->kept)
        s->kept = calloc((s->length >> 12) / 64 + 1, sizeof(*s->kept));
    if (!s->kept)
        return -ENOMEM;
    for (uint64_t page = begin; page <= end; page++)
        if (on)
            s->kept[page / 64] |= UINT64_C(1) << (page & 63);
        else
            s->kept[page / 64] &= ~(UINT64_C(1) << (page & 63));
    return 0;
}

int engine_memory_keep(struct engine *e, uint64_t gpa, uint64_t length, bool on)
{
    uint64_t last;
    int err = 0;

    if (length == 0 || __builtin_add_overflow(gpa, length - 1, &last))
        return 0;
    remote_stop(e);
    for (uint32_t i = 0; i < e->slot_count && !err; i++) {
        struct memory_slot *s = &e->slots[i];
        uint64_t slot_last = s->gpa + (s->length - 1);
        uint64_t from = gpa > s->gpa ? gpa : s->gpa, to = last < slot_last ? last : slot_last;

        if (from <= to && (on || s->kept))
            err = keep_pages(s, from, to, on);
    }
    remote_go(e);
    return err;
}

void engine_code_changed(struct engine *e, uint64_t gpa, uint64_t length)
{
    struct remote *r = e->remote;
    uint64_t last;

    if (length == 0 || __builtin_add_overflow(gpa, length - 1, &last))
        return;
    pthread_mutex_lock(&r->lock);
    for (uint32_t i = 0; i < e->slot_count; i++) {
        const struct memory_slot *s = &e->slots[i];
        uint64_t slot_last = s->gpa + (s->length - 1);
        uint64_t from = gpa > s->gpa ? gpa : s->gpa, to = last < slot_last ? last : slot_last;

        if (from > to)
            continue;
        for (uint64_t page = from & PAGE_MASK; page <= to; page += PAGE_SIZE) {
            /* Not a plain load: who marks code after us must see what was written before. */
            uint32_t code = __atomic_fetch_or(memory_code_word(s, page), 0, __ATOMIC_SEQ_CST);
            uint32_t low = page < from ? (uint32_t)(from - page) >> 7 : 0;
            uint32_t high = to - page < PAGE_SIZE ? (uint32_t)(to - page) >> 7 : 31;

            code &= UINT32_MAX << low & UINT32_MAX >> (31 - high);
            if (code) {
                /* The marks go first: see smc_stored(). */
                __atomic_fetch_and(memory_code_word(s, page), ~code, __ATOMIC_SEQ_CST);
                remote_queue_drop(r, page, code);
            }
            if (page > UINT64_MAX - PAGE_SIZE)
                break;
        }
    }
    pthread_mutex_unlock(&r->lock);
}
