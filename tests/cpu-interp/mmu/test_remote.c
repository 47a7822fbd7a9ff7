/* SPDX-License-Identifier: MIT
 *
 * What vCPUs want of each other, with threads: protecting pages, dropping code, stopping. Guests
 * here are loops that store through their TLB and look at cpu.pend between two rounds. Best run
 * with the thread sanitizer.
 */
#include "rig.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 300u
#define PAGE 0x456000u
#define PAGES 4u

struct guest {
    struct rig *r;
    struct cpu *c;
    uint32_t *done;   /* atomic */
    uint32_t *rounds; /* atomic: of all guests */
    uint64_t unseen;  /* stores into marked code that nobody was told of */
};

/* Between two blocks. */
static void safe_point(struct cpu *c)
{
    if (__atomic_load_n(&c->pend, __ATOMIC_ACQUIRE) & PEND_REMOTE)
        remote_service(c);
}

/* As st64(), but for the sanitizer: the host's access is atomic. */
static void guest_store(struct cpu *c, uint64_t la, uint64_t value)
{
    const struct tlb_entry *e = tlb_at(c->tlb, la);

    if (tlb_hit(e->wtag, la, 8))
        __atomic_store_n((uint64_t *)tlb_host(e, la), value, __ATOMIC_RELAXED);
    else
        store_slow(c, NULL, la, value, 8);
}

static void *storing_guest(void *context)
{
    struct guest *g = context;

    remote_enter(g->c);
    for (uint64_t n = 1; !__atomic_load_n(g->done, __ATOMIC_ACQUIRE); n++) {
        for (uint32_t k = 0; k < 400; k++)
            guest_store(g->c, PAGE + (n + k) % PAGES * PAGE_SIZE + g->c->index * 8, n);
        safe_point(g->c);
        if (n % 64 == 0) { /* HLT */
            remote_leave(g->c);
            remote_enter(g->c);
        }
    }
    remote_leave(g->c);
    return NULL;
}

/* "Builds a block" of each page in turn: while the marks stand nothing may have been stored. */
static void *building_guest(void *context)
{
    struct guest *g = context;
    struct memory_slot *slot = memory_slot_at(&g->r->e, PAGE);

    remote_enter(g->c);
    for (uint32_t n = 0; n < ROUNDS; n++) {
        uint64_t gpa = PAGE + n % PAGES * PAGE_SIZE, before[RIG_CPUS];
        const uint64_t *code = (const uint64_t *)(void *)(g->r->ram + gpa);
        uint32_t *word = memory_code_word(slot, gpa);
        uint32_t mine = 1u | 2u << g->c->index;

        remote_mark_code(g->c, word, mine, gpa);
        for (uint32_t i = 0; i < RIG_CPUS; i++)
            before[i] = __atomic_load_n(&code[i], __ATOMIC_SEQ_CST);
        for (uint32_t k = 0; k < 50; k++) {
            bool same = true;

            for (uint32_t i = 0; i < RIG_CPUS; i++)
                same &= before[i] == __atomic_load_n(&code[i], __ATOMIC_SEQ_CST);
            if (same)
                continue;
            /* Somebody has stored: he takes the marks away, after the store. */
            for (uint32_t wait = 0; __atomic_load_n(word, __ATOMIC_SEQ_CST) & 1; wait++) {
                if (wait > 10000) {
                    g->unseen++;
                    break;
                }
                usleep(100);
            }
            break;
        }
        __atomic_fetch_and(word, ~mine, __ATOMIC_SEQ_CST);
        safe_point(g->c);
    }
    remote_leave(g->c);
    return NULL;
}

static void no_store_into_marked_code_goes_unseen(void **state)
{
    struct rig *r = rig_create(4);
    struct guest g[4];
    pthread_t thread[4];
    uint32_t done = 0;

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        r->cpu[i]->mode = MODE_PE | MODE_32;
        g[i] = (struct guest){.r = r, .c = r->cpu[i], .done = &done};
        /* Two builders, which also wait for each other, and two that store. */
        assert_int_equal(
            pthread_create(&thread[i], NULL, i < 2 ? building_guest : storing_guest, &g[i]), 0);
    }
    for (uint32_t i = 0; i < 4; i++) {
        if (i == 2)
            __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
        pthread_join(thread[i], NULL);
        assert_int_equal(g[i].unseen, 0);
    }
    rig_destroy(r);
}

struct marker {
    struct cpu *c;
    uint32_t *word;
    uint32_t chunk;
    uint32_t done; /* atomic */
};

static void *marking_guest(void *context)
{
    struct marker *m = context;

    remote_enter(m->c);
    remote_mark_code(m->c, m->word, m->chunk, PAGE);
    __atomic_store_n(&m->done, 1, __ATOMIC_SEQ_CST);
    remote_leave(m->c);
    return NULL;
}

static void who_finds_marks_waits_for_the_one_who_is_still_protecting_the_page(void **state)
{
    struct rig *r = rig_create(3);
    uint32_t *word = memory_code_word(memory_slot_at(&r->e, PAGE), PAGE);
    struct marker m[2] = {{r->cpu[0], word, 1, 0}, {r->cpu[1], word, 2, 0}};
    pthread_t thread[2];

    (void)state;
    /* One that is long in coming to a safe point, and may store meanwhile. */
    remote_enter(r->cpu[2]);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, marking_guest, &m[i]), 0);
        while (!(__atomic_load_n(word, __ATOMIC_SEQ_CST) & m[i].chunk))
            usleep(100);
    }
    usleep(20000);
    assert_int_equal(__atomic_load_n(&m[0].done, __ATOMIC_SEQ_CST), 0);
    assert_int_equal(__atomic_load_n(&m[1].done, __ATOMIC_SEQ_CST), 0);
    remote_service(r->cpu[2]);
    for (uint32_t i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(*word, 3);
    remote_leave(r->cpu[2]);
    rig_destroy(r);
}

static void *map_changer(void *context)
{
    struct guest *g = context;
    struct bp_mem_slot slot = {.size = sizeof(slot),
                               .index = 2,
                               .gpa = 0x20000000,
                               .length = 2 * PAGE_SIZE,
                               .host = aligned_alloc(PAGE_SIZE, 2 * PAGE_SIZE)};
    uint8_t *first = slot.host, *second = aligned_alloc(PAGE_SIZE, 2 * PAGE_SIZE);

    for (uint32_t n = 0; n < ROUNDS; n++) {
        slot.host = n & 1 ? second : first;
        if (engine_memory_set(&g->r->e, &slot))
            g->unseen++;
        /* Nobody has the other one any more. */
        memset(n & 1 ? first : second, 0x33, 2 * PAGE_SIZE);
        engine_code_changed(&g->r->e, 0x20000000, 2 * PAGE_SIZE);
        for (uint32_t i = 0; i < 2 * PAGE_SIZE; i++)
            g->unseen += (n & 1 ? first : second)[i] != 0x33;
        /* The next change comes when somebody stores into this one. */
        uint32_t seen = __atomic_load_n(g->rounds, __ATOMIC_ACQUIRE);
        while (__atomic_load_n(g->rounds, __ATOMIC_ACQUIRE) - seen < 2)
            sched_yield();
    }
    slot.length = 0;
    if (engine_memory_set(&g->r->e, &slot))
        g->unseen++;
    free(first);
    free(second);
    __atomic_store_n(g->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void *mapped_guest(void *context)
{
    struct guest *g = context;

    remote_enter(g->c);
    while (!__atomic_load_n(g->done, __ATOMIC_ACQUIRE)) {
        for (uint32_t k = 0; k < 3000; k++)
            guest_store(g->c, 0x20000000 + k % 2 * PAGE_SIZE + g->c->index * 8, k);
        __atomic_fetch_add(g->rounds, 1, __ATOMIC_RELEASE);
        safe_point(g->c);
    }
    remote_leave(g->c);
    return NULL;
}

static void in_bus_nothing(struct rig *r, struct cpu *c)
{
    (void)r, (void)c;
}

static void a_slot_that_was_replaced_is_never_touched_again(void **state)
{
    struct rig *r = rig_create(3);
    struct guest g[4];
    pthread_t thread[4];
    uint32_t done = 0, rounds = 0;

    (void)state;
    r->in_bus = in_bus_nothing;
    for (uint32_t i = 0; i < 4; i++) {
        g[i] =
            (struct guest){.r = r, .c = i < 3 ? r->cpu[i] : NULL, .done = &done, .rounds = &rounds};
        if (i < 3)
            r->cpu[i]->mode = MODE_PE | MODE_32;
        assert_int_equal(
            pthread_create(&thread[i], NULL, i < 3 ? mapped_guest : map_changer, &g[i]), 0);
    }
    for (uint32_t i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(g[3].unseen, 0);
    assert_int_equal(r->e.slot_count, 2);
    assert_true(r->drop_all[0] > 0);
    rig_destroy(r);
}

/* A device that rearranges memory while it holds its lock, which other vCPUs wait for. */
struct device {
    pthread_mutex_t lock;
    uint32_t failures, accesses;
};

static void in_bus_remap(struct rig *r, struct cpu *c)
{
    struct device *d = r->context;
    struct bp_mem_slot slot = {.size = sizeof(slot),
                               .index = 2,
                               .gpa = 0x20000000,
                               .length = c->index ? PAGE_SIZE : 0,
                               .host = r->ram};

    pthread_mutex_lock(&d->lock);
    d->accesses++;
    if (engine_memory_set(&r->e, &slot))
        d->failures++;
    pthread_mutex_unlock(&d->lock);
}

static void *device_guest(void *context)
{
    struct guest *g = context;

    remote_enter(g->c);
    for (uint32_t n = 0; n < ROUNDS; n++) {
        uint32_t *word = memory_code_word(memory_slot_at(&g->r->e, PAGE), PAGE);

        store_slow(g->c, NULL, MMIO_BASE, n, 4);
        guest_store(g->c, PAGE + g->c->index * 8, n);
        remote_mark_code(g->c, word, 1, PAGE);
        safe_point(g->c);
        if (n % 16 == 0) {
            remote_leave(g->c);
            remote_enter(g->c);
        }
    }
    remote_leave(g->c);
    return NULL;
}

static void a_device_may_change_the_map_while_other_vcpus_wait_for_its_lock(void **state)
{
    struct rig *r = rig_create(4);
    struct device d = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct guest g[4];
    pthread_t thread[4];

    (void)state;
    r->in_bus = in_bus_remap;
    r->context = &d;
    for (uint32_t i = 0; i < 4; i++) {
        g[i] = (struct guest){.r = r, .c = r->cpu[i]};
        r->cpu[i]->mode = MODE_PE | MODE_32;
        assert_int_equal(pthread_create(&thread[i], NULL, device_guest, &g[i]), 0);
    }
    for (uint32_t i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(d.failures, 0);
    assert_int_equal(d.accesses, 4 * ROUNDS);
    rig_destroy(r);
}

static void dropped_chunks_reach_every_other_vcpu_at_its_next_safe_point(void **state)
{
    struct rig *r = rig_create(2);

    (void)state;
    remote_enter(r->cpu[1]);
    remote_drop_chunks(&r->e, r->cpu[0], PAGE, 0x5);
    remote_drop_chunks(&r->e, r->cpu[0], PAGE, 0x50);
    assert_true(r->cpu[1]->pend & PEND_REMOTE);
    assert_int_equal(r->drops[1], 0);
    remote_service(r->cpu[1]);
    assert_false(r->cpu[1]->pend & PEND_REMOTE);
    assert_int_equal(r->drops[1], 1);
    assert_int_equal(r->chunks[1], 0x55);
    remote_leave(r->cpu[1]);
    remote_enter(r->cpu[0]);
    assert_int_equal(r->drops[0], 0);
    remote_leave(r->cpu[0]);
    rig_destroy(r);
}

static void a_vcpu_that_was_away_hears_of_it_when_it_comes_back(void **state)
{
    struct rig *r = rig_create(2);

    (void)state;
    remote_enter(r->cpu[1]);
    remote_leave(r->cpu[1]);
    remote_drop_chunks(&r->e, NULL, PAGE, 0x80);
    remote_enter(r->cpu[1]);
    assert_int_equal(r->chunks[1], 0x80);
    remote_leave(r->cpu[1]);
    rig_destroy(r);
}

static void bad_more_drops_than_the_queue_holds_drop_everything(void **state)
{
    struct rig *r = rig_create(2);
    uint32_t before;

    (void)state;
    remote_enter(r->cpu[1]);
    before = r->drop_all[1];
    for (uint32_t i = 0; i < 1000; i++)
        remote_drop_chunks(&r->e, r->cpu[0], PAGE + i * PAGE_SIZE, 1);
    remote_service(r->cpu[1]);
    assert_int_equal(r->drop_all[1], before + 1);
    assert_int_equal(r->drops[1], 0);
    /* And the queue works again. */
    remote_drop_chunks(&r->e, r->cpu[0], PAGE, 2);
    remote_service(r->cpu[1]);
    assert_int_equal(r->drops[1], 1);
    remote_leave(r->cpu[1]);
    rig_destroy(r);
}

static void bad_more_protected_pages_than_the_queue_holds_flush_the_tlb(void **state)
{
    struct rig *r = rig_create(2);
    struct memory_slot *slot = memory_slot_at(&r->e, 0);
    struct cpu *c = r->cpu[1];

    (void)state;
    c->mode = MODE_PE | MODE_32;
    remote_enter(c);
    assert_int_equal(rig_store(c, PAGE + 50 * PAGE_SIZE, 1, 4), -1);
    assert_true(tlb_hit(tlb_at(c->tlb, PAGE + 50 * PAGE_SIZE)->wtag, PAGE + 50 * PAGE_SIZE, 1));
    remote_leave(c);
    for (uint32_t i = 0; i < 51; i++)
        remote_mark_code(r->cpu[0], memory_code_word(slot, PAGE + i * PAGE_SIZE), 1,
                         PAGE + i * PAGE_SIZE);
    remote_enter(c);
    assert_false(tlb_hit(tlb_at(c->tlb, PAGE + 50 * PAGE_SIZE)->wtag, PAGE + 50 * PAGE_SIZE, 1));
    remote_leave(c);
    rig_destroy(r);
}

static void what_devices_write_drops_the_code_that_they_hit(void **state)
{
    struct rig *r = rig_create(2);
    struct memory_slot *slot = memory_slot_at(&r->e, 0);
    uint32_t *first = memory_code_word(slot, PAGE), *second = first + 1;

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        remote_enter(r->cpu[i]);
        remote_leave(r->cpu[i]);
    }
    *first = 0xc0000001;
    *second = 0x7;
    engine_code_changed(&r->e, PAGE + 0xfc0, 0x80);
    assert_int_equal(*first, 0x40000001);
    assert_int_equal(*second, 0x6);
    for (uint32_t i = 0; i < 2; i++) {
        remote_enter(r->cpu[i]);
        assert_int_equal(r->drops[i], 2);
        assert_int_equal(r->chunks[i], 0x80000001);
        remote_leave(r->cpu[i]);
    }
    /* Lengths from outside: nothing, beyond the end, around the end of the address space. */
    engine_code_changed(&r->e, PAGE, 0);
    engine_code_changed(&r->e, RAM_BYTES - 1, UINT64_MAX - RAM_BYTES);
    engine_code_changed(&r->e, 16, UINT64_MAX);
    assert_int_equal(*second, 0x6);
    engine_code_changed(&r->e, 0, UINT64_MAX);
    assert_int_equal(*second, 0);
    rig_destroy(r);
}

static void slots_are_found_replaced_and_removed(void **state)
{
    struct rig *r = rig_create(1);
    struct bp_mem_slot slot = {
        .size = sizeof(slot), .index = 5, .gpa = 0x30000000, .length = 0x3000, .host = r->ram};

    (void)state;
    assert_null(memory_slot_at(&r->e, 0x30000000));
    assert_int_equal(engine_memory_set(&r->e, &slot), 0);
    assert_ptr_equal(memory_slot_at(&r->e, 0x30002fff)->host, r->ram);
    assert_null(memory_slot_at(&r->e, 0x30003000));
    slot.gpa = 0x40000000;
    slot.length = RAM_BYTES;
    assert_int_equal(engine_memory_set(&r->e, &slot), 0);
    assert_null(memory_slot_at(&r->e, 0x30000000));
    assert_non_null(memory_slot_at(&r->e, 0x40000000 + RAM_BYTES - 1));
    assert_int_equal(memory_slot_at(&r->e, 5)->gpa, 0);
    slot.length = 0;
    assert_int_equal(engine_memory_set(&r->e, &slot), 0);
    assert_int_equal(engine_memory_set(&r->e, &slot), 0);
    assert_null(memory_slot_at(&r->e, 0x40000000));
    assert_int_equal(r->e.slot_count, 2);
    rig_destroy(r);
}

static void bad_slots_are_refused_and_change_nothing(void **state)
{
    struct rig *r = rig_create(1);
    const struct bp_mem_slot good = {
        .size = sizeof(good), .index = 5, .gpa = 0x30000000, .length = 0x3000, .host = r->ram};
    struct bp_mem_slot bad[6] = {good, good, good, good, good, good};

    (void)state;
    bad[0].index = MEMORY_SLOTS;
    bad[1].gpa = 0x30000800;
    bad[2].length = 0x1800;
    bad[3].host = NULL;
    bad[4].gpa = UINT64_MAX - 0xfff;
    bad[5].gpa = RAM_BYTES - 0x1000; /* over the first slot */
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(engine_memory_set(&r->e, &bad[i]), -EINVAL);
        assert_int_equal(r->e.slot_count, 2);
    }
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_store_into_marked_code_goes_unseen),
        cmocka_unit_test(who_finds_marks_waits_for_the_one_who_is_still_protecting_the_page),
        cmocka_unit_test(a_slot_that_was_replaced_is_never_touched_again),
        cmocka_unit_test(a_device_may_change_the_map_while_other_vcpus_wait_for_its_lock),
        cmocka_unit_test(dropped_chunks_reach_every_other_vcpu_at_its_next_safe_point),
        cmocka_unit_test(a_vcpu_that_was_away_hears_of_it_when_it_comes_back),
        cmocka_unit_test(bad_more_drops_than_the_queue_holds_drop_everything),
        cmocka_unit_test(bad_more_protected_pages_than_the_queue_holds_flush_the_tlb),
        cmocka_unit_test(what_devices_write_drops_the_code_that_they_hit),
        cmocka_unit_test(slots_are_found_replaced_and_removed),
        cmocka_unit_test(bad_slots_are_refused_and_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
