/* SPDX-License-Identifier: MIT
 *
 * machine/replica_memory.c - the memory of bp_machine_compare()'s second backend: copies of the
 * machine's, as they were when they came into its map, and what devices have written since.
 */
#include "machine/compare.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static bool is_zero(const uint8_t *page)
{
    return !page[0] && !memcmp(page, page + 1, 4095);
}

/* Pages that are zeroes stay unmapped. */
static void copy_pages(uint8_t *to, const uint8_t *from, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += 4096)
        if (!is_zero(from + at))
            memcpy(to + at, from + at, 4096);
}

static void drop_slot(struct replica *r, uint32_t i)
{
    struct bp_mem_slot gone = r->slots[i];

    gone.length = 0;
    r->ops->mem_set(r->vm, &gone);
    munmap(r->slots[i].host, r->slots[i].length);
    r->slot_count--;
    r->slots[i] = r->slots[r->slot_count];
    r->first_slots[i] = r->first_slots[r->slot_count];
}

static uint32_t free_index(const struct replica *r)
{
    for (uint32_t index = 0;; index++) {
        bool used = false;

        for (uint32_t i = 0; i < r->slot_count; i++)
            used |= r->slots[i].index == index;
        if (!used)
            return index;
    }
}

static int add_slot(struct replica *r, const struct bp_mem_slot *first)
{
    struct bp_mem_slot *s = &r->slots[r->slot_count];
    int err;

    if (r->slot_count == sizeof(r->slots) / sizeof(r->slots[0]))
        return error_set(&r->why, -E2BIG,
                         "the guest has more stretches of memory than can be "
                         "copied");
    *s = *first;
    s->index = free_index(r);
    s->host = mmap(NULL, s->length, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->host == MAP_FAILED)
        return error_set(&r->why, -ENOMEM, "there is no memory for a copy of the guest's");
    copy_pages(s->host, first->host, s->length);
    err = r->ops->mem_set(r->vm, s);
    if (err) {
        munmap(s->host, s->length);
        node_failure(&r->node, err, &r->why);
        return err;
    }
    r->first_slots[r->slot_count++] = *first;
    return 0;
}

static bool same_slot(const struct bp_mem_slot *a, const struct bp_mem_slot *b)
{
    return a->gpa == b->gpa && a->length == b->length && a->host == b->host && a->flags == b->flags;
}

int replica_follow(struct replica *r)
{
    const struct bp_machine *m = r->machine;
    int err = 0;

    for (uint32_t i = 0; i < r->slot_count;) {
        bool kept = false;

        for (uint32_t k = 0; k < m->mem_slot_count; k++)
            kept |= same_slot(&r->first_slots[i], &m->mem_slots[k]);
        if (kept)
            i++;
        else
            drop_slot(r, i);
    }
    for (uint32_t k = 0; k < m->mem_slot_count && !err; k++) {
        bool there = false;

        for (uint32_t i = 0; i < r->slot_count; i++)
            there |= same_slot(&r->first_slots[i], &m->mem_slots[k]);
        if (!there)
            err = add_slot(r, &m->mem_slots[k]);
    }
    __atomic_add_fetch(&r->generation, 1, __ATOMIC_RELEASE);
    return err;
}

uint8_t *replica_memory(const struct replica *r, uint64_t gpa, uint64_t bytes)
{
    for (uint32_t i = 0; i < r->slot_count; i++) {
        const struct bp_mem_slot *s = &r->slots[i];

        if (gpa >= s->gpa && gpa - s->gpa < s->length && s->length - (gpa - s->gpa) >= bytes)
            return s->host + (gpa - s->gpa);
    }
    return NULL;
}

/* What lies there for processors: RAM below a ROM is written to as well, and not seen. */
void replica_written(struct replica *r, uint64_t gpa, uint64_t bytes)
{
    for (uint32_t i = 0; i < r->slot_count; i++) {
        const struct bp_mem_slot *s = &r->slots[i];
        uint64_t from = gpa > s->gpa ? gpa - s->gpa : 0, part;

        if (from >= s->length || s->gpa + from - gpa >= bytes)
            continue;
        part = bytes - (s->gpa + from - gpa);
        if (part > s->length - from)
            part = s->length - from;
        memcpy(s->host + from, r->first_slots[i].host + from, part);
        r->ops->code_changed(r->vm, s->gpa + from, part);
    }
}

void replica_forget_memory(struct replica *r)
{
    while (r->slot_count)
        drop_slot(r, 0);
}
