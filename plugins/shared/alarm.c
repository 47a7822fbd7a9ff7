/* SPDX-License-Identifier: MIT
 *
 * shared/alarm.c - see alarm.h.
 */
#include <shared/alarm.h>

#include <shared/condition.h>

/* While guest time stands still the deadline does not come nearer. */
#define STANDS_POLL_NS 1000000000ull
#define LONGEST_NS 1000000000ull

static void *alarm_thread(void *context)
{
    struct alarm *a = context;

    pthread_mutex_lock(&a->lock);
    while (!a->ends) {
        /* From here on who has an earlier deadline must come and tell. */
        __atomic_store_n(&a->wake_ns, UINT64_MAX, __ATOMIC_SEQ_CST);
        uint64_t now = a->now_ns(a->context);
        uint64_t next = a->due(a->context, now);
        __atomic_store_n(&a->wake_ns, next, __ATOMIC_SEQ_CST);
        if (a->due(a->context, now) < next)
            continue;
        if (next == UINT64_MAX) {
            pthread_cond_wait(&a->changed, &a->lock);
            continue;
        }
        uint64_t left = a->stands ? STANDS_POLL_NS : next - now;
        condition_wait_ns(&a->changed, &a->lock, left < LONGEST_NS ? left : LONGEST_NS);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

void alarm_init(struct alarm *a, uint64_t (*now_ns)(void *context),
                uint64_t (*due)(void *context, uint64_t now_ns), void *context)
{
    *a = (struct alarm){.wake_ns = UINT64_MAX, .now_ns = now_ns, .due = due, .context = context};
    pthread_mutex_init(&a->lock, NULL);
    condition_init(&a->changed);
}

int alarm_start(struct alarm *a)
{
    int err = pthread_create(&a->thread, NULL, alarm_thread, a);

    a->runs = err == 0;
    return -err;
}

void alarm_stop(struct alarm *a)
{
    if (!a->runs)
        return;
    pthread_mutex_lock(&a->lock);
    a->ends = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    a->runs = false;
}

void alarm_destroy(struct alarm *a)
{
    alarm_stop(a);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
}

void alarm_stand(struct alarm *a, bool stands)
{
    pthread_mutex_lock(&a->lock);
    a->stands = stands;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

void alarm_wake(struct alarm *a)
{
    pthread_mutex_lock(&a->lock);
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}
