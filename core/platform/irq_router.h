/* SPDX-License-Identifier: MIT
 *
 * platform/irq_router.h - interrupt lines between devices and the interrupt controller. A line is
 * wired-or: up while any instance holds it up, without their knowing of each other.
 */
#ifndef PLATFORM_IRQ_ROUTER_H
#define PLATFORM_IRQ_ROUTER_H

#include <pthread.h>
#include <stdint.h>

#define IRQ_LINES 64u

/* Where a line ends: an interrupt controller. Called under the line's lock; calls nothing back.
 * [any] */
typedef void irq_sink(void *context, uint32_t line, uint32_t level);

struct irq_line {
    pthread_mutex_t lock;
    uint32_t holders; /* instances that hold it up */
    uint32_t reserved;
    irq_sink *sink; /* the router's; NULL: levels are kept, nobody is told */
};

struct irq_router {
    struct irq_line lines[IRQ_LINES];
    void *context; /* of the lines' sink */
};

/* What one instance holds up: a bit a line. Its own, zeroed at first. */
struct irq_source {
    uint64_t levels; /* atomic */
};

void irq_router_init(struct irq_router *router);
void irq_router_exit(struct irq_router *router);
/* Connects the controller and tells it every line that is up, or ends that (NULL). Lines may be set
 * meanwhile. [main] */
void irq_router_connect(struct irq_router *router, irq_sink *sink, void *context);
/* Sets the source's level on `line`; free if it has it already; lines from IRQ_LINES on go nowhere.
 * [any] */
void irq_router_set(struct irq_router *router, struct irq_source *source, uint32_t line,
                    uint32_t level);
/* Lets go of every line that the source holds. [any] */
void irq_router_release(struct irq_router *router, struct irq_source *source);

#endif
