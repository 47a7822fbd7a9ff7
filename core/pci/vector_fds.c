/* SPDX-License-Identifier: MIT
 *
 * pci/vector_fds.c - eventfds that stand for vectors: the backend's while their message may be
 * sent, the loop's otherwise.
 *
 * A write that comes while an fd changes hands stays in its counter, where whoever has it next
 * looks first. All of it belongs to the device's domain.
 */
#include "pci/function.h"

#include <errno.h>
#include <unistd.h>

static bool find(const struct bp_pci_function *f, int fd, uint32_t *vector)
{
    for (uint32_t i = 0; i < f->vector_count; i++) {
        if (f->vectors[i].fd == fd) {
            *vector = i;
            return true;
        }
    }
    return false;
}

static void ready(void *self, int fd, uint32_t events)
{
    struct bp_pci_function *f = self;
    uint64_t count;
    uint32_t vector;

    (void)events;
    if (read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count) && find(f, fd, &vector))
        pci_notify(f, vector);
}

static int watch(struct bp_pci_function *f, struct pci_vector *v, bool on)
{
    const struct pci_services *s = f->services;

    return s->fd_watch(s->context, f->node, v->fd, on ? ready : NULL, f);
}

/* Gives the fd, if there is one, to whom it belongs now. */
static void hand_over(struct bp_pci_function *f, struct pci_vector *v, bool open, uint64_t address,
                      uint32_t data)
{
    const struct pci_services *s = f->services;

    if (v->fd < 0 || (open && v->routed && v->routed_address == address && v->routed_data == data))
        return;
    if (open) {
        if (!v->routed)
            watch(f, v, false);
        if (!s->fd_route(s->context, f->node, v->fd, address, data)) {
            v->routed = true;
            v->routed_address = address;
            v->routed_data = data;
            return;
        }
        if (!v->routed)
            watch(f, v, true);
    }
    if (v->routed) {
        s->fd_unroute(s->context, f->node, v->fd);
        v->routed = false;
        watch(f, v, true);
    }
}

/* What the message of a vector is; false if none may be sent by the backend on its own. */
static bool look(struct bp_pci_function *f, uint32_t vector, uint64_t *address, uint32_t *data,
                 bool *masked)
{
    bool open;

    *address = 0;
    *data = 0;
    pthread_mutex_lock(&f->lock);
    *masked = !pci_message_of(f, vector, address, data);
    open = !*masked && f->master;
    pthread_mutex_unlock(&f->lock);
    return open;
}

void pci_vectors_follow(struct bp_pci_function *f, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i - first < count && i < f->vector_count; i++) {
        struct pci_vector *v = &f->vectors[i];
        uint64_t address;
        uint32_t data;
        bool masked, open = look(f, i, &address, &data, &masked);

        hand_over(f, v, open, address, data);
        if (masked == v->masked)
            continue;
        v->masked = masked;
        if (f->ops.vector_masked)
            f->ops.vector_masked(f->self, i, masked);
    }
}

static void end(struct bp_pci_function *f, struct pci_vector *v)
{
    const struct pci_services *s = f->services;

    if (v->fd >= 0 && v->routed)
        s->fd_unroute(s->context, f->node, v->fd);
    else if (v->fd >= 0)
        watch(f, v, false);
    v->fd = -1;
    v->routed = false;
}

int pci_vector_fd(struct bp_pci_function *f, uint32_t vector, int fd)
{
    uint32_t other;
    uint64_t address;
    uint32_t data;
    bool masked;

    if (vector >= f->vector_count)
        return -EINVAL;
    struct pci_vector *v = &f->vectors[vector];
    if (fd >= 0 && find(f, fd, &other) && other != vector)
        return -EBUSY;
    if (fd == v->fd)
        return 0;
    end(f, v);
    if (fd < 0)
        return 0;
    v->fd = fd;
    int err = watch(f, v, true);
    if (err) {
        v->fd = -1;
        return err;
    }
    if (look(f, vector, &address, &data, &masked))
        hand_over(f, v, true, address, data);
    return 0;
}

void pci_vector_fds_end(struct bp_pci_function *f)
{
    for (uint32_t i = 0; i < f->vector_count; i++)
        end(f, &f->vectors[i]);
}
