/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/virtio.h - the contract between devices (blk, net ...) and transports (PCI, MMIO):
 * neither sees the other. virtio 1.2; sections as "(2.1)".
 *
 *     transport:  the guest's registers  ->  virtio_set_status(), virtio_queue_*(), virtio_kick()
 * ... virtio.c:   the rules: what may be changed when, negotiation, reset, budget device:
 * ops->kicked() ...      ->  queue_pop(), virtio_publish(), virtio_config_changed()
 *
 * The rules hold for every device and either transport:
 *   - what is configured of a queue is frozen when it is enabled, and all queues when DRIVER_OK is
 * set;
 *   - no device is called unless DRIVER_OK is set and NEEDS_RESET is not;
 *   - one kick makes the device look at VIRTIO_BUDGET chains; the rest waits for a timer, so that
 * the processor that kicked, and others that want the device, get their turn;
 *   - a reset is complete at once, but while requests of before are under way no queue is looked
 * at.
 *
 * All functions are [dom], or [main] where they say so.
 */
#ifndef VIRTIO_H
#define VIRTIO_H

#include "ring/queue.h"

#include <backplane/plugin.h>

#define VIRTIO_QUEUES_MAX 18u
#define VIRTIO_CONFIG_MAX 64u /* bytes of device configuration space */
#define VIRTIO_BUDGET 256u    /* chains a kick */

/* Device status (2.1). */
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER 2u
#define STATUS_DRIVER_OK 4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 64u
#define STATUS_FAILED 128u

#define ISR_QUEUE 1u /* interrupt status: a used buffer; a change of configuration */
#define ISR_CONFIG 2u

#define VIRTIO_NO_VECTOR 0xffffu /* 4.1.5.1.2 */

#define BIT(n) (UINT64_C(1) << (n))

struct virtio;

/* What a device is. `virtio` is the first member of its instance, so the two convert by a cast. */
struct virtio_device {
    uint16_t id;         /* 5: virtio device ID */
    uint32_t class_code; /* PCI's */
    uint64_t features;   /* bits that every device of the kind offers, in order is one */
    /* The driver made buffers available in queue `n`, or may have. */
    void (*kicked)(struct virtio *v, uint32_t n);
    /* One chain for virtio_run(): the bytes written; or VIRTIO_HOLD, VIRTIO_TAKEN. Optional. */
    int64_t (*chain)(struct virtio *v, uint32_t n, const struct chain *c);
    /* virtio_run() emptied queue `n`, after `done` chains: in how many ns it is better looked at
     * again than to have the driver notify of the next one; 0: it is not. Optional: never. */
    uint32_t (*rests)(struct virtio *v, uint32_t n, uint32_t done);
    /* The driver may be relied upon: features are final. Optional. */
    void (*driver_ok)(struct virtio *v);
    /* Nonzero if the driver's choice of features makes sense. Optional. */
    int (*features_ok)(struct virtio *v, uint64_t features);
    /* The guest reset the device, or the machine was: back to the start. Optional. */
    void (*reset)(struct virtio *v);
    /* Queue `n` is reset and what was held of it forgotten. Optional. */
    void (*queue_reset)(struct virtio *v, uint32_t n);
    /* The guest wrote `value`, `width` bytes, to v->config at `offset`. Optional: ignored. */
    void (*config_written)(struct virtio *v, uint32_t offset, uint32_t value, uint32_t width);
    /* Requests of before a reset that are under way. Optional: none. */
    uint32_t (*busy)(const struct virtio *v, uint32_t n);
    /* Frees what the device has, not the instance. Optional. [main] */
    void (*destroy)(struct virtio *v);
    /* Of the instance's life, beyond what the common part does. Optional. [main] */
    int (*start)(struct virtio *v);
    void (*stop)(struct virtio *v);
    int (*after_load)(struct virtio *v);
    void (*timer)(struct virtio *v, uint32_t id); /* VIRTIO_TIMER_DEVICE and up. [dom] */
    const void *(*extension)(struct virtio *v, const char *id); /* [any] */
};

#define VIRTIO_HOLD (-1)  /* not now: the chain stays available, and the queue is left alone */
#define VIRTIO_TAKEN (-2) /* it will be given back later */

#define VIRTIO_TIMER_WORK 0u
#define VIRTIO_TIMER_DEVICE 1u

/* How a transport tells the guest. */
struct virtio_transport {
    /* Queue `n` has used buffers. */
    void (*used)(struct virtio *v, uint32_t n);
    /* The configuration, or NEEDS_RESET, changed. */
    void (*config)(struct virtio *v);
    /* Interrupts that are up go down: reset. */
    void (*reset)(struct virtio *v);
    /* Derived state, after a snapshot was loaded. */
    void (*after_load)(struct virtio *v);
    const void *(*extension)(struct virtio *v, const char *id);
    void (*destroy)(struct virtio *v);
    /* Where notifications of queue `n` are written, for doorbells. */
    void (*doorbell)(struct virtio *v, uint32_t n, struct bp_region **region, uint64_t *offset,
                     uint32_t *width, uint64_t *value);
};

/* The keys of every model that concern the transport. First member of each config struct. */
struct virtio_config {
    uint64_t address;   /* MMIO, 0: not given */
    uint32_t transport; /* TRANSPORT_* */
    uint32_t slot;      /* PCI, UINT32_MAX: any */
    uint32_t queue_size;
    uint8_t irq; /* MMIO, 0: not given */
    uint8_t packed;
    uint8_t reserved[2];
};
#define TRANSPORT_PCI 0u
#define TRANSPORT_MMIO 1u

struct virtio {
    const struct bp_host *host;
    struct bp_node *node;
    const struct virtio_device *device;
    const struct virtio_transport *transport;
    void *transport_self;
    uint64_t offered;  /* features */
    uint64_t accepted; /* features: what the driver wrote; final from FEATURES_OK on */
    uint32_t device_select, driver_select; /* of the feature words */
    uint32_t generation;                   /* of the configuration */
    uint32_t pending;                      /* queues that wait for VIRTIO_TIMER_WORK, bits */
    uint32_t queue_count, config_bytes;
    uint32_t work; /* a device adds what a chain cost beyond one chain's share of the budget */
    uint32_t work_reserved;
    uint16_t queue_select;
    uint16_t config_vector;
    uint8_t status, isr;
    uint8_t doorbells; /* kicks come by eventfd */
    uint8_t reserved;
    int fds[VIRTIO_QUEUES_MAX];
    uint8_t config[VIRTIO_CONFIG_MAX];
    struct queue queues[VIRTIO_QUEUES_MAX];
};

/* ---- for devices ---- */

/* Fills in what is common, and makes the transport that `config` asks for. The device has set
 * v->config, config_bytes, and max_size of its `queues` queues. -errno after host->fail(). [main]
 */
int virtio_init(struct virtio *v, const struct virtio_config *config, uint32_t queues,
                uint64_t features);
/* A device struct of `bytes` bytes, which begins with a struct virtio. NULL after host->fail().
 * [main] */
void *virtio_alloc(const struct bp_host *host, struct bp_node *node,
                   const struct virtio_device *device, size_t bytes);
void virtio_free(struct virtio *v); /* destroy() of every instance [main] */

static inline int virtio_has(const struct virtio *v, uint32_t feature)
{
    return v->status & STATUS_FEATURES_OK && v->accepted >> feature & 1;
}

/* May queue `n` be worked on? */
int virtio_live(const struct virtio *v, uint32_t n);
/* Hands each available chain of queue `n` to device->chain(), up to the budget. */
void virtio_run(struct virtio *v, uint32_t n);
/* Shows the driver what is staged in queue `n`, and interrupts it if it wants. */
void virtio_publish(struct virtio *v, uint32_t n);
/* kicked(n) soon, from a timer. */
void virtio_later(struct virtio *v, uint32_t n);
/* v->config changed: generation and interrupt. */
void virtio_config_changed(struct virtio *v);
/* The guest broke a rule: DEVICE_NEEDS_RESET. `why` is a sentence. */
void virtio_broken(struct virtio *v, const char *why);
/* Logs what the guest did, a sentence. */
void virtio_guest(const struct virtio *v, const char *what);
/* A request of before a reset ended: the device may be idle again. */
void virtio_idle(struct virtio *v);

/* Members that every instance saves; the device's own follow in its table. `pending` is none:
 * after a load every queue is looked at. */
#define VIRTIO_FIELD(member)                                                                       \
    {                                                                                              \
        .name = #member, .offset = (uint32_t)offsetof(struct virtio, member),                      \
        .width = (uint32_t)sizeof(((struct virtio *)0)->member), .count = 1,                       \
        .stride = (uint32_t)sizeof(((struct virtio *)0)->member), .since = 1                       \
    }
#define VIRTIO_QUEUE_FIELD(member)                                                                 \
    {                                                                                              \
        .name = "queues." #member, .offset = (uint32_t)offsetof(struct virtio, queues[0].member),  \
        .width = (uint32_t)sizeof(((struct queue *)0)->member), .count = VIRTIO_QUEUES_MAX,        \
        .stride = (uint32_t)sizeof(struct queue), .since = 1                                       \
    }
#define VIRTIO_FIELDS                                                                              \
    VIRTIO_FIELD(accepted), VIRTIO_FIELD(device_select), VIRTIO_FIELD(driver_select),              \
        VIRTIO_FIELD(generation), VIRTIO_FIELD(queue_select), VIRTIO_FIELD(config_vector),         \
        VIRTIO_FIELD(status), VIRTIO_FIELD(isr), BP_ARRAY(struct virtio, config, 1),               \
        VIRTIO_QUEUE_FIELD(desc), VIRTIO_QUEUE_FIELD(driver), VIRTIO_QUEUE_FIELD(device),          \
        VIRTIO_QUEUE_FIELD(size), VIRTIO_QUEUE_FIELD(vector), VIRTIO_QUEUE_FIELD(enabled),         \
        VIRTIO_QUEUE_FIELD(packed), VIRTIO_QUEUE_FIELD(event_idx), VIRTIO_QUEUE_FIELD(indirect),   \
        VIRTIO_QUEUE_FIELD(avail_wrap), VIRTIO_QUEUE_FIELD(used_wrap),                             \
        VIRTIO_QUEUE_FIELD(next_avail), VIRTIO_QUEUE_FIELD(next_used),                             \
        VIRTIO_QUEUE_FIELD(in_flight), VIRTIO_QUEUE_FIELD(unsignalled)

/* The instance table of a model whose create() is `create_` and whose fields are `fields_`. */
#define VIRTIO_INSTANCE(create_, fields_)                                                          \
    {                                                                                              \
        .size = sizeof(struct bp_instance_ops), .state_version = 1, .fields = (fields_),           \
        .field_stride = sizeof(struct bp_field), .create = (create_),                              \
        .destroy = virtio_instance_destroy, .reset = virtio_instance_reset,                        \
        .start = virtio_instance_start, .stop = virtio_instance_stop,                              \
        .timer = virtio_instance_timer, .after_load = virtio_instance_after_load,                  \
        .extension = virtio_instance_extension                                                     \
    }
void virtio_instance_destroy(void *self);
void virtio_instance_reset(void *self, uint32_t kind);
int virtio_instance_start(void *self);
void virtio_instance_stop(void *self);
void virtio_instance_timer(void *self, uint32_t id);
int virtio_instance_after_load(void *self);
const void *virtio_instance_extension(void *self, const char *id);

/* ---- for transports ---- */

/* What the two transports' regions are. */
extern const struct bp_region_ops virtio_pci_region_ops, virtio_mmio_region_ops;

int virtio_mmio_init(struct virtio *v, const struct virtio_config *config); /* [main] */
int virtio_pci_init(struct virtio *v, const struct virtio_config *config);  /* [main] */

/* The 32 feature bits of word `select`. */
uint32_t virtio_offered_word(const struct virtio *v, uint32_t select);
uint32_t virtio_accepted_word(const struct virtio *v, uint32_t select);
void virtio_accept_word(struct virtio *v, uint32_t select, uint32_t value);
/* What the guest reads as status: never 0 while requests of before a reset are under way. */
uint8_t virtio_status(const struct virtio *v);
void virtio_set_status(struct virtio *v, uint8_t status);

/* The selected queue, or NULL. */
struct queue *virtio_selected(struct virtio *v);
#define QUEUE_DESC 0u
#define QUEUE_DRIVER 1u
#define QUEUE_DEVICE 2u
/* Nonzero if the queue may be configured now. Writes at other times are ignored, and logged. */
int virtio_queue_open(struct virtio *v, const struct queue *q);
void virtio_queue_set_size(struct virtio *v, struct queue *q, uint32_t size);
void virtio_queue_set_half(struct virtio *v, struct queue *q, uint32_t area, uint32_t high,
                           uint32_t value);
void virtio_queue_enable(struct virtio *v, struct queue *q);
void virtio_queue_reset(struct virtio *v, struct queue *q);
uint32_t virtio_queue_resetting(struct virtio *v, const struct queue *q);
/* The guest notified queue `n`, whatever it wrote. */
void virtio_kick(struct virtio *v, uint32_t n);

/* Device configuration. Bytes beyond it read as 0. */
uint32_t virtio_config_get(const struct virtio *v, uint64_t offset, uint32_t width);
void virtio_config_put(struct virtio *v, uint64_t offset, uint32_t value, uint32_t width);

#endif
