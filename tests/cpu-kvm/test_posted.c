/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/test_posted.c - "bp.posted/1": writes that wait in KVM's ring, and when they arrive.
 */
#include "rig.h"

#include <backplane/ext/posted.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define LOAD_LONG(r, ...)                                                                          \
    rig_load_long(r, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define DONE 0xe6, PORT_DONE /* out %al,done */
#define PATIENCE_S 50

static const struct bp_cpu_posted *posted_of(struct rig *r)
{
    const struct bp_cpu_posted *p = r->ops->extension(r->vm, BP_POSTED_ID);

    assert_non_null(p);
    return p;
}

/* What one deliver() handed over. */
struct delivered {
    unsigned count;
    struct access last;
};

static void note(void *context, uint64_t gpa, uint64_t value, uint32_t width)
{
    struct delivered *d = context;

    d->count++;
    d->last = (struct access){true, true, width, gpa, value};
}

static void they_arrive_in_order_before_what_the_guest_left_for(void **state)
{
    struct rig *r = rig_new(1);
    const struct bp_cpu_posted *p = posted_of(r);

    (void)state;
    assert_int_equal(p->post(r->vm, LONG_MMIO + 8, 8, 1), 0);
    LOAD_LONG(r, 0x48, 0xb8, 8, 7, 6, 5, 4, 3, 2, 1, /* mov $0x0102030405060708,%rax */
              0x88, 0x47, 0x08,                      /* mov %al,8(%rdi) */
              0x66, 0x89, 0x47, 0x0a,                /* mov %ax,10(%rdi) */
              0x89, 0x47, 0x0c,                      /* mov %eax,12(%rdi) */
              0x48, 0x89, 0x47, 0x08,                /* mov %rax,8(%rdi) */
              0x8b, 0x1f,                            /* mov (%rdi),%ebx */
              0x88, 0x47, 0x0f, DONE);               /* mov %al,15(%rdi) */
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->access_count, 6);
    rig_expect(r, 0, true, true, LONG_MMIO + 8, 0x08, 1);
    rig_expect(r, 1, true, true, LONG_MMIO + 10, 0x0708, 2);
    rig_expect(r, 2, true, true, LONG_MMIO + 12, 0x05060708, 4);
    rig_expect(r, 3, true, true, LONG_MMIO + 8, 0x0102030405060708, 8);
    rig_expect(r, 4, true, false, LONG_MMIO, 0, 4);
    rig_expect(r, 5, true, true, LONG_MMIO + 15, 0x08, 1);
    rig_free(r);
}

/* What lies in the range in part is an access like any other. */
static void only_writes_within_the_range_wait(void **state)
{
    struct rig *r = rig_new(1);
    const struct bp_cpu_posted *p = posted_of(r);

    (void)state;
    assert_int_equal(p->post(r->vm, LONG_MMIO + 8, 4, 1), 0);
    LOAD_LONG(r, 0x88, 0x47, 0x08,    /* mov %al,8(%rdi): waits */
              0x66, 0x89, 0x47, 0x0b, /* mov %ax,11(%rdi): not */
              DONE);
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->access_count, 2);
    rig_expect(r, 0, true, true, LONG_MMIO + 8, 0, 1);
    rig_expect(r, 1, true, true, LONG_MMIO + 11, 0, 2);
    rig_free(r);
}

/* The ring has room for 170. */
static void more_than_the_ring_holds_arrive_all_the_same(void **state)
{
    struct rig *r = rig_new(1);
    const struct bp_cpu_posted *p = posted_of(r);

    (void)state;
    assert_int_equal(p->post(r->vm, LONG_MMIO, 4, 1), 0);
    LOAD_LONG(r, 0x31, 0xc0,          /* xor %eax,%eax */
              0x89, 0x07, 0xff, 0xc0, /* again: mov %eax,(%rdi); inc %eax */
              0x3d, 250, 0, 0, 0,     /* cmp $250,%eax */
              0x75, 0xf5, DONE);      /* jne again */
    rig_run(r, BP_STOP_KICKED);
    assert_int_equal(r->access_count, 250);
    for (unsigned i = 0; i < 250; i++)
        rig_expect(r, i, true, true, LONG_MMIO, i, 4);
    rig_free(r);
}

/* Takes what the guest posts, and then stops it. */
struct taker {
    struct rig *rig;
    struct delivered delivered;
};

static void *take(void *arg)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    struct taker *t = arg;
    const struct bp_cpu_posted *p = posted_of(t->rig);

    for (int i = 0; i < PATIENCE_S * 1000 && !t->delivered.count; i++) {
        p->deliver(t->rig->vm, note, &t->delivered);
        nanosleep(&moment, NULL);
    }
    t->rig->ops->vcpu_kick(t->rig->vcpus[0]);
    return NULL;
}

/* The guest spins and leaves for nothing. */
static void another_thread_hands_them_over(void **state)
{
    struct taker t = {.rig = rig_new(1)};
    struct rig *r = t.rig;
    pthread_t thread;

    (void)state;
    assert_int_equal(posted_of(r)->post(r->vm, LONG_MMIO, 4, 1), 0);
    LOAD_LONG(r, 0xb8, 0x78, 0x56, 0x34, 0x12, /* mov $0x12345678,%eax */
              0x89, 0x07, 0xeb, 0xfe);         /* mov %eax,(%rdi); jmp . */
    assert_int_equal(pthread_create(&thread, NULL, take, &t), 0);
    rig_run(r, BP_STOP_KICKED);
    pthread_join(thread, NULL);
    assert_int_equal(r->access_count, 0);
    assert_int_equal(t.delivered.count, 1);
    assert_int_equal(t.delivered.last.address, LONG_MMIO);
    assert_int_equal(t.delivered.last.value, 0x12345678);
    assert_int_equal(t.delivered.last.width, 4);
    rig_free(r);
}

/* Takes part until the guest is done. */
struct second {
    struct rig *rig;
    pthread_mutex_t lock; /* as a device has its domain */
    uint32_t next, stop;
    bool wrong;
};

static void note_next(void *context, uint64_t gpa, uint64_t value, uint32_t width)
{
    struct second *h = context;

    (void)width;
    pthread_mutex_lock(&h->lock);
    h->wrong |= gpa != LONG_MMIO || value != h->next;
    h->next++;
    pthread_mutex_unlock(&h->lock);
}

static void note_exit(struct rig *r, const struct access *a)
{
    struct second *h = (struct second *)r->context;

    if (a->mmio)
        note_next(h, a->address, a->value, a->width);
    r->access_count = 0;
}

static void *take_part(void *arg)
{
    struct second *h = arg;
    const struct bp_cpu_posted *p = posted_of(h->rig);

    while (!__atomic_load_n(&h->stop, __ATOMIC_ACQUIRE))
        p->deliver(h->rig->vm, note_next, h);
    return NULL;
}

/* Each is seen once, and in order, whoever hands it over. */
static void two_threads_hand_them_over_in_order(void **state)
{
    struct second h = {.rig = rig_new(1), .lock = PTHREAD_MUTEX_INITIALIZER};
    struct rig *r = h.rig;
    pthread_t thread;

    (void)state;
    r->on_access = note_exit;
    r->context = &h;
    assert_int_equal(posted_of(r)->post(r->vm, LONG_MMIO, 4, 1), 0);
    LOAD_LONG(r, 0x31, 0xc0,          /* xor %eax,%eax */
              0x89, 0x07, 0xff, 0xc0, /* again: mov %eax,(%rdi); inc %eax */
              0x3d, 0xd0, 0x07, 0, 0, /* cmp $2000,%eax */
              0x75, 0xf5, DONE);      /* jne again */
    assert_int_equal(pthread_create(&thread, NULL, take_part, &h), 0);
    rig_run(r, BP_STOP_KICKED);
    __atomic_store_n(&h.stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    assert_int_equal(h.next, 2000);
    assert_false(h.wrong);
    rig_free(r);
}

static void what_waits_is_there_when_the_vcpu_stops(void **state)
{
    struct rig *r = rig_new(1);
    const struct bp_cpu_posted *p = posted_of(r);
    struct delivered left = {0};

    (void)state;
    assert_int_equal(p->post(r->vm, LONG_MMIO, 4, 1), 0);
    LOAD_LONG(r, 0x89, 0x07, 0x0f, 0x0b); /* mov %eax,(%rdi); ud2, without a handler */
    rig_run(r, BP_STOP_TRIPLE_FAULT);
    assert_int_equal(r->access_count, 1);
    rig_expect(r, 0, true, true, LONG_MMIO, 0, 4);
    p->deliver(r->vm, note, &left);
    assert_int_equal(left.count, 0);
    rig_free(r);
}

static void a_range_that_was_taken_back_makes_exits(void **state)
{
    struct rig *r = rig_new(1);
    const struct bp_cpu_posted *p = posted_of(r);

    (void)state;
    assert_int_equal(p->post(r->vm, LONG_MMIO, 4, 1), 0);
    assert_int_equal(p->post(r->vm, LONG_MMIO + 4, 4, 1), 0);
    assert_int_equal(p->post(r->vm, LONG_MMIO, 4, 0), 0);
    LOAD_LONG(r, 0x89, 0x07, 0x89, 0x47, 0x04, 0x0f, 0x0b); /* mov %eax,(%rdi); 4(%rdi); ud2 */
    rig_run(r, BP_STOP_TRIPLE_FAULT);
    assert_int_equal(r->access_count, 2);
    rig_expect(r, 0, true, true, LONG_MMIO, 0, 4);
    rig_expect(r, 1, true, true, LONG_MMIO + 4, 0, 4);
    rig_free(r);
}

static void ranges_that_cannot_be_are_refused(void **state)
{
    struct rig *r = rig_new(1);
    const struct bp_cpu_posted *p = posted_of(r);

    (void)state;
    assert_int_equal(p->post(r->vm, LONG_MMIO, 0, 1), -EINVAL);
    assert_int_equal(p->post(r->vm, UINT64_MAX - 3, 8, 1), -EINVAL);
    assert_int_equal(p->post(r->vm, 0, UINT64_C(1) << 32, 1), -EINVAL);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_arrive_in_order_before_what_the_guest_left_for),
        cmocka_unit_test(only_writes_within_the_range_wait),
        cmocka_unit_test(more_than_the_ring_holds_arrive_all_the_same),
        cmocka_unit_test(another_thread_hands_them_over),
        cmocka_unit_test(two_threads_hand_them_over_in_order),
        cmocka_unit_test(what_waits_is_there_when_the_vcpu_stops),
        cmocka_unit_test(a_range_that_was_taken_back_makes_exits),
        cmocka_unit_test(ranges_that_cannot_be_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
