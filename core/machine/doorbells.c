/* SPDX-License-Identifier: MIT
 *
 * machine/doorbells.c - "bp.doorbell/1": ioeventfds that follow their region when the guest moves
 * it, and irqfds.
 *
 * Devices speak of regions and offsets, backends of addresses; the list here joins the two.
 */
#include "machine/machine_private.h"

#include <backplane/ext/doorbell.h>
#include <errno.h>
#include <stdlib.h>

struct doorbell {
    struct bp_node *node;
    struct bp_region *region;   /* NULL: an irqfd */
    uint64_t offset, value, at; /* `at`: where the backend has it; BP_UNMAPPED: nowhere */
    uint32_t width;
    int fd;
};

struct doorbell_list {
    pthread_mutex_t lock; /* a leaf lock, but for the backend's own */
    uint32_t count, capacity;
    struct doorbell *bells;
};

static const struct bp_cpu_doorbell *backend(const struct bp_machine *m)
{
    return m->vm ? m->cpu_model->cpu.extension(m->vm, BP_DOORBELL_ID) : NULL;
}

int doorbells_init(struct bp_machine *m)
{
    m->doorbells = calloc(1, sizeof(*m->doorbells));
    if (!m->doorbells)
        return -ENOMEM;
    pthread_mutex_init(&m->doorbells->lock, NULL);
    return 0;
}

void doorbells_free(struct bp_machine *m)
{
    if (!m->doorbells)
        return;
    pthread_mutex_destroy(&m->doorbells->lock);
    free(m->doorbells->bells);
    free(m->doorbells);
    m->doorbells = NULL;
}

/* Tells the backend where the bell is now. Holds the list's lock. */
static int move(const struct bp_machine *m, struct doorbell *d, uint64_t base)
{
    const struct bp_cpu_doorbell *ops = backend(m);
    uint64_t to = base == BP_UNMAPPED ? BP_UNMAPPED : base + d->offset;
    int err = 0;

    if (!ops || to == d->at)
        return 0;
    if (d->at != BP_UNMAPPED)
        ops->ioeventfd(m->vm, d->region->space, d->at, d->width, d->value, d->fd, 0);
    d->at = BP_UNMAPPED;
    if (to != BP_UNMAPPED)
        err = ops->ioeventfd(m->vm, d->region->space, to, d->width, d->value, d->fd, 1);
    if (!err)
        d->at = to;
    return err;
}

static struct doorbell *append(struct doorbell_list *list, const struct doorbell *bell)
{
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? 2 * list->capacity : 16;
        struct doorbell *bells = realloc(list->bells, capacity * sizeof(*bells));
        if (!bells)
            return NULL;
        list->bells = bells;
        list->capacity = capacity;
    }
    list->bells[list->count] = *bell;
    return &list->bells[list->count++];
}

static int ring_fd(struct bp_node *node, struct bp_region *region, uint64_t offset, uint32_t width,
                   uint64_t value, int fd)
{
    struct bp_machine *m = node->machine;
    struct doorbell_list *list = m->doorbells;

    if (region->owner != node || offset >= region->length || (width & (width - 1)) || width > 8 ||
        offset + width > region->length)
        return -EINVAL;
    struct doorbell bell = {.node = node,
                            .region = region,
                            .offset = offset,
                            .value = value,
                            .at = BP_UNMAPPED,
                            .width = width,
                            .fd = fd};
    pthread_mutex_lock(&list->lock);
    struct doorbell *d = append(list, &bell);
    int err = d ? move(m, d, region->base) : -ENOMEM;
    if (d && err)
        list->count--;
    pthread_mutex_unlock(&list->lock);
    return err;
}

static int unring_fd(struct bp_node *node, struct bp_region *region, uint64_t offset,
                     uint32_t width, uint64_t value, int fd)
{
    struct bp_machine *m = node->machine;
    struct doorbell_list *list = m->doorbells;
    int err = -ENOENT;

    pthread_mutex_lock(&list->lock);
    for (uint32_t i = 0; i < list->count && err; i++) {
        struct doorbell *d = &list->bells[i];
        if (d->node == node && d->region == region && d->offset == offset && d->width == width &&
            d->value == value && d->fd == fd) {
            err = move(m, d, BP_UNMAPPED);
            *d = list->bells[--list->count];
        }
    }
    pthread_mutex_unlock(&list->lock);
    return err;
}

static int msi_fd(struct bp_node *node, int fd, uint64_t address, uint32_t data)
{
    struct bp_machine *m = node->machine;
    struct doorbell_list *list = m->doorbells;
    const struct bp_cpu_doorbell *ops = backend(m);

    if (!ops)
        return -ENOTSUP;
    pthread_mutex_lock(&list->lock);
    int err = ops->irqfd(m->vm, fd, address, data, 1);
    bool known = false;
    for (uint32_t i = 0; i < list->count; i++)
        known |= !list->bells[i].region && list->bells[i].fd == fd;
    if (!err && !known) {
        struct doorbell bell = {.node = node, .at = BP_UNMAPPED, .fd = fd};
        if (!append(list, &bell)) {
            ops->irqfd(m->vm, fd, address, data, 0);
            err = -ENOMEM;
        }
    }
    pthread_mutex_unlock(&list->lock);
    return err;
}

static int unmsi_fd(struct bp_node *node, int fd)
{
    struct bp_machine *m = node->machine;
    struct doorbell_list *list = m->doorbells;
    const struct bp_cpu_doorbell *ops = backend(m);
    int err = -ENOENT;

    if (!ops)
        return -ENOTSUP;
    pthread_mutex_lock(&list->lock);
    for (uint32_t i = 0; i < list->count && err; i++) {
        struct doorbell *d = &list->bells[i];
        if (!d->region && d->node == node && d->fd == fd) {
            err = ops->irqfd(m->vm, fd, 0, 0, 0);
            *d = list->bells[--list->count];
        }
    }
    pthread_mutex_unlock(&list->lock);
    return err;
}

void doorbells_moved(struct bp_machine *m, const struct bp_region *region)
{
    struct doorbell_list *list = m->doorbells;

    if (!list)
        return;
    pthread_mutex_lock(&list->lock);
    for (uint32_t i = 0; i < list->count; i++) {
        struct doorbell *d = &list->bells[i];
        if (d->region == region && move(m, d, region->base))
            machine_host.log(d->node, BP_LOG_WARN | BP_LOG_GUEST,
                             "the CPU backend has no doorbell left: notifications are slower");
    }
    pthread_mutex_unlock(&list->lock);
}

void machine_region_moved(struct bp_machine *m, const struct bp_region *region)
{
    doorbells_moved(m, region);
    posted_moved(m, region);
}

void doorbells_release(struct bp_node *node)
{
    struct bp_machine *m = node->machine;
    struct doorbell_list *list = m->doorbells;
    const struct bp_cpu_doorbell *ops = backend(m);

    if (!list)
        return;
    pthread_mutex_lock(&list->lock);
    for (uint32_t i = 0; i < list->count;) {
        struct doorbell *d = &list->bells[i];
        if (d->node != node) {
            i++;
            continue;
        }
        if (d->region)
            move(m, d, BP_UNMAPPED);
        else if (ops)
            ops->irqfd(m->vm, d->fd, 0, 0, 0);
        *d = list->bells[--list->count];
    }
    pthread_mutex_unlock(&list->lock);
}

const struct bp_doorbell machine_doorbell = {
    .size = sizeof(machine_doorbell),
    .ring_fd = ring_fd,
    .unring_fd = unring_fd,
    .msi_fd = msi_fd,
    .unmsi_fd = unmsi_fd,
};
