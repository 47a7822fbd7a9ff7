/* SPDX-License-Identifier: MIT
 *
 * fakes/guest.c - what a test does to the instance in the guest's, the loop's and time's place.
 */
#include "fakes/host_private.h"

#include <backplane/ext/dma_invalidate.h>

void fake_enter(struct fake_host *h)
{
    if (!h->running)
        fake_fail("a callback while the instance is stopped");
    h->depth++;
}

void fake_leave(struct fake_host *h)
{
    h->depth--;
    if (!h->depth && h->map_count && !h->ops.extension(h->self, BP_DMA_INVALIDATE_ID))
        fake_fail("a dma_map() outlived its callback");
}

/* ---- the guest ----------------------------------------------------------------------------------
 */

static struct bp_region *find_region(struct fake_host *h, uint32_t space, uint64_t address)
{
    struct bp_region *bar = NULL;

    for (unsigned i = 0; i < h->region_count; i++) {
        struct bp_region *r = &h->regions[i];

        if (r->space != space || r->base == BP_UNMAPPED || address < r->base ||
            address - r->base >= r->length)
            continue;
        if (!r->is_bar)
            return r;
        if (!bar || r->serial < bar->serial)
            bar = r;
    }
    return bar;
}

/* One piece of an access: `len` bytes at `offset` of a region lie in one aligned access of `width`.
 */
struct piece {
    uint64_t offset; /* of the aligned access */
    uint32_t width, skip, len;
};

static struct piece first_piece(const struct bp_region *r, uint64_t offset, uint32_t left)
{
    uint32_t width = r->ops->max_access;
    struct piece p;

    while (width > 1 && (width > left || offset % width))
        width /= 2;
    p.width = width < r->ops->min_access ? r->ops->min_access : width;
    p.offset = offset - offset % p.width;
    p.skip = (uint32_t)(offset - p.offset);
    p.len = p.width - p.skip < left ? p.width - p.skip : left;
    return p;
}

static uint64_t mask(uint32_t bytes)
{
    return bytes < 8 ? (UINT64_C(1) << (8 * bytes)) - 1 : UINT64_MAX;
}

/* Up to `left` bytes at `address`; returns how many. A NULL `in` reads to *out. */
static uint32_t access_piece(struct fake_host *h, uint32_t space, uint64_t address, uint32_t left,
                             const uint64_t *in, uint64_t *out)
{
    struct bp_region *r = find_region(h, space, address);
    struct piece p;

    *out = 0xff;
    if (!r || r->ram) {
        uint8_t *byte = r ? r->ram + (address - r->base) : NULL;

        if (!r && space == BP_SPACE_MMIO && fake_in_ram(address, 1))
            byte = h->ram + address;
        if (byte && !in)
            *out = *byte;
        else if (byte && !(r && (r->flags & BP_RAM_READONLY)))
            *byte = (uint8_t)*in;
        return 1;
    }
    p = first_piece(r, address - r->base, left);
    if (in && fake_ring(h, r, p.offset, (*in & mask(p.len)) << (8 * p.skip), p.width))
        return p.len;
    fake_enter(h);
    if (in)
        r->ops->write(r->self, p.offset, (*in & mask(p.len)) << (8 * p.skip), p.width);
    else
        *out = (r->ops->read(r->self, p.offset, p.width) >> (8 * p.skip)) & mask(p.len);
    fake_leave(h);
    return p.len;
}

uint64_t fake_read(struct fake_host *h, uint32_t space, uint64_t address, uint32_t width)
{
    uint64_t value = 0, part;
    uint32_t done = 0;

    assert_true(width >= 1 && width <= 8);
    while (done < width) {
        uint32_t n = access_piece(h, space, address + done, width - done, NULL, &part);

        value |= part << (8 * done);
        done += n;
    }
    return value;
}

void fake_write(struct fake_host *h, uint32_t space, uint64_t address, uint64_t value,
                uint32_t width)
{
    uint64_t unused;
    uint32_t done = 0;

    assert_true(width >= 1 && width <= 8);
    while (done < width) {
        uint64_t rest = value >> (8 * done);

        done += access_piece(h, space, address + done, width - done, &rest, &unused);
    }
}

uint8_t *fake_ram(struct fake_host *h)
{
    return h->ram;
}

uint32_t fake_irq_level(struct fake_host *h, uint32_t line)
{
    return h->irq[line];
}

uint32_t fake_irq_edges(struct fake_host *h, uint32_t line)
{
    uint32_t edges = h->edges[line];

    h->edges[line] = 0;
    return edges;
}

unsigned fake_msis(struct fake_host *h, uint64_t *address, uint32_t *data)
{
    unsigned count = h->msi_count;

    if (address)
        *address = h->msi_address;
    if (data)
        *data = h->msi_data;
    h->msi_count = 0;
    return count;
}

/* ---- time and events
 * ----------------------------------------------------------------------------- */

void fake_advance_ns(struct fake_host *h, uint64_t ns)
{
    uint64_t end = h->now_ns + ns;

    for (unsigned calls = 0;; calls++) {
        uint32_t next = 0;

        for (uint32_t i = 1; i < TIMERS_MAX; i++)
            if (h->timers[i] < h->timers[next])
                next = i;
        if (h->timers[next] == UINT64_MAX || h->timers[next] > end)
            break;
        if (calls > 1000000)
            fake_fail("timer %u never lets time pass", next);
        if (h->timers[next] > h->now_ns) {
            h->utc_ns += h->timers[next] - h->now_ns;
            h->now_ns = h->timers[next];
        }
        h->timers[next] = UINT64_MAX;
        fake_enter(h);
        h->ops.timer(h->self, next);
        fake_leave(h);
    }
    h->utc_ns += end - h->now_ns;
    h->now_ns = end;
}

void fake_set_utc_ns(struct fake_host *h, uint64_t ns)
{
    h->utc_ns = ns;
}

uint64_t fake_now_ns(struct fake_host *h)
{
    return h->now_ns;
}

uint64_t fake_timer_ns(struct fake_host *h, uint32_t id)
{
    return id < TIMERS_MAX ? h->timers[id] : UINT64_MAX;
}

void fake_poll_late(struct fake_host *h)
{
    for (unsigned i = 0; i < WATCHES_MAX; i++) {
        struct watch *w = &h->watches[i];

        if (!w->events)
            continue;
        fake_enter(h);
        w->ready(w->self, w->fd, w->events);
        fake_leave(h);
    }
}

unsigned fake_poll(struct fake_host *h, int timeout_ms)
{
    struct epoll_event events[WATCHES_MAX];
    uint32_t generations[WATCHES_MAX];
    unsigned calls = 0;
    int n;

    fake_advance_ns(h, 0);
    for (unsigned i = 0; i < WATCHES_MAX; i++) {
        if (h->watches[i].events && fcntl(h->watches[i].fd, F_GETFD) < 0)
            fake_fail("fd %d was closed before its watch was removed", h->watches[i].fd);
        generations[i] = h->watches[i].generation;
    }
    n = epoll_wait(h->epoll, events, WATCHES_MAX, timeout_ms);
    for (int i = 0; i < n; i++) {
        struct watch *w = &h->watches[events[i].data.u32];
        uint32_t ready = (events[i].events & EPOLLIN ? BP_FD_READ : 0) |
                         (events[i].events & EPOLLOUT ? BP_FD_WRITE : 0) |
                         (events[i].events & (EPOLLHUP | EPOLLERR) ? BP_FD_HANGUP : 0);

        if (!w->events || w->generation != generations[w - h->watches])
            continue; /* removed or replaced by an earlier callback */
        fake_enter(h);
        w->ready(w->self, w->fd, ready);
        fake_leave(h);
        calls++;
    }
    return calls;
}

uint32_t fake_request(struct fake_host *h, uint32_t *code)
{
    uint32_t what = h->request;

    if (code)
        *code = h->request_code;
    h->request = 0;
    h->request_code = 0;
    return what;
}

const char *fake_log(struct fake_host *h, uint32_t *level)
{
    pthread_mutex_lock(&h->log_lock);
    if (level)
        *level = h->log_level;
    memcpy(h->log_seen, h->log, sizeof(h->log));
    pthread_mutex_unlock(&h->log_lock);
    return h->log_seen;
}

unsigned fake_log_count(struct fake_host *h)
{
    unsigned count;

    pthread_mutex_lock(&h->log_lock);
    count = h->log_count;
    pthread_mutex_unlock(&h->log_lock);
    return count;
}

const char *fake_failure(void)
{
    return fake_failure_text;
}
