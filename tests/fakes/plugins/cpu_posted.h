/* SPDX-License-Identifier: MIT
 *
 * fakes/plugins/cpu_posted.h - the queue of cpu_fake.c's "bp.posted/1": ranges, and the writes to
 * them that wait. Both are few, so that tests come to their ends.
 */
#ifndef FAKES_PLUGINS_CPU_POSTED_H
#define FAKES_PLUGINS_CPU_POSTED_H

#include <errno.h>
#include <pthread.h>
#include <stdint.h>

#define POSTED_MAX 8u

struct posted_entry {
    uint64_t gpa, value;
    uint32_t width;
};

/* Of one lock, which is held while writes are handed over. */
struct posted {
    pthread_mutex_t lock;
    uint64_t gpa[POSTED_MAX], length[POSTED_MAX]; /* 0: none */
    uint32_t count;                               /* of writes that wait */
    struct posted_entry writes[POSTED_MAX];
};

static inline void posted_init(struct posted *p)
{
    pthread_mutex_init(&p->lock, NULL);
}

static inline void posted_exit(struct posted *p)
{
    pthread_mutex_destroy(&p->lock);
}

/* As bp_cpu_posted.post. */
static inline int posted_range(struct posted *p, uint64_t gpa, uint64_t length, uint32_t on)
{
    int err = on ? -ENOSPC : -ENOENT;

    pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < POSTED_MAX && err; i++) {
        if (on ? p->length[i] != 0 : p->gpa[i] != gpa || p->length[i] != length)
            continue;
        p->gpa[i] = gpa;
        p->length[i] = on ? length : 0;
        err = 0;
    }
    pthread_mutex_unlock(&p->lock);
    return err;
}

/* As bp_cpu_posted.deliver. */
static inline void posted_hand_over(struct posted *p,
                                    void (*write)(void *context, uint64_t gpa, uint64_t value,
                                                  uint32_t width),
                                    void *context)
{
    pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < p->count; i++)
        write(context, p->writes[i].gpa, p->writes[i].value, p->writes[i].width);
    p->count = 0;
    pthread_mutex_unlock(&p->lock);
}

static inline int posted_has(const struct posted *p, uint64_t gpa, uint32_t width)
{
    for (uint32_t i = 0; i < POSTED_MAX; i++)
        if (gpa >= p->gpa[i] && gpa + width <= p->gpa[i] + p->length[i])
            return 1;
    return 0;
}

/* Puts the write into the queue, if it may wait and there is room. */
static inline int posted_write(struct posted *p, uint64_t gpa, uint64_t value, uint32_t width)
{
    int waits;

    pthread_mutex_lock(&p->lock);
    waits = p->count < POSTED_MAX && posted_has(p, gpa, width);
    if (waits)
        p->writes[p->count++] = (struct posted_entry){gpa, value, width};
    pthread_mutex_unlock(&p->lock);
    return waits;
}

static inline uint32_t posted_ranges(struct posted *p)
{
    uint32_t count = 0;

    pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < POSTED_MAX; i++)
        count += p->length[i] != 0;
    pthread_mutex_unlock(&p->lock);
    return count;
}

#endif
