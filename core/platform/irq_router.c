/* SPDX-License-Identifier: MIT
 *
 * platform/irq_router.c - wired-or interrupt lines.
 */
#include "platform/irq_router.h"

void irq_router_init(struct irq_router *router)
{
    *router = (struct irq_router){0};
    for (uint32_t i = 0; i < IRQ_LINES; i++)
        pthread_mutex_init(&router->lines[i].lock, NULL);
}

void irq_router_exit(struct irq_router *router)
{
    for (uint32_t i = 0; i < IRQ_LINES; i++)
        pthread_mutex_destroy(&router->lines[i].lock);
}

void irq_router_connect(struct irq_router *router, irq_sink *sink, void *context)
{
    if (sink)
        router->context = context; /* of the old one until nobody is in it */
    for (uint32_t i = 0; i < IRQ_LINES; i++) {
        struct irq_line *l = &router->lines[i];
        pthread_mutex_lock(&l->lock);
        l->sink = sink;
        if (sink && l->holders)
            sink(context, i, 1);
        pthread_mutex_unlock(&l->lock);
    }
}

void irq_router_set(struct irq_router *router, struct irq_source *source, uint32_t line,
                    uint32_t level)
{
    if (line >= IRQ_LINES)
        return;
    uint64_t bit = 1ull << line, want = level ? bit : 0;
    if ((__atomic_load_n(&source->levels, __ATOMIC_ACQUIRE) & bit) == want)
        return;
    struct irq_line *l = &router->lines[line];
    pthread_mutex_lock(&l->lock);
    if ((__atomic_load_n(&source->levels, __ATOMIC_RELAXED) & bit) != want) {
        __atomic_fetch_xor(&source->levels, bit, __ATOMIC_RELEASE);
        uint32_t was = l->holders;
        l->holders = level ? was + 1 : was - 1;
        if (l->sink && !was != !l->holders)
            l->sink(router->context, line, level ? 1 : 0);
    }
    pthread_mutex_unlock(&l->lock);
}

void irq_router_release(struct irq_router *router, struct irq_source *source)
{
    for (uint32_t line = 0; line < IRQ_LINES; line++)
        irq_router_set(router, source, line, 0);
}
