/* SPDX-License-Identifier: MIT
 *
 * image/ranges.c - a list in order of arrival. It is as long as there are requests in flight, so
 * that a list will do.
 */
#include "ranges.h"

#include <errno.h>

int ranges_init(struct ranges *r)
{
    int err = pthread_mutex_init(&r->lock, NULL);

    if (err)
        return -err;
    err = pthread_cond_init(&r->left, NULL);
    if (err) {
        pthread_mutex_destroy(&r->lock);
        return -err;
    }
    r->head.next = r->head.prev = &r->head;
    r->waiters = 0;
    return 0;
}

void ranges_end(struct ranges *r)
{
    pthread_cond_destroy(&r->left);
    pthread_mutex_destroy(&r->lock);
}

static void insert(struct ranges *r, struct range *range, uint64_t first, uint64_t last,
                   int exclusive)
{
    range->first = first;
    range->last = last;
    range->exclusive = exclusive != 0;
    range->next = &r->head;
    range->prev = r->head.prev;
    range->prev->next = range;
    r->head.prev = range;
}

static void take_out(struct range *range)
{
    range->prev->next = range->next;
    range->next->prev = range->prev;
}

static int is_in_the_way(const struct ranges *r, const struct range *range)
{
    for (const struct range *at = r->head.next; at != range; at = at->next)
        if (at->first <= range->last && range->first <= at->last &&
            (at->exclusive || range->exclusive))
            return 1;
    return 0;
}

void ranges_enter(struct ranges *r, struct range *range, uint64_t first, uint64_t last,
                  int exclusive)
{
    pthread_mutex_lock(&r->lock);
    insert(r, range, first, last, exclusive);
    r->waiters++;
    while (is_in_the_way(r, range))
        pthread_cond_wait(&r->left, &r->lock);
    r->waiters--;
    pthread_mutex_unlock(&r->lock);
}

int ranges_try(struct ranges *r, struct range *range, uint64_t first, uint64_t last)
{
    int err = 0;

    pthread_mutex_lock(&r->lock);
    insert(r, range, first, last, 0);
    if (is_in_the_way(r, range)) {
        take_out(range);
        err = -EAGAIN;
    }
    pthread_mutex_unlock(&r->lock);
    return err;
}

void ranges_leave(struct ranges *r, struct range *range)
{
    pthread_mutex_lock(&r->lock);
    take_out(range);
    if (r->waiters)
        pthread_cond_broadcast(&r->left);
    pthread_mutex_unlock(&r->lock);
}
