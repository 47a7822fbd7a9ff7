/* SPDX-License-Identifier: MIT
 *
 * accelerator.c - an example of a PCI device with DMA and MSI-X: it copies memory, sums it up, and
 * XORs it with a pattern, by a ring of descriptors.
 *
 * BAR 0, 32-bit registers; MSI-X has its table at 0x1000 and its pending bits at 0x1800:
 *
 *     0x00 ID        RO    "PBAX"
 *     0x04 STATUS    RW1C  bit 0 DONE: a descriptor was; bit 1 ERROR: one failed
 *     0x08 RING_LOW  RW    guest-physical address of the ring, a multiple of 32
 *     0x0c RING_HIGH RW
 *     0x10 RING_SIZE RW    descriptors in it: a power of two, up to 256; 0 stops. Sets HEAD and
 *                          TAIL to 0
 *     0x14 HEAD      RW    doorbell: descriptors that the guest has filled in so far; counts on
 *                          beyond RING_SIZE
 *     0x18 TAIL      RO    those that are done; at HEAD the device is idle
 *
 * A descriptor has 32 bytes, little endian:
 *
 *      0 u64 source, 8 u64 destination: guest-physical
 *     16 u32 length: bytes
 *     20 u32 operation: 1 COPY; 2 CRC32 (of IEEE 802.3) of the source into `value`; 3 XOR: the
 *            destination is the source, each of its 4 bytes XORed with those of `value`
 *     24 u32 value
 *     28 u32 completion, by the device, last of all: 1 done, 2 failed
 *
 * Vector 0 of MSI-X comes for each descriptor that is done, vector 1 for each that failed; the pin
 * INTA is up while STATUS is not 0. Source and destination are worked through in pieces of 4096
 * bytes, so that a copy onto itself is one of pieces.
 */
#include <backplane/ext/pci.h>
#include <backplane/plugin.h>
#include <backplane/util/le.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    ID = 0x00,
    STATUS = 0x04,
    RING_LOW = 0x08,
    RING_HIGH = 0x0c,
    RING_SIZE = 0x10,
    HEAD = 0x14,
    TAIL = 0x18
};
enum { BAR_BYTES = 0x2000, TABLE = 0x1000, PENDING_BITS = 0x1800 };
enum { COPY = 1, CRC32 = 2, XOR = 3 };

#define DONE 1u
#define ERROR 2u

#define DESCRIPTOR 32u
#define RING_MAX 256u
#define PIECE 4096u
/* What is worked through in one go, while the processor that rang waits: bytes, of which each
 * descriptor costs some even if it has none. The rest follows by timer. */
#define BUDGET 65536u
#define DESCRIPTOR_COST 256u

struct config {
    uint32_t pci;
};

struct accelerator {
    const struct bp_host *host;
    struct bp_node *node;
    const struct bp_pci *pci;
    struct bp_pci_function *function;
    uint64_t ring;
    uint32_t ring_size, head, tail, status;
    /* The descriptor in work: fetched once, so that what the guest writes there meanwhile is
     * nothing to us; `at` is how far it is. */
    uint64_t source, destination;
    uint32_t length, operation, value, at, crc;
    uint8_t active;
    uint32_t crc_table[256];
};

static void make_crc_table(uint32_t *table)
{
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
    }
}

/* ---- descriptors ---- */

static void raise(struct accelerator *a, uint32_t what)
{
    a->status |= what;
    a->pci->notify(a->function, what == DONE ? 0 : 1);
    a->pci->intx_set(a->function, 1);
}

static uint64_t descriptor_address(const struct accelerator *a)
{
    return a->ring + (uint64_t)(a->tail & (a->ring_size - 1)) * DESCRIPTOR;
}

/* Fetches the next descriptor. -EFAULT if it is not in RAM. */
static int begin(struct accelerator *a)
{
    uint8_t d[DESCRIPTOR];
    int err = a->host->dma_read(a->node, descriptor_address(a), d, sizeof(d));

    if (err)
        return err;
    a->source = bp_le64(d);
    a->destination = bp_le64(d + 8);
    a->length = bp_le32(d + 16);
    a->operation = bp_le32(d + 20);
    a->value = bp_le32(d + 24);
    a->at = 0;
    a->crc = 0xffffffff;
    a->active = 1;
    return 0;
}

/* Writes the completion word so that a guest that sees it sees the data, too: through a mapping, by
 * one store in release order. It is aligned as the ring is, and so in one page. */
static int put_completion(struct accelerator *a, uint32_t value)
{
    uint64_t len = 4;
    void *word = a->host->dma_map(a->node, descriptor_address(a) + 28, &len, BP_DMA_WRITE);
    uint32_t little_endian;

    if (!word)
        return -EFAULT;
    bp_put_le32(&little_endian, value);
    atomic_store_explicit((_Atomic uint32_t *)word, little_endian, memory_order_release);
    a->host->dma_unmap(a->node, word, 4);
    return 0;
}

/* Answers the descriptor in work and goes on to the next. */
static void complete(struct accelerator *a, int err)
{
    uint8_t sum[4];

    if (!err && a->operation == CRC32) {
        bp_put_le32(sum, ~a->crc);
        err = a->host->dma_write(a->node, descriptor_address(a) + 24, sum, sizeof(sum));
    }
    if (put_completion(a, err ? 2 : 1))
        err = -EFAULT;
    a->active = 0;
    a->tail++;
    raise(a, err ? ERROR : DONE);
}

/* Does `n` bytes, up to PIECE, of the descriptor in work. */
static int piece(struct accelerator *a, uint32_t n)
{
    uint8_t data[PIECE];
    int err = a->host->dma_read(a->node, a->source + a->at, data, n);

    if (err)
        return err;
    if (a->operation == CRC32) {
        for (uint32_t i = 0; i < n; i++)
            a->crc = a->crc >> 8 ^ a->crc_table[(a->crc ^ data[i]) & 0xff];
    } else {
        if (a->operation == XOR)
            for (uint32_t i = 0; i < n; i++)
                data[i] ^= (uint8_t)(a->value >> i % 4 * 8); /* pieces are multiples of 4 */
        err = a->host->dma_write(a->node, a->destination + a->at, data, n);
    }
    a->at += n;
    return err;
}

/* A descriptor that asks for what there is: an operation, and memory that does not wrap. */
static int is_sound(const struct accelerator *a)
{
    uint64_t end;

    return a->operation >= COPY && a->operation <= XOR &&
           !__builtin_add_overflow(a->source, a->length, &end) &&
           (a->operation == CRC32 || !__builtin_add_overflow(a->destination, a->length, &end));
}

static void work(struct accelerator *a)
{
    uint32_t budget = BUDGET;

    while (a->active || a->head != a->tail) {
        int err = 0;

        if (budget < PIECE + DESCRIPTOR_COST) {
            a->host->timer_set(a->node, 0, 0); /* soon, after this callback */
            return;
        }
        if (!a->active) {
            budget -= DESCRIPTOR_COST;
            if (begin(a)) {
                a->head = a->tail; /* there is nothing to answer */
                raise(a, ERROR);
                return;
            }
            err = is_sound(a) ? 0 : -EINVAL;
        }
        if (!err && a->at < a->length) {
            uint32_t n = a->length - a->at < PIECE ? a->length - a->at : PIECE;

            budget -= n;
            err = piece(a, n);
        }
        if (err || a->at == a->length)
            complete(a, err);
    }
}

static void timer(void *self, uint32_t id)
{
    (void)id;
    work(self);
}

/* ---- registers ---- */

static uint64_t read_register(void *self, uint64_t offset, uint32_t width)
{
    const struct accelerator *a = self;

    (void)width;
    switch (offset) {
    case ID:
        return 0x58414250;
    case STATUS:
        return a->status;
    case RING_LOW:
        return (uint32_t)a->ring;
    case RING_HIGH:
        return a->ring >> 32;
    case RING_SIZE:
        return a->ring_size;
    case HEAD:
        return a->head;
    case TAIL:
        return a->tail;
    default:
        return 0;
    }
}

static void set_ring(struct accelerator *a, uint32_t size)
{
    if (size > RING_MAX || (size & (size - 1))) {
        bp_logf(a->host, a->node, BP_LOG_WARN | BP_LOG_GUEST,
                "a ring of %u descriptors is ignored: a power of two up to %u is expected", size,
                RING_MAX);
        return;
    }
    a->ring_size = size;
    a->head = a->tail = 0;
    a->active = 0; /* what was in work is given up */
}

static void ring_doorbell(struct accelerator *a, uint32_t head)
{
    if (head - a->tail > a->ring_size || head - a->tail < a->head - a->tail) {
        bp_logf(a->host, a->node, BP_LOG_WARN | BP_LOG_GUEST,
                "HEAD %u is ignored: TAIL is %u, HEAD was %u, and the ring has %u descriptors",
                head, a->tail, a->head, a->ring_size);
        return;
    }
    a->head = head;
    work(a);
}

static void write_register(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    struct accelerator *a = self;
    uint32_t v = (uint32_t)value;

    (void)width;
    if (offset == STATUS) {
        a->status &= ~v;
        a->pci->intx_set(a->function, a->status != 0);
    } else if (offset == RING_SIZE) {
        set_ring(a, v);
    } else if (offset == HEAD) {
        ring_doorbell(a, v);
    } else if ((offset == RING_LOW || offset == RING_HIGH) && !a->ring_size) {
        a->ring = offset == RING_LOW ? (a->ring & ~UINT64_C(0xffffffff)) | (v & ~(DESCRIPTOR - 1))
                                     : (a->ring & 0xffffffff) | (uint64_t)v << 32;
    } else {
        bp_logf(a->host, a->node, BP_LOG_WARN | BP_LOG_GUEST,
                "write of 0x%x to offset 0x%x is ignored: %s", v, (unsigned)offset,
                offset == RING_LOW || offset == RING_HIGH
                    ? "the ring is in use; RING_SIZE = 0 stops it"
                    : "no register can be written there");
    }
}

static const struct bp_register registers[] = {
    {"ID", ID, 4, BP_REG_RO},
    {"STATUS", STATUS, 4, BP_REG_RW},
    {"RING_LOW", RING_LOW, 4, BP_REG_RW | BP_REG_ADDRESS},
    {"RING_HIGH", RING_HIGH, 4, BP_REG_RW | BP_REG_ADDRESS_HIGH},
    {"RING_SIZE", RING_SIZE, 4, BP_REG_RW | BP_REG_LENGTH},
    {"HEAD", HEAD, 4, BP_REG_RW | BP_REG_DOORBELL},
    {"TAIL", TAIL, 4, BP_REG_RO},
    {NULL, 0, 0, 0},
};

static const struct bp_region_ops region_ops = {
    .size = sizeof(struct bp_region_ops),
    .min_access = 4,
    .max_access = 4,
    .register_stride = sizeof(struct bp_register),
    .name = "registers",
    .registers = registers,
    .read = read_register,
    .write = write_register,
};

/* ---- life ---- */

static const struct bp_pci_identity identity = {
    .size = sizeof(struct bp_pci_identity),
    .vendor = 0x1b36,
    .device = 0xbaca,
    .class_code = 0x120000, /* processing accelerator */
    .revision = 1,
    .interrupt_pin = 1,
};

static int create(const struct bp_host *host, struct bp_node *node, const void *config, void **self)
{
    const struct bp_pci *pci = host->extension(node, BP_PCI_ID);
    struct bp_region *region;
    struct accelerator *a;
    int err;

    if (!pci)
        return host->fail(node, -ENODEV, "an accelerator needs PCI; say `board = pc` in [machine]");
    a = calloc(1, sizeof(*a));
    if (!a)
        return host->fail(node, -ENOMEM, "no memory for an accelerator");
    a->host = host;
    a->node = node;
    a->pci = pci;
    make_crc_table(a->crc_table);
    err = pci->function_new(node, ((const struct config *)config)->pci, BP_PCI_EXPRESS, &identity,
                            NULL, a, &a->function);
    if (!err)
        err = host->region_new(node, BP_SPACE_MMIO, BAR_BYTES, &region_ops, a, &region);
    if (!err)
        err = pci->bar(a->function, 0, region, BP_PCI_BAR_64);
    if (!err)
        err = pci->msix(a->function, 2, 0, TABLE, PENDING_BITS);
    if (err)
        free(a); /* each of the four has said why */
    else
        *self = a;
    return err;
}

static void destroy(void *self)
{
    free(self);
}

static void reset(void *self, uint32_t kind)
{
    struct accelerator *a = self;

    (void)kind;
    a->ring = a->source = a->destination = 0;
    a->ring_size = a->head = a->tail = a->status = 0;
    a->length = a->operation = a->value = a->at = a->crc = 0;
    a->active = 0;
    a->pci->intx_set(a->function, 0);
    a->host->timer_set(a->node, 0, UINT64_MAX);
}

/* A file may say anything; what the functions above rely on is checked here. */
static int after_load(void *self)
{
    struct accelerator *a = self;

    if (a->ring % DESCRIPTOR || a->ring_size > RING_MAX || (a->ring_size & (a->ring_size - 1)) ||
        a->head - a->tail > a->ring_size || a->at > a->length ||
        (a->active && (!is_sound(a) || a->at == a->length || a->head == a->tail))) {
        reset(a, BP_RESET_COLD);
        return a->host->fail(a->node, -EINVAL,
                             "the snapshot's ring or descriptor is none; the file is damaged");
    }
    a->pci->intx_set(a->function, a->status != 0);
    if (a->head != a->tail)
        a->host->timer_set(a->node, 0, 0);
    return 0;
}

#define FIELD(member) BP_FIELD(struct accelerator, member, 1)

static const struct bp_field fields[] = {
    FIELD(ring),        FIELD(ring_size),
    FIELD(head),        FIELD(tail),
    FIELD(status),      FIELD(source),
    FIELD(destination), FIELD(length),
    FIELD(operation),   FIELD(value),
    FIELD(at),          FIELD(crc),
    FIELD(active),      {NULL, 0, 0, 0, 0, 0, 0},
};

static const struct bp_instance_ops instance = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = fields,
    .field_stride = sizeof(struct bp_field),
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .timer = timer,
    .after_load = after_load,
};

static const struct bp_prop props[] = {
    {.name = "pci",
     .help = "its place on the PCI bus; any free device without a value",
     .type = BP_PROP_PCI,
     BP_PROP_AT(struct config, pci)},
    {.name = NULL},
};

static const struct bp_region_ops *const regions[] = {&region_ops, NULL};

static const struct bp_model model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "accelerator",
    .summary = "example: copies, CRC-32 and XOR by DMA, on PCI with MSI-X",
    .props = props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct config),
    .flags = BP_MODEL_THREAD, /* the work by timer may have a thread of its own */
    .instance = &instance,
    .regions = regions,
};

static const struct bp_model *const models[] = {&model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .name = "dev-accelerator",
    .version = "1.0",
    .models = models,
};
