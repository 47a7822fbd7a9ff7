/* SPDX-License-Identifier: MIT
 *
 * shared/condition.h - condition variables that are waited on for a while of real time, by a clock
 * that nobody sets.
 */
#ifndef SHARED_CONDITION_H
#define SHARED_CONDITION_H

#include <pthread.h>
#include <stdint.h>

/* To be destroyed by pthread_cond_destroy(). */
void condition_init(pthread_cond_t *condition);
/* Waits under `lock`, which is held, `ns` nanoseconds at most; it may end earlier, as any such
 * wait. */
void condition_wait_ns(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t ns);

#endif
