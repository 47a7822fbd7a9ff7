/* SPDX-License-Identifier: MIT
 *
 * dev-pc/irqchip_threads_test.c - the interrupt controllers with a thread for each vCPU and threads
 * of devices: no interrupt is lost, none is delivered twice, and (under ThreadSanitizer) nothing
 * races.
 *
 * It says nothing of speed, and the fake host's regions are not used by threads, as it is not made
 * for that.
 */
#include "chip.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#define VCPUS 4
#define ROUNDS 2000u
#define IPI_VECTOR 0x41
#define DEVICE_VECTOR 0x51
#define LEVEL_VECTOR 0x61
#define STOP_VECTOR 0xf1
#define LEVEL_LINE 20u

/* What the threads share. */
struct run {
    struct chip *c;
    unsigned sent[VCPUS], served[VCPUS]; /* IPIs to each; atomic */
    unsigned device_sent, device_served, level_served;
    uint32_t level_wanted; /* the device has something to be served for */
};

struct worker {
    struct run *run;
    uint32_t vcpu;
    pthread_t thread;
};

static unsigned load(const unsigned *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void add(unsigned *p)
{
    __atomic_fetch_add(p, 1, __ATOMIC_ACQ_REL);
}

static void write_register(struct run *r, uint32_t vcpu, uint32_t offset, uint32_t value)
{
    r->c->ops->mmio_write(r->c->self, vcpu, offset, 4, value);
}

static void serve(struct run *r, uint32_t vcpu, int32_t vector)
{
    if (vector == IPI_VECTOR) {
        add(&r->served[vcpu]);
    } else if (vector == DEVICE_VECTOR) {
        add(&r->device_served);
    } else if (vector == LEVEL_VECTOR) {
        /* The line first: once it counts as served the device raises it again. */
        if (__atomic_exchange_n(&r->level_wanted, 0, __ATOMIC_ACQ_REL))
            r->c->ops->line_set(r->c->self, LEVEL_LINE, 0);
        add(&r->level_served);
    }
}

/* A vCPU: takes what is pending, and sends each IPI only once the one before was served, since an
 * IRR bit holds one. */
static void *vcpu_thread(void *argument)
{
    const struct worker *w = argument;
    struct run *r = w->run;
    const struct bp_irqchip *ops = r->c->ops;
    uint32_t left = ROUNDS, to = (w->vcpu + 1) % VCPUS;
    bool stop = false;

    while (!stop) {
        if (left && load(&r->sent[to]) == load(&r->served[to])) {
            add(&r->sent[to]);
            write_register(r, w->vcpu, ICR2, to << 24);
            write_register(r, w->vcpu, ICR, 0x4000 | IPI_VECTOR);
            left--;
        }
        ops->cr8_set(r->c->self, w->vcpu, left & 3);
        if (!(pending(r->c, w->vcpu) & BP_IRQCHIP_INTR)) {
            sched_yield();
            continue;
        }
        int32_t vector = ops->acknowledge(r->c->self, w->vcpu);
        serve(r, w->vcpu, vector);
        stop = vector == STOP_VECTOR;
        write_register(r, w->vcpu, EOI, 0);
    }
    return NULL;
}

/* True within 30 s. */
static bool wait_for(const unsigned *value, unsigned wanted)
{
    struct timespec end, now;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += 30;
    do {
        if (load(value) == wanted)
            return true;
        sched_yield();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < end.tv_sec);
    return false;
}

/* A device that sends messages to whichever processor is least busy. */
static void *message_thread(void *argument)
{
    struct run *r = argument;

    for (unsigned i = 0; i < ROUNDS; i++) {
        add(&r->device_sent);
        r->c->ops->msi(r->c->self, 0xfeeff00c, 0x100 | DEVICE_VECTOR);
        if (!wait_for(&r->device_served, i + 1))
            break;
    }
    return NULL;
}

/* A device on a level-triggered line, and an edge at the 8259s beside it. */
static void *line_thread(void *argument)
{
    struct run *r = argument;

    for (unsigned i = 0; i < ROUNDS; i++) {
        __atomic_store_n(&r->level_wanted, 1, __ATOMIC_RELEASE);
        r->c->ops->line_set(r->c->self, LEVEL_LINE, 1);
        r->c->ops->line_set(r->c->self, 5, i & 1);
        if (!wait_for(&r->level_served, i + 1))
            break;
    }
    return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
    struct chip *c = chip_new(&chip_defaults, VCPUS);
    struct run r = {.c = c};
    struct worker workers[VCPUS];
    pthread_t messages, lines;

    (void)state;
    pics_init(c, 0x20, 1);
    apic_enable_all(c);
    for (uint32_t i = 0; i < VCPUS; i++) {
        apic_write(c, i, LDR, 1u << (24 + i));
        apic_write(c, i, LVT_LINT0, MASKED);
    }
    rte_write(c, LEVEL_LINE, 0x100 | LEVEL_VECTOR | RTE_LEVEL | RTE_LOGICAL, 0x0f);
    for (uint32_t i = 0; i < VCPUS; i++) {
        workers[i] = (struct worker){.run = &r, .vcpu = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, vcpu_thread, &workers[i]), 0);
    }
    assert_int_equal(pthread_create(&messages, NULL, message_thread, &r), 0);
    assert_int_equal(pthread_create(&lines, NULL, line_thread, &r), 0);
    for (uint32_t i = 0; i < VCPUS; i++)
        assert_true(wait_for(&r.served[i], ROUNDS));
    pthread_join(messages, NULL);
    pthread_join(lines, NULL);
    c->ops->msi(c->self, 0xfeeff000, STOP_VECTOR);
    for (uint32_t i = 0; i < VCPUS; i++)
        pthread_join(workers[i].thread, NULL);
    for (uint32_t i = 0; i < VCPUS; i++) {
        assert_int_equal(r.sent[i], ROUNDS);
        assert_int_equal(r.served[i], ROUNDS);
        assert_int_equal(pending(c, i), 0);
    }
    assert_int_equal(r.device_served, ROUNDS);
    assert_int_equal(r.level_served, ROUNDS);
    assert_true(c->ended & 1u << LEVEL_LINE);
    assert_int_equal(rte(c, LEVEL_LINE) & RTE_REMOTE_IRR, 0);
    chip_free(c);
}

/* ---- the 8259s between threads, with timers ---- */

struct storm {
    struct chip *c;
    uint32_t stop; /* atomic */
};

static void *storm_lines(void *argument)
{
    struct storm *s = argument;

    for (uint32_t i = 0; !__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE); i++) {
        s->c->ops->line_set(s->c->self, i % 24, i / 24 & 1);
        s->c->ops->nmi_set(s->c->self, i & 1);
        s->c->ops->timer_connect(s->c->self, i & 1);
        s->c->ops->msi(s->c->self, 0xfee00000 | i % 5 << 12, 0x30 + i % 0xc0);
    }
    return NULL;
}

static void *storm_expire(void *argument)
{
    struct storm *s = argument;

    for (uint32_t i = 0; !__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE); i++) {
        s->c->ops->expire(s->c->self, i % VCPUS);
        s->c->ops->post(s->c->self, i % VCPUS, 1u << i % 5, i);
        sched_yield();
    }
    return NULL;
}

static void *storm_vcpu(void *argument)
{
    const struct worker *w = argument;
    struct chip *c = w->run->c;
    uint64_t value;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        write_register(w->run, w->vcpu, LVT_TIMER, 0x40000 | 0x40);
        c->ops->msr_write(c->self, w->vcpu, 0x6e0, i & 1 ? 1 : UINT64_MAX);
        c->ops->acknowledge(c->self, w->vcpu);
        c->ops->take(c->self, w->vcpu, UINT32_MAX, NULL);
        write_register(w->run, w->vcpu, EOI, 0);
        write_register(w->run, w->vcpu, ICR, 0xc4000 | 0x50);
        c->ops->mmio_read(c->self, w->vcpu, TIMER_CURRENT, 4, &value);
        deadline(c, w->vcpu);
        if (i % 64 == 0) {
            c->ops->reset(c->self, w->vcpu, BP_IRQCHIP_RESET_INIT);
            write_register(w->run, w->vcpu, SVR, 0x1ff);
            write_register(w->run, w->vcpu, LVT_LINT0, 0x700);
        }
    }
    return NULL;
}

static void a_storm_from_all_sides_ends_in_a_sound_state(void **state)
{
    struct chip *c = chip_new(&chip_defaults, VCPUS);
    struct run r = {.c = c};
    struct storm s = {.c = c};
    struct worker workers[VCPUS];
    pthread_t lines, expire;

    (void)state;
    pics_init(c, 0x20, 3);
    apic_enable_all(c);
    for (uint32_t i = 0; i < 24; i++)
        rte_write(c, i, (0x80 + i) | (i & 1 ? RTE_LEVEL : 0) | (i ? 0 : 0x700), i % VCPUS);
    assert_int_equal(pthread_create(&lines, NULL, storm_lines, &s), 0);
    assert_int_equal(pthread_create(&expire, NULL, storm_expire, &s), 0);
    for (uint32_t i = 0; i < VCPUS; i++) {
        workers[i] = (struct worker){.run = &r, .vcpu = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, storm_vcpu, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < VCPUS; i++)
        pthread_join(workers[i].thread, NULL);
    __atomic_store_n(&s.stop, 1, __ATOMIC_RELEASE);
    pthread_join(lines, NULL);
    pthread_join(expire, NULL);

    for (uint32_t i = 0; i < 24; i++)
        line(c, i, 0);
    for (uint32_t i = 0; i < VCPUS; i++) {
        for (unsigned n = 0; n < 512; n++) { /* 8259s and 240 vectors are soon through */
            if (pending(c, i) & BP_IRQCHIP_INTR)
                inta(c, i);
            apic_write(c, i, EOI, 0);
        }
        c->ops->take(c->self, i, UINT32_MAX, NULL);
        assert_int_equal(pending(c, i), 0);
        assert_int_equal(apic_read(c, i, PPR), 0);
    }
    /* An INIT loses what was in service, and a message may make its vector edge-triggered: then the
     * end is never told, on hardware too, and software makes the input edge-triggered for a moment.
     */
    for (uint32_t i = 16; i < 24; i++) {
        rte_write(c, i, MASKED, 0);
        rte_write(c, i, 0x77 | RTE_LEVEL, 2);
        line(c, i, 1);
        assert_int_equal(inta(c, 2), 0x77);
        line(c, i, 0);
        apic_write(c, 2, EOI, 0);
        assert_int_equal(rte(c, i), 0x77 | RTE_LEVEL);
        assert_int_equal(pending(c, 2), 0);
    }
    chip_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_between_threads),
        cmocka_unit_test(a_storm_from_all_sides_ends_in_a_sound_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
