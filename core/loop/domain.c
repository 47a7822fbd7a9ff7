/* SPDX-License-Identifier: MIT
 *
 * loop/domain.c - where a lock domain is not free: a mutex on a futex, as in Drepper's "Futexes Are
 * Tricky", section 5.
 */
#include "loop/domain.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPINS                                                                                      \
    200 /* some microseconds: longer than a callback, shorter than sleeping and waking             \
         */

struct domain *domain_new(void)
{
    return calloc(1, sizeof(struct domain));
}

void domain_free(struct domain *d)
{
    free(d);
}

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

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
    /* Whoever slept once says so for good: it cannot know whether others sleep too. */
    while (__atomic_exchange_n(&d->word, 2, __ATOMIC_ACQUIRE))
        syscall(SYS_futex, &d->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void domain_wake(struct domain *d)
{
    syscall(SYS_futex, &d->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
