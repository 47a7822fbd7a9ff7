/* SPDX-License-Identifier: MIT
 *
 * shared/condition.c - see condition.h.
 */
#include <shared/condition.h>

#include <time.h>

#define NS 1000000000u

#ifdef __APPLE__
/* Darwin's condition variables know no monotonic clock, but distances. */
void condition_init(pthread_cond_t *condition)
{
    pthread_cond_init(condition, NULL);
}

void condition_wait_ns(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / NS), .tv_nsec = (long)(ns % NS)};

    pthread_cond_timedwait_relative_np(condition, lock, &t);
}
#else
void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

void condition_wait_ns(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t ns)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    ns += (uint64_t)t.tv_nsec;
    t.tv_sec += (time_t)(ns / NS);
    t.tv_nsec = (long)(ns % NS);
    pthread_cond_timedwait(condition, lock, &t);
}
#endif
