/* SPDX-License-Identifier: MIT
 *
 * Fuzz target of dev-virtio's rings: arbitrary descriptor tables, available rings, indirect tables
 * and event words, split and packed.
 *
 * Input: features, size, a mask of what is rewound, then guest memory from address 0 on. Stops the
 * program if a chain has more segments than its queue could give, more is under way than the queue
 * has entries, a mapping is left, or memory outside of the guest's is touched (by
 * AddressSanitizer).
 */
#include "ring/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY 0x2000u
#define DESC 0x0u
#define DRIVER 0x400u
#define DEVICE 0x600u
#define SIZE_MAX_HERE 32u
#define ROUNDS 100u

struct bp_node {
    uint8_t *memory;
    unsigned maps;
};

static int is_ram(uint64_t gpa, uint64_t len)
{
    return gpa <= MEMORY && len <= MEMORY - gpa;
}

static int dma_read(struct bp_node *node, uint64_t gpa, void *to, uint64_t len)
{
    if (!is_ram(gpa, len))
        return -EFAULT;
    memcpy(to, node->memory + gpa, len);
    return 0;
}

static int dma_write(struct bp_node *node, uint64_t gpa, const void *from, uint64_t len)
{
    if (!is_ram(gpa, len))
        return -EFAULT;
    memcpy(node->memory + gpa, from, len);
    return 0;
}

/* In pieces of at most 1000 bytes, as if RAM had seams. */
static void *dma_map(struct bp_node *node, uint64_t gpa, uint64_t *len, uint32_t dir)
{
    uint64_t end;

    (void)dir;
    if (gpa >= MEMORY || __builtin_add_overflow(gpa, *len, &end))
        return NULL;
    if (*len > MEMORY - gpa)
        *len = MEMORY - gpa;
    if (*len > 1000)
        *len = 1000;
    node->maps++;
    return node->memory + gpa;
}

static void dma_unmap(struct bp_node *node, void *ptr, uint64_t written)
{
    (void)ptr;
    (void)written;
    node->maps--;
}

static const struct bp_host host = {
    .size = sizeof(host),
    .dma_read = dma_read,
    .dma_write = dma_write,
    .dma_map = dma_map,
    .dma_unmap = dma_unmap,
};

/* Does with a chain what devices do, and checks it. */
static uint32_t use(const struct queue *q, const struct chain *c)
{
    struct chain_map maps[QUEUE_SIZE_MAX];
    uint8_t bytes[300];
    uint64_t total = 0;
    int count;

    if ((uint32_t)c->readable + c->writable > QUEUE_SIZE_MAX || !c->slots || c->slots > q->size)
        abort();
    for (uint32_t i = 0; i < (uint32_t)c->readable + c->writable; i++)
        total += c->segments[i].len;
    if (total != (uint64_t)c->readable_bytes + c->writable_bytes)
        abort();
    chain_read(q, c, 3, bytes, sizeof(bytes));
    memset(bytes, 0x5a, sizeof(bytes));
    chain_write(q, c, 0, bytes, sizeof(bytes));
    count = chain_map(q, c, CHAIN_WRITABLE, 0, c->writable_bytes, maps, QUEUE_SIZE_MAX);
    if (count > 0)
        chain_unmap(q, maps, (uint32_t)count, 100);
    return c->writable_bytes;
}

static void drive(struct queue *q, uint8_t rewinds)
{
    struct chain c;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct queue_mark mark = queue_mark(q);
        int got = queue_pop(q, &c);
        uint32_t written;

        if (got < 0 || (!got && !queue_arm(q)))
            break;
        if (!got)
            continue;
        if (q->in_flight > q->size)
            abort();
        written = use(q, &c);
        if (i % 3 == 0 && rewinds >> (i % 8) & 1)
            queue_rewind(q, &mark);
        else if (queue_stage(q, c.id, c.slots, written) || (i % 2 && queue_publish(q) < 0))
            break;
    }
    queue_publish(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t sizes[] = {1, 2, 3, 8, 16, 17, 31, 32};
    struct bp_node node = {0};
    struct queue q = {.host = &host, .node = &node, .max_size = SIZE_MAX_HERE};
    uint64_t features = 0;

    if (size < 3)
        return 0;
    node.memory = calloc(1, MEMORY);
    if (!node.memory)
        abort();
    memcpy(node.memory, data + 3, size - 3 < MEMORY ? size - 3 : MEMORY);
    queue_reset(&q);
    q.desc = DESC;
    q.driver = DRIVER;
    q.device = DEVICE;
    q.size = sizes[data[1] % 8];
    features |= (uint64_t)(data[0] & 1) << VIRTIO_F_RING_PACKED;
    features |= (uint64_t)(data[0] >> 1 & 1) << VIRTIO_F_EVENT_IDX;
    features |= (uint64_t)(data[0] >> 2 & 1) << VIRTIO_F_INDIRECT_DESC;
    if (!queue_enable(&q, features))
        drive(&q, data[2]);
    if (node.maps)
        abort();
    free(node.memory);
    return 0;
}
