/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the devices of dev-virtio, one a program (virtio_fuzz.h). The plugin's sources are part of
 * the program, so that the fuzzer sees their branches; the model is found and driven as any plugin
 * is, through its table, on the fake host with the core's PCI.
 *
 * Most steps put chains into rings as a driver would, because arbitrary bytes hardly ever get as
 * far as a request: what is in the buffers, how long they are, where they lie and whether they may
 * be written is the input's. Others write anything to registers, to rings, to configuration space.
 */
#include "virtio_fuzz.h"

#include "transport/mmio.h"
#include "transport/pci_caps.h"

#define OPTION_PCI 1u
#define OPTION_PACKED 2u
#define OPTION_DOORBELLS 4u
#define OPTION_EVENTFDS 8u
#define OPTION_INTX 16u
#define OPTION_LARGE 32u /* queues with more entries than are shown used at once */

#define DATA_BYTES (FAKE_RAM_BYTES - RIG_DATA)
#define BUFFERS_MAX 8u
#define STEPS_MAX 400u
#define MOVES_MAX 4u /* of state, which makes a device each */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct fuzz_input in;
    struct rig *rig;
    uint32_t options, device_options, set, moves;
    uint32_t data_at; /* where the next buffer lies, from RIG_DATA on */
    uint32_t queues;
    uint64_t offered;
};

uint32_t fuzz_do(struct rig *r, uint32_t n, const struct rig_buffer *buffers, uint32_t count)
{
    uint16_t id = rig_add(r, n, buffers, count), got = 0;
    uint32_t len = 0;

    rig_notify(r, n);
    fake_poll(r->host, 0);
    assert_true(rig_used(r, n, &got, &len));
    assert_int_equal(got, id);
    return len;
}

static uint32_t take(struct run *run, uint32_t bytes)
{
    return (uint32_t)fuzz_take(&run->in, bytes);
}

static int is_pci(const struct run *run)
{
    return run->rig->kind.transport == TRANSPORT_PCI;
}

/* ---- a driver that loads ---- */

static void interrupts(struct run *run)
{
    struct rig *r = run->rig;

    if (!is_pci(run))
        return;
    fake_pci_start(r->host, r->devfn);
    if (run->options & OPTION_INTX)
        fake_pci_messages_off(r->host, r->devfn);
    else
        fake_pci_msix_on(r->host, r->devfn);
}

static uint64_t ring_features(const struct run *run)
{
    return BIT(VIRTIO_F_VERSION_1) | (run->rig->kind.packed ? BIT(VIRTIO_F_RING_PACKED) : 0);
}

/* Resets, negotiates what of `wish` the device has, and sets up every queue. */
static void load_driver(struct run *run, uint64_t wish)
{
    struct rig *r = run->rig;
    uint64_t features = (run->offered & wish & ~BIT(VIRTIO_F_RING_PACKED)) | ring_features(run);

    interrupts(run);
    rig_set_status(r, 0);
    rig_set_status(r, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    rig_accept(r, features);
    rig_set_status(r, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    if (!(rig_status(r) & STATUS_FEATURES_OK))
        rig_negotiate(r, 0);
    for (uint32_t n = 0; n < run->queues; n++)
        rig_setup(r, n);
    rig_set_status(r, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

/* ---- steps ---- */

/* A place for `len` bytes that no earlier buffer of late has. */
static uint64_t fresh(struct run *run, uint32_t len)
{
    uint64_t gpa;

    if (len > DATA_BYTES - run->data_at)
        run->data_at = 0;
    gpa = RIG_DATA + run->data_at;
    run->data_at = (run->data_at + len + 15) % DATA_BYTES / 16 * 16;
    return gpa;
}

static uint64_t address(struct run *run, uint32_t kind, uint32_t len)
{
    switch (kind) {
    case 1:
        return RIG_DATA + (uint64_t)take(run, 1) * 0x800u;
    case 2:
        return (uint64_t)take(run, 1) * 0x1000u; /* the rings, too */
    case 3:
        return fuzz_take(&run->in, take(run, 1) % 9);
    default:
        return fresh(run, len);
    }
}

/* Bits of the byte before it: 0-1 address, 2 the device writes, 3-5 length. */
static struct rig_buffer buffer(struct run *run)
{
    static const uint32_t lengths[] = {0, 1, 2, 12, 16, 512, 4096};
    uint32_t kind = take(run, 1), code = kind >> 3 & 7, len;
    struct rig_buffer b;

    len = code < 7 ? lengths[code] : take(run, 4);
    if (!code) { /* the bytes follow */
        len = take(run, 1);
        b = (struct rig_buffer){fresh(run, len), len, kind >> 2 & 1};
        for (uint32_t i = 0; i < len; i++)
            *rig_ram(run->rig, b.gpa + i) = (uint8_t)take(run, 1);
        return b;
    }
    b = (struct rig_buffer){address(run, kind & 3, len), len, kind >> 2 & 1};
    return b;
}

static void add_chain(struct run *run)
{
    uint32_t n = take(run, 1) % run->queues, shape = take(run, 1);
    uint32_t count = 1 + shape % BUFFERS_MAX;
    struct rig_buffer b[BUFFERS_MAX] = {{0}};

    for (uint32_t i = 0; i < count; i++)
        b[i] = buffer(run);
    if (shape >> 4 & 1)
        rig_add_indirect(run->rig, n, b, count, count * 16 + (shape >> 5 & 1 ? take(run, 1) : 0),
                         shape >> 6 & 1 ? (uint16_t)take(run, 1) : 0);
    else if (shape >> 5 & 1)
        rig_add_raw(run->rig, n, b[0].gpa, b[0].len, (uint16_t)take(run, 2),
                    (uint16_t)take(run, 2));
    else
        rig_add(run->rig, n, b, count);
    if (shape >> 7)
        rig_notify(run->rig, n);
}

/* One buffer again and again, and one notification for all of them. */
static void add_many(struct run *run)
{
    uint32_t n = take(run, 1) % run->queues, count = take(run, 1);
    const struct rig_buffer b = buffer(run);

    for (uint32_t i = 0; i < count; i++)
        rig_add(run->rig, n, &b, 1);
    rig_notify(run->rig, n);
}

static void registers(struct run *run, int is_write)
{
    uint32_t at = take(run, 2), width = 1u << take(run, 1) % 4;
    uint64_t base =
        is_pci(run) ? FAKE_BAR_MEMORY((uint64_t)run->rig->devfn, at >> 15) : run->rig->bar;

    at %= is_pci(run) ? PCI_BAR_BYTES + 8 : MMIO_BYTES + 8;
    if (is_write)
        fake_write(run->rig->host, BP_SPACE_MMIO, base + at, fuzz_take(&run->in, width), width);
    else
        fake_read(run->rig->host, BP_SPACE_MMIO, base + at, width);
}

/* Bytes over a ring: a third of them in a table, in either area. */
static void poke(struct run *run)
{
    uint32_t n = take(run, 1), at = take(run, 2), count = take(run, 1) % 32;
    uint64_t gpa =
        n & 0x80 ? at * 16u % (FAKE_RAM_BYTES - 32) : RIG_RING(n % run->queues) + at % 0x1f00;

    for (uint32_t i = 0; i < count; i++)
        *rig_ram(run->rig, gpa + i) = (uint8_t)take(run, 1);
}

static void configuration_space(struct run *run)
{
    uint32_t at = take(run, 1), width = 1u << take(run, 1) % 3;

    if (!is_pci(run)) {
        fake_write(run->rig->host, BP_SPACE_MMIO, run->rig->bar + Config + at % 64,
                   fuzz_take(&run->in, width), width);
        return;
    }
    at -= at % width;
    fake_pci_write(run->rig->host, run->rig->devfn, at, take(run, width), width);
    fake_pci_read(run->rig->host, run->rig->devfn, at, width);
}

static void configure_queue(struct run *run)
{
    struct rig *r = run->rig;
    uint32_t what = take(run, 1);

    rig_select(r, what >> 3 > run->queues ? take(run, 2) : what >> 3);
    switch (what & 7) {
    case 0:
        rig_size(r, take(run, 2));
        break;
    case 1:
        rig_address(r, take(run, 1) % 3, fuzz_take(&run->in, 8));
        break;
    case 2:
        rig_address(r, take(run, 1) % 3, take(run, 3));
        break;
    case 3:
        rig_enable(r);
        break;
    case 4:
        rig_queue_reset(r);
        break;
    case 5:
        rig_queue_reset(r);
        if (!rig_queue_resetting(r) && what >> 3 < run->queues && rig_status(r) == 15 &&
            !rig_enabled(r) && !(what & 0x80)) {
            rig_size(r, RIG_QUEUE_SIZE);
            rig_enable(r);
        }
        break;
    default:
        rig_set_status(r, (uint8_t)take(run, 1));
    }
}

static struct rig *make(struct run *run)
{
    struct rig_kind kind = {run->options & OPTION_PCI ? TRANSPORT_PCI : TRANSPORT_MMIO,
                            !!(run->options & OPTION_PACKED)};
    struct rig *r;

    fake_offer_doorbells(run->options & OPTION_DOORBELLS);
    r = (run->options & OPTION_LARGE ? rig_new_large : rig_new)(
        fuzz_device.model, fuzz_device.config(run->device_options, run->set), &kind);
    fake_offer_doorbells(false);
    if (kind.transport == TRANSPORT_PCI)
        fake_pci_take_fds(r->host, run->options & OPTION_EVENTFDS);
    return r;
}

/* The device's state moves to another one, on other backends, which goes on in its place. */
static void move(struct run *run)
{
    struct rig *from = run->rig, *to;

    if (run->moves == MOVES_MAX)
        return;
    run->moves++;
    if (fuzz_device.settle)
        fuzz_device.settle(run->set);
    run->set ^= 1;
    to = make(run);
    memcpy(to->queues, from->queues, sizeof(to->queues));
    fake_move_state(from->host, to->host);
    memcpy(fake_ram(to->host), fake_ram(from->host), FAKE_RAM_BYTES);
    rig_free(from);
    run->rig = to;
}

/* The state as a file brings it that somebody changed: refused, or gone on with. */
static void damage(struct run *run)
{
    if (fuzz_device.settle)
        fuzz_device.settle(run->set);
    fuzz_damage(run->rig->host, &run->in);
    fuzz_start(run->rig->host);
}

static void reset_machine(struct run *run)
{
    fuzz_reset(run->rig->host, BP_RESET_WARM);
    assert_int_equal(fake_irq_level(run->rig->host, RIG_IRQ), 0);
}

static void rarely(struct run *run)
{
    uint32_t what = take(run, 1);

    switch (what % 8) {
    case 0:
        move(run);
        break;
    case 1:
        reset_machine(run);
        break;
    case 2:
    case 3:
        if (is_pci(run)) {
            interrupts(run);
            if (!(run->options & OPTION_INTX))
                fake_pci_mask(run->rig->host, run->rig->devfn, what >> 4, what >> 3 & 1);
        }
        break;
    case 4:
        run->options ^= OPTION_INTX;
        interrupts(run);
        break;
    case 6:
        add_many(run);
        break;
    case 7:
        damage(run);
        break;
    default:
        load_driver(run, fuzz_take(&run->in, 8));
    }
}

static void step(struct run *run)
{
    struct rig *r = run->rig;

    if (fuzz_device.forget)
        fuzz_device.forget(run->set);
    switch (take(run, 1) % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        add_chain(run);
        break;
    case 5:
    case 6:
        fuzz_device.event(r, &run->in, run->set);
        break;
    case 7:
        rig_notify(r, take(run, 1));
        break;
    case 8:
        fake_poll(r->host, 0);
        rig_status(r);
        break;
    case 9:
        fake_advance_ns(r->host, (uint64_t)take(run, 2) << 16);
        break;
    case 10:
        registers(run, 1);
        break;
    case 11:
        registers(run, 0);
        break;
    case 12:
        poke(run);
        break;
    case 13:
        configuration_space(run);
        break;
    case 14:
        configure_queue(run);
        break;
    default:
        rarely(run);
    }
}

/* Whatever it was through: a reset ends, and an honest driver is served. */
static void expect_service(struct run *run)
{
    struct rig *r = run->rig;

    run->options &= ~OPTION_INTX;
    interrupts(run);
    rig_set_status(r, 0);
    if (fuzz_device.forget)
        fuzz_device.forget(run->set);
    if (fuzz_device.settle)
        fuzz_device.settle(run->set);
    fake_poll(r->host, 0);
    assert_int_equal(rig_status(r), 0);
    assert_int_equal(rig_features(r), run->offered);
    rig_start(r, run->offered & ~BIT(VIRTIO_F_RING_PACKED), run->queues);
    if (fuzz_device.forget)
        fuzz_device.forget(run->set);
    fuzz_device.probe(r, run->set);
    assert_int_equal(rig_status(r), 15);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = {.in = {data, size}};
    uint64_t wish;

    setenv("CMOCKA_TEST_ABORT", "1", 0); /* a failed check shall end the program, with a trace */
    run.options = take(&run, 1);
    run.device_options = take(&run, 1);
    wish = fuzz_take(&run.in, 8);
    run.queues = fuzz_device.queues(run.device_options);
    run.rig = make(&run);
    run.offered = rig_features(run.rig);
    load_driver(&run, wish);
    for (uint32_t i = 0; run.in.left && i < STEPS_MAX; i++)
        step(&run);
    expect_service(&run);
    rig_free(run.rig);
    return 0;
}
