/* SPDX-License-Identifier: MIT
 *
 * loop/domain.h - lock domains: one a device together with its backends, so that their authors
 * write single-threaded code.
 *
 * Lock order: a domain, then the core's leaf locks. No thread holds two domains.
 *
 * Every access to a device takes its domain, nearly always free. So the lock is a word: 0 free, 1
 * held, 2 held and somebody may sleep. Taking and leaving a free one are an atomic instruction
 * each; who finds it held spins a little, as callbacks are short, and then sleeps.
 */
#ifndef LOOP_DOMAIN_H
#define LOOP_DOMAIN_H

#include <stdint.h>

struct domain {
    uint32_t word; /* atomic */
};

/* NULL: out of memory. */
struct domain *domain_new(void);
/* Nobody is inside. NULL is allowed. */
void domain_free(struct domain *d);

/* The slow halves of the two below. */
void domain_wait(struct domain *d);
void domain_wake(struct domain *d);

/* Waits for whoever is inside. Not recursive. */
static inline void domain_enter(struct domain *d)
{
    uint32_t free_word = 0;

    if (__builtin_expect(!__atomic_compare_exchange_n(&d->word, &free_word, 1, 0, __ATOMIC_ACQUIRE,
                                                      __ATOMIC_RELAXED),
                         0))
        domain_wait(d);
}

static inline void domain_leave(struct domain *d)
{
    if (__builtin_expect(__atomic_exchange_n(&d->word, 0, __ATOMIC_RELEASE) == 2, 0))
        domain_wake(d);
}

#endif
