/* SPDX-License-Identifier: MIT
 *
 * engine/engine.c - what the vCPUs of one machine share: its life.
 */
#include "engine.h"

#include "decode/build.h"
#include "remote.h"

#include <errno.h>
#include <stdlib.h>

int engine_create(const struct engine_user *user, uint64_t tsc_hz, uint32_t cpus,
                  struct engine **out)
{
    struct engine *e = calloc(1, sizeof(*e));
    int err = -ENOMEM;

    if (!e)
        return err;
    e->user = *user;
    e->tsc_hz = tsc_hz;
    e->cpu_max = cpus;
    pthread_mutex_init(&e->lock, NULL);
    pthread_mutex_init(&e->split_lock, NULL);
    e->cpus = calloc(cpus, sizeof(struct cpu *));
    e->emitters = emit_table_new();
    if (e->cpus && e->emitters)
        err = remote_create(e);
    if (err) {
        engine_destroy(e);
        return err;
    }
    *out = e;
    return 0;
}

void engine_destroy(struct engine *e)
{
    if (e->remote)
        remote_destroy(e);
    for (uint32_t i = 0; i < MEMORY_SLOTS; i++) {
        free(e->slots[i].code);
        free(e->slots[i].kept);
    }
    emit_table_free(e->emitters);
    free(e->cpus);
    pthread_mutex_destroy(&e->split_lock);
    pthread_mutex_destroy(&e->lock);
    free(e);
}
