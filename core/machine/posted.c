/* SPDX-License-Identifier: MIT
 *
 * machine/posted.c - registers whose writes may wait (BP_REG_POSTED), for a CPU backend with
 * "bp.posted/1": it is told where they are, wherever the guest moves them, and what waits is handed
 * over before each turn of a loop.
 *
 * Where another region answers, none of a region's ranges stay. But taking one back costs KVM
 * milliseconds, and guests switch BARs off and on when they size them: a region that is unmapped
 * keeps its ranges as long as nobody answers there.
 *
 * Devices speak of registers of a region, backends of addresses; the list here joins the two.
 */
#include "machine/machine_private.h"

#include "plugin/normalise.h"

#include <backplane/ext/posted.h>
#include <errno.h>
#include <stdlib.h>

/* A region with such registers. */
struct posted_region {
    const struct bp_region *region;
    uint64_t at; /* where the backend has its registers; BP_UNMAPPED: nowhere */
};

/* What a loop does first. */
struct posted_turn {
    struct posted_list *list;
    struct bus_reader reader;
};

struct posted_list {
    struct bp_cpu_posted ops;
    void *vm;
    pthread_mutex_t lock; /* a leaf lock, but for the backend's own; for what follows */
    uint32_t count, capacity;
    struct posted_region *regions;
    uint32_t turn_count;        /* constant once the loops run, as the turns are */
    struct posted_turn turns[]; /* one a loop */
};

/* ---- where they are -----------------------------------------------------------------------------
 */

static const struct bp_register *next_posted(const struct bp_region *region, const char **at)
{
    const struct bp_region_ops *ops = &region->ops;

    for (; *at && ops->register_stride; *at += ops->register_stride) {
        const struct bp_register *reg = (const void *)*at;
        if (!reg->name)
            return NULL;
        if (reg->access & BP_REG_POSTED && reg->offset < region->length &&
            reg->width <= region->length - reg->offset) {
            *at += ops->register_stride;
            return reg;
        }
    }
    return NULL;
}

static bool has_posted(const struct bp_region *region)
{
    const char *at = (const char *)region->ops.registers;

    return !region->ram && next_posted(region, &at);
}

/* All of the region's, at `base`: 0, or -errno where one is refused. */
static int post_all(const struct posted_list *list, const struct bp_region *region, uint64_t base,
                    uint32_t on)
{
    const char *at = (const char *)region->ops.registers;
    const struct bp_register *reg;
    int err = 0;

    while ((reg = next_posted(region, &at))) {
        int refused = list->ops.post(list->vm, base + reg->offset, reg->width, on);
        err = err ? err : refused;
    }
    return err;
}

/* Without room for all, none: writes reach the device at once, then. */
static void move(const struct posted_list *list, struct posted_region *p, uint64_t base)
{
    if (base == p->at)
        return;
    if (p->at != BP_UNMAPPED)
        post_all(list, p->region, p->at, 0);
    p->at = BP_UNMAPPED;
    if (base == BP_UNMAPPED)
        return;
    if (post_all(list, p->region, base, 1))
        post_all(list, p->region, base, 0);
    else
        p->at = base;
}

static bool has(const struct posted_list *list, const struct bp_region *region)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->regions[i].region == region)
            return true;
    return false;
}

/* Without memory nothing of it is posted. */
static void append(struct posted_list *list, const struct bp_region *region)
{
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? 2 * list->capacity : 8;
        struct posted_region *regions = realloc(list->regions, capacity * sizeof(*regions));
        if (!regions)
            return;
        list->regions = regions;
        list->capacity = capacity;
    }
    list->regions[list->count++] = (struct posted_region){.region = region, .at = BP_UNMAPPED};
}

/* Is `who` (NULL: nobody) the one who answers where all the registers of `region` are at `base`? */
static bool is_all_of(struct bus *bus, const struct bp_region *region, uint64_t base,
                      const struct bp_region *who)
{
    const char *at = (const char *)region->ops.registers;
    const struct bp_register *reg;
    bool is = base != BP_UNMAPPED;

    while (is && (reg = next_posted(region, &at)))
        is = bus_answers(bus, base + reg->offset) == who;
    return is;
}

static void follow(const struct posted_list *list, struct bus *bus, struct posted_region *p)
{
    uint64_t base = bus_place_of(p->region);

    if (is_all_of(bus, p->region, base, p->region))
        move(list, p, base);
    else if (base != BP_UNMAPPED || !is_all_of(bus, p->region, p->at, NULL))
        move(list, p, BP_UNMAPPED);
}

void posted_moved(struct bp_machine *m, const struct bp_region *region)
{
    struct posted_list *list = m->posted;

    if (!list || region->space != BP_SPACE_MMIO)
        return;
    pthread_mutex_lock(&list->lock);
    if (has_posted(region) && !has(list, region))
        append(list, region);
    for (uint32_t i = 0; i < list->count; i++)
        follow(list, m->bus, &list->regions[i]);
    pthread_mutex_unlock(&list->lock);
}

void posted_release(const struct bp_node *node)
{
    struct posted_list *list = node->machine->posted;

    if (!list)
        return;
    pthread_mutex_lock(&list->lock);
    for (uint32_t i = 0; i < list->count;) {
        struct posted_region *p = &list->regions[i];
        if (p->region->owner != node) {
            i++;
            continue;
        }
        move(list, p, BP_UNMAPPED);
        *p = list->regions[--list->count];
    }
    pthread_mutex_unlock(&list->lock);
}

/* ---- what waits ---------------------------------------------------------------------------------
 */

static void write_one(void *context, uint64_t gpa, uint64_t value, uint32_t width)
{
    struct posted_turn *turn = context;

    bus_write(&turn->reader, BP_SPACE_MMIO, gpa, value, width);
}

static void before_turn(void *context)
{
    struct posted_turn *turn = context;

    turn->list->ops.deliver(turn->list->vm, write_one, turn);
}

static void add_turn(struct bp_machine *m, struct loop *loop)
{
    struct posted_turn *turn = &m->posted->turns[m->posted->turn_count++];

    turn->list = m->posted;
    bus_reader_init(&turn->reader, m->bus);
    loop_before_turns(loop, before_turn, turn);
}

int posted_init(struct bp_machine *m)
{
    const void *ops = m->cpu_model->cpu.extension(m->vm, BP_POSTED_ID);
    uint32_t loops = 1 + m->domain_count;
    struct error why;
    int err;

    if (!ops || m->stepped) /* what a step writes has arrived when it is over */
        return 0;
    m->posted = calloc(1, sizeof(*m->posted) + loops * sizeof(struct posted_turn));
    if (!m->posted)
        return -ENOMEM;
    pthread_mutex_init(&m->posted->lock, NULL);
    m->posted->vm = m->vm;
    err = normalise(&m->posted->ops, interface_find(BP_POSTED_ID)->table, ops, &why);
    if (err) {
        machine_log(m, BP_LOG_ERROR, "%s offers a broken " BP_POSTED_ID ": %s",
                    m->cpu_model->plugin->name, why.text);
        return err;
    }
    add_turn(m, m->loop);
    for (uint32_t i = 0; i < m->domain_count; i++)
        if (m->domain_loops[i])
            add_turn(m, m->domain_loops[i]);
    return 0;
}

void posted_free(struct bp_machine *m)
{
    struct posted_list *list = m->posted;

    if (!list)
        return;
    for (uint32_t i = 0; i < list->turn_count; i++)
        bus_reader_exit(&list->turns[i].reader);
    pthread_mutex_destroy(&list->lock);
    free(list->regions);
    free(list);
    m->posted = NULL;
}
