/* SPDX-License-Identifier: MIT
 *
 * loop/thread.h - threads of the core: named, and deaf to signals, which are the embedding
 * program's; but for those of a fault of their own, which can go nowhere else.
 */
#ifndef LOOP_THREAD_H
#define LOOP_THREAD_H

#include <pthread.h>

/* Starts `run(argument)`; `name` is cut to 15 characters. 0 or -errno. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument);

#endif
