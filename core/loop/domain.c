/* SPDX-License-Identifier: MIT
 *
 * loop/domain.c - where a lock domain is not free: a mutex on a futex, as in Drepper's "Futexes Are
 * Tricky", section 5. Where there are no futexes a condition variable stands in for them: what it
 * sleeps on is still the word, so the quick halves in the header are the same.
 */
#include "loop/domain.h"

#include <stdlib.h>
#if defined(__linux__) && !defined(BACKPLANE_PORTABLE)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <pthread.h>
#endif

#define SPINS                                                                                      \
    200 /* some microseconds: longer than a callback, shorter than sleeping and waking             \
         */

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Whoever slept once says so for good, by 2: it cannot know whether others sleep too. */
static inline int taken(struct domain *d)
{
    return __atomic_exchange_n(&d->word, 2, __ATOMIC_ACQUIRE) == 0;
}

#if defined(__linux__) && !defined(BACKPLANE_PORTABLE)
struct domain *domain_new(void)
{
    return calloc(1, sizeof(struct domain));
}

void domain_free(struct domain *d)
{
    free(d);
}

static void sleep_until_taken(struct domain *d)
{
    while (!taken(d))
        syscall(SYS_futex, &d->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void domain_wake(struct domain *d)
{
    syscall(SYS_futex, &d->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
#else
struct sleeping_domain {
    struct domain domain; /* first: it is what others point to */
    pthread_mutex_t lock;
    pthread_cond_t left;
};

struct domain *domain_new(void)
{
    struct sleeping_domain *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->left, NULL);
    return &s->domain;
}

void domain_free(struct domain *d)
{
    struct sleeping_domain *s = (struct sleeping_domain *)d;

    if (!s)
        return;
    pthread_cond_destroy(&s->left);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* The lock is held from the look at the word until the sleep, so that no wake falls between. */
static void sleep_until_taken(struct domain *d)
{
    struct sleeping_domain *s = (struct sleeping_domain *)d;

    pthread_mutex_lock(&s->lock);
    while (!taken(d))
        pthread_cond_wait(&s->left, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

void domain_wake(struct domain *d)
{
    struct sleeping_domain *s = (struct sleeping_domain *)d;

    pthread_mutex_lock(&s->lock);
    pthread_cond_signal(&s->left);
    pthread_mutex_unlock(&s->lock);
}
#endif

void domain_wait(struct domain *d)
{
    for (int i = 0; i < SPINS; i++) {
        uint32_t free_word = 0;
        if (!__atomic_load_n(&d->word, __ATOMIC_RELAXED) &&
            __atomic_compare_exchange_n(&d->word, &free_word, 1, 0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return;
        relax();
    }
    sleep_until_taken(d);
}
